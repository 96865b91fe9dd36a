// Settings that are too small: what is asked works, or fails with an error that names the
// setting and leaves nothing half-done; and status() or the log says what to do.
'use strict'
const { retry, sleep } = require('../traffic/processes')
const { runCase } = require('./report')
const { Server, checkTraffic, errorOf, makeKeys, makeSource, makeTraffic, row, useKeys, value } = require('./server')

const CLIENTS = 4
const SECONDS = 6
const LIMIT = 60
const MANY = 20000
const FEW = 2000

const FULL = '53000'
const OUT_OF_MEMORY = '53200'
const TOO_MANY_CONNECTIONS = '53300'

// What PostgreSQL says where its buffers do not suffice for all that is going on.
const NO_BUFFER = /no unpinned buffers available/

const counts = `SELECT (SELECT count(*) FROM apikeys.organization)::integer AS organizations,
  (SELECT count(*) FROM apikeys.project)::integer AS projects, (SELECT count(*) FROM apikeys.key)::integer AS keys,
  (SELECT count(*) FROM apikeys.key_image)::integer AS images, (SELECT count(*) FROM apikeys.member)::integer AS members,
  (SELECT count(*) FROM apikeys.audit_event)::integer AS events`

async function awaitAdvice (admin, pattern) {
  let advice
  await retry(LIMIT, async () => {
    advice = await value(admin, 'SELECT advice FROM apikeys.status()')
    if (!pattern.test(advice ?? '')) throw new Error('no such advice')
  }).catch(() => {})
  return advice ?? 'no advice'
}

async function awaitWritten (admin) {
  await retry(LIMIT, async () => {
    if (await value(admin, 'SELECT pending_entries::integer FROM apikeys.status()') > 0) throw new Error('nothing is written')
  })
}

async function makeServer (name, settings, keys = 100) {
  const server = new Server(name)
  await server.make(settings)
  return { server, ...await fill(await server.connect(), keys) }
}

async function fill (admin, keys) {
  await admin.query("CREATE EXTENSION apikeys; CREATE ROLE api LOGIN; SELECT apikeys.grant_access('api', 'decide')")
  const organization = await value(admin, "SELECT apikeys.create_organization('Acme')")
  await makeKeys(admin, organization, 'key', keys)
  return { admin, organization }
}

// --- max_connections ----------------------------------------------------------------------

async function connections (report) {
  const { server, admin } = await makeServer('connections', { max_connections: 10 })
  const sessions = []
  let error
  while (!error) {
    await server.connect('api').then((session) => sessions.push(session), (refused) => { error = refused })
  }
  report.error(error, TOO_MANY_CONNECTIONS, /connection slots|too many clients/, `max_connections: after ${sessions.length} sessions PostgreSQL refuses more`)
  for (const session of sessions) {
    const answers = await useKeys(session, 'key', 100)
    if (answers.ok !== 100) report.equal(answers, { ok: 100 }, 'decisions')
  }
  await admin.query('SELECT apikeys.flush_usage()')
  report.equal(await value(admin, 'SELECT sum(use_count)::integer FROM apikeys.key_usage'), 100 * sessions.length, 'the sessions that are there decide, and the worker writes')
  await server.stop()
}

// --- max_worker_processes -------------------------------------------------------------------

