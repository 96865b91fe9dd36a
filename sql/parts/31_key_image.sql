-- All that a decision reads of a key, in one row: one index descent instead of
-- three.  Like an index, it holds nothing that the tables do not hold, and is
-- maintained in the transaction that changes them; dumps leave it out, because a
-- restore makes it again.

CREATE TABLE apikeys.key_image (
	public_key text COLLATE "C" PRIMARY KEY,
	organization_id uuid NOT NULL,
	disabled boolean NOT NULL,
	expires_at timestamptz NOT NULL,
	access_list apikeys.access_list NOT NULL,
	secrets apikeys.secret_hash[] NOT NULL,
	secret_expirations timestamptz[] NOT NULL,
	organization_roles text[] NOT NULL,
	project_roles text[] NOT NULL,
	projects uuid[] NOT NULL,
	created_at timestamptz NOT NULL,
	secret_versions bytea NOT NULL,
	limits bytea NOT NULL
) WITH (fillfactor = 90);
COMMENT ON TABLE apikeys.key_image IS
	'All that a decision reads of a key, derived from key, key_secret, key_role and key_limit by verbs and triggers. Internal.';
COMMENT ON COLUMN apikeys.key_image.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_image.organization_id IS 'Its organization.';
COMMENT ON COLUMN apikeys.key_image.disabled IS 'Whether it is disabled.';
COMMENT ON COLUMN apikeys.key_image.expires_at IS 'Expiration time; infinity: never.';
COMMENT ON COLUMN apikeys.key_image.access_list IS 'Its access list.';
COMMENT ON COLUMN apikeys.key_image.secrets IS 'The hashes of its secrets.';
COMMENT ON COLUMN apikeys.key_image.secret_expirations IS 'Expiration times of the secrets; infinity: never.';
COMMENT ON COLUMN apikeys.key_image.organization_roles IS 'Its roles in the organization.';
COMMENT ON COLUMN apikeys.key_image.project_roles IS 'Its roles in projects, one for each of projects.';
COMMENT ON COLUMN apikeys.key_image.projects IS 'The projects of those roles.';
COMMENT ON COLUMN apikeys.key_image.created_at IS 'Creation time.';
COMMENT ON COLUMN apikeys.key_image.secret_versions IS 'The versions of its secrets, one for each of secrets, four bytes long, the most significant byte first.';
COMMENT ON COLUMN apikeys.key_image.limits IS 'Its limits_id, and the images of its limits.';

CREATE VIEW apikeys.key_image_source WITH (security_invoker = true) AS
SELECT
	k.public_key,
	k.organization_id,
	k.disabled_at IS NOT NULL AS disabled,
	coalesce(k.expires_at, 'infinity') AS expires_at,
	k.access_list,
	ARRAY(SELECT s.hash FROM apikeys.key_secret AS s
		WHERE s.public_key = k.public_key ORDER BY s.version) AS secrets,
	ARRAY(SELECT coalesce(s.expires_at, 'infinity') FROM apikeys.key_secret AS s
		WHERE s.public_key = k.public_key ORDER BY s.version) AS secret_expirations,
	ARRAY(SELECT r.role FROM apikeys.key_role AS r
		WHERE r.public_key = k.public_key AND r.project_id IS NULL ORDER BY r.role) AS organization_roles,
	ARRAY(SELECT r.role FROM apikeys.key_role AS r
		WHERE r.public_key = k.public_key AND r.project_id IS NOT NULL
		ORDER BY r.project_id, r.role) AS project_roles,
	ARRAY(SELECT r.project_id FROM apikeys.key_role AS r
		WHERE r.public_key = k.public_key AND r.project_id IS NOT NULL
		ORDER BY r.project_id, r.role) AS projects,
	k.created_at,
	(SELECT coalesce(string_agg(int4send(s.version), '' ORDER BY s.version), '')
		FROM apikeys.key_secret AS s WHERE s.public_key = k.public_key) AS secret_versions,
	uuid_send(k.limits_id) || (SELECT coalesce(string_agg(l.image, '' ORDER BY l.kind, l.scope), '')
		FROM apikeys.key_limit AS l WHERE l.public_key = k.public_key) AS limits
FROM apikeys.key AS k;
COMMENT ON VIEW apikeys.key_image_source IS
	'What key_image must contain. Internal.';
COMMENT ON COLUMN apikeys.key_image_source.public_key IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.organization_id IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.disabled IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.expires_at IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.access_list IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.secrets IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.secret_expirations IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.organization_roles IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.project_roles IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.projects IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.created_at IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.secret_versions IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.limits IS 'As in key_image.';
