-- Why a key is allowed or denied, for principals that read it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_explain_admin;
SELECT apikeys.grant_access('regress_apikeys_explain_admin', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_explain_guest;
SELECT apikeys.grant_access('regress_apikeys_explain_guest', 'manage') \g /dev/null
SELECT apikeys.create_organization('regress_explain') AS org \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT apikeys.create_project(:'org', 'two') AS two \gset
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_explain_admin', 'GROUP_USER_ADMIN', :'one');
INSERT INTO apikeys.key (public_key, organization_id, description, access_list) VALUES
	('regress_explain', :'org', 'A key', '{10.0.0.0/8,10.1.0.0/16,2001:db8::/32}'), ('regress_explain_open', :'org', 'Without anything', '{}');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES
	('regress_explain', 1, ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, 'same');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES
	('regress_explain', :'org', NULL, 'ORG_READ_ONLY'), ('regress_explain', :'org', NULL, 'ORG_BILLING_ADMIN'), ('regress_explain', :'org', :'one', 'GROUP_BACKUP_ADMIN');

-- What passes: the most specific entry, the role and its permission.
SELECT * FROM apikeys.explain_authorize('regress_explain', '10.1.2.3', 'backups.create', :'one');
SELECT * FROM apikeys.explain_authorize('regress_explain', '::ffff:10.2.3.4', 'clusters.read', :'two') WHERE check_name IN ('address_denied', 'scope_denied');
SELECT * FROM apikeys.explain_authorize('regress_explain', '2001:db8::1', 'billing.pay') WHERE check_name IN ('address_denied', 'scope_denied');
-- What does not; each check by itself.
UPDATE apikeys.organization SET require_access_list = true WHERE id = :'org';
SELECT * FROM apikeys.explain_authorize('regress_explain', '192.0.2.1', 'backups.create', :'two');
SELECT * FROM apikeys.explain_authorize('regress_explain_open', '192.0.2.1', 'backups.create');
SELECT * FROM apikeys.explain_authorize('regress_explain', NULL, NULL, '00000000-0000-0000-0000-000000000000') WHERE NOT passed;
SELECT * FROM apikeys.explain_authorize('regress_explain', '10.0.0.1', 'backups.create', '00000000-0000-0000-0000-000000000000') WHERE NOT passed;
SELECT apikeys.disable_key('regress_explain');
UPDATE apikeys.key SET expires_at = '2001-02-03 04:05:06+00' WHERE public_key = 'regress_explain';
UPDATE apikeys.key_secret SET expires_at = now() WHERE public_key = 'regress_explain';
SET timezone = 'UTC';
SELECT check_name, detail FROM apikeys.explain_authorize('regress_explain', '10.0.0.1', 'clusters.read') WHERE NOT passed;
-- A long list is shown in part.
UPDATE apikeys.key SET access_list = ARRAY(SELECT set_masklen('10.0.0.0'::inet + 256 * n, 24)::cidr FROM generate_series(1, 30) AS n) WHERE public_key = 'regress_explain';
SELECT detail FROM apikeys.explain_authorize('regress_explain', '192.0.2.1', 'clusters.read') WHERE check_name = 'address_denied';
-- It says what a decision does, whatever is asked.
UPDATE apikeys.key SET disabled_at = NULL, expires_at = NULL, access_list = '{10.0.0.0/8}' WHERE public_key = 'regress_explain';
UPDATE apikeys.key_secret SET expires_at = NULL WHERE public_key = 'regress_explain';
SELECT count(*) AS asked, count(*) FILTER (WHERE d.reason <> coalesce(e.reason, 'ok')) AS different
FROM (VALUES ('10.0.0.1'::inet), ('192.0.2.1'), (NULL)) AS a (ip),
	(VALUES ('clusters.read'), ('billing.pay'), ('backups.create'), ('no'), (NULL)) AS s (scope),
	(VALUES (:'one'::uuid), (:'two'), (NULL), ('00000000-0000-0000-0000-000000000000')) AS p (project),
	LATERAL apikeys.decide('regress_explain', 'sesame', ip, scope, project) AS d,
	LATERAL (SELECT (array_agg(check_name ORDER BY ordinality) FILTER (WHERE NOT passed))[1] AS reason
		FROM apikeys.explain_authorize('regress_explain', ip, scope, project) WITH ORDINALITY) AS e;

-- Who may call it.
SET ROLE regress_apikeys_explain_admin;
SELECT check_name, detail FROM apikeys.explain_authorize('regress_explain', '10.0.0.1', 'clusters.read', :'two') WHERE check_name = 'scope_denied';
SELECT * FROM apikeys.explain_authorize('regress_explain_open', '10.0.0.1', 'clusters.read');
-- What is held where the caller reads no keys is not named, whether it permits the
-- scope or not; a reader of the whole organization sees it.
RESET ROLE;
SELECT FROM apikeys.set_organization_roles('regress_explain', '{ORG_BILLING_ADMIN}', '{data.find}');
SELECT FROM apikeys.set_project_roles('regress_explain', :'two', '{GROUP_MONITORING_ADMIN}');
SELECT FROM apikeys.set_project_roles('regress_explain', :'one', '{GROUP_BACKUP_ADMIN}');
SET ROLE regress_apikeys_explain_admin;
SELECT p.n, e.passed, e.detail FROM (VALUES (1, 'billing.pay', NULL), (2, 'data.find', NULL), (3, 'no', NULL),
		(4, 'data.find', :'two'), (5, 'monitoring.create', :'two'), (6, 'no', :'two'), (7, 'no', :'one'), (8, 'backups.create', :'one'))
	AS p (n, scope, project), LATERAL apikeys.explain_authorize('regress_explain', '10.0.0.1', p.scope, p.project::uuid) AS e
	WHERE e.check_name = 'scope_denied' ORDER BY p.n;
RESET ROLE;
SELECT p.n, e.passed, e.detail FROM (VALUES (1, 'billing.pay', NULL), (2, 'data.find', NULL), (3, 'no', NULL),
		(4, 'data.find', :'two'), (5, 'monitoring.create', :'two'), (6, 'no', :'two'), (7, 'no', :'one'), (8, 'backups.create', :'one'))
	AS p (n, scope, project), LATERAL apikeys.explain_authorize('regress_explain', '10.0.0.1', p.scope, p.project::uuid) AS e
	WHERE e.check_name = 'scope_denied' ORDER BY p.n;
SET ROLE regress_apikeys_explain_guest;
SELECT * FROM apikeys.explain_authorize('regress_explain', '10.0.0.1', 'clusters.read');
SELECT * FROM apikeys.explain_authorize('regress_explain_no', '10.0.0.1', 'clusters.read');
RESET ROLE;
\set VERBOSITY sqlstate
SELECT * FROM apikeys.explain_authorize('regress_explain_no', '10.0.0.1', 'clusters.read');
\set VERBOSITY default
SELECT * FROM apikeys.explain_authorize(NULL, '10.0.0.1', 'clusters.read');
SELECT * FROM apikeys.explain_authorize('regress_explain', '10.0.0.1', 'no  scope');
-- Of a key whose image is lost it says as little as of one that is not there.
RESET ROLE;
\set VERBOSITY sqlstate
DELETE FROM apikeys.key_image WHERE public_key = 'regress_explain';
SELECT * FROM apikeys.explain_authorize('regress_explain', '10.0.0.1', 'clusters.read');
\set VERBOSITY default
SELECT apikeys.rebuild_images() > 0 AS rebuilt;
SELECT count(*) > 0 AS explained FROM apikeys.explain_authorize('regress_explain', '10.0.0.1', 'clusters.read');
-- Nothing is counted.
SELECT denial_count FROM apikeys.usage WHERE public_key = 'regress_explain_open';

DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.organization WHERE id = :'org';
DROP OWNED BY regress_apikeys_explain_admin, regress_apikeys_explain_guest;
DROP ROLE regress_apikeys_explain_admin, regress_apikeys_explain_guest;
