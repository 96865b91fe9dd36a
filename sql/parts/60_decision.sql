-- The decision. PARALLEL UNSAFE: it takes a snapshot of its own.

CREATE FUNCTION apikeys.authorize(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authorize';
COMMENT ON FUNCTION apikeys.authorize(text, text, inet, text, uuid) IS
	'Whether a request made with this key from this address may do what the scope names, in the organization or, with a project, in that project; never NULL. Nobody may call it until granted.';

CREATE FUNCTION apikeys.decide(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL) RETURNS apikeys.decision
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_decide';
COMMENT ON FUNCTION apikeys.decide(text, text, inet, text, uuid) IS
	'What authorize answers, with the reason; call it as SELECT * FROM apikeys.decide(...). Nobody may call it until granted.';
