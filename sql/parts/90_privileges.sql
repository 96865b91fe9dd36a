-- Privileges.  Everything is revoked from all roles except the owner, whatever the
-- default privileges of the installing role are.  Then PUBLIC is granted what types,
-- their operators and policies on user tables need.  grant_access grants the rest,
-- from the matrix below.

-- What each access grants, in the syntax of GRANT.
CREATE FUNCTION apikeys_internal.access_privileges(access text) RETURNS SETOF text
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 80
BEGIN ATOMIC
	SELECT p.privilege
	FROM (VALUES
		('decide manage impersonate monitor', 'USAGE ON SCHEMA apikeys'),
		('decide manage impersonate', 'EXECUTE ON FUNCTION apikeys.principal()'),
		('decide manage impersonate', 'EXECUTE ON FUNCTION apikeys.principals()'),
		('decide manage impersonate monitor', 'EXECUTE ON FUNCTION apikeys.help()'),

		('decide', 'EXECUTE ON FUNCTION apikeys.authorize(text, text, inet, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authorize(text, text, text, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.decide(text, text, inet, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.decide(text, text, text, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.require(text, text, inet, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.require(text, text, text, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.rate_limit_headers(apikeys.decision)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authenticate(text, text, inet)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authenticate(text, text, text)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authenticate_request(boolean)'),
		('decide manage', 'EXECUTE ON FUNCTION apikeys.current_key_details()'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authorize_token(text, inet, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authorize_token(text, text, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.decide_token(text, inet, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.decide_token(text, text, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.require_token(text, inet, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.require_token(text, text, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authenticate_token(text, inet)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authenticate_token(text, text)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authorize_digest(text, text, text, inet, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authorize_digest(text, text, text, text, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.decide_digest(text, text, text, inet, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.decide_digest(text, text, text, text, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.require_digest(text, text, text, inet, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.require_digest(text, text, text, text, text, uuid, bigint)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authenticate_digest(text, text, text, inet)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.authenticate_digest(text, text, text, text)'),
		('decide', 'EXECUTE ON FUNCTION apikeys.digest_challenge(text, boolean)'),
		('decide manage', 'EXECUTE ON FUNCTION apikeys.split_api_key(text)'),
		('decide manage', 'EXECUTE ON FUNCTION apikeys.issue_token(interval, text[], uuid, text)'),

		('impersonate', 'EXECUTE ON FUNCTION apikeys.act_as(text, inet)'),
		('impersonate', 'EXECUTE ON FUNCTION apikeys.act_as(text, text)'),

		('monitor', 'EXECUTE ON FUNCTION apikeys.status()'),
		('monitor', 'EXECUTE ON FUNCTION apikeys.metrics()'),
		('monitor', 'EXECUTE ON FUNCTION apikeys_internal.usage_status()'),
		('monitor', 'EXECUTE ON FUNCTION apikeys_internal.limits_status()'),
		('monitor', 'EXECUTE ON FUNCTION apikeys_internal.trigger_changes()'),
		('monitor', 'EXECUTE ON FUNCTION apikeys_internal.advice(text)'),
		('monitor', 'EXECUTE ON FUNCTION apikeys_internal.current_pepper()'),

		('manage', 'SELECT ON apikeys.organization'),
		('manage', 'SELECT ON apikeys.project'),
		('manage', 'SELECT ON apikeys.role'),
		('manage', 'SELECT ON apikeys.member'),
		('manage', 'SELECT ON apikeys.key'),
		('manage', 'SELECT ON apikeys.key_role'),
		('manage', 'SELECT (public_key, version, hint, created_at, expires_at, digest_realm, organization_id) ON apikeys.key_secret'),
		('manage', 'SELECT ON apikeys.key_network'),
		('manage', 'SELECT ON apikeys.key_usage'),
		('manage', 'SELECT ON apikeys.key_role_usage'),
		('manage', 'SELECT ON apikeys.key_denial'),
		('manage', 'SELECT ON apikeys.key_history'),
		('manage', 'SELECT ON apikeys.key_day'),
		('manage', 'SELECT ON apikeys.audit_event'),
		('manage', 'SELECT ON apikeys.keys'),
		('manage', 'SELECT ON apikeys.access_list_entries'),
		('manage', 'SELECT ON apikeys.usage'),
		('manage', 'SELECT ON apikeys.usage_by_hour'),
		('manage', 'SELECT ON apikeys.usage_by_day'),
		('manage', 'SELECT ON apikeys.rehash_status'),
		('manage', 'SELECT ON apikeys_internal.key_secret_form'),
		('manage', 'SELECT ON apikeys.unused_keys'),
		('manage', 'SELECT ON apikeys.unused_access_list_entries'),
		('manage', 'SELECT ON apikeys.unused_roles'),
		('manage', 'SELECT ON apikeys.limits'),

		('manage', 'EXECUTE ON FUNCTION apikeys.organization(text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.project(text, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.organization_of(uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.permitted_scopes(uuid, text[], uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.rename_organization(uuid, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_organization_policy(uuid, boolean, interval, interval, interval, bigint)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.delete_organization(uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.create_project(uuid, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.rename_project(uuid, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.delete_project(uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.create_role(text, text, text[], text[], text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.drop_role(text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_organization_metadata(uuid, jsonb)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_project_metadata(uuid, jsonb)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_organization_access_list(uuid, apikeys.access_list)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_organization_environment(uuid, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_project_environment(uuid, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.add_member(uuid, text, text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.remove_member(uuid, text, text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.create_key(uuid, text, text[], apikeys.access_list, timestamptz, text[], text, jsonb)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.create_project_key(uuid, text, text[], apikeys.access_list, timestamptz, text[], text, jsonb)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.update_key(text, text, apikeys.access_list, timestamptz, text, jsonb)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_organization_roles(text, text[], text[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_project_roles(text, uuid, text[], text[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys.remove_from_project(text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.add_to_access_list(text, inet[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys.add_to_access_list(text, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.add_to_access_list(text, text[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys.remove_from_access_list(text, inet[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys.remove_from_access_list(text, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.remove_from_access_list(text, text[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys.add_current_address(text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.rotate_secret(text, interval, timestamptz)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.revoke_secret(text, integer)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.enable_digest(text, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.disable_digest(text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.disable_key(text, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.enable_key(text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.delete_key(text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.import_key(uuid, text, apikeys.secret_hash, text, text[], apikeys.access_list, timestamptz)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.import_keys(uuid, regclass)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.check_import(uuid, regclass)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.explain_authorize(text, inet, text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.explain_authorize(text, text, text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.expiring_keys(interval)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.usage_chart(text, integer)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.find_keys(timestamptz, timestamptz, text, uuid, text, uuid, text, jsonb)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.disable_keys(timestamptz, timestamptz, text, uuid, text, uuid, boolean, text, jsonb)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.delete_keys(timestamptz, timestamptz, text, uuid, text, uuid, boolean, text, jsonb)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.find_leaked(text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.audit_events_after(bigint, integer)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_rate_limit(text, bigint, interval, bigint, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_organization_rate_limit(uuid, bigint, interval, bigint, boolean)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_quota(text, bigint, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.set_organization_quota(uuid, bigint, text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.add_credits(text, bigint)'),
		('manage', 'EXECUTE ON FUNCTION apikeys.reset_limits(text)'),

		-- Called by policies, views and operators; without USAGE on the schema not callable directly.
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.metadata_contains(jsonb, jsonb)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.principal_roles()'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.reading_user()'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.own_reader()'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.principal_organizations()'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.principal_organizations(text[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.is_one_of(uuid, uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.principal_other_projects(text[], text[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.is_readable_share(uuid, text[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.visited_organization()'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.principal_project_keys(text[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.last_use(text, uuid, uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.key_roles(text, uuid, uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.key_projects(text, uuid, uuid[], uuid[], uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.key_organization_roles(text, uuid, uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.key_organization_permissions(text, uuid, uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.key_hint(text, uuid, uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.key_secrets(text, uuid, uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.key_secret_expires_at(text, uuid, uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.reads_key(text, uuid[])'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.pending_usage(text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.pending_history(text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.lost_count()'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.first_unsettled_event(bigint)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.event_limit(integer)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.key_limits(text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.organization_limits(uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.last_grant_use(text, uuid, text, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.role_name(text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.may(text, uuid, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.would_allow(text, uuid, uuid)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.pepper_state(text)'),
		('manage', 'EXECUTE ON FUNCTION apikeys_internal.digest_pepper(bytea)')
	) AS p (accesses, privilege)
	WHERE access_privileges.access = ANY (string_to_array(p.accesses, ' '));
END;
COMMENT ON FUNCTION apikeys_internal.access_privileges(text) IS
	'Returns the privileges of an access, in the syntax of GRANT.';

-- One function of each access tells whether a role has it.
CREATE FUNCTION apikeys_internal.accesses_of(grantee regrole) RETURNS text[]
	LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce(array_agg(m.access ORDER BY m.access), '{}')
	FROM (VALUES
		('decide', 'apikeys.authorize(text, text, inet, text, uuid, bigint)'::regprocedure),
		('impersonate', 'apikeys.act_as(text, inet)'),
		('manage', 'apikeys.create_key(uuid, text, text[], apikeys.access_list, timestamptz, text[], text, jsonb)'),
		('monitor', 'apikeys.status()')) AS m (access, marker)
		JOIN pg_proc AS p ON p.oid = m.marker
	WHERE EXISTS (SELECT FROM aclexplode(p.proacl) AS a WHERE a.grantee = accesses_of.grantee AND p.proowner <> a.grantee);
END;
COMMENT ON FUNCTION apikeys_internal.accesses_of(regrole) IS
	'Returns the accesses that were granted to a role.';

-- Runs with the rights of the caller: only the owner and superusers can GRANT.
CREATE FUNCTION apikeys_internal.change_access(verb text, grantee regrole, access text[], kept text[] DEFAULT '{}') RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	one_access text;
	privilege text;
BEGIN
	IF grantee IS NULL OR access IS NULL OR array_position(access, NULL) IS NOT NULL THEN
		RAISE null_value_not_allowed USING
			MESSAGE = 'grantee and access must not be null', CONSTRAINT = 'null_argument';
	ELSIF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = grantee) THEN
		RAISE undefined_object USING
			MESSAGE = 'PostgreSQL role does not exist', CONSTRAINT = 'database_role_not_found';
	END IF;
	FOREACH one_access IN ARRAY access LOOP
		IF one_access NOT IN ('decide', 'manage', 'impersonate', 'monitor') THEN
			RAISE invalid_parameter_value USING
				MESSAGE = 'unknown access',
				HINT = 'The accesses are decide, manage, impersonate and monitor.',
				CONSTRAINT = 'unknown_access';
		END IF;
		FOR privilege IN
			SELECT p FROM apikeys_internal.access_privileges(one_access) AS p
			EXCEPT SELECT p FROM unnest(kept) AS k CROSS JOIN apikeys_internal.access_privileges(k) AS p
		LOOP
			EXECUTE format(CASE verb WHEN 'grant' THEN 'GRANT %s TO %s' ELSE 'REVOKE %s FROM %s' END, privilege, grantee);
		END LOOP;
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.change_access(text, regrole, text[], text[]) IS
	'Grants or revokes the privileges of accesses, but those that belong to accesses that are kept, too.';

CREATE FUNCTION apikeys.grant_access(grantee regrole, VARIADIC access text[]) RETURNS text[]
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM apikeys_internal.change_access('grant', grantee, access);
	RETURN apikeys_internal.accesses_of(grantee);
END;
$$;
COMMENT ON FUNCTION apikeys.grant_access(regrole, text[]) IS
	'Grants accesses to a PostgreSQL role, and returns all accesses it has: decide (authorize, decide, require, authenticate), manage (views, tables under row-level security, and all functions that change something), impersonate (act_as), monitor (status). For superusers.';

CREATE FUNCTION apikeys.revoke_access(grantee regrole, VARIADIC access text[]) RETURNS text[]
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	kept constant text[] := ARRAY(
		SELECT a FROM unnest(apikeys_internal.accesses_of(grantee)) AS a WHERE a <> ALL (access));
BEGIN
	PERFORM apikeys_internal.change_access('revoke', grantee, access, kept);
	RETURN kept;
END;
$$;
COMMENT ON FUNCTION apikeys.revoke_access(regrole, text[]) IS
	'Revokes accesses from a PostgreSQL role, but not what they share with those it keeps, and returns these: of which it has authorize, create_key, act_as or status itself, not by a role that it is in. For superusers.';

DO $$
DECLARE
	revocation text;
BEGIN
	FOR revocation IN
		SELECT format('REVOKE ALL ON %s FROM %s', o.object,
			CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END)
		FROM (
			SELECT format('SCHEMA %I', n.nspname) AS object, n.nspowner AS owner,
				coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) AS acl
			FROM pg_catalog.pg_namespace AS n WHERE n.nspname IN ('apikeys', 'apikeys_internal')
			UNION ALL
			SELECT format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname),
				c.relowner, coalesce(c.relacl, pg_catalog.acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
			FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
			WHERE n.nspname IN ('apikeys', 'apikeys_internal') AND c.relkind IN ('r', 'v', 'S')
			UNION ALL
			SELECT format('FUNCTION %s', p.oid::pg_catalog.regprocedure), p.proowner,
				coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
			FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
			WHERE n.nspname IN ('apikeys', 'apikeys_internal')
			UNION ALL
			SELECT format('TYPE %I.%I', n.nspname, t.typname), t.typowner, t.typacl
			FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
			WHERE n.nspname IN ('apikeys', 'apikeys_internal') AND t.typacl IS NOT NULL AND t.typelem = 0
				AND t.typrelid NOT IN (SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.relkind <> 'c')
		) AS o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) AS a
		WHERE a.grantee <> o.owner
		GROUP BY o.object, a.grantee
	LOOP
		EXECUTE revocation;
	END LOOP;
END;
$$;

-- The types and their operators.
GRANT USAGE ON TYPE apikeys.access_list, apikeys.compared_list, apikeys.secret_hash, apikeys.decision, apikeys.new_key TO PUBLIC;
GRANT EXECUTE ON FUNCTION
	apikeys_internal.access_list_in(cstring), apikeys_internal.access_list_out(apikeys.access_list),
	apikeys_internal.access_list_recv(internal), apikeys_internal.access_list_send(apikeys.access_list),
	apikeys_internal.access_list_contains(apikeys.access_list, inet), apikeys_internal.access_list_contained(inet, apikeys.access_list),
	apikeys_internal.access_list_add(apikeys.access_list, cidr), apikeys_internal.access_list_remove(apikeys.access_list, cidr),
	apikeys_internal.compared_list_in(cstring), apikeys_internal.compared_list_out(apikeys.compared_list),
	apikeys_internal.access_list_eq(apikeys.compared_list, apikeys.compared_list),
	apikeys_internal.access_list_ne(apikeys.compared_list, apikeys.compared_list),
	apikeys_internal.access_list_hash(apikeys.compared_list), apikeys_internal.access_list_hash_extended(apikeys.compared_list, bigint),
	apikeys.access_list(cidr[]), apikeys_internal.networks_array(apikeys.access_list), apikeys.networks(apikeys.access_list),
	apikeys.matching_network(apikeys.access_list, inet), apikeys.cardinality(apikeys.compared_list),
	apikeys_internal.secret_hash_in(cstring), apikeys_internal.secret_hash_out(apikeys.secret_hash),
	apikeys_internal.secret_hash_recv(internal), apikeys_internal.secret_hash_send(apikeys.secret_hash),
	apikeys_internal.algorithm(apikeys.secret_hash), apikeys_internal.pepper(apikeys.secret_hash),
	apikeys_internal.access_list_json(apikeys.access_list),
	apikeys_internal.access_list_jsonb(apikeys.access_list), apikeys_internal.access_list_of(text[])
TO PUBLIC;

-- Called by policies on user tables.
GRANT EXECUTE ON FUNCTION
	apikeys.current_key(), apikeys.current_address(), apikeys.current_organization(), apikeys.current_projects(text), apikeys.permits(text, uuid)
TO PUBLIC;
