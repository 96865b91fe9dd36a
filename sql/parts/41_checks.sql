-- What the management functions share: clear errors.  The policies are what
-- protects the tables; these say beforehand, and better, what is wrong.

CREATE FUNCTION apikeys.check_not_null(VARIADIC names_and_values text[]) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	FOR i IN 1 .. cardinality(names_and_values) BY 2 LOOP
		IF names_and_values[i + 1] IS NULL THEN
			RAISE null_value_not_allowed USING
				MESSAGE = format('%s must not be null', names_and_values[i]);
		END IF;
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys.check_not_null(text[]) IS
	'Raises 22004 with the name of the first argument whose value is NULL; names and values alternate.';

CREATE FUNCTION apikeys.check_name(kind text, candidate text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT apikeys.is_name(candidate) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = format('invalid %s', kind),
			DETAIL = format('A %s is 1 to 250 characters, none of them a control character, with no blank at either end.', kind);
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.check_name(text, text) IS
	'Raises 22023 for what can be no name, or no description; not for NULL.';

CREATE FUNCTION apikeys.check_principal(candidate text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT apikeys.is_principal(candidate) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid principal',
			DETAIL = 'A member is role:<PostgreSQL role> or user:<user of the application>, 255 bytes at most.';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.check_principal(text) IS
	'Raises 22023 for what can be no member.';

CREATE FUNCTION apikeys.check_permission(scope text, organization uuid, project uuid DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF row_security_active('apikeys.key') AND NOT apikeys.principal_may(scope, organization, project) THEN
		RAISE insufficient_privilege USING
			MESSAGE = format('permission denied: %s is needed', scope),
			DETAIL = format('%s does not have it in this %s, or there is none.', apikeys.principal(),
				CASE WHEN project IS NULL THEN 'organization' ELSE 'project' END);
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.check_permission(text, uuid, uuid) IS
	'Raises 42501 where the one who is acting has not the scope there; not for who bypasses row-level security.';

CREATE FUNCTION apikeys.check_is_no_key(deed text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF apikeys.current_key() IS NOT NULL THEN
		RAISE insufficient_privilege USING
			MESSAGE = format('a key cannot %s', deed),
			DETAIL = format('%s is bound to this transaction.', apikeys.principal());
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.check_is_no_key(text) IS
	'Raises 42501 where a key is acting, for what belongs to no organization and so cannot be a key''s.';

CREATE FUNCTION apikeys.check_grant(
	roles text[], organization uuid, project uuid DEFAULT NULL, held text[] DEFAULT '{}') RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	level_here constant text := CASE WHEN project IS NULL THEN 'organization' ELSE 'project' END;
	role_name text;
	role_level text;
	seen text[] := ARRAY[]::text[];
BEGIN
	IF array_ndims(roles) > 1 THEN
		RAISE invalid_parameter_value USING MESSAGE = 'roles must be a list, not a matrix';
	END IF;
	FOREACH role_name IN ARRAY roles LOOP
		PERFORM apikeys.check_not_null('a role', role_name);
		SELECT r.level INTO role_level FROM apikeys.role AS r WHERE r.name = role_name;
		IF NOT FOUND THEN
			RAISE undefined_object USING
				MESSAGE = 'role does not exist',
				DETAIL = format('It is number %s of the list.', cardinality(seen) + 1),
				HINT = 'SELECT name, level, description FROM apikeys.role lists the roles.';
		ELSIF role_name = ANY (seen) THEN
			RAISE invalid_parameter_value USING
				MESSAGE = format('role "%s" is named twice', role_name);
		ELSIF role_level <> level_here THEN
			RAISE invalid_parameter_value USING
				MESSAGE = format('role "%s" cannot be granted in %s', role_name,
					CASE level_here WHEN 'project' THEN 'a project' ELSE 'an organization' END),
				DETAIL = format('It is a role of level %s.', role_level);
		ELSIF row_security_active('apikeys.key') AND role_name <> ALL (held)
			AND NOT apikeys.principal_may_grant(role_name, organization, project) THEN
			RAISE insufficient_privilege USING
				MESSAGE = format('permission denied to grant role "%s"', role_name),
				DETAIL = 'Nobody can grant a permission that he does not have there himself, except with apikeys.roles.grant_any.';
		END IF;
		seen := seen || role_name;
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys.check_grant(text[], uuid, uuid, text[]) IS
	'Raises an error where a role of the list does not exist, is named twice, is of the wrong level, or is neither held already nor the caller''s to grant there.';

CREATE FUNCTION apikeys.refuse(kind text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF row_security_active('apikeys.key') THEN
		RAISE insufficient_privilege USING
			MESSAGE = format('%s does not exist, or is not visible to %s', kind, apikeys.principal());
	END IF;
	RAISE undefined_object USING MESSAGE = format('%s does not exist', kind);
END;
$$;
COMMENT ON FUNCTION apikeys.refuse(text) IS
	'Raises 42501 for what the caller cannot see, whether or not it exists, and 42704 to who sees everything. Names nothing, for what was given may be a secret.';

CREATE FUNCTION apikeys.refuse_key(public_key text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM apikeys.key AS k WHERE k.public_key = refuse_key.public_key;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse('key');
	END IF;
	RAISE insufficient_privilege USING
		MESSAGE = format('permission denied for key "%s"', public_key),
		DETAIL = format('%s does not have apikeys.keys.manage in the organization of the key, nor in every place where it has a role.',
			apikeys.principal());
END;
$$;
COMMENT ON FUNCTION apikeys.refuse_key(text) IS
	'Raises the error for a key that the caller cannot change: 42501, or 42704 where it does not exist and he would see it.';
