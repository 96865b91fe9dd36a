-- A thousand keys that are there all the time, and a table that they read.
CREATE EXTENSION apikeys;
CREATE ROLE api;
SELECT apikeys.grant_access('api', 'decide');
INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
INSERT INTO apikeys.project (id, organization_id, name)
	VALUES ('1a000000-0000-0000-0000-000000000000', '10000000-0000-0000-0000-000000000000', 'one');
INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
	SELECT 'soak' || n, '10000000-0000-0000-0000-000000000000', 'a key', '{192.0.2.0/24}'
	FROM generate_series(1, 1000) AS n;
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	SELECT public_key, 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
	FROM apikeys.key;
INSERT INTO apikeys.key_role (public_key, organization_id, role)
	SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key;
CREATE TABLE public.invoice (
	id integer PRIMARY KEY,
	organization_id uuid NOT NULL,
	project_id uuid NOT NULL
);
INSERT INTO public.invoice
	SELECT n, '10000000-0000-0000-0000-000000000000', '1a000000-0000-0000-0000-000000000000'
	FROM generate_series(1, 20) AS n;
GRANT SELECT ON public.invoice TO api;
ALTER TABLE public.invoice ENABLE ROW LEVEL SECURITY;
CREATE POLICY invoice_select ON public.invoice FOR SELECT USING (
	organization_id = (SELECT apikeys.current_organization())
	AND apikeys.permits('invoices.read', project_id));
