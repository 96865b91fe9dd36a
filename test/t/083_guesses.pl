# Wrong secrets of keys with imported argon2id hashes are slowed: with other
# limits, on a standby, by many clients and from many networks.
use strict;
use warnings;
use File::Basename;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Of "correct horse", as cheap as can be.
my $hash =
  '$argon2id$v=19$m=8,t=1,p=1$fijNEa5cAahgXlBek3znIA$Du6w9E9WQg6ME6gEbWvkGMTMIRAPqAMcqYc3vE6Im9c';

# Of nobody knows what, and long to compute.
my $costly =
  '$argon2id$v=19$m=8192,t=20,p=1$c29tZXNhbHRzb21lc2FsdA$ytVMPN+W6Q0ghC4Lnzo+LflOJIaWB6M7gwiI5I4iGFY';
my $processors = qx(getconf _NPROCESSORS_ONLN) + 0;
my $clients = $processors + 1;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
max_connections = @{[$clients + 20]}
apikeys.usage_flush_interval = '1h'
apikeys.wrong_secret_limit = 1
});
$primary->start;
$primary->safe_psql(
	'postgres', qq{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name)
		VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'key' || n, '10000000-0000-0000-0000-000000000000', 'a key'
		FROM generate_series(1, 9) AS n;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, '$hash', '' FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key;
	CREATE FUNCTION guess(key text, networks text, times integer) RETURNS bigint
	BEGIN ATOMIC
		SELECT count(*) FROM generate_series(1, times) AS n
		WHERE (apikeys.decide(key, 'wrong ' || n, format(networks, n)::inet, 'clusters.read')).reason
			= 'wrong_secret';
	END;
});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub reason
{
	my ($node, $key, $address) = @_;

	return $node->safe_psql('postgres',
		qq{SELECT reason FROM apikeys.decide('$key', 'correct horse', '$address'::inet, 'clusters.read')}
	);
}

sub slowed
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		'SELECT slowed_count FROM apikeys.status()');
}

# So many wrong secrets, each from the network with its number; how many were
# slowed.  All must be answered wrong_secret.
sub guess
{
	my ($node, $key, $networks, $times) = @_;
	my $before = slowed($node);
	my $answered =
	  $node->safe_psql('postgres', "SELECT guess('$key', '$networks', $times)");

	return $answered == $times ? slowed($node) - $before : "$answered wrong";
}

sub set_limit
{
	my ($node, $limit) = @_;

	$node->append_conf('postgresql.conf',
		"apikeys.wrong_secret_limit = $limit");
	$node->reload;
	$node->poll_query_until('postgres', 'SHOW apikeys.wrong_secret_limit',
		$limit)
	  or die 'the setting is not read';
	return;
}

my ($here, $there) = ('198.51.100.7', '203.0.113.9');

# --- One a minute ------------------------------------------------------------
is(guess($primary, 'key1', $here, 1), 0, 'the first guess is compared');
is(guess($primary, 'key1', $here, 10), 10, 'the others are not');
is(reason($primary, 'key1', $here),
	'wrong_secret', 'whatever is sent, as long as no secret was proved');
is(reason($primary, 'key2', $here), 'ok', 'other keys pass from there');
is(reason($primary, 'key1', $there), 'ok', 'and the key from elsewhere');
is(reason($primary, 'key1', $here), 'ok', 'from then on from anywhere');
is(guess($primary, 'key1', $here, 500), 500, 'guesses are slowed still');
is(reason($primary, 'key1', $here), 'ok', 'and the right secret is not');
is($primary->safe_psql('postgres',
	"SELECT denials FROM apikeys.usage WHERE public_key = 'key1'"),
	'{"wrong_secret": 512}', 'all are counted as denials');

# --- On a standby, where no hash is replaced ---------------------------------
is(reason($standby, 'key1', $here), 'ok', 'a standby counts for itself');
is(guess($standby, 'key1', $here, 1), 0, 'a right secret there does not count');
is(guess($standby, 'key1', $here, 500), 500, 'wrong ones are slowed');
is(reason($standby, 'key1', $here), 'ok', 'and the right one is not');
is(reason($standby, 'key1', $there), 'ok', 'from elsewhere neither');

# --- Replaced by a cheap hash, which wants a pepper --------------------------
sub algorithm
{
	$primary->safe_psql('postgres', 'SELECT apikeys.flush_usage()');
	return $primary->safe_psql('postgres',
		"SELECT apikeys_internal.algorithm(hash) FROM apikeys.key_secret WHERE public_key = 'key1'"
	);
}

