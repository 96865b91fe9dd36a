-- What an organization demands of its keys: the life of secrets, the number of keys.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\pset null NULL
\pset format unaligned
\pset tuples_only on
SET timezone = 'UTC';

CREATE ROLE regress_apikeys_limits;
SELECT apikeys.grant_access('regress_apikeys_limits', 'manage', 'decide') \g /dev/null
SELECT apikeys.create_organization('regress_limits', 'role:regress_apikeys_limits') AS org \gset
SELECT apikeys.create_role('regress_limits_self', 'organization', '{apikeys.self.rotate,things.read}', '{}', NULL);
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'org', 'role:regress_apikeys_limits', 'regress_limits_self');
SET ROLE regress_apikeys_limits;

CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	identifier text;
BEGIN
	EXECUTE statement INTO answer;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	RETURN concat_ws(' ', SQLSTATE, identifier);
END;
$$;
-- The live secrets of a key by their age: how long they live, in days.
CREATE FUNCTION pg_temp.lives(key text) RETURNS text LANGUAGE sql
	RETURN (SELECT string_agg(concat(s ->> 'version', ': ', coalesce(round(extract(epoch FROM (s ->> 'expires_at')::timestamptz - now()) / 86400)::text, 'as the key')), ', ' ORDER BY s ->> 'version')
		FROM apikeys.keys AS k, jsonb_array_elements(k.secrets) AS s WHERE k.public_key = key);

-- --- The life of secrets -----------------------------------------------------
SELECT public_key AS old, private_key AS old_secret FROM apikeys.create_key(:'org', 'Before the policy', '{regress_limits_self}') \gset
SELECT pg_temp.lives(:'old'), secret_expires_at FROM apikeys.keys WHERE public_key = :'old';
SELECT apikeys.set_organization_policy(:'org', max_secret_lifetime => '90 days'), apikeys.set_organization_policy(:'org', max_secret_lifetime => '90 days');
SELECT detail -> 'new' ->> 'max_secret_lifetime', detail -> 'old' ->> 'max_secret_lifetime' FROM apikeys.audit_event WHERE action = 'organization.policy_changed' AND organization_id = :'org';
SELECT public_key AS key, private_key AS secret FROM apikeys.create_key(:'org', 'A key', '{regress_limits_self}') \gset
SELECT public_key AS other FROM apikeys.create_key(:'org', 'Another key', '{ORG_READ_ONLY}') \gset
SELECT apikeys.import_key(:'org', 'regress_limits_imported', ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, 'Imported', '{ORG_READ_ONLY}');
-- What was issued before has the whole time from then on.
SELECT k.description, pg_temp.lives(k.public_key), k.expires_at, round(extract(epoch FROM k.secret_expires_at - now()) / 86400) FROM apikeys.keys AS k WHERE k.organization_id = :'org' ORDER BY k.description;
SELECT reason FROM apikeys.decide(:'key', :'secret', NULL::inet, 'things.read');
-- Shorter, but not longer; and not in the past.
SELECT apikeys.rotate_secret(:'key', '1 hour', now() + interval '10 days') AS new_secret \gset
SELECT pg_temp.lives(:'key');
SELECT detail -> 'new' ->> 'version', (detail -> 'new' ->> 'expires_at') IS NOT NULL FROM apikeys.audit_event WHERE public_key = :'key' AND action = 'key.secret_rotated';
SELECT what, pg_temp.try(format('SELECT apikeys.rotate_secret(%L, expires_at => %L)', :'other', life)) FROM (VALUES
	(1, 'never', 'infinity'), (2, 'too long', (now() + interval '91 days')::text), (3, 'shorter', (now() + interval '89 days')::text), (4, 'now', now()::text), (5, 'at no time', '-infinity'), (6, 'not said', NULL)) AS v (n, what, life) ORDER BY n;
SELECT pg_temp.lives(:'other');
-- A key that rotates its own is bound by the same.
BEGIN;
SELECT apikeys.authenticate(:'key', :'new_secret', NULL::inet) = :'key';
SELECT pg_temp.try(format('SELECT apikeys.rotate_secret(%L, expires_at => ''infinity'')', :'key')), pg_temp.try(format('SELECT apikeys.rotate_secret(%L)', :'key'));
SELECT pg_temp.lives(:'key');
ROLLBACK;

