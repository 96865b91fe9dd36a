# The pool of counters of all keys and databases: counters of details leave room
# for the counts of keys.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROOM = 4000;
my $DETAIL_ROOM = 2500;

my $node = PostgreSQL::Test::Cluster->new('pool');
$node->init;
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '1h'
apikeys.usage_max_entries = $ROOM
autovacuum = off
max_connections = 100
max_prepared_transactions = 2
});
$node->start;

sub query
{
	my ($statement, $database) = @_;
	return $node->safe_psql($database // 'postgres', $statement);
}

# Keys key0 to key(COUNT - 1), with the same secret.  The access lists of the first
# fifty have 4096 addresses, 10.0.0.0 to 10.0.15.255.
sub make_keys
{
	my ($database, $count) = @_;

	query(
		qq{
		CREATE EXTENSION apikeys;
		INSERT INTO apikeys.organization (id, name)
			VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
		INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
			SELECT 'key' || n, '10000000-0000-0000-0000-000000000000', 'a key',
				CASE WHEN n < 50 THEN a.list ELSE '{10.0.0.0/8}' END
			FROM generate_series(0, $count - 1) AS n,
				(SELECT array_agg(('10.0.' || i / 256 || '.' || i % 256)::cidr)::apikeys.access_list AS list
					FROM generate_series(0, 4095) AS i) AS a;
		INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
			SELECT public_key, 1,
				('sha256\$\$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
			FROM apikeys.key;
		INSERT INTO apikeys.key_role (public_key, organization_id, role)
			SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key}, $database);
	return;
}

# Uses a key once from each of a number of addresses; returns how many are allowed.
sub use_from
{
	my ($key, $count, $database) = @_;

	return query(
		qq{SELECT count(*) FROM generate_series(0, $count - 1) AS i
		   WHERE apikeys.authorize('$key', 'a secret', ('10.0.' || i / 256 || '.' || i % 256)::inet, 'clusters.read')},
		$database);
}

# One use of each key from FIRST to LAST.
sub use_keys
{
	my ($first, $last, $database) = @_;

	return query(
		qq{SELECT count(*) FROM generate_series($first, $last) AS n
		   WHERE apikeys.authorize('key' || n, 'a secret', '10.0.0.1', 'clusters.read')},
		$database);
}

sub status
{
	my ($columns, $database) = @_;
	return query("SELECT $columns FROM apikeys.status()", $database);
}

# Writes everything twice, which frees the counters.
sub flush_usage
{
	my ($database) = @_;
	query('SELECT apikeys.flush_usage(); SELECT apikeys.flush_usage(); SELECT apikeys.flush_usage()', $database);
	return;
}

# Blocks the worker until the session ends, so that the pool fills.
sub hold_back
{
	my $session = $node->background_psql(shift // 'postgres');

	$session->query_safe(
		'BEGIN; LOCK TABLE apikeys.key_usage IN EXCLUSIVE MODE');
	return $session;
}

sub release
{
	$_->query_safe('COMMIT'), $_->quit for @_;
	return;
}

my $by_entry =
  q{SELECT sum(use_count), max(use_count) FROM apikeys.access_list_entries WHERE public_key = };
my $written = 'SELECT sum(use_count) FROM apikeys.key_usage';
my $written_coarsely = "$written WHERE network IS NULL AND secret_version = 0";

make_keys('postgres', 6001);

# --- One key, many addresses ------------------------------------------------------

is(use_from('key0', 2000), 2000, 'a key is used from 2,000 addresses');
is(status('coarse_count, lost_count'), '0|0', 'each is counted');
flush_usage();
is(query("$by_entry 'key0'"), '2000|1', 'by its entry');
is(status('used_entries, pending_entries'),
	'0|0', 'the room is given back after they are written');

# --- Coarse before lost -----------------------------------------------------------

query(q{INSERT INTO apikeys.key_usage (public_key, use_count, last_used_at, secret_version) VALUES ('key6000', 7, now(), 1)});
my $holder = hold_back();
is(use_from('key1', 4000), 4000, 'a key is used from more addresses than there is room for');
is(status('used_entries, coarse_count, lost_count'),
	"$DETAIL_ROOM|1501|0",
	'detail takes five eighths of it, the rest is counted by the key');
is( query(
		q{SELECT use_count FROM apikeys.usage WHERE public_key = 'key1'}),
	4000,
	'the count of the key is exact');
is(query("$by_entry 'key1'"), '2499|1', 'those of its entries are incomplete');
like(status('advice'), qr/usage_max_entries/, 'status() says so');

# Denials of other keys are counted where uses are not in detail.
is(query(q{SELECT count(*) FROM generate_series(3000, 3249) AS n, apikeys.authorize('key' || n, 'wrong', '10.0.0.1', 'clusters.read') AS a WHERE NOT a}),
	250, 'then 250 wrong secrets are sent');
is(status('used_entries, coarse_count, lost_count'),
	($DETAIL_ROOM + 500) . '|1501|0', 'each denial is counted, with its key');

# Other keys; an organization leaves an eighth of the room to others.
my $OWN_ROOM = $ROOM * 7 / 8;
is(use_keys(100, 599), 500, 'then 500 other keys are used');
is(status('used_entries, coarse_count, lost_count'),
	"$OWN_ROOM|2001|0", 'each use is counted in the room that was left');
is(use_keys(100, 599), 500, 'and again');
is(status('used_entries, coarse_count, lost_count'),
	"$OWN_ROOM|2501|0", 'in the same');
is(use_keys(2000, 2009), 10, 'ten more keys are used');
is(status('used_entries, coarse_count, lost_count'),
	"$OWN_ROOM|2501|10", 'that is lost, the room being full');

query(q{SELECT apikeys.authorize('key1', 'wrong', '10.0.0.1', 'clusters.read')});
is(status('lost_count'), 11, 'so is a denial');

# Nor can it be noted that a key is being deleted: the worker looks for what is written
# of it, and the deletion waits for nobody who holds the table.
query(q{DELETE FROM apikeys.key WHERE public_key = 'key6000'});
release($holder);
flush_usage();
is(query(q{SELECT count(*) FROM apikeys.key_usage WHERE public_key = 'key6000'}), 0, 'nothing is left of a key that is deleted without a note');
is(query($written), 2000 + 4000 + 1000, 'all that was counted is written');
is(query($written_coarsely), 2501, 'as it was counted');
is( query(
		q{SELECT sum(use_count) FROM apikeys.usage WHERE public_key IN ('key1', 'key100', 'key599')}),
	4004,
	'and belongs to its keys');
is(use_keys(2000, 2009), 10, 'keys are used after that');
is(status('used_entries, coarse_count, lost_count'),
	'20|2501|11', 'and counted with all detail again');
flush_usage();

# --- Another database ---------------------------------------------------------------

query('CREATE DATABASE other');
make_keys('other', 600);
flush_usage('other');
$holder = hold_back();
use_from('key1', 4000);
is(use_keys(0, 499, 'other'), 500, 'another database has no room for detail');
is(status('coarse_count, lost_count', 'other'),
	'500|0', 'but counts its keys');
flush_usage('other');
is(query($written, 'other'), 500, 'and writes them');
release($holder);

# An organization that fills the pool leaves some room to those of other databases.
flush_usage($_) for 'postgres', 'other';
my $lost = status('lost_count');
my @holders = map { hold_back($_) } 'postgres', 'other';
is(use_keys(0, 5999), 6000, 'a database uses more keys than there is room for');
is(status("used_entries, lost_count - $lost"),
	'3500|3750', 'it takes seven eighths');
is(use_keys(0, 299, 'other'), 300, 'another database uses keys after that');
is(status('used_entries, lost_count', 'other'),
	'3800|0', 'and loses none of its uses');
release(@holders);

# So does an organization, also to those of the same database, who never found room.
query(q{
	INSERT INTO apikeys.organization (id, name) VALUES ('20000000-0000-0000-0000-000000000000', 'Few');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'few' || n, '20000000-0000-0000-0000-000000000000', 'a key' FROM generate_series(1, 20) AS n;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
		FROM apikeys.key WHERE public_key LIKE 'few%';
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key WHERE public_key LIKE 'few%'});
flush_usage($_) for 'postgres', 'other';
$node->restart;
@holders = map { hold_back($_) } 'postgres', 'other';
is(use_keys(0, 5999), 6000, 'an organization uses many keys');
is(status("used_entries, lost_count"), '3500|3750', 'it takes seven eighths');
is(use_keys(0, 599, 'other'), 600, 'and so does another one what is left');
my $taken = status('used_entries');
cmp_ok($taken, '<', 4000, 'but not all');
is(query(q{SELECT count(*) FROM apikeys.key WHERE public_key LIKE 'few%' AND apikeys.authorize(public_key, 'a secret', '10.0.0.1', 'clusters.read')}),
	20, 'a third one uses few');
is(status("used_entries - $taken, lost_count"), '20|3750', 'and loses none of its uses');
release(@holders);
query(q{DELETE FROM apikeys.key WHERE public_key LIKE 'few%'; DELETE FROM apikeys.deleted_key});

# What uncommitted keys have used waits for their commit, unless counters are needed:
# then it is lost, which is told.
sub use_uncommitted
{
	my ($name, $count) = @_;

	return query(qq{
		BEGIN;
		INSERT INTO apikeys.key (public_key, organization_id, description)
			SELECT '$name' || n, '20000000-0000-0000-0000-000000000000', 'a key' FROM generate_series(1, $count) AS n;
		INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
			SELECT '$name' || n, 1, ('sha256\$\$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, '' FROM generate_series(1, $count) AS n;
		INSERT INTO apikeys.key_role (public_key, organization_id, role)
			SELECT '$name' || n, '20000000-0000-0000-0000-000000000000', 'ORG_READ_ONLY' FROM generate_series(1, $count) AS n;
		SELECT count(*) FROM generate_series(1, $count) AS n WHERE apikeys.authorize('$name' || n, 'a secret', '10.0.0.1', 'clusters.read');
		PREPARE TRANSACTION '$name'});
}
flush_usage($_) for 'postgres', 'other';
$lost = status('lost_count');
is(use_uncommitted('few', 20), 20, 'keys are used before they are committed');
flush_usage();
is(query(q{COMMIT PREPARED 'few'; SELECT sum(use_count) FROM apikeys.usage WHERE public_key LIKE 'few%'}), 20, 'which is kept');
flush_usage();
is(use_uncommitted('many', 1500), 1500, 'and many keys');
flush_usage();
cmp_ok(status('lost_count') - $lost, '>', 1000, 'which is not');
query(q{COMMIT PREPARED 'many'});
flush_usage();
is(query(qq{SELECT coalesce(sum(use_count), 0) + (SELECT lost_count - $lost FROM apikeys.status()) FROM apikeys.key_usage WHERE public_key LIKE 'many%'}),
	1500, 'and told');
query(q{DELETE FROM apikeys.key WHERE public_key ~ '^(few|many)'; DELETE FROM apikeys.organization WHERE name = 'Few'});
flush_usage();
is(query(q{SELECT count(*) FROM apikeys.key_usage WHERE public_key ~ '^(few|many)'}), 0, 'they are deleted');

# The pool is shared: if one database fills it, the worker of the other is woken.
flush_usage($_) for 'postgres', 'other';
my $of_other = query($written, 'other');
use_keys(0, 499, 'other');
is(status('pending_entries', 'other'), 500, 'half of the room is not exceeded');
use_from('key2', 2500);
ok( $node->poll_query_until('other',
		'SELECT pending_entries = 0 FROM apikeys.status()'),
	'a database that fills the room has the workers of others write');
is(query("SELECT ($written) - $of_other", 'other'), 500, 'all they have');

# --- Many clients ----------------------------------------------------------------------

flush_usage($_) for 'postgres', 'other';
$node->restart;
query('TRUNCATE apikeys.key_usage');
my $script = "$node->{_basedir}/use.sql";
append_to_file(
	$script, q{
\set i :i + 1
\set pair :client_id * 3125 + :i
\set key :pair / 4096
\set third :pair % 4096 / 256
\set fourth :pair % 256
SELECT apikeys.authorize('key' || :key, 'a secret', ('10.0.' || :third || '.' || :fourth)::inet, 'clusters.read');
});
$node->command_ok(
	[
		'pgbench', '-n', '-c', '64', '-j', '2', '-t', '3125', '-D', 'i=-1',
		'-f', $script, 'postgres'
	],
	'64 clients use 200,000 pairs of a key and an address');
flush_usage();
is(query("SELECT ($written) + lost_count FROM apikeys.status()"),
	200_000, 'what is counted and what is lost are all there is');
is(status('lost_count'), 0, 'and nothing is lost');
is( query("SELECT coalesce(($written_coarsely), 0) = coarse_count FROM apikeys.status()"),
	't',
	'what was counted coarsely is told');
is( query(
		'SELECT count(*), min(n), max(n) FROM (SELECT sum(use_count) AS n FROM apikeys.key_usage GROUP BY public_key) AS k'),
	'49|3392|4096',
	'each key has its uses');
is(status('used_entries'), 0, 'all room is given back');

# --- After a crash -----------------------------------------------------------------------

# Uses of deleted keys and of one that exists, written and then removed.
query(q{
	SELECT apikeys.authorize('key' || n, 'wrong', '10.0.0.1', 'clusters.read') FROM generate_series(1, 3) AS n});
flush_usage();
$holder = hold_back();
query(q{DELETE FROM apikeys.key WHERE public_key IN ('key1', 'key2')});
$holder->quit;
$node->stop('immediate');
$node->start;
my $left = q{
	SELECT (SELECT count(DISTINCT public_key) FROM apikeys.key_usage WHERE public_key IN ('key1', 'key2')),
		(SELECT count(*) FROM apikeys.key_denial)};
is(query($left), '2|253', 'a crash forgets which keys were deleted');
use_keys(5, 5);
flush_usage();
is(query($left), '0|251', 'what is recorded of them is deleted all the same');
is(query(q{SELECT sum(use_count) FROM apikeys.key_usage WHERE public_key = 'key3'}),
	4096, 'and nothing else');

# --- An entry that is removed and added again ---------------------------------------------

# A transaction that changes a list does not block the worker, and uses counted
# meanwhile belong to the removed entry.
my $entry = q{
	SELECT use_count, last_used_at IS NULL FROM apikeys.access_list_entries
	WHERE public_key = 'key9' AND network = '10.0.0.1'};
query('TRUNCATE apikeys.key_usage');
use_from('key9', 3);
flush_usage();
my $changer = $node->background_psql('postgres');
$changer->query_safe(
	q{BEGIN; SELECT apikeys.remove_from_access_list('key9', '10.0.0.1')});
use_from('key9', 3);
flush_usage();
is(query($entry), '2|f', 'uses are written while the entry is being removed');
$changer->query_safe('COMMIT');
$changer->quit;
query(q{SELECT apikeys.add_to_access_list('key9', '10.0.0.1'::inet)});
is(query($entry), '0|t', 'added again it begins at zero');
use_from('key9', 3);
is(query($entry), '1|f', 'and counts');
flush_usage();
is(query($entry), '1|f', 'also when that is written');
is(query($written), 9, 'no use of the key is forgotten');
is(query("$written WHERE secret_version < 0"), '', 'nor is a mark left');

# Many entries, removed while their uses are being written: of a batch that failed nobody
# knows whether it came.
query('TRUNCATE apikeys.key_usage');
is(use_from('key11', 30), 30, 'a key is used by thirty entries');
$holder = hold_back();
isnt($node->psql('postgres', 'SELECT apikeys.flush_usage()'), 0, 'which cannot be written now');
$holder->query_safe(q{SELECT apikeys.update_key('key11', access_list => '{10.0.0.0}')});
release($holder);
flush_usage();
query(q{SELECT apikeys.update_key('key11', access_list => (SELECT array_agg(('10.0.0.' || n)::cidr)::apikeys.access_list FROM generate_series(0, 29) AS n))});
is(query(q{SELECT count(*), sum(use_count) FROM apikeys.access_list_entries WHERE public_key = 'key11'}), '30|1',
	'added again they begin at zero');
is(query($written), 30, 'but the key has all its uses');

# --- Many who look ------------------------------------------------------------------

# Who looks at what is counted of one key, over and over, keeps neither the worker waiting
# nor keys that are used for the first time.
query('TRUNCATE apikeys.key_usage');
is(use_from('key10', 2000), 2000, 'a key is used by 2000 entries');
my $look = "$node->{_basedir}/look.sql";
append_to_file($look,
	q{DO $$ BEGIN FOR i IN 1..100 LOOP PERFORM last_used_at FROM apikeys.keys WHERE public_key = 'key10'; END LOOP; END $$;});
my $lookers = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '16', '-j', '2', '-T', '60', '-f', $look, $node->connstr('postgres') . ' application_name=look' ],
	'>', \my $looked, '2>', \my $look_errors);
my $looking = q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'look'};
ok($node->poll_query_until('postgres', "SELECT ($looking) = 16"), 'sixteen sessions look at it');
is(use_keys(100, 599), 500, 'other keys are used for the first time');
query('SELECT apikeys.flush_usage()');
is(query($looking), 16, 'and written, while they look on');
is(query($written), 2500, 'as all uses are');
$lookers->signal('TERM');
$lookers->finish;
flush_usage();

# --- Many deletions -----------------------------------------------------------------

use_keys(3000, 4499);
flush_usage();
query(q{BEGIN; DELETE FROM apikeys.key WHERE substr(public_key, 4)::integer BETWEEN 3000 AND 5999;
	PREPARE TRANSACTION 'deletion'});
is(status('used_entries'), $ROOM / 4, 'keys that are being deleted take a quarter of the room');
is(use_from('key10', 1000), 1000, 'another key is used');
is(status('used_entries'), $ROOM / 4 + 1001, 'by its entries');
flush_usage();
is(status('used_entries'), $ROOM / 4, 'the room is kept while the deletion has not ended');
is(use_keys(3000, 4499), 1500, 'the keys are used meanwhile');
flush_usage();
is( query(q{SELECT sum(use_count) FROM apikeys.key_usage WHERE substr(public_key, 4)::integer BETWEEN 3000 AND 4499}),
	3000, 'and that is written, also of those that found no room: the deletion holds none of their rows');
query(q{ROLLBACK PREPARED 'deletion'});
query('SELECT apikeys.flush_usage()');
is(status('used_entries'), 0, 'and given back after it');
is( query(q{SELECT sum(use_count) FROM apikeys.usage WHERE substr(public_key, 4)::integer BETWEEN 3000 AND 4499}),
	3000, 'after a rollback nothing is forgotten');

query(q{ALTER SYSTEM SET apikeys.usage_flush_interval = '100ms'; SELECT pg_reload_conf()});
query(q{BEGIN; DELETE FROM apikeys.key WHERE substr(public_key, 4)::integer BETWEEN 3000 AND 4499;
	PREPARE TRANSACTION 'deletion'});
sleep 3;
query(q{COMMIT PREPARED 'deletion'});
ok($node->poll_query_until('postgres', 'SELECT used_entries = 0 FROM apikeys.status()'),
	'the worker waits for the end of a deletion');
ok( $node->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM apikeys.key_usage WHERE substr(public_key, 4)::integer BETWEEN 3000 AND 4499}),
	'what is written of deleted keys is removed, also of those that found no room');

