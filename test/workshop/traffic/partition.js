// Cuts links of a cluster while keys are used and changed on both sides: nothing acknowledged
// may be lost, no two nodes may accept verbs at a time, and a server that is cut off may answer by
// what it knew then, and by nothing else.  Run by run.sh.
//
// Three nodes, three members of etcd and the clients' two proxies are hosts of their own.  We
// reach every host whatever is cut.
'use strict'
const { Cluster } = require('./cluster')
const { ADDRESS, Frozen, SCOPE, create, pick } = require('./ledger')
const { Network } = require('./network')
const { awaitEnd, retry, sleep } = require('./processes')
const { LAG, LIMIT, UNWRITTEN, main, seconds } = require('./rig')
const { Traffic, connect } = require('./traffic')
const { checkFrozen } = require('./verify')
const { Deciders, Verbs } = require('./watch')

const CLIENTS = Number(process.env.CLIENTS ?? 12)
const SECONDS_EACH = Number(process.env.SECONDS_EACH ?? 5)
const SITES = ['clients1', 'clients2']
const DECIDERS = 3
const LOSS_PERCENT = 5

// The limit that is asked for on both sides of a cut.
const QUOTA = 100

// For how long a session may be busy when nobody asks for anything.
const STUCK = 20

const network = new Network()

class Partition {
  constructor (rig) {
    const { cluster, ledger, report } = rig
    Object.assign(this, { rig, cluster, ledger, report })
  }

  async open () {
    const { rig, cluster, ledger } = this
    await network.open({ lossPercent: LOSS_PERCENT })
    await cluster.start(3, SITES)
    await rig.setUp(CLIENTS)
    const half = Math.ceil(CLIENTS / 2)
    this.sides = SITES.map((_, site) => new Traffic({ ...rig.options(site === 0 ? half : CLIENTS - half, site), first: site * half }))
    const admin = await connect(cluster.connection('postgres', 1))
    this.verbs = new Verbs(cluster.nodes)
    await this.verbs.open(admin, ledger, pick(rig.organizations))
    const { rows: [{ id }] } = await admin.query("SELECT apikeys.create_organization('Limits') AS id")
    this.limits = id
    await admin.end()
  }

  // --- A round ------------------------------------------------------------------------

  // Lets the sides work, and cuts, which breaks connections or not; what happens then is told
  // by the time of the cut.
  async begin (title, sides, breaking, cut) {
    this.report.say(title)
    this.old = await this.cluster.leader()
    this.before = this.cluster.nodes.flatMap((node) => node.processes())
    this.dropped = await network.dropped()
    this.verbs.start()
    for (const side of sides) {
      side.breaking = false
      await side.start()
    }
    await sleep(SECONDS_EACH * 1000)
    for (const side of sides) side.breaking = breaking
    await cut()
    this.at = Date.now()
    for (const side of sides) side.mark()
  }

  async resumed (side) {
    await retry(LIMIT, async () => {
      if (!side.resumed.request || !side.resumed.change) throw new Error('requests do not go on')
    })
    const { request, change } = side.resumed
    this.report.say(`  clients ${this.sides.indexOf(side) + 1}: without requests ${seconds(request)}, without changes ${seconds(change)}`)
  }

  // What a node that was cut off says at last, and has said meanwhile.
  async checkCutOff (node, frozen, deciders) {
    const meanwhile = await deciders?.stop()
    if (meanwhile) this.report.check(`decisions on ${node.name} while it is cut off`, meanwhile)
    const connection = await retry(LIMIT, () => connect(node.connection()))
    const last = await checkFrozen(this.ledger, frozen, connection)
    await connection.end()
    this.report.check(`decisions on ${node.name} before it is healed`, last)
    for (const [when, result] of Object.entries({ meanwhile, last })) {
      if (result) this.report.say(`  decisions on ${node.name}, ${when}: ${result.checked}, by an old state: ${result.old}, of which let in what is revoked: ${result.revoked}`)
    }
  }

  // Heals; then all must be as it was, with nothing lost but what "forgotten" says.  The last
  // checks come after those that "written" makes, of what is known once all is written.
  async end ({ forgotten, cut = true, written = async () => {} } = {}) {
    const { rig, cluster, report } = this
    const { cut: packets, lost } = await network.dropped()
    const dropped = cut ? packets - this.dropped.cut : lost - this.dropped.lost
    report.check('packets are dropped', { checked: 1, wrong: dropped > 0 ? [] : ['none'] })
    const healed = Date.now()
    await network.heal()
    await cluster.awaitHealth()
    report.say(`  ${dropped} packets dropped; the cluster is well ${seconds(Date.now() - healed)} after it is healed`)
    await this.verbs.stop()
    report.say(`  verbs are accepted by ${this.verbs.tell(this.at)}`)
    report.check('one node at a time accepts verbs', this.verbs.check())
    rig.checkAnswers(this.sides)
    const leaderNode = await cluster.leader()
    const leader = await connect(leaderNode.connection())
    report.say(`  ${await rig.settle(leader)}`)
    await rig.checkStandbys(leaderNode, leader)
    await this.checkProcesses()
    await this.awaitWritten(cluster.nodes)
    await written()
    await rig.checkLeader(leader, forgotten)
    await rig.checkUsage(leader, !forgotten)
    await leader.end()
  }

