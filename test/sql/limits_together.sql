-- Limits along with all else that a key has: permissions, owner, metadata, an
-- environment, networks of its organization, several scopes in one call.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
SET intervalstyle = 'postgres';
\pset null NULL

SELECT apikeys.create_organization('regress_together', 'user:regress_together') AS org \gset
SELECT apikeys.set_organization_environment(:'org', 'live') \g /dev/null
SELECT apikeys.set_organization_access_list(:'org', '{10.0.0.0/8}') \g /dev/null
SELECT apikeys.create_project(:'org', 'a project') AS project \gset
SELECT public_key AS key, private_key AS secret, api_key
FROM apikeys.create_project_key(:'project', 'A key', '{GROUP_READ_ONLY}', access_list => '{10.1.0.0/16}',
	permissions => '{exports.*,reports.read}', owner => 'customer 7', metadata => '{"plan": "small"}') \gset
CREATE FUNCTION pg_temp.ask(key text, secret text, project uuid, scope text, address inet DEFAULT '10.1.2.3', cost bigint DEFAULT 1)
RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', d.reason, d.http_status, d.remaining, d.limit_name)
	FROM apikeys.decide(key, secret, address, scope, project, cost) AS d;
$$;
PREPARE ask(text) AS SELECT pg_temp.ask(:'key', :'secret', :'project', $1);
PREPARE left_over AS
	SELECT limit_name, coalesce(burst, amount) AS "limit", remaining FROM apikeys.limits
	WHERE organization_id = :'org' ORDER BY public_key, limit_name COLLATE "C";

-- The images that creating and importing keys have made.
CREATE TEMP TABLE source AS
	SELECT 'regress_together_' || n AS public_key, 'sha256$$' || encode(sha256('a secret'), 'hex') AS hash, 'A key' AS description
	FROM generate_series(1, 3) AS n;
SELECT apikeys.import_keys(:'org', 'source');
CREATE FUNCTION pg_temp.differing() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM apikeys.key_image AS i FULL JOIN apikeys.key_image_source AS s USING (public_key)
	WHERE i::text IS DISTINCT FROM s::text;
$$;
SELECT pg_temp.differing();
SELECT count(DISTINCT substr(limits, 1, 16)), min(length(limits)), max(length(limits)) FROM apikeys.key_image WHERE organization_id = :'org';

-- One row tells all.
SELECT apikeys.set_rate_limit(:'key', 10, '1000 h') \g /dev/null
SELECT apikeys.set_rate_limit(:'key', 3, '1000 h', scope => 'exports.*') \g /dev/null
SELECT apikeys.set_organization_rate_limit(:'org', 6, '1000 h') \g /dev/null
SELECT apikeys.set_organization_quota(:'org', 100, 'ever') \g /dev/null
SELECT pg_temp.differing();
SELECT allowed, reason, http_status, network, owner, metadata, environment, remaining, limit_name, retry_after, reset_after IS NOT NULL AS resets
FROM apikeys.decide(:'key', :'secret', '10.1.2.3'::inet, 'reports.read', :'project');

-- A limit of a pattern is for a call one of whose scopes matches; each is charged once.
EXECUTE ask('reports.read exports.create exports.delete');
EXECUTE left_over;
EXECUTE ask('reports.read');
EXECUTE left_over;

-- What else is against it comes first, and charges nothing.
SELECT apikeys.set_rate_limit(:'key', 1, '1000 h', burst => 1, scope => 'exports.*') \g /dev/null
EXECUTE ask('exports.create reports.write');
SELECT pg_temp.ask(:'key', :'secret', :'project', 'exports.create', '192.0.2.1');
SELECT pg_temp.ask(:'key', :'secret', :'project', 'exports.create', '10.2.0.1');
SELECT pg_temp.ask(:'key', 'not this', :'project', 'exports.create');
EXECUTE left_over;

-- Over a limit: one of them denies, and none is charged.
SELECT apikeys.set_rate_limit(:'key', 10, '1000 h', scope => 'exports.*') \g /dev/null
SELECT pg_temp.ask(:'key', :'secret', :'project', 'exports.create', cost => 4);
SELECT allowed, reason, http_status, owner, metadata, environment, remaining, limit_name, retry_after IS NOT NULL AS waits
FROM apikeys.decide_token(:'api_key', '10.1.2.3'::inet, 'exports.create', :'project', cost => 4);
SELECT apikeys.authorize_token(:'api_key', '10.1.2.3'::inet, 'exports.create', :'project', cost => 4);
EXECUTE left_over;
SELECT apikeys.set_organization_quota(:'org', 1, 'ever') \g /dev/null
EXECUTE ask('exports.create');

-- The row of the organization has what the table says, for changes of every role.
PREPARE is_same AS
	SELECT o.limits = coalesce((SELECT string_agg(l.image, '' ORDER BY l.kind) FROM apikeys.organization_limit AS l
		WHERE l.organization_id = o.id), '') AS is_same, length(o.limits) FROM apikeys.organization AS o WHERE o.id = :'org';
EXECUTE is_same;
UPDATE apikeys.organization_limit SET amount = 50 WHERE organization_id = :'org' AND kind = 'ever';
EXECUTE is_same;
EXECUTE ask('exports.create');
SELECT apikeys.create_organization('regress_together other', 'user:regress_together') AS other \gset
UPDATE apikeys.organization_limit SET organization_id = :'other' WHERE organization_id = :'org' AND kind = 'rate';
EXECUTE is_same;
SELECT length(limits) FROM apikeys.organization WHERE id = :'other';
EXECUTE ask('exports.create');
UPDATE apikeys.organization SET limits = '\x00' WHERE id = :'org';
EXECUTE ask('exports.create');
SELECT apikeys.rebuild_images() > 0 AS made;
EXECUTE is_same;
EXECUTE ask('exports.create');
BEGIN;
SET LOCAL client_min_messages = warning;
SAVEPOINT before;
TRUNCATE apikeys.organization_limit;
EXECUTE is_same;
EXECUTE ask('exports.create');
ROLLBACK TO before;
EXECUTE ask('exports.create');
DELETE FROM apikeys.organization_limit WHERE organization_id = :'org';
EXECUTE is_same;
EXECUTE ask('exports.create');
ROLLBACK;
EXECUTE ask('exports.create');

-- No event tells of an image.
SELECT count(*) FROM apikeys.audit_event WHERE organization_id IN (:'org', :'other') AND detail::text ~ '\\\\x|"limits"';

SELECT count(apikeys.delete_key(k.public_key)) FROM apikeys.key AS k WHERE k.organization_id = :'org';
SELECT apikeys.delete_project(:'project'), apikeys.delete_organization(:'org'), apikeys.delete_organization(:'other');
SELECT count(*) FROM apikeys.organization_limit;
