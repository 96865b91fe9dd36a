/*
 * own_grants.h
 *	  What the principal holds: a bound key its own grants, anybody else those of
 *	  its memberships.
 */
#ifndef AK_OWN_GRANTS_H
#define AK_OWN_GRANTS_H

#include "postgres.h"

#include "identity/grants.h"

extern uint32 ak_own_grants_tables(void);
extern void ak_own_grants_scan(AkKeystore *store, AkHeldCallback callback,
							   void *argument);
extern void ak_own_grants_record_use(uint64 id);

#endif							/* AK_OWN_GRANTS_H */
