/*
 * usage_counters.c
 *	  See usage_counters.h.
 */
#include "postgres.h"

#include "core/compat.h"
#include "usage/usage_counters.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* False if no key can have this name. */
static bool
name_own_counter(const text *public_key, const AkCounted *counted,
				 AkCounterName *name)
{
	return ak_counter_name(VARDATA_ANY(public_key),
						   VARSIZE_ANY_EXHDR(public_key), MyDatabaseId,
						   counted, name);
}

/* --- Counting ------------------------------------------------------------ */

static void
count_one(AkCounter *counter, const AkNetwork *address, TimestampTz now)
{
	SpinLockAcquire(&counter->mutex);
	counter->pending++;
	if (now >= counter->last_at)
	{
		counter->last_at = now;
		if (address)
			counter->address = *address;
		else
			counter->address.family = 0;
	}
	SpinLockRelease(&counter->mutex);
}

/* False if there is no room. */
static bool
add(const text *public_key, const AkCounted *counted,
	const AkNetwork *address, TimestampTz now)
{
	AkCounterName name;
	AkCounter  *counter;

	if (!name_own_counter(public_key, counted, &name))
		return true;
	ak_counters_lock(name.partition, LW_SHARED);
	counter = ak_counter_find(&name);
	if (counter == NULL)
	{
		ak_counters_unlock(name.partition);
		ak_counters_lock(name.partition, LW_EXCLUSIVE);
		counter = ak_counter_enter(&name);
	}
	if (counter)
		count_one(counter, address, now);
	ak_counters_unlock(name.partition);
	return counter != NULL;
}

/* Counts a use or a denial of a key of this database; false if there is no room. */
bool
ak_usage_counters_add(const text *public_key, const AkUse *use)
{
	AkCounted	counted = {.kind = use->reason};

	if (use->reason == AK_OK)
	{
		counted.secret_version = use->secret_version;
		counted.grant = use->grant;
		if (use->network)
			counted.network = *use->network;
	}
	return add(public_key, &counted, use->address, use->at);
}

/*
 * Counts that a role (ak_grant_id()) of a bound key allowed something; false
 * if there is no room.
 */
bool
ak_usage_counters_add_grant(const text *public_key, uint64 grant,
							TimestampTz now)
{
	AkCounted	counted = {.kind = AK_COUNTER_GRANT,.grant = grant};

	return add(public_key, &counted, NULL, now);
}

static const AkCounted counted_by_head = {.kind = AK_COUNTER_HEAD};

/*
 * Notes that a key of this database, or one of its secrets, is being deleted by
 * a transaction, so that its rows are cleaned up after it; false if there is no
 * room.
 */
bool
ak_usage_counters_note_deletion(const text *public_key, TransactionId deleter)
{
	AkCounterName name;
	AkCounter  *head;

	if (!name_own_counter(public_key, &counted_by_head, &name))
		return true;
	ak_counters_lock(name.partition, LW_EXCLUSIVE);
	head = ak_counter_enter_head(&name);
	if (head)
		head->deleter = deleter;
	ak_counters_unlock(name.partition);
	return head != NULL;
}

/* --- Reading ------------------------------------------------------------- */

static void
copy_counter(const AkCounter *counter, uint64 count, uint64 batch,
			 AkCount *copy)
{
	memset(copy, 0, sizeof(*copy));
	copy->key_length = counter->key.key_length;
	memcpy(copy->public_key, counter->key.public_key, copy->key_length);
	copy->counted = counter->key.counted;
	copy->address = counter->address;
	copy->last_at = counter->last_at;
	copy->count = count;
	copy->batch = batch;
}

/* Copies all that is linked to a head; returns how many copies there are. */
static int
copy_linked(AkCounter *head, AkCount **counts)
{
	int			allocated = 8;
	int			count = 0;
	dlist_iter	iterator;

	*counts = palloc(allocated * sizeof(AkCount));
	dlist_foreach(iterator, &head->counters)
	{
		AkCounter  *counter = dlist_container(AkCounter, link, iterator.cur);
		AkCounter	read;

		SpinLockAcquire(&counter->mutex);
		read = *counter;
		SpinLockRelease(&counter->mutex);
		if (count + 2 > allocated)
		{
			allocated *= 2;
			*counts = repalloc(*counts, allocated * sizeof(AkCount));
		}
		if (read.in_flight > 0)
			copy_counter(&read, read.in_flight, read.batch,
						 &(*counts)[count++]);
		if (read.pending > 0)
			copy_counter(&read, read.pending, 0, &(*counts)[count++]);
	}
	return count;
}

/*
 * Stores copies of a key's counters, of this database, in *counts (palloc'd),
 * and returns how many they are; one counter gives two where it has both
 * pending and in-flight counts.
 */
int
ak_usage_counters_read(const text *public_key, AkCount **counts)
{
	AkCounterName name;
	AkCounter  *head;
	int			count;

	if (!name_own_counter(public_key, &counted_by_head, &name))
		return 0;
	ak_counters_lock(name.partition, LW_SHARED);
	head = ak_counter_find(&name);
	count = head ? copy_linked(head, counts) : 0;
	ak_counters_unlock(name.partition);
	return count;
}

typedef struct PendingCount
{
	uint64		settled;
	int64		count;
} PendingCount;

static void
count_pending(AkCounter *counter, void *argument)
{
	PendingCount *total = argument;

	if (counter->pending > 0 ||
		(counter->in_flight > 0 && counter->batch > total->settled))
		total->count++;
}

/*
 * How many counters of a database have something that is not in the tables;
 * "settled" is the last batch that is.
 */
