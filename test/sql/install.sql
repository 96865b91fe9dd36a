-- What an install brings, and that it brings no more.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never

-- ---------------------------------------------- a schema that is there already

CREATE ROLE regress_apikeys_planter;
CREATE SCHEMA apikeys AUTHORIZATION regress_apikeys_planter;
CREATE EXTENSION apikeys;
SELECT count(*) FROM pg_extension WHERE extname = 'apikeys';
DROP SCHEMA apikeys;
DROP ROLE regress_apikeys_planter;

-- -------------------------------------------------------- installed, and again

-- A session that has used the extension uses the one installed after it.
CREATE EXTENSION apikeys;
SELECT apikeys.create_organization('First install', 'user:1') AS organization \gset
SELECT public_key, private_key FROM apikeys.create_key(:'organization', 'Key', '{ORG_READ_ONLY}') \gset
PREPARE ask (text, text) AS SELECT apikeys.authorize($1, $2, '192.0.2.1', 'clusters.read');
EXECUTE ask (:'public_key', :'private_key');
SELECT apikeys_internal.may('clusters.read', :'organization');
DROP EXTENSION apikeys;
SELECT count(*) FROM pg_namespace WHERE nspname = 'apikeys';
\set VERBOSITY sqlstate
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
EXECUTE ask (:'public_key', :'private_key');
\set VERBOSITY default
CREATE EXTENSION apikeys;
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
EXECUTE ask (:'public_key', :'private_key');
SELECT apikeys.create_organization('Second install', 'user:1') AS organization \gset
SELECT public_key, private_key FROM apikeys.create_key(:'organization', 'Key', '{ORG_READ_ONLY}') \gset
EXECUTE ask (:'public_key', :'private_key');
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.write');
SELECT last_used_address FROM apikeys.keys WHERE public_key = :'public_key';
-- And back again when it is rolled back.
BEGIN;
DROP EXTENSION apikeys;
CREATE EXTENSION apikeys;
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
ROLLBACK;
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
DEALLOCATE ask;
DELETE FROM apikeys.key;
DELETE FROM apikeys.organization;
DELETE FROM apikeys.deleted_key;

-- ---------------------------------------------------------------- its objects

-- All of them belong to the extension, whose owner owns them and its schema.
CREATE TEMPORARY VIEW object AS
SELECT d.classid, d.objid, d.classid::regclass::text AS catalog,
	pg_describe_object(d.classid, d.objid, 0) AS description
FROM pg_depend AS d
	JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'apikeys' AND d.deptype = 'e';
CREATE TEMPORARY VIEW owned AS
SELECT 'function' AS kind, oid::regprocedure::text AS name, pronamespace AS namespace, proowner AS owner
FROM pg_proc WHERE oid IN (SELECT objid FROM object WHERE classid = 'pg_proc'::regclass)
UNION ALL
SELECT 'type', oid::regtype::text, typnamespace, typowner
FROM pg_type WHERE oid IN (SELECT objid FROM object WHERE classid = 'pg_type'::regclass)
UNION ALL
SELECT 'relation', oid::regclass::text, relnamespace, relowner
FROM pg_class WHERE oid IN (SELECT objid FROM object WHERE classid = 'pg_class'::regclass)
UNION ALL
SELECT 'operator', oid::regoperator::text, oprnamespace, oprowner
FROM pg_operator WHERE oid IN (SELECT objid FROM object WHERE classid = 'pg_operator'::regclass)
UNION ALL
SELECT 'operator class', opcname, opcnamespace, opcowner
FROM pg_opclass WHERE oid IN (SELECT objid FROM object WHERE classid = 'pg_opclass'::regclass)
UNION ALL
SELECT 'operator family', opfname, opfnamespace, opfowner
FROM pg_opfamily WHERE oid IN (SELECT objid FROM object WHERE classid = 'pg_opfamily'::regclass);
SELECT catalog, count(*) > 0 AS any FROM object GROUP BY catalog ORDER BY catalog;
SELECT kind, name AS outside FROM owned WHERE namespace NOT IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) ORDER BY 1, 2;
SELECT kind, name AS of_another FROM owned
WHERE owner <> (SELECT extowner FROM pg_extension WHERE extname = 'apikeys') ORDER BY 1, 2;
SELECT nspowner = (SELECT extowner FROM pg_extension WHERE extname = 'apikeys') AS same_owner
FROM pg_namespace WHERE nspname IN ('apikeys', 'apikeys_internal');
-- Nothing stands in the schema that is not the extension's.
SELECT oid::regprocedure AS foreign_function FROM pg_proc
WHERE pronamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) AND oid NOT IN (SELECT objid FROM object WHERE classid = 'pg_proc'::regclass);
SELECT extrelocatable, extnamespace::regnamespace FROM pg_extension WHERE extname = 'apikeys';

-- ------------------------------------------------------------------ functions

CREATE TEMPORARY VIEW function AS
SELECT p.*, p.oid::regprocedure::text COLLATE "C" AS signature, l.lanname
FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.oid IN (SELECT objid FROM object WHERE classid = 'pg_proc'::regclass);
SELECT signature AS security_definer FROM function WHERE prosecdef ORDER BY signature;
-- For the bodies of verbs, the door sets it.
SELECT signature AS without_search_path FROM function
WHERE (pronamespace = 'apikeys'::regnamespace OR prorettype IN ('trigger'::regtype, 'event_trigger'::regtype)) AND lanname NOT IN ('c', 'internal') AND prosqlbody IS NULL
	AND NOT coalesce(proconfig && ARRAY['search_path=pg_catalog, pg_temp'], false)
ORDER BY signature;
-- A function that depends on the principal, or writes, cannot run in a parallel worker.
SELECT signature AS volatile_but_parallel_safe FROM function
WHERE provolatile = 'v' AND proparallel = 's' AND signature !~ 'generate_' ORDER BY signature;

