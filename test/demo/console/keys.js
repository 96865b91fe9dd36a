// The keys of an organization or of a project: list, create, view details, change.
'use strict'
const { all, text, textOrNull, isEntry, endOfDay } = require('./request')
const { findProjects, findRoles } = require('./place')
const { PageError } = require('./refusals')
const { REALM } = require('./database')

const PAGE = 20
const ENTRIES = 200
const DAYS = 30
const IN_PLACE = `k.organization_id = $1 AND ($2::uuid IS NULL OR k.public_key IN (
  SELECT r.public_key FROM apikeys.key_role AS r WHERE r.project_id = $2))`

const urlOf = (place, publicKey, rest = '') => `${place.base}/keys/${encodeURIComponent(publicKey)}${rest}`

// Each page begins where the one before ended: read from an index.
async function list({ query, place, search }) {
  const keys = await query(
    `SELECT k.public_key, k.private_key, k.description, k.status, k.organization_roles, k.projects,
       k.last_used_at, k.last_used_address, k.created_at::text AS position
     FROM apikeys.keys AS k
     WHERE ${IN_PLACE} AND (k.created_at, k.public_key) < ($3::timestamptz, $4)
       AND (k.public_key = $5 OR strpos(lower(k.description), lower($5)) > 0)
     ORDER BY k.created_at DESC, k.public_key DESC LIMIT $6`,
    [
      place.organization,
      place.project,
      text(search.before) || 'infinity',
      text(search.key),
      text(search.search),
      PAGE + 1
    ]
  )
  const more = keys.length > PAGE
  const [{ scopes }] = await query('SELECT apikeys.permitted_scopes($1, $2, $3) AS scopes', [
    place.organization,
    ['apikeys.keys.manage'],
    place.project
  ])
  return {
    view: 'keys',
    title: 'Applications',
    chapter: 'keys',
    keys: keys.slice(0, PAGE),
    more,
    search: text(search.search),
    isFirst: !search.before,
    mayAdd: scopes.length > 0
  }
}

async function findKey({ query, place, params }) {
  const [key] = await query(
    `SELECT k.public_key, k.private_key, k.description, k.organization_roles, k.organization_permissions, k.projects, k.status,
       k.disabled_reason, k.owner, k.metadata, k.environment, k.secrets, k.created_at, k.created_by, k.expires_at,
       k.secret_expires_at, k.last_used_at, k.last_used_address, k.digest_realm
     FROM apikeys.keys AS k WHERE ${IN_PLACE} AND k.public_key = $3`,
    [place.organization, place.project, params.key]
  )
  if (!key) throw new PageError(404, 'There is no such key, or you may not see it.')
  return key
}

const findEntries = ({ query, params }) =>
  query(
    `SELECT network, use_count, last_used_at, last_used_address, created_at
   FROM apikeys.access_list_entries WHERE public_key = $1 ORDER BY network LIMIT $2`,
    [params.key, ENTRIES]
  )

// A row for each of the last days, also where there was nothing.
const findDays = ({ query, params }) =>
  query(
    `SELECT to_char(d.day, 'YYYY-MM-DD') AS day, coalesce(u.use_count, 0) AS uses, coalesce(u.denial_count, 0) AS denials
     FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS today) AS t
       CROSS JOIN LATERAL generate_series(t.today - $2::integer + 1, t.today, interval '1 day') AS d (day)
       LEFT JOIN apikeys.usage_by_day AS u ON u.public_key = $1 AND u.day = d.day::date
     ORDER BY d.day`,
    [params.key, DAYS]
  )

const findLimits = ({ query, params }) =>
  query(
    `SELECT limit_name, requests, per::text, burst, amount, used, remaining, justify_hours(date_trunc('second', reset_after))::text AS reset_after
     FROM apikeys.limits WHERE public_key = $1 ORDER BY limit_name`,
    [params.key]
  )

