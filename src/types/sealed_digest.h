/*
 * sealed_digest.h
 *	  What HTTP Digest needs of a secret, H(A1) by SHA-256 and by MD5, sealed
 *	  with a pepper.
 *
 * Unlike a hash that a secret is compared with, H(A1) itself answers challenges.
 * So it is never stored without a pepper.  The sealed bytes are a pepper's id with
 * its length, a nonce, and what XChaCha20-Poly1305 makes of the two; key, version
 * and realm are authenticated with them, so that they open nowhere else.
 */
#ifndef AK_SEALED_DIGEST_H
#define AK_SEALED_DIGEST_H

#include "postgres.h"

#include "core/digest.h"

/* Whose it is. */
typedef struct AkDigestOwner
{
	const text *public_key;
	int32		version;		/* of the secret */
	const text *realm;
} AkDigestOwner;

typedef enum AkUnsealed
{
	AK_UNSEALED,
	AK_UNSEALED_NOT,			/* damaged, or another one's, or there is no
								 * hash of that algorithm */
	AK_UNSEALED_PEPPER_UNKNOWN
} AkUnsealed;

/* The bytes of a text, which it points into. */
static inline AkDigestText
ak_digest_text(const text *value)
{
	return (AkDigestText) {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

extern bool ak_digest_hash(AkDigestAlgorithm algorithm,
						   const AkDigestText *pieces, int count,
						   uint8_t *hash);
extern bytea *ak_sealed_digest_make(const AkDigestOwner *owner,
									const char *secret, size_t secret_size);
extern AkUnsealed ak_sealed_digest_open(const AkDigestOwner *owner,
										const bytea *sealed,
										AkDigestAlgorithm algorithm,
										uint8 secret[AK_DIGEST_MAX_SIZE]);
extern void ak_sealed_digest_open_nothing(const AkDigestOwner *owner);

#endif							/* AK_SEALED_DIGEST_H */
