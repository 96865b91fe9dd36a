-- Wrong secrets are slowed where comparing them is expensive, and a right one
-- passes at once.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\pset null NULL
\pset format unaligned
\pset tuples_only on

SHOW apikeys.wrong_secret_limit;
\set org 97e50000-0000-4000-8000-000000000001
-- argon2id of "correct horse", as cheap as can be, and of another secret.
\set argon2id '$argon2id$v=19$m=8,t=1,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'
\set another '$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$ytVMPN+W6Q0ghC4Lnzo+LflOJIaWB6M7gwiI5I4iGFY'
INSERT INTO apikeys.organization (id, name) VALUES (:'org', 'regress_guesses');
INSERT INTO apikeys.organization (id, name) SELECT md5(name)::uuid, 'regress_guesses_' || name
	FROM unnest('{six,new,unaddressed,many}'::text[]) AS name;
SELECT apikeys.create_role('regress_guesses_role', 'organization', '{clusters.read}', '{}', NULL);
INSERT INTO apikeys.key (public_key, organization_id, description)
	SELECT 'regress_guesses_' || k.name, coalesce(o.id, :'org'), 'a key'
	FROM (SELECT unnest('{slow,six,both,new,two,unaddressed}'::text[]) UNION ALL SELECT 'many' || n FROM generate_series(1, 1000) AS n) AS k (name)
		LEFT JOIN apikeys.organization AS o ON o.id = md5(rtrim(k.name, '0123456789'))::uuid;
INSERT INTO apikeys.key_role (public_key, organization_id, role)
	SELECT public_key, organization_id, 'regress_guesses_role' FROM apikeys.key WHERE public_key LIKE 'regress_guesses_%';
CREATE FUNCTION pg_temp.set_secret(name text, version integer, hash text) RETURNS void
BEGIN ATOMIC
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		VALUES ('regress_guesses_' || name, version, hash::apikeys.secret_hash, '');
END;
SELECT pg_temp.set_secret(name, 1, :'argon2id') FROM unnest('{slow,six,new,both,two,unaddressed}'::text[]) AS name \g /dev/null
SELECT pg_temp.set_secret('many' || n, 1, :'argon2id') FROM generate_series(1, 1000) AS n \g /dev/null
SELECT pg_temp.set_secret('two', 2, :'another') \g /dev/null
SELECT pg_temp.set_secret('both', 2, 'sha256$$' || encode(sha256('a fast one'), 'hex')) \g /dev/null

