-- Nobody locks an organization or a key out by accident: the last owner, the
-- address that a key is called from, the last secret, the last entry of a list.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_guards_one;
SELECT apikeys.grant_access('regress_apikeys_guards_one', 'manage', 'decide', 'impersonate') \g /dev/null
SELECT apikeys.create_organization('regress_guards', 'role:regress_apikeys_guards_one') AS org \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
-- Each key with one secret.
CREATE FUNCTION pg_temp.make_key(name text, list apikeys.access_list, expires timestamptz, role text, organization uuid) RETURNS text LANGUAGE sql AS $body$
	SELECT apikeys.import_key(organization, 'regress_' || name, ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, name, ARRAY[role], list, expires);
$body$;
SELECT pg_temp.make_key('limited', '{10.0.0.0/8,2001:db8::/32}', now() + '1 day', 'ORG_OWNER', :'org'), pg_temp.make_key('wide', '{}', NULL, 'ORG_OWNER', :'org'),
	pg_temp.make_key('member', '{10.1.0.0/16}', NULL, 'ORG_MEMBER', :'org') \g /dev/null
-- What becomes of a statement, which is undone: ok, or the identifier.
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	identifier text;
BEGIN
	EXECUTE statement;
	RAISE SQLSTATE 'RG000';
EXCEPTION
	WHEN SQLSTATE 'RG000' THEN RETURN 'ok';
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
		RETURN SQLSTATE || ' ' || identifier;
END;
$$;

-- --------------------------------------------------------------- the last owner
SET ROLE regress_apikeys_guards_one;
SELECT pg_temp.try(format('SELECT apikeys.remove_member(%L, %L, %L)', :'org', 'role:regress_apikeys_guards_one', 'ORG_OWNER')) AS last_owner;
-- Keys that are owners do not count, nor do members of a project.
SELECT apikeys.add_member(:'org', 'user:regress', 'GROUP_OWNER', :'one'), apikeys.add_member(:'org', 'user:regress', 'ORG_READ_ONLY');
SELECT pg_temp.try(format('SELECT apikeys.remove_member(%L, %L, %L)', :'org', 'role:regress_apikeys_guards_one', 'ORG_OWNER')) AS last_owner;
-- With a second one, one may go; the other stays.
SELECT apikeys.add_member(:'org', 'user:regress', 'ORG_OWNER');
SELECT pg_temp.try(format('SELECT apikeys.remove_member(%L, %L, %L)', :'org', 'role:regress_apikeys_guards_one', 'ORG_OWNER')) AS one_of_two;
SELECT apikeys.remove_member(:'org', 'user:regress', 'ORG_OWNER'), apikeys.remove_member(:'org', 'user:regress', 'ORG_OWNER') AS again;
-- Nor does a superuser by the verb, or a key, or a member who is no owner.
RESET ROLE;
SELECT pg_temp.try(format('SELECT apikeys.remove_member(%L, %L, %L)', :'org', 'role:regress_apikeys_guards_one', 'ORG_OWNER')) AS last_owner;
BEGIN;
SET LOCAL ROLE regress_apikeys_guards_one;
SELECT apikeys.authenticate('regress_limited', 'sesame', '10.0.0.1');
SELECT pg_temp.try(format('SELECT apikeys.remove_member(%L, %L, %L)', :'org', 'role:regress_apikeys_guards_one', 'ORG_OWNER')) AS last_owner;
ROLLBACK;
-- A dropped PostgreSQL role is no longer an owner.
CREATE ROLE regress_apikeys_guards_gone;
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_guards_gone', 'ORG_OWNER');
DROP ROLE regress_apikeys_guards_gone;
SELECT pg_temp.try(format('SELECT apikeys.remove_member(%L, %L, %L)', :'org', 'role:regress_apikeys_guards_one', 'ORG_OWNER')) AS last_owner;
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_guards_gone', 'ORG_OWNER') AS removed_by_name;

-- --------------------------------------------------------------- a key's own address and list
BEGIN;
SET LOCAL ROLE regress_apikeys_guards_one;
SELECT apikeys.authenticate('regress_limited', 'sesame', '10.0.0.1');
SELECT statement, pg_temp.try(statement) FROM (VALUES
	(1, $$SELECT apikeys.update_key('regress_limited', access_list => '{2001:db8::/32}')$$), (2, $$SELECT apikeys.update_key('regress_limited', access_list => '{10.0.0.2}')$$),
	(3, $$SELECT apikeys.remove_from_access_list('regress_limited', '10.0.0.0/8')$$), (4, $$SELECT apikeys.remove_from_access_list('regress_limited', '2001:db8::/32')$$),
	(5, $$SELECT apikeys.update_key('regress_limited', access_list => '{10.0.0.1}')$$), (6, $$SELECT apikeys.update_key('regress_limited', access_list => '{}')$$),
	(7, $$SELECT apikeys.update_key('regress_wide', access_list => '{192.0.2.1}')$$), (8, $$SELECT apikeys.revoke_secret('regress_limited', 1)$$)) AS v (n, statement) ORDER BY n;
ROLLBACK;
-- A key without a list does not demand lists, nor shuts itself out by its first entry.
BEGIN;
SET LOCAL ROLE regress_apikeys_guards_one;
SELECT apikeys.authenticate('regress_wide', 'sesame', '192.0.2.1');
SELECT statement, pg_temp.try(format(statement, :'org')) FROM (VALUES
	(1, $$SELECT apikeys.set_organization_policy(%L, require_access_list => true)$$), (2, $$SELECT apikeys.add_to_access_list('regress_wide', '10.0.0.0/8')$$),
	(3, $$SELECT apikeys.add_to_access_list('regress_wide', '192.0.2.0/24')$$), (4, $$SELECT apikeys.add_current_address('regress_wide')$$)) AS v (n, statement) ORDER BY n;