  // The processes of a server that was stopped are gone, and no session is busy.
  async checkProcesses () {
    const { cluster, report } = this
    const now = new Set(cluster.nodes.flatMap((node) => node.processes()))
    const ended = this.before.filter((pid) => !now.has(pid))
    report.check('every process ends', { checked: ended.length, wrong: (await awaitEnd(LIMIT, ended)).map((pid) => `process ${pid}`) })
    for (const node of cluster.nodes) {
      const client = await connect(node.connection())
      const { rows } = await client.query(
        'SELECT pid, backend_type, state, wait_event, query FROM pg_stat_activity ' +
        "WHERE backend_type IN ('client backend', 'apikeys worker') AND state <> 'idle' AND now() - state_change > make_interval(secs => $1)", [STUCK])
      await client.end()
      report.check(`no session of ${node.name} is stuck`, { checked: 1, wrong: rows.map((row) => JSON.stringify(row)) })
    }
  }

  // A standby that the leader reaches sends its uses there, though another node is silent.
  async checkSending (old) {
    const { cluster, ledger, verbs } = this
    const leader = await cluster.leader()
    const standby = cluster.nodes.find((node) => node !== old && node !== leader)
    const client = await connect(standby.connection())
    ledger.ask(verbs.key)
    await client.query('SELECT apikeys.authorize($1, $2, $3, $4)', [verbs.key.name, verbs.key.knownSecrets()[0], ADDRESS, SCOPE])
    await client.end()
    await this.awaitWritten([standby])
  }

  // The workers write, or send to the leader, what was counted, of themselves.
  async awaitWritten (nodes) {
    const begin = Date.now()
    for (const node of nodes) {
      const client = await connect(node.connection())
      let wrong = []
      try {
        await retry(LIMIT, async () => {
          const { rows: [{ pending }] } = await client.query('SELECT pending_entries::integer AS pending FROM apikeys.status()')
          if (pending > 0) throw new Error(`${pending} counters are not written`)
        })
      } catch (error) {
        wrong = [error.message]
      }
      this.report.check(`the worker of ${node.name} writes`, { checked: 1, wrong })
      await client.end()
    }
    this.report.say(`  all that ${nodes.map(({ name }) => name).join(', ')} counted is written after ${seconds(Date.now() - begin)}`)
  }

  // --- Who is cut off -------------------------------------------------------------------

  // Another node must take over.  "cut" is given the leader's host; "alone" are clients that
  // then reach no other node.
  async loseLeader (title, cut, alone) {
    const { report, ledger, cluster } = this
    const old = await cluster.leader()
    await this.begin(`${title} (${old.name})`, this.sides, true, () => cut(old.host))
    const frozen = new Frozen(ledger, { kept: false })
    const deciders = alone ? new Deciders(ledger, frozen, cluster.connection('api', 0, old), DECIDERS) : undefined
    const [first, second] = this.sides
    await this.resumed(second)
    if (!alone) await this.resumed(first)
    await sleep(SECONDS_EACH * 1000)
    await Promise.all(this.sides.map((side) => side.stop()))
    if (alone) {
      const wrong = first.resumed.change === undefined ? [] : ['a change']
      report.check('the side of the old leader acknowledges nothing', { checked: 1, wrong })
    }
    await this.checkCutOff(old, frozen, deciders)
    await this.checkSending(old)
    // The old leader goes on with requests for a while, and acknowledges no change.
    await this.end({ forgotten: { from: this.at - UNWRITTEN - LAG, to: second.marked + second.resumed.change } })
    report.check('another node leads', { checked: 1, wrong: await cluster.leader() === old ? [old.name] : [] })
  }

  // The leader goes on with another standby; clients decide meanwhile on the one that is
  // cut off, through the proxy of a site.
  async loseStandby (title, cut, sides, site) {
    const { report, ledger, cluster } = this
    const standby = await cluster.synchronousStandby()
    const limited = await this.makeLimited()
    await this.begin(`${title} (${standby.name})`, sides, false, () => cut(standby.host))
    const frozen = new Frozen(ledger, { kept: true })
    const deciders = new Deciders(ledger, frozen, cluster.connection('api', site, standby), DECIDERS)
    for (const side of sides) await this.resumed(side)
    await sleep(SECONDS_EACH * 1000)
    await Promise.all(sides.map((side) => side.stop()))
    await this.checkCutOff(standby, frozen, deciders)
    const passed = [await this.spend(limited, this.old), await this.spend(limited, standby)]
    await this.end({ written: () => this.checkLimited(limited, passed) })
    report.check('the same node leads', { checked: 1, wrong: await cluster.leader() === this.old ? [] : ['another'] })
  }

