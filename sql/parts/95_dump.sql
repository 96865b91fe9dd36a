-- What pg_dump takes along: all rows but the roles that an install brings.
SELECT pg_extension_config_dump('apikeys.organization', '');
SELECT pg_extension_config_dump('apikeys.project', '');
SELECT pg_extension_config_dump('apikeys.role', 'WHERE NOT is_builtin');
SELECT pg_extension_config_dump('apikeys.member', '');
SELECT pg_extension_config_dump('apikeys.key', '');
SELECT pg_extension_config_dump('apikeys.key_role', '');
SELECT pg_extension_config_dump('apikeys.key_secret', '');
SELECT pg_extension_config_dump('apikeys.key_network', '');
SELECT pg_extension_config_dump('apikeys.key_usage', '');
SELECT pg_extension_config_dump('apikeys.key_role_usage', '');
SELECT pg_extension_config_dump('apikeys.key_denial', '');
SELECT pg_extension_config_dump('apikeys.key_history', '');
SELECT pg_extension_config_dump('apikeys.deleted_key', '');
SELECT pg_extension_config_dump('apikeys.audit_event', '');
SELECT pg_extension_config_dump('apikeys.audit_event_id_seq', '');
SELECT pg_extension_config_dump('apikeys.audit_seal', '');
SELECT pg_extension_config_dump('apikeys.audit_chain', '');
