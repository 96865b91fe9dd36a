-- Organization keys: an Organization Owner creates, views, changes and deletes
-- the keys of the organization, and no other principal does.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on

-- Acme has two projects, an owner, a plain member, one who only reads, and an
-- administrator of a project; Other has an owner, too. The application lets
-- user:1, an owner of Acme, and user:2, a plain member, act through its role.
CREATE ROLE regress_apikeys_owner;
SELECT apikeys.grant_access('regress_apikeys_owner', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_member;
SELECT apikeys.grant_access('regress_apikeys_member', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_reader;
SELECT apikeys.grant_access('regress_apikeys_reader', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_admin;
SELECT apikeys.grant_access('regress_apikeys_admin', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_other;
SELECT apikeys.grant_access('regress_apikeys_other', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_nobody;
SELECT apikeys.grant_access('regress_apikeys_nobody', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_app;
SELECT apikeys.grant_access('regress_apikeys_app', 'manage') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_app', 'decide', 'impersonate') \g /dev/null
-- Who has the owner's privileges through another role; and who has not,
-- because that role does not inherit them.
CREATE ROLE regress_apikeys_owners;
SELECT apikeys.grant_access('regress_apikeys_owners', 'manage') \g /dev/null
GRANT regress_apikeys_owner TO regress_apikeys_owners;
CREATE ROLE regress_apikeys_deputy IN ROLE regress_apikeys_owners;
SELECT apikeys.grant_access('regress_apikeys_deputy', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_apprentice NOINHERIT IN ROLE regress_apikeys_owners;
SELECT apikeys.grant_access('regress_apikeys_apprentice', 'manage') \g /dev/null

SELECT apikeys.create_organization('Acme', 'role:regress_apikeys_owner') AS acme \gset
SELECT apikeys.create_organization('Other', 'role:regress_apikeys_other') AS other \gset
SELECT apikeys.create_project(:'acme', 'Alpha') AS alpha \gset
SELECT apikeys.create_project(:'acme', 'Beta') AS beta \gset
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_member', 'ORG_MEMBER');
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_reader', 'ORG_READ_ONLY');
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_admin', 'GROUP_USER_ADMIN', :'alpha');
SELECT apikeys.add_member(:'acme', 'user:1', 'ORG_OWNER');
SELECT apikeys.add_member(:'acme', 'user:2', 'ORG_MEMBER');

-- What comes of a statement for each of those who must not do it. Whatever it
-- does is undone.
CREATE FUNCTION pg_temp.refused(statement text) RETURNS TABLE (who text, outcome text) LANGUAGE plpgsql AS $$
DECLARE
	principal text[];
	affected bigint;
BEGIN
	FOREACH principal SLICE 1 IN ARRAY ARRAY[
		['plain member', 'member', NULL], ['reader', 'reader', NULL],
		['project administrator', 'admin', NULL], ['other owner', 'other', NULL],
		['nobody', 'nobody', NULL], ['apprentice', 'apprentice', NULL],
		['application itself', 'app', NULL], ['member user', 'app', 'user:2'],
		['unknown user', 'app', 'user:regress_apikeys_owner']]
	LOOP
		who := principal[1];
		BEGIN
			PERFORM set_config('role', 'regress_apikeys_' || principal[2], true);
			IF principal[3] IS NOT NULL THEN
				PERFORM apikeys.act_as(principal[3]);
			END IF;
			EXECUTE statement;
			GET DIAGNOSTICS affected = ROW_COUNT;
			RAISE SQLSTATE 'XX999';
		EXCEPTION
			WHEN SQLSTATE 'XX999' THEN outcome := affected || ' rows';
			WHEN OTHERS THEN outcome := SQLSTATE || ': ' || SQLERRM;
		END;
		outcome := regexp_replace(outcome, 'ak_pub_[0-9A-Za-z]{16}', 'ak_pub_...');
		RETURN NEXT;
	END LOOP;
END;
$$;

-- ---------------------------------------------------------------- create a key

SET ROLE regress_apikeys_owner;
SELECT apikeys.organization('Acme') = :'acme' AS acme, apikeys.project('Acme', 'Alpha') = :'alpha' AS alpha;
SELECT public_key, private_key
FROM apikeys.create_key(apikeys.organization('Acme'), 'Nightly reports', '{ORG_READ_ONLY,ORG_BILLING_READ_ONLY}',
	access_list => '{198.51.100.0/24,2001:db8::/32}') \gset
SELECT :'public_key' ~ '^ak_pub_' AS public_key, :'private_key' ~ '^ak_sec_' AS private_key;
RESET ROLE;
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.create_key(%L, 'Key', '{ORG_READ_ONLY}')$$, :'acme'));
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.create_key(%L, 'Key', '{}')$$, :'acme'));
SELECT * FROM pg_temp.refused($$SELECT apikeys.create_key(apikeys.organization('Acme'), 'Key', '{}')$$);

-- The key works, where and for what it may.
SET ROLE regress_apikeys_app;
SELECT allowed, reason, public_key = :'public_key' AS public_key, organization_id = :'acme' AS acme, address, network
FROM apikeys.decide(:'public_key', :'private_key', '198.51.100.7', 'clusters.read', :'alpha');
SELECT reason, address, network FROM apikeys.decide(:'public_key', :'private_key', '203.0.113.7', 'clusters.read');
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '198.51.100.7', 'clusters.create');

-- --------------------------------------------------------------- view a key

SET ROLE regress_apikeys_owner;
\x
SELECT public_key = :'public_key' AS public_key, private_key = '********' || right(:'private_key', 4) AS private_key,
	description, organization, organization_roles, projects, access_list, status,
	created_at <= now() AS created_at, created_by, last_used_at <= now() AS last_used_at, last_used_address, expires_at
FROM apikeys.keys WHERE public_key = :'public_key';
\x
SELECT network, use_count, last_used_at IS NOT NULL AS used, last_used_address
FROM apikeys.access_list_entries WHERE public_key = :'public_key';
SELECT version, length(hint), expires_at FROM apikeys.key_secret WHERE public_key = :'public_key';
-- A principal that reads the organization's keys sees it as well.
SET ROLE regress_apikeys_reader;
SELECT description, status FROM apikeys.keys;
RESET ROLE;
SELECT * FROM pg_temp.refused('SELECT * FROM apikeys.keys');
SELECT * FROM pg_temp.refused('SELECT * FROM apikeys.key');
SELECT * FROM pg_temp.refused('SELECT * FROM apikeys.key_role');
SELECT * FROM pg_temp.refused('SELECT public_key, hint FROM apikeys.key_secret');
SELECT * FROM pg_temp.refused('SELECT * FROM apikeys.access_list_entries');
SELECT apikeys.flush_usage() \g /dev/null
SELECT * FROM pg_temp.refused('SELECT * FROM apikeys.key_usage');
SELECT * FROM pg_temp.refused('SELECT * FROM apikeys.usage');

-- --------------------------------------------------------------- change a key

SET ROLE regress_apikeys_owner;
SELECT FROM apikeys.update_key(:'public_key', description => 'Hourly reports');
SELECT FROM apikeys.update_key(:'public_key', access_list => '{203.0.113.0/24}');
SELECT description, access_list, expires_at FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.update_key(%L, 'Mine')$$, :'public_key'));
SELECT * FROM pg_temp.refused(format($$UPDATE apikeys.key SET description = 'Mine' WHERE public_key = %L$$, :'public_key'));

