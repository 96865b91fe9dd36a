-- Roles and permissions of a key.

-- Who takes from a key what it could not give would then manage the key, and have
-- its secret when somebody gives it back.
CREATE FUNCTION apikeys_internal.check_taken(
	role_ids text[], permissions text[], organization uuid, project uuid) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
DECLARE
	taken text;
BEGIN
	FOREACH taken IN ARRAY role_ids LOOP
		IF NOT apikeys_internal.may_grant(taken, organization, project) THEN
			RAISE insufficient_privilege USING
				MESSAGE = format('permission denied to take role "%s" from a key', apikeys_internal.role_name(taken)),
				DETAIL = format('%s needs each permission of the role there, or apikeys.roles.grant_any.', apikeys.principal()),
				HINT = 'apikeys.disable_key stops the key.',
				CONSTRAINT = 'role_not_grantable';
		END IF;
	END LOOP;
	FOREACH taken IN ARRAY permissions LOOP
		IF NOT apikeys_internal.may_grant('=' || taken, organization, project) THEN
			RAISE insufficient_privilege USING
				MESSAGE = format('permission denied to take permission "%s" from a key', taken),
				DETAIL = format('%s needs a permission that covers it there, or apikeys.roles.grant_any.', apikeys.principal()),
				HINT = 'apikeys.disable_key stops the key.',
				CONSTRAINT = 'permission_not_grantable';
		END IF;
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_taken(text[], text[], uuid, uuid) IS
	'Raises an error if the principal may not take one of these roles, named by their ids, and permissions from a key there, because it could not grant it.';

