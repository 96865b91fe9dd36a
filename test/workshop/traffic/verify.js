// Holds a database against a ledger: is all there that was acknowledged, and nothing
// that was revoked?  Each check returns { checked, wrong }: how many things it has looked
// at, and a line for each that is not as it must be.
'use strict'
const { ADDRESS, SCOPE } = require('./ledger')

// A longer wait for the worker means that it is stuck.
const WORKER_TIMEOUT = 20_000

function shown (object) {
  return JSON.stringify(Object.fromEntries(Object.entries(object).sort()))
}

// Finds out which of the changes in doubt were made: by the event that each has if it was.
// Nothing may be under way any more.  Returns how many.
async function settle (ledger, database) {
  const keys = ledger.doubtfulKeys()
  const events = await eventsOf(database, keys.map(({ name }) => name))
  let made = 0
  for (const key of keys) {
    const [action] = Object.keys(key.doubt.change.events)
    const isMade = (events.get(key.name)?.[action] ?? 0) > (key.events[action] ?? 0)
    ledger.settle(key, isMade)
    if (isMade) made++
  }
  const { rows } = await database.query(
    "SELECT public_key, detail #>> '{new,description}' AS description FROM apikeys.audit_event " +
    "WHERE action = 'key.created' AND detail #>> '{new,description}' = ANY ($1)",
    [ledger.creations.map(({ description }) => description)])
  for (const { public_key: name, description } of rows) {
    ledger.created(ledger.creations.find((change) => change.description === description), name, null)
  }
  ledger.creations = []
  return made + rows.length
}

// The events of these keys: by key, how many of each action.
async function eventsOf (database, names) {
  const { rows } = await database.query(
    'SELECT public_key, action, count(*)::integer FROM apikeys.audit_event WHERE public_key = ANY ($1) GROUP BY 1, 2', [names])
  const events = new Map()
  for (const { public_key: name, action, count } of rows) {
    if (!events.has(name)) events.set(name, {})
    events.get(name)[action] = count
  }
  return events
}

// --- The checks ---------------------------------------------------------------------

async function decideAll (ledger, database, cases) {
  for (const { key } of cases) ledger.ask(key)
  const { rows } = await database.query(
    'SELECT d.reason FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (public_key, secret, n) ' +
    'CROSS JOIN LATERAL apikeys.decide(asked.public_key, asked.secret, $3, $4) AS d ORDER BY asked.n',
    [cases.map(({ key }) => key.name), cases.map(({ secret }) => secret), ADDRESS, SCOPE])
  return rows.map(({ reason }) => reason)
}

// Every key is let in with the secrets that are good, and is refused with the others, for
// the right reason: works on a standby too.
async function checkDecisions (ledger, database) {
  const cases = []
  for (const key of ledger.keys.values()) {
    for (const secret of key.knownSecrets()) cases.push({ key, secret })
  }
  const sent = Date.now()
  const reasons = await decideAll(ledger, database, cases)
  const answered = Date.now()
  const wrong = []
  cases.forEach(({ key, secret }, number) => {
    const expected = key.expected(secret, sent, answered)
    const reason = reasons[number]
    if (!expected.includes(reason)) wrong.push(`${key.name}: ${reason} instead of ${expected.join(' or ')}`)
    key.answered(reason)
  })
  return { checked: cases.length, wrong }
}

// A server that was cut off when the ledger was frozen answers as it was then.  Of what it
// answers, "old" is not right any more, and "revoked" is let in there that is denied now.
async function checkFrozen (ledger, frozen, database) {
  const cases = []
  for (const key of ledger.keys.values()) {
    for (const secret of frozen.secretsOf(key)) cases.push({ key, secret })
  }
  const result = { checked: cases.length, wrong: [], old: 0, revoked: 0 }
  const sent = Date.now()
  const reasons = await decideAll(ledger, database, cases)
  cases.forEach((one, number) => judgeFrozen(result, { ...one, ledger, frozen, sent, answered: Date.now(), reason: reasons[number] }))
  return result
}

// Adds one answer to the result.
function judgeFrozen (result, { ledger, key, secret, frozen, sent, answered, reason }) {
  if (frozen.kept) ledger.answered(key, reason)
  const expected = frozen.expected(key, secret, sent, answered)
  if (!expected.includes(reason)) {
    result.wrong.push(`${key.name}: ${reason} instead of ${expected.join(' or ')} by a server that was cut off`)
  } else if (!key.underWay && !key.expected(secret, sent, answered).includes(reason)) {
    result.old++
    if (reason === 'ok') result.revoked++
  }
}

// The keys that the clients have made and not deleted are there, and no others; each has
// its image.
async function checkKeys (ledger, database) {
  const { rows } = await database.query(`
    SELECT k.public_key, i::text IS NOT DISTINCT FROM s::text AS whole
    FROM apikeys.key AS k
      JOIN apikeys.key_image_source AS s USING (public_key)
      LEFT JOIN apikeys.key_image AS i USING (public_key)`)
  const found = new Map(rows.map(({ public_key: name, whole }) => [name, whole]))
  const wrong = []
  for (const [name, whole] of found) {
    if (!whole) wrong.push(`${name} has another image`)
    if (!ledger.keys.has(name)) wrong.push(`${name} was made by nobody`)
  }
  for (const { name, deleted } of ledger.keys.values()) {
    if (found.has(name) === deleted) wrong.push(deleted ? `${name} was deleted and is there` : `${name} is lost`)
  }
  return { checked: ledger.keys.size, wrong }
}

