# What README.md says is true: each of its SQL blocks runs, in order, in one
# psql session of a superuser on a fresh database, and it names everything that
# a user of the extension can call, read or set.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# For the extension itself: types, operators, constraints, triggers, policies,
# and what the management functions share.
my @internal = qw(
  access_list_in access_list_out access_list_recv access_list_send
  access_list_contains access_list_contained access_list_add access_list_remove
  access_list_eq access_list_ne access_list_hash access_list_hash_extended
  networks_array
  secret_hash_in secret_hash_out secret_hash_recv secret_hash_send
  is_name is_public_key is_principal is_role_name are_permissions
  check_not_null check_is_no_key check_name check_principal
  check_permission check_grant check_project_roles
  refuse refuse_key replace_roles principal_founds usage_status
  public_key_is_taken import_columns
);

my $readme = slurp_file(
	File::Spec->catfile(dirname(__FILE__), '..', '..', 'README.md'));

# --- Reading it --------------------------------------------------------------

# The fenced blocks of one language, each with the heading above it.
sub blocks_of
{
	my ($language) = @_;
	my ($heading, $fence, @blocks) = ('', undef);

	foreach my $line (split /^/, $readme)
	{
		if ($line =~ /^```(\w*)\s*$/)
		{
			if (defined $fence)
			{
				undef $fence;
				next;
			}
			$fence = $1;
			push @blocks, { heading => $heading, text => '' }
			  if $fence eq $language;
		}
		elsif (defined $fence)
		{
			$blocks[-1]{text} .= $line if $fence eq $language;
		}
		elsif ($line =~ /^#+ +(.*?)\s*$/)
		{
			$heading = $1;
		}
	}
	return @blocks;
}

# --- Its examples ------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->start;

my @blocks = blocks_of('sql');
cmp_ok(scalar(@blocks), '>', 10, 'README.md has blocks of SQL');

my $script = '';
foreach my $number (0 .. $#blocks)
{
	$script .= "$blocks[$number]{text}\n\\echo ran block $number\n";
}
my ($stdout, $stderr) = ('', '');
$node->psql(
	'postgres', $script,
	on_error_stop => 1,
	stdout => \$stdout,
	stderr => \$stderr);

my $told = 0;
foreach my $number (0 .. $#blocks)
{
	my $passed = ok(
		scalar($stdout =~ /^ran block $number$/m),
		"block $number: $blocks[$number]{heading}");
	if (!$passed && !$told++)
	{
		diag("$blocks[$number]{text}\n$stderr");
	}
}
is($stderr, '', 'no example warns');

# A transaction or a role left behind would be the reader's as well.
is( $node->safe_psql(
		'postgres', q{SELECT string_agg(name, ' ' ORDER BY name) FROM apikeys.organization}),
	'Acme Globex',
	'what the examples have made is committed');

# --- Queries for others to run ------------------------------------------------------

# Each query of postgres_exporter's, by a role like the one that the chapter
# makes, has just the columns that its metrics name.
my ($yaml) = blocks_of('yaml');
my @queries = split /^(?=\w)/m, $yaml->{text};
cmp_ok(scalar(@queries), '>', 1, 'README.md has queries for postgres_exporter');
foreach my $query (@queries)
{
	my ($name) = $query =~ /^(\w+):/;
	my ($sql) = $query =~ /query: \|\n(.*?)^  metrics:/ms;
	my @metrics = $query =~ /^    - (\w+): \{usage: \w+, description: "[^"]+"\}$/mg;
	my $columns = $node->safe_psql('postgres',
		"SET ROLE exporter; CREATE TEMPORARY TABLE $name AS $sql;
		 SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
		 WHERE attrelid = '$name'::regclass AND attnum > 0");

	is($columns, join(',', @metrics), "$name: its columns are its metrics");
}

# Each of pg_cron's jobs.
my ($cron) = grep { $_->{text} =~ /cron\.schedule/ } blocks_of('text');
my @jobs = $cron->{text} =~ /\$\$(.*?)\$\$/g;
cmp_ok(scalar(@jobs), '>', 1, "README.md has jobs for pg_cron");
foreach my $job (@jobs)
{
	my ($stdout, $stderr);

	is($node->psql('postgres', "BEGIN; $job; ROLLBACK;", stdout => \$stdout, stderr => \$stderr),
		0, "job runs: $job");
}

# --- Its links ----------------------------------------------------------------------

# As GitHub makes anchors of headings.
my (%anchors, $in_code);
foreach my $line (split /\n/, $readme)
{
	$in_code = !$in_code if $line =~ /^```/;
	next if $in_code || $line !~ /^#+ +(.*?)\s*$/;
	my $anchor = lc $1;
	$anchor =~ s/[^\w\- ]//g;
	$anchor =~ s/ /-/g;
	ok(!$anchors{$anchor}++, "heading is the only one of its name: $anchor");
}
foreach my $anchor ($readme =~ /\]\(#([^)]*)\)/g)
{
	ok($anchors{$anchor}, "link leads to a heading: $anchor");
}
my $top = File::Spec->catdir(dirname(__FILE__), '..', '..');
foreach my $file ($readme =~ /\]\((?!#|https?:)([^)#]*)/g)
{
	ok(-e "$top/$file", "link leads to a file: $file");
}

# --- The regular expression for private keys ---------------------------------

my ($scanner) = grep { $_->{text} =~ /_sec_\[/ } blocks_of('text');
my $pattern = $scanner->{text};
chomp $pattern;
$node->safe_psql('postgres',
	q{SELECT apikeys.create_organization('Prefixes')});
foreach my $prefix ('ak', 'a', 'acme_live', 'a' . '9' x 15)
{
	my $secret = $node->safe_psql(
		'postgres', qq{
			SET apikeys.token_prefix = '$prefix';
			SELECT private_key FROM apikeys.create_key(
				apikeys.organization('Prefixes'), 'Key', '{ORG_MEMBER}')});
	my ($found) = "key = $secret;" =~ /($pattern)/;
	ok(defined $found && $found eq $secret,
		"the pattern finds a private key with prefix $prefix");
}
unlike('ak_sec_' . 'x' x 48, qr/$pattern/, 'and no shorter text');

# --- Its reference -----------------------------------------------------------

# Names in code, `like(this` or `like`, perhaps with the schema.
sub is_named
{
	my ($name, $after) = @_;

	return $readme =~ /`(?:apikeys\.)?\Q$name\E$after/;
}

sub names_of
{
	my ($query) = @_;

	return split /\n/, $node->safe_psql('postgres', $query);
}

my %is_internal = map { $_ => 1 } @internal;
my @functions = names_of(
	q{SELECT DISTINCT proname FROM pg_proc
	  WHERE pronamespace = 'apikeys'::regnamespace AND prorettype <> 'trigger'::regtype
	  ORDER BY 1});
foreach my $function (grep { !$is_internal{$_} } @functions)
{
	ok(is_named($function, '\('), "function $function is in the reference");
}

my %exists = map { $_ => 1 } @functions;
is_deeply([ grep { !$exists{$_} } @internal ],
	[], 'the functions not to be named exist');

# Kinds of names, each with the query for them.
my %others = (
	'table or view' => q{SELECT relname FROM pg_class
		WHERE relnamespace = 'apikeys'::regnamespace AND relkind IN ('r', 'v', 'p')},
	'type' => q{SELECT typname FROM pg_type
		WHERE typnamespace = 'apikeys'::regnamespace AND typelem = 0 AND typarray <> 0
			AND typrelid NOT IN (SELECT oid FROM pg_class WHERE relkind <> 'c')},
	'role' => q{SELECT name FROM apikeys.role WHERE is_builtin},
	'setting' => q{SELECT 1 WHERE apikeys.principal() IS NULL;
		SELECT name FROM pg_settings WHERE name LIKE 'apikeys.%'},
	'scope' => q{SELECT DISTINCT m[1]
		FROM pg_policies, regexp_matches(coalesce(qual, '') || coalesce(with_check, ''),
			'''(apikeys\.[a-z_]+\.[a-z_]+)''', 'g') AS m
		WHERE schemaname = 'apikeys'},
	'reason' => q{SELECT * FROM unnest('{ok,unknown_key,wrong_secret,secret_expired,
		key_disabled,key_expired,address_required,address_denied,scope_denied}'::text[])});
foreach my $kind (sort keys %others)
{
	my @names = names_of($others{$kind});

	cmp_ok(scalar(@names), '>', 1, "there is a $kind");
	foreach my $name (sort @names)
	{
		ok(is_named($name, '`'), "$kind $name is in the reference");
	}
}

# The columns of the views.
foreach my $name (
	names_of(
		q{SELECT DISTINCT attname FROM pg_attribute
		  WHERE attnum > 0 AND attrelid IN
			('apikeys.keys'::regclass, 'apikeys.access_list_entries'::regclass,
			'apikeys.usage'::regclass)}))
{
	ok(is_named($name, '`'), "column $name is in the reference");
}

$node->stop;
done_testing();
