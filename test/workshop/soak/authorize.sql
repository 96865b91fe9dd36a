\set n random(1, 1000)
SELECT 1 / apikeys.authorize('soak' || :n, 'a secret', '192.0.2.1', 'clusters.read')::integer;
