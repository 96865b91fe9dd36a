-- Project keys: a Project User Admin creates, views and changes keys in its
-- project, assigns keys of the organization to it and removes them from it;
-- no principal does so in the project of another.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on

-- Acme has the projects Alpha and Beta, each with its administrator; user:1,
-- too, administers Alpha, through the application. Other has a project Gamma.
CREATE ROLE regress_apikeys_owner;
SELECT apikeys.grant_access('regress_apikeys_owner', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_admin;
SELECT apikeys.grant_access('regress_apikeys_admin', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_beta;
SELECT apikeys.grant_access('regress_apikeys_beta', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_both;
SELECT apikeys.grant_access('regress_apikeys_both', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_gamma;
SELECT apikeys.grant_access('regress_apikeys_gamma', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_reader;
SELECT apikeys.grant_access('regress_apikeys_reader', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_member;
SELECT apikeys.grant_access('regress_apikeys_member', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_other;
SELECT apikeys.grant_access('regress_apikeys_other', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_nobody;
SELECT apikeys.grant_access('regress_apikeys_nobody', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_app;
SELECT apikeys.grant_access('regress_apikeys_app', 'manage') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_app', 'impersonate') \g /dev/null
SELECT apikeys.create_organization('Acme', 'role:regress_apikeys_owner') AS acme \gset
SELECT apikeys.create_organization('Other', 'role:regress_apikeys_other') AS other \gset
SELECT apikeys.create_project(:'acme', 'Alpha') AS alpha \gset
SELECT apikeys.create_project(:'acme', 'Beta') AS beta \gset
SELECT apikeys.create_project(:'other', 'Gamma') AS gamma \gset
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_admin', 'GROUP_USER_ADMIN', :'alpha');
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_both', 'GROUP_USER_ADMIN', :'alpha');
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_both', 'GROUP_OWNER', :'beta');
SELECT apikeys.add_member(:'acme', 'user:1', 'GROUP_USER_ADMIN', :'alpha');
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_beta', 'GROUP_USER_ADMIN', :'beta');
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_reader', 'GROUP_READ_ONLY', :'alpha');
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_member', 'ORG_MEMBER');
SELECT apikeys.add_member(:'acme', 'user:2', 'ORG_MEMBER');
SELECT apikeys.add_member(:'other', 'role:regress_apikeys_gamma', 'GROUP_USER_ADMIN', :'gamma');
-- A key of each organization, with a role in it.
SELECT public_key AS org_key, private_key AS org_secret FROM apikeys.create_key(:'acme', 'Organization''s key', '{ORG_BILLING_READ_ONLY}') \gset
SELECT public_key AS other_key FROM apikeys.create_key(:'other', 'Other''s key', '{ORG_MEMBER}') \gset

-- What comes of a statement for each of those who must not do it. Whatever it
-- does is undone.
CREATE FUNCTION pg_temp.refused(statement text) RETURNS TABLE (who text, outcome text) LANGUAGE plpgsql AS $$
DECLARE
	principal text[];
	affected bigint;
BEGIN
	FOREACH principal SLICE 1 IN ARRAY ARRAY[
		['reader of the project', 'reader', NULL], ['other project', 'beta', NULL],
		['other organization''s project', 'gamma', NULL], ['plain member', 'member', NULL],
		['other owner', 'other', NULL], ['nobody', 'nobody', NULL],
		['application itself', 'app', NULL], ['member user', 'app', 'user:2']]
	LOOP
		who := principal[1];
		BEGIN
			PERFORM set_config('role', 'regress_apikeys_' || principal[2], true);
			IF principal[3] IS NOT NULL THEN
				PERFORM apikeys.act_as(principal[3]);
			END IF;
			EXECUTE statement;
			GET DIAGNOSTICS affected = ROW_COUNT;
			RAISE SQLSTATE 'XX999';
		EXCEPTION
			WHEN SQLSTATE 'XX999' THEN outcome := affected || ' rows';
			WHEN OTHERS THEN outcome := SQLSTATE || ': ' || SQLERRM;
		END;
		outcome := regexp_replace(outcome, 'ak_pub_[0-9A-Za-z]{16}', 'ak_pub_...');
		RETURN NEXT;
	END LOOP;
END;
$$;

-- ------------------------------------------------ create a key in the project

SET ROLE regress_apikeys_admin;
SELECT apikeys.project('Acme', 'Alpha') = :'alpha' AS alpha, (SELECT string_agg(name, ', ' ORDER BY name) FROM apikeys.project) AS projects;
SELECT public_key, private_key
FROM apikeys.create_project_key(apikeys.project('Acme', 'Alpha'), 'Deploys', '{GROUP_AUTOMATION_ADMIN}', '{192.0.2.0/24}') \gset
-- It grants all roles, also those with more than it has itself (apikeys.roles.grant_any).
SELECT public_key AS owner_key FROM apikeys.create_project_key(:'alpha', 'Everything in Alpha', '{GROUP_OWNER}') \gset
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.create', :'alpha');
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.create', :'beta');
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.create_project_key(%L, 'Key', '{GROUP_READ_ONLY}')$$, :'alpha'));
SELECT * FROM pg_temp.refused($$SELECT apikeys.create_project_key(apikeys.project('Acme', 'Alpha'), 'Key', '{GROUP_READ_ONLY}')$$);
SELECT * FROM pg_temp.refused(format($$INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES (%L, %L, %L, 'GROUP_READ_ONLY')$$, :'public_key', :'acme', :'alpha'));
-- Not in the organization, not in another project, no role of the organization.
SET ROLE regress_apikeys_admin;
SELECT apikeys.create_key(:'acme', 'Key', '{ORG_MEMBER}');
SELECT apikeys.create_key(:'acme', 'Key', '{}');
SELECT apikeys.create_project_key(:'beta', 'Key', '{GROUP_READ_ONLY}');
SELECT apikeys.create_project_key(:'gamma', 'Key', '{GROUP_READ_ONLY}');
SELECT apikeys.create_project_key(:'alpha', 'Key', '{ORG_MEMBER}');
SELECT apikeys.create_project_key(:'alpha', 'Key', '{GROUP_READ_ONLY,ORG_OWNER}');
SELECT apikeys.create_project_key(:'alpha', 'Key', '{}');
-- By hand neither.
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (:'public_key', :'acme', 'ORG_MEMBER');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES (:'public_key', :'acme', :'beta', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES (:'public_key', :'other', :'gamma', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress-other', :'other', 'Key');
RESET ROLE;

-- ------------------------------------------------ view the keys of the project

SET ROLE regress_apikeys_admin;
\x
SELECT public_key = :'public_key' AS public_key, private_key = '********' || right(:'private_key', 4) AS private_key,
	description, organization, organization_roles,
	projects = jsonb_build_array(jsonb_build_object('id', :'alpha', 'name', 'Alpha', 'roles', '["GROUP_AUTOMATION_ADMIN"]'::jsonb)) AS projects,
	access_list, status, created_at <= now() AS created_at, created_by, last_used_address, expires_at
FROM apikeys.keys WHERE public_key = :'public_key';
\x
SELECT description FROM apikeys.keys ORDER BY description;
SET ROLE regress_apikeys_reader;
SELECT description FROM apikeys.keys ORDER BY description;
RESET ROLE;
SELECT * FROM pg_temp.refused('SELECT * FROM apikeys.keys');
SELECT * FROM pg_temp.refused(format('SELECT * FROM apikeys.key_role WHERE public_key = %L', :'public_key'));
SELECT * FROM pg_temp.refused(format('SELECT public_key, hint FROM apikeys.key_secret WHERE public_key = %L', :'public_key'));
SELECT * FROM pg_temp.refused(format('SELECT * FROM apikeys.access_list_entries WHERE public_key = %L', :'public_key'));

-- --------------------------------------------------- change its roles there

SET ROLE regress_apikeys_admin;
SELECT FROM apikeys.set_project_roles(:'public_key', :'alpha', '{GROUP_READ_ONLY,GROUP_BACKUP_ADMIN}');
SELECT organization_roles, jsonb_path_query_array(projects, '$[*].roles[*]') FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.create', :'alpha');
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'backups.restore', :'alpha');
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.set_project_roles(%L, %L, '{GROUP_OWNER}')$$, :'public_key', :'alpha'));
SELECT * FROM pg_temp.refused(format($$DELETE FROM apikeys.key_role WHERE public_key = %L$$, :'public_key'));
SET ROLE regress_apikeys_admin;
SELECT FROM apikeys.set_project_roles(:'public_key', :'alpha', '{ORG_READ_ONLY}');
SELECT FROM apikeys.set_project_roles(:'public_key', :'alpha', '{}');
SELECT FROM apikeys.set_project_roles(:'public_key', :'beta', '{GROUP_READ_ONLY}');
SELECT FROM apikeys.set_project_roles(:'public_key', :'gamma', '{GROUP_READ_ONLY}');
SELECT FROM apikeys.set_organization_roles(:'public_key', '{ORG_MEMBER}');
SELECT FROM apikeys.set_organization_roles(:'public_key', '{}');
RESET ROLE;

-- --------------------------------- change a key that is the project's alone

SET ROLE regress_apikeys_admin;
SELECT FROM apikeys.update_key(:'public_key', 'Deploys and backups', '{192.0.2.0/24,198.51.100.7}', 'infinity');
SELECT apikeys.add_to_access_list(:'public_key', '203.0.113.0/24');
SELECT apikeys.remove_from_access_list(:'public_key', '198.51.100.7');
SELECT description, access_list, expires_at FROM apikeys.keys WHERE public_key = :'public_key';
SELECT apikeys.disable_key(:'public_key');
SELECT status FROM apikeys.keys WHERE public_key = :'public_key';
SELECT apikeys.enable_key(:'public_key');
SELECT apikeys.rotate_secret(:'public_key') AS new_private_key \gset
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'backups.restore', :'alpha');
SELECT reason FROM apikeys.decide(:'public_key', :'new_private_key', '192.0.2.1', 'backups.restore', :'alpha');
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.update_key(%L, 'Mine')$$, :'public_key'));
SELECT * FROM pg_temp.refused(format($$UPDATE apikeys.key SET description = 'Mine' WHERE public_key = %L$$, :'public_key'));
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.disable_key(%L)$$, :'public_key'));
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.rotate_secret(%L)$$, :'public_key'));
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.delete_key(%L)$$, :'public_key'));

