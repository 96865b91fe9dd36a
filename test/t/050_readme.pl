# What README.md and doc/ say is true: each of their SQL blocks runs, in order, in
# one psql session of a superuser on a fresh database, and they name everything
# that a user of the extension can call, read or set.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = File::Spec->catdir(dirname(__FILE__), '..', '..');
# In the order in which they are read: README.md and the recipes make the rows
# that the others use.
my @documents = ('README.md', 'doc/recipes.md');
push @documents, grep { my $other = $_; !grep { $_ eq $other } @documents }
  map { s{^\Q$top\E/}{}r } sort glob("$top/doc/*.md");
my %text_of = map { $_ => slurp_file("$top/$_") } @documents;
my $readme = join "\n", map { $text_of{$_} } @documents;

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
my $peppers = PostgreSQL::Test::Utils::tempdir() . '/peppers';
append_to_file($peppers, 'p1:' . '5a' x 32 . "\n");
chmod(0600, $peppers);
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'\napikeys.pepper_file = '$peppers'");
$node->start;

my @blocks = blocks_of('sql');
cmp_ok(scalar(@blocks), '>', 10, 'there are blocks of SQL');

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

# What metrics() has, once there is something of each, and a role that has access
# monitor alone.
$node->safe_psql('postgres', 'SELECT apikeys.flush_usage(); SELECT apikeys.seal_audit()');
my $metrics = $node->safe_psql('postgres', q{SET ROLE exporter;
	SELECT string_agg(DISTINCT name || ' ' || kind || ' ' || help, E'\n' ORDER BY name || ' ' || kind || ' ' || help) FROM apikeys.metrics()});
my %help_of = map { /^(\w+) (.*)$/ } split /\n/, $metrics;
my $names = join ' ', sort keys %help_of;
is($node->safe_psql('postgres', q{SELECT string_agg(a, ' ') FROM unnest(apikeys_internal.accesses_of('exporter')) AS a}),
	'monitor', 'the exporter needs one access');

# Each query of postgres_exporter's has just the columns that its metrics name, and
# together they are all that metrics() has.
my ($yaml, $collector) = blocks_of('yaml');
my @queries = split /^(?=\w)/m, $yaml->{text};
my %exported;
cmp_ok(scalar(@queries), '>', 1, 'README.md has queries for postgres_exporter');
# The recipes take it from PUBLIC.
$node->safe_psql('postgres', 'GRANT TEMPORARY ON DATABASE postgres TO exporter');
foreach my $query (@queries)
{
	my ($name) = $query =~ /^(\w+):/;
	my ($sql) = $query =~ /query: \|\n(.*?)^  metrics:/ms;
	my @metrics = $query =~ /^    - (\w+): \{usage: \w+, description: "[^"]+"\}$/mg;
	while ($query =~ /^    - (\w+): \{usage: (COUNTER|GAUGE), description: "([^"]+)"\}$/mg)
	{
		$exported{"${name}_$1"} = lc($2) . " $3";
	}
	my $columns = $node->safe_psql('postgres',
		"SET ROLE exporter; CREATE TEMPORARY TABLE $name AS $sql;
		 SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
		 WHERE attrelid = '$name'::regclass AND attnum > 0");

	is($columns, join(',', @metrics), "$name: its columns are its metrics");
	is($node->safe_psql('postgres', "SET ROLE exporter; SELECT count(*) > 0 FROM ($sql) AS q"), 't', "$name: it has rows");
}
is_deeply(\%exported, \%help_of, 'postgres_exporter has all that metrics() has');

# The same of sql_exporter's.
my %collected;
my %columns_of = map { $_ => 1 } $collector->{text} =~ /AS (\w+)[,\n]/g;
while ($collector->{text} =~ /metric_name: (\w+)(?:,|\n) *type: (\w+)(?:,|\n) *help: "([^"]+)"/g)
{
	$collected{$1} = "$2 $3";
}
is_deeply(\%collected, \%help_of, 'sql_exporter has all that metrics() has');
foreach my $sql ($collector->{text} =~ /query: \|\n((?:      .*\n)+)/g)
{
	is($node->safe_psql('postgres', "SET ROLE exporter; SELECT count(*) > 0 FROM ($sql) AS q"), 't', 'a query of it has rows');
}
is_deeply([ grep { !$columns_of{$_} && $_ ne 'value' } $collector->{text} =~ /values: \[(\w+)\]/g ],
	[], 'and each value is a column');

# The dashboard asks for nothing else, with the labels there are.
my $dashboard = decode_json(slurp_file("$top/doc/grafana.json"));
my @expressions = map { $_->{expr} } map { @{ $_->{targets} } } @{ $dashboard->{panels} };
cmp_ok(scalar(@expressions), '>', 10, 'the dashboard has panels');
is_deeply([ grep { !$help_of{$_} } map { /(apikeys_\w+)/g } @expressions ], [], 'each of its metrics is there');
my %label = map { $_ => 1 } qw(instance datname),
  split /\n/, $node->safe_psql('postgres', 'SELECT DISTINCT jsonb_object_keys(labels) FROM apikeys.metrics()');
