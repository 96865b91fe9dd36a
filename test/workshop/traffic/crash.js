// Kills a server again and again while keys are used and changed, and checks after each
// recovery that nothing acknowledged is lost.  Run by run.sh, which has started the server.
'use strict'
const { execFile } = require('child_process')
const { promisify } = require('util')
const { Ledger } = require('./ledger')
const { awaitEnd, childrenOf, killAll, postmasterOf, retry, sleep } = require('./processes')
const { Report } = require('./report')
const { Traffic, connect, setUp } = require('./traffic')
const verify = require('./verify')

const ROUNDS = Number(process.env.ROUNDS ?? 25)
const SECONDS_EACH = Number(process.env.SECONDS_EACH ?? 6)
const CLIENTS = Number(process.env.CLIENTS ?? 16)

// How many seconds processes may take to notice, and the server to recover.
const LIMIT = 60

const WORK = process.env.WORK
const DATA = `${WORK}/crash.data`
const ADMIN = { user: 'postgres', database: 'crash' }

// What is killed, in turn: the last one leaves the postmaster alive, which then starts all
// others again, with new shared memory.
const VICTIMS = ['the postmaster', 'all processes', 'the postmaster', 'all processes', 'one process']

// --- Processes ----------------------------------------------------------------------

// A backend that serves a client, or the extension's worker.
async function pickOne (admin) {
  const { rows } = await admin.query(
    "SELECT pid FROM pg_stat_activity WHERE usename IN ('api', 'console') OR backend_type = 'apikeys worker' " +
    "ORDER BY backend_type <> 'apikeys worker' OR random() < 0.5, random() LIMIT 1")
  return rows[0].pid
}

// --- A round --------------------------------------------------------------------------

// Kills; returns the processes that have to end of themselves.
async function strike (victim, admin) {
  const pid = postmasterOf(DATA)
  const children = childrenOf(pid)
  if (victim === 'one process') killAll([await pickOne(admin)])
  else killAll(victim === 'the postmaster' ? [pid] : [pid, ...children])
  return [...(victim === 'one process' ? [] : [pid]), ...children]
}

async function recover (victim) {
  if (victim !== 'one process') {
    await retry(LIMIT, () => promisify(execFile)(`${WORK}/bin/pg_ctl`,
      ['-D', DATA, '-w', '-t', '60', '-l', `${WORK}/log/server-crash.log`, 'start']))
  }
  return retry(LIMIT, () => connect(ADMIN))
}

function total (counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

async function round (number, traffic, report, admin) {
  const { ledger } = traffic
  const victim = VICTIMS[(number - 1) % VICTIMS.length]
  const before = { ...ledger.acknowledged }
  const lifetime = SECONDS_EACH * 1000 * Math.random()
  traffic.breaking = false
  await traffic.start()
  await sleep(lifetime)
  traffic.breaking = true
  const processes = await strike(victim, admin)
  const struck = Date.now()
  // A process that has not noticed the end of the postmaster runs for a moment.
  await sleep(200)
  await traffic.stop()
  admin.connection.stream.destroy()
  report.check('every process ends', { checked: processes.length, wrong: (await awaitEnd(LIMIT, processes)).map((pid) => `process ${pid}`) })

  admin = await recover(victim)
  const recovered = Date.now() - struck
  const inDoubt = ledger.doubtfulKeys().length + ledger.creations.length
  const made = await verify.settle(ledger, admin)
  const requests = ledger.acknowledged.request - (before.request ?? 0)
  report.say(`round ${number}: ${victim} killed after ${(lifetime / 1000).toFixed(1)} s, back after ${(recovered / 1000).toFixed(1)} s; ` +
    `acknowledged: ${requests} requests, ${total(ledger.acknowledged) - total(before) - requests} changes; in doubt: ${inDoubt}, of which made: ${made}`)
  await check(traffic, report, admin)
  return admin
}

async function check (traffic, report, admin) {
  const { ledger, wrong } = traffic
  report.check('each answer is the right one', { checked: ledger.acknowledged.request, wrong: wrong.splice(0) })
  report.check('keys that are there', await verify.checkKeys(ledger, admin))
  report.check('decisions', await verify.checkDecisions(ledger, admin))
  report.check('events', await verify.checkEvents(ledger, admin))
  report.check('seals', await verify.checkSeals(ledger, admin))
  report.check('worker', await verify.checkWorker(ledger, admin))
  report.check('usage', await verify.checkUsage(ledger, admin))
}

async function main (report) {
  let admin = await connect(ADMIN)
  const traffic = new Traffic({
    ledger: new Ledger(),
    clients: CLIENTS,
    flushing: 0.2,
    requests: { user: 'api', database: 'crash' },
    management: { user: 'console', database: 'crash' },
    organizations: await setUp(admin, CLIENTS)
  })
  for (let number = 1; number <= ROUNDS; number++) admin = await round(number, traffic, report, admin)
  await admin.end()
  report.say(`acknowledged in ${ROUNDS} rounds: ${traffic.ledger.summary()}; ` +
    `connections lost: ${traffic.broken}; in doubt: ${traffic.ledger.inDoubt}`)
}

const report = new Report()
main(report).then(() => report.finish(), (error) => report.finish(error)).finally(() => process.exit())
