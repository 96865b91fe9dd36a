-- What an application notes of keys, organizations and projects: owner and metadata.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\pset null NULL
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_apikeys_details;
SELECT apikeys.grant_access('regress_apikeys_details', 'manage', 'decide') \g /dev/null
SELECT apikeys.create_organization('regress_details', 'role:regress_apikeys_details') AS org \gset
SELECT apikeys.create_organization('regress_details_other', 'user:other') AS other \gset
SELECT public_key AS foreign_key FROM apikeys.create_key(:'other', 'Of others', '{ORG_READ_ONLY}', owner => 'customer 42', metadata => '{"plan": "pro"}') \gset
SET ROLE regress_apikeys_details;
SELECT apikeys.create_project(:'org', 'production') AS project \gset

CREATE FUNCTION pg_temp.try(statement text, quoted text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	identifier text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement INTO answer;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, identifier, CASE WHEN length(quoted) > 2 AND strpos(concat(SQLERRM, detail, hint), quoted) > 0 THEN 'QUOTED' END);
END;
$$;

-- --- Told by the decision ----------------------------------------------------
SELECT public_key, private_key, api_key FROM apikeys.create_key(:'org', 'A key', '{ORG_READ_ONLY}', '{192.0.2.0/24}',
	owner => 'customer 42', metadata => '{"plan": "pro", "seats": 7, "tags": ["a", null], "none": null}') \gset
SELECT public_key AS plain, private_key AS plain_secret FROM apikeys.create_key(:'org', 'Another', '{ORG_READ_ONLY}') \gset
SELECT public_key AS owned, private_key AS owned_secret FROM apikeys.create_project_key(:'project', 'Owned', '{GROUP_READ_ONLY}', owner => 'customer 43') \gset
SELECT reason, owner, metadata FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1'::inet, 'clusters.read');
SELECT reason, owner, metadata FROM apikeys.decide_token(:'api_key', '192.0.2.1'::inet, 'clusters.write');
SELECT reason, owner, metadata FROM apikeys.decide_token(:'api_key', '198.51.100.1'::inet, 'clusters.read');
SELECT reason, owner, metadata FROM apikeys.decide(:'plain', :'plain_secret', '192.0.2.1'::inet, 'clusters.read');
SELECT reason, owner, metadata FROM apikeys.decide(:'owned', :'owned_secret', '192.0.2.1'::inet, 'clusters.read', :'project');
-- Not before the secret is proved.
SELECT reason, owner, metadata FROM apikeys.decide(:'public_key', 'wrong', '192.0.2.1'::inet, 'clusters.read');
SELECT reason, owner, metadata FROM apikeys.decide('none', 'wrong', '192.0.2.1'::inet, 'clusters.read');
-- A large one, stored out of the row.
SELECT count(apikeys.update_key(:'public_key', metadata => jsonb_build_object('large', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 127) AS i))));
SELECT owner, md5(metadata ->> 'large') = md5((SELECT string_agg(md5(i::text), '') FROM generate_series(1, 127) AS i)) AS whole, octet_length(metadata::text)
FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1'::inet, 'clusters.read');

-- --- Changed -----------------------------------------------------------------
SELECT owner, metadata, description FROM apikeys.update_key(:'public_key', metadata => '{"plan": "free"}');
SELECT owner, metadata, description FROM apikeys.update_key(:'public_key', owner => 'customer 44');
SELECT owner, metadata, description FROM apikeys.update_key(:'public_key', 'Changed');
SELECT owner, metadata, description FROM apikeys.update_key(:'public_key', owner => '');
SELECT owner, metadata, description FROM apikeys.update_key(:'public_key', metadata => '{}');
SELECT reason, owner, metadata FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1'::inet, 'clusters.read');
SELECT owner, metadata, description FROM apikeys.update_key(:'public_key', owner => 'customer 42', metadata => '{"plan": "pro", "seats": 7}');
SELECT action, detail FROM apikeys.audit_event WHERE public_key = :'public_key' AND action = 'key.updated' ORDER BY id OFFSET 2;
SELECT detail -> 'new' -> 'owner', detail -> 'new' -> 'metadata' FROM apikeys.audit_event WHERE public_key IN (:'public_key', :'plain') AND action = 'key.created' ORDER BY id;
-- Nothing changed is no event.
SELECT count(*) AS before FROM apikeys.audit_event WHERE public_key = :'public_key' \gset
SELECT owner FROM apikeys.update_key(:'public_key', owner => 'customer 42', metadata => '{"seats": 7, "plan": "pro"}');
SELECT count(*) = :before FROM apikeys.audit_event WHERE public_key = :'public_key';

