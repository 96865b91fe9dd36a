-- The triggers written in C.

-- Sessions keep the roles and the organizations' policies in memory.
CREATE FUNCTION apikeys.table_changed() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_table_changed';
COMMENT ON FUNCTION apikeys.table_changed() IS
	'Trigger function: makes every session read the table again once the change is committed.';

CREATE TRIGGER role_changed AFTER INSERT OR UPDATE OR DELETE ON apikeys.role
	FOR EACH ROW EXECUTE FUNCTION apikeys.table_changed();
CREATE TRIGGER role_truncated AFTER TRUNCATE ON apikeys.role
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.table_changed();
CREATE TRIGGER organization_changed AFTER UPDATE OR DELETE ON apikeys.organization
	FOR EACH ROW EXECUTE FUNCTION apikeys.table_changed();
CREATE TRIGGER organization_truncated AFTER TRUNCATE ON apikeys.organization
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.table_changed();
-- Also where rows arrive by logical replication.
ALTER TABLE apikeys.role ENABLE ALWAYS TRIGGER role_changed;
ALTER TABLE apikeys.role ENABLE ALWAYS TRIGGER role_truncated;
ALTER TABLE apikeys.organization ENABLE ALWAYS TRIGGER organization_changed;
ALTER TABLE apikeys.organization ENABLE ALWAYS TRIGGER organization_truncated;
COMMENT ON TRIGGER role_changed ON apikeys.role IS 'Makes every session read the roles again.';
COMMENT ON TRIGGER role_truncated ON apikeys.role IS 'Makes every session read the roles again.';
COMMENT ON TRIGGER organization_changed ON apikeys.organization IS 'Makes every session read the policies again.';
COMMENT ON TRIGGER organization_truncated ON apikeys.organization IS 'Makes every session read the policies again.';

-- The level that a role must have where it is held or granted.
CREATE FUNCTION apikeys.level_noted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_level_noted';
COMMENT ON FUNCTION apikeys.level_noted() IS
	'Trigger function: notes which level a role must have in the organization, or in the project.';

CREATE TRIGGER member_level_noted BEFORE INSERT OR UPDATE ON apikeys.member
	FOR EACH ROW EXECUTE FUNCTION apikeys.level_noted();
CREATE TRIGGER key_role_level_noted BEFORE INSERT OR UPDATE ON apikeys.key_role
	FOR EACH ROW EXECUTE FUNCTION apikeys.level_noted();
-- Also where rows are loaded as a replica's.
ALTER TABLE apikeys.member ENABLE ALWAYS TRIGGER member_level_noted;
ALTER TABLE apikeys.key_role ENABLE ALWAYS TRIGGER key_role_level_noted;
COMMENT ON TRIGGER member_level_noted ON apikeys.member IS 'Notes the level that the role must have.';
COMMENT ON TRIGGER key_role_level_noted ON apikeys.key_role IS 'Notes the level that the role must have.';

-- No public key is used again.
CREATE FUNCTION apikeys.key_inserted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_inserted';
COMMENT ON FUNCTION apikeys.key_inserted() IS
	'Trigger function: refuses the name of a deleted key.';
CREATE FUNCTION apikeys.key_deleted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_deleted';
COMMENT ON FUNCTION apikeys.key_deleted() IS
	'Trigger function: notes the name of a deleted key, and drops its usage.';

CREATE TRIGGER key_inserted AFTER INSERT ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys.key_inserted();
CREATE TRIGGER key_deleted AFTER DELETE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys.key_deleted();
COMMENT ON TRIGGER key_inserted ON apikeys.key IS 'Refuses the name of a deleted key.';
COMMENT ON TRIGGER key_deleted ON apikeys.key IS 'Notes the name of a deleted key, and drops its usage.';

-- What is recorded of a secret's uses is kept as the key's once it is deleted.
CREATE FUNCTION apikeys.secret_deleted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_secret_deleted';
COMMENT ON FUNCTION apikeys.secret_deleted() IS
	'Trigger function: adds up the uses of secrets that are no more.';

CREATE TRIGGER secret_deleted AFTER DELETE ON apikeys.key_secret
	FOR EACH ROW EXECUTE FUNCTION apikeys.secret_deleted();
COMMENT ON TRIGGER secret_deleted ON apikeys.key_secret IS 'Adds up the uses of secrets that are no more.';

-- What a decision reads of a key follows each change of it: at the end of the
-- statement, or with each row where rows arrive by logical replication.
CREATE FUNCTION apikeys.key_changed() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_changed';
COMMENT ON FUNCTION apikeys.key_changed() IS
	'Trigger function: makes the images of the changed keys again.';

