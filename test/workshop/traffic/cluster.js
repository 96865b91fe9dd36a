// A cluster of PostgreSQL servers on the loopback interface: Patroni with etcd looks after
// them, and haproxy leads to the one that is the leader.  No commit is acknowledged that is
// not on a synchronous standby, and visible there; only such a standby becomes the leader.
'use strict'
const crypto = require('crypto')
const fs = require('fs')
const http = require('http')
const { childrenOf, freePort, killAll, postmasterOf, retry, start, stop } = require('./processes')

const WORK = process.env.WORK

// Seconds after which a leader that is not heard of is none any more.
const TTL = Number(process.env.TTL ?? 10)

// How long it may take until all is well.
const LIMIT = 120

function ask (port, path) {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port, path, timeout: 2000 }, (response) => {
      let body = ''
      response.on('data', (part) => { body += part }).on('end', () => resolve({ status: response.statusCode, body })).on('error', reject)
    }).on('error', reject).on('timeout', function () { this.destroy(new Error('timeout')) })
  })
}

class Node {
  constructor (cluster, name, port, restPort) {
    Object.assign(this, { cluster, name, port, restPort, data: `${WORK}/${name}.data` })
  }

  configure () {
    const { password } = this.cluster
    const users = { superuser: 'postgres', replication: 'replicator', rewind: 'rewinder' }
    fs.writeFileSync(`${WORK}/${this.name}.yml`, JSON.stringify({
      scope: 'apikeys',
      name: this.name,
      restapi: { listen: `127.0.0.1:${this.restPort}`, connect_address: `127.0.0.1:${this.restPort}` },
      etcd3: { host: `127.0.0.1:${this.cluster.etcdPort}` },
      bootstrap: {
        dcs: {
          ttl: TTL,
          loop_wait: 2,
          retry_timeout: 3,
          synchronous_mode: true,
          synchronous_mode_strict: true,
          postgresql: { use_pg_rewind: true, parameters: { synchronous_commit: 'remote_apply', max_connections: 100 } }
        },
        initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums', 'no-sync']
      },
      postgresql: {
        listen: `127.0.0.1:${this.port}`,
        connect_address: `127.0.0.1:${this.port}`,
        data_dir: this.data,
        bin_dir: `${WORK}/bin`,
        pgpass: `${WORK}/${this.name}.pgpass`,
        authentication: Object.fromEntries(Object.entries(users).map(([use, username]) => [use, { username, password }])),
        parameters: {
          shared_preload_libraries: 'apikeys',
          'apikeys.usage_flush_interval': '1s',
          unix_socket_directories: '',
          password_encryption: 'scram-sha-256'
        },
        pg_hba: ['host all all 127.0.0.1/32 scram-sha-256', 'host replication replicator 127.0.0.1/32 scram-sha-256']
      }
    }), { mode: 0o600 })
  }

  start () {
    this.process = start(this.name, 'patroni', [`${WORK}/${this.name}.yml`])
  }

  // As if the machine had lost its power.
  async kill () {
    const postmaster = postmasterOf(this.data)
    killAll([this.process.pid, postmaster, ...childrenOf(postmaster)])
    await this.process.ended
  }

  async isLeader () {
    return ask(this.restPort, '/primary').then(({ status }) => status === 200, () => false)
  }

  connection () {
    return { host: '127.0.0.1', port: this.port, user: 'postgres', password: this.cluster.password, database: 'postgres' }
  }
}

class Cluster {
  constructor () {
    this.password = crypto.randomBytes(16).toString('hex')
    this.nodes = []
  }

  async start (size) {
    this.etcdPort = await freePort()
    const peers = `http://127.0.0.1:${await freePort()}`
    const clients = `http://127.0.0.1:${this.etcdPort}`
    this.etcd = start('etcd', 'etcd', ['--name', 'etcd', '--data-dir', `${WORK}/etcd`, '--unsafe-no-fsync',
      '--listen-client-urls', clients, '--advertise-client-urls', clients,
      '--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers, '--initial-cluster', `etcd=${peers}`])
    await retry(LIMIT, async () => ask(this.etcdPort, '/health'))
    for (let number = 1; number <= size; number++) {
      this.nodes.push(new Node(this, `node${number}`, await freePort(), await freePort()))
    }
    for (const node of this.nodes) {
      node.configure()
      node.start()
    }
    await this.startProxy()
    await this.awaitHealth()
  }

  async startProxy () {
    this.port = await freePort()
    fs.writeFileSync(`${WORK}/haproxy.cfg`, `
global
  maxconn 1000
defaults
  mode tcp
  timeout connect 2s
  timeout check 2s
  timeout client 1h
  timeout server 1h
listen leader
  bind 127.0.0.1:${this.port}
  option httpchk GET /primary
  http-check expect status 200
  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
${this.nodes.map(({ name, port, restPort }) => `  server ${name} 127.0.0.1:${port} check port ${restPort}`).join('\n')}
`)
    this.proxy = start('haproxy', 'haproxy', ['-db', '-f', `${WORK}/haproxy.cfg`])
  }

  // Every node runs, and the leader has a synchronous standby.
  async awaitHealth () {
    await retry(LIMIT, async () => {
      const { body } = await ask(this.nodes[0].restPort, '/cluster')
      const { members = [] } = JSON.parse(body)
      const count = (role) => members.filter((member) => role.includes(member.role) && ['running', 'streaming'].includes(member.state)).length
      if (members.length !== this.nodes.length || count(['leader']) !== 1 || count(['sync_standby']) !== 1 ||
        count(['leader', 'sync_standby', 'replica']) !== members.length) throw new Error(`the cluster is not well: ${body}`)
    })
  }

  async leader () {
    return retry(LIMIT, async () => {
      for (const node of this.nodes) if (await node.isLeader()) return node
      throw new Error('there is no leader')
    })
  }

  // Through the proxy.
  connection (user) {
    return { host: '127.0.0.1', port: this.port, user, password: this.password, database: 'postgres' }
  }

  async stop () {
    for (const child of [this.proxy, ...this.nodes.map((node) => node.process), this.etcd]) if (child) await stop(child)
  }
}

module.exports = { Cluster }
