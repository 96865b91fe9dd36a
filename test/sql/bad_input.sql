-- Bad input to each function: what it raises, that nothing is changed by it,
-- and that no secret given in a wrong place is ever quoted.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
LOAD 'apikeys';
\set SHOW_CONTEXT never
\pset null NULL
\pset format unaligned
\pset tuples_only on

-- Regress has the projects Alpha and Beta, and a key with the secret TopSecret;
-- Regress other has the project Gamma, and a key.
CREATE ROLE regress_apikeys_owner;
SELECT apikeys.grant_access('regress_apikeys_owner', 'manage') \g /dev/null
GRANT USAGE ON SCHEMA apikeys_internal TO regress_apikeys_owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apikeys_internal TO regress_apikeys_owner;
SELECT apikeys.grant_access('regress_apikeys_owner', 'decide', 'impersonate') \g /dev/null
GRANT EXECUTE ON FUNCTION apikeys.create_organization, apikeys.create_role TO regress_apikeys_owner;
INSERT INTO apikeys.organization (id, name) VALUES
	('bad00000-0000-4000-8000-000000000001', 'Regress'), ('bad00000-0000-4000-8000-000000000002', 'Regress other');
INSERT INTO apikeys.project (id, organization_id, name) VALUES
	('bad00000-0000-4000-8000-00000000000a', 'bad00000-0000-4000-8000-000000000001', 'Alpha'),
	('bad00000-0000-4000-8000-00000000000b', 'bad00000-0000-4000-8000-000000000001', 'Beta'),
	('bad00000-0000-4000-8000-00000000000c', 'bad00000-0000-4000-8000-000000000002', 'Gamma');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES
	('bad00000-0000-4000-8000-000000000001', 'role:regress_apikeys_owner', 'ORG_OWNER'),
	('bad00000-0000-4000-8000-000000000002', 'user:2', 'ORG_OWNER');
