# Random bytes as the binary form of both types: the server refuses them or
# reads them, but never fails, and what it has read is written as text that
# reads the same.  And rows of key_image that no trigger has made: decisions
# read them, or say that they are damaged.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 4000;
my $seed = 20240607;
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'\nrestart_after_crash = off");
$node->start;
my $folder = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION apikeys;
	CREATE TABLE access_list (file int, value apikeys.access_list);
	CREATE TABLE secret_hash (file int, value apikeys.secret_hash);
});
my $begun = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

# Valid values, to begin with.
my %valid = (
	access_list => [
		'{}', '{10.0.0.0/8}', '{0.0.0.0/0,::/0}',
		'{192.0.2.1/32,198.51.100.0/24,203.0.113.128/25}',
		'{2001:db8::/32,2001:db8::1/128,fe80::/10}',
		'{10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,2001:db8:1:2::/64}'
	],
	secret_hash => [
		'blake2b$0$' . ('0123456789abcdef' x 4),
		'blake2b$pepper-1.a_B$' . ('fedcba9876543210' x 4),
		'sha256$$' . ('00' x 32),
		'sha512$$' . ('a5' x 64),
		'$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$UmVhZGluZyBhbmQgd3JpdGluZyBhbmQgYXJpdGhtZXRpYw'
	]);

sub random_bytes
{
	my ($size) = @_;
	return join '', map { chr int rand 256 } 1 .. $size;
}

# Changes a value in one place or a few.
sub mutate
{
	my ($bytes, @others) = @_;
	for (0 .. int rand 4)
	{
		my $size = length $bytes;
		my $at = int rand($size + 1);
		my $kind = int rand 9;

		if ($kind == 0 && $size > 0)
		{
			substr($bytes, $at % $size, 1) ^= chr(1 << int rand 8);
		}
		elsif ($kind == 1 && $size > 0)
		{
			substr($bytes, $at % $size, 1) = random_bytes(1);
		}
		elsif ($kind == 2 && $size > 0)
		{
			substr($bytes, $at % $size, 1) =
			  chr((0, 1, 4, 6, 32, 33, 127, 128, 129, 255)[ int rand 10 ]);
		}
		elsif ($kind == 3)
		{
			$bytes = substr($bytes, 0, $at);
		}
		elsif ($kind == 4)
		{
			substr($bytes, $at, 0) = random_bytes(1 + int rand 24);
		}
		elsif ($kind == 5)
		{
			substr($bytes, $at, int rand 8) = '';
		}
		elsif ($kind == 6)
		{
			# Of another value, the rest.
			my $other = $others[ int rand @others ];
			$bytes = substr($bytes, 0, $at)
			  . substr($other, int rand(1 + length $other));
		}
		elsif ($kind == 7 && $size >= 4)
		{
			# Another number of entries.
			substr($bytes, 0, 4) = pack 'N',
			  (0, 1, 2, 3, 4, 5, 6, 1000000, 1000001, 0x0fffffff, 0x7fffffff,
				0x80000000, 0xffffffff)[ int rand 13 ];
		}
		elsif ($kind == 8)
		{
			$bytes .= $bytes if $size < 4096;
		}
	}
	return $bytes;
}

# Writes the file of a COPY of one row.
sub write_copy_file
{
	my ($path, @fields) = @_;
	open my $file, '>:raw', $path or die $!;
	print $file "PGCOPY\n\377\r\n\0", pack('NN', 0, 0),
	  pack('n', scalar @fields),
	  (map { pack('N', length $_) . $_ } @fields), pack('n', 0xffff);
	close $file;
}

# Copies all files into the table, each by itself.  The answer is what SQL says
# of the table "refused" (state, message).
sub copy_files
{
	my ($table, $name, $sql) = @_;
	return $node->safe_psql(
		'postgres', qq{
		CREATE TEMP TABLE refused (state text, message text);
		DO \$\$
		BEGIN
			FOR number IN 1 .. $rows LOOP
				BEGIN
					EXECUTE format('COPY $table FROM %L (FORMAT binary)', '$folder/$name.' || number);
				EXCEPTION WHEN OTHERS THEN
					INSERT INTO refused VALUES (SQLSTATE, SQLERRM);
				END;
			END LOOP;
		END;
		\$\$;
		$sql
	});
}

# The binary forms of what SQL expressions give.
sub get_binary
{
	return map {
		pack 'H*', $node->safe_psql('postgres', "SELECT encode($_, 'hex')")
	} @_;
}

