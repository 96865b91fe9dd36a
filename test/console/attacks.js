// Attacks on the console: refused, and nothing half-done.
'use strict'
const assert = require('node:assert/strict')
const { after, before, test } = require('node:test')
const { CONSOLE, DATABASE, setUp, start, tearDown, sql, value, whileLocked, Client, takeDigest, passwordOf } = require('./harness')
const { CLIENTS } = require('./clients')
const { call } = CLIENTS.Basic

let places, console_, key, secret, base
before(async () => {
  places = await setUp()
  console_ = await start()
  ;[{ public_key: key, private_key: secret }] = await sql(
    "SELECT * FROM apikeys.create_project_key($1, 'a key of Acme', '{GROUP_READ_ONLY}', '{203.0.113.0/24}')",
    [places.production]
  )
  base = `/organizations/${places.acme}`
})
after(tearDown)

async function signedIn(user, url = console_.url) {
  const client = new Client(url)
  assert.equal((await client.signIn(user)).status, 200)
  return client
}

// Everything that can be changed, as one text.
const state = () =>
  value(`SELECT jsonb_build_array(
  (SELECT count(*) FROM apikeys.audit_event),
  (SELECT jsonb_agg(k ORDER BY k.public_key) FROM apikeys.key AS k),
  (SELECT jsonb_agg(r ORDER BY r.public_key, r.role, r.project_id) FROM apikeys.key_role AS r),
  (SELECT jsonb_agg(s ORDER BY s.public_key, s.version) FROM apikeys.key_secret AS s),
  (SELECT jsonb_agg(m ORDER BY m.principal, m.role, m.project_id) FROM apikeys.member AS m))::text`)

async function unchanged(work) {
  const before = await state()
  await work()
  assert.ok((await state()) === before, 'nothing has changed')
}

// Every page and every form of one place and one key.
const pagesOf = (place, publicKey) =>
  [
    '',
    '/keys',
    '/new-key',
    '/members',
    '/audit',
    '/explain',
    `/explain?key=${publicKey}&address=203.0.113.7&scope=clusters.read`,
    `/keys/${publicKey}`,
    `/keys/${publicKey}/secret`,
    `/keys/${publicKey}/confirm/delete`
  ].map((path) => place + path)
const formsOf = (place, publicKey) =>
  [
    ['/keys', { description: 'x', roles: ['ORG_MEMBER'] }],
    ['/members', { principal: 'user:mallory', role: 'ORG_OWNER' }],
    ['/members/remove', { principal: 'user:anna', role: 'ORG_OWNER' }],
    [`/keys/${publicKey}`, { description: 'x' }],
    [`/keys/${publicKey}/roles`, { roles: ['ORG_OWNER'] }],
    [`/keys/${publicKey}/assign`, { project: places.website, roles: ['GROUP_OWNER'] }],
    [`/keys/${publicKey}/access-list`, { network: '0.0.0.0/0' }],
    [`/keys/${publicKey}/access-list/current`, {}],
    [`/keys/${publicKey}/access-list/remove`, { entry: '203.0.113.0/24' }],
    [`/keys/${publicKey}/clear`, {}],
    [`/keys/${publicKey}/rotate`, { overlap: '0' }],
    [`/keys/${publicKey}/digest`, { overlap: '0' }],
    [`/keys/${publicKey}/digest/disable`, {}],
    [`/keys/${publicKey}/revoke`, { version: '1' }],
    [`/keys/${publicKey}/disable`, {}],
    [`/keys/${publicKey}/enable`, {}],
    [`/keys/${publicKey}/remove`, {}],
    [`/keys/${publicKey}/delete`, {}]
  ].map(([path, fields]) => [place + path, fields])

test('a form without the right token changes nothing', () =>
  unchanged(async () => {
    const anna = await signedIn('anna')
    const dora = await signedIn('dora')
    for (const [path, fields] of formsOf(base, key)) {
      for (const token of ['', 'x', dora.token, anna.token.slice(1)]) {
        assert.equal((await anna.post(path, { ...fields, _token: token })).status, 403, `${path} with ${token}`)
      }
    }
  }))

