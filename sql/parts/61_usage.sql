-- What was counted in shared memory, and is not in the tables yet.

CREATE FUNCTION apikeys_internal.grant_id(held text, project uuid) RETURNS bigint
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_grant_id';
COMMENT ON FUNCTION apikeys_internal.grant_id(text, uuid) IS
	'Returns the number that stands for a role in a project, or with NULL in the organization, in the result of pending_usage; it differs between kinds of machines.';

CREATE FUNCTION apikeys_internal.pending_usage(public_key text, organization uuid,
		OUT network cidr, OUT reason text, OUT count bigint, OUT last_at timestamptz, OUT last_address inet,
		OUT version integer, OUT grant_id bigint)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 2
	AS 'MODULE_PATHNAME', 'apikeys_pending_usage';
COMMENT ON FUNCTION apikeys_internal.pending_usage(text, uuid) IS
	'Returns the uses (reason NULL) and denials of a key of that organization that are counted in this server''s memory and not yet written, by entry of the access list, version of the secret and role (grant_id); count 0: what a role allowed to a bound key. Only of a key that the principal reads.';

CREATE FUNCTION apikeys_internal.pending_history(public_key text, organization uuid,
		OUT hour timestamptz, OUT reason text, OUT count bigint, OUT cost bigint)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 2
	AS 'MODULE_PATHNAME', 'apikeys_pending_history';
COMMENT ON FUNCTION apikeys_internal.pending_history(text, uuid) IS
	'Returns what pending_usage does, by the hour of the calls: uses (reason ok), with what they cost, and denials. Only of a key that the principal reads.';

CREATE FUNCTION apikeys_internal.last_use(public_key text, organization uuid, organizations uuid[],
		OUT last_used_at timestamptz, OUT last_used_address inet)
	RETURNS record
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 20 AS 'MODULE_PATHNAME', 'apikeys_last_use';
COMMENT ON FUNCTION apikeys_internal.last_use(text, uuid, uuid[]) IS
	'Returns the last recorded or pending use of a key. NULL unless the principal reads the key; organizations are those in which it reads all keys, as returned by principal_organizations for the statement.';

CREATE FUNCTION apikeys_internal.last_grant_use(public_key text, project uuid, held text, organization uuid) RETURNS timestamptz
	LANGUAGE c STABLE PARALLEL RESTRICTED COST 20 AS 'MODULE_PATHNAME', 'apikeys_last_grant_use';
COMMENT ON FUNCTION apikeys_internal.last_grant_use(text, uuid, text, uuid) IS
	'Returns the last recorded or pending use of a role, named by its id, or a permission, behind an equals sign, of a key in a project or, NULL, in its organization. For a view that reads the role.';

CREATE FUNCTION apikeys.flush_usage() RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_flush_usage';
COMMENT ON FUNCTION apikeys.flush_usage() IS
	'Makes the background worker write what is counted in memory, and waits until that is done. EXECUTE is not part of any access.';

CREATE FUNCTION apikeys_internal.usage_status(
		OUT preloaded boolean, OUT worker_alive boolean, OUT pending_entries bigint, OUT used_entries integer,
		OUT max_entries integer, OUT coarse_count bigint, OUT lost_count bigint, OUT unknown_key_count bigint, OUT slowed_count bigint, OUT flushed_at timestamptz, OUT advice text)
	RETURNS record
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_usage_status';
COMMENT ON FUNCTION apikeys_internal.usage_status() IS
	'Returns the state of the counters in shared memory, for status().';

CREATE FUNCTION apikeys_internal.lost_count() RETURNS bigint
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_lost_count';
COMMENT ON FUNCTION apikeys_internal.lost_count() IS
	'Returns how many uses and denials could not be counted in this database since the server started.';

CREATE FUNCTION apikeys_internal.limits_status(OUT entries integer, OUT unlimited_count bigint) RETURNS record
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_limits_status';
COMMENT ON FUNCTION apikeys_internal.limits_status() IS
	'How many limits that something was spent of are in shared memory, and for how many requests there was no room for one, for status().';

