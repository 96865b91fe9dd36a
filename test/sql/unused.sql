-- Which secret of a key is still in use, and what is unused: keys, entries of
-- access lists, roles.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_apikeys_unused_reader;
SELECT apikeys.grant_access('regress_apikeys_unused_reader', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_unused_nobody;
SELECT apikeys.grant_access('regress_apikeys_unused_nobody', 'manage') \g /dev/null
SELECT apikeys.create_organization('regress_unused', 'user:regress_unused') AS org \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT apikeys.create_project(:'org', 'two') AS two \gset
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_unused_reader', 'GROUP_READ_ONLY', :'one') \g /dev/null
SELECT public_key, private_key FROM apikeys.create_key(:'org', 'Key', '{ORG_READ_ONLY,ORG_BILLING_ADMIN}', '{10.0.0.0/8,192.0.2.0/24}') \gset
SELECT apikeys.set_project_roles(:'public_key', :'one', '{GROUP_BACKUP_ADMIN,GROUP_MONITORING_ADMIN}') \g /dev/null
SELECT apikeys.set_project_roles(:'public_key', :'two', '{GROUP_BACKUP_ADMIN}') \g /dev/null
SELECT public_key AS idle_key FROM apikeys.create_key(:'org', 'Idle key', '{ORG_MEMBER}', '{192.0.2.1}') \gset
CREATE FUNCTION pg_temp.unused() RETURNS TABLE (what text, name text, project text, used_before text)
	LANGUAGE sql SET timezone = 'UTC'
BEGIN ATOMIC
	SELECT u.what, u.name, u.project, u.last_used_at::text
	FROM (
		SELECT 'key' AS what, k.description AS name, NULL AS project, k.last_used_at
		FROM apikeys.unused_keys AS k WHERE k.organization = 'regress_unused'
		UNION ALL
		SELECT 'entry', e.network::text, NULL, e.last_used_at
		FROM apikeys.unused_access_list_entries AS e JOIN apikeys.keys AS k USING (public_key) WHERE k.organization = 'regress_unused'
		UNION ALL
		SELECT 'role', r.role, r.project, r.last_used_at
		FROM apikeys.unused_roles AS r JOIN apikeys.keys AS k USING (public_key) WHERE k.organization = 'regress_unused') AS u
	ORDER BY 1, 3 NULLS FIRST, 2;
END;

-- Nothing was used yet.
SELECT * FROM pg_temp.unused();
SELECT description, idle < interval '5 minutes', now() - created_at < interval '5 minutes' FROM apikeys.unused_keys WHERE organization = 'regress_unused' ORDER BY 1;
SELECT bool_and(now() - created_at < interval '5 minutes') FROM apikeys.unused_access_list_entries WHERE public_key = :'public_key';
SELECT bool_and(now() - created_at < interval '5 minutes'), count(DISTINCT project_id) FROM apikeys.unused_roles WHERE public_key = :'public_key';

-- Known at once, and the same when it is written.  Of the roles that allow a
-- request, one is used; a denial uses none.
SELECT apikeys.authorize(:'public_key', :'private_key', '10.1.2.3', 'clusters.read');
SELECT apikeys.authorize(:'public_key', :'private_key', '10.1.2.3', 'backups.create', :'one');
SELECT apikeys.authorize(:'public_key', :'private_key', '10.1.2.3', 'clusters.create', :'two');
SELECT apikeys.authorize(:'public_key', :'private_key', '198.51.100.1', 'backups.create', :'two');
SELECT * FROM pg_temp.unused();
SELECT apikeys.flush_usage();
SELECT * FROM pg_temp.unused();
SELECT r.role, r.project_id = :'one' FROM apikeys.key_role_usage AS r WHERE r.public_key = :'public_key' ORDER BY 1;
-- Long ago is as good as never.
UPDATE apikeys.key_role_usage SET last_used_at = '2001-01-01 00:00+00' WHERE public_key = :'public_key' AND project_id IS NULL;
UPDATE apikeys.key_usage SET last_used_at = '2002-01-01 00:00+00' WHERE public_key = :'public_key';
SELECT * FROM pg_temp.unused();
SELECT idle > interval '10 years' FROM apikeys.unused_keys WHERE public_key = :'public_key';
-- A role that is revoked and granted again keeps its last use.
SELECT FROM apikeys.remove_from_project(:'public_key', :'one');
SELECT count(*) FROM apikeys.unused_roles WHERE public_key = :'public_key' AND project = 'one';
SELECT FROM apikeys.set_project_roles(:'public_key', :'one', '{GROUP_BACKUP_ADMIN,GROUP_MONITORING_ADMIN}');
SELECT role FROM apikeys.unused_roles WHERE public_key = :'public_key' AND project = 'one';

-- Each reader sees what it may of keys and roles.
SET ROLE regress_apikeys_unused_reader;
SELECT * FROM pg_temp.unused();
SELECT role FROM apikeys.key_role_usage ORDER BY 1;
SELECT jsonb_array_length(secrets) FROM apikeys.keys;
SET ROLE regress_apikeys_unused_nobody;
SELECT * FROM pg_temp.unused();
SELECT count(*) FROM apikeys.key_role_usage;
SELECT count(*) FROM apikeys.unused_keys;
INSERT INTO apikeys.key_role_usage VALUES (:'public_key', NULL, 'ORG_OWNER', now());
UPDATE apikeys.key_role_usage SET last_used_at = now();
DELETE FROM apikeys.key_role_usage;
RESET ROLE;

-- The live secrets, the newest first, each with its own last use.
CREATE TEMPORARY VIEW secrets AS
SELECT s.version, s.hint = '********' || right(:'private_key', 4) AS is_first, s.hint = k.private_key AS is_newest,
	now() - s.created_at < interval '5 minutes' AS is_new, s.expires_at - now() < interval '2 hours' AS ends_soon,
	now() - s.last_used_at < interval '5 minutes' AS used_lately
FROM apikeys.keys AS k, ROWS FROM (jsonb_to_recordset(k.secrets) AS (version integer, hint text, created_at timestamptz,
	expires_at timestamptz, last_used_at timestamptz)) WITH ORDINALITY AS s (version, hint, created_at, expires_at, last_used_at, place)
WHERE k.description = 'Key' AND k.organization = 'regress_unused' ORDER BY s.place;
SELECT (SELECT array_agg(key ORDER BY key) FROM jsonb_object_keys(secrets -> 0) AS key) FROM apikeys.keys WHERE public_key = :'public_key';
DELETE FROM apikeys.key_usage WHERE public_key = :'public_key';
SELECT * FROM secrets;
SELECT apikeys.rotate_secret(:'public_key', '1 hour') AS second_secret \gset
SELECT * FROM secrets;
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.7', 'clusters.read');
SELECT apikeys.authorize(:'public_key', 'wrong', '192.0.2.7', 'clusters.read');
SELECT * FROM secrets;
SELECT apikeys.flush_usage();
SELECT * FROM secrets;
SELECT apikeys.authorize(:'public_key', :'second_secret', '192.0.2.7', 'clusters.read');
SELECT * FROM secrets;
-- The first is ended, deleted by the next rotation, and its uses stay the key's.
SELECT apikeys.revoke_secret(:'public_key', 1);
SELECT * FROM secrets;
SELECT apikeys.rotate_secret(:'public_key', '1 hour') IS NOT NULL;
SELECT apikeys.flush_usage();
SELECT * FROM secrets;
SELECT secret_version, network, use_count, last_used_address FROM apikeys.key_usage WHERE public_key = :'public_key' ORDER BY 1, 2;
SELECT apikeys.rotate_secret(:'public_key') IS NOT NULL;
SELECT apikeys.flush_usage();
SELECT secret_version, network, use_count, last_used_address FROM apikeys.key_usage WHERE public_key = :'public_key' ORDER BY 1, 2;
SELECT * FROM secrets;
SELECT network, use_count, last_used_address FROM apikeys.access_list_entries WHERE public_key = :'public_key' ORDER BY network;
SELECT use_count FROM apikeys.usage WHERE public_key = :'public_key';
-- No live secret: an empty list.
DELETE FROM apikeys.key_secret WHERE public_key = :'public_key';
SELECT secrets FROM apikeys.keys WHERE public_key = :'public_key';

-- Recorded uses are deleted with the key.
SELECT apikeys.delete_key(:'public_key');
SELECT apikeys.delete_key(:'idle_key');
SELECT apikeys.flush_usage();
SELECT count(*) FROM apikeys.key_role_usage WHERE public_key = :'public_key';
SELECT count(*) FROM apikeys.key_usage WHERE public_key = :'public_key';

-- What a key asks about itself is no use of what it has.
SELECT public_key AS asking_key, private_key AS asking_secret
FROM apikeys.create_key(:'org', 'asks', '{ORG_READ_ONLY}') \gset
BEGIN;
SELECT apikeys.authenticate(:'asking_key', :'asking_secret', '192.0.2.7') IS NOT NULL;
SELECT apikeys.permitted_scopes(:'org', '{clusters.read,clusters.write}');
COMMIT;
SELECT role FROM apikeys.unused_roles WHERE public_key = :'asking_key';
SELECT apikeys.delete_key(:'asking_key');

SELECT apikeys.delete_organization(:'org');
DELETE FROM apikeys.deleted_key WHERE public_key IN (:'public_key', :'idle_key', :'asking_key');
DROP OWNED BY regress_apikeys_unused_reader;
DROP ROLE regress_apikeys_unused_reader;
DROP OWNED BY regress_apikeys_unused_nobody;
DROP ROLE regress_apikeys_unused_nobody;
