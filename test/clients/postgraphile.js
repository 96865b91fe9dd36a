// PostGraphile 4 over schema apikeys: what manages keys is a mutation, and what
// shows them a query.  Decisions are made in SQL, in the transaction of the request.
'use strict'
const { NodePlugin } = require('graphile-build')
const { makeJSONPgSmartTagsPlugin } = require('graphile-utils')
const { graphql } = require('graphql')
const { Pool } = require('pg')
const { createPostGraphileSchema, withPostGraphileContext } = require('postgraphile')
const { checks, plan } = require('./tap')

const check = checks('PostGraphile')

// Names that collide otherwise, and the key of the view.
const TAGS = {
  version: 1,
  config: {
    class: {
      'apikeys.key': { tags: { omit: true, name: 'stored_key' } },
      'apikeys.keys': { tags: { primaryKey: 'public_key' } }
    },
    procedure: {
      'apikeys.organization': { tags: { name: 'organization_id' } },
      'apikeys.project': { tags: { name: 'project_id' } }
    }
  }
}

// An access list is an array in JSON, in and out.
const JSONB = '3802'
const accessLists = (builder) =>
  builder.hook('build', (build) => {
    const { type: types } = build.pgIntrospectionResultsByKind
    const { id } = types.find(({ namespaceName, name }) => namespaceName === 'apikeys' && name === 'access_list')
    build.pgRegisterGqlTypeByTypeId(id, () => build.pgGetGqlTypeByTypeIdAndModifier(JSONB))
    build.pg2GqlMapper[id] = {
      map: (list) => list,
      unmap: (list) => build.pgSql.fragment`${build.pgSql.value(JSON.stringify(list))}::apikeys.access_list`
    }
    return build
  })

async function main() {
  const pgPool = new Pool()
  const schema = await createPostGraphileSchema(pgPool, ['apikeys'], {
    includeExtensionResources: true,
    ignoreRBAC: false,
    dynamicJson: true,
    skipPlugins: [NodePlugin],
    appendPlugins: [makeJSONPgSmartTagsPlugin(TAGS), accessLists]
  })
  const inTransaction = (work) => withPostGraphileContext({ pgPool }, work)
  const ask = async (source, variableValues) => {
    const { data, errors } = await inTransaction((contextValue) =>
      graphql({ schema, source, contextValue, variableValues })
    )
    if (errors) throw errors[0].originalError ?? errors[0]
    return data
  }
  const decide = (...values) =>
    inTransaction(async ({ pgClient }) => {
      const { rows } = await pgClient.query('SELECT * FROM apikeys.decide_token($1, $2, $3)', values)
      return rows[0]
    })
  const acme = (await ask('{ organizationId(name: "Acme") }')).organizationId

  // Create.
  const CREATE = `mutation ($acme: UUID!, $description: String!, $roles: [String!], $list: JSON, $owner: String, $metadata: JSON) {
    createKey(input: { organization: $acme, description: $description, roles: $roles,
      accessList: $list, owner: $owner, metadata: $metadata }) { newKey { publicKey privateKey apiKey } }
  }`
  const {
    createKey: { newKey: key }
  } = await ask(CREATE, {
    acme,
    description: 'Reports',
    roles: ['ORG_READ_ONLY'],
    list: ['203.0.113.0/24', '2001:db8::/32'],
    owner: 'customer 42',
    metadata: { plan: 'pro' }
  })
  check('a key is created', key.apiKey, `${key.publicKey}.${key.privateKey}`)

  // Decide.
  const { allowed, owner, metadata } = await decide(key.apiKey, '203.0.113.7', 'clusters.read')
  check('it is decided on', { allowed, owner, metadata }, {
    allowed: true,
    owner: 'customer 42',
    metadata: { plan: 'pro' }
  })
  check('another address is denied', (await decide(key.apiKey, '192.0.2.1', 'clusters.read')).reason, 'address_denied')

  // Change the list, and let the key not expire.
  const UPDATE = `mutation ($publicKey: String!, $list: JSON) {
    updateKey(input: { publicKey: $publicKey, accessList: $list, expiresAt: "infinity" }) { key { accessList expiresAt } }
  }`
  const { updateKey } = await ask(UPDATE, { publicKey: key.publicKey, list: ['203.0.113.0/24'] })
  check('the list is replaced', { ...updateKey.key }, { accessList: ['203.0.113.0/24'], expiresAt: null })

  // List, two keys on a page.
  for (const description of ['Backups', 'Nightly']) await ask(CREATE, { acme, description, roles: ['ORG_MEMBER'] })
  const PAGE = `query ($acme: UUID!, $after: Cursor) {
    allKeys(condition: { organizationId: $acme }, orderBy: [CREATED_AT_DESC, PUBLIC_KEY_DESC], first: 2, after: $after) {
      nodes { description }
      pageInfo { endCursor }
    }
  }`
  const page = async (after) => {
    const { nodes, pageInfo } = (await ask(PAGE, { acme, after })).allKeys
    return { descriptions: nodes.map(({ description }) => description), end: pageInfo.endCursor }
  }
  const first = await page()
  check('a page', first.descriptions, ['Nightly', 'Backups'])
  check('and the next', (await page(first.end)).descriptions, ['Reports'])
  const one = await ask('query ($key: String!) { keyByPublicKey(publicKey: $key) { description } }', {
    key: key.publicKey
  })
  check('and one key', one.keyByPublicKey.description, 'Reports')

  // Rotate.
  const ROTATE = `mutation ($publicKey: String!) {
    rotateSecret(input: { publicKey: $publicKey, overlap: { seconds: 0 } }) { string }
  }`
  const renewed = (await ask(ROTATE, { publicKey: key.publicKey })).rotateSecret.string
  const reasons = []
  for (const secret of [renewed, key.privateKey]) {
    reasons.push((await decide(`${key.publicKey}.${secret}`, '203.0.113.7', 'clusters.read')).reason)
  }
  check('the secret is rotated, and the old one denied', reasons, ['ok', 'secret_expired'])

  // A refusal.
  const refusal = await ask('mutation { disableKey(input: { publicKey: "ak_pub_unknown" }) { boolean } }').catch(
    (error) => error
  )
  check('a refusal has an identifier', refusal.constraint, 'key_not_found')

  await pgPool.end()
  plan()
}

main()
