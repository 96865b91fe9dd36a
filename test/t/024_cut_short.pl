# Each verb is cut short: cancelled after any time, rolled back to a savepoint,
# prepared and committed or rolled back, and by a crash of the server.  What is
# left is all of it or nothing: rows, images and events agree.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'\nmax_prepared_transactions = 2\n");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION apikeys;
	CREATE ROLE manager LOGIN;
	SELECT apikeys.grant_access('manager', 'manage');
	INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'Acme');
	INSERT INTO apikeys.project (id, organization_id, name)
		VALUES ('1a000000-0000-0000-0000-000000000000', '10000000-0000-0000-0000-000000000000', 'A');
	SELECT apikeys.add_member('10000000-0000-0000-0000-000000000000', 'role:manager', 'ORG_OWNER');
	SELECT count(apikeys.import_key('10000000-0000-0000-0000-000000000000', 'key' || n,
		('sha256$$' || repeat('0', 64))::apikeys.secret_hash, 'a key', '{ORG_MEMBER}', '{192.0.2.0/24,198.51.100.0/24}'))
	FROM generate_series(1, 40) AS n;
	CREATE TABLE staging AS SELECT 'staged' || n AS public_key, 'sha256$$' || repeat('0', 64) AS hash, 'a key' AS description
	FROM generate_series(1, 200) AS n;
	GRANT SELECT ON staging TO manager;
});

my $organization = "'10000000-0000-0000-0000-000000000000'";
my $project = "'1a000000-0000-0000-0000-000000000000'";
my @verbs = (
	"apikeys.rename_organization($organization, 'Renamed')",
	"apikeys.set_organization_policy($organization, max_rotation_overlap => '2 days')",
	"apikeys.create_project($organization, 'New')",
	"apikeys.rename_project($project, 'Renamed')",
	"apikeys.add_member($organization, 'user:1', 'ORG_MEMBER')",
	"apikeys.remove_member($organization, 'user:1', 'ORG_MEMBER')",
	"apikeys.create_key($organization, 'a key', '{ORG_MEMBER}')",
	"apikeys.create_project_key($project, 'a key', '{GROUP_READ_ONLY}')",
	"apikeys.update_key('key1', 'another')",
	"apikeys.set_organization_roles('key2', '{ORG_READ_ONLY}')",
	"apikeys.set_project_roles('key3', $project, '{GROUP_READ_ONLY}')",
	"apikeys.remove_from_project('key3', $project)",
	"apikeys.add_to_access_list('key4', '10.0.0.0/8')",
	"apikeys.remove_from_access_list('key5', '192.0.2.0/24')",
	"apikeys.rotate_secret('key6', '1 day')",
	"apikeys.revoke_secret('key6', 1)",
	"apikeys.disable_key('key7')",
	"apikeys.enable_key('key7')",
	"apikeys.delete_key('key8')",
	"apikeys.import_key($organization, 'new', ('sha256\$\$' || repeat('0', 64))::apikeys.secret_hash, 'a key', '{}')",
	"apikeys.check_import($organization, 'staging')",
	"apikeys.import_keys($organization, 'staging')",
	"apikeys.disable_keys(description => 'a key', dry_run => false)",
	"apikeys.delete_keys(description => 'another', dry_run => false)",
	"apikeys.delete_project($project)");

# All rows but events, and how many events there are.
sub state_of
{
	return $node->safe_psql('postgres', join ';',
		(map { "SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text COLLATE \"C\"), '')) FROM apikeys.$_ AS t" }
			qw(organization project member key key_role key_secret deleted_key key_image)),
		'SELECT count(*) FROM apikeys.audit_event');
}

sub images_differ
{
	return $node->safe_psql('postgres', q{
		SELECT count(*) FROM apikeys.key_image AS i FULL JOIN apikeys.key_image_source AS s USING (public_key)
		WHERE i::text IS DISTINCT FROM s::text});
}

# By the manager; how psql ended, and who the session was after it.
sub try
{
	my ($script) = @_;
	my ($stdout, $stderr) = ('', '');

	$node->psql('postgres', "$script\nSELECT 'then ' || current_user;",
		extra_params => [ '-U', 'manager' ], on_error_stop => 0,
		stdout => \$stdout, stderr => \$stderr);
	return ($stdout, $stderr);
}

foreach my $verb (@verbs)
{
	my ($name) = $verb =~ /apikeys\.(\w+)/;
	my $before = state_of();
	my ($stdout, $stderr);

	# The longer it may take, the further it gets.
	my @wrong;
	foreach my $milliseconds (1 .. 6)
	{
		# The timeout may also meet a ROLLBACK, where the machine is busy.
		($stdout, $stderr) = try(
			"BEGIN; SET LOCAL statement_timeout = $milliseconds; SELECT $verb;" . ' ROLLBACK;' x 5);
		push @wrong, "after $milliseconds ms: $stderr"
		  if state_of() ne $before || $stdout !~ /then manager/;
	}
	is("@wrong", '', "$name: cancelled, nothing is left");

	($stdout, $stderr) = try("BEGIN; SAVEPOINT a; SELECT $verb; ROLLBACK TO a; COMMIT;");
	is($stderr, '', "$name can be done");
	is(state_of(), $before, "$name: rolled back to a savepoint, nothing is left");

	try("BEGIN; SELECT $verb; PREPARE TRANSACTION 'cut'; ROLLBACK PREPARED 'cut';");
	is(state_of(), $before, "$name: prepared and rolled back, nothing is left");

	($stdout, $stderr) = try("BEGIN; SELECT $verb; PREPARE TRANSACTION 'cut';");
	is($stderr, '', "$name: prepared");
	# Prepared, it outlives the server; committed, it is whole.
	$node->stop('immediate');
	$node->start;
	is(state_of(), $before, "$name: after a crash nothing is seen of what is prepared");
	try("COMMIT PREPARED 'cut';");
	isnt(state_of(), $before, "$name: committed, it is done") unless $name eq 'check_import';
	is(images_differ(), '0', "$name: the images agree");
}
# --- A client that does not read ---------------------------------------------------

# While an event is inserted others wait, so that nothing is sent to the client: not even
# the plan, which it can ask for.
my ($answer, $messages);
$node->psql('postgres', q{
	SET client_min_messages = log;
	SET debug_print_plan = on;
	SET debug_print_parse = on;
	SET debug_print_rewritten = on;
	SELECT apikeys.create_project('10000000-0000-0000-0000-000000000000', 'Talkative') IS NOT NULL},
	stdout => \$answer, stderr => \$messages, extra_params => [ '-U', 'manager' ]);
is($answer, 't', 'a project is created');
like($messages, qr/:resname owner|:resname name/, 'with plans for the client');
unlike($messages, qr/:resname database_role/, 'but not of the event');

$node->stop;

done_testing();
