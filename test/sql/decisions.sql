-- The rules of a decision, in tables of requests.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;

INSERT INTO apikeys.organization (id, name, require_access_list) VALUES
	('10000000-0000-0000-0000-000000000000', 'regress_decisions open', false),
	('20000000-0000-0000-0000-000000000000', 'regress_decisions strict', true);
INSERT INTO apikeys.project (id, organization_id, name) VALUES
	('1a000000-0000-0000-0000-000000000000', '10000000-0000-0000-0000-000000000000', 'A'),
	('1b000000-0000-0000-0000-000000000000', '10000000-0000-0000-0000-000000000000', 'B'),
	('2c000000-0000-0000-0000-000000000000', '20000000-0000-0000-0000-000000000000', 'C');
SELECT apikeys.create_role('regress_decisions_organization', 'organization', '{org.*}', '{in.any.project}', NULL);
SELECT apikeys.create_role('regress_decisions_project', 'project', '{}', '{clusters.*}', NULL);
SELECT apikeys.create_role('regress_decisions_all', 'organization', '{*}', '{}', NULL);

-- Makes a key whose secret is "secret of" and its name.
CREATE FUNCTION pg_temp.make_key(name text, organization uuid, list apikeys.access_list, organization_role text,
	project uuid DEFAULT NULL, project_role text DEFAULT NULL) RETURNS void
BEGIN ATOMIC
	INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
		VALUES (name, organization, 'a key', list);
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		VALUES (name, 1, ('sha256$$' || encode(sha256(('secret of ' || name)::bytea), 'hex'))::text::apikeys.secret_hash, '');
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT name, organization, organization_role WHERE organization_role IS NOT NULL;
	INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
		SELECT name, organization, project, project_role WHERE project_role IS NOT NULL;
END;

-- --- The address ------------------------------------------------------------------
-- Every list of an organization that requires one, or does not, times every
-- kind of address.
SELECT pg_temp.make_key(format('regress_decisions_%s_%s', o.name, l.name), o.id::uuid, l.list::apikeys.access_list, 'regress_decisions_all')
FROM (VALUES
	('open', '10000000-0000-0000-0000-000000000000'),
	('strict', '20000000-0000-0000-0000-000000000000')) AS o (name, id),
	(VALUES
	('empty', '{}'),
	('listed', '{192.0.2.0/24,192.0.2.128/25,192.0.2.200/32,2001:db8::/32,2001:db8:1::/48}'),
	('other', '{198.51.100.0/24,2001:db9::/32}'),
	('mapped', '{::ffff:192.0.2.0/120}'),
	('all4', '{0.0.0.0/0}'),
	('all6', '{::/0}')) AS l (name, list)
ORDER BY o.name, l.name;

