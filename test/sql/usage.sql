-- Uses and denials counted in shared memory.  (Where nothing is preloaded there
-- is nothing to test: usage_1.out.)
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
LOAD 'apikeys';
SELECT NOT preloaded AS not_preloaded FROM apikeys.status() \gset
\if :not_preloaded
	\quit
\endif
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_apikeys_app;
SELECT apikeys.grant_access('regress_apikeys_app', 'manage') \g /dev/null
GRANT USAGE ON SCHEMA apikeys_internal TO regress_apikeys_app;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apikeys_internal TO regress_apikeys_app;
CREATE ROLE regress_apikeys_reader;
SELECT apikeys.grant_access('regress_apikeys_reader', 'manage') \g /dev/null
GRANT USAGE ON SCHEMA apikeys_internal TO regress_apikeys_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apikeys_internal TO regress_apikeys_reader;
CREATE ROLE regress_apikeys_nobody;
SELECT apikeys.grant_access('regress_apikeys_nobody', 'manage', 'monitor') \g /dev/null
GRANT USAGE ON SCHEMA apikeys_internal TO regress_apikeys_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apikeys_internal TO regress_apikeys_nobody;
SELECT apikeys.grant_access('regress_apikeys_app', 'decide') \g /dev/null
SELECT apikeys.create_organization('Acme', 'user:1') AS acme \gset
SELECT apikeys.create_project(:'acme', 'Alpha') AS alpha \gset
SELECT apikeys.add_member(:'acme', 'role:regress_apikeys_reader', 'GROUP_READ_ONLY', :'alpha') \g /dev/null
SELECT public_key, private_key FROM apikeys.create_key(:'acme', 'Key', '{ORG_READ_ONLY}') \gset
SELECT public_key AS project_key, private_key AS project_secret FROM apikeys.create_project_key(:'alpha', 'Project key', '{GROUP_READ_ONLY}') \gset
PREPARE use (inet) AS SELECT apikeys.authorize(:'public_key', :'private_key', $1, 'clusters.read');
PREPARE use_project_key (inet) AS SELECT apikeys.authorize(:'project_key', :'project_secret', $1, 'clusters.read', :'alpha');
CREATE TEMPORARY VIEW pending AS
SELECT p.network, p.reason, p.count, now() - p.last_at < interval '5 minutes' AS lately, p.last_address
FROM apikeys.key AS k, apikeys_internal.pending_usage(k.public_key, k.organization_id) AS p ORDER BY p.reason NULLS FIRST, p.network NULLS FIRST;
CREATE TEMPORARY VIEW written AS
SELECT network, use_count, now() - last_used_at < interval '5 minutes' AS lately, last_used_address
FROM apikeys.key_usage AS u JOIN apikeys.key USING (public_key) ORDER BY network NULLS FIRST;
-- The worker writes when it is asked, and, as the interval should be long enough
-- for this test, only then.
SELECT apikeys.flush_usage();
SELECT worker_alive, lost_count, flushed_at IS NOT NULL AS flushed, advice FROM apikeys.status();
-- Uses of other tests' keys, whose names were forgotten.
SELECT pending_entries AS others FROM apikeys.status() \gset

-- Never used.
SELECT last_used_at, last_used_address FROM apikeys.keys WHERE public_key = :'public_key';
SELECT use_count, last_used_at, denial_count, denials, last_denied_at, pending_entries, lost_count FROM apikeys.usage WHERE public_key = :'public_key';

-- Counted for every caller with access, in any transaction, committed or not.
SET ROLE regress_apikeys_app;
EXECUTE use ('192.0.2.1');
RESET ROLE;
BEGIN READ ONLY;
EXECUTE use ('192.0.2.2');
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
EXECUTE use ('192.0.2.3');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
EXECUTE use ('192.0.2.4');
COMMIT;
BEGIN;
EXECUTE use ('192.0.2.5');
ROLLBACK;
BEGIN;
SAVEPOINT s;
EXECUTE use (NULL);
ROLLBACK TO s;
COMMIT;
-- Not when it is switched off.
SET apikeys.track_usage = off;
EXECUTE use ('192.0.2.7');
RESET apikeys.track_usage;
SELECT * FROM pending;
SELECT count(*) FROM written;
SELECT last_used_at IS NOT NULL, last_used_address FROM apikeys.keys WHERE public_key = :'public_key';

