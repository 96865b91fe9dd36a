-- Addresses that a driver sends as text, what a decision costs, and identifiers
-- of the errors.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\pset null NULL
\pset format unaligned
\pset tuples_only on

INSERT INTO apikeys.organization (id, name) VALUES ('7e000000-0000-4000-8000-000000000001', 'regress_text_addresses');
INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
	VALUES ('regress_text_key', '7e000000-0000-4000-8000-000000000001', 'a key', '{192.0.2.0/24,fe80::/10,2001:db8::1/128}');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	VALUES ('regress_text_key', 1, ('sha256$$' || encode(sha256('regress secret'), 'hex'))::apikeys.secret_hash, '');
SELECT apikeys.create_role('regress_text_role', 'organization', '{things.read}', '{}', NULL);
INSERT INTO apikeys.key_role (public_key, organization_id, role)
	VALUES ('regress_text_key', '7e000000-0000-4000-8000-000000000001', 'regress_text_role');

-- What a statement answers, or the SQLSTATE and the identifier of its error, and
-- whether anything in it quotes the argument.
CREATE FUNCTION pg_temp.try(statement text, quoted text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
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
	RETURN concat_ws(' ', SQLSTATE, identifier, CASE WHEN strpos(SQLERRM || detail || hint, quoted) > 0 THEN 'QUOTED' END);
END;
$$;

-- --- Addresses ---------------------------------------------------------------
-- The text's decision, and that of type inet where it takes the text.
SELECT ip, pg_temp.try(format('SELECT reason || '' '' || coalesce(host(address), ''unknown'') FROM apikeys.decide(''regress_text_key'', ''regress secret'', %L::text, ''things.read'')', ip), nullif(ip, '')),
	pg_temp.try(format('SELECT reason || '' '' || coalesce(host(address), ''unknown'') FROM apikeys.decide(''regress_text_key'', ''regress secret'', %L::inet, ''things.read'')', ip)) AS as_inet
FROM (VALUES
	('192.0.2.7'), ('192.0.2.7/32'), ('::ffff:192.0.2.7'), ('198.51.100.1'), ('2001:db8::1'), ('2001:DB8:0:0::1/128'), ('2001:db8::2'),
	('fe80::1'), ('fe80::1%eth0'), ('fe80::1%3'), ('::ffff:192.0.2.7%lo'), (NULL),
	(''), ('192.0.2'), ('192.0.2/32'), ('192.0.2.0/24'), ('fe80::/10'), ('192.0.2.7%eth0'), ('fe80::1%'), ('fe80::1%a/128'),
	('192.0.2.007'), (' 192.0.2.7'), ('192.0.2.7:80'), ('[2001:db8::1]'), ('unknown'),
	('ak_sec_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1AXooe')) AS v (ip);
SELECT pg_temp.try(format('SELECT apikeys.authorize(''regress_text_key'', ''regress secret'', %L::text, ''things.read'')', repeat('1', 1000000)));

-- Each function, with an address that is let in, one that is not, and none.
SELECT ip, pg_temp.try(format('SELECT apikeys.authorize(''regress_text_key'', ''regress secret'', %L::text, ''things.read'')', ip)) AS authorize,
	pg_temp.try(format('SELECT apikeys.require(''regress_text_key'', ''regress secret'', %L::text, ''things.read'')', ip)) AS require,
	pg_temp.try(format('SELECT apikeys.authenticate(''regress_text_key'', ''regress secret'', %L::text)', ip)) AS authenticate,
	pg_temp.try(format('SELECT string_agg(check_name || '': '' || detail, ''; '') FROM apikeys.explain_authorize(''regress_text_key'', %L::text, ''things.read'') WHERE NOT passed', ip)) AS explain
FROM (VALUES ('192.0.2.7'), ('198.51.100.1'), ('fe80::1%eth0'), (NULL), ('192.0.2')) AS v (ip);
-- A literal of no type is taken for a text.
SELECT apikeys.authorize('regress_text_key', 'regress secret', 'fe80::1%eth0', 'things.read');

-- --- What it costs -----------------------------------------------------------
SELECT cost, pg_temp.try(format('SELECT apikeys.authorize(''regress_text_key'', ''regress secret'', ''192.0.2.7''::inet, ''things.read'', cost => %L)', cost)) AS authorize,
	pg_temp.try(format('SELECT apikeys.require(''regress_text_key'', ''regress secret'', ''192.0.2.7''::text, ''things.read'', cost => %L)', cost)) AS require,
	pg_temp.try(format('SELECT reason FROM apikeys.decide(''regress_text_key'', ''regress secret'', ''192.0.2.7''::text, ''things.read'', NULL, %L)', cost)) AS decide
FROM (VALUES (1::bigint), (9223372036854775807), (0), (-1), (NULL)) AS v (cost);
-- A function may be declared without the cost.
CREATE FUNCTION pg_temp.authorize_5(text, text, text, text, uuid) RETURNS boolean
	LANGUAGE c AS '$libdir/apikeys', 'apikeys_authorize_text';
SELECT pg_temp.authorize_5('regress_text_key', 'regress secret', '192.0.2.7', 'things.read', NULL);

-- --- Identifiers -------------------------------------------------------------
SELECT what, pg_temp.try(statement) FROM (VALUES
	('scope', 'SELECT apikeys.authorize(''k'', ''s'', NULL::inet, ''no  scope'')'),
	('host bits', 'SELECT ''{10.0.0.1/8}''::text::apikeys.access_list'),
	('no braces', 'SELECT ''10.0.0.0/8''::text::apikeys.access_list'),
	('no network', 'SELECT ''{a}''::text::apikeys.access_list'),
	('hash', 'SELECT ''secret''::text::apikeys.secret_hash'),
	('costly hash', 'SELECT ''$argon2id$v=19$m=102400,t=3,p=1$aZNi9Byli+cHVrK7ZVvbLw$0khd5DuGjFHSp2jgnMi2T4fLv5lI7lQLUmc99Yw3Y2M''::text::apikeys.secret_hash'),
	('unknown key', 'SELECT apikeys.require(''regress_text_none'', ''s'', NULL::inet, ''things.read'')'),
	('wrong secret', 'SELECT apikeys.authenticate(''regress_text_key'', ''s'', NULL::inet)'),
	('denied', 'SELECT apikeys.require(''regress_text_key'', ''regress secret'', ''192.0.2.7''::inet, ''things.write'')'),
	('denied to authenticate', 'SELECT apikeys.authenticate(''regress_text_key'', ''regress secret'', ''198.51.100.1''::inet)'),
	('no key in the request', 'SELECT apikeys.authenticate_request()')) AS v (what, statement);
BEGIN;
SET LOCAL request.headers = 'no JSON';
SELECT pg_temp.try('SELECT apikeys.authenticate_request()');
ROLLBACK;
\set SHOW_CONTEXT never
SELECT '$argon2id$v=19$m=102401,t=1,p=1$aZNi9Byli+cHVrK7ZVvbLw$0khd5DuGjFHSp2jgnMi2T4fLv5lI7lQLUmc99Yw3Y2M'::apikeys.secret_hash;
SELECT '{10.1.2.3/8}'::apikeys.access_list;

-- --- Oversized keys and secrets ----------------------------------------------
SELECT what, reason, public_key FROM (VALUES
	('the key', 'regress_text_key', 'regress secret'),
	('a key of 129 bytes', repeat('k', 129), 'regress secret'),
	('a key of a megabyte', repeat('k', 1000000), 'regress secret'),
	('a secret of 1024 bytes', 'regress_text_key', repeat('s', 1024)),
	('a secret of 1025 bytes', 'regress_text_key', repeat('s', 1025)),
	('a secret of a megabyte', 'regress_text_key', repeat('s', 1000000)),
	('no key, and a large secret', NULL, repeat('s', 1000000)),
	('both', repeat('k', 1000000), repeat('s', 1000000))) AS v (what, key, secret),
	apikeys.decide(key, secret, '192.0.2.7'::inet, 'things.read');
-- The stand-in for an oversized secret proves nothing, be it a key's secret.
\set stand_in ak_sec_0000000000000000000000000000000000000000000000000
UPDATE apikeys.key_secret SET hash = ('sha256$$' || encode(sha256(:'stand_in'), 'hex'))::text::apikeys.secret_hash
	WHERE public_key = 'regress_text_key';
SELECT secret_is, reason FROM (VALUES ('the stand-in', :'stand_in'), ('oversized', repeat('s', 1025))) AS v (secret_is, secret),
	apikeys.decide('regress_text_key', secret, '192.0.2.7'::inet, 'things.read');
SELECT apikeys.verify(('sha256$$' || encode(sha256(:'stand_in'), 'hex'))::text::apikeys.secret_hash, 'k', repeat('s', 1025));

-- --- Costly and many secrets -------------------------------------------------
-- argon2id of "correct horse": as costly as may be stored, which is more than the
-- setting lets a decision compute, and cheap.
\set costly $argon2id$v=19$m=102400,t=2,p=1$LhfDwgo3rrx1dQdpyMjVEg$M3JF6ZKNAnh8iomI8bTh6Eg2mdb2X/R0zthoHD1lY3k
\set cheap '$argon2id$v=19$m=8,t=1,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'
CREATE FUNCTION pg_temp.is_affordable(apikeys.secret_hash) RETURNS boolean
	LANGUAGE c STABLE STRICT AS '$libdir/apikeys', 'apikeys_is_affordable';
SHOW apikeys.argon2id_max_cost;
SELECT hash, pg_temp.is_affordable(hash::apikeys.secret_hash) FROM (VALUES (:'costly'), (:'cheap'), ('sha256$$' || repeat('0', 64))) AS v (hash);
CREATE FUNCTION pg_temp.set_secrets(VARIADIC hashes text[]) RETURNS void
BEGIN ATOMIC
	DELETE FROM apikeys.key_secret WHERE public_key = 'regress_text_key';
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint, expires_at)
		SELECT 'regress_text_key', n, ltrim(hash, '-')::apikeys.secret_hash, '', CASE WHEN hash ^@ '-' THEN now() END
		FROM unnest(hashes) WITH ORDINALITY AS h (hash, n);
