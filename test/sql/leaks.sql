-- Private keys that have got out, keys that come in, and secrets that are ended
-- one by one.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
\set VERBOSITY terse

CREATE ROLE regress_apikeys_leaks_owner;
SELECT apikeys.grant_access('regress_apikeys_leaks_owner', 'manage') \g /dev/null
CREATE ROLE regress_apikeys_leaks_finder;
SELECT apikeys.grant_access('regress_apikeys_leaks_finder', 'manage') \g /dev/null
SELECT apikeys.create_organization('regress_leaks', 'role:regress_apikeys_leaks_owner') AS org \gset
SELECT apikeys.create_organization('regress_leaks_other') AS other_org \gset
SET ROLE regress_apikeys_leaks_owner;
SELECT public_key AS key, private_key AS secret FROM apikeys.create_key(:'org', 'Leaks', '{ORG_READ_ONLY}') \gset
SELECT public_key AS kept, private_key AS kept_secret FROM apikeys.create_key(:'org', 'Does not', '{ORG_READ_ONLY}') \gset
RESET ROLE;

-- Finding, in any text and whatever stands around.
SELECT name, ARRAY(SELECT CASE leaked WHEN :'secret' THEN 1 WHEN :'kept_secret' THEN 2 ELSE 0 END FROM apikeys.find_leaked(searched) AS leaked) AS found
FROM (VALUES (1, 'alone', :'secret'), (2, 'in a line', 'KEY="' || :'secret' || '"' || E'\n'), (3, 'two', :'secret' || ',' || :'kept_secret'),
	(4, 'one after the other', :'secret' || :'kept_secret'), (5, 'twice', :'secret' || ' ' || :'secret'), (6, 'letters before', 'Key' || :'secret'),
	(7, 'small letters before', 'xyz' || :'secret'), (8, 'letters behind', :'secret' || 'xyz'), (9, 'many marks', repeat('_sec_', 1000) || :'secret'),
	(10, 'cut', left(:'secret', -1)), (11, 'mistyped', overlay(:'secret' PLACING CASE substr(:'secret', 20, 1) WHEN 'a' THEN 'b' ELSE 'a' END FROM 20)),
	(12, 'a public key', :'key'), (13, 'empty', ''), (14, 'a megabyte', repeat('ak_sec_', 150000)), (15, 'a mark at the end', 'ak_sec_')) AS v (n, name, searched)
ORDER BY n;
SELECT count(*) FROM apikeys.find_leaked(NULL);

-- A second secret, and the end of one.
SET ROLE regress_apikeys_leaks_owner;
SELECT apikeys.rotate_secret(:'key', '1 hour') AS second \gset
RESET ROLE;
SELECT apikeys.authorize(:'key', :'secret', NULL, 'clusters.read'), apikeys.authorize(:'key', :'second', NULL, 'clusters.read');
SET ROLE regress_apikeys_leaks_finder;
SELECT apikeys.revoke_secret(:'key', 1);
SET ROLE regress_apikeys_leaks_owner;
SELECT apikeys.revoke_secret(:'key', 3);
SELECT apikeys.revoke_secret(:'key', NULL);
SELECT apikeys.revoke_secret('regress_no_key', 1);
SELECT apikeys.revoke_secret(:'key', 1);
SELECT apikeys.revoke_secret(:'key', 1);
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT apikeys.revoke_secret(:'key', 2);
\set VERBOSITY terse
RESET ROLE;
SELECT apikeys.authorize(:'key', :'secret', NULL, 'clusters.read'), apikeys.authorize(:'key', :'second', NULL, 'clusters.read');