# Plans that were made while tables were small read no table once for each row of another.
query('CREATE DATABASE stale');
make_keys('stale', 5000);
query(q{SELECT apikeys.set_quota('key0', 9, 'day')}, 'stale');
use_keys(0, 0, 'stale');
query('SELECT apikeys.flush_usage()', 'stale');
query('VACUUM ANALYZE apikeys.quota_usage, apikeys.key', 'stale');
my $delete = q{DELETE FROM apikeys.key WHERE substr(public_key, 4)::integer BETWEEN %d AND %d};
query(sprintf($delete, 1000, 2499), 'stale');
flush_usage('stale');
query(q{SELECT count(apikeys.set_quota(public_key, 9, 'day')) FROM apikeys.key WHERE length(public_key) = 6}, 'stale');
query('BEGIN; ' . sprintf($delete, 2500, 3999) . q{; PREPARE TRANSACTION 'deletion'}, 'stale');
is(use_keys(100, 999, 'stale'), 900, 'keys with quotas are used');
query('SELECT apikeys.flush_usage()', 'stale');
query(q{COMMIT PREPARED 'deletion'}, 'stale');
my $read = q{SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relid = 'apikeys.key'::regclass};
my $stop_worker = q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'apikeys worker' AND datname = 'stale'};
my $read_before = query($read, 'stale');
flush_usage('stale');
query($stop_worker, 'stale');
cmp_ok(query($read, 'stale') - $read_before, '<', 60_000, 'a sweep reads each row a few times');
query('DROP DATABASE stale');

