-- 100,000 random requests, decided by apikeys.decide() and by the rules
-- written down in plain SQL: not one difference.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS apikeys;
SELECT FROM setseed(0.699243);

-- --- Random data --------------------------------------------------------------------
CREATE FUNCTION pg_temp.pick(choices text[]) RETURNS text
	LANGUAGE sql VOLATILE
	RETURN choices[1 + floor(random() * cardinality(choices))::int];

-- A scope of few words, so that patterns match now and then.
CREATE FUNCTION pg_temp.random_scope() RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	scope text := pg_temp.pick('{a,b,keys,clusters,k_s,A}');
BEGIN
	WHILE random() < 0.6 LOOP
		scope := scope || pg_temp.pick('{.,.,:,/,-}') || pg_temp.pick('{read,write,b,a,B,r-d}');
	END LOOP;
	RETURN scope;
END;
$$;

-- A scope in which some stretches are a star.
CREATE FUNCTION pg_temp.random_pattern() RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	pattern text := pg_temp.random_scope();
	start int;
BEGIN
	WHILE random() < 0.6 LOOP
		start := 1 + floor(random() * length(pattern));
		pattern := overlay(pattern PLACING '*' FROM start FOR floor(random() * 6)::int);
	END LOOP;
	RETURN pattern;
END;
$$;

CREATE FUNCTION pg_temp.random_patterns() RETURNS text[]
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	patterns text[] := '{}';
BEGIN
	WHILE random() < 0.6 LOOP
		patterns := patterns || pg_temp.random_pattern();
	END LOOP;
	RETURN patterns;
END;
$$;

-- Addresses out of a few networks. A mapped address is told from the IPv4
-- address that it is: given is what is asked, plain what it means.
CREATE TYPE pg_temp.address AS (given inet, plain inet);
CREATE FUNCTION pg_temp.random_address() RETURNS pg_temp.address
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	plain inet;
BEGIN
	IF random() < 0.05 THEN
		RETURN ROW(NULL::inet, NULL::inet);
	ELSIF random() < 0.3 THEN
		plain := ('2001:db8::'::inet + floor(random() * 4)::bigint) + floor(random() * 4)::bigint * 65536;
		RETURN ROW(plain, plain);
	END IF;
	plain := '10.0.0.0'::inet + floor(random() * 2)::bigint * 65536 + floor(random() * 2)::bigint * 256 + floor(random() * 8)::bigint;
	IF random() < 0.3 THEN
		RETURN ROW(('::ffff:' || host(plain))::inet, plain);
	END IF;
	RETURN ROW(plain, plain);
END;
$$;

CREATE FUNCTION pg_temp.random_networks() RETURNS cidr[]
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	networks cidr[] := '{}';
	plain inet;
BEGIN
	IF random() < 0.3 THEN
		RETURN networks;
	END IF;
	FOR i IN 1 .. 1 + floor(random() * 5)::int LOOP
		plain := coalesce((pg_temp.random_address()).plain, '10.0.0.0');
		networks := networks || network(set_masklen(plain, CASE family(plain)
			WHEN 4 THEN (ARRAY[8, 15, 16, 24, 30, 31, 32])[1 + floor(random() * 7)::int]
			ELSE (ARRAY[32, 96, 112, 126, 127, 128])[1 + floor(random() * 6)::int] END))::cidr;
	END LOOP;
	RETURN networks;
END;
$$;

-- Organizations and their projects.
INSERT INTO apikeys.organization (name, require_access_list)
SELECT 'regress_property ' || n, n % 3 = 0 FROM generate_series(1, 12) AS n;
INSERT INTO apikeys.project (organization_id, name)
SELECT o.id, 'project ' || n FROM apikeys.organization AS o, generate_series(1, 4) AS n
WHERE o.name ~ '^regress_property';
CREATE TEMP TABLE organization AS
SELECT row_number() OVER (ORDER BY substr(name, 18)::int) AS number, id, require_access_list
FROM apikeys.organization WHERE name ~ '^regress_property';
CREATE TEMP TABLE project AS
SELECT row_number() OVER (ORDER BY o.number, p.name) AS number, p.id, o.number AS organization, p.organization_id
FROM apikeys.project AS p JOIN organization AS o ON o.id = p.organization_id;

-- Roles of one's own, beside the built-in ones.
INSERT INTO apikeys.role (name, level, organization_permissions, project_permissions)
SELECT 'regress_property_' || n, CASE WHEN n % 2 = 0 THEN 'organization' ELSE 'project' END,
	CASE WHEN n % 2 = 0 THEN pg_temp.random_patterns() ELSE '{}' END, pg_temp.random_patterns()
