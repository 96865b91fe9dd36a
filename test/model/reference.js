// The rules of management, written plainly from the documents: what each verb
// answers, and what it changes.  It knows nothing of SQL.  apply(state, actor,
// operation) changes the state and returns 'ok', 'same' (nothing changed) or the
// identifier of the refusal.  A verb checks all before it changes anything.
'use strict';
const {
  findRole, managesKey, may, mayGrant, permissionsOf, principalOf, readsKey, readsOrganization, readsProject, roleOf,
  ROLES, rotatesItself, stopsKey,
} = require('./rights.js');

const emptyState = () => ({ organizations: {}, projects: {}, members: [], roles: {}, keys: {}, deleted: [], ids: 0 });

// --- Refusals ---------------------------------------------------------------

class Refusal extends Error {}
const refuse = (identifier) => { throw new Refusal(identifier); };
const demandThat = (condition, identifier) => { if (!condition) refuse(identifier); };

function refuseThere(state, actor, organization, project) {
  if (project) demandThat(readsProject(state, actor, project) && state.projects[project].organization === organization, 'project_not_found');
  else demandThat(readsOrganization(state, actor, organization), 'organization_not_found');
  refuse('permission_denied');
}

function demand(state, actor, scopes, organization, project = null) {
  const exists = state.organizations[organization] && (!project || state.projects[project]?.organization === organization);
  if (!exists || ![scopes].flat().some((scope) => may(state, actor, scope, organization, project))) {
    refuseThere(state, actor, organization, project);
  }
}

function seeKey(state, actor, name) {
  demandThat(readsKey(state, actor, name), 'key_not_found');
  return state.keys[name];
}

const demandManaged = (state, actor, name) => demandThat(managesKey(state, actor, name), 'permission_denied');

function seeManaged(state, actor, name) {
  const key = seeKey(state, actor, name);
  demandManaged(state, actor, name);
  return key;
}

// The ids of roles that the actor may grant, or that are held already.
function checkRoles(state, actor, names, organization, project, held = []) {
  return names.map((name, place) => {
    const id = findRole(state, name, organization);
    demandThat(id, 'role_not_found');
    demandThat(names.indexOf(name) === place, 'role_duplicate');
    demandThat(roleOf(state, id).level === (project ? 'project' : 'organization'), 'role_level_mismatch');
    demandThat(held.includes(id) || mayGrant(state, actor, { role: id }, organization, project), 'role_not_grantable');
    return id;
  });
}

// Of an import all are looked up before any is judged, in the order of their names.
function checkImportedRoles(state, actor, names, organization) {
  demandThat(names.every((name) => findRole(state, name, organization)), 'role_not_found');
  demandThat(new Set(names).size === names.length, 'role_duplicate');
  return checkRoles(state, actor, [...names].sort(), organization, null);
}

