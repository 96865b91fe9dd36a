// Who holds which role in the organization, or in the project.
'use strict'
const { text } = require('./request')
const { findRoles } = require('./place')

async function list({ query, place }) {
  const members = await query(
    `SELECT m.principal, r.name AS role, r.description, m.principal = apikeys.principal() AS is_self
     FROM apikeys.member AS m JOIN apikeys.role AS r ON r.id = m.role
     WHERE m.organization_id = $1 AND m.project_id IS NOT DISTINCT FROM $2
     ORDER BY m.principal, r.name LIMIT 500`,
    [place.organization, place.project]
  )
  return { view: 'members', title: 'Members', chapter: 'members', members, roles: await findRoles(query, place) }
}

async function add({ query, place, form }) {
  const [{ changed }] = await query('SELECT apikeys.add_member($1, $2, $3, $4) AS changed', [
    place.organization,
    text(form.principal),
    text(form.role),
    place.project
  ])
  return {
    redirect: `${place.base}/members`,
    notice: changed ? 'The member is added.' : 'This member has the role already.'
  }
}

async function remove({ query, place, form }) {
  const [{ changed }] = await query('SELECT apikeys.remove_member($1, $2, $3, $4) AS changed', [
    place.organization,
    text(form.principal),
    text(form.role),
    place.project
  ])
  return { redirect: `${place.base}/members`, notice: changed ? 'The role is taken away.' : 'This member did not have the role.' }
}

module.exports = [
  ['get', '/members', list],
  ['post', '/members', add, list],
  ['post', '/members/remove', remove, list]
]
