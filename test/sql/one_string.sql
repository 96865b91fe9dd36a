-- Both halves of a key in one string, and several scopes in one call.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\pset null NULL
\pset format unaligned
\pset tuples_only on

SELECT apikeys.create_organization('regress_one_string') AS org \gset
SELECT apikeys.create_project(:'org', 'production') AS project \gset
SELECT apikeys.create_role('regress_one_reader', 'organization', '{things.read}', '{}', NULL);
SELECT apikeys.create_role('regress_one_writer', 'organization', '{things.write}', '{}', NULL);
SELECT apikeys.create_role('regress_one_deployer', 'project', '{}', '{things.deploy,things.restart}', NULL);
SELECT public_key, private_key, api_key FROM apikeys.create_key(:'org', 'A key', '{regress_one_reader,regress_one_writer}', '{192.0.2.0/24}') \gset
SELECT :'api_key' = :'public_key' || '.' || :'private_key' AS is_both;
SELECT FROM apikeys.set_project_roles(:'public_key', :'project', '{regress_one_deployer}');
-- Keys of another system, with dots in their names.
SELECT apikeys.import_key(:'org', name, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, 'Imported', '{regress_one_reader}')
FROM unnest('{regress.one.string,regress..,.regress,regress_one=/+~-}'::text[]) AS name;

CREATE FUNCTION pg_temp.try(statement text, VARIADIC quoted text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	identifier text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement INTO answer;
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, identifier,
		(SELECT 'QUOTED' FROM unnest(quoted) AS q WHERE q <> '' AND strpos(concat(SQLERRM, detail, hint), q) > 0 LIMIT 1));
END;
$$;

-- --- The same answers --------------------------------------------------------
SELECT ip, scope, p.id IS NOT NULL AS in_project, d.allowed, d.reason, d.http_status, d.network,
	d = t AS same, d = t2 AS same_text, apikeys.authorize_token(:'api_key', ip::inet, scope, p.id) = d.allowed AS authorize,
	apikeys.authorize_token(:'api_key', ip, scope, p.id) = d.allowed AS authorize_text,
	replace(pg_temp.try(format('SELECT apikeys.require_token(%L, %L::inet, %L, %L)', :'api_key', ip, scope, p.id)), :'public_key', 'the key') AS require,
	replace(pg_temp.try(format('SELECT apikeys.require_token(%L, %L::text, %L, %L)', :'api_key', ip, scope, p.id)), :'public_key', 'the key') AS require_text
FROM (VALUES (1, '192.0.2.1', 'things.read', NULL), (2, '192.0.2.1', 'things.deploy', :'project'), (3, '192.0.2.1', 'things.deploy', NULL),
		(4, '198.51.100.1', 'things.read', NULL), (5, NULL, 'things.read', NULL), (6, '192.0.2.1', NULL, NULL)) AS v (n, ip, scope, project)
	CROSS JOIN LATERAL (SELECT project::uuid) AS p (id)
	CROSS JOIN LATERAL apikeys.decide(:'public_key', :'private_key', ip::inet, scope, p.id) AS d
	CROSS JOIN LATERAL apikeys.decide_token(:'api_key', ip::inet, scope, p.id) AS t
	CROSS JOIN LATERAL apikeys.decide_token(:'api_key', ip, scope, p.id) AS t2
ORDER BY n;
SELECT pg_temp.try(format('SELECT allowed FROM apikeys.decide_token(%L, ''192.0.2.1''::inet, ''things.read'', NULL, %L)', :'api_key', cost)) FROM unnest('{0,1,-1,NULL}'::bigint[]) AS cost;

-- --- The empty secret is none, whatever hash there is of it --------------------
SELECT apikeys.import_key(:'org', name, hash::apikeys.secret_hash, 'Empty', '{regress_one_reader}')
FROM (VALUES ('regress_one_empty', 'sha256$$' || encode(sha256(''), 'hex')), ('regress_one_empty2', 'sha512$$' || encode(sha512(''), 'hex')),
	('ak_pub_x', 'blake2b$0$9d7d9377df9fda4f182de459e4700debc5e61aace04fab93cabc5b0392942690'),
	('regress_one_empty3', '$argon2id$v=19$m=8,t=1,p=1$Tj0mnd5C5uhI0jx1Su45Cg$CXfADrJ7TKjdG24c72n+6O4TnAuB827cVCAhf/UrOhA')) AS v (name, hash);
SELECT name, d.reason, t.reason, apikeys.authorize(name, '', '192.0.2.1'::inet, 'things.read'),
	pg_temp.try(format('SELECT apikeys.require(%L, '''', ''192.0.2.1''::inet, ''things.read'')', name)) AS require,
	pg_temp.try(format('SELECT apikeys.authenticate(%L, '''', ''192.0.2.1''::inet)', name)) AS authenticate,
	pg_temp.try(format('SELECT apikeys.authenticate_token(%L, ''192.0.2.1''::inet)', name || '.')) AS authenticate_token