-- Its access list.
SET ROLE regress_apikeys_owner;
SELECT apikeys.add_to_access_list(:'public_key', '192.0.2.1', '2001:db8::/48');
SELECT apikeys.remove_from_access_list(:'public_key', '203.0.113.0/24', '10.0.0.0/8');
SELECT access_list FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.add_to_access_list(%L, '192.0.2.2')$$, :'public_key'));
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.remove_from_access_list(%L, '192.0.2.1')$$, :'public_key'));
SELECT reason, network FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
SELECT reason, network FROM apikeys.decide(:'public_key', :'private_key', '203.0.113.1', 'clusters.read');
SELECT reason, network FROM apikeys.decide(:'public_key', :'private_key', '2001:db8::1', 'clusters.read');

-- Its roles.
SET ROLE regress_apikeys_owner;
SELECT FROM apikeys.set_organization_roles(:'public_key', '{ORG_BILLING_ADMIN,ORG_READ_ONLY}');
SELECT organization_roles FROM apikeys.keys WHERE public_key = :'public_key';
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'billing.pay');
RESET ROLE;
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'billing.pay');
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.set_organization_roles(%L, '{ORG_OWNER}')$$, :'public_key'));
SELECT * FROM pg_temp.refused(format($$INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (%L, %L, 'ORG_OWNER')$$, :'public_key', :'acme'));
SELECT * FROM pg_temp.refused(format($$DELETE FROM apikeys.key_role WHERE public_key = %L$$, :'public_key'));
SET ROLE regress_apikeys_owner;
SELECT FROM apikeys.set_project_roles(:'public_key', apikeys.project('Acme', 'Alpha'), '{GROUP_OWNER}');
SELECT organization_roles, projects = jsonb_build_array(jsonb_build_object('id', :'alpha', 'name', 'Alpha', 'roles', '["GROUP_OWNER"]'::jsonb)) AS projects
FROM apikeys.keys WHERE public_key = :'public_key';
SELECT FROM apikeys.set_organization_roles(:'public_key', '{}');
SELECT organization_roles FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'clusters.create', :'alpha') AS alpha,
	apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'clusters.read', :'beta') AS beta,
	apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'clusters.read') AS acme;
