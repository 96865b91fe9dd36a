-- The tables, and every rule that a constraint can hold.  The C code reads
-- tables and indexes by column number: add columns at the end.

CREATE FUNCTION apikeys_internal.is_name(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_name';
COMMENT ON FUNCTION apikeys_internal.is_name(text) IS
	'Checks whether a text can be a name or a description: 1 to 250 characters, no control, format or blank characters of Unicode except single spaces between words, and no private key in it.';

CREATE FUNCTION apikeys_internal.is_private_key(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_private_key';
COMMENT ON FUNCTION apikeys_internal.is_private_key(text) IS
	'Checks whether a text has the form of a private key, including its checksum.';

CREATE FUNCTION apikeys_internal.is_public_key(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_public_key';
COMMENT ON FUNCTION apikeys_internal.is_public_key(text) IS
	'Checks whether a text can be a public key: 1 to 128 letters, digits and characters of _.~+/=-, not one or two dots alone, and no private key in it.';

CREATE FUNCTION apikeys_internal.is_principal(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_principal';
COMMENT ON FUNCTION apikeys_internal.is_principal(text) IS
	'Checks whether a text can name a member: role: or user: and a name, 255 bytes of UTF-8 together at most.';

CREATE FUNCTION apikeys_internal.is_role_name(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_role_name';
COMMENT ON FUNCTION apikeys_internal.is_role_name(text) IS
	'Checks whether a text can name a role: 1 to 63 letters, digits and characters of _.:-, the first a letter or digit, and no private key in it.';

CREATE FUNCTION apikeys_internal.is_metadata(candidate jsonb) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_metadata';
COMMENT ON FUNCTION apikeys_internal.is_metadata(jsonb) IS
	'Checks whether a value can be metadata: an object of at most 4,096 bytes as text in UTF-8 and 32 levels, with no private key and no token in it.';

CREATE FUNCTION apikeys_internal.is_lifetime(candidate interval) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_lifetime';
COMMENT ON FUNCTION apikeys_internal.is_lifetime(interval) IS
	'Checks whether an interval is at most 1000 years and has no negative part.';

CREATE FUNCTION apikeys_internal.is_realm(candidate text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_is_realm';
COMMENT ON FUNCTION apikeys_internal.is_realm(text) IS
	'Checks whether a text can be a realm of HTTP Digest: 1 to 128 printable characters of ASCII, without quotes and backslashes.';

CREATE FUNCTION apikeys_internal.are_permissions(candidates text[]) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'apikeys_are_permissions';
COMMENT ON FUNCTION apikeys_internal.are_permissions(text[]) IS
	'Checks whether each element is a permission: 1 to 256 letters, digits and characters of _.:/-*.';

CREATE TABLE apikeys.organization (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	name text COLLATE "C" NOT NULL,
	require_access_list boolean NOT NULL DEFAULT false,
	max_key_lifetime interval,
	max_rotation_overlap interval NOT NULL DEFAULT '7 days',
	created_at timestamptz NOT NULL DEFAULT now(),
	metadata jsonb NOT NULL DEFAULT '{}',
	max_secret_lifetime interval,
	max_keys bigint,
	access_list apikeys.access_list,
	environment text COLLATE "C",
	limits bytea NOT NULL DEFAULT '',
	CONSTRAINT organization_name_key UNIQUE (name),
	CONSTRAINT organization_name_check CHECK (apikeys_internal.is_name(name)),
	CONSTRAINT organization_max_key_lifetime_check CHECK (max_key_lifetime > '0' AND apikeys_internal.is_lifetime(max_key_lifetime)),
	CONSTRAINT organization_max_rotation_overlap_check CHECK (apikeys_internal.is_lifetime(max_rotation_overlap)),
	CONSTRAINT organization_metadata_check CHECK (apikeys_internal.is_metadata(metadata)),
	CONSTRAINT organization_max_secret_lifetime_check CHECK (max_secret_lifetime > '0' AND apikeys_internal.is_lifetime(max_secret_lifetime)),
	CONSTRAINT organization_max_keys_check CHECK (max_keys >= 0),
	CONSTRAINT organization_access_list_check CHECK (apikeys.cardinality(access_list) BETWEEN 1 AND 1000),
	CONSTRAINT organization_environment_check CHECK (environment ~ '^[a-z][a-z0-9]{0,7}$')
);
COMMENT ON TABLE apikeys.organization IS
	'An organization owns projects and keys. Visible to its members and to the members of its projects.';
COMMENT ON COLUMN apikeys.organization.id IS 'Identifies the organization.';
COMMENT ON COLUMN apikeys.organization.name IS 'Unique name, for people.';
COMMENT ON COLUMN apikeys.organization.require_access_list IS 'Whether a key with an empty access list is denied.';
COMMENT ON COLUMN apikeys.organization.max_key_lifetime IS 'Longest lifetime of a key; NULL means no limit.';
COMMENT ON COLUMN apikeys.organization.max_rotation_overlap IS 'Longest time that an old secret stays valid after a rotation.';
COMMENT ON COLUMN apikeys.organization.created_at IS 'Creation time.';
COMMENT ON COLUMN apikeys.organization.metadata IS 'The application''s own data, an object.';
COMMENT ON COLUMN apikeys.organization.max_secret_lifetime IS 'Longest life of a secret; NULL: as long as its key.';
COMMENT ON COLUMN apikeys.organization.max_keys IS 'Largest number of keys; NULL: no limit.';
COMMENT ON COLUMN apikeys.organization.access_list IS 'Networks that its keys can be used from, whatever their own lists say; NULL: any address.';
COMMENT ON COLUMN apikeys.organization.limits IS 'The images of its limits, derived from organization_limit by its triggers.';
COMMENT ON COLUMN apikeys.organization.environment IS 'What the names of its keys tell, such as live or test; NULL: nothing.';

CREATE TABLE apikeys.project (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	organization_id uuid NOT NULL REFERENCES apikeys.organization ON DELETE CASCADE,
	name text COLLATE "C" NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	metadata jsonb NOT NULL DEFAULT '{}',
	environment text COLLATE "C",
	CONSTRAINT project_name_key UNIQUE (organization_id, name),
	CONSTRAINT project_organization_key UNIQUE (id, organization_id),
	CONSTRAINT project_name_check CHECK (apikeys_internal.is_name(name)),
	CONSTRAINT project_metadata_check CHECK (apikeys_internal.is_metadata(metadata)),
	CONSTRAINT project_environment_check CHECK (environment ~ '^[a-z][a-z0-9]{0,7}$')
);
COMMENT ON TABLE apikeys.project IS
	'A project of one organization; deleting it removes the roles granted in it. Visible with any permission in the project, or with apikeys.projects.read in the organization.';
COMMENT ON COLUMN apikeys.project.id IS 'Identifies the project.';
COMMENT ON COLUMN apikeys.project.organization_id IS 'The organization it belongs to; never changes.';
COMMENT ON COLUMN apikeys.project.name IS 'Name, unique in the organization.';
COMMENT ON COLUMN apikeys.project.created_at IS 'Creation time.';
COMMENT ON COLUMN apikeys.project.metadata IS 'The application''s own data, an object.';
COMMENT ON COLUMN apikeys.project.environment IS 'What the names of keys that are created in it tell; NULL: as the organization says.';

CREATE TABLE apikeys.role (
	name text COLLATE "C" NOT NULL,
	level text COLLATE "C" NOT NULL,
	organization_permissions text[] NOT NULL DEFAULT '{}',
	project_permissions text[] NOT NULL DEFAULT '{}',
	description text,
	is_builtin boolean NOT NULL DEFAULT false,
	organization_id uuid REFERENCES apikeys.organization ON DELETE CASCADE,
	id text COLLATE "C" PRIMARY KEY,
	CONSTRAINT role_name_key UNIQUE NULLS NOT DISTINCT (organization_id, name),
	CONSTRAINT role_id_check CHECK (id = coalesce(organization_id::text || '/', '') || name),
	CONSTRAINT role_builtin_check CHECK (organization_id IS NULL OR NOT is_builtin),
	CONSTRAINT role_name_check CHECK (apikeys_internal.is_role_name(name)),
	CONSTRAINT role_level_check CHECK (level IN ('organization', 'project')),
	CONSTRAINT role_permissions_check CHECK (
		apikeys_internal.are_permissions(organization_permissions)
		AND apikeys_internal.are_permissions(project_permissions)
		AND cardinality(organization_permissions) <= 1000 AND cardinality(project_permissions) <= 1000),
	CONSTRAINT role_project_level_check CHECK (
		level = 'organization' OR organization_permissions = '{}'),
	CONSTRAINT role_description_check CHECK (apikeys_internal.is_name(description))
);
COMMENT ON TABLE apikeys.role IS
	'A named set of permissions that can be granted to members and to keys.';
COMMENT ON COLUMN apikeys.role.name IS 'Name, unique in its organization or, without one, among the roles of every organization.';
COMMENT ON COLUMN apikeys.role.level IS 'Where it can be granted: organization or project.';
COMMENT ON COLUMN apikeys.role.organization_permissions IS 'What it allows in the organization itself: patterns of scopes.';
COMMENT ON COLUMN apikeys.role.project_permissions IS 'What it allows in projects: in every project of the organization (level organization), or in the project it is granted in.';
COMMENT ON COLUMN apikeys.role.description IS 'What the role is for.';
COMMENT ON COLUMN apikeys.role.is_builtin IS 'Whether the extension installed it; such a role cannot be dropped.';
COMMENT ON COLUMN apikeys.role.organization_id IS 'The organization that it belongs to, and where alone it is seen and granted; NULL: every organization.';
COMMENT ON COLUMN apikeys.role.id IS 'Identifies the role: its name, behind its organization and a slash if it has one. Set by a trigger.';

-- A PostgreSQL role is a member by its OID, so that a new role with an old name
-- inherits nothing.  A row has an id, because a replica has other OIDs, and may not
-- know that a role was renamed.
CREATE TABLE apikeys.member (
	organization_id uuid NOT NULL REFERENCES apikeys.organization ON DELETE CASCADE,
	project_id uuid,
	principal text COLLATE "C" NOT NULL,
	role text COLLATE "C" NOT NULL REFERENCES apikeys.role,
	database_role regrole,
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	CONSTRAINT member_project_fkey FOREIGN KEY (project_id, organization_id)
		REFERENCES apikeys.project (id, organization_id) ON DELETE CASCADE,
	CONSTRAINT member_principal_check CHECK (apikeys_internal.is_principal(principal))
);
CREATE UNIQUE INDEX member_user_key ON apikeys.member (principal, organization_id, project_id, role)
	NULLS NOT DISTINCT WHERE database_role IS NULL;
CREATE UNIQUE INDEX member_role_key ON apikeys.member (database_role, organization_id, project_id, role)
	NULLS NOT DISTINCT WHERE database_role IS NOT NULL;
CREATE INDEX member_organization_idx ON apikeys.member (organization_id);
CREATE INDEX member_project_idx ON apikeys.member (project_id);
COMMENT ON INDEX apikeys.member_user_key IS 'Finds what a user of the application holds.';
COMMENT ON INDEX apikeys.member_role_key IS 'Finds what a PostgreSQL role holds.';
COMMENT ON INDEX apikeys.member_organization_idx IS 'Finds the members of an organization.';
COMMENT ON INDEX apikeys.member_project_idx IS 'Finds the members of a project.';
COMMENT ON TABLE apikeys.member IS
	'A principal that holds a role in an organization, or in one of its projects. A member sees its own rows; apikeys.members.read shows all rows there.';
COMMENT ON COLUMN apikeys.member.organization_id IS 'The organization.';
COMMENT ON COLUMN apikeys.member.project_id IS 'The project; NULL where the role is held in the organization.';
COMMENT ON COLUMN apikeys.member.principal IS 'role:<PostgreSQL role>, as it was named when it was added, or user:<user of the application>.';
COMMENT ON COLUMN apikeys.member.role IS 'The id of the role held.';
COMMENT ON COLUMN apikeys.member.database_role IS 'The PostgreSQL role that is the member; NULL for a user.';
COMMENT ON COLUMN apikeys.member.id IS 'Identifies the row.';

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
	owner text COLLATE "C",
	metadata jsonb NOT NULL DEFAULT '{}',
	environment text COLLATE "C",
	limits_id uuid NOT NULL DEFAULT gen_random_uuid(),
	last_secret_version integer NOT NULL DEFAULT 1,
	digest_realm text COLLATE "C",
	CONSTRAINT key_organization_key UNIQUE (organization_id, public_key),
	CONSTRAINT key_public_key_check CHECK (apikeys_internal.is_public_key(public_key)),
	CONSTRAINT key_description_check CHECK (apikeys_internal.is_name(description)),
	CONSTRAINT key_disabled_reason_check CHECK (apikeys_internal.is_name(disabled_reason)),
	CONSTRAINT key_owner_check CHECK (apikeys_internal.is_name(owner)),
	CONSTRAINT key_metadata_check CHECK (apikeys_internal.is_metadata(metadata)),
	CONSTRAINT key_environment_check CHECK (environment ~ '^[a-z][a-z0-9]{0,7}$'),
	CONSTRAINT key_digest_realm_check CHECK (apikeys_internal.is_realm(digest_realm))
);
CREATE INDEX key_created_idx ON apikeys.key (created_at, public_key);
CREATE INDEX key_organization_created_idx ON apikeys.key (organization_id, created_at, public_key);
CREATE INDEX key_organization_description_idx ON apikeys.key (organization_id, description, public_key);
CREATE INDEX key_organization_expires_idx ON apikeys.key (organization_id, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX key_expires_idx ON apikeys.key (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX key_owner_idx ON apikeys.key (organization_id, owner, public_key) WHERE owner IS NOT NULL;
CREATE INDEX key_metadata_idx ON apikeys.key
	USING gin (organization_id apikeys_internal.organization_ops, metadata apikeys_internal.metadata_ops)
	WITH (fastupdate = off) WHERE metadata <> '{}';
COMMENT ON INDEX apikeys.key_metadata_idx IS 'Finds the keys of an organization whose metadata contains something.';
COMMENT ON INDEX apikeys.key_owner_idx IS 'Finds the keys of an organization that an owner has.';
COMMENT ON INDEX apikeys.key_created_idx IS 'Pages of keys by creation.';
COMMENT ON INDEX apikeys.key_organization_created_idx IS 'Pages of an organization''s keys by creation.';
COMMENT ON INDEX apikeys.key_organization_description_idx IS 'Pages of an organization''s keys by description.';
COMMENT ON INDEX apikeys.key_organization_expires_idx IS 'Finds the keys of an organization that expire.';
COMMENT ON INDEX apikeys.key_expires_idx IS 'Finds the keys that expire.';
COMMENT ON TABLE apikeys.key IS
	'An API key. Its roles are in key_role, its secrets in key_secret. Visible with apikeys.keys.read in the organization or in a project where the key has a role, and to the key itself. View keys shows all details.';
COMMENT ON COLUMN apikeys.key.public_key IS 'Public identifier. Immutable and never reused.';
COMMENT ON COLUMN apikeys.key.organization_id IS 'The organization it belongs to; never changes.';
COMMENT ON COLUMN apikeys.key.description IS 'What the key is for, 1 to 250 characters.';
COMMENT ON COLUMN apikeys.key.access_list IS 'Networks the key can be used from; empty means any address.';
COMMENT ON COLUMN apikeys.key.created_at IS 'Creation time.';
COMMENT ON COLUMN apikeys.key.created_by IS 'Principal that created the key.';
COMMENT ON COLUMN apikeys.key.expires_at IS 'Expiration time; NULL means the key does not expire.';
COMMENT ON COLUMN apikeys.key.disabled_at IS 'Time the key was disabled; NULL means it is enabled.';
COMMENT ON COLUMN apikeys.key.disabled_reason IS 'Reason given to disable_key; compromised means disabled by revoke_leaked.';
COMMENT ON COLUMN apikeys.key.owner IS 'The application''s own identifier of the owner of the key; NULL: none.';
COMMENT ON COLUMN apikeys.key.metadata IS 'The application''s own data, an object.';
COMMENT ON COLUMN apikeys.key.environment IS 'The environment of its project or organization when it was created; NULL: none.';
COMMENT ON COLUMN apikeys.key.limits_id IS 'What was spent of its limits is known by it; reset_limits changes it.';
COMMENT ON COLUMN apikeys.key.last_secret_version IS 'Highest version that a secret of it has had.';
COMMENT ON COLUMN apikeys.key.digest_realm IS 'The realm in which its next secrets can be proved by HTTP Digest; NULL: they cannot.';

CREATE TABLE apikeys.key_role (
	public_key text COLLATE "C" NOT NULL,
	organization_id uuid NOT NULL,
	project_id uuid,
	role text COLLATE "C" REFERENCES apikeys.role,
	permission text COLLATE "C",
	CONSTRAINT key_role_key UNIQUE NULLS NOT DISTINCT (public_key, project_id, role, permission, organization_id),
	CONSTRAINT key_role_grant_check CHECK (num_nonnulls(role, permission) = 1),
	CONSTRAINT key_role_permission_check CHECK (
		permission IS NULL OR apikeys_internal.are_permissions(ARRAY[permission])),
	CONSTRAINT key_role_key_fkey FOREIGN KEY (organization_id, public_key)
		REFERENCES apikeys.key (organization_id, public_key) ON DELETE CASCADE,
	CONSTRAINT key_role_project_fkey FOREIGN KEY (project_id, organization_id)
		REFERENCES apikeys.project (id, organization_id) ON DELETE CASCADE
);
CREATE INDEX key_role_project_idx ON apikeys.key_role (project_id);
ALTER TABLE apikeys.key_role REPLICA IDENTITY FULL;
COMMENT ON INDEX apikeys.key_role_project_idx IS 'Finds the keys of a project.';
COMMENT ON TABLE apikeys.key_role IS
	'A role or a permission granted to a key, in its organization or in one of that organization''s projects. Read with apikeys.keys.read there, and by the key itself.';
COMMENT ON COLUMN apikeys.key_role.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_role.organization_id IS 'The organization of the key.';
COMMENT ON COLUMN apikeys.key_role.project_id IS 'The project; NULL where the role is granted in the organization.';
COMMENT ON COLUMN apikeys.key_role.role IS 'The id of the role granted; NULL where a permission is.';
COMMENT ON COLUMN apikeys.key_role.permission IS 'The permission granted: a pattern of scopes; NULL where a role is.';

CREATE TABLE apikeys.key_secret (
	public_key text COLLATE "C" NOT NULL REFERENCES apikeys.key ON DELETE CASCADE,
	version integer NOT NULL,
	hash apikeys.secret_hash NOT NULL,
	hint text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	expires_at timestamptz,
	digest_realm text COLLATE "C",
	digest bytea,
	organization_id uuid,
	PRIMARY KEY (public_key, version),
	CONSTRAINT key_secret_version_check CHECK (version > 0),
	CONSTRAINT key_secret_hint_check CHECK (length(hint) <= 4),
	CONSTRAINT key_secret_digest_check CHECK ((digest IS NULL) = (digest_realm IS NULL)),
	CONSTRAINT key_secret_digest_realm_check CHECK (apikeys_internal.is_realm(digest_realm))
);
-- pg_read_all_data reads the values that ANALYZE keeps, whatever policies say.
ALTER TABLE apikeys.key_secret ALTER digest SET STATISTICS 0;
CREATE INDEX key_secret_expires_idx ON apikeys.key_secret (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX key_secret_organization_expires_idx ON apikeys.key_secret (organization_id, expires_at) WHERE expires_at IS NOT NULL;
COMMENT ON INDEX apikeys.key_secret_expires_idx IS 'Finds the secrets that expire.';
COMMENT ON INDEX apikeys.key_secret_organization_expires_idx IS 'Finds the secrets of an organization that expire.';
COMMENT ON TABLE apikeys.key_secret IS
	'The hashed secrets of a key, at most two of them live. Visible like the key, except hash and digest: SELECT on these is not granted to anybody.';
COMMENT ON COLUMN apikeys.key_secret.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_secret.version IS 'Number of the secret, counted from 1.';
COMMENT ON COLUMN apikeys.key_secret.hash IS 'Hash of the secret. SELECT is not granted to anybody.';
COMMENT ON COLUMN apikeys.key_secret.hint IS 'Last characters of the secret, to recognize it by.';
COMMENT ON COLUMN apikeys.key_secret.created_at IS 'Time the secret was issued.';
COMMENT ON COLUMN apikeys.key_secret.expires_at IS 'Expiration time; NULL means the secret is valid as long as the key.';
COMMENT ON COLUMN apikeys.key_secret.digest_realm IS 'The realm in which HTTP Digest can prove the secret; NULL: it cannot.';
COMMENT ON COLUMN apikeys.key_secret.digest IS 'What HTTP Digest needs of the secret, sealed with a pepper. SELECT is not granted to anybody.';
COMMENT ON COLUMN apikeys.key_secret.organization_id IS 'The organization of the key, set by a trigger.';

-- Entries of access lists are in column access_list of key; only those that came
-- later than the key have a row here.
CREATE TABLE apikeys.key_network (
	public_key text COLLATE "C" NOT NULL REFERENCES apikeys.key ON DELETE CASCADE,
	network cidr NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (public_key, network)
);
COMMENT ON TABLE apikeys.key_network IS
	'When entries were added to access lists, of those that are younger than their key. Visible like the key.';
COMMENT ON COLUMN apikeys.key_network.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_network.network IS 'The entry.';
COMMENT ON COLUMN apikeys.key_network.created_at IS 'Time the entry was added.';

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
CREATE INDEX key_usage_removed_idx ON apikeys.key_usage (public_key, network) WHERE secret_version = -1;
COMMENT ON INDEX apikeys.key_usage_removed_idx IS 'Finds the entries that were removed from access lists.';
ALTER TABLE apikeys.key_usage REPLICA IDENTITY FULL;
COMMENT ON TABLE apikeys.key_usage IS
	'Uses of a key, by the matching entry of its access list and by secret. Visible like the key; view usage adds what is not written yet.';
COMMENT ON COLUMN apikeys.key_usage.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_usage.network IS 'Matching entry of the access list. NULL for an empty list, for entries that were removed, and for uses counted coarsely.';
COMMENT ON COLUMN apikeys.key_usage.use_count IS 'Number of recorded uses.';
COMMENT ON COLUMN apikeys.key_usage.last_used_at IS 'Time of the last recorded use.';
COMMENT ON COLUMN apikeys.key_usage.last_used_address IS 'Address of the last recorded use.';
COMMENT ON COLUMN apikeys.key_usage.secret_version IS 'Version of the secret used. 0 stands for deleted secrets and for uses counted coarsely; -1 marks an entry that was removed from the access list: the worker adds its rows to those without a network.';

CREATE TABLE apikeys.key_role_usage (
	public_key text COLLATE "C" NOT NULL,
	project_id uuid,
	role text COLLATE "C" NOT NULL,
	last_used_at timestamptz NOT NULL,
	CONSTRAINT key_role_usage_key UNIQUE NULLS NOT DISTINCT (public_key, project_id, role)
) WITH (fillfactor = 70);
ALTER TABLE apikeys.key_role_usage REPLICA IDENTITY FULL;
COMMENT ON TABLE apikeys.key_role_usage IS
	'Last use of each role and permission of a key, written once an hour. Visible like the role of the key. Kept until the key is deleted, also if the role is revoked and granted again.';
COMMENT ON COLUMN apikeys.key_role_usage.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_role_usage.project_id IS 'The project; NULL where the role is granted in the organization.';
COMMENT ON COLUMN apikeys.key_role_usage.role IS 'The id of the role, or an equals sign and the permission.';
COMMENT ON COLUMN apikeys.key_role_usage.last_used_at IS 'Time of the last recorded use; later uses are at most an hour later.';

CREATE TABLE apikeys.key_denial (
	public_key text COLLATE "C" NOT NULL,
	reason text COLLATE "C" NOT NULL,
	denial_count bigint NOT NULL,
	last_denied_at timestamptz NOT NULL,
	last_denied_address inet,
	PRIMARY KEY (public_key, reason)
) WITH (fillfactor = 70);
COMMENT ON TABLE apikeys.key_denial IS
	'Denials of a key, by reason. Visible like the key; view usage adds what is not written yet.';
COMMENT ON COLUMN apikeys.key_denial.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_denial.reason IS 'Reason, as decide returns it.';
COMMENT ON COLUMN apikeys.key_denial.denial_count IS 'Number of denials.';
COMMENT ON COLUMN apikeys.key_denial.last_denied_at IS 'Time of the last denial.';
COMMENT ON COLUMN apikeys.key_denial.last_denied_address IS 'Address of the last denied request.';

-- Rows of deleted keys stay, for an organization's sums.
CREATE TABLE apikeys.key_history (
	public_key text COLLATE "C" NOT NULL,
	hour timestamptz NOT NULL,
	reason text COLLATE "C" NOT NULL,
	organization_id uuid NOT NULL,
	count bigint NOT NULL,
	cost bigint NOT NULL,
	CONSTRAINT key_history_pkey PRIMARY KEY (public_key, hour, reason)
) WITH (fillfactor = 70);
CREATE INDEX key_history_organization_hour_idx ON apikeys.key_history (organization_id, hour);
CREATE INDEX key_history_hour_idx ON apikeys.key_history (hour);
COMMENT ON INDEX apikeys.key_history_organization_hour_idx IS 'Finds the last hours of an organization.';
COMMENT ON INDEX apikeys.key_history_hour_idx IS 'Finds the hours that are no longer kept.';
COMMENT ON TABLE apikeys.key_history IS
	'Uses and denials of each key by the hour of the calls, kept for apikeys.usage_retention, also of deleted keys. Visible with the key, or with the keys of the organization; view usage_by_hour adds what is not written yet.';
COMMENT ON COLUMN apikeys.key_history.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_history.hour IS 'When the hour began, in UTC.';
COMMENT ON COLUMN apikeys.key_history.reason IS 'Reason, as decide returns it; ok: uses.';
COMMENT ON COLUMN apikeys.key_history.organization_id IS 'The organization of the key.';
COMMENT ON COLUMN apikeys.key_history.count IS 'Number of uses or denials.';
COMMENT ON COLUMN apikeys.key_history.cost IS 'What the uses cost.';

-- The sums of the hours, written with them: of an organization's page by day a
-- twentieth of the rows is read.
CREATE TABLE apikeys.key_day (
	public_key text COLLATE "C" NOT NULL,
	day date NOT NULL,
	reason text COLLATE "C" NOT NULL,
	organization_id uuid NOT NULL,
	count bigint NOT NULL,
	cost bigint NOT NULL,
	CONSTRAINT key_day_pkey PRIMARY KEY (public_key, day, reason)
) WITH (fillfactor = 70);
CREATE INDEX key_day_organization_idx ON apikeys.key_day (organization_id, day);
CREATE INDEX key_day_day_idx ON apikeys.key_day (day);
COMMENT ON INDEX apikeys.key_day_organization_idx IS 'Finds the last days of an organization.';
COMMENT ON INDEX apikeys.key_day_day_idx IS 'Finds the days that are no longer kept.';
COMMENT ON TABLE apikeys.key_day IS
	'The same as key_history by the day of the calls in UTC, kept as long as its last hour. Visible like that; view usage_by_day adds what is not written yet.';
COMMENT ON COLUMN apikeys.key_day.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.key_day.day IS 'The day, in UTC.';
COMMENT ON COLUMN apikeys.key_day.reason IS 'As in key_history.';
COMMENT ON COLUMN apikeys.key_day.organization_id IS 'As in key_history.';
COMMENT ON COLUMN apikeys.key_day.count IS 'As in key_history.';
COMMENT ON COLUMN apikeys.key_day.cost IS 'As in key_history.';

-- Written along with each batch of counts, so that none is added twice.
CREATE TABLE apikeys.usage_flush (
	instance uuid PRIMARY KEY,
	batch bigint NOT NULL,
	is_added boolean NOT NULL,
	flushed_at timestamptz NOT NULL
);
COMMENT ON TABLE apikeys.usage_flush IS
	'The last batch of counted uses that each run of a server has written. Internal.';
COMMENT ON COLUMN apikeys.usage_flush.instance IS 'The run of a server.';
COMMENT ON COLUMN apikeys.usage_flush.batch IS 'Number of its last batch.';
COMMENT ON COLUMN apikeys.usage_flush.is_added IS 'Whether the batch was added to the tables; false: rejected, and sent again with another number.';
COMMENT ON COLUMN apikeys.usage_flush.flushed_at IS 'Time the batch was added or rejected.';

CREATE TABLE apikeys.deleted_key (
	public_key text COLLATE "C" PRIMARY KEY,
	deleted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE apikeys.deleted_key IS
	'Public keys of deleted keys, which are never reused. Internal.';
COMMENT ON COLUMN apikeys.deleted_key.public_key IS 'The public key.';
COMMENT ON COLUMN apikeys.deleted_key.deleted_at IS 'Time of the deletion.';

-- Filled when the extension is installed, so that dumps, which leave it out, are
-- restored with another key.
CREATE TABLE apikeys.token_key (
	id text COLLATE "C" PRIMARY KEY,
	key bytea NOT NULL,
	CONSTRAINT token_key_id_check CHECK (id = '0'),
	CONSTRAINT token_key_key_check CHECK (octet_length(key) = 32)
);
COMMENT ON TABLE apikeys.token_key IS
	'What the key of short-lived tokens is derived from, together with the pepper, in one row. Nobody reads it. Internal.';
COMMENT ON COLUMN apikeys.token_key.id IS '0: there is one row.';
COMMENT ON COLUMN apikeys.token_key.key IS '32 random bytes.';
CREATE FUNCTION apikeys_internal.random_key() RETURNS bytea
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_random_key';
COMMENT ON FUNCTION apikeys_internal.random_key() IS 'Returns 32 random bytes.';
INSERT INTO apikeys.token_key (id, key) VALUES ('0', apikeys_internal.random_key());