INSERT INTO apikeys.key (public_key, organization_id, description) VALUES
	('regress-key', 'bad00000-0000-4000-8000-000000000001', 'Key'),
	('regress-other-key', 'bad00000-0000-4000-8000-000000000002', 'Key');
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES
	('regress-key', 'bad00000-0000-4000-8000-000000000001', NULL, 'ORG_READ_ONLY'),
	('regress-key', 'bad00000-0000-4000-8000-000000000001', 'bad00000-0000-4000-8000-00000000000a', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	SELECT k, 1, ('sha256$$' || encode(sha256('TopSecret'), 'hex'))::apikeys.secret_hash, '' FROM unnest('{regress-key,regress-other-key}'::text[]) AS k;

-- A digest of all rows of all tables.
CREATE FUNCTION pg_temp.digest() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	relation regclass;
	digest text;
	digests text[] := '{}';
BEGIN
	FOR relation IN SELECT oid FROM pg_class WHERE relnamespace = 'apikeys'::regnamespace AND relkind = 'r' LOOP
		EXECUTE format('SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM %s AS t', relation) INTO digest;
		digests := digests || coalesce(digest, '');
	END LOOP;
	RETURN array_to_string(digests, ' ');
END;
$$;
SELECT pg_temp.digest() AS digest_before \gset

-- What a statement raises: SQLSTATE, message, detail and hint.
-- Whatever is done is undone.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	identifier text;
	outcome text;
BEGIN
	EXECUTE statement;
	RAISE SQLSTATE 'DONE0';
EXCEPTION WHEN SQLSTATE 'DONE0' THEN
	RETURN 'done';
WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, identifier = CONSTRAINT_NAME,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	outcome := concat_ws(E'\n', concat_ws(' ', SQLSTATE, nullif(identifier, '')) || ': ' || message,
		'DETAIL: ' || nullif(regexp_replace(detail, '\d{4}-\d\d-\d\d [\d:.+]+', 'TIME'), ''), 'HINT: ' || nullif(hint, ''));
	RETURN CASE WHEN length(outcome) > 500 THEN left(outcome, 500) || ' ... IT IS TOO LONG' ELSE outcome END;
END;
$$;
SET ROLE regress_apikeys_owner;

-- apikeys.create_key
SELECT pg_temp.attempt($_$SELECT apikeys.create_key(NULL, 'Key', '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', NULL, '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{ORG_MEMBER}', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000002', 'Key', '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-0000000000ff', 'Key', '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', '', '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', ' Key', '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', repeat('x', 251), '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', repeat('x', 1048576), '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{NO_SUCH_ROLE}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{ORG_MEMBER,ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{ORG_MEMBER,NULL}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{{ORG_MEMBER},{ORG_MEMBER}}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', ARRAY[repeat('x', 1048576)])$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', ARRAY[''])$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{ORG_MEMBER}', '{10.1.2.3/8}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{ORG_MEMBER}', '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{ORG_MEMBER}', '{{TopSecret}}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_key('bad00000-0000-4000-8000-000000000001', 'Key', '{ORG_MEMBER}', expires_at => 'no time')$_$);
-- apikeys.create_project_key
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key(NULL, 'Key', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', NULL, '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{GROUP_READ_ONLY}', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000c', 'Key', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-0000000000ff', 'Key', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', '', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', ' Key', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', repeat('x', 251), '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', repeat('x', 1048576), '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{NO_SUCH_ROLE}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{GROUP_READ_ONLY,GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{GROUP_READ_ONLY,NULL}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{{GROUP_READ_ONLY},{GROUP_READ_ONLY}}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', ARRAY[repeat('x', 1048576)])$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', ARRAY[''])$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{GROUP_READ_ONLY}', '{10.1.2.3/8}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{GROUP_READ_ONLY}', '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{GROUP_READ_ONLY}', '{{TopSecret}}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project_key('bad00000-0000-4000-8000-00000000000a', 'Key', '{GROUP_READ_ONLY}', expires_at => 'no time')$_$);
-- apikeys.update_key
SELECT pg_temp.attempt($_$SELECT apikeys.update_key(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key(NULL, 'Key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('TopSecret', 'Key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('', 'Key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key(repeat('x', 1048576), 'Key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('regress-other-key', 'Key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('regress-key', '')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('regress-key', 'Key ')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('regress-key', E'a\nb')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('regress-key', repeat('x', 251))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('regress-key', repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('regress-key', access_list => '{10.1.2.3/8}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('regress-key', access_list => '{10.0.0.0/8,TopSecret}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.update_key('regress-key', access_list => ('{' || repeat('x', 1048576) || '}')::apikeys.access_list)$_$);
-- apikeys.set_organization_roles
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles(NULL, '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles('regress-key', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles('TopSecret', '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles('regress-other-key', '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles('regress-key', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles('regress-key', '{NO_SUCH_ROLE}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles('regress-key', '{ORG_MEMBER,ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles('regress-key', '{ORG_MEMBER,NULL}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles('regress-key', ARRAY[repeat('x', 1048576)])$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_roles(repeat('x', 1048576), '{}')$_$);
-- apikeys.set_project_roles
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles(NULL, 'bad00000-0000-4000-8000-00000000000a', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('regress-key', NULL, '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('regress-key', 'bad00000-0000-4000-8000-00000000000a', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('regress-key', 'bad00000-0000-4000-8000-00000000000a', '{}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('TopSecret', 'bad00000-0000-4000-8000-00000000000a', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('regress-other-key', 'bad00000-0000-4000-8000-00000000000a', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('regress-key', 'bad00000-0000-4000-8000-00000000000c', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('regress-key', 'bad00000-0000-4000-8000-0000000000ff', '{GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('regress-key', 'bad00000-0000-4000-8000-00000000000a', '{ORG_MEMBER}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('regress-key', 'bad00000-0000-4000-8000-00000000000a', '{GROUP_READ_ONLY,GROUP_READ_ONLY}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles('regress-key', 'bad00000-0000-4000-8000-00000000000a', '{NULL}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_project_roles(repeat('x', 1048576), 'bad00000-0000-4000-8000-00000000000a', '{GROUP_READ_ONLY}')$_$);
-- apikeys.remove_from_project
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_project(NULL, 'bad00000-0000-4000-8000-00000000000a')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_project('regress-key', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_project('TopSecret', 'bad00000-0000-4000-8000-00000000000a')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_project('regress-other-key', 'bad00000-0000-4000-8000-00000000000a')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_project('regress-key', 'bad00000-0000-4000-8000-00000000000c')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_project('regress-key', 'bad00000-0000-4000-8000-0000000000ff')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_project('regress-key', 'bad00000-0000-4000-8000-00000000000b')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_project(repeat('x', 1048576), 'bad00000-0000-4000-8000-00000000000a')$_$);
-- apikeys.add_to_access_list
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list(NULL, '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-key', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-key', '10.0.0.0/8', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-key', VARIADIC NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-key', '10.1.2.3/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-key', '10.0.0.0/8', 'no network')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('TopSecret', '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-other-key', '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list(repeat('x', 1048576), '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-key', VARIADIC '{}')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-key', ARRAY['10.1.2.3/8'])$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-key', ARRAY['10.0.0.0/8', NULL])$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_to_access_list('regress-key', NULL::text[])$_$);
-- apikeys.remove_from_access_list
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list(NULL, '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list('regress-key', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list('regress-key', '10.0.0.0/8', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list('regress-key', VARIADIC NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list('regress-key', '10.1.2.3/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list('regress-key', '10.0.0.0/8', 'no network')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list('TopSecret', '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list('regress-other-key', '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list(repeat('x', 1048576), '10.0.0.0/8')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_from_access_list('regress-key', VARIADIC '{}')$_$);
-- apikeys.add_current_address
SELECT pg_temp.attempt($_$SELECT apikeys.add_current_address(NULL)$_$);
-- apikeys.permitted_scopes
SELECT apikeys.permitted_scopes(NULL, '{apikeys.keys.read}'), apikeys.permitted_scopes('bad00000-0000-4000-8000-000000000001', NULL), apikeys.permitted_scopes('bad00000-0000-4000-8000-000000000002', '{apikeys.keys.read,NULL}');
SELECT apikeys.permitted_scopes('bad00000-0000-4000-8000-000000000001', '{apikeys.keys.read,NULL,things.read,apikeys.members.manage}'), apikeys.permitted_scopes('bad00000-0000-4000-8000-000000000001', '{apikeys.keys.read}', 'bad00000-0000-4000-8000-00000000000a');
SELECT apikeys.permitted_scopes('bad00000-0000-4000-8000-000000000001', '{apikeys.keys.read}', 'bad00000-0000-4000-8000-00000000000c') AS of_another_organization;
SELECT pg_temp.attempt($_$SELECT apikeys.permitted_scopes('bad00000-0000-4000-8000-000000000001', ARRAY['no scope'])$_$);
-- apikeys.enable_digest
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest(NULL, 'realm')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest('regress-key', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest('TopSecret', 'realm')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest('regress-other-key', 'realm')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest(repeat('x', 1048576), 'realm')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest('regress-key', '')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest('regress-key', 'a "realm"')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest('regress-key', E'a\nrealm')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest('regress-key', repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_digest('regress-key', repeat('x', 128))$_$);
-- apikeys.disable_digest
SELECT pg_temp.attempt($_$SELECT apikeys.disable_digest(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.disable_digest('TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.disable_digest('regress-other-key')$_$);
-- apikeys.digest_challenge
SELECT pg_temp.attempt($_$SELECT apikeys.digest_challenge(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.digest_challenge('')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.digest_challenge(E'a\r\nSet-Cookie: x')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.digest_challenge('realm', NULL)$_$);
-- apikeys.authorize_digest and related functions: what is sent is data
SELECT pg_temp.attempt($_$SELECT apikeys.authorize_digest(NULL, NULL, NULL, NULL::inet, 'things.read')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize_digest(repeat('Digest ', 200000), repeat('x', 1048576), repeat('x', 1048576), NULL::inet, 'things.read')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize_digest('Digest TopSecret', 'GET', '/', NULL::inet, 'no scope')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize_digest('Digest TopSecret', 'GET', '/', 'TopSecret', 'things.read')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize_digest('Digest TopSecret', 'GET', '/', NULL::inet, 'things.read', NULL, -1)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.require_digest('Digest TopSecret', 'GET', '/', NULL::inet, 'things.read')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authenticate_digest('Digest TopSecret', 'GET', '/', NULL::inet)$_$);
-- apikeys.issue_token
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute', public_key => NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute', public_key => 'TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute', public_key => repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute', public_key => 'regress-other-key')$_$);
SELECT lifetime, pg_temp.attempt(format($_$SELECT apikeys.issue_token(%L, public_key => 'regress-key')$_$, lifetime))
FROM unnest('{0,-1 second,24 hours 1 microsecond,1 month,1 month -31 days,178000000 years,-178000000 years,2147483647 days,no interval}'::text[]) AS lifetime;
SELECT scopes, pg_temp.attempt(format($_$SELECT apikeys.issue_token('1 minute', %L, NULL, 'regress-key')$_$, scopes))
FROM unnest(ARRAY['{}', '{{a.read}}', '{NULL}', '{a.read,NULL}', '{""}', '{"a b"}', '{TopSecret!}', '{a.read,"a\"b"}']) AS scopes;
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute', array_fill('a'::text, ARRAY[101]), NULL, 'regress-key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute', ARRAY[repeat('a', 257)], NULL, 'regress-key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute', array_fill(repeat('a', 256), ARRAY[100]), NULL, 'regress-key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute', NULL, 'bad00000-0000-4000-8000-00000000000c', 'regress-key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.issue_token('1 minute', NULL, 'bad00000-0000-4000-8000-0000000000ff', 'regress-key')$_$);
-- apikeys.rotate_secret
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret('TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret('regress-other-key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret(repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret('')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret('regress-key', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret('regress-key', '-1 second')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret('regress-key', '1 year')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret('regress-key', '-178000000 years')$_$);
SELECT pg_temp.attempt($_$SELECT left(apikeys.rotate_secret('regress-key', '178000000 years'), 0)$_$);
SELECT pg_temp.attempt($_$SELECT count(*) FROM apikeys.expiring_keys('178000000 years')$_$);
SELECT pg_temp.attempt($_$SELECT count(*) FROM apikeys.expiring_keys('-178000000 years')$_$);
SELECT pg_temp.attempt($_$SELECT count(*) FROM apikeys.audit_events_after(0, -1)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret('regress-key', 'no interval')$_$);
-- apikeys.disable_key
SELECT pg_temp.attempt($_$SELECT apikeys.disable_key(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.disable_key('TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.disable_key('regress-other-key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.disable_key('')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.disable_key(repeat('x', 1048576))$_$);
-- apikeys.set_rate_limit
SELECT pg_temp.attempt($_$SELECT apikeys.set_rate_limit(NULL, 1, '1 s')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_rate_limit('TopSecret', 1, '1 s')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_rate_limit('regress-other-key', 1, '1 s')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_rate_limit(repeat('x', 1048576), 1, '1 s')$_$);
SELECT pg_temp.attempt(format('SELECT apikeys.set_rate_limit(''regress-key'', %s)', arguments)) FROM (VALUES
	('0, ''1 min'''), ('-1, ''1 min'''), ('1, ''0'''), ('1, ''-1 s'''), ('1, NULL'), ('1'),
	('1, ''1 month'''), ('1, ''1 year'''), ('1, ''1 month -1 day'''), ('1, ''1 day -25 h'''), ('1, ''no interval'''),
	('1, ''1 s'', 0'), ('1, ''1 s'', -1'), ('9223372036854775807, ''1 s'''), ('1, ''1 s'', 4611686018428'),
	('1, ''2147483647 days'', 100000'), ('1, ''1 s'', scope => '''''), ('1, ''1 s'', scope => ''a b'''),
	('1, ''1 s'', scope => ''TopSecret!'''), ('1, ''1 s'', scope => repeat(''x'', 257)')) AS v (arguments);
SELECT pg_temp.attempt($_$SELECT apikeys.set_rate_limit('regress-key', 1, '1 s', scope => 'a' || n) FROM generate_series(1, 21) AS n$_$);
-- apikeys.set_quota
SELECT pg_temp.attempt(format('SELECT apikeys.set_quota(''regress-key'', %s)', arguments)) FROM (VALUES
	('-1, ''day'''), ('1, ''fortnight'''), ('1, ''DAY'''), ('1, '''''), ('1, NULL'), ('NULL, NULL'), ('NULL, ''TopSecret'''),
	('9223372036854775808, ''day''')) AS v (arguments);
SELECT pg_temp.attempt($_$SELECT apikeys.set_quota(NULL, 1, 'day')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_quota('TopSecret', 1, 'day')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_quota('regress-other-key', 1, 'day')$_$);
-- apikeys.add_credits, apikeys.reset_limits
SELECT pg_temp.attempt(format('SELECT apikeys.add_credits(''regress-key'', %s)', arguments)) FROM (VALUES
	('0'), ('-5'), ('NULL'), ('1')) AS v (arguments);
SELECT pg_temp.attempt($_$SELECT apikeys.set_quota('regress-key', 9223372036854775807, 'ever'), apikeys.add_credits('regress-key', 1)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_credits('TopSecret', 1)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_credits('regress-other-key', 1)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.reset_limits(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.reset_limits('TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.reset_limits('regress-other-key')$_$);
-- apikeys.set_organization_rate_limit, apikeys.set_organization_quota
SELECT pg_temp.attempt(format('SELECT apikeys.set_organization_rate_limit(''bad00000-0000-4000-8000-000000000001'', %s)', arguments)) FROM (VALUES
	('0, ''1 min'''), ('1, ''1 month'''), ('1'), ('1, ''1 s'', 0'), ('9223372036854775807, ''1 s'''), ('1, ''1 s'', each_key => NULL')) AS v (arguments);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_rate_limit(NULL, 1, '1 s')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_rate_limit('bad00000-0000-4000-8000-000000000002', 1, '1 s')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_quota(NULL, 1, 'day')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_quota('bad00000-0000-4000-8000-000000000002', 1, 'day')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.set_organization_quota('bad00000-0000-4000-8000-000000000001', 1, 'TopSecret')$_$);
-- apikeys.enable_key
SELECT pg_temp.attempt($_$SELECT apikeys.enable_key(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_key('TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_key('regress-other-key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_key('')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.enable_key(repeat('x', 1048576))$_$);
-- apikeys.delete_key
SELECT pg_temp.attempt($_$SELECT apikeys.delete_key(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.delete_key('TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.delete_key('regress-other-key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.delete_key('')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.delete_key(repeat('x', 1048576))$_$);
-- apikeys.organization
SELECT pg_temp.attempt($_$SELECT apikeys.organization(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.organization('')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.organization('No such')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.organization('Regress other')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.organization('TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.organization(repeat('x', 1048576))$_$);
-- apikeys.project
SELECT pg_temp.attempt($_$SELECT apikeys.project(NULL, 'Alpha')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.project('Regress', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.project('Regress', 'No such')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.project('Regress other', 'Gamma')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.project('Regress', 'Gamma')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.project(repeat('x', 1048576), repeat('x', 1048576))$_$);
-- apikeys.create_project
SELECT pg_temp.attempt($_$SELECT apikeys.create_project(NULL, 'New')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project('bad00000-0000-4000-8000-000000000001', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project('bad00000-0000-4000-8000-000000000002', 'New')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project('bad00000-0000-4000-8000-0000000000ff', 'New')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project('bad00000-0000-4000-8000-000000000001', '')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project('bad00000-0000-4000-8000-000000000001', ' New')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project('bad00000-0000-4000-8000-000000000001', repeat('x', 251))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project('bad00000-0000-4000-8000-000000000001', repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_project('bad00000-0000-4000-8000-000000000001', 'Alpha')$_$);
-- apikeys.delete_project
SELECT pg_temp.attempt($_$SELECT apikeys.delete_project(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.delete_project('bad00000-0000-4000-8000-00000000000c')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.delete_project('bad00000-0000-4000-8000-0000000000ff')$_$);
-- apikeys.delete_organization
SELECT pg_temp.attempt($_$SELECT apikeys.delete_organization(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.delete_organization('bad00000-0000-4000-8000-000000000002')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.delete_organization('bad00000-0000-4000-8000-0000000000ff')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.delete_organization('bad00000-0000-4000-8000-000000000001')$_$);
-- apikeys.add_member
SELECT pg_temp.attempt($_$SELECT apikeys.add_member(NULL, 'user:1', 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', NULL, 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'user:1', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000002', 'user:1', 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-0000000000ff', 'user:1', 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'user:1', 'GROUP_READ_ONLY')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'user:1', 'ORG_MEMBER', 'bad00000-0000-4000-8000-00000000000a')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'user:1', 'GROUP_READ_ONLY', 'bad00000-0000-4000-8000-00000000000c')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'user:1', 'GROUP_READ_ONLY', 'bad00000-0000-4000-8000-0000000000ff')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'user:1', 'NO_SUCH_ROLE')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'TopSecret', 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', '', 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'user:', 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'user:' || repeat('x', 1048576), 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'user:1', repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.add_member('bad00000-0000-4000-8000-000000000001', 'role:regress_apikeys_owner', 'ORG_OWNER')$_$);
-- apikeys.remove_member
SELECT pg_temp.attempt($_$SELECT apikeys.remove_member(NULL, 'user:1', 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_member('bad00000-0000-4000-8000-000000000001', NULL, 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_member('bad00000-0000-4000-8000-000000000001', 'user:1', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_member('bad00000-0000-4000-8000-000000000001', 'user:1', 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_member('bad00000-0000-4000-8000-000000000002', 'user:1', 'ORG_MEMBER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_member('bad00000-0000-4000-8000-000000000001', 'user:1', 'GROUP_READ_ONLY', 'bad00000-0000-4000-8000-00000000000c')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.remove_member('bad00000-0000-4000-8000-000000000001', repeat('x', 1048576), repeat('x', 1048576))$_$);
-- apikeys.create_organization
SELECT pg_temp.attempt($_$SELECT apikeys.create_organization(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_organization('')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_organization(' x')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_organization(repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_organization('Regress')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_organization('New', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_organization('New', 'TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_organization('New', 'user:1', NULL)$_$);
-- apikeys.create_role
SELECT pg_temp.attempt($_$SELECT apikeys.create_role(NULL, 'project', '{}', '{a}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', NULL, '{}', '{a}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', 'project', NULL, '{a}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', 'project', '{}', NULL, 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', 'cluster', '{}', '{a}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', 'project', '{a}', '{a}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', 'project', '{}', '{"a b"}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', 'project', '{}', '{NULL}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('', 'project', '{}', '{a}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('a b', 'project', '{}', '{a}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('ORG_OWNER', 'project', '{}', '{a}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role(repeat('x', 1048576), 'project', '{}', '{a}', 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', 'project', '{}', ARRAY[repeat('x', 1048576)], 'Role')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', 'project', '{}', '{a}', '')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.create_role('regress_role', repeat('x', 1048576), '{}', '{a}', 'Role')$_$);
-- apikeys.drop_role
SELECT pg_temp.attempt($_$SELECT apikeys.drop_role(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.drop_role('')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.drop_role('NO_SUCH_ROLE')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.drop_role('GROUP_OWNER')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.drop_role(repeat('x', 1048576))$_$);
-- apikeys.usage_chart
SELECT pg_temp.attempt($_$SELECT apikeys.usage_chart(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.usage_chart('regress-key', NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.usage_chart('regress-key', 0)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.usage_chart('regress-key', -2147483648)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.usage_chart('regress-key', 36601)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.usage_chart('regress-other-key', 7)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.usage_chart('TopSecret', 7)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.usage_chart('', 7)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.usage_chart(repeat('x', 1048576), 7)$_$);
-- apikeys.act_as
SELECT pg_temp.attempt($_$SELECT apikeys.act_as(NULL)$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.act_as('')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.act_as('user:')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.act_as('role:regress_apikeys_owner')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.act_as('key:regress-key')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.act_as('TopSecret')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.act_as('USER:1')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.act_as('user:' || repeat('x', 251))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.act_as(repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.act_as(E'user:a\nb')$_$);
-- apikeys.authorize
SELECT pg_temp.attempt($_$SELECT apikeys.authorize('regress-key', 'TopSecret', '192.0.2.1', '')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize('regress-key', 'TopSecret', '192.0.2.1', 'a  b')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize('regress-key', 'TopSecret', '192.0.2.1', 'TopSecret*')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize('regress-key', 'TopSecret', '192.0.2.1', repeat('x', 257))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize('regress-key', 'TopSecret', '192.0.2.1', repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize('regress-key', 'TopSecret', '192.0.2.1', 'clusters.réad')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize('regress-key', 'TopSecret', 'no address', 'a')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize('regress-key', 'TopSecret', '192.0.2.1', 'a', 'no id')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.authorize(NULL, NULL, NULL, 'a  b')$_$);
-- apikeys.decide
SELECT pg_temp.attempt($_$SELECT apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', '')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', 'a  b')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', 'TopSecret*')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', repeat('x', 257))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', repeat('x', 1048576))$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', 'clusters.réad')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.decide('regress-key', 'TopSecret', 'no address', 'a')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', 'a', 'no id')$_$);
SELECT pg_temp.attempt($_$SELECT apikeys.decide(NULL, NULL, NULL, 'a  b')$_$);

-- NULL, and what is unknown, is a denial and no error.
SELECT apikeys.authorize(NULL, 'TopSecret', '192.0.2.1', 'clusters.read'), apikeys.authorize('regress-key', NULL, '192.0.2.1', 'clusters.read'),
	apikeys.authorize('regress-key', 'TopSecret', '192.0.2.1', NULL), apikeys.authorize(NULL, NULL, NULL, NULL, NULL),
	apikeys.authorize('', '', '192.0.2.1', 'clusters.read'),
	apikeys.authorize(repeat('x', 1048576), repeat('x', 1048576), '192.0.2.1', 'clusters.read'),
	apikeys.authorize('TopSecret', 'regress-key', '192.0.2.1', 'clusters.read'),
	apikeys.authorize('regress-key', 'TopSecre', '192.0.2.1', 'clusters.read'),
	apikeys.authorize('regress-key', 'topsecret', '192.0.2.1', 'clusters.read');
SELECT reason, public_key FROM apikeys.decide(NULL, 'TopSecret', '192.0.2.1', 'clusters.read');
SELECT reason, public_key FROM apikeys.decide('TopSecret', 'regress-key', '192.0.2.1', 'clusters.read');
SELECT reason, public_key FROM apikeys.decide('regress-key', NULL, '192.0.2.1', 'clusters.read');
SELECT reason, public_key FROM apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', NULL);
SELECT reason, public_key FROM apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', 'clusters.read', 'bad00000-0000-4000-8000-00000000000c');
SELECT reason, public_key FROM apikeys.decide('regress-key', 'TopSecret', '192.0.2.1', 'clusters.read', 'bad00000-0000-4000-8000-0000000000ff');
SELECT apikeys_internal.may(NULL, NULL), apikeys_internal.may('clusters.read', NULL), apikeys_internal.manages_key(NULL),
	apikeys_internal.may_grant(NULL, NULL), apikeys_internal.manages_key('TopSecret'),
	apikeys_internal.may_grant('NO_SUCH_ROLE', 'bad00000-0000-4000-8000-000000000001'),
	apikeys_internal.may_grant(repeat('x', 1048576), 'bad00000-0000-4000-8000-000000000001');
SELECT pg_temp.attempt($_$SELECT apikeys_internal.may('a b', 'bad00000-0000-4000-8000-000000000001')$_$);

-- Nobody learns whether a key exists that it does not see.
SELECT pg_temp.attempt($_$SELECT apikeys.rotate_secret('regress-other-key')$_$) = pg_temp.attempt($_$SELECT apikeys.rotate_secret('no-such-key')$_$) AS same;

-- Nothing has changed.
RESET ROLE;
SELECT pg_temp.digest() = :'digest_before' AS same;

-- The collation of an argument is its own business.
SELECT apikeys.disable_key('regress-key' COLLATE "POSIX"), apikeys.enable_key('regress-key' COLLATE "POSIX");

DELETE FROM apikeys.key;
DELETE FROM apikeys.organization;
DELETE FROM apikeys.deleted_key;
DROP OWNED BY regress_apikeys_owner;
DROP ROLE regress_apikeys_owner;