-- The key lives on when its secret has expired, which only who has it is told.
RESET ROLE;
UPDATE apikeys.key_secret SET expires_at = now() - interval '1 second' WHERE public_key = :'key' AND version = 2;
SET ROLE regress_apikeys_limits;
SELECT d.reason, d.http_status, w.reason FROM apikeys.decide(:'key', :'new_secret', NULL::inet, 'things.read') AS d, apikeys.decide(:'key', 'wrong', NULL::inet, 'things.read') AS w;
SELECT status, secret_expires_at > now() AS old_lives FROM apikeys.keys WHERE public_key = :'key';
RESET ROLE;
UPDATE apikeys.key_secret SET expires_at = now() - interval '1 second' WHERE public_key = :'key' AND version = 1;
SET ROLE regress_apikeys_limits;
-- A key without a live private key is expired: what is shown as active works.
SELECT status, secrets, secret_expires_at < now() AS over FROM apikeys.keys WHERE public_key = :'key';
SELECT check_name, passed, detail FROM apikeys.explain_authorize(:'key', NULL::inet, 'things.read') WHERE check_name = 'secret_expired';
SELECT apikeys.rotate_secret(:'key', '7 days') AS newest_secret \gset
SELECT o.reason, n.reason, pg_temp.lives(:'key') FROM apikeys.decide(:'key', :'new_secret', NULL::inet, 'things.read') AS o, apikeys.decide(:'key', :'newest_secret', NULL::inet, 'things.read') AS n;
-- However often it is rotated, few secrets are kept.
SELECT count(apikeys.rotate_secret(:'key')) FROM generate_series(1, 20);
SELECT count(*) FROM apikeys.key_secret WHERE public_key = :'key';

-- --- What expires soon -------------------------------------------------------
SELECT e.description, e.expires_at IS NOT NULL AS key, round(extract(epoch FROM e.secret_expires_at - now()) / 86400) AS secret FROM apikeys.expiring_keys('30 days') AS e WHERE e.public_key IN (:'key', :'other', :'old');
SELECT apikeys.rotate_secret(:'other', expires_at => now() + interval '5 days') IS NOT NULL;
SELECT (apikeys.update_key(:'old', expires_at => now() + interval '6 days')).description;
-- An old secret that ends while a new one lives is none.
SELECT apikeys.rotate_secret(:'key', overlap => '1 day') IS NOT NULL;
SELECT e.description, round(extract(epoch FROM e.expires_at - now()) / 86400) AS key, round(extract(epoch FROM e.secret_expires_at - now()) / 86400) AS secret FROM apikeys.expiring_keys('30 days') AS e WHERE e.public_key IN (:'key', :'other', :'old');
SELECT e.description FROM apikeys.expiring_keys('100 days') AS e WHERE e.public_key IN (:'key', :'other', :'old', 'regress_limits_imported');
SELECT e.description FROM apikeys.expiring_keys('1 day') AS e WHERE e.public_key IN (:'key', :'other', :'old');

-- A shorter policy shortens at once; none leaves what there is.
SELECT apikeys.set_organization_policy(:'org', max_secret_lifetime => '2 days');
SELECT k.description, pg_temp.lives(k.public_key) FROM apikeys.keys AS k WHERE k.organization_id = :'org' ORDER BY k.description;
SELECT apikeys.set_organization_policy(:'org');
SELECT k.description, pg_temp.lives(k.public_key) FROM apikeys.keys AS k WHERE k.organization_id = :'org' ORDER BY k.description;
SELECT apikeys.rotate_secret(:'other', expires_at => 'infinity') IS NOT NULL;
SELECT pg_temp.lives(:'other');
RESET ROLE;
SELECT count(*) FROM apikeys.key_image AS i JOIN apikeys.key_image_source AS s USING (public_key, secret_expirations, secret_versions) WHERE i.organization_id = :'org';
SET ROLE regress_apikeys_limits;
SELECT life, pg_temp.try(format('SELECT apikeys.set_organization_policy(%L, max_secret_lifetime => %L)', :'org', life)) FROM unnest('{0,-1 day,1000 years 1 day,1000 years}'::text[]) AS life;
-- No part is negative: a sum of a time and such an interval may not exist, though it is short.
SELECT name, pg_temp.try(format('SELECT apikeys.set_organization_policy(%L, %I => %L)', :'org', name, '12000000 mons -359999999 days'))
FROM unnest('{max_key_lifetime,max_secret_lifetime,max_rotation_overlap}'::text[]) AS name;
SELECT pg_temp.try(format('SELECT apikeys.set_organization_policy(%L, max_rotation_overlap => %L)', :'org', overlap)) FROM unnest('{1 day -1 hour,-1 mons 40 days,1 mon 1 day 1 hour}'::text[]) AS overlap;
SELECT apikeys.set_organization_policy(:'org');

