-- A bound key manages keys with its own rights only.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_bound_key_carrier;
SELECT apikeys.grant_access('regress_apikeys_bound_key_carrier', 'manage') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_bound_key_carrier', 'decide', 'impersonate') \g /dev/null
GRANT EXECUTE ON FUNCTION apikeys.create_organization, apikeys.create_role TO regress_apikeys_bound_key_carrier;
-- The role that carries the keys owns the organization.
SELECT apikeys.create_organization('regress_bound_key', 'role:regress_apikeys_bound_key_carrier') AS org \gset
SELECT apikeys.create_organization('regress_bound_key_other', 'user:regress_bound_key') AS other_org \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT apikeys.create_project(:'org', 'two') AS two \gset
SELECT apikeys.create_project(:'other_org', 'three') AS three \gset
SELECT apikeys.create_role('regress_bound_key_manager', 'organization', '{apikeys.keys.*,clusters.read}', '{apikeys.keys.*,clusters.read}', 'Manages keys.');
-- Keys with names that stay the same from run to run, all with one secret.
CREATE FUNCTION pg_temp.make_key(name text, organization uuid, project uuid, role text) RETURNS void LANGUAGE sql AS $body$
	INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_' || name, organization, name);
	INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) SELECT 'regress_' || name, organization, project, role WHERE role IS NOT NULL;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_' || name, 1, ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, 'same');
$body$;
\set secret sesame
SELECT pg_temp.make_key('owner', :'org', NULL, 'ORG_OWNER'), pg_temp.make_key('manager', :'org', NULL, 'regress_bound_key_manager'),
	pg_temp.make_key('project_admin', :'org', :'one', 'GROUP_USER_ADMIN'), pg_temp.make_key('creator', :'org', NULL, 'ORG_GROUP_CREATOR'),
	pg_temp.make_key('roleless', :'org', NULL, NULL), pg_temp.make_key('stranger', :'other_org', NULL, 'ORG_OWNER') \g /dev/null

SET ROLE regress_apikeys_bound_key_carrier;
SELECT count(*) FROM apikeys.keys;

-- An owner's key does what an owner does.
BEGIN;
SELECT apikeys.authenticate('regress_owner', :'secret', NULL);
SELECT description FROM apikeys.keys ORDER BY 1;
SELECT public_key AS made FROM apikeys.create_key(:'org', 'made by a key', '{ORG_OWNER}') \gset
SELECT created_by = 'key:regress_owner' AS created_by FROM apikeys.keys WHERE public_key = :'made';
SELECT apikeys.add_member(:'org', 'user:regress_bound_key', 'ORG_READ_ONLY');
SELECT apikeys.rotate_secret(:'made') IS NOT NULL AS rotated;
SELECT apikeys.delete_key(:'made');
SELECT apikeys.create_project(:'org', 'four') IS NOT NULL AS created;
SELECT count(*) FROM apikeys.member WHERE principal LIKE 'key:%';
-- It permits nothing in a project that is created no more.
SAVEPOINT a;
SELECT apikeys.create_project(:'org', 'five') AS five \gset
SELECT apikeys.permits('clusters.read', :'five');
ROLLBACK TO a;
SELECT apikeys.permits('clusters.read', :'five'), apikeys.permits('clusters.read', :'one');
-- In its organization only, and nothing that is above organizations.
SAVEPOINT a;
SELECT apikeys.create_key(:'other_org', 'no', '{}');
ROLLBACK TO a;
SELECT apikeys.disable_key('regress_stranger');
ROLLBACK TO a;
SELECT apikeys.create_project_key(:'three', 'no', '{GROUP_OWNER}');
ROLLBACK TO a;
SELECT apikeys.create_organization('regress_bound_key_no');
ROLLBACK TO a;
SELECT apikeys.create_organization('regress_bound_key_no', 'user:regress_bound_key');
ROLLBACK TO a;
SELECT apikeys.create_role('regress_bound_key_no', 'project', '{}', '{*}', 'No.');
ROLLBACK TO a;
SELECT apikeys.drop_role('regress_bound_key_manager');
ROLLBACK TO a;
SELECT apikeys.add_member(:'org', 'key:regress_roleless', 'ORG_OWNER');
ROLLBACK;

-- Also after a rollback the transaction is for no other organization: a cursor may have
-- what a policy's sub-select has answered.
BEGIN;
SAVEPOINT a;
SELECT apikeys.authenticate('regress_owner', :'secret', NULL);
ROLLBACK TO a;
SELECT apikeys.authenticate('regress_stranger', :'secret', NULL);
ROLLBACK TO a;
SELECT apikeys.authenticate('regress_manager', :'secret', NULL);
COMMIT;
SELECT apikeys.authenticate('regress_stranger', :'secret', NULL);