const isPattern = (text) => /^[A-Za-z0-9_.:/*-]{1,256}$/.test(text);

function checkPermissions(state, actor, permissions, organization, project, held = []) {
  demandThat(permissions.every(isPattern), 'invalid_permission');
  demandThat(new Set(permissions).size === permissions.length, 'permission_duplicate');
  demandThat(permissions.every((p) => held.includes(p) || mayGrant(state, actor, { permission: p }, organization, project)),
    'permission_not_grantable');
}

// What cannot be given cannot be taken.
function checkTaken(state, actor, grants, organization, project) {
  for (const grant of [...grants.filter((g) => g.role), ...grants.filter((g) => g.permission)]) {
    demandThat(mayGrant(state, actor, grant, organization, project),
      grant.role ? 'role_not_grantable' : 'permission_not_grantable');
  }
}

function checkLife(state, organization, years) {
  const most = state.organizations[organization].maxYears;
  demandThat(most === null || (years !== null && years <= most), 'lifetime_exceeded');
}

function checkCount(state, organization) {
  const { maxKeys } = state.organizations[organization];
  demandThat(maxKeys === null ||
    Object.values(state.keys).filter((k) => k.organization === organization).length < maxKeys, 'too_many_keys');
}

const sameSet = (a, b) => a.length === b.length && a.every((x) => b.includes(x));

// --- What several verbs do --------------------------------------------------

// NULL is for ever, both for a secret's days and for the most that are allowed.
const atMost = (days, most) => (most === null || (days !== null && days <= most) ? days : most);

function addKey(state, o, organization, project, roles) {
  const { environment, maxSecretDays } = state.organizations[organization];
  state.keys[o.id] = { organization, description: o.description, list: o.list, years: o.years, disabled: false,
    owner: o.owner ?? null, metadata: o.metadata ?? {}, environment: state.projects[project]?.environment ?? environment,
    grants: [...roles.map((role) => ({ project, role })), ...(o.permissions ?? []).map((permission) => ({ project, permission }))],
    secrets: [{ version: 1, days: atMost(null, maxSecretDays) }], last: 1, limits: [], limitsId: ++state.ids };
}

function makeKey(state, actor, o, organization, project) {
  demandThat(o.roles.length + o.permissions.length > 0, 'roles_missing');
  const roles = checkRoles(state, actor, o.roles, organization, project);
  checkPermissions(state, actor, o.permissions, organization, project);
  checkLife(state, organization, o.years);
  checkCount(state, organization);
  addKey(state, o, organization, project, roles);
}

// A number of years begins now: it is another end each time.
function changeKey(state, actor, name, changes) {
  const key = state.keys[name];
  demandManaged(state, actor, name);
  const after = { ...key, ...changes };
  if (!sameSet(key.list, after.list)) {
    demandThat(after.list.length > 0 || !state.organizations[key.organization].requireList, 'access_list_required');
    checkOwnAddress(actor, name, after.list);
  }
  const endsAnew = typeof changes.years === 'number';
  if (endsAnew || after.years !== key.years) checkLife(state, key.organization, after.years);
  if (!endsAnew && after.years === key.years && sameSet(key.list, after.list) && after.description === key.description &&
      after.owner === key.owner && after.metadata.plan === key.metadata.plan) return 'same';
  Object.assign(key, changes);
  return undefined;
}

function checkOwnAddress(actor, name, list) {
  if (actor.kind === 'key' && actor.name === name && list.length > 0) {
    demandThat(list.some((n) => actor.networks.includes(n)), 'own_address');
  };
}

function replaceGrants(state, actor, key, project, o) {
  demand(state, actor, 'apikeys.keys.manage', key.organization, project);
  const here = key.grants.filter((g) => g.project === project);
  const heldRoles = here.filter((g) => g.role).map((g) => g.role);
  const heldPermissions = here.filter((g) => g.permission).map((g) => g.permission);
  const roles = checkRoles(state, actor, o.roles, key.organization, project, heldRoles);
  const permissions = o.permissions ?? heldPermissions;
  checkPermissions(state, actor, permissions, key.organization, project, heldPermissions);
  checkTaken(state, actor, here.filter((g) => !roles.includes(g.role) && !permissions.includes(g.permission)), key.organization, project);
  if (sameSet(roles, heldRoles) && sameSet(permissions, heldPermissions)) return 'same';
  key.grants = [...key.grants.filter((g) => g.project !== project), ...roles.map((role) => ({ project, role })),
    ...permissions.map((permission) => ({ project, permission }))];
  return undefined;
}

function demandRoleManager(state, actor, organization) {
  if (organization) demand(state, actor, ['apikeys.members.manage', 'apikeys.keys.manage'], organization);
  // A role of every organization: PostgreSQL roles that may create an organization.
  else demandThat(['superuser', 'role'].includes(actor.kind), 'permission_denied');
}

// Sets, changes or removes one of the limits; a changed one stays the same limit.
function putLimit(state, limits, limit) {
  const old = limits.find((l) => l.kind === limit.kind && l.scope === limit.scope);
  const isRemoved = limit.requests === null && limit.amount === null;
  if (isRemoved ? !old : old && ['requests', 'days', 'burst', 'amount'].every((f) => old[f] === limit[f])) return 'same';
  if (isRemoved) limits.splice(limits.indexOf(old), 1);
  else if (old) Object.assign(old, limit);
  else limits.push({ ...limit, id: ++state.ids });
  return undefined;
}

const rate = (o, kind) => ({ kind, scope: o.scope ?? null, requests: o.requests, amount: null,
  days: o.requests === null ? null : o.days, burst: o.requests === null ? null : o.burst ?? o.requests });
const quota = (o) => ({ kind: o.period, scope: null, requests: null, amount: o.amount, days: null, burst: null });

function checkRate(o) {
  demandThat(o.requests === null || (o.requests > 0 && (o.burst === undefined || o.burst > 0)), 'invalid_rate');
}

function checkQuota(o) {
  demandThat(['hour', 'day', 'week', 'month', 'ever'].includes(o.period), 'invalid_period');
  demandThat(o.amount === null || o.amount >= 0, 'invalid_amount');
}

// --- The verbs --------------------------------------------------------------

const manageOrganization = (state, actor, o) => {
  demand(state, actor, 'apikeys.organization.manage', o.organization);
  return state.organizations[o.organization];
};

const manageProject = (state, actor, o) => {
  demand(state, actor, 'apikeys.projects.manage', state.projects[o.project]?.organization, o.project);
  return state.projects[o.project];
};

const isEnvironment = (text) => text === null || /^[a-z][a-z0-9]{0,7}$/.test(text);

function setEnvironment(place, environment) {
  demandThat(isEnvironment(environment), 'invalid_environment');
  if (place.environment === environment) return 'same';
  place.environment = environment;
  return undefined;
}

const organizationVerbs = {
  create_organization(state, actor, o) {
    demandThat(actor.kind !== 'key', 'permission_denied');
    demandThat(!Object.values(state.organizations).some((x) => x.name === o.name), 'name_taken');
    state.organizations[o.id] = { name: o.name, requireList: false, maxYears: null, maxKeys: null, maxOverlap: 7,
      maxSecretDays: null, list: [], environment: null, limits: [] };
    state.members.push({ organization: o.id, project: null, principal: principalOf(actor), role: 'ORG_OWNER' });
  },
  rename_organization(state, actor, o) {
    const organization = manageOrganization(state, actor, o);
    if (organization.name === o.name) return 'same';
    demandThat(!Object.values(state.organizations).some((x) => x.name === o.name), 'name_taken');
    organization.name = o.name;
    return undefined;
  },
  set_organization_policy(state, actor, o) {
    const organization = manageOrganization(state, actor, o);
    if (o.requireList && !organization.requireList && actor.kind === 'key') {
      demandThat(state.keys[actor.name].list.length > 0, 'own_access_list');
    }
    const after = { requireList: o.requireList ?? organization.requireList, maxOverlap: o.maxOverlap ?? organization.maxOverlap,
      maxYears: o.maxYears, maxKeys: o.maxKeys, maxSecretDays: o.maxSecretDays };
    if (Object.keys(after).every((field) => after[field] === organization[field])) return 'same';
    if (after.maxSecretDays !== organization.maxSecretDays) {
      for (const key of Object.values(state.keys).filter((k) => k.organization === o.organization)) {
        key.secrets.forEach((s) => { s.days = atMost(s.days, after.maxSecretDays); });
      }
    }
    Object.assign(organization, after);
    return undefined;
  },
  set_organization_access_list(state, actor, o) {
    const organization = manageOrganization(state, actor, o);
    if (actor.kind === 'key') checkOwnAddress(actor, actor.name, o.list);
    if (sameSet(organization.list, o.list)) return 'same';
    organization.list = o.list;
    return undefined;
  },
  set_organization_environment: (state, actor, o) => setEnvironment(manageOrganization(state, actor, o), o.environment),
  delete_organization(state, actor, o) {
    manageOrganization(state, actor, o);
    demandThat(!Object.values(state.keys).some((k) => k.organization === o.organization), 'organization_has_keys');
    delete state.organizations[o.organization];
    for (const [id, p] of Object.entries(state.projects)) if (p.organization === o.organization) delete state.projects[id];
    for (const [id, r] of Object.entries(state.roles)) if (r.of === o.organization) delete state.roles[id];
    state.members = state.members.filter((m) => m.organization !== o.organization);
  },
  create_project(state, actor, o) {
    demand(state, actor, ['apikeys.projects.create', 'apikeys.projects.manage'], o.organization);
    demandThat(!Object.values(state.projects).some((p) => p.organization === o.organization && p.name === o.name), 'name_taken');
    state.projects[o.id] = { organization: o.organization, name: o.name, environment: null };
    if (may(state, actor, 'apikeys.projects.manage', o.organization, o.id)) return;
    if (actor.kind === 'key') state.keys[actor.name].grants.push({ project: o.id, role: 'GROUP_OWNER' });
    else state.members.push({ organization: o.organization, project: o.id, principal: principalOf(actor), role: 'GROUP_OWNER' });
  },
  rename_project(state, actor, o) {
    const project = manageProject(state, actor, o);
    if (project.name === o.name) return 'same';
    demandThat(!Object.values(state.projects).some((p) => p.organization === project.organization && p.name === o.name), 'name_taken');
    project.name = o.name;
    return undefined;
  },
  set_project_environment: (state, actor, o) => setEnvironment(manageProject(state, actor, o), o.environment),
  delete_project(state, actor, o) {
    manageProject(state, actor, o);
    const { organization } = state.projects[o.project];
    const taken = Object.values(state.keys).flatMap((key) => key.grants.filter((g) => g.project === o.project));
    checkTaken(state, actor, taken, organization, o.project);
    delete state.projects[o.project];
    state.members = state.members.filter((m) => m.project !== o.project);
    for (const key of Object.values(state.keys)) key.grants = key.grants.filter((g) => g.project !== o.project);
  },
  add_member(state, actor, o) {
    demand(state, actor, 'apikeys.members.manage', o.organization, o.project);
    const [role] = checkRoles(state, actor, [o.role], o.organization, o.project);
    const row = { organization: o.organization, project: o.project, principal: o.principal, role };
    if (state.members.some((m) => sameMember(m, row))) return 'same';
    state.members.push(row);
    return undefined;
  },
  remove_member(state, actor, o) {
    const isOwn = o.principal === principalOf(actor) && state.members.some((m) => m.principal === o.principal &&
      m.organization === o.organization && m.project === o.project);
    if (!isOwn) demand(state, actor, 'apikeys.members.manage', o.organization, o.project);
    const rows = [o.role, `${o.organization}/${o.role}`].map((role) =>
      ({ organization: o.organization, project: o.project, principal: o.principal, role }));
    const kept = state.members.filter((m) => !rows.some((row) => sameMember(m, row)));
    if (kept.length === state.members.length) return 'same';
    demandThat(o.role !== 'ORG_OWNER' || kept.some((m) => m.organization === o.organization && m.role === 'ORG_OWNER'), 'last_owner');
    state.members = kept;
    return undefined;
  },
  create_role(state, actor, o) {
    demandRoleManager(state, actor, o.organization);
    demandThat(['organization', 'project'].includes(o.level), 'invalid_level');
    demandThat(o.level === 'organization' || o.organizationPermissions.length === 0, 'invalid_level');
    demandThat([...o.organizationPermissions, ...o.projectPermissions].every(isPattern), 'invalid_permission');
    const id = o.organization ? `${o.organization}/${o.name}` : o.name;
    demandThat(!roleOf(state, o.name) && !state.roles[id], 'name_taken');
    state.roles[id] = { name: o.name, of: o.organization, level: o.level, organization: o.organizationPermissions, project: o.projectPermissions };
    if (o.organization && !mayGrant(state, actor, { role: id }, o.organization, null)) {
      delete state.roles[id];
      refuse('role_not_grantable');
    }
  },
  drop_role(state, actor, o) {
    demandRoleManager(state, actor, o.organization);
    const id = o.organization ? `${o.organization}/${o.name}` : o.name;
    demandThat(roleOf(state, id), 'role_not_found');
    demandThat(!ROLES[id], 'role_builtin');
    demandThat(!o.organization || mayGrant(state, actor, { role: id }, o.organization, null), 'role_not_grantable');
    demandThat(!state.members.some((m) => m.role === id) &&
      !Object.values(state.keys).some((k) => k.grants.some((g) => g.role === id)), 'role_in_use');
    delete state.roles[id];
  },
  set_organization_rate_limit(state, actor, o) {
    const organization = manageOrganization(state, actor, o);
    checkRate(o);
    return putLimit(state, organization.limits, rate(o, o.eachKey ? 'each_key' : 'rate'));
  },
  set_organization_quota(state, actor, o) {
    const organization = manageOrganization(state, actor, o);
    checkQuota(o);
    return putLimit(state, organization.limits, quota(o));
  },
};

const keyVerbs = {
  create_key(state, actor, o) {
    demand(state, actor, 'apikeys.keys.manage', o.organization);
    makeKey(state, actor, o, o.organization, null);
  },
  create_project_key(state, actor, o) {
    demandThat(readsProject(state, actor, o.project), 'project_not_found');
    const { organization } = state.projects[o.project];
    demand(state, actor, 'apikeys.keys.manage', organization, o.project);
    makeKey(state, actor, o, organization, o.project);
  },
  import_key(state, actor, o) {
    demand(state, actor, 'apikeys.keys.manage', o.organization);
    checkCount(state, o.organization);
    const roles = checkImportedRoles(state, actor, o.roles, o.organization);
    checkLife(state, o.organization, o.years);
    demandThat(!state.keys[o.name] && !state.deleted.includes(o.name), 'public_key_taken');
    addKey(state, { ...o, id: o.name }, o.organization, null, roles);
  },
  update_key(state, actor, o) {
    seeKey(state, actor, o.key);
    const changes = { description: o.description, list: o.list, years: o.years, owner: o.owner === '' ? null : o.owner, metadata: o.metadata };
    Object.keys(changes).filter((field) => changes[field] === undefined).forEach((field) => delete changes[field]);
    return changeKey(state, actor, o.key, changes);
  },
  add_to_access_list(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    return changeKey(state, actor, o.key, { list: [...new Set([...key.list, o.network])] });
  },
  remove_from_access_list(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    const list = key.list.filter((n) => n !== o.network);
    if (list.length === 0 && key.list.length > 0) {
      demandManaged(state, actor, o.key);
      refuse('last_entry');
    }
    return changeKey(state, actor, o.key, { list });
  },
  set_organization_roles(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    if (!may(state, actor, 'apikeys.keys.manage', key.organization)) {
      demandManaged(state, actor, o.key);
      demand(state, actor, 'apikeys.keys.manage', key.organization);
    }
    const holds = (field, value) => key.grants.some((g) => !g.project && g[field] === value);
    // Who only takes away need not manage the key.
    if (!o.roles.every((r) => holds('role', findRole(state, r, key.organization))) ||
        !(o.permissions ?? []).every((p) => holds('permission', p))) demandManaged(state, actor, o.key);
    return replaceGrants(state, actor, key, null, o);
  },
  set_project_roles(state, actor, o) {
    demandThat(readsProject(state, actor, o.project), 'project_not_found');
    demandThat(o.roles.length + (o.permissions ?? []).length > 0, 'roles_missing');
    const key = seeKey(state, actor, o.key);
    demandThat(key.organization === state.projects[o.project].organization, 'key_not_found');
    if (key.grants.length === 0) demandManaged(state, actor, o.key);
    return replaceGrants(state, actor, key, o.project, o);
  },
  remove_from_project(state, actor, o) {
    demandThat(readsProject(state, actor, o.project), 'project_not_found');
    const key = seeKey(state, actor, o.key);
    demand(state, actor, 'apikeys.keys.manage', state.projects[o.project].organization, o.project);
    const taken = key.grants.filter((g) => g.project === o.project);
    demandThat(taken.length > 0, 'key_not_in_project');
    checkTaken(state, actor, taken, key.organization, o.project);
    key.grants = key.grants.filter((g) => g.project !== o.project);
  },
  rotate_secret(state, actor, o) {
    demandThat(!actor.token, 'token_cannot_issue');
    const key = seeKey(state, actor, o.key);
    if (!rotatesItself(state, actor, o.key)) demandManaged(state, actor, o.key);
    const { maxOverlap, maxSecretDays } = state.organizations[key.organization];
    const days = o.days === undefined ? maxSecretDays : o.days;
    demandThat(days === null || days > 0, 'invalid_expiration');
    demandThat(atMost(days, maxSecretDays) === days, 'secret_lifetime_exceeded');
    demandThat(o.overlap >= 0, 'invalid_overlap');
    demandThat(o.overlap <= maxOverlap, 'overlap_too_long');
    // The newest live one lives on for the overlap.
    const live = key.secrets.filter((s) => s.days !== 0);
    const kept = (live.length ? live : key.secrets).reduce((a, b) => (a.version > b.version ? a : b));
    kept.days = atMost(kept.days, o.overlap);
    key.secrets = [kept, { version: ++key.last, days }];
  },
  revoke_secret(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    const live = key.secrets.filter((s) => s.days !== 0);
    const isOwnLast = actor.kind === 'key' && actor.name === o.key && live.length === 1 && live[0].version === o.version;
    demandThat(isOwnLast || rotatesItself(state, actor, o.key) || stopsKey(state, actor, o.key), 'permission_denied');
    const secret = live.find((s) => s.version === o.version);
    demandThat(secret, 'secret_not_found');
    demandThat(live.length > 1, 'last_secret');
    secret.days = 0;
  },
  // Changes nothing, and writes no event.
  issue_token(state, actor, o) {
    demandThat(!actor.token, 'token_cannot_issue');
    demandThat(o.key, 'null_argument');
    const isOwn = actor.kind === 'key' && actor.name === o.key;
    if (!isOwn) seeManaged(state, actor, o.key);
    // Its own may be deleted since it was bound.
    const key = state.keys[o.key];
    demandThat(!o.project || (key && state.projects[o.project]?.organization === key.organization), 'project_not_found');
    // Of its own it comes from the secret that the key was bound by.
    demandThat(key?.secrets.some((s) => s.days !== 0 && (!isOwn || s.version === actor.version)), 'no_live_secret');
    demandThat(o.hours >= 0 && o.hours <= 24, 'invalid_lifetime');
    demandThat(!o.scopes || (o.scopes.length > 0 && o.scopes.every(isPattern)), 'invalid_token_scopes');
    return 'same';
  },
  disable_key(state, actor, o) {
    const key = seeKey(state, actor, o.key);
    demandThat(stopsKey(state, actor, o.key), 'permission_denied');
    if (key.disabled) return 'same';
    key.disabled = true;
    return undefined;
  },
  enable_key(state, actor, o) {
    const key = seeManaged(state, actor, o.key);
    if (!key.disabled) return 'same';
    key.disabled = false;
    return undefined;
  },
  delete_key(state, actor, o) {
    seeManaged(state, actor, o.key);
    delete state.keys[o.key];
    // Others never come again here.
    if (/^imported_..?$/.test(o.key)) state.deleted.push(o.key);
  },
  set_rate_limit(state, actor, o) {
    const key = seeManaged(state, actor, o.key);
    checkRate(o);
    demandThat(o.scope === null || isPattern(o.scope), 'invalid_scope');
    return putLimit(state, key.limits, rate(o, 'rate'));
  },
  set_quota(state, actor, o) {
    const key = seeManaged(state, actor, o.key);
    checkQuota(o);
    return putLimit(state, key.limits, quota(o));
  },
  add_credits(state, actor, o) {
    const key = seeManaged(state, actor, o.key);
    demandThat(o.amount > 0, 'invalid_amount');
    const credits = key.limits.find((l) => l.kind === 'ever');
    demandThat(credits, 'no_credits');
    credits.amount += o.amount;
  },
  // What was spent is known by this id.
  reset_limits(state, actor, o) {
    seeManaged(state, actor, o.key).limitsId = ++state.ids;
  },
};

const verbs = { ...organizationVerbs, ...keyVerbs };

const sameMember = (a, b) => a.organization === b.organization && a.project === b.project &&
  a.principal === b.principal && a.role === b.role;

function apply(state, actor, operation) {
  try {
    return verbs[operation.verb](state, actor, operation) ?? 'ok';
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return error.message;
  }
}

module.exports = { apply, emptyState, permissionsOf };
