# pg_dump takes everything along: restored into a fresh database, by whomever,
# every table is equal, every key still passes, and the audit continues.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'\napikeys.usage_flush_interval = '1h'");
$node->start;
my $folder = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', 'CREATE ROLE application');
$node->safe_psql(
	'original', q{
	CREATE EXTENSION apikeys;
	SELECT apikeys.grant_access('application', 'decide', 'manage');
	SELECT apikeys.create_role('aaa_reader', 'project', '{}', '{clusters.read}', 'reads');
	SELECT apikeys.create_role('zzz_auditor', 'organization', '{audit.*}', '{*.read}', NULL);
	-- Names that sort apart from the order in which tables refer to each other.
	SELECT apikeys.create_organization('Acme "quoted"', 'user:o''brien');
	SELECT apikeys.create_organization('Über', 'role:application', true);
	SELECT apikeys.create_project(o.id, 'project ' || n)
		FROM apikeys.organization AS o, generate_series(1, 3) AS n;
	SELECT apikeys.add_member(p.organization_id, 'user:someone', 'aaa_reader', p.id)
		FROM apikeys.project AS p;
	CREATE TABLE public.issued AS
		SELECT k.*, o.id AS organization_id
		FROM apikeys.organization AS o, generate_series(1, 10) AS n
			CROSS JOIN LATERAL (SELECT o.id, n) AS dependent (id, n)
			CROSS JOIN LATERAL apikeys.create_key(dependent.id, 'key ' || dependent.n,
				'{zzz_auditor,ORG_MEMBER}', '{10.0.0.0/8,192.0.2.1/32,2001:db8::/32}',
				CASE WHEN dependent.n = 3 THEN now() + '1 day' END) AS k;
	SELECT apikeys.set_project_roles(i.public_key, p.id, '{aaa_reader,GROUP_READ_ONLY}')
		FROM public.issued AS i JOIN apikeys.project AS p USING (organization_id);
	SELECT apikeys.rotate_secret(public_key, '1 hour') FROM public.issued WHERE public_key < 'ak_pub_V';
	SELECT apikeys.disable_key(min(public_key)) FROM public.issued;
	SELECT apikeys.delete_key(max(public_key)) FROM public.issued;
	SELECT apikeys.authorize(public_key, private_key, '10.1.2.3', 'audit.read') FROM public.issued;
});

# Where the audit can be sealed and verified, it is.
my $has_seals = $node->safe_psql('original',
	q{SELECT to_regprocedure('apikeys.seal_audit()') IS NOT NULL}) eq 't';
$node->safe_psql('original', 'SELECT apikeys.seal_audit()') if $has_seals;

my @tables = split /\n/,
  $node->safe_psql('original',
	q{SELECT relname FROM pg_class WHERE relnamespace = 'apikeys'::regnamespace AND relkind = 'r' AND relname <> 'token_key' ORDER BY 1}
  );
cmp_ok(scalar @tables, '>=', 9, 'the extension has its tables');

# What is in the tables, as text, by the name of the table.
sub contents
{
	my ($database) = @_;
	my %contents = map { $_ => '' } @tables;
	my $rows = $node->safe_psql($database, join ';', map {
		qq{SELECT '$_ ' || t::text FROM apikeys."$_" AS t ORDER BY t::text COLLATE "C"}
	} @tables);
	$contents{ (split / /, $_, 2)[0] } .= "$_\n" foreach split /\n/, $rows;
	return %contents;
}

# Read-only, so that no use is recorded.
my $reasons = q{
	BEGIN READ ONLY;
	SELECT i.public_key, d.reason, e.reason
	FROM public.issued AS i
		CROSS JOIN LATERAL apikeys.decide(i.public_key, i.private_key, '10.1.2.3', 'audit.read') AS d
		CROSS JOIN LATERAL apikeys.decide(i.public_key, i.private_key, '198.51.100.1', 'audit.read') AS e
	ORDER BY 1;
	COMMIT;
};
my $privileges = q{
	SELECT has_function_privilege('application', 'apikeys.authorize(text,text,inet,text,uuid,bigint)', 'EXECUTE'),
		has_function_privilege('application', 'apikeys.revoke_leaked(text)', 'EXECUTE'),
		has_column_privilege('application', 'apikeys.key_secret', 'hash', 'SELECT')
};
my %original = contents('original');
like($original{$_}, qr/./, "there is something in table $_")
  foreach qw(organization project member key key_role key_secret audit_event deleted_key);
