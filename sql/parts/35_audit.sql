-- The audit log.  Each verb writes one event; direct SQL of a superuser writes one
-- for each row.

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
CREATE INDEX audit_event_project_idx ON apikeys.audit_event (project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX audit_event_key_idx ON apikeys.audit_event (public_key, id);
COMMENT ON INDEX apikeys.audit_event_organization_idx IS 'Finds the events of an organization.';
COMMENT ON INDEX apikeys.audit_event_project_idx IS 'Finds the events of a project.';
COMMENT ON INDEX apikeys.audit_event_key_idx IS 'Finds the events of a key.';
COMMENT ON SEQUENCE apikeys.audit_event_id_seq IS 'Numbers the events.';
COMMENT ON TABLE apikeys.audit_event IS
	'The audit log: each change with its principal, written in the transaction of the change. Contains no secret and no hash. Visible with apikeys.audit.read in the organization or in the project.';
COMMENT ON COLUMN apikeys.audit_event.id IS 'Number of the event; of two concurrent transactions, the one that commits first may have the higher number.';
COMMENT ON COLUMN apikeys.audit_event.at IS 'Time of the event.';
COMMENT ON COLUMN apikeys.audit_event.principal IS 'Principal that made the change.';
COMMENT ON COLUMN apikeys.audit_event.action IS 'The action, such as key.created. Changes by direct SQL begin with direct.';
COMMENT ON COLUMN apikeys.audit_event.organization_id IS 'The organization; NULL if the object belongs to none.';
COMMENT ON COLUMN apikeys.audit_event.project_id IS 'The project; NULL if the event is not about one.';
COMMENT ON COLUMN apikeys.audit_event.public_key IS 'The key; NULL if the event is not about one.';
COMMENT ON COLUMN apikeys.audit_event.address IS 'Address of the bound key or of the named user, else of the connection.';
COMMENT ON COLUMN apikeys.audit_event.detail IS 'The changed values: {"old": {...}, "new": {...}}.';
COMMENT ON COLUMN apikeys.audit_event.database_role IS 'The PostgreSQL role that was logged in.';


CREATE FUNCTION apikeys_internal.note_event(action text, organization uuid, project uuid, public_key text, detail jsonb) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_note_event';
COMMENT ON FUNCTION apikeys_internal.note_event(text, uuid, uuid, text, jsonb) IS
	'Writes an event to audit_event, with the principal that is acting and its address.';

CREATE FUNCTION apikeys_internal.note_key_events(action text, organization uuid, public_keys text[], details jsonb[]) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_note_key_events';
COMMENT ON FUNCTION apikeys_internal.note_key_events(text, uuid, text[], jsonb[]) IS
	'Writes an event for each of the keys of an organization, with the detail at the same place.';

-- Direct SQL of a superuser.  A restore makes no events.

CREATE FUNCTION apikeys_internal.is_direct_change() RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'apikeys_is_direct_change';
COMMENT ON FUNCTION apikeys_internal.is_direct_change() IS
	'Checks whether rows are changed by direct SQL: neither by the extension itself nor by a restore.';

CREATE FUNCTION apikeys_internal.directly_changed() RETURNS trigger
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
	SET timezone = 'UTC'
	SET intervalstyle = 'postgres'
AS $$
DECLARE
	before jsonb;
	after jsonb;
	subject jsonb;
BEGIN
	IF TG_TABLE_SCHEMA <> 'apikeys' THEN
		RAISE EXCEPTION USING
			ERRCODE = '39P01',
			MESSAGE = 'this function must be called by a trigger of its own table',
			CONSTRAINT = 'trigger_protocol_violated';
	END IF;
	IF TG_OP IN ('UPDATE', 'DELETE') THEN
		before := to_jsonb(OLD) - '{hash,digest,image,limits}'::text[];
	END IF;
	IF TG_OP IN ('INSERT', 'UPDATE') THEN
		after := to_jsonb(NEW) - '{hash,digest,image,limits}'::text[];
	END IF;
	-- A name of a role may be no text.
	IF TG_TABLE_NAME = 'member' THEN
		before := before || jsonb_build_object('database_role', (before ->> 'database_role')::regrole::oid);
		after := after || jsonb_build_object('database_role', (after ->> 'database_role')::regrole::oid);
	END IF;
	subject := coalesce(after, before);
	PERFORM apikeys_internal.note_event(
		format('direct.%s.%s', TG_TABLE_NAME, lower(TG_OP)),
		CASE
			WHEN TG_TABLE_NAME = 'organization' THEN (subject ->> 'id')::uuid
			WHEN TG_TABLE_NAME IN ('key_secret', 'key_limit') THEN (
				SELECT k.organization_id FROM apikeys.key AS k WHERE k.public_key = subject ->> 'public_key')
			ELSE (subject ->> 'organization_id')::uuid
		END,
		CASE TG_TABLE_NAME
			WHEN 'project' THEN (subject ->> 'id')::uuid
			ELSE (subject ->> 'project_id')::uuid
		END,
		subject ->> 'public_key',
		jsonb_strip_nulls(jsonb_build_object('old', before, 'new', after)));
	RETURN NULL;
END;
$$;
COMMENT ON FUNCTION apikeys_internal.directly_changed() IS
	'Trigger function: writes an event for a row, or for a TRUNCATE, that direct SQL has changed.';

DO $$
DECLARE
	audited text;
BEGIN
	FOREACH audited IN ARRAY '{organization,project,role,member,key,key_role,key_secret,key_limit,organization_limit}'::text[] LOOP
		EXECUTE format(
			'CREATE TRIGGER %1$s_directly_changed AFTER INSERT OR UPDATE OR DELETE ON apikeys.%1$s
				FOR EACH ROW WHEN (apikeys_internal.is_direct_change()) EXECUTE FUNCTION apikeys_internal.directly_changed();
			CREATE TRIGGER %1$s_directly_truncated AFTER TRUNCATE ON apikeys.%1$s
				FOR EACH STATEMENT WHEN (apikeys_internal.is_direct_change()) EXECUTE FUNCTION apikeys_internal.directly_changed();
			COMMENT ON TRIGGER %1$s_directly_changed ON apikeys.%1$s IS ''Writes an event for each row that direct SQL changes.'';
			COMMENT ON TRIGGER %1$s_directly_truncated ON apikeys.%1$s IS ''Writes an event for a TRUNCATE.'';', audited);
	END LOOP;
END;
$$;
