-- Type secret_hash: a hashed secret; no clear text gets past its input.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET search_path = apikeys, public;

-- What a statement raises: SQLSTATE, message, detail and hint.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ': ' || message,
		'DETAIL: ' || nullif(detail, ''), 'HINT: ' || nullif(hint, ''));
END;
$$;
CREATE FUNCTION pg_temp.attempt_hash(hash text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.attempt(format('SELECT %L::apikeys.secret_hash', hash));
$$;
\pset format unaligned
\pset tuples_only on
\pset null NULL

-- --------------------------------------------------------------- known hashes

-- Of "abc" (FIPS 180-2), and made with libsodium and Python's hashlib.
\set sha256 '''sha256$$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad''::secret_hash'
\set sha512 '''sha512$$ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f''::secret_hash'
-- BLAKE2b-256 over public key, a zero byte and the secret.
\set blake2b '''blake2b$0$88e42cdbda5da6a58b39d7b6d795ce48b3a0d4e23f07ca4852f9786d02d8135a''::secret_hash'
\set argon2id '''$argon2id$v=19$m=8,t=1,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c''::secret_hash'
\set argon2id_slow '''$argon2id$v=19$m=8,t=16,p=1$0kVE6Ncv/g1I3uRhsBsvQg$heht1DqhpfE9Fe7rTCSMdlM+mRDee5lqKLE2nZiy2XQ''::secret_hash'
SELECT :sha256;
SELECT :sha512;
SELECT :blake2b;
SELECT :argon2id;
SELECT :argon2id_slow;
SELECT verify(:sha256, 'any', 'abc'), verify(:sha256, 'other', 'abc'), verify(:sha256, 'any', 'abd'), verify(:sha256, 'any', ''), verify(:sha256, 'any', 'abc ');
SELECT verify(:sha512, 'any', 'abc'), verify(:sha512, 'other', 'abc'), verify(:sha512, 'any', 'abd'), verify(:sha512, 'any', ''), verify(:sha512, 'any', 'abc ');
SELECT verify(:argon2id, 'any', 'correct horse'), verify(:argon2id, 'other', 'correct horse'), verify(:argon2id, 'any', 'correct horsf'), verify(:argon2id, 'any', ''), verify(:argon2id, 'any', 'abc');
SELECT verify(:argon2id_slow, 'any', 'correct horse'), verify(:argon2id_slow, 'any', 'Correct horse');
SELECT verify(:blake2b, 'ak_pub_0123456789abcdef', 'correct horse') AS "right",
	verify(:blake2b, 'ak_pub_0123456789abcdeg', 'correct horse') AS "other key",
	verify(:blake2b, 'ak_pub_0123456789abcdef', 'correct hors') AS "shorter",
	verify(:blake2b, 'ak_pub_0123456789abcdef', 'Correct horse') AS "case",
	verify(:blake2b, '', 'ak_pub_0123456789abcdefcorrect horse') AS "moved";
-- The empty secret is none, whatever hash there is of it; and of more than ASCII.
SELECT verify('blake2b$0$9d7d9377df9fda4f182de459e4700debc5e61aace04fab93cabc5b0392942690', 'ak_pub_x', ''),
	verify('blake2b$0$932798dbc90b1f3ec91e45c008753ba7cd2195b91dd0539428f2e5f87c55fc8a', 'schlüssel', 'пароль'),
	verify('sha256$$e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '', '');
-- A pepper that is not known proves nothing.
SELECT verify('blake2b$2024-07$88e42cdbda5da6a58b39d7b6d795ce48b3a0d4e23f07ca4852f9786d02d8135a', 'ak_pub_0123456789abcdef', 'correct horse');
-- No secret is that long.
SELECT verify(:sha256, 'any', repeat('abc', 1000000)), verify(:argon2id, 'any', repeat('abc', 1000000)), verify(:blake2b, repeat('abc', 1000000), repeat('abc', 1000000));
SELECT verify(NULL, 'any', 'abc'), verify(:sha256, NULL, 'abc'), verify(:sha256, 'any', NULL);

-- ------------------------------------------------------------------ text form

-- Upper-case digits are taken, and written lower-case.
SELECT upper('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad') AS digits \gset
SELECT ('sha256$$' || :'digits')::secret_hash::text = :sha256::text AS same, verify(('sha256$$' || :'digits')::secret_hash, '', 'abc');
SELECT ('blake2b$' || id || '$' || repeat('0f', 32))::secret_hash FROM unnest(ARRAY['0', '1', 'k', '2024-07_a.b', repeat('x', 32)]) AS id;
SELECT bool_and(h::text::secret_hash::text = h::text) AS same FROM unnest(ARRAY[:sha256, :sha512, :blake2b, :argon2id]) AS h;
-- The dearest argon2id hash that is taken.
SELECT '$argon2id$v=19$m=102400,t=2,p=16$c29tZXNhbHRzb21lc2FsdA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'::secret_hash;

-- Everything else is refused, and never quoted.
SELECT pg_temp.attempt_hash('correct horse');
SELECT what, split_part(pg_temp.attempt_hash(hash), E'\n', 1) AS message,
	length(hash) > 10 AND strpos(pg_temp.attempt_hash(hash), hash) > 0 AS quoted
FROM (VALUES
	('a private key', 'ak_sec_0000000000000000000000000000000000000000000000000'),
	('blank', ' '),
	('hex digits alone', repeat('ab', 32)),
	('a blank before', ' sha256$$' || repeat('ab', 32)),
	('a blank after', 'sha256$$' || repeat('ab', 32) || ' '),
	('a digit short', 'sha256$$' || repeat('ab', 31) || 'a'),
	('a byte short', 'sha256$$' || repeat('ab', 31)),
	('a byte long', 'sha256$$' || repeat('ab', 33)),
	('no digit', 'sha256$$' || repeat('ab', 31) || 'ag'),
	('no digits', 'sha256$$'),
	('one dollar', 'sha256$' || repeat('ab', 32)),
	('sha256 with a pepper', 'sha256$0$' || repeat('ab', 32)),
	('sha512 with a pepper', 'sha512$0$' || repeat('ab', 64)),
	('sha512 of sha256''s length', 'sha512$$' || repeat('ab', 32)),
	('blake2b without a pepper id', 'blake2b$$' || repeat('ab', 32)),
	('blake2b of 512 bits', 'blake2b$0$' || repeat('ab', 64)),
	('a pepper id too long', 'blake2b$' || repeat('x', 33) || '$' || repeat('ab', 32)),
	('a blank in the pepper id', 'blake2b$a b$' || repeat('ab', 32)),
	('a dollar in the pepper id', 'blake2b$a$b$' || repeat('ab', 32)),
	('more than ASCII in the pepper id', 'blake2b$é$' || repeat('ab', 32)),
	('upper-case algorithm', 'SHA256$$' || repeat('ab', 32)),
	('md5', 'md5$$' || repeat('ab', 16)),
	('sha1', 'sha1$$' || repeat('ab', 20)),
	('plain', 'plain$$secret'),
	('algorithm alone', 'sha256'),
	('bcrypt', '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW'),
	('argon2i', '$argon2i$v=19$m=8,t=3,p=1$c29tZXNhbHQ$rZcDsmKTzDnFLuHPQZEQMgnuLOOWOD7aWYhHUgGfL2I'),
	('argon2id of an older version', '$argon2id$v=16$m=8,t=1,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'),
	('too much memory', '$argon2id$v=19$m=102401,t=1,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'),
	('memory beyond 64 bits', '$argon2id$v=19$m=99999999999999999999,t=1,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'),
	('too many passes', '$argon2id$v=19$m=8,t=25601,p=1$aZNi9Byli+cHVrK7ZVvbLw$0khd5DuGjFHSp2jgnMi2T4fLv5lI7lQLUmc99Yw3Y2M'),
	('too many lanes', '$argon2id$v=19$m=8,t=1,p=17$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'),
	('no pass', '$argon2id$v=19$m=8,t=0,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'),
	('no salt', '$argon2id$v=19$m=8,t=1,p=1$$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'),
	('no hash', '$argon2id$v=19$m=8,t=1,p=1$fijNEa5cAahgXlBek3znIA$'),
	('padded base64', '$argon2id$v=19$m=8,t=1,p=1$fijNEa5cAahgXlBek3znIA==$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c='),
	('parameters in another order', '$argon2id$v=19$t=1,m=8,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c'),
	('more after it', '$argon2id$v=19$m=8,t=1,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c$'),
	('$', '$'),
	('megabytes', repeat('x', 5 * 1024 * 1024)),
	('megabytes of digits', 'sha256$$' || repeat('ab', 5 * 1024 * 1024)),
	('megabytes of argon2id', '$argon2id$v=19$m=8,t=1,p=1$' || repeat('a', 5 * 1024 * 1024))
) AS v (what, hash);
SELECT pg_temp.attempt_hash('');

-- A hash has no order and no equality: it is verified, not compared.
SELECT pg_temp.attempt(format('SELECT %L::apikeys.secret_hash = %L', :sha256::text, :sha256::text));
SELECT pg_temp.attempt(format('SELECT DISTINCT %L::apikeys.secret_hash', :sha256::text));

-- --------------------------------------------------------------- binary form

SELECT apikeys_internal.secret_hash_send(:sha256);
SELECT apikeys_internal.secret_hash_send(:blake2b);

-- ---------------------------------------------------------- in a table's column

CREATE TEMPORARY TABLE stored (id integer, hash secret_hash);
INSERT INTO stored VALUES (1, :sha256), (2, :sha512), (3, :blake2b), (4, :argon2id), (5, NULL);
SELECT id, verify(hash, 'any', 'abc') AS abc, verify(hash, 'ak_pub_0123456789abcdef', 'correct horse') AS horse FROM stored ORDER BY id;
SELECT id, hash FROM stored ORDER BY id;
