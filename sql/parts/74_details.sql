-- What the application notes of organizations and projects.

CREATE FUNCTION apikeys.set_organization_metadata(organization uuid, metadata jsonb) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.set_organization_metadata(uuid, jsonb) IS
	'Replaces the metadata of an organization, and returns whether that changed anything. Requires apikeys.organization.manage.';

CREATE FUNCTION apikeys.set_project_metadata(project uuid, metadata jsonb) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.set_project_metadata(uuid, jsonb) IS
	'Replaces the metadata of a project, and returns whether that changed anything. Requires apikeys.projects.manage in the project.';

CREATE FUNCTION apikeys_internal.set_organization_metadata(organization uuid, metadata jsonb) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.organization := apikeys_internal.lock_organization(organization);
BEGIN
	PERFORM apikeys_internal.check_metadata(metadata);
	IF metadata = before.metadata THEN
		RETURN false;
	END IF;
	UPDATE apikeys.organization AS o SET metadata = set_organization_metadata.metadata
		WHERE o.id = set_organization_metadata.organization;
	PERFORM apikeys_internal.note_event('organization.metadata_changed', organization, NULL, NULL,
		jsonb_build_object('old', jsonb_build_object('metadata', before.metadata),
			'new', jsonb_build_object('metadata', metadata)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_organization_metadata(uuid, jsonb) IS 'Body of apikeys.set_organization_metadata.';

CREATE FUNCTION apikeys_internal.set_project_metadata(project uuid, metadata jsonb) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.project := apikeys_internal.lock_project(project, false);
BEGIN
	PERFORM apikeys_internal.check_metadata(metadata);
	IF metadata = before.metadata THEN
		RETURN false;
	END IF;
	UPDATE apikeys.project AS p SET metadata = set_project_metadata.metadata
		WHERE p.id = set_project_metadata.project;
	PERFORM apikeys_internal.note_event('project.metadata_changed', before.organization_id, project, NULL,
		jsonb_build_object('old', jsonb_build_object('metadata', before.metadata),
			'new', jsonb_build_object('metadata', metadata)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_project_metadata(uuid, jsonb) IS 'Body of apikeys.set_project_metadata.';

-- Who the bound key is.  A key reads itself, whatever its roles.

CREATE FUNCTION apikeys.current_key_details(
		OUT public_key text, OUT description text, OUT organization_id uuid, OUT organization text, OUT owner text, OUT metadata jsonb, OUT environment text,
		OUT organization_roles text[], OUT projects jsonb, OUT access_list apikeys.access_list, OUT address inet,
		OUT created_at timestamptz, OUT expires_at timestamptz, OUT secret_expires_at timestamptz)
	RETURNS SETOF record
	LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.current_key_details() IS
	'Returns the details of the key that is bound to this transaction, and the address that it is used from, in one row; no row if none is bound, or one by a token that was narrowed.';

CREATE FUNCTION apikeys_internal.current_key_details(
		OUT public_key text, OUT description text, OUT organization_id uuid, OUT organization text, OUT owner text, OUT metadata jsonb, OUT environment text,
		OUT organization_roles text[], OUT projects jsonb, OUT access_list apikeys.access_list, OUT address inet,
		OUT created_at timestamptz, OUT expires_at timestamptz, OUT secret_expires_at timestamptz)
	RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 1
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY SELECT k.public_key, k.description, k.organization_id, k.organization, k.owner, k.metadata, k.environment, k.organization_roles, k.projects,
		k.access_list, apikeys.current_address(), k.created_at, k.expires_at, k.secret_expires_at
	FROM apikeys.keys AS k WHERE k.public_key = apikeys_internal.own_reader();
END;
$$;
COMMENT ON FUNCTION apikeys_internal.current_key_details() IS 'Body of apikeys.current_key_details.';

-- The networks of an organization, and the environment of an organization or project.

CREATE FUNCTION apikeys.set_organization_access_list(organization uuid, access_list apikeys.access_list) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.set_organization_access_list(uuid, apikeys.access_list) IS
	'Sets the networks that the keys of an organization can be used from, whatever their own lists say, and returns whether that changed anything; an empty list means any address. Requires apikeys.organization.manage.';

CREATE FUNCTION apikeys.set_organization_environment(organization uuid, environment text DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.set_organization_environment(uuid, text) IS
	'Sets the environment, such as live or test, that the names of keys created from then on tell; NULL: none. Returns whether that changed anything. Requires apikeys.organization.manage.';

CREATE FUNCTION apikeys.set_project_environment(project uuid, environment text DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.set_project_environment(uuid, text) IS
	'Sets the environment that the names of keys created in a project from then on tell; NULL: as the organization says. Returns whether that changed anything. Requires apikeys.projects.manage in the project.';

CREATE FUNCTION apikeys_internal.check_environment(candidate text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
	IF candidate !~ '^[a-z][a-z0-9]{0,7}$' THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid environment',
			DETAIL = 'An environment is 1 to 8 lower-case letters and digits, the first a letter.',
			CONSTRAINT = 'invalid_environment';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_environment(text) IS
	'Raises 22023 for a text that cannot be an environment; not for NULL.';

CREATE FUNCTION apikeys_internal.set_organization_access_list(organization uuid, access_list apikeys.access_list) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.organization := apikeys_internal.lock_organization(organization);
	list constant apikeys.access_list := CASE WHEN apikeys.cardinality(access_list) > 0 THEN access_list END;
BEGIN
	IF apikeys.cardinality(list) > 1000 THEN
		RAISE program_limit_exceeded USING
			MESSAGE = 'the access list of an organization has at most 1000 networks',
			CONSTRAINT = 'access_list_too_long';
	ELSIF list IS NOT NULL AND apikeys.current_key() IS NOT NULL THEN
		PERFORM apikeys_internal.check_own_address(apikeys.current_key(), list);
	END IF;
	IF list IS NULL AND before.access_list IS NULL OR list OPERATOR(apikeys.=) before.access_list THEN
		RETURN false;
	END IF;
	UPDATE apikeys.organization AS o SET access_list = list WHERE o.id = set_organization_access_list.organization;
	PERFORM apikeys_internal.note_event('organization.access_list_changed', organization, NULL, NULL,
		jsonb_build_object('old', jsonb_build_object('access_list', coalesce(before.access_list::cidr[], '{}')),
			'new', jsonb_build_object('access_list', access_list::cidr[])));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_organization_access_list(uuid, apikeys.access_list) IS 'Body of apikeys.set_organization_access_list.';

CREATE FUNCTION apikeys_internal.set_organization_environment(organization uuid, environment text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.organization := apikeys_internal.lock_organization(organization);
BEGIN
	PERFORM apikeys_internal.check_environment(environment);
	IF environment IS NOT DISTINCT FROM before.environment THEN
		RETURN false;
	END IF;
	UPDATE apikeys.organization AS t SET environment = set_organization_environment.environment WHERE t.id = set_organization_environment.organization;
	PERFORM apikeys_internal.note_event('organization.environment_changed', organization, NULL, NULL,
		jsonb_build_object('old', jsonb_build_object('environment', before.environment),
			'new', jsonb_build_object('environment', environment)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_organization_environment(uuid, text) IS 'Body of apikeys.set_organization_environment.';

CREATE FUNCTION apikeys_internal.set_project_environment(project uuid, environment text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.project := apikeys_internal.lock_project(project, false);
BEGIN
	PERFORM apikeys_internal.check_environment(environment);
	IF environment IS NOT DISTINCT FROM before.environment THEN
		RETURN false;
	END IF;
	UPDATE apikeys.project AS t SET environment = set_project_environment.environment WHERE t.id = set_project_environment.project;
	PERFORM apikeys_internal.note_event('project.environment_changed', before.organization_id, project, NULL,
		jsonb_build_object('old', jsonb_build_object('environment', before.environment),
			'new', jsonb_build_object('environment', environment)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_project_environment(uuid, text) IS 'Body of apikeys.set_project_environment.';
