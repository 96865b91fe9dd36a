// The HTTP API of MongoDB's Cloud Manager for API keys, as its command-line client
// speaks it: the same paths, fields, paging, status and error codes. The client
// proves a key (HTTP Digest, Basic, or Bearer with the one string), and manages with
// the rights of that key. Differences are listed in README.md.
'use strict'
const express = require('express')
const { asKey, asToken, asDigest, challenge, REALM } = require('./database')
const { UUID } = require('./place')
const { addressOf, isEntry } = require('./request')
const { KEY_ROWS, ENTRY_ROWS, keyJson, entryJson, pageOf, pageJson } = require('./api-json')

const NETWORKS = 200 // that a request adds at most

class ApiError extends Error {
  constructor(status, errorCode, detail, parameters = []) {
    super(detail)
    Object.assign(this, { status, errorCode, parameters })
  }
}

// --- Who asks ---

// Runs work(query) as the key of the request.
function identified(request, work) {
  const { authorization = '' } = request.headers
  if (/^digest /i.test(authorization))
    return asDigest(authorization, request.method, request.originalUrl, addressOf(request), work)
  const [, scheme = '', credentials = ''] =
    /^(basic|bearer) +([\w.~+/-]+=*) *$/i.exec(authorization) ?? []
  if (/^bearer$/i.test(scheme)) return asToken(credentials, addressOf(request), work)
  const [, publicKey, privateKey] = /^([^:\0]+):([^\0]+)$/.exec(Buffer.from(credentials, 'base64').toString()) ?? []
  if (!publicKey) throw new ApiError(401, 'UNAUTHORIZED', 'You are not authorized for this resource.')
  return asKey(publicKey, privateKey, addressOf(request), work)
}

// --- Where ---

async function requireOrganization({ query, params }) {
  const [row] = UUID.test(params.org) ? await query('SELECT FROM apikeys.organization WHERE id = $1', [params.org]) : []
  if (!row) throw new ApiError(404, 'ORG_NOT_FOUND', 'There is no such organization.', [params.org])
}

async function requireProject({ query, params }) {
  const [row] = UUID.test(params.group) ? await query('SELECT FROM apikeys.project WHERE id = $1', [params.group]) : []
  if (!row) throw new ApiError(404, 'GROUP_NOT_FOUND', 'There is no such project.', [params.group])
}

// The key as JSON; it has to be of the organization, or of the project's.
async function findKey({ query, params, root }, publicKey = params.key) {
  const [row] = await query(
    `${KEY_ROWS} WHERE k.public_key = $1
       AND k.organization_id = coalesce($2::uuid, (SELECT p.organization_id FROM apikeys.project AS p WHERE p.id = $3))`,
    [publicKey, params.org ?? null, params.group ?? null]
  )
  if (!row) throw new ApiError(404, 'API_KEY_NOT_FOUND', 'There is no such API key.', [publicKey])
  return keyJson(row, root)
}

const isInProject = (key, { group }) => key.roles.some(({ groupId }) => groupId === group)

// --- Keys of an organization ---

async function listKeys(context) {
  const { query, params, root } = context
  await requireOrganization(context)
  const [limit, offset] = pageOf(context.search)
  const rows = await query(
    `${KEY_ROWS} WHERE k.organization_id = $1 ORDER BY k.created_at DESC, k.public_key DESC LIMIT $2 OFFSET $3`,
    [params.org, limit, offset]
  )
  const [{ count }] = await query('SELECT count(*) FROM apikeys.key WHERE organization_id = $1', [params.org])
  return pageJson(
    context,
    rows.map((row) => keyJson(row, root)),
    count
  )
}

async function createKey(context) {
  const { query, params, body } = context
  await requireOrganization(context)
  const [created] = await query('SELECT public_key, private_key FROM apikeys.create_key($1, $2, $3)', [
    params.org,
    description(body),
    roles(body)
  ])
  return { ...(await findKey(context, created.public_key)), privateKey: created.private_key }
}

