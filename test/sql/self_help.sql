-- What principals give to themselves: rights beyond a token, a right to rotate by a
-- project of one's own, an end of a membership.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	identifier text;
BEGIN
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
	RETURN SQLSTATE || ' ' || identifier;
END;
$$;
SELECT apikeys.create_organization('regress self help', 'user:regress_owner') AS org,
	apikeys.create_organization('regress self help too', 'user:regress_stranger') AS other \gset
SELECT apikeys.create_project(:'org', 'one') AS one \gset

-- A token that was narrowed grants nothing beyond it, also if the key may grant any.
SELECT public_key AS owner FROM apikeys.create_key(:'org', 'an owner', '{ORG_OWNER}') \gset
SELECT apikeys.issue_token('1 hour', '{apikeys.*}', public_key => :'owner') AS narrowed,
	apikeys.issue_token('1 hour', public_key => :'owner') AS whole \gset
BEGIN;
SELECT apikeys.authenticate_token(:'narrowed', '192.0.2.1'::inet) = :'owner' AS bound;
SELECT n, pg_temp.try(format(statement, :'org', :'one')) FROM (VALUES
	(1, $$SELECT apikeys.create_key(%1$L, 'a key', '{ORG_OWNER}')$$),
	(2, $$SELECT apikeys.create_key(%1$L, 'a key', '{}', permissions => '{clusters.read}')$$),
	(3, $$SELECT apikeys.create_project_key(%2$L, 'a key', '{GROUP_OWNER}')$$),
	(4, $$SELECT apikeys.add_member(%1$L, 'user:regress_thief', 'ORG_OWNER')$$),
	(5, $$SELECT apikeys.create_role('regress_all', 'organization', '{*}', '{*}', NULL, %1$L)$$),
	(6, $$SELECT apikeys.create_key(%1$L, 'a key', '{}', permissions => '{apikeys.keys.read}')$$)) AS v (n, statement) ORDER BY n;
ROLLBACK;
BEGIN;
SELECT apikeys.authenticate_token(:'whole', '192.0.2.1'::inet) = :'owner' AS bound;
SELECT pg_temp.try(format($$SELECT apikeys.create_key(%L, 'a key', '{ORG_OWNER}')$$, :'org'));
ROLLBACK;

-- apikeys.self.rotate counts in the organization, or in every place of the key.
SELECT public_key AS creator, private_key AS secret FROM apikeys.create_key(:'org', 'creates projects', '{ORG_BILLING_ADMIN,ORG_GROUP_CREATOR}') \gset
BEGIN;
SELECT apikeys.authenticate(:'creator', :'secret', '192.0.2.1'::inet) = :'creator' AS bound;
SELECT apikeys.create_project(:'org', 'mine') AS mine \gset
SELECT pg_temp.try(format('SELECT apikeys.rotate_secret(%L)', :'creator')) AS rotated, pg_temp.try(format('SELECT apikeys.revoke_secret(%L, 1)', :'creator')) AS revoked;
ROLLBACK;
SELECT public_key AS worker, private_key AS secret FROM apikeys.create_project_key(:'one', 'rotates itself', '{GROUP_READ_ONLY}', permissions => '{apikeys.self.rotate}') \gset
BEGIN;
SELECT apikeys.authenticate(:'worker', :'secret', '192.0.2.1'::inet) = :'worker' AS bound;
SELECT pg_temp.try(format('SELECT apikeys.rotate_secret(%L)', :'worker')) AS rotated;
ROLLBACK;
SELECT apikeys.create_project(:'org', 'two') AS two \gset
SELECT FROM apikeys.set_project_roles(:'worker', :'two', '{GROUP_READ_ONLY}');
BEGIN;
SELECT apikeys.authenticate(:'worker', :'secret', '192.0.2.1'::inet) = :'worker' AS bound;
SELECT pg_temp.try(format('SELECT apikeys.rotate_secret(%L)', :'worker')) AS rotated;
ROLLBACK;
SELECT FROM apikeys.set_organization_roles(:'worker', '{}', '{apikeys.self.rotate}');
BEGIN;
SELECT apikeys.authenticate(:'worker', :'secret', '192.0.2.1'::inet) = :'worker' AS bound;
SELECT pg_temp.try(format('SELECT apikeys.rotate_secret(%L)', :'worker')) AS rotated;
ROLLBACK;

-- A member leaves by itself, and nobody else makes it do so.
CREATE ROLE regress_apikeys_help;
SELECT apikeys.grant_access('regress_apikeys_help', 'manage', 'impersonate') \g /dev/null
SELECT apikeys.add_member(:'other', 'user:regress_owner', 'ORG_READ_ONLY'), apikeys.add_member(:'other', 'user:regress_third', 'ORG_READ_ONLY'),
	apikeys.add_member(:'other', 'role:regress_apikeys_help', 'ORG_READ_ONLY');
SET ROLE regress_apikeys_help;
SELECT pg_temp.try(format($$SELECT apikeys.remove_member(%L, 'role:regress_apikeys_help', 'ORG_READ_ONLY')$$, :'other')) AS role_leaves;
BEGIN;
SELECT apikeys.act_as('user:regress_owner');
SELECT n, pg_temp.try(format(statement, :'org', :'other')) FROM (VALUES
	(1, $$SELECT apikeys.remove_member(%2$L, 'user:regress_third', 'ORG_READ_ONLY')$$),
	(2, $$SELECT apikeys.remove_member(%2$L, 'user:regress_owner', 'ORG_MEMBER')$$),
	(3, $$SELECT apikeys.remove_member(%2$L, 'user:regress_owner', 'ORG_READ_ONLY')$$),
	(4, $$SELECT apikeys.remove_member(%2$L, 'user:regress_owner', 'ORG_READ_ONLY')$$),
	(5, $$SELECT apikeys.remove_member(%1$L, 'user:regress_owner', 'ORG_OWNER')$$)) AS v (n, statement) ORDER BY n;
SELECT count(*) FROM apikeys.organization WHERE name LIKE 'regress self help%';
COMMIT;
-- A sample is a sample.
BEGIN;
SELECT apikeys.act_as('user:regress_owner');
SELECT count(*) FROM (SELECT * FROM apikeys.key TABLESAMPLE bernoulli(0) ORDER BY created_at, public_key LIMIT 5) AS s;
COMMIT;
RESET ROLE;

SELECT count(apikeys.delete_key(public_key)) FROM apikeys.key WHERE organization_id = :'org';
SELECT apikeys.delete_organization(:'org'), apikeys.delete_organization(:'other');
DELETE FROM apikeys.deleted_key AS d WHERE d.public_key IN (:'owner', :'creator', :'worker');
DROP OWNED BY regress_apikeys_help;
DROP ROLE regress_apikeys_help;
