-- load.sql: keys 1 to :keys, in :organizations organizations with 10 projects each.  Key n
-- is named 1000000000000000000 + n and its secret is 2000000000000000000 + n, so
-- that pgbench can compute both; it has a role in its organization, one in a
-- project of it.  Of the keys of each organization every second has an access list,
-- every tenth expires, and so does the secret of every tenth.
--
-- With :special = 1 there are two organizations more.  One has :projects projects, 500
-- keys, and before these the keys that are measured for what they have: :keys + 1 to
-- + 3 have lists of 10, 10,000 and :list networks, :keys + 4 to + 6 no role, 99 and (if
-- there are so many projects) 10,000 project roles; + 8 has a rate limit, + 7 is
-- like it and has none.  The other has :large keys.
--
-- The rows go past the triggers and foreign keys, which they would satisfy, and
-- the keys' images and most indexes are made at the end for all of them (settle.sql).
SET session_replication_role = replica;
SET client_min_messages = warning;

CREATE EXTENSION apikeys;
ALTER TABLE apikeys.key DISABLE TRIGGER key_replicated;
ALTER TABLE apikeys.key_role DISABLE TRIGGER key_role_replicated;
ALTER TABLE apikeys.key_secret DISABLE TRIGGER key_secret_replicated;
ALTER TABLE apikeys.key_limit DISABLE TRIGGER key_limit_replicated;
CREATE SCHEMA bench;

CREATE TABLE bench.index AS
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index AS i
WHERE i.indrelid IN ('apikeys.key'::regclass, 'apikeys.key_role'::regclass) AND NOT i.indisunique;
SELECT format('DROP INDEX %s', name) FROM bench.index \gexec

CREATE FUNCTION bench.organization_id(n bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    RETURN ('5f0e7a10-0000-4000-8000-' || lpad(to_hex(n % :organizations), 12, '0'))::uuid;

-- The project of key n, in the organization of key n.
CREATE FUNCTION bench.project_id(n bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    RETURN ('9c41d2b0-0000-4000-8000-' || lpad(to_hex(n % (10 * :organizations)), 12, '0'))::uuid;

-- 1: the one with many projects, 2: the one with many keys.
CREATE FUNCTION bench.special_organization_id(n bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    RETURN ('5f0e7a10-0000-4000-9000-' || lpad(to_hex(n), 12, '0'))::uuid;

CREATE FUNCTION bench.special_project_id(n bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    RETURN ('9c41d2b0-0000-4000-9000-' || lpad(to_hex(n), 12, '0'))::uuid;

CREATE FUNCTION bench.public_key(n bigint) RETURNS text
    LANGUAGE sql IMMUTABLE RETURN (1000000000000000000 + n)::text;

CREATE FUNCTION bench.secret(n bigint) RETURNS text
    LANGUAGE sql IMMUTABLE RETURN (2000000000000000000 + n)::text;

INSERT INTO apikeys.organization (id, name)
SELECT bench.organization_id(n), 'Organization ' || n
FROM generate_series(0, :organizations - 1) AS n;

INSERT INTO apikeys.project (id, organization_id, name)
SELECT bench.project_id(n), bench.organization_id(n), 'Project ' || n
FROM generate_series(0, 10 * :organizations - 1) AS n;

INSERT INTO apikeys.key (public_key, organization_id, description, access_list, created_at, expires_at)
SELECT bench.public_key(n), bench.organization_id(n), 'Key number ' || n,
    CASE i % 2 WHEN 1 THEN '{}'::apikeys.access_list
        ELSE '{10.0.0.0/8,2001:db8::/32}' END,
    now() - (:keys - n) * interval '1 s',
    CASE i % 10 WHEN 0 THEN now() + (1 + i % 365) * interval '1 day' END
FROM generate_series(1, :keys) AS n CROSS JOIN LATERAL (SELECT n / :organizations) AS o (i);

-- Both roles of a key beside each other, as create_key leaves them.
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
SELECT bench.public_key(n), bench.organization_id(n), g.project_id, g.role
FROM generate_series(1, :keys) AS n
CROSS JOIN LATERAL (VALUES
    (NULL, 'ORG_READ_ONLY'),
    (bench.project_id(n), 'GROUP_BACKUP_ADMIN')) AS g (project_id, role);

\if :special
    INSERT INTO apikeys.organization (id, name)
    SELECT bench.special_organization_id(n), 'Special organization ' || n FROM generate_series(1, 2) AS n;
    INSERT INTO apikeys.project (id, organization_id, name)
    SELECT bench.special_project_id(n), bench.special_organization_id(1), 'Project ' || n
    FROM generate_series(0, :projects - 1) AS n;

    INSERT INTO apikeys.key (public_key, organization_id, description, access_list, created_at)
    SELECT bench.public_key(:keys + i), bench.special_organization_id(1), 'List of ' || l.length, (
        SELECT coalesce(array_agg(set_masklen('10.0.0.0'::inet + n * 256, 24)::cidr), '{}')
        FROM generate_series(0, l.length - 1) AS n), '2020-01-01'
    FROM (VALUES (1, 10::bigint), (2, 10000), (3, :list), (4, 0), (5, 0), (6, 0)) AS l (i, length);
    INSERT INTO apikeys.key (public_key, organization_id, description, created_at)
    SELECT bench.public_key(:keys + 6 + n), bench.special_organization_id(CASE WHEN n <= 500 THEN 1 ELSE 2 END),
        'Special key ' || n, now() - (:large - n) * interval '1 s'
    FROM generate_series(1, 500 + :large) AS n;

    INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
    SELECT bench.public_key(:keys + n), bench.special_organization_id(CASE WHEN n <= 506 THEN 1 ELSE 2 END), NULL, 'ORG_READ_ONLY'
    FROM generate_series(1, 506 + :large) AS n
    WHERE n NOT BETWEEN 4 AND 6;
    INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
    SELECT bench.public_key(:keys + r.i), bench.special_organization_id(1), bench.special_project_id(n), 'GROUP_READ_ONLY'
    FROM (VALUES (5, 99), (6, 10000)) AS r (i, count)
    CROSS JOIN generate_series(0, least(r.count, :projects) - 1) AS n;
    INSERT INTO apikeys.key_limit (public_key, kind, requests, per, burst)
    VALUES (bench.public_key(:keys + 8), 'rate', 1000000000, '1 s', 1000000000);
\endif

-- Made by hashes.c, for all keys.
\copy apikeys.key_secret (public_key, version, hash, hint) FROM pstdin
UPDATE apikeys.key_secret AS s SET expires_at = now() + (1 + k.i % 365) * interval '1 day'
FROM (SELECT bench.public_key(n) AS public_key, n / :organizations AS i FROM generate_series(1, :keys) AS n) AS k
WHERE k.i % 10 = 5 AND s.public_key = k.public_key;