async function workers (report) {
  const { server, admin } = await makeServer('workers', { max_worker_processes: 0, max_parallel_workers: 0 })
  report.equal(await useKeys(admin, 'key', 100), { ok: 100 }, 'max_worker_processes = 0: decisions are answered')
  const advice = await awaitAdvice(admin, /max_worker_processes/)
  report.ok(/launcher does not run.*max_worker_processes/.test(advice), 'status() says that the launcher does not run, and which setting', advice)
  report.error(await errorOf(admin, 'SELECT apikeys.flush_usage()'), FULL, /max_worker_processes/, 'flush_usage names the setting')
  report.equal(await value(admin, 'SELECT sum(use_count)::integer FROM apikeys.usage'), 100, 'what is counted is seen')

  await server.restart({ max_worker_processes: 2 })
  const second = await server.connect()
  report.equal(await useKeys(second, 'key', 100), { ok: 100 }, 'max_worker_processes full: decisions are answered')
  const waiting = await awaitAdvice(second, /no background worker is available/)
  report.ok(/1 database waits: raise max_worker_processes/.test(waiting), 'status() says which setting', waiting)

  await server.restart({ max_worker_processes: 8 })
  const third = await server.connect()
  report.equal(await useKeys(third, 'key', 100), { ok: 100 }, 'raised: decisions are answered')
  await awaitWritten(third)
  const { uses, advice: none } = await row(third, 'SELECT (SELECT sum(use_count)::integer FROM apikeys.key_usage) AS uses, advice FROM apikeys.status()')
  report.equal([uses, none], [100, null], 'and written: those that nobody could write before the restart are lost, as is documented')
  await server.stop()
}

// --- max_locks_per_transaction ---------------------------------------------------------------

// A statement that works, or says that there is no room for locks, and then has changed
// nothing.
async function worksOrSays (report, admin, name, text, values = []) {
  const before = await row(admin, counts)
  const begin = Date.now()
  const error = await errorOf(admin, text, values)
  if (!error) {
    report.ok(true, `${name} works (${Date.now() - begin} ms)`)
    return
  }
  report.error(error, OUT_OF_MEMORY, /max_locks_per_transaction/, `${name} fails and names the setting`)
  report.equal(await row(admin, counts), before, `${name} has changed nothing`)
}

async function locks (report) {
  const few = { max_locks_per_transaction: 10, max_connections: 10 }
  const server = new Server('locks')
  await server.make(few)
  report.say(`max_locks_per_transaction = 10, and ${MANY} of each`)
  const first = await server.connect()
  report.error(await errorOf(first, 'CREATE EXTENSION apikeys'), OUT_OF_MEMORY, /max_locks_per_transaction/, 'CREATE EXTENSION fails and names the setting')
  report.equal(await value(first, "SELECT count(*)::integer FROM pg_namespace WHERE nspname LIKE 'apikeys%'"), 0, 'CREATE EXTENSION has left nothing')
  await server.restart({ max_locks_per_transaction: 64 })
  const { organization } = await fill(await server.connect(), 100)
  await server.restart(few)
  const admin = await server.connect()
  await makeSource(admin, MANY)
  const large = await value(admin, "SELECT apikeys.create_organization('Large')")
  await worksOrSays(report, admin, 'create_project', `SELECT apikeys.create_project($1, 'project ' || n) FROM generate_series(1, ${MANY}) AS n`, [large])
  await worksOrSays(report, admin, 'add_member', `SELECT apikeys.add_member($1, 'user:' || n, 'ORG_READ_ONLY') FROM generate_series(1, ${MANY}) AS n`, [large])
  await worksOrSays(report, admin, 'import_keys', 'SELECT apikeys.import_keys($1, $2)', [organization, 'source'])
  const decided = useKeys(await server.connect(), 'imported', MANY)
  await worksOrSays(report, admin, 'set_quota', "SELECT apikeys.set_quota(public_key, 100, 'day') FROM apikeys.key WHERE public_key LIKE 'imported%'")
  report.equal(Object.keys(await decided), ['ok'], 'decisions are answered')
  await worksOrSays(report, admin, 'disable_keys', "SELECT apikeys.disable_keys(description => 'imported%', dry_run => false)")
  await worksOrSays(report, admin, 'rebuild_images', 'SELECT apikeys.rebuild_images()')
  await worksOrSays(report, admin, 'delete_keys', "SELECT apikeys.delete_keys(description => 'imported%', dry_run => false)")
  await worksOrSays(report, admin, 'delete_organization', 'SELECT apikeys.delete_organization($1)', [large])
  await worksOrSays(report, admin, 'seal_audit', 'SELECT apikeys.seal_audit()')
  await worksOrSays(report, admin, 'verify_audit', 'SELECT apikeys.verify_audit()')
  await awaitWritten(admin)
  report.equal(await value(admin, 'SELECT advice FROM apikeys.status()'), null, 'nothing is pending, and status() is content')
  await server.stop()
}

