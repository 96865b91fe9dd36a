-- Triggers, for rules that must hold for a superuser's direct SQL, restores and
-- logical replication as well as for verbs.  36_trigger_modes.sql says which of
-- them fire when rows arrive by logical replication.

-- The owner of another table can name any trigger function that it may execute.
CREATE FUNCTION apikeys_internal.check_trigger(relation oid, own regclass) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF relation <> own THEN
		RAISE EXCEPTION USING
			ERRCODE = '39P01',
			MESSAGE = 'this function must be called by a trigger of its own table',
			CONSTRAINT = 'trigger_protocol_violated';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_trigger(oid, regclass) IS
	'Raises 39P01 if a trigger function is called for another table than its own.';

-- The id of a role, for writes of every principal.
CREATE FUNCTION apikeys_internal.role_named() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys_internal.check_trigger(TG_RELID, 'apikeys.role');
	NEW.id := coalesce(NEW.organization_id::text || '/', '') || NEW.name;
	RETURN NEW;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.role_named() IS
	'Trigger function: sets the id of a role.';

CREATE TRIGGER role_named BEFORE INSERT OR UPDATE ON apikeys.role
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.role_named();
COMMENT ON TRIGGER role_named ON apikeys.role IS 'Sets the id of the role.';

-- A policy is kept in memory by the version of the organization's row.
CREATE FUNCTION apikeys_internal.organization_limit_changed() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_organization_limit_changed';
COMMENT ON FUNCTION apikeys_internal.organization_limit_changed() IS
	'Trigger function: writes the images of the limits of an organization into its row.';

CREATE TRIGGER organization_limit_changed AFTER INSERT OR UPDATE OR DELETE ON apikeys.organization_limit
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.organization_limit_changed();
CREATE TRIGGER organization_limit_truncated AFTER TRUNCATE ON apikeys.organization_limit
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.organization_limit_changed();
COMMENT ON TRIGGER organization_limit_changed ON apikeys.organization_limit IS 'Writes the images of the limits of the organization.';
COMMENT ON TRIGGER organization_limit_truncated ON apikeys.organization_limit IS 'Writes the images of the limits of all organizations.';

-- The PostgreSQL role that is the member.  A dump has its name in both columns;
-- database_role follows a renamed role, so it decides.
CREATE FUNCTION apikeys_internal.member_role_noted() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys_internal.check_trigger(TG_RELID, 'apikeys.member');
	IF NEW.principal NOT LIKE 'role:%' THEN
		NEW.database_role := NULL;
	ELSIF NEW.database_role IS NULL OR (TG_OP = 'UPDATE' AND NEW.principal <> OLD.principal) THEN
		SELECT r.oid INTO NEW.database_role FROM pg_roles AS r WHERE r.rolname = substr(NEW.principal, 6);
		IF NOT FOUND THEN
			RAISE undefined_object USING
				MESSAGE = 'PostgreSQL role does not exist',
				DETAIL = 'A member role:<name> names an existing PostgreSQL role.',
				CONSTRAINT = 'database_role_not_found';
		END IF;
	ELSE
		-- A role can be renamed to what no principal is called.
		SELECT CASE WHEN apikeys_internal.is_principal('role:' || r.rolname) THEN 'role:' || r.rolname ELSE NEW.principal END
			INTO NEW.principal FROM pg_roles AS r WHERE r.oid = NEW.database_role;
		IF NOT FOUND THEN
			RAISE undefined_object USING
				MESSAGE = 'PostgreSQL role does not exist',
				DETAIL = 'Column database_role names an existing PostgreSQL role.',
				CONSTRAINT = 'database_role_not_found';
		END IF;
	END IF;
	RETURN NEW;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.member_role_noted() IS
	'Trigger function: records which PostgreSQL role a member is.';

CREATE TRIGGER member_role_noted BEFORE INSERT OR UPDATE ON apikeys.member
	FOR EACH ROW WHEN (NEW.principal LIKE 'role:%' OR NEW.database_role IS NOT NULL)
	EXECUTE FUNCTION apikeys_internal.member_role_noted();
COMMENT ON TRIGGER member_role_noted ON apikeys.member IS 'Records which PostgreSQL role the member is.';

