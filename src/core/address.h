/*
 * address.h
 *	  The address of a client, as the client or its driver writes it.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing.
 */
#ifndef AK_ADDRESS_H
#define AK_ADDRESS_H

#include "core/netset.h"

extern bool ak_address_parse(const char *text, size_t length,
							 AkNetwork *address);

#endif							/* AK_ADDRESS_H */
