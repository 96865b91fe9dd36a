// Random operations and actors, from a seed.
'use strict';
const { ROLES } = require('./rights.js');
const { endOf } = require('./decisions.js');

const NETWORKS = [
  { text: '10.0.0.0/8', bits: 8, contains: ['10.0.0.1', '::ffff:10.0.0.1', '10.9.9.9'] },
  { text: '10.0.0.0/24', bits: 24, contains: ['10.0.0.1', '::ffff:10.0.0.1'] },
  { text: '192.0.2.0/24', bits: 24, contains: ['192.0.2.7'] },
  { text: '2001:db8::/32', bits: 32, contains: ['2001:db8::5'] },
];
const ADDRESS = '10.0.0.1';
const ADDRESSES = [ADDRESS, ADDRESS, ADDRESS, '::ffff:10.0.0.1', '10.9.9.9', '192.0.2.7', '2001:db8::5', '203.0.113.1', null];
const SCOPES = ['clusters.read', 'clusters.write', 'organization.read', 'data.find', 'apikeys.keys.manage',
  'invoice:42:read', 'invoice:7:read', 'apikeys.self.rotate'];
const PERMISSIONS = ['*', '*.read', 'clusters.*', 'clusters.read', 'data.find', 'organization.read', 'invoice:*:read', 'invoice:42:read',
  'apikeys.keys.read', 'apikeys.keys.manage', 'apikeys.*', 'apikeys.self.rotate', 'apikeys.members.manage',
  'apikeys.projects.create', 'apikeys.projects.read', 'apikeys.roles.grant_any', 'apikeys.organization.manage'];
const TEAM_ROLES = ['TEAM_A', 'TEAM_B', 'TEAM_C'];
const USERS = ['1', '2', '3'];
const NOWHERE = '00000000-0000-0000-0000-000000000000';
// Days that a unit takes to come back: see decisions.js.
const UNIT_DAYS = { key: 41, each_key: 43, 'clusters.*': 47, '*.read': 53, 'invoice:*:read': 59, organization: 61 };
const LIMITED_SCOPES = Object.keys(UNIT_DAYS).filter((name) => name.includes('*'));

// The periods that do not end within a day.
const PERIODS = ['week', 'month', 'ever'].filter((p) => endOf(p, Date.now()) - Date.now() > 24 * 3600 * 1000);

// mulberry32, and choices by it.
function makeChance(seed) {
  let state = seed;
  const chance = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(chance() * n);
  return { chance, below, pick: (list) => list[below(list.length)],
    some: (list, most) => list.filter(() => chance() < most / list.length) };
}

// --- Operations -------------------------------------------------------------

