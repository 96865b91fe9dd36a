-- Every verb, every view and every way to write a table, tried by every kind of
-- principal: what each is answered, by its identifier.
--   +         it was done (and is undone)
--   a number  so many rows were read
--   a word    the identifier of the error; where it has none, its SQLSTATE
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on

-- ------------------------------------------------------------------- the actors
CREATE TEMP TABLE principal (
	number int PRIMARY KEY, name text, database_role text, becomes text);
INSERT INTO principal VALUES
	(1, 'superuser', NULL, NULL),
	(2, 'bypasses-rls', 'regress_apikeys_matrix_bypass', NULL),
	(3, 'owner', 'regress_apikeys_matrix_owner', NULL),
	(4, 'owner-through-role', 'regress_apikeys_matrix_through', NULL),
	(5, 'owner-by-act_as', 'regress_apikeys_matrix_service',
		$$SELECT apikeys.act_as('user:regress_matrix', '192.0.2.9'::inet)$$),
	(6, 'owner-by-key', 'regress_apikeys_matrix_carrier',
		$$SELECT apikeys.authenticate('regress_matrix_owner', 'a secret', '192.0.2.9'::inet)$$),
	(7, 'key-manager', 'regress_apikeys_matrix_manager', NULL),
	(8, 'admin-of-A', 'regress_apikeys_matrix_a', NULL),
	(9, 'admin-of-B', 'regress_apikeys_matrix_b', NULL),
	(10, 'member', 'regress_apikeys_matrix_member', NULL),
	(11, 'reader', 'regress_apikeys_matrix_reader', NULL),
	(12, 'other-owner', 'regress_apikeys_matrix_other', NULL),
	(13, 'decides-only', 'regress_apikeys_matrix_decide', NULL),
	(14, 'nobody', 'regress_apikeys_matrix_nobody', NULL);
SELECT format('CREATE ROLE %I', database_role) FROM principal WHERE database_role IS NOT NULL ORDER BY number \gexec
ALTER ROLE regress_apikeys_matrix_bypass BYPASSRLS;
CREATE ROLE regress_apikeys_matrix_owners;
GRANT regress_apikeys_matrix_owners TO regress_apikeys_matrix_through;
SELECT count(apikeys.grant_access(database_role::regrole, 'manage')) FROM principal WHERE number BETWEEN 2 AND 12;
SELECT apikeys.grant_access('regress_apikeys_matrix_service', 'impersonate');
SELECT apikeys.grant_access('regress_apikeys_matrix_carrier', 'decide');
SELECT apikeys.grant_access('regress_apikeys_matrix_decide', 'decide');

-- ------------------------------------------------------------ what they act upon
-- Acme has the projects A and B; the other organization has C. The keys are named
-- by where they have roles.
INSERT INTO apikeys.organization (id, name) VALUES
	('10000000-0000-0000-0000-000000000000', 'regress_matrix acme'),
	('20000000-0000-0000-0000-000000000000', 'regress_matrix other'),
	('30000000-0000-0000-0000-000000000000', 'regress_matrix empty');
INSERT INTO apikeys.project (id, organization_id, name) VALUES
	('1a000000-0000-0000-0000-000000000000', '10000000-0000-0000-0000-000000000000', 'A'),
	('1b000000-0000-0000-0000-000000000000', '10000000-0000-0000-0000-000000000000', 'B'),
	('2c000000-0000-0000-0000-000000000000', '20000000-0000-0000-0000-000000000000', 'C');
