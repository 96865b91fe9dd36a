-- demo.sql: the life of an organization's API keys, told step by step; run by
-- "make demo" in an empty database of a server that is thrown away.
--
-- Each statement is printed before it runs, with the variables filled in, so
-- that it can be copied and tried again.

\set ON_ERROR_STOP on
\set QUIET on
\pset pager off
\pset footer off
\pset null '-'
\pset linestyle ascii
\pset border 1
\pset format wrapped
\pset columns 99
\set SHOW_CONTEXT never
-- Results that say nothing, and errors that belong to the story.
\set without_result '\\o /dev/null'
\set with_result '\\o'
\set refused_begin '\\set ON_ERROR_STOP off'
\set refused_end '\\set ON_ERROR_STOP on'

\echo
\echo '=== 1. An organization ======================================================================'
\echo
\echo 'The extension, and three PostgreSQL roles: the owner of an organization, the application'
\echo 'that serves requests, and a guest. Nothing is granted to PUBLIC: the application is granted'
\echo 'decisions and acts for its users; the members below decide who manages what.'
\echo
\set ECHO queries
CREATE EXTENSION apikeys;
CREATE ROLE demo_owner LOGIN;
CREATE ROLE demo_app LOGIN;
CREATE ROLE demo_guest LOGIN;
SELECT apikeys.grant_access('demo_app', 'decide', 'manage', 'impersonate');
SELECT apikeys.grant_access('demo_owner', 'manage');
SELECT apikeys.grant_access('demo_guest', 'manage');
\set ECHO none

\echo
\echo 'Acme is created for its owner, who creates two projects. User 42, who has no PostgreSQL role and'
\echo 'uses the application, manages the keys of one of them.'
\echo
\set ECHO queries
SELECT apikeys.create_organization('Acme', 'role:demo_owner');
SET ROLE demo_owner;
SELECT apikeys.create_project(apikeys.organization('Acme'), 'production');
SELECT apikeys.create_project(apikeys.organization('Acme'), 'staging');
:without_result
SELECT apikeys.add_member(apikeys.organization('Acme'), 'user:42', 'GROUP_USER_ADMIN',
	apikeys.project('Acme', 'staging'));
:with_result
SELECT m.principal, m.role, coalesce(p.name, '(the organization)') AS "in"
FROM apikeys.member AS m LEFT JOIN apikeys.project AS p ON p.id = m.project_id;
\set ECHO none

\echo
\echo '=== 2. Three keys ==========================================================================='
\echo
\echo 'A key has a public key, which is its name, and a private key, which is shown only once: the'
\echo 'database stores only its hash. Table client stands for the places where clients store their'
\echo 'keys.'
\echo
\set ECHO queries
RESET ROLE;
CREATE TABLE client (name text PRIMARY KEY, public_key text, private_key text);
GRANT ALL ON client TO demo_owner, demo_app;
\set ECHO none

\echo
\echo 'One key reads everything in Acme; one is for production, from two networks only.'
\echo
\set ECHO queries
SET ROLE demo_owner;
INSERT INTO client SELECT 'reports', public_key, private_key FROM apikeys.create_key(
	apikeys.organization('Acme'), 'Monthly reports', '{ORG_READ_ONLY}');
INSERT INTO client SELECT 'deploy', public_key, private_key FROM apikeys.create_project_key(
	apikeys.project('Acme', 'production'), 'Deployments', '{GROUP_AUTOMATION_ADMIN}',
	access_list => '{203.0.113.0/24, 2001:db8::/32}');
\set ECHO none

\echo
\echo 'User 42 creates one for staging. The application names the acting user, until the end of the'
\echo 'transaction; the roles of the user decide what the user may do.'
\echo
\set ECHO queries
SET ROLE demo_app;
BEGIN;
:without_result
SELECT apikeys.act_as('user:42');
:with_result
INSERT INTO client SELECT 'backup', public_key, private_key FROM apikeys.create_project_key(
	apikeys.project('Acme', 'staging'), 'Nightly backup', '{GROUP_BACKUP_ADMIN}');
COMMIT;
TABLE client;
\set ECHO none

