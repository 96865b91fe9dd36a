# Short-lived tokens on a standby, in read-only transactions, and through the
# rotation of peppers; and that no token is logged.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $folder = PostgreSQL::Test::Utils::tempdir();
my $file = "$folder/peppers";
my %hex = (a => 'a1' x 32, b => 'b2' x 32);

# Writes the peppers of these ids to the file.
sub write_peppers
{
	my (@ids) = @_;

	open(my $handle, '>', "$file.new") or die "$file: $!";
	print $handle map { "$_:$hex{$_}\n" } @ids;
	close($handle);
	chmod(0600, "$file.new");
	rename("$file.new", $file) or die "$file: $!";
	return;
}

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', q{
shared_preload_libraries = 'apikeys'
autovacuum = off
log_statement = none
log_min_error_statement = error
log_error_verbosity = verbose
apikeys.pepper_file = ''
});
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'key' || n, '10000000-0000-0000-0000-000000000000', 'a key' FROM generate_series(1, 3) AS n;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, ('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, '' FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, permission)
		SELECT public_key, organization_id, 'things.*' FROM apikeys.key;
});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# Makes a change on the primary and waits until the standby has it.
sub change
{
	my ($statement) = @_;
	$primary->safe_psql('postgres', $statement);
	$primary->wait_for_catchup($standby);
	return;
}

# Lets each of some nodes read the file with peppers again.
sub use_peppers
{
	foreach my $node (@_)
	{
		my $offset = -s $node->logfile;

		$node->adjust_conf('postgresql.conf', 'apikeys.pepper_file', "'$file'");
		$node->reload;
		for (1 .. 1800)
		{
			last if slurp_file($node->logfile, $offset) =~ /reloading configuration files/;
			usleep(100_000);
		}
		# The next session is forked by a postmaster that has reloaded.
		$node->safe_psql('postgres', 'SELECT 1') for 1 .. 2;
	}
	return;
}

sub issue
{
	my ($node, $key, $narrowed) = @_;
	my $scopes = $narrowed ? "'{things.read}'" : 'NULL';
	return $node->safe_psql('postgres',
		"SELECT apikeys.issue_token('1 hour', $scopes, NULL, '$key')");
}

sub reason
{
	my ($node, $token, $scope) = @_;
	$scope ||= 'things.read';
	return $node->safe_psql('postgres',
		"SELECT reason FROM apikeys.decide_token('$token', '192.0.2.1'::inet, '$scope')");
}

# The key of the id that a token names.
sub kid
{
	my ($token) = @_;
	my ($footer) = $token =~ /\.([^.]*)$/;
	$footer =~ tr{-_}{+/};
	return $primary->safe_psql('postgres',
		"SELECT convert_from(decode(rpad('$footer', (length('$footer') + 3) / 4 * 4, '='), 'base64'), 'UTF8')::json ->> 'kid'");
}

# --- A standby -------------------------------------------------------------------
my $token = issue($primary, 'key1', 1);
is(kid($token), '0', 'without peppers the key of the database');
is(reason($standby, $token), 'ok', 'a token of the primary on the standby');
is(reason($standby, $token, 'things.write'), 'token_scope_denied', 'narrowed there as well');
my $of_standby = issue($standby, 'key1');
is(reason($standby, $of_standby), 'ok', 'a token that the standby has issued');
is(reason($primary, $of_standby), 'ok', 'and on the primary');
my $bound = $standby->safe_psql('postgres', q{
	BEGIN;
	SELECT apikeys.authenticate_token('key1.a secret', '192.0.2.1'::inet);
	SELECT apikeys.issue_token('1 hour', '{things.read}');
	COMMIT;
});
like($bound, qr/^key1\nv4\.local\.\S+$/, 'a bound key gets one there');
$bound =~ s/^key1\n//;
is($primary->safe_psql('postgres', q{
	SET default_transaction_read_only = on;
	SELECT length(apikeys.issue_token('1 hour', public_key => 'key1')) > 100;
}), 't', 'in a read-only transaction');
is($standby->safe_psql('postgres', qq{
	BEGIN;
	SELECT apikeys.authenticate_token('$bound', '192.0.2.1'::inet);
	SELECT apikeys.permits('things.read'), apikeys.permits('things.write');
	COMMIT;
}), "key1\nt|f", 'bound by a token there');

change(q{SELECT apikeys.rotate_secret('key1', '1 hour')});
is(reason($standby, $_), 'ok', 'during the overlap') foreach ($token, $of_standby, $bound);
change(q{SELECT apikeys.revoke_secret('key1', 1)});
is(reason($standby, $_), 'token_revoked', 'the secret was revoked') foreach ($token, $of_standby, $bound);
is(reason($standby, issue($standby, 'key1')), 'ok', 'one of the newer secret');
$token = issue($standby, 'key2');
change(q{SELECT apikeys.disable_key('key2')});
is(reason($standby, $token), 'key_disabled', 'the key was disabled');
change(q{SELECT apikeys.delete_key('key2')});
is(reason($standby, $token), 'token_revoked', 'the key was deleted');

# --- Peppers ---------------------------------------------------------------------
my $without = issue($primary, 'key3');
write_peppers('a');
use_peppers($primary, $standby);
my $with_a = issue($primary, 'key3');
is(kid($with_a), 'a', 'a pepper gives the key');
is(reason($_, $with_a), 'ok', 'good with that') foreach ($primary, $standby);
is(reason($_, $without), 'token_invalid', 'the key of the database counts no more') foreach ($primary, $standby);

