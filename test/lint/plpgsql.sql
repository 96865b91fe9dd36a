-- Every PL/pgSQL function of the extension, checked by plpgsql_check where the
-- server has it: "ok" or "not ok" for each, after what was found.
SELECT NOT EXISTS (SELECT FROM pg_available_extensions
                   WHERE name = 'plpgsql_check') AS missing \gset
\if :missing
\echo 'ok - plpgsql_check is not installed # SKIP'
\quit
\endif

CREATE EXTENSION apikeys;
CREATE EXTENSION plpgsql_check;

-- A trigger function is checked once for each table that it serves.  The
-- statements that change_access and set_trigger_modes execute come from lists
-- of the extension's own, and from catalogs, with quoted names.
CREATE TEMP TABLE finding AS
SELECT p.oid::regprocedure AS function, c.found
FROM pg_proc AS p
JOIN pg_depend AS d
  ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'apikeys'
JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
LEFT JOIN pg_trigger AS t ON t.tgfoid = p.oid
LEFT JOIN LATERAL plpgsql_check_function(
    p.oid, coalesce(t.tgrelid, 0),
    oldtable := t.tgoldtable, newtable := t.tgnewtable,
    fatal_errors := false,
    security_warnings := p.proname NOT IN ('change_access', 'set_trigger_modes')) AS c(found) ON true;

SELECT CASE WHEN count(found) = 0 THEN 'ok - ' || function
            ELSE string_agg(found, E'\n') || E'\nnot ok - ' || function
       END
FROM finding
GROUP BY function
ORDER BY count(found) > 0, function::text;
