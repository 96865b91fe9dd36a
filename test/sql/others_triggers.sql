-- others_triggers.sql: triggers, foreign keys and constraints that a superuser has
-- added to tables of the extension are heeded by its own functions and its worker: what such
-- a trigger changes is a direct change, which decisions follow and the audit tells.
SET client_min_messages = warning;
SELECT apikeys.create_organization('regress_others', NULL) AS org \gset
SELECT apikeys.add_member(:'org', 'user:bob', 'ORG_OWNER') \g /dev/null
BEGIN;
SELECT apikeys.act_as('user:bob');
SELECT public_key AS key, private_key AS secret FROM apikeys.create_key(:'org', 'of Bob', '{ORG_READ_ONLY}') \gset
COMMIT;
SELECT public_key AS other, private_key AS other_secret FROM apikeys.create_key(:'org', 'other', '{ORG_READ_ONLY}') \gset
CREATE FUNCTION regress_others_enable() RETURNS void LANGUAGE sql AS $$
	UPDATE apikeys.key SET disabled_at = NULL WHERE description = 'of Bob';
$$;
CREATE FUNCTION regress_others_disable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE apikeys.key SET disabled_at = now() WHERE description = 'of Bob' AND disabled_at IS NULL;
	RETURN NULL;
END;
$$;
-- What a decision says, and which events are new; then the key is enabled again.
CREATE FUNCTION pg_temp.look(since bigint, secret text, OUT reason text, OUT actions text, OUT images_agree boolean) LANGUAGE plpgsql AS $$
DECLARE
	key constant text := (SELECT k.public_key FROM apikeys.key AS k WHERE k.description = 'of Bob');
BEGIN
	reason := (SELECT d.reason FROM apikeys.decide(key, secret, NULL::inet, 'clusters.read') AS d);
	actions := (SELECT string_agg(e.action, ' ' ORDER BY e.id) FROM apikeys.audit_event AS e WHERE e.id > since);
	images_agree := (SELECT i.disabled = s.disabled FROM apikeys.key_image AS i JOIN apikeys.key_image_source AS s USING (public_key) WHERE i.public_key = key);
	PERFORM regress_others_enable();
END;
$$;

-- ------------------------------------------------------------------- triggers
CREATE TRIGGER regress_others AFTER DELETE ON apikeys.member FOR EACH ROW EXECUTE FUNCTION regress_others_disable();
SELECT max(id) AS since FROM apikeys.audit_event \gset
SELECT apikeys.remove_member(:'org', 'user:bob', 'ORG_OWNER');
SELECT * FROM pg_temp.look(:since, :'secret');
DROP TRIGGER regress_others ON apikeys.member;
-- On the table itself.
CREATE TRIGGER regress_others AFTER UPDATE ON apikeys.key FOR EACH ROW WHEN (NEW.description = 'other') EXECUTE FUNCTION regress_others_disable();
SELECT max(id) AS since FROM apikeys.audit_event \gset
SELECT apikeys.disable_key(:'other');
SELECT * FROM pg_temp.look(:since, :'secret');
SELECT max(id) AS since FROM apikeys.audit_event \gset
SELECT apikeys.enable_key(:'other');
SELECT * FROM pg_temp.look(:since, :'secret');
DROP TRIGGER regress_others ON apikeys.key;
-- Also where a function that fails is caught, and after that the functions' own changes
-- are theirs again.
CREATE FUNCTION regress_others_fail() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'failed'; END $$;
CREATE FUNCTION regress_others_catch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM public.regress_others_fail();
	EXCEPTION WHEN raise_exception THEN
		UPDATE apikeys.key SET disabled_at = now() WHERE description = 'of Bob';
	END;
	PERFORM apikeys.update_key(public_key, description => 'another') FROM apikeys.key WHERE description = 'other';
	RETURN NULL;
