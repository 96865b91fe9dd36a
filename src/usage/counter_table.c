/*
 * counter_table.c
 *	  Counters in shared memory: one pool, locks in partitions.
 *
 * A counter is identified by its database, its key (an API key), the organization
 * of that, and what it counts of the key: a name that a rollback has freed may
 * become the key of another organization, and so may one of an extension that is
 * created again.  All counters of one key are under the lock of one
 * partition, and linked to a head.  The head counts the uses that have no
 * counter with more detail.  Room is taken from one pool.  Its last quarter is
 * reserved for heads and counters without detail, so that the uses of every other key
 * can be counted however many details one key has, and whatever is denied; and the
 * eighth before that for these and denials, so that no uses hide them.  An
 * organization of a database gets another head only while it has less than seven times
 * as many counters as are free: one alone leaves an eighth free, and each more that
 * takes all it can leaves less, so that those with few find room.  Heads that note
 * deletions take a quarter of it at most: they come as fast as keys are deleted, and
 * stay until that has ended.
 *
 * Locking: each partition has an LWLock.  Shared: to find counters, read them,
 * and change pending, last_at and address under the counter's own spinlock,
 * inside of which nothing is called but ak_tally_add().  Exclusive: to enter
 * and remove counters and change anything else of them.  A process that holds
 * one of these locks takes no other one (but the pool's spinlock, here only),
 * reads and writes nothing elsewhere, and allocates nothing.  Only a database's
 * worker removes its counters, or a process that purges a database without one: a
 * pointer to a counter stays valid for the worker without a lock, and for others while
 * its head has noted no change.
 *
 * Shared locks pass an exclusive one that waits, and a key may have tens of thousands
 * of counters.  So who looks at many lets those go first who wait for an exclusive one,
 * and looks at some hundreds of a key under one lock: else requests and the worker would
 * wait for some who look at one key over and over.
 *
 * No function raises an error; without room the result is NULL.
 *
 * Each partition has an array of roots; the roots of all partitions together
 * are as many as there is room for counters.  Below a root is a binary tree
 * with a counter at each node, ordered by the bits of the counters' hashes.
 * All counters of a key but its head are below one root, which is known as soon
 * as the name of the key is, so that they can be prefetched.  No array has to grow:
 * a key with many counters has a deep tree.  The hashes have a secret seed, so a
 * caller that chooses names or networks cannot choose the position.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "usage/usage.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#define TRANCHE_NAME	"apikeys usage"

/* Number of accounts of used counters; some organizations may share one. */
#define ACCOUNT_COUNT			65536

/* An organization may have so many times as many counters as are free. */
#define MOST_OF_FREE			7

typedef struct Pool
{
	uint64		seed[AK_SHORT_HASH_SEED_SIZE / sizeof(uint64)];
	dlist_head	heads[AK_COUNTER_PARTITIONS];
	pg_atomic_uint64 changes;	/* see ak_counter_note_change() */
	pg_atomic_uint32 waiting[AK_COUNTER_PARTITIONS];	/* for the exclusive lock */

	slock_t		mutex;			/* protects the fields below */
	AkCounter  *free;			/* freed, linked by children[0] */
	uint32		used;			/* also read without the lock */
	uint32		accounts[ACCOUNT_COUNT];	/* of organizations: counters used */
	uint32		deletions;		/* heads that have a deleter */
	uint32		touched;		/* number at the front that were ever used */
} Pool;

static Pool *pool;
static AkCounter **roots;		/* 2^root_bits roots in each partition */
static int	root_bits;
static AkCounter *counters;
static LWLockPadded *locks = NULL;

/* A copy, because other processes write next to the shared one. */
static uint64 seed[AK_SHORT_HASH_SEED_SIZE / sizeof(uint64)];

/* --- Names --------------------------------------------------------------- */

/* Also a denial is a detail: it takes no room from uses. */
static bool
has_detail(const AkCounterKey *key)
{
	return key->counted.kind != 0 || key->counted.secret_version != 0 || key->counted.grant != 0 ||
		key->counted.network.family != 0;
}

static uint64
hash_public_key(Oid database, const char *public_key, size_t length)
{
	uint64		database_seed[] = {seed[0] ^ database, seed[1]};

	return ak_crypto_short_hash((uint8 *) database_seed, public_key, length);
}

/*
 * The position of the root of a key's counters, or of its head, which is below
 * another one of the partition.
 */
static Size
get_root(uint64 key_hash, bool is_head)
{
	Size		place = key_hash / AK_COUNTER_PARTITIONS + (is_head ? 1 : 0);

	return ((key_hash % AK_COUNTER_PARTITIONS) << root_bits) |
		(place & (((Size) 1 << root_bits) - 1));
}

