-- Verbs that return the key as the caller sees it, a row of view keys.

CREATE FUNCTION apikeys.update_key(
	public_key text, description text DEFAULT NULL,
	access_list apikeys.access_list DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
	owner text DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS apikeys.keys
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door_key';
COMMENT ON FUNCTION apikeys.update_key(text, text, apikeys.access_list, timestamptz, text, jsonb) IS
	'Changes what is not NULL and returns the key; expires_at => ''infinity'' means never, owner => '''' none. Requires to manage the key.';

CREATE FUNCTION apikeys.set_organization_roles(
	public_key text, roles text[], permissions text[] DEFAULT NULL) RETURNS apikeys.keys
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door_key';
COMMENT ON FUNCTION apikeys.set_organization_roles(text, text[], text[]) IS
	'Replaces the roles and, unless they are NULL, the permissions of a key in its organization, and returns the key; an empty array revokes them all. Requires apikeys.keys.manage in the organization, to be able to grant what is given or taken and, to grant more, to manage the key.';

CREATE FUNCTION apikeys.set_project_roles(
	public_key text, project uuid, roles text[], permissions text[] DEFAULT NULL) RETURNS apikeys.keys
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door_key';
COMMENT ON FUNCTION apikeys.set_project_roles(text, uuid, text[], text[]) IS
	'Assigns a key to a project of its organization with these roles and permissions, or replaces its roles and, unless they are NULL, its permissions there, and returns the key. Requires apikeys.keys.manage in the project and to read the key.';

CREATE FUNCTION apikeys.remove_from_project(public_key text, project uuid) RETURNS apikeys.keys
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_door_key';
COMMENT ON FUNCTION apikeys.remove_from_project(text, uuid) IS
	'Removes a key from a project, and returns the key; it stays in its organization. Requires apikeys.keys.manage in the project, and to be able to grant what the key has there.';