-- Denials, by their reason; of an unknown key only how many there were.
SELECT unknown_key_count FROM apikeys.status() \gset
SELECT apikeys.authorize(:'public_key', 'wrong', '192.0.2.1', 'clusters.read'),
	apikeys.authorize(:'public_key', 'wrong', '::ffff:192.0.2.2', 'clusters.read'),
	apikeys.authorize(:'public_key', NULL, '192.0.2.3', 'clusters.read'),
	apikeys.authorize(:'public_key', :'private_key', '2001:db8::1', 'clusters.write'),
	apikeys.authorize(:'public_key', :'private_key', NULL, NULL),
	apikeys.authorize('nokey', :'private_key', NULL, 'clusters.read'),
	apikeys.authorize(NULL, :'private_key', NULL, 'clusters.read'),
	apikeys.authorize(repeat('x', 1000000), :'private_key', NULL, 'clusters.read');
SELECT * FROM pending WHERE reason IS NOT NULL;
SELECT unknown_key_count - :unknown_key_count AS unknown FROM apikeys.status();
SELECT apikeys.disable_key(:'public_key');
EXECUTE use ('192.0.2.1');
SELECT apikeys.enable_key(:'public_key');
SELECT use_count, last_used_address, denial_count, denials, last_denied_address, pending_entries FROM apikeys.usage WHERE public_key = :'public_key';

-- Written: the views say the same as before.
SELECT apikeys.flush_usage();
SELECT * FROM pending;
SELECT * FROM written;
SELECT reason, denial_count, last_denied_address FROM apikeys.key_denial WHERE public_key = :'public_key' ORDER BY reason;
SELECT use_count, last_used_address, denial_count, denials, last_denied_address, pending_entries FROM apikeys.usage WHERE public_key = :'public_key';
SELECT pending_entries - :others FROM apikeys.status();
-- And on top of that.
EXECUTE use ('192.0.2.8');
SELECT use_count, last_used_address, pending_entries FROM apikeys.usage WHERE public_key = :'public_key';
SELECT apikeys.flush_usage();
SELECT * FROM written;
-- A session with an older snapshot sees each use once.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT use_count FROM apikeys.usage WHERE public_key = :'public_key';
EXECUTE use ('192.0.2.9');
SELECT apikeys.flush_usage();
SELECT use_count FROM written;
SELECT use_count, pending_entries FROM apikeys.usage WHERE public_key = :'public_key';
COMMIT;
SELECT use_count, pending_entries FROM apikeys.usage WHERE public_key = :'public_key';

-- Each entry of the list has a counter of its own; an IPv4 address written as
-- IPv6 is recorded as IPv4.
SELECT apikeys.add_to_access_list(:'public_key', '192.0.2.0/24', '2001:db8::/32', '203.0.113.0/24');
EXECUTE use ('::ffff:192.0.2.7');
EXECUTE use ('192.0.2.8');
EXECUTE use ('2001:db8::7');
EXECUTE use ('198.51.100.1');
SELECT network, use_count, last_used_at IS NOT NULL, last_used_address FROM apikeys.access_list_entries WHERE public_key = :'public_key' ORDER BY network;
SELECT apikeys.flush_usage();
SELECT network, use_count, last_used_at IS NOT NULL, last_used_address FROM apikeys.access_list_entries WHERE public_key = :'public_key' ORDER BY network;
EXECUTE use ('192.0.2.9');
SELECT network, use_count, last_used_at IS NOT NULL, last_used_address FROM apikeys.access_list_entries WHERE public_key = :'public_key' ORDER BY network;
SELECT * FROM written;
SELECT last_used_address FROM apikeys.keys WHERE public_key = :'public_key';
SELECT use_count, denial_count FROM apikeys.usage WHERE public_key = :'public_key';

