-- The rights of the principal.  Policies and the bodies of verbs call these
-- functions, which read the tables by index and answer for the current principal.

CREATE FUNCTION apikeys_internal.may(scope text, organization uuid, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_may';
COMMENT ON FUNCTION apikeys_internal.may(text, uuid, uuid) IS
	'Checks whether the principal has the scope in the organization or, with a project, in that project of it. Never NULL.';

CREATE FUNCTION apikeys_internal.would_allow(scope text, organization uuid, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_would_allow';
COMMENT ON FUNCTION apikeys_internal.would_allow(text, uuid, uuid) IS
	'The same as may, without recording that a role of the bound key was used.';

CREATE FUNCTION apikeys.permitted_scopes(organization uuid, scopes text[], project uuid DEFAULT NULL) RETURNS text[]
	LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT coalesce(array_agg(s.scope ORDER BY s.number), '{}')
	FROM unnest(scopes) WITH ORDINALITY AS s (scope, number)
	WHERE apikeys_internal.would_allow(s.scope, organization, project);
END;
COMMENT ON FUNCTION apikeys.permitted_scopes(uuid, text[], uuid) IS
	'Returns those of the scopes that the principal has in an organization or, with a project, in that project of it, so that an application shows what its user may do. Access manage.';

CREATE FUNCTION apikeys_internal.may_grant(held text, organization uuid, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_may_grant';
COMMENT ON FUNCTION apikeys_internal.may_grant(text, uuid, uuid) IS
	'Checks whether the principal has apikeys.roles.grant_any there, or holds each permission there of a role, named by its id, or a permission, behind an equals sign. Never NULL.';

CREATE FUNCTION apikeys_internal.reads_organization(organization uuid) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_reads_organization';
COMMENT ON FUNCTION apikeys_internal.reads_organization(uuid) IS
	'Checks whether the organization exists and is visible to the principal. Never NULL.';

CREATE FUNCTION apikeys_internal.reads_project(project uuid) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_reads_project';
COMMENT ON FUNCTION apikeys_internal.reads_project(uuid) IS
	'Checks whether the project exists and is visible to the principal. Never NULL.';

CREATE FUNCTION apikeys_internal.reads_key(public_key text) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_reads_key';
COMMENT ON FUNCTION apikeys_internal.reads_key(text) IS
	'Checks whether the key exists and is visible to the principal. Never NULL.';

CREATE FUNCTION apikeys_internal.manages_key(public_key text) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_manages_key';
COMMENT ON FUNCTION apikeys_internal.manages_key(text) IS
	'Checks whether the principal has apikeys.keys.manage in every place where the key has a role (in the organization if it has none), and may grant each of these roles. Never NULL.';

CREATE FUNCTION apikeys_internal.reads_key(public_key text, organizations uuid[]) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED COST 10 AS 'MODULE_PATHNAME', 'apikeys_reads_key_of';
COMMENT ON FUNCTION apikeys_internal.reads_key(text, uuid[]) IS
	'Checks whether the principal reads a key; organizations are those in which it reads all keys, as principal_organizations returned them for the statement.';

CREATE FUNCTION apikeys_internal.stops_key(public_key text) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_stops_key';
COMMENT ON FUNCTION apikeys_internal.stops_key(text) IS
	'Checks whether the principal has apikeys.keys.manage in one place where the key has a role (in the organization if it has none). Never NULL.';

CREATE FUNCTION apikeys_internal.rotates_itself(public_key text) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_rotates_itself';
COMMENT ON FUNCTION apikeys_internal.rotates_itself(text) IS
	'Checks whether the key is the bound one and has apikeys.self.rotate. Never NULL.';

CREATE FUNCTION apikeys_internal.principal_organizations() RETURNS uuid[]
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_organizations';
COMMENT ON FUNCTION apikeys_internal.principal_organizations() IS
	'Returns the organizations in which, or in a project of which, the principal is a member.';

CREATE FUNCTION apikeys_internal.principal_organizations(VARIADIC scopes text[]) RETURNS uuid[]
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_organizations';
COMMENT ON FUNCTION apikeys_internal.principal_organizations(text[]) IS
	'Returns the organizations in which the principal has one of the scopes.';

CREATE FUNCTION apikeys_internal.principal_other_projects(scopes text[], organization_scopes text[]) RETURNS uuid[]
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_other_projects';
COMMENT ON FUNCTION apikeys_internal.principal_other_projects(text[], text[]) IS
	'Returns the projects in which the principal has one of the scopes (NULL: any permission), except those of organizations in which it has one of organization_scopes.';

CREATE FUNCTION apikeys_internal.is_one_of_support(request internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_one_of_support';
COMMENT ON FUNCTION apikeys_internal.is_one_of_support(internal) IS
	'Planner support function: is_one_of is estimated, and uses indexes, like = ANY.';
CREATE FUNCTION apikeys_internal.is_one_of(id uuid, sorted_ids uuid[]) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10 SUPPORT apikeys_internal.is_one_of_support
	AS 'MODULE_PATHNAME', 'apikeys_is_one_of';
COMMENT ON FUNCTION apikeys_internal.is_one_of(uuid, uuid[]) IS
	'Checks whether an id is one of those that principal_organizations or principal_other_projects has returned.';

CREATE FUNCTION apikeys_internal.principal_project_keys(VARIADIC scopes text[]) RETURNS text[]
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_project_keys';
COMMENT ON FUNCTION apikeys_internal.principal_project_keys(text[]) IS
	'Returns the keys that have a role in a project where the principal has one of the scopes, except those of organizations in which it has one.';

CREATE FUNCTION apikeys_internal.readable_share_support(request internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_readable_share_support';
COMMENT ON FUNCTION apikeys_internal.readable_share_support(internal) IS
	'Planner support of is_readable_share.';

-- The cost of reading a row that is then filtered out.
CREATE FUNCTION apikeys_internal.is_readable_share(organization uuid, scopes text[]) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED COST 50 SUPPORT apikeys_internal.readable_share_support
	AS 'MODULE_PATHNAME', 'apikeys_is_readable_share';
COMMENT ON FUNCTION apikeys_internal.is_readable_share(uuid, text[]) IS
	'Always true. Tells the planner which share of a table''s rows belongs to the organizations in which the principal has one of the scopes (NULL: any role).';

CREATE FUNCTION apikeys_internal.visited_organization() RETURNS uuid
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_visited_organization';
COMMENT ON FUNCTION apikeys_internal.visited_organization() IS
	'Returns the organization that a scan of the reader''s own rows is about to read, or NULL outside of such a scan.';

CREATE FUNCTION apikeys_internal.add_in_utc(start timestamptz, duration interval) RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_add_in_utc';
COMMENT ON FUNCTION apikeys_internal.add_in_utc(timestamptz, interval) IS
	'Adds an interval to a time in UTC, whatever the time zone of the session.';

CREATE FUNCTION apikeys_internal.reading_user() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_reading_user';
COMMENT ON FUNCTION apikeys_internal.reading_user() IS
	'Returns the user of the application that is acting, for the policy of members; NULL if none is, or has no rights here.';

CREATE FUNCTION apikeys_internal.principal_roles() RETURNS oid[]
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_roles';
COMMENT ON FUNCTION apikeys_internal.principal_roles() IS
	'Returns the PostgreSQL roles whose privileges the principal has; none if a key or a user is acting.';
