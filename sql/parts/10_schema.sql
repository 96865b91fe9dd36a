-- The schema is made here and not by the control file, so that one planted
-- under this name before makes the install fail.
CREATE SCHEMA apikeys;

COMMENT ON SCHEMA apikeys IS
	'API keys of organizations and their projects, and the decision whether a request made with a key may go on.';
