/*
 * nonces.h
 *	  The nonces of HTTP Digest: made without being stored, and taken once for
 *	  each request.
 *
 * A nonce tells when it was issued, and is authenticated with a key that is drawn
 * when the server starts.  So the nonces of a former run, and of another server,
 * are not authentic: what they were used for is not known here.  Which requests
 * were made with a nonce is remembered in shared memory, in buckets of
 * nonce_cell.c; only requests that are proved come there.
 *
 * Locking: a spinlock for each bucket, with nothing inside but nonce_cell.c.  The
 * key is written once, before any session begins.  Nothing here waits or raises
 * an error.
 */
#ifndef AK_NONCES_H
#define AK_NONCES_H

#include "postgres.h"

#include "core/nonce_cell.h"

#define AK_NONCE_SIZE		32
#define AK_NONCE_TEXT_SIZE	(AK_NONCE_SIZE * 4 / 3 + 2)

/* What an authentic nonce tells. */
typedef struct AkNonce
{
	int64		issued_at;		/* by ak_clock_us() */
	uint64		mark;
} AkNonce;

extern void ak_nonces_request(void);
extern void ak_nonces_attach(void);
extern void ak_nonces_make(const char *realm, size_t realm_size,
						   char nonce[AK_NONCE_TEXT_SIZE]);
extern bool ak_nonces_open(const char *text, size_t size,
						   const char *realm, size_t realm_size,
						   AkNonce *nonce);
extern AkNonceUse ak_nonces_take(const AkNonce *nonce, uint32 count);

#endif							/* AK_NONCES_H */