async function details(context) {
  const { query, place, params } = context
  const key = await findKey(context)
  const [usage] = await query(
    `SELECT use_count, denial_count, denials, last_denied_at, last_denied_address
     FROM apikeys.usage WHERE public_key = $1`,
    [params.key]
  )
  return {
    view: 'key',
    title: key.description,
    chapter: 'keys',
    key,
    usage,
    days: await findDays(context),
    limits: await findLimits(context),
    url: urlOf(place, params.key),
    entries: await findEntries(context),
    projects: await findProjects(query, place),
    roles: await findRoles(query, place),
    projectRoles: await findRoles(query, place, 'project'),
    held: place.project ? key.projects.find(({ id }) => id === place.project).roles : (key.organization_roles ?? [])
  }
}

// --- Add API key, in two steps ---

const newForm = async ({ query, place }) => ({
  view: 'new-key',
  title: 'Add API key',
  chapter: 'keys',
  roles: await findRoles(query, place)
})

async function create({ query, place, form }) {
  const verb = place.project ? 'create_project_key' : 'create_key'
  const [{ public_key: publicKey, private_key: privateKey }] = await query(
    `SELECT public_key, private_key FROM apikeys.${verb}($1, $2, $3, expires_at => $4)`,
    [place.id, text(form.description), all(form.roles), endOfDay(form.expires) || null]
  )
  return { redirect: urlOf(place, publicKey, '/secret'), issued: { publicKey, privateKey, isNew: true } }
}

// The private key is in the session's memory until "Done" or for ten minutes;
// the database has a hash only.
const shownSecret = ({ session, params }) => session.secrets.get(params.key)

async function secret(context) {
  const key = await findKey(context)
  const shown = shownSecret(context)
  const url = urlOf(context.place, key.public_key)
  if (!shown) return { redirect: url }
  return {
    view: 'secret',
    title: 'Private key & access list',
    chapter: 'keys',
    key,
    secret: shown,
    url,
    entries: await findEntries(context)
  }
}

async function forgetSecret({ session, place, params }) {
  session.secrets.delete(params.key)
  return { redirect: `${place.base}/keys` }
}

// --- Changes of one key ---

// A change: the key has to be of this place, and then one statement does it.
const change = (notice, statement, values) => async (context) => {
  await findKey(context)
  await context.query(statement, values(context))
  const { place, params } = context
  return { redirect: urlOf(place, params.key, shownSecret(context) ? '/secret' : ''), notice }
}

const update = change(
  'Saved.',
  'SELECT FROM apikeys.update_key($1, description => $2, expires_at => $3::timestamptz)',
  ({ params, form }) => [
    params.key,
    text(form.description),
    text(form.expires) === text(form.expires_was) ? null : endOfDay(form.expires) || 'infinity'
  ]
)

const setRoles = (context) =>
  context.place.project
    ? change('Roles saved.', 'SELECT FROM apikeys.set_project_roles($1, $2, $3)', ({ params, place, form }) => [
        params.key,
        place.project,
        all(form.roles)
      ])(context)
    : change('Roles saved.', 'SELECT FROM apikeys.set_organization_roles($1, $2)', ({ params, form }) => [
        params.key,
        all(form.roles)
      ])(context)

const assign = change(
  'Assigned to the project.',
  'SELECT FROM apikeys.set_project_roles($1, $2, $3)',
  ({ params, form }) => [params.key, textOrNull(form.project), all(form.roles)]
)

function entryOf(value) {
  const entry = text(value)
  if (!isEntry(entry)) throw new PageError(422, 'Give an address or a network. Nothing was changed.')
  return entry
}
const addEntry = change(
  'Added to the access list.',
  'SELECT apikeys.add_to_access_list($1, $2::text)',
  ({ params, form }) => [params.key, entryOf(form.network)]
)
const addCurrent = change(
  'Your current address is in the access list.',
  'SELECT apikeys.add_current_address($1)',
  ({ params }) => [params.key]
)
const removeEntry = change(
  'Removed from the access list.',
  'SELECT apikeys.remove_from_access_list($1, $2::text)',
  ({ params, form }) => [params.key, entryOf(form.entry)]
)
const clearList = change(
  'The key can be used from every address.',
  "SELECT FROM apikeys.update_key($1, access_list => '{}')",
  ({ params }) => [params.key]
)

