# An access list that is stored out of line, with damaged rows in the toast table, which
# no statement can make: the files are changed while the server is stopped.  A decision
# reads the list where it is, and says that it is damaged.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'apikeys'
autovacuum = off
ignore_checksum_failure = on
});
$node->start;
my $networks = join ',', map { sprintf '10.%d.%d.1', $_ / 200, $_ % 200 } 0 .. 2999;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description, access_list)
		VALUES ('long', '10000000-0000-0000-0000-000000000000', 'a key', '{$networks}'), ('short', '10000000-0000-0000-0000-000000000000', 'a key', '{10.0.0.1}');
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, ('sha256\$\$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, '' FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key;
	VACUUM FULL apikeys.key_image});

# What is said of a request: the reason, or the SQLSTATE and the message.
sub answer
{
	my ($key, $address) = @_;
	my ($output, $error) = ('', '');

	$node->psql('postgres',
		qq{\\set VERBOSITY verbose\nSELECT reason FROM apikeys.decide('$key', 'a secret', '$address'::inet, 'clusters.read')},
		stdout => \$output, stderr => \$error);
	return $error =~ /ERROR:  (.*)/ ? $1 : $output;
}

my $file = $node->data_dir . '/' . $node->safe_psql('postgres',
	q{SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'apikeys.key_image'::regclass});
is(answer('long', '10.7.7.1'), 'ok', 'a network of the list');
is(answer('long', '10.7.7.2'), 'address_denied', 'and none');
$node->stop;
my $whole = slurp_file($file);
my $page_size = 8192;

# Calls back with the page, the places of a row's line pointer and of its columns: the id
# of the value, the number of the chunk, its size and data.
sub each_row
{
	my ($pages, $change) = @_;
	my $rows = 0;

	for (my $page = 0; $page < length $$pages; $page += $page_size)
	{
		my $lower = unpack 'S', substr($$pages, $page + 12, 2);

		for (my $item = $page + 24; $item < $page + $lower; $item += 4)
		{
			my $pointer = unpack 'L', substr($$pages, $item, 4);
			next if ($pointer >> 15 & 3) != 1;
			my $row = $page + ($pointer & 0x7fff);

			$change->($pages, $item, $row + unpack('C', substr($$pages, $row + 22, 1)));
			$rows++;
		}
	}
	return $rows;
}

my %damage = (
	'rows that are of another chunk' => sub {
		my ($pages, $item, $columns) = @_;
		substr($$pages, $columns + 4, 4) = pack 'l', 77;
	},
	'rows that are of another value' => sub {
		my ($pages, $item, $columns) = @_;
		substr($$pages, $columns, 4) = pack 'L', 1;
	},
	'chunks that are too short' => sub {
		my ($pages, $item, $columns) = @_;
		substr($$pages, $columns + 8, 4) = pack 'L', (4 + 100) << 2;
	},
	'rows that are missing' => sub {
		my ($pages, $item) = @_;
		substr($$pages, $item, 4) = pack 'L', 0;
	});
foreach my $what (sort keys %damage)
{
	my $pages = $whole;

	cmp_ok(each_row(\$pages, $damage{$what}), '>', 3, "$what: in several chunks");
	open(my $handle, '+<', $file) or die "$file: $!";
	binmode $handle;
	print $handle $pages;
	close $handle;
	$node->start;
	is(answer('long', $_), 'XX001: access list is damaged', "$what: an error, and no answer") for '10.7.7.1', '10.7.7.2';
	is(answer('short', '10.0.0.1'), 'ok', "$what: others are decided");
	$node->stop;
}
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP:/, 'no process has failed');

done_testing();
