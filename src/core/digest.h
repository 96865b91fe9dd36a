/*
 * digest.h
 *	  HTTP Digest (RFC 7616) with qop=auth, by MD5 and by SHA-256: reads the
 *	  credentials of a client, and computes what they must be.
 *
 * A leaf: no PostgreSQL, no allocation, no errors raised.  It has no hash
 * functions either: the caller passes one, which can fail, as MD5 does where it is
 * forbidden.
 */
#ifndef AK_DIGEST_H
#define AK_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest credentials that are read, and longest realm, in bytes. */
#define AK_DIGEST_TEXT_MAX	16384
#define AK_REALM_MAX		128

#define AK_DIGEST_MD5_SIZE		16
#define AK_DIGEST_SHA256_SIZE	32
#define AK_DIGEST_MAX_SIZE		AK_DIGEST_SHA256_SIZE

typedef enum AkDigestAlgorithm
{
	AK_DIGEST_MD5,
	AK_DIGEST_SHA256
} AkDigestAlgorithm;

/* Counted bytes. */
typedef struct AkDigestText
{
	const char *data;
	size_t		size;
} AkDigestText;

/*
 * Stores the hash of the pieces, one after the other; false if it cannot be
 * computed.
 */
typedef bool (*AkDigestHash) (AkDigestAlgorithm algorithm,
							  const AkDigestText *pieces, int count,
							  uint8_t *hash);

/* What a client has sent; the texts point into it. */
typedef struct AkDigest
{
	AkDigestAlgorithm algorithm;
	AkDigestText username;
	AkDigestText realm;
	AkDigestText nonce;
	AkDigestText cnonce;
	AkDigestText nc;			/* as it was sent, for the hash */
	uint32_t	count;			/* the same as a number; 1 or more */
	uint8_t		response[AK_DIGEST_MAX_SIZE];
} AkDigest;

extern size_t ak_digest_size(AkDigestAlgorithm algorithm);
extern bool ak_digest_realm_is_valid(const char *realm, size_t size);
extern bool ak_digest_parse(const char *value, size_t length,
							AkDigest *digest);
extern bool ak_digest_secret(AkDigestHash hash, AkDigestAlgorithm algorithm,
							 AkDigestText username, AkDigestText realm,
							 AkDigestText password, uint8_t *secret);
extern bool ak_digest_respond(AkDigestHash hash, const AkDigest *digest,
							  AkDigestText method, AkDigestText uri,
							  const uint8_t *secret, uint8_t *response);

#endif							/* AK_DIGEST_H */