async function rotate(context) {
  const { query, place, params, form } = context
  await findKey(context)
  const [{ private_key: privateKey }] = await query(
    'SELECT apikeys.rotate_secret($1, overlap => $2::interval) AS private_key',
    [params.key, text(form.overlap)]
  )
  return { redirect: urlOf(place, params.key, '/secret'), issued: { publicKey: params.key, privateKey, isNew: false } }
}

// HTTP Digest needs what is stored when a private key is issued: so a new one is.
async function enableDigest(context) {
  await findKey(context)
  await context.query('SELECT apikeys.enable_digest($1, $2)', [context.params.key, REALM])
  return rotate(context)
}
const disableDigest = change('HTTP Digest is refused.', 'SELECT apikeys.disable_digest($1)', ({ params }) => [params.key])

const revoke = change('The private key is revoked.', 'SELECT apikeys.revoke_secret($1, $2)', ({ params, form }) => [
  params.key,
  text(form.version)
])
const disable = change('The key is disabled.', 'SELECT apikeys.disable_key($1, $2)', ({ params, form }) => [
  params.key,
  textOrNull(form.reason)
])
const enable = change('The key is enabled.', 'SELECT apikeys.enable_key($1)', ({ params }) => [params.key])

// The key is gone, or no longer in this place.
const leave = (notice, statement, values) => async (context) => {
  await findKey(context)
  await context.query(statement, values(context))
  return { redirect: `${context.place.base}/keys`, notice }
}
const remove = leave('The key is deleted.', 'SELECT apikeys.delete_key($1)', ({ params }) => [params.key])
const unassign = leave(
  'The key is removed from the project.',
  'SELECT FROM apikeys.remove_from_project($1, $2)',
  ({ params, place }) => [params.key, place.project]
)

// What cannot be undone is asked for once more.
const QUESTIONS = {
  delete: ['Delete', 'Every request with this key fails at once, and its name is never used again.'],
  remove: ['Remove from the project', 'The key loses its roles in this project. It lives on in its organization.'],
  clear: [
    'Open to every address',
    'The access list becomes empty: the private key can be used from everywhere.'
  ]
}
async function confirm(context) {
  const key = await findKey(context)
  const { action } = context.params
  if (!Object.hasOwn(QUESTIONS, action)) throw new PageError(404, 'There is no such page.')
  const [verb, consequence] = QUESTIONS[action]
  return {
    view: 'confirm',
    title: `${verb}: ${key.description}`,
    chapter: 'keys',
    key,
    verb,
    consequence,
    action,
    url: urlOf(context.place, key.public_key)
  }
}

module.exports = [
  ['get', '/keys', list],
  ['get', '/new-key', newForm],
  ['post', '/keys', create, newForm],
  ['get', '/keys/:key', details],
  ['post', '/keys/:key', update, details],
  ['get', '/keys/:key/secret', secret],
  ['post', '/keys/:key/secret', forgetSecret],
  ['post', '/keys/:key/roles', setRoles, details],
  ['post', '/keys/:key/assign', assign, details],
  ['post', '/keys/:key/access-list', addEntry, details],
  ['post', '/keys/:key/access-list/current', addCurrent, details],
  ['post', '/keys/:key/access-list/remove', removeEntry, details],
  ['post', '/keys/:key/rotate', rotate, details],
  ['post', '/keys/:key/digest', enableDigest, details],
  ['post', '/keys/:key/digest/disable', disableDigest, details],
  ['post', '/keys/:key/revoke', revoke, details],
  ['post', '/keys/:key/disable', disable, details],
  ['post', '/keys/:key/enable', enable, details],
  ['get', '/keys/:key/confirm/:action', confirm],
  ['post', '/keys/:key/clear', clearList, details],
  ['post', '/keys/:key/remove', unassign, details],
  ['post', '/keys/:key/delete', remove, details]
].map(([method, path, work, page]) => [method, path, work, page === details ? detailsOrSecret : page])

// Where a refused change is shown: the page that it was asked for on.
function detailsOrSecret(context) {
  return shownSecret(context) ? secret(context) : details(context)
}
module.exports.findKey = findKey
