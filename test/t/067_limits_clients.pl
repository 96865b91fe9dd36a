# Limits under 64 clients, by the clock of the machine: a rate lets through no more than
# rate x time + burst, and nearly that; quotas are exact, also if transactions are rolled
# back, over a restart, and after a crash except for what was not written.
use strict;
use warnings;
use List::Util qw(max min sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $RATE = 500;                   # a second, and as many at once
my $CLIENTS = 64;
my $SECONDS = 4;

my $node = PostgreSQL::Test::Cluster->new('clients');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '1h'
max_connections = 100
});
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name)
		VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT k, '10000000-0000-0000-0000-000000000000', 'a key' FROM unnest('{R,Q,C}'::text[]) AS k;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1,
			('sha256\$\$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
		FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key;
	SELECT apikeys.set_rate_limit('R', $RATE, '1 s');
	SELECT apikeys.set_quota('Q', 3000, 'ever');
	SELECT apikeys.set_quota('C', 3000, 'ever')});

my $folder = PostgreSQL::Test::Utils::tempdir();

# Runs clients that use a key, in the words of a script around the call.
sub run_clients
{
	my ($key, $before, $after, @options) = @_;
	my $script = "$folder/$key.sql";

	unlink $script;
	append_to_file($script,
		"$before\nSELECT apikeys.authorize('$key', 'a secret', '192.0.2.1'::inet, 'clusters.read');\n$after\n");
	$node->command_ok(
		[ 'pgbench', '-n', '-M', 'prepared', '-c', $CLIENTS, '-j', '2', @options, '-f', $script, 'postgres' ],
		"$CLIENTS clients use $key");
	return;
}

# Of a key: what was allowed, written or not.
sub uses
{
	my ($key) = @_;
	return $node->safe_psql('postgres', "SELECT use_count FROM apikeys.usage WHERE public_key = '$key'");
}

sub used
{
	my ($key) = @_;
	return $node->safe_psql('postgres', "SELECT used FROM apikeys.limits WHERE public_key = '$key'");
}

# By pgbench's log, all clients ask from the first answer until one of them gets its last;
# the time around all of it is longer.
my $begin = time;
run_clients('R', '', '', '-T', $SECONDS, '--log', "--log-prefix=$folder/r");
my $around = time - $begin;
my ($first, $asked) = (9e99, 0);
my %last_of;
foreach my $log (glob "$folder/r.*")
{
	open my $file, '<', $log or die "$log: $!";
	while (<$file>)
	{
		my ($client, undef, undef, undef, $second, $us) = split;
		my $at = $second + $us / 1e6;
		$first = min($first, $at);
		$last_of{$client} = max($last_of{$client} // 0, $at);
		$asked++;
	}
	close $file;
}
my $allowed = uses('R');
my $between = min(values %last_of) - $first;
note(sprintf '%d asked, %d allowed in %.3f to %.3f s: %.2f %% of rate x time + burst', $asked, $allowed, $between,
	$around, 100 * $allowed / ($RATE + $RATE * $between));
cmp_ok($allowed, '<=', $RATE + $RATE * $around, 'no more than rate x time + burst');
SKIP:
{
	# Of a machine that is too slow to ask, nothing can be said.
	skip 'the machine is too slow to ask enough', 1 if $asked < 2 * $RATE * (1 + $around);
	cmp_ok($allowed, '>=', 0.95 * ($RATE + $RATE * $between), 'and nearly as much');
}

# Half of the transactions are rolled back, and the worker writes meanwhile.
run_clients('Q', "\\set end random(1, 2)\nBEGIN;", "\\if :end = 1\nROLLBACK;\n\\else\nCOMMIT;\n\\endif\n\\set flush random(1, 100)\n"
	  . "\\if :flush = 1\nSELECT apikeys.flush_usage();\n\\endif", '-t', '75');
is(uses('Q'), 3000, 'of 4800 calls as many pass as the quota says');
is(used('Q'), 3000, 'and are used of it');
$node->restart;
is(used('Q'), 3000, 'also after a restart');
run_clients('Q', '', '', '-t', '2');
is(uses('Q'), 3000, 'nothing more passes');

# A crash forgets what was not written since the last batch, and nothing else.
run_clients('C', '', '', '-t', '20');
$node->safe_psql('postgres', 'SELECT apikeys.flush_usage()');
run_clients('C', '', '', '-t', '10');
is(used('C'), 30 * $CLIENTS, 'a part is written, and a part is not');
$node->stop('immediate');
$node->start;
is(used('C'), 20 * $CLIENTS, 'a crash gives back what was not');
run_clients('C', 'BEGIN;', 'ROLLBACK;', '-t', '50');
is(used('C'), 3000, 'the rest passes');
is(uses('C'), 3000, 'and no more: all that passed is the quota and the uses of an interval');

done_testing();
