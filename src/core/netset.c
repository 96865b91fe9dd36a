/*
 * netset.c
 *	  IP networks, and sorted sets of them that answer "which network
 *	  contains this address?" in logarithmic time.
 *
 * The text form is read as strictly as PostgreSQL's type cidr reads it: an
 * address that could mean two things to two readers (leading zeros, missing
 * octets without a prefix, a zone id, bits right of the prefix) is refused.
 *
 * Reading from a packed set never writes to it and never reads outside it,
 * whatever its bytes are; its answers are right only for a set that
 * ak_netset_is_canonical() accepts.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing; the
 * caller owns every buffer and chooses the error (netset.h).
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/netset.h"

#define IPV4_SIZE		4
#define IPV6_SIZE		16
#define MAPPED_BITS		96

/* Fills the three octets that "10/8" omits. */
#define MISSING_OCTETS	".0.0.0"

/* ::ffff:0:0/96, RFC 4291, section 2.5.5.2 */
static const uint8_t mapped_network[MAPPED_BITS / 8] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF
};

/* One family's part of a set. */
typedef struct PackedEntries
{
	const AkNetset *set;
	unsigned	family;
	const uint8_t *entries;
	size_t		count;
	size_t		size;			/* bytes of an entry, its prefix's included */
} PackedEntries;

/*
 * Bytes of an address of this family, 0 if there is no such family.
 */
static size_t
address_size(unsigned family)
{
	switch (family)
	{
		case 4:
			return IPV4_SIZE;
		case 6:
			return IPV6_SIZE;
		default:
			return 0;
	}
}

/*
 * Is any bit right of the first "prefix" bits set?
 */
static bool
has_host_bits(const uint8_t *address, size_t size, unsigned prefix)
{
	size_t		i = prefix / 8;

	if (prefix % 8 != 0 && (address[i++] & (0xFF >> prefix % 8)) != 0)
		return true;
	for (; i < size; i++)
	{
		if (address[i] != 0)
			return true;
	}
	return false;
}

/*
 * Clear all bits right of the first "prefix" bits.
 */
static void
clear_host_bits(uint8_t *address, size_t size, unsigned prefix)
{
	size_t		i = prefix / 8;

	if (i >= size)
		return;
	if (prefix % 8 != 0)
		address[i++] &= (uint8_t) ~(0xFF >> prefix % 8);
	memset(address + i, 0, size - i);
}

/*
 * How many leading bits, at most "limit", are the same in both addresses?
 */
static unsigned
count_common_bits(const uint8_t *a, const uint8_t *b, unsigned limit)
{
	unsigned	bits = 0;
	unsigned	difference;

	while (bits < limit && a[bits / 8] == b[bits / 8])
		bits += 8;
	if (bits >= limit)
		return limit;
	for (difference = a[bits / 8] ^ b[bits / 8];
		 bits < limit && (difference & 0x80) == 0;
		 difference <<= 1)
		bits++;
	return bits;
}

static bool
is_mapped(const uint8_t *address, unsigned prefix)
{
	return prefix >= MAPPED_BITS &&
		memcmp(address, mapped_network, sizeof(mapped_network)) == 0;
}

/*
 * Turn an IPv6 network inside ::ffff:0:0/96 into the IPv4 network it stands
 * for (RFC 4291, section 2.5.5.2), in place; leave any other as it is.  A
 * larger IPv6 network, even one that contains ::ffff:0:0/96, stands for no
 * IPv4 network and stays IPv6.
 */
void
ak_network_normalize(AkNetwork *network)
{
	if (network->family != 6 || !is_mapped(network->address, network->prefix))
		return;
	network->family = 4;
	network->prefix -= MAPPED_BITS;
	memmove(network->address, network->address + MAPPED_BITS / 8, IPV4_SIZE);
	memset(network->address + IPV4_SIZE, 0, IPV6_SIZE - IPV4_SIZE);
}

/*
 * Make the network "prefix" bits long, clearing all bits right of them, in
 * place.  "prefix" is at most the length of the family's addresses.
 */
void
ak_network_mask(AkNetwork *network, unsigned prefix)
{
	clear_host_bits(network->address, sizeof(network->address), prefix);
	network->prefix = (uint8_t) prefix;
}

/*
 * Is this a network: a known family, a prefix that fits it, and no bit set
 * right of the prefix (nor in the bytes an IPv4 address leaves unused)?
 */
