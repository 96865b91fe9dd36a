-- Every management function, and every direct SELECT, INSERT, UPDATE and
-- DELETE on every table and view, tried by every kind of principal.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;

-- The principals, in the order of the columns below.
CREATE TEMP TABLE principal (
	number int PRIMARY KEY, name text, database_role text, acts_as text);
INSERT INTO principal VALUES
	(1, 'superuser', NULL, NULL),
	(2, 'owner', 'regress_apikeys_matrix_owner', NULL),
	(3, 'owner through a role', 'regress_apikeys_matrix_through', NULL),
	(4, 'owner by act_as', 'regress_apikeys_matrix_application', 'user:regress_matrix_owner'),
	(5, 'ORG_READ_ONLY', 'regress_apikeys_matrix_reader', NULL),
	(6, 'ORG_MEMBER', 'regress_apikeys_matrix_member', NULL),
	(7, 'ORG_GROUP_CREATOR', 'regress_apikeys_matrix_creator', NULL),
	(8, 'ORG_BILLING_ADMIN', 'regress_apikeys_matrix_billing', NULL),
	(9, 'ORG_BILLING_READ_ONLY', 'regress_apikeys_matrix_bills', NULL),
	(10, 'GROUP_OWNER of A', 'regress_apikeys_matrix_a_owner', NULL),
	(11, 'GROUP_USER_ADMIN of A', 'regress_apikeys_matrix_a_admin', NULL),
	(12, 'GROUP_READ_ONLY of A', 'regress_apikeys_matrix_a_reader', NULL),
	(13, 'GROUP_OWNER of B', 'regress_apikeys_matrix_b_owner', NULL),
	(14, 'GROUP_USER_ADMIN of B', 'regress_apikeys_matrix_b_admin', NULL),
	(15, 'GROUP_READ_ONLY of B', 'regress_apikeys_matrix_b_reader', NULL),
	(16, 'owner of another organization', 'regress_apikeys_matrix_other', NULL),
	(17, 'no member', 'regress_apikeys_matrix_nobody', NULL);
SELECT format('CREATE ROLE %I', database_role) FROM principal WHERE database_role IS NOT NULL ORDER BY number \gexec
CREATE ROLE regress_apikeys_matrix_owners;
GRANT regress_apikeys_matrix_owners TO regress_apikeys_matrix_through;
GRANT EXECUTE ON FUNCTION apikeys.act_as(text) TO regress_apikeys_matrix_application;

-- Acme has the projects A and B; the other organization has C. The keys are
-- named by where they have roles: in the organization, in A, in B, in A and
-- B, nowhere, and in C.
INSERT INTO apikeys.organization (id, name) VALUES
	('10000000-0000-0000-0000-000000000000', 'regress_matrix acme'),
	('20000000-0000-0000-0000-000000000000', 'regress_matrix other');
INSERT INTO apikeys.project (id, organization_id, name) VALUES
	('1a000000-0000-0000-0000-000000000000', '10000000-0000-0000-0000-000000000000', 'A'),
	('1b000000-0000-0000-0000-000000000000', '10000000-0000-0000-0000-000000000000', 'B'),
	('2c000000-0000-0000-0000-000000000000', '20000000-0000-0000-0000-000000000000', 'C');
INSERT INTO apikeys.role (name, level, project_permissions) VALUES
	('regress_matrix_free', 'project', '{clusters.read}');
INSERT INTO apikeys.member (organization_id, project_id, principal, role)
SELECT '10000000-0000-0000-0000-000000000000',
	CASE split_part(p.name, ' of ', 2)
		WHEN 'A' THEN '1a000000-0000-0000-0000-000000000000'::uuid
		WHEN 'B' THEN '1b000000-0000-0000-0000-000000000000' END,
	'role:' || p.database_role, split_part(p.name, ' of ', 1)
FROM principal AS p WHERE p.name ~ '^(ORG|GROUP)_';
INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES
	('10000000-0000-0000-0000-000000000000', NULL, 'role:regress_apikeys_matrix_owner', 'ORG_OWNER'),
	('10000000-0000-0000-0000-000000000000', NULL, 'role:regress_apikeys_matrix_owners', 'ORG_OWNER'),
	('10000000-0000-0000-0000-000000000000', NULL, 'user:regress_matrix_owner', 'ORG_OWNER'),
	('10000000-0000-0000-0000-000000000000', NULL, 'user:regress_matrix', 'ORG_MEMBER'),
	('10000000-0000-0000-0000-000000000000', '1a000000-0000-0000-0000-000000000000', 'user:regress_matrix', 'GROUP_READ_ONLY'),
	('20000000-0000-0000-0000-000000000000', NULL, 'role:regress_apikeys_matrix_other', 'ORG_OWNER');
INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
SELECT 'regress_matrix_' || name, organization::uuid, 'before', list::apikeys.access_list
FROM (VALUES
	('organization', '10000000-0000-0000-0000-000000000000', '{}'),
	('a', '10000000-0000-0000-0000-000000000000', '{192.0.2.1/32}'),
	('b', '10000000-0000-0000-0000-000000000000', '{192.0.2.1/32}'),
	('ab', '10000000-0000-0000-0000-000000000000', '{}'),
	('nowhere', '10000000-0000-0000-0000-000000000000', '{}'),
	('c', '20000000-0000-0000-0000-000000000000', '{192.0.2.1/32}')) AS k (name, organization, list);
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
SELECT public_key, 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, 'cret'
FROM apikeys.key WHERE public_key ~ '^regress_matrix_';
INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES
	('regress_matrix_organization', '10000000-0000-0000-0000-000000000000', NULL, 'ORG_READ_ONLY'),
	('regress_matrix_a', '10000000-0000-0000-0000-000000000000', '1a000000-0000-0000-0000-000000000000', 'GROUP_READ_ONLY'),
	('regress_matrix_b', '10000000-0000-0000-0000-000000000000', '1b000000-0000-0000-0000-000000000000', 'GROUP_READ_ONLY'),
	('regress_matrix_ab', '10000000-0000-0000-0000-000000000000', '1a000000-0000-0000-0000-000000000000', 'GROUP_READ_ONLY'),
	('regress_matrix_ab', '10000000-0000-0000-0000-000000000000', '1b000000-0000-0000-0000-000000000000', 'GROUP_READ_ONLY'),
	('regress_matrix_c', '20000000-0000-0000-0000-000000000000', '2c000000-0000-0000-0000-000000000000', 'GROUP_READ_ONLY');
INSERT INTO apikeys.key_usage (public_key, network, use_count, last_used_at) VALUES
	('regress_matrix_a', '192.0.2.1/32', 1, now()),
	('regress_matrix_b', '192.0.2.1/32', 1, now()),
	('regress_matrix_c', '192.0.2.1/32', 1, now());
INSERT INTO apikeys.key_role_usage (public_key, project_id, role, last_used_at)
SELECT public_key, project_id, role, now() FROM apikeys.key_role WHERE public_key ~ '^regress_matrix';

-- The acts. In them, {acme}, {other}, {A}, {B} and {C} stand for ids.
--   setup     is done by the superuser before
--   effect    is true, for the superuser, if the act has been done
--   expected  for each principal:
--       +      it was done
--       1      so many rows were read or written
--       -      42501, insufficient privilege
--       22023  any other SQLSTATE
CREATE TEMP TABLE act (
	number int GENERATED ALWAYS AS IDENTITY, name text UNIQUE, setup text,
	statement text, effect text, expected text);

