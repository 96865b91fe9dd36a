-- What an organization demands of its keys, on every path; and what becomes of
-- keys that do not comply.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse
SET timezone = 'UTC';

CREATE ROLE regress_apikeys_policy_owner;
CREATE ROLE regress_apikeys_policy_guest;
GRANT EXECUTE ON FUNCTION apikeys.authenticate, apikeys.act_as TO regress_apikeys_policy_owner;
SELECT apikeys.create_organization('regress_policy', 'role:regress_apikeys_policy_owner') AS org \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT apikeys.add_member(:'org', 'user:regress', 'ORG_OWNER');
-- What somebody tries, and what becomes of it; it is undone then.
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
		RETURN concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(regexp_replace(hint, '20[0-9-]+ .*', '...'), ''));
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
UPDATE apikeys.organization SET require_access_list = true WHERE id = :'org' RETURNING true AS updated;
SET ROLE regress_apikeys_policy_owner;
SELECT apikeys.set_organization_policy(:'org', true, '30 days', '1 day');
SELECT require_access_list, max_key_lifetime, max_rotation_overlap FROM apikeys.organization WHERE id = :'org';
SELECT apikeys.set_organization_policy(:'org', NULL, '30 days', NULL);
SELECT require_access_list, max_key_lifetime, max_rotation_overlap FROM apikeys.organization WHERE id = :'org';

-- ---------------------------------------------------------------- each path, by each who acts
CREATE FUNCTION pg_temp.paths(org uuid, one uuid, list text, expires text) RETURNS TABLE (n integer, path text, statement text) LANGUAGE sql AS $body$
	VALUES
	(1, 'create_key', format('SELECT apikeys.create_key(%L, %L, %L, %L, %s)', org, 'new', '{}', list, expires)),
	(2, 'create_project_key', format('SELECT apikeys.create_project_key(%L, %L, %L, %L, %s)', one, 'new', '{GROUP_READ_ONLY}', list, expires)),
	(3, 'import_key', format('SELECT apikeys.import_key(%L, %L, %L, %L, %L, %L, %s)', org, 'regress_policy_new', 'sha256$$' || repeat('0', 64), 'new', '{}', list, expires)),
	(4, 'INSERT', format('INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at) VALUES (%L, %L, %L, %L, %s)', 'regress_policy_new', org, 'new', list, expires)),
	(5, 'update_key', format('SELECT apikeys.update_key(%L, access_list => %L, expires_at => coalesce(%s, %L))', 'regress_policy_a', list, expires, 'infinity')),
	(6, 'UPDATE', format('UPDATE apikeys.key SET access_list = %L, expires_at = %s WHERE public_key = %L', list, expires, 'regress_policy_a')),
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
-- More life than its own is refused before.
SELECT * FROM pg_temp.tries(:'org', :'one') WHERE outcome <> 'done' OR path IN ('create_key', 'UPDATE');
ROLLBACK;
BEGIN;
SELECT apikeys.act_as('user:regress');
SELECT outcome, count(*) FROM pg_temp.tries(:'org', :'one') GROUP BY outcome ORDER BY outcome COLLATE "C";
ROLLBACK;
RESET ROLE;

-- ---------------------------------------------------------------- keys that were there before
SELECT apikeys.set_organization_policy(:'org', true, '5 days', '1 day');
GRANT EXECUTE ON FUNCTION apikeys.decide TO regress_apikeys_policy_owner;
SET ROLE regress_apikeys_policy_owner;
SELECT reason FROM apikeys.decide('regress_policy_a', 'sesame', '10.0.0.1', 'clusters.read');
SELECT check_name, passed, regexp_replace(detail, '[0-9]{4}-.*', '...') AS detail FROM apikeys.explain_authorize('regress_policy_a', '10.0.0.1', 'clusters.read') WHERE NOT passed;
-- What has to do with neither can be changed.
SELECT apikeys.update_key('regress_policy_a', description => 'Described');
SELECT apikeys.disable_key('regress_policy_a'), apikeys.enable_key('regress_policy_a');
SELECT apikeys.set_organization_roles('regress_policy_a', '{ORG_MEMBER,ORG_READ_ONLY}');
SELECT apikeys.rotate_secret('regress_policy_a') IS NOT NULL AS rotated;
-- Nor can it be bound.
BEGIN;
SELECT apikeys.authenticate('regress_policy_owner', 'sesame', '10.0.0.1');
ROLLBACK;
-- Brought into line, it passes again.
SELECT apikeys.update_key('regress_policy_owner', expires_at => now() + '4 days');
SELECT reason FROM apikeys.decide('regress_policy_owner', 'sesame', '10.0.0.1', 'clusters.read');
-- A change has to comply, though it be for less.
SELECT apikeys.set_organization_policy(:'org', true, '1 hour', '1 day');
SELECT apikeys.update_key('regress_policy_owner', expires_at => now() + '3 days');
SELECT apikeys.set_organization_policy(:'org', true, NULL, '1 day');
SELECT reason FROM apikeys.decide('regress_policy_owner', 'sesame', '10.0.0.1', 'clusters.read');
-- Months and days are as long as they are anywhere.
BEGIN;
SET LOCAL timezone = 'Pacific/Kiritimati';
SELECT apikeys.set_organization_policy(:'org', true, '1 mon', '1 day');
SELECT apikeys.update_key('regress_policy_owner', expires_at => created_at + '1 mon') FROM apikeys.key WHERE public_key = 'regress_policy_owner';
SET LOCAL timezone = 'Pacific/Pago_Pago';
SELECT reason FROM apikeys.decide('regress_policy_owner', 'sesame', '10.0.0.1', 'clusters.read');
ROLLBACK;
SELECT to_char(expires_at - now(), 'DD') AS days FROM apikeys.expiring_keys('4 days');

