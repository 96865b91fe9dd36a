-- What keys and members can hold: permissions of a key beside its roles, and roles
-- that belong to an organization.  One rule says what each allows where.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id text;
	detail text;
BEGIN
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS id = CONSTRAINT_NAME, detail = PG_EXCEPTION_DETAIL;
	RETURN regexp_replace(SQLSTATE || ' ' || id || ': ' || SQLERRM || coalesce(' (' || nullif(detail, '') || ')', ''),
		'ak_pub_\w+', 'KEY');
END;
$$;
CREATE ROLE regress_apikeys_grants_owner;
CREATE ROLE regress_apikeys_grants_manager;
CREATE ROLE regress_apikeys_grants_other;
SELECT apikeys.grant_access('regress_apikeys_grants_owner', 'manage', 'decide') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_grants_manager', 'manage', 'decide') \g /dev/null
SELECT apikeys.grant_access('regress_apikeys_grants_other', 'manage') \g /dev/null
SELECT apikeys.create_organization('Grants', 'role:regress_apikeys_grants_owner') AS org \gset
SELECT apikeys.create_organization('Other', 'role:regress_apikeys_grants_other') AS other \gset
SELECT apikeys.create_project(:'org', 'One') AS one \gset
SELECT apikeys.create_project(:'org', 'Two') AS two \gset
SELECT apikeys.create_project(:'other', 'Foreign') AS foreign_project \gset

-- --- Permissions of a key ---------------------------------------------------
SET ROLE regress_apikeys_grants_owner;
SELECT public_key AS k, private_key AS s FROM apikeys.create_key(:'org', 'Direct', '{}',
	permissions => '{invoice:42:read,reports.*}') \gset
SELECT public_key AS p, private_key AS ps FROM apikeys.create_project_key(:'one', 'In a project', '{}',
	permissions => '{invoice:*:read}') \gset
-- In the organization itself, and in no project of it; in the one project, and nowhere else.
SELECT scope, apikeys.authorize(:'k', :'s', '192.0.2.1', scope) AS organization,
	apikeys.authorize(:'k', :'s', '192.0.2.1', scope, :'one') AS project
FROM unnest('{invoice:42:read,invoice:43:read,invoice:42:write,reports.list,reports}'::text[]) AS scope;
SELECT scope, apikeys.authorize(:'p', :'ps', '192.0.2.1', scope) AS organization,
	apikeys.authorize(:'p', :'ps', '192.0.2.1', scope, :'one') AS one, apikeys.authorize(:'p', :'ps', '192.0.2.1', scope, :'two') AS two,
	apikeys.authorize(:'p', :'ps', '192.0.2.1', scope, :'foreign_project') AS other
FROM unnest('{invoice:42:read,invoice:a:b:read,invoice:42:write}'::text[]) AS scope;
SELECT reason FROM apikeys.decide(:'k', :'s', NULL, 'invoice:42:read reports.list');
SELECT reason FROM apikeys.decide(:'k', :'s', NULL, 'invoice:42:read invoice:43:read');
-- The views.
SELECT description, organization_roles, organization_permissions,
	replace(replace(replace(roles::text, :'org', 'ORG'), :'one', 'ONE'), ' ', '') AS roles,
	replace(replace(projects::text, :'one', 'ONE'), ' ', '') AS projects
