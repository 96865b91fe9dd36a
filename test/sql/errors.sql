-- Errors that a program distinguishes by SQLSTATE and identifier.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION pg_temp.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	identifier text;
BEGIN
	EXECUTE statement;
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	RETURN SQLSTATE || ' ' || identifier;
END;
$$;
SELECT apikeys.create_organization('regress errors', 'user:regress_errors') AS org \gset
SELECT apikeys.create_project(:'org', 'A') AS project \gset
SELECT public_key AS key, private_key AS secret FROM apikeys.create_key(:'org', 'a key', '{ORG_MEMBER}') \gset
SELECT apikeys.create_role('regress_errors_held', 'project', '{}', '{a}', NULL), apikeys.add_member(:'org', 'user:1', 'regress_errors_held', :'project');
CREATE TABLE regress_errors_source (public_key text, hash int, description text);
CREATE TABLE regress_errors_lacking (public_key text);

SELECT pg_temp.error_of(s) || ': ' || replace(replace(replace(s, :'org', 'ORG'), :'key', 'KEY'), :'secret', 'SECRET') FROM unnest(ARRAY[
	'SELECT apikeys.delete_keys()',
	format('SELECT apikeys.add_member(%L, ''role:regress_errors_nobody'', ''ORG_MEMBER'')', :'org'),
	'SELECT apikeys.grant_access(current_user::regrole, ''everything'')',
	'SELECT apikeys.grant_access(0, ''decide'')',
	format('SELECT apikeys.import_key(%L, ''a'', ''$argon2id$v=19$m=102400,t=2,p=16$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA'', ''a'', ''{}'')', :'org'),
	format('SELECT apikeys.import_key(%L, ''a b'', (''sha256$$'' || repeat(''0'', 64))::apikeys.secret_hash, ''a'', ''{}'')', :'org'),
	'SELECT ''$argon2id$v=19$m=262144,t=16,p=16$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA''::apikeys.secret_hash',
	format('SELECT apikeys.import_keys(%L, ''regress_errors_source'')', :'org'),
	format('SELECT apikeys.import_keys(%L, ''regress_errors_lacking'')', :'org'),
	format('SELECT apikeys.import_keys(%L, 0)', :'org'),
	format('SELECT apikeys.check_import(%L, ''regress_errors_lacking'')', :'org'),
	'SELECT apikeys.merge_usage(''10000000-0000-0000-0000-000000000000'', 1, ''{a}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'', ''{}'')',
	format('SELECT apikeys.authorize(%L, ''x'', ''192.0.2.1''::inet, ''a.read'', cost => -1)', :'key'),
	format('SELECT apikeys.set_organization_policy(%L, max_key_lifetime => ''-1 day'')', :'org'),
	format('SELECT apikeys.set_organization_policy(%L, max_rotation_overlap => ''-1 day'')', :'org'),
	format('SELECT apikeys.disable_key(%L, '''')', :'key'),
	'SELECT apikeys.verify_audit(1, ''x'')',
	'SELECT apikeys.verify_audit(1)',
	'SELECT apikeys.authenticate_request()',
	'SELECT set_config(''request.headers'', ''{'', true), apikeys.authenticate_request()',
	'SELECT apikeys.drop_role(''ORG_OWNER'')',
	'SELECT apikeys.drop_role(''regress_errors_held'')',
	format('SELECT apikeys.create_key(%L, ''a'', ''{ORG_MEMBER,ORG_MEMBER}'')', :'org'),
	format('SELECT apikeys.create_role(''R'' || i, ''project'', ''{}'', ''{}'', NULL, %L) FROM generate_series(1, 1001) AS i', :'org'),
	format('SELECT apikeys.authenticate(%L, ''wrong'', ''192.0.2.1''::inet)', :'key'),
	format('SELECT apikeys.authenticate(%L, %L, ''no address''::text)', :'key', :'secret')]) AS s;
-- What a trigger function is called for is its own table's.
CREATE TRIGGER theirs AFTER INSERT ON regress_errors_source FOR EACH ROW EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER theirs_too AFTER INSERT ON regress_errors_lacking FOR EACH ROW EXECUTE FUNCTION apikeys_internal.directly_changed();
SELECT pg_temp.error_of('INSERT INTO regress_errors_source DEFAULT VALUES'), pg_temp.error_of('INSERT INTO regress_errors_lacking DEFAULT VALUES');

DROP TABLE regress_errors_source, regress_errors_lacking;
DELETE FROM apikeys.key WHERE organization_id = :'org';
SELECT apikeys.delete_organization(:'org'), apikeys.drop_role('regress_errors_held');
