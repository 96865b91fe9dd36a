-- A key that is bound to the transaction: who is acting then, what it permits,
-- how long, and that it cannot be forged.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_identity_service;
SELECT apikeys.grant_access('regress_apikeys_identity_service', 'manage') \g /dev/null
GRANT USAGE ON SCHEMA apikeys_internal TO regress_apikeys_identity_service;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apikeys_internal TO regress_apikeys_identity_service;
CREATE ROLE regress_apikeys_identity_boss;
SELECT apikeys.grant_access('regress_apikeys_identity_boss', 'manage') \g /dev/null
GRANT USAGE ON SCHEMA apikeys_internal TO regress_apikeys_identity_boss;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apikeys_internal TO regress_apikeys_identity_boss;
SELECT apikeys.grant_access('regress_apikeys_identity_service', 'decide', 'impersonate') \g /dev/null
SELECT apikeys.create_organization('regress_identity') AS org \gset
SELECT apikeys.create_organization('regress_identity_other') AS other_org \gset
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_identity_boss', 'ORG_OWNER');
SELECT apikeys.create_project(:'org', 'one') AS one \gset
SELECT apikeys.create_project(:'org', 'two') AS two \gset
SELECT apikeys.create_project(:'other_org', 'three') AS three \gset
SELECT apikeys.create_role('regress_identity_reader', 'project', '{}', '{invoices.read}', 'Reads invoices.');
SELECT public_key AS reader, private_key AS reader_secret FROM apikeys.create_project_key(:'one', 'Reads', '{regress_identity_reader}', '{10.0.0.0/8}') \gset
SELECT public_key AS owner, private_key AS owner_secret FROM apikeys.create_key(:'org', 'Owns', '{ORG_OWNER}') \gset
SELECT public_key AS stranger, private_key AS stranger_secret FROM apikeys.create_key(:'other_org', 'Owns the other', '{ORG_OWNER}') \gset

CREATE TABLE regress_identity_invoice (id int PRIMARY KEY, organization_id uuid, project_id uuid);
INSERT INTO regress_identity_invoice VALUES (1, :'org', :'one'), (2, :'org', :'two'), (3, :'other_org', :'three'), (4, :'org', NULL);
ALTER TABLE regress_identity_invoice ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON regress_identity_invoice TO regress_apikeys_identity_service, regress_apikeys_identity_boss;
CREATE POLICY reader ON regress_identity_invoice FOR SELECT USING (
	organization_id = (SELECT apikeys.current_organization()) AND apikeys.permits('invoices.read', project_id));

