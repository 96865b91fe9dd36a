/*
 * test_credentials.c
 *	  Unit tests of src/credentials.c.
 */
#include "core/crypto.h"
#include "tap.h"

#include <stdlib.h>

/* What a test has found, as text. */
static char found[600];

static const char *
describe(AkHeader header, const AkCredentials *credentials)
{
	if (header == AK_HEADER_ABSENT)
		return "absent";
	if (header == AK_HEADER_MALFORMED)
		return "malformed";
	snprintf(found, sizeof(found), "%.*s|%.*s",
			 (int) credentials->public_key_length, credentials->public_key,
			 (int) credentials->secret_length, credentials->secret);
	return found;
}

static const char *
pair_bytes(const char *value, size_t length)
{
	AkCredentials credentials;
	AkHeader	header = ak_credentials_from_key_header(value, length, &credentials);

	return describe(header, &credentials);
}

static const char *
pair(const char *value)
{
	return pair_bytes(value, strlen(value));
}

/* The buffer is as long as is promised, so that the sanitizer sees more. */
static const char *
authorization_bytes(const char *value, size_t length)
{
	char	   *buffer = malloc(length + 1);
	AkCredentials credentials;
	AkHeader	header = ak_credentials_from_authorization(value, length,
														   buffer,
														   &credentials);
	const char *description = describe(header, &credentials);

	free(buffer);
	return description;
}

static const char *
authorization(const char *value)
{
	return authorization_bytes(value, strlen(value));
}

static bool
same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static void
test_pairs(void)
{
	CHECK(same(pair("key:secret"), "key|secret"), "a pair");
	CHECK(same(pair(" \tkey:secret\t "), "key|secret"), "blanks at the ends");
	CHECK(same(pair("key:se:cret:"), "key|se:cret:"), "the first colon counts");
	CHECK(same(pair("key: secret"), "key| secret"), "a blank within");
	CHECK(same(pair("k\xc3\xa9y:s"), "k\xc3\xa9y|s"), "beyond ASCII");
	CHECK(same(pair(""), "malformed"), "nothing");
	CHECK(same(pair("  "), "malformed"), "blanks");
	CHECK(same(pair("key"), "malformed"), "no colon and no dot");
	CHECK(same(pair(" k.e.y.secret "), "k.e.y|secret"), "one string");
	CHECK(same(pair("k.ey:sec.ret"), "k.ey|sec.ret"), "a colon precedes a dot");
	CHECK(same(pair(".secret"), "malformed"), "one string without a key");
	CHECK(same(pair("key."), "malformed"), "one string without a secret");
	CHECK(same(pair("key.sec\nret"), "malformed"), "a line break in one string");
	CHECK(same(pair(":secret"), "malformed"), "no key");
	CHECK(same(pair("key:"), "malformed"), "no secret");
	CHECK(same(pair("key: "), "malformed"), "a blank secret");
	CHECK(same(pair(":"), "malformed"), "a colon");
	CHECK(same(pair("key:sec\nret"), "malformed"), "a line break");
	CHECK(same(pair("key:sec\x7fret"), "malformed"), "a control character");
	CHECK(same(pair_bytes("key:sec\0ret", 11), "malformed"), "a zero byte");
}

static void
test_bearer(void)
{
	CHECK(same(authorization("Bearer key.secret"), "key|secret"), "Bearer");
	CHECK(same(authorization("bEARER \tkey.secret "), "key|secret"), "bearer, more blanks");
	CHECK(same(authorization("Bearer k.e.y.secret"), "k.e.y|secret"), "the last dot counts");
	CHECK(same(authorization("Bearer eyJ.key.secret!"), "absent"), "looks like a JSON Web Token");
	CHECK(same(authorization("Bearer eyJ.secret"), "eyJ|secret"), "has two parts only");
	CHECK(same(authorization("Bearer eyJ.a.b.secret"), "eyJ.a.b|secret"), "has four parts");
	CHECK(same(authorization("Bearer eyJhbGciOiJub25lIn0.e30."), "absent"), "a JSON Web Token without signature");
	CHECK(same(authorization("Bearer eyJ.key.secret/"), "eyJ.key|secret/"), "has what is in no JSON Web Token");
	CHECK(same(authorization("Bearer a2V5OnNlY3JldA=="), "absent"), "no dot");
	CHECK(same(authorization("Bearer"), "malformed"), "Bearer alone");
	CHECK(same(authorization("Bearer "), "malformed"), "Bearer and a blank");
	CHECK(same(authorization("Bearer ."), "malformed"), "a dot");
	CHECK(same(authorization("Bearer key."), "malformed"), "Bearer, no secret");
	CHECK(same(authorization("Bearer .secret"), "malformed"), "Bearer, no key");
	CHECK(same(authorization("Bearer v4.local.abc.def "), "|v4.local.abc.def"), "a short-lived token");
	CHECK(same(authorization("Bearer v4.local."), "|v4.local."), "not even that");
	CHECK(same(authorization("Bearer v4.public.abc"), "v4.public|abc"), "a token of another purpose");
	CHECK(same(authorization("Bearer key.sec\nret"), "malformed"), "Bearer, a line break");
	CHECK(same(authorization_bytes("Bearer key.sec\0ret", 18), "malformed"), "Bearer, a zero byte");
}

