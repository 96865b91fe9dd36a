-- The schemas are created here and not by the control file, so that one planted
-- under this name before makes the install fail.
CREATE SCHEMA apikeys;
COMMENT ON SCHEMA apikeys IS
	'API keys of organizations and their projects, and the decision whether a request made with a key may go on.';

CREATE SCHEMA apikeys_internal;
COMMENT ON SCHEMA apikeys_internal IS
	'Bodies and helpers of the functions in schema apikeys. Not to be called directly; USAGE is not granted to anybody.';
