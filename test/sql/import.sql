-- Keys of another system, many at once: all of a table or none, and the row
-- that is in the way is named by its number.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_apikeys_import_owner;
SELECT apikeys.grant_access('regress_apikeys_import_owner', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_import_admin;
SELECT apikeys.grant_access('regress_apikeys_import_admin', 'manage') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_import_owner', 'decide') \g /dev/null
SELECT apikeys.create_organization('regress_import', 'role:regress_apikeys_import_owner') AS org \gset
SELECT apikeys.create_organization('regress_import_other', 'user:regress_import') AS other \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_import_admin', 'GROUP_OWNER', :'one') \g /dev/null
SELECT coalesce(max(id), 0) AS before FROM apikeys.audit_event \gset

CREATE TABLE regress_import (
	number integer,
	public_key text,
	hash text,
	description text,
	roles text[],
	access_list text,
	expires_at timestamptz
);
GRANT ALL ON regress_import TO regress_apikeys_import_owner, regress_apikeys_import_admin;
INSERT INTO regress_import VALUES
	(1, 'regress.1', 'sha256$$' || encode(sha256('one'), 'hex'), 'First', '{ORG_READ_ONLY,ORG_MEMBER}', '{10.0.0.0/8}', '2999-01-01 00:00:00+00'),
	(2, 'regress.2', 'sha512$$' || encode(sha512('two'), 'hex'), 'Second', '{}', NULL, NULL),
	(3, 'regress.3', 'sha256$$' || encode(sha256('three'), 'hex'), 'Third', NULL, '{}', NULL);

CREATE TEMP TABLE original AS TABLE regress_import;

-- ------------------------------------------------------------------------ all
BEGIN;
SET ROLE regress_apikeys_import_owner;
SELECT apikeys.import_keys(:'org', 'regress_import');
SELECT public_key, description, organization_roles, access_list, status, created_by, expires_at IS NULL AS for_ever FROM apikeys.keys ORDER BY public_key;
RESET ROLE;
SELECT n, d.allowed, d.reason FROM (VALUES (1, 'regress.1', 'one', '10.0.0.1'::inet), (2, 'regress.1', 'two', '10.0.0.1'), (3, 'regress.1', 'one', '192.0.2.1'), (4, 'regress.2', 'two', NULL), (5, 'regress.3', 'three', NULL)) AS t (n, key, secret, ip),
	apikeys.decide(key, secret, ip, 'clusters.read') AS d ORDER BY n;
SELECT action, public_key, principal, organization_id = :'org' AS org, detail -> 'new' ->> 'role' AS role FROM apikeys.audit_event WHERE id > :before ORDER BY public_key, id;
SELECT count(*) FROM apikeys.audit_event WHERE id > :before AND detail::text LIKE '%sha%';
ROLLBACK;
-- By a role that bypasses row-level security, from a view without the optional columns.
BEGIN;
CREATE TEMP VIEW few AS SELECT public_key, hash::apikeys.secret_hash AS hash, description FROM regress_import WHERE number < 3;
SELECT apikeys.import_keys(:'org', 'few');
SELECT public_key, organization_roles, access_list FROM apikeys.keys WHERE public_key LIKE 'regress.%' ORDER BY public_key;
SELECT count(*), count(*) FILTER (WHERE i::text IS DISTINCT FROM s::text) AS different
	FROM apikeys.key_image AS i FULL JOIN apikeys.key_image_source AS s USING (public_key)
	WHERE public_key LIKE 'regress.%';
ROLLBACK;
-- None.
CREATE TEMP TABLE none AS SELECT public_key, hash, description FROM regress_import LIMIT 0;
SELECT apikeys.import_keys(:'org', 'none');

-- --------------------------------------------------------------- or the bad row
-- The third row is changed, and it is tried by an owner and by a superuser.
CREATE FUNCTION pg_temp.try(change text, organization uuid) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	FOR i IN 1 .. 2 LOOP
		BEGIN
			EXECUTE 'UPDATE regress_import SET ' || change || ' WHERE number = 3';
			IF i = 1 THEN
				SET LOCAL ROLE regress_apikeys_import_owner;
			END IF;
			answer := apikeys.import_keys(organization, 'regress_import');
			RAISE SQLSTATE 'RG000';
		EXCEPTION
			WHEN SQLSTATE 'RG000' THEN NULL;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
				answer := format('%s %s. %s', SQLSTATE, SQLERRM, detail);
		END;
		RETURN NEXT;
	END LOOP;
END;
$$;
SELECT apikeys.import_key(:'other', 'regress.taken', ('sha256$$' || repeat('0', 64))::apikeys.secret_hash, 'a key', '{}') \g /dev/null
SELECT apikeys.import_key(:'other', 'regress.deleted', ('sha256$$' || repeat('0', 64))::apikeys.secret_hash, 'a key', '{}') \g /dev/null
SELECT apikeys.delete_key('regress.deleted') \g /dev/null
SELECT private_key AS secret FROM apikeys.create_key(:'other', 'a key', '{ORG_MEMBER}') \gset
SELECT * FROM pg_temp.try('number = 3', :'org');
SELECT * FROM pg_temp.try('public_key = NULL', :'org');
SELECT * FROM pg_temp.try('public_key = ''no key''', :'org');
SELECT replace(answer, :'secret', 'SECRET') FROM pg_temp.try(format('public_key = %L', :'secret'), :'org') AS answer;
SELECT * FROM pg_temp.try('public_key = ''regress.1''', :'org');
SELECT * FROM pg_temp.try('public_key = ''regress.taken''', :'org');
SELECT * FROM pg_temp.try('public_key = ''regress.deleted''', :'org');
SELECT * FROM pg_temp.try('hash = NULL', :'org');
SELECT * FROM pg_temp.try('hash = ''sesame''', :'org');
SELECT * FROM pg_temp.try('hash = ''$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$'' || repeat(''A'', 43)', :'org');
SELECT * FROM pg_temp.try('description = NULL', :'org');
SELECT * FROM pg_temp.try('description = '' blank''', :'org');
SELECT * FROM pg_temp.try('description = repeat(''x'', 251)', :'org');
SELECT * FROM pg_temp.try('roles = ''{ORG_MEMBER,sesame}''', :'org');
SELECT * FROM pg_temp.try('roles = ''{NULL}''', :'org');
SELECT * FROM pg_temp.try('roles = ''{ORG_MEMBER,ORG_MEMBER}''', :'org');
SELECT * FROM pg_temp.try('roles = ''{GROUP_OWNER}''', :'org');
SELECT * FROM pg_temp.try('access_list = ''{sesame}''', :'org');
SELECT * FROM pg_temp.try('access_list = ''{10.0.0.1/8}''', :'org');
-- A life that the organization does not allow: 2 rows have no end.
UPDATE apikeys.organization SET max_key_lifetime = '1 year' WHERE id = :'org';
SELECT * FROM pg_temp.try('expires_at = now() + interval ''1 year''', :'org');
TRUNCATE regress_import;
INSERT INTO regress_import SELECT number, public_key, hash, description, roles, access_list, now() + interval '1 year' FROM original ORDER BY number;
SELECT * FROM pg_temp.try('expires_at = now() + interval ''13 months''', :'org');
SELECT * FROM pg_temp.try('expires_at = now() + interval ''1 year''', :'org');
UPDATE apikeys.organization SET max_key_lifetime = NULL WHERE id = :'org';
TRUNCATE regress_import;
INSERT INTO regress_import SELECT * FROM original ORDER BY number;
SELECT count(*) FROM apikeys.key WHERE organization_id = :'org';
SELECT count(*) FROM apikeys.audit_event WHERE id > :before AND organization_id = :'org' AND action LIKE 'key.%';
-- It can be asked without importing.
SELECT apikeys.check_import(:'org', 'regress_import');
SELECT apikeys.check_import(:'other', 'apikeys.key');

-- Rows are passed on many at a time, and fewer where they are long: the number is right.
CREATE TEMP TABLE long AS SELECT 'regress.long.' || n AS public_key, 'sha256$$' || encode(sha256('a secret'), 'hex') AS hash, 'a key' AS description,
	repeat('10.0.0.0/8,', 20000) AS access_list, n FROM generate_series(1, 450) AS n;
UPDATE long SET access_list = '{' || access_list || '10.0.0.0/8}';
SELECT apikeys.check_import(:'org', 'long');
UPDATE long SET description = repeat('x', 251) WHERE n = 407;
CREATE TEMP VIEW long_in_order AS SELECT public_key, hash, description, access_list FROM long ORDER BY n;
SELECT apikeys.check_import(:'org', 'long_in_order');

-- ------------------------------------------------------------------ no such table
CREATE TEMP TABLE wrong (public_key text, hash text);
SELECT apikeys.import_keys(:'org', 'wrong');
ALTER TABLE wrong ADD description varchar;
SELECT apikeys.import_keys(:'org', 'wrong');
SELECT apikeys.import_keys(:'org', NULL);
SELECT apikeys.import_keys(NULL, 'wrong');
\set VERBOSITY sqlstate
SELECT apikeys.import_keys('00000000-0000-0000-0000-000000000000', 'regress_import');
\set VERBOSITY default

-- ------------------------------------------------------------------------ who
SET ROLE regress_apikeys_import_admin;
SELECT apikeys.import_keys(:'org', 'regress_import');
SET ROLE regress_apikeys_import_owner;
SELECT apikeys.import_keys(:'other', 'regress_import');
RESET ROLE;
-- Roles that the importer cannot grant.
SELECT apikeys.create_role('REGRESS_IMPORTER', 'organization', '{apikeys.keys.manage,organization.read}', '{}', 'Imports keys.') \g /dev/null
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_import_admin', 'REGRESS_IMPORTER') \g /dev/null
SET ROLE regress_apikeys_import_admin;
SELECT apikeys.import_keys(:'org', 'regress_import');
BEGIN;
UPDATE regress_import SET roles = '{ORG_MEMBER}';
SELECT apikeys.import_keys(:'org', 'regress_import');
ROLLBACK;
-- The table is read with the caller's rights.
RESET ROLE;
REVOKE ALL ON regress_import FROM regress_apikeys_import_admin;
SET ROLE regress_apikeys_import_admin;
SELECT apikeys.import_keys(:'org', 'regress_import');

-- A key that acts imports into its own organization, in its own name.
RESET ROLE;
SELECT apikeys.import_key(:'org', 'regress.acting', ('sha256$$' || encode(sha256('acting'), 'hex'))::apikeys.secret_hash, 'Imports', '{ORG_OWNER}', '{10.0.0.0/8}', '2999-06-01 00:00:00+00') \g /dev/null
UPDATE regress_import SET access_list = '{10.0.0.0/8}', expires_at = '2999-01-01 00:00:00+00';
SET ROLE regress_apikeys_import_owner;
BEGIN;
SELECT apikeys.authenticate('regress.acting', 'acting', '10.0.0.1');
SAVEPOINT a;
SELECT apikeys.import_keys(:'org', 'regress_import');
SELECT DISTINCT created_by FROM apikeys.key WHERE public_key ~ '^regress\.[123]$';
ROLLBACK TO a;
SELECT apikeys.import_keys(:'other', 'regress_import');
ROLLBACK;
RESET ROLE;

-- -------------------------------------------------------------- more than a few
TRUNCATE regress_import;
INSERT INTO regress_import SELECT n, 'regress.many.' || n, 'sha256$$' || repeat('0', 64), 'One of many', '{ORG_MEMBER}' FROM generate_series(1, 3000) AS n;
SELECT apikeys.import_keys(:'org', 'regress_import');
SELECT count(*), count(*) FILTER (WHERE i::text IS DISTINCT FROM s::text) AS different
	FROM apikeys.key_image AS i FULL JOIN apikeys.key_image_source AS s USING (public_key)
	WHERE public_key LIKE 'regress.many%';
SELECT action, count(*) FROM apikeys.audit_event WHERE public_key LIKE 'regress.many%' GROUP BY action ORDER BY action;
-- Images match the tables, in whatever form roles are written.
BEGIN;
TRUNCATE regress_import;
INSERT INTO regress_import
	SELECT n, 'regress.form.' || n, 'sha256$$' || repeat('0', 64), 'A form', roles::text[], access_list, expires_at
	FROM (VALUES
		(1, '{}', NULL, 'infinity'::timestamptz),
		(2, NULL, '{}', NULL),
		(3, '{ORG_READ_ONLY,ORG_MEMBER,ORG_OWNER}', '{2001:db8::/32,10.0.0.0/8}', '2999-01-01 00:00:00+00'),
		(4, '[0:0]={ORG_MEMBER}', NULL, NULL),
		(5, '{{ORG_MEMBER}}', NULL, NULL),
		(6, '{{ORG_READ_ONLY},{ORG_MEMBER}}', NULL, NULL)) AS form (n, roles, access_list, expires_at);
SELECT apikeys.import_keys(:'org', 'regress_import');
SELECT i.public_key, i.organization_roles, i.expires_at, i::text IS NOT DISTINCT FROM s::text AS same
	FROM apikeys.key_image AS i JOIN apikeys.key_image_source AS s USING (public_key)
	WHERE public_key LIKE 'regress.form%' ORDER BY public_key;
ROLLBACK;
-- Of several faults of a row the first is reported, and of several rows the first.
BEGIN;
TRUNCATE regress_import;
INSERT INTO regress_import VALUES
	(1, 'regress.1', 'sha256$$' || repeat('0', 64), 'a key', '{ORG_MEMBER}'),
	(2, 'regress.2', 'sha256$$' || repeat('0', 64), 'a key', '{GROUP_OWNER,GROUP_OWNER,sesame}'),
	(3, 'regress.1', 'sesame', 'a key', '{}');
SAVEPOINT a;
SELECT apikeys.import_keys(:'org', 'regress_import');
ROLLBACK TO a;
DELETE FROM regress_import WHERE number = 2;
SELECT apikeys.import_keys(:'org', 'regress_import');
ROLLBACK;
-- Triggers of users are fired, and images contain their changes.
BEGIN;
TRUNCATE regress_import;
INSERT INTO regress_import VALUES (1, 'regress.triggered', 'sha256$$' || repeat('0', 64), 'a key', '{ORG_MEMBER}');
CREATE FUNCTION public.regress_import_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.expires_at := coalesce(NEW.expires_at, '2999-01-01 00:00:00+00');
	RETURN NEW;
END;
$$;
CREATE FUNCTION public.regress_import_grants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (NEW.public_key, NEW.organization_id, 'ORG_READ_ONLY');
	RETURN NULL;
END;
$$;
CREATE TRIGGER regress_import_ends BEFORE INSERT ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION public.regress_import_ends();
CREATE TRIGGER regress_import_grants AFTER INSERT ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION public.regress_import_grants();
SELECT apikeys.import_keys(:'org', 'regress_import');
SELECT i.expires_at, i.organization_roles, i::text IS NOT DISTINCT FROM s::text AS same
	FROM apikeys.key_image AS i JOIN apikeys.key_image_source AS s USING (public_key)
	WHERE public_key = 'regress.triggered';
SELECT apikeys.import_key(:'org', 'regress.triggered', ('sha256$$' || repeat('0', 64))::apikeys.secret_hash, 'a key', '{}');
ROLLBACK;
INSERT INTO regress_import VALUES (3001, 'regress one more');
DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key;
SELECT apikeys.import_keys(:'org', 'regress_import');
SELECT count(*) FROM apikeys.key WHERE organization_id = :'org';

DROP TABLE regress_import;
SELECT apikeys.delete_key('regress.taken') \g /dev/null
DELETE FROM apikeys.key WHERE organization_id IN (:'org', :'other');
DELETE FROM apikeys.deleted_key;
SELECT apikeys.delete_organization(:'org'), apikeys.delete_organization(:'other') \g /dev/null
SELECT apikeys.drop_role('REGRESS_IMPORTER') \g /dev/null
DELETE FROM apikeys.audit_event WHERE id > :before;
DROP OWNED BY regress_apikeys_import_owner, regress_apikeys_import_admin;
DROP ROLE regress_apikeys_import_owner, regress_apikeys_import_admin;
