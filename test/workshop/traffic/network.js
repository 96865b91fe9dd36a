// Hosts of their own on one machine: each is a network namespace, and a bridge joins them.
// What one host sends to another passes the bridge, where nftables drops it, all or some, while the
// two are cut; this process is at the bridge, and reaches every host at any time.
//
// To be run in a network and a mount namespace of its own, with the rights to change them
// (see run.sh): so nothing of it is seen outside, and all of it is gone when we end.
'use strict'
const { spawn } = require('child_process')

const NETWORK = '10.77.0'
const PREFIX = `${NETWORK}.0/24`

// A slow link: bits a second, and how many bytes pass at once.
const SLOW = ['rate', '4mbit', 'burst', '16kb', 'latency', '200ms']

const RULES = (lossPercent) => `
table bridge partition {
  set cut { type ipv4_addr . ipv4_addr; }
  set lossy { type ipv4_addr . ipv4_addr; }
  chain forward {
    type filter hook forward priority 0;
    ip saddr . ip daddr @cut counter drop
    ip saddr . ip daddr @lossy numgen random mod 100 < ${lossPercent} counter drop
  }
}
`

function run (program, words, input = '') {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (part) => { output += part })
    child.stderr.on('data', (part) => { output += part })
    child.on('error', reject).on('close', (status) => status === 0 ? resolve(output) : reject(new Error(`${program} ${words.join(' ')}: ${output}`)))
    // A program that does not read it says so by its status.
    child.stdin.on('error', () => {}).end(input)
  })
}

class Network {
  constructor () {
    this.hosts = new Map()
  }

  async open ({ lossPercent }) {
    await run('ip', ['-batch', '-'], `
      link set lo up
      link add bridge type bridge
      addr add ${NETWORK}.254/24 dev bridge
      link set bridge up
    `)
    await run('nft', ['-f', '-'], RULES(lossPercent))
  }

  async add (name) {
    const address = `${NETWORK}.${this.hosts.size + 1}`
    await run('ip', ['netns', 'add', name])
    await run('ip', ['-batch', '-'], `
      link add ${name} type veth peer name eth0 netns ${name}
      link set ${name} master bridge up
    `)
    await run('ip', ['-netns', name, '-batch', '-'], `
      addr add ${address}/24 dev eth0
      link set eth0 up
      link set lo up
    `)
    const host = { name, address, network: PREFIX, enter: ['nsenter', `--net=/run/netns/${name}`] }
    this.hosts.set(name, host)
    return host
  }

  // From now on nothing arrives that a host of one list sends to one of the other.
  async cut (from, to) {
    await this.mark('cut', from.flatMap((one) => to.map((other) => [one, other])))
  }

  // Some of what hosts send to each other is lost, and the link of one is slow.
  async impair (slow) {
    const hosts = [...this.hosts.values()]
    await this.mark('lossy', hosts.flatMap((one) => hosts.filter((other) => other !== one).map((other) => [one, other])))
    await run('tc', ['qdisc', 'add', 'dev', slow.name, 'root', 'tbf', ...SLOW])
    await run('nsenter', [`--net=/run/netns/${slow.name}`, 'tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', ...SLOW])
    this.slow = slow
  }

  async mark (set, pairs) {
    const elements = pairs.map(([one, other]) => `${one.address} . ${other.address}`).join(', ')
    await run('nft', ['-f', '-'], `add element bridge partition ${set} { ${elements} }\n`)
  }

  // All links are whole again.
  async heal () {
    await run('nft', ['-f', '-'], 'flush set bridge partition cut\nflush set bridge partition lossy\n')
    if (!this.slow) return
    await run('tc', ['qdisc', 'del', 'dev', this.slow.name, 'root'])
    await run('nsenter', [`--net=/run/netns/${this.slow.name}`, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'root'])
    this.slow = undefined
  }

  // How many packets were dropped so far: because of a cut, and lost.
  async dropped () {
    const rules = await run('nft', ['list', 'ruleset'])
    const [cut, lost] = [...rules.matchAll(/counter packets (\d+)/g)].map(([, packets]) => Number(packets))
    return { cut, lost }
  }
}

module.exports = { Network }
