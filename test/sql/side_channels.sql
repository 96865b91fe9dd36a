-- What the members of one organization learn of another: nothing by errors except
-- that a name is taken; no row by a function of their own; no count by
-- statistics.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse

CREATE ROLE regress_apikeys_owner;
SELECT apikeys.grant_access('regress_apikeys_owner', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_admin;
SELECT apikeys.grant_access('regress_apikeys_admin', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_stranger;
SELECT apikeys.grant_access('regress_apikeys_stranger', 'manage') \g /dev/null
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
	('create_project', $$SELECT apikeys.create_project(%1$L, 'new')$$),
	('create_key', $$SELECT apikeys.create_key(%1$L, 'New', '{ORG_MEMBER}')$$),
	('import_key', $body$SELECT apikeys.import_key(%1$L, 'regress_side_new', 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'New', '{}')$body$),
	('add_member', $$SELECT apikeys.add_member(%1$L, 'user:new', 'ORG_MEMBER')$$),
	('remove_member', $$SELECT apikeys.remove_member(%1$L, 'user:other', 'ORG_OWNER')$$),
	('rename_organization', $$SELECT apikeys.rename_organization(%1$L, 'new')$$),
	('set_organization_policy', $$SELECT apikeys.set_organization_policy(%1$L, true, NULL, NULL)$$),
	('set_organization_rate_limit', $$SELECT apikeys.set_organization_rate_limit(%1$L, 1, '1 s')$$),
	('set_organization_quota', $$SELECT apikeys.set_organization_quota(%1$L, 1, 'day')$$),
	('delete_organization', $$SELECT apikeys.delete_organization(%1$L)$$),
	('find_keys', $$SELECT apikeys.find_keys(organization => %1$L)$$)) AS v (what, statement);
-- A project.
INSERT INTO attempt (what, statement, existing, missing)
SELECT what, format(replace(statement, '%1$L', '%%1$L'), :'own', :'own'), '51de0000-0000-4000-8000-0000000000bb', '51de0000-0000-4000-8000-0000000000ff'
FROM (VALUES
	('organization_of', $$SELECT apikeys.organization_of(%1$L)$$),
	('create_project_key', $$SELECT apikeys.create_project_key(%1$L, 'New', '{GROUP_READ_ONLY}')$$),
	('set_project_roles', $$SELECT apikeys.set_project_roles('regress_side_own', %1$L, '{GROUP_READ_ONLY}')$$),
	('remove_from_project', $$SELECT apikeys.remove_from_project('regress_side_own', %1$L)$$),
	('add_member to project', $$SELECT apikeys.add_member(%2$L, 'user:new', 'GROUP_READ_ONLY', %1$L)$$),
	('remove_member from project', $$SELECT apikeys.remove_member(%2$L, 'user:new', 'GROUP_READ_ONLY', %1$L)$$),
	('rename_project', $$SELECT apikeys.rename_project(%1$L, 'new')$$),
	('delete_project', $$SELECT apikeys.delete_project(%1$L)$$),
	('explain_authorize', $$SELECT string_agg(e::text, ';') FROM apikeys.explain_authorize('regress_side_own', NULL, 'a.read', %1$L) AS e$$),
	('find_keys in project', $$SELECT apikeys.find_keys(project => %1$L)$$)) AS v (what, statement);
-- A key.
INSERT INTO attempt (what, statement, existing, missing)
SELECT what, format(replace(statement, '%1$L', '%%1$L'), :'own', :'own', :'own_project', :'hash'), 'regress_side_other', 'regress_side_none'
FROM (VALUES
	('update_key', $$SELECT apikeys.update_key(%1$L, 'New')$$),
	('set_organization_roles', $$SELECT apikeys.set_organization_roles(%1$L, '{ORG_MEMBER}')$$),
	('set_project_roles', $$SELECT apikeys.set_project_roles(%1$L, %3$L, '{GROUP_READ_ONLY}')$$),
	('remove_from_project', $$SELECT apikeys.remove_from_project(%1$L, %3$L)$$),
	('add_to_access_list', $$SELECT apikeys.add_to_access_list(%1$L, '192.0.2.1')$$),
	('remove_from_access_list', $$SELECT apikeys.remove_from_access_list(%1$L, '192.0.2.1')$$),
	('rotate_secret', $$SELECT apikeys.rotate_secret(%1$L)$$),
	('revoke_secret', $$SELECT apikeys.revoke_secret(%1$L, 1)$$),
	('disable_key', $$SELECT apikeys.disable_key(%1$L)$$),
	('set_rate_limit', $$SELECT apikeys.set_rate_limit(%1$L, 1, '1 s')$$),
	('set_quota', $$SELECT apikeys.set_quota(%1$L, 1, 'day')$$),
	('add_credits', $$SELECT apikeys.add_credits(%1$L, 1)$$),
	('reset_limits', $$SELECT apikeys.reset_limits(%1$L)$$),
	('enable_key', $$SELECT apikeys.enable_key(%1$L)$$),
	('delete_key', $$SELECT apikeys.delete_key(%1$L)$$),
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
SELECT count(*) > 20 AS found FROM attempt WHERE pg_temp.told(statement, existing) <> pg_temp.told(statement, missing);

-- What is unique in the database shows that it is taken, to principals that may create
-- such things: names of organizations, and public keys.
GRANT EXECUTE ON FUNCTION apikeys.create_organization TO regress_apikeys_owner;
SET ROLE regress_apikeys_owner;
SELECT what, pg_temp.told(statement, '') FROM (VALUES
	('organization', $$SELECT apikeys.create_organization('regress_side_other')$$),
	('project', $$SELECT 'created' FROM apikeys.create_project('51de0000-0000-4000-8000-00000000000a', 'other')$$),
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
-- One that fails on a visible row shows no more.
SELECT count(*) FROM apikeys.key WHERE 1 / (CASE WHEN public_key = 'regress_side_other' THEN 0 ELSE 1 END) = 1;
SELECT count(*) FROM apikeys.keys WHERE description::integer = 1;
-- Nor can anybody but a superuser say that a function does not leak.
ALTER FUNCTION regress_leak.shown(text) LEAKPROOF;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA regress_leak CASCADE;
RESET client_min_messages;
-- The one operator that claims not to leak raises no error that depends on what it is
-- shown, however little of the stack is left: how often two values that are shown
-- give two answers, of which one is that the stack ends.
CREATE FUNCTION pg_temp.contains_of_metadata(value jsonb, part jsonb) RETURNS boolean LANGUAGE plpgsql AS
	'BEGIN RETURN value OPERATOR(apikeys.@>) part IS NOT NULL; END';
CREATE FUNCTION pg_temp.contains_of_postgresql(value jsonb, part jsonb) RETURNS boolean LANGUAGE plpgsql AS
	'BEGIN RETURN value OPERATOR(pg_catalog.@>) part IS NOT NULL; END';
CREATE FUNCTION pg_temp.asked_deep_down(which text, levels integer, value jsonb, part jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF levels > 0 THEN
		RETURN pg_temp.asked_deep_down(which, levels - 1, value, part);
	ELSIF which = 'metadata' THEN
		RETURN pg_temp.contains_of_metadata(value, part);
	END IF;
	RETURN pg_temp.contains_of_postgresql(value, part);
END $$;
CREATE FUNCTION pg_temp.answer(which text, value jsonb, part jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN pg_temp.asked_deep_down(which, 60, value, part);
EXCEPTION WHEN statement_too_complex THEN
	RETURN NULL;
END $$;
CREATE FUNCTION pg_temp.differences(which text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	deep constant jsonb := (repeat('{"a": ', 31) || '{}' || repeat('}', 31))::jsonb;
	answer boolean := pg_temp.answer(which, deep, deep);
	found integer := 0;
BEGIN
	FOR kilobytes IN 100 .. 2000 LOOP
		PERFORM set_config('max_stack_depth', kilobytes || 'kB', true);
		answer := pg_temp.answer(which, deep, deep);
		found := found + (pg_temp.answer(which, '{"b": 1}', deep) IS DISTINCT FROM answer)::integer;
		EXIT WHEN answer;
	END LOOP;
	PERFORM set_config('max_stack_depth', '2MB', true);
	RETURN found;
END $$;
SELECT pg_temp.differences('metadata') AS metadata, pg_temp.differences('postgresql') > 0 AS postgresql;
-- It never looks deeper than metadata can be.
SELECT levels, deep OPERATOR(apikeys.@>) deep AS is_contained, jsonb_build_array(deep) OPERATOR(apikeys.@>) '[{}]' AS contains
FROM (VALUES (31), (32), (33), (6000)) AS v (levels), LATERAL (SELECT (repeat('{"a": ', levels - 1) || '{}' || repeat('}', levels - 1))::jsonb AS deep) AS d;
-- A view needs no barrier where it reads as the reader does: row-level security of
-- its tables comes before any condition.  One that reads as the owner needs it, and
-- one that joins such a view.
SELECT relname AS view_without_barrier FROM pg_class
WHERE relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) AND relkind = 'v'
	AND NOT coalesce(reloptions && ARRAY['security_barrier=true'], false)
	AND (NOT coalesce(reloptions && ARRAY['security_invoker=true'], false)
		OR pg_get_viewdef(oid) ~ 'apikeys_internal\.key_secret_form');

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

DELETE FROM apikeys.key WHERE public_key ~ '^regress_side';
DELETE FROM apikeys.deleted_key;
DELETE FROM apikeys.organization WHERE name ~ '^regress_side';
REVOKE EXECUTE ON FUNCTION apikeys.create_organization FROM regress_apikeys_owner;
DROP OWNED BY regress_apikeys_owner, regress_apikeys_admin, regress_apikeys_stranger;
DROP ROLE regress_apikeys_owner, regress_apikeys_admin, regress_apikeys_stranger;