// --- The extension's own ------------------------------------------------------------------------

const SMALLEST = {
  'apikeys.usage_max_entries': 1000,
  'apikeys.limit_max_entries': 100,
  'apikeys.locator_size': "'64kB'",
  'apikeys.usage_flush_interval': '1h',
  'apikeys.wrong_secret_limit': 1,
  'apikeys.digest_nonce_lifetime': '1s'
}

async function own (report) {
  const { server, admin } = await makeServer('own', SMALLEST, 2000)
  await admin.query("SELECT apikeys.set_rate_limit('key' || n, 5, '1 hour') FROM generate_series(1, 2000) AS n")
  report.say('the settings of the extension at their minimum, and 2,000 keys with limits')
  const reasons = []
  for (let round = 0; round < 3; round++) reasons.push(await useKeys(admin, 'key', 2000))
  report.equal(reasons, Array(3).fill({ ok: 2000 }), 'decisions are answered')
  const status = await row(admin, 'SELECT lost_count::integer AS lost, unlimited_count::integer AS unlimited, advice FROM apikeys.status()')
  await admin.query('SELECT apikeys.flush_usage()')
  const written = await value(admin, 'SELECT sum(use_count)::integer FROM apikeys.usage')
  const lost = await value(admin, 'SELECT lost_count::integer FROM apikeys.status()')
  report.ok(written + lost === 6000, `what is counted and what is lost are what was asked (${written} and ${lost})`, { written, lost })
  report.ok(/raise apikeys.usage_max_entries/.test(status.advice), 'status() says which setting', status)
  report.ok(status.unlimited > 0 && /limit_max_entries/.test(server.log()), `limits without room are counted (${status.unlimited}), and the log says which setting`)
  await server.reload({ 'apikeys.limit_overflow': "'deny'" })
  await retry(LIMIT, async () => {
    if (await value(admin, 'SHOW apikeys.limit_overflow') !== 'deny') throw new Error('not read yet')
  })
  const { ok = 0, rate_limited: denied = 0 } = await useKeys(admin, 'key', 2000)
  report.ok(ok + denied === 2000 && denied > 0, `with limit_overflow = deny requests without room are denied (${denied})`, { ok, denied })
  await server.stop()
}

// --- Memory ----------------------------------------------------------------------------------------

async function memory (report) {
  const server = new Server('memory')
  await server.make({ shared_buffers: '128kB', work_mem: '64kB', maintenance_work_mem: '1MB', temp_buffers: '800kB', wal_buffers: '32kB', max_wal_size: '32MB', min_wal_size: '32MB' })
  report.say('shared_buffers = 128kB, work_mem = 64kB')
  const traffic = await makeTraffic(server, 'postgres', CLIENTS, { flushing: 0.2, isExpected: ({ message }) => NO_BUFFER.test(message) })
  const admin = await server.connect()
  const organization = await value(admin, "SELECT apikeys.create_organization('Small')")
  await makeSource(admin, FEW)
  traffic.breaking = true
  await traffic.start()
  const error = await errorOf(admin, 'SELECT apikeys.import_keys($1, $2)', [organization, 'source'])
  if (error) report.ok(NO_BUFFER.test(error.message), 'import_keys fails for want of buffers', error.message)
  else report.ok(true, 'import_keys works')
  report.equal(await useKeys(admin, 'imported', FEW), { [error ? 'unknown_key' : 'ok']: FEW }, 'decisions are answered')
  await sleep(SECONDS * 1000)
  await traffic.stop()
  await admin.query('SELECT apikeys.flush_usage()')
  await admin.query("SELECT count(*) FROM apikeys.delete_keys(description => 'imported%', dry_run => false)")
  await checkTraffic(report, traffic, admin, { exact: traffic.broken === 0 })
  report.equal(await value(admin, 'SELECT advice FROM apikeys.status()'), null, 'status() is content')
  await server.stop()
}

async function main (report) {
  await connections(report)
  await workers(report)
  await locks(report)
  await own(report)
  await memory(report)
}

runCase(main)
