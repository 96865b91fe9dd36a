// Clients that use and change keys as an application does, and write into a ledger what
// they were told.  Each changes keys of its own, so that it knows what has to be
// answered; all use the shared ones.
//
// A client has two connections: one serves requests, as role api; on the other people
// manage keys, as role console, a transaction for each change.  So each change has to be
// seen at once by another session.
'use strict'
const { Client } = require('pg')
const { ADDRESS, SCOPE, changeOf, create, pick } = require('./ledger')
const { sleep } = require('./processes')

const KEYS_EACH = 12
const ORGANIZATIONS = 4

// How many connections are made at a time.
const CONNECTING = 50

// An answer that has not come by then never will.
const TIMEOUT = 60_000

const ASK = {
  authorize: 'SELECT apikeys.authorize($1, $2, $3, $4) AS allowed',
  decide: 'SELECT reason FROM apikeys.decide($1, $2, $3, $4)'
}

async function connect (options) {
  const client = new Client({ connectionTimeoutMillis: 10_000, query_timeout: TIMEOUT, ...options })
  // A connection that is lost while it is idle: the next query tells.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (error) {
    client.connection.stream.destroy()
    throw error
  }
  return client
}

// Did the connection break, or the server, or is it not promoted yet (25006)?  All other
// errors are the extension's.
function isLost (error) {
  return error.severity === undefined || /^(08|57P|25006)/.test(error.code)
}

// What the clients need; returns the ids of organizations.
async function setUp (admin, clients) {
  await admin.query(`
    CREATE EXTENSION apikeys;
    CREATE ROLE api LOGIN;
    CREATE ROLE console LOGIN;
    SELECT apikeys.grant_access('api', 'decide');
    SELECT apikeys.grant_access('console', 'manage', 'impersonate');
    GRANT EXECUTE ON FUNCTION apikeys.flush_usage TO console`)
  const { rows } = await admin.query(
    "SELECT apikeys.create_organization('Organization ' || n) AS id FROM generate_series(1, $1::integer) AS n",
    [ORGANIZATIONS])
  const organizations = rows.map(({ id }) => id)
  await admin.query(
    "SELECT apikeys.add_member(($1::uuid[])[1 + n % $2], 'user:' || n, 'ORG_OWNER') FROM generate_series(0, $3 - 1) AS n",
    [organizations, ORGANIZATIONS, clients])
  return organizations
}

class TrafficClient {
  constructor (traffic, number) {
    this.traffic = traffic
    this.ledger = traffic.ledger
    this.number = number
    this.organization = traffic.organizations[number % traffic.organizations.length]
    this.keys = []
    this.made = 0
  }

  async open () {
    this.requests = await connect(this.traffic.requests)
    this.management = await connect(this.traffic.management)
  }

  close () {
    for (const client of [this.requests, this.management]) client?.connection.stream.destroy()
    this.requests = this.management = undefined
  }

  async run () {
    while (this.traffic.running) {
      try {
        if (!this.requests) await this.reopen()
        else if (Math.random() < this.traffic.changes) await this.change()
        else await this.request()
      } catch (error) {
        this.traffic.failed(error)
        this.close()
      }
    }
  }

  async reopen () {
    try {
      await this.open()
    } catch (error) {
      this.close()
      await sleep(100)
    }
  }

  // --- Requests ---------------------------------------------------------------------

  usableKeys () {
    return this.keys.filter(({ doubt, deleted }) => !doubt && !deleted)
  }

  async request () {
    const key = Math.random() < this.traffic.sharing ? this.traffic.pickShared() : pick(this.usableKeys())
    if (key) await this.ask(key)
    else await this.create()
  }

  async ask (key) {
    const secret = pick(key.knownSecrets())
    if (secret === undefined) return
    // With the current secret one answer is right, so that we know its reason.
    const name = key.isCurrent(secret) ? pick(['authorize', 'decide']) : 'decide'
    const sent = Date.now()
    this.ledger.ask(key)
    const { rows: [answer] } = await this.requests.query(ASK[name], [key.name, secret, ADDRESS, SCOPE])
    const expected = key.expected(secret, sent, Date.now())
    const reason = answer.reason ?? expected.find((reason) => (reason === 'ok') === answer.allowed)
    this.traffic.acknowledge('request', sent)
    if (expected.includes(reason)) this.ledger.answered(key, reason)
    else this.traffic.wrong.push(`${key.name} was answered ${JSON.stringify(answer)} instead of ${expected.join(' or ')}`)
  }