int64
ak_usage_counters_pending(Oid database, uint64 settled)
{
	PendingCount total = {settled};

	for (int i = 0; i < AK_COUNTER_PARTITIONS; i++)
	{
		ak_counters_lock(i, LW_SHARED);
		ak_counters_scan(database, i, count_pending, &total);
		ak_counters_unlock(i);
	}
	return total.count;
}

/* --- Writing, by the database's worker only ------------------------------ */

/* Counters met in a partition's scan, to be treated after it. */
typedef struct CounterList
{
	AkCounter **items;
	int			count;
} CounterList;

static void
init_list(CounterList *list)
{
	list->items = palloc_extended(ak_counters_partition_size() *
								  sizeof(AkCounter *), MCXT_ALLOC_HUGE);
	list->count = 0;
}

/* Makes room before the lock is taken, so that nothing fails half-way. */
static void
reserve_counts(AkHarvest *harvest)
{
	int			wanted = harvest->count + ak_counters_partition_size();

	if (wanted <= harvest->allocated)
		return;
	harvest->allocated = Max(wanted, 2 * harvest->allocated);
	harvest->counts = harvest->counts ?
		repalloc_huge(harvest->counts,
					  harvest->allocated * sizeof(AkCount)) :
		MemoryContextAllocHuge(CurrentMemoryContext,
							   harvest->allocated * sizeof(AkCount));
}

typedef struct HarvestWork
{
	AkHarvest  *harvest;
	uint64		batch;
	CounterList finished;		/* hold nothing any more */
	CounterList stale;			/* heads of keys that were deleted from */
} HarvestWork;

static void
harvest_counter(AkCounter *counter, void *argument)
{
	HarvestWork *work = argument;

	if (counter->key.counted.kind == AK_COUNTER_HEAD)
	{
		if (TransactionIdIsValid(counter->deleter))
			work->stale.items[work->stale.count++] = counter;
		return;
	}
	counter->in_flight = counter->pending;
	counter->pending = 0;
	counter->batch = work->batch;
	if (counter->in_flight > 0)
		copy_counter(counter, counter->in_flight, counter->batch,
					 &work->harvest->counts[work->harvest->count++]);
	else
		work->finished.items[work->finished.count++] = counter;
}

static void
add_stale(AkHarvest *harvest, const AkCounterKey *key)
{
	if (harvest->stale_count == harvest->stale_allocated)
	{
		harvest->stale_allocated = Max(64, harvest->stale_allocated * 2);
		harvest->stale = harvest->stale ?
			repalloc(harvest->stale,
					 harvest->stale_allocated * sizeof(text *)) :
			palloc(harvest->stale_allocated * sizeof(text *));
	}
	harvest->stale[harvest->stale_count++] =
		cstring_to_text_with_len(key->public_key, key->key_length);
}

/* Moves the keys whose deleting transactions have ended to the harvest. */
static void
harvest_deletions(int partition, CounterList *heads, AkHarvest *harvest)
{
	for (int i = 0; i < heads->count; i++)
	{
		AkCounter  *head = heads->items[i];
		TransactionId deleter = head->deleter;

		if (TransactionIdIsInProgress(deleter))
			continue;
		add_stale(harvest, &head->key);
		ak_counters_lock(partition, LW_EXCLUSIVE);
		if (TransactionIdEquals(head->deleter, deleter))
			head->deleter = InvalidTransactionId;
		ak_counter_remove_idle_head(head);
		ak_counters_unlock(partition);
	}
}

/*
 * Takes what a partition has pending into a batch, after all that was in
 * flight before has been written, and removes the counters that hold nothing.
 * Appends to the harvest, in the current memory context: what is to be
 * written, and the keys whose deleting transactions have ended, one way or the
 * other.
 */
void
ak_usage_counters_harvest(Oid database, int partition, uint64 batch,
						  AkHarvest *harvest)
{
	HarvestWork work = {harvest, batch};

	reserve_counts(harvest);
	init_list(&work.finished);
	init_list(&work.stale);

	ak_counters_lock(partition, LW_EXCLUSIVE);
	ak_counters_scan(database, partition, harvest_counter, &work);
	for (int i = 0; i < work.finished.count; i++)
		ak_counter_remove(work.finished.items[i]);
	ak_counters_unlock(partition);

	harvest_deletions(partition, &work.stale, harvest);
	pfree(work.finished.items);
	pfree(work.stale.items);
}

static void
take_back(AkCounter *counter, void *argument)
{
	uint64		batch = *(uint64 *) argument;

	if (counter->batch == batch)
	{
		counter->pending += counter->in_flight;
		counter->in_flight = 0;
	}
}

/* Makes pending again what was in flight with a batch that was not written. */
void
ak_usage_counters_take_back(Oid database, uint64 batch)
{
	for (int i = 0; i < AK_COUNTER_PARTITIONS; i++)
	{
		ak_counters_lock(i, LW_EXCLUSIVE);
		ak_counters_scan(database, i, take_back, &batch);
		ak_counters_unlock(i);
	}
}

/* Makes pending again what was in flight of one counter. */
void
ak_usage_counters_take_back_one(Oid database, const AkCount *count)
{
	uint64		batch = count->batch;
	AkCounterName name;
	AkCounter  *counter;

	if (!ak_counter_name(count->public_key, count->key_length, database,
						 &count->counted, &name))
		return;
	ak_counters_lock(name.partition, LW_EXCLUSIVE);
	counter = ak_counter_find(&name);
	if (counter)
		take_back(counter, &batch);
	ak_counters_unlock(name.partition);
}
