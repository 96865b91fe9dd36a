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

#include "utils/uuid.h"

/* --- guesses.c ----------------------------------------------------------- */

/* What a guess is counted of. */
typedef enum AkGuessOf
{
	AK_GUESS_OF_KEY,			/* from a network */
	AK_GUESS_OF_ORGANIZATION,
	AK_GUESS_COMPUTED,			/* of an organization, also if it was right */
	AK_GUESS_OF_SERVER,
	AK_GUESS_OF_COUNT
} AkGuessOf;

/* One guess of a key's secret; the first three are the caller's to set. */
typedef struct AkGuess
{
	const text *public_key;
	const pg_uuid_t *organization;
	const AkNetwork *address;	/* NULL: unknown */

	bool		is_judged;
	bool		is_refused;
	bool		is_one_of_many; /* of the server, and computed only if few are */
	bool		is_alone;		/* computed only if no other of the organization is */
	bool		was_computed;
	bool		is_counted[AK_GUESS_OF_COUNT];
	uint64		marks[AK_GUESS_OF_COUNT];
} AkGuess;

extern void ak_guesses_request(void);
extern void ak_guesses_attach(void);
extern bool ak_guesses_know(const pg_uuid_t *organization,
							const char *stored, size_t stored_size,
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
