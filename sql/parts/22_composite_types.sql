CREATE TYPE apikeys.decision AS (
	allowed boolean,
	reason text,
	public_key text,
	organization_id uuid,
	address inet,
	network cidr,
	http_status integer,
	retry_after interval,
	owner text,
	metadata jsonb,
	remaining bigint,
	reset_after interval,
	limit_name text,
	environment text
);
COMMENT ON TYPE apikeys.decision IS
	'Whether a request may go on, and why.';
COMMENT ON COLUMN apikeys.decision.allowed IS 'Whether the request may go on; never NULL.';
COMMENT ON COLUMN apikeys.decision.reason IS 'ok, or the first check that failed.';
COMMENT ON COLUMN apikeys.decision.public_key IS 'The key; NULL where there is none of this name.';
COMMENT ON COLUMN apikeys.decision.organization_id IS 'The organization of the key; NULL until its secret is proved.';
COMMENT ON COLUMN apikeys.decision.address IS 'The address judged; an IPv4-mapped one as IPv4.';
COMMENT ON COLUMN apikeys.decision.network IS 'The entry of the access list that let the address in; NULL where the list is empty.';
COMMENT ON COLUMN apikeys.decision.http_status IS 'The status of an HTTP response to it: 200, 401 where the key is not proved, 403 where it is denied, 429 where it is over a limit.';
COMMENT ON COLUMN apikeys.decision.retry_after IS 'How long until the same call passes; NULL where it passed, and where waiting does not help.';
COMMENT ON COLUMN apikeys.decision.owner IS 'The application''s own identifier of the owner of the key; NULL until its secret is proved.';
COMMENT ON COLUMN apikeys.decision.metadata IS 'The application''s own data of the key; NULL until its secret is proved.';
COMMENT ON COLUMN apikeys.decision.remaining IS 'Whole units of cost that would pass at this instant, after this call; NULL: no limit.';
COMMENT ON COLUMN apikeys.decision.reset_after IS 'How long until the limit is as if never used.';
COMMENT ON COLUMN apikeys.decision.limit_name IS 'The limit that remaining is of; NULL: no limit.';
COMMENT ON COLUMN apikeys.decision.environment IS 'The environment that the key was created for, such as live or test; NULL until its secret is proved.';

CREATE TYPE apikeys.new_key AS (
	public_key text,
	private_key text,
	api_key text
);
COMMENT ON TYPE apikeys.new_key IS
	'A key just issued. The private key is shown this once; only a hash of it is stored.';
COMMENT ON COLUMN apikeys.new_key.public_key IS 'The name of the key; not secret.';
COMMENT ON COLUMN apikeys.new_key.private_key IS 'The secret of the key.';
COMMENT ON COLUMN apikeys.new_key.api_key IS 'Both in one string: <public key>.<private key>.';
