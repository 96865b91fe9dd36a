/*
 * counter_table.h
 *	  Counters in shared memory: one pool of room, locks in partitions.
 *
 * A counter is found by its database, its key (an API key) and what it counts
 * of that.  All counters of one key are under the lock of one partition, linked
 * to a head, which counts the uses of the key that no other counter says more
 * of.  Room is taken from one pool for all.  Its last quarter is for heads and
 * for what has no detail: however many details one key has, each other key can
 * still be counted.  Its last eighth is not for a database that has more than
 * half of the room, if others have ever counted.
 *
 * Locking: each partition has an LWLock.  Shared: to find counters, read them,
 * and change pending, last_at and address under the counter's own spinlock,
 * inside of which nothing is called but ak_tally_add().  Exclusive: to enter and remove counters
 * and change anything else of them.  Whoever holds one of these locks takes no
 * other one (but the pool's spinlock, here only), reads and writes nothing
 * elsewhere, and allocates nothing but copies of what it reads.  Only a
 * database's worker removes its counters, or who purges a database that has
 * none: a pointer to one stays valid for the worker without a lock.
 *
 * Nothing here raises an error: where there is no room, the answer is NULL.
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

/* What a counter counts of its API key; all 0: what a head counts. */
typedef struct AkCounted
{
	uint64		grant;			/* 0: none */
	int32		secret_version; /* 0: none */
	uint8		kind;			/* 0: uses */
	AkNetwork	network;		/* family 0: none */
} AkCounted;

/* Compared as bytes: ak_counter_name() has zeroed its padding. */
typedef struct AkCounterKey
{
	AkCounted	counted;
	Oid			database;
	uint8		key_length;
	char		public_key[AK_PUBLIC_KEY_MAX];	/* only key_length of it */
} AkCounterKey;

typedef struct AkCounter
{
	/* Its place in a tree; children[0] also links what is free. */
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

	/* Only of a head. */
	dlist_head	counters;
	TransactionId deleter;		/* who has deleted the key; 0: nobody */
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
							Oid database, const AkCounted *counted,
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
