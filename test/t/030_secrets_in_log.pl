# Who binds secrets as parameters finds none of them, and no hash, in the
# server's log, nor in pg_stat_activity, nor in a message to the client.
#
# pgbench's variables are bound parameters in the extended protocol.
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
log_statement = all
log_min_duration_statement = 0
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = verbose
log_min_messages = debug1
apikeys.trusted_proxies = '{127.0.0.1}'
log_min_error_statement = debug1
});
$node->start;
my $folder = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION apikeys;
	CREATE ROLE owner;
	SELECT apikeys.grant_access('owner', 'decide', 'manage', 'impersonate', 'monitor');
	GRANT EXECUTE ON FUNCTION apikeys.revoke_leaked, apikeys.verify TO owner;
	INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.member (organization_id, principal, role)
		VALUES ('10000000-0000-0000-0000-000000000000', 'role:owner', 'ORG_OWNER');
	INSERT INTO apikeys.project (id, organization_id, name)
		VALUES ('1a000000-0000-0000-0000-000000000000', '10000000-0000-0000-0000-000000000000', 'A');
	-- What the test has to look for.
	CREATE TABLE known (id int GENERATED ALWAYS AS IDENTITY, public_key text, secret text);
	CREATE TABLE seen (what text, times int);
	GRANT ALL ON known, seen TO owner;
});

my $client_output = '';

# Runs a script once by pgbench; returns whether it succeeded.
my $count = 0;
sub run_script
{
	my ($mode, $role, $script) = @_;
	my $file = "$folder/" . $count++ . '.sql';
	append_to_file($file, ($role ? "SET ROLE $role;\n" : '') . $script);
	my ($stdout, $stderr);
	my $ok = IPC::Run::run [
		'pgbench', '-n', '-t', '1', '-c', '1', '-M', $mode, '-f', $file,
		'-h', $node->host, '-p', $node->port, 'postgres'
	  ],
	  '>', \$stdout, '2>', \$stderr;
	$client_output .= $stdout . $stderr;
	return $ok && $stderr !~ /aborted/;
}

