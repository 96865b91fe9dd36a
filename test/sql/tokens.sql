-- Public and private keys: their form, and that a private key is shown once.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
LOAD 'apikeys';
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_apikeys_owner;
SELECT apikeys.grant_access('regress_apikeys_owner', 'manage') \g /dev/null
SELECT apikeys.create_organization('Acme', 'role:regress_apikeys_owner') AS acme \gset

-- ------------------------------------------------------------------- their form

SELECT public_key, private_key FROM apikeys.create_key(:'acme', 'Key', '{ORG_READ_ONLY}') \gset
SELECT :'public_key' ~ '^ak_pub_[0-9A-Za-z]{16}$' AS public_key, :'private_key' ~ '^ak_sec_[0-9A-Za-z]{49}$' AS private_key;

-- The last six characters of a private key are the CRC-32 (zlib's) of all
-- that stands before them, in base 62.
CREATE FUNCTION pg_temp.crc32(bytes bytea) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	crc bigint := 4294967295;
BEGIN
	FOR i IN 0 .. length(bytes) - 1 LOOP
		crc := crc # get_byte(bytes, i);
		FOR bit IN 1 .. 8 LOOP
			crc := CASE WHEN crc & 1 = 1 THEN (crc >> 1) # 3988292384 ELSE crc >> 1 END;
		END LOOP;
	END LOOP;
	RETURN crc # 4294967295;
END;
$$;
CREATE FUNCTION pg_temp.base62(number bigint, digits integer) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
		(number / (62::numeric ^ i)::bigint % 62)::integer + 1, 1), '' ORDER BY i DESC)
	FROM generate_series(0, digits - 1) AS i;
$$;
SELECT to_hex(pg_temp.crc32('123456789')), pg_temp.base62(61, 6), pg_temp.base62(62, 6), pg_temp.base62(4294967295, 6);
SELECT right(:'private_key', 6) = pg_temp.base62(pg_temp.crc32(convert_to(left(:'private_key', -6), 'UTF8')), 6) AS checksum;

-- ------------------------------------------------------------- 10,000 of them

CREATE TEMPORARY TABLE issued AS
SELECT k.* FROM generate_series(1, 5000) AS i, apikeys.create_key(:'acme', 'Key ' || i, '{ORG_MEMBER}') AS k;
INSERT INTO issued (public_key, private_key)
SELECT public_key, apikeys.rotate_secret(public_key) FROM issued;
SELECT count(*), count(DISTINCT public_key) AS public_keys, count(DISTINCT private_key) AS private_keys,
	count(DISTINCT left(right(private_key, 49), 43)) AS secrets,
	bool_and(public_key ~ '^ak_pub_[0-9A-Za-z]{16}$' AND private_key ~ '^ak_sec_[0-9A-Za-z]{49}$') AS well_formed
FROM issued;
-- Every character is used about as often as any other: at least half as often
-- as the mean, at most twice. (The first of the 43 digits of 256 bits is left
-- out: it cannot be all of them.)
SELECT count(DISTINCT apikeys_internal.generate_public_key()) FROM generate_series(1, 10000);
SELECT count(*) AS characters, min(count) * 62 > sum(count) / 2 AND max(count) * 62 < sum(count) * 2 AS even
FROM (SELECT c, count(*) FROM issued, regexp_split_to_table(right(public_key, 16), '') AS c GROUP BY c) AS s;
SELECT count(*) AS characters, min(count) * 62 > sum(count) / 2 AND max(count) * 62 < sum(count) * 2 AS even
FROM (SELECT c, count(*) FROM issued, regexp_split_to_table(substr(private_key, 9, 42), '') AS c GROUP BY c) AS s;

-- --------------------------------------------- proved, mistyped, swapped

SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
-- One character is changed, missing, or added.
SELECT reason, count(*) FROM generate_series(1, 56) AS i,
	apikeys.decide(:'public_key', overlay(:'private_key' PLACING CASE substr(:'private_key', i, 1) WHEN 'a' THEN 'b' ELSE 'a' END FROM i FOR 1), '192.0.2.1', 'clusters.read')
GROUP BY reason;
SELECT reason, count(*) FROM generate_series(0, 55) AS i,
	apikeys.decide(:'public_key', left(:'private_key', i), '192.0.2.1', 'clusters.read')
GROUP BY reason;
SELECT reason, count(*) FROM unnest(ARRAY[:'private_key' || ' ', ' ' || :'private_key', :'private_key' || 'a', :'private_key' || :'private_key',
	upper(:'private_key'), lower(:'private_key'), '', :'public_key', 'ak_sec_', E'\t', repeat('x', 1024 * 1024)]) AS secret,
	apikeys.decide(:'public_key', secret, '192.0.2.1', 'clusters.read')
GROUP BY reason;
SELECT reason, public_key FROM apikeys.decide(:'private_key', :'public_key', '192.0.2.1', 'clusters.read');
-- Another key's secret.
SELECT reason, count(*) FROM (SELECT private_key FROM issued LIMIT 100) AS i (secret),
	apikeys.decide(:'public_key', secret, '192.0.2.1', 'clusters.read')
GROUP BY reason;

-- ------------------------------------------------------ apikeys.token_prefix