\echo '=== 3. A day of requests ===================================================================='
\echo
\echo 'For each request, the application asks: may this key, with this secret, from this address,'
\echo 'do this in this project? authorize returns yes or no, decide returns the reason.'
\echo
SELECT public_key AS deploy_public, private_key AS deploy_private FROM client WHERE name = 'deploy' \gset
SELECT public_key AS reports_public FROM client WHERE name = 'reports' \gset
SELECT public_key AS backup_public FROM client WHERE name = 'backup' \gset
SET ROLE demo_owner;
SELECT apikeys.project('Acme', 'production') AS production, apikeys.project('Acme', 'staging') AS staging \gset
\set ECHO queries
SET ROLE demo_app;
SELECT apikeys.authorize(
	:'deploy_public', :'deploy_private',
	'203.0.113.7', 'clusters.create', :'production');
SELECT allowed, reason, address, network FROM apikeys.decide(
	:'deploy_public', :'deploy_private',
	'198.51.100.9', 'clusters.create', :'production');
\set ECHO none

\echo 'The network is the matching entry of the access list. Now the whole day:'
\echo
RESET ROLE;
CREATE TABLE request (at time, client text, ip inet, scope text, project text, project_id uuid, with_secret text);
GRANT SELECT ON request TO demo_app;
INSERT INTO request
	SELECT r.at::time, r.client, r.ip::inet, r.scope, r.project,
		CASE r.project WHEN 'production' THEN :'production' ELSE :'staging' END::uuid, r.with_secret
	FROM (VALUES
		('08:00', 'reports', '198.51.100.7', 'clusters.read', 'production', 'own'),
		('08:01', 'reports', '198.51.100.7', 'clusters.read', 'staging', 'own'),
		('08:02', 'reports', '198.51.100.7', 'clusters.create', 'production', 'own'),
		('09:00', 'deploy', '203.0.113.7', 'clusters.create', 'production', 'own'),
		('09:01', 'deploy', '::ffff:203.0.113.8', 'clusters.create', 'production', 'own'),
		('09:02', 'deploy', '2001:db8::17', 'clusters.create', 'production', 'own'),
		('09:03', 'deploy', '198.51.100.9', 'clusters.create', 'production', 'own'),
		('09:04', 'deploy', NULL, 'clusters.create', 'production', 'own'),
		('09:05', 'deploy', '203.0.113.7', 'clusters.create', 'staging', 'own'),
		('09:06', 'deploy', '203.0.113.7', 'clusters.create', 'production', 'mistyped'),
		('10:00', 'stranger', '192.0.2.66', 'clusters.read', 'production', 'made up'),
		('22:00', 'backup', '192.0.2.33', 'backups.create', 'staging', 'own'),
		('22:01', 'backup', '192.0.2.33', 'backups.create', 'production', 'own')
	) AS r (at, client, ip, scope, project, with_secret);
SET ROLE demo_app;
\set ECHO queries
SELECT to_char(r.at, 'HH24:MI') AS at, r.client, r.with_secret AS secret,
	r.ip, r.scope, r.project, d.reason
FROM request AS r
	LEFT JOIN client AS c ON c.name = r.client
	CROSS JOIN LATERAL apikeys.decide(coalesce(c.public_key, 'ak_pub_0000000000000000'),
		CASE r.with_secret WHEN 'own' THEN c.private_key ELSE 'mistyped' END,
		r.ip, r.scope, r.project_id) AS d
ORDER BY r.at;
\set ECHO none

\echo 'A client that has not proved a secret must learn nothing: the application returns the same'
\echo 'response for wrong_secret and unknown_key.'
\echo
\echo '=== 4. View details ========================================================================='
\echo
\echo 'The owner sees the keys, when and from where they were last used, and only the last'
\echo 'characters of a private key.'
\echo
\set ECHO queries
SET ROLE demo_owner;
\x on
SELECT * FROM apikeys.keys WHERE description = 'Deployments';
\x off
SELECT network, use_count, last_used_at, last_used_address
FROM apikeys.access_list_entries WHERE public_key = :'deploy_public';
\set ECHO none

\echo 'Each use is counted in memory, and a worker writes the counts: no request waits for that.'
\echo
\echo 'User 42 sees the keys of one project, and no others. "reports" has its role in the organization.'
\echo
\set ECHO queries
SET ROLE demo_app;
BEGIN;
:without_result
SELECT apikeys.act_as('user:42');
:with_result
SELECT public_key, private_key, description, projects -> 0 ->> 'name' AS project
FROM apikeys.keys;
COMMIT;
\set ECHO none
\echo

