// What comes in with a request. A name of a form or a query string can be there
// never, once or several times.
'use strict'
const net = require('node:net')

const all = (value) => [value ?? []].flat().map(String)
const text = (value) => all(value)[0]?.trim() ?? ''
const textOrNull = (value) => text(value) || null

// A day out of <input type="date">, until its end in UTC.
const endOfDay = (value) => text(value) && `${text(value)} 23:59:59+00`

// Where the client is, as express tells: never a header, unless a trusted proxy
// has written it.
function addressOf(request) {
  const address = request.ip?.replace(/%.*/, '')
  return net.isIP(address) ? address : null
}

module.exports = { all, text, textOrNull, endOfDay, addressOf }
