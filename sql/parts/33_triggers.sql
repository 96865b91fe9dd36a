-- Triggers: what must hold for a superuser's direct SQL, for restores and for
-- logical replication as well as for verbs.

-- The id of a role, whoever writes it.
CREATE FUNCTION apikeys_internal.role_named() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_RELID <> 'apikeys.role'::regclass THEN
		RAISE EXCEPTION USING
			ERRCODE = '39P01',
			MESSAGE = 'this function must be called by a trigger of its own table',
			CONSTRAINT = 'trigger_protocol_violated';
	END IF;
	NEW.id := coalesce(NEW.organization_id::text || '/', '') || NEW.name;
	RETURN NEW;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.role_named() IS
	'Trigger function: sets the id of a role.';

CREATE TRIGGER role_named BEFORE INSERT OR UPDATE ON apikeys.role
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.role_named();
ALTER TABLE apikeys.role ENABLE ALWAYS TRIGGER role_named;
COMMENT ON TRIGGER role_named ON apikeys.role IS 'Sets the id of the role.';

-- The PostgreSQL role that is the member.  A dump has its name in both columns;
-- database_role follows a renamed role, so it decides.
CREATE FUNCTION apikeys_internal.member_role_noted() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_RELID <> 'apikeys.member'::regclass THEN
		RAISE EXCEPTION USING
			ERRCODE = '39P01',
			MESSAGE = 'this function must be called by a trigger of its own table',
			CONSTRAINT = 'trigger_protocol_violated';
	END IF;
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
		SELECT 'role:' || r.rolname INTO NEW.principal FROM pg_roles AS r WHERE r.oid = NEW.database_role;
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
	'Trigger function: notes which PostgreSQL role a member is.';

CREATE TRIGGER member_role_noted BEFORE INSERT OR UPDATE ON apikeys.member
	FOR EACH ROW WHEN (NEW.principal LIKE 'role:%' OR NEW.database_role IS NOT NULL)
	EXECUTE FUNCTION apikeys_internal.member_role_noted();
ALTER TABLE apikeys.member ENABLE ALWAYS TRIGGER member_role_noted;
COMMENT ON TRIGGER member_role_noted ON apikeys.member IS 'Notes which PostgreSQL role the member is.';

-- No public key is used again.
CREATE FUNCTION apikeys_internal.key_deleted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_deleted';
COMMENT ON FUNCTION apikeys_internal.key_deleted() IS
	'Trigger function: notes the public key of a deleted key, and drops its usage.';
CREATE TRIGGER key_deleted AFTER DELETE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.key_deleted();
COMMENT ON TRIGGER key_deleted ON apikeys.key IS 'Notes the public key of a deleted key, and drops its usage.';

-- Recorded uses of a secret become uses of the key when the secret is deleted.
CREATE FUNCTION apikeys_internal.secret_deleted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_secret_deleted';
COMMENT ON FUNCTION apikeys_internal.secret_deleted() IS
	'Trigger function: adds up the uses of deleted secrets.';
CREATE TRIGGER secret_deleted AFTER DELETE ON apikeys.key_secret
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.secret_deleted();
COMMENT ON TRIGGER secret_deleted ON apikeys.key_secret IS 'Adds up the uses of deleted secrets.';

-- The images of keys: at the end of the statement, or with each row where rows
-- arrive by logical replication.  Bodies of verbs call make_images or
-- insert_keys instead.
CREATE FUNCTION apikeys_internal.key_changed() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_changed';
COMMENT ON FUNCTION apikeys_internal.key_changed() IS
	'Trigger function: makes the images of the changed keys again, unless a verb changes them.';

CREATE FUNCTION apikeys_internal.make_images(keys text[]) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_make_images';
COMMENT ON FUNCTION apikeys_internal.make_images(text[]) IS
	'Makes the images of the keys again. Called by each verb for the keys that it has changed.';

CREATE FUNCTION apikeys_internal.insert_keys(
	organization uuid, project uuid, public_keys text[], hashes text[], hints text[], descriptions text[],
	grants text[], access_lists text[], expirations timestamptz[], owners text[], metadata jsonb[]) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_insert_keys';
