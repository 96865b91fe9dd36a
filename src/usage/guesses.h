/*
 * guesses.h
 *	  Bounds what guessing costs: hashes that take long to compute are compared
 *	  with a few wrong secrets a minute only.
 *
 * Only an imported argon2id hash takes long.  How many wrong secrets a key with
 * such hashes was sent from a network, an IPv4 address or the first 64 bits of
 * an IPv6 one, is counted in a small table, and beyond setting
 * apikeys.wrong_secret_limit nothing is computed: the secret is taken for wrong.
 *
 * So that this locks out nobody, the table of proofs remembers which secrets
 * were proved by which hashes, as keyed digests: such a secret is known
 * again at once from anywhere, until the worker has replaced its hash by a cheap
 * one.  Only a proof writes there, so guesses push out none.
 *
 * Locking: a spinlock for each bucket of cells, with nothing inside but
 * guess_cell.c.  A proof is two atomics; halves of two proofs match no secret.
 * Nothing here waits, and no error is raised that computing the hash does not.
 */
#ifndef AK_GUESSES_H
#define AK_GUESSES_H

#include "postgres.h"

#include "core/netset.h"
#include "types/type_secret_hash.h"

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

#endif							/* AK_GUESSES_H */
