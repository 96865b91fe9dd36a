-- HTTP Digest without a pepper: nothing is stored for it, and nothing proved.  With
-- peppers: test/t/085_digest.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\set VERBOSITY terse
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on
SELECT apikeys.create_organization('regress_digest') AS org \gset
SELECT public_key FROM apikeys.create_key(:'org', 'A key', '{ORG_OWNER}') \gset

SELECT apikeys.enable_digest(:'public_key', 'a realm');
SELECT apikeys.digest_challenge('a realm');
SELECT apikeys.disable_digest(:'public_key');
SELECT apikeys.reseal_digests();
-- The table holds realms, and no digest without one.
UPDATE apikeys.key SET digest_realm = 'a "realm"' WHERE public_key = :'public_key';
UPDATE apikeys.key_secret SET digest_realm = 'a realm' WHERE public_key = :'public_key';
-- Opted in by hand, or with a pepper that is gone: no secret can be issued.
UPDATE apikeys.key SET digest_realm = 'a realm' WHERE public_key = :'public_key';
SELECT apikeys.rotate_secret(:'public_key');
SELECT digest_realm, secrets -> 0 ->> 'digest_realm' AS of_secret, jsonb_array_length(secrets) AS secrets FROM apikeys.keys WHERE public_key = :'public_key';
SELECT apikeys.disable_digest(:'public_key');
SELECT length(apikeys.rotate_secret(:'public_key')) > 40 AS rotated;

-- What is no proof, and what there is no proof of.
CREATE FUNCTION pg_temp.reason(header text, method text DEFAULT 'GET', uri text DEFAULT '/') RETURNS text LANGUAGE sql
	RETURN (SELECT concat_ws(' ', d.reason, d.http_status, CASE WHEN d.public_key IS NOT NULL THEN 'key' END)
		FROM apikeys.decide_digest(header, method, uri, '192.0.2.1'::inet, 'organization.read') AS d);
CREATE FUNCTION pg_temp.header(public_key text) RETURNS text LANGUAGE sql
	RETURN format('Digest username="%s", realm="a realm", nonce="x", uri="/", cnonce="x", nc=00000001, qop=auth, response="%s"', public_key, repeat('0', 32));
SELECT pg_temp.reason(NULL), pg_temp.reason(''), pg_temp.reason('Basic dTpw'), pg_temp.reason('Digest x');
SELECT pg_temp.reason(pg_temp.header(:'public_key')), pg_temp.reason(pg_temp.header('nobody')), pg_temp.reason(pg_temp.header(repeat('x', 1000)));
SELECT pg_temp.reason(pg_temp.header(:'public_key'), NULL, NULL);
SELECT apikeys.authorize_digest(pg_temp.header(:'public_key'), 'GET', '/', NULL::text, 'organization.read');
SELECT apikeys.authenticate_digest(pg_temp.header(:'public_key'), 'GET', '/', NULL::inet);
SELECT count(*) FROM apikeys.key_secret WHERE digest IS NOT NULL;
SELECT action, detail -> 'old' ->> 'digest_realm' AS old, detail -> 'new' ->> 'digest_realm' AS new FROM apikeys.audit_event
WHERE organization_id = :'org' AND detail::text ~ 'digest' ORDER BY id;
SELECT apikeys.delete_key(:'public_key');
SELECT apikeys.delete_organization(:'org');
