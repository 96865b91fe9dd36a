/*
 * bound_key.h
 *	  The rights of a key that is bound to the transaction, in the backend's
 *	  memory.
 *
 * Its roles, and what they permit, are resolved when it is bound and stay as
 * they were; everything is in TopTransactionContext and goes with it.  What a key
 * may do that is bound by a token is what the token leaves of it.
 */
#ifndef AK_BOUND_KEY_H
#define AK_BOUND_KEY_H

#include "postgres.h"

#include "core/netset.h"
#include "store/keystore.h"
#include "store/short_token.h"

typedef struct AkBoundKey AkBoundKey;

extern AkBoundKey *ak_bound_key_make(const text *public_key,
									 AkKeystore *store, AkImage *image,
									 int32 secret_version,
									 const AkShortToken *token);
extern text *ak_bound_key_name(AkBoundKey *key);
extern int32 ak_bound_key_secret_version(const AkBoundKey *key);
extern const AkShortToken *ak_bound_key_token(const AkBoundKey *key);
extern const pg_uuid_t *ak_bound_key_organization(const AkBoundKey *key);
extern bool ak_bound_key_permits(AkBoundKey *key, const text *scope,
								 const pg_uuid_t *project);

#endif							/* AK_BOUND_KEY_H */
