-- Last use, where nothing is preloaded: written by the caller's transaction,
-- at most once a minute for a key and an entry of its list.  (Where it is,
-- there is nothing to test: usage_fallback_1.out.)
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
LOAD 'apikeys';
SELECT preloaded FROM apikeys.status() \gset
\if :preloaded
	\quit
\endif
SELECT advice FROM apikeys.status();
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_apikeys_app;
GRANT EXECUTE ON FUNCTION apikeys.authorize TO regress_apikeys_app;
SELECT apikeys.create_organization('Acme', 'user:1') AS acme \gset
SELECT public_key, private_key FROM apikeys.create_key(:'acme', 'Key', '{ORG_READ_ONLY}') \gset
PREPARE use (inet) AS SELECT apikeys.authorize(:'public_key', :'private_key', $1, 'clusters.read');
CREATE TEMPORARY VIEW used AS
SELECT network, use_count, now() - last_used_at < interval '5 minutes' AS lately, last_used_address
FROM apikeys.key_usage ORDER BY network NULLS FIRST;

-- Never used.
SELECT last_used_at, last_used_address FROM apikeys.keys;
SELECT count(*) FROM used;
-- What is denied is no use.
SELECT apikeys.authorize(:'public_key', 'wrong', '192.0.2.1', 'clusters.read'), apikeys.authorize(:'public_key', :'private_key', '192.0.2.1', 'clusters.write');
SELECT count(*) FROM used;

-- Not in a read-only transaction, nor where an update may fail to serialize.
BEGIN READ ONLY;
EXECUTE use ('192.0.2.1');
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
EXECUTE use ('192.0.2.1');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
EXECUTE use ('192.0.2.1');
COMMIT;
SELECT count(*) FROM used;
-- Not when it is switched off.
SET apikeys.track_usage = off;
EXECUTE use ('192.0.2.1');
RESET apikeys.track_usage;
SELECT count(*) FROM used;
-- What is rolled back is lost, and does not count as written.
BEGIN;
EXECUTE use ('192.0.2.1');
SELECT * FROM used;
ROLLBACK;
SELECT count(*) FROM used;
BEGIN;
SAVEPOINT s;
EXECUTE use ('192.0.2.1');
ROLLBACK TO s;
COMMIT;
SELECT count(*) FROM used;

-- A use is recorded, by whoever may ask, though he may not write there.
SET ROLE regress_apikeys_app;
EXECUTE use ('192.0.2.1');
RESET ROLE;
SELECT * FROM used;
SELECT last_used_at = (SELECT last_used_at FROM apikeys.key_usage), last_used_address FROM apikeys.keys;
SELECT role, last_used_at = (SELECT last_used_at FROM apikeys.key_usage) FROM apikeys.key_role_usage;
-- The next one within the minute is not.
EXECUTE use ('192.0.2.2');
EXECUTE use (NULL);
SELECT * FROM used;

-- Each entry of the list has a row of its own; an IPv4 address written as
-- IPv6 is recorded as IPv4.
SELECT apikeys.add_to_access_list(:'public_key', '192.0.2.0/24', '2001:db8::/32', '203.0.113.0/24');
EXECUTE use ('::ffff:192.0.2.7');
EXECUTE use ('2001:db8::7');
EXECUTE use ('198.51.100.1');
SELECT * FROM used;
SELECT network, use_count, last_used_at IS NOT NULL, last_used_address FROM apikeys.access_list_entries WHERE public_key = :'public_key' ORDER BY network;
SELECT last_used_address FROM apikeys.keys;
-- The time is the call's, not the transaction's begin.
SELECT public_key AS second_key, private_key AS second_secret FROM apikeys.create_key(:'acme', 'Second key', '{ORG_READ_ONLY}') \gset
BEGIN;
SELECT now() IS NOT NULL AS begun, pg_sleep(0.01) IS NOT NULL;
SELECT apikeys.authorize(:'second_key', :'second_secret', NULL, 'clusters.read');
SELECT last_used_at > now() AS later, last_used_address FROM apikeys.keys WHERE public_key = :'second_key';
COMMIT;
-- Nobody writes there himself.
SET ROLE regress_apikeys_app;
INSERT INTO apikeys.key_usage (public_key, use_count, last_used_at) VALUES ('x', 1, now());
UPDATE apikeys.key_usage SET use_count = 0;
DELETE FROM apikeys.key_usage;
SELECT count(*) FROM apikeys.key_usage;
RESET ROLE;

-- A list that has changed keeps what was recorded of its other entries; the
-- last use goes with the key.
SELECT apikeys.remove_from_access_list(:'public_key', '203.0.113.0/24', '192.0.2.0/24');
SELECT network, use_count FROM apikeys.access_list_entries WHERE public_key = :'public_key' ORDER BY network;
SELECT apikeys.delete_key(:'public_key');
SELECT count(*) FROM apikeys.key_usage;

DEALLOCATE use;
DELETE FROM apikeys.key;
DELETE FROM apikeys.organization;
DELETE FROM apikeys.deleted_key;
REVOKE EXECUTE ON FUNCTION apikeys.authorize FROM regress_apikeys_app;
DROP ROLE regress_apikeys_app;
