// What the clients of Node.js print their checks with.
'use strict'
const { isDeepStrictEqual, inspect } = require('node:util')

let number = 0

// check(client): a function that prints one line for each check.
const checks = (client) => (name, actual, expected) => {
  const same = isDeepStrictEqual(actual, expected)
  console.log(`${same ? 'ok' : 'not ok'} ${++number} - ${client}: ${name}`)
  if (!same) console.log(`# ${inspect(actual)} instead of ${inspect(expected)}`)
}
const plan = () => console.log(`1..${number}`)

module.exports = { checks, plan }
