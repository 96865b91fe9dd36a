# A streaming standby: decisions work there, revocations arrive there, and it
# can be promoted.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $project = '1a000000-0000-0000-0000-000000000000';

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'");
$primary->start;
$primary->safe_psql(
	'postgres', qq{
	CREATE EXTENSION apikeys;
	INSERT INTO apikeys.organization (id, name)
		VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.project (id, organization_id, name)
		VALUES ('$project', '10000000-0000-0000-0000-000000000000', 'A');
	SELECT apikeys.create_role('reader', 'project', '{}', '{clusters.read}', NULL);
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'key' || n, '10000000-0000-0000-0000-000000000000', 'a key'
		FROM generate_series(1, 6) AS n;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, ('sha256\$\$' || encode(sha256('a secret'), 'hex'))::apikeys.secret_hash, ''
		FROM apikeys.key;
	INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
		SELECT public_key, organization_id, '$project', 'reader' FROM apikeys.key;
});

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# The statement that asks for a decision.
sub ask
{
	my ($key) = @_;
	return
	  qq{SELECT reason FROM apikeys.decide('$key', 'a secret', '192.0.2.1', 'clusters.read', '$project')};
}

sub reason
{
	my ($node, $key) = @_;
	return $node->safe_psql('postgres', ask($key));
}

# Makes a change on the primary and waits until the standby has it.
sub change
{
	my ($statement) = @_;
	$primary->safe_psql('postgres', $statement);
	$primary->wait_for_catchup($standby);
	return;
}

$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'),
	't', 'the standby is one');
is(reason($standby, 'key1'), 'ok', 'decide works there');
is( $standby->safe_psql(
		'postgres',
		qq{SELECT apikeys.authorize('key1', 'a secret', '192.0.2.1', 'clusters.read', '$project')}
	),
	't',
	'authorize works there');
is( $standby->safe_psql('postgres',
		q{SELECT reason FROM apikeys.decide('key1', 'wrong', NULL, 'x')}),
	'wrong_secret',
	'a wrong secret is refused');
is( $standby->safe_psql(
		'postgres', qq{
		BEGIN;
		SELECT apikeys.authenticate('key1', 'a secret', '192.0.2.1');
		SELECT apikeys.permits('clusters.read', '$project'), apikeys.permits('clusters.read'), apikeys.principal();
		COMMIT;
		SELECT apikeys.current_key() IS NULL}),
	"key1\nt|f|key:key1\nt",
	'a key can be bound there');
is( $standby->safe_psql('postgres', 'SELECT count(*) FROM apikeys.keys'),
	'6', 'the view works there');

my ($status, $stdout, $stderr) =
  $standby->psql('postgres', q{SELECT apikeys.disable_key('key1')});
isnt($status, 0, 'nothing can be changed there');
like($stderr, qr/read-only transaction/, 'for it is read-only');

# A session that stays open, with its cache of roles filled.
my $session = $standby->background_psql('postgres');
is($session->query(ask('key1')), 'ok', 'a session asks');

change(q{SELECT apikeys.disable_key('key1')});
is($session->query(ask('key1')), 'key_disabled', 'disabled on the primary');
change(q{SELECT apikeys.enable_key('key1')});
is($session->query(ask('key1')), 'ok', 'enabled again');
change(q{SELECT apikeys.rotate_secret('key2')});
is($session->query(ask('key2')), 'secret_expired', 'rotated');
change(q{SELECT apikeys.delete_key('key3')});
is($session->query(ask('key3')), 'unknown_key', 'deleted');
change(q{SELECT apikeys.update_key('key4', access_list => '{198.51.100.0/24}')});
is($session->query(ask('key4')), 'address_denied', 'another list');
change(qq{SELECT apikeys.remove_from_project('key5', '$project')});
is($session->query(ask('key5')), 'scope_denied', 'taken out of the project');

# A role itself, in an open session and in an old transaction.
change(
	q{UPDATE apikeys.role SET project_permissions = '{other}' WHERE name = 'reader'}
);
is($session->query(ask('key1')),
	'scope_denied', 'the session has noticed that the role is another');
change(
	q{UPDATE apikeys.role SET project_permissions = '{clusters.*}' WHERE name = 'reader'}
);
is($session->query(ask('key1')), 'ok', 'and that it is so no more');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($session->query(ask('key1')), 'ok', 'in a transaction');
change(
	q{UPDATE apikeys.role SET project_permissions = '{}' WHERE name = 'reader'}
);
is($session->query(ask('key1')),
	'scope_denied', 'noticed in the middle of a transaction');
$session->query_safe('COMMIT');

# Promoted, it is a server like any other.
change(
	q{UPDATE apikeys.role SET project_permissions = '{clusters.read}' WHERE name = 'reader'}
);
$primary->stop;
$standby->promote;
is($session->query(ask('key1')), 'ok', 'the session continues');
is(reason($standby, 'key2'), 'secret_expired', 'what was revoked, is');
$standby->safe_psql('postgres', q{SELECT apikeys.disable_key('key6')});
is($session->query(ask('key6')), 'key_disabled', 'keys can be revoked there');
is( $standby->safe_psql(
		'postgres', q{
		SELECT d.reason
		FROM apikeys.create_key('10000000-0000-0000-0000-000000000000', 'new', '{ORG_OWNER}') AS k
			CROSS JOIN LATERAL apikeys.decide(k.public_key, k.private_key, NULL, 'clusters.read') AS d
	}),
	'ok',
	'and made');
$session->quit;
$standby->stop;

done_testing();
