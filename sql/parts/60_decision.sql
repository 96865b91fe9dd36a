-- The decision.  PARALLEL UNSAFE, because it takes its own snapshot.  Each function
-- has a variant for drivers that send the address as text.

CREATE FUNCTION apikeys.authorize(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authorize';
COMMENT ON FUNCTION apikeys.authorize(text, text, inet, text, uuid, bigint) IS
	'Checks whether the API key may perform the given scope, or all of several scopes with blanks between them, from the given address, in the organization or, with a project, in that project. Never NULL. Access decide.';
CREATE FUNCTION apikeys.authorize(public_key text, secret text, ip text, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authorize_text';
COMMENT ON FUNCTION apikeys.authorize(text, text, text, text, uuid, bigint) IS
	'The same as authorize(text, text, inet, text, uuid, bigint), for drivers that send the address as text.';

CREATE FUNCTION apikeys.decide(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS apikeys.decision
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_decide';
COMMENT ON FUNCTION apikeys.decide(text, text, inet, text, uuid, bigint) IS
	'Returns what authorize returns, with the reason; call it as SELECT * FROM apikeys.decide(...). Access decide.';
CREATE FUNCTION apikeys.decide(public_key text, secret text, ip text, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS apikeys.decision
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_decide_text';
COMMENT ON FUNCTION apikeys.decide(text, text, text, text, uuid, bigint) IS
	'The same as decide(text, text, inet, text, uuid, bigint), for drivers that send the address as text.';

CREATE FUNCTION apikeys.require(public_key text, secret text, ip inet, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_require';
COMMENT ON FUNCTION apikeys.require(text, text, inet, text, uuid, bigint) IS
	'Returns the public key if authorize returns true; else raises 28000 if the key is not proved, and 42501 if it is proved but denied. Access decide.';
CREATE FUNCTION apikeys.require(public_key text, secret text, ip text, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_require_text';
COMMENT ON FUNCTION apikeys.require(text, text, text, text, uuid, bigint) IS
	'The same as require(text, text, inet, text, uuid, bigint), for drivers that send the address as text.';

CREATE FUNCTION apikeys.authenticate(public_key text, secret text, ip inet) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authenticate';
COMMENT ON FUNCTION apikeys.authenticate(text, text, inet) IS
	'Binds the key to the current transaction until its end, and returns its public key; raises 28000 if the secret, the key or the address is denied. Access decide.';
CREATE FUNCTION apikeys.authenticate(public_key text, secret text, ip text) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authenticate_text';
COMMENT ON FUNCTION apikeys.authenticate(text, text, text) IS
	'The same as authenticate(text, text, inet), for drivers that send the address as text.';

CREATE FUNCTION apikeys.authenticate_request(required boolean DEFAULT true) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authenticate_request';
COMMENT ON FUNCTION apikeys.authenticate_request(boolean) IS
	'Does what authenticate does, with the key in the headers of the HTTP request that setting request.headers holds, as PostgREST sets it; returns NULL if there is none and it is not required. Access decide.';

CREATE FUNCTION apikeys.authorize_token(api_key text, ip inet, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authorize_token';
COMMENT ON FUNCTION apikeys.authorize_token(text, inet, text, uuid, bigint) IS
	'Does what authorize does, with the public key and the private key in one string: <public key>.<private key>. Access decide.';
CREATE FUNCTION apikeys.authorize_token(api_key text, ip text, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authorize_token_text';
COMMENT ON FUNCTION apikeys.authorize_token(text, text, text, uuid, bigint) IS
	'The same as authorize_token(text, inet, text, uuid, bigint), for drivers that send the address as text.';

CREATE FUNCTION apikeys.decide_token(api_key text, ip inet, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS apikeys.decision
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_decide_token';
COMMENT ON FUNCTION apikeys.decide_token(text, inet, text, uuid, bigint) IS
	'Does what decide does, with the public key and the private key in one string. Access decide.';
CREATE FUNCTION apikeys.decide_token(api_key text, ip text, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS apikeys.decision
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_decide_token_text';
COMMENT ON FUNCTION apikeys.decide_token(text, text, text, uuid, bigint) IS
	'The same as decide_token(text, inet, text, uuid, bigint), for drivers that send the address as text.';

CREATE FUNCTION apikeys.require_token(api_key text, ip inet, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_require_token';
COMMENT ON FUNCTION apikeys.require_token(text, inet, text, uuid, bigint) IS
	'Does what require does, with the public key and the private key in one string. Access decide.';
CREATE FUNCTION apikeys.require_token(api_key text, ip text, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_require_token_text';
COMMENT ON FUNCTION apikeys.require_token(text, text, text, uuid, bigint) IS
	'The same as require_token(text, inet, text, uuid, bigint), for drivers that send the address as text.';

CREATE FUNCTION apikeys.authenticate_token(api_key text, ip inet) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authenticate_token';
COMMENT ON FUNCTION apikeys.authenticate_token(text, inet) IS
	'Does what authenticate does, with the public key and the private key in one string. Access decide.';
CREATE FUNCTION apikeys.authenticate_token(api_key text, ip text) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authenticate_token_text';
COMMENT ON FUNCTION apikeys.authenticate_token(text, text) IS
	'The same as authenticate_token(text, inet), for drivers that send the address as text.';

-- HTTP Digest: the value of header Authorization, and the method and the target of
-- the request as the client has sent them.
CREATE FUNCTION apikeys.authorize_digest(authorization text, method text, uri text, ip inet, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authorize_digest';
COMMENT ON FUNCTION apikeys.authorize_digest(text, text, text, inet, text, uuid, bigint) IS
	'Does what authorize does, with the key proved by HTTP Digest: by the value of header Authorization, for the method and the target of the request as the client has sent them. Access decide.';
CREATE FUNCTION apikeys.authorize_digest(authorization text, method text, uri text, ip text, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authorize_digest_text';
COMMENT ON FUNCTION apikeys.authorize_digest(text, text, text, text, text, uuid, bigint) IS
	'The same as authorize_digest(text, text, text, inet, text, uuid, bigint), for drivers that send the address as text.';

CREATE FUNCTION apikeys.decide_digest(authorization text, method text, uri text, ip inet, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS apikeys.decision
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_decide_digest';
COMMENT ON FUNCTION apikeys.decide_digest(text, text, text, inet, text, uuid, bigint) IS
	'Does what decide does, with the key proved by HTTP Digest. Access decide.';
CREATE FUNCTION apikeys.decide_digest(authorization text, method text, uri text, ip text, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS apikeys.decision
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_decide_digest_text';
COMMENT ON FUNCTION apikeys.decide_digest(text, text, text, text, text, uuid, bigint) IS
	'The same as decide_digest(text, text, text, inet, text, uuid, bigint), for drivers that send the address as text.';

CREATE FUNCTION apikeys.require_digest(authorization text, method text, uri text, ip inet, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_require_digest';
COMMENT ON FUNCTION apikeys.require_digest(text, text, text, inet, text, uuid, bigint) IS
	'Does what require does, with the key proved by HTTP Digest. Access decide.';
CREATE FUNCTION apikeys.require_digest(authorization text, method text, uri text, ip text, scope text, project uuid DEFAULT NULL, cost bigint DEFAULT 1) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_require_digest_text';
COMMENT ON FUNCTION apikeys.require_digest(text, text, text, text, text, uuid, bigint) IS
	'The same as require_digest(text, text, text, inet, text, uuid, bigint), for drivers that send the address as text.';

CREATE FUNCTION apikeys.authenticate_digest(authorization text, method text, uri text, ip inet) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authenticate_digest';
COMMENT ON FUNCTION apikeys.authenticate_digest(text, text, text, inet) IS
	'Does what authenticate does, with the key proved by HTTP Digest. Access decide.';
CREATE FUNCTION apikeys.authenticate_digest(authorization text, method text, uri text, ip text) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_authenticate_digest_text';
COMMENT ON FUNCTION apikeys.authenticate_digest(text, text, text, text) IS
	'The same as authenticate_digest(text, text, text, inet), for drivers that send the address as text.';

CREATE FUNCTION apikeys.digest_challenge(realm text, stale boolean DEFAULT false) RETURNS SETOF text
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 2 AS 'MODULE_PATHNAME', 'apikeys_digest_challenge';
COMMENT ON FUNCTION apikeys.digest_challenge(text, boolean) IS
	'Returns the values of the headers WWW-Authenticate that a response of status 401 has for HTTP Digest, one for each algorithm and the better one first; stale where the reason was nonce_stale or nonce_replayed. Nothing is stored. Access decide.';

CREATE FUNCTION apikeys.split_api_key(api_key text, OUT public_key text, OUT private_key text) RETURNS record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_split_api_key';
COMMENT ON FUNCTION apikeys.split_api_key(text) IS
	'Returns the public key and the private key of one string: what stands before and after its last dot; NULLs where it is no such string, or longer than 8,192 bytes. Reads no table.';

CREATE FUNCTION apikeys.explain_authorize(public_key text, ip inet, scope text, project uuid DEFAULT NULL)
	RETURNS TABLE (check_name text, passed boolean, detail text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_explain_authorize';
COMMENT ON FUNCTION apikeys.explain_authorize(text, inet, text, uuid) IS
	'Returns each check that a decision makes after the secret is proved, named after its reason, with what it looked at; of several scopes, each. Needs no secret and counts nothing. Requires to read the key.';
CREATE FUNCTION apikeys.explain_authorize(public_key text, ip text, scope text, project uuid DEFAULT NULL)
	RETURNS TABLE (check_name text, passed boolean, detail text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_explain_authorize_text';
COMMENT ON FUNCTION apikeys.explain_authorize(text, text, text, uuid) IS
	'The same as explain_authorize(text, inet, text, uuid), for drivers that send the address as text.';
