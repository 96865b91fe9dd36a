-- Short-lived tokens: what they allow, and that nothing widens them or brings them
-- back to life.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
LOAD 'apikeys';
\set VERBOSITY terse
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	identifier text;
BEGIN
	EXECUTE statement INTO answer;
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	RETURN concat_ws(' ', SQLSTATE, identifier);
END;
$$;
-- The reason of a decision, and whether it tells of the key or counts as proved.
CREATE FUNCTION pg_temp.reason(token text, scope text DEFAULT 'things.read', project uuid DEFAULT NULL) RETURNS text LANGUAGE sql
	RETURN (SELECT concat_ws(' ', d.reason, d.http_status, CASE WHEN d.public_key IS NOT NULL THEN 'key' END,
		CASE WHEN d.organization_id IS NOT NULL THEN 'proved' END)
		FROM apikeys.decide_token(token, '192.0.2.1'::inet, scope, project) AS d);

SELECT apikeys.create_organization('regress_tokens') AS org \gset
SELECT apikeys.create_organization('regress_tokens_other') AS other_org \gset
SELECT apikeys.create_project(:'org', 'one') AS one, apikeys.create_project(:'org', 'two') AS two, apikeys.create_project(:'other_org', 'three') AS three \gset
SELECT apikeys.create_role('regress_tokens_role', 'organization', '{things.*,apikeys.keys.*,apikeys.self.rotate}', '{things.*,apikeys.keys.*}', NULL, :'org');
SELECT public_key, private_key, api_key FROM apikeys.create_key(:'org', 'A key', '{regress_tokens_role}', '{192.0.2.0/24}',
	owner => 'customer 42', metadata => '{"plan": "pro"}') \gset
SELECT public_key AS project_key, api_key AS project_api_key FROM apikeys.create_project_key(:'one', 'A key of a project', '{}', permissions => '{things.read,things.list}') \gset
SELECT public_key AS other_key FROM apikeys.create_key(:'org', 'Another key', '{}', permissions => '{things.read}') \gset

-- --- What it allows ------------------------------------------------------------
SELECT (SELECT count(*) FROM apikeys.audit_event) AS events \gset
SELECT apikeys.issue_token('5 minutes', public_key => :'public_key') AS whole,
	apikeys.issue_token('5 minutes', '{things.read,things.l*}', NULL, :'public_key') AS scoped,
	apikeys.issue_token('5 minutes', NULL, :'one', :'public_key') AS placed,
	apikeys.issue_token('5 minutes', '{*.read}', :'one', :'public_key') AS both,
	apikeys.issue_token('5 minutes', '{*}', :'two', :'project_key') AS elsewhere,
	apikeys.issue_token('5 minutes', NULL, :'one', :'project_key') AS same \gset
SELECT count(*) - :events AS events FROM apikeys.audit_event;
SELECT :'whole' ~ '^v4\.local\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$' AS is_paseto, length(:'both') < 500 AS is_short,
	convert_from(decode(translate(split_part(:'whole', '.', 4), '-_', '+/') || '=', 'base64'), 'UTF8') AS footer;
