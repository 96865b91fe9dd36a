// What tests of a cluster share: they start one, put clients on it, and hold each of its nodes
// against the ledger.
'use strict'
const { Ledger } = require('./ledger')
const { retry } = require('./processes')
const { Report } = require('./report')
const { connect, setUp } = require('./traffic')
const verify = require('./verify')

// How many seconds there may be no service, and for a standby to catch up.
const LIMIT = 120

// Quotas of a lost leader: what it has not written (apikeys.usage_flush_interval of
// cluster.js), or not sent, before it was lost.
const UNWRITTEN = 1000
const LAG = 2000

function seconds (ms) {
  return `${(ms / 1000).toFixed(1)} s`
}

class Rig {
  constructor (cluster, report) {
    Object.assign(this, { cluster, report, ledger: new Ledger() })
  }

  // Makes what so many clients need.
  async setUp (clients) {
    const { cluster } = this
    const admin = await connect(cluster.connection('postgres'))
    this.organizations = await setUp(admin, clients)
    await admin.query("SELECT apikeys.set_organization_quota(id, 1000000000, 'ever') FROM unnest($1::uuid[]) AS id", [this.organizations])
    await admin.query(`
      CREATE ROLE apikeys_standby LOGIN PASSWORD '${cluster.password}';
      GRANT USAGE ON SCHEMA apikeys TO apikeys_standby;
      GRANT EXECUTE ON FUNCTION apikeys.merge_usage, apikeys.merge_quota_usage, apikeys.settle_usage TO apikeys_standby;
      ALTER ROLE api PASSWORD '${cluster.password}';
      ALTER ROLE console PASSWORD '${cluster.password}'`)
    await admin.end()
  }

  // The options of clients that ask the leader, through the proxy of a site.
  options (clients, site = 0) {
    return {
      ledger: this.ledger,
      clients,
      requests: this.cluster.connection('api', site),
      management: this.cluster.connection('console', site),
      organizations: this.organizations
    }
  }

  // Finds out what became of changes in doubt; returns a line about it.
  async settle (leader) {
    const inDoubt = this.ledger.doubtfulKeys().length + this.ledger.creations.length
    return `in doubt: ${inDoubt}, of which made: ${await verify.settle(this.ledger, leader)}`
  }

  checkAnswers (traffics) {
    const wrong = traffics.flatMap((traffic) => traffic.wrong.splice(0))
    this.report.check('each answer is the right one', { checked: this.ledger.acknowledged.request, wrong })
  }

  // Of quotas may be given away what was charged in the time "forgotten".
  async checkLeader (leader, forgotten) {
    const { ledger, report } = this
    report.check('keys that are there', await verify.checkKeys(ledger, leader))
    report.check('decisions', await verify.checkDecisions(ledger, leader))
    report.check('events', await verify.checkEvents(ledger, leader))
    report.check('seals', await verify.checkSeals(ledger, leader))
    report.check('worker', await verify.checkWorker(ledger, leader))
    const quotas = await verify.checkQuotas(ledger, leader, forgotten)
    report.check('quotas', quotas)
    report.say(`  of quotas ${quotas.forgotten} units are given away, of ${quotas.bound} at most`)
  }

  async checkUsage (leader, complete) {
    // What is written is not waited for on the standby.
    const usage = await verify.checkUsage(this.ledger, leader, { complete, durable: false })
    this.report.check('usage', usage)
    this.report.say(`  uses counted of the keys that are there: ${usage.uses}, allowed by an answer: ${usage.answered}`)
  }

  async checkStandbys (leaderNode, leader) {
    for (const node of this.cluster.nodes) {
      if (node === leaderNode) continue
      const standby = await this.caughtUp(node, leader)
      this.report.check(`decisions on standby ${node.name}`, await verify.checkDecisions(this.ledger, standby))
      await standby.end()
    }
  }

  // A connection to a standby that has replayed what is on the leader now.  The leader says so:
  // a node that was one has to go back first, and is stopped for that.
  async caughtUp (node, leader) {
    const { rows: [{ lsn }] } = await leader.query('SELECT pg_current_wal_lsn() AS lsn')
    await retry(LIMIT, async () => {
      const { rows } = await leader.query(
        "SELECT FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming' AND replay_lsn >= $2", [node.name, lsn])
      if (rows.length === 0) throw new Error(`${node.name} does not catch up`)
    })
    return connect(node.connection())
  }
}

// Runs test(rig), and stops the cluster in every case.
function main (cluster, test) {
  const report = new Report()
  const run = async () => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => cluster.stop().finally(() => process.exit(130)))
    }
    try {
      await test(new Rig(cluster, report))
    } finally {
      await cluster.stop()
    }
  }
  run().then(() => report.finish(), (error) => report.finish(error)).finally(() => process.exit())
}

module.exports = { LAG, LIMIT, UNWRITTEN, main, seconds }