-- -------------------------------------------------------------------- security

SELECT c.oid::regclass AS without_row_security FROM pg_class AS c
WHERE c.relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) AND c.relkind = 'r' AND NOT c.relrowsecurity ORDER BY c.relname;
SELECT c.oid::regclass AS view_of_its_owner FROM pg_class AS c
WHERE c.relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) AND c.relkind = 'v'
	AND NOT coalesce(c.reloptions && ARRAY['security_invoker=true'], false) ORDER BY c.relname;
-- What PUBLIC may execute: functions of types and operators, and what policies of
-- users' own tables ask.
SELECT signature FROM function WHERE has_function_privilege('public', oid, 'EXECUTE') ORDER BY signature;
-- With a leakproof function the planner looks at hidden rows of any table.
SELECT signature AS leakproof, has_function_privilege('public', oid, 'EXECUTE') AS is_public FROM function WHERE proleakproof;
SELECT signature AS granted_to_somebody FROM function, aclexplode(proacl) AS a
WHERE a.grantee NOT IN (0, proowner) ORDER BY signature;
-- What PUBLIC may do with tables and views, with their columns, and with schemas.
SELECT c.oid::regclass AS relation, a.privilege_type, a.grantee::regrole
FROM pg_class AS c, aclexplode(c.relacl) AS a
WHERE c.relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) AND a.grantee <> c.relowner ORDER BY c.relname, 2;
SELECT c.oid::regclass AS relation, t.attname, a.privilege_type, a.grantee::regrole
FROM pg_class AS c JOIN pg_attribute AS t ON t.attrelid = c.oid, aclexplode(t.attacl) AS a
WHERE c.relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) ORDER BY 1, 2;
SELECT n.nspname, a.privilege_type
FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
WHERE n.nspname IN ('apikeys', 'apikeys_internal') AND a.grantee = 0 ORDER BY 1, 2;
-- What grant_access grants; no table can be written with any of it.
CREATE ROLE regress_apikeys_decide;
CREATE ROLE regress_apikeys_manage;
CREATE ROLE regress_apikeys_impersonate;
CREATE ROLE regress_apikeys_monitor;
SELECT apikeys.grant_access(r, substr(r::text, length('regress_apikeys_') + 1))
FROM unnest('{regress_apikeys_decide,regress_apikeys_manage,regress_apikeys_impersonate,regress_apikeys_monitor}'::regrole[]) AS r;
SELECT a.grantee::regrole, f.signature FROM function AS f, aclexplode(f.proacl) AS a
WHERE a.grantee NOT IN (0, f.proowner) ORDER BY a.grantee::regrole::text, f.signature;
SELECT a.grantee::regrole, c.oid::regclass AS relation, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges
FROM pg_class AS c, aclexplode(c.relacl) AS a
WHERE c.relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) AND a.grantee <> c.relowner
GROUP BY a.grantee, c.oid ORDER BY a.grantee::regrole::text, c.oid::regclass::text;
SELECT c.oid::regclass AS relation, string_agg(t.attname, ', ' ORDER BY t.attnum) AS columns, a.privilege_type, a.grantee::regrole
FROM pg_class AS c JOIN pg_attribute AS t ON t.attrelid = c.oid, aclexplode(t.attacl) AS a
WHERE c.relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace)
GROUP BY c.oid, a.privilege_type, a.grantee ORDER BY 1, 3, a.grantee::regrole::text;
-- Taken back, nothing is left.
SELECT apikeys.revoke_access(r, substr(r::text, length('regress_apikeys_') + 1))
FROM unnest('{regress_apikeys_decide,regress_apikeys_manage,regress_apikeys_impersonate,regress_apikeys_monitor}'::regrole[]) AS r;
-- Nor is anything granted by that, to a role that has parts of an access.
GRANT EXECUTE ON FUNCTION apikeys.create_key TO regress_apikeys_manage;
GRANT EXECUTE ON FUNCTION apikeys.act_as(text, inet) TO regress_apikeys_manage;
SELECT apikeys.revoke_access('regress_apikeys_manage', 'monitor', 'decide');
SELECT p.oid::regprocedure FROM pg_proc AS p, aclexplode(p.proacl) AS a WHERE a.grantee = 'regress_apikeys_manage'::regrole ORDER BY p.proname;
SELECT apikeys.grant_access('regress_apikeys_manage', 'decide', 'manage', 'impersonate');
SELECT apikeys.revoke_access('regress_apikeys_manage', 'manage', 'impersonate'),
	has_function_privilege('regress_apikeys_manage', 'apikeys.help()', 'execute') AS what_they_share,
	has_function_privilege('regress_apikeys_manage', 'apikeys.delete_key(text)', 'execute') AS what_is_gone;
SELECT apikeys.revoke_access('regress_apikeys_manage', 'decide');
DROP ROLE regress_apikeys_decide, regress_apikeys_manage, regress_apikeys_impersonate, regress_apikeys_monitor;
-- Which rows pg_dump includes.
SELECT t.extconfig::regclass AS relation, t.extcondition
FROM pg_extension, unnest(extconfig, extcondition) AS t (extconfig, extcondition)
WHERE extname = 'apikeys' ORDER BY t.extconfig::regclass::text;
SELECT c.oid::regclass AS table_not_dumped FROM pg_class AS c, pg_extension AS e
WHERE c.relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) AND c.relkind = 'r' AND e.extname = 'apikeys'
	AND c.oid <> ALL (e.extconfig) ORDER BY c.relname;
-- No constraint, key or policy waits to be validated.
SELECT conname FROM pg_constraint WHERE connamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) AND NOT convalidated;
