-- apikeys.secret_hash: a hashed secret.  Its input rejects clear text.

CREATE TYPE apikeys.secret_hash;

CREATE FUNCTION apikeys_internal.secret_hash_in(text_form cstring) RETURNS apikeys.secret_hash
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_secret_hash_in';
COMMENT ON FUNCTION apikeys_internal.secret_hash_in(cstring) IS
	'Input function of type secret_hash.';

CREATE FUNCTION apikeys_internal.secret_hash_out(hash apikeys.secret_hash) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_secret_hash_out';
COMMENT ON FUNCTION apikeys_internal.secret_hash_out(apikeys.secret_hash) IS
	'Output function of type secret_hash.';

CREATE FUNCTION apikeys_internal.secret_hash_recv(message internal) RETURNS apikeys.secret_hash
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_secret_hash_recv';
COMMENT ON FUNCTION apikeys_internal.secret_hash_recv(internal) IS
	'Binary input function of type secret_hash.';

CREATE FUNCTION apikeys_internal.secret_hash_send(hash apikeys.secret_hash) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_secret_hash_send';
COMMENT ON FUNCTION apikeys_internal.secret_hash_send(apikeys.secret_hash) IS
	'Binary output function of type secret_hash.';

CREATE TYPE apikeys.secret_hash (
	INPUT = apikeys_internal.secret_hash_in,
	OUTPUT = apikeys_internal.secret_hash_out,
	RECEIVE = apikeys_internal.secret_hash_recv,
	SEND = apikeys_internal.secret_hash_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = main
);
COMMENT ON TYPE apikeys.secret_hash IS
	'A hashed secret: blake2b$<pepper id>$<hex>, or an imported sha256$$<hex>, sha512$$<hex> or $argon2id$... string.';

CREATE FUNCTION apikeys.verify(hash apikeys.secret_hash, public_key text, secret text) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_verify';
COMMENT ON FUNCTION apikeys.verify(apikeys.secret_hash, text, text) IS
	'Checks in constant time whether the hash is that of this secret and public key. EXECUTE is not granted to PUBLIC.';

CREATE FUNCTION apikeys_internal.algorithm(hash apikeys.secret_hash) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_algorithm';
COMMENT ON FUNCTION apikeys_internal.algorithm(apikeys.secret_hash) IS
	'Returns the algorithm of the hash: blake2b, or sha256, sha512 or argon2id of another system.';

CREATE FUNCTION apikeys_internal.pepper(hash apikeys.secret_hash) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_pepper';
COMMENT ON FUNCTION apikeys_internal.pepper(apikeys.secret_hash) IS
	'Returns the id of the pepper of the hash, 0 for none; NULL for a hash of another system.';

CREATE FUNCTION apikeys_internal.current_pepper() RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_current_pepper';
COMMENT ON FUNCTION apikeys_internal.current_pepper() IS
	'Returns the id of the pepper for new hashes, the first one in the file that apikeys.pepper_file names; NULL if there is none.';

CREATE FUNCTION apikeys_internal.pepper_state(pepper text) RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_pepper_state';
COMMENT ON FUNCTION apikeys_internal.pepper_state(text) IS
	'Returns the state of a pepper id: current (used for new hashes), retired (still verifies), missing (keys with such a hash are denied) or, for NULL, foreign (a hash of another system).';

CREATE FUNCTION apikeys_internal.is_secret_hash(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_secret_hash';
COMMENT ON FUNCTION apikeys_internal.is_secret_hash(text) IS
	'Checks whether a text is valid input of type secret_hash.';

CREATE FUNCTION apikeys_internal.is_affordable(hash apikeys.secret_hash) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_affordable';
COMMENT ON FUNCTION apikeys_internal.is_affordable(apikeys.secret_hash) IS
	'Checks whether a decision may compute the hash: an argon2id hash within apikeys.argon2id_max_cost, or any other.';
