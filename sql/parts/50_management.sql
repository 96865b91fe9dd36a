-- Organizations, projects, members and roles.  Faces first, then bodies: a face
-- in schema apikeys is the door to the body of the same name and arguments in
-- schema apikeys_internal, which runs with the rights of the owner.

CREATE FUNCTION apikeys.organization(name text) RETURNS uuid
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.organization(text) IS
	'Returns the id of the organization with this name.';

CREATE FUNCTION apikeys.project(organization_name text, name text) RETURNS uuid
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.project(text, text) IS
	'Returns the id of the project with this name in the organization with that name.';

CREATE FUNCTION apikeys.organization_of(project uuid) RETURNS uuid
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.organization_of(uuid) IS
	'Returns the id of the organization that a project belongs to.';

CREATE FUNCTION apikeys.create_organization(
	name text, owner text DEFAULT apikeys.principal(), require_access_list boolean DEFAULT false) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.create_organization(text, text, boolean) IS
	'Creates an organization with its first ORG_OWNER, and returns its id. EXECUTE is not part of any access.';

CREATE FUNCTION apikeys.rename_organization(organization uuid, name text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.rename_organization(uuid, text) IS
	'Renames an organization, and returns whether anything changed. Requires apikeys.organization.manage.';

CREATE FUNCTION apikeys.set_organization_policy(
	organization uuid, require_access_list boolean DEFAULT NULL, max_key_lifetime interval DEFAULT NULL,
	max_rotation_overlap interval DEFAULT NULL, max_secret_lifetime interval DEFAULT NULL,
	max_keys bigint DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.set_organization_policy(uuid, boolean, interval, interval, interval, bigint) IS
	'Sets what an organization requires of its keys, and returns whether that changed anything. NULL leaves require_access_list and max_rotation_overlap as they are, and means no limit for max_key_lifetime, max_secret_lifetime and max_keys. Secrets that live longer than max_secret_lifetime expire when that time is over. Requires apikeys.organization.manage.';

CREATE FUNCTION apikeys.delete_organization(organization uuid) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.delete_organization(uuid) IS
	'Deletes an organization that has no keys, with its projects and members; returns true. Requires apikeys.organization.manage.';

CREATE FUNCTION apikeys.create_project(organization uuid, name text) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.create_project(uuid, text) IS
	'Creates a project in an organization, and returns its id. Requires apikeys.projects.create or apikeys.projects.manage in the organization; a principal that may not manage the project itself becomes GROUP_OWNER of it.';

CREATE FUNCTION apikeys.rename_project(project uuid, name text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.rename_project(uuid, text) IS
	'Renames a project, and returns whether anything changed. Requires apikeys.projects.manage in the project.';

CREATE FUNCTION apikeys.delete_project(project uuid) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.delete_project(uuid) IS
	'Deletes a project with the roles granted in it; its keys stay in their organization. Returns true. Requires apikeys.projects.manage in the project, and the permissions of what the keys hold there.';

CREATE FUNCTION apikeys.add_member(organization uuid, principal text, role text, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.add_member(uuid, text, text, uuid) IS
	'Grants a principal (role:... or user:...) a role in an organization or, with a project, in that project; returns whether anything changed. Requires apikeys.members.manage there.';

CREATE FUNCTION apikeys.remove_member(organization uuid, principal text, role text, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.remove_member(uuid, text, text, uuid) IS
	'Revokes a role of a principal in an organization or, with a project, in that project; returns whether anything changed. Requires apikeys.members.manage there, unless the membership is the principal''s own.';

CREATE FUNCTION apikeys.create_role(
	name text, level text, organization_permissions text[] DEFAULT '{}', project_permissions text[] DEFAULT '{}',
	description text DEFAULT NULL, organization uuid DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.create_role(text, text, text[], text[], text, uuid) IS
	'Creates a custom role of level organization or project, and returns its name. For one organization: requires apikeys.members.manage or apikeys.keys.manage there, and each permission of the role. For every organization: requires a PostgreSQL role that may execute create_organization.';

CREATE FUNCTION apikeys.drop_role(name text, organization uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.drop_role(text, uuid) IS
	'Drops a custom role that nobody holds, of one organization or, without it, of every organization; returns true. Requires what create_role requires, each permission of the role included.';

-- --- Organizations ----------------------------------------------------------

CREATE FUNCTION apikeys_internal.organization(name text) RETURNS uuid
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
DECLARE
	found_id uuid;
BEGIN
	SELECT o.id INTO found_id FROM apikeys.organization AS o WHERE o.name = organization.name;
	IF NOT apikeys_internal.reads_organization(found_id) THEN
		PERFORM apikeys_internal.raise_not_found('organization');
	END IF;
	RETURN found_id;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.organization(text) IS 'Body of apikeys.organization.';

CREATE FUNCTION apikeys_internal.create_organization(name text, owner text, require_access_list boolean) RETURNS uuid
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	first_owner constant text := coalesce(owner, apikeys.principal());
	new_id uuid;
BEGIN
	IF apikeys.current_key() IS NOT NULL THEN
		PERFORM apikeys_internal.refuse_bound_key('create an organization');
	END IF;
	PERFORM apikeys_internal.check_name('name', name);
	PERFORM apikeys_internal.check_principal(first_owner);
	INSERT INTO apikeys.organization (name, require_access_list)
		VALUES (create_organization.name, coalesce(create_organization.require_access_list, false))
		ON CONFLICT DO NOTHING
		RETURNING id INTO new_id;
	IF NOT FOUND THEN
		PERFORM apikeys_internal.raise_name_taken('an organization');
	END IF;
	INSERT INTO apikeys.member (organization_id, principal, role) VALUES (new_id, first_owner, 'ORG_OWNER');
	PERFORM apikeys_internal.note_event('organization.created', new_id, NULL, NULL,
		jsonb_build_object('new', jsonb_build_object('name', name, 'owner', first_owner,
			'require_access_list', coalesce(require_access_list, false))));
	RETURN new_id;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.create_organization(text, text, boolean) IS 'Body of apikeys.create_organization.';

CREATE FUNCTION apikeys_internal.rename_organization(organization uuid, name text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	old_name constant text := (apikeys_internal.lock_organization(organization, true)).name;
BEGIN
	PERFORM apikeys_internal.check_name('name', name);
	IF name = old_name THEN
		RETURN false;
	END IF;
	BEGIN
		UPDATE apikeys.organization AS o SET name = rename_organization.name
			WHERE o.id = rename_organization.organization;
	EXCEPTION WHEN unique_violation THEN
		PERFORM apikeys_internal.raise_name_taken('an organization');
	END;
	PERFORM apikeys_internal.note_event('organization.renamed', organization, NULL, NULL,
		jsonb_build_object('old', jsonb_build_object('name', old_name), 'new', jsonb_build_object('name', name)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.rename_organization(uuid, text) IS 'Body of apikeys.rename_organization.';

CREATE FUNCTION apikeys_internal.set_organization_policy(
	organization uuid, require_access_list boolean, max_key_lifetime interval, max_rotation_overlap interval,
	max_secret_lifetime interval, max_keys bigint) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	own_list apikeys.access_list;
	-- A transaction that creates a key or a secret meanwhile waits, where its life or their
	-- number is limited, and one that began before fails if it cannot see the new limit.
	before constant apikeys.organization := apikeys_internal.lock_organization(organization,
		max_secret_lifetime IS NOT NULL OR max_keys IS NOT NULL);
	after apikeys.organization;
BEGIN
	IF max_key_lifetime <= '0' OR NOT apikeys_internal.is_lifetime(max_key_lifetime) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'max_key_lifetime must be positive and at most 1000 years',
			DETAIL = 'No part of it may be negative.',
			HINT = 'NULL means no limit.',
			CONSTRAINT = 'invalid_lifetime';
	ELSIF max_secret_lifetime <= '0' OR NOT apikeys_internal.is_lifetime(max_secret_lifetime) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'max_secret_lifetime must be positive and at most 1000 years',
			DETAIL = 'No part of it may be negative.',
			HINT = 'NULL means no limit.',
			CONSTRAINT = 'invalid_lifetime';
	ELSIF max_keys < 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'max_keys must not be negative',
			HINT = 'NULL means no limit.',
			CONSTRAINT = 'invalid_max_keys';
	ELSIF NOT apikeys_internal.is_lifetime(max_rotation_overlap) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'max_rotation_overlap must not be negative and at most 1000 years',
			DETAIL = 'No part of it may be negative.',
			CONSTRAINT = 'invalid_overlap';
	END IF;
	UPDATE apikeys.organization AS o SET
			require_access_list = coalesce(set_organization_policy.require_access_list, o.require_access_list),
			max_key_lifetime = set_organization_policy.max_key_lifetime,
			max_rotation_overlap = coalesce(set_organization_policy.max_rotation_overlap, o.max_rotation_overlap),
			max_secret_lifetime = set_organization_policy.max_secret_lifetime,
			max_keys = set_organization_policy.max_keys
		WHERE o.id = set_organization_policy.organization
		RETURNING o.* INTO after;
	-- Not by values, because '1 year' = '360 days'.
	IF before *= after THEN
		RETURN false;
	END IF;
	IF after.max_secret_lifetime::text IS DISTINCT FROM before.max_secret_lifetime::text THEN
		PERFORM apikeys_internal.limit_secrets(after);
	END IF;
	-- The acting key, after the others that are locked by their names.
	IF after.require_access_list AND NOT before.require_access_list THEN
		SELECT k.access_list INTO own_list FROM apikeys.key AS k
			WHERE k.public_key = apikeys.current_key() FOR SHARE;
		IF own_list OPERATOR(apikeys.=) '{}' THEN
			RAISE object_not_in_prerequisite_state USING
				MESSAGE = 'the acting key has no access list itself',
				HINT = 'Add a network to its access list first.',
				CONSTRAINT = 'own_access_list';
		END IF;
	END IF;
	PERFORM apikeys_internal.note_event('organization.policy_changed', organization, NULL, NULL,
		jsonb_build_object('old', to_jsonb(before) - '{id,name,created_at,metadata,access_list,environment,limits}'::text[],
			'new', to_jsonb(after) - '{id,name,created_at,metadata,access_list,environment,limits}'::text[]));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_organization_policy(uuid, boolean, interval, interval, interval, bigint) IS 'Body of apikeys.set_organization_policy.';

CREATE FUNCTION apikeys_internal.delete_organization(organization uuid) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	old_name constant text := (apikeys_internal.lock_organization(organization, true)).name;
BEGIN
	-- In any isolation level those that are committed count.
	IF apikeys_internal.count_keys(organization, 1) > 0 THEN
		RAISE dependent_objects_still_exist USING
			MESSAGE = 'cannot delete an organization that has keys',
			HINT = 'Delete its keys first, with apikeys.delete_key or apikeys.delete_keys.',
			CONSTRAINT = 'organization_has_keys';
	END IF;
	DELETE FROM apikeys.organization AS o WHERE o.id = delete_organization.organization;
	PERFORM apikeys_internal.note_event('organization.deleted', organization, NULL, NULL,
		jsonb_build_object('old', jsonb_build_object('name', old_name)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.delete_organization(uuid) IS 'Body of apikeys.delete_organization.';

-- --- Projects ---------------------------------------------------------------

CREATE FUNCTION apikeys_internal.project(organization_name text, name text) RETURNS uuid
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
DECLARE
	found_id uuid;
BEGIN
	SELECT p.id INTO found_id FROM apikeys.project AS p
		WHERE p.organization_id = apikeys_internal.organization(project.organization_name) AND p.name = project.name;
	IF NOT apikeys_internal.reads_project(found_id) THEN
		PERFORM apikeys_internal.raise_not_found('project');
	END IF;
	RETURN found_id;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.project(text, text) IS 'Body of apikeys.project.';

CREATE FUNCTION apikeys_internal.organization_of(project uuid) RETURNS uuid
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
BEGIN
	IF NOT apikeys_internal.reads_project(project) THEN
		PERFORM apikeys_internal.raise_not_found('project');
	END IF;
	RETURN (SELECT p.organization_id FROM apikeys.project AS p WHERE p.id = organization_of.project);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.organization_of(uuid) IS 'Body of apikeys.organization_of.';

CREATE FUNCTION apikeys_internal.create_project(organization uuid, name text) RETURNS uuid
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	creator constant text := apikeys.principal();
	new_id uuid;
	owner text;
BEGIN
	PERFORM apikeys_internal.keep_organization_for(organization, 'apikeys.projects.create', 'apikeys.projects.manage');
	PERFORM apikeys_internal.check_name('name', name);
	INSERT INTO apikeys.project (organization_id, name)
		VALUES (create_project.organization, create_project.name)
		ON CONFLICT DO NOTHING
		RETURNING id INTO new_id;
	IF NOT FOUND THEN
		PERFORM apikeys_internal.raise_name_taken('a project of this organization');
	END IF;
	-- A principal that may create the project but not manage it becomes its owner.
	IF NOT apikeys_internal.may('apikeys.projects.manage', organization, new_id) THEN
		owner := creator;
		IF apikeys.current_key() IS NULL THEN
			INSERT INTO apikeys.member (organization_id, project_id, principal, role)
				VALUES (create_project.organization, new_id, creator, 'GROUP_OWNER');
		ELSE
			-- By a token that was narrowed the key may not be able to read itself.
			PERFORM FROM apikeys.key AS k WHERE k.public_key = apikeys.current_key() FOR NO KEY UPDATE;
			IF NOT FOUND THEN
				PERFORM apikeys_internal.raise_not_found('key');
			END IF;
			INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
				VALUES (apikeys.current_key(), create_project.organization, new_id, 'GROUP_OWNER');
			PERFORM apikeys_internal.check_grant_count(apikeys.current_key());
			PERFORM apikeys_internal.make_images(ARRAY[apikeys.current_key()]);
		END IF;
	END IF;
	PERFORM apikeys_internal.note_event('project.created', organization, new_id, NULL,
		jsonb_build_object('new', jsonb_strip_nulls(jsonb_build_object('name', name, 'owner', owner))));
	RETURN new_id;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.create_project(uuid, text) IS 'Body of apikeys.create_project.';

CREATE FUNCTION apikeys_internal.rename_project(project uuid, name text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.project := apikeys_internal.lock_project(project, true);
BEGIN
	PERFORM apikeys_internal.check_name('name', name);
	IF name = before.name THEN
		RETURN false;
	END IF;
	BEGIN
		UPDATE apikeys.project AS p SET name = rename_project.name WHERE p.id = rename_project.project;
	EXCEPTION WHEN unique_violation THEN
		PERFORM apikeys_internal.raise_name_taken('a project of this organization');
	END;
	PERFORM apikeys_internal.note_event('project.renamed', before.organization_id, project, NULL,
		jsonb_build_object('old', jsonb_build_object('name', before.name), 'new', jsonb_build_object('name', name)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.rename_project(uuid, text) IS 'Body of apikeys.rename_project.';

CREATE FUNCTION apikeys_internal.delete_project(project uuid) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.project := apikeys_internal.lock_project(project, true);
	keys text[];
BEGIN
	-- Its keys lose roles.
	keys := ARRAY(
		SELECT k.public_key FROM apikeys.key AS k
		WHERE k.public_key IN (SELECT r.public_key FROM apikeys.key_role AS r WHERE r.project_id = delete_project.project)
		ORDER BY k.public_key FOR NO KEY UPDATE);
	PERFORM apikeys_internal.check_taken(
		ARRAY(SELECT DISTINCT r.role FROM apikeys.key_role AS r
			WHERE r.project_id = delete_project.project AND r.role IS NOT NULL),
		ARRAY(SELECT DISTINCT r.permission FROM apikeys.key_role AS r
			WHERE r.project_id = delete_project.project AND r.permission IS NOT NULL),
		before.organization_id, project);
	DELETE FROM apikeys.project AS p WHERE p.id = delete_project.project;
	PERFORM apikeys_internal.make_images(keys);
	PERFORM apikeys_internal.note_event('project.deleted', before.organization_id, project, NULL,
		jsonb_build_object('old', jsonb_build_object('name', before.name, 'keys', to_jsonb(keys))));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.delete_project(uuid) IS 'Body of apikeys.delete_project.';

-- --- Members ----------------------------------------------------------------

CREATE FUNCTION apikeys_internal.may_change_members(organization uuid, project uuid, leaving text) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT apikeys_internal.may('apikeys.members.manage', organization, project)
		OR coalesce(leaving = apikeys.principal(), false) AND EXISTS (
			SELECT FROM apikeys.member AS m
			WHERE m.organization_id = may_change_members.organization
				AND m.project_id IS NOT DISTINCT FROM may_change_members.project
				AND CASE WHEN leaving LIKE 'role:%'
					THEN m.database_role = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = substr(leaving, 6))
					ELSE m.principal = leaving END);
END;
COMMENT ON FUNCTION apikeys_internal.may_change_members(uuid, uuid, text) IS
	'Checks whether the principal may manage the members of an organization or, with a project, of that project of it, or is the member that leaves. Never NULL.';

-- The organization is locked against deletion; with "alone" also against a
-- concurrent removal of an owner.  Who is a member by "leaving" may end that.  A
-- stranger waits for nobody.
CREATE FUNCTION apikeys_internal.lock_members(organization uuid, project uuid, alone boolean, leaving text) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF apikeys_internal.may_change_members(organization, project, leaving) THEN
		IF alone THEN
			PERFORM FROM apikeys.organization AS o WHERE o.id = lock_members.organization FOR NO KEY UPDATE;
		ELSE
			PERFORM FROM apikeys.organization AS o WHERE o.id = lock_members.organization FOR KEY SHARE;
		END IF;
		IF project IS NOT NULL THEN
			PERFORM FROM apikeys.project AS p
				WHERE p.id = lock_members.project AND p.organization_id = lock_members.organization FOR KEY SHARE;
		END IF;
		IF FOUND AND apikeys_internal.may_change_members(organization, project, leaving) THEN
			RETURN;
		END IF;
	END IF;
	PERFORM apikeys_internal.refuse('apikeys.members.manage', organization, project);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.lock_members(uuid, uuid, boolean, text) IS
	'Locks an organization and a project of it for a change of their members, and raises an error unless the principal may manage them, or is the member that leaves; NULL: none does.';

CREATE FUNCTION apikeys_internal.check_principal(candidate text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
	IF NOT apikeys_internal.is_principal(candidate) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid principal',
			DETAIL = 'A member is role:<PostgreSQL role> or user:<user of the application>, 255 bytes of UTF-8 at most, with single spaces between words, without control, format or other blank characters.',
			CONSTRAINT = 'invalid_principal';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_principal(text) IS
	'Raises 22023 for a text that cannot name a member.';

CREATE FUNCTION apikeys_internal.raise_name_taken(kind text) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RAISE unique_violation USING
		MESSAGE = format('the name is taken by %s', kind),
		CONSTRAINT = 'name_taken';
END;
$$;
COMMENT ON FUNCTION apikeys_internal.raise_name_taken(text) IS
	'Raises 23505 for a name that is taken.';

CREATE FUNCTION apikeys_internal.add_member(organization uuid, principal text, role text, project uuid) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	PERFORM apikeys_internal.lock_members(organization, project, false, NULL);
	PERFORM apikeys_internal.check_principal(principal);
	INSERT INTO apikeys.member (organization_id, project_id, principal, role)
		VALUES (add_member.organization, add_member.project, add_member.principal,
			(apikeys_internal.check_grants(ARRAY[role], organization, project))[1])
		ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM apikeys_internal.note_event('member.added', organization, project, NULL,
		jsonb_build_object('new', jsonb_build_object('principal', principal, 'role', role)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.add_member(uuid, text, text, uuid) IS 'Body of apikeys.add_member.';

CREATE FUNCTION apikeys_internal.remove_member(organization uuid, principal text, role text, project uuid) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	is_owner constant boolean := project IS NULL AND role = 'ORG_OWNER';
	-- The organization's role of that name, and that of every organization if both exist.
	role_ids constant text[] := ARRAY(
		SELECT r.id FROM apikeys.role AS r
		WHERE r.name = remove_member.role
			AND (r.organization_id IS NULL OR r.organization_id = remove_member.organization));
BEGIN
	-- A member that has nothing to leave there locks nothing.
	IF NOT EXISTS (
		SELECT FROM apikeys.member AS m
		WHERE m.organization_id = remove_member.organization
			AND m.project_id IS NOT DISTINCT FROM remove_member.project
			AND m.role = ANY (role_ids)
			AND (m.principal = remove_member.principal
				OR m.database_role = (SELECT r.oid FROM pg_roles AS r WHERE 'role:' || r.rolname = remove_member.principal)))
		AND NOT apikeys_internal.may('apikeys.members.manage', organization, project)
		AND apikeys_internal.may_change_members(organization, project, principal) THEN
		PERFORM apikeys_internal.check_principal(principal);
		RETURN false;
	END IF;
	PERFORM apikeys_internal.lock_members(organization, project, is_owner, principal);
	PERFORM apikeys_internal.check_principal(principal);
	IF principal LIKE 'role:%' THEN
		DELETE FROM apikeys.member AS m
			WHERE m.organization_id = remove_member.organization
				AND m.project_id IS NOT DISTINCT FROM remove_member.project
				AND m.role = ANY (role_ids)
				AND m.database_role = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = substr(remove_member.principal, 6));
		-- One that was renamed or dropped is also removed by the name that the list has,
		-- but not by the member that leaves.
		IF NOT FOUND AND apikeys_internal.may('apikeys.members.manage', organization, project) THEN
			DELETE FROM apikeys.member AS m
				WHERE m.organization_id = remove_member.organization
					AND m.project_id IS NOT DISTINCT FROM remove_member.project
					AND m.role = ANY (role_ids)
					AND m.principal = remove_member.principal;
		END IF;
	ELSE
		DELETE FROM apikeys.member AS m
			WHERE m.principal = remove_member.principal AND m.database_role IS NULL
				AND m.organization_id = remove_member.organization
				AND m.project_id IS NOT DISTINCT FROM remove_member.project
				AND m.role = ANY (role_ids);
	END IF;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF is_owner THEN
		-- Locking the row fails if the snapshot is too old to see that it was deleted.
		PERFORM FROM apikeys.member AS m
			WHERE m.organization_id = remove_member.organization AND m.project_id IS NULL AND m.role = 'ORG_OWNER'
				AND (m.database_role IS NULL OR EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = m.database_role))
			LIMIT 1 FOR KEY SHARE OF m;
		IF NOT FOUND THEN
			RAISE object_not_in_prerequisite_state USING
				MESSAGE = 'cannot remove the last owner of the organization',
				HINT = 'Grant role ORG_OWNER to another member first.',
				CONSTRAINT = 'last_owner';
		END IF;
	END IF;
	PERFORM apikeys_internal.note_event('member.removed', organization, project, NULL,
		jsonb_build_object('old', jsonb_build_object('principal', principal, 'role', role)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.remove_member(uuid, text, text, uuid) IS 'Body of apikeys.remove_member.';
