# Limits: tables of calls with the time of each, and what must be answered; then
# what restarts, crashes, many sessions and a full table do to them.  The time is
# that of test/clock/clock.c.
use strict;
use warnings;
use utf8;
use Encode qw(decode);
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $here = dirname(__FILE__);
my $directory = PostgreSQL::Test::Utils::tempdir();
my $clock_file = "$directory/clock";
my $compiler = $ENV{CC} // 'cc';

# 2027-01-15 12:00:00 UTC.
my $noon = 1800014400;

# The monotonic clock in microseconds, which only goes forward.
my $monotonic = 1_000_000_000_000;

# Writes both clocks, the calendar in microseconds since 1970.
sub set_clock
{
	my ($calendar) = @_;

	open(my $file, '+<', $clock_file) or die "$clock_file: $!";
	binmode $file;
	syswrite($file, pack('qq', $monotonic, $calendar)) == 16 or die $!;
	close $file;
	return;
}

open(my $new_file, '>', $clock_file) or die $!;
print {$new_file} "\0" x 16;
close $new_file;
set_clock($noon * 1_000_000);

if (system("$compiler -shared -fPIC -O1 -o $directory/clock.so $here/../clock/clock.c -ldl 2>/dev/null") != 0)
{
	plan skip_all => 'there is no compiler';
}

my $node = PostgreSQL::Test::Cluster->new('limits');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '1h'
autovacuum = off
log_min_messages = log
restart_after_crash = on
});

sub with_clock
{
	my ($action) = @_;

	local $ENV{LD_PRELOAD} = "$directory/clock.so";
	local $ENV{AK_TEST_CLOCK} = $clock_file;
	$action->();
	return;
}

with_clock(sub { $node->start });
$node->safe_psql('postgres',
	q{CREATE EXTENSION apikeys; SELECT apikeys.create_role('caller', 'organization', '{*}')});

# An organization for each case, and keys in it.
my $case_number = 0;
my $psql_options = '';

sub make_case
{
	my ($extra) = @_;
	$case_number++;
	my $prefix = "case$case_number";

	$node->safe_psql(
		'postgres', qq{
		INSERT INTO apikeys.organization (name) VALUES ('${prefix}_O'), ('${prefix}_P');
		INSERT INTO apikeys.key (public_key, organization_id, description)
			SELECT '${prefix}_' || k, o.id, 'a key' FROM apikeys.organization AS o,
				unnest('{K,K2,K3,K4,P1}'::text[]) AS k
			WHERE o.name = '${prefix}_' || CASE k WHEN 'P1' THEN 'P' ELSE 'O' END;
		INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
			SELECT public_key, 1, ('sha256\$\$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
			FROM apikeys.key WHERE public_key LIKE '${prefix}\\_%';
		INSERT INTO apikeys.key_role (public_key, organization_id, role)
			SELECT public_key, organization_id, 'caller' FROM apikeys.key WHERE public_key LIKE '${prefix}\\_%';});
	return;
}

# The names of a case in SQL.
sub expand
{
	my ($sql) = @_;

	$sql =~ s/\b(K\d?|P1)\b/'case${case_number}_$1'/g;
	$sql =~ s/\b([OP])\b/(SELECT id FROM apikeys.organization WHERE name = 'case${case_number}_$1')/g;
	return $sql;
}

# The call of a verb, and psql's status and error.
sub attempt
{
	my ($call) = @_;
	my ($output, $error);
	my $status = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT apikeys." . expand($call),
		stdout => \$output, stderr => \$error);

	return ($status, $output, $error);
}