SELECT apikeys.add_current_address('regress_wide');
SELECT apikeys.set_organization_policy(:'org', require_access_list => true);
ROLLBACK;
-- From an unknown address any list would shut it out.
BEGIN;
SELECT apikeys.authenticate('regress_wide', 'sesame', NULL::inet);
SELECT pg_temp.try($$SELECT apikeys.add_to_access_list('regress_wide', '192.0.2.0/24')$$), pg_temp.try($$SELECT apikeys.add_current_address('regress_wide')$$);
ROLLBACK;
-- The current address is that of the bound key, or of the user.
BEGIN;
SET LOCAL ROLE regress_apikeys_guards_one;
SELECT apikeys.authenticate('regress_limited', 'sesame', '10.0.0.1');
SELECT apikeys.add_current_address('regress_member');
ROLLBACK;
BEGIN;
SET LOCAL ROLE regress_apikeys_guards_one;
SELECT apikeys.act_as('user:regress_2', '2001:db8::7');
SELECT pg_temp.try($$SELECT apikeys.add_current_address('regress_member')$$);
RESET ROLE;
ROLLBACK;
SELECT apikeys.add_member(:'org', 'user:regress_2', 'ORG_OWNER');
BEGIN;
SELECT apikeys.act_as('user:regress_2', '2001:db8::7'), apikeys.add_current_address('regress_member');
SELECT principal, address FROM apikeys.audit_event WHERE public_key = 'regress_member' ORDER BY id DESC LIMIT 1;
ROLLBACK;

-- --------------------------------------------------------------- the last entry, the last secret
SET ROLE regress_apikeys_guards_one;
SELECT statement, pg_temp.try(statement) FROM (VALUES
	(1, $$SELECT apikeys.remove_from_access_list('regress_member', '10.1.0.0/16')$$), (2, $$SELECT apikeys.remove_from_access_list('regress_member', '10.2.0.0/16')$$),
	(3, $$SELECT apikeys.update_key('regress_member', access_list => '{}')$$), (4, $$SELECT apikeys.remove_from_access_list('regress_wide', '10.2.0.0/16')$$),
	(5, $$SELECT apikeys.revoke_secret('regress_member', 1)$$), (6, $$SELECT apikeys.revoke_secret('regress_member', 2)$$)) AS v (n, statement) ORDER BY n;

-- --------------------------------------------------------------- what a key gives
-- Its own networks and life bind its use, not what it manages.
BEGIN;
SELECT apikeys.authenticate('regress_limited', 'sesame', '10.0.0.1');
SELECT statement, pg_temp.try(format(statement, :'org', :'one')) FROM (VALUES
	(1, $$SELECT apikeys.create_key(%1$L, 'Any address, for ever', '{ORG_OWNER}')$$), (2, $$SELECT apikeys.create_project_key(%2$L, 'Elsewhere', '{GROUP_OWNER}', '{192.0.2.1}')$$),
	(3, $$SELECT apikeys.add_to_access_list('regress_member', '192.0.2.1')$$), (4, $$SELECT apikeys.update_key('regress_member', expires_at => now() + '1 year')$$),
	(5, $$SELECT apikeys.rotate_secret('regress_wide')$$), (6, $$SELECT apikeys.set_organization_roles('regress_member', '{ORG_OWNER}')$$)) AS v (n, statement) ORDER BY n;
ROLLBACK;
-- A key that revokes its own role returns its row.
BEGIN;
SELECT apikeys.authenticate('regress_limited', 'sesame', '10.0.0.1');
SELECT public_key, organization_roles FROM apikeys.set_organization_roles('regress_limited', '{ORG_MEMBER}');
SELECT pg_temp.try($$SELECT apikeys.set_organization_roles('regress_limited', '{ORG_OWNER}')$$);
ROLLBACK;

-- --------------------------------------------------------------- a key looks after itself
RESET ROLE;
SELECT apikeys.create_role('regress_guards_self', 'organization', '{apikeys.self.rotate}');
SELECT FROM apikeys.set_organization_roles('regress_member', '{regress_guards_self}');
BEGIN;
SET LOCAL ROLE regress_apikeys_guards_one;
SELECT apikeys.authenticate('regress_member', 'sesame', '10.1.0.1');
SELECT public_key, access_list, organization_roles FROM apikeys.keys;
SELECT count(*) FROM apikeys.access_list_entries;
SELECT apikeys.rotate_secret('regress_member', '1 hour') IS NOT NULL AS rotated, apikeys.revoke_secret('regress_member', 1) AS revoked;
SELECT statement, pg_temp.try(statement) FROM (VALUES
	(1, $$SELECT apikeys.rotate_secret('regress_wide')$$), (2, $$SELECT apikeys.add_to_access_list('regress_member', '192.0.2.1')$$), (3, $$SELECT apikeys.disable_key('regress_member')$$),
	(4, $$SELECT apikeys.update_key('regress_member', 'Mine')$$), (5, $$SELECT apikeys.revoke_secret('regress_member', 2)$$)) AS v (n, statement) ORDER BY n;
ROLLBACK;

SELECT apikeys.delete_key(public_key) FROM apikeys.key WHERE organization_id = :'org' ORDER BY public_key;
SELECT apikeys.delete_organization(:'org'), apikeys.drop_role('regress_guards_self');
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress%';
DROP OWNED BY regress_apikeys_guards_one;
DROP ROLE regress_apikeys_guards_one;
