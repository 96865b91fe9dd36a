# Uses counted on a standby: they are seen there, and sent to the primary, each
# of them once, whatever breaks.
use strict;
use warnings;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '1h'
autovacuum = off
});
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION apikeys;
	CREATE ROLE apikeys_standby LOGIN;
	INSERT INTO apikeys.organization (id, name)
		VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'key' || n, '10000000-0000-0000-0000-000000000000', 'a key'
		FROM generate_series(1, 100) AS n;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1,
			('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
		FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub use_key
{
	my ($node, $key, $times, $address) = @_;

	return $node->safe_psql(
		'postgres', qq{
		SELECT count(*) FROM generate_series(1, $times)
		WHERE apikeys.authorize('$key', 'a secret', '$address', 'clusters.read')});
}

# Whether all was written; else what the server said.
sub flush_usage
{
	my ($node) = @_;
	my ($output, $error) = ('', '');

	$node->psql(
		'postgres', 'SELECT apikeys.flush_usage()',
		stdout => \$output,
		stderr => \$error);
	return $error eq '' ? 'done' : $error;
}

sub usage_of
{
	my ($node, $key) = @_;

	return $node->safe_psql('postgres',
		qq{SELECT concat_ws('|', use_count, coalesce(host(last_used_address), ''),
			(SELECT 'but by the hour ' || sum(h.use_count) FROM apikeys.usage_by_hour AS h
				WHERE h.public_key = u.public_key HAVING sum(h.use_count) <> u.use_count))
		FROM apikeys.usage AS u WHERE public_key = '$key'});
}

sub worker_of
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'apikeys worker'});
}

# --- A standby that knows no primary -----------------------------------------

is(use_key($standby, 'key1', 5, '192.0.2.1'), 5, 'a standby allows a key');
is(usage_of($standby, 'key1'), '5|192.0.2.1', 'and counts its uses');
is( $standby->safe_psql('postgres',
		q{SELECT last_used_address FROM apikeys.keys WHERE public_key = 'key1'}),
	'192.0.2.1',
	'they are seen there');
like(
	flush_usage($standby),
	qr/a standby cannot write usage by itself.*usage_primary_conninfo/s,
	'it cannot write them');
like(
	$standby->safe_psql('postgres', 'SELECT advice FROM apikeys.status()'),
	qr/usage_primary_conninfo/, 'and says so');
is(usage_of($primary, 'key1'), '0|', 'the primary knows nothing of them');

# --- One that does -------------------------------------------------------------

my $conninfo = "host=@{[ $primary->host ]} port=@{[ $primary->port ]} user=apikeys_standby";
$standby->append_conf('postgresql.conf',
	"apikeys.usage_primary_conninfo = '$conninfo'");
$standby->reload;
ok( $standby->poll_query_until(
		'postgres', q{SELECT advice IS NULL FROM apikeys.status()}),
	'a standby that knows its primary needs no advice');
like(
	flush_usage($standby),
	qr/usage could not be written/,
	'without the right to do so it sends nothing');
is(usage_of($standby, 'key1'), '5|192.0.2.1', 'and keeps what it has');

$primary->safe_psql('postgres',
	q{GRANT USAGE ON SCHEMA apikeys TO apikeys_standby;
	GRANT EXECUTE ON FUNCTION apikeys.merge_usage, apikeys.settle_usage TO apikeys_standby});
use_key($primary, 'key1', 7, '192.0.2.2');
is(flush_usage($standby), 'done', 'with it it does');
is(usage_of($primary, 'key1'), '12|192.0.2.2', 'they are added on the primary');
flush_usage($primary);
is(usage_of($primary, 'key1'), '12|192.0.2.2', 'to those of its own');
$primary->wait_for_catchup($standby);
is(usage_of($standby, 'key1'), '12|192.0.2.2',
	'the standby sees each use once');
is($standby->safe_psql('postgres', 'SELECT pending_entries FROM apikeys.status()'),
	0, 'and has nothing pending');
use_key($standby, 'key1', 1, '192.0.2.3');
flush_usage($standby);
is(usage_of($primary, 'key1'), '13|192.0.2.3', 'a later use is the last use');

is( $primary->safe_psql(
		'postgres', q{
		SELECT DISTINCT u.secret_version, r.role, r.project_id
		FROM apikeys.key_usage AS u JOIN apikeys.key_role_usage AS r USING (public_key)}),
	'1|ORG_READ_ONLY|',
	'with the secrets and the roles that were used');

# --- What breaks -----------------------------------------------------------------