SELECT FROM apikeys.set_organization_roles(:'public_key', '{ORG_MEMBER,ORG_READ_ONLY}');
SELECT FROM apikeys.remove_from_project(:'public_key', :'alpha');

-- Disabled, and enabled again.
SET ROLE regress_apikeys_owner;
SELECT apikeys.disable_key(:'public_key');
SELECT status FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
SELECT reason FROM apikeys.decide(:'public_key', 'wrong', '192.0.2.1', 'clusters.read');
SELECT * FROM pg_temp.refused(format('SELECT apikeys.enable_key(%L)', :'public_key'));
SELECT * FROM pg_temp.refused(format('UPDATE apikeys.key SET disabled_at = NULL WHERE public_key = %L', :'public_key'));
SET ROLE regress_apikeys_owner;
SELECT apikeys.enable_key(:'public_key');
SELECT status FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
SELECT * FROM pg_temp.refused(format('SELECT apikeys.disable_key(%L)', :'public_key'));

-- An end to it, and none again.
SET ROLE regress_apikeys_owner;
SELECT FROM apikeys.update_key(:'public_key', expires_at => now() - interval '1 second');
SELECT status FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
SELECT * FROM pg_temp.refused(format($$SELECT apikeys.update_key(%L, expires_at => 'infinity')$$, :'public_key'));
SET ROLE regress_apikeys_owner;
SELECT FROM apikeys.update_key(:'public_key', expires_at => 'infinity');
SELECT status, expires_at FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');

-- A new private key.
SET ROLE regress_apikeys_owner;
SELECT apikeys.rotate_secret(:'public_key') AS new_private_key \gset
SELECT :'new_private_key' <> :'private_key' AS new, private_key = '********' || right(:'new_private_key', 4) AS shown
FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
SELECT reason FROM apikeys.decide(:'public_key', :'new_private_key', '192.0.2.1', 'clusters.read');
SELECT * FROM pg_temp.refused(format('SELECT apikeys.rotate_secret(%L)', :'public_key'));
SELECT * FROM pg_temp.refused(format($sql$INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	VALUES (%L, 9, 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'abc')$sql$, :'public_key'));
SELECT * FROM pg_temp.refused(format($$UPDATE apikeys.key_secret SET expires_at = NULL WHERE public_key = %L$$, :'public_key'));
SELECT * FROM pg_temp.refused(format($$DELETE FROM apikeys.key_secret WHERE public_key = %L$$, :'public_key'));

-- What never changes, even for the owner.
SET ROLE regress_apikeys_owner;
UPDATE apikeys.key SET public_key = 'other' WHERE public_key = :'public_key';
UPDATE apikeys.key SET organization_id = :'other' WHERE public_key = :'public_key';
UPDATE apikeys.key SET created_by = 'role:regress_apikeys_other' WHERE public_key = :'public_key';
UPDATE apikeys.key SET created_at = now() WHERE public_key = :'public_key';
UPDATE apikeys.key_secret SET hash = 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
UPDATE apikeys.key_role SET role = 'ORG_OWNER';
UPDATE apikeys.key_usage SET use_count = 0;

-- ------------------------------------------- the owner by another road

