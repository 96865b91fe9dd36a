-- Limits: so many requests per time, and so much per period of the calendar.  Read
-- through view limits; decisions read the images.

CREATE FUNCTION apikeys_internal.interval_length(per interval) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_interval_length';
COMMENT ON FUNCTION apikeys_internal.interval_length(interval) IS
	'Returns the microseconds of an interval, of which a day has 24 hours; NULL if it has months or years, whose length differs, or is infinite.';

CREATE FUNCTION apikeys_internal.is_rate(requests bigint, per interval, burst bigint) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_rate';
COMMENT ON FUNCTION apikeys_internal.is_rate(bigint, interval, bigint) IS
	'Checks whether the three can be a rate limit: all positive, the interval of one length, and burst times its microseconds less than 2^62.';

CREATE FUNCTION apikeys_internal.limit_image(kind text, scope text, id uuid, requests bigint, per interval, burst bigint, amount bigint) RETURNS bytea
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_limit_image';
COMMENT ON FUNCTION apikeys_internal.limit_image(text, text, uuid, bigint, interval, bigint, bigint) IS
	'Returns what decisions read of a limit.';

CREATE TABLE apikeys.key_limit (
	public_key text COLLATE "C" NOT NULL REFERENCES apikeys.key ON DELETE CASCADE,
	kind text COLLATE "C" NOT NULL,
	scope text COLLATE "C",
	id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
	requests bigint,
	per interval,
	burst bigint,
	amount bigint,
	image bytea NOT NULL GENERATED ALWAYS AS (
		apikeys_internal.limit_image(kind, scope, id, requests, per, burst, amount)) STORED,
	CONSTRAINT key_limit_key UNIQUE NULLS NOT DISTINCT (public_key, kind, scope),
	CONSTRAINT key_limit_kind_check CHECK (kind IN ('rate', 'hour', 'day', 'week', 'month', 'ever')),
	CONSTRAINT key_limit_scope_check CHECK (scope IS NULL OR (kind = 'rate' AND apikeys_internal.are_permissions(ARRAY[scope]))),
	CONSTRAINT key_limit_rate_check CHECK (CASE WHEN kind = 'rate'
		THEN coalesce(apikeys_internal.is_rate(requests, per, burst), false)
		ELSE num_nonnulls(requests, per, burst) = 0 END),
	CONSTRAINT key_limit_amount_check CHECK (CASE WHEN kind = 'rate'
		THEN amount IS NULL ELSE coalesce(amount >= 0, false) END)
);
COMMENT ON TABLE apikeys.key_limit IS
	'A limit of a key: a rate, of all its scopes or of those that match a pattern, or a quota. Internal; view limits shows it.';
COMMENT ON COLUMN apikeys.key_limit.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_limit.kind IS 'rate; or the period of a quota: hour, day, week, month or ever.';
COMMENT ON COLUMN apikeys.key_limit.scope IS 'Pattern of the scopes that a rate is for; NULL: all.';
COMMENT ON COLUMN apikeys.key_limit.id IS 'Stays as long as the limit does: what was spent is not of one that is removed and set again.';
COMMENT ON COLUMN apikeys.key_limit.requests IS 'Of a rate: so many units of cost come back per interval.';
COMMENT ON COLUMN apikeys.key_limit.per IS 'Of a rate: the interval; a day has 24 hours.';
COMMENT ON COLUMN apikeys.key_limit.burst IS 'Of a rate: so many can be spent at once.';
COMMENT ON COLUMN apikeys.key_limit.amount IS 'Of a quota: so many units of cost in a period; of credits: all that were granted.';
COMMENT ON COLUMN apikeys.key_limit.image IS 'What decisions read of it.';

CREATE TABLE apikeys.organization_limit (
	organization_id uuid NOT NULL REFERENCES apikeys.organization ON DELETE CASCADE,
	kind text COLLATE "C" NOT NULL,
	id uuid NOT NULL DEFAULT gen_random_uuid(),
	requests bigint,
	per interval,
	burst bigint,
	amount bigint,
	image bytea NOT NULL GENERATED ALWAYS AS (
		apikeys_internal.limit_image(kind, NULL, id, requests, per, burst, amount)) STORED,
	PRIMARY KEY (organization_id, kind),
	CONSTRAINT organization_limit_kind_check CHECK (
		kind IN ('rate', 'each_key', 'hour', 'day', 'week', 'month', 'ever')),
	CONSTRAINT organization_limit_rate_check CHECK (CASE WHEN kind IN ('rate', 'each_key')
		THEN coalesce(apikeys_internal.is_rate(requests, per, burst), false)
		ELSE num_nonnulls(requests, per, burst) = 0 END),
	CONSTRAINT organization_limit_amount_check CHECK (CASE WHEN kind IN ('rate', 'each_key')
		THEN amount IS NULL ELSE coalesce(amount >= 0, false) END)
);
COMMENT ON TABLE apikeys.organization_limit IS
	'A limit of an organization: a rate or a quota of all its keys together, or the rate of each key that has none of its own. Internal; view limits shows it.';
COMMENT ON COLUMN apikeys.organization_limit.organization_id IS 'The organization.';
COMMENT ON COLUMN apikeys.organization_limit.kind IS 'rate, each_key; or the period of a quota: hour, day, week, month or ever.';
COMMENT ON COLUMN apikeys.organization_limit.id IS 'As in key_limit.';
COMMENT ON COLUMN apikeys.organization_limit.requests IS 'As in key_limit.';
COMMENT ON COLUMN apikeys.organization_limit.per IS 'As in key_limit.';
COMMENT ON COLUMN apikeys.organization_limit.burst IS 'As in key_limit.';
COMMENT ON COLUMN apikeys.organization_limit.amount IS 'As in key_limit.';
COMMENT ON COLUMN apikeys.organization_limit.image IS 'As in key_limit.';

-- Never set to zero: another period is another row.
CREATE TABLE apikeys.quota_usage (
	subject uuid NOT NULL,
	period text COLLATE "C" NOT NULL,
	starts_at timestamptz NOT NULL,
	used bigint NOT NULL,
	PRIMARY KEY (subject, period, starts_at)
) WITH (fillfactor = 70);
COMMENT ON TABLE apikeys.quota_usage IS
	'What was used of quotas, as far as it is written. Internal; view limits adds what is not written yet.';
COMMENT ON COLUMN apikeys.quota_usage.subject IS 'The limits_id of a key, or an organization.';
CREATE INDEX quota_usage_ended_idx ON apikeys.quota_usage (subject) WHERE period = 'ended';
COMMENT ON INDEX apikeys.quota_usage_ended_idx IS 'Finds what the worker is to delete.';
CREATE INDEX quota_usage_starts_at_idx ON apikeys.quota_usage (starts_at);
COMMENT ON INDEX apikeys.quota_usage_starts_at_idx IS 'Finds periods that ended long ago, which the worker deletes.';
COMMENT ON COLUMN apikeys.quota_usage.period IS 'hour, day, week, month or ever; ended: all rows of the subject are to be deleted.';
COMMENT ON COLUMN apikeys.quota_usage.starts_at IS 'Start of the period, in UTC; -infinity: ever.';
COMMENT ON COLUMN apikeys.quota_usage.used IS 'Units of cost.';