-- --- The number of keys ------------------------------------------------------
SELECT count(*) FROM apikeys.keys WHERE organization_id = :'org';
SELECT apikeys.set_organization_policy(:'org', max_keys => 5), apikeys.set_organization_policy(:'org', max_keys => 5);
SELECT pg_temp.try(format('SELECT apikeys.create_key(%L, ''The fifth'', ''{ORG_READ_ONLY}'')', :'org')), pg_temp.try(format('SELECT apikeys.create_key(%L, ''The sixth'', ''{ORG_READ_ONLY}'')', :'org'));
SELECT pg_temp.try(format('SELECT apikeys.import_key(%L, ''regress_limits_sixth'', %L, ''Imported'', ''{ORG_READ_ONLY}'')', :'org', 'sha256$$' || repeat('0', 64)));
SELECT apikeys.delete_key('regress_limits_imported');
CREATE TEMPORARY TABLE two (public_key text, hash text, description text);
INSERT INTO two SELECT 'regress_limits_' || n, 'sha256$$' || repeat('0', 64), 'Imported' FROM generate_series(1, 2) AS n;
SELECT pg_temp.try(format('SELECT apikeys.import_keys(%L, ''two'')', :'org'));
DELETE FROM two WHERE public_key = 'regress_limits_2';
SELECT pg_temp.try(format('SELECT apikeys.import_keys(%L, ''two'')', :'org'));
-- Fewer than there are: those stay, and no other is made.
SELECT apikeys.set_organization_policy(:'org', max_keys => 0);
SELECT pg_temp.try(format('SELECT apikeys.create_key(%L, ''One more'', ''{ORG_READ_ONLY}'')', :'org')), pg_temp.try(format('SELECT apikeys.update_key(%L, ''Changed'')', :'key'));
SELECT pg_temp.try(format('SELECT apikeys.set_organization_policy(%L, max_keys => -1)', :'org'));
SELECT apikeys.set_organization_policy(:'org', max_keys => NULL);
SELECT pg_temp.try(format('SELECT apikeys.create_key(%L, ''One more'', ''{ORG_READ_ONLY}'')', :'org'));

-- --- The networks of the organization ----------------------------------------
SELECT public_key AS listed, api_key AS listed_api_key FROM apikeys.create_key(:'org', 'With a list', '{regress_limits_self}', '{192.0.2.0/24,198.51.100.0/24}') \gset
SELECT public_key AS open, api_key AS open_api_key FROM apikeys.create_key(:'org', 'Open', '{regress_limits_self,ORG_OWNER}') \gset
SELECT apikeys.set_organization_access_list(:'org', '{192.0.2.0/24,2001:db8::/32}'), apikeys.set_organization_access_list(:'org', '{2001:db8::/32,192.0.2.0/24}');
SELECT ip, l.reason, l.network, l.http_status, o.reason, o.network
FROM unnest('{192.0.2.1,198.51.100.1,203.0.113.1,2001:db8::1,::ffff:192.0.2.1,NULL}'::inet[]) AS ip
	CROSS JOIN LATERAL apikeys.decide_token(:'listed_api_key', ip, 'things.read') AS l
	CROSS JOIN LATERAL apikeys.decide_token(:'open_api_key', ip, 'things.read') AS o;
-- Before the key's own list, after all that is the key's alone; and not told without the secret.
SELECT reason FROM apikeys.decide(:'open', 'wrong', '203.0.113.1'::inet, 'things.read');
SELECT check_name, passed, detail FROM apikeys.explain_authorize(:'listed', '198.51.100.1'::inet, 'things.read') WHERE check_name ~ 'address|list';
SELECT check_name, passed, detail FROM apikeys.explain_authorize(:'listed', NULL::inet, 'things.read') WHERE check_name ~ 'address|list';
SELECT detail FROM apikeys.audit_event WHERE action = 'organization.access_list_changed' AND organization_id = :'org';
-- A key does not shut itself out.
BEGIN;
SELECT apikeys.authenticate_token(:'open_api_key', '192.0.2.1'::inet) = :'open';
SELECT pg_temp.try(format('SELECT apikeys.set_organization_access_list(%L, ''{203.0.113.0/24}'')', :'org')), pg_temp.try(format('SELECT apikeys.set_organization_access_list(%L, ''{192.0.2.1}'')', :'org'));
ROLLBACK;
SELECT pg_temp.try(format('SELECT apikeys.set_organization_access_list(%L, %L)', :'org', (SELECT array_agg('10.0.' || n / 256 || '.' || n % 256) FROM generate_series(1, n) AS n)::text[]::apikeys.access_list))
FROM unnest('{1000,1001}'::int[]) AS n;
SELECT pg_temp.try(format('SELECT apikeys.set_organization_access_list(%L, ''{10.0.0.1/8}'')', :'org')), pg_temp.try(format('SELECT apikeys.set_organization_access_list(%L, NULL)', :'org'));
SELECT apikeys.authorize_token(:'open_api_key', '10.0.3.232'::inet, 'things.read'), apikeys.authorize_token(:'open_api_key', '10.0.3.233'::inet, 'things.read');
SELECT apikeys.set_organization_access_list(:'org', '{}'), apikeys.set_organization_access_list(:'org', '{}');
SELECT apikeys.authorize_token(:'open_api_key', '203.0.113.1'::inet, 'things.read'), apikeys.authorize_token(:'listed_api_key', '203.0.113.1'::inet, 'things.read');
SELECT denials FROM apikeys.usage WHERE public_key = :'open';