FROM apikeys.keys WHERE organization_id = :'org' ORDER BY description;
-- Which of them allowed something is counted.
RESET ROLE;
SELECT apikeys.flush_usage();
SET ROLE regress_apikeys_grants_owner;
SELECT k.description, u.role, u.permission, u.last_used_at IS NULL AS never
FROM apikeys.unused_roles AS u JOIN apikeys.keys AS k USING (public_key) ORDER BY 1, 3;
SELECT role FROM apikeys.key_role_usage WHERE public_key IN (:'k', :'p') ORDER BY 1;
-- The explanation.
SELECT passed, detail FROM apikeys.explain_authorize(:'k', '192.0.2.1', 'reports.list') WHERE check_name = 'scope_denied';
SELECT passed, detail FROM apikeys.explain_authorize(:'k', '192.0.2.1', 'clusters.read') WHERE check_name = 'scope_denied';
SELECT passed, detail FROM apikeys.explain_authorize(:'k', '192.0.2.1', 'reports.list', :'one') WHERE check_name = 'scope_denied';
SELECT passed, detail FROM apikeys.explain_authorize(:'p', '192.0.2.1', 'invoice:1:read', :'one') WHERE check_name = 'scope_denied';
-- A bound key, and its projects.
BEGIN;
SELECT apikeys.authenticate(:'k', :'s', '192.0.2.1') = :'k' AS bound;
SELECT apikeys.permits('reports.list'), apikeys.permits('reports.list', :'one'), apikeys.permits('clusters.read');
ROLLBACK;
BEGIN;
SELECT apikeys.authenticate(:'p', :'ps', '192.0.2.1') = :'p' AS bound;
SELECT apikeys.permits('invoice:7:read'), apikeys.permits('invoice:7:read', :'one'), apikeys.permits('invoice:7:read', :'two'),
	apikeys.current_projects('invoice:7:read') = ARRAY[:'one'::uuid] AS projects;
ROLLBACK;

-- Roles are replaced alone, or with the permissions.
SELECT organization_roles, organization_permissions FROM apikeys.set_organization_roles(:'k', '{ORG_READ_ONLY}');
SELECT organization_roles, organization_permissions FROM apikeys.set_organization_roles(:'k', '{ORG_READ_ONLY}', '{a.b}');
SELECT apikeys.authorize(:'k', :'s', NULL, 'a.b'), apikeys.authorize(:'k', :'s', NULL, 'reports.list'), apikeys.authorize(:'k', :'s', NULL, 'x.read');
SELECT organization_roles, organization_permissions FROM apikeys.set_organization_roles(:'k', '{}', '{}');
SELECT apikeys.authorize(:'k', :'s', NULL, 'a.b');
SELECT replace(replace(roles::text, :'one', 'ONE'), ' ', '') FROM apikeys.set_project_roles(:'p', :'one', '{GROUP_READ_ONLY}', '{x,y}');
SELECT replace(replace(roles::text, :'one', 'ONE'), ' ', '') FROM apikeys.set_project_roles(:'p', :'one', '{}', '{x,y}');
SELECT pg_temp.try(format('SELECT apikeys.set_project_roles(%L, %L, %L, %L)', :'p', :'one', '{}', '{}'));
SELECT action, replace(detail::text, ' ', '') AS detail FROM apikeys.audit_event WHERE organization_id = :'org' AND action LIKE 'key.%' ORDER BY id;

-- Bad ones.
SELECT pg_temp.try(format('SELECT apikeys.create_key(%L, %L, %L, permissions => %L)', :'org', 'Bad', '{}', bad))
FROM unnest(ARRAY['{}', '{""}', '{a b}', '{NULL}', '{a,a}', '{{a},{b}}', '{=a}']) AS bad;
SELECT pg_temp.try(format('SELECT apikeys.create_key(%L, %L, %L, permissions => ARRAY(SELECT %L || n FROM generate_series(1, 1001) AS n))', :'org', 'Bad', '{}', 'a'));
RESET ROLE;
-- Nobody gives what it does not have.
SET ROLE regress_apikeys_grants_owner;
SELECT apikeys.create_role('KEY_MANAGER', 'organization', '{apikeys.keys.*,reports.*,organization.read}', '{reports.*}', organization => :'org');
SELECT apikeys.add_member(:'org', 'role:regress_apikeys_grants_manager', 'KEY_MANAGER');
SET ROLE regress_apikeys_grants_manager;
SELECT permission, left(pg_temp.try(format('SELECT apikeys.create_key(%L, %L, %L, permissions => ARRAY[%L])', :'org', 'Given', '{}', permission)), 120)
FROM unnest('{reports.list,reports.*,reports*,*,clusters.read}'::text[]) AS permission;
-- A key with more than the manager has is not managed by it.
SELECT pg_temp.try(format('SELECT apikeys.rotate_secret(%L)', :'p'));
SELECT pg_temp.try(format('SELECT apikeys.disable_key(%L)', :'p'));

