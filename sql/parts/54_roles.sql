-- Roles: of every organization, and those that belong to one.

CREATE FUNCTION apikeys_internal.find_role(name text, organization uuid) RETURNS text
	LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT r.id FROM apikeys.role AS r
	WHERE r.name = find_role.name AND (r.organization_id IS NULL OR r.organization_id = find_role.organization)
	ORDER BY r.organization_id NULLS LAST LIMIT 1;
END;
COMMENT ON FUNCTION apikeys_internal.find_role(text, uuid) IS
	'Returns the id of the role that has a name in an organization; NULL if there is none.';

-- A role for every organization is as much as an organization: it needs the same right.
CREATE FUNCTION apikeys_internal.check_role_manager(organization uuid) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF organization IS NULL THEN
		-- No key and no user of the application has a PostgreSQL role here.
		IF has_function_privilege((apikeys_internal.principal_roles())[1],
				'apikeys.create_organization(text, text, boolean)', 'EXECUTE') IS NOT TRUE THEN
			RAISE insufficient_privilege USING
				MESSAGE = 'permission denied for roles of every organization',
				DETAIL = format('%s is not a PostgreSQL role that may execute apikeys.create_organization.', apikeys.principal()),
				HINT = 'Name an organization.',
				CONSTRAINT = 'permission_denied';
		END IF;
		RETURN;
	END IF;
	PERFORM apikeys_internal.keep_organization_for(organization, 'apikeys.members.manage', 'apikeys.keys.manage');
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_role_manager(uuid) IS
	'Raises an error unless the principal may create and drop roles of the organization (NULL: of every organization), which is kept from being deleted.';

CREATE FUNCTION apikeys_internal.has_room_for_role(organization uuid, permissions bigint) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_has_room_for_role';
COMMENT ON FUNCTION apikeys_internal.has_room_for_role(uuid, bigint) IS
	'Checks whether an organization can have one more role, with so many permissions; in any isolation level those that are committed count.';

-- What decisions and bound keys read of its roles must not be as large as a tenant likes.
CREATE FUNCTION apikeys_internal.check_role_count(organization uuid, added bigint) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	-- Who creates a role meanwhile waits, and counts this one.
	PERFORM FROM apikeys.organization AS o WHERE o.id = check_role_count.organization FOR NO KEY UPDATE;
	IF NOT apikeys_internal.has_room_for_role(organization, added) THEN
		RAISE program_limit_exceeded USING
			MESSAGE = 'an organization can have at most 1000 roles of its own, with 10000 permissions together',
			CONSTRAINT = 'too_many_roles';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_role_count(uuid, bigint) IS
	'Raises 54000 if an organization would have too many roles of its own, or too many permissions in them with those that are added.';

CREATE FUNCTION apikeys_internal.create_role(
	name text, level text, organization_permissions text[], project_permissions text[], description text,
	organization uuid) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	created apikeys.role;
BEGIN
	PERFORM apikeys_internal.check_role_manager(organization);
	PERFORM apikeys_internal.check_name('description', description);
	IF NOT apikeys_internal.is_role_name(name) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid role name',
			DETAIL = 'It is 1 to 63 letters, digits and characters of _.:-, the first a letter or a digit, and contains no private key.',
			CONSTRAINT = 'invalid_role_name';
	ELSIF level NOT IN ('organization', 'project') THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'the level of a role is organization or project',
			CONSTRAINT = 'invalid_level';
	ELSIF level = 'project' AND organization_permissions <> '{}' THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'a role of level project has no permissions in the organization',
			CONSTRAINT = 'invalid_level';
	ELSIF cardinality(organization_permissions) > 1000 OR cardinality(project_permissions) > 1000 THEN
		RAISE program_limit_exceeded USING
			MESSAGE = 'a role can have at most 1000 organization permissions and 1000 project permissions', CONSTRAINT = 'too_many_permissions';
	ELSIF NOT (apikeys_internal.are_permissions(coalesce(organization_permissions, '{}'))
		AND apikeys_internal.are_permissions(coalesce(project_permissions, '{}'))) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid permission',
			DETAIL = 'A permission is 1 to 256 letters, digits and characters of _.:/-, with * for any run of characters, and contains no private key.',
			CONSTRAINT = 'invalid_permission';
	ELSIF organization IS NOT NULL AND apikeys_internal.find_role(name, NULL) IS NOT NULL THEN
		PERFORM apikeys_internal.raise_name_taken('a role of every organization');
	ELSIF organization IS NOT NULL THEN
		PERFORM apikeys_internal.check_role_count(organization,
			coalesce(cardinality(organization_permissions), 0) + coalesce(cardinality(project_permissions), 0));
	END IF;
	INSERT INTO apikeys.role (name, level, organization_permissions, project_permissions, description, organization_id)
		VALUES (create_role.name, create_role.level, coalesce(create_role.organization_permissions, '{}'),
			coalesce(create_role.project_permissions, '{}'), create_role.description, create_role.organization)
		ON CONFLICT DO NOTHING
		RETURNING * INTO created;
	IF NOT FOUND THEN
		PERFORM apikeys_internal.raise_name_taken('a role');
	ELSIF organization IS NOT NULL AND NOT apikeys_internal.may_grant(created.id, organization) THEN
		RAISE insufficient_privilege USING
			MESSAGE = format('permission denied to create role "%s"', name),
			DETAIL = format('%s needs each permission of the role in this organization, or apikeys.roles.grant_any.', apikeys.principal()),
			CONSTRAINT = 'role_not_grantable';
	END IF;
	PERFORM apikeys_internal.note_event('role.created', organization, NULL, NULL,
		jsonb_build_object('new', apikeys_internal.role_detail(created)));
	RETURN name;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.create_role(text, text, text[], text[], text, uuid) IS 'Body of apikeys.create_role.';

