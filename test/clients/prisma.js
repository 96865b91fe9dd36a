// Prisma: raw queries, whose parameters have no type, and whose results must
// have no intervals; and its command that reads the schema.
'use strict'
const { execFileSync } = require('node:child_process')
const path = require('node:path')
const { checks, plan } = require('./tap')

const check = checks('Prisma')

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env
const url = `postgresql://${PGUSER}:${PGPASSWORD}@${PGHOST}:${PGPORT}/${PGDATABASE}`

const prisma = (...words) =>
  execFileSync('node', [require.resolve('prisma/build/index.js'), ...words], {
    cwd: path.join(__dirname, 'prisma'),
    env: { ...process.env, DATABASE_URL: url, CHECKPOINT_DISABLE: '1' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore']
  })

// The names of the models; those that the client leaves out.
function readModels() {
  const models = [...prisma('db', 'pull', '--print').matchAll(/^model (\w+) \{\n(.*?)^\}/gms)]
  return [models.map(([, name]) => name), models.filter(([, , body]) => /@@ignore/.test(body)).map(([, name]) => name)]
}

async function main() {
  prisma('generate')
  const { PrismaClient } = require('@prisma/client')
  const { PrismaPg } = require('@prisma/adapter-pg')
  const client = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) })
  const rows = client.$queryRaw.bind(client)
  const [{ acme }] = await rows`SELECT apikeys.organization(${'Acme'}) AS acme`

  // Create.
  const [key] = await rows`SELECT * FROM apikeys.create_key(${acme}, ${'Reports'}, ${['ORG_READ_ONLY']},
    ${['203.0.113.0/24', '2001:db8::/32']}, owner => ${'customer 42'}, metadata => ${{ plan: 'pro' }})`
  check('a key is created', key.api_key, `${key.public_key}.${key.private_key}`)

  // Decide.
  const [decision] = await rows`SELECT allowed, reason, owner, metadata
    FROM apikeys.decide(${key.public_key}, ${key.private_key}, ${'203.0.113.7'}, ${'clusters.read'})`
  check('it is decided on', decision, {
    allowed: true,
    reason: 'ok',
    owner: 'customer 42',
    metadata: { plan: 'pro' }
  })
  const decideToken = async (apiKey, address, scope) =>
    (await rows`SELECT reason FROM apikeys.decide_token(${apiKey}, ${address}, ${scope})`)[0].reason
  check('and on its one string', await decideToken(key.api_key, '2001:db8::1', 'clusters.read backups.read'), 'ok')
  check('another address is denied', await decideToken(key.api_key, '192.0.2.1', 'clusters.read'), 'address_denied')

  // Change the list.
  const [added] = await rows`SELECT to_json(apikeys.add_to_access_list(${key.public_key},
    ${['192.0.2.0/28', '198.51.100.0/24']})) AS networks`
  check('networks are added', added.networks, ['192.0.2.0/28', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32'])
  const [replaced] = await rows`SELECT to_json(access_list) AS networks
    FROM apikeys.update_key(${key.public_key}, access_list => ${['203.0.113.0/24']})`
  check('and replaced', replaced.networks, ['203.0.113.0/24'])

  // List, two keys on a page: each begins after the last key of the one before.
  for (const description of ['Backups', 'Nightly']) {
    await rows`SELECT * FROM apikeys.create_key(${acme}, ${description}, ${['ORG_MEMBER']})`
  }
  const page = (after) => rows`SELECT description, created_at::text AS position, public_key FROM apikeys.keys
    WHERE organization_id = ${acme} AND (created_at, public_key) < (${after.position}, ${after.public_key})
    ORDER BY created_at DESC, public_key DESC LIMIT ${2}`
  const descriptions = (keys) => keys.map(({ description }) => description)
  const first = await page({ position: 'infinity', public_key: '' })
  check('a page', descriptions(first), ['Nightly', 'Backups'])
  check('and the next', descriptions(await page(first.at(-1))), ['Reports'])

  // A key that does not expire.
  const [{ expires_at: expiresAt }] = await rows`SELECT expires_at
    FROM apikeys.update_key(${key.public_key}, expires_at => ${'infinity'})`
  check('no end is null', expiresAt, null)

  // Rotate.
  const [{ renewed }] = await rows`SELECT apikeys.rotate_secret(${key.public_key}, ${'0'}) AS renewed`
  const reasons = []
  for (const secret of [renewed, key.private_key]) {
    reasons.push(await decideToken(`${key.public_key}.${secret}`, '203.0.113.7', 'clusters.read'))
  }
  check('the secret is rotated, and the old one denied', reasons, ['ok', 'secret_expired'])

  // A refusal.
  const refusal = await rows`SELECT apikeys.disable_key(${'ak_pub_unknown'})`.catch((error) => error)
  check('a refusal has its SQLSTATE', refusal.meta.driverAdapterError.cause.originalCode, '42704')
  await client.$disconnect()

  // Read the schema.
  const [models, ignored] = readModels()
  check('the schema is read', ['key', 'organization', 'project', 'role'].filter((name) => !models.includes(name)), [])
  check('tables are left out where a key may be NULL or of a type that Prisma lacks', ignored, [
    'key_network',
    'key_role',
    'key_role_usage',
    'key_usage'
  ])
  plan()
}

main()