is(algorithm(), 'argon2id',
	'without a pepper a hash that takes long is not replaced by one that does not'
);
my $peppers = PostgreSQL::Test::Utils::tempdir() . '/peppers';
append_to_file($peppers, 'p1:' . '5a' x 32 . "\n");
chmod(0600, $peppers);
$primary->append_conf('postgresql.conf', "apikeys.pepper_file = '$peppers'");
$primary->reload;
$primary->poll_query_until('postgres',
	'SELECT pepper_loaded FROM apikeys.status()')
  or die 'the peppers are not read';
is(reason($primary, 'key1', $here), 'ok', 'the right secret, with a pepper');
is(algorithm(), 'blake2b', 'the hash is replaced');
is(guess($primary, 'key1', $here, 500), 0, 'then nothing has to be slowed');
is(reason($primary, 'key1', $here), 'ok', 'and the right secret passes');

# --- All keys of an organization ---------------------------------------------
is(guess($primary, 'key8', '2001:db8:%s::1', 100),
	97, 'of many networks as many are compared as an organization has');
is(guess($primary, "key9", $there, 5), 5, 'also of another key');
is(reason($primary, 'key1', $there), 'ok', 'a secret that was proved passes');

# --- More keys than there is room for ----------------------------------------
# One each of many organizations.
$primary->restart;
$primary->safe_psql(
	'postgres', qq{
	INSERT INTO apikeys.organization (id, name)
		SELECT md5(n::text)::uuid, 'Crowd ' || n FROM generate_series(1, 9999) AS n;
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT c.name || n, md5(n::text)::uuid, 'a key'
		FROM generate_series(1, 9999) AS n, (VALUES ('crowd', 9999), ('costly', 500)) AS c (name, count)
		WHERE n <= c.count;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, CASE WHEN public_key LIKE 'costly%' THEN '$costly' ELSE '$hash' END::apikeys.secret_hash, ''
		FROM apikeys.key WHERE public_key NOT LIKE 'key%';
	CREATE SEQUENCE next_key CYCLE MAXVALUE 500;
	CREATE FUNCTION guess_crowd(address inet) RETURNS bigint
	BEGIN ATOMIC
		SELECT count(*) FROM generate_series(1, 9999) AS n
		WHERE (apikeys.decide('crowd' || n, 'wrong', address, 'clusters.read')).reason = 'wrong_secret';
	END;
});
is(guess($primary, 'key3', $here, 5), 4, 'a network is slowed');
is($primary->safe_psql('postgres', "SELECT guess_crowd('192.0.2.$_')"),
	9999, 'thousands of keys are guessed once')
  for 1 .. 3;
is(slowed($primary), 4, 'and none is slowed');
is(guess($primary, 'key3', $here, 5), 5, 'they do not free the first one');
is(guess($primary, 'key4', $there, 2), 0,
	'and who finds no room is not slowed');
is(reason($primary, 'key3', $there), 'ok', 'nor kept out');
is(reason($primary, 'key3', $here), 'ok', 'nor the one that is slowed');

# --- Forgotten by a restart, and off -----------------------------------------
$primary->restart;
is(slowed($primary), 0, 'a restart counts from zero');
is(guess($primary, 'key5', $here, 5), 4, 'and slows again');
set_limit($primary, 0);
is(guess($primary, 'key5', $here, 500), 0, 'off, nothing is slowed');
is(reason($primary, 'key5', $here), 'ok', 'and the right secret passes');

# --- By many clients at once -------------------------------------------------
set_limit($primary, 100);
$primary->restart;
my $started = time;
my $before = slowed($primary);
$primary->pgbench(
	'-n -c 8 -t 250', 0,
	[qr{processed: 2000/2000}], [qr{^$}],
	'many clients guess',
	{ 'guess' => "SELECT guess('key6', '$here', 1);" });
my $compared = 2000 - (slowed($primary) - $before);
my $most = 101 + (time - $started) * 100 / 60;
ok($compared >= 100 && $compared <= $most,
	"of guesses at once so many are compared ($compared) as may be ($most)");
is(reason($primary, 'key7', $here), 'ok', 'others are not slowed');

# --- On all processors at once -----------------------------------------------
# Each guess is of another key and organization.  How many are slowed.
sub guess_at_once
{
	my ($name) = @_;
	my $slowed = slowed($primary);

	$primary->pgbench(
		"-n -c $clients -t 3", 0, [qr{processed: @{[3 * $clients]}/}],
		[qr{^$}], $name,
		{ $name => "SELECT guess('costly' || nextval('next_key'), '$there', 1);" });
	return slowed($primary) - $slowed;
}

