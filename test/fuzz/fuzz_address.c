/*
 * fuzz_address.c
 *	  Fuzz src/core/address.c.  An input is a text.
 */
#include "fuzz.h"
#include "core/netset.h"

/*
 * An address is a network of one address, perhaps with a zone behind it.
 */
static void
fuzz_address(const char *text, size_t length)
{
	AkNetwork	address;
	AkNetwork	network;
	const char *percent = length > 0 ? memchr(text, '%', length) : NULL;

	if (!ak_address_parse(text, length, &address))
		return;
	REQUIRE(ak_network_check(&address) == AK_NETWORK_OK);
	REQUIRE(address.prefix == (address.family == 4 ? 32 : 128));
	if (percent)
		length = (size_t) (percent - text);
	REQUIRE(ak_network_parse(text, length, &network) == AK_NETWORK_OK);
	REQUIRE(ak_network_compare(&address, &network) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_address((const char *) data, size);
	return 0;
}
