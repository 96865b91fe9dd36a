-- Figures over all organizations, for monitoring.  Nothing here names
-- an organization or a key.

CREATE FUNCTION apikeys_internal.written_counts(OUT reason text, OUT count bigint) RETURNS SETOF record
	LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 12 AS 'MODULE_PATHNAME', 'apikeys_written_counts';
COMMENT ON FUNCTION apikeys_internal.written_counts() IS
	'Returns how many decisions of each reason, in this database since the server started, the background worker has written; of unknown keys, how many there were.';

CREATE FUNCTION apikeys_internal.launcher_status(OUT is_running boolean, OUT waiting_databases integer) RETURNS record
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'apikeys_launcher_status';
COMMENT ON FUNCTION apikeys_internal.launcher_status() IS
	'Returns whether the launcher of background workers runs, and how many databases wait for a worker.';

CREATE FUNCTION apikeys_internal.metrics()
	RETURNS TABLE (name text, kind text, help text, labels jsonb, value double precision)
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 60
AS $$
BEGIN
	RETURN QUERY
	WITH k AS (
		SELECT
			CASE
				WHEN k.disabled_at IS NOT NULL THEN 'disabled'
				WHEN least(k.expires_at, s.expires_at) <= statement_timestamp() THEN 'expired'
				ELSE 'active'
			END AS status, least(k.expires_at, s.expires_at) <= statement_timestamp() + interval '7 days' AS expires
		FROM apikeys.key AS k
			LEFT JOIN (
				SELECT s.public_key, nullif(max(coalesce(s.expires_at, 'infinity')), 'infinity') AS expires_at
				FROM apikeys.key_secret AS s
				GROUP BY s.public_key) AS s USING (public_key)),
	s AS (
		SELECT apikeys_internal.pepper_state(f.pepper) AS state, sum(f.count) AS count
		FROM (
			SELECT apikeys_internal.pepper(s.hash) AS pepper, count(*) AS count
			FROM apikeys.key_secret AS s
			WHERE s.expires_at IS NULL OR s.expires_at > statement_timestamp()
			GROUP BY 1) AS f
		GROUP BY 1)
	SELECT 'apikeys_' || f.name, f.kind, f.help, '{}'::jsonb, f.value::double precision
	FROM apikeys_internal.usage_status() AS u
		CROSS JOIN apikeys_internal.launcher_status() AS l
		CROSS JOIN LATERAL (VALUES
			('start_time_seconds', 'gauge', 'When the server started, in seconds since 1970.',
				extract(epoch FROM pg_postmaster_start_time())),
			('preloaded', 'gauge', 'Whether the library is preloaded: 1 or 0.', u.preloaded::integer),
			('launcher_running', 'gauge', 'Whether the launcher of background workers runs: 1 or 0.', l.is_running::integer),
			('waiting_databases', 'gauge', 'Databases whose usage waits because no background worker can be had.', l.waiting_databases),
			('worker_running', 'gauge', 'Whether the background worker of the database runs: 1 or 0; it does not while there is nothing to write.',
				u.worker_alive::integer),
			('counters_pending', 'gauge', 'Counters of the database that are not written yet.', u.pending_entries),
			('counters_used', 'gauge', 'Counters in use, of all databases.', u.used_entries),
			('counters_max', 'gauge', 'Counters there is room for, of all databases.', u.max_entries),
			('flush_time_seconds', 'gauge', 'When all that was counted was written last, in seconds since 1970.',
				extract(epoch FROM u.flushed_at)),
			('worker_lag_seconds', 'gauge', 'How long something may have waited to be written: time since the last flush, or 0 if nothing waits.',
				CASE WHEN u.pending_entries > 0
					THEN greatest(extract(epoch FROM clock_timestamp() - coalesce(u.flushed_at, pg_postmaster_start_time())), 0)
					ELSE 0 END),
			('uses_coarse_total', 'counter', 'Uses counted of the key only, for want of room.', u.coarse_count),
			('lost_total', 'counter', 'Uses and denials that could not be counted.', u.lost_count),
			('pepper_loaded', 'gauge', 'Whether a pepper is loaded: 1 or 0.', (apikeys_internal.current_pepper() IS NOT NULL)::integer),
			('advised', 'gauge', 'Whether status() advises something: 1 or 0.', (apikeys_internal.advice(u.advice) IS NOT NULL)::integer),
			('organizations', 'gauge', 'Organizations.', (SELECT count(*) FROM apikeys.organization)),
			('projects', 'gauge', 'Projects.', (SELECT count(*) FROM apikeys.project)),
			('keys_expiring', 'gauge', 'Active keys that expire within 7 days, or whose last private key does.',
				(SELECT count(*) FROM k WHERE k.status = 'active' AND k.expires)),
			('history_oldest_time_seconds', 'gauge', 'When the oldest hour of the history began, in seconds since 1970.',
				(SELECT extract(epoch FROM min(h.hour)) FROM apikeys.key_history AS h)),
			('audit_last_event', 'gauge', 'Number of the last event of the audit log.',
				(SELECT max(e.id) FROM ONLY apikeys.audit_event AS e)),
			('audit_last_sealed_event', 'gauge', 'Number of the last event that is sealed.',
				(SELECT t.last_event FROM ONLY apikeys.audit_seal AS t ORDER BY t.id DESC LIMIT 1)),
			('audit_seal_time_seconds', 'gauge', 'When the audit log was sealed last, in seconds since 1970.',
				(SELECT extract(epoch FROM t.sealed_at) FROM ONLY apikeys.audit_seal AS t ORDER BY t.id DESC LIMIT 1))
		) AS f (name, kind, help, value)
	WHERE f.value IS NOT NULL
	UNION ALL
	SELECT 'apikeys_build_info', 'gauge', 'The version of the extension; always 1.', jsonb_build_object('version', e.extversion), 1
	FROM pg_extension AS e
	WHERE e.extname = 'apikeys'
	UNION ALL
	SELECT 'apikeys_decisions_total', 'counter', 'Decisions by reason, as far as they are written.',
		jsonb_build_object('reason', w.reason), w.count
	FROM apikeys_internal.written_counts() AS w
	UNION ALL
	SELECT 'apikeys_registered_keys', 'gauge', 'Keys by status.', jsonb_build_object('status', t.status),
		(SELECT count(*) FROM k WHERE k.status = t.status)
	FROM (VALUES ('active'), ('disabled'), ('expired')) AS t (status)
	UNION ALL
	SELECT 'apikeys_live_secrets', 'gauge', 'Live secrets by the state of their hash: all but those in state current are renewed when they are used.',
		jsonb_build_object('state', t.state), coalesce((SELECT s.count FROM s WHERE s.state = t.state), 0)
	FROM (VALUES ('current'), ('retired'), ('missing'), ('foreign')) AS t (state);
END;
$$;
COMMENT ON FUNCTION apikeys_internal.metrics() IS
	'Body of apikeys.metrics.';

CREATE FUNCTION apikeys.metrics()
	RETURNS TABLE (name text, kind text, help text, labels jsonb, value double precision)
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 60 AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.metrics() IS
	'Returns figures of the extension over all organizations of this database, as Prometheus names them: name, kind (gauge or counter), help, labels and value. No label names an organization or a key. Access monitor.';