-- --- Reading -------------------------------------------------------------------
INSERT INTO act (name, statement, expected) VALUES
--                                       owner        organization      A        B        other
--                                    su . through   ro m  cr b  br   ow ad ro  ow ad ro  ow no
('select organization',
 $$SELECT count(*) FROM apikeys.organization WHERE name ~ '^regress_matrix'$$,
                                     '2 1 1 1        1 1 1 1 1        1 1 1     1 1 1     1 0'),
('select project',
 $$SELECT count(*) FROM apikeys.project WHERE id IN ({A}, {B}, {C})$$,
                                     '3 2 2 2        2 0 0 0 0        1 1 1     1 1 1     1 0'),
('select role',
 $$SELECT count(*) FROM apikeys.role WHERE is_builtin OR name = 'regress_matrix_free'$$,
                                     '16 16 16 16    16 16 16 16 16   16 16 16  16 16 16  16 16'),
('select member',
 $$SELECT count(*) FROM apikeys.member WHERE organization_id IN ({acme}, {other})$$,
                                     '17 16 16 16    16 1 1 1 1       4 4 4     3 3 3     1 0'),
('select key',
 $$SELECT count(*) FROM apikeys.key WHERE public_key ~ '^regress_matrix'$$,
                                     '6 5 5 5        5 0 0 0 0        2 2 2     2 2 2     1 0'),
('select key_role',
 $$SELECT count(*) FROM apikeys.key_role WHERE public_key ~ '^regress_matrix'$$,
                                     '6 5 5 5        5 0 0 0 0        2 2 2     2 2 2     1 0'),
('select key_secret without hash',
 $$SELECT count(*) FROM (SELECT public_key, version, hint, created_at, expires_at FROM apikeys.key_secret
	WHERE public_key ~ '^regress_matrix') AS s$$,
                                     '6 5 5 5        5 0 0 0 0        2 2 2     2 2 2     1 0'),
('select key_secret.hash',
 $$SELECT count(hash) FROM apikeys.key_secret WHERE public_key ~ '^regress_matrix'$$,
                                     '6 - - -        - - - - -        - - -     - - -     - -'),
('select key_secret.*',
 $$SELECT count(s) FROM apikeys.key_secret AS s WHERE public_key ~ '^regress_matrix'$$,
                                     '6 - - -        - - - - -        - - -     - - -     - -'),
('select key_usage',
 $$SELECT count(*) FROM apikeys.key_usage WHERE public_key ~ '^regress_matrix'$$,
                                     '3 2 2 2        2 0 0 0 0        1 1 1     1 1 1     1 0'),
('select key_role_usage',
 $$SELECT count(*) FROM apikeys.key_role_usage WHERE public_key ~ '^regress_matrix'$$,
                                     '6 5 5 5        5 0 0 0 0        2 2 2     2 2 2     1 0'),
('select deleted_key',
 $$SELECT count(*) FROM apikeys.deleted_key WHERE public_key ~ '^regress_matrix'$$,
                                     '0 - - -        - - - - -        - - -     - - -     - -'),
('select key_image',
 $$SELECT count(*) FROM apikeys.key_image WHERE public_key ~ '^regress_matrix'$$,
                                     '6 - - -        - - - - -        - - -     - - -     - -'),
('select key_image_source',
 $$SELECT count(*) FROM apikeys.key_image_source WHERE public_key ~ '^regress_matrix'$$,
                                     '6 - - -        - - - - -        - - -     - - -     - -'),
('select keys',
 $$SELECT count(*) FROM apikeys.keys WHERE public_key ~ '^regress_matrix'$$,
                                     '6 5 5 5        5 0 0 0 0        2 2 2     2 2 2     1 0'),
('select keys.projects',
 $$SELECT count(*) FROM apikeys.keys, jsonb_array_elements(projects) WHERE public_key ~ '^regress_matrix'$$,
                                     '5 4 4 4        4 0 0 0 0        2 2 2     2 2 2     1 0'),
('select keys.organization_roles',
 $$SELECT count(*) FROM apikeys.keys, unnest(organization_roles) WHERE public_key ~ '^regress_matrix'$$,
                                     '1 1 1 1        1 0 0 0 0        0 0 0     0 0 0     0 0'),
('select access_list_entries',
 $$SELECT count(*) FROM apikeys.access_list_entries WHERE public_key ~ '^regress_matrix'$$,
                                     '3 2 2 2        2 0 0 0 0        1 1 1     1 1 1     1 0');

