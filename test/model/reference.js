// The rules of management, written plainly: what each verb answers, and what it
// changes.  It knows nothing of SQL.  A state is a plain object that can be
// cloned; apply(state, actor, operation) changes it and returns 'ok', 'same'
// (nothing changed) or the identifier of the refusal.
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
function covers(wide, narrow) {
  const body = wide.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*');
  return new RegExp(`^${body}$`, 's').test(narrow);
}

const clone = (state) => structuredClone(state);

function emptyState() {
  return { organizations: {}, projects: {}, members: [], keys: {}, deleted: [] };
}

// --- What an actor has ------------------------------------------------------

// An actor is {kind: 'superuser' | 'role' | 'user' | 'key', name}.
const principalOf = (actor) => (actor.kind === 'superuser' ? 'role:postgres' : `${actor.kind}:${actor.name}`);

// The roles that an actor holds: {organization, project, role}.
function grantsOf(state, actor) {
  if (actor.kind === 'key') {
    const key = state.keys[actor.name];
    if (!key || key.disabled) return [];
    return key.roles.map((r) => ({ organization: key.organization, project: r.project, role: r.role }));
  }
  const principal = principalOf(actor);
  return state.members.filter((m) => m.principal === principal);
}

// Patterns that the actor has in the organization itself, or in a project of it.
function patternsAt(state, actor, organization, project) {
  if (project && (!state.projects[project] || state.projects[project].organization !== organization)) return [];
  const patterns = [];
  for (const grant of grantsOf(state, actor)) {
    if (grant.organization !== organization) continue;
    const role = ROLES[grant.role];
    if (!project) {
      if (!grant.project) patterns.push(...role.organization);
    } else if (!grant.project || grant.project === project) patterns.push(...role.project);
  }
  return patterns;
}

const may = (state, actor, scope, organization, project = null) =>
  actor.kind === 'superuser' ||
  patternsAt(state, actor, organization, project).some((pattern) => covers(pattern, scope));

function mayGrant(state, actor, roleName, organization, project) {
  if (may(state, actor, 'apikeys.roles.grant_any', organization, project)) return true;
  const role = ROLES[roleName];
  const covered = (wanted, place) => {
    const own = patternsAt2(state, actor, organization, place);
    return wanted.every((w) => own.some((o) => covers(o, w)));
  };
  return project ? covered(role.project, project) : covered(role.organization, null) && covered(role.project, '*');
}

// Like patternsAt(); with '*', what the actor has in every project.
function patternsAt2(state, actor, organization, place) {
  if (place !== '*') return patternsAt(state, actor, organization, place);
  return grantsOf(state, actor)
    .filter((g) => g.organization === organization && !g.project)
    .flatMap((g) => ROLES[g.role].project);
}

const readsOrganization = (state, actor, id) =>
  !!state.organizations[id] &&
  (actor.kind === 'superuser' || grantsOf(state, actor).some((g) => g.organization === id));

function readsProject(state, actor, id) {
  const project = state.projects[id];
  if (!project) return false;
  if (actor.kind === 'superuser') return true;
  return grantsOf(state, actor).some((g) => g.organization === project.organization &&
    (g.project ? g.project === id : ROLES[g.role].project.length > 0 ||
      ROLES[g.role].organization.some((p) => covers(p, 'apikeys.projects.read') || covers(p, 'apikeys.projects.manage'))));
}

const readsKeysAt = (state, actor, organization, project) =>
  may(state, actor, 'apikeys.keys.read', organization, project) ||
  may(state, actor, 'apikeys.keys.manage', organization, project);

function readsKey(state, actor, name) {
  const key = state.keys[name];
  if (!key) return false;
  return (actor.kind === 'key' && actor.name === name) || readsKeysAt(state, actor, key.organization, null) ||
    key.roles.some((r) => r.project && readsKeysAt(state, actor, key.organization, r.project));
}