FROM unnest('{regress_one_empty,regress_one_empty2,regress_one_empty3,ak_pub_x}'::text[]) AS name CROSS JOIN LATERAL apikeys.decide(name, '', '192.0.2.1'::inet, 'things.read') AS d
	CROSS JOIN LATERAL apikeys.decide_token(name || '.', '192.0.2.1'::inet, 'things.read') AS t;
SELECT set_config('request.headers', jsonb_build_object(header, value)::text, false) IS NOT NULL, pg_temp.try('SELECT apikeys.authenticate_request()')
FROM (VALUES ('x-api-key', 'regress_one_empty.'), ('authorization', 'Bearer regress_one_empty.'), ('authorization', 'Basic ' || encode('regress_one_empty:', 'base64'))) AS v (header, value);
RESET request.headers;

-- --- What is no such string --------------------------------------------------
-- A denial without a word about what it was.
SELECT n, d.allowed, d.reason, d.http_status, replace(d.public_key, :'public_key', 'the key') AS public_key, pg_temp.try(format('SELECT apikeys.authorize_token(%L, ''192.0.2.1''::inet, ''things.read'')', s)) AS authorize,
	pg_temp.try(format('SELECT apikeys.require_token(%L, ''192.0.2.1''::inet, ''things.read'')', s), left(s, 1000), :'private_key') AS require,
	pg_temp.try(format('SELECT apikeys.authenticate_token(%L, ''192.0.2.1''::inet)', s), left(s, 1000), :'private_key') AS authenticate,
	pg_temp.try(format('SELECT apikeys.authenticate_token(%L, ''192.0.2.1''::text)', s), left(s, 1000), :'private_key') AS authenticate_text
FROM (VALUES (1, NULL), (2, ''), (3, '.'), (4, '..'), (5, :'public_key'), (6, :'public_key' || '.'), (7, '.' || :'private_key'), (8, :'private_key'),
		(9, :'public_key' || ':' || :'private_key'), (10, :'private_key' || '.' || :'public_key'), (11, ' ' || :'api_key'), (12, :'api_key' || ' '),
		(13, :'api_key' || '.'), (14, :'public_key' || '..' || :'private_key'), (15, :'api_key' || '.' || :'private_key'), (16, 'none.' || :'private_key'),
		(17, repeat('.', 1000000)), (18, repeat('x', 1000000) || '.' || repeat('y', 1000000)), (19, :'public_key' || '.' || repeat('y', 1000000))) AS v (n, s)
	CROSS JOIN LATERAL apikeys.decide_token(s, '192.0.2.1'::inet, 'things.read') AS d
ORDER BY n;
SELECT replace(reason || ' ' || public_key, :'public_key', 'the key') FROM apikeys.decide_token(left(:'api_key', -1), '192.0.2.1'::inet, 'things.read');

-- --- Taking it apart ---------------------------------------------------------
SELECT replace(s.public_key, :'public_key', 'the key') AS public_key, replace(s.private_key, :'private_key', 'the secret') AS private_key
FROM apikeys.split_api_key(:'api_key') AS s;
SELECT string, s.* FROM unnest('{a.b,a.b.c,.b,a.,.,"",ab,a..b,..b,"a b.c d",é.ü}'::text[]) AS string, apikeys.split_api_key(string) AS s;
SELECT apikeys.split_api_key(NULL);
-- All of it or nothing: neither half is ever cut, least of all within a character.
SELECT octet_length(string), s.public_key, length(s.private_key), octet_length(s.private_key)
FROM (VALUES ('a.' || repeat('é', 4095)), ('ab.' || repeat('é', 4095)), ('a.' || repeat('é', 1000000)),
		('a.' || repeat('€', 10000) || '.b'), (repeat('é', 1000000) || '.b')) AS v (string), apikeys.split_api_key(string) AS s;
-- Whatever a public key may be named, its secret comes after the last dot.
SELECT k.public_key, s.public_key = k.public_key AND s.private_key = 'a secret' AS is_split, apikeys.authorize_token(k.public_key || '.a secret', '192.0.2.1'::inet, 'things.read')
FROM apikeys.key AS k, apikeys.split_api_key(k.public_key || '.a secret') AS s
WHERE k.organization_id = :'org' AND k.description = 'Imported' ORDER BY k.public_key;

-- --- Bound to the transaction ------------------------------------------------
BEGIN;
SELECT apikeys.authenticate_token(:'api_key', '192.0.2.1'::inet) = :'public_key' AS bound, apikeys.current_key() = :'public_key' AS current, apikeys.permits('things.read');
COMMIT;
BEGIN;
SELECT apikeys.authenticate_token(:'api_key', '192.0.2.1'::text) = apikeys.current_key();
COMMIT;
SELECT pg_temp.try(format('SELECT apikeys.authenticate_token(%L, ''198.51.100.1''::inet)', :'api_key'), :'private_key');

