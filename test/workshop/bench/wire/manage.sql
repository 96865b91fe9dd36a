\set n random(1, 1000000000000)
BEGIN;
SELECT apikeys.create_organization('Managed ' || :n::text, 'user:' || :n::text) AS organization \gset
SELECT apikeys.act_as('user:' || :n::text, NULL::inet);
SELECT apikeys.add_member(:organization::uuid, 'user:' || :n::text || ' too', 'ORG_READ_ONLY');
SELECT public_key FROM apikeys.create_key(:organization::uuid, 'a key', '{ORG_READ_ONLY}') \gset
SELECT apikeys.update_key(:public_key, description => 'a changed key');
END;
