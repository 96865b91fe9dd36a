/*
 * counter_table.h
 *	  Counters in shared memory: one pool, locks in partitions.
 *
 * A counter is identified by its database, the table of its key (another one if
 * the extension is created again), its key (an API key) and what it counts of the
 * key.  All counters of one key are under the lock of one
 * partition, and linked to a head.  The head counts the uses that have no
 * counter with more detail.  Room is taken from one pool.  Its last quarter is
 * reserved for heads and counters without detail, so that every other key can
 * be counted however many details one key has.  Its last eighth is not
 * available to a database that has more than half of the room, if other
 * databases have ever counted.
 *
 * Locking: each partition has an LWLock.  Shared: to find counters, read them,
 * and change pending, last_at and address under the counter's own spinlock,
 * inside of which nothing is called but ak_tally_add().  Exclusive: to enter
 * and remove counters and change anything else of them.  A process that holds
 * one of these locks takes no other one (but the pool's spinlock, here only),
 * reads and writes nothing elsewhere, and allocates nothing but copies of what
 * it reads.  Only a database's worker removes its counters, or a process that
 * purges a database without one: a pointer to a counter stays valid for the
 * worker without a lock.
 *
 * No function raises an error; without room the result is NULL.
 */
#ifndef AK_COUNTER_TABLE_H
#define AK_COUNTER_TABLE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "core/netset.h"
#include "core/tally.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#define AK_COUNTER_PARTITIONS	128

#define AK_PUBLIC_KEY_MAX		128 /* apikeys.is_public_key() */

/* What a counter counts of its API key; a head has all fields 0. */
typedef struct AkCounted
{
	uint64		grant;			/* 0: none */
	int32		secret_version; /* 0: none */
	uint8		kind;			/* 0: uses */
	AkNetwork	network;		/* family 0: none */
} AkCounted;

/* Compared as bytes: ak_counter_name() zeroes its padding. */
typedef struct AkCounterKey
{
	AkCounted	counted;
	Oid			database;
	Oid			table;			/* apikeys.key */
	uint8		key_length;
	char		public_key[AK_PUBLIC_KEY_MAX];	/* key_length bytes of it */
} AkCounterKey;

typedef struct AkCounter
{
	/* Its position in a tree; children[0] also links free counters. */
	uint64		hash;
	struct AkCounter *children[2];

	AkCounterKey key;
	slock_t		mutex;
	AkNetwork	address;		/* family 0: none */
	TimestampTz last_at;
	AkTally		pending[AK_TALLIES];
	AkTally		in_flight[AK_TALLIES];
	uint64		batch;			/* of what is in flight */
	struct AkCounter *head;		/* of a head: itself */
	dlist_node	link;			/* in the head's list; a head: the partition's */

	/* Used by heads only. */
	dlist_head	counters;
	TransactionId deleter;		/* that has deleted the key; 0: none */
} AkCounter;

/* A key with its hash and its partition. */
typedef struct AkCounterName
{
	AkCounterKey key;
	uint64		hash;
	int			partition;
} AkCounterName;

extern void ak_counters_request(void);
extern void ak_counters_attach(void);
extern bool ak_counters_exist(void);
extern int	ak_counters_used(void);
extern bool ak_counters_are_filling(void);
extern bool ak_counters_have_room_for_detail(void);

extern bool ak_counter_name(const char *public_key, size_t length,
							Oid database, Oid table,
							const AkCounted *counted,
							AkCounterName *name);
extern void ak_counter_name_head(const AkCounterName *name,
								 AkCounterName *head);
extern void ak_counters_lock(int partition, LWLockMode mode);
extern void ak_counters_unlock(int partition);
extern AkCounter *ak_counter_find(const AkCounterName *name);
extern AkCounter *ak_counter_enter(const AkCounterName *name);
extern AkCounter *ak_counter_next(Oid database, int partition,
								  AkCounter *counter);
extern void ak_counter_remove(AkCounter *counter);
extern void ak_counters_purge(Oid database);

static inline bool
ak_counter_is_head(const AkCounter *counter)
{
	return counter->head == counter;
}

#endif							/* AK_COUNTER_TABLE_H */
