-- Images are read in place.  One that a superuser has written by hand is
-- read if its arrays are of one dimension and whole, however they are stored;
-- else it is an error, and no answer.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;

SELECT apikeys.create_organization('regress_damage', 'user:regress_damage') AS org \gset
CREATE TEMP TABLE original AS
	SELECT 'regress_damage' AS public_key, :'org'::uuid AS organization_id, false AS disabled,
		'infinity'::timestamptz AS expires_at, now() AS created_at,
		ARRAY[('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash] AS secrets,
		ARRAY['infinity'::timestamptz] AS secret_expirations,
		'\x00000001'::bytea AS secret_versions,
		ARRAY['ORG_READ_ONLY'] AS organization_roles,
		'{}'::apikeys.access_list AS access_list,
		ARRAY['GROUP_BACKUP_ADMIN', 'GROUP_MONITORING_ADMIN'] AS project_roles,
		ARRAY['10000000-0000-0000-0000-000000000000', '20000000-0000-0000-0000-000000000000']::uuid[] AS projects,
		'{}'::jsonb AS details, uuid_send(gen_random_uuid()) AS limits;
INSERT INTO apikeys.key_image SELECT * FROM original;

-- What the key may do with the change, asked twice, and then without it.
CREATE FUNCTION pg_temp.try(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answers text[];
	state text;
	message text;
BEGIN
	BEGIN
		EXECUTE 'UPDATE apikeys.key_image SET ' || change || ' WHERE public_key = ''regress_damage''';
		FOR i IN 1 .. 2 LOOP
			answers := answers || (
				SELECT string_agg(d.reason, ' ' ORDER BY position)
				FROM (VALUES
					(1, 'clusters.read', NULL::uuid),
					(2, 'backups.create', '10000000-0000-0000-0000-000000000000'),
					(3, 'alerts.create', '10000000-0000-0000-0000-000000000000'),
					(4, 'alerts.create', '20000000-0000-0000-0000-000000000000')) AS r (position, scope, project),
					apikeys.decide('regress_damage', 'a secret', NULL, scope, project) AS d);
		END LOOP;
		RAISE EXCEPTION SQLSTATE 'ZZZZZ' USING MESSAGE = CASE WHEN answers[1] = answers[2] THEN answers[1] ELSE answers::text END;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
	END;
	RETURN concat(nullif(state, 'ZZZZZ') || ' ', message);
END $$;

SELECT pg_temp.try('disabled = false');

-- Other forms of the same: no array begins at 1, or they are long, compressed
-- or out of line.
SELECT pg_temp.try($$secrets = array_fill(secrets[1], '{1}', '{-3}'), projects[0] = '30000000-0000-0000-0000-000000000000',
	project_roles[0] = 'GROUP_OWNER'$$);
CREATE FUNCTION pg_temp.toasted(storage text) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY '{secrets,secret_expirations,secret_versions,limits,organization_roles,project_roles,projects}'::text[] LOOP
		EXECUTE format('ALTER TABLE apikeys.key_image ALTER %I SET STORAGE %s', name, storage);
	END LOOP;
	RETURN pg_temp.try($change$secrets = array_fill(('sha256$$' || encode(sha256('not this'), 'hex'))::apikeys.secret_hash, '{500}') || secrets,
		secret_expirations = array_fill('infinity'::timestamptz, '{500}') || secret_expirations,
		secret_versions = decode(repeat('00000002', 500), 'hex') || secret_versions,
		organization_roles = array_fill('no such role'::text, '{500}') || organization_roles,
		project_roles = array_fill('GROUP_OWNER'::text, '{500}') || project_roles,
		projects = (SELECT array_agg(gen_random_uuid()) FROM generate_series(1, 500)) || projects$change$);
END $body$;
SELECT pg_temp.toasted('MAIN');
SELECT pg_temp.toasted('EXTERNAL');
SELECT pg_temp.toasted('EXTENDED');
SELECT pg_temp.try($$organization_roles = (SELECT array_agg('role ' || repeat('x', n)) FROM generate_series(0, 200) AS n) || organization_roles$$);
SELECT pg_temp.try($$organization_roles = ARRAY['', 'a', repeat('b', 63), repeat('c', 64), repeat('d', 1000)] || organization_roles$$);

-- Empty ones.
SELECT pg_temp.try($$secrets = '{}', secret_expirations = '{}', secret_versions = ''$$);
SELECT pg_temp.try($$organization_roles = '{}'$$);
SELECT pg_temp.try($$project_roles = '{}', projects = '{}'$$);

-- Lengths that differ.
SELECT pg_temp.try($$secrets = '{}'$$);
SELECT pg_temp.try($$secrets = secrets || secrets$$);
SELECT pg_temp.try($$secret_expirations = secret_expirations || secret_expirations$$);
SELECT pg_temp.try($$secret_versions = ''$$);
SELECT pg_temp.try($$limits = ''$$);
SELECT pg_temp.try($$limits = substr(limits, 2)$$);
SELECT pg_temp.try($$limits = limits || '\x00'$$);
SELECT pg_temp.try($$limits = limits || decode(repeat('00', 43), 'hex')$$);
SELECT pg_temp.try($$limits = limits || decode('72' || repeat('00', 42), 'hex')$$);
SELECT pg_temp.try($$limits = limits || decode('71' || repeat('00', 23) || 'ff' || repeat('00', 18), 'hex')$$);
SELECT pg_temp.try($$limits = limits || decode('71' || repeat('00', 41) || 'ff', 'hex')$$);
SELECT pg_temp.try($$limits = limits || substr(apikeys_internal.limit_image('rate', 'a', gen_random_uuid(), 1, '1 s', 1, NULL), 1, 43)$$);
SELECT pg_temp.try($$secret_versions = secret_versions || secret_versions$$);
SELECT pg_temp.try($$secret_versions = '\x000001'$$);
SELECT pg_temp.try($$project_roles = project_roles[1:1]$$);
SELECT pg_temp.try($$projects = '{}'$$);

-- NULLs, and more dimensions.
SELECT pg_temp.try($$secrets = ARRAY[NULL::apikeys.secret_hash]$$);
SELECT pg_temp.try($$secret_expirations = ARRAY[NULL::timestamptz]$$);
SELECT pg_temp.try($$organization_roles = organization_roles || NULL::text$$);
SELECT pg_temp.try($$project_roles[1] = NULL$$);
SELECT pg_temp.try($$projects[2] = NULL$$);
SELECT pg_temp.try($$secrets = ARRAY[secrets]$$);
SELECT pg_temp.try($$secret_expirations = ARRAY[secret_expirations]$$);
SELECT pg_temp.try($$organization_roles = ARRAY[organization_roles, organization_roles]$$);
SELECT pg_temp.try($$project_roles = ARRAY[project_roles]$$);
SELECT pg_temp.try($$projects = ARRAY[ARRAY[projects]]$$);
SELECT pg_temp.try($$organization_roles = array_fill('ORG_OWNER'::text, '{300,2}')$$);

-- A table of another form.
BEGIN;
ALTER TABLE apikeys.key_image ALTER projects DROP NOT NULL;
SELECT pg_temp.try('projects = NULL');
ALTER TABLE apikeys.key_image ADD one_more integer;
SELECT pg_temp.try('disabled = false');
ROLLBACK;
SELECT pg_temp.try('disabled = false');

-- Columns of one byte, which is the beginning of nothing, of too much, or of nothing more:
-- the row ends before what is read of it.
CREATE FUNCTION pg_temp.with_bytes(byte text, names text[]) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY names LOOP
		EXECUTE format('ALTER TABLE apikeys.key_image ALTER %I DROP DEFAULT, ALTER %1$I TYPE "char" USING %L', name, byte);
	END LOOP;
	RAISE EXCEPTION SQLSTATE 'ZZZZZ' USING MESSAGE = pg_temp.try('disabled = false');
EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
	RETURN SQLERRM;
END $body$;
SELECT columns, byte, pg_temp.with_bytes(byte, names)
FROM (VALUES (1, 'all', '{organization_id,expires_at,created_at,secrets,secret_expirations,secret_versions,organization_roles,access_list,project_roles,projects,details,limits}'::text[]),
	(2, 'not those of a fixed size', '{secrets,secret_expirations,secret_versions,organization_roles,access_list,project_roles,projects,details,limits}'),
	(3, 'the last', '{limits}')) AS c (n, columns, names)
	CROSS JOIN (VALUES ('\001'), ('\003'), ('\020'), ('\377')) AS b (byte)
ORDER BY n, byte COLLATE "C";
SELECT pg_temp.try('disabled = false');

DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY '{secrets,secret_expirations,secret_versions,organization_roles,project_roles,projects,limits}'::text[] LOOP
		EXECUTE format('ALTER TABLE apikeys.key_image ALTER %I SET STORAGE %s', name, CASE WHEN name ~ '^secret' THEN 'PLAIN' ELSE 'EXTENDED' END);
	END LOOP;
END $$;
DELETE FROM apikeys.key_image WHERE public_key = 'regress_damage';
DELETE FROM apikeys.organization WHERE id = :'org';
