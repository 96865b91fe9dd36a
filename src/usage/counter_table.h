/*
 * counter_table.h
 *	  Hash tables of counters in shared memory, in partitions.
 *
 * A counter is found by its database, its key (an API key) and what it counts
 * of that.  All counters of one key are in one partition, linked to a head of
 * their own, which counts nothing.
 *
 * Locking: each partition has an LWLock.  Shared: to find counters, read them,
 * and change pending, last_at and address under the counter's own spinlock,
 * inside of which nothing is called.  Exclusive: to enter and remove counters
 * and change anything else of them.  A holder of one of these locks takes no
 * other one, reads and writes nothing elsewhere, and allocates nothing except
 * copies of what it reads.
 *
 * Nothing here raises an error: where there is no room, the answer is NULL.
 */
#ifndef AK_COUNTER_TABLE_H
#define AK_COUNTER_TABLE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "core/netset.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#define AK_COUNTER_PARTITIONS	128

#define AK_PUBLIC_KEY_MAX		128 /* apikeys.is_public_key() */

/* What a head counts; any other kind is the caller's to choose. */
#define AK_COUNTER_HEAD			0xff

/* What a counter counts of its API key. */
typedef struct AkCounted
{
	uint8		kind;
	int32		secret_version; /* 0: none */
	uint64		grant;			/* 0: none */
	AkNetwork	network;		/* family 0: none */
} AkCounted;

/* Compared as bytes: ak_counter_name() has zeroed its padding. */
typedef struct AkCounterKey
{
	Oid			database;
	uint8		key_length;
	AkCounted	counted;
	char		public_key[AK_PUBLIC_KEY_MAX];	/* only key_length of it */
} AkCounterKey;

typedef struct AkCounter
{
	AkCounterKey key;
	slock_t		mutex;
	AkNetwork	address;		/* family 0: none */
	TimestampTz last_at;
	uint64		pending;
	uint64		in_flight;
	uint64		batch;			/* of what is in flight */
	struct AkCounter *head;
	dlist_node	link;			/* in the head's list */

	/* Only of a head. */
	dlist_head	counters;
	TransactionId deleter;		/* who has deleted the key; 0: nobody */
} AkCounter;

/* A key with its hash, from which its partition follows. */
typedef struct AkCounterName
{
	AkCounterKey key;
	uint64		hash;
	int			partition;
} AkCounterName;

typedef void (*AkCounterCallback) (AkCounter *counter, void *argument);

extern void ak_counters_request(void);
extern void ak_counters_attach(void);
extern bool ak_counters_exist(void);
extern bool ak_counters_are_filling(void);
extern int	ak_counters_partition_size(void);

extern bool ak_counter_name(const char *public_key, size_t length,
							Oid database, const AkCounted *counted,
							AkCounterName *name);
extern void ak_counters_lock(int partition, LWLockMode mode);
extern void ak_counters_unlock(int partition);
extern AkCounter *ak_counter_find(const AkCounterName *name);
extern AkCounter *ak_counter_enter(const AkCounterName *name);
extern AkCounter *ak_counter_enter_head(const AkCounterName *name);
extern void ak_counter_remove(AkCounter *counter);
extern void ak_counter_remove_idle_head(AkCounter *head);
extern void ak_counters_scan(Oid database, int partition,
							 AkCounterCallback callback, void *argument);
extern void ak_counters_purge(Oid database);

#endif							/* AK_COUNTER_TABLE_H */
