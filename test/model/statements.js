// The SQL of operations, actors and states.
'use strict';
const { createHash } = require('node:crypto');
const { Client } = require('pg');

const { escapeLiteral } = Client.prototype;
const text = (value) => (value === null || value === undefined ? 'NULL' : escapeLiteral(String(value)));
const array = (values) => (values === null || values === undefined ? 'NULL' : `ARRAY[${values.map(text)}]::text[]`);
const list = (networks) => (networks === undefined ? 'NULL' : `'{${networks.join(',')}}'`);
const json = (value) => (value === undefined ? 'NULL' : text(JSON.stringify(value)));
const days = (n) => (n === undefined ? 'NULL' : n === null ? "'infinity'" : `clock_timestamp() + '${n} days'`);
const years = (n) => (n === undefined ? 'NULL' : n === null ? "'infinity'" : `now() + '${n} years'`);
const most = (n, unit) => (n === null ? 'NULL' : `'${n} ${unit}'`);
const burst = (o) => (o.burst === undefined ? 'NULL' : o.burst);
const limits = (o) => `${o.requests}, ${o.requests === null ? 'NULL' : `'${o.days} days'`}, ${burst(o)}`;

const importedSecret = (name) => `secret of ${name}`;

// What an operation answers is called id, secret, token, rest or changed.
function statement(o) {
  switch (o.verb) {
    case 'create_organization': return `apikeys.create_organization(${text(o.name)}) AS id`;
    case 'rename_organization': return `apikeys.rename_organization(${text(o.organization)}, ${text(o.name)}) AS changed`;
    case 'set_organization_policy':
      return `apikeys.set_organization_policy(${text(o.organization)}, ${o.requireList}, ${most(o.maxYears, 'years')}, ${most(o.maxOverlap, 'days')}, ${most(o.maxSecretDays, 'days')}, ${o.maxKeys}) AS changed`;
    case 'set_organization_access_list': return `apikeys.set_organization_access_list(${text(o.organization)}, ${list(o.list)}) AS changed`;
    case 'set_organization_environment': return `apikeys.set_organization_environment(${text(o.organization)}, ${text(o.environment)}) AS changed`;
    case 'delete_organization': return `apikeys.delete_organization(${text(o.organization)}) AS changed`;
    case 'create_project': return `apikeys.create_project(${text(o.organization)}, ${text(o.name)}) AS id`;
    case 'rename_project': return `apikeys.rename_project(${text(o.project)}, ${text(o.name)}) AS changed`;
    case 'set_project_environment': return `apikeys.set_project_environment(${text(o.project)}, ${text(o.environment)}) AS changed`;
    case 'delete_project': return `apikeys.delete_project(${text(o.project)}) AS changed`;
    case 'add_member': case 'remove_member':
      return `apikeys.${o.verb}(${text(o.organization)}, ${text(o.principal)}, ${text(o.role)}, ${text(o.project)}) AS changed`;
    case 'create_role':
      return `apikeys.create_role(${text(o.name)}, ${text(o.level)}, ${array(o.organizationPermissions)}, ${array(o.projectPermissions)}, organization => ${text(o.organization)})`;
    case 'drop_role': return `apikeys.drop_role(${text(o.name)}, ${text(o.organization)}) AS changed`;
    case 'set_organization_rate_limit': return `apikeys.set_organization_rate_limit(${text(o.organization)}, ${limits(o)}, ${o.eachKey}) AS changed`;
    case 'set_rate_limit': return `apikeys.set_rate_limit(${text(o.key)}, ${limits(o)}, ${text(o.scope)}) AS changed`;
    case 'set_organization_quota': return `apikeys.set_organization_quota(${text(o.organization)}, ${o.amount}, ${text(o.period)}) AS changed`;
    case 'set_quota': return `apikeys.set_quota(${text(o.key)}, ${o.amount}, ${text(o.period)}) AS changed`;
    case 'add_credits': return `apikeys.add_credits(${text(o.key)}, ${o.amount}) AS rest`;
    case 'create_key': case 'create_project_key':
      return `public_key AS id, private_key AS secret FROM apikeys.${o.verb}(${text(o.organization ?? o.project)}, ${text(o.description)},
        ${array(o.roles)}, ${list(o.list)}, ${years(o.years)}, ${array(o.permissions)}, ${text(o.owner)}, ${json(o.metadata)})`;
    case 'import_key':
      return `apikeys.import_key(${text(o.organization)}, ${text(o.name)},
        'sha256$$${createHash('sha256').update(importedSecret(o.name)).digest('hex')}', ${text(o.description)}, ${array(o.roles)}, ${list(o.list)}, ${years(o.years)}) AS id`;
    case 'update_key':
      return `1 FROM apikeys.update_key(${text(o.key)}, ${text(o.description)}, ${list(o.list)}, ${years(o.years)}, ${text(o.owner)}, ${json(o.metadata)})`;
    case 'add_to_access_list': case 'remove_from_access_list': return `apikeys.${o.verb}(${text(o.key)}, ${text(o.network)}::cidr)`;
    case 'set_organization_roles': return `1 FROM apikeys.set_organization_roles(${text(o.key)}, ${array(o.roles)}, ${array(o.permissions)})`;
    case 'set_project_roles': return `1 FROM apikeys.set_project_roles(${text(o.key)}, ${text(o.project)}, ${array(o.roles)}, ${array(o.permissions)})`;
    case 'remove_from_project': return `1 FROM apikeys.remove_from_project(${text(o.key)}, ${text(o.project)})`;
    case 'rotate_secret': return `apikeys.rotate_secret(${text(o.key)}, '${o.overlap} days', ${days(o.days)}) AS secret`;
    case 'revoke_secret': return `apikeys.revoke_secret(${text(o.key)}, ${o.version}) AS changed`;
    case 'issue_token':
      return `apikeys.issue_token(${o.hours === 0 ? "'1 microsecond'" : `'${o.hours} hours'`}, ${array(o.scopes)}, ${text(o.project)}, ${text(o.key)}) AS token`;
    default: return `apikeys.${o.verb}(${text(o.key)}) AS changed`;
  }
}