-- How many nodes of a kind are in the plan of a statement.
CREATE FUNCTION pg_temp.count_nodes(statement text, kind text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	line text;
	found int := 0;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || statement LOOP
		found := found + (line ~ ('^[ >-]*' || kind))::int;
	END LOOP;
	RETURN found;
END;
$$;

-- What is bound, without naming what differs from run to run.
PREPARE bound AS SELECT
	CASE apikeys.current_key() WHEN :'reader' THEN 'reader' WHEN :'owner' THEN 'owner' WHEN :'stranger' THEN 'stranger' END AS key,
	apikeys.current_organization() = :'org' AS organization,
	split_part(apikeys.principal(), ':', 1) AS principal,
	apikeys.permits('invoices.read') AS everywhere,
	apikeys.permits('invoices.read', :'one') AS one,
	apikeys.permits('invoices.read', :'two') AS two,
	apikeys.permits('invoices.read', :'three') AS three,
	(SELECT array_agg(id ORDER BY id) FROM regress_identity_invoice) AS invoices;

SET ROLE regress_apikeys_identity_service;
-- Nobody.
EXECUTE bound;
-- A key of one project.
BEGIN;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
EXECUTE bound;
SELECT apikeys.principals() = ARRAY['key:' || :'reader'] AS alone;
-- Again changes nothing, nor does a denial, nor any other.
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.2') = :'reader' AS bound;
SAVEPOINT a;
SELECT apikeys.authenticate(:'reader', 'wrong', '10.0.0.1');
ROLLBACK TO a;
SELECT apikeys.authenticate(:'owner', :'owner_secret', '10.0.0.1');
ROLLBACK TO a;
SELECT apikeys.act_as('user:regress_identity');
ROLLBACK TO a;
EXECUTE bound;
COMMIT;
EXECUTE bound;
-- A key of the organization, in all of its projects and in no other.
BEGIN;
SELECT apikeys.authenticate(:'owner', :'owner_secret', NULL) = :'owner' AS bound;
EXECUTE bound;
SELECT apikeys.permits('invoices.read', gen_random_uuid()), apikeys.permits(NULL), apikeys.permits(NULL, :'one');
SELECT apikeys.permits('no scope');
ROLLBACK;
EXECUTE bound;

-- What is denied.
\set VERBOSITY default
SELECT apikeys.authenticate('no_key', 'wrong', NULL);
SELECT apikeys.authenticate(:'reader', 'wrong', '10.0.0.1');
SELECT apikeys.authenticate(:'reader', left(:'reader_secret', -1), '10.0.0.1');
SELECT apikeys.authenticate(:'reader', left(:'reader_secret', -1) || CASE right(:'reader_secret', 1) WHEN 'a' THEN 'b' ELSE 'a' END, '10.0.0.1');
SELECT apikeys.authenticate(:'reader', :'owner_secret', '10.0.0.1');
SELECT apikeys.authenticate(:'reader', '', '10.0.0.1');
SELECT apikeys.authenticate(:'reader', repeat('x', 1000000), '10.0.0.1');
SELECT apikeys.authenticate(:'reader', :'reader_secret', '192.0.2.1');
SELECT apikeys.authenticate(:'reader', :'reader_secret', NULL);
SELECT apikeys.authenticate(:'reader', NULL, '10.0.0.1');
SELECT apikeys.authenticate(NULL, :'reader_secret', '10.0.0.1');
SELECT apikeys.authenticate(:'reader', :'reader_secret', '::ffff:10.0.0.1') = :'reader' AS mapped;
SELECT apikeys.require(:'reader', :'reader_secret', '10.0.0.1', 'invoices.read', :'one') = :'reader' AS required;
SELECT apikeys.require(:'reader', 'wrong', '10.0.0.1', 'invoices.read', :'one');
SELECT apikeys.require(:'reader', :'reader_secret', '192.0.2.1', 'invoices.read', :'one');
SELECT apikeys.require(:'reader', :'reader_secret', '10.0.0.1', 'invoices.read', :'two');
SELECT apikeys.require(:'reader', :'reader_secret', '10.0.0.1', NULL, :'one');
SELECT apikeys.require(NULL, NULL, NULL, 'invoices.read');
SELECT apikeys.require(:'reader', :'reader_secret', '10.0.0.1', '', :'one');
\set VERBOSITY sqlstate
SELECT apikeys.authenticate(:'reader', 'wrong', '10.0.0.1');
SELECT apikeys.authenticate(:'reader', :'reader_secret', NULL);
SELECT apikeys.require(:'reader', 'wrong', '10.0.0.1', 'invoices.read', :'one');
SELECT apikeys.require(:'reader', :'reader_secret', '10.0.0.1', 'invoices.read', :'two');
SELECT apikeys.require(:'reader', :'reader_secret', '10.0.0.1', '', :'one');
\set VERBOSITY terse

-- Savepoints.
BEGIN;
SAVEPOINT a;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
ROLLBACK TO a;
EXECUTE bound;
SELECT apikeys.authenticate(:'owner', :'owner_secret', NULL) = :'owner' AS bound;
RELEASE a;
EXECUTE bound;
SAVEPOINT a;
ROLLBACK TO a;
SELECT apikeys.current_key() = :'owner' AS still;
ROLLBACK;
BEGIN;
SELECT apikeys.act_as('user:regress_identity');
SAVEPOINT a;
SAVEPOINT b;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
RELEASE b;
SELECT apikeys.principal() = 'key:' || :'reader' AS the_key_acts;
ROLLBACK TO a;
SELECT apikeys.principal();
COMMIT;
SELECT apikeys.principal();
-- An error ends it too, and so does a block that is left by one.
BEGIN;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
SELECT 1 / 0;
COMMIT;
EXECUTE bound;
BEGIN;
SELECT set_config('regress.key', :'reader', true) = :'reader', set_config('regress.secret', :'reader_secret', true) IS NOT NULL;
DO $$
BEGIN
	PERFORM apikeys.authenticate(current_setting('regress.key'), current_setting('regress.secret'), '10.0.0.1');
	PERFORM 1 / 0;
EXCEPTION
	WHEN division_by_zero THEN NULL;
END;
$$;
EXECUTE bound;
ROLLBACK;

-- Forging.
SELECT count(*) > 0 AS tried, count(*) FILTER (WHERE apikeys.current_key() IS NOT NULL) AS forged
FROM unnest('{key,current_key,current_organization,organization,principal,public_key,permits,role,identity,user,acting,bound_key}'::text[]) AS name,
	unnest('{app,request,jwt.claims,api_keys,pg_temp}'::text[]) AS prefix,
	set_config(prefix || '.' || name, :'owner', true);
SET apikeys.current_key = 'x';
SELECT set_config('apikeys.principal', 'key:x', true);
RESET ROLE;
SET SESSION AUTHORIZATION regress_apikeys_identity_service;
SET ROLE regress_apikeys_identity_boss;
EXECUTE bound;
BEGIN;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
SET SESSION AUTHORIZATION regress_apikeys_identity_boss;
EXECUTE bound;
SELECT set_config('role', 'none', true);
EXECUTE bound;
ROLLBACK;
RESET SESSION AUTHORIZATION;
GRANT CREATE ON SCHEMA public TO regress_apikeys_identity_service;
SET ROLE regress_apikeys_identity_service;
CREATE FUNCTION public.permits(scope text, project uuid DEFAULT NULL) RETURNS boolean LANGUAGE sql RETURN true;
CREATE FUNCTION public.current_organization() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT id FROM (VALUES (gen_random_uuid())) AS v (id)';
CREATE FUNCTION public.current_key() RETURNS text LANGUAGE sql STABLE RETURN 'forged';
CREATE FUNCTION public.uuid_is(a uuid, b uuid) RETURNS boolean LANGUAGE sql RETURN true;
CREATE OPERATOR public.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = public.uuid_is);
CREATE TEMP TABLE key AS SELECT 'forged'::text AS public_key;
CREATE TEMP TABLE key_role AS SELECT 'forged'::text AS public_key;
SET search_path = pg_temp, public, pg_catalog;
SELECT count(*) FROM regress_identity_invoice;
BEGIN;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') OPERATOR(pg_catalog.=) :'reader' AS bound;
SELECT array_agg(id ORDER BY id) FROM regress_identity_invoice;
SELECT apikeys.permits('invoices.read', :'one'), apikeys.permits('invoices.read', :'two'), apikeys.permits('invoices.read', :'three');
ROLLBACK;
RESET search_path;
DROP OPERATOR public.= (uuid, uuid);
DROP FUNCTION public.permits, public.current_organization, public.current_key, public.uuid_is;
DROP TABLE pg_temp.key, pg_temp.key_role;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM regress_apikeys_identity_service;
SET ROLE regress_apikeys_identity_service;

