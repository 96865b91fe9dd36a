-- import_half.sql: half :half of the keys are brought in, and it is undone.
SET client_min_messages = warning;
SELECT apikeys.organization('Import') AS org \gset
BEGIN;
SELECT apikeys.import_keys(:'org', 'bench.staging_' || :'half') \g /dev/null
ROLLBACK;
