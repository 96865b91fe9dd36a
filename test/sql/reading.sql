-- What a reader reads costs what it may read, not what the database holds: the plans
-- of what people look at.  Times are measured by "make bench".
-- In a database of its own: what is vacuumed and analyzed here is no business of
-- other tests.
\set database :DBNAME
CREATE DATABASE regress_apikeys_reading;
\c regress_apikeys_reading
SET client_min_messages = warning;
CREATE EXTENSION apikeys;
CREATE ROLE regress_apikeys_owner;
CREATE ROLE regress_apikeys_project;
CREATE ROLE regress_apikeys_many;
SELECT apikeys.grant_access(r, 'manage', 'impersonate')
FROM unnest('{regress_apikeys_owner,regress_apikeys_project,regress_apikeys_many}'::regrole[]) AS r \g /dev/null
CREATE SCHEMA regress_reading;
GRANT USAGE ON SCHEMA regress_reading TO PUBLIC;
CREATE FUNCTION regress_reading.organization(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE
	RETURN ('5f0e7a10-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;
CREATE FUNCTION regress_reading.project(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE
	RETURN ('9c41d2b0-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;

-- 30,000 keys in 600 organizations, past the triggers.
SET session_replication_role = replica;
ALTER TABLE apikeys.key DISABLE TRIGGER key_replicated;
ALTER TABLE apikeys.key_role DISABLE TRIGGER key_role_replicated;
ALTER TABLE apikeys.key_secret DISABLE TRIGGER key_secret_replicated;
INSERT INTO apikeys.organization (id, name)
SELECT regress_reading.organization(n), 'Organization ' || n FROM generate_series(1, 600) AS n;
INSERT INTO apikeys.project (id, organization_id, name)
SELECT regress_reading.project(10 * n + i), regress_reading.organization(n), 'Project ' || i
FROM generate_series(1, 600) AS n, generate_series(0, 4) AS i;
INSERT INTO apikeys.key (public_key, organization_id, description, created_at, created_by, expires_at)
SELECT 'key' || n, regress_reading.organization(1 + n % 600), 'Key ' || n, timestamptz '2026-01-01' + n * interval '1 s',
	'user:maker', CASE n % 7 WHEN 0 THEN now() + (1 + n / 600) * interval '1 day' END
FROM generate_series(1, 30000) AS n;
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
SELECT 'key' || n, regress_reading.organization(1 + n % 600), g.project_id, g.role
FROM generate_series(1, 30000) AS n
	CROSS JOIN LATERAL (VALUES (NULL, 'ORG_READ_ONLY'),
		(regress_reading.project(10 * (1 + n % 600) + n / 600 % 5), 'GROUP_READ_ONLY')) AS g (project_id, role);
INSERT INTO apikeys.key_secret (public_key, version, hash, hint, expires_at)
SELECT 'key' || n, 1, ('sha256$$' || encode(sha256(n::text::bytea), 'hex'))::apikeys.secret_hash, 'abcd',
	CASE n % 7 WHEN 3 THEN now() + (1 + n / 600) * interval '1 day' END
FROM generate_series(1, 30000) AS n;
INSERT INTO apikeys.key_usage (public_key, use_count, last_used_at, last_used_address, secret_version)
SELECT 'key' || n, n, now(), '10.0.0.1', 1 FROM generate_series(1, 30000) AS n WHERE n % 7 < 4;
INSERT INTO apikeys.key_denial (public_key, reason, denial_count, last_denied_at)
SELECT 'key' || n, 'wrong_secret', n, now() FROM generate_series(1, 30000) AS n WHERE n % 7 = 5;
INSERT INTO apikeys.key_history (public_key, hour, reason, organization_id, count, cost)
SELECT 'key' || n, date_trunc('day', now(), 'UTC') - d * interval '24 hours' + n % 24 * interval '1 hour', r,
	regress_reading.organization(1 + n % 600), n, n
FROM generate_series(1, 30000) AS n, generate_series(0, 300, 50) AS d, unnest('{ok,wrong_secret}'::text[]) AS r WHERE r = 'ok' OR n % 7 = 5;
INSERT INTO apikeys.key_day (public_key, day, reason, organization_id, count, cost)
SELECT h.public_key, (h.hour AT TIME ZONE 'UTC')::date, h.reason, h.organization_id, h.count, h.cost FROM apikeys.key_history AS h;
INSERT INTO apikeys.audit_event (principal, action, organization_id, public_key, detail, database_role)
SELECT 'user:maker', 'key.created', regress_reading.organization(1 + n % 600), 'key' || n, '{}', 'maker'
FROM generate_series(1, 30000) AS n;
RESET session_replication_role;
SELECT apikeys.add_member(regress_reading.organization(7), 'role:regress_apikeys_owner', 'ORG_OWNER'),
	apikeys.add_member(regress_reading.organization(7), 'user:u7', 'ORG_OWNER'),
	apikeys.add_member(regress_reading.organization(7), 'role:regress_apikeys_project', 'GROUP_USER_ADMIN', regress_reading.project(71));
SELECT count(apikeys.add_member(regress_reading.organization(n), 'role:regress_apikeys_many', 'ORG_OWNER'))
FROM generate_series(1, 300) AS n;
VACUUM ANALYZE apikeys.organization, apikeys.project, apikeys.member, apikeys.key, apikeys.key_role, apikeys.key_secret,
	apikeys.key_usage, apikeys.key_denial, apikeys.key_history, apikeys.key_day, apikeys.audit_event;

-- What a plan does that it should not: a sequential scan of a table that grows,
-- a cost that tempts JIT.
CREATE FUNCTION regress_reading.faults(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || statement INTO plan;
	RETURN QUERY SELECT 'Seq Scan on ' || (p ->> 'Relation Name')
		FROM jsonb_path_query(plan, '$.**{2 to last} ? (@."Node Type" == "Seq Scan")') AS p
		WHERE p ->> 'Relation Name' <> 'role';
	RETURN QUERY SELECT 'JIT' WHERE (plan -> 0 -> 'Plan' ->> 'Total Cost')::float > current_setting('jit_above_cost')::float;
END;
$$;
CREATE FUNCTION regress_reading.nodes(statement text, path text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || statement INTO plan;
	RETURN (SELECT count(DISTINCT p) FROM jsonb_path_query(plan, path::jsonpath) AS p);
END;
$$;
CREATE TABLE regress_reading.statement AS
SELECT * FROM (VALUES
	(1, 'SELECT * FROM apikeys.keys ORDER BY created_at DESC LIMIT 20'),
	(2, 'SELECT count(*) FROM apikeys.keys'),
	(3, $$SELECT * FROM apikeys.keys WHERE public_key = 'key6'$$),
	(4, $$SELECT * FROM apikeys.keys WHERE organization_id = '5f0e7a10-0000-4000-8000-000000000007' ORDER BY created_at DESC LIMIT 20$$),
	(5, 'SELECT * FROM apikeys.usage ORDER BY public_key LIMIT 20'),
	(6, 'SELECT * FROM apikeys.audit_event ORDER BY id DESC LIMIT 20'),
	(7, $$SELECT * FROM apikeys.keys WHERE expires_at < now() + interval '30 days' ORDER BY expires_at LIMIT 20$$),
	(8, 'SELECT * FROM apikeys.unused_keys LIMIT 20'),
	(9, 'SELECT * FROM apikeys.access_list_entries LIMIT 20'),
	(10, 'SELECT * FROM apikeys.unused_roles LIMIT 20'),
	(11, 'SELECT * FROM apikeys.project ORDER BY name LIMIT 20'),
	(12, 'SELECT * FROM apikeys.unused_keys ORDER BY created_at LIMIT 20'),
	(13, 'SELECT * FROM apikeys.unused_access_list_entries LIMIT 20'),
	(14, 'SELECT * FROM apikeys.keys ORDER BY description LIMIT 20'),
	(15, $$SELECT * FROM apikeys.usage_by_hour WHERE public_key = 'key6' AND hour > now() - interval '30 days'$$),
	(16, $$SELECT * FROM apikeys.usage_by_day WHERE public_key = 'key6' AND day > current_date - 30$$),
	(17, $$SELECT * FROM apikeys.usage_by_hour WHERE organization_id = '5f0e7a10-0000-4000-8000-000000000007' AND hour > now() - interval '30 days'$$),
	(18, $$SELECT * FROM apikeys.usage_by_day WHERE organization_id = '5f0e7a10-0000-4000-8000-000000000007' AND day > current_date - 30$$),
	(19, $$SELECT * FROM apikeys.usage_by_day WHERE day > current_date - 30$$),
	(20, $$SELECT public_key FROM apikeys.key_secret WHERE expires_at > now() AND expires_at <= now() + interval '30 days'$$)) AS s (number, text);
GRANT SELECT ON regress_reading.statement TO PUBLIC;

-- Plans of functions: which of the growing tables they read in full.
CREATE TABLE regress_reading.call AS
SELECT * FROM (VALUES
	(1, $$apikeys.expiring_keys('30 days')$$),
	(2, $$apikeys.find_keys(created_by => 'user:maker')$$),
	(3, $$apikeys.find_keys(unused_since => now() - interval '1 day')$$),
	(4, $$apikeys.find_keys(expiring_before => now() + interval '30 days')$$),
	(5, $$apikeys.find_keys(project => regress_reading.project(71))$$),
	(6, $$apikeys.find_keys(organization => regress_reading.organization(7))$$),
	(7, $$apikeys.find_keys(description => 'Key 6%')$$),
	(8, $$apikeys.disable_keys(expiring_before => now() + interval '30 days')$$),
	(9, $$apikeys.delete_keys(unused_since => now() - interval '1 day')$$),
	(10, $$apikeys.usage_chart('key606', 30)$$)) AS c (number, text);
GRANT SELECT ON regress_reading.call TO PUBLIC;
CREATE FUNCTION regress_reading.full_scans() RETURNS TABLE (number integer, keys bigint, relation name, scans bigint)
	LANGUAGE plpgsql AS $$
DECLARE
	c regress_reading.call;
	seen jsonb;
BEGIN
	FOR c IN SELECT * FROM regress_reading.call ORDER BY number LOOP
		SELECT jsonb_object_agg(t.relid, t.seq_scan) INTO seen FROM pg_stat_xact_user_tables AS t;
		EXECUTE 'SELECT count(*) FROM ' || c.text INTO keys;
		number := c.number;
		relation := NULL;
		scans := NULL;
		RETURN NEXT;
		RETURN QUERY SELECT c.number, NULL::bigint, t.relname, t.seq_scan - coalesce((seen ->> t.relid::text)::bigint, 0)
			FROM pg_stat_xact_user_tables AS t
			WHERE t.schemaname = 'apikeys' AND t.relname <> 'role' AND t.seq_scan > coalesce((seen ->> t.relid::text)::bigint, 0)
			ORDER BY t.relname;
	END LOOP;
END;
$$;

SET ROLE regress_apikeys_owner;
SELECT s.number, f FROM regress_reading.statement AS s, regress_reading.faults(s.text) AS f ORDER BY s.number, f;
SELECT * FROM regress_reading.full_scans();
SET ROLE regress_apikeys_project;
SELECT s.number, f FROM regress_reading.statement AS s, regress_reading.faults(s.text) AS f ORDER BY s.number, f;
SELECT * FROM regress_reading.full_scans();
BEGIN;
SET ROLE regress_apikeys_owner;
SELECT apikeys.act_as('user:u7');
SELECT s.number, f FROM regress_reading.statement AS s, regress_reading.faults(s.text) AS f ORDER BY s.number, f;
SELECT * FROM regress_reading.full_scans();
ROLLBACK;
-- A principal that reads half of all keys: its first pages.
SET ROLE regress_apikeys_many;
SELECT s.number, f FROM regress_reading.statement AS s, regress_reading.faults(s.text) AS f
WHERE s.number IN (1, 3, 4, 6) ORDER BY s.number, f;
RESET ROLE;
-- A principal that reads all.
SELECT s.number, f FROM regress_reading.statement AS s, regress_reading.faults(s.text) AS f
WHERE s.number IN (1, 3, 4, 6, 15, 16, 17, 18) ORDER BY s.number, f;

-- The last hours and days of the history are one range of an index: of a key, of an
-- organization, for each kind of reader.
CREATE TABLE regress_reading.range (number integer, index text);
INSERT INTO regress_reading.range VALUES (15, 'key_history_pkey'), (16, 'key_day_pkey'),
	(17, 'key_history_organization_hour_idx'), (18, 'key_day_organization_idx');
GRANT SELECT ON regress_reading.range TO PUBLIC;
CREATE FUNCTION regress_reading.conditions(statement text, index text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || statement INTO plan;
	RETURN QUERY SELECT array_to_string(ARRAY(SELECT m[1] FROM regexp_matches(p ->> 'Index Cond', '(public_key|organization_id|hour|day) [=>]', 'g') AS m ORDER BY 1), ' ')
		FROM jsonb_path_query(plan, '$.**{2 to last} ? (exists(@."Index Name"))') AS p WHERE p ->> 'Index Name' = index;
END;
$$;
SELECT DISTINCT r.index, c AS conditions
FROM regress_reading.range AS r JOIN regress_reading.statement AS s USING (number), regress_reading.conditions(s.text, r.index) AS c ORDER BY 1, 2;
SET ROLE regress_apikeys_owner;
SELECT DISTINCT r.index, c AS conditions
FROM regress_reading.range AS r JOIN regress_reading.statement AS s USING (number), regress_reading.conditions(s.text, r.index) AS c ORDER BY 1, 2;
RESET ROLE;

-- A principal that reads a small share finds its rows by organization, and not by a scan of all rows.
SET ROLE regress_apikeys_owner;
SELECT regress_reading.nodes('SELECT * FROM apikeys.keys ORDER BY created_at DESC LIMIT 20',
	'$.**{2 to last} ? (@."Index Name" == "key_created_idx")') AS over_all_keys;
SET ROLE regress_apikeys_many;
SELECT regress_reading.nodes('SELECT * FROM apikeys.keys ORDER BY created_at DESC LIMIT 20',
	'$.**{2 to last} ? (@."Index Name" == "key_created_idx")') AS over_all_keys;
SET ROLE regress_apikeys_owner;
SELECT regress_reading.nodes('SELECT * FROM apikeys.usage WHERE public_key > ''key2'' ORDER BY public_key LIMIT 20',
	'$.**{2 to last} ? (@."Node Type" == "Index Scan" && @."Index Name" == "key_pkey")') AS over_all_keys,
	regress_reading.nodes('SELECT * FROM apikeys.audit_event ORDER BY id DESC LIMIT 20',
	'$.**{2 to last} ? (@."Index Name" == "audit_event_pkey")') AS over_all_events,
	regress_reading.nodes('SELECT * FROM apikeys.audit_event WHERE id = 7',
	'$.**{2 to last} ? (@."Index Name" == "audit_event_pkey")') AS one_event;
RESET ROLE;

-- Its pages are read in their order, and not sorted: also of events, of what expires,
-- of an organization that is named, and from where a page has ended.
SET ROLE regress_apikeys_owner;
SELECT q.statement,
	regress_reading.nodes(q.statement, '$.**{2 to last} ? (@."Custom Plan Provider" == "apikeys own rows")') AS own_rows
FROM (VALUES
	(1, 'SELECT * FROM apikeys.keys ORDER BY created_at DESC, public_key DESC LIMIT 20'),
	(2, 'SELECT * FROM apikeys.keys ORDER BY created_at LIMIT 20'),
	(3, $$SELECT * FROM apikeys.keys WHERE (created_at, public_key) < ('2026-01-01 01:00', 'key7') ORDER BY created_at DESC, public_key DESC LIMIT 20$$),
	(4, 'SELECT * FROM apikeys.usage ORDER BY public_key LIMIT 20'),
	(5, 'SELECT * FROM apikeys.audit_event ORDER BY id DESC LIMIT 20'),
	(6, 'SELECT * FROM apikeys.keys WHERE expires_at > now() ORDER BY expires_at LIMIT 20')) AS q (number, statement)
ORDER BY q.number;
-- Where rows are locked, each is checked again after a wait, which that scan cannot.
RESET ROLE;
CREATE TABLE regress_reading.note AS SELECT public_key FROM apikeys.key;
CREATE UNIQUE INDEX ON regress_reading.note (public_key);
ANALYZE regress_reading.note;
GRANT USAGE ON SCHEMA regress_reading TO regress_apikeys_owner;
GRANT SELECT, UPDATE ON regress_reading.note TO regress_apikeys_owner;
SET ROLE regress_apikeys_owner;
SELECT lock,
	regress_reading.nodes('SELECT n.public_key FROM apikeys.key AS k JOIN regress_reading.note AS n USING (public_key) ORDER BY k.created_at LIMIT 3' || lock,
		'$.**{2 to last} ? (@."Custom Plan Provider" == "apikeys own rows")') AS own_rows
FROM (VALUES (''), (' FOR UPDATE OF n')) AS l (lock);
RESET ROLE;
DROP TABLE regress_reading.note;
SET ROLE regress_apikeys_owner;
-- A count reads an index alone.
SELECT regress_reading.nodes('SELECT count(*) FROM apikeys.keys',
	'$.**{2 to last} ? (@."Node Type" == "Index Only Scan")') AS index_only;
SELECT regress_reading.nodes('SELECT * FROM apikeys.keys WHERE organization_id = ''5f0e7a10-0000-4000-8000-000000000007'' ORDER BY created_at DESC LIMIT 20',
	'$.**{2 to last} ? (@."Index Name" == "key_organization_created_idx" && @."Node Type" == "Index Scan")') AS in_order;
-- What expires is read of the organization alone, however much of others does.
BEGIN;
SELECT count(expires_at) AS keys, count(secret_expires_at) AS secrets FROM apikeys.expiring_keys('30 days');
SELECT i.name, pg_stat_get_xact_tuples_returned(('apikeys.' || i.name)::regclass) > 0 AS is_read
FROM unnest('{key_expires_idx,key_organization_expires_idx,key_secret_expires_idx,key_secret_organization_expires_idx}'::text[]) AS i (name);
ROLLBACK;
RESET ROLE;

-- A plan that was made for one principal is correct for another: of one organization,
-- of several, of a project, of none.
SELECT count(apikeys.add_member(regress_reading.organization(n), 'user:two', 'ORG_OWNER')) FROM generate_series(7, 8) AS n;
SELECT apikeys.add_member(regress_reading.organization(7), 'user:project', 'GROUP_USER_ADMIN', regress_reading.project(71)) \g /dev/null
SET ROLE regress_apikeys_owner;
SET plan_cache_mode = force_generic_plan;
PREPARE page AS SELECT k.public_key, k.organization FROM apikeys.keys AS k ORDER BY k.created_at DESC, k.public_key DESC LIMIT 4;
EXECUTE page;
BEGIN;
SELECT apikeys.act_as('user:two') \g /dev/null
EXECUTE page;
ROLLBACK;
BEGIN;
SELECT apikeys.act_as('user:project') \g /dev/null
EXECUTE page;
ROLLBACK;
BEGIN;
SELECT apikeys.act_as('user:nobody') \g /dev/null
EXECUTE page;
ROLLBACK;
EXECUTE page;
PREPARE number AS SELECT count(*) AS keys, count(DISTINCT k.organization_id) AS organizations FROM apikeys.key AS k;
EXECUTE number;
BEGIN;
SELECT apikeys.act_as('user:two') \g /dev/null
EXECUTE number;
ROLLBACK;
BEGIN;
SELECT apikeys.act_as('user:project') \g /dev/null
EXECUTE number;
ROLLBACK;
-- Rows of several organizations are merged in the order, and not sorted.
PREPARE whole_page AS SELECT k.public_key, k.description FROM apikeys.keys AS k ORDER BY k.created_at DESC, k.public_key DESC LIMIT 4;
SELECT regress_reading.nodes('EXECUTE whole_page', '$.**{2 to last} ? (@."Custom Plan Provider" == "apikeys own rows")') AS own_rows;
EXECUTE whole_page;
BEGIN;
SELECT apikeys.act_as('user:two') \g /dev/null
EXECUTE whole_page;
ROLLBACK;
-- The scan is restarted for each row of another table, and keeps its position in a cursor.
SELECT o.name, p.public_key
FROM (SELECT name FROM apikeys.role ORDER BY name LIMIT 2) AS o,
	LATERAL (SELECT k.public_key FROM apikeys.key AS k WHERE o.name <> k.description ORDER BY k.created_at DESC LIMIT 2) AS p
ORDER BY o.name, p.public_key;
BEGIN;
DECLARE page_cursor CURSOR FOR SELECT public_key FROM apikeys.keys ORDER BY created_at DESC;
FETCH 2 FROM page_cursor;
FETCH 2 FROM page_cursor;
ROLLBACK;
RESET plan_cache_mode;
RESET ROLE;

-- Rows are found each time the scan begins again, also below a condition that is checked
-- once for each of the other table's rows, and by a function in that condition.
CREATE FUNCTION regress_reading.newest(is_wanted boolean) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN (SELECT k.public_key FROM apikeys.key AS k WHERE is_wanted ORDER BY k.created_at DESC LIMIT 1);
END;
$$;
SET ROLE regress_apikeys_owner;
SELECT d.d, (SELECT count(*) FROM apikeys.key AS k WHERE k.created_at < d.d AND now() > '2020-01-01') AS keys,
	(SELECT count(*) FROM apikeys.keys AS k WHERE k.created_at < d.d AND EXISTS (SELECT FROM apikeys.role)) AS seen
FROM (VALUES (timestamptz '2026-01-01 01:00'), ('2026-01-01 03:00'), ('2027-01-01')) AS d (d);
SELECT n, (SELECT e.id IS NOT NULL FROM apikeys.audit_event AS e WHERE e.id > n AND now() > '2020-01-01' ORDER BY e.id DESC LIMIT 1) AS found,
	(SELECT k.public_key FROM apikeys.key AS k WHERE k.public_key <> n::text AND regress_reading.newest(n > 0) IS NOT NULL ORDER BY k.created_at DESC LIMIT 1) AS newest
FROM generate_series(0, 3) AS n;
PREPARE gated (timestamptz) AS SELECT count(*) FROM (VALUES (1), (2), (3)) AS v (n),
	LATERAL (SELECT k.public_key FROM apikeys.key AS k WHERE k.public_key <> v.n::text AND ($1 IS NULL OR now() > $1) ORDER BY k.created_at LIMIT 2) AS k;
SET plan_cache_mode = force_generic_plan;
EXECUTE gated ('2020-01-01');
EXECUTE gated (NULL);
EXECUTE gated ('2999-01-01');
RESET plan_cache_mode;
DEALLOCATE gated;
RESET ROLE;
DROP FUNCTION regress_reading.newest;

-- An index on an expression has no counterpart by organization: what is read in its
-- order is sorted.
CREATE INDEX regress_reading_idx ON apikeys.key (upper(description));
-- The policy need not come before a function that is trusted to tell nothing of its rows.
CREATE FUNCTION regress_reading.capitals(text) RETURNS text LANGUAGE internal IMMUTABLE STRICT LEAKPROOF AS 'upper';
CREATE INDEX regress_reading_leakproof_idx ON apikeys.key (regress_reading.capitals(description));
SET ROLE regress_apikeys_owner;
SELECT regress_reading.nodes('SELECT description FROM apikeys.key ORDER BY upper(description) LIMIT 3',
	'$.**{2 to last} ? (@."Index Name" == "regress_reading_idx")') AS over_all_keys;
SELECT description FROM apikeys.key ORDER BY upper(description) LIMIT 3;
-- Nor does one find its rows by it, or by half of a condition.
SELECT q.number, regress_reading.nodes('SELECT public_key FROM apikeys.key WHERE ' || q.condition,
		'$.**{2 to last} ? (@."Index Name" starts with "regress_reading_" || @."Index Name" == "key_metadata_idx")') AS by_others_values
FROM (VALUES (1, $$upper(description) = 'KEY 6'$$), (2, $$public_key = 'key6' OR metadata @> '{"a": 1}'$$),
	(3, $$metadata @> '{"a": 1}' OR upper(description) = 'KEY 6'$$),
	(4, $$regress_reading.capitals(description) = 'KEY 6'$$), (5, $$public_key = 'key6' OR regress_reading.capitals(description) = 'KEY 6'$$)) AS q (number, condition)
ORDER BY q.number;
SELECT public_key FROM apikeys.key WHERE upper(description) = 'KEY 6' OR metadata @> '{"a": 1}' OR public_key IN ('key6', 'key7');
-- Nor does an index with one have the whole row.
RESET ROLE;
CREATE INDEX regress_reading_row_idx ON apikeys.key (organization_id, lower(description), public_key);
SET ROLE regress_apikeys_owner;
SET enable_bitmapscan = off;
SELECT count(k) = (SELECT count(*) FROM apikeys.key) AS whole_rows FROM apikeys.key AS k;
SELECT (k).public_key FROM (SELECT k FROM apikeys.key AS k WHERE public_key > 'key6' LIMIT 1) AS r (k);
RESET enable_bitmapscan;
RESET ROLE;
DROP INDEX apikeys.regress_reading_row_idx;
SET ROLE regress_apikeys_owner;
-- Without such scans a count is right as well.
SET enable_indexonlyscan = off;
SELECT count(*) FROM apikeys.keys;
RESET enable_indexonlyscan;
RESET ROLE;
DROP INDEX apikeys.regress_reading_idx, apikeys.regress_reading_leakproof_idx;
DROP FUNCTION regress_reading.capitals;
-- Where the planner is left with a scan of all rows, that is what it makes, and the
-- policy checks each.
SET ROLE regress_apikeys_owner;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT regress_reading.nodes('SELECT * FROM apikeys.key ORDER BY created_at LIMIT 3',
	'$.**{2 to last} ? (@."Index Name" == "key_created_idx")') AS over_all_keys;
SELECT public_key FROM apikeys.key ORDER BY created_at LIMIT 3;
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET ROLE;
-- Nothing is estimated of what is no column.
SELECT count(*) FROM apikeys.organization WHERE NOT apikeys_internal.is_readable_share(gen_random_uuid(), NULL);
-- An error in the middle of planning leaves nothing behind.
REVOKE EXECUTE ON FUNCTION apikeys_internal.visited_organization FROM regress_apikeys_owner;
SET ROLE regress_apikeys_owner;
SELECT description FROM apikeys.key ORDER BY created_at LIMIT 1;
RESET ROLE;
SELECT apikeys_internal.visited_organization() IS NULL AS is_forgotten;
GRANT EXECUTE ON FUNCTION apikeys_internal.visited_organization TO regress_apikeys_owner;

-- Who reads by projects finds rows by an index, also where there are so few
-- organizations that the planner would take the rows of ten for all.
ALTER TABLE apikeys.key ALTER COLUMN organization_id SET (n_distinct = 3);
ALTER TABLE apikeys.key_history ALTER COLUMN organization_id SET (n_distinct = 3);
ALTER TABLE apikeys.key_day ALTER COLUMN organization_id SET (n_distinct = 3);
ALTER TABLE apikeys.audit_event ALTER COLUMN organization_id SET (n_distinct = 3);
ANALYZE apikeys.key, apikeys.key_history, apikeys.key_day, apikeys.audit_event;
SET ROLE regress_apikeys_project;
SELECT regress_reading.nodes(statement, '$.**{2 to last} ? (@."Node Type" == "Seq Scan" || @."Node Type" == "Index Only Scan")')
FROM unnest(ARRAY['SELECT * FROM apikeys.keys ORDER BY created_at DESC LIMIT 20', 'SELECT count(*) FROM apikeys.keys',
	'SELECT count(*) FROM apikeys.key_history', 'SELECT count(*) FROM apikeys.key_day',
	'SELECT * FROM apikeys.audit_event ORDER BY id DESC LIMIT 20']) AS statement;
RESET ROLE;
ALTER TABLE apikeys.key ALTER COLUMN organization_id RESET (n_distinct);
ALTER TABLE apikeys.key_history ALTER COLUMN organization_id RESET (n_distinct);
ALTER TABLE apikeys.key_day ALTER COLUMN organization_id RESET (n_distinct);
ALTER TABLE apikeys.audit_event ALTER COLUMN organization_id RESET (n_distinct);
ANALYZE apikeys.key, apikeys.key_history, apikeys.key_day, apikeys.audit_event;

-- A value that others have too is not looked up among those of all: the time would
-- tell that they have it.
SET session_replication_role = replica;
UPDATE apikeys.key SET metadata = '{"plan": "rare"}', owner = 'rare' WHERE public_key IN ('key306', 'key307', 'key308', 'key309');
RESET session_replication_role;
ANALYZE apikeys.key;
CREATE FUNCTION regress_reading.lookups(reader name) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('role', reader, true);
	RETURN QUERY SELECT regress_reading.nodes('SELECT * FROM apikeys.key WHERE ' || condition,
		'$.**{2 to last} ? (@."Index Name" like_regex "metadata|owner" && !(@."Index Cond" like_regex "organization_id"))')
	FROM unnest(ARRAY['metadata OPERATOR(apikeys.@>) ''{"plan": "rare"}'' AND metadata <> ''{}''', 'owner = ''rare''']) AS condition;
	PERFORM set_config('role', 'none', true);
END;
$$;
SELECT r.reader, p FROM unnest('{regress_apikeys_owner,regress_apikeys_project,regress_apikeys_many}'::name[]) AS r (reader)
	CROSS JOIN LATERAL regress_reading.lookups(r.reader) AS p WHERE p > 0;
SELECT DISTINCT regress_reading.lookups('none') AS superuser;

-- A column that is not asked for is not computed.
SET ROLE regress_apikeys_owner;
SELECT regress_reading.nodes('SELECT public_key, description, status, created_at FROM apikeys.keys',
	'$.**{2 to last} ? (@."Parent Relationship" == "SubPlan")') AS sub_plans,
	regress_reading.nodes('SELECT public_key FROM apikeys.usage',
	'$.**{2 to last} ? (@."Parent Relationship" == "SubPlan")') AS sub_plans_of_usage;

-- What each reads is what it should.
SELECT count(*) AS keys, count(last_used_at) AS used, min(organization) AS organization FROM apikeys.keys;
SELECT count(*) AS events FROM apikeys.audit_event WHERE action = 'key.created';
SELECT count(DISTINCT public_key) AS keys, count(*) AS days, sum(use_count) AS uses, sum(denial_count) AS denials FROM apikeys.usage_by_day;
SET ROLE regress_apikeys_project;
SELECT count(*) AS keys, count(last_used_at) AS used, min(organization) AS organization FROM apikeys.keys;
SET ROLE regress_apikeys_many;
SELECT count(*) AS keys, count(DISTINCT organization) AS organizations FROM apikeys.keys;

-- Pages by key set: each begins where the last one ended.
SET ROLE regress_apikeys_owner;
SELECT public_key, created_at AT TIME ZONE 'UTC' AS created_at FROM apikeys.keys
WHERE organization_id = regress_reading.organization(7)
ORDER BY created_at DESC, public_key DESC LIMIT 3;
SELECT public_key, created_at AT TIME ZONE 'UTC' AS created_at FROM apikeys.keys
WHERE organization_id = regress_reading.organization(7)
	AND (created_at, public_key) < ((SELECT created_at FROM apikeys.keys WHERE public_key = 'key28806'), 'key28806')
ORDER BY created_at DESC, public_key DESC LIMIT 3;
RESET ROLE;

\c :database
DROP DATABASE regress_apikeys_reading;
DROP ROLE regress_apikeys_owner, regress_apikeys_project, regress_apikeys_many;
