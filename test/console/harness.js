// What the tests of the console share: a database with two organizations, the
// console as a process of its own, and a client that keeps a cookie.
//
// PGHOST and PGPORT say where the server is, which has the extension preloaded.
'use strict'
const { spawn } = require('node:child_process')
const { readFileSync } = require('node:fs')
const path = require('node:path')
const { Pool } = require('pg')

const CONSOLE = path.join(__dirname, '../demo/console')
const DATABASE = 'console_test'
const USERS = ['anna', 'bert', 'gustav', 'dora', 'mallory']
const passwordOf = (user) => `password of ${user}`

let admin
const processes = []

// One statement as a superuser; its rows.
const sql = async (text, values) => (await admin.query(text, values)).rows
const value = async (text, values) => Object.values((await sql(text, values))[0])[0]

// Runs work() while a key is locked, as another change of it would.
async function whileLocked(publicKey, work) {
  const client = await admin.connect()
  try {
    await client.query('BEGIN')
    await client.query('SELECT FROM apikeys.key WHERE public_key = $1 FOR UPDATE', [publicKey])
    return await work()
  } finally {
    await client.query('ROLLBACK')
    client.release()
  }
}

// Acme with two projects: anna owns it, bert is user administrator of one
// project, gustav reads. Globex is dora's. Mallory is nobody's member.
async function setUp() {
  const root = new Pool({ user: 'postgres', database: 'postgres', max: 1 })
  await root.query(`DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`)
  await root.query('DROP ROLE IF EXISTS console')
  await root.query(`CREATE DATABASE ${DATABASE}`)
  await root.end()
  admin = new Pool({ user: 'postgres', database: DATABASE, max: 2 })
  await sql('CREATE EXTENSION apikeys')
  await sql(readFileSync(path.join(CONSOLE, 'schema.sql'), 'utf8'))
  const acme = await value("SELECT apikeys.create_organization('Acme', 'user:anna')")
  const globex = await value("SELECT apikeys.create_organization('Globex', 'user:dora')")
  const production = await value("SELECT apikeys.create_project($1, 'production')", [acme])
  const staging = await value("SELECT apikeys.create_project($1, 'staging')", [acme])
  const website = await value("SELECT apikeys.create_project($1, 'website')", [globex])
  await sql("SELECT apikeys.add_member($1, 'user:bert', 'GROUP_USER_ADMIN', $2)", [acme, production])
  await sql("SELECT apikeys.add_member($1, 'user:gustav', 'ORG_READ_ONLY')", [acme])
  return { acme, globex, production, staging, website }
}

// Starts the console; { url, output() }.
async function start(variables = {}) {
  const child = spawn('node', [path.join(CONSOLE, 'server.js')], {
    env: {
      ...process.env,
      PGUSER: 'console',
      PGDATABASE: DATABASE,
      PORT: '0',
      CONSOLE_USERS: JSON.stringify(Object.fromEntries(USERS.map((user) => [user, passwordOf(user)]))),
      ...variables
    }
  })
  processes.push(child)
  let output = ''
  const url = await new Promise((resolve, reject) => {
    const read = (part) => {
      output += part
      const [, found] = /listening on (\S+)/.exec(output) ?? []
      if (found) resolve(found)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('exit', () => reject(new Error(`the console ended: ${output}`)))
  })
  return { url, output: () => output }
}

async function tearDown() {
  for (const child of processes) child.kill()
  await admin.end()
}

// A browser without JavaScript: keeps the cookie, follows redirects by hand.
class Client {
  constructor(url) {
    Object.assign(this, { url, cookie: '', token: '' })
  }

  async ask(method, target, body, headers = {}) {
    const response = await fetch(new URL(target, this.url), {
      method,
      body,
      redirect: 'manual',
      headers: { ...(this.cookie && { cookie: this.cookie }), ...headers }
    })
    // The console sets one cookie at a time.
    this.cookie = response.headers.get('set-cookie')?.split(';')[0] ?? this.cookie
    const text = await response.text()
    this.token = /name="_token" value="([^"]*)"/.exec(text)?.[1] ?? this.token
    return { status: response.status, text, headers: response.headers, location: response.headers.get('location') }
  }

  get(target, headers) {
    return this.ask('GET', target, undefined, headers)
  }

  // Sends a form with the token of the last page; fields are pairs.
  post(target, fields = {}, headers = {}) {
    const form = new URLSearchParams({ _token: this.token })
    for (const [name, field] of Object.entries(fields)) for (const one of [field].flat()) form.append(name, one)
    return this.ask('POST', target, form, headers)
  }

  // Sends a form, and shows the page that it leads to.
  async submit(target, fields) {
    const response = await this.post(target, fields)
    return response.status === 303 ? { ...(await this.get(response.location)), location: response.location } : response
  }

  async signIn(user) {
    await this.get('/sign-in')
    return this.submit('/sign-in', { user, password: passwordOf(user) })
  }
}

// A new key that takes HTTP Digest, as create_key answers.
async function takeDigest({ public_key: publicKey }) {
  await sql("SELECT apikeys.enable_digest($1, 'apikeys')", [publicKey])
  const privateKey = await value('SELECT apikeys.rotate_secret($1)', [publicKey])
  return { public_key: publicKey, private_key: privateKey, api_key: `${publicKey}.${privateKey}` }
}

module.exports = { CONSOLE, DATABASE, setUp, start, tearDown, sql, value, whileLocked, Client, takeDigest, passwordOf, USERS }
