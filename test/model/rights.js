// Who may do what, written plainly from the chapter of that name in
// doc/reference.md.  A state is a plain object that can be cloned:
//
//   organizations, projects, keys   by their ids and names
//   roles                           custom roles by their ids: the name or, of one
//                                   organization, <organization>/<name>
//   members                         [{organization, project, principal, role}]
//
// An actor is {kind: 'superuser' | 'role' | 'user' | 'key', name}; a key that is
// bound by a short-lived token has also token: {scopes, project}.
'use strict';

const ROLES = {
  ORG_OWNER: { level: 'organization', organization: ['*'], project: ['*'] },
  ORG_GROUP_CREATOR: { level: 'organization', organization: ['organization.read', 'apikeys.projects.create'], project: [] },
  ORG_READ_ONLY: { level: 'organization', organization: ['*.read'], project: ['*.read'] },
  ORG_MEMBER: { level: 'organization', organization: ['organization.read'], project: [] },
  GROUP_OWNER: { level: 'project', organization: [], project: ['*'] },
  GROUP_USER_ADMIN: { level: 'project', organization: [],
    project: ['*.read', 'apikeys.keys.manage', 'apikeys.members.manage', 'apikeys.roles.grant_any'] },
  GROUP_READ_ONLY: { level: 'project', organization: [], project: ['*.read'] },
  MODEL_KEYS: { level: 'organization', organization: ['organization.read', 'apikeys.keys.read', 'apikeys.keys.manage'], project: [] },
  MODEL_MEMBERS: { level: 'organization', organization: ['apikeys.members.manage'], project: ['apikeys.projects.manage'] },
  MODEL_SELF: { level: 'organization', organization: ['apikeys.self.rotate'], project: ['data.find'] },
  MODEL_PROJECT_KEYS: { level: 'project', organization: [], project: ['apikeys.keys.manage', 'clusters.*'] },
};

// A pattern covers another if it matches all that the other matches: the star of
// the other is a character that only a star matches.
const expressions = new Map();
function covers(wide, narrow) {
  let expression = expressions.get(wide);
  if (!expression) {
    const body = wide.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*');
    expressions.set(wide, expression = new RegExp(`^${body}$`, 's'));
  }
  return expression.test(narrow);
}

const anyCovers = (patterns, wanted) => patterns.some((pattern) => covers(pattern, wanted));

const clone = (state) => structuredClone(state);

// --- Roles --------------------------------------------------------------------

const roleOf = (state, id) => ROLES[id] ?? state.roles[id];

// The role that a name means in an organization: its own before one of all.
function findRole(state, name, organization) {
  const own = `${organization}/${name}`;
  return state.roles[own] ? own : roleOf(state, name) ? name : null;
}

// What is granted is a role or a permission: the patterns in the organization
// itself, and in projects.
function permissionsOf(state, grant) {
  if (!grant.permission) return roleOf(state, grant.role);
  return grant.project ? { organization: [], project: [grant.permission] }
    : { organization: [grant.permission], project: [] };
}

// --- What an actor has ----------------------------------------------------------

const principalOf = (actor) => (actor.kind === 'superuser' ? 'role:postgres' : `${actor.kind}:${actor.name}`);

// Why a key cannot be used, whatever its roles, or ok; which lists have its address,
// hasAddress says.
function standingBy(state, key, hasAddress) {
  const { requireList, maxYears, list } = state.organizations[key.organization];
  if (key.disabled) return 'key_disabled';
  if (key.years === 0) return 'key_expired';
  if (maxYears !== null && (key.years === null || key.years > maxYears)) return 'lifetime_exceeded';
  if (list.length && !hasAddress(list)) return 'organization_address_denied';
  if (!key.list.length) return requireList ? 'access_list_required' : 'ok';
  return hasAddress(key.list) ? 'ok' : 'address_denied';
}

// A key that could not be bound any more holds nothing, nor does one whose secret has
// expired.  Without networks, it is not bound.
function grantsOf(state, actor) {
  if (actor.kind === 'key') {
    const key = state.keys[actor.name];
    if (!key || key.disabled || key.years === 0) return [];
    if (actor.networks && standingBy(state, key, (list) => list.some((entry) => actor.networks.includes(entry))) !== 'ok') return [];
    if (actor.version && !key.secrets.some((s) => s.version === actor.version && s.days !== 0)) return [];
    return key.grants.map((grant) => ({ ...grant, organization: key.organization }));
  }
  const principal = principalOf(actor);
  return state.members.filter((m) => m.principal === principal);
}

// What an actor holds, of which a token with a project leaves what is in it.
function heldBy(state, actor) {
  const held = grantsOf(state, actor).map((grant) => {
    const { organization, project } = permissionsOf(state, grant);
    return { organization: grant.organization, project: grant.project, there: organization, inProjects: project };
  });
  const only = actor.token?.project;
  if (!only) return held;
  return held.filter((h) => (h.project ? h.project === only
    : h.inProjects.length > 0 && state.projects[only]?.organization === h.organization))
    .map((h) => ({ ...h, project: only, there: [] }));
}

// Whether the actor's own permissions cover a scope or a permission: in an
// organization itself, in a project of it or, with '*', in all its projects.  Of a
// token one of the patterns must cover it too.
function has(state, actor, wanted, organization, place) {
  if (place && place !== '*' && state.projects[place]?.organization !== organization) return false;
  if (actor.token?.scopes && !anyCovers(actor.token.scopes, wanted)) return false;
  return heldBy(state, actor).some((h) => h.organization === organization && (place
    ? (!h.project || h.project === place) && anyCovers(h.inProjects, wanted)
    : !h.project && anyCovers(h.there, wanted)));
}