set_limit($primary, 10000);
$primary->restart;
is(guess_at_once('few'), 0, 'as long as few guess, all are compared');
set_limit($primary, 1);
$primary->restart;
cmp_ok(guess_at_once('many'), '>', 0,
	'then some processors are left for others');
is(guess($primary, "costly@{[500 - $_]}", $there, 1),
	0, 'one after the other is compared')
  for 1 .. 5;

# --- Right secrets without end ------------------------------------------------
# An organization with more hashes than are free: once it has had these computed, it has one
# at a time computed, also of right secrets, and what was proved is known all the same.
my $folder = dirname(__FILE__);
open(my $hashes, '<', "$folder/argon2id.txt") or die $!;
my $rows = join(",", map { "('" . ($_ =~ s/\n//r) . "')" } grep { !/^#/ } <$hashes>);
close($hashes);
$primary->safe_psql(
	'postgres', qq{
	CREATE TABLE right_hash AS
		SELECT row_number() OVER () AS n, h.hash FROM (VALUES $rows) AS h (hash);
	INSERT INTO apikeys.organization (id, name)
		VALUES ('20000000-0000-0000-0000-000000000000', 'Idle'),
			('30000000-0000-0000-0000-000000000000', 'Busy');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT lower(o.name) || h.n, o.id, 'a key'
		FROM right_hash AS h, apikeys.organization AS o WHERE o.name IN ('Idle', 'Busy');
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT o.name || h.n, 1, h.hash::apikeys.secret_hash, ''
		FROM right_hash AS h, (VALUES ('idle'), ('busy')) AS o (name);
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key
		WHERE public_key ~ '^(idle|busy)';
	CREATE SEQUENCE next_idle START 331;
	CREATE SEQUENCE next_busy START 331;
	CREATE FUNCTION prove(key text) RETURNS text
	BEGIN ATOMIC
		SELECT reason FROM apikeys.decide(key, 'correct horse', '$there'::inet, 'clusters.read');
	END;
});

# Each of the hashes that take long, by two clients at once; how many are slowed.
sub prove_at_once
{
	my ($name) = @_;
	my $slowed = slowed($primary);

	$primary->pgbench('-n -c 2 -t 6', 0, [qr{processed: 12/12}], [qr{^$}],
		$name, { $name => "SELECT prove('$name' || nextval('next_$name'));" });
	return slowed($primary) - $slowed;
}

sub prove_all
{
	my ($name, $first, $last) = @_;

	return $primary->safe_psql('postgres',
		"SELECT string_agg(DISTINCT prove('$name' || n), ' ') FROM generate_series($first, $last) AS n"
	);
}

set_limit($primary, 2);
$primary->restart;
is(prove_at_once('idle'), 0, 'a few right secrets are proved at once');
is(prove_all('busy', 1, 330), 'ok', 'and many one after the other');
cmp_ok(prove_at_once('busy'), '>', 0, 'then one at a time');
is(prove_all('busy', 1, 342), 'ok', 'none is kept out for good');
is(prove_all('idle', 1, 12), 'ok', 'nor are others');
my $known = slowed($primary);
$primary->pgbench('-n -c 4 -t 100', 0, [qr{processed: 400/400}], [qr{^$}],
	'known', { 'known' => "\\set n random(1, 342)\nSELECT prove('busy' || :n);" });
is(slowed($primary), $known, 'what was proved is known');

# --- Without memory ------------------------------------------------------------
# A secret that cannot be compared is not a wrong one.
$primary->safe_psql(
	'postgres', q{
	CREATE FUNCTION outcome(key text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		identifier text;
	BEGIN
		RETURN (apikeys.decide(key, 'a guess', '198.51.100.1'::inet, 'clusters.read')).reason;
	EXCEPTION WHEN out_of_memory THEN
		GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
		RETURN identifier;
	END;
	$$});
SKIP:
{
	skip 'the sanitizer itself ends without memory', 2 if $ENV{ASAN_OPTIONS};

	my $session = $primary->background_psql('postgres');
	set_limit($primary, 10000);
	is($session->query_safe("SELECT outcome('costly450')"), 'wrong_secret', 'with memory a guess is wrong');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my $pages = (split / /, slurp_file("/proc/$pid/statm"))[0];
	my $room = $pages * qx(getconf PAGESIZE) + 4 * 1024 * 1024;
	system_or_bail('prlimit', '--pid', $pid, "--as=$room:");
	is($session->query_safe("SELECT outcome('costly451')"), 'out_of_memory', 'without it is not compared');
	$session->quit;
}

done_testing();
