-- What "View details" shows.  Views read with the reader's rights, except one, and
-- compute a column only if it is asked for, and after ORDER BY and LIMIT: each is a
-- function or a sub-select of its own, and nothing in them is VOLATILE, so that a
-- query can be planned together with its view.

CREATE VIEW apikeys.keys WITH (security_invoker = true) AS
SELECT
	k.public_key,
	apikeys_internal.key_hint(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage'))) AS private_key,
	k.description,
	(SELECT o.name FROM apikeys.organization AS o WHERE o.id = k.organization_id) AS organization,
	apikeys_internal.key_organization_roles(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage'))) AS organization_roles,
	apikeys_internal.key_projects(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage')),
		(SELECT apikeys_internal.principal_organizations('apikeys.projects.read', 'apikeys.projects.manage')),
		(SELECT apikeys_internal.principal_other_projects(NULL, '{apikeys.projects.read,apikeys.projects.manage}'))) AS projects,
	k.access_list,
	CASE
		WHEN k.disabled_at IS NOT NULL THEN 'disabled'
		WHEN least(k.expires_at, apikeys_internal.key_secret_expires_at(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
			'apikeys.keys.read', 'apikeys.keys.manage')))) <= statement_timestamp() THEN 'expired'
		ELSE 'active'
	END AS status,
	k.created_at,
	k.created_by,
	(apikeys_internal.last_use(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage')))).last_used_at AS last_used_at,
	(apikeys_internal.last_use(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage')))).last_used_address AS last_used_address,
	k.expires_at,
	apikeys_internal.key_secrets(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage'))) AS secrets,
	k.organization_id,
	k.disabled_reason,
	k.owner,
	k.metadata,
	apikeys_internal.key_secret_expires_at(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage'))) AS secret_expires_at,
	apikeys_internal.key_organization_permissions(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage'))) AS organization_permissions,
	apikeys_internal.key_roles(k.public_key, k.organization_id, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage'))) AS roles,
	k.environment,
	k.digest_realm
FROM apikeys.key AS k;
COMMENT ON VIEW apikeys.keys IS
	'The keys visible to the reader, with their details and the last characters of the private key.';
COMMENT ON COLUMN apikeys.keys.public_key IS 'The public key.';
COMMENT ON COLUMN apikeys.keys.private_key IS 'The last characters of the newest private key.';
COMMENT ON COLUMN apikeys.keys.description IS 'What the key is for.';
COMMENT ON COLUMN apikeys.keys.organization IS 'The name of its organization.';
COMMENT ON COLUMN apikeys.keys.organization_roles IS 'Its roles in the organization; NULL if they are hidden from the reader.';
COMMENT ON COLUMN apikeys.keys.projects IS 'Its projects, with its roles in each.';
COMMENT ON COLUMN apikeys.keys.access_list IS 'The networks it may be used from; empty means any address.';
COMMENT ON COLUMN apikeys.keys.status IS 'active, disabled or expired: the key, or the last of its private keys.';
COMMENT ON COLUMN apikeys.keys.created_at IS 'Creation time.';
COMMENT ON COLUMN apikeys.keys.created_by IS 'Principal that created the key.';
COMMENT ON COLUMN apikeys.keys.last_used_at IS 'Time of the last allowed request.';
COMMENT ON COLUMN apikeys.keys.last_used_address IS 'Address of that request.';
COMMENT ON COLUMN apikeys.keys.expires_at IS 'Expiration time; NULL means the key does not expire.';
COMMENT ON COLUMN apikeys.keys.organization_id IS 'Its organization.';
COMMENT ON COLUMN apikeys.keys.disabled_reason IS 'Why it was disabled.';
COMMENT ON COLUMN apikeys.keys.owner IS 'The application''s own identifier of its owner; NULL: none.';
COMMENT ON COLUMN apikeys.keys.metadata IS 'The application''s own data, an object.';
COMMENT ON COLUMN apikeys.keys.environment IS 'The environment that it was created for, such as live or test; NULL: none.';
COMMENT ON COLUMN apikeys.keys.organization_permissions IS 'Its permissions in the organization, beside its roles; NULL if they are hidden from the reader.';
COMMENT ON COLUMN apikeys.keys.roles IS 'All roles and permissions of it that the reader may see: objects with organization_id or project_id, and role or permission.';
COMMENT ON COLUMN apikeys.keys.secret_expires_at IS 'When the last of its private keys expires, or has expired; NULL: never.';
COMMENT ON COLUMN apikeys.keys.secrets IS 'Its live private keys, the newest first: version, hint, created_at, expires_at, digest_realm, last_used_at.';
COMMENT ON COLUMN apikeys.keys.digest_realm IS 'The realm in which its next private keys can be used by HTTP Digest; NULL: they cannot. Column secrets tells it of those that are live.';

CREATE VIEW apikeys.access_list_entries WITH (security_invoker = true) AS
SELECT
	k.public_key,
	n.network,
	least(coalesce(u.use_count, 0) + coalesce(p.count, 0)::numeric, 9223372036854775807)::bigint AS use_count,
	greatest(u.last_used_at, p.last_at) AS last_used_at,
	CASE WHEN p.last_at >= u.last_used_at OR u.last_used_at IS NULL
		THEN p.last_address ELSE u.last_used_address END AS last_used_address,
	coalesce((SELECT a.created_at FROM apikeys.key_network AS a
		WHERE a.public_key = k.public_key AND a.network = n.network), k.created_at) AS created_at
FROM apikeys.key AS k
	CROSS JOIN LATERAL apikeys.networks(k.access_list) AS n (network)
	LEFT JOIN LATERAL (
		SELECT u.network, least(sum(u.use_count), 9223372036854775807)::bigint AS use_count, max(u.last_used_at) AS last_used_at,
			(array_agg(u.last_used_address ORDER BY u.last_used_at DESC))[1] AS last_used_address
		FROM apikeys.key_usage AS u
		WHERE u.public_key = k.public_key
		GROUP BY u.network
		HAVING min(u.secret_version) >= 0) AS u ON u.network = n.network
	LEFT JOIN LATERAL (
		SELECT p.network, sum(p.count)::bigint AS count, max(p.last_at) AS last_at,
			(array_agg(p.last_address ORDER BY p.last_at DESC))[1] AS last_address
		FROM apikeys_internal.pending_usage(k.public_key, k.organization_id) AS p
		WHERE p.reason IS NULL AND p.count > 0
		GROUP BY p.network) AS p ON p.network = n.network;
COMMENT ON VIEW apikeys.access_list_entries IS
	'The entries of access lists of the keys visible to the reader, with their recorded uses.';
COMMENT ON COLUMN apikeys.access_list_entries.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.access_list_entries.network IS 'The entry.';
COMMENT ON COLUMN apikeys.access_list_entries.use_count IS 'Number of recorded uses from this entry since it was added, without uses counted coarsely.';
COMMENT ON COLUMN apikeys.access_list_entries.last_used_at IS 'Time of the last recorded use.';
COMMENT ON COLUMN apikeys.access_list_entries.last_used_address IS 'Address of that use.';
COMMENT ON COLUMN apikeys.access_list_entries.created_at IS 'Time the entry was added.';

CREATE VIEW apikeys.usage WITH (security_invoker = true) AS
SELECT
	k.public_key,
	least(
		coalesce((SELECT sum(u.use_count)
			FROM apikeys.key_usage AS u
			WHERE u.public_key = k.public_key), 0)
		+ coalesce((SELECT sum(p.count)
			FROM apikeys_internal.pending_usage(k.public_key, k.organization_id) AS p
			WHERE p.reason IS NULL), 0), 9223372036854775807)::bigint AS use_count,
	k.last_used_at,
	k.last_used_address,
	least(
		coalesce((SELECT sum(c.denial_count)
			FROM apikeys.key_denial AS c
			WHERE c.public_key = k.public_key), 0)
		+ coalesce((SELECT sum(p.count)
			FROM apikeys_internal.pending_usage(k.public_key, k.organization_id) AS p
			WHERE p.reason IS NOT NULL), 0), 9223372036854775807)::bigint AS denial_count,
	(SELECT coalesce(jsonb_object_agg(r.reason, r.count), '{}')
		FROM (
			SELECT c.reason, least(sum(c.count), 9223372036854775807)::bigint AS count
			FROM (
				SELECT e.reason, e.denial_count AS count
				FROM apikeys.key_denial AS e
				WHERE e.public_key = k.public_key
				UNION ALL
				SELECT p.reason, p.count
				FROM apikeys_internal.pending_usage(k.public_key, k.organization_id) AS p
				WHERE p.reason IS NOT NULL) AS c
			GROUP BY c.reason) AS r) AS denials,
	greatest(
		(SELECT max(c.last_denied_at)
			FROM apikeys.key_denial AS c
			WHERE c.public_key = k.public_key),
		(SELECT max(p.last_at)
			FROM apikeys_internal.pending_usage(k.public_key, k.organization_id) AS p
			WHERE p.reason IS NOT NULL)) AS last_denied_at,
	(SELECT c.address
		FROM (
			SELECT e.last_denied_at AS at, e.last_denied_address AS address
			FROM apikeys.key_denial AS e
			WHERE e.public_key = k.public_key
			UNION ALL
			SELECT p.last_at, p.last_address
			FROM apikeys_internal.pending_usage(k.public_key, k.organization_id) AS p
			WHERE p.reason IS NOT NULL) AS c
		ORDER BY c.at DESC LIMIT 1) AS last_denied_address,
	(SELECT count(*) FROM apikeys_internal.pending_usage(k.public_key, k.organization_id)) AS pending_entries,
	apikeys_internal.lost_count() AS lost_count,
	k.organization_id
FROM apikeys.keys AS k;
COMMENT ON VIEW apikeys.usage IS
	'Uses and denials of the keys visible to the reader, including those not written yet.';
COMMENT ON COLUMN apikeys.usage.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.usage.use_count IS 'Number of allowed requests.';
COMMENT ON COLUMN apikeys.usage.last_used_at IS 'Time of the last allowed request.';
COMMENT ON COLUMN apikeys.usage.last_used_address IS 'Address of that request.';
COMMENT ON COLUMN apikeys.usage.denial_count IS 'Number of denied requests.';
COMMENT ON COLUMN apikeys.usage.denials IS 'Number of denied requests by reason.';
COMMENT ON COLUMN apikeys.usage.last_denied_at IS 'Time of the last denied request.';
COMMENT ON COLUMN apikeys.usage.last_denied_address IS 'Address of that request.';
COMMENT ON COLUMN apikeys.usage.pending_entries IS 'Number of its counters in memory that are not written yet.';
COMMENT ON COLUMN apikeys.usage.organization_id IS 'The organization of the key.';
COMMENT ON COLUMN apikeys.usage.lost_count IS 'Uses and denials, of all keys in this database, that could not be counted since the server started.';

-- With the rights of the owner: SELECT on the hash is not granted to anybody.
CREATE VIEW apikeys_internal.key_secret_form WITH (security_barrier = true) AS
SELECT s.public_key, s.expires_at, f.algorithm, f.pepper
FROM apikeys.key_secret AS s CROSS JOIN LATERAL (VALUES
	(apikeys_internal.algorithm(s.hash), apikeys_internal.pepper(s.hash)),
	(CASE WHEN s.digest IS NOT NULL THEN 'digest' END, apikeys_internal.digest_pepper(s.digest))) AS f (algorithm, pepper)
WHERE f.algorithm IS NOT NULL;
COMMENT ON VIEW apikeys_internal.key_secret_form IS
	'How each secret is hashed, and what HTTP Digest needs of it is sealed.';
COMMENT ON COLUMN apikeys_internal.key_secret_form.public_key IS 'The key.';
COMMENT ON COLUMN apikeys_internal.key_secret_form.expires_at IS 'When the secret expires; NULL: never.';
COMMENT ON COLUMN apikeys_internal.key_secret_form.algorithm IS 'The algorithm of its hash, or digest.';
COMMENT ON COLUMN apikeys_internal.key_secret_form.pepper IS 'The id of its pepper, 0 for none; NULL for a hash of another system.';

-- A barrier, so that a condition of the reader is never evaluated for keys that
-- are not visible to it.
CREATE VIEW apikeys.rehash_status WITH (security_invoker = true, security_barrier = true) AS
SELECT f.algorithm, f.pepper, apikeys_internal.pepper_state(f.pepper) AS state, count(*) AS secret_count
FROM apikeys.key AS k
	JOIN apikeys_internal.key_secret_form AS f ON f.public_key = k.public_key
WHERE f.expires_at IS NULL OR f.expires_at > statement_timestamp()
GROUP BY f.algorithm, f.pepper;
COMMENT ON VIEW apikeys.rehash_status IS
	'How the live secrets of the keys visible to the reader are hashed. Secrets that are not in state current are rehashed in the background when they are used (those hashed by argon2id only with a pepper); what is sealed for HTTP Digest by reseal_digests.';
COMMENT ON COLUMN apikeys.rehash_status.algorithm IS 'The algorithm: blake2b, or one of another system; digest for what is sealed for HTTP Digest.';
COMMENT ON COLUMN apikeys.rehash_status.pepper IS 'The id of the pepper, 0 for none; NULL for another system''s hashes.';
COMMENT ON COLUMN apikeys.rehash_status.state IS 'current, retired, missing or foreign.';
COMMENT ON COLUMN apikeys.rehash_status.secret_count IS 'Number of live secrets.';

-- What is probably not needed: never used, or not for 30 days.

CREATE VIEW apikeys.unused_keys WITH (security_invoker = true) AS
SELECT
	k.public_key,
	k.description,
	k.organization,
	k.created_at,
	k.last_used_at,
	date_trunc('second', statement_timestamp() - coalesce(k.last_used_at, k.created_at)) AS idle
FROM apikeys.keys AS k
WHERE coalesce(k.last_used_at, '-infinity') < statement_timestamp() - interval '30 days';
COMMENT ON VIEW apikeys.unused_keys IS
	'The keys visible to the reader that were never used, or not for 30 days.';
COMMENT ON COLUMN apikeys.unused_keys.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.unused_keys.description IS 'What the key is for.';
COMMENT ON COLUMN apikeys.unused_keys.organization IS 'The name of its organization.';
COMMENT ON COLUMN apikeys.unused_keys.created_at IS 'Creation time.';
COMMENT ON COLUMN apikeys.unused_keys.last_used_at IS 'Time of the last allowed request; NULL means never.';
COMMENT ON COLUMN apikeys.unused_keys.idle IS 'Time since the last use, or since the creation.';

CREATE VIEW apikeys.unused_access_list_entries WITH (security_invoker = true) AS
SELECT e.public_key, e.network, e.created_at, e.last_used_at
FROM apikeys.access_list_entries AS e
WHERE e.last_used_at IS NULL OR e.last_used_at < statement_timestamp() - interval '30 days';
COMMENT ON VIEW apikeys.unused_access_list_entries IS
	'The entries of access lists of the keys visible to the reader that matched no request, or none for 30 days. Uses counted coarsely (coarse_count of status()) are not assigned to an entry.';
COMMENT ON COLUMN apikeys.unused_access_list_entries.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.unused_access_list_entries.network IS 'The entry.';
COMMENT ON COLUMN apikeys.unused_access_list_entries.created_at IS 'Creation time of the key.';
COMMENT ON COLUMN apikeys.unused_access_list_entries.last_used_at IS 'Time of the last use from this entry; NULL means never.';

CREATE VIEW apikeys.unused_roles WITH (security_invoker = true) AS
SELECT
	r.public_key,
	r.project_id,
	(SELECT p.name FROM apikeys.project AS p WHERE p.id = r.project_id) AS project,
	apikeys_internal.role_name(r.role) AS role,
	k.created_at,
	u.last_used_at,
	r.permission
FROM apikeys.key_role AS r
	JOIN apikeys.key AS k ON k.public_key = r.public_key
	CROSS JOIN LATERAL (
		SELECT apikeys_internal.last_grant_use(r.public_key, r.project_id, coalesce(r.role, '=' || r.permission), r.organization_id) AS last_used_at
		OFFSET 0) AS u
WHERE u.last_used_at IS NULL OR u.last_used_at < statement_timestamp() - interval '30 days';
COMMENT ON VIEW apikeys.unused_roles IS
	'The roles and permissions of the keys visible to the reader that allowed no request, or none for 30 days: such keys can do more than they need. Of several roles that allow a request, one is counted.';
COMMENT ON COLUMN apikeys.unused_roles.public_key IS 'The key.';
COMMENT ON COLUMN apikeys.unused_roles.project_id IS 'The project; NULL where the role is granted in the organization.';
COMMENT ON COLUMN apikeys.unused_roles.project IS 'The name of the project.';
COMMENT ON COLUMN apikeys.unused_roles.role IS 'The role; NULL for a permission.';
COMMENT ON COLUMN apikeys.unused_roles.permission IS 'The permission; NULL for a role.';
COMMENT ON COLUMN apikeys.unused_roles.created_at IS 'Creation time of the key.';
COMMENT ON COLUMN apikeys.unused_roles.last_used_at IS 'Time the role last allowed a request, to the hour; NULL means never.';