const managesKeysAt = (state, actor, organization, project) =>
  may(state, actor, 'apikeys.keys.manage', organization, project);

function managesKey(state, actor, name) {
  const key = state.keys[name];
  if (key.roles.length === 0) return managesKeysAt(state, actor, key.organization, null);
  return key.roles.every((r) => managesKeysAt(state, actor, key.organization, r.project) &&
    mayGrant(state, actor, r.role, key.organization, r.project));
}

function stopsKey(state, actor, name) {
  const key = state.keys[name];
  if (key.roles.length === 0) return managesKeysAt(state, actor, key.organization, null);
  return key.roles.some((r) => managesKeysAt(state, actor, key.organization, r.project));
}

const rotatesItself = (state, actor, name) =>
  actor.kind === 'key' && actor.name === name &&
  grantsOf(state, actor).some((g) =>
    (g.project ? ROLES[g.role].project : ROLES[g.role].organization).some((p) => covers(p, 'apikeys.self.rotate')));

// --- Refusals ---------------------------------------------------------------

class Refusal extends Error {}
const refuse = (identifier) => { throw new Refusal(identifier); };

function demand(state, actor, scope, organization, project = null) {
  if (may(state, actor, scope, organization, project) && state.organizations[organization] &&
      (!project || state.projects[project]?.organization === organization)) return;
  if (project ? !(readsProject(state, actor, project) && state.projects[project].organization === organization)
    : !readsOrganization(state, actor, organization)) refuse(project ? 'project_not_found' : 'organization_not_found');
  refuse('permission_denied');
}

function seeKey(state, actor, name) {
  if (!readsKey(state, actor, name)) refuse('key_not_found');
  return state.keys[name];
}

const demandManaged = (state, actor, name) => { if (!managesKey(state, actor, name)) refuse('permission_denied'); };

function checkGrants(state, actor, roles, organization, project, held = []) {
  for (const [place, role] of roles.entries()) {
    if (!ROLES[role]) refuse('role_not_found');
    if (roles.indexOf(role) < place) refuse('role_duplicate');
    if (ROLES[role].level !== (project ? 'project' : 'organization')) refuse('role_level_mismatch');
    if (!held.includes(role) && !mayGrant(state, actor, role, organization, project)) refuse('role_not_grantable');
  }
}

// What cannot be given cannot be taken.
function checkTaken(state, actor, roles, organization, project) {
  if (!roles.every((r) => mayGrant(state, actor, r, organization, project))) refuse('role_not_grantable');
}

const checkLife = (state, organization, years) => {
  const most = state.organizations[organization].maxYears;
  if (most !== null && (years === null || years > most)) refuse('lifetime_exceeded');
};

const sameSet = (a, b) => a.length === b.length && a.every((x) => b.includes(x));

// --- The verbs --------------------------------------------------------------

