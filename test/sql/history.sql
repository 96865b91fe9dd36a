-- The history of usage by the hour of the calls: its sums are those of view usage,
-- who reads it, what is dropped when, and how it is drawn.  (Where nothing is
-- preloaded there is nothing to test.)
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
LOAD 'apikeys';
SELECT NOT preloaded AS not_preloaded FROM apikeys.status() \gset
\if :not_preloaded
	\quit
\endif
\set SHOW_CONTEXT never
\set VERBOSITY terse
\pset null NULL
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_apikeys_app;
SELECT apikeys.grant_access('regress_apikeys_app', 'manage', 'decide') \g /dev/null
CREATE ROLE regress_apikeys_project;
SELECT apikeys.grant_access('regress_apikeys_project', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_nobody;
SELECT apikeys.grant_access('regress_apikeys_nobody', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_monitor;
SELECT apikeys.grant_access('regress_apikeys_monitor', 'monitor') \g /dev/null
SELECT apikeys.create_organization('Acme', 'role:regress_apikeys_app') AS acme \gset
SELECT apikeys.create_organization('Globex', 'user:globex') AS globex \gset
SELECT apikeys.create_project(:'acme', 'Alpha') AS alpha \gset
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_project', 'GROUP_USER_ADMIN', :'alpha') \g /dev/null
SELECT public_key, private_key FROM apikeys.create_key(:'acme', 'Key', '{ORG_READ_ONLY}') \gset
SELECT public_key AS project_key, private_key AS project_secret FROM apikeys.create_project_key(:'alpha', 'Project key', '{GROUP_READ_ONLY}') \gset
SELECT public_key AS other_key, private_key AS other_secret FROM apikeys.create_key(:'globex', 'Other', '{ORG_READ_ONLY}') \gset
CREATE TEMPORARY VIEW hours AS
SELECT k.description, sum(h.use_count) AS use_count, sum(h.denial_count) AS denial_count, max(h.denials::text) AS denials, least(sum(h.cost), 9223372036854775807) AS cost
FROM apikeys.usage_by_hour AS h JOIN apikeys.key AS k USING (public_key) WHERE h.hour > now() - interval '2 hours' GROUP BY k.description;
-- Where the sums of the hours, or of the days, are not those of the uses.
CREATE TEMPORARY VIEW differences AS
SELECT u.public_key, u.use_count, u.denial_count, u.denials, h.*, d.*
FROM apikeys.usage AS u
	CROSS JOIN LATERAL (SELECT coalesce(sum(h.use_count), 0) AS h_uses, coalesce(sum(h.denial_count), 0) AS h_denials, sum(h.cost) AS h_cost
		FROM apikeys.usage_by_hour AS h WHERE h.public_key = u.public_key) AS h
	CROSS JOIN LATERAL (SELECT coalesce(sum(d.use_count), 0) AS d_uses, coalesce(sum(d.denial_count), 0) AS d_denials, sum(d.cost) AS d_cost
		FROM apikeys.usage_by_day AS d WHERE d.public_key = u.public_key) AS d
WHERE (h_uses, h_denials) IS DISTINCT FROM (u.use_count, u.denial_count)
	OR (d_uses, d_denials, d_cost) IS DISTINCT FROM (h_uses, h_denials, h_cost);
GRANT SELECT ON hours, differences TO PUBLIC;

-- Uses with what they cost, also 0 and the most there is, and denials, which cost
-- nothing; pending, written, and both.
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1'::inet, 'clusters.read', cost => c) FROM unnest('{1,0,41}'::bigint[]) AS c;
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1'::inet, 'no.scope', cost => 7);
SELECT apikeys.authorize(:'public_key', 'wrong', '192.0.2.1'::inet, 'clusters.read', cost => 7) FROM generate_series(1, 2);
SELECT apikeys.authorize(:'project_key', :'project_secret', '192.0.2.1'::inet, 'clusters.read', :'alpha');
SELECT apikeys.authorize(:'other_key', :'other_secret', '192.0.2.1'::inet, 'clusters.read', cost => c) FROM unnest('{9223372036854775807,1}'::bigint[]) AS c;
SELECT * FROM hours ORDER BY 1;
TABLE differences;
SELECT apikeys.flush_usage();
SELECT * FROM hours ORDER BY 1;
TABLE differences;
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1'::inet, 'clusters.read', cost => 8);
SELECT apikeys.authorize(:'public_key', 'wrong', '192.0.2.1'::inet, 'clusters.read');
SELECT apikeys.authorize(:'other_key', :'other_secret', '192.0.2.1'::inet, 'clusters.read');
SELECT * FROM hours ORDER BY 1;
TABLE differences;
SELECT apikeys.flush_usage();
TABLE differences;
-- A key that is bound costs nothing by itself.
SELECT apikeys.authenticate(:'project_key', :'project_secret', '192.0.2.1'::inet) IS NOT NULL AS bound;
SELECT use_count, cost FROM hours WHERE description = 'Project key';

-- By the hour of the call, whenever it is written: what a standby sends adds to the
-- hours that are there, in whatever order.
SELECT apikeys.merge_usage('1c000000-0000-0000-0000-000000000000', 1, array_fill(:'public_key'::text, ARRAY[4]), ARRAY[NULL, NULL, NULL, 'wrong_secret'],
	array_fill(NULL::cidr, ARRAY[4]), '{30,0,4,6}', array_fill('2026-03-01 00:00:01+00'::timestamptz, ARRAY[4]), array_fill(NULL::inet, ARRAY[4]),
	'{1,1,2,NULL}', array_fill(NULL::bigint, ARRAY[4]),
	'{2026-02-28 23:00+00,2026-03-01 00:00+00,2026-02-28 23:00+00,2026-03-01 00:00+00}', '{10,20,4,6}', '{100,200,4,0}', array_fill(:'acme'::uuid, ARRAY[4]));
SELECT apikeys.merge_usage('1c000000-0000-0000-0000-000000000000', 2, ARRAY[:'public_key'], '{NULL}', '{NULL}', '{1}', '{2026-02-28 22:59:59+00}', '{NULL}', '{1}', '{NULL}',
	'{2026-02-28 22:00+00}', '{1}', '{9}', ARRAY[:'acme']::uuid[]);
SELECT hour AT TIME ZONE 'UTC' AS hour, use_count, denial_count, denials, cost FROM apikeys.usage_by_hour
WHERE public_key = :'public_key' AND hour < '2026-03-02' ORDER BY 1;
SELECT to_char(day, 'YYYY-MM-DD') AS day, use_count, denial_count, denials, cost FROM apikeys.usage_by_day
WHERE public_key = :'public_key' AND day < '2026-03-02' ORDER BY 1;
TABLE differences;

-- Who reads the key reads its history, and who reads all keys of an organization
-- also that of keys that are gone.
SELECT apikeys.flush_usage();
SELECT public_key AS gone_key, private_key AS gone_secret FROM apikeys.create_project_key(:'alpha', 'Gone', '{GROUP_READ_ONLY}') \gset
SELECT apikeys.authorize(:'gone_key', :'gone_secret', '192.0.2.1'::inet, 'clusters.read', :'alpha', cost => 1000);
SELECT apikeys.flush_usage();
SELECT apikeys.authorize(:'gone_key', :'gone_secret', '192.0.2.1'::inet, 'clusters.read', :'alpha', cost => 1000);
SELECT apikeys.delete_key(:'gone_key') \g /dev/null
SELECT apikeys.flush_usage();
SELECT count(*) FROM apikeys.key_usage WHERE public_key = :'gone_key';
SET ROLE regress_apikeys_app;
SELECT count(DISTINCT public_key) AS keys, sum(cost) FILTER (WHERE public_key = :'gone_key') AS gone FROM apikeys.usage_by_hour;
SELECT count(DISTINCT public_key) AS keys, sum(cost) FILTER (WHERE public_key = :'gone_key') AS gone FROM apikeys.usage_by_day;
SELECT count(DISTINCT public_key) AS keys FROM apikeys.key_history;
SELECT substr(l, 11) FROM apikeys.usage_chart(:'gone_key', 1) AS l;
SET ROLE regress_apikeys_project;
SELECT count(DISTINCT public_key) AS keys, bool_and(public_key = :'project_key') AS own FROM apikeys.usage_by_hour;
SELECT count(DISTINCT public_key) AS keys, bool_and(public_key = :'project_key') AS own FROM apikeys.usage_by_day;
SELECT * FROM apikeys.usage_chart(:'public_key');
SET ROLE regress_apikeys_nobody;
SELECT count(*) FROM apikeys.usage_by_hour;
SELECT count(*) FROM apikeys.usage_by_day;
SELECT * FROM apikeys.usage_chart(:'project_key');
SET ROLE regress_apikeys_monitor;
SELECT count(*) FROM apikeys.usage_by_day;
RESET ROLE;
-- A key its own.
BEGIN;
SELECT apikeys.authenticate(:'public_key', :'private_key', '192.0.2.1'::inet) IS NOT NULL AS bound;
SET LOCAL ROLE regress_apikeys_app;
SELECT count(DISTINCT public_key) > 0 AS reads, bool_or(public_key = :'other_key') AS others FROM apikeys.usage_by_day;
ROLLBACK;
-- By a token that was narrowed it does not read itself, and no history.
BEGIN;
SELECT apikeys.authenticate(:'public_key', :'private_key', '192.0.2.1'::inet) IS NOT NULL AS bound;
SELECT apikeys.issue_token('1 hour', '{clusters.read}') AS token \gset
ROLLBACK;
BEGIN;
SELECT apikeys.authenticate_token(:'token', '192.0.2.1'::inet) IS NOT NULL AS bound;
SET LOCAL ROLE regress_apikeys_app;
SELECT (SELECT count(*) FROM apikeys.key) AS keys, (SELECT count(*) FROM apikeys.key_history) AS hours, (SELECT count(*) FROM apikeys.key_day) AS days,
	(SELECT count(*) FROM apikeys.usage_by_hour) AS by_hour, (SELECT count(*) FROM apikeys.usage_by_day) AS by_day;
ROLLBACK;

-- A chart: a line for each day up to today, the longest bar of 50.
BEGIN;
DELETE FROM apikeys.key_day;
INSERT INTO apikeys.key_day (public_key, day, reason, organization_id, count, cost)
SELECT :'public_key', (now() AT TIME ZONE 'UTC')::date - d, r, :'acme', n, 1
FROM (VALUES (1, 'ok', 1000), (1, 'scope_denied', 1000), (2, 'ok', 1), (3, 'wrong_secret', 700), (3, 'scope_denied', 300),
	(5, 'ok', 2000), (9, 'ok', 123456789)) AS v (d, r, n);
SELECT regexp_replace(l, '^\d{4}-\d\d-\d\d ', '') FROM apikeys.usage_chart(:'public_key', 7) WITH ORDINALITY AS c (l, n) WHERE n < 7 ORDER BY n;
SELECT count(*) FROM apikeys.usage_chart(:'public_key');
SELECT count(*), max(length(c)) FROM apikeys.usage_chart(public_key => :'public_key', days => 36600) AS c;
SELECT l LIKE to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD%') FROM apikeys.usage_chart(:'other_key', 1) AS l;
ROLLBACK;
SELECT * FROM apikeys.usage_chart(:'public_key', 0);
SELECT * FROM apikeys.usage_chart(:'public_key', -1);
SELECT * FROM apikeys.usage_chart(:'public_key', 2147483647);
SELECT * FROM apikeys.usage_chart(:'public_key', NULL);
SELECT * FROM apikeys.usage_chart(NULL);
\set VERBOSITY sqlstate
SELECT * FROM apikeys.usage_chart('nokey');
\set VERBOSITY default

-- The page of an organization reads its days alone, in one range of an index, which
-- lie together: a worker writes what is new in the order of organizations.
BEGIN;
SELECT apikeys.merge_usage('1c000000-0000-0000-0000-000000000000', 3, array_agg(k.public_key ORDER BY k.public_key), array_agg(NULL::text), array_agg(NULL::cidr), array_agg(1::bigint),
	array_agg(timestamptz '2020-01-01 12:00+00'), array_agg(NULL::inet), array_agg(1), array_agg(NULL::bigint), array_agg(timestamptz '2020-01-01 12:00+00'), array_agg(1::bigint), array_agg(1::bigint),
	array_agg(k.organization_id ORDER BY k.public_key))
FROM (SELECT public_key, organization_id FROM apikeys.key ORDER BY random()) AS k;
SELECT count(*) > 2 AS several, array_agg(organization_id ORDER BY ctid) = array_agg(organization_id ORDER BY organization_id) AS together FROM apikeys.key_day WHERE day = '2020-01-01';
SELECT count(*) > 2 AS several, array_agg(organization_id ORDER BY ctid) = array_agg(organization_id ORDER BY organization_id) AS together FROM apikeys.key_history WHERE hour = '2020-01-01 12:00+00';
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM apikeys.key_day WHERE organization_id = '1c000000-0000-0000-0000-000000000000' AND day > current_date - 30;
ROLLBACK;
-- What is older than apikeys.usage_retention, by the hour, goes with a flush; the
-- counts of keys stay.
SHOW apikeys.usage_retention;
INSERT INTO apikeys.key_history (public_key, hour, reason, organization_id, count, cost)
SELECT :'public_key', date_trunc('hour', now() - interval '400 days') + h * interval '1 hour', 'ok', :'acme', 100 + h, 0 FROM generate_series(-2, 1) AS h;
INSERT INTO apikeys.key_history (public_key, hour, reason, organization_id, count, cost)
SELECT 'gone', timestamptz '2001-01-01 UTC' + h * interval '1 hour', 'ok', :'acme', 1, 0 FROM generate_series(1, 25000) AS h;
INSERT INTO apikeys.key_day (public_key, day, reason, organization_id, count, cost)
SELECT CASE WHEN d > 400 THEN 'gone' ELSE 'kept' END, (now() AT TIME ZONE 'UTC')::date - d, 'ok', :'acme', 1, 0 FROM generate_series(399, 25000) AS d;
SELECT sum(use_count) AS uses FROM apikeys.usage WHERE public_key = :'public_key';
SELECT apikeys.flush_usage();
SELECT count(*) BETWEEN 1 AND 2 AS kept, min(count) >= 100 AS whole_hours FROM apikeys.key_history WHERE hour < now() - interval '390 days';
SELECT count(*) FROM apikeys.key_history WHERE public_key = 'gone';
SELECT public_key, count(*) FROM apikeys.key_day WHERE public_key IN ('gone', 'kept') GROUP BY 1;
SELECT sum(use_count) AS uses FROM apikeys.usage WHERE public_key = :'public_key';
\set VERBOSITY sqlstate
ALTER SYSTEM SET apikeys.usage_retention = '59min';
ALTER SYSTEM SET apikeys.usage_retention = '-1';
\set VERBOSITY terse

-- Figures, of which none names a tenant, and each has a name once with its labels.
SET ROLE regress_apikeys_monitor;
SELECT name, kind, labels - 'version' AS labels FROM apikeys.metrics()
WHERE name NOT IN ('apikeys_flush_time_seconds', 'apikeys_history_oldest_time_seconds') AND name NOT LIKE 'apikeys_audit_%'
ORDER BY name, labels::text COLLATE "C";
SELECT name, labels, count(*) FROM apikeys.metrics() GROUP BY name, labels HAVING count(*) > 1;
SELECT name FROM apikeys.metrics() GROUP BY name HAVING count(DISTINCT (kind, help)) > 1;
SELECT name FROM apikeys.metrics() WHERE name !~ '^apikeys_[a-z_]+[a-z]$' OR (kind = 'counter') <> (name LIKE '%\_total') OR kind NOT IN ('counter', 'gauge')
	OR help IS NULL OR help !~ '\.$' OR value IS NULL OR value <> value OR value = 'infinity';
SELECT DISTINCT l FROM apikeys.metrics(), jsonb_object_keys(labels) AS l ORDER BY 1;
SET ROLE regress_apikeys_app;
SELECT count(*) FROM apikeys.metrics();
RESET ROLE;
-- They tell what there is, of all organizations.
CREATE TEMPORARY TABLE before AS SELECT name, labels, value FROM apikeys.metrics();
SELECT apikeys.authorize(:'public_key', :'private_key', '192.0.2.1'::inet, 'clusters.read') FROM generate_series(1, 3);
SELECT apikeys.authorize(:'public_key', 'wrong', '192.0.2.1'::inet, 'clusters.read');
SELECT apikeys.authorize('nokey', 'wrong', '192.0.2.1'::inet, 'clusters.read');
SELECT apikeys.disable_key(:'project_key') \g /dev/null
SELECT apikeys.update_key(:'public_key', expires_at => now() + interval '3 days') \g /dev/null
-- A key without a live private key is expired, as in view keys.
SELECT public_key AS dead FROM apikeys.create_key(:'acme', 'Without a live private key', '{ORG_READ_ONLY}') \gset
UPDATE apikeys.key_secret SET expires_at = now() - interval '1 second' WHERE public_key = :'dead';
SELECT apikeys.flush_usage();
SELECT m.name, m.labels, m.value - b.value AS more
FROM apikeys.metrics() AS m JOIN before AS b USING (name, labels)
WHERE m.value <> b.value AND name IN ('apikeys_registered_keys', 'apikeys_keys_expiring', 'apikeys_decisions_total', 'apikeys_organizations', 'apikeys_live_secrets')
ORDER BY 1, 2;

DROP VIEW hours, differences;
DELETE FROM apikeys.key;
DELETE FROM apikeys.organization;
DELETE FROM apikeys.deleted_key;
DELETE FROM apikeys.usage_flush;
SELECT apikeys.flush_usage();
DELETE FROM apikeys.key_history;
DELETE FROM apikeys.key_day;
DROP OWNED BY regress_apikeys_app, regress_apikeys_project, regress_apikeys_nobody, regress_apikeys_monitor;
DROP ROLE regress_apikeys_app, regress_apikeys_project, regress_apikeys_nobody, regress_apikeys_monitor;
