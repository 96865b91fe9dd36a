-- Who is acting.

CREATE FUNCTION apikeys.principal() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principal';
COMMENT ON FUNCTION apikeys.principal() IS
	'Who is acting: what act_as said in this transaction, else role: and the current role.';

CREATE FUNCTION apikeys.principals() RETURNS text[]
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_principals';
COMMENT ON FUNCTION apikeys.principals() IS
	'Every name that counts as who is acting: principal(), and the roles whose privileges the current role has.';

CREATE FUNCTION apikeys.act_as(principal text) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_act_as';
COMMENT ON FUNCTION apikeys.act_as(text) IS
	'Says which user of the application (user:...) acts until the end of the transaction. For a role that is trusted to say so; nobody may call it until granted.';
