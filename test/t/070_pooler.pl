# A key that is bound to a transaction, behind a pooler that gives two
# connections to fifty clients, transaction by transaction: nobody is ever
# somebody else.
use strict;
use warnings;

use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib dirname(__FILE__);
use Pooler;

my $clients = 50;
my $transactions = 20_000;

my $node = PostgreSQL::Test::Cluster->new('pooled');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION apikeys;
	CREATE ROLE service LOGIN;
	SELECT apikeys.grant_access('service', 'decide');
	INSERT INTO apikeys.organization (id, name)
		SELECT ('10000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'organization ' || n FROM generate_series(1, 100) AS n;
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'key' || n, ('10000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'a key' FROM generate_series(1, 100) AS n;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT 'key' || n, 1, ('sha256$$' || encode(sha256(('secret' || n)::bytea), 'hex'))::apikeys.secret_hash, '' FROM generate_series(1, 100) AS n;
	INSERT INTO apikeys.key_role (public_key, organization_id, role)
		SELECT public_key, organization_id, 'ORG_READ_ONLY' FROM apikeys.key;
	CREATE TABLE note (organization_id uuid, owner text);
	INSERT INTO note SELECT organization_id, public_key FROM apikeys.key;
	GRANT SELECT ON note TO service;
	ALTER TABLE note ENABLE ROW LEVEL SECURITY;
	CREATE POLICY reader ON note FOR SELECT USING (
		organization_id = (SELECT apikeys.current_organization()) AND apikeys.permits('notes.read'));
	-- Raises an error where what must hold does not.
	CREATE FUNCTION assert(holds boolean) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF holds IS NOT TRUE THEN RAISE 'not so'; END IF;
	END $$;
});
my $pooler = Pooler->new($node, 2, 'service');
my $folder = PostgreSQL::Test::Utils::tempdir();

# Runs a script so often, by all clients; returns whether nothing has failed.
sub run_clients
{
	my ($name, $times, $script) = @_;
	my ($stdout, $stderr);
	my $each = $times / $clients;

	append_to_file("$folder/$name.sql", "\\set n random(1, 100)\n$script");
	my $ok = IPC::Run::run [
		'pgbench', '-n', '-c', $clients, '-j', '2', '-t', $each,
		'-f', "$folder/$name.sql", $pooler->connection
	  ],
	  '>', \$stdout, '2>', \$stderr;
	return $ok
	  && $stdout =~ m{transactions actually processed: $times/$times\b};
}

my $nobody = q{SELECT assert(apikeys.current_key() IS NULL AND apikeys.current_organization() IS NULL
	AND NOT apikeys.permits('notes.read') AND apikeys.principal() = 'role:service'
	AND NOT EXISTS (SELECT FROM note));
};
my $authenticate = q{SELECT apikeys.authenticate('key' || :n, 'secret' || :n, NULL);
};
my $myself = q{SELECT assert(apikeys.current_key() = 'key' || :n AND apikeys.principal() = 'key:key' || :n
	AND apikeys.permits('notes.read') AND (SELECT array_agg(owner) FROM note) = ARRAY['key' || :n]);
};

ok( run_clients(
		'bound', $transactions,
		"BEGIN;\n$nobody$authenticate$myself${myself}COMMIT;\n$nobody"),
	'each transaction is its own key, and nobody after it');
ok( run_clients(
		'rolled_back', 5000,
		"BEGIN;\n${nobody}SAVEPOINT a;\n$authenticate${myself}ROLLBACK TO a;\n${nobody}$authenticate${myself}ROLLBACK;\n$nobody"),
	'and when it is rolled back');
cmp_ok(
	$node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'service'}),
	'<=', 2, 'on two connections');

# That the clients do meet on a connection, and that an assertion can fail.
ok( !run_clients(
		'leak', 5000,
		q{SELECT assert(coalesce(current_setting('app.key', true), '') IN ('', 'key' || :n));
SET app.key = 'key:n';
}),
	'a setting leaks to others');
ok( !run_clients(
		'wrong', 1000,
		"BEGIN;\n${authenticate}SELECT assert(apikeys.current_key() = 'key1');\nCOMMIT;\n"),
	'one who asserts to be another fails');

$pooler->stop;
$node->stop;
done_testing();
