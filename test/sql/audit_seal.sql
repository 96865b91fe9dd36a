-- The seals of the audit: whatever is done to events and seals is found.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_seal_auditor;
SELECT apikeys.grant_access('regress_apikeys_seal_auditor', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_seal_guest;
SELECT apikeys.grant_access('regress_apikeys_seal_guest', 'manage') \g /dev/null
-- A chain of its own: the audit begins here.
TRUNCATE apikeys.audit_event, apikeys.audit_seal, apikeys.audit_chain RESTART IDENTITY;

-- Who may.
SET ROLE regress_apikeys_seal_guest;
SELECT apikeys.seal_audit();
SELECT apikeys.verify_audit();
SELECT apikeys.prune_audit(now());
SELECT count(*) FROM apikeys.audit_seal;
SELECT count(*) FROM apikeys.audit_chain;
INSERT INTO apikeys.audit_seal VALUES (1, 1, 1, now(), '');
UPDATE apikeys.audit_chain SET last_seal = 0;
DELETE FROM apikeys.audit_seal;
RESET ROLE;
GRANT EXECUTE ON FUNCTION apikeys.seal_audit, apikeys.verify_audit, apikeys.prune_audit TO regress_apikeys_seal_auditor;
-- Even then not by hand.
SET ROLE regress_apikeys_seal_auditor;
SELECT count(*) FROM apikeys.audit_seal;
DELETE FROM apikeys.audit_event;

-- An audit without events.
SELECT * FROM apikeys.verify_audit();
SELECT apikeys.seal_audit();
SELECT apikeys.prune_audit('infinity');
SELECT * FROM apikeys.verify_audit();
RESET ROLE;

-- Events of all kinds, in three seals.
SELECT apikeys.create_organization('regress_seal', 'role:regress_apikeys_seal_guest') AS org \gset
SELECT apikeys.create_project(:'org', 'Prüfung, проверка') AS project \gset
SELECT public_key AS key, private_key AS secret FROM apikeys.create_project_key(:'project', 'Schlüssel "A" \ 鍵', '{GROUP_READ_ONLY}', '{10.0.0.0/8,2001:db8::/32}') \gset
SELECT count(*) AS first_events FROM apikeys.audit_event \gset
SET ROLE regress_apikeys_seal_auditor;
SELECT apikeys.seal_audit() = :first_events AS all_sealed;
SELECT apikeys.seal_audit() AS nothing_new;
-- The auditor sees nothing of what it seals and verifies.
SELECT count(*) FROM apikeys.audit_event;
SELECT intact, seals, events = :first_events AS all_events, unsealed, last_seal, sealed_at <= clock_timestamp() AS past, length(last_hash), problem FROM apikeys.verify_audit();
SELECT last_hash AS first_hash FROM apikeys.verify_audit() \gset
RESET ROLE;
SELECT public_key AS owner, private_key AS owner_secret FROM apikeys.create_key(:'org', 'An owner', '{ORG_OWNER}') \gset
BEGIN;
SELECT apikeys.authenticate(:'owner', :'owner_secret', '2001:db8::7') IS NOT NULL AS bound;
SELECT apikeys.disable_key(:'key');
SELECT apikeys.enable_key(:'key');
-- What this transaction has written is not sealed before it is over.
SAVEPOINT s;
SELECT apikeys.seal_audit() > 0 AS only_those_before;
SELECT intact, seals, unsealed FROM apikeys.verify_audit();
ROLLBACK TO s;
COMMIT;
SELECT apikeys.seal_audit() > 0;
SELECT apikeys.create_role('regress_seal', 'project', '{}', '{clusters.read}', NULL);
SELECT apikeys.drop_role('regress_seal');
SELECT apikeys.seal_audit();
SELECT FROM apikeys.update_key(:'key', 'Not sealed yet');
SELECT intact, seals, unsealed, problem FROM apikeys.verify_audit();

-- Rolled back: the numbers of its events are gaps, and those of the next ones are higher.
BEGIN;
SELECT apikeys.delete_key(:'key');
SELECT apikeys.seal_audit();
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT apikeys.disable_key(:'key');
ROLLBACK TO s;
SELECT FROM apikeys.update_key(:'key', 'Between gaps');
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT apikeys.seal_audit();
SELECT intact, unsealed FROM apikeys.verify_audit();
ROLLBACK;
SELECT intact, seals, unsealed FROM apikeys.verify_audit();

-- What is done to the audit, and what is found then, with the last seal kept elsewhere.
CREATE FUNCTION pg_temp.find(tampering text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found record;
	kept record;
BEGIN
	SELECT * INTO STRICT kept FROM apikeys.verify_audit();
	BEGIN
		EXECUTE tampering;
		SELECT * INTO STRICT found FROM apikeys.verify_audit(kept.last_seal, kept.last_hash);
		RAISE EXCEPTION USING ERRCODE = 'AK000', MESSAGE = found.intact || ', ' || found.seals || ' seals, ' ||
			regexp_replace(coalesce(found.problem, 'no problem'), 'numbered \d+ to \d+|up to \d+|event \d+', '...', 'g');
	EXCEPTION WHEN SQLSTATE 'AK000' THEN
		RETURN SQLERRM;
	END;
END;
$$;
CREATE TEMPORARY VIEW range AS
SELECT id AS seal, coalesce(lag(last_event) OVER (ORDER BY id), 0) + 1 AS first_event, last_event FROM apikeys.audit_seal;
SELECT pg_temp.find('SELECT 1') AS nothing;
-- Each column of an event.
SELECT columns, pg_temp.find(format('UPDATE apikeys.audit_event SET %s WHERE id = (SELECT last_event FROM range WHERE seal = 2)', columns)) AS found
FROM unnest(ARRAY['at = at + interval ''1 microsecond''', 'principal = ''role:me''', 'action = ''key.created''', 'organization_id = NULL', 'project_id = organization_id',
	'public_key = public_key || ''x''', 'address = NULL', 'address = ''2001:db8::7/64''', 'detail = ''{}''', 'detail = detail || ''{"old": 1}''', 'database_role = ''me''',
	-- As it is: no problem.
	'principal = principal']) WITH ORDINALITY AS u (columns, n) ORDER BY n;
-- Events missing, added, moved and swapped.
SELECT pg_temp.find('DELETE FROM apikeys.audit_event WHERE id = (SELECT first_event FROM range WHERE seal = 1)') AS first_missing;
SELECT pg_temp.find('DELETE FROM apikeys.audit_event WHERE id = (SELECT last_event FROM range WHERE seal = 3)') AS last_missing;
SELECT pg_temp.find('DELETE FROM apikeys.audit_event WHERE id BETWEEN (SELECT first_event FROM range WHERE seal = 2) AND (SELECT last_event FROM range WHERE seal = 2)') AS all_missing;
CREATE TEMPORARY VIEW copy AS
SELECT e.* FROM apikeys.audit_event AS e ORDER BY id LIMIT 1;
SELECT pg_temp.find('INSERT INTO apikeys.audit_event OVERRIDING SYSTEM VALUE SELECT 0, at, principal, action, organization_id, project_id, public_key, address, detail, database_role FROM copy') AS added_before_the_first;
SELECT pg_temp.find('INSERT INTO apikeys.audit_event OVERRIDING SYSTEM VALUE SELECT -9223372036854775808, at, principal, action, organization_id, project_id, public_key, address, detail, database_role FROM copy') AS added_with_the_lowest_id;
SELECT pg_temp.find('UPDATE apikeys.audit_seal SET hash = hash || hash WHERE id = (SELECT max(id) FROM apikeys.audit_seal)') AS hash_lengthened;
SELECT pg_temp.find('DELETE FROM apikeys.audit_event WHERE id = (SELECT first_event + 1 FROM range WHERE seal = 2);
	INSERT INTO apikeys.audit_event OVERRIDING SYSTEM VALUE SELECT (SELECT first_event + 1 FROM range WHERE seal = 2), at, principal, action, organization_id, project_id, public_key, address, detail, database_role FROM copy') AS replaced;
SELECT pg_temp.find('ALTER TABLE apikeys.audit_event ALTER id SET GENERATED BY DEFAULT;
	UPDATE apikeys.audit_event SET id = (SELECT max(id) + 1 FROM apikeys.audit_event) WHERE id = (SELECT first_event FROM range WHERE seal = 3)') AS moved_to_the_end;
SELECT pg_temp.find('ALTER TABLE apikeys.audit_event ALTER id SET GENERATED BY DEFAULT;
	UPDATE apikeys.audit_event SET id = -1 WHERE id = (SELECT first_event FROM range WHERE seal = 1);
	UPDATE apikeys.audit_event SET id = id - 1 WHERE id = (SELECT first_event + 1 FROM range WHERE seal = 1);
	UPDATE apikeys.audit_event SET id = (SELECT first_event + 1 FROM range WHERE seal = 1) WHERE id = -1') AS swapped;
-- An event more, where a rollback has left a gap.
SELECT apikeys.seal_audit();
SELECT pg_temp.find('INSERT INTO apikeys.audit_event OVERRIDING SYSTEM VALUE
	SELECT last_event - 1, at, principal, action, organization_id, project_id, public_key, address, detail, database_role FROM copy, range WHERE seal = 4') AS added_in_a_gap;
-- Seals: each column, missing, added, swapped.
SELECT columns, pg_temp.find('UPDATE apikeys.audit_seal SET ' || columns || ' WHERE id = 2') AS found
FROM unnest(ARRAY['hash = sha256(hash)', 'hash = ''''', 'sealed_at = sealed_at - interval ''1 microsecond''', 'last_event = last_event - 1', 'last_event = last_event + 1', 'last_event = 0',
	'event_count = event_count + 1', 'id = -2']) WITH ORDINALITY AS u (columns, n) ORDER BY n;
SELECT pg_temp.find('DELETE FROM apikeys.audit_seal WHERE id = 1') AS first_missing;
SELECT pg_temp.find('DELETE FROM apikeys.audit_seal WHERE id = 2') AS one_missing;
SELECT pg_temp.find('DELETE FROM apikeys.audit_seal WHERE id = 4') AS last_missing;
SELECT pg_temp.find('DELETE FROM apikeys.audit_seal') AS all_missing;
SELECT pg_temp.find('DELETE FROM apikeys.audit_chain') AS note_missing;
SELECT pg_temp.find('INSERT INTO apikeys.audit_seal SELECT 5, last_event + 1, 0, sealed_at, hash FROM apikeys.audit_seal WHERE id = 4') AS empty_added;
SELECT pg_temp.find('UPDATE apikeys.audit_seal SET id = 20 WHERE id = 2; UPDATE apikeys.audit_seal SET id = 2 WHERE id = 3; UPDATE apikeys.audit_seal SET id = 3 WHERE id = 20') AS swapped;
SELECT pg_temp.find('UPDATE apikeys.audit_seal AS s SET hash = t.hash FROM apikeys.audit_seal AS t WHERE s.id IN (2, 3) AND t.id = 5 - s.id') AS hashes_swapped;
-- Only a seal kept elsewhere finds these: the end deleted without a trace, and all seals recreated.
SELECT pg_temp.find('DELETE FROM apikeys.audit_event WHERE id >= (SELECT first_event FROM range WHERE seal = 3); DELETE FROM apikeys.audit_seal WHERE id > 2; UPDATE apikeys.audit_chain SET last_seal = 2') AS shortened;
SELECT pg_temp.find('TRUNCATE apikeys.audit_seal, apikeys.audit_chain; UPDATE apikeys.audit_event SET principal = ''role:nobody''; SELECT apikeys.seal_audit()') AS made_anew;
SELECT pg_temp.find('UPDATE apikeys.audit_seal SET hash = sha256(hash) WHERE id = 4') AS last_altered;
-- Rows of a table that inherits are shown, and are no events.
SELECT table_name, pg_temp.find(format('CREATE TABLE regress_heir () INHERITS (apikeys.%I)', table_name)) AS inherited
FROM unnest(ARRAY['audit_event', 'audit_seal', 'audit_chain']) AS table_name;
BEGIN;
CREATE TABLE public.regress_heir () INHERITS (apikeys.audit_event);
INSERT INTO public.regress_heir SELECT 1000000, at, principal, 'forged', organization_id, project_id, public_key, address, detail, database_role FROM copy;
SELECT count(*) AS shown FROM apikeys.audit_event WHERE action = 'forged';
SELECT count(*) AS told FROM apikeys.audit_events_after(0, NULL) WHERE action = 'forged';
SELECT value < 1000000 AS own FROM apikeys.metrics() WHERE name = 'apikeys_audit_last_event';
SELECT apikeys.prune_audit('infinity');
ROLLBACK;
SELECT intact, seals, problem FROM apikeys.verify_audit();
-- With a seal kept elsewhere.
SELECT intact, problem FROM apikeys.verify_audit(1, :'first_hash');
SELECT intact, problem FROM apikeys.verify_audit(1, upper(:'first_hash'));
SELECT intact, problem FROM apikeys.verify_audit(2, :'first_hash');
SELECT intact, problem FROM apikeys.verify_audit(99, :'first_hash');
SELECT apikeys.verify_audit(1);
SELECT apikeys.verify_audit(hash => :'first_hash');
SELECT apikeys.verify_audit(1, 'abc');
SELECT apikeys.verify_audit(1, repeat('x', 64));

-- Nothing is sealed on top of a chain that has lost its end.
BEGIN;
DELETE FROM apikeys.audit_seal WHERE id = 4;
\set VERBOSITY default
SELECT apikeys.seal_audit();
\set VERBOSITY terse
ROLLBACK;
-- Nothing is written where nothing may be.
BEGIN READ ONLY;
SELECT intact FROM apikeys.verify_audit();
SAVEPOINT s;
SELECT apikeys.seal_audit();
ROLLBACK TO s;
SELECT apikeys.prune_audit(now());
ROLLBACK;

-- Pruning, a seal at a time.
SELECT FROM apikeys.update_key(:'key', 'Not sealed yet, and never pruned');
SELECT apikeys.prune_audit(NULL);
SELECT apikeys.prune_audit('2000-01-01');
-- What was altered is not pruned.
BEGIN;
UPDATE apikeys.audit_event SET at = at - interval '1 year';
SELECT apikeys.prune_audit(now() - interval '1 hour');
ROLLBACK;
SELECT at AS second_at FROM apikeys.audit_event WHERE id = (SELECT last_event FROM range WHERE seal = 2) \gset
SELECT at AS third_at FROM apikeys.audit_event WHERE id = (SELECT first_event FROM range WHERE seal = 3) \gset
SELECT sum(event_count) AS first_two, max(last_event) AS pruned_to FROM apikeys.audit_seal WHERE id <= 2 \gset
SELECT encode(hash, 'hex') AS second_hash FROM apikeys.audit_seal WHERE id = 2 \gset
-- Not the second seal, as long as one of its events is as young.
BEGIN;
SELECT apikeys.prune_audit(:'second_at') = :first_events AS only_the_first;
SELECT intact, seals, unsealed FROM apikeys.verify_audit();
SELECT id FROM apikeys.audit_seal ORDER BY id;
ROLLBACK;
-- The event records the principal that prunes, and its address.
BEGIN;
SELECT apikeys.authenticate(:'owner', :'owner_secret', '2001:db8::7') IS NOT NULL AS bound;
SELECT apikeys.prune_audit(:'second_at') = :first_events AS only_the_first;
SELECT principal = 'key:' || :'owner' AS by_the_key, address FROM apikeys.audit_event WHERE action = 'audit.pruned';
ROLLBACK;
SET ROLE regress_apikeys_seal_auditor;
SELECT apikeys.prune_audit(:'third_at') = :first_two AS two_seals;
SELECT apikeys.prune_audit(:'third_at') AS nothing_more;
RESET ROLE;
SELECT intact, seals, unsealed, problem FROM apikeys.verify_audit();
SELECT min(id) > :pruned_to AS gone FROM apikeys.audit_event;
SELECT principal, action, organization_id, public_key, detail #- '{new,before}' #- '{new,event}' #- '{new,events}' AS detail,
	detail -> 'new' -> 'event' = to_jsonb(:pruned_to) AS event, detail -> 'new' -> 'events' = to_jsonb(:first_two) AS events
FROM apikeys.audit_event ORDER BY id DESC LIMIT 1;
SELECT intact, problem FROM apikeys.verify_audit(1, :'first_hash');
SELECT intact, problem FROM apikeys.verify_audit(2, :'second_hash');
SELECT intact, problem FROM apikeys.verify_audit(2, :'first_hash');
SELECT apikeys.seal_audit() > 0 AS goes_on;
SELECT intact, seals, unsealed, problem FROM apikeys.verify_audit();
-- What is done to a chain that was pruned.
SELECT pg_temp.find('UPDATE apikeys.audit_chain SET pruned_seal = NULL') AS not_noted;
SELECT pg_temp.find('DELETE FROM apikeys.audit_seal WHERE id = 2') AS pruned_seal_missing;
SELECT pg_temp.find('UPDATE apikeys.audit_seal SET hash = sha256(hash) WHERE id = 2') AS pruned_seal_altered;
SELECT pg_temp.find('UPDATE apikeys.audit_seal SET last_event = last_event - 1 WHERE id = 2') AS pruned_seal_moved;
SELECT pg_temp.find('INSERT INTO apikeys.audit_event OVERRIDING SYSTEM VALUE SELECT 1, at, principal, action, organization_id, project_id, public_key, address, detail, database_role FROM copy') AS added_where_pruned;
SELECT pg_temp.find('DELETE FROM apikeys.audit_event WHERE id <= (SELECT last_event FROM apikeys.audit_seal WHERE id = 3); DELETE FROM apikeys.audit_seal WHERE id < 3; UPDATE apikeys.audit_chain SET pruned_seal = 3') AS pruned_by_hand;
-- All sealed events can be pruned, and sealing continues.
SELECT apikeys.prune_audit('infinity') > 0 AS all_sealed;
SELECT intact, seals, events, unsealed, problem FROM apikeys.verify_audit();
SELECT apikeys.seal_audit();
SELECT intact, seals, events, unsealed, problem FROM apikeys.verify_audit();

DELETE FROM apikeys.key WHERE organization_id = :'org';
DELETE FROM apikeys.organization WHERE id = :'org';
TRUNCATE apikeys.audit_event, apikeys.audit_seal, apikeys.audit_chain;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA apikeys FROM regress_apikeys_seal_auditor;
DROP OWNED BY regress_apikeys_seal_auditor, regress_apikeys_seal_guest;
DROP ROLE regress_apikeys_seal_auditor, regress_apikeys_seal_guest;
