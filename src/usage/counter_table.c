/*
 * counter_table.c
 *	  See counter_table.h.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/compat.h"
#include "usage/counter_table.h"

#include "access/transam.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"

#define TRANCHE_NAME	"apikeys usage"

static HTAB *tables[AK_COUNTER_PARTITIONS];
static LWLockPadded *locks = NULL;

/* --- Hashing ------------------------------------------------------------- */

static uint64
hash_public_key(const AkCounterKey *key)
{
	return hash_bytes_extended((const unsigned char *) key->public_key,
							   key->key_length, key->database);
}

static uint32
hash_rest(uint64 hash, const AkCounterKey *key)
{
	const AkCounted *counted = &key->counted;
	uint32		result = hash_combine((uint32) hash, counted->kind);

	result = hash_combine(result, counted->secret_version);
	/* A hash already. */
	result = hash_combine(result, (uint32) counted->grant);
	if (counted->network.family != 0)
		result = hash_combine(result,
							  hash_bytes((const unsigned char *) &counted->network,
										 sizeof(counted->network)));
	return result;
}

static uint32
hash_key(const void *key, Size size)
{
	return hash_rest(hash_public_key(key), key);
}

static int
compare_keys(const void *a, const void *b, Size size)
{
	const AkCounterKey *left = a;
	const AkCounterKey *right = b;
	int			difference = memcmp(left, right,
									offsetof(AkCounterKey, public_key));

	return difference ? difference :
		memcmp(left->public_key, right->public_key, left->key_length);
}

static void *
copy_key(void *target, const void *source, Size size)
{
	return memcpy(target, source, offsetof(AkCounterKey, public_key) +
				  ((const AkCounterKey *) source)->key_length);
}

static void
hash_name(AkCounterName *name)
{
	name->hash = hash_public_key(&name->key);
	/* The highest bits; the tables use the lowest. */
	name->partition = (name->hash >> 32) % AK_COUNTER_PARTITIONS;
}

/* Fills in the name of a counter; false if no key can have this name. */
bool
ak_counter_name(const char *public_key, size_t length, Oid database,
				const AkCounted *counted, AkCounterName *name)
{
	if (length > AK_PUBLIC_KEY_MAX)
		return false;
	memset(&name->key, 0, offsetof(AkCounterKey, public_key));
	name->key.database = database;
	name->key.key_length = length;
	name->key.counted.kind = counted->kind;
	name->key.counted.secret_version = counted->secret_version;
	name->key.counted.grant = counted->grant;
	name->key.counted.network = counted->network;
	memcpy(name->key.public_key, public_key, length);
	hash_name(name);
	return true;
}

/* --- Shared memory ------------------------------------------------------- */

/* How many counters fit into a partition. */
int
ak_counters_partition_size(void)
{
	return ak_usage_max_entries / AK_COUNTER_PARTITIONS + 1;
}

/* Asks for the shared memory; called once, in the postmaster. */
void
ak_counters_request(void)
{
	RequestAddinShmemSpace(mul_size(AK_COUNTER_PARTITIONS,
									hash_estimate_size(ak_counters_partition_size(),
													   sizeof(AkCounter))));
	RequestNamedLWLockTranche(TRANCHE_NAME, AK_COUNTER_PARTITIONS);
}

/* Makes or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_counters_attach(void)
{
	HASHCTL		info = {0};
	int			size = ak_counters_partition_size();

	info.keysize = sizeof(AkCounterKey);
	info.entrysize = sizeof(AkCounter);
	info.hash = hash_key;
	info.match = compare_keys;
	info.keycopy = copy_key;
	for (int i = 0; i < AK_COUNTER_PARTITIONS; i++)
	{
		char		name[64];

		snprintf(name, sizeof(name), "apikeys usage %d", i);
		tables[i] = ShmemInitHash(name, size, size, &info,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
								  HASH_KEYCOPY | HASH_FIXED_SIZE);
	}
	locks = GetNamedLWLockTranche(TRANCHE_NAME);
}

/* Whether there is the shared memory, which is so if we were preloaded. */
bool
ak_counters_exist(void)
{
	return locks != NULL;
}

