-- Sessions keep the roles' permissions in memory: tell them of a change.
CREATE FUNCTION apikeys.role_changed() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_role_changed';
COMMENT ON FUNCTION apikeys.role_changed() IS
	'Trigger function: makes every session read the roles again once the change is committed.';

CREATE TRIGGER role_changed AFTER INSERT OR UPDATE OR DELETE ON apikeys.role
	FOR EACH ROW EXECUTE FUNCTION apikeys.role_changed();
CREATE TRIGGER role_truncated AFTER TRUNCATE ON apikeys.role
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.role_changed();
-- Also where rows arrive by logical replication.
ALTER TABLE apikeys.role ENABLE ALWAYS TRIGGER role_changed;
ALTER TABLE apikeys.role ENABLE ALWAYS TRIGGER role_truncated;
COMMENT ON TRIGGER role_changed ON apikeys.role IS 'Makes every session read the roles again.';
COMMENT ON TRIGGER role_truncated ON apikeys.role IS 'Makes every session read the roles again.';