CREATE FUNCTION apikeys_internal.advice(usage_advice text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN EXISTS (SELECT FROM apikeys_internal.trigger_changes())
		THEN 'triggers of the extension do not fire when they must, as after pg_restore --disable-triggers, so decisions may be old: call apikeys.rebuild_images()'
		WHEN current_setting('apikeys.notify', true)::boolean AND pg_notification_queue_usage() OPERATOR(pg_catalog.>) 0.5
		THEN 'nobody is notified while the queue of notifications is more than half full: end the session that listens in an open transaction'
		ELSE usage_advice END;
COMMENT ON FUNCTION apikeys_internal.advice(text) IS
	'Returns what the administrator should do, gravest first: about triggers, notifications, or what usage_status advises.';

CREATE FUNCTION apikeys.status(
		OUT version text, OUT preloaded boolean, OUT worker_alive boolean, OUT pending_entries bigint,
		OUT used_entries integer, OUT max_entries integer, OUT coarse_count bigint, OUT lost_count bigint,
		OUT unknown_key_count bigint, OUT slowed_count bigint, OUT flushed_at timestamptz, OUT pepper_loaded boolean, OUT advice text,
		OUT limit_entries integer, OUT unlimited_count bigint)
	RETURNS record
	LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT e.extversion, s.preloaded, s.worker_alive, s.pending_entries, s.used_entries, s.max_entries,
		s.coarse_count, s.lost_count, s.unknown_key_count, s.slowed_count, s.flushed_at, apikeys_internal.current_pepper() IS NOT NULL, apikeys_internal.advice(s.advice),
		l.entries, l.unlimited_count
	FROM pg_extension AS e CROSS JOIN apikeys_internal.usage_status() AS s
		CROSS JOIN apikeys_internal.limits_status() AS l
	WHERE e.extname = 'apikeys';
END;
COMMENT ON FUNCTION apikeys.status() IS
	'Returns the state of the extension in this database: version, whether it is preloaded and its background worker runs, pending counters, the counters of all databases and their limit, since the server started uses counted coarsely (of the key only, without network, secret and role, for want of room), uses and denials lost, and denials of unknown keys, verifications that were skipped to slow guessing (slowed_count), the last flush, whether a pepper is loaded, what should be done, how many limits are in memory, and how many requests, of all databases, found no room for one. Access monitor.';

CREATE FUNCTION apikeys_internal.add_counts(a bigint, b bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_add_counts';
COMMENT ON FUNCTION apikeys_internal.add_counts(bigint, bigint) IS
	'Returns the sum of two non-negative counts, or the largest bigint if the sum would be larger.';

-- Called by the workers of standbys.
CREATE FUNCTION apikeys.merge_usage(instance uuid, batch bigint, public_keys text[], reasons text[], networks cidr[],
		counts bigint[], last_at timestamptz[], addresses inet[], versions integer[], grant_ids bigint[],
		hours timestamptz[], hour_counts bigint[], costs bigint[], organizations uuid[]) RETURNS integer[]
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_merge_usage';
COMMENT ON FUNCTION apikeys.merge_usage(uuid, bigint, text[], text[], cidr[], bigint[], timestamptz[], inet[], integer[], bigint[], timestamptz[], bigint[], bigint[], uuid[]) IS
	'Adds a standby''s batch of uses (reason NULL) and denials to the tables, once, and returns which elements, counted from 1, have no key of their organization. For the role of apikeys.usage_primary_conninfo; EXECUTE is not part of any access.';

CREATE FUNCTION apikeys.settle_usage(instance uuid, batch bigint) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_settle_usage';
COMMENT ON FUNCTION apikeys.settle_usage(uuid, bigint) IS
	'Returns whether the last batch of a server was added by merge_usage or merge_quota_usage; otherwise rejects it, and says so again when asked again. For the role of apikeys.usage_primary_conninfo; EXECUTE is not part of any access.';

-- It waits for no transaction that has changed a key: the hash of that key is renewed
-- when it is used again.  Keys are updated in the order of their index, as in all
-- changes of many keys.
CREATE FUNCTION apikeys_internal.renew_hashes(public_keys text[], old_hashes bytea[], new_hashes text[]) RETURNS void
	LANGUAGE plpgsql VOLATILE
	SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	renewed text[];
BEGIN
	WITH free AS MATERIALIZED (
			SELECT s.public_key, s.version
			FROM apikeys.key_secret AS s JOIN apikeys.key_image AS i ON i.public_key = s.public_key
			WHERE s.public_key = ANY (public_keys)
			ORDER BY s.public_key, s.version
			FOR NO KEY UPDATE OF s, i SKIP LOCKED),
		updated AS (
			UPDATE apikeys.key_secret AS s SET hash = n.new_hash::apikeys.secret_hash
			FROM free AS f, ROWS FROM (unnest(public_keys), unnest(old_hashes), unnest(new_hashes)) AS n (public_key, old_hash, new_hash)
			WHERE s.public_key = f.public_key AND s.version = f.version AND s.public_key = n.public_key
				AND apikeys_internal.secret_hash_send(s.hash) = n.old_hash
			RETURNING s.public_key)
		SELECT array_agg(DISTINCT u.public_key) INTO renewed FROM updated AS u;
	PERFORM apikeys_internal.make_images(renewed);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.renew_hashes(text[], bytea[], text[]) IS
	'Replaces hashes of secrets, in their stored form, where they are still the old ones; for the background worker.';
