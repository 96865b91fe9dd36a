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
	'What was changed, by whom, in the transaction that changed it; never a secret or a hash.';
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

CREATE TRIGGER organization_audited AFTER INSERT OR UPDATE OR DELETE ON apikeys.organization
	FOR EACH ROW EXECUTE FUNCTION apikeys.audited('organization');
CREATE TRIGGER project_audited AFTER INSERT OR UPDATE OR DELETE ON apikeys.project
	FOR EACH ROW EXECUTE FUNCTION apikeys.audited('project');
CREATE TRIGGER role_audited AFTER INSERT OR UPDATE OR DELETE ON apikeys.role
	FOR EACH ROW EXECUTE FUNCTION apikeys.audited('role');
CREATE TRIGGER member_audited AFTER INSERT OR UPDATE OR DELETE ON apikeys.member
	FOR EACH ROW EXECUTE FUNCTION apikeys.audited('member');
CREATE TRIGGER key_audited AFTER INSERT OR UPDATE OR DELETE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys.audited('key');
CREATE TRIGGER key_role_audited AFTER INSERT OR UPDATE OR DELETE ON apikeys.key_role
	FOR EACH ROW EXECUTE FUNCTION apikeys.audited('key_role');
CREATE TRIGGER key_secret_audited AFTER INSERT OR UPDATE OR DELETE ON apikeys.key_secret
	FOR EACH ROW EXECUTE FUNCTION apikeys.audited('key_secret');
COMMENT ON TRIGGER organization_audited ON apikeys.organization IS 'Writes to audit_event.';
COMMENT ON TRIGGER project_audited ON apikeys.project IS 'Writes to audit_event.';
COMMENT ON TRIGGER role_audited ON apikeys.role IS 'Writes to audit_event.';
COMMENT ON TRIGGER member_audited ON apikeys.member IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_audited ON apikeys.key IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_role_audited ON apikeys.key_role IS 'Writes to audit_event.';
COMMENT ON TRIGGER key_secret_audited ON apikeys.key_secret IS 'Writes to audit_event.';
