\set id random(1, :keys)
\set public_key 1000000000000000000 + :id
\set secret 2000000000000000000 + :id
SELECT bench.authorize(:public_key, :secret, :ip, :scope);
