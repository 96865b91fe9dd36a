-- What one organization's people learn of another's: nothing by errors, but
-- that a name is taken; no row by a function of their own; no count by
-- statistics.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse

CREATE ROLE regress_apikeys_owner;
CREATE ROLE regress_apikeys_admin;
CREATE ROLE regress_apikeys_stranger;
INSERT INTO apikeys.organization (id, name, max_key_lifetime) VALUES
	('51de0000-0000-4000-8000-00000000000a', 'regress_side_own', NULL),
	('51de0000-0000-4000-8000-00000000000b', 'regress_side_other', '30 days');
INSERT INTO apikeys.project (id, organization_id, name) VALUES
	('51de0000-0000-4000-8000-0000000000aa', '51de0000-0000-4000-8000-00000000000a', 'own'),
	('51de0000-0000-4000-8000-0000000000bb', '51de0000-0000-4000-8000-00000000000b', 'other');
INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES
	('51de0000-0000-4000-8000-00000000000a', NULL, 'role:regress_apikeys_owner', 'ORG_OWNER'),
	('51de0000-0000-4000-8000-00000000000a', '51de0000-0000-4000-8000-0000000000aa', 'role:regress_apikeys_admin', 'GROUP_USER_ADMIN'),
	('51de0000-0000-4000-8000-00000000000b', NULL, 'user:other', 'ORG_OWNER');
INSERT INTO apikeys.key (public_key, organization_id, description, expires_at) VALUES
	('regress_side_own', '51de0000-0000-4000-8000-00000000000a', 'Own', NULL),
	('regress_side_other', '51de0000-0000-4000-8000-00000000000b', 'Theirs alone', now() + '1 day'),
	('regress_side_gone', '51de0000-0000-4000-8000-00000000000b', 'Gone', now() + '1 day');
