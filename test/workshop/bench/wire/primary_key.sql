\set id random(1, :keys)
\set public_key 1000000000000000000 + :id
SELECT description FROM apikeys.key WHERE public_key = :public_key;