-- --- Found -------------------------------------------------------------------
SELECT count(*), bool_and(f IN (:'public_key')) FROM apikeys.find_keys(owner => 'customer 42') AS f;
SELECT count(*), bool_and(f IN (:'public_key')) FROM apikeys.find_keys(metadata => '{"plan": "pro"}') AS f;
SELECT count(*), bool_and(f IN (:'public_key')) FROM apikeys.find_keys(owner => 'customer 42', metadata => '{"plan": "pro", "seats": 7}', organization => :'org') AS f;
SELECT count(*) FROM apikeys.find_keys(owner => 'customer 43', metadata => '{"plan": "pro"}');
SELECT count(*) FROM apikeys.find_keys(metadata => '{"plan": "pro", "seats": 8}');
SELECT count(*) FROM apikeys.find_keys(organization => :'other', owner => 'customer 42');
SELECT count(*) FROM apikeys.disable_keys(owner => 'customer 42'), apikeys.delete_keys(metadata => '{"plan": "pro"}');
SELECT count(*) FROM apikeys.keys WHERE owner = 'customer 42';
-- What looks like another's is another: an owner is compared byte by byte.
SELECT count(*) FROM unnest(ARRAY['Customer 42', 'customer  42', ' customer 42', 'customer 42 ', U&'customer\00A042', U&'\0441ustomer 42', '%', 'customer 4_']) AS owner, apikeys.find_keys(owner => owner);
-- By an index, under row-level security too.
SET enable_seqscan = off;
CREATE FUNCTION pg_temp.indexes(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN (SELECT string_agg(DISTINCT m[1], ' ') FROM regexp_matches(plan::text, '"Index Name": "(key_owner_idx|key_metadata_idx)"', 'g') AS m);
END;
$$;
SELECT pg_temp.indexes('SELECT public_key FROM apikeys.keys WHERE owner = ''customer 42''');
SELECT pg_temp.indexes('SELECT public_key FROM apikeys.keys WHERE metadata OPERATOR(apikeys.@>) ''{"plan": "pro"}'' AND metadata <> ''{}''');
RESET enable_seqscan;

-- --- What cannot be ----------------------------------------------------------
SELECT what, pg_temp.try(format('SELECT apikeys.create_key(%L, ''A key'', ''{ORG_READ_ONLY}'', metadata => %L)', :'org', value), value) AS create_key,
	pg_temp.try(format('SELECT apikeys.update_key(%L, metadata => %L)', :'plain', value), value) AS update_key,
	pg_temp.try(format('SELECT apikeys.set_organization_metadata(%L, %L)', :'org', value), value) AS organization,
	pg_temp.try(format('SELECT apikeys.set_project_metadata(%L, %L)', :'project', value), value) AS project
FROM (VALUES (1, 'an array', '["a"]'), (2, 'a string', '"a string"'), (3, 'null', 'null'), (4, 'a number', '42'),
		(5, '4,096 bytes', jsonb_build_object('a', repeat('x', 4087))::text), (6, '4,097 bytes', jsonb_build_object('a', repeat('x', 4088))::text),
		(7, 'a megabyte', jsonb_build_object('a', repeat('x', 1048576))::text), (8, 'a megabyte of numbers', jsonb_build_object('a', array_to_json(array_fill(1, ARRAY[350000])))::text),
		(9, 'depth 32', repeat('{"a": ', 31) || '{}' || repeat('}', 31)), (10, 'depth 33', repeat('{"a": ', 32) || '{}' || repeat('}', 32)),
		(11, 'depth 1,000', '{"a": ' || repeat('[', 999) || repeat(']', 999) || '}'), (12, 'a private key', '{"a": "ak_sec_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1AXooe"}'),
		(13, 'a private key for a name', '{"ak_sec_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1AXooe": 1}'),
		(14, 'a zero', '{"a": "\u0000"}'), (15, 'no JSON', '{'), (16, 'the same name twice', '{"a": 1, "a": 2}')) AS v (n, what, value)
ORDER BY n;
SELECT what, pg_temp.try(format('SELECT apikeys.create_key(%L, ''A key'', ''{ORG_READ_ONLY}'', owner => %L)', :'org', value), value) AS create_key,
	pg_temp.try(format('SELECT apikeys.update_key(%L, owner => %L)', :'plain', value), value) AS update_key
FROM (VALUES (1, 'empty', ''), (2, 'a blank before', ' a'), (3, 'a blank after', 'a '), (4, 'two blanks', 'a  b'), (5, 'a zero width space', U&'a\200Bb'), (6, '250 characters', repeat('x', 250)),
		(7, '251 characters', repeat('x', 251)), (8, 'a line break', E'a\nb'), (9, 'a private key', 'ak_sec_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1AXooe'),
		(10, 'an identifier', 'acct_42:eu/7'), (11, 'a UUID', '3c4e5f60-1111-4222-8333-444444444444'), (12, 'beyond ASCII', 'Müller & Söhne')) AS v (n, what, value)
ORDER BY n;
SELECT pg_temp.try(format('SELECT apikeys.create_key(%L, ''A key'', ''{ORG_READ_ONLY}'', metadata => NULL, owner => NULL)', :'org'));
RESET ROLE;
\set VERBOSITY terse
UPDATE apikeys.key SET metadata = '[]' WHERE public_key = :'plain';
UPDATE apikeys.key SET owner = '' WHERE public_key = :'plain';

-- --- Organizations and projects ----------------------------------------------
SET ROLE regress_apikeys_details;
SELECT apikeys.set_organization_metadata(:'org', '{"tier": 1}'), apikeys.set_organization_metadata(:'org', '{"tier": 1}'),
	apikeys.set_project_metadata(:'project', '{"stage": "live"}'), apikeys.set_project_metadata(:'project', '{"stage": "live"}');
SELECT o.metadata, p.metadata FROM apikeys.organization AS o JOIN apikeys.project AS p ON p.organization_id = o.id;
SELECT action, detail FROM apikeys.audit_event WHERE action LIKE '%.metadata_changed' AND organization_id = :'org' ORDER BY id DESC LIMIT 2;
SELECT pg_temp.try(format('SELECT apikeys.set_organization_metadata(%L, ''{}'')', :'other')), pg_temp.try('SELECT apikeys.set_project_metadata(NULL, ''{}'')'),
	pg_temp.try(format('SELECT apikeys.set_organization_metadata(%L, NULL)', :'org'));
-- A policy tells of itself alone.
SELECT apikeys.set_organization_policy(:'org', max_rotation_overlap => '1 day');
SELECT detail -> 'new' ? 'metadata' FROM apikeys.audit_event WHERE action = 'organization.policy_changed' AND organization_id = :'org';
RESET ROLE;

-- The images are those that the tables tell of, also after direct SQL.
UPDATE apikeys.key SET owner = 'customer 45' WHERE public_key = :'plain';
SELECT owner, metadata FROM apikeys.decide(:'plain', :'plain_secret', '192.0.2.1'::inet, 'clusters.read');
SELECT count(*) > 3 FROM apikeys.key_image AS i JOIN apikeys.key_image_source AS s USING (public_key, details) WHERE i.organization_id = :'org' HAVING count(*) = (SELECT count(*) FROM apikeys.key WHERE organization_id = :'org');
-- A damaged one is an error and no answer.
UPDATE apikeys.key_image SET details = '[]' WHERE public_key = :'plain';
SELECT apikeys.authorize(:'plain', :'plain_secret', '192.0.2.1'::inet, 'clusters.read');
SELECT owner FROM apikeys.decide(:'plain', :'plain_secret', '192.0.2.1'::inet, 'clusters.read');
UPDATE apikeys.key_image SET details = '{"owner": 7}' WHERE public_key = :'plain';
SELECT owner, metadata FROM apikeys.decide(:'plain', :'plain_secret', '192.0.2.1'::inet, 'clusters.read');
UPDATE apikeys.key_image SET details = '{"owner": "customer 45"}' WHERE public_key = :'plain';
SELECT owner, metadata FROM apikeys.decide(:'plain', :'plain_secret', '192.0.2.1'::inet, 'clusters.read');
UPDATE apikeys.key_image SET details = '{"owner": null, "metadata": 7}' WHERE public_key = :'plain';
SELECT owner, metadata FROM apikeys.decide(:'plain', :'plain_secret', '192.0.2.1'::inet, 'clusters.read');

SET client_min_messages = warning;
DELETE FROM apikeys.key WHERE organization_id IN (:'org', :'other');
SELECT apikeys.delete_organization(id) FROM unnest(ARRAY[:'org', :'other']::uuid[]) AS id;
DROP OWNED BY regress_apikeys_details;
DROP ROLE regress_apikeys_details;
