# A decision sees one committed state of image, roles and policy, also while the
# tables are changed or rewritten.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'apikeys'
apikeys.track_usage = off
});
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION apikeys;
INSERT INTO apikeys.organization (id, name) VALUES
	('00000000-0000-4000-8000-000000000001', 'one'), ('00000000-0000-4000-8000-000000000002', 'two');
INSERT INTO apikeys.role (name, level, organization_permissions) VALUES ('flip', 'organization', '{x.read}');
INSERT INTO apikeys.key (public_key, organization_id, description, disabled_at) VALUES
	('by_role', '00000000-0000-4000-8000-000000000001', 'a key', now()),
	('by_policy', '00000000-0000-4000-8000-000000000002', 'a key', now()),
	('good', '00000000-0000-4000-8000-000000000001', 'a key', NULL);
INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
	SELECT public_key, 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, '' FROM apikeys.key;
INSERT INTO apikeys.key_role (public_key, organization_id, role)
	SELECT public_key, organization_id, CASE WHEN public_key = 'by_role' THEN 'flip' ELSE 'ORG_READ_ONLY' END FROM apikeys.key;
});

# The role permits x.read only while the key is disabled, and the key that has
# no access list is enabled only while the organization requires one.
my %scripts = (
	flip_role => q{
BEGIN;
UPDATE apikeys.role SET organization_permissions = CASE WHEN organization_permissions = '{x.read}' THEN '{y.read}' ELSE '{x.read}' END::text[] WHERE name = 'flip';
UPDATE apikeys.key SET disabled_at = CASE WHEN disabled_at IS NULL THEN now() END WHERE public_key = 'by_role';
COMMIT;
},
	flip_policy => q{
BEGIN;
UPDATE apikeys.organization SET require_access_list = NOT require_access_list WHERE name = 'two';
UPDATE apikeys.key SET disabled_at = CASE WHEN disabled_at IS NULL THEN now() END WHERE public_key = 'by_policy';
COMMIT;
},
	ask => q{
SELECT 1 / (CASE WHEN apikeys.authorize('by_role', 'a secret', NULL, 'x.read') THEN 0 ELSE 1 END);
SELECT 1 / (CASE WHEN apikeys.authorize('by_policy', 'a secret', NULL, 'clusters.read') THEN 0 ELSE 1 END);
},
	ask_good => q{
SELECT 1 / (CASE WHEN apikeys.authorize('good', 'a secret', NULL, 'clusters.read') THEN 1 ELSE 0 END);
},
	rewrite => q{
ALTER TABLE apikeys.key_image SET UNLOGGED;
ALTER TABLE apikeys.key_image SET LOGGED;
CLUSTER apikeys.role USING role_pkey;
},
	manage => q{
INSERT INTO apikeys.organization (name) VALUES (gen_random_uuid()::text);
UPDATE apikeys.organization SET name = gen_random_uuid()::text WHERE name NOT IN ('one', 'two') AND id IN (SELECT id FROM apikeys.organization LIMIT 3);
},);
my %files;
for my $name (keys %scripts)
{
	$files{$name} = $node->basedir . "/$name.sql";
	append_to_file($files{$name}, $scripts{$name});
}

# The scripts run at once, each weight times as often as another.
sub run_at_once
{
	my ($test, $transactions, %weights) = @_;

	my $result = run_log(
		[   'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', 4, '-t', $transactions,
			(map { ('-f', "$files{$_}\@$weights{$_}") } sort keys %weights), 'postgres' ],
		'>', \my $output, '2>', \my $errors);
	ok($result, $test) or diag($errors);
	unlike($errors, qr/division by zero/, "$test: no other answer");
	return;
}

run_at_once('a role changes together with a key', 800, flip_role => 1, ask => 10);
run_at_once('a policy changes together with a key', 800, flip_policy => 1, ask => 10);
run_at_once('tables are rewritten', 100, rewrite => 1, ask_good => 30);
run_at_once('organizations are made and renamed', 400, manage => 1, flip_policy => 1, flip_role => 1, ask => 10, ask_good => 10);

# Cached roles and policies belong to the visible row: also in the transaction
# that has changed it, and after a rollback.
is( $node->safe_psql(
		'postgres', q{
UPDATE apikeys.key SET disabled_at = NULL;
UPDATE apikeys.organization SET require_access_list = false;
UPDATE apikeys.role SET organization_permissions = '{x.read}' WHERE name = 'flip';
CREATE FUNCTION ask() RETURNS text LANGUAGE sql AS
	$$ SELECT concat_ws(' ', (apikeys.decide('by_role', 'a secret', NULL, 'x.read')).reason,
		(apikeys.decide('by_policy', 'a secret', NULL, 'clusters.read')).reason) $$;
SELECT ask();
BEGIN;
SAVEPOINT s;
UPDATE apikeys.role SET organization_permissions = '{y.read}' WHERE name = 'flip';
UPDATE apikeys.organization SET require_access_list = true WHERE name = 'two';
SELECT ask();
ROLLBACK TO s;
SELECT ask();
UPDATE apikeys.role SET organization_permissions = '{y.read}' WHERE name = 'flip';
UPDATE apikeys.organization SET require_access_list = true WHERE name = 'two';
SELECT ask();
ROLLBACK;
SELECT ask();
}),
	"ok ok\nscope_denied access_list_required\nok ok\nscope_denied access_list_required\nok ok",
	'changes of the own transaction');

$node->stop;
done_testing();