# The primary is busy with the table; the connection breaks, or the worker ends.
foreach my $victim ('connection', 'worker')
{
	my $locker = $primary->background_psql('postgres');
	my $flusher = $standby->background_psql('postgres', on_error_stop => 0);
	my $worker = worker_of($standby);
	my $log = -s $primary->logfile;

	use_key($standby, 'key2', 10, '192.0.2.1');
	$locker->query_safe('BEGIN; LOCK TABLE apikeys.key_usage IN EXCLUSIVE MODE');
	$flusher->query_until(qr/begun/,
		"\\echo begun\nSELECT apikeys.flush_usage();\n");
	ok( $primary->poll_query_until(
			'postgres',
			q{SELECT count(*) > 0 FROM pg_stat_activity
			  WHERE usename = 'apikeys_standby' AND wait_event_type = 'Lock'}),
		"the standby waits for the primary, before its $victim ends");
	if ($victim eq 'connection')
	{
		$primary->safe_psql('postgres',
			q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			  WHERE usename = 'apikeys_standby'});
	}
	else
	{
		$standby->safe_psql('postgres', "SELECT pg_terminate_backend($worker)");
		ok( $standby->poll_query_until(
				'postgres',
				qq{SELECT count(*) = 1 FROM pg_stat_activity
				   WHERE backend_type = 'apikeys worker' AND pid <> $worker}),
			'another worker takes over');
		ok($primary->wait_for_log(qr/connection to client lost/, $log),
			'and the session that nobody waits for ends, and holds no rows');
	}
	$locker->query_safe('COMMIT');
	$locker->quit;
	$flusher->quit;
	is(flush_usage($standby), 'done', 'the next flush succeeds');
	is(usage_of($primary, 'key2'),
		$victim eq 'connection' ? '10|192.0.2.1' : '20|192.0.2.1',
		'nothing is lost and nothing doubled');
}

# The primary rejects a batch whose connection has ended, and the answer is lost, too.
{
	my $locker = $primary->background_psql('postgres');
	my $flusher = $standby->background_psql('postgres', on_error_stop => 0);
	my $worker = worker_of($standby);
	my $waits_for = sub
	{
		my ($function) = @_;

		return $primary->poll_query_until('postgres',
			qq{SELECT count(*) > 0 FROM pg_stat_activity
			   WHERE usename = 'apikeys_standby' AND wait_event_type = 'Lock' AND query LIKE '%$function%'});
	};

	use_key($standby, 'key6', 10, '192.0.2.1');
	$locker->query_safe('BEGIN; LOCK TABLE apikeys.usage_flush IN SHARE MODE');
	$flusher->query_until(qr/begun/, "\\echo begun\nSELECT apikeys.flush_usage();\n");
	ok($waits_for->('merge_usage'), 'the standby sends a batch');
	$primary->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'apikeys_standby'});
	$flusher->query_until(qr/again/, "\\echo again\nSELECT apikeys.flush_usage();\n");
	ok($waits_for->('settle_usage'), 'and asks what became of it');
	kill 'STOP', $worker;
	$locker->query_safe('COMMIT');
	ok($primary->poll_query_until('postgres', 'SELECT count(*) = 1 FROM apikeys.usage_flush WHERE NOT is_added'),
		'the primary rejects it');
	$standby->safe_psql('postgres', "SELECT pg_cancel_backend($worker)");
	kill 'CONT', $worker;
	$locker->quit;
	$flusher->quit;
	is(flush_usage($standby), 'done', 'and says so again');
	is(usage_of($primary, 'key6'), '10|192.0.2.1', 'nothing is lost');
}

# The primary is away.
$primary->stop;
use_key($standby, 'key3', 5, '192.0.2.1');
like(
	flush_usage($standby),
	qr/usage could not be written/,
	'nothing is written while the primary is away');
$primary->start;
is(flush_usage($standby), 'done', 'it is once it is back');
is(usage_of($primary, 'key3'), '5|192.0.2.1', 'all of it');

# A clean stop sends what is there.
use_key($standby, 'key3', 5, '192.0.2.1');
$standby->restart;
is(usage_of($primary, 'key3'), '10|192.0.2.1',
	'a standby that is stopped sends what it has');

# A host that is silent: its queue is full, so that the kernel drops what asks for a connection.
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1, Proto => 'tcp') or die $!;
my @waiting = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $silent->sockport, Proto => 'tcp', Blocking => 0) } 1 .. 4;
sub set_primary
{
	my ($hosts, $ports) = @_;

	$standby->append_conf('postgresql.conf',
		"apikeys.usage_primary_conninfo = 'host=$hosts port=$ports user=apikeys_standby target_session_attrs=read-write'");
	$standby->reload;
	ok($standby->poll_query_until('postgres', "SELECT current_setting('apikeys.usage_primary_conninfo') LIKE 'host=$hosts port%'"),
		"primary $hosts is known");
}
set_primary("127.0.0.1,@{[ $primary->host ]}", "@{[ $silent->sockport ]},@{[ $primary->port ]}");
use_key($standby, 'key5', 5, '192.0.2.1');
is(flush_usage($standby), 'done', 'of two hosts the first may be silent');
is(usage_of($primary, 'key5'), '5|192.0.2.1', 'the second gets all');

