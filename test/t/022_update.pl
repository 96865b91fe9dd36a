# ALTER EXTENSION UPDATE leaves a database as a fresh install would: objects,
# definitions, owners, privileges and comments.  For each way from a version
# that can be installed to the newest, and for a next version that is made up
# here, in a private copy of the server.
use strict;
use warnings;
use File::Basename;
use File::Copy;
use File::Path qw(make_path);
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tests = File::Spec->catfile(dirname(__FILE__), '..');
my $catalog_query = slurp_file("$tests/catalog.sql");

# --- A private server ----------------------------------------------------------

# Servers find their files relative to their programs.
sub config
{
	my ($what) = @_;
	my $value = qx{pg_config --$what};
	chomp $value;
	return $value;
}

my $root = PostgreSQL::Test::Utils::tempdir();
my $bin = config('bindir');
my $extensions = $root . config('sharedir') . '/extension';

foreach my $dir ($bin, config('pkglibdir'), config('sharedir'))
{
	make_path(dirname("$root$dir"));
	next if $dir eq $bin;
	system_or_bail('cp', '-RL', $dir, dirname("$root$dir"));
}
make_path("$root$bin");
system_or_bail('cp', '-L', "$bin/$_", "$root$bin")
  foreach qw(postgres initdb pg_ctl psql pg_config);

my $control = slurp_file("$extensions/apikeys.control");
my ($version) = $control =~ /^default_version = '(.*)'/m;
my $next = "$version.1";

sub write_file
{
	my ($name, $content) = @_;
	unlink "$extensions/$name";
	append_to_file("$extensions/$name", $content);
	return;
}

# What the next version adds.
my $addition = q{
CREATE FUNCTION apikeys.added(scope text) RETURNS boolean
	LANGUAGE sql STABLE
	RETURN apikeys.permits(scope);
COMMENT ON FUNCTION apikeys.added(text) IS 'Whether permits is true.';
REVOKE ALL ON FUNCTION apikeys.added(text) FROM PUBLIC;
ALTER TABLE apikeys.project ADD COLUMN added text;
COMMENT ON COLUMN apikeys.project.added IS 'Added.';
GRANT UPDATE (added) ON apikeys.project TO PUBLIC;
};
write_file("apikeys--$next.sql",
	slurp_file("$extensions/apikeys--$version.sql") . $addition);
write_file("apikeys--$version--$next.sql", $addition);
# One that forgets what an update is likely to forget.
write_file("apikeys--$version--$next-forgetful.sql",
	$addition =~ s/^(REVOKE|COMMENT ON COLUMN).*\n//gmr);
write_file("apikeys--$next-forgetful.sql",
	slurp_file("$extensions/apikeys--$next.sql"));
write_file('apikeys.control',
	$control =~ s/^(default_version = ').*'/$1$next'/mr);

my $node = PostgreSQL::Test::Cluster->new('main',
	install_path => $root . dirname($bin));
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'");
$node->start;

# What is in the catalogs of a database, once the version is taken out of it.
sub catalog
{
	my ($database) = @_;
	return $node->safe_psql($database, $catalog_query) =~
	  s/^extension\|version\|.*\n//mr;
}

sub make_database
{
	my ($database, @statements) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, $_) foreach @statements;
	return;
}

# --- Updated and fresh ---------------------------------------------------------

make_database('fresh', 'CREATE EXTENSION apikeys');
is( $node->safe_psql(
		'fresh', q{SELECT extversion FROM pg_extension WHERE extname = 'apikeys'}),
	$next,
	'the next version is what is installed');
my $fresh = catalog('fresh');
like($fresh, qr/^function apikeys\.added\(text\)\|comment\|/m,
	'the catalog has what it adds');

my @ways = split /\n/,
  $node->safe_psql(
	'fresh', qq{
	SELECT p.source FROM pg_extension_update_paths('apikeys') AS p
		JOIN pg_available_extension_versions AS v ON v.name = 'apikeys' AND v.version = p.source
	WHERE p.target = '$next' AND p.path IS NOT NULL ORDER BY p.source});
ok((grep { $_ eq $version } @ways), 'there is a way from the present version');

foreach my $number (0 .. $#ways)
{
	my $old = $ways[$number];
	my $database = "updated_$number";
	make_database($database, "CREATE EXTENSION apikeys VERSION '$old'");
	isnt(catalog($database), $fresh, "$old: is another one than $next");
	my ($key, $secret) = split /\|/, $node->safe_psql(
		$database, q{
		SELECT k.* FROM apikeys.create_organization('Acme', 'user:owner') AS o
			CROSS JOIN LATERAL apikeys.create_key(o, 'a key', '{ORG_OWNER}') AS k});

	# A session that has used the old one goes on.
	my $session = $node->background_psql($database);
	my $ask = "SELECT reason FROM apikeys.decide('$key', '$secret', NULL, 'clusters.read')";
	is($session->query($ask), 'ok', "$old: a key passes");
	$node->safe_psql($database, 'ALTER EXTENSION apikeys UPDATE');
	is($session->query($ask), 'ok', "$old: and after the update");
	$session->quit;
	is(catalog($database), $fresh, "$old: updated, it is as a fresh install");
	$node->safe_psql($database, 'DROP EXTENSION apikeys');
}

make_database(
	'forgetful',
	"CREATE EXTENSION apikeys VERSION '$version'",
	"ALTER EXTENSION apikeys UPDATE TO '$next-forgetful'");
my %seen;
$seen{$_}++ foreach split(/\n/, $fresh), split(/\n/, catalog('forgetful'));
my %parts = map { join('|', (split /\|/)[ 0, 1 ]) => 1 }
  grep { $seen{$_} == 1 } keys %seen;
is_deeply(
	[ sort keys %parts ],
	[
		'function apikeys.added(text)|acl',
		'function apikeys.added(text)|initial acl',
		'relation apikeys.project|column 7 added'
	],
	'what an update forgets is noticed');

# --- Attacked -------------------------------------------------------------------

# A schema of somebody else's before pg_catalog, and one that is planted under
# the name of what an update adds.
make_database('attacked', slurp_file("$tests/hostile/schema.sql"));
my $hostile = 'SET search_path = regress_hostile, pg_catalog;';
my $is_called = 'SELECT is_called FROM regress_hostile.called';
$node->safe_psql('attacked',
	"$hostile CREATE EXTENSION apikeys VERSION '$version'");
$node->safe_psql('attacked',
	q{CREATE FUNCTION apikeys.added(scope text) RETURNS boolean LANGUAGE sql RETURN true});
my ($status, $stdout, $stderr) =
  $node->psql('attacked', "$hostile ALTER EXTENSION apikeys UPDATE");
like(
	$stderr,
	qr/function "added" already exists with same argument types/,
	'a planted function makes the update fail');
$node->safe_psql('attacked', 'DROP FUNCTION apikeys.added(text)');
$node->safe_psql('attacked', "$hostile ALTER EXTENSION apikeys UPDATE");
is($node->safe_psql('attacked', $is_called),
	'f', 'nothing of the hostile schema is called');
is(catalog('attacked'), $fresh, 'and the update is as a fresh install');
$node->stop;

done_testing();