my $answers = $node->safe_psql('original', $reasons);
like($answers, qr/\|ok\|address_denied/, 'keys pass');
like($answers, qr/\|key_disabled\|/, 'and do not');
like($answers, qr/\|unknown_key\|/, 'or are gone');

# The text of a dump, without the lines that differ each time.
sub dump_text
{
	my ($database) = @_;
	my $file = "$folder/$database.text";
	$node->command_ok([ 'pg_dump', '-f', $file, '-d', $database ],
		"dump of $database");
	return join '',
	  grep { !/^\\(un)?restrict / } split /^/, slurp_file($file);
}

# Restored by another superuser than the one that dumped: it owns the extension.
$node->safe_psql('postgres', 'CREATE ROLE restorer LOGIN SUPERUSER');
my $owner = $node->safe_psql('postgres', 'SELECT current_user');

# A dump of the data alone is restored where the extension and all else is.
sub restore_data
{
	my ($database, @restore) = @_;
	$node->safe_psql($database, 'CREATE EXTENSION apikeys');
	$node->safe_psql($database,
		'CREATE TABLE public.issued (public_key text, private_key text, api_key text, organization_id uuid)'
	);
	$node->safe_psql($database,
		q{SELECT apikeys.grant_access('application', 'decide', 'manage')});
	$node->command_ok(\@restore, "$database: the data is restored");
	return;
}

my $first = dump_text('original');
$node->command_ok(
	[
		'pg_dump', '-Fc', '--data-only', '-f', "$folder/data.custom",
		'-d', 'original'
	],
	'the data alone is dumped in the custom format');
my %restores = (
	plain => sub {
		my ($database) = @_;
		$node->command_ok(
			[
				'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $database,
				'-o', "$folder/out", '-f', "$folder/original.text"
			],
			'restored by psql');
	},
	plain_by_another => sub {
		my ($database) = @_;
		$node->command_ok(
			[
				'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-U', 'restorer',
				'-d', $database, '-o', "$folder/out",
				'-f', "$folder/original.text"
			],
			'restored by another one');
	},
	custom_by_another => sub {
		my ($database) = @_;
		$node->command_ok(
			[
				'pg_dump', '-Fc', '--no-owner', '-f', "$folder/no-owner.custom",
				'-d', 'original'
			],
			'dumped without owners');
		$node->command_ok(
			[
				'pg_restore', '-e', '--no-owner', '-U', 'restorer',
				'-d', $database, "$folder/no-owner.custom"
			],
			'restored by another one');
	},
	data_plain => sub {
		my ($database) = @_;
		$node->command_ok(
			[
				'pg_dump', '--data-only', '-f', "$folder/data.text",
				'-d', 'original'
			],
			'the data alone is dumped');
		restore_data(
			$database, 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
			'-U', 'restorer', '-d', $database, '-o', "$folder/out",
			'-f', "$folder/data.text");
	},
	data_custom => sub {
		my ($database) = @_;
		restore_data(
			$database, 'pg_restore', '-e', '-U', 'restorer', '-d', $database,
			"$folder/data.custom");
	},
	data_without_triggers => sub {
		my ($database) = @_;
		restore_data(
			$database, 'pg_restore', '-e', '--disable-triggers', '-d', $database,
			"$folder/data.custom");
		like($node->safe_psql($database, 'SELECT advice FROM apikeys.status()'),
			qr/call apikeys\.rebuild_images\(\)/, "$database: status() says what to do");
		isnt($node->safe_psql($database, 'SELECT apikeys.rebuild_images()'),
			'0', "$database: the images are made");
		unlike($node->safe_psql($database, 'SELECT advice FROM apikeys.status()'),
			qr/rebuild_images/, "$database: then status() is content");
	},
	custom => sub {
		my ($database) = @_;
		$node->command_ok(
			[
				'pg_dump', '-Fc', '-f', "$folder/original.custom",
				'-d', 'original'
			],
			'dumped in the custom format');
		$node->command_ok(
			[ 'pg_restore', '-e', '-d', $database, "$folder/original.custom" ],
			'restored by pg_restore');
	},
	folder => sub {
		my ($database) = @_;
		$node->command_ok(
			[
				'pg_dump', '-Fd', '-j', '2', '-f', "$folder/original.folder",
				'-d', 'original'
			],
			'dumped to a folder by two jobs');
		# By one job: where an extension's tables refer to each other,
		# pg_restore -j does not keep to their order.
		$node->command_ok(
			[ 'pg_restore', '-e', '-d', $database, "$folder/original.folder" ],
			'restored from it');
	});

