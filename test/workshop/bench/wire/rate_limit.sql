\set public_key 1000000000000000008 + :keys
\set secret 2000000000000000008 + :keys
SELECT apikeys.authorize(:public_key, :secret, :ip, :scope);
