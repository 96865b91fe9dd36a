-- Organizations, projects, members and roles.

CREATE FUNCTION apikeys.organization(name text) RETURNS uuid
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_id uuid;
BEGIN
	PERFORM apikeys.check_not_null('name', name);
	SELECT o.id INTO found_id FROM apikeys.organization AS o WHERE o.name = organization.name;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse('organization');
	END IF;
	RETURN found_id;
END;
$$;
COMMENT ON FUNCTION apikeys.organization(text) IS
	'The id of the organization of this name; an error where the caller sees none.';

CREATE FUNCTION apikeys.project(organization_name text, name text) RETURNS uuid
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_id uuid;
BEGIN
	PERFORM apikeys.check_not_null('organization_name', organization_name, 'name', name);
	SELECT p.id INTO found_id
		FROM apikeys.project AS p
		WHERE p.organization_id = apikeys.organization(project.organization_name)
			AND p.name = project.name;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse('project');
	END IF;
	RETURN found_id;
END;
$$;
COMMENT ON FUNCTION apikeys.project(text, text) IS
	'The id of the project of this name in the organization of that name; an error where the caller sees none.';

CREATE FUNCTION apikeys.organization_of(project uuid) RETURNS uuid
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_id uuid;
BEGIN
	SELECT p.organization_id INTO found_id FROM apikeys.project AS p WHERE p.id = organization_of.project;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse('project');
	END IF;
	RETURN found_id;
END;
$$;
COMMENT ON FUNCTION apikeys.organization_of(uuid) IS
	'The id of the organization that a project belongs to; an error where the caller does not see the project.';

CREATE FUNCTION apikeys.create_organization(
	name text, owner text DEFAULT apikeys.principal(), require_access_list boolean DEFAULT false) RETURNS uuid
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_id constant uuid := gen_random_uuid();
BEGIN
	PERFORM apikeys.check_not_null('name', name, 'owner', owner, 'require_access_list', require_access_list::text);
	PERFORM apikeys.check_name('name', name);
	PERFORM apikeys.check_is_no_key('create an organization');
	PERFORM apikeys.check_principal(owner);
	INSERT INTO apikeys.organization (id, name, require_access_list)
		VALUES (new_id, create_organization.name, create_organization.require_access_list);
	INSERT INTO apikeys.member (organization_id, principal, role) VALUES (new_id, owner, 'ORG_OWNER');
	RETURN new_id;
END;
$$;
COMMENT ON FUNCTION apikeys.create_organization(text, text, boolean) IS
	'Makes an organization with its first ORG_OWNER, and returns its id. Nobody may call it until granted.';

CREATE FUNCTION apikeys.set_organization_policy(
	organization uuid, require_access_list boolean, max_key_lifetime interval, max_rotation_overlap interval) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('organization', organization::text);
	PERFORM apikeys.check_permission('apikeys.organization.manage', organization);
	IF max_key_lifetime <= '0' OR max_key_lifetime > '1000 years' THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'max_key_lifetime must be more than nothing, and not more than 1000 years',
			HINT = 'NULL stands for no limit.';
	ELSIF max_rotation_overlap < '0' OR max_rotation_overlap > '1000 years' THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'max_rotation_overlap must not be negative, nor more than 1000 years';
	END IF;
	UPDATE apikeys.organization AS o SET
			require_access_list = coalesce(set_organization_policy.require_access_list, o.require_access_list),
			max_key_lifetime = set_organization_policy.max_key_lifetime,
			max_rotation_overlap = coalesce(set_organization_policy.max_rotation_overlap, o.max_rotation_overlap)
		WHERE o.id = set_organization_policy.organization;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse('organization');
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.set_organization_policy(uuid, boolean, interval, interval) IS
	'Says what an organization demands of its keys: an access list, a life that is not longer, an old secret that does not live on for longer. NULL leaves the first and the last as they are, and sets no limit to the life. Needs apikeys.organization.manage.';

CREATE FUNCTION apikeys.delete_organization(organization uuid) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('organization', organization::text);
	PERFORM apikeys.check_permission('apikeys.organization.manage', organization);
	DELETE FROM apikeys.organization AS o WHERE o.id = delete_organization.organization;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse('organization');
	END IF;
EXCEPTION
	WHEN foreign_key_violation THEN
		RAISE dependent_objects_still_exist USING
			MESSAGE = 'cannot delete an organization that has keys',
			HINT = 'Delete its keys first, with apikeys.delete_key.';
END;
$$;
COMMENT ON FUNCTION apikeys.delete_organization(uuid) IS
	'Deletes an organization that has no keys, with its projects and members. Needs apikeys.organization.manage in it.';

CREATE FUNCTION apikeys.create_project(organization uuid, name text) RETURNS uuid
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_id constant uuid := gen_random_uuid();
BEGIN
	PERFORM apikeys.check_not_null('organization', organization::text, 'name', name);
	IF NOT apikeys.principal_may('apikeys.projects.manage', organization) THEN
		PERFORM apikeys.check_permission('apikeys.projects.create', organization);
	END IF;
	PERFORM apikeys.check_name('name', name);
	INSERT INTO apikeys.project (id, organization_id, name)
		VALUES (new_id, create_project.organization, create_project.name);
	IF NOT row_security_active('apikeys.member')
		OR apikeys.principal_may('apikeys.projects.manage', organization, new_id) THEN
		RETURN new_id;
	END IF;
	IF apikeys.current_key() IS NOT NULL THEN
		INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
			VALUES (apikeys.current_key(), create_project.organization, new_id, 'GROUP_OWNER');
	ELSE
		INSERT INTO apikeys.member (organization_id, project_id, principal, role)
			VALUES (create_project.organization, new_id, apikeys.principal(), 'GROUP_OWNER');
	END IF;
	RETURN new_id;
