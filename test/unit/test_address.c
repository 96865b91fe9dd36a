/*
 * test_address.c
 *	  Unit tests of src/core/address.c.
 */
#include "core/netset.h"
#include "tap.h"

/*
 * Is this text the address that is written so, with the length of its prefix?
 */
static bool
address_is(const char *text, const char *expected)
{
	AkNetwork	address;
	char		canonical[AK_NETWORK_TEXT_SIZE];

	if (!ak_address_parse(text, strlen(text), &address))
		return false;
	ak_network_format(&address, canonical);
	return strcmp(canonical, expected) == 0;
}

static bool
is_address(const char *text)
{
	AkNetwork	address;

	return ak_address_parse(text, strlen(text), &address);
}

static void
test_address(void)
{
	char		long_zone[200];

	CHECK(address_is("203.0.113.7", "203.0.113.7/32") &&
		  address_is("2001:DB8::1", "2001:db8::1/128"), "an address");
	CHECK(address_is("203.0.113.7/32", "203.0.113.7/32") &&
		  address_is("::1/128", "::1/128"), "with the prefix of one");
	CHECK(address_is("::ffff:203.0.113.7", "203.0.113.7/32") &&
		  address_is("::ffff:203.0.113.7/128", "203.0.113.7/32"),
		  "an IPv4 address in IPv6");
	CHECK(address_is("fe80::1%eth0", "fe80::1/128") &&
		  address_is("fe80::1%2", "fe80::1/128") &&
		  address_is("::ffff:10.0.0.1%en-0.7@x", "10.0.0.1/32"),
		  "a zone is ignored");
	CHECK(!is_address("fe80::1%") && !is_address("%eth0") &&
		  !is_address("10.0.0.1%eth0") && !is_address("fe80::1%a%b") &&
		  !is_address("fe80::1%a b") && !is_address("fe80::1%a\n") &&
		  !is_address("fe80::1%eth0/128") && !is_address("fe80::1/128%eth0"),
		  "no zone that is none, or where none can be");
	CHECK(!is_address("10.0.0.0/8") && !is_address("10.0.0.1/24") &&
		  !is_address("2001:db8::/32") && !is_address("::ffff:10.0.0.0/104"),
		  "no network");
	CHECK(!is_address("10/32") && !is_address("10.1/32") &&
		  !is_address("10.0.1/32") && !is_address("10.1"),
		  "no octets missing");
	CHECK(!is_address("") && !is_address(" 10.0.0.1") && !is_address("10.0.0.1 ") &&
		  !is_address("10.0.0.01") && !is_address("10.0.0.256") &&
		  !is_address("localhost") && !is_address("[::1]") &&
		  !is_address("10.0.0.1:80") && !is_address("10.0.0.1,10.0.0.2"),
		  "nothing else");
	snprintf(long_zone, sizeof(long_zone), "fe80::1%%%0120d", 0);
	CHECK(is_address(long_zone), "a long zone");
	snprintf(long_zone, sizeof(long_zone), "fe80::1%%%0121d", 0);
	CHECK(!is_address(long_zone), "but not a longer one");
}

int
main(void)
{
	test_address();
	return tap_done();
}
