# Faults that users of other systems have reported in public, each tried here.  A
# report is named by its repository and number on GitHub.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('reports');
$node->init(extra => [ '--encoding', 'UTF8', '--locale', 'C' ]);
PostgreSQL::Test::Utils::append_to_file($node->data_dir . '/peppers', 'a:' . 'a1' x 32 . "\n");
chmod(0600, $node->data_dir . '/peppers');
$node->append_conf('postgresql.conf', qq{
shared_preload_libraries = 'apikeys'
apikeys.pepper_file = 'peppers'
log_min_messages = debug1
log_error_verbosity = verbose
TimeZone = 'Asia/Shanghai'
});
$node->start;

# query(STATEMENTS): what they print; query_as(PRINCIPAL, STATEMENTS): all as a user of the application.
sub query { my ($statements) = @_; return $node->safe_psql('postgres', $statements); }
sub query_as
{
	my ($principal, $statements) = @_;
	my $printed = query("BEGIN; SELECT apikeys.act_as('$principal'); $statements; COMMIT");
	$printed =~ s/^\Q$principal\E\n?//;
	return $printed;
}

# What statements that fail say.
sub error_of
{
	my ($statements) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statements");
	return $stderr;
}
sub error_as { my ($principal, $statements) = @_; return error_of("BEGIN; SELECT apikeys.act_as('$principal'); $statements; COMMIT"); }

# answers(REPORT, EXPRESSION, EXPECTED, WHAT)
sub answers
{
	my ($report, $expression, $expected, $what) = @_;
	return is(query("SELECT $expression"), $expected, "$report: $what");
}

sub decide
{
	my ($key, $secret, $address, $scope) = @_;
	$address //= '192.0.2.1';
	$scope //= 'clusters.read';
	return "(apikeys.decide('$key', '$secret', '$address', '$scope')).reason";
}

# A new key of Acme: its public and its private key.
sub new_key
{
	my ($rest) = @_;
	$rest //= '';
	return split /\|/, query("SELECT public_key, private_key FROM apikeys.create_key(apikeys.organization('Acme'), 'a key', '{ORG_READ_ONLY}'$rest)");
}

query(q{
	CREATE EXTENSION apikeys;
	SELECT apikeys.create_organization('Acme', 'user:anna');
	SELECT apikeys.create_organization('Other', 'user:otto');
	SELECT apikeys.create_project(apikeys.organization('Acme'), 'app');
	SELECT apikeys.create_role('keeper', 'project', '{}', '{*.read,apikeys.keys.manage}', NULL);
	SELECT apikeys.add_member(apikeys.organization('Acme'), 'user:admin', 'keeper', apikeys.project('Acme', 'app'));
	CREATE ROLE app;
	SELECT apikeys.grant_access('app', 'manage', 'impersonate')});

# --- What is taken back ---------------------------------------------------------------

my $session = $node->background_psql('postgres');
my ($key, $secret) = new_key();
is($session->query('SELECT ' . decide($key, $secret)), 'ok', 'a session has used a key');
my $token = query("SELECT apikeys.issue_token('1 hour', public_key => '$key')");
my $by_token = "SELECT (apikeys.decide_token('$token', '192.0.2.1', 'clusters.read')).reason";
is($session->query($by_token), 'ok', 'and a token of it');
query("SELECT apikeys.disable_key('$key')");
is($session->query('SELECT ' . decide($key, $secret)), 'key_disabled', 'gpustack/gpustack#6173: a key that is disabled');
query("SELECT apikeys.enable_key('$key'); SELECT apikeys.delete_key('$key')");
is($session->query('SELECT ' . decide($key, $secret)), 'unknown_key', 'weave-os/router#473: a key that is deleted is denied at once in a session that has used it');
isnt($session->query($by_token), 'ok', 'civitai/civitai#2658: and so is a token of it');

