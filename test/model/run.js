// run.js: random verbs by random principals, held against reference.js after each.
//
//   PGHOST=… MODEL_STEPS=50000 MODEL_PAIRS=2000 MODEL_SEED=1 node run.js
//
// Needs superuser rights on a server with apikeys preloaded; makes a database
// model and roles regress_model_*.  MODEL_PAIRS: so many pairs of verbs are run in
// two sessions at a time; what both answer, and the rows, must be those of one
// of the two serial orders.
'use strict';
const { Client } = require('pg');
const { ROLES, apply, clone, emptyState, may, principalOf, ungranted } = require('./reference.js');

const STEPS = Number(process.env.MODEL_STEPS ?? 50000);
const PAIRS = Number(process.env.MODEL_PAIRS ?? 2000);
const SEED = Number(process.env.MODEL_SEED ?? Date.now() % 1000000);
const ADDRESS = '10.0.0.1';
const NETWORKS = ['10.0.0.0/8', '192.0.2.0/24'];
const DATABASE_ROLES = ['regress_model_1', 'regress_model_2', 'regress_model_3', 'regress_model_4'];
const SCOPES = ['clusters.read', 'clusters.write', 'organization.read', 'data.find', 'apikeys.keys.manage'];
const USERS = ['1', '2', '3'];
const SERVICE = 'regress_model_service';

// --- Chance (mulberry32) ----------------------------------------------------

