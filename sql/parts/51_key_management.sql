-- Keys: create, view, change, rotate, delete.

CREATE FUNCTION apikeys.generate_public_key() RETURNS text
	LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_generate_public_key';
COMMENT ON FUNCTION apikeys.generate_public_key() IS
	'A new random public key, with the prefix of apikeys.token_prefix.';

CREATE FUNCTION apikeys.issue_secret(public_key text, overlap interval DEFAULT '0') RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_issue_secret';
COMMENT ON FUNCTION apikeys.issue_secret(text, interval) IS
	'Makes a new secret for a key, stores its hash and returns it: the one time that it can be seen. Of those it had, the newest live one lives on for overlap. rotate_secret is what you want.';

CREATE FUNCTION apikeys.create_key(
	organization uuid, description text, roles text[],
	access_list apikeys.access_list DEFAULT '{}', expires_at timestamptz DEFAULT NULL) RETURNS apikeys.new_key
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_public_key constant text := apikeys.generate_public_key();
BEGIN
	PERFORM apikeys.check_not_null('organization', organization::text, 'description', description,
		'roles', roles::text, 'access_list', access_list::text);
	PERFORM apikeys.check_name('description', description);
	PERFORM apikeys.check_permission('apikeys.keys.manage', organization);
	PERFORM apikeys.check_grant(roles, organization);
	INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at)
		VALUES (new_public_key, create_key.organization, create_key.description,
			create_key.access_list, create_key.expires_at);
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT new_public_key, create_key.organization, granted FROM unnest(roles) AS granted;
	RETURN (new_public_key, apikeys.issue_secret(new_public_key));
END;
$$;
COMMENT ON FUNCTION apikeys.create_key(uuid, text, text[], apikeys.access_list, timestamptz) IS
	'Creates a key with roles in an organization, and returns its public key and, this once, its private key. Needs apikeys.keys.manage in the organization.';

CREATE FUNCTION apikeys.create_project_key(
	project uuid, description text, roles text[],
	access_list apikeys.access_list DEFAULT '{}', expires_at timestamptz DEFAULT NULL) RETURNS apikeys.new_key
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_public_key constant text := apikeys.generate_public_key();
	organization uuid;
BEGIN
	PERFORM apikeys.check_not_null('project', project::text, 'description', description,
		'roles', roles::text, 'access_list', access_list::text);
	PERFORM apikeys.check_name('description', description);
	organization := apikeys.organization_of(project);
	PERFORM apikeys.check_permission('apikeys.keys.manage', organization, project);
	PERFORM apikeys.check_project_roles(roles);
	PERFORM apikeys.check_grant(roles, organization, project);
	INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at)
		VALUES (new_public_key, organization, create_project_key.description,
			create_project_key.access_list, create_project_key.expires_at);
	INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
		SELECT new_public_key, organization, create_project_key.project, granted FROM unnest(roles) AS granted;
	RETURN (new_public_key, apikeys.issue_secret(new_public_key));
END;
$$;
COMMENT ON FUNCTION apikeys.create_project_key(uuid, text, text[], apikeys.access_list, timestamptz) IS
	'Creates a key with roles in a project, and returns its public key and, this once, its private key. Needs apikeys.keys.manage in the project.';

CREATE FUNCTION apikeys.check_project_roles(roles text[]) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF cardinality(roles) = 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'a key needs at least one role in a project',
			HINT = 'apikeys.remove_from_project takes a key out of a project.';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.check_project_roles(text[]) IS
	'Raises 22023 for an empty list of roles.';

CREATE FUNCTION apikeys.update_key(
	public_key text, description text DEFAULT NULL,
	access_list apikeys.access_list DEFAULT NULL, expires_at timestamptz DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key);
	PERFORM apikeys.check_name('description', description);
	UPDATE apikeys.key AS k SET
			description = coalesce(update_key.description, k.description),
			access_list = coalesce(update_key.access_list, k.access_list),
			expires_at = coalesce(update_key.expires_at, k.expires_at)
		WHERE k.public_key = update_key.public_key;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse_key(public_key);
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.update_key(text, text, apikeys.access_list, timestamptz) IS
	'Changes what is given and leaves what is NULL as it is; expires_at => ''infinity'' means never. For who manages the key.';

