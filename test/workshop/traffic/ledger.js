// What was acknowledged: for each key what the server has said of it, and so what it
// has to answer from then on, whatever breaks in between.
//
// A change is in doubt when it was asked for and no answer came.  Its key is set aside
// until somebody has found out whether it was made, and calls settle().  Knows no
// database; times are Date.now() of the machine that the servers run on too.
'use strict'

const SCOPE = 'clusters.read'
const ADDRESS = '192.0.2.1' // all requests come from here
const LISTS = { open: '{}', closed: '{198.51.100.0/24}' }
const ROLES = { allowing: 'ORG_READ_ONLY', denying: 'ORG_MEMBER' }

// How far apart the server's microseconds and our milliseconds may be.
const ROUNDING = 2

function pick (list) {
  return list[Math.floor(Math.random() * list.length)]
}

class Key {
  constructor (name, secret) {
    this.name = name
    // The last is the current one.  It is null if its rotation was in doubt: then
    // nobody was told it.  The others end between two times.
    this.secrets = [{ text: secret }]
    this.disabled = false
    this.deleted = false
    this.list = 'open'
    this.role = 'allowing'
    this.underWay = null // the change that is asked for, or is in doubt: { change, sent }
    this.doubt = null // the same, once it is in doubt
    this.events = {} // action: how many
    this.asked = 0
    this.allowed = 0
    this.denied = {} // reason: how many
    this.flushed = 0 // uses that cannot be lost any more
  }

  // The reasons that a request may be answered with, that was sent and answered then.
  expected (secret, sent, answered) {
    if (this.deleted) return ['unknown_key']
    const beforeLast = this.secrets.length - 2
    const number = this.secrets.findIndex(({ text }) => text === secret)
    if (number < beforeLast) return ['wrong_secret']
    const proved = this.expectedOfProved()
    if (number > beforeLast) return [proved]
    const { from, to } = this.secrets[number].ends
    if (answered < from - ROUNDING) return [proved]
    if (sent > to + ROUNDING) return ['secret_expired']
    return [proved, 'secret_expired']
  }

  expectedOfProved () {
    if (this.disabled) return 'key_disabled'
    if (this.list === 'closed') return 'address_denied'
    if (this.role === 'denying') return 'scope_denied'
    return 'ok'
  }

  // The secrets that we know, the last ones only: few older ones say as much as many.
  knownSecrets () {
    return this.secrets.slice(-4).map(({ text }) => text).filter((text) => text !== null)
  }

  isCurrent (secret) {
    return this.secrets[this.secrets.length - 1].text === secret
  }

  answered (reason) {
    if (reason === 'ok') this.allowed++
    else this.denied[reason] = (this.denied[reason] ?? 0) + 1
  }

  // How it would be if a change had been made that was sent then.
  changedBy ({ change, sent }) {
    const key = Object.assign(new Key(this.name), this, { secrets: this.secrets.map((secret) => ({ ...secret })) })
    change.apply(key, sent, Infinity, null)
    return key
  }

  addEvents (events) {
    for (const [action, times] of Object.entries(events)) this.events[action] = (this.events[action] ?? 0) + times
  }
}

// --- The changes ------------------------------------------------------------------

// A change has: kind; text and values of its statement; the event that it makes,
// which tells whether it was made; and apply(), which is given the key, the times when
// it was sent and when it was answered, and what was answered.

function create (organization, description) {
  return {
    kind: 'create',
    text: 'SELECT public_key, private_key AS secret FROM apikeys.create_key($1, $2, $3)',
    values: [organization, description, [ROLES.allowing]],
    description,
    events: { 'key.created': 1 }
  }
}

function rotate (key) {
  const overlap = pick([0, 0, 2, 3600])
  return {
    kind: 'rotate',
    text: 'SELECT apikeys.rotate_secret($1, make_interval(secs => $2)) AS secret',
    values: [key.name, overlap],
    events: { 'key.secret_rotated': 1 },
    apply (key, sent, answered, secret) {
      key.secrets[key.secrets.length - 1].ends = { from: sent + overlap * 1000, to: answered + overlap * 1000 }
      key.secrets.push({ text: secret })
    }
  }
}

function disable (key) {
  return {
    kind: 'disable',
    text: 'SELECT apikeys.disable_key($1)',
    values: [key.name],
    events: { 'key.disabled': 1 },
    apply (key) { key.disabled = true }
  }
}

function enable (key) {
  return {
    kind: 'enable',
    text: 'SELECT apikeys.enable_key($1)',
    values: [key.name],
    events: { 'key.enabled': 1 },
    apply (key) { key.disabled = false }
  }
}

function remove (key) {
  return {
    kind: 'delete',
    text: 'SELECT apikeys.delete_key($1)',
    values: [key.name],
    events: { 'key.deleted': 1 },
    apply (key) { key.deleted = true }
  }
}

