// Somebody moves the machine's clock by a day, forth and back, while keys are used.  What
// the calendar says (when keys, secrets and tokens end, days of quotas) goes with it; what
// is measured (rates, guesses, the timers of the worker) does not; and nothing waits for
// a day, nor comes back that was spent.
'use strict'
const { retry, sleep } = require('../traffic/processes')
const { runCase } = require('./report')
const { HASH, SECRET, Server, errorOf, row, value } = require('./server')
const { Weather } = require('./weather')

const DAY = 24 * 60 * 60
const LIMIT = 10

// argon2id of "correct horse", with next to no cost.
const ARGON2ID = '$argon2id$v=19$m=8,t=1,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'
const GUESSES = 20

async function setUp (admin) {
  await admin.query('CREATE EXTENSION apikeys')
  const organization = await value(admin, "SELECT apikeys.create_organization('Acme')")
  for (const name of ['plain', 'expiring', 'rotated', 'rate', 'day', 'credits']) {
    await admin.query('SELECT apikeys.import_key($1, $2, $3, $2, $4)', [organization, name, HASH, ['ORG_READ_ONLY']])
  }
  await admin.query("SELECT apikeys.import_key($1, 'guessed', $2, 'guessed', $3)", [organization, ARGON2ID, ['ORG_READ_ONLY']])
  await admin.query("SELECT apikeys.update_key('expiring', expires_at => now() + interval '1 hour')")
  await admin.query("SELECT apikeys.rotate_secret('rotated', '1 hour')")
  await admin.query("SELECT apikeys.set_rate_limit('rate', 10, '10 days'), apikeys.set_quota('day', 10, 'day'), apikeys.set_quota('credits', 10, 'ever')")
  return organization
}

class World {
  constructor (report, server, admin, weather, organization) {
    Object.assign(this, { report, server, admin, weather, organization, uses: 0 })
  }

  async decide (key, { secret = SECRET, times = 1, address = '192.0.2.1' } = {}) {
    const { rows } = await this.admin.query(
      "SELECT d.reason FROM generate_series(1, $3::integer) AS n, LATERAL apikeys.decide($1 || left(n::text, 0), $2, $4::text, 'clusters.read') AS d",
      [key, secret, times, address])
    this.uses += rows.filter(({ reason }) => reason === 'ok').length
    return rows[rows.length - 1].reason
  }

  async decideToken (token) {
    const reason = await value(this.admin, "SELECT reason FROM apikeys.decide_token($1, '192.0.2.1', 'clusters.read')", [token])
    if (reason === 'ok') this.uses++
    return reason
  }

  token () {
    return value(this.admin, "SELECT apikeys.issue_token('1 hour', public_key => 'plain')")
  }

  // What decisions say now, in an order of their own.
  async expect (name, expected) {
    const found = {}
    for (const key of Object.keys(expected)) {
      found[key] = key.startsWith('token ') ? await this.decideToken(this[key]) : await this.decide(key)
    }
    this.report.equal(found, expected, `${name}: ${Object.entries(expected).map(([key, reason]) => `${key} ${reason}`).join(', ')}`)
  }

  async move (days) {
    this.weather.set({ offset: days * DAY })
    const moved = await value(this.admin, 'SELECT round(extract(epoch FROM clock_timestamp() - $1) / 86400)::integer', [new Date()])
    this.report.equal(moved, days, days === 0 ? 'the clock is right again' : `the clock is moved by ${days} days`)
  }

