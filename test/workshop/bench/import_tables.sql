-- import_tables.sql: :import keys in a staging table, an owner to bring them in,
-- and copies of the tables with all their rows, indexes and checks, but no triggers
-- and no foreign keys.
SET client_min_messages = warning;
ALTER TABLE apikeys.key ENABLE REPLICA TRIGGER key_replicated;
ALTER TABLE apikeys.key_role ENABLE REPLICA TRIGGER key_role_replicated;
ALTER TABLE apikeys.key_secret ENABLE REPLICA TRIGGER key_secret_replicated;
CREATE ROLE bench_owner LOGIN;
SELECT apikeys.grant_access('bench_owner', 'manage') \g /dev/null
SELECT apikeys.create_organization('Import', 'role:bench_owner') \g /dev/null

CREATE TABLE bench.staging AS
SELECT 'import_' || md5(n::text) AS public_key, 'sha256$$' || encode(sha256(n::text::bytea), 'hex') AS hash,
    'Key number ' || n AS description, ARRAY['ORG_READ_ONLY'] AS roles
FROM generate_series(1, :import) AS n;
CREATE TABLE bench.staging_1 AS SELECT * FROM bench.staging WHERE public_key < 'import_8';
CREATE TABLE bench.staging_2 AS SELECT * FROM bench.staging WHERE public_key >= 'import_8';
ANALYZE bench.staging, bench.staging_1, bench.staging_2;
GRANT USAGE ON SCHEMA bench TO bench_owner;
GRANT SELECT ON bench.staging TO bench_owner;

CREATE TABLE bench.plain_key (LIKE apikeys.key INCLUDING ALL);
CREATE TABLE bench.plain_key_role (LIKE apikeys.key_role INCLUDING ALL);
CREATE TABLE bench.plain_key_secret (LIKE apikeys.key_secret INCLUDING ALL);
INSERT INTO bench.plain_key SELECT * FROM apikeys.key;
INSERT INTO bench.plain_key_role SELECT * FROM apikeys.key_role;
INSERT INTO bench.plain_key_secret SELECT * FROM apikeys.key_secret;
VACUUM (ANALYZE) bench.plain_key, bench.plain_key_role, bench.plain_key_secret;