// Every change has its events, and nothing else has any.
async function checkEvents (ledger, database) {
  const keys = [...ledger.keys.values()].filter((key) => !key.shared)
  const events = await eventsOf(database, keys.map(({ name }) => name))
  const wrong = []
  let checked = 0
  for (const key of keys) {
    const found = shown(events.get(key.name) ?? {})
    checked += Object.values(key.events).reduce((sum, times) => sum + times, 0)
    if (found !== shown(key.events)) wrong.push(`${key.name}: events ${found} instead of ${shown(key.events)}`)
  }
  return { checked, wrong }
}

// The worker starts with the next use, and writes what was counted.
async function checkWorker (ledger, database) {
  const key = [...ledger.keys.values()].find((key) => !key.deleted && key.knownSecrets().length > 0)
  const end = Date.now() + WORKER_TIMEOUT
  let alive
  await database.query(`SET statement_timeout = ${WORKER_TIMEOUT}`)
  ledger.ask(key)
  const { rows: [{ reason }] } = await database.query('SELECT reason FROM apikeys.decide($1, $2, $3, $4)', [key.name, key.knownSecrets()[0], ADDRESS, SCOPE])
  ledger.answered(key, reason)
  do {
    ({ rows: [{ worker_alive: alive }] } = await database.query('SELECT worker_alive FROM apikeys.status()'))
  } while (!alive && Date.now() < end)
  try {
    await database.query('SELECT apikeys.flush_usage()')
  } catch (error) {
    return { checked: 2, wrong: [`flush_usage: ${error.message}`] }
  } finally {
    await database.query('RESET statement_timeout')
  }
  return { checked: 2, wrong: alive ? [] : ['the worker has not started'] }
}

// No key has more uses than were asked for, nor fewer than were written; where they are
// "complete", nor than were answered; where they are "exact", everything was answered too.
// The ledger goes on with what was found; where "durable", that cannot be lost any more.
async function checkUsage (ledger, database, { exact = false, complete = exact, durable = true } = {}) {
  await database.query('SELECT apikeys.flush_usage()')
  const { rows } = await database.query('SELECT public_key, use_count::integer AS uses, denials FROM apikeys.usage')
  const usage = new Map(rows.map((row) => [row.public_key, row]))
  const wrong = []
  let uses = 0
  let answered = 0
  let checked = 0
  for (const key of ledger.keys.values()) {
    if (key.deleted) continue
    const found = usage.get(key.name)
    const least = complete ? key.allowed : key.flushed
    const most = exact ? key.allowed : key.asked
    answered += key.allowed
    checked++
    uses += found?.uses ?? 0
    if (!found) wrong.push(`${key.name} has no usage`)
    else if (found.uses < least || found.uses > most) wrong.push(`${key.name}: ${found.uses} uses instead of ${least} to ${most}`)
    else if (exact && shown(found.denials) !== shown(key.denied)) wrong.push(`${key.name}: denials ${shown(found.denials)} instead of ${shown(key.denied)}`)
    if (found) {
      key.asked = key.allowed = found.uses
      key.denied = { ...found.denials }
      if (durable) key.flushed = found.uses
    }
  }
  return { checked, wrong, uses, answered }
}

// Of each organization's quota as much is used as was charged, and no more than may have
// been: what was charged between two times, "from" and "to", may be given away.  What was found is
// written then; the ledger goes on with it.
async function checkQuotas (ledger, database, { from = Infinity, to = Infinity } = {}) {
  await database.query('SELECT apikeys.flush_usage()')
  const { rows } = await database.query(
    "SELECT organization_id AS organization, used::integer FROM apikeys.limits WHERE limit_name = 'organization credits'")
  const used = new Map(rows.map((row) => [row.organization, row.used]))
  const wrong = []
  let forgotten = 0
  let bound = 0
  for (const [organization, quota] of ledger.quotas) {
    const { found, open, charged } = quota
    const kept = charged.filter((at) => at < from || at >= to).length
    const now = used.get(organization) ?? 0
    if (now < found + kept || now > found + open) wrong.push(`${organization}: ${now} used instead of ${found + kept} to ${found + open}`)
    forgotten += Math.max(0, found + charged.length - now)
    bound += charged.length - kept
    Object.assign(quota, { found: now, open: 0, charged: [] })
  }
  return { checked: ledger.quotas.size, wrong, forgotten, bound }
}

// The events are those that were sealed, and the last seal is the one of the check before.
async function checkSeals (ledger, database) {
  const verify = async () => {
    const { rows: [row] } = await database.query('SELECT * FROM apikeys.verify_audit($1, $2)', [ledger.seal.number, ledger.seal.hash])
    return row
  }
  const before = await verify()
  await database.query('SELECT apikeys.seal_audit()')
  ledger.seal = { number: null, hash: null }
  const after = await verify()
  ledger.seal = { number: after.last_seal, hash: after.last_hash }
  const wrong = [before, after].filter(({ intact }) => !intact).map(({ problem }) => problem)
  if (Number(after.unsealed) > 0) wrong.push(`${after.unsealed} events cannot be sealed`)
  return { checked: Number(after.seals), wrong }
}

module.exports = { checkDecisions, checkEvents, checkFrozen, checkKeys, checkQuotas, checkSeals, checkUsage, checkWorker, judgeFrozen, settle }