CREATE FUNCTION apikeys.set_organization_roles(public_key text, roles text[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	organization uuid;
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key, 'roles', roles::text);
	SELECT k.organization_id INTO organization
		FROM apikeys.key AS k WHERE k.public_key = set_organization_roles.public_key;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse('key');
	END IF;
	PERFORM apikeys.replace_roles(public_key, organization, NULL, roles);
END;
$$;
COMMENT ON FUNCTION apikeys.set_organization_roles(text, text[]) IS
	'Replaces the roles of a key in its organization; an empty list takes them all. Needs apikeys.keys.manage in the organization.';

CREATE FUNCTION apikeys.set_project_roles(public_key text, project uuid, roles text[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key, 'project', project::text, 'roles', roles::text);
	PERFORM apikeys.check_project_roles(roles);
	IF NOT apikeys.is_public_key(public_key) THEN
		RAISE foreign_key_violation;
	END IF;
	PERFORM apikeys.replace_roles(public_key, apikeys.organization_of(project), project, roles);
EXCEPTION
	-- No key of this organization; the server's message would name the key.
	WHEN foreign_key_violation THEN
		RAISE undefined_object USING
			MESSAGE = 'the project''s organization has no such key';
END;
$$;
COMMENT ON FUNCTION apikeys.set_project_roles(text, uuid, text[]) IS
	'Assigns a key to a project of its organization with these roles, or replaces its roles there. Needs apikeys.keys.manage in the project.';

CREATE FUNCTION apikeys.replace_roles(public_key text, organization uuid, project uuid, roles text[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	held text[];
BEGIN
	PERFORM apikeys.check_permission('apikeys.keys.manage', organization, project);
	held := ARRAY(
		SELECT r.role FROM apikeys.key_role AS r
		WHERE r.public_key = replace_roles.public_key
			AND r.project_id IS NOT DISTINCT FROM replace_roles.project);
	PERFORM apikeys.check_grant(roles, organization, project, held);
	DELETE FROM apikeys.key_role AS r
		WHERE r.public_key = replace_roles.public_key
			AND r.project_id IS NOT DISTINCT FROM replace_roles.project
			AND r.role <> ALL (roles);
	INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
		SELECT replace_roles.public_key, replace_roles.organization, replace_roles.project, granted
		FROM unnest(roles) AS granted
		WHERE granted <> ALL (held);
END;
$$;
COMMENT ON FUNCTION apikeys.replace_roles(text, uuid, uuid, text[]) IS
	'Replaces the roles of a key in an organization or, with a project, in that project. Behind set_organization_roles and set_project_roles.';

CREATE FUNCTION apikeys.remove_from_project(public_key text, project uuid) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key, 'project', project::text);
	PERFORM apikeys.check_permission('apikeys.keys.manage', apikeys.organization_of(project), project);
	DELETE FROM apikeys.key_role AS r
		WHERE r.public_key = remove_from_project.public_key
			AND r.project_id = remove_from_project.project;
	IF NOT FOUND THEN
		RAISE undefined_object USING MESSAGE = 'the project has no such key';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.remove_from_project(text, uuid) IS
	'Takes a key out of a project; it lives on in its organization. Needs apikeys.keys.manage in the project.';

CREATE FUNCTION apikeys.add_to_access_list(public_key text, VARIADIC networks cidr[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key, 'networks', networks::text);
	UPDATE apikeys.key AS k SET
			access_list = apikeys.access_list(apikeys.networks_array(k.access_list) || networks)
		WHERE k.public_key = add_to_access_list.public_key;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse_key(public_key);
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.add_to_access_list(text, cidr[]) IS
	'Adds networks to the access list of a key. The first entry shuts out all other addresses. For who manages the key.';

CREATE FUNCTION apikeys.remove_from_access_list(public_key text, VARIADIC networks cidr[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key, 'networks', networks::text);
	UPDATE apikeys.key AS k SET
			access_list = apikeys.access_list(ARRAY(
				SELECT kept FROM apikeys.networks(k.access_list) AS kept
				WHERE kept <> ALL (apikeys.networks_array(apikeys.access_list(networks)))))
		WHERE k.public_key = remove_from_access_list.public_key;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse_key(public_key);
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.remove_from_access_list(text, cidr[]) IS
	'Removes entries from the access list of a key. Once it is empty, any address is let in. For who manages the key.';

CREATE FUNCTION apikeys.add_current_address(public_key text) RETURNS inet
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	address constant inet := inet_client_addr();
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key);
	IF address IS NULL THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'this connection has no address',
			DETAIL = 'It is made through a Unix-domain socket.',
			HINT = 'Name the address with apikeys.add_to_access_list.';
	END IF;
	PERFORM apikeys.add_to_access_list(public_key, address::cidr);
	RETURN address;
END;
$$;
COMMENT ON FUNCTION apikeys.add_current_address(text) IS
	'Adds the address that this connection comes from to the access list of a key, and returns it. For who manages the key.';

CREATE FUNCTION apikeys.rotate_secret(public_key text, overlap interval DEFAULT '0') RETURNS text
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	longest interval;
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key, 'overlap', overlap::text);
	IF overlap < '0' THEN
		RAISE invalid_parameter_value USING MESSAGE = 'overlap must not be negative';
	END IF;
	-- One rotation of a key at a time; it also asks the policy for updates.
	PERFORM FROM apikeys.key AS k WHERE k.public_key = rotate_secret.public_key FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse_key(public_key);
	END IF;
	IF row_security_active('apikeys.key') AND NOT apikeys.principal_may_issue(public_key) THEN
		RAISE insufficient_privilege USING
			MESSAGE = format('permission denied to rotate the secret of key "%s"', public_key),
			DETAIL = format('%s may not grant every role that the key has, or is a key with fewer networks or a shorter life.', apikeys.principal());
	END IF;
	SELECT o.max_rotation_overlap INTO longest
		FROM apikeys.key AS k
			JOIN apikeys.organization AS o ON o.id = k.organization_id
		WHERE k.public_key = rotate_secret.public_key;
	IF overlap > longest THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'overlap is too long',
			DETAIL = format('The organization allows %s.', longest);
	END IF;
	RETURN apikeys.issue_secret(public_key, overlap);
END;
$$;
COMMENT ON FUNCTION apikeys.rotate_secret(text, interval) IS
	'Issues a new private key and returns it, this once; the old one ends at once or, with overlap, later. For who manages the key.';

CREATE FUNCTION apikeys.disable_key(public_key text, reason text DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key);
	PERFORM apikeys.check_name('reason', reason);
	UPDATE apikeys.key AS k SET
			disabled_at = coalesce(k.disabled_at, now()),
			disabled_reason = coalesce(disable_key.reason, k.disabled_reason)
		WHERE k.public_key = disable_key.public_key;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse_key(public_key);
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.disable_key(text, text) IS
	'Refuses every request made with the key, until it is enabled again; the reason, 1 to 250 characters, is for people. For who manages the key.';

CREATE FUNCTION apikeys.enable_key(public_key text) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key);
	UPDATE apikeys.key AS k SET disabled_at = NULL, disabled_reason = NULL
		WHERE k.public_key = enable_key.public_key;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse_key(public_key);
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.enable_key(text) IS
	'Lets a disabled key be used again. For who manages the key.';

CREATE FUNCTION apikeys.delete_key(public_key text) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key);
	DELETE FROM apikeys.key AS k WHERE k.public_key = delete_key.public_key;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse_key(public_key);
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.delete_key(text) IS
	'Deletes a key with its roles and secrets, for good. For who manages the key.';

CREATE FUNCTION apikeys.end_secret(public_key text, version integer) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	live integer[];
BEGIN
	PERFORM apikeys.check_not_null('public_key', public_key, 'version', version::text);
	-- As in rotate_secret.
	PERFORM FROM apikeys.key AS k WHERE k.public_key = end_secret.public_key FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse_key(public_key);
	END IF;
	live := ARRAY(
		SELECT s.version FROM apikeys.key_secret AS s
		WHERE s.public_key = end_secret.public_key
			AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp()));
	IF version <> ALL (live) THEN
		RAISE undefined_object USING
			MESSAGE = format('the key has no live secret of version %s', version);
	ELSIF cardinality(live) = 1 THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'the last live secret of a key cannot be ended',
			HINT = 'Disable the key with apikeys.disable_key, delete it with apikeys.delete_key, or give it another secret with apikeys.rotate_secret.';
	END IF;
	UPDATE apikeys.key_secret AS s SET expires_at = clock_timestamp()
		WHERE s.public_key = end_secret.public_key AND s.version = end_secret.version;
