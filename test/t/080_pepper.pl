# Peppers: read at start and on reload, rotated under load, lost and found; and
# the hashes that follow them in the background.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $folder = PostgreSQL::Test::Utils::tempdir();
my $file = "$folder/peppers";
my %hex = map { $_ => unpack('H*', pack('C*', map { int(rand(256)) } 1 .. 32)) } 1 .. 9;

# Writes lines to the file, which is readable by its owner.
sub write_file
{
	my ($path, @lines) = @_;

	open(my $handle, '>', "$path.new") or die "$path: $!";
	print $handle map { "$_\n" } @lines;
	close($handle);
	chmod(0600, "$path.new");
	rename("$path.new", $path) or die "$path: $!";
	return;
}

sub pepper { my ($id) = @_; return "p$id:$hex{$id}"; }

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '1h'
autovacuum = off
log_statement = none
apikeys.pepper_file = ''
});
$node->start;

sub query { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }

# Reloads, and waits until a new session knows; answers what the log says of it.
sub reload
{
	my $offset = -s $node->logfile;

	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT pg_conf_load_time() > now() - interval '1 minute'")
	  or die 'not reloaded';
	for (1 .. 1800)
	{
		last if slurp_file($node->logfile, $offset) =~ /reloading configuration files/;
		usleep(100_000);
	}
	# The next session is forked by a postmaster that has reloaded.
	query('SELECT 1');
	query('SELECT 1');
	return slurp_file($node->logfile, $offset);
}

sub use_file
{
	my ($path) = @_;

	$node->adjust_conf('postgresql.conf', 'apikeys.pepper_file', "'$path'");
	return reload();
}

query(q{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	CREATE TABLE public.issued (public_key text, private_key text);
	CREATE FUNCTION public.issue(n integer) RETURNS void LANGUAGE sql AS $$
		INSERT INTO public.issued SELECT k.public_key, k.private_key FROM generate_series(1, n) AS i CROSS JOIN LATERAL
			(SELECT i) AS dependent (i) CROSS JOIN LATERAL
			apikeys.create_key('10000000-0000-0000-0000-000000000000', 'key ' || dependent.i, '{ORG_READ_ONLY}') AS k $$;
});

# How many keys a decision gives which reason; each is used.
my $decide_all = q{SELECT string_agg(reason || ' ' || count, ', ' ORDER BY reason) FROM (
	SELECT d.reason, count(*) FROM public.issued AS i
		CROSS JOIN LATERAL apikeys.decide(i.public_key, i.private_key, NULL, 'clusters.read') AS d GROUP BY d.reason) AS r};
my $status = q{SELECT string_agg(concat_ws(' ', algorithm, pepper, state, secret_count), ', ' ORDER BY algorithm, pepper) FROM apikeys.rehash_status};

# --- Without, and with the first one --------------------------------------------
query('SELECT public.issue(10)');
is(query($status), 'blake2b 0 current 10', 'hashes without a pepper');
is(query('SELECT apikeys_internal.current_pepper() IS NULL, pepper_loaded FROM apikeys.status()'), 't|f', 'none is loaded');

write_file($file, '# peppers', '', pepper(1));
# A file that cannot be used is not the same as none, in sessions that are there and in new ones.
my ($one_key) = split /\|/, query('SELECT public_key FROM public.issued ORDER BY public_key DESC LIMIT 1');
my $unpeppered = query("SELECT apikeys.issue_token('20 hours', NULL, NULL, '$one_key')");
my $decide_token = "SELECT reason FROM apikeys.decide_token('$unpeppered', NULL::inet, 'clusters.read')";
is(query($decide_token), 'ok', 'a token without a pepper');
# What none of them does without a pepper that is wanted: its SQLSTATE and identifier.
query(q{CREATE FUNCTION public.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		identifier text;
	BEGIN
		EXECUTE statement;
		RETURN 'done';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
		RETURN SQLSTATE || ' ' || identifier;
	END $$});
