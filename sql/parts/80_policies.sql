-- Row-level security decides which rows a role reads.  No role has a privilege to
-- write, so writing needs no policies.  Policies compare with sets that are
-- evaluated once a statement: (SELECT f())::uuid[].

ALTER TABLE apikeys.organization ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.project ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.role ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.member ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_role ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_network ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_role_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_denial ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_day ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.audit_event ENABLE ROW LEVEL SECURITY;
-- Tables without a policy are not visible to anybody.
ALTER TABLE apikeys.audit_seal ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.audit_chain ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.usage_flush ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_limit ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.organization_limit ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.quota_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.deleted_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_image ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.token_key ENABLE ROW LEVEL SECURITY;

CREATE POLICY organization_member_select ON apikeys.organization FOR SELECT
	USING (id = ANY ((SELECT apikeys_internal.principal_organizations())::uuid[])
		AND apikeys_internal.is_readable_share(id, NULL));
COMMENT ON POLICY organization_member_select ON apikeys.organization IS
	'A member of the organization, or of a project of it, reads it.';

CREATE POLICY project_member_select ON apikeys.project FOR SELECT
	USING (apikeys_internal.is_one_of(id, (SELECT apikeys_internal.principal_other_projects(NULL,
			'{apikeys.projects.read,apikeys.projects.manage}')))
		OR organization_id = ANY ((SELECT apikeys_internal.principal_organizations(
			'apikeys.projects.read', 'apikeys.projects.manage'))::uuid[]));
COMMENT ON POLICY project_member_select ON apikeys.project IS
	'A principal with any permission in the project, or with apikeys.projects.read in the organization, reads it.';

CREATE POLICY role_reader_select ON apikeys.role FOR SELECT
	USING (organization_id IS NULL
		OR organization_id = ANY ((SELECT apikeys_internal.principal_organizations())::uuid[]));
COMMENT ON POLICY role_reader_select ON apikeys.role IS
	'Every principal with access manage reads the roles of every organization; a member of an organization, or of a project of it, reads the roles of that organization.';

CREATE POLICY member_reader_select ON apikeys.member FOR SELECT
	USING ((database_role IS NULL AND principal = (SELECT apikeys_internal.reading_user()))
		OR database_role = ANY ((SELECT apikeys_internal.principal_roles())::oid[])
		OR organization_id = ANY ((SELECT apikeys_internal.principal_organizations(
			'apikeys.members.read', 'apikeys.members.manage'))::uuid[])
		OR apikeys_internal.is_one_of(project_id, (SELECT apikeys_internal.principal_other_projects(
			'{apikeys.members.read,apikeys.members.manage}', '{apikeys.members.read,apikeys.members.manage}'))));
COMMENT ON POLICY member_reader_select ON apikeys.member IS
	'A member reads its own rows; apikeys.members.read or .manage reads all rows of an organization or a project.';

