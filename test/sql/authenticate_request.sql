-- The key of an HTTP request, by the protocol of PostgREST: in a transaction
-- that sets the role and request.headers, before anything else is done.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;

CREATE ROLE regress_apikeys_request_anon;
SELECT apikeys.grant_access('regress_apikeys_request_anon', 'manage') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_request_anon', 'decide') \g /dev/null
SELECT apikeys.create_organization('regress_request') AS org \gset
INSERT INTO apikeys.key (public_key, organization_id, description, access_list) VALUES
	('regress_any', :'org', 'From anywhere', '{}'), ('regress_office', :'org', 'From the office', '{203.0.113.0/24}');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	SELECT public_key, 1, ('sha256$$' || encode(sha256('open: sesame'), 'hex'))::apikeys.secret_hash, 'same' FROM apikeys.key WHERE organization_id = :'org';
INSERT INTO apikeys.key (public_key, organization_id, description, access_list) VALUES ('regress_plain', :'org', 'No colon', '{}');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_plain', 1, ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, 'same');

CREATE FUNCTION pg_temp.basic(pair text) RETURNS text LANGUAGE sql
	RETURN 'Basic ' || translate(encode(convert_to(pair, 'UTF8'), 'base64'), E'\n', '');
CREATE TEMP TABLE request (number int GENERATED ALWAYS AS IDENTITY, headers text, required boolean DEFAULT true);

-- Serves each request in its own transaction, and returns what is bound then.
CREATE PROCEDURE pg_temp.serve() LANGUAGE plpgsql AS $$
DECLARE
	served record;
	outcome text;
	detail text;
BEGIN
	FOR served IN SELECT * FROM request ORDER BY number LOOP
		PERFORM set_config('role', 'regress_apikeys_request_anon', true), set_config('request.method', 'GET', true),
			set_config('request.headers', served.headers, true);
		BEGIN
			outcome := coalesce(apikeys.authenticate_request(served.required), 'nobody');
			IF apikeys.current_key() IS DISTINCT FROM nullif(outcome, 'nobody') THEN
				RAISE 'another key is bound';
			END IF;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			outcome := concat_ws(' / ', SQLSTATE, SQLERRM, nullif(detail, ''));
		END;
		COMMIT;
		RAISE NOTICE '%: %', served.number, outcome;
		IF apikeys.current_key() IS NOT NULL THEN
			RAISE 'the key has outlived its transaction';
		END IF;
	END LOOP;
	DELETE FROM request;
	ALTER TABLE request ALTER number RESTART;
END;
$$;
SET client_min_messages = notice;

-- Where a key is found: the header for keys is read before Authorization.
INSERT INTO request (headers) VALUES
	(jsonb_build_object('host', 'example.com', 'authorization', pg_temp.basic('regress_any:open: sesame'))),
	(jsonb_build_object('Authorization', replace(pg_temp.basic('regress_any:open: sesame'), 'Basic', 'bAsIc '))),
	(jsonb_build_object('authorization', rtrim(pg_temp.basic('regress_any:open: sesame'), '='))),
	(jsonb_build_object('x-api-key', 'regress_any:open: sesame')),
	(jsonb_build_object('authorization', 'Bearer regress_any.open: sesame')),
	(jsonb_build_object('Authorization', 'bEARER   regress_any.open: sesame ')),
	(jsonb_build_object('x-api-key', ' regress_plain.sesame ')),
	(jsonb_build_object('x-api-key', 'regress_plain:sesame')),
	(jsonb_build_object('X-API-KEY', ' regress_any:open: sesame ', 'authorization', 'Bearer eyJhbGciOiJub25lIn0.e30.x')),
	(jsonb_build_object('x-api-key', 'regress_any:open: sesame', 'authorization', pg_temp.basic('regress_any:wrong'))),
	('{"accept":"*/*","x-number":1,"x-null":null,"x-true":true,"x-\u00e9\"\\":"\ud83d\ude00","x-api-key":"regress_any\u003aopen: sesame"}'),
	(E' \n{ "x-api-key" :\t"regress_any:open: sesame" } ');
CALL pg_temp.serve();
-- None: an error, unless the request may go without.
INSERT INTO request (headers, required) VALUES
	(NULL, true), ('', true), ('{}', true), ('{"authorization":"Bearer eyJhbGciOiJub25lIn0.e30.x"}', true), ('{"authorization":""}', true), ('{}', NULL),
	(NULL, false), ('', false), ('{}', false), ('{"authorization":"Bearer eyJhbGciOiJub25lIn0.e30.x"}', false), ('{"authorization":"Bearer opaque"}', false), ('{"x-api-keys":"regress_any:open: sesame"}', false);
