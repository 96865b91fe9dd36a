-- inside.sql: what a call costs inside the server, in :rounds interleaved rounds
-- of :calls calls each.  Prints CSV: measurement, round, nanoseconds per call.
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
-- It would compile what counts the calls.
SET jit = off;

-- Random keys, in random order.
CREATE TABLE bench.sample AS
SELECT n, bench.public_key(id) AS public_key, bench.secret(id) AS secret,
    bench.public_key(id) || '0' AS unknown_key,
    bench.secret(id + 1) AS wrong_secret,
    bench.project_id(id) AS project,
    '10.0.0.7'::inet + (n % 10) * 256 AS address_in_10,
    '10.0.0.7'::inet + (id % 10000) * 256 AS address_in_10000,
    '10.0.0.7'::inet + (id % :list) * 256 AS address_in_all
FROM (
    SELECT n, 1 + floor(random() * :keys)::bigint AS id
    FROM generate_series(1, :calls) AS n) AS r;
VACUUM (FREEZE, ANALYZE) bench.sample;

-- Two keys, each of an organization of its own: one that uses nothing but a role,
-- and one that has all that a key can have.
SELECT public_key AS plain_key, private_key AS plain_secret, api_key AS plain_string
FROM apikeys.create_key(apikeys.create_organization('Plain'), 'Plain', '{ORG_READ_ONLY}') \gset
SELECT apikeys.create_organization('Full') AS organization \gset
SELECT apikeys.set_organization_environment(:'organization', 'live'),
    apikeys.set_organization_access_list(:'organization', '{10.0.0.0/8}'),
    apikeys.set_organization_rate_limit(:'organization', 1000000000, '1 minute') \g /dev/null
SELECT public_key AS full_key, private_key AS full_secret
FROM apikeys.create_key(:'organization', 'Full', '{ORG_READ_ONLY}', '{10.0.0.0/8,2001:db8::/32}', now() + interval '1 year',
    permissions => '{invoice:*:read,reports.*}', owner => 'customer 42', metadata => '{"plan": "pro"}') \gset
SELECT apikeys.set_rate_limit(:'full_key', 1000000000, '1 minute'),
    apikeys.set_quota(:'full_key', 1000000000000, 'month') \g /dev/null
SELECT apikeys.issue_token('1 hour', '{clusters.read}', public_key => :'plain_key') AS token \gset

