// A standby that stops replaying, and one that cancels a query which is in the way of
// replaying: it decides by what it has replayed, its uses reach the primary all the same,
// and when it goes on it agrees with the primary.
'use strict'
const { retry, sleep } = require('../traffic/processes')
const { runCase } = require('./report')
const { Server, errorOf, makeKeys, row, useKeys, value } = require('./server')

const KEYS = 200
const LIMIT = 30

const CONFLICT = '40001'

// Uses of keys that are there, all of them asked of the standby.
let uses = 0

async function awaitReplay (primary, standby) {
  const lsn = await value(primary, 'SELECT pg_current_wal_lsn()')
  await retry(LIMIT, async () => {
    if (!await value(standby, 'SELECT pg_last_wal_replay_lsn() >= $1', [lsn])) throw new Error('the standby does not catch up')
  })
}

function reason (session, key) {
  return value(session, "SELECT reason FROM apikeys.decide($1, 'a secret', '192.0.2.1', 'clusters.read')", [key])
}

// Uses in the tables of the primary, as the worker of the standby has sent them.
async function awaitUses (report, primary, name) {
  const begin = Date.now()
  let found
  await retry(LIMIT, async () => {
    found = await value(primary, 'SELECT coalesce(sum(use_count), 0)::integer FROM apikeys.key_usage')
    if (found < uses) throw new Error('uses are missing')
  }).catch(() => {})
  report.equal(found, uses, `${name} (after ${Date.now() - begin} ms)`)
}

async function paused (report, primary, standby) {
  await standby.query('SELECT pg_wal_replay_pause()')
  await retry(LIMIT, async () => {
    if (await value(standby, 'SELECT pg_get_wal_replay_pause_state()') !== 'paused') throw new Error('it replays')
  })
  report.say('the standby does not replay')
  const made = await row(primary, "SELECT public_key, private_key FROM apikeys.create_key(apikeys.organization('Acme'), 'made meanwhile', '{ORG_READ_ONLY}')")
  await primary.query("SELECT apikeys.disable_key('key1')")
  await primary.query("SELECT apikeys.delete_key('key2')")
  report.equal([await reason(primary, 'key1'), await reason(primary, 'key2')], ['key_disabled', 'unknown_key'], 'the primary denies what was revoked')
  report.equal(await useKeys(standby, 'key', KEYS), { ok: KEYS }, 'the standby decides by what it has replayed')
  report.equal(await reason(standby, made.public_key), 'unknown_key', 'and does not know what was made since')
  // Those of the key that is no more have nowhere to go.
  uses += KEYS - 1
  await awaitUses(report, primary, 'its uses reach the primary meanwhile')
  report.equal(await row(primary, "SELECT use_count::integer AS uses FROM apikeys.usage WHERE public_key = 'key1'"), { uses: 1 }, 'also that of the key which was disabled since')
  report.equal(await useKeys(standby, 'key', KEYS), { ok: KEYS }, 'it goes on deciding')
  report.equal(await row(standby, 'SELECT lost_count::integer, advice FROM apikeys.status()'), { lost_count: 0, advice: null }, 'and has lost nothing')
  uses += KEYS - 1
  await awaitUses(report, primary, 'each use reaches it once')

  const { quota, used } = await row(standby, "SELECT amount::integer AS quota, used::integer FROM apikeys.limits WHERE public_key = 'limited1'")
  report.equal([quota, used], [10, 0], 'a quota on the standby')
  const answers = []
  for (let n = 0; n < 12; n++) answers.push(await reason(standby, 'limited1'))
  report.equal(answers.filter((answer) => answer === 'ok').length, 10, 'holds, though what is written does not come back')
  uses += 10
  await awaitUses(report, primary, 'what it let through reaches the primary')
  report.equal(await reason(standby, 'limited1'), 'quota_exceeded', 'it stays spent when it was sent')
  return made
}

// Decisions while it catches up: PostgreSQL may end one that holds an old snapshot.
async function decideUntil (session, isDone) {
  const found = { answered: 0, ended: 0, others: [] }
  while (!isDone()) {
    const error = await errorOf(session, "SELECT apikeys.authorize('key5', 'a secret', '192.0.2.1', 'clusters.read')")
    if (!error) found.answered++
    else if (error.code === CONFLICT) found.ended++
    else found.others.push(error.message)
  }
  return found
}