-- A key that may manage keys hands out no more than it has, nor does it end
-- what it may not manage.
BEGIN;
SELECT apikeys.authenticate('regress_manager', :'secret', NULL);
SAVEPOINT a;
SELECT apikeys.create_key(:'org', 'no', '{ORG_OWNER}');
ROLLBACK TO a;
SELECT FROM apikeys.set_organization_roles('regress_manager', '{ORG_OWNER}');
ROLLBACK TO a;
SELECT apikeys.rotate_secret('regress_owner');
ROLLBACK TO a;
SELECT public_key = '' AS made FROM apikeys.create_key(:'org', 'yes', '{regress_bound_key_manager}');
ROLLBACK;

-- Nor does one of a project beyond it.
BEGIN;
SELECT apikeys.authenticate('regress_project_admin', :'secret', NULL);
SELECT description FROM apikeys.keys ORDER BY 1;
SELECT public_key AS made FROM apikeys.create_project_key(:'one', 'of the project', '{GROUP_READ_ONLY}') \gset
SAVEPOINT a;
SELECT apikeys.create_project_key(:'two', 'no', '{GROUP_READ_ONLY}');
ROLLBACK TO a;
SELECT apikeys.create_key(:'org', 'no', '{}');
ROLLBACK TO a;
SELECT apikeys.delete_key('regress_owner');
ROLLBACK TO a;
SELECT apikeys.delete_key(:'made');
ROLLBACK;

-- One without such roles does nothing, whichever role calls.
BEGIN;
SELECT apikeys.authenticate('regress_roleless', :'secret', NULL);
SELECT (SELECT count(*) FROM apikeys.organization) AS organizations, (SELECT count(*) FROM apikeys.project) AS projects,
	(SELECT count(*) FROM apikeys.keys) AS keys, (SELECT count(*) FROM apikeys.member) AS members;
SAVEPOINT a;
SELECT apikeys.create_key(:'org', 'no', '{}');
ROLLBACK TO a;
SELECT apikeys.disable_key('regress_owner');
ROLLBACK TO a;
SELECT apikeys.disable_key('regress_roleless');
ROLLBACK TO a;
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_bound_key_carrier', 'ORG_READ_ONLY');
ROLLBACK TO a;
SELECT apikeys.create_project(:'org', 'no');
ROLLBACK TO a;
ROLLBACK;

-- One that makes a project owns it, and only such a one does.
BEGIN;
SELECT apikeys.authenticate('regress_creator', :'secret', NULL);
SELECT apikeys.create_project(:'org', 'mine') AS mine \gset
SELECT role FROM apikeys.key_role WHERE public_key = 'regress_creator' AND project_id = :'mine';
SELECT public_key = '' AS made FROM apikeys.create_project_key(:'mine', 'of mine', '{GROUP_OWNER}');
SAVEPOINT a;
SELECT apikeys.create_project_key(:'one', 'no', '{GROUP_OWNER}');
ROLLBACK;
BEGIN;
SELECT apikeys.create_project(:'org', 'carrier''s') AS not_mine \gset
SELECT apikeys.authenticate('regress_roleless', :'secret', NULL);
ROLLBACK;

-- One that was disabled meanwhile has no rights left, though it is bound.
BEGIN;
SELECT apikeys.authenticate('regress_owner', :'secret', NULL);
SELECT apikeys.disable_key('regress_owner');
SELECT count(*) FROM apikeys.keys;
SELECT apikeys.enable_key('regress_owner');
ROLLBACK;

-- One user's key does not end another's of the same scope; its own user ends it.
BEGIN;
SELECT apikeys.act_as('user:regress_bound_key');
SELECT public_key AS own, private_key AS own_secret FROM apikeys.create_key(:'other_org', 'own', '{ORG_READ_ONLY}') \gset
COMMIT;
BEGIN;
SELECT apikeys.authenticate(:'own', :'own_secret', NULL) = :'own' AS bound;
SAVEPOINT a;
SELECT apikeys.disable_key('regress_stranger');
ROLLBACK TO a;
\set VERBOSITY sqlstate
SELECT apikeys.delete_key(:'own');
\set VERBOSITY terse
ROLLBACK;
BEGIN;
SELECT apikeys.act_as('user:regress_bound_key');
SELECT apikeys.delete_key(:'own');
COMMIT;
SELECT apikeys.authenticate(:'own', :'own_secret', NULL);

