-- When the triggers of the extension fire.  ENABLE TRIGGER ALL, with which
-- pg_restore --disable-triggers ends, makes ordinary ones of all: then nothing
-- that arrives by logical replication has an effect on decisions.

CREATE FUNCTION apikeys_internal.trigger_changes() RETURNS SETOF text
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
	SELECT format('ALTER TABLE apikeys.%I ENABLE %sTRIGGER %I', c.relname, s.mode || ' ', t.tgname)
	FROM pg_trigger AS t
		JOIN pg_class AS c ON c.oid = t.tgrelid AND c.relnamespace = 'apikeys'::regnamespace
		JOIN pg_proc AS p ON p.oid = t.tgfoid
		LEFT JOIN pg_constraint AS f ON f.oid = t.tgconstraint AND f.contype = 'f' AND f.connamespace = c.relnamespace
		LEFT JOIN (VALUES
			('key', 'access_list_changed', 'ALWAYS'),
			('key', 'key_deleted', 'ALWAYS'),
			('key', 'key_inserted', 'ALWAYS'),
			('key', 'key_limits_ended', 'ALWAYS'),
			('key', 'key_limits_reset', 'ALWAYS'),
			('key', 'key_replicated', 'REPLICA'),
			('key', 'key_truncated', 'ALWAYS'),
			('key_limit', 'key_limit_ended', 'ALWAYS'),
			('key_limit', 'key_limit_replicated', 'REPLICA'),
			('key_limit', 'key_limit_truncated', 'ALWAYS'),
			('key_role', 'key_role_replicated', 'REPLICA'),
			('key_role', 'key_role_truncated', 'ALWAYS'),
			('key_role', 'key_role_truncating', 'ALWAYS'),
			('key_secret', 'key_secret_replicated', 'REPLICA'),
			('key_secret', 'key_secret_truncated', 'ALWAYS'),
			('key_secret', 'secret_deleted', 'ALWAYS'),
			('key_secret', 'secret_inserted', 'ALWAYS'),
			('member', 'member_role_noted', 'ALWAYS'),
			('organization', 'organization_limits_ended', 'ALWAYS'),
			('organization_limit', 'organization_limit_changed', 'ALWAYS'),
			('organization_limit', 'organization_limit_ended', 'ALWAYS'),
			('organization_limit', 'organization_limit_truncated', 'ALWAYS'),
			('role', 'role_named', 'ALWAYS')) AS s (relation, trigger, mode)
			ON s.relation = c.relname AND s.trigger = t.tgname
	-- Those of the extension, and those of its foreign keys.
	WHERE (p.pronamespace = 'apikeys_internal'::regnamespace OR f.oid IS NOT NULL)
		AND t.tgenabled <> CASE s.mode WHEN 'REPLICA' THEN 'R' WHEN 'ALWAYS' THEN 'A' ELSE 'O' END
	ORDER BY c.relname, t.tgname;
END;
COMMENT ON FUNCTION apikeys_internal.trigger_changes() IS
	'Returns the statements that make the triggers of the extension fire when they must, of those that do not.';

CREATE FUNCTION apikeys_internal.set_trigger_modes() RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	change text;
BEGIN
	FOR change IN SELECT c FROM apikeys_internal.trigger_changes() AS c LOOP
		EXECUTE change;
	END LOOP;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_trigger_modes() IS
	'Makes the triggers of the extension fire when they must. Called by installations, updates and rebuild_images.';

SELECT apikeys_internal.set_trigger_modes();
