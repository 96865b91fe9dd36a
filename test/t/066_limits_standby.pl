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
		SELECT k, '10000000-0000-0000-0000-000000000000', 'a key' FROM unnest('{K,K2,K3,K4,L,M,P,R,Q}'::text[]) AS k;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1,
			('sha256$$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
		FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key;
	SELECT apikeys.set_rate_limit('K', 5, '1000 h');
	SELECT apikeys.set_quota('K2', 10, 'ever');
	SELECT apikeys.set_quota('K3', 100, 'ever');
	SELECT apikeys.set_quota('K4', 10, 'ever');
	SELECT apikeys.set_quota('L', 10, 'ever');
	SELECT apikeys.set_quota('M', 100, 'ever');
	SELECT apikeys.set_quota('P', 100, 'ever');
	SELECT apikeys.set_rate_limit('R', 10, '1000 h');
	SELECT apikeys.set_quota('Q', 1000, 'ever')});
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

# Each has a share: together they let through one limit, and what is left of a quota is
# divided again with each batch that is written and replicated.
sub set_share
{
	my ($node, $share) = @_;

	$node->append_conf('postgresql.conf', "apikeys.limit_share = $share");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('apikeys.limit_share')::float8 = $share");
	return;
}

# How many of so many calls pass.
sub count_passed
{
	my ($node, $key, $times) = @_;

	return $node->safe_psql('postgres', qq{
		SELECT count(*) FILTER (WHERE apikeys.authorize('$key', 'a secret', '192.0.2.1'::inet, 'clusters.read', cost => n - n + 1))
		FROM generate_series(1, $times) AS n});
}

sub written
{
	return $primary->safe_psql('postgres', q{
		SELECT coalesce(sum(u.used), 0) FROM apikeys.quota_usage AS u JOIN apikeys.key AS k ON k.limits_id = u.subject
		WHERE k.public_key = 'Q'});
}

set_share($primary, 0.7);
set_share($standby, 0.3);
is(use_key($primary, 'R', 1), 'ok 6', 'of ten at once the primary has seven');
is(count_passed($primary, 'R', 20), 6, 'and lets no more through');
is(count_passed($standby, 'R', 20), 3, 'and the standby three');
is($primary->safe_psql('postgres', q{SELECT requests, burst, remaining FROM apikeys.limits WHERE public_key = 'R'}), '10|10|0',
	'the view tells what the limit is, and what is left here');
is(use_key($standby, 'Q', 1), 'ok 299', 'of what is left of a quota, three tenths');
is(count_passed($standby, 'Q', 2000), 299, 'and no more');
is(count_passed($primary, 'Q', 2000), 700, 'the rest is the primary\'s: nothing passes that was not allowed, though neither knows of the other');
flush_usage($standby);
flush_usage($primary);
is(written(), 1000, 'all is used');
$primary->wait_for_catchup($standby);
is(count_passed($primary, 'Q', 5) + count_passed($standby, 'Q', 5), 0, 'and nothing is left on either');

# What each does not know of yet of the other may pass beyond the quota, times its
# share, and no more; where nobody writes meanwhile, nothing does.
$primary->safe_psql('postgres', q{SELECT apikeys.set_quota('Q', 2000, 'ever')});
$primary->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
my $passed = 1000;
my $unknown = 0;
for my $round (1 .. 3)
{
	my $here = count_passed($primary, 'Q', 1000);

	flush_usage($primary);
	$passed += $here;
	$unknown += $here;
}
is($unknown, 700 + 210 + 63, 'a server that writes gets its share of what is left then');
$passed += count_passed($standby, 'Q', 1000);
my $overrun = $passed - 2000;
note("passed beyond the quota: $overrun, bound " . 0.3 * $unknown);
flush_usage($standby);
is(count_passed($standby, 'Q', 1000), 0, 'and its own batches do not divide what is left again');
cmp_ok($overrun, '>', 0, 'a standby that lags lets through what others have used meanwhile');
cmp_ok($overrun, '<=', 0.3 * $unknown, 'its share of that at most');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
flush_usage($standby);
is(written(), $passed, 'and all is written');
set_share($_, 1) for $primary, $standby;

# What a standby has used itself it knows, however long replay stands still.
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
is(use_key($standby, 'L', 5), 'ok 5', 'five are used where replay stands still');
flush_usage($standby) for 1 .. 3;
is(use_key($standby, 'L', 5), 'ok 0', 'and five more, after the first were sent');
flush_usage($standby) for 1 .. 3;
is(use_key($standby, 'L', 1), 'quota_exceeded 0', 'and that is all');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby);

# And it learns what others have used, whatever it sends itself meanwhile.
is(use_key($standby, 'M', 10), 'ok 90', 'ten are used on a standby');
flush_usage($standby);
$primary->wait_for_catchup($standby);
is(use_key($primary, 'M', 40), 'ok 50', 'forty on the primary');
flush_usage($primary);
$primary->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
is(use_key($standby, 'M', 5), 'ok 45', 'then five on the standby');
flush_usage($standby) for 1 .. 2;
is(use_key($standby, 'M', 5), 'ok 40', 'and five more');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby);
flush_usage($standby) for 1 .. 2;
is($standby->safe_psql('postgres', 'SELECT limit_entries FROM apikeys.status()'), 2,
	'what has come back gives its room up, and buckets do not');

# The primary is lost, with the three units that it has not written.
is(use_key($standby, 'K2', 1), 'quota_exceeded 0', 'ten are used of the other quota, on both');
is(use_key($primary, 'K4', 6), 'ok 4', 'six are used of a third');
flush_usage($primary);
is(use_key($primary, 'K4', 3), 'ok 1', 'and three more');
$primary->wait_for_catchup($standby);
is(use_key($standby, 'K4', 1), 'ok 3', 'of which the standby knows nothing');
# What the standby has sent, and nothing has come back of, is lost with the primary too.
$standby->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = ''");
$standby->reload;
$standby->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_wal_receiver');
is(use_key($standby, 'P', 60), 'ok 40', 'sixty are used of a fourth on the standby');
flush_usage($standby);
is($primary->safe_psql('postgres', q{SELECT sum(used) FROM apikeys.quota_usage JOIN apikeys.key ON limits_id = subject WHERE public_key = 'P'}),
	60, 'and sent');
# A batch is being sent when that ends.
is(use_key($standby, 'M', 1), 'ok 39', 'one of another is used');
my $locker = $primary->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE apikeys.key_usage');
my $flusher = $standby->background_psql('postgres');
$flusher->query_until(qr/asked/, "\\echo asked\nSELECT apikeys.flush_usage();\n");
ok($primary->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"),
	'its count is on the way');
$primary->stop('immediate');
$standby->promote;
is(use_key($standby, 'P', 1), 'ok 39', 'but the standby knows what it has used');
flush_usage($standby);
is(use_key($standby, 'P', 1), 'ok 38', 'and writes it again');
flush_usage($standby) for 1 .. 2;
is($standby->safe_psql('postgres', q{SELECT sum(used) FROM apikeys.quota_usage JOIN apikeys.key ON limits_id = subject WHERE public_key = 'P'}),
	62, 'once');
is(use_key($standby, 'K4', 1), 'ok 2', 'it goes on from what is replicated and its own');
is(use_key($standby, 'K', 1), 'rate_limited 0', 'and its buckets are as they were');
flush_usage($standby);
is(use_key($standby, 'K3', 48), 'ok 0', 'nothing is lost of what was written');
is(use_key($standby, 'K3', 1), 'quota_exceeded 0', 'to the last unit');

$_->{run}->kill_kill foreach $locker, $flusher;
$standby->stop;

done_testing();
