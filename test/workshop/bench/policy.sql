-- policy.sql: what row-level security by a key costs, in :rounds interleaved
-- rounds that count a million rows of one organization and its ten projects,
-- every second one of them to be seen by key :organizations, with and without JIT.
-- Prints CSV: measurement, round, milliseconds.
--
-- The same table has a policy for each of five roles: one that lets everything
-- pass; one that compares with settings, as it is commonly written; one that reads
-- each setting once, so that nothing is left but two comparisons; one that
-- asks the bound key; and one that compares its organization too, so that an index
-- on that column could be used.
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;

CREATE TABLE bench.backup AS
SELECT n AS id, bench.organization_id(0) AS organization_id,
    CASE WHEN random() < 0.5 THEN bench.project_id(:organizations)
        ELSE bench.project_id(:organizations * (n % 9 + 2)) END AS project_id
FROM generate_series(1, 1000000) AS n;
VACUUM (FREEZE, ANALYZE) bench.backup;
ALTER TABLE bench.backup ENABLE ROW LEVEL SECURITY;

CREATE ROLE bench_all;
CREATE ROLE bench_key;
CREATE ROLE bench_permits;
CREATE ROLE bench_setting;
CREATE ROLE bench_setting_once;
GRANT USAGE ON SCHEMA bench TO bench_all, bench_key, bench_permits, bench_setting, bench_setting_once;
GRANT SELECT ON bench.backup TO bench_all, bench_key, bench_permits, bench_setting, bench_setting_once;
CREATE POLICY bench_all ON bench.backup TO bench_all USING (true);
CREATE POLICY bench_key ON bench.backup TO bench_key USING (
    organization_id = (SELECT apikeys.current_organization())
    AND apikeys.permits('backups.create', project_id));
CREATE POLICY bench_permits ON bench.backup TO bench_permits USING (
    apikeys.permits('backups.create', project_id));
CREATE POLICY bench_setting ON bench.backup TO bench_setting USING (
    organization_id = current_setting('app.organization_id')::uuid
    AND project_id = current_setting('app.project_id')::uuid);
CREATE POLICY bench_setting_once ON bench.backup TO bench_setting_once USING (
    organization_id = (SELECT current_setting('app.organization_id')::uuid)
    AND project_id = (SELECT current_setting('app.project_id')::uuid));

CREATE TABLE bench.policy (
    position integer GENERATED ALWAYS AS IDENTITY,
    name text,
    role name,
    jit text
);
INSERT INTO bench.policy (name, role, jit)
SELECT p.name || j.title, p.role, j.jit
FROM (VALUES
    (1, 'no policy', 'bench_all'),
    (2, 'current_setting(), compared', 'bench_setting'),
    (3, 'current_setting() in a sub-select', 'bench_setting_once'),
    (4, 'permits()', 'bench_permits'),
    (5, 'permits(), and its organization', 'bench_key')) AS p (number, name, role)
CROSS JOIN (VALUES ('', 'on'), (', JIT off', 'off')) AS j (title, jit)
ORDER BY j.title, p.number;
CREATE TABLE bench.policy_result (position integer, round integer, ms numeric);

CREATE PROCEDURE bench.measure_policies(rounds integer, key bigint)
    LANGUAGE plpgsql
AS $$
DECLARE
    p bench.policy;
    begun timestamptz;
    ended timestamptz;
    seen bigint;
BEGIN
    PERFORM set_config('app.organization_id', bench.organization_id(0)::text, false),
        set_config('app.project_id', bench.project_id(key)::text, false);
    -- Round 0 warms up.
    FOR round IN 0 .. rounds LOOP
        FOR p IN SELECT * FROM bench.policy ORDER BY position LOOP
            PERFORM apikeys.authenticate(bench.public_key(key), bench.secret(key), '10.1.2.3'),
                set_config('jit', p.jit, false);
            PERFORM set_config('role', p.role, true);
            begun := clock_timestamp();
            EXECUTE 'SELECT count(*) FROM bench.backup' INTO seen;
            ended := clock_timestamp();
            PERFORM set_config('role', 'none', true);
            IF (seen = 1000000) IS DISTINCT FROM (p.role = 'bench_all') OR seen NOT BETWEEN 490000 AND 1000000 THEN
                RAISE WARNING '%: % rows are seen', p.name, seen;
            END IF;
            INSERT INTO bench.policy_result
            VALUES (p.position, round, extract(epoch FROM ended - begun) * 1000);
            COMMIT;
        END LOOP;
    END LOOP;
END;
$$;
CALL bench.measure_policies(:rounds, :organizations);

\copy (SELECT p.name, r.round, round(r.ms, 1) FROM bench.policy_result AS r JOIN bench.policy AS p USING (position) WHERE r.round > 0 ORDER BY position, r.round) TO pstdout (FORMAT csv)
