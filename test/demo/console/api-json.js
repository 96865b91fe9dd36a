// Rows of the database as the JSON of the API.
'use strict'

const KEY_ROWS = `SELECT k.public_key, k.private_key, k.description, k.organization_id, k.roles FROM apikeys.keys AS k`

const ENTRY_ROWS = `SELECT e.network::text, host(e.network) AS address,
    masklen(e.network) = CASE family(e.network) WHEN 4 THEN 32 ELSE 128 END AS is_address,
    e.use_count, e.created_at, e.last_used_at, host(e.last_used_address) AS last_used_address,
    (SELECT apikeys.cardinality(k.access_list) FROM apikeys.key AS k WHERE k.public_key = e.public_key) = 1 AS is_last,
    e.public_key IS NOT DISTINCT FROM apikeys.current_key() AS is_own
  FROM apikeys.access_list_entries AS e`

const link = (href, rel = 'self') => ({ href, rel })

function keyJson(row, root) {
  return {
    desc: row.description,
    id: row.public_key,
    links: [link(`${root}/orgs/${row.organization_id}/apiKeys/${encodeURIComponent(row.public_key)}`)],
    privateKey: row.private_key,
    publicKey: row.public_key,
    roles: row.roles
      .filter(({ role }) => role !== undefined)
      .map(({ organization_id: orgId, project_id: groupId, role }) =>
        orgId ? { orgId, roleName: role } : { groupId, roleName: role }
      )
  }
}

const toSecond = (date) => new Date(date).toISOString().replace(/\.\d+/, '')

function entryJson(row, listUrl) {
  return {
    cidrBlock: row.network,
    count: Number(row.use_count),
    created: toSecond(row.created_at),
    ...(row.is_address && { ipAddress: row.address }),
    ...(row.last_used_at && { lastUsed: toSecond(row.last_used_at), lastUsedAddress: row.last_used_address }),
    links: [link(`${listUrl}/${encodeURIComponent(row.is_address ? row.address : row.network)}`)]
  }
}

// [limit, offset] of a page.
function pageOf({ pageNum = '1', itemsPerPage = '100' }) {
  const limit = within(itemsPerPage, 1, 500)
  return [limit, (within(pageNum, 1, 1000000) - 1) * limit]
}

const within = (value, least, most) => Math.min(Math.max(Number.parseInt(value, 10) || least, least), most)

function pageJson({ search, url }, results, count) {
  const [limit, offset] = pageOf(search)
  const number = offset / limit + 1
  const isCounted = search.includeCount !== 'false'
  const at = (pageNum, rel) => link(`${url}?includeCount=${isCounted}&pageNum=${pageNum}&itemsPerPage=${limit}`, rel)
  return {
    links: [
      at(number, 'self'),
      ...(number > 1 ? [at(number - 1, 'previous')] : []),
      ...(offset + results.length < Number(count) ? [at(number + 1, 'next')] : [])
    ],
    results,
    ...(isCounted && { totalCount: Number(count) })
  }
}

module.exports = { KEY_ROWS, ENTRY_ROWS, keyJson, entryJson, pageOf, pageJson }
