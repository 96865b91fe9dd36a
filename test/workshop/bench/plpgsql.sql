-- plpgsql.sql: the same decision without the extension's code, as well as it can
-- be written in PL/pgSQL.  It reads the same tables, except for what an author
-- would store in a way that suits SQL: a SHA-256 of the secret as bytea, access
-- lists as cidr[], and permissions as patterns of LIKE.
SET client_min_messages = warning;

CREATE TABLE bench.key (
    public_key text COLLATE "C" PRIMARY KEY,
    organization_id uuid NOT NULL,
    access_list cidr[] NOT NULL,
    expires_at timestamptz,
    disabled_at timestamptz
);
INSERT INTO bench.key
SELECT public_key, organization_id, access_list::cidr[], expires_at, disabled_at
FROM apikeys.key
WHERE public_key <= bench.public_key(:keys)
ORDER BY public_key;

CREATE TABLE bench.key_secret (
    public_key text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    hash bytea NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (public_key, version)
);
INSERT INTO bench.key_secret
SELECT bench.public_key(n), 1, sha256(bench.secret(n)::bytea)
FROM generate_series(1, :keys) AS n;

CREATE TABLE bench.role (
    name text COLLATE "C" PRIMARY KEY,
    organization_patterns text[] NOT NULL,
    project_patterns text[] NOT NULL
);
INSERT INTO bench.role
SELECT name,
    ARRAY(SELECT replace(replace(p, '_', '\_'), '*', '%') FROM unnest(organization_permissions) AS p),
    ARRAY(SELECT replace(replace(p, '_', '\_'), '*', '%') FROM unnest(project_permissions) AS p)
FROM apikeys.role;

-- Room in the pages, so that an update touches no index.
CREATE TABLE bench.key_usage (
    public_key text COLLATE "C" PRIMARY KEY,
    last_used_at timestamptz
) WITH (fillfactor = 50);
INSERT INTO bench.key_usage
SELECT bench.public_key(n) FROM generate_series(1, :keys) AS n;

-- STABLE: it reads with the caller's snapshot, which is cheaper than to take one.
CREATE FUNCTION bench.authorize(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM bench.key AS k
        JOIN bench.key_secret AS s ON s.public_key = k.public_key
        WHERE k.public_key = authorize.public_key
            AND s.hash = sha256(secret::bytea)
            AND (s.expires_at IS NULL OR s.expires_at > statement_timestamp())
            AND k.disabled_at IS NULL
            AND (k.expires_at IS NULL OR k.expires_at > statement_timestamp())
            AND CASE cardinality(k.access_list)
                WHEN 0 THEN NOT (SELECT o.require_access_list FROM apikeys.organization AS o
                    WHERE o.id = k.organization_id)
                ELSE ip <<= ANY (k.access_list) END
            AND EXISTS (
                SELECT FROM apikeys.key_role AS g
                JOIN bench.role AS r ON r.name = g.role
                WHERE g.public_key = k.public_key
                    AND CASE
                        WHEN project IS NULL THEN g.project_id IS NULL
                            AND scope LIKE ANY (r.organization_patterns)
                        WHEN g.project_id IS NULL THEN scope LIKE ANY (r.project_patterns)
                            AND EXISTS (SELECT FROM apikeys.project AS p
                                WHERE p.id = project AND p.organization_id = k.organization_id)
                        ELSE g.project_id = project
                            AND scope LIKE ANY (r.project_patterns)
                        END));
END;
$$;

CREATE FUNCTION bench.authorize_and_record(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT bench.authorize(public_key, secret, ip, scope, project) THEN
        RETURN false;
    END IF;
    UPDATE bench.key_usage AS u SET last_used_at = clock_timestamp()
    WHERE u.public_key = authorize_and_record.public_key;
    RETURN true;
END;
$$;