test('a form of another site changes nothing, even with the token', () =>
  unchanged(async () => {
    const anna = await signedIn('anna')
    for (const site of ['cross-site', 'same-site', 'none']) {
      assert.equal((await anna.post(`${base}/keys/${key}/delete`, {}, { 'sec-fetch-site': site })).status, 403)
    }
  }))

test('nobody is signed in by another site', async () => {
  const visitor = new Client(console_.url)
  assert.equal((await visitor.post('/sign-in', { user: 'mallory', password: passwordOf('mallory') })).status, 403)
  assert.equal((await visitor.get('/')).location, '/sign-in')
})

test('a cookie planted before sign-in is worth nothing', async () => {
  const planted = new Client(console_.url)
  await planted.get('/sign-in')
  const victim = Object.assign(new Client(console_.url), { cookie: planted.cookie, token: planted.token })
  await victim.post('/sign-in', { user: 'anna', password: passwordOf('anna') })
  assert.notEqual(victim.cookie, planted.cookie)
  assert.equal((await planted.get('/')).location, '/sign-in')
  assert.equal((await victim.get('/')).status, 200)
})

test('after sign-out the session is over', () =>
  unchanged(async () => {
    const anna = await signedIn('anna')
    const kept = Object.assign(new Client(console_.url), { cookie: anna.cookie, token: anna.token })
    assert.equal((await kept.get(`${base}/keys`)).status, 200)
    assert.equal((await anna.post('/sign-out')).location, '/sign-in')
    for (const path of pagesOf(base, key)) assert.equal((await kept.get(path)).location, '/sign-in')
    for (const [path, fields] of formsOf(base, key)) assert.equal((await kept.post(path, fields)).location, '/sign-in')
  }))

test('passwords are not guessed', async () => {
  const { url } = await start()
  const guess = async (user, password) => {
    const client = new Client(url)
    await client.get('/sign-in')
    return (await client.post('/sign-in', { user, password })).status
  }
  assert.equal(await guess('anna', ''), 401)
  assert.equal(await guess('nobody', ''), 401)
  assert.equal(await guess('__proto__', ''), 401)
  // Once more where a minute ended in between.
  for (let attempt = 0; ; attempt++) {
    const minute = Math.floor(Date.now() / 60000)
    for (let n = 0; n < 10; n++) assert.equal(await guess('anna', `guess ${n}`), 401)
    const last = await guess('anna', passwordOf('anna'))
    if (minute !== Math.floor(Date.now() / 60000) && attempt === 0) continue
    assert.equal(last, 401, 'not even the right one, after ten wrong ones')
    return
  }
})

test('the ids of another organization lead nowhere', () =>
  unchanged(async () => {
    const dora = await signedIn('dora')
    const own = `/organizations/${places.globex}`
    const bases = [base, `/projects/${places.production}`, `/projects/${places.staging}`]
    for (const place of bases) {
      for (const path of pagesOf(place, key)) {
        const { status, text, location } = await dora.get(path)
        assert.ok(status === 404 || location === `${place}/keys`, `${path}: ${status}`)
        assert.ok(!text.includes('Acme') && !text.includes('a key of Acme'), path)
      }
      for (const [path, fields] of formsOf(place, key)) assert.equal((await dora.post(path, fields)).status, 404, path)
    }
    // A key of another organization in a place of one's own.
    for (const place of [own, `/projects/${places.website}`]) {
      for (const path of pagesOf(place, key).filter((path) => path.includes(key)))
        assert.equal((await dora.get(path)).status, 404, path)
      for (const [path, fields] of formsOf(place, key).filter(([path]) => path.includes(key)))
        assert.equal((await dora.post(path, fields)).status, 404, path)
    }
  }))

