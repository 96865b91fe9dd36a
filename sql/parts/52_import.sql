-- Keys of other systems, many at once.

CREATE FUNCTION apikeys.public_key_is_taken(public_key text, organization uuid) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_public_key_is_taken';
COMMENT ON FUNCTION apikeys.public_key_is_taken(text, uuid) IS
	'Whether a key of this name exists or was deleted, in whatever organization; for who has apikeys.keys.manage in the one named, false to all others.';

CREATE FUNCTION apikeys.import_columns(source regclass) RETURNS text
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted record;
	found_type oid;
	columns text[] := ARRAY[]::text[];
BEGIN
	FOR wanted IN
		SELECT w.* FROM (VALUES
			('public_key', '{text}'::regtype[], true),
			('hash', '{text,apikeys.secret_hash}', true),
			('description', '{text}', true),
			('roles', '{text[]}', false),
			('access_list', '{text,apikeys.access_list}', false),
			('expires_at', '{timestamptz}', false)) AS w (name, types, is_required)
	LOOP
		SELECT a.atttypid INTO found_type FROM pg_attribute AS a
			WHERE a.attrelid = source AND a.attname = wanted.name AND a.attnum > 0 AND NOT a.attisdropped;
		IF NOT FOUND AND wanted.is_required THEN
			RAISE undefined_column USING
				MESSAGE = format('the source has no column "%s"', wanted.name),
				HINT = 'Its columns are public_key, hash and description, all text, and optionally roles text[], access_list text and expires_at timestamptz.';
		ELSIF found_type::regtype <> ALL (wanted.types) THEN
			RAISE datatype_mismatch USING
				MESSAGE = format('column "%s" of the source must be of type %s', wanted.name, wanted.types[1]);
		END IF;
		columns := columns || CASE
			WHEN found_type IS NULL THEN format('NULL::%s AS %I', wanted.types[1], wanted.name)
			ELSE format('s.%I::%s AS %1$I', wanted.name, wanted.types[1]) END;
	END LOOP;
	RETURN array_to_string(columns, ', ');
END;
$$;
COMMENT ON FUNCTION apikeys.import_columns(regclass) IS
	'The columns of a table of keys, as import_keys selects them; raises an error where one is missing or of another type.';

-- Rows are numbered as they lie in the table.
CREATE FUNCTION apikeys.check_import(organization uuid, source regclass) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
	SET synchronize_seqscans = off
	SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
	bad_row bigint;
	fault text[];
	bad_key text;
BEGIN
	EXECUTE format($query$
		SELECT j.n, j.fault, CASE WHEN apikeys.is_public_key(j.public_key) THEN j.public_key END AS public_key
		FROM (
			SELECT s.n, s.public_key, CASE
				WHEN s.public_key IS NULL OR NOT apikeys.is_public_key(s.public_key)
					THEN '{22023,invalid public key}'::text[]
				WHEN s.occurrence > 1
					THEN '{23505,public key is that of another row}'
				WHEN apikeys.public_key_is_taken(s.public_key, $1)
					THEN '{23505,"public key is taken, or has been used before"}'
				WHEN s.hash IS NULL OR NOT apikeys.is_secret_hash(s.hash)
					THEN '{22P02,invalid hash}'
				WHEN s.description IS NULL OR NOT apikeys.is_name(s.description)
					THEN '{22023,invalid description}'
				WHEN (SELECT count(*) <> count(r.name) FROM unnest(s.roles) AS g (name) LEFT JOIN apikeys.role AS r ON r.name = g.name)
					THEN '{42704,role does not exist}'
				WHEN (SELECT count(*) <> count(DISTINCT g.name) FROM unnest(s.roles) AS g (name))
					THEN '{22023,role is named twice}'
				WHEN EXISTS (SELECT FROM apikeys.role AS r WHERE r.name = ANY (s.roles) AND r.level <> 'organization')
					THEN '{22023,role cannot be granted in an organization}'
				WHEN row_security_active('apikeys.key')
					AND EXISTS (SELECT FROM unnest(s.roles) AS g (name) WHERE NOT apikeys.principal_may_grant(g.name, $1))
					THEN '{42501,permission denied to grant role}'
				WHEN NOT apikeys.is_access_list(s.access_list)
					THEN '{22P02,invalid access list}'
				WHEN coalesce(s.expires_at, 'infinity') > (
						SELECT greatest(now() + o.max_key_lifetime,
							(now() AT TIME ZONE 'UTC' + o.max_key_lifetime) AT TIME ZONE 'UTC')
						FROM apikeys.organization AS o
						WHERE o.id = $1 AND o.max_key_lifetime IS NOT NULL)
					THEN '{23514,the organization limits the life of its keys}'
				END AS fault
			FROM (
				SELECT n.*, row_number() OVER (PARTITION BY n.public_key ORDER BY n.n) AS occurrence
				FROM (SELECT row_number() OVER () AS n, %s FROM %s AS s) AS n) AS s) AS j
		WHERE j.fault IS NOT NULL
		ORDER BY j.n LIMIT 1
		$query$, apikeys.import_columns(source), source)
		INTO bad_row, fault, bad_key USING organization;
	IF bad_row IS NOT NULL THEN
		RAISE EXCEPTION USING
			ERRCODE = fault[1],
			MESSAGE = format('row %s cannot be imported: %s', bad_row, fault[2]),
			DETAIL = 'Nothing was imported.' || coalesce(' The public key of the row is "' || bad_key || '".', '');
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys.check_import(uuid, regclass) IS
	'Raises an error that names the first row of a table that import_keys would refuse, by its number, and by its public key if it has one.';