CREATE POLICY key_reader_select ON apikeys.key FOR SELECT
	USING ((organization_id = ANY ((SELECT apikeys_internal.principal_organizations(
				'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[])
			OR public_key = (SELECT apikeys_internal.own_reader())
			OR public_key = ANY ((SELECT apikeys_internal.principal_project_keys(
				'apikeys.keys.read', 'apikeys.keys.manage'))::text[]))
		AND apikeys_internal.is_readable_share(organization_id, '{apikeys.keys.read,apikeys.keys.manage}'));
COMMENT ON POLICY key_reader_select ON apikeys.key IS
	'apikeys.keys.read or .manage in the organization, or in a project where the key has a role, reads it, and the key itself.';

CREATE POLICY key_role_reader_select ON apikeys.key_role FOR SELECT
	USING (organization_id = ANY ((SELECT apikeys_internal.principal_organizations(
			'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[])
		OR public_key = (SELECT apikeys_internal.own_reader())
		OR apikeys_internal.is_one_of(project_id, (SELECT apikeys_internal.principal_other_projects(
			'{apikeys.keys.read,apikeys.keys.manage}', '{apikeys.keys.read,apikeys.keys.manage}'))));
COMMENT ON POLICY key_role_reader_select ON apikeys.key_role IS
	'apikeys.keys.read or .manage in the organization reads the roles of its keys; in a project the roles granted there; a key its own.';

CREATE POLICY key_secret_reader_select ON apikeys.key_secret FOR SELECT
	USING ((organization_id = ANY ((SELECT apikeys_internal.principal_organizations(
				'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[])
			OR public_key = (SELECT apikeys_internal.own_reader())
			OR public_key = ANY ((SELECT apikeys_internal.principal_project_keys(
				'apikeys.keys.read', 'apikeys.keys.manage'))::text[]))
		AND apikeys_internal.is_readable_share(organization_id, '{apikeys.keys.read,apikeys.keys.manage}'));
COMMENT ON POLICY key_secret_reader_select ON apikeys.key_secret IS
	'A principal that reads the key reads its secrets, except the hash.';

CREATE POLICY key_network_reader_select ON apikeys.key_network FOR SELECT
	USING (apikeys_internal.reads_key(public_key, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[]));
COMMENT ON POLICY key_network_reader_select ON apikeys.key_network IS
	'A principal that reads the key reads when its entries were added.';

CREATE POLICY key_usage_reader_select ON apikeys.key_usage FOR SELECT
	USING (apikeys_internal.reads_key(public_key, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[]));
COMMENT ON POLICY key_usage_reader_select ON apikeys.key_usage IS
	'A principal that reads the key reads its usage.';

CREATE POLICY key_role_usage_reader_select ON apikeys.key_role_usage FOR SELECT
	USING (EXISTS (SELECT FROM apikeys.key_role AS r
		WHERE r.public_key = key_role_usage.public_key
			AND r.project_id IS NOT DISTINCT FROM key_role_usage.project_id
			AND coalesce(r.role, '=' || r.permission) = key_role_usage.role));
COMMENT ON POLICY key_role_usage_reader_select ON apikeys.key_role_usage IS
	'A principal that sees the role of the key sees when it was used.';

CREATE POLICY key_denial_reader_select ON apikeys.key_denial FOR SELECT
	USING (apikeys_internal.reads_key(public_key, (SELECT apikeys_internal.principal_organizations(
		'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[]));
COMMENT ON POLICY key_denial_reader_select ON apikeys.key_denial IS
	'A principal that reads the key reads its denials.';

CREATE POLICY key_history_reader_select ON apikeys.key_history FOR SELECT
	USING ((organization_id = ANY ((SELECT apikeys_internal.principal_organizations(
				'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[])
			OR public_key = (SELECT apikeys_internal.own_reader())
			OR public_key = ANY ((SELECT apikeys_internal.principal_project_keys(
				'apikeys.keys.read', 'apikeys.keys.manage'))::text[]))
		AND apikeys_internal.is_readable_share(organization_id, '{apikeys.keys.read,apikeys.keys.manage}'));
COMMENT ON POLICY key_history_reader_select ON apikeys.key_history IS
	'Who reads the key reads its history; apikeys.keys.read or .manage in the organization also that of keys that were deleted.';

CREATE POLICY key_day_reader_select ON apikeys.key_day FOR SELECT
	USING ((organization_id = ANY ((SELECT apikeys_internal.principal_organizations(
				'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[])
			OR public_key = (SELECT apikeys_internal.own_reader())
			OR public_key = ANY ((SELECT apikeys_internal.principal_project_keys(
				'apikeys.keys.read', 'apikeys.keys.manage'))::text[]))
		AND apikeys_internal.is_readable_share(organization_id, '{apikeys.keys.read,apikeys.keys.manage}'));
COMMENT ON POLICY key_day_reader_select ON apikeys.key_day IS
	'Who reads the key reads its history; apikeys.keys.read or .manage in the organization also that of keys that were deleted.';

CREATE POLICY audit_event_reader_select ON apikeys.audit_event FOR SELECT
	USING ((organization_id = ANY ((SELECT apikeys_internal.principal_organizations('apikeys.audit.read'))::uuid[])
			OR apikeys_internal.is_one_of(project_id, (SELECT apikeys_internal.principal_other_projects(
				'{apikeys.audit.read}', '{apikeys.audit.read}'))))
		AND apikeys_internal.is_readable_share(organization_id, '{apikeys.audit.read}'));
COMMENT ON POLICY audit_event_reader_select ON apikeys.audit_event IS
	'apikeys.audit.read in the organization, or in the project, reads its events.';
