// Limits beside other ways to limit API keys, by the same process with the same number of
// callers: requests a second on one key and on a hundred, how many of 4,000 requests a
// limit of 1,000 lets through, and how many it lets through if the store is killed (signal
// 9) when half of it is spent.  Run by run.sh.
//
// Redis runs as Debian configures it (snapshots, no log of writes), PostgreSQL with fsync
// and synchronous_commit on; what loses something by that is measured, and nothing else.
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import Redis from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { apiKey } from '@better-auth/api-key'

const { WORK, TOP } = process.env
const CLIENTS = Number(process.env.CLIENTS ?? 16)
const SECONDS_EACH = Number(process.env.SECONDS_EACH ?? 4)
const ROUNDS = Number(process.env.ROUNDS ?? 3)
const LIMIT = 1000
const HUGE = 10_000_000
const KEYS = 100
const SOCKET = `${WORK}/redis.sock`

// --- Stores -----------------------------------------------------------------------

function makePool () {
  const pool = new pg.Pool({ host: process.env.PGHOST, user: 'postgres', database: 'peers', max: CLIENTS })
  pool.on('error', () => {})
  return pool
}

let pool = makePool()

async function retry (work) {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (tries === 100) throw error
      await sleep(100)
    }
  }
}

const postgres = {
  async crash () {
    const pid = Number(readFileSync(`${WORK}/peers.data/postmaster.pid`, 'utf8').split('\n')[0])
    const { rows } = await pool.query('SELECT pid FROM pg_stat_activity')
    for (const process_ of [pid, ...rows.map((row) => row.pid)]) {
      try { process.kill(process_, 'SIGKILL') } catch {}
    }
    await pool.end().catch(() => {})
    await sleep(1000)
    await retry(() => {
      const { status } = spawnSync(`${WORK}/bin/pg_ctl`, ['-D', `${WORK}/peers.data`, '-w', '-l', `${WORK}/log/peers.log`, 'start'])
      if (status !== 0) throw new Error('the server does not start')
    })
    pool = makePool()
    await retry(() => pool.query('SELECT 1'))
  }
}

const redis = {
  async start () {
    this.folder ??= `${WORK}/redis`
    mkdirSync(this.folder, { recursive: true })
    this.process = spawn('redis-server', ['--port', '0', '--unixsocket', SOCKET, '--dir', this.folder], { stdio: 'ignore' })
    this.client = new Redis(SOCKET)
    this.client.on('error', () => {})
    await retry(() => this.client.ping())
  },
  async crash () {
    this.client.disconnect()
    this.process.kill('SIGKILL')
    await sleep(500)
    await this.start()
  },
  stop () {
    this.client?.disconnect()
    this.process?.kill()
  }
}

// --- Peers --------------------------------------------------------------------------

// Each has: name, store, make(limit) → a key, ask(key) → whether it passes.
async function makeOurKey (set) {
  const { rows: [key] } = await pool.query(
    'SELECT public_key, private_key FROM apikeys.create_key((SELECT id FROM apikeys.organization), $1, $2)', ['peer', ['ORG_READ_ONLY']])
  await pool.query(set, [key.public_key])
  return key
}

async function authorize (key) {
  const { rows: [{ allowed }] } = await pool.query({
    name: 'authorize', text: "SELECT apikeys.authorize($1, $2, '192.0.2.1'::inet, 'clusters.read') AS allowed", values: [key.public_key, key.private_key]
  })
  return allowed
}

const rate = {
  name: 'apikeys, rate limit',
  store: postgres,
  make: (limit) => makeOurKey(`SELECT apikeys.set_rate_limit($1, ${limit}, '1 day')`),
  ask: authorize
}

const quota = {
  name: 'apikeys, quota',
  store: postgres,
  make: (limit) => makeOurKey(`SELECT apikeys.set_quota($1, ${limit}, 'ever')`),
  ask: authorize
}

let rows = 0
const plpgsql = {
  name: 'PL/pgSQL, a row for each key',
  store: postgres,
  async make (limit) {
    const key = `key${++rows}`
    await pool.query("INSERT INTO limiter (public_key, hash, step, ahead) VALUES ($1, sha256('secret'), 86400000000 / $2::bigint, 86400000000 / $2::bigint * $2::bigint)", [key, limit])
    return key
  },
  async ask (key) {
    const { rows: [{ passes }] } = await pool.query({ name: 'limited', text: 'SELECT limited($1, $2) AS passes', values: [key, 'secret'] })
    return passes
  }
}

