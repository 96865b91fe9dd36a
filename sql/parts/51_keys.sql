-- Keys: create, view, change, rotate, stop, delete.

CREATE FUNCTION apikeys.create_key(
	organization uuid, description text, roles text[],
	access_list apikeys.access_list DEFAULT '{}', expires_at timestamptz DEFAULT NULL,
	permissions text[] DEFAULT '{}', owner text DEFAULT NULL, metadata jsonb DEFAULT '{}') RETURNS apikeys.new_key
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.create_key(uuid, text, text[], apikeys.access_list, timestamptz, text[], text, jsonb) IS
	'Creates a key with roles and permissions in an organization, and returns its public key and, this once, its private key. Requires apikeys.keys.manage in the organization.';

CREATE FUNCTION apikeys.create_project_key(
	project uuid, description text, roles text[],
	access_list apikeys.access_list DEFAULT '{}', expires_at timestamptz DEFAULT NULL,
	permissions text[] DEFAULT '{}', owner text DEFAULT NULL, metadata jsonb DEFAULT '{}') RETURNS apikeys.new_key
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.create_project_key(uuid, text, text[], apikeys.access_list, timestamptz, text[], text, jsonb) IS
	'Creates a key with roles and permissions in a project, and returns its public key and, this once, its private key. Requires apikeys.keys.manage in the project.';

CREATE FUNCTION apikeys.add_to_access_list(public_key text, VARIADIC networks inet[]) RETURNS apikeys.access_list
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.add_to_access_list(text, inet[]) IS
	'Adds networks to the access list of a key, and returns the list. The first entry excludes all other addresses. Requires managing the key.';

CREATE FUNCTION apikeys.add_to_access_list(public_key text, networks text) RETURNS apikeys.access_list
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.add_to_access_list(text, text) IS
	'The same as add_to_access_list(text, inet[]), for networks that are given as text: one, or an access list.';

CREATE FUNCTION apikeys.add_to_access_list(public_key text, networks text[]) RETURNS apikeys.access_list
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.add_to_access_list(text, text[]) IS
	'The same as add_to_access_list(text, inet[]), for an array of networks that are given as text, as drivers send one.';

CREATE FUNCTION apikeys.remove_from_access_list(public_key text, VARIADIC networks inet[]) RETURNS apikeys.access_list
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.remove_from_access_list(text, inet[]) IS
	'Removes entries from the access list of a key, and returns the list; not the last entry. Requires managing the key.';

CREATE FUNCTION apikeys.remove_from_access_list(public_key text, networks text) RETURNS apikeys.access_list
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.remove_from_access_list(text, text) IS
	'The same as remove_from_access_list(text, inet[]), for networks that are given as text: one, or an access list.';

CREATE FUNCTION apikeys.remove_from_access_list(public_key text, networks text[]) RETURNS apikeys.access_list
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.remove_from_access_list(text, text[]) IS
	'The same as remove_from_access_list(text, inet[]), for an array of networks that are given as text, as drivers send one.';

CREATE FUNCTION apikeys.add_current_address(public_key text) RETURNS inet
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.add_current_address(text) IS
	'Adds the current address to the access list of a key, and returns it: the address of the bound key or of the user named by act_as, else of the connection. Requires managing the key.';

