-- What may be a name, a principal, a public key or a role's name: what can be
-- seen, in every encoding of databases, and no private key anywhere in it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
\pset null NULL
\pset format unaligned
\pset tuples_only on

-- The predicates, called here by names of their own.
CREATE SCHEMA names_test;
SET search_path = names_test;
CREATE FUNCTION is_name(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_name';
CREATE FUNCTION is_principal(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_principal';
CREATE FUNCTION is_role_name(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_role_name';
CREATE FUNCTION is_public_key(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_public_key';
CREATE FUNCTION are_permissions(text[]) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_are_permissions';
CREATE FUNCTION is_realm(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_realm';
CREATE FUNCTION is_private_key(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_private_key';
-- A private key; its secret is 00 01 .. 1f.
\set private ak_sec_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1AXooe

-- ------------------------------------------------------------------- names
SELECT what, is_name(candidate) FROM (VALUES
	('a name', 'Billing (EU) #2'), ('letters', 'Büro Ключ 鍵'), ('an accent apart', E'e\u0301'), ('a symbol', '🔑'),
	('250 characters', repeat('ü', 250)), ('251 characters', repeat('ü', 251)), ('250 of four bytes', repeat('🔑', 250)),
	('the empty text', ''), ('a space', ' '), ('a space before', ' a'), ('a space after', 'a '), ('two spaces', 'a  b'),
	('a tab', E'a\tb'), ('a new line', E'a\nb'), ('delete', E'a\u007f'), ('a C1 control', E'a\u0085b'),
	('no-break space', E'a\u00a0b'), ('soft hyphen', E'a\u00adb'), ('grapheme joiner', E'a\u034fb'),
	('Hangul filler', E'\u3164'), ('zero width space', E'a\u200bb'), ('zero width joiner', E'a\u200db'),
	('right-to-left override', E'a\u202eb'), ('isolate', E'a\u2066b'), ('line separator', E'a\u2028b'),
	('paragraph separator', E'a\u2029b'), ('Braille blank', E'\u2800'), ('ideographic space', E'a\u3000b'),
	('byte order mark', E'\ufeffa'), ('variation selector', E'a\ufe0f'), ('a tag', E'a\U000e0041'),
	('private use', E'\ue000'), ('a noncharacter', E'\ufdd0')) AS v (what, candidate);

-- ------------------------------------------------------------ private keys
SELECT what, is_name(candidate), is_principal('user:' || candidate), is_public_key(candidate), is_role_name(candidate),
	are_permissions(ARRAY['a', candidate]), is_realm(candidate), is_private_key(candidate)
FROM (VALUES
	('itself', :'private'), ('with letters around', 'x' || :'private' || 'x'), ('in words', 'old: ' || :'private' || ' (2024)'),
	('with another''s mark before', 'ak_sec_' || :'private'), ('mistyped', replace(:'private', '003', '004')),
	('without its prefix', substr(:'private', 3)), ('cut', left(:'private', -1))) AS v (what, candidate);
INSERT INTO apikeys.organization (name) VALUES ('old: ' || :'private');
SELECT count(*) FROM apikeys.organization WHERE strpos(name, 'sec') > 0;
-- No error quotes it.
\set VERBOSITY default
BEGIN;
SELECT apikeys.create_organization('Regress names', 'user:regress-names') AS org \gset
SELECT apikeys.create_key(:'org', 'a key', '{ORG_READ_ONLY}') AS key \gset
SELECT public_key FROM apikeys.key WHERE organization_id = :'org' \gset
SAVEPOINT made;
SELECT apikeys.create_key(:'org', 'a key', '{}', permissions => ARRAY[:'private']);
ROLLBACK TO made;
SELECT apikeys.set_organization_roles(:'public_key', '{}', ARRAY['a.' || :'private' || '*']);
ROLLBACK TO made;
SELECT apikeys.create_role('ROLE', 'organization', ARRAY[:'private'], '{}', NULL, :'org');
ROLLBACK TO made;
SELECT apikeys.set_rate_limit(:'public_key', 1, '1 s', scope => :'private');
ROLLBACK TO made;
SELECT apikeys.enable_digest(:'public_key', :'private');
ROLLBACK;
\set VERBOSITY terse

-- -------------------------------------------------------------- principals
SELECT what, is_principal(candidate) FROM (VALUES
	('a user', 'user:alice'), ('a role', 'role:app owner'), ('letters', 'user:Zoë'), ('with a colon', 'user:https://idp.example/a:1'),
	('250 bytes of name', 'user:' || repeat('a', 250)), ('251 bytes of name', 'user:' || repeat('a', 251)),
	('250 bytes of letters', 'user:' || repeat('ü', 125)), ('252 bytes of letters', 'user:' || repeat('ü', 126)),
	('no name', 'user:'), ('no colon', 'user'), ('nothing', ''), ('another kind', 'key:alice'), ('capitals', 'User:alice'),
	('a space before', 'user: alice'), ('a space after', 'user:alice '), ('two spaces', 'user:a  b'),
	('a control', E'user:a\u0085'), ('of no width', E'user:alice\u200b'), ('turned', E'user:\u202ealice')) AS v (what, candidate);

-- ------------------------------------------------------------- role's names
SELECT what, is_role_name(candidate) FROM (VALUES
	('a name', 'apikeys.owner'), ('a digit first', '1_a:b-c'), ('63 characters', repeat('a', 63)),
	('64 characters', repeat('a', 64)), ('nothing', ''), ('a dot first', '.a'), ('a slash', 'a/b'), ('a space', 'a b'),
	('a letter beyond ASCII', 'ü'), ('of no width', E'a\u200b')) AS v (what, candidate);

-- -------------------------------------------------------- other encodings
-- ISO 8859-1: an e with an acute, a no-break space, a C1 control.
SELECT current_database() AS database \gset
CREATE DATABASE names_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
\c names_latin1
CREATE FUNCTION is_name(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_name';
CREATE FUNCTION is_principal(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_principal';
SELECT what, is_name(convert_from(bytes, getdatabaseencoding())), is_principal('user:' || convert_from(bytes, getdatabaseencoding()))
FROM (VALUES ('ASCII', '\x61'::bytea), ('a letter', '\xe9'), ('a no-break space', '\x61a062'), ('a soft hyphen', '\xad'), ('a control', '\x85')) AS v (what, bytes);
SELECT is_name(repeat(convert_from('\xe9', 'LATIN1'), 250)), is_name(repeat(convert_from('\xe9', 'LATIN1'), 251));
-- EUC_JP: a Kanji, an ideographic space.
CREATE DATABASE names_euc_jp TEMPLATE template0 ENCODING 'EUC_JP' LOCALE 'C';
\c names_euc_jp
CREATE FUNCTION is_name(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_name';
SELECT what, is_name(convert_from(bytes, getdatabaseencoding()))
FROM (VALUES ('ASCII', '\x61'::bytea), ('a letter', '\xb8b0'), ('a space', '\x61a1a162'), ('one that UTF-8 has not', '\xfdfe')) AS v (what, bytes);
-- SQL_ASCII: what is UTF-8 is judged as such, and nothing else is a name.
CREATE DATABASE names_sql_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C';
\c names_sql_ascii
CREATE FUNCTION is_name(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_name';
SELECT what, is_name(convert_from(bytes, getdatabaseencoding()))
FROM (VALUES ('ASCII', '\x61'::bytea), ('UTF-8', '\xc3a9'), ('a zero width space', '\x61e2808b62'), ('ISO 8859-1', '\xe9'), ('a long form', '\xc1a1')) AS v (what, bytes);
SELECT is_name(repeat(convert_from('\xc3a9', 'SQL_ASCII'), 250)), is_name(repeat(convert_from('\xc3a9', 'SQL_ASCII'), 251));
-- MULE_INTERNAL: the server cannot convert it, so only ASCII is.
CREATE DATABASE names_mule TEMPLATE template0 ENCODING 'MULE_INTERNAL' LOCALE 'C';
\c names_mule
CREATE FUNCTION is_name(text) RETURNS boolean LANGUAGE c IMMUTABLE STRICT AS '$libdir/apikeys', 'apikeys_is_name';
SELECT what, is_name(convert_from(bytes, getdatabaseencoding()))
FROM (VALUES ('ASCII', '\x61'::bytea), ('a letter', '\x81e9')) AS v (what, bytes);

\c :database
DROP DATABASE names_latin1;
DROP DATABASE names_euc_jp;
DROP DATABASE names_sql_ascii;
DROP DATABASE names_mule;
SET client_min_messages = warning;
DROP SCHEMA names_test CASCADE;
