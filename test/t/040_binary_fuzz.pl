# Random bytes as the binary form of both types: the server refuses them or
# reads them, but never fails, and what it has read is written as text that
# reads the same.
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

# The file of a COPY of one row of one value.
sub copy_file
{
	my ($number, $bytes) = @_;
	return
	    "PGCOPY\n\377\r\n\0"
	  . pack('NN', 0, 0)
	  . pack('n', 2)
	  . pack('NN', 4, $number)
	  . pack('N', length $bytes)
	  . $bytes
	  . pack('n', 0xffff);
}

foreach my $type (sort keys %valid)
{
	my @seeds = map {
		pack 'H*',
		  $node->safe_psql('postgres',
			"SELECT encode(apikeys.${type}_send('$_'::apikeys.$type), 'hex')")
	} @{ $valid{$type} };

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
		open my $file, '>:raw', "$folder/$type.$number" or die $!;
		print $file copy_file($number, $bytes);
		close $file;
	}

	my $refused = $node->safe_psql(
		'postgres', qq{
		CREATE TEMP TABLE refused (state text, message text);
		DO \$\$
		BEGIN
			FOR number IN 1 .. $rows LOOP
				BEGIN
					EXECUTE format('COPY $type FROM %L (FORMAT binary)', '$folder/$type.' || number);
				EXCEPTION WHEN OTHERS THEN
					INSERT INTO refused VALUES (SQLSTATE, SQLERRM);
				END;
			END LOOP;
		END;
		\$\$;
		SELECT count(*), string_agg(DISTINCT state, ' ' ORDER BY state), max(length(message)) < 200 FROM refused;
	});
	my ($refused_count, $states, $short) = split /\|/, $refused;
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
				OR apikeys.${type}_send(value::text::apikeys.$type) IS DISTINCT FROM apikeys.${type}_send(value)
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

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'),
	$begun, 'the server is the same');
$node->stop;
unlike(slurp_file($node->logfile),
	qr/terminated by signal|PANIC|TRAP:|invalid memory alloc/,
	'no process of it has failed');

done_testing();
