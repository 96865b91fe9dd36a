// What single nodes of a cluster do while links are cut: which of them accept verbs, and what
// one answers that learns nothing more.
'use strict'
const { ADDRESS, SCOPE, create, pick } = require('./ledger')
const { sleep } = require('./processes')
const { connect, isLost } = require('./traffic')
const { judgeFrozen } = require('./verify')

const PAUSE = 200

// A connection that is opened again whenever it has broken.
class Persistent {
  constructor (options) {
    this.options = { connectionTimeoutMillis: 2000, query_timeout: 5000, ...options }
  }

  // Does something with the connection; returns undefined if that is lost.
  async use (action) {
    try {
      this.client ??= await connect(this.options)
      return await action(this.client)
    } catch (error) {
      if (!isLost(error)) throw error
      this.close()
      await sleep(PAUSE)
    }
  }

  close () {
    this.client?.connection.stream.destroy()
    this.client = undefined
  }
}

// Tries a verb on every node all the time, and rolls it back.
class Verbs {
  constructor (nodes) {
    this.accepted = new Map(nodes.map((node) => [node, []])) // the verbs: { sent, answered }
  }

  // Makes the key that is tried.
  async open (leader, ledger, organization) {
    const change = create(organization, 'tried on all nodes')
    const { rows: [row] } = await leader.query(change.text, change.values)
    this.key = ledger.created(change, row.public_key, row.secret)
    this.key.shared = true
  }

  start () {
    for (const verbs of this.accepted.values()) verbs.length = 0
    this.running = true
    this.loops = [...this.accepted].map(([node, verbs]) => this.run(node, verbs))
  }

  async run (node, verbs) {
    const connection = new Persistent(node.connection())
    while (this.running) {
      const verb = await connection.use((client) => this.tryOn(client))
      if (verb) verbs.push(verb)
      await sleep(PAUSE)
    }
    connection.close()
  }

  async tryOn (client) {
    await client.query('BEGIN')
    const sent = Date.now()
    try {
      await client.query('SELECT apikeys.disable_key($1)', [this.key.name])
      return { sent, answered: Date.now() }
    } catch (error) {
      if (error.code !== '25006') throw error
    } finally {
      await client.query('ROLLBACK')
    }
  }

  async stop () {
    this.running = false
    await Promise.all(this.loops)
  }

  // No node accepts one before and another one after one of another node.
  check () {
    const all = [...this.accepted].flatMap(([node, verbs]) => verbs.map((verb) => ({ node, ...verb }))).sort((one, other) => one.sent - other.sent)
    const over = new Set() // the nodes whose turn is over
    const wrong = []
    all.forEach(({ node }, number) => {
      const before = all[number - 1]?.node
      if (before && before !== node) over.add(before)
      if (over.has(node)) wrong.push(`${node.name} accepts a verb after another node has accepted one`)
    })
    return { checked: all.length, wrong }
  }

  // Which node accepted verbs, and when, by a time.
  tell (from) {
    return [...this.accepted].filter(([, verbs]) => verbs.length > 0).map(([node, verbs]) =>
      `${node.name} from ${((verbs[0].sent - from) / 1000).toFixed(1)} to ${((verbs.at(-1).answered - from) / 1000).toFixed(1)} s`).join(', ')
  }
}

// Clients that have a node decide that was cut off when the ledger was frozen.
class Deciders {
  constructor (ledger, frozen, options, count) {
    Object.assign(this, { ledger, frozen, options, result: { checked: 0, wrong: [], old: 0, revoked: 0 } })
    this.running = true
    this.loops = Array.from({ length: count }, () => this.run())
  }

  async run () {
    const connection = new Persistent(this.options)
    while (this.running) {
      await connection.use((client) => this.ask(client))
      await sleep(10)
    }
    connection.close()
  }

  async ask (client) {
    const { ledger, frozen } = this
    const key = pick([...ledger.keys.values()])
    const secret = pick(frozen.secretsOf(key))
    if (secret === undefined) return
    const sent = Date.now()
    ledger.ask(key)
    const { rows: [{ reason }] } = await client.query('SELECT reason FROM apikeys.decide($1, $2, $3, $4)', [key.name, secret, ADDRESS, SCOPE])
    this.result.checked++
    judgeFrozen(this.result, { ledger, key, secret, frozen, sent, answered: Date.now(), reason })
  }

  async stop () {
    this.running = false
    await Promise.all(this.loops)
    return this.result
  }
}

module.exports = { Deciders, Verbs }