my $refused_all = qq{SELECT string_agg(DISTINCT public.refused(s), ',') FROM unnest(ARRAY[
	'SELECT public.issue(1)', 'SELECT apikeys.rotate_secret(''$one_key'', ''1 hour'')',
	'SELECT apikeys.issue_token(''1 hour'', NULL, NULL, ''$one_key'')']) AS s};
my $early = $node->background_psql('postgres', on_error_stop => 1);
is($early->query_safe($decide_token), 'ok', 'also in a session that stays');
chmod(0644, $file);
like(use_file($file), qr/readable by the server's user alone/, 'a file that others can read');
foreach my $ask (\&query, sub { return $early->query_safe($_[0]); })
{
	is($ask->($refused_all), '55000 pepper_not_usable', 'then nothing is hashed or sealed');
	is($ask->($decide_token), 'token_invalid', 'nor is a token without a pepper taken');
	is($ask->($decide_all), 'ok 10', 'keys whose hashes need none pass');
	is($ask->($status), 'blake2b 0 retired 10', 'which are not those of new secrets');
}
chmod(0600, $file);
unlike(use_file($file), qr/invalid/, 'a file is taken without a word');
like($early->query_safe("SELECT public.refused('SELECT apikeys.issue_token(''1 hour'', NULL, NULL, ''$one_key'')')"), qr/^done$/, 'and all goes on');
$early->quit;
is(query('SELECT apikeys_internal.current_pepper(), pepper_loaded FROM apikeys.status()'), 'p1|t', 'the first pepper');
query('SELECT public.issue(2)');
is(query($status), 'blake2b 0 retired 10, blake2b p1 current 2', 'new secrets are peppered');
is(query('SELECT count(*) FROM apikeys.key_secret AS s, public.issued AS i WHERE i.public_key = s.public_key AND apikeys.verify(s.hash, i.public_key, i.private_key)'), '12', 'verify knows both');
is(query($decide_all), 'ok 12', 'all keys pass');
is(query($status), 'blake2b 0 retired 10, blake2b p1 current 2', 'a decision writes nothing');
query('SELECT apikeys.flush_usage()');
is(query($status), 'blake2b p1 current 12', 'the worker has written the new hashes');
is(query($decide_all), 'ok 12', 'all keys pass by them');
is(query(q{SELECT count(*) FROM apikeys.key_image AS i CROSS JOIN LATERAL unnest(i.secrets) AS h WHERE apikeys_internal.pepper(h) = 'p1'}), '12', 'images follow');

# --- Whatever becomes of the transaction -----------------------------------------
query(q{UPDATE apikeys.key_secret SET hash = ('sha256$$' || encode(sha256(i.private_key::bytea), 'hex'))::apikeys.secret_hash
	FROM public.issued AS i WHERE i.public_key = key_secret.public_key});
is(query($status), 'sha256 foreign 12', 'hashes of another system');
$node->safe_psql('postgres', "BEGIN; $decide_all; ROLLBACK; SELECT apikeys.flush_usage()");
is(query($status), 'blake2b p1 current 12', 'a rollback takes nothing back');
is(query($decide_all), 'ok 12', 'and the keys pass');
my ($key, $secret) = split /\|/, query('SELECT * FROM public.issued ORDER BY public_key LIMIT 1');
sub set_hash
{
	my ($hash) = @_;
	return query("UPDATE apikeys.key_secret SET hash = $hash WHERE public_key = '$key'");
}
my $decide_one = "SELECT reason FROM apikeys.decide('$key', '$secret', NULL, 'clusters.read')";
my $hash_of_one = "SELECT hash FROM apikeys.key_secret WHERE public_key = '$key'";
set_hash("('sha512\$\$' || encode(sha512('$secret'), 'hex'))::apikeys.secret_hash");
is(query($decide_one), 'ok', 'by sha512');
set_hash("('sha256\$\$' || encode(sha256('something else'), 'hex'))::apikeys.secret_hash");
my $changed = query($hash_of_one);
query('SELECT apikeys.flush_usage()');
is(query($hash_of_one), $changed, 'a row that holds another hash by now stays as it is');
is(query($decide_one), 'wrong_secret', 'and says no');
query('SELECT apikeys.flush_usage()');
is(query($hash_of_one), $changed, 'a secret that was not proved changes nothing');
query("SELECT apikeys.delete_key('$key')");
query("DELETE FROM public.issued WHERE public_key = '$key'");

# --- What is no pepper file --------------------------------------------------------
my %refused = (
	'open to all' => [ sub { write_file("$folder/bad", pepper(2)); chmod(0644, "$folder/bad"); }, qr/readable by the server's user alone/ ],
	'open to the group' => [ sub { write_file("$folder/bad", pepper(2)); chmod(0640, "$folder/bad"); }, qr/readable by the server's user alone/ ],
	'empty' => [ sub { write_file("$folder/bad"); }, qr/there is no pepper in the file/ ],
	'too short' => [ sub { write_file("$folder/bad", pepper(1), 'p2:' . substr($hex{2}, 2)); }, qr/Line 2 is not written id:64 hex digits/ ],
	'too long' => [ sub { write_file("$folder/bad", "p2:$hex{2}00"); }, qr/Line 1 is not written id:64 hex digits/ ],
	'no hex' => [ sub { write_file("$folder/bad", '', 'p2:' . ('xy' x 32)); }, qr/Line 2 is not written id:64 hex digits/ ],
	'no id' => [ sub { write_file("$folder/bad", $hex{2}); }, qr/Line 1 is not written id:64 hex digits/ ],
	'an id of blanks' => [ sub { write_file("$folder/bad", " :$hex{2}"); }, qr/Line 1 is not written id:64 hex digits/ ],
	'id 0' => [ sub { write_file("$folder/bad", "0:$hex{2}"); }, qr/Line 1 has the id that stands for no pepper/ ],
	'an id twice' => [ sub { write_file("$folder/bad", pepper(1), "p1:$hex{2}"); }, qr/Line 2 has an id that another line has/ ],
	'a pepper twice' => [ sub { write_file("$folder/bad", pepper(1), "p2:" . uc($hex{1})); }, qr/Line 2 has a pepper that another line has/ ],
	'too many' => [ sub { write_file("$folder/bad", map { sprintf('n%d:%064x', $_, $_) } 1 .. 65); }, qr/Line 65 is one too many/ ],
	'too large' => [ sub { write_file("$folder/bad", pepper(1), '#' x 20000); }, qr/more than 16384 bytes/ ],
	'missing' => [ sub { unlink("$folder/bad"); }, qr/could not be opened: No such file/ ],
	'a folder' => [ sub { mkdir("$folder/bad"); }, qr/It is no regular file/ ],
);
foreach my $what (sort keys %refused)
{
	my ($make, $message) = @{ $refused{$what} };

	$make->();
	like(use_file("$folder/bad"), $message, "$what: refused, and the log says why");
	is(query("SELECT current_setting('apikeys.pepper_file'), apikeys_internal.current_pepper()"), "$file|p1", "$what: the old peppers stay");
	rmdir("$folder/bad");
}
is(query($decide_all), 'ok 11', 'all keys pass');
# A parallel worker is not bothered.
$node->adjust_conf('postgresql.conf', 'apikeys.pepper_file', "'$file'");
reload();
write_file($file, 'nothing');
like(reload(), qr/Line 1 is not/, 'a file can turn bad');
is(query(q{SET force_parallel_mode = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SELECT count(*) FROM pg_class WHERE apikeys.verify('blake2b$p1$} . ('00' x 32) . q{', relname, 'x')}), '0', 'and parallel plans go on')
  if $node->pg_version < 16;
is(query(q{SET debug_parallel_query = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SELECT count(*) FROM pg_class WHERE apikeys.verify('blake2b$p1$} . ('00' x 32) . q{', relname, 'x')}), '0', 'and parallel plans go on')
  if $node->pg_version >= 16;
write_file($file, pepper(1));
reload();

# --- A pepper that is lost, and found -----------------------------------------------
write_file($file, pepper(2));
reload();
# A process that has processed the reload, and one that has not.
is(query($decide_all), 'pepper_missing 11', 'without its pepper no key passes');
is(query(q{SELECT count(*) FROM public.issued AS i WHERE apikeys.authorize(i.public_key, i.private_key, NULL, 'clusters.read')}), '0', 'nor by authorize');
is(query("SELECT reason FROM public.issued AS i CROSS JOIN LATERAL apikeys.decide(i.public_key, 'no secret', NULL, 'clusters.read') LIMIT 1"), 'pepper_missing', 'nobody can tell a wrong secret');
is(query($status), 'blake2b p1 missing 11', 'the operator can see');
is(query(q{SELECT sum((denials ->> 'pepper_missing')::integer) FROM apikeys.usage}), '23', 'it is counted');
my ($status_code, $out, $err) = $node->psql('postgres', "SELECT apikeys.authenticate(public_key, private_key, NULL) FROM public.issued LIMIT 1");
like($err, qr/API key is not valid/, 'the client learns nothing more');
unlike($err, qr/pepper/, 'and nothing of peppers');
write_file($file, 'no pepper');
is(query($decide_all), 'pepper_missing 11', 'nor does any where there is a bad file now');
# Another session finds it before it is told to.
my $session = $node->background_psql('postgres', on_error_stop => 1);
$session->query_safe('SELECT apikeys_internal.current_pepper()');
write_file($file, pepper(3), pepper(2), pepper(1));
is($session->query_safe($decide_all), 'ok 11', 'a session that has not reloaded reads the file');
is($session->query_safe('SELECT apikeys_internal.current_pepper()'), 'p2', 'but makes new hashes with the peppers of its last reload');
$session->quit;
reload();
query('SELECT apikeys.flush_usage()');
query($decide_all);
query('SELECT apikeys.flush_usage()');
is(query($status), 'blake2b p3 current 11', 'all hashes have arrived at the newest');

# --- A start with a bad file ----------------------------------------------------------
my $known_key = 'ak_pub_0123456789abcdef';
query(qq{SELECT apikeys.import_key(apikeys.organization('Acme'), name, hash::apikeys.secret_hash, 'imported', '{ORG_READ_ONLY}') FROM (VALUES
	('$known_key', 'blake2b\$0\$88e42cdbda5da6a58b39d7b6d795ce48b3a0d4e23f07ca4852f9786d02d8135a'),
	('by_sha256', 'sha256\$\$' || encode(sha256('correct horse'), 'hex')),
	('by_argon2id', '\$argon2id\$v=19\$m=8,t=1,p=1\$fijNEa5cAahgXlBek3znIA\$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c')) AS v (name, hash)});
my $imported = "public_key IN ('$known_key', 'by_sha256', 'by_argon2id')";
my $use_imported = "SELECT count(*) FROM apikeys.key WHERE $imported AND apikeys.authorize(public_key, 'correct horse', NULL, 'clusters.read')";
my $imported_forms = "SELECT string_agg(concat_ws(' ', apikeys_internal.algorithm(hash), apikeys_internal.pepper(hash)), ',' ORDER BY public_key) FROM apikeys.key_secret WHERE $imported";
write_file($file, 'p3:' . $hex{4});
chmod(0666, $file);
$node->restart;
is(query($decide_all), 'pepper_missing 11', 'a bad file does not keep the server from starting');
like(query('SELECT advice FROM apikeys.status()'), qr/^apikeys\.pepper_file could not be used/, 'and status() tells of it');
is(query($refused_all), '55000 pepper_not_usable', 'nothing is hashed or sealed');
is(query($decide_token), 'token_invalid', 'a token without a pepper is not taken');
is(query($use_imported), '3', 'keys whose hashes need no pepper pass');
query('SELECT apikeys.flush_usage()');
is(query($imported_forms), 'blake2b 0,argon2id,sha256', 'and none is hashed without a pepper');
write_file($file, pepper(3), pepper(2), pepper(1));
reload();
is(query($decide_all), 'ok 11', 'and a good one mends all');
is(query('SELECT advice IS NULL FROM apikeys.status()'), 't', 'and status() says so');
is(query($use_imported), '3', 'the others pass still');
query('SELECT apikeys.flush_usage()');
is(query($imported_forms), 'blake2b p3,blake2b p3,blake2b p3', 'and are hashed with it');
query("SELECT apikeys.delete_key(public_key) FROM apikeys.key WHERE $imported");

# --- Elsewhere ------------------------------------------------------------------------
my $dump = "$folder/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'a dump');
foreach my $case (
	[ 'with the right file', [ pepper(3), pepper(2) ], 'ok 11' ],
	[ 'with another file', [ pepper(7) ], 'pepper_missing 11' ],
	[ 'with none', undef, 'pepper_missing 11' ])
{
	my ($what, $lines, $expected) = @$case;
	(my $name = $what) =~ s/\W+/_/g;
	my $other = PostgreSQL::Test::Cluster->new($name);

	$other->init;
	$other->append_conf('postgresql.conf', "shared_preload_libraries = 'apikeys'\n");
	if ($lines)
	{
		write_file("$folder/$name", @$lines);
		$other->append_conf('postgresql.conf', "apikeys.pepper_file = '$folder/$name'\n");
	}
	$other->start;
	$other->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('postgres'), '-f', $dump ], "$what: restored");
	is($other->safe_psql('postgres', $decide_all), $expected, "$what: $expected");
	$other->stop;
}

# --- A standby ------------------------------------------------------------------------
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
write_file("$folder/standby", pepper(5), pepper(3), pepper(2));
$standby->adjust_conf('postgresql.conf', 'apikeys.pepper_file', "'$folder/standby'");
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $decide_all), 'ok 11', 'a standby has peppers of its own');
is($standby->safe_psql('postgres', 'SELECT apikeys_internal.current_pepper()'), 'p5', 'in its own order');
unlike(slurp_file($standby->logfile), qr/ERROR/, 'and writes nothing');
$standby->stop;