write_peppers('b', 'a');
use_peppers($primary, $standby);
my $with_b = issue($standby, 'key3');
is(kid($with_b), 'b', 'the current pepper');
foreach my $node ($primary, $standby)
{
	is(reason($node, $with_a), 'ok', 'an older pepper still verifies');
	is(reason($node, $with_b), 'ok', 'the current one does');
}
# The same with the other id in the footer.
my ($body_a, $footer_b) = ($with_a =~ /^(.*)\./, $with_b =~ /\.([^.]*)$/);
is(reason($primary, "$body_a.$footer_b"), 'token_invalid', 'another footer');

write_peppers('b');
use_peppers($primary, $standby);
foreach my $node ($primary, $standby)
{
	is(reason($node, $with_a), 'token_invalid', 'a pepper that was rotated away');
	is(reason($node, $with_b), 'ok', 'the one that stays');
}
# A pepper is not all that is needed: another random key ends all tokens, at once.
my $session = $primary->background_psql('postgres', on_error_stop => 1);
my $ask = "SELECT reason FROM apikeys.decide_token('$with_b', '192.0.2.1'::inet, 'things.read')";
is($session->query_safe($ask), 'ok', 'a token in a session that stays');
change('SELECT apikeys.renew_token_key()');
is($session->query_safe($ask), 'token_invalid', 'renew_token_key ends it there');
$session->quit;
is(reason($_, $with_b), 'token_invalid', 'and in others') foreach ($primary, $standby);
$with_b = issue($standby, 'key3');
is(reason($_, $with_b), 'ok', 'and others are made') foreach ($primary, $standby);
my ($code, $out, $err) = $primary->psql('postgres', qq{
	BEGIN;
	DELETE FROM apikeys.token_key;
	$ask;
	\\set VERBOSITY verbose
	SELECT apikeys.issue_token('1 hour', public_key => 'key3');
	ROLLBACK});
is($out, 'token_invalid', 'without it no token is good');
like($err, qr/55000.*CONSTRAINT NAME:  token_key_missing/s, 'nor made');
# A pepper of the same name and another value.
$hex{b} = 'b3' x 32;
write_peppers('b');
use_peppers($primary);
is(reason($primary, $with_b), 'token_invalid', 'a pepper of the same id');
is(reason($standby, $with_b), 'ok', 'not reloaded yet');

# --- The log, and a dump ---------------------------------------------------------
foreach my $denied ($with_b, issue($primary, 'key3', 1))
{
	$primary->psql('postgres', "SELECT apikeys.require_token('$denied', '192.0.2.1'::inet, 'things.write')");
	$primary->psql('postgres', "SELECT apikeys.authenticate_token('$denied' || 'x', '192.0.2.1'::inet)");
	$primary->psql('postgres', "SELECT apikeys.decide_token('$denied', '192.0.2.1'::inet, 'no scope!')");
	$primary->psql('postgres', "SELECT apikeys.decide_token('$denied', 'no address', 'things.read')");
}
unlike(slurp_file($_->logfile), qr/v4\.local/, 'no token in the log') foreach ($primary, $standby);
unlike(slurp_file($primary->logfile), qr/a secret/, 'no secret either');

$primary->safe_psql('postgres', 'CREATE DATABASE restored');
my $dump = "$folder/dump.sql";
$primary->command_ok(['pg_dump', '-f', $dump, '-d', $primary->connstr('postgres')], 'pg_dump');
unlike(slurp_file($dump), qr/COPY apikeys\.token_key/, 'the key of the database is not dumped');
$primary->command_ok(['psql', '-X', '-q', '-o', "$folder/out", '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $primary->connstr('restored')], 'restored');
is($primary->safe_psql('restored', 'SELECT key FROM apikeys.token_key') eq
	  $primary->safe_psql('postgres', 'SELECT key FROM apikeys.token_key'), '', 'a restored database has another one');
is($primary->safe_psql('restored', q{SELECT max(last_secret_version) FROM apikeys.key}), '2', 'and the versions that there were');

# --- Other databases -------------------------------------------------------------
# Where the peppers are the same, or the key of the database, somebody else may say
# what a public key stands for.
sub reason_in
{
	my ($database, $token) = @_;
	return $primary->safe_psql($database,
		"SELECT reason FROM apikeys.decide_token('$token', '192.0.2.1'::inet, 'things.read')");
}

sub issue_in
{
	my ($database) = @_;
	return $primary->safe_psql($database, "SELECT apikeys.issue_token('1 hour', NULL, NULL, 'key3')");
}

my $peppered = issue_in('restored');
is(reason_in('restored', $peppered), 'ok', 'a token where it was made');
is(reason_in('postgres', $peppered), 'token_invalid', 'not in another database with the same peppers');
$primary->adjust_conf('postgresql.conf', 'apikeys.pepper_file', "''");
$primary->restart;
$primary->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE restored');
is($primary->safe_psql('copy', 'SELECT key FROM apikeys.token_key'),
	$primary->safe_psql('restored', 'SELECT key FROM apikeys.token_key'), 'a copy has the same random key');
my $copied = issue_in('copy');
is(kid($copied), '0', 'which it uses');
is(reason_in('copy', $copied), 'ok', 'a token of a copy');
is(reason_in('restored', $copied), 'token_invalid', 'not in what it was copied from');

# A copy of the files has that key, until it is renewed.
my $events = q{SELECT count(*) FROM apikeys.audit_event WHERE action = 'token_key.renewed'};
my $before = $primary->safe_psql('copy', $events);
is($primary->safe_psql('copy', 'SELECT apikeys.renew_token_key()'), 't', 'the random key is renewed');
is(reason_in('copy', $copied), 'token_invalid', 'which ends the tokens that it has sealed');
is(reason_in('copy', issue_in('copy')), 'ok', 'and seals others');
is($primary->safe_psql('copy', $events), $before + 1, 'an event tells of it');

$standby->stop;
$primary->stop;
done_testing();