-- What was resolved stays so until the transaction ends; a policy asks the
-- organization once.
BEGIN;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
RESET ROLE;
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES (:'reader', :'org', :'two', 'regress_identity_reader');
DELETE FROM apikeys.key_role WHERE public_key = :'reader' AND project_id = :'one';
UPDATE apikeys.key SET disabled_at = now() WHERE public_key = :'reader';
SET LOCAL ROLE regress_apikeys_identity_service;
EXECUTE bound;
SELECT pg_temp.count_nodes('SELECT * FROM regress_identity_invoice', 'InitPlan') AS init_plans;
ROLLBACK;
-- Several scopes in turn.
BEGIN;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
SELECT string_agg(apikeys.permits(CASE n % 2 WHEN 0 THEN 'invoices.write' ELSE 'invoices.read' END, :'one')::text, ' ' ORDER BY n) AS permits
	FROM generate_series(1, 6) AS n;
ROLLBACK;
-- Many scopes and many projects: more than answers are kept of.
BEGIN;
SELECT apikeys.authenticate(:'owner', :'owner_secret', NULL) = :'owner' AS bound;
SELECT count(*), count(*) FILTER (WHERE apikeys.permits('scope.' || n % 150, CASE n % 3 WHEN 0 THEN :'one'::uuid WHEN 1 THEN :'three'::uuid END)) AS allowed
	FROM generate_series(1, 900) AS n;
