-- What hardly ever happens.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_corner_service;
SELECT apikeys.grant_access('regress_apikeys_corner_service', 'manage') \g /dev/null
GRANT USAGE ON SCHEMA apikeys_internal TO regress_apikeys_corner_service;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apikeys_internal TO regress_apikeys_corner_service;
SELECT apikeys.grant_access('regress_apikeys_corner_service', 'decide', 'impersonate') \g /dev/null

-- A member of many organizations: its roles are read from the index alone once the
-- table is vacuumed, and still as they are now.
CREATE TEMP TABLE org AS
	SELECT n, apikeys.create_organization('regress_corner_' || n, 'user:regress_corner') AS id FROM generate_series(1, 20) AS n;
GRANT SELECT ON org TO PUBLIC;
SELECT id AS org FROM org WHERE n = 1 \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT public_key AS owner, private_key AS owner_secret FROM apikeys.create_key(:'org', 'Owns', '{ORG_OWNER}') \gset
SELECT public_key AS other, private_key AS other_secret FROM apikeys.create_key(:'org', 'Reads', '{ORG_READ_ONLY}', '{10.0.0.0/8}') \gset
VACUUM apikeys.member, apikeys.key_role, apikeys.key_image, apikeys.organization;
BEGIN;
SET LOCAL ROLE regress_apikeys_corner_service;
SELECT apikeys.act_as('user:regress_corner');
SELECT cardinality(apikeys_internal.principal_organizations()) AS organizations, cardinality(apikeys_internal.principal_other_projects(NULL, '{}')) AS projects;
SELECT apikeys.add_member(id, 'user:regress_corner_2', 'ORG_OWNER') FROM org WHERE n = 20;
SELECT apikeys.remove_member(id, 'user:regress_corner', 'ORG_OWNER') FROM org WHERE n = 20;
SELECT cardinality(apikeys_internal.principal_organizations()) AS organizations;
ROLLBACK;

-- A key that has deleted itself manages nothing any more, whichever role carries it.
BEGIN;
SET LOCAL ROLE regress_apikeys_corner_service;
SELECT apikeys.authenticate(:'owner', :'owner_secret', '10.1.2.3') = :'owner' AS bound;
SELECT apikeys.permits('organization.members.manage') AS before;
SELECT apikeys.delete_key(:'owner');
SELECT cardinality(apikeys_internal.principal_organizations()) AS organizations;
SAVEPOINT s;
\set VERBOSITY sqlstate
SELECT * FROM apikeys.create_key(:'org', 'Made by a key that is no more', '{ORG_READ_ONLY}');
ROLLBACK TO s;
RESET ROLE;
SELECT * FROM apikeys.create_key(:'org', 'Made by a key that is no more', '{ORG_READ_ONLY}');
ROLLBACK TO s;
SELECT (apikeys.update_key(:'other', expires_at => now() + interval '1 day')).public_key;
\set VERBOSITY terse
ROLLBACK;

-- One statement does several things to several keys.
BEGIN;
SELECT max(id) AS before FROM apikeys.audit_event \gset
SELECT apikeys.disable_key(:'other');
UPDATE apikeys.key SET disabled_at = CASE WHEN disabled_at IS NULL THEN now() END, description = 'Changed', access_list = '{}' WHERE organization_id = :'org';
SELECT action, count(*) FROM apikeys.audit_event WHERE id > :before GROUP BY action ORDER BY action;
ROLLBACK;
-- ... and to many.
BEGIN;
INSERT INTO apikeys.key (public_key, organization_id, description, disabled_at)
	SELECT 'regress_corner_' || n, :'org', 'a key', CASE WHEN n % 3 = 0 THEN now() END FROM generate_series(1, 1500) AS n;
SELECT max(id) AS before FROM apikeys.audit_event \gset
UPDATE apikeys.key SET disabled_at = CASE WHEN disabled_at IS NULL THEN now() END WHERE public_key LIKE 'regress_corner_%';
SELECT action, count(*) FROM apikeys.audit_event WHERE id > :before GROUP BY action ORDER BY action;
ROLLBACK;

