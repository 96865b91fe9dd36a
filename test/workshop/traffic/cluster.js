// A cluster of PostgreSQL servers, on the loopback interface or on hosts of their own: Patroni
// with etcd looks after them, and a haproxy leads to the one that is the leader.  No commit is
// acknowledged that is not on a synchronous standby, and visible there; only such a standby
// becomes the leader.
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

// Where programs run: their address, the network that may log in, and the words of a command
// that starts a program there.
const LOOPBACK = { address: '127.0.0.1', network: '127.0.0.1/32', enter: [] }

function ask (host, port, path) {
  return new Promise((resolve, reject) => {
    http.get({ host, port, path, timeout: 2000 }, (response) => {
      let body = ''
      response.on('data', (part) => { body += part }).on('end', () => resolve({ status: response.statusCode, body })).on('error', reject)
    }).on('error', reject).on('timeout', function () { this.destroy(new Error('timeout')) })
  })
}

class Node {
  constructor (cluster, name, host, port, restPort) {
    Object.assign(this, { cluster, name, host, port, restPort, data: `${WORK}/${name}.data` })
  }

  configure () {
    const { address, network } = this.host
    const { password } = this.cluster
    const users = { superuser: 'postgres', replication: 'replicator', rewind: 'rewinder' }
    fs.writeFileSync(`${WORK}/${this.name}.yml`, JSON.stringify({
      scope: 'apikeys',
      name: this.name,
      restapi: { listen: `${address}:${this.restPort}`, connect_address: `${address}:${this.restPort}` },
      etcd3: { hosts: this.cluster.etcds.map(({ host, port }) => `${host.address}:${port}`) },
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
        listen: `${address}:${this.port}`,
        connect_address: `${address}:${this.port}`,
        data_dir: this.data,
        bin_dir: `${WORK}/bin`,
        pgpass: `${WORK}/${this.name}.pgpass`,
        authentication: Object.fromEntries(Object.entries(users).map(([use, username]) => [use, { username, password }])),
        parameters: this.cluster.parameters(),
        pg_hba: [`host all all ${network} scram-sha-256`, `host replication replicator ${network} scram-sha-256`]
      }
    }), { mode: 0o600 })
  }

  start () {
    this.process = start(this.name, 'patroni', [`${WORK}/${this.name}.yml`], this.host.enter)
  }

  // All processes of its server.
  processes () {
    const postmaster = postmasterOf(this.data)
    return [postmaster, ...childrenOf(postmaster)]
  }

  // As if the machine had lost its power.
  async kill () {
    killAll([this.process.pid, ...this.processes()])
    await this.process.ended
  }

  async isLeader () {
    return ask(this.host.address, this.restPort, '/primary').then(({ status }) => status === 200, () => false)
  }

  connection (user = 'postgres') {
    return { host: this.host.address, port: this.port, user, password: this.cluster.password, database: 'postgres' }
  }
}

class Cluster {
  // place(NAME) makes the host for a program; "etcds": how many keep what the nodes agree on.
  constructor ({ place = async () => LOOPBACK, etcds = 1 } = {}) {
    this.password = crypto.randomBytes(16).toString('hex')
    this.place = place
    this.etcdCount = etcds
    this.etcds = []
    this.nodes = []
    this.proxies = []
  }

  // Starts so many nodes, and makes a proxy for each of the places where clients are.
  async start (size, sites = ['proxy']) {
    await this.startEtcd()
    for (let number = 1; number <= size; number++) {
      const name = `node${number}`
      this.nodes.push(new Node(this, name, await this.place(name), await freePort(), await freePort()))
    }
    for (const node of this.nodes) {
      node.configure()
      node.start()
    }
    for (const site of sites) await this.startProxy(site)
    await this.awaitHealth()
  }

