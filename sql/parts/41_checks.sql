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

CREATE FUNCTION apikeys_internal.lock_organization(organization uuid, is_deleted boolean DEFAULT false) RETURNS apikeys.organization
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	locked apikeys.organization;
BEGIN
	IF apikeys_internal.may('apikeys.organization.manage', organization) THEN
		IF is_deleted THEN
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
	'Locks an organization that the principal manages until the end of the transaction, and returns its row as it is then.';

CREATE FUNCTION apikeys_internal.lock_project(project uuid, is_deleted boolean) RETURNS apikeys.project
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	organization uuid;
	locked apikeys.project;
BEGIN
	SELECT p.organization_id INTO organization FROM apikeys.project AS p WHERE p.id = lock_project.project;
	IF apikeys_internal.may('apikeys.projects.manage', organization, project) THEN
		IF is_deleted THEN
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
	'Locks a project that the principal manages until the end of the transaction, and returns its row as it is then.';

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
	IF locked.public_key IS NULL THEN
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

-- Grants and drop_role wait for each other.
CREATE FUNCTION apikeys_internal.check_grants(
	roles text[], organization uuid, project uuid DEFAULT NULL, held text[] DEFAULT '{}') RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	level_here constant text := CASE WHEN project IS NULL THEN 'organization' ELSE 'project' END;
	names text[];
	levels text[];
	role_name text;
	place integer := 0;
BEGIN
	IF array_ndims(roles) > 1 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'roles must be a one-dimensional array', CONSTRAINT = 'invalid_roles';
	END IF;
	SELECT array_agg(r.name), array_agg(r.level) INTO names, levels
		FROM (SELECT r.name, r.level FROM apikeys.role AS r
			WHERE r.name = ANY (roles) ORDER BY r.name FOR KEY SHARE) AS r;
	FOREACH role_name IN ARRAY roles LOOP
		place := place + 1;
		IF role_name IS NULL THEN
			RAISE null_value_not_allowed USING
				MESSAGE = 'a role must not be null', CONSTRAINT = 'null_argument';
		ELSIF array_position(names, role_name) IS NULL THEN
			RAISE undefined_object USING
				MESSAGE = CASE WHEN apikeys_internal.is_role_name(role_name)
					THEN format('role "%s" does not exist', role_name) ELSE 'role does not exist' END,
				DETAIL = format('It is element %s of the array.', place),
				HINT = 'SELECT name, level, description FROM apikeys.role lists the roles.',
				CONSTRAINT = 'role_not_found';
		ELSIF array_position(roles, role_name) < place THEN
			RAISE invalid_parameter_value USING
				MESSAGE = format('role "%s" is named twice', role_name), CONSTRAINT = 'role_duplicate';
		ELSIF levels[array_position(names, role_name)] <> level_here THEN
			RAISE invalid_parameter_value USING
				MESSAGE = format('role "%s" cannot be granted in %s', role_name,
					CASE level_here WHEN 'project' THEN 'a project' ELSE 'an organization' END),
				DETAIL = format('It is a role of level %s.', levels[array_position(names, role_name)]),
				CONSTRAINT = 'role_level_mismatch';
		ELSIF role_name <> ALL (held)
			AND NOT apikeys_internal.may_grant(role_name, organization, project) THEN
			RAISE insufficient_privilege USING
				MESSAGE = format('permission denied to grant role "%s"', role_name),
				DETAIL = format('%s needs each permission of the role there, or apikeys.roles.grant_any.', apikeys.principal()),
				CONSTRAINT = 'role_not_grantable';
		END IF;
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_grants(text[], uuid, uuid, text[]) IS
	'Locks the roles, and raises an error if one does not exist, is named twice, is of the wrong level, or is neither held already nor grantable by the principal there.';

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
