# Logical replication of the tables to another cluster: keys pass there, and
# what is changed on the publisher holds there as soon as it has arrived.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $organization = '10000000-0000-0000-0000-000000000000';
my $project = '1a000000-0000-0000-0000-000000000000';

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'");
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'\nwal_retrieve_retry_interval = '100ms'");
$subscriber->start;
$_->safe_psql('postgres', 'CREATE EXTENSION apikeys')
  foreach $publisher, $subscriber;

$publisher->safe_psql(
	'postgres', qq{
	INSERT INTO apikeys.organization (id, name) VALUES ('$organization', 'Acme');
	INSERT INTO apikeys.project (id, organization_id, name) VALUES ('$project', '$organization', 'A');
	SELECT apikeys.add_member('$organization', 'user:owner', 'ORG_OWNER');
	SELECT apikeys.create_role('reader', 'project', '{}', '{clusters.read}', NULL);
	CREATE TABLE issued AS
		SELECT n, k.* FROM generate_series(1, 9) AS n
			CROSS JOIN LATERAL (SELECT n) AS dependent (m)
			CROSS JOIN LATERAL apikeys.create_project_key('$project', 'key ' || m, '{reader}', '{192.0.2.0/24}') AS k;
	CREATE PUBLICATION keys FOR TABLE apikeys.organization, apikeys.project, apikeys.role,
		apikeys.member, apikeys.key, apikeys.key_network, apikeys.key_role, apikeys.key_secret,
		apikeys.key_limit, apikeys.organization_limit, apikeys.deleted_key;
});

# Tables in a publication of all tables can still be changed.
$publisher->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
is( $publisher->safe_psql('postgres', q{
		SELECT apikeys.authorize(public_key, private_key, '192.0.2.1', 'clusters.read', '} . $project . q{') FROM issued WHERE n = 9;
		SELECT apikeys.flush_usage();
		SELECT apikeys.disable_key(public_key) FROM issued WHERE n = 9;
		SELECT apikeys.enable_key(public_key) FROM issued WHERE n = 9;
		CREATE TABLE moment AS SELECT * FROM apikeys.create_project_key('} . $project . q{', 'for a moment', '{reader}');
		SELECT length(apikeys.rotate_secret(public_key)) > 0 FROM moment;
		SELECT apikeys.delete_key(public_key) FROM moment}),
	"t\n\nt\nt\nt\nt", 'a publication of all tables is in nobody\'s way');
$publisher->safe_psql('postgres', 'DROP PUBLICATION everything');

# The built-in roles come from the publisher too.
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql(
	'postgres', qq{
	DELETE FROM apikeys.role;
	CREATE SUBSCRIPTION keys CONNECTION '$connection' PUBLICATION keys;
});
$subscriber->wait_for_subscription_sync($publisher, 'keys');
# Tables are copied side by side: one does not see what another has got.
is($subscriber->safe_psql('postgres', 'SELECT apikeys.rebuild_images()'),
	'9', 'the images of the keys that were copied');

my %keys = map { my ($n, @key) = split /\|/; $n => \@key } split /\n/,
  $publisher->safe_psql('postgres', 'SELECT * FROM issued ORDER BY n');

sub reason
{
	my ($node, $n, $secret, $database) = @_;
	$secret //= $keys{$n}[1];
	return $node->safe_psql($database // 'postgres',
		qq{SELECT reason FROM apikeys.decide('$keys{$n}[0]', '$secret', '192.0.2.1', 'clusters.read', '$project')}
	);
}