CREATE TEMP TABLE address_case (organization text, list text, ip inet, reason text, address inet, network cidr);
INSERT INTO address_case VALUES
	('open', 'empty', NULL, 'ok', NULL, NULL),
	('open', 'empty', '192.0.2.1', 'ok', '192.0.2.1', NULL),
	('open', 'empty', '2001:db8::1', 'ok', '2001:db8::1', NULL),
	('open', 'empty', '::ffff:192.0.2.1', 'ok', '192.0.2.1', NULL),
	('open', 'listed', NULL, 'address_denied', NULL, NULL),
	('open', 'listed', '192.0.2.1', 'ok', '192.0.2.1', '192.0.2.0/24'),
	('open', 'listed', '192.0.2.129', 'ok', '192.0.2.129', '192.0.2.128/25'),
	('open', 'listed', '192.0.2.200', 'ok', '192.0.2.200', '192.0.2.200/32'),
	('open', 'listed', '2001:db8::1', 'ok', '2001:db8::1', '2001:db8::/32'),
	('open', 'listed', '2001:db8:1::1', 'ok', '2001:db8:1::1', '2001:db8:1::/48'),
	('open', 'listed', '::ffff:192.0.2.1', 'ok', '192.0.2.1', '192.0.2.0/24'),
	('open', 'listed', '::ffff:192.0.2.200', 'ok', '192.0.2.200', '192.0.2.200/32'),
	('open', 'listed', '192.0.3.0', 'address_denied', '192.0.3.0', NULL),
	('open', 'listed', '192.0.1.255', 'address_denied', '192.0.1.255', NULL),
	('open', 'listed', '2001:db9::', 'address_denied', '2001:db9::', NULL),
	('open', 'listed', '::192.0.2.1', 'address_denied', '::192.0.2.1', NULL),
	('open', 'other', NULL, 'address_denied', NULL, NULL),
	('open', 'other', '192.0.2.1', 'address_denied', '192.0.2.1', NULL),
	('open', 'other', '2001:db8::1', 'address_denied', '2001:db8::1', NULL),
	('open', 'other', '::ffff:192.0.2.1', 'address_denied', '192.0.2.1', NULL),
	('open', 'mapped', NULL, 'address_denied', NULL, NULL),
	('open', 'mapped', '192.0.2.1', 'ok', '192.0.2.1', '192.0.2.0/24'),
	('open', 'mapped', '2001:db8::1', 'address_denied', '2001:db8::1', NULL),
	('open', 'mapped', '::ffff:192.0.2.1', 'ok', '192.0.2.1', '192.0.2.0/24'),
	('open', 'all4', NULL, 'address_denied', NULL, NULL),
	('open', 'all4', '192.0.2.1', 'ok', '192.0.2.1', '0.0.0.0/0'),
	('open', 'all4', '2001:db8::1', 'address_denied', '2001:db8::1', NULL),
	('open', 'all4', '::ffff:192.0.2.1', 'ok', '192.0.2.1', '0.0.0.0/0'),
	('open', 'all6', NULL, 'address_denied', NULL, NULL),
	('open', 'all6', '192.0.2.1', 'address_denied', '192.0.2.1', NULL),
	('open', 'all6', '2001:db8::1', 'ok', '2001:db8::1', '::/0'),
	('open', 'all6', '::ffff:192.0.2.1', 'address_denied', '192.0.2.1', NULL);
-- Where a list is required, only the empty list is another matter.
INSERT INTO address_case
SELECT 'strict', list, ip, CASE list WHEN 'empty' THEN 'access_list_required' ELSE reason END, address, network
FROM address_case;

SELECT c.organization, c.list, c.ip, d.allowed, d.reason, d.address, d.network,
	(d.allowed, d.reason, d.address, d.network) IS NOT DISTINCT FROM (c.reason = 'ok', c.reason, c.address, c.network)
		AND apikeys.authorize(k.name, 'secret of ' || k.name, c.ip, 'clusters.read') = d.allowed AS right
FROM address_case AS c
	CROSS JOIN LATERAL (SELECT format('regress_decisions_%s_%s', c.organization, c.list)) AS k (name)
	CROSS JOIN LATERAL apikeys.decide(k.name, 'secret of ' || k.name, c.ip, 'clusters.read') AS d
ORDER BY c.organization, array_position('{empty,listed,other,mapped,all4,all6}'::text[], c.list), c.ip NULLS FIRST;

-- --- The scope --------------------------------------------------------------------
SELECT apikeys.create_role('regress_decisions_patterns', 'organization', permissions, '{}', NULL)
FROM (VALUES ('{exact.scope,*.read,clusters.*,a*b*c,x**y,*mid*,UPPER.case,p/q:r-s_t.*}'::text[])) AS p (permissions);
SELECT pg_temp.make_key('regress_decisions_patterns', '10000000-0000-0000-0000-000000000000', '{}', 'regress_decisions_patterns');
SELECT c.scope, d.reason, c.allowed = d.allowed AS right
FROM (VALUES
	('exact.scope', true), ('exact.scopes', false), ('exact_scope', false), ('exactXscope', false), ('exact', false),
	('Exact.scope', false), ('EXACT.SCOPE', false),
	('.read', true), ('a.read', true), ('a.b.read', true), ('a/b:c.read', true), ('read', false), ('a.Read', false), ('a.reads', false),
	('clusters.', true), ('clusters.x', true), ('clusters.x.y', true), ('clusters', false), ('Clusters.x', false), ('aclusters.x', false),
	('abc', true), ('aXbYc', true), ('abbcc', true), ('abcb', false), ('acb', false), ('ab', false),
	('xy', true), ('x.y', true), ('x', false),
	('mid', true), ('a.mid.b', true), ('m.id', false),
	('UPPER.case', true), ('upper.case', false),
	('p/q:r-s_t.1', true), ('p/q:r-sXt.1', false), ('p', false),
	(repeat('x', 255) || 'y', true), (repeat('x', 256), false)) AS c (scope, allowed)
	CROSS JOIN LATERAL apikeys.decide('regress_decisions_patterns', 'secret of regress_decisions_patterns', NULL, c.scope) AS d
