# pg_stat_statements keeps no secret that stands in a statement which it can
# normalize, and none that is bound; nor does another role see one in
# pg_stat_activity; and plans of the extension's own statements have none.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'pg_stat_statements, apikeys'
pg_stat_statements.track = all
pg_stat_statements.track_utility = on
track_activity_query_size = 16kB
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION pg_stat_statements;
	CREATE EXTENSION apikeys;
	CREATE ROLE stranger LOGIN;
	SELECT apikeys.create_organization('Acme', 'user:owner');
});
my ($key, $secret) = split /\|/, $node->safe_psql(
	'postgres', q{
	SELECT * FROM apikeys.create_key(apikeys.organization('Acme'), 'a key', '{ORG_OWNER}')});
my $hash = $node->safe_psql('postgres',
	qq{SELECT encode(sha256('$secret'), 'hex')});

# What is kept that has the text in it.
sub kept
{
	my ($text) = @_;
	return $node->safe_psql('postgres',
		q{SELECT query FROM pg_stat_statements WHERE strpos(query, reverse('}
		  . reverse($text)
		  . q{')) > 0});
}

# Literals, in each statement that takes a secret or a hash.
foreach my $statement (
	"SELECT apikeys.authorize('$key', '$secret', NULL, 'a.read')",
	"SELECT * FROM apikeys.decide('$key', '$secret', NULL, 'a.read')",
	"SELECT apikeys.require('$key', '$secret', NULL, 'a.read')",
	"SELECT apikeys.authenticate('$key', '$secret', NULL)",
	"SELECT apikeys.verify('sha256\$\$$hash', '$key', '$secret')",
	"SELECT apikeys.find_leaked('found: $secret')",
	"SELECT apikeys.import_key(apikeys.organization('Acme'), 'imported', 'sha256\$\$$hash', 'a key', '{}')",
	"INSERT INTO apikeys.key_secret (public_key, version, hash, hint) VALUES ('imported', 2, 'sha256\$\$$hash', '')",
	"UPDATE apikeys.key_secret SET hash = 'sha256\$\$$hash' WHERE public_key = 'imported'",
	"WITH d AS (SELECT * FROM apikeys.decide('$key', '$secret', NULL, 'a.read')) SELECT reason FROM d",
	"SELECT apikeys.revoke_leaked('$secret')")
{
	$node->safe_psql('postgres', $statement);
}
like($node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements'),
	qr/apikeys\.authorize\(\$1, \$2/, 'statements are kept');
is(kept($secret), '', 'no secret of a literal');
is(kept($hash), '', 'no hash of a literal');

# Bound, as pgbench binds.
my $folder = PostgreSQL::Test::Utils::tempdir();
append_to_file(
	"$folder/bound.sql", q{
SELECT public_key AS key, private_key AS secret FROM apikeys.create_key(apikeys.organization('Acme'), 'bound', '{ORG_OWNER}') \gset
SELECT apikeys.authorize(:key, :secret, NULL, 'a.read');
SELECT apikeys.rotate_secret(:key) AS second \gset
SELECT apikeys.authorize(:key, :second, NULL, 'a.read');
});
$node->command_ok(
	[ 'pgbench', '-n', '-t', '1', '-M', 'prepared', '-f', "$folder/bound.sql", 'postgres' ],
	'statements with parameters');
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_stat_statements WHERE query ~ '_sec_[0-9A-Za-z]{49}'}),
	'0',
	'nothing that looks like a secret is kept');
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) FROM pg_stat_statements AS p, apikeys.key_secret AS s
		WHERE strpos(p.query, split_part(s.hash::text, '$', 3)) > 0}),
	'0',
	'nor a hash');

# What README warns of: the body of DO is a text that nothing normalizes.
$node->safe_psql('postgres',
	"DO \$\$ BEGIN PERFORM apikeys.authorize('$key', '$secret', NULL, 'a.read'); END \$\$"
);
like(kept($secret), qr/^DO /, 'but a DO block is kept as it is');

# Another session, which has just asked with a literal.
my $session = $node->background_psql('postgres');
my $pid = $session->query('SELECT pg_backend_pid()');
$session->query("SELECT apikeys.authorize('$key', '$secret', NULL, 'a.read')");
my $look = qq{
	SELECT count(*), count(*) FILTER (WHERE strpos(query, '_sec_') > 0) FROM pg_stat_activity
	WHERE pid = $pid};
is($node->safe_psql('postgres', $look), '1|1', 'a superuser sees it');
is($node->safe_psql('postgres', "SET ROLE stranger; $look"),
	'1|0', 'another role does not');
is( $node->safe_psql(
		'postgres',
		q{SET ROLE stranger; SELECT count(*) FROM pg_stat_statements WHERE query ~ '_sec_'}
	),
	'0',
	'nor what pg_stat_statements has kept');
$session->quit;

# What is notified, and what is audited.
is( $node->safe_psql(
		'postgres',
		q{SELECT count(*) FROM apikeys.audit_event AS e WHERE e::text ~ '_sec_|blake2b|sha256'}
	),
	'0',
	'nothing of it is in the audit');
