// A server of one's own in $WORK, of which the cases make what they need.
'use strict'
const { execFile } = require('child_process')
const fs = require('fs')
const { promisify } = require('util')
const { postmasterOf, retry } = require('../traffic/processes')
const { Ledger } = require('../traffic/ledger')
const { Traffic, connect, setUp } = require('../traffic/traffic')
const verify = require('../traffic/verify')

const { WORK, SOCKETS } = process.env

const run = promisify(execFile)

// How many seconds a server may take to start or to recover.
const LIMIT = 60

// What is the same for all; the cases append theirs.  Nothing is left to luck: what was
// acknowledged is on the disk.
const SETTINGS = {
  listen_addresses: "''",
  unix_socket_directories: `'${SOCKETS}'`,
  shared_preload_libraries: "'apikeys'",
  'apikeys.usage_flush_interval': '1s',
  autovacuum: 'off',
  fsync: 'on',
  synchronous_commit: 'on'
}

const servers = []

class Server {
  // faults: a file for faults.c.
  constructor (name, { faults } = {}) {
    Object.assign(this, { name, data: `${WORK}/${name}.data`, logFile: `${WORK}/log/server-${name}.log`, port: 5441 + servers.length })
    servers.push(this)
    this.environment = faults ? { ...process.env, LD_PRELOAD: `${WORK}/faults.so`, AK_TEST_FAULTS: faults } : process.env
  }

  async make (settings = {}, options = []) {
    await run(`${WORK}/bin/initdb`, ['-D', this.data, '-U', 'postgres', '-A', 'trust', '--no-sync',
      '--encoding=UTF8', '--locale=C', ...options])
    this.configure({ ...SETTINGS, port: this.port, ...settings })
    await this.start()
  }

  // A hot standby of another server.
  async follow (primary, settings = {}) {
    await run(`${WORK}/bin/pg_basebackup`, ['-D', this.data, '-h', SOCKETS, '-p', primary.port, '-U', 'postgres',
      '-R', '-c', 'fast', '--no-sync'])
    this.configure({ port: this.port, ...settings })
    await this.start()
  }

  configure (settings) {
    fs.appendFileSync(`${this.data}/postgresql.conf`,
      Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`).join(''))
  }

  control (...args) {
    return run(`${WORK}/bin/pg_ctl`, ['-D', this.data, '-w', '-t', LIMIT, ...args], { env: this.environment })
  }

  start () {
    return this.control('-l', this.logFile, 'start')
  }

  stop (mode = 'fast') {
    return this.control('-m', mode, 'stop')
  }

  async restart (settings = {}) {
    await this.stop()
    this.configure(settings)
    await this.start()
  }

  async reload (settings = {}) {
    this.configure(settings)
    await this.control('reload')
  }

  connection (user = 'postgres', database = 'postgres') {
    return { host: SOCKETS, port: this.port, user, database }
  }

  connect (user, database) {
    return connect(this.connection(user, database))
  }

  // Once it takes connections (again).
  awaitConnection (user, database) {
    return retry(LIMIT, () => this.connect(user, database))
  }

  get postmaster () {
    return postmasterOf(this.data)
  }

  static async stopAll () {
    for (const server of servers) await server.stop('immediate').catch(() => {})
  }

  // The log from where mark() was called last.
  mark () {
    this.marked = fs.statSync(this.logFile).size
  }

  log () {
    return fs.readFileSync(this.logFile, 'utf8').slice(this.marked ?? 0)
  }
}

// --- Asking -----------------------------------------------------------------------------

async function row (database, text, values) {
  const { rows: [row] } = await database.query(text, values)
  return row
}

// The first column of the first row.
async function value (database, text, values) {
  return Object.values(await row(database, text, values) ?? {})[0]
}

// The error of a statement, or undefined.
async function errorOf (database, text, values) {
  try {
    await database.query(text, values)
    return undefined
  } catch (error) {
    return error
  }
}

// --- Keys -------------------------------------------------------------------------------

const SECRET = 'a secret'

// Keys named PREFIX1, PREFIX2, … in an organization, all with one secret.
async function makeKeys (database, organization, prefix, count) {
  await database.query(
    'SELECT apikeys.import_key($1, $2 || n, $3, $2 || n, $4) FROM generate_series(1, $5::integer) AS n',
    [organization, prefix, HASH, ['ORG_READ_ONLY'], count])
}

const HASH = `sha256$$${require('crypto').createHash('sha256').update(SECRET).digest('hex')}`

// A table of so many keys named imported1, …, for import_keys.
async function makeSource (database, count) {
  await database.query("CREATE TABLE source AS SELECT 'imported' || n AS public_key, $1::text AS hash, 'imported' || n AS description, " +
    "'{ORG_READ_ONLY}'::text[] AS roles FROM generate_series(1, $2::integer) AS n", [HASH, count])
}

// The answers to as many requests as there are keys, by reason.
async function useKeys (database, prefix, count) {
  const { rows } = await database.query(
    'SELECT d.reason, count(*)::integer FROM generate_series(1, $2::integer) AS n ' +
    "CROSS JOIN LATERAL apikeys.decide($1 || n, $3, '192.0.2.1', 'clusters.read') AS d GROUP BY 1",
    [prefix, count, SECRET])
  return Object.fromEntries(rows.map(({ reason, count }) => [reason, count]))
}

// --- Traffic ----------------------------------------------------------------------------

// Clients of a database that has nothing yet; options are those of Traffic.
async function makeTraffic (server, database, clients, options = {}) {
  const admin = await server.connect('postgres', database)
  const organizations = await setUp(admin, clients)
  await admin.query("SELECT apikeys.set_organization_quota(id, 1000000000, 'ever') FROM unnest($1::uuid[]) AS id", [organizations])
  await admin.end()
  return new Traffic({
    ledger: new Ledger(),
    clients,
    requests: server.connection('api', database),
    management: server.connection('console', database),
    organizations,
    ...options
  })
}

// Holds a database against what the clients were told.  exact: no use may be lost.
async function checkTraffic (report, traffic, admin, { exact }) {
  const { ledger, wrong } = traffic
  const doubtful = ledger.doubtfulKeys().length + ledger.creations.length
  const made = await verify.settle(ledger, admin)
  report.say(`  acknowledged: ${ledger.summary()}; refused or lost: ${traffic.broken}; in doubt: ${doubtful}, of which made: ${made}`)
  if (exact) report.equal(made, 0, 'what was refused has changed nothing')
  report.check('each answer is the right one, and there is no other error', { checked: ledger.acknowledged.request, wrong: wrong.splice(0) })
  report.check('the keys that were acknowledged are there, no others, each with its image', await verify.checkKeys(ledger, admin))
  report.check('the worker starts and writes', await verify.checkWorker(ledger, admin))
  report.check('each use is counted as it must be', await verify.checkUsage(ledger, admin, { exact }))
  report.check('quotas hold what was spent', await verify.checkQuotas(ledger, admin, exact ? {} : { from: 0 }))
  report.check('decisions agree with the last change', await verify.checkDecisions(ledger, admin))
  report.check('events are those of the changes', await verify.checkEvents(ledger, admin))
  report.check('the audit is whole, and all of it can be sealed', await verify.checkSeals(ledger, admin))
}

module.exports = { HASH, SECRET, Server, checkTraffic, errorOf, makeKeys, makeSource, makeTraffic, row, run, useKeys, value }
