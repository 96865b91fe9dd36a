-- A session keeps its plans.  Those that were made while the tables were empty do
-- not scan whole tables when one transaction fills them.
-- In a database of its own, whose tables are empty and vacuumed.
\set database :DBNAME
CREATE DATABASE regress_apikeys_filling;
\c regress_apikeys_filling
SET client_min_messages = warning;
CREATE EXTENSION apikeys;
CREATE ROLE regress_apikeys_filler;
SELECT apikeys.grant_access('regress_apikeys_filler', 'manage') \g /dev/null
VACUUM;

BEGIN;
SELECT apikeys.create_organization('Filled', 'role:regress_apikeys_filler') AS org \gset
SELECT apikeys.create_project(:'org', 'Filled') AS project \gset
CREATE FUNCTION pg_temp.fill(organization uuid, project uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	public_key text;
	hash constant apikeys.secret_hash := 'sha256' || repeat('$', 2) || repeat('0', 64);
BEGIN
	FOR i IN 1 .. 20 LOOP
		public_key := (apikeys.create_key(organization, 'a key', '{ORG_READ_ONLY}')).public_key;
		PERFORM apikeys.set_project_roles(public_key, project, '{GROUP_OWNER}');
		PERFORM apikeys.set_organization_roles(public_key, '{ORG_MEMBER}');
		PERFORM apikeys.add_to_access_list(public_key, '10.0.0.0/8');
		PERFORM apikeys.update_key(public_key, description => 'a changed key');
		PERFORM apikeys.rotate_secret(public_key, '1 hour');
		PERFORM apikeys.revoke_secret(public_key, 1);
		PERFORM apikeys.remove_from_project(public_key, project);
		PERFORM apikeys.disable_key(public_key);
		PERFORM apikeys.enable_key(public_key);
		PERFORM apikeys.create_project_key(project, 'a key', '{GROUP_OWNER}');
		PERFORM apikeys.import_key(organization, 'filled' || i, hash, 'a key', '{ORG_READ_ONLY}');
		PERFORM apikeys.delete_key('filled' || i);
		PERFORM apikeys.create_project(organization, 'Project ' || i);
		PERFORM apikeys.add_member(organization, 'user:' || i, 'ORG_READ_ONLY');
	END LOOP;
END;
$$;
SET ROLE regress_apikeys_filler;
SELECT pg_temp.fill(:'org', :'project');
RESET ROLE;
SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables
WHERE relname IN ('key', 'key_image', 'key_role', 'key_secret', 'deleted_key', 'member', 'project') AND seq_tup_read > 0;
ROLLBACK;

\c :database
DROP DATABASE regress_apikeys_filling;
DROP ROLE regress_apikeys_filler;
