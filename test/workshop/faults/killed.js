// Processes are killed as the kernel does for want of memory: a backend that decides, the
// worker, the launcher, a backend that imports, each in the middle of traffic.  And where a
// control group can be made, a real want of memory in it.  PostgreSQL then starts all of
// its processes again, with new shared memory.
'use strict'
const { killAll, retry, sleep } = require('../traffic/processes')
const { connect, isLost } = require('../traffic/traffic')
const { runCase } = require('./report')
const { Server, checkTraffic, errorOf, makeSource, makeTraffic, value } = require('./server')

const CLIENTS = 8
const SECONDS = 3
const LIMIT = 60
const FLUSHING = 0.5

// The cluster that run.sh has started in a control group, and what is too much for it.
const { POOR_HOST, POOR_PORT } = process.env
const TOO_MUCH = 'SELECT length(string_agg(repeat(md5(n::text), 30000), NULL)) FROM generate_series(1, 800) AS n'

// A process of the server: by a condition on pg_stat_activity.
const VICTIMS = {
  'a backend that decides': "usename = 'api'",
  'a backend that changes keys': "usename = 'console'",
  'the worker': "backend_type = 'apikeys worker'",
  'the launcher': "backend_type = 'apikeys launcher'",
  'a backend that imports': "query LIKE '%import_keys%' AND pid <> pg_backend_pid()"
}

function find (admin, condition) {
  return retry(LIMIT, async () => {
    const pid = await value(admin, `SELECT pid FROM pg_stat_activity WHERE ${condition} ORDER BY random() LIMIT 1`)
    if (!pid) throw new Error(`there is no process with ${condition}`)
    return pid
  })
}

// Starts an import that takes longer than we do.
async function startImport (server) {
  const session = await server.connect()
  const organization = await value(session, "SELECT apikeys.organization('Organization 1')")
  await makeSource(session, 100000)
  return errorOf(session, 'SELECT apikeys.import_keys($1, $2)', [organization, 'source'])
}

async function awaitAll (admin) {
  await retry(LIMIT, async () => {
    if (await value(admin, "SELECT count(*)::integer FROM pg_stat_activity WHERE backend_type = 'apikeys launcher'") !== 1) throw new Error('there is no launcher')
  })
}

// breaking: what kills; returns when it has.
async function round (report, traffic, connectAdmin, name, breaking) {
  await traffic.start()
  await sleep(SECONDS * 1000)
  traffic.breaking = true
  // What is flushed later says nothing of what the crash has lost.
  traffic.flushing = 0
  const begin = Date.now()
  await breaking()
  // All are back, and go on.
  traffic.mark()
  await retry(LIMIT, async () => {
    if (!traffic.resumed.request || !traffic.resumed.change) throw new Error('requests do not go on')
  })
  report.say(`${name} was killed; requests go on after ${Date.now() - begin} ms`)
  await traffic.stop()
  Object.assign(traffic, { breaking: false, flushing: FLUSHING })
  const admin = await retry(LIMIT, connectAdmin)
  await awaitAll(admin)
  await checkTraffic(report, traffic, admin, { exact: false })
  await admin.end()
}

async function killed (report) {
  const server = new Server('killed')
  await server.make()
  const traffic = await makeTraffic(server, 'postgres', CLIENTS, { isExpected: isLost, flushing: FLUSHING })
  for (const [name, condition] of Object.entries(VICTIMS)) {
    const imports = name.endsWith('imports')
    let imported
    await round(report, traffic, () => server.connect(), name, async () => {
      const admin = await server.connect()
      if (imports) imported = startImport(server)
      const pid = await find(admin, condition)
      if (imports) await sleep(500)
      killAll([pid])
      await retry(LIMIT, async () => {
        if (!await errorOf(admin, 'SELECT 1')) throw new Error('it lives')
      })
      admin.connection.stream.destroy()
    })
    if (imports) report.ok(await imported !== undefined, 'the import was not acknowledged')
  }
  report.say('after that, without faults')
  const admin = await server.connect()
  await traffic.start()
  await sleep(1000)
  await traffic.stop()
  await checkTraffic(report, traffic, admin, { exact: true })
  report.equal(await value(admin, 'SELECT advice FROM apikeys.status()'), null, 'status() is content')
  await server.stop()
}

async function outOfMemory (report) {
  if (!POOR_HOST) return report.say('# no control group: no real want of memory')
  const target = (user) => ({ host: POOR_HOST, port: Number(POOR_PORT), user, database: 'postgres' })
  const server = { connection: target, connect: (user = 'postgres') => connect(target(user)) }
  const traffic = await makeTraffic(server, 'postgres', CLIENTS, { isExpected: isLost, flushing: FLUSHING })
  await round(report, traffic, () => server.connect(), 'a backend that takes too much memory', async () => {
    const session = await server.connect()
    const error = await errorOf(session, TOO_MUCH)
    report.ok(isLost(error ?? {}) && error !== undefined, 'the kernel kills it', error && `${error.code} ${error.message}`)
  })
}

async function main (report) {
  await killed(report)
  await outOfMemory(report)
}

runCase(main)
