\set id random(1, :keys)
SELECT 1;
