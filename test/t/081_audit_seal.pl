# The audit log is sealed while many sessions write to it, and none waits; what
# is sealed stays intact through dumps, encodings and on a standby.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('audit');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '100ms'
max_prepared_transactions = 2
max_connections = 50
});
$node->start;
my $folder = PostgreSQL::Test::Utils::tempdir();

sub query
{
	my ($statement, $database) = @_;
	return $node->safe_psql($database // 'postgres', $statement);
}

# What verify_audit() says, but the time.
my $verify = 'SELECT intact, seals, events, sealed_to, last_seal, last_hash, problem FROM apikeys.verify_audit()';

sub wait_until_sealed
{
	my ($name) = @_;
	ok( $node->poll_query_until(
			'postgres', 'SELECT unsealed = 0 FROM apikeys.verify_audit()'),
		$name);
	return;
}

query(
	q{CREATE EXTENSION apikeys;
	SELECT apikeys.create_organization('Acme');
	SELECT apikeys.create_key(apikeys.organization('Acme'), 'Schlüssel "A"', '{ORG_READ_ONLY}');
	SELECT apikeys.create_key(apikeys.organization('Acme'), 'Other', '{ORG_READ_ONLY}');
	CREATE TABLE public.own AS SELECT min(public_key) AS first, max(public_key) AS last FROM apikeys.key});
my ($key, $other) = split /\|/, query('SELECT first, last FROM public.own');

# --- The worker ---------------------------------------------------------------

wait_until_sealed('the worker seals by itself');
is(query('SELECT intact, events > 0 FROM apikeys.verify_audit()'),
	't|t', 'and what it has sealed verifies');

# --- On disk ---------------------------------------------------------------------

# Somebody copies events as soon as they are committed; a crash takes none of them back.
query(q{ALTER SYSTEM SET wal_writer_delay = '10s'; SELECT pg_reload_conf()});
my ($written) = query(
	q{SET synchronous_commit = off;
	BEGIN; SELECT apikeys.rename_organization(apikeys.organization('Acme'), 'Acme 2') \g /dev/null
	SELECT pg_current_wal_insert_lsn(); COMMIT;
	SELECT pg_current_wal_flush_lsn()}) =~ /^(\S+\n\S+)$/;
my ($lsn, $flushed) = split /\n/, $written;
is(query("SELECT '$flushed'::pg_lsn >= '$lsn'::pg_lsn"), 't', 'what has events is on disk when it is committed, whatever the session says');
query(q{ALTER SYSTEM RESET wal_writer_delay; SELECT pg_reload_conf(), apikeys.rename_organization(apikeys.organization('Acme 2'), 'Acme')});

# --- Prepared transactions ------------------------------------------------------

query(
	qq{BEGIN; SELECT apikeys.disable_key('$key'); PREPARE TRANSACTION 'disabled'});
query("SELECT apikeys.disable_key('$other')");
query('SELECT apikeys.seal_audit()');
is(query('SELECT intact, unsealed FROM apikeys.verify_audit()'),
	't|1', 'what comes after an event of a prepared transaction waits');
query(q{COMMIT PREPARED 'disabled'});
wait_until_sealed('and is sealed once that is committed');
is( query(
		'SELECT intact, events = (SELECT count(*) FROM apikeys.audit_event) FROM apikeys.verify_audit()'
	),
	't|t',
	'with it');

# The worker does not wait for somebody who seals.
my $sealer = $node->background_psql('postgres');
$sealer->query_safe('BEGIN; SELECT apikeys.seal_audit()');
query(q{SELECT apikeys.create_organization('Sealed later')});
query('SELECT apikeys.flush_usage()');
is(query('SELECT max(id) > (SELECT max(last_event) FROM apikeys.audit_seal) FROM apikeys.audit_event'), 't',
	'while somebody seals the worker does not');
$sealer->query_safe('COMMIT');
$sealer->quit;
query('SELECT apikeys.flush_usage()');
wait_until_sealed('and does it after that');

# --- Sixteen writers ------------------------------------------------------------

my ($write, $seal) = map { "$folder/$_.sql" } qw(write seal);
append_to_file(
	$write, q{
\set end random(1, 4)
BEGIN;
SELECT apikeys.create_key(apikeys.organization('Acme'), 'a key', '{ORG_READ_ONLY}');
SAVEPOINT s;
SELECT apikeys.create_key(apikeys.organization('Acme'), 'a key', '{ORG_READ_ONLY}');
\if :end = 1
ROLLBACK;
\elif :end = 2
ROLLBACK TO s;
COMMIT;
\else
COMMIT;
\endif
});
# A session that verifies while others write and seal finds the audit intact, or fails.
append_to_file(
	$seal, q{
SELECT apikeys.seal_audit();
SELECT 1 / intact::integer FROM apikeys.verify_audit();
});

sub write_and_seal
{
	my ($name) = @_;

	# Long enough for a busy machine, and no wait for the transaction that is open.
	local $ENV{PGOPTIONS} = '-c lock_timeout=20s';
	$node->command_ok(
		[
			'pgbench', '-n', '-c', '18', '-j', '2', '-t', '20',
			'-f', "$write\@16", '-f', "$seal\@2", 'postgres'
		],
		$name);
	return;
}

write_and_seal('sixteen sessions write while two seal');
wait_until_sealed('all of it is sealed');
is( query(
		'SELECT intact, problem, events = (SELECT count(*) FROM apikeys.audit_event) FROM apikeys.verify_audit()'
	),
	't||t',
	'and intact');

# While a transaction is open that has written an event.
my $open = $node->background_psql('postgres');
$open->query_safe("BEGIN; SELECT apikeys.enable_key('$key')");
my $before = query('SELECT events FROM apikeys.verify_audit()');
write_and_seal('no session waits for one that has written an event and does not commit');
cmp_ok(query('SELECT unsealed FROM apikeys.verify_audit()'),
	'>', 100, 'what was written meanwhile is not sealed');
is(query('SELECT events FROM apikeys.verify_audit()'),
	$before, 'as the open event has a lower number');
# One that writes none blocks no session.
$open->query_safe(
	"COMMIT; BEGIN; UPDATE public.own SET first = first; SELECT count(*) FROM apikeys.key");
wait_until_sealed('all are sealed when the open one has committed');
is( query(
		'SELECT intact, problem, events = (SELECT count(*) FROM apikeys.audit_event) FROM apikeys.verify_audit()'
	),
	't||t',
	'and intact');
$open->query_safe('ROLLBACK');
$open->quit;

# Many events at once.
query(
	q{INSERT INTO apikeys.member (organization_id, principal, role)
	  SELECT apikeys.organization('Acme'), 'user:' || n, 'ORG_MEMBER' FROM generate_series(1, 25000) AS n});
wait_until_sealed('25,000 events of one transaction are sealed');
is(query('SELECT intact FROM apikeys.verify_audit()'), 't', 'and intact');
is(query('SELECT max(event_count) FROM apikeys.audit_seal'),
	10000, 'at most 10,000 by each seal');

# --- The hash, computed by others -------------------------------------------------

sub compute_hash
{
	my ($number) = @_;
	my $hex = query(
		qq{
		CREATE FUNCTION pg_temp.field(value bytea) RETURNS bytea LANGUAGE sql
			RETURN coalesce(int4send(octet_length(value)) || value, int4send(-1));
		SELECT encode(convert_to('apikeys audit seal 1', 'UTF8')
			|| coalesce(before.hash, decode(repeat('00', 32), 'hex')) || int8send(s.id)
			|| (SELECT string_agg(pg_temp.field(int8send(e.id)) || pg_temp.field(timestamptz_send(e.at))
				|| pg_temp.field(convert_to(e.principal, 'UTF8')) || pg_temp.field(convert_to(e.action, 'UTF8'))
				|| pg_temp.field(uuid_send(e.organization_id)) || pg_temp.field(uuid_send(e.project_id))
				|| pg_temp.field(convert_to(e.public_key, 'UTF8')) || pg_temp.field(inet_send(e.address))
				|| pg_temp.field(convert_to(e.detail::text, 'UTF8')) || pg_temp.field(convert_to(e.database_role, 'UTF8')),
				'' ORDER BY e.id)
				FROM apikeys.audit_event AS e
				WHERE e.id > coalesce(before.last_event, 0) AND e.id <= s.last_event)
			|| int8send(s.last_event) || int8send(s.event_count) || timestamptz_send(s.sealed_at), 'hex')
		FROM apikeys.audit_seal AS s LEFT JOIN apikeys.audit_seal AS before ON before.id = s.id - 1
		WHERE s.id = $number});
	my $file = "$folder/seal.$number";
	open my $handle, '>:raw', $file or die $!;
	print $handle pack 'H*', $hex;
	close $handle or die $!;
	my ($stdout, $stderr) = run_command([ 'b2sum', '--length=256', $file ]);
	return (split / /, $stdout)[0];
}

is( compute_hash($_),
	query("SELECT encode(hash, 'hex') FROM apikeys.audit_seal WHERE id = $_"),
	"the hash of seal $_ is what b2sum makes of the bytes documented")
  for 1, 2;

# --- Dumps --------------------------------------------------------------------------

# So that there is something of each kind.
query(
	q{SELECT apikeys.prune_audit(min(at)) FROM apikeys.audit_event AS e
	  WHERE e.id > (SELECT last_event FROM apikeys.audit_seal WHERE id = 2)});
query("SELECT apikeys.enable_key('$key')");
wait_until_sealed('the audit goes on after it was pruned');
my $original = query($verify);
like($original, qr/^t\|/, 'intact');
command_ok(
	[ 'pg_dump', '-f', "$folder/dump", '-d', $node->connstr('postgres') ],
	'dumped');
my @order = slurp_file("$folder/dump") =~ /^COPY apikeys\.(audit_\w+) /mg;
is("@order", 'audit_chain audit_event audit_seal',
	'nothing can be sealed in the middle of a restore');
query('CREATE DATABASE restored TEMPLATE template0');
query(q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
foreach my $database (qw(restored latin))
{
	$node->command_ok(
		[
			'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', "$folder/out",
			'-f', "$folder/dump", '-d', $database
		],
		"restored into database $database");
	is(query($verify, $database), $original, 'the chain is as it was');
	query("SELECT apikeys.disable_key('$key')", $database);
	ok( $node->poll_query_until(
			$database,
			'SELECT intact AND unsealed = 0 FROM apikeys.verify_audit()'),
		'and goes on');
}

# The names in a document are in another order in another encoding.
query(q{
	CREATE DATABASE from_latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
	CREATE DATABASE to_utf8 TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
$original = query(q{
	CREATE EXTENSION apikeys;
	SELECT apikeys.create_organization('Acme') \g /dev/null
	SELECT apikeys.set_organization_metadata(apikeys.organization('Acme'), jsonb_build_object(
		convert_from('\xe9', 'LATIN1'), 1, 'zz', jsonb_build_array('a', NULL, true, 1.50, jsonb_build_object(convert_from('\xe961', 'LATIN1'), '', 'abc', '"\\'), '{}'::jsonb, '[]'::jsonb))) \g /dev/null
	SELECT apikeys.seal_audit() \g /dev/null
	SELECT intact, last_hash FROM apikeys.verify_audit()}, 'from_latin');
like($original, qr/^t\|/, 'a document with names outside ASCII is sealed');
command_ok([ 'pg_dump', '-f', "$folder/latin", '-d', $node->connstr('from_latin') ], 'dumped');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', "$folder/out", '-f', "$folder/latin", '-d', 'to_utf8' ], 'restored');
is(query('SELECT intact, last_hash FROM apikeys.verify_audit()', 'to_utf8'), $original, 'with the same hash');
isnt(query('SELECT metadata::text FROM apikeys.organization', 'to_utf8'), query(q{SELECT convert_from(convert_to(metadata::text, 'UTF8'), 'UTF8') FROM apikeys.organization}, 'from_latin'),
	'though in another order');

# Text is hashed in UTF-8, also where its encoding lacks some bytes: no other text has the
# same hash.
query(q{CREATE DATABASE windows TEMPLATE template0 ENCODING 'WIN1252' LOCALE 'C'});
is( query(
		q{
	CREATE EXTENSION apikeys;
	SELECT apikeys.create_organization('Acme', 'user:' || convert_from('\xc164e16d', 'WIN1252')) \g /dev/null
	INSERT INTO apikeys.audit_event (principal, action, database_role, detail) VALUES ('user:a', 'a', 'a', E'{"\x81": 1}');
	SELECT apikeys.seal_audit() \g /dev/null
	SELECT intact FROM apikeys.verify_audit();
	UPDATE apikeys.audit_event SET detail = replace(detail::text, convert_from('\xc1', 'WIN1252'), convert_from('\xc381', 'WIN1252'))::jsonb,
		principal = replace(principal, convert_from('\xc1', 'WIN1252'), convert_from('\xc381', 'WIN1252'));
	SELECT intact FROM apikeys.verify_audit()}, 'windows'),
	"t\nf",
	'a text whose bytes are those that were hashed is another one');

# --- A standby ------------------------------------------------------------------------

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay',
	query('SELECT pg_current_wal_lsn()'));
is($standby->safe_psql('postgres', $verify),
	query($verify), 'a standby verifies the same');
my ($status, $stdout, $stderr) =
  $standby->psql('postgres', 'SELECT apikeys.seal_audit()');
like(
	$stderr,
	qr/cannot execute seal_audit\(\) during recovery/,
	'and seals nothing');
$standby->stop;

# --- A chain that is damaged -------------------------------------------------------------

query(
	q{CREATE TABLE public.kept AS SELECT * FROM apikeys.audit_seal ORDER BY id DESC LIMIT 1;
	DELETE FROM apikeys.audit_seal WHERE id = (SELECT id FROM public.kept)});
query("SELECT apikeys.disable_key('$key')");
query(
	q{SELECT apikeys.authorize(public_key, 'wrong', NULL, 'clusters.read') FROM apikeys.key LIMIT 1});
query('SELECT apikeys.flush_usage()') for 1 .. 3;
is(query('SELECT count(*) FROM apikeys.key_denial'),
	1, 'where nothing can be sealed usage is written');
my @told = slurp_file($node->logfile) =~ /ERROR:  audit seal chain is truncated/g;
is(scalar @told, 1, 'and the log reports it once');
like(query('SELECT advice FROM apikeys.status()'), qr/the audit could not be sealed .* see the server's log/,
	'and status() as long as it is so');
query('INSERT INTO apikeys.audit_seal SELECT * FROM public.kept');
wait_until_sealed('once the seal is back it goes on');
ok($node->poll_query_until('postgres', 'SELECT advice IS NULL FROM apikeys.status()'), 'and status() is content');

$node->stop;
done_testing();
