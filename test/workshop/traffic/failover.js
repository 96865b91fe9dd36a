// Kills the leader of a cluster while keys are used and changed through a proxy, again and
// again: requests must go on with another leader, and nothing acknowledged may be lost.
// Run by run.sh.
'use strict'
const { Cluster } = require('./cluster')
const { Ledger } = require('./ledger')
const { retry, sleep } = require('./processes')
const { Report } = require('./report')
const { Traffic, connect, setUp } = require('./traffic')
const verify = require('./verify')

const ROUNDS = Number(process.env.ROUNDS ?? 3)
const SECONDS_EACH = Number(process.env.SECONDS_EACH ?? 10)
const CLIENTS = Number(process.env.CLIENTS ?? 16)
const NODES = Number(process.env.NODES ?? 3)

// How many seconds there may be no service, and for a standby to catch up.
const LIMIT = 120

// Quotas of the lost leader: what it has not written (apikeys.usage_flush_interval of
// cluster.js), or not sent, before it was killed.
const UNWRITTEN = 1000
const LAG = 2000

function seconds (ms) {
  return `${(ms / 1000).toFixed(1)} s`
}

async function checkStandby (node, leader, ledger) {
  const standby = await connect(node.connection())
  const { rows: [{ lsn }] } = await leader.query('SELECT pg_current_wal_lsn() AS lsn')
  await retry(LIMIT, async () => {
    const { rows: [{ done }] } = await standby.query('SELECT pg_last_wal_replay_lsn() >= $1 AS done', [lsn])
    if (!done) throw new Error(`${node.name} does not catch up`)
  })
  const result = await verify.checkDecisions(ledger, standby)
  await standby.end()
  return result
}

async function check (traffic, report, leader, killed) {
  const { ledger, wrong } = traffic
  report.check('each answer is the right one', { checked: ledger.acknowledged.request, wrong: wrong.splice(0) })
  report.check('keys that are there', await verify.checkKeys(ledger, leader))
  report.check('decisions', await verify.checkDecisions(ledger, leader))
  report.check('events', await verify.checkEvents(ledger, leader))
  report.check('seals', await verify.checkSeals(ledger, leader))
  report.check('worker', await verify.checkWorker(ledger, leader))
  const quotas = await verify.checkQuotas(ledger, leader, killed - UNWRITTEN - LAG)
  report.check('quotas', quotas)
  report.say(`  of quotas ${quotas.forgotten} units are given away, of ${quotas.bound} at most`)
  // What is written is not waited for on the standby.
  report.check('usage', await verify.checkUsage(ledger, leader, { durable: false }))
}

async function round (number, cluster, traffic, report) {
  const { ledger } = traffic
  const old = await cluster.leader()
  traffic.breaking = false
  await traffic.start()
  await sleep((0.5 + Math.random() / 2) * SECONDS_EACH * 1000)
  traffic.breaking = true
  const killed = Date.now()
  await old.kill()
  traffic.mark()
  await retry(LIMIT, async () => {
    if (!traffic.resumed.request || !traffic.resumed.change) throw new Error('requests do not go on')
  })
  const { request, change } = traffic.resumed
  await sleep(SECONDS_EACH * 500)
  await traffic.stop()

  const leaderNode = await cluster.leader()
  const leader = await connect(leaderNode.connection())
  const inDoubt = ledger.doubtfulKeys().length + ledger.creations.length
  const made = await verify.settle(ledger, leader)
  report.say(`round ${number}: ${old.name} killed, ${leaderNode.name} leads; without requests ${seconds(request)}, without changes ${seconds(change)}; ` +
    `in doubt: ${inDoubt}, of which made: ${made}`)
  await check(traffic, report, leader, killed)

  old.start()
  await cluster.awaitHealth()
  for (const node of cluster.nodes) {
    if (node !== leaderNode) report.check(`decisions on standby ${node.name}`, await checkStandby(node, leader, ledger))
  }
  await leader.end()
}

async function run (cluster, report) {
  await cluster.start(NODES)
  const admin = await connect(cluster.connection('postgres'))
  const organizations = await setUp(admin, CLIENTS)
  await admin.query("SELECT apikeys.set_organization_quota(id, 1000000000, 'ever') FROM unnest($1::uuid[]) AS id", [organizations])
  await admin.query(`ALTER ROLE api PASSWORD '${cluster.password}'; ALTER ROLE console PASSWORD '${cluster.password}'`)
  await admin.end()
  const traffic = new Traffic({
    ledger: new Ledger(),
    clients: CLIENTS,
    requests: cluster.connection('api'),
    management: cluster.connection('console'),
    organizations
  })
  for (let number = 1; number <= ROUNDS; number++) await round(number, cluster, traffic, report)
  report.say(`acknowledged in ${ROUNDS} rounds: ${traffic.ledger.summary()}; connections lost: ${traffic.broken}; in doubt: ${traffic.ledger.inDoubt}`)
}

async function main (report) {
  const cluster = new Cluster()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => cluster.stop().finally(() => process.exit(130)))
  }
  try {
    await run(cluster, report)
  } finally {
    await cluster.stop()
  }
}

const report = new Report()
main(report).then(() => report.finish(), (error) => report.finish(error)).finally(() => process.exit())