END;
$$;
COMMENT ON FUNCTION apikeys.end_secret(text, integer) IS
	'Ends one of the two live private keys of a key. For who manages the key.';

CREATE FUNCTION apikeys.import_key(
	organization uuid, public_key text, hash apikeys.secret_hash, description text, roles text[],
	access_list apikeys.access_list DEFAULT '{}', expires_at timestamptz DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('organization', organization::text, 'public_key', public_key, 'hash', hash::text,
		'description', description, 'roles', roles::text, 'access_list', access_list::text);
	IF NOT apikeys.is_public_key(public_key) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid public key',
			DETAIL = 'It is 1 to 128 letters, digits and characters of _.~+/=-, and no private key.';
	END IF;
	PERFORM apikeys.check_name('description', description);
	PERFORM apikeys.check_permission('apikeys.keys.manage', organization);
	PERFORM apikeys.check_grant(roles, organization);
	BEGIN
		INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at)
			VALUES (import_key.public_key, import_key.organization, import_key.description,
				import_key.access_list, import_key.expires_at);
	EXCEPTION
		-- The server's message would quote what may not be a public key.
		WHEN unique_violation THEN
			RAISE unique_violation USING MESSAGE = 'public key is taken, or has been used before';
	END;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT import_key.public_key, import_key.organization, granted FROM unnest(roles) AS granted;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		VALUES (import_key.public_key, 1, import_key.hash, '');
END;
$$;
COMMENT ON FUNCTION apikeys.import_key(uuid, text, apikeys.secret_hash, text, text[], apikeys.access_list, timestamptz) IS
	'Brings in a key of another system by the hash of its secret, which goes on working. Needs apikeys.keys.manage in the organization.';

CREATE FUNCTION apikeys.find_leaked(searched text) RETURNS SETOF text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_find_leaked';
COMMENT ON FUNCTION apikeys.find_leaked(text) IS
	'The private keys in a text, each with its checksum proved; asks no table, so some may be ended or another database''s.';

CREATE FUNCTION apikeys.revoke_leaked(secret text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_revoke_leaked';
COMMENT ON FUNCTION apikeys.revoke_leaked(text) IS
	'Disables the key that a private key is a live one of, and says whether there was one. Tries every live secret, unless the checksum is wrong. Nobody may call it until granted.';
