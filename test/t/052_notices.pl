# While PostgreSQL's queue of notifications, which any role can fill, has no room, changes
# are made all the same.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('notices');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'apikeys'
apikeys.notify = on
});
plan skip_all => 'before 17 the queue takes 8 GB' if $node->pg_version < 17;

$node->append_conf('postgresql.conf', 'max_notify_queue_pages = 64');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		VALUES ('key', '10000000-0000-0000-0000-000000000000', 'a key');
	CREATE ROLE stranger LOGIN});

my $listener = $node->background_psql('postgres', extra_params => [ '-U', 'stranger' ]);
$listener->query_safe('LISTEN anything');
$listener->query_safe('BEGIN');
$listener->query_safe('SELECT pg_current_xact_id_if_assigned()');
my $full = 0;
for my $n (1 .. 1000)
{
	my ($status) = $node->psql('postgres',
		"SELECT count(pg_notify('anything', repeat('$n', 1000) || i)) FROM generate_series(1, 20) AS i",
		extra_params => [ '-U', 'stranger' ], stderr => \my $error);

	$full = $status != 0 && $error =~ /too many notifications/;
	last if $full;
}
ok($full, 'the queue is full');
is($node->safe_psql('postgres', q{SELECT apikeys.disable_key('key')}),
	't', 'a key is disabled');
is($node->safe_psql('postgres', q{SELECT disabled_at IS NOT NULL FROM apikeys.key}),
	't', 'and stays so');
like($node->safe_psql('postgres', 'SELECT advice FROM apikeys.status()'),
	qr/queue of notifications/, 'somebody is told');
$listener->quit;
$node->poll_query_until('postgres', 'SELECT pg_notification_queue_usage() < 0.5')
  or die 'the queue stays full';
my $heard = $node->background_psql('postgres');
$heard->query_safe('LISTEN apikeys');
$node->safe_psql('postgres', q{SELECT apikeys.enable_key('key')});
like($heard->query('SELECT 1'), qr/key\.enabled/, 'then changes are told of again');
$heard->quit;

done_testing();