/* The hash of the key selects the partition and the root, and seeds the rest. */
static void
hash_name(AkCounterName *name)
{
	const AkCounterKey *key = &name->key;
	uint64		key_hash = hash_public_key(key->database, key->public_key,
										   key->key_length);
	uint64		key_seed[] = {seed[0] ^ key_hash, seed[1]};

	name->partition = key_hash % AK_COUNTER_PARTITIONS;
	name->root = get_root(key_hash, !has_detail(key));
	name->hash = ak_crypto_short_hash((uint8 *) key_seed, key,
									  offsetof(AkCounterKey, key_length));
}

/*
 * Fills in the name of a counter; returns false if no key can have this name.
 */
bool
ak_counter_name(const char *public_key, size_t length,
				const pg_uuid_t *organization, Oid database,
				const AkCounted *counted, AkCounterName *name)
{
	if (length > AK_PUBLIC_KEY_MAX_SIZE)
		return false;
	memset(&name->key, 0, offsetof(AkCounterKey, public_key));
	name->key.database = database;
	name->key.organization = *organization;
	name->key.key_length = length;
	name->key.counted.kind = counted->kind;
	name->key.counted.secret_version = counted->secret_version;
	name->key.counted.grant = counted->grant;
	name->key.counted.network = counted->network;
	memcpy(name->key.public_key, public_key, length);
	hash_name(name);
	return true;
}

/* Fills in the name of the head of a counter's key. */
void
ak_counter_name_head(const AkCounterName *name, AkCounterName *head)
{
	*head = *name;
	memset(&head->key.counted, 0, sizeof(AkCounted));
	hash_name(head);
}

/*
 * Returns the position of the root of a key's counters, for ak_counter_prefetch(),
 * and prefetches it.
 */
Size
ak_counter_prefetch_root(const char *public_key, size_t length, Oid database)
{
	Size		root = get_root(hash_public_key(database, public_key, length), false);

	ak_prefetch(&roots[root]);
	return root;
}

/*
 * Prefetches the counter at a root: of a key that is used in one way, the one
 * that counts that.  Takes no lock: it may be any counter meanwhile.
 */
void
ak_counter_prefetch(Size root)
{
	const char *counter = *(const char *const volatile *) &roots[root];

	for (size_t i = 0; counter && i < offsetof(AkCounter, in_flight); i += AK_CACHE_LINE_SIZE)
		ak_prefetch(counter + i);
}

/* There may be another counter of this key while there are fewer than these. */
static uint32
get_room(const AkCounterKey *key)
{
	bool		is_denial = key->counted.kind != AK_OK &&
		key->counted.kind != AK_COUNTER_GRANT;

	if (!has_detail(key))
		return ak_usage_max_entries;
	return ak_usage_max_entries - ak_usage_max_entries / 4 -
		(is_denial ? 0 : ak_usage_max_entries / 8);
}

/* The account of an organization of a database; nobody can choose its place. */
static uint32 *
get_account(const AkCounterKey *key)
{
	uint64		database_seed[] = {seed[0] ^ key->database, seed[1]};

	return &pool->accounts[ak_crypto_short_hash((uint8 *) database_seed,
												&key->organization, UUID_LEN) %
						   ACCOUNT_COUNT];
}

/* --- Shared memory ------------------------------------------------------- */

/* The number of roots of a partition, a power of two. */
static Size
get_root_count(void)
{
	return pg_nextpower2_32(Max(ak_usage_max_entries / AK_COUNTER_PARTITIONS,
								1));
}

static Size
get_roots_size(void)
{
	return mul_size(get_root_count(),
					AK_COUNTER_PARTITIONS * sizeof(AkCounter *));
}

static Size
get_counters_size(void)
{
	return mul_size(ak_usage_max_entries, sizeof(AkCounter));
}

/* Requests the shared memory; called once, in the postmaster. */
void
ak_counters_request(void)
{
	RequestAddinShmemSpace(add_size(CACHELINEALIGN(sizeof(Pool)),
									add_size(CACHELINEALIGN(get_roots_size()),
											 CACHELINEALIGN(get_counters_size()))));
	RequestNamedLWLockTranche(TRANCHE_NAME, AK_COUNTER_PARTITIONS);
}

