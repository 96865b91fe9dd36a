-- On top of demo.sql: who can sign in to the console, and enough keys to turn pages.
\set ON_ERROR_STOP on
SELECT apikeys.add_member(apikeys.organization('Acme'), 'user:anna', 'ORG_OWNER');
SELECT apikeys.add_member(apikeys.organization('Acme'), 'user:gustav', 'ORG_READ_ONLY');
SELECT apikeys.add_member(apikeys.organization('Acme'), 'user:bert', 'GROUP_USER_ADMIN',
	apikeys.project('Acme', 'production'));
SELECT apikeys.create_organization('Globex', 'user:dora');
SELECT apikeys.create_project(apikeys.organization('Globex'), 'website');

DO $$
BEGIN
	PERFORM apikeys.act_as('user:anna', '203.0.113.9');
	PERFORM apikeys.create_project_key(apikeys.project('Acme', 'production'), 'Backup of region ' || n,
			'{GROUP_BACKUP_ADMIN}', '{203.0.113.0/24}', now() + n * interval '30 days')
		FROM generate_series(1, 25) AS n;
END
$$;
DO $$
BEGIN
	PERFORM apikeys.act_as('user:dora', '198.51.100.3');
	PERFORM apikeys.create_key(apikeys.organization('Globex'), 'Everything', '{ORG_OWNER}');
END
$$;
