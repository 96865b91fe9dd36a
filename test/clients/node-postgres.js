// node-postgres sends all as text without a type: arrays as PostgreSQL's,
// objects as JSON.
'use strict'
const { Client } = require('pg')
const { checks, plan } = require('./tap')

const check = checks('node-postgres')

async function main() {
  const client = new Client()
  await client.connect()
  const rows = async (text, values) => (await client.query(text, values)).rows
  const [{ acme }] = await rows('SELECT apikeys.organization($1) AS acme', ['Acme'])

  // Create.
  const [key] = await rows('SELECT * FROM apikeys.create_key($1, $2, $3, $4, owner => $5, metadata => $6)', [
    acme,
    'Reports',
    ['ORG_READ_ONLY'],
    ['203.0.113.0/24', '2001:db8::/32'],
    'customer 42',
    { plan: 'pro' }
  ])
  check('a key is created', key.api_key, `${key.public_key}.${key.private_key}`)

  // Decide.
  const [decision] = await rows('SELECT allowed, reason, owner, metadata FROM apikeys.decide($1, $2, $3, $4)', [
    key.public_key,
    key.private_key,
    '203.0.113.7',
    'clusters.read'
  ])
  check('it is decided on', decision, {
    allowed: true,
    reason: 'ok',
    owner: 'customer 42',
    metadata: { plan: 'pro' }
  })
  const decideToken = async (...values) =>
    (await rows('SELECT reason FROM apikeys.decide_token($1, $2, $3)', values))[0].reason
  check('and on its one string', await decideToken(key.api_key, '2001:db8::1', 'clusters.read backups.read'), 'ok')
  check('another address is denied', await decideToken(key.api_key, '192.0.2.1', 'clusters.read'), 'address_denied')

  // Change the list.
  const [added] = await rows('SELECT apikeys.add_to_access_list($1, $2)::json AS networks', [
    key.public_key,
    ['192.0.2.0/28', '198.51.100.0/24']
  ])
  check('networks are added', added.networks, ['192.0.2.0/28', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32'])
  const [replaced] = await rows('SELECT to_json(access_list) AS networks FROM apikeys.update_key($1, access_list => $2)', [
    key.public_key,
    ['203.0.113.0/24']
  ])
  check('and replaced', replaced.networks, ['203.0.113.0/24'])

  // List, two keys on a page: each begins after the last key of the one before.
  for (const description of ['Backups', 'Nightly']) {
    await rows('SELECT * FROM apikeys.create_key($1, $2, $3)', [acme, description, ['ORG_MEMBER']])
  }
  const page = (after) =>
    rows(
      `SELECT description, created_at::text AS position, public_key FROM apikeys.keys
       WHERE organization_id = $1 AND (created_at, public_key) < ($2, $3)
       ORDER BY created_at DESC, public_key DESC LIMIT $4`,
      [acme, after.position, after.public_key, 2]
    )
  const descriptions = (keys) => keys.map(({ description }) => description)
  const first = await page({ position: 'infinity', public_key: '' })
  check('a page', descriptions(first), ['Nightly', 'Backups'])
  check('and the next', descriptions(await page(first.at(-1))), ['Reports'])

  // A key that does not expire.
  const [{ expires_at: expiresAt }] = await rows('SELECT expires_at FROM apikeys.update_key($1, expires_at => $2)', [
    key.public_key,
    'infinity'
  ])
  check('no end is null', expiresAt, null)

  // Rotate.
  const [{ renewed }] = await rows('SELECT apikeys.rotate_secret($1, $2) AS renewed', [key.public_key, '0'])
  const reasons = []
  for (const secret of [renewed, key.private_key]) {
    reasons.push(await decideToken(`${key.public_key}.${secret}`, '203.0.113.7', 'clusters.read'))
  }
  check('the secret is rotated, and the old one denied', reasons, ['ok', 'secret_expired'])

  // A refusal.
  const refusal = await rows('SELECT apikeys.disable_key($1)', ['ak_pub_unknown']).catch((error) => error)
  check('a refusal has an identifier', refusal.constraint, 'key_not_found')

  await client.end()
  plan()
}

main()
