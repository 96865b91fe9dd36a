-- Row-level security: the one place that decides who reads and writes what.
-- Reading asks sets, evaluated once a statement: (SELECT f())::uuid[].
-- Writing asks about the one row.

ALTER TABLE apikeys.organization ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.project ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.role ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.member ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_role ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_role_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_denial ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.audit_event ENABLE ROW LEVEL SECURITY;
-- Without a policy: for nobody.
ALTER TABLE apikeys.audit_seal ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.audit_chain ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.usage_flush ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.deleted_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE apikeys.key_image ENABLE ROW LEVEL SECURITY;

CREATE POLICY organization_member_select ON apikeys.organization FOR SELECT
	USING (id = ANY ((SELECT apikeys.principal_organizations())::uuid[]));
CREATE POLICY organization_founder_insert ON apikeys.organization FOR INSERT
	WITH CHECK (apikeys.current_key() IS NULL
		AND has_function_privilege('apikeys.create_organization(text,text,boolean)'::regprocedure, 'EXECUTE'));
CREATE POLICY organization_manager_update ON apikeys.organization FOR UPDATE
	USING (apikeys.principal_may('apikeys.organization.manage', id));
CREATE POLICY organization_manager_delete ON apikeys.organization FOR DELETE
	USING (apikeys.principal_may('apikeys.organization.manage', id));

CREATE POLICY project_member_select ON apikeys.project FOR SELECT
	USING (id = ANY ((SELECT apikeys.principal_projects())::uuid[])
		OR organization_id = ANY ((SELECT apikeys.principal_organizations(
			'apikeys.projects.read', 'apikeys.projects.manage'))::uuid[]));
CREATE POLICY project_manager_insert ON apikeys.project FOR INSERT
	WITH CHECK (apikeys.principal_may('apikeys.projects.create', organization_id)
		OR apikeys.principal_may('apikeys.projects.manage', organization_id));
CREATE POLICY project_manager_update ON apikeys.project FOR UPDATE
	USING (apikeys.principal_may('apikeys.projects.manage', organization_id, id));
CREATE POLICY project_manager_delete ON apikeys.project FOR DELETE
	USING (apikeys.principal_may('apikeys.projects.manage', organization_id, id));

CREATE POLICY role_everyone_select ON apikeys.role FOR SELECT
	USING (true);
CREATE POLICY role_creator_insert ON apikeys.role FOR INSERT
	WITH CHECK (NOT is_builtin AND apikeys.current_key() IS NULL AND has_function_privilege(
		'apikeys.create_role(text,text,text[],text[],text)'::regprocedure, 'EXECUTE'));
CREATE POLICY role_creator_delete ON apikeys.role FOR DELETE
	USING (NOT is_builtin AND apikeys.current_key() IS NULL AND has_function_privilege(
		'apikeys.create_role(text,text,text[],text[],text)'::regprocedure, 'EXECUTE'));

CREATE POLICY member_reader_select ON apikeys.member FOR SELECT
	USING (principal = ANY ((SELECT apikeys.principals())::text[])
		OR organization_id = ANY ((SELECT apikeys.principal_organizations(
			'apikeys.members.read', 'apikeys.members.manage'))::uuid[])
		OR project_id = ANY ((SELECT apikeys.principal_projects(
			'apikeys.members.read', 'apikeys.members.manage'))::uuid[]));
CREATE POLICY member_manager_insert ON apikeys.member FOR INSERT
	WITH CHECK (apikeys.principal_may('apikeys.members.manage', organization_id, project_id)
		AND apikeys.principal_may_grant(role, organization_id, project_id));
CREATE POLICY member_founder_insert ON apikeys.member FOR INSERT
	WITH CHECK (apikeys.current_key() IS NULL
		AND apikeys.principal_founds(organization_id, project_id)
		AND role = CASE WHEN project_id IS NULL THEN 'ORG_OWNER' ELSE 'GROUP_OWNER' END);
CREATE POLICY member_manager_delete ON apikeys.member FOR DELETE
	USING (apikeys.principal_may('apikeys.members.manage', organization_id, project_id));

