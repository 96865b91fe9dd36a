// Where somebody works: an organization, or a project. Both have the same
// chapters, and differ in a few statements.
'use strict'
const { PageError } = require('./refusals')

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

// { kind, id, name, organization, organizationName, project, level, base }
async function findPlace(query, kind, id) {
  const [row] = !UUID.test(id)
    ? []
    : kind === 'organization'
      ? await query(
          'SELECT id AS organization, name, name AS organization_name FROM apikeys.organization WHERE id = $1',
          [id]
        )
      : await query(
          `SELECT p.organization_id AS organization, p.name, o.name AS organization_name
         FROM apikeys.project AS p JOIN apikeys.organization AS o ON o.id = p.organization_id
         WHERE p.id = $1`,
          [id]
        )
  if (!row) throw new PageError(404, `There is no such ${kind}, or you may not see it.`)
  return {
    kind,
    id,
    name: row.name,
    organization: row.organization,
    organizationName: row.organization_name,
    project: kind === 'project' ? id : null,
    level: kind,
    base: `/${kind}s/${id}`
  }
}

const findRoles = (query, place, level = place.level) =>
  query(
    `SELECT name, description FROM apikeys.role
   WHERE level = $1 AND (organization_id IS NULL OR organization_id = $2)
   ORDER BY is_builtin DESC, name`,
    [level, place.organization]
  )

const findProjects = (query, place) =>
  query('SELECT id, name FROM apikeys.project WHERE organization_id = $1 ORDER BY name', [place.organization])

module.exports = { UUID, findPlace, findRoles, findProjects }
