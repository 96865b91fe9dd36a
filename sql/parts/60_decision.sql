-- The decision. PARALLEL UNSAFE: it takes a snapshot of its own.

CREATE FUNCTION apikeys.authorize(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authorize';
COMMENT ON FUNCTION apikeys.authorize(text, text, inet, text, uuid) IS
	'Whether a request made with this key from this address may do what the scope names, in the organization or, with a project, in that project; never NULL. Nobody may call it until granted.';

CREATE FUNCTION apikeys.decide(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL) RETURNS apikeys.decision
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_decide';
COMMENT ON FUNCTION apikeys.decide(text, text, inet, text, uuid) IS
	'What authorize answers, with the reason; call it as SELECT * FROM apikeys.decide(...). Nobody may call it until granted.';

CREATE FUNCTION apikeys.require(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_require';
COMMENT ON FUNCTION apikeys.require(text, text, inet, text, uuid) IS
	'The public key, where authorize answers true; else an error: 28000 where the key is not proved, 42501 where it is but may not. Nobody may call it until granted.';

CREATE FUNCTION apikeys.authenticate(public_key text, secret text, ip inet) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authenticate';
COMMENT ON FUNCTION apikeys.authenticate(text, text, inet) IS
	'Binds the key to the current transaction, until its end, and returns its public key; 28000 where the secret, the key or the address is refused. Nobody may call it until granted.';

CREATE FUNCTION apikeys.authenticate_request(required boolean DEFAULT true) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authenticate_request';
COMMENT ON FUNCTION apikeys.authenticate_request(boolean) IS
	'Does what authenticate does, with the key in the headers of the HTTP request that setting request.headers holds, as PostgREST says them; where there is none, NULL if that is not required. Nobody may call it until granted.';

CREATE FUNCTION apikeys.explain_authorize(public_key text, ip inet, scope text, project uuid DEFAULT NULL)
	RETURNS TABLE (check_name text, passed boolean, detail text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_explain_authorize';
COMMENT ON FUNCTION apikeys.explain_authorize(text, inet, text, uuid) IS
	'Each check that a decision makes once the secret is proved, named after its reason, with what it has looked at. For who may read the key; needs no secret and counts nothing.';
