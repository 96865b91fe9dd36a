// Kills the leader of a cluster while keys are used and changed through a proxy, again and
// again: requests must go on with another leader, and nothing acknowledged may be lost.
// Run by run.sh.
'use strict'
const { Cluster } = require('./cluster')
const { retry, sleep } = require('./processes')
const { LAG, LIMIT, UNWRITTEN, main, seconds } = require('./rig')
const { Traffic, connect } = require('./traffic')

const ROUNDS = Number(process.env.ROUNDS ?? 3)
const SECONDS_EACH = Number(process.env.SECONDS_EACH ?? 10)
const CLIENTS = Number(process.env.CLIENTS ?? 16)
const NODES = Number(process.env.NODES ?? 3)

async function round (number, rig, traffic) {
  const { cluster, report } = rig
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
  const settled = await rig.settle(leader)
  report.say(`round ${number}: ${old.name} killed, ${leaderNode.name} leads; without requests ${seconds(request)}, without changes ${seconds(change)}; ${settled}`)
  rig.checkAnswers([traffic])
  await rig.checkLeader(leader, { from: killed - UNWRITTEN - LAG, to: traffic.marked + request })
  await rig.checkUsage(leader, false)

  old.start()
  await cluster.awaitHealth()
  await rig.checkStandbys(leaderNode, leader)
  await leader.end()
}

async function test (rig) {
  const { cluster, ledger, report } = rig
  await cluster.start(NODES)
  await rig.setUp(CLIENTS)
  const traffic = new Traffic(rig.options(CLIENTS))
  for (let number = 1; number <= ROUNDS; number++) await round(number, rig, traffic)
  report.say(`acknowledged in ${ROUNDS} rounds: ${ledger.summary()}; connections lost: ${traffic.broken}; in doubt: ${ledger.inDoubt}`)
}

main(new Cluster(), test)
