-- What "View details" shows. All views see with the reader's rights.

CREATE VIEW apikeys.keys WITH (security_invoker = true, security_barrier = true) AS
SELECT
	k.public_key,
	(SELECT '********' || s.hint
		FROM apikeys.key_secret AS s
		WHERE s.public_key = k.public_key
		ORDER BY s.version DESC LIMIT 1) AS private_key,
	k.description,
	(SELECT o.name FROM apikeys.organization AS o WHERE o.id = k.organization_id) AS organization,
	ARRAY(SELECT r.role
		FROM apikeys.key_role AS r
		WHERE r.public_key = k.public_key AND r.project_id IS NULL
		ORDER BY r.role) AS organization_roles,
	(SELECT coalesce(jsonb_agg(
			jsonb_build_object('id', p.id, 'name', p.name, 'roles', p.roles) ORDER BY p.name), '[]')
		FROM (
			SELECT p.id, p.name, array_agg(r.role ORDER BY r.role) AS roles
			FROM apikeys.key_role AS r
				JOIN apikeys.project AS p ON p.id = r.project_id
			WHERE r.public_key = k.public_key
			GROUP BY p.id) AS p) AS projects,
	k.access_list,
	CASE
		WHEN k.disabled_at IS NOT NULL THEN 'disabled'
		WHEN k.expires_at <= clock_timestamp() THEN 'expired'
		ELSE 'active'
	END AS status,
	k.created_at,
	k.created_by,
	u.last_used_at,
	u.last_used_address,
	k.expires_at
FROM apikeys.key AS k
	LEFT JOIN LATERAL (
		SELECT u.last_used_at, u.last_used_address
		FROM apikeys.key_usage AS u
		WHERE u.public_key = k.public_key
		ORDER BY u.last_used_at DESC LIMIT 1) AS u ON true;
COMMENT ON VIEW apikeys.keys IS
	'The keys that the reader may see, each with its details; of the private key only the last characters.';
COMMENT ON COLUMN apikeys.keys.public_key IS 'The name of the key.';
COMMENT ON COLUMN apikeys.keys.private_key IS 'The last characters of the newest private key.';
COMMENT ON COLUMN apikeys.keys.description IS 'What the key is for.';
COMMENT ON COLUMN apikeys.keys.organization IS 'The name of its organization.';
COMMENT ON COLUMN apikeys.keys.organization_roles IS 'Its roles in the organization.';
COMMENT ON COLUMN apikeys.keys.projects IS 'Its projects, with its roles in each.';
COMMENT ON COLUMN apikeys.keys.access_list IS 'The networks it may be used from; empty: any address.';
COMMENT ON COLUMN apikeys.keys.status IS 'active, disabled or expired.';
COMMENT ON COLUMN apikeys.keys.created_at IS 'When it was made.';
COMMENT ON COLUMN apikeys.keys.created_by IS 'The principal that made it.';
COMMENT ON COLUMN apikeys.keys.last_used_at IS 'When it was last allowed.';
COMMENT ON COLUMN apikeys.keys.last_used_address IS 'From which address that was.';
COMMENT ON COLUMN apikeys.keys.expires_at IS 'From when on it is refused.';

CREATE VIEW apikeys.access_list_entries WITH (security_invoker = true, security_barrier = true) AS
SELECT
	k.public_key,
	n.network,
	coalesce(u.use_count, 0) AS use_count,
	u.last_used_at,
	u.last_used_address
FROM apikeys.key AS k
	CROSS JOIN LATERAL apikeys.networks(k.access_list) AS n (network)
	LEFT JOIN apikeys.key_usage AS u ON u.public_key = k.public_key AND u.network = n.network;
COMMENT ON VIEW apikeys.access_list_entries IS
	'The entries of the access lists of the keys that the reader may see, each with its last recorded use.';
COMMENT ON COLUMN apikeys.access_list_entries.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.access_list_entries.network IS 'The entry.';
COMMENT ON COLUMN apikeys.access_list_entries.use_count IS 'How many uses were recorded that this entry let in.';
COMMENT ON COLUMN apikeys.access_list_entries.last_used_at IS 'When the last recorded one was.';
COMMENT ON COLUMN apikeys.access_list_entries.last_used_address IS 'The address of that use.';