# The numbers of events go on above those that are there.
sub audit_goes_on
{
	my ($database) = @_;
	my $last = $node->safe_psql($database,
		'SELECT max(id) FROM apikeys.audit_event');
	is( $node->safe_psql(
			$database, 'SELECT intact, seals > 0, problem FROM apikeys.verify_audit()'),
		't|t|',
		"$database: the audit is whole")
	  if $has_seals;
	$node->safe_psql($database,
		q{SELECT apikeys.create_organization('later', 'user:1')});
	is( $node->safe_psql(
			$database, q{
			SELECT string_agg((id - (SELECT max(id) FROM apikeys.audit_event))::text || action, ' ' ORDER BY id)
			FROM apikeys.audit_event WHERE id > } . $last),
		'0organization.created',
		"$database: the next event has a higher number");
	return;
}

foreach my $name (sort keys %restores)
{
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0");
	$restores{$name}->($name);
	my %restored = contents($name);
	is($restored{$_}, $original{$_}, "$name: table $_") foreach @tables;
	is($node->safe_psql($name, $reasons), $answers, "$name: the keys pass");
	is($node->safe_psql($name, $privileges),
		't|f|f', "$name: the privileges granted are there, and no others");
	is( $node->safe_psql(
			$name, 'SELECT count(*) FROM apikeys.role WHERE is_builtin'),
		'15',
		"$name: the built-in roles are there once");
	is( $node->safe_psql($name,
			'SELECT count(*) FROM apikeys.role WHERE NOT is_builtin'),
		'2',
		"$name: so are the others");
	is(dump_text($name), $first, "$name: a dump of it equals the first")
	  unless $name =~ /no_owner|another/;
	is( $node->safe_psql(
			$name, q{SELECT extowner::regrole FROM pg_extension WHERE extname = 'apikeys'}),
		$name =~ /another/ ? 'restorer' : $owner,
		"$name: the extension belongs to the restoring role");
	audit_goes_on($name);
	is( $node->safe_psql(
			$name, q{
			SELECT d.reason
			FROM (SELECT id FROM apikeys.organization ORDER BY name LIMIT 1) AS o
				CROSS JOIN LATERAL apikeys.create_key(o.id, 'new', '{ORG_OWNER}') AS k
				CROSS JOIN LATERAL apikeys.decide(k.public_key, k.private_key, NULL, 'clusters.read') AS d
		}),
		'ok',
		"$name: new keys can be made");
	my ($status, $stdout, $stderr) = $node->psql(
		$name, q{
		SELECT apikeys.import_key(o.id, d.public_key, ('sha256$$' || repeat('0', 64))::apikeys.secret_hash, 'again', '{}')
		FROM apikeys.deleted_key AS d, apikeys.organization AS o WHERE o.name LIKE 'Acme%' LIMIT 1
	});
	like($stderr, qr/was used before/,
		"$name: a deleted key's name is not used again");
}

