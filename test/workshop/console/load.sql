-- 200 organizations of three projects and 500 keys, each with a user; what was used
-- and changed in the last days.  The rows go past the triggers, and the images are
-- made at the end for all keys.
\set ON_ERROR_STOP on
SET session_replication_role = replica;
SET client_min_messages = warning;

CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
	RETURN (rpad(md5(kind || n), 32))::uuid;

INSERT INTO apikeys.organization (id, name)
SELECT pg_temp.id('organization', o), 'Organization ' || o FROM generate_series(1, :organizations) AS o;
INSERT INTO apikeys.project (id, organization_id, name)
SELECT pg_temp.id('project', 3 * o + p), pg_temp.id('organization', o), 'Project ' || p
FROM generate_series(1, :organizations) AS o, generate_series(0, 2) AS p;
-- Every second user owns an organization, the others are administrators of a project.
INSERT INTO apikeys.member (organization_id, principal, role)
SELECT pg_temp.id('organization', o), 'user:owner', 'ORG_OWNER' FROM generate_series(1, :organizations) AS o;
INSERT INTO apikeys.member (organization_id, project_id, principal, role)
SELECT pg_temp.id('organization', o), CASE WHEN o % 2 = 1 THEN pg_temp.id('project', 3 * o) END, 'user:u' || o,
	CASE WHEN o % 2 = 1 THEN 'GROUP_USER_ADMIN' ELSE 'ORG_OWNER' END
FROM generate_series(1, :organizations) AS o;

CREATE TEMP TABLE made AS
SELECT 'ak_pub_' || lpad(n::text, 16, '0') AS public_key, 1 + n % :organizations AS o, n FROM generate_series(1, :keys) AS n;
INSERT INTO apikeys.key (public_key, organization_id, description, access_list, created_at, expires_at)
SELECT public_key, pg_temp.id('organization', o), (ARRAY['Backup', 'Billing', 'Deployment', 'Monitoring'])[1 + n / 7 % 4] || ' ' || n,
	CASE n % 2 WHEN 1 THEN '{}'::apikeys.access_list ELSE '{10.0.0.0/8,192.0.2.0/24,2001:db8::/32}' END,
	now() - (:keys - n) * interval '30 s', CASE n % 10 WHEN 0 THEN now() + (1 + n % 365) * interval '1 day' END
FROM made;
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
SELECT public_key, pg_temp.id('organization', o), CASE WHEN n / :organizations % 4 < 3 THEN pg_temp.id('project', 3 * o + n / :organizations % 4) END,
	CASE WHEN n / :organizations % 4 < 3 THEN 'GROUP_BACKUP_ADMIN' ELSE 'ORG_READ_ONLY' END
FROM made;
INSERT INTO apikeys.key_secret (public_key, version, hash, hint, created_at)
SELECT public_key, 1, ('sha256$$' || encode(sha256(public_key::bytea), 'hex'))::apikeys.secret_hash, right(public_key, 4), now() FROM made;
INSERT INTO apikeys.key_usage (public_key, network, use_count, last_used_at, last_used_address, secret_version)
SELECT public_key, CASE WHEN n % 2 = 0 THEN '192.0.2.0/24'::cidr END, 1 + n % 1000, now() - n % 86400 * interval '1 s', '192.0.2.7', 1 FROM made;
INSERT INTO apikeys.key_denial (public_key, reason, denial_count, last_denied_at, last_denied_address)
SELECT public_key, 'scope_denied', 1 + n % 5, now() - n % 86400 * interval '1 s', '198.51.100.7' FROM made WHERE n % 3 = 0;
INSERT INTO apikeys.key_history (public_key, hour, reason, organization_id, count, cost)
SELECT public_key, date_trunc('hour', now()) - d * interval '1 day', 'ok', pg_temp.id('organization', o), 1 + (n + d) % 100, 1
FROM made, generate_series(0, 29, 3) AS d;
INSERT INTO apikeys.audit_event (at, principal, database_role, action, organization_id, project_id, public_key, detail)
SELECT now() - (:keys - n) * interval '30 s', 'user:owner', 'console', 'key.created', pg_temp.id('organization', o),
	CASE WHEN n / :organizations % 4 < 3 THEN pg_temp.id('project', 3 * o + n / :organizations % 4) END, public_key, '{}'
FROM made ORDER BY n;
RESET session_replication_role;
SELECT apikeys.rebuild_images() \g /dev/null
VACUUM ANALYZE;