SELECT apikeys.create_role('regress_matrix_keys', 'organization', '{apikeys.keys.manage,clusters.read}', '{}', 'Manages keys');
SELECT apikeys.create_role('regress_matrix_unused', 'project', '{}', '{clusters.read}', 'Not granted');
SELECT count(apikeys.add_member(organization::uuid, principal, role, project::uuid)) FROM (VALUES
	('10000000-0000-0000-0000-000000000000', 'role:regress_apikeys_matrix_owner', 'ORG_OWNER', NULL),
	('10000000-0000-0000-0000-000000000000', 'role:regress_apikeys_matrix_owners', 'ORG_OWNER', NULL),
	('10000000-0000-0000-0000-000000000000', 'user:regress_matrix', 'ORG_OWNER', NULL),
	('10000000-0000-0000-0000-000000000000', 'role:regress_apikeys_matrix_manager', 'regress_matrix_keys', NULL),
	('10000000-0000-0000-0000-000000000000', 'role:regress_apikeys_matrix_a', 'GROUP_USER_ADMIN', '1a000000-0000-0000-0000-000000000000'),
	('10000000-0000-0000-0000-000000000000', 'role:regress_apikeys_matrix_b', 'GROUP_USER_ADMIN', '1b000000-0000-0000-0000-000000000000'),
	('10000000-0000-0000-0000-000000000000', 'role:regress_apikeys_matrix_member', 'ORG_MEMBER', NULL),
	('10000000-0000-0000-0000-000000000000', 'role:regress_apikeys_matrix_reader', 'ORG_READ_ONLY', NULL),
	('10000000-0000-0000-0000-000000000000', 'user:regress_matrix_a', 'GROUP_READ_ONLY', '1a000000-0000-0000-0000-000000000000'),
	('20000000-0000-0000-0000-000000000000', 'role:regress_apikeys_matrix_other', 'ORG_OWNER', NULL),
	('30000000-0000-0000-0000-000000000000', 'role:regress_apikeys_matrix_owner', 'ORG_OWNER', NULL))
	AS m (organization, principal, role, project);