# Secrets likewise.
use_keys(4500, 5999);
flush_usage();
query(q{BEGIN; DELETE FROM apikeys.key_secret WHERE substr(public_key, 4)::integer BETWEEN 4500 AND 5999;
	PREPARE TRANSACTION 'deletion'});
use_keys(4500, 5999);
flush_usage();
my $of_secrets = q{
	SELECT sum(use_count), count(*) FILTER (WHERE secret_version > 0) > 0
	FROM apikeys.key_usage WHERE substr(public_key, 4)::integer BETWEEN 4500 AND 5999};
is(query($of_secrets), '3000|t', 'keys whose secrets are being deleted are counted');
query(q{COMMIT PREPARED 'deletion'});
ok($node->poll_query_until('postgres', $of_secrets, '3000|f'),
	'their uses are those of no secret in the end');
query(q{ALTER SYSTEM SET apikeys.usage_flush_interval = '1h'; SELECT pg_reload_conf()});

# --- A row that somebody holds ------------------------------------------------------

use_keys(50, 1549);
flush_usage();
my $before = query($written);
$holder = $node->background_psql('postgres');
$holder->query_safe(q{BEGIN; SELECT FROM apikeys.key_usage WHERE public_key = 'key60' FOR UPDATE});
is(use_keys(50, 1549), 1500, 'keys are used while a row of one of them is held');
$node->psql('postgres', 'SELECT apikeys.flush_usage()', stderr => \my $said);
like($said, qr/usage could not be written/, 'not all of that can be written');
cmp_ok(query("SELECT ($written) - $before"), '>', 1000, 'but that of others');
release($holder);
flush_usage();
is(query("SELECT ($written) - $before"), 1500, 'each use is written once in the end');

