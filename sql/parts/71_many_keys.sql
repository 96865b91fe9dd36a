-- Many keys at once.  These functions read with the rights of the caller, and change
-- keys one by one through the door.

CREATE FUNCTION apikeys.expiring_keys(within interval)
	RETURNS TABLE (public_key text, description text, organization text, expires_at timestamptz, secret_expires_at timestamptz)
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
	until constant timestamptz := CASE WHEN within > '1000 years' THEN 'infinity' WHEN within < '-1000 years' THEN '-infinity'
		ELSE statement_timestamp() + within END;
BEGIN
	IF within IS NULL THEN
		RAISE null_value_not_allowed USING
			MESSAGE = 'within must not be null', CONSTRAINT = 'null_argument';
	END IF;
	-- Each sub-select is a range of an index for each organization that the caller reads.
	RETURN QUERY
		SELECT k.public_key, k.description, k.organization, k.expires_at, k.secret_expires_at
		FROM apikeys.keys AS k
		WHERE k.public_key = ANY (ARRAY(
				SELECT e.public_key FROM apikeys.key AS e
				WHERE e.expires_at > statement_timestamp()
					AND e.expires_at <= until
				UNION ALL
				SELECT s.public_key FROM apikeys.key_secret AS s
				WHERE s.expires_at > statement_timestamp()
					AND s.expires_at <= until))
			AND least(k.expires_at, k.secret_expires_at) <= until
			AND (k.expires_at > statement_timestamp()) IS NOT FALSE
		ORDER BY least(k.expires_at, k.secret_expires_at), k.public_key;
END;
$$;
COMMENT ON FUNCTION apikeys.expiring_keys(interval) IS
	'Returns the keys visible to the caller that expire within that time, or whose last live secret does.';

CREATE FUNCTION apikeys.find_keys(
	unused_since timestamptz DEFAULT NULL, expiring_before timestamptz DEFAULT NULL, created_by text DEFAULT NULL,
	project uuid DEFAULT NULL, description text DEFAULT NULL, organization uuid DEFAULT NULL,
	owner text DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS SETOF text
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_custom_plan
	SET gin_fuzzy_search_limit = 0
AS $$
BEGIN
	IF num_nonnulls(unused_since, expiring_before, created_by, project, description, organization, owner, metadata) = 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'at least one condition is required',
			HINT = 'Give at least one of unused_since, expiring_before, created_by, project, description, organization, owner and metadata.',
			CONSTRAINT = 'condition_missing';
	END IF;
	RETURN QUERY
		SELECT k.public_key
		FROM apikeys.keys AS k
		WHERE (find_keys.organization IS NULL OR k.organization_id = find_keys.organization)
			AND (find_keys.owner IS NULL OR k.owner = find_keys.owner)
			AND (find_keys.metadata IS NULL
				OR (k.metadata OPERATOR(apikeys.@>) find_keys.metadata AND k.metadata <> '{}'))
			AND (find_keys.created_by IS NULL OR k.created_by = find_keys.created_by)
			AND (find_keys.description IS NULL OR k.description LIKE find_keys.description)
			AND (find_keys.expiring_before IS NULL OR k.expires_at < find_keys.expiring_before)
			AND (find_keys.project IS NULL OR k.public_key = ANY (ARRAY(
				SELECT r.public_key FROM apikeys.key_role AS r WHERE r.project_id = find_keys.project)))
			AND (find_keys.unused_since IS NULL OR (k.created_at < find_keys.unused_since
				AND coalesce(k.last_used_at, '-infinity') < find_keys.unused_since))
		ORDER BY k.public_key;
END;
$$;
COMMENT ON FUNCTION apikeys.find_keys(timestamptz, timestamptz, text, uuid, text, uuid, text, jsonb) IS
	'Returns the keys visible to the caller for which all given conditions hold. description is a LIKE pattern, metadata what the metadata of a key contains; a key that is unused since a time was created before it.';

CREATE FUNCTION apikeys.disable_keys(
	unused_since timestamptz DEFAULT NULL, expiring_before timestamptz DEFAULT NULL, created_by text DEFAULT NULL,
	project uuid DEFAULT NULL, description text DEFAULT NULL, organization uuid DEFAULT NULL,
	dry_run boolean DEFAULT true, owner text DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS SETOF text
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found constant text[] := ARRAY(
		SELECT k.public_key
		FROM apikeys.find_keys(unused_since, expiring_before, created_by, project, description, organization, owner, metadata) AS f
			JOIN apikeys.key AS k ON k.public_key = f
		WHERE k.disabled_at IS NULL);
BEGIN
	IF NOT coalesce(dry_run, true) THEN
		PERFORM apikeys.disable_key(f) FROM unnest(found) AS f;
		-- Others may have changed a key that this waited for.
		IF EXISTS (SELECT unnest(found)
				EXCEPT SELECT apikeys.find_keys(unused_since, expiring_before, created_by, project, description, organization, owner, metadata)) THEN
			RAISE serialization_failure USING
				MESSAGE = 'a key that was found has changed',
				HINT = 'Try again.',
				CONSTRAINT = 'serialization_failure';
		END IF;
	END IF;
	RETURN QUERY SELECT unnest(found);
END;
$$;
COMMENT ON FUNCTION apikeys.disable_keys(timestamptz, timestamptz, text, uuid, text, uuid, boolean, text, jsonb) IS
	'Disables the keys that find_keys finds, all of them or none, and returns them; with dry_run (the default), only returns them. A principal that is a member of several organizations should name one.';

CREATE FUNCTION apikeys.delete_keys(
	unused_since timestamptz DEFAULT NULL, expiring_before timestamptz DEFAULT NULL, created_by text DEFAULT NULL,
	project uuid DEFAULT NULL, description text DEFAULT NULL, organization uuid DEFAULT NULL,
	dry_run boolean DEFAULT true, owner text DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS SETOF text
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found text[] := ARRAY(SELECT apikeys.find_keys(unused_since, expiring_before, created_by, project, description, organization, owner, metadata));
BEGIN
	IF NOT coalesce(dry_run, true) THEN
		-- This changes nothing, and waits until others have.
		PERFORM apikeys.update_key(f) FROM unnest(found) AS f;
		found := ARRAY(
			SELECT f FROM apikeys.find_keys(unused_since, expiring_before, created_by, project, description, organization, owner, metadata) AS f
			WHERE f = ANY (found));
		PERFORM apikeys.delete_key(f) FROM unnest(found) AS f;
	END IF;
	RETURN QUERY SELECT unnest(found);
END;
$$;
COMMENT ON FUNCTION apikeys.delete_keys(timestamptz, timestamptz, text, uuid, text, uuid, boolean, text, jsonb) IS
	'Deletes the keys that find_keys finds, all of them or none, and returns them; with dry_run (the default), only returns them. A principal that is a member of several organizations should name one.';
