-- Schema regress_hostile: a function and an operator for each that pg_catalog
-- has, of the same name and for the same types, and types, tables and views of
-- names that are in use.  A session that has it before pg_catalog in its
-- search_path, and leaves a name unqualified, gets one of them: it counts its call, which no
-- rollback takes back, and fails.
CREATE SCHEMA regress_hostile;
GRANT USAGE ON SCHEMA regress_hostile TO PUBLIC;
CREATE SEQUENCE regress_hostile.called;
GRANT USAGE ON SEQUENCE regress_hostile.called TO PUBLIC;

DO $do$
DECLARE
	body constant text := $body$
		BEGIN
			PERFORM pg_catalog.nextval('regress_hostile.called'::pg_catalog.regclass);
			RAISE EXCEPTION 'hostile %% was called', %L;
		END $body$;
	f record;
	operator record;
BEGIN
	SET LOCAL check_function_bodies = off;
	-- Types by their qualified names, since some are to be hidden.
	SET LOCAL search_path = '';
	FOR f IN
		SELECT p.proname AS name, (
			SELECT string_agg(a.type::regtype::text, ', ' ORDER BY a.position)
			FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, position)) AS arguments
		FROM pg_proc AS p
		WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.provariadic = 0 AND p.prokind <> 'p'
			-- What PL/pgSQL can have as an argument.
			AND NOT EXISTS (SELECT FROM pg_type AS t
				WHERE t.oid = ANY (p.proargtypes::oid[]) AND t.typtype = 'p'
					AND t.oid NOT IN ('anyelement'::regtype, 'anyarray'::regtype, 'anynonarray'::regtype))
			-- Nobody calls those by name.
			AND p.oid NOT IN (SELECT typinput FROM pg_type) AND p.oid NOT IN (SELECT typoutput FROM pg_type)
		UNION ALL
		-- Some that take any number of arguments, with some.
		SELECT v.name, array_to_string(array_fill('text'::text, ARRAY[n]), ', ')
		FROM (VALUES ('format'), ('concat'), ('concat_ws'), ('json_build_object'), ('jsonb_build_object'), ('num_nonnulls'))
			AS v (name), generate_series(1, 6) AS n
	LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION regress_hostile.%I(%s) RETURNS text LANGUAGE plpgsql AS %L',
				f.name, f.arguments, format(body, f.name));
		EXCEPTION
			WHEN duplicate_function THEN NULL;
		END;
	END LOOP;
	FOR operator IN
		SELECT o.oid, o.oprname AS name, nullif(o.oprleft, 0)::regtype AS left, o.oprright::regtype AS right, o.oprresult::regtype AS result
		FROM pg_operator AS o
		WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprresult <> 0
			AND NOT EXISTS (SELECT FROM pg_type AS t
				WHERE t.oid IN (o.oprleft, o.oprright) AND t.typtype = 'p' AND t.oid <> 'anyarray'::regtype
					AND t.oid <> 'anyelement'::regtype AND t.oid <> 'anynonarray'::regtype)
	LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION regress_hostile.operator_%s(%s) RETURNS %s LANGUAGE plpgsql AS %L',
				operator.oid, concat_ws(', ', operator.left, operator.right), operator.result, format(body, operator.name));
			EXECUTE format('CREATE OPERATOR regress_hostile.%s (%sRIGHTARG = %s, FUNCTION = regress_hostile.operator_%s)',
				operator.name, 'LEFTARG = ' || operator.left || ', ', operator.right, operator.oid);
		EXCEPTION
			WHEN invalid_function_definition OR datatype_mismatch THEN NULL;
		END;
	END LOOP;
END
$do$;

CREATE TABLE regress_hostile.key ();
CREATE TABLE regress_hostile.key_role ();
CREATE TABLE regress_hostile.key_secret ();
CREATE TABLE regress_hostile.key_image ();
CREATE TABLE regress_hostile.role ();
CREATE TABLE regress_hostile.member ();
CREATE TABLE regress_hostile.organization ();
CREATE TABLE regress_hostile.project ();
CREATE TABLE regress_hostile.pg_extension ();
CREATE TABLE regress_hostile.pg_class ();
CREATE DOMAIN regress_hostile.access_list AS point;
CREATE DOMAIN regress_hostile.decision AS point;
CREATE DOMAIN regress_hostile.secret_hash AS point;
CREATE DOMAIN regress_hostile.uuid AS point;
CREATE DOMAIN regress_hostile.inet AS point;
CREATE DOMAIN regress_hostile.cidr AS point;
CREATE DOMAIN regress_hostile.jsonb AS point;
CREATE DOMAIN regress_hostile.timestamptz AS point;
CREATE DOMAIN regress_hostile.text AS point;