foreach my $type (sort keys %valid)
{
	my @seeds = get_binary(
		map { "apikeys_internal.${type}_send('$_'::apikeys.$type)" }
		  @{ $valid{$type} });

	foreach my $number (1 .. $rows)
	{
		my $bytes;
		if ($number <= @seeds) { $bytes = $seeds[ $number - 1 ]; }
		elsif (rand() < 0.1) { $bytes = random_bytes(int rand 200); }
		elsif (rand() < 0.1 && $type eq 'access_list')
		{
			# Entries that are nearly right.
			my $count = int rand 20;
			$bytes = pack 'N', $count;
			$bytes .= (
				rand() < 0.5
				? pack('CC', 4, int rand 33) . random_bytes(4)
				: pack('CC', 6, int rand 129) . random_bytes(16))
			  for 1 .. $count;
		}
		else { $bytes = mutate($seeds[ int rand @seeds ], @seeds); }
		write_copy_file("$folder/$type.$number", pack('N', $number), $bytes);
	}

	my ($refused_count, $states, $short) = split /\|/,
	  copy_files($type, $type, q{
		SELECT count(*), string_agg(DISTINCT state, ' ' ORDER BY state), max(length(message)) < 200 FROM refused;
	});
	my $accepted =
	  $node->safe_psql('postgres', "SELECT count(*) FROM $type");
	note("$type, seed $seed: $accepted accepted, $refused_count refused: $states");
	is($accepted + $refused_count, $rows, "$type: each row was judged");
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM $type WHERE file <= " . scalar @seeds),
		scalar @seeds,
		"$type: what is valid was accepted");
	cmp_ok($accepted, '>', $rows / 100, "$type: some others were");
	cmp_ok($refused_count, '>', $rows / 4, "$type: many were not");
	# 22P03: no binary form; 08P01: too short; 54000: too long a list
	like($states, qr/^(?:(?:08P01|22P03|54000) ?)+$/,
		"$type: refused for what they are");
	is($short, 't', "$type: with short messages");
	is( $node->safe_psql(
			'postgres', qq{
			SELECT count(*) FROM $type
			WHERE value::text::apikeys.${type}::text IS DISTINCT FROM value::text
				OR apikeys_internal.${type}_send(value::text::apikeys.$type) IS DISTINCT FROM apikeys_internal.${type}_send(value)
		}),
		'0',
		"$type: the text form of each value reads the same");

	# Written in binary and read again, they are the same.
	$node->safe_psql(
		'postgres', qq{
		COPY $type TO '$folder/$type.all' (FORMAT binary);
		CREATE TABLE ${type}_again (file int, value apikeys.$type);
		COPY ${type}_again FROM '$folder/$type.all' (FORMAT binary);
	});
	is( $node->safe_psql(
			'postgres', qq{
			SELECT count(*) FROM $type AS a FULL JOIN ${type}_again AS b USING (file)
			WHERE a.value::text IS DISTINCT FROM b.value::text
		}),
		'0',
		"$type: so does the binary form");
}

# What has been read can be used.
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) FROM access_list AS l
			CROSS JOIN LATERAL apikeys.networks(l.value) AS n
		WHERE NOT l.value OPERATOR(apikeys.@>) n
			OR masklen(apikeys.matching_network(l.value, n)) > masklen(n)
	}),
	'0',
	'each list contains its networks');
is( $node->safe_psql('postgres',
		q{SELECT count(*) FROM secret_hash WHERE value::text !~ '^.argon2id' AND apikeys.verify(value, 'a', 'b')}),
	'0',
	'no hash proves a secret at hazard');

# --- Images -----------------------------------------------------------------

