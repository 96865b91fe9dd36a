# The owner of a database, no superuser, has everybody who connects begin with
# a planted search_path: the background worker too, which is one.  It does
# its work, and calls nothing that was planted.
use strict;
use warnings;
use File::Basename;
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tests = File::Spec->catfile(dirname(__FILE__), '..');
my $folder = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'\napikeys.usage_flush_interval = '1h'\n"
);
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE owner;
	CREATE DATABASE hostile OWNER owner;
});
$node->safe_psql('hostile', slurp_file("$tests/hostile/schema.sql"));
$node->safe_psql('hostile', q{
	SET ROLE owner;
	ALTER DATABASE hostile SET search_path = regress_hostile, pg_catalog;
});
my ($status, $stdout, $stderr) = $node->psql('hostile', 'SELECT now()');
like($stderr, qr/hostile now was called/, 'a session begins with the planted path');
$node->safe_psql('hostile', 'ALTER SEQUENCE regress_hostile.called RESTART');

$node->safe_psql('hostile', 'CREATE EXTENSION apikeys');
my ($key, $secret) = split /\|/, $node->safe_psql(
	'hostile', q{
	SELECT k.* FROM apikeys.create_organization('Acme', 'user:owner') AS o
		CROSS JOIN LATERAL apikeys.create_key(o, 'a key', '{ORG_OWNER}', '{192.0.2.0/24}') AS k});

# Twice, since rows are made by the first and changed by the second.
foreach my $round (1, 2)
{
	$node->safe_psql(
		'hostile', qq{
		SELECT apikeys.authorize('$key', '$secret', '192.0.2.1', 'a.read'), apikeys.authorize('$key', 'x', '192.0.2.1', 'a.read');
		SELECT apikeys.flush_usage()});
	is( $node->safe_psql(
			'hostile', q{
			SELECT u.use_count, d.denial_count FROM apikeys.key_usage AS u, apikeys.key_denial AS d}),
		"$round|$round",
		"round $round: the worker has written uses and denials");
}

# A pepper, with which it has to hash the secret again.
my $hash = $node->safe_psql('hostile', 'SELECT hash FROM apikeys.key_secret');
append_to_file("$folder/peppers", 'one:' . '0f' x 32 . "\n");
chmod 0600, "$folder/peppers";
$node->append_conf('postgresql.conf',
	"apikeys.pepper_file = '$folder/peppers'");
$node->restart;
$node->safe_psql(
	'hostile', qq{
	SELECT apikeys.authorize('$key', '$secret', '192.0.2.1', 'a.read');
	SELECT apikeys.flush_usage()});
ok( $node->poll_query_until(
		'hostile',
		qq{SELECT apikeys_internal.pepper(s.hash) OPERATOR(pg_catalog.=) 'one' FROM apikeys.key_secret AS s}
	),
	'the worker has stored a new hash');
isnt($node->safe_psql('hostile', 'SELECT hash FROM apikeys.key_secret'),
	$hash, 'which is another one');

# A key that is deleted while it is counted.
$node->safe_psql('hostile', qq{
	SELECT apikeys.authorize('$key', '$secret', '192.0.2.1', 'a.read');
	SELECT apikeys.delete_key('$key');
	SELECT apikeys.flush_usage()});
is($node->safe_psql('hostile', 'SELECT u.public_key FROM apikeys.key_usage AS u'),
	'', 'of a key that is deleted nothing is left');
is($node->safe_psql('hostile', 'SELECT is_called FROM regress_hostile.called'),
	'f', 'nothing of the hostile schema was called');
$node->stop;

done_testing();