-- ---------------------------------------------------------------- old secrets
SELECT pg_temp.attempt(statement) AS outcome, what FROM (VALUES
	(1, $$SELECT apikeys.rotate_secret('regress_policy_owner', '1 day')$$, 'overlap as allowed'),
	(2, $$SELECT apikeys.rotate_secret('regress_policy_owner', '1 day 1 second')$$, 'a longer one'),
	(3, $$SELECT apikeys.rotate_secret('regress_policy_owner', '-1 second')$$, 'a negative one'),
	(4, $$SELECT apikeys.rotate_secret('regress_policy_owner', NULL)$$, 'none')) AS v (n, statement, what) ORDER BY n;
-- Whoever writes to the table himself: the older one is given an end.
BEGIN;
SELECT apikeys.issue_secret('regress_policy_owner', '30 days') IS NOT NULL AS issued;
SELECT version, expires_at <= now() + '1 day 5 minutes' AS ends_in_time FROM apikeys.key_secret WHERE public_key = 'regress_policy_owner' ORDER BY version;
ROLLBACK;
BEGIN;
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_policy_owner', 2, ('sha256$$' || repeat('0', 64))::apikeys.secret_hash, '');
SELECT version, expires_at <= now() + '1 day 5 minutes' AS ends_in_time FROM apikeys.key_secret WHERE public_key = 'regress_policy_owner' ORDER BY version;
SAVEPOINT a;
UPDATE apikeys.key_secret SET expires_at = NULL WHERE public_key = 'regress_policy_owner' AND version = 1;
ROLLBACK TO a;
UPDATE apikeys.key_secret SET expires_at = now() + '2 days' WHERE public_key = 'regress_policy_owner' AND version = 1;
ROLLBACK TO a;
UPDATE apikeys.key_secret SET expires_at = now() + '1 hour' WHERE public_key = 'regress_policy_owner' AND version = 1;
UPDATE apikeys.key_secret SET expires_at = now() + '2 hours' WHERE public_key = 'regress_policy_owner' AND version = 1;
ROLLBACK;
-- The old secret never outlives its own end; a third one ends the oldest.
BEGIN;
UPDATE apikeys.key_secret SET expires_at = now() + '1 hour' WHERE public_key = 'regress_policy_owner';
SELECT apikeys.rotate_secret('regress_policy_owner', '1 day') AS second \gset
SELECT version, expires_at = now() + '1 hour' AS kept FROM apikeys.key_secret WHERE public_key = 'regress_policy_owner' ORDER BY version;
SELECT apikeys.rotate_secret('regress_policy_owner', '1 day') AS third \gset
SELECT reason FROM unnest(ARRAY['sesame', :'second', :'third']) WITH ORDINALITY AS s (secret, n), apikeys.decide('regress_policy_owner', secret, '10.0.0.1', 'clusters.read') ORDER BY n;
ROLLBACK;

RESET ROLE;
DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress%';
DELETE FROM apikeys.organization WHERE id = :'org';
DROP FUNCTION pg_temp.tries, pg_temp.paths, pg_temp.attempt;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apikeys FROM regress_apikeys_policy_owner;
DROP ROLE regress_apikeys_policy_owner, regress_apikeys_policy_guest;