\echo '=== 5. Changes, which hold from the next request on ========================================='
\echo
\echo 'From here on, single requests are tried with:'
\echo
\set ECHO queries
PREPARE try (text, inet, text, uuid) AS
SELECT c.name AS client, $2 AS ip, $3 AS scope, d.allowed, d.reason
FROM client AS c CROSS JOIN LATERAL apikeys.decide(c.public_key, c.private_key, $2, $3, $4) AS d
WHERE c.name = $1;
\set ECHO none

\echo
\echo 'Other roles: the deployments may only read in production, and continue in staging.'
\echo
\set ECHO queries
SET ROLE demo_owner;
:without_result
SELECT apikeys.set_project_roles(:'deploy_public',
	apikeys.project('Acme', 'production'), '{GROUP_READ_ONLY}');
SELECT apikeys.set_project_roles(:'deploy_public',
	apikeys.project('Acme', 'staging'), '{GROUP_AUTOMATION_ADMIN}');
:with_result
SET ROLE demo_app;
EXECUTE try('deploy', '203.0.113.7', 'clusters.create', :'production');
EXECUTE try('deploy', '203.0.113.7', 'clusters.create', :'staging');
\set ECHO none

\echo 'Removed from production, the key stays in staging.'
\echo
\set ECHO queries
SET ROLE demo_owner;
:without_result
SELECT apikeys.remove_from_project(:'deploy_public',
	apikeys.project('Acme', 'production'));
:with_result
SET ROLE demo_app;
EXECUTE try('deploy', '203.0.113.7', 'clusters.read', :'production');
EXECUTE try('deploy', '203.0.113.7', 'clusters.read', :'staging');
\set ECHO none

\echo 'Another access list: one of the two networks is removed.'
\echo
\set ECHO queries
SET ROLE demo_owner;
:without_result
SELECT apikeys.remove_from_access_list(:'deploy_public', '2001:db8::/32');
:with_result
SET ROLE demo_app;
EXECUTE try('deploy', '2001:db8::17', 'clusters.read', :'staging');
\set ECHO none

\echo 'Acme requires an access list for every key. "reports" has none, and is denied.'
\echo
\set ECHO queries
SET ROLE demo_owner;
SELECT apikeys.set_organization_policy(apikeys.organization('Acme'), require_access_list => true);
SET ROLE demo_app;
EXECUTE try('reports', '198.51.100.7', 'clusters.read', :'production');
SET ROLE demo_owner;
:without_result
SELECT apikeys.add_to_access_list(:'reports_public', '198.51.100.0/24', '192.0.2.1');
:with_result
SET ROLE demo_app;
EXECUTE try('reports', '198.51.100.7', 'clusters.read', :'production');
\set ECHO none

\echo 'A new private key: the old one, which we have saved, fails at once. (With an overlap, it'
\echo 'would stay valid for some time.)'
\echo
\set ECHO queries
SET ROLE demo_owner;
INSERT INTO client SELECT 'old reports', public_key, private_key
	FROM client WHERE name = 'reports';
UPDATE client SET private_key = apikeys.rotate_secret(public_key) WHERE name = 'reports';
SET ROLE demo_app;
EXECUTE try('old reports', '198.51.100.7', 'clusters.read', :'production');
EXECUTE try('reports', '198.51.100.7', 'clusters.read', :'production');
\set ECHO none

\echo 'A key is disabled; later it gets the access list that Acme requires, and is enabled again.'
\echo
\set ECHO queries
SET ROLE demo_owner;
:without_result
SELECT apikeys.disable_key(:'backup_public');
:with_result
SET ROLE demo_app;
EXECUTE try('backup', '192.0.2.33', 'backups.create', :'staging');
SET ROLE demo_owner;
:without_result
SELECT apikeys.update_key(:'backup_public', access_list => '{192.0.2.32/27}');
SELECT apikeys.enable_key(:'backup_public');
:with_result
SET ROLE demo_app;
EXECUTE try('backup', '192.0.2.33', 'backups.create', :'staging');
\set ECHO none

\echo 'The key expires.'
\echo
\set ECHO queries
SET ROLE demo_owner;
:without_result
SELECT apikeys.update_key(:'backup_public', expires_at => now());
:with_result
SET ROLE demo_app;
EXECUTE try('backup', '192.0.2.33', 'backups.create', :'staging');
\set ECHO none

\echo 'The key is deleted: its public key is never reused.'
\echo
\set ECHO queries
SET ROLE demo_owner;
:without_result
SELECT apikeys.delete_key(:'backup_public');
:with_result
SET ROLE demo_app;
EXECUTE try('backup', '192.0.2.33', 'backups.create', :'staging');
\set ECHO none