sub decide
{
	my ($key, %option) = @_;
	my $call = sprintf
		q{apikeys.decide('case%d_%s', '%s', '%s'::inet, '%s', cost => %s)},
		$case_number, $key, $option{secret} // 'a secret', $option{address} // '192.0.2.1',
		$option{scope} // 'clusters.read', $option{cost} // 1;
	my $seconds = q{coalesce(trim_scale(extract(epoch FROM %s))::text, 'NULL')};

	return sprintf q{SELECT concat_ws(' | ', CASE WHEN d.allowed THEN 'yes' ELSE 'no' END, d.reason,
		%s, coalesce(apikeys.rate_limit_headers(d.*::apikeys.decision) ->> 'Retry-After', '–'),
		coalesce(d.remaining::text, 'NULL'), %s, coalesce(d.limit_name, '–'))
		FROM %s AS d}, sprintf($seconds, 'd.retry_after'), sprintf($seconds, 'd.reset_after'), $call;
}

# One row of a table: the call, or the calls; what is said of the last.
sub run_row
{
	my ($call, @expected) = @_;
	my ($times, $key, $rest) = $call =~ /^(?:(\d+) × )?(K\d?|P1)\b(.*)$/ or die "what is $call?";
	my %option;
	my $remaining = $expected[4];
	my ($before, $after) = ('', '');

	$option{cost} = $1 if $rest =~ s/ cost (\d+)$//;
	$option{scope} = $1 if $rest =~ /^ ([a-z.]+\.[a-z]+)$/;
	$option{address} = '198.51.100.7' if $rest eq ' from A';
	$option{address} = '203.0.113.9' if $rest eq ' from B';
	$before = "SET timezone = 'Asia/Shanghai';" if $rest eq ' in A';
	$before = "SET timezone = 'America/Los_Angeles';" if $rest eq ' in B';
	($before, $after) = ('BEGIN;', '; ROLLBACK') if $rest eq ' rolled back';
	my $statement = $before . decide($key, %option) . $after;
	my @answers = map { decode('UTF-8', $node->safe_psql('postgres', $statement)) } 1 .. $times // 1;

	if ($remaining =~ /^(\d+) … (\d+)$/)
	{
		my $first = $1;
		$expected[4] = $2;
		is((split / \| /, $answers[0])[4], $first, "$call: what the first leaves");
	}
	is($answers[-1], join(' | ', @expected), $call);
	return;
}