-- --------------------------------- assign a key of the organization

-- It was not to be seen before; then it is, with its roles in Alpha only.
SET ROLE regress_apikeys_admin;
SELECT count(*) FROM apikeys.keys WHERE public_key = :'org_key';
SELECT FROM apikeys.set_project_roles(:'org_key', :'alpha', '{GROUP_READ_ONLY}');
SELECT description, jsonb_path_query_array(projects, '$[*].roles[*]') FROM apikeys.keys WHERE public_key = :'org_key';
RESET ROLE;
SELECT reason FROM apikeys.decide(:'org_key', :'org_secret', '192.0.2.1', 'clusters.read', :'alpha');
SELECT reason FROM apikeys.decide(:'org_key', :'org_secret', '192.0.2.1', 'billing.read');
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.set_project_roles(%L, %L, '{GROUP_READ_ONLY}')$$, :'org_key', :'alpha'));
-- It changes nothing else of the key, which has a role outside of the project.
SET ROLE regress_apikeys_admin;
\set VERBOSITY sqlstate
SELECT FROM apikeys.update_key(:'org_key', 'Mine');
SELECT apikeys.add_to_access_list(:'org_key', '192.0.2.1');
SELECT apikeys.remove_from_access_list(:'org_key', '192.0.2.1');
SELECT apikeys.disable_key(:'org_key');
SELECT apikeys.enable_key(:'org_key');
SELECT apikeys.rotate_secret(:'org_key');
SELECT FROM apikeys.set_organization_roles(:'org_key', '{}');
SELECT apikeys.delete_key(:'org_key');
\set VERBOSITY default
WITH changed AS (UPDATE apikeys.key SET description = 'Mine' WHERE public_key = :'org_key' RETURNING 1) SELECT count(*) FROM changed;
WITH changed AS (DELETE FROM apikeys.key WHERE public_key = :'org_key' RETURNING 1) SELECT count(*) FROM changed;
WITH changed AS (UPDATE apikeys.key_secret SET expires_at = now() WHERE public_key = :'org_key' RETURNING 1) SELECT count(*) FROM changed;
WITH changed AS (DELETE FROM apikeys.key_secret WHERE public_key = :'org_key' RETURNING 1) SELECT count(*) FROM changed;
WITH changed AS (DELETE FROM apikeys.key_role WHERE public_key = :'org_key' AND project_id IS NULL RETURNING 1) SELECT count(*) FROM changed;
-- Neither a key of another organization, nor one that does not exist.
SELECT FROM apikeys.set_project_roles(:'other_key', :'alpha', '{GROUP_READ_ONLY}');
SELECT FROM apikeys.set_project_roles('no such key', :'alpha', '{GROUP_READ_ONLY}');
\set VERBOSITY sqlstate
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES (:'other_key', :'acme', :'alpha', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES (:'other_key', :'other', :'alpha', 'GROUP_READ_ONLY');
\set VERBOSITY default
RESET ROLE;

-- A key in both projects is changed by a principal that administers both, or by the owner.
SELECT FROM apikeys.set_project_roles(:'owner_key', :'beta', '{GROUP_READ_ONLY}');
SET ROLE regress_apikeys_admin;
SELECT jsonb_path_query_array(projects, '$[*].name') FROM apikeys.keys WHERE public_key = :'owner_key';
\set VERBOSITY sqlstate
SELECT FROM apikeys.update_key(:'owner_key', 'Alpha''s');
SELECT apikeys.rotate_secret(:'owner_key');
SELECT apikeys.delete_key(:'owner_key');
SET ROLE regress_apikeys_beta;
SELECT FROM apikeys.update_key(:'owner_key', 'Beta''s');
SELECT apikeys.rotate_secret(:'owner_key');
SELECT apikeys.delete_key(:'owner_key');
\set VERBOSITY default
SELECT jsonb_path_query_array(projects, '$[*].name') FROM apikeys.keys WHERE public_key = :'owner_key';
SET ROLE regress_apikeys_both;
SELECT FROM apikeys.update_key(:'owner_key', 'Of both');
SELECT description, jsonb_path_query_array(projects, '$[*].name') FROM apikeys.keys WHERE public_key = :'owner_key';
SELECT apikeys.rotate_secret(:'owner_key') IS NOT NULL AS rotated;
SET ROLE regress_apikeys_owner;
SELECT FROM apikeys.update_key(:'owner_key', 'Of all');
RESET ROLE;
SELECT description FROM apikeys.key WHERE public_key = :'owner_key';

-- ----------------------------------------- remove a key from the project

SELECT * FROM pg_temp.refused(format($$SELECT apikeys.remove_from_project(%L, %L)$$, :'org_key', :'alpha'));
SET ROLE regress_apikeys_admin;
SELECT FROM apikeys.remove_from_project(:'org_key', :'alpha');
SELECT count(*) FROM apikeys.keys WHERE public_key = :'org_key';
SELECT FROM apikeys.remove_from_project(:'org_key', :'alpha');
SELECT FROM apikeys.remove_from_project(:'owner_key', :'beta');
SELECT FROM apikeys.remove_from_project(:'other_key', :'gamma');
RESET ROLE;
-- It lives on in its organization.
SELECT description, organization_roles, projects, status FROM apikeys.keys WHERE public_key = :'org_key';
SELECT reason FROM apikeys.decide(:'org_key', :'org_secret', '192.0.2.1', 'clusters.read', :'alpha');
SELECT reason FROM apikeys.decide(:'org_key', :'org_secret', '192.0.2.1', 'billing.read');
-- So does one that has no role left; only its owner sees it.
SET ROLE regress_apikeys_admin;
SELECT FROM apikeys.remove_from_project(:'public_key', :'alpha');
SELECT count(*) FROM apikeys.keys WHERE public_key = :'public_key';
\set VERBOSITY sqlstate
SELECT apikeys.delete_key(:'public_key');
\set VERBOSITY default
SET ROLE regress_apikeys_owner;
SELECT description, organization_roles, projects, status, created_by FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'new_private_key', '192.0.2.1', 'backups.restore', :'alpha');
-- The administrator of another project changes nothing of it.
SET ROLE regress_apikeys_beta;
\set VERBOSITY sqlstate
SELECT FROM apikeys.update_key(:'public_key', 'Mine');
SELECT apikeys.rotate_secret(:'public_key');
\set VERBOSITY default
RESET ROLE;