const may = (state, actor, scope, organization, project = null) =>
  actor.kind === 'superuser' || has(state, actor, scope, organization, project);

// Nobody gives what it has not.
function mayGrant(state, actor, grant, organization, project) {
  const wanted = permissionsOf(state, { ...grant, project });
  if (actor.token?.scopes && ![...wanted.project, ...(project ? [] : wanted.organization)]
    .every((w) => anyCovers(actor.token.scopes, w))) return false;
  if (may(state, actor, 'apikeys.roles.grant_any', organization, project)) return true;
  const hasAll = (patterns, place) => patterns.every((w) => has(state, actor, w, organization, place));
  return project ? hasAll(wanted.project, project) : hasAll(wanted.organization, null) && hasAll(wanted.project, '*');
}

// --- Reading --------------------------------------------------------------------

const readsOrganization = (state, actor, id) =>
  !!state.organizations[id] &&
  (actor.kind === 'superuser' || heldBy(state, actor).some((h) => h.organization === id));

function readsProject(state, actor, id) {
  const project = state.projects[id];
  if (!project) return false;
  if (actor.kind === 'superuser') return true;
  const readsAll = (scope) => has(state, actor, scope, project.organization, null);
  return readsAll('apikeys.projects.read') || readsAll('apikeys.projects.manage') ||
    heldBy(state, actor).some((h) => h.organization === project.organization &&
      (h.project ? h.project === id : h.inProjects.length > 0));
}

const readsKeysAt = (state, actor, organization, project) =>
  may(state, actor, 'apikeys.keys.read', organization, project) ||
  may(state, actor, 'apikeys.keys.manage', organization, project);

// By a token that was narrowed a key reads itself only as others do.
const readsItself = (actor, name) =>
  actor.kind === 'key' && actor.name === name && !actor.token?.scopes && !actor.token?.project;

function readsKey(state, actor, name) {
  const key = state.keys[name];
  if (!key) return false;
  return readsItself(actor, name) || readsKeysAt(state, actor, key.organization, null) ||
    key.grants.some((g) => g.project && readsKeysAt(state, actor, key.organization, g.project));
}

// What the rows of tables under row-level security are for an actor.
function visibleTo(state, actor) {
  const readsRow = (name, key, grant) => readsItself(actor, name) || readsKeysAt(state, actor, key.organization, null) ||
    (grant.project && readsKeysAt(state, actor, key.organization, grant.project));
  return {
    organizations: Object.keys(state.organizations).filter((id) => readsOrganization(state, actor, id)),
    projects: Object.keys(state.projects).filter((id) => readsProject(state, actor, id)),
    keys: Object.keys(state.keys).filter((name) => readsKey(state, actor, name)),
    grants: Object.entries(state.keys).flatMap(([name, key]) => key.grants.filter((grant) => readsRow(name, key, grant))
      .map((grant) => [name, grant.project ?? '', grant.role ?? `=${grant.permission}`].join(' '))),
  };
}

// --- Managing -------------------------------------------------------------------

const managesKeysAt = (state, actor, organization, project) =>
  may(state, actor, 'apikeys.keys.manage', organization, project);

// In every place where the key has a right, and each right could be given.
function managesKey(state, actor, name) {
  const key = state.keys[name];
  if (key.grants.length === 0) return managesKeysAt(state, actor, key.organization, null);
  return key.grants.every((g) => managesKeysAt(state, actor, key.organization, g.project) &&
    mayGrant(state, actor, g, key.organization, g.project));
}

function stopsKey(state, actor, name) {
  const key = state.keys[name];
  if (key.grants.length === 0) return managesKeysAt(state, actor, key.organization, null);
  return key.grants.some((g) => managesKeysAt(state, actor, key.organization, g.project));
}

// In its organization, or in every place where it holds something.
function rotatesItself(state, actor, name) {
  const key = state.keys[name];
  if (actor.kind !== 'key' || actor.name !== name || actor.token || key.grants.length === 0) return false;
  const isAllowed = (project) => may(state, actor, 'apikeys.self.rotate', key.organization, project);
  return isAllowed(null) || key.grants.every((g) => isAllowed(g.project));
}

// --- An invariant over all verbs -------------------------------------------------

// Every right that some principal has, by 'principal organization place pattern'.
function allRights(state) {
  const rights = new Map();
  const put = (principal, organization, grant) => {
    const permissions = permissionsOf(state, grant);
    const add = (place, pattern) => rights.set(`${principal} ${organization} ${place} ${pattern}`,
      { organization, place, pattern });
    if (!grant.project) permissions.organization.forEach((p) => add(null, p));
    permissions.project.forEach((p) => add(grant.project ?? '*', p));
  };
  state.members.forEach((m) => put(m.principal, m.organization, m));
  for (const [name, key] of Object.entries(state.keys)) {
    key.grants.forEach((g) => put(`key:${name}`, key.organization, g));
  }
  return rights;
}

// The rights that have come without a grant by somebody who covered them.
function ungranted(before, after, actor) {
  const had = allRights(before);
  return [...allRights(after)].filter(([text, { organization, place, pattern }]) => !had.has(text) &&
    !has(before, actor, pattern, organization, place) &&
    !may(before, actor, 'apikeys.roles.grant_any', organization, place === '*' ? null : place)).map(([text]) => text);
}

module.exports = {
  ROLES, anyCovers, clone, covers, findRole, has, heldBy, managesKey, may, mayGrant, permissionsOf, principalOf,
  readsKey, readsOrganization, readsProject, roleOf, rotatesItself, standingBy, stopsKey, ungranted, visibleTo,
};
