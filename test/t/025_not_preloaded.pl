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
	"authenticate('$key', '$secret', NULL)", "digest_challenge('realm')", "set_quota('$key', 10, 'ever')", 'flush_usage()')
{
	my ($name) = $call =~ /^(\w+)/;
	is(error_of("SELECT apikeys.$call"), $not_preloaded, "$name says what is missing");
}
is($node->safe_psql('postgres', 'SELECT preloaded, worker_alive, lost_count IS NULL FROM apikeys.status()'), 'f|f|t', 'status() tells');
like($node->safe_psql('postgres', 'SELECT advice FROM apikeys.status()'), qr/shared_preload_libraries/, 'and what to do');
unlike(slurp_file($node->logfile), qr/\Q$secret\E/, 'no secret is in the log');

is($node->safe_psql('postgres', "SELECT apikeys.delete_key('$key')"), 't', 'a key is deleted');
is($node->safe_psql('postgres', "SELECT apikeys.delete_organization('$org')"), 't', 'and its organization');

$node->stop;
done_testing();