-- ------------------------------------------------- as a user of the application

SET ROLE regress_apikeys_app;
BEGIN;
SELECT apikeys.act_as('user:1');
SELECT public_key AS user_key FROM apikeys.create_project_key(:'alpha', 'User''s key', '{GROUP_READ_ONLY}') \gset
SELECT FROM apikeys.set_project_roles(:'user_key', :'alpha', '{GROUP_MONITORING_ADMIN}');
SELECT description, created_by, jsonb_path_query_array(projects, '$[*].roles[*]') FROM apikeys.keys ORDER BY description;
COMMIT;
SELECT count(*) FROM apikeys.keys;
BEGIN;
SELECT apikeys.act_as('user:1');
SELECT apikeys.create_project_key(:'beta', 'Key', '{GROUP_READ_ONLY}');
ROLLBACK;
RESET ROLE;

-- ------------------------------------------------- delete a key of the project

SELECT * FROM pg_temp.refused(format('SELECT apikeys.delete_key(%L)', :'user_key'));
SELECT * FROM pg_temp.refused('DELETE FROM apikeys.key');
SET ROLE regress_apikeys_admin;
SELECT apikeys.delete_key(:'user_key');
SELECT description FROM apikeys.keys ORDER BY description;
RESET ROLE;
SELECT description, nullif(created_by, apikeys.principal()) FROM apikeys.keys ORDER BY description;

