SELECT apikeys.create_key(apikeys.organization('Import'), 'a key', '{ORG_READ_ONLY}');