CREATE POLICY key_reader_select ON apikeys.key FOR SELECT
	USING (organization_id = ANY ((SELECT apikeys.principal_organizations(
			'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[])
		OR EXISTS (SELECT FROM apikeys.key_role AS r
			WHERE r.public_key = key.public_key
				AND r.project_id = ANY ((SELECT apikeys.principal_projects(
					'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[])));
CREATE POLICY key_manager_insert ON apikeys.key FOR INSERT
	WITH CHECK (apikeys.principal_may('apikeys.keys.manage', organization_id)
		OR EXISTS (SELECT FROM apikeys.project AS p
			WHERE p.organization_id = key.organization_id
				AND p.id = ANY ((SELECT apikeys.principal_projects('apikeys.keys.manage'))::uuid[])));
CREATE POLICY key_manager_update ON apikeys.key FOR UPDATE
	USING (apikeys.principal_manages_key(public_key));
CREATE POLICY key_manager_delete ON apikeys.key FOR DELETE
	USING (apikeys.principal_manages_key(public_key));

CREATE POLICY key_role_reader_select ON apikeys.key_role FOR SELECT
	USING (organization_id = ANY ((SELECT apikeys.principal_organizations(
			'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[])
		OR project_id = ANY ((SELECT apikeys.principal_projects(
			'apikeys.keys.read', 'apikeys.keys.manage'))::uuid[]));
CREATE POLICY key_role_manager_insert ON apikeys.key_role FOR INSERT
	WITH CHECK (apikeys.principal_may('apikeys.keys.manage', organization_id, project_id)
		AND apikeys.principal_may_grant(role, organization_id, project_id));
CREATE POLICY key_role_founder_insert ON apikeys.key_role FOR INSERT
	WITH CHECK (public_key = apikeys.current_key()
		AND role = 'GROUP_OWNER'
		AND project_id IS NOT NULL
		AND apikeys.principal_may('apikeys.projects.create', organization_id)
		AND apikeys.principal_founds(organization_id, project_id));
CREATE POLICY key_role_manager_delete ON apikeys.key_role FOR DELETE
	USING (apikeys.principal_may('apikeys.keys.manage', organization_id, project_id));

CREATE POLICY key_secret_reader_select ON apikeys.key_secret FOR SELECT
	USING (EXISTS (SELECT FROM apikeys.key AS k WHERE k.public_key = key_secret.public_key));
CREATE POLICY key_secret_issuer_insert ON apikeys.key_secret FOR INSERT
	WITH CHECK (apikeys.principal_may_issue(public_key));
CREATE POLICY key_secret_manager_update ON apikeys.key_secret FOR UPDATE
	USING (apikeys.principal_manages_key(public_key));
CREATE POLICY key_secret_manager_delete ON apikeys.key_secret FOR DELETE
	USING (apikeys.principal_manages_key(public_key));

CREATE POLICY key_usage_reader_select ON apikeys.key_usage FOR SELECT
	USING (EXISTS (SELECT FROM apikeys.key AS k WHERE k.public_key = key_usage.public_key));

CREATE POLICY key_role_usage_reader_select ON apikeys.key_role_usage FOR SELECT
	USING (EXISTS (SELECT FROM apikeys.key_role AS r
		WHERE r.public_key = key_role_usage.public_key
			AND r.project_id IS NOT DISTINCT FROM key_role_usage.project_id
			AND r.role = key_role_usage.role));

CREATE POLICY key_denial_reader_select ON apikeys.key_denial FOR SELECT
	USING (EXISTS (SELECT FROM apikeys.key AS k WHERE k.public_key = key_denial.public_key));

CREATE POLICY audit_event_reader_select ON apikeys.audit_event FOR SELECT
	USING (organization_id = ANY ((SELECT apikeys.principal_organizations('apikeys.audit.read'))::uuid[])
		OR project_id = ANY ((SELECT apikeys.principal_projects('apikeys.audit.read'))::uuid[]));

COMMENT ON POLICY audit_event_reader_select ON apikeys.audit_event IS 'apikeys.audit.read in the organization, or in the project, reads its events.';
COMMENT ON POLICY organization_member_select ON apikeys.organization IS 'A member of the organization, or of a project of it, reads it.';
COMMENT ON POLICY organization_founder_insert ON apikeys.organization IS 'Who may execute create_organization makes one; a key does not.';
COMMENT ON POLICY organization_manager_update ON apikeys.organization IS 'apikeys.organization.manage changes it.';
COMMENT ON POLICY organization_manager_delete ON apikeys.organization IS 'apikeys.organization.manage deletes it.';
COMMENT ON POLICY project_member_select ON apikeys.project IS 'Who has any permission in the project, or reads the organization''s projects, reads it.';
COMMENT ON POLICY project_manager_insert ON apikeys.project IS 'apikeys.projects.create or apikeys.projects.manage in the organization makes one.';
COMMENT ON POLICY project_manager_update ON apikeys.project IS 'apikeys.projects.manage in the project changes it.';
COMMENT ON POLICY project_manager_delete ON apikeys.project IS 'apikeys.projects.manage in the project deletes it.';
COMMENT ON POLICY role_everyone_select ON apikeys.role IS 'Everybody reads the roles.';
COMMENT ON POLICY role_creator_insert ON apikeys.role IS 'Who may execute create_role makes custom roles; a key does not.';
COMMENT ON POLICY role_creator_delete ON apikeys.role IS 'Who may execute create_role drops custom roles; a key does not.';
COMMENT ON POLICY member_reader_select ON apikeys.member IS 'A member reads his own rows; apikeys.members.read or .manage reads all of an organization or a project.';
COMMENT ON POLICY member_manager_insert ON apikeys.member IS 'apikeys.members.manage adds members, with roles that are his to grant.';
COMMENT ON POLICY member_founder_insert ON apikeys.member IS 'Who has just made the organization or the project names its first owner.';
COMMENT ON POLICY member_manager_delete ON apikeys.member IS 'apikeys.members.manage removes members.';
COMMENT ON POLICY key_reader_select ON apikeys.key IS 'apikeys.keys.read or .manage in the organization, or in a project the key has a role in, reads it.';
COMMENT ON POLICY key_manager_insert ON apikeys.key IS 'apikeys.keys.manage in the organization, or in a project of it, makes keys.';
COMMENT ON POLICY key_manager_update ON apikeys.key IS 'Who manages the key changes it.';
COMMENT ON POLICY key_manager_delete ON apikeys.key IS 'Who manages the key deletes it.';
COMMENT ON POLICY key_role_reader_select ON apikeys.key_role IS 'apikeys.keys.read or .manage there reads the roles granted there.';
COMMENT ON POLICY key_role_manager_insert ON apikeys.key_role IS 'apikeys.keys.manage there grants roles that are his to grant.';
COMMENT ON POLICY key_role_founder_insert ON apikeys.key_role IS 'A key that has just made a project becomes its owner.';
COMMENT ON POLICY key_role_manager_delete ON apikeys.key_role IS 'apikeys.keys.manage there takes roles away.';
COMMENT ON POLICY key_secret_reader_select ON apikeys.key_secret IS 'Who reads the key sees its secrets, but for the hash.';
COMMENT ON POLICY key_secret_issuer_insert ON apikeys.key_secret IS 'Who manages the key, and may grant what it may do, adds secrets.';
COMMENT ON POLICY key_secret_manager_update ON apikeys.key_secret IS 'Who manages the key ends secrets.';
COMMENT ON POLICY key_secret_manager_delete ON apikeys.key_secret IS 'Who manages the key deletes secrets.';
COMMENT ON POLICY key_usage_reader_select ON apikeys.key_usage IS 'Who reads the key reads its usage.';
COMMENT ON POLICY key_role_usage_reader_select ON apikeys.key_role_usage IS 'Who reads that the role is granted reads when it was used.';
COMMENT ON POLICY key_denial_reader_select ON apikeys.key_denial IS 'Who reads the key reads its denials.';