function makeMakers({ chance, below, pick, some }, databaseRoles) {
  // Mostly things that there are.
  const known = (things, unknown) => (things.length && chance() < 0.97 ? things : [unknown]);
  const anOrganization = (s) => pick(known(Object.keys(s.organizations), NOWHERE));
  const aProject = (s) => pick(known(Object.keys(s.projects), NOWHERE));
  const aKey = (s) => pick(known(Object.keys(s.keys), 'no_such_key'));
  // Names of the level, mostly; those of an organization's roles may mean nothing there.
  const rolesOf = (s, level) => [...Object.keys(ROLES).filter((r) => ROLES[r].level === level),
    ...new Set(Object.values(s.roles).filter((r) => r.level === level).map((r) => r.name))];
  const roles = (s, project) => (chance() < 0.95 ? some(rolesOf(s, project ? 'project' : 'organization'), 1.4)
    : some([...Object.keys(ROLES), ...TEAM_ROLES], 2));
  const permissions = () => (chance() < 0.6 ? [] : chance() < 0.95 ? some(PERMISSIONS, 1.5) : pick([['data.find', 'data.find'], ['not valid']]));
  // Either, or both.
  const grants = (s, project) => {
    const direct = permissions();
    return { permissions: direct, roles: direct.length && chance() < 0.6 ? [] : roles(s, project) };
  };
  // Permissions may be left as they are.
  const newGrants = (s, project) => (chance() < 0.5 ? grants(s, project) : { permissions: null, roles: roles(s, project) });
  const principal = () => pick([...databaseRoles.map((r) => `role:${r}`), ...USERS.map((u) => `user:${u}`)]);
  const years = () => pick([null, null, 1, 10, 10, chance() < 0.1 ? 0 : 1]);
  const owner = () => pick([undefined, undefined, 'customer 1', 'customer 2']);
  const metadata = () => pick([undefined, undefined, { plan: 'free' }, { plan: 'pro' }]);
  const list = () => pick([[], [], ['10.0.0.0/8'], some(NETWORKS, 2).map((n) => n.text), NETWORKS.map((n) => n.text)]);
  const environment = () => pick([null, 'live', 'test', 'test', chance() < 0.2 ? 'Bad!' : 'live']);
  const projectOf = (s, organization) => {
    const own = Object.keys(s.projects).filter((p) => s.projects[p].organization === organization);
    return chance() < 0.9 && own.length ? pick(own) : aProject(s);
  };
  // A place: an organization, and half of the time a project of it, or of another.
  const place = (s) => {
    const organization = anOrganization(s);
    return { organization, project: chance() < 0.4 ? null : projectOf(s, organization) };
  };
  const keyAndProject = (s) => {
    const key = aKey(s);
    return { key, project: projectOf(s, s.keys[key]?.organization) };
  };
  const rate = (name) => {
    const requests = chance() < 0.25 ? null : chance() < 0.97 ? 1 + below(20) : 0;
    return { requests, days: requests * UNIT_DAYS[name], burst: pick([undefined, undefined, 1 + below(30), chance() < 0.1 ? 0 : 5]) };
  };
  const quota = () => ({ period: chance() < 0.97 ? pick(PERIODS) : 'year',
    amount: chance() < 0.3 ? null : chance() < 0.95 ? 1 + below(pick([30, 300])) : pick([0, -1]) });
  const hasRoom = (s) => Object.keys(s.keys).length < 20;

  return {
    create_organization: (s) => Object.keys(s.organizations).length < 4 && { name: `organization ${below(6)}` },
    rename_organization: (s) => ({ organization: anOrganization(s), name: `organization ${below(6)}` }),
    set_organization_policy: (s) => ({ organization: anOrganization(s), requireList: pick([null, true, false, false]),
      maxYears: pick([null, null, 5, 20]), maxKeys: pick([null, null, null, 3, 8]), maxOverlap: pick([null, null, 0, 3, 7]), maxSecretDays: pick([null, null, null, 100, 400]) }),
    set_organization_access_list: (s) => ({ organization: anOrganization(s), list: pick([[], [], list()]) }),
    set_organization_environment: (s) => chance() < 0.5 && { organization: anOrganization(s), environment: environment() },
    delete_organization: (s) => chance() < 0.1 && { organization: anOrganization(s) },
    create_project: (s) => Object.keys(s.projects).length < 10 && { organization: anOrganization(s), name: `project ${below(6)}` },
    rename_project: (s) => chance() < 0.5 && { project: aProject(s), name: `project ${below(6)}` },
    set_project_environment: (s) => chance() < 0.5 && { project: aProject(s), environment: environment() },
    delete_project: (s) => chance() < 0.2 && { project: aProject(s) },
    add_member: (s) => { const at = place(s); return s.members.length < 40 && { ...at, principal: principal(), role: roles(s, at.project)[0] ?? 'ORG_MEMBER' }; },
    remove_member: (s) => {
      if (!s.members.length || chance() < 0.2) return { ...place(s), principal: principal(), role: 'ORG_OWNER' };
      const member = pick(s.members);
      return { ...member, role: member.role.split('/').pop() };
    },
    create_role: (s) => {
      const level = pick(['organization', 'project']);
      const organization = chance() < 0.9 ? anOrganization(s) : null;
      return { name: chance() < 0.95 ? pick(TEAM_ROLES) : pick(Object.keys(ROLES)), organization, level,
        organizationPermissions: level === 'project' && chance() < 0.95 ? [] : some(PERMISSIONS, 2), projectPermissions: some(PERMISSIONS, 2) };
    },
    drop_role: (s) => {
      const role = Object.values(s.roles).length && chance() < 0.9 ? pick(Object.values(s.roles)) : { name: pick([...TEAM_ROLES, 'GROUP_OWNER']), of: pick([null, anOrganization(s)]) };
      return { name: role.name, organization: chance() < 0.95 ? role.of : anOrganization(s) };
    },
    set_organization_rate_limit: (s) => {
      const eachKey = chance() < 0.5;
      return chance() < 0.5 && { organization: anOrganization(s), eachKey, ...rate(eachKey ? 'each_key' : 'organization') };
    },
    set_organization_quota: (s) => chance() < 0.3 && { organization: anOrganization(s), ...quota() },
    create_key: (s) => hasRoom(s) && { organization: anOrganization(s), description: `key ${below(100)}`, ...grants(s, null),
      list: list(), years: years(), owner: owner(), metadata: metadata() },
    create_project_key: (s) => hasRoom(s) && { project: aProject(s), description: `key ${below(100)}`, ...grants(s, 'p'),
      list: list(), years: years(), owner: owner(), metadata: metadata() },
    import_key: (s) => hasRoom(s) && { organization: anOrganization(s), name: `imported_${chance() < 0.9 ? below(1e9) : below(20)}`,
      description: 'imported', roles: roles(s, null), list: [], years: years() },
    update_key: (s) => ({ key: aKey(s), description: pick([undefined, `key ${below(100)}`]), list: pick([undefined, list()]),
      years: pick([undefined, years()]), owner: pick([owner(), '']), metadata: pick([metadata(), {}]) }),
    add_to_access_list: (s) => ({ key: aKey(s), network: pick(NETWORKS).text }),
    remove_from_access_list: (s) => ({ key: aKey(s), network: pick(NETWORKS).text }),
    set_organization_roles: (s) => ({ key: aKey(s), ...newGrants(s, null) }),
    set_project_roles: (s) => ({ ...keyAndProject(s), ...newGrants(s, 'p') }),
    remove_from_project: (s) => ({ ...keyAndProject(s) }),
    rotate_secret: (s) => ({ key: aKey(s), overlap: pick([0, 0, 2, 5, 30, chance() < 0.1 ? -1 : 5]), days: pick([undefined, undefined, null, 30, 200, chance() < 0.1 ? 0 : 30]) }),
    revoke_secret: (s) => { const key = aKey(s); return { key, version: s.keys[key] ? pick(s.keys[key].secrets).version : 1 }; },
    issue_token: (s) => {
      const { key, project } = keyAndProject(s);
      return { key: chance() < 0.98 ? key : null, hours: chance() < 0.9 ? 20 : pick([0, 30]), project: chance() < 0.3 ? project : null,
        scopes: chance() < 0.5 ? null : chance() < 0.95 ? [pick(PERMISSIONS), ...some(PERMISSIONS, 2)] : pick([[], ['not valid']]) };
    },
    disable_key: (s) => chance() < 0.4 && { key: aKey(s) },
    enable_key: (s) => ({ key: aKey(s) }),
    delete_key: (s) => chance() < 0.7 && { key: aKey(s) },
    set_rate_limit: (s) => {
      const scope = chance() < 0.5 ? null : pick(LIMITED_SCOPES);
      return { key: aKey(s), scope: chance() < 0.97 ? scope : 'not valid', ...rate(scope ?? 'key') };
    },
    set_quota: (s) => ({ key: aKey(s), ...quota() }),
    add_credits: (s) => ({ key: aKey(s), amount: chance() < 0.95 ? 1 + below(10) : 0 }),
    reset_limits: (s) => ({ key: aKey(s) }),
  };
}

function makeOperations(dice, databaseRoles) {
  const { chance, pick } = dice;
  const makers = makeMakers(dice, databaseRoles);
  return (state) => {
    const needed = Object.keys(state.organizations).length < 2 ? 'create_organization'
      : Object.keys(state.projects).length < 3 ? 'create_project'
        : Object.keys(state.keys).length < 6 ? pick(['create_key', 'create_project_key']) : null;
    for (;;) {
      const verb = needed && chance() < 0.5 ? needed : pick(Object.keys(makers));
      const parameters = makers[verb](state);
      if (parameters) return { verb, ...parameters };
    }
  };
}

module.exports = { ADDRESS, ADDRESSES, makeChance, makeOperations, NETWORKS, SCOPES, USERS };