const verbs = {
  create_organization(state, actor, o) {
    if (actor.kind === 'key') refuse('permission_denied');
    if (Object.values(state.organizations).some((x) => x.name === o.name)) refuse('name_taken');
    state.organizations[o.id] = { name: o.name, requireList: false, maxYears: null, maxKeys: null };
    state.members.push({ organization: o.id, project: null, principal: principalOf(actor), role: 'ORG_OWNER' });
  },
  rename_organization(state, actor, o) {
    demand(state, actor, 'apikeys.organization.manage', o.organization);
    if (state.organizations[o.organization].name === o.name) return 'same';
    if (Object.values(state.organizations).some((x) => x.name === o.name)) refuse('name_taken');
    state.organizations[o.organization].name = o.name;
  },
  set_organization_policy(state, actor, o) {
    demand(state, actor, 'apikeys.organization.manage', o.organization);
    const organization = state.organizations[o.organization];
    if (o.requireList && !organization.requireList && actor.kind === 'key' &&
        state.keys[actor.name].list.length === 0) refuse('own_access_list');
    const requireList = o.requireList ?? organization.requireList;
    if (requireList === organization.requireList && o.maxYears === organization.maxYears && o.maxKeys === organization.maxKeys) return 'same';
    Object.assign(organization, { requireList, maxYears: o.maxYears, maxKeys: o.maxKeys });
  },
  delete_organization(state, actor, o) {
    demand(state, actor, 'apikeys.organization.manage', o.organization);
    if (Object.values(state.keys).some((k) => k.organization === o.organization)) refuse('organization_has_keys');
    delete state.organizations[o.organization];
    for (const [id, p] of Object.entries(state.projects)) if (p.organization === o.organization) delete state.projects[id];
    state.members = state.members.filter((m) => m.organization !== o.organization);
  },
  create_project(state, actor, o) {
    if (!state.organizations[o.organization] || !may(state, actor, 'apikeys.projects.manage', o.organization)) {
      demand(state, actor, 'apikeys.projects.create', o.organization);
    }
    if (Object.values(state.projects).some((p) => p.organization === o.organization && p.name === o.name)) refuse('name_taken');
    state.projects[o.id] = { organization: o.organization, name: o.name };
    if (may(state, actor, 'apikeys.projects.manage', o.organization, o.id)) return;
    if (actor.kind === 'key') state.keys[actor.name].roles.push({ project: o.id, role: 'GROUP_OWNER' });
    else state.members.push({ organization: o.organization, project: o.id, principal: principalOf(actor), role: 'GROUP_OWNER' });
  },
  rename_project(state, actor, o) {
    demand(state, actor, 'apikeys.projects.manage', state.projects[o.project]?.organization, o.project);
    const project = state.projects[o.project];
    if (project.name === o.name) return 'same';
    if (Object.values(state.projects).some((p) => p.organization === project.organization && p.name === o.name)) refuse('name_taken');
    project.name = o.name;
  },
  delete_project(state, actor, o) {
    demand(state, actor, 'apikeys.projects.manage', state.projects[o.project]?.organization, o.project);
    delete state.projects[o.project];
    state.members = state.members.filter((m) => m.project !== o.project);
    for (const key of Object.values(state.keys)) key.roles = key.roles.filter((r) => r.project !== o.project);
  },
  add_member(state, actor, o) {
    demand(state, actor, 'apikeys.members.manage', o.organization, o.project);
    checkGrants(state, actor, [o.role], o.organization, o.project);
    const row = { organization: o.organization, project: o.project, principal: o.principal, role: o.role };
    if (state.members.some((m) => sameMember(m, row))) return 'same';
    state.members.push(row);
  },
  remove_member(state, actor, o) {
    demand(state, actor, 'apikeys.members.manage', o.organization, o.project);
    const row = { organization: o.organization, project: o.project, principal: o.principal, role: o.role };
    const kept = state.members.filter((m) => !sameMember(m, row));
    if (kept.length === state.members.length) return 'same';
    if (o.role === 'ORG_OWNER' && !kept.some((m) => m.organization === o.organization && m.role === 'ORG_OWNER')) refuse('last_owner');
    state.members = kept;
  },
  create_key(state, actor, o) {
    demand(state, actor, 'apikeys.keys.manage', o.organization);
    makeKey(state, actor, o, o.organization, null);
  },
  create_project_key(state, actor, o) {
    if (!readsProject(state, actor, o.project)) refuse('project_not_found');
    const { organization } = state.projects[o.project];
    demand(state, actor, 'apikeys.keys.manage', organization, o.project);
    makeKey(state, actor, o, organization, o.project);
  },
  update_key(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    return changeKey(state, actor, o.key, { description: o.description ?? key.description, list: o.list ?? key.list,
      years: o.years === undefined ? key.years : o.years,
      owner: o.owner === '' ? null : o.owner ?? key.owner, metadata: o.metadata ?? key.metadata }, o.years > 0);
  },
  add_to_access_list(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    return changeKey(state, actor, o.key, { ...key, list: [...new Set([...key.list, o.network])] });
  },
  remove_from_access_list(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    const list = key.list.filter((n) => n !== o.network);
    if (list.length === 0 && key.list.length > 0) {
      demandManaged(state, actor, o.key);
      refuse('last_entry');
    }
    return changeKey(state, actor, o.key, { ...key, list });
  },
  set_organization_roles(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    const held = key.roles.filter((r) => !r.project).map((r) => r.role);
    if (!o.roles.every((r) => held.includes(r))) demandManaged(state, actor, o.key);
    return replaceRoles(state, actor, key, null, o.roles, held);
  },
  set_project_roles(state, actor, o) {
    if (!readsProject(state, actor, o.project)) refuse('project_not_found');
    if (o.roles.length === 0) refuse('roles_missing');
    const key = seeKey(state, actor, o.key);
    if (key.organization !== state.projects[o.project].organization) refuse('key_not_found');
    if (key.roles.length === 0) demandManaged(state, actor, o.key);
    return replaceRoles(state, actor, key, o.project, o.roles,
      key.roles.filter((r) => r.project === o.project).map((r) => r.role));
  },
  remove_from_project(state, actor, o) {
    if (!readsProject(state, actor, o.project)) refuse('project_not_found');
    const key = seeKey(state, actor, o.key);
    demand(state, actor, 'apikeys.keys.manage', state.projects[o.project].organization, o.project);
    const kept = key.roles.filter((r) => r.project !== o.project);
    if (kept.length === key.roles.length) refuse('key_not_in_project');
    checkTaken(state, actor, key.roles.filter((r) => r.project === o.project).map((r) => r.role), key.organization, o.project);
    key.roles = kept;
  },
  rotate_secret(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    if (!rotatesItself(state, actor, o.key)) demandManaged(state, actor, o.key);
    if (o.overlap > 7) refuse('overlap_too_long');
    const newest = Math.max(...key.secrets.map((s) => s.version));
    const live = key.secrets.filter((s) => s.live);
    const kept = (live.length ? live : key.secrets).reduce((a, b) => (a.version > b.version ? a : b));
    kept.live = kept.live && o.overlap > 0;
    key.secrets = [kept, { version: newest + 1, live: true }];
  },
  revoke_secret(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    if (!rotatesItself(state, actor, o.key) && !stopsKey(state, actor, o.key)) refuse('permission_denied');
    const live = key.secrets.filter((s) => s.live);
    const secret = live.find((s) => s.version === o.version);
    if (!secret) refuse('secret_not_found');
    if (live.length === 1) refuse('last_secret');
    secret.live = false;
  },
  disable_key(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    if (!stopsKey(state, actor, o.key)) refuse('permission_denied');
    if (key.disabled) return 'same';
    key.disabled = true;
  },
  enable_key(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    demandManaged(state, actor, o.key);
    if (!key.disabled) return 'same';
    key.disabled = false;
  },
  delete_key(state, actor, o) {
    seeKey(state, actor, o.key);
    demandManaged(state, actor, o.key);
    delete state.keys[o.key];
    state.deleted.push(o.key);
  },
  import_key(state, actor, o) {
    demand(state, actor, 'apikeys.keys.manage', o.organization);
    checkCount(state, o.organization);
    checkGrants(state, actor, o.roles, o.organization, null);
    checkLife(state, o.organization, o.years);
    if (state.keys[o.id] || state.deleted.includes(o.id)) refuse('public_key_taken');
    addKey(state, o, o.organization, null);
  },
};