AkNetworkError
ak_network_check(const AkNetwork *network)
{
	size_t		size = address_size(network->family);

	if (size == 0)
		return AK_NETWORK_BAD_ADDRESS;
	if (network->prefix > size * 8)
		return AK_NETWORK_BAD_PREFIX;
	if (has_host_bits(network->address, sizeof(network->address),
					  network->prefix))
		return AK_NETWORK_HOST_BITS;
	return AK_NETWORK_OK;
}

/*
 * Read an address without its prefix into network->family and ->address.
 * Octets may be missing if "abbreviated" says so, as in the "10.1" of
 * "10.1/16".
 */
static bool
parse_address(const char *text, size_t length, bool abbreviated,
			  AkNetwork *network)
{
	char		buffer[INET6_ADDRSTRLEN + sizeof(MISSING_OCTETS)];
	size_t		dots = 0;
	size_t		i;

	/* inet_pton() would stop at a zero byte and accept the text */
	if (length >= INET6_ADDRSTRLEN || memchr(text, '\0', length) != NULL)
		return false;
	memcpy(buffer, text, length);
	buffer[length] = '\0';

	if (memchr(text, ':', length) != NULL)
	{
		network->family = 6;
		return inet_pton(AF_INET6, buffer, network->address) == 1;
	}

	for (i = 0; i < length; i++)
		dots += (text[i] == '.');
	if (abbreviated && dots < 3)
		memcpy(buffer + length, &MISSING_OCTETS[2 * dots],
			   sizeof(MISSING_OCTETS) - 2 * dots);
	network->family = 4;
	return inet_pton(AF_INET, buffer, network->address) == 1;
}

/*
 * Read a prefix length: one to three decimal digits and nothing else, so
 * that no network has two spellings by "/8", "/08" and "/+8".
 */
static bool
parse_prefix(const char *text, size_t length, unsigned *prefix)
{
	size_t		i;

	if (length < 1 || length > 3 || (length > 1 && text[0] == '0'))
		return false;
	*prefix = 0;
	for (i = 0; i < length; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return false;
		*prefix = *prefix * 10 + (unsigned) (text[i] - '0');
	}
	return true;
}

/*
 * Reads a network from "length" bytes of text: an IPv4 address (RFC 791,
 * dotted quad) or an IPv6 address (RFC 4291, section 2.2), and optionally "/"
 * and a prefix length in bits (RFC 4632, section 3.1; RFC 4291, section 2.3),
 * without which it is a single address.  IPv4 octets may be missing at the end
 * if there is a prefix; deriving a prefix from the address's class would open
 * a whole network to a writer of "10".
 *
 * *network is normalized.  It is defined after AK_NETWORK_OK and after
 * AK_NETWORK_HOST_BITS, then with those bits as written, and undefined after
 * any other error.
 */
AkNetworkError
ak_network_parse(const char *text, size_t length, AkNetwork *network)
{
	const char *slash = memchr(text, '/', length);
	size_t		head = (slash == NULL) ? length : (size_t) (slash - text);
	unsigned	longest;
	unsigned	prefix;

	memset(network, 0, sizeof(*network));
	if (!parse_address(text, head, slash != NULL, network))
		return AK_NETWORK_BAD_ADDRESS;

	longest = (unsigned) address_size(network->family) * 8;
	prefix = longest;
	if (slash != NULL && !parse_prefix(slash + 1, length - head - 1, &prefix))
		return AK_NETWORK_BAD_PREFIX;
	if (prefix > longest)
		return AK_NETWORK_BAD_PREFIX;
	network->prefix = (uint8_t) prefix;

	/* before the check, so that a caller names the IPv4 network's host bits */
	ak_network_normalize(network);
	return ak_network_check(network);
}

/*
 * Write a network's canonical text (RFC 4632, section 3.1; RFC 5952), always
 * with its prefix length, and a terminating zero into the caller's buffer of
 * AK_NETWORK_TEXT_SIZE bytes.  Returns the length without that zero, or 0 if
 * the family is none.
 */
size_t
ak_network_format(const AkNetwork *network, char *text)
{
	int			family = (network->family == 4) ? AF_INET : AF_INET6;
	size_t		length;

	text[0] = '\0';
	if (address_size(network->family) == 0 ||
		inet_ntop(family, network->address, text,
				  AK_NETWORK_TEXT_SIZE) == NULL)
		return 0;
	length = strlen(text);
	length += (size_t) snprintf(text + length, AK_NETWORK_TEXT_SIZE - length,
								"/%u", (unsigned) network->prefix);
	return length;
}

