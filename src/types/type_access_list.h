/*
 * type_access_list.h
 *	  The part of type apikeys.access_list that decisions use.
 */
#ifndef AK_TYPE_ACCESS_LIST_H
#define AK_TYPE_ACCESS_LIST_H

#include "postgres.h"

#include <sys/socket.h>			/* AF_INET, required by utils/inet.h */

#include "types/list_reader.h"
#include "utils/inet.h"

extern struct varlena *ak_access_list_parse(const char *text);
extern void ak_network_from_inet(const inet *value, AkNetwork *network);
extern void ak_network_from_text(const text *candidate,
								 AkNetwork *address);
extern inet *ak_network_to_inet(const AkNetwork *network);

#endif							/* AK_TYPE_ACCESS_LIST_H */