# Makes a change on the publisher, waits until it has arrived, and returns what
# the statement has printed.
sub change
{
	my ($statement, $subscription) = @_;
	my $printed = $publisher->safe_psql('postgres', $statement);
	$publisher->wait_for_catchup($subscription // 'keys');
	return $printed;
}

# What is decided there, and that it is what the publisher decides.
sub arrives
{
	my ($n, $reason, $what) = @_;
	is(reason($publisher, $n), $reason, "$what: on the publisher");
	is(reason($subscriber, $n), $reason, "$what: on the subscriber");
	return;
}

arrives($_, 'ok', "key $_, copied") foreach 1 .. 9;
is(reason($subscriber, 1, 'another secret'),
	'wrong_secret', 'but not with another secret');

change("SELECT apikeys.disable_key('$keys{1}[0]')");
arrives(1, 'key_disabled', 'a key is disabled');
change("SELECT apikeys.enable_key('$keys{1}[0]')");
arrives(1, 'ok', 'and enabled');

my $second = change("SELECT apikeys.rotate_secret('$keys{2}[0]')");
arrives(2, 'secret_expired', 'a secret is rotated');
is(reason($subscriber, 2, $second), 'ok', 'the new one passes');
my $third = change("SELECT apikeys.rotate_secret('$keys{2}[0]', '1 hour')");
is(reason($subscriber, 2, $second), 'ok', 'one that lives on passes');
is(reason($subscriber, 2, $third), 'ok', 'and the newest one');
change("SELECT apikeys.revoke_secret('$keys{2}[0]', 2)");
is(reason($subscriber, 2, $second), 'secret_expired', 'until it is ended');
is(reason($subscriber, 2, $third), 'ok', 'which the newest one is not');

change("SELECT apikeys.delete_key('$keys{3}[0]')");
arrives(3, 'unknown_key', 'a key is deleted');
change("SELECT apikeys.update_key('$keys{4}[0]', access_list => '{198.51.100.0/24}')");
arrives(4, 'address_denied', 'an access list is changed');
change("SELECT apikeys.update_key('$keys{5}[0]', expires_at => '2001-01-01')");
arrives(5, 'key_expired', 'a key expires');
change("SELECT apikeys.remove_from_project('$keys{6}[0]', '$project')");
arrives(6, 'scope_denied', 'a key is taken out of the project');
change("SELECT apikeys.set_project_roles('$keys{6}[0]', '$project', '{GROUP_READ_ONLY}')");
arrives(6, 'ok', 'and put into it with another role');
change("SELECT apikeys.set_organization_roles('$keys{6}[0]', '{ORG_READ_ONLY}')");
is( $subscriber->safe_psql(
		'postgres',
		qq{SELECT reason FROM apikeys.decide('$keys{6}[0]', '$keys{6}[1]', '192.0.2.1', 'clusters.read')}
	),
	'ok',
	'a role in the organization');

# What sessions keep in memory: roles and the organizations' policies.
my $session = $subscriber->background_psql('postgres');
my $ask =
  "SELECT reason FROM apikeys.decide('$keys{7}[0]', '$keys{7}[1]', '192.0.2.1', 'clusters.read', '$project')";
is($session->query($ask), 'ok', 'a session asks');
change(q{UPDATE apikeys.role SET project_permissions = '{clusters.write}' WHERE name = 'reader'});
is($session->query($ask), 'scope_denied', 'a role is changed');
change(q{UPDATE apikeys.role SET project_permissions = '{clusters.*}' WHERE name = 'reader'});
is($session->query($ask), 'ok', 'and changed back');
change(qq{SELECT apikeys.set_organization_policy('$organization', NULL, '1 day', NULL)});
is($session->query($ask), 'lifetime_exceeded', 'a policy is set');
change(qq{SELECT apikeys.set_organization_policy('$organization', NULL, NULL, NULL)});
is($session->query($ask), 'ok', 'and lifted');
$session->quit;

# Keys that come later: by the functions, and by statements about many.
my ($new_key, $new_secret) = split /\|/,
  change(qq{SELECT * FROM apikeys.create_project_key('$project', 'new', '{reader}')});
$keys{10} = [ $new_key, $new_secret ];
arrives(10, 'ok', 'a new key');
change(
	qq{
	INSERT INTO apikeys.key (public_key, organization_id, description)
		SELECT 'many' || n, '$organization', 'a key' FROM generate_series(1, 500) AS n;
	INSERT INTO apikeys.key_secret (public_key, version, hash, hint)
		SELECT public_key, 1, ('sha256\$\$' || encode(sha256(public_key::bytea), 'hex'))::apikeys.secret_hash, ''
		FROM apikeys.key WHERE public_key ~ '^many';
	INSERT INTO apikeys.key_role (public_key, organization_id, project_id, role)
		SELECT public_key, organization_id, '$project', 'reader' FROM apikeys.key WHERE public_key ~ '^many';
});
my $ask_many = qq{
	SELECT d.reason, count(*) FROM apikeys.key AS k
		CROSS JOIN LATERAL apikeys.decide(k.public_key, k.public_key, NULL, 'clusters.read', '$project') AS d
	WHERE k.public_key ~ '^many' GROUP BY d.reason ORDER BY d.reason
};
is($subscriber->safe_psql('postgres', $ask_many), 'ok|500', 'many new keys');
change(q{UPDATE apikeys.key SET disabled_at = now() WHERE public_key ~ '^many.*[02468]$'});
is($subscriber->safe_psql('postgres', $ask_many),
	"key_disabled|250\nok|250", 'half of them are disabled');
change(q{DELETE FROM apikeys.key WHERE public_key ~ '^many.*[02468]$'});
is($subscriber->safe_psql('postgres', $ask_many),
	'ok|250', 'those are deleted');

# What the subscriber counts.

sub on_subscriber
{
	my ($query) = @_;
	return $subscriber->safe_psql('postgres', $query);
}

# What was spent of a limit ends with it: the limit, the limits of a key, the key,
# the organization.
sub entries
{
	return on_subscriber('SELECT limit_entries FROM apikeys.status()');
}
is(entries(), 0, 'nothing is spent');
my $limited = $keys{8}[0];
change("SELECT apikeys.set_rate_limit('$limited', 1, '200 days')");
is(join(' ', map { reason($subscriber, 8) } 1 .. 2), 'ok rate_limited', 'a limit arrives');
is(entries(), 1, 'something is spent of it');
change("SELECT apikeys.reset_limits('$limited')");
is(entries(), 0, 'it is reset');
is(reason($subscriber, 8), 'ok', 'as if nothing had been spent');
change("SELECT apikeys.set_organization_rate_limit('$organization', 100, '200 days')");
is(reason($subscriber, 7), 'ok', 'a limit of the organization');
is(entries(), 2, 'something is spent of it');
change("SELECT apikeys.set_organization_rate_limit('$organization', NULL)");
is(entries(), 1, 'it ends');

# An entry that was removed and added again starts at zero, with the time of that.
my $counted = qq{SELECT coalesce(sum(use_count), 0) FROM apikeys.access_list_entries WHERE public_key = '$limited'};
my $dated = qq{SELECT network, created_at FROM apikeys.access_list_entries WHERE public_key = '$limited'};
change("SELECT apikeys.set_quota('$limited', 100, 'ever')");
change("SELECT apikeys.set_rate_limit('$limited', NULL)");
is(reason($subscriber, 8), 'ok', 'a use by an entry');
on_subscriber('SELECT apikeys.flush_usage()');
isnt(on_subscriber($counted), 0, 'is counted');
change("SELECT apikeys.update_key('$limited', access_list => '{198.51.100.0/24}')");
change("SELECT apikeys.update_key('$limited', access_list => '{192.0.2.0/24}')");
is(on_subscriber($counted), 0, 'the same entry, later, has no use');
is(on_subscriber($dated), $publisher->safe_psql('postgres', $dated), 'and is as old as on the publisher');

my $kept = qq{SELECT EXISTS (SELECT FROM apikeys.quota_usage), EXISTS (SELECT FROM apikeys.key_usage WHERE public_key = '$limited'),
	EXISTS (SELECT FROM apikeys.key_network WHERE public_key = '$limited')};
is(on_subscriber($kept), 't|t|t', 'what is kept of a key');
change("SELECT apikeys.delete_key('$limited')");
on_subscriber('SELECT apikeys.flush_usage()');
is(on_subscriber($kept), 'f|f|f', 'goes with it');
is(entries(), 0, 'also from memory');

# A key that holds much: its image is made once for all rows of a transaction.
$subscriber->safe_psql(
	'postgres', q{
	CREATE SEQUENCE made;
	CREATE FUNCTION count_made() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM nextval('public.made'); RETURN NULL; END$$;
	CREATE TRIGGER count_made AFTER INSERT OR UPDATE ON apikeys.key_image FOR EACH ROW EXECUTE FUNCTION count_made();
	ALTER TABLE apikeys.key_image ENABLE ALWAYS TRIGGER count_made;
});
change(qq{
	SELECT apikeys.set_organization_roles('many1', '{}', ARRAY(SELECT 'a.p' || n FROM generate_series(1, 1000) AS n));
	SELECT apikeys.set_organization_roles('many3', '{}', '{b.p}')});
is( $subscriber->safe_psql(
		'postgres',
		q{SELECT public_key, cardinality(organization_roles) FROM apikeys.key_image WHERE public_key IN ('many1', 'many3') ORDER BY 1}
	),
	"many1|1000\nmany3|1",
	'a thousand permissions');
is($subscriber->safe_psql('postgres', 'SELECT last_value FROM made'),
	'2', 'and one image for each of the two keys');
change(
	qq{
	INSERT INTO apikeys.key_role (public_key, organization_id, permission)
		SELECT k, '$organization', 'c.p' || n FROM generate_series(1, 100) AS n, unnest('{many1,many3}'::text[]) AS k ORDER BY n;
});
change(q{DELETE FROM apikeys.key_role WHERE permission ~ '^c'});
is($subscriber->safe_psql('postgres', 'SELECT last_value FROM made'),
	'6', 'also where their rows are mixed');
change(q{BEGIN;
	SELECT apikeys.set_organization_roles('many1', '{}', '{b.p}');
	SELECT apikeys.set_organization_roles('many3', '{}', '{b.q}');
	SAVEPOINT s;
	SELECT apikeys.set_organization_roles('many1', '{}', '{b.q}');
	ROLLBACK TO s;
	SELECT apikeys.set_organization_roles('many1', '{}', '{b.r}');
	COMMIT});
is( $subscriber->safe_psql(
		'postgres',
		q{SELECT public_key, organization_roles FROM apikeys.key_image WHERE public_key IN ('many1', 'many3') ORDER BY 1}
	),
	"many1|{=b.r}\nmany3|{=b.q}",
	'two keys that are changed in turn');
foreach my $changes ("SELECT apikeys.set_quota('many1', 100, 'day'); SELECT apikeys.disable_key('many1')",
	"SELECT FROM apikeys.update_key('many3', description => 'another'); SELECT apikeys.disable_key('many3')",
	"SELECT apikeys.disable_key('many5'); SELECT apikeys.enable_key('many5'); SELECT apikeys.disable_key('many5')",
	"SELECT FROM apikeys.set_organization_roles('many7', '{}', '{b.p}'); SELECT apikeys.disable_key('many7'); SELECT FROM apikeys.set_organization_roles('many7', '{}', '{b.q}')")
{
	change("BEGIN; $changes; COMMIT");
}
is( $subscriber->safe_psql(
		'postgres',
		q{SELECT string_agg(i.public_key || i.disabled::text, ' ' ORDER BY i.public_key) FROM apikeys.key_image AS i WHERE i.public_key IN ('many1', 'many3', 'many5', 'many7')}
	),
	'many1true many3true many5true many7true', 'several changes of a key in one transaction');
is( $subscriber->safe_psql(
		'postgres', q{
		SELECT count(*) FROM apikeys.key_image AS i FULL JOIN apikeys.key_image_source AS s USING (public_key)
		WHERE i::text IS DISTINCT FROM s::text}),
	'0', 'each image is what it has to be');
change("SELECT apikeys.enable_key(k) FROM unnest('{many1,many3,many5,many7}'::text[]) AS k");

change(q{BEGIN;
	SELECT apikeys.set_organization_roles('many1', '{}', '{b.s}');
	TRUNCATE apikeys.key_role;
	COMMIT});
is($subscriber->safe_psql('postgres', $ask_many),
	'scope_denied|250', 'a table is emptied');

# --- Members -------------------------------------------------------------------

# A member that is a PostgreSQL role has another OID there, and each server renames
# its own roles.
sub roles_held
{
	return $subscriber->safe_psql('postgres',
		q{SELECT coalesce(string_agg(database_role::text, ' '), '') FROM apikeys.member WHERE database_role IS NOT NULL}
	);
}
$subscriber->safe_psql('postgres', "CREATE ROLE another_$_") foreach 1 .. 3;
$_->safe_psql('postgres', 'CREATE ROLE holder') foreach $publisher, $subscriber;
change(qq{SELECT apikeys.add_member('$organization', 'role:holder', 'ORG_OWNER')});
is(roles_held(), 'holder', 'a role is a member');
$publisher->safe_psql('postgres', 'ALTER ROLE holder RENAME TO renamed');
is( change(qq{SELECT apikeys.remove_member('$organization', 'role:renamed', 'ORG_OWNER')}),
	't', 'it is removed under another name');
is(roles_held(), '', 'which it does not have there');
$publisher->safe_psql('postgres', 'ALTER ROLE renamed RENAME TO holder');
change(qq{SELECT apikeys.add_member('$organization', 'role:holder', 'ORG_OWNER')});
$subscriber->safe_psql('postgres', 'ALTER ROLE holder RENAME TO renamed');
is(roles_held(), 'renamed', 'a role that is a member is renamed there');
change(qq{SELECT apikeys.remove_member('$organization', 'role:holder', 'ORG_OWNER')});
is(roles_held(), '', 'and removed');

# Where there is no such role, what has come waits for it, and so does the rest.
$publisher->safe_psql('postgres',
	qq{CREATE ROLE late; SELECT apikeys.add_member('$organization', 'role:late', 'ORG_OWNER')});
ok($subscriber->wait_for_log(qr/role "late" does not exist/),
	'the log names a role that is missing');
$subscriber->safe_psql('postgres', 'CREATE ROLE late');
$publisher->wait_for_catchup('keys');
is(roles_held(), 'late', 'it goes on when there is one');
change(qq{SELECT apikeys.remove_member('$organization', 'role:late', 'ORG_OWNER')});

# --- Equal at the end ----------------------------------------------------------

# The tables are the same, except hashes: each server's worker stores better
# ones of secrets that are used there, as those of other systems here.
foreach my $table (qw(organization project role member key key_network key_role
	key_secret key_limit organization_limit deleted_key))
{
	my $columns = $table eq 'key_secret' ?
	  '(t.public_key, t.version, t.hint, t.created_at, t.expires_at)' : 't';
	my $query =
	  qq{SELECT $columns FROM apikeys."$table" AS t ORDER BY $columns\::text COLLATE "C"};
	is( $subscriber->safe_psql('postgres', $query),
		$publisher->safe_psql('postgres', $query),
		"table $table is equal");
}
is( $subscriber->safe_psql(
		'postgres', q{
		SELECT count(*) FROM apikeys.key_image AS i FULL JOIN apikeys.key_image_source AS s USING (public_key)
		WHERE i::text IS DISTINCT FROM s::text}),
	'0',
	'each key has the image that it has to have');
is( $subscriber->safe_psql(
		'postgres',
		q{SELECT count(*) FROM apikeys.audit_event WHERE action <> 'direct.role.delete'}
	),
	'0',
	'what has arrived is not audited again');
my ($status, $stdout, $stderr) = $subscriber->psql('postgres',
	qq{SELECT apikeys.import_key('$organization', '$keys{3}[0]', ('sha256\$\$' || repeat('0', 64))::apikeys.secret_hash, 'again', '{}')}
);
like($stderr, qr/was used before/,
	"a deleted key's name is not used again there");

# What was used there was counted there.
is( $subscriber->safe_psql(
		'postgres',
		"SELECT use_count > 0 FROM apikeys.usage WHERE public_key = '$keys{9}[0]'"
	),
	't',
	'a use is counted');

# --- Restored with disabled triggers, then subscribed ---------------------------

my $folder = PostgreSQL::Test::Utils::tempdir();
$keys{$_} = [
	split /\|/,
	$publisher->safe_psql('postgres',
		qq{SELECT * FROM apikeys.create_project_key('$project', 'restored', '{reader}')}
	)
  ]
  foreach 11 .. 13;
$publisher->command_ok(
	[
		'pg_dump', '-Fc', '--data-only', '--exclude-schema=public',
		'-f', "$folder/data", '-d', $publisher->connstr('postgres')
	],
	'the data alone is dumped');
$subscriber->safe_psql('postgres', 'CREATE DATABASE restored');
$subscriber->safe_psql('restored', 'CREATE EXTENSION apikeys');
my $catalog = q{SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger
	WHERE NOT tgisinternal ORDER BY 1::text, 2};
my $fresh = $subscriber->safe_psql('restored', $catalog);
$subscriber->command_ok(
	[
		'pg_restore', '-e', '--data-only', '--disable-triggers',
		'-d', $subscriber->connstr('restored'), "$folder/data"
	],
	'and restored with disabled triggers');
like($subscriber->safe_psql('restored', 'SELECT advice FROM apikeys.status()'),
	qr/call apikeys\.rebuild_images\(\)/, 'status() says what to do');
$subscriber->safe_psql('restored', 'SELECT apikeys.rebuild_images()');
is($subscriber->safe_psql('restored', $catalog),
	$fresh, 'the triggers fire as those of an installation do');
$subscriber->safe_psql('restored',
	"CREATE SUBSCRIPTION restored CONNECTION '$connection' PUBLICATION keys WITH (copy_data = false)"
);
$subscriber->wait_for_subscription_sync($publisher, 'restored', 'restored');
is(reason($subscriber, $_, undef, 'restored'), 'ok', "key $_, restored")
  foreach 11 .. 13;
change("SELECT apikeys.disable_key('$keys{11}[0]')", 'restored');
is(reason($subscriber, 11, undef, 'restored'),
	'key_disabled', 'a restored key is disabled');
change("SELECT apikeys.delete_key('$keys{12}[0]')", 'restored');
is(reason($subscriber, 12, undef, 'restored'),
	'unknown_key', 'another one is deleted');
my $fourth = change("SELECT apikeys.rotate_secret('$keys{13}[0]')", 'restored');
is(reason($subscriber, 13, undef, 'restored'),
	'secret_expired', 'the secret of a third one is rotated');
is(reason($subscriber, 13, $fourth, 'restored'), 'ok', 'and the new one passes');

$subscriber->stop;
$publisher->stop;
done_testing();