END;
$$;
COMMENT ON FUNCTION apikeys.create_project(uuid, text) IS
	'Makes a project in an organization, and returns its id. Needs apikeys.projects.create or apikeys.projects.manage there; with the first alone the caller becomes its GROUP_OWNER.';

CREATE FUNCTION apikeys.delete_project(project uuid) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('project', project::text);
	PERFORM apikeys.check_permission('apikeys.projects.manage', apikeys.organization_of(project), project);
	DELETE FROM apikeys.project AS p WHERE p.id = delete_project.project;
END;
$$;
COMMENT ON FUNCTION apikeys.delete_project(uuid) IS
	'Deletes a project with the roles granted in it; its keys live on in their organization. Needs apikeys.projects.manage in it.';

CREATE FUNCTION apikeys.add_member(organization uuid, principal text, role text, project uuid DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('organization', organization::text, 'principal', principal, 'role', role);
	PERFORM apikeys.check_permission('apikeys.members.manage', organization, project);
	PERFORM apikeys.check_principal(principal);
	PERFORM apikeys.check_grant(ARRAY[role], organization, project);
	INSERT INTO apikeys.member (organization_id, project_id, principal, role)
		VALUES (add_member.organization, add_member.project, add_member.principal, add_member.role);
END;
$$;
COMMENT ON FUNCTION apikeys.add_member(uuid, text, text, uuid) IS
	'Gives a principal (role:... or user:...) a role in an organization or, with a project, in that project. Needs apikeys.members.manage there.';

CREATE FUNCTION apikeys.remove_member(organization uuid, principal text, role text, project uuid DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('organization', organization::text, 'principal', principal, 'role', role);
	PERFORM apikeys.check_permission('apikeys.members.manage', organization, project);
	DELETE FROM apikeys.member AS m
		WHERE m.organization_id = remove_member.organization
			AND m.project_id IS NOT DISTINCT FROM remove_member.project
			AND m.principal = remove_member.principal
			AND m.role = remove_member.role;
	IF NOT FOUND THEN
		RAISE undefined_object USING
			MESSAGE = 'there is no such member',
			HINT = 'SELECT * FROM apikeys.member lists who holds which role.';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.remove_member(uuid, text, text, uuid) IS
	'Takes a role in an organization, or in a project, from a principal. Needs apikeys.members.manage there.';

CREATE FUNCTION apikeys.create_role(
	name text, level text, organization_permissions text[], project_permissions text[], description text) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('name', name, 'level', level,
		'organization_permissions', organization_permissions::text,
		'project_permissions', project_permissions::text);
	PERFORM apikeys.check_name('description', description);
	PERFORM apikeys.check_is_no_key('create a role');
	IF NOT apikeys.is_role_name(name) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid name of a role',
			DETAIL = 'It is 1 to 63 letters, digits and characters of _.:-, the first a letter or a digit.';
	ELSIF level NOT IN ('organization', 'project') THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'the level of a role is organization or project';
	ELSIF level = 'project' AND organization_permissions <> '{}' THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'a role of level project has no permissions in the organization';
	ELSIF NOT (apikeys.are_permissions(organization_permissions) AND apikeys.are_permissions(project_permissions)) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid permission',
			DETAIL = 'A permission is 1 to 256 letters, digits and characters of _.:/-, with * for any run of characters.';
	END IF;
	INSERT INTO apikeys.role (name, level, organization_permissions, project_permissions, description)
		VALUES (create_role.name, create_role.level, create_role.organization_permissions,
			create_role.project_permissions, create_role.description);
END;
$$;
COMMENT ON FUNCTION apikeys.create_role(text, text, text[], text[], text) IS
	'Makes a custom role of level organization or project. Nobody may call it until granted.';

CREATE FUNCTION apikeys.drop_role(name text) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('name', name);
	PERFORM apikeys.check_is_no_key('drop a role');
	PERFORM FROM apikeys.role AS r WHERE r.name = drop_role.name AND r.is_builtin;
	IF FOUND THEN
		RAISE dependent_objects_still_exist USING
			MESSAGE = format('cannot drop role "%s"', name),
			DETAIL = 'It is one of the extension''s own roles.';
	END IF;
	DELETE FROM apikeys.role AS r WHERE r.name = drop_role.name;
	IF NOT FOUND THEN
		PERFORM FROM apikeys.role AS r WHERE r.name = drop_role.name;
		IF FOUND THEN
			RAISE insufficient_privilege USING
				MESSAGE = format('permission denied to drop role "%s"', name),
				HINT = 'Who may execute apikeys.create_role may drop custom roles.';
		END IF;
		RAISE undefined_object USING MESSAGE = 'role does not exist';
	END IF;
EXCEPTION
	WHEN foreign_key_violation THEN
		RAISE dependent_objects_still_exist USING
			MESSAGE = format('cannot drop role "%s"', name),
			DETAIL = 'Members or keys hold it.';
END;
$$;
COMMENT ON FUNCTION apikeys.drop_role(text) IS
	'Drops a custom role that nobody holds. For who may execute create_role.';
