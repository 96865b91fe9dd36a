# The address of the connection, for a request's key: over TCP, itself, or
# what a proxy that is trusted says.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'\nlisten_addresses = '127.0.0.1'");
append_to_file($node->data_dir . '/pg_hba.conf',
	"host all all 127.0.0.1/32 trust\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION apikeys');
my $socket = $node->connstr('postgres');
my $tcp = 'host=127.0.0.1 dbname=postgres port=' . $node->port;

sub make_key
{
	my ($list) = @_;
	my ($public, $private) = split /\|/, $node->safe_psql('postgres',
		qq{SELECT k.* FROM apikeys.create_organization('for $list', 'user:owner') AS o
			CROSS JOIN LATERAL apikeys.create_key(o, 'a key', '{ORG_READ_ONLY}', '$list') AS k});
	return "$public:$private";
}

# Is the key bound, for a request with this header, by this connection?
sub is_bound
{
	my ($connection, $key, $forwarded, $settings) = @_;
	my %headers = ('x-api-key' => $key);
	$headers{'x-forwarded-for'} = $forwarded if defined $forwarded;
	my $json = '{' . join(',', map { qq{"$_":"$headers{$_}"} } sort keys %headers) . '}';
	my ($stdout, $stderr);
	my $status = $node->psql(
		'postgres', qq{
		$settings
		BEGIN;
		SET LOCAL request.headers = '$json';
		DO 'BEGIN PERFORM apikeys.authenticate_request(); END';
		SELECT apikeys.current_key() IS NOT NULL;
		COMMIT},
		connstr => $connection, stdout => \$stdout, stderr => \$stderr);
	return $stdout if $status == 0;
	return $stderr =~ /API key is (denied|not valid)/ ? 'f' : "?$stderr";
}

my $here = make_key('{127.0.0.0/8}');
my $elsewhere = make_key('{192.0.2.0/24}');
my $trust = q{SET apikeys.trusted_proxies = '{127.0.0.1}';};
my $trust_others = q{SET apikeys.trusted_proxies = '{192.0.2.1}';};

is(is_bound($tcp, $here, undef, ''), 't', 'the address is that of the connection');
is(is_bound($tcp, $elsewhere, undef, ''), 'f', 'and nowhere else');
is(is_bound($tcp, $elsewhere, '192.0.2.7', ''), 'f', 'whatever the header says');
is(is_bound($tcp, $elsewhere, '192.0.2.7', $trust_others),
	'f', 'where only others are trusted');
is(is_bound($tcp, $here, '192.0.2.7', $trust_others), 't', 'the address is still that of the connection');
is(is_bound($tcp, $elsewhere, '192.0.2.7', $trust), 't', 'a proxy is believed');
is(is_bound($tcp, $here, '192.0.2.7', $trust),
	'f', 'and its own address counts no more');
is(is_bound($tcp, $here, undef, $trust), 'f', 'nor where it says nothing');
is(is_bound($tcp, $elsewhere, '192.0.2.7, 198.51.100.1', $trust),
	'f', 'the last one before the proxies counts');
is(is_bound($socket, $here, undef, ''), 'f', 'a socket has no address');
is(is_bound($socket, $elsewhere, '192.0.2.7', $trust),
	't', 'and is trusted as this machine is');
is(is_bound($socket, $elsewhere, '192.0.2.7', $trust_others),
	'f', 'and not else');

# An event has the address of the connection too, of a role that is nobody else.
my $last_address = q{SELECT coalesce(host(address), 'none') FROM apikeys.audit_event ORDER BY id DESC LIMIT 1};
$node->safe_psql('postgres', q{SELECT apikeys.create_organization('by TCP', 'user:owner')}, connstr => $tcp);
is($node->safe_psql('postgres', $last_address), '127.0.0.1', 'an event over TCP');
$node->safe_psql('postgres', q{SELECT apikeys.create_organization('by a socket', 'user:owner')});
is($node->safe_psql('postgres', $last_address), 'none', 'and over a socket');

# Headers are JSON, also in a database whose encoding lacks most characters.
$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'});
$node->safe_psql('latin', 'CREATE EXTENSION apikeys');
foreach (['A\u0041 \u007f', 'API key is not valid'], ['\u0130', 'malformed request'], ['\u0080', 'malformed request'])
{
	my ($header, $message) = @$_;
	my $said;

	$node->psql(
		'latin', qq{
		BEGIN;
		SELECT set_config('request.headers', '{"authorization": "Bearer unknown.key", "x-name": "$header"}', true);
		SELECT apikeys.authenticate_request()},
		stderr => \$said);
	like($said, qr/ERROR:  $message/, "a header with an escape: $header");
}

$node->stop;
done_testing();
