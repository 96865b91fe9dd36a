-- Nobody locks himself out, and no key gives away more than it has: on every
-- path, by functions and by direct SQL.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_guards_one;
GRANT EXECUTE ON FUNCTION apikeys.authenticate, apikeys.act_as TO regress_apikeys_guards_one;
SELECT apikeys.create_organization('regress_guards', 'role:regress_apikeys_guards_one') AS org \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
-- Each key with one secret.
CREATE FUNCTION pg_temp.make_key(name text, list apikeys.access_list, expires timestamptz, role text, organization uuid) RETURNS void LANGUAGE sql AS $body$
	INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at) VALUES ('regress_' || name, organization, name, list, expires);
	INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress_' || name, organization, role);
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_' || name, 1, ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, 'same');
$body$;
SELECT pg_temp.make_key('limited', '{10.0.0.0/8,2001:db8::/32}', '2999-01-01', 'ORG_OWNER', :'org'), pg_temp.make_key('wide', '{}', NULL, 'ORG_MEMBER', :'org'),
	pg_temp.make_key('narrow', '{10.1.0.0/16}', '2998-01-01', 'ORG_MEMBER', :'org') \g /dev/null

-- --------------------------------------------------------------- the last owner
SET ROLE regress_apikeys_guards_one;
SELECT apikeys.disable_key('regress_limited');
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_guards_one', 'ORG_OWNER');
DELETE FROM apikeys.member WHERE organization_id = :'org';
SELECT apikeys.enable_key('regress_limited');
-- With a key that is one, he may go; then the key has to stay.
BEGIN;
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_guards_one', 'ORG_OWNER');
ROLLBACK;
SELECT apikeys.add_member(:'org', 'user:regress', 'ORG_OWNER');
SELECT apikeys.remove_member(:'org', 'user:regress', 'ORG_OWNER');
BEGIN;
SELECT apikeys.authenticate('regress_limited', 'sesame', '10.0.0.1');
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_guards_one', 'ORG_OWNER');
SAVEPOINT a;
SELECT apikeys.disable_key('regress_limited');
ROLLBACK TO a;
SELECT apikeys.delete_key('regress_limited');
ROLLBACK TO a;
SELECT apikeys.update_key('regress_limited', expires_at => now());
ROLLBACK TO a;
SELECT apikeys.set_organization_roles('regress_limited', '{ORG_READ_ONLY}');
ROLLBACK TO a;
DELETE FROM apikeys.key_role WHERE public_key = 'regress_limited';
ROLLBACK TO a;
UPDATE apikeys.key SET disabled_at = now() WHERE public_key = 'regress_limited';
ROLLBACK TO a;
-- Another owner, and it may go.
SELECT apikeys.add_member(:'org', 'user:regress', 'ORG_OWNER');
SELECT apikeys.disable_key('regress_limited');
ROLLBACK;
-- A superuser may do it all.
RESET ROLE;
BEGIN;
DELETE FROM apikeys.key_role WHERE organization_id = :'org';
DELETE FROM apikeys.member WHERE organization_id = :'org';
ROLLBACK;

-- --------------------------------------------------------------- a key's own ways
SET ROLE regress_apikeys_guards_one;
BEGIN;
SELECT apikeys.authenticate('regress_limited', 'sesame', '10.0.0.1');
SAVEPOINT a;
SELECT apikeys.remove_from_access_list('regress_limited', '10.0.0.0/8');
ROLLBACK TO a;
SELECT apikeys.update_key('regress_limited', access_list => '{10.0.0.2}');
ROLLBACK TO a;
UPDATE apikeys.key SET access_list = '{2001:db8::/32}' WHERE public_key = 'regress_limited';
ROLLBACK TO a;
SELECT apikeys.update_key('regress_limited', access_list => '{10.0.0.0/24}');
SELECT apikeys.remove_from_access_list('regress_narrow', '10.1.0.0/16');
ROLLBACK TO a;
UPDATE apikeys.key_secret SET expires_at = now() WHERE public_key = 'regress_limited';
ROLLBACK TO a;
DELETE FROM apikeys.key_secret WHERE public_key = 'regress_limited';
ROLLBACK TO a;
SELECT apikeys.end_secret('regress_limited', 1);
ROLLBACK TO a;
SELECT apikeys.rotate_secret('regress_limited') IS NOT NULL AS rotated;
SELECT count(*) FROM apikeys.key_secret WHERE public_key = 'regress_limited' AND (expires_at IS NULL OR expires_at > clock_timestamp());
-- Of another key it may.
UPDATE apikeys.key_secret SET expires_at = now() WHERE public_key = 'regress_narrow';
ROLLBACK;

-- --------------------------------------------------------------- no more than it has
-- What a key tries, and what becomes of it; it is undone then.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE SQLSTATE 'RG000';
EXCEPTION
	WHEN SQLSTATE 'RG000' THEN
		RETURN 'done';
	WHEN OTHERS THEN
		RETURN SQLSTATE || ' ' || SQLERRM;
