-- A schema of somebody else's before pg_catalog in the search_path: nothing of
-- it is called, neither when the extension is created nor by any of its
-- functions, triggers, policies and views.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS apikeys;
\getenv tests PG_ABS_SRCDIR
\set schema :tests '/hostile/schema.sql'
\set ECHO none
\i :schema
\set ECHO all
CREATE ROLE regress_apikeys_victim;
SET search_path = regress_hostile, pg_catalog;
-- What is planted would be noticed.
\set VERBOSITY terse
SELECT 'a'::pg_catalog.text = 'a'::pg_catalog.text;
SELECT lower('A');
SELECT now();
SELECT '(1,2)'::uuid;
\set VERBOSITY default
SELECT last_value, is_called FROM regress_hostile.called;
ALTER SEQUENCE regress_hostile.called RESTART;
CREATE TEMPORARY TABLE key ();
CREATE TEMPORARY TABLE key_role ();
CREATE TEMPORARY TABLE key_secret ();
CREATE TEMPORARY TABLE role ();
CREATE DOMAIN pg_temp.interval AS pg_catalog.point;

CREATE EXTENSION apikeys;
SELECT is_called AS called_by_install FROM regress_hostile.called;

-- Each statement is run by a role that row-level security binds, and then by a
-- superuser. What one answers is known to those after it by a name.
CREATE TEMPORARY TABLE attempt (position pg_catalog.int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, answer pg_catalog.text, statement pg_catalog.text);
CREATE TEMPORARY TABLE fact (name pg_catalog.text PRIMARY KEY, value pg_catalog.text);
CREATE TEMPORARY TABLE staging (public_key pg_catalog.text, hash pg_catalog.text, description pg_catalog.text,
	roles pg_catalog.text[], access_list pg_catalog.text, expires_at pg_catalog.timestamptz);
GRANT SELECT ON attempt TO PUBLIC;
GRANT ALL ON staging TO PUBLIC;
GRANT ALL ON fact TO PUBLIC;
CREATE FUNCTION pg_temp.fact(name pg_catalog.text) RETURNS pg_catalog.text LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT f.value FROM pg_temp.fact AS f WHERE f.name OPERATOR(pg_catalog.=) fact.name);
END $$;
CREATE FUNCTION pg_temp.id(name pg_catalog.text) RETURNS pg_catalog.uuid LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT f.value FROM pg_temp.fact AS f WHERE f.name OPERATOR(pg_catalog.=) id.name);
END $$;
-- Runs all statements, and returns the ones that fail.
CREATE FUNCTION pg_temp.run() RETURNS TABLE (statement pg_catalog.text, outcome pg_catalog.text) LANGUAGE plpgsql AS $$
DECLARE
	d pg_temp.attempt;
	answered pg_catalog.text;
BEGIN
	FOR d IN SELECT * FROM pg_temp.attempt ORDER BY position LOOP
		BEGIN
			IF d.answer IS NULL THEN
				EXECUTE d.statement;
			ELSE
				EXECUTE d.statement INTO STRICT answered;
				INSERT INTO pg_temp.fact VALUES (d.answer, answered)
					ON CONFLICT (name) DO UPDATE SET value = excluded.value;
			END IF;
		EXCEPTION WHEN OTHERS THEN
			statement := d.statement;
			outcome := pg_catalog.replace(pg_catalog.replace(pg_catalog.concat_ws(': ', SQLSTATE, SQLERRM), coalesce(pg_temp.fact('key'), '?'), '<key>'), SESSION_USER, 'superuser');
			RETURN NEXT;
		END;
	END LOOP;
END $$;

