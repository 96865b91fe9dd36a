# The shortcuts of test/demo/apikeys.psql, on the data of "make demo": each shows
# what it says, in 120 columns and in the reader's time zone.
use strict;
use warnings;

use Encode qw(decode);
use File::Basename qw(dirname);
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $demo = File::Spec->rel2abs(
	File::Spec->catdir(dirname(__FILE__), '..', 'demo'));

my $node = PostgreSQL::Test::Cluster->new('psql');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'");
$node->start;

# What psql prints of a script; as in a terminal, and not as for a program.
sub psql
{
	my ($script) = @_;
	my ($stdout, $stderr);

	IPC::Run::run [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
		'-d', $node->connstr('postgres') ],
	  '<', \$script, '>', \$stdout, '2>', \$stderr;
	return (decode('UTF-8', $stdout), $stderr);
}

my (undef, $errors) = psql(slurp_file("$demo/demo.sql"));
unlike($errors, qr/psql: error/, 'the demo runs');
my $key = $node->safe_psql('postgres',
	q{SELECT public_key FROM apikeys.key WHERE description = 'Deployments'});
my $project = $node->safe_psql('postgres',
	q{SELECT id FROM apikeys.project WHERE name = 'staging'});

# A key that expires soon, and one whose roles and names are long.
$node->safe_psql(
	'postgres', q{
	SELECT apikeys.create_key(apikeys.organization('Acme'), repeat('long ', 49) || 'long', '{ORG_READ_ONLY,ORG_BILLING_READ_ONLY}',
		'{2001:db8:1234:5678:9abc:def0:1234:5678}', now() + interval '1 day');
	SELECT apikeys.create_project(apikeys.organization('Acme'), repeat('long ', 49) || 'long');
	SELECT apikeys.set_project_roles(k.public_key, p.id, '{GROUP_DATA_ACCESS_READ_WRITE,GROUP_DATA_ACCESS_READ_ONLY}')
	FROM apikeys.key AS k, apikeys.project AS p WHERE k.description LIKE 'long%' AND p.name LIKE 'long%'});

my $begin = qq{
	\\set public_key '$key'
	\\set ip '203.0.113.7'
	\\set scope 'clusters.read'
	\\set project '$project'
	\\i $demo/apikeys.psql
};

my ($list, $stderr) = psql("$begin\n:apikeys\n");
is($stderr, '', 'the script loads in silence');
my @shortcuts = $list =~ /^ (:\w+) +\|/mg;
my @set = sort map { ":$_" } slurp_file("$demo/apikeys.psql") =~ /\$\$ AS (\w+),?$/mg;
is_deeply([ sort ':apikeys', @shortcuts ], \@set, ':apikeys lists all shortcuts');

# What each has to show of the demo's data.
my %shows = (
	':keys' => qr/\Q$key\E \| Deployments .*active/,
	':key' => qr/^ access_list +\| 203\.0\.113\.0\/24$/m,
	':lists' => qr/\Q$key\E \| 203\.0\.113\.0\/24/,
	':usage' => qr/\Q$key\E \| +[1-9]/,
	':denials' => qr/\Q$key\E \| address_denied/,
	':why' => qr/^ scope_denied +\| t/m,
	':audit' => qr/key\.created/,
	':members' => qr/Acme +\| staging +\| user:42 +\| GROUP_USER_ADMIN/,
	':roles' => qr/^ GROUP_OWNER +\| project/m,
	':expiring' => qr/ long .*Acme/,
	':unused' => qr/ long .*Acme/,
	':status' => qr/^ preloaded +\| true/m,
	':tasks' => qr/rotate_secret/,
	':manual' => qr/^ authorize\(public_key text, secret text, ip inet,/m);
foreach my $shortcut (@shortcuts)
{
	my ($stdout, $stderr) = psql("$begin\n$shortcut\n");
	my @wide = grep { length > 120 } split /\n/, $stdout;

	is($stderr, '', "$shortcut runs");
	like($stdout, $shows{$shortcut}, "$shortcut shows it");
	is("@wide", '', "$shortcut fits into 120 columns");
}

my ($here) = psql("SET timezone = 'UTC';$begin\n:usage\n");
my ($there) = psql("SET timezone = 'Asia/Tokyo';$begin\n:usage\n");
isnt($here, $there, 'times are of the reader\'s zone');

$node->stop;
done_testing();
