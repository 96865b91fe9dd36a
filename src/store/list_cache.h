/*
 * list_cache.h
 *	  Long access lists, kept detoasted in the backend's memory.
 */
#ifndef AK_LIST_CACHE_H
#define AK_LIST_CACHE_H

#include "postgres.h"

extern struct varlena *ak_list_cache_get(struct varlena *list,
										 TransactionId writer);

#endif							/* AK_LIST_CACHE_H */
