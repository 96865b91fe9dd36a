-- Metadata is found by what it contains.  PostgreSQL's own operator is not marked
-- LEAKPROOF, so that under row-level security no index could be asked with it.  This
-- one raises no error that depends on what is stored.  The planner would estimate with
-- a leakproof operator from the values of hidden rows, in any table: so its estimates
-- are constants, and it is granted with access manage, and not to PUBLIC.

CREATE FUNCTION apikeys_internal.metadata_contains(metadata jsonb, part jsonb) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_metadata_contains';
COMMENT ON FUNCTION apikeys_internal.metadata_contains(jsonb, jsonb) IS
	'Checks whether the metadata contains the other value, as PostgreSQL''s operator @> does; never one that is deeper than metadata can be.';

CREATE OPERATOR apikeys.@> (
	LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = apikeys_internal.metadata_contains,
	RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR apikeys.@> (jsonb, jsonb) IS
	'Checks whether metadata contains the other value; uses an index under row-level security. Access manage.';

CREATE OPERATOR CLASS apikeys_internal.metadata_ops FOR TYPE jsonb USING gin AS
	OPERATOR 7 apikeys.@> (jsonb, jsonb),
	FUNCTION 1 pg_catalog.btint4cmp(integer, integer),
	FUNCTION 2 pg_catalog.gin_extract_jsonb_path(jsonb, internal, internal),
	FUNCTION 3 pg_catalog.gin_extract_jsonb_query_path(jsonb, internal, smallint, internal, internal, internal, internal),
	FUNCTION 4 pg_catalog.gin_consistent_jsonb_path(internal, smallint, jsonb, integer, internal, internal, internal, internal),
	FUNCTION 6 pg_catalog.gin_triconsistent_jsonb_path(internal, smallint, jsonb, integer, internal, internal, internal),
	STORAGE integer;
COMMENT ON OPERATOR CLASS apikeys_internal.metadata_ops USING gin IS
	'As jsonb_path_ops, for the operator of schema apikeys.';
COMMENT ON OPERATOR FAMILY apikeys_internal.metadata_ops USING gin IS
	'As jsonb_path_ops, for the operator of schema apikeys.';

CREATE FUNCTION apikeys_internal.gin_extract_uuid(value uuid, count internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_gin_extract_uuid';
CREATE FUNCTION apikeys_internal.gin_extract_uuid(
	query uuid, count internal, strategy smallint, partial internal, extra internal, nulls internal, mode internal) RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_gin_extract_uuid';
CREATE FUNCTION apikeys_internal.gin_consistent_uuid(
	found internal, strategy smallint, query uuid, count integer, extra internal, recheck internal, keys internal,
	nulls internal) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_gin_consistent_uuid';
COMMENT ON FUNCTION apikeys_internal.gin_extract_uuid(uuid, internal) IS 'Support function of organization_ops: the key of a value.';
COMMENT ON FUNCTION apikeys_internal.gin_extract_uuid(uuid, internal, smallint, internal, internal, internal, internal) IS
	'Support function of organization_ops: the key of a query.';
COMMENT ON FUNCTION apikeys_internal.gin_consistent_uuid(internal, smallint, uuid, integer, internal, internal, internal, internal) IS
	'Support function of organization_ops: whether the key was found.';

CREATE OPERATOR CLASS apikeys_internal.organization_ops FOR TYPE uuid USING gin AS
	OPERATOR 1 pg_catalog.= (uuid, uuid),
	FUNCTION 1 pg_catalog.uuid_cmp(uuid, uuid),
	FUNCTION 2 apikeys_internal.gin_extract_uuid(uuid, internal),
	FUNCTION 3 apikeys_internal.gin_extract_uuid(uuid, internal, smallint, internal, internal, internal, internal),
	FUNCTION 4 apikeys_internal.gin_consistent_uuid(internal, smallint, uuid, integer, internal, internal, internal, internal);
COMMENT ON OPERATOR CLASS apikeys_internal.organization_ops USING gin IS 'Equality of organizations.';
COMMENT ON OPERATOR FAMILY apikeys_internal.organization_ops USING gin IS 'Equality of organizations.';