// The statements that make a transaction act as somebody.
function acting(actor, service, address) {
  if (actor.kind === 'superuser') return [];
  const become = `SET LOCAL ROLE ${actor.kind === 'role' ? actor.name : service}`;
  if (actor.kind === 'role') return [become];
  if (actor.kind === 'user') return [become, `SELECT apikeys.act_as('user:${actor.name}')`];
  if (actor.token) return [become, `SELECT apikeys.authenticate_token(${text(actor.token.text)}, '${address}')`];
  return [become, actor.inOneString ? `SELECT apikeys.authenticate_token(${text(`${actor.name}.${actor.secret}`)}, '${address}')`
    : `SELECT apikeys.authenticate(${text(actor.name)}, ${text(actor.secret)}, '${address}')`];
}

const LIMITS = (of) => `(SELECT coalesce(jsonb_agg(jsonb_build_object('kind', l.kind, 'scope', ${of === 'key' ? 'l.scope' : 'NULL::text'}, 'requests', l.requests,
    'days', extract(epoch FROM l.per) / 86400, 'burst', l.burst, 'amount', l.amount)), '[]')
  FROM apikeys.${of}_limit AS l WHERE l.${of === 'key' ? 'public_key = k.public_key' : 'organization_id = o.id'})`;

// Functions of the model's own: what the rows say, and many decisions at once.  The
// text of a decision is that of lineOf() in run.js.
const SETUP = `
CREATE SCHEMA model;
CREATE FUNCTION model.keys(names text[]) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN
  RETURN (SELECT coalesce(jsonb_object_agg(k.public_key, jsonb_build_object('organization', k.organization_id,
    'description', k.description, 'list', k.access_list::cidr[], 'years', round(extract(epoch FROM k.expires_at - k.created_at) / 31557600),
    'disabled', k.disabled_at IS NOT NULL, 'owner', k.owner, 'metadata', k.metadata, 'environment', k.environment, 'limits', ${LIMITS('key')},
    'grants', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('role', r.role, 'permission', r.permission)) || jsonb_build_object('project', r.project_id)), '[]')
      FROM apikeys.key_role AS r WHERE r.public_key = k.public_key),
    'secrets', (SELECT coalesce(jsonb_agg(jsonb_build_object('version', s.version,
        'days', CASE WHEN s.expires_at < clock_timestamp() THEN 0 ELSE ceil(extract(epoch FROM s.expires_at - clock_timestamp()) / 86400) END)), '[]')
      FROM apikeys.key_secret AS s WHERE s.public_key = k.public_key))), '{}')
    FROM apikeys.key AS k WHERE k.public_key = ANY (names));
END $$;
CREATE FUNCTION model.places() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN
  RETURN jsonb_build_object(
  'organizations', (SELECT coalesce(jsonb_object_agg(o.id, jsonb_build_object('name', o.name, 'requireList', o.require_access_list,
      'maxYears', extract(year FROM o.max_key_lifetime), 'maxKeys', o.max_keys, 'maxOverlap', extract(day FROM o.max_rotation_overlap),
      'maxSecretDays', extract(day FROM o.max_secret_lifetime), 'list', coalesce(o.access_list::cidr[], '{}'), 'environment', o.environment,
      'limits', ${LIMITS('organization')})), '{}') FROM apikeys.organization AS o),
  'projects', (SELECT coalesce(jsonb_object_agg(p.id, jsonb_build_object('organization', p.organization_id, 'name', p.name, 'environment', p.environment)), '{}') FROM apikeys.project AS p),
  'members', (SELECT coalesce(jsonb_agg(jsonb_build_object('organization', m.organization_id, 'project', m.project_id,
      'principal', m.principal, 'role', m.role)), '[]') FROM apikeys.member AS m),
  'roles', (SELECT coalesce(jsonb_object_agg(r.id, jsonb_build_object('name', r.name, 'of', r.organization_id, 'level', r.level,
      'organization', r.organization_permissions, 'project', r.project_permissions)), '{}') FROM apikeys.role AS r
      WHERE NOT r.is_builtin AND r.id NOT LIKE 'MODEL%'));
END $$;
CREATE FUNCTION model.look(names text[], has_places boolean, OUT seen jsonb, OUT key_count bigint, OUT events jsonb)
LANGUAGE plpgsql AS $$ BEGIN
  seen := jsonb_build_object('keys', model.keys(names)) || CASE WHEN has_places THEN model.places() ELSE '{}' END;
  key_count := (SELECT count(*) FROM apikeys.key);
  events := (SELECT coalesce(jsonb_agg(jsonb_build_array(e.principal, e.public_key, split_part(e.action, '.', 1)) ORDER BY e.id), '[]')
    FROM apikeys.audit_event AS e WHERE e.id > coalesce(current_setting('model.last_event', true), '0')::bigint);
  PERFORM set_config('model.last_event', (SELECT coalesce(max(e.id), 0)::text FROM apikeys.audit_event AS e), false);
END $$;
CREATE FUNCTION model.look_at_all(OUT seen jsonb, OUT images_agree boolean)
LANGUAGE plpgsql AS $$ BEGIN
  seen := jsonb_build_object('keys', model.keys(ARRAY(SELECT k.public_key FROM apikeys.key AS k)),
    'deleted', (SELECT coalesce(jsonb_agg(d.public_key), '[]') FROM apikeys.deleted_key AS d WHERE d.public_key LIKE 'imported%' AND length(d.public_key) < 12)) || model.places();
  images_agree := NOT EXISTS (SELECT FROM (SELECT i::text FROM apikeys.key_image AS i EXCEPT ALL SELECT i::text FROM apikeys.key_image_source AS i) AS d)
    AND NOT EXISTS (SELECT FROM (SELECT i::text FROM apikeys.key_image_source AS i EXCEPT ALL SELECT i::text FROM apikeys.key_image AS i) AS d);
END $$;
CREATE FUNCTION model.limits() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN
  RETURN (SELECT coalesce(jsonb_object_agg(k.public_key, k.rest), '{}') FROM (
    SELECT l.public_key, jsonb_object_agg(l.limit_name, l.remaining) AS rest FROM apikeys.limits AS l
    WHERE l.public_key IS NOT NULL GROUP BY l.public_key) AS k);
END $$;
CREATE FUNCTION model.days(length interval, limit_name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN limit_name ~ '(week|month|credits)$' THEN CASE WHEN length IS NOT NULL THEN 'end' END
    ELSE ceil(extract(epoch FROM length) / 86400)::text END $$;
CREATE FUNCTION model.decide(keys text[], secrets text[], addresses text[], scopes text[], projects uuid[], costs bigint[]) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
  RETURN (SELECT string_agg(format('%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s', d.reason, d.allowed, d.http_status, d.limit_name, d.remaining,
      model.days(d.retry_after, d.limit_name), model.days(d.reset_after, d.limit_name), d.organization_id, d.owner, d.metadata ->> 'plan', d.environment,
      CASE WHEN d.allowed THEN d.network END), E'\\n' ORDER BY t.n)
    FROM unnest(keys, secrets, addresses::inet[], scopes, projects, costs) WITH ORDINALITY AS t (key, secret, address, scope, project, cost, n)
    CROSS JOIN LATERAL (
      SELECT * FROM apikeys.decide(t.key, t.secret, t.address, t.scope, t.project, t.cost) WHERE t.key IS NOT NULL
      UNION ALL
      SELECT * FROM apikeys.decide_token(t.secret, t.address, t.scope, t.project, t.cost) WHERE t.key IS NULL) AS d);
END $$;`;

// What a reader sees: see visibleTo() in rights.js.
const VISIBLE = `SELECT jsonb_build_object(
  'organizations', (SELECT coalesce(jsonb_agg(o.id), '[]') FROM apikeys.organization AS o),
  'projects', (SELECT coalesce(jsonb_agg(p.id), '[]') FROM apikeys.project AS p),
  'keys', (SELECT coalesce(jsonb_agg(k.public_key), '[]') FROM apikeys.key AS k),
  'grants', (SELECT coalesce(jsonb_agg(concat_ws(' ', r.public_key, coalesce(r.project_id::text, ''), coalesce(r.role, '=' || r.permission))), '[]')
    FROM apikeys.key_role AS r)) AS seen`;

// With one order for what has none, so that states can be compared as text.
const UNSEEN = new Set(['id', 'ids', 'last', 'limitsId']);
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).sort().join(',')}]`;
  if (value && typeof value === 'object') {
    return `{${Object.keys(value).sort().filter((k) => !UNSEEN.has(k)).map((k) => `${k}:${canonical(value[k])}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

module.exports = { acting, canonical, importedSecret, SETUP, statement, VISIBLE };
