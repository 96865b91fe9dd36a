// PostgREST's protocol, by node-postgres: a transaction for each request, which
// sets role and headers, calls the pre-request function, and runs one statement
// that has JSON in and out.
'use strict'
const { Client } = require('pg')
const { checks, plan } = require('./tap')

const check = checks('PostgREST')
const client = new Client()

const ROLE = 'web'
const PRE_REQUEST = 'SELECT "apikeys"."authenticate_request"()'
const SETTINGS = `SELECT set_config('search_path', '"apikeys", "public"', true), set_config('role', $1, true),
  set_config('request.method', $2, true), set_config('request.path', $3, true), set_config('request.headers', $4, true)`

// Its answer: the JSON of the statement, or of the error with the status.
async function serve(method, path, headers, statement, values) {
  await client.query(`BEGIN ISOLATION LEVEL READ COMMITTED READ ${method === 'GET' ? 'ONLY' : 'WRITE'}`)
  try {
    await client.query(SETTINGS, [ROLE, method, path, JSON.stringify(headers)])
    await client.query(PRE_REQUEST)
    const { rows } = await client.query(statement, values)
    await client.query('COMMIT')
    return JSON.parse(rows[0].body)
  } catch (error) {
    await client.query('ROLLBACK')
    if (error.code === 'PGRST') return { ...JSON.parse(error.message), ...JSON.parse(error.detail) }
    return { code: error.code, message: error.message, details: error.detail ?? null, hint: error.hint ?? null }
  }
}

// POST /rpc/NAME: the arguments are the members of the body, with the types
// that the catalog says.
async function call(name, headers, body, schema = 'apikeys') {
  const { rows } = await client.query(
    `SELECT format('%I %s', argument, format_type(type, NULL)) AS definition, format('%I := pgrst_body.%I', argument, argument) AS argument,
       p.prorettype::regtype::text ~ '^apikeys' AS is_composite
     FROM pg_proc AS p, unnest(p.proargnames, p.proargtypes) AS a (argument, type)
     WHERE p.pronamespace = $1::regnamespace AND p.proname = $2 AND argument = ANY ($3)`,
    [schema, name, Object.keys(body)]
  )
  const all = (column) => rows.map((row) => row[column]).join(', ')
  const statement = `WITH pgrst_source AS (
      SELECT ${rows[0].is_composite ? 'pgrst_call.*' : 'pgrst_call AS pgrst_scalar'}
      FROM (SELECT $1::json AS json_data) pgrst_payload,
        LATERAL (SELECT * FROM json_to_record(pgrst_payload.json_data) AS _(${all('definition')}) LIMIT 1) pgrst_body,
        LATERAL ${schema}.${name}(${all('argument')}) pgrst_call)
    SELECT coalesce(json_agg(${rows[0].is_composite ? '_postgrest_t' : '_postgrest_t.pgrst_scalar'})->0, 'null')::varchar AS body
    FROM (SELECT * FROM pgrst_source) _postgrest_t`
  return serve('POST', `/rpc/${name}`, headers, statement, [JSON.stringify(body)])
}

// GET /keys?column=op.value&...: the condition as PostgREST writes it.
const list = (headers, condition, values) =>
  serve(
    'GET',
    '/keys',
    headers,
    `WITH pgrst_source AS (SELECT "apikeys"."keys".* FROM "apikeys"."keys" WHERE ${condition}
       ORDER BY "apikeys"."keys"."created_at" DESC, "apikeys"."keys"."public_key" DESC LIMIT 2 OFFSET 0)
     SELECT coalesce(json_agg(_postgrest_t), '[]')::varchar AS body FROM (SELECT * FROM pgrst_source) _postgrest_t`,
    values
  )
const descriptions = (keys) => keys.map?.(({ description }) => description) ?? keys