function changeList (key) {
  const list = key.list === 'open' ? 'closed' : 'open'
  return {
    kind: 'list',
    text: 'SELECT apikeys.update_key($1, access_list => $2::apikeys.access_list)',
    values: [key.name, LISTS[list]],
    events: { 'key.updated': 1 },
    apply (key) { key.list = list }
  }
}

function changeRole (key) {
  const role = key.role === 'allowing' ? 'denying' : 'allowing'
  return {
    kind: 'roles',
    text: 'SELECT apikeys.set_organization_roles($1, $2)',
    values: [key.name, [ROLES[role]]],
    events: { 'key.roles_changed': 1 },
    apply (key) { key.role = role }
  }
}

const NOTHING = { change: { apply () {} } }

const CHANGES = [rotate, rotate, remove, changeList, changeRole]

// A change of a key that is possible; what is revoked does not stay so for long.
function changeOf (key) {
  if (key.disabled) return pick([enable, enable, rotate, remove])(key)
  if (key.list === 'closed') return changeList(key)
  if (key.role === 'denying') return changeRole(key)
  return pick([...CHANGES, disable, disable])(key)
}

// --- All of it ----------------------------------------------------------------------

class Ledger {
  constructor () {
    this.keys = new Map() // by name
    this.creations = [] // in doubt
    this.acknowledged = {} // kind: how many
    this.inDoubt = 0
    this.quotas = new Map() // by organization: { found, open, charged }
    this.seal = { number: null, hash: null } // the last one of the audit, kept outside
  }

  add (key) {
    this.keys.set(key.name, key)
    return key
  }

  count (kind) {
    this.acknowledged[kind] = (this.acknowledged[kind] ?? 0) + 1
  }

  // Of an organization's quota: what was found used, how many requests since then may
  // have been charged, and when those that certainly were.
  quota (organization) {
    if (!this.quotas.has(organization)) this.quotas.set(organization, { found: 0, open: 0, charged: [] })
    return this.quotas.get(organization)
  }

  // A request is sent.
  ask (key) {
    key.asked++
    this.quota(key.organization).open++
  }

  // It was answered by the server that leads.
  answered (key, reason) {
    key.answered(reason)
    const quota = this.quota(key.organization)
    if (reason === 'ok') quota.charged.push(Date.now())
    else quota.open--
  }

  // What was acknowledged, for people.
  summary () {
    return Object.entries(this.acknowledged).map(([kind, times]) => `${kind} ${times}`).join(', ')
  }

  // "sent" is not known of one that was in doubt.
  created (change, name, secret, sent) {
    const key = this.add(new Key(name, secret))
    key.organization = change.values[0]
    key.sent = sent
    key.addEvents(change.events)
    return key
  }

  changed (key, change, sent, answered, secret) {
    change.apply(key, sent, answered, secret)
    key.underWay = null
    key.addEvents(change.events)
  }

  doubt (key, change, sent) {
    this.inDoubt++
    if (key) key.doubt = { change, sent }
    else this.creations.push(change)
  }

  doubtfulKeys () {
    return [...this.keys.values()].filter(({ doubt }) => doubt)
  }

  // Whether the change in doubt was made is known now.
  settle (key, made) {
    const { change, sent } = key.doubt
    key.doubt = key.underWay = null
    if (made) this.changed(key, change, sent, Date.now(), null)
  }
}

// --- A server that learns nothing more ------------------------------------------------

// What a server knows from which the others have been cut off just now; "kept" says whether
// what it counts from now on will be known to the others.
class Frozen {
  constructor (ledger, { kept }) {
    this.at = Date.now()
    this.kept = kept
    this.keys = new Map()
    for (const key of ledger.keys.values()) {
      const states = [key.changedBy(NOTHING)]
      if (key.underWay) states.push(key.changedBy(key.underWay))
      this.keys.set(key.name, { states, secrets: key.knownSecrets() })
    }
  }

  // The secrets to ask that server for.
  secretsOf (key) {
    const frozen = this.keys.get(key.name)
    if (frozen) return frozen.secrets
    // Was it asked for before?  Then nobody can say.
    return key.sent > this.at ? key.knownSecrets() : []
  }

  // The reasons that it may answer.  A change that somebody asked it for meanwhile, and that
  // nobody has acknowledged, it may know or not.
  expected (key, secret, sent, answered) {
    const frozen = this.keys.get(key.name)
    if (!frozen) return ['unknown_key']
    const [state] = frozen.states
    const states = [...frozen.states, ...(key.underWay ? [state.changedBy(key.underWay)] : [])]
    return states.flatMap((state) => state.expected(secret, sent, answered))
  }
}

module.exports = { ADDRESS, Frozen, Key, Ledger, SCOPE, changeOf, create, pick }