-- Who may call a function of the schema apikeys_internal itself learns nothing of a key
-- or an organization that it does not read.
BEGIN;
SELECT apikeys.set_rate_limit(:'other', 5, '1 hour'), apikeys.set_organization_rate_limit(:'org', 5, '1 hour');
SELECT apikeys_internal.key_hint(:'other', :'org', '{}') IS NOT NULL AS hint, jsonb_array_length(apikeys_internal.key_secrets(:'other', :'org', '{}')) AS secrets,
	(SELECT count(*) FROM apikeys_internal.key_limits(:'other')) AS limits, (SELECT count(*) FROM apikeys_internal.organization_limits(:'org')) AS limits_of_all;
UPDATE apikeys.key_secret SET expires_at = 'tomorrow' WHERE public_key = :'other';
SELECT apikeys_internal.key_secret_expires_at(:'other', :'org', '{}') = 'tomorrow' AS expires;
SET LOCAL ROLE regress_apikeys_corner_service;
SELECT apikeys_internal.key_hint(:'other', :'org', '{}') AS hint, apikeys_internal.key_secrets(:'other', :'org', '{}') AS secrets, apikeys_internal.key_secret_expires_at(:'other', :'org', '{}') AS expires,
	(SELECT count(*) FROM apikeys_internal.key_limits(:'other')) AS limits, (SELECT count(*) FROM apikeys_internal.organization_limits(:'org')) AS limits_of_all;
ROLLBACK;

-- A key whose organization is not there, as after a restore of a part, is denied.
BEGIN;
SELECT public_key AS lone, private_key AS lone_secret FROM apikeys.create_key(:'org', 'Lone', '{ORG_READ_ONLY}', '{10.0.0.0/8}') \gset
SELECT (apikeys.decide(:'lone', :'lone_secret', '10.1.2.3', 'clusters.read')).reason;
SET LOCAL session_replication_role = replica;
DELETE FROM apikeys.organization WHERE id = :'org';
SELECT (apikeys.decide(:'lone', :'lone_secret', '10.1.2.3', 'clusters.read')).reason;
ROLLBACK;

-- NULLs.
SELECT apikeys_internal.grant_id(NULL, :'one');