async function changeKey(context) {
  const { query, params, body } = context
  await findKey(context)
  if (body.desc !== undefined)
    await query('SELECT FROM apikeys.update_key($1, description => $2)', [params.key, description(body)])
  if (body.roles !== undefined)
    await query('SELECT FROM apikeys.set_organization_roles($1, $2)', [params.key, roles(body)])
  return findKey(context)
}

async function deleteKey(context) {
  await findKey(context)
  await context.query('SELECT apikeys.delete_key($1)', [context.params.key])
}

// --- Keys of a project ---

async function listProjectKeys(context) {
  const { query, params, root } = context
  await requireProject(context)
  const [limit, offset] = pageOf(context.search)
  const inProject = 'public_key IN (SELECT r.public_key FROM apikeys.key_role AS r WHERE r.project_id = $1)'
  const rows = await query(
    `${KEY_ROWS} WHERE k.${inProject} ORDER BY k.created_at DESC, k.public_key DESC LIMIT $2 OFFSET $3`,
    [params.group, limit, offset]
  )
  const [{ count }] = await query(`SELECT count(*) FROM apikeys.key WHERE ${inProject}`, [params.group])
  return pageJson(
    context,
    rows.map((row) => keyJson(row, root)),
    count
  )
}

async function createProjectKey(context) {
  const { query, params, body } = context
  await requireProject(context)
  const [created] = await query('SELECT public_key, private_key FROM apikeys.create_project_key($1, $2, $3)', [
    params.group,
    description(body),
    roles(body)
  ])
  return { ...(await findKey(context, created.public_key)), privateKey: created.private_key }
}

async function assignKey(context) {
  const { query, params, body } = context
  await requireProject(context)
  if (isInProject(await findKey(context), params))
    throw new ApiError(409, 'API_KEY_ALREADY_IN_GROUP', 'The API key is in the project already.', [
      params.key,
      params.group
    ])
  await query('SELECT FROM apikeys.set_project_roles($1, $2, $3)', [
    params.key,
    params.group,
    roles(Array.isArray(body) ? body[0] : body)
  ])
  return findKey(context)
}

async function changeProjectKey(context) {
  const { query, params, body } = context
  await requireProject(context)
  await findKey(context)
  if (body.desc !== undefined)
    await query('SELECT FROM apikeys.update_key($1, description => $2)', [params.key, description(body)])
  if (body.roles !== undefined)
    await query('SELECT FROM apikeys.set_project_roles($1, $2, $3)', [params.key, params.group, roles(body)])
  return findKey(context)
}

async function unassignKey(context) {
  await requireProject(context)
  await findKey(context)
  await context.query('SELECT FROM apikeys.remove_from_project($1, $2)', [context.params.key, context.params.group])
}

// --- Access lists ---

async function listEntries(context) {
  const { query, params, url } = context
  await findKey(context)
  const [limit, offset] = pageOf(context.search)
  const rows = await query(`${ENTRY_ROWS} WHERE e.public_key = $1 ORDER BY e.network LIMIT $2 OFFSET $3`, [
    params.key,
    limit,
    offset
  ])
  const [{ count }] = await query(
    'SELECT apikeys.cardinality(access_list) AS count FROM apikeys.key WHERE public_key = $1',
    [params.key]
  )
  return pageJson(
    context,
    rows.map((row) => entryJson(row, url)),
    count
  )
}

async function findEntry(context) {
  const { query, params } = context
  await findKey(context)
  const [row] = await query(`${ENTRY_ROWS} WHERE e.public_key = $1 AND e.network = $2::text::cidr`, [
    params.key,
    params.entry
  ])
  if (!row)
    throw new ApiError(404, 'API_KEY_ACCESS_LIST_NOT_FOUND', 'The address is not in the access list of the API key.', [
      params.entry
    ])
  return row
}