/* Creates or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_counters_attach(void)
{
	bool		found;

	pool = ShmemInitStruct("apikeys usage", sizeof(Pool), &found);
	roots = ShmemInitStruct("apikeys usage roots", get_roots_size(), &found);
	/* Not touched before it is used. */
	counters = ShmemInitStruct("apikeys usage counters", get_counters_size(),
							   &found);
	locks = GetNamedLWLockTranche(TRANCHE_NAME);
	root_bits = pg_leftmost_one_pos32(get_root_count());
	if (!found)
	{
		memset(pool, 0, sizeof(Pool));
		ak_crypto_random_bytes(pool->seed, sizeof(pool->seed));
		SpinLockInit(&pool->mutex);
		pg_atomic_init_u64(&pool->changes, 0);
		for (int i = 0; i < AK_COUNTER_PARTITIONS; i++)
		{
			dlist_init(&pool->heads[i]);
			pg_atomic_init_u32(&pool->waiting[i], 0);
		}
		memset(roots, 0, get_roots_size());
	}
	memcpy(seed, pool->seed, sizeof(seed));
}

/* Checks whether the shared memory exists, which requires preloading. */
bool
ak_counters_exist(void)
{
	return locks != NULL;
}

/* Returns the number of counters of all databases; takes no lock. */
int
ak_counters_used(void)
{
	return pool->used;
}

/* Checks whether the pool is more than half full; takes no lock. */
bool
ak_counters_are_filling(void)
{
	return pool->used > ak_usage_max_entries / 2;
}

/* Checks whether a counter of this name may be allocated now; takes no lock. */
bool
ak_counters_have_room(const AkCounterName *name)
{
	return pool->used < get_room(&name->key);
}

/* Takes the lock of a partition; readers see who waits for it exclusively. */
void
ak_counters_lock(int partition, LWLockMode mode)
{
	if (mode == LW_EXCLUSIVE)
		pg_atomic_fetch_add_u32(&pool->waiting[partition], 1);
	LWLockAcquire(&locks[partition].lock, mode);
	if (mode == LW_EXCLUSIVE)
		pg_atomic_fetch_sub_u32(&pool->waiting[partition], 1);
}

/*
 * Takes it, shared, to look at many counters, but gives those who wait for it exclusively
 * a millisecond to come first.
 */
void
ak_counters_lock_to_read(int partition)
{
	if (pg_atomic_read_u32(&pool->waiting[partition]) > 0)
		pg_usleep(1000);
	ak_counters_lock(partition, LW_SHARED);
}

/* Releases it. */
void
ak_counters_unlock(int partition)
{
	LWLockRelease(&locks[partition].lock);
}

/* --- Under the lock of the partition ------------------------------------- */

static bool
is_named(const AkCounter *counter, const AkCounterName *name)
{
	return counter->hash == name->hash &&
		memcmp(&counter->key, &name->key, offsetof(AkCounterKey, public_key) +
			   name->key.key_length) == 0;
}

/*
 * Returns the pointer to the counter of this name; it contains NULL if there
 * is none.
 */
static AkCounter **
find_place(const AkCounterName *name)
{
	uint64		bits = name->hash;
	AkCounter **place = &roots[name->root];

	while (*place)
	{
		ak_prefetch(&(*place)->key);
		if (is_named(*place, name))
			break;
		place = &(*place)->children[bits & 1];
		bits >>= 1;
	}
	return place;
}

/* Returns the counter of this name, or NULL; the lock is held in any mode. */
AkCounter *
ak_counter_find(const AkCounterName *name)
{
	return *find_place(name);
}

/*
 * Notes in a counter's head, by a number that no head ever had, that the head is new, that
 * this counter is removed, or that counts moved from it to another one.
 */
void
ak_counter_note_change(AkCounter *counter)
{
	counter->head->changes = pg_atomic_add_fetch_u64(&pool->changes, 1);
}

/*
 * Returns a new counter of this name, linked to its head, or itself a head if
 * that is NULL; NULL without room.
 */
static AkCounter *
add_counter(const AkCounterName *name, AkCounter *head)
{
	uint32	   *account = get_account(&name->key);
	uint32		limit = get_room(&name->key);
	uint32		free_count;
	AkCounter  *counter = NULL;

	SpinLockAcquire(&pool->mutex);
	free_count = ak_usage_max_entries - pool->used;
	if (pool->used < limit &&
		(has_detail(&name->key) ||
		 *account < MOST_OF_FREE * free_count))
	{
		(*account)++;
		counter = pool->free;
		if (counter)
			pool->free = counter->children[0];
		else
			counter = &counters[pool->touched++];
		pool->used++;
	}
	SpinLockRelease(&pool->mutex);
	if (counter == NULL)
		return NULL;

	memset(counter, 0, sizeof(AkCounter));
	counter->hash = name->hash;
	memcpy(&counter->key, &name->key, offsetof(AkCounterKey, public_key) +
		   name->key.key_length);
	SpinLockInit(&counter->mutex);
	dlist_init(&counter->counters);
	*find_place(name) = counter;
	counter->head = head ? head : counter;
	if (head == NULL)
		ak_counter_note_change(counter);
	dlist_push_tail(head ? &head->counters : &pool->heads[name->partition],
					&counter->link);
	return counter;
}