static void
test_authorization(void)
{
	CHECK(same(authorization("Basic a2V5OnNlY3JldA=="), "key|secret"), "Basic");
	CHECK(same(authorization("basic a2V5OnNlY3JldA=="), "key|secret"), "basic");
	CHECK(same(authorization("BASIC  \ta2V5OnNlY3JldA== "), "key|secret"), "more blanks");
	CHECK(same(authorization("Basic a2V5OnNlY3JldA"), "key|secret"), "no padding");
	CHECK(same(authorization("Basic a2V5OnNlY3JldDE="), "key|secret1"), "one of padding");
	CHECK(same(authorization("Basic a2V5OnNlY3JldDEy"), "key|secret12"), "none needed");
	CHECK(same(authorization("Basic a2V5OnM6Og=="), "key|s::"), "more colons");
	CHECK(same(authorization(""), "absent"), "nothing");
	CHECK(same(authorization(" "), "absent"), "a blank");
	CHECK(same(authorization("Digest a2V5OnNlY3JldA=="), "absent"), "another scheme");
	CHECK(same(authorization("Basically a2V5OnNlY3JldA=="), "absent"), "a longer scheme");
	CHECK(same(authorization("Bas"), "absent"), "a shorter one");
	CHECK(same(authorization("Basic"), "malformed"), "the scheme alone");
	CHECK(same(authorization("Basic "), "malformed"), "the scheme and a blank");
	CHECK(same(authorization("Basic a2V5OnNlY3JldA="), "malformed"), "half the padding");
	CHECK(same(authorization("Basic a2V5OnNlY3JldA==="), "malformed"), "too much of it");
	CHECK(same(authorization("Basic a2V5 OnNlY3JldA=="), "malformed"), "a blank within");
	CHECK(same(authorization("Basic a2V5OnNlY3J-_w"), "malformed"), "the alphabet for URLs");
	CHECK(same(authorization("Basic key:secret"), "malformed"), "clear text");
	CHECK(same(authorization("Basic a2V5"), "malformed"), "no colon in it");
	CHECK(same(authorization("Basic OnNlY3JldA=="), "malformed"), "no key in it");
	CHECK(same(authorization("Basic a2V5Og=="), "malformed"), "no secret in it");
	CHECK(same(authorization("Basic a2V5OnMACg=="), "malformed"), "control characters in it");
	CHECK(same(authorization_bytes("Basic a2V5\0nM=", 14), "malformed"), "a zero byte");
}

/* Who is trusted: 10.0.0.0/8 and 2001:db8::/32. */
static const char *
forwarded(const char *value)
{
	AkNetwork	networks[2];
	uint8_t		entries[AK_NETSET_ENTRY4_SIZE + AK_NETSET_ENTRY6_SIZE];
	AkNetset	trusted = {entries, entries + AK_NETSET_ENTRY4_SIZE, 1, 1, NULL, NULL};
	size_t		count4;
	AkNetwork	address;

	ak_network_parse("10.0.0.0/8", 10, &networks[0]);
	ak_network_parse("2001:db8::/32", 13, &networks[1]);
	ak_netset_pack(networks, 2, entries, &count4);
	switch (ak_forwarded_address(value, strlen(value), &trusted, &address))
	{
		case AK_HEADER_ABSENT:
			return "absent";
		case AK_HEADER_MALFORMED:
			return "malformed";
		case AK_HEADER_GOOD:
			ak_network_format(&address, found);
	}
	return found;
}

