-- All that is to be seen of a key: view keys, its entries, the key itself, and the audit
-- in an order that can be copied.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\pset null NULL
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_apikeys_whole;
CREATE ROLE regress_apikeys_whole_project;
CREATE ROLE regress_apikeys_whole_app;
SELECT count(apikeys.grant_access(r, 'manage')) FROM unnest('{regress_apikeys_whole,regress_apikeys_whole_project}'::regrole[]) AS r;
SELECT apikeys.grant_access('regress_apikeys_whole_app', 'decide') \g /dev/null
SELECT apikeys.create_organization('regress_whole', 'role:regress_apikeys_whole') AS org \gset
SELECT apikeys.create_project(:'org', 'production') AS project \gset
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_whole_project', 'GROUP_OWNER', :'project');
SET ROLE regress_apikeys_whole;
SELECT public_key, api_key FROM apikeys.create_key(:'org', 'A key', '{ORG_READ_ONLY,ORG_MEMBER}', '{192.0.2.0/24,2001:db8::/32}', owner => 'customer 42', metadata => '{"plan": "pro"}') \gset
SELECT count(apikeys.set_project_roles(:'public_key', :'project', '{GROUP_READ_ONLY}'));

-- --- View keys ---------------------------------------------------------------
SELECT owner, metadata, organization_id = :'org' AS of_org, organization_roles, replace(replace(roles::text, :'org', 'ORG'), :'project', 'PROJECT') FROM apikeys.keys WHERE public_key = :'public_key';
SET ROLE regress_apikeys_whole_project;
-- Hidden is NULL.
SELECT owner, metadata, organization_id = :'org' AS of_org, organization, organization_roles, replace(replace(roles::text, :'org', 'ORG'), :'project', 'PROJECT') FROM apikeys.keys WHERE public_key = :'public_key';
RESET ROLE;
SELECT public_key AS none FROM apikeys.create_key(:'org', 'Without roles', '{ORG_READ_ONLY}') \gset
SELECT (apikeys.set_organization_roles(:'none', '{}')).roles;
SET ROLE regress_apikeys_whole;

-- --- As JSON -----------------------------------------------------------------
SELECT to_json(access_list), to_jsonb(access_list), access_list::json, access_list::jsonb, json_typeof(to_json(k) -> 'access_list'), json_typeof(to_json(k) -> 'roles'), json_typeof(to_json(k) -> 'metadata')
FROM apikeys.keys AS k WHERE public_key = :'public_key';
SELECT to_json('{}'::apikeys.access_list), to_json(NULL::apikeys.access_list), row_to_json(r) FROM (VALUES ('{10.0.0.0/8}'::apikeys.access_list)) AS r (list);
-- And back; whatever an array of strings is sent as.
SELECT '["10.0.0.0/8", "2001:db8::/32"]'::apikeys.access_list, '[]'::apikeys.access_list, ' [ "10.0.0.0/8" ] '::apikeys.access_list, to_json('{10.0.0.0/8,::1}'::apikeys.access_list)::text::apikeys.access_list,
	ARRAY['10.0.0.0/8', '192.0.2.1']::text[]::apikeys.access_list;
\set VERBOSITY terse
SELECT '["10.0.0.0\/8", "192.0.2.1\/32"]'::apikeys.access_list;
SELECT '["10.0.0.0\\/8"]'::apikeys.access_list;
SELECT '["10.0.0.0\/8'::apikeys.access_list;
SELECT '["10.0.0.0/8"'::apikeys.access_list;
SELECT '["10.0.0.0/8"}'::apikeys.access_list;
SELECT '["10.0.0.1/8"]'::apikeys.access_list;
SELECT '[null]'::apikeys.access_list;
SELECT '[["10.0.0.0/8"]]'::apikeys.access_list;
SELECT ARRAY['10.0.0.1/8']::text[]::apikeys.access_list;
SELECT ARRAY['10.0.0.0/8', NULL]::text[]::apikeys.access_list;
\set VERBOSITY default
SELECT access_list FROM apikeys.update_key(:'none', access_list => ARRAY['198.51.100.0/24']::text[]);
PREPARE create_with_array (uuid, text, text[], text[]) AS SELECT count(apikeys.create_key($1, $2, $3, $4));
EXECUTE create_with_array (:'org', 'By a driver', '{ORG_READ_ONLY}', '{192.0.2.1,192.0.2.2}');
SELECT access_list FROM apikeys.keys WHERE description = 'By a driver' AND organization_id = :'org';

