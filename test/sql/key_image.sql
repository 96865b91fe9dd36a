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

-- As rows arrive by logical replication.
SET session_replication_role = replica;
UPDATE apikeys.key SET disabled_at = now() WHERE public_key = :'key';
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (:'key', :'org', 'ORG_MEMBER');
RESET session_replication_role;
SELECT disabled, organization_roles FROM apikeys.key_image WHERE public_key = :'key';
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
ALTER TABLE apikeys.key ENABLE ALWAYS TRIGGER key_changed, ENABLE ALWAYS TRIGGER key_truncated;
ALTER TABLE apikeys.key_secret ENABLE ALWAYS TRIGGER key_secret_changed, ENABLE ALWAYS TRIGGER key_secret_truncated;
TABLE difference;
SELECT reason FROM apikeys.decide('regress_image', 'a secret', NULL, 'a');
SELECT apikeys.rebuild_images();
TABLE difference;
SELECT reason FROM apikeys.decide('regress_image', 'a secret', NULL, 'a');

-- A damaged image is an error, and no answer.
UPDATE apikeys.key_image SET secret_expirations = '{}' WHERE public_key = 'regress_image';
SELECT apikeys.authorize('regress_image', 'a secret', NULL, 'a');
SELECT apikeys.rebuild_images();

DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key;
DELETE FROM apikeys.organization WHERE id = :'org';