-- --- Writing directly ------------------------------------------------------------
INSERT INTO act (name, setup, statement, expected) VALUES
--                                       owner        organization      A        B        other
--                                    su . through   ro m  cr b  br   ow ad ro  ow ad ro  ow no
('insert organization', NULL,
 $$INSERT INTO apikeys.organization (name) VALUES ('regress_matrix new')$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('insert organization, granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_organization TO PUBLIC$$,
 $$INSERT INTO apikeys.organization (name) VALUES ('regress_matrix new')$$,
                                     '1 1 1 1        1 1 1 1 1        1 1 1     1 1 1     1 1'),
('insert organization.created_at, granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_organization TO PUBLIC$$,
 $$INSERT INTO apikeys.organization (name, created_at) VALUES ('regress_matrix new', now())$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update organization', NULL,
 $$UPDATE apikeys.organization SET name = 'regress_matrix new' WHERE id = {acme}$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('update organization.require_access_list', NULL,
 $$UPDATE apikeys.organization SET require_access_list = true WHERE id = {acme}$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('update organization.id', NULL,
 $$UPDATE apikeys.organization SET id = gen_random_uuid() WHERE id = {acme}$$,
                                     '23503 - - -    - - - - -        - - -     - - -     - -'),
('update organization.created_at', NULL,
 $$UPDATE apikeys.organization SET created_at = now() WHERE id = {acme}$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete organization with keys', NULL,
 $$DELETE FROM apikeys.organization WHERE id = {acme}$$,
                                     '23503 23503 23503 23503 0 0 0 0 0  0 0 0  0 0 0     0 0'),
('delete organization without keys',
 $$DELETE FROM apikeys.key WHERE organization_id = {acme}$$,
 $$DELETE FROM apikeys.organization WHERE id = {acme}$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),

('insert project', NULL,
 $$INSERT INTO apikeys.project (organization_id, name) VALUES ({acme}, 'new')$$,
                                     '1 1 1 1        - - 1 - -        - - -     - - -     - -'),
('insert project.created_at', NULL,
 $$INSERT INTO apikeys.project (organization_id, name, created_at) VALUES ({acme}, 'new', now())$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update project A', NULL,
 $$UPDATE apikeys.project SET name = 'new' WHERE id = {A}$$,
                                     '1 1 1 1        0 0 0 0 0        1 0 0     0 0 0     0 0'),
('update project.organization_id', NULL,
 $$UPDATE apikeys.project SET organization_id = {other} WHERE id = {A}$$,
                                     '23503 - - -    - - - - -        - - -     - - -     - -'),
('update project.id', NULL,
 $$UPDATE apikeys.project SET id = gen_random_uuid() WHERE id = {A}$$,
                                     '23503 - - -    - - - - -        - - -     - - -     - -'),
('delete project A', NULL,
 $$DELETE FROM apikeys.project WHERE id = {A}$$,
                                     '1 1 1 1        0 0 0 0 0        1 0 0     0 0 0     0 0'),

('insert role', NULL,
 $$INSERT INTO apikeys.role (name, level) VALUES ('regress_matrix_new', 'project')$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('insert role, granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_role TO PUBLIC$$,
 $$INSERT INTO apikeys.role (name, level) VALUES ('regress_matrix_new', 'project')$$,
                                     '1 1 1 1        1 1 1 1 1        1 1 1     1 1 1     1 1'),
('insert role.is_builtin, granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_role TO PUBLIC$$,
 $$INSERT INTO apikeys.role (name, level, is_builtin) VALUES ('regress_matrix_new', 'project', true)$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update role', NULL,
 $$UPDATE apikeys.role SET project_permissions = '{*}' WHERE name = 'regress_matrix_free'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update role, granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_role TO PUBLIC$$,
 $$UPDATE apikeys.role SET project_permissions = '{*}' WHERE name = 'regress_matrix_free'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete role', NULL,
 $$DELETE FROM apikeys.role WHERE name = 'regress_matrix_free'$$,
                                     '1 0 0 0        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('delete role, granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_role TO PUBLIC$$,
 $$DELETE FROM apikeys.role WHERE name = 'regress_matrix_free'$$,
                                     '1 1 1 1        1 1 1 1 1        1 1 1     1 1 1     1 1'),
('delete builtin role, granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_role TO PUBLIC$$,
 $$DELETE FROM apikeys.role WHERE name = 'GROUP_BACKUP_ADMIN'$$,
                                     '1 0 0 0        0 0 0 0 0        0 0 0     0 0 0     0 0'),

('insert member of acme', NULL,
 $$INSERT INTO apikeys.member (organization_id, principal, role) VALUES ({acme}, 'user:new', 'ORG_MEMBER')$$,
                                     '1 1 1 1        - - - - -        - - -     - - -     - -'),
('insert owner of acme', NULL,
 $$INSERT INTO apikeys.member (organization_id, principal, role) VALUES ({acme}, 'user:new', 'ORG_OWNER')$$,
                                     '1 1 1 1        - - - - -        - - -     - - -     - -'),
('insert member of A', NULL,
 $$INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES ({acme}, {A}, 'user:new', 'GROUP_READ_ONLY')$$,
                                     '1 1 1 1        - - - - -        1 1 -     - - -     - -'),
('insert owner of A', NULL,
 $$INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES ({acme}, {A}, 'user:new', 'GROUP_OWNER')$$,
                                     '1 1 1 1        - - - - -        1 1 -     - - -     - -'),
('insert owner of B', NULL,
 $$INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES ({acme}, {B}, 'user:new', 'GROUP_OWNER')$$,
                                     '1 1 1 1        - - - - -        - - -     1 1 -     - -'),
('insert member of the other organization', NULL,
 $$INSERT INTO apikeys.member (organization_id, principal, role) VALUES ({other}, 'user:new', 'ORG_OWNER')$$,
                                     '1 - - -        - - - - -        - - -     - - -     1 -'),
('insert member of acme in C', NULL,
 $$INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES ({acme}, {C}, 'user:new', 'GROUP_OWNER')$$,
                                     '23503 - - -    - - - - -        - - -     - - -     - -'),
('insert an org role in A', NULL,
 $$INSERT INTO apikeys.member (organization_id, project_id, principal, role) VALUES ({acme}, {A}, 'user:new', 'ORG_OWNER')$$,
                                     '23503 23503 23503 23503 - - - - -  23503 23503 -  - - -  - -'),
('update member', NULL,
 $$UPDATE apikeys.member SET role = 'ORG_OWNER' WHERE organization_id = {acme} AND principal = 'user:regress_matrix' AND project_id IS NULL$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete member of acme', NULL,
 $$DELETE FROM apikeys.member WHERE organization_id = {acme} AND project_id IS NULL AND principal = 'user:regress_matrix'$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('delete member of A', NULL,
 $$DELETE FROM apikeys.member WHERE project_id = {A} AND principal = 'user:regress_matrix'$$,
                                     '1 1 1 1        0 0 0 0 0        1 1 0     0 0 0     0 0'),

('insert key', NULL,
 $$INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_matrix_new', {acme}, 'new')$$,
                                     '1 1 1 1        - - - - -        1 1 -     1 1 -     - -'),
('insert key.created_by', NULL,
 $$INSERT INTO apikeys.key (public_key, organization_id, description, created_by) VALUES ('regress_matrix_new', {acme}, 'new', 'user:me')$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('insert key.disabled_at', NULL,
 $$INSERT INTO apikeys.key (public_key, organization_id, description, disabled_at) VALUES ('regress_matrix_new', {acme}, 'new', now())$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update key of organization', NULL,
 $$UPDATE apikeys.key SET description = 'after' WHERE public_key = 'regress_matrix_organization'$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('update key of A', NULL,
 $$UPDATE apikeys.key SET description = 'after' WHERE public_key = 'regress_matrix_a'$$,
                                     '1 1 1 1        0 0 0 0 0        1 1 0     0 0 0     0 0'),
('update key of B', NULL,
 $$UPDATE apikeys.key SET description = 'after' WHERE public_key = 'regress_matrix_b'$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     1 1 0     0 0'),
('update key of A and B', NULL,
 $$UPDATE apikeys.key SET description = 'after' WHERE public_key = 'regress_matrix_ab'$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('update key without roles', NULL,
 $$UPDATE apikeys.key SET description = 'after' WHERE public_key = 'regress_matrix_nowhere'$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('update key of C', NULL,
 $$UPDATE apikeys.key SET description = 'after' WHERE public_key = 'regress_matrix_c'$$,
                                     '1 0 0 0        0 0 0 0 0        0 0 0     0 0 0     1 0'),
('update all keys', NULL,
 $$UPDATE apikeys.key SET description = 'after' WHERE public_key ~ '^regress_matrix_'$$,
                                     '6 5 5 5        0 0 0 0 0        1 1 0     1 1 0     1 0'),
('update key.access_list', NULL,
 $$UPDATE apikeys.key SET access_list = '{}' WHERE public_key = 'regress_matrix_a'$$,
                                     '1 1 1 1        0 0 0 0 0        1 1 0     0 0 0     0 0'),
('update key.expires_at', NULL,
 $$UPDATE apikeys.key SET expires_at = NULL WHERE public_key = 'regress_matrix_a'$$,
                                     '1 1 1 1        0 0 0 0 0        1 1 0     0 0 0     0 0'),
('update key.disabled_at', NULL,
 $$UPDATE apikeys.key SET disabled_at = now() WHERE public_key = 'regress_matrix_a'$$,
                                     '1 1 1 1        0 0 0 0 0        1 1 0     0 0 0     0 0'),
('update key.public_key', NULL,
 $$UPDATE apikeys.key SET public_key = 'regress_matrix_new' WHERE public_key = 'regress_matrix_a'$$,
                                     '23503 - - -    - - - - -        - - -     - - -     - -'),
('update key.organization_id', NULL,
 $$UPDATE apikeys.key SET organization_id = {other} WHERE public_key = 'regress_matrix_a'$$,
                                     '23503 - - -    - - - - -        - - -     - - -     - -'),
('update key.created_at', NULL,
 $$UPDATE apikeys.key SET created_at = now() WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update key.created_by', NULL,
 $$UPDATE apikeys.key SET created_by = 'user:me' WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete key of organization', NULL,
 $$DELETE FROM apikeys.key WHERE public_key = 'regress_matrix_organization'$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('delete key of A', NULL,
 $$DELETE FROM apikeys.key WHERE public_key = 'regress_matrix_a'$$,
                                     '1 1 1 1        0 0 0 0 0        1 1 0     0 0 0     0 0'),
('delete key of A and B', NULL,
 $$DELETE FROM apikeys.key WHERE public_key = 'regress_matrix_ab'$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('delete all keys', NULL,
 $$DELETE FROM apikeys.key WHERE public_key ~ '^regress_matrix_'$$,
                                     '6 5 5 5        0 0 0 0 0        1 1 0     1 1 0     1 0'),

('insert role of key in acme', NULL,
 $$INSERT INTO apikeys.key_role (public_key, organization_id, role) VALUES ('regress_matrix_a', {acme}, 'ORG_MEMBER')$$,
                                     '1 1 1 1        - - - - -        - - -     - - -     - -'),
('insert role of key in A', NULL,
 $$INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress_matrix_organization', {acme}, {A}, 'GROUP_READ_ONLY')$$,
                                     '1 1 1 1        - - - - -        1 1 -     - - -     - -'),
('insert owning role of key in A', NULL,
 $$INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress_matrix_a', {acme}, {A}, 'GROUP_OWNER')$$,
                                     '1 1 1 1        - - - - -        1 1 -     - - -     - -'),
('insert role of key in C', NULL,
 $$INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress_matrix_a', {acme}, {C}, 'GROUP_READ_ONLY')$$,
                                     '23503 - - -    - - - - -        - - -     - - -     - -'),
('insert role of key in C, lying', NULL,
 $$INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress_matrix_a', {other}, {C}, 'GROUP_READ_ONLY')$$,
                                     '23503 - - -    - - - - -        - - -     - - -     23503 -'),
('insert org role of key in A', NULL,
 $$INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role) VALUES ('regress_matrix_a', {acme}, {A}, 'ORG_OWNER')$$,
                                     '23503 23503 23503 23503 - - - - -  23503 23503 -  - - -  - -'),
('update role of key', NULL,
 $$UPDATE apikeys.key_role SET role = 'GROUP_OWNER' WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete role of key in acme', NULL,
 $$DELETE FROM apikeys.key_role WHERE public_key = 'regress_matrix_organization'$$,
                                     '1 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('delete roles of key in A and B', NULL,
 $$DELETE FROM apikeys.key_role WHERE public_key = 'regress_matrix_ab'$$,
                                     '2 2 2 2        0 0 0 0 0        1 1 0     1 1 0     0 0'),

('insert secret of key of A', NULL,
 $$INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_matrix_a', 2, ('blake2b$0$' || repeat('0', 64))::apikeys.secret_hash, '')$$,
                                     '1 1 1 1        - - - - -        1 1 -     - - -     - -'),
('insert secret of key of A and B', NULL,
 $$INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('regress_matrix_ab', 2, ('blake2b$0$' || repeat('0', 64))::apikeys.secret_hash, '')$$,
                                     '1 1 1 1        - - - - -        - - -     - - -     - -'),
('insert key_secret.created_at', NULL,
 $$INSERT INTO apikeys.key_secret (public_key, version, hash, hint, created_at) VALUES ('regress_matrix_a', 2, ('blake2b$0$' || repeat('0', 64))::apikeys.secret_hash, '', now())$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update key_secret.expires_at', NULL,
 $$UPDATE apikeys.key_secret SET expires_at = now() WHERE public_key ~ '^regress_matrix_'$$,
                                     '6 5 5 5        0 0 0 0 0        1 1 0     1 1 0     1 0'),
('update key_secret.hash', NULL,
 $$UPDATE apikeys.key_secret SET hash = ('blake2b$0$' || repeat('0', 64))::apikeys.secret_hash WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete secrets', NULL,
 $$DELETE FROM apikeys.key_secret WHERE public_key ~ '^regress_matrix_'$$,
                                     '6 5 5 5        0 0 0 0 0        1 1 0     1 1 0     1 0'),

('insert key_usage', NULL,
 $$INSERT INTO apikeys.key_usage (public_key, use_count, last_used_at) VALUES ('regress_matrix_a', 1, now())$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update key_usage', NULL,
 $$UPDATE apikeys.key_usage SET use_count = 0 WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete key_usage', NULL,
 $$DELETE FROM apikeys.key_usage WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('insert key_role_usage', NULL,
 $$INSERT INTO apikeys.key_role_usage (public_key, role, last_used_at) VALUES ('regress_matrix_a', 'ORG_OWNER', now())$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update key_role_usage', NULL,
 $$UPDATE apikeys.key_role_usage SET last_used_at = now() WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete key_role_usage', NULL,
 $$DELETE FROM apikeys.key_role_usage WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),

('insert key_image',
 $$DELETE FROM apikeys.key_image WHERE public_key = 'regress_matrix_a'$$,
 $$INSERT INTO apikeys.key_image SELECT 'regress_matrix_a', {acme}, false, 'infinity', '{}', '{}', '{}', '{ORG_OWNER}', '{}', '{}', now(), ''$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update key_image', NULL,
 $$UPDATE apikeys.key_image SET organization_roles = '{ORG_OWNER}' WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete key_image', NULL,
 $$DELETE FROM apikeys.key_image WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),

('insert deleted_key', NULL,
 $$INSERT INTO apikeys.deleted_key (public_key) VALUES ('regress_matrix_new')$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('update deleted_key',
 $$DELETE FROM apikeys.key WHERE public_key = 'regress_matrix_a'$$,
 $$UPDATE apikeys.deleted_key SET public_key = 'regress_matrix_old' WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),
('delete deleted_key',
 $$DELETE FROM apikeys.key WHERE public_key = 'regress_matrix_a'$$,
 $$DELETE FROM apikeys.deleted_key WHERE public_key = 'regress_matrix_a'$$,
                                     '1 - - -        - - - - -        - - -     - - -     - -'),

-- A deleted key's name is not used again.
('insert key of a deleted name',
 $$DELETE FROM apikeys.key WHERE public_key = 'regress_matrix_a'$$,
 $$INSERT INTO apikeys.key (public_key, organization_id, description) VALUES ('regress_matrix_a', {acme}, 'new')$$,
                                     '23505 23505 23505 23505 - - - - -  23505 23505 -  23505 23505 -  - -'),

-- Without a condition, no policy for SELECT helps the others.
('update every organization',
 $$DELETE FROM apikeys.key WHERE public_key !~ '^regress_matrix_'; DELETE FROM apikeys.organization WHERE name !~ '^regress_matrix'$$,
 $$UPDATE apikeys.organization SET require_access_list = true$$,
                                     '2 1 1 1        0 0 0 0 0        0 0 0     0 0 0     1 0'),
('delete every project',
 $$DELETE FROM apikeys.project WHERE id NOT IN ({A}, {B}, {C})$$,
 $$DELETE FROM apikeys.project$$,
                                     '3 2 2 2        0 0 0 0 0        1 0 0     1 0 0     1 0'),
('update every key',
 $$DELETE FROM apikeys.key WHERE public_key !~ '^regress_matrix_'$$,
 $$UPDATE apikeys.key SET description = 'after'$$,
                                     '6 5 5 5        0 0 0 0 0        1 1 0     1 1 0     1 0'),
('delete every key',
 $$DELETE FROM apikeys.key WHERE public_key !~ '^regress_matrix_'$$,
 $$DELETE FROM apikeys.key$$,
                                     '6 5 5 5        0 0 0 0 0        1 1 0     1 1 0     1 0'),
('delete every role of a key',
 $$DELETE FROM apikeys.key WHERE public_key !~ '^regress_matrix_'$$,
 $$DELETE FROM apikeys.key_role$$,
                                     '6 5 5 5        0 0 0 0 0        2 2 0     2 2 0     1 0'),
('update every secret',
 $$DELETE FROM apikeys.key WHERE public_key !~ '^regress_matrix_'$$,
 $$UPDATE apikeys.key_secret SET expires_at = NULL$$,
                                     '6 5 5 5        0 0 0 0 0        1 1 0     1 1 0     1 0'),
('delete every secret',
 $$DELETE FROM apikeys.key WHERE public_key !~ '^regress_matrix_'$$,
 $$DELETE FROM apikeys.key_secret$$,
                                     '6 5 5 5        0 0 0 0 0        1 1 0     1 1 0     1 0'),

-- The views cannot be written to by anybody: 55000.
('insert keys', NULL,
 $$INSERT INTO apikeys.keys (public_key) VALUES ('regress_matrix_new')$$,
 '55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000'),
('update keys', NULL,
 $$UPDATE apikeys.keys SET description = 'after'$$,
 '55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000'),
('delete keys', NULL,
 $$DELETE FROM apikeys.keys$$,
 '55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000'),
('insert access_list_entries', NULL,
 $$INSERT INTO apikeys.access_list_entries (public_key, network) VALUES ('regress_matrix_a', '192.0.2.2')$$,
 '55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000'),
('update access_list_entries', NULL,
 $$UPDATE apikeys.access_list_entries SET network = '192.0.2.2'$$,
 '55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000'),
('delete access_list_entries', NULL,
 $$DELETE FROM apikeys.access_list_entries$$,
 '55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000 55000');
INSERT INTO act (name, statement, expected)
SELECT format('truncate %s', t), format('TRUNCATE apikeys.%I CASCADE', t),
                                     '+ - - -        - - - - -        - - -     - - -     - -'
FROM unnest('{organization,project,role,member,key,key_role,key_secret,key_usage,key_role_usage,deleted_key,key_image}'::text[]) AS t;

-- --- The functions ---------------------------------------------------------------
INSERT INTO act (name, setup, statement, effect, expected) VALUES
--                                       owner        organization      A        B        other
--                                    su . through   ro m  cr b  br   ow ad ro  ow ad ro  ow no
('organization()', NULL,
 $$SELECT apikeys.organization('regress_matrix acme')$$, 'true',
                                     '+ + + +        + + + + +        + + +     + + +     - -'),
('organization(), unknown', NULL,
 $$SELECT apikeys.organization('regress_matrix unknown')$$, 'true',
                                     '42704 - - -    - - - - -        - - -     - - -     - -'),
('project(), A', NULL,
 $$SELECT apikeys.project('regress_matrix acme', 'A')$$, 'true',
                                     '+ + + +        + - - - -        + + +     - - -     - -'),
('organization_of(), A', NULL,
 $$SELECT apikeys.organization_of({A})$$, 'true',
                                     '+ + + +        + - - - -        + + +     - - -     - -'),
('create_organization()', NULL,
 $$SELECT apikeys.create_organization('regress_matrix new')$$,
 $$EXISTS (SELECT FROM apikeys.organization AS o JOIN apikeys.member AS m ON m.organization_id = o.id
	WHERE o.name = 'regress_matrix new' AND m.role = 'ORG_OWNER')$$,
                                     '+ - - -        - - - - -        - - -     - - -     - -'),
('create_organization(), granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_organization TO PUBLIC$$,
 $$SELECT apikeys.create_organization('regress_matrix new')$$,
 $$EXISTS (SELECT FROM apikeys.organization AS o JOIN apikeys.member AS m ON m.organization_id = o.id
	WHERE o.name = 'regress_matrix new' AND m.role = 'ORG_OWNER' AND m.principal = {me})$$,
                                     '+ + + +        + + + + +        + + +     + + +     + +'),
('create_organization(), for another',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_organization TO PUBLIC$$,
 $$SELECT apikeys.create_organization('regress_matrix new', 'user:new')$$,
 $$EXISTS (SELECT FROM apikeys.organization AS o JOIN apikeys.member AS m ON m.organization_id = o.id
	WHERE o.name = 'regress_matrix new' AND m.role = 'ORG_OWNER' AND m.principal = 'user:new')$$,
                                     '+ + + +        + + + + +        + + +     + + +     + +'),
('delete_organization(), with keys', NULL,
 $$SELECT apikeys.delete_organization({acme})$$, 'false',
                                     '2BP01 2BP01 2BP01 2BP01 - - - - -  - - -  - - -     - -'),
('delete_organization(), without keys',
 $$DELETE FROM apikeys.key WHERE organization_id = {acme}$$,
 $$SELECT apikeys.delete_organization({acme})$$,
 $$NOT EXISTS (SELECT FROM apikeys.organization WHERE id = {acme})$$,
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
('create_project()', NULL,
 $$SELECT apikeys.create_project({acme}, 'new')$$,
 $$EXISTS (SELECT FROM apikeys.project WHERE organization_id = {acme} AND name = 'new')$$,
                                     '+ + + +        - - + - -        - - -     - - -     - -'),
('create_project(), owned by its creator', NULL,
 $$SELECT apikeys.create_project({acme}, 'new')$$,
 $$EXISTS (SELECT FROM apikeys.project AS p JOIN apikeys.member AS m ON m.project_id = p.id
	WHERE p.organization_id = {acme} AND p.name = 'new' AND m.role = 'GROUP_OWNER' AND m.principal = {me})
	OR {me} !~ 'creator'$$,
                                     '+ + + +        - - + - -        - - -     - - -     - -'),
('delete_project(), A', NULL,
 $$SELECT apikeys.delete_project({A})$$,
 $$NOT EXISTS (SELECT FROM apikeys.project WHERE id = {A})$$,
                                     '+ + + +        - - - - -        + - -     - - -     - -'),
('add_member(), of acme', NULL,
 $$SELECT apikeys.add_member({acme}, 'user:new', 'ORG_MEMBER')$$,
 $$EXISTS (SELECT FROM apikeys.member WHERE organization_id = {acme} AND project_id IS NULL AND principal = 'user:new' AND role = 'ORG_MEMBER')$$,
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
('add_member(), of A', NULL,
 $$SELECT apikeys.add_member({acme}, 'user:new', 'GROUP_READ_ONLY', {A})$$,
 $$EXISTS (SELECT FROM apikeys.member WHERE project_id = {A} AND principal = 'user:new' AND role = 'GROUP_READ_ONLY')$$,
                                     '+ + + +        - - - - -        + + -     - - -     - -'),
('add_member(), wrong level', NULL,
 $$SELECT apikeys.add_member({acme}, 'user:new', 'ORG_OWNER', {A})$$, 'false',
                                     '22023 22023 22023 22023 - - - - -  22023 22023 -  - - -  - -'),
('remove_member(), of acme', NULL,
 $$SELECT apikeys.remove_member({acme}, 'user:regress_matrix', 'ORG_MEMBER')$$,
 $$NOT EXISTS (SELECT FROM apikeys.member WHERE organization_id = {acme} AND project_id IS NULL AND principal = 'user:regress_matrix')$$,
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
('remove_member(), of A', NULL,
 $$SELECT apikeys.remove_member({acme}, 'user:regress_matrix', 'GROUP_READ_ONLY', {A})$$,
 $$NOT EXISTS (SELECT FROM apikeys.member WHERE project_id = {A} AND principal = 'user:regress_matrix')$$,
                                     '+ + + +        - - - - -        + + -     - - -     - -'),
('create_role()', NULL,
 $$SELECT apikeys.create_role('regress_matrix_new', 'project', '{}', '{clusters.*}', NULL)$$,
 $$EXISTS (SELECT FROM apikeys.role WHERE name = 'regress_matrix_new')$$,
                                     '+ - - -        - - - - -        - - -     - - -     - -'),
('create_role(), granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_role TO PUBLIC$$,
 $$SELECT apikeys.create_role('regress_matrix_new', 'project', '{}', '{clusters.*}', NULL)$$,
 $$EXISTS (SELECT FROM apikeys.role WHERE name = 'regress_matrix_new' AND NOT is_builtin)$$,
                                     '+ + + +        + + + + +        + + +     + + +     + +'),
('drop_role()', NULL,
 $$SELECT apikeys.drop_role('regress_matrix_free')$$,
 $$NOT EXISTS (SELECT FROM apikeys.role WHERE name = 'regress_matrix_free')$$,
                                     '+ - - -        - - - - -        - - -     - - -     - -'),
('drop_role(), granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_role TO PUBLIC$$,
 $$SELECT apikeys.drop_role('regress_matrix_free')$$,
 $$NOT EXISTS (SELECT FROM apikeys.role WHERE name = 'regress_matrix_free')$$,
                                     '+ + + +        + + + + +        + + +     + + +     + +'),
('drop_role(), builtin, granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.create_role TO PUBLIC$$,
 $$SELECT apikeys.drop_role('GROUP_BACKUP_ADMIN')$$, 'false',
 '2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01 2BP01'),

('create_key()', NULL,
 $$SELECT apikeys.create_key({acme}, 'new', '{ORG_READ_ONLY,ORG_MEMBER}', '{192.0.2.0/24}', 'infinity')$$,
 $$EXISTS (SELECT FROM apikeys.keys WHERE description = 'new' AND created_by = {me}
	AND organization_roles = '{ORG_MEMBER,ORG_READ_ONLY}' AND private_key IS NOT NULL)$$,
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
('create_key(), without roles', NULL,
 $$SELECT apikeys.create_key({acme}, 'new', '{}')$$,
 $$EXISTS (SELECT FROM apikeys.keys WHERE description = 'new' AND organization_roles = '{}')$$,
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
('create_project_key(), A', NULL,
 $$SELECT apikeys.create_project_key({A}, 'new', '{GROUP_READ_ONLY,GROUP_OWNER}', '{192.0.2.0/24}', 'infinity')$$,
 $$EXISTS (SELECT FROM apikeys.keys WHERE description = 'new' AND created_by = {me}
	AND projects = jsonb_build_array(jsonb_build_object('id', {A}, 'name', 'A', 'roles', '{GROUP_OWNER,GROUP_READ_ONLY}'::text[])))$$,
                                     '+ + + +        - - - - -        + + -     - - -     - -'),
('create_project_key(), B', NULL,
 $$SELECT apikeys.create_project_key({B}, 'new', '{GROUP_READ_ONLY}')$$,
 $$EXISTS (SELECT FROM apikeys.keys WHERE description = 'new')$$,
                                     '+ + + +        - - - - -        - - -     + + -     - -'),
('create_project_key(), C', NULL,
 $$SELECT apikeys.create_project_key({C}, 'new', '{GROUP_READ_ONLY}')$$,
 $$EXISTS (SELECT FROM apikeys.keys WHERE description = 'new')$$,
                                     '+ - - -        - - - - -        - - -     - - -     + -'),
('set_organization_roles(), key of organization', NULL,
 $$SELECT apikeys.set_organization_roles('regress_matrix_organization', '{ORG_OWNER}')$$,
 $$ARRAY(SELECT role FROM apikeys.key_role WHERE public_key = 'regress_matrix_organization') = '{ORG_OWNER}'$$,
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
('set_organization_roles(), key of A', NULL,
 $$SELECT apikeys.set_organization_roles('regress_matrix_a', '{ORG_MEMBER}')$$,
 $$EXISTS (SELECT FROM apikeys.key_role WHERE public_key = 'regress_matrix_a' AND role = 'ORG_MEMBER')$$,
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
('set_organization_roles(), none', NULL,
 $$SELECT apikeys.set_organization_roles('regress_matrix_organization', '{}')$$,
 $$NOT EXISTS (SELECT FROM apikeys.key_role WHERE public_key = 'regress_matrix_organization')$$,
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
('set_project_roles(), key of A, A', NULL,
 $$SELECT apikeys.set_project_roles('regress_matrix_a', {A}, '{GROUP_OWNER}')$$,
 $$ARRAY(SELECT role FROM apikeys.key_role WHERE public_key = 'regress_matrix_a') = '{GROUP_OWNER}'$$,
                                     '+ + + +        - - - - -        + + -     - - -     - -'),
('set_project_roles(), key of A, B', NULL,
 $$SELECT apikeys.set_project_roles('regress_matrix_a', {B}, '{GROUP_OWNER}')$$,
 $$ARRAY(SELECT role FROM apikeys.key_role WHERE public_key = 'regress_matrix_a' ORDER BY role) = '{GROUP_OWNER,GROUP_READ_ONLY}'$$,
                                     '+ + + +        - - - - -        - - -     + + -     - -'),
('set_project_roles(), key of A and B, A', NULL,
 $$SELECT apikeys.set_project_roles('regress_matrix_ab', {A}, '{GROUP_OWNER}')$$,
 $$ARRAY(SELECT role FROM apikeys.key_role WHERE public_key = 'regress_matrix_ab' ORDER BY role) = '{GROUP_OWNER,GROUP_READ_ONLY}'$$,
                                     '+ + + +        - - - - -        + + -     - - -     - -'),
('set_project_roles(), key of organization, A', NULL,
 $$SELECT apikeys.set_project_roles('regress_matrix_organization', {A}, '{GROUP_READ_ONLY}')$$,
 $$EXISTS (SELECT FROM apikeys.key_role WHERE public_key = 'regress_matrix_organization' AND project_id = {A})$$,
                                     '+ + + +        - - - - -        + + -     - - -     - -'),
('set_project_roles(), key of A, C', NULL,
 $$SELECT apikeys.set_project_roles('regress_matrix_a', {C}, '{GROUP_READ_ONLY}')$$, 'false',
                                     '42704 - - -    - - - - -        - - -     - - -     42704 -'),
('set_project_roles(), none', NULL,
 $$SELECT apikeys.set_project_roles('regress_matrix_a', {A}, '{}')$$, 'false',
 '22023 22023 22023 22023 22023 22023 22023 22023 22023 22023 22023 22023 22023 22023 22023 22023 22023'),
('replace_roles(), key of A, A', NULL,
 $$SELECT apikeys.replace_roles('regress_matrix_a', {acme}, {A}, '{}')$$,
 $$NOT EXISTS (SELECT FROM apikeys.key_role WHERE public_key = 'regress_matrix_a')$$,
                                     '+ + + +        - - - - -        + + -     - - -     - -'),
('remove_from_project(), key of A', NULL,
 $$SELECT apikeys.remove_from_project('regress_matrix_a', {A})$$,
 $$NOT EXISTS (SELECT FROM apikeys.key_role WHERE public_key = 'regress_matrix_a')
	AND EXISTS (SELECT FROM apikeys.key WHERE public_key = 'regress_matrix_a')$$,
                                     '+ + + +        - - - - -        + + -     - - -     - -'),
('remove_from_project(), key of A and B, B', NULL,
 $$SELECT apikeys.remove_from_project('regress_matrix_ab', {B})$$,
 $$ARRAY(SELECT project_id FROM apikeys.key_role WHERE public_key = 'regress_matrix_ab') = ARRAY[{A}::uuid]$$,
                                     '+ + + +        - - - - -        - - -     + + -     - -');

-- What is done to one key: who manages it may, whatever it is.
CREATE TEMP TABLE key_act (name text, setup text, statement text, effect text);
INSERT INTO key_act VALUES
('update_key()', NULL,
 $$SELECT apikeys.update_key({key}, 'after')$$,
 $$(SELECT description FROM apikeys.key WHERE public_key = {key}) = 'after'$$),
('add_to_access_list()', NULL,
 $$SELECT apikeys.add_to_access_list({key}, '192.0.2.9', '198.51.100.0/24')$$,
 $$(SELECT access_list OPERATOR(apikeys.@>) '192.0.2.9' FROM apikeys.key WHERE public_key = {key})$$),
('remove_from_access_list()',
 $$UPDATE apikeys.key SET access_list = '{192.0.2.9,192.0.2.10}'$$,
 $$SELECT apikeys.remove_from_access_list({key}, '192.0.2.9')$$,
 $$(SELECT NOT access_list OPERATOR(apikeys.@>) '192.0.2.9' FROM apikeys.key WHERE public_key = {key})$$),
('rotate_secret()', NULL,
 $$SELECT apikeys.rotate_secret({key})$$,
 $$(SELECT count(*) = 2 AND count(*) FILTER (WHERE expires_at <= clock_timestamp()) = 1
	FROM apikeys.key_secret WHERE public_key = {key})$$),
('issue_secret()', NULL,
 $$SELECT apikeys.issue_secret({key})$$,
 $$(SELECT count(*) = 2 FROM apikeys.key_secret WHERE public_key = {key})$$),
('disable_key()', NULL,
 $$SELECT apikeys.disable_key({key})$$,
 $$(SELECT disabled_at IS NOT NULL FROM apikeys.key WHERE public_key = {key})$$),
('enable_key()',
 $$UPDATE apikeys.key SET disabled_at = now()$$,
 $$SELECT apikeys.enable_key({key})$$,
 $$(SELECT disabled_at IS NULL FROM apikeys.key WHERE public_key = {key})$$),
('delete_key()', NULL,
 $$SELECT apikeys.delete_key({key})$$,
 $$NOT EXISTS (SELECT FROM apikeys.key WHERE public_key = {key})$$);
INSERT INTO act (name, setup, statement, effect, expected)
SELECT format('%s, key of %s', a.name, k.name), a.setup,
	replace(a.statement, '{key}', quote_literal(k.public_key)),
	replace(a.effect, '{key}', quote_literal(k.public_key)), k.expected
FROM key_act AS a, (VALUES
--                                       owner        organization      A        B        other
--                                    su . through   ro m  cr b  br   ow ad ro  ow ad ro  ow no
	(1, 'organization', 'regress_matrix_organization',
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
	(2, 'A', 'regress_matrix_a',
                                     '+ + + +        - - - - -        + + -     - - -     - -'),
	(3, 'B', 'regress_matrix_b',
                                     '+ + + +        - - - - -        - - -     + + -     - -'),
	(4, 'A and B', 'regress_matrix_ab',
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
	(5, 'nothing', 'regress_matrix_nowhere',
                                     '+ + + +        - - - - -        - - -     - - -     - -'),
	(6, 'C', 'regress_matrix_c',
                                     '+ - - -        - - - - -        - - -     - - -     + -'),
	(7, 'nobody: unknown', 'regress_matrix_unknown',
                                     '42704 - - -    - - - - -        - - -     - - -     - -'))
	AS k (number, name, public_key, expected)
ORDER BY a.name COLLATE "C", k.number;

INSERT INTO act (name, setup, statement, effect, expected) VALUES
--                                       owner        organization      A        B        other
--                                    su . through   ro m  cr b  br   ow ad ro  ow ad ro  ow no
('authorize()', NULL,
 $$SELECT apikeys.authorize('regress_matrix_a', 'a secret', '192.0.2.1', 'clusters.read')$$, 'true',
                                     '+ - - -        - - - - -        - - -     - - -     - -'),
('authorize(), granted',
 $$GRANT EXECUTE ON FUNCTION apikeys.authorize TO PUBLIC$$,
 $$SELECT count(*) FROM (SELECT) AS one WHERE apikeys.authorize('regress_matrix_a', 'a secret', '192.0.2.1', 'clusters.read', {A})$$, NULL,
                                     '1 1 1 1        1 1 1 1 1        1 1 1     1 1 1     1 1'),
('decide()', NULL,
 $$SELECT apikeys.decide('regress_matrix_a', 'a secret', '192.0.2.1', 'clusters.read')$$, 'true',
                                     '+ - - -        - - - - -        - - -     - - -     - -'),
('rebuild_images()', NULL,
 $$SELECT apikeys.rebuild_images()$$,
 $$(SELECT count(*) FROM apikeys.key_image) = (SELECT count(*) FROM apikeys.key)$$,
                                     '+ - - -        - - - - -        - - -     - - -     - -'),
('act_as()', NULL,
 $$SELECT apikeys.act_as('user:regress_matrix_owner')$$, $$apikeys.principal() = 'user:regress_matrix_owner'$$,
                                     '+ - - +        - - - - -        - - -     - - -     - -'),
('principal()', NULL,
 $$SELECT count(*) FROM (SELECT) AS one WHERE apikeys.principal() = {me}$$, NULL,
                                     '1 1 1 1        1 1 1 1 1        1 1 1     1 1 1     1 1'),
('principal_may(), acme', NULL,
 $$SELECT count(*) FROM (SELECT) AS one WHERE apikeys.principal_may('apikeys.keys.manage', {acme})$$, NULL,
                                     '0 1 1 1        0 0 0 0 0        0 0 0     0 0 0     0 0'),
('principal_may(), A', NULL,
 $$SELECT count(*) FROM (SELECT) AS one WHERE apikeys.principal_may('apikeys.keys.manage', {acme}, {A})$$, NULL,
                                     '0 1 1 1        0 0 0 0 0        1 1 0     0 0 0     0 0'),
('principal_may(), A of the other', NULL,
 $$SELECT count(*) FROM (SELECT) AS one WHERE apikeys.principal_may('apikeys.keys.manage', {other}, {A})$$, NULL,
                                     '0 0 0 0        0 0 0 0 0        0 0 0     0 0 0     0 0');

-- --- The runner ------------------------------------------------------------------
-- Does an act as a principal, undoes it, and returns the outcome.
CREATE FUNCTION pg_temp.outcome(act act, principal principal) RETURNS text
	LANGUAGE plpgsql
AS $$
DECLARE
	me text := coalesce(principal.acts_as, 'role:' || coalesce(principal.database_role, session_user));
	ids jsonb := jsonb_build_object(
		'acme', '10000000-0000-0000-0000-000000000000', 'other', '20000000-0000-0000-0000-000000000000',
		'A', '1a000000-0000-0000-0000-000000000000', 'B', '1b000000-0000-0000-0000-000000000000',
		'C', '2c000000-0000-0000-0000-000000000000', 'me', me);
	id record;
	found bigint;
	done boolean;
BEGIN
	FOR id IN SELECT format('{%s}', key) AS name, quote_literal(value) AS value FROM jsonb_each_text(ids) LOOP
		act.setup := replace(act.setup, id.name, id.value);
		act.statement := replace(act.statement, id.name, id.value);
		act.effect := replace(act.effect, id.name, id.value);
	END LOOP;
	IF act.setup IS NOT NULL THEN
		EXECUTE act.setup;
	END IF;
	IF principal.database_role IS NOT NULL THEN
		PERFORM set_config('role', principal.database_role, true);
	END IF;
	IF principal.acts_as IS NOT NULL THEN
		PERFORM apikeys.act_as(principal.acts_as);
	END IF;
	IF act.statement LIKE 'SELECT count%' THEN
		EXECUTE act.statement INTO found;
	ELSE
		EXECUTE act.statement;
		GET DIAGNOSTICS found = ROW_COUNT;
	END IF;
	PERFORM set_config('role', 'none', true);
	IF act.statement LIKE 'TRUNCATE %' THEN
		RAISE SQLSTATE 'ZZ000' USING MESSAGE = '+';
	ELSIF act.statement NOT LIKE 'SELECT apikeys.%' THEN
		RAISE SQLSTATE 'ZZ000' USING MESSAGE = found;
	END IF;
	EXECUTE 'SELECT ' || act.effect INTO done;
	RAISE SQLSTATE 'ZZ000' USING MESSAGE = CASE WHEN done THEN '+' ELSE 'said to be done' END;
EXCEPTION WHEN OTHERS THEN
	RETURN CASE SQLSTATE WHEN 'ZZ000' THEN SQLERRM WHEN '42501' THEN '-' ELSE SQLSTATE END;
END;
$$;

CREATE TEMP TABLE cell AS
SELECT a.number AS act, p.number AS principal, e.expected,
	pg_temp.outcome(a, p) AS outcome
FROM act AS a
	CROSS JOIN LATERAL regexp_split_to_table(a.expected, '\s+') WITH ORDINALITY AS e (expected, number)
	LEFT JOIN principal AS p ON p.number = e.number
ORDER BY a.number, e.number;

-- Each act has an outcome expected for each principal, and no outcome differs.
SELECT count(DISTINCT act) AS acts, count(DISTINCT principal) AS principals,
	count(*) = count(DISTINCT act) * count(DISTINCT principal) AS complete
FROM cell;
SELECT a.name AS act, p.name AS principal, c.expected, c.outcome
FROM cell AS c JOIN act AS a ON a.number = c.act LEFT JOIN principal AS p ON p.number = c.principal
WHERE c.expected IS DISTINCT FROM c.outcome
ORDER BY c.act, c.principal;

-- For readers: the principals by number, and what each may do.
SELECT number, name FROM principal ORDER BY number;
SELECT a.name AS act,
	string_agg(c.outcome, ' ' ORDER BY c.principal) FILTER (WHERE c.principal <= 4) AS "1 to 4",
	string_agg(c.outcome, ' ' ORDER BY c.principal) FILTER (WHERE c.principal BETWEEN 5 AND 9) AS "5 to 9",
	string_agg(c.outcome, ' ' ORDER BY c.principal) FILTER (WHERE c.principal BETWEEN 10 AND 12) AS "10 to 12",
	string_agg(c.outcome, ' ' ORDER BY c.principal) FILTER (WHERE c.principal BETWEEN 13 AND 15) AS "13 to 15",
	string_agg(c.outcome, ' ' ORDER BY c.principal) FILTER (WHERE c.principal >= 16) AS "16 to 17"
FROM cell AS c JOIN act AS a ON a.number = c.act
GROUP BY a.number, a.name ORDER BY a.number;

-- add_current_address() needs a connection that has an address; who manages
-- the key may, as above.
SELECT count(*) AS differences
FROM principal AS p CROSS JOIN LATERAL (
	SELECT pg_temp.outcome(ROW(0, 'add_current_address()', NULL,
		$$SELECT apikeys.add_current_address('regress_matrix_a')$$,
		$$(SELECT access_list OPERATOR(apikeys.@>) inet_client_addr() FROM apikeys.key WHERE public_key = 'regress_matrix_a')$$, NULL)::act, p)
	OFFSET 0) AS o (outcome)
WHERE o.outcome <> CASE
	WHEN inet_client_addr() IS NULL THEN '55000'
	WHEN p.number IN (1, 2, 3, 4, 10, 11) THEN '+'
	ELSE '-' END;

-- Nothing has been changed by all this.
SELECT (SELECT count(*) FROM apikeys.organization WHERE name ~ '^regress_matrix') AS organizations,
	(SELECT count(*) FROM apikeys.key WHERE public_key ~ '^regress_matrix' AND description = 'before') AS keys,
	(SELECT count(*) FROM apikeys.member WHERE principal ~ 'regress_.*matrix') AS members,
	has_function_privilege('public', 'apikeys.create_role(text,text,text[],text[],text)', 'EXECUTE') AS granted;

DELETE FROM apikeys.key WHERE public_key ~ '^regress_matrix';
DELETE FROM apikeys.deleted_key WHERE public_key ~ '^regress_matrix';
DELETE FROM apikeys.organization WHERE name ~ '^regress_matrix';
DELETE FROM apikeys.role WHERE name ~ '^regress_matrix';
SELECT format('DROP ROLE %I', database_role) FROM principal WHERE database_role IS NOT NULL ORDER BY number \gexec
DROP ROLE regress_apikeys_matrix_owners;