SELECT count(apikeys.import_key(organization::uuid, 'regress_matrix_' || name,
		('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, 'a key', roles::text[], '{192.0.2.0/24}'))
FROM (VALUES
	('owner', '10000000-0000-0000-0000-000000000000', '{ORG_OWNER}'),
	('reader', '10000000-0000-0000-0000-000000000000', '{ORG_READ_ONLY}'),
	('a', '10000000-0000-0000-0000-000000000000', '{}'),
	('ab', '10000000-0000-0000-0000-000000000000', '{}'),
	('nowhere', '10000000-0000-0000-0000-000000000000', '{}'),
	('c', '20000000-0000-0000-0000-000000000000', '{}')) AS k (name, organization, roles);
SELECT count(apikeys.set_project_roles('regress_matrix_' || key, project::uuid, '{GROUP_READ_ONLY}')) FROM (VALUES
	('a', '1a000000-0000-0000-0000-000000000000'),
	('ab', '1a000000-0000-0000-0000-000000000000'),
	('ab', '1b000000-0000-0000-0000-000000000000'),
	('c', '2c000000-0000-0000-0000-000000000000')) AS r (key, project);
CREATE TABLE regress_matrix_source (public_key text, hash text, description text);
INSERT INTO regress_matrix_source VALUES ('regress_matrix_new', 'sha256$$' || repeat('0', 64), 'a key');
GRANT SELECT ON regress_matrix_source TO PUBLIC;

-- -------------------------------------------------------------------- the harness
-- Names of ids in a statement stand for them.
CREATE FUNCTION pg_temp.attempt(p principal, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	identifier text;
	count bigint;
BEGIN
	PERFORM set_config('role', coalesce(p.database_role, 'none'), true);
	IF p.becomes IS NOT NULL THEN
		EXECUTE p.becomes;
	END IF;
	IF statement ~ '^SELECT count' THEN
		EXECUTE statement INTO STRICT count;
	ELSE
		EXECUTE statement;
	END IF;
	RAISE SQLSTATE 'DONE0';
EXCEPTION WHEN SQLSTATE 'DONE0' THEN
	RETURN coalesce(count::text, '+');
WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	-- A connection by a Unix-domain socket has no address to add, one by TCP has.
	RETURN CASE WHEN identifier = 'no_address' THEN '+' ELSE coalesce(nullif(identifier, ''), SQLSTATE) END;
END;
$$;
CREATE TEMP TABLE act (number int GENERATED ALWAYS AS IDENTITY, statement text);
-- For each act, the actors by answer.
CREATE FUNCTION pg_temp.answers() RETURNS TABLE (line text) LANGUAGE sql AS $$
	SELECT CASE WHEN row_number() OVER (PARTITION BY number ORDER BY first) = 1 THEN statement || E'\n' ELSE '' END
		|| format('    %s: %s', answer, names)
	FROM (
		SELECT a.number, a.statement, o.answer, min(p.number) AS first, string_agg(p.name, ' ' ORDER BY p.number) AS names
		FROM act AS a CROSS JOIN principal AS p
			CROSS JOIN LATERAL pg_temp.attempt(p, replace(replace(replace(replace(replace(replace(a.statement,
				'{acme}', '''10000000-0000-0000-0000-000000000000'''), '{other}', '''20000000-0000-0000-0000-000000000000'''),
				'{empty}', '''30000000-0000-0000-0000-000000000000'''),
				'{A}', '''1a000000-0000-0000-0000-000000000000'''), '{B}', '''1b000000-0000-0000-0000-000000000000'''),
				'{C}', '''2c000000-0000-0000-0000-000000000000''')) AS o (answer)
		GROUP BY a.number, a.statement, o.answer) AS s
	ORDER BY number, first;
$$;

-- ----------------------------------------------------------------------- reading
INSERT INTO apikeys.key_history (public_key, hour, reason, organization_id, count, cost)
SELECT k.public_key, '2001-01-01', r, k.organization_id, 1, 1
FROM apikeys.key AS k, unnest('{ok,wrong_secret}'::text[]) AS r WHERE k.public_key LIKE 'regress\_matrix\_%';
INSERT INTO apikeys.key_history (public_key, hour, reason, organization_id, count, cost) VALUES
	('regress_matrix_gone', '2001-01-01', 'ok', '10000000-0000-0000-0000-000000000000', 1, 1);
INSERT INTO apikeys.key_day (public_key, day, reason, organization_id, count, cost)
SELECT h.public_key, '2001-01-01', h.reason, h.organization_id, h.count, h.cost FROM apikeys.key_history AS h WHERE h.hour = '2001-01-01';
INSERT INTO act (statement)
SELECT format('SELECT count(*) FROM apikeys.%I', relname) FROM pg_class
WHERE relnamespace = 'apikeys'::regnamespace AND relkind IN ('r', 'v')
	AND relname NOT IN ('audit_event', 'audit_seal', 'audit_chain', 'usage_flush', 'deleted_key', 'key_denial')
ORDER BY relname COLLATE "C";
INSERT INTO act (statement) VALUES
	('SELECT count(*) FROM apikeys.audit_event WHERE public_key = ''regress_matrix_a'''),
	('SELECT count(hash) FROM apikeys.key_secret'),
	('SELECT count(hint) FROM apikeys.key_secret'),
	('SELECT count(*) FROM apikeys.find_keys(description => ''a key'')'),
	('SELECT count(*) FROM apikeys.expiring_keys(''1 year'')'),
	('SELECT count(*) FROM apikeys.explain_authorize(''regress_matrix_a'', ''192.0.2.1''::inet, ''clusters.read'', {A})'),
	('SELECT count(*) FROM apikeys.status()'),
	('SELECT count(*) FROM apikeys.usage_chart(''regress_matrix_a'', 7)'),
	('SELECT count(*) FROM apikeys.current_key_details()'),
	('SELECT count(*) > 10 FROM apikeys.audit_events_after(0)'),
	('SELECT apikeys.organization(''regress_matrix acme'')'),
	('SELECT apikeys.project(''regress_matrix acme'', ''A'')'),
	('SELECT apikeys.organization_of({A})');
SELECT line FROM pg_temp.answers();
TRUNCATE act;

-- ------------------------------------------------------------------------- verbs
INSERT INTO act (statement) VALUES
	('SELECT apikeys.create_organization(''regress_matrix new'', ''user:1'')'),
	('SELECT apikeys.rename_organization({acme}, ''regress_matrix renamed'')'),
	('SELECT apikeys.set_organization_policy({acme}, max_key_lifetime => ''1 year'')'),
	('SELECT apikeys.set_organization_rate_limit({acme}, 1, ''1 s'')'),
	('SELECT apikeys.set_organization_quota({acme}, 1, ''day'')'),
	('SELECT apikeys.delete_organization({acme})'),
	('SELECT apikeys.delete_organization({empty})'),
	('SELECT apikeys.set_organization_metadata({acme}, ''{"a": 1}'')'),
	('SELECT apikeys.set_project_metadata({A}, ''{"a": 1}'')'),
	('SELECT apikeys.set_organization_access_list({acme}, ''{192.0.2.0/24}'')'),
	('SELECT apikeys.set_organization_environment({acme}, ''live'')'),
	('SELECT apikeys.set_project_environment({A}, ''test'')'),
	('SELECT apikeys.create_project({acme}, ''New'')'),
	('SELECT apikeys.rename_project({A}, ''Renamed'')'),
	('SELECT apikeys.delete_project({A})'),
	('SELECT apikeys.add_member({acme}, ''user:new'', ''ORG_OWNER'')'),
	('SELECT apikeys.add_member({acme}, ''user:new'', ''ORG_MEMBER'')'),
	('SELECT apikeys.add_member({acme}, ''user:new'', ''GROUP_READ_ONLY'', {A})'),
	('SELECT apikeys.add_member({acme}, ''user:new'', ''GROUP_READ_ONLY'', {C})'),
	('SELECT apikeys.remove_member({acme}, ''user:regress_matrix_a'', ''GROUP_READ_ONLY'', {A})'),
	('SELECT apikeys.remove_member({acme}, ''role:regress_apikeys_matrix_owner'', ''ORG_OWNER'')'),
	('SELECT apikeys.create_role(''regress_matrix_new'', ''project'', ''{}'', ''{clusters.read}'', ''A role'')'),
	('SELECT apikeys.drop_role(''regress_matrix_unused'')'),
	('SELECT apikeys.create_key({acme}, ''new'', ''{ORG_OWNER}'')'),
	('SELECT apikeys.create_key({acme}, ''new'', ''{ORG_MEMBER}'')'),
	('SELECT apikeys.create_key({acme}, ''new'', ''{regress_matrix_keys}'')'),
	('SELECT apikeys.create_project_key({A}, ''new'', ''{GROUP_READ_ONLY}'')'),
	('SELECT apikeys.create_project_key({A}, ''new'', ''{GROUP_OWNER}'')'),
	('SELECT apikeys.import_key({acme}, ''regress_matrix_new'', (''sha256$$'' || repeat(''0'', 64))::apikeys.secret_hash, ''new'', ''{}'')'),
	('SELECT apikeys.import_keys({acme}, ''public.regress_matrix_source'')'),
	('SELECT apikeys.check_import({acme}, ''public.regress_matrix_source'')'),
	('SELECT apikeys.update_key(''regress_matrix_reader'', ''changed'')'),
	('SELECT apikeys.update_key(''regress_matrix_a'', ''changed'')'),
	('SELECT apikeys.update_key(''regress_matrix_a'', owner => ''customer 42'', metadata => ''{"plan": "pro"}'')'),
	('SELECT apikeys.update_key(''regress_matrix_ab'', ''changed'')'),
	('SELECT apikeys.update_key(''regress_matrix_owner'', ''changed'')'),
	('SELECT apikeys.update_key(''regress_matrix_nowhere'', ''changed'')'),
	('SELECT apikeys.set_organization_roles(''regress_matrix_reader'', ''{ORG_MEMBER}'')'),
	('SELECT apikeys.set_organization_roles(''regress_matrix_a'', ''{ORG_OWNER}'')'),
	('SELECT apikeys.set_project_roles(''regress_matrix_a'', {A}, ''{GROUP_OWNER}'')'),
	('SELECT apikeys.set_project_roles(''regress_matrix_a'', {B}, ''{GROUP_READ_ONLY}'')'),
	('SELECT apikeys.set_project_roles(''regress_matrix_a'', {C}, ''{GROUP_READ_ONLY}'')'),
	('SELECT apikeys.remove_from_project(''regress_matrix_ab'', {A})'),
	('SELECT apikeys.add_to_access_list(''regress_matrix_a'', ''198.51.100.1''::inet)'),
	('SELECT apikeys.add_to_access_list(''regress_matrix_a'', ''198.51.100.1''::text)'),
	('SELECT apikeys.add_to_access_list(''regress_matrix_a'', ''{198.51.100.1}''::text[])'),
	('SELECT apikeys.remove_from_access_list(''regress_matrix_a'', ''192.0.2.0/24''::inet)'),
	('SELECT apikeys.remove_from_access_list(''regress_matrix_a'', ''198.51.100.1''::text)'),
	('SELECT apikeys.add_current_address(''regress_matrix_a'')'),
	('SELECT apikeys.rotate_secret(''regress_matrix_a'')'),
	('SELECT apikeys.rotate_secret(''regress_matrix_owner'')'),
	('SELECT apikeys.issue_token(''1 minute'', NULL, NULL, ''regress_matrix_a'')'),
	('SELECT apikeys.issue_token(''1 minute'', NULL, NULL, ''regress_matrix_owner'')'),
	('SELECT apikeys.revoke_secret(''regress_matrix_a'', 1)'),
	('SELECT apikeys.enable_digest(''regress_matrix_a'', ''a realm'')'),
	('SELECT apikeys.enable_digest(''regress_matrix_ab'', ''a realm'')'),
	('SELECT apikeys.enable_digest(''regress_matrix_owner'', ''a realm'')'),
	('SELECT apikeys.disable_digest(''regress_matrix_a'')'),
	('SELECT apikeys.disable_digest(''regress_matrix_ab'')'),
	('SELECT apikeys.disable_digest(''regress_matrix_owner'')'),
	('SELECT apikeys.reseal_digests()'),
	('SELECT apikeys.renew_token_key()'),
	('SELECT apikeys.disable_key(''regress_matrix_a'')'),
	('SELECT apikeys.disable_key(''regress_matrix_ab'')'),
	('SELECT apikeys.disable_key(''regress_matrix_owner'')'),
	('SELECT apikeys.enable_key(''regress_matrix_a'')'),
	('SELECT apikeys.set_rate_limit(''regress_matrix_a'', 1, ''1 s'')'),
	('SELECT apikeys.set_rate_limit(''regress_matrix_ab'', 1, ''1 s'')'),
	('SELECT apikeys.set_rate_limit(''regress_matrix_owner'', 1, ''1 s'')'),
	('SELECT apikeys.set_quota(''regress_matrix_a'', 1, ''day'')'),
	('SELECT apikeys.add_credits(''regress_matrix_a'', 1)'),
	('SELECT apikeys.reset_limits(''regress_matrix_a'')'),
	('SELECT apikeys.delete_key(''regress_matrix_a'')'),
	('SELECT apikeys.delete_key(''regress_matrix_ab'')'),
	('SELECT apikeys.delete_key(''regress_matrix_owner'')'),
	('SELECT apikeys.delete_key(''regress_matrix_c'')'),
	('SELECT apikeys.disable_keys(description => ''a key'', dry_run => false)'),
	('SELECT apikeys.delete_keys(description => ''a key'', dry_run => false)'),
	('SELECT apikeys.find_leaked(''nothing'')'),
	('SELECT apikeys.revoke_leaked(''nothing'')'),
	('SELECT apikeys.act_as(''user:1'', ''192.0.2.1''::inet)'),
	('SELECT apikeys.authorize(''regress_matrix_a'', ''a secret'', ''192.0.2.1''::inet, ''clusters.read'', {A})'),
	('SELECT apikeys.authorize_token(''regress_matrix_a.a secret'', ''192.0.2.1''::inet, ''clusters.read'', {A})'),
	('SELECT reason FROM apikeys.decide_token(''regress_matrix_a.a secret'', ''192.0.2.1''::text, ''clusters.read'', {A})'),
	('SELECT apikeys.authenticate_token(''regress_matrix_a.wrong'', ''192.0.2.1''::inet)'),
	('SELECT apikeys.authorize_digest(''Digest'', ''GET'', ''/'', ''192.0.2.1''::inet, ''clusters.read'', {A})'),
	('SELECT reason FROM apikeys.decide_digest(''Digest'', ''GET'', ''/'', ''192.0.2.1''::text, ''clusters.read'', {A})'),
	('SELECT apikeys.authenticate_digest(''Digest'', ''GET'', ''/'', ''192.0.2.1''::inet)'),
	('SELECT apikeys.digest_challenge(''a realm'')'),
	('SELECT count(*) FROM unnest(apikeys.permitted_scopes({acme}, ''{apikeys.keys.read,apikeys.keys.manage,apikeys.members.manage}'')) AS s'),
	('SELECT count(*) FROM unnest(apikeys.permitted_scopes({acme}, ''{apikeys.keys.read,apikeys.keys.manage,apikeys.members.manage}'', {A})) AS s'),
	('SELECT apikeys.split_api_key(''a.b'')'),
	('SELECT apikeys.grant_access(''regress_apikeys_matrix_nobody'', ''manage'')'),
	('SELECT apikeys.revoke_access(''regress_apikeys_matrix_owner'', ''manage'')'),
	('SELECT apikeys.seal_audit()'),
	('SELECT apikeys.prune_audit(now())'),
	('SELECT apikeys.flush_usage()'),
	('SELECT count(DISTINCT kind) FROM apikeys.metrics()'),
	('SELECT apikeys.rebuild_images()');
SELECT line FROM pg_temp.answers();
-- No verb is left out.
SELECT 'left out: ' || p.oid::regprocedure FROM pg_proc AS p
WHERE p.pronamespace = 'apikeys'::regnamespace AND p.provolatile = 'v' AND p.proargnames[1] IS NOT NULL
	AND p.prosrc = 'apikeys_door'
	AND NOT EXISTS (SELECT FROM act AS a WHERE a.statement LIKE '%apikeys.' || p.proname || '(%')
ORDER BY 1;
TRUNCATE act;

-- -------------------------------------------------------------- tables by hand
INSERT INTO act (statement)
SELECT format(s.statement, c.oid::regclass, c.attname)
FROM (
	SELECT r.oid, r.relname, (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = r.oid AND a.attnum = 2) AS attname
	FROM pg_class AS r
	WHERE r.relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace) AND r.relkind = 'r') AS c
	CROSS JOIN (VALUES
		(1, 'INSERT INTO %1$s DEFAULT VALUES'), (2, 'UPDATE %1$s SET %2$I = %2$I'), (3, 'DELETE FROM %1$s'),
		(4, 'TRUNCATE %1$s CASCADE'), (5, 'MERGE INTO %1$s AS t USING %1$s AS s ON true WHEN MATCHED THEN DELETE'),
		(6, 'COPY %1$s FROM ''/dev/null'''), (7, 'LOCK TABLE %1$s IN ROW EXCLUSIVE MODE'), (8, 'LOCK TABLE %1$s IN ACCESS EXCLUSIVE MODE'),
		(9, 'SELECT * FROM %1$s FOR UPDATE'), (10, 'CREATE TRIGGER t AFTER INSERT ON %1$s EXECUTE FUNCTION tsvector_update_trigger()')) AS s (number, statement)
ORDER BY c.relname COLLATE "C", s.number;
SELECT count(*) || ' attempts' FROM act CROSS JOIN principal AS p WHERE p.number > 1;
-- All are refused because a privilege is missing.
SELECT DISTINCT format('%s: %s', a.statement, o.answer) AS answer
FROM act AS a CROSS JOIN principal AS p CROSS JOIN LATERAL pg_temp.attempt(p, a.statement) AS o (answer)
WHERE p.number > 1 AND o.answer <> '42501'
ORDER BY 1;
-- As are functions behind the door.
TRUNCATE act;
INSERT INTO act (statement)
SELECT format('SELECT %s(%s)', p.oid::regproc, (
	SELECT string_agg('NULL::' || format_type(t, NULL), ', ' ORDER BY n) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, n)))
FROM pg_proc AS p
WHERE p.pronamespace = 'apikeys_internal'::regnamespace AND p.provolatile = 'v' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
	AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[]);
SELECT DISTINCT format('%s: %s', a.statement, o.answer) AS answer
FROM act AS a CROSS JOIN principal AS p CROSS JOIN LATERAL pg_temp.attempt(p, a.statement) AS o (answer)
WHERE p.number > 1 AND o.answer <> '42501'
ORDER BY 1;

-- ------------------------------------------------------------------------ the end
DROP TABLE regress_matrix_source;
DELETE FROM apikeys.key WHERE public_key LIKE 'regress\_matrix%';
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress\_matrix%';
DELETE FROM apikeys.organization WHERE name LIKE 'regress\_matrix%';
SELECT apikeys.drop_role('regress_matrix_keys'), apikeys.drop_role('regress_matrix_unused');
SELECT format('DROP OWNED BY %I', database_role) FROM principal WHERE database_role IS NOT NULL ORDER BY number \gexec
SELECT format('DROP ROLE %I', database_role) FROM principal WHERE database_role IS NOT NULL ORDER BY number \gexec
DROP ROLE regress_apikeys_matrix_owners;