const getEntry = async (context) => entryJson(await findEntry(context), context.url.replace(/\/[^/]*$/, ''))

const invalidEntries = (detail) => new ApiError(400, 'BAD_ACCESS_LIST_ADD_REQUEST', detail)

// All in one call, which writes the list once.
async function addEntries(context) {
  const { query, params, body } = context
  await findKey(context)
  const entries = [body].flat()
  if (entries.length > NETWORKS) throw invalidEntries(`A request adds ${NETWORKS} entries at most.`)
  const networks = entries.map((entry) => {
    const { ipAddress, cidrBlock } = Object(entry)
    if ((ipAddress === undefined) === (cidrBlock === undefined))
      throw invalidEntries('Exactly one of ipAddress and cidrBlock has to be there.')
    const network = ipAddress ?? cidrBlock
    if (typeof network !== 'string') throw invalidEntries('ipAddress and cidrBlock are strings.')
    if (!isEntry(network)) throw invalidEntries('An entry is one address or one network.')
    return network
  })
  await query('SELECT apikeys.add_to_access_list($1, $2::text[])', [params.key, networks])
  return listEntries(context)
}

// In the model the last entry can be removed, too, which opens the key to every
// address, but not by that key; here that is another call. A change of nothing locks
// the key, so that an entry which is added meanwhile is not lost.
async function removeEntry(context) {
  const { query, params } = context
  await findEntry(context)
  await query('SELECT FROM apikeys.update_key($1)', [params.key])
  const { network, is_last: isLast, is_own: isOwn } = await findEntry(context)
  if (isLast && isOwn)
    throw new ApiError(
      400,
      'CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST',
      'The caller cannot be removed from its own access list.',
      [network]
    )
  if (isLast) await query("SELECT FROM apikeys.update_key($1, access_list => '{}')", [params.key])
  else await query('SELECT apikeys.remove_from_access_list($1, $2::text)', [params.key, network])
}

// --- What comes in ---

function description({ desc }) {
  if (typeof desc !== 'string') throw new ApiError(400, 'MISSING_ATTRIBUTE', 'The attribute desc is missing.', ['desc'])
  return desc
}

function roles(body) {
  if (!Array.isArray(body?.roles))
    throw new ApiError(400, 'MISSING_ATTRIBUTE', 'The attribute roles is missing.', ['roles'])
  if (!body.roles.every((role) => typeof role === 'string'))
    throw new ApiError(400, 'INVALID_ATTRIBUTE', 'The attribute roles is an array of strings.', ['roles'])
  return body.roles
}

// --- What goes out ---

// A refusal of the database by its identifier: [status, errorCode].
const CODES = {
  key_not_found: [404, 'API_KEY_NOT_FOUND'],
  organization_not_found: [404, 'ORG_NOT_FOUND'],
  project_not_found: [404, 'GROUP_NOT_FOUND'],
  key_not_in_project: [404, 'API_KEY_NOT_IN_GROUP'],
  role_not_found: [400, 'INVALID_ENUM_VALUE'],
  role_level_mismatch: [400, 'INVALID_ENUM_VALUE'],
  role_not_grantable: [403, 'USER_UNAUTHORIZED'],
  permission_denied: [403, 'USER_UNAUTHORIZED'],
  invalid_description: [400, 'INVALID_ATTRIBUTE'],
  invalid_access_list: [400, 'INVALID_IP_ADDRESS_OR_CIDR_NOTATION'],
  own_address: [400, 'CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST'],
  access_list_required: [400, 'ACCESS_LIST_REQUIRED'],
  too_many_keys: [400, 'MAX_API_KEYS_PER_ORG_EXCEEDED']
}