-- --- Roles of an organization -----------------------------------------------
-- Never more than the creator covers.
SELECT pg_temp.try(format('SELECT apikeys.create_role(%L, %L, %L, %L, organization => %L)', 'REPORTER', 'organization', '{reports.list}', '{reports.list}', :'org'));
SELECT pg_temp.try(format('SELECT apikeys.create_role(%L, %L, %L, %L, organization => %L)', 'TOO_MUCH', 'organization', '{clusters.read}', '{}', :'org'));
SELECT pg_temp.try(format('SELECT apikeys.create_role(%L, %L, %L, %L, organization => %L)', 'TOO_MUCH', 'project', '{}', '{clusters.read}', :'org'));
SELECT pg_temp.try(format('SELECT apikeys.create_role(%L, %L, organization => %L)', 'STRANGE', 'project', :'other'));
SELECT pg_temp.try('SELECT apikeys.create_role(''FOR_ALL'', ''project'')');
SELECT pg_temp.try(format('SELECT apikeys.create_role(%L, %L, organization => %L)', 'REPORTER', 'project', :'org'));
SELECT pg_temp.try(format('SELECT apikeys.create_role(%L, %L, organization => %L)', 'ORG_OWNER', 'organization', :'org'));
-- Names may repeat between organizations; each sees and grants its own.
SET ROLE regress_apikeys_grants_other;
SELECT name FROM apikeys.role WHERE NOT is_builtin;
SELECT pg_temp.try(format('SELECT apikeys.add_member(%L, %L, %L)', :'other', 'user:1', 'REPORTER'));
SELECT pg_temp.try(format('SELECT apikeys.create_key(%L, %L, %L)', :'other', 'Stolen role', '{REPORTER}'));
SELECT pg_temp.try(format('SELECT apikeys.create_key(%L, %L, ARRAY[%L])', :'other', 'Stolen role', :'org' || '/REPORTER'));
SELECT apikeys.create_role('REPORTER', 'organization', '{other.things}', organization => :'other');
SELECT name, organization_permissions FROM apikeys.role WHERE NOT is_builtin;
SELECT public_key AS ok, private_key AS os FROM apikeys.create_key(:'other', 'Own role', '{REPORTER}') \gset
SET ROLE regress_apikeys_grants_owner;
SELECT name, organization_permissions FROM apikeys.role WHERE NOT is_builtin ORDER BY name;
SELECT public_key AS rk, private_key AS rs FROM apikeys.create_key(:'org', 'With own role', '{REPORTER}') \gset
SELECT organization_roles, replace(replace(roles::text, :'org', 'ORG'), ' ', '') AS roles FROM apikeys.keys WHERE public_key = :'rk';
SELECT apikeys.authorize(:'rk', :'rs', NULL, 'reports.list') AS own, apikeys.authorize(:'rk', :'rs', NULL, 'reports.list', :'one') AS in_project,
	apikeys.authorize(:'rk', :'rs', NULL, 'other.things') AS of_other;