async function resumed (report, server, primary, standby, made) {
  const decider = await server.connect()
  let caughtUp = false
  const decided = decideUntil(decider, () => caughtUp)
  // This too may be in the way.
  await errorOf(standby, 'SELECT pg_wal_replay_resume()')
  await awaitReplay(primary, standby)
  caughtUp = true
  const { answered, ended, others } = await decided
  report.equal(others, [], `it replays again; meanwhile ${answered} decisions were answered, ${ended} ended by PostgreSQL for what they kept from replaying`)
  uses += answered
  report.equal([await reason(standby, 'key1'), await reason(standby, 'key2'), await reason(standby, 'limited1')],
    ['key_disabled', 'unknown_key', 'quota_exceeded'], 'the standby denies what was revoked and what is spent')
  report.equal(await value(standby, "SELECT apikeys.authorize($1, $2, '192.0.2.1', 'clusters.read')", [made.public_key, made.private_key]), true, 'and knows what was made')
  uses += 1
  await awaitUses(report, primary, 'uses go on')
}

// A query with an old snapshot is in the way of what VACUUM has removed.
async function conflict (report, server, primary, standby) {
  const reader = await server.connect()
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  const before = await reason(reader, 'key3')
  server.mark()
  await primary.query("SELECT apikeys.update_key('key' || n, description => 'changed') FROM generate_series(3, 100) AS n")
  for (const table of ['key', 'key_image', 'key_usage']) await primary.query(`VACUUM apikeys.${table}`)
  let asked = 0 // and answered
  let error
  await retry(LIMIT, async () => {
    error = await errorOf(reader, "SELECT apikeys.authorize('key3', 'a secret', '192.0.2.1', 'clusters.read')")
    if (!error) throw new Error(`no conflict in ${++asked} decisions`)
  }).catch(() => {})
  report.ok(before === 'ok' && error && /(FATAL|ERROR): .* due to conflict with recovery/.test(server.log()),
    'a transaction in the way of replaying is ended by PostgreSQL, which its log says', `${error?.code} ${error?.message}`)
  await reader.end().catch(() => {})
  await awaitReplay(primary, standby)
  report.equal(await reason(standby, 'key3'), 'ok', 'the next decisions are answered')
  uses += asked + 2
}

async function main (report) {
  const server = new Server('primary')
  await server.make()
  const primary = await server.connect()
  await primary.query('CREATE EXTENSION apikeys; CREATE ROLE sender LOGIN; GRANT USAGE ON SCHEMA apikeys TO sender; ' +
    'GRANT EXECUTE ON FUNCTION apikeys.merge_usage, apikeys.merge_quota_usage, apikeys.settle_usage TO sender')
  const organization = await value(primary, "SELECT apikeys.create_organization('Acme')")
  await makeKeys(primary, organization, 'key', KEYS)
  await makeKeys(primary, organization, 'limited', 1)
  await primary.query("SELECT apikeys.set_quota('limited1', 10, 'month')")
  const standbyServer = new Server('standby')
  await standbyServer.follow(server, {
    'apikeys.usage_primary_conninfo': `'host=${process.env.SOCKETS} port=${server.port} user=sender'`,
    max_standby_streaming_delay: '1s', hot_standby_feedback: 'off'
  })
  const standby = await standbyServer.connect()
  await awaitReplay(primary, standby)
  const made = await paused(report, primary, standby)
  await resumed(report, standbyServer, primary, standby, made)
  await conflict(report, standbyServer, primary, standby)
  await awaitUses(report, primary, 'also those of the transaction that was ended')
  await sleep(1500)
  report.equal(await row(standby, 'SELECT pending_entries::integer, lost_count::integer, advice FROM apikeys.status()'),
    { pending_entries: 0, lost_count: 0, advice: null }, 'nothing is pending, lost or wrong on the standby')
  report.equal(await value(primary, 'SELECT intact FROM apikeys.verify_audit()'), true, 'the audit is whole')
  await standbyServer.stop()
  await server.stop()
}

runCase(main)