($key, $secret) = new_key();
$session->query('SELECT ' . decide($key, $secret));
my $second = query("SELECT apikeys.rotate_secret('$key')");
is($session->query('SELECT ' . decide($key, $secret)), 'secret_expired', 'Scifabric/pybossa#627: a secret that is rotated');
is($session->query('SELECT ' . decide($key, $second)), 'ok', 'and its successor');
my $third = query("SELECT apikeys.rotate_secret('$key', '1 hour')");
answers('TheMorpheus407/the-dmz#322', decide($key, $second), 'ok', 'the old secret passes while both do');
answers('BerriAI/litellm#27193', decide($key, $third), 'ok', 'and the new one');
query("SELECT apikeys.rotate_secret('$key', '500 milliseconds')");
ok($node->poll_query_until('postgres', 'SELECT ' . decide($key, $third) . " = 'secret_expired'"),
	'solana-foundation/solana-developer-platform#897: the overlap ends');
my $last = query("SELECT apikeys.rotate_secret('$key')");
my ($lost) = query("BEGIN; SELECT apikeys.rotate_secret('$key'); ROLLBACK");
answers('1f916-ai/1f916#182', decide($key, $last), 'ok', 'a rotation that is lost leaves the old secret');
answers('1f916-ai/1f916#182', decide($key, $lost), 'wrong_secret', 'and the new one is none');

query(q{SELECT apikeys.create_role('reader', 'organization', '{reports.read}', '{}', NULL)});
($key, $secret) = split /\|/, query(q{SELECT public_key, private_key FROM apikeys.create_key(apikeys.organization('Acme'), 'a reader', '{reader}')});
is($session->query('SELECT ' . decide($key, $secret, undef, 'reports.read')), 'ok', 'a key has a role');
query(q{UPDATE apikeys.role SET organization_permissions = '{}' WHERE name = 'reader'});
is($session->query('SELECT ' . decide($key, $secret, undef, 'reports.read')), 'scope_denied',
	'tolgee/tolgee-platform#1877: what the role loses, the key loses');
$session->quit;

query(q{SELECT apikeys.create_organization('Leaving', 'user:old')});
query(q{SELECT apikeys.add_member(apikeys.organization('Leaving'), 'user:new', 'ORG_OWNER')});
($key, $secret) = split /\|/, query_as('user:old', q{SELECT public_key, private_key FROM apikeys.create_key(apikeys.organization('Leaving'), 'made by old', '{ORG_READ_ONLY}')});
query(q{SELECT apikeys.remove_member(apikeys.organization('Leaving'), 'user:old', 'ORG_OWNER')});
answers('novuhq/novu#1232', decide($key, $secret), 'ok', 'a key belongs to its organization, not to its maker');
is(query_as('user:new', q{SELECT count(*) FROM apikeys.find_keys(created_by => 'user:old')}), '1',
	'PostHog/posthog#31733: who removes a member sees which keys are theirs');
like(error_of(q{SELECT apikeys.delete_organization(apikeys.organization('Leaving'))}), qr/2BP01.*has keys/s,
	'itsyouonline/identityserver#254: an organization is not deleted while it has keys');
query(qq{SELECT apikeys.delete_key('$key'); SELECT apikeys.delete_organization(apikeys.organization('Leaving'))});
answers('NuGet/NuGetGallery#5924', decide($key, $secret), 'unknown_key', 'and then nothing is left of it');

# --- Who may give what ------------------------------------------------------------------

like(error_as('user:admin', q{SELECT apikeys.create_project_key(apikeys.project('Acme', 'app'), 'too much', '{GROUP_OWNER}', permissions => '{*}')}),
	qr/42501/, 'own-pay/OwnPay#353, decocms/studio#4119: a key that could do more than who makes it');
($key) = split /\|/, query_as('user:admin', q{SELECT public_key FROM apikeys.create_project_key(apikeys.project('Acme', 'app'), 'small', '{GROUP_READ_ONLY}')});
like(error_as('user:admin', "SELECT apikeys.set_project_roles('$key', apikeys.project('Acme', 'app'), '{GROUP_READ_ONLY}', '{*}')"),
	qr/42501/, 'majiayu000/litellm-rs#432: a change is no way round that');
like(error_as('user:admin', "SELECT apikeys.set_organization_roles('$key', '{ORG_OWNER}')"),
	qr/42501/, 'langfuse/langfuse#13539: nor the organization above');