WHERE d.allowed IS DISTINCT FROM c.allowed OR length(c.scope) < 100;

-- What is no scope is the caller's mistake, whoever asks: 22023.
CREATE FUNCTION pg_temp.sqlstate_of(statement text) RETURNS text
	LANGUAGE plpgsql
AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE statement INTO answer;
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END;
$$;
SELECT s.number, f.name,
	pg_temp.sqlstate_of(format('SELECT apikeys.%s(%L, %L, NULL, %L)', f.name,
		'regress_decisions_' || k.name, 'secret of regress_decisions_' || k.name, s.scope))
FROM (VALUES (1, ''), (2, ' '), (3, 'clusters.*'), (4, '*'), (5, 'a  b'), (6, ' a'), (7, 'a,b'), (8, 'a%'), (9, 'a' || chr(233)),
		(10, E'a\n'), (11, repeat('x', 257)), (12, repeat('x', 1000000))) AS s (number, scope),
	(VALUES (1, 'authorize'), (2, 'decide')) AS f (number, name),
	(VALUES ('unknown')) AS k (name)
ORDER BY s.number, f.number;
SELECT apikeys.authorize('regress_decisions_patterns', 'secret of regress_decisions_patterns', NULL, 'clusters.*');

-- --- Organization and project -----------------------------------------------------
-- The key "both" has an organization role that counts in every project, and a
-- project role in A.
SELECT pg_temp.make_key('regress_decisions_both', '10000000-0000-0000-0000-000000000000', '{}',
	'regress_decisions_organization', '1a000000-0000-0000-0000-000000000000', 'regress_decisions_project');
SELECT pg_temp.make_key('regress_decisions_project', '10000000-0000-0000-0000-000000000000', '{}',
	NULL, '1a000000-0000-0000-0000-000000000000', 'regress_decisions_project');
SELECT pg_temp.make_key('regress_decisions_none', '10000000-0000-0000-0000-000000000000', '{}', NULL);
SELECT pg_temp.make_key('regress_decisions_owner', '10000000-0000-0000-0000-000000000000', '{}', 'ORG_OWNER');
SELECT pg_temp.make_key('regress_decisions_reader', '10000000-0000-0000-0000-000000000000', '{}', 'ORG_READ_ONLY');
CREATE TEMP TABLE place_case (key text, scope text, in_organization bool, in_a bool, in_b bool, in_foreign bool, in_unknown bool);
INSERT INTO place_case VALUES
	('both', 'org.read', true, false, false, false, false),
	('both', 'in.any.project', false, true, true, false, false),
	('both', 'clusters.read', false, true, false, false, false),
	('both', 'other', false, false, false, false, false),
	('project', 'clusters.read', false, true, false, false, false),
	('project', 'org.read', false, false, false, false, false),
	('none', 'clusters.read', false, false, false, false, false),
	('owner', 'clusters.read', true, true, true, false, false),
	('owner', 'apikeys.keys.manage', true, true, true, false, false),
	('reader', 'clusters.read', true, true, true, false, false),
	('reader', 'clusters.write', false, false, false, false, false);
SELECT c.key, c.scope, p.name AS project, d.reason, (d.allowed, d.reason) = (p.expected, CASE WHEN p.expected THEN 'ok' ELSE 'scope_denied' END) AS right
FROM place_case AS c
	CROSS JOIN LATERAL (VALUES
		(1, 'none', NULL, c.in_organization),
		(2, 'A', '1a000000-0000-0000-0000-000000000000', c.in_a),
		(3, 'B', '1b000000-0000-0000-0000-000000000000', c.in_b),
		(4, 'foreign', '2c000000-0000-0000-0000-000000000000', c.in_foreign),
		(5, 'unknown', '99000000-0000-0000-0000-000000000000', c.in_unknown),
		(6, 'nil', '00000000-0000-0000-0000-000000000000', c.in_unknown)) AS p (number, name, id, expected)
	CROSS JOIN LATERAL apikeys.decide('regress_decisions_' || c.key, 'secret of regress_decisions_' || c.key, NULL, c.scope, p.id::uuid) AS d
