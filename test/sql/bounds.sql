-- What a tenant can make large is bounded: the permissions of a role, the time to
-- look through them, and what a session keeps of roles and policies.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_apikeys_tenant;
SELECT apikeys.grant_access('regress_apikeys_tenant', 'manage') \g /dev/null
SELECT apikeys.create_organization('Regress bounds', 'role:regress_apikeys_tenant') AS org \gset
SELECT set_config('regress.org', :'org', false) \g /dev/null
CREATE FUNCTION pg_temp.permissions(count integer, start text DEFAULT 'p') RETURNS text[]
	LANGUAGE sql RETURN (SELECT array_agg(start || i ORDER BY i) FROM generate_series(1, count) AS i);

-- Each list of a role has at most 1000 permissions.
SELECT apikeys.create_role('LARGE', 'organization', pg_temp.permissions(1001), '{}', NULL, :'org');
SELECT apikeys.create_role('LARGE', 'organization', '{}', pg_temp.permissions(1001), NULL, :'org');
\set VERBOSITY sqlstate
SELECT apikeys.create_role('LARGE', 'project', '{}', pg_temp.permissions(1001), NULL, :'org');
INSERT INTO apikeys.role (name, level, organization_permissions) VALUES ('LARGE', 'organization', pg_temp.permissions(1001));
INSERT INTO apikeys.role (name, level, project_permissions) VALUES ('LARGE', 'organization', pg_temp.permissions(1001));
\set VERBOSITY default
SELECT apikeys.create_role('LARGE', 'organization', pg_temp.permissions(1000), pg_temp.permissions(1000), NULL, :'org');

-- Of an organization together they have at most 10,000, and what decisions read of a key's is bounded.
SELECT count(apikeys.create_role('LARGE' || i, 'organization', pg_temp.permissions(1000), '{}', NULL, :'org')) FROM generate_series(1, 8) AS i;
SELECT apikeys.create_role('SMALL', 'organization', '{a.b}', '{}', NULL, :'org');
SELECT count(apikeys.drop_role('LARGE' || i, :'org')) FROM generate_series(1, 8) AS i;
SELECT count(apikeys.create_role('SMALL' || i, 'organization', '{}', '{}', NULL, :'org')) FROM generate_series(1, 999) AS i;
SELECT apikeys.create_role('SMALL', 'organization', '{}', '{}', NULL, :'org');
SELECT count(apikeys.drop_role('SMALL' || i, :'org')) FROM generate_series(1, 999) AS i;
SELECT public_key FROM apikeys.create_key(:'org', 'permissions', '{ORG_MEMBER}') \gset wide_
CREATE TEMP TABLE place AS SELECT i, apikeys.create_project(:'org', 'place ' || i) AS project FROM generate_series(1, 11) AS i;
SELECT count(apikeys.set_project_roles(:'wide_public_key', project, '{}', pg_temp.permissions(1000))) FROM place WHERE i <= 10;
SELECT apikeys.set_project_roles(:'wide_public_key', project, '{}', '{a.b}') FROM place WHERE i = 11;
-- Nor more by a project that it creates; here its roles were not made one by one.
BEGIN;
SELECT public_key, private_key FROM apikeys.create_key(:'org', 'creator', '{ORG_GROUP_CREATOR}') \gset creator_
SET LOCAL session_replication_role = replica;
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
	SELECT :'creator_public_key', :'org', gen_random_uuid(), 'GROUP_READ_ONLY' FROM generate_series(1, 99999);
