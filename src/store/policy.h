/*
 * policy.h
 *	  The policies of organizations for their keys, cached in the backend.
 */
#ifndef AK_POLICY_H
#define AK_POLICY_H

#include "postgres.h"

#include "store/keystore.h"

extern AkPolicy ak_policy_get(AkKeystore *store,
							  const pg_uuid_t *organization);
extern void ak_policy_write_all_limits(void);
extern TimestampTz ak_add_in_utc(TimestampTz time, const Interval *interval);
extern TimestampTz ak_policy_end_of_life(const AkPolicy *policy,
										 TimestampTz created_at);

#endif							/* AK_POLICY_H */