let chanceState = SEED;
function chance() {
  chanceState = (chanceState + 0x6d2b79f5) | 0;
  let t = Math.imul(chanceState ^ (chanceState >>> 15), 1 | chanceState);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(chance() * n);
const pick = (list) => list[below(list.length)];
const some = (list, most) => list.filter(() => chance() < most / list.length);

// --- Operations -------------------------------------------------------------

const NOWHERE = '00000000-0000-0000-0000-000000000000';
// Mostly things that there are.
const known = (things, unknown) => (things.length && chance() < 0.97 ? things : [unknown]);
const organizations = (state) => known(Object.keys(state.organizations), NOWHERE);
const projects = (state) => known(Object.keys(state.projects), NOWHERE);
const keys = (state) => known(Object.keys(state.keys), 'no_such_key');
const organizationRoles = Object.keys(ROLES).filter((r) => ROLES[r].level === 'organization');
const projectRoles = Object.keys(ROLES).filter((r) => ROLES[r].level === 'project');
const rolesFor = (project) => (chance() < 0.95 ? some(project ? projectRoles : organizationRoles, 1.6) : some(Object.keys(ROLES), 2));
const principals = () => pick([...DATABASE_ROLES.map((r) => `role:${r}`), ...USERS.map((u) => `user:${u}`)]);
const years = () => pick([null, 1, 10]);
const owner = () => pick([undefined, undefined, 'customer 1', 'customer 2']);
const metadata = () => pick([undefined, undefined, { plan: 'free' }, { plan: 'pro' }]);
const list = () => pick([[], [], ['10.0.0.0/8'], NETWORKS]);

// A place: an organization, and half of the time a project of it, or of another.
function place(state) {
  const organization = pick(organizations(state));
  if (chance() < 0.4) return { organization, project: null };
  const own = Object.keys(state.projects).filter((p) => state.projects[p].organization === organization);
  return { organization, project: pick(chance() < 0.9 && own.length ? own : projects(state)) };
}

const makers = {
  create_organization: (s) => Object.keys(s.organizations).length < 4 && { name: `organization ${below(6)}` },
  rename_organization: (s) => ({ organization: pick(organizations(s)), name: `organization ${below(6)}` }),
  set_organization_policy: (s) => ({ organization: pick(organizations(s)), requireList: pick([null, true, false, false]), maxYears: pick([null, null, 5, 20]), maxKeys: pick([null, null, null, 3, 8]) }),
  delete_organization: (s) => chance() < 0.1 && { organization: pick(organizations(s)) },
  create_project: (s) => Object.keys(s.projects).length < 10 && { organization: pick(organizations(s)), name: `project ${below(6)}` },
  rename_project: (s) => ({ project: pick(projects(s)), name: `project ${below(6)}` }),
  delete_project: (s) => chance() < 0.2 && { project: pick(projects(s)) },
  add_member: (s) => { const at = place(s); return { ...at, principal: principals(), role: rolesFor(at.project)[0] ?? 'ORG_MEMBER' }; },
  remove_member: (s) => (s.members.length && chance() < 0.8 ? { ...pick(s.members) } : { ...place(s), principal: principals(), role: 'ORG_OWNER' }),
  create_key: (s) => Object.keys(s.keys).length < 20 && { organization: pick(organizations(s)), description: `key ${below(100)}`, roles: rolesFor(null), list: list(), years: years(), owner: owner(), metadata: metadata() },
  create_project_key: (s) => Object.keys(s.keys).length < 20 && { project: pick(projects(s)), description: `key ${below(100)}`, roles: rolesFor('p'), list: list(), years: years(), owner: owner(), metadata: metadata() },
  import_key: (s) => Object.keys(s.keys).length < 20 && { organization: pick(organizations(s)), id: `imported_${below(500)}`, description: 'imported', roles: rolesFor(null), list: [], years: years() },
  update_key: (s) => ({ key: pick(keys(s)), description: pick([undefined, `key ${below(100)}`]), list: pick([undefined, list()]), years: pick([undefined, years()]), owner: pick([owner(), '']), metadata: pick([metadata(), {}]) }),
  add_to_access_list: (s) => ({ key: pick(keys(s)), network: pick(NETWORKS) }),
  remove_from_access_list: (s) => ({ key: pick(keys(s)), network: pick(NETWORKS) }),
  set_organization_roles: (s) => ({ key: pick(keys(s)), roles: rolesFor(null) }),
  set_project_roles: (s) => ({ key: pick(keys(s)), project: pick(projects(s)), roles: rolesFor('p') }),
  remove_from_project: (s) => ({ key: pick(keys(s)), project: pick(projects(s)) }),
  rotate_secret: (s) => ({ key: pick(keys(s)), overlap: pick([0, 0, 5, 30]) }),
  revoke_secret: (s) => { const key = pick(keys(s)); return { key, version: s.keys[key] ? pick(s.keys[key].secrets).version : 1 }; },
  disable_key: (s) => ({ key: pick(keys(s)) }),
  enable_key: (s) => ({ key: pick(keys(s)) }),
  delete_key: (s) => chance() < 0.3 && { key: pick(keys(s)) },
};

function makeOperation(state) {
  const needed = Object.keys(state.organizations).length < 2 ? 'create_organization'
    : Object.keys(state.projects).length < 3 ? 'create_project'
      : Object.keys(state.keys).length < 6 ? pick(['create_key', 'create_project_key']) : null;
  for (;;) {
    const verb = needed && chance() < 0.5 ? needed : pick(Object.keys(makers));
    const parameters = makers[verb](state);
    if (parameters) return { verb, ...parameters };
  }
}

// The SQL of an operation, its parameters, and what it answers as an id.
function statement(o) {
  const expires = o.years === undefined ? null : o.years === null ? 'infinity' : `${o.years} years`;
  const ends = expires === null ? 'NULL' : expires === 'infinity' ? "'infinity'" : `now() + '${expires}'::interval`;
  const listOf = (networks) => (networks === undefined ? null : `{${networks.join(',')}}`);
  switch (o.verb) {
    case 'create_organization': return ['SELECT apikeys.create_organization($1) AS id', [o.name]];
    case 'rename_organization': return ['SELECT apikeys.rename_organization($1, $2)', [o.organization, o.name]];
    case 'set_organization_policy': return [`SELECT apikeys.set_organization_policy($1, $2, ${o.maxYears ? `'${o.maxYears} years'` : 'NULL'}, max_keys => $3)`, [o.organization, o.requireList, o.maxKeys]];
    case 'delete_organization': return ['SELECT apikeys.delete_organization($1)', [o.organization]];
    case 'create_project': return ['SELECT apikeys.create_project($1, $2) AS id', [o.organization, o.name]];
    case 'rename_project': return ['SELECT apikeys.rename_project($1, $2)', [o.project, o.name]];
    case 'delete_project': return ['SELECT apikeys.delete_project($1)', [o.project]];
    case 'add_member': case 'remove_member':
      return [`SELECT apikeys.${o.verb}($1, $2, $3, $4)`, [o.organization, o.principal, o.role, o.project]];
    case 'create_key': case 'create_project_key':
      return [`SELECT public_key AS id, private_key AS secret FROM apikeys.${o.verb}($1, $2, $3, $4, ${ends}, owner => $5, metadata => $6)`,
        [o.organization ?? o.project, o.description, o.roles, listOf(o.list), o.owner, o.metadata ?? {}]];
    case 'import_key':
      return [`SELECT apikeys.import_key($1, $2, 'sha256$$${'0'.repeat(64)}', $3, $4, $5, ${ends}) AS id`,
        [o.organization, o.id, o.description, o.roles, listOf(o.list)]];
    case 'update_key':
      return [`SELECT 1 FROM apikeys.update_key($1, $2, $3, ${ends}, $4, $5)`, [o.key, o.description ?? null, listOf(o.list), o.owner, o.metadata]];
    case 'add_to_access_list': case 'remove_from_access_list':
      return [`SELECT apikeys.${o.verb}($1, $2)`, [o.key, o.network]];
    case 'set_organization_roles': return ['SELECT 1 FROM apikeys.set_organization_roles($1, $2)', [o.key, o.roles]];
    case 'set_project_roles': return ['SELECT 1 FROM apikeys.set_project_roles($1, $2, $3)', [o.key, o.project, o.roles]];
    case 'remove_from_project': return ['SELECT 1 FROM apikeys.remove_from_project($1, $2)', [o.key, o.project]];
    case 'rotate_secret': return ['SELECT apikeys.rotate_secret($1, $2) AS secret', [o.key, `${o.overlap} days`]];
    case 'revoke_secret': return ['SELECT apikeys.revoke_secret($1, $2)', [o.key, o.version]];
    default: return [`SELECT apikeys.${o.verb}($1)`, [o.key]];
  }
}

// --- Actors -----------------------------------------------------------------

const secrets = new Map();      // public key -> the newest secret

// With the secret that is the newest of the key in the state known.
function canAuthenticate(state, name, known = state) {
  const key = state.keys[name];
  const { requireList, maxYears } = state.organizations[key.organization];
  const { version } = known.keys[name].secrets.reduce((a, b) => (a.version > b.version ? a : b));
  return secrets.has(name) && key.secrets.some((s) => s.version === version && s.live) && !key.disabled &&
    (key.list.length ? key.list.includes(NETWORKS[0]) : !requireList) &&
    (maxYears === null || (key.years !== null && key.years <= maxYears));
}

function makeActor(state) {
  const dice = chance();
  if (dice < 0.08) return { kind: 'superuser' };
  // Often somebody who holds something.
  if (dice < 0.45 && state.members.length) {
    const [kind, ...name] = pick(state.members).principal.split(':');
    if (name[0] !== 'postgres') return { kind, name: name.join(':') };
  }
  if (dice < 0.6) return { kind: 'role', name: pick(DATABASE_ROLES) };
  if (dice < 0.75) return { kind: 'user', name: pick(USERS) };
  const able = Object.keys(state.keys).filter((name) => canAuthenticate(state, name));
  if (!able.length) return { kind: 'role', name: pick(DATABASE_ROLES) };
  return { kind: 'key', name: pick(able), network: NETWORKS[0] };
}

async function act(client, actor) {
  if (actor.kind === 'superuser') return;
  await client.query(`SET LOCAL ROLE ${actor.kind === 'role' ? actor.name : SERVICE}`);
  if (actor.kind === 'user') await client.query("SELECT apikeys.act_as($1)", [`user:${actor.name}`]);
  if (actor.kind === 'key') {
    if (chance() < 0.5) await client.query('SELECT apikeys.authenticate($1, $2, $3)', [actor.name, secrets.get(actor.name), ADDRESS]);
    else await client.query('SELECT apikeys.authenticate_token($1, $2)', [`${actor.name}.${secrets.get(actor.name)}`, ADDRESS]);
  }
}

// Runs the operation in a transaction; {outcome, id, secret}.
async function run(client, actor, operation) {
  await client.query('BEGIN');
  try {
    await act(client, actor);
    const { rows } = await client.query(...statement(operation));
    await client.query('COMMIT');
    return { outcome: 'ok', ...rows[0] };
  } catch (error) {
    await client.query('ROLLBACK');
    return { outcome: error.constraint ?? `${error.code} ${error.message}` };
  }
}

// --- The state of the database ----------------------------------------------

const STATE_QUERY = `SELECT jsonb_build_object(
  'organizations', (SELECT coalesce(jsonb_object_agg(o.id, jsonb_build_object('name', o.name, 'requireList', o.require_access_list,
      'maxYears', extract(year FROM o.max_key_lifetime), 'maxKeys', o.max_keys)), '{}') FROM apikeys.organization AS o),
  'projects', (SELECT coalesce(jsonb_object_agg(p.id, jsonb_build_object('organization', p.organization_id, 'name', p.name)), '{}') FROM apikeys.project AS p),
  'members', (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', m.organization_id, 'project', m.project_id,
      'principal', m.principal, 'role', m.role)), '[]') FROM apikeys.member AS m),
  'keys', (SELECT coalesce(jsonb_object_agg(k.public_key, jsonb_build_object('organization', k.organization_id,
      'description', k.description, 'list', k.access_list::cidr[], 'years', round(extract(epoch FROM k.expires_at - k.created_at) / 31557600),
      'disabled', k.disabled_at IS NOT NULL, 'owner', k.owner, 'metadata', k.metadata,
      'roles', (SELECT coalesce(jsonb_agg(jsonb_build_object('project', r.project_id, 'role', r.role)), '[]') FROM apikeys.key_role AS r WHERE r.public_key = k.public_key),
      'secrets', (SELECT coalesce(jsonb_agg(jsonb_build_object('version', s.version, 'live', s.expires_at IS NULL OR s.expires_at > clock_timestamp())), '[]')
        FROM apikeys.key_secret AS s WHERE s.public_key = k.public_key))), '{}') FROM apikeys.key AS k),
  'deleted', (SELECT coalesce(jsonb_agg(d.public_key), '[]') FROM apikeys.deleted_key AS d)) AS state,
  (SELECT count(*) FROM apikeys.audit_event)::int AS events,
  NOT EXISTS (SELECT FROM (SELECT i::text FROM apikeys.key_image AS i EXCEPT ALL SELECT i::text FROM apikeys.key_image_source AS i) AS d)
    AND NOT EXISTS (SELECT FROM (SELECT i::text FROM apikeys.key_image_source AS i EXCEPT ALL SELECT i::text FROM apikeys.key_image AS i) AS d) AS images_agree`;

// With one order for what has none, so that states can be compared as text.
function canonical(value, name) {
  if (Array.isArray(value)) {
    const members = value.map((v) => canonical(v));
    return `[${members.sort().join(',')}]`;
  }
  if (value && typeof value === 'object') {
    return `{${Object.keys(value).sort().map((k) => `${k}:${canonical(value[k], k)}`).join(',')}}`;
  }
  return JSON.stringify(name === 'years' || name === 'maxYears' ? (value === null ? null : Number(value)) : value);
}

async function readState(client) {
  const { rows: [row] } = await client.query(STATE_QUERY);
  return { text: canonical(row.state), events: row.events, imagesAgree: row.images_agree };
}

// Puts the ids that the database has chosen into an operation.
function noteResult(operation, actor, result) {
  if (result.outcome !== 'ok') return;
  if (result.id) operation.id = result.id;
  if (result.secret) secrets.set(operation.key ?? result.id, result.secret);
}

// --- Tests ------------------------------------------------------------------

let failed = 0;
function check(condition, text) {
  if (condition) return true;
  failed++;
  if (failed <= 10) console.log(`not ok - ${text}`);
  return false;
}

async function prepare() {
  const admin = new Client({ database: 'postgres', user: process.env.PGUSER ?? 'postgres' });
  await admin.connect();
  await admin.query('DROP DATABASE IF EXISTS model');
  await admin.query('CREATE DATABASE model');
  await admin.end();
  const clients = [];
  for (let i = 0; i < 3; i++) {
    const client = new Client({ database: 'model', user: process.env.PGUSER ?? 'postgres' });
    await client.connect();
    clients.push(client);
  }
  await clients[0].query('SET client_min_messages = warning; CREATE EXTENSION apikeys');
  for (const role of [...DATABASE_ROLES, SERVICE]) {
    await clients[0].query(`DROP ROLE IF EXISTS ${role}; CREATE ROLE ${role}`);
    await clients[0].query(`SELECT apikeys.grant_access('${role}', 'manage', 'decide', 'impersonate')`);
    await clients[0].query(`GRANT EXECUTE ON FUNCTION apikeys.create_organization TO ${role}`);
  }
  for (const [name, role] of Object.entries(ROLES).filter(([n]) => n.startsWith('MODEL_'))) {
    await clients[0].query('SELECT apikeys.create_role($1, $2, $3, $4)', [name, role.level, role.organization, role.project]);
  }
  return clients;
}

const show = (x) => JSON.stringify(x);

// A decision about one to three scopes, in either form: each must be allowed.
async function testDecision(client, state, label) {
  const name = pick(keys(state));
  const key = state.keys[name];
  if (!key || !secrets.has(name)) return;
  const own = Object.keys(state.projects).filter((p) => state.projects[p].organization === key.organization);
  const project = pick([null, ...own]);
  const scopes = Array.from({ length: 1 + below(3) }, () => pick(SCOPES));
  const expected = canAuthenticate(state, name) &&
    scopes.every((scope) => may(state, { kind: 'key', name }, scope, key.organization, project));
  const { rows: [row] } = await (chance() < 0.5
    ? client.query('SELECT * FROM apikeys.decide($1, $2, $3, $4, $5)', [name, secrets.get(name), ADDRESS, scopes.join(' '), project])
    : client.query('SELECT * FROM apikeys.decide_token($1, $2, $3, $4)', [`${name}.${secrets.get(name)}`, ADDRESS, scopes.join(' '), project]));
  check(row.allowed === expected, `${label}: ${name} ${scopes} on ${project}: ${row.reason}, expected ${expected}`);
  check(row.http_status === 401 || (row.owner === key.owner && row.metadata.plan === key.metadata.plan),
    `${label}: ${name} is of ${row.owner} ${show(row.metadata)}, expected ${key.owner} ${show(key.metadata)}`);
}

// One after the other.
async function testSteps(client, state) {
  const counts = {};
  let { events } = await readState(client);
  for (let step = 1; step <= STEPS && failed === 0; step++) {
    const actor = makeActor(state);
    const operation = makeOperation(state);
    const before = clone(state);
    const result = await run(client, actor, operation);
    noteResult(operation, actor, result);
    const expected = apply(state, actor, operation);
    const label = `step ${step}: ${show(actor)} ${show(operation)}`;
    check(result.outcome === (expected === 'same' ? 'ok' : expected), `${label}: ${result.outcome}, expected ${expected}`);
    const found = await readState(client);
    check(found.text === canonical(state), `${label}: rows differ:\n  ${found.text}\n  ${canonical(state)}`);
    check(found.imagesAgree, `${label}: images differ`);
    check(found.events - events === (expected === 'ok' ? 1 : 0), `${label}: ${found.events - events} events`);
    ({ events } = found);
    await testDecision(client, state, label);
    const unjust = ungranted(before, state, actor, operation);
    check(unjust.length === 0, `${label}: rights without a grant: ${unjust}`);
    counts[expected] = (counts[expected] ?? 0) + 1;
  }
  console.log(`# outcomes: ${show(counts)}`);
}

// Two at a time: one of the two orders explains both answers and the rows.
async function testPairs([one, other, reader], state) {
  let crossed = 0;
  for (let pair = 1; pair <= PAIRS && failed === 0; pair++) {
    const actors = [makeActor(state), makeActor(state)];
    const operations = [makeOperation(state), makeOperation(state)];
    // Often about the same thing.
    for (const field of ['key', 'organization', 'project']) {
      if (chance() < 0.7 && operations[0][field] && operations[1][field]) operations[1][field] = operations[0][field];
    }
    const results = await Promise.all([run(one, actors[0], operations[0]), run(other, actors[1], operations[1])]);
    results.forEach((result, i) => noteResult(operations[i], actors[i], result));
    // Which of two secrets is the newer one, nobody has said.
    if (results.every((r) => r.secret) && operations[0].key === operations[1].key) secrets.delete(operations[0].key);
    const found = await readState(reader);
    // A key is bound before the other verb or after it.
    const explained = [[0, 1, false], [1, 0, false], [0, 1, true], [1, 0, true]].map(([first, second, boundEarly]) => {
      const next = clone(state);
      const answers = [];
      [first, second].forEach((i) => {
        const then = boundEarly ? state : next;
        const bound = actors[i].kind !== 'key' || (then.keys[actors[i].name] && canAuthenticate(then, actors[i].name, state));
        answers[i] = bound ? apply(next, actors[i], operations[i]) : 'key_not_valid';
      });
      const same = results.every((r, i) => r.outcome === (answers[i] === 'same' ? 'ok' : answers[i]) ||
        (answers[i] === 'key_not_valid' && ['key_not_valid', 'key_denied', 'key_is_bound'].includes(r.outcome)));
      return same && found.text === canonical(next) ? next : null;
    });
    const label = `pair ${pair}: ${show(actors)} ${show(operations)} gave ${show(results.map((r) => r.outcome))}`;
    const next = explained.find((e) => e);
    check(next, `${label}: no order explains it: ${found.text}\n before ${canonical(state)}`);
    check(found.imagesAgree, `${label}: images differ`);
    if (!explained[0] && next) crossed++;
    Object.keys(state).forEach((field) => { state[field] = (next ?? state)[field]; });
  }
  console.log(`# pairs that the first order does not explain: ${crossed}`);
}

async function main() {
  console.log(`# seed ${SEED}`);
  const clients = await prepare();
  const state = emptyState();
  await testSteps(clients[0], state);
  if (check(failed === 0, 'verbs one after the other')) console.log(`ok - ${STEPS} verbs one after the other`);
  if (failed === 0) {
    await testPairs(clients, state);
    if (check(failed === 0, 'verbs two at a time')) console.log(`ok - ${PAIRS} pairs of verbs two at a time`);
  }
  await Promise.all(clients.map((client) => client.end()));
  process.exit(failed ? 1 : 0);
}

main().catch((error) => {
  console.log(`not ok - ${error.stack}`);
  process.exit(1);
});
