# Uses counted in shared memory: exactly, whatever happens to sessions, to the
# worker and to the server, and with nothing written by the counted session.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('usage');
$node->init;
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '1h'
wal_level = minimal
max_wal_senders = 0
autovacuum = off
});
$node->start;

# Where there can be no worker, a session that waits for one gets an error, after a while:
# meanwhile the rest goes on.
my $crowded = PostgreSQL::Test::Cluster->new('crowded');
$crowded->init;
$crowded->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'\nmax_worker_processes = 0");
$crowded->start;
$crowded->safe_psql('postgres', 'CREATE EXTENSION apikeys');
my $crowded_said = '';
my $waiting = IPC::Run::start(
	[
		'psql', '-X', '-d', $crowded->connstr('postgres'),
		'-c', 'SELECT apikeys.flush_usage()'
	],
	'<', \undef, '>&', \$crowded_said);

# Keys key1 to keyCOUNT, all with the same secret.
sub make_keys
{
	my ($database, $count) = @_;

	$node->safe_psql(
		$database, qq{
		CREATE EXTENSION apikeys;
		INSERT INTO apikeys.organization (id, name)
			VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
		INSERT INTO apikeys.key (public_key, organization_id, description)
			SELECT 'key' || n, '10000000-0000-0000-0000-000000000000', 'a key'
			FROM generate_series(1, $count) AS n;
		INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
			SELECT public_key, 1,
				('sha256\$\$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
			FROM apikeys.key;
		INSERT INTO apikeys.key_role (public_key, organization_id, role)
			SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key});
	return;
}

# The statement that uses a key so many times.
sub use_key
{
	my ($key, $times) = @_;

	return qq{SELECT count(*) FROM generate_series(1, $times)
		WHERE apikeys.authorize('$key', 'a secret', '192.0.2.1', 'clusters.read')};
}

sub query
{
	my ($statement, $database) = @_;
	return $node->safe_psql($database // 'postgres', $statement);
}

# psql's answer to a statement that may fail: what it said.
sub try_query
{
	my ($statement) = @_;
	my ($output, $error) = ('', '');

	$node->psql('postgres', $statement,
		stdout => \$output, stderr => \$error);
	return $error;
}

sub flush_usage
{
	my ($database) = @_;
	return query('SELECT apikeys.flush_usage()', $database);
}

# All uses that are written; also if the history does not say the same.
sub written
{
	my ($database) = @_;
	return query(
		q{SELECT concat_ws(', by the hour ', u.sum, nullif(h.sum, u.sum))
		  FROM (SELECT coalesce(sum(use_count), 0) AS sum FROM apikeys.key_usage) AS u,
			(SELECT coalesce(sum(count), 0) AS sum FROM apikeys.key_history AS h JOIN apikeys.key USING (public_key)
				WHERE h.reason = 'ok') AS h}, $database);
}

sub worker
{
	return query(
		q{SELECT pid FROM pg_stat_activity
		  WHERE backend_type = 'apikeys worker' AND datname = 'postgres'});
}

# Waits until the database has a worker that is not this one; something is pending.
sub wait_for_worker
{
	my ($old) = @_;
	return $node->poll_query_until('postgres',
		qq{SELECT count(*) = 1 FROM pg_stat_activity
		   WHERE backend_type = 'apikeys worker' AND datname = 'postgres' AND pid <> $old});
}

make_keys('postgres', 100);

# --- Nothing is written -------------------------------------------------------

# Rows that nobody has read since they were written get their hint bits when they
# are, which is WAL where pages have checksums, as they have by default from 18 on.
query(use_key('key1', 1));
flush_usage();
query('VACUUM (FREEZE)');
my $writes = q{
	SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)
	FROM pg_stat_user_tables WHERE schemaname = 'apikeys'};
# Both in one session, with nothing else running.
my ($before, $uses, $after) = split /\n/, query(
	qq{
	CHECKPOINT;
	SELECT pg_sleep(1) \\g /dev/null
	SELECT pg_stat_force_next_flush() \\g /dev/null
	SELECT ($writes) || ' ' || pg_current_wal_insert_lsn();
	@{[ use_key('key1', 100_000) ]};
	SELECT pg_stat_force_next_flush() \\g /dev/null
	SELECT ($writes) || ' ' || pg_current_wal_insert_lsn();});
is($uses, 100_000, '100,000 uses are allowed');
is($after, $before, 'and no tuple and no byte of WAL is written');
is(query(q{SELECT use_count, pending_entries FROM apikeys.usage WHERE public_key = 'key1'}),
	'100001|1', 'they are counted');
flush_usage();
is(written(), 100_001, 'and written by the flush');

# --- Many clients, with rollbacks ---------------------------------------------

my ($script, $other) = map { "$node->{_basedir}/$_.sql" } qw(use flush);
append_to_file(
	$script, q{
\set key random(1, 100)
\set end random(1, 3)
BEGIN;
SELECT apikeys.authorize('key' || :key, 'a secret', '192.0.2.1', 'clusters.read');
SAVEPOINT s;
SELECT apikeys.authorize('key' || :key, 'a secret', '192.0.2.2', 'clusters.read');
\if :end = 1
ROLLBACK;
\elif :end = 2
ROLLBACK TO s;
COMMIT;
\else
COMMIT;
\endif
});
append_to_file($other, "SELECT apikeys.flush_usage();\n");
query('TRUNCATE apikeys.key_usage, apikeys.key_history, apikeys.key_day');
$node->command_ok(
	[
		'pgbench', '-n', '-c', '5', '-t', '2000',
		'-f', "$script\@9", '-f', "$other\@1", 'postgres'
	],
	'five clients use keys and flush');
flush_usage();
my $transactions = query(
	q{SELECT sum(use_count) / 2, sum(use_count) % 2 FROM apikeys.key_usage});
my ($pairs, $rest) = split /\|/, $transactions;
is($rest, 0, 'of each two uses both are counted');
# Nine of ten transactions are uses: pgbench says how many of them.
query('TRUNCATE apikeys.key_usage, apikeys.key_history, apikeys.key_day');
$node->command_ok(
	[ 'pgbench', '-n', '-c', '4', '-t', '2500', '-f', $script, 'postgres' ],
	'four clients use keys');
flush_usage();
is(written(), 4 * 2500 * 2, 'their uses are all counted, rolled back or not');
is(query('SELECT sum(use_count), sum(pending_entries) FROM apikeys.usage'),
	'20000|0', 'the view agrees');

# --- A worker that is ended ---------------------------------------------------

my $worker = worker();
query(use_key('key1', 10));
query("SELECT pg_terminate_backend($worker)");
ok($node->poll_query_until('postgres', q{SELECT sum(use_count) = 20010 FROM apikeys.key_usage}),
	'a terminated worker writes before it ends');
query(use_key('key2', 1));
ok(wait_for_worker($worker), 'and comes back for the next use');
flush_usage();
is(written(), 20_011, 'which it writes');

# In the middle of a batch: the table is locked.
query(use_key('key1', 10));
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE apikeys.key_usage IN EXCLUSIVE MODE');
like(
	try_query('SELECT apikeys.flush_usage()'),
	qr/usage could not be written/,
	'a flush fails while somebody locks the table');
is(query(q{SELECT pending_entries FROM apikeys.status()}),
	1, 'what it held is pending');
like(query('SELECT advice FROM apikeys.status()'), qr/could not be written .* see the server's log/,
	'and status() says where to look');
$worker = worker();
query("SELECT pg_cancel_backend($worker)");
query("SELECT pg_terminate_backend($worker)");
ok(wait_for_worker($worker), 'the worker is ended meanwhile');
query(use_key('key1', 10));
$locker->query_safe('COMMIT');
$locker->quit;
flush_usage();
is(written(), 20_031, 'nothing is lost and nothing doubled');
is(query('SELECT advice FROM apikeys.status()'), '', 'and status() is content again');

# --- A server that is stopped, and one that is killed --------------------------

query(use_key('key2', 5));
$node->restart;
is(written(), 20_036, 'a clean shutdown writes what is pending');
query(use_key('key2', 5));
flush_usage();
query(use_key('key2', 7));
$node->stop('immediate');
$node->start;
is(written(), 20_041, 'a crash loses what was not written, and no more');
query(use_key('key2', 5));
flush_usage();
is(written(), 20_046, 'and counting continues');

# --- Databases -----------------------------------------------------------------

query('CREATE DATABASE other');
make_keys('other', 10);
query(use_key('key1', 3), 'other');
query(use_key('key1', 5));
flush_usage('other');
is(written('other'), 3, 'another database has its own counts');
is(query(q{SELECT pending_entries FROM apikeys.status()}),
	1, 'and its own worker');
query('ALTER DATABASE other RENAME TO another');
query(use_key('key1', 3), 'another');
flush_usage('another');
query('CREATE DATABASE copy TEMPLATE another');
is(written('copy'), 6, 'a database with a worker can be renamed and copied');

# Two databases have hashes to bring up to date.
my $old_hashes = q{SELECT string_agg(public_key, ' ' ORDER BY public_key) FROM apikeys.key_secret WHERE hash::text ~ '^sha256' AND public_key IN ('key8', 'key9')};
flush_usage($_) for 'another', 'copy';
query(use_key('key8', 1), $_) for 'another', 'copy';
flush_usage();
is(query($old_hashes, 'another'), 'key8 key9', 'hashes of others stay as they are');
flush_usage('another');
is(query($old_hashes, 'another') . ', ' . query($old_hashes, 'copy'),
	'key9, key8 key9', 'each database has its own');
flush_usage('copy');
is(query($old_hashes, 'copy'), 'key9', 'in any order');

query(q{SET allow_in_place_tablespaces = on; CREATE TABLESPACE elsewhere LOCATION ''});
query(use_key('key1', 3), 'another');
query('ALTER DATABASE another SET TABLESPACE elsewhere');
query(use_key('key1', 3), 'another');
flush_usage('another');
is(written('another'), 13, 'a database with a worker can be moved');

# What does not need the database for itself, or is not allowed.
query('CREATE ROLE maker LOGIN CREATEDB; CREATE ROLE guest LOGIN');
my $theirs = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'apikeys worker' AND datname = 'another'};
my $pid = query($theirs);
query('ALTER DATABASE another IS_TEMPLATE true');
foreach my $command ('DROP DATABASE another', 'ALTER DATABASE another SET TABLESPACE pg_default', 'CREATE DATABASE theirs TEMPLATE another')
{
	my ($status) = $node->psql('postgres', $command, extra_params => [ '-U', 'guest' ]);
	isnt($status, 0, "not by anybody: $command");
}
ok($pid, 'there is a worker');
is(query($theirs), $pid, 'none of that disturbs the worker');
my ($status, undef, $stderr) = $node->psql('postgres', 'CREATE DATABASE theirs TEMPLATE another', extra_params => [ '-U', 'maker' ]);
is($stderr, '', 'but copied by a role that may create databases');
query('DROP DATABASE theirs');
query('ALTER DATABASE another IS_TEMPLATE false');
query(use_key('key1', 3), 'another');
query('DROP DATABASE another');
query('DROP DATABASE copy');
query('DROP TABLESPACE elsewhere');
is(query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'apikeys worker'}),
	1, 'and dropped');
