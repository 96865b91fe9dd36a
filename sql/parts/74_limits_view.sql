-- What is limited, and what is left.

CREATE VIEW apikeys.limits WITH (security_invoker = true) AS
SELECT k.organization_id, k.public_key, l.limit_name, l.requests, l.per, l.burst, l.amount, l.used, l.remaining, l.reset_after
FROM apikeys.key AS k CROSS JOIN LATERAL apikeys_internal.key_limits(k.public_key) AS l
UNION ALL
SELECT o.id, NULL, l.limit_name, l.requests, l.per, l.burst, l.amount, l.used, l.remaining, l.reset_after
FROM apikeys.organization AS o CROSS JOIN LATERAL apikeys_internal.organization_limits(o.id) AS l;
COMMENT ON VIEW apikeys.limits IS
	'The limits of the keys visible to the reader, and of the organizations as a whole, with what is left of each on this server; looking spends nothing.';
COMMENT ON COLUMN apikeys.limits.organization_id IS 'The organization.';
COMMENT ON COLUMN apikeys.limits.public_key IS 'The key; NULL: all keys of the organization together.';
COMMENT ON COLUMN apikeys.limits.limit_name IS 'As in decision: key, each_key, a pattern of scopes, organization, hour, day, week, month, organization month, credits.';
COMMENT ON COLUMN apikeys.limits.requests IS 'Of a rate: so many units of cost come back per interval.';
COMMENT ON COLUMN apikeys.limits.per IS 'Of a rate: the interval.';
COMMENT ON COLUMN apikeys.limits.burst IS 'Of a rate: so many can be spent at once.';
COMMENT ON COLUMN apikeys.limits.amount IS 'Of a quota: so many units of cost in a period.';
COMMENT ON COLUMN apikeys.limits.used IS 'Of a quota: units used in the current period.';
COMMENT ON COLUMN apikeys.limits.remaining IS 'Whole units that would pass now.';
COMMENT ON COLUMN apikeys.limits.reset_after IS 'How long until the limit is as if never used; NULL: never.';

CREATE FUNCTION apikeys.rate_limit_headers(decision apikeys.decision) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE WHEN decision.limit_name IS NOT NULL THEN jsonb_strip_nulls(jsonb_build_object(
		'Retry-After', w.seconds::text,
		'RateLimit', format('"%s";r=%s%s', decision.limit_name, decision.remaining,
			';t=' || coalesce(w.seconds, CASE WHEN decision.allowed
				THEN ceil(extract(epoch FROM decision.reset_after))::bigint END)::text))) END
	FROM (SELECT CASE WHEN decision.retry_after IS NOT NULL
		THEN greatest(1, ceil(extract(epoch FROM decision.retry_after)))::bigint END AS seconds) AS w;
END;
COMMENT ON FUNCTION apikeys.rate_limit_headers(apikeys.decision) IS
	'Returns the HTTP header fields that tell a client of limits, Retry-After (RFC 9110) and RateLimit (IETF draft), as a JSON object; NULL where there is no limit.';
