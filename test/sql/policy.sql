-- What an organization requires of its keys, in every verb; and what becomes of
-- keys that do not comply.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse
SET timezone = 'UTC';

CREATE ROLE regress_apikeys_policy_owner;
SELECT apikeys.grant_access('regress_apikeys_policy_owner', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_policy_guest;
SELECT apikeys.grant_access('regress_apikeys_policy_guest', 'manage') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_policy_owner', 'decide', 'impersonate') \g /dev/null
SELECT apikeys.create_organization('regress_policy', 'role:regress_apikeys_policy_owner') AS org \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT apikeys.add_member(:'org', 'user:regress', 'ORG_OWNER');
-- Runs a statement, returns its result, and rolls it back.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE statement;
	RAISE SQLSTATE 'RG000';
EXCEPTION
	WHEN SQLSTATE 'RG000' THEN
		RETURN 'done';
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
		RETURN concat_ws(' / ', SQLSTATE || ' ' || replace(SQLERRM, session_user, 'superuser'), nullif(regexp_replace(hint, 'later than .*', 'later than ...'), ''));
END;
$$;
INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at) VALUES
	('regress_policy_a', :'org', 'A', '{10.0.0.0/8}', now() + '10 days'), ('regress_policy_owner', :'org', 'Owner', '{10.0.0.0/8}', now() + '10 days');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) SELECT k, 1, ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, 'same'
FROM unnest(ARRAY['regress_policy_a', 'regress_policy_owner']) AS k;
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress_policy_a', :'org', 'ORG_READ_ONLY'), ('regress_policy_owner', :'org', 'ORG_OWNER');

-- ---------------------------------------------------------------- the policy itself
SELECT pg_temp.attempt(format('SELECT apikeys.set_organization_policy(%s)', arguments)) AS outcome, what FROM (VALUES
	(1, format('%L, NULL, NULL, NULL', :'org'), 'as it is'), (2, 'NULL, true, NULL, NULL', 'of none'), (3, format('%L, true, %L, NULL', :'org', '0 days'), 'no life'),
	(4, format('%L, true, %L, NULL', :'org', '-1 day'), 'a life before'), (5, format('%L, true, %L, NULL', :'org', '2000 years'), 'a life for ever'),
	(6, format('%L, true, NULL, %L', :'org', '-1 second'), 'an overlap before'), (7, format('%L, true, NULL, %L', :'org', '2000 years'), 'an overlap for ever'),
	(8, format('%L, true, NULL, NULL', gen_random_uuid()), 'of nobody''s')) AS v (n, arguments, what) ORDER BY n;
SET ROLE regress_apikeys_policy_guest;
SELECT pg_temp.attempt(format('SELECT apikeys.set_organization_policy(%L, true, NULL, NULL)', :'org')) AS outcome;
SET ROLE regress_apikeys_policy_owner;
SELECT apikeys.set_organization_policy(:'org', true, '30 days', '1 day');
SELECT require_access_list, max_key_lifetime, max_rotation_overlap FROM apikeys.organization WHERE id = :'org';
SELECT apikeys.set_organization_policy(:'org', NULL, '30 days', NULL);
-- Also where PostgreSQL takes two lifetimes for equal.
SELECT '1 month'::interval = '30 days' AS equal, apikeys.set_organization_policy(:'org', NULL, '1 month', NULL) AS changed;
SELECT apikeys.set_organization_policy(:'org', NULL, '30 days', NULL);
SELECT require_access_list, max_key_lifetime, max_rotation_overlap FROM apikeys.organization WHERE id = :'org';

-- ---------------------------------------------------------------- each path, by each who acts
CREATE FUNCTION pg_temp.paths(org uuid, one uuid, list text, expires text) RETURNS TABLE (n integer, path text, statement text) LANGUAGE sql AS $body$
	VALUES
	(1, 'create_key', format('SELECT apikeys.create_key(%L, %L, %L, %L, %s)', org, 'new', '{ORG_MEMBER}', list, expires)),
	(2, 'create_project_key', format('SELECT apikeys.create_project_key(%L, %L, %L, %L, %s)', one, 'new', '{GROUP_READ_ONLY}', list, expires)),
	(3, 'import_key', format('SELECT apikeys.import_key(%L, %L, %L, %L, %L, %L, %s)', org, 'regress_policy_new', 'sha256$$' || repeat('0', 64), 'new', '{}', list, expires)),
	(5, 'update_key', format('SELECT apikeys.update_key(%L, access_list => %L, expires_at => coalesce(%s, %L))', 'regress_policy_a', list, expires, 'infinity')),
	(7, 'import_keys', format('CREATE TEMP TABLE staging AS SELECT %L AS public_key, %L AS hash, %L AS description, %L AS access_list, %s AS expires_at; SELECT apikeys.import_keys(%L, %L)',
		'regress_policy_new', 'sha256$$' || repeat('0', 64), 'new', list, expires, org, 'staging'))
