# HTTP Digest: by curl's rules with peppers, in several sessions, after a restart,
# on a standby, through the rotation of peppers; replays; and what is stored.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $folder = PostgreSQL::Test::Utils::tempdir();
my $file = "$folder/peppers";
my %hex = (a => 'a1' x 32, b => 'b2' x 32);

# Writes the peppers of these ids to the file.
sub write_peppers
{
	my (@ids) = @_;

	open(my $handle, '>', "$file.new") or die "$file: $!";
	print $handle map { "$_:$hex{$_}\n" } @ids;
	close($handle);
	chmod(0600, "$file.new");
	rename("$file.new", $file) or die "$file: $!";
	return;
}

write_peppers('a');
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
autovacuum = off
log_statement = none
log_min_error_statement = error
log_error_verbosity = verbose
apikeys.pepper_file = '$file'
});
$primary->start;
$primary->safe_psql('postgres', q{
	CREATE EXTENSION apikeys;
	SELECT apikeys.create_organization('Acme', 'user:anna')});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub query { my ($statement) = @_; return $primary->safe_psql('postgres', $statement); }

# A new key that takes Digest, and its private key.
sub make_key
{
	my ($realm) = @_;
	my $key = query(q{SELECT public_key FROM apikeys.create_key(apikeys.organization('Acme'), 'a key', '{ORG_OWNER}', '{192.0.2.0/24}')});

	query("SELECT apikeys.enable_digest('$key', '$realm')");
	return ($key, query("SELECT apikeys.rotate_secret('$key')"));
}

# The nonce of a challenge.
sub nonce
{
	my ($node, $realm) = @_;
	my ($sha256, $md5) = split(/\n/, $node->safe_psql('postgres', "SELECT apikeys.digest_challenge('$realm')"));
	my ($nonce) = $sha256 =~ /^Digest realm="\Q$realm\E", qop="auth", algorithm=SHA-256, nonce="([\w-]{43})"$/ or die $sha256;
	$md5 =~ /, algorithm=MD5, nonce="$nonce"$/ or die $md5;
	return $nonce;
}

# Header Authorization; what is not given is as in a request that is right.
sub header
{
	my (%with) = (realm => 'acme', method => 'GET', uri => '/a?b=c', nc => 1, algorithm => 'SHA-256', @_);
	my $hash = $with{algorithm} eq 'MD5' ? \&md5_hex : \&sha256_hex;
	my $nc = sprintf('%08x', $with{nc});
	my $response = $hash->(join(':', $hash->("$with{key}:$with{realm}:$with{secret}"),
			$with{nonce}, $nc, 'cnonce', 'auth', $hash->("$with{method}:$with{uri}")));
	return qq{Digest username="$with{key}", realm="$with{realm}", nonce="$with{nonce}", uri="$with{uri}", }
	  . qq{algorithm=$with{algorithm}, qop=auth, nc=$nc, cnonce="cnonce", response="$response"};
}

