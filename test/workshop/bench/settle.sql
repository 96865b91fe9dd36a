-- settle.sql: nothing is left to be done in the background, and all that fits is
-- in memory.
SELECT definition FROM bench.index \gexec
DROP TABLE bench.index;
SELECT apikeys.rebuild_images() \g /dev/null
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_prewarm') AS can_prewarm \gset
\if :can_prewarm
    CREATE EXTENSION pg_prewarm;
    -- What fits stays, of the last: the indexes, and what decisions read.
    SELECT sum(pg_prewarm(c.oid)) AS pages
    FROM (SELECT oid FROM pg_class
        WHERE relnamespace IN ('apikeys'::regnamespace, 'bench'::regnamespace) AND relkind IN ('r', 'i')
        ORDER BY relname = 'key_image', relkind DESC, pg_relation_size(oid) DESC) AS c
    \g /dev/null
\endif
SELECT format('%s keys, %s in tables and indexes of the extension, %s of the PL/pgSQL',
    (SELECT count(*) FROM apikeys.key),
    pg_size_pretty(sum(pg_total_relation_size(oid)) FILTER (WHERE relnamespace = 'apikeys'::regnamespace)),
    pg_size_pretty(sum(pg_total_relation_size(oid)) FILTER (WHERE relnamespace = 'bench'::regnamespace)))
FROM pg_class WHERE relkind = 'r';
