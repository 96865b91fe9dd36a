-- Nobody hands out more than he has: neither by granting a role, nor by
-- getting hold of a private key of a key that has one.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_delegation_owner;
CREATE ROLE regress_apikeys_delegation_manager;
SELECT apikeys.create_organization('regress_delegation', 'role:regress_apikeys_delegation_owner') AS org \gset
-- Manages keys and reads clusters, and that is all.
SELECT apikeys.create_role('regress_delegation_manager', 'organization',
	'{apikeys.keys.*,clusters.read}', '{apikeys.keys.*,clusters.read}', 'Manages keys.');
SELECT apikeys.create_role('regress_delegation_reader', 'organization',
	'{clusters.read}', '{clusters.read}', 'Reads clusters.');
SELECT apikeys.create_role('regress_delegation_all_readers', 'organization',
	'{*.read}', '{}', 'Reads everything.');
SELECT apikeys.create_role('regress_delegation_project_reader', 'project',
	'{}', '{clusters.read}', 'Reads clusters of a project.');

SET ROLE regress_apikeys_delegation_owner;
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_delegation_manager', 'regress_delegation_manager');
SELECT apikeys.create_project(:'org', 'a project') AS project \gset
SELECT public_key AS owner_key FROM apikeys.create_key(:'org', 'The owner''s', '{ORG_OWNER}') \gset
SELECT public_key AS mixed_key FROM apikeys.create_key(:'org', 'Reads clusters, owns a project', '{regress_delegation_reader}') \gset
SELECT apikeys.set_project_roles(:'mixed_key', :'project', '{GROUP_OWNER}');

SET ROLE regress_apikeys_delegation_manager;
-- What he has himself, he grants.
SELECT public_key AS own_key FROM apikeys.create_key(:'org', 'A reader', '{regress_delegation_reader}') \gset
SELECT apikeys.set_project_roles(:'own_key', :'project', '{regress_delegation_project_reader}');
SELECT apikeys.rotate_secret(:'own_key') IS NOT NULL AS rotated;
-- More he does not, and a wider pattern is more.
SELECT apikeys.create_key(:'org', 'More', '{regress_delegation_all_readers}');
SELECT apikeys.set_organization_roles(:'own_key', '{ORG_OWNER}');
SELECT apikeys.set_project_roles(:'own_key', :'project', '{GROUP_READ_ONLY}');
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_delegation_manager', 'ORG_OWNER');
INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (:'own_key', :'org', 'ORG_OWNER');
-- Nor does he get a private key of one that has more, in whichever way.
SELECT apikeys.principal_manages_key(k), apikeys.principal_may_issue(k)
	FROM (VALUES (1, :'own_key'), (2, :'owner_key'), (3, :'mixed_key')) AS v (n, k) ORDER BY n;
\set VERBOSITY sqlstate
SELECT apikeys.rotate_secret(:'owner_key');
SELECT apikeys.rotate_secret(:'mixed_key');
\set VERBOSITY terse
SELECT apikeys.issue_secret(:'owner_key');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	VALUES (:'owner_key', 2, ('sha256$$' || encode(sha256('mine'), 'hex'))::apikeys.secret_hash, 'mine');
UPDATE apikeys.key_secret SET public_key = :'owner_key' WHERE public_key = :'own_key';
-- He manages it all the same: it is his to disable.
SELECT apikeys.disable_key(:'owner_key');
-- Who may grant the roles may rotate.
SET ROLE regress_apikeys_delegation_owner;
SELECT apikeys.enable_key(:'owner_key');
SELECT apikeys.rotate_secret(:'owner_key') IS NOT NULL AS rotated;

RESET ROLE;
SELECT description, (SELECT array_agg(r.role ORDER BY r.role) FROM apikeys.key_role AS r WHERE r.public_key = k.public_key) AS roles,
	(SELECT count(*) FROM apikeys.key_secret AS s WHERE s.public_key = k.public_key) AS secrets
FROM apikeys.key AS k WHERE organization_id = :'org' ORDER BY description;
DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key WHERE public_key IN (:'own_key', :'owner_key', :'mixed_key');
DELETE FROM apikeys.organization WHERE id = :'org';
DELETE FROM apikeys.role WHERE name ~ '^regress_delegation';
DROP ROLE regress_apikeys_delegation_owner, regress_apikeys_delegation_manager;