flush_usage();
is(written(), 20_051, 'while others go on counting');

$waiting->finish;
like($crowded_said, qr/no background worker is available to write usage.*max_worker_processes/s,
	'who waits for a worker that cannot be is told');
$crowded->stop;

# --- Keys and sessions -----------------------------------------------------------

# A transaction that has used a key, and one that deletes it.
my $user = $node->background_psql('postgres');
$user->query_safe('BEGIN; ' . use_key('key3', 1));
my $deleter = $node->background_psql('postgres');
$deleter->query_safe(
	q{BEGIN; SELECT apikeys.delete_key('key3');
	  SELECT FROM apikeys.key_usage FOR UPDATE});
is(query(q{SET lock_timeout = '1s'; } . use_key('key3', 1)),
	1, 'no session waits for a use or a deletion of the same key');
$deleter->query_safe('COMMIT');
$deleter->quit;
$user->query_safe('COMMIT');
$user->quit;
flush_usage();
is( query(
		q{SELECT count(*) FROM apikeys.key_usage AS u
		  WHERE NOT EXISTS (SELECT FROM apikeys.key AS k WHERE k.public_key = u.public_key)}),
	0,
	'what was recorded of a deleted key is gone');

# Keys that are deleted while they are used and their uses are written.
my $delete = "$node->{_basedir}/delete.sql";
append_to_file(
	$delete, q{
\set key random(10, 100)
SELECT apikeys.authorize('key' || :key, 'a secret', '192.0.2.1', 'clusters.read');
SELECT apikeys.authorize('key' || :key, 'wrong', '192.0.2.1', 'clusters.read');
DELETE FROM apikeys.key WHERE public_key = 'key' || :key;
});
$node->command_ok(
	[
		'pgbench', '-n', '-c', '4', '-t', '150', '-f', "$delete\@2",
		'-f', "$other\@1", 'postgres'
	],
	'keys are deleted, used and flushed at the same time');
