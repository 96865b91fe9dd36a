-- What doc/reference.md tells of the catalog, one thing a line: its kind, its
-- name and the cells of its row.  See reference.pl.
SET search_path = pg_catalog;
\pset format unaligned
\pset tuples_only on
\pset fieldsep '\t'

-- Functions, except the variants that take a text for an address or a list.
WITH granted AS (
	SELECT p.oid, string_agg(a.access, ', ' ORDER BY a.place) AS accesses
	FROM unnest('{decide,manage,impersonate,monitor}'::text[]) WITH ORDINALITY AS a (access, place)
		CROSS JOIN LATERAL apikeys_internal.access_privileges(a.access) AS privilege
		JOIN pg_proc AS p ON p.oid = to_regprocedure(substring(privilege FROM '^EXECUTE ON FUNCTION (.*)$'))
	GROUP BY p.oid
)
SELECT 'function', p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
	CASE WHEN EXISTS (SELECT FROM aclexplode(p.proacl) AS a WHERE a.grantee = 0) THEN 'every role'
		ELSE coalesce(g.accesses, 'no access') END,
	obj_description(p.oid, 'pg_proc')
FROM pg_proc AS p LEFT JOIN granted AS g ON g.oid = p.oid
WHERE p.pronamespace = 'apikeys'::regnamespace AND coalesce(obj_description(p.oid, 'pg_proc'), '') NOT LIKE 'The same as %'
ORDER BY p.proname, p.oid;

SELECT 'operator', format('%s %s %s', o.oprleft::regtype, o.oprname, o.oprright::regtype), obj_description(o.oid, 'pg_operator')
FROM pg_operator AS o WHERE o.oprnamespace = 'apikeys'::regnamespace
ORDER BY o.oprname, o.oid;

SELECT 'type', t.typname, obj_description(t.oid, 'pg_type')
FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE t.typnamespace = 'apikeys'::regnamespace AND t.typelem = 0 AND coalesce(c.relkind = 'c', true)
ORDER BY t.typname;

SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, c.relname, obj_description(c.oid, 'pg_class')
FROM pg_class AS c WHERE c.relnamespace = 'apikeys'::regnamespace AND c.relkind IN ('r', 'v')
ORDER BY c.relname;

SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'apikeys'::regnamespace AND c.relkind IN ('r', 'v', 'c')
ORDER BY c.relname, a.attnum;

SELECT 'setting', s.name, s.boot_val, s.unit,
	CASE s.context WHEN 'postmaster' THEN 'restart' WHEN 'sighup' THEN 'reload' ELSE s.context END,
	concat_ws(' ', s.short_desc, s.extra_desc)
FROM pg_settings AS s WHERE s.name LIKE 'apikeys.%'
ORDER BY s.name;

SELECT 'role', r.name, r.level, array_to_string(r.organization_permissions, ', '), array_to_string(r.project_permissions, ', '), r.description
FROM apikeys.role AS r WHERE r.is_builtin
ORDER BY r.level, r.name;
