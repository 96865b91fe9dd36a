-- Keys of other systems.  import_keys and check_import read their source as the
-- caller, before they enter; what goes behind the door is values.

CREATE FUNCTION apikeys.import_keys(organization uuid, source regclass) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_import_keys';
COMMENT ON FUNCTION apikeys.import_keys(uuid, regclass) IS
	'Imports all keys of a table, or none, and returns how many. The table has columns public_key, hash and description (text) and, optionally, roles (text[]), access_list (text) and expires_at (timestamptz). Requires apikeys.keys.manage in the organization.';

CREATE FUNCTION apikeys.check_import(organization uuid, source regclass) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_check_import';
COMMENT ON FUNCTION apikeys.check_import(uuid, regclass) IS
	'Does what import_keys does and takes it back: returns how many keys it would import, or raises the error that names the first row it would refuse.';

CREATE FUNCTION apikeys_internal.raise_taken() RETURNS void
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RAISE unique_violation USING
		MESSAGE = 'public key is taken, or has been used before', CONSTRAINT = 'public_key_taken';
END;
$$;
COMMENT ON FUNCTION apikeys_internal.raise_taken() IS
	'Raises 23505 for a public key that exists or was deleted. Names nothing, because the argument can be a secret.';

CREATE FUNCTION apikeys_internal.import_key(
	organization uuid, public_key text, hash apikeys.secret_hash, description text, roles text[],
	access_list apikeys.access_list, expires_at timestamptz) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	longest interval;
	list constant apikeys.access_list := coalesce(access_list, '{}');
	ends constant timestamptz := nullif(expires_at, 'infinity');
BEGIN
	SELECT o.max_key_lifetime INTO longest FROM apikeys.organization AS o
		WHERE o.id = import_key.organization FOR KEY SHARE;
	IF NOT FOUND OR NOT apikeys_internal.may('apikeys.keys.manage', organization) THEN
		PERFORM apikeys_internal.refuse('apikeys.keys.manage', organization);
	END IF;
	IF NOT apikeys_internal.is_public_key(public_key) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid public key',
			DETAIL = 'It is 1 to 128 letters, digits and characters of _.~+/=-, and contains no private key.',
			CONSTRAINT = 'invalid_public_key';
	ELSIF NOT apikeys_internal.is_affordable(hash) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'the hash costs more to verify than a decision may',
			HINT = 'See setting apikeys.argon2id_max_cost.',
			CONSTRAINT = 'hash_too_costly';
	END IF;
	PERFORM apikeys_internal.check_name('description', description);
	PERFORM apikeys_internal.check_grants(roles, organization);
	PERFORM apikeys_internal.check_life(longest, now(), ends);
	INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at)
		VALUES (import_key.public_key, import_key.organization, import_key.description, list, ends)
		ON CONFLICT DO NOTHING;
	IF NOT FOUND OR EXISTS (SELECT FROM apikeys.deleted_key AS d WHERE d.public_key = import_key.public_key) THEN
		PERFORM apikeys_internal.raise_taken();
	END IF;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT import_key.public_key, import_key.organization, granted FROM unnest(roles) AS granted;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		VALUES (import_key.public_key, 1, import_key.hash, '');
	PERFORM apikeys_internal.make_new_images(ARRAY[public_key]);
	PERFORM apikeys_internal.note_event('key.imported', organization, NULL, public_key,
		jsonb_build_object('new', jsonb_build_object('description', description, 'roles', to_jsonb(roles),
			'access_list', list::cidr[], 'expires_at', ends)));
	RETURN public_key;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.import_key(uuid, text, apikeys.secret_hash, text, text[], apikeys.access_list, timestamptz) IS 'Body of apikeys.import_key.';

-- Rows are numbered as they lie in the source.  A row of the source is an element
-- of each array; roles are arrays in their text form.
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
	SELECT j.n, j.fault, CASE WHEN apikeys_internal.is_public_key(j.public_key) THEN j.public_key END
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
				THEN '{42704,role_not_found,role does not exist}'
			WHEN (SELECT count(*) <> count(DISTINCT g.name) FROM unnest(s.roles) AS g (name))
				THEN '{22023,role_duplicate,role is named twice}'
			WHEN EXISTS (SELECT FROM apikeys.role AS r WHERE r.name = ANY (s.roles) AND r.level <> 'organization')
				THEN '{22023,role_level_mismatch,role cannot be granted in an organization}'
			WHEN EXISTS (SELECT FROM unnest(s.roles) AS g (name) WHERE NOT apikeys_internal.may_grant(g.name, organization))
				THEN '{42501,role_not_grantable,permission denied to grant role}'
			WHEN NOT apikeys_internal.is_access_list(s.access_list)
				THEN '{22P02,invalid_access_list,invalid access list}'
			WHEN coalesce(s.expires_at, 'infinity') > apikeys_internal.add_in_utc(now(), policy.max_key_lifetime)
				THEN '{23514,lifetime_exceeded,organization policy limits the life of keys}'
			END AS fault
		FROM (
			SELECT first_row + u.n - 1 AS n, u.public_key, u.hash, u.description, u.roles::text[] AS roles,
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
			MESSAGE = format('row %s cannot be imported: %s', bad_row, fault[3]),
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
	IF made IS NULL OR EXISTS (SELECT FROM apikeys.deleted_key AS d WHERE d.public_key = ANY (made)) THEN
		PERFORM apikeys_internal.raise_taken();
	END IF;
	PERFORM apikeys_internal.make_new_images(made);
	PERFORM apikeys_internal.note_key_events('key.imported', organization, made, details);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.import_rows(uuid, bigint, text[], text[], text[], text[], text[], timestamptz[]) IS
	'Imports some rows of a source, of which the first has that number, or raises an error that names the first bad one.';