-- It is a secret, which metadata may not have.
CREATE FUNCTION pg_temp.note(key text, token text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM apikeys.update_key(key, metadata => jsonb_build_object('a', jsonb_build_array('b: ' || token)));
	RETURN 'done';
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN SQLERRM;
END;
$$;
SELECT pg_temp.note(:'public_key', :'whole'), pg_temp.note(:'public_key', :'both' || '!'), pg_temp.note(:'public_key', left(:'whole', 30));
SELECT apikeys.update_key(:'public_key', metadata => '{"plan": "pro"}') \g /dev/null
-- No two are the same.
SELECT apikeys.issue_token('5 minutes', public_key => :'public_key') <> apikeys.issue_token('5 minutes', public_key => :'public_key') AS differ;

SELECT name, scope, place, pg_temp.reason(token, scope, project)
FROM (VALUES (1, 'whole', :'whole'), (2, 'scoped', :'scoped'), (3, 'placed', :'placed'), (4, 'both', :'both'), (5, 'elsewhere', :'elsewhere'), (6, 'same', :'same')) AS t (n, name, token)
	CROSS JOIN (VALUES (1, 'things.read'), (2, 'things.list'), (3, 'things.write'), (4, 'things.read things.list'), (5, 'things.read things.write'), (6, 'other')) AS s (m, scope)
	CROSS JOIN (VALUES (1, 'organization', NULL), (2, 'one', :'one'::uuid), (3, 'two', :'two'), (4, 'three', :'three')) AS p (k, place, project)
ORDER BY n, m, k;
-- Bound, a key of a project has it by a token of that project, and nothing by one of another.
BEGIN;
SELECT apikeys.authenticate_token(:'same', '192.0.2.1') = :'project_key', apikeys.current_projects('things.read') = ARRAY[:'one'::uuid], apikeys.permits('things.read', :'one');
ROLLBACK;
BEGIN;
SELECT apikeys.authenticate_token(:'elsewhere', '192.0.2.1') = :'project_key', cardinality(apikeys.current_projects('things.read')), apikeys.permits('things.read', :'one');
ROLLBACK;
-- All of what a proved key gets back, and the other checks go on.
SELECT allowed, reason, public_key = :'public_key' AS public_key, organization_id = :'org' AS organization_id, address, network, http_status, owner, metadata
FROM apikeys.decide_token(:'scoped', '192.0.2.1'::inet, 'things.read');
SELECT reason, http_status FROM apikeys.decide_token(:'whole', '198.51.100.1'::inet, 'things.read');
SELECT apikeys.authorize_token(:'scoped', '192.0.2.1'::inet, 'things.read'), apikeys.authorize_token(:'scoped', '192.0.2.1', 'things.write'),
	apikeys.require_token(:'scoped', '192.0.2.1'::inet, 'things.read') = :'public_key' AS require,
	pg_temp.try(format('SELECT apikeys.require_token(%L, ''192.0.2.1''::text, ''things.write'')', :'scoped')) AS require_denied,
	pg_temp.try(format('SELECT apikeys.require_token(%L, ''192.0.2.1''::text, ''things.write'')', :'scoped' || 'x')) AS require_invalid;
-- A token is no key, and a part of one is none.
SELECT apikeys.split_api_key(:'whole'), reason FROM apikeys.decide(:'public_key', :'whole', '192.0.2.1', 'things.read');
SELECT * FROM apikeys.find_leaked(:'whole');

-- --- Forged, altered, widened --------------------------------------------------
-- Every character of it changed, and cut anywhere.
SELECT count(*) > 200 AS many, count(*) FILTER (WHERE pg_temp.reason(overlay(:'both' PLACING CASE substr(:'both', i, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM i), 'things.read', :'one') = 'token_invalid 401') = count(*) AS all_invalid
FROM generate_series(10, length(:'both')) AS i;
SELECT count(*) FILTER (WHERE pg_temp.reason(left(:'both', i), 'things.read', :'one') = 'token_invalid 401') = count(*) AS all_invalid
FROM generate_series(9, length(:'both') - 1) AS i;
-- Parts of one in another, without a footer, with more, with a blank, twice.
SELECT n, pg_temp.reason(token) FROM (VALUES
	(1, 'v4.local.' || split_part(:'both', '.', 3) || '.' || split_part(:'whole', '.', 4) || 'A'), (2, 'v4.local.' || split_part(:'whole', '.', 3)),
	(3, 'v4.local.' || split_part(:'whole', '.', 3) || '.'), (4, :'whole' || '.'), (5, :'whole' || ' '), (6, ' ' || :'whole'), (7, :'whole' || :'whole'),
	(8, 'v4.local.'), (9, 'v4.local..'), (10, 'v4.local'), (11, 'v4.public.' || split_part(:'whole', '.', 3)), (12, 'V4.local.' || substr(:'whole', 10)),
	(13, 'v4.local.' || split_part(:'whole', '.', 3) || '.' || translate(encode('{"kid":"p1"}', 'base64'), '+/=', '-_')),
	(14, 'v4.local.' || split_part(:'whole', '.', 3) || '.' || translate(encode('{"kid":""}', 'base64'), '+/=', '-_')),
	(15, 'v4.local.' || split_part(:'whole', '.', 3) || '.' || translate(encode('{"kid":"0" }', 'base64'), '+/=', '-_')),
	(16, 'v4.local.' || repeat('A', 8183)), (17, 'v4.local.' || repeat('A', 8184)), (18, 'v4.local.' || repeat('A', 1048576)),
	(19, substr(:'whole', 1, 9) || left(split_part(:'whole', '.', 3), 40) || substr(split_part(:'scoped', '.', 3), 41) || '.' || split_part(:'whole', '.', 4))) AS v (n, token)
ORDER BY n;
SELECT created_at FROM apikeys.key_secret WHERE public_key = :'public_key' \gset
-- Sealed with the right key, and not as they are sealed here: a name that brings
-- members of its own.
SELECT n, pg_temp.reason(apikeys_internal.seal_token(name, 1, :'created_at', '1 minute', NULL, NULL)) FROM (VALUES
	(1, ''), (2, repeat('x', 129)), (3, 'x","sub":"' || :'public_key'), (4, :'public_key' || '","exp":"2999-01-01T00:00:00.000000Z'), (5, :'public_key' || '","nbf":"'),
	(6, :'public_key' || '","a":{},"b":"'), (7, :'public_key' || '","scope":"'), (8, :'public_key' || '","scope":"a  b'), (9, :'public_key' || '","scope":"a"b'),
	(10, :'public_key' || '","prj":"' || 'no uuid'), (11, :'public_key' || '"}'), (12, :'public_key' || E'\n'), (13, :'public_key' || '\'),
	(14, :'public_key' || '","sec":"1'), (15, :'public_key' || '","sec":2,"scope":"a'), (16, :'public_key' || '","scope":1,"prj":"'), (17, :'public_key'),
	(18, :'public_key' || '","scope":"things.read'), (19, :'public_key' || '","prj":"' || :'one'), (20, replace(:'public_key', '_', '\u005f')),
	(21, :'public_key' || '","iat":"2026-01-01 00:00'), (22, :'public_key' || '","sec":12345678901,"prj":"' || :'one'),
	(23, :'public_key' || '","scope":"' || repeat('a ', 99) || 'things.read'), (24, :'public_key' || '","scope":"' || repeat('a ', 100) || 'things.read'),
	(25, :'public_key' || '",1,"prj":"' || :'one')) AS v (n, name)
ORDER BY n;
-- Of no key, of no secret, of another key of the server.
SELECT n, pg_temp.reason(token) FROM (VALUES (1, apikeys_internal.seal_token('regress_tokens_none', 1, now(), '1 minute', NULL, NULL)),
	(2, apikeys_internal.seal_token(:'public_key', 2, now(), '1 minute', NULL, NULL)), (3, apikeys_internal.seal_token(:'public_key', 0, now(), '1 minute', NULL, NULL)),
	(4, apikeys_internal.seal_token(:'public_key', -1, now(), '1 minute', NULL, NULL)), (5, apikeys_internal.seal_token(:'public_key', 2147483647, now(), '1 minute', NULL, NULL))) AS v (n, token)
ORDER BY n;
BEGIN;
UPDATE apikeys.token_key SET key = sha256('another');
SELECT pg_temp.reason(:'whole'), pg_temp.reason(apikeys.issue_token('1 minute', public_key => :'public_key'));
DELETE FROM apikeys.token_key;
SELECT pg_temp.reason(:'whole'), pg_temp.try(format('SELECT apikeys.issue_token(''1 minute'', public_key => %L)', :'public_key'));
ROLLBACK;
SELECT pg_temp.reason(:'whole');

-- --- Its end -------------------------------------------------------------------
SELECT apikeys.issue_token('1 second', public_key => :'public_key') AS brief, clock_timestamp() + interval '1 second' AS ends \gset
SELECT CASE WHEN clock_timestamp() < :'ends' THEN pg_temp.reason(:'brief') ELSE 'ok 200 key proved' END;
SELECT pg_sleep(greatest(0, extract(epoch FROM :'ends'::timestamptz - clock_timestamp()))) \g /dev/null
SELECT pg_temp.reason(:'brief'), pg_temp.try(format('SELECT apikeys.authenticate_token(%L, ''192.0.2.1'')', :'brief'));
-- In a transaction that had bound it while it was good.
BEGIN;
SELECT apikeys.issue_token('1 second', public_key => :'public_key') AS brief, clock_timestamp() + interval '1 second' AS ends \gset
SELECT apikeys.authenticate_token(:'brief', '192.0.2.1') = :'public_key';
SELECT pg_sleep(greatest(0, extract(epoch FROM :'ends'::timestamptz - clock_timestamp()))) \g /dev/null
SELECT cardinality(apikeys.current_projects('things.read')), apikeys_internal.may('things.read', :'org');
COMMIT;

-- At once: in the same transaction, rolled back with it.
BEGIN;
SELECT apikeys.rotate_secret(:'public_key', '1 hour') IS NOT NULL;
SELECT pg_temp.reason(:'whole') AS overlap;
SELECT apikeys.issue_token('5 minutes', public_key => :'public_key') AS of_second \gset
SELECT apikeys.revoke_secret(:'public_key', 1);
SELECT pg_temp.reason(:'whole') AS revoked, pg_temp.reason(:'of_second') AS of_second;
SELECT apikeys.rotate_secret(:'public_key') IS NOT NULL;
SELECT pg_temp.reason(:'whole') AS revoked, pg_temp.reason(:'of_second') AS of_second;
ROLLBACK;
SELECT pg_temp.reason(:'whole');
BEGIN;
SELECT apikeys.disable_key(:'public_key');
SELECT pg_temp.reason(:'whole');
SELECT apikeys.enable_key(:'public_key');
SELECT pg_temp.reason(:'whole');
UPDATE apikeys.key SET expires_at = clock_timestamp() WHERE public_key = :'public_key';
SELECT pg_temp.reason(:'whole');
SELECT apikeys.delete_key(:'public_key');
SELECT pg_temp.reason(:'whole'), pg_temp.reason(:'scoped', 'things.write');
ROLLBACK;
BEGIN;
SELECT FROM apikeys.set_organization_roles(:'public_key', '{}', '{things.list}');
SELECT pg_temp.reason(:'whole'), pg_temp.reason(:'whole', 'things.list');
ROLLBACK;
-- A version comes never again, be all secrets deleted by hand.
BEGIN;
SELECT apikeys.rotate_secret(:'public_key') IS NOT NULL;
SELECT apikeys.issue_token('5 minutes', public_key => :'public_key') AS of_second \gset
DELETE FROM apikeys.key_secret WHERE public_key = :'public_key';
SELECT pg_temp.reason(:'of_second'), pg_temp.try(format('SELECT apikeys.issue_token(''1 minute'', public_key => %L)', :'public_key'));
SELECT apikeys.rotate_secret(:'public_key') IS NOT NULL;
SELECT pg_temp.reason(:'of_second'), array_agg(version) FROM apikeys.key_secret WHERE public_key = :'public_key';
ROLLBACK;

-- One that was rolled back comes again: a token of it is not one of the next, nor is
-- that of a key that was rolled back one of the next of its name.
BEGIN;
SELECT apikeys.rotate_secret(:'public_key', '1 hour') IS NOT NULL;
SELECT apikeys.issue_token('5 minutes', public_key => :'public_key') AS of_undone \gset
SELECT apikeys.import_key(:'org', 'regress_tokens_again', ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, 'regress', '{}') IS NOT NULL;
SELECT apikeys.issue_token('5 minutes', public_key => 'regress_tokens_again') AS of_import \gset
SELECT pg_temp.reason(:'of_undone', NULL), pg_temp.reason(:'of_import', NULL);
ROLLBACK;
BEGIN;
SELECT apikeys.rotate_secret(:'public_key', '1 hour') IS NOT NULL;
SELECT apikeys.import_key(:'org', 'regress_tokens_again', ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, 'regress', '{}') IS NOT NULL;
SELECT s.version, pg_temp.reason(:'of_undone', NULL), pg_temp.reason(:'of_import', NULL)
FROM apikeys.key_secret AS s WHERE s.public_key = :'public_key' ORDER BY s.version DESC LIMIT 1;
ROLLBACK;

-- --- A bound key ---------------------------------------------------------------
CREATE ROLE regress_apikeys_tokens;
SELECT apikeys.grant_access('regress_apikeys_tokens', 'decide', 'manage') \g /dev/null
GRANT USAGE ON SCHEMA apikeys_internal TO regress_apikeys_tokens;
GRANT EXECUTE ON FUNCTION apikeys_internal.may, apikeys_internal.may_grant, apikeys_internal.rotates_itself TO regress_apikeys_tokens;
-- Who manages nothing gets none.
SET ROLE regress_apikeys_tokens;
SELECT pg_temp.try(format('SELECT apikeys.issue_token(''1 minute'', public_key => %L)', :'public_key'));

-- For itself, with the secret that it was bound by.
BEGIN READ ONLY;
SELECT apikeys.authenticate_token(:'project_api_key', '192.0.2.1') = :'project_key';
SELECT apikeys.issue_token('5 minutes') AS own, apikeys.issue_token('5 minutes', '{*.list}', :'one') AS narrowed \gset
SELECT pg_temp.try(format('SELECT apikeys.issue_token(''1 minute'', project => %L)', :'three')),
	pg_temp.try(format('SELECT apikeys.issue_token(''1 minute'', public_key => %L)', :'public_key'));
COMMIT;
SELECT pg_temp.reason(:'own', 'things.read', :'one'), pg_temp.reason(:'narrowed', 'things.list', :'one'), pg_temp.reason(:'narrowed', 'things.read', :'one');
RESET ROLE;
SELECT apikeys.rotate_secret(:'project_key', '1 hour') AS newer \gset
BEGIN;
SELECT apikeys.authenticate_token(:'project_api_key', '192.0.2.1') = :'project_key';
SELECT apikeys.issue_token('5 minutes') AS of_first \gset
COMMIT;
BEGIN;
SELECT apikeys.authenticate(:'project_key', :'newer', '192.0.2.1') = :'project_key';
SELECT apikeys.issue_token('5 minutes') AS of_second \gset
COMMIT;
SELECT apikeys.revoke_secret(:'project_key', 1);
SELECT pg_temp.reason(:'of_first', 'things.read', :'one'), pg_temp.reason(:'of_second', 'things.read', :'one');
-- Revoked since it was bound.
BEGIN;
SELECT apikeys.authenticate(:'project_key', :'newer', '192.0.2.1') = :'project_key';
UPDATE apikeys.key_secret SET expires_at = clock_timestamp() WHERE public_key = :'project_key';
SELECT pg_temp.try('SELECT apikeys.issue_token(''1 minute'')');
ROLLBACK;

-- Bound by a token it has what the token leaves of it, in all that it asks.
CREATE FUNCTION pg_temp.bound(token text, org uuid, one uuid, two uuid, three uuid, other_key text)
	RETURNS TABLE (asked text, answer text) LANGUAGE plpgsql AS $$
DECLARE
	own constant text := apikeys.authenticate_token(token, '192.0.2.1');
BEGIN
	RETURN QUERY SELECT format('%s in %s', s, p.place), apikeys.permits(s, p.id)::text || ' ' || apikeys_internal.may(s, org, p.id)::text
		FROM unnest('{things.read,things.write,apikeys.keys.read,other}'::text[]) AS s
			CROSS JOIN (VALUES ('organization', NULL), ('one', one), ('two', two), ('three', three)) AS p (place, id);
	RETURN QUERY SELECT 'projects ' || s, array_remove(ARRAY[CASE WHEN one = ANY (l) THEN 'one' END, CASE WHEN two = ANY (l) THEN 'two' END], NULL)::text
		FROM unnest('{things.read,things.write}'::text[]) AS s CROSS JOIN LATERAL apikeys.current_projects(s) AS l;
	RETURN QUERY SELECT 'grants ' || g || ' in ' || p.place, apikeys_internal.may_grant('=' || g, org, p.id)::text
		FROM unnest('{things.read,things.*,*.read,things.r*}'::text[]) AS g CROSS JOIN (VALUES ('organization', NULL), ('one', one), ('two', two)) AS p (place, id);
	RETURN QUERY SELECT 'keys', array_agg(k.description ORDER BY k.description)::text FROM apikeys.keys AS k;
	RETURN QUERY SELECT 'organizations', array_agg(o.name)::text FROM apikeys.organization AS o;
	RETURN QUERY SELECT 'projects', array_agg(p.name ORDER BY p.name)::text FROM apikeys.project AS p;
	RETURN QUERY SELECT 'itself', count(*)::text FROM apikeys.current_key_details();
	RETURN QUERY SELECT 'rotates itself', apikeys_internal.rotates_itself(own)::text;
	RETURN QUERY SELECT statement, CASE WHEN t ~ '^\d{5} ' THEN t ELSE 'done' END FROM unnest(ARRAY['SELECT apikeys.issue_token(''1 minute'')', 'SELECT apikeys.rotate_secret(own)',
			'SELECT apikeys.issue_token(''1 minute'', public_key => other)', 'SELECT apikeys.rotate_secret(other)', 'SELECT apikeys.disable_key(other)',
			'SELECT apikeys.create_key(org, ''x'', ''{}'', permissions => ''{things.read}'')', 'SELECT apikeys.create_key(org, ''x'', ''{}'', permissions => ''{things.write}'')',
			'SELECT apikeys.create_project_key(one, ''x'', ''{}'', permissions => ''{things.read}'')']) AS statement
		CROSS JOIN LATERAL pg_temp.try(replace(replace(replace(replace(statement, 'own)', quote_literal(own) || ')'), 'other)', quote_literal(other_key) || ')'), '(org', '(' || quote_literal(org)), '(one', '(' || quote_literal(one))) AS t;
END;
$$;
SET ROLE regress_apikeys_tokens;
-- Answers are those of permits and of what the key manages by.
BEGIN;
SELECT * FROM pg_temp.bound(:'whole', :'org', :'one', :'two', :'three', :'other_key');
ROLLBACK;
RESET ROLE;
SELECT apikeys.issue_token('5 minutes', '{things.read,apikeys.*}', NULL, :'public_key') AS scoped, apikeys.issue_token('5 minutes', '{*.read,apikeys.keys.manage}', :'one', :'public_key') AS both,
	apikeys.issue_token('5 minutes', '{things.list}', NULL, :'public_key') AS little \gset
SET ROLE regress_apikeys_tokens;
BEGIN;
SELECT * FROM pg_temp.bound(:'scoped', :'org', :'one', :'two', :'three', :'other_key');
ROLLBACK;
BEGIN;
SELECT * FROM pg_temp.bound(:'placed', :'org', :'one', :'two', :'three', :'other_key');
ROLLBACK;
BEGIN;
SELECT * FROM pg_temp.bound(:'both', :'org', :'one', :'two', :'three', :'other_key');
ROLLBACK;
BEGIN;
SELECT * FROM pg_temp.bound(:'little', :'org', :'one', :'two', :'three', :'other_key');
ROLLBACK;
RESET ROLE;

-- What binds a key stays: nothing widens it, nothing narrows it unseen.
CREATE FUNCTION pg_temp.bind_twice(first text, second text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM apikeys.authenticate_token(first, '192.0.2.1');
	RETURN pg_temp.try(format('SELECT apikeys.authenticate_token(%L, ''192.0.2.1'') IS NOT NULL', second));
END;
$$;
BEGIN; SELECT pg_temp.bind_twice(:'scoped', :'api_key'); ROLLBACK;
BEGIN; SELECT pg_temp.bind_twice(:'api_key', :'scoped'); ROLLBACK;
BEGIN; SELECT pg_temp.bind_twice(:'scoped', :'whole'); ROLLBACK;
BEGIN; SELECT pg_temp.bind_twice(:'scoped', :'scoped'); ROLLBACK;
BEGIN; SELECT pg_temp.bind_twice(:'api_key', :'api_key'); ROLLBACK;
-- A project that is gone, and one by savepoint.
BEGIN;
SAVEPOINT s;
SELECT apikeys.authenticate_token(:'placed', '192.0.2.1') = :'public_key';
ROLLBACK TO s;
SELECT apikeys.current_key();
SELECT apikeys.delete_project(:'one');
SELECT pg_temp.reason(:'placed', 'things.read', :'one');
SELECT apikeys.authenticate_token(:'placed', '192.0.2.1') = :'public_key';
SELECT apikeys.permits('things.read', :'one'), cardinality(apikeys.current_projects('things.read'));
ROLLBACK;

-- The key becomes the owner of a project that it creates, also by a token by which it
-- does not read itself.
BEGIN;
SELECT public_key AS creator, api_key AS creator_api_key FROM apikeys.create_key(:'org', 'A creator', '{}', permissions => '{apikeys.projects.create}') \gset
SELECT apikeys.issue_token('5 minutes', '{apikeys.projects.create}', NULL, :'creator') AS creating \gset
SELECT apikeys.authenticate_token(:'creating', '192.0.2.1') = :'creator';
SELECT apikeys.create_project(:'org', 'made by a token') AS made \gset
SELECT r.role FROM apikeys.key_role AS r WHERE r.public_key = :'creator' AND r.project_id = :'made';
SELECT pg_temp.reason(:'creator_api_key', 'things.read', :'made'), pg_temp.reason(:'creating', 'things.read', :'made');
ROLLBACK;

-- --- A request -----------------------------------------------------------------
BEGIN;
SET LOCAL apikeys.trusted_proxies = '{127.0.0.1,::1}';
SELECT set_config('request.headers', jsonb_build_object('authorization', 'Bearer ' || :'scoped', 'x-forwarded-for', '192.0.2.1')::text, true) IS NOT NULL;
SELECT apikeys.authenticate_request() = :'public_key', apikeys.permits('things.read'), apikeys.permits('things.write');
SELECT apikeys.authenticate_request() = :'public_key';
ROLLBACK;
BEGIN;
SET LOCAL apikeys.trusted_proxies = '{127.0.0.1,::1}';
SELECT set_config('request.headers', jsonb_build_object('Authorization', 'bearer ' || v, 'x-forwarded-for', '192.0.2.1')::text, true) IS NOT NULL, pg_temp.try('SELECT apikeys.authenticate_request()')
FROM unnest(ARRAY[:'brief', :'whole' || 'A', 'v4.local.', 'v4.local.' || repeat('A', 100000)]) AS v;
ROLLBACK;

-- --- Bounds, and what is counted -----------------------------------------------
SET apikeys.token_max_lifetime = '1 min';
SELECT pg_temp.try(format('SELECT length(apikeys.issue_token(%L, public_key => %L)) > 100', l, :'public_key')) FROM unnest('{1 minute,1 minute 1 microsecond}'::text[]) AS l;
RESET apikeys.token_max_lifetime;
SET TimeZone = 'Europe/Berlin';
SELECT pg_temp.try(format('SELECT length(apikeys.issue_token(%L, public_key => %L)) > 100', l, :'public_key')) FROM unnest('{1 day,1 day 1 microsecond}'::text[]) AS l;
RESET TimeZone;
SELECT pg_temp.try(format('SELECT length(apikeys.issue_token(''1 minute'', array_fill(''a''::text, ARRAY[100]), NULL, %L)) > 100', :'public_key'));
-- The longest that there can be is opened.
SELECT token, length(token) > 7900 AS long, pg_temp.reason(token) FROM (
	SELECT apikeys.issue_token('1 minute', (SELECT array_agg('things.read' || repeat('*', 189)) FROM generate_series(1, 28)) || repeat('x', 135), NULL, :'public_key') AS token OFFSET 0) AS t \gset last_
SELECT :'last_long', :'last_reason';
SELECT k AS counted FROM apikeys.usage AS u CROSS JOIN LATERAL jsonb_object_keys(u.denials) AS k
WHERE u.public_key = :'public_key' AND k LIKE 'token%' ORDER BY k;

DROP OWNED BY regress_apikeys_tokens;
DROP ROLE regress_apikeys_tokens;