query_as('user:anna', "SELECT apikeys.update_key('$key', description => 'renamed'); SELECT apikeys.set_project_roles('$key', apikeys.project('Acme', 'app'), '{GROUP_READ_ONLY}', '{a.b}'); SELECT apikeys.set_project_roles('$key', apikeys.project('Acme', 'app'), '{GROUP_READ_ONLY}')");
answers('emqx/emqx#18968', "role || permission FROM (SELECT min(role) AS role, min(permission) AS permission FROM apikeys.key_role WHERE public_key = '$key') AS r",
	'GROUP_READ_ONLYa.b', 'what is not named is not changed');
my ($manager, $its_secret) = split /\|/, query(q{SELECT public_key, private_key FROM apikeys.create_project_key(apikeys.project('Acme', 'app'), 'manager', '{keeper}', owner => 'user:anna')});
like(error_of(qq{BEGIN; SELECT apikeys.authenticate('$manager', '$its_secret', '192.0.2.1');
		SELECT apikeys.create_key(apikeys.organization('Acme'), 'stronger', '{ORG_OWNER}')}),
	qr/42501/, 'blnkfinance/blnk#298: a key makes no stronger key');
like(error_of(qq{BEGIN; SELECT apikeys.authenticate('$manager', '$its_secret', '192.0.2.1');
		SELECT apikeys.rename_organization(apikeys.organization('Acme'), 'Mine')}),
	qr/42501|42704/, 'decocms/studio#4180: what its owner may do is not what a key may do');
is(query_as('user:otto', q{SET LOCAL ROLE app; SELECT count(*) FROM apikeys.keys}), '0', 'and nobody sees keys of others');

# --- Scopes ---------------------------------------------------------------------------

like(error_of(q{SELECT apikeys.create_key(apikeys.organization('Acme'), 'no scopes', '{}')}), qr/roles_missing/,
	'useautumn/autumn#1348: no scopes are not all scopes');
($key, $secret) = new_key();
query("DELETE FROM apikeys.key_role WHERE public_key = '$key'");
answers('rameerez/api_keys#11, LeanerCloud/CUDly#1301', decide($key, $secret), 'scope_denied', 'a key whose roles are taken can do nothing');
($key, $secret) = split /\|/, query(q{SELECT public_key, private_key FROM apikeys.create_key(apikeys.organization('Acme'), 'pattern', '{}', permissions => '{clusters.*}')});
answers('coder/coder#20032', 'string_agg(' . decide($key, $secret, undef, '\' || s || \'') . q{, ' ') FROM unnest('{clusters.read,clusters.a.b,clusters,clustersx.read,Clusters.read,xclusters.read}'::text[]) AS s},
	'ok ok scope_denied scope_denied scope_denied scope_denied', 'a pattern ends at its dots');
like(error_of(q{SELECT apikeys.create_key(apikeys.organization('Acme'), 'unknown', '{ORG_READ_ONLY,ORG_RAED_ONLY}')}), qr/role_not_found/,
	'KevinBonnoron/sirene#40: a role that does not exist is not dropped in silence');

# --- Addresses ------------------------------------------------------------------------

($key, $secret) = new_key(q{, '{10.0.0.0/8,2001:db8::/48,203.0.113.5}'});
answers('rmyndharis/OpenWA#211', decide($key, $secret, '::ffff:10.1.2.3'), 'ok', 'an IPv4 address in the form of IPv6');
answers('koladev32/drf-simple-apikey#105', decide($key, $secret, '2001:db8::1'), 'ok', 'an IPv6 address in the list');
answers('koladev32/drf-simple-apikey#105', decide($key, $secret, '2001:db9::1'), 'address_denied', 'and one that is not');
like(error_of('SELECT ' . decide($key, $secret, '10.1.2.3:443')), qr/22P02.*invalid_address/s, 'ZerosAndOnesLLC/AiFw#669: an address with a port is no address');
like(error_of('SELECT ' . decide($key, $secret, '10.1.2.3, 198.51.100.1')), qr/22P02.*invalid_address/s, 'nor is a list of them');
($key, $secret) = new_key(q{, '{0.0.0.0/0}'});
answers('coollabsio/coolify#8750', decide($key, $secret, '2001:db8::1'), 'address_denied', 'all of IPv4 is nothing of IPv6');
answers('coollabsio/coolify#8750', q{apikeys.cardinality('{10.0.0.0/8,10.0.0.0/8,10.1.0.0/16}'::apikeys.access_list)}, '2', 'equal entries are one');