-- Last writer wins: the set is replaced under the lock of the key.
CREATE FUNCTION apikeys_internal.replace_roles(
	before apikeys.key, project uuid, roles text[], permissions text[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	held text[];
	held_permissions text[];
	role_ids text[];
	direct text[];
BEGIN
	IF NOT apikeys_internal.may('apikeys.keys.manage', before.organization_id, project) THEN
		PERFORM apikeys_internal.refuse('apikeys.keys.manage', before.organization_id, project);
	END IF;
	SELECT coalesce(array_agg(r.role ORDER BY r.role) FILTER (WHERE r.role IS NOT NULL), '{}'),
			coalesce(array_agg(r.permission ORDER BY r.permission) FILTER (WHERE r.permission IS NOT NULL), '{}')
		INTO held, held_permissions
		FROM apikeys.key_role AS r
		WHERE r.public_key = before.public_key AND r.project_id IS NOT DISTINCT FROM replace_roles.project;
	role_ids := apikeys_internal.check_grants(roles, before.organization_id, project, held);
	direct := coalesce(permissions, held_permissions);
	PERFORM apikeys_internal.check_permissions(direct, before.organization_id, project, held_permissions);
	PERFORM apikeys_internal.check_taken(
		ARRAY(SELECT h FROM unnest(held) AS h WHERE h <> ALL (role_ids)),
		ARRAY(SELECT h FROM unnest(held_permissions) AS h WHERE h <> ALL (direct)), before.organization_id, project);
	DELETE FROM apikeys.key_role AS r
		WHERE r.public_key = before.public_key AND r.project_id IS NOT DISTINCT FROM replace_roles.project
			AND CASE WHEN r.role IS NULL THEN r.permission <> ALL (direct) ELSE r.role <> ALL (role_ids) END;
	INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role, permission)
		SELECT before.public_key, before.organization_id, replace_roles.project, granted, NULL
		FROM unnest(role_ids) AS granted WHERE granted <> ALL (held)
		UNION ALL
		SELECT before.public_key, before.organization_id, replace_roles.project, NULL, granted
		FROM unnest(direct) AS granted WHERE granted <> ALL (held_permissions);
	IF role_ids <@ held AND held <@ role_ids AND direct <@ held_permissions AND held_permissions <@ direct THEN
		RETURN;
	END IF;
	PERFORM apikeys_internal.check_grant_count(before.public_key);
	PERFORM apikeys_internal.make_images(ARRAY[before.public_key]);
	PERFORM apikeys_internal.note_event('key.roles_changed', before.organization_id, project, before.public_key,
		jsonb_build_object('old', apikeys_internal.grants_detail(held, held_permissions),
			'new', apikeys_internal.grants_detail(role_ids, direct)));
END;
$$;
COMMENT ON FUNCTION apikeys_internal.replace_roles(apikeys.key, uuid, text[], text[]) IS
	'Replaces the roles and, unless they are NULL, the permissions of a locked key in its organization or, with a project, in that project.';

CREATE FUNCTION apikeys_internal.grants_detail(role_ids text[], permissions text[]) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN jsonb_build_object('roles',
			(SELECT coalesce(jsonb_agg(apikeys_internal.role_name(r)), '[]') FROM unnest(role_ids) AS r))
		|| CASE WHEN permissions = '{}' THEN '{}' ELSE jsonb_build_object('permissions', to_jsonb(permissions)) END;
COMMENT ON FUNCTION apikeys_internal.grants_detail(text[], text[]) IS
	'Returns what an event tells of the roles and permissions of a key.';

CREATE FUNCTION apikeys_internal.set_organization_roles(public_key text, roles text[], permissions text[]) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
BEGIN
	-- Before what takes as long as the caller likes: others wait for the lock.
	IF NOT apikeys_internal.may('apikeys.keys.manage', before.organization_id) THEN
		PERFORM apikeys_internal.check_managed(public_key);
		PERFORM apikeys_internal.refuse('apikeys.keys.manage', before.organization_id);
	END IF;
	-- A key that is given more is managed; of one that only loses roles, these are grantable.
	IF EXISTS (
			SELECT apikeys_internal.find_role(named, before.organization_id) FROM unnest(roles) AS named
			EXCEPT
			SELECT r.role FROM apikeys.key_role AS r
			WHERE r.public_key = before.public_key AND r.project_id IS NULL AND r.role IS NOT NULL)
		OR EXISTS (
			SELECT unnest(permissions)
			EXCEPT
			SELECT r.permission FROM apikeys.key_role AS r
			WHERE r.public_key = before.public_key AND r.project_id IS NULL AND r.permission IS NOT NULL) THEN
		PERFORM apikeys_internal.check_managed(public_key);
	END IF;
	PERFORM apikeys_internal.replace_roles(before, NULL, roles, permissions);
	RETURN public_key;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_organization_roles(text, text[], text[]) IS 'Body of apikeys.set_organization_roles.';

CREATE FUNCTION apikeys_internal.set_project_roles(public_key text, project uuid, roles text[], permissions text[]) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	organization constant uuid := apikeys_internal.keep_project(project);
	before apikeys.key;
BEGIN
	IF cardinality(roles) = 0 AND cardinality(coalesce(permissions, '{}')) = 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'a key needs at least one role or permission in a project',
			HINT = 'apikeys.remove_from_project removes a key from a project.',
			CONSTRAINT = 'roles_missing';
	END IF;
	before := apikeys_internal.lock_key(public_key);
	IF before.organization_id <> organization THEN
		PERFORM apikeys_internal.raise_not_found('key');
	END IF;
	-- A key without any grant belongs to the organization: to assign it is to take it.
	IF NOT EXISTS (SELECT FROM apikeys.key_role AS r WHERE r.public_key = before.public_key) THEN
		PERFORM apikeys_internal.check_managed(public_key);
	END IF;
	PERFORM apikeys_internal.replace_roles(before, project, roles, permissions);
	RETURN public_key;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_project_roles(text, uuid, text[], text[]) IS 'Body of apikeys.set_project_roles.';

CREATE FUNCTION apikeys_internal.remove_from_project(public_key text, project uuid) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	organization constant uuid := apikeys_internal.keep_project(project);
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
	held text[];
	held_permissions text[];
BEGIN
	IF NOT apikeys_internal.may('apikeys.keys.manage', organization, project) THEN
		PERFORM apikeys_internal.refuse('apikeys.keys.manage', organization, project);
	END IF;
	SELECT coalesce(array_agg(r.role ORDER BY r.role) FILTER (WHERE r.role IS NOT NULL), '{}'),
			coalesce(array_agg(r.permission ORDER BY r.permission) FILTER (WHERE r.permission IS NOT NULL), '{}')
		INTO held, held_permissions
		FROM apikeys.key_role AS r
		WHERE r.public_key = before.public_key AND r.project_id = remove_from_project.project;
	IF held = '{}' AND held_permissions = '{}' THEN
		RAISE undefined_object USING
			MESSAGE = format('key "%s" has no role or permission in the project', public_key),
			CONSTRAINT = 'key_not_in_project';
	END IF;
	PERFORM apikeys_internal.check_taken(held, held_permissions, organization, project);
	DELETE FROM apikeys.key_role AS r
		WHERE r.public_key = before.public_key AND r.project_id = remove_from_project.project;
	PERFORM apikeys_internal.make_images(ARRAY[public_key]);
	PERFORM apikeys_internal.note_event('key.removed_from_project', organization, project, public_key,
		jsonb_build_object('old', apikeys_internal.grants_detail(held, held_permissions)));
	RETURN public_key;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.remove_from_project(text, uuid) IS 'Body of apikeys.remove_from_project.';