# --- Into another encoding ----------------------------------------------------
# What one tenant has written comes through a dump in UTF-8, whatever the encoding.
my $refused = q{
	CREATE FUNCTION pg_temp.is_refused(call text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		identifier text;
	BEGIN
		EXECUTE call;
		RETURN 'done';
	EXCEPTION WHEN invalid_parameter_value THEN
		GET STACKED DIAGNOSTICS identifier = CONSTRAINT_NAME;
		RETURN identifier;
	END;
	$$;
	CREATE EXTENSION apikeys;
	SELECT apikeys.create_organization('Acme') \g /dev/null
	SELECT pg_temp.is_refused(format('SELECT apikeys.set_organization_metadata(apikeys.organization(%L), %L)', 'Acme', metadata))
		FROM unnest(ARRAY[METADATA]) AS metadata;
	SELECT pg_temp.is_refused(format('SELECT apikeys.add_member(apikeys.organization(%L), %L, %L)', 'Acme', principal, 'ORG_READ_ONLY'))
		FROM unnest(ARRAY[PRINCIPALS]) AS principal};
my %texts = (
	LATIN1 => [q{jsonb_build_object('a', repeat(chr(233), 2046)), jsonb_build_object('a', repeat(chr(233), 2043))},
		q{'user:' || repeat(chr(233), 126), 'user:' || repeat(chr(233), 125)}],
	WIN1252 => [q{jsonb_build_object('a', E'\x81'), jsonb_build_object(E'\x81', 1), jsonb_build_object('a', E'\x80')}, q{E'user:\x81', E'user:\x80'}],
	# Two bytes for one character of UTF-8, of which one is taken.
	EUC_JP => [q{jsonb_build_object('a', convert_from('\x8ff4ac', 'EUC_JP')), jsonb_build_object('a', convert_from('\xade2', 'EUC_JP'))},
		q{'user:' || convert_from('\x8ff4ac', 'EUC_JP'), 'user:' || convert_from('\xade2', 'EUC_JP')}],
	SQL_ASCII => [q{jsonb_build_object('a', E'\xff'), jsonb_build_object(E'\xc3', 1), jsonb_build_object('a', E'\xc3\xa9')}, q{E'user:\xff', E'user:\xc3\xa9'}]);
foreach my $encoding (sort keys %texts)
{
	my $database = lc $encoding;
	my ($metadata, $principals) = @{ $texts{$encoding} };
	(my $statements = $refused) =~ s/METADATA/$metadata/;
	$statements =~ s/PRINCIPALS/$principals/;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LOCALE 'C';
		CREATE DATABASE of_$database TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'");
	like($node->safe_psql($database, $statements), qr/^(invalid_metadata\n)+done\ninvalid_principal\ndone$/,
		"$encoding: what UTF-8 lacks, or is too long in it, is refused");
	$node->command_ok(['pg_dump', '-E', 'UTF8', '-f', "$folder/$database", '-d', $node->connstr($database)], 'the rest is dumped');
	$node->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', "of_$database", '-o', "$folder/out", '-f', "$folder/$database"],
		'and restored');
	is($node->safe_psql("of_$database", q{SELECT count(*) FROM apikeys.member; SELECT metadata <> '{}' FROM apikeys.organization}), "2\nt", 'as it was');
}