# As PostgREST passes a request on: the last address that a trusted proxy has seen counts.
($key, $secret) = new_key(q{, '{203.0.113.5}'});
sub authenticate_request
{
	my ($headers) = @_;
	return error_of(qq{BEGIN; SET LOCAL request.headers = '$headers'; SELECT apikeys.authenticate_request()});
}
query("ALTER SYSTEM SET apikeys.trusted_proxies = '{127.0.0.1,::1}'; SELECT pg_reload_conf()");
like(authenticate_request(qq({"x-api-key": "$key.$secret", "x-forwarded-for": "203.0.113.5, 198.51.100.66"})), qr/28000/,
	'forgekeep/nebula-mesh#232: what a client writes before its own address does not count');
is(authenticate_request(qq({"x-api-key": "$key.$secret", "x-forwarded-for": "198.51.100.66, 203.0.113.5"})), '', 'the last one does');
is(authenticate_request(qq({"authorization": "Bearer   $key.$secret", "x-forwarded-for": "203.0.113.5"})), '',
	'cds-snc/notification-api#2150: more than one blank after the scheme');

# --- Times ----------------------------------------------------------------------------

($key, $secret) = new_key(q{, expires_at => '2514-01-01'});
answers('unkeyed/unkey#26', decide($key, $secret), 'ok', 'a key that expires in five centuries');
($key, $secret) = new_key(q{, expires_at => current_date});
answers('OWASP/Nest#4426', decide($key, $secret), 'key_expired', 'a date alone is the midnight that it begins with');
($key, $secret) = new_key();
query("UPDATE apikeys.key SET expires_at = date_trunc('day', now()) - interval '1 second' WHERE public_key = '$key'");
answers('calcom/cal.diy#29728', decide($key, $secret), 'key_expired', 'a key ends at its second, not with its day');
($key, $secret) = new_key(q{, expires_at => now() + interval '300 milliseconds'});
ok($node->poll_query_until('postgres', 'SELECT ' . decide($key, $secret) . " = 'key_expired'"), 'langflow-ai/langflow#13330: and to the fraction');
($key, $secret) = new_key();
$token = query("SELECT apikeys.issue_token('1 second', public_key => '$key')");
ok($node->poll_query_until('postgres', "SELECT (apikeys.decide_token('$token', '192.0.2.1', 'clusters.read')).reason = 'token_expired'"),
	'colophon-group/jobseek#6124: the server ends a token, not who holds it');

# --- Limits ---------------------------------------------------------------------------

# What so many sessions answer that begin the statement at the same time.
sub at_once
{
	my ($count, $statement) = @_;
	my $start = time() + 2;
	my (@runs, @answers);

	foreach my $i (0 .. $count - 1)
	{
		$answers[$i] = '';
		push @runs, IPC::Run::start(
			[
				'psql', '-XAtq', '-d', $node->connstr('postgres'),
				'-c', "DO 'BEGIN PERFORM pg_sleep($start - extract(epoch FROM clock_timestamp())); END'",
				'-c', $statement
			],
			'<', \undef, '>', \$answers[$i], '2>', '/dev/null');
	}
	$_->finish foreach @runs;
	return map { /^(\S+)$/m ? $1 : '' } @answers;
}
($key, $secret) = new_key();
query("SELECT apikeys.set_rate_limit('$key', 1, '1 hour', 1)");
my @passed = grep { $_ eq 'ok' } at_once(6, 'SELECT ' . decide($key, $secret));
is(scalar @passed, 1, 'madara88645/Compiler#468: of six requests at once one takes the last unit');
answers('hashicorp/boundary#4094', "(h->>'Retry-After')::int >= extract(epoch FROM d.retry_after) FROM apikeys.decide('$key', '$secret', '192.0.2.1', 'clusters.read') AS d, apikeys.rate_limit_headers(d) AS h",
	't', 'who waits as long as told is not told again');
