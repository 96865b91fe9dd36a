-- Keys with more than fits beside the rest of a row: lists that are stored out
-- of line, of which a session caches parts, and roles in many projects.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

SELECT apikeys.create_organization('regress_large', 'user:regress_large') AS org \gset
-- Many networks in no order that compresses, all below 10.0.0.0/8.
CREATE FUNCTION pg_temp.networks(seed text, count int) RETURNS apikeys.access_list LANGUAGE sql AS $body$
	SELECT array_agg(DISTINCT set_masklen(('10.' || get_byte(h, 0) || '.' || get_byte(h, 1) || '.' || get_byte(h, 2))::inet, 32)::cidr)::apikeys.access_list
	FROM generate_series(1, count) AS i, sha256((seed || i)::bytea) AS h $body$;
CREATE FUNCTION pg_temp.make_key(name text, list apikeys.access_list) RETURNS void LANGUAGE sql AS $body$
	INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
		SELECT name, apikeys.organization('regress_large'), 'large', list;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT name, apikeys.organization('regress_large'), 'ORG_READ_ONLY';
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		VALUES (name, 1, ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, 'same') $body$;
SELECT pg_temp.make_key('regress_large_' || n, pg_temp.networks('seed ' || n, 2000)) FROM generate_series(1, 12) AS n \g /dev/null
-- More than a session remembers.
SELECT pg_temp.make_key('regress_largest', pg_temp.networks('largest', 40000)) \g /dev/null

-- All of them, in turn and twice, as the session can remember only some.
CREATE FUNCTION pg_temp.reason(key text, address inet) RETURNS text LANGUAGE sql AS
	$body$ SELECT reason FROM apikeys.decide(key, 'sesame', address, 'clusters.read') $body$;
CREATE FUNCTION pg_temp.ask() RETURNS TABLE (inside text, outside text, keys bigint) LANGUAGE sql AS $body$
	SELECT pg_temp.reason(public_key, (SELECT max(n) FROM apikeys.networks(access_list) AS n)),
		pg_temp.reason(public_key, '192.0.2.1'), count(*)
	FROM apikeys.key WHERE public_key ~ '^regress_large' GROUP BY 1, 2 $body$;
SELECT * FROM pg_temp.ask();
SELECT * FROM pg_temp.ask();

-- A change of something else does not store the list again, in either table.
CREATE FUNCTION pg_temp.stored(OUT bytes bigint) LANGUAGE sql AS $body$
	SELECT sum(pg_relation_size(c.reltoastrelid))::bigint FROM pg_class AS c WHERE c.oid IN ('apikeys.key'::regclass, 'apikeys.key_image'::regclass) $body$;
SELECT bytes AS before FROM pg_temp.stored() \gset
SELECT count(apikeys.disable_key('regress_largest')), count(apikeys.enable_key('regress_largest')) FROM generate_series(1, 3);
SELECT count(apikeys.update_key('regress_largest', 'large ' || n)) FROM generate_series(1, 3) AS n;
SELECT apikeys.set_rate_limit('regress_largest', 1000, '1 s'), apikeys.rotate_secret('regress_largest', '1 day') IS NOT NULL AS rotated;
SELECT bytes - :before AS more FROM pg_temp.stored();
SELECT apikeys.set_rate_limit('regress_largest', NULL), apikeys.revoke_secret('regress_largest', 2);
UPDATE apikeys.key_secret SET expires_at = NULL WHERE public_key = 'regress_largest' AND version = 1;
SELECT pg_temp.reason('regress_largest', (SELECT max(n) FROM apikeys.networks(access_list) AS n)) FROM apikeys.key WHERE public_key = 'regress_largest';

-- One that is remembered, changed: in the transaction, after it, and taken back.
SELECT pg_temp.reason('regress_large_1', '192.0.2.1');
BEGIN;
SELECT apikeys.cardinality(apikeys.add_to_access_list('regress_large_1', '192.0.2.1'));
SELECT pg_temp.reason('regress_large_1', '192.0.2.1');
ROLLBACK;
SELECT pg_temp.reason('regress_large_1', '192.0.2.1');
SELECT apikeys.cardinality(apikeys.add_to_access_list('regress_large_1', '192.0.2.1'));
SELECT pg_temp.reason('regress_large_1', '192.0.2.1');
SELECT apikeys.cardinality(apikeys.remove_from_access_list('regress_large_1', '192.0.2.1'));
SELECT pg_temp.reason('regress_large_1', '192.0.2.1');