# The life of a key, all of it well.
my $life = q{
SELECT public_key AS key, private_key AS secret FROM apikeys.create_key('10000000-0000-0000-0000-000000000000', 'a key', '{ORG_OWNER}', '{192.0.2.0/24}') \gset
INSERT INTO known (public_key, secret) VALUES (:key, :secret);
SELECT apikeys.authorize(:key, :secret, '192.0.2.1', 'clusters.read');
SELECT reason AS r FROM apikeys.decide(:key, :secret, '192.0.2.1', 'clusters.read') \gset
INSERT INTO seen SELECT 'authorized', count(*) FROM apikeys.decide(:key, :secret, '192.0.2.1', 'clusters.read') WHERE allowed;
INSERT INTO seen SELECT 'in pg_stat_activity', count(*) FROM pg_stat_activity WHERE strpos(query, :secret) > 0;
SELECT apikeys.authorize(:secret, :key, '192.0.2.1', 'clusters.read');
SELECT apikeys.authorize(:key, :key, '192.0.2.1', 'clusters.read');
SELECT apikeys.authorize(:secret, :secret, '192.0.2.1', 'clusters.read');
SELECT reason AS r FROM apikeys.decide(:key, :secret, '192.0.2.1', :secret) \gset
SELECT apikeys.require(:key, :secret, '192.0.2.1', 'clusters.read');
BEGIN;
SELECT apikeys.authenticate(:key, :secret, '192.0.2.1');
SELECT apikeys.permits('clusters.read') AS p \gset
COMMIT;
BEGIN;
SELECT set_config('request.headers', json_build_object('x-api-key', :key || ':' || :secret, 'x-forwarded-for', '192.0.2.1')::text, true) AS h \gset
SELECT apikeys.authenticate_request();
COMMIT;
SELECT apikeys.rotate_secret(:key, '1 hour') AS second \gset
INSERT INTO known (public_key, secret) VALUES (:key, :second);
SELECT apikeys.authorize(:key, :second, '192.0.2.1', 'clusters.read');
SELECT apikeys.rotate_secret(:key) AS third \gset
INSERT INTO known (public_key, secret) VALUES (:key, :third);
SELECT apikeys.update_key(:key, 'another description');
SELECT apikeys.set_project_roles(:key, '1a000000-0000-0000-0000-000000000000', '{GROUP_OWNER}');
SELECT apikeys.remove_from_project(:key, '1a000000-0000-0000-0000-000000000000');
SELECT apikeys.disable_key(:key);
SELECT apikeys.enable_key(:key);
SELECT apikeys.import_key('10000000-0000-0000-0000-000000000000', 'imported_' || :key, ('sha256$' || '$' || encode(sha256(:secret::bytea), 'hex'))::apikeys.secret_hash, 'a key', '{ORG_MEMBER}');
SELECT apikeys.authorize('imported_' || :key, :secret, '192.0.2.1', 'clusters.read');
SELECT public_key AS p FROM apikeys.create_project_key('1a000000-0000-0000-0000-000000000000', 'a key', '{GROUP_OWNER}') \gset
SELECT apikeys.delete_key(:p);
SELECT public_key AS p, private_key AS leaked FROM apikeys.create_key('10000000-0000-0000-0000-000000000000', 'a key', '{ORG_OWNER}') \gset
INSERT INTO known (public_key, secret) VALUES (:p, :leaked);
SELECT count(*) FROM apikeys.find_leaked('a text with ' || :leaked || ' in it');
INSERT INTO seen SELECT 'leaked', count(*) FROM apikeys.revoke_leaked(:leaked) AS ended WHERE ended;
SELECT apikeys.delete_key(:p);
};
foreach my $mode ('extended', 'prepared')
{
	foreach my $role (undef, 'owner')
	{
		ok(run_script($mode, $role, $life),
			"the life of a key, $mode, as " . ($role // 'superuser'));
	}
}

# Secrets that were written into statements.
my @literals;

# Calls that fail, as a mistake makes them: the secret where the key belongs,
# a clear secret where a hash or a list belongs.
my $fetch = q{
SELECT public_key AS key, secret AS secret FROM known ORDER BY id DESC LIMIT 1 \gset
};
my @failing = (
	[ 'scope'          => q{SELECT apikeys.authorize(:key, :secret, NULL, :secret || ' ')} ],
	[ 'scope, decide'  => q{SELECT apikeys.decide(:key, :secret, NULL, '{' || :secret || '}')} ],
	[ 'scope, permits' => q{SELECT apikeys.permits(:secret || '*')} ],
	[ 'require'        => q{SELECT apikeys.require(:key, :secret || 'x', '192.0.2.1', 'clusters.read')} ],
	[ 'require, mixed up' => q{SELECT apikeys.require(:secret, :key, '192.0.2.1', 'clusters.read')} ],
	[ 'require, denied' => q{SELECT apikeys.require(:key, :secret, '198.51.100.1', 'clusters.read')} ],
	[ 'authenticate'   => q{SELECT apikeys.authenticate(:key, :secret || 'x', '192.0.2.1')} ],
	[ 'authenticate, mixed up' => q{SELECT apikeys.authenticate(:secret, :key, '192.0.2.1')} ],
	[ 'authenticate, denied' => q{SELECT apikeys.authenticate(:key, :secret, '198.51.100.1')} ],
	[ 'request, denied' => q{SELECT set_config('request.headers', json_build_object('x-api-key', :key || ':' || :secret || 'x')::text, false) AS h, apikeys.authenticate_request()} ],
	[ 'request, malformed' => q{SELECT set_config('request.headers', json_build_object('x-api-key', :secret)::text, false) AS h, apikeys.authenticate_request()} ],
	[ 'request, no JSON' => q{SELECT set_config('request.headers', '{"x-api-key":"' || :secret || '}', false) AS h, apikeys.authenticate_request()} ],
	[ 'explain'        => q{SELECT * FROM apikeys.explain_authorize(:secret, NULL, 'clusters.read')} ],
	[ 'import, mixed up' => q{SELECT apikeys.import_key('10000000-0000-0000-0000-000000000000', :secret, ('sha256$' || '$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash, 'a key', '{}')} ],
	[ 'import, taken'  => q{SELECT apikeys.import_key('10000000-0000-0000-0000-000000000000', :key, ('sha256$' || '$' || encode(sha256(:secret::bytea), 'hex'))::apikeys.secret_hash, 'a key', '{}')} ],
	[ 'revoke_secret'  => q{SELECT apikeys.revoke_secret(:secret, 1)} ],
	[ 'update_key'     => q{SELECT apikeys.update_key(:secret, 'a description')} ],
	[ 'set_organization_roles' => q{SELECT apikeys.set_organization_roles(:secret, '{ORG_OWNER}')} ],
	[ 'set_project_roles' => q{SELECT apikeys.set_project_roles(:secret, '1a000000-0000-0000-0000-000000000000', '{GROUP_OWNER}')} ],
	[ 'remove_from_project' => q{SELECT apikeys.remove_from_project(:secret, '1a000000-0000-0000-0000-000000000000')} ],
	[ 'add_to_access_list' => q{SELECT apikeys.add_to_access_list(:secret, '192.0.2.1')} ],
	[ 'remove_from_access_list' => q{SELECT apikeys.remove_from_access_list(:secret, '192.0.2.1')} ],
	[ 'add_current_address' => q{SELECT apikeys.add_current_address(:secret)} ],
	[ 'rotate_secret'  => q{SELECT apikeys.rotate_secret(:secret)} ],
	[ 'disable_key'    => q{SELECT apikeys.disable_key(:secret)} ],
	[ 'enable_key'     => q{SELECT apikeys.enable_key(:secret)} ],
	[ 'delete_key'     => q{SELECT apikeys.delete_key(:secret)} ],
	[ 'grant_access'   => q{SELECT apikeys.grant_access('owner', :secret)} ],
	[ 'add_member'     => q{SELECT apikeys.add_member('10000000-0000-0000-0000-000000000000', :secret, 'ORG_MEMBER')} ],
	[ 'organization'   => q{SELECT apikeys.organization(:secret)} ],
	[ 'project'        => q{SELECT apikeys.project('Acme', :secret)} ],
	[ 'act_as'         => q{SELECT apikeys.act_as(:secret)} ],
	[ 'role of create_key' => q{SELECT apikeys.create_key('10000000-0000-0000-0000-000000000000', 'a key', ARRAY[:secret])} ],
	[ 'role of add_member' => q{SELECT apikeys.add_member('10000000-0000-0000-0000-000000000000', 'user:me', :secret)} ],
	[ 'drop_role'      => q{SELECT apikeys.drop_role(:secret)} ],
	[ 'list'           => q{SELECT apikeys.update_key(:key, access_list => :secret)} ],
	[ 'list in braces' => q{SELECT apikeys.update_key(:key, access_list => ('{192.0.2.1,' || :secret || '}')::apikeys.access_list)} ],
	[ 'list with a length' => q{SELECT ('{' || :secret || '/32}')::apikeys.access_list} ],
	[ 'list, quoted'   => q{SELECT ('{"' || :secret || '"}')::apikeys.access_list} ],
	[ 'list, bound'    => q{SELECT :secret::apikeys.access_list} ],
	[ 'hash, bound'    => q{SELECT :secret::apikeys.secret_hash} ],
	[ 'hash, cast'     => q{SELECT (:secret || '')::apikeys.secret_hash} ],
	[ 'hash of a known kind' => q{SELECT ('sha256$' || '$' || :secret)::apikeys.secret_hash} ],
	[ 'hash, argon2id' => q{SELECT ('$argon2id$v=19$m=8,t=1,p=1$' || :secret)::apikeys.secret_hash} ],
	[ 'hash, unknown kind' => q{SELECT (:secret || '$' || '$' || :secret)::apikeys.secret_hash} ],
	[ 'hash, too long' => q{SELECT repeat(:secret, 1000)::apikeys.secret_hash} ],
	[ 'hash of verify' => q{SELECT apikeys.verify(:secret, :key, :secret)} ],
	[ 'hash in the table' => q{INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES (:key, 9, :secret, '')} ],
	[ 'unique secret'  => q{INSERT INTO apikeys.key_secret (public_key, version, hash, hint) SELECT :key, max(version), ('sha512$' || '$' || encode(sha512(:secret::bytea), 'hex'))::apikeys.secret_hash, '' FROM apikeys.key_secret WHERE public_key = :key} ],
	[ 'overlap'        => q{SELECT apikeys.rotate_secret(:key, '1000 years')} ],
	[ 'description'    => q{SELECT apikeys.update_key(:key, '')} ]);
foreach my $role (undef, 'owner')
{
	foreach my $case (@failing)
	{
		my ($name, $statement) = @$case;
		ok( !run_script('extended', $role, "$fetch$statement;\n"),
			"$name fails, as " . ($role // 'superuser'));
	}
}

# A secret that stands in a statement: a denial, or a scope that is none, does
# not have the log show the statement.
my ($literal_key, $literal_secret) = split /\|/, $node->safe_psql(
	'postgres', q{
	SELECT public_key, private_key FROM apikeys.create_key('10000000-0000-0000-0000-000000000000', 'a key', '{ORG_OWNER}')});
my $quiet = 'SET log_statement = none; SET log_min_duration_statement = -1;';
foreach my $call (
	"authorize('$literal_key', '$literal_secret', NULL, 'no  scope')",
	"decide('$literal_key', '$literal_secret', NULL, 'no  scope')",
	"require('$literal_key', '$literal_secret', NULL, 'no  scope')",
	"decide_token('$literal_key.$literal_secret', NULL, 'no  scope')",
	"require_token('$literal_key.x$literal_secret', NULL, 'a.read')",
	"authenticate_token('$literal_key..$literal_secret', NULL)",
	"require('$literal_key', '${literal_secret}x', NULL, 'clusters.read')",
	"require('$literal_key', '$literal_secret', NULL, 'clusters.read', gen_random_uuid())",
	"authenticate('$literal_key', '${literal_secret}x', NULL)")
{
	my ($status, $stdout, $stderr);
	foreach my $statement ("SELECT apikeys.$call",
		"DO \$\$ BEGIN PERFORM apikeys.$call; END; \$\$")
	{
		$status = $node->psql('postgres', "$quiet $statement", stderr => \$stderr);
		is($status, 3, 'the call fails');
	}
}
push @literals, $literal_secret;

# What to look for: the secrets, and their hashes.
my @secrets = split /\n/,
  $node->safe_psql('postgres', 'SELECT DISTINCT secret FROM known');
my @hashes = split /\n/,
  $node->safe_psql(
	'postgres', q{
	SELECT split_part(hash::text, '$', 3) FROM apikeys.key_secret
	UNION SELECT encode(sha256(secret::bytea), 'hex') FROM known
	UNION SELECT encode(sha512(secret::bytea), 'hex') FROM known
});
is(scalar @secrets, 16, 'three secrets of four keys were issued, and one of four more');
cmp_ok(scalar @hashes, '>=', 12, 'and hashed');
is( $node->safe_psql(
		'postgres', 'SELECT what, sum(times) FROM seen GROUP BY what ORDER BY what'
	),
	"authorized|4\nin pg_stat_activity|0\nleaked|4",
	'they passed, and no query shown has held one');

my $audit =
  $node->safe_psql('postgres', 'SELECT * FROM apikeys.audit_event');
like($audit, qr/key\.secret_rotated/, 'the audit has events');

$node->stop;
my $log = slurp_file($node->logfile);
ok($log =~ /apikeys\.rotate_secret\(\$1/, 'the log has the statements');
foreach my $text (@secrets, @literals, @hashes)
{
	# Not the text as the test's name: that is in a log, too.
	my ($where) = $log =~ /^(.*\Q$text\E.*)$/m;
	ok(!defined $where, 'not in the log') or diag($where);
	ok(index($client_output, $text) < 0, 'not in a message to the client');
	ok(index($audit, $text) < 0, 'not in the audit');
}
# Not the greater part of one either.
my @parts = map { substr($_, 7, 24) } @secrets;
is(scalar(grep { index($log, $_) >= 0 } @parts), 0, 'no part of a secret in the log');
ok($log !~ /ak_sec_/, 'nothing in the log looks like a secret');

done_testing();