CREATE TRIGGER key_rows_inserted AFTER INSERT ON apikeys.key REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_rows_updated AFTER UPDATE ON apikeys.key REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_rows_deleted AFTER DELETE ON apikeys.key REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_replicated AFTER INSERT OR UPDATE OR DELETE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_truncated AFTER TRUNCATE ON apikeys.key
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_role_rows_inserted AFTER INSERT ON apikeys.key_role REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_role_rows_updated AFTER UPDATE ON apikeys.key_role REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_role_rows_deleted AFTER DELETE ON apikeys.key_role REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_role_replicated AFTER INSERT OR UPDATE OR DELETE ON apikeys.key_role
	FOR EACH ROW EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_role_truncated AFTER TRUNCATE ON apikeys.key_role
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_secret_rows_inserted AFTER INSERT ON apikeys.key_secret REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_secret_rows_updated AFTER UPDATE ON apikeys.key_secret REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_secret_rows_deleted AFTER DELETE ON apikeys.key_secret REFERENCING OLD TABLE AS deleted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_secret_replicated AFTER INSERT OR UPDATE OR DELETE ON apikeys.key_secret
	FOR EACH ROW EXECUTE FUNCTION apikeys.key_changed();
CREATE TRIGGER key_secret_truncated AFTER TRUNCATE ON apikeys.key_secret
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_changed();
ALTER TABLE apikeys.key ENABLE REPLICA TRIGGER key_replicated;
ALTER TABLE apikeys.key ENABLE ALWAYS TRIGGER key_truncated;
ALTER TABLE apikeys.key_role ENABLE REPLICA TRIGGER key_role_replicated;
ALTER TABLE apikeys.key_role ENABLE ALWAYS TRIGGER key_role_truncated;
ALTER TABLE apikeys.key_secret ENABLE REPLICA TRIGGER key_secret_replicated;
ALTER TABLE apikeys.key_secret ENABLE ALWAYS TRIGGER key_secret_truncated;
COMMENT ON TRIGGER key_rows_inserted ON apikeys.key IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_rows_updated ON apikeys.key IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_rows_deleted ON apikeys.key IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_replicated ON apikeys.key IS 'Makes the image of the key again, where rows arrive by logical replication.';
COMMENT ON TRIGGER key_truncated ON apikeys.key IS 'Makes all images again.';
COMMENT ON TRIGGER key_role_rows_inserted ON apikeys.key_role IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_role_rows_updated ON apikeys.key_role IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_role_rows_deleted ON apikeys.key_role IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_role_replicated ON apikeys.key_role IS 'Makes the image of the key again, where rows arrive by logical replication.';
COMMENT ON TRIGGER key_role_truncated ON apikeys.key_role IS 'Makes all images again.';
COMMENT ON TRIGGER key_secret_rows_inserted ON apikeys.key_secret IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_secret_rows_updated ON apikeys.key_secret IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_secret_rows_deleted ON apikeys.key_secret IS 'Makes the images of the keys again.';
COMMENT ON TRIGGER key_secret_replicated ON apikeys.key_secret IS 'Makes the image of the key again, where rows arrive by logical replication.';
COMMENT ON TRIGGER key_secret_truncated ON apikeys.key_secret IS 'Makes all images again.';

CREATE FUNCTION apikeys.rebuild_images() RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_rebuild_images';
COMMENT ON FUNCTION apikeys.rebuild_images() IS
	'Makes the images of all keys again and returns how many; needed only after rows were loaded with triggers disabled. For the owner of the extension.';

-- The server's own errors quote the whole row. Also where rows arrive by logical
-- replication.
CREATE FUNCTION apikeys.row_unquoted() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_row_unquoted';
COMMENT ON FUNCTION apikeys.row_unquoted() IS
	'Trigger function: refuses what the constraints of a table with hashes refuse, without quoting the row.';

CREATE TRIGGER key_secret_unquoted BEFORE INSERT OR UPDATE ON apikeys.key_secret
	FOR EACH ROW EXECUTE FUNCTION apikeys.row_unquoted();
CREATE TRIGGER key_image_unquoted BEFORE INSERT OR UPDATE ON apikeys.key_image
	FOR EACH ROW EXECUTE FUNCTION apikeys.row_unquoted();
ALTER TABLE apikeys.key_secret ENABLE ALWAYS TRIGGER key_secret_unquoted;
ALTER TABLE apikeys.key_image ENABLE ALWAYS TRIGGER key_image_unquoted;
COMMENT ON TRIGGER key_secret_unquoted ON apikeys.key_secret IS 'No error quotes a hash.';
COMMENT ON TRIGGER key_image_unquoted ON apikeys.key_image IS 'No error quotes a hash.';