($key, $secret) = new_key();
answers('3scale/APIcast#929', "count(h->>'Retry-After') FROM apikeys.decide('$key', '$secret', '192.0.2.1', 'clusters.read') AS d, apikeys.rate_limit_headers(d) AS h", '0', 'no limit, nothing to wait for');
($key, $secret) = new_key(q{, '{10.0.0.0/8}'});
query("SELECT apikeys.set_quota('$key', 2, 'day')");
query('SELECT ' . decide($key, $secret, '192.0.2.1')) for 1 .. 5;
query('SELECT ' . decide($key, 'wrong', '10.0.0.1')) for 1 .. 5;
answers('better-auth/better-auth#9263', "remaining FROM apikeys.decide('$key', '$secret', '10.0.0.1', 'clusters.read')", '1', 'what is denied costs nothing');
answers('astaxie/TokenHub#335', "date_trunc('minute', now() + reset_after + interval '30 seconds') AT TIME ZONE 'UTC' = date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day' FROM apikeys.decide('$key', '$secret', '10.0.0.1', 'clusters.read')",
	't', 'a day ends at midnight UTC, wherever the server is, as documented');
query("SELECT apikeys.set_quota('$key', 0, 'day')");
answers('express-rate-limit/express-rate-limit#49', decide($key, $secret, '10.0.0.1'), 'quota_exceeded', 'zero is nothing, not everything');
query(q{SELECT apikeys.set_organization_policy(apikeys.organization('Other'), max_keys => 2)});
my @made = grep { /^ak_pub/ } at_once(5, q{SELECT public_key FROM apikeys.create_key(apikeys.organization('Other'), 'one more', '{ORG_READ_ONLY}')});
is(scalar @made, 2, 'pterodactyl/panel#5620: five sessions at once make no more keys than are allowed');

# --- Use ------------------------------------------------------------------------------

($key, $secret) = new_key();
answers('dust-tt/dust#29751', decide($key, $secret) . ', pg_current_xact_id_if_assigned() IS NULL', 'ok|t', 'a use writes nothing');
is(query('BEGIN READ ONLY; SELECT ' . decide($key, $secret) . '; COMMIT'), 'ok', 'BerriAI/litellm#38667: and so it goes where nothing can be written');
query('SELECT apikeys.flush_usage()');
my $merge = q{SELECT apikeys.merge_usage(gen_random_uuid(), 1, '{KEY}', '{NULL}', '{NULL}', '{3}', '{2001-01-01}', '{NULL}', '{1}', '{NULL}', '{2001-01-01}', '{3}', '{3}', ARRAY(SELECT organization_id FROM apikeys.key WHERE public_key = 'KEY'))};
query($merge =~ s/KEY/$key/gr);
answers('spree/spree#13676', "use_count || ' ' || (last_used_at > now() - interval '1 minute') FROM apikeys.usage WHERE public_key = '$key'", '5 true',
	'an older count that comes later does not set the clock back');

# --- Lists ----------------------------------------------------------------------------

query(q{CREATE TABLE batch AS SELECT 'page_' || n AS public_key, ('sha256$$' || encode(sha256('x'), 'hex'))::apikeys.secret_hash AS hash,
	'a key' AS description, '{ORG_READ_ONLY}'::text[] AS roles FROM generate_series(1, 25) AS n;
	SELECT apikeys.set_organization_policy(apikeys.organization('Other'), max_keys => 100);
	SELECT apikeys.import_keys(apikeys.organization('Other'), 'batch')});
my ($position, %seen) = ("'infinity', ''");
while (my $page = query(qq{SELECT created_at, public_key FROM apikeys.keys WHERE organization = 'Other'
	AND (created_at, public_key) < ($position) ORDER BY created_at DESC, public_key DESC LIMIT 4}))
{
	my @rows = map { [ split /\|/ ] } split /\n/, $page;
	$seen{ $_->[1] }++ foreach @rows;
	$position = "'$rows[-1][0]', '$rows[-1][1]'";
}
is(scalar(keys %seen) . ' ' . (grep { $_ > 1 } values %seen), '27 0',
	'leapmux/leapmux#302, openkruise/agents#581, unkeyed/unkey#3809: keys of one moment, page by page: each once');

# --- Odd texts ------------------------------------------