-- What "times" wrong secrets are answered, and for how many nothing was computed: as a
-- word, as some may come back meanwhile.
CREATE FUNCTION pg_temp.guess(key text, address inet, times integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answers text;
	before bigint;
	slowed bigint;
BEGIN
	SELECT slowed_count INTO before FROM apikeys.status();
	SELECT string_agg(DISTINCT d.reason || ' ' || d.http_status, ', ') INTO answers
	FROM generate_series(1, times) AS n, apikeys.decide(key, 'wrong ' || n, address, 'clusters.read') AS d;
	SELECT slowed_count - before INTO slowed FROM apikeys.status();
	RETURN answers || ', ' || CASE WHEN slowed = 0 THEN 'none slowed' WHEN slowed > times * 0.9 THEN 'nearly all slowed'
		WHEN slowed > times / 2 THEN 'most slowed' ELSE slowed || ' slowed' END;
END;
$$;
CREATE FUNCTION pg_temp.try(key text, secret text, address inet) RETURNS text
BEGIN ATOMIC
	SELECT reason FROM apikeys.decide(key, secret, address, 'clusters.read');
END;

-- --- A key that was issued here ------------------------------------------------
CREATE ROLE regress_apikeys_guesses;
SELECT apikeys.grant_access('regress_apikeys_guesses', 'manage') \g /dev/null
SELECT apikeys.create_organization('regress_guesses_issued', 'role:regress_apikeys_guesses') AS issuer \gset
SET ROLE regress_apikeys_guesses;
SELECT public_key AS issued, private_key AS secret FROM apikeys.create_key(:'issuer', 'Issued', '{ORG_READ_ONLY}') \gset
RESET ROLE;
SELECT pg_temp.guess(:'issued', '198.51.100.7', 50);
SELECT pg_temp.try(:'issued', :'secret', '198.51.100.7'), pg_temp.try(:'issued', :'secret', '203.0.113.9');
SELECT pg_temp.guess(:'issued', '198.51.100.7', 500);
SELECT pg_temp.try(:'issued', :'secret', '198.51.100.7'), pg_temp.try(:'issued', :'secret', '203.0.113.9');

-- --- A key with an imported argon2id hash --------------------------------------
SELECT pg_temp.guess('regress_guesses_slow', '198.51.100.7', 50);
SELECT pg_temp.try('regress_guesses_slow', 'correct horse', '198.51.100.7'), pg_temp.try('regress_guesses_slow', 'correct horse', '203.0.113.9');
-- (The worker may have replaced the hash meanwhile, and then nothing is slowed.)
SELECT split_part(pg_temp.guess('regress_guesses_slow', '198.51.100.7', 500), ',', 1);
-- The right one passes from where the guesses come from, and from anywhere.
SELECT pg_temp.try('regress_guesses_slow', 'correct horse', '198.51.100.7'), pg_temp.try('regress_guesses_slow', 'correct horse', '203.0.113.9');
-- Each network is counted for itself; of IPv6 its first 64 bits.
SELECT pg_temp.guess('regress_guesses_six', '2001:db8:0:1::1', 300);
SELECT pg_temp.guess('regress_guesses_six', '2001:db8:0:1:ffff::2', 50);
SELECT pg_temp.guess('regress_guesses_six', '2001:db8:0:2::1', 50);
SELECT pg_temp.guess('regress_guesses_six', '::ffff:198.51.100.7', 50);
-- A key that was never used: its secret is not known yet where somebody guesses, and
-- is from anywhere else, and from then on everywhere.
SELECT pg_temp.guess('regress_guesses_new', '198.51.100.7', 20000);
SELECT pg_temp.try('regress_guesses_new', 'correct horse', '203.0.113.9');
SELECT pg_temp.try('regress_guesses_new', 'correct horse', '198.51.100.7');
-- Right secrets are not counted, be they proved by another hash of the key.
SELECT count(*) FROM generate_series(1, 500) AS n WHERE pg_temp.try('regress_guesses_both', 'a fast one', inet '198.51.100.7' + 0 * n) = 'ok';
SELECT pg_temp.try('regress_guesses_both', 'correct horse', '198.51.100.7');
-- A wrong one is none of both; nor is a right one that has expired, for which nothing
-- is computed.
SELECT pg_temp.try('regress_guesses_both', 'wrong', '198.51.100.8');
UPDATE apikeys.key_secret SET expires_at = now() WHERE public_key = 'regress_guesses_both' AND version = 1;
SELECT pg_temp.try('regress_guesses_both', 'correct horse', '198.51.100.8'), pg_temp.try('regress_guesses_both', 'a fast one', '198.51.100.8');
-- A guess that is compared with two hashes is one.
SELECT pg_temp.guess('regress_guesses_two', '198.51.100.7', 99);
SELECT pg_temp.try('regress_guesses_two', 'correct horse', '198.51.100.7');
SELECT pg_temp.guess('regress_guesses_two', '198.51.100.7', 500);
-- Where no address is given nobody can be told from others: only all keys of an
-- organization together are slowed.
SELECT pg_temp.guess('regress_guesses_unaddressed', NULL, 350);
SELECT pg_temp.try('regress_guesses_unaddressed', 'correct horse', NULL);

-- --- Many keys of one organization, from many networks --------------------------
-- For each fewer wrong secrets than a key may be sent.
SELECT pg_temp.try('regress_guesses_many1', 'correct horse', '198.51.100.7');
CREATE FUNCTION pg_temp.guess_many(OUT reasons text, OUT compared text) LANGUAGE plpgsql AS $$
DECLARE
	before constant bigint := slowed_count FROM apikeys.status();
	count bigint;
BEGIN
	SELECT string_agg(DISTINCT d.reason, ', ') INTO reasons FROM generate_series(1, 5000) AS n,
		apikeys.decide('regress_guesses_many' || 1 + n % 1000, 'wrong ' || n, '10.0.0.0'::inet + n, 'clusters.read') AS d;
	SELECT before + 5000 - slowed_count INTO count FROM apikeys.status();
	compared := CASE WHEN count BETWEEN 390 AND 1000 THEN 'as many as an organization has' ELSE count::text END;
END;
$$;
SELECT * FROM pg_temp.guess_many();
SELECT pg_temp.try('regress_guesses_many1', 'correct horse', '203.0.113.9');
-- Other organizations are not slowed.
SELECT pg_temp.guess('regress_guesses_six', '203.0.113.9', 20);

-- --- No key, no secret, and too long a one -------------------------------------
SELECT pg_temp.guess('regress_guesses_unknown', '198.51.100.7', 500);
SELECT reason, count(*) FROM generate_series(1, 500) AS n, apikeys.decide('regress_guesses_six', CASE WHEN n % 2 = 0 THEN repeat('s', 1025) END, '192.0.2.1'::inet, 'clusters.read') GROUP BY reason;
SELECT pg_temp.guess('regress_guesses_six', '192.0.2.1', 50);

SET client_min_messages = warning;
DELETE FROM apikeys.key WHERE public_key LIKE 'regress_guesses%' OR public_key = :'issued';
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress_guesses%' OR public_key = :'issued';
DELETE FROM apikeys.organization WHERE name LIKE 'regress_guesses%';
SELECT apikeys.drop_role('regress_guesses_role');
DROP OWNED BY regress_apikeys_guesses;
DROP ROLE regress_apikeys_guesses;
