# The example of a web service, with real HTTP requests: what each is answered,
# straight and through a pooler in transaction mode, while keys are deleted.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use lib dirname(__FILE__);
use Pooler;

my $test = abs_path(dirname(__FILE__) . '/..');
my $requests = 20_000;

# --- Node.js and its driver -----------------------------------------------------

# The distribution's driver, or, beside another Node.js, the one of its registry.
sub find_driver
{
	my @candidates = ($ENV{NODE_PATH} // '', '/usr/share/nodejs');
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my ($stdout, $stderr);

	foreach my $path (@candidates, "$folder/node_modules")
	{
		local $ENV{NODE_PATH} = $path;
		if ($path eq "$folder/node_modules")
		{
			local $ENV{HOME} = $folder;
			IPC::Run::run [ 'npm', 'install', '--prefix', $folder, '--no-audit', '--no-fund', 'pg@8' ],
			  '>', \$stdout, '2>', \$stderr;
		}
		return $path
		  if IPC::Run::run [ 'node', '-e', 'require("pg")' ], '>', \$stdout, '2>', \$stderr;
	}
	BAIL_OUT("there is no Node.js with driver pg: $stderr");
}
$ENV{NODE_PATH} = find_driver();

# --- The server and its keys ------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('service');
$node->init;
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'apikeys'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION apikeys');
$node->safe_psql('postgres', slurp_file("$test/demo/service/schema.sql"));

my ($acme, $globex) = split /\n/, $node->safe_psql(
	'postgres', q{
	SELECT apikeys.create_organization('Acme', 'user:anna');
	SELECT apikeys.create_organization('Globex', 'user:bert')});
my ($one, $two, $three) = split /\n/, $node->safe_psql(
	'postgres', qq{
	SELECT apikeys.create_project('$acme', 'one');
	SELECT apikeys.create_project('$acme', 'two');
	SELECT apikeys.create_project('$globex', 'three')});
$node->safe_psql(
	'postgres', qq{
	INSERT INTO invoice (organization_id, project_id, amount, created_by) VALUES
		('$acme', '$one', 1, 'x'), ('$acme', '$one', 2, 'x'), ('$acme', '$two', 3, 'x'), ('$globex', '$three', 4, 'x')});

sub basic
{
	my ($public_key, $private_key) = @_;
	return 'Basic ' . encode_base64("$public_key:$private_key", '');
}

# A key of a project, as the value of the header Authorization, and its name.
sub make_key
{
	my ($project, $role, $list, $change) = @_;
	my ($public_key, $private_key) = split /\|/, $node->safe_psql(
		'postgres', qq{SELECT * FROM apikeys.create_project_key('$project', 'a key', '{$role}', '$list')});

	$node->safe_psql('postgres', "UPDATE apikeys.key SET $change WHERE public_key = '$public_key'")
	  if $change;
	return (basic($public_key, $private_key), $public_key);
}

# --- The service ------------------------------------------------------------------

# Starts it with these variables; returns the process and the port.
sub start_service
{
	my (%variables) = @_;
	my $program = delete $variables{PROGRAM} // "$test/demo/service/server.js";
	local %ENV = (
		%ENV,
		PGHOST => $node->host,
		PGPORT => $node->port,
		PGDATABASE => 'postgres',
		PGUSER => 'service',
		SESSIONS => '{"anna":"anna","bert":"bert"}',
		TRUST_PROXY => '1',
		PORT => '0',
		RATE_LIMIT => '1000000',
		%variables);
	my $output = '';
	my $process = IPC::Run::start [ 'node', $program ],
	  '>', \$output, '2>&1', IPC::Run::timer(60);

	$process->pump until $output =~ /listening on (\d+)/ || !$process->pumpable;
	$output =~ /listening on (\d+)/ or die "the service did not start: $output";
	return ($process, $1, \$output);
}

# Ends it, with all read that it has printed.
sub stop_service
{
	my ($process) = @_;

	$process->signal('TERM');
	$process->finish;
	return;
}

my $http = HTTP::Tiny->new;

# One request; the status, and the body as it is.
sub ask
{
	my ($port, $method, $path, $authorization, $content, %headers) = @_;
	my $response = $http->request(
		$method, "http://127.0.0.1:$port$path", {
			headers => {
				'x-forwarded-for' => '203.0.113.7',
				($authorization ? (authorization => $authorization) : ()),
				%headers
			},
			(defined $content ? (content => ref $content ? encode_json($content) : $content) : ()) });
	return ($response->{status}, $response->{content}, $response->{headers});
}

sub status_of { return (ask(@_))[0]; }

# --- What one is answered -----------------------------------------------------------

my ($reader, $reader_key) = make_key($one, 'INVOICE_READER', '{}');
my ($writer) = make_key($one, 'INVOICE_WRITER', '{203.0.113.0/24}');
my ($other) = make_key($three, 'INVOICE_WRITER', '{}');
my ($second) = make_key($two, 'INVOICE_READER', '{}');
my ($expired) = make_key($one, 'INVOICE_READER', '{}', "expires_at = now() - interval '1 minute'");
my ($disabled) = make_key($one, 'INVOICE_READER', '{}', 'disabled_at = now()');
my ($elsewhere) = make_key($one, 'INVOICE_READER', '{192.0.2.0/24}');

my ($process, $port, $output) = start_service();
my $invoices = "/invoices?project=$one";

sub amounts
{
	my ($status, $content) = ask($port, 'GET', @_);
	return join ' ', $status, map { $_->{amount} } @{ decode_json($content) };
}
is(amounts($invoices, $reader), '200 1.00 2.00', 'a reader sees the invoices of the project');
is(status_of($port, 'GET', "/invoices?project=$two", $reader), 403, 'and not those of another');
is(status_of($port, 'GET', "/invoices?project=$three", $reader), 403, 'nor of another organization');
is(status_of($port, 'GET', '/invoices', $reader), 403, 'nor without a project');
is(status_of($port, 'GET', $invoices, $other), 403, 'as others do not see these');
is(status_of($port, 'POST', '/invoices', $reader, { project => $one, amount => 5 }), 403, 'a reader does not write');
is(status_of($port, 'POST', '/invoices', $writer, { project => $one, amount => 5 }), 201, 'a writer does');
is(status_of($port, 'POST', '/invoices', $writer, { project => $two, amount => 5 }), 403, 'in its project');
is(amounts($invoices, $reader), '200 1.00 2.00 5.00', 'what was written is seen');
is(status_of($port, 'GET', $invoices, $elsewhere), 403, 'a wrong address');
is(status_of($port, 'GET', $invoices, $elsewhere, undef, 'x-forwarded-for' => '192.0.2.1'), 200, 'the right one');
is(status_of($port, 'GET', $invoices, $elsewhere, undef, 'x-forwarded-for' => '192.0.2.1, 203.0.113.7'), 403, 'a forged one');
is(status_of($port, 'GET', '/invoices?project=x', $reader), 400, 'no uuid');
is(status_of($port, 'POST', '/invoices', $writer, { project => $one, amount => 'x' }), 400, 'no number');
is(status_of($port, 'POST', '/invoices', $writer, '{'), 400, 'no JSON');
is(status_of($port, 'POST', '/invoices', $writer, 'x' x 100_000), 413, 'too much');
is(status_of($port, 'GET', '/', $reader), 404, 'nothing there');
is(status_of($port, 'GET', '//', $reader), 404, 'nor there');
my ($refused, undef, $refused_headers) = ask($port, 'DELETE', $invoices, $reader);
is("$refused $refused_headers->{allow}", '405 GET, POST', 'no such method');
is(status_of($port, 'POST', '/invoices', $writer, 'x' x 1_000_000), 413, 'far too much') foreach 1 .. 4;

my %unauthorized = (
	'no header' => undef,
	'another scheme' => 'Bearer x',
	'no base64' => 'Basic ???',
	'no colon' => 'Basic ' . encode_base64('x', ''),
	'an unknown key' => basic('nobody', 'x'),
	'a wrong secret' => basic($reader_key, 'x'),
	'no secret' => basic($reader_key, ''),
	'a zero byte' => basic($reader_key, "x\0y"),
	'bytes that are no UTF-8' => basic($reader_key, "\xff\xfe"));
my %answers;
foreach my $case (sort keys %unauthorized)
{
	my ($status, $content, $headers) = ask($port, 'GET', $invoices, $unauthorized{$case});
	is($status, 401, "$case is unauthorized");
	$answers{"$content $headers->{'www-authenticate'}"}++;
}
is(scalar(keys %answers), 1, 'all of them are answered the same');
is(status_of($port, 'GET', $invoices, $expired), 403, 'a key that is proved and has expired is forbidden');
is(status_of($port, 'GET', $invoices, $disabled), 403, 'and so is a disabled one');

# --- People and their keys -----------------------------------------------------------

my ($status, $content) = ask($port, 'POST', '/keys', 'Bearer anna',
	{ project => $one, description => "Anna's", roles => ['INVOICE_READER'], access_list => '{203.0.113.0/24}' });
is($status, 201, 'a user creates a key');
my $made = decode_json($content);
is(amounts($invoices, basic($made->{public_key}, $made->{private_key})), '200 1.00 2.00 5.00', 'which works');
my ($mine) = grep { $_->{public_key} eq $made->{public_key} } @{ decode_json((ask($port, 'GET', '/keys', 'Bearer anna'))[1]) };
is_deeply([ @$mine{qw(description created_by last_used_address)} ], [ "Anna's", 'user:anna', '203.0.113.7' ], 'and sees it, and its use');
unlike($content = (ask($port, 'GET', '/keys', 'Bearer anna'))[1], qr/\Q$made->{private_key}\E/, 'but never again its private key');
is(status_of($port, 'PATCH', "/keys/$made->{public_key}", 'Bearer anna', { description => 'changed' }), 204, 'changes it');
my $rotated = decode_json((ask($port, 'POST', "/keys/$made->{public_key}", 'Bearer anna', {}))[1]);
is(status_of($port, 'GET', $invoices, basic($made->{public_key}, $rotated->{private_key})), 200, 'rotates it');
is(status_of($port, 'GET', $invoices, basic($made->{public_key}, $made->{private_key})), 401, 'so that the old private key ends');
is_deeply(decode_json((ask($port, 'GET', '/keys', 'Bearer bert'))[1])->[0]{created_by}, 'role:' . $node->safe_psql('postgres', 'SELECT current_user'), 'another sees its own');
unlike((ask($port, 'GET', '/keys', 'Bearer bert'))[1], qr/\Q$made->{public_key}\E/, 'and not this');
is(status_of($port, 'DELETE', "/keys/$made->{public_key}", 'Bearer bert'), 404, 'nor deletes it');
is(status_of($port, 'PATCH', "/keys/$made->{public_key}", 'Bearer bert', { description => 'x' }), 404, 'nor changes it');
is(status_of($port, 'POST', '/keys', 'Bearer bert', { project => $one, description => 'x', roles => ['INVOICE_READER'] }), 404, 'nor makes one there');
is(status_of($port, 'POST', '/keys', 'Bearer anna', { project => $one, description => '', roles => ['INVOICE_READER'] }), 400, 'what is invalid is refused');
is(status_of($port, 'DELETE', "/keys/$made->{public_key}", 'Bearer anna'), 204, 'she deletes it');
is(status_of($port, 'GET', $invoices, basic($made->{public_key}, $rotated->{private_key})), 401, 'for good');
is(status_of($port, 'GET', '/keys', $_), 401, 'no user') foreach undef, 'Bearer x', $reader;

# --- With curl, and the key in one string ------------------------------------------------

# The status, and the body.
sub curl
{
	my ($method, $path, $bearer, @more) = @_;
	my ($stdout, $stderr);

	IPC::Run::run [
		'curl', '--silent', '--show-error', '--request', $method, '--write-out', '\n%{http_code}',
		'-H', "Authorization: Bearer $bearer", '-H', 'X-Forwarded-For: 203.0.113.7', @more,
		"http://127.0.0.1:$port$path" ], '>', \$stdout, '2>', \$stderr
	  or diag($stderr);
	my ($content, $code) = $stdout =~ /^(.*)\n(\d+)$/s;
	return ($code, $content);
}
sub curl_status { return (curl(@_))[0]; }

($status, $content) = curl('POST', '/keys', 'anna', '--json',
	encode_json({ project => $one, description => 'In one string', roles => ['INVOICE_WRITER'], access_list => '{203.0.113.0/24}' }));
is($status, 201, 'curl creates a key');
my $whole = decode_json($content);
like((curl('GET', '/keys', 'anna'))[1], qr/"In one string"/, 'which is listed');
is(curl_status('GET', $invoices, $whole->{api_key}), 200, 'is decided on as Bearer');
is(curl_status('POST', $invoices, $whole->{api_key}, '--json', '{"amount": 7}'), 201, 'and is bound');
is(curl_status('GET', "/invoices?project=$two", $whole->{api_key}), 403, 'but not for another project');
my $token = $node->safe_psql('postgres', "SELECT apikeys.issue_token('5 minutes', '{invoices.read}', public_key => '$whole->{public_key}')");
is(curl_status('GET', "/invoices?project=$one", $token), 200, 'a short-lived token of it reads');
is(curl_status('POST', $invoices, $token, '--json', '{"amount": 8}'), 403, 'and no more than that');
my $renewed = decode_json((curl('POST', "/keys/$whole->{public_key}", 'anna'))[1])->{private_key};
is(curl_status('GET', $invoices, "$whole->{public_key}.$renewed"), 200, 'the secret is rotated');
is(curl_status('GET', $invoices, $_), 401, 'what came before is denied') foreach $whole->{api_key}, $token, 'nothing';
is(curl_status('DELETE', "/keys/$whole->{public_key}", 'anna'), 204, 'curl deletes the key');
stop_service($process);
like($$output, qr/listening on/, 'what the service has logged is read');
unlike($$output, qr/_sec_/, 'there is no secret in it');

# --- How often -------------------------------------------------------------------------

my ($limited, $limited_port) = start_service(RATE_LIMIT => 3);
my ($hasty, $hasty_key) = make_key($one, 'INVOICE_READER', '{}');
# All in one minute, or again in the next.
my @statuses;
foreach (1 .. 3)
{
	my $minute = int(time / 60);
	@statuses = map { status_of($limited_port, 'GET', $invoices, $_) } $hasty, $hasty, basic($hasty_key, 'x'), $hasty, $hasty, $reader;
	last if $minute == int(time / 60);
	sleep 1 while int(time / 60) == $minute;
}
is("@statuses", '200 200 401 200 429 200', 'a key has its own rate');
stop_service($limited);

# --- Many at once -------------------------------------------------------------------------

# Without the key being bound the policies show nothing: that has to be noticed.
my $unbound = PostgreSQL::Test::Utils::tempdir() . '/server.js';
my $source = slurp_file("$test/demo/service/server.js");
$source =~ s/SELECT apikeys\.authenticate\(\$1, \$2, \$3\)/SELECT \$1::text, \$2::text, \$3::inet/
  or die 'the service binds no key';
append_to_file($unbound, $source);

# What each is to be shown, with other requests at the same time.
($process, $port) = start_service();
my %shown = map { $_->[0] => (ask($port, 'GET', "/invoices?project=$_->[1]", $_->[2]))[1] }
  [ one => $one, $reader ], [ two => $two, $second ], [ three => $three, $other ];
stop_service($process);
is_deeply(
	[ map { scalar @{ decode_json($shown{$_}) } } qw(one two three) ],
	[ 4, 1, 1 ], 'each project has invoices of its own');

# Nothing of one transaction meets the next, as doc/recipes.md says.
my $pooler = Pooler->new($node, 4, 'service', 'server_reset_query = DISCARD ALL', 'server_reset_query_always = 1');
my %pooled = (PGHOST => '127.0.0.1', PGPORT => $pooler->{port}, PREPARE => 'off');
foreach my $way (
	[ 'straight', $requests, {} ],
	[ 'through a pooler', $requests, \%pooled ],
	[ 'with no key bound', 500, { PROGRAM => $unbound } ])
{
	my ($name, $times, $variables) = @$way;
	my ($revoked, $revoked_key) = make_key($one, 'INVOICE_READER', '{}');
	my ($load, $load_port) = start_service(%$variables);
	my %from = ('x-forwarded-for' => '203.0.113.7');
	my $case = sub {
		my ($what, $project, $authorization, $status, %more) = @_;
		return {
			name => $what, path => "/invoices?project=$project", status => $status,
			headers => { %from, authorization => $authorization }, %more };
	};
	my ($stdout, $stderr);

	IPC::Run::run [ 'node', "$test/t/service_load.js" ],
	  '<', \encode_json({
			port => $load_port, clients => 20, requests => $times,
			cases => [
				$case->('good', $one, $reader, 200, body => $shown{one}),
				$case->('good writer', $one, $writer, 200, body => $shown{one}),
				$case->('of another project', $two, $second, 200, body => $shown{two}),
				$case->('of another organization', $three, $other, 200, body => $shown{three}),
				$case->('deleted half-way', $one, $revoked, 200, body => $shown{one}, then => 401),
				$case->('wrong secret', $one, basic($reader_key, 'x'), 401),
				$case->('expired', $one, $expired, 403),
				$case->('disabled', $one, $disabled, 403),
				$case->('wrong address', $one, $elsewhere, 403),
				$case->('forbidden', $one, $other, 403) ],
			change => { method => 'DELETE', path => "/keys/$revoked_key", headers => { %from, authorization => 'Bearer anna' } } }),
	  '>', \$stdout, '2>', \$stderr, IPC::Run::timeout(300);
	my $result = decode_json($stdout || '{}');
	is($result->{answered}, $times, "$times requests are answered, $name");
	is($result->{changed}, 204, 'a key is deleted half-way');
	if ($variables->{PROGRAM})
	{
		foreach my $answer ('good: 200', 'of another organization: 200')
		{
			ok((grep { /^\Q$answer\E/ } keys %{ $result->{wrong} }), "$answer is wrong");
		}
	}
	else
	{
		is_deeply($result->{wrong}, {}, 'each status and each body is the right one') or diag($stderr);
		cmp_ok($result->{counts}{$_} // 0, '>', 100, $_)
		  foreach 'deleted half-way: 200', 'deleted half-way: 401', 'of another organization: 200', 'forbidden: 403';
	}
	stop_service($load);
}
$pooler->stop;
$node->stop;
done_testing();
