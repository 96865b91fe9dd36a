-- The images of keys, from which decisions are made, say what the tables say,
-- whichever way those are changed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;

CREATE TEMP VIEW difference AS
	SELECT count(*) AS differences
	FROM (SELECT public_key, i::text AS row FROM apikeys.key_image AS i) AS i
		FULL JOIN (SELECT public_key, s::text AS row FROM apikeys.key_image_source AS s) AS s USING (public_key)
	WHERE i.row IS DISTINCT FROM s.row;

SELECT apikeys.create_organization('regress_image', 'user:regress_image') AS org \gset
SELECT apikeys.create_project(:'org', 'a project') AS project \gset
SELECT public_key AS key FROM apikeys.create_project_key(:'project', 'a key', '{GROUP_OWNER,GROUP_READ_ONLY}') \gset
SELECT disabled, expires_at, access_list, cardinality(secrets) AS secrets, secret_expirations,
	organization_roles, project_roles, projects = ARRAY[:'project', :'project']::uuid[] AS projects
FROM apikeys.key_image WHERE public_key = :'key';
TABLE difference;

-- A project that is deleted takes its roles along.
SELECT apikeys.delete_project(:'project');
SELECT project_roles, projects FROM apikeys.key_image WHERE public_key = :'key';
TABLE difference;

-- A rolled-back change leaves nothing behind.
BEGIN;
DELETE FROM apikeys.key_secret WHERE public_key = :'key';
UPDATE apikeys.key SET public_key = 'regress_image', expires_at = '2001-01-01' WHERE public_key = :'key';
SELECT public_key, secrets, expires_at = '2001-01-01' AS expired FROM apikeys.key_image WHERE public_key IN ('regress_image', :'key');
TABLE difference;
ROLLBACK;
SELECT cardinality(secrets) AS secrets, expires_at FROM apikeys.key_image WHERE public_key = :'key';
TABLE difference;

-- Several tables in one query, with what a function does in the middle of it,
-- and with what is deleted along.
CREATE FUNCTION pg_temp.grant_role(key text, role text) RETURNS text LANGUAGE sql VOLATILE AS $$
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, grant_role.role FROM apikeys.key WHERE public_key = grant_role.key RETURNING role $$;
SELECT apikeys.create_project(:'org', 'one') AS one, apikeys.create_project(:'org', 'two') AS two \gset
WITH k AS (INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'regress_image_' || n, :'org', 'a key' FROM generate_series(1, 3) AS n),
	r AS (INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
		SELECT 'regress_image_' || n, :'org', p, 'GROUP_OWNER' FROM generate_series(1, 3) AS n, unnest(ARRAY[:'one', :'two', NULL]::uuid[]) AS p WHERE p IS NOT NULL)
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	SELECT 'regress_image_' || n, v, ('sha256$$' || encode(sha256(format('%s %s', n, v)::bytea), 'hex'))::apikeys.secret_hash, '' FROM generate_series(1, 3) AS n, generate_series(1, 2) AS v;
SELECT public_key, cardinality(secrets) AS secrets, project_roles FROM apikeys.key_image WHERE public_key LIKE 'regress_image_%' ORDER BY 1;
TABLE difference;
INSERT INTO apikeys.key_role (public_key, organization_id, role)
	SELECT public_key, organization_id, replace(pg_temp.grant_role(public_key, 'ORG_MEMBER'), 'MEMBER', 'READ_ONLY') FROM apikeys.key WHERE public_key LIKE 'regress_image_%';
SELECT public_key, organization_roles FROM apikeys.key_image WHERE public_key LIKE 'regress_image_%' ORDER BY 1;
TABLE difference;
WITH p AS (DELETE FROM apikeys.project WHERE id = :'two'),
	r AS (INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) SELECT public_key, :'org', :'one', 'GROUP_READ_ONLY' FROM apikeys.key WHERE public_key LIKE 'regress_image_%'),
	s AS (DELETE FROM apikeys.key_secret WHERE version = 1),
	k AS (UPDATE apikeys.key SET disabled_at = now() WHERE public_key = 'regress_image_1')
UPDATE apikeys.key_secret SET expires_at = '2999-01-01 00:00:00+00' WHERE version = 2 AND public_key = 'regress_image_2';
SELECT public_key, disabled, cardinality(secrets) AS secrets, project_roles FROM apikeys.key_image WHERE public_key LIKE 'regress_image_%' ORDER BY 1;
TABLE difference;
DELETE FROM apikeys.key_role WHERE public_key = 'regress_image_2';
DELETE FROM apikeys.key_secret WHERE public_key = 'regress_image_2';
MERGE INTO apikeys.key AS k USING (VALUES ('regress_image_1', 1), ('regress_image_2', 2), ('regress_image_4', 3)) AS v (key, n) ON k.public_key = v.key
	WHEN MATCHED AND n = 1 THEN DELETE
	WHEN MATCHED THEN UPDATE SET public_key = 'regress_image_5'
	WHEN NOT MATCHED THEN INSERT (public_key, organization_id, description) VALUES (key, :'org', 'merged');
