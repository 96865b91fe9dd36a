\set n random(1, 1000)
BEGIN;
SET LOCAL ROLE api;
SELECT apikeys.authenticate('soak' || :n, 'a secret', '192.0.2.1');
SELECT 1 / (count(*) = 20)::integer FROM public.invoice;
COMMIT;