CALL pg_temp.serve();
-- What is denied, whether or not one is required.
INSERT INTO request (headers, required) VALUES
	(jsonb_build_object('x-api-key', 'regress_any:wrong'), true),
	(jsonb_build_object('x-api-key', 'regress_any:wrong'), false),
	(jsonb_build_object('x-api-key', 'regress_plain.wrong'), false),
	(jsonb_build_object('x-api-key', 'regress_any.open: sesame'), false),
	(jsonb_build_object('authorization', 'Bearer regress_any.wrong'), false),
	(jsonb_build_object('authorization', 'Bearer a.b.c'), false),
	(jsonb_build_object('authorization', pg_temp.basic('regress_none:open: sesame')), true),
	(jsonb_build_object('x-api-key', 'regress_any:open: sesame' || repeat('x', 1000000)), true),
	(jsonb_build_object('x-api-key', 'regress_office:open: sesame'), true),
	(jsonb_build_object('x-api-key', 'regress_office:open: sesame', 'x-forwarded-for', '203.0.113.7'), true);
CALL pg_temp.serve();
-- What is malformed.
INSERT INTO request (headers, required) VALUES
	('x', true), ('"x"', true), ('[]', true), ('{', true), ('{"x-api-key"}', true), ('{"x-api-key":}', true), ('{"a":"b",}', true), ('{"a":"b"}}', true),
	('{"a":{}}', true), ('{"a":[]}', true), ('{"a":"\u0000"}', true), ('{"a":"\x"}', true), ('{"a" "b"}', true), ('{a:"b"}', true), ('{"a":"b" "c":"d"}', true),
	('{"x-api-key":1}', true), ('{"x-api-key":null}', false), ('{"authorization":{}}', false),
	('{"x-api-key":"regress_any:open: sesame","X-API-Key":"regress_any:open: sesame"}', true),
	('{"x-api-key":""}', false), ('{"x-api-key":"regress_any"}', true), ('{"x-api-key":":open: sesame"}', true), ('{"x-api-key":"regress_any:"}', true),
	('{"x-api-key":"regress_any:open:\nsesame"}', true), ('{"x-api-key":"","authorization":"Basic eDp5"}', true),
	('{"authorization":"Bearer"}', false), ('{"authorization":"Bearer ."}', false), ('{"authorization":"Bearer regress_any."}', false),
	('{"authorization":"Bearer .open: sesame"}', true), ('{"authorization":"Bearer regress_any.open:\nsesame"}', true),
	('{"authorization":"Basic"}', true), ('{"authorization":"Basic ?"}', true), ('{"authorization":"Basic eA=="}', true), ('{"authorization":"Basic regress_any:open: sesame"}', true),
	(repeat('[', 100000), true), ('{"a":' || repeat('[', 100000), true);
CALL pg_temp.serve();

-- Proxies: a trusted one names the address of the client.
SET apikeys.trusted_proxies = '{10.0.0.0/8, 127.0.0.1, ::1}';
INSERT INTO request (headers)
	SELECT jsonb_build_object('x-api-key', 'regress_office:open: sesame', 'x-forwarded-for', forwarded)
	FROM (VALUES (1, '203.0.113.7'), (2, '192.0.2.1, 203.0.113.7'), (3, '203.0.113.7, 10.1.1.1, 10.2.2.2'), (4, '::ffff:203.0.113.7'), (5, '203.0.113.7:4711'),
		(6, 'unknown, 203.0.113.7, ::ffff:10.0.0.1'), (7, '203.0.113.7, 192.0.2.1'), (8, '203.0.113.7, 192.0.2.1, 10.1.1.1'), (9, '10.1.1.1'), (10, ''),
		(11, 'unknown'), (12, '203.0.113.7, x, 10.1.1.1'), (13, '203.0.113.7,'), (14, '203.0.113.0/24')) AS v (n, forwarded) ORDER BY n;
INSERT INTO request (headers) VALUES
	(jsonb_build_object('x-api-key', 'regress_office:open: sesame')),
	(jsonb_build_object('x-api-key', 'regress_office:open: sesame', 'x-forwarded-for', 1)),
	(jsonb_build_object('x-api-key', 'regress_any:open: sesame')),
	(jsonb_build_object('x-api-key', 'regress_any:open: sesame', 'x-forwarded-for', '198.51.100.9'));
CALL pg_temp.serve();
RESET apikeys.trusted_proxies;

-- Another header.
SET apikeys.api_key_header = 'X-Key';
INSERT INTO request (headers, required) VALUES ('{"x-key":"regress_any:open: sesame"}', true), ('{"x-api-key":"regress_any:open: sesame"}', false), ('{}', true);
CALL pg_temp.serve();
RESET apikeys.api_key_header;

-- The settings are an administrator's, and must make sense.
SET apikeys.api_key_header = '';
SET apikeys.api_key_header = 'X Key';
SET apikeys.api_key_header = 'X-Key:';
SET apikeys.trusted_proxies = '';
SET apikeys.trusted_proxies = '10.0.0.0/8';
SET apikeys.trusted_proxies = '{10.0.0.1/8}';
SET apikeys.trusted_proxies = '{proxy}';
SET ROLE regress_apikeys_request_anon;
SET apikeys.api_key_header = 'X-Key';
SET apikeys.trusted_proxies = '{0.0.0.0/0}';
RESET ROLE;

DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.organization WHERE id = :'org';
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apikeys FROM regress_apikeys_request_anon;
DROP OWNED BY regress_apikeys_request_anon;
DROP ROLE regress_apikeys_request_anon;
