// Asks a service many times, by many clients at once, for a random mix of cases,
// and counts the answers that are wrong.  On standard input:
//
//   { port, clients, requests,
//     cases: [{ name, method, path, headers, status, body, then }, ...],
//     change: { method, path, headers } }
//
// Half-way one client makes the change and waits for its answer.  A request that
// starts after that must be answered with its case's "then"; one that was answered
// before the change was asked for, with its status; one between, with either.  With
// the status, and where a case has a body, that has to be the answer's.
'use strict'
const http = require('http')
const input = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const agent = new http.Agent({ keepAlive: true, maxSockets: input.clients + 1 })

function ask ({ method = 'GET', path, headers = {} }) {
  return new Promise((resolve, reject) => {
    http.request({ port: input.port, host: '127.0.0.1', agent, method, path, headers }, (response) => {
      let body = ''
      response.on('data', (part) => { body += part }).on('end', () => resolve({ status: response.statusCode, body })).on('error', reject)
    }).on('error', reject).end()
  })
}

let started = 0
let phase = 'before'
let changed
const counts = {}
const wrong = {}

async function change () {
  phase = 'between'
  changed = (await ask(input.change)).status
  phase = 'after'
}

async function client () {
  while (started < input.requests) {
    if (++started === Math.floor(input.requests / 2)) await change()
    const asked = input.cases[Math.floor(Math.random() * input.cases.length)]
    const begun = phase
    const { status, body } = await ask(asked)
    const now = asked.then ?? asked.status
    const right = begun === 'after' ? [now] : phase === 'before' ? [asked.status] : [asked.status, now]
    const label = `${asked.name}: ${status}`
    counts[label] = (counts[label] ?? 0) + 1
    if (!right.includes(status) || (status === asked.status && (asked.body ?? body) !== body)) wrong[`${label}, ${begun}`] = (wrong[`${label}, ${begun}`] ?? 0) + 1
  }
}

Promise.all(Array.from({ length: input.clients }, client)).then(() => {
  const answered = Object.values(counts).reduce((sum, count) => sum + count, 0)
  console.log(JSON.stringify({ answered, changed, wrong, counts }))
  agent.destroy()
})
