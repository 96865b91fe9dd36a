-- The extension's catalog, as a reader of psql's \d commands sees it: every object
-- has a comment that is a sentence, and every argument a name.  Prints what is
-- found, then "ok" or "not ok" for each check.
SET search_path = pg_catalog;
\pset format unaligned
\pset tuples_only on

CREATE TEMPORARY VIEW member AS
SELECT d.classid, d.objid
FROM pg_depend AS d
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'apikeys');

-- All that can have a comment, with the one it has.
CREATE TEMPORARY VIEW described AS
WITH relation AS (
	SELECT oid, relkind FROM pg_class
	WHERE relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace)
), part AS (
	-- The types of arrays and of rows come with others.
	SELECT m.classid, m.objid, 0 AS objsubid FROM member AS m
	WHERE NOT (m.classid = 'pg_type'::regclass AND EXISTS (
		SELECT FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
		WHERE t.oid = m.objid AND (t.typelem <> 0 OR c.relkind <> 'c')))
	UNION ALL
	SELECT 'pg_class'::regclass, r.oid, a.attnum FROM relation AS r
		JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE r.relkind IN ('r', 'v', 'c')
	UNION ALL
	SELECT 'pg_policy'::regclass, p.oid, 0 FROM relation AS r JOIN pg_policy AS p ON p.polrelid = r.oid
	UNION ALL
	SELECT 'pg_trigger'::regclass, t.oid, 0 FROM relation AS r
		JOIN pg_trigger AS t ON t.tgrelid = r.oid AND NOT t.tgisinternal
	UNION ALL
	SELECT 'pg_class'::regclass, r.oid, 0 FROM relation AS r JOIN pg_index AS i ON i.indexrelid = r.oid
	WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = r.oid)
	UNION ALL
	SELECT 'pg_extension'::regclass, oid, 0 FROM pg_extension WHERE extname = 'apikeys'
)
SELECT pg_describe_object(p.classid, p.objid, p.objsubid) AS object, p.classid::regclass AS catalog, d.description
FROM part AS p LEFT JOIN pg_description AS d
	ON d.classoid = p.classid AND d.objoid = p.objid AND d.objsubid = p.objsubid;

CREATE TEMPORARY TABLE finding AS
SELECT 1 AS place, object FROM described
WHERE description IS NULL
UNION ALL
-- Those of operators and extensions are none in PostgreSQL either.
SELECT 2, object FROM described
WHERE catalog NOT IN ('pg_operator'::regclass, 'pg_extension'::regclass) AND description !~ '\.$'
UNION ALL
SELECT 3, p.oid::regprocedure::text
FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
WHERE p.pronargs > 0 AND (p.proargnames IS NULL OR '' = ANY (p.proargnames));

SELECT concat_ws(E'\n', string_agg(f.object, E'\n' ORDER BY f.object),
	CASE WHEN count(f.object) = 0 THEN 'ok' ELSE 'not ok' END || ' - ' || c.title)
FROM (VALUES (1, 'every object has a comment'), (2, 'every comment is a sentence'), (3, 'every argument has a name')) AS c (place, title)
	LEFT JOIN finding AS f ON f.place = c.place
GROUP BY c.place, c.title
ORDER BY c.place;