const sameMember = (a, b) => a.organization === b.organization && a.project === b.project &&
  a.principal === b.principal && a.role === b.role;

function addKey(state, o, organization, project) {
  state.keys[o.id] = { organization, description: o.description, list: o.list, years: o.years, disabled: false,
    owner: o.owner ?? null, metadata: o.metadata ?? {},
    roles: o.roles.map((role) => ({ project, role })), secrets: [{ version: 1, live: true }] };
}

function makeKey(state, actor, o, organization, project) {
  if (o.roles.length === 0) refuse('roles_missing');
  checkGrants(state, actor, o.roles, organization, project);
  checkLife(state, organization, o.years);
  checkCount(state, organization);
  addKey(state, o, organization, project);
}

function checkCount(state, organization) {
  const { maxKeys } = state.organizations[organization];
  if (maxKeys !== null && Object.values(state.keys).filter((k) => k.organization === organization).length >= maxKeys) refuse('too_many_keys');
}

// A number of years begins now: it is another end each time.
function changeKey(state, actor, name, after, endsAnew = false) {
  const key = state.keys[name];
  demandManaged(state, actor, name);
  const listChanged = !sameSet(key.list, after.list);
  if (listChanged) {
    if (state.organizations[key.organization].requireList && after.list.length === 0) refuse('access_list_required');
    if (actor.kind === 'key' && actor.name === name && after.list.length > 0 && !after.list.includes(actor.network)) refuse('own_address');
  }
  if (endsAnew || after.years !== key.years) checkLife(state, key.organization, after.years);
  if (!listChanged && after.description === key.description && after.years === key.years && !endsAnew &&
      after.owner === key.owner && after.metadata.plan === key.metadata.plan) return 'same';
  Object.assign(key, { description: after.description, list: after.list, years: after.years, owner: after.owner, metadata: after.metadata });
  return undefined;
}