SELECT public_key, cardinality(secrets) AS secrets FROM apikeys.key_image WHERE public_key LIKE 'regress_image_%' ORDER BY 1;
TABLE difference;
-- More than are made at a time.
INSERT INTO apikeys.key (public_key, organization_id, description)
	SELECT 'regress_image_many_' || n, :'org', 'a key' FROM generate_series(1, 2500) AS n;
UPDATE apikeys.key SET public_key = replace(public_key, 'many', 'lots') WHERE public_key LIKE 'regress_image_many%00';
INSERT INTO apikeys.key_role (public_key, organization_id, role)
	SELECT public_key, :'org', 'ORG_MEMBER' FROM apikeys.key WHERE public_key LIKE 'regress_image_many%' ORDER BY md5(public_key);
TABLE difference;
SELECT count(*), min(organization_roles), max(organization_roles) FROM apikeys.key_image WHERE public_key LIKE 'regress_image_many%';
DELETE FROM apikeys.key WHERE public_key LIKE 'regress_image_%';
SELECT count(*) AS images FROM apikeys.key_image WHERE public_key LIKE 'regress_image_%';
TABLE difference;

-- As rows arrive by logical replication.
SET session_replication_role = replica;
UPDATE apikeys.key SET disabled_at = now() WHERE public_key = :'key';
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (:'key', :'org', 'ORG_MEMBER');
RESET session_replication_role;
SELECT disabled, organization_roles FROM apikeys.key_image WHERE public_key = :'key';
TABLE difference;
-- Rows of one key that change in a statement, and in subtransactions, of which one is
-- rolled back.
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (:'key', :'org', 'ORG_READ_ONLY');
UPDATE apikeys.key_role SET role = CASE role WHEN 'ORG_MEMBER' THEN 'ORG_BILLING_ADMIN' ELSE 'ORG_BILLING_READ_ONLY' END WHERE public_key = :'key';
SAVEPOINT one;
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (:'key', :'org', 'ORG_OWNER');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT organization_roles FROM apikeys.key_image WHERE public_key = :'key';
ROLLBACK TO one;
SELECT organization_roles FROM apikeys.key_image WHERE public_key = :'key';
SET CONSTRAINTS ALL IMMEDIATE;
SAVEPOINT two;
DELETE FROM apikeys.key_role WHERE public_key = :'key' AND role = 'ORG_BILLING_ADMIN';
SELECT organization_roles FROM apikeys.key_image WHERE public_key = :'key';
RELEASE two;
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (:'key', :'org', 'ORG_MEMBER');
COMMIT;
SELECT organization_roles FROM apikeys.key_image WHERE public_key = :'key';
TABLE difference;

-- Tables that are emptied.
TRUNCATE apikeys.key_role;
SELECT organization_roles FROM apikeys.key_image WHERE public_key = :'key';
TABLE difference;
TRUNCATE apikeys.key CASCADE;
SELECT count(*) AS images FROM apikeys.key_image;
TABLE difference;

-- With triggers disabled nothing is noticed, until the images are made again:
-- a key that came in meanwhile is refused.
ALTER TABLE apikeys.key DISABLE TRIGGER ALL;
ALTER TABLE apikeys.key_secret DISABLE TRIGGER ALL;
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_image', :'org', 'a key');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	VALUES ('regress_image', 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, '');
ALTER TABLE apikeys.key ENABLE TRIGGER ALL;
ALTER TABLE apikeys.key_secret ENABLE TRIGGER ALL;
-- These are ordinary triggers now, and those of another table still disabled.
ALTER TABLE apikeys.key_role DISABLE TRIGGER ALL;
SELECT c FROM apikeys_internal.trigger_changes() AS c WHERE c !~ 'RI_ConstraintTrigger' ORDER BY c COLLATE "C";
SELECT count(*) FROM apikeys_internal.trigger_changes() AS c WHERE c ~ 'RI_ConstraintTrigger';
SELECT advice FROM apikeys.status();
SELECT value FROM apikeys.metrics() WHERE name = 'apikeys_advised';
TABLE difference;
SELECT reason FROM apikeys.decide('regress_image', 'a secret', NULL, 'a');
SELECT apikeys.rebuild_images();
SELECT count(*) FROM apikeys_internal.trigger_changes();
SELECT advice LIKE 'triggers%' AS of_triggers FROM apikeys.status();
-- Triggers of others fire as they want.
BEGIN;
CREATE FUNCTION pg_temp.nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END;$$;
CREATE TRIGGER regress_own AFTER INSERT ON apikeys.key FOR EACH ROW EXECUTE FUNCTION pg_temp.nothing();
ALTER TABLE apikeys.key DISABLE TRIGGER regress_own;
SELECT count(*) FROM apikeys_internal.trigger_changes();
ROLLBACK;
TABLE difference;
SELECT reason FROM apikeys.decide('regress_image', 'a secret', NULL, 'a');

-- A damaged image is an error, and no answer.
UPDATE apikeys.key_image SET secret_expirations = '{}' WHERE public_key = 'regress_image';
SELECT apikeys.authorize('regress_image', 'a secret', NULL, 'a');
SELECT apikeys.rebuild_images();

DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key;
DELETE FROM apikeys.organization WHERE id = :'org';