CREATE FUNCTION apikeys.import_keys(organization uuid, source regclass) RETURNS bigint
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- In the order of the indexes.
	rows text := 'WITH s AS MATERIALIZED (SELECT %s FROM %s AS s ORDER BY public_key COLLATE "C")';
	keys constant text := $query$
		INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at)
		SELECT s.public_key, $1, s.description, coalesce(s.access_list, '{}')::apikeys.access_list, s.expires_at FROM s
		RETURNING 1$query$;
	-- One after the other, so that the events are too.
	roles constant text := $query$
		INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT s.public_key, $1, g.name FROM s CROSS JOIN unnest(s.roles) AS g (name)
		WHERE (SELECT count(*) FROM k) >= 0$query$;
	secrets constant text := $query$
		INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT s.public_key, 1, s.hash::apikeys.secret_hash, '' FROM s$query$;
	imported bigint;
BEGIN
	PERFORM apikeys.check_not_null('organization', organization::text, 'source', source::text);
	PERFORM apikeys.check_permission('apikeys.keys.manage', organization);
	PERFORM FROM apikeys.organization AS o WHERE o.id = organization;
	IF NOT FOUND THEN
		PERFORM apikeys.refuse('organization');
	END IF;
	rows := format(rows, apikeys.import_columns(source), source);
	-- Plans of foreign keys that were made while the tables were small would
	-- read all of them for each row.
	DISCARD PLANS;
	BEGIN
		IF row_security_active('apikeys.key') THEN
			-- The policy of secrets asks whose they are.
			EXECUTE format('%s, k AS (%s) %s', rows, keys, roles) USING organization;
			EXECUTE format('%s %s', rows, secrets);
		ELSE
			EXECUTE format('%s, k AS (%s), r AS (%s RETURNING 1) %s WHERE (SELECT count(*) FROM r) >= 0',
				rows, keys, roles, secrets) USING organization;
		END IF;
		GET DIAGNOSTICS imported = ROW_COUNT;
	EXCEPTION
		-- The server's messages would quote what may be a secret, and name no row.
		WHEN data_exception OR integrity_constraint_violation OR insufficient_privilege THEN
			PERFORM apikeys.check_import(organization, source);
			IF SQLSTATE < '40000' THEN
				RAISE EXCEPTION USING
					ERRCODE = SQLSTATE,
					MESSAGE = 'the source cannot be imported',
					DETAIL = 'It was changed meanwhile, or one of its keys was made by somebody else.';
			END IF;
			RAISE;
	END;
	RETURN imported;
END;
$$;
COMMENT ON FUNCTION apikeys.import_keys(uuid, regclass) IS
	'Brings in all keys of a table with columns public_key, hash and description (text) and, if they are there, roles (text[]), access_list (text) and expires_at (timestamptz), or none of them, and returns how many. Needs apikeys.keys.manage in the organization.';