ORDER BY c.key, c.scope, p.number;

-- --- NULL arguments ---------------------------------------------------------------
-- Every combination of NULLs.
SELECT k.name IS NULL AS no_key, k.secret IS NULL AS no_secret, i.ip IS NULL AS no_ip, s.scope IS NULL AS no_scope,
	d.allowed, d.reason, d.public_key, d.organization_id, d.address, d.network,
	apikeys.authorize(k.name, k.secret, i.ip, s.scope, NULL) AS authorized
FROM (VALUES
	(1, 'regress_decisions_open_empty', 'secret of regress_decisions_open_empty'), (2, 'regress_decisions_open_empty', NULL),
	(3, NULL, 'secret of regress_decisions_open_empty'), (4, NULL, NULL)) AS k (number, name, secret),
	(VALUES ('192.0.2.1'::inet), (NULL)) AS i (ip),
	(VALUES ('clusters.read'), (NULL)) AS s (scope)
	CROSS JOIN LATERAL apikeys.decide(k.name, k.secret, i.ip, s.scope, NULL) AS d
ORDER BY k.number, i.ip, s.scope;
-- A NULL scope does not hide what is wrong before it.
SELECT reason FROM apikeys.decide('regress_decisions_open_other', 'secret of regress_decisions_open_other', '192.0.2.1', NULL);
SELECT reason FROM apikeys.decide('regress_decisions_strict_empty', 'secret of regress_decisions_strict_empty', NULL, NULL);

-- --- The order of the reasons -----------------------------------------------------
-- Each key fails from one check on, and all after it.
INSERT INTO apikeys.key (public_key, organization_id, description, access_list, expires_at, disabled_at) VALUES
	('regress_decisions_order_all', '10000000-0000-0000-0000-000000000000', 'a key', '{198.51.100.0/24}', '2000-01-01', '2000-01-01'),
	('regress_decisions_order_expired', '10000000-0000-0000-0000-000000000000', 'a key', '{198.51.100.0/24}', '2000-01-01', NULL),
	('regress_decisions_order_required', '20000000-0000-0000-0000-000000000000', 'a key', '{}', NULL, NULL),
	('regress_decisions_order_address', '20000000-0000-0000-0000-000000000000', 'a key', '{198.51.100.0/24}', NULL, NULL),
	('regress_decisions_order_scope', '10000000-0000-0000-0000-000000000000', 'a key', '{192.0.2.0/24}', NULL, NULL);
INSERT INTO apikeys.key_secret (public_key, version, hash, hint, expires_at)
SELECT k.public_key, s.version, ('sha256$$' || encode(sha256(s.secret::bytea), 'hex'))::text::apikeys.secret_hash, '', s.expires_at
FROM apikeys.key AS k,
	(VALUES (1, 'ended', '2000-01-01'::timestamptz), (2, 'live', NULL), (3, 'ending', '2999-01-01')) AS s (version, secret, expires_at)
WHERE k.public_key LIKE 'regress\_decisions\_order\_%';
SELECT c.key, c.secret, d.*
FROM (VALUES
	(1, 'order_unknown', 'live'),
	(2, 'order_all', 'wrong'), (3, 'order_all', 'ended'), (4, 'order_all', 'live'), (5, 'order_all', 'ending'),
	(6, 'order_expired', 'wrong'), (7, 'order_expired', 'ended'), (8, 'order_expired', 'live'),
	(9, 'order_required', 'wrong'), (10, 'order_required', 'ended'), (11, 'order_required', 'live'),
	(12, 'order_address', 'wrong'), (13, 'order_address', 'ended'), (14, 'order_address', 'live'),
	(15, 'order_scope', 'wrong'), (16, 'order_scope', 'ended'), (17, 'order_scope', 'live'), (18, 'order_scope', 'ending'))
	AS c (number, key, secret)
	CROSS JOIN LATERAL apikeys.decide('regress_decisions_' || c.key, c.secret, '::ffff:192.0.2.1', 'clusters.read') AS d
ORDER BY c.number;
-- A key without any secret is proved by none.
DELETE FROM apikeys.key_secret WHERE public_key = 'regress_decisions_order_scope';
SELECT s.secret, d.reason
FROM (VALUES ('live'), (''), (NULL)) AS s (secret)
	CROSS JOIN LATERAL apikeys.decide('regress_decisions_order_scope', s.secret, '192.0.2.1', 'clusters.read') AS d;