  async startEtcd () {
    for (let number = 1; number <= this.etcdCount; number++) {
      const name = `etcd${number}`
      const host = await this.place(name)
      const port = await freePort()
      const peers = `http://${host.address}:${await freePort()}`
      this.etcds.push({ name, host, port, clients: `http://${host.address}:${port}`, peers })
    }
    const members = this.etcds.map(({ name, peers }) => `${name}=${peers}`).join(',')
    for (const etcd of this.etcds) {
      const { name, host, clients, peers } = etcd
      etcd.process = start(name, 'etcd', ['--name', name, '--data-dir', `${WORK}/${name}`, '--unsafe-no-fsync',
        '--listen-client-urls', clients, '--advertise-client-urls', clients,
        '--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers, '--initial-cluster', members], host.enter)
    }
    for (const { host, port } of this.etcds) await retry(LIMIT, () => ask(host.address, port, '/health'))
  }

  // What the servers are told.  A standby sends its uses to the node that is the leader.
  parameters () {
    const hosts = this.nodes.map(({ host }) => host.address).join()
    const ports = this.nodes.map(({ port }) => port).join()
    return {
      shared_preload_libraries: 'apikeys',
      'apikeys.usage_flush_interval': '1s',
      'apikeys.usage_primary_conninfo': `hostaddr=${hosts} port=${ports} user=apikeys_standby password=${this.password} ` +
        'target_session_attrs=read-write',
      wal_sender_timeout: '5s',
      wal_receiver_timeout: '5s',
      unix_socket_directories: '',
      password_encryption: 'scram-sha-256'
    }
  }

  // A proxy leads to the leader, and by ports of their own to each of the nodes.
  async startProxy (site) {
    const host = await this.place(site)
    const proxy = { host, port: await freePort(), ports: new Map() }
    for (const node of this.nodes) proxy.ports.set(node, await freePort())
    fs.writeFileSync(`${WORK}/${site}.cfg`, `
global
  maxconn 1000
defaults
  mode tcp
  timeout connect 2s
  timeout check 2s
  timeout client 1h
  timeout server 1h
listen leader
  bind ${host.address}:${proxy.port}
  option httpchk GET /primary
  http-check expect status 200
  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
${this.nodes.map(({ name, host, port, restPort }) => `  server ${name} ${host.address}:${port} check port ${restPort}`).join('\n')}
${this.nodes.map((node) => `listen ${node.name}
  bind ${host.address}:${proxy.ports.get(node)}
  server ${node.name} ${node.host.address}:${node.port}`).join('\n')}
`)
    proxy.process = start(site, 'haproxy', ['-db', '-f', `${WORK}/${site}.cfg`], host.enter)
    this.proxies.push(proxy)
  }

  // Every node runs, the leader has a synchronous standby, and all nodes agree on that.
  async awaitHealth () {
    for (const node of this.nodes) {
      await retry(LIMIT, async () => {
        const members = await this.membersBy(node)
        const count = (role) => members.filter((member) => role.includes(member.role) && ['running', 'streaming'].includes(member.state)).length
        if (members.length !== this.nodes.length || count(['leader']) !== 1 || count(['sync_standby']) !== 1 ||
          count(['leader', 'sync_standby', 'replica']) !== members.length) throw new Error(`the cluster is not well: ${JSON.stringify(members)}`)
      })
    }
  }

  // What a node knows of all nodes.
  async membersBy (node) {
    const { body } = await ask(node.host.address, node.restPort, '/cluster')
    return JSON.parse(body).members ?? []
  }

  async synchronousStandby () {
    const members = await this.membersBy(await this.leader())
    const { name } = members.find(({ role }) => role === 'sync_standby')
    return this.nodes.find((node) => node.name === name)
  }

  async leader () {
    return retry(LIMIT, async () => {
      for (const node of this.nodes) if (await node.isLeader()) return node
      throw new Error('there is no leader')
    })
  }

  // Through the proxy of a site: to the leader, or to one node.
  connection (user, site = 0, node = undefined) {
    const { host, port, ports } = this.proxies[site]
    return { host: host.address, port: node ? ports.get(node) : port, user, password: this.password, database: 'postgres' }
  }

  async stop () {
    for (const { process } of [...this.proxies, ...this.nodes, ...this.etcds]) if (process) await stop(process)
  }
}

module.exports = { Cluster }
