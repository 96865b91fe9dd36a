-- The tables, and every rule that a constraint can hold.  The C code reads
-- tables and indexes by column number: a column that is added goes to the end.

CREATE FUNCTION apikeys.is_name(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_name';
COMMENT ON FUNCTION apikeys.is_name(text) IS
	'Whether a text may be a name or a description: 1 to 250 characters, none of them a control character, and no blank at either end.';

CREATE FUNCTION apikeys.is_private_key(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_private_key';
COMMENT ON FUNCTION apikeys.is_private_key(text) IS
	'Whether a text has the form of a private key issued here, its checksum included.';

CREATE FUNCTION apikeys.is_public_key(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_public_key';
COMMENT ON FUNCTION apikeys.is_public_key(text) IS
	'Whether a text may name a key: 1 to 128 letters, digits and characters of _.~+/=-, and not a private key.';

CREATE FUNCTION apikeys.is_principal(candidate text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN octet_length(candidate) <= 255 AND candidate COLLATE "C" ~ '^(role|user):[^\u0001-\u001F\u007F]+$';
COMMENT ON FUNCTION apikeys.is_principal(text) IS
	'Whether a text may name a member: role: or user: and a name, 255 bytes together at most.';

CREATE FUNCTION apikeys.is_role_name(candidate text) RETURNS boolean
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	RETURN candidate COLLATE "C" ~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}$' AND NOT apikeys.is_private_key(candidate);
COMMENT ON FUNCTION apikeys.is_role_name(text) IS
	'Whether a text may name a role: 1 to 63 letters, digits and characters of _.:-, the first a letter or digit, and not a private key.';

CREATE FUNCTION apikeys.are_permissions(candidates text[]) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_are_permissions';
COMMENT ON FUNCTION apikeys.are_permissions(text[]) IS
	'Whether each element is a permission: 1 to 256 letters, digits and characters of _.:/-*.';

CREATE TABLE apikeys.organization (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	name text COLLATE "C" NOT NULL,
	require_access_list boolean NOT NULL DEFAULT false,
	max_key_lifetime interval,
	max_rotation_overlap interval NOT NULL DEFAULT '7 days',
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT organization_name_key UNIQUE (name),
	CONSTRAINT organization_name_check CHECK (apikeys.is_name(name)),
	CONSTRAINT organization_max_key_lifetime_check CHECK (max_key_lifetime > '0' AND max_key_lifetime <= '1000 years'),
	CONSTRAINT organization_max_rotation_overlap_check CHECK (max_rotation_overlap >= '0' AND max_rotation_overlap <= '1000 years')
);
COMMENT ON TABLE apikeys.organization IS
	'An organization, which owns projects and keys. Its members, and those of its projects, read it.';
COMMENT ON COLUMN apikeys.organization.id IS 'Identifies the organization.';
COMMENT ON COLUMN apikeys.organization.name IS 'Unique name, for people.';
COMMENT ON COLUMN apikeys.organization.require_access_list IS 'Whether a key with an empty access list is refused.';
COMMENT ON COLUMN apikeys.organization.max_key_lifetime IS 'Longest life of a key; NULL: no limit.';
COMMENT ON COLUMN apikeys.organization.max_rotation_overlap IS 'How long an old secret may live on after a rotation.';
COMMENT ON COLUMN apikeys.organization.created_at IS 'When the organization was made.';

CREATE TABLE apikeys.project (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	organization_id uuid NOT NULL REFERENCES apikeys.organization ON DELETE CASCADE,
	name text COLLATE "C" NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT project_name_key UNIQUE (organization_id, name),
	CONSTRAINT project_organization_key UNIQUE (id, organization_id),
	CONSTRAINT project_name_check CHECK (apikeys.is_name(name))
);
COMMENT ON TABLE apikeys.project IS
	'A project of one organization; deleting it takes along the roles granted in it. Who has a permission in it, or apikeys.projects.read in the organization, reads it.';
COMMENT ON COLUMN apikeys.project.id IS 'Identifies the project.';
COMMENT ON COLUMN apikeys.project.organization_id IS 'The organization it belongs to; never changes.';
COMMENT ON COLUMN apikeys.project.name IS 'Name, unique in the organization.';
COMMENT ON COLUMN apikeys.project.created_at IS 'When the project was made.';

CREATE TABLE apikeys.role (
	name text COLLATE "C" PRIMARY KEY,
	level text COLLATE "C" NOT NULL,
	organization_permissions text[] NOT NULL DEFAULT '{}',
	project_permissions text[] NOT NULL DEFAULT '{}',
	description text,
	is_builtin boolean NOT NULL DEFAULT false,
	CONSTRAINT role_level_key UNIQUE (name, level),
	CONSTRAINT role_name_check CHECK (apikeys.is_role_name(name)),
	CONSTRAINT role_level_check CHECK (level IN ('organization', 'project')),
	CONSTRAINT role_permissions_check CHECK (
		apikeys.are_permissions(organization_permissions)
		AND apikeys.are_permissions(project_permissions)),
	CONSTRAINT role_project_level_check CHECK (
		level = 'organization' OR organization_permissions = '{}'),
	CONSTRAINT role_description_check CHECK (apikeys.is_name(description))
);
COMMENT ON TABLE apikeys.role IS
	'A named set of permissions that can be granted to members and to keys. Everybody reads it.';
COMMENT ON COLUMN apikeys.role.name IS 'Unique name.';
COMMENT ON COLUMN apikeys.role.level IS 'Where it can be granted: organization or project.';
COMMENT ON COLUMN apikeys.role.organization_permissions IS 'What it allows in the organization itself: patterns of scopes.';
COMMENT ON COLUMN apikeys.role.project_permissions IS 'What it allows in projects: in every one of the organization (level organization), or in the one it is granted in.';
COMMENT ON COLUMN apikeys.role.description IS 'What the role is for.';
COMMENT ON COLUMN apikeys.role.is_builtin IS 'Whether the extension brought it; such a role cannot be dropped.';

CREATE TABLE apikeys.member (
	organization_id uuid NOT NULL REFERENCES apikeys.organization ON DELETE CASCADE,
	project_id uuid,
	principal text COLLATE "C" NOT NULL,
	role text COLLATE "C" NOT NULL,
	level text COLLATE "C" NOT NULL,
	CONSTRAINT member_key UNIQUE NULLS NOT DISTINCT (principal, organization_id, project_id, role),
	CONSTRAINT member_project_fkey FOREIGN KEY (project_id, organization_id)
		REFERENCES apikeys.project (id, organization_id) ON DELETE CASCADE,
	CONSTRAINT member_level_check CHECK (
		level = CASE WHEN project_id IS NULL THEN 'organization' ELSE 'project' END),
	CONSTRAINT member_role_fkey FOREIGN KEY (role, level) REFERENCES apikeys.role (name, level),
	CONSTRAINT member_principal_check CHECK (apikeys.is_principal(principal))
);
CREATE INDEX member_organization_idx ON apikeys.member (organization_id);
CREATE INDEX member_project_idx ON apikeys.member (project_id);
ALTER TABLE apikeys.member REPLICA IDENTITY FULL;
COMMENT ON INDEX apikeys.member_organization_idx IS 'Finds the members of an organization.';
COMMENT ON INDEX apikeys.member_project_idx IS 'Finds the members of a project.';
COMMENT ON TABLE apikeys.member IS
	'A principal that holds a role in an organization, or in one of its projects. He reads his own rows; apikeys.members.read reads all there.';
COMMENT ON COLUMN apikeys.member.organization_id IS 'The organization.';
COMMENT ON COLUMN apikeys.member.project_id IS 'The project; NULL where the role is held in the organization.';
COMMENT ON COLUMN apikeys.member.principal IS 'role:<PostgreSQL role> or user:<user of the application>.';
COMMENT ON COLUMN apikeys.member.role IS 'The role held.';
COMMENT ON COLUMN apikeys.member.level IS 'The level a role must have to be held here.';

CREATE TABLE apikeys.key (
	public_key text COLLATE "C" PRIMARY KEY,
	organization_id uuid NOT NULL REFERENCES apikeys.organization,
	description text NOT NULL,
	access_list apikeys.access_list NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now(),
	created_by text NOT NULL DEFAULT apikeys.principal(),
	expires_at timestamptz,
	disabled_at timestamptz,
	disabled_reason text,
	CONSTRAINT key_organization_key UNIQUE (organization_id, public_key),
	CONSTRAINT key_public_key_check CHECK (apikeys.is_public_key(public_key)),
	CONSTRAINT key_description_check CHECK (apikeys.is_name(description)),
	CONSTRAINT key_disabled_reason_check CHECK (apikeys.is_name(disabled_reason))
);
COMMENT ON TABLE apikeys.key IS
	'An API key. What it may do is in key_role, its secrets are in key_secret. apikeys.keys.read, in its organization or in a project it has a role in, reads it; view keys shows all of it.';
COMMENT ON COLUMN apikeys.key.public_key IS 'The name of the key; never changes, is never used again.';
COMMENT ON COLUMN apikeys.key.organization_id IS 'The organization it belongs to; never changes.';
COMMENT ON COLUMN apikeys.key.description IS 'What the key is for, 1 to 250 characters.';
COMMENT ON COLUMN apikeys.key.access_list IS 'The networks it may be used from; empty: any address.';
COMMENT ON COLUMN apikeys.key.created_at IS 'When the key was made.';
COMMENT ON COLUMN apikeys.key.created_by IS 'The principal that made it.';
COMMENT ON COLUMN apikeys.key.expires_at IS 'From when on it is refused; NULL: never.';
COMMENT ON COLUMN apikeys.key.disabled_at IS 'Since when it is disabled; NULL: it is not.';
COMMENT ON COLUMN apikeys.key.disabled_reason IS 'Why it was disabled, in words of who did it; compromised: with its own private key, by revoke_leaked.';

CREATE TABLE apikeys.key_role (
	public_key text COLLATE "C" NOT NULL,
	organization_id uuid NOT NULL,
	project_id uuid,
	role text COLLATE "C" NOT NULL,
	level text COLLATE "C" NOT NULL,
	-- With the organization, so that it tells nothing of another one's keys.
	CONSTRAINT key_role_key UNIQUE NULLS NOT DISTINCT (public_key, project_id, role, organization_id),
	CONSTRAINT key_role_key_fkey FOREIGN KEY (organization_id, public_key)
		REFERENCES apikeys.key (organization_id, public_key) ON DELETE CASCADE,
	CONSTRAINT key_role_project_fkey FOREIGN KEY (project_id, organization_id)
		REFERENCES apikeys.project (id, organization_id) ON DELETE CASCADE,
	CONSTRAINT key_role_level_check CHECK (
		level = CASE WHEN project_id IS NULL THEN 'organization' ELSE 'project' END),
	CONSTRAINT key_role_role_fkey FOREIGN KEY (role, level) REFERENCES apikeys.role (name, level)
);
CREATE INDEX key_role_project_idx ON apikeys.key_role (project_id);
ALTER TABLE apikeys.key_role REPLICA IDENTITY FULL;
COMMENT ON INDEX apikeys.key_role_project_idx IS 'Finds the keys of a project.';
COMMENT ON TABLE apikeys.key_role IS
	'A role granted to a key, in its organization or in one of that organization''s projects. apikeys.keys.read there reads it.';
COMMENT ON COLUMN apikeys.key_role.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_role.organization_id IS 'The organization of the key.';
COMMENT ON COLUMN apikeys.key_role.project_id IS 'The project; NULL where the role is granted in the organization.';
COMMENT ON COLUMN apikeys.key_role.role IS 'The role granted.';
COMMENT ON COLUMN apikeys.key_role.level IS 'The level a role must have to be granted here.';

CREATE TABLE apikeys.key_secret (
	public_key text COLLATE "C" NOT NULL REFERENCES apikeys.key ON DELETE CASCADE,
	version integer NOT NULL,
	hash apikeys.secret_hash NOT NULL,
	hint text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	expires_at timestamptz,
	algorithm text COLLATE "C" NOT NULL GENERATED ALWAYS AS (apikeys.algorithm(hash)) STORED,
	pepper text COLLATE "C" GENERATED ALWAYS AS (apikeys.pepper(hash)) STORED,
	PRIMARY KEY (public_key, version),
	CONSTRAINT key_secret_version_check CHECK (version > 0),
	CONSTRAINT key_secret_hint_check CHECK (length(hint) <= 4)
);
COMMENT ON TABLE apikeys.key_secret IS
	'The hashed secrets of a key, at most two of them live. Who reads the key reads all but the hash, which nobody does.';
COMMENT ON COLUMN apikeys.key_secret.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_secret.version IS 'Counts the secrets of the key.';
COMMENT ON COLUMN apikeys.key_secret.hash IS 'The hash of the secret; nobody is granted to read it.';
COMMENT ON COLUMN apikeys.key_secret.hint IS 'The last characters of the secret, to tell it by.';
COMMENT ON COLUMN apikeys.key_secret.created_at IS 'When the secret was issued.';
COMMENT ON COLUMN apikeys.key_secret.expires_at IS 'From when on it is refused; NULL: as long as the key lives.';
COMMENT ON COLUMN apikeys.key_secret.algorithm IS 'The algorithm of the hash.';
COMMENT ON COLUMN apikeys.key_secret.pepper IS 'The id of its pepper, 0 for none; NULL for a hash of another system.';

-- No foreign key to key: its lock would keep a key from being deleted as long as
-- a transaction that has used it is open.  Room in each page, so that a row can
-- be updated where it is.
CREATE TABLE apikeys.key_usage (
	public_key text COLLATE "C" NOT NULL,
	network cidr,
	use_count bigint NOT NULL,
	last_used_at timestamptz NOT NULL,
	last_used_address inet,
	secret_version integer NOT NULL DEFAULT 0,
	CONSTRAINT key_usage_key UNIQUE NULLS NOT DISTINCT (public_key, network, secret_version)
) WITH (fillfactor = 70);
ALTER TABLE apikeys.key_usage REPLICA IDENTITY FULL;
COMMENT ON TABLE apikeys.key_usage IS
	'When and from where a key was last allowed, by the entry of its access list and the secret. Who reads the key reads it; view usage adds what is not written yet.';
COMMENT ON COLUMN apikeys.key_usage.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_usage.network IS 'The entry that let the address in; NULL while the list was empty.';
COMMENT ON COLUMN apikeys.key_usage.use_count IS 'How many uses were recorded.';
COMMENT ON COLUMN apikeys.key_usage.last_used_at IS 'When the last recorded use was.';
COMMENT ON COLUMN apikeys.key_usage.last_used_address IS 'The address of that use.';
COMMENT ON COLUMN apikeys.key_usage.secret_version IS 'The secret used, by its version in key_secret; 0: secrets that are no more.';

CREATE TABLE apikeys.key_role_usage (
	public_key text COLLATE "C" NOT NULL,
	project_id uuid,
	role text COLLATE "C" NOT NULL,
	last_used_at timestamptz NOT NULL,
	CONSTRAINT key_role_usage_key UNIQUE NULLS NOT DISTINCT (public_key, project_id, role)
) WITH (fillfactor = 70);
ALTER TABLE apikeys.key_role_usage REPLICA IDENTITY FULL;
COMMENT ON TABLE apikeys.key_role_usage IS
	'When a role of a key last allowed something, written once an hour; who reads the role reads it. Kept until the key is deleted, also where the role is taken away and granted again.';
COMMENT ON COLUMN apikeys.key_role_usage.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_role_usage.project_id IS 'The project; NULL where the role is granted in the organization.';
COMMENT ON COLUMN apikeys.key_role_usage.role IS 'The role.';
COMMENT ON COLUMN apikeys.key_role_usage.last_used_at IS 'When its last recorded use was; later uses may be up to an hour later.';

CREATE TABLE apikeys.key_denial (
	public_key text COLLATE "C" NOT NULL,
	reason text COLLATE "C" NOT NULL,
	denial_count bigint NOT NULL,
	last_denied_at timestamptz NOT NULL,
	last_denied_address inet,
	PRIMARY KEY (public_key, reason)
) WITH (fillfactor = 70);
COMMENT ON TABLE apikeys.key_denial IS
	'How often, when and from where a key was last denied, by the reason. Who reads the key reads it; view usage adds what is not written yet.';
COMMENT ON COLUMN apikeys.key_denial.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_denial.reason IS 'The reason, as decide gives it.';
COMMENT ON COLUMN apikeys.key_denial.denial_count IS 'How many denials were counted.';
COMMENT ON COLUMN apikeys.key_denial.last_denied_at IS 'When the last one was.';
COMMENT ON COLUMN apikeys.key_denial.last_denied_address IS 'The address of that request.';

-- Written along with each batch of counts, so that none is added twice.
CREATE TABLE apikeys.usage_flush (
	instance uuid PRIMARY KEY,
	batch bigint NOT NULL,
	flushed_at timestamptz NOT NULL
);
COMMENT ON TABLE apikeys.usage_flush IS
	'The last batch of counted uses that each server has written. Nobody reads it.';
COMMENT ON COLUMN apikeys.usage_flush.instance IS 'One run of a server.';
COMMENT ON COLUMN apikeys.usage_flush.batch IS 'The number of its last batch.';
COMMENT ON COLUMN apikeys.usage_flush.flushed_at IS 'When that was written.';

CREATE TABLE apikeys.deleted_key (
	public_key text COLLATE "C" PRIMARY KEY,
	deleted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE apikeys.deleted_key IS
	'The names of deleted keys, so that none is used again. Nobody reads it.';
COMMENT ON COLUMN apikeys.deleted_key.public_key IS 'The name of the key.';
COMMENT ON COLUMN apikeys.deleted_key.deleted_at IS 'When it was deleted.';