-- Public keys are never reused.
CREATE FUNCTION apikeys_internal.key_deleted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_deleted';
COMMENT ON FUNCTION apikeys_internal.key_deleted() IS
	'Trigger function: records the public key of a deleted key, and removes its usage.';
CREATE TRIGGER key_deleted AFTER DELETE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.key_deleted();
COMMENT ON TRIGGER key_deleted ON apikeys.key IS 'Records the public key of a deleted key, and removes its usage.';

-- What was spent is known by the limits_id of a key or its organization, and by the
-- id of the limit.  The limits of a key that is deleted end with its limits_id.
CREATE FUNCTION apikeys_internal.limits_ended() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_limits_ended';
COMMENT ON FUNCTION apikeys_internal.limits_ended() IS
	'Trigger function: frees what was spent of limits that are no more.';
CREATE TRIGGER key_limits_ended AFTER DELETE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.limits_ended();
CREATE TRIGGER key_limits_reset AFTER UPDATE OF limits_id ON apikeys.key
	FOR EACH ROW WHEN (OLD.limits_id OPERATOR(pg_catalog.<>) NEW.limits_id)
	EXECUTE FUNCTION apikeys_internal.limits_ended();
CREATE TRIGGER key_limit_ended AFTER DELETE ON apikeys.key_limit
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.limits_ended();
CREATE TRIGGER organization_limits_ended AFTER DELETE ON apikeys.organization
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.limits_ended();
CREATE TRIGGER organization_limit_ended AFTER DELETE ON apikeys.organization_limit
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.limits_ended();
COMMENT ON TRIGGER key_limits_ended ON apikeys.key IS 'Frees what was spent of the limits of a deleted key.';
COMMENT ON TRIGGER key_limits_reset ON apikeys.key IS 'Frees what was spent of the limits of a key before they were reset.';
COMMENT ON TRIGGER key_limit_ended ON apikeys.key_limit IS 'Frees what was spent of a removed limit.';
COMMENT ON TRIGGER organization_limits_ended ON apikeys.organization IS 'Frees what was spent of the limits of a deleted organization.';
COMMENT ON TRIGGER organization_limit_ended ON apikeys.organization_limit IS 'Frees what was spent of a removed limit.';

-- An entry that is removed and added again starts at zero.
CREATE FUNCTION apikeys_internal.access_list_changed() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_access_list_changed';
COMMENT ON FUNCTION apikeys_internal.access_list_changed() IS
	'Trigger function: counts recorded uses by entries that were removed from an access list as uses of the key only.';
CREATE TRIGGER access_list_changed AFTER UPDATE OF access_list ON apikeys.key
	FOR EACH ROW WHEN (OLD.access_list OPERATOR(apikeys.<>) NEW.access_list)
	EXECUTE FUNCTION apikeys_internal.access_list_changed();
COMMENT ON TRIGGER access_list_changed ON apikeys.key IS 'Counts uses by removed entries as uses of the key only.';

-- The organization of a secret, by which the secrets of one that expire are found.
-- Where the key is inserted by the same statement, or arrives later, it sets that.
CREATE FUNCTION apikeys_internal.secret_inserted() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys_internal.check_trigger(TG_RELID, 'apikeys.key_secret');
	NEW.organization_id := coalesce(
		(SELECT k.organization_id FROM apikeys.key AS k WHERE k.public_key = NEW.public_key), NEW.organization_id);
	RETURN NEW;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.secret_inserted() IS
	'Trigger function: sets the organization of a secret.';
CREATE TRIGGER secret_inserted BEFORE INSERT OR UPDATE OF public_key, organization_id ON apikeys.key_secret
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.secret_inserted();
COMMENT ON TRIGGER secret_inserted ON apikeys.key_secret IS 'Sets the organization of the secret.';

CREATE FUNCTION apikeys_internal.key_inserted() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys_internal.check_trigger(TG_RELID, 'apikeys.key');
	UPDATE apikeys.key_secret AS s SET organization_id = NEW.organization_id
		WHERE s.public_key = NEW.public_key AND s.organization_id IS DISTINCT FROM NEW.organization_id;
	RETURN NULL;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.key_inserted() IS
	'Trigger function: sets the organization of the secrets of a key that are there before it.';