-- --- Keys and secrets -------------------------------------------------------------
-- The secret of another key, names and secrets that nearly fit, the two
-- arguments swapped.
SELECT c.public_key, c.secret, d.reason, d.public_key AS told, d.organization_id
FROM (VALUES
	(1, 'regress_decisions_owner', 'secret of regress_decisions_owner'),
	(2, 'regress_decisions_owner', 'secret of regress_decisions_reader'),
	(3, 'regress_decisions_owner', 'secret of regress_decisions_strict_listed'),
	(4, 'regress_decisions_owner', 'Secret of regress_decisions_owner'),
	(5, 'regress_decisions_owner', 'secret of regress_decisions_owner '),
	(6, 'regress_decisions_owner', 'secret of regress_decisions_owne'),
	(7, 'regress_decisions_owner', ''),
	(8, 'Regress_decisions_owner', 'secret of regress_decisions_owner'),
	(9, 'REGRESS_DECISIONS_OWNER', 'secret of regress_decisions_owner'),
	(10, 'regress_decisions_owner ', 'secret of regress_decisions_owner'),
	(11, '', ''),
	(12, 'secret of regress_decisions_owner', 'regress_decisions_owner'))
	AS c (number, public_key, secret)
	CROSS JOIN LATERAL apikeys.decide(c.public_key, c.secret, NULL, 'clusters.read') AS d
ORDER BY c.number;
SELECT reason, public_key FROM apikeys.decide(repeat('x', 10000000), repeat('y', 10000000), NULL, 'clusters.read');
SELECT reason FROM apikeys.decide('regress_decisions_owner', repeat('y', 10000000), NULL, 'clusters.read');

-- The hash of a secret that is issued here is bound to its key: on the row of
-- another key it proves nothing.
CREATE TEMP TABLE issued AS
SELECT n AS number, k.* FROM generate_series(1, 2) AS n
	CROSS JOIN LATERAL apikeys.create_key('10000000-0000-0000-0000-000000000000', 'issued ' || n, '{ORG_OWNER}') AS k;
SELECT a.number, b.number AS secret_of, d.reason
FROM issued AS a, issued AS b
	CROSS JOIN LATERAL apikeys.decide(a.public_key, b.private_key, NULL, 'clusters.read') AS d
ORDER BY a.number, b.number;
UPDATE apikeys.key_secret SET hash = (SELECT s.hash FROM apikeys.key_secret AS s JOIN issued AS i USING (public_key) WHERE i.number = 1)
WHERE public_key = (SELECT public_key FROM issued WHERE number = 2);
SELECT a.number, b.number AS secret_of, d.reason
FROM issued AS a, issued AS b
	CROSS JOIN LATERAL apikeys.decide(a.public_key, b.private_key, NULL, 'clusters.read') AS d
ORDER BY a.number, b.number;

-- A rotation with overlap: both secrets pass, until the old one's time is over.
CREATE TEMP TABLE rotated AS
SELECT public_key, private_key AS old, apikeys.rotate_secret(public_key, '1 hour') AS new FROM issued WHERE number = 1;
SELECT o.reason AS old, n.reason AS new
FROM rotated AS r
	CROSS JOIN LATERAL apikeys.decide(r.public_key, r.old, NULL, 'clusters.read') AS o
	CROSS JOIN LATERAL apikeys.decide(r.public_key, r.new, NULL, 'clusters.read') AS n;
UPDATE apikeys.key_secret SET expires_at = now() WHERE public_key IN (SELECT public_key FROM rotated) AND version = 1;
SELECT o.reason AS old, n.reason AS new
FROM rotated AS r
	CROSS JOIN LATERAL apikeys.decide(r.public_key, r.old, NULL, 'clusters.read') AS o
	CROSS JOIN LATERAL apikeys.decide(r.public_key, r.new, NULL, 'clusters.read') AS n;
-- Without, the old one ends at once; the one before it is gone.
CREATE TEMP TABLE rotated_again AS
SELECT public_key, apikeys.rotate_secret(public_key) AS newest FROM rotated;
SELECT o.reason AS old, n.reason AS new, m.reason AS newest
FROM rotated AS r JOIN rotated_again AS a USING (public_key)
	CROSS JOIN LATERAL apikeys.decide(r.public_key, r.old, NULL, 'clusters.read') AS o
	CROSS JOIN LATERAL apikeys.decide(r.public_key, r.new, NULL, 'clusters.read') AS n
	CROSS JOIN LATERAL apikeys.decide(r.public_key, a.newest, NULL, 'clusters.read') AS m;