SELECT count(*) FILTER (WHERE apikeys.permits('invoices.read', ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid)) AS allowed,
	apikeys.permits('invoices.read', :'two') AS two
	FROM generate_series(1, 100100) AS n;
ROLLBACK;

RESET ROLE;

-- Projects that differ where a multiplication carries nothing on do not share a place.
BEGIN;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
SELECT count(*) FILTER (WHERE apikeys.permits('invoices.read', format('00000000-0000-00%s-0000-0000000000%s', lpad(to_hex(a), 2, '0'), lpad(to_hex(b), 2, '0'))::uuid)) AS allowed
	FROM generate_series(0, 127) AS a, generate_series(0, 127) AS b;
SELECT total_bytes < 2500000 AS is_small FROM pg_backend_memory_contexts WHERE name = 'apikeys answers';
ROLLBACK;

-- A cursor keeps what a sub-select of the policy has answered; permits answers again.
BEGIN;
SET LOCAL ROLE regress_apikeys_identity_service;
DECLARE invoices CURSOR FOR SELECT id FROM regress_identity_invoice;
SAVEPOINT a;
SELECT apikeys.authenticate(:'owner', :'owner_secret', NULL) = :'owner' AS bound;
FETCH invoices;
ROLLBACK TO a;
FETCH ALL FROM invoices;
ROLLBACK;
BEGIN;
ALTER POLICY reader ON regress_identity_invoice USING (organization_id = (SELECT apikeys.current_organization()));
SET LOCAL ROLE regress_apikeys_identity_service;
DECLARE invoices CURSOR FOR SELECT id FROM regress_identity_invoice;
SAVEPOINT a;
SELECT apikeys.authenticate(:'owner', :'owner_secret', NULL) = :'owner' AS bound;
FETCH invoices;
ROLLBACK TO a;
FETCH ALL FROM invoices;
ROLLBACK;
-- Without a project permits says nothing about a row.
BEGIN;
ALTER POLICY reader ON regress_identity_invoice USING (apikeys.permits('invoices.read', project_id));
SELECT apikeys.authenticate(:'stranger', :'stranger_secret', NULL) = :'stranger' AS bound;
SET LOCAL ROLE regress_apikeys_identity_service;
SELECT id FROM regress_identity_invoice ORDER BY id;
ROLLBACK;

-- ------------------------------------------------------------ what it leaves