async function main() {
  await client.connect()
  const {
    rows: [{ organization, api_key: owner }]
  } = await client.query(`SELECT organization, api_key FROM apikeys.organization('Acme') AS organization,
    apikeys.create_key(organization, 'Automation', '{ORG_OWNER}', '{127.0.0.1}')`)
  const bearer = { host: 'example.com', authorization: `Bearer ${owner}` }

  // Create: POST /rpc/create_key.
  const key = await call('create_key', bearer, {
    organization,
    description: 'Reports',
    roles: ['ORG_READ_ONLY'],
    access_list: ['203.0.113.0/24', '127.0.0.1'],
    owner: 'customer 42',
    metadata: { plan: 'pro', seats: [1, 2] }
  })
  check('a key is created', key.api_key, `${key.public_key}.${key.private_key}`)

  // List: GET /keys?organization_id=eq.…&description=eq.Reports.
  const [shown] = await list(bearer, '"apikeys"."keys"."organization_id" = $1 AND "apikeys"."keys"."description" = $2', [
    organization,
    'Reports'
  ])
  check(
    'it is shown as JSON',
    {
      roles: shown.roles,
      list: shown.access_list,
      owner: shown.owner,
      metadata: shown.metadata,
      status: shown.status,
      by: /^key:/.test(shown.created_by)
    },
    {
      roles: [{ role: 'ORG_READ_ONLY', organization_id: organization }],
      list: ['127.0.0.1/32', '203.0.113.0/24'],
      owner: 'customer 42',
      metadata: { plan: 'pro', seats: [1, 2] },
      status: 'active',
      by: true
    }
  )
  for (const description of ['Backups', 'Nightly']) {
    await call('create_key', bearer, { organization, description, roles: ['ORG_MEMBER'] })
  }
  const filters = [
    ['owner=eq.customer 42', '"apikeys"."keys"."owner" = $1', 'customer 42', ['Reports']],
    ['metadata->>plan=eq.pro', `"apikeys"."keys"."metadata"->>'plan' = $1`, 'pro', ['Reports']],
    ['metadata=cs.{"plan":"pro"}', '"apikeys"."keys"."metadata" @> $1', '{"plan":"pro"}', ['Reports']],
    ['organization_roles=eq.{ORG_OWNER}', '"apikeys"."keys"."organization_roles" = $1', '{ORG_OWNER}', ['Automation']],
    ['organization_roles=cs.{ORG_MEMBER}', '"apikeys"."keys"."organization_roles" @> $1', '{ORG_MEMBER}', ['Nightly', 'Backups']],
    ['description=ilike.n%', '"apikeys"."keys"."description" ILIKE $1', 'n%', ['Nightly']],
    ['access_list=eq.{127.0.0.1}', '"apikeys"."keys"."access_list" = $1', '{127.0.0.1}', ['Automation']],
    ['expires_at=is.null', '"apikeys"."keys"."expires_at" IS NULL AND $1 = $1', '', ['Nightly', 'Backups']],
    ['public_key=eq.unknown', '"apikeys"."keys"."public_key" = $1', 'unknown', []]
  ]
  for (const [name, condition, value, expected] of filters) {
    check(name, descriptions(await list(bearer, condition, [value])), expected)
  }

  // The next page: &or=(created_at.lt.…,and(created_at.eq.…,public_key.lt.…)).
  const first = await list(bearer, '"apikeys"."keys"."organization_id" = $1', [organization])
  check('a page', descriptions(first), ['Nightly', 'Backups'])
  const second = await list(
    bearer,
    `"apikeys"."keys"."organization_id" = $1 AND ("apikeys"."keys"."created_at" < $2
      OR ("apikeys"."keys"."created_at" = $2 AND "apikeys"."keys"."public_key" < $3))`,
    [organization, first[1].created_at, first[1].public_key]
  )
  check('and the next', descriptions(second), ['Reports', 'Automation'])

  // Change: a member of the body that is missing or null leaves it as it is.
  const changed = await call('update_key', bearer, {
    public_key: key.public_key,
    access_list: ['127.0.0.1'],
    expires_at: '2099-12-31T23:59:59Z',
    owner: null
  })
  check(
    'it is changed',
    [changed.access_list, changed.expires_at.slice(0, 4), changed.owner],
    [['127.0.0.1/32'], '2099', 'customer 42']
  )

  // The new key sees itself, and no other; it manages none.
  const its = (apiKey) => ({ authorization: `Bearer ${apiKey}` })
  const scope = { organization, description: 'More', roles: ['ORG_OWNER'] }
  check('it is bound', await call('permits', its(key.api_key), { scope: 'clusters.read' }), true)
  const refused = await call('create_key', its(key.api_key), scope)
  check('and may not create keys', refused.code, '42501')

  // Rotate.
  const renewed = await call('rotate_secret', bearer, { public_key: key.public_key })
  const asked = { scope: 'clusters.read' }
  check('the secret is rotated', await call('permits', its(`${key.public_key}.${renewed}`), asked), true)
  const denied = await call('permits', its(key.api_key), asked)
  check('and the old one denied', denied, { code: '28000', message: 'API key is not valid', details: null, hint: null })
  check('as no key is', (await call('permits', {}, asked)).code, '28000')
  for (const separator of [':', '.']) {
    const header = { 'x-api-key': key.public_key + separator + renewed }
    check('a header of its own', await call('permits', header, asked), true)
  }

  // A refusal: as PostgREST tells it, and with its identifier.
  const unknown = { public_key: 'ak_pub_unknown' }
  check('a refusal', (await call('disable_key', bearer, unknown)).code, '42704')
  check(
    'a refusal has an identifier',
    await call('stop_key', bearer, unknown, 'public').then(({ code, status }) => ({ code, status })),
    { code: 'key_not_found', status: 404 }
  )
  await client.end()
  plan()
}

main()
