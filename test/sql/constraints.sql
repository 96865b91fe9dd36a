-- The rules that the tables themselves enforce for every writer: all of
-- this is a superuser's direct SQL.
SET client_min_messages = warning;
-- It counts all rows.
DROP EXTENSION IF EXISTS apikeys;
CREATE EXTENSION apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
\pset null NULL
\pset format unaligned
\pset tuples_only on

\set acme 0ac3e000-0000-4000-8000-000000000001
\set other 0ac3e000-0000-4000-8000-000000000002
\set alpha 0ac3e000-0000-4000-8000-00000000000a
\set gamma 0ac3e000-0000-4000-8000-00000000000c
INSERT INTO apikeys.organization (id, name) VALUES (:'acme', 'Acme'), (:'other', 'Other');
INSERT INTO apikeys.project (id, organization_id, name) VALUES (:'alpha', :'acme', 'Alpha'), (:'gamma', :'other', 'Gamma');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress-1', :'acme', 'Key'), ('regress-2', :'other', 'Key');

-- ---------------------------------------------------- names and descriptions

-- Which of some texts a column takes.
CREATE FUNCTION pg_temp.taken(statement text) RETURNS TABLE (what text, outcome text) LANGUAGE plpgsql AS $$
DECLARE
	value text;
BEGIN
	FOR what, value IN SELECT * FROM (VALUES
		('empty', ''), ('blank', ' '), ('blank before', ' x'), ('blank after', 'x '), ('tab after', E'x\t'),
		('newline within', E'x\ny'), ('control character', E'x\u0001y'),
		('251 characters', repeat('ü', 251)), ('NULL', NULL), ('250 characters', repeat('ü', 250)), ('one', 'x'),
		('blank within', 'x y'), ('quotes', '''"<&;--'), ('emoji', '🔑 Schlüssel'))
		AS v (what, value)
	LOOP
		BEGIN
			EXECUTE format(statement, value);
			RAISE SQLSTATE 'XX999';
		EXCEPTION
			WHEN SQLSTATE 'XX999' THEN outcome := 'taken';
			WHEN OTHERS THEN outcome := SQLSTATE || ': ' || SQLERRM;
		END;
		RETURN NEXT;
	END LOOP;
END;
$$;
SELECT * FROM pg_temp.taken('INSERT INTO apikeys.organization (name) VALUES (%L)');
SELECT * FROM pg_temp.taken(format('INSERT INTO apikeys.project (organization_id, name) VALUES (%L, %%L)', :'acme'));
SELECT * FROM pg_temp.taken(format('INSERT INTO apikeys.key (public_key, organization_id, description) VALUES (''regress-3'', %L, %%L)', :'acme'));
SELECT * FROM pg_temp.taken('UPDATE apikeys.key SET description = %L');
-- One name, one organization; one name, one project of it.
INSERT INTO apikeys.organization (name) VALUES ('Acme');
INSERT INTO apikeys.organization (name) VALUES ('acme');
INSERT INTO apikeys.project (organization_id, name) VALUES (:'acme', 'Alpha');
INSERT INTO apikeys.project (organization_id, name) VALUES (:'other', 'Alpha');
DELETE FROM apikeys.project WHERE organization_id = :'other' AND name = 'Alpha';
INSERT INTO apikeys.project (organization_id, name) VALUES (NULL, 'Alpha');
INSERT INTO apikeys.project (organization_id, name) VALUES ('0ac3e000-0000-4000-8000-0000000000ff', 'Alpha');
-- Limits of an organization.
UPDATE apikeys.organization SET max_key_lifetime = '0' WHERE id = :'acme';
UPDATE apikeys.organization SET max_key_lifetime = '-1 day' WHERE id = :'acme';
UPDATE apikeys.organization SET max_rotation_overlap = '-1 second' WHERE id = :'acme';
UPDATE apikeys.organization SET max_rotation_overlap = NULL WHERE id = :'acme';
UPDATE apikeys.organization SET require_access_list = NULL WHERE id = :'acme';
UPDATE apikeys.organization SET max_key_lifetime = '1 second', max_rotation_overlap = '0' WHERE id = :'acme';
UPDATE apikeys.organization SET max_key_lifetime = NULL, max_rotation_overlap = '7 days' WHERE id = :'acme';

-- ---------------------------------------------------------------------- roles

INSERT INTO apikeys.role (name, level) VALUES ('ORG_OWNER', 'organization');
INSERT INTO apikeys.role (name, level) VALUES ('', 'organization');
INSERT INTO apikeys.role (name, level) VALUES ('a b', 'organization');
INSERT INTO apikeys.role (name, level) VALUES ('-a', 'organization');
INSERT INTO apikeys.role (name, level) VALUES (repeat('a', 64), 'organization');
INSERT INTO apikeys.role (name, level) VALUES ('regress_role', 'cluster');
INSERT INTO apikeys.role (name, level) VALUES ('regress_role', NULL);
INSERT INTO apikeys.role (name, level, organization_permissions) VALUES ('regress_role', 'project', '{a}');
INSERT INTO apikeys.role (name, level, project_permissions) VALUES ('regress_role', 'project', '{"a b"}');
INSERT INTO apikeys.role (name, level, project_permissions) VALUES ('regress_role', 'project', '{""}');
INSERT INTO apikeys.role (name, level, project_permissions) VALUES ('regress_role', 'project', '{NULL}');
INSERT INTO apikeys.role (name, level, project_permissions) VALUES ('regress_role', 'project', '{{a,b}}');
INSERT INTO apikeys.role (name, level, project_permissions) VALUES ('regress_role', 'project', ARRAY[repeat('a', 257)]);
INSERT INTO apikeys.role (name, level, project_permissions) VALUES ('regress_role', 'project', NULL);
INSERT INTO apikeys.role (name, level, description) VALUES ('regress_role', 'project', ' ');
INSERT INTO apikeys.role (name, level, project_permissions) VALUES
	('regress_role', 'project', ARRAY['*', 'a', '*.*', 'a-b_c:d/e.*', repeat('a', 256)]), (repeat('a', 63), 'organization', '{}');
DELETE FROM apikeys.role WHERE name = repeat('a', 63);
-- The extension's own roles stay as they are, also for roles that create custom
-- ones; these are created and dropped, but not changed.
SELECT apikeys.drop_role('ORG_OWNER');
TRUNCATE apikeys.role;
CREATE ROLE regress_apikeys_creator;
SELECT apikeys.grant_access('regress_apikeys_creator', 'manage') \g /dev/null
GRANT EXECUTE ON FUNCTION apikeys.create_organization TO regress_apikeys_creator;
SET ROLE regress_apikeys_creator;
SELECT apikeys.drop_role('ORG_OWNER');
WITH dropped AS (DELETE FROM apikeys.role WHERE is_builtin RETURNING 1) SELECT count(*) FROM dropped;
UPDATE apikeys.role SET project_permissions = '{*}' WHERE name = 'GROUP_READ_ONLY';
UPDATE apikeys.role SET project_permissions = '{*}' WHERE name = 'regress_role';
INSERT INTO apikeys.role (name, level, is_builtin) VALUES ('regress_other', 'project', true);
SELECT apikeys.create_role('regress_other', 'project', '{}', '{a.*}', 'Another role');
SELECT apikeys.drop_role('regress_other');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION apikeys.create_organization FROM regress_apikeys_creator;
SET ROLE regress_apikeys_creator;
SELECT apikeys.create_role('regress_other', 'project', '{}', '{a.*}', 'Another role');
INSERT INTO apikeys.role (name, level) VALUES ('regress_other', 'project');
SELECT apikeys.drop_role('regress_role');
RESET ROLE;
DROP OWNED BY regress_apikeys_creator;
DROP ROLE regress_apikeys_creator;
SELECT count(*), count(*) FILTER (WHERE is_builtin) FROM apikeys.role;

-- -------------------------------------------------------------------- members

CREATE ROLE regress_apikeys_named;
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'role:regress_apikeys_nameless', 'ORG_MEMBER');

INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'role:regress_apikeys_named', 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES (:'acme', :'alpha', 'role:regress_apikeys_named', 'GROUP_READ_ONLY');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'role:regress_apikeys_named', 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES (:'acme', :'alpha', 'role:regress_apikeys_named', 'GROUP_READ_ONLY');
INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES (:'acme', :'gamma', 'role:regress_apikeys_named', 'GROUP_READ_ONLY');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'role:regress_apikeys_named', 'NO_SUCH_ROLE');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'regress', 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'role:', 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'user:', 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'group:regress', 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', E'user:a\nb', 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'user:' || repeat('x', 251), 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'user:' || repeat('x', 250), 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', NULL, 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (NULL, 'user:1', 'ORG_MEMBER');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'acme', 'user:1', NULL);

-- ----------------------------------------------------------------------- keys

INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress-1', :'acme', 'Key');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('', :'acme', 'Key');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('a b', :'acme', 'Key');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('ü', :'acme', 'Key');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES (repeat('x', 129), :'acme', 'Key');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES (NULL, :'acme', 'Key');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress-3', NULL, 'Key');
INSERT INTO apikeys.key (public_key, organization_id, description, access_list) VALUES ('regress-3', :'acme', 'Key', NULL);
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress-3', '0ac3e000-0000-4000-8000-0000000000ff', 'Key');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES (repeat('x', 128), :'acme', 'Key'), ('regress_.~+/=-', :'acme', 'Key');
-- The name of a deleted key is never used again.
DELETE FROM apikeys.key WHERE public_key = 'regress_.~+/=-' OR public_key LIKE 'x%';
SELECT apikeys.import_key(:'acme', 'regress_.~+/=-', 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'Key', '{ORG_MEMBER}');

-- ------------------------------------------------------------ roles of keys

INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress-1', :'acme', 'ORG_MEMBER');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress-1', :'acme', :'alpha', 'GROUP_READ_ONLY');
-- One row per key, project and role, also where there is no project.
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress-1', :'acme', 'ORG_MEMBER');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress-1', :'acme', :'alpha', 'GROUP_READ_ONLY');
-- The organization is the key's, and the project's.
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress-1', :'acme', :'gamma', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress-1', :'other', :'gamma', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress-2', :'acme', :'alpha', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress-1', :'other', 'ORG_MEMBER');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress-1', NULL, :'alpha', 'GROUP_READ_ONLY');
UPDATE apikeys.key_role SET project_id = :'gamma' WHERE public_key = 'regress-1' AND project_id = :'alpha';
UPDATE apikeys.key SET organization_id = :'other' WHERE public_key = 'regress-1';
UPDATE apikeys.key SET organization_id = organization_id WHERE public_key = 'regress-1';
\set VERBOSITY sqlstate
UPDATE apikeys.project SET organization_id = :'other' WHERE id = :'alpha';
\set VERBOSITY terse
-- The role exists, and verbs hold it to the level of the place.
SELECT FROM apikeys.set_organization_roles('regress-1', '{GROUP_READ_ONLY}');
SELECT FROM apikeys.set_project_roles('regress-1', :'alpha', '{ORG_MEMBER}');
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress-1', :'acme', 'NO_SUCH_ROLE');
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress-1', :'acme', NULL);
-- A role that is held is not dropped.
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress-1', :'acme', :'alpha', 'regress_role');
SELECT apikeys.drop_role('regress_role');
DELETE FROM apikeys.role WHERE name = 'regress_role';

-- -------------------------------------------------------------------- secrets

\set hash '''sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'''
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress-1', 1, :hash, '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress-1', 1, :hash, '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress-1', 0, :hash, '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress-1', 2, NULL, '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress-1', 2, :hash, NULL);
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress-1', 2, :hash, 'abcde');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress-3', 1, :hash, '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES (NULL, 1, :hash, '');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress-2', 1, :hash, '');
-- At most two of a key are live: a verb that issues another revokes the oldest.
SELECT apikeys.rotate_secret('regress-1', '1 day') \g /dev/null
SELECT apikeys.rotate_secret('regress-1', '1 day') \g /dev/null
SELECT version, expires_at IS NULL AS live FROM apikeys.key_secret WHERE public_key LIKE 'regress-%' ORDER BY public_key, version;

-- ---------------------------------------------------------------------- usage

INSERT INTO apikeys.key_usage (public_key, network, use_count, last_used_at) VALUES ('regress-1', NULL, 1, now());
INSERT INTO apikeys.key_usage (public_key, network, use_count, last_used_at) VALUES ('regress-1', NULL, 1, now());

-- ----------------------------------------------------------- cascades

CREATE TEMPORARY VIEW counts AS
SELECT (SELECT count(*) FROM apikeys.organization) AS organizations, (SELECT count(*) FROM apikeys.project) AS projects,
	(SELECT count(*) FROM apikeys.member) AS members, (SELECT count(*) FROM apikeys.key) AS keys,
	(SELECT count(*) FROM apikeys.key_role) AS roles, (SELECT count(*) FROM apikeys.key_secret) AS secrets,
	(SELECT count(*) FROM apikeys.key_usage) AS usage;
DELETE FROM apikeys.organization WHERE name = 'acme';
\pset tuples_only off
SELECT * FROM counts;
-- A project takes along the roles in it, its keys live on.
DELETE FROM apikeys.project WHERE id = :'alpha';
SELECT * FROM counts;
SELECT role FROM apikeys.key_role WHERE public_key = 'regress-1';
-- An organization with keys stays.
DELETE FROM apikeys.organization WHERE id = :'acme';
SELECT apikeys.delete_organization(:'acme');
SELECT * FROM counts;
-- A key takes along its roles, secrets and usage.
DELETE FROM apikeys.key WHERE public_key = 'regress-1';
SELECT apikeys.flush_usage() \g /dev/null
SELECT * FROM counts;
-- An organization without keys takes along its projects and members.
SELECT apikeys.delete_organization(:'acme');
SELECT * FROM counts;
DELETE FROM apikeys.key WHERE public_key = 'regress-2';
SELECT apikeys.delete_organization(:'other');
SELECT * FROM counts;
\set VERBOSITY sqlstate
SELECT apikeys.delete_organization(:'other');
\set VERBOSITY default
SELECT apikeys.drop_role('regress_role');
SELECT apikeys.drop_role('regress_role');
DELETE FROM apikeys.deleted_key;
DROP ROLE regress_apikeys_named;
