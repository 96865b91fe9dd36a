# A key that is bound to a transaction, behind a pooler that gives two
# connections to fifty clients, transaction by transaction: nobody is ever
# somebody else.  What one leaves in a session meets the next; what the recipes say
# against that.
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
	AND NOT EXISTS (SELECT FROM public.note));
};
my $authenticate = q{SELECT apikeys.authenticate('key' || :n, 'secret' || :n, NULL);
};
my $myself = q{SELECT assert(apikeys.current_key() = 'key' || :n AND apikeys.principal() = 'key:key' || :n
	AND apikeys.permits('notes.read') AND (SELECT array_agg(owner) FROM public.note) = ARRAY['key' || :n]);
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

# --- What one leaves in a session -----------------------------------------------

# What a client prints that sends this, line by line, and its errors.
sub answer
{
	my ($by, $script) = @_;
	my ($stdout, $stderr);

	IPC::Run::run [ 'psql', '-X', '-q', '-A', '-t', '-d', $by->connection ],
	  '<', \$script, '>', \$stdout, '2>', \$stderr;
	return "$stdout$stderr";
}

# One who can send statements plants a view, which comes before a table that is
# named without its schema: who reads it asks for a token of the key that is bound.
# Then another, of another key, reads what the application reads.
my $plant = q{BEGIN;
SELECT FROM apikeys.authenticate('key1', 'secret1', NULL);
CREATE TEMPORARY TABLE loot (token text);
CREATE FUNCTION pg_temp.rob() RETURNS text LANGUAGE sql
	AS $$ INSERT INTO pg_temp.loot VALUES (apikeys.issue_token('24 hours')) RETURNING 'robbed' $$;
CREATE TEMPORARY VIEW note AS SELECT pg_temp.rob() AS owner;
COMMIT;
};
my $read = q{BEGIN;
SELECT FROM apikeys.authenticate('key2', 'secret2', NULL);
SELECT owner FROM note;
COMMIT;
};
my $fetch = q{SELECT d.public_key FROM pg_temp.loot AS l, apikeys.decide_token(l.token, NULL::inet, 'notes.read') AS d;
};
my @reset = ('server_reset_query = DISCARD ALL', 'server_reset_query_always = 1');

sub with_pooler
{
	my ($work, @settings) = @_;
	my $one = Pooler->new($node, 1, 'service', @settings);

	$work->($one);
	$one->stop;
	return;
}

with_pooler(
	sub {
		my ($one) = @_;

		is(answer($one, $plant), '', 'a view is planted');
		is(answer($one, $read =~ s/FROM note/FROM public.note/r), "key2\n", 'who names the schema reads the table');
		is(answer($one, $fetch), '', 'and loses nothing');
		is(answer($one, $read), "robbed\n", 'who does not reads the view');
		is(answer($one, $fetch), "key2\n", 'and loses a token');
	});
with_pooler(
	sub {
		my ($one) = @_;

		is(answer($one, $plant), '', 'a view is planted in a session that is reset');
		is(answer($one, $read), "key2\n", 'the table is read');
		like(answer($one, $fetch), qr/relation "pg_temp\.loot" does not exist/, 'nothing is left');
		is( answer(
				$one, q{BEGIN;
				PREPARE planted AS SELECT 1;
				DECLARE planted CURSOR WITH HOLD FOR SELECT 1;
				LISTEN planted;
				SET search_path = planted;
				COMMIT;
				}),
			'',
			'nor of what else a transaction can leave');
		is( answer(
				$one, q{SELECT count(*) FROM pg_prepared_statements;
				SELECT count(*) FROM pg_cursors;
				SELECT count(*) FROM pg_listening_channels();
				SHOW search_path;
				}),
			qq{0\n0\n0\n"\$user", public\n},
			'all of it is gone');
		is(answer($one, q{ALTER ROLE CURRENT_USER SET search_path = planted}), '', 'but a role has settings');
	},
	@reset);
with_pooler(
	sub { is(answer($_[0], 'SHOW search_path'), "planted\n", 'which every later session begins with'); },
	@reset);
$node->safe_psql(
	'postgres', q{
	ALTER ROLE service RESET ALL;
	REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
});
with_pooler(
	sub {
		my ($one) = @_;

		like(answer($one, $plant), qr/permission denied to create temporary tables/, 'without TEMPORARY no view is planted');
		is(answer($one, $read), "key2\n", 'and the table is read');
	});

$node->stop;
done_testing();