# Names of roles are bytes, which all databases share: one that is no text here, or none
# of UTF-8, is told from others, and a dump is restored.
$node->safe_psql('latin1', q{DO $$ BEGIN EXECUTE format('CREATE ROLE %I SUPERUSER LOGIN', 'caf' || chr(233)); END $$;});
$node->safe_psql('postgres', 'CREATE DATABASE told TEMPLATE template0; CREATE DATABASE again TEMPLATE template0');
{
	local $ENV{PGUSER} = "caf\xe9";
	$node->safe_psql('told', q{CREATE EXTENSION apikeys;
		SELECT apikeys.create_key(apikeys.create_organization('Acme', 'user:anna'), 'k', '{ORG_READ_ONLY}')});
	is($node->safe_psql('latin1', q{SELECT apikeys.principal() = 'role:caf' || chr(233)}), 't', 'a name that is a text is itself');
}
# Also in the event of a direct change of a member.
is( $node->safe_psql('told', q{INSERT INTO apikeys.member (organization_id, principal, role, database_role)
		SELECT apikeys.organization('Acme'), 'role:postgres', 'ORG_OWNER', r.oid FROM pg_roles AS r WHERE r.rolname::bytea = '\x636166e9';
		SELECT detail -> 'new' ->> 'database_role' = (SELECT r.oid::text FROM pg_roles AS r WHERE r.rolname::bytea = '\x636166e9')
		FROM apikeys.audit_event WHERE action = 'direct.member.insert';
		DELETE FROM apikeys.member WHERE database_role IS NOT NULL}),
	't', 'the event of a direct change of a member names its role by its number');
$node->command_ok(['pg_dump', '-f', "$folder/told", '-d', $node->connstr('told')], 'events of a role whose name is no text are dumped');
$node->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'again', '-o', "$folder/out", '-f', "$folder/told"], 'and restored');
is($node->safe_psql('again', q{SELECT count(*) > 1, bool_and(database_role ~ '^ \(role \d+\)$' AND principal = 'role:' || database_role) FROM apikeys.audit_event WHERE action !~ '^direct';
	SELECT created_by ~ '^role: \(role \d+\)$' FROM apikeys.key}), "t|t\nt", 'by a name that no member can have');

# --- Into another cluster, whose roles have other OIDs ------------------------

my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'");
$other->start;
# As many roles before it as bring its OID to that of nobody in the first one.
$other->safe_psql('postgres', 'CREATE ROLE other_' . $_) foreach 1 .. 5;
$other->safe_psql('postgres', 'CREATE ROLE application; CREATE DATABASE moved TEMPLATE template0');
my $oid_of = q{SELECT oid FROM pg_roles WHERE rolname = 'application'};
isnt($other->safe_psql('moved', $oid_of), $node->safe_psql('original', $oid_of),
	'the role has another OID there');
$other->command_ok(
	[
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'moved',
		'-o', "$folder/out", '-f', "$folder/original.text"
	],
	'restored in another cluster');
my $mine = q{
	SET ROLE application;
	SELECT string_agg(name, ' ') FROM apikeys.organization;
	SELECT apikeys.rename_organization(id, 'Renamed') FROM apikeys.organization;
};
is($other->safe_psql('moved', $reasons), $answers, 'the keys pass there');
is($other->safe_psql('moved', $mine), "Über\nt", 'and members are members');

# A role is its OID: one that is dropped and made again is another one.
$other->safe_psql('moved', 'DROP OWNED BY application; DROP ROLE application; CREATE ROLE application');
$other->safe_psql('moved', q{SELECT apikeys.grant_access('application', 'manage')});
is($other->safe_psql('moved', $mine), '', 'a role that is made again is no member');
# Nor is it anybody in a dump, which is restored without it.
$other->safe_psql('postgres', 'CREATE DATABASE without TEMPLATE template0');
$other->command_ok(['pg_dump', '-f', "$folder/without.text", '-d', $other->connstr('moved')],
	'dumped with a member whose role was dropped');
$other->command_ok(
	[
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'without',
		'-o', "$folder/out", '-f', "$folder/without.text"
	],
	'and restored');
my $members = q{
	SELECT principal, role FROM apikeys.member
	WHERE database_role IS NULL OR EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = database_role) ORDER BY 1, 2
};
is($other->safe_psql('without', 'SELECT principal, role FROM apikeys.member ORDER BY 1, 2'),
	$other->safe_psql('moved', $members), 'with the other members');
isnt($other->safe_psql('moved', $members), '', 'of which there are some');
is($other->safe_psql('without', $reasons), $answers, 'and the keys pass');
$other->safe_psql('moved', 'ALTER ROLE other_1 RENAME TO renamed');
$other->stop;
$node->stop;

done_testing();
