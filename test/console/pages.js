// The procedures of the pages, with forms and links alone.
'use strict'
const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const { setUp, start, tearDown, sql, value, Client } = require('./harness')

let places, url
before(async () => {
  places = await setUp()
  ;({ url } = await start())
})
after(tearDown)

async function signedIn(user) {
  const client = new Client(url)
  assert.equal((await client.signIn(user)).status, 200)
  return client
}

const identifierOf = ({ text }) => /role="alert">.*?<code>(\w+)<\/code>/s.exec(text)?.[1]
const decide = async (publicKey, privateKey, address = '203.0.113.7') =>
  value('SELECT reason FROM apikeys.decide($1, $2, $3::inet, $4)', [
    publicKey,
    privateKey,
    address,
    'organization.read'
  ])

const proves = async (...key) => ['ok', 'scope_denied'].includes(await decide(...key))

// Sends a form that is accepted; the page that it leads to.
async function accept(client, target, fields) {
  const page = await client.submit(target, fields)
  assert.equal(page.status, 200, `${target}: ${page.text}`)
  assert.ok(page.location, `${target} has led to another page`)
  return page
}

async function refuse(client, identifier, target, fields) {
  const page = await client.submit(target, fields)
  assert.equal(identifierOf(page), identifier, target)
  assert.ok(page.status >= 400 && page.status < 500)
  return page
}

for (const [user, kind, role, other] of [
  ['anna', 'organization', 'ORG_READ_ONLY', 'ORG_MEMBER'],
  ['anna', 'project', 'GROUP_READ_ONLY', 'GROUP_BACKUP_ADMIN'],
  ['bert', 'project', 'GROUP_READ_ONLY', 'GROUP_BACKUP_ADMIN']
]) {
  test(`the life of a key of the ${kind}, by ${user}`, async () => {
    const client = await signedIn(user)
    const base = `/${kind}s/${kind === 'project' ? places.production : places.acme}`
    const created = await accept(client, `${base}/keys`, {
      description: 'by a form',
      roles: [role],
      expires: '2099-12-31'
    })
    const [privateKey] = /ak_sec_\w{49}/.exec(created.text)
    const publicKey = created.location.split('/').at(-2)
    const key = `${base}/keys/${publicKey}`
    assert.ok(await proves(publicKey, privateKey))
    assert.deepEqual(
      await sql('SELECT expires_at::text, created_by FROM apikeys.key WHERE public_key = $1', [publicKey]),
      [{ expires_at: await value("SELECT '2099-12-31 23:59:59+00'::timestamptz::text"), created_by: `user:${user}` }]
    )

    await accept(client, `${key}/access-list`, { network: '203.0.113.0/24' })
    await accept(client, `${key}/access-list/current`)
    await refuse(client, 'invalid_access_list', `${key}/access-list`, { network: '203.0.113.1/24' })
    await accept(client, `${key}/secret`)

    await accept(client, key, { description: 'changed', expires: '2099-12-31', expires_was: '2099-12-31' })
    await refuse(client, 'invalid_description', key, { description: '' })
    await accept(client, key, { description: 'changed', expires: '', expires_was: '2099-12-31' })
    assert.equal(await value('SELECT expires_at FROM apikeys.key WHERE public_key = $1', [publicKey]), null)
    await accept(client, `${key}/roles`, { roles: [role, other] })
    await accept(client, `${key}/access-list/remove`, { entry: '127.0.0.1/32' })
    await refuse(client, 'last_entry', `${key}/access-list/remove`, { entry: '203.0.113.0/24' })
    assert.match((await client.get(key)).text, new RegExp(`value="${other}" checked`))

    const rotated = await accept(client, `${key}/rotate`, { overlap: '1 day' })
    const [newKey] = /ak_sec_\w{49}/.exec(rotated.text)
    assert.notEqual(newKey, privateKey)
    assert.ok(await proves(publicKey, privateKey))
    await accept(client, `${key}/secret`)
    await accept(client, `${key}/revoke`, { version: '1' })
    assert.equal(await decide(publicKey, privateKey), 'secret_expired')
    await refuse(client, 'last_secret', `${key}/revoke`, { version: '2' })
    await refuse(client, 'overlap_too_long', `${key}/rotate`, { overlap: '30 days' })

    assert.match((await client.get(`${key}/confirm/clear`)).text, /Open to every address/)
    await accept(client, `${key}/clear`)
    await accept(client, `${key}/disable`, { reason: 'a reason' })
    assert.equal(await decide(publicKey, newKey), 'key_disabled')
    assert.match((await client.get(key)).text, /a reason/)
    await accept(client, `${key}/enable`)
    // A user who reads the project's events alone sees what happened there, and not what happened to the key.
    const { text: audit } = await client.get(`${base}/audit?key=${publicKey}&principal=user:${user}`)
    assert.match(audit, user === 'bert' ? /key\.created/ : /key\.enabled/)
    const explained = await client.get(`${base}/explain?key=${publicKey}&address=192.0.2.1&scope=clusters.delete`)
    assert.match(explained.text, /Denied: scope_denied/)

    assert.match((await client.get(`${key}/confirm/delete`)).text, /never used again/)
    await accept(client, `${key}/delete`)
    assert.equal((await client.get(key)).status, 404)
    assert.equal(await decide(publicKey, newKey), 'unknown_key')
  })
}

