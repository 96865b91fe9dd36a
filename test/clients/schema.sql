-- What each client finds: an organization, and a role that manages its keys and
-- decides on requests.
CREATE EXTENSION apikeys;
SELECT apikeys.grant_access('client', 'decide', 'manage');
SELECT apikeys.create_organization('Acme', 'role:client');
