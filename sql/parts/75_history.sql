-- The history of usage, by the hour of the calls: for reports, and for the eye.

CREATE VIEW apikeys.usage_by_hour WITH (security_invoker = true) AS
SELECT
	r.public_key,
	r.organization_id,
	r.hour,
	least(coalesce(sum(r.count) FILTER (WHERE r.reason = 'ok'), 0), 9223372036854775807)::bigint AS use_count,
	least(coalesce(sum(r.count) FILTER (WHERE r.reason <> 'ok'), 0), 9223372036854775807)::bigint AS denial_count,
	coalesce(jsonb_object_agg(r.reason, least(r.count, 9223372036854775807)) FILTER (WHERE r.reason <> 'ok'), '{}') AS denials,
	least(sum(r.cost), 9223372036854775807)::bigint AS cost
FROM (
	SELECT c.public_key, c.organization_id, c.hour, c.reason, sum(c.count) AS count, sum(c.cost) AS cost
	FROM (
		SELECT h.public_key, h.organization_id, h.hour, h.reason, h.count, h.cost
		FROM apikeys.key_history AS h
		UNION ALL
		SELECT k.public_key, k.organization_id, p.hour, p.reason, p.count, p.cost
		FROM apikeys.key AS k CROSS JOIN LATERAL apikeys_internal.pending_history(k.public_key, k.organization_id) AS p
	) AS c (public_key, organization_id, hour, reason, count, cost)
	GROUP BY c.public_key, c.organization_id, c.hour, c.reason) AS r
GROUP BY r.public_key, r.organization_id, r.hour;
COMMENT ON VIEW apikeys.usage_by_hour IS
	'Uses and denials of the keys visible to the reader by the hour of the call, including those not written yet; where there were none there is no row. Who reads all keys of the organization sees those of deleted keys too.';
COMMENT ON COLUMN apikeys.usage_by_hour.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.usage_by_hour.organization_id IS 'The organization of the key.';
COMMENT ON COLUMN apikeys.usage_by_hour.hour IS 'When the hour began.';
COMMENT ON COLUMN apikeys.usage_by_hour.use_count IS 'Number of allowed requests.';
COMMENT ON COLUMN apikeys.usage_by_hour.denial_count IS 'Number of denied requests.';
COMMENT ON COLUMN apikeys.usage_by_hour.denials IS 'Number of denied requests by reason.';
COMMENT ON COLUMN apikeys.usage_by_hour.cost IS 'What the allowed requests cost, as authorize was told.';

CREATE VIEW apikeys.usage_by_day WITH (security_invoker = true) AS
SELECT
	r.public_key,
	r.organization_id,
	r.day,
	least(coalesce(sum(r.count) FILTER (WHERE r.reason = 'ok'), 0), 9223372036854775807)::bigint AS use_count,
	least(coalesce(sum(r.count) FILTER (WHERE r.reason <> 'ok'), 0), 9223372036854775807)::bigint AS denial_count,
	coalesce(jsonb_object_agg(r.reason, least(r.count, 9223372036854775807)) FILTER (WHERE r.reason <> 'ok'), '{}') AS denials,
	least(sum(r.cost), 9223372036854775807)::bigint AS cost
FROM (
	SELECT c.public_key, c.organization_id, c.day, c.reason, sum(c.count) AS count, sum(c.cost) AS cost
	FROM (
		SELECT h.public_key, h.organization_id, h.day, h.reason, h.count, h.cost
		FROM apikeys.key_day AS h
		UNION ALL
		SELECT k.public_key, k.organization_id, (p.hour AT TIME ZONE 'UTC')::date, p.reason, p.count, p.cost
		FROM apikeys.key AS k CROSS JOIN LATERAL apikeys_internal.pending_history(k.public_key, k.organization_id) AS p
	) AS c (public_key, organization_id, day, reason, count, cost)
	GROUP BY c.public_key, c.organization_id, c.day, c.reason) AS r
GROUP BY r.public_key, r.organization_id, r.day;
COMMENT ON VIEW apikeys.usage_by_day IS
	'Uses and denials of the keys visible to the reader by the day of the call in UTC, including those not written yet; where there were none there is no row. Who reads all keys of the organization sees those of deleted keys too.';
COMMENT ON COLUMN apikeys.usage_by_day.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.usage_by_day.organization_id IS 'The organization of the key.';
COMMENT ON COLUMN apikeys.usage_by_day.day IS 'The day, in UTC.';
COMMENT ON COLUMN apikeys.usage_by_day.use_count IS 'Number of allowed requests.';
COMMENT ON COLUMN apikeys.usage_by_day.denial_count IS 'Number of denied requests.';
COMMENT ON COLUMN apikeys.usage_by_day.denials IS 'Number of denied requests by reason.';
COMMENT ON COLUMN apikeys.usage_by_day.cost IS 'What the allowed requests cost, as authorize was told.';

CREATE FUNCTION apikeys.usage_chart(public_key text, days integer DEFAULT 30) RETURNS SETOF text
	LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 30
	SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
	today constant date := (statement_timestamp() AT TIME ZONE 'UTC')::date;
	width constant integer := 50;
BEGIN
	IF usage_chart.public_key IS NULL OR days IS NULL THEN
		RAISE null_value_not_allowed USING
			MESSAGE = 'public_key and days must not be null', CONSTRAINT = 'null_argument';
	ELSIF days NOT BETWEEN 1 AND 36600 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'days must be between 1 and 36600', CONSTRAINT = 'invalid_days';
	ELSIF NOT EXISTS (SELECT FROM apikeys.key AS k WHERE k.public_key = usage_chart.public_key)
		AND NOT EXISTS (SELECT FROM apikeys.key_day AS h WHERE h.public_key = usage_chart.public_key) THEN
		RAISE undefined_object USING
			MESSAGE = format('key does not exist, or is not visible to %s', apikeys.principal()), CONSTRAINT = 'key_not_found';
	END IF;
	-- Of each day: the uses, a bar of them and, behind it, of the denials.
	RETURN QUERY
		WITH d AS (
			SELECT g.at::date AS day, coalesce(u.use_count, 0) AS uses, coalesce(u.denial_count, 0) AS denials,
				max(coalesce(u.use_count, 0)::numeric + coalesce(u.denial_count, 0)) OVER () AS most
			FROM generate_series(today::timestamp - make_interval(days => days - 1), today, interval '1 day') AS g (at)
				LEFT JOIN apikeys.usage_by_day AS u
					ON u.day = g.at::date AND u.public_key = usage_chart.public_key AND u.day > today - days)
		SELECT rtrim(format('%s %s  %s%s%s', to_char(d.day, 'YYYY-MM-DD'),
			lpad(d.uses::text, max(length(d.uses::text)) OVER ()),
			repeat('#', ceil(d.uses::numeric * width / greatest(d.most, 1))::integer),
			repeat('x', ceil(d.denials::numeric * width / greatest(d.most, 1))::integer),
			CASE WHEN d.denials > 0 THEN format(' %s denied', d.denials) ELSE '' END))
		FROM d
		ORDER BY d.day;
END;
$$;
COMMENT ON FUNCTION apikeys.usage_chart(text, integer) IS
	'Returns a line for each of the last days, in UTC: the number of uses, a bar of them (#) and of the denials (x), and the number of those. Of a key that the principal reads.';