my $told = $node->safe_psql('postgres', qq{
	LISTEN apikeys;
	SET apikeys.notify = on;
	SELECT apikeys.rotate_secret('$key') \\g /dev/null
	SELECT apikeys.import_key(apikeys.organization('Acme'), 'told', 'sha256\$\$$hash', 'a key', '{}');
	SELECT apikeys.delete_key('told');
});
like($told, qr/"action": "key\.secret_rotated", "public_key": "\Q$key\E"/,
	'a rotation is told');
unlike($told, qr/_sec_|$hash|sha256|blake2b/, 'but not the secret');

# What auto_explain logs of the extension's own statements, most of it asked for.
my $logged_from = -s $node->logfile;
$node->safe_psql('postgres', qq{
	LOAD 'auto_explain';
	SET auto_explain.log_min_duration = 0;
	SET auto_explain.log_nested_statements = on;
	SET auto_explain.log_verbose = on;
	SELECT current_setting('auto_explain.log_parameter_max_length', true) IS NOT NULL AS logs_parameters \\gset
	\\if :logs_parameters
		SET auto_explain.log_parameter_max_length = 0;
	\\endif
	CREATE TABLE source AS SELECT 'explained' AS public_key, hash::text, 'a key' AS description, '{ORG_READ_ONLY}'::text[] AS roles
		FROM apikeys.key_secret WHERE public_key = '$key' ORDER BY version DESC LIMIT 1;
	CREATE TABLE made AS SELECT k.* FROM apikeys.create_key(apikeys.organization('Acme'), 'a key', '{ORG_OWNER}') AS k;
	CREATE TABLE secret AS SELECT apikeys.rotate_secret(public_key) AS private_key FROM made;
	INSERT INTO secret SELECT apikeys.rotate_secret(public_key, '1 day') FROM made;
	SELECT apikeys.import_keys(apikeys.organization('Acme'), 'source');
	SELECT apikeys.import_key(apikeys.organization('Acme'), 'alone', hash::apikeys.secret_hash, 'a key', roles) FROM source;
	SELECT apikeys.revoke_leaked(private_key) FROM secret;
});
my $plans = slurp_file($node->logfile, $logged_from);
like($plans, qr/Query Text: .*Function Scan on/s, 'plans are logged');
unlike($plans, qr/insert_keys[^\n]*(?:blake2b|sha256)/, 'no hash of a new key');
my @texts = split /\n/, $node->safe_psql('postgres', q{
	SELECT split_part(s.hash::text, '$', -1) FROM apikeys.key_secret AS s
	UNION ALL SELECT private_key FROM secret});
is(scalar(grep { index($plans, $_) >= 0 } @texts), 0, scalar(@texts) . ' secrets and hashes, none of them is in a plan');
# Nor do estimates tell a role without SELECT which values are frequent.
$node->safe_psql(
	'postgres', q{
	CREATE ROLE decider LOGIN;
	SELECT apikeys.grant_access('decider', 'decide');
	SELECT apikeys.add_member(apikeys.organization('Acme'), 'user:frequent', 'GROUP_READ_ONLY',
		apikeys.create_project(apikeys.organization('Acme'), 'project ' || n))
	FROM generate_series(1, 200) AS n;
	ANALYZE apikeys.member;
	CREATE ROLE manager;
	SELECT apikeys.grant_access('manager', 'manage');
	REVOKE SELECT (hint) ON apikeys.key_secret FROM manager;
	INSERT INTO apikeys.organization (id, name) VALUES ('20000000-0000-0000-0000-000000000000', 'Sealed');
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'sealed' || n, '20000000-0000-0000-0000-000000000000', 'a key' FROM generate_series(1, 1000) AS n;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, ('sha256$$' || encode(sha256(public_key::bytea), 'hex'))::apikeys.secret_hash, ''
		FROM apikeys.key WHERE public_key ~ '^sealed';
	ANALYZE apikeys.key_secret});

# The rows that a role expects, before it is told that it may not read them.
sub estimate
{
	my ($role, $condition) = @_;
	my $said;

	$node->psql(
		'postgres', qq{
		SET ROLE $role;
		SET client_min_messages = log;
		SET debug_print_plan = on;
		SELECT FROM apikeys.$condition},
		stderr => \$said);
	return ($said =~ /plan_rows (\d+)/)[0];
}

cmp_ok(estimate('none', "member WHERE principal = 'user:frequent'"), '>', 100, 'who may read a table is told what is frequent');
is(estimate('decider', "member WHERE principal = 'user:frequent'"), estimate('decider', "member WHERE principal = 'user:nobody'") // 'nothing',
	'who may not read it is not');
my $none = "key_secret WHERE hint = ''";
cmp_ok(estimate('none', $none), '>', 900, 'a superuser is told how many have no hint');
cmp_ok(estimate('manager', $none) // 0, '<', 100, 'who may read the table, but not the column, is not');

# pg_read_all_data reads statistics: there are none of what is sealed.
is($node->safe_psql('postgres', q{
	SELECT string_agg(a.attname, ' ') FROM pg_statistic AS s JOIN pg_attribute AS a ON (a.attrelid, a.attnum) = (s.starelid, s.staattnum)
	WHERE a.attrelid = 'apikeys.key_secret'::regclass
		AND (a.attname = 'digest' OR a.attname = 'hash' AND (s.stavalues1 IS NOT NULL OR s.stavalues2 IS NOT NULL))}),
	'', 'no statistics have hashes or what is sealed');

$node->stop;

done_testing();
