-- The columns of view keys that come from tables key_role, project and key_secret.
-- The last arguments are what policies compute once a statement: organizations are
-- those in which the principal reads all keys.  They cost enough for the planner to
-- call them after ORDER BY and LIMIT (make_sort_input_target() of planner.c).

CREATE FUNCTION apikeys_internal.key_roles(public_key text, organization uuid, organizations uuid[]) RETURNS jsonb
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 20 AS 'MODULE_PATHNAME', 'apikeys_key_roles';
COMMENT ON FUNCTION apikeys_internal.key_roles(text, uuid, uuid[]) IS
	'Returns the roles and permissions of a key that the principal reads, each with its place.';

CREATE FUNCTION apikeys_internal.key_projects(public_key text, organization uuid, organizations uuid[],
		project_organizations uuid[], projects uuid[]) RETURNS jsonb
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 20 AS 'MODULE_PATHNAME', 'apikeys_key_projects';
COMMENT ON FUNCTION apikeys_internal.key_projects(text, uuid, uuid[], uuid[], uuid[]) IS
	'Returns the projects of a key that the principal reads, with its roles and permissions in each; project_organizations are the organizations in which the principal reads all projects, projects the other ones that it reads.';

CREATE FUNCTION apikeys_internal.key_organization_roles(public_key text, organization uuid, organizations uuid[]) RETURNS text[]
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 20 AS 'MODULE_PATHNAME', 'apikeys_key_organization_roles';
COMMENT ON FUNCTION apikeys_internal.key_organization_roles(text, uuid, uuid[]) IS
	'Returns the roles of a key in its organization; NULL if they are hidden from the principal.';

CREATE FUNCTION apikeys_internal.key_organization_permissions(public_key text, organization uuid, organizations uuid[]) RETURNS text[]
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 20 AS 'MODULE_PATHNAME', 'apikeys_key_organization_permissions';
COMMENT ON FUNCTION apikeys_internal.key_organization_permissions(text, uuid, uuid[]) IS
	'Returns the permissions of a key in its organization; NULL if they are hidden from the principal.';

CREATE FUNCTION apikeys_internal.key_hint(public_key text, organization uuid, organizations uuid[]) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 20 AS 'MODULE_PATHNAME', 'apikeys_key_hint';
COMMENT ON FUNCTION apikeys_internal.key_hint(text, uuid, uuid[]) IS
	'Returns the last characters of the newest private key of a key that the principal reads.';

CREATE FUNCTION apikeys_internal.key_secrets(public_key text, organization uuid, organizations uuid[]) RETURNS jsonb
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 20 AS 'MODULE_PATHNAME', 'apikeys_key_secrets';
COMMENT ON FUNCTION apikeys_internal.key_secrets(text, uuid, uuid[]) IS
	'Returns the live private keys of a key that the principal reads, the newest first, without the keys themselves.';

CREATE FUNCTION apikeys_internal.key_secret_expires_at(public_key text, organization uuid, organizations uuid[]) RETURNS timestamptz
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 20 AS 'MODULE_PATHNAME', 'apikeys_key_secret_expires_at';
COMMENT ON FUNCTION apikeys_internal.key_secret_expires_at(text, uuid, uuid[]) IS
	'Returns when the last private key of a key that the principal reads expires, or has expired; NULL: never.';
