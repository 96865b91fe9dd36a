// The disk is full: first where the tables are, which PostgreSQL survives, then where the
// write-ahead log is, which ends it.  In both cases under traffic, and all goes on as soon
// as there is room.
'use strict'
const fs = require('fs')
const { retry, sleep } = require('../traffic/processes')
const { isLost } = require('../traffic/traffic')
const { runCase } = require('./report')
const { Server, checkTraffic, errorOf, makeKeys, makeSource, makeTraffic, row, useKeys, value } = require('./server')

const DISK = `${process.env.WORK}/disk`
const BALLAST = `${DISK}/ballast`
const CLIENTS = 8
const COLD = 4000

// How many seconds it may take until all that was counted is written.
const LIMIT = 60

const DISK_FULL = '53100'
const FLUSH_FAILED = '58030'

// Writes until nothing more fits; what is freed meanwhile is taken by the next call.
function fill () {
  const file = fs.openSync(BALLAST, 'a')
  for (let size = 1 << 20; size >= 512;) {
    try {
      fs.writeSync(file, Buffer.alloc(size))
    } catch (error) {
      if (error.code !== 'ENOSPC') throw error
      size /= 2
    }
  }
  fs.closeSync(file)
}

// --- Tables -----------------------------------------------------------------------------

// Keys that were never used: to count them takes new rows in several tables.
async function makeCold (admin) {
  const organization = await value(admin, "SELECT apikeys.create_organization('Cold')")
  await makeKeys(admin, organization, 'cold', COLD)
  await admin.query("SELECT apikeys.set_quota('cold' || n, 1000000, 'day') FROM generate_series(1, $1::integer) AS n", [COLD])
  await makeSource(admin, 20000)
  return organization
}

async function whileFull (report, server, admin, organization) {
  report.equal(await useKeys(admin, 'cold', COLD), { ok: COLD }, 'decisions of keys with new counters and quotas are answered')
  report.error(await errorOf(admin, 'SELECT apikeys.flush_usage()'), FLUSH_FAILED, /could not be written.*server's log/,
    'flush_usage says that nothing could be written, and where to look')
  report.error(await errorOf(admin, 'SELECT apikeys.import_keys($1, $2)', [organization, 'source']), DISK_FULL, /No space left/, 'import_keys fails')
  report.equal(await value(admin, "SELECT count(*)::integer FROM apikeys.key WHERE public_key LIKE 'imported%'"), 0, 'and has imported nothing')
  const status = await row(admin, 'SELECT pending_entries::integer, lost_count::integer, advice FROM apikeys.status()')
  report.ok(status.pending_entries >= COLD && status.lost_count === 0, 'what was counted waits in memory', status)
  report.ok(/could not be written.*server's log/.test(status.advice), 'status() says what to do', status)
  report.ok(/ERROR: .*No space left on device\n.*HINT: .*free disk space/.test(server.log()), 'the log says why')
}

async function fullTables (report) {
  const server = new Server('tables')
  await server.make()
  fs.mkdirSync(`${DISK}/tables`)
  const root = await server.connect()
  await root.query(`CREATE TABLESPACE small LOCATION '${DISK}/tables'`)
  await root.query('CREATE DATABASE faults TABLESPACE small')
  const traffic = await makeTraffic(server, 'faults', CLIENTS, {
    isExpected: ({ code, isOfChange }) => isOfChange && [DISK_FULL, FLUSH_FAILED].includes(code),
    flushing: 0.2
  })
  const admin = await server.connect('postgres', 'faults')
  const organization = await makeCold(admin)
  await traffic.start()
  await sleep(2000)
  traffic.breaking = true
  server.mark()
  fill()
  report.say('the file system with the tables is full')
  await whileFull(report, server, admin, organization)
  for (let second = 0; second < 5; second++) {
    await sleep(1000)
    fill()
  }
  report.ok(traffic.broken > 0, `changes were refused (${traffic.broken})`)

  fs.unlinkSync(BALLAST)
  const freed = Date.now()
  await retry(LIMIT, async () => {
    if (await value(admin, "SELECT count(*)::integer FROM apikeys.key_usage WHERE public_key LIKE 'cold%'") < COLD) throw new Error('nothing is written')
  })
  report.ok(true, `there is room again: all is written after ${Date.now() - freed} ms`)
  await sleep(1000)
  traffic.breaking = false
  await sleep(2000)
  await traffic.stop()
  report.equal(await value(admin, 'SELECT apikeys.import_keys($1, $2)', [organization, 'source']), '20000', 'the import passes')
  report.equal(await row(admin, "SELECT sum(use_count)::integer AS uses, count(*)::integer AS keys FROM apikeys.usage WHERE public_key LIKE 'cold%'"),
    { uses: COLD, keys: COLD }, 'each use of the others is counted once')
  report.equal(await value(admin, "SELECT sum(used)::integer FROM apikeys.limits WHERE public_key LIKE 'cold%'"), COLD, 'and each quota')
  await admin.query("DELETE FROM apikeys.key WHERE public_key LIKE 'imported%' OR public_key LIKE 'cold%'")
  await checkTraffic(report, traffic, admin, { exact: true })
  report.equal(await value(admin, 'SELECT advice FROM apikeys.status()'), null, 'status() is content again')
  await server.stop()
  fs.rmSync(`${DISK}/tables`, { recursive: true })
}

// --- The write-ahead log ----------------------------------------------------------------

async function fullLog (report) {
  const server = new Server('wal')
  await server.make({ min_wal_size: '2MB', max_wal_size: '8MB' }, ['--wal-segsize=1', `--waldir=${DISK}/wal`])
  const traffic = await makeTraffic(server, 'postgres', CLIENTS, {
    isExpected: (error) => isLost(error) || (error.isOfChange && error.code === DISK_FULL),
    flushing: 0.5
  })
  await traffic.start()
  await sleep(2000)
  traffic.breaking = true
  // What is flushed later says nothing of what a crash has lost.
  traffic.flushing = 0
  server.mark()
  report.say('the file system with the write-ahead log is full')
  const end = Date.now() + LIMIT * 1000
  while (!/PANIC/.test(server.log()) && Date.now() < end) {
    fill()
    await sleep(100)
  }
  await traffic.stop()
  report.ok(/PANIC: .*No space left on device/.test(server.log()), 'PostgreSQL ends, and its log says why')
  fs.unlinkSync(BALLAST)
  await server.stop('immediate').catch(() => {})
  await server.start()
  const admin = await server.awaitConnection()
  await checkTraffic(report, traffic, admin, { exact: false })
  traffic.breaking = false
  await traffic.start()
  await sleep(1000)
  await traffic.stop()
  report.say('after that, without faults')
  await checkTraffic(report, traffic, admin, { exact: true })
  await server.stop()
}

async function main (report) {
  await fullTables(report)
  await fullLog(report)
}

runCase(main)