END;
$$;
CREATE TRIGGER regress_others AFTER UPDATE ON apikeys.organization FOR EACH ROW EXECUTE FUNCTION regress_others_catch();
SELECT max(id) AS since FROM apikeys.audit_event \gset
SELECT apikeys.rename_organization(:'org', 'regress_others_2');
SELECT * FROM pg_temp.look(:since, :'secret');
DROP TRIGGER regress_others ON apikeys.organization;
-- Fired by the worker.
CREATE TRIGGER regress_others AFTER INSERT OR UPDATE ON apikeys.key_denial FOR EACH ROW EXECUTE FUNCTION regress_others_disable();
SELECT max(id) AS since FROM apikeys.audit_event \gset
SELECT apikeys.authorize(:'key', 'wrong', '10.0.0.1', 'clusters.read');
SELECT apikeys.flush_usage() \g /dev/null
SELECT * FROM pg_temp.look(:since, :'secret');
DROP TRIGGER regress_others ON apikeys.key_denial;
-- A new key.
CREATE TRIGGER regress_others AFTER INSERT ON apikeys.key_secret FOR EACH ROW EXECUTE FUNCTION regress_others_disable();
SELECT max(id) AS since FROM apikeys.audit_event \gset
SELECT 1 FROM apikeys.create_key(:'org', 'third', '{ORG_READ_ONLY}');
SELECT * FROM pg_temp.look(:since, :'secret');
DROP TRIGGER regress_others ON apikeys.key_secret;
-- A function of another role does not run there, also if PL/pgSQL knows it already, which
-- keeps expressions until the end of a transaction.
CREATE ROLE regress_others_mallory;
CREATE FUNCTION regress_others_theirs(name text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN name; END $$;
ALTER FUNCTION regress_others_theirs OWNER TO regress_others_mallory;
CREATE FUNCTION regress_others_helper(name text) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	result text;
BEGIN
	result := public.regress_others_theirs(name);
	RETURN result;
END;
$$;
CREATE FUNCTION regress_others_call() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := public.regress_others_helper(NEW.name); RETURN NEW; END $$;
CREATE TRIGGER regress_others BEFORE UPDATE ON apikeys.organization FOR EACH ROW EXECUTE FUNCTION regress_others_call();
\set VERBOSITY terse
BEGIN;
SELECT regress_others_helper('before' COLLATE "C");
SELECT apikeys.rename_organization(:'org', 'regress_others_3');
ROLLBACK;
\set VERBOSITY default
DROP TRIGGER regress_others ON apikeys.organization;
DROP FUNCTION regress_others_call, regress_others_helper, regress_others_theirs;
DROP ROLE regress_others_mallory;

-- What a superuser's function changes for another role is a direct change, whatever that
-- role has set: without events rows are changed in a superuser's own session only, as by a restore.
CREATE ROLE regress_others_app;
CREATE FUNCTION regress_others_stop() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	UPDATE apikeys.key SET disabled_at = now() WHERE description = 'of Bob';
$$;
SELECT max(id) AS since FROM apikeys.audit_event \gset
SET SESSION AUTHORIZATION regress_others_app;
SET row_security = off;
SELECT regress_others_stop();
RESET SESSION AUTHORIZATION;
SELECT * FROM pg_temp.look(:since, :'secret');
SELECT max(id) AS since FROM apikeys.audit_event \gset
SET ROLE regress_others_app;
SELECT regress_others_stop();
RESET ROLE;
SELECT * FROM pg_temp.look(:since, :'secret');
SELECT max(id) AS since FROM apikeys.audit_event \gset
SELECT regress_others_stop();
SELECT * FROM pg_temp.look(:since, :'secret');
RESET row_security;
DROP FUNCTION regress_others_stop;
DROP ROLE regress_others_app;

CREATE FUNCTION pg_temp.tries(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN feature_not_supported OR insufficient_privilege THEN
	GET STACKED DIAGNOSTICS id = CONSTRAINT_NAME;
	RETURN id || ': ' || SQLERRM;
END;
$$;
-- A role with TRIGGER makes none, and replaces none: conditions and deferred triggers would
-- run with the rights of others, in the worker as a superuser.
CREATE ROLE regress_others_mallory;
GRANT USAGE ON SCHEMA apikeys TO regress_others_mallory;
GRANT REFERENCES, TRIGGER ON ALL TABLES IN SCHEMA apikeys TO regress_others_mallory;
CREATE SCHEMA regress_others_mallory AUTHORIZATION regress_others_mallory;
SET ROLE regress_others_mallory;
CREATE FUNCTION regress_others_mallory.run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
SELECT pg_temp.tries($$CREATE TRIGGER theirs BEFORE UPDATE ON apikeys.key FOR EACH ROW WHEN (pg_notify('leak', current_user) IS NULL) EXECUTE FUNCTION suppress_redundant_updates_trigger()$$);
SELECT pg_temp.tries($$CREATE CONSTRAINT TRIGGER theirs AFTER INSERT ON apikeys.audit_seal DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION regress_others_mallory.run()$$);
SELECT pg_temp.tries($$CREATE OR REPLACE TRIGGER key_truncated AFTER TRUNCATE ON apikeys.key EXECUTE FUNCTION regress_others_mallory.run()$$);
SELECT pg_temp.tries($$CREATE TRIGGER theirs INSTEAD OF UPDATE ON apikeys.keys FOR EACH ROW EXECUTE FUNCTION regress_others_mallory.run()$$);
-- Nor does its table refer to one that the worker changes.
SELECT pg_temp.tries($$CREATE TABLE regress_others_mallory.denial (key text COLLATE "C", reason text COLLATE "C", FOREIGN KEY (key, reason) REFERENCES apikeys.key_denial)$$);
SELECT pg_temp.tries($$CREATE TABLE regress_others_mallory.image (key text COLLATE "C" REFERENCES apikeys.key_image)$$);
-- Triggers of foreign keys, and of its own tables, are made.
CREATE TABLE regress_others_mallory.note (key text COLLATE "C" REFERENCES apikeys.key);
CREATE TRIGGER own AFTER INSERT ON regress_others_mallory.note EXECUTE FUNCTION regress_others_mallory.run();
RESET ROLE;
\set VERBOSITY terse
DROP SCHEMA regress_others_mallory CASCADE;
\set VERBOSITY default
DROP OWNED BY regress_others_mallory;
DROP ROLE regress_others_mallory;

-- ---------------------------------------------------------------------- rules
-- What a rule would change could not be told from the function's own change.
SELECT pg_temp.tries($$CREATE RULE regress_others AS ON DELETE TO apikeys.member DO ALSO UPDATE apikeys.key SET disabled_at = now()$$);
SELECT pg_temp.tries($$CREATE RULE regress_others AS ON DELETE TO apikeys.member DO INSTEAD DELETE FROM apikeys.key_role$$);
CREATE VIEW regress_others_view AS SELECT * FROM apikeys.member;
SELECT pg_temp.tries($$CREATE RULE regress_others AS ON DELETE TO regress_others_view DO INSTEAD NOTHING$$);
DROP VIEW regress_others_view;
-- Nor on a table whose rows it deletes.
CREATE TABLE regress_others_settings (organization uuid REFERENCES apikeys.organization ON DELETE CASCADE, key text);
CREATE RULE regress_others AS ON DELETE TO regress_others_settings DO ALSO UPDATE apikeys.key SET disabled_at = now() WHERE public_key = OLD.key;
SELECT apikeys.create_organization('regress_others_3', NULL) AS another \gset
INSERT INTO regress_others_settings VALUES (:'another', :'key');
SELECT pg_temp.tries(format('SELECT apikeys.delete_organization(%L)', :'another'));
DROP RULE regress_others ON regress_others_settings;
SELECT pg_temp.tries(format('SELECT apikeys.delete_organization(%L)', :'another'));
SELECT count(*) FROM regress_others_settings;
DROP TABLE regress_others_settings;

-- ---------------------------------------------------------------- constraints
CREATE TABLE regress_others_customer (id text COLLATE "C" PRIMARY KEY);
INSERT INTO regress_others_customer VALUES ('somebody');
ALTER TABLE apikeys.key ADD CONSTRAINT regress_others_fkey FOREIGN KEY (owner) REFERENCES regress_others_customer;
SELECT 1 FROM apikeys.create_key(:'org', 'of somebody', '{ORG_READ_ONLY}', owner => 'somebody');
\set VERBOSITY terse
SELECT 1 FROM apikeys.create_key(:'org', 'of nobody', '{ORG_READ_ONLY}', owner => 'nobody');
ALTER TABLE apikeys.key DROP CONSTRAINT regress_others_fkey;
ALTER TABLE apikeys.key ADD CONSTRAINT regress_others_key UNIQUE (organization_id, description) DEFERRABLE INITIALLY DEFERRED;
SELECT 1 FROM apikeys.create_key(:'org', 'of somebody', '{ORG_READ_ONLY}');
ALTER TABLE apikeys.key DROP CONSTRAINT regress_others_key;
ALTER TABLE apikeys.key ADD CONSTRAINT regress_others_exclude EXCLUDE (description WITH =) WHERE (organization_id IS NOT NULL) DEFERRABLE INITIALLY DEFERRED;
SELECT 1 FROM apikeys.create_key(:'org', 'of somebody', '{ORG_READ_ONLY}');
ALTER TABLE apikeys.key DROP CONSTRAINT regress_others_exclude;
\set VERBOSITY default
SELECT count(*) FROM apikeys.keys WHERE organization_id = :'org' AND (description = 'of somebody' OR owner = 'nobody');
-- One that refers to our tables says nothing of new keys, and does not cost them more.
CREATE TABLE regress_others_invoice (public_key text COLLATE "C" REFERENCES apikeys.key);
SELECT public_key AS third FROM apikeys.create_key(:'org', 'fourth', '{ORG_READ_ONLY}') \gset
INSERT INTO regress_others_invoice VALUES (:'third');

-- What its check refuses is not quoted.
ALTER TABLE apikeys.key_secret ADD CONSTRAINT regress_others_check CHECK (hash IS NULL) NOT VALID;
SELECT 1 FROM apikeys.create_key(:'org', 'refused', '{ORG_READ_ONLY}');
SELECT apikeys.rotate_secret(:'other');
ALTER TABLE apikeys.key_secret DROP CONSTRAINT regress_others_check;
-- Default values of columns say nothing of new keys, nor to decisions.
ALTER TABLE apikeys.key ALTER disabled_at SET DEFAULT now();
ALTER TABLE apikeys.key_secret ALTER expires_at SET DEFAULT now();
SELECT public_key AS by_default, private_key AS by_default_secret FROM apikeys.create_key(:'org', 'by default', '{ORG_READ_ONLY}') \gset
SELECT status FROM apikeys.keys WHERE public_key = :'by_default';
SELECT reason FROM apikeys.decide(:'by_default', :'by_default_secret', NULL, 'clusters.read');
SELECT apikeys.disable_key(:'by_default');
SELECT reason FROM apikeys.decide(:'by_default', :'by_default_secret', NULL, 'clusters.read');
ALTER TABLE apikeys.key ALTER disabled_at DROP DEFAULT;
ALTER TABLE apikeys.key_secret ALTER expires_at DROP DEFAULT;
-- A key and its secret may be inserted by one statement.
WITH k AS (INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_others_1', :'org', 'at once'))
INSERT INTO apikeys.key_secret (public_key, version, hash, hint, expires_at)
	VALUES ('regress_others_1', 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, '', now() + interval '1 day');
SELECT organization_id = :'org' AS of_its_organization FROM apikeys.key_secret WHERE public_key = 'regress_others_1';
-- And stay in their organization.
SELECT pg_temp.tries($$UPDATE apikeys.key SET organization_id = gen_random_uuid() WHERE public_key = 'regress_others_1'$$);

-- Nor can what a foreign key changes that leads back to our tables.
CREATE TABLE regress_others_contract (id text COLLATE "C" PRIMARY KEY, public_key text COLLATE "C" REFERENCES apikeys.key ON DELETE CASCADE);
INSERT INTO regress_others_contract VALUES ('c', :'third');
ALTER TABLE apikeys.key ADD CONSTRAINT regress_others_fkey FOREIGN KEY (owner) REFERENCES regress_others_contract ON DELETE CASCADE NOT VALID;
SELECT 1 FROM apikeys.create_key(:'org', 'of a contract', '{ORG_READ_ONLY}', owner => 'c');
DROP TABLE regress_others_invoice;
SELECT pg_temp.tries(format('SELECT apikeys.delete_key(%L)', :'third'));
ALTER TABLE apikeys.key DROP CONSTRAINT regress_others_fkey;
SELECT pg_temp.tries(format('SELECT apikeys.delete_key(%L)', :'third'));
SELECT * FROM regress_others_contract;

DROP TABLE regress_others_contract, regress_others_customer;
DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress\_others%';
SELECT apikeys.delete_organization(:'org');
DROP FUNCTION regress_others_enable, regress_others_disable, regress_others_fail, regress_others_catch;
