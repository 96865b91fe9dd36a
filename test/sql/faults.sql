-- What has once been possible, by its smallest input, and is refused now.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_apikeys_alice;    -- owner
CREATE ROLE regress_apikeys_km;       -- manages keys, grants no more than it has
CREATE ROLE regress_apikeys_pua;      -- administrator of project P1
CREATE ROLE regress_apikeys_reader BYPASSRLS;
CREATE ROLE regress_apikeys_nobody;
SELECT count(apikeys.grant_access(r, 'manage', 'decide')) FROM unnest('{regress_apikeys_alice,regress_apikeys_km,regress_apikeys_pua,regress_apikeys_reader}'::regrole[]) AS r;
SELECT apikeys.create_role('regress_faults_keys', 'organization', '{apikeys.keys.*,clusters.read,organization.read}', '{}', NULL);
SELECT apikeys.create_organization('regress faults', 'role:regress_apikeys_alice') AS org \gset
SET ROLE regress_apikeys_alice;
SELECT apikeys.create_project(:'org', 'P1') AS p1, apikeys.create_project(:'org', 'P2') AS p2 \gset
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_km', 'regress_faults_keys'),
	apikeys.add_member(:'org', 'role:regress_apikeys_pua', 'GROUP_USER_ADMIN', :'p1');
