/*
 * rehash.h
 *	  Brings hashes up to date: what a secret was proved by, but was made
 *	  without today's pepper or by another system, is replaced by the hash that
 *	  a new secret would have.
 *
 * Who decides queues the new hash, never the secret, in shared memory, and the
 * database's worker stores it: nothing is written in anybody's transaction.
 * Only the peppers that the postmaster has read last count: who has others
 * queues nothing, and what was queued with others is dropped.
 * Without the library preloaded, and on a standby, nothing is queued.
 *
 * Locking: one LWLock for the queue, held while an entry or a batch of them is
 * copied, with nothing else inside of it.
 */
#ifndef AK_REHASH_H
#define AK_REHASH_H

#include "postgres.h"

#include "types/type_secret_hash.h"

extern void ak_rehash_request(void);
extern void ak_rehash_attach(void);
extern void ak_rehash_offer(const text *public_key, const char *stored,
							size_t stored_size, const AkSecretClaim *claim);
extern void ak_rehash_forget(Oid database);
extern bool ak_rehash_is_queued(void);
extern int	ak_rehash_write(void);

#endif							/* AK_REHASH_H */
