// Counts what has passed and what has not, and prints it.
'use strict'

// Of many things that are wrong in the same way a few are shown.
const SHOWN = 10

class Report {
  constructor () {
    this.passed = 0
    this.failed = 0
    this.checked = 0
    this.violations = 0
  }

  say (line) {
    console.log(line)
  }

  // check(NAME, { checked, wrong })
  check (name, { checked, wrong }) {
    this.checked += checked
    this.violations += wrong.length
    if (wrong.length === 0) {
      this.passed++
      return
    }
    this.failed++
    this.say(`  failed: ${name}: ${wrong.length} of ${checked}`)
    for (const line of wrong.slice(0, SHOWN)) this.say(`    ${line}`)
  }

  // Prints the sum as the last line, and sets the exit status.
  finish (error) {
    if (error) {
      this.failed++
      this.say(`  failed: ${error.stack}`)
    }
    this.say(`${this.checked} checks, ${this.violations} violations`)
    this.say(`${this.passed} passed, ${this.failed} failed`)
    process.exitCode = this.failed > 0 || this.passed === 0 ? 1 : 0
  }
}

module.exports = { Report }