$body$;
CREATE FUNCTION pg_temp.tries(org uuid, one uuid) RETURNS TABLE (path text, list text, expires text, outcome text) LANGUAGE sql AS $body$
	SELECT p.path, v.list, v.expires, pg_temp.attempt(p.statement)
	FROM (VALUES (1, '{10.0.0.1}', 'now() + ''9 days'''), (2, '{10.0.0.1}', 'now() + ''31 days'''), (3, '{10.0.0.1}', 'NULL::timestamptz'), (4, '{}', 'now() + ''9 days''')) AS v (m, list, expires),
		LATERAL pg_temp.paths(org, one, v.list, v.expires) AS p ORDER BY m, n
$body$;
SELECT * FROM pg_temp.tries(:'org', :'one');
-- A superuser, a key that is an owner, and a user of the application: the same.
BEGIN;
RESET ROLE;
SELECT outcome, count(*) FROM pg_temp.tries(:'org', :'one') GROUP BY outcome ORDER BY outcome COLLATE "C";
ROLLBACK;
SET ROLE regress_apikeys_policy_owner;
BEGIN;
SELECT apikeys.authenticate('regress_policy_owner', 'sesame', '10.0.0.1');
SELECT outcome, count(*) FROM pg_temp.tries(:'org', :'one') GROUP BY outcome ORDER BY outcome COLLATE "C";
ROLLBACK;
BEGIN;
SELECT apikeys.act_as('user:regress');
SELECT outcome, count(*) FROM pg_temp.tries(:'org', :'one') GROUP BY outcome ORDER BY outcome COLLATE "C";
ROLLBACK;
RESET ROLE;

-- ---------------------------------------------------------------- keys that were there before
SELECT apikeys.set_organization_policy(:'org', true, '5 days', '1 day');
SELECT apikeys.grant_access('regress_apikeys_policy_owner', 'decide') \g /dev/null
SET ROLE regress_apikeys_policy_owner;
SELECT reason FROM apikeys.decide('regress_policy_a', 'sesame', '10.0.0.1', 'clusters.read');
SELECT check_name, passed, regexp_replace(detail, '[0-9]{4}-.*', '...') AS detail FROM apikeys.explain_authorize('regress_policy_a', '10.0.0.1', 'clusters.read') WHERE NOT passed;
-- What has to do with neither can be changed.
SELECT FROM apikeys.update_key('regress_policy_a', description => 'Described');
SELECT apikeys.disable_key('regress_policy_a'), apikeys.enable_key('regress_policy_a');
SELECT FROM apikeys.set_organization_roles('regress_policy_a', '{ORG_MEMBER,ORG_READ_ONLY}');
SELECT apikeys.rotate_secret('regress_policy_a') IS NOT NULL AS rotated;
-- Nor can it be bound.
BEGIN;
SELECT apikeys.authenticate('regress_policy_owner', 'sesame', '10.0.0.1');
ROLLBACK;
-- Brought into line, it passes again.
SELECT FROM apikeys.update_key('regress_policy_owner', expires_at => now() + '4 days');
SELECT reason FROM apikeys.decide('regress_policy_owner', 'sesame', '10.0.0.1', 'clusters.read');
-- A change has to comply, also one that shortens a life.
SELECT apikeys.set_organization_policy(:'org', true, '1 hour', '1 day');
SELECT FROM apikeys.update_key('regress_policy_owner', expires_at => now() + '3 days');
SELECT apikeys.set_organization_policy(:'org', true, NULL, '1 day');
SELECT reason FROM apikeys.decide('regress_policy_owner', 'sesame', '10.0.0.1', 'clusters.read');
-- Months and days are those of UTC, in every session: what a verb allows, a
-- decision allows, and explain_authorize agrees.
CREATE FUNCTION pg_temp.lives(org uuid, zone text, life text) RETURNS TABLE (outcome text, reason text, explained boolean) LANGUAGE plpgsql AS $$
DECLARE
	made apikeys.new_key;
	latest timestamptz := (now() AT TIME ZONE 'UTC' + life::interval) AT TIME ZONE 'UTC';
BEGIN
	PERFORM set_config('timezone', zone, true);
	FOR i IN 0 .. 1 LOOP
		outcome := 'created'; reason := NULL; explained := NULL;
		BEGIN
			made := apikeys.create_key(org, 'Lives', '{ORG_MEMBER}', '{10.0.0.0/8}', latest + make_interval(secs => i));
			SELECT d.reason INTO reason FROM apikeys.decide(made.public_key, made.private_key, '10.0.0.1'::inet, 'organization.read') AS d;
			SELECT e.passed INTO explained FROM apikeys.explain_authorize(made.public_key, '10.0.0.1'::inet, 'organization.read') AS e WHERE e.check_name = 'lifetime_exceeded';
		EXCEPTION WHEN check_violation THEN
			GET STACKED DIAGNOSTICS outcome = CONSTRAINT_NAME;
		END;
		RETURN NEXT;
	END LOOP;
