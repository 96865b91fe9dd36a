-- What the service of server.js needs beside the extension: its own table,
-- confined to the key of each request, a role to connect as, and two roles to
-- give to keys.
CREATE ROLE service LOGIN;

-- It proves keys, and says which of its users manages them.
SELECT apikeys.grant_access('service', 'decide', 'manage', 'impersonate');

-- No temporary table or view ever stands in place of a table.
DO $$
BEGIN
	EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

SELECT apikeys.create_role('INVOICE_READER', 'project', '{}', '{invoices.read}', 'Reads invoices.');
SELECT apikeys.create_role('INVOICE_WRITER', 'project', '{}', '{invoices.read,invoices.write}', 'Reads and writes invoices.');

CREATE TABLE public.invoice (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	organization_id uuid NOT NULL DEFAULT apikeys.current_organization(),
	project_id uuid NOT NULL,
	amount numeric(12, 2) NOT NULL,
	created_by text NOT NULL DEFAULT apikeys.current_key()
);
CREATE INDEX invoice_project_idx ON public.invoice (project_id);
GRANT SELECT, INSERT (project_id, amount) ON public.invoice TO service;

ALTER TABLE public.invoice ENABLE ROW LEVEL SECURITY;
CREATE POLICY invoice_reader_select ON public.invoice FOR SELECT USING (
	organization_id = (SELECT apikeys.current_organization())
	AND apikeys.permits('invoices.read', project_id));
CREATE POLICY invoice_writer_insert ON public.invoice FOR INSERT WITH CHECK (
	organization_id = (SELECT apikeys.current_organization())
	AND apikeys.permits('invoices.write', project_id));
