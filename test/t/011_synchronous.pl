# Synchronous replication: what is revoked on the primary is refused on the
# standby at once, and a promotion in the middle of changes loses none that was
# acknowledged.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $revocations = 300;
my $clients = 4;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
autovacuum = off
});
$primary->start;
$primary->safe_psql(
	'postgres', qq{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name)
		VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'key' || n, '10000000-0000-0000-0000-000000000000', 'a key'
		FROM generate_series(1, $revocations) AS n;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, ('sha256\$\$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
		FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key;
});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->append_conf(
	'postgresql.conf', q{
synchronous_standby_names = '*'
synchronous_commit = remote_apply
});
$primary->reload;
ok( $primary->poll_query_until('postgres',
		q{SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'}),
	'the standby is synchronous');

# --- Revoked there as soon as here ------------------------------------------

my @ways = (
	[ q{SELECT apikeys.disable_key('%s')}, 'key_disabled' ],
	[ q{SELECT apikeys.delete_key('%s')}, 'unknown_key' ],
	[ q{SELECT apikeys.rotate_secret('%s') IS NOT NULL}, 'secret_expired' ],
	[ q{SELECT apikeys.update_key('%s', access_list => '{198.51.100.0/24}')}, 'address_denied' ],
	[ q{SELECT apikeys.set_organization_roles('%s', '{}')}, 'scope_denied' ],
	[ q{SELECT apikeys.update_key('%s', expires_at => now())}, 'key_expired' ]);
my $manager = $primary->background_psql('postgres');
my $asker = $standby->background_psql('postgres');
my (%before, %after, %expected);

# One decision in a session of the standby that stays open.
sub ask
{
	my ($key) = @_;
	return $asker->query(
		"SELECT reason FROM apikeys.decide('$key', 'a secret', '192.0.2.1', 'clusters.read')");
}

foreach my $number (1 .. $revocations)
{
	my ($statement, $reason) = @{ $ways[ $number % @ways ] };

	$before{ ask("key$number") }++;
	$manager->query_safe(sprintf $statement, "key$number");
	$after{ ask("key$number") }++;
	$expected{$reason}++;
}
is_deeply(\%before, { ok => $revocations }, 'the standby allows every key');
is_deeply(\%after, \%expected,
	'and refuses each as soon as its revocation is acknowledged');
$asker->quit;
$manager->quit;

# --- Promoted in the middle of it ---------------------------------------------

# Each client makes keys, rotates all of them, and disables or deletes some; it
# prints what was acknowledged, until the server has no answer for it any more.
sub changes
{
	my ($number) = @_;
	my ($end, $name) = @{ ([], [ 'disable_key', 'disabled' ], [ 'delete_key', 'deleted' ])[ $number % 3 ] };
	my $script = q{
SELECT public_key, private_key FROM apikeys.create_key('10000000-0000-0000-0000-000000000000', 'x', '{ORG_READ_ONLY}') \gset
\echo created :public_key :private_key
SELECT apikeys.rotate_secret(:'public_key') AS private_key \gset
\echo rotated :public_key :private_key
};
	$script .= "SELECT apikeys.$end(:'public_key') \\g /dev/null\n\\echo $name :public_key -\n" if $end;
	return $script;
}

my $file = PostgreSQL::Test::Utils::tempdir() . '/changes.sql';
append_to_file($file, join '', map { changes($_) } 1 .. 20_000);
my @outputs = ('') x $clients;
my @errors = ('') x $clients;
my @processes = map {
	IPC::Run::start [ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $primary->connstr('postgres'), '-f', $file ],
	  '>', \$outputs[$_], '2>', \$errors[$_], IPC::Run::timeout(180)
} 0 .. $clients - 1;

# Until all of them are at it.
foreach my $number (0 .. $clients - 1)
{
	$processes[$number]->pump
	  until ($outputs[$number] =~ tr/\n//) > 100 || !$processes[$number]->pumpable;
}
$standby->promote;
$primary->stop('immediate');
foreach my $process (@processes)
{
	# psql ends with an error, as it should.
	eval { $process->finish };
}
cmp_ok(scalar(grep { /server closed the connection|terminating connection|connection to server was lost/ } @errors),
	'==', $clients, 'the changes were interrupted') or diag(@errors);

# What each key has to answer; the last one of each client may be one change
# further on, which nobody was told of.
my (%last, %unsure, @old);
foreach my $output (@outputs)
{
	my $key;
	foreach my $line (split /\n/, $output)
	{
		(my $what, $key, my $secret) = split / /, $line;
		push @old, [ $key, $last{$key}{secret} ] if $what eq 'rotated';
		$last{$key}{what} = $what;
		$last{$key}{secret} = $secret if $secret ne '-';
	}
	$unsure{$key} = 1;
}

sub decide_all
{
	my (@pairs) = @_;
	my $values = join ', ', map { "($_, '$pairs[$_][0]', '$pairs[$_][1]')" } 0 .. $#pairs;
	return split /\n/, $standby->safe_psql('postgres', qq{
		SELECT d.reason
		FROM (VALUES $values) AS asked (n, public_key, secret)
			CROSS JOIN LATERAL apikeys.decide(public_key, secret, NULL, 'clusters.read') AS d
		ORDER BY n});
}

my %right = (created => 'ok', rotated => 'ok', disabled => 'key_disabled', deleted => 'unknown_key');
my @keys = grep { !$unsure{$_} } sort keys %last;
my @reasons = decide_all(map { [ $_, $last{$_}{secret} ] } @keys);
my @wrong = grep { $reasons[$_] ne $right{ $last{ $keys[$_] }{what} } } 0 .. $#keys;
cmp_ok(scalar(@keys), '>', 30 * $clients, 'many keys were made before the promotion');
is_deeply([ map { "$keys[$_]: $last{$keys[$_]}{what}, $reasons[$_]" } @wrong ],
	[], 'every key that was acknowledged is as it was left');
my %refused = map { $_ => 1 } qw(secret_expired unknown_key);
is_deeply([ grep { !$refused{$_} } decide_all(@old) ],
	[], 'and no secret works that was rotated away');

# An unsure one is as it was left, or has made the next step.
my %next = (created => 'ok|secret_expired', rotated => 'ok|key_disabled|unknown_key',
	disabled => 'key_disabled', deleted => 'unknown_key');
foreach my $key (sort keys %unsure)
{
	my ($reason) = decide_all([ $key, $last{$key}{secret} ]);
	like($reason, qr/^($next{$last{$key}{what}})$/, 'a change that was not acknowledged is made or is not');
}

my ($lost) = split /\n/, $standby->safe_psql('postgres', q{
	SELECT count(*) FROM apikeys.key AS k
	WHERE NOT EXISTS (SELECT FROM apikeys.audit_event AS e WHERE e.public_key = k.public_key AND e.action = 'key.created')
		AND k.description = 'x'});
is($lost, 0, 'each key has its event');
$standby->stop;
done_testing();
