-- Nobody locks himself out, and no key gives away more than it has.

CREATE FUNCTION apikeys.key_guarded() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_key_guarded';
COMMENT ON FUNCTION apikeys.key_guarded() IS
	'Trigger function: keeps a key that is acting from giving more networks or a longer life than it has, and from shutting itself out; and the organization''s last owner from being ended.';
CREATE FUNCTION apikeys.owner_removed() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_owner_removed';
COMMENT ON FUNCTION apikeys.owner_removed() IS
	'Trigger function: keeps an organization from being left without an owner.';
CREATE FUNCTION apikeys.secret_ended() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'apikeys_secret_ended';
COMMENT ON FUNCTION apikeys.secret_ended() IS
	'Trigger function: keeps a key that is acting from ending its own last secret.';

CREATE TRIGGER key_guarded BEFORE INSERT OR UPDATE OR DELETE ON apikeys.key
	FOR EACH ROW EXECUTE FUNCTION apikeys.key_guarded();
CREATE TRIGGER member_owner_removed AFTER DELETE ON apikeys.member
	FOR EACH ROW WHEN (OLD.role = 'ORG_OWNER') EXECUTE FUNCTION apikeys.owner_removed();
CREATE TRIGGER key_role_owner_removed AFTER DELETE ON apikeys.key_role
	FOR EACH ROW WHEN (OLD.role = 'ORG_OWNER') EXECUTE FUNCTION apikeys.owner_removed();
CREATE TRIGGER key_secret_ended AFTER UPDATE OR DELETE ON apikeys.key_secret
	FOR EACH ROW EXECUTE FUNCTION apikeys.secret_ended();
COMMENT ON TRIGGER key_guarded ON apikeys.key IS 'Nobody locks himself out, and no key gives away more than it has.';
COMMENT ON TRIGGER member_owner_removed ON apikeys.member IS 'The organization keeps an owner.';
COMMENT ON TRIGGER key_role_owner_removed ON apikeys.key_role IS 'The organization keeps an owner.';
COMMENT ON TRIGGER key_secret_ended ON apikeys.key_secret IS 'A key that is acting keeps a secret.';
