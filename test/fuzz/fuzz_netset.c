/*
 * fuzz_netset.c
 *	  Fuzz src/core/netset.c with each input read in three ways: as the text of
 *	  a network, as the bytes of a stored set, and as networks to make a set of.
 */
#include "fuzz.h"
#include "core/netset.h"

#define NETWORKS_MAX	32

/*
 * Text that parses prints as text that parses as the same.
 */
static void
fuzz_text(const char *text, size_t length)
{
	AkNetwork	network;
	AkNetwork	again;
	char		canonical[AK_NETWORK_TEXT_SIZE];
	char		twice[AK_NETWORK_TEXT_SIZE];
	AkNetworkError error = ak_network_parse(text, length, &network);

	if (error == AK_NETWORK_HOST_BITS)
	{
		REQUIRE(ak_network_check(&network) == AK_NETWORK_HOST_BITS);
		ak_network_mask(&network, network.prefix);
		error = ak_network_check(&network);
		REQUIRE(error == AK_NETWORK_OK);
	}
	if (error != AK_NETWORK_OK)
		return;

	length = ak_network_format(&network, canonical);
	REQUIRE(length == strlen(canonical) && length < sizeof(canonical));
	REQUIRE(ak_network_parse(canonical, length, &again) == AK_NETWORK_OK);
	REQUIRE(memcmp(&network, &again, sizeof(network)) == 0);
	ak_network_format(&again, twice);
	REQUIRE(strcmp(canonical, twice) == 0);
}

/*
 * Does "outer" contain all of "inner"?  Bit by bit.
 */
static bool
naive_contains(const AkNetwork *outer, const AkNetwork *inner)
{
	unsigned	i;

	if (outer->family != inner->family || outer->prefix > inner->prefix)
		return false;
	for (i = 0; i < outer->prefix; i++)
	{
		if (((outer->address[i / 8] ^ inner->address[i / 8]) &
			 (0x80 >> i % 8)) != 0)
			return false;
	}
	return true;
}

/*
 * The answer for one address is that of a linear search.
 */
static void
require_right_answer(const AkNetset *set, const AkNetwork *address)
{
	AkNetwork	entry;
	AkNetwork	best = {0, 0, {0}};
	AkNetwork	match;
	bool		found = false;
	bool		contained = false;
	size_t		i;

	for (i = 0; i < set->count4 + set->count6; i++)
	{
		ak_netset_get(set, i, &entry);
		contained |= (ak_network_compare(&entry, address) == 0);
		if (naive_contains(&entry, address) &&
			(!found || entry.prefix > best.prefix))
		{
			best = entry;
			found = true;
		}
	}
	REQUIRE(ak_netset_find(set, address, &match) == found);
	REQUIRE(!found || ak_network_compare(&match, &best) == 0);
	REQUIRE(ak_netset_contains_entry(set, address) == contained);
}

/*
 * Ask for the entry itself, its last address, and the address past it.
 */
static void
ask_around(const AkNetset *set, AkNetwork network)
{
	unsigned	bits = (network.family == 4) ? 32 : 128;
	unsigned	i;

	require_right_answer(set, &network);
	for (i = network.prefix; i < bits; i++)
		network.address[i / 8] |= (uint8_t) (0x80 >> i % 8);
	network.prefix = (uint8_t) bits;
	require_right_answer(set, &network);
	for (i = bits / 8; i-- > 0 && ++network.address[i] == 0;)
		;
	require_right_answer(set, &network);
}

/*
 * The bytes of a stored set, after one that says how many of its entries are
 * IPv4.  A set that is not canonical may give any answer, but ends.
 */
static void
fuzz_stored_set(const uint8_t *data, size_t size)
{
	AkNetset	set;
	AkNetwork	network;
	AkNetwork	match;
	size_t		i;

	if (size < 1)
		return;
	set.entries4 = data + 1;
	set.count4 = data[0] % NETWORKS_MAX;
	if (set.count4 > (size - 1) / AK_NETSET_ENTRY4_SIZE)
		set.count4 = (size - 1) / AK_NETSET_ENTRY4_SIZE;
	set.entries6 = set.entries4 + ak_netset_size(set.count4, 0);
	set.count6 = (size - 1 - ak_netset_size(set.count4, 0)) /
		AK_NETSET_ENTRY6_SIZE;

	if (ak_netset_is_canonical(&set))
	{
		for (i = 0; i < set.count4 + set.count6; i++)
		{
			ak_netset_get(&set, i, &network);
			REQUIRE(ak_network_check(&network) == AK_NETWORK_OK);
			ask_around(&set, network);
		}
		return;
	}
	for (i = 0; i < set.count4 + set.count6; i++)
	{
		ak_netset_get(&set, i, &network);
		(void) ak_netset_find(&set, &network, &match);
		(void) ak_netset_contains_entry(&set, &network);
	}
}

/*
 * Any networks, sorted and packed, make a canonical set of right answers.
 */
static void
fuzz_made_set(const uint8_t *data, size_t size)
{
	AkNetwork	networks[NETWORKS_MAX];
	uint8_t		entries[NETWORKS_MAX * AK_NETSET_ENTRY6_SIZE];
	AkNetset	set;
	size_t		count = 0;
	size_t		i;

	while (size > 1 && count < NETWORKS_MAX)
	{
		AkNetwork  *network = &networks[count++];
		size_t		bytes = (data[0] & 1) ? 4 : 16;

		memset(network, 0, sizeof(*network));
		network->family = (bytes == 4) ? 4 : 6;
		if (bytes > size - 1)
			bytes = size - 1;
		memcpy(network->address, data + 1, bytes);
		ak_network_mask(network, (data[0] >> 1) %
						(network->family == 4 ? 33 : 129));
		ak_network_normalize(network);
		data += 1 + bytes;
		size -= 1 + bytes;
	}
	count = ak_netset_sort(networks, count);
	set.entries4 = entries;
	size = ak_netset_pack(networks, count, entries, &set.count4);
	set.entries6 = entries + ak_netset_size(set.count4, 0);
	set.count6 = count - set.count4;
	REQUIRE(size == ak_netset_size(set.count4, set.count6));
	REQUIRE(ak_netset_is_canonical(&set));
	for (i = 0; i < count; i++)
		ask_around(&set, networks[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_text((const char *) data, size);
	fuzz_stored_set(data, size);
	fuzz_made_set(data, size);
	return 0;
}
