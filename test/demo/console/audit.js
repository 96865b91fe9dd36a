// Who has changed what, the latest first; in a project, of the project and of the keys
// in it.
'use strict'
const { text, endOfDay } = require('./request')

const PAGE = 50

async function list({ query, place, search }) {
  const filter = Object.fromEntries(
    ['action', 'principal', 'key', 'from', 'to'].map((name) => [name, text(search[name])])
  )
  const events = await query(
    `SELECT id, at, principal, action, public_key, address, detail
     FROM apikeys.audit_event
     WHERE organization_id = $1 AND id < $3
       AND ($2::uuid IS NULL OR project_id = $2 OR public_key IN (
         SELECT r.public_key FROM apikeys.key_role AS r WHERE r.project_id = $2))
       AND ($4 = '' OR action = $4) AND ($5 = '' OR principal = $5) AND ($6 = '' OR public_key = $6)
       AND at BETWEEN $7::timestamptz AND $8::timestamptz
     ORDER BY id DESC LIMIT $9`,
    [
      place.organization,
      place.project,
      text(search.before) || '9223372036854775807',
      filter.action,
      filter.principal,
      filter.key,
      filter.from || '-infinity',
      endOfDay(filter.to) || 'infinity',
      PAGE + 1
    ]
  )
  return {
    view: 'audit',
    title: 'Audit',
    chapter: 'audit',
    events: events.slice(0, PAGE),
    more: events.length > PAGE,
    filter
  }
}

const empty = async () => ({
  view: 'audit',
  title: 'Audit',
  chapter: 'audit',
  events: [],
  more: false,
  filter: { action: '', principal: '', key: '', from: '', to: '' }
})

module.exports = [['get', '/audit', list, empty]]
