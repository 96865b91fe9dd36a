-- Many keys at once.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_steering_owner;
SELECT apikeys.grant_access('regress_apikeys_steering_owner', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_steering_admin;
SELECT apikeys.grant_access('regress_apikeys_steering_admin', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_steering_reader;
SELECT apikeys.grant_access('regress_apikeys_steering_reader', 'manage') \g /dev/null
SELECT apikeys.create_organization('regress_steering', 'role:regress_apikeys_steering_owner') AS org \gset
SELECT apikeys.create_organization('regress_steering_other') AS other_org \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_steering_admin', 'GROUP_USER_ADMIN', :'one'),
	apikeys.add_member(:'org', 'role:regress_apikeys_steering_reader', 'ORG_READ_ONLY') \g /dev/null
INSERT INTO apikeys.key (public_key, organization_id, description, created_at, created_by, expires_at) VALUES
	('regress_old', :'org', 'Old and unused', now() - interval '1 year', 'user:1', NULL),
	('regress_used', :'org', 'Old and used', now() - interval '1 year', 'user:2', now() + interval '3 days'),
	('regress_new', :'org', 'New and 100% unused', now(), 'user:1', now() + interval '30 days'),
	('regress_expired', :'org', 'Expired', now() - interval '2 years', 'user:2', now() - interval '1 day'),
	('regress_other', :'other_org', 'Another''s', now() - interval '1 year', 'user:1', now() + interval '3 days');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress_old', :'org', :'one', 'GROUP_READ_ONLY'), ('regress_used', :'org', NULL, 'ORG_MEMBER'), ('regress_used', :'org', :'one', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_used', 1, ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, '');
SELECT apikeys.authorize('regress_used', 'sesame', NULL, 'organization.read');

SET ROLE regress_apikeys_steering_owner;
SELECT public_key, description, organization, expires_at > now() AS later FROM apikeys.expiring_keys('7 days');
SELECT public_key FROM apikeys.expiring_keys('31 days');
SELECT public_key FROM apikeys.expiring_keys('0');
SET ROLE regress_apikeys_steering_admin;
SELECT public_key FROM apikeys.expiring_keys('31 days');

-- Conditions, alone and together.
SET ROLE regress_apikeys_steering_owner;
SELECT * FROM apikeys.find_keys(unused_since => now() - interval '1 month');
SELECT * FROM apikeys.find_keys(unused_since => now() + interval '1 month');
SELECT * FROM apikeys.find_keys(expiring_before => now() + interval '7 days');
SELECT * FROM apikeys.find_keys(created_by => 'user:1');
SELECT * FROM apikeys.find_keys(project => :'one');
SELECT * FROM apikeys.find_keys(description => '%100\%%');
SELECT * FROM apikeys.find_keys(organization => :'org', created_by => 'user:2', expiring_before => now());
SELECT * FROM apikeys.find_keys(organization => :'other_org');
SELECT * FROM apikeys.find_keys();
SELECT * FROM apikeys.disable_keys(dry_run => false);
SELECT * FROM apikeys.delete_keys();
-- NULL is the default.
SELECT * FROM apikeys.delete_keys(created_by => 'user:1', dry_run => NULL);

-- First dry, then not; again, and there is nothing left to do.
SELECT * FROM apikeys.disable_keys(unused_since => now() - interval '1 month');
SELECT public_key, status FROM apikeys.keys ORDER BY 1;
SELECT * FROM apikeys.disable_keys(unused_since => now() - interval '1 month', dry_run => false);
SELECT * FROM apikeys.disable_keys(unused_since => now() - interval '1 month', dry_run => false);
SELECT public_key, status FROM apikeys.keys ORDER BY 1;
SELECT * FROM apikeys.delete_keys(description => 'Exp%');
SELECT * FROM apikeys.delete_keys(description => 'Exp%', dry_run => false);
-- All or nothing: an administrator of the project manages one of its keys only.
SET ROLE regress_apikeys_steering_admin;
SELECT * FROM apikeys.delete_keys(project => :'one');
SELECT * FROM apikeys.delete_keys(project => :'one', dry_run => false);
SET ROLE regress_apikeys_steering_reader;
SELECT * FROM apikeys.disable_keys(organization => :'org', dry_run => false);
SET ROLE regress_apikeys_steering_owner;
SELECT public_key, status FROM apikeys.keys ORDER BY 1;

-- A role that reads no table is told so, where a plan for few of many organizations
-- would call a function that it may not call.
RESET ROLE;
CREATE ROLE regress_apikeys_steering_decider;
SELECT apikeys.grant_access('regress_apikeys_steering_decider', 'decide');
INSERT INTO apikeys.organization (name) SELECT 'regress_steering_' || i FROM generate_series(1, 40) AS i;
INSERT INTO apikeys.key (public_key, organization_id, description)
	SELECT 'regress_steering_' || i, apikeys.organization('regress_steering_' || i % 40 + 1), 'One of many' FROM generate_series(1, 4000) AS i;
VACUUM ANALYZE apikeys.key, apikeys.organization;
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_steering_decider', 'ORG_OWNER');
SET ROLE regress_apikeys_steering_decider;
SELECT count(*) FROM apikeys.key;
RESET ROLE;
DELETE FROM apikeys.key WHERE public_key LIKE 'regress_steering_%';
DELETE FROM apikeys.organization WHERE name LIKE 'regress_steering_%' AND id <> :'other_org';
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_steering_decider', 'ORG_OWNER');
DROP OWNED BY regress_apikeys_steering_decider;
DROP ROLE regress_apikeys_steering_decider;

RESET ROLE;
DELETE FROM apikeys.key WHERE organization_id IN (:'org', :'other_org');
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress%';
DELETE FROM apikeys.organization WHERE id IN (:'org', :'other_org');
DROP OWNED BY regress_apikeys_steering_owner, regress_apikeys_steering_admin, regress_apikeys_steering_reader;
DROP ROLE regress_apikeys_steering_owner, regress_apikeys_steering_admin, regress_apikeys_steering_reader;
