<?php
// pgsql sends strings without a type, and returns strings.
$number = 0;

function check(string $name, mixed $actual, mixed $expected): void
{
    global $number;
    $same = $actual === $expected;
    printf("%s %d - pgsql: %s\n", $same ? 'ok' : 'not ok', ++$number, $name);
    if (!$same) {
        printf("# %s instead of %s\n", json_encode($actual), json_encode($expected));
    }
}

$connection = pg_connect('') or exit(1);
// An error has the identifier with it.
pg_set_error_verbosity($connection, PGSQL_ERRORS_VERBOSE);

function query(string $sql, mixed ...$parameters): array
{
    global $connection;
    return pg_fetch_all(pg_query_params($connection, $sql, $parameters));
}

function row(string $sql, mixed ...$parameters): array
{
    return array_values(query($sql, ...$parameters)[0]);
}

function decide_token(string $api_key, string $address, string $scope): string
{
    return row('SELECT reason FROM apikeys.decide_token($1, $2, $3)', $api_key, $address, $scope)[0];
}

[$acme] = row('SELECT apikeys.organization($1)', 'Acme');

// Create.
[$public_key, $private_key, $api_key] = row(
    'SELECT * FROM apikeys.create_key($1, $2, $3, $4, owner => $5, metadata => $6)',
    $acme, 'Reports', '{ORG_READ_ONLY}', json_encode(['203.0.113.0/24', '2001:db8::/32']),
    'customer 42', json_encode(['plan' => 'pro'])
);
check('a key is created', $api_key, "$public_key.$private_key");

// Decide.
check(
    'it is decided on',
    row('SELECT allowed, reason, owner, metadata FROM apikeys.decide($1, $2, $3, $4)', $public_key, $private_key, '203.0.113.7', 'clusters.read'),
    ['t', 'ok', 'customer 42', '{"plan": "pro"}']
);
check('and on its one string', decide_token($api_key, '2001:db8::1', 'clusters.read backups.read'), 'ok');
check('another address is denied', decide_token($api_key, '192.0.2.1', 'clusters.read'), 'address_denied');

// Change the list.
[$added] = row('SELECT to_json(apikeys.add_to_access_list($1, $2))', $public_key, json_encode(['192.0.2.0/28', '198.51.100.0/24']));
check('networks are added', json_decode($added), ['192.0.2.0/28', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32']);
[$replaced] = row('SELECT to_json(access_list) FROM apikeys.update_key($1, access_list => $2)', $public_key, json_encode(['203.0.113.0/24']));
check('and replaced', json_decode($replaced), ['203.0.113.0/24']);

// List, two keys on a page: each begins after the last key of the one before.
foreach (['Backups', 'Nightly'] as $description) {
    query('SELECT * FROM apikeys.create_key($1, $2, $3)', $acme, $description, '{ORG_MEMBER}');
}
const PAGE = 'SELECT description, created_at, public_key FROM apikeys.keys
    WHERE organization_id = $1 AND (created_at, public_key) < ($2, $3)
    ORDER BY created_at DESC, public_key DESC LIMIT $4';
$first = query(PAGE, $acme, 'infinity', '', 2);
check('a page', array_column($first, 'description'), ['Nightly', 'Backups']);
$second = query(PAGE, $acme, $first[1]['created_at'], $first[1]['public_key'], 2);
check('and the next', array_column($second, 'description'), ['Reports']);

// A key that does not expire.
[$expires_at] = row('SELECT expires_at FROM apikeys.update_key($1, expires_at => $2)', $public_key, 'infinity');
check('no end is null', $expires_at, null);

// Rotate.
[$renewed] = row('SELECT apikeys.rotate_secret($1, $2)', $public_key, '0');
$reasons = array_map(
    fn ($secret) => decide_token("$public_key.$secret", '203.0.113.7', 'clusters.read'),
    [$renewed, $private_key]
);
check('the secret is rotated, and the old one denied', $reasons, ['ok', 'secret_expired']);

// A refusal.
pg_send_query_params($connection, 'SELECT apikeys.disable_key($1)', ['ak_pub_unknown']);
$refusal = pg_result_error(pg_get_result($connection));
check('a refusal has an identifier', preg_match('/^CONSTRAINT NAME:  (.*)$/m', $refusal, $found) ? $found[1] : $refusal, 'key_not_found');
print "1..$number\n";
