// What comes out of a form or a query string: a name can be there never, once or
// several times.
'use strict'

const all = (value) => [value ?? []].flat().map(String)
const text = (value) => all(value)[0]?.trim() ?? ''
const textOrNull = (value) => text(value) || null

// A day out of <input type="date">, until its end in UTC.
const endOfDay = (value) => text(value) && `${text(value)} 23:59:59+00`

module.exports = { all, text, textOrNull, endOfDay }