-- Usage, written or not, is visible like the key.
EXECUTE use_project_key ('192.0.2.1');
SET ROLE regress_apikeys_reader;
SELECT public_key = :'project_key', use_count, pending_entries FROM apikeys.usage;
SELECT count FROM apikeys_internal.pending_usage(:'project_key', :'acme');
SELECT count(*) FROM apikeys_internal.pending_usage(:'public_key', :'acme');
SET ROLE regress_apikeys_nobody;
SELECT count(*) FROM apikeys.usage;
SELECT count(*) FROM apikeys_internal.pending_usage(:'project_key', :'acme');
SELECT count(*) FROM apikeys.key_denial;
SELECT count(*) FROM apikeys_internal.pending_usage('nokey', :'acme');
SELECT count(*) FROM apikeys_internal.pending_usage(NULL, :'acme');
SELECT count(*) FROM apikeys_internal.pending_usage(repeat('x', 1000), :'acme');
SELECT preloaded FROM apikeys.status();
SELECT apikeys.flush_usage();
SELECT apikeys.settle_usage(gen_random_uuid(), 1);
SELECT apikeys.merge_usage(gen_random_uuid(), 1, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
INSERT INTO apikeys.key_denial VALUES ('x', 'ok', 1, now());
SELECT count(*) FROM apikeys.usage_flush;
RESET ROLE;

-- What a standby sends: once, added, the later use stays; what has no key is
-- told.
SELECT gen_random_uuid() AS instance, now() + interval '6 days' AS later \gset
SELECT apikeys.flush_usage();
PREPARE merge (bigint) AS
SELECT apikeys.merge_usage(:'instance', $1, ARRAY[:'public_key', 'nokey', :'public_key', :'project_key'], ARRAY[NULL, NULL, 'scope_denied', NULL],
	'{192.0.2.0/24,NULL,NULL,NULL}', '{10,20,30,40}', ARRAY['2001-01-01', 'now', :'later', :'later']::timestamptz[], '{192.0.2.99,NULL,192.0.2.98,2001:db8::1}',
	'{1,1,NULL,1}', ARRAY[NULL, NULL, NULL, apikeys_internal.grant_id('GROUP_READ_ONLY', :'alpha')],
	'{2001-01-01,2001-01-01,2001-01-01,2001-01-01}', '{10,20,30,40}', '{100,0,0,400}', array_fill(:'acme'::uuid, '{4}'));
EXECUTE merge (3);
EXECUTE merge (3);
EXECUTE merge (2);
SELECT apikeys.settle_usage(:'instance', 3), apikeys.settle_usage(:'instance', 4);
-- The answer may be lost: it is the same again.
SELECT apikeys.settle_usage(:'instance', 4);
EXECUTE merge (4);
SELECT apikeys.settle_usage(:'instance', 4);
SELECT k.description, u.use_count, u.last_used_address, u.denial_count, u.last_denied_at = :'later' AS later, u.last_denied_address
FROM apikeys.usage AS u JOIN apikeys.key AS k USING (public_key) ORDER BY 1;
SELECT use_count, last_used_address FROM apikeys.key_usage WHERE public_key = :'public_key' AND network = '192.0.2.0/24';
SELECT role, last_used_at = :'later' AS later FROM apikeys.key_role_usage WHERE public_key = :'project_key';
-- Nothing is done by halves.
\set VERBOSITY terse
SELECT apikeys.merge_usage(:'instance', 5, '{a}', '{}', '{NULL}', '{1}', '{now}', '{NULL}', '{1}', '{NULL}', '{NULL}', '{1}', '{1}', array_fill(:'acme'::uuid, '{1}'));
SELECT apikeys.merge_usage(:'instance', 5, ARRAY[:'public_key', NULL], '{NULL,NULL}', '{NULL,NULL}', '{1,1}', '{now,now}', '{NULL,NULL}', '{1,1}', '{NULL,NULL}', '{2001-01-01,2001-01-01}', '{1,1}', '{1,1}', array_fill(:'acme'::uuid, '{2}'));
SELECT apikeys.merge_usage(:'instance', 5, ARRAY[:'public_key'], '{NULL}', '{NULL}', '{NULL}', '{now}', '{NULL}', '{1}', '{NULL}', '{2001-01-01}', '{1}', '{1}', array_fill(:'acme'::uuid, '{1}'));
SELECT apikeys.merge_usage(NULL, 5, NULL, '{NULL}', '{NULL}', '{NULL}', '{now}', '{NULL}', '{1}', '{NULL}', '{2001-01-01}', '{1}', '{1}', array_fill(:'acme'::uuid, '{1}'));
SELECT batch FROM apikeys.usage_flush WHERE instance = :'instance';

-- Counts stop at the largest bigint; negative counts are rejected.
BEGIN;
SELECT apikeys.merge_usage(:'instance', 6, ARRAY[:'public_key', :'public_key'], '{NULL,wrong_secret}', '{198.51.100.0/24,NULL}', '{9223372036854775806,9223372036854775807}', '{now,now}', '{NULL,NULL}', '{1,NULL}', '{NULL,NULL}', '{2001-01-01,2001-01-01}', '{9223372036854775806,9223372036854775807}', '{9223372036854775806,0}', array_fill(:'acme'::uuid, '{2}'));
SELECT apikeys.merge_usage(:'instance', 7, ARRAY[:'public_key', :'public_key'], '{NULL,wrong_secret}', '{198.51.100.0/24,NULL}', '{2,9223372036854775807}', '{now,now}', '{NULL,NULL}', '{1,NULL}', '{NULL,NULL}', '{2001-01-01,2001-01-01}', '{2,9223372036854775807}', '{2,0}', array_fill(:'acme'::uuid, '{2}'));
SELECT use_count FROM apikeys.key_usage WHERE public_key = :'public_key' AND network = '198.51.100.0/24';
SELECT use_count, denial_count, denials FROM apikeys.usage WHERE public_key = :'public_key';
SELECT use_count, denial_count, denials, cost FROM apikeys.usage_by_hour WHERE public_key = :'public_key' AND hour = '2001-01-01';
-- Also when those of a network or a secret that is gone are added.
SELECT apikeys.merge_usage(:'instance', 8, ARRAY[:'public_key'], '{NULL}', '{198.51.100.0/24}', '{9223372036854775807}', '{now}', '{NULL}', '{77}', '{NULL}', '{2001-01-01 01:00}', '{9223372036854775807}', '{9223372036854775807}', array_fill(:'acme'::uuid, '{1}'));
SELECT use_count FROM apikeys.usage WHERE public_key = :'public_key';
SELECT day, use_count, denial_count, denials, cost FROM apikeys.usage_by_day WHERE public_key = :'public_key' AND day = '2001-01-01';
ROLLBACK;
SELECT apikeys.merge_usage(:'instance', 6, ARRAY[:'public_key'], '{NULL}', '{NULL}', '{-1}', '{now}', '{NULL}', '{1}', '{NULL}', '{2001-01-01}', '{1}', '{1}', array_fill(:'acme'::uuid, '{1}'));
SELECT apikeys.merge_usage(:'instance', 6, ARRAY[:'public_key'], '{NULL}', '{NULL}', '{1}', '{now}', '{NULL}', '{-1}', '{NULL}', '{2001-01-01}', '{1}', '{1}', array_fill(:'acme'::uuid, '{1}'));
SELECT apikeys.merge_usage(:'instance', 6, ARRAY[:'public_key'], '{NULL}', '{NULL}', '{1}', '{now}', '{NULL}', '{1}', '{NULL}', '{2001-01-01}', '{-1}', '{1}', array_fill(:'acme'::uuid, '{1}'));
SELECT apikeys.merge_usage(:'instance', 6, ARRAY[:'public_key'], '{NULL}', '{NULL}', '{1}', '{now}', '{NULL}', '{1}', '{NULL}', '{2001-01-01}', '{1}', '{NULL}', array_fill(:'acme'::uuid, '{1}'));
SELECT apikeys.merge_usage(:'instance', 6, ARRAY[:'public_key'], '{NULL}', '{NULL}', '{1}', '{now}', '{NULL}', '{1}', '{NULL}', '{2001-01-01 00:30}', '{1}', '{1}', array_fill(:'acme'::uuid, '{1}'));
-- Nor are times that a clock goes ahead to, and reasons of no denial.
PREPARE merge_one (text, timestamptz, timestamptz) AS
SELECT apikeys.merge_usage(:'instance', 6, ARRAY[:'public_key'], ARRAY[$1], '{NULL}', '{1}', ARRAY[$2], '{NULL}', '{NULL}', '{NULL}', ARRAY[$3], '{1}', '{0}', array_fill(:'acme'::uuid, '{1}'));
EXECUTE merge_one (NULL, now() + interval '8 days', '2001-01-01');
EXECUTE merge_one (NULL, 'infinity', '2001-01-01');
EXECUTE merge_one (NULL, NULL, '2001-01-01');
EXECUTE merge_one (NULL, '-infinity', '2001-01-01');
EXECUTE merge_one (NULL, now(), date_trunc('hour', now()) + interval '8 days');
EXECUTE merge_one (NULL, now(), '294000-01-01');
EXECUTE merge_one ('ok', now(), '2001-01-01');
EXECUTE merge_one ('', now(), '2001-01-01');
EXECUTE merge_one ('wrong_secret ', now(), '2001-01-01');
SELECT apikeys.merge_usage(:'instance', 6, ARRAY[:'public_key'], '{NULL}', '{NULL}', '{1}', '{now}', '{NULL}', '{1}', '{NULL}', '{infinity}', '{1}', '{1}', array_fill(:'acme'::uuid, '{1}'));

-- An entry that is removed from a list and added again starts at zero, whether
-- its uses were written or not, and its uses stay with the key.
CREATE TEMPORARY VIEW entries AS
SELECT e.network, e.use_count, e.last_used_at IS NOT NULL AS used, e.last_used_address
FROM apikeys.access_list_entries AS e JOIN apikeys.key AS k USING (public_key) WHERE k.description = 'Key' ORDER BY 1;
SELECT use_count AS count_before FROM apikeys.usage WHERE public_key = :'public_key' \gset
EXECUTE use ('192.0.2.20');
SELECT apikeys.flush_usage();
EXECUTE use ('192.0.2.21');
EXECUTE use ('203.0.113.1');
SELECT * FROM entries;
BEGIN;
SELECT apikeys.remove_from_access_list(:'public_key', '192.0.2.0/24');
SELECT apikeys.add_to_access_list(:'public_key', '192.0.2.0/24');
SELECT * FROM entries;
ROLLBACK;
-- A rollback of the change loses only the networks of uses not written yet.
SELECT network, use_count > 0 FROM entries;
SELECT apikeys.remove_from_access_list(:'public_key', '192.0.2.0/24');
SELECT apikeys.add_to_access_list(:'public_key', '192.0.2.0/24');
SELECT * FROM entries;
EXECUTE use ('192.0.2.22');
SELECT * FROM entries;
SELECT use_count - :count_before, last_used_address FROM apikeys.usage WHERE public_key = :'public_key';
SELECT apikeys.flush_usage();
SELECT * FROM entries;
SELECT use_count - :count_before, last_used_address FROM apikeys.usage WHERE public_key = :'public_key';
SELECT count(*) FROM apikeys.key_usage WHERE secret_version < 0;

-- Each secret and each role has a counter of its own; the tables have a row for
-- each secret, and one for each role, and what was of a secret that is no more
-- stays the key's.
SELECT apikeys.flush_usage();
SELECT use_count AS count_before FROM apikeys.usage WHERE public_key = :'public_key' \gset
CREATE TEMPORARY VIEW counters AS
SELECT p.version, p.grant_id = apikeys_internal.grant_id('ORG_READ_ONLY', NULL) AS by_organization_role,
	p.grant_id = apikeys_internal.grant_id('GROUP_BACKUP_ADMIN', r.project_id) AS by_project_role, p.reason, sum(p.count) AS count
FROM apikeys.key_role AS r, apikeys_internal.pending_usage(r.public_key, r.organization_id) AS p WHERE r.role = 'GROUP_BACKUP_ADMIN'
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2;
SELECT FROM apikeys.set_project_roles(:'public_key', :'alpha', '{GROUP_BACKUP_ADMIN}');
SELECT apikeys.rotate_secret(:'public_key', '1 hour') AS second_secret \gset
SELECT count(*) FILTER (WHERE apikeys.authorize(:'public_key', secret, '192.0.2.7', 'clusters.read', project))
FROM unnest(ARRAY[:'private_key', :'second_secret', :'second_secret'], ARRAY[NULL, NULL, :'alpha'::uuid]) AS u (secret, project), generate_series(1, 10);
SELECT * FROM counters;
SELECT use_count - :count_before FROM apikeys.usage WHERE public_key = :'public_key';
SELECT apikeys.flush_usage();
SELECT use_count - :count_before, pending_entries FROM apikeys.usage WHERE public_key = :'public_key';
CREATE TEMPORARY VIEW by_secret AS
SELECT u.secret_version, sum(u.use_count) AS count, max(u.last_used_at) = max(max(u.last_used_at)) OVER () AS is_last
FROM apikeys.key_usage AS u JOIN apikeys.key AS k USING (public_key) WHERE k.description = 'Key' GROUP BY 1 ORDER BY 1;
SELECT * FROM by_secret;
SELECT role, last_used_at IS NOT NULL FROM apikeys.key_role_usage WHERE public_key = :'public_key' ORDER BY 1;
BEGIN;
SELECT apikeys.rotate_secret(:'public_key', '1 hour') IS NOT NULL;
SELECT apikeys.flush_usage();
ROLLBACK;
SELECT apikeys.flush_usage();
SELECT * FROM by_secret;
SELECT apikeys.rotate_secret(:'public_key', '1 hour') IS NOT NULL;
SELECT apikeys.flush_usage();
SELECT * FROM by_secret;
SELECT apikeys.rotate_secret(:'public_key') AS private_key \gset
SELECT apikeys.rotate_secret(:'public_key') AS private_key \gset
SELECT apikeys.flush_usage();
SELECT * FROM by_secret;
SELECT use_count - :count_before, last_used_address FROM apikeys.usage WHERE public_key = :'public_key';
SELECT network, use_count FROM apikeys.access_list_entries WHERE public_key = :'public_key' ORDER BY network;

-- What a role allows to a bound key counts for the role, but is no use.
DELETE FROM apikeys.key_role_usage;
SELECT use_count AS count_before FROM apikeys.usage WHERE public_key = :'public_key' \gset
BEGIN;
SELECT apikeys.authenticate(:'public_key', :'private_key', '192.0.2.7') = :'public_key';
SELECT version IS NOT NULL, grant_id, count FROM apikeys_internal.pending_usage(:'public_key', :'acme');
SELECT count(*) FILTER (WHERE apikeys.permits('backups.create', :'alpha')), count(*) FILTER (WHERE apikeys.permits('clusters.write')) FROM generate_series(1, 10);
SELECT grant_id = apikeys_internal.grant_id('GROUP_BACKUP_ADMIN', :'alpha'), count FROM apikeys_internal.pending_usage(:'public_key', :'acme') ORDER BY 1;
SELECT count(*) FILTER (WHERE apikeys.permits('clusters.read')) FROM generate_series(1, 10);
COMMIT;
SELECT use_count - :count_before FROM apikeys.usage WHERE public_key = :'public_key';
SELECT apikeys.flush_usage();
SELECT use_count - :count_before, pending_entries FROM apikeys.usage WHERE public_key = :'public_key';
SELECT role FROM apikeys.key_role_usage WHERE public_key = :'public_key' ORDER BY 1;
-- To manage keys is to use a role too.
DELETE FROM apikeys.key_role_usage;
BEGIN;
SELECT apikeys.authenticate(:'public_key', :'private_key', '192.0.2.7') = :'public_key';
SELECT apikeys_internal.may('apikeys.keys.read', :'acme');
COMMIT;
SELECT apikeys.flush_usage();
SELECT role FROM apikeys.key_role_usage WHERE public_key = :'public_key' ORDER BY 1;
-- Written again only after an hour.
DEALLOCATE use;
PREPARE use (inet) AS SELECT apikeys.authorize(:'public_key', :'private_key', $1, 'clusters.read');
UPDATE apikeys.key_role_usage SET last_used_at = now() - interval '59 minutes';
EXECUTE use ('192.0.2.7');
SELECT apikeys.flush_usage();
SELECT role, last_used_at > now() - interval '10 minutes' FROM apikeys.key_role_usage WHERE public_key = :'public_key';
UPDATE apikeys.key_role_usage SET last_used_at = now() - interval '61 minutes';
EXECUTE use ('192.0.2.7');
SELECT apikeys.flush_usage();
SELECT role, last_used_at > now() - interval '10 minutes' FROM apikeys.key_role_usage WHERE public_key = :'public_key';

-- Of a key with many roles each row is read once in a batch, and none of its roles
-- where the record is not due.
SELECT public_key AS many_key FROM apikeys.create_key(:'acme', 'Many', '{ORG_READ_ONLY}') \gset
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, permission)
SELECT :'many_key', :'acme', p.id, 'area' || n || '.read' FROM generate_series(1, 1500) AS n, (VALUES (NULL), (:'alpha'::uuid)) AS p (id);
PREPARE merge_roles (bigint, timestamptz) AS
SELECT apikeys.merge_usage(:'instance', $1, array_fill(:'many_key'::text, n), array_fill(NULL::text, n), array_fill(NULL::cidr, n),
	array_fill(0::bigint, n), array_fill($2, n), array_fill(NULL::inet, n), array_fill(0, n),
	(SELECT array_agg(apikeys_internal.grant_id('=area' || i || '.read', :'alpha')) FROM generate_series(1, 1000) AS i),
	array_fill(NULL::timestamptz, n), array_fill(1::bigint, n), array_fill(0::bigint, n), array_fill(:'acme'::uuid, n)) FROM (VALUES ('{1000}'::integer[])) AS l (n);
