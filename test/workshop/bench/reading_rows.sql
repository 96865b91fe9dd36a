-- reading_rows.sql: what people look at beside keys, an event and a use of each key,
-- and who looks: the owner of one organization, as a role and as a user of an
-- application, an administrator of one project, the owner of every second
-- organization, and (with :special = 1) of one with many projects and one with many keys.
SET session_replication_role = replica;
SET client_min_messages = warning;

INSERT INTO apikeys.audit_event (principal, action, organization_id, public_key, detail, database_role)
SELECT 'user:bench', 'key.created', organization_id, public_key, '{}', 'bench'
FROM apikeys.key ORDER BY public_key;

INSERT INTO apikeys.key_usage (public_key, network, use_count, last_used_at, last_used_address, secret_version)
SELECT bench.public_key(n), CASE i % 2 WHEN 0 THEN '10.0.0.0/8'::cidr END, 1, now(), '10.1.2.3', 1
FROM generate_series(1, :keys) AS n CROSS JOIN LATERAL (SELECT n / :organizations) AS o (i) WHERE i % 3 > 0
ON CONFLICT DO NOTHING;

RESET session_replication_role;
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bench_one') AS is_new \gset
\if :is_new
    CREATE ROLE bench_one;
    CREATE ROLE bench_agent;
    CREATE ROLE bench_project;
    CREATE ROLE bench_many;
    CREATE ROLE bench_projects;
    CREATE ROLE bench_large;
\endif
SELECT apikeys.grant_access(r, 'manage', 'impersonate')
FROM unnest('{bench_one,bench_agent,bench_project,bench_many,bench_projects,bench_large}'::regrole[]) AS r \g /dev/null
SELECT apikeys.add_member(bench.organization_id(0), 'role:bench_one', 'ORG_OWNER'),
    apikeys.add_member(bench.organization_id(0), 'user:one', 'ORG_OWNER'),
    apikeys.add_member(bench.organization_id(0), 'role:bench_project', 'GROUP_USER_ADMIN', bench.project_id(0)) \g /dev/null
SELECT count(apikeys.add_member(bench.organization_id(n), 'role:bench_many', 'ORG_OWNER'))
FROM generate_series(0, :organizations - 1, 2) AS n \g /dev/null
\if :special
    SELECT apikeys.add_member(bench.special_organization_id(1), 'role:bench_projects', 'ORG_OWNER'),
        apikeys.add_member(bench.special_organization_id(2), 'role:bench_large', 'ORG_OWNER') \g /dev/null
\endif

CREATE TABLE bench.reading (position integer GENERATED ALWAYS AS IDENTITY, name text, reader name, acts_as text, statement text);
INSERT INTO bench.reading (name, reader, acts_as, statement)
SELECT s.name || r.title, r.reader, r.acts_as, s.statement
FROM (VALUES
    (1, '', 'bench_one', NULL),
    (2, ', through act_as', 'bench_agent', 'user:one'),
    (3, ', project administrator', 'bench_project', NULL),
    (4, ', owner of half of the organizations', 'bench_many', NULL),
    (5, ', organization with many keys', 'bench_large', NULL),
    (6, ', organization with many projects', 'bench_projects', NULL),
    (7, ', superuser', 'none', NULL)) AS r (number, title, reader, acts_as)
CROSS JOIN (VALUES
    (1, 'first page of keys', 'SELECT * FROM apikeys.keys ORDER BY created_at DESC, public_key DESC LIMIT 20'),
    (2, 'first page, naming the organization', format(
        'SELECT * FROM apikeys.keys WHERE organization_id = %L ORDER BY created_at DESC, public_key DESC LIMIT 20', bench.organization_id(0))),
    (3, 'number of keys', 'SELECT count(*) FROM apikeys.keys'),
    (4, 'one key', format('SELECT * FROM apikeys.keys WHERE public_key = %L', bench.public_key(10 * :organizations))),
    (5, 'page of usage', 'SELECT * FROM apikeys.usage ORDER BY public_key LIMIT 20'),
    (6, 'last events', 'SELECT * FROM apikeys.audit_event ORDER BY id DESC LIMIT 20'),
    (7, 'expiring_keys', $$SELECT * FROM apikeys.expiring_keys('30 days')$$),
    (8, 'unused_keys', 'SELECT * FROM apikeys.unused_keys ORDER BY created_at LIMIT 20'),
    (9, 'page of projects', 'SELECT * FROM apikeys.project ORDER BY name LIMIT 20')) AS s (number, name, statement)
-- The first two readers all of it, the others their first page, but what grows with
-- projects is looked at where there are many.
WHERE r.number <= 3 AND s.number < 9 OR s.number = 1 OR r.number = 6 AND s.number <> 2
ORDER BY r.number, s.number;
\if :special
\else
    DELETE FROM bench.reading WHERE reader IN ('bench_projects', 'bench_large');
\endif
CREATE TABLE bench.reading_result (position integer, round integer, us numeric);

-- Statements are planned each time.
CREATE PROCEDURE bench.read(name text, round integer, calls integer) LANGUAGE plpgsql AS $$
DECLARE
    r bench.reading;
    begun timestamptz;
    taken float8[];
    one record;
BEGIN
    FOR r IN SELECT * FROM bench.reading AS b WHERE b.name = read.name LOOP
        PERFORM set_config('role', r.reader, true);
        IF r.acts_as IS NOT NULL THEN
            PERFORM apikeys.act_as(r.acts_as);
        END IF;
        taken := '{}';
        -- The first one warms up.
        FOR i IN 0 .. calls LOOP
            begun := clock_timestamp();
            FOR one IN EXECUTE r.statement LOOP
            END LOOP;
            IF i > 0 THEN
                taken := taken || (extract(epoch FROM clock_timestamp() - begun) * 1000000)::float8;
            END IF;
        END LOOP;
        PERFORM set_config('role', 'none', true);
        INSERT INTO bench.reading_result
        SELECT r.position, read.round, percentile_cont(0.5) WITHIN GROUP (ORDER BY t)
        FROM unnest(taken) AS t;
        COMMIT;
    END LOOP;
END;
$$;
VACUUM (FREEZE, ANALYZE);
