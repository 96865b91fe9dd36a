/*
 * type_access_list.h
 *	  What the decision needs of type apikeys.access_list.
 */
#ifndef AK_TYPE_ACCESS_LIST_H
#define AK_TYPE_ACCESS_LIST_H

#include "postgres.h"

#include <sys/socket.h>			/* AF_INET, which utils/inet.h needs */

#include "core/netset.h"
#include "utils/inet.h"

extern struct varlena *ak_access_list_parse(const char *text);
/* A stored list begins with the number of its IPv4 networks. */
#define AK_ACCESS_LIST_COUNT_SIZE	sizeof(uint32)

extern void ak_access_list_raise_damaged(void);
extern void ak_access_list_count(size_t size, uint32 count4, AkNetset *set);
extern void ak_access_list_view(struct varlena *list, AkNetset *set);
extern void ak_network_from_inet(const inet *value, AkNetwork *network);
extern void ak_network_from_text(const text *candidate,
								 AkNetwork *address);
extern inet *ak_network_to_inet(const AkNetwork *network);

#endif							/* AK_TYPE_ACCESS_LIST_H */