# --- Rotated under load -----------------------------------------------------------------
query('SELECT public.issue(500)');
my $keys = query('SELECT count(*) FROM public.issued');
my $script = "$folder/load.sql";
query('ALTER TABLE public.issued ADD n serial');
query('CREATE INDEX ON public.issued (n)');
append_to_file($script, q{\set n random(1, 500)
SELECT 1 / apikeys.authorize(public_key, private_key, NULL, 'clusters.read')::integer FROM public.issued WHERE n = :n;
});
$node->adjust_conf('postgresql.conf', 'apikeys.usage_flush_interval', "'20ms'");
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '4', '-j', '2', '-T', '6', '-f', $script, $node->connstr('postgres') ],
	'>', \my $load_out, '2>', \my $load_err);
# One that is at it all the time, in one statement, hears of no reload.
my $long = IPC::Run::start(
	[ 'psql', '-X', '-A', '-t', '-d', $node->connstr('postgres'), '-c', q{
		SELECT count(*) FILTER (WHERE NOT apikeys.authorize(i.public_key, i.private_key, NULL, 'clusters.read')), count(*) > 0
		FROM generate_series(1, 4000) AS n, public.issued AS i
		WHERE clock_timestamp() < now() + interval '4 s'} ],
	'>', \my $long_out, '2>', \my $long_err);