test('nor do they in the API', async () => {
  const [dora] = await sql("SELECT * FROM apikeys.create_key($1, 'owner', '{ORG_OWNER}')", [places.globex])
  const before = await state()
  const org = `/api/public/v1.0/orgs/${places.acme}/apiKeys`
  const own = `/api/public/v1.0/orgs/${places.globex}/apiKeys`
  const group = `/api/public/v1.0/groups/${places.production}/apiKeys`
  const website = `/api/public/v1.0/groups/${places.website}/apiKeys`
  const key_ = { desc: 'x', roles: ['ORG_MEMBER'] }
  for (const request of [
    ['GET', org],
    ['POST', org, key_],
    ['GET', group],
    ['POST', group, { desc: 'x', roles: ['GROUP_OWNER'] }],
    ...[`${org}/${key}`, `${own}/${key}`].flatMap((one) => [
      ['GET', one],
      ['PATCH', one, key_],
      ['DELETE', one],
      ['GET', `${one}/accessList`],
      ['POST', `${one}/accessList`, [{ ipAddress: '10.0.0.1' }]],
      ['GET', `${one}/accessList/203.0.113.0%2F24`],
      ['DELETE', `${one}/whitelist/203.0.113.0%2F24`]
    ]),
    ...[`${group}/${key}`, `${website}/${key}`].flatMap((one) => [
      ['POST', one, [{ roles: ['GROUP_OWNER'] }]],
      ['PATCH', one, { roles: ['GROUP_OWNER'] }],
      ['DELETE', one]
    ])
  ]) {
    const { status, json } = await call(console_.url, dora, ...request)
    assert.equal(status, 404, request.join(' '))
    assert.ok(!JSON.stringify(json).includes('Acme'))
  }
  assert.ok((await state()) === before, 'nothing has changed')
})

test('a member without rights changes nothing', () =>
  unchanged(async () => {
    const gustav = await signedIn('gustav')
    for (const path of pagesOf(base, key)) assert.ok([200, 303].includes((await gustav.get(path)).status), path)
    for (const [path, fields] of formsOf(base, key)) {
      const { status, text } = await gustav.post(path, fields)
      assert.ok([400, 403, 404].includes(status), `${path}: ${status}`)
      assert.match(text, /role="alert"/)
    }
    const bert = await signedIn('bert')
    for (const [path, fields] of formsOf(`/projects/${places.staging}`, key))
      assert.equal((await bert.post(path, fields)).status, 404, path)
  }))

test('an address that the client claims is not believed', async () => {
  const anna = await signedIn('anna')
  const forged = {
    'x-forwarded-for': '203.0.113.7',
    forwarded: 'for=203.0.113.7',
    'x-real-ip': '203.0.113.7',
    'client-ip': '203.0.113.7'
  }
  await anna.post(`${base}/keys/${key}/access-list/current`, {}, forged)
  assert.equal(
    await value('SELECT access_list::text FROM apikeys.key WHERE public_key = $1', [key]),
    '{127.0.0.1/32,203.0.113.0/24}'
  )
  await anna.post(`${base}/keys/${key}/access-list/remove`, { entry: '127.0.0.1' })
  assert.equal(await value('SELECT address FROM apikeys.audit_event ORDER BY id DESC LIMIT 1'), '127.0.0.1')
  const { status } = await call(
    console_.url,
    { public_key: key, private_key: secret },
    'GET',
    `/api/public/v1.0/groups/${places.production}/apiKeys`,
    undefined,
    forged
  )
  assert.equal(status, 403)
})

test('behind a trusted proxy its part of the header is believed, and no more', async () => {
  const { url } = await start({ TRUST_PROXY: '127.0.0.1' })
  const from = async (forwarded) =>
    (
      await call(
        url,
        { public_key: key, private_key: secret },
        'GET',
        `/api/public/v1.0/groups/${places.production}/apiKeys`,
        undefined,
        { 'x-forwarded-for': forwarded }
      )
    ).status
  assert.equal(await from('203.0.113.7'), 200)
  assert.equal(await from('203.0.113.7, 198.51.100.1'), 403)
  assert.equal(await from('198.51.100.1, 203.0.113.7'), 200)
  assert.equal(await from('no address'), 403)
})

test('a form of a million bytes is refused', () =>
  unchanged(async () => {
    const anna = await signedIn('anna')
    const long = 'x'.repeat(1000000)
    for (const [path, fields] of formsOf(base, key))
      assert.equal((await anna.post(path, { ...fields, description: long })).status, 413, path)
    assert.match((await anna.post(`${base}/keys`, { description: long })).text, /role="alert"/)
    assert.equal((await new Client(console_.url).post('/sign-in', { user: long })).status, 413)
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`a${n}`, '1']))
    assert.equal((await anna.post(`${base}/keys`, many)).status, 413)
    const { status } = await call(
      console_.url,
      { public_key: key, private_key: secret },
      'POST',
      `/api/public/v1.0/orgs/${places.acme}/apiKeys`,
      { desc: long }
    )
    assert.equal(status, 413)
  }))

