-- Who may touch what at all. First nobody; then what row-level security
-- protects is everybody's. What proves a key, or says who acts, or makes
-- organizations and roles, is nobody's until granted.

REVOKE ALL ON SCHEMA apikeys FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA apikeys FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apikeys FROM PUBLIC;

GRANT USAGE ON SCHEMA apikeys TO PUBLIC;

GRANT SELECT ON
	apikeys.organization, apikeys.project, apikeys.role, apikeys.member,
	apikeys.key, apikeys.key_role, apikeys.key_usage, apikeys.key_role_usage, apikeys.key_denial, apikeys.audit_event,
	apikeys.keys, apikeys.access_list_entries, apikeys.usage, apikeys.rehash_status,
	apikeys.unused_keys, apikeys.unused_access_list_entries, apikeys.unused_roles
TO PUBLIC;
GRANT SELECT (public_key, version, hint, created_at, expires_at, algorithm, pepper) ON apikeys.key_secret TO PUBLIC;

-- What is not named here is never written by hand: created_at, created_by,
-- is_builtin, and after the insert public_key, organization_id and hash.
GRANT INSERT (id, name, require_access_list, max_key_lifetime, max_rotation_overlap),
	UPDATE (name, require_access_list, max_key_lifetime, max_rotation_overlap),
	DELETE ON apikeys.organization TO PUBLIC;
GRANT INSERT (id, organization_id, name), UPDATE (name), DELETE ON apikeys.project TO PUBLIC;
GRANT INSERT (name, level, organization_permissions, project_permissions, description),
	DELETE ON apikeys.role TO PUBLIC;
GRANT INSERT (organization_id, project_id, principal, role), DELETE ON apikeys.member TO PUBLIC;
GRANT INSERT (public_key, organization_id, description, access_list, expires_at),
	UPDATE (description, access_list, expires_at, disabled_at, disabled_reason), DELETE ON apikeys.key TO PUBLIC;
GRANT INSERT (public_key, organization_id, project_id, role), DELETE ON apikeys.key_role TO PUBLIC;
GRANT INSERT (public_key, version, hash, hint, expires_at), UPDATE (expires_at), DELETE ON apikeys.key_secret TO PUBLIC;

-- The types.
GRANT EXECUTE ON FUNCTION
	apikeys.access_list_in(cstring), apikeys.access_list_out(apikeys.access_list),
	apikeys.access_list_recv(internal), apikeys.access_list_send(apikeys.access_list),
	apikeys.access_list_contains(apikeys.access_list, inet), apikeys.access_list_contained(inet, apikeys.access_list),
	apikeys.access_list_add(apikeys.access_list, cidr), apikeys.access_list_remove(apikeys.access_list, cidr),
	apikeys.access_list_eq(apikeys.access_list, apikeys.access_list),
	apikeys.access_list_ne(apikeys.access_list, apikeys.access_list),
	apikeys.access_list_hash(apikeys.access_list), apikeys.access_list_hash_extended(apikeys.access_list, bigint),
	apikeys.access_list(cidr[]), apikeys.networks_array(apikeys.access_list), apikeys.networks(apikeys.access_list),
	apikeys.matching_network(apikeys.access_list, inet), apikeys.cardinality(apikeys.access_list),
	apikeys.secret_hash_in(cstring), apikeys.secret_hash_out(apikeys.secret_hash),
	apikeys.secret_hash_recv(internal), apikeys.secret_hash_send(apikeys.secret_hash),
	apikeys.is_access_list(text), apikeys.is_secret_hash(text),
	apikeys.verify(apikeys.secret_hash, text, text),
	apikeys.algorithm(apikeys.secret_hash), apikeys.pepper(apikeys.secret_hash),
	apikeys.current_pepper(), apikeys.pepper_state(text)
TO PUBLIC;

-- What constraints, triggers and policies ask.
GRANT EXECUTE ON FUNCTION
	apikeys.is_name(text), apikeys.is_public_key(text), apikeys.is_private_key(text),
	apikeys.is_principal(text), apikeys.is_role_name(text), apikeys.are_permissions(text[]),
	apikeys.principal(), apikeys.principals(),
	apikeys.current_key(), apikeys.current_organization(), apikeys.permits(text, uuid),
	apikeys.principal_may(text, uuid, uuid), apikeys.principal_may_grant(text, uuid, uuid),
	apikeys.principal_organizations(), apikeys.principal_organizations(text[]),
	apikeys.principal_projects(), apikeys.principal_projects(text[]),
	apikeys.principal_manages_key(text), apikeys.principal_may_issue(text), apikeys.principal_founds(uuid, uuid)
TO PUBLIC;

-- What views and operators read of the counters in memory.
GRANT EXECUTE ON FUNCTION
	apikeys.grant_id(text, uuid), apikeys.pending_usage(text), apikeys.usage_status(), apikeys.status()
TO PUBLIC;

GRANT EXECUTE ON FUNCTION apikeys.help() TO PUBLIC;

-- Management, protected by row-level security.
GRANT EXECUTE ON FUNCTION
	apikeys.check_not_null(text[]), apikeys.check_permission(text, uuid, uuid), apikeys.check_is_no_key(text), apikeys.check_grant(text[], uuid, uuid, text[]),
	apikeys.check_project_roles(text[]), apikeys.check_name(text, text), apikeys.check_principal(text), apikeys.refuse(text), apikeys.refuse_key(text),
	apikeys.organization(text), apikeys.project(text, text), apikeys.organization_of(uuid),
	apikeys.set_organization_policy(uuid, boolean, interval, interval),
	apikeys.delete_organization(uuid), apikeys.create_project(uuid, text), apikeys.delete_project(uuid),
	apikeys.add_member(uuid, text, text, uuid), apikeys.remove_member(uuid, text, text, uuid),
	apikeys.drop_role(text),
	apikeys.generate_public_key(), apikeys.issue_secret(text, interval),
	apikeys.create_key(uuid, text, text[], apikeys.access_list, timestamptz),
	apikeys.create_project_key(uuid, text, text[], apikeys.access_list, timestamptz),
	apikeys.update_key(text, text, apikeys.access_list, timestamptz),
	apikeys.set_organization_roles(text, text[]), apikeys.set_project_roles(text, uuid, text[]),
	apikeys.replace_roles(text, uuid, uuid, text[]), apikeys.remove_from_project(text, uuid),
	apikeys.add_to_access_list(text, cidr[]), apikeys.remove_from_access_list(text, cidr[]),
	apikeys.add_current_address(text), apikeys.rotate_secret(text, interval),
	apikeys.disable_key(text, text), apikeys.enable_key(text), apikeys.delete_key(text),
	apikeys.end_secret(text, integer), apikeys.find_leaked(text),
	apikeys.import_key(uuid, text, apikeys.secret_hash, text, text[], apikeys.access_list, timestamptz),
	apikeys.public_key_is_taken(text, uuid), apikeys.import_columns(regclass),
	apikeys.check_import(uuid, regclass), apikeys.import_keys(uuid, regclass),
	apikeys.explain_authorize(text, inet, text, uuid),
	apikeys.expiring_keys(interval), apikeys.notify_expiring(interval),
	apikeys.find_keys(timestamptz, timestamptz, text, uuid, text, uuid),
	apikeys.disable_keys(timestamptz, timestamptz, text, uuid, text, uuid, boolean),
	apikeys.delete_keys(timestamptz, timestamptz, text, uuid, text, uuid, boolean)
TO PUBLIC;
