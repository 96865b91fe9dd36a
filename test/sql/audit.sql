-- An event for each act: by which principal, of what, with what has changed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_audit_owner;
SELECT apikeys.grant_access('regress_apikeys_audit_owner', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_audit_admin;
SELECT apikeys.grant_access('regress_apikeys_audit_admin', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_audit_guest;
SELECT apikeys.grant_access('regress_apikeys_audit_guest', 'manage') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_audit_owner', 'decide', 'impersonate') \g /dev/null
GRANT EXECUTE ON FUNCTION apikeys.create_organization, apikeys.revoke_leaked TO regress_apikeys_audit_owner;
SELECT coalesce(max(id), 0) AS before FROM apikeys.audit_event \gset

-- A life.
SET ROLE regress_apikeys_audit_owner;
SELECT apikeys.create_organization('regress_audit') AS org \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_audit_admin', 'GROUP_USER_ADMIN', :'one') \g /dev/null
SELECT apikeys.rename_organization(:'org', 'regress_audited'), apikeys.set_organization_policy(:'org', max_rotation_overlap => '14 days'), apikeys.rename_project(:'one', 'uno') \g /dev/null
SELECT public_key AS key, private_key AS secret FROM apikeys.create_project_key(:'one', 'A key', '{GROUP_READ_ONLY}', '{10.0.0.0/8}', '2999-01-01 00:00:00+00') \gset
SELECT FROM apikeys.update_key(:'key', 'Another', '{10.0.0.0/8,2001:db8::/32}', '2998-01-01 00:00:00+00');
SELECT apikeys.set_project_roles(:'key', :'one', '{GROUP_READ_ONLY,GROUP_BACKUP_ADMIN}') \g /dev/null
SELECT apikeys.rotate_secret(:'key') AS second \gset
SELECT apikeys.disable_key(:'key'), apikeys.disable_key(:'key'), apikeys.enable_key(:'key') \g /dev/null
SELECT apikeys.revoke_leaked(:'second');
SELECT apikeys.enable_key(:'key') \g /dev/null
-- Nothing has changed: no event.
SELECT FROM apikeys.update_key(:'key', 'Another');
SELECT FROM apikeys.set_project_roles(:'key', :'one', '{GROUP_BACKUP_ADMIN,GROUP_READ_ONLY}');
SELECT apikeys.rename_project(:'one', 'uno'), apikeys.add_member(:'org', 'role:regress_apikeys_audit_admin', 'GROUP_USER_ADMIN', :'one') \g /dev/null
SELECT apikeys.add_to_access_list(:'key', '10.0.0.0/8') \g /dev/null
-- Undone: no event.
BEGIN;
SELECT apikeys.delete_key(:'key') \g /dev/null
SAVEPOINT s;
ROLLBACK TO s;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT apikeys.delete_key(:'key') \g /dev/null
ROLLBACK TO s;
COMMIT;
-- By a user of the application, and by a key.
BEGIN;
SELECT apikeys.act_as('user:regress_audit') \g /dev/null
SELECT apikeys.create_organization('regress_audit_other') AS other_org \gset
COMMIT;
SELECT public_key AS owner, private_key AS owner_secret FROM apikeys.create_key(:'org', 'An owner', '{ORG_OWNER}') \gset
BEGIN;
SELECT apikeys.authenticate(:'owner', :'owner_secret', '203.0.113.7') IS NOT NULL AS bound;
SELECT public_key AS made FROM apikeys.create_key(:'org', 'Made by a key', '{ORG_MEMBER}') \gset
SELECT apikeys.delete_key(:'made') \g /dev/null
COMMIT;
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_audit_admin', 'GROUP_USER_ADMIN', :'one') \g /dev/null
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_audit_admin', 'GROUP_OWNER', :'one') \g /dev/null
RESET ROLE;
SELECT apikeys.create_role('regress_audit', 'project', '{}', '{clusters.read}', 'A role.') \g /dev/null
UPDATE apikeys.role SET project_permissions = '{clusters.read,clusters.restart}' WHERE name = 'regress_audit';
SELECT apikeys.drop_role('regress_audit') \g /dev/null

SELECT CASE WHEN principal = 'key:' || :'owner' THEN 'the owner''s key' WHEN principal LIKE 'role:regress%' THEN principal WHEN principal LIKE 'role:%' THEN 'superuser' ELSE principal END AS principal,
	action, (organization_id = :'org') AS org, (project_id = :'one') AS one,
	CASE public_key WHEN :'key' THEN 'key' WHEN :'owner' THEN 'owner' WHEN :'made' THEN 'made' ELSE public_key END AS key,
	CASE WHEN address = '203.0.113.7' THEN address END AS address,
	jsonb_strip_nulls(CASE WHEN action IN ('key.disabled', 'key.enabled', 'key.secret_rotated') THEN '{}'
		ELSE detail #- '{new,created_at}' #- '{old,created_at}' #- '{new,created_by}' #- '{old,created_by}' END) AS detail
FROM apikeys.audit_event WHERE id > :before ORDER BY id;
SELECT count(*) FILTER (WHERE at BETWEEN now() - interval '1 hour' AND clock_timestamp()) = count(*) AS in_time,
	count(*) FILTER (WHERE database_role = session_user) = count(*) AS logged_in,
	count(*) FILTER (WHERE detail::text LIKE '%' || :'secret' || '%' OR detail::text LIKE '%' || :'second' || '%' OR detail ? 'hash' OR detail::text LIKE '%blake2b%') AS secrets
FROM apikeys.audit_event WHERE id > :before;

-- Visibility.
SET ROLE regress_apikeys_audit_owner;
SELECT count(*) > 15 AS many, count(*) FILTER (WHERE organization_id IS DISTINCT FROM :'org') AS of_others FROM apikeys.audit_event WHERE id > :before;
SET ROLE regress_apikeys_audit_admin;
SELECT count(*) > 0 AS some, count(*) FILTER (WHERE project_id IS DISTINCT FROM :'one') AS beyond_the_project FROM apikeys.audit_event WHERE id > :before;
SET ROLE regress_apikeys_audit_guest;
SELECT count(*) FROM apikeys.audit_event;
-- Nobody writes it.
SET ROLE regress_apikeys_audit_owner;
INSERT INTO apikeys.audit_event (principal, action, detail, database_role) VALUES ('role:me', 'key.created', '{}', 'me');
UPDATE apikeys.audit_event SET principal = 'role:somebody else';
DELETE FROM apikeys.audit_event;
TRUNCATE apikeys.audit_event;
SELECT nextval('apikeys.audit_event_id_seq');
SELECT apikeys_internal.note_event('key.created', NULL, NULL, NULL, '{}');
RESET ROLE;
-- Events of keys have a detail each.
SELECT apikeys_internal.note_key_events('key.updated', :'org', '{a}', ARRAY['{}', '{}']::jsonb[]);

-- Objects that are deleted with another have no event of their own.
SELECT max(id) AS before FROM apikeys.audit_event \gset
SELECT apikeys.delete_project(:'one') \g /dev/null
SELECT apikeys.delete_key(:'key'), apikeys.delete_key(:'owner') \g /dev/null
SELECT apikeys.delete_organization(:'org'), apikeys.delete_organization(:'other_org') \g /dev/null
SELECT action, count(*) FROM apikeys.audit_event WHERE id > :before GROUP BY action ORDER BY min(id);

DELETE FROM apikeys.audit_event WHERE organization_id IN (:'org', :'other_org') OR detail::text LIKE '%regress_audit%';
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apikeys FROM regress_apikeys_audit_owner;
DROP OWNED BY regress_apikeys_audit_owner, regress_apikeys_audit_admin, regress_apikeys_audit_guest;
DROP ROLE regress_apikeys_audit_owner, regress_apikeys_audit_admin, regress_apikeys_audit_guest;