# The reason of a decision about a request, which is GET /a?b=c if not given.
sub reason
{
	my ($node, $header, $method, $uri) = @_;
	return $node->safe_psql('postgres', sprintf(
			q{SELECT reason FROM apikeys.decide_digest('%s', '%s', '%s', '192.0.2.1'::inet, 'organization.read')},
			$header, $method // 'GET', $uri // '/a?b=c'));
}

my ($key, $secret) = make_key('acme');
my %right = (key => $key, secret => $secret);

# --- What proves a key ------------------------------------------------------
foreach my $algorithm ('MD5', 'SHA-256')
{
	my $nonce = nonce($primary, 'acme');
	my @given = (%right, algorithm => $algorithm, nonce => $nonce);

	is(reason($primary, header(@given)), 'ok', "$algorithm: a right response");
	is(reason($primary, header(@given)), 'nonce_replayed', "$algorithm: the same once more, in another session");
	is(reason($primary, header(@given, nc => 3)), 'ok', "$algorithm: the next but one");
	is(reason($primary, header(@given, nc => 2)), 'ok', "$algorithm: the one between");
	is(reason($primary, header(@given, nc => 2)), 'nonce_replayed', "$algorithm: and that once more");
	is(reason($primary, header(@given, nc => 4, secret => 'x')), 'wrong_secret', "$algorithm: another secret");
	is(reason($primary, header(@given, nc => 4), 'POST'), 'wrong_secret', "$algorithm: another method");
	is(reason($primary, header(@given, nc => 4), 'GET', '/a'), 'wrong_secret', "$algorithm: another target");
	is(reason($primary, header(@given, nc => 4, key => 'ak_pub_0')), 'unknown_key', "$algorithm: another key");
	is(reason($primary, header(@given, nc => 4, realm => 'other')), 'nonce_stale', "$algorithm: a nonce of another realm");
	is(reason($primary, header(@given, nc => 4, realm => 'other', nonce => nonce($primary, 'other'))),
		'wrong_secret', "$algorithm: another realm");
	is(reason($primary, header(@given, nc => 4)), 'ok', "$algorithm: what was wrong has not used the count");
	is(reason($primary, header(@given, nonce => ($nonce =~ /^x/ ? 'y' : 'x') . substr($nonce, 1))), 'nonce_stale', "$algorithm: a nonce that was not issued");
}

# Of a target that is too long only the beginning would be compared.  The header is
# shorter: what it says of the target is not read.
{
	my $nonce = nonce($primary, 'acme');
	my $long = '/' . 'a' x 16384;
	my $ask = sub {
		my ($nc, $proved, $asked) = @_;
		my $header = header(%right, nonce => $nonce, nc => $nc, uri => $proved);

		$header =~ s/uri="[^"]*"/uri="x"/;
		return reason($primary, $header, 'GET', $asked);
	};

	is($ask->(1, substr($long, 0, 16384), substr($long, 0, 16384)), 'ok', 'a long target');
	is($ask->(2, $long, $long), 'wrong_secret', 'a target that is too long');
	is($ask->(2, $long, $long . 'b'), 'wrong_secret', 'or goes on after that');
}

# --- Several sessions -------------------------------------------------------
# Each of 200 requests is sent by 4 sessions at the same time; one of them is allowed.
{
	my $nonce = nonce($primary, 'acme');
	my $statements = join('', map {
			sprintf(q{INSERT INTO answers SELECT %d, reason FROM apikeys.decide_digest('%s', 'GET', '/a?b=c', '192.0.2.1'::inet, 'organization.read');} . "\n",
				$_, header(%right, nonce => $nonce, nc => $_))
		} 1 .. 200);
	query('CREATE TABLE answers (nc integer, reason text)');
	my @children;
	PostgreSQL::Test::Utils::append_to_file("$folder/replay.sql", $statements);
	for (1 .. 4)
	{
		my $out;
		push @children, IPC::Run::start([ 'psql', '-XAtq', '-d', $primary->connstr('postgres'), '-f', "$folder/replay.sql" ],
			'>', \$out, '2>', \$out);
	}
	$_->finish foreach @children;
	is(query('SELECT count(*), count(DISTINCT nc) FROM answers WHERE reason = $$ok$$'), '200|200', 'each request once');
	is(query(q{SELECT count(*) FROM answers WHERE reason NOT IN ('ok', 'nonce_replayed', 'nonce_stale')}), 0, 'and no other time');
}

# --- What holds for all ways -------------------------------------------------
{
	my $nonce = nonce($primary, 'acme');
	my $nc = 0;
	my $next = sub { return reason($primary, header(%right, nonce => $nonce, nc => ++$nc)); };

	is($primary->safe_psql('postgres', sprintf(
				q{SELECT reason FROM apikeys.decide_digest('%s', 'GET', '/a?b=c', '198.51.100.1'::text, 'organization.read')},
				header(%right, nonce => $nonce, nc => ++$nc))), 'address_denied', 'the access list');
	query("SELECT apikeys.disable_key('$key')");
	is($next->(), 'key_disabled', 'a disabled key');
	query("SELECT apikeys.enable_key('$key')");
	is($next->(), 'ok', 'an enabled key');
	my $newer = query("SELECT apikeys.rotate_secret('$key', overlap => '1 hour')");
	is($next->(), 'ok', 'an old secret that lives on');
	is(reason($primary, header(key => $key, secret => $newer, nonce => $nonce, nc => ++$nc)), 'ok', 'the new one');
	is(query("SELECT detail FROM apikeys.explain_authorize('$key', '192.0.2.1'::inet, 'organization.read') WHERE check_name = 'secret_expired'"),
		'live secrets: 2, of which HTTP Digest can prove 2', 'both are explained');
	query("SELECT apikeys.revoke_secret('$key', 2)");
	is($next->(), 'secret_expired', 'the old one, revoked');
	$right{secret} = $newer;
	query("SELECT apikeys.enable_digest('$key', 'elsewhere')");
	is($next->(), 'ok', 'another realm is for the next secret');
	is(query("SELECT digest_realm, secrets -> 0 ->> 'digest_realm' FROM apikeys.keys WHERE public_key = '$key'"),
		'elsewhere|acme', 'as view keys tells');
	is(query(sprintf(
				q{BEGIN; SELECT apikeys.authenticate_digest('%s', 'GET', '/a?b=c', '192.0.2.1'::inet); SELECT apikeys.current_key(); COMMIT},
				header(%right, nonce => $nonce, nc => ++$nc))), "$key\n$key", 'a key is bound');
	my ($status, undef, $error) = $primary->psql('postgres', sprintf(
			'\set VERBOSITY verbose' . "\n" . q{SELECT apikeys.require_digest('%s', 'GET', '/a?b=c', '192.0.2.1'::inet, 'organization.read')},
			header(%right, nonce => $nonce, nc => $nc)));
	like($error, qr/ERROR:  28000: API key is not valid.*The reason is nonce_replayed.*CONSTRAINT NAME:  nonce_not_valid/s, 'an error for a replay');
	query("SELECT apikeys.update_key('$key', expires_at => now() + interval '1 second')");
	usleep(1_100_000);
	is($next->(), 'key_expired', 'an expired key');
	query("SELECT apikeys.update_key('$key', expires_at => 'infinity')");
	query("DELETE FROM apikeys.key_image WHERE public_key = '$key'");
	is($next->(), 'unknown_key', 'a key without its image');
	query("SELECT apikeys.rebuild_images()");
	is($next->(), 'ok', 'which is made again');
	query("SELECT apikeys.disable_digest('$key')");
	is($next->(), 'wrong_secret', 'a key that does not take Digest any more');
	is(reason($primary, header(key => 'nobody', secret => 'x', nonce => $nonce)), 'unknown_key', 'and no key');
	is(query("SELECT count(*) FROM apikeys.key_secret WHERE public_key = '$key' AND digest IS NOT NULL"), 0, 'nothing is left of it');
}

# --- Nonces -------------------------------------------------------------------
($key, $secret) = make_key('acme');
%right = (key => $key, secret => $secret);
{
	my $nonce = nonce($primary, 'acme');

	query('ALTER SYSTEM SET apikeys.digest_nonce_lifetime = 1; SELECT pg_reload_conf()');
	usleep(1_500_000);
	is(reason($primary, header(%right, nonce => $nonce)), 'nonce_stale', 'a nonce ends');
	query('ALTER SYSTEM RESET apikeys.digest_nonce_lifetime; SELECT pg_reload_conf()');

	$nonce = nonce($primary, 'acme');
	is(reason($primary, header(%right, nonce => $nonce)), 'ok', 'a nonce of this run');
	$primary->restart;
	is(reason($primary, header(%right, nonce => $nonce)), 'nonce_stale', 'not taken again by the next run');
	$primary->wait_for_catchup($standby);
	$nonce = nonce($standby, 'acme');
	is(reason($primary, header(%right, nonce => $nonce)), 'nonce_stale', 'nor that of another server');
	is(reason($standby, header(%right, nonce => $nonce)), 'ok', 'which takes it');
	is(reason($standby, header(%right, nonce => $nonce)), 'nonce_replayed', 'once');

	# More nonces than there is room for: old ones are forgotten, none is taken twice.
	my $answers = query(sprintf(q{
		DO $$
		DECLARE
			nonce text;
			first_header text;
			header text;
			h text;
			answer text;
		BEGIN
			FOR i IN 1 .. 20000 LOOP
				SELECT substring(min(c) FROM 'nonce="([^"]*)"') INTO nonce FROM apikeys.digest_challenge('acme') AS c;
				h := encode(sha256(convert_to(concat_ws(':', '%1$s', nonce, '00000001', 'c', 'auth', '%2$s'), 'UTF8')), 'hex');
				header := format('Digest username="%%s", realm="acme", nonce="%%s", uri="/", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c", response="%%s"', '%3$s', nonce, h);
				first_header := coalesce(first_header, header);
				IF (apikeys.decide_digest(header, 'GET', '/', '192.0.2.1'::inet, 'organization.read')).reason <> 'ok' THEN
					RAISE 'a new nonce is refused';
				END IF;
				IF apikeys.authorize_digest(header, 'GET', '/', '192.0.2.1'::inet, 'organization.read') THEN
					RAISE 'taken twice';
				END IF;
			END LOOP;
			SELECT reason INTO answer FROM apikeys.decide_digest(first_header, 'GET', '/', '192.0.2.1'::inet, 'organization.read');
			CREATE TEMP TABLE answer AS SELECT answer AS reason;
		END;
		$$;
		SELECT reason FROM answer}, sha256_hex("$key:acme:$secret"), sha256_hex('GET:/'), $key));
	like($answers, qr/^nonce_(stale|replayed)$/, 'the first of many is not taken again');
}

# --- Peppers ------------------------------------------------------------------
sub state_of_digests
{
	return query(q{SELECT pepper, state, secret_count FROM apikeys.rehash_status WHERE algorithm = 'digest'});
}
is(state_of_digests(), 'a|current|1', 'sealed with the current pepper');
write_peppers('b', 'a');
$primary->restart;
is(reason($primary, header(%right, nonce => nonce($primary, 'acme'))), 'ok', 'opened with a former one');
is(state_of_digests(), 'a|retired|1', 'which is told');
is(query('SELECT apikeys.reseal_digests()'), 1, 'sealed again');
is(query('SELECT apikeys.reseal_digests()'), 0, 'once');
is(state_of_digests(), 'b|current|1', 'with the current one');
write_peppers('b');
$primary->restart;
is(reason($primary, header(%right, nonce => nonce($primary, 'acme'))), 'ok', 'and the former one can go');
write_peppers('a');
$primary->restart;
is(reason($primary, header(%right, nonce => nonce($primary, 'acme'))), 'pepper_missing', 'not without the current one');
is(query('SELECT apikeys.reseal_digests()'), 0, 'nor can it be sealed again');
write_peppers('b');
$primary->restart;

# --- What is stored belongs to one secret of one key ---------------------------
my ($other_key, $other_secret) = make_key('acme');
query(qq{UPDATE apikeys.key_secret AS s SET digest = o.digest FROM apikeys.key_secret AS o
	WHERE s.public_key = '$key' AND s.digest IS NOT NULL AND o.public_key = '$other_key' AND o.digest IS NOT NULL});
is(reason($primary, header(key => $key, secret => $other_secret, nonce => nonce($primary, 'acme'))),
	'wrong_secret', "another key's does not open");
is(reason($primary, header(%right, nonce => nonce($primary, 'acme'))), 'wrong_secret', 'and its own is gone');
query(qq{UPDATE apikeys.key_secret SET digest = substr(digest, 1, 20) WHERE public_key = '$other_key' AND digest IS NOT NULL});
is(reason($primary, header(key => $other_key, secret => $other_secret, nonce => nonce($primary, 'acme'))),
	'wrong_secret', 'nor one that is damaged');
like(state_of_digests(), qr/^\|foreign\|1$/m, 'of which no pepper is known');
is(query('SELECT apikeys.reseal_digests()'), 0, 'and which is not sealed again');
my ($third_key, $third_secret) = make_key('acme');
my $dump = do
{
	my ($out, $err);
	IPC::Run::run([ 'pg_dump', '-d', $primary->connstr('postgres'), '-t', 'apikeys.key_secret', '--data-only', '-e', 'apikeys' ], '>', \$out, '2>', \$err);
	$out;
};
like($dump, qr/$third_key.*acme/, 'a dump has what is sealed');
unlike($dump, qr/@{[sha256_hex("$third_key:acme:$third_secret")]}|@{[md5_hex("$third_key:acme:$third_secret")]}/, 'and not what is in it');
unlike(slurp_file($primary->logfile), qr/response=|\Q$third_secret\E/, 'the log has no response and no secret');

done_testing();
