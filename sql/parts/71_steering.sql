-- Many keys at once.

CREATE FUNCTION apikeys.expiring_keys(within interval)
	RETURNS TABLE (public_key text, description text, organization text, expires_at timestamptz)
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys.check_not_null('within', within::text);
	RETURN QUERY
		SELECT k.public_key, k.description, k.organization, k.expires_at
		FROM apikeys.keys AS k
		WHERE k.expires_at > clock_timestamp()
			AND k.expires_at <= clock_timestamp() + within
		ORDER BY k.expires_at, k.public_key;
END;
$$;
COMMENT ON FUNCTION apikeys.expiring_keys(interval) IS
	'The keys that expire within that time, of those that the caller may see.';

CREATE FUNCTION apikeys.notify_expiring(within interval) RETURNS bigint
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	told bigint := 0;
	expiring record;
BEGIN
	FOR expiring IN SELECT e.public_key, e.expires_at FROM apikeys.expiring_keys(within) AS e LOOP
		PERFORM pg_notify('apikeys', json_build_object('action', 'key.expiring',
			'public_key', expiring.public_key, 'expires_at', expiring.expires_at)::text);
		told := told + 1;
	END LOOP;
	RETURN told;
END;
$$;
COMMENT ON FUNCTION apikeys.notify_expiring(interval) IS
	'Tells who listens on channel apikeys of each key that expires within that time, of those that the caller may see; returns how many.';

CREATE FUNCTION apikeys.find_keys(
	unused_since timestamptz DEFAULT NULL, expiring_before timestamptz DEFAULT NULL, created_by text DEFAULT NULL,
	project uuid DEFAULT NULL, description text DEFAULT NULL, organization uuid DEFAULT NULL) RETURNS SETOF text
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF num_nonnulls(unused_since, expiring_before, created_by, project, description, organization) = 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'at least one condition is needed',
			HINT = 'Name one: unused_since, expiring_before, created_by, project, description or organization.';
	END IF;
	RETURN QUERY
		SELECT k.public_key
		FROM apikeys.key AS k
		WHERE (find_keys.organization IS NULL OR k.organization_id = find_keys.organization)
			AND (find_keys.created_by IS NULL OR k.created_by = find_keys.created_by)
			AND (find_keys.description IS NULL OR k.description LIKE find_keys.description)
			AND (find_keys.expiring_before IS NULL OR k.expires_at < find_keys.expiring_before)
			AND (find_keys.project IS NULL OR EXISTS (
				SELECT FROM apikeys.key_role AS r
				WHERE r.public_key = k.public_key AND r.project_id = find_keys.project))
			AND (find_keys.unused_since IS NULL OR (k.created_at < find_keys.unused_since AND NOT EXISTS (
				SELECT FROM apikeys.usage AS u
				WHERE u.public_key = k.public_key AND u.last_used_at >= find_keys.unused_since)))
		ORDER BY k.public_key;
END;
$$;
COMMENT ON FUNCTION apikeys.find_keys(timestamptz, timestamptz, text, uuid, text, uuid) IS
	'The keys for which all conditions given hold, of those that the caller may see. description is a pattern of LIKE; a key that is unused since then was made before.';

CREATE FUNCTION apikeys.disable_keys(
	unused_since timestamptz DEFAULT NULL, expiring_before timestamptz DEFAULT NULL, created_by text DEFAULT NULL,
	project uuid DEFAULT NULL, description text DEFAULT NULL, organization uuid DEFAULT NULL,
	dry_run boolean DEFAULT true) RETURNS SETOF text
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_key text;
BEGIN
	PERFORM apikeys.check_not_null('dry_run', dry_run::text);
	FOR found_key IN
		SELECT k.public_key
		FROM apikeys.find_keys(unused_since, expiring_before, created_by, project, description, organization) AS f
			JOIN apikeys.key AS k ON k.public_key = f
		WHERE k.disabled_at IS NULL
	LOOP
		IF NOT dry_run THEN
			PERFORM apikeys.disable_key(found_key);
		END IF;
		RETURN NEXT found_key;
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys.disable_keys(timestamptz, timestamptz, text, uuid, text, uuid, boolean) IS
	'Disables the keys that find_keys finds, and answers them; with dry_run, as long as nothing else is said, it only answers them. All of them, or an error: for who manages each.';

CREATE FUNCTION apikeys.delete_keys(
	unused_since timestamptz DEFAULT NULL, expiring_before timestamptz DEFAULT NULL, created_by text DEFAULT NULL,
	project uuid DEFAULT NULL, description text DEFAULT NULL, organization uuid DEFAULT NULL,
	dry_run boolean DEFAULT true) RETURNS SETOF text
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_key text;
BEGIN
	PERFORM apikeys.check_not_null('dry_run', dry_run::text);
	FOR found_key IN
		SELECT f FROM apikeys.find_keys(unused_since, expiring_before, created_by, project, description, organization) AS f
	LOOP
		IF NOT dry_run THEN
			PERFORM apikeys.delete_key(found_key);
		END IF;
		RETURN NEXT found_key;
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys.delete_keys(timestamptz, timestamptz, text, uuid, text, uuid, boolean) IS
	'Deletes the keys that find_keys finds, and answers them; with dry_run, as long as nothing else is said, it only answers them. All of them, or an error: for who manages each.';