# Values of each column after the first, the valid one first.
my @columns = (
	[q{uuid_send('10000000-0000-0000-0000-000000000000')}],
	[ 'boolsend(false)', 'boolsend(true)' ],
	[
		map { "timestamptz_send('$_')" } 'infinity', '2001-01-01',
		'-infinity'
	],
	[ map { "timestamptz_send('$_')" } '2001-01-01', 'infinity', '-infinity' ],
	[
		map { "array_send(CAST($_ AS apikeys.secret_hash[]))" }
		  q{ARRAY['sha256$$' || encode(sha256('a secret'), 'hex')]},
		q{'{}'},
		q{ARRAY[NULL]},
		q{ARRAY[[} . "'$valid{secret_hash}[0]'" . q{]]},
		"'[5:6]={$valid{secret_hash}[2],$valid{secret_hash}[3]}'",
		"ARRAY['$valid{secret_hash}[1]', '$valid{secret_hash}[4]', NULL]"
	],
	[
		map { "array_send(CAST($_ AS timestamptz[]))" } q{'{infinity}'}, q{'{}'},
		q{'{NULL}'}, q{'{2001-01-01}'}, q{'{infinity,infinity}'},
		q{'{{infinity}}'}, q{'[5:5]={infinity}'}
	],
	[ map { "'$_'::bytea" } '\x01000000', '\x', '\x01', '\x0100000001000000' ],
	[
		map { "array_send(CAST($_ AS text[]))" } q{'{fuzz}'}, q{'{}'}, q{'{NULL}'},
		q{'{fuzz,ORG_OWNER}'}, q{'{{fuzz}}'}, q{'[0:0]={fuzz}'},
		q{ARRAY[repeat('x', 100000)]}
	],
	[
		map { "apikeys_internal.access_list_send('$_')" } @{ $valid{access_list} }
	],
	[
		map { "array_send(CAST($_ AS text[]))" } q{'{fuzz}'}, q{'{}'}, q{'{NULL}'},
		q{'{fuzz,GROUP_OWNER}'}, q{'{{fuzz}}'}, q{array_fill('fuzz'::text, ARRAY[9])}
	],
	[
		map { "array_send(CAST($_ AS uuid[]))" }
		  q{'{1a000000-0000-0000-0000-000000000000}'}, q{'{}'}, q{'{NULL}'},
		q{'{{1a000000-0000-0000-0000-000000000000}}'},
		q{array_fill('1a000000-0000-0000-0000-000000000000'::uuid, ARRAY[9])}
	],
	[
		map { "jsonb_send('$_')" } '{}', '[]', '1',
		'{"owner": "a", "metadata": {"a": 1}, "environment": null}',
		'{"owner": 1}'
	],
	[
		map { "'\\x1a00000000000000000000000000001a'::bytea$_" } '',
		q{ || apikeys_internal.limit_image('rate', 'a', gen_random_uuid(), 9, '1 s', 9, NULL)},
		q{ || apikeys_internal.limit_image('month', NULL, gen_random_uuid(), NULL, NULL, NULL, 9)},
		q{ || '\x00'}
	]
);
@columns = map { [ get_binary(@$_) ] } @columns;
foreach my $number (1 .. $rows)
{
	my @fields = map { $_->[0] } @columns;
	for (1 .. ($number == 1 ? 0 : 1 + int rand 3))
	{
		my $column = int rand @columns;
		my @values = @{ $columns[$column] };
		my $value = $values[ int rand @values ];
		$fields[$column] = rand() < 0.6 ? $value : mutate($value, @values);
	}
	write_copy_file("$folder/image.$number", "image.$number", @fields);
}
$node->safe_psql(
	'postgres', q{
	INSERT INTO apikeys.organization (id, name) VALUES ('10000000-0000-0000-0000-000000000000', 'fuzz');
	INSERT INTO apikeys.role (name, level, organization_permissions, project_permissions)
	VALUES ('fuzz', 'organization', '{a}', '{a}');
});
my ($refused_count, $states) = split /\|/,
  copy_files('apikeys.key_image', 'image',
	q{SELECT count(*), string_agg(DISTINCT state, ' ' ORDER BY state) FROM refused});

# Each is asked twice: by the index, and where it was found.
my %outcomes = map { split /\|/ } split /\n/, $node->safe_psql(
	'postgres', q{
	CREATE TEMP TABLE outcome (public_key text, outcome text);
	DO $$
	DECLARE
		image apikeys.key_image;
		project uuid;
	BEGIN
		FOR image IN SELECT * FROM apikeys.key_image LOOP
			FOREACH project IN ARRAY ARRAY[NULL, NULL, '1a000000-0000-0000-0000-000000000000']::uuid[] LOOP
				BEGIN
					INSERT INTO outcome
						SELECT image.public_key, reason
						FROM apikeys.decide(image.public_key, 'a secret', '10.1.2.3', 'a', project);
				EXCEPTION WHEN OTHERS THEN
					INSERT INTO outcome VALUES (image.public_key, SQLSTATE);
				END;
			END LOOP;
		END LOOP;
	END;
	$$;
	SELECT outcome, count(*) FROM outcome GROUP BY 1;
});
note("images: $refused_count refused: $states; then "
	  . join(', ', map { "$outcomes{$_} $_" } sort keys %outcomes));
my $accepted = $node->safe_psql('postgres',
	'SELECT count(*) FROM apikeys.key_image');
is($accepted + $refused_count, $rows, 'images: each row was judged');
cmp_ok($refused_count, '<', $rows / 2, 'images: most can be written');
cmp_ok($outcomes{XX001}, '>', $rows / 10, 'images: many are damaged');
cmp_ok($outcomes{ok}, '>', $rows / 10, 'images: many are not');
is( join(' ', sort grep {
			!/^(?:ok|wrong_secret|secret_expired|pepper_missing|key_disabled|key_expired|lifetime_exceeded|access_list_required|address_denied|scope_denied|rate_limited|quota_exceeded|XX001)$/
		} keys %outcomes),
	'',
	'images: decided, or said to be damaged');

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'),
	$begun, 'the server is the same');
$node->stop;
unlike(slurp_file($node->logfile),
	qr/terminated by signal|PANIC|TRAP:|invalid memory alloc/,
	'no process of it has failed');

done_testing();