// It counts requests in a window that starts with the first.  The key is not proved: that
// would be another call.
const flexible = {
  name: 'rate-limiter-flexible, Redis',
  store: redis,
  make: async (limit) => ({ name: `key${++rows}`, limit }),
  async ask (key) {
    const limiter = new RateLimiterRedis({ storeClient: redis.client, points: key.limit, duration: 86400 })
    try {
      await limiter.consume(key.name)
      return true
    } catch (error) {
      if (error instanceof Error) throw error
      return false
    }
  }
}

const better = {
  name: 'better-auth, API-key plugin',
  store: postgres,
  options () {
    return {
      database: pool,
      secret: 'a secret of at least 32 characters, for tests',
      baseURL: 'http://localhost:3000',
      logger: { disabled: true },
      emailAndPassword: { enabled: true },
      plugins: [apiKey({ rateLimit: { enabled: true, timeWindow: 86_400_000, maxRequests: LIMIT } })]
    }
  },
  async open () {
    await (await getMigrations(this.options())).runMigrations()
    this.auth = betterAuth(this.options())
    this.user = (await this.auth.api.signUpEmail({ body: { name: 'peer', email: 'peer@example.com', password: 'correct horse battery' } })).user.id
  },
  async make (limit) {
    if (this.pool !== pool) this.auth = betterAuth(this.options())
    this.pool = pool
    const { key } = await this.auth.api.createApiKey({
      body: { userId: this.user, rateLimitEnabled: true, rateLimitMax: limit, rateLimitTimeWindow: 86_400_000 }
    })
    return key
  },
  reopen () { this.auth = betterAuth(this.options()) },
  async ask (key) {
    return (await this.auth.api.verifyApiKey({ body: { key } })).valid
  }
}

const PEERS = [rate, quota, plpgsql, flexible, better]

// --- Measurements ---------------------------------------------------------------------

// So many callers, until there were so many requests, or for so long; how many passed.
async function call (peer, keys, { requests = Infinity, seconds = Infinity }) {
  const begin = Date.now()
  let asked = 0
  let passed = 0
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (asked < requests && Date.now() - begin < seconds * 1000) {
      const key = keys[asked++ % keys.length]
      if (await peer.ask(key)) passed++
    }
  }))
  return { passed, perSecond: Math.round(1000 * asked / (Date.now() - begin)) }
}

function median (numbers) {
  return numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
}

async function measure (peer) {
  peer.one = []
  peer.many = []
  const key = await peer.make(HUGE)
  const keys = []
  for (let n = 0; n < KEYS; n++) keys.push(await peer.make(HUGE))
  peer.round = async () => {
    peer.one.push((await call(peer, [key], { seconds: SECONDS_EACH })).perSecond)
    peer.many.push((await call(peer, keys, { seconds: SECONDS_EACH })).perSecond)
  }
}

async function checkExactness (peer) {
  peer.exact = (await call(peer, [await peer.make(LIMIT)], { requests: 4 * LIMIT })).passed
}

// As long before the crash as a flush of the extension takes at most, or not at all.
async function checkCrash (peer, wait) {
  const key = await peer.make(LIMIT)
  const { passed } = await call(peer, [key], { requests: LIMIT / 2 })
  await sleep(wait)
  await peer.store.crash()
  peer.reopen?.()
  return passed + (await call(peer, [key], { requests: 2 * LIMIT })).passed
}

async function main () {
  await pool.query(readFileSync(`${TOP}/test/workshop/peers/limiter.sql`, 'utf8'))
  await pool.query("CREATE EXTENSION apikeys; SELECT apikeys.create_organization('Peers', 'user:peer')")
  await redis.start()
  for (const peer of PEERS) {
    await peer.open?.()
    await measure(peer)
  }
  for (let round = 0; round < ROUNDS; round++) for (const peer of PEERS) await peer.round()
  for (const peer of PEERS) {
    await checkExactness(peer)
    peer.atOnce = await checkCrash(peer, 0)
    peer.later = await checkCrash(peer, 11_000)
    better.reopen()
  }
  console.log(`${CLIENTS} callers, ${ROUNDS} rounds of ${SECONDS_EACH} s, medians; a limit of ${LIMIT}`)
  console.log('name\trequests/s, one key\trequests/s, 100 keys\tof 4,000 pass\tkilled at once\tkilled after 11 s')
  for (const { name, one, many, exact, atOnce, later } of PEERS) console.log([name, median(one), median(many), exact, atOnce, later].join('\t'))
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
}).finally(() => {
  redis.stop()
  return pool.end().catch(() => {})
}).finally(() => process.exit())