/* Whether one partition, taken for all, is more than half full; no lock. */
bool
ak_counters_are_filling(void)
{
	return hash_get_num_entries(tables[0]) > ak_counters_partition_size() / 2;
}

/* Takes the lock of a partition. */
void
ak_counters_lock(int partition, LWLockMode mode)
{
	LWLockAcquire(&locks[partition].lock, mode);
}

/* Gives it back. */
void
ak_counters_unlock(int partition)
{
	LWLockRelease(&locks[partition].lock);
}

/* --- Under the lock of the partition ------------------------------------- */

static AkCounter *
search(const AkCounterName *name, HASHACTION action)
{
	return hash_search_with_hash_value(tables[name->partition], &name->key,
									   hash_rest(name->hash, &name->key),
									   action, NULL);
}

/* The counter of this name, or NULL; the lock is held in any mode. */
AkCounter *
ak_counter_find(const AkCounterName *name)
{
	return search(name, HASH_FIND);
}

static AkCounter *
enter(const AkCounterName *name)
{
	AkCounter  *counter = ak_counter_find(name);

	if (counter || hash_get_num_entries(tables[name->partition]) >=
		ak_counters_partition_size())
		return counter;
	counter = search(name, HASH_ENTER_NULL);
	if (counter)
	{
		memset(&counter->mutex, 0,
			   sizeof(AkCounter) - offsetof(AkCounter, mutex));
		SpinLockInit(&counter->mutex);
		dlist_init(&counter->counters);
	}
	return counter;
}

/*
 * The head of the named key's counters, made if there is none; NULL if there
 * is no room.  The lock is held exclusively.
 */
AkCounter *
ak_counter_enter_head(const AkCounterName *name)
{
	AkCounterName head = *name;

	memset(&head.key.counted, 0, sizeof(head.key.counted));
	head.key.counted.kind = AK_COUNTER_HEAD;
	return enter(&head);
}

/*
 * The counter of this name, made if there is none; NULL if there is no room.
 * The lock is held exclusively.
 */
AkCounter *
ak_counter_enter(const AkCounterName *name)
{
	AkCounter  *counter = ak_counter_find(name);
	AkCounter  *head;

	if (counter)
		return counter;
	head = ak_counter_enter_head(name);
	if (head == NULL)
		return NULL;
	counter = enter(name);
	if (counter)
	{
		counter->head = head;
		dlist_push_tail(&head->counters, &counter->link);
	}
	else
		ak_counter_remove_idle_head(head);
	return counter;
}

static void
remove_entry(AkCounter *counter)
{
	AkCounterName name;

	name.key = counter->key;
	hash_name(&name);
	search(&name, HASH_REMOVE);
}

/* Removes a head that nothing needs; the lock is held exclusively. */
void
ak_counter_remove_idle_head(AkCounter *head)
{
	if (dlist_is_empty(&head->counters) &&
		!TransactionIdIsValid(head->deleter))
		remove_entry(head);
}

/* Removes a counter; the lock is held exclusively. */
void
ak_counter_remove(AkCounter *counter)
{
	AkCounter  *head = counter->head;

	dlist_delete(&counter->link);
	remove_entry(counter);
	ak_counter_remove_idle_head(head);
}

/*
 * Calls back with each counter and head of a database; only the one that is
 * called with may be removed.  The lock is held as the callback needs it.
 */
void
ak_counters_scan(Oid database, int partition, AkCounterCallback callback,
				 void *argument)
{
	HASH_SEQ_STATUS scan;
	AkCounter  *counter;

	hash_seq_init(&scan, tables[partition]);
	while ((counter = hash_seq_search(&scan)) != NULL)
		if (counter->key.database == database)
			callback(counter, argument);
}

/* --- All ----------------------------------------------------------------- */

static void
purge_entry(AkCounter *counter, void *argument)
{
	/* All that it is linked to goes too. */
	remove_entry(counter);
}

/*
 * Removes all counters of a database that was dropped, or has dropped the
 * extension.
 */
void
ak_counters_purge(Oid database)
{
	for (int i = 0; i < AK_COUNTER_PARTITIONS; i++)
	{
		ak_counters_lock(i, LW_EXCLUSIVE);
		ak_counters_scan(database, i, purge_entry, NULL);
		ak_counters_unlock(i);
	}
}
