-- What each client finds: an organization, and a role that manages its keys and
-- decides on requests.
CREATE EXTENSION apikeys;
SELECT apikeys.grant_access('client', 'decide', 'manage');
SELECT apikeys.create_organization('Acme', 'role:client');

-- For PostgREST: the role of its requests, and a function that tells of a refusal
-- with its identifier.
SELECT apikeys.grant_access('web', 'decide', 'manage');
CREATE FUNCTION stop_key(public_key text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	identifier text;
	details text;
	hint text;
BEGIN
	RETURN apikeys.disable_key(public_key);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME, details = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RAISE SQLSTATE 'PGRST' USING
		MESSAGE = json_build_object('code', identifier, 'message', SQLERRM, 'details', details, 'hint', hint),
		DETAIL = json_build_object('status', CASE WHEN identifier ~ '_not_found$' THEN 404 ELSE 403 END, 'headers', '{}'::json);
END;
$$;
GRANT EXECUTE ON FUNCTION stop_key TO web;