-- What was named and undone, or named again, leaves no memory before the transaction ends.
CREATE FUNCTION pg_temp.bind_and_undo(public_key text, secret text, times integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. times LOOP
		BEGIN
			PERFORM apikeys.authenticate(public_key, secret, '10.0.0.1'::inet), apikeys.permits('invoices.read');
			RAISE SQLSTATE 'ZZZZZ';
		EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
			NULL;
		END;
		PERFORM apikeys.act_as('user:' || i, NULL::text);
		BEGIN
			PERFORM apikeys.act_as('user:' || i || ' again', NULL::text);
		EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
			NULL;
		END;
	END LOOP;
END;
$$;
PREPARE kept AS SELECT sum(total_bytes) < 100000 AS is_small, count(*) FILTER (WHERE name = 'apikeys principal') AS principals
	FROM pg_backend_memory_contexts WHERE name IN ('TopTransactionContext', 'apikeys principal', 'apikeys answers');
BEGIN;
SELECT pg_temp.bind_and_undo(:'reader', :'reader_secret', 1000);
SELECT apikeys.principal();
EXECUTE kept;
SAVEPOINT a;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
EXECUTE kept;
ROLLBACK TO a;
SELECT apikeys.principal();
EXECUTE kept;
ROLLBACK;
-- A parallel plan: the leader asks, in sub-selects; with permits there is none.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
BEGIN;
SELECT apikeys.authenticate(:'reader', :'reader_secret', '10.0.0.1') = :'reader' AS bound;
SET LOCAL ROLE regress_apikeys_identity_service;
SELECT pg_temp.count_nodes('SELECT count(*) FROM regress_identity_invoice', 'Gather') AS gathers, count(*) FROM regress_identity_invoice;
RESET ROLE;
ALTER POLICY reader ON regress_identity_invoice USING (
	organization_id = (SELECT apikeys.current_organization())
	AND project_id = ANY ((SELECT apikeys_internal.principal_other_projects('{invoices.read}', '{}'))::uuid[]));
SET LOCAL ROLE regress_apikeys_identity_service;
SELECT pg_temp.count_nodes('SELECT count(*) FROM regress_identity_invoice', 'Gather') AS gathers, count(*) FROM regress_identity_invoice;
ROLLBACK;
-- A function that is declared to be safe there and is not gets an error, and neither
-- another principal nor a change.
CREATE FUNCTION regress_identity_principal(text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN apikeys.principal(); END';
CREATE FUNCTION regress_identity_disable(text) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN apikeys.disable_key($1); END';
CREATE FUNCTION regress_identity_decide(text) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN apikeys.authorize($1, $1, NULL::inet, $1); END';
SET parallel_leader_participation = off;
SELECT count(regress_identity_decide(id::text)) FROM regress_identity_invoice;
SELECT count(regress_identity_principal(id::text)) FROM regress_identity_invoice;
SELECT count(regress_identity_disable(:'reader')) FROM regress_identity_invoice;
RESET parallel_leader_participation;
DROP FUNCTION regress_identity_principal, regress_identity_disable, regress_identity_decide;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SELECT proname, proparallel, provolatile FROM pg_proc
WHERE pronamespace = 'apikeys'::regnamespace AND proname IN ('permits', 'current_key', 'current_organization', 'principal', 'authenticate', 'authenticate_request', 'require')
ORDER BY 1;
-- Nobody proves a key without EXECUTE.
SELECT p.oid::regprocedure FROM pg_proc AS p
WHERE pronamespace = 'apikeys'::regnamespace AND proname IN ('authorize', 'decide', 'require', 'authenticate', 'authenticate_request', 'act_as', 'create_organization', 'create_role')
	AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0);
DEALLOCATE bound;
DROP TABLE regress_identity_invoice;
DELETE FROM apikeys.key WHERE organization_id IN (:'org', :'other_org');
DELETE FROM apikeys.organization WHERE id IN (:'org', :'other_org');
SELECT apikeys.drop_role('regress_identity_reader');
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apikeys FROM regress_apikeys_identity_service;
DROP OWNED BY regress_apikeys_identity_service, regress_apikeys_identity_boss;
DROP ROLE regress_apikeys_identity_service, regress_apikeys_identity_boss;
