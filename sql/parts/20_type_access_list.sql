-- apikeys.access_list: a set of networks, IPv4 and IPv6, in one value.

CREATE TYPE apikeys.access_list;

CREATE FUNCTION apikeys_internal.access_list_in(text_form cstring) RETURNS apikeys.access_list
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_in';
COMMENT ON FUNCTION apikeys_internal.access_list_in(cstring) IS
	'Input function of type access_list.';

CREATE FUNCTION apikeys_internal.access_list_out(list apikeys.access_list) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_out';
COMMENT ON FUNCTION apikeys_internal.access_list_out(apikeys.access_list) IS
	'Output function of type access_list.';

CREATE FUNCTION apikeys_internal.access_list_recv(message internal) RETURNS apikeys.access_list
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_recv';
COMMENT ON FUNCTION apikeys_internal.access_list_recv(internal) IS
	'Binary input function of type access_list.';

CREATE FUNCTION apikeys_internal.access_list_send(list apikeys.access_list) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_send';
COMMENT ON FUNCTION apikeys_internal.access_list_send(apikeys.access_list) IS
	'Binary output function of type access_list.';

CREATE TYPE apikeys.access_list (
	INPUT = apikeys_internal.access_list_in,
	OUTPUT = apikeys_internal.access_list_out,
	RECEIVE = apikeys_internal.access_list_recv,
	SEND = apikeys_internal.access_list_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = external
);
COMMENT ON TYPE apikeys.access_list IS
	'A set of networks, IPv4 and IPv6 together, for example {10.0.0.0/8,2001:db8::/32}; always sorted and without duplicates. An IPv4-mapped IPv6 network is stored as the IPv4 network.';

-- What = and <> compare, and cardinality counts.  If they took an access_list, to
-- which text[] has an implicit cast, then no text[] could be compared or counted
-- where apikeys is in the search_path: those of arrays would not be the only ones.
CREATE TYPE apikeys.compared_list;

CREATE FUNCTION apikeys_internal.compared_list_in(text_form cstring) RETURNS apikeys.compared_list
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_in';
COMMENT ON FUNCTION apikeys_internal.compared_list_in(cstring) IS
	'Input function of type compared_list.';

CREATE FUNCTION apikeys_internal.compared_list_out(list apikeys.compared_list) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_out';
COMMENT ON FUNCTION apikeys_internal.compared_list_out(apikeys.compared_list) IS
	'Output function of type compared_list.';

CREATE TYPE apikeys.compared_list (
	INPUT = apikeys_internal.compared_list_in,
	OUTPUT = apikeys_internal.compared_list_out,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = external
);
COMMENT ON TYPE apikeys.compared_list IS
	'An access list as operand of = and <>, and for cardinality; every access_list is one, and no array is.';
CREATE CAST (apikeys.access_list AS apikeys.compared_list) WITHOUT FUNCTION AS IMPLICIT;
COMMENT ON CAST (apikeys.access_list AS apikeys.compared_list) IS
	'Access lists are compared as what they are.';

CREATE FUNCTION apikeys_internal.access_list_contains(list apikeys.access_list, address inet) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_contains';
COMMENT ON FUNCTION apikeys_internal.access_list_contains(apikeys.access_list, inet) IS
	'Function of operator @>: checks whether a network of the list contains the given address or network.';

CREATE FUNCTION apikeys_internal.access_list_contained(address inet, list apikeys.access_list) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_contained';
COMMENT ON FUNCTION apikeys_internal.access_list_contained(inet, apikeys.access_list) IS
	'Function of operator <@: checks whether the given address or network is within a network of the list.';

CREATE FUNCTION apikeys_internal.access_list_add(list apikeys.access_list, network cidr) RETURNS apikeys.access_list
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_add';
COMMENT ON FUNCTION apikeys_internal.access_list_add(apikeys.access_list, cidr) IS
	'Function of operator +: the list with the network added.';

CREATE FUNCTION apikeys_internal.access_list_remove(list apikeys.access_list, network cidr) RETURNS apikeys.access_list
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_remove';
COMMENT ON FUNCTION apikeys_internal.access_list_remove(apikeys.access_list, cidr) IS
	'Function of operator -: the list without this entry; other entries that contain it, or are within it, stay.';