/*
 * Order two networks as a set does: IPv4 before IPv6, then by address, then
 * the shorter prefix first, so that a network stands right before all those
 * inside it.  Negative, 0 or positive, as memcmp().
 */
int
ak_network_compare(const AkNetwork *a, const AkNetwork *b)
{
	int			order = (int) a->family - (int) b->family;

	if (order == 0)
		order = memcmp(a->address, b->address, sizeof(a->address));
	if (order == 0)
		order = (int) a->prefix - (int) b->prefix;
	return order;
}

static int
compare_for_qsort(const void *a, const void *b)
{
	return ak_network_compare(a, b);
}

/*
 * Sorts the caller's array in place and removes duplicates; returns the number
 * of networks left, at its front.
 */
size_t
ak_netset_sort(AkNetwork *networks, size_t count)
{
	size_t		kept = 1;
	size_t		i;

	if (count < 2)
		return count;
	qsort(networks, count, sizeof(*networks), compare_for_qsort);
	for (i = 1; i < count; i++)
	{
		if (ak_network_compare(&networks[i], &networks[kept - 1]) != 0)
			networks[kept++] = networks[i];
	}
	return kept;
}

/*
 * Write one packed entry; returns its size in bytes.
 */
static size_t
pack_entry(const AkNetwork *network, uint8_t *entry)
{
	size_t		size = address_size(network->family);

	memcpy(entry, network->address, size);
	entry[size] = network->prefix;
	return size + 1;
}

/*
 * Write the packed form of networks that ak_netset_sort() has sorted into
 * the caller's buffer of at least ak_netset_size() bytes: the IPv4 entries,
 * then the IPv6 entries.  Returns the bytes written; *count4 is the number
 * of IPv4 entries.
 */
size_t
ak_netset_pack(const AkNetwork *networks, size_t count,
			   uint8_t *entries, size_t *count4)
{
	size_t		length = 0;
	size_t		i;

	*count4 = 0;
	for (i = 0; i < count; i++)
	{
		length += pack_entry(&networks[i], entries + length);
		*count4 += (networks[i].family == 4);
	}
	return length;
}

/*
 * Bytes of the packed form of so many entries.  The caller has limited both
 * counts so that this does not overflow.
 */
size_t
ak_netset_size(size_t count4, size_t count6)
{
	return count4 * AK_NETSET_ENTRY4_SIZE + count6 * AK_NETSET_ENTRY6_SIZE;
}

static PackedEntries
entries_of_family(const AkNetset *set, unsigned family)
{
	PackedEntries part = {set, family, NULL, 0, 0};

	if (family == 4)
	{
		part.entries = set->entries4;
		part.count = set->count4;
		part.size = AK_NETSET_ENTRY4_SIZE;
	}
	else if (family == 6)
	{
		part.entries = set->entries6;
		part.count = set->count6;
		part.size = AK_NETSET_ENTRY6_SIZE;
	}
	return part;
}

/* Returns an entry: in its array, or in the buffer if it had to be read. */
static const uint8_t *
entry_at(const PackedEntries *part, size_t index, size_t node,
		 uint8_t *buffer)
{
	if (part->entries)
		return part->entries + index * part->size;
	part->set->read(part->set->argument, part->family, index, node, buffer);
	return buffer;
}

static bool
entries_are_canonical(const PackedEntries *part)
{
	size_t		size = part->size - 1;
	size_t		i;

	for (i = 0; i < part->count; i++)
	{
		const uint8_t *entry = part->entries + i * part->size;
		unsigned	prefix = entry[size];

		if (prefix > size * 8 || has_host_bits(entry, size, prefix))
			return false;
		if (size == IPV6_SIZE && is_mapped(entry, prefix))
			return false;
		if (i > 0 && memcmp(entry - part->size, entry, part->size) >= 0)
			return false;
	}
	return true;
}

/*
 * Checks whether this set, whose bytes are untrusted but in memory, is exactly
 * what ak_netset_sort() and ak_netset_pack() make of some normalized networks.
 */
