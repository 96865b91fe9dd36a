-- reading_rows.sql: what people look at beside keys, an event and a use of each key,
-- and who looks: the owner of one organization, an administrator of one project, the
-- owner of every second organization.
SET session_replication_role = replica;
SET client_min_messages = warning;

INSERT INTO apikeys.audit_event (principal, action, organization_id, public_key, detail, database_role)
SELECT 'user:bench', 'key.created', bench.organization_id(n), bench.public_key(n), '{}', 'bench'
FROM generate_series(1, :keys) AS n;

INSERT INTO apikeys.key_usage (public_key, network, use_count, last_used_at, last_used_address, secret_version)
SELECT bench.public_key(n), CASE n % 2 WHEN 0 THEN '10.0.0.0/8'::cidr END, 1, now(), '10.1.2.3', 1
FROM generate_series(1, :keys) AS n WHERE n % 3 > 0
ON CONFLICT DO NOTHING;

UPDATE apikeys.key SET created_at = now() - (:keys - k.n) * interval '1 s',
    expires_at = CASE k.n % 10 WHEN 0 THEN now() + (k.n % 365) * interval '1 day' END
FROM generate_series(1, :keys) AS k (n) WHERE public_key = bench.public_key(k.n);

RESET session_replication_role;
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bench_one') AS is_new \gset
\if :is_new
    CREATE ROLE bench_one;
    CREATE ROLE bench_project;
    CREATE ROLE bench_many;
\endif
SELECT apikeys.grant_access(r, 'manage') FROM unnest('{bench_one,bench_project,bench_many}'::regrole[]) AS r \g /dev/null
SELECT apikeys.add_member(bench.organization_id(0), 'role:bench_one', 'ORG_OWNER'),
    apikeys.add_member(bench.organization_id(0), 'role:bench_project', 'GROUP_USER_ADMIN', bench.project_id(0)) \g /dev/null
SELECT count(apikeys.add_member(bench.organization_id(n), 'role:bench_many', 'ORG_OWNER'))
FROM generate_series(0, :organizations - 1, 2) AS n \g /dev/null

CREATE TABLE bench.reading (position integer GENERATED ALWAYS AS IDENTITY, name text, reader name, statement text);
INSERT INTO bench.reading (name, reader, statement) VALUES
    ('first page of keys', 'bench_one', 'SELECT * FROM apikeys.keys ORDER BY created_at DESC, public_key DESC LIMIT 20'),
    ('the same, naming the organization', 'bench_one', format(
        'SELECT * FROM apikeys.keys WHERE organization_id = %L ORDER BY created_at DESC, public_key DESC LIMIT 20', bench.organization_id(0))),
    ('number of keys', 'bench_one', 'SELECT count(*) FROM apikeys.keys'),
    ('one key', 'bench_one', format('SELECT * FROM apikeys.keys WHERE public_key = %L', bench.public_key(:organizations))),
    ('page of usage', 'bench_one', 'SELECT * FROM apikeys.usage ORDER BY public_key LIMIT 20'),
    ('last events', 'bench_one', 'SELECT * FROM apikeys.audit_event ORDER BY id DESC LIMIT 20'),
    ('expiring_keys', 'bench_one', $$SELECT * FROM apikeys.expiring_keys('30 days')$$),
    ('unused_keys', 'bench_one', 'SELECT * FROM apikeys.unused_keys ORDER BY created_at LIMIT 20'),
    ('first page of keys, project administrator', 'bench_project', 'SELECT * FROM apikeys.keys ORDER BY created_at DESC, public_key DESC LIMIT 20'),
    ('first page of keys, owner of half', 'bench_many', 'SELECT * FROM apikeys.keys ORDER BY created_at DESC, public_key DESC LIMIT 20'),
    ('first page of keys, superuser', 'none', 'SELECT * FROM apikeys.keys ORDER BY created_at DESC, public_key DESC LIMIT 20');

-- Prints CSV: name, round, microseconds of a statement that is planned each time.
CREATE FUNCTION bench.read_all(round integer, calls integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    r bench.reading;
    begun timestamptz;
    one record;
BEGIN
    FOR r IN SELECT * FROM bench.reading ORDER BY position LOOP
        PERFORM set_config('role', r.reader, true);
        -- The first one warms up.
        FOR i IN 0 .. calls LOOP
            IF i = 1 THEN
                begun := clock_timestamp();
            END IF;
            FOR one IN EXECUTE r.statement LOOP
            END LOOP;
        END LOOP;
        PERFORM set_config('role', 'none', true);
        RETURN NEXT format('"%s",%s,%s', r.name, round, round(extract(epoch FROM clock_timestamp() - begun) * 1000000 / calls));
    END LOOP;
END;
$$;
VACUUM (FREEZE, ANALYZE);