SELECT public_key AS wide FROM apikeys.create_key(:'org', 'Wide', '{ORG_OWNER}') \gset
RESET ROLE;
-- The SQLSTATE of a statement by a role, and its identifier.
CREATE FUNCTION pg_temp.tries(who text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	identifier text;
BEGIN
	PERFORM set_config('role', who, true);
	EXECUTE statement;
	PERFORM set_config('role', 'none', true);
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	RETURN concat_ws(' ', SQLSTATE, nullif(identifier, ''));
END;
$$;

-- ------------------------------------------------------------------ who gets more
-- A row that was updated passes for one that is new.
SELECT pg_temp.tries('regress_apikeys_pua', format('UPDATE apikeys.project SET name = name WHERE id = %L', :'p1')),
	pg_temp.tries('regress_apikeys_pua', format('INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES (%L, %L, ''role:regress_apikeys_pua'', ''GROUP_OWNER'')', :'org', :'p2')),
	pg_temp.tries('regress_apikeys_pua', format('SELECT apikeys.add_member(%L, ''role:regress_apikeys_pua'', ''GROUP_OWNER'', %L)', :'org', :'p2'));
-- A secret is revived, a key enabled, widened, extended by a principal that may not issue it.
SELECT pg_temp.tries('regress_apikeys_km', format('UPDATE apikeys.key_secret SET expires_at = NULL WHERE public_key = %L', :'wide')),
	pg_temp.tries('regress_apikeys_km', format('SELECT apikeys.rotate_secret(%L)', :'wide')),
	pg_temp.tries('regress_apikeys_km', format('SELECT apikeys.enable_key(%L)', :'wide')),
	pg_temp.tries('regress_apikeys_km', format('SELECT apikeys.add_to_access_list(%L, ''192.0.2.1'')', :'wide')),
	pg_temp.tries('regress_apikeys_km', format('SELECT apikeys.update_key(%L, expires_at => ''infinity'')', :'wide'));
-- Assigning a key to one's project is taking it.
SELECT pg_temp.tries('regress_apikeys_pua', format('SELECT apikeys.set_project_roles(%L, %L, ''{GROUP_READ_ONLY}'')', :'wide', :'p1'));
-- A name that is used again.
SELECT pg_temp.tries('none', format('SELECT apikeys.add_member(%L, ''role:regress_apikeys_unborn'', ''ORG_OWNER'')', :'org'));
ALTER ROLE regress_apikeys_km RENAME TO regress_apikeys_renamed;
CREATE ROLE regress_apikeys_km;
SELECT apikeys.grant_access('regress_apikeys_km', 'manage');
SELECT who, (pg_temp.tries(who, format('SELECT apikeys.create_key(%L, ''a key'', ''{regress_faults_keys}'')', :'org')))
FROM unnest('{regress_apikeys_renamed,regress_apikeys_km}'::text[]) AS who;
DROP OWNED BY regress_apikeys_km;
DROP ROLE regress_apikeys_km;
ALTER ROLE regress_apikeys_renamed RENAME TO regress_apikeys_km;
-- BYPASSRLS, and row_security off.
SELECT pg_temp.tries('regress_apikeys_reader', format('INSERT INTO apikeys.member (organization_id, principal, role) VALUES (%L, ''role:regress_apikeys_reader'', ''ORG_OWNER'')', :'org')),
	pg_temp.tries('regress_apikeys_reader', format('SELECT apikeys.add_member(%L, ''role:regress_apikeys_reader'', ''ORG_OWNER'')', :'org'));
SET row_security = off;
SELECT max(id) AS before FROM apikeys.audit_event \gset
SET ROLE regress_apikeys_alice;
SELECT apikeys.rename_project(:'p2', 'P2 renamed');
RESET ROLE;
RESET row_security;
SELECT action, principal FROM apikeys.audit_event WHERE id > :before;
-- Default privileges: nothing comes to anybody by them.
BEGIN;
DROP EXTENSION apikeys;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO regress_apikeys_nobody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_apikeys_nobody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO regress_apikeys_nobody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO regress_apikeys_nobody;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO regress_apikeys_nobody;
CREATE EXTENSION apikeys;
SELECT (SELECT count(*) FROM pg_proc AS p, aclexplode(p.proacl) AS a WHERE p.pronamespace::regnamespace::text ~ '^apikeys' AND a.grantee = 'regress_apikeys_nobody'::regrole),
	(SELECT count(*) FROM pg_class AS c, aclexplode(c.relacl) AS a WHERE c.relnamespace::regnamespace::text ~ '^apikeys' AND a.grantee = 'regress_apikeys_nobody'::regrole),
	(SELECT count(*) FROM pg_namespace AS n, aclexplode(n.nspacl) AS a WHERE n.nspname ~ '^apikeys' AND a.grantee = 'regress_apikeys_nobody'::regrole);
ROLLBACK;
-- An oracle for hashes, the verbs' bodies, the owner's tools.
SELECT pg_temp.tries('regress_apikeys_km', $_$SELECT apikeys.verify(('sha256$$' || repeat('0', 64))::apikeys.secret_hash, 'a', 'a')$_$),
	pg_temp.tries('regress_apikeys_km', 'SELECT apikeys_internal.make_images(''{}'')'),
	pg_temp.tries('regress_apikeys_km', 'SELECT apikeys.prune_audit(now())');
-- The last owner.
SELECT pg_temp.tries('regress_apikeys_alice', format('SELECT apikeys.remove_member(%L, ''role:regress_apikeys_alice'', ''ORG_OWNER'')', :'org'));
-- One and the same is judged and named, where a referential action fires a trigger:
-- up to 17 who has deleted, from 18 on the owner of the table that refers.
CREATE TABLE regress_faults_1 (id int PRIMARY KEY);
CREATE TABLE regress_faults_2 (id int REFERENCES regress_faults_1 ON DELETE CASCADE);
GRANT ALL ON regress_faults_1, regress_faults_2 TO regress_apikeys_alice, regress_apikeys_pua;
ALTER TABLE regress_faults_2 OWNER TO regress_apikeys_alice;
INSERT INTO regress_faults_1 VALUES (1);
INSERT INTO regress_faults_2 VALUES (1);
CREATE FUNCTION regress_faults_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM apikeys.create_key(id, 'by a trigger', '{ORG_MEMBER}') FROM apikeys.organization WHERE name = 'regress faults';
	RETURN OLD;
END;
$$;
CREATE TRIGGER t AFTER DELETE ON regress_faults_2 FOR EACH ROW EXECUTE FUNCTION regress_faults_trigger();
SELECT pg_temp.tries('regress_apikeys_pua', 'DELETE FROM regress_faults_1') IN ('done', '42501 permission_denied');
SELECT count(*) FROM apikeys.key AS k JOIN apikeys.audit_event AS e USING (public_key)
WHERE k.description = 'by a trigger' AND (k.created_by <> e.principal OR e.principal = 'role:regress_apikeys_pua');
SELECT count(apikeys.delete_key(public_key)) IN (0, 1) FROM apikeys.key WHERE description = 'by a trigger';
DROP TABLE regress_faults_1, regress_faults_2;

-- A table of another role refers to ours.  None of its code runs behind the door, neither
-- after the statement with the rights of the extension's owner, as up to 17, nor in the
-- middle of it: its foreign key may keep rows, and do nothing else.
GRANT USAGE, CREATE ON SCHEMA public TO regress_apikeys_alice;
GRANT REFERENCES ON apikeys.project, apikeys.organization, apikeys.key TO regress_apikeys_alice;
INSERT INTO apikeys.project (id, organization_id, name) VALUES ('4d000000-0000-0000-0000-000000000000', :'org', 'P5');
CREATE FUNCTION pg_temp.deletes() RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.tries('regress_apikeys_alice', 'SELECT apikeys.delete_project(''4d000000-0000-0000-0000-000000000000'')')
$$;
CREATE FUNCTION pg_temp.renames(name text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.tries('regress_apikeys_alice', format('SELECT apikeys.rename_project(''4d000000-0000-0000-0000-000000000000'', %L)', name))
$$;
CREATE FUNCTION regress_faults_tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SET ROLE regress_apikeys_alice;
CREATE TABLE regress_faults_4 (id uuid REFERENCES apikeys.project ON DELETE CASCADE);
RESET ROLE;
SELECT pg_temp.deletes() AS "cascade", pg_temp.renames('P6') AS "no concern of it";
-- Its owner counts, not its schema.
ALTER TABLE regress_faults_4 SET SCHEMA apikeys;
SELECT pg_temp.deletes() AS "cascade, in the schema of the extension";
ALTER TABLE apikeys.regress_faults_4 SET SCHEMA public;
SET ROLE regress_apikeys_alice;
DROP TABLE regress_faults_4;
CREATE TABLE regress_faults_4 (id uuid REFERENCES apikeys.project ON DELETE SET NULL);
RESET ROLE;
SELECT pg_temp.deletes() AS "set null";
SET ROLE regress_apikeys_alice;
DROP TABLE regress_faults_4;
CREATE TABLE regress_faults_4 (org uuid, name text COLLATE "C", FOREIGN KEY (org, name) REFERENCES apikeys.project (organization_id, name) ON UPDATE CASCADE);
RESET ROLE;
SELECT pg_temp.renames('P7') AS "cascade";
SELECT pg_temp.deletes() AS "no concern of it";
INSERT INTO apikeys.project (id, organization_id, name) VALUES ('4d000000-0000-0000-0000-000000000000', :'org', 'P5');
SET ROLE regress_apikeys_alice;
DROP TABLE regress_faults_4;
CREATE TYPE regress_faults_type AS ENUM ('4d000000-0000-0000-0000-000000000000');
CREATE FUNCTION regress_faults_cast(regress_faults_type) RETURNS uuid LANGUAGE sql IMMUTABLE AS 'SELECT $1::text::uuid';
CREATE CAST (regress_faults_type AS uuid) WITH FUNCTION regress_faults_cast AS IMPLICIT;
-- PostgreSQL calls the cast as the owner of what is referred to, also for new rows: that
-- cannot be made, but be given away.
CREATE TABLE regress_faults_4 (id regress_faults_type REFERENCES apikeys.project);
CREATE TABLE regress_faults_4 (id regress_faults_type);
ALTER TABLE regress_faults_4 ADD FOREIGN KEY (id) REFERENCES apikeys.project;
DROP TABLE regress_faults_4;
CREATE TABLE regress_faults_4 (id uuid REFERENCES apikeys.project);
ALTER TABLE regress_faults_4 ALTER COLUMN id TYPE regress_faults_type USING NULL;
-- Nor with a cast that is harmless now.
DROP CAST (regress_faults_type AS uuid);
CREATE CAST (regress_faults_type AS uuid) WITH INOUT AS IMPLICIT;
CREATE TABLE regress_faults_5 (id regress_faults_type REFERENCES apikeys.project);
DROP CAST (regress_faults_type AS uuid);
CREATE CAST (regress_faults_type AS uuid) WITH FUNCTION regress_faults_cast AS IMPLICIT;
CREATE DOMAIN regress_faults_domain AS uuid;
CREATE TABLE regress_faults_5 (id regress_faults_domain REFERENCES apikeys.project, key varchar(80) REFERENCES apikeys.key);
DROP TABLE regress_faults_5;
DROP DOMAIN regress_faults_domain;
RESET ROLE;
ALTER TABLE regress_faults_4 OWNER TO CURRENT_USER;
ALTER TABLE regress_faults_4 ALTER COLUMN id TYPE regress_faults_type USING NULL;
ALTER TABLE regress_faults_4 OWNER TO regress_apikeys_alice;
SELECT pg_temp.deletes() AS "cast";
-- Keys are made and changed all the same.
SET ROLE regress_apikeys_alice;
DROP TABLE regress_faults_4;
CREATE TABLE regress_faults_4 (key text COLLATE "C" REFERENCES apikeys.key ON DELETE CASCADE ON UPDATE CASCADE);
SELECT public_key AS key_of_4 FROM apikeys.create_key(:'org', 'a key', '{ORG_MEMBER}') \gset
SELECT apikeys.disable_key(:'key_of_4');
RESET ROLE;
SELECT pg_temp.tries('regress_apikeys_alice', format('SELECT apikeys.delete_key(%L)', :'key_of_4')) AS "cascade";
-- One that only keeps rows does.
SET ROLE regress_apikeys_alice;
DROP TABLE regress_faults_4;
SELECT apikeys.delete_key(:'key_of_4');
CREATE TABLE regress_faults_4 (id uuid REFERENCES apikeys.project);
INSERT INTO regress_faults_4 VALUES ('4d000000-0000-0000-0000-000000000000');
RESET ROLE;
SELECT pg_temp.deletes() AS "no action";
DELETE FROM regress_faults_4;
-- But not at the end of the transaction, when its owner's code could act as who is named.
SET ROLE regress_apikeys_alice;
ALTER TABLE regress_faults_4 ALTER CONSTRAINT regress_faults_4_id_fkey DEFERRABLE INITIALLY DEFERRED;
RESET ROLE;
SELECT pg_temp.deletes() AS "deferred";
SET ROLE regress_apikeys_alice;
ALTER TABLE regress_faults_4 ALTER CONSTRAINT regress_faults_4_id_fkey NOT DEFERRABLE;
RESET ROLE;
-- Nor do functions of its indexes, which the planner calls, as the owner of the table,
-- while the foreign key is checked.
SET ROLE regress_apikeys_alice;
CREATE FUNCTION regress_faults_index(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('regress.armed', true) = 'yes' THEN
		RAISE EXCEPTION 'ran as %', current_user;
	END IF;
	RETURN true;
END;
$$;
CREATE INDEX ON regress_faults_4 (id) WHERE regress_faults_index('x');
RESET ROLE;
SET regress.armed = 'yes';
SELECT pg_temp.deletes() AS "function of an index";
RESET regress.armed;
SET ROLE regress_apikeys_alice;
DROP TABLE regress_faults_4;
CREATE TABLE regress_faults_4 (id uuid REFERENCES apikeys.project);
RESET ROLE;
DROP FUNCTION regress_faults_index;
-- Nor a function that the session keeps, as that of a range type of which it has seen a value.
SET ROLE regress_apikeys_alice;
CREATE FUNCTION regress_faults_distance(a float8, b float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('regress.armed', true) = 'yes' THEN
		RAISE EXCEPTION 'ran as %', current_user;
	END IF;
	RETURN a - b;
END;
$$;
CREATE TYPE regress_faults_range AS RANGE (subtype = float8, subtype_diff = regress_faults_distance);
CREATE TABLE regress_faults_12 (id uuid REFERENCES apikeys.project, r regress_faults_range, n integer);
INSERT INTO regress_faults_12 SELECT NULL, regress_faults_range(g, g + g % 10 + 1), g FROM generate_series(1, 2000) AS g;
CREATE INDEX ON regress_faults_12 (n) WHERE id IS NOT NULL OR r && regress_faults_range(5.5, 7.7);
ANALYZE regress_faults_12;
RESET ROLE;
SELECT r FROM regress_faults_12 LIMIT 1;
SET regress.armed = 'yes';
SELECT pg_temp.deletes() AS "function of a range";
RESET regress.armed;
-- Nor what a domain checks, or a condition that others' functions were inlined into.
SET ROLE regress_apikeys_alice;
DROP TABLE regress_faults_12;
CREATE DOMAIN regress_faults_domain AS integer CHECK (set_config('search_path', 'nowhere', false) IS NOT NULL);
CREATE TABLE regress_faults_12 (id uuid REFERENCES apikeys.project, n integer, d regress_faults_domain, a integer[]) PARTITION BY LIST (n);
CREATE TABLE regress_faults_13 PARTITION OF regress_faults_12 DEFAULT;
CREATE INDEX regress_faults_i ON regress_faults_13 USING brin (n) WHERE id IS NOT NULL OR n::regress_faults_domain = 7;
SELECT pg_temp.deletes() AS "domain of an index of a partition";
DROP INDEX regress_faults_i;
CREATE INDEX regress_faults_i ON regress_faults_13 ((a::regress_faults_domain[]));
SELECT pg_temp.deletes() AS "array of a domain";
DROP INDEX regress_faults_i;
CREATE DOMAIN regress_faults_list AS integer[] CHECK (set_config('search_path', 'nowhere', false) IS NOT NULL);
CREATE INDEX regress_faults_i ON regress_faults_13 USING brin (n) WHERE id IS NOT NULL OR a::regress_faults_list IS NULL;
SELECT pg_temp.deletes() AS "domain over an array";
DROP INDEX regress_faults_i;
DROP DOMAIN regress_faults_list;
CREATE FUNCTION regress_faults_inlined(integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = 7';
CREATE INDEX regress_faults_i ON regress_faults_13 (n) WHERE regress_faults_inlined(n);
SELECT pg_temp.deletes() AS "function of an index";
DROP INDEX regress_faults_i;
CREATE TYPE regress_faults_enum AS ENUM ('a', 'b');
ALTER TABLE regress_faults_12 ADD e regress_faults_enum;
CREATE INDEX regress_faults_i ON regress_faults_13 (abs(n), (n IN (1, 2))) WHERE d = 7 AND e = 'a' AND CASE n WHEN 1 THEN true ELSE a[1] IS NULL END AND (n, a) IS NOT NULL;
-- A child that has no foreign key is not asked.
CREATE TABLE regress_faults_14 (id uuid REFERENCES apikeys.project, n integer);
CREATE TABLE regress_faults_15 () INHERITS (regress_faults_14);
CREATE INDEX ON regress_faults_15 (regress_faults_inlined(n));
-- No index can be added before the transaction ends, nor a reference to what a cascade changes.
RESET ROLE;
CREATE TABLE regress_faults_16 (id uuid REFERENCES apikeys.project ON DELETE CASCADE);
BEGIN;
SELECT pg_temp.deletes() AS "no code of hers";
SELECT relation::regclass, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation::regclass::text LIKE 'regress_faults_1_' AND mode = 'RowExclusiveLock' ORDER BY 1;
COMMIT;
DROP TABLE regress_faults_15, regress_faults_14, regress_faults_16;
INSERT INTO apikeys.project (id, organization_id, name) VALUES ('4d000000-0000-0000-0000-000000000000', :'org', 'P5');
DROP TABLE regress_faults_12;
DROP TYPE regress_faults_range, regress_faults_enum;
DROP DOMAIN regress_faults_domain;
DROP FUNCTION regress_faults_distance, regress_faults_inlined;
-- A superuser's table may do more, and have triggers, of superusers' functions; but not a
-- table that refers to it.
CREATE TABLE regress_faults_7 (id uuid UNIQUE REFERENCES apikeys.project ON DELETE SET NULL);
INSERT INTO regress_faults_7 VALUES ('4d000000-0000-0000-0000-000000000000');
CREATE TRIGGER t AFTER UPDATE ON regress_faults_7 FOR EACH ROW EXECUTE FUNCTION regress_faults_tell();
ALTER FUNCTION regress_faults_tell OWNER TO regress_apikeys_alice;
SELECT pg_temp.deletes() AS "superuser's table, another's function";
ALTER FUNCTION regress_faults_tell OWNER TO CURRENT_USER;
GRANT REFERENCES ON regress_faults_7 TO regress_apikeys_alice;
SET ROLE regress_apikeys_alice;
CREATE TABLE regress_faults_8 (id uuid REFERENCES regress_faults_7 (id) ON UPDATE CASCADE);
RESET ROLE;
SELECT pg_temp.deletes() AS "table that refers to the table";
DROP TABLE regress_faults_8;
CREATE TABLE regress_faults_9 (id uuid REFERENCES apikeys.project ON DELETE CASCADE) PARTITION BY LIST (id);
CREATE TABLE regress_faults_10 PARTITION OF regress_faults_9 DEFAULT;
SELECT pg_temp.deletes(), apikeys.create_project(:'org', 'P11') IS NOT NULL AS "partitions of superusers";
INSERT INTO apikeys.project (id, organization_id, name) VALUES ('4d000000-0000-0000-0000-000000000000', :'org', 'P5');
INSERT INTO regress_faults_7 VALUES ('4d000000-0000-0000-0000-000000000000');
ALTER TABLE regress_faults_10 OWNER TO regress_apikeys_alice;
SELECT pg_temp.deletes() AS "partition of another";
DROP TABLE regress_faults_9;
CREATE TABLE regress_faults_9 (org uuid, name text COLLATE "C", FOREIGN KEY (org, name) REFERENCES apikeys.project (organization_id, name) ON UPDATE CASCADE) PARTITION BY LIST (name);
CREATE TABLE regress_faults_10 PARTITION OF regress_faults_9 FOR VALUES IN ('P5');
CREATE TABLE regress_faults_11 PARTITION OF regress_faults_9 DEFAULT;
ALTER TABLE regress_faults_11 OWNER TO regress_apikeys_alice;
INSERT INTO regress_faults_9 VALUES (:'org', 'P5');
SELECT pg_temp.renames('P12') AS "partition of another, into which a row moves";
ALTER TABLE regress_faults_11 OWNER TO CURRENT_USER;
SELECT pg_temp.renames('P12') AS "partitions of superusers";
DROP TABLE regress_faults_9;
-- A generated column changes without being named: alice's table is asked of at the end of
-- the transaction.
CREATE TABLE regress_faults_9 (id uuid REFERENCES apikeys.project ON DELETE SET NULL, code text COLLATE "C" GENERATED ALWAYS AS (coalesce(id::text, 'none')) STORED UNIQUE);
INSERT INTO regress_faults_9 VALUES ('4d000000-0000-0000-0000-000000000000');
GRANT REFERENCES ON regress_faults_9 TO regress_apikeys_alice;
SET ROLE regress_apikeys_alice;
CREATE TABLE regress_faults_11 (code text COLLATE "C" REFERENCES regress_faults_9 (code) DEFERRABLE);
RESET ROLE;
SELECT pg_temp.deletes() AS "generated column";
DROP TABLE regress_faults_9, regress_faults_11;
-- What a superuser's trigger changes in other tables is not judged, and waits for nobody who
-- refers to them.
CREATE TABLE regress_faults_9 (id integer PRIMARY KEY, changes integer);
INSERT INTO regress_faults_9 VALUES (1, 0);
CREATE FUNCTION regress_faults_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE public.regress_faults_9 SET changes = changes + 1;
	RETURN NULL;
END;
$$;
CREATE TRIGGER regress_faults_count AFTER UPDATE ON apikeys.project FOR EACH ROW EXECUTE FUNCTION regress_faults_count();
GRANT REFERENCES ON regress_faults_9 TO regress_apikeys_alice;
SET ROLE regress_apikeys_alice;
CREATE TABLE regress_faults_11 (id integer REFERENCES regress_faults_9 ON DELETE CASCADE);
RESET ROLE;
BEGIN;
SELECT pg_temp.renames('P13') AS "foreign key to a table of a superuser's trigger";
SELECT count(*) AS "locks of it" FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'regress_faults_11'::regclass;
COMMIT;
SELECT changes FROM regress_faults_9;
DROP TABLE regress_faults_11;
-- In the extension's own it is, whatever it may do there.
CREATE OR REPLACE FUNCTION regress_faults_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	MERGE INTO apikeys.project AS p USING (SELECT 1) AS n ON false WHEN MATCHED THEN DELETE;
	RETURN NULL;
END;
$$;
SET ROLE regress_apikeys_alice;
CREATE TABLE regress_faults_11 (id uuid REFERENCES apikeys.project ON DELETE CASCADE);
RESET ROLE;
SELECT pg_temp.renames('P14') AS "merge";
DROP TRIGGER regress_faults_count ON apikeys.project;
DROP FUNCTION regress_faults_count;
DROP TABLE regress_faults_9, regress_faults_11;
-- Twice the same table.
CREATE TABLE regress_faults_11 (id uuid REFERENCES apikeys.project ON DELETE CASCADE,
	other uuid REFERENCES apikeys.project ON DELETE SET NULL);
INSERT INTO regress_faults_11 VALUES (NULL, '4d000000-0000-0000-0000-000000000000');
SELECT pg_temp.deletes() AS "no code of others";
SELECT count(*), count(id) FROM regress_faults_7;
SELECT * FROM regress_faults_11;
DROP TABLE regress_faults_11;
-- Nor is a superuser's trigger on our own table, of a superuser's function, in the way.
CREATE TRIGGER regress_faults_t AFTER DELETE ON apikeys.project FOR EACH ROW EXECUTE FUNCTION regress_faults_tell();
INSERT INTO apikeys.project (id, organization_id, name) VALUES ('4d000000-0000-0000-0000-000000000000', :'org', 'P5');
SELECT pg_temp.deletes();
-- Another role's is, also one with settings or its definer's rights, who could bind a key
-- of its own.
INSERT INTO apikeys.project (id, organization_id, name) VALUES ('4d000000-0000-0000-0000-000000000000', :'org', 'P5');
ALTER FUNCTION regress_faults_tell OWNER TO regress_apikeys_alice;
SELECT pg_temp.deletes() AS "another's";
ALTER FUNCTION regress_faults_tell SET work_mem = '4MB';
SELECT pg_temp.deletes() AS "with settings";
ALTER FUNCTION regress_faults_tell SECURITY DEFINER;
SELECT pg_temp.deletes() AS "definer's rights and settings";
ALTER FUNCTION regress_faults_tell RESET ALL;
SELECT pg_temp.deletes() AS "definer's rights";
ALTER FUNCTION regress_faults_tell OWNER TO CURRENT_USER;
SELECT pg_temp.deletes() AS "a superuser's";
DROP TRIGGER regress_faults_t ON apikeys.project;
DROP TABLE regress_faults_4, regress_faults_7;
DROP CAST (regress_faults_type AS uuid);
DROP FUNCTION regress_faults_cast, regress_faults_tell;
DROP TYPE regress_faults_type;
-- ------------------------------------------------------------------ who looks behind the views
-- Predefined roles imply USAGE on every schema, and what views call trusts them.
CREATE ROLE regress_apikeys_data;
SELECT apikeys.grant_access('regress_apikeys_data', 'manage');
GRANT pg_read_all_data, pg_write_all_data TO regress_apikeys_data;
SELECT pg_temp.tries('regress_apikeys_data', 'SELECT * FROM apikeys.keys'),
	pg_temp.tries('regress_apikeys_data', 'SELECT * FROM apikeys.rehash_status'),
	pg_temp.tries('regress_apikeys_data', 'SELECT * FROM apikeys_internal.key_secret_form'),
	pg_temp.tries('regress_apikeys_data', format('SELECT apikeys_internal.key_hint(%L, %L, ARRAY[%2$L]::uuid[])', :'wide', :'org')),
	pg_temp.tries('regress_apikeys_data', 'SELECT ''apikeys_internal.key_secret_form''::regclass');
SET search_path = apikeys_internal;
SELECT pg_temp.tries('regress_apikeys_data', 'SELECT * FROM key_secret_form'),
	pg_temp.tries('regress_apikeys_data', 'SELECT principal_roles()');
RESET search_path;
SET ROLE regress_apikeys_data;
SELECT count(*) FROM apikeys.keys;
RESET ROLE;
DROP OWNED BY regress_apikeys_data;
DROP ROLE regress_apikeys_data;

-- ------------------------------------------------------------------ who stops others
-- No role may lock a table.
SELECT pg_temp.tries('regress_apikeys_nobody', 'LOCK TABLE apikeys.organization, apikeys.role, apikeys.key IN ACCESS EXCLUSIVE MODE'),
	pg_temp.tries('regress_apikeys_alice', 'LOCK TABLE apikeys.key IN ROW EXCLUSIVE MODE');
-- Many events in one transaction, with and without notices.
SET apikeys.notify = on;
BEGIN;
SELECT count(apikeys.add_member(:'org', 'user:' || n, 'ORG_MEMBER')) FROM generate_series(1, 20000) AS n;
COMMIT;
BEGIN;
SELECT count(apikeys.remove_member(:'org', 'user:' || n, 'ORG_MEMBER')) FROM generate_series(1, 20000) AS n;
COMMIT;
RESET apikeys.notify;
-- A hash that takes seconds, in a column or among the secrets of a key.
SELECT pg_temp.tries('none', format('SELECT apikeys.import_key(%L, ''regress_slow'', ''$argon2id$v=19$m=262144,t=16,p=16$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA'', ''a key'', ''{}'')', :'org'));
-- Counters at the end of bigint.
SELECT apikeys.merge_usage('10000000-0000-0000-0000-000000000000', 1, ARRAY[:'wide'], '{NULL}', '{NULL}', '{9223372036854775807}', '{2001-01-01}', '{NULL}', '{1}', '{NULL}', '{2001-01-01}', '{9223372036854775807}', '{9223372036854775807}', ARRAY[:'org']::uuid[]);
SELECT apikeys.merge_usage('10000000-0000-0000-0000-000000000000', 2, ARRAY[:'wide'], '{NULL}', '{NULL}', '{1}', '{2001-01-01}', '{NULL}', '{1}', '{NULL}', '{2001-01-01}', '{1}', '{1}', ARRAY[:'org']::uuid[]);
SELECT use_count FROM apikeys.usage WHERE public_key = :'wide';
SELECT use_count, cost FROM apikeys.usage_by_hour WHERE public_key = :'wide';

-- ------------------------------------------------------------------ what surprises
-- A key that is denied from the start, because a month is longer elsewhere.
SELECT apikeys.set_organization_policy(:'org', max_key_lifetime => '1 month');
BEGIN;
SET LOCAL timezone = 'Asia/Tokyo';
SELECT public_key AS month, private_key AS month_secret FROM apikeys.create_key(:'org', 'A month', '{ORG_MEMBER}', expires_at => now() + interval '27 days') \gset
SELECT apikeys.authorize(:'month', :'month_secret', '192.0.2.1', 'organization.read');
COMMIT;
SELECT apikeys.set_organization_policy(:'org');
-- The current address is the client's.
SELECT apikeys.add_member(:'org', 'user:regress', 'ORG_OWNER');
BEGIN;
SELECT apikeys.act_as('user:regress', '203.0.113.50'::inet);
SELECT apikeys.add_current_address(:'month');
SELECT address, principal FROM apikeys.audit_event ORDER BY id DESC LIMIT 1;
ROLLBACK;
-- An owner's key with a list of its own manages keys; and does not shut itself out.
SELECT public_key AS own, private_key AS own_secret FROM apikeys.create_key(:'org', 'Own', '{ORG_OWNER}', '{192.0.2.0/24}') \gset
BEGIN;
SELECT apikeys.authenticate(:'own', :'own_secret', '192.0.2.7'::inet) = :'own';
SELECT apikeys.add_to_access_list(:'month', '10.0.0.0/8'::inet, '192.0.2.1'::inet);
SELECT pg_temp.tries('none', format('SELECT apikeys.remove_from_access_list(%L, ''192.0.2.0/24'')', :'own')),
	pg_temp.tries('none', format('SELECT apikeys.update_key(%L, access_list => ''{10.0.0.0/8}'')', :'own')),
	pg_temp.tries('none', format('SELECT apikeys.revoke_secret(%L, 1)', :'own'));
ROLLBACK;
-- Names that look alike, and a private key for a description.
SELECT pg_temp.tries('none', format('SELECT apikeys.rename_project(%L, %L)', :'p1', name))
FROM unnest(ARRAY[E'P1\u200b', E'P1\u202e', E'P\u00a01', E'P1\u0085', E'P1\u009b', E'P1\u3000', 'P1 ' || :'own_secret']) AS name;
SELECT pg_temp.tries('none', format('SELECT apikeys.update_key(%L, %L)', :'month', :'own_secret'));
-- Infinity is stored as no end.
SELECT (apikeys.update_key(:'month', expires_at => 'infinity')).expires_at IS NULL;
-- TRUNCATE is an event.
BEGIN;
TRUNCATE apikeys.key_role;
SELECT action FROM apikeys.audit_event ORDER BY id DESC LIMIT 1;
ROLLBACK;
-- Addresses as text, and a malformed one.
SELECT apikeys.authorize(:'own', :'own_secret', '192.0.2.1'::text, 'organization.read'),
	apikeys.authorize(:'own', :'own_secret', '192.0.2.1'::varchar, 'organization.read');
SELECT apikeys.add_to_access_list(:'month', '198.51.100.1'::text), apikeys.add_to_access_list(:'month', '198.51.100.2'::inet);

SELECT count(apikeys.delete_key(public_key)) FROM apikeys.key WHERE organization_id = :'org';
SELECT apikeys.delete_organization(:'org'), apikeys.drop_role('regress_faults_keys');
DELETE FROM apikeys.deleted_key;
DROP FUNCTION regress_faults_trigger;
DROP OWNED BY regress_apikeys_alice, regress_apikeys_km, regress_apikeys_pua, regress_apikeys_reader, regress_apikeys_nobody;
DROP ROLE regress_apikeys_alice, regress_apikeys_km, regress_apikeys_pua, regress_apikeys_reader, regress_apikeys_nobody;
