// Starts, ends and kills programs, and waits for what they do.
'use strict'
const net = require('net')
const fs = require('fs')
const { spawn } = require('child_process')

// A free port of the loopback interface.
function freePort () {
  return new Promise((resolve, reject) => {
    const server = net.createServer().on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

// Starts a program, which ends with us, however we end; its log is in $WORK/log.  "enter" are
// the words of a command that starts it elsewhere (see network.js).
function start (name, program, args, enter = []) {
  const log = fs.openSync(`${process.env.WORK}/log/${name}.log`, 'a')
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...enter, program, ...args], { stdio: ['ignore', log, log] })
  fs.closeSync(log)
  child.ended = new Promise((resolve) => child.on('exit', resolve).on('error', resolve))
  return child
}

async function stop (child) {
  child.kill('SIGTERM')
  await child.ended
}

// --- Servers ------------------------------------------------------------------------

function postmasterOf (data) {
  return Number(fs.readFileSync(`${data}/postmaster.pid`, 'utf8').split('\n')[0])
}

function childrenOf (pid) {
  return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

function isAlive (pid) {
  try {
    return !/^State:\s*Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function killAll (pids) {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
}

// Those that are still there after so many seconds.
async function awaitEnd (seconds, pids) {
  const end = Date.now() + seconds * 1000
  let left
  while ((left = pids.filter(isAlive)).length > 0 && Date.now() < end) await sleep(20)
  return left
}

// --- Waiting --------------------------------------------------------------------------

function sleep (ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

// Tries until it works, for so many seconds.
async function retry (seconds, attempt) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (Date.now() > end) throw error
      await sleep(100)
    }
  }
}

module.exports = { awaitEnd, childrenOf, freePort, killAll, postmasterOf, retry, sleep, start, stop }
