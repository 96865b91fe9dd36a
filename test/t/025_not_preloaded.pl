# A server that does not preload the library: what decides and counts is an error
# that says why, and everything else works.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\nlog_min_error_statement = error");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION apikeys');

# The error of a statement: its SQLSTATE, message and identifier.
sub error_of
{
	my ($statement) = @_;
	my ($output, $error) = ('', '');

	$node->psql('postgres', "\\set VERBOSITY verbose\n$statement",
		stdout => \$output, stderr => \$error);
	my ($state, $message) = $error =~ /ERROR:  (\w+): (.*)/;
	my ($identifier) = $error =~ /CONSTRAINT NAME:  (\w+)/;
	return join '|', map { $_ // '' } $state, $message, $identifier;
}

my $not_preloaded = '55000|apikeys must be loaded via "shared_preload_libraries"|not_preloaded';
my ($org, $key, $secret) = split /\|/, $node->safe_psql('postgres', q{
	SELECT o, k.public_key, k.private_key FROM apikeys.create_organization('Acme', 'user:owner') AS o
		CROSS JOIN LATERAL apikeys.create_key(o, 'a key', '{ORG_OWNER}') AS k});
ok($secret, 'keys are managed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM apikeys.limits'), 0, 'none has a limit');
is($node->safe_psql('postgres', 'SELECT description, last_used_at IS NULL FROM apikeys.keys'), 'a key|t', 'keys are read');
is($node->safe_psql('postgres', 'SELECT use_count, lost_count IS NULL FROM apikeys.usage'), '0|t', 'and what was counted of them');

foreach my $call ("authorize('$key', '$secret', NULL, 'clusters.read')", "decide('$key', '$secret', NULL, 'clusters.read')",
	"explain_authorize('$key', '192.0.2.1', 'clusters.read')",
	"authenticate('$key', '$secret', NULL)", "digest_challenge('realm')", "set_quota('$key', 10, 'ever')", 'flush_usage()')
{
	my ($name) = $call =~ /^(\w+)/;
	is(error_of("SELECT apikeys.$call"), $not_preloaded, "$name says what is missing");
}
is($node->safe_psql('postgres', 'SELECT preloaded, worker_alive, lost_count IS NULL FROM apikeys.status()'), 'f|f|t', 'status() tells');
like($node->safe_psql('postgres', 'SELECT advice FROM apikeys.status()'), qr/shared_preload_libraries/, 'and what to do');
# Each function at all, with a value for each argument: an error or an answer.
my %values = (
	'text' => "'$key'", 'text[]' => q('{clusters.read}'), 'uuid' => "'$org'", 'uuid[]' => "'{$org}'", 'inet' => q('192.0.2.1'),
	'cidr' => q('192.0.2.0/24'), 'cidr[]' => q('{192.0.2.0/24}'), 'inet[]' => q('{192.0.2.1}'), 'apikeys.access_list' => q('{192.0.2.0/24}'),
	'apikeys.secret_hash' => q(('sha256$$' || repeat('0', 64))), 'interval' => q('1 hour'), 'timestamp with time zone' => 'now()', 'date' => q('today'),
	'boolean' => 'true', 'integer' => '1', 'bigint' => '1', 'bigint[]' => q('{1}'), 'integer[]' => q('{1}'), 'jsonb' => q('{}'), 'json' => q('{}'),
	'regclass' => q('pg_class'), 'regrole' => 'CURRENT_USER::regrole', 'bytea' => q('\\x00'), 'name' => q('name'));
my @functions = split /\n/, $node->safe_psql('postgres', q{
	SELECT p.oid::regproc || '|' || string_agg(coalesce(format_type(t.type, NULL), ''), '|' ORDER BY t.number)
	FROM pg_proc AS p LEFT JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY AS t (type, number) ON true
	WHERE p.pronamespace IN ('apikeys'::regnamespace, 'apikeys_internal'::regnamespace)
		AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype AND p.proname !~ '(delete|drop)'
		AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) AS a (type) WHERE a.type IN ('internal'::regtype, 'cstring'::regtype))
	GROUP BY p.oid ORDER BY p.oid});
cmp_ok(scalar @functions, '>', 200, 'all functions');
my $statements = '';
foreach my $function (@functions)
{
	my ($name, @types) = split /\|/, $function;

	$statements .= "BEGIN;\nSELECT * FROM $name(" . join(', ', map { ($values{$_} // 'NULL') . "::$_" } grep { $_ ne '' } @types) . ");\nROLLBACK;\n";
}
$node->psql('postgres', $statements, on_error_stop => 0, stdout => \my $answers, stderr => \my $errors);
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no function ends the server');
unlike($errors, qr/syntax error|XX000/, 'and all were called');
unlike(slurp_file($node->logfile), qr/\Q$secret\E/, 'no secret is in the log');

# Rules are not refused where the library is not loaded, and then by what they would change.
foreach my $rule ('INSERT TO apikeys.key DO INSTEAD NOTHING', "UPDATE TO apikeys.key_history DO INSTEAD UPDATE apikeys.key SET description = ''",
	'DELETE TO apikeys.member DO ALSO DELETE FROM apikeys.key_role')
{
	my ($table) = $rule =~ /TO (\S+)/;

	$node->safe_psql('postgres', "CREATE RULE made_before AS ON $rule");
	is(error_of("SELECT apikeys.create_key('$org', 'another', '{ORG_OWNER}')"),
		"0A000|rules of table $table cannot be followed in a statement of the extension|rule_not_supported", "ON $rule is refused");
	$node->safe_psql('postgres', "DROP RULE made_before ON $table");
}
is($node->safe_psql('postgres', "SELECT count(*) FROM apikeys.create_key('$org', 'another', '{ORG_OWNER}')"), 1, 'and no other');

is($node->safe_psql('postgres', "SELECT apikeys.delete_key(public_key) FROM apikeys.key WHERE public_key <> '$key'"), 't', 'it is deleted');
is($node->safe_psql('postgres', "SELECT apikeys.delete_key('$key')"), 't', 'a key is deleted');
is($node->safe_psql('postgres', "SELECT apikeys.delete_organization('$org')"), 't', 'and its organization');

$node->stop;
done_testing();
