// What comes in with a request. A name of a form or a query string can be there
// never, once or several times.
'use strict'
const net = require('node:net')
const { PageError } = require('./refusals')

const all = (value) => [value ?? []].flat().map(String)
const text = (value) => all(value)[0]?.trim() ?? ''
const textOrNull = (value) => text(value) || null

// Whether a text is one entry of an access list: SQL takes several as well, and none.
const isEntry = (entry) => entry.trim() !== '' && !/[,{}]/.test(entry)

// A day out of <input type="date">, until its end in UTC.
function endOfDay(value) {
  const day = text(value)
  if (day && !/^\d{4,6}-\d\d-\d\d$/.test(day)) throw new PageError(422, 'A day is written like 2030-12-31. Nothing was changed.')
  return day && `${day} 23:59:59+00`
}

// Where the client is, as express tells: never a header, unless a trusted proxy
// has written it.
function addressOf(request) {
  const address = request.ip?.replace(/%.*/, '')
  return net.isIP(address) ? address : null
}

module.exports = { all, text, textOrNull, isEntry, endOfDay, addressOf }
