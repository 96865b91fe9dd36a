-- What the principal may do.  Policies and management functions ask these;
-- they read the tables by index themselves, need no privilege on them, and
-- tell a caller only about himself.

CREATE FUNCTION apikeys.principal_may(scope text, organization uuid, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_may';
COMMENT ON FUNCTION apikeys.principal_may(text, uuid, uuid) IS
	'Whether the one who is acting has the scope in the organization itself, or, with a project, in that project of it; never NULL.';

CREATE FUNCTION apikeys.principal_organizations() RETURNS uuid[]
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_organizations';
COMMENT ON FUNCTION apikeys.principal_organizations() IS
	'The organizations that the one who is acting is a member of, be it in one of their projects only.';

CREATE FUNCTION apikeys.principal_organizations(VARIADIC scopes text[]) RETURNS uuid[]
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_organizations';
COMMENT ON FUNCTION apikeys.principal_organizations(text[]) IS
	'The organizations in which the one who is acting has one of the scopes.';

CREATE FUNCTION apikeys.principal_projects() RETURNS uuid[]
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_projects';
COMMENT ON FUNCTION apikeys.principal_projects() IS
	'The projects in which the one who is acting has any permission.';

CREATE FUNCTION apikeys.principal_projects(VARIADIC scopes text[]) RETURNS uuid[]
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_projects';
COMMENT ON FUNCTION apikeys.principal_projects(text[]) IS
	'The projects in which the one who is acting has one of the scopes.';

CREATE FUNCTION apikeys.principal_manages_key(public_key text) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_manages_key';
COMMENT ON FUNCTION apikeys.principal_manages_key(text) IS
	'Whether the one who is acting has apikeys.keys.manage in the key''s organization, or in every project the key has a role in, if it has none elsewhere; never NULL.';

CREATE FUNCTION apikeys.principal_may_issue(public_key text) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_may_issue';
COMMENT ON FUNCTION apikeys.principal_may_issue(text) IS
	'Whether the one who is acting manages the key, and may grant each role that it has, so that he may hold a secret of it; a key only where it has as many networks and as long a life itself; never NULL.';

CREATE FUNCTION apikeys.principal_may_grant(role text, organization uuid, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_may_grant';
COMMENT ON FUNCTION apikeys.principal_may_grant(text, uuid, uuid) IS
	'Whether the one who is acting has apikeys.roles.grant_any there, or each permission of the role himself; never NULL.';

CREATE FUNCTION apikeys.principal_founds(organization uuid, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal_founds';
COMMENT ON FUNCTION apikeys.principal_founds(uuid, uuid) IS
	'Whether the organization, or the project, was made by this transaction and has no member yet, nor a key with a role in it, so that its first owner may be named; never NULL.';