CREATE FUNCTION apikeys_internal.access_list_without(list apikeys.access_list, other apikeys.access_list) RETURNS apikeys.access_list
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_without';
COMMENT ON FUNCTION apikeys_internal.access_list_without(apikeys.access_list, apikeys.access_list) IS
	'Returns the entries of a list that the other list lacks.';

CREATE FUNCTION apikeys_internal.access_list_eq(list apikeys.compared_list, other apikeys.compared_list) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_eq';
COMMENT ON FUNCTION apikeys_internal.access_list_eq(apikeys.compared_list, apikeys.compared_list) IS
	'Function of operator =: checks whether both lists have the same entries.';

CREATE FUNCTION apikeys_internal.access_list_ne(list apikeys.compared_list, other apikeys.compared_list) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_ne';
COMMENT ON FUNCTION apikeys_internal.access_list_ne(apikeys.compared_list, apikeys.compared_list) IS
	'Function of operator <>: checks whether the lists differ in an entry.';

CREATE FUNCTION apikeys_internal.access_list_hash(list apikeys.compared_list) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_hash';
COMMENT ON FUNCTION apikeys_internal.access_list_hash(apikeys.compared_list) IS
	'Hash function of type access_list.';

CREATE FUNCTION apikeys_internal.access_list_hash_extended(list apikeys.compared_list, seed bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list_hash_extended';
COMMENT ON FUNCTION apikeys_internal.access_list_hash_extended(apikeys.compared_list, bigint) IS
	'Seeded hash function of type access_list.';

CREATE OPERATOR apikeys.@> (
	LEFTARG = apikeys.access_list, RIGHTARG = inet, FUNCTION = apikeys_internal.access_list_contains,
	COMMUTATOR = OPERATOR(apikeys.<@), RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR apikeys.@> (apikeys.access_list, inet) IS
	'a network of the list contains the address or network';

CREATE OPERATOR apikeys.<@ (
	LEFTARG = inet, RIGHTARG = apikeys.access_list, FUNCTION = apikeys_internal.access_list_contained,
	COMMUTATOR = OPERATOR(apikeys.@>), RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR apikeys.<@ (inet, apikeys.access_list) IS
	'the address or network is within a network of the list';

CREATE OPERATOR apikeys.+ (
	LEFTARG = apikeys.access_list, RIGHTARG = cidr, FUNCTION = apikeys_internal.access_list_add
);
COMMENT ON OPERATOR apikeys.+ (apikeys.access_list, cidr) IS
	'add a network';

CREATE OPERATOR apikeys.- (
	LEFTARG = apikeys.access_list, RIGHTARG = cidr, FUNCTION = apikeys_internal.access_list_remove
);
COMMENT ON OPERATOR apikeys.- (apikeys.access_list, cidr) IS
	'remove an entry';

CREATE OPERATOR apikeys.= (
	LEFTARG = apikeys.compared_list, RIGHTARG = apikeys.compared_list, FUNCTION = apikeys_internal.access_list_eq,
	COMMUTATOR = OPERATOR(apikeys.=), NEGATOR = OPERATOR(apikeys.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES
);
COMMENT ON OPERATOR apikeys.= (apikeys.compared_list, apikeys.compared_list) IS
	'same entries';

CREATE OPERATOR apikeys.<> (
	LEFTARG = apikeys.compared_list, RIGHTARG = apikeys.compared_list, FUNCTION = apikeys_internal.access_list_ne,
	COMMUTATOR = OPERATOR(apikeys.<>), NEGATOR = OPERATOR(apikeys.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR apikeys.<> (apikeys.compared_list, apikeys.compared_list) IS
	'not the same entries';

CREATE OPERATOR CLASS apikeys.access_list_hash_ops DEFAULT FOR TYPE apikeys.compared_list USING hash AS
	OPERATOR 1 apikeys.=,
	FUNCTION 1 apikeys_internal.access_list_hash(apikeys.compared_list),
	FUNCTION 2 apikeys_internal.access_list_hash_extended(apikeys.compared_list, bigint);
COMMENT ON OPERATOR CLASS apikeys.access_list_hash_ops USING hash IS
	'Hashing of access lists, for GROUP BY, DISTINCT and joins.';
COMMENT ON OPERATOR FAMILY apikeys.access_list_hash_ops USING hash IS
	'Hashing of access lists, for GROUP BY, DISTINCT and joins.';

CREATE FUNCTION apikeys.access_list(networks cidr[]) RETURNS apikeys.access_list
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_access_list';
COMMENT ON FUNCTION apikeys.access_list(cidr[]) IS
	'Returns the access list of the networks in an array.';

CREATE FUNCTION apikeys_internal.networks_array(list apikeys.access_list) RETURNS cidr[]
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_networks_array';
COMMENT ON FUNCTION apikeys_internal.networks_array(apikeys.access_list) IS
	'Returns the networks of an access list as an array, in their order.';

CREATE CAST (cidr[] AS apikeys.access_list) WITH FUNCTION apikeys.access_list(cidr[]) AS ASSIGNMENT;
COMMENT ON CAST (cidr[] AS apikeys.access_list) IS
	'An array of networks can be stored in a column of access lists.';

CREATE CAST (apikeys.access_list AS cidr[]) WITH FUNCTION apikeys_internal.networks_array(apikeys.access_list) AS ASSIGNMENT;
COMMENT ON CAST (apikeys.access_list AS cidr[]) IS
	'An access list can be stored in a column of networks.';

CREATE FUNCTION apikeys.networks(list apikeys.access_list) RETURNS SETOF cidr
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'apikeys_networks';
COMMENT ON FUNCTION apikeys.networks(apikeys.access_list) IS
	'Returns the networks of an access list, one per row, in their order.';

CREATE FUNCTION apikeys.matching_network(list apikeys.access_list, address inet) RETURNS cidr
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_matching_network';
COMMENT ON FUNCTION apikeys.matching_network(apikeys.access_list, inet) IS
	'Returns the most specific network of the list that contains the address, or NULL.';

CREATE FUNCTION apikeys.cardinality(list apikeys.compared_list) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_cardinality';
COMMENT ON FUNCTION apikeys.cardinality(apikeys.compared_list) IS
	'Returns the number of networks in the list.';

CREATE FUNCTION apikeys_internal.is_access_list(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_access_list';
COMMENT ON FUNCTION apikeys_internal.is_access_list(text) IS
	'Checks whether a text is valid input of type access_list.';

-- As JSON it is an array, so that to_json and to_jsonb make one of it.
CREATE FUNCTION apikeys_internal.access_list_json(list apikeys.access_list) RETURNS json
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN pg_catalog.to_json(list::cidr[]);
COMMENT ON FUNCTION apikeys_internal.access_list_json(apikeys.access_list) IS
	'Returns the entries of an access list as a JSON array of strings.';

CREATE FUNCTION apikeys_internal.access_list_jsonb(list apikeys.access_list) RETURNS jsonb
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	RETURN pg_catalog.to_jsonb(list::cidr[]);
COMMENT ON FUNCTION apikeys_internal.access_list_jsonb(apikeys.access_list) IS
	'Returns the entries of an access list as a JSON array of strings.';

CREATE CAST (apikeys.access_list AS json) WITH FUNCTION apikeys_internal.access_list_json(apikeys.access_list);
COMMENT ON CAST (apikeys.access_list AS json) IS 'The entries, as an array of strings.';
CREATE CAST (apikeys.access_list AS jsonb) WITH FUNCTION apikeys_internal.access_list_jsonb(apikeys.access_list);
COMMENT ON CAST (apikeys.access_list AS jsonb) IS 'The entries, as an array of strings.';

-- What drivers send for an array of strings.
CREATE FUNCTION apikeys_internal.access_list_of(networks text[]) RETURNS apikeys.access_list
	LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$
BEGIN
	-- Before what takes long and cannot be cancelled.
	IF pg_catalog.cardinality(networks) OPERATOR(pg_catalog.>) 1000000 THEN
		RAISE program_limit_exceeded USING
			MESSAGE = 'access list has more than 1000000 networks', CONSTRAINT = 'access_list_too_long';
	END IF;
	RETURN pg_catalog.concat('{', pg_catalog.array_to_string(networks, ',', 'NULL'), '}')::apikeys.access_list;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.access_list_of(text[]) IS
	'Returns the access list of networks that are given as text.';
CREATE CAST (text[] AS apikeys.access_list) WITH FUNCTION apikeys_internal.access_list_of(text[]) AS IMPLICIT;
COMMENT ON CAST (text[] AS apikeys.access_list) IS 'The list of these networks.';