SELECT passed, detail FROM apikeys.explain_authorize(:'rk', NULL, 'reports.list') WHERE check_name = 'scope_denied';
SELECT passed, detail FROM apikeys.explain_authorize(:'rk', NULL, 'no.such') WHERE check_name = 'scope_denied';
RESET ROLE;
SELECT apikeys.authorize(:'ok', :'os', NULL, 'reports.list') AS of_other, apikeys.authorize(:'ok', :'os', NULL, 'other.things') AS own;
-- A role of every organization of the same name does not change what is held.
SELECT apikeys.create_role('REPORTER', 'organization', '{everything}');
SELECT apikeys.authorize(:'rk', :'rs', NULL, 'everything') AS of_all, apikeys.authorize(:'rk', :'rs', NULL, 'reports.list') AS own;
SELECT apikeys.drop_role('REPORTER');
-- Imported keys hold them as well.
CREATE TABLE grants_source AS SELECT 'regress-grants' AS public_key, 'sha256$$' || repeat('0', 64) AS hash, 'Imported' AS description, '{ORG_MEMBER,REPORTER}'::text[] AS roles;
SELECT apikeys.import_keys(:'org', 'grants_source');
SELECT organization_roles FROM apikeys.keys WHERE public_key = 'regress-grants';
SELECT role = :'org' || '/REPORTER' AS own FROM apikeys.key_role WHERE public_key = 'regress-grants' ORDER BY 1;
-- Deleting one says who holds it.
SET ROLE regress_apikeys_grants_manager;
SELECT pg_temp.try(format('SELECT apikeys.drop_role(%L, %L)', 'REPORTER', :'org'));
SELECT pg_temp.try(format('SELECT apikeys.drop_role(%L, %L)', 'REPORTER', :'other'));
SELECT pg_temp.try(format('SELECT apikeys.drop_role(%L)', 'REPORTER'));
SET ROLE regress_apikeys_grants_owner;
SELECT FROM apikeys.set_organization_roles(:'rk', '{ORG_MEMBER}');
SELECT FROM apikeys.set_organization_roles('regress-grants', '{ORG_MEMBER}');
SELECT pg_temp.try(format('SELECT apikeys.drop_role(%L, %L)', 'REPORTER', :'org'));
SELECT pg_temp.try(format('SELECT apikeys.drop_role(%L, %L)', 'KEY_MANAGER', :'org'));
SELECT apikeys.remove_member(:'org', 'role:regress_apikeys_grants_manager', 'KEY_MANAGER');
SELECT pg_temp.try(format('SELECT apikeys.drop_role(%L, %L)', 'KEY_MANAGER', :'org'));
RESET ROLE;
-- Deleting an organization deletes its roles.
SELECT apikeys.delete_key(:'ok');
SELECT apikeys.delete_organization(:'other');
SELECT name FROM apikeys.role WHERE NOT is_builtin;
-- Who manages keys takes from a key only what it could give: else it would have a
-- secret of the key when that is given back.
SELECT public_key AS strong FROM apikeys.create_key(:'org', 'strong', '{ORG_OWNER,ORG_READ_ONLY}', permissions => '{apikeys.keys.read,data.find}') \gset
SELECT apikeys.create_project(:'org', 'regress grants taken') AS taken_from \gset
SELECT FROM apikeys.set_project_roles(:'strong', :'taken_from', '{GROUP_OWNER}', '{data.find}');
SELECT apikeys.create_role('TAKER', 'organization', '{apikeys.keys.manage,apikeys.keys.read}', '{apikeys.keys.manage}', NULL, :'org');
SELECT apikeys.create_role('WIDE', 'organization', '{*}', '{}', NULL, :'org');
SELECT apikeys.create_role('SEEN', 'organization', '{apikeys.keys.read}', '{}', NULL, :'org');
SELECT apikeys.add_member(:'org', 'user:regress_grants_taker', 'TAKER'), apikeys.add_member(:'org', 'user:regress_grants_seen', 'SEEN');
SELECT public_key AS seen FROM apikeys.create_key(:'org', 'seen', '{SEEN}') \gset
BEGIN;
SELECT apikeys.act_as('user:regress_grants_taker');
SELECT t.n, pg_temp.try(t.call) FROM (VALUES
	(1, format('SELECT apikeys.set_organization_roles(%L, %L)', :'strong', '{}')),
	(2, format('SELECT apikeys.set_organization_roles(%L, %L, %L)', :'strong', '{ORG_OWNER,ORG_READ_ONLY}', '{}')),
	(3, format('SELECT apikeys.set_organization_roles(%L, %L, %L)', :'strong', '{ORG_OWNER,ORG_READ_ONLY}', '{data.find}')),
	(4, format('SELECT apikeys.set_project_roles(%L, %L, %L)', :'strong', :'taken_from', '{GROUP_READ_ONLY}')),
	(5, format('SELECT apikeys.remove_from_project(%L, %L)', :'strong', :'taken_from')),
	(6, format('SELECT apikeys.rotate_secret(%L)', :'strong')),
	(7, format('SELECT apikeys.disable_key(%L)', :'strong')),
	-- Nor does it drop a role that it could not create, and learns of no members.
	(8, format('SELECT apikeys.drop_role(%L, %L)', 'WIDE', :'org')),
	(9, format('SELECT apikeys.drop_role(%L, %L)', 'SEEN', :'org'))) AS t (n, call) ORDER BY t.n;