flush_usage();
is( query(
		q{SELECT count(*) FROM
			(SELECT public_key FROM apikeys.key_usage UNION ALL SELECT public_key FROM apikeys.key_denial) AS u
		  WHERE NOT EXISTS (SELECT FROM apikeys.key AS k WHERE k.public_key = u.public_key)}),
	0,
	'nothing of them is left');

# --- The extension dropped and made again in one session ---------------------------

my $session = $node->background_psql('postgres');
$session->query_safe(use_key('key1', 3));
$session->query_safe('DROP EXTENSION apikeys CASCADE');
make_keys('postgres', 5);
is($session->query_safe(use_key('key2', 4)),
	4, 'the extension can be dropped and made again in a session');
$session->query_safe('SELECT apikeys.flush_usage()');
$session->quit;
is(query(q{SELECT use_count FROM apikeys.key_usage WHERE public_key = 'key2'}),
	4, 'and counts there');

# --- Settings ----------------------------------------------------------------------

my $counted = written();
query(q{ALTER SYSTEM SET apikeys.usage_flush_interval = '100ms'});
$node->reload;
query(use_key('key1', 1));
ok( $node->poll_query_until(
		'postgres',
		qq{SELECT sum(use_count) = $counted + 1 FROM apikeys.key_usage}),
	'the worker follows a change of the interval');
