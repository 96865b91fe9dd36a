-- Everything that a decision reads of a key, in one row: one index descent instead of
-- three.  Like an index, it holds nothing that the tables do not hold, and is
-- maintained in the transaction that changes them; dumps leave it out, because a
-- restore makes it again.
--
-- The columns that prove a key come first.  They are stored in the row, never
-- compressed and never out of line, so a decision reads nothing else before a
-- secret is proved.  If direct SQL has inserted more than eight secrets, the eight
-- newest are here.  Access lists are never compressed: a decision reads parts.
--
-- The columns are also named in src/store/image.c and key_image.c.

CREATE TABLE apikeys.key_image (
	public_key text COLLATE "C" PRIMARY KEY,
	organization_id uuid NOT NULL,
	disabled boolean NOT NULL,
	expires_at timestamptz NOT NULL,
	created_at timestamptz NOT NULL,
	secrets apikeys.secret_hash[] NOT NULL,
	secret_expirations timestamptz[] NOT NULL,
	secret_versions bytea NOT NULL,
	organization_roles text[] NOT NULL,
	access_list apikeys.access_list NOT NULL,
	project_roles text[] NOT NULL,
	projects uuid[] NOT NULL,
	details jsonb NOT NULL DEFAULT '{}',
	limits bytea NOT NULL
) WITH (fillfactor = 90);
ALTER TABLE apikeys.key_image
	ALTER secrets SET STORAGE PLAIN,
	ALTER secret_expirations SET STORAGE PLAIN,
	ALTER secret_versions SET STORAGE PLAIN;
COMMENT ON TABLE apikeys.key_image IS
	'Everything that a decision reads of a key, derived from key, key_secret, key_role and key_limit by verbs and triggers. Internal.';
COMMENT ON COLUMN apikeys.key_image.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_image.organization_id IS 'Its organization.';
COMMENT ON COLUMN apikeys.key_image.disabled IS 'Whether it is disabled.';
COMMENT ON COLUMN apikeys.key_image.expires_at IS 'Expiration time; infinity means never.';
COMMENT ON COLUMN apikeys.key_image.created_at IS 'Creation time.';
COMMENT ON COLUMN apikeys.key_image.secrets IS 'Hashes of its eight newest secrets.';
COMMENT ON COLUMN apikeys.key_image.secret_expirations IS 'Expiration times of the secrets; infinity means never.';
COMMENT ON COLUMN apikeys.key_image.secret_versions IS 'Versions of the secrets, in the same order: four bytes each, most significant byte first.';
COMMENT ON COLUMN apikeys.key_image.organization_roles IS 'Its roles in the organization.';
COMMENT ON COLUMN apikeys.key_image.access_list IS 'Its access list.';
COMMENT ON COLUMN apikeys.key_image.project_roles IS 'What it holds in projects, in the same form, one for each of projects.';
COMMENT ON COLUMN apikeys.key_image.projects IS 'The projects of these.';
COMMENT ON COLUMN apikeys.key_image.details IS 'What decide tells of it: {"owner", "metadata", "environment"}; empty where it has none of them.';
COMMENT ON COLUMN apikeys.key_image.limits IS 'Its limits_id, and the images of its limits.';

CREATE FUNCTION apikeys_internal.key_details(owner text, metadata jsonb, environment text) RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE WHEN owner IS NULL AND metadata = '{}' AND environment IS NULL THEN '{}'
		ELSE jsonb_build_object('owner', owner, 'metadata', metadata, 'environment', environment) END;
COMMENT ON FUNCTION apikeys_internal.key_details(text, jsonb, text) IS
	'Returns the details of a key as its image has them.';

CREATE VIEW apikeys.key_image_source WITH (security_invoker = true) AS
SELECT
	k.public_key,
	k.organization_id,
	k.disabled_at IS NOT NULL AS disabled,
	coalesce(k.expires_at, 'infinity') AS expires_at,
	k.created_at,
	coalesce(s.hashes, '{}') AS secrets,
	coalesce(s.expirations, '{}') AS secret_expirations,
	coalesce(s.versions, '') AS secret_versions,
	ARRAY(SELECT coalesce(r.role, '=' || r.permission) FROM apikeys.key_role AS r
		WHERE r.public_key = k.public_key AND r.project_id IS NULL ORDER BY r.role, r.permission) AS organization_roles,
	k.access_list,
	ARRAY(SELECT coalesce(r.role, '=' || r.permission) FROM apikeys.key_role AS r
		WHERE r.public_key = k.public_key AND r.project_id IS NOT NULL
		ORDER BY r.project_id, r.role, r.permission) AS project_roles,
	ARRAY(SELECT r.project_id FROM apikeys.key_role AS r
		WHERE r.public_key = k.public_key AND r.project_id IS NOT NULL
		ORDER BY r.project_id, r.role, r.permission) AS projects,
	apikeys_internal.key_details(k.owner, k.metadata, k.environment) AS details,
	uuid_send(k.limits_id) || (SELECT coalesce(string_agg(l.image, '' ORDER BY l.kind, l.scope), '')
		FROM apikeys.key_limit AS l WHERE l.public_key = k.public_key) AS limits
FROM apikeys.key AS k
	CROSS JOIN LATERAL (
		SELECT array_agg(n.hash ORDER BY n.version) AS hashes,
			array_agg(coalesce(n.expires_at, 'infinity') ORDER BY n.version) AS expirations,
			string_agg(int4send(n.version), '' ORDER BY n.version) AS versions
		FROM (SELECT s.version, s.hash, s.expires_at FROM apikeys.key_secret AS s
			WHERE s.public_key = k.public_key ORDER BY s.version DESC LIMIT 8) AS n) AS s;
COMMENT ON VIEW apikeys.key_image_source IS
	'What key_image must contain. Internal.';
COMMENT ON COLUMN apikeys.key_image_source.public_key IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.organization_id IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.disabled IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.expires_at IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.created_at IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.secrets IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.secret_expirations IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.secret_versions IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.organization_roles IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.access_list IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.project_roles IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.projects IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.details IS 'As in key_image.';
COMMENT ON COLUMN apikeys.key_image_source.limits IS 'As in key_image.';