my @lines = (pepper(3), pepper(2));
foreach my $id (4 .. 9)
{
	unshift @lines, pepper($id);
	write_file($file, @lines);
	$node->reload;
	usleep(400_000);
}
$load->finish;
$long->finish;
is($load->result(0), 0, 'load went on') or diag($load_err);
unlike($load_err, qr/ERROR|aborted/, 'no request was denied');
like($load_out, qr/number of failed transactions: 0 /, 'none at all');
like($long_out, qr/^0\|t$/, 'nor one of a session that was busy') or diag($long_err);
query($decide_all);
query('SELECT apikeys.flush_usage()');
is(query($status), "blake2b p9 current " . query("SELECT count(*) FROM apikeys.key_secret"), 'all hashes have arrived at the last pepper')
  or diag(query($status));
is(query($decide_all), "ok $keys", 'and all keys pass');

# --- No hash is made with an old file --------------------------------------------------
# A procedure that runs since before a reload: it takes none.
query(q{
	CREATE TABLE public.go (n integer);
	CREATE TABLE public.told (what text, outcome text);
	CREATE PROCEDURE public.wait_and_use(key text, secret text) LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.told VALUES ('waits', '');
		LOOP
			COMMIT;
			EXIT WHEN EXISTS (SELECT FROM public.go);
			PERFORM pg_sleep(0.02);
		END LOOP;
		INSERT INTO public.told VALUES ('current', apikeys_internal.current_pepper());
		INSERT INTO public.told SELECT 'decide', d.reason FROM apikeys.decide(key, secret, NULL, 'clusters.read') AS d;
		INSERT INTO public.issued (public_key, private_key)
		SELECT n.public_key, n.private_key FROM apikeys.create_key('10000000-0000-0000-0000-000000000000', 'late', '{ORG_READ_ONLY}') AS n;
		INSERT INTO public.told VALUES ('then', apikeys_internal.current_pepper());
	END $$;
});
($key, $secret) = split /\|/, query('SELECT public_key, private_key FROM public.issued ORDER BY public_key LIMIT 1');
my $busy = IPC::Run::start(
	[ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', "CALL public.wait_and_use('$key', '$secret')" ],
	'>', \my $busy_out, '2>', \my $busy_err);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM public.told");
write_file($file, "p10:$hex{1}", pepper(9));
reload();
query($decide_all);
query('SELECT apikeys.flush_usage()');
is(query($status), "blake2b p10 current $keys", 'all hashes are renewed');
write_file($file, "p10:$hex{1}");
reload();
query('INSERT INTO public.go VALUES (1)');
$busy->finish;
is($busy_err, '', 'the procedure has ended well');
query('SELECT apikeys.flush_usage()');
$keys++;
is(query(q{SELECT string_agg(what || ' ' || outcome, ', ' ORDER BY what) FROM public.told}),
	'current p9, decide ok, then p10, waits ', 'it had the old pepper, and has looked into the file to make a hash');
is(query($status), "blake2b p10 current $keys", 'and has renewed no hash with it');
is(query($decide_all), "ok $keys", 'all keys pass');

# One statement that runs while the path is changed, and hashes with it.
query(q{
	CREATE TABLE public.moved (n integer);
	CREATE FUNCTION public.wait_and_decide(key text, secret text) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
	BEGIN
		WHILE NOT EXISTS (SELECT FROM public.moved) LOOP
			PERFORM pg_sleep(0.02);
		END LOOP;
		RETURN (SELECT d.reason FROM apikeys.decide(key, secret, NULL, 'clusters.read') AS d);
	END $$});
my $moving = IPC::Run::start(
	[ 'psql', '-X', '-A', '-t', '-d', $node->connstr('postgres'), '-c', "SELECT public.wait_and_decide('$key', '$secret')" ],
	'>', \my $moving_out, '2>', \my $moving_err);
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT public.wait_and_decide%' AND wait_event = 'PgSleep'});
write_file("$folder/moved", "p11:$hex{2}", "p10:$hex{1}");
use_file("$folder/moved");
query($decide_all);
query('SELECT apikeys.flush_usage()');
like(query("SELECT hash FROM apikeys.key_secret WHERE public_key = '$key'"), qr/p11/, 'a hash is renewed by the file of another path');
query('INSERT INTO public.moved VALUES (1)');
$moving->finish;
is($moving_out, "ok\n", 'a statement that runs since before finds it') or diag($moving_err);
write_file($file, "p10:$hex{1}", "p11:$hex{2}");
use_file($file);
query($decide_all);
query('SELECT apikeys.flush_usage()');

# One that finds there neither the file of before nor that of the last reload.
query('TRUNCATE public.go, public.told');
$busy = IPC::Run::start(
	[ 'psql', '-X', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', "CALL public.wait_and_use('$key', '$secret')" ],
	'>', \$busy_out, '2>', \$busy_err);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM public.told");
write_file($file, "p12:$hex{3}", "p10:$hex{1}");
reload();
write_file($file, "p13:$hex{4}", "p10:$hex{1}");
query('INSERT INTO public.go VALUES (1)');
$busy->finish;
like($busy_err, qr/55000.*CONSTRAINT NAME:  pepper_changed/s, 'makes no secret');
is(query($decide_all), "ok $keys", 'all keys pass');

# A queued hash whose pepper is removed.
$node->adjust_conf('postgresql.conf', 'apikeys.usage_flush_interval', "'1h'");
reload();
query('SELECT apikeys.flush_usage()');
set_hash("('sha256\$\$' || encode(sha256('$secret'), 'hex'))::apikeys.secret_hash");
is(query("SELECT reason FROM apikeys.decide('$key', '$secret', NULL, 'clusters.read')"), 'ok', 'a key of another system is used');
write_file($file, "p11:$hex{2}", "p12:$hex{3}", "p10:$hex{1}");
reload();
query('SELECT apikeys.flush_usage()');
like(query("SELECT hash FROM apikeys.key_secret WHERE public_key = '$key'"), qr/^sha256/, 'what was hashed with a pepper that went is not stored');
query($decide_all);
query('SELECT apikeys.flush_usage()');
is(query($status), "blake2b p11 current $keys", 'but with the next one');

# An extension that is rolled back leaves nothing in the way of others.
query('CREATE DATABASE short_lived');
$node->safe_psql('short_lived', q{
	BEGIN;
	CREATE EXTENSION apikeys;
	SELECT apikeys.create_organization('Acme', 'user:x') AS org \gset
	CREATE TEMPORARY TABLE source AS
		SELECT 'key' || n AS public_key, ('sha256$$' || encode(sha256(n::text::bytea), 'hex'))::apikeys.secret_hash AS hash,
			'imported' AS description, '{ORG_READ_ONLY}'::text[] AS roles FROM generate_series(1, 1100) AS n;
	SELECT apikeys.import_keys(:'org', 'source');
	SELECT count(*) FROM generate_series(1, 1100) AS n WHERE apikeys.authorize('key' || n, n::text, NULL, 'clusters.read');
	ROLLBACK});
set_hash("('sha256\$\$' || encode(sha256('$secret'), 'hex'))::apikeys.secret_hash");
query("SELECT reason FROM apikeys.decide('$key', '$secret', NULL, 'clusters.read')");
query('SELECT apikeys.flush_usage()');
is(query($status), "blake2b p11 current $keys", 'hashes are renewed all the same');

# A transaction that has changed a key and stays open holds up the hash of no other key.
query(q{SELECT apikeys.import_key(apikeys.organization('Acme'), 'held' || n, ('sha256$$' || encode(sha256('held'), 'hex'))::apikeys.secret_hash, 'held', '{ORG_READ_ONLY}') FROM generate_series(1, 3) AS n});
my $holder = $node->background_psql('postgres');
$holder->query_safe(q{BEGIN; SELECT apikeys.rotate_secret('held1', '1 hour'); SELECT apikeys.update_key('held2', 'changed')});
query(q{SELECT count(*) FROM generate_series(1, 3) AS n WHERE apikeys.authorize('held' || n, 'held', NULL, 'clusters.read')});
query('SELECT apikeys.flush_usage()');
is(query(q{SELECT string_agg(apikeys_internal.algorithm(s.hash), ',' ORDER BY s.public_key) FROM apikeys.key_secret AS s WHERE s.public_key LIKE 'held%'}),
	'sha256,sha256,blake2b', 'nor does the worker wait for it');
$holder->query_safe('ROLLBACK');
$holder->quit;
query(q{SELECT apikeys.delete_key('held' || n) FROM generate_series(1, 3) AS n});

# What else is made with a pepper, by one statement that runs all the time: the file changes
# after the last reload, it is removed, and none is set any more.
query("SELECT apikeys.enable_digest('$key', 'realm')");
query("SELECT apikeys.rotate_secret('$key')");
query(q{
	CREATE TABLE public.step (n integer);
	CREATE TABLE public.made (n integer, what text, outcome text);
	CREATE PROCEDURE public.make_at_steps(key text) LANGUAGE plpgsql AS $$
	DECLARE
		whats text[] = '{token,digest}';
		statements text[] = ARRAY['SELECT apikeys.issue_token(''1 hour'', public_key => $1)',
			'SELECT apikeys_internal.reseal_digest(s.digest, s.public_key, s.version, s.digest_realm) FROM apikeys.key_secret AS s WHERE s.public_key = $1 AND s.digest IS NOT NULL'];
		outcome text;
	BEGIN
		FOR i IN 1 .. 4 LOOP
			LOOP
				COMMIT;
				EXIT WHEN EXISTS (SELECT FROM public.step WHERE n = i);
				PERFORM pg_sleep(0.02);
			END LOOP;
			FOR j IN 1 .. 2 LOOP
				BEGIN
					EXECUTE statements[j] INTO STRICT outcome USING key;
					outcome := 'made';
				EXCEPTION WHEN object_not_in_prerequisite_state THEN
					GET STACKED DIAGNOSTICS outcome = CONSTRAINT_NAME;
				END;
				INSERT INTO public.made VALUES (i, whats[j], outcome);
			END LOOP;
		END LOOP;
	END $$});
my $maker = IPC::Run::start(
	[ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', "CALL public.make_at_steps('$key')" ],
	'>', \my $maker_out, '2>', \my $maker_err);
my %before = (
	2 => sub {
		write_file($file, "p14:$hex{5}", "p11:$hex{2}");
		reload();
		write_file($file, "p15:$hex{6}", "p11:$hex{2}");
	},
	3 => sub { unlink $file or die "$file: $!"; },
	4 => sub { use_file(''); });
foreach my $step (1 .. 4)
{
	$before{$step}->() if $before{$step};
	query("INSERT INTO public.step VALUES ($step)");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 2 FROM public.made WHERE n = $step"), "step $step is done");
}
$maker->finish;
is($maker_err, '', 'all steps are done');
is(query(q{SELECT string_agg(concat_ws(' ', n, what, outcome), ', ' ORDER BY n, what) FROM public.made}),
	'1 digest made, 1 token made, 2 digest pepper_changed, 2 token pepper_changed, 3 digest pepper_changed, 3 token pepper_changed, 4 digest pepper_changed, 4 token pepper_changed',
	'no token and no digest is made with a former pepper');

# --- Peppers are never shown ------------------------------------------------------------------
my $log = slurp_file($node->logfile);
foreach my $id (1 .. 9)
{
	unlike($log, qr/$hex{$id}/i, "pepper $id is not in the log");
}
unlike($log, qr/blake2b\$p|sha256\$\$/, 'nor is a hash');
$node->safe_psql('postgres', 'CREATE ROLE guest LOGIN');
($status_code, $out, $err) = $node->psql('postgres', 'SHOW apikeys.pepper_file', extra_params => [ '-U', 'guest' ]);
like($err, qr/must be superuser|permission denied/, 'not everybody sees where the file is');

done_testing();
