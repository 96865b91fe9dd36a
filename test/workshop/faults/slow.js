// A disk on which each flush takes a second and each write a while: decisions do not wait
// for it.  What changes something waits, and can be cancelled as far as PostgreSQL lets a
// statement be: not while it makes its commit durable.
'use strict'
const { retry, sleep } = require('../traffic/processes')
const { runCase } = require('./report')
const { Server, checkTraffic, errorOf, makeKeys, makeSource, makeTraffic, value } = require('./server')
const { Weather } = require('./weather')

const FLUSH_MS = 1000
const WRITE_MS = 50
const SECONDS = 8
const CLIENTS = 4

// What a decision may take on a busy machine: much less than one flush.
const PROMPT_MS = 500

// A statement that is cancelled ends within this, for it may wait for others' flushes.
const CANCEL_MS = 3000

const CANCELLED = '57014'

async function elapsed (action) {
  const begin = Date.now()
  const result = await action()
  return { result, ms: Date.now() - begin }
}

// Decides for so long; returns how often, and how long the slowest took.
async function decide (session, seconds) {
  const end = Date.now() + seconds * 1000
  const times = []
  while (Date.now() < end) {
    const { result, ms } = await elapsed(() => value(session, "SELECT apikeys.authorize('key' || (random() * 99 + 1)::integer, 'a secret', '192.0.2.1', 'clusters.read')"))
    if (result !== true) throw new Error(`a decision was ${result}`)
    times.push(ms)
  }
  times.sort((a, b) => a - b)
  return { count: times.length, slowest: times[times.length - 1], median: times[times.length >> 1] }
}

async function cancelled (report, server, name, text, values = []) {
  const session = await server.connect()
  const admin = await server.connect()
  await session.query("SET statement_timeout = '300ms'")
  const { result, ms } = await elapsed(() => errorOf(session, text, values))
  report.ok(result?.code === CANCELLED && ms < CANCEL_MS, `${name} ends by statement_timeout (${ms} ms)`, `${result?.code} after ${ms} ms`)
  await session.query("SET statement_timeout = '20s'")
  const pid = await value(session, 'SELECT pg_backend_pid()')
  const asked = errorOf(session, text, values)
  await sleep(300)
  const { result: error, ms: took } = await elapsed(async () => {
    await admin.query('SELECT pg_cancel_backend($1)', [pid])
    return asked
  })
  report.ok(error?.code === CANCELLED && took < CANCEL_MS, `${name} ends by pg_cancel_backend (${took} ms)`, `${error?.code} after ${took} ms`)
  await session.end()
  await admin.end()
}

async function main (report) {
  const weather = new Weather('slow')
  const server = new Server('slow', { faults: weather.file })
  // Little room for the log in memory: what writes much waits before its commit.
  await server.make({ wal_buffers: '64kB', checkpoint_timeout: '30s' })
  const traffic = await makeTraffic(server, 'postgres', CLIENTS, { changes: 0 })
  const admin = await server.connect()
  const organization = await value(admin, "SELECT apikeys.create_organization('Slow')")
  await makeKeys(admin, organization, 'key', 100)
  await makeSource(admin, 20000)
  await admin.query('CHECKPOINT')
  const before = await decide(admin, 2)

  // Each client makes its keys while the disk is fast.
  traffic.changes = 1
  await traffic.start()
  await retry(20, async () => {
    if (traffic.clients.some(({ keys }) => keys.length < 6)) throw new Error('too few keys')
  })
  weather.set({ flush: FLUSH_MS, write: WRITE_MS })
  server.mark()
  const [flusher, checkpointer] = [await server.connect(), await server.connect()]
  // It goes on for minutes, beside all that follows.
  errorOf(checkpointer, 'CHECKPOINT')
  const [during, flush] = await Promise.all([
    decide(admin, SECONDS),
    elapsed(() => value(flusher, 'SELECT apikeys.flush_usage()'))
  ])
  report.say(`  a decision: ${before.median} ms, at most ${before.slowest} ms; on a slow disk ${during.median} ms, at most ${during.slowest} ms`)
  report.ok(during.slowest < PROMPT_MS, `decisions do not wait for the disk (${during.count}, at most ${during.slowest} ms)`, during)
  report.ok(flush.ms >= WRITE_MS, `flush_usage waits for it (${flush.ms} ms), and is answered`)

  const create = await elapsed(() => value(admin, "SELECT public_key FROM apikeys.create_key($1, 'slow', '{ORG_READ_ONLY}')", [organization]))
  report.ok(create.ms >= FLUSH_MS / 2, `create_key waits until it is durable (${create.ms} ms)`, create)
  await cancelled(report, server, 'flush_usage', 'SELECT apikeys.flush_usage()')
  await cancelled(report, server, 'import_keys', 'SELECT apikeys.import_keys($1, $2)', [organization, 'source'])
  const holder = await server.connect()
  await holder.query("BEGIN; SELECT apikeys.disable_key('key1')")
  await cancelled(report, server, 'a change that waits for another', "SELECT apikeys.delete_key('key1')")
  await holder.query('ROLLBACK')
  report.equal(await value(admin, "SELECT count(*)::integer FROM apikeys.key WHERE public_key LIKE 'imported%'"), 0, 'what was cancelled has changed nothing')
  await traffic.stop()
  report.ok(!/ERROR:(?!.*(canceling|cancel))/.test(server.log()), 'the log has no error but those', server.log().split('\n').filter((line) => /ERROR/.test(line)).slice(0, 5).join('\n'))

  weather.set({})
  await admin.query("SELECT apikeys.delete_key(public_key) FROM apikeys.key WHERE description = 'slow' OR public_key LIKE 'key%'")
  await checkTraffic(report, traffic, admin, { exact: true })
  report.equal(await value(admin, 'SELECT advice FROM apikeys.status()'), null, 'status() is content')
  await server.stop()
}

runCase(main)