sub run_event
{
	my ($event) = @_;

	if ($event =~ /^do (.*)$/)
	{
		my ($status, $output, $error) = attempt($1);
		is($status, 0, $event) or diag $error;
	}
	elsif ($event =~ /^is (\S+) (.*)$/)
	{
		my ($value, $what) = ($1, $2);
		my ($status, $output, $error) = attempt($what);
		is($output, $value =~ /^K/ ? "case${case_number}_$value" : $value, $event) or diag $error;
	}
	elsif ($event =~ /^error (\S+) (.*)$/)
	{
		my ($code, $what) = ($1, $2);
		my ($status, $output, $error) = attempt($what);
		like($error, qr/ERROR:\s+$code:/, $event);
	}
	elsif ($event =~ /^(\d+) wrong secrets$/)
	{
		is( $node->safe_psql(
				'postgres',
				"SELECT DISTINCT d.reason, d.retry_after, d.remaining, d.reset_after
				FROM generate_series(1, $1) AS n CROSS JOIN LATERAL apikeys.decide('case${case_number}_K',
					'wrong ' || n, '198.51.100.7'::inet, 'clusters.read') AS d"),
			'wrong_secret|||', $event);
	}
	else
	{
		die "what is $event?";
	}
	return;
}

# A time is in seconds since noon, or a date.
sub run_table
{
	my ($title, @lines) = @_;
	my ($begin, $latest) = ($monotonic, undef);
	my $shift = 0;

	note $title;
	make_case();
	set_clock($noon * 1_000_000);
	for my $line (@lines)
	{
		my ($time, $call, @expected) = split / \| /, $line;
		if (!defined $call)
		{
			run_event($line);
			next;
		}
		my $calendar;
		if ($time =~ /^(\d+-\d+-\d+ \d+:\d+:\d+)(\.\d+)?$/)
		{
			$calendar = $node->safe_psql('postgres',
				"SELECT (extract(epoch FROM '$time UTC'::timestamptz) * 1000000)::bigint");
			$monotonic += 1_000_000 if defined $latest && $calendar != $latest;
			$latest = $calendar;
		}
		else
		{
			my $offset = sprintf '%.0f', $time * 1_000_000;
			$monotonic = $begin + $offset;
			$calendar = $noon * 1_000_000 + $offset + $shift;
		}
		set_clock($calendar);
		if ($call eq 'set the calendar back')
		{
			$shift = -3600 * 1_000_000;
		}
		elsif (@expected)
		{
			run_row($call, @expected);
		}
		else
		{
			run_event($call);
		}
	}
	$monotonic += 1_000_000_000_000;
	return;
}

my @tables;
open(my $cases, '<:encoding(UTF-8)', "$here/limits_cases.txt") or die $!;
while (my $line = <$cases>)
{
	chomp $line;
	next if $line eq '' || $line =~ /^# Cases/;
	if ($line =~ /^# (.*)/)
	{
		push @tables, [$1];
	}
	else
	{
		push @{ $tables[-1] }, $line;
	}
}
close $cases;
my $only = $ENV{AK_ONLY_CASE};
for my $table (@tables)
{
	run_table(@$table) if !defined $only || $table->[0] =~ /$only/;
}

# --- What no table can say ---------------------------------------------------

my $database = 'postgres';

# How many calls were allowed, of those that sessions make at once.
sub call_at_once
{
	my ($key, $sessions, $calls) = @_;
	my $statement = "SELECT count(*) FROM generate_series(1, $calls)
		WHERE apikeys.authorize('case${case_number}_$key', 'a secret', '192.0.2.1', 'clusters.read')";
	my @outputs = ('') x $sessions;
	my @running = map {
		IPC::Run::start(
			[ 'psql', '-XAtq', '-d', $node->connstr($database), '-c', $statement ],
			'<', \undef, '>', \$outputs[$_])
	} 0 .. $sessions - 1;
	my $allowed = 0;

	$_->finish for @running;
	$allowed += $_ for @outputs;
	return $allowed;
}

sub status
{
	my ($columns) = @_;

	return $node->safe_psql($database, "SELECT $columns FROM apikeys.status()");
}

sub limit
{
	my ($key, $name, $column) = @_;

	return $node->safe_psql($database,
		"SELECT $column FROM apikeys.limits WHERE public_key = 'case${case_number}_$key' AND limit_name = '$name'");
}

# Each call at the first microsecond at which it is allowed.
make_case();
run_event("do set_rate_limit(K, 10, '1 min')");
my $allowed_in_a_minute = 0;
my $begin = $monotonic;
set_clock($noon * 1_000_000);
while ($monotonic < $begin + 60_000_000)
{
	my ($allowed, $wait) = split /\|/, $node->safe_psql($database,
		"SELECT d.allowed, (extract(epoch FROM d.retry_after) * 1000000)::bigint
		FROM apikeys.decide('case${case_number}_K', 'a secret', '192.0.2.1'::inet, 'clusters.read') AS d");
	$allowed_in_a_minute++ if $allowed eq 't';
	$monotonic += $wait if $allowed eq 'f';
	set_clock($noon * 1_000_000);
}
is($allowed_in_a_minute, 19, 'burst + window ÷ (per ÷ requests) at most');
is($monotonic, $begin + 60_000_000, 'and then one at a time');

# Time goes on inside of a transaction.
make_case();
run_event("do set_rate_limit(K, 1, '2 s')");
my $tick = sub {
	my ($second) = @_;
	return sprintf q{\! perl -e 'open(F, "+<", "%s"); syswrite(F, pack("qq", %d, %d))'},
		$clock_file, $monotonic + $second * 1_000_000, $noon * 1_000_000;
};
is( decode('UTF-8', $node->safe_psql(
			$database,
			join("\n", 'BEGIN;', decide('K') . ';', $tick->(1), decide('K') . ';', $tick->(2), decide('K') . ';', 'COMMIT;'))),
	"yes | ok | NULL | – | 0 | 2 | key\nno | rate_limited | 1 | 1 | 0 | 1 | key\nyes | ok | NULL | – | 0 | 2 | key",
	'the clock runs on in a transaction');
$monotonic += 10_000_000;
set_clock($noon * 1_000_000);

# A change that is rolled back leaves nothing but what was spent.
make_case();
run_event("do set_rate_limit(K, 4, '1 min')");
$node->safe_psql($database, join("\n", 'BEGIN;',
		"SELECT apikeys.set_rate_limit('case${case_number}_K', 1, '1 min');", decide('K') . ';',
		decide('K') . ';', 'ROLLBACK;'));
run_row('K', 'yes', 'ok', 'NULL', '–', '2', '30', 'key');
$node->safe_psql($database, join("\n", 'BEGIN;',
		"SELECT apikeys.set_rate_limit('case${case_number}_K', NULL);",
		"SELECT apikeys.set_rate_limit('case${case_number}_K', 8, '1 min');", decide('K') . ';', 'ROLLBACK;'));
run_row('K', 'yes', 'ok', 'NULL', '–', '0', '60', 'key');

# Nor does one that drops the extension, and counts in a new one.
make_case();
run_event("do set_rate_limit(K, 4, '1 min')");
run_row('K', 'yes', 'ok', 'NULL', '–', '3', '15', 'key');
$node->safe_psql($database, q{
	BEGIN;
	DROP EXTENSION apikeys CASCADE;
	CREATE EXTENSION apikeys;
	SELECT * FROM apikeys.create_key(apikeys.create_organization('New'), 'a key', '{ORG_OWNER}') \gset
	SELECT apikeys.set_rate_limit(:'public_key', 4, '1 min');
	SELECT allowed FROM apikeys.decide(:'public_key', :'private_key', '192.0.2.1'::inet, 'clusters.read');
	ROLLBACK});
run_row('K', 'yes', 'ok', 'NULL', '–', '2', '30', 'key');

# Many sessions at once.
make_case();
run_event("do set_quota(K, 100, 'day')");
run_event("do set_rate_limit(K2, 20, '1 hour')");
is(call_at_once('K', 8, 50), 100, 'a quota is exact under many sessions');
is(call_at_once('K2', 8, 50), 20, 'and a rate');
is(limit('K', 'day', 'used'), 100, 'what is used is counted once');
run_event('do flush_usage()');
is(limit('K', 'day', 'used'), 100, 'also when it is written');
is($node->safe_psql($database, "SELECT sum(used) FROM apikeys.quota_usage AS u
	JOIN apikeys.key AS k ON k.limits_id = u.subject WHERE k.public_key = 'case${case_number}_K'"), 100, 'where it shall be');
is( $node->safe_psql($database, "SELECT denials FROM apikeys.usage WHERE public_key = 'case${case_number}_K'"),
	'{"quota_exceeded": 300}', 'denials are counted by their reason');

# While batches are written all the time.
make_case();
run_event("do set_quota(K, 1000, 'day')");
{
	my $flushes = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr($database), '-c',
			'DO $$ BEGIN FOR n IN 1 .. 60 LOOP PERFORM apikeys.flush_usage(); COMMIT; END LOOP; END $$' ],
		'<', \undef, '>', \my $output);
	my $allowed = call_at_once('K', 4, 200);
	$allowed += call_at_once('K', 4, 200);
	is($allowed, 1000, 'a quota is exact while it is written');
	$flushes->finish;
}
is(limit('K', 'day', 'used'), 1000, 'and after');

# What is spent on two days, pending at the same time.
make_case();
run_event("do set_quota(K, 100, 'day')");
is(call_at_once('K', 1, 3), 3, 'three are used');
set_clock(($noon + 86400) * 1_000_000);
is(call_at_once('K', 1, 4), 4, 'and four on the next day');
is(limit('K', 'day', 'used'), 4, 'which has its own quota');
run_event('do flush_usage()');
is(limit('K', 'day', 'used'), 4, 'also when both are written');
set_clock($noon * 1_000_000);
is(limit('K', 'day', 'used'), 3, 'as is the day before');

# Written, pending and in flight; a restart, an end of the worker, a crash.
make_case();
run_event("do set_quota(K, 100, 'day')");
run_event("do set_rate_limit(K, 50, '1 hour')");
is(call_at_once('K', 1, 50), 50, 'fifty are used');
$monotonic += 3600 * 1_000_000;
set_clock($noon * 1_000_000);
is(call_at_once('K', 1, 40), 40, 'and forty');
run_event('do flush_usage()');
is(call_at_once('K', 1, 5), 5, 'and five that are not written');
$monotonic += 3600 * 1_000_000;
set_clock($noon * 1_000_000);
run_row('K', 'yes', 'ok', 'NULL', '–', '4', '43200', 'day');
run_event('do flush_usage()');
run_row('K', 'yes', 'ok', 'NULL', '–', '3', '43200', 'day');

# The batch is committed, and the worker is killed: the server starts again.
run_event('do flush_usage()');
my $worker = $node->safe_psql($database, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'apikeys worker'});
kill 'KILL', $worker;
sleep 1 while kill 0, $worker;
$node->poll_query_until($database, 'SELECT true');
run_row('K', 'yes', 'ok', 'NULL', '–', '2', '43200', 'day');

# A stop writes what is pending, if the worker is there.
$node->poll_query_until($database, q{SELECT true FROM pg_stat_activity WHERE backend_type = 'apikeys worker'});
with_clock(sub { $node->restart });
run_row('K', 'yes', 'ok', 'NULL', '–', '1', '43200', 'day');
is(limit('K', 'key', 'remaining'), 49, 'a bucket is full after a restart');
run_event('do flush_usage()');
run_row('K', 'yes', 'ok', 'NULL', '–', '0', '43200', 'day');
$node->stop('immediate');
with_clock(sub { $node->start });
run_row('K', 'yes', 'ok', 'NULL', '–', '0', '43200', 'day');
run_row('K', 'no', 'quota_exceeded', '43200', '43200', '0', '43200', 'day');

# A deleted key takes what is recorded with it.
$node->safe_psql($database, "SELECT apikeys.flush_usage(); SELECT apikeys.delete_key('case${case_number}_K'); SELECT apikeys.flush_usage()");
is($node->safe_psql($database, 'SELECT count(*) FROM apikeys.quota_usage AS u
	WHERE NOT EXISTS (SELECT FROM apikeys.key AS k WHERE k.limits_id = u.subject)
	AND NOT EXISTS (SELECT FROM apikeys.organization AS o WHERE o.id = u.subject)
	AND used > 90'), 0, 'nothing is left of a deleted key');

# A transaction that resets the limits of a key and stays open holds up no other key.
my $quotas = $node->safe_psql($database, q{
	SELECT apikeys.create_organization('Held') AS org \gset
	CREATE TABLE held AS SELECT n, k.* FROM generate_series(1, 2) AS n,
		LATERAL (SELECT * FROM apikeys.create_key(:'org', 'held ' || n, '{ORG_OWNER}')) AS k;
	SELECT count(apikeys.set_quota(public_key, 100, 'month')) FROM held;
	SELECT count(*) FROM held WHERE apikeys.authorize(public_key, private_key, NULL, 'clusters.read');
	SELECT apikeys.flush_usage()});
my $holder = $node->background_psql($database);
$holder->query_safe('BEGIN; SELECT apikeys.reset_limits(public_key) FROM held WHERE n = 1');
$node->safe_psql($database, q{
	SELECT count(*) FROM held WHERE apikeys.authorize(public_key, private_key, NULL, 'clusters.read');
	SELECT apikeys.flush_usage()});
is($node->safe_psql($database, q{SELECT string_agg(u.used::text, ',' ORDER BY h.n) FROM held AS h JOIN apikeys.key AS k USING (public_key)
	JOIN apikeys.quota_usage AS u ON u.subject = k.limits_id AND u.period = 'month'}), '2,2', 'the worker waits for no open reset');
$holder->query_safe('ROLLBACK');
$holder->quit;

# What is no more gives its room up at the commit.
make_case();
my $entries = status('limit_entries');

sub is_taken
{
	my ($count, $what) = @_;

	is(status('limit_entries') - $entries, $count, $what);
	return;
}

sub run_transaction
{
	$node->safe_psql($database, join(";\n", 'BEGIN', map({ /\(/ ? 'SELECT apikeys.' . expand($_) : $_ } @_)));
	return;
}

run_event("do set_rate_limit(K, 50, '1 day')");
run_event("do set_rate_limit(K, 50, '1 day', scope => 'clusters.*')");
run_event("do set_quota(K, 50, 'day')");
run_event("do set_organization_rate_limit(O, 50, '1 day', each_key => false)");
run_row('K', 'yes', 'ok', 'NULL', '–', '49', '43200', 'day');
is_taken(4, 'each limit of a key takes a row');
run_transaction('reset_limits(K)', 'ROLLBACK');
run_transaction('SAVEPOINT a', 'reset_limits(K)', 'SAVEPOINT b', 'reset_limits(K)', 'ROLLBACK TO a', 'COMMIT');
is_taken(4, 'after a rollback as before');
run_row('K', 'yes', 'ok', 'NULL', '–', '48', '43200', 'day');
run_transaction('SAVEPOINT a', "set_rate_limit(K, NULL, scope => 'clusters.*')", 'RELEASE a', 'COMMIT');
is_taken(3, 'a limit that is removed takes none');
run_transaction('reset_limits(K)', 'SAVEPOINT a', 'reset_limits(K2)', 'ROLLBACK TO a', 'COMMIT');
is_taken(1, 'nor what was spent before a reset');
run_event('do set_organization_rate_limit(O, NULL, each_key => false)');
is_taken(0, 'nor the limit of an organization that is removed');
run_row('K', 'yes', 'ok', 'NULL', '–', '49', '43200', 'day');
is_taken(2, 'a key is used again');
run_event('do delete_key(K)');
is_taken(0, 'and deleted');
run_event("do set_organization_rate_limit(P, 50, '1 day', each_key => false)");
run_row('P1', 'yes', 'ok', 'NULL', '–', '49', '1728', 'organization');
run_event('do delete_key(P1)');
is_taken(1, 'what was spent of the limit of an organization stays');
run_event('do delete_organization(P)');
is_taken(0, 'until it is deleted');

# Room for three of an organization, and for others.
$node->append_conf('postgresql.conf', 'apikeys.limit_max_entries = 5');
with_clock(sub { $node->restart });
make_case();
my $begin_full = $monotonic;
for my $key ('K', 'K2', 'K3', 'K4')
{
	run_event("do set_rate_limit($key, 1, '10 s')");
}
run_event("do set_rate_limit(P1, 1, '10 s')");
for my $key ('K', 'K2', 'K3')
{
	run_row($key, 'yes', 'ok', 'NULL', '–', '0', '10', 'key');
}
my $log_start = -s $node->logfile;
$monotonic = $begin_full + 1_000_000;
set_clock(($noon + 1) * 1_000_000);
run_row('3 × K4', 'yes', 'ok', 'NULL', '–', 'NULL', 'NULL', '–');
is(status('limit_entries, unlimited_count'), '3|3', 'status() tells of it');
like(status('advice'), qr/limit_max_entries/, 'and what to do');
my $log = substr(PostgreSQL::Test::Utils::slurp_file($node->logfile), $log_start);
is(scalar(() = $log =~ /no room to count what is spent/g), 1, 'and the log once');
run_row('K', 'no', 'rate_limited', '9', '9', '0', '9', 'key');
is( decode('UTF-8', $node->safe_psql($database, "SET apikeys.limit_overflow = 'deny'; " . decide('K4'))),
	'no | rate_limited | NULL | – | 0 | NULL | key', 'or it is denied');
run_row('P1', 'yes', 'ok', 'NULL', '–', '0', '10', 'key');
run_row('P1', 'no', 'rate_limited', '10', '10', '0', '10', 'key');
$monotonic = $begin_full + 10_000_000;
set_clock(($noon + 10) * 1_000_000);
run_row('K4', 'yes', 'ok', 'NULL', '–', '0', '10', 'key');
run_row('K4', 'no', 'rate_limited', '10', '10', '0', '10', 'key');

# A bucket that is full early gives its place up, also among those that take long.
$monotonic = $begin_full + 20_000_000;
set_clock(($noon + 20) * 1_000_000);
for my $key ('K', 'K2')
{
	run_event("do set_rate_limit($key, 1, '1000 days')");
	run_row($key, 'yes', 'ok', 'NULL', '–', '0', '86400000', 'key');
}
run_row('K3', 'yes', 'ok', 'NULL', '–', '0', '10', 'key');
$monotonic = $begin_full + 30_000_000;
set_clock(($noon + 30) * 1_000_000);
run_row('K4', 'yes', 'ok', 'NULL', '–', '0', '10', 'key');
run_row('K', 'no', 'rate_limited', '86399990', '86399990', '0', '86399990', 'key');

# A key with room for one of its limits and not for the other: that is named.
$monotonic = $begin_full + 50_000_000;
set_clock(($noon + 50) * 1_000_000);
run_event('do set_rate_limit(K3, NULL)');
run_event("do set_rate_limit(K3, 5, '1000 days', scope => 'clusters.*')");
run_row('K3', 'yes', 'ok', 'NULL', '–', '4', '17280000', 'clusters.*');
run_event("do set_rate_limit(K3, 10, '1000 days')");
is( decode('UTF-8', $node->safe_psql($database, "SET apikeys.limit_overflow = 'deny'; " . decide('K3'))),
	'no | rate_limited | NULL | – | 0 | NULL | key', 'where there is no room for one of two limits');
run_event("do set_rate_limit(K3, NULL, scope => 'clusters.*')");
run_row('K3', 'yes', 'ok', 'NULL', '–', '9', '8640000', 'key');
run_event("do set_rate_limit(K3, 5, '1000 days', scope => 'clusters.*')");
is( decode('UTF-8', $node->safe_psql($database, "SET apikeys.limit_overflow = 'deny'; " . decide('K3'))),
	'no | rate_limited | NULL | – | 0 | NULL | clusters.*', 'or for the other');
run_row('K3', 'yes', 'ok', 'NULL', '–', '8', '17280000', 'key');

# The keys of an organization do not take the room for its own limit.
$monotonic = $begin_full + 70_000_000;
set_clock(($noon + 70) * 1_000_000);
run_event("do set_organization_rate_limit(O, 1, '1000 days', each_key => false)");
run_row('K4', 'yes', 'ok', 'NULL', '–', '0', '86400000', 'organization');
run_row('K4', 'no', 'rate_limited', '86400000', '86400000', '0', '86400000', 'organization');

# Where nothing is written, quotas of periods that have ended give their places up.
make_case();
run_event("do set_quota($_, 2, 'hour')") for 'K', 'K2', 'K3';
$node->stop;
open my $signal, '>', $node->data_dir . '/standby.signal';
close $signal;
with_clock(sub { $node->start });
run_row($_, 'yes', 'ok', 'NULL', '–', '1', '3530', 'hour') for 'K', 'K2', 'K3';
set_clock(($noon + 3 * 3600) * 1_000_000);
run_row('2 × K', 'yes', 'ok', 'NULL', '–', '0', '3600', 'hour');
run_row('K', 'no', 'quota_exceeded', '3600', '3600', '0', '3600', 'hour');

$node->stop;
done_testing();
