/*
 * own_grants.h
 *	  The roles of the current principal.
 */
#ifndef AK_OWN_GRANTS_H
#define AK_OWN_GRANTS_H

#include "postgres.h"

#include "store/keystore.h"
#include "store/roles.h"

extern uint32 ak_own_grants_tables(void);
extern void ak_own_grants_scan(AkKeystore *store, AkGrantCallback callback,
							   void *argument);
extern uint64 ak_own_grant_id(const AkGrant *grant, const AkRole *role);
extern void ak_own_grants_record_use(uint64 id);

#endif							/* AK_OWN_GRANTS_H */