-- --- Several scopes ----------------------------------------------------------
SELECT scope, in_project, d.allowed, d.reason
FROM (VALUES (1, 'things.read things.write', false), (2, 'things.write things.read', false), (3, 'things.read things.read', false), (4, 'things.read things.deploy', false),
		(5, 'things.deploy things.read', false), (6, 'things.deploy things.restart', true), (7, 'things.deploy things.read', true), (8, 'none things.read', false)) AS v (n, scope, in_project)
	CROSS JOIN LATERAL apikeys.decide(:'public_key', :'private_key', '192.0.2.1'::inet, scope, CASE WHEN in_project THEN :'project'::uuid END) AS d
ORDER BY n;
SELECT scope, pg_temp.try(format('SELECT apikeys.authorize_token(%L, ''192.0.2.1''::inet, %L)', :'api_key', scope)) AS authorize_token,
	pg_temp.try(format('SELECT apikeys.authorize(%L, %L, ''192.0.2.1''::inet, %L)', :'public_key', :'private_key', scope)) AS authorize,
	pg_temp.try(format('SELECT count(*) FROM apikeys.explain_authorize(%L, ''192.0.2.1''::inet, %L)', :'public_key', scope)) AS explain,
	pg_temp.try(format('SELECT apikeys.permits(%L)', scope)) AS permits
FROM unnest(ARRAY['', ' ', ' things.read', 'things.read ', 'things.read  things.write', E'things.read\tthings.write', 'things.read things.*', 'things.read,things.write']) AS scope;
SELECT n, pg_temp.try(format('SELECT apikeys.authorize_token(%L, ''192.0.2.1''::inet, %L)', :'api_key', array_to_string(array_fill('things.read'::text, ARRAY[n]), ' ')))
FROM unnest('{1,32,33,100000}'::int[]) AS n;
-- Each in a row.
SELECT check_name, passed, detail FROM apikeys.explain_authorize(:'public_key', '192.0.2.1'::inet, 'things.read things.deploy things.write') WHERE check_name = 'scope_denied';
SELECT check_name, passed, detail FROM apikeys.explain_authorize(:'public_key', '192.0.2.1'::inet, 'things.deploy things.read', :'project') WHERE check_name = 'scope_denied';
SELECT check_name, passed, detail FROM apikeys.explain_authorize(:'public_key', '192.0.2.1'::inet, 'things.read') WHERE check_name = 'scope_denied';
-- One use, of each role that was needed.
SELECT public_key AS once, api_key AS once_api_key FROM apikeys.create_key(:'org', 'Used once', '{regress_one_reader,regress_one_writer}') \gset
SELECT apikeys.authorize_token(:'once_api_key', NULL::inet, 'things.read things.write things.read'), apikeys.authorize_token(:'once_api_key', NULL::inet, 'things.read none');
SELECT use_count, denials FROM apikeys.usage WHERE public_key = :'once';
SELECT role FROM apikeys.unused_roles WHERE public_key = :'once';

-- --- Leaked ------------------------------------------------------------------
SELECT f = :'private_key' AS found FROM apikeys.find_leaked('curl -H "Authorization: Bearer ' || :'api_key' || '" and ' || :'private_key' || '.') AS f;
SELECT count(*) FROM regexp_matches(:'api_key' || ' ' || :'private_key', '\m(?:[a-z][a-z0-9_]{0,15}_pub_[0-9A-Za-z]{16}\.)?[a-z][a-z0-9_]{0,15}_sec_[0-9A-Za-z]{49}\M', 'g') AS m
WHERE m[1] IN (:'api_key', :'private_key');
SELECT apikeys.revoke_leaked('none.' || left(:'private_key', -1)), apikeys.revoke_leaked('a.b'), apikeys.revoke_leaked('.'), apikeys.revoke_leaked(:'api_key'), apikeys.revoke_leaked(:'api_key');
SELECT reason FROM apikeys.decide_token(:'api_key', '192.0.2.1'::inet, 'things.read');
-- The secret is what leaked, whatever it is put together with.
SELECT apikeys.revoke_leaked(:'public_key' || '.' || private_key) FROM apikeys.split_api_key(:'once_api_key');
SELECT reason FROM apikeys.decide_token(:'once_api_key', '192.0.2.1'::inet, 'things.read');

SET client_min_messages = warning;
DELETE FROM apikeys.key WHERE organization_id = :'org';
SELECT apikeys.delete_organization(:'org');
SELECT count(apikeys.drop_role(r)) FROM unnest('{regress_one_reader,regress_one_writer,regress_one_deployer}'::text[]) AS r;
