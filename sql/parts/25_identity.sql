-- The current principal.  PARALLEL RESTRICTED: only the process in which a key was
-- bound or a user was named knows it.

CREATE FUNCTION apikeys.principal() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal';
COMMENT ON FUNCTION apikeys.principal() IS
	'Returns the principal that is acting: the key bound to this transaction (key:...), else the user named by act_as (user:...), else the current PostgreSQL role (role:...).';

CREATE FUNCTION apikeys.principals() RETURNS text[]
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principals';
COMMENT ON FUNCTION apikeys.principals() IS
	'Returns every name under which the principal can be a member: principal() itself and, for a PostgreSQL role, the roles whose privileges it has.';

CREATE FUNCTION apikeys.act_as(principal text, address inet DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_act_as';
COMMENT ON FUNCTION apikeys.act_as(text, inet) IS
	'Names the user of the application (user:...) that acts until the end of the transaction, and the address of that user. Access impersonate.';

CREATE FUNCTION apikeys.act_as(principal text, address text) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_act_as_text';
COMMENT ON FUNCTION apikeys.act_as(text, text) IS
	'The same as act_as(text, inet), for drivers that send the address as text.';

CREATE FUNCTION apikeys.current_address() RETURNS inet
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_current_address';
COMMENT ON FUNCTION apikeys.current_address() IS
	'Returns the address of the bound key or of the named user, else that of the connection; NULL if it is unknown.';

-- The key that is bound to the transaction.  STABLE, so that a policy that contains
-- (SELECT apikeys.current_key()) calls it once a statement.  The cost of permits
-- makes the planner evaluate cheap comparisons first.

CREATE FUNCTION apikeys.current_key() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_current_key';
COMMENT ON FUNCTION apikeys.current_key() IS
	'Returns the public key of the key that is bound to this transaction, or NULL.';

CREATE FUNCTION apikeys_internal.own_reader() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_own_reader';
COMMENT ON FUNCTION apikeys_internal.own_reader() IS
	'Returns the public key of the key that is bound to this transaction, if it reads itself whatever its roles: by no token that was narrowed. NULL if not.';

CREATE FUNCTION apikeys.current_organization() RETURNS uuid
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_current_organization';
COMMENT ON FUNCTION apikeys.current_organization() IS
	'Returns the organization of the key that is bound to this transaction, or NULL.';

CREATE FUNCTION apikeys.current_projects(scope text) RETURNS uuid[]
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_current_projects';
COMMENT ON FUNCTION apikeys.current_projects(text) IS
	'Returns the projects in which the key that is bound to this transaction has the scope; empty if no key is bound.';

CREATE FUNCTION apikeys.permits(scope text, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED COST 10 AS 'MODULE_PATHNAME', 'apikeys_permits';
COMMENT ON FUNCTION apikeys.permits(text, uuid) IS
	'Checks whether the key that is bound to this transaction has the scope in its organization or, with a project that is not NULL, in that project, by its roles at the time it was bound. False if no key is bound; never NULL.';