/*
 * Returns the counter of this name, creating it if needed; NULL if there is no
 * room.  (A head that was created without its counter then stays until the
 * worker removes it.) The lock is held exclusively.
 */
AkCounter *
ak_counter_enter(const AkCounterName *name)
{
	AkCounterName head_name;
	AkCounter  *counter = ak_counter_find(name);
	AkCounter  *head;

	if (counter || !ak_counters_have_room(name))
		return counter;
	ak_counter_name_head(name, &head_name);
	head = ak_counter_find(&head_name);
	if (head == NULL)
		head = add_counter(&head_name, NULL);
	if (head == NULL || is_named(head, name))
		return head;
	return add_counter(name, head);
}

/*
 * Returns the counter after this one, or, if that is NULL, the first one of a
 * database in a partition; NULL after the last.  A head comes after all
 * counters linked to it.  The lock is held in any mode.
 */
AkCounter *
ak_counter_next(Oid database, int partition, AkCounter *counter)
{
	dlist_head *heads = &pool->heads[partition];
	dlist_node *node;

	if (counter && !ak_counter_is_head(counter))
		return dlist_has_next(&counter->head->counters, &counter->link) ?
			dlist_container(AkCounter, link, counter->link.next) :
			counter->head;
	for (node = counter ? counter->link.next : heads->head.next;
		 node != &heads->head; node = node->next)
	{
		AkCounter  *head = dlist_container(AkCounter, link, node);

		if (head->key.database == database)
			return ak_counter_first(head);
	}
	return NULL;
}

/* Removes a counter from its tree; any leaf below it replaces it. */
static void
remove_from_tree(AkCounter *counter)
{
	AkCounterName name;
	AkCounter **place;
	AkCounter **leaf;
	AkCounter  *substitute = counter;

	name.key = counter->key;
	hash_name(&name);
	place = leaf = find_place(&name);
	while (substitute->children[0] || substitute->children[1])
	{
		leaf = &substitute->children[substitute->children[0] == NULL];
		substitute = *leaf;
	}
	*leaf = NULL;
	if (substitute == counter)
		return;
	memcpy(substitute->children, counter->children,
		   sizeof(counter->children));
	*place = substitute;
}

static void
give_deletion_back(void)
{
	SpinLockAcquire(&pool->mutex);
	pool->deletions--;
	SpinLockRelease(&pool->mutex);
}

/*
 * Notes in the head of this name, creating it if needed, which transaction deletes
 * the key; false if there is no room.  The lock is held exclusively.
 */
bool
ak_counter_set_deleter(const AkCounterName *name, TransactionId deleter)
{
	AkCounter  *head = ak_counter_find(name);

	if (head == NULL || !TransactionIdIsValid(head->deleter))
	{
		bool		may_note;

		SpinLockAcquire(&pool->mutex);
		may_note = pool->deletions < ak_usage_max_entries / 4;
		if (may_note)
			pool->deletions++;
		SpinLockRelease(&pool->mutex);
		if (!may_note)
			return false;
		head = ak_counter_enter(name);
		if (head == NULL)
		{
			give_deletion_back();
			return false;
		}
	}
	head->deleter = deleter;
	return true;
}

/* The head has a deleter, which is no longer noted.  The lock is held exclusively. */
void
ak_counter_clear_deleter(AkCounter *head)
{
	head->deleter = InvalidTransactionId;
	give_deletion_back();
}

/*
 * Removes a counter; a head only if it has no others.  The lock is held
 * exclusively.
 */
void
ak_counter_remove(AkCounter *counter)
{
	uint32	   *account;

	Assert(dlist_is_empty(&counter->counters));
	if (TransactionIdIsValid(counter->deleter))
		ak_counter_clear_deleter(counter);
	ak_counter_note_change(counter);
	dlist_delete(&counter->link);
	remove_from_tree(counter);

	account = get_account(&counter->key);
	SpinLockAcquire(&pool->mutex);
	(*account)--;
	counter->children[0] = pool->free;
	pool->free = counter;
	pool->used--;
	SpinLockRelease(&pool->mutex);
}

/* --- All ----------------------------------------------------------------- */

/*
 * Removes all counters of a database that was dropped or has dropped the
 * extension.
 */
void
ak_counters_purge(Oid database)
{
	for (int i = 0; i < AK_COUNTER_PARTITIONS; i++)
	{
		AkCounter  *counter;
		AkCounter  *next;

		ak_counters_lock(i, LW_EXCLUSIVE);
		for (counter = ak_counter_next(database, i, NULL); counter;
			 counter = next)
		{
			next = ak_counter_next(database, i, counter);
			ak_counter_remove(counter);
		}
		ak_counters_unlock(i);
	}
}
