/*
 * rehash.h
 *	  Renews hashes: a hash that proved a secret but was made without today's
 *	  pepper or by another system is replaced by the hash that a new secret
 *	  would have.
 *
 * A decision queues the new hash, never the secret, in shared memory, and the
 * database's worker stores it: no session writes it in its own transaction.
 * Only the peppers that the postmaster has read last are used: a process with
 * other peppers queues nothing, and hashes that were queued with other peppers
 * are dropped.  Nothing is queued if the library is not preloaded, or on a
 * standby.
 *
 * Locking: one LWLock for the queue, held while entries are copied; no other
 * lock is taken under it.
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
