-- Keys of other systems.  import_keys and check_import read their source as the
-- caller, before they enter; what goes behind the door is values.

CREATE FUNCTION apikeys.import_keys(organization uuid, source regclass) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_import_keys';
COMMENT ON FUNCTION apikeys.import_keys(uuid, regclass) IS
	'Imports all keys of a table, or none, and returns how many. The table has columns public_key, hash and description (text) and, optionally, roles (text[]), access_list (text) and expires_at (timestamptz). Hashes are renewed when their secrets are used, argon2id only with a pepper. Requires apikeys.keys.manage in the organization.';

CREATE FUNCTION apikeys.check_import(organization uuid, source regclass) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_check_import';
COMMENT ON FUNCTION apikeys.check_import(uuid, regclass) IS
	'Runs import_keys and rolls it back: returns how many keys it would import, or raises the error that names the first bad row.';

-- An import of one row.
CREATE FUNCTION apikeys_internal.import_key(
	organization uuid, public_key text, hash apikeys.secret_hash, description text, roles text[],
	access_list apikeys.access_list, expires_at timestamptz) RETURNS text
	LANGUAGE plpgsql VOLATILE
	SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
	PERFORM apikeys_internal.import_rows(organization, NULL, ARRAY[public_key], ARRAY[hash::text], ARRAY[description],
		ARRAY[roles::text], ARRAY[access_list::text], ARRAY[expires_at]);
	RETURN public_key;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.import_key(uuid, text, apikeys.secret_hash, text, text[], apikeys.access_list, timestamptz) IS 'Body of apikeys.import_key.';

CREATE FUNCTION apikeys_internal.fault_of_roles(
	roles text[], known_roles text[], grantable_roles text[], role_ids text[]) RETURNS text[]
	LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	-- The message gives its position only: a name that is no role may be a secret in the wrong column.
	SELECT ARRAY['42704', 'role_not_found', format('role number %s does not exist', min(g.place))]
		FROM unnest(roles) WITH ORDINALITY AS g (name, place)
		WHERE (g.name = ANY (known_roles)) IS NOT TRUE
		HAVING count(*) > 0
	UNION ALL SELECT '{22023,role_duplicate,role is named twice}'
		WHERE cardinality(roles) > (SELECT count(DISTINCT g) FROM unnest(roles) AS g)
	UNION ALL (SELECT CASE WHEN r.level <> 'organization'
			THEN ARRAY['22023', 'role_level_mismatch', format('role "%s" cannot be granted in an organization', r.name)]
			ELSE ARRAY['42501', 'role_not_grantable', format('permission denied to grant role "%s"', r.name)] END
		FROM apikeys.role AS r
		WHERE r.id = ANY (role_ids) AND r.name = ANY (roles) AND r.name <> ALL (grantable_roles)
		ORDER BY r.name LIMIT 1)
	LIMIT 1;
END;
COMMENT ON FUNCTION apikeys_internal.fault_of_roles(text[], text[], text[], text[]) IS
	'Tells the first of what is wrong with the roles of a row: SQLSTATE, identifier and message.';