set_primary('127.0.0.1', $silent->sockport);
use_key($standby, 'key5', 1, '192.0.2.1');
my $asking = $standby->background_psql('postgres', on_error_stop => 0);
$asking->query_until(qr/begun/, "\\echo begun\nSELECT apikeys.flush_usage();\n");
# The worker looks again after a second; before that there is nothing to see.
sleep(3);
my $begin = time;
$standby->stop;
cmp_ok(time - $begin, '<', 15, 'and a standby that waits for a silent one stops soon');
eval { $asking->quit };
$standby->append_conf('postgresql.conf', "apikeys.usage_primary_conninfo = '$conninfo'");
$standby->start;

# --- Databases that are dropped and renamed on the primary -------------------------------

$primary->safe_psql('postgres', "CREATE DATABASE $_") for qw(one two gone);
foreach my $database (qw(one two gone))
{
	$primary->safe_psql($database, q{
		CREATE EXTENSION apikeys;
		GRANT USAGE ON SCHEMA apikeys TO apikeys_standby;
		GRANT EXECUTE ON FUNCTION apikeys.merge_usage, apikeys.settle_usage TO apikeys_standby;
		INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
		INSERT INTO apikeys.key (public_key, organization_id, description)
			VALUES ('key1', '10000000-0000-0000-0000-000000000000', 'a key');
		INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
			SELECT public_key, 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, '' FROM apikeys.key;
		INSERT INTO apikeys.key_role (public_key, organization_id, role)
			SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key});
}
$primary->wait_for_catchup($standby);
my $use = q{SELECT count(*) FROM generate_series(1, 10) WHERE apikeys.authorize('key1', 'a secret', '192.0.2.1', 'clusters.read')};
$standby->safe_psql($_, $use) for qw(one two gone);
ok($standby->poll_query_until('postgres',
		q{SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type = 'apikeys worker' AND datname IN ('one', 'two', 'gone')}),
	'each database has a worker');
$primary->safe_psql('postgres', $_)
  foreach 'DROP DATABASE gone', 'ALTER DATABASE one RENAME TO three', 'ALTER DATABASE two RENAME TO one', 'ALTER DATABASE three RENAME TO two';
$primary->wait_for_catchup($standby);
my $offset = -s $standby->logfile;
$standby->safe_psql($_, 'SELECT apikeys.flush_usage()') for qw(one two);
is($primary->safe_psql($_, q{SELECT use_count FROM apikeys.key_usage WHERE public_key = 'key1'}), 10,
	"$_: its uses have arrived in it, and no others") for qw(one two);
# Two times as long as a worker waits to be started again.
sleep(11);
my @failures = slurp_file($standby->logfile, $offset) =~ /FATAL: .*database/g;
cmp_ok(scalar(@failures), '<=', 1, 'the worker of the dropped one is not started again and again');
is($standby->safe_psql('postgres',
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'apikeys worker' AND datname IS DISTINCT FROM 'postgres' AND datname NOT IN ('one', 'two')}), 0, 'and is gone');

# While the standby has not replayed that they were renamed, it sends to neither.
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$standby->safe_psql('one', $use);
$primary->safe_psql('postgres', $_)
  foreach 'ALTER DATABASE one RENAME TO three', 'ALTER DATABASE two RENAME TO one', 'ALTER DATABASE three RENAME TO two';
$offset = -s $standby->logfile;
$standby->psql('one', 'SELECT apikeys.flush_usage()');
like(slurp_file($standby->logfile, $offset), qr/the primary has another database of the same name/, 'databases that are exchanged are told apart');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby);
$standby->safe_psql('two', 'SELECT apikeys.flush_usage()');
is($primary->safe_psql('two', q{SELECT use_count FROM apikeys.key_usage WHERE public_key = 'key1'}) . ' '
	  . $primary->safe_psql('one', q{SELECT use_count FROM apikeys.key_usage WHERE public_key = 'key1'}), '20 10',
	'and what was counted goes to its own');

# --- Promotion ----------------------------------------------------------------------

use_key($standby, 'key4', 5, '192.0.2.1');
flush_usage($standby);
$primary->wait_for_catchup($standby);
use_key($standby, 'key4', 6, '192.0.2.2');
$primary->stop;
$standby->promote;
is(usage_of($standby, 'key4'), '11|192.0.2.2',
	'a promoted standby knows what it has counted');
is(flush_usage($standby), 'done', 'it writes by itself');
is($standby->safe_psql('postgres', q{SELECT use_count FROM apikeys.key_usage WHERE public_key = 'key4'}),
	11, 'into its own tables');
use_key($standby, 'key4', 1, '192.0.2.3');
flush_usage($standby);
is(usage_of($standby, 'key4'), '12|192.0.2.3', 'and goes on');

$standby->stop;
done_testing();
