-- Short-lived tokens.  Nothing is written: a token has no row and no event, and is
-- issued on a standby and in read-only transactions as well.

CREATE FUNCTION apikeys.issue_token(
	lifetime interval, scopes text[] DEFAULT NULL, project uuid DEFAULT NULL,
	public_key text DEFAULT apikeys.current_key()) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.issue_token(interval, text[], uuid, text) IS
	'Returns a short-lived token that stands for a key and is narrowed to patterns of scopes and to a project, unless they are NULL. It is taken in place of an API key string. Requires the key to be the bound one, by no token, or to manage it.';

CREATE FUNCTION apikeys.renew_token_key() RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.renew_token_key() IS
	'Replaces the random key of short-lived tokens, which ends all that there are, with peppers and without; returns true. To be called after a restore, and when somebody has a copy of the server''s files or a pepper. EXECUTE is not part of any access.';

CREATE FUNCTION apikeys_internal.is_bound_by_token() RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_is_bound_by_token';
COMMENT ON FUNCTION apikeys_internal.is_bound_by_token() IS
	'Returns whether the key that is bound to this transaction was bound by a token.';

CREATE FUNCTION apikeys_internal.proved_secret() RETURNS integer
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_proved_secret';
COMMENT ON FUNCTION apikeys_internal.proved_secret() IS
	'Returns the version of the secret that was proved of the key that is bound to this transaction, or that its token came from; NULL if none is bound.';

CREATE FUNCTION apikeys_internal.seal_token(
	public_key text, secret_version integer, secret_created_at timestamptz, lifetime interval, scopes text[],
	project uuid) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_seal_token';
COMMENT ON FUNCTION apikeys_internal.seal_token(text, integer, timestamptz, interval, text[], uuid) IS
	'Returns a token that is good for the lifetime from now on.';

CREATE FUNCTION apikeys_internal.refuse_token(action text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
BEGIN
	IF apikeys_internal.is_bound_by_token() THEN
		RAISE insufficient_privilege USING
			MESSAGE = format('permission denied: a token cannot %s', action),
			DETAIL = 'What it would make outlives it.',
			HINT = 'Authenticate with the API key.',
			CONSTRAINT = 'token_cannot_issue';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.refuse_token(text) IS
	'Raises 42501 where a key is acting that was bound by a token.';

-- Nothing is locked: what changes at the same time ends the token.
CREATE FUNCTION apikeys_internal.issue_token(lifetime interval, scopes text[], project uuid, public_key text) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	is_own constant boolean := public_key IS NOT DISTINCT FROM apikeys.current_key();
	secret integer;
	secret_created_at timestamptz;
BEGIN
	PERFORM apikeys_internal.refuse_token('issue tokens');
	IF public_key IS NULL THEN
		RAISE null_value_not_allowed USING
			MESSAGE = 'public_key must not be null',
			DETAIL = 'No key is bound to this transaction.',
			CONSTRAINT = 'null_argument';
	ELSIF NOT is_own THEN
		PERFORM apikeys_internal.check_managed(public_key);
	END IF;
	IF project IS NOT NULL AND NOT EXISTS (
			SELECT FROM apikeys.project AS p
				JOIN apikeys.key AS k ON k.organization_id = p.organization_id
			WHERE p.id = issue_token.project AND k.public_key = issue_token.public_key) THEN
		PERFORM apikeys_internal.raise_not_found('project');
	END IF;
	SELECT s.version, s.created_at INTO secret, secret_created_at FROM apikeys.key_secret AS s
		WHERE s.public_key = issue_token.public_key
			AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
			AND (NOT is_own OR s.version = apikeys_internal.proved_secret())
		ORDER BY s.version DESC LIMIT 1;
	IF secret IS NULL THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'there is no live secret that the token could come from',
			HINT = CASE WHEN is_own THEN 'The secret that was proved has been revoked since.'
				ELSE 'apikeys.rotate_secret issues another secret.' END,
			CONSTRAINT = 'no_live_secret';
	END IF;
	RETURN apikeys_internal.seal_token(public_key, secret, secret_created_at, lifetime, scopes, project);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.issue_token(interval, text[], uuid, text) IS 'Body of apikeys.issue_token.';

CREATE FUNCTION apikeys_internal.renew_token_key() RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	INSERT INTO apikeys.token_key AS t (id, key) VALUES ('0', apikeys_internal.random_key())
		ON CONFLICT (id) DO UPDATE SET key = excluded.key;
	PERFORM apikeys_internal.note_event('token_key.renewed', NULL, NULL, NULL, '{}');
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.renew_token_key() IS 'Body of apikeys.renew_token_key.';
