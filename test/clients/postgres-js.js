// postgres (Postgres.js) asks the server for the types of the parameters: it
// sends an array where it knows the type of the array.
'use strict'
const postgres = require('postgres')
const { checks, plan } = require('./tap')

const check = checks('postgres')

async function main() {
  const sql = postgres({ max: 1 })
  const [{ acme }] = await sql`SELECT apikeys.organization(${'Acme'}) AS acme`

  // Create.
  const networks = ['203.0.113.0/24', '2001:db8::/32']
  const [key] = await sql`SELECT * FROM apikeys.create_key(${acme}, ${'Reports'}, ${['ORG_READ_ONLY']}, ${networks}::text[],
    owner => ${'customer 42'}, metadata => ${{ plan: 'pro' }})`
  check('a key is created', key.api_key, `${key.public_key}.${key.private_key}`)

  // Decide.
  const [decision] = await sql`SELECT allowed, reason, owner, metadata
    FROM apikeys.decide(${key.public_key}, ${key.private_key}, ${'203.0.113.7'}, ${'clusters.read'})`
  check('it is decided on', { ...decision }, {
    allowed: true,
    reason: 'ok',
    owner: 'customer 42',
    metadata: { plan: 'pro' }
  })
  const decideToken = async (apiKey, address, scope) =>
    (await sql`SELECT reason FROM apikeys.decide_token(${apiKey}, ${address}, ${scope})`)[0].reason
  check('and on its one string', await decideToken(key.api_key, '2001:db8::1', 'clusters.read backups.read'), 'ok')
  check('another address is denied', await decideToken(key.api_key, '192.0.2.1', 'clusters.read'), 'address_denied')

  // Change the list.
  const more = ['192.0.2.0/28', '198.51.100.0/24']
  const [added] = await sql`SELECT apikeys.add_to_access_list(${key.public_key}, ${more}::text[])::json AS networks`
  check('networks are added', added.networks, ['192.0.2.0/28', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32'])
  const [replaced] = await sql`SELECT to_json(access_list) AS networks
    FROM apikeys.update_key(${key.public_key}, access_list => ${['203.0.113.0/24']}::text[])`
  check('and replaced', replaced.networks, ['203.0.113.0/24'])

  // List, two keys on a page: each begins after the last key of the one before.
  for (const description of ['Backups', 'Nightly']) {
    await sql`SELECT * FROM apikeys.create_key(${acme}, ${description}, ${['ORG_MEMBER']})`
  }
  const page = (after) => sql`SELECT description, created_at::text AS position, public_key FROM apikeys.keys
    WHERE organization_id = ${acme} AND (created_at, public_key) < (${after.position}::text::timestamptz, ${after.public_key})
    ORDER BY created_at DESC, public_key DESC LIMIT ${2}`
  const descriptions = (keys) => keys.map(({ description }) => description)
  const first = await page({ position: 'infinity', public_key: '' })
  check('a page', descriptions(first), ['Nightly', 'Backups'])
  check('and the next', descriptions(await page(first.at(-1))), ['Reports'])

  // A key that does not expire.
  const [{ expires_at: expiresAt }] = await sql`SELECT expires_at
    FROM apikeys.update_key(${key.public_key}, expires_at => ${'infinity'}::text::timestamptz)`
  check('no end is null', expiresAt, null)

  // Rotate.
  const [{ renewed }] = await sql`SELECT apikeys.rotate_secret(${key.public_key}, ${'0'}) AS renewed`
  const reasons = []
  for (const secret of [renewed, key.private_key]) {
    reasons.push(await decideToken(`${key.public_key}.${secret}`, '203.0.113.7', 'clusters.read'))
  }
  check('the secret is rotated, and the old one denied', reasons, ['ok', 'secret_expired'])

  // A refusal.
  const refusal = await sql`SELECT apikeys.disable_key(${'ak_pub_unknown'})`.catch((error) => error)
  check('a refusal has an identifier', refusal.constraint_name, 'key_not_found')

  await sql.end()
  plan()
}

main()
