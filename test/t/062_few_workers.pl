# Many databases and few background workers: databases are served in turn, also
# those without further uses.  A worker without data to write exits.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# PostgreSQL's logical replication launcher and the apikeys launcher take two slots.
my $node = PostgreSQL::Test::Cluster->new('few');
$node->init;
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '2s'
max_worker_processes = 6
autovacuum = off
});
$node->start;

sub query
{
	my ($statement, $database) = @_;
	return $node->safe_psql($database // 'postgres', $statement);
}

my $use = q{SELECT apikeys.authorize('key1', 'a secret', '192.0.2.1', 'clusters.read')};
my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'apikeys worker'};
my @databases = map { "database$_" } 1 .. 100;

query('CREATE DATABASE original');
query(q{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		VALUES ('key1', '10000000-0000-0000-0000-000000000000', 'a key');
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, '' FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key}, 'original');

# --- One use in each, and silence ------------------------------------------------

sub waits_until
{
	my ($database, $condition, $what) = @_;

	ok($node->poll_query_until($database, "SELECT $condition"), "$database: $what");
	return;
}
my $is_sealed = q{(SELECT max(id) FROM apikeys.audit_event) = (SELECT max(last_event) FROM apikeys.audit_seal)};

query("CREATE DATABASE $_ TEMPLATE original") foreach @databases;
my $begin = time;
query($use, $_) foreach @databases;
cmp_ok(query($workers), '<=', 4, 'there are four places');
foreach my $database (@databases)
{
	waits_until($database, q{sum(use_count) = 1 FROM apikeys.key_usage}, 'its use is written');
	waits_until($database, $is_sealed, 'its audit is sealed');
}
cmp_ok(time - $begin, '<', 60, 'all within a minute');

# --- Nothing to do -------------------------------------------------------------------

query(q{ALTER SYSTEM SET apikeys.usage_flush_interval = '100ms'});
$node->reload;
ok($node->poll_query_until('postgres', "SELECT ($workers) = 0"), 'workers leave when nothing is pending');
is(query('SELECT advice IS NULL, worker_alive FROM apikeys.status()', 'original'), 't|f', 'and nothing is wrong with that');
query($use, $databases[0]);
waits_until($databases[0], q{sum(use_count) >= 2 FROM apikeys.key_usage}, 'the next use has its worker');

# An event of a transaction that stays open longer than a worker runs.
my $session = $node->background_psql($databases[1]);
$session->query_safe(q{BEGIN; SELECT apikeys.create_organization('Later')});
select(undef, undef, undef, 2);
$session->query_safe('COMMIT');
$session->quit;
waits_until($databases[1], $is_sealed,
	'an event that comes late is sealed');
ok($node->poll_query_until('postgres', "SELECT ($workers) = 0"), 'and workers leave again');

# --- The launcher ends --------------------------------------------------------------------

query(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'apikeys launcher'});
query($use, $databases[2]);
waits_until($databases[2], q{sum(use_count) >= 2 FROM apikeys.key_usage}, 'a launcher that was ended comes back');

# --- Databases that come and go --------------------------------------------------------------

query($use, $_) foreach @databases;
query("DROP DATABASE $_") foreach @databases[10 .. 19];
query("CREATE DATABASE copy TEMPLATE $databases[3]");
query("ALTER DATABASE $databases[3] RENAME TO other");
is(query($use, 'other'), 't', 'databases are dropped, copied and renamed');

# --- No place at all -----------------------------------------------------------------------

$node->append_conf('postgresql.conf', "max_worker_processes = 2");
$node->restart;
query($use, $_) foreach @databases[0 .. 2];
waits_until($databases[0], q{advice LIKE 'no background worker is available, and the usage of 3 databases waits: raise max_worker_processes' FROM apikeys.status()},
	'advice tells which setting');
$node->append_conf('postgresql.conf', "max_worker_processes = 0");
$node->restart;
is(query('SELECT advice FROM apikeys.status()', $databases[0]),
	'the apikeys launcher does not run, so nothing is written: raise max_worker_processes', 'also where not even the launcher has a place');

$node->stop;
done_testing();