END;
-- An expired one, with a minus before, is compared only if that costs nothing.
SELECT 'sha256$$' || encode(sha256('correct horse'), 'hex') AS fast, 'sha256$$' || encode(sha256('another'), 'hex') AS another \gset
CREATE FUNCTION pg_temp.outcome() RETURNS text
BEGIN ATOMIC
	SELECT reason || '; ' || detail
	FROM apikeys.decide('regress_text_key', 'correct horse', '192.0.2.7'::inet, 'things.read'),
		apikeys.explain_authorize('regress_text_key', '192.0.2.7'::inet, 'things.read')
	WHERE check_name = 'secret_expired';
END;
SELECT pg_temp.set_secrets(:'cheap'); SELECT pg_temp.outcome();
SELECT pg_temp.set_secrets('-' || :'cheap'); SELECT pg_temp.outcome();
SELECT pg_temp.set_secrets('-' || :'fast'); SELECT pg_temp.outcome();
SELECT pg_temp.set_secrets(:'costly'); SELECT pg_temp.outcome();
SELECT pg_temp.set_secrets(:'costly', :'cheap'); SELECT pg_temp.outcome();
-- Of more than eight the newest are tried.
SELECT pg_temp.set_secrets(VARIADIC ARRAY[:'fast'] || array_fill(:'another'::text, ARRAY[7])); SELECT pg_temp.outcome();
SELECT pg_temp.set_secrets(VARIADIC ARRAY[:'fast'] || array_fill(:'another'::text, ARRAY[8])); SELECT pg_temp.outcome();
SELECT pg_temp.set_secrets(VARIADIC array_fill(:'another'::text, ARRAY[20]) || ARRAY[:'fast']); SELECT pg_temp.outcome();

SET client_min_messages = warning;
DELETE FROM apikeys.key WHERE organization_id = '7e000000-0000-4000-8000-000000000001';
DELETE FROM apikeys.organization WHERE id = '7e000000-0000-4000-8000-000000000001';
SELECT apikeys.drop_role('regress_text_role');