INSERT INTO attempt (answer, statement) VALUES
	('org', $$SELECT apikeys.create_organization('regress_hostile', 'role:regress_apikeys_victim')$$),
	(NULL, $$SELECT apikeys.organization('regress_hostile')$$),
	(NULL, $$UPDATE apikeys.organization SET name = 'regress_hostile', max_key_lifetime = '10 years'$$),
	(NULL, $$SELECT apikeys.set_organization_policy(pg_temp.id('org'), false, NULL, '1 day')$$),
	('project', $$SELECT apikeys.create_project(pg_temp.id('org'), 'one')$$),
	(NULL, $$SELECT apikeys.project('regress_hostile', 'one')$$),
	(NULL, $$SELECT apikeys.organization_of(pg_temp.id('project'))$$),
	(NULL, $$SELECT apikeys.create_role('REGRESS_HOSTILE', 'project', '{}', '{a.*}', 'A role')$$),
	(NULL, $body$SELECT apikeys.set_organization_metadata(pg_temp.id('org'), '{"a": 1}')$body$),
	(NULL, $body$SELECT apikeys.set_project_metadata(pg_temp.id('project'), '{"a": 1}')$body$),
	(NULL, $$SELECT apikeys.set_organization_access_list(pg_temp.id('org'), '{}')$$),
	(NULL, $$SELECT apikeys.set_organization_environment(pg_temp.id('org'), 'live')$$),
	(NULL, $$SELECT apikeys.set_project_environment(pg_temp.id('project'), 'test')$$),
	(NULL, $$SELECT apikeys.add_member(pg_temp.id('org'), 'user:one', 'ORG_OWNER')$$),
	(NULL, $$SELECT apikeys.add_member(pg_temp.id('org'), 'user:one', 'GROUP_OWNER', pg_temp.id('project'))$$),
	(NULL, $$SELECT apikeys.remove_member(pg_temp.id('org'), 'user:one', 'GROUP_OWNER', pg_temp.id('project'))$$),
	('key', $$SELECT (apikeys.create_key(pg_temp.id('org'), 'A key', '{ORG_OWNER,ORG_MEMBER}', '{192.0.2.0/24}', '2999-01-01', owner => 'an owner', metadata => '{"a": 1}')).public_key$$),
	('secret', $$SELECT apikeys.rotate_secret(pg_temp.fact('key'), '1 hour')$$),
	(NULL, $$SELECT apikeys.create_project_key(pg_temp.id('project'), 'Another key', '{GROUP_OWNER}')$$),
	('imported', $$SELECT 'regress_hostile_' OPERATOR(pg_catalog.||) pg_temp.fact('key')$$),
	(NULL, $body$SELECT apikeys.import_key(pg_temp.id('org'), pg_temp.fact('imported'), 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'An imported key', '{ORG_READ_ONLY}')$body$),
	(NULL, $$DELETE FROM pg_temp.staging$$),
	(NULL, $body$INSERT INTO pg_temp.staging VALUES ('staged_' OPERATOR(pg_catalog.||) pg_temp.fact('key'), 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'A staged key', '{ORG_MEMBER}', '{192.0.2.0/24}', '2030-01-01')$body$),
	(NULL, $$SELECT apikeys.import_keys(pg_temp.id('org'), 'pg_temp.staging')$$),
	(NULL, $$SELECT apikeys.import_keys(pg_temp.id('org'), 'pg_temp.staging')$$),
	(NULL, $$SELECT apikeys.update_key(pg_temp.fact('key'), 'A key, changed', '{192.0.2.0/24,10.0.0.0/8}', '2998-01-01')$$),
	(NULL, $$SELECT apikeys.set_organization_roles(pg_temp.fact('key'), '{ORG_OWNER,ORG_READ_ONLY}')$$),
	(NULL, $$SELECT apikeys.set_project_roles(pg_temp.fact('key'), pg_temp.id('project'), '{GROUP_OWNER,REGRESS_HOSTILE}')$$),
	(NULL, $$SELECT apikeys.set_project_roles(pg_temp.fact('key'), pg_temp.id('project'), '{GROUP_READ_ONLY}')$$),
	(NULL, $$SELECT apikeys.remove_from_project(pg_temp.fact('key'), pg_temp.id('project'))$$),
	(NULL, $$SELECT apikeys.add_to_access_list(pg_temp.fact('key'), '198.51.100.1', '2001:db8::/32')$$),
	(NULL, $$SELECT apikeys.remove_from_access_list(pg_temp.fact('key'), '198.51.100.1')$$),
	(NULL, $$SELECT apikeys.revoke_secret(pg_temp.fact('key'), 1)$$),
	(NULL, $$SELECT apikeys.disable_key(pg_temp.fact('imported'))$$),
	(NULL, $$SELECT apikeys.enable_key(pg_temp.fact('imported'))$$),
	(NULL, $$SELECT apikeys.set_rate_limit(pg_temp.fact('key'), 1000, '1 h', scope => 'a.*')$$),
	(NULL, $$SELECT apikeys.set_quota(pg_temp.fact('key'), 1000, 'ever')$$),
	(NULL, $$SELECT apikeys.add_credits(pg_temp.fact('key'), 1)$$),
	(NULL, $$SELECT apikeys.set_organization_rate_limit(pg_temp.id('org'), 1000, '1 h', each_key => true)$$),
	(NULL, $$SELECT apikeys.set_organization_quota(pg_temp.id('org'), 1000, 'month')$$),
	(NULL, $$SELECT apikeys.rate_limit_headers(apikeys.decide(pg_temp.fact('key'), pg_temp.fact('secret'), '192.0.2.1', 'a.read'))$$),
	(NULL, $$SELECT apikeys.reset_limits(pg_temp.fact('key'))$$),
	(NULL, $$SELECT * FROM apikeys.limits$$),
	(NULL, $$SELECT apikeys.merge_quota_usage(pg_temp.id('org'), 1, ARRAY[pg_temp.id('org')], '{month}', '{2026-01-01 00:00+00}', '{1}')$$),
	('reason', $$SELECT (apikeys.decide(pg_temp.fact('key'), pg_temp.fact('secret'), '192.0.2.1', 'a.read')).reason$$),
	(NULL, $$SELECT apikeys.authorize(pg_temp.fact('key'), pg_temp.fact('secret'), '192.0.2.1', 'a.read', pg_temp.id('project'))$$),
	(NULL, $$SELECT apikeys.authorize(pg_temp.fact('key'), pg_temp.fact('key'), '192.0.2.1', 'a.read')$$),
	(NULL, $$SELECT apikeys.authorize(pg_temp.fact('imported'), 'abc', '192.0.2.1', 'a.read')$$),
	(NULL, $$SELECT apikeys.require(pg_temp.fact('key'), pg_temp.fact('secret'), '192.0.2.1', 'a.read')$$),
	(NULL, $$SELECT * FROM apikeys.explain_authorize(pg_temp.fact('key'), '192.0.2.1', 'a.read', pg_temp.id('project'))$$),
	(NULL, $$SELECT apikeys.permits('a.read'), apikeys.current_key(), apikeys.current_organization(), apikeys.principal(), apikeys.principals()$$),
	(NULL, $$SELECT * FROM apikeys.keys$$),
	(NULL, $$SELECT * FROM apikeys.access_list_entries$$),
	(NULL, $$SELECT * FROM apikeys.usage$$),
	(NULL, $$SELECT * FROM apikeys.member, apikeys.project, apikeys.role, apikeys.key_role, apikeys.audit_event$$),
	(NULL, $$SELECT s.public_key, s.version, s.hint FROM apikeys.key_secret AS s$$),
	(NULL, $$SELECT * FROM apikeys.key_usage, apikeys.key_denial$$),
	(NULL, $$SELECT * FROM apikeys.unused_keys, apikeys.unused_access_list_entries, apikeys.unused_roles$$),
	(NULL, $$SELECT * FROM apikeys.expiring_keys('1000 years')$$),
	(NULL, $$SELECT apikeys.find_keys('2999-01-01', NULL, apikeys.principal(), NULL, '%key%', pg_temp.id('org'))$$),
	(NULL, $$SELECT apikeys.find_keys(expiring_before => '2999-01-01', project => pg_temp.id('project'))$$),
	(NULL, $$SELECT apikeys.disable_keys(description => 'An imported%', dry_run => false)$$),
	(NULL, $$SELECT apikeys.find_leaked(pg_temp.fact('secret'))$$),
	(NULL, $$SELECT k.access_list OPERATOR(apikeys.+) '192.0.2.1', k.access_list OPERATOR(apikeys.-) '192.0.2.1', k.access_list OPERATOR(apikeys.@>) '192.0.2.1', '192.0.2.1' OPERATOR(apikeys.<@) k.access_list, k.access_list OPERATOR(apikeys.<>) k.access_list FROM apikeys.key AS k$$),
	(NULL, $$SELECT * FROM apikeys.rehash_status, apikeys.status(), apikeys.help(), apikeys.metrics()$$),
	(NULL, $$SELECT * FROM apikeys.usage_by_hour, apikeys.usage_by_day, apikeys.usage_chart(pg_temp.fact('key'))$$),
	(NULL, $$SELECT apikeys.networks(k.access_list), apikeys.cardinality(k.access_list), apikeys.matching_network(k.access_list, '10.0.0.1') FROM apikeys.key AS k$$),
	(NULL, $$SELECT apikeys.add_to_access_list(pg_temp.fact('key'), '198.51.100.2'), apikeys.remove_from_access_list(pg_temp.fact('key'), VARIADIC '{198.51.100.2}'), apikeys.remove_from_access_list(pg_temp.fact('key'), '192.0.2.9'::pg_catalog.inet)$$),
	(NULL, $$SELECT apikeys.add_to_access_list(pg_temp.fact('key'), '{198.51.100.2}'::pg_catalog.text[]), apikeys.remove_from_access_list(pg_temp.fact('key'), '{198.51.100.2}'::pg_catalog.text[])$$),
	(NULL, $$SELECT apikeys.rename_organization(pg_temp.id('org'), 'regress_hostile_renamed'), apikeys.rename_organization(pg_temp.id('org'), 'regress_hostile')$$),
	(NULL, $$SELECT apikeys.rename_project(pg_temp.id('project'), 'renamed'), apikeys.rename_project(pg_temp.id('project'), 'one')$$),
	(NULL, $$SELECT apikeys.permitted_scopes(pg_temp.id('org'), '{a.read,apikeys.keys.manage}')$$),
	(NULL, $$SELECT apikeys.current_projects('a.read'), (apikeys.decide(pg_temp.fact('key'), pg_temp.fact('secret'), '192.0.2.1'::pg_catalog.inet, 'a.read')).reason$$),
	(NULL, $$SELECT apikeys.authorize(pg_temp.fact('key'), pg_temp.fact('secret'), '192.0.2.1'::pg_catalog.inet, 'a.read')$$),
	(NULL, $$SELECT apikeys.require(pg_temp.fact('key'), pg_temp.fact('secret'), '192.0.2.1'::pg_catalog.inet, 'a.read')$$),
	(NULL, $$SELECT apikeys.authorize_token(pg_temp.fact('key') OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_temp.fact('secret'), '192.0.2.1'::pg_catalog.inet, 'a.read a.write')$$),
	(NULL, $$SELECT apikeys.authorize_token(pg_temp.fact('key') OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_temp.fact('secret'), '192.0.2.1'::pg_catalog.text, 'a.read a.write')$$),
	(NULL, $$SELECT apikeys.decide_token(pg_temp.fact('key') OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_temp.fact('secret'), '192.0.2.1'::pg_catalog.inet, 'a.read a.write')$$),
	(NULL, $$SELECT apikeys.decide_token(pg_temp.fact('key') OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_temp.fact('secret'), '192.0.2.1'::pg_catalog.text, 'a.read a.write')$$),
	(NULL, $$SELECT apikeys.require_token(pg_temp.fact('key') OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_temp.fact('secret'), '192.0.2.1'::pg_catalog.inet, 'a.read a.write')$$),
	(NULL, $$SELECT apikeys.require_token(pg_temp.fact('key') OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_temp.fact('secret'), '192.0.2.1'::pg_catalog.text, 'a.read a.write')$$),
	(NULL, $$SELECT apikeys.authenticate_token('a.b', '192.0.2.1'::pg_catalog.inet)$$),
	(NULL, $$SELECT apikeys.authenticate_token('a.b', '192.0.2.1'::pg_catalog.text)$$),
	(NULL, $$SELECT apikeys.split_api_key('a.b')$$),
	(NULL, $$SELECT apikeys.authorize_digest('Digest', 'GET', '/', '192.0.2.1'::pg_catalog.inet, 'a.read')$$),
	(NULL, $$SELECT apikeys.authorize_digest('Digest', 'GET', '/', '192.0.2.1'::pg_catalog.text, 'a.read')$$),
	(NULL, $$SELECT apikeys.decide_digest('Digest', 'GET', '/', '192.0.2.1'::pg_catalog.inet, 'a.read')$$),
	(NULL, $$SELECT apikeys.decide_digest('Digest', 'GET', '/', '192.0.2.1'::pg_catalog.text, 'a.read')$$),
	(NULL, $$SELECT apikeys.require_digest('Digest', 'GET', '/', '192.0.2.1'::pg_catalog.inet, 'a.read')$$),
	(NULL, $$SELECT apikeys.require_digest('Digest', 'GET', '/', '192.0.2.1'::pg_catalog.text, 'a.read')$$),
	(NULL, $$SELECT apikeys.authenticate_digest('Digest', 'GET', '/', '192.0.2.1'::pg_catalog.inet)$$),
	(NULL, $$SELECT apikeys.authenticate_digest('Digest', 'GET', '/', '192.0.2.1'::pg_catalog.text)$$),
	(NULL, $$SELECT apikeys.digest_challenge('realm')$$),
	(NULL, $$SELECT apikeys.enable_digest(pg_temp.fact('key'), 'realm')$$),
	(NULL, $$SELECT apikeys.disable_digest(pg_temp.fact('key'))$$),
	(NULL, $$SELECT apikeys.reseal_digests()$$),
	(NULL, $$SELECT apikeys.renew_token_key()$$),
	(NULL, $$SELECT apikeys.issue_token('1 minute', '{a.read,b.*}', NULL, pg_temp.fact('key'))$$),
	(NULL, $$SELECT apikeys.current_key_details()$$),
	(NULL, $$SELECT apikeys.audit_events_after(0)$$),
	(NULL, $$SELECT * FROM apikeys.explain_authorize(pg_temp.fact('key'), '192.0.2.1'::pg_catalog.inet, 'a.read')$$),
	(NULL, $$SELECT apikeys.check_import(pg_temp.id('org'), 'pg_temp.staging')$$),
	-- By direct SQL: triggers and constraints.
	(NULL, $$UPDATE apikeys.key SET description = 'By hand', access_list = '{192.0.2.0/24}', expires_at = '2997-01-01'$$),
	(NULL, $$UPDATE apikeys.key_secret SET expires_at = '2997-01-01'$$),
	(NULL, $$UPDATE apikeys.project SET name = 'uno'$$),
	('by_hand', $$SELECT 'by_hand_' OPERATOR(pg_catalog.||) pg_temp.fact('key')$$),
	(NULL, $$INSERT INTO apikeys.key (public_key, organization_id, description) VALUES (pg_temp.fact('by_hand'), pg_temp.id('org'), 'By hand')$$),
	(NULL, $$INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (pg_temp.fact('by_hand'), pg_temp.id('org'), 'ORG_MEMBER')$$),
	(NULL, $body$INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES (pg_temp.fact('by_hand'), 1, 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', '')$body$),
	(NULL, $$DELETE FROM apikeys.key_secret WHERE hint IS NOT NULL$$),
	-- What is refused.
	(NULL, $$SELECT apikeys.update_key('regress_no_key', 'A key')$$),
	(NULL, $$SELECT apikeys.revoke_secret(pg_temp.fact('key'), 99)$$),
	(NULL, $$SELECT apikeys.add_current_address(NULL)$$),
	(NULL, $$SELECT apikeys.drop_role('ORG_OWNER')$$),
	(NULL, $$SELECT apikeys.delete_organization(pg_temp.id('org'))$$),
	(NULL, $$SELECT apikeys.authorize(pg_temp.fact('key'), pg_temp.fact('secret'), '192.0.2.1', 'no  scope')$$),
	(NULL, $$SELECT apikeys.revoke_leaked(pg_temp.fact('secret'))$$),
	(NULL, $$SELECT apikeys.delete_project(pg_temp.id('project'))$$),
	(NULL, $$SELECT apikeys.delete_keys(description => '%', organization => pg_temp.id('org'), dry_run => false)$$),
	(NULL, $$SELECT apikeys.remove_member(pg_temp.id('org'), 'user:one', 'ORG_OWNER')$$),
	(NULL, $$SELECT apikeys.drop_role('REGRESS_HOSTILE')$$);

SET track_functions = 'all';
INSERT INTO fact VALUES ('org', apikeys.create_organization('regress_hostile', 'role:regress_apikeys_victim'));
SELECT apikeys.create_role('REGRESS_HOSTILE', 'project', '{}', '{a.*}', 'A role') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_victim', 'decide', 'manage', 'impersonate', 'monitor');
BEGIN;
SET LOCAL ROLE regress_apikeys_victim;
SELECT outcome, statement FROM pg_temp.run();
COMMIT;
SELECT is_called FROM regress_hostile.called;
SELECT apikeys.drop_role('REGRESS_HOSTILE');
SELECT apikeys.delete_organization(pg_temp.id('org'));
BEGIN;
SELECT outcome, statement FROM pg_temp.run();
COMMIT;
SELECT is_called FROM regress_hostile.called;

-- A key and a user that act.
SELECT public_key, private_key FROM apikeys.create_key(pg_temp.id('org'), 'A key', '{ORG_OWNER}') \gset
BEGIN;
SET LOCAL ROLE regress_apikeys_victim;
SELECT apikeys.authenticate(:'public_key', :'private_key', '192.0.2.1') OPERATOR(pg_catalog.=) :'public_key' AS bound;
SELECT apikeys.authenticate(:'public_key', :'private_key', '192.0.2.1'::pg_catalog.inet) OPERATOR(pg_catalog.=) :'public_key' AS bound;
SELECT apikeys.permits('a.read'), apikeys.current_organization() IS NOT NULL AS known;
SELECT apikeys.create_project(pg_temp.id('org'), 'By a key') \g /dev/null
SELECT apikeys.create_key(pg_temp.id('org'), 'By a key', '{ORG_MEMBER}') \g /dev/null
SELECT FROM apikeys.update_key(:'public_key', access_list => '{192.0.2.1}');
SELECT apikeys.revoke_secret(:'public_key', 1);
ROLLBACK;
BEGIN;
SELECT pg_catalog.set_config('request.headers', pg_catalog.format('{"x-api-key": "%s:%s"}', :'public_key', :'private_key'), true) \g /dev/null
SELECT apikeys.authenticate_request() OPERATOR(pg_catalog.=) :'public_key' AS bound;
COMMIT;
BEGIN;
SELECT apikeys.act_as('user:one', '192.0.2.1'::pg_catalog.inet), apikeys.act_as('user:one', '192.0.2.1'::pg_catalog.text);
SELECT apikeys.principal();
COMMIT;
SELECT apikeys.merge_usage('10000000-0000-0000-0000-000000000000', 1, ARRAY[:'public_key', :'public_key'], ARRAY[NULL, 'wrong_secret'], '{NULL,NULL}', '{1,2}', '{2001-01-01,2001-01-01}', '{NULL,NULL}', '{1,NULL}', ARRAY[apikeys_internal.grant_id('ORG_OWNER', NULL), NULL], '{2001-01-01,2001-01-01}', '{1,2}', '{1,0}', ARRAY[pg_temp.id('org'), pg_temp.id('org')]);
SELECT apikeys.seal_audit() \g /dev/null
SELECT v.intact FROM apikeys.verify_audit() AS v;
SELECT apikeys.prune_audit(pg_catalog.clock_timestamp()) \g /dev/null
SELECT v.intact, v.problem FROM apikeys.verify_audit() AS v;
SELECT apikeys.settle_usage('10000000-0000-0000-0000-000000000000', 1);
SELECT apikeys.flush_usage() \g /dev/null
SELECT apikeys.rebuild_images();
SELECT apikeys.verify('sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'key', 'abc');
SELECT apikeys.delete_key(:'public_key');
TRUNCATE apikeys.key CASCADE;
DELETE FROM apikeys.organization;
SELECT is_called FROM regress_hostile.called;

-- ---------------------------------------------------------- nothing left out

RESET search_path;
SELECT pg_stat_force_next_flush();
-- Except one that is replaced by its body, and one that is called below.
SELECT p.oid::regprocedure::text COLLATE "C" AS not_called
FROM pg_proc AS p LEFT JOIN pg_stat_user_functions AS s ON s.funcid = p.oid
WHERE p.pronamespace = 'apikeys'::regnamespace AND s.calls IS NULL
	AND p.proname NOT IN ('help', 'revoke_access')
ORDER BY 1;

DROP SCHEMA regress_hostile CASCADE;
SELECT apikeys.revoke_access('regress_apikeys_victim', 'decide', 'manage', 'impersonate', 'monitor');
DROP EXTENSION apikeys;
DROP ROLE regress_apikeys_victim;