bool
ak_netset_is_canonical(const AkNetset *set)
{
	PackedEntries part4 = entries_of_family(set, 4);
	PackedEntries part6 = entries_of_family(set, 6);

	return entries_are_canonical(&part4) && entries_are_canonical(&part6);
}

static void
unpack_entry(const PackedEntries *part, const uint8_t *entry,
			 AkNetwork *network)
{
	memset(network, 0, sizeof(*network));
	network->family = (uint8_t) part->family;
	memcpy(network->address, entry, part->size - 1);
	network->prefix = entry[part->size - 1];
}

/*
 * Copy entry number "index", from 0 and less than count4 + count6, to
 * *network.  The IPv4 entries come first.
 */
void
ak_netset_get(const AkNetset *set, size_t index, AkNetwork *network)
{
	unsigned	family = (index < set->count4) ? 4 : 6;
	PackedEntries part = entries_of_family(set, family);
	uint8_t		buffer[AK_NETSET_ENTRY6_SIZE];
	const uint8_t *entry;

	if (family == 6)
		index -= set->count4;
	entry = entry_at(&part, index, 0, buffer);

	unpack_entry(&part, entry, network);
}

/*
 * Returns how many entries sort at or before the key, which is a packed entry
 * itself, and copies the last of them to *last.  Even if the set is not
 * sorted, that entry is at most the key, because it was compared.
 */
static size_t
count_up_to(const PackedEntries *part, const uint8_t *key, uint8_t *last)
{
	size_t		low = 0;
	size_t		high = part->count;
	size_t		node = 1;
	uint8_t		buffer[AK_NETSET_ENTRY6_SIZE];

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;
		const uint8_t *entry = entry_at(part, middle, node, buffer);

		node *= 2;
		if (memcmp(entry, key, part->size) <= 0)
		{
			memcpy(last, entry, part->size);
			low = middle + 1;
			node++;
		}
		else
			high = middle;
	}
	return low;
}

/*
 * Is exactly this network an entry of the set?
 */
bool
ak_netset_contains_entry(const AkNetset *set, const AkNetwork *network)
{
	PackedEntries part = entries_of_family(set, network->family);
	uint8_t		key[AK_NETSET_ENTRY6_SIZE];
	uint8_t		last[AK_NETSET_ENTRY6_SIZE];

	if (part.count == 0)
		return false;
	pack_entry(network, key);
	return count_up_to(&part, key, last) > 0 &&
		memcmp(last, key, part.size) == 0;
}

/*
 * Find the most specific entry that contains the whole network "address",
 * which the caller has normalized.  Copies it to *match and returns true; if
 * there is none, returns false and leaves *match alone.
 *
 * Let the key be the address's first c bits, with c for prefix, where c
 * begins as the address's own prefix.  Let P be the last entry at or before
 * the key.
 *
 * Every entry E of at most c bits that contains the address sorts at or
 * before the key, hence at or before P; and P's bits, which are between
 * those of E and those of the key, begin with E's.  So, without a P there is
 * no such E.  If P has at most c bits and contains the address, no such E is
 * longer than P, since the longer one would sort after P: P is the answer.
 * If not, no such E is longer than the bits which P and the address have in
 * common, and the search goes on with c set to their number.
 *
 * It ends, because c falls each time: P is less than the key.  Had it the
 * key's bits, its prefix would be at most c, and it would contain the
 * address.  So P's first bit that differs is 0 where the key's is 1, and
 * that bit is one of the first c, as all others of the key are 0.  This
 * argument does not need the set's order, so damaged sets end the loop, too.
 */
bool
ak_netset_find(const AkNetset *set, const AkNetwork *address,
			   AkNetwork *match)
{
	PackedEntries part = entries_of_family(set, address->family);
	uint8_t		key[AK_NETSET_ENTRY6_SIZE];
	unsigned	bits = address->prefix;
	uint8_t		last[AK_NETSET_ENTRY6_SIZE];
	size_t		size = part.size - 1;

	if (part.count == 0 || bits > size * 8)
		return false;
	memcpy(key, address->address, size);

	for (;;)
	{
		unsigned	common;

		clear_host_bits(key, size, bits);
		key[size] = (uint8_t) bits;
		if (count_up_to(&part, key, last) == 0)
			return false;
		common = count_common_bits(last, key, bits);
		if (last[size] <= common)
			break;
		bits = common;
	}
	unpack_entry(&part, last, match);
	return true;
}
