\set n random(1, 1000000000000)
BEGIN;
SELECT apikeys.create_organization('Managed ' || :n, 'user:' || :n) AS organization \gset
SELECT apikeys.act_as('user:' || :n);
SELECT apikeys.add_member(:organization, 'user:other ' || :n, 'ORG_READ_ONLY');
SELECT public_key FROM apikeys.create_key(:organization, 'a key', '{ORG_READ_ONLY}') \gset
SELECT apikeys.update_key(:public_key, description => 'a changed key');
END;