FROM generate_series(1, 60) AS n;
CREATE TEMP TABLE role AS
SELECT row_number() OVER (PARTITION BY level ORDER BY NOT is_builtin, name) AS number,
	count(*) OVER (PARTITION BY level) AS count,
	name, level, organization_permissions, project_permissions
FROM apikeys.role WHERE is_builtin OR name ~ '^regress_property';

-- Keys: most made by create_key(), some with a hash that was imported.
CREATE TEMP TABLE key (number int PRIMARY KEY, public_key text, organization_id uuid, networks cidr[],
	disabled bool, expired bool);
CREATE TEMP TABLE secret (key int, number int, secret text, ended bool, PRIMARY KEY (key, number));
CREATE TEMP TABLE grants (key int, role text, project_id uuid);
DO $$
DECLARE
	made record;
	organization record;
	project record;
	name text;
	issued apikeys.new_key;
BEGIN
	FOR made IN
		SELECT n, pg_temp.random_networks() AS networks, random() < 0.1 AS disabled, random() < 0.1 AS expired,
			random() < 0.2 AS rotated, random() < 0.3 AS imported
		FROM generate_series(1, 300) AS n
	LOOP
		SELECT * INTO organization FROM pg_temp.organization AS o WHERE o.number = 1 + made.n % 12;
		IF made.imported THEN
			issued := ('regress_property_' || made.n, 'secret ' || made.n);
			INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
				VALUES (issued.public_key, organization.id, 'a key', made.networks);
			INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
				VALUES (issued.public_key, 1, (CASE WHEN made.n % 2 = 0
					THEN 'sha256$' || '$' || encode(sha256(issued.private_key::bytea), 'hex')
					ELSE 'sha512$' || '$' || encode(sha512(issued.private_key::bytea), 'hex') END)::apikeys.secret_hash, '');
		ELSE
			issued := apikeys.create_key(organization.id, 'a key', '{}', made.networks::apikeys.access_list);
		END IF;
		INSERT INTO pg_temp.key VALUES (made.n, issued.public_key, organization.id, made.networks, made.disabled, made.expired);
		INSERT INTO pg_temp.secret VALUES (made.n, 1, issued.private_key, false);
		IF made.rotated THEN
			INSERT INTO pg_temp.secret VALUES (made.n, 2, apikeys.rotate_secret(issued.public_key, '1 day'), false);
			IF made.n % 2 = 0 THEN
				UPDATE pg_temp.secret AS s SET ended = true WHERE s.key = made.n AND s.number = 1;
				UPDATE apikeys.key_secret AS s SET expires_at = now() - interval '1 s'
					WHERE s.public_key = issued.public_key AND s.version = 1;
			END IF;
		END IF;
		UPDATE apikeys.key AS k SET
				disabled_at = CASE WHEN made.disabled THEN now() END,
				expires_at = CASE WHEN made.expired THEN now() - interval '1 s' WHEN made.n % 4 = 0 THEN now() + interval '1 day' END
			WHERE k.public_key = issued.public_key;
		-- Up to two roles in the organization, and up to four in its projects.
		FOR i IN 1 .. floor(random() * 3)::int LOOP
			SELECT r.name INTO name FROM (SELECT random() AS x) AS chance, pg_temp.role AS r
				WHERE r.level = 'organization' AND r.number = 1 + floor(chance.x * r.count);
			INSERT INTO apikeys.key_role (public_key, organization_id, role)
				VALUES (issued.public_key, organization.id, name) ON CONFLICT DO NOTHING;
		END LOOP;
		FOR i IN 1 .. floor(random() * 5)::int LOOP
			SELECT r.name INTO name FROM (SELECT random() AS x) AS chance, pg_temp.role AS r
				WHERE r.level = 'project' AND r.number = 1 + floor(chance.x * r.count);
			SELECT p.* INTO project FROM (SELECT random() AS x) AS chance, pg_temp.project AS p
				WHERE p.number = (organization.number - 1) * 4 + 1 + floor(chance.x * 4);
			INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
				VALUES (issued.public_key, organization.id, project.id, name) ON CONFLICT DO NOTHING;
		END LOOP;
	END LOOP;
