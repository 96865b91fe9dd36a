// A line for each thing that was looked at, and their number at the end.
'use strict'
const { Report } = require('../traffic/report')
const { Server } = require('./server')

class Lines extends Report {
  // check(NAME, { checked, wrong })
  check (name, { checked, wrong }) {
    super.check(name, { checked, wrong })
    if (wrong.length > 0) this.say(`not ok - ${name}`)
    else this.say(`ok - ${name}${checked > 1 ? ` (${checked})` : ''}`)
  }

  // Whether something is so; otherwise what was found is shown.
  ok (is, name, found = '') {
    this.check(name, { checked: 1, wrong: is ? [] : [typeof found === 'string' ? found : JSON.stringify(found)] })
  }

  equal (found, expected, name) {
    const [a, b] = [found, expected].map((value) => JSON.stringify(value))
    this.ok(a === b, name, `${a} instead of ${b}`)
  }

  // An error with this code, and with such a text.
  error (error, code, pattern, name) {
    this.ok(error?.code === code && pattern.test(`${error.message} ${error.detail ?? ''} ${error.hint ?? ''}`), name,
      error ? `${error.code}: ${error.message} (${error.hint ?? 'no hint'})` : 'no error')
  }
}

// Runs a case, and ends its servers and the process.
async function runCase (main) {
  const report = new Lines()
  await main(report).then(() => report.finish(), (error) => report.finish(error))
  await Server.stopAll()
  process.exit()
}

module.exports = { runCase }