SET LOCAL session_replication_role = origin;
SELECT apikeys.authenticate(:'creator_public_key', :'creator_private_key', NULL) \g /dev/null
SELECT apikeys.create_project(:'org', 'one more');
ROLLBACK;
-- What is for all projects of an organization is looked up once, however many roles are.
SELECT count(apikeys.create_role('WIDE' || i, 'organization', '{}', '{apikeys.keys.read}', NULL, :'org')) FROM generate_series(1, 20) AS i;
SELECT count(apikeys.add_member(:'org', 'user:regress-wide', 'WIDE' || i)) FROM generate_series(1, 20) AS i;
BEGIN;
SELECT apikeys.act_as('user:regress-wide');
SELECT idx_scan AS before FROM pg_stat_xact_user_tables WHERE relid = 'apikeys.project'::regclass \gset
SELECT cardinality(apikeys_internal.principal_other_projects('{apikeys.keys.read}', '{apikeys.projects.read}'));
SELECT idx_scan - :before AS look_ups FROM pg_stat_xact_user_tables WHERE relid = 'apikeys.project'::regclass;
ROLLBACK;
-- Nor is each row of all tenants compared with all of these, one by one.
SELECT tablename, qual ~ 'is_one_of\(' AS is_searched FROM pg_policies WHERE schemaname = 'apikeys' AND qual ~ 'principal_other_projects' ORDER BY 1;
SELECT apikeys_internal.is_one_of(:'org', ARRAY[:'org'::uuid]), apikeys_internal.is_one_of(gen_random_uuid(), ARRAY[:'org'::uuid]),
	apikeys_internal.is_one_of(:'org', '{}'), apikeys_internal.is_one_of(NULL, '{}'), apikeys_internal.is_one_of(:'org', NULL);
SELECT count(apikeys.remove_member(:'org', 'user:regress-wide', 'WIDE' || i)), count(apikeys.drop_role('WIDE' || i, :'org')) FROM generate_series(1, 20) AS i;
SELECT apikeys.delete_key(:'wide_public_key'), count(apikeys.delete_project(project)) FROM place;

-- Many costly patterns: whether they allow or cover something can be canceled.
SELECT apikeys.create_role('COSTLY', 'organization',
	pg_temp.permissions(998, '*' || repeat('a', 127) || 'b') || '{apikeys.keys.manage,xa*}'::text[], '{}', NULL, :'org');
SELECT apikeys.add_member(:'org', 'user:regress-costly', 'COSTLY');
BEGIN;
SELECT apikeys.act_as('user:regress-costly');
SET LOCAL statement_timeout = '5ms';
SELECT apikeys.create_role('COVERED', 'organization', pg_temp.permissions(1000, 'x' || repeat('a', 250)), '{}', NULL, :'org');
ROLLBACK;
SELECT public_key, private_key FROM apikeys.create_key(:'org', 'costly', '{COSTLY}') \gset
SELECT set_config('regress.public_key', :'public_key', false), set_config('regress.private_key', :'private_key', false) \g /dev/null
SET statement_timeout = '50ms';
SELECT count(apikeys.authorize(:'public_key', :'private_key', '10.0.0.1', repeat('a', 255) || 'c')) FROM generate_series(1, 100000);
RESET statement_timeout;

-- A role and a policy that were read are known again after others have committed,
-- although their rows were updated in place (HOT).
SELECT apikeys.set_organization_access_list(:'org', '{10.0.0.0/8}') \g /dev/null
UPDATE apikeys.role SET description = 'Updated' WHERE organization_id = :'org';
CREATE FUNCTION pg_temp.reads() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_stat_clear_snapshot();
	RETURN sum(idx_scan) FROM pg_stat_user_tables
		WHERE relid IN ('apikeys.role'::regclass, 'apikeys.organization'::regclass);
END;
$$;
CREATE PROCEDURE pg_temp.decide(count integer) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. count LOOP
		PERFORM apikeys.authorize(current_setting('regress.public_key'), current_setting('regress.private_key'), '10.0.0.1', 'xa');
		PERFORM pg_current_xact_id();
		COMMIT;
	END LOOP;
	PERFORM pg_stat_force_next_flush();
END;
$$;
CALL pg_temp.decide(1);
SELECT pg_temp.reads() AS before \gset
CALL pg_temp.decide(1000);
SELECT pg_temp.reads() - :before < 20 AS are_known;
-- Another version is read at once.
UPDATE apikeys.role SET organization_permissions = '{y}' WHERE organization_id = :'org' AND name = 'COSTLY';
SELECT apikeys.authorize(:'public_key', :'private_key', '10.0.0.1', 'xa');
BEGIN;
UPDATE apikeys.role SET organization_permissions = '{xa}' WHERE organization_id = :'org' AND name = 'COSTLY';
SELECT apikeys.authorize(:'public_key', :'private_key', '10.0.0.1', 'xa');
ROLLBACK;
SELECT apikeys.authorize(:'public_key', :'private_key', '10.0.0.1', 'xa');
VACUUM apikeys.role;
SELECT apikeys.authorize(:'public_key', :'private_key', '10.0.0.1', 'y');

