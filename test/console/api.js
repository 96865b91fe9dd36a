// The requests that the model's command-line client was recorded with, in the same
// order, by each of the clients: shapes, status and error codes.
'use strict'
const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const { setUp, start, tearDown, sql, value, takeDigest } = require('./harness')
const { CLIENTS } = require('./clients')

const VARIANTS = [
  ...Object.keys(CLIENTS).map((name) => ['/api/public/v1.0', name]),
  ['/api/atlas/v2', 'Basic'],
  ['/api/atlas/v2', 'curl --digest']
]
const preparations = []
let url
before(async () => {
  await setUp()
  ;({ url } = await start())
  for (const prepare of preparations) await prepare()
})
after(tearDown)

for (const [prefix, client] of VARIANTS) {
  const { call, isDigest } = CLIENTS[client]
  const title = (text) => `${text} (${prefix}, ${client})`
  // Keys take Digest where they opt in.
  const prepared = (key) => (isDigest ? takeDigest(key) : key)
  let places, owner, root
  const ask = (method, target, body) => call(url, owner, method, target, body)
  const of = (...parts) => [root, ...parts].join('/')

  // An organization, two projects, and the key that calls.
  preparations.push(async () => {
    const acme = await value("SELECT apikeys.create_organization($1, 'user:anna')", [title('organization')])
    const [production, staging] = [
      await value("SELECT apikeys.create_project($1, 'one')", [acme]),
      await value("SELECT apikeys.create_project($1, 'two')", [acme])
    ]
    places = { acme, production, staging }
    ;[owner] = await sql("SELECT * FROM apikeys.create_key($1, 'the caller', '{ORG_OWNER}', '{127.0.0.1}')", [acme])
    owner = await prepared(owner)
    root = `${prefix}/orgs/${acme}/apiKeys`
  })

  const refused = async (expected, code, ...request) => {
    const { status, json } = await ask(...request)
    assert.deepEqual([status, json.error, json.errorCode], [expected, expected, code])
    assert.equal(typeof json.detail, 'string')
    assert.equal(typeof json.reason, 'string')
    assert.ok(Array.isArray(json.parameters))
  }

  test(title('creates, lists, changes, describes and deletes a key of an organization'), async () => {
    const { status, json: created } = await ask('POST', root, { desc: 'e2e', roles: ['ORG_READ_ONLY'] })
    assert.equal(status, 200)
    assert.deepEqual(Object.keys(created).sort(), ['desc', 'id', 'links', 'privateKey', 'publicKey', 'roles'])
    assert.match(created.privateKey, /^ak_sec_[0-9A-Za-z]{49}$/)
    assert.deepEqual(created.roles, [{ orgId: places.acme, roleName: 'ORG_READ_ONLY' }])
    assert.deepEqual(created.links, [{ href: new URL(of(created.id), url).href, rel: 'self' }])
    assert.equal(
      await value("SELECT reason FROM apikeys.decide($1, $2, '192.0.2.1'::inet, 'organization.read')", [
        created.publicKey,
        created.privateKey
      ]),
      'ok'
    )

    const { json: page } = await ask('GET', root)
    assert.equal(page.totalCount, 2)
    assert.deepEqual(
      page.results.map(({ desc }) => desc),
      ['e2e', 'the caller']
    )
    assert.match(page.results[0].privateKey, /^\*{8}\w{4}$/)
    assert.deepEqual(page.links, [
      { href: `${new URL(root, url).href}?includeCount=true&pageNum=1&itemsPerPage=100`, rel: 'self' }
    ])

    const { json: changed } = await ask('PATCH', of(created.id), {
      desc: 'e2e-updated',
      roles: ['ORG_MEMBER', 'ORG_READ_ONLY']
    })
    assert.equal(changed.desc, 'e2e-updated')
    assert.deepEqual(
      changed.roles.map(({ roleName }) => roleName),
      ['ORG_MEMBER', 'ORG_READ_ONLY']
    )
    assert.deepEqual((await ask('GET', of(created.id))).json, changed)

    assert.equal((await ask('DELETE', of(created.id))).status, 204)
    await refused(404, 'API_KEY_NOT_FOUND', 'GET', of(created.id))
    await refused(404, 'API_KEY_NOT_FOUND', 'PATCH', of(created.id), { desc: 'x' })
    await refused(404, 'API_KEY_NOT_FOUND', 'DELETE', of(created.id))
  })

  test(title('turns pages'), async () => {
    for (let n = 0; n < 5; n++) await ask('POST', root, { desc: `page ${n}`, roles: ['ORG_MEMBER'] })
    const seen = []
    let target = `${root}?pageNum=1&itemsPerPage=2`
    for (let pages = 0; target; pages++) {
      const { json } = await ask('GET', target)
      assert.equal(json.totalCount, 6)
      seen.push(...json.results.map(({ id }) => id))
      const next = json.links.find(({ rel }) => rel === 'next')
      target = next && new URL(next.href).pathname + new URL(next.href).search
      assert.ok(pages < 4)
    }
    assert.equal(new Set(seen).size, 6)
    assert.equal((await ask('GET', `${root}?includeCount=false`)).json.totalCount, undefined)
    assert.deepEqual((await ask('GET', `${root}?pageNum=99`)).json.results, [])
    assert.equal((await ask('GET', `${root}?pageNum=-1&itemsPerPage=x'`)).status, 200)
  })

  for (const name of ['accessList', 'whitelist']) {
    test(title(`keeps an access list at ${name}`), async () => {
      const {
        json: { id }
      } = await ask('POST', root, { desc: name, roles: ['ORG_MEMBER'] })
      const list = of(id, name)
      const { status, json } = await ask('POST', list, [{ ipAddress: '192.168.0.229' }])
      assert.equal(status, 200)
      assert.equal(json.totalCount, 1)
      const [entry] = json.results
      assert.deepEqual(Object.keys(entry).sort(), ['cidrBlock', 'count', 'created', 'ipAddress', 'links'])
      assert.deepEqual([entry.cidrBlock, entry.ipAddress, entry.count], ['192.168.0.229/32', '192.168.0.229', 0])
      assert.match(entry.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      assert.deepEqual((await ask('GET', `${list}/192.168.0.229`)).json, entry)
      assert.deepEqual((await ask('GET', list)).json, json)

      assert.equal((await ask('DELETE', `${list}/192.168.0.229`)).status, 204)
      assert.equal((await ask('GET', list)).json.totalCount, 0)
      await refused(404, 'API_KEY_ACCESS_LIST_NOT_FOUND', 'DELETE', `${list}/192.168.0.229`)

      const { json: address } = await ask('GET', '/api/private/ipinfo')
      assert.deepEqual(address, { currentIpv4Address: '127.0.0.1' })
      await ask('POST', list, [
        { ipAddress: address.currentIpv4Address },
        { cidrBlock: '2001:db8::/32' },
        { cidrBlock: '10.0.0.0/8' }
      ])
      const { json: three } = await ask('POST', list, [{ ipAddress: '127.0.0.1' }])
      assert.deepEqual(
        three.results.map(({ cidrBlock }) => cidrBlock),
        ['10.0.0.0/8', '127.0.0.1/32', '2001:db8::/32']
      )
      assert.equal(three.results[0].ipAddress, undefined)
      assert.equal((await ask('DELETE', `${list}/10.0.0.0%2F8`)).status, 204)
      assert.equal((await ask('DELETE', `${list}/127.0.0.1`)).status, 204)
      assert.equal((await ask('GET', `${list}?itemsPerPage=1`)).json.results.length, 1)

      await refused(400, 'INVALID_IP_ADDRESS_OR_CIDR_NOTATION', 'POST', list, [{ cidrBlock: '203.0.113.50/24' }])
      await refused(400, 'INVALID_IP_ADDRESS_OR_CIDR_NOTATION', 'POST', list, [{ ipAddress: 'localhost' }])
      await refused(400, 'BAD_ACCESS_LIST_ADD_REQUEST', 'POST', list, [
        { ipAddress: '10.0.0.1', cidrBlock: '10.0.0.0/8' }
      ])
      await refused(400, 'BAD_ACCESS_LIST_ADD_REQUEST', 'POST', list, [{}])
      assert.equal((await ask('GET', list)).json.totalCount, 1)
      assert.equal((await ask('DELETE', of(id))).status, 204)
    })
  }

  test(title('an entry that is added while the last one is removed is kept'), async () => {
    const {
      json: { id }
    } = await ask('POST', root, { desc: 'two at a time', roles: ['ORG_MEMBER'] })
    for (let n = 1; n <= 20; n++) {
      const answers = await Promise.all([
        ask('POST', of(id, 'accessList'), [{ ipAddress: `10.0.0.${n}` }]),
        n > 1 ? ask('DELETE', of(id, 'accessList', `10.0.0.${n - 1}`)) : { status: 204 }
      ])
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 204]
      )
      const list = await value('SELECT access_list::text FROM apikeys.key WHERE public_key = $1', [id])
      assert.equal(list, `{10.0.0.${n}/32}`)
    }
    assert.equal((await ask('DELETE', of(id))).status, 204)
  })

  test(title('creates, assigns, changes and removes keys of a project'), async () => {
    const group = `${prefix}/groups/${places.production}/apiKeys`
    const other = `${prefix}/groups/${places.staging}/apiKeys`
    const { status, json: created } = await ask('POST', group, { desc: 'e2e-test', roles: ['GROUP_READ_ONLY'] })
    assert.equal(status, 200)
    assert.deepEqual(created.roles, [{ groupId: places.production, roleName: 'GROUP_READ_ONLY' }])
    assert.deepEqual(
      (await ask('GET', group)).json.results.map(({ id }) => id),
      [created.id]
    )

    const { json: changed } = await ask('PATCH', `${group}/${created.id}`, { roles: ['GROUP_DATA_ACCESS_READ_ONLY'] })
    assert.deepEqual(changed.roles, [{ groupId: places.production, roleName: 'GROUP_DATA_ACCESS_READ_ONLY' }])

    const { json: assigned } = await ask('POST', `${other}/${created.id}`, [{ roles: ['GROUP_READ_ONLY'] }])
    assert.deepEqual(
      new Set(assigned.roles.map(({ groupId }) => groupId)),
      new Set([places.production, places.staging])
    )
    await refused(409, 'API_KEY_ALREADY_IN_GROUP', 'POST', `${other}/${created.id}`, [{ roles: ['GROUP_OWNER'] }])

    assert.equal((await ask('DELETE', `${other}/${created.id}`)).status, 204)
    await refused(404, 'API_KEY_NOT_IN_GROUP', 'DELETE', `${other}/${created.id}`)
    assert.equal((await ask('DELETE', `${group}/${created.id}`)).status, 204)
    assert.equal((await ask('GET', group)).json.totalCount, 0)
    assert.equal((await ask('GET', of(created.id))).json.desc, 'e2e-test', 'the key lives on in its organization')
    assert.equal((await ask('DELETE', of(created.id))).status, 204)
  })

  test(title('refuses by codes'), async () => {
    const nothing = '00000000-0000-4000-8000-000000000000'
    await refused(404, 'ORG_NOT_FOUND', 'GET', `${prefix}/orgs/${nothing}/apiKeys`)
    await refused(404, 'ORG_NOT_FOUND', 'GET', `${prefix}/orgs/a0123456789abcdef012345a/apiKeys`)
    await refused(404, 'GROUP_NOT_FOUND', 'GET', `${prefix}/groups/${nothing}/apiKeys`)
    await refused(404, 'RESOURCE_NOT_FOUND', 'GET', `${prefix}/nothing`)
    await refused(400, 'INVALID_ENUM_VALUE', 'POST', root, { desc: 'x', roles: ['ORG_NOTHING'] })
    await refused(400, 'INVALID_ENUM_VALUE', 'POST', root, { desc: 'x', roles: ['GROUP_OWNER'] })
    await refused(400, 'MISSING_ATTRIBUTE', 'POST', root, { roles: ['ORG_MEMBER'] })
    await refused(400, 'MISSING_ATTRIBUTE', 'POST', root, { desc: 'x' })
    await refused(400, 'VALIDATION_ERROR', 'POST', root, { desc: 'x', roles: [] })
    await refused(400, 'INVALID_ATTRIBUTE', 'POST', root, { desc: '', roles: ['ORG_MEMBER'] })
    await refused(400, 'INVALID_ATTRIBUTE', 'POST', root, { desc: 'x'.repeat(251), roles: ['ORG_MEMBER'] })
    await refused(400, 'VALIDATION_ERROR', 'POST', root, { desc: 'a\0b', roles: ['ORG_MEMBER'] })
    await refused(400, 'INVALID_JSON', 'POST', root, '{"desc": ')
    await refused(413, 'REQUEST_TOO_LARGE', 'POST', root, { desc: 'x'.repeat(1000000), roles: ['ORG_MEMBER'] })
    await refused(
      400,
      'CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST',
      'DELETE',
      of(owner.public_key, 'accessList', '127.0.0.1')
    )
  })

  test(title('manages with the rights of the key alone'), async () => {
    await sql(
      "SELECT apikeys.create_role('KEY_KEEPER', 'project', '{}', '{apikeys.keys.*}', 'Looks after keys.', organization => $1)",
      [places.acme]
    )
    const inOrganization = 'SELECT * FROM apikeys.create_key($1, $2, $3, $4)'
    const inProject = 'SELECT * FROM apikeys.create_project_key($1, $2, $3)'
    const made = [
      await sql(inOrganization, [places.acme, 'a member', '{ORG_MEMBER}', '{}']),
      await sql(inProject, [places.production, 'an administrator', '{GROUP_USER_ADMIN}']),
      await sql(inProject, [places.production, 'a keeper', '{KEY_KEEPER}']),
      await sql(inOrganization, [places.acme, 'disabled', '{ORG_OWNER}', '{}']),
      await sql(inOrganization, [places.acme, 'elsewhere', '{ORG_OWNER}', '{203.0.113.0/24}'])
    ].flat()
    const [member, admin, keeper, disabled, elsewhere] = await Promise.all(made.map(prepared))
    await sql('SELECT apikeys.disable_key($1)', [disabled.public_key])
    const as = async (key, ...request) => {
      const { status, json, headers } = await call(url, key, ...request)
      return [status, json.errorCode, headers.get('www-authenticate')]
    }
    assert.deepEqual(await as(member, 'POST', root, { desc: 'x', roles: ['ORG_MEMBER'] }), [
      403,
      'USER_UNAUTHORIZED',
      null
    ])
    assert.deepEqual(await as(member, 'GET', of(owner.public_key)), [404, 'API_KEY_NOT_FOUND', null])
    assert.deepEqual(await as(member, 'GET', of(member.public_key)), [200, undefined, null])
    assert.deepEqual(
      await as(keeper, 'POST', `${prefix}/groups/${places.production}/apiKeys`, { desc: 'x', roles: ['GROUP_OWNER'] }),
      [403, 'USER_UNAUTHORIZED', null]
    )
    assert.deepEqual(
      await as(admin, 'POST', `${prefix}/groups/${places.production}/apiKeys`, {
        desc: 'x',
        roles: ['GROUP_READ_ONLY']
      }),
      [200, undefined, null]
    )
    assert.deepEqual(await as(admin, 'GET', `${prefix}/groups/${places.staging}/apiKeys`), [
      404,
      'GROUP_NOT_FOUND',
      null
    ])
    assert.deepEqual(await as(disabled, 'GET', root), [403, 'API_KEY_DENIED', null])
    assert.deepEqual(await as(elsewhere, 'GET', root), [403, 'IP_ADDRESS_NOT_ON_ACCESS_LIST', null])
    for (const [publicKey, privateKey] of [
      [owner.public_key, member.private_key],
      ['ak_pub_0000000000000000', 'x'],
      [owner.public_key, ''],
      ['', '']
    ]) {
      const [status, code, challenges] = await as(
        { public_key: publicKey, private_key: privateKey, api_key: `${publicKey}.${privateKey}` },
        'GET',
        root
      )
      assert.deepEqual([status, code], [401, 'UNAUTHORIZED'])
      assert.match(
        challenges,
        /^Digest realm="apikeys", qop="auth", algorithm=SHA-256, nonce="[\w-]+", Digest realm="apikeys", qop="auth", algorithm=MD5, nonce="[\w-]+", Basic realm="apikeys", charset="UTF-8"$/
      )
    }
  })
}