  // The worker goes on by itself, seals, and can be asked; a key lives from end to end.
  async expectLife (name) {
    const { admin, report } = this
    await this.decide('plain')
    const begin = Date.now()
    await retry(LIMIT, async () => {
      if (await value(admin, 'SELECT pending_entries::integer FROM apikeys.status()') !== 0) throw new Error('nothing is written')
    })
    report.ok(Date.now() - begin < 5000, `${name}: uses are written at their interval (${Date.now() - begin} ms)`)
    const key = await row(admin, "SELECT public_key AS name, private_key AS secret FROM apikeys.create_key($1, 'a life', '{ORG_READ_ONLY}')", [this.organization])
    const second = await value(admin, "SELECT apikeys.rotate_secret($1, '1 hour')", [key.name])
    const answers = [await this.decide(key.name, key), await this.decide(key.name, { secret: second })]
    await admin.query('SELECT apikeys.disable_key($1)', [key.name])
    answers.push(await this.decide(key.name, { secret: second }))
    await admin.query('SELECT apikeys.enable_key($1)', [key.name])
    answers.push(await this.decide(key.name, { secret: second }))
    report.equal(answers, ['ok', 'ok', 'key_disabled', 'ok'], `${name}: a key is made, rotated, disabled and enabled`)
    await retry(LIMIT, async () => {
      const { intact, unsealed, problem } = await row(admin, 'SELECT intact, unsealed::integer, problem FROM apikeys.verify_audit()')
      if (!intact || unsealed > 0) throw new Error(`the audit: ${problem ?? `${unsealed} events are not sealed`}`)
    })
    report.ok(true, `${name}: the worker seals the audit, and it is whole`)
    const uses = await value(admin, 'SELECT sum(use_count)::integer FROM apikeys.usage')
    const history = await value(admin, "SELECT sum(use_count)::integer FROM apikeys.usage_by_hour")
    report.equal([uses, history], [this.uses, this.uses], `${name}: each use is counted once, by the hour too`)
    return { ...key, second }
  }

  async guess () {
    const before = await value(this.admin, 'SELECT slowed_count::integer FROM apikeys.status()')
    await this.decide('guessed', { secret: 'wrong', times: GUESSES })
    return await value(this.admin, 'SELECT slowed_count::integer FROM apikeys.status()') - before
  }
}

async function main (report) {
  const weather = new Weather('clock')
  const server = new Server('clock', { faults: weather.file })
  await server.make({ 'apikeys.wrong_secret_limit': GUESSES / 2, timezone: 'UTC' })
  const admin = await server.connect()
  const world = new World(report, server, admin, weather, await setUp(admin))
  for (const key of ['rate', 'day', 'credits']) await world.decide(key, { times: 10 })
  world['token of now'] = await world.token()
  const atFirst = { plain: 'ok', expiring: 'ok', rotated: 'ok', rate: 'rate_limited', day: 'quota_exceeded', credits: 'quota_exceeded', 'token of now': 'ok' }
  await world.expect('before', atFirst)
  report.ok(await world.guess() >= GUESSES / 2 - 1, 'before: guesses are slowed')
  const passing = await world.expectLife('before')

  await world.move(1)
  await world.expect('a day later', { ...atFirst, expiring: 'key_expired', rotated: 'secret_expired', day: 'ok', 'token of now': 'token_expired' })
  report.ok(await world.guess() >= GUESSES - 2, 'a day later: guesses are slowed as before, for no minute has passed')
  report.equal(await world.decide('guessed', { secret: 'correct horse', address: '198.51.100.1' }), 'ok', 'a day later: a right secret from another network passes')
  report.equal(await world.decide(passing.name, passing), 'secret_expired', 'a day later: an overlap has ended')
  world['token of tomorrow'] = await world.token()
  const tomorrow = await world.expectLife('a day later')
  await world.decide('day', { times: 9 })
  report.equal(await world.decide('day'), 'quota_exceeded', 'a day later: the quota of that day is spent')

  await world.move(0)
  await world.expect('back again', { ...atFirst, 'token of tomorrow': 'token_invalid' })
  report.equal(await world.decide(tomorrow.name, { secret: tomorrow.second }), 'ok', 'back again: a key of tomorrow is good')
  await admin.query('SELECT apikeys.rotate_secret($1)', [tomorrow.name])
  report.equal([await world.decide(tomorrow.name, tomorrow), await world.decide(tomorrow.name, { secret: tomorrow.second })], ['wrong_secret', 'secret_expired'],
    'back again: it can be rotated, and its secrets end at once')
  await world.expectLife('back again')

  await world.move(-1)
  await world.expect('a day earlier', { ...atFirst, day: 'ok', 'token of now': 'token_invalid' })
  await world.expectLife('a day earlier')

  await world.move(0)
  await world.expect('at the end', atFirst)
  await world.expectLife('at the end')
  report.equal(await value(admin, 'SELECT apikeys.delete_key($1)', [tomorrow.name]), true, 'at the end: a key of tomorrow is deleted')
  report.ok(!/(ERROR|FATAL|PANIC|WARNING):/.test(server.log()), 'the log has no word of it', server.log())
  await server.restart()
  report.equal(await value(await server.connect(), 'SELECT intact FROM apikeys.verify_audit()'), true, 'the audit is whole after a restart')
  await server.stop()
}

runCase(main)
