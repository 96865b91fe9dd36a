-- All that an install of the extension brings, as text, one line for each part of
-- each object: definitions, owners, privileges and comments.  Two installs are
-- equal if they print the same.
SET search_path = pg_catalog;
WITH member AS (
	SELECT d.classid, d.objid
	FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'apikeys' AND d.deptype = 'e'
), relation AS (
	SELECT c.*, format('relation %s', c.oid::regclass) AS object
	FROM pg_class AS c
	WHERE c.relnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace)
), acl AS (
	-- In an order that does not depend on when they were granted.
	SELECT v.acl, (SELECT string_agg(item::text, ',' ORDER BY item::text) FROM unnest(v.acl) AS item) AS sorted
	FROM (
		SELECT relacl FROM pg_class UNION SELECT proacl FROM pg_proc UNION SELECT attacl FROM pg_attribute
		UNION SELECT typacl FROM pg_type UNION SELECT nspacl FROM pg_namespace UNION SELECT initprivs FROM pg_init_privs) AS v (acl)
)
SELECT object, part, content FROM (
	SELECT pg_describe_object(classid, objid, 0) AS object, 'comment' AS part,
		obj_description(objid, classid::regclass::text) AS content
	FROM member
	UNION ALL
	SELECT format('function %s', p.oid::regprocedure), v.part, v.content
	FROM member AS m JOIN pg_proc AS p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
		LEFT JOIN acl ON acl.acl = p.proacl
		CROSS JOIN LATERAL (VALUES ('definition', pg_get_functiondef(p.oid)), ('owner', p.proowner::regrole::text), ('acl', acl.sorted)) AS v (part, content)
	UNION ALL
	SELECT r.object, v.part, v.content
	FROM relation AS r LEFT JOIN acl ON acl.acl = r.relacl
		CROSS JOIN LATERAL (VALUES ('kind', r.relkind::text), ('owner', r.relowner::regrole::text), ('acl', acl.sorted),
			('options', r.reloptions::text), ('row security', concat(r.relrowsecurity, r.relforcerowsecurity)),
			('replica identity', r.relreplident::text), ('persistence', r.relpersistence::text),
			('view', CASE WHEN r.relkind = 'v' THEN pg_get_viewdef(r.oid) END),
			('index', CASE WHEN r.relkind = 'i' THEN pg_get_indexdef(r.oid) END)) AS v (part, content)
	UNION ALL
	SELECT r.object, format('column %s %s', a.attnum, a.attname), concat_ws(' ', format_type(a.atttypid, a.atttypmod),
		a.attcollation, a.attnotnull, a.attidentity, a.attgenerated, a.attstorage, a.attcompression,
		pg_get_expr(d.adbin, d.adrelid), acl.sorted, col_description(r.oid, a.attnum))
	FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
		LEFT JOIN acl ON acl.acl = a.attacl
	UNION ALL
	SELECT r.object, format('constraint %s', c.conname), concat_ws(' ', pg_get_constraintdef(c.oid), c.convalidated, obj_description(c.oid, 'pg_constraint'))
	FROM relation AS r JOIN pg_constraint AS c ON c.conrelid = r.oid
	UNION ALL
	SELECT r.object, format('trigger %s', t.tgname), concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'))
	FROM relation AS r JOIN pg_trigger AS t ON t.tgrelid = r.oid AND NOT t.tgisinternal
	UNION ALL
	SELECT r.object, format('policy %s', p.polname), concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::regrole[],
		pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy'))
	FROM relation AS r JOIN pg_policy AS p ON p.polrelid = r.oid
	UNION ALL
	SELECT r.object, 'sequence', s::text FROM relation AS r CROSS JOIN LATERAL (
		SELECT seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle FROM pg_sequence WHERE seqrelid = r.oid) AS s
	UNION ALL
	SELECT format('type %s', t.oid::regtype), v.part, v.content
	FROM member AS m JOIN pg_type AS t ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
		LEFT JOIN acl ON acl.acl = t.typacl
		CROSS JOIN LATERAL (VALUES ('owner', t.typowner::regrole::text), ('acl', acl.sorted), ('definition',
			concat_ws(' ', t.typlen, t.typalign, t.typstorage, t.typtype, t.typcategory, t.typinput, t.typoutput, t.typreceive, t.typsend))) AS v (part, content)
	UNION ALL
	SELECT format('operator %s', o.oid::regoperator), 'definition', concat_ws(' ', o.oprowner::regrole, o.oprcode,
		o.oprcom::regoperator, o.oprnegate::regoperator, o.oprrest, o.oprjoin, o.oprcanhash, o.oprcanmerge)
	FROM pg_operator AS o WHERE o.oprnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace)
	UNION ALL
	SELECT format('operator class %s', c.opcname), 'definition', concat_ws(' ', c.opcowner::regrole, c.opcintype::regtype, c.opcdefault,
		(SELECT string_agg(pg_describe_object('pg_amop'::regclass, a.oid, 0), ', ' ORDER BY a.amopstrategy) FROM pg_amop AS a WHERE a.amopfamily = c.opcfamily),
		(SELECT string_agg(pg_describe_object('pg_amproc'::regclass, a.oid, 0), ', ' ORDER BY a.amprocnum) FROM pg_amproc AS a WHERE a.amprocfamily = c.opcfamily))
	FROM pg_opclass AS c WHERE c.opcnamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace)
	UNION ALL
	SELECT 'schema ' || n.nspname, 'owner and acl', concat_ws(' ', n.nspowner::regrole, acl.sorted)
	FROM pg_namespace AS n LEFT JOIN acl ON acl.acl = n.nspacl WHERE n.nspname IN ('apikeys', 'apikeys_internal')
	UNION ALL
	SELECT 'extension', v.part, v.content
	FROM pg_extension AS e CROSS JOIN LATERAL (VALUES ('version', e.extversion), ('schema', e.extnamespace::regnamespace::text),
		('relocatable', e.extrelocatable::text), ('owner', e.extowner::regrole::text), ('dumped', (
			SELECT string_agg(concat_ws(' ', c.relation::regclass, c.condition), ', ' ORDER BY c.relation::regclass::text)
			FROM unnest(e.extconfig, e.extcondition) AS c (relation, condition)))) AS v (part, content)
	WHERE e.extname = 'apikeys'
	UNION ALL
	-- What pg_dump takes for granted.
	SELECT pg_describe_object(i.classoid, i.objoid, i.objsubid), 'initial acl', acl.sorted
	FROM pg_init_privs AS i JOIN member AS m ON m.classid = i.classoid AND m.objid = i.objoid
		LEFT JOIN acl ON acl.acl = i.initprivs
	UNION ALL
	SELECT 'role ' || r.name, 'row', r::text FROM apikeys.role AS r WHERE r.is_builtin) AS line
WHERE content IS NOT NULL
ORDER BY object COLLATE "C", part COLLATE "C", content COLLATE "C";