CREATE TRIGGER key_inserted AFTER INSERT ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.key_inserted();
COMMENT ON TRIGGER key_inserted ON apikeys.key IS 'Sets the organization of secrets that are there before their key.';

-- What is recorded of a key is of its organization.
CREATE FUNCTION apikeys_internal.key_moved() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE feature_not_supported USING
		MESSAGE = 'a key cannot be moved to another organization',
		HINT = 'Create a key there, and delete this one.',
		CONSTRAINT = 'key_not_movable';
END;
$$;
COMMENT ON FUNCTION apikeys_internal.key_moved() IS
	'Trigger function: refuses to move a key to another organization.';
CREATE TRIGGER key_moved BEFORE UPDATE OF organization_id ON apikeys.key
	FOR EACH ROW WHEN (OLD.organization_id OPERATOR(pg_catalog.<>) NEW.organization_id)
	EXECUTE FUNCTION apikeys_internal.key_moved();
COMMENT ON TRIGGER key_moved ON apikeys.key IS 'Refuses to move a key to another organization.';

-- Recorded uses of a secret become uses of the key when the secret is deleted.
CREATE FUNCTION apikeys_internal.secret_deleted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_secret_deleted';
COMMENT ON FUNCTION apikeys_internal.secret_deleted() IS
	'Trigger function: adds the uses of deleted secrets to those of the key.';
CREATE TRIGGER secret_deleted AFTER DELETE ON apikeys.key_secret
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.secret_deleted();
COMMENT ON TRIGGER secret_deleted ON apikeys.key_secret IS 'Adds the uses of deleted secrets to those of the key.';

-- The images of keys: at the end of the statement, or with each row where rows
-- arrive by logical replication, where those of key_role wait for the end of the
-- transaction, since a key may have thousands.  Bodies of verbs call make_images or
-- insert_keys instead.
CREATE FUNCTION apikeys_internal.key_changed() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_changed';
COMMENT ON FUNCTION apikeys_internal.key_changed() IS
	'Trigger function: rebuilds the images of the changed keys, unless a verb changes them.';

CREATE FUNCTION apikeys_internal.make_images(keys text[]) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_make_images';
COMMENT ON FUNCTION apikeys_internal.make_images(text[]) IS
	'Rebuilds the images of the keys. Called by each verb for the keys that it has changed.';

CREATE FUNCTION apikeys_internal.insert_keys(
	organization uuid, project uuid, public_keys text[], hashes text[], hints text[], descriptions text[],
	grants text[], access_lists text[], expirations timestamptz[], owners text[], metadata jsonb[],
	environment text) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_insert_keys';
COMMENT ON FUNCTION apikeys_internal.insert_keys(uuid, uuid, text[], text[], text[], text[], text[], text[], timestamptz[], text[], jsonb[], text) IS
	'Inserts keys with what they hold in an organization or, with a project, in that project, a secret each, and their images, all for one environment. A key is an element of each array; grants are arrays in their text form, of ids of roles, and of permissions behind an equals sign.';

CREATE FUNCTION apikeys_internal.taken_keys(public_keys text[]) RETURNS text[]
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_taken_keys';
COMMENT ON FUNCTION apikeys_internal.taken_keys(text[]) IS
	'Returns those of the public keys that a key has, or had before it was deleted.';

