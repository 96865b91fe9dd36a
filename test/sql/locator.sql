-- Decisions look for the image of a key where it was last found, and notice when
-- it is there no more.  "scans" counts the index scans of one decision: 0 says
-- that it was found without the index.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
-- So many uses would take up the room of those that other tests count.
SET apikeys.track_usage = off;

CREATE FUNCTION pg_temp.scans() RETURNS bigint LANGUAGE sql AS
	$$SELECT pg_stat_get_xact_numscans(to_regclass('apikeys.key_image_pkey'))$$;
CREATE FUNCTION pg_temp.ask(key text, secret text DEFAULT NULL, OUT reason text, OUT scans bigint) LANGUAGE plpgsql AS $$
DECLARE
	before bigint := pg_temp.scans();
BEGIN
	reason := (apikeys.decide(key, coalesce(secret, 'secret of ' || key), NULL, 'a.read')).reason;
	scans := pg_temp.scans() - before;
END $$;
CREATE FUNCTION pg_temp.make_key(key text, org uuid, secret text DEFAULT NULL) RETURNS void LANGUAGE sql AS $body$
	INSERT INTO apikeys.key (public_key, organization_id, description) VALUES (key, org, 'a key');
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES
		(key, 1, ('sha256$$' || encode(sha256(coalesce(secret, 'secret of ' || key)::bytea), 'hex'))::apikeys.secret_hash, '');
	INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES (key, org, 'ORG_READ_ONLY');
$body$;
-- An image without a key is one as well, for a decision.
CREATE FUNCTION pg_temp.make_image(key text, org uuid, disabled boolean DEFAULT false) RETURNS void LANGUAGE sql AS $body$
	INSERT INTO apikeys.key_image VALUES (key, org, disabled, 'infinity', now(),
		ARRAY[('sha256$$' || encode(sha256(('secret of ' || key)::bytea), 'hex'))::apikeys.secret_hash],
		'{infinity}', '\x00000001', '{ORG_READ_ONLY}', '{}', '{}', '{}');
$body$;
-- VACUUM removes what nobody else in the database can see any more.
CREATE PROCEDURE pg_temp.wait_for_others() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
			AND pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL));
		COMMIT;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;