-- Through other roles.
SET ROLE regress_apikeys_deputy;
SELECT apikeys.principal();
SELECT public_key AS deputy_key FROM apikeys.create_key(:'acme', 'Deputy''s key', '{ORG_OWNER}') \gset
SELECT description, created_by, organization_roles FROM apikeys.keys ORDER BY description;
SELECT apikeys.delete_key(:'deputy_key');
-- As a user of the application; until the end of the transaction.
SET ROLE regress_apikeys_app;
BEGIN;
SELECT apikeys.act_as('user:1');
SELECT apikeys.principal(), apikeys.principals();
SELECT public_key AS user_key FROM apikeys.create_key(:'acme', 'User''s key', '{ORG_MEMBER}') \gset
SELECT FROM apikeys.set_project_roles(:'user_key', :'beta', '{GROUP_READ_ONLY}');
SELECT description, created_by, organization_roles, jsonb_path_query_array(projects, '$[*].name') AS projects FROM apikeys.keys ORDER BY description;
COMMIT;
SELECT count(*) FROM apikeys.keys;
SELECT apikeys.delete_key(:'user_key');
-- What is said in a savepoint ends with it.
BEGIN;
SELECT apikeys.act_as('user:2');
SAVEPOINT s;
SELECT apikeys.act_as('user:1');
SELECT apikeys.principal(), count(*) FROM apikeys.keys;
ROLLBACK TO s;
SELECT apikeys.principal(), count(*) FROM apikeys.keys;
COMMIT;
SELECT apikeys.principal();
-- No user is a role, whatever its name.
SELECT apikeys.act_as('role:regress_apikeys_owner');
SELECT apikeys.act_as('key:x');
-- act_as requires EXECUTE.
SET ROLE regress_apikeys_owner;
SELECT apikeys.act_as('user:1');
SELECT apikeys.authorize(:'public_key', :'new_private_key', '192.0.2.1', 'clusters.read');
RESET ROLE;

-- --------------------------------------------------------------- delete a key

SELECT * FROM pg_temp.refused(format('SELECT apikeys.delete_key(%L)', :'public_key'));
SELECT * FROM pg_temp.refused('DELETE FROM apikeys.key');
SET ROLE regress_apikeys_owner;
SELECT apikeys.delete_key(:'public_key');
SELECT count(*) FROM apikeys.keys WHERE public_key = :'public_key';
SELECT count(*) FROM apikeys.key_secret WHERE public_key = :'public_key';
\set VERBOSITY terse
SELECT apikeys.delete_key(:'public_key');
SELECT apikeys.enable_key(:'public_key');
\set VERBOSITY default
RESET ROLE;
SELECT reason FROM apikeys.decide(:'public_key', :'new_private_key', '192.0.2.1', 'clusters.read');
-- Its name is never used again.
\set VERBOSITY sqlstate
SELECT apikeys.import_key(:'acme', :'public_key', 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'Again', '{ORG_MEMBER}');
\set VERBOSITY default
-- Everything else was only refused.
SELECT description, created_by, organization_roles FROM apikeys.keys ORDER BY description;
-- An owner of Acme sees nothing of Other, and changes nothing there.
SELECT public_key AS other_key FROM apikeys.create_key(:'other', 'Other''s key', '{ORG_OWNER}') \gset
SET ROLE regress_apikeys_owner;
SELECT count(*) FROM apikeys.keys WHERE public_key = :'other_key';
SELECT apikeys.delete_key(:'other_key');
SELECT apikeys.create_key(:'other', 'Key', '{}');
SELECT apikeys.organization('Other');
SELECT apikeys.set_organization_policy(:'other', true);
DELETE FROM apikeys.organization WHERE id = :'other';
RESET ROLE;
SELECT name, require_access_list FROM apikeys.organization ORDER BY name;

DELETE FROM apikeys.key;
DELETE FROM apikeys.organization;
DELETE FROM apikeys.deleted_key;
DROP OWNED BY regress_apikeys_owner, regress_apikeys_member, regress_apikeys_reader, regress_apikeys_admin, regress_apikeys_other, regress_apikeys_nobody, regress_apikeys_app, regress_apikeys_owners, regress_apikeys_deputy, regress_apikeys_apprentice;
DROP ROLE regress_apikeys_owner, regress_apikeys_member, regress_apikeys_reader, regress_apikeys_admin, regress_apikeys_other, regress_apikeys_nobody, regress_apikeys_app, regress_apikeys_owners, regress_apikeys_deputy, regress_apikeys_apprentice;