COMMENT ON FUNCTION apikeys_internal.insert_keys(uuid, uuid, text[], text[], text[], text[], text[], text[], timestamptz[], text[], jsonb[]) IS
	'Inserts keys with what they hold in an organization or, with a project, in that project, a secret each, and their images. A key is an element of each array; grants are arrays in their text form, of ids of roles, and of permissions behind an equals sign.';

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
CREATE TRIGGER key_role_replicated AFTER INSERT OR UPDATE OR DELETE ON apikeys.key_role
	FOR EACH ROW EXECUTE FUNCTION apikeys_internal.key_changed();
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
ALTER TABLE apikeys.key ENABLE REPLICA TRIGGER key_replicated;
ALTER TABLE apikeys.key ENABLE ALWAYS TRIGGER key_truncated;
ALTER TABLE apikeys.key_role ENABLE REPLICA TRIGGER key_role_replicated;
ALTER TABLE apikeys.key_role ENABLE ALWAYS TRIGGER key_role_truncated;
ALTER TABLE apikeys.key_secret ENABLE REPLICA TRIGGER key_secret_replicated;
ALTER TABLE apikeys.key_secret ENABLE ALWAYS TRIGGER key_secret_truncated;
COMMENT ON TRIGGER key_rows_inserted ON apikeys.key IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_rows_updated ON apikeys.key IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_rows_deleted ON apikeys.key IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_replicated ON apikeys.key IS 'Makes the image of the key again, where rows arrive by logical replication.';
COMMENT ON TRIGGER key_truncated ON apikeys.key IS 'Makes all images again.';
COMMENT ON TRIGGER key_role_rows_inserted ON apikeys.key_role IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_role_rows_updated ON apikeys.key_role IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_role_rows_deleted ON apikeys.key_role IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_role_replicated ON apikeys.key_role IS 'Makes the image of the key again, where rows arrive by logical replication.';
COMMENT ON TRIGGER key_role_truncated ON apikeys.key_role IS 'Makes all images again.';
COMMENT ON TRIGGER key_secret_rows_inserted ON apikeys.key_secret IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_secret_rows_updated ON apikeys.key_secret IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_secret_rows_deleted ON apikeys.key_secret IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_secret_replicated ON apikeys.key_secret IS 'Makes the image of the key again, where rows arrive by logical replication.';
COMMENT ON TRIGGER key_secret_truncated ON apikeys.key_secret IS 'Makes all images again.';

CREATE FUNCTION apikeys.rebuild_images() RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_rebuild_images';
COMMENT ON FUNCTION apikeys.rebuild_images() IS
	'Makes the images of all keys again and returns how many; needed only after rows were loaded with triggers disabled. EXECUTE is not granted to PUBLIC.';

-- Entries of access lists have an age, and what is recorded of one ends with it.
CREATE FUNCTION apikeys_internal.access_list_changed() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone cidr[];
BEGIN
	IF TG_RELID <> 'apikeys.key'::regclass THEN
		RAISE EXCEPTION USING
			ERRCODE = '39P01',
			MESSAGE = 'this function must be called by a trigger of its own table',
			CONSTRAINT = 'trigger_protocol_violated';
	END IF;
	INSERT INTO apikeys.key_network (public_key, network)
		SELECT NEW.public_key, n.network FROM (
			SELECT unnest(NEW.access_list::cidr[]) EXCEPT SELECT unnest(OLD.access_list::cidr[])) AS n (network)
		ON CONFLICT DO NOTHING;
	gone := ARRAY(SELECT unnest(OLD.access_list::cidr[]) EXCEPT SELECT unnest(NEW.access_list::cidr[]));
	DELETE FROM apikeys.key_network AS n WHERE n.public_key = NEW.public_key AND n.network = ANY (gone);
	-- Its uses stay the key's.
	WITH u AS (
		DELETE FROM apikeys.key_usage AS u WHERE u.public_key = NEW.public_key AND u.network = ANY (gone)
		RETURNING u.*)
	INSERT INTO apikeys.key_usage AS k (public_key, use_count, last_used_at, last_used_address, secret_version)
		SELECT NEW.public_key, least(sum(u.use_count), 9223372036854775807), max(u.last_used_at),
			(array_agg(u.last_used_address ORDER BY u.last_used_at DESC))[1], u.secret_version
		FROM u GROUP BY u.secret_version
		ON CONFLICT ON CONSTRAINT key_usage_key DO UPDATE SET
			use_count = least(k.use_count::numeric + excluded.use_count, 9223372036854775807),
			last_used_at = greatest(k.last_used_at, excluded.last_used_at),
			last_used_address = CASE WHEN excluded.last_used_at > k.last_used_at
				THEN excluded.last_used_address ELSE k.last_used_address END;
	RETURN NULL;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.access_list_changed() IS
	'Trigger function: notes when entries of an access list were added, and adds the uses of removed ones to those of the key.';
CREATE TRIGGER key_access_list_changed AFTER UPDATE OF access_list ON apikeys.key
	FOR EACH ROW WHEN (OLD.access_list OPERATOR(apikeys.<>) NEW.access_list)
	EXECUTE FUNCTION apikeys_internal.access_list_changed();
COMMENT ON TRIGGER key_access_list_changed ON apikeys.key IS
	'Notes when entries of an access list were added.';
