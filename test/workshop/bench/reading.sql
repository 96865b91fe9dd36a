-- reading.sql: one round of one statement, :name, 20 times.  Prints CSV: measurement,
-- round, the median in microseconds.
CALL bench.read(:'name', :round, 20);
\copy (SELECT r.name, t.round, round(t.us) FROM bench.reading_result AS t JOIN bench.reading AS r USING (position)) TO pstdout (FORMAT csv, FORCE_QUOTE (name))
TRUNCATE bench.reading_result;
