/*
 * type_secret_hash.h
 *	  The part of type apikeys.secret_hash that issuing keys and decisions
 *	  use.
 */
#ifndef AK_TYPE_SECRET_HASH_H
#define AK_TYPE_SECRET_HASH_H

#include "postgres.h"

#include "core/hash_form.h"
#include "types/pepper.h"

/* In bytes; a longer secret is rejected without reading it. */
#define AK_SECRET_MAX_SIZE	1024

/* Size of a stored hash that is made here. */
#define AK_NEW_HASH_MAX		(1 + 1 + AK_PEPPER_ID_MAX + AK_BLAKE2B_SIZE)

/*
 * A secret that is claimed to be a key's, and the value that nearly all hashes
 * of the key are compared with.  It points to the key and the secret, which
 * are the caller's.
 */
typedef struct AkSecretClaim
{
	const char *public_key;
	size_t		public_key_size;
	const char *secret;
	size_t		secret_size;
	bool		is_oversized;	/* too long: another secret takes its place */
	const AkPepper *pepper;		/* pepper used for blake2b; NULL: none */
	uint8		blake2b[AK_BLAKE2B_SIZE];
} AkSecretClaim;

/*
 * Setting apikeys.argon2id_max_cost: the highest ak_hash_form_cost() of an
 * argon2id hash that is computed.
 */
extern int	ak_argon2id_max_cost;

typedef enum AkVerdict
{
	AK_SECRET_DIFFERS,
	AK_SECRET_MATCHES,
	AK_SECRET_IS_OUTDATED,		/* matches, and would be hashed otherwise now */
	AK_PEPPER_UNKNOWN			/* cannot be decided without it */
} AkVerdict;

extern struct varlena *ak_secret_hash_make(const char *public_key,
										   size_t public_key_size,
										   const char *secret,
										   size_t secret_size);
extern void ak_secret_claim_init(AkSecretClaim *claim,
								 const char *public_key,
								 size_t public_key_size,
								 const char *secret, size_t secret_size);
extern AkVerdict ak_secret_hash_verify(const char *stored,
									   size_t stored_size,
									   const AkSecretClaim *claim);
extern bool ak_secret_hash_can_verify(const char *stored, size_t stored_size);
extern bool ak_secret_hash_is_cheap(const char *stored, size_t stored_size);
extern bool ak_secret_hash_takes_long(const char *stored,
									  size_t stored_size,
									  const AkSecretClaim *claim);
extern bool ak_secret_hash_is_affordable(const char *stored,
										 size_t stored_size);
extern void ak_secret_hash_verify_nothing(const AkSecretClaim *claim);
extern char *ak_secret_hash_format(const char *stored, size_t stored_size);
extern size_t ak_secret_hash_renew(const AkSecretClaim *claim, uint8 *renewed);

#endif							/* AK_TYPE_SECRET_HASH_H */
