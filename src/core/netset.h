/*
 * netset.h
 *	  IP networks, and sorted sets of them that answer "which network
 *	  contains this address?" in logarithmic time.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing; the
 * caller owns every buffer and chooses the error.  IPv4-mapped IPv6 networks
 * (RFC 4291, section 2.5.5.2) are the IPv4 networks they stand for, so each
 * network has one spelling only.
 */
#ifndef AK_NETSET_H
#define AK_NETSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A network; an address is a network with its family's full prefix. */
typedef struct AkNetwork
{
	uint8_t		family;			/* 4 or 6 */
	uint8_t		prefix;			/* 0 to 32, or 0 to 128 */
	uint8_t		address[16];	/* network byte order; unused bytes are 0 */
} AkNetwork;

typedef enum AkNetworkError
{
	AK_NETWORK_OK,
	AK_NETWORK_BAD_ADDRESS,		/* no IPv4 or IPv6 address */
	AK_NETWORK_BAD_PREFIX,		/* no prefix length, or one out of range */
	AK_NETWORK_HOST_BITS		/* bits are set right of the prefix */
} AkNetworkError;

/* Room for any network's text form and its terminating zero. */
#define AK_NETWORK_TEXT_SIZE	50

/*
 * A read-only view of a stored set: two packed arrays, each entry the bytes of
 * the address and one byte of prefix length, in ascending memcmp() order
 * without duplicates.  Nothing is aligned.
 */
#define AK_NETSET_ENTRY4_SIZE	5
#define AK_NETSET_ENTRY6_SIZE	17

/*
 * Copies entry number "index" of a family's array, 4 or 6, to *entry: for a
 * set that is not completely in memory.  A search always visits the same
 * nodes: from node 1, and from each node n to 2n or 2n + 1. A node is always
 * the same entry; node 0 means unknown.
 */
typedef void (*AkNetsetRead) (void *argument, unsigned family, size_t index,
							  size_t node, uint8_t *entry);

typedef struct AkNetset
{
	const uint8_t *entries4;	/* both NULL: entries are read by the callback */
	const uint8_t *entries6;
	size_t		count4;
	size_t		count6;
	AkNetsetRead read;
	void	   *argument;
} AkNetset;

extern void ak_network_normalize(AkNetwork *network);
extern void ak_network_mask(AkNetwork *network, unsigned prefix);
extern AkNetworkError ak_network_check(const AkNetwork *network);
extern AkNetworkError ak_network_parse(const char *text, size_t length,
									   AkNetwork *network);
extern size_t ak_network_format(const AkNetwork *network, char *text);
extern int	ak_network_compare(const AkNetwork *a, const AkNetwork *b);

extern size_t ak_netset_sort(AkNetwork *networks, size_t count);
extern size_t ak_netset_pack(const AkNetwork *networks, size_t count,
							 uint8_t *entries, size_t *count4);
extern size_t ak_netset_size(size_t count4, size_t count6);
extern bool ak_netset_is_canonical(const AkNetset *set);
extern void ak_netset_get(const AkNetset *set, size_t index,
						  AkNetwork *network);
extern bool ak_netset_contains_entry(const AkNetset *set,
									 const AkNetwork *network);
extern bool ak_netset_find(const AkNetset *set, const AkNetwork *address,
						   AkNetwork *match);

/* --- address.c ----------------------------------------------------------- */

extern bool ak_address_parse(const char *text, size_t length,
							 AkNetwork *address);

#endif							/* AK_NETSET_H */
