-- Limits: how much a key may do, and how fast.  A limit restrains a key, so a
-- principal that manages the key sets it; those of an organization are part of its policy.

CREATE FUNCTION apikeys.set_rate_limit(
	public_key text, requests bigint, per interval DEFAULT NULL, burst bigint DEFAULT NULL, scope text DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door_first';
COMMENT ON FUNCTION apikeys.set_rate_limit(text, bigint, interval, bigint, text) IS
	'Limits a key to so many requests per interval, of which burst (by default all) may come at once; with scope, those whose scope matches that pattern. NULL requests remove the limit. Returns whether that changed anything. Requires to manage the key.';

CREATE FUNCTION apikeys.set_organization_rate_limit(
	organization uuid, requests bigint, per interval DEFAULT NULL, burst bigint DEFAULT NULL, each_key boolean DEFAULT false) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door_first';
COMMENT ON FUNCTION apikeys.set_organization_rate_limit(uuid, bigint, interval, bigint, boolean) IS
	'Limits all keys of an organization together or, with each_key, each key that has no limit of its own; else as set_rate_limit. Requires apikeys.organization.manage.';

CREATE FUNCTION apikeys.set_quota(public_key text, amount bigint, period text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door_first';
COMMENT ON FUNCTION apikeys.set_quota(text, bigint, text) IS
	'Lets a key do so much in each hour, day, week (from Monday) or month of the calendar in UTC, or ever (credits); 0 denies all. NULL amount removes the quota. Returns whether that changed anything. Requires to manage the key.';

CREATE FUNCTION apikeys.set_organization_quota(organization uuid, amount bigint, period text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door_first';
COMMENT ON FUNCTION apikeys.set_organization_quota(uuid, bigint, text) IS
	'Lets all keys of an organization together do so much in each period; else as set_quota. Requires apikeys.organization.manage.';

CREATE FUNCTION apikeys.add_credits(public_key text, amount bigint) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.add_credits(text, bigint) IS
	'Grants more credits to a key that has a quota for ever, and returns what remains. Requires to manage the key.';

CREATE FUNCTION apikeys.reset_limits(public_key text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door';
COMMENT ON FUNCTION apikeys.reset_limits(text) IS
	'Makes the limits of a key, credits too, as if nothing had been spent of them, and returns true; those of its organization stay. Requires to manage the key.';

-- --- What verbs share -------------------------------------------------------

CREATE FUNCTION apikeys_internal.require_preload() RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_require_preload';
COMMENT ON FUNCTION apikeys_internal.require_preload() IS
	'Raises 55000 where the library is not preloaded: a limit would not hold.';

CREATE FUNCTION apikeys_internal.check_rate(requests bigint, per interval, burst bigint) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
	IF requests IS NULL THEN
		RETURN;
	ELSIF requests < 1 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'requests must be at least 1',
			HINT = 'NULL removes a limit; apikeys.disable_key blocks a key.',
			CONSTRAINT = 'invalid_rate';
	ELSIF per IS NULL OR coalesce(apikeys_internal.interval_length(per) <= 0, true) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'per must be a positive interval of one length',
			DETAIL = 'Months and years differ in length, and an infinite interval has none; a day has 24 hours.',
			HINT = 'apikeys.set_quota limits what a key does in a month of the calendar.',
			CONSTRAINT = 'invalid_rate';
	ELSIF burst < 1 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'burst must be at least 1',
			CONSTRAINT = 'invalid_rate';
	ELSIF NOT apikeys_internal.is_rate(requests, per, coalesce(burst, requests)) THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'the limit is too large',
			DETAIL = 'burst times the microseconds of per must be less than 2^62.',
			HINT = 'The same rate in a shorter interval, or a smaller burst.',
			CONSTRAINT = 'invalid_rate';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_rate(bigint, interval, bigint) IS
	'Raises 22023 for what cannot be a rate limit; NULL requests stand for none.';

CREATE FUNCTION apikeys_internal.check_quota(amount bigint, period text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
	IF period IS NULL THEN
		RAISE null_value_not_allowed USING
			MESSAGE = 'period must not be null', CONSTRAINT = 'null_argument';
	ELSIF period NOT IN ('hour', 'day', 'week', 'month', 'ever') THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid period',
			HINT = 'The periods are hour, day, week, month and ever.',
			CONSTRAINT = 'invalid_period';
	ELSIF amount < 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'amount must be 0 or more',
			HINT = 'NULL removes a quota.',
			CONSTRAINT = 'invalid_amount';
	END IF;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.check_quota(bigint, text) IS
	'Raises an error for what cannot be a quota; NULL amount stands for none.';

CREATE FUNCTION apikeys_internal.note_new_limits(subject uuid, limit_id uuid DEFAULT NULL) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_note_new_limits';
COMMENT ON FUNCTION apikeys_internal.note_new_limits(uuid, uuid) IS
	'Lets what is spent of a new limits_id, or of a new limit, be freed if that is rolled back.';

-- Removes the row that is not wanted, keeps the id of one that is changed.
CREATE FUNCTION apikeys_internal.put_key_limit(
	before apikeys.key, kind text, scope text, requests bigint, per interval, burst bigint, amount bigint, action text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	old_row apikeys.key_limit;
	new_row apikeys.key_limit;
	changed jsonb;
BEGIN
	SELECT l.* INTO old_row FROM apikeys.key_limit AS l
		WHERE l.public_key = before.public_key AND l.kind = put_key_limit.kind
			AND l.scope IS NOT DISTINCT FROM put_key_limit.scope;
	IF coalesce(requests, amount) IS NULL THEN
		DELETE FROM apikeys.key_limit AS l
			WHERE l.public_key = before.public_key AND l.kind = put_key_limit.kind
				AND l.scope IS NOT DISTINCT FROM put_key_limit.scope;
	ELSE
		IF scope IS NOT NULL AND old_row.id IS NULL
			AND (SELECT count(*) FROM apikeys.key_limit AS l
				WHERE l.public_key = before.public_key AND l.scope IS NOT NULL) >= 20 THEN
			RAISE program_limit_exceeded USING
				MESSAGE = 'a key has at most 20 rate limits for scopes',
				CONSTRAINT = 'too_many_limits';
		END IF;
		INSERT INTO apikeys.key_limit (public_key, kind, scope, requests, per, burst, amount)
			VALUES (before.public_key, put_key_limit.kind, put_key_limit.scope, put_key_limit.requests,
				put_key_limit.per, put_key_limit.burst, put_key_limit.amount)
			ON CONFLICT ON CONSTRAINT key_limit_key DO UPDATE SET
				requests = excluded.requests, per = excluded.per, burst = excluded.burst, amount = excluded.amount
			RETURNING * INTO new_row;
	END IF;
	changed := apikeys_internal.limit_change(to_jsonb(old_row), to_jsonb(new_row));
	IF changed IS NULL THEN
		RETURN false;
	END IF;
	IF old_row.id IS NULL THEN
		PERFORM apikeys_internal.note_new_limits(before.limits_id, new_row.id);
	END IF;
	PERFORM apikeys_internal.make_images(ARRAY[before.public_key]);
	PERFORM apikeys_internal.note_event(action, before.organization_id, NULL, before.public_key, changed);
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.put_key_limit(apikeys.key, text, text, bigint, interval, bigint, bigint, text) IS
	'Sets, changes or removes a limit of a locked key, and notes the event; whether that changed anything.';

CREATE FUNCTION apikeys_internal.put_organization_limit(
	organization uuid, kind text, requests bigint, per interval, burst bigint, amount bigint, action text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	old_row apikeys.organization_limit;
	new_id uuid;
	changed jsonb;
BEGIN
	SELECT l.* INTO old_row FROM apikeys.organization_limit AS l
		WHERE l.organization_id = organization AND l.kind = put_organization_limit.kind;
	changed := apikeys_internal.limit_change(to_jsonb(old_row), jsonb_build_object('kind', kind,
		'requests', requests, 'per', per, 'burst', burst, 'amount', amount));
	IF changed IS NULL THEN
		RETURN false;
	END IF;
	-- Each change makes all sessions read the policy again.
	IF coalesce(requests, amount) IS NULL THEN
		DELETE FROM apikeys.organization_limit AS l
			WHERE l.organization_id = organization AND l.kind = put_organization_limit.kind;
	ELSE
		INSERT INTO apikeys.organization_limit AS l (organization_id, kind, requests, per, burst, amount)
			VALUES (organization, put_organization_limit.kind, put_organization_limit.requests,
				put_organization_limit.per, put_organization_limit.burst, put_organization_limit.amount)
			ON CONFLICT ON CONSTRAINT organization_limit_pkey DO UPDATE SET
				requests = excluded.requests, per = excluded.per, burst = excluded.burst, amount = excluded.amount
			RETURNING l.id INTO new_id;
		IF old_row.id IS NULL THEN
			PERFORM apikeys_internal.note_new_limits(organization, new_id);
		END IF;
	END IF;
	PERFORM apikeys_internal.note_event(action, organization, NULL, NULL, changed);
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.put_organization_limit(uuid, text, bigint, interval, bigint, bigint, text) IS
	'Sets, changes or removes a limit of a locked organization, and notes the event; whether that changed anything.';

CREATE FUNCTION apikeys_internal.limit_change(before jsonb, after jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE WHEN o.said IS DISTINCT FROM n.said THEN
			jsonb_strip_nulls(jsonb_build_object('old', o.said, 'new', n.said)) END
	FROM (SELECT CASE WHEN coalesce(before ->> 'requests', before ->> 'amount') IS NOT NULL
				THEN jsonb_strip_nulls(before) - '{public_key,organization_id,id,image}'::text[] END AS said) AS o,
		(SELECT CASE WHEN coalesce(after ->> 'requests', after ->> 'amount') IS NOT NULL
				THEN jsonb_strip_nulls(after) - '{public_key,organization_id,id,image}'::text[] END AS said) AS n;
END;
COMMENT ON FUNCTION apikeys_internal.limit_change(jsonb, jsonb) IS
	'Returns what an event tells of a limit that was set, changed or removed; NULL if it is the same.';

-- --- Bodies -----------------------------------------------------------------

CREATE FUNCTION apikeys_internal.set_rate_limit(
	public_key text, requests bigint, per interval, burst bigint, scope text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
BEGIN
	PERFORM apikeys_internal.require_preload();
	PERFORM apikeys_internal.check_managed(public_key);
	PERFORM apikeys_internal.check_rate(requests, per, burst);
	IF NOT apikeys_internal.are_permissions(ARRAY[scope]) AND scope IS NOT NULL THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'invalid pattern of scopes',
			DETAIL = 'A pattern is 1 to 256 letters, digits and characters of _.:/-*, and contains no private key.',
			CONSTRAINT = 'invalid_scope';
	END IF;
	RETURN apikeys_internal.put_key_limit(before, 'rate', scope, requests,
		CASE WHEN requests IS NOT NULL THEN per END,
		CASE WHEN requests IS NOT NULL THEN coalesce(burst, requests) END, NULL, 'key.rate_limit_changed');
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_rate_limit(text, bigint, interval, bigint, text) IS 'Body of apikeys.set_rate_limit.';

CREATE FUNCTION apikeys_internal.set_organization_rate_limit(
	organization uuid, requests bigint, per interval, burst bigint, each_key boolean) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	PERFORM apikeys_internal.lock_organization(organization);
	PERFORM apikeys_internal.require_preload();
	PERFORM apikeys_internal.check_rate(requests, per, burst);
	IF each_key IS NULL THEN
		RAISE null_value_not_allowed USING
			MESSAGE = 'each_key must not be null', CONSTRAINT = 'null_argument';
	END IF;
	RETURN apikeys_internal.put_organization_limit(organization,
		CASE WHEN each_key THEN 'each_key' ELSE 'rate' END, requests,
		CASE WHEN requests IS NOT NULL THEN per END,
		CASE WHEN requests IS NOT NULL THEN coalesce(burst, requests) END, NULL, 'organization.rate_limit_changed');
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_organization_rate_limit(uuid, bigint, interval, bigint, boolean) IS 'Body of apikeys.set_organization_rate_limit.';

CREATE FUNCTION apikeys_internal.set_quota(public_key text, amount bigint, period text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
BEGIN
	PERFORM apikeys_internal.require_preload();
	PERFORM apikeys_internal.check_managed(public_key);
	PERFORM apikeys_internal.check_quota(amount, period);
	RETURN apikeys_internal.put_key_limit(before, period, NULL, NULL, NULL, NULL, amount, 'key.quota_changed');
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_quota(text, bigint, text) IS 'Body of apikeys.set_quota.';

CREATE FUNCTION apikeys_internal.set_organization_quota(organization uuid, amount bigint, period text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	PERFORM apikeys_internal.lock_organization(organization);
	PERFORM apikeys_internal.require_preload();
	PERFORM apikeys_internal.check_quota(amount, period);
	RETURN apikeys_internal.put_organization_limit(organization, period, NULL, NULL, NULL, amount, 'organization.quota_changed');
END;
$$;
COMMENT ON FUNCTION apikeys_internal.set_organization_quota(uuid, bigint, text) IS 'Body of apikeys.set_organization_quota.';

CREATE FUNCTION apikeys_internal.add_credits(public_key text, amount bigint) RETURNS bigint
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
	granted bigint;
BEGIN
	PERFORM apikeys_internal.require_preload();
	PERFORM apikeys_internal.check_managed(public_key);
	IF amount < 1 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'amount must be at least 1', CONSTRAINT = 'invalid_amount';
	END IF;
	SELECT l.amount INTO granted FROM apikeys.key_limit AS l
		WHERE l.public_key = before.public_key AND l.kind = 'ever';
	IF granted IS NULL THEN
		RAISE object_not_in_prerequisite_state USING
			MESSAGE = format('key "%s" has no credits', before.public_key),
			DETAIL = 'What it does is not limited by credits.',
			HINT = 'apikeys.set_quota with period => ''ever'' limits it.',
			CONSTRAINT = 'no_credits';
	ELSIF amount > 9223372036854775807 - granted THEN
		RAISE numeric_value_out_of_range USING
			MESSAGE = 'a key cannot have so many credits', CONSTRAINT = 'invalid_amount';
	END IF;
	PERFORM apikeys_internal.put_key_limit(before, 'ever', NULL, NULL, NULL, NULL, granted + amount, 'key.credits_added');
	RETURN (SELECT l.remaining FROM apikeys_internal.key_limits(before.public_key) AS l WHERE l.limit_name = 'credits');
END;
$$;
COMMENT ON FUNCTION apikeys_internal.add_credits(text, bigint) IS 'Body of apikeys.add_credits.';

-- What was spent is known by the limits_id: under another one nothing was.
CREATE FUNCTION apikeys_internal.reset_limits(public_key text) RETURNS boolean
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	before constant apikeys.key := apikeys_internal.lock_key(public_key);
	new_id constant uuid := gen_random_uuid();
BEGIN
	PERFORM apikeys_internal.require_preload();
	PERFORM apikeys_internal.check_managed(public_key);
	UPDATE apikeys.key AS k SET limits_id = new_id WHERE k.public_key = before.public_key;
	PERFORM apikeys_internal.note_new_limits(new_id);
	PERFORM apikeys_internal.make_images(ARRAY[before.public_key]);
	PERFORM apikeys_internal.note_event('key.limits_reset', before.organization_id, NULL, before.public_key, '{}');
	RETURN true;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.reset_limits(text) IS 'Body of apikeys.reset_limits.';

-- --- What was spent ---------------------------------------------------------

CREATE FUNCTION apikeys_internal.key_limits(public_key text,
		OUT limit_name text, OUT requests bigint, OUT per interval, OUT burst bigint, OUT amount bigint,
		OUT used bigint, OUT remaining bigint, OUT reset_after interval)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 2 AS 'MODULE_PATHNAME', 'apikeys_key_limits';
COMMENT ON FUNCTION apikeys_internal.key_limits(text) IS
	'Returns the limits of a key, with the default of its organization where that is for it, and what is left of each. Only of a key that the principal reads.';

CREATE FUNCTION apikeys_internal.organization_limits(organization uuid,
		OUT limit_name text, OUT requests bigint, OUT per interval, OUT burst bigint, OUT amount bigint,
		OUT used bigint, OUT remaining bigint, OUT reset_after interval)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED ROWS 2 AS 'MODULE_PATHNAME', 'apikeys_organization_limits';
COMMENT ON FUNCTION apikeys_internal.organization_limits(uuid) IS
	'Returns the limits of all keys of an organization together, and what is left of each. Only of an organization that the principal reads.';

-- Called by the workers of standbys.
CREATE FUNCTION apikeys.merge_quota_usage(instance uuid, batch bigint, subjects uuid[], periods text[], starts_at timestamptz[], counts bigint[]) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_merge_quota_usage';
COMMENT ON FUNCTION apikeys.merge_quota_usage(uuid, bigint, uuid[], text[], timestamptz[], bigint[]) IS
	'Adds what a standby has counted of quotas to the table, once, and returns whether it was not there yet. For the role of apikeys.usage_primary_conninfo; EXECUTE is not part of any access.';