-- Roles in many projects, two in some, asked of the decision and of the bound key.
INSERT INTO apikeys.project (organization_id, name) SELECT :'org', 'regress_large_' || n FROM generate_series(1, 60) AS n;
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
	SELECT 'regress_large_2', :'org', id, role
	FROM apikeys.project, unnest('{GROUP_BACKUP_ADMIN,GROUP_MONITORING_ADMIN}'::text[]) AS role
	WHERE organization_id = :'org' AND (right(name, 1) = '0' OR role = 'GROUP_BACKUP_ADMIN') AND name <> 'regress_large_7';
SELECT max(n) AS address FROM apikeys.key, apikeys.networks(access_list) AS n WHERE public_key = 'regress_large_2' \gset
BEGIN;
SELECT apikeys.authenticate('regress_large_2', 'sesame', :'address');
SELECT scope, count(*) FILTER (WHERE apikeys.permits(scope, id)) AS bound,
	count(*) FILTER (WHERE apikeys.authorize('regress_large_2', 'sesame', :'address', scope, id)) AS decided,
	string_agg(name, ' ') FILTER (WHERE NOT apikeys.permits(scope, id) AND scope = 'backups.create') AS not_in
FROM apikeys.project, unnest('{backups.create,monitoring.create,clusters.create}'::text[]) AS scope
WHERE organization_id = :'org' GROUP BY scope ORDER BY scope;
COMMIT;

-- A long list is changed in a time proportional to its length, and the event tells
-- of what was added and removed.
CREATE FUNCTION pg_temp.run_of(count int) RETURNS apikeys.access_list LANGUAGE sql AS $body$
	SELECT ('{' || string_agg('10.' || (i >> 16) || '.' || ((i >> 8) & 255) || '.' || (i & 255), ',') || '}')::apikeys.access_list
	FROM generate_series(1, count) AS i $body$;
SELECT public_key AS long FROM apikeys.create_key(:'org', 'long', '{ORG_READ_ONLY}', pg_temp.run_of(100000)) \gset
SET statement_timeout = '20s';
SELECT apikeys.cardinality(apikeys.add_to_access_list(:'long', '192.0.2.1', '10.0.0.0/16'));
SELECT apikeys.cardinality(apikeys.remove_from_access_list(:'long', '192.0.2.1', '10.0.0.7', '192.0.2.9'));
SELECT FROM apikeys.update_key(:'long', description => 'as long');
SELECT FROM apikeys.update_key(:'long', description => 'short', access_list => pg_temp.run_of(101));
SELECT FROM apikeys.update_key(:'long', access_list => pg_temp.run_of(100));
SELECT apikeys.cardinality(apikeys.remove_from_access_list(:'long', '10.0.0.7'));
RESET statement_timeout;
SELECT e.action, d.key AS side, d.value - '{created_at,created_by,environment,access_list_removed,access_list_added,access_list}'::text[] AS detail,
	jsonb_array_length(d.value -> 'access_list') AS whole,
	jsonb_array_length(coalesce(d.value -> 'access_list_removed', d.value -> 'access_list_added')) AS shown,
	coalesce(d.value -> 'access_list_removed', d.value -> 'access_list_added') -> 0 AS first
FROM apikeys.audit_event AS e, jsonb_each(e.detail) AS d
WHERE e.public_key = :'long' ORDER BY e.id, d.key DESC;
SELECT network FROM apikeys.key_network WHERE public_key = :'long';

-- A hash with a seed, as partitions by hash use it: equal lists, equal hashes.
SELECT apikeys_internal.access_list_hash_extended(list, 0) <> apikeys_internal.access_list_hash_extended(list, 1) AS seeded,
	apikeys_internal.access_list_hash_extended(list, 7) = apikeys_internal.access_list_hash_extended('{192.0.2.1,10.0.0.0/8}', 7) AS equal
FROM (SELECT '{10.0.0.0/8,192.0.2.1/32}'::apikeys.access_list AS list) AS l;

DELETE FROM apikeys.key WHERE organization_id = :'org';
SELECT apikeys.delete_organization(:'org') \g /dev/null