is_deeply([ grep { !$label{$_} } map { /(\w+) ?!?=~?"/g } @expressions ], [], 'and each of its labels');
is_deeply([ grep { !$help_of{$_} } $text_of{'doc/recipes.md'} =~ /\b(apikeys_(?:lost|uses|worker|advised|decisions|live|keys)_?\w*)[`\{ ]/g ],
	[], 'as are those of the alerts');

# The SQL in programs, as a driver would prepare it.
my @statements = map { $_->{text} =~ /'(SELECT [^']*apikeys\.[^']*)'/g } blocks_of('js');
cmp_ok(scalar(@statements), '>', 1, 'there are programs with SQL');
foreach my $statement (@statements)
{
	my $stderr;

	is($node->psql('postgres', "PREPARE statement AS $statement", stderr => \$stderr),
		0, "a driver can prepare: $statement");
}

# Each of pg_cron's jobs.
my ($cron) = grep { $_->{text} =~ /cron\.schedule/ } blocks_of('text');
my @jobs = $cron->{text} =~ /\$\$(.*?)\$\$/g;
cmp_ok(scalar(@jobs), '>', 1, 'there are jobs for pg_cron');
foreach my $job (@jobs)
{
	my ($stdout, $stderr);

	is($node->psql('postgres', "BEGIN; $job; ROLLBACK;", stdout => \$stdout, stderr => \$stderr),
		0, "job runs: $job");
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

my @functions = names_of(
	q{SELECT DISTINCT proname FROM pg_proc
	  WHERE pronamespace = 'apikeys'::regnamespace AND prorettype <> 'trigger'::regtype
	  ORDER BY 1});
foreach my $function (@functions)
{
	ok(is_named($function, '\('), "function $function is in the reference");
}

# The scopes of the extension that C code checks.
sub scopes_in_c
{
	my %scopes;

	foreach my $file (glob("$top/src/*/*.c"))
	{
		$scopes{$_} = 1
		  foreach slurp_file($file) =~ /"(apikeys\.[a-z_]+\.[a-z_]+)"/g;
	}
	return keys %scopes;
}

# Kinds of names, each with the query for them.
my %others = (
	'table or view' => q{SELECT relname FROM pg_class
		WHERE relnamespace = 'apikeys'::regnamespace AND relkind IN ('r', 'v', 'p')},
	'type' => q{SELECT typname FROM pg_type
		WHERE typnamespace = 'apikeys'::regnamespace AND typelem = 0 AND typarray <> 0
			AND typrelid NOT IN (SELECT oid FROM pg_class WHERE relkind <> 'c')},
	'role' => q{SELECT name FROM apikeys.role WHERE is_builtin},
	'setting' => q{SELECT name FROM pg_settings WHERE name LIKE 'apikeys.%'},
	'scope' => q{SELECT DISTINCT m[1]
		FROM pg_proc, regexp_matches(prosrc, '''(apikeys\.[a-z_]+\.[a-z_]+)''', 'g') AS m
		WHERE pronamespace = 'apikeys_internal'::regnamespace},
	'reason' => sprintf(q{SELECT * FROM unnest('{%s}'::text[])},
		join ',', slurp_file("$top/src/core/reason.c") =~ /= "(\w+)"/g));
foreach my $kind (sort keys %others)
{
	my @names = names_of($others{$kind});

	push @names, scopes_in_c() if $kind eq 'scope';
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

# --- Its errors --------------------------------------------------------------

# All identifiers that the source can raise, and those of the reference: the same.
my ($errors) = $text_of{'doc/reference.md'} =~ /^## Errors\n(.*?)^## /ms;
my %documented = map { $_ => 1 } $errors =~ /^`(\w+)` \|/mg;
my %raised;
foreach my $file (glob("$top/sql/parts/*.sql $top/src/*/*.c"))
{
	my $source = slurp_file($file);
	$raised{$_} = 1 foreach $source =~ /CONSTRAINT = '(\w+)'(?!\s*\|\|)/g,
	  $source =~ /'\{\w{5},(\w+),/g,
	  map { /"(\w+)"/g } $source =~ /ak_errid\(([^)]*)\)/g;
	$raised{"$_\_not_found"} = 1 foreach $source =~ /raise_not_found\('(\w+)'\)/g;
	$raised{"invalid_$_"} = 1 foreach $source =~ /check_name\('(\w+)'/g;
}
is_deeply([ sort keys %raised ], [ sort keys %documented ],
	'the reference has each identifier that can be raised, and no other');

# And each is in what a test expects, except those whose tests look at the
# message: damage, and what only faults of the server bring about.
my %by_message = map { $_ => 1 } qw(access_list_damaged access_list_too_long
  audit_damaged flush_failed image_damaged not_installed parallel_plan parallel_worker
  secret_hash_damaged serialization_failure too_many_databases);
my $expected = join '', map { slurp_file($_) }
  glob("$top/expected/*.out $top/test/isolation/expected/*.out $top/test/t/*.pl $top/test/model/*.js");
my @untested = grep { !$by_message{$_} && $expected !~ /\b$_\b/ } sort keys %raised;
is("@untested", '', 'each is tested');

$node->stop;
done_testing();
