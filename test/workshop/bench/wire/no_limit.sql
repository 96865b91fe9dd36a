\set public_key 1000000000000000007 + :keys
\set secret 2000000000000000007 + :keys
SELECT apikeys.authorize(:public_key, :secret, :ip, :scope);
