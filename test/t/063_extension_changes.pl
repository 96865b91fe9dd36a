# The extension created and dropped while keys are used: uses of the transaction
# that creates it are counted, and other sessions continue.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('changes');
$node->init;
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '100ms'
autovacuum = off
});
$node->start;

my $create = q{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		VALUES ('key1', '10000000-0000-0000-0000-000000000000', 'a key');
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, '' FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key;};
my $use = q{SELECT apikeys.authorize('key1', 'a secret', '192.0.2.1', 'clusters.read');};

sub query
{
	my ($statement) = @_;
	return $node->safe_psql('postgres', $statement);
}

# --- Uses of the transaction that creates it -----------------------------------------

my $creator = $node->background_psql('postgres', on_error_stop => 0);
my $offset = -s $node->logfile;
query(q{ALTER SYSTEM SET log_min_messages = 'debug1'});
$node->reload;
$creator->query("BEGIN; $create");
is($creator->query($use), 't', 'a key is used in the transaction that creates the extension');
$node->wait_for_log(qr/usage of database "postgres" waits for the transaction/, $offset);
pass('its worker waits');
$creator->query('COMMIT');
ok($node->poll_query_until('postgres', q{SELECT sum(use_count) = 1 FROM apikeys.key_usage}), 'the use is written after it');

query('DROP EXTENSION apikeys');
my $create_other = $create =~ s/10000000/20000000/gr;
$creator->query("BEGIN; $create_other");
$creator->query($use);
$creator->query('ROLLBACK');
query($create);
query($use);
query('SELECT apikeys.flush_usage()');
is(query('SELECT sum(use_count) FROM apikeys.key_usage'), 1, 'what was rolled back is not that of another organization');

# --- Dropped and created by another session --------------------------------------------

my $session = $node->background_psql('postgres', on_error_stop => 0);
my %calls = (
	'authorize' => [ $use, 't', qr/^t$/ ],
	'authenticate' => [ q{SELECT apikeys.authenticate('key1', 'a secret', '192.0.2.1')}, 'key1', qr/^key1$/ ],
	'disable_key' => [ q{SELECT apikeys.disable_key('key1') IS NOT NULL}, 't', undef ]);
foreach my $name (sort keys %calls)
{
	my ($call, $before, $meanwhile) = @{ $calls{$name} };

	is($session->query($call), $before, "$name: before");
	query("DROP EXTENSION apikeys; $create");
	is($session->query($call), $before, "$name: the extension was made again by another session");
	# The call waits for the one that drops it.  (PL/pgSQL itself fails where it
	# waits for a table whose row type it needs.)
	next if !$meanwhile;
	$creator->query("BEGIN; DROP EXTENSION apikeys; $create");
	$offset = -s $node->logfile;
	my $waiting = IPC::Run::start(
		[ 'psql', '-X', '-A', '-t', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', $call ],
		'>', \my $out, '2>', \my $error);
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend'});
	$creator->query('COMMIT');
	$waiting->finish;
	like($out, $meanwhile, "$name: a call that waits sees the new key");
	unlike($error, qr/XX000/, "$name: nor an internal error");
}
$session->quit;
$creator->quit;

# --- Rolled back, and created again before the worker looks ----------------------------

query(q{ALTER SYSTEM SET apikeys.usage_flush_interval = '1h'});
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('apikeys.usage_flush_interval') = '1h'});
query('SELECT apikeys.flush_usage()');
query('DROP EXTENSION apikeys');
query("BEGIN; $create_other $use ROLLBACK");
query($create);
query('SELECT apikeys.flush_usage()');
is(query('SELECT count(*) FROM apikeys.key_usage'), 0, 'a use is not written for a key of the next extension, of another organization');
query($use);
query('SELECT apikeys.flush_usage()');
is(query('SELECT sum(use_count) FROM apikeys.key_usage'), 1, 'whose own uses are');

# --- Dropped by the transaction that has deleted keys ------------------------------------

query("$use BEGIN; DELETE FROM apikeys.key; DROP EXTENSION apikeys; COMMIT");
query($create);
ok($node->poll_query_until('postgres', 'SELECT used_entries = 0 FROM (SELECT apikeys.flush_usage()) AS f, apikeys.status()'),
	'nothing is left in memory of keys that were deleted before');

# --- Dropped while the worker writes ------------------------------------------------------

my $holder = $node->background_psql('postgres');
my $dropper = $node->background_psql('postgres');
my $flusher = $node->background_psql('postgres', on_error_stop => 0);
$holder->query('BEGIN; LOCK TABLE apikeys.key_usage');
query($use);
$flusher->query_until(qr/begun/, "\\echo begun\nSELECT apikeys.flush_usage();\n");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND relation = 'apikeys.key_usage'::regclass});
$dropper->query_until(qr/begun/, "\\echo begun\nDROP EXTENSION apikeys;\n");
$node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_locks WHERE NOT granted});
is(query(q{SELECT count(*) FROM pg_locks WHERE NOT granted AND classid = 'pg_extension'::regclass}), 1,
	'it waits for the worker before it locks a table');
$holder->query('COMMIT');
$dropper->quit;
$flusher->quit;
$holder->quit;
query($create_other);

# --- A lock on the extension that anybody can take --------------------------------------

query('CREATE ROLE nobody_special LOGIN');
my $guest = $node->background_psql('postgres', extra_params => [ '-U', 'nobody_special' ]);
$guest->query(q{BEGIN; CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION pg_temp.f() DEPENDS ON EXTENSION apikeys});
query($use);
query('SELECT apikeys.flush_usage()');
is(query('SELECT sum(use_count) FROM apikeys.key_usage'), 1, 'the worker writes all the same');
$guest->quit;
query('DROP OWNED BY nobody_special; DROP ROLE nobody_special');

# --- What cannot be a key ---------------------------------------------------------------

is(query(q{
	CREATE TABLE long (t text);
	INSERT INTO long VALUES (repeat('x', 20000000));
	SELECT apikeys.authorize(t, 'a secret', '192.0.2.1', 'clusters.read'), apikeys.authorize('key1', t, '192.0.2.1', 'clusters.read') FROM long}),
	'f|f', 'long texts are no keys and no secrets');

$node->stop;
done_testing();