-- Rows are numbered as they lie in the source.  A row of the source is an element
-- of each array; roles are arrays in their text form.  Without first_row the error
-- is that of a single key.  Roles, bad roles and used public keys are looked up
-- first, for all rows at once.
CREATE FUNCTION apikeys_internal.import_rows(
	organization uuid, first_row bigint, public_keys text[], hashes text[], descriptions text[],
	roles text[], access_lists text[], expirations timestamptz[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	policy constant apikeys.organization := apikeys_internal.keep_organization(organization);
	latest timestamptz;
	known_roles text[];
	grantable_roles text[];
	role_ids text[];
	bad_roles text[];
	repeated_keys text[];
	taken_keys text[];
	bad_row bigint;
	fault text[];
	bad_key text;
BEGIN
	IF cardinality(public_keys) = 0 THEN
		RETURN;
	END IF;
	PERFORM apikeys_internal.check_key_count(policy, cardinality(public_keys));
	latest := apikeys_internal.add_in_utc(now(), policy.max_key_lifetime);
	-- Locked, so that none is dropped meanwhile.
	SELECT coalesce(array_agg(r.name), '{}'),
			coalesce(array_agg(r.name) FILTER (
				WHERE r.level = 'organization' AND apikeys_internal.may_grant(r.id, organization)), '{}'),
			coalesce(array_agg(r.id), '{}')
		INTO known_roles, grantable_roles, role_ids
		FROM (SELECT r.name, r.id, r.level FROM apikeys.role AS r
			WHERE r.id IN (
				SELECT apikeys_internal.find_role(n, organization)
				FROM (SELECT DISTINCT unnest(g.roles::text[])
					FROM (SELECT DISTINCT unnest(import_rows.roles)) AS g (roles)) AS d (n))
			ORDER BY r.name FOR KEY SHARE) AS r;
	bad_roles := ARRAY(
		SELECT g.roles FROM (SELECT DISTINCT unnest(import_rows.roles)) AS g (roles)
		-- Only short arrays are compared: that cannot be cancelled.
		WHERE CASE WHEN cardinality(g.roles::text[]) > cardinality(grantable_roles) THEN true
			ELSE NOT g.roles::text[] <@ grantable_roles
				OR cardinality(g.roles::text[]) > (SELECT count(DISTINCT n) FROM unnest(g.roles::text[]) AS n) END);
	repeated_keys := ARRAY(SELECT k FROM unnest(public_keys) AS k GROUP BY k HAVING count(*) > 1);
	taken_keys := apikeys_internal.taken_keys(public_keys);
	-- Of a single key the caller knows the name, and a secret can stand in its place.
	SELECT j.n, j.fault, CASE WHEN first_row > 0 AND apikeys_internal.is_public_key(j.public_key) THEN j.public_key END
	INTO bad_row, fault, bad_key
	FROM (
		SELECT s.n, s.public_key, CASE
			WHEN s.public_key IS NULL OR NOT apikeys_internal.is_public_key(s.public_key)
				THEN '{22023,invalid_public_key,invalid public key}'::text[]
			WHEN s.public_key = ANY (repeated_keys) AND s.n > array_position(public_keys, s.public_key)
				THEN '{23505,public_key_taken,public key is that of another row}'
			WHEN s.hash IS NULL OR NOT apikeys_internal.is_secret_hash(s.hash)
				THEN '{22P02,invalid_secret_hash,invalid hash}'
			WHEN NOT apikeys_internal.is_affordable(s.hash::apikeys.secret_hash)
				THEN '{22023,hash_too_costly,hash costs more to verify than a decision may}'
			WHEN s.description IS NULL OR NOT apikeys_internal.is_name(s.description)
				THEN '{22023,invalid_description,invalid description}'
			WHEN s.roles = ANY (bad_roles)
				THEN apikeys_internal.fault_of_roles(s.roles::text[], known_roles, grantable_roles, role_ids)
			WHEN NOT apikeys_internal.is_access_list(s.access_list)
				THEN '{22P02,invalid_access_list,invalid access list}'
			WHEN coalesce(s.expires_at, 'infinity') > latest
				THEN '{23514,lifetime_exceeded,organization policy limits the life of keys}'
			WHEN s.public_key = ANY (taken_keys)
				THEN '{23505,public_key_taken,"public key is in use, or was used before"}'
			END AS fault
		FROM ROWS FROM (unnest(public_keys), unnest(hashes), unnest(descriptions), unnest(roles),
			unnest(access_lists), unnest(expirations))
			WITH ORDINALITY AS s (public_key, hash, description, roles, access_list, expires_at, n)) AS j
	WHERE j.fault IS NOT NULL
	ORDER BY j.n LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = fault[1],
			MESSAGE = coalesce('row ' || first_row + bad_row - 1 || ' cannot be imported: ', '') || fault[3],
			DETAIL = 'Nothing was imported.' || coalesce(' The public key of the row is "' || bad_key || '".', ''),
			CONSTRAINT = fault[2];
	END IF;
	PERFORM apikeys_internal.insert_keys(
		organization, NULL, public_keys, hashes, NULL, descriptions, ARRAY(
			-- Nearly always names are ids.
			SELECT CASE WHEN known_roles = role_ids THEN g
				ELSE ARRAY(SELECT role_ids[array_position(known_roles, n)] FROM unnest(g::text[]) AS n)::text END
			FROM unnest(roles) AS g),
		access_lists, expirations, NULL, NULL, policy.environment);
	PERFORM apikeys_internal.limit_secrets(policy, public_keys);
	PERFORM apikeys_internal.note_key_events('key.imported', organization, public_keys, ARRAY(
		SELECT jsonb_build_object('new', jsonb_build_object('description', s.description,
			'roles', to_jsonb(ARRAY(SELECT unnest(s.roles::text[]))),
			'expires_at', nullif(s.expires_at, 'infinity'))
			|| apikeys_internal.list_detail(coalesce(s.access_list, '{}')::apikeys.access_list, '{}', 'access_list_added')
			|| apikeys_internal.key_details(NULL, '{}', policy.environment))
		FROM ROWS FROM (unnest(descriptions), unnest(roles), unnest(access_lists), unnest(expirations))
			AS s (description, roles, access_list, expires_at)));
END;
$$;
COMMENT ON FUNCTION apikeys_internal.import_rows(uuid, bigint, text[], text[], text[], text[], text[], timestamptz[]) IS
	'Imports some rows of a source, of which the first has that number, or raises an error that names the first bad one.';