test('keys are assigned to projects, and removed from them', async () => {
  const client = await signedIn('anna')
  const publicKey = await value("SELECT public_key FROM apikeys.create_key($1, 'shared', '{ORG_MEMBER}')", [
    places.acme
  ])
  await accept(client, `/organizations/${places.acme}/keys/${publicKey}/assign`, {
    project: places.staging,
    roles: ['GROUP_OWNER']
  })
  assert.match((await client.get(`/projects/${places.staging}/keys`)).text, new RegExp(publicKey))
  await refuse(client, 'project_not_found', `/organizations/${places.acme}/keys/${publicKey}/assign`, {
    project: places.website,
    roles: ['GROUP_OWNER']
  })
  await accept(client, `/projects/${places.staging}/keys/${publicKey}/remove`)
  assert.doesNotMatch((await client.get(`/projects/${places.staging}/keys`)).text, new RegExp(publicKey))
  assert.equal((await client.get(`/organizations/${places.acme}/keys/${publicKey}`)).status, 200)
})

test('members come and go', async () => {
  const client = await signedIn('anna')
  for (const [base, role] of [
    [`/organizations/${places.acme}`, 'ORG_MEMBER'],
    [`/projects/${places.staging}`, 'GROUP_READ_ONLY']
  ]) {
    assert.match((await accept(client, `${base}/members`, { principal: 'user:emil', role })).text, /user:emil/)
    assert.match(
      (await accept(client, `${base}/members`, { principal: 'user:emil', role })).text,
      /has the role already/
    )
    assert.doesNotMatch(
      (await accept(client, `${base}/members/remove`, { principal: 'user:emil', role })).text,
      /user:emil/
    )
  }
  await refuse(client, 'invalid_principal', `/organizations/${places.acme}/members`, {
    principal: 'emil',
    role: 'ORG_MEMBER'
  })
  await refuse(client, 'last_owner', `/organizations/${places.acme}/members/remove`, {
    principal: 'user:anna',
    role: 'ORG_OWNER'
  })
})

test('what was typed in survives a refusal, and roles that are too much are refused', async () => {
  const client = await signedIn('bert')
  const page = await refuse(client, 'permission_denied', `/organizations/${places.acme}/keys`, {
    description: 'too "much"',
    roles: ['ORG_OWNER']
  })
  assert.match(page.text, /value="too &quot;much&quot;"/)
  assert.match(page.text, /value="ORG_OWNER" checked/)
  await refuse(client, 'roles_missing', `/projects/${places.production}/keys`, { description: 'no role' })
})

test('an organization that requires lists says so', async () => {
  const client = await signedIn('anna')
  await sql('SELECT apikeys.set_organization_policy($1, require_access_list => true)', [places.acme])
  const created = await accept(client, `/organizations/${places.acme}/keys`, {
    description: 'no list yet',
    roles: ['ORG_MEMBER']
  })
  const key = created.location.replace(/\/secret$/, '')
  await accept(client, `${key}/access-list/current`)
  await refuse(client, 'access_list_required', `${key}/clear`)
})

test('pages are turned, and nothing is missed or shown twice', async () => {
  const organization = await value("SELECT apikeys.create_organization('Many', 'user:anna')")
  await sql("SELECT count(apikeys.create_key($1, 'key ' || n, '{ORG_MEMBER}')) FROM generate_series(1, 55) AS n", [
    organization
  ])
  const client = await signedIn('anna')
  const seen = []
  let target = `/organizations/${organization}/keys`
  for (let pages = 0; target; pages++) {
    const { text } = await client.get(target)
    seen.push(...[...text.matchAll(/<th scope="row".*?>(key \d+)</g)].map(([, name]) => name))
    target = /rel="next" href="([^"]*)"/.exec(text)?.[1].replaceAll('&amp;', '&')
    assert.ok(pages < 3)
  }
  assert.equal(new Set(seen).size, 55)
  assert.equal(seen.length, 55)
  assert.equal(
    (await client.get(`/organizations/${organization}/keys?search=KEY+5`)).text.match(/<th scope="row"/g).length,
    7
  )
})
