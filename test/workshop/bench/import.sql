-- import.sql: one round of bringing in :import keys, each time undone.  Prints
-- CSV: measurement, round, keys per second.
SET client_min_messages = warning;
SELECT apikeys.organization('Import') AS org \gset

BEGIN;
SELECT clock_timestamp() AS begun \gset
WITH s AS MATERIALIZED (SELECT * FROM bench.staging ORDER BY public_key COLLATE "C"),
    k AS (INSERT INTO bench.plain_key (public_key, organization_id, description)
        SELECT public_key, :'org', description FROM s),
    r AS (INSERT INTO bench.plain_key_role (public_key, organization_id, role)
        SELECT public_key, :'org', unnest(roles) FROM s)
INSERT INTO bench.plain_key_secret (public_key, version, hash, hint)
SELECT public_key, 1, hash::apikeys.secret_hash, '' FROM s;
SELECT format('"plain INSERT, no triggers and foreign keys",%s,%s', :round,
    :import / extract(epoch FROM clock_timestamp() - :'begun'));
ROLLBACK;

BEGIN;
SELECT clock_timestamp() AS begun \gset
SELECT apikeys.import_keys(:'org', 'bench.staging') \g /dev/null
SELECT format('import_keys by a superuser,%s,%s', :round,
    :import / extract(epoch FROM clock_timestamp() - :'begun'));
ROLLBACK;

BEGIN;
SET LOCAL ROLE bench_owner;
SELECT clock_timestamp() AS begun \gset
SELECT apikeys.import_keys(:'org', 'bench.staging') \g /dev/null
SELECT format('import_keys by an ORG_OWNER,%s,%s', :round,
    :import / extract(epoch FROM clock_timestamp() - :'begun'));
ROLLBACK;
VACUUM;
