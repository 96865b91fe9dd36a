# DBD::Pg sends strings without a type, and makes an array of a reference to one.
use strict;
use warnings;

use DBI;
use JSON::PP;
use Test::More;

my $database = DBI->connect('dbi:Pg:', undef, undef, { AutoCommit => 1, RaiseError => 1, PrintError => 0 });
$database->{pg_enable_utf8} = 1;

sub rows { my ($sql, @parameters) = @_; return $database->selectall_arrayref($sql, undef, @parameters); }
sub row { return @{ rows(@_)->[0] }; }
sub decide_token { return (row('SELECT reason FROM apikeys.decide_token(?, ?, ?)', @_))[0]; }

my ($acme) = row('SELECT apikeys.organization(?)', 'Acme');

# Create.
my ($public_key, $private_key, $api_key) = row(
	'SELECT * FROM apikeys.create_key(?, ?, ?, ?, owner => ?, metadata => ?)',
	$acme, 'Reports', ['ORG_READ_ONLY'], [ '203.0.113.0/24', '2001:db8::/32' ],
	'customer 42', encode_json({ plan => 'pro' }));
is($api_key, "$public_key.$private_key", 'DBD::Pg: a key is created');

# Decide.
is_deeply(
	[ row('SELECT allowed, reason, owner, metadata FROM apikeys.decide(?, ?, ?, ?)', $public_key, $private_key, '203.0.113.7', 'clusters.read') ],
	[ 1, 'ok', 'customer 42', '{"plan": "pro"}' ], 'DBD::Pg: it is decided on');
is(decide_token($api_key, '2001:db8::1', 'clusters.read backups.read'), 'ok', 'DBD::Pg: and on its one string');
is(decide_token($api_key, '192.0.2.1', 'clusters.read'), 'address_denied', 'DBD::Pg: another address is denied');

# Change the list.
my ($added) = row('SELECT to_json(apikeys.add_to_access_list(?, ?))', $public_key, [ '192.0.2.0/28', '198.51.100.0/24' ]);
is_deeply(decode_json($added), [ '192.0.2.0/28', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32' ], 'DBD::Pg: networks are added');
my ($replaced) = row('SELECT to_json(access_list) FROM apikeys.update_key(?, access_list => ?)', $public_key, ['203.0.113.0/24']);
is_deeply(decode_json($replaced), ['203.0.113.0/24'], 'DBD::Pg: and replaced');

# List, two keys on a page: each begins after the last key of the one before.
row('SELECT * FROM apikeys.create_key(?, ?, ?)', $acme, $_, ['ORG_MEMBER']) foreach 'Backups', 'Nightly';
my $page = 'SELECT description, created_at, public_key FROM apikeys.keys
	WHERE organization_id = ? AND (created_at, public_key) < (?, ?)
	ORDER BY created_at DESC, public_key DESC LIMIT ?';
my $first = rows($page, $acme, 'infinity', '', 2);
is_deeply([ map { $_->[0] } @$first ], [ 'Nightly', 'Backups' ], 'DBD::Pg: a page');
my $second = rows($page, $acme, $first->[1][1], $first->[1][2], 2);
is_deeply([ map { $_->[0] } @$second ], ['Reports'], 'DBD::Pg: and the next');

# A key that does not expire.
my ($expires_at) = row('SELECT expires_at FROM apikeys.update_key(?, expires_at => ?)', $public_key, 'infinity');
is($expires_at, undef, 'DBD::Pg: no end is undef');

# Rotate.
my ($renewed) = row('SELECT apikeys.rotate_secret(?, ?)', $public_key, '0');
is_deeply(
	[ map { decide_token("$public_key.$_", '203.0.113.7', 'clusters.read') } $renewed, $private_key ],
	[ 'ok', 'secret_expired' ], 'DBD::Pg: the secret is rotated, and the old one denied');

# A refusal.
eval { row('SELECT apikeys.disable_key(?)', 'ak_pub_unknown') };
is($database->pg_error_field('constraint'), 'key_not_found', 'DBD::Pg: a refusal has an identifier');
done_testing();
