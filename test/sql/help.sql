-- help(): its calls work.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
RESET client_min_messages;

CREATE TEMPORARY VIEW help AS
SELECT row_number() OVER () AS n, * FROM apikeys.help();

-- A tour has many stops, each named once.
SELECT topic, count(*) > 1 AS several FROM help GROUP BY topic ORDER BY min(n);
SELECT task FROM help GROUP BY task HAVING count(*) > 1;
SELECT task FROM help WHERE topic IS NULL OR task IS NULL OR call IS NULL OR needs IS NULL OR call ~ ';\s*$';

-- A function that it names is there, and each argument by that name.
CREATE TEMPORARY VIEW called AS
SELECT h.n, h.task, h.needs, f[1] AS function FROM help AS h, regexp_matches(h.call, 'apikeys\.(\w+)\(', 'g') AS f;
SELECT c.task, c.function AS no_function FROM called AS c
WHERE NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'apikeys'::regnamespace AND proname = c.function) ORDER BY c.n;
SELECT h.task, a[1] AS no_argument FROM help AS h, regexp_matches(h.call, '(\w+) =>', 'g') AS a
WHERE NOT EXISTS (
	SELECT FROM called AS c JOIN pg_proc AS p ON p.proname = c.function AND p.pronamespace = 'apikeys'::regnamespace
	WHERE c.n = h.n AND a[1] = ANY (p.proargnames))
ORDER BY h.n;

-- What it says of rights: an access grants each function of the call, EXECUTE stands
-- for functions that no access grants, and a permission is one that the extension
-- asks for.
SELECT DISTINCT h.task, h.needs FROM help AS h JOIN called AS c ON c.n = h.n JOIN pg_proc AS p ON p.proname = c.function AND p.pronamespace = 'apikeys'::regnamespace
WHERE h.needs <> 'a superuser' AND NOT has_function_privilege('public', p.oid, 'EXECUTE') AND (h.needs = 'EXECUTE') = EXISTS (
	SELECT FROM (VALUES ('decide'), ('manage'), ('impersonate'), ('monitor')) AS a (access), apikeys_internal.access_privileges(a.access) AS granted
	WHERE granted LIKE '% apikeys.' || p.proname || '(%' AND (h.needs NOT LIKE 'access %' OR h.needs = 'access ' || a.access))
	AND p.proname NOT IN ('organization', 'project');
SELECT DISTINCT needs FROM help WHERE needs LIKE 'apikeys.%' EXCEPT
SELECT m[1] FROM pg_proc, regexp_matches(prosrc, '(apikeys\.[a-z_]+\.[a-z_]+)', 'g') AS m WHERE pronamespace = 'apikeys_internal'::regnamespace EXCEPT
SELECT m[1] FROM pg_policies, regexp_matches(qual, '(apikeys\.[a-z_]+\.[a-z_]+)', 'g') AS m WHERE schemaname = 'apikeys';

-- What is called is on the tour, except what standbys and the extension's owner call.
SELECT DISTINCT p.proname FROM pg_proc AS p
WHERE p.pronamespace = 'apikeys'::regnamespace AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
	AND p.proname NOT IN (SELECT function FROM called)
ORDER BY p.proname;

-- Each call runs, with values for its parameters, where what it speaks of is
-- there; and is taken back.
BEGIN;
SELECT apikeys.create_organization('Acme', 'role:' || current_user) IS NOT NULL AS organization;
SELECT apikeys.create_project(apikeys.organization('Acme'), 'production') IS NOT NULL AS project;
SELECT apikeys.import_key(apikeys.organization('Acme'), 'ak_pub_0123456789abcdef', 'sha256$$9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', 'Key', '{ORG_READ_ONLY}', '{203.0.113.0/24,203.0.113.7}');
SELECT FROM apikeys.set_project_roles('ak_pub_0123456789abcdef', apikeys.project('Acme', 'production'), '{GROUP_READ_ONLY}');
CREATE TEMPORARY TABLE your_table (organization_id uuid, project_id uuid, public_key text, hash text, description text);
INSERT INTO your_table (public_key, hash, description)
VALUES ('legacy-18', 'sha256$$2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b', 'Backups');
SET LOCAL "request.headers" = '{"x-api-key": "ak_pub_0123456789abcdef:test"}';

CREATE FUNCTION pg_temp.try(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	filled text := call;
BEGIN
	-- The names are taken by what stands above; and a connection by a socket has
	-- no address.
	filled := replace(filled, 'create_organization(name => ''Acme''', 'create_organization(name => ''Globex''');
	filled := replace(filled, 'name => ''production''', 'name => ''staging''');
	filled := replace(filled, '$1', CASE WHEN call LIKE '%leaked%' THEN '''no key''' ELSE '''ak_pub_0123456789abcdef''' END);
	filled := replace(filled, '$2', '''test''');
	filled := replace(filled, '$3', '''203.0.113.7''');
	filled := replace(filled, '$4', 'apikeys.project(''Acme'', ''production'')');
	IF call LIKE '%authenticate_request%' THEN
		UPDATE apikeys.key SET access_list = '{}';
	END IF;
	IF call LIKE '%add_current_address%' AND inet_client_addr() IS NULL THEN
		EXECUTE 'EXPLAIN ' || filled;
	ELSE
		EXECUTE filled;
	END IF;
	RAISE EXCEPTION USING ERRCODE = 'P0099';
EXCEPTION
	WHEN SQLSTATE 'P0099' THEN RETURN 'done';
	WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END;
$$;
CREATE ROLE your_role;
-- All but what needs a pepper, which is not loaded here.
SELECT count(*) > 40 AS many FROM help, pg_temp.try(call) AS t WHERE t = 'done';
SELECT task, t FROM help, pg_temp.try(call) AS t WHERE t <> 'done' ORDER BY n;

ROLLBACK;
