CREATE TYPE apikeys.decision AS (
	allowed boolean,
	reason text,
	public_key text,
	organization_id uuid,
	address inet,
	network cidr
);
COMMENT ON TYPE apikeys.decision IS
	'The result of a decision, with its reason.';
COMMENT ON COLUMN apikeys.decision.allowed IS 'Whether the request is allowed; never NULL.';
COMMENT ON COLUMN apikeys.decision.reason IS 'ok, or the name of the first check that failed.';
COMMENT ON COLUMN apikeys.decision.public_key IS 'The key; NULL if it does not exist.';
COMMENT ON COLUMN apikeys.decision.organization_id IS 'The organization of the key; NULL unless its secret is proved.';
COMMENT ON COLUMN apikeys.decision.address IS 'The client address; an IPv4-mapped one as IPv4.';
COMMENT ON COLUMN apikeys.decision.network IS 'The matching entry of the access list; NULL if the list is empty.';

CREATE TYPE apikeys.new_key AS (
	public_key text,
	private_key text
);
COMMENT ON TYPE apikeys.new_key IS
	'A new key. The private key is shown only this once; the database stores its hash.';
COMMENT ON COLUMN apikeys.new_key.public_key IS 'The public identifier of the key; not secret.';
COMMENT ON COLUMN apikeys.new_key.private_key IS 'The secret of the key.';
