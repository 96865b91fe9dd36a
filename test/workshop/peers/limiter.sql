-- limiter.sql: the best that PL/pgSQL can do: a row for each key, and one UPDATE that
-- proves the secret, charges the bucket and writes little (HOT, half of each page free).
-- The same algorithm as the extension's, in microseconds.
CREATE TABLE limiter (
    public_key text PRIMARY KEY,
    hash bytea NOT NULL,
    -- Microseconds that a request gives, and that may be ahead.
    step bigint NOT NULL,
    ahead bigint NOT NULL,
    full_at bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE FUNCTION limited(key text, secret text) RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    at bigint;
BEGIN
    -- The clock is read when the row is locked: another waits for it here.
    PERFORM FROM limiter AS l WHERE l.public_key = key AND l.hash = sha256(secret::bytea) FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    at := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    UPDATE limiter AS l SET full_at = greatest(l.full_at, at) + l.step
    WHERE l.public_key = key AND greatest(l.full_at, at) + l.step - at <= l.ahead;
    RETURN FOUND;
END;
$$;
