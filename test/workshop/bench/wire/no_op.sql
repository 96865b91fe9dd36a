\set id random(1, :keys)
\set public_key 1000000000000000000 + :id
\set secret 2000000000000000000 + :id
SELECT num_nulls(:public_key::text, :secret::text, :ip::inet, :scope::text) = 0;
