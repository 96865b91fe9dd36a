-- Type access_list: a set of networks, IPv4 and IPv6, in one value.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET search_path = apikeys, public;

-- What a statement raises: SQLSTATE, message, detail and hint.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ': ' || message,
		'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END;
$$;
CREATE FUNCTION pg_temp.attempt_list(list text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.attempt(format('SELECT %L::apikeys.access_list', list));
$$;
\pset format unaligned
\pset tuples_only on
\pset null NULL

-- ------------------------------------------------------------------ text form

-- Canonical: sorted, no duplicates, a bare address with its full prefix.
SELECT '{10.0.0.0/8,203.0.113.7/32,2001:db8::/32}'::access_list;
SELECT '{2001:db8::/32,203.0.113.7,10.0.0.0/8,203.0.113.7/32,10.0.0.0/8}'::access_list;
SELECT '{2001:DB8:0:0:0::1, 2001:db8::/32, 2001:db8::/33, ::1, ::/0, 0.0.0.0/0}'::access_list;
SELECT '{10.0.0.0/9,10.0.0.0/8,10.0.0.0/32,9.255.255.255}'::access_list;
SELECT '{}'::access_list, '  {  }  '::access_list;
-- Blanks and quotes around an entry, as array literals have them.
SELECT E' { 10.0.0.0/8 ,\t"2001:db8::/32"\n, "10.1.0.0/16" } '::access_list;
-- An IPv4 network may be short of zeros, as in a cidr.
SELECT '{10/8,10.1/16,192.168.1/24}'::access_list;
SELECT '{"10.0.0.0/8","::1"}'::access_list;
-- ::ffff:a.b.c.d is a.b.c.d, and the networks in ::ffff:0:0/96 are IPv4's.
SELECT '{::ffff:10.1.2.3,::ffff:10.0.0.0/104,::ffff:c0a8:0/112,::ffff:0:0/96,10.1.2.3}'::access_list;
-- A shorter prefix is an IPv6 network that has them in it.
SELECT '{::/95}'::access_list, '{::/0}'::access_list;
-- The text of a list is a list again, and the same one.
SELECT count(*) AS lists, bool_and(l = l::text::access_list AND l::text = l::text::access_list::text) AS same
FROM (VALUES ('{}'::access_list), ('{0.0.0.0/0}'), ('{::/0}'), ('{255.255.255.255}'),
	('{ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff}'), ('{::ffff:1.2.3.4}'), ('{1.2.3.4,::1,1:2:3:4:5:6:7:8}'),
	('{64:ff9b::/96,1::,::2,1:0:0:2::3,0:1::}')) AS v (l);

-- Bits to the right of the prefix: the entry, and the network meant.
SELECT pg_temp.attempt_list('{10.1.2.3/8}');
SELECT pg_temp.attempt_list('{192.168.0.0/16,10.1.2.3/8}');
SELECT pg_temp.attempt_list('{2001:db8::1/32}');
SELECT pg_temp.attempt_list('{::ffff:10.1.2.3/104}');
SELECT pg_temp.attempt_list('{1.2.3.4/0}');
-- Everything else that is no list; what was given is never quoted.
SELECT list, split_part(pg_temp.attempt_list(list), E'\n', 2) FROM unnest(ARRAY[
	'', ' ', '{', '}', '10.0.0.0/8', '{10.0.0.0/8', '10.0.0.0/8}', '{10.0.0.0/8}x', '{{10.0.0.0/8}}',
	'{,}', '{10.0.0.0/8,}', '{,10.0.0.0/8}', '{10.0.0.0/8 11.0.0.0/8}', '{NULL}', '{""}', '{"10.0.0.0/8}',
	'{10.0.0.0/33}', '{10.0.0.0/-1}', '{10.0.0.0/}', '{10.0.0.0/08}', '{10.0.0.0/8/8}', '{10.0.0.0/255.0.0.0}',
	'{256.0.0.0}', '{1.2.3}', '{10}', '{10/33}', '{10.1/8}', '{" 10.0.0.0/8"}', '{1.2.3.4.5}', '{01.2.3.4}', '{0x7f.0.0.1}', '{2130706433}',
	'{::/129}', '{:::}', '{1::2::3}', '{1:2:3:4:5:6:7}', '{1:2:3:4:5:6:7:8:9}', '{g::}', '{12345::}',
	'{fe80::1%eth0}', '{::1.2.3}', '{localhost}', '{[::1]}']) AS list;
SELECT pg_temp.attempt_list('{ak_sec_0000000000000000000000000000000000000000000000000}');
-- Megabytes of garbage: refused quickly, with a short message.
SELECT pg_temp.attempt_list(repeat('x', 5 * 1024 * 1024));
SELECT pg_temp.attempt_list('{' || repeat('x', 5 * 1024 * 1024) || '}');
SELECT pg_temp.attempt_list('{' || repeat(',', 5 * 1024 * 1024) || '}');
SELECT pg_temp.attempt_list('{10.0.0.0/8,' || repeat(' ', 5 * 1024 * 1024) || '}');
SELECT '{' || repeat(' ', 5 * 1024 * 1024) || '}' = '{}'::access_list::text AS literal,
	('{' || repeat(' ', 5 * 1024 * 1024) || '}')::access_list = '{}' AS list;

-- ------------------------------------------------------------------ operators

\set list '''{10.0.0.0/8,10.1.0.0/16,203.0.113.7,2001:db8::/32,2001:db8:1::/48}''::access_list'
SELECT a AS address, :list @> a AS contains, a <@ :list AS contained, matching_network(:list, a)
FROM unnest('{10.0.0.0,10.1.2.3,10.255.255.255,11.0.0.0,9.255.255.255,203.0.113.7,203.0.113.6,203.0.113.8,0.0.0.0,255.255.255.255,2001:db8::,2001:db8:1::1,2001:db8:2::1,2001:db9::,::,::ffff:10.1.2.3,::ffff:203.0.113.7,::ffff:11.0.0.0,::10.1.2.3}'::inet[]) AS a;
-- A network is in a list when it is wholly in one entry.
SELECT a AS network, :list @> a AS contains, matching_network(:list, a)
FROM unnest('{10.0.0.0/8,10.0.0.0/7,10.1.0.0/15,10.1.0.0/17,10.1.2.3/9,203.0.113.7/32,203.0.113.0/24,0.0.0.0/0,2001:db8::/31,2001:db8:1::/47,2001:db8:1:2::/64,::ffff:10.1.0.0/112}'::inet[]) AS a;
SELECT a AS address, '{}'::access_list @> a AS "empty", '{0.0.0.0/0}'::access_list @> a AS "IPv4", '{::/0}'::access_list @> a AS "IPv6"
FROM unnest('{1.2.3.4,::1,::ffff:1.2.3.4,0.0.0.0/0,::/0}'::inet[]) AS a;
-- Two halves are not put together.
SELECT '{10.0.0.0/9,10.128.0.0/9}'::access_list @> '10.0.0.0/8'::inet;

SELECT '{}'::access_list + '10.0.0.0/8';
SELECT '{10.0.0.0/8}'::access_list + '10.0.0.0/8'::cidr;
SELECT '{10.0.0.0/8}'::access_list + '9.0.0.0/8'::cidr + '::1'::cidr + '10.1.0.0/16';
SELECT '{10.0.0.0/8}'::access_list + '::ffff:1.2.3.4'::cidr;
SELECT '{10.0.0.0/8,10.1.0.0/16,::1}'::access_list - '10.0.0.0/8'::cidr;
SELECT '{10.0.0.0/8}'::access_list - '10.1.0.0/16'::cidr, '{10.0.0.0/8}'::access_list - '10.0.0.0/8', '{}'::access_list - '::1';
SELECT '{1.2.3.4,::1}'::access_list - '::ffff:1.2.3.4'::cidr;
SELECT pg_temp.attempt($$SELECT '{}'::apikeys.access_list OPERATOR(apikeys.+) '10.1.2.3/8'$$);

SELECT '{1.2.3.4,::1}'::access_list = '{::1,1.2.3.4/32}' AS equal, '{1.2.3.4}'::access_list = '{1.2.3.5}' AS other,
	'{1.2.3.4}'::access_list <> '{1.2.3.5}' AS differ, '{}'::access_list <> '{}' AS differ_empty,
	'{0.0.0.0/0}'::access_list = '{::/0}' AS families, '{10.0.0.0/8}'::access_list = '{10.0.0.0/9}' AS prefixes;
-- NULL in, NULL out.
SELECT NULL::access_list @> '::1'::inet, '{}'::access_list @> NULL::inet, NULL::inet <@ '{}'::access_list,
	NULL::access_list + '::1'::cidr, '{}'::access_list - NULL::cidr, NULL::access_list = '{}', '{}'::access_list <> NULL,
	matching_network(NULL, '::1'), matching_network('{}', NULL), cardinality(NULL::access_list);
SELECT count(*) FROM networks(NULL);

-- --------------------------------------------------------- arrays and sets

SELECT '{10.0.0.0/8,::1}'::cidr[]::access_list, ARRAY['10.0.0.0/8', '9.0.0.0/8', '10.0.0.0/8']::cidr[]::access_list, '{}'::cidr[]::access_list;
SELECT '{10.0.0.0/8,::1,9.0.0.0/8}'::access_list::cidr[], '{}'::access_list::cidr[];
SELECT '{{10.0.0.0/8,::1},{9.0.0.0/8,1.2.3.4}}'::cidr[]::access_list;
SELECT pg_temp.attempt('SELECT ARRAY[''10.0.0.0/8'', NULL]::cidr[]::apikeys.access_list');
-- With the schema in the search path, arrays of networks are still arrays.
SELECT cardinality('{10.0.0.0/8,10.0.0.0/8}'::cidr[]), '{10.0.0.0/8}'::cidr[] = '{10.0.0.0/8,10.0.0.0/8}'::cidr[] AS equal,
	'{10.0.0.0/8}'::cidr[] <> '{::1}'::cidr[] AS differ;
-- Each can be stored in a column of the other.
CREATE TEMPORARY TABLE arrays (a cidr[]);
INSERT INTO arrays SELECT '{10.0.0.0/8,::1}'::access_list;
SELECT a, a::access_list FROM arrays;
CREATE TEMPORARY TABLE lists (l access_list);
INSERT INTO lists SELECT a FROM arrays;
SELECT l FROM lists;
SELECT * FROM networks('{2001:db8::/32,10.0.0.0/8,1.2.3.4}') AS network;
SELECT count(*) FROM networks('{}');
SELECT cardinality('{}'::access_list), cardinality('{1.2.3.4,1.2.3.4,::1}'::access_list);

-- --------------------------------------------------------------- binary form

SELECT apikeys_internal.access_list_send('{10.0.0.0/8,::1}');
SELECT apikeys_internal.access_list_send('{}');
SELECT apikeys_internal.access_list_send('{::ffff:1.2.3.4}') = apikeys_internal.access_list_send('{1.2.3.4}') AS mapped;

-- ---------------------------------------------------------- in a table's column

CREATE TEMPORARY TABLE stored (id integer, list access_list);
INSERT INTO stored VALUES (1, NULL), (2, '{}'), (3, '{1.2.3.4}'), (4, '{::1}'), (5, '{::1}'), (6, NULL);
-- 20 entries: a short header; 3,000: stored out of line; 100,000.
INSERT INTO stored SELECT 7, array_agg(('10.0.' || i || '.0/24')::cidr)::access_list FROM generate_series(1, 20) AS i;
INSERT INTO stored SELECT 8, array_agg(set_masklen('10.0.0.0'::inet + i, 32)::cidr)::access_list FROM generate_series(1, 3000) AS i;
INSERT INTO stored SELECT 9, array_agg(set_masklen(CASE WHEN i % 2 = 0 THEN '10.0.0.0'::inet + i ELSE '2001:db8::'::inet + i END,
	CASE WHEN i % 2 = 0 THEN 32 ELSE 128 END)::cidr)::access_list FROM generate_series(1, 100000) AS i;
INSERT INTO stored SELECT 10, l::text::access_list FROM (SELECT list FROM stored WHERE id = 9) AS s (l);
SELECT id, cardinality(list), pg_column_size(list) > 2000 AS big FROM stored ORDER BY id;
SELECT id, list @> '10.0.0.4'::inet AS "10.0.0.4", matching_network(list, '2001:db8::1:1'), list = (SELECT list FROM stored WHERE id = 9) AS is_last FROM stored WHERE id > 6 ORDER BY id;
SELECT pg_relation_size(reltoastrelid) > 0 AS out_of_line FROM pg_class WHERE oid = 'stored'::regclass;
UPDATE stored SET list = list + '10.0.5.0/24'::cidr - '10.0.0.4/32'::cidr WHERE id > 6;
SELECT id, cardinality(list), list @> '10.0.0.4'::inet AS "10.0.0.4", list @> '10.0.5.9'::inet AS "10.0.5.9" FROM stored WHERE id > 6 ORDER BY id;
SELECT count(*), count(DISTINCT n) FROM stored, networks(list) AS n WHERE id = 9;
SELECT cardinality(list::cidr[]) FROM stored WHERE id = 9;
-- Arrays of text are lists where one is expected, and are compared as arrays.
SELECT ARRAY['a'] = ARRAY['a'] AS arrays, ARRAY['a'] = '{a}' AS "array and literal", ARRAY['a'::varchar] <> '{b}' AS varchars,
	ARRAY['10.0.0.0/8']::cidr[] = '{10.0.0.0/8}' AS networks;
SELECT cardinality(ARRAY['a', 'b']) AS array, cardinality(ARRAY['a'::varchar]) AS varchars, ARRAY['a'] @> '{a}' AS "contains",
	cardinality('{10.0.0.1}'::access_list) AS list;
SELECT '{10.0.0.0/8}'::access_list = '{10.0.0.0/8}' AS literal, '{10.0.0.0/8}' <> '{10.0.0.1}'::access_list AS other,
	'{10.0.0.0/8}'::access_list IN ('{}', '{10.0.0.0/8}') AS "in", '{10.0.0.0/8}'::access_list IS DISTINCT FROM NULL AS "distinct",
	ARRAY['{}'::access_list] = ARRAY['{}'::access_list] AS "arrays of lists";
-- Grouped, made distinct, joined by hash.
SELECT count(DISTINCT list::text), count(*) FROM (SELECT DISTINCT list FROM stored) AS s;
SELECT left(list::text, 20), count(*) FROM stored GROUP BY list HAVING count(*) > 1 ORDER BY 1 NULLS LAST;
SET enable_nestloop = off;
SET enable_mergejoin = off;
SELECT count(*) FROM stored AS a JOIN stored AS b USING (list);
SELECT count(*) FROM stored WHERE list IN (SELECT list FROM stored WHERE id < 5);
RESET enable_nestloop;
RESET enable_mergejoin;
CREATE INDEX ON stored USING hash (list);
SELECT count(*) FROM stored WHERE list = '{::1}';
-- There is no order on lists.
SELECT pg_temp.attempt('SELECT list FROM stored ORDER BY list');

-- --------------------------------------------------------------------- limits

SELECT cardinality(list) FROM (SELECT ('{' || string_agg(host('0.0.0.0'::inet + i), ',') || '}')::access_list FROM generate_series(1, 1000000) AS i) AS s (list);
SELECT pg_temp.attempt_list('{' || string_agg(host('0.0.0.0'::inet + i), ',') || '}') FROM generate_series(1, 1000001) AS i;
SELECT pg_temp.attempt($$SELECT array_agg(('0.0.0.0'::inet + i)::cidr)::apikeys.access_list FROM generate_series(1, 1000001) AS i$$);
SELECT pg_temp.attempt($$SELECT array_agg(('0.0.0.0'::inet + i)::cidr)::apikeys.access_list OPERATOR(apikeys.+) '::1' FROM generate_series(1, 1000000) AS i$$);
SELECT pg_temp.attempt($$SELECT array_agg(('0.0.0.0'::inet + i)::cidr)::apikeys.access_list OPERATOR(apikeys.+) '0.0.0.9' FROM generate_series(1, 1000000) AS i$$);

-- ------------------------------------------------ compared with inet and cidr

-- 100,000 random lists of 0 to 6 networks, each asked about an address, or a
-- network, that is near to them.
DO 'BEGIN PERFORM setseed(0.25); END';
CREATE FUNCTION pg_temp.random_address(family integer) RETURNS inet VOLATILE LANGUAGE sql AS $$
	SELECT CASE family
		WHEN 0 THEN '10.0.0.0'::inet + floor(random() * 1024)::bigint
		WHEN 1 THEN '0.0.0.0'::inet + floor(random() * 4294967296)::bigint
		WHEN 2 THEN '2001:db8::'::inet + floor(random() * 1024)::bigint
		ELSE format('%s:db8:%s::', to_hex(8192 + floor(random() * 4)::integer), to_hex(floor(random() * 16)::integer))::inet
	END;
$$;
CREATE FUNCTION pg_temp.random_prefix(family integer) RETURNS integer VOLATILE LANGUAGE sql AS $$
	SELECT CASE family
		WHEN 0 THEN 22 + floor(random() * 11)::integer
		WHEN 1 THEN floor(random() * 9)::integer
		WHEN 2 THEN 118 + floor(random() * 11)::integer
		ELSE 12 + floor(random() * 40)::integer
	END;
$$;
CREATE TEMPORARY TABLE asked AS
SELECT i, i % 4 AS family,
	ARRAY(SELECT set_masklen(pg_temp.random_address(f), pg_temp.random_prefix(f))::cidr
		FROM (SELECT CASE WHEN random() < 0.7 THEN i % 4 ELSE floor(random() * 4)::integer END AS f
			FROM generate_series(1, i % 7)) AS s) AS networks,
	CASE WHEN i % 5 = 0
		THEN set_masklen(pg_temp.random_address(i % 4), pg_temp.random_prefix(i % 4))
		ELSE pg_temp.random_address(i % 4) END AS address
FROM generate_series(1, 100000) AS i;
CREATE TEMPORARY TABLE answered AS
SELECT a.*,
	EXISTS (SELECT FROM unnest(networks) AS n WHERE address <<= n) AS expected,
	(SELECT n FROM unnest(networks) AS n WHERE address <<= n ORDER BY masklen(n) DESC LIMIT 1) AS expected_network,
	networks::access_list AS list
FROM asked AS a;
SELECT count(*) AS asked,
	count(*) FILTER (WHERE list @> address IS DISTINCT FROM expected) AS "@> differs",
	count(*) FILTER (WHERE address <@ list IS DISTINCT FROM expected) AS "<@ differs",
	count(*) FILTER (WHERE matching_network(list, address) IS DISTINCT FROM expected_network) AS "network differs",
	count(*) FILTER (WHERE expected) > 20000 AS often_true,
	count(*) FILTER (WHERE NOT expected) > 20000 AS often_false,
	count(DISTINCT family) FILTER (WHERE expected) AS families
FROM answered;
-- The same IPv4 address, written as IPv6.
SELECT count(*) > 30000 AS asked,
	count(*) FILTER (WHERE list @> ('::ffff:' || host(address))::inet IS DISTINCT FROM expected) AS differ
FROM answered WHERE family(address) = 4 AND masklen(address) = 32;
-- The list is the set of its networks.
SELECT count(*) FILTER (WHERE list::cidr[] IS DISTINCT FROM ARRAY(SELECT DISTINCT n FROM unnest(networks) AS n ORDER BY n)) AS "array differs",
	count(*) FILTER (WHERE cardinality(list) <> (SELECT count(DISTINCT n) FROM unnest(networks) AS n)) AS "cardinality differs",
	count(*) FILTER (WHERE list::text::access_list <> list) AS "text differs",
	count(*) FILTER (WHERE networks <> '{}' AND list - networks[1] + networks[1] <> list) AS "- + differs"
FROM answered;
-- Far too many are refused before anything is done with them.
\set VERBOSITY terse
SELECT apikeys.cardinality(array_fill('192.0.2.1'::text, '{1000001}')::apikeys.access_list);
SELECT apikeys.cardinality(array_fill('192.0.2.1'::text, '{1000000}')::apikeys.access_list);
