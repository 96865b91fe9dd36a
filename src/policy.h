/*
 * policy.h
 *	  What organizations demand of their keys, kept in the backend's memory.
 */
#ifndef AK_POLICY_H
#define AK_POLICY_H

#include "postgres.h"

#include "keystore.h"

extern AkPolicy ak_policy_get(AkKeystore *store,
							  const pg_uuid_t *organization);

#endif							/* AK_POLICY_H */