\echo '=== 6. Tables of your own ==================================================================='
\echo
\echo 'A policy asks which key is bound to the transaction, and what it may do.'
\echo
\set ECHO queries
RESET ROLE;
CREATE TABLE cluster (name text, organization_id uuid, project_id uuid);
INSERT INTO cluster
	SELECT p.name || '-' || n, p.organization_id, p.id FROM apikeys.project AS p, generate_series(1, 2) AS n;
GRANT SELECT ON cluster TO demo_app;
ALTER TABLE cluster ENABLE ROW LEVEL SECURITY;
CREATE POLICY reader ON cluster FOR SELECT USING (
	organization_id = (SELECT apikeys.current_organization())
	AND apikeys.permits('clusters.read', project_id));
\set ECHO none

\echo
\echo '"deploy" is of staging, "reports" of all Acme; and with no key there is nothing to see.'
\echo
SELECT private_key AS reports_private FROM client WHERE name = 'reports' \gset
\set ECHO queries
SET ROLE demo_app;
SELECT count(*) FROM cluster;
BEGIN;
:without_result
SELECT apikeys.authenticate(:'deploy_public', :'deploy_private', '203.0.113.7');
:with_result
SELECT name FROM cluster ORDER BY name;
COMMIT;
BEGIN;
:without_result
SELECT apikeys.authenticate(:'reports_public', :'reports_private', '198.51.100.7');
:with_result
SELECT name FROM cluster ORDER BY name;
COMMIT;
\set ECHO none

\echo '=== 7. Who may not =========================================================================='
\echo
\echo 'User 42 manages staging. User 42 does not see a key of the whole organization, and cannot'
\echo 'delete it; nor grant roles in the organization. (The errors are expected.)'
\echo
:refused_begin
\set ECHO queries
BEGIN;
:without_result
SELECT apikeys.act_as('user:42');
SELECT apikeys.delete_key(:'reports_public');
ROLLBACK;
BEGIN;
SELECT apikeys.act_as('user:42');
SELECT apikeys.set_organization_roles(:'deploy_public', '{ORG_OWNER}');
:with_result
ROLLBACK;
\set ECHO none

\echo
\echo 'A guest sees no key and cannot change one in any way; and not even the owner reads the'
\echo 'hash of a secret.'
\echo
\set ECHO queries
SET ROLE demo_guest;
SELECT count(*) FROM apikeys.keys;
UPDATE apikeys.key SET access_list = '{}' RETURNING public_key;
:without_result
SELECT apikeys.delete_key(:'deploy_public');
SET ROLE demo_owner;
SELECT hash FROM apikeys.key_secret;
:with_result
\set ECHO none
:refused_end

\echo
\echo '=== 8. Go on from here ======================================================================'
\echo
\echo 'The result:'
\echo
\set ECHO queries
SET ROLE demo_owner;
SELECT public_key, description, status, access_list FROM apikeys.keys ORDER BY description;
SELECT name AS project, id FROM apikeys.project ORDER BY name;
SET ROLE demo_app;
SELECT name AS client, public_key, private_key FROM client WHERE public_key IN
	(:'deploy_public', :'reports_public') ORDER BY name;
\set ECHO none
\echo 'Statements to try in psql:'
\echo
\echo '    SET ROLE demo_owner;                          -- the owner of Acme; also demo_app, demo_guest'
\echo '    SELECT * FROM apikeys.keys \\gx                -- "View details" of every key that you see'
\echo '    SELECT * FROM apikeys.create_key(apikeys.organization(''Acme''), ''My key'', ''{ORG_OWNER}'');'
\echo '    SELECT name, level, description FROM apikeys.role;'
\echo '    RESET ROLE;                                   -- the superuser again'
\echo '    SELECT d.* FROM client, apikeys.decide(public_key, private_key, ''198.51.100.7'','
\echo '        ''clusters.read'', apikeys.project(''Acme'', ''production'')) AS d WHERE name = ''reports'';'
\echo '    SELECT * FROM apikeys.help();                 -- what people come for, and the call for it'
\echo '    \\df+ apikeys.*                                -- what else there is'
\echo
\echo 'Shortcuts with tables that fit the screen (:apikeys lists them all):'
\echo
\echo '    \\i test/demo/apikeys.psql'
\echo '    :keys'
