-- Who has changed what. Nobody is granted to write here: the trigger does.

CREATE TABLE apikeys.audit_event (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	principal text NOT NULL,
	action text NOT NULL,
	organization_id uuid,
	project_id uuid,
	public_key text COLLATE "C",
	address inet,
	detail jsonb NOT NULL,
	database_role text NOT NULL
);
CREATE INDEX audit_event_organization_idx ON apikeys.audit_event (organization_id, id);
CREATE INDEX audit_event_key_idx ON apikeys.audit_event (public_key, id);
COMMENT ON INDEX apikeys.audit_event_organization_idx IS 'Finds the events of an organization.';
COMMENT ON INDEX apikeys.audit_event_key_idx IS 'Finds the events of a key.';
COMMENT ON SEQUENCE apikeys.audit_event_id_seq IS 'Numbers the events.';
COMMENT ON TABLE apikeys.audit_event IS
	'What was changed, by whom, in the transaction that changed it; never a secret or a hash. apikeys.audit.read in the organization, or in the project, reads its events.';
COMMENT ON COLUMN apikeys.audit_event.id IS 'Identifies the event; of two transactions at a time, the one that commits first may have the higher one.';
COMMENT ON COLUMN apikeys.audit_event.at IS 'When it happened.';
COMMENT ON COLUMN apikeys.audit_event.principal IS 'Who did it.';
COMMENT ON COLUMN apikeys.audit_event.action IS 'What he did, in dotted words: key.created.';
COMMENT ON COLUMN apikeys.audit_event.organization_id IS 'The organization; NULL for what belongs to none.';
COMMENT ON COLUMN apikeys.audit_event.project_id IS 'The project; NULL for what is not about one.';
COMMENT ON COLUMN apikeys.audit_event.public_key IS 'The key; NULL for what is not about one.';
COMMENT ON COLUMN apikeys.audit_event.address IS 'Where he came from: the address of the key, or of the connection.';
COMMENT ON COLUMN apikeys.audit_event.detail IS 'The columns concerned: {"old": {...}, "new": {...}}.';
COMMENT ON COLUMN apikeys.audit_event.database_role IS 'The PostgreSQL role that was logged in.';

CREATE FUNCTION apikeys.audited() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_audited';
COMMENT ON FUNCTION apikeys.audited() IS
	'Trigger function: writes the events of a change, and tells who listens on channel apikeys.';

-- A trigger with transition tables is for one kind of change.
CREATE TRIGGER organization_audited_insert AFTER INSERT ON apikeys.organization REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('organization');
CREATE TRIGGER organization_audited_update AFTER UPDATE ON apikeys.organization REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('organization');
CREATE TRIGGER organization_audited_delete AFTER DELETE ON apikeys.organization REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('organization');
CREATE TRIGGER project_audited_insert AFTER INSERT ON apikeys.project REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('project');
CREATE TRIGGER project_audited_update AFTER UPDATE ON apikeys.project REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('project');
CREATE TRIGGER project_audited_delete AFTER DELETE ON apikeys.project REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('project');
CREATE TRIGGER role_audited_insert AFTER INSERT ON apikeys.role REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('role');
CREATE TRIGGER role_audited_update AFTER UPDATE ON apikeys.role REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('role');
CREATE TRIGGER role_audited_delete AFTER DELETE ON apikeys.role REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('role');
CREATE TRIGGER member_audited_insert AFTER INSERT ON apikeys.member REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('member');
CREATE TRIGGER member_audited_update AFTER UPDATE ON apikeys.member REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('member');
CREATE TRIGGER member_audited_delete AFTER DELETE ON apikeys.member REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('member');
CREATE TRIGGER key_audited_insert AFTER INSERT ON apikeys.key REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('key');
CREATE TRIGGER key_audited_update AFTER UPDATE ON apikeys.key REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('key');
CREATE TRIGGER key_audited_delete AFTER DELETE ON apikeys.key REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('key');
CREATE TRIGGER key_role_audited_insert AFTER INSERT ON apikeys.key_role REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('key_role');
CREATE TRIGGER key_role_audited_update AFTER UPDATE ON apikeys.key_role REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('key_role');
CREATE TRIGGER key_role_audited_delete AFTER DELETE ON apikeys.key_role REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('key_role');
CREATE TRIGGER key_secret_audited_insert AFTER INSERT ON apikeys.key_secret REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('key_secret');
CREATE TRIGGER key_secret_audited_update AFTER UPDATE ON apikeys.key_secret REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('key_secret');
CREATE TRIGGER key_secret_audited_delete AFTER DELETE ON apikeys.key_secret REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.audited('key_secret');
COMMENT ON TRIGGER organization_audited_insert ON apikeys.organization IS 'Writes to audit_event.';
COMMENT ON TRIGGER organization_audited_update ON apikeys.organization IS 'Writes to audit_event.';
COMMENT ON TRIGGER organization_audited_delete ON apikeys.organization IS 'Writes to audit_event.';
COMMENT ON TRIGGER project_audited_insert ON apikeys.project IS 'Writes to audit_event.';
COMMENT ON TRIGGER project_audited_update ON apikeys.project IS 'Writes to audit_event.';
COMMENT ON TRIGGER project_audited_delete ON apikeys.project IS 'Writes to audit_event.';
COMMENT ON TRIGGER role_audited_insert ON apikeys.role IS 'Writes to audit_event.';
COMMENT ON TRIGGER role_audited_update ON apikeys.role IS 'Writes to audit_event.';
COMMENT ON TRIGGER role_audited_delete ON apikeys.role IS 'Writes to audit_event.';
COMMENT ON TRIGGER member_audited_insert ON apikeys.member IS 'Writes to audit_event.';
COMMENT ON TRIGGER member_audited_update ON apikeys.member IS 'Writes to audit_event.';
COMMENT ON TRIGGER member_audited_delete ON apikeys.member IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_audited_insert ON apikeys.key IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_audited_update ON apikeys.key IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_audited_delete ON apikeys.key IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_role_audited_insert ON apikeys.key_role IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_role_audited_update ON apikeys.key_role IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_role_audited_delete ON apikeys.key_role IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_secret_audited_insert ON apikeys.key_secret IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_secret_audited_update ON apikeys.key_secret IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_secret_audited_delete ON apikeys.key_secret IS 'Writes to audit_event.';