CREATE TRIGGER key_rows_inserted AFTER INSERT ON apikeys.key REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_rows_updated AFTER UPDATE ON apikeys.key REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_rows_deleted AFTER DELETE ON apikeys.key REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_replicated AFTER INSERT OR UPDATE OR DELETE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_truncated AFTER TRUNCATE ON apikeys.key
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_role_rows_inserted AFTER INSERT ON apikeys.key_role REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_role_rows_updated AFTER UPDATE ON apikeys.key_role REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_role_rows_deleted AFTER DELETE ON apikeys.key_role REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE CONSTRAINT TRIGGER key_role_replicated AFTER INSERT OR UPDATE OR DELETE ON apikeys.key_role
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_role_truncating BEFORE TRUNCATE ON apikeys.key_role
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_role_truncated AFTER TRUNCATE ON apikeys.key_role
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_secret_rows_inserted AFTER INSERT ON apikeys.key_secret REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_secret_rows_updated AFTER UPDATE ON apikeys.key_secret REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_secret_rows_deleted AFTER DELETE ON apikeys.key_secret REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_secret_replicated AFTER INSERT OR UPDATE OR DELETE ON apikeys.key_secret
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_secret_truncated AFTER TRUNCATE ON apikeys.key_secret
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_limit_rows_inserted AFTER INSERT ON apikeys.key_limit REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_limit_rows_updated AFTER UPDATE ON apikeys.key_limit REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_limit_rows_deleted AFTER DELETE ON apikeys.key_limit REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_limit_replicated AFTER INSERT OR UPDATE OR DELETE ON apikeys.key_limit
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.key_changed();
CREATE TRIGGER key_limit_truncated AFTER TRUNCATE ON apikeys.key_limit
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys_internal.key_changed();
COMMENT ON TRIGGER key_rows_inserted ON apikeys.key IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_rows_updated ON apikeys.key IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_rows_deleted ON apikeys.key IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_replicated ON apikeys.key IS 'Rebuilds the image of the key when rows arrive by logical replication.';
COMMENT ON TRIGGER key_truncated ON apikeys.key IS 'Rebuilds all images.';
COMMENT ON TRIGGER key_role_rows_inserted ON apikeys.key_role IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_role_rows_updated ON apikeys.key_role IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_role_rows_deleted ON apikeys.key_role IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_role_replicated ON apikeys.key_role IS 'Rebuilds the image of the key when rows arrive by logical replication.';
COMMENT ON TRIGGER key_role_truncating ON apikeys.key_role IS 'Rebuilds the images of keys whose rows arrived before in the transaction.';
COMMENT ON TRIGGER key_role_truncated ON apikeys.key_role IS 'Rebuilds all images.';
COMMENT ON TRIGGER key_secret_rows_inserted ON apikeys.key_secret IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_secret_rows_updated ON apikeys.key_secret IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_secret_rows_deleted ON apikeys.key_secret IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_secret_replicated ON apikeys.key_secret IS 'Rebuilds the image of the key when rows arrive by logical replication.';
COMMENT ON TRIGGER key_secret_truncated ON apikeys.key_secret IS 'Rebuilds all images.';
COMMENT ON TRIGGER key_limit_rows_inserted ON apikeys.key_limit IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_limit_rows_updated ON apikeys.key_limit IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_limit_rows_deleted ON apikeys.key_limit IS 'Rebuilds the images of the keys.';
COMMENT ON TRIGGER key_limit_replicated ON apikeys.key_limit IS 'Rebuilds the image of the key when rows arrive by logical replication.';
COMMENT ON TRIGGER key_limit_truncated ON apikeys.key_limit IS 'Rebuilds all images.';

CREATE FUNCTION apikeys.rebuild_images() RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_rebuild_images';
COMMENT ON FUNCTION apikeys.rebuild_images() IS
	'Rebuilds the images of all keys, and returns their number; needed only after rows were loaded with triggers disabled. Sets also which triggers of the extension fire when, as pg_restore --disable-triggers does not leave it. EXECUTE is not granted to PUBLIC.';

-- Entries of access lists have an age.
CREATE FUNCTION apikeys_internal.access_list_dated() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys_internal.check_trigger(TG_RELID, 'apikeys.key');
	INSERT INTO apikeys.key_network (public_key, network)
		SELECT NEW.public_key, unnest(apikeys_internal.access_list_without(NEW.access_list, OLD.access_list)::cidr[])
		ON CONFLICT DO NOTHING;
	DELETE FROM apikeys.key_network AS n
		WHERE n.public_key = NEW.public_key AND n.network = ANY (
			apikeys_internal.access_list_without(OLD.access_list, NEW.access_list)::cidr[]);
	RETURN NULL;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.access_list_dated() IS
	'Trigger function: notes when entries of an access list were added.';
CREATE TRIGGER key_access_list_dated AFTER UPDATE OF access_list ON apikeys.key
	FOR EACH ROW WHEN (OLD.access_list OPERATOR(apikeys.<>) NEW.access_list)
	EXECUTE FUNCTION apikeys_internal.access_list_dated();
COMMENT ON TRIGGER key_access_list_dated ON apikeys.key IS
	'Notes when entries of an access list were added.';
