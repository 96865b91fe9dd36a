-- Bodies that disable, enable, delete and revoke keys.

CREATE FUNCTION apikeys_internal.stop_key(before apikeys.key, reason text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF before.disabled_at IS NOT NULL AND (reason IS NULL OR reason = before.disabled_reason) THEN
		RETURN false;
	END IF;
	UPDATE apikeys.key AS k SET
			disabled_at = coalesce(k.disabled_at, now()),
			disabled_reason = coalesce(stop_key.reason, k.disabled_reason)
		WHERE k.public_key = before.public_key;
	PERFORM apikeys_internal.make_images(ARRAY[before.public_key]);
	PERFORM apikeys_internal.note_event('key.disabled', before.organization_id, NULL, before.public_key,
		jsonb_build_object('new', jsonb_strip_nulls(jsonb_build_object('reason', reason))));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.stop_key(apikeys.key, text) IS
	'Disables a locked key, and returns whether anything changed.';

CREATE FUNCTION apikeys_internal.disable_key(public_key text, reason text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
BEGIN
	PERFORM apikeys_internal.check_stopped(public_key);
	PERFORM apikeys_internal.check_name('reason', reason);
	RETURN apikeys_internal.stop_key(before, reason);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.disable_key(text, text) IS 'Body of apikeys.disable_key.';

CREATE FUNCTION apikeys_internal.enable_key(public_key text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
BEGIN
	PERFORM apikeys_internal.check_managed(public_key);
	IF before.disabled_at IS NULL THEN
		RETURN false;
	END IF;
	UPDATE apikeys.key AS k SET disabled_at = NULL, disabled_reason = NULL
		WHERE k.public_key = before.public_key;
	PERFORM apikeys_internal.make_images(ARRAY[public_key]);
	PERFORM apikeys_internal.note_event('key.enabled', before.organization_id, NULL, public_key,
		jsonb_build_object('old', jsonb_strip_nulls(jsonb_build_object('disabled_at', before.disabled_at, 'reason', before.disabled_reason))));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.enable_key(text) IS 'Body of apikeys.enable_key.';

CREATE FUNCTION apikeys_internal.delete_key(public_key text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
BEGIN
	PERFORM apikeys_internal.check_managed(public_key);
	DELETE FROM apikeys.key AS k WHERE k.public_key = before.public_key;
	PERFORM apikeys_internal.make_images(ARRAY[public_key]);
	PERFORM apikeys_internal.note_event('key.deleted', before.organization_id, NULL, public_key,
		jsonb_build_object('old', jsonb_build_object('description', before.description,
			'created_at', before.created_at, 'created_by', before.created_by)
			|| apikeys_internal.list_detail(before.access_list, '{}', 'access_list_removed')
			|| apikeys_internal.key_details(before.owner, before.metadata, before.environment)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.delete_key(text) IS 'Body of apikeys.delete_key.';

-- A finder of a secret could use the key, and so may disable it.  No index finds a
-- hash: all live ones are compared, except those that are expensive to compute,
-- which are never of secrets that were issued here.
CREATE FUNCTION apikeys_internal.revoke_leaked(secret text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
	SET enable_seqscan = on
	SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	-- Of a whole API key, the secret.
	leaked constant text := coalesce((apikeys.split_api_key(secret)).private_key, secret);
	before apikeys.key;
	is_live boolean := false;
BEGIN
	IF NOT apikeys_internal.is_private_key(leaked) THEN
		RETURN false;
	END IF;
	FOR before IN
		SELECT k.* FROM apikeys.key AS k
		WHERE k.public_key = ANY (ARRAY(
			SELECT s.public_key FROM apikeys.key_secret AS s
			WHERE (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
				AND apikeys_internal.algorithm(s.hash) <> 'argon2id'
				AND apikeys.verify(s.hash, s.public_key, leaked)))
		ORDER BY k.public_key COLLATE "C"
		FOR NO KEY UPDATE
	LOOP
		PERFORM apikeys_internal.stop_key(before, 'compromised');
		is_live := true;
	END LOOP;
	RETURN is_live;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.revoke_leaked(text) IS 'Body of apikeys.revoke_leaked.';
