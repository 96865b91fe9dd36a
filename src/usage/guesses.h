/*
 * guesses.h
 *	  What is remembered of requests that prove nothing yet: guesses of
 *	  secrets, and nonces of HTTP Digest.
 */
#ifndef AK_GUESSES_H
#define AK_GUESSES_H

#include "postgres.h"

#include "core/counting.h"
#include "core/netset.h"
#include "types/types.h"

/* --- guesses.c ----------------------------------------------------------- */

/* One guess of a key's secret; the first two are the caller's to set. */
typedef struct AkGuess
{
	const text *public_key;
	const AkNetwork *address;	/* NULL: unknown, and nothing is counted */
	bool		is_counted;
	bool		is_refused;
	uint64		mark;
} AkGuess;

extern void ak_guesses_request(void);
extern void ak_guesses_attach(void);
extern bool ak_guesses_know(const char *stored, size_t stored_size,
							const AkSecretClaim *claim);
extern AkVerdict ak_guess_verify(AkGuess *guess, const char *stored,
								 size_t stored_size,
								 const AkSecretClaim *claim);

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

#endif							/* AK_GUESSES_H */