SHOW apikeys.token_prefix;
SET apikeys.token_prefix = 'acme_live';
SELECT public_key AS live_key, private_key AS live_secret FROM apikeys.create_key(:'acme', 'Live key', '{ORG_READ_ONLY}') \gset
SELECT :'live_key' ~ '^acme_live_pub_[0-9A-Za-z]{16}$' AS public_key, :'live_secret' ~ '^acme_live_sec_[0-9A-Za-z]{49}$' AS private_key,
	right(:'live_secret', 6) = pg_temp.base62(pg_temp.crc32(convert_to(left(:'live_secret', -6), 'UTF8')), 6) AS checksum;
SELECT reason FROM apikeys.decide(:'live_key', :'live_secret', '192.0.2.1', 'clusters.read');
SET apikeys.token_prefix = 'a';
SELECT apikeys_internal.generate_public_key() ~ '^a_pub_[0-9A-Za-z]{16}$';
SET apikeys.token_prefix = 'a23456789_123456';
SELECT apikeys_internal.generate_public_key() ~ '^a23456789_123456_pub_[0-9A-Za-z]{16}$';
-- The old ones are still good.
SELECT reason FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1', 'clusters.read');
-- A malformed prefix.
SET apikeys.token_prefix = '';
SET apikeys.token_prefix = 'AK';
SET apikeys.token_prefix = '1ak';
SET apikeys.token_prefix = '_ak';
SET apikeys.token_prefix = 'ak_';
SET apikeys.token_prefix = 'ak-live';
SET apikeys.token_prefix = 'ak live';
SET apikeys.token_prefix = 'schlüssel';
SET apikeys.token_prefix = 'a23456789_1234567';
SHOW apikeys.token_prefix;
RESET apikeys.token_prefix;
-- It is the superuser's to set, and there are no other settings.
SET ROLE regress_apikeys_owner;
SET apikeys.token_prefix = 'mine';
SET apikeys.track_usage = off;
SET apikeys.current_key = 'x';
RESET ROLE;

-- ------------------------------------------------ shown once, stored nowhere

-- No row of any table has it, as text; nor a digest of it alone.
CREATE FUNCTION pg_temp.found(needle text) RETURNS TABLE (relation regclass, hits bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR relation IN SELECT oid FROM pg_class WHERE relnamespace = 'apikeys'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname LOOP
		EXECUTE format('SELECT count(*) FROM %s AS t WHERE strpos(t::text, %L) > 0', relation, needle) INTO hits;
		RETURN NEXT;
	END LOOP;
END;
$$;
SELECT bool_or(hits > 0) FROM pg_temp.found(:'public_key');
SELECT sum(hits) FROM pg_temp.found(:'private_key');
SELECT sum(hits) FROM pg_temp.found(left(:'private_key', -6));
SELECT sum(hits) FROM pg_temp.found(encode(sha256(convert_to(:'private_key', 'UTF8')), 'hex'));
SELECT hash::text ~ '^blake2b\$0\$[0-9a-f]{64}$', hint = right(:'private_key', 4), apikeys.verify(hash, public_key, :'private_key'),
	apikeys.verify(hash, :'live_key', :'private_key') AS of_another
FROM apikeys.key_secret WHERE public_key = :'public_key';
SELECT private_key = '********' || right(:'private_key', 4) FROM apikeys.keys WHERE public_key = :'public_key';
-- A hash copied to another key proves nothing there.
BEGIN;
UPDATE apikeys.key_secret SET hash = (SELECT hash FROM apikeys.key_secret WHERE public_key = :'public_key') WHERE public_key = :'live_key';
SELECT reason FROM apikeys.decide(:'live_key', :'private_key', '192.0.2.1', 'clusters.read');
ROLLBACK;

-- No role reads a hash, not even the organization's owner.
SET ROLE regress_apikeys_owner;
SELECT count(*) > 5000 FROM apikeys.key_secret;
SELECT hash FROM apikeys.key_secret;
SELECT * FROM apikeys.key_secret;
SELECT s FROM apikeys.key_secret AS s;
SELECT to_jsonb(s) FROM apikeys.key_secret AS s;
SELECT count(hash) FROM apikeys.key_secret;
SELECT public_key FROM apikeys.key_secret WHERE apikeys.verify(hash, public_key, 'x');
SELECT public_key FROM apikeys.key_secret WHERE hash::text LIKE 'blake2b%';
SELECT public_key FROM apikeys.key_secret ORDER BY hash::text;
COPY apikeys.key_secret TO STDOUT;
COPY apikeys.key_secret (hash) TO STDOUT;
UPDATE apikeys.key_secret SET expires_at = now() RETURNING hash;
UPDATE apikeys.key_secret SET expires_at = now() WHERE hash::text LIKE 'blake2b%';
UPDATE apikeys.key_secret SET expires_at = now() RETURNING *;
DELETE FROM apikeys.key_secret RETURNING hash;
DELETE FROM apikeys.key_secret WHERE hash::text LIKE 'blake2b%';
INSERT INTO apikeys.key_secret (public_key, version, hash, hint) SELECT public_key, version + 1, hash, hint FROM apikeys.key_secret;
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	VALUES (:'public_key', 2, 'sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'abc') RETURNING hash;
TRUNCATE apikeys.key_secret;
CREATE TRIGGER steal BEFORE UPDATE ON apikeys.key_secret FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
RESET ROLE;
SELECT count(*) FROM apikeys.key_secret WHERE public_key = :'public_key';

DELETE FROM apikeys.key;
DELETE FROM apikeys.organization;
DELETE FROM apikeys.deleted_key;
DROP OWNED BY regress_apikeys_owner;
DROP ROLE regress_apikeys_owner;