function replaceRoles(state, actor, key, project, roles, held) {
  demand(state, actor, 'apikeys.keys.manage', key.organization, project);
  checkGrants(state, actor, roles, key.organization, project, held);
  checkTaken(state, actor, held.filter((r) => !roles.includes(r)), key.organization, project);
  if (sameSet(roles, held)) return 'same';
  key.roles = [...key.roles.filter((r) => r.project !== project), ...roles.map((role) => ({ project, role }))];
  return undefined;
}

function apply(state, actor, operation) {
  const before = clone(state);
  try {
    return verbs[operation.verb](state, actor, operation) ?? 'ok';
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    for (const field of Object.keys(state)) state[field] = before[field];
    return error.message;
  }
}

// --- An invariant over all verbs --------------------------------------------

// Every right that some principal has: 'principal organization project pattern'.
function allRights(state) {
  const rights = new Map();
  const put = (principal, grant) => {
    const role = ROLES[grant.role];
    const add = (place, pattern) => rights.set(`${principal} ${grant.organization} ${place} ${pattern}`,
      { principal, organization: grant.organization, project: place, pattern });
    if (!grant.project) role.organization.forEach((p) => add('-', p));
    role.project.forEach((p) => add(grant.project ?? '*', p));
  };
  state.members.forEach((m) => put(m.principal, m));
  for (const [name, key] of Object.entries(state.keys)) {
    key.roles.forEach((r) => put(`key:${name}`, { organization: key.organization, ...r }));
  }
  return rights;
}

// The rights that have come without a grant by somebody who covered them.
function ungranted(before, after, actor, operation) {
  if (['create_organization', 'create_project'].includes(operation.verb) || actor.kind === 'superuser') return [];
  const had = allRights(before);
  const unjust = [];
  for (const [text, right] of allRights(after)) {
    if (had.has(text)) continue;
    const project = right.project === '-' || right.project === '*' ? null : right.project;
    const own = patternsAt2(before, actor, right.organization, right.project === '-' ? null : right.project);
    if (!own.some((o) => covers(o, right.pattern)) &&
        !may(before, actor, 'apikeys.roles.grant_any', right.organization, project)) unjust.push(text);
  }
  return unjust;
}

module.exports = { ROLES, apply, clone, covers, emptyState, may, principalOf, ungranted };
