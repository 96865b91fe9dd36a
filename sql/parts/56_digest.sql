-- HTTP Digest (RFC 7616).  It needs more of a secret than a hash, so a key opts in,
-- and what is needed is made with its next secret and sealed with a pepper.

CREATE FUNCTION apikeys.enable_digest(public_key text, realm text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.enable_digest(text, text) IS
	'Lets the private keys that rotate_secret issues for a key from then on be used by HTTP Digest in a realm, and returns whether that changed anything. Needs a pepper. Requires managing the key.';

CREATE FUNCTION apikeys.disable_digest(public_key text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.disable_digest(text) IS
	'Refuses HTTP Digest for a key at once, and erases what was stored for it; returns whether that changed anything. Its private keys stay good in other ways. Requires apikeys.keys.manage in one place where the key has a role.';

CREATE FUNCTION apikeys.reseal_digests() RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.reseal_digests() IS
	'Seals what HTTP Digest needs of secrets with the current pepper, where another one has sealed it, and returns how often; what cannot be opened stays as it is. Reads all secrets. EXECUTE is not part of any access.';

CREATE FUNCTION apikeys_internal.digest_pepper(digest bytea) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_digest_pepper';
COMMENT ON FUNCTION apikeys_internal.digest_pepper(bytea) IS
	'Returns the id of the pepper that sealed what HTTP Digest needs; NULL if it is damaged.';

CREATE FUNCTION apikeys_internal.reseal_digest(digest bytea, public_key text, version integer, realm text) RETURNS bytea
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_reseal_digest';
COMMENT ON FUNCTION apikeys_internal.reseal_digest(bytea, text, integer, text) IS
	'Returns the same sealed with the current pepper; NULL if it cannot be opened.';

CREATE FUNCTION apikeys_internal.require_pepper() RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
	IF apikeys_internal.current_pepper() IS NULL THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'HTTP Digest needs a pepper',
			DETAIL = 'What answers challenges is not stored without one.',
			HINT = 'Set apikeys.pepper_file.',
			CONSTRAINT = 'pepper_required';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.require_pepper() IS
	'Raises 55000 without a pepper.';

CREATE FUNCTION apikeys_internal.enable_digest(public_key text, realm text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
BEGIN
	PERFORM apikeys_internal.check_managed(public_key);
	IF NOT apikeys_internal.is_realm(realm) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid realm',
			DETAIL = 'A realm is 1 to 128 printable characters of ASCII, without quotes and backslashes, and contains no private key.',
			CONSTRAINT = 'invalid_realm';
	END IF;
	PERFORM apikeys_internal.require_pepper();
	IF realm = before.digest_realm THEN
		RETURN false;
	END IF;
	UPDATE apikeys.key AS k SET digest_realm = realm WHERE k.public_key = before.public_key;
	PERFORM apikeys_internal.note_event('key.digest_enabled', before.organization_id, NULL, public_key,
		jsonb_build_object('old', jsonb_build_object('digest_realm', before.digest_realm),
			'new', jsonb_build_object('digest_realm', realm)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.enable_digest(text, text) IS 'Body of apikeys.enable_digest.';

CREATE FUNCTION apikeys_internal.disable_digest(public_key text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
	has_erased boolean;
BEGIN
	PERFORM apikeys_internal.check_stopped(public_key);
	UPDATE apikeys.key_secret AS s SET digest_realm = NULL, digest = NULL
		WHERE s.public_key = before.public_key AND s.digest IS NOT NULL;
	has_erased := FOUND;
	IF before.digest_realm IS NULL AND NOT has_erased THEN
		RETURN false;
	END IF;
	UPDATE apikeys.key AS k SET digest_realm = NULL WHERE k.public_key = before.public_key;
	PERFORM apikeys_internal.note_event('key.digest_disabled', before.organization_id, NULL, public_key,
		jsonb_build_object('old', jsonb_build_object('digest_realm', before.digest_realm)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.disable_digest(text) IS 'Body of apikeys.disable_digest.';

CREATE FUNCTION apikeys_internal.reseal_digests() RETURNS bigint
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	resealed bigint;
BEGIN
	PERFORM apikeys_internal.require_pepper();
	WITH outdated AS MATERIALIZED (
		SELECT s.public_key, s.version,
			apikeys_internal.reseal_digest(s.digest, s.public_key, s.version, s.digest_realm) AS digest
		FROM (
			SELECT d.public_key, d.version, d.digest, d.digest_realm FROM apikeys.key_secret AS d
			WHERE apikeys_internal.digest_pepper(d.digest) <> apikeys_internal.current_pepper()
			ORDER BY d.public_key, d.version FOR NO KEY UPDATE) AS s)
	UPDATE apikeys.key_secret AS s SET digest = o.digest FROM outdated AS o
		WHERE s.public_key = o.public_key AND s.version = o.version AND o.digest IS NOT NULL;
	GET DIAGNOSTICS resealed = ROW_COUNT;
	PERFORM apikeys_internal.note_event('digests.resealed', NULL, NULL, NULL,
		jsonb_build_object('new', jsonb_build_object('pepper', apikeys_internal.current_pepper(), 'count', resealed)));
	RETURN resealed;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.reseal_digests() IS 'Body of apikeys.reseal_digests.';
