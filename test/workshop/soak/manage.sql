-- The life of a key.
SELECT public_key, private_key FROM apikeys.create_key('10000000-0000-0000-0000-000000000000', 'a short life', '{ORG_READ_ONLY}') \gset
SELECT 1 / apikeys.authorize(:public_key, :private_key, NULL, 'clusters.read')::integer;
SELECT apikeys.set_project_roles(:public_key, '1a000000-0000-0000-0000-000000000000', '{GROUP_BACKUP_ADMIN}');
SELECT apikeys.rotate_secret(:public_key, '1 hour') AS second \gset
SELECT apikeys.add_to_access_list(:public_key, '198.51.100.0/24');
SELECT 1 / apikeys.authorize(:public_key, :second, '198.51.100.1', 'backups.create', '1a000000-0000-0000-0000-000000000000')::integer;
SELECT public_key FROM apikeys.keys WHERE public_key = :public_key;
SELECT apikeys.disable_key(:public_key);
SELECT 1 / (NOT apikeys.authorize(:public_key, :second, '198.51.100.1', 'clusters.read'))::integer;
SELECT apikeys.delete_key(:public_key);