-- --- Entries and their age ---------------------------------------------------
SELECT e.network, e.created_at = k.created_at AS as_the_key FROM apikeys.access_list_entries AS e JOIN apikeys.keys AS k USING (public_key) WHERE e.public_key = :'public_key' ORDER BY e.network;
SELECT apikeys.add_to_access_list(:'public_key', '198.51.100.0/24'::inet);
SELECT e.network, e.created_at = k.created_at AS as_the_key, e.created_at > k.created_at AS later FROM apikeys.access_list_entries AS e JOIN apikeys.keys AS k USING (public_key) WHERE e.public_key = :'public_key' ORDER BY e.network;
RESET ROLE;
SELECT apikeys.authorize_token(:'api_key', ip::inet, 'clusters.read') FROM unnest('{198.51.100.1,198.51.100.2,192.0.2.1}'::text[]) AS ip;
SELECT apikeys.flush_usage() IS NOT NULL;
SELECT network, use_count, last_used_at IS NOT NULL AS used, last_used_address FROM apikeys.access_list_entries WHERE public_key = :'public_key' ORDER BY network;
-- An entry that is removed and added again starts again; its uses stay the key's.
SELECT apikeys.remove_from_access_list(:'public_key', '198.51.100.0/24'::inet, '2001:db8::/32'::inet);
SELECT apikeys.add_to_access_list(:'public_key', '198.51.100.0/24'::inet);
SELECT network, use_count, last_used_at IS NOT NULL AS used, last_used_address FROM apikeys.access_list_entries WHERE public_key = :'public_key' ORDER BY network;
SELECT use_count, last_used_at IS NOT NULL AS used, host(last_used_address) FROM apikeys.usage WHERE public_key = :'public_key';
SELECT network FROM apikeys.unused_access_list_entries WHERE public_key = :'public_key';
-- By direct SQL too.
UPDATE apikeys.key SET access_list = '{192.0.2.0/24,203.0.113.7}' WHERE public_key = :'public_key';
SELECT e.network, e.use_count, e.created_at = k.created_at AS as_the_key FROM apikeys.access_list_entries AS e JOIN apikeys.key AS k USING (public_key) WHERE e.public_key = :'public_key' ORDER BY e.network;
SELECT network FROM apikeys.key_network WHERE public_key = :'public_key' ORDER BY network;
UPDATE apikeys.key SET description = 'Still a key', access_list = '{192.0.2.0/24,203.0.113.7/32}' WHERE public_key = :'public_key';
SELECT count(*) FROM apikeys.key_network WHERE public_key = :'public_key';

-- --- A key looks at itself ---------------------------------------------------
SET ROLE regress_apikeys_whole_app;
SELECT count(*) FROM apikeys.current_key_details();
BEGIN;
SELECT apikeys.authenticate_token(:'api_key', '192.0.2.7'::inet) = :'public_key';
SELECT public_key = :'public_key' AS same, description, organization_id = :'org' AS of_org, organization, owner, metadata, organization_roles, projects -> 0 ->> 'name' AS project, access_list, address, expires_at, secret_expires_at FROM apikeys.current_key_details();
COMMIT;
SELECT count(*) FROM apikeys.current_key_details();
RESET ROLE;
-- Without any role too; and its list, its usage and nothing of others, where views can be read.
SELECT count(apikeys.set_organization_roles(:'public_key', '{}')), count(apikeys.remove_from_project(:'public_key', :'project'));
GRANT regress_apikeys_whole_project TO regress_apikeys_whole_app;
BEGIN;
SET LOCAL ROLE regress_apikeys_whole_app;
SELECT apikeys.authenticate_token(:'api_key', '192.0.2.7'::inet) = :'public_key';
SELECT organization_roles, projects FROM apikeys.current_key_details();
SELECT count(*), bool_and(public_key = apikeys.current_key()) FROM apikeys.keys;
SELECT network, use_count FROM apikeys.access_list_entries ORDER BY network;
SELECT use_count FROM apikeys.usage;
ROLLBACK;

-- --- The audit, to be copied -------------------------------------------------
SET ROLE regress_apikeys_whole;
SELECT max(id) AS last FROM apikeys.audit_event \gset
SELECT count(apikeys.update_key(:'none', description => 'Description ' || n)) FROM generate_series(1, 5) AS n;
SELECT id > :last AS later, id > lag(id) OVER () AS in_order, detail -> 'new' ->> 'description' FROM apikeys.audit_events_after(:last);
SELECT detail -> 'new' ->> 'description' FROM apikeys.audit_events_after(:last, 2);
SELECT count(*) FROM apikeys.audit_events_after(:last, 0);
SELECT count(*) FROM apikeys.audit_events_after((SELECT max(id) FROM apikeys.audit_event));
SELECT count(*) = (SELECT count(*) FROM apikeys.audit_event) AS all_of_them FROM apikeys.audit_events_after(0, 1000000);
-- Not before they are committed.
BEGIN;
SELECT count(apikeys.update_key(:'none', description => 'In between'));
SELECT count(*) FROM apikeys.audit_events_after(:last);
ROLLBACK;
SELECT count(*) FROM apikeys.audit_events_after(:last);
\set VERBOSITY terse
SELECT count(*) FROM apikeys.audit_events_after(0, -1);
SELECT count(*) = (SELECT count(*) FROM apikeys.audit_event) FROM apikeys.audit_events_after(NULL, NULL);
SELECT count(*) = (SELECT count(*) FROM apikeys.audit_event) FROM apikeys.audit_events_after(-1, 1000000);
\set VERBOSITY default
-- Of others nothing.
SET ROLE regress_apikeys_whole_project;
SELECT count(*) FROM apikeys.audit_events_after(:last);
RESET ROLE;

SET client_min_messages = warning;
DELETE FROM apikeys.key WHERE organization_id = :'org';
SELECT apikeys.delete_organization(:'org');
DROP OWNED BY regress_apikeys_whole, regress_apikeys_whole_project, regress_apikeys_whole_app;
DROP ROLE regress_apikeys_whole, regress_apikeys_whole_project, regress_apikeys_whole_app;