CREATE FUNCTION apikeys_internal.role_detail(role apikeys.role) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN to_jsonb(role) - '{is_builtin,id,organization_id}'::text[];
COMMENT ON FUNCTION apikeys_internal.role_detail(apikeys.role) IS
	'Returns what an event tells of a role.';

CREATE FUNCTION apikeys_internal.drop_role(name text, organization uuid) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	dropped apikeys.role;
	holder_count bigint;
	holders text[];
BEGIN
	PERFORM apikeys_internal.check_role_manager(organization);
	SELECT r.* INTO dropped FROM apikeys.role AS r
		WHERE r.name = drop_role.name AND r.organization_id IS NOT DISTINCT FROM drop_role.organization FOR UPDATE;
	IF NOT FOUND THEN
		RAISE undefined_object USING
			MESSAGE = 'role does not exist', CONSTRAINT = 'role_not_found';
	ELSIF dropped.is_builtin THEN
		RAISE dependent_objects_still_exist USING
			MESSAGE = format('cannot drop role "%s"', name),
			DETAIL = 'It belongs to the extension.',
			CONSTRAINT = 'role_builtin';
	END IF;
	IF organization IS NOT NULL AND NOT apikeys_internal.may_grant(dropped.id, organization) THEN
		RAISE insufficient_privilege USING
			MESSAGE = format('permission denied to drop role "%s"', name),
			DETAIL = format('%s needs each permission of the role in this organization, or apikeys.roles.grant_any.', apikeys.principal()),
			CONSTRAINT = 'role_not_grantable';
	END IF;
	-- Of a role of every organization the holders can be strangers to the caller.
	SELECT count(*), (array_agg(h.holder ORDER BY h.holder) FILTER (WHERE organization IS NOT NULL AND h.is_visible))[:6]
		INTO holder_count, holders
		FROM (
			SELECT m.principal AS holder, apikeys_internal.may('apikeys.members.read', m.organization_id, m.project_id)
				OR apikeys_internal.may('apikeys.members.manage', m.organization_id, m.project_id) AS is_visible
			FROM apikeys.member AS m WHERE m.role = dropped.id
			UNION ALL
			SELECT DISTINCT 'key:' || r.public_key, apikeys_internal.reads_key(r.public_key)
			FROM apikeys.key_role AS r WHERE r.role = dropped.id
			LIMIT 1000) AS h;
	IF holder_count > 0 THEN
		RAISE dependent_objects_still_exist USING
			MESSAGE = format('cannot drop role "%s"', name),
			DETAIL = CASE WHEN organization IS NULL THEN 'It is granted to members or keys.'
				WHEN holders IS NULL THEN format('It is held by members or keys that are not visible to the caller: %s.', holder_count)
				WHEN cardinality(holders) < holder_count THEN format('It is held by %s and %s more.',
					array_to_string(holders, ', '), holder_count - cardinality(holders))
				ELSE format('It is held by %s.', array_to_string(holders, ', ')) END,
			CONSTRAINT = 'role_in_use';
	END IF;
	BEGIN
		DELETE FROM apikeys.role AS r WHERE r.id = dropped.id;
	EXCEPTION WHEN foreign_key_violation THEN
		-- Of a holder that the snapshot of the transaction does not see.
		RAISE dependent_objects_still_exist USING
			MESSAGE = format('cannot drop role "%s"', name),
			DETAIL = 'It is granted to members or keys.',
			CONSTRAINT = 'role_in_use';
	END;
	PERFORM apikeys_internal.note_event('role.dropped', organization, NULL, NULL,
		jsonb_build_object('old', apikeys_internal.role_detail(dropped)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.drop_role(text, uuid) IS 'Body of apikeys.drop_role.';