END;
$$;
CREATE INDEX ON grants (key);
INSERT INTO grants
SELECT k.number, r.role, r.project_id FROM apikeys.key_role AS r JOIN key AS k USING (public_key);
ANALYZE key, secret, grants, role, project, organization;

-- --- Random requests ----------------------------------------------------------------
-- Each is of a key, sometimes with the secret of another one, or of none; for
-- no project, a project of its own organization, of another one, or of none.
CREATE TEMP TABLE request (
	number int PRIMARY KEY, key int, public_key text, secret text, given inet, plain inet, scope text, project_id uuid);
DO $$
DECLARE
	n int;
	own int;
	place int;
	address pg_temp.address;
	asked text;
	told text;
	proof text;
	chance float;
BEGIN
	FOR n IN 1 .. 100000 LOOP
		own := 1 + floor(random() * 300);
		address := pg_temp.random_address();
		asked := CASE WHEN random() < 0.01 THEN NULL ELSE pg_temp.random_scope() END;
		chance := random();
		place := CASE
			WHEN chance < 0.45 THEN (own % 12) * 4 + 1 + floor(random() * 4)
			WHEN chance < 0.55 THEN 1 + floor(random() * 48)
			WHEN chance < 0.58 THEN 0
			END;
		told := (SELECT public_key FROM pg_temp.key WHERE number = own);
		chance := random();
		IF chance < 0.02 THEN
			told := told || 'x';
		ELSIF chance < 0.03 THEN
			told := NULL;
		END IF;
		chance := random();
		proof := CASE
			WHEN chance < 0.02 THEN NULL
			WHEN chance < 0.03 THEN 'no secret'
			WHEN chance < 0.06 THEN (SELECT s.secret FROM pg_temp.secret AS s WHERE s.key = 1 + (own + n) % 300 AND s.number = 1)
			ELSE (SELECT s.secret FROM pg_temp.secret AS s WHERE s.key = own ORDER BY (s.number + n) % 2 LIMIT 1)
			END;
		INSERT INTO pg_temp.request VALUES (n, own, told, proof, address.given, address.plain, asked,
			CASE WHEN place = 0 THEN '99000000-0000-0000-0000-000000000000'::uuid
				ELSE (SELECT id FROM pg_temp.project WHERE number = place) END);
	END LOOP;
END;
$$;
ANALYZE request;

-- --- The rules, slow and plain --------------------------------------------------------
-- Does a pattern allow a scope? A star is LIKE's percent sign.
CREATE FUNCTION pg_temp.allows(patterns text[], scope text) RETURNS boolean
	LANGUAGE sql IMMUTABLE
	RETURN EXISTS (SELECT FROM unnest(patterns) AS pattern
		WHERE scope LIKE replace(replace(pattern, '_', '\_'), '*', '%'));

CREATE TEMP TABLE reference AS
SELECT r.number,
	CASE
		WHEN k.public_key IS NULL THEN 'unknown_key'
		WHEN NOT EXISTS (SELECT FROM secret AS s WHERE s.key = k.number AND s.secret = r.secret) THEN 'wrong_secret'
		WHEN NOT EXISTS (SELECT FROM secret AS s WHERE s.key = k.number AND s.secret = r.secret AND NOT s.ended) THEN 'secret_expired'
		WHEN k.disabled THEN 'key_disabled'
		WHEN k.expired THEN 'key_expired'
		WHEN k.networks = '{}' AND o.require_access_list THEN 'address_required'
		WHEN k.networks <> '{}' AND NOT EXISTS (SELECT FROM unnest(k.networks) AS n WHERE r.plain <<= n) THEN 'address_denied'
		WHEN NOT EXISTS (
			SELECT FROM grants AS g JOIN role ON role.name = g.role
			WHERE g.key = k.number
				AND CASE
					WHEN r.project_id IS NULL
						THEN g.project_id IS NULL AND pg_temp.allows(role.organization_permissions, r.scope)
					WHEN g.project_id IS NULL
						THEN p.organization_id = k.organization_id AND pg_temp.allows(role.project_permissions, r.scope)
					ELSE g.project_id = r.project_id AND pg_temp.allows(role.project_permissions, r.scope)
				END) THEN 'scope_denied'
		ELSE 'ok'
	END AS reason,
	k.public_key, k.organization_id, r.plain AS address,
	(SELECT n FROM unnest(k.networks) AS n WHERE r.plain <<= n ORDER BY masklen(n) DESC LIMIT 1) AS network