CREATE TEMPORARY VIEW rows_read AS
SELECT (SELECT sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) FROM pg_index AS i WHERE i.indrelid = c.oid)
	+ pg_stat_get_xact_tuples_returned(c.oid) AS count FROM pg_class AS c WHERE c.oid = 'apikeys.key_role'::regclass;
BEGIN;
SELECT count AS before FROM rows_read \gset
EXECUTE merge_roles (1000, '2001-01-01 00:00');
SELECT count - :before BETWEEN 1 AND 3001 FROM rows_read;
SELECT count AS before FROM rows_read \gset
EXECUTE merge_roles (1001, '2001-01-01 00:59');
SELECT count - :before FROM rows_read;
EXECUTE merge_roles (1002, '2001-01-01 01:01');
SELECT count - :before BETWEEN 1 AND 3001 FROM rows_read;
COMMIT;
SELECT last_used_at, count(*), count(DISTINCT role), count(project_id) FROM apikeys.key_role_usage WHERE public_key = :'many_key' GROUP BY 1;

-- A key that is used in the transaction that makes it is not forgotten.
BEGIN;
SELECT public_key AS new_key, private_key AS new_secret FROM apikeys.create_key(:'acme', 'New key', '{ORG_READ_ONLY}') \gset
SELECT apikeys.authorize(:'new_key', :'new_secret', '192.0.2.1', 'clusters.read');
SELECT apikeys.flush_usage();
COMMIT;
SELECT use_count, pending_entries FROM apikeys.usage WHERE public_key = :'new_key';
SELECT apikeys.flush_usage();
SELECT use_count, pending_entries FROM apikeys.usage WHERE public_key = :'new_key';

