-- New and changed keys and secrets are as their organization demands.

CREATE FUNCTION apikeys.key_complies() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_complies';
COMMENT ON FUNCTION apikeys.key_complies() IS
	'Trigger function: refuses a list or a life that the key''s organization does not allow.';
CREATE FUNCTION apikeys.key_secret_complies() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_secret_complies';
COMMENT ON FUNCTION apikeys.key_secret_complies() IS
	'Trigger function: refuses a third live secret of a key, and an old one that lives too long.';

-- After the row, so that row-level security has judged it: what an organization
-- demands is nobody else's to learn.
CREATE TRIGGER key_complies AFTER INSERT OR UPDATE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys.key_complies();
CREATE TRIGGER key_secret_complies AFTER INSERT ON apikeys.key_secret REFERENCING NEW TABLE AS inserted
	FOR EACH STATEMENT EXECUTE FUNCTION apikeys.key_secret_complies();
CREATE TRIGGER key_secret_extended AFTER UPDATE ON apikeys.key_secret
	FOR EACH ROW WHEN (coalesce(NEW.expires_at, 'infinity') > coalesce(OLD.expires_at, 'infinity'))
	EXECUTE FUNCTION apikeys.key_secret_complies();
COMMENT ON TRIGGER key_complies ON apikeys.key IS 'The key is as its organization demands.';
COMMENT ON TRIGGER key_secret_complies ON apikeys.key_secret IS 'At most two secrets live, the older one not for long.';
COMMENT ON TRIGGER key_secret_extended ON apikeys.key_secret IS 'An old secret is not made to live for long.';
