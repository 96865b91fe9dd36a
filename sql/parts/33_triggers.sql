-- The triggers written in C.

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

-- No public key is used again.
CREATE FUNCTION apikeys.key_inserted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_inserted';
COMMENT ON FUNCTION apikeys.key_inserted() IS
	'Trigger function: refuses the name of a deleted key.';
CREATE FUNCTION apikeys.key_deleted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_deleted';
COMMENT ON FUNCTION apikeys.key_deleted() IS
	'Trigger function: notes the name of a deleted key.';

CREATE TRIGGER key_inserted AFTER INSERT ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys.key_inserted();
CREATE TRIGGER key_deleted AFTER DELETE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys.key_deleted();
COMMENT ON TRIGGER key_inserted ON apikeys.key IS 'Refuses the name of a deleted key.';
COMMENT ON TRIGGER key_deleted ON apikeys.key IS 'Notes the name of a deleted key.';
