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
		OUT public_key text, OUT description text, OUT organization_id uuid, OUT organization text, OUT owner text, OUT metadata jsonb,
		OUT organization_roles text[], OUT projects jsonb, OUT access_list apikeys.access_list, OUT address inet,
		OUT created_at timestamptz, OUT expires_at timestamptz, OUT secret_expires_at timestamptz)
	RETURNS SETOF record
	LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.current_key_details() IS
	'Returns the details of the key that is bound to this transaction, and the address that it is used from, in one row; no row if none is bound, or one by a token that was narrowed.';

CREATE FUNCTION apikeys_internal.current_key_details(
		OUT public_key text, OUT description text, OUT organization_id uuid, OUT organization text, OUT owner text, OUT metadata jsonb,
		OUT organization_roles text[], OUT projects jsonb, OUT access_list apikeys.access_list, OUT address inet,
		OUT created_at timestamptz, OUT expires_at timestamptz, OUT secret_expires_at timestamptz)
	RETURNS SETOF record
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 1
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY SELECT k.public_key, k.description, k.organization_id, k.organization, k.owner, k.metadata, k.organization_roles, k.projects,
		k.access_list, apikeys_internal.principal_address(), k.created_at, k.expires_at, k.secret_expires_at
	FROM apikeys.keys AS k WHERE k.public_key = apikeys_internal.own_reader();
END;
$$;
COMMENT ON FUNCTION apikeys_internal.current_key_details() IS 'Body of apikeys.current_key_details.';