-- What runs where a superuser analyzes a table names nobody for what comes after it.
CREATE FUNCTION pg_temp.name_user(x integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	identifier text;
BEGIN
	EXECUTE current_setting('regress.names');
	RETURN x;
EXCEPTION WHEN insufficient_privilege THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	RAISE WARNING '%', identifier;
	RETURN x;
END;
$$;
CREATE TEMPORARY TABLE analyzed AS SELECT 1 AS x;
SET regress.names = $$SELECT apikeys.act_as('user:regress_bound_key')$$;
CREATE INDEX ON analyzed (pg_temp.name_user(x));
RESET ROLE;
BEGIN;
ANALYZE analyzed;
SELECT apikeys.principal() LIKE 'role:%' AS is_the_caller;
ROLLBACK;
-- A binding that is refused there was none: the transaction may be for another organization.
BEGIN;
SELECT set_config('regress.names', format('SELECT apikeys.authenticate(''regress_manager'', %L, NULL)', :'secret'), true) \g /dev/null
ANALYZE analyzed;
SELECT apikeys.authenticate('regress_stranger', :'secret', NULL);
ROLLBACK;
-- Nor has a named user or a bound key any rights in it, also not where PostgreSQL follows a
-- foreign key of others.
CREATE OR REPLACE FUNCTION pg_temp.name_user(x integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RAISE WARNING '% % % %', CASE WHEN apikeys.principal() = 'role:' || session_user THEN 'the role' ELSE apikeys.principal() END, apikeys.current_key(), apikeys.permits('clusters.read'), apikeys.current_address() IS NOT DISTINCT FROM '192.0.2.1'::inet;
	RETURN x;
END;
$$;
BEGIN;
SELECT apikeys.act_as('user:regress_bound_key', '192.0.2.1'::inet);
ANALYZE analyzed;
SELECT apikeys.principal();
COMMIT;
BEGIN;
SELECT apikeys.authenticate('regress_manager', :'secret', '192.0.2.1'::inet), apikeys.permits('clusters.read');
ANALYZE analyzed;
SELECT apikeys.current_key();
COMMIT;
DROP TABLE analyzed;
CREATE ROLE regress_apikeys_bound_key_other;
SELECT apikeys.grant_access('regress_apikeys_bound_key_other', 'manage', 'decide', 'impersonate') \g /dev/null
GRANT CREATE, USAGE ON SCHEMA public TO regress_apikeys_bound_key_other, regress_apikeys_bound_key_carrier;
SET ROLE regress_apikeys_bound_key_other;
CREATE TABLE regress_bound_key_country (id integer PRIMARY KEY, n integer);
INSERT INTO regress_bound_key_country VALUES (1, 1);
CREATE FUNCTION regress_bound_key_tells(action text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	identifier text;
BEGIN
	EXECUTE action;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	RETURN identifier;
END;
$$;
CREATE TABLE regress_bound_key_source AS SELECT 'stolen' AS public_key, 'sha256$$' || repeat('0', 64) AS hash, 'd' AS description, '{}'::text[] AS roles;
CREATE FUNCTION regress_bound_key_index(x integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('regress.armed', true) = 'yes' THEN
		RAISE WARNING '% % % % %', current_user = 'regress_apikeys_bound_key_other', apikeys.principal(), apikeys.permits('clusters.read'), (SELECT count(*) FROM apikeys.keys), (SELECT count(*) FROM apikeys.member);
		RAISE WARNING '% % %', regress_bound_key_tells('SELECT apikeys.create_key(apikeys.organization(''regress_bound_key''), ''stolen'', ''{}'')'),
			regress_bound_key_tells('SELECT apikeys.import_keys(apikeys.organization(''regress_bound_key''), ''regress_bound_key_source'')'),
			regress_bound_key_tells('SELECT apikeys.act_as(''user:other'')');
	END IF;
	RETURN 1;
END;
$$;
CREATE INDEX ON regress_bound_key_country (n) WHERE regress_bound_key_index(1) = 1;
GRANT REFERENCES ON regress_bound_key_country TO regress_apikeys_bound_key_carrier;
SET ROLE regress_apikeys_bound_key_carrier;
CREATE TABLE regress_bound_key_order (country integer REFERENCES regress_bound_key_country);
SET regress.armed = 'yes';
BEGIN;
SELECT apikeys.act_as('user:regress_bound_key');
INSERT INTO regress_bound_key_order VALUES (1);
SELECT apikeys.principal(), count(*) > 0 AS keys FROM apikeys.keys;
ROLLBACK;
BEGIN;
SELECT apikeys.authenticate('regress_manager', :'secret', NULL);
INSERT INTO regress_bound_key_order VALUES (1);
SELECT apikeys.permits('clusters.read'), count(*) > 0 AS keys FROM apikeys.keys;
ROLLBACK;
-- Nor does it name anybody for those who go on.
BEGIN;
INSERT INTO regress_bound_key_order VALUES (1);
SELECT apikeys.principal();
ROLLBACK;
RESET regress.armed;
RESET ROLE;
-- A secret that was proved was used, also where its key cannot be bound.
SELECT use_count AS before FROM apikeys.usage WHERE public_key = 'regress_stranger' \gset
BEGIN;
SELECT apikeys.authenticate('regress_manager', :'secret', NULL);
SELECT apikeys.authenticate('regress_stranger', :'secret', NULL);
ROLLBACK;
SELECT use_count - :before AS uses FROM apikeys.usage WHERE public_key = 'regress_stranger';
DROP TABLE regress_bound_key_order, regress_bound_key_country, regress_bound_key_source;
DROP FUNCTION regress_bound_key_index, regress_bound_key_tells;
DROP OWNED BY regress_apikeys_bound_key_other;
DROP ROLE regress_apikeys_bound_key_other;
REVOKE ALL ON SCHEMA public FROM regress_apikeys_bound_key_carrier;

SELECT apikeys.drop_role('regress_bound_key_manager');
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apikeys FROM regress_apikeys_bound_key_carrier;
DROP OWNED BY regress_apikeys_bound_key_carrier;
DROP ROLE regress_apikeys_bound_key_carrier;