test('a request writes an access list once, and adds no more than 200 entries to it', async () => {
  const [owner] = await sql("SELECT * FROM apikeys.create_key($1, 'owner', '{ORG_OWNER}')", [places.acme])
  const [{ public_key: large }] = await sql(
    `SELECT * FROM apikeys.create_key($1, 'with a long list', '{ORG_MEMBER}',
       (SELECT array_agg(format('10.%s.%s.0/24', n / 256, n % 256)) FROM generate_series(0, 60000) AS n))`,
    [places.acme]
  )
  const add = (entries) =>
    call(console_.url, owner, 'POST', `/api/public/v1.0/orgs/${places.acme}/apiKeys/${large}/accessList`, entries)
  const some = (count) => Array.from({ length: count }, (_, n) => ({ ipAddress: `192.0.2.${n}` }))
  const count = () =>
    value('SELECT count(*)::integer FROM apikeys.audit_event WHERE public_key = $1', [large])

  await unchanged(async () => {
    for (const entries of [some(201), some(2000), [null], ['192.0.2.1'], [{ ipAddress: '192.0.2.1,192.0.2.2' }], [[]]]) {
      const { status, json } = await add(entries)
      assert.equal(status, 400)
      assert.equal(json.errorCode, 'BAD_ACCESS_LIST_ADD_REQUEST')
    }
    assert.equal((await add([...some(10), { ipAddress: '192.0.2.500' }])).status, 400)
    assert.equal((await add([])).status, 200)
  })
  const before = await count()
  const { status, json } = await add(some(200))
  assert.equal(status, 200)
  assert.equal(json.totalCount, 60201)
  assert.equal(await count(), before + 1)
})

test('a console that is busy says so, and is not busy for long', async () => {
  const [owner] = await sql("SELECT * FROM apikeys.create_key($1, 'owner', '{ORG_OWNER}')", [places.acme])
  const { url } = await start({ POOL: '1', TIME_LIMIT: '1' })
  const anna = await signedIn('anna', url)
  const form = () => anna.post(`${base}/keys/${key}`, { description: 'a key of Acme' })
  const request = () =>
    call(url, owner, 'PATCH', `/api/public/v1.0/orgs/${places.acme}/apiKeys/${key}`, { desc: 'a key of Acme' })

  await unchanged(() =>
    whileLocked(key, async () => {
      const [one, other, third] = await Promise.all([form(), request(), form()])
      for (const { status, text } of [one, third]) {
        assert.equal(status, 503)
        assert.match(text, /role="alert"[^]*The console is busy/)
      }
      assert.equal(other.status, 503)
      assert.equal(other.json.errorCode, 'SERVICE_UNAVAILABLE')
    })
  )
  assert.equal((await form()).status, 303)
  assert.equal((await request()).status, 200)
})

test('a connection that is lost ends its request, and not the console', async () => {
  const { url } = await start({ POOL: '1' })
  const anna = await signedIn('anna', url)
  const form = () => anna.post(`${base}/keys/${key}`, { description: 'a key of Acme' })
  await unchanged(() =>
    whileLocked(key, async () => {
      const answer = form()
      while (!(await value("SELECT count(pg_terminate_backend(pid))::integer FROM pg_stat_activity WHERE usename = 'console' AND wait_event_type = 'Lock'")));
      assert.ok((await answer).status >= 500)
    })
  )
  assert.equal((await form()).status, 303)
})

