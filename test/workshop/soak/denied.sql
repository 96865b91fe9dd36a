\set n random(1, 1000)
SELECT 1 / (NOT apikeys.authorize('soak' || :n, 'no secret', '192.0.2.1', 'clusters.read'))::integer;