-- ------------------------------------------------ granting no more than one has

-- A manager of keys without apikeys.roles.grant_any grants what it has itself.
SELECT apikeys.create_role('regress_key_manager', 'project', '{}', '{clusters.*,apikeys.keys.manage}', 'Manages keys, and clusters');
SELECT apikeys.create_role('regress_cluster_reader', 'project', '{}', '{clusters.read}', 'Reads clusters');
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_nobody', 'regress_key_manager', :'alpha');
SET ROLE regress_apikeys_nobody;
SELECT public_key AS public_key FROM apikeys.create_project_key(:'alpha', 'Reads', '{regress_cluster_reader}') \gset
SELECT FROM apikeys.set_project_roles(:'public_key', :'alpha', '{regress_cluster_reader,regress_key_manager}');
SELECT FROM apikeys.set_project_roles(:'public_key', :'alpha', '{GROUP_READ_ONLY}');
SELECT apikeys.create_project_key(:'alpha', 'More', '{GROUP_AUTOMATION_ADMIN}');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES (:'public_key', :'acme', :'alpha', 'GROUP_OWNER');
-- Roles that the key already has may stay when others change.
RESET ROLE;
SELECT FROM apikeys.set_project_roles(:'public_key', :'alpha', '{regress_cluster_reader,GROUP_READ_ONLY}');
SET ROLE regress_apikeys_nobody;
SELECT FROM apikeys.set_project_roles(:'public_key', :'alpha', '{GROUP_READ_ONLY,regress_key_manager}');
SELECT jsonb_path_query_array(projects, '$[*].roles[*]') FROM apikeys.keys WHERE public_key = :'public_key';
-- Nor does it take more, by deleting the project: the key would be its to manage.
RESET ROLE;
SELECT apikeys.create_role('regress_project_manager', 'project', '{}', '{apikeys.keys.manage,apikeys.projects.manage}');
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_nobody', 'regress_project_manager', :'alpha');
SELECT FROM apikeys.set_project_roles(:'public_key', :'alpha', '{GROUP_AUTOMATION_ADMIN}');
SET ROLE regress_apikeys_nobody;
SELECT apikeys.delete_project(:'alpha');
RESET ROLE;

DELETE FROM apikeys.key;
DELETE FROM apikeys.organization;
DELETE FROM apikeys.deleted_key;
SELECT apikeys.drop_role('regress_key_manager'), apikeys.drop_role('regress_cluster_reader'), apikeys.drop_role('regress_project_manager');
DROP OWNED BY regress_apikeys_owner, regress_apikeys_admin, regress_apikeys_beta, regress_apikeys_both, regress_apikeys_gamma, regress_apikeys_reader, regress_apikeys_member, regress_apikeys_other, regress_apikeys_nobody, regress_apikeys_app;
DROP ROLE regress_apikeys_owner, regress_apikeys_admin, regress_apikeys_beta, regress_apikeys_both, regress_apikeys_gamma, regress_apikeys_reader, regress_apikeys_member, regress_apikeys_other, regress_apikeys_nobody, regress_apikeys_app;