test('what became of a change that is not answered is not claimed to be known', async () => {
  const [owner] = await sql("SELECT * FROM apikeys.create_key($1, 'owner', '{ORG_OWNER}')", [places.acme])
  const { url } = await start({ TIME_LIMIT: '1' })
  const anna = await signedIn('anna', url)
  const form = () => anna.post(`${base}/keys/${key}`, { description: 'in doubt' })
  const request = () =>
    call(url, owner, 'PATCH', `/api/public/v1.0/orgs/${places.acme}/apiKeys/${owner.public_key}`, { desc: 'in doubt' })
  const waitFor = async (standby) => {
    await sql(`ALTER SYSTEM SET synchronous_standby_names = '${standby}'`)
    await sql('SELECT pg_reload_conf()')
  }
  await waitFor('nobody')
  try {
    let answer = await form()
    while (answer.status === 303) answer = await form()
    assert.equal(answer.status, 504)
    assert.match(answer.text, /role="alert"[^]*did not say in time/)
    assert.doesNotMatch(answer.text, /Nothing was changed/)
    const other = await request()
    assert.equal(other.status, 504)
    assert.equal(other.json.errorCode, 'IN_DOUBT')
    // They take no more connections than there are.
    const more = await Promise.all(Array.from({ length: 20 }, form))
    assert.deepEqual([...new Set(more.map(({ status }) => status))], [503])
    const taken = await value("SELECT count(*)::integer FROM pg_stat_activity WHERE usename = 'console' AND datname = current_database()")
    assert.ok(taken <= 20)
  } finally {
    await waitFor('')
  }
  assert.equal((await form()).status, 303)
  await sql('SELECT apikeys.update_key($1, $2)', [key, 'a key of Acme'])
})

test('an empty entry is no entry, and confines nothing', async () => {
  const anna = await signedIn('anna')
  const [owner] = await sql("SELECT * FROM apikeys.create_key($1, 'owner', '{ORG_OWNER}')", [places.acme])
  await unchanged(async () => {
    for (const network of ['', '  ', '{}', '192.0.2.1,192.0.2.2']) {
      const { status, text } = await anna.post(`${base}/keys/${key}/access-list`, { network })
      assert.equal(status, 422)
      assert.match(text, /role="alert"[^]*Give an address or a network/)
      const removed = await anna.post(`${base}/keys/${key}/access-list/remove`, { entry: network })
      assert.equal(removed.status, 422)
      const answer = await call(
        console_.url,
        owner,
        'POST',
        `/api/public/v1.0/orgs/${places.acme}/apiKeys/${key}/accessList`,
        [{ ipAddress: network }]
      )
      assert.equal(answer.status, 400)
    }
  })
})

test('a key that lives longer than JavaScript is shown', async () => {
  const anna = await signedIn('anna')
  const [{ public_key: late }] = await sql(
    "SELECT * FROM apikeys.create_key($1, 'late', '{ORG_MEMBER}', expires_at => '280000-01-01')",
    [places.acme]
  )
  const { status, text } = await anna.get(`${base}/keys/${late}`)
  assert.equal(status, 200)
  assert.match(text, /after the year 275,759/)
  for (const [expires, shown] of [['20000-01-01', '+020000-01-01 23:59 UTC'], ['-infinity', null]]) {
    const { status: saved } = await anna.post(`${base}/keys/${late}`, { description: 'late', expires, expires_was: '' })
    assert.equal(saved, shown ? 303 : 422)
    if (shown) assert.ok((await anna.get(`${base}/keys/${late}`)).text.includes(shown))
  }
  assert.equal((await anna.post(`${base}/keys/${late}/delete`, {})).status, 303)
})

test('all statements of a request together have a time limit', async () => {
  Object.assign(process.env, { PGUSER: 'console', PGDATABASE: DATABASE, TIME_LIMIT: '1' })
  const { asUser, pool } = require(`${CONSOLE}/database`)
  const forever = async (query) => {
    for (;;) await query('SELECT pg_sleep(0.1)')
  }
  await assert.rejects(asUser('anna', null, forever), { status: 503 })
  await pool.end()
  for (const name of ['PGUSER', 'PGDATABASE', 'TIME_LIMIT']) delete process.env[name]
})