-- What was counted of a key that is rolled back is not another organization's key of
-- that name: neither what the worker has in hand nor what is pending.
SELECT apikeys.create_organization('Globex', 'user:2') AS globex \gset
BEGIN;
SELECT apikeys.import_key(:'acme', 'regress_again', ('sha256$$' || encode(sha256('one'), 'hex'))::apikeys.secret_hash, 'One', '{ORG_READ_ONLY}');
SELECT apikeys.authorize('regress_again', 'one', '192.0.2.1', 'clusters.read'), apikeys.authorize('regress_again', 'two', '192.0.2.1', 'clusters.read');
SELECT apikeys.flush_usage();
SELECT apikeys.authorize('regress_again', 'one', '192.0.2.1', 'clusters.read');
SELECT use_count, denial_count FROM apikeys.usage WHERE public_key = 'regress_again';
ROLLBACK;
SELECT apikeys.import_key(:'globex', 'regress_again', ('sha256$$' || encode(sha256('one'), 'hex'))::apikeys.secret_hash, 'One', '{ORG_READ_ONLY}');
SELECT use_count, denial_count, last_used_at IS NULL AS unused FROM apikeys.usage WHERE public_key = 'regress_again';
SELECT apikeys.flush_usage();
SELECT use_count, denial_count, last_used_at IS NULL AS unused FROM apikeys.usage WHERE public_key = 'regress_again';
SELECT role, last_used_at FROM apikeys.key_role_usage WHERE public_key = 'regress_again';
SELECT apikeys.authorize('regress_again', 'one', '192.0.2.1', 'clusters.read');
SELECT apikeys.flush_usage();
SELECT use_count, denial_count, last_used_at IS NULL AS unused FROM apikeys.usage WHERE public_key = 'regress_again';
-- A standby's counts name the organization as well.
SELECT apikeys.merge_usage(:'instance', 90, '{regress_again,regress_again}', '{NULL,NULL}', '{NULL,NULL}', '{5,7}', '{2001-01-01,2001-01-01}', '{NULL,NULL}', '{1,1}',
	ARRAY[apikeys_internal.grant_id('ORG_READ_ONLY', NULL), NULL], '{2001-01-01,2001-01-01}', '{5,7}', '{5,7}', ARRAY[:'acme', NULL]::uuid[]);
