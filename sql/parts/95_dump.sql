-- What pg_dump includes: all rows except the built-in roles, and members that were
-- PostgreSQL roles which are dropped now.  Of these only a number is left, which is
-- nobody or somebody else where the dump is restored.
SELECT pg_extension_config_dump('apikeys.organization', '');
SELECT pg_extension_config_dump('apikeys.project', '');
SELECT pg_extension_config_dump('apikeys.role', 'WHERE NOT is_builtin');
SELECT pg_extension_config_dump('apikeys.member',
	'WHERE database_role IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid = database_role)');
SELECT pg_extension_config_dump('apikeys.key', '');
SELECT pg_extension_config_dump('apikeys.key_role', '');
SELECT pg_extension_config_dump('apikeys.key_secret', '');
SELECT pg_extension_config_dump('apikeys.key_network', '');
SELECT pg_extension_config_dump('apikeys.key_limit', '');
SELECT pg_extension_config_dump('apikeys.organization_limit', '');
SELECT pg_extension_config_dump('apikeys.quota_usage', '');
SELECT pg_extension_config_dump('apikeys.key_usage', '');
SELECT pg_extension_config_dump('apikeys.key_role_usage', '');
SELECT pg_extension_config_dump('apikeys.key_denial', '');
SELECT pg_extension_config_dump('apikeys.key_history', '');
SELECT pg_extension_config_dump('apikeys.key_day', '');
SELECT pg_extension_config_dump('apikeys.deleted_key', '');
SELECT pg_extension_config_dump('apikeys.audit_event', '');
SELECT pg_extension_config_dump('apikeys.audit_event_id_seq', '');
SELECT pg_extension_config_dump('apikeys.audit_seal', '');
SELECT pg_extension_config_dump('apikeys.audit_chain', '');
