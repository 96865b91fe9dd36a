-- Limits as SQL sees them: what verbs answer and note, what each role sees, and
-- what a transaction makes of them.  Times are in t/065_limits.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
\pset null NULL

CREATE ROLE regress_apikeys_limits;
SELECT apikeys.grant_access('regress_apikeys_limits', 'manage', 'decide', 'impersonate') \g /dev/null
SELECT apikeys.create_organization('regress_limits', 'role:regress_apikeys_limits') AS org \gset
SELECT apikeys.create_organization('regress_limits other', 'user:other') AS other \gset
SELECT max(id) AS before FROM apikeys.audit_event \gset
SET ROLE regress_apikeys_limits;
SELECT apikeys.import_key(:'org', 'regress_limits_a', 'sha256$$984ca5162200734c592148f1820b71057f098573d138666b48663e4ee4a1d4e6', 'A key', '{ORG_OWNER}') \g /dev/null
RESET ROLE;
UPDATE apikeys.key_secret SET hash = ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash WHERE public_key = 'regress_limits_a';
SELECT apikeys.import_key(:'other', 'regress_limits_other', ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, 'A key', '{ORG_OWNER}') \g /dev/null
CREATE FUNCTION pg_temp.ask(scope text DEFAULT 'clusters.read', cost bigint DEFAULT 1, key text DEFAULT 'regress_limits_a') RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', d.reason, d.http_status, d.remaining, d.limit_name)
	FROM apikeys.decide(key, 'a secret', '192.0.2.1'::inet, scope, cost => cost) AS d;
$$;
SELECT pg_temp.ask();

-- Each verb tells whether it has changed anything.
SET ROLE regress_apikeys_limits;
SELECT apikeys.set_rate_limit('regress_limits_a', 5, '1000 h');
SELECT apikeys.set_rate_limit('regress_limits_a', 5, '1000 h');
SELECT apikeys.set_rate_limit('regress_limits_a', 5, '1000 h', burst => 4);
SELECT apikeys.set_rate_limit('regress_limits_a', 2, '40 days', scope => 'exports.*');
SELECT apikeys.set_quota('regress_limits_a', 100, 'month'), apikeys.set_quota('regress_limits_a', 100, 'month');
SELECT apikeys.set_quota('regress_limits_a', 10, 'ever');
SELECT apikeys.add_credits('regress_limits_a', 20);
SELECT apikeys.set_organization_rate_limit(:'org', 50, '1000 h'), apikeys.set_organization_rate_limit(:'org', 50, '1000 h');
SELECT apikeys.set_organization_rate_limit(:'org', 5, '1000 h', each_key => true);
SELECT apikeys.set_organization_quota(:'org', 1000, 'week'), apikeys.set_organization_quota(:'org', 1000, 'week');
SELECT apikeys.set_quota('regress_limits_a', NULL, 'day');
SELECT public_key, limit_name, requests, per, burst, amount, used, remaining, reset_after IS NULL AS never FROM apikeys.limits
ORDER BY public_key, limit_name COLLATE "C";
RESET ROLE;
SELECT action, detail FROM apikeys.audit_event WHERE id > :before AND action ~ 'limit|quota|credits' ORDER BY id;

-- Decisions, and looks.
SELECT pg_temp.ask('clusters.read'), pg_temp.ask('exports.start', 2), pg_temp.ask('exports.start'), pg_temp.ask('exports.start', 0),
	pg_temp.ask('clusters.read', 5), pg_temp.ask('clusters.read', 1), pg_temp.ask('clusters.read', 1);
SELECT apikeys.authorize('regress_limits_a', 'a secret', '192.0.2.1'::inet, 'clusters.read'),
	apikeys.authorize('regress_limits_a', 'a secret', '192.0.2.1'::inet, 'clusters.read', cost => 0);
\set SHOW_CONTEXT never
DO $$
DECLARE
	identifier text;
BEGIN
	PERFORM apikeys.require('regress_limits_a', 'a secret', '192.0.2.1'::inet, 'clusters.read');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	RAISE NOTICE USING MESSAGE = concat_ws(' ', SQLSTATE, identifier, SQLERRM);