SELECT use_count FROM apikeys.usage WHERE public_key = 'regress_again';
SELECT apikeys.delete_key('regress_again'), apikeys.delete_organization(:'globex');

-- Recorded uses are deleted with the key, after the commit.
EXECUTE use ('192.0.2.9');
BEGIN;
SELECT apikeys.delete_key(:'public_key');
SELECT apikeys.flush_usage();
ROLLBACK;
SELECT apikeys.flush_usage();
SELECT use_count > 0, denial_count > 0 FROM apikeys.usage WHERE public_key = :'public_key';
EXECUTE use ('192.0.2.9');
SELECT apikeys.delete_key(:'public_key');
SELECT apikeys.flush_usage();
SELECT count(*) FROM apikeys.key_usage WHERE public_key = :'public_key';
SELECT count(*) FROM apikeys.key_denial WHERE public_key = :'public_key';
SELECT count(*) FROM apikeys.key_role_usage WHERE public_key = :'public_key';
SELECT apikeys.flush_usage();
SELECT pending_entries - :others FROM apikeys.status();

DEALLOCATE ALL;
DELETE FROM apikeys.key;
DELETE FROM apikeys.organization;
DELETE FROM apikeys.deleted_key;
DELETE FROM apikeys.usage_flush;
SELECT apikeys.flush_usage();
SELECT count(*) FROM apikeys.key_usage;
DELETE FROM apikeys.key_history;
DELETE FROM apikeys.key_day;
DROP OWNED BY regress_apikeys_app;
DROP ROLE regress_apikeys_app;
DROP OWNED BY regress_apikeys_reader;
DROP ROLE regress_apikeys_reader;
DROP OWNED BY regress_apikeys_nobody;
DROP ROLE regress_apikeys_nobody;
