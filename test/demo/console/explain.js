// Why would a request be denied? Asks each check of a decision by itself, without
// the secret; counts nothing.
'use strict'
const { text, textOrNull } = require('./request')
const { findKey } = require('./keys')
const { findProjects } = require('./place')

async function page({ query, place, search }, checks = null) {
  const asked = Object.fromEntries(['key', 'address', 'scope', 'project'].map((name) => [name, text(search[name])]))
  return {
    view: 'explain',
    title: 'Why would a request be denied?',
    chapter: 'explain',
    asked,
    checks,
    projects: await findProjects(query, place)
  }
}

async function explain(context) {
  const { query, place, search } = context
  if (!text(search.key)) return page(context)
  await findKey({ ...context, params: { key: text(search.key) } })
  return page(
    context,
    await query('SELECT check_name, passed, detail FROM apikeys.explain_authorize($1, $2::text, $3, $4)', [
      text(search.key),
      textOrNull(search.address),
      text(search.scope),
      place.project ?? textOrNull(search.project)
    ])
  )
}

module.exports = [['get', '/explain', explain, (context) => page(context)]]
