-- audit.sql: has the changes of keys audited, or not: ENABLE or DISABLE in :audit.
SELECT format('ALTER TABLE %s %s TRIGGER %I', tgrelid::regclass, :'audit', tgname)
FROM pg_trigger WHERE tgfoid = 'apikeys.audited()'::regprocedure AND tgname ~ '^key' \gexec