($key, $secret) = new_key();
foreach my $odd (
	[ 'RoyaleAPI/cr-api#396', "'x' || '$key'", "'$secret'", 'a character too many' ],
	[ 'wavelog/wavelog#2768', 'NULL', 'NULL', 'nothing' ],
	[ 'posit-dev/connectapi#16', "''", "''", 'empty texts' ],
	[ 'madara88645/Compiler#1062', "'$key'", "U&'\\00e4\\4e2d'", 'letters beyond ASCII' ],
	[ 'alefcarlos/keycloak-api-key#7', "upper('$key')", "'$secret'", 'another case' ],
	[ 'logicalclocks/hopsworks-api#185', "'$key'", "'$secret' || chr(10)", 'a line end' ],
	[ 'cds-snc/notification-admin#1476', "repeat('k', 1000000)", "repeat('s', 1000000)", 'a megabyte' ])
{
	my ($report, $public, $private, $what) = @$odd;
	answers($report, "apikeys.authorize($public, $private, '192.0.2.1', 'clusters.read')", 'f', "$what: a no, not an error");
}
like(error_of(q{SELECT apikeys.create_key(apikeys.organization('Acme'), repeat('n', 100000), '{ORG_READ_ONLY}')}), qr/22\d\d\d.*descri/s,
	'dbpedia/databus#41: a name that is too long is told so');
answers('keygen-sh/keygen-api#293', q{(apikeys.update_key('} . $key . q{', metadata => '{"a b": "c d"}')).metadata->>'a b'}, 'c d', 'blanks in metadata');

# --- Digest ---------------------------------------------------------------------------

query("SELECT apikeys.enable_digest('$key', 'acme')");
$secret = query("SELECT apikeys.rotate_secret('$key')");
my ($nonce) = query("SELECT apikeys.digest_challenge('acme')") =~ /nonce="([^"]+)"/;
sub digest
{
	my ($count, $uri) = @_;
	my $nc = sprintf('%08x', $count);
	my $response = sha256_hex(join ':', sha256_hex("$key:acme:$secret"), $nonce, $nc, 'c', 'auth', sha256_hex("GET:$uri"));
	my $header = qq{Digest username="$key", realm="acme", nonce="$nonce", uri="$uri", algorithm=SHA-256, qop=auth, nc=$nc, cnonce="c", response="$response"};
	return "(apikeys.decide_digest('$header', 'GET', '$uri', '192.0.2.1', 'clusters.read')).reason";
}
answers('cakephp/cakephp#9668, jibrilsharafi/EnergyMe-Home#222', digest(1, '/'), 'ok', 'a request');
answers('cakephp/cakephp#9668, jibrilsharafi/EnergyMe-Home#222', digest(1, '/'), 'nonce_replayed', 'that is sent again');
answers('SignalK/SensESP#885', digest(4, '/') . ', ' . digest(3, '/'), 'ok|ok', 'two that overtake each other');
answers('gevorg/http-auth#94', digest(5000, '/') . ', ' . digest(5000, '/'), 'ok|nonce_replayed', 'a large count is no licence to replay');
($nonce) = query("SELECT apikeys.digest_challenge('acme')") =~ /nonce="([^"]+)"/;
answers('adamcavendish/aioduct#78', digest(1, '/a?b=c'), 'ok', 'each nonce has its own count');

# --- What is told -----------------------------------------------------------------------

like(error_of(q{SELECT apikeys.import_key(apikeys.organization('Other'), 'page_1', ('sha256$$' || repeat('ab', 32))::apikeys.secret_hash, 'again', '{ORG_READ_ONLY}')}),
	qr/^(?!.*abab).*public_key_taken/s, 'rainway-ai-gateway/ai-gateway-api#185: a key that exists, and no hash in the error');
unlike(error_of("BEGIN; SELECT apikeys.authenticate('$key', 'sk_live_0123456789', '192.0.2.1')") =~ s/^LINE.*\n.*//mgr, qr/sk_live/,
	'Unstructured-IO/unstructured-api#578, IQSS/dataverse#4954: a wrong secret is not sent back');
my $told = query(q{SELECT string_agg(e::text, ' ') FROM apikeys.audit_event AS e});
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
my @secrets = ($secret, $second, $third, $last, $lost, $its_secret);
ok(length($told) > 1000 && !(grep { index($told, $_) >= 0 } @secrets), 'BerriAI/litellm#31620: no secret in the audit log');
$log =~ s/^.*(?:STATEMENT|statement): .*(?:\n\t.*)*//mg;
ok(!(grep { index($log, $_) >= 0 } @secrets), 'rmusser01/tldw_server#474, guardian/riff-raff#1586: nor in the server log, statements aside');

$node->stop;
done_testing();