END;
$$;
BEGIN;
SELECT apikeys.authenticate('regress_limited', 'sesame', '10.0.0.1');
SELECT what, list, to_char(expires, 'YYYY-MM-DD') AS expires, CASE what
		WHEN 'create' THEN pg_temp.attempt(format('SELECT apikeys.create_key(%L, %L, %L, %L, %L)', :'org', 'new', '{}', list, expires))
		WHEN 'project' THEN pg_temp.attempt(format('SELECT apikeys.create_project_key(%L, %L, %L, %L, %L)', :'one', 'new', '{GROUP_OWNER}', list, expires))
		WHEN 'import' THEN pg_temp.attempt(format('SELECT apikeys.import_key(%L, %L, %L, %L, %L, %L, %L)', :'org', 'regress_' || n, 'sha256$$' || repeat('0', 64), 'new', '{}', list, expires))
		WHEN 'insert' THEN pg_temp.attempt(format('INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at) VALUES (%L, %L, %L, %L, %L)', 'regress_' || n, :'org', 'new', list, expires))
		WHEN 'update narrow' THEN pg_temp.attempt(format('SELECT apikeys.update_key(%L, access_list => %L, expires_at => %L)', 'regress_narrow', list, coalesce(expires, 'infinity')))
		WHEN 'update itself' THEN pg_temp.attempt(format('UPDATE apikeys.key SET access_list = %L, expires_at = %L WHERE public_key = %L', list, expires, 'regress_limited'))
	END AS outcome
FROM (SELECT row_number() OVER () AS n, * FROM
	(VALUES ('create'), ('project'), ('import'), ('insert'), ('update narrow'), ('update itself')) AS w (what),
	(VALUES ('{10.0.0.0/9,2001:db8:1::/48}', '2998-06-01'::timestamptz), ('{10.0.0.0/8,2001:db8::/32}', '2999-01-01'), ('{10.0.0.0/7}', '2998-06-01'),
		('{10.0.0.0/8,192.0.2.1}', '2998-06-01'), ('{}', '2998-06-01'), ('{10.0.0.0/8}', '2999-01-02'), ('{10.0.0.0/8}', NULL)) AS v (list, expires)) AS attempts
ORDER BY what, n;
ROLLBACK;
BEGIN;
SELECT apikeys.authenticate('regress_limited', 'sesame', '10.0.0.1');
-- What is not widened may be changed, though it is wider.
SELECT pg_temp.attempt(statement) AS outcome, statement FROM (VALUES
	(1, $$SELECT apikeys.update_key('regress_wide', 'another description')$$), (2, $$SELECT apikeys.disable_key('regress_wide')$$),
	(3, $$SELECT apikeys.add_to_access_list('regress_narrow', '10.2.0.0/16')$$), (4, $$SELECT apikeys.add_to_access_list('regress_narrow', '11.0.0.0/8')$$),
	(5, $$SELECT apikeys.update_key('regress_wide', access_list => '{192.0.2.1}')$$), (6, $$SELECT apikeys.update_key('regress_wide', access_list => '{10.0.0.1}')$$),
	(7, $$SELECT apikeys.rotate_secret('regress_wide')$$), (8, $$SELECT apikeys.rotate_secret('regress_narrow')$$), (9, $$SELECT apikeys.issue_secret('regress_wide')$$),
	(10, $a$INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_wide', 9, 'sha256$$0000000000000000000000000000000000000000000000000000000000000000', '')$a$)
) AS v (n, statement) ORDER BY n;
ROLLBACK;
-- Patterns: a wider one is not covered by a narrower one.
RESET ROLE;
SELECT apikeys.create_role('regress_guards_reads', 'organization', '{apikeys.keys.*,*.read}', '{}', NULL);
SELECT apikeys.create_role('regress_guards_all', 'organization', '{*}', '{}', NULL);
SELECT apikeys.create_role('regress_guards_clusters', 'organization', '{clusters.read}', '{}', NULL);
SELECT pg_temp.make_key('reader', '{}', NULL, 'regress_guards_reads', :'org') \g /dev/null
SET ROLE regress_apikeys_guards_one;
BEGIN;
SELECT apikeys.authenticate('regress_reader', 'sesame', NULL);
SELECT role, pg_temp.attempt(format('SELECT apikeys.create_key(%L, %L, %L)', :'org', 'new', ARRAY[role])) AS outcome
FROM (VALUES (1, 'regress_guards_reads'), (2, 'regress_guards_clusters'), (3, 'regress_guards_all'), (4, 'ORG_READ_ONLY')) AS v (n, role) ORDER BY n;
ROLLBACK;

RESET ROLE;
DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress%';
DELETE FROM apikeys.organization WHERE id = :'org';
SELECT apikeys.drop_role(name) FROM apikeys.role WHERE name LIKE 'regress_guards%' \g /dev/null
DROP FUNCTION pg_temp.attempt;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apikeys FROM regress_apikeys_guards_one;
DROP ROLE regress_apikeys_guards_one;
