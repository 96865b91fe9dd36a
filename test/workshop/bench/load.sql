-- load.sql: keys 1 to :keys, in :organizations organizations with 10 projects each.  Key n
-- is named 1000000000000000000 + n and its secret is 2000000000000000000 + n, so
-- that pgbench can compute both; it has a role in its organization, one in a
-- project of it, and every second key has an access list.  The keys :keys + 1
-- and :keys + 2 have lists of 10 and of 10,000 networks.
--
-- The rows go past the triggers and foreign keys, which they would satisfy, and
-- the keys' images are made at the end for all of them.
SET session_replication_role = replica;
SET client_min_messages = warning;

CREATE EXTENSION apikeys;
ALTER TABLE apikeys.key DISABLE TRIGGER key_replicated;
ALTER TABLE apikeys.key_role DISABLE TRIGGER key_role_replicated;
ALTER TABLE apikeys.key_secret DISABLE TRIGGER key_secret_replicated;
CREATE SCHEMA bench;

CREATE FUNCTION bench.organization_id(n bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    RETURN ('5f0e7a10-0000-4000-8000-' || lpad(to_hex(n % :organizations), 12, '0'))::uuid;

-- The project of key n, in the organization of key n.
CREATE FUNCTION bench.project_id(n bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    RETURN ('9c41d2b0-0000-4000-8000-' || lpad(to_hex(n % (10 * :organizations)), 12, '0'))::uuid;

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

INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
SELECT bench.public_key(n), bench.organization_id(n), 'Key number ' || n,
    CASE n % 2 WHEN 1 THEN '{}'::apikeys.access_list
        ELSE '{10.0.0.0/8,2001:db8::/32}' END
FROM generate_series(1, :keys) AS n;

INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
SELECT bench.public_key(:keys + i), bench.organization_id(:keys + i), 'Long list ' || i, (
    SELECT array_agg(set_masklen('10.0.0.0'::inet + n * 256, 24)::cidr)
    FROM generate_series(0, l.length - 1) AS n)
FROM (VALUES (1, 10::bigint), (2, 10000)) AS l (i, length);

-- Both roles of a key beside each other, as create_key leaves them.
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
SELECT bench.public_key(n), bench.organization_id(n), g.project_id, g.role
FROM generate_series(1, :keys + 2) AS n
CROSS JOIN LATERAL (VALUES
    (NULL, 'ORG_READ_ONLY'),
    (bench.project_id(n), 'GROUP_BACKUP_ADMIN')) AS g (project_id, role);

-- Made by hashes.c, for :keys + 2 keys.
\copy apikeys.key_secret (public_key, version, hash, hint) FROM pstdin