-- Each counts its rows: the cost of reading bench.sample is in all of them.
CREATE TABLE bench.inside (
    position integer GENERATED ALWAYS AS IDENTITY,
    name text PRIMARY KEY,
    track_usage boolean NOT NULL,
    expression text NOT NULL,
    expected boolean
);
INSERT INTO bench.inside (name, track_usage, expression, expected) VALUES
    ('no call', false, $$s.public_key <> s.secret$$, true),
    ('primary-key subquery', false,
        $$(SELECT k.description FROM apikeys.key AS k WHERE k.public_key = s.public_key) IS NOT NULL$$, true),
    ('authorize', false,
        $$apikeys.authorize(s.public_key, s.secret, '10.1.2.3', 'clusters.read')$$, true),
    ('authorize, usage counted', true,
        $$apikeys.authorize(s.public_key, s.secret, '10.1.2.3', 'clusters.read')$$, true),
    ('authorize on a project', false,
        $$apikeys.authorize(s.public_key, s.secret, '10.1.2.3', 'backups.create', s.project)$$, true),
    ('authorize, unknown key', false,
        $$apikeys.authorize(s.unknown_key, s.secret, '10.1.2.3', 'clusters.read')$$, false),
    ('authorize, wrong secret', false,
        $$apikeys.authorize(s.public_key, s.wrong_secret, '10.1.2.3', 'clusters.read')$$, false),
    ('authorize, list of 10', false,
        format($$apikeys.authorize(%L, %L, s.address_in_10, 'clusters.read')$$,
            bench.public_key(:keys + 1), bench.secret(:keys + 1)), true),
    ('authorize, list of 10000', false,
        format($$apikeys.authorize(%L, %L, s.address_in_10000, 'clusters.read')$$,
            bench.public_key(:keys + 2), bench.secret(:keys + 2)), true),
    (format('authorize, list of %s', :list), false,
        format($$apikeys.authorize(%L, %L, s.address_in_all, 'clusters.read')$$,
            bench.public_key(:keys + 3), bench.secret(:keys + 3)), true),
    ('authorize, one key without a limit', false,
        format($$apikeys.authorize(%L, %L, '10.1.2.3', 'clusters.read')$$,
            bench.public_key(:keys + 7), bench.secret(:keys + 7)), true),
    ('authorize, one key with a rate limit', false,
        format($$apikeys.authorize(%L, %L, '10.1.2.3', 'clusters.read')$$,
            bench.public_key(:keys + 8), bench.secret(:keys + 8)), true),
    ('decide, plain key', false,
        format($$(apikeys.decide(%L, %L, '10.1.2.3', 'clusters.read')).allowed AND s.n > 0$$, :'plain_key', :'plain_secret'), true),
    ('decide, key with all', false,
        format($$(apikeys.decide(%L, %L, '10.1.2.3', 'clusters.read')).allowed AND s.n > 0$$, :'full_key', :'full_secret'), true),
    ('decide, plain key, usage counted', true,
        format($$(apikeys.decide(%L, %L, '10.1.2.3', 'clusters.read')).allowed AND s.n > 0$$, :'plain_key', :'plain_secret'), true),
    ('decide, key with all, usage counted', true,
        format($$(apikeys.decide(%L, %L, '10.1.2.3', 'clusters.read')).allowed AND s.n > 0$$, :'full_key', :'full_secret'), true),
    ('decide_token, plain key', false,
        format($$(apikeys.decide_token(%L, '10.1.2.3', 'clusters.read')).allowed AND s.n > 0$$, :'plain_string'), true),
    ('decide_token, short-lived token', false,
        format($$(apikeys.decide_token(%L, '10.1.2.3', 'clusters.read')).allowed AND s.n > 0$$, :'token'), true),
    ('PL/pgSQL', false,
        $$bench.authorize(s.public_key, s.secret, '10.1.2.3', 'clusters.read')$$, true),
    ('PL/pgSQL on a project', false,
        $$bench.authorize(s.public_key, s.secret, '10.1.2.3', 'backups.create', s.project)$$, true);

CREATE TABLE bench.inside_result (
    position integer NOT NULL,
    round integer NOT NULL,
    ns_per_call numeric
);

-- NULL, and a warning, where it failed.
CREATE FUNCTION bench.ns_per_call(name text, expression text, expected boolean) RETURNS numeric
    LANGUAGE plpgsql
AS $$
DECLARE
    begun timestamptz := clock_timestamp();
    calls bigint;
    unexpected bigint;
BEGIN
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE (%s) IS DISTINCT FROM %L) FROM bench.sample AS s',
        expression, expected) INTO calls, unexpected;
    IF unexpected > 0 THEN
        RAISE WARNING '%: % of % answers are wrong', name, unexpected, calls;
    END IF;
    RETURN extract(epoch FROM clock_timestamp() - begun) * 1e9 / calls;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING '%: %', name, SQLERRM;
    RETURN NULL;
END;
$$;

CREATE PROCEDURE bench.measure_inside(rounds integer)
    LANGUAGE plpgsql
AS $$
DECLARE
    i bench.inside;
BEGIN
    -- Round 0 warms up.
    FOR round IN 0 .. rounds LOOP
        FOR i IN SELECT * FROM bench.inside ORDER BY position LOOP
            PERFORM set_config('apikeys.track_usage', i.track_usage::text, false);
            INSERT INTO bench.inside_result
            VALUES (i.position, round, bench.ns_per_call(i.name, i.expression, i.expected));
            COMMIT;
        END LOOP;
    END LOOP;
END;
$$;
CALL bench.measure_inside(:rounds);

\copy (SELECT i.name, r.round, round(r.ns_per_call) FROM bench.inside_result AS r JOIN bench.inside AS i USING (position) WHERE r.round > 0 AND r.ns_per_call IS NOT NULL ORDER BY position, r.round) TO pstdout (FORMAT csv)
