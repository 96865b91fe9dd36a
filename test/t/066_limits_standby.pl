# Limits on two servers: each has its own buckets; a quota sees what is replicated and
# what its own server has counted, and the sum is right once all is written.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.usage_flush_interval = '1h'
autovacuum = off
});
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION apikeys;
	CREATE ROLE apikeys_standby LOGIN;
	GRANT USAGE ON SCHEMA apikeys TO apikeys_standby;
	GRANT EXECUTE ON FUNCTION apikeys.merge_usage, apikeys.merge_quota_usage, apikeys.settle_usage TO apikeys_standby;
	INSERT INTO apikeys.organization (id, name)
		VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT k, '10000000-0000-0000-0000-000000000000', 'a key' FROM unnest('{K,K2,K3,K4}'::text[]) AS k;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1,
			('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
		FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key;
	SELECT apikeys.set_rate_limit('K', 5, '1000 h');
	SELECT apikeys.set_quota('K2', 10, 'ever');
	SELECT apikeys.set_quota('K3', 100, 'ever');
	SELECT apikeys.set_quota('K4', 10, 'ever')});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# What is said of the last of so many calls.
sub use_key
{
	my ($node, $key, $times) = @_;
	my @answers = split /\n/, $node->safe_psql(
		'postgres', qq{
		SELECT concat_ws(' ', d.reason, d.remaining)
		FROM generate_series(1, $times) AS n
			CROSS JOIN LATERAL apikeys.decide('$key', 'a secret', '192.0.2.1'::inet, 'clusters.read', cost => n - n + 1) AS d});

	return $answers[-1];
}

sub flush_usage
{
	my ($node) = @_;

	$node->safe_psql('postgres', 'SELECT apikeys.flush_usage()');
	return;
}

is(use_key($primary, 'K', 5), 'ok 0', 'a bucket of the primary');
is(use_key($primary, 'K', 1), 'rate_limited 0', 'is spent');
is(use_key($standby, 'K', 5), 'ok 0', 'and another one of the standby');
is(use_key($standby, 'K', 1), 'rate_limited 0', 'is spent too');

is(use_key($primary, 'K2', 6), 'ok 4', 'six are used on the primary');
flush_usage($primary);
$primary->wait_for_catchup($standby);
is(use_key($primary, 'K2', 2), 'ok 2', 'and two more, which are not written');
is(use_key($standby, 'K2', 1), 'ok 3', 'the standby sees what was replicated, and its own');
is(use_key($primary, 'K2', 1), 'ok 1', 'the primary its own');

# A standby sends what it has counted, each unit once.
$standby->append_conf('postgresql.conf', "apikeys.usage_primary_conninfo = '"
	  . $primary->connstr . " user=apikeys_standby'");
$standby->reload;
is(use_key($standby, 'K3', 20), 'ok 80', 'twenty on the standby');
is(use_key($primary, 'K3', 30), 'ok 70', 'thirty on the primary');
$standby->poll_query_until('postgres', q{SELECT current_setting('apikeys.usage_primary_conninfo') <> ''});
flush_usage($standby);
is(use_key($standby, 'K3', 1), 'ok 79', 'what was sent is counted once, before it has come back');
flush_usage($primary);
$primary->wait_for_catchup($standby);
is(use_key($standby, 'K3', 1), 'ok 48', 'and after, with what the primary has used');
flush_usage($standby);
is($primary->safe_psql('postgres', q{
	SELECT u.used FROM apikeys.quota_usage AS u JOIN apikeys.key AS k ON k.limits_id = u.subject WHERE k.public_key = 'K3'}),
	52, 'the sum is right');

# The primary is lost, with the three units that it has not written.
is(use_key($standby, 'K2', 1), 'quota_exceeded 0', 'ten are used of the other quota, on both');
is(use_key($primary, 'K4', 6), 'ok 4', 'six are used of a third');
flush_usage($primary);
is(use_key($primary, 'K4', 3), 'ok 1', 'and three more');
$primary->wait_for_catchup($standby);
is(use_key($standby, 'K4', 1), 'ok 3', 'of which the standby knows nothing');
$primary->stop('immediate');
$standby->promote;
is(use_key($standby, 'K4', 1), 'ok 2', 'it goes on from what is replicated and its own');
is(use_key($standby, 'K', 1), 'rate_limited 0', 'and its buckets are as they were');
flush_usage($standby);
is(use_key($standby, 'K3', 48), 'ok 0', 'nothing is lost of what was written');
is(use_key($standby, 'K3', 1), 'quota_exceeded 0', 'to the last unit');

done_testing();
