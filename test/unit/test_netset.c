/*
 * test_netset.c
 *	  Unit tests of src/core/netset.c.
 */
#include "core/netset.h"
#include "tap.h"

#define NETWORKS_MAX	64
#define ENTRIES_SIZE	(NETWORKS_MAX * AK_NETSET_ENTRY6_SIZE)

/*
 * Does the text parse, and print as expected?
 */
static bool
reads(const char *text, const char *expected)
{
	char		buffer[AK_NETWORK_TEXT_SIZE];
	AkNetwork	network;

	return ak_network_parse(text, strlen(text), &network) == AK_NETWORK_OK &&
		ak_network_check(&network) == AK_NETWORK_OK &&
		ak_network_format(&network, buffer) == strlen(expected) &&
		strcmp(buffer, expected) == 0;
}

static AkNetworkError
parse_error(const char *text)
{
	AkNetwork	network;

	return ak_network_parse(text, strlen(text), &network);
}

#define IS_BAD_ADDRESS(text) \
	CHECK(parse_error(text) == AK_NETWORK_BAD_ADDRESS, \
		  "no address: \"" text "\"")
#define IS_BAD_PREFIX(text) \
	CHECK(parse_error(text) == AK_NETWORK_BAD_PREFIX, \
		  "no prefix: \"" text "\"")
#define HAS_HOST_BITS(text) \
	CHECK(parse_error(text) == AK_NETWORK_HOST_BITS, \
		  "host bits: \"" text "\"")

static AkNetwork
network_of(const char *text)
{
	AkNetwork	network;

	if (ak_network_parse(text, strlen(text), &network) != AK_NETWORK_OK)
	{
		printf("Bail out! \"%s\" is no network\n", text);
		network.family = 0;
	}
	return network;
}

