// 1,000 connections through a pooler in transaction mode use two hot keys and 100,000 cold
// ones, and manage keys of their own at the same time: there must be no error and no
// deadlock, each answer the right one, and each use and denial counted once.  Run by
// run.sh, which has started the server.
'use strict'
const fs = require('fs')
const { Key, Ledger, pick } = require('./ledger')
const { freePort, retry, sleep, start, stop } = require('./processes')
const { Report } = require('./report')
const { Traffic, connect, setUp } = require('./traffic')
const verify = require('./verify')

const CLIENTS = Number(process.env.CLIENTS ?? 500)
const COLD_KEYS = Number(process.env.COLD_KEYS ?? 100_000)
const SECONDS = Number(process.env.SECONDS_EACH ?? 40)

// Connections of the pooler to the server, for each of the two roles.
const POOL_SIZE = 16

const WORK = process.env.WORK
const ADMIN = { user: 'postgres', database: 'load' }
const SECRET = 'shared secret'

// --- Keys that all clients use ---------------------------------------------------------

function sharedKey (name) {
  const key = new Key(name, SECRET)
  key.shared = true
  return key
}

async function makeShared (admin, organization) {
  const names = ['hot1', 'hot2', ...Array.from({ length: COLD_KEYS }, (_, n) => `cold${n + 1}`)]
  await admin.query('BEGIN')
  // All at once: past the triggers, and the images at the end.
  await admin.query("SET LOCAL session_replication_role = 'replica'")
  await admin.query(
    'INSERT INTO apikeys.key (public_key, organization_id, description) SELECT name, $2, name FROM unnest($1::text[]) AS name',
    [names, organization])
  await admin.query(
    'INSERT INTO apikeys.key_secret (public_key, version, hash, hint) ' +
    "SELECT name, 1, ('sha256$$' || encode(sha256($2::text::bytea), 'hex'))::apikeys.secret_hash, '' FROM unnest($1::text[]) AS name",
    [names, SECRET])
  await admin.query(
    "INSERT INTO apikeys.key_role (public_key, organization_id, role) SELECT name, $2, 'ORG_READ_ONLY' FROM unnest($1::text[]) AS name",
    [names, organization])
  await admin.query('SELECT apikeys.rebuild_images()')
  await admin.query('COMMIT')
  await admin.query('VACUUM ANALYZE')
  return names.map(sharedKey)
}

// --- The pooler ---------------------------------------------------------------------------

async function startPooler () {
  const port = await freePort()
  const server = `host=${process.env.PGHOST} port=${process.env.PGPORT} dbname=load`
  fs.writeFileSync(`${WORK}/pgbouncer.ini`, `
[databases]
requests = ${server} user=api
management = ${server} user=console
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
listen_backlog = 1024
unix_socket_dir =
auth_type = any
admin_users = postgres
pool_mode = transaction
default_pool_size = ${POOL_SIZE}
max_client_conn = ${2 * CLIENTS + 10}
log_connections = 0
log_disconnections = 0
`)
  const process_ = start('pgbouncer', 'pgbouncer', [`${WORK}/pgbouncer.ini`])
  const pooler = { host: '127.0.0.1', port, user: 'postgres', password: '' }
  await retry(10, async () => (await connect({ ...pooler, database: 'pgbouncer' })).end())
  return { process: process_, pooler }
}

// --- The run --------------------------------------------------------------------------------

async function one (database, text) {
  const { rows: [row] } = await database.query(text)
  return row
}

async function check (traffic, report, admin) {
  const { ledger } = traffic
  const usage = await verify.checkUsage(ledger, admin, { exact: true })
  const status = await one(admin, 'SELECT lost_count::integer AS lost FROM apikeys.status()')
  const database = await one(admin, 'SELECT deadlocks::integer FROM pg_stat_database WHERE datname = current_database()')
  report.check('each answer is the right one, and there is no error', { checked: ledger.acknowledged.request, wrong: traffic.wrong })
  report.check('each use and each denial is counted once', usage)
  report.check('no use was lost', { checked: 1, wrong: status.lost > 0 ? [`${status.lost} uses`] : [] })
  report.check('no deadlock', { checked: 1, wrong: database.deadlocks > 0 ? [`${database.deadlocks} deadlocks`] : [] })
  report.check('keys that are there', await verify.checkKeys(ledger, admin))
  report.check('decisions', await verify.checkDecisions(ledger, admin))
  report.check('events', await verify.checkEvents(ledger, admin))
  report.check('seals', await verify.checkSeals(ledger, admin))
  return usage.uses
}

async function run (report, { pooler }) {
  const admin = await connect(ADMIN)
  const organizations = await setUp(admin, CLIENTS)
  const ledger = new Ledger()
  const [hot1, hot2, ...cold] = await makeShared(admin, organizations[0])
  for (const key of [hot1, hot2, ...cold]) ledger.add(key)
  const traffic = new Traffic({
    ledger,
    clients: CLIENTS,
    changes: 0.1,
    sharing: 0.9,
    flushing: 0.01,
    pickShared: () => Math.random() < 0.5 ? pick([hot1, hot2]) : pick(cold),
    requests: { ...pooler, database: 'requests' },
    management: { ...pooler, database: 'management' },
    organizations
  })
  await traffic.start()
  const console_ = await connect({ ...pooler, database: 'pgbouncer' })
  const { rows } = await console_.query('SHOW CLIENTS')
  const connections = rows.filter(({ database }) => database !== 'pgbouncer').length
  await console_.end()
  await sleep(SECONDS * 1000)
  await traffic.stop()
  report.check('connections', { checked: connections, wrong: connections === 2 * CLIENTS ? [] : [`${connections} instead of ${2 * CLIENTS}`] })
  const uses = await check(traffic, report, admin)
  report.say(`${connections} connections, ${2 + cold.length} shared keys, of them used: ${[hot1, hot2, ...cold].filter(({ asked }) => asked > 1).length}; ` +
    `in ${SECONDS} s: ${ledger.summary()}; uses counted: ${uses}`)
  await admin.end()
}

async function main (report) {
  const pooler = await startPooler()
  try {
    await run(report, pooler)
  } finally {
    await stop(pooler.process)
  }
}

const report = new Report()
main(report).then(() => report.finish(), (error) => report.finish(error)).finally(() => process.exit())
