// A web service whose API keys are in PostgreSQL.
//
//   /invoices   for programs: HTTP Basic with a public and a private key, or a
//               bearer token: both in one string, or a short-lived token
//   /keys       for people, who manage their keys: a bearer token of a session
//
// In the environment, beside libpq's PGHOST, PGUSER and so on:
//   PORT, POOL   where it listens; how many connections it has
//   RATE_LIMIT   requests that a key may make in a minute
//   SESSIONS     {"token": "user", ...}: stands for the application's own login
//   TRUST_PROXY  1: the client's address is what the proxy in front has added to X-Forwarded-For
//   PREPARE      off: for a pooler that knows no prepared statements
//
// Names have their schema, and schema.sql lets nobody create temporary tables: so
// whatever else comes to a shared connection, a name means what it meant.
'use strict'
const http = require('http')
const net = require('net')
const { Pool } = require('pg')

const { PORT = 0, POOL = 10, RATE_LIMIT = 1000, SESSIONS = '{}', TRUST_PROXY, PREPARE } = process.env
const BODY_LIMIT = 65536
const pool = new Pool({ max: Number(POOL) })
const sessions = new Map(Object.entries(JSON.parse(SESSIONS)))

class HttpError extends Error {
  constructor (status, message, headers) { super(message); Object.assign(this, { status, headers }) }
}
// The same for every reason: who has proved no key learns nothing about it.
const unauthorized = (scheme = 'Basic') =>
  new HttpError(401, 'unauthorized', { 'WWW-Authenticate': `${scheme} realm="api"` })

const statement = (name, text, values) => ({ name: PREPARE === 'off' ? undefined : name, text, values })

// What is bound to a transaction ends with it: the next one has this connection.
async function transaction (work) {
  const client = await pool.connect()
  let broken
  try {
    await client.query('BEGIN')
    const result = await work((...parts) => client.query(statement(...parts)).then(({ rows }) => rows))
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch((failure) => { broken = failure })
    throw error
  } finally {
    client.release(broken)
  }
}

// --- Programs, with a key ---
const windows = new Map()
function isOverRate (publicKey) {
  const minute = Math.floor(Date.now() / 60000)
  const last = windows.get(publicKey)
  const count = last?.minute === minute ? last.count + 1 : 1
  windows.set(publicKey, { minute, count })
  return count > Number(RATE_LIMIT)
}

const bearer = (request) => /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]

const DECISION = 'd.allowed, d.reason, d.http_status, d.public_key, ceil(extract(epoch FROM d.retry_after)) AS wait'

// What the client proves its key with, and the calls that take it.
function proof (request) {
  const token = bearer(request)
  if (token !== undefined) {
    return {
      values: [token, address(request)],
      decide: ['decide_token', `SELECT ${DECISION} FROM apikeys.decide_token($1, $2, $3, $4) AS d`],
      authenticate: ['authenticate_token', 'SELECT apikeys.authenticate_token($1, $2)']
    }
  }
  const [, encoded = ''] = /^basic +([a-z0-9+/]+=*) *$/i.exec(request.headers.authorization ?? '') ?? []
  const [, publicKey = null, secret = null] = /^([^:\0]+):([^\0]+)$/.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  return {
    values: [publicKey, secret, address(request)],
    decide: ['decide', `SELECT ${DECISION} FROM apikeys.decide($1, $2, $3, $4, $5) AS d`],
    authenticate: ['authenticate', 'SELECT apikeys.authenticate($1, $2, $3)']
  }
}

function address (request) {
  const forwarded = (request.headers['x-forwarded-for'] ?? '').split(',').pop().trim()
  const client = TRUST_PROXY === '1' ? forwarded : request.socket.remoteAddress
  return net.isIP(client) ? client.replace(/%.*/, '') : null
}

// Decides, and confines the work to what the key may see.
async function asKey (request, scope, project, work) {
  const { values, decide, authenticate } = proof(request)
  const { rows: [decision] } = await pool.query(statement(...decide, [...values, scope, project]))
  if (decision.http_status === 401) throw unauthorized()
  if (!decision.allowed) {
    throw new HttpError(decision.http_status, decision.reason, decision.wait && { 'Retry-After': String(decision.wait) })
  }
  if (isOverRate(decision.public_key)) throw new HttpError(429, 'too many requests', { 'Retry-After': '60' })
  return transaction(async (query) => {
    await query(...authenticate, values)
      .catch((error) => { throw error.code === '28000' ? unauthorized() : error })
    return work(query)
  })
}