test('credentials of HTTP Digest are good for one request', async () => {
  const [created] = await sql("SELECT * FROM apikeys.create_key($1, 'by Digest', '{ORG_MEMBER}')", [places.acme])
  const { public_key: publicKey, private_key: privateKey } = await takeDigest(created)
  const path = `/api/public/v1.0/orgs/${places.acme}/apiKeys/${publicKey}`
  const { DigestClient } = await import(require.resolve('digest-fetch'))
  const client = new DigestClient(publicKey, privateKey, { algorithm: 'SHA-256' })
  const ask = (authorization, target = path, method = 'GET') =>
    fetch(new URL(target, console_.url), { method, headers: authorization ? { authorization } : {} })
  client.parseAuth((await ask()).headers.get('www-authenticate'))
  const { Authorization: captured } = client.addAuth(new URL(path, console_.url).href, {}).headers

  await unchanged(async () => {
    assert.equal((await ask(captured, `${path}?pretty=true`)).status, 401)
    assert.equal((await ask(captured, path, 'DELETE')).status, 401)
    assert.equal((await ask(captured)).status, 200)
    for (let n = 0; n < 3; n++) {
      const replayed = await ask(captured)
      assert.equal(replayed.status, 401)
      assert.match(replayed.headers.get('www-authenticate'), /^Digest .*, stale=true, .*, stale=true, Basic /)
    }
    const statuses = await Promise.all(Array.from({ length: 20 }, () => ask(captured.replace('nc=00000001', 'nc=00000002'))))
    assert.ok(statuses.every(({ status }) => status === 401))
  })
  // Twenty at the same time with the same right credentials: one gets through.
  client.digest.nc = 2
  const { Authorization: next } = client.addAuth(new URL(path, console_.url).href, {}).headers
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(next)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  assert.equal(
    await value("SELECT (denials ->> 'nonce_replayed')::integer FROM apikeys.usage WHERE public_key = $1", [publicKey]),
    22
  )
})

