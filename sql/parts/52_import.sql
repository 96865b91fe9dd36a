-- Keys of other systems.  import_keys and check_import read their source as the
-- caller, before they enter; what goes behind the door is values.

CREATE FUNCTION apikeys.import_keys(organization uuid, source regclass) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_import_keys';
COMMENT ON FUNCTION apikeys.import_keys(uuid, regclass) IS
	'Imports all keys of a table, or none, and returns how many. The table has columns public_key, hash and description (text) and, optionally, roles (text[]), access_list (text) and expires_at (timestamptz). Requires apikeys.keys.manage in the organization.';

CREATE FUNCTION apikeys.check_import(organization uuid, source regclass) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_check_import';
COMMENT ON FUNCTION apikeys.check_import(uuid, regclass) IS
	'Runs import_keys and rolls it back: returns how many keys it would import, or raises the error that names the first bad row.';

-- An import of one row.
CREATE FUNCTION apikeys_internal.import_key(
	organization uuid, public_key text, hash apikeys.secret_hash, description text, roles text[],
	access_list apikeys.access_list, expires_at timestamptz) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	PERFORM apikeys_internal.import_rows(organization, NULL, ARRAY[public_key], ARRAY[hash::text], ARRAY[description],
		ARRAY[roles::text], ARRAY[access_list::text], ARRAY[expires_at]);
	RETURN public_key;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.import_key(uuid, text, apikeys.secret_hash, text, text[], apikeys.access_list, timestamptz) IS 'Body of apikeys.import_key.';

