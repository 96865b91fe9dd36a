-- The role that the console connects as. It proves keys, says which of its users
-- acts, and manages with that user's rights.
CREATE ROLE console LOGIN;
SELECT apikeys.grant_access('console', 'decide', 'manage', 'impersonate');