test('texts that a tenant can set are shown as texts', async () => {
  const evil = (n) => `<script>alert(${n})</script>"'><img src=x onerror=alert(${n})>{{${n}}}<%= ${n} %>`
  const organization = await value('SELECT apikeys.create_organization($1, $2)', [evil('organization'), 'user:mallory'])
  const project = await value('SELECT apikeys.create_project($1, $2)', [organization, evil('project')])
  await sql('SELECT apikeys.add_member($1, $2, $3)', [organization, `user:${evil('member')}`, 'ORG_OWNER'])
  await sql('SELECT apikeys.create_role($1, $2, $3, $4, $5, organization => $6)', [
    'EVIL',
    'organization',
    [],
    [],
    evil('role'),
    organization
  ])
  const [{ public_key: id }] = await sql(
    'SELECT public_key FROM apikeys.create_key($1, $2, $3, owner => $4, metadata => $5)',
    [organization, evil('description'), ['EVIL'], evil('owner'), { [evil('name')]: evil('metadata') }]
  )
  await sql('SELECT FROM apikeys.set_project_roles($1, $2, $3)', [id, project, ['GROUP_READ_ONLY']])
  await sql('SELECT apikeys.disable_key($1, $2)', [id, evil('reason')])

  const mallory = await signedIn('mallory')
  const search = new URLSearchParams({
    search: evil('search'),
    action: evil('action'),
    principal: evil('principal'),
    key: evil('key'),
    address: evil('address'),
    scope: evil('scope'),
    from: evil('from'),
    before: evil('before')
  })
  const places_ = [`/organizations/${organization}`, `/projects/${project}`]
  const pages = [
    '/',
    ...places_.flatMap((place) => [
      ...pagesOf(place, id),
      ...['/keys', '/audit', '/explain', `/keys/${encodeURIComponent(evil('id'))}`].map(
        (path) => `${place}${path}?${search}`
      )
    ])
  ]
  const check = ({ status, text }, path) => {
    assert.ok(status < 500, `${path}: ${status}`)
    assert.doesNotMatch(text, /<script>|<img|onerror=alert\([a-z]+\)>(?!&)|'>/, path)
    assert.match(text, /^$|^See Other|<script src="\/static\/copy.js" defer><\/script>/, path)
  }
  for (const path of pages) check(await mallory.get(path), path)
  for (const place of places_) {
    for (const [path, fields] of formsOf(place, id).filter(([path]) => !/delete$|members\/remove$/.test(path))) {
      const forged = Object.fromEntries(Object.keys(fields).map((name) => [name, evil(name)]))
      check(await mallory.post(path, forged), path)
    }
  }
  check(await mallory.get(`/organizations/${organization}/keys/${id}`), 'afterwards')
})

test('odd requests are no faults of the console', () =>
  unchanged(async () => {
    const anna = await signedIn('anna')
    const odd = [
      "' OR 1=1 --",
      '\0',
      '%00',
      '$1',
      '../../server.js',
      '\u202e',
      '1e999',
      '-1',
      '[object Object]',
      'x'.repeat(5000)
    ]
    for (const text of odd) {
      const encoded = encodeURIComponent(text)
      for (const path of [
        `/organizations/${encoded}/keys`,
        `/projects/${encoded}`,
        `${base}/keys/${encoded}`,
        `${base}/keys/${key}/confirm/${encoded}`,
        `/static/${encoded}`,
        `/${encoded}`,
        `${base}/keys?before=${encoded}&key=${encoded}&search=${encoded}`,
        `${base}/audit?before=${encoded}`,
        `${base}/audit?from=${encoded}&to=${encoded}&key=${encoded}`,
        `${base}/explain?key=${key}&scope=${encoded}&address=${encoded}&project=${encoded}`
      ]) {
        const { status, text: page } = await anna.get(path)
        assert.ok(status < 500, `${path}: ${status}`)
        assert.ok(status < 400 || page.includes('role="alert"'), path)
        assert.ok(!page.includes('createPages'), path)
      }
      for (const [path, fields] of formsOf(base, key).filter(
        ([, fields]) => Object.keys(fields).length && !fields.version
      )) {
        const forged = Object.fromEntries(Object.keys(fields).map((name) => [name, [text, text]]))
        if (path.endsWith(key) || /access-list|disable|rotate|digest/.test(path)) continue // what is valid there
        assert.ok((await anna.post(path, forged)).status < 500, path)
      }
    }
    assert.equal(
      (await anna.ask('POST', `${base}/keys`, '{"_token": {}}', { 'content-type': 'application/json' })).status,
      403
    )
    assert.equal((await anna.ask('DELETE', `${base}/keys/${key}`)).status, 404)
    for (const path of [
      '/static/../server.js',
      '/static/%2e%2e/server.js',
      '/static/..%2fserver.js',
      '/views/layout.eta',
      '/package.json'
    ])
      assert.equal((await anna.get(path)).status, 404, path)
  }))

test('every answer has the headers of a careful site', async () => {
  const anna = await signedIn('anna')
  for (const path of ['/', '/sign-in', '/nothing', '/static/console.css', `${base}/keys`, '/api/public/v1.0/nothing']) {
    const { headers } = await anna.get(path)
    const policy = headers.get('content-security-policy')
    assert.match(policy, /default-src 'none'/, path)
    assert.doesNotMatch(policy, /unsafe|\*|data:|https?:/, path)
    assert.match(policy, /frame-ancestors 'none'/, path)
    assert.match(policy, /form-action 'self'/, path)
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
    assert.equal(headers.get('x-powered-by'), null, path)
    if (!path.startsWith('/static')) assert.equal(headers.get('cache-control'), 'no-store', path)
  }
  const response = await fetch(new URL('/sign-in', console_.url))
  assert.match(response.headers.get('set-cookie'), /; HttpOnly; SameSite=Lax$/)
  const { url } = await start({ SECURE_COOKIE: '1' })
  assert.match(
    (await fetch(new URL('/sign-in', url))).headers.get('set-cookie'),
    /^__Host-session=.*; Path=\/; HttpOnly; SameSite=Lax; Secure$/
  )
})

test('a private key is shown to the session that made it, and nowhere else', async () => {
  const anna = await signedIn('anna')
  const page = await anna.submit(`${base}/keys`, { description: 'for one pair of eyes', roles: ['ORG_MEMBER'] })
  const [privateKey] = /ak_sec_\w{49}/.exec(page.text)
  const url = page.location.replace(/\/secret$/, '')
  const other = await signedIn('anna')
  assert.equal((await other.get(page.location)).location, url)
  await anna.submit(`${base}/keys`, { description: 'made meanwhile', roles: ['ORG_MEMBER'] })
  assert.ok((await anna.get(page.location)).text.includes(privateKey))
  await anna.submit(page.location)
  assert.equal((await anna.get(page.location)).location, url)
  for (const path of pagesOf(base, url.split('/').pop()))
    assert.ok(!(await anna.get(path)).text.includes(privateKey), path)
  assert.ok(!console_.output().includes('ak_sec_'))
})

test('the console has written no fault to its log', () => {
  assert.doesNotMatch(console_.output(), /failed|Error/)
})
