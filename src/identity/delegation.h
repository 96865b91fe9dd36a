/*
 * delegation.h
 *	  Whether a key that is acting gives no other key more networks, or a
 *	  longer life, than it has itself.
 *
 * Who is no key is not bound by this: people come and go by other ways.
 */
#ifndef AK_DELEGATION_H
#define AK_DELEGATION_H

#include "postgres.h"

#include "store/keystore.h"

extern bool ak_delegation_covers_list(AkKeystore *store, struct varlena *list);
extern bool ak_delegation_covers_life(AkKeystore *store,
									  TimestampTz expires_at);
extern bool ak_delegation_covers_key(AkKeystore *store, text *public_key);

#endif							/* AK_DELEGATION_H */