# --- A count that cannot grow ---------------------------------------------------------------

use_keys(50, 51);
flush_usage();
query(q{UPDATE apikeys.key_usage SET use_count = 9223372036854775807 WHERE public_key IN ('key50', 'key51')});
my $log = -s $node->logfile;
is(use_keys(50, 51), 2, 'keys are used that were used as often as can be counted');
flush_usage();
is( query(
		q{SELECT use_count FROM apikeys.usage WHERE public_key IN ('key50', 'key51')}),
	"9223372036854775807\n9223372036854775807",
	'their counts stay');
my @said = slurp_file($node->logfile, $log) =~ /has reached its maximum/g;
is(scalar @said, 1, 'the log says so once');

# --- Denials of many keys -----------------------------------------------------------

$holder = hold_back();
$lost = status('lost_count');
query(q{SELECT count(apikeys.authorize('key' || n, 'wrong', '10.0.0.1', 'clusters.read')) FROM generate_series(50, 1999) AS n});
cmp_ok(status('lost_count'), '>', $lost, 'denials of many keys do not find room');
$lost = status('lost_count');
is(use_keys(2000, 2499), 500, 'then other keys are used');
is(status('lost_count'), $lost, 'and each use is counted');
release($holder);
flush_usage();

# --- What is written leaves the memory ------------------------------------------------------

# Also where nothing is counted any more, so that others have the room.
query(q{ALTER SYSTEM SET apikeys.usage_flush_interval = '100ms'; SELECT pg_reload_conf();
	SELECT apikeys.set_quota('key50', 1000000, 'month')});
is(use_keys(50, 1549), 1500, 'many keys are used, of which one has a quota');
ok($node->poll_query_until('postgres', q{SELECT used_entries = 0 AND limit_entries = 0 AND NOT worker_alive FROM apikeys.status()}),
	'when all is written, nothing is in memory any more, and the worker leaves');
is(query('SELECT used FROM apikeys.quota_usage'), '1', 'what was used of the quota is written');

$node->stop;
done_testing();
