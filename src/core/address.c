/*
 * address.c
 *	  The address of a client, as the client or its driver writes it.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing.
 */
#include <string.h>

#include "core/netset.h"

/* No address is longer than this, including its zone. */
#define ADDRESS_TEXT_MAX	128

/*
 * Returns the length of an IPv6 address without its zone (RFC 4007, section
 * 11: "%" and the zone's id), or the whole length if it has none.
 */
static size_t
measure_without_zone(const char *text, size_t length)
{
	const char *percent = memchr(text, '%', length);
	size_t		head;
	size_t		i;

	if (percent == NULL)
		return length;
	head = (size_t) (percent - text);
	if (memchr(text, ':', head) == NULL || memchr(text, '/', head) != NULL ||
		head + 1 == length)
		return length;
	for (i = head + 1; i < length; i++)
	{
		/* Any visible ASCII character: the characters of interface names. */
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '%' ||
			text[i] == '/')
			return length;
	}
	return head;
}

/*
 * Reads a single address as a client may write it: in the syntax of
 * PostgreSQL's type inet, with all four octets, and without a prefix or with
 * one of the full length.  An IPv6 address may have a zone, which is ignored,
 * because it has a meaning only on the host that wrote it.  An octet with
 * leading zeros is rejected: inet reads it as decimal, other programs as
 * octal.  *address is normalized; it is undefined if the result is false.
 */
bool
ak_address_parse(const char *text, size_t length, AkNetwork *address)
{
	size_t		dots = 0;
	size_t		i;

	if (length > ADDRESS_TEXT_MAX)
		return false;
	length = measure_without_zone(text, length);
	for (i = 0; i < length; i++)
		dots += (text[i] == '.');
	if (dots != 3 && memchr(text, ':', length) == NULL)
		return false;
	return ak_network_parse(text, length, address) == AK_NETWORK_OK &&
		address->prefix == (address->family == 4 ? 32 : 128);
}