// --- People, who manage keys ---
async function asUser (request, work) {
  const token = bearer(request)
  if (!sessions.has(token)) throw unauthorized('Bearer')
  return transaction(async (query) => {
    await query('act_as', 'SELECT apikeys.act_as($1)', [`user:${sessions.get(token)}`])
    return work(query)
  })
}

// Each answers [status, body].
const routes = {
  'GET /invoices': (request, { project }) => asKey(request, 'invoices.read', project, async (query) =>
    [200, await query('invoices', 'SELECT id, amount, created_by FROM public.invoice WHERE project_id = $1 ORDER BY id', [project])]),
  'POST /invoices': (request, { project, amount }) => asKey(request, 'invoices.write', project, async (query) =>
    [201, ...await query('add_invoice', 'INSERT INTO public.invoice (project_id, amount) VALUES ($1, $2) RETURNING id', [project, amount])]),
  'GET /keys': (request) => asUser(request, async (query) => [200, await query('keys',
    `SELECT public_key, private_key, description, projects, access_list, status, created_by, last_used_at, last_used_address, expires_at
     FROM apikeys.keys ORDER BY created_at, public_key`)]),
  'POST /keys': (request, { project, description, roles, access_list: list = '{}' }) => asUser(request, async (query) =>
    [201, ...await query('create_key', 'SELECT * FROM apikeys.create_project_key($1, $2, $3, $4)', [project, description, roles, list])]),
  'PATCH /keys/': (request, { key, description, access_list: list }) => asUser(request, async (query) =>
    [204, await query('update_key', 'SELECT apikeys.update_key($1, $2, $3)', [key, description, list])]),
  'POST /keys/': (request, { key, overlap = '0' }) => asUser(request, async (query) =>
    [200, ...await query('rotate', 'SELECT apikeys.rotate_secret($1, $2) AS private_key', [key, overlap])]),
  'DELETE /keys/': (request, { key }) => asUser(request, async (query) =>
    [204, await query('delete_key', 'SELECT apikeys.delete_key($1)', [key])])
}

async function readBody (request) {
  let body = Buffer.alloc(0)
  for await (const part of request) {
    if ((body = Buffer.concat([body, part])).length > BODY_LIMIT) throw new HttpError(413, 'too large', { Connection: 'close' })
  }
  try { return Object(JSON.parse(body.toString() || '{}')) } catch { throw new HttpError(400, 'malformed') }
}

async function serve (request) {
  const [pathname, query] = request.url.split('?')
  const [, path, key] = /^(\/\w+)(?:\/([^/]+))?$/.exec(pathname) ?? []
  const place = key === undefined ? path : `${path}/`
  const route = routes[`${request.method} ${place}`]
  if (route) return route(request, { ...await readBody(request), ...Object.fromEntries(new URLSearchParams(query)), ...(key && { key }) })
  const methods = Object.keys(routes).map((name) => name.split(' ')).filter(([, other]) => other === place).map(([method]) => method)
  throw methods.length ? new HttpError(405, 'no such method', { Allow: methods.join(', ') }) : new HttpError(404, 'not found')
}

// A mistake of the client, told by the error's identifier or the class of its
// SQLSTATE; else it is ours.
function explain (error) {
  if (error instanceof HttpError) return error
  if (/^(key|project|organization)_not_found$/.test(error.constraint)) return new HttpError(404, 'not found')
  if (/^(22|23|42704)/.test(error.code)) return new HttpError(400, 'bad request')
  if (error.code === '42501') return new HttpError(403, 'forbidden')
  console.error('failed:', error.code ?? error.name)
  return new HttpError(500, 'internal error')
}

const server = http.createServer(async (request, response) => {
  const [status, body, headers] = await serve(request).catch(explain).then((result) =>
    result instanceof HttpError ? [result.status, { error: result.message }, result.headers] : result)
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
  response.end(status === 204 ? undefined : JSON.stringify(body))
})
// A connection that is lost while a request has it ends the request, and nothing else.
const noteLost = (error) => console.error('connection lost:', error.code)
pool.on('error', noteLost)
pool.on('connect', (client) => client.on('error', noteLost))
server.listen(Number(PORT), () => console.log(`listening on ${server.address().port}`))
