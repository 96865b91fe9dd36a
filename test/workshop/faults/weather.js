// What faults.c reads: how slow the disk is, and by how much the clock is off.
'use strict'
const fs = require('fs')

class Weather {
  constructor (name) {
    this.file = `${process.env.WORK}/${name}.faults`
    this.set({})
  }

  // offset: of the calendar, in seconds; flush, write: how long each takes, in ms.
  set ({ offset = 0, flush = 0, write = 0 }) {
    const numbers = new BigInt64Array([offset * 1_000_000, flush * 1000, write * 1000].map(BigInt))
    const file = fs.openSync(this.file, fs.existsSync(this.file) ? 'r+' : 'w')
    fs.writeSync(file, Buffer.from(numbers.buffer), 0, numbers.byteLength, 0)
    fs.closeSync(file)
  }
}

module.exports = { Weather }
