-- What the bodies of verbs share: locks, checks and their errors.
--
-- A body first locks what it changes and then checks, so that it checks the state
-- after the lock.  Locks are taken in this order: the organization, its project, keys
-- by name, roles by name, members.

CREATE FUNCTION apikeys_internal.raise_not_found(kind text) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RAISE undefined_object USING
		MESSAGE = format('%s does not exist, or is not visible to %s', kind, apikeys.principal()),
		CONSTRAINT = kind || '_not_found';
END;
$$;
COMMENT ON FUNCTION apikeys_internal.raise_not_found(text) IS
	'Raises 42704 for an organization, project or key that does not exist or is not visible: the same error for both. Names nothing, because the argument can be a secret.';

CREATE FUNCTION apikeys_internal.refuse(scope text, organization uuid, project uuid DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF project IS NOT NULL AND NOT (apikeys_internal.reads_project(project) AND EXISTS (
			SELECT FROM apikeys.project AS p
			WHERE p.id = refuse.project AND p.organization_id = refuse.organization)) THEN
		PERFORM apikeys_internal.raise_not_found('project');
	ELSIF project IS NULL AND NOT apikeys_internal.reads_organization(organization) THEN
		PERFORM apikeys_internal.raise_not_found('organization');
	END IF;
	RAISE insufficient_privilege USING
		MESSAGE = format('permission denied: %s is required', scope),
		DETAIL = format('%s does not have it in this %s.', apikeys.principal(),
			CASE WHEN project IS NULL THEN 'organization' ELSE 'project' END),
		CONSTRAINT = 'permission_denied';
END;
$$;
COMMENT ON FUNCTION apikeys_internal.refuse(text, uuid, uuid) IS
	'Raises the error for a principal that lacks the scope: 42704 if the organization or the project is not visible, else 42501.';

CREATE FUNCTION apikeys_internal.refuse_key(public_key text, detail text) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF NOT apikeys_internal.reads_key(public_key) THEN
		PERFORM apikeys_internal.raise_not_found('key');
	END IF;
	RAISE insufficient_privilege USING
		MESSAGE = format('permission denied for key "%s"', public_key),
		DETAIL = format(detail, apikeys.principal()),
		CONSTRAINT = 'permission_denied';
END;
$$;
COMMENT ON FUNCTION apikeys_internal.refuse_key(text, text) IS
	'Raises the error for a key that the principal cannot change: 42704 if it is not visible, else 42501.';

CREATE FUNCTION apikeys_internal.check_managed(public_key text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
BEGIN
	IF NOT apikeys_internal.manages_key(public_key) THEN
		PERFORM apikeys_internal.refuse_key(public_key,
			'%s needs apikeys.keys.manage in every place where the key has a role, and each permission that the key has there.');
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_managed(text) IS
	'Raises an error unless the principal manages the key, which is required to enable, widen, extend or delete it, or to receive a secret of it.';

CREATE FUNCTION apikeys_internal.check_stopped(public_key text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
BEGIN
	IF NOT apikeys_internal.stops_key(public_key) THEN
		PERFORM apikeys_internal.refuse_key(public_key,
			'%s needs apikeys.keys.manage in one of the places where the key has a role.');
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_stopped(text) IS
	'Raises an error unless the principal may disable the key or revoke a secret of it.';

CREATE FUNCTION apikeys_internal.lock_organization(organization uuid, is_exclusive boolean DEFAULT false) RETURNS apikeys.organization
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	locked apikeys.organization;
BEGIN
	IF apikeys_internal.may('apikeys.organization.manage', organization) THEN
		IF is_exclusive THEN
			SELECT o.* INTO locked FROM apikeys.organization AS o
				WHERE o.id = lock_organization.organization FOR UPDATE;
		ELSE
			SELECT o.* INTO locked FROM apikeys.organization AS o
				WHERE o.id = lock_organization.organization FOR NO KEY UPDATE;
		END IF;
	END IF;
	IF locked.id IS NULL OR NOT apikeys_internal.may('apikeys.organization.manage', organization) THEN
		PERFORM apikeys_internal.refuse('apikeys.organization.manage', organization);
	END IF;
	RETURN locked;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.lock_organization(uuid, boolean) IS
	'Locks an organization that the principal manages until the end of the transaction, and returns its row as it is then; is_exclusive: to delete or rename it, or to change what its keys depend on.';

CREATE FUNCTION apikeys_internal.lock_project(project uuid, is_exclusive boolean) RETURNS apikeys.project
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	organization uuid;
	locked apikeys.project;
BEGIN
	SELECT p.organization_id INTO organization FROM apikeys.project AS p WHERE p.id = lock_project.project;
	IF apikeys_internal.may('apikeys.projects.manage', organization, project) THEN
		IF is_exclusive THEN
			SELECT p.* INTO locked FROM apikeys.project AS p WHERE p.id = lock_project.project FOR UPDATE;
		ELSE
			SELECT p.* INTO locked FROM apikeys.project AS p WHERE p.id = lock_project.project FOR NO KEY UPDATE;
		END IF;
	END IF;
	IF locked.id IS NULL OR NOT apikeys_internal.may('apikeys.projects.manage', organization, project) THEN
		PERFORM apikeys_internal.refuse('apikeys.projects.manage', organization, project);
	END IF;
	RETURN locked;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.lock_project(uuid, boolean) IS
	'Locks a project that the principal manages until the end of the transaction, and returns its row as it is then; is_exclusive: to delete or rename it.';

CREATE FUNCTION apikeys_internal.lock_key(public_key text) RETURNS apikeys.key
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	locked apikeys.key;
BEGIN
	IF apikeys_internal.reads_key(public_key) THEN
		SELECT k.* INTO locked FROM apikeys.key AS k
			WHERE k.public_key = lock_key.public_key FOR NO KEY UPDATE;
	END IF;
	IF locked.public_key IS NULL OR NOT apikeys_internal.reads_key(public_key) THEN
		PERFORM apikeys_internal.raise_not_found('key');
	END IF;
	RETURN locked;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.lock_key(text) IS
	'Locks a key that is visible to the principal until the end of the transaction, and returns its row as it is then.';

CREATE FUNCTION apikeys_internal.keep_project(project uuid) RETURNS uuid
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	organization uuid;
BEGIN
	IF apikeys_internal.reads_project(project) THEN
		SELECT o.id INTO organization FROM apikeys.organization AS o
			WHERE o.id = (SELECT p.organization_id FROM apikeys.project AS p WHERE p.id = keep_project.project)
			FOR KEY SHARE;
		PERFORM FROM apikeys.project AS p WHERE p.id = keep_project.project FOR KEY SHARE;
	END IF;
	IF organization IS NULL OR NOT FOUND THEN
		PERFORM apikeys_internal.raise_not_found('project');
	END IF;
	RETURN organization;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.keep_project(uuid) IS
	'Locks a project that is visible to the principal, and its organization, against deletion until the end of the transaction, and returns the organization.';

CREATE FUNCTION apikeys_internal.may_any(organization uuid, scopes text[]) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL RESTRICTED
	RETURN EXISTS (SELECT FROM unnest(scopes) AS s (scope) WHERE apikeys_internal.may(s.scope, organization));
COMMENT ON FUNCTION apikeys_internal.may_any(uuid, text[]) IS
	'Checks whether the principal has one of the scopes in the organization. Never NULL.';

-- A stranger waits for nobody, and so does not learn that the organization exists.
CREATE FUNCTION apikeys_internal.keep_organization_for(organization uuid, VARIADIC scopes text[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF apikeys_internal.may_any(organization, scopes) THEN
		PERFORM FROM apikeys.organization AS o WHERE o.id = keep_organization_for.organization FOR KEY SHARE;
		IF FOUND AND apikeys_internal.may_any(organization, scopes) THEN
			RETURN;
		END IF;
	END IF;
	PERFORM apikeys_internal.refuse(scopes[1], organization);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.keep_organization_for(uuid, text[]) IS
	'Locks an organization in which the principal has one of the scopes against deletion until the end of the transaction.';

CREATE FUNCTION apikeys_internal.check_name(kind text, candidate text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
	IF NOT apikeys_internal.is_name(candidate) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('invalid %s', kind),
			DETAIL = format('A %s is 1 to 250 characters, with single spaces between words, without control, format or other blank characters, and contains no private key.', kind),
			CONSTRAINT = 'invalid_' || kind;
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_name(text, text) IS
	'Raises 22023 for a text that cannot be a name, description or reason; not for NULL.';

CREATE FUNCTION apikeys_internal.check_metadata(candidate jsonb) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
	IF NOT apikeys_internal.is_metadata(candidate) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid metadata',
			DETAIL = 'Metadata is an object of at most 4096 bytes as text in UTF-8 and 32 levels, and contains no private key and no token.',
			CONSTRAINT = 'invalid_metadata';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_metadata(jsonb) IS
	'Raises 22023 for a value that cannot be metadata; not for NULL.';

CREATE FUNCTION apikeys_internal.check_life(max_key_lifetime interval, created_at timestamptz, expires_at timestamptz) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
	latest constant timestamptz := apikeys_internal.add_in_utc(created_at, max_key_lifetime);
BEGIN
	IF coalesce(expires_at, 'infinity') > latest THEN
		RAISE check_violation USING
			MESSAGE = 'organization policy limits the life of keys',
			HINT = format('Use an expires_at that is not later than %s.', latest),
			CONSTRAINT = 'lifetime_exceeded';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_life(interval, timestamptz, timestamptz) IS
	'Raises 23514 if a key lives longer than the organization allows, as a decision would find; NULL: no limit.';

CREATE FUNCTION apikeys_internal.role_name(role text) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN split_part(role, '/', -1);
COMMENT ON FUNCTION apikeys_internal.role_name(text) IS
	'Returns the name of the role with that id.';

CREATE FUNCTION apikeys_internal.count_keys(organization uuid, most bigint) RETURNS bigint
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_count_keys';
COMMENT ON FUNCTION apikeys_internal.count_keys(uuid, bigint) IS
	'Returns the number of keys of an organization, or most if they are more; in any isolation level those that are committed count.';

-- Where the number of keys is limited, a creator waits for another one, and then counts
-- its keys too.  The whole policy is of one moment: a creator who kept to parts of two
-- would make what neither allows.
CREATE FUNCTION apikeys_internal.keep_organization(organization uuid, project uuid DEFAULT NULL) RETURNS apikeys.organization
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	kept apikeys.organization;
BEGIN
	IF apikeys_internal.may('apikeys.keys.manage', organization, project) THEN
		PERFORM FROM apikeys.organization AS o
			WHERE o.id = keep_organization.organization FOR KEY SHARE;
		PERFORM apikeys_internal.check_sees_policy(organization);
		-- Read after the lock, which may return an older row (check_sees_policy in C says why).
		SELECT o.* INTO kept FROM apikeys.organization AS o WHERE o.id = keep_organization.organization;
		IF kept.max_keys IS NOT NULL AND apikeys_internal.may('apikeys.keys.manage', organization, project) THEN
			SELECT o.* INTO kept FROM apikeys.organization AS o
				WHERE o.id = keep_organization.organization FOR NO KEY UPDATE;
		END IF;
	END IF;
	IF kept.id IS NULL OR NOT apikeys_internal.may('apikeys.keys.manage', organization, project) THEN
		PERFORM apikeys_internal.refuse('apikeys.keys.manage', organization, project);
	END IF;
	RETURN kept;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.keep_organization(uuid, uuid) IS
	'Locks an organization, in which or in a project of which the principal manages keys, against its deletion and, where it limits the number of keys, against any change; returns its row as it is then. To create keys.';

CREATE FUNCTION apikeys_internal.check_key_count(policy apikeys.organization, added bigint) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF added > policy.max_keys - apikeys_internal.count_keys(policy.id, policy.max_keys) THEN
		RAISE program_limit_exceeded USING
			MESSAGE = 'organization policy limits the number of keys',
			DETAIL = format('It can have %s keys.', policy.max_keys),
			CONSTRAINT = 'too_many_keys';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_key_count(apikeys.organization, bigint) IS
	'Raises 54000 if a locked organization would have more keys than it allows.';

CREATE FUNCTION apikeys_internal.check_sees_policy(organization uuid) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_check_sees_policy';
COMMENT ON FUNCTION apikeys_internal.check_sees_policy(uuid) IS
	'Raises 40001 if the policy of a locked organization was changed since the snapshot of a transaction that keeps one.';

CREATE FUNCTION apikeys_internal.check_sees_secrets(organization uuid) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_check_sees_secrets';
COMMENT ON FUNCTION apikeys_internal.check_sees_secrets(uuid) IS
	'Raises 40001 if secrets of an organization''s keys were made or changed since the snapshot of a transaction that keeps one.';

CREATE FUNCTION apikeys_internal.limit_secrets(organization apikeys.organization, public_keys text[] DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	latest constant timestamptz := apikeys_internal.add_in_utc(clock_timestamp(), organization.max_secret_lifetime);
	limited text[];
	last text := '';
BEGIN
	IF latest IS NOT NULL AND public_keys IS NULL THEN
		PERFORM apikeys_internal.check_sees_secrets(organization.id);
	END IF;
	-- Some thousand keys at a time, by name, locked in that order as other verbs do.
	WHILE latest IS NOT NULL AND last IS NOT NULL LOOP
		limited := coalesce(public_keys, ARRAY(
			SELECT k.public_key FROM apikeys.key AS k
			WHERE k.organization_id = organization.id AND k.public_key > last
			ORDER BY k.public_key LIMIT 5000 FOR NO KEY UPDATE));
		last := CASE WHEN public_keys IS NULL THEN limited[cardinality(limited)] END;
		WITH s AS (
			UPDATE apikeys.key_secret AS s SET expires_at = latest
			WHERE s.public_key = ANY (limited) AND (s.expires_at IS NULL OR s.expires_at > latest)
			RETURNING s.public_key)
		SELECT array_agg(DISTINCT s.public_key) INTO limited FROM s;
		PERFORM apikeys_internal.make_images(limited);
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.limit_secrets(apikeys.organization, text[]) IS
	'Lets the secrets of an organization''s keys, or of some of them, live no longer than the organization allows from now on.';

CREATE FUNCTION apikeys_internal.is_plain_array(candidate text[]) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN array_ndims(candidate) IS NULL OR (array_ndims(candidate) = 1 AND array_lower(candidate, 1) = 1);
COMMENT ON FUNCTION apikeys_internal.is_plain_array(text[]) IS
	'Checks whether an array is NULL, empty, or of one dimension and numbered from 1.';

-- Grants and drop_role wait for each other.
CREATE FUNCTION apikeys_internal.check_grants(
	roles text[], organization uuid, project uuid DEFAULT NULL, held text[] DEFAULT '{}') RETURNS text[]
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	level_here constant text := CASE WHEN project IS NULL THEN 'organization' ELSE 'project' END;
	names text[];
	ids text[];
	levels text[];
	role_name text;
	found integer;
	place integer := 0;
	granted text[] := '{}'::text[];
BEGIN
	IF NOT apikeys_internal.is_plain_array(roles) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'roles must be a one-dimensional array from subscript 1', CONSTRAINT = 'invalid_roles';
	END IF;
	-- A role of the organization goes before one of every organization.
	SELECT array_agg(r.name), array_agg(r.id), array_agg(r.level) INTO names, ids, levels
		FROM (SELECT r.name, r.id, r.level FROM apikeys.role AS r
			WHERE r.name = ANY (roles)
				AND (r.organization_id IS NULL OR r.organization_id = check_grants.organization)
			ORDER BY r.name, r.organization_id NULLS LAST FOR KEY SHARE) AS r;
	FOREACH role_name IN ARRAY roles LOOP
		place := place + 1;
		found := array_position(names, role_name);
		IF role_name IS NULL THEN
			RAISE null_value_not_allowed USING
				MESSAGE = 'a role must not be null', CONSTRAINT = 'null_argument';
		ELSIF found IS NULL THEN
			RAISE undefined_object USING
				MESSAGE = 'role does not exist',
				DETAIL = format('It is element %s of the array.', place),
				HINT = 'SELECT name, level, description FROM apikeys.role lists the roles.',
				CONSTRAINT = 'role_not_found';
		ELSIF array_position(roles, role_name) < place THEN
			RAISE invalid_parameter_value USING
				MESSAGE = format('role "%s" is named twice', role_name), CONSTRAINT = 'role_duplicate';
		ELSIF levels[found] <> level_here THEN
			RAISE invalid_parameter_value USING
				MESSAGE = format('role "%s" cannot be granted in %s', role_name,
					CASE level_here WHEN 'project' THEN 'a project' ELSE 'an organization' END),
				DETAIL = format('It is a role of level %s.', levels[found]),
				CONSTRAINT = 'role_level_mismatch';
		ELSIF ids[found] <> ALL (held)
			AND NOT apikeys_internal.may_grant(ids[found], organization, project) THEN
			RAISE insufficient_privilege USING
				MESSAGE = format('permission denied to grant role "%s"', role_name),
				DETAIL = format('%s needs each permission of the role there, or apikeys.roles.grant_any.', apikeys.principal()),
				CONSTRAINT = 'role_not_grantable';
		END IF;
		granted := granted || ids[found];
	END LOOP;
	RETURN granted;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_grants(text[], uuid, uuid, text[]) IS
	'Locks the roles of these names and returns their ids; raises an error if one does not exist, is named twice, is of the wrong level, or is neither held already nor grantable by the principal there.';

CREATE FUNCTION apikeys_internal.check_permissions(
	permissions text[], organization uuid, project uuid DEFAULT NULL, held text[] DEFAULT '{}') RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
DECLARE
	permission text;
BEGIN
	IF NOT apikeys_internal.is_plain_array(permissions) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'permissions must be a one-dimensional array from subscript 1', CONSTRAINT = 'invalid_permission';
	ELSIF NOT apikeys_internal.are_permissions(permissions) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid permission',
			DETAIL = 'A permission is 1 to 256 letters, digits and characters of _.:/-, with * for any run of characters, and contains no private key.',
			CONSTRAINT = 'invalid_permission';
	ELSIF cardinality(permissions) > (SELECT count(DISTINCT p) FROM unnest(permissions) AS p) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'a permission is named twice', CONSTRAINT = 'permission_duplicate';
	ELSIF cardinality(permissions) > 1000 THEN
		RAISE program_limit_exceeded USING
			MESSAGE = 'a key can hold at most 1000 permissions in one place', CONSTRAINT = 'too_many_permissions';
	END IF;
	FOREACH permission IN ARRAY permissions LOOP
		IF permission <> ALL (held)
			AND NOT apikeys_internal.may_grant('=' || permission, organization, project) THEN
			RAISE insufficient_privilege USING
				MESSAGE = format('permission denied to grant permission "%s"', permission),
				DETAIL = format('%s needs a permission that covers it there, or apikeys.roles.grant_any.', apikeys.principal()),
				CONSTRAINT = 'permission_not_grantable';
		END IF;
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_permissions(text[], uuid, uuid, text[]) IS
	'Raises an error if one of the permissions is invalid, is named twice, or is neither held already nor grantable by the principal there.';

CREATE FUNCTION apikeys_internal.check_grant_count(public_key text) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF (SELECT count(*) > 100000 OR count(r.permission) > 10000 FROM apikeys.key_role AS r
			WHERE r.public_key = check_grant_count.public_key) THEN
		RAISE program_limit_exceeded USING
			MESSAGE = 'a key can hold at most 10000 permissions, and 100000 roles and permissions together',
			CONSTRAINT = 'too_many_permissions';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_grant_count(text) IS
	'Raises an error if a key holds more roles and permissions than it can.';

CREATE FUNCTION apikeys_internal.refuse_bound_key(action text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
BEGIN
	RAISE insufficient_privilege USING
		MESSAGE = format('permission denied: a key cannot %s', action),
		DETAIL = format('%s is bound to this transaction.', apikeys.principal()),
		CONSTRAINT = 'permission_denied';
END;
$$;
COMMENT ON FUNCTION apikeys_internal.refuse_bound_key(text) IS
	'Raises 42501 for a bound key, which cannot change objects that belong to no organization.';