DELETE FROM apikeys.key WHERE public_key = 'regress_side_gone';
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES
	('regress_side_own', '51de0000-0000-4000-8000-00000000000a', '51de0000-0000-4000-8000-0000000000aa', 'GROUP_READ_ONLY'),
	('regress_side_other', '51de0000-0000-4000-8000-00000000000b', NULL, 'ORG_MEMBER'),
	('regress_side_other', '51de0000-0000-4000-8000-00000000000b', '51de0000-0000-4000-8000-0000000000bb', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
SELECT public_key, 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, 'cret'
FROM apikeys.key WHERE public_key ~ '^regress_side';

-- --------------------------------------------------------------------- errors

-- Statements about something of the other organization, which %1$s stands for,
-- and what is put there: a thing that exists, and one that does not.
CREATE TEMPORARY TABLE attempt (
	position integer GENERATED ALWAYS AS IDENTITY, what text, statement text, existing text, missing text);
GRANT SELECT ON attempt TO PUBLIC;
\set own 51de0000-0000-4000-8000-00000000000a
\set own_project 51de0000-0000-4000-8000-0000000000aa
\set hash 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
-- An organization.
INSERT INTO attempt (what, statement, existing, missing)
SELECT what, statement, '51de0000-0000-4000-8000-00000000000b', '51de0000-0000-4000-8000-0000000000ff'
FROM (VALUES
	('insert project', $$INSERT INTO apikeys.project (organization_id, name) VALUES (%1$L, 'new')$$),
	('insert project of a taken name', $$INSERT INTO apikeys.project (organization_id, name) VALUES (%1$L, 'other')$$),
	('insert project, on conflict', $$INSERT INTO apikeys.project (organization_id, name) VALUES (%1$L, 'other') ON CONFLICT DO NOTHING$$),
	('insert member', $$INSERT INTO apikeys.member (organization_id, principal, role) VALUES (%1$L, 'user:new', 'ORG_MEMBER')$$),
	('insert member who is there', $$INSERT INTO apikeys.member (organization_id, principal, role) VALUES (%1$L, 'user:other', 'ORG_OWNER')$$),
	('insert member, on conflict', $$INSERT INTO apikeys.member (organization_id, principal, role) VALUES (%1$L, 'user:other', 'ORG_OWNER') ON CONFLICT DO NOTHING$$),
	('insert key', $$INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_side_new', %1$L, 'New')$$),
	('insert key that expires', $$INSERT INTO apikeys.key (public_key, organization_id, description, expires_at) VALUES ('regress_side_new', %1$L, 'New', now() + '2 days')$$),
	('insert key of a taken name', $$INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_side_other', %1$L, 'New')$$),
	('insert role of their key', $$INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress_side_other', %1$L, 'ORG_MEMBER')$$),
	('insert role of own key', $$INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress_side_own', %1$L, 'ORG_MEMBER')$$),
	('update organization', $$UPDATE apikeys.organization SET name = 'new' WHERE id = %1$L$$),
	('delete organization', $$DELETE FROM apikeys.organization WHERE id = %1$L$$),
	('create_project', $$SELECT apikeys.create_project(%1$L, 'new')$$),
	('create_key', $$SELECT apikeys.create_key(%1$L, 'New', '{ORG_MEMBER}')$$),
	('import_key', $body$SELECT apikeys.import_key(%1$L, 'regress_side_new', 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'New', '{}')$body$),
	('add_member', $$SELECT apikeys.add_member(%1$L, 'user:new', 'ORG_MEMBER')$$),
	('remove_member', $$SELECT apikeys.remove_member(%1$L, 'user:other', 'ORG_OWNER')$$),
	('set_organization_policy', $$SELECT apikeys.set_organization_policy(%1$L, true, NULL, NULL)$$),
	('delete_organization', $$SELECT apikeys.delete_organization(%1$L)$$),
	('principal_may', $$SELECT apikeys.principal_may('organization.read', %1$L)$$),
	('principal_may_grant', $$SELECT apikeys.principal_may_grant('ORG_MEMBER', %1$L)$$),
	('principal_founds', $$SELECT apikeys.principal_founds(%1$L)$$),
	('find_keys', $$SELECT apikeys.find_keys(organization => %1$L)$$)) AS v (what, statement);
-- A project.
INSERT INTO attempt (what, statement, existing, missing)
SELECT what, format(replace(statement, '%1$L', '%%1$L'), :'own', :'own'), '51de0000-0000-4000-8000-0000000000bb', '51de0000-0000-4000-8000-0000000000ff'
FROM (VALUES
	('insert member in project', $$INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES (%2$L, %1$L, 'user:new', 'GROUP_OWNER')$$),
	('insert role in project', $$INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress_side_own', %2$L, %1$L, 'GROUP_READ_ONLY')$$),
	('insert role of their key in project', $$INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress_side_other', %2$L, %1$L, 'GROUP_READ_ONLY')$$),
	('update project', $$UPDATE apikeys.project SET name = 'new' WHERE id = %1$L$$),
	('delete project', $$DELETE FROM apikeys.project WHERE id = %1$L$$),
	('organization_of', $$SELECT apikeys.organization_of(%1$L)$$),
	('create_project_key', $$SELECT apikeys.create_project_key(%1$L, 'New', '{GROUP_READ_ONLY}')$$),
	('set_project_roles', $$SELECT apikeys.set_project_roles('regress_side_own', %1$L, '{GROUP_READ_ONLY}')$$),
	('replace_roles in project', $$SELECT apikeys.replace_roles('regress_side_own', %2$L, %1$L, '{GROUP_READ_ONLY}')$$),
	('remove_from_project', $$SELECT apikeys.remove_from_project('regress_side_own', %1$L)$$),
	('add_member to project', $$SELECT apikeys.add_member(%2$L, 'user:new', 'GROUP_READ_ONLY', %1$L)$$),
	('remove_member from project', $$SELECT apikeys.remove_member(%2$L, 'user:new', 'GROUP_READ_ONLY', %1$L)$$),
	('delete_project', $$SELECT apikeys.delete_project(%1$L)$$),
	('principal_may in project', $$SELECT apikeys.principal_may('a.read', %2$L, %1$L)$$),
	('principal_founds project', $$SELECT apikeys.principal_founds(%2$L, %1$L)$$),
	('explain_authorize', $$SELECT string_agg(e::text, ';') FROM apikeys.explain_authorize('regress_side_own', NULL, 'a.read', %1$L) AS e$$),
	('find_keys in project', $$SELECT apikeys.find_keys(project => %1$L)$$)) AS v (what, statement);
-- A key.
INSERT INTO attempt (what, statement, existing, missing)
SELECT what, format(replace(statement, '%1$L', '%%1$L'), :'own', :'own', :'own_project', :'hash'), 'regress_side_other', 'regress_side_none'
FROM (VALUES
	('insert role that it has', $$INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (%1$L, %2$L, 'ORG_MEMBER')$$),
	('insert role that it has, on conflict', $$INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (%1$L, %2$L, 'ORG_MEMBER') ON CONFLICT DO NOTHING$$),
	('insert role that it has not', $$INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (%1$L, %2$L, 'ORG_READ_ONLY')$$),
	('insert role in own project', $$INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES (%1$L, %2$L, %3$L, 'GROUP_READ_ONLY')$$),
	('insert secret that it has', $$INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES (%1$L, 1, %4$L, '')$$),
	('insert secret', $$INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES (%1$L, 2, %4$L, '')$$),
	('insert secret, on conflict', $$INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES (%1$L, 1, %4$L, '') ON CONFLICT DO NOTHING$$),
	('update key', $$UPDATE apikeys.key SET description = 'New' WHERE public_key = %1$L$$),
	('delete key', $$DELETE FROM apikeys.key WHERE public_key = %1$L$$),
	('delete role', $$DELETE FROM apikeys.key_role WHERE public_key = %1$L$$),
	('update secret', $$UPDATE apikeys.key_secret SET expires_at = now() WHERE public_key = %1$L$$),
	('select for update', $$SELECT 1 FROM apikeys.key WHERE public_key = %1$L FOR UPDATE NOWAIT$$),
	('update_key', $$SELECT apikeys.update_key(%1$L, 'New')$$),
	('set_organization_roles', $$SELECT apikeys.set_organization_roles(%1$L, '{ORG_MEMBER}')$$),
	('set_project_roles', $$SELECT apikeys.set_project_roles(%1$L, %3$L, '{GROUP_READ_ONLY}')$$),
	('replace_roles', $$SELECT apikeys.replace_roles(%1$L, %2$L, NULL, '{ORG_MEMBER}')$$),
	('remove_from_project', $$SELECT apikeys.remove_from_project(%1$L, %3$L)$$),
	('add_to_access_list', $$SELECT apikeys.add_to_access_list(%1$L, '192.0.2.1')$$),
	('remove_from_access_list', $$SELECT apikeys.remove_from_access_list(%1$L, '192.0.2.1')$$),
	('rotate_secret', $$SELECT apikeys.rotate_secret(%1$L)$$),
	('issue_secret', $$SELECT apikeys.issue_secret(%1$L)$$),
	('end_secret', $$SELECT apikeys.end_secret(%1$L, 1)$$),
	('disable_key', $$SELECT apikeys.disable_key(%1$L)$$),
	('enable_key', $$SELECT apikeys.enable_key(%1$L)$$),
	('delete_key', $$SELECT apikeys.delete_key(%1$L)$$),
	('refuse_key', $$SELECT apikeys.refuse_key(%1$L)$$),
	('principal_manages_key', $$SELECT apikeys.principal_manages_key(%1$L)$$),
	('principal_may_issue', $$SELECT apikeys.principal_may_issue(%1$L)$$),
	('pending_usage', $$SELECT count(*) FROM apikeys.pending_usage(%1$L)$$),
	('explain_authorize', $$SELECT count(*) FROM apikeys.explain_authorize(%1$L, NULL, 'a.read')$$)) AS v (what, statement);

-- What a statement tells: all parts of its error, or its answer and how many
-- rows it has touched; without what was given.
CREATE FUNCTION pg_temp.told(statement text, given text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	row_count bigint;
	message text;
	detail text;
	hint text;
BEGIN
	BEGIN
		IF statement ~ '^SELECT' THEN
			EXECUTE format(statement, given) INTO answer;
		ELSE
			EXECUTE format(statement, given);
		END IF;
		GET DIAGNOSTICS row_count = ROW_COUNT;
		RAISE SQLSTATE 'ZZZZZ';
	EXCEPTION
		WHEN SQLSTATE 'ZZZZZ' THEN
			message := format('%s row(s): %s', row_count, answer);
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
				hint = PG_EXCEPTION_HINT;
			message := concat_ws(' | ', SQLSTATE, message, nullif(detail, ''), nullif(hint, ''));
	END;
	RETURN replace(message, given, '<given>');
END $$;

\pset format unaligned
\pset tuples_only on
SET ROLE regress_apikeys_owner;
SELECT what, told FROM attempt, pg_temp.told(statement, existing) AS told ORDER BY position;
\echo These tell what exists and what does not:
SELECT what, statement FROM attempt WHERE pg_temp.told(statement, existing) <> pg_temp.told(statement, missing) ORDER BY position;
SET ROLE regress_apikeys_admin;
SELECT what, statement FROM attempt WHERE pg_temp.told(statement, existing) <> pg_temp.told(statement, missing) ORDER BY position;
SET ROLE regress_apikeys_stranger;
SELECT what, statement FROM attempt WHERE pg_temp.told(statement, existing) <> pg_temp.told(statement, missing) ORDER BY position;
RESET ROLE;
-- The comparison would find one.
SELECT count(*) > 30 AS found FROM attempt WHERE pg_temp.told(statement, existing) <> pg_temp.told(statement, missing);

-- What is unique in the database tells that it is taken, to who may make such
-- things: names of organizations, public keys, and ids that somebody chooses.
GRANT EXECUTE ON FUNCTION apikeys.create_organization TO regress_apikeys_owner;
SET ROLE regress_apikeys_owner;
SELECT what, pg_temp.told(statement, '') FROM (VALUES
	('organization', $$SELECT apikeys.create_organization('regress_side_other')$$),
	('organization renamed', $$UPDATE apikeys.organization SET name = 'regress_side_other' WHERE name = 'regress_side_own'$$),
	('organization with an id', $$INSERT INTO apikeys.organization (id, name) VALUES ('51de0000-0000-4000-8000-00000000000b', 'new')$$),
	('project with an id', $$INSERT INTO apikeys.project (id, organization_id, name) VALUES ('51de0000-0000-4000-8000-0000000000bb', '51de0000-0000-4000-8000-00000000000a', 'new')$$),
	('project', $$SELECT 'created' FROM apikeys.create_project('51de0000-0000-4000-8000-00000000000a', 'other')$$),
	('key', $$INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_side_other', '51de0000-0000-4000-8000-00000000000a', 'New')$$),
	('key of a deleted one', $$INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_side_gone', '51de0000-0000-4000-8000-00000000000a', 'New')$$),
	('key overwritten', $$INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_side_other', '51de0000-0000-4000-8000-00000000000a', 'New') ON CONFLICT (public_key) DO UPDATE SET description = 'Mine'$$),
	('key imported', $body$SELECT apikeys.import_key('51de0000-0000-4000-8000-00000000000a', 'regress_side_other', 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'New', '{}')$body$),
	('deleted key imported', $body$SELECT apikeys.import_key('51de0000-0000-4000-8000-00000000000a', 'regress_side_gone', 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'New', '{}')$body$))
	AS v (what, statement);
RESET ROLE;

-- ------------------------------------------------------ functions of their own

-- A function that notes what it has been shown, however cheap it claims to be.
CREATE SCHEMA regress_leak;
GRANT USAGE, CREATE ON SCHEMA regress_leak TO regress_apikeys_owner;
SET ROLE regress_apikeys_owner;
CREATE FUNCTION regress_leak.shown(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	PERFORM set_config('regress.shown', concat_ws('|', current_setting('regress.shown', true), coalesce(value, 'NULL')), false);
	RETURN true;
END $$;
SELECT count(*) FROM apikeys.organization WHERE regress_leak.shown(name);
SELECT count(*) FROM apikeys.project WHERE regress_leak.shown(name);
SELECT count(*) FROM apikeys.member WHERE regress_leak.shown(principal);
SELECT count(*) FROM apikeys.key WHERE regress_leak.shown(description);
SELECT count(*) FROM apikeys.key_role WHERE regress_leak.shown(public_key);
SELECT count(*) FROM apikeys.key_secret WHERE regress_leak.shown(public_key);
SELECT count(*) FROM apikeys.key_usage WHERE regress_leak.shown(public_key);
SELECT count(*) FROM apikeys.key_denial WHERE regress_leak.shown(public_key);
SELECT count(*) FROM apikeys.audit_event WHERE regress_leak.shown(public_key);
SELECT count(*) FROM apikeys.keys WHERE regress_leak.shown(description);
SELECT count(*) FROM apikeys.access_list_entries WHERE regress_leak.shown(public_key);
SELECT count(*) FROM apikeys.usage WHERE regress_leak.shown(public_key);
SELECT count(*) FROM apikeys.key_secret WHERE regress_leak.shown(key_secret::text);
SELECT count(*) FROM apikeys.key_secret WHERE regress_leak.shown(hash::text);
SELECT value AS shown FROM unnest(string_to_array(current_setting('regress.shown'), '|')) AS v (value) GROUP BY value ORDER BY value COLLATE "C";
-- One that fails on what it is shown tells no more.
SELECT count(*) FROM apikeys.key WHERE 1 / (CASE WHEN public_key = 'regress_side_other' THEN 0 ELSE 1 END) = 1;
SELECT count(*) FROM apikeys.keys WHERE description::integer = 1;
-- Nor can anybody but a superuser say that a function does not leak.
ALTER FUNCTION regress_leak.shown(text) LEAKPROOF;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA regress_leak CASCADE;
RESET client_min_messages;
SELECT relname AS view_without_barrier FROM pg_class
WHERE relnamespace = 'apikeys'::regnamespace AND relkind = 'v'
	AND NOT coalesce(reloptions && ARRAY['security_barrier=true'], false)
	AND has_table_privilege('public', oid, 'SELECT');

-- ------------------------------------------------------------------ statistics

ANALYZE apikeys.organization, apikeys.project, apikeys.member, apikeys.key, apikeys.key_role, apikeys.key_secret;
SELECT count(*) > 0 AS there FROM pg_stats WHERE schemaname = 'apikeys' AND tablename = 'key';
SET ROLE regress_apikeys_owner;
SELECT count(*) AS statistics FROM pg_stats WHERE schemaname = 'apikeys' AND tablename <> 'role';
SELECT count(*) FROM pg_statistic;
SELECT last_value FROM apikeys.audit_event_id_seq;
SELECT nextval('apikeys.audit_event_id_seq');
SELECT last_value IS NULL AS hidden FROM pg_sequences WHERE schemaname = 'apikeys';
SELECT count(*) FROM apikeys.key_image;
SELECT count(*) FROM apikeys.key_image_source;
SELECT count(*) FROM apikeys.deleted_key;
SELECT count(*) FROM apikeys.usage_flush;
RESET ROLE;

-- ------------------------------------------------------------------- unquoted

-- Nobody's error quotes a hash, a superuser's neither.
\set VERBOSITY default
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_side_own', 0, :'hash', '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_side_own', 2, :'hash', 'abcde');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_side_own', 2, :'hash', 'äöüß'), ('regress_side_own', 3, :'hash', NULL);
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES (NULL, 2, :'hash', '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_side_own', NULL, :'hash', '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint, created_at) VALUES ('regress_side_own', 2, :'hash', '', NULL);
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_side_own', 2, NULL, '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_side_own', 1, :'hash', '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_side_none', 1, :'hash', '');
UPDATE apikeys.key_secret SET version = -1 WHERE public_key = 'regress_side_own';
UPDATE apikeys.key_secret SET hint = NULL WHERE public_key = 'regress_side_own';
UPDATE apikeys.key_image SET expires_at = NULL WHERE public_key = 'regress_side_own';
SET session_replication_role = replica;
UPDATE apikeys.key_secret SET version = 0 WHERE public_key = 'regress_side_own';
RESET session_replication_role;
-- What the trigger knows is what the constraints say.
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'c' AND conrelid IN ('apikeys.key_secret'::regclass, 'apikeys.key_image'::regclass) ORDER BY conname;
SELECT conrelid::regclass AS table_with_hashes, conname FROM pg_constraint
WHERE contype IN ('u', 'p', 'x', 'f') AND EXISTS (SELECT FROM pg_attribute AS a
	WHERE a.attrelid = conrelid AND a.attnum = ANY (conkey)
		AND a.atttypid IN ('apikeys.secret_hash'::regtype, 'apikeys.secret_hash[]'::regtype));

DELETE FROM apikeys.key WHERE public_key ~ '^regress_side';
DELETE FROM apikeys.deleted_key;
DELETE FROM apikeys.organization WHERE name ~ '^regress_side';
REVOKE EXECUTE ON FUNCTION apikeys.create_organization FROM regress_apikeys_owner;
DROP ROLE regress_apikeys_owner, regress_apikeys_admin, regress_apikeys_stranger;