query(q{ALTER SYSTEM SET apikeys.usage_flush_interval = '1h'});
$node->reload;

# --- A batch that fails ----------------------------------------------------------------

# In the middle of a batch, a trigger of somebody else: what is not committed is
# written by a later one, and what is, is not written again.
query(q{
	SELECT apikeys.set_quota('key2', 100000, 'month'), apikeys.set_quota('key2', 200000, 'ever');
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''not now''; END'});
my $spent = q{SELECT string_agg(used::text, ' ' ORDER BY period) FROM (
	SELECT u.period, sum(u.used) AS used FROM apikeys.quota_usage AS u JOIN apikeys.key AS k ON k.limits_id = u.subject
	WHERE k.public_key = 'key2' GROUP BY u.period) AS s};
$counted = written();
my $added = 0;
foreach my $table ('key_usage', 'quota_usage')
{
	query("CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON apikeys.$table FOR EACH ROW EXECUTE FUNCTION refuse()");
	foreach my $times (10, 5)
	{
		query(use_key('key2', $times));
		like(try_query('SELECT apikeys.flush_usage()'), qr/usage could not be written/, "a flush fails in table $table");
		$added += $times;
	}
	is(query(q{SELECT use_count FROM apikeys.usage WHERE public_key = 'key2'}), 4 + $added, 'all uses are seen');
	query("DROP TRIGGER refuse ON apikeys.$table");
	flush_usage();
	is(written(), $counted + $added, 'none is lost and none doubled');
	is(query($spent), "$added $added", 'nor what was spent of quotas');
}

# --- More than fits in a batch ---------------------------------------------------------

query('CREATE DATABASE many');
make_keys('many', 12000);
query(q{SELECT count(*) FROM apikeys.key WHERE apikeys.authorize(public_key, 'a secret', '192.0.2.1', 'clusters.read')}, 'many');
flush_usage('many');
is(written('many'), 12000, 'many uses are written in several batches');
# Old hours are deleted for a second at each flush: here a statement takes longer.
query(q{
	INSERT INTO apikeys.key_history (public_key, hour, reason, organization_id, count, cost)
		SELECT public_key, '2020-01-01 00:00+00', 'ok', organization_id, 1, 1 FROM apikeys.key;
	CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.1); RETURN NULL; END';
	CREATE TRIGGER delay AFTER DELETE ON apikeys.key_history FOR EACH STATEMENT EXECUTE FUNCTION delay();
	SELECT apikeys.flush_usage()}, 'many');
my $old_hours = q{SELECT count(*) FROM apikeys.key_history WHERE hour < '2021-01-01'};
is(query($old_hours, 'many'), 2000, 'of many old hours some are deleted at a flush');
flush_usage('many');
is(query($old_hours, 'many'), 0, 'and the rest at the next');
query('DROP DATABASE many');

# --- The worker cannot look for the extension ----------------------------------------

my $log = -s $node->logfile;
$locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE pg_catalog.pg_extension IN ACCESS EXCLUSIVE MODE');
query(q{ALTER SYSTEM SET apikeys.usage_flush_interval = '100ms'});
$node->reload;
$counted = written();
query(use_key('key1', 500));
ok($node->wait_for_log(qr/canceling statement due to lock timeout/, $log),
	'somebody locks the catalog of extensions');
like(query('SELECT advice FROM apikeys_internal.usage_status()'), qr/could not look for the extension/,
	'which is what is to be told');
$locker->query_safe('ROLLBACK');
$locker->quit;
ok( $node->poll_query_until(
		'postgres',
		qq{SELECT sum(use_count) = $counted + 500 FROM apikeys.key_usage}),
	'what was counted is written after that, without another use');
query(q{ALTER SYSTEM SET apikeys.usage_flush_interval = '1h'});
$node->reload;

# --- A copied database -----------------------------------------------------------------

# A copy has the numbers of the original's batches in its tables, and counts on.
query('CREATE DATABASE original');
make_keys('original', 1);
sub use_and_flush
{
	my ($database) = @_;

	$node->safe_psql($database,
		q{SELECT apikeys.authorize('key1', 'a secret', '192.0.2.1', 'clusters.read'); SELECT apikeys.flush_usage()});
	return;
}
use_and_flush('original') for 1 .. 3;
query('CREATE DATABASE copied TEMPLATE original');
use_and_flush('copied') for 1 .. 4;
is( $node->safe_psql('copied',
		q{SELECT use_count FROM apikeys.key_usage WHERE public_key = 'key1'}),
	7, 'a copied database counts on');
is( $node->safe_psql('copied', q{SELECT lost_count FROM apikeys.status()}),
	0, 'and loses nothing');

# --- Rows that somebody holds ----------------------------------------------------------

# In more batches than a flush tries again: the next one goes on behind them.
query('CREATE DATABASE held');
make_keys('held', 16_000);
my $use_all = q{SELECT count(*) FROM apikeys.key WHERE apikeys.authorize(public_key, 'a secret', '192.0.2.1', 'clusters.read')};
query($use_all, 'held');
flush_usage('held');
$locker = $node->background_psql('held');
$locker->query_safe('BEGIN; SELECT count(*) FROM (SELECT FROM apikeys.key_usage ORDER BY md5(public_key) LIMIT 12 FOR UPDATE) AS u');
query($use_all, 'held');
$node->psql('held', 'SELECT apikeys.flush_usage()') for 1 .. 4;
my $unwritten = query('SELECT 32000 - sum(use_count) FROM apikeys.key_usage', 'held');
cmp_ok($unwritten, '<=', 12 * 700, 'a dozen rows that are held keep back no more than their batches');
is(query('SELECT pending_entries FROM apikeys.status()', 'held'), $unwritten, 'which are pending');
$locker->query_safe('COMMIT');
$locker->quit;
flush_usage('held');
is(query('SELECT sum(use_count) FROM apikeys.key_usage', 'held'), 32_000, 'until the rows are free');

# A row that a table refers to stays, and with it the flushes that would add it up fail;
# but all others count on.
query(q{
	UPDATE apikeys.key SET access_list = '{192.0.2.0/24}' WHERE public_key = 'key1';
	SELECT apikeys.authorize('key1', 'a secret', '192.0.2.1', 'clusters.read')}, 'held');
flush_usage('held');
query(q{
	CREATE TABLE keeper (public_key text COLLATE "C", network cidr, secret_version integer, number integer,
		FOREIGN KEY (public_key, network, secret_version) REFERENCES apikeys.key_usage (public_key, network, secret_version));
	INSERT INTO keeper SELECT public_key, network, secret_version FROM apikeys.key_usage WHERE network = '192.0.2.0/24';
	UPDATE apikeys.key SET access_list = '{192.0.0.0/16}' WHERE public_key = 'key1'}, 'held');
query($use_all, 'held');
like(($node->psql('held', 'SELECT apikeys.flush_usage()'))[2], qr{usage could not be written}, 'a flush tells of a row that is kept');
is(query('SELECT sum(use_count) FROM apikeys.key_usage', 'held'), 48_001, 'what others use is written');
query('DROP TABLE keeper', 'held');
flush_usage('held');
is(query(q{SELECT count(*), sum(use_count) FROM apikeys.key_usage WHERE public_key = 'key1'}, 'held'), '2|4', 'and added up when nobody keeps it');
query('DROP DATABASE held');

# --- A plan made before there was anything ----------------------------------------------

# A worker keeps the plans of its statements; here the tables were known to be empty.
query('CREATE DATABASE early');
make_keys('early', 3000);
query('VACUUM ANALYZE', 'early');
my $use_one = use_key('key1', 1);
query($use_one, 'early');
flush_usage('early');
query(q{SELECT count(*) FROM apikeys.key WHERE apikeys.authorize(public_key, 'a secret', '192.0.2.1', 'clusters.read')}, 'early');
flush_usage('early');
flush_usage('early');
# pg_stat_get_tuples_returned: of an index, the entries that were read.
my $entries_read = q{SELECT sum(pg_stat_get_tuples_returned(indexrelid)) FROM pg_index
	WHERE indrelid IN ('apikeys.key_usage'::regclass, 'apikeys.key_history'::regclass, 'apikeys.key_day'::regclass)};
my $read_before = query($entries_read, 'early');
query($use_one, 'early');
flush_usage('early');
my $read = query($entries_read, 'early') - $read_before;
cmp_ok($read, '>', 0, 'a flush reads what it adds to');
cmp_ok($read, '<', 100, 'and not all that was ever counted');
query('DROP DATABASE early');

# --- A full table ----------------------------------------------------------------------

$node->append_conf('postgresql.conf', 'apikeys.usage_max_entries = 1000');
$node->restart;
query('DROP EXTENSION apikeys CASCADE');
make_keys('postgres', 5000);
is( query(
		q{SELECT count(*) FROM apikeys.key
		  WHERE apikeys.authorize(public_key, 'a secret', '192.0.2.1', 'clusters.read')}),
	5000,
	'no use fails when there is no room to count it');
isnt(query('SELECT lost_count FROM apikeys.status()'),
	0, 'what was not counted is told');
like(query('SELECT advice FROM apikeys.status()'),
	qr/usage_max_entries/, 'with advice');
ok( $node->poll_query_until('postgres',
		'SELECT count(*) > 0 FROM apikeys.key_usage'),
	'the worker was woken to make room');
flush_usage();
is( query(
		q{SELECT sum(u.use_count) + (SELECT lost_count FROM apikeys.status()) FROM apikeys.key_usage AS u}),
	5000,
	'what is counted and what is lost are all there is');

$node->stop;
done_testing();