END $$;
SELECT pg_temp.ask(cost => -1);
SELECT pg_temp.ask(cost => NULL);
-- To bind a key spends nothing, and is not denied.
BEGIN;
SELECT apikeys.authenticate('regress_limits_a', 'a secret', '192.0.2.1'::inet);
SELECT apikeys.permits('clusters.read');
COMMIT;
-- Who only looks leaves it as it is.
SELECT check_name, passed, detail FROM apikeys.explain_authorize('regress_limits_a', '192.0.2.1'::inet, 'exports.start')
WHERE check_name IN ('rate_limited', 'quota_exceeded');
SELECT limit_name, used, remaining FROM apikeys.limits WHERE public_key = 'regress_limits_a' ORDER BY limit_name COLLATE "C";
SELECT denials FROM apikeys.usage WHERE public_key = 'regress_limits_a';

-- Header fields.
SELECT apikeys.rate_limit_headers(d) FROM (VALUES
	((true, 'ok', 'k', NULL, NULL, NULL, 200, NULL, NULL, NULL, 5, '10.2 s', 'key', NULL)::apikeys.decision),
	((true, 'ok', 'k', NULL, NULL, NULL, 200, NULL, NULL, NULL, 5, NULL, 'credits', NULL)::apikeys.decision),
	((false, 'rate_limited', 'k', NULL, NULL, NULL, 429, '0.000001', NULL, NULL, 0, '10 s', 'files.*', NULL)::apikeys.decision),
	((false, 'quota_exceeded', 'k', NULL, NULL, NULL, 429, NULL, NULL, NULL, 0, '1 h', 'hour', NULL)::apikeys.decision),
	((true, 'ok', 'k', NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::apikeys.decision), (NULL)) AS v (d);

-- A reset is for the key alone, and a transaction that only reads may spend.
SELECT apikeys.reset_limits('regress_limits_a');
BEGIN READ ONLY;
SELECT pg_temp.ask();
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pg_temp.ask();
ROLLBACK;
SELECT pg_temp.ask();
SELECT limit_name, used, remaining FROM apikeys.limits WHERE organization_id = :'org' ORDER BY public_key, limit_name COLLATE "C";

-- Others see nothing of it.
SET ROLE regress_apikeys_limits;
BEGIN;
SELECT apikeys.act_as('user:other');
SELECT count(*) FROM apikeys.limits;
ROLLBACK;
SELECT apikeys.set_rate_limit('regress_limits_other', 1, '1 s');
SELECT apikeys.set_organization_quota(:'other', 1, 'day');
SELECT * FROM apikeys.key_limit;
SELECT * FROM apikeys.quota_usage;
RESET ROLE;

-- Direct SQL: rows that are no limits are refused, and the image follows.
\set VERBOSITY terse
INSERT INTO apikeys.key_limit (public_key, kind, requests, per, burst) VALUES ('regress_limits_other', 'rate', 1, '1 month', 1);
INSERT INTO apikeys.key_limit (public_key, kind, requests, per, burst, amount) VALUES ('regress_limits_other', 'rate', 1, '1 day', 1, 1);
INSERT INTO apikeys.key_limit (public_key, kind) VALUES ('regress_limits_other', 'day');
INSERT INTO apikeys.key_limit (public_key, kind, amount) VALUES ('regress_limits_other', 'day', -1);
INSERT INTO apikeys.key_limit (public_key, kind, amount) VALUES ('regress_limits_other', NULL, 1);
INSERT INTO apikeys.key_limit (public_key, kind, amount, scope) VALUES ('regress_limits_other', 'day', 1, 'a.*');
INSERT INTO apikeys.organization_limit (organization_id, kind, amount) VALUES (:'other', 'rate', 1);
INSERT INTO apikeys.organization_limit (organization_id, kind, requests, per, burst) VALUES (:'other', 'fortnight', 1, '1 day', 1);
\set VERBOSITY default
INSERT INTO apikeys.key_limit (public_key, kind, amount) VALUES ('regress_limits_other', 'day', 1);
SELECT pg_temp.ask(key => 'regress_limits_other'), pg_temp.ask(key => 'regress_limits_other');
UPDATE apikeys.key_limit SET amount = 3 WHERE public_key = 'regress_limits_other';
INSERT INTO apikeys.organization_limit (organization_id, kind, requests, per, burst) VALUES (:'other', 'each_key', 1, '1000 h', 1);
SELECT pg_temp.ask(key => 'regress_limits_other'), pg_temp.ask(key => 'regress_limits_other');
DELETE FROM apikeys.organization_limit WHERE organization_id = :'other';
SELECT pg_temp.ask(key => 'regress_limits_other'), pg_temp.ask(key => 'regress_limits_other');
DELETE FROM apikeys.key_limit WHERE public_key = 'regress_limits_other';
SELECT pg_temp.ask(key => 'regress_limits_other');
SELECT action, public_key, organization_id IS NOT NULL AS of_organization FROM apikeys.audit_event
WHERE action LIKE 'direct.%limit.%' AND id > :before ORDER BY id;
SELECT public_key, limits FROM apikeys.key_image_source EXCEPT SELECT public_key, limits FROM apikeys.key_image;

-- What is damaged is an error, never an answer.
DO $$
DECLARE
	identifier text;
BEGIN
	ALTER TABLE apikeys.organization_limit ALTER image DROP EXPRESSION;
	INSERT INTO apikeys.organization_limit (organization_id, kind, amount, image)
		SELECT organization_id, 'day', 1, '\x7100' FROM apikeys.key WHERE public_key = 'regress_limits_other';
	PERFORM apikeys.decide('regress_limits_other', 'a secret', '192.0.2.1'::inet, 'clusters.read');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	RAISE NOTICE USING MESSAGE = concat_ws(' ', SQLSTATE, identifier, SQLERRM);
END $$;
SELECT pg_temp.ask(key => 'regress_limits_other');

-- More limits than most keys have: each counts, and the narrowest denies.
BEGIN;
SELECT apikeys.set_rate_limit('regress_limits_other', 90, '1000 h'), apikeys.set_rate_limit('regress_limits_other', 80, '1000 h', scope => 'exports.*'),
	apikeys.set_rate_limit('regress_limits_other', 70, '1000 h', scope => 'clusters.*'),
	apikeys.set_quota('regress_limits_other', 60, 'day'), apikeys.set_quota('regress_limits_other', 50, 'week'),
	apikeys.set_quota('regress_limits_other', 40, 'month'), apikeys.set_quota('regress_limits_other', 30, 'ever') \g /dev/null
SELECT limit_name FROM apikeys.limits WHERE public_key = 'regress_limits_other' ORDER BY remaining;
SELECT pg_temp.ask('clusters.read', 31, key => 'regress_limits_other');
SELECT apikeys.set_quota('regress_limits_other', NULL, 'ever'), apikeys.set_quota('regress_limits_other', NULL, 'month') \g /dev/null
SELECT pg_temp.ask('clusters.read', 51, key => 'regress_limits_other');
ROLLBACK;

-- What is written and what is not are together more than a count can be.
SELECT apikeys.set_quota('regress_limits_other', 9223372036854775807, 'ever') \g /dev/null
SELECT apikeys.decide('regress_limits_other', 'a secret', '192.0.2.1'::inet, 'clusters.read', cost => 1) \g /dev/null
SELECT apikeys.flush_usage() \g /dev/null
SELECT apikeys.decide('regress_limits_other', 'a secret', '192.0.2.1'::inet, 'clusters.read', cost => 5) \g /dev/null
UPDATE apikeys.quota_usage AS u SET used = 9223372036854775807 FROM apikeys.key AS k
	WHERE k.public_key = 'regress_limits_other' AND u.subject = k.limits_id AND u.period = 'ever';
SELECT pg_sleep(1.1) \g /dev/null
SELECT used FROM apikeys.limits WHERE public_key = 'regress_limits_other' AND limit_name = 'credits';
SELECT pg_temp.ask('clusters.read', 1, key => 'regress_limits_other');
SELECT apikeys.set_quota('regress_limits_other', NULL, 'ever') \g /dev/null

-- A batch of a standby is added once.
SELECT gen_random_uuid() AS instance, limits_id, date_trunc('day', now(), 'UTC') AS day FROM apikeys.key WHERE public_key = 'regress_limits_other' \gset
SELECT apikeys.merge_quota_usage(:'instance', 1, ARRAY[:'limits_id']::uuid[], '{day}', ARRAY[:'day'::timestamptz], '{5}');
SELECT apikeys.merge_quota_usage(:'instance', 1, ARRAY[:'limits_id']::uuid[], '{day}', ARRAY[:'day'::timestamptz], '{5}');
SELECT apikeys.merge_quota_usage(:'instance', 2, ARRAY[:'limits_id']::uuid[], '{day}', ARRAY[:'day'::timestamptz], '{9223372036854775807}');
SELECT used FROM apikeys.quota_usage WHERE subject = :'limits_id' AND starts_at = :'day';
SELECT apikeys.merge_quota_usage(:'instance', 3, ARRAY[:'limits_id']::uuid[], '{day}', ARRAY[:'day'::timestamptz], '{-1}');
SELECT apikeys.merge_quota_usage(:'instance', 3, ARRAY[:'limits_id']::uuid[], '{decade}', ARRAY[:'day'::timestamptz], '{1}');
SELECT apikeys.merge_quota_usage(:'instance', 3, '{NULL}', '{day}', ARRAY[:'day'::timestamptz], '{1}');
SELECT apikeys.merge_quota_usage(:'instance', 3, '{}', '{day}', ARRAY[:'day'::timestamptz], '{1}');
SELECT apikeys.merge_quota_usage(:'instance', 3, ARRAY[:'limits_id']::uuid[], '{day}', '{infinity}', '{1}');
SELECT apikeys.merge_quota_usage(:'instance', 3, ARRAY[:'limits_id']::uuid[], '{day}', ARRAY[now() + interval '8 days'], '{1}');
SELECT apikeys.merge_quota_usage(:'instance', 3, array_fill(:'org'::uuid, '{2}'), '{day,day}', array_fill(:'day'::timestamptz, '{2}'), '{1,9223372036854775807}');
SELECT used FROM apikeys.quota_usage WHERE subject = :'org' AND starts_at = :'day';
DELETE FROM apikeys.quota_usage WHERE subject = :'org' AND starts_at = :'day';

-- A server's own batches come from nobody else.
SELECT instance AS own FROM apikeys.usage_flush WHERE instance <> :'instance' ORDER BY flushed_at DESC LIMIT 1 \gset
SELECT apikeys.settle_usage(:'own', 4611686018427387904);
SELECT apikeys.merge_quota_usage(:'own', 4611686018427387904, '{}', '{}', '{}', '{}');
SELECT apikeys.merge_usage(:'own', 4611686018427387904, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');

DELETE FROM apikeys.key WHERE public_key LIKE 'regress\_limits\_%';
SELECT apikeys.flush_usage();
SELECT count(*) FROM apikeys.quota_usage WHERE subject = :'limits_id';
SELECT apikeys.delete_organization(:'org'), apikeys.delete_organization(:'other');
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress\_limits\_%';
DELETE FROM apikeys.usage_flush WHERE instance = :'instance';
DROP OWNED BY regress_apikeys_limits;
DROP ROLE regress_apikeys_limits;

-- Of what is written of quotas, periods that began long ago are deleted, whosever.
SELECT apikeys.create_organization('regress old periods') AS old_periods \gset
INSERT INTO apikeys.quota_usage (subject, period, starts_at, used) VALUES (gen_random_uuid(), 'month', '2001-01-01', 1), (:'old_periods', 'day', now() - interval '80 days', 1),
	(:'old_periods', 'month', now() - interval '60 days', 1), (:'old_periods', 'ever', '-infinity', 1);
SELECT apikeys.create_key(:'old_periods', 'a key', '{ORG_READ_ONLY}') AS new_key \gset
SELECT apikeys.delete_key((:'new_key'::apikeys.new_key).public_key);
SELECT apikeys.flush_usage();
SELECT period FROM apikeys.quota_usage WHERE subject = :'old_periods' OR starts_at = '2001-01-01' ORDER BY period;
SELECT apikeys.delete_organization(:'old_periods');

-- What a transaction that is rolled back has spent of limits that are new in it takes
-- no room afterwards, in a subtransaction or not.
SELECT apikeys.create_organization('regress rolled back') AS rolled_back \gset
SELECT api_key, public_key FROM apikeys.create_key(:'rolled_back', 'a key', '{ORG_READ_ONLY}') \gset
SELECT apikeys.set_organization_rate_limit(:'rolled_back', 1, '1000 days'), apikeys.set_rate_limit(:'public_key', 1, '1000 days'),
	apikeys.set_rate_limit(:'public_key', 1, '1000 days', scope => 'clusters.*');
CREATE FUNCTION pg_temp.spend(organization uuid, key text, api_key text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM apikeys.set_organization_rate_limit(organization, NULL), apikeys.set_organization_rate_limit(organization, 1, '1000 days'),
		apikeys.set_rate_limit(key, NULL, scope => 'clusters.*'), apikeys.set_rate_limit(key, 1, '1000 days', scope => 'clusters.*'),
		apikeys.reset_limits(key);
	RETURN (apikeys.decide_token(api_key, '192.0.2.1', 'clusters.read')).reason;
END;
$$;
CREATE FUNCTION pg_temp.spend_for_nothing(organization uuid, key text, api_key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	reason text;
BEGIN
	reason := pg_temp.spend(organization, key, api_key);
	RAISE EXCEPTION 'rolled back';
EXCEPTION WHEN raise_exception THEN
	RETURN reason;
END;
$$;
SELECT limit_entries AS entries FROM apikeys.status() \gset
SELECT pg_temp.spend_for_nothing(:'rolled_back', :'public_key', :'api_key') FROM generate_series(1, 3);
BEGIN;
SELECT pg_temp.spend(:'rolled_back', :'public_key', :'api_key');
SELECT limit_entries - :entries AS added FROM apikeys.status();
ROLLBACK;
SELECT limit_entries - :entries AS added FROM apikeys.status();
BEGIN;
SELECT pg_temp.spend(:'rolled_back', :'public_key', :'api_key');
COMMIT;
SELECT limit_entries - :entries AS added FROM apikeys.status();
SELECT apikeys.delete_key(:'public_key'), apikeys.delete_organization(:'rolled_back');
SELECT limit_entries - :entries AS added FROM apikeys.status();

-- Nor does what is spent by a key that is made and rolled back, also to a savepoint.
CREATE FUNCTION pg_temp.make(organization uuid) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
	made apikeys.new_key;
BEGIN
	made := apikeys.create_key(organization, 'a key', '{ORG_READ_ONLY}');
	PERFORM apikeys.set_quota(made.public_key, 9, 'ever');
	PERFORM apikeys.import_key(organization, 'regress_limits_made', ('sha256$$' || encode(sha256('a'), 'hex'))::apikeys.secret_hash, 'a key', '{ORG_READ_ONLY}');
	RETURN concat_ws(' ', (apikeys.decide_token(made.api_key, '192.0.2.1', 'clusters.read')).reason,
		(apikeys.decide('regress_limits_made', 'a', '192.0.2.1'::inet, 'clusters.read')).reason);
END;
$body$;
SELECT apikeys.create_organization('regress limits made') AS made \gset
SELECT apikeys.set_organization_rate_limit(:'made', 1, '1000 days', each_key => true);
BEGIN;
SAVEPOINT a;
SELECT pg_temp.make(:'made');
SELECT limit_entries - :entries AS added FROM apikeys.status();
ROLLBACK TO a;
SELECT limit_entries - :entries AS added FROM apikeys.status();
SELECT pg_temp.make(:'made');
ROLLBACK;
SELECT limit_entries - :entries AS added FROM apikeys.status();
SELECT apikeys.delete_organization(:'made');