  // --- Changes ------------------------------------------------------------------------

  async change () {
    if (this.traffic.flushing && Math.random() < this.traffic.flushing / this.traffic.clients.length) return this.flush()
    const usable = this.usableKeys()
    if (usable.length < KEYS_EACH / 2 || (usable.length < KEYS_EACH && Math.random() < 0.3)) return this.create()
    const key = pick(usable)
    const change = changeOf(key)
    const sent = Date.now()
    const row = await this.commit(key, change, sent)
    this.ledger.changed(key, change, sent, Date.now(), row.secret)
    this.traffic.acknowledge(change.kind, sent)
    if (key.deleted) this.keys = this.keys.filter(({ deleted }) => !deleted)
    await this.ask(key)
  }

  async create () {
    const change = create(this.organization, `client ${this.number}, key ${++this.made}`)
    const sent = Date.now()
    const row = await this.commit(undefined, change, sent)
    const key = this.ledger.created(change, row.public_key, row.secret, sent)
    this.keys.push(key)
    this.traffic.acknowledge(change.kind, sent)
    await this.ask(key)
  }

  // Makes a change in a transaction of its own, as a user of the application.
  async commit (key, change, sent) {
    if (key) key.underWay = { change, sent }
    try {
      await this.management.query('BEGIN')
      await this.management.query('SELECT apikeys.act_as($1)', [`user:${this.number}`])
      const { rows: [row] } = await this.management.query(change.text, change.values)
      await this.management.query('COMMIT')
      return row
    } catch (error) {
      this.ledger.doubt(key, change, sent)
      throw Object.assign(error, { isOfChange: true })
    }
  }

  // The uses acknowledged before this was asked for are written once it is answered.
  async flush () {
    const sent = Date.now()
    const allowed = new Map([...this.ledger.keys.values()].map((key) => [key, key.allowed]))
    await this.management.query('SELECT apikeys.flush_usage()').catch((error) => {
      throw Object.assign(error, { isOfChange: true })
    })
    for (const [key, uses] of allowed) key.flushed = Math.max(key.flushed, uses)
    this.traffic.acknowledge('flush', sent)
  }
}

class Traffic {
  // requests, management: options of the connections; first: the number of the first client; changes: what part of what is done
  // are changes; sharing: what part of the requests are made with pickShared(); flushing:
  // what part of the changes are flushes; isExpected: which errors are no fault while
  // something is being broken (error.isOfChange: it is not of a request).
  constructor (options) {
    Object.assign(this, { first: 0, changes: 0.3, sharing: 0, flushing: 0, pickShared: () => undefined, isExpected: isLost }, options)
    this.clients = Array.from({ length: options.clients }, (_, number) => new TrafficClient(this, this.first + number))
    this.wrong = [] // what must not have happened
    this.broken = 0 // connections that were lost
    this.resumed = {} // see mark()
  }

  async start () {
    this.running = true
    for (let first = 0; first < this.clients.length; first += CONNECTING) {
      await Promise.all(this.clients.slice(first, first + CONNECTING).map((client) => client.open()))
    }
    this.loops = this.clients.map((client) => client.run())
  }

  // Returns when nothing is under way any more.
  async stop () {
    this.running = false
    await Promise.all(this.loops)
    for (const client of this.clients) client.close()
  }

  // Measures from now on how long it takes until something sent later is acknowledged.
  mark () {
    this.marked = Date.now()
    this.resumed = {}
  }

  acknowledge (kind, sent) {
    this.ledger.count(kind)
    if (sent > this.marked) this.resumed[kind === 'request' ? kind : 'change'] ??= Date.now() - this.marked
  }

  failed (error) {
    if (this.breaking && this.isExpected(error)) this.broken++
    else this.wrong.push(`error ${error.code ?? ''}: ${error.message}`)
  }
}

module.exports = { Traffic, connect, isLost, setUp }
