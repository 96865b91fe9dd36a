// Reads the log of a server, with log_min_duration_statement = 0 and the prefix
// "%p ": report.js times LOG prints what the statements of a page took together, and
// fails if the median is 30 ms or more; report.js plans LOG prints which tables were read without an index,
// and fails if one of them has more than a few rows.
'use strict'
const { createReadStream } = require('node:fs')
const { createInterface } = require('node:readline')

const MOST_ROWS = 100
const KINDS = [
  ['details', 'usage_by_day'],
  ['audit', 'FROM apikeys.audit_event'],
  ['members', 'FROM apikeys.member'],
  ['explain', 'explain_authorize'],
  ['keys, or search', 'strpos(lower(k.description)'],
  ['places', 'FROM apikeys.organization AS o ORDER BY o.name']
]

// Each message, with the lines that follow its first one.
async function* messages(file) {
  let message
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (/^\d+ \w+: /.test(line)) {
      if (message) yield message
      message = line
    } else message += `\n${line}`
  }
  if (message) yield message
}

async function reportTimes(file) {
  const open = new Map()
  const taken = new Map()
  for await (const message of messages(file)) {
    const [, pid, time, statement] = /^(\d+) LOG: {2}duration: ([\d.]+) ms {2}(.*)$/s.exec(message) ?? []
    if (!pid) continue
    if (statement.startsWith('statement: BEGIN')) open.set(pid, { time: 0, text: '' })
    const page = open.get(pid)
    if (!page) continue
    page.time += Number(time)
    page.text += statement
    if (!/^statement: (COMMIT|ROLLBACK)/.test(statement)) continue
    open.delete(pid)
    const [kind = 'other'] = KINDS.find(([, mark]) => page.text.includes(mark)) ?? []
    taken.set(kind, [...(taken.get(kind) ?? []), page.time])
  }
  const at = (times, part) => times.sort((a, b) => a - b)[Math.floor(times.length * part)]
  const all = [...taken.values()].flat()
  console.log('in the database\tpages\tmedian ms\t95 % ms')
  for (const [kind, times] of [...taken, ['all', all]])
    console.log([kind, times.length, at(times, 0.5).toFixed(1), at(times, 0.95).toFixed(1)].join('\t'))
  return all.length > 100 && at(all, 0.5) < 30
}

// The nodes of a plan.
function* nodesOf(plan) {
  yield plan
  for (const child of plan.Plans ?? []) yield* nodesOf(child)
}

async function reportPlans(file) {
  const read = new Map()
  let count = 0
  for await (const message of messages(file)) {
    const [, json] = /plan:\n(.*)$/s.exec(message) ?? []
    if (!json) continue
    const { Plan: plan, 'Query Text': text } = JSON.parse(json)
    count++
    for (const node of nodesOf(plan)) {
      if (node['Node Type'] !== 'Seq Scan') continue
      const rows = ((node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0)) * (node['Actual Loops'] ?? 0)
      const known = read.get(node['Relation Name'])
      if (!known || known.rows < rows) read.set(node['Relation Name'], { rows, text })
    }
  }
  console.log(`${count} plans of statements, also of those in functions; tables read without an index:`)
  for (const [table, { rows, text }] of read) console.log(`${table}\t${rows} rows\t${rows > MOST_ROWS ? text : ''}`)
  return count > 100 && [...read.values()].every(({ rows }) => rows <= MOST_ROWS)
}

const [, , what, file] = process.argv
;({ times: reportTimes, plans: reportPlans })[what](file).then((isGood) => {
  process.exitCode = isGood ? 0 : 1
})