FROM request AS r
	LEFT JOIN key AS k ON k.public_key = r.public_key
	LEFT JOIN organization AS o ON o.id = k.organization_id
	LEFT JOIN project AS p ON p.id = r.project_id;
UPDATE reference SET
	organization_id = CASE WHEN reason NOT IN ('unknown_key', 'wrong_secret', 'secret_expired') THEN organization_id END,
	network = CASE WHEN reason IN ('ok', 'scope_denied') THEN network END;
ANALYZE reference;

-- --- Compared -------------------------------------------------------------------------
CREATE TEMP TABLE decided AS
SELECT r.number, apikeys.authorize(r.public_key, r.secret, r.given, r.scope, r.project_id) AS authorized, d.*
FROM request AS r
	CROSS JOIN LATERAL apikeys.decide(r.public_key, r.secret, r.given, r.scope, r.project_id) AS d;
ANALYZE decided;
SELECT count(*) AS requests,
	count(*) FILTER (WHERE d.reason IS DISTINCT FROM r.reason) AS reason_differs,
	count(*) FILTER (WHERE d.allowed IS DISTINCT FROM (r.reason = 'ok')) AS allowed_differs,
	count(*) FILTER (WHERE d.authorized IS DISTINCT FROM (r.reason = 'ok')) AS authorize_differs,
	count(*) FILTER (WHERE d.public_key IS DISTINCT FROM r.public_key) AS public_key_differs,
	count(*) FILTER (WHERE d.organization_id IS DISTINCT FROM r.organization_id) AS organization_differs,
	count(*) FILTER (WHERE d.address IS DISTINCT FROM r.address) AS address_differs,
	count(*) FILTER (WHERE d.network IS DISTINCT FROM r.network) AS network_differs
FROM reference AS r LEFT JOIN decided AS d USING (number);
-- Every reason was met, often.
SELECT e.reason, count(r.number) > 500 AS often
FROM unnest('{ok,unknown_key,wrong_secret,secret_expired,key_disabled,key_expired,address_required,address_denied,scope_denied}'::text[])
		WITH ORDINALITY AS e (reason, number)
	LEFT JOIN reference AS r USING (reason)
GROUP BY e.number, e.reason ORDER BY e.number;
-- So was what is allowed by each kind of role, or refused for each kind of project.
SELECT count(*) FILTER (WHERE q.project_id IS NULL AND r.reason = 'ok') > 500 AS organization_ok,
	count(*) FILTER (WHERE p.organization_id = k.organization_id AND r.reason = 'ok') > 500 AS project_ok,
	count(*) FILTER (WHERE p.organization_id <> k.organization_id AND r.reason = 'scope_denied') > 500 AS foreign_denied,
	count(*) FILTER (WHERE p.organization_id <> k.organization_id AND r.reason = 'ok') AS foreign_ok,
	count(*) FILTER (WHERE q.project_id IS NOT NULL AND p.id IS NULL AND r.reason = 'ok') AS unknown_ok,
	count(*) FILTER (WHERE q.given <> q.plain AND r.reason = 'ok' AND r.network IS NOT NULL) > 500 AS mapped_ok,
	count(*) FILTER (WHERE family(r.network) = 6) > 500 AS ipv6_ok
FROM reference AS r JOIN request AS q USING (number)
	LEFT JOIN key AS k ON k.public_key = q.public_key LEFT JOIN project AS p ON p.id = q.project_id;
-- What differs, if anything does.
SELECT r.reason AS expected, d.reason, q.key, k.networks, q.given, q.scope, q.project_id IS NOT NULL AS in_project
FROM reference AS r JOIN decided AS d USING (number) JOIN request AS q USING (number) JOIN key AS k ON k.number = q.key
WHERE d.reason IS DISTINCT FROM r.reason OR d.network IS DISTINCT FROM r.network
ORDER BY r.number LIMIT 10;

-- What decisions read of a key is what the tables say of it.
SELECT count(*) AS images, count(*) FILTER (WHERE i::text IS DISTINCT FROM s::text) AS differ
FROM apikeys.key_image AS i FULL JOIN apikeys.key_image_source AS s USING (public_key)
WHERE public_key IN (SELECT public_key FROM key);

DELETE FROM apikeys.key WHERE organization_id IN (SELECT id FROM organization);
DELETE FROM apikeys.deleted_key WHERE public_key IN (SELECT public_key FROM key);
DELETE FROM apikeys.organization WHERE id IN (SELECT id FROM organization);
DELETE FROM apikeys.role WHERE name ~ '^regress_property';