SELECT organization_roles, organization_permissions FROM apikeys.keys WHERE public_key = :'strong';
ROLLBACK;
-- Arrays that are numbered otherwise.
SELECT t.n, pg_temp.try(t.call) FROM (VALUES
	(1, format('SELECT apikeys.create_key(%L, %L, %L)', :'org', 'odd', '[2:3]={ORG_MEMBER,ORG_MEMBER}')),
	(2, format('SELECT apikeys.create_key(%L, %L, %L)', :'org', 'odd', '[-5:-4]={ORG_MEMBER,ORG_READ_ONLY}')),
	(3, format('SELECT apikeys.set_organization_roles(%L, %L)', :'seen', '[2:2]={SEEN}')),
	(4, format('SELECT apikeys.set_organization_roles(%L, %L, %L)', :'seen', '{}', '[2:3]={a,a}')),
	(5, format('SELECT apikeys.set_organization_roles(%L, %L, %L)', :'seen', '{}', '{{a,b},{c,d}}')),
	(6, format('SELECT apikeys.set_project_roles(%L, %L, %L)', :'seen', :'taken_from', '[0:0]={GROUP_OWNER}')),
	(7, format('SELECT apikeys.import_key(%L, %L, %L, %L, %L)', :'org', 'regress.odd', 'sha256$$' || repeat('0', 64), 'odd', '[2:3]={ORG_MEMBER,ORG_MEMBER}')),
	(8, format('SELECT apikeys.import_key(%L, %L, %L, %L, %L)', :'org', 'regress.odd', 'sha256$$' || repeat('0', 64), 'odd', '{{ORG_MEMBER},{ORG_READ_ONLY}}'))) AS t (n, call) ORDER BY t.n;
SELECT detail -> 'new' -> 'roles' AS roles FROM apikeys.audit_event WHERE public_key = 'regress.odd';
-- Of two roles of one name, its own and that of every organization, both are removed.
BEGIN;
SELECT apikeys.create_role('SAME', 'organization', '{a.b}', '{}', NULL, :'org'), apikeys.create_role('SAME', 'organization', '{a.c}');
SELECT apikeys.add_member(:'org', 'user:regress-same', 'SAME');
INSERT INTO apikeys.member (organization_id, principal, role) VALUES (:'org', 'user:regress-same', 'SAME');
SELECT role FROM apikeys.member WHERE principal = 'user:regress-same' AND role = 'SAME';
SELECT apikeys.remove_member(:'org', 'user:regress-same', 'SAME'), apikeys.remove_member(:'org', 'user:regress-same', 'SAME');
ROLLBACK;
-- A missing role is none by name.
BEGIN;
SELECT apikeys.create_role('NULL', 'organization', '{a.b}', '{}', NULL, :'org');
SET LOCAL array_nulls = off;
SELECT apikeys.import_key(:'org', 'regress.null', 'sha256$$0000000000000000000000000000000000000000000000000000000000000000', 'odd', ARRAY[NULL]::text[]);
ROLLBACK;
-- More roles at one place than are usual, of which one allows.
BEGIN;
RESET ROLE;
SELECT count(apikeys.create_role('MANY' || n, 'organization', CASE n WHEN 20 THEN '{apikeys.keys.manage,a.b}'::text[] ELSE '{a.b}' END, '{}', NULL, :'org'))
FROM generate_series(1, 20) AS n;
SELECT count(apikeys.add_member(:'org', 'user:regress-many', 'MANY' || n)) FROM generate_series(1, 20) AS n;
SELECT apikeys.act_as('user:regress-many') \g /dev/null
SELECT public_key IS NOT NULL AS is_made FROM apikeys.create_key(:'org', 'By one of many', '{MANY20}');
ROLLBACK;
-- Images say what the tables say.
SELECT count(*) FROM (SELECT i::text FROM apikeys.key_image AS i EXCEPT SELECT s::text FROM apikeys.key_image_source AS s) AS d;
SELECT count(*) FROM (SELECT s::text FROM apikeys.key_image_source AS s EXCEPT SELECT i::text FROM apikeys.key_image AS i) AS d;
DROP TABLE grants_source;
DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress%';
DELETE FROM apikeys.organization WHERE id = :'org';
DROP FUNCTION pg_temp.try;
DROP OWNED BY regress_apikeys_grants_owner, regress_apikeys_grants_manager, regress_apikeys_grants_other;
DROP ROLE regress_apikeys_grants_owner, regress_apikeys_grants_manager, regress_apikeys_grants_other;