static void
test_parse(void)
{
	CHECK(reads("192.168.1.7", "192.168.1.7/32"), "an IPv4 address");
	CHECK(reads("10.0.0.0/8", "10.0.0.0/8"), "an IPv4 network");
	CHECK(reads("0.0.0.0/0", "0.0.0.0/0"), "all of IPv4");
	CHECK(reads("255.255.255.255/32", "255.255.255.255/32"), "the last one");
	CHECK(reads("10/8", "10.0.0.0/8"), "one octet");
	CHECK(reads("10.1/16", "10.1.0.0/16"), "two octets");
	CHECK(reads("192.168.1/24", "192.168.1.0/24"), "three octets");
	CHECK(reads("10/24", "10.0.0.0/24"), "a prefix beyond the octets");
	CHECK(reads("0/0", "0.0.0.0/0"), "all of IPv4, abbreviated");
	CHECK(reads("2001:db8::1", "2001:db8::1/128"), "an IPv6 address");
	CHECK(reads("2001:DB8::/32", "2001:db8::/32"), "an IPv6 network");
	CHECK(reads("::/0", "::/0"), "all of IPv6");
	CHECK(reads("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
				"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
		  "the longest text");
	CHECK(reads("::ffff:10.1.2.3", "10.1.2.3/32"), "a mapped address");
	CHECK(reads("::ffff:10.0.0.0/104", "10.0.0.0/8"), "a mapped network");
	CHECK(reads("::FFFF:0a00:0/104", "10.0.0.0/8"), "the same in hex");
	CHECK(reads("::ffff:0:0/96", "0.0.0.0/0"), "all mapped addresses");
	CHECK(reads("::fffe:0:0/95", "::fffe:0:0/95"),
		  "what contains more than the mapped ones is IPv6");
	CHECK(reads("::fffe:10.0.0.0/104", "::fffe:a00:0/104"),
		  "what is beside the mapped ones is IPv6");
}

static void
test_parse_refusals(void)
{
	IS_BAD_ADDRESS("");
	IS_BAD_ADDRESS("/8");
	IS_BAD_ADDRESS("/");
	IS_BAD_ADDRESS("10");
	IS_BAD_ADDRESS("10.1.2");
	IS_BAD_ADDRESS("10./8");
	IS_BAD_ADDRESS(".10/8");
	IS_BAD_ADDRESS("10..1/16");
	IS_BAD_ADDRESS("1.2.3.4./32");
	IS_BAD_ADDRESS("1.2.3.4.5");
	IS_BAD_ADDRESS("1.2.3.4.5/32");
	IS_BAD_ADDRESS("256/8");
	IS_BAD_ADDRESS("1.2.3.256");
	IS_BAD_ADDRESS("010.0.0.1");
	IS_BAD_ADDRESS("010/8");
	IS_BAD_ADDRESS("0x0a.0.0.1");
	IS_BAD_ADDRESS("-1.0.0.0");
	IS_BAD_ADDRESS(" 10.0.0.0/8");
	IS_BAD_ADDRESS("10.0.0.0 /8");
	IS_BAD_ADDRESS("localhost");
	IS_BAD_ADDRESS("fe80::1%eth0");
	IS_BAD_ADDRESS("fe80::1%1/128");
	IS_BAD_ADDRESS("[::1]");
	IS_BAD_ADDRESS(":");
	IS_BAD_ADDRESS(":::");
	IS_BAD_ADDRESS("1::2::3");
	IS_BAD_ADDRESS("1:2:3:4:5:6:7");
	IS_BAD_ADDRESS("1:2:3:4:5:6:7:8:9");
	IS_BAD_ADDRESS("12345::");
	IS_BAD_ADDRESS("::ffff:10.0/112");
	IS_BAD_ADDRESS("0000:0000:0000:0000:0000:0000:0000:0000:000000");
	IS_BAD_ADDRESS("no address/999");

	IS_BAD_PREFIX("10.0.0.0/");
	IS_BAD_PREFIX("10.0.0.0/33");
	IS_BAD_PREFIX("10.0.0.0/256");
	IS_BAD_PREFIX("10.0.0.0/264");
	IS_BAD_PREFIX("10.0.0.0/999");
	IS_BAD_PREFIX("10.0.0.0/08");
	IS_BAD_PREFIX("0.0.0.0/00");
	IS_BAD_PREFIX("10.0.0.0/+8");
	IS_BAD_PREFIX("10.0.0.0/-8");
	IS_BAD_PREFIX("10.0.0.0/ 8");
	IS_BAD_PREFIX("10.0.0.0/8 ");
	IS_BAD_PREFIX("10.0.0.0/8/8");
	IS_BAD_PREFIX("10.0.0.0/0008");
	IS_BAD_PREFIX("10.0.0.0/4294967304");
	IS_BAD_PREFIX("10.0.0.0/255.0.0.0");
	IS_BAD_PREFIX("10/33");
	IS_BAD_PREFIX("::/129");
	IS_BAD_PREFIX("::ffff:10.0.0.0/129");

	HAS_HOST_BITS("10.0.0.1/8");
	HAS_HOST_BITS("10.1/8");
	HAS_HOST_BITS("10.0.0.1/31");
	HAS_HOST_BITS("128.0.0.0/0");
	HAS_HOST_BITS("2001:db8::1/127");
	HAS_HOST_BITS("8000::/0");
	HAS_HOST_BITS("::ffff:10.0.0.0/90");

	CHECK(ak_network_parse("10.0.0.1\0", 9, &(AkNetwork) {0}) ==
		  AK_NETWORK_BAD_ADDRESS, "no zero byte after an address");
	CHECK(ak_network_parse("10.0.0.0/8\0", 11, &(AkNetwork) {0}) ==
		  AK_NETWORK_BAD_PREFIX, "no zero byte after a prefix");
	CHECK(ak_network_parse("0.0.0.0/16", 9, &(AkNetwork) {0}) ==
		  AK_NETWORK_OK, "only the counted bytes are read");
}

static void
test_host_bits(void)
{
	char		text[AK_NETWORK_TEXT_SIZE];
	AkNetwork	network;

	CHECK(ak_network_parse("::ffff:10.1.2.3/104", 19, &network) ==
		  AK_NETWORK_HOST_BITS, "host bits of a mapped network");
	ak_network_format(&network, text);
	CHECK(strcmp(text, "10.1.2.3/8") == 0, "the caller can name them");
	ak_network_mask(&network, network.prefix);
	ak_network_format(&network, text);
	CHECK(strcmp(text, "10.0.0.0/8") == 0, "and hint at the network");
}

static void
test_mask_and_check(void)
{
	AkNetwork	network = network_of("255.255.255.255");
	char		text[AK_NETWORK_TEXT_SIZE];

	ak_network_mask(&network, 23);
	ak_network_format(&network, text);
	CHECK(strcmp(text, "255.255.254.0/23") == 0, "mask within an octet");
	ak_network_mask(&network, 16);
	ak_network_format(&network, text);
	CHECK(strcmp(text, "255.255.0.0/16") == 0, "mask between octets");
	ak_network_mask(&network, 0);
	ak_network_format(&network, text);
	CHECK(strcmp(text, "0.0.0.0/0") == 0, "mask everything");
	network = network_of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	ak_network_mask(&network, 128);
	CHECK(network.address[15] == 0xFF && network.prefix == 128,
		  "mask nothing");
	ak_network_mask(&network, 65);
	ak_network_format(&network, text);
	CHECK(strcmp(text, "ffff:ffff:ffff:ffff:8000::/65") == 0, "mask IPv6");

	CHECK(ak_network_check(&network) == AK_NETWORK_OK, "a network");
	network.family = 5;
	CHECK(ak_network_check(&network) == AK_NETWORK_BAD_ADDRESS, "no family");
	CHECK(ak_network_format(&network, text) == 0 && text[0] == '\0',
		  "no family, no text");
	network.family = 0;
	CHECK(ak_network_check(&network) == AK_NETWORK_BAD_ADDRESS, "family 0");
	network.family = 6;
	network.prefix = 129;
	CHECK(ak_network_check(&network) == AK_NETWORK_BAD_PREFIX, "129 bits");
	network = network_of("10.0.0.0/8");
	network.prefix = 33;
	CHECK(ak_network_check(&network) == AK_NETWORK_BAD_PREFIX, "33 bits");
	network.prefix = 6;
	CHECK(ak_network_check(&network) == AK_NETWORK_HOST_BITS, "a bit right");
	network.prefix = 8;
	network.address[4] = 1;
	CHECK(ak_network_check(&network) == AK_NETWORK_HOST_BITS,
		  "a bit in the unused bytes");
}

static void
test_normalize(void)
{
	AkNetwork	network = {6, 95, {[10] = 0xFF, [11] = 0xFF, [12] = 10}};
	AkNetwork	before = network;

	ak_network_normalize(&network);
	CHECK(memcmp(&network, &before, sizeof(network)) == 0,
		  "95 bits stay IPv6");
	network.prefix = 104;
	ak_network_normalize(&network);
	CHECK(network.family == 4 && network.prefix == 8 &&
		  network.address[0] == 10 &&
		  ak_network_check(&network) == AK_NETWORK_OK,
		  "104 bits become 8 bits of IPv4");
	before = network;
	ak_network_normalize(&network);
	CHECK(memcmp(&network, &before, sizeof(network)) == 0,
		  "IPv4 stays as it is");
}

static void
test_compare(void)
{
	static const char *const ascending[] = {
		"0/0", "0/1", "9.255.255.255", "10/8", "10/9", "10.0.0.0/32",
		"10.0.0.1/32", "128/1", "255.255.255.255", "::/0", "::/128", "::1",
		"2001:db8::/32", "2001:db8::/33", "ff00::/8"
	};
	const size_t count = sizeof(ascending) / sizeof(ascending[0]);
	int			wrong = 0;
	size_t		i;
	size_t		j;

	for (i = 0; i < count; i++)
	{
		for (j = 0; j < count; j++)
		{
			AkNetwork	a = network_of(ascending[i]);
			AkNetwork	b = network_of(ascending[j]);
			int			order = ak_network_compare(&a, &b);

			wrong += ((order > 0) - (order < 0) != (i > j) - (i < j));
		}
	}
	CHECK(wrong == 0, "the order of networks");
}

/*
 * Sort and pack; the view is of the caller's buffer of ENTRIES_SIZE bytes.
 */
static AkNetset
make_set(AkNetwork *networks, size_t *count, uint8_t *entries)
{
	AkNetset	set;
	size_t		count4;
	size_t		length;

	*count = ak_netset_sort(networks, *count);
	length = ak_netset_pack(networks, *count, entries, &count4);
	set.entries4 = entries;
	set.count4 = count4;
	set.entries6 = entries + count4 * AK_NETSET_ENTRY4_SIZE;
	set.count6 = *count - count4;
	if (length != ak_netset_size(set.count4, set.count6))
		printf("Bail out! %zu bytes packed\n", length);
	return set;
}

static void
test_pack(void)
{
	static const uint8_t expected[] = {
		10, 0, 0, 0, 8,
		10, 0, 0, 0, 9,
		192, 168, 1, 7, 32,
		0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32
	};
	AkNetwork	networks[6];
	AkNetwork	network;
	uint8_t		entries[ENTRIES_SIZE];
	AkNetset	set;
	size_t		count = 6;

	networks[0] = network_of("2001:db8::/32");
	networks[1] = network_of("192.168.1.7");
	networks[2] = network_of("10/9");
	networks[3] = network_of("10/8");
	networks[4] = network_of("::ffff:192.168.1.7");
	networks[5] = network_of("2001:db8::/32");
	set = make_set(networks, &count, entries);
	CHECK(count == 4, "duplicates are dropped");
	CHECK(set.count4 == 3 && set.count6 == 1, "counts of families");
	CHECK(ak_netset_size(3, 1) == sizeof(expected), "size of a set");
	CHECK(memcmp(entries, expected, sizeof(expected)) == 0, "packed bytes");
	CHECK(ak_netset_is_canonical(&set), "packed sets are canonical");
	ak_netset_get(&set, 2, &network);
	CHECK(ak_network_compare(&network, &networks[2]) == 0, "last IPv4 entry");
	ak_netset_get(&set, 3, &network);
	CHECK(ak_network_compare(&network, &networks[3]) == 0, "IPv6 entry");
	CHECK(ak_netset_contains_entry(&set, &networks[0]) &&
		  ak_netset_contains_entry(&set, &networks[3]), "entries are found");
	network = network_of("10/10");
	CHECK(!ak_netset_contains_entry(&set, &network), "10/10 is no entry");
	network = network_of("10/7");
	CHECK(!ak_netset_contains_entry(&set, &network), "10/7 is no entry");
	network.family = 0;
	CHECK(!ak_netset_contains_entry(&set, &network), "nor is no network");

	CHECK(ak_netset_sort(networks, 0) == 0, "sort nothing");
	CHECK(ak_netset_sort(networks, 1) == 1, "sort one");
	CHECK(ak_netset_pack(networks, 0, entries, &count) == 0 && count == 0,
		  "pack nothing");
}

static bool
is_canonical4(const char *entries, size_t count)
{
	AkNetset	set = {(const uint8_t *) entries, NULL, count, 0, NULL, NULL};

	return ak_netset_is_canonical(&set);
}

static bool
is_canonical6(const char *entries, size_t count)
{
	AkNetset	set = {NULL, (const uint8_t *) entries, 0, count, NULL, NULL};

	return ak_netset_is_canonical(&set);
}

static void
test_canonical(void)
{
	CHECK(is_canonical4("", 0), "the empty set");
	CHECK(is_canonical4("\12\0\0\0\10" "\12\0\0\0\11", 2), "ascending");
	CHECK(!is_canonical4("\12\0\0\0\11" "\12\0\0\0\10", 2), "descending");
	CHECK(!is_canonical4("\12\0\0\0\10" "\12\0\0\0\10", 2), "a double");
	CHECK(!is_canonical4("\12\0\0\0\41", 1), "33 bits");
	CHECK(!is_canonical4("\12\0\0\0\377", 1), "255 bits");
	CHECK(!is_canonical4("\12\0\0\1\10", 1), "host bits");
	CHECK(!is_canonical4("\12\0\0\0\10" "\13\0\0\1\10", 2), "later ones");
	CHECK(is_canonical6("\377\377\377\377\377\377\377\377"
						"\377\377\377\377\377\377\377\377\200", 1),
		  "the last IPv6 address");
	CHECK(!is_canonical6("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\201", 1),
		  "129 bits");
	CHECK(!is_canonical6("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\177", 1),
		  "IPv6 host bits");
	CHECK(!is_canonical6("\0\0\0\0\0\0\0\0\0\0\377\377\12\0\0\0\150", 1),
		  "a mapped network");
	CHECK(!is_canonical6("\0\0\0\0\0\0\0\0\0\0\377\377\0\0\0\0\140", 1),
		  "all mapped addresses");
	CHECK(is_canonical6("\0\0\0\0\0\0\0\0\0\0\377\376\0\0\0\0\137", 1),
		  "what contains all mapped addresses");
}

/*
 * Is the answer for this address this network, or none for NULL?
 */
static bool
finds(const AkNetset *set, const char *address, const char *expected)
{
	AkNetwork	key = network_of(address);
	AkNetwork	match;
	char		text[AK_NETWORK_TEXT_SIZE];

	memset(&match, 0xAA, sizeof(match));
	if (!ak_netset_find(set, &key, &match))
		return expected == NULL && match.family == 0xAA;
	ak_network_format(&match, text);
	return expected != NULL && strcmp(text, expected) == 0;
}

static void
test_find(void)
{
	static const char *const texts[] = {
		"10/8", "10.1/16", "10.1.2/24", "10.1.2.3", "10.1.3/24", "10.64/10",
		"192.168/16", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::1",
		"::/3"
	};
	AkNetwork	networks[NETWORKS_MAX];
	uint8_t		entries[ENTRIES_SIZE];
	size_t		count = sizeof(texts) / sizeof(texts[0]);
	AkNetset	set;
	AkNetset	empty = {NULL, NULL, 0, 0, NULL, NULL};
	AkNetwork	odd;
	size_t		i;

	for (i = 0; i < count; i++)
		networks[i] = network_of(texts[i]);
	set = make_set(networks, &count, entries);

	CHECK(finds(&set, "10.1.2.3", "10.1.2.3/32"), "the address itself");
	CHECK(finds(&set, "10.1.2.4", "10.1.2.0/24"), "its narrowest network");
	CHECK(finds(&set, "10.1.2.0", "10.1.2.0/24"), "the first address");
	CHECK(finds(&set, "10.1.255.255", "10.1.0.0/16"), "the last address");
	CHECK(finds(&set, "10.2.0.0", "10.0.0.0/8"), "past all neighbours");
	CHECK(finds(&set, "10.127.0.1", "10.64.0.0/10"), "in the last network");
	CHECK(finds(&set, "10.128.0.1", "10.0.0.0/8"), "past the last network");
	CHECK(finds(&set, "10.1.2/23", "10.1.0.0/16"), "a whole network");
	CHECK(finds(&set, "10.1.2/24", "10.1.2.0/24"), "a network itself");
	CHECK(finds(&set, "10/7", NULL), "no part of a network");
	CHECK(finds(&set, "0/0", NULL), "not all of IPv4");
	CHECK(finds(&set, "9.255.255.255", NULL), "before the first");
	CHECK(finds(&set, "11.0.0.0", NULL), "between two");
	CHECK(finds(&set, "255.255.255.255", NULL), "after the last");
	CHECK(finds(&set, "2001:db8:1::1", "2001:db8:1::1/128"), "IPv6 address");
	CHECK(finds(&set, "2001:db8:1::2", "2001:db8:1::/48"), "IPv6 network");
	CHECK(finds(&set, "2001:db8:2::", "2001:db8::/32"), "the wider one");
	CHECK(finds(&set, "2001:db9::", NULL), "none of IPv6");
	CHECK(finds(&set, "1fff::", "::/3"), "the first IPv6 network");
	CHECK(finds(&set, "::ffff:11.0.0.0", NULL),
		  "IPv6 networks do not contain mapped addresses");
	CHECK(finds(&empty, "10.1.2.3", NULL), "none in the empty set");
	CHECK(finds(&empty, "::1", NULL), "none of IPv6 there");

	odd = network_of("10.1.2.3");
	odd.prefix = 33;
	CHECK(!ak_netset_find(&set, &odd, &odd), "no answer for 33 bits");
	odd.family = 0;
	CHECK(!ak_netset_find(&set, &odd, &odd), "no answer for no family");
}

/*
 * Draw a network near others: few bits are set, and few differ, so that most
 * draws contain or meet one another.
 */
static AkNetwork
draw_network(void)
{
	AkNetwork	network;
	unsigned	bits;
	int			flips;

	memset(&network, 0, sizeof(network));
	network.family = tap_random(2) ? 4 : 6;
	bits = (network.family == 4) ? 32 : 128;
	network.address[0] = 0xA5;
	for (flips = (int) tap_random(4); flips > 0; flips--)
	{
		unsigned	bit = tap_random(tap_random(2) ? bits : 12);

		network.address[bit / 8] ^= (uint8_t) (0x80 >> bit % 8);
	}
	ak_network_mask(&network, tap_random(3) ? tap_random(bits + 1) : bits);
	return network;
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

static const AkNetwork *
naive_find(const AkNetwork *networks, size_t count, const AkNetwork *address)
{
	const AkNetwork *best = NULL;
	size_t		i;

	for (i = 0; i < count; i++)
	{
		if (naive_contains(&networks[i], address) &&
			(best == NULL || networks[i].prefix > best->prefix))
			best = &networks[i];
	}
	return best;
}

/* Where searches have been: what was read of a node is always the same. */
#define NODES_MAX	64

typedef struct Parts
{
	const AkNetset *set;
	size_t		indexes[2][NODES_MAX];	/* plus 1; 0: unknown */
	int			wrong;
} Parts;

static void
read_part(void *argument, unsigned family, size_t index, size_t node,
		  uint8_t *entry)
{
	Parts	   *parts = argument;
	size_t		size = family == 4 ? AK_NETSET_ENTRY4_SIZE :
		AK_NETSET_ENTRY6_SIZE;
	size_t	   *known = parts->indexes[family == 6];

	memcpy(entry, (family == 4 ? parts->set->entries4 :
				   parts->set->entries6) + index * size, size);
	if (node >= NODES_MAX)
		return;
	parts->wrong += (node != 0 && known[node] != 0 && known[node] != index + 1);
	known[node] = index + 1;
}

static void
test_find_at_random(void)
{
	AkNetwork	networks[NETWORKS_MAX];
	uint8_t		entries[ENTRIES_SIZE];
	AkNetset	set = {NULL, NULL, 0, 0, NULL, NULL};
	size_t		count = 0;
	Parts		parts = {&set, {{0}}, 0};
	int			wrong = 0;
	int			not_canonical = 0;
	int			found = 0;
	int			round;

	for (round = 0; round < 100000; round++)
	{
		AkNetwork	address = draw_network();
		AkNetwork	match;
		const AkNetwork *expected;
		bool		answer;

		if (round % 20 == 0)
		{
			size_t		i;

			count = tap_random(NETWORKS_MAX + 1);
			for (i = 0; i < count; i++)
				networks[i] = draw_network();
			set = make_set(networks, &count, entries);
			not_canonical += !ak_netset_is_canonical(&set);
			memset(parts.indexes, 0, sizeof(parts.indexes));
		}
		expected = naive_find(networks, count, &address);
		answer = ak_netset_find(&set, &address, &match);
		wrong += (answer != (expected != NULL));
		if (answer && expected != NULL)
			wrong += (ak_network_compare(&match, expected) != 0);
		wrong += (ak_netset_contains_entry(&set, &address) !=
				  (expected != NULL && expected->prefix == address.prefix));
		found += answer;
		if (round % 2 == 0)
		{
			AkNetset	by_parts = {NULL, NULL, set.count4, set.count6,
			read_part, &parts};

			wrong += (ak_netset_find(&by_parts, &address, &match) != answer);
			if (answer && expected != NULL)
				wrong += (ak_network_compare(&match, expected) != 0);
		}
	}
	CHECK(parts.wrong == 0, "searches of a set by parts take one way");
	CHECK(wrong == 0, "100,000 random answers as of a linear search");
	CHECK(not_canonical == 0, "5,000 random sets are canonical");
	CHECK(found > 30000 && found < 90000, "some are found, some are not");
}

/*
 * In one set per family, all of whose networks are nested: each address
 * meets the deepest chain of them.
 */
static void
test_deepest_nesting(void)
{
	AkNetwork	networks[129];
	uint8_t		entries[129 * AK_NETSET_ENTRY6_SIZE];
	AkNetset	set;
	size_t		count = 129;
	int			wrong = 0;
	unsigned	i;

	for (i = 0; i <= 128; i++)
	{
		networks[i] = network_of("5555:5555:5555:5555:5555:5555:5555:5555");
		ak_network_mask(&networks[i], i);
	}
	set = make_set(networks, &count, entries);
	for (i = 0; i < 128; i++)
	{
		AkNetwork	address = networks[128];
		AkNetwork	match;

		address.address[i / 8] ^= (uint8_t) (0x80 >> i % 8);
		wrong += (!ak_netset_find(&set, &address, &match) ||
				  match.prefix != i);
	}
	CHECK(count == 129 && wrong == 0, "each of 129 nested networks is found");
}

static void
test_round_trip(void)
{
	int			wrong = 0;
	int			round;

	for (round = 0; round < 100000; round++)
	{
		AkNetwork	network;
		AkNetwork	again;
		char		text[AK_NETWORK_TEXT_SIZE];
		size_t		length;
		size_t		i;

		memset(&network, 0, sizeof(network));
		network.family = tap_random(2) ? 4 : 6;
		for (i = 0; i < (network.family == 4 ? 4 : 16); i++)
			network.address[i] = tap_random(2) ? 0 : (uint8_t) tap_random(256);
		if (network.family == 6 && tap_random(4) == 0)
		{
			memset(network.address, 0, 10);
			memset(network.address + 10, 0xFF, 2);
		}
		ak_network_mask(&network,
						tap_random(network.family == 4 ? 33 : 129));
		ak_network_normalize(&network);

		length = ak_network_format(&network, text);
		wrong += (length != strlen(text) || length >= sizeof(text) ||
				  ak_network_parse(text, length, &again) != AK_NETWORK_OK ||
				  memcmp(&network, &again, sizeof(network)) != 0);
	}
	CHECK(wrong == 0, "100,000 random networks return from their text");
}

int
main(void)
{
	test_parse();
	test_parse_refusals();
	test_host_bits();
	test_mask_and_check();
	test_normalize();
	test_compare();
	test_pack();
	test_canonical();
	test_find();
	test_find_at_random();
	test_deepest_nesting();
	test_round_trip();
	return tap_done();
}