END;
$$;
BEGIN;
RESET ROLE;
SELECT apikeys.set_organization_policy(:'org', true, '1 mon', '1 day');
SELECT z.zone, l.* FROM unnest('{Asia/Tokyo,Pacific/Kiritimati,Pacific/Pago_Pago,America/New_York}'::text[]) AS z (zone), pg_temp.lives(:'org', z.zone, '1 mon') AS l;
ROLLBACK;
SET ROLE regress_apikeys_policy_owner;
SELECT to_char(expires_at - now(), 'DD') AS days FROM apikeys.expiring_keys('4 days');

-- ---------------------------------------------------------------- old secrets
SELECT pg_temp.attempt(statement) AS outcome, what FROM (VALUES
	(1, $$SELECT apikeys.rotate_secret('regress_policy_owner', '1 day')$$, 'overlap as allowed'),
	(2, $$SELECT apikeys.rotate_secret('regress_policy_owner', '1 day 1 second')$$, 'a longer one'),
	(3, $$SELECT apikeys.rotate_secret('regress_policy_owner', '-1 second')$$, 'a negative one'),
	(4, $$SELECT apikeys.rotate_secret('regress_policy_owner', NULL)$$, 'none')) AS v (n, statement, what) ORDER BY n;
-- An overlap is measured in UTC as well: it is never cut in silence.
SELECT pg_temp.attempt($$SELECT apikeys.rotate_secret('regress_policy_owner', '1 mon')$$) AS a_month;
-- The old secret never outlives its own end; a third one ends the oldest.
BEGIN;
RESET ROLE;
UPDATE apikeys.key_secret SET expires_at = now() + '1 hour' WHERE public_key = 'regress_policy_owner';
SET LOCAL ROLE regress_apikeys_policy_owner;
SELECT apikeys.rotate_secret('regress_policy_owner', '1 day') AS second \gset
SELECT version, expires_at = now() + '1 hour' AS kept FROM apikeys.key_secret WHERE public_key = 'regress_policy_owner' ORDER BY version;
SELECT apikeys.rotate_secret('regress_policy_owner', '1 day') AS third \gset
SELECT reason FROM unnest(ARRAY['sesame', :'second', :'third']) WITH ORDINALITY AS s (secret, n), apikeys.decide('regress_policy_owner', secret, '10.0.0.1', 'clusters.read') ORDER BY n;
ROLLBACK;

RESET ROLE;

-- ---------------------------------------------------------------- policies of many
-- A process keeps them only up to a size, and reads the others again.
INSERT INTO apikeys.organization (name, access_list)
	SELECT 'regress_policy_many_' || n, l.list
	FROM generate_series(1, 600) AS n,
		(SELECT array_agg('2001:db8::' || to_hex(i) || ':1/128')::text::apikeys.access_list AS list FROM generate_series(1, 1000) AS i) AS l;
INSERT INTO apikeys.key (public_key, organization_id, description) SELECT o.name, o.id, 'a key' FROM apikeys.organization AS o WHERE o.name LIKE 'regress_policy_many_%';
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) SELECT k.public_key, 1, ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, 'same'
FROM apikeys.key AS k WHERE k.public_key LIKE 'regress_policy_many_%';
INSERT INTO apikeys.key_role (public_key, organization_id, role) SELECT k.public_key, k.organization_id, 'ORG_READ_ONLY' FROM apikeys.key AS k WHERE k.public_key LIKE 'regress_policy_many_%';
CREATE FUNCTION pg_temp.decide_all() RETURNS TABLE (reason text, keys bigint)
BEGIN ATOMIC
	SELECT d.reason, count(*) FROM apikeys.key AS k, apikeys.decide(k.public_key, 'sesame', '2001:db8::3e8:1', 'clusters.read') AS d
	WHERE k.public_key LIKE 'regress_policy_many_%' GROUP BY d.reason ORDER BY d.reason;
END;
SELECT * FROM pg_temp.decide_all();
UPDATE apikeys.organization SET access_list = '{2001:db8::1}' WHERE name IN ('regress_policy_many_1', 'regress_policy_many_600');
SELECT * FROM pg_temp.decide_all();
DROP FUNCTION pg_temp.decide_all;
DELETE FROM apikeys.key WHERE public_key LIKE 'regress_policy_many_%';
DELETE FROM apikeys.organization WHERE name LIKE 'regress_policy_many_%';

DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress%';
DELETE FROM apikeys.organization WHERE id = :'org';
DROP FUNCTION pg_temp.lives, pg_temp.tries, pg_temp.paths, pg_temp.attempt;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apikeys FROM regress_apikeys_policy_owner;
DROP OWNED BY regress_apikeys_policy_owner, regress_apikeys_policy_guest;
DROP ROLE regress_apikeys_policy_owner, regress_apikeys_policy_guest;