CREATE FUNCTION apikeys.rotate_secret(
	public_key text, overlap interval DEFAULT '0', expires_at timestamptz DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.rotate_secret(text, interval, timestamptz) IS
	'Issues a new private key and returns it, this once; the old one expires at once or, with overlap, later, the new one with expires_at or as the organization requires. Requires to manage the key; a bound key with apikeys.self.rotate in its organization, or in every place where it has a role, rotates its own.';

CREATE FUNCTION apikeys.revoke_secret(public_key text, version integer) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.revoke_secret(text, integer) IS
	'Revokes one of the two live private keys of a key; returns true. Requires apikeys.keys.manage in one place where the key has a role, or a bound key with apikeys.self.rotate as for rotate_secret.';

CREATE FUNCTION apikeys.disable_key(public_key text, reason text DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.disable_key(text, text) IS
	'Denies every request made with the key until it is enabled again; returns whether anything changed. Requires apikeys.keys.manage in one place where the key has a role.';

CREATE FUNCTION apikeys.enable_key(public_key text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.enable_key(text) IS
	'Enables a disabled key; returns whether anything changed. Requires managing the key.';

CREATE FUNCTION apikeys.delete_key(public_key text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.delete_key(text) IS
	'Deletes a key with its roles and secrets; returns true. Requires managing the key.';

CREATE FUNCTION apikeys.import_key(
	organization uuid, public_key text, hash apikeys.secret_hash, description text, roles text[],
	access_list apikeys.access_list DEFAULT '{}', expires_at timestamptz DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.import_key(uuid, text, apikeys.secret_hash, text, text[], apikeys.access_list, timestamptz) IS
	'Imports a key of another system by the hash of its secret, so that the secret stays valid, and returns its public key. Requires apikeys.keys.manage in the organization.';

CREATE FUNCTION apikeys.find_leaked(searched text) RETURNS SETOF text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_find_leaked';
COMMENT ON FUNCTION apikeys.find_leaked(text) IS
	'Returns the private keys in a text, alone or as the end of API key strings, each with a valid checksum. Reads no table: some can be revoked, or belong to another database.';

CREATE FUNCTION apikeys.revoke_leaked(secret text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.revoke_leaked(text) IS
	'Disables the key that a private key, alone or as the end of an API key string, is a live one of, and returns whether there was one. Compares every live secret that is not hashed by argon2id, unless the checksum is wrong. EXECUTE is not part of any access.';

-- --- Making keys and secrets ------------------------------------------------

CREATE FUNCTION apikeys_internal.generate_public_key(environment text DEFAULT NULL) RETURNS text
	LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_generate_public_key';
COMMENT ON FUNCTION apikeys_internal.generate_public_key(text) IS
	'Returns a new random public key, with the prefix of apikeys.token_prefix and the environment.';

CREATE FUNCTION apikeys_internal.generate_secret(
		public_key text, environment text DEFAULT NULL, version integer DEFAULT 1, digest_realm text DEFAULT NULL,
		OUT secret text, OUT hash apikeys.secret_hash, OUT hint text, OUT digest bytea) RETURNS record
	LANGUAGE c VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_generate_secret';
COMMENT ON FUNCTION apikeys_internal.generate_secret(text, text, integer, text) IS
	'Returns a new random secret for a key, with the prefix of apikeys.token_prefix and the environment, its hash, its last characters and, with a realm, what HTTP Digest needs of it, sealed.';

-- What a new key has in common, whichever verb creates it.  A plan for the hash itself
-- would show it, as a constant, to auto_explain: so here, and where else a hash or a
-- secret passes, plans are generic.  It can lack an access
-- list that the organization requires: decisions deny it until it has one.
CREATE FUNCTION apikeys_internal.make_key(
	organization uuid, project uuid, description text, roles text[],
	access_list apikeys.access_list, expires_at timestamptz, permissions text[], owner text, metadata jsonb) RETURNS apikeys.new_key
	LANGUAGE plpgsql VOLATILE
	SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	created text;
	created_for text;
	issued record;
	policy constant apikeys.organization := apikeys_internal.keep_organization(organization, project);
	list constant apikeys.access_list := coalesce(access_list, '{}');
	ends constant timestamptz := nullif(expires_at, 'infinity');
	data constant jsonb := coalesce(metadata, '{}');
	direct constant text[] := coalesce(permissions, '{}');
	role_ids text[];
BEGIN
	PERFORM apikeys_internal.check_name('description', description);
	PERFORM apikeys_internal.check_name('owner', owner);
	PERFORM apikeys_internal.check_metadata(metadata);
	IF cardinality(roles) = 0 AND cardinality(direct) = 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'a key needs at least one role or permission', CONSTRAINT = 'roles_missing';
	END IF;
	role_ids := apikeys_internal.check_grants(roles, organization, project);
	PERFORM apikeys_internal.check_permissions(direct, organization, project);
	PERFORM apikeys_internal.check_life(policy.max_key_lifetime, now(), ends);
	PERFORM apikeys_internal.check_key_count(policy, 1);
	created_for := coalesce((SELECT p.environment FROM apikeys.project AS p WHERE p.id = make_key.project), policy.environment);
	created := apikeys_internal.generate_public_key(created_for);
	issued := apikeys_internal.generate_secret(created, created_for);
	PERFORM apikeys_internal.insert_keys(organization, project, ARRAY[created], ARRAY[issued.hash::text],
		ARRAY[issued.hint], ARRAY[description], ARRAY[(role_ids || ARRAY(SELECT '=' || p FROM unnest(direct) AS p))::text],
		ARRAY[list::text], ARRAY[ends], ARRAY[owner], ARRAY[data], created_for);
	PERFORM apikeys_internal.limit_secrets(policy, ARRAY[created]);
	PERFORM apikeys_internal.note_event('key.created', organization, project, created,
		jsonb_build_object('new', jsonb_build_object('description', description, 'roles', to_jsonb(roles),
			'expires_at', ends)
			|| apikeys_internal.list_detail(list, '{}', 'access_list_added')
			|| CASE WHEN direct = '{}' THEN '{}' ELSE jsonb_build_object('permissions', to_jsonb(direct)) END
			|| apikeys_internal.key_details(owner, data, created_for)));
	RETURN (created, issued.secret, created || '.' || issued.secret);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.make_key(uuid, uuid, text, text[], apikeys.access_list, timestamptz, text[], text, jsonb) IS
	'Creates a key with roles and permissions in an organization or, with a project, in that project. Behind create_key and create_project_key.';

CREATE FUNCTION apikeys_internal.create_key(
	organization uuid, description text, roles text[],
	access_list apikeys.access_list, expires_at timestamptz, permissions text[], owner text, metadata jsonb) RETURNS apikeys.new_key
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RETURN apikeys_internal.make_key(organization, NULL, description, roles, access_list, expires_at, permissions, owner, metadata);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.create_key(uuid, text, text[], apikeys.access_list, timestamptz, text[], text, jsonb) IS 'Body of apikeys.create_key.';

CREATE FUNCTION apikeys_internal.create_project_key(
	project uuid, description text, roles text[],
	access_list apikeys.access_list, expires_at timestamptz, permissions text[], owner text, metadata jsonb) RETURNS apikeys.new_key
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RETURN apikeys_internal.make_key(apikeys_internal.keep_project(project), project, description, roles,
		access_list, expires_at, permissions, owner, metadata);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.create_project_key(uuid, text, text[], apikeys.access_list, timestamptz, text[], text, jsonb) IS 'Body of apikeys.create_project_key.';

-- --- Changing a key ---------------------------------------------------------

CREATE FUNCTION apikeys_internal.check_own_address(public_key text, access_list apikeys.access_list) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $$
BEGIN
	IF public_key = apikeys.current_key()
		AND NOT coalesce(access_list OPERATOR(apikeys.@>) apikeys.current_address(), false)
		AND apikeys.cardinality(access_list) > 0 THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'access list must include the current client address',
			DETAIL = 'The client address of the acting key is not in the list.',
			CONSTRAINT = 'own_address';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_own_address(text, apikeys.access_list) IS
	'Raises 55000 if the bound key would exclude the address that it is called from.';

-- Behind every change of a key, but of its roles and secrets.
CREATE FUNCTION apikeys_internal.change_key(
	before apikeys.key, description text, access_list apikeys.access_list, expires_at timestamptz,
	owner text DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS apikeys.access_list
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	after apikeys.key := before;
	organization apikeys.organization;
	changed jsonb;
BEGIN
	PERFORM apikeys_internal.check_managed(before.public_key);
	PERFORM apikeys_internal.check_name('description', description);
	PERFORM apikeys_internal.check_name('owner', nullif(owner, ''));
	PERFORM apikeys_internal.check_metadata(metadata);
	SELECT o.* INTO organization FROM apikeys.organization AS o WHERE o.id = before.organization_id;
	IF access_list OPERATOR(apikeys.<>) before.access_list THEN
		IF organization.require_access_list AND apikeys.cardinality(access_list) = 0 THEN
			RAISE check_violation USING
				MESSAGE = 'organization policy requires a non-empty access list',
				CONSTRAINT = 'access_list_required';
		END IF;
		PERFORM apikeys_internal.check_own_address(before.public_key, access_list);
	END IF;
	IF expires_at IS NOT NULL AND nullif(expires_at, 'infinity') IS DISTINCT FROM before.expires_at THEN
		PERFORM apikeys_internal.check_life(organization.max_key_lifetime, before.created_at, expires_at);
		after.expires_at := nullif(expires_at, 'infinity');
	END IF;
	after.description := coalesce(description, before.description);
	after.access_list := coalesce(access_list, before.access_list);
	after.owner := nullif(coalesce(owner, before.owner), '');
	after.metadata := coalesce(metadata, before.metadata);
	changed := apikeys_internal.key_difference(before, after);
	IF changed IS NULL THEN
		RETURN before.access_list;
	END IF;
	UPDATE apikeys.key AS k SET
			description = after.description, expires_at = after.expires_at, owner = after.owner, metadata = after.metadata,
			-- A list that stays is not stored again.
			access_list = CASE WHEN after.access_list OPERATOR(apikeys.=) k.access_list THEN k.access_list ELSE after.access_list END
		WHERE k.public_key = before.public_key;
	PERFORM apikeys_internal.make_images(ARRAY[before.public_key]);
	PERFORM apikeys_internal.note_event('key.updated', before.organization_id, NULL, before.public_key, changed);
	RETURN after.access_list;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.change_key(apikeys.key, text, apikeys.access_list, timestamptz, text, jsonb) IS
	'Changes what is not NULL of a key that is locked, and returns its access list; expires_at infinity means never, an empty owner means none.';

CREATE FUNCTION apikeys_internal.list_detail(list apikeys.access_list, other apikeys.access_list, name text) RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
	lacked apikeys.access_list;
BEGIN
	IF apikeys.cardinality(list) <= 100 AND apikeys.cardinality(other) <= 100 THEN
		RETURN jsonb_build_object('access_list', list::cidr[]);
	END IF;
	lacked := apikeys_internal.access_list_without(list, other);
	RETURN jsonb_build_object('access_list_size', apikeys.cardinality(list),
		name, ARRAY(SELECT apikeys.networks(lacked) LIMIT 100),
		name || '_size', apikeys.cardinality(lacked));
END;
$$;
COMMENT ON FUNCTION apikeys_internal.list_detail(apikeys.access_list, apikeys.access_list, text) IS
	'Returns what an event tells of an access list that replaced, or was replaced by, another one: the list, or of lists of more than 100 entries their size and, under the name, at most 100 entries that the other one lacks and how many these are.';

CREATE FUNCTION apikeys_internal.key_difference(before apikeys.key, after apikeys.key) RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
	list_before constant apikeys.access_list := before.access_list;
	list_after constant apikeys.access_list := after.access_list;
	changed jsonb;
BEGIN
	before.access_list := '{}';
	after.access_list := '{}';
	changed := apikeys_internal.row_difference(to_jsonb(before), to_jsonb(after));
	IF list_before OPERATOR(apikeys.=) list_after THEN
		RETURN changed;
	END IF;
	RETURN jsonb_build_object(
		'old', coalesce(changed -> 'old', '{}')
			|| apikeys_internal.list_detail(list_before, list_after, 'access_list_removed'),
		'new', coalesce(changed -> 'new', '{}')
			|| apikeys_internal.list_detail(list_after, list_before, 'access_list_added'));
END;
$$;
COMMENT ON FUNCTION apikeys_internal.key_difference(apikeys.key, apikeys.key) IS
	'Returns what an event tells of the change of a key; NULL if nothing was changed.';

CREATE FUNCTION apikeys_internal.row_difference(before jsonb, after jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT jsonb_build_object('old', jsonb_object_agg(b.key, b.value), 'new', jsonb_object_agg(b.key, after -> b.key))
	FROM jsonb_each(before) AS b
	WHERE b.value IS DISTINCT FROM (after -> b.key)
	HAVING count(*) > 0;
END;
COMMENT ON FUNCTION apikeys_internal.row_difference(jsonb, jsonb) IS
	'Returns the members that differ between two objects, as {"old": {...}, "new": {...}}; NULL if none does.';

CREATE FUNCTION apikeys_internal.networks_of(networks inet[]) RETURNS cidr[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
	network inet;
BEGIN
	FOREACH network IN ARRAY networks LOOP
		IF network IS NULL THEN
			RAISE null_value_not_allowed USING
				MESSAGE = 'a network must not be null', CONSTRAINT = 'null_argument';
		ELSIF network <> network(network) THEN
			RAISE invalid_text_representation USING
				MESSAGE = format('invalid network: "%s"', network),
				DETAIL = 'The address has bits set to the right of the mask.',
				HINT = format('The network is %s.', network(network)),
				CONSTRAINT = 'invalid_access_list';
		END IF;
	END LOOP;
	RETURN networks::cidr[];
END;
$$;
COMMENT ON FUNCTION apikeys_internal.networks_of(inet[]) IS
	'Returns networks as they are stored; raises 22P02 where bits are set to the right of the mask.';

CREATE FUNCTION apikeys_internal.networks_of(networks text) RETURNS inet[]
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN networks OPERATOR(pg_catalog.~) '^[[{]' THEN networks
		ELSE pg_catalog.format('{%s}', networks) END::apikeys.access_list::cidr[]::inet[];
COMMENT ON FUNCTION apikeys_internal.networks_of(text) IS
	'Returns the networks of an access list that is given as text, with or without braces or, as JSON has it, with brackets.';

CREATE FUNCTION apikeys_internal.update_key(
	public_key text, description text, access_list apikeys.access_list, expires_at timestamptz,
	owner text, metadata jsonb) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	PERFORM apikeys_internal.change_key(apikeys_internal.lock_key(public_key), description, access_list, expires_at, owner, metadata);
	RETURN public_key;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.update_key(text, text, apikeys.access_list, timestamptz, text, jsonb) IS 'Body of apikeys.update_key.';

CREATE FUNCTION apikeys_internal.add_to_access_list(public_key text, VARIADIC networks inet[]) RETURNS apikeys.access_list
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
BEGIN
	-- Before what takes as long as the caller likes: others wait for the lock.
	PERFORM apikeys_internal.check_managed(public_key);
	RETURN apikeys_internal.change_key(before, NULL,
		apikeys.access_list(before.access_list::cidr[] || apikeys_internal.networks_of(networks)), NULL);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.add_to_access_list(text, inet[]) IS 'Body of apikeys.add_to_access_list.';

CREATE FUNCTION apikeys_internal.add_to_access_list(public_key text, networks text) RETURNS apikeys.access_list
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RETURN apikeys_internal.add_to_access_list(public_key, VARIADIC apikeys_internal.networks_of(networks));
END;
$$;
COMMENT ON FUNCTION apikeys_internal.add_to_access_list(text, text) IS 'Body of apikeys.add_to_access_list.';

CREATE FUNCTION apikeys_internal.add_to_access_list(public_key text, networks text[]) RETURNS apikeys.access_list
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RETURN apikeys_internal.add_to_access_list(public_key, VARIADIC networks::apikeys.access_list::cidr[]);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.add_to_access_list(text, text[]) IS 'Body of apikeys.add_to_access_list.';

CREATE FUNCTION apikeys_internal.remove_from_access_list(public_key text, VARIADIC networks inet[]) RETURNS apikeys.access_list
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
	kept apikeys.access_list;
BEGIN
	PERFORM apikeys_internal.check_managed(public_key);
	-- As a list stores them: an IPv4-mapped network is the IPv4 network.
	kept := apikeys_internal.access_list_without(
		before.access_list, apikeys.access_list(apikeys_internal.networks_of(networks)));
	IF apikeys.cardinality(kept) = 0 AND apikeys.cardinality(before.access_list) > 0 THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'cannot remove the last entry of the access list',
			DETAIL = 'An empty list allows every address.',
			HINT = 'Use apikeys.update_key with access_list => ''{}'' to allow every address.',
			CONSTRAINT = 'last_entry';
	END IF;
	RETURN apikeys_internal.change_key(before, NULL, kept, NULL);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.remove_from_access_list(text, inet[]) IS 'Body of apikeys.remove_from_access_list.';

CREATE FUNCTION apikeys_internal.remove_from_access_list(public_key text, networks text) RETURNS apikeys.access_list
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RETURN apikeys_internal.remove_from_access_list(public_key, VARIADIC apikeys_internal.networks_of(networks));
END;
$$;
COMMENT ON FUNCTION apikeys_internal.remove_from_access_list(text, text) IS 'Body of apikeys.remove_from_access_list.';

CREATE FUNCTION apikeys_internal.remove_from_access_list(public_key text, networks text[]) RETURNS apikeys.access_list
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	RETURN apikeys_internal.remove_from_access_list(public_key, VARIADIC networks::apikeys.access_list::cidr[]);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.remove_from_access_list(text, text[]) IS 'Body of apikeys.remove_from_access_list.';

CREATE FUNCTION apikeys_internal.add_current_address(public_key text) RETURNS inet
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
	address constant inet := apikeys.current_address();
BEGIN
	IF address IS NULL THEN
		PERFORM apikeys_internal.check_managed(before.public_key);
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'the current address is not known',
			HINT = 'Give the address to apikeys.add_to_access_list or apikeys.act_as.',
			CONSTRAINT = 'no_address';
	END IF;
	PERFORM apikeys_internal.add_to_access_list(public_key, address);
	RETURN address;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.add_current_address(text) IS 'Body of apikeys.add_current_address.';

-- --- Secrets ----------------------------------------------------------------

CREATE FUNCTION apikeys_internal.rotate_secret(public_key text, overlap interval, expires_at timestamptz) RETURNS text
	LANGUAGE plpgsql VOLATILE
	SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	before apikeys.key;
	overlap_time constant interval := coalesce(overlap, '0');
	moment constant timestamptz := clock_timestamp();
	ends timestamptz;
	latest timestamptz;
	new_ends timestamptz;
	new_latest timestamptz;
	kept integer;
	newest integer;
	issued record;
BEGIN
	PERFORM apikeys_internal.refuse_token('rotate secrets');
	IF apikeys_internal.reads_key(public_key) THEN
		PERFORM FROM apikeys.organization AS o
			WHERE o.id = (SELECT k.organization_id FROM apikeys.key AS k WHERE k.public_key = rotate_secret.public_key)
			FOR KEY SHARE;
	END IF;
	before := apikeys_internal.lock_key(public_key);
	PERFORM apikeys_internal.check_sees_policy(before.organization_id);
	IF NOT apikeys_internal.rotates_itself(public_key) THEN
		PERFORM apikeys_internal.check_managed(public_key);
	END IF;
	SELECT apikeys_internal.add_in_utc(moment, o.max_rotation_overlap),
			apikeys_internal.add_in_utc(moment, o.max_secret_lifetime) INTO latest, new_latest
		FROM apikeys.organization AS o WHERE o.id = before.organization_id FOR KEY SHARE;
	new_ends := nullif(coalesce(expires_at, new_latest), 'infinity');
	IF new_ends <= moment THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'expires_at must be in the future', CONSTRAINT = 'invalid_expiration';
	ELSIF coalesce(new_ends, 'infinity') > new_latest THEN
		RAISE check_violation USING
			MESSAGE = 'organization policy limits the life of secrets',
			HINT = format('Use an expires_at that is not later than %s.', new_latest),
			CONSTRAINT = 'secret_lifetime_exceeded';
	END IF;
	ends := CASE WHEN overlap_time > '1000 years' THEN 'infinity' WHEN overlap_time < '-1000 years' THEN '-infinity'
		ELSE apikeys_internal.add_in_utc(moment, overlap_time) END;
	IF ends < moment THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'overlap must not be negative', CONSTRAINT = 'invalid_overlap';
	ELSIF ends > latest THEN
		RAISE check_violation USING
			MESSAGE = 'organization policy limits the overlap of secrets',
			DETAIL = format('The old secret can live until %s.', latest),
			CONSTRAINT = 'overlap_too_long';
	END IF;
	-- The newest live secret lives on for the overlap; others go.
	SELECT s.version INTO kept FROM apikeys.key_secret AS s
		WHERE s.public_key = before.public_key
		ORDER BY coalesce(s.expires_at, 'infinity') > moment DESC, s.version DESC LIMIT 1
		FOR NO KEY UPDATE;
	-- A number comes never again, be its secret gone: tokens name it.
	SELECT greatest(before.last_secret_version, max(s.version)) + 1 INTO newest
		FROM apikeys.key_secret AS s WHERE s.public_key = before.public_key;
	UPDATE apikeys.key AS k SET last_secret_version = newest WHERE k.public_key = before.public_key;
	DELETE FROM apikeys.key_secret AS s WHERE s.public_key = before.public_key AND s.version <> kept;
	UPDATE apikeys.key_secret AS s SET expires_at = least(s.expires_at, ends)
		WHERE s.public_key = before.public_key AND s.version = kept
		RETURNING s.expires_at INTO ends;
	issued := apikeys_internal.generate_secret(public_key, before.environment, newest, before.digest_realm);
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint, expires_at, digest_realm, digest)
		VALUES (before.public_key, newest, issued.hash, issued.hint, new_ends, before.digest_realm, issued.digest);
	PERFORM apikeys_internal.make_images(ARRAY[public_key]);
	PERFORM apikeys_internal.note_event('key.secret_rotated', before.organization_id, NULL, public_key,
		jsonb_build_object('old', jsonb_build_object('version', kept, 'expires_at', ends),
			'new', jsonb_build_object('version', newest, 'expires_at', new_ends)));
	RETURN issued.secret;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.rotate_secret(text, interval, timestamptz) IS 'Body of apikeys.rotate_secret.';

CREATE FUNCTION apikeys_internal.revoke_secret(public_key text, version integer) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
	live constant integer[] := ARRAY(
		SELECT s.version FROM apikeys.key_secret AS s
		WHERE s.public_key = before.public_key AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp()));
BEGIN
	-- A key that has revoked the secret it is bound by learns that the other one is its last.
	IF NOT apikeys_internal.rotates_itself(public_key)
		AND NOT (public_key = apikeys.current_key() AND live = ARRAY[version]) IS TRUE THEN
		PERFORM apikeys_internal.check_stopped(public_key);
	END IF;
	IF version <> ALL (live) THEN
		RAISE undefined_object USING
			MESSAGE = format('the key has no live secret of version %s', version),
			CONSTRAINT = 'secret_not_found';
	ELSIF cardinality(live) = 1 THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = 'cannot revoke the last live secret of a key',
			HINT = 'Disable the key with apikeys.disable_key, delete it with apikeys.delete_key, or issue another secret with apikeys.rotate_secret.',
			CONSTRAINT = 'last_secret';
	END IF;
	UPDATE apikeys.key_secret AS s SET expires_at = clock_timestamp()
		WHERE s.public_key = before.public_key AND s.version = revoke_secret.version;
	PERFORM apikeys_internal.make_images(ARRAY[public_key]);
	PERFORM apikeys_internal.note_event('key.secret_revoked', before.organization_id, NULL, public_key,
		jsonb_build_object('old', jsonb_build_object('version', version)));
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.revoke_secret(text, integer) IS 'Body of apikeys.revoke_secret.';
