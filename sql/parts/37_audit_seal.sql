-- Seals of the audit log, which prove that it is unchanged.  C writes these tables,
-- and reads by column number.

CREATE TABLE apikeys.audit_seal (
	id bigint PRIMARY KEY,
	last_event bigint NOT NULL,
	event_count bigint NOT NULL,
	sealed_at timestamptz NOT NULL,
	hash bytea NOT NULL
);
COMMENT ON TABLE apikeys.audit_seal IS
	'Seals of the audit log: each is a hash over the previous seal and the events since. Internal.';
COMMENT ON COLUMN apikeys.audit_seal.id IS 'Number of the seal, without gaps.';
COMMENT ON COLUMN apikeys.audit_seal.last_event IS 'The last event that it covers; its first one follows the last of the previous seal.';
COMMENT ON COLUMN apikeys.audit_seal.event_count IS 'Number of events that it covers.';
COMMENT ON COLUMN apikeys.audit_seal.sealed_at IS 'Time of sealing.';
COMMENT ON COLUMN apikeys.audit_seal.hash IS 'The hash, of 32 bytes.';

-- Comes before audit_event and audit_seal in the order of names, in which
-- pg_dump takes them: so nothing can be sealed between a restore of the
-- events and one of the seals.
CREATE TABLE apikeys.audit_chain (
	is_only boolean PRIMARY KEY DEFAULT true,
	last_seal bigint NOT NULL,
	pruned_seal bigint,
	pruned_by bigint,
	CONSTRAINT audit_chain_is_only_check CHECK (is_only)
);
COMMENT ON TABLE apikeys.audit_chain IS
	'The first and the last seal of the chain, in one row, so that seals deleted from either end are noticed. Internal.';
COMMENT ON COLUMN apikeys.audit_chain.is_only IS 'Always true, so that the table has at most one row.';
COMMENT ON COLUMN apikeys.audit_chain.last_seal IS 'The last seal.';
COMMENT ON COLUMN apikeys.audit_chain.pruned_seal IS 'The last pruned seal: it still exists, its events do not; NULL if nothing was pruned.';
COMMENT ON COLUMN apikeys.audit_chain.pruned_by IS 'The event that records the pruning.';

CREATE FUNCTION apikeys.seal_audit() RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_seal_audit';
COMMENT ON FUNCTION apikeys.seal_audit() IS
	'Seals the committed events, up to the first one whose transaction is still in progress, and returns how many. The background worker does this regularly. EXECUTE is not granted to PUBLIC.';

CREATE FUNCTION apikeys.verify_audit(
		seal bigint DEFAULT NULL, hash text DEFAULT NULL,
		OUT intact boolean, OUT seals bigint, OUT events bigint, OUT sealed_to bigint, OUT sealed_at timestamptz,
		OUT unsealed bigint, OUT last_seal bigint, OUT last_hash text, OUT problem text)
	RETURNS record
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_verify_audit';
COMMENT ON FUNCTION apikeys.verify_audit(bigint, text) IS
	'Checks whether all sealed events and all seals are unchanged and whether the given seal has this hash. Returns the number of intact events and seals, the last of them (keep it elsewhere), the number of unsealed events, and the first problem. EXECUTE is not granted to PUBLIC.';

CREATE FUNCTION apikeys.prune_audit(before timestamptz) RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_prune_audit';
COMMENT ON FUNCTION apikeys.prune_audit(timestamptz) IS
	'Deletes sealed events that are older, seal by seal, and returns how many. An event records the pruning, and the rest still verifies. EXECUTE is not granted to PUBLIC.';

-- Asked once, with the snapshot of the query.
CREATE FUNCTION apikeys_internal.first_unsettled_event(after bigint) RETURNS bigint
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_first_unsettled_event';
COMMENT ON FUNCTION apikeys_internal.first_unsettled_event(bigint) IS
	'Returns the number of the first event after the given one, below which no event can appear any more; the greatest number if there is none.';

CREATE FUNCTION apikeys_internal.event_limit(most integer) RETURNS integer
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF most < 0 THEN
		RAISE invalid_parameter_value USING
			MESSAGE = 'most must not be negative', HINT = 'NULL means all.', CONSTRAINT = 'invalid_limit';
	END IF;
	RETURN most;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.event_limit(integer) IS
	'Returns a number of events; raises 22023 if it is negative.';

CREATE FUNCTION apikeys.audit_events_after(id bigint, most integer DEFAULT 1000) RETURNS SETOF apikeys.audit_event
	LANGUAGE sql STABLE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT e.* FROM ONLY apikeys.audit_event AS e
	WHERE e.id > coalesce(audit_events_after.id, 0)
		AND e.id < (SELECT apikeys_internal.first_unsettled_event(coalesce(audit_events_after.id, 0)))
	ORDER BY e.id LIMIT apikeys_internal.event_limit(most);
END;
COMMENT ON FUNCTION apikeys.audit_events_after(bigint, integer) IS
	'Returns the events visible to the caller that follow the one with this id (0 or NULL: all), in the order of their ids, as many as most (NULL: all): only those before which no other can appear any more, so that a copy that asks for what follows the last one misses none.';
