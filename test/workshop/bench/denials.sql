-- denials.sql: what a denial costs inside the server: of an unknown key, and of a wrong
-- secret of keys with few and with many roles.  Each call by itself, warm: again and
-- again the same key, and cold: after :others calls for other keys, so that nothing of
-- it is in the processor's caches.  Prints CSV: measurement, round, the median in
-- nanoseconds.
SET client_min_messages = warning;
SET jit = off;

CREATE TABLE bench.denial (position integer GENERATED ALWAYS AS IDENTITY, name text, public_key text, is_cold boolean);
INSERT INTO bench.denial (name, public_key, is_cold)
SELECT d.name || CASE WHEN c.is_cold THEN ', cold' ELSE ', warm' END, d.public_key, c.is_cold
FROM (VALUES (true), (false)) AS c (is_cold)
CROSS JOIN (VALUES
    (1, 'unknown key', '0000000000000000001'),
    (2, 'wrong secret, no roles', bench.public_key(:keys + 4)),
    (3, 'wrong secret, 99 project roles', bench.public_key(:keys + 5)),
    (4, 'wrong secret, 10,000 project roles', bench.public_key(:keys + 6))) AS d (number, name, public_key)
ORDER BY c.is_cold DESC, d.number;

CREATE FUNCTION bench.denial_ns(public_key text, is_cold boolean, calls integer, others integer) RETURNS numeric
    LANGUAGE plpgsql
AS $$
DECLARE
    begun timestamptz;
    taken float8[] := '{}';
    allowed boolean;
BEGIN
    FOR i IN 1 .. calls LOOP
        IF is_cold THEN
            PERFORM apikeys.authorize(s.public_key, s.secret, '10.1.2.3', 'clusters.read')
            FROM bench.sample AS s WHERE s.n BETWEEN i * others % 10000 AND i * others % 10000 + others;
        END IF;
        begun := clock_timestamp();
        -- Ten calls, for the clock counts microseconds; cold is the first of them.
        IF is_cold THEN
            allowed := apikeys.authorize(public_key, 'wrong', '10.1.2.3', 'clusters.read');
        ELSE
            FOR j IN 1 .. 10 LOOP
                allowed := apikeys.authorize(public_key, 'wrong', '10.1.2.3', 'clusters.read');
            END LOOP;
        END IF;
        taken := taken || (extract(epoch FROM clock_timestamp() - begun) * 1e9 / CASE WHEN is_cold THEN 1 ELSE 10 END)::float8;
        IF allowed THEN
            RAISE WARNING '% is allowed', public_key;
        END IF;
    END LOOP;
    -- The mean of the middle half, because of the clock.
    RETURN (SELECT avg(m.t) FROM (SELECT t, ntile(4) OVER (ORDER BY t) AS quarter FROM unnest(taken) AS t) AS m
        WHERE m.quarter IN (2, 3));
END;
$$;

CREATE TABLE bench.denial_result (position integer, round integer, ns numeric);
CREATE PROCEDURE bench.measure_denials(rounds integer, calls integer) LANGUAGE plpgsql AS $$
DECLARE
    d bench.denial;
BEGIN
    FOR round IN 0 .. rounds LOOP
        FOR d IN SELECT * FROM bench.denial ORDER BY position LOOP
            INSERT INTO bench.denial_result
            VALUES (d.position, round, bench.denial_ns(d.public_key, d.is_cold, calls, 200));
            COMMIT;
        END LOOP;
    END LOOP;
END;
$$;
CREATE INDEX ON bench.sample (n);
CALL bench.measure_denials(:rounds, :calls / 50);

\copy (SELECT d.name, r.round, round(r.ns) FROM bench.denial_result AS r JOIN bench.denial AS d USING (position) WHERE r.round > 0 ORDER BY position, r.round) TO pstdout (FORMAT csv, FORCE_QUOTE (name))