  // --- Limits ---------------------------------------------------------------------------

  async makeLimited () {
    const client = await connect(this.cluster.connection('postgres', 1))
    const { text, values } = create(this.limits, 'limited')
    const { rows: [{ public_key: name, secret }] } = await client.query(text, values)
    await client.query("SELECT apikeys.set_quota($1, $2, 'ever')", [name, QUOTA])
    await client.end()
    return { name, secret }
  }

  // How many of too many requests a node lets through.
  async spend ({ name, secret }, node) {
    const client = await connect(node.connection())
    const { rows: [{ passed }] } = await client.query(
      "SELECT count(*)::integer AS passed FROM generate_series(1, $3) WHERE apikeys.authorize($1, $2, $4, $5)", [name, secret, 3 * QUOTA, ADDRESS, SCOPE])
    await client.end()
    return passed
  }

  // Each side of a cut lets through a quota; then all of that is known, and nothing is left.
  async checkLimited (limited, passed) {
    const { cluster, report } = this
    report.check('each side lets through what is left of a quota', { checked: 2, wrong: passed.every((one) => one === QUOTA) ? [] : [passed.join()] })
    const leader = await connect((await cluster.leader()).connection())
    const { rows: [{ used }] } = await leader.query('SELECT used::integer FROM apikeys.limits WHERE public_key = $1', [limited.name])
    report.check('both are counted', { checked: 1, wrong: used === 2 * QUOTA ? [] : [`${used} of ${2 * QUOTA}`] })
    for (const node of cluster.nodes) {
      const more = await this.spend(limited, node)
      report.check(`${node.name} knows that nothing is left`, { checked: 1, wrong: more === 0 ? [] : [`${more} passed`] })
    }
    await leader.query('SELECT apikeys.delete_key($1)', [limited.name])
    await leader.end()
  }

  // Links that lose packets, and one that is slow, may cost time, and a leader.
  async impair (title) {
    const { cluster, report } = this
    await this.begin(title, this.sides, true, () => network.impair(this.old.host))
    for (const side of this.sides) await this.resumed(side)
    await sleep(3 * SECONDS_EACH * 1000)
    await Promise.all(this.sides.map((side) => side.stop()))
    const leads = await cluster.leader()
    report.say(`  ${leads.name} leads, before ${this.old.name} did`)
    await this.end({ cut: false, forgotten: leads === this.old ? undefined : { from: this.at - UNWRITTEN - LAG, to: Date.now() } })
  }
}

async function test (rig) {
  const { report, ledger } = rig
  const partition = new Partition(rig)
  await partition.open()
  const host = (name) => network.hosts.get(name)
  const others = (...hosts) => [...network.hosts.values()].filter((one) => !hosts.includes(one))
  const cutOff = async (...hosts) => {
    await network.cut(hosts, others(...hosts))
    await network.cut(others(...hosts), hosts)
  }
  const servers = (leader) => others(leader, host('clients1'), host('clients2'))
  const first = host('clients1')

  // The members of etcd stay together: Patroni before 4.0.6 believes what one that was cut
  // off still says just after the healing, and may make the old leader the leader again, with the loss
  // of all that the new one has acknowledged (pull request 3318 of Patroni).
  await partition.loseLeader('the leader and clients are cut off', (leader) => cutOff(leader, first), true)
  await partition.loseStandby('a standby and clients are cut off', (standby) => cutOff(standby, first), [partition.sides[1]], 0)
  await partition.loseLeader('no other server hears the leader', (leader) => network.cut([leader], servers(leader)), false)
  await partition.loseLeader('the leader hears no other server', (leader) => network.cut(servers(leader), [leader]), false)
  await partition.loseStandby('leader and standby do not reach each other, all others do', async (standby) => {
    await network.cut([standby], [partition.old.host])
    await network.cut([partition.old.host], [standby])
  }, partition.sides, 1)
  await partition.impair(`of all packets ${LOSS_PERCENT} % are lost, and the link of the leader is slow`)
  const broken = partition.sides.reduce((sum, side) => sum + side.broken, 0)
  report.say(`acknowledged: ${ledger.summary()}; connections lost: ${broken}; in doubt: ${ledger.inDoubt}`)
}

main(new Cluster({ place: (name) => network.add(name), etcds: 3 }), test)