SELECT apikeys.create_organization('regress_locator', 'user:regress_locator') AS org \gset
SELECT pg_temp.make_key('regress_a', :'org');
SELECT * FROM pg_temp.ask('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
-- A wrong secret asks the index all the same, as an unknown key does.
SELECT * FROM pg_temp.ask('regress_a', 'another secret');
SELECT * FROM pg_temp.ask('regress_a', '');

-- What is not there is asked of the index each time.
SELECT * FROM pg_temp.ask('regress_b');
SELECT * FROM pg_temp.ask('regress_b');
SELECT * FROM pg_temp.ask('');

-- A new version in the same page and with the same index entry.
BEGIN;
SELECT pg_stat_get_xact_tuples_hot_updated('apikeys.key_image'::regclass) AS hot \gset
SELECT apikeys.disable_key('regress_a');
SELECT pg_stat_get_xact_tuples_hot_updated('apikeys.key_image'::regclass) > :hot AS is_hot;
SELECT * FROM pg_temp.ask('regress_a');
COMMIT;
SELECT * FROM pg_temp.ask('regress_a');
CALL pg_temp.wait_for_others();
VACUUM apikeys.key_image;
SELECT * FROM pg_temp.ask('regress_a');
SELECT apikeys.enable_key('regress_a');
SELECT * FROM pg_temp.ask('regress_a');

-- A new version with an index entry of its own.
CREATE INDEX regress_locator ON apikeys.key_image (disabled);
SELECT * FROM pg_temp.ask('regress_a');
BEGIN;
SELECT pg_stat_get_xact_tuples_hot_updated('apikeys.key_image'::regclass) AS hot \gset
SELECT apikeys.disable_key('regress_a');
SELECT pg_stat_get_xact_tuples_hot_updated('apikeys.key_image'::regclass) > :hot AS is_hot;
SELECT * FROM pg_temp.ask('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
COMMIT;
SELECT * FROM pg_temp.ask('regress_a');

-- What was rolled back is remembered, but not believed.
BEGIN;
SELECT apikeys.enable_key('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
SAVEPOINT s;
SELECT apikeys.disable_key('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
SELECT apikeys.delete_key('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
ROLLBACK TO s;
SELECT * FROM pg_temp.ask('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
ROLLBACK;
SELECT * FROM pg_temp.ask('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
DROP INDEX apikeys.regress_locator;
SELECT apikeys.enable_key('regress_a');

-- Whatever the isolation level.  Serializable transactions ask the index.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM pg_temp.ask('regress_a');
SELECT apikeys.disable_key('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
ROLLBACK;
SELECT * FROM pg_temp.ask('regress_a');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM pg_temp.ask('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
COMMIT;

-- Another key in the same place.
SELECT apikeys.delete_key('regress_a');
SELECT pg_temp.make_image('regress_a', :'org');
SELECT * FROM pg_temp.ask('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
SELECT ctid AS place FROM apikeys.key_image WHERE public_key = 'regress_a' \gset
DELETE FROM apikeys.key_image WHERE public_key = 'regress_a';
CALL pg_temp.wait_for_others();
VACUUM (TRUNCATE off, INDEX_CLEANUP on) apikeys.key_image;
SELECT pg_temp.make_image('regress_place_' || n, :'org') FROM generate_series(1, 50) AS n \g /dev/null
SELECT public_key AS other FROM apikeys.key_image WHERE ctid = :'place' \gset
SELECT :'other' LIKE 'regress_place_%' AS is_other;
SELECT * FROM pg_temp.ask('regress_a');
SELECT * FROM pg_temp.ask('regress_a', 'secret of ' || :'other');
SELECT * FROM pg_temp.ask(:'other');
SELECT * FROM pg_temp.ask(:'other');
SELECT * FROM pg_temp.ask(:'other', 'secret of regress_a');
SELECT pg_temp.make_image('regress_a', :'org');
SELECT * FROM pg_temp.ask('regress_a');
SELECT * FROM pg_temp.ask('regress_a');
SELECT * FROM pg_temp.ask('regress_a', 'secret of ' || :'other');
DELETE FROM apikeys.key_image WHERE public_key LIKE 'regress\_%';

-- The table is written anew.
SELECT pg_temp.make_key('regress_b', :'org');
SELECT * FROM pg_temp.ask('regress_b');
SELECT * FROM pg_temp.ask('regress_b');
SELECT pg_relation_filenode('apikeys.key_image') AS filenode \gset
VACUUM FULL apikeys.key_image;
SELECT pg_relation_filenode('apikeys.key_image') <> :filenode AS is_new;
SELECT * FROM pg_temp.ask('regress_b');
SELECT * FROM pg_temp.ask('regress_b');
SELECT pg_relation_filenode('apikeys.key_image') AS filenode \gset
CLUSTER apikeys.key_image USING key_image_pkey;
SELECT pg_relation_filenode('apikeys.key_image') <> :filenode AS is_new;
SELECT * FROM pg_temp.ask('regress_b');
SELECT * FROM pg_temp.ask('regress_b');

-- The table is emptied, and is not.
BEGIN;
TRUNCATE apikeys.key_image;
SELECT * FROM pg_temp.ask('regress_b');
ROLLBACK;
SELECT * FROM pg_temp.ask('regress_b');
TRUNCATE apikeys.key_image;
SELECT * FROM pg_temp.ask('regress_b');
SELECT apikeys.rebuild_images() >= 1 AS rebuilt;
SELECT * FROM pg_temp.ask('regress_b');
SELECT * FROM pg_temp.ask('regress_b');

-- More keys than are remembered, in places that are cut off at the end.  Their
-- images are of no keys, and would go with those of a batch of renewed hashes.
SELECT apikeys.flush_usage() \g /dev/null
CREATE TEMP TABLE many AS
	SELECT 'regress_many_' || n AS key, n FROM generate_series(1, 20000) AS n;
SELECT pg_temp.make_image(key, :'org', n % 2 = 0) FROM many \g /dev/null
SELECT reason, n % 2 AS odd, count(*), sum(scans)
	FROM many, pg_temp.ask(key) GROUP BY 1, 2 ORDER BY 1, 2;
SELECT reason, n % 2 AS odd, count(*), sum(scans) < 10000 AS fewer_scans
	FROM many, pg_temp.ask(key) GROUP BY 1, 2 ORDER BY 1, 2;
SELECT reason, count(*) FROM many, pg_temp.ask(key, 'secret of regress_many_1') GROUP BY 1 ORDER BY 1;
UPDATE apikeys.key_image SET disabled = NOT disabled WHERE public_key LIKE 'regress\_many\_%';
SELECT reason, n % 2 AS odd, count(*)
	FROM many, pg_temp.ask(key) GROUP BY 1, 2 ORDER BY 1, 2;
DELETE FROM apikeys.key_image WHERE public_key LIKE 'regress\_many\_%';
SELECT reason, count(*) FROM many, pg_temp.ask(key) GROUP BY 1;
SELECT pg_relation_size('apikeys.key_image') AS size \gset
CALL pg_temp.wait_for_others();
VACUUM apikeys.key_image;
SELECT pg_relation_size('apikeys.key_image') < :size AS is_cut_off;
SELECT reason, count(*) FROM many, pg_temp.ask(key) GROUP BY 1;
SELECT * FROM pg_temp.ask('regress_b');
SELECT * FROM pg_temp.ask('regress_b');

-- Another extension's tables, in the same session.
DROP EXTENSION apikeys;
CREATE EXTENSION apikeys;
SELECT * FROM pg_temp.ask('regress_b');
SELECT apikeys.create_organization('regress_locator', 'user:regress_locator') AS org \gset
SELECT pg_temp.make_key('regress_b', :'org', 'a new secret');
SELECT * FROM pg_temp.ask('regress_b');
SELECT * FROM pg_temp.ask('regress_b', 'a new secret');

-- How much is remembered.
SELECT setting::integer >= 64 AS is_set, unit, vartype FROM pg_settings WHERE name = 'apikeys.locator_size';

DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key;
DELETE FROM apikeys.organization WHERE id = :'org';