-- An image with a public key that is longer than allowed, written by a superuser.
INSERT INTO apikeys.key_image
	SELECT repeat('x', 500), organization_id, disabled, expires_at, created_at,
		ARRAY[('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash], secret_expirations, secret_versions,
		organization_roles, access_list, project_roles, projects, details, limits
	FROM apikeys.key_image WHERE public_key = :'owner';
SELECT reason FROM apikeys.decide(repeat('x', 500), 'a secret', NULL, 'organization.read');
DELETE FROM apikeys.key_image WHERE public_key = repeat('x', 500);

-- A cursor that fails in a subtransaction loses its locks, and the next decision takes them.
BEGIN;
DECLARE c CURSOR FOR SELECT 1 / (2 - g), apikeys.authorize(:'owner', :'owner_secret', NULL, 'organization.read') FROM generate_series(1, 5) AS g;
FETCH 1 FROM c;
SAVEPOINT a;
FETCH 5 FROM c;
ROLLBACK TO a;
RELEASE a;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'apikeys.key_image'::regclass;
SELECT apikeys.authorize(:'owner', :'owner_secret', NULL, 'organization.read');
SELECT relation::regclass FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('apikeys.key_image'::regclass, 'apikeys.role'::regclass) ORDER BY 1;
ROLLBACK;

-- Malformed values are reported as damaged, and not quoted.
CREATE CAST (bytea AS apikeys.access_list) WITHOUT FUNCTION;
CREATE CAST (bytea AS apikeys.secret_hash) WITHOUT FUNCTION;
SELECT '\x'::bytea::apikeys.access_list;
SELECT '\x00000002c0000201'::bytea::apikeys.access_list;
SELECT '\x00000000c0'::bytea::apikeys.access_list;
SELECT apikeys.networks('\xffffffff'::bytea::apikeys.access_list);
SELECT '\x'::bytea::apikeys.secret_hash;
SELECT apikeys.verify('\x0300'::bytea::apikeys.secret_hash, 'a', 'b');
DROP CAST (bytea AS apikeys.access_list);
DROP CAST (bytea AS apikeys.secret_hash);

-- What a trigger calls is called by nothing else.
CREATE FUNCTION pg_temp.key_deleted() RETURNS void LANGUAGE c AS 'apikeys', 'apikeys_key_deleted';
SELECT pg_temp.key_deleted();
-- A function that is declared in another way than the extension does is an error.
CREATE FUNCTION pg_temp.limits_status() RETURNS integer LANGUAGE c AS 'apikeys', 'apikeys_limits_status';
SELECT pg_temp.limits_status();
CREATE FUNCTION pg_temp.no_verb() RETURNS boolean LANGUAGE c AS 'apikeys', 'apikeys_door';
SELECT pg_temp.no_verb();

-- What somebody else's trigger raises while a key is made is raised as it is.
CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this key' USING ERRCODE = 'unique_violation'; END $$;
BEGIN;
CREATE TRIGGER refuse BEFORE INSERT ON apikeys.key FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
SELECT apikeys.create_key(:'org', 'Refused', '{ORG_READ_ONLY}');
ROLLBACK;

-- A table of the extension that is not there by its name is told, also at the next call,
-- and found again.
BEGIN;
ALTER TABLE apikeys.token_key RENAME TO regress_corner;
SAVEPOINT s;
SELECT apikeys.decide('regress_corner', 'a secret', NULL, 'organization.read');
ROLLBACK TO s;
SELECT apikeys.decide('regress_corner', 'a secret', NULL, 'organization.read');
ROLLBACK;
SELECT reason FROM apikeys.decide('regress_corner', 'a secret', NULL, 'organization.read');

-- A PostgreSQL role that was renamed is removed by either name, and restored whatever its
-- name is now.  Who leaves ends no other's membership.
CREATE ROLE regress_apikeys_corner_renamed;
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_corner_renamed', 'ORG_READ_ONLY');
ALTER ROLE regress_apikeys_corner_renamed RENAME TO "regress_apikeys_corner  2";
INSERT INTO apikeys.member (organization_id, principal, database_role, role)
	VALUES (:'org', 'role:regress_apikeys_corner_old', '"regress_apikeys_corner  2"'::regrole, 'ORG_MEMBER')
	RETURNING principal, database_role;
CREATE ROLE regress_apikeys_corner_renamed;
SELECT apikeys.grant_access('regress_apikeys_corner_renamed', 'manage') \g /dev/null
SET ROLE regress_apikeys_corner_renamed;
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_corner_renamed', 'ORG_READ_ONLY');
RESET ROLE;
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_corner_renamed', 'ORG_MEMBER');
SET ROLE regress_apikeys_corner_renamed;
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_corner_renamed', 'ORG_READ_ONLY');
RESET ROLE;
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_corner_renamed', 'ORG_MEMBER'),
	apikeys.remove_member(:'org', 'role:regress_apikeys_corner_renamed', 'ORG_READ_ONLY'),
	apikeys.remove_member(:'org', 'role:regress_apikeys_corner_old', 'ORG_MEMBER');
SELECT count(*) FROM apikeys.member WHERE organization_id = :'org' AND database_role IS NOT NULL;
DROP OWNED BY regress_apikeys_corner_renamed;
DROP ROLE regress_apikeys_corner_renamed, "regress_apikeys_corner  2";

-- A public key can be a name in the path of a URL.
SELECT k, apikeys_internal.is_public_key(k) FROM unnest('{.,..,...,.a,a.,..a}'::text[]) AS k;

SELECT apikeys.delete_key(public_key) FROM apikeys.key WHERE organization_id = :'org';
SELECT apikeys.delete_project(:'one');
SELECT apikeys.delete_organization(id) FROM org \g /dev/null
DROP OWNED BY regress_apikeys_corner_service;
DROP ROLE regress_apikeys_corner_service;
