-- Who is acting.

CREATE FUNCTION apikeys.principal() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal';
COMMENT ON FUNCTION apikeys.principal() IS
	'Who is acting: the key that is bound to this transaction, else what act_as said in it, else role: and the current role.';

CREATE FUNCTION apikeys.principals() RETURNS text[]
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principals';
COMMENT ON FUNCTION apikeys.principals() IS
	'Every name that counts as who is acting: principal(), and the roles whose privileges the current role has.';

CREATE FUNCTION apikeys.act_as(principal text) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_act_as';
COMMENT ON FUNCTION apikeys.act_as(text) IS
	'Says which user of the application (user:...) acts until the end of the transaction. For a role that is trusted to say so; nobody may call it until granted.';

-- The key that is bound to the transaction. STABLE, so that a policy asks once a
-- statement where it says (SELECT apikeys.current_key()); PARALLEL RESTRICTED,
-- for only the process that it was bound in knows it. permits costs more than a
-- comparison, which a policy then makes before.

CREATE FUNCTION apikeys.current_key() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_current_key';
COMMENT ON FUNCTION apikeys.current_key() IS
	'The public key of the key that is bound to this transaction, or NULL.';

CREATE FUNCTION apikeys.current_organization() RETURNS uuid
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_current_organization';
COMMENT ON FUNCTION apikeys.current_organization() IS
	'The organization of the key that is bound to this transaction, or NULL.';

CREATE FUNCTION apikeys.permits(scope text, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED COST 10 AS 'MODULE_PATHNAME', 'apikeys_permits';
COMMENT ON FUNCTION apikeys.permits(text, uuid) IS
	'Whether the key that is bound to this transaction may do what the scope names, in its organization or, with a project, in that project, as its roles were when it was bound; false where none is bound, never NULL.';
