/*
 * type_secret_hash.h
 *	  What issuing and deciding need of type apikeys.secret_hash.
 */
#ifndef AK_TYPE_SECRET_HASH_H
#define AK_TYPE_SECRET_HASH_H

#include "postgres.h"

#include "crypto.h"

/* A longer secret is none: it is refused without being read. */
#define AK_SECRET_MAX_SIZE	1024

/*
 * A secret that is said to be a key's, and what nearly all hashes of the key
 * are compared with.  It points to the secret, which is the caller's.
 */
typedef struct AkSecretClaim
{
	const char *secret;
	size_t		secret_size;
	uint8		blake2b[AK_BLAKE2B_SIZE];
} AkSecretClaim;

extern struct varlena *ak_secret_hash_make(const char *public_key,
										   size_t public_key_size,
										   const char *secret,
										   size_t secret_size);
extern void ak_secret_claim_init(AkSecretClaim *claim,
								 const char *public_key,
								 size_t public_key_size,
								 const char *secret, size_t secret_size);
extern bool ak_secret_hash_verify(const char *stored, size_t stored_size,
								  const AkSecretClaim *claim);
extern void ak_secret_hash_verify_nothing(const AkSecretClaim *claim);

#endif							/* AK_TYPE_SECRET_HASH_H */