-- Rows are numbered as they lie in the source.  A row of the source is an element
-- of each array; roles are arrays in their text form.  Without first_row the error
-- is that of a single key.
CREATE FUNCTION apikeys_internal.import_rows(
	organization uuid, first_row bigint, public_keys text[], hashes text[], descriptions text[],
	roles text[], access_lists text[], expirations timestamptz[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	policy apikeys.organization;
	known_roles text[];
	bad_row bigint;
	fault text[];
	bad_key text;
	made text[];
	details jsonb[];
BEGIN
	SELECT o.* INTO policy FROM apikeys.organization AS o WHERE o.id = import_rows.organization FOR KEY SHARE;
	IF NOT FOUND OR NOT apikeys_internal.may('apikeys.keys.manage', organization) THEN
		PERFORM apikeys_internal.refuse('apikeys.keys.manage', organization);
	END IF;
	IF cardinality(public_keys) = 0 THEN
		RETURN;
	END IF;
	-- Locked, so that none is dropped meanwhile.
	known_roles := ARRAY(
		SELECT r.name FROM apikeys.role AS r
		WHERE r.name IN (SELECT unnest(g::text[]) FROM unnest(roles) AS g WHERE g IS NOT NULL)
		ORDER BY r.name FOR KEY SHARE);
	-- Of a single key the caller knows the name, and a secret can stand in its place.
	SELECT j.n, j.fault, CASE WHEN first_row > 0 AND apikeys_internal.is_public_key(j.public_key) THEN j.public_key END
	INTO bad_row, fault, bad_key
	FROM (
		SELECT s.n, s.public_key, CASE
			WHEN s.public_key IS NULL OR NOT apikeys_internal.is_public_key(s.public_key)
				THEN '{22023,invalid_public_key,invalid public key}'::text[]
			WHEN s.occurrence > 1
				THEN '{23505,public_key_taken,public key is that of another row}'
			WHEN EXISTS (SELECT FROM apikeys.key AS k WHERE k.public_key = s.public_key)
				OR EXISTS (SELECT FROM apikeys.deleted_key AS d WHERE d.public_key = s.public_key)
				THEN '{23505,public_key_taken,"public key is taken, or has been used before"}'
			WHEN s.hash IS NULL OR NOT apikeys_internal.is_secret_hash(s.hash)
				THEN '{22P02,invalid_secret_hash,invalid hash}'
			WHEN NOT apikeys_internal.is_affordable(s.hash::apikeys.secret_hash)
				THEN '{22023,hash_too_costly,hash costs more to verify than a decision may}'
			WHEN s.description IS NULL OR NOT apikeys_internal.is_name(s.description)
				THEN '{22023,invalid_description,invalid description}'
			WHEN NOT s.roles <@ known_roles
				-- By its place: what is no role can be a secret in the wrong column.
				THEN ARRAY['42704', 'role_not_found', (
					SELECT format('role number %s does not exist', min(g.place))
					FROM unnest(s.roles) WITH ORDINALITY AS g (name, place)
					WHERE (g.name = ANY (known_roles)) IS NOT TRUE)]
			WHEN cardinality(s.roles) > (SELECT count(DISTINCT g) FROM unnest(s.roles) AS g)
				THEN '{22023,role_duplicate,role is named twice}'
			ELSE coalesce((
				SELECT CASE WHEN r.level <> 'organization'
						THEN ARRAY['22023', 'role_level_mismatch', format('role "%s" cannot be granted in an organization', r.name)]
						ELSE ARRAY['42501', 'role_not_grantable', format('permission denied to grant role "%s"', r.name)] END
				FROM apikeys.role AS r
				WHERE r.name = ANY (s.roles)
					AND (r.level <> 'organization' OR NOT apikeys_internal.may_grant(r.name, organization))
				ORDER BY r.name LIMIT 1),
			CASE
			WHEN NOT apikeys_internal.is_access_list(s.access_list)
				THEN '{22P02,invalid_access_list,invalid access list}'::text[]
			WHEN coalesce(s.expires_at, 'infinity') > apikeys_internal.add_in_utc(now(), policy.max_key_lifetime)
				THEN '{23514,lifetime_exceeded,organization policy limits the life of keys}'::text[]
			END) END AS fault
		FROM (
			SELECT u.n, u.public_key, u.hash, u.description, u.roles::text[] AS roles,
				u.access_list, u.expires_at,
				row_number() OVER (PARTITION BY u.public_key ORDER BY u.n) AS occurrence
			FROM ROWS FROM (unnest(public_keys), unnest(hashes), unnest(descriptions), unnest(roles),
				unnest(access_lists), unnest(expirations))
				WITH ORDINALITY AS u (public_key, hash, description, roles, access_list, expires_at, n)) AS s) AS j
	WHERE j.fault IS NOT NULL
	ORDER BY j.n LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = fault[1],
			MESSAGE = coalesce('row ' || first_row + bad_row - 1 || ' cannot be imported: ', '') || fault[3],
			DETAIL = 'Nothing was imported.' || coalesce(' The public key of the row is "' || bad_key || '".', ''),
			CONSTRAINT = fault[2];
	END IF;
	-- In the order of the indexes.
	WITH s AS MATERIALIZED (
		SELECT u.public_key, u.hash::apikeys.secret_hash AS hash, u.description,
			coalesce(u.roles::text[], '{}') AS roles, coalesce(u.access_list, '{}')::apikeys.access_list AS access_list,
			nullif(u.expires_at, 'infinity') AS expires_at
		FROM ROWS FROM (unnest(public_keys), unnest(hashes), unnest(descriptions), unnest(roles),
			unnest(access_lists), unnest(expirations))
			AS u (public_key, hash, description, roles, access_list, expires_at)
		ORDER BY u.public_key COLLATE "C"
	), k AS (
		INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at)
		SELECT s.public_key, import_rows.organization, s.description, s.access_list, s.expires_at FROM s
		ON CONFLICT DO NOTHING
		RETURNING 1
	), r AS (
		INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT s.public_key, import_rows.organization, g.name FROM s CROSS JOIN unnest(s.roles) AS g (name)
		WHERE (SELECT count(*) FROM k) = cardinality(public_keys)
	), c AS (
		INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT s.public_key, 1, s.hash, '' FROM s
		WHERE (SELECT count(*) FROM k) = cardinality(public_keys)
		RETURNING 1
	)
	SELECT array_agg(s.public_key), array_agg(jsonb_build_object('new', jsonb_build_object(
			'description', s.description, 'roles', to_jsonb(s.roles),
			'access_list', s.access_list::cidr[], 'expires_at', s.expires_at)))
		INTO made, details FROM s WHERE (SELECT count(*) FROM c) > 0;
	-- Taken since they were looked for above.
	IF made IS NULL OR EXISTS (SELECT FROM apikeys.deleted_key AS d WHERE d.public_key = ANY (made)) THEN
		RAISE unique_violation USING
			MESSAGE = 'public key is taken, or has been used before', CONSTRAINT = 'public_key_taken';
	END IF;
	PERFORM apikeys_internal.make_new_images(made);
	PERFORM apikeys_internal.note_key_events('key.imported', organization, made, details);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.import_rows(uuid, bigint, text[], text[], text[], text[], text[], timestamptz[]) IS
	'Imports some rows of a source, of which the first has that number, or raises an error that names the first bad one.';