-- Disabled, enabled, expired, prolonged; the future has not come.
CREATE FUNCTION pg_temp.reason() RETURNS text
	LANGUAGE sql VOLATILE
AS $$
	SELECT reason FROM apikeys.decide('regress_decisions_owner', 'secret of regress_decisions_owner', NULL, 'clusters.read');
$$;
SELECT apikeys.disable_key('regress_decisions_owner');
SELECT pg_temp.reason();
SELECT apikeys.enable_key('regress_decisions_owner');
SELECT pg_temp.reason();
SELECT FROM apikeys.update_key('regress_decisions_owner', expires_at => clock_timestamp() + '1 hour');
SELECT pg_temp.reason();
SELECT FROM apikeys.update_key('regress_decisions_owner', expires_at => clock_timestamp());
SELECT pg_temp.reason();
SELECT apikeys.disable_key('regress_decisions_owner');
SELECT pg_temp.reason();
SELECT apikeys.enable_key('regress_decisions_owner');
SELECT FROM apikeys.update_key('regress_decisions_owner', expires_at => 'infinity');
SELECT pg_temp.reason();
SELECT FROM apikeys.update_key('regress_decisions_owner', expires_at => '-infinity');
SELECT pg_temp.reason();
UPDATE apikeys.key SET expires_at = NULL WHERE public_key = 'regress_decisions_owner';
SELECT pg_temp.reason();
-- Time goes on in a long transaction.
BEGIN;
SELECT FROM apikeys.update_key('regress_decisions_owner', expires_at => clock_timestamp() + '0.2 s');
SELECT pg_temp.reason() IN ('ok', 'key_expired') AS either;
SELECT FROM pg_sleep(0.3);
SELECT pg_temp.reason();
ROLLBACK;
SELECT pg_temp.reason();
-- The first entry shuts the others out; the last one taken away lets all in.
SELECT apikeys.add_to_access_list('regress_decisions_owner', '192.0.2.0/24');
SELECT pg_temp.reason();
SELECT FROM apikeys.update_key('regress_decisions_owner', access_list => '{}');
SELECT pg_temp.reason();

-- --- Ways to call it --------------------------------------------------------------
BEGIN READ ONLY;
SELECT pg_temp.reason();
SELECT apikeys.authorize('regress_decisions_owner', 'secret of regress_decisions_owner', '192.0.2.1', 'clusters.read');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT pg_temp.reason();
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT pg_temp.reason();
COMMIT;
PREPARE regress_decisions (text, text, inet, text, uuid) AS
	SELECT apikeys.authorize($1, $2, $3, $4, $5);
SET plan_cache_mode = force_generic_plan;
EXECUTE regress_decisions ('regress_decisions_owner', 'secret of regress_decisions_owner', '192.0.2.1', 'clusters.read', NULL);
SELECT apikeys.disable_key('regress_decisions_owner');
EXECUTE regress_decisions ('regress_decisions_owner', 'secret of regress_decisions_owner', '192.0.2.1', 'clusters.read', NULL);
SELECT apikeys.enable_key('regress_decisions_owner');
EXECUTE regress_decisions ('regress_decisions_owner', 'secret of regress_decisions_owner', '192.0.2.1', 'clusters.read', NULL);
EXECUTE regress_decisions (NULL, NULL, NULL, NULL, NULL);
SET plan_cache_mode = force_custom_plan;
EXECUTE regress_decisions ('regress_decisions_owner', 'secret of regress_decisions_owner', '192.0.2.1', 'clusters.read', NULL);
RESET plan_cache_mode;
DEALLOCATE regress_decisions;

DELETE FROM apikeys.key WHERE organization_id IN ('10000000-0000-0000-0000-000000000000', '20000000-0000-0000-0000-000000000000');
DELETE FROM apikeys.deleted_key WHERE public_key ~ '^regress_decisions' OR public_key IN (SELECT public_key FROM issued);
DELETE FROM apikeys.organization WHERE name ~ '^regress_decisions';
DELETE FROM apikeys.role WHERE name ~ '^regress_decisions';
