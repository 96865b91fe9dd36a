CREATE TYPE apikeys.decision AS (
	allowed boolean,
	reason text,
	public_key text,
	organization_id uuid,
	address inet,
	network cidr
);
COMMENT ON TYPE apikeys.decision IS
	'Whether a request may go on, and why.';
COMMENT ON COLUMN apikeys.decision.allowed IS 'Whether the request may go on; never NULL.';
COMMENT ON COLUMN apikeys.decision.reason IS 'ok, or the first check that failed.';
COMMENT ON COLUMN apikeys.decision.public_key IS 'The key; NULL where there is none of this name.';
COMMENT ON COLUMN apikeys.decision.organization_id IS 'The organization of the key; NULL until its secret is proved.';
COMMENT ON COLUMN apikeys.decision.address IS 'The address judged; an IPv4-mapped one as IPv4.';
COMMENT ON COLUMN apikeys.decision.network IS 'The entry of the access list that let the address in; NULL where the list is empty.';

CREATE TYPE apikeys.new_key AS (
	public_key text,
	private_key text
);
COMMENT ON TYPE apikeys.new_key IS
	'A key just issued. The private key is shown this once; only a hash of it is stored.';
COMMENT ON COLUMN apikeys.new_key.public_key IS 'The name of the key; not secret.';
COMMENT ON COLUMN apikeys.new_key.private_key IS 'The secret of the key.';