-- One transaction writes two rows in one place of one file, one after the other.
BEGIN;
SET LOCAL client_min_messages = warning;
TRUNCATE apikeys.role CASCADE;
TRUNCATE apikeys.role CASCADE;
INSERT INTO apikeys.role (name, level, organization_permissions) VALUES ('ONE', 'organization', '{a}');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'org', 'user:regress-one', 'ONE');
SAVEPOINT acting;
SELECT apikeys.act_as('user:regress-one');
SELECT apikeys_internal.may('a', :'org'), apikeys_internal.may('b', :'org');
ROLLBACK TO acting;
TRUNCATE apikeys.role CASCADE;
INSERT INTO apikeys.role (name, level, organization_permissions) VALUES ('ONE', 'organization', '{b}');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'org', 'user:regress-one', 'ONE');
SELECT apikeys.act_as('user:regress-one');
SELECT apikeys_internal.may('a', :'org'), apikeys_internal.may('b', :'org');
ROLLBACK;

-- What a session keeps does not grow with what is changed and read again.
CREATE PROCEDURE pg_temp.change(count integer) LANGUAGE plpgsql AS $$
DECLARE
	public_key constant text := current_setting('regress.public_key');
	org constant uuid := current_setting('regress.org');
	list apikeys.access_list;
BEGIN
	FOR i IN 1 .. count LOOP
		PERFORM apikeys.create_role('CHANGING' || i, 'organization', pg_temp.permissions(1000, repeat('z', 250)), '{}', NULL, org);
		PERFORM apikeys.set_organization_roles(public_key, ARRAY['CHANGING' || i]);
		IF i > 1 THEN
			PERFORM apikeys.drop_role('CHANGING' || i - 1, org);
		END IF;
		list := (SELECT '{' || string_agg('10.0.' || n || '.' || i || '/32', ',') || '}' FROM generate_series(0, 255) AS n);
		PERFORM apikeys.set_organization_access_list(org, list);
		COMMIT;
		PERFORM apikeys.authorize(public_key, current_setting('regress.private_key'), '10.0.0.1', 'a.b');
		COMMIT;
	END LOOP;
END;
$$;
CALL pg_temp.change(100);
SELECT name, sum(total_bytes) < 10000000 AS is_small FROM pg_backend_memory_contexts
WHERE name IN ('apikeys roles', 'apikeys policies') GROUP BY name ORDER BY name COLLATE "C";

-- No argument of an internal function has to be given.
DO $$
DECLARE
	call text;
	result text;
BEGIN
	FOR call IN
		SELECT format('SELECT %s(%s)::text', p.oid::regproc,
			(SELECT string_agg(CASE
					WHEN a.position <> given.position THEN 'NULL'
					WHEN a.type IN ('text'::regtype, 'integer'::regtype, 'bigint'::regtype, 'interval'::regtype, 'boolean'::regtype) THEN quote_literal(1)
					WHEN a.type = 'uuid'::regtype THEN quote_literal('bad00000-0000-4000-8000-000000000001')
					WHEN a.type = 'timestamp with time zone'::regtype THEN quote_literal('2026-01-01')
					ELSE quote_literal('{}') END || '::' || a.type::regtype, ', ' ORDER BY a.position)
			FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, position)))
		FROM pg_proc AS p, generate_series(0, p.pronargs) AS given (position)
		WHERE p.pronamespace = 'apikeys_internal'::regnamespace AND NOT p.proisstrict AND p.prokind = 'f' AND p.pronargs > 0
			AND p.prolang = (SELECT l.oid FROM pg_language AS l WHERE l.lanname = 'c')
	LOOP
		BEGIN
			EXECUTE call INTO result;
		EXCEPTION
			WHEN not_null_violation THEN
				NULL;
		END;
	END LOOP;
END;
$$;

SELECT apikeys.delete_key(:'public_key') \g /dev/null
SELECT apikeys.delete_organization(:'org') \g /dev/null
DROP OWNED BY regress_apikeys_tenant;
DROP ROLE regress_apikeys_tenant;