function toApiError(error) {
  if (error instanceof ApiError) return error
  // Of a key that is not proved nothing is told; else the detail names the reason.
  if (error.constraint === 'key_not_valid' || error.constraint === 'nonce_not_valid')
    return new ApiError(401, 'UNAUTHORIZED', 'You are not authorized for this resource.')
  if (error.constraint === 'key_denied')
    return /address_denied/.test(error.detail)
      ? new ApiError(403, 'IP_ADDRESS_NOT_ON_ACCESS_LIST', 'The address may not access this resource.')
      : new ApiError(403, 'API_KEY_DENIED', error.detail)
  const [status, code] = CODES[error.constraint] ?? []
  if (status) return new ApiError(status, code, error.message)
  if (/^(22|54)/.test(error.code))
    return new ApiError(400, 'VALIDATION_ERROR', error.constraint ? error.message : 'A value cannot be used.')
  if (/^(23|40001|2BP01|55000)/.test(error.code) && error.constraint !== 'not_preloaded')
    return new ApiError(409, 'CONFLICT', error.message)
  if (error.status === 503) return new ApiError(503, 'SERVICE_UNAVAILABLE', error.message)
  if (error.status === 504) return new ApiError(504, 'IN_DOUBT', error.message)
  if (error.status === 413) return new ApiError(413, 'REQUEST_TOO_LARGE', 'The request is too long.')
  if (error.status >= 400 && error.status < 500) return new ApiError(400, 'INVALID_JSON', 'The request is no JSON.')
  console.error('failed:', error.code ?? error.name)
  return new ApiError(500, 'UNEXPECTED_ERROR', 'Something went wrong.')
}

const REASONS = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
  504: 'Gateway Timeout'
}

function createApi() {
  const router = express.Router()
  router.use(express.json({ limit: '64kb', type: ['application/json', 'application/*+json'] }))

  const route = (method, path, work) =>
    router[method](path, async (request, response) => {
      const root = `${request.protocol}://${request.headers.host}${request.baseUrl}`
      const result = await identified(request, (query) =>
        work({
          query,
          params: request.params,
          search: request.query,
          body: request.body ?? {},
          root,
          url: `${root}${request.path.replace(/\/$/, '')}`
        })
      )
      if (result === undefined) response.status(204).end()
      else response.json(result)
    })
  route('get', '/orgs/:org/apiKeys', listKeys)
  route('post', '/orgs/:org/apiKeys', createKey)
  route('get', '/orgs/:org/apiKeys/:key', (context) => findKey(context))
  route('patch', '/orgs/:org/apiKeys/:key', changeKey)
  route('delete', '/orgs/:org/apiKeys/:key', deleteKey)
  for (const name of ['accessList', 'whitelist']) {
    route('get', `/orgs/:org/apiKeys/:key/${name}`, listEntries)
    route('post', `/orgs/:org/apiKeys/:key/${name}`, addEntries)
    route('get', `/orgs/:org/apiKeys/:key/${name}/:entry`, getEntry)
    route('delete', `/orgs/:org/apiKeys/:key/${name}/:entry`, removeEntry)
  }
  route('get', '/groups/:group/apiKeys', listProjectKeys)
  route('post', '/groups/:group/apiKeys', createProjectKey)
  route('post', '/groups/:group/apiKeys/:key', assignKey)
  route('patch', '/groups/:group/apiKeys/:key', changeProjectKey)
  route('delete', '/groups/:group/apiKeys/:key', unassignKey)

  router.use((request) => {
    throw new ApiError(404, 'RESOURCE_NOT_FOUND', 'There is no such resource.', [request.path])
  })
  router.use(async (error, request, response, next) => {
    const { status, errorCode, parameters, message } = toApiError(error)
    if (status === 401)
      response.set('WWW-Authenticate', [
        ...(await challenge(error.constraint === 'nonce_not_valid')),
        `Basic realm="${REALM}", charset="UTF-8"`
      ])
    response.status(status).json({ detail: message, error: status, errorCode, parameters, reason: REASONS[status] })
  })
  return router
}

module.exports = { createApi }