-- --- Environments ------------------------------------------------------------
SELECT apikeys.create_project(:'org', 'staging') AS project \gset
SELECT apikeys.set_organization_environment(:'org', 'live'), apikeys.set_organization_environment(:'org', 'live'), apikeys.set_project_environment(:'project', 'test');
SELECT public_key AS live, private_key AS live_secret, api_key AS live_api_key FROM apikeys.create_key(:'org', 'Live', '{regress_limits_self}') \gset
SELECT public_key AS test, api_key AS test_api_key FROM apikeys.create_project_key(:'project', 'Test', '{GROUP_READ_ONLY}', owner => 'customer 1') \gset
SELECT :'live' ~ '^ak_live_pub_[0-9A-Za-z]{16}$', :'live_secret' ~ '^ak_live_sec_[0-9A-Za-z]{49}$', :'test_api_key' ~ '^ak_test_pub_[0-9A-Za-z]{16}\.ak_test_sec_[0-9A-Za-z]{49}$';
SELECT d.reason, d.environment, d.owner FROM unnest(ARRAY[:'live_api_key', :'test_api_key', :'open_api_key', :'live' || '.wrong']) AS k, apikeys.decide_token(k, NULL::inet, 'things.read') AS d;
SELECT description, environment FROM apikeys.keys WHERE organization_id = :'org' AND environment IS NOT NULL ORDER BY description;
-- An imported key is for it, too.
SELECT apikeys.import_key(:'org', 'regress_imported', ('sha256$$' || encode(sha256('one'), 'hex'))::apikeys.secret_hash, 'imported', '{}');
SELECT k.environment, d.environment FROM apikeys.keys AS k, apikeys.decide('regress_imported', 'one', NULL, 'things.read') AS d WHERE k.public_key = 'regress_imported';
SELECT detail -> 'new' ->> 'environment' FROM apikeys.audit_event WHERE action = 'key.imported' AND public_key = 'regress_imported';
SELECT apikeys.rotate_secret('regress_imported') ~ '^ak_live_sec_';
-- A key keeps its own.
SELECT apikeys.set_organization_environment(:'org'), apikeys.set_project_environment(:'project', NULL);
SELECT apikeys.rotate_secret(:'live') ~ '^ak_live_sec_';
SELECT environment FROM apikeys.keys WHERE public_key = :'live';
SELECT public_key ~ '^ak_pub_' FROM apikeys.create_project_key(:'project', 'Without', '{GROUP_READ_ONLY}');
SELECT environment, pg_temp.try(format('SELECT apikeys.set_organization_environment(%L, %L)', :'org', environment)), pg_temp.try(format('SELECT apikeys.set_project_environment(%L, %L)', :'project', environment))
FROM unnest(ARRAY['', 'Live', 'a-b', 'a_b', '1a', ' a', 'abcdefghi', 'abcdefgh', E'a\n']) AS environment;
SELECT action, detail FROM apikeys.audit_event WHERE action ~ 'environment_changed' AND organization_id = :'org' ORDER BY id LIMIT 3;
RESET ROLE;
SELECT apikeys.find_leaked(:'test_api_key') = split_part(:'test_api_key', '.', 2), apikeys.revoke_leaked(:'test_api_key');
-- Where the whole is too long, none is made.
SET apikeys.token_prefix = 'abcdefgh';
SELECT pg_temp.try(format('SELECT apikeys.create_key(%L, ''Too long'', ''{regress_limits_self}'')', :'org'));
RESET apikeys.token_prefix;

RESET ROLE;
SET client_min_messages = warning;
DELETE FROM apikeys.key WHERE organization_id = :'org';
SELECT apikeys.delete_organization(:'org');
SELECT apikeys.drop_role('regress_limits_self');
DROP OWNED BY regress_apikeys_limits;
DROP ROLE regress_apikeys_limits;