static void
test_forwarded(void)
{
	CHECK(same(forwarded("203.0.113.7"), "203.0.113.7/32"), "one address");
	CHECK(same(forwarded(" 203.0.113.7 "), "203.0.113.7/32"), "blanks");
	CHECK(same(forwarded("198.51.100.1, 203.0.113.7"), "203.0.113.7/32"), "the last counts");
	CHECK(same(forwarded("198.51.100.1, 203.0.113.7,10.1.1.1 , 10.2.2.2"), "203.0.113.7/32"), "the last that is not trusted");
	CHECK(same(forwarded("10.1.1.1, 10.2.2.2"), "10.1.1.1/32"), "the first, if all are trusted");
	CHECK(same(forwarded("10.1.1.1, 2001:db8::1"), "10.1.1.1/32"), "of both families");
	CHECK(same(forwarded("unknown, , x:y, 203.0.113.7"), "203.0.113.7/32"), "what is left of it is not read");
	CHECK(same(forwarded("::ffff:203.0.113.7"), "203.0.113.7/32"), "a mapped address");
	CHECK(same(forwarded("203.0.113.7, ::ffff:10.0.0.1"), "203.0.113.7/32"), "which is trusted as what it is");
	CHECK(same(forwarded("203.0.113.7:8080"), "203.0.113.7/32"), "a port");
	CHECK(same(forwarded("2001:db9::1"), "2001:db9::1/128"), "IPv6");
	CHECK(same(forwarded("[2001:db9::1]"), "2001:db9::1/128"), "in brackets");
	CHECK(same(forwarded("[2001:db9::1]:443"), "2001:db9::1/128"), "with a port");
	CHECK(same(forwarded(""), "absent"), "nothing");
	CHECK(same(forwarded("  "), "absent"), "blanks only");
	CHECK(same(forwarded(","), "malformed"), "no entry");
	CHECK(same(forwarded("203.0.113.7,"), "malformed"), "an empty last one");
	CHECK(same(forwarded(",10.0.0.1"), "malformed"), "an empty first one that is reached");
	CHECK(same(forwarded("unknown"), "malformed"), "unknown");
	CHECK(same(forwarded("203.0.113.7, unknown, 10.0.0.1"), "malformed"), "unknown, in reach");
	CHECK(same(forwarded("203.0.113.0/24"), "malformed"), "a network");
	CHECK(same(forwarded("203.0.113.7/32"), "malformed"), "a prefix");
	CHECK(same(forwarded("203.0.113"), "malformed"), "too short an address");
	CHECK(same(forwarded("203.0.113.7:"), "malformed"), "no port");
	CHECK(same(forwarded("203.0.113.7:0"), "malformed"), "port 0");
	CHECK(same(forwarded("203.0.113.7:65536"), "malformed"), "too high a port");
	CHECK(same(forwarded("203.0.113.7:8x"), "malformed"), "a port of letters");
	CHECK(same(forwarded("[203.0.113.7]"), "malformed"), "IPv4 in brackets");
	CHECK(same(forwarded("[2001:db9::1"), "malformed"), "half the brackets");
	CHECK(same(forwarded("[2001:db9::1]x"), "malformed"), "more after the brackets");
	CHECK(same(forwarded("2001:db9::1%eth0"), "malformed"), "a zone");
	CHECK(same(forwarded("[]"), "malformed"), "empty brackets");
}

static void
test_names(void)
{
	char		longest[AK_HEADER_NAME_MAX + 1];

	memset(longest, 'x', sizeof(longest));
	CHECK(ak_header_name_is_valid("X-API-Key", 9), "a name");
	CHECK(ak_header_name_is_valid("!#$%&'*+-.^_`|~09", 17), "all its characters");
	CHECK(ak_header_name_is_valid(longest, AK_HEADER_NAME_MAX), "the longest");
	CHECK(!ak_header_name_is_valid(longest, AK_HEADER_NAME_MAX + 1), "too long");
	CHECK(!ak_header_name_is_valid("", 0), "empty");
	CHECK(!ak_header_name_is_valid("a b", 3), "a blank");
	CHECK(!ak_header_name_is_valid("a:", 2), "a colon");
	CHECK(!ak_header_name_is_valid("a\0", 2), "a zero byte");
	CHECK(!ak_header_name_is_valid("\xc3\xa9", 2), "beyond ASCII");
	CHECK(ak_header_name_equals("X-API-Key", 9, "x-api-kEY", 9), "case does not matter");
	CHECK(!ak_header_name_equals("X-API-Key", 9, "X-API-Ke", 8), "length does");
	CHECK(!ak_header_name_equals("[", 1, "{", 1), "nor is it mixed up with others");
}

int
main(void)
{
	CHECK(ak_crypto_init(), "libsodium is ready");
	test_pairs();
	test_authorization();
	test_bearer();
	test_forwarded();
	test_names();
	return tap_done();
}