-- Revoking: the finder of a live secret disables its key, and learns nothing more.
SET ROLE regress_apikeys_leaks_finder;
SELECT apikeys.revoke_leaked(:'second');
RESET ROLE;
GRANT EXECUTE ON FUNCTION apikeys.revoke_leaked TO regress_apikeys_leaks_finder;
SET ROLE regress_apikeys_leaks_finder;
SELECT apikeys.revoke_leaked(:'secret') AS ended_before, apikeys.revoke_leaked(left(:'second', -1)) AS cut, apikeys.revoke_leaked(:'key') AS public, apikeys.revoke_leaked('') AS empty;
SELECT apikeys.revoke_leaked(NULL);
SELECT apikeys.revoke_leaked(:'second');
SELECT apikeys.revoke_leaked(:'second');
SELECT count(*) FROM apikeys.keys;
RESET ROLE;
SELECT description, status FROM apikeys.keys WHERE public_key IN (:'key', :'kept') ORDER BY 1;
SELECT reason FROM apikeys.decide(:'key', :'second', NULL, 'clusters.read');
REVOKE ALL ON FUNCTION apikeys.revoke_leaked FROM regress_apikeys_leaks_finder;
-- The view shows why.
SELECT principal, action, detail #>> '{new,reason}' AS reason, count(*) FROM apikeys.audit_event
WHERE organization_id = :'org' AND action LIKE 'key.%abled' GROUP BY principal, action, reason;
SELECT description, disabled_reason FROM apikeys.key WHERE disabled_at IS NOT NULL AND organization_id = :'org';
SET ROLE regress_apikeys_leaks_owner;
SELECT apikeys.enable_key(:'key'), apikeys.disable_key(:'key', 'not paid'), apikeys.disable_key(:'key'), apikeys.disable_key(:'kept', '') \g /dev/null
SELECT apikeys.enable_key(:'key'), apikeys.disable_key(:'key', 'not paid'), apikeys.disable_key(:'key') \g /dev/null
SELECT description, disabled_reason FROM apikeys.key WHERE disabled_at IS NOT NULL AND organization_id = :'org';
SELECT apikeys.enable_key(:'key') \g /dev/null
SELECT count(*) FROM apikeys.key WHERE disabled_reason IS NOT NULL AND organization_id = :'org';
SELECT apikeys.disable_key(:'key') \g /dev/null
RESET ROLE;

-- Importing, by each kind of hash.
SET ROLE regress_apikeys_leaks_owner;
SELECT apikeys.import_key(:'org', 'regress_sha256', ('sha256$$' || encode(sha256('sesame'), 'hex'))::apikeys.secret_hash, 'sha256', '{ORG_READ_ONLY}');
SELECT apikeys.import_key(:'org', 'regress_sha512', ('sha512$$' || encode(sha512('sesame'), 'hex'))::apikeys.secret_hash, 'sha512', '{ORG_READ_ONLY}', '{10.0.0.0/8}', '2999-01-01');
SELECT apikeys.import_key(:'org', 'regress_argon2id', '$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$ytVMPN+W6Q0ghC4Lnzo+LflOJIaWB6M7gwiI5I4iGFY', 'argon2id', '{ORG_MEMBER,ORG_READ_ONLY}');
RESET ROLE;
SELECT k.public_key, k.description, k.access_list, k.expires_at IS NOT NULL AS expires, k.created_by, k.organization_roles, k.private_key,
	apikeys.authorize(k.public_key, 'sesame', '10.0.0.1', 'clusters.read'), apikeys.authorize(k.public_key, 'wrong', '10.0.0.1', 'clusters.read')
FROM apikeys.keys AS k WHERE public_key IN ('regress_sha256', 'regress_sha512') ORDER BY 1;
-- What is refused, with nothing left behind.
SET ROLE regress_apikeys_leaks_owner;
SELECT apikeys.import_key(:'org', 'regress_sha256', ('sha256$$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash, 'taken', '{}');
SELECT apikeys.import_key(:'org', :'second', ('sha256$$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash, 'a private key', '{}');
SELECT apikeys.import_key(:'org', 'no key', ('sha256$$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash, 'a blank', '{}');
SELECT apikeys.import_key(:'org', 'regress_no', 'clear text', 'clear text', '{}');
SELECT apikeys.import_key(:'org', 'regress_no', '$argon2id$v=19$m=1000000000,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$ytVMPN+W6Q0ghC4Lnzo+LflOJIaWB6M7gwiI5I4iGFY', 'too much', '{}');
SELECT apikeys.import_key(:'org', 'regress_no', NULL, 'no hash', '{}');
SELECT apikeys.import_key(:'org', 'regress_no', ('sha256$$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash, '', '{}');
SELECT apikeys.import_key(:'org', 'regress_no', ('sha256$$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash, 'no role', '{GROUP_OWNER}');
SELECT apikeys.import_key(:'other_org', 'regress_no', ('sha256$$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash, 'another''s', '{}');
SET ROLE regress_apikeys_leaks_finder;
SELECT apikeys.import_key(:'org', 'regress_no', ('sha256$$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash, 'a guest''s', '{}');
RESET ROLE;
SELECT apikeys.delete_key('regress_sha256');
SELECT apikeys.import_key(:'org', 'regress_sha256', ('sha256$$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash, 'used before', '{}');
SELECT count(*) FROM apikeys.key WHERE public_key = 'regress_no';

DELETE FROM apikeys.key WHERE organization_id IN (:'org', :'other_org');
DELETE FROM apikeys.deleted_key WHERE public_key LIKE 'regress%';
DELETE FROM apikeys.organization WHERE id IN (:'org', :'other_org');
DROP OWNED BY regress_apikeys_leaks_owner, regress_apikeys_leaks_finder;
DROP ROLE regress_apikeys_leaks_owner, regress_apikeys_leaks_finder;
