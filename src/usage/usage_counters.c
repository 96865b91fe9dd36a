/*
 * usage_counters.c
 *	  Counts in shared memory how often, when and from where each key was
 *	  allowed, by entry of its access list, secret and role, and denied, by
 *	  reason.  A use without room for a counter is counted coarsely, of the
 *	  key alone.
 *
 * A counter (counter_table.c, which tells how they are locked) holds what is
 * new, pending, and what is being written to the tables, in flight, with the
 * number of its batch; each by the hour of the calls (core/counting.c).  What was
 * in flight is dropped when the next batch is taken, and not when it is written:
 * so that a reader with a snapshot from before it was written can still add it.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "usage/usage.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Of what is no key, and of any deletion. */
static const pg_uuid_t no_organization = {0};

/* Returns false if no key can have this name. */
static bool
name_own_counter(const text *public_key, const pg_uuid_t *organization,
				 const AkCounted *counted, AkCounterName *name)
{
	return ak_counter_name(VARDATA_ANY(public_key),
						   VARSIZE_ANY_EXHDR(public_key), organization,
						   MyDatabaseId, counted, name);
}

/* --- Walks --------------------------------------------------------------- */

/* Maximum number of counters that are looked at under one lock. */
#define WALK_SLICE	256

/*
 * Returns an array with room for that many elements, palloc'd: before a lock is taken.
 */
static void *
reserve(void *array, Size element_size, int *allocated, int wanted)
{
	if (wanted <= *allocated)
		return array;
	*allocated = Max(wanted, 2 * *allocated);
	return array ? repalloc_huge(array, *allocated * element_size) :
		palloc(*allocated * element_size);
}

/* A walk along the counters of one key, in slices; initially all 0. */
typedef struct Walk
{
	uint64		changes;		/* of the head, when it was locked last; 0: none */
	AkCounter  *next;			/* NULL: at the end */
} Walk;

/*
 * Begins a slice of a walk along the counters of the key of that head: takes the lock, a
 * shared one as ak_counters_lock_to_read().  Returns false if the walk begins, also again
 * because counters were removed, or counts moved: what was seen is to be forgotten.
 */
static bool
walk_on(Walk *walk, const AkCounterName *head, LWLockMode mode)
{
	AkCounter  *found;
	uint64		changes;
	bool		goes_on;

	CHECK_FOR_INTERRUPTS();
	if (mode == LW_SHARED)
		ak_counters_lock_to_read(head->partition);
	else
		ak_counters_lock(head->partition, mode);
	found = ak_counter_find(head);
	changes = found ? found->changes : 0;
	goes_on = found && walk->changes == changes;
	if (!goes_on)
		*walk = (Walk) {changes, found ? ak_counter_first(found) : NULL};
	return goes_on;
}

/* Returns the next counter of a walk, NULL at its end; the lock is held. */
static AkCounter *
walk_next(Walk *walk, const AkCounterName *head)
{
	AkCounter  *counter = walk->next;

	if (counter)
		walk->next = ak_counter_is_head(counter) ? NULL :
			ak_counter_next(MyDatabaseId, head->partition, counter);
	return counter;
}

/* --- Counting ------------------------------------------------------------ */

/*
 * Returns the counter of this name or, for a use without room for more, the
 * head of the key; NULL if there is no room.  Takes the partition's lock,
 * which the caller releases.
 */
static AkCounter *
lock_counter(const AkCounterName *name, bool is_use)
{
	AkCounterName head;
	AkCounter  *counter;

	ak_counters_lock(name->partition, LW_SHARED);
	counter = ak_counter_find(name);
	if (counter)
		return counter;
	if (is_use)
		ak_counter_name_head(name, &head);
	if (is_use && !ak_counters_have_room(name))
		counter = ak_counter_find(&head);
	if (counter)
		return counter;
	ak_counters_unlock(name->partition);

	ak_counters_lock(name->partition, LW_EXCLUSIVE);
	counter = ak_counter_enter(name);
	if (counter == NULL && is_use)
		counter = ak_counter_enter(&head);
	return counter;
}

static AkCounting
add(const text *public_key, const pg_uuid_t *organization,
	const AkCounted *counted, const AkNetwork *address, uint64 cost,
	TimestampTz now)
{
	AkTally		one = {ak_tally_hour(now), 1, cost};
	AkCounterName name;
	AkCounter  *counter;
	AkCounting	result = AK_NOT_COUNTED;

	if (!name_own_counter(public_key, organization, counted, &name))
		return AK_COUNTED;
	counter = lock_counter(&name, counted->kind == AK_OK);
	if (counter)
	{
		result = counter->hash == name.hash ? AK_COUNTED : AK_COUNTED_COARSELY;
		SpinLockAcquire(&counter->mutex);
		ak_tally_add(counter->pending, &one);
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
	ak_counters_unlock(name.partition);
	return result;
}

/* Counts a use or a denial of a key, of that organization of this database. */
AkCounting
ak_usage_counters_add(const text *public_key, const pg_uuid_t *organization,
					  const AkUse *use)
{
	AkCounted	counted = {.kind = use->reason};
	uint64		cost = 0;

	if (use->reason == AK_OK)
	{
		counted.secret_version = use->secret_version;
		counted.grant = use->grant;
		cost = use->cost;
		if (use->network)
			counted.network = *use->network;
	}
	return add(public_key, organization, &counted, use->address, cost, use->at);
}

/*
 * Counts that a role (ak_grant_id()) of a bound key allowed an action.  This
 * is not a use of the key: if it cannot be counted, no use is lost.
 */
AkCounting
ak_usage_counters_add_grant(const text *public_key,
							const pg_uuid_t *organization, uint64 grant,
							TimestampTz now)
{
	AkCounted	counted = {.kind = AK_COUNTER_GRANT,.grant = grant};
	AkCounting	result = add(public_key, organization, &counted, NULL, 0, now);

	return result == AK_COUNTED ? AK_COUNTED : AK_COUNTED_COARSELY;
}

/*
 * Looks for a counter of what is no key, as if its denial were counted by one, so
 * that the time does not tell which keys exist.
 */
void
ak_usage_counters_search_in_vain(const text *public_key)
{
	AkCounted	counted = {.kind = AK_WRONG_SECRET};
	AkCounterName name;

	if (!name_own_counter(public_key, &no_organization, &counted, &name))
		return;
	ak_counters_lock(name.partition, LW_SHARED);
	(void) ak_counter_find(&name);
	ak_counters_unlock(name.partition);
}

static const AkCounted counted_by_head = {0};

/*
 * Notes that a transaction is deleting a key of this database, or one of its
 * secrets, so that its rows are cleaned up after it; false if there is no
 * room.
 */
bool
ak_usage_counters_note_deletion(const text *public_key, TransactionId deleter)
{
	AkCounterName name;
	bool		is_noted;

	if (!name_own_counter(public_key, &no_organization, &counted_by_head, &name))
		return true;
	ak_counters_lock(name.partition, LW_EXCLUSIVE);
	is_noted = ak_counter_set_deleter(&name, deleter);
	ak_counters_unlock(name.partition);
	return is_noted;
}

/*
 * Adds the pending counts of a counter to another one; the lock is exclusive.
 */
static void
move_pending(AkCounter *from, AkCounter *to)
{
	for (int i = 0; i < AK_TALLIES; i++)
		ak_tally_add(to->pending, &from->pending[i]);
	ak_tally_clear(from->pending);
	if (from->last_at >= to->last_at)
	{
		to->last_at = from->last_at;
		to->address = from->address;
	}
}

/* The networks of a list as cidr[]. */
static Datum
make_networks(const AkNetwork *networks, int count)
{
	Datum	   *elements = palloc(count * sizeof(Datum));

	for (int i = 0; i < count; i++)
		elements[i] = InetPGetDatum(ak_network_to_inet(&networks[i]));
	return PointerGetDatum(construct_array(elements, count, CIDROID, -1, false,
										   TYPALIGN_INT));
}

/*
 * Counts pending uses of a key by networks that are not in its access list as uses
 * without a network.  Returns those of them of which uses may be being written, as
 * cidr[], palloc'd.
 */
Datum
ak_usage_counters_forget_networks(const text *public_key,
								  const pg_uuid_t *organization,
								  const AkNetset *access_list)
{
	AkCounterName head;
	AkCounterName name;
	Walk		walk = {0};
	int			allocated = 0;
	int			count = 0;
	AkNetwork  *in_flight = NULL;

	if (!name_own_counter(public_key, organization, &counted_by_head, &head))
		return make_networks(in_flight, 0);
	do
	{
		AkCounter  *counter;

		in_flight = reserve(in_flight, sizeof(AkNetwork), &allocated,
							count + WALK_SLICE);
		if (!walk_on(&walk, &head, LW_EXCLUSIVE))
			count = 0;
		for (int i = 0; i < WALK_SLICE &&
			 (counter = walk_next(&walk, &head)) != NULL; i++)
		{
			AkCounted	counted = counter->key.counted;
			AkCounter  *other;

			if (counted.network.family == 0 ||
				ak_netset_contains_entry(access_list, &counted.network))
				continue;
			if (ak_tally_total(counter->in_flight) > 0)
				in_flight[count++] = counted.network;
			if (ak_tally_total(counter->pending) == 0)
				continue;
			memset(&counted.network, 0, sizeof(counted.network));
			(void) name_own_counter(public_key, organization, &counted, &name);
			other = ak_counter_enter(&name);
			move_pending(counter, other ? other : counter->head);
			ak_counter_note_change(counter);
			walk.changes = counter->head->changes;
		}
		ak_counters_unlock(head.partition);
	} while (walk.next);
	return make_networks(in_flight, count);
}

/* --- Reading ------------------------------------------------------------- */

/* A copy for each hour in which something was counted; returns how many. */
static int
copy_tallies(const AkCounter *counter, const AkTally *tallies, uint64 batch,
			 AkCount *copies)
{
	int			count = 0;

	for (int i = 0; i < AK_TALLIES; i++)
	{
		AkCount    *copy = &copies[count];

		if (tallies[i].count == 0)
			continue;
		memset(copy, 0, sizeof(*copy));
		copy->organization = counter->key.organization;
		copy->key_length = counter->key.key_length;
		memcpy(copy->public_key, counter->key.public_key, copy->key_length);
		copy->counted = counter->key.counted;
		copy->address = counter->address;
		copy->last_at = counter->last_at;
		copy->tally = tallies[i];
		copy->batch = batch;
		count++;
	}
	return count;
}

/* Copies what a counter says; returns how many counts that are. */
static int
read_counter(AkCounter *counter, AkCount *copies)
{
	AkCounter	read;
	int			count;

	SpinLockAcquire(&counter->mutex);
	read = *counter;
	SpinLockRelease(&counter->mutex);
	count = copy_tallies(&read, read.in_flight, read.batch, copies);
	return count + copy_tallies(&read, read.pending, 0, &copies[count]);
}

/*
 * Stores copies of a key's counters, of this database, in *counts (palloc'd),
 * and returns how many they are: of each counter first what is in flight and then
 * what is pending, each by hour.
 */
int
ak_usage_counters_read(const text *public_key, const pg_uuid_t *organization,
					   AkCount **counts)
{
	AkCounterName head;
	Walk		walk = {0};
	int			slice = 4;		/* most keys have few */
	int			allocated = 0;
	int			count = 0;

	*counts = NULL;
	if (!name_own_counter(public_key, organization, &counted_by_head, &head))
		return 0;
	do
	{
		AkCounter  *counter;

		*counts = reserve(*counts, sizeof(AkCount), &allocated,
						  count + slice * 2 * AK_TALLIES);
		if (!walk_on(&walk, &head, LW_SHARED))
			count = 0;
		for (int i = 0; i < slice &&
			 (counter = walk_next(&walk, &head)) != NULL; i++)
			count += read_counter(counter, &(*counts)[count]);
		ak_counters_unlock(head.partition);
		slice = Min(2 * slice, WALK_SLICE);
	} while (walk.next);
	return count;
}

/*
 * Returns how many counters of a database have counts that are not in the
 * tables; "settled" is the last batch that is.
 */
int64
ak_usage_counters_pending(Oid database, uint64 settled)
{
	int64		count = 0;

	for (int i = 0; i < AK_COUNTER_PARTITIONS; i++)
	{
		AkCounter  *counter = NULL;

		CHECK_FOR_INTERRUPTS();
		ak_counters_lock_to_read(i);
		while ((counter = ak_counter_next(database, i, counter)) != NULL)
			if (ak_tally_total(counter->pending) > 0 ||
				(ak_tally_total(counter->in_flight) > 0 &&
				 counter->batch > settled))
				count++;
		ak_counters_unlock(i);
	}
	return count;
}

/* --- Writing, by the database's worker only ------------------------------ */

/* Maximum number of counters that are processed under one lock. */
#define SLICE	1000

/* A head that notes which transaction has deleted its key. */
typedef struct Deletion
{
	AkCounter  *head;
	TransactionId deleter;
} Deletion;

/* Removes a counter that holds nothing; under an exclusive lock. */
static void
remove_if_empty(AkCounter *counter)
{
	if (ak_tally_total(counter->in_flight) == 0 &&
		ak_tally_total(counter->pending) == 0 &&
		dlist_is_empty(&counter->counters) &&
		!TransactionIdIsValid(counter->deleter))
		ak_counter_remove(counter);
}

/*
 * Moves the key of a head to the harvest, if the transaction that deletes it
 * has ended.  A head that holds counts, too, stays.
 */
static void
harvest_deletion(int partition, const Deletion *deletion, AkHarvest *harvest)
{
	AkCounter  *head = deletion->head;

	if (TransactionIdIsInProgress(deletion->deleter))
	{
		harvest->has_deleting = true;
		return;
	}
	if (harvest->stale_count == harvest->stale_allocated)
	{
		harvest->stale_allocated = Max(64, harvest->stale_allocated * 2);
		harvest->stale = harvest->stale ?
			repalloc(harvest->stale,
					 harvest->stale_allocated * sizeof(text *)) :
			palloc(harvest->stale_allocated * sizeof(text *));
	}
	harvest->stale[harvest->stale_count++] =
		cstring_to_text_with_len(head->key.public_key, head->key.key_length);
	ak_counters_lock(partition, LW_EXCLUSIVE);
	if (TransactionIdEquals(head->deleter, deletion->deleter))
	{
		ak_counter_clear_deleter(head);
		remove_if_empty(head);
	}
	ak_counters_unlock(partition);
}

/*
 * Moves the pending counts of some counters of a partition, from "place" on,
 * into a batch, and removes those that are no longer needed; advances "place".
 */
static void
harvest_slice(Oid database, uint64 batch, AkHarvestPlace *place,
			  AkHarvest *harvest)
{
	int			partition = place->partition;
	Deletion   *deletions = palloc(SLICE * sizeof(Deletion));
	int			deletion_count = 0;
	AkCounter  *counter;

	harvest->counts = reserve(harvest->counts, sizeof(AkCount),
							  &harvest->allocated,
							  harvest->count + SLICE * AK_TALLIES);
	ak_counters_lock(partition, LW_EXCLUSIVE);
	counter = place->next ? place->next :
		ak_counter_next(database, partition, NULL);
	for (int i = 0; counter && i < SLICE; i++)
	{
		AkCounter  *next = ak_counter_next(database, partition, counter);

		if (TransactionIdIsValid(counter->deleter))
			deletions[deletion_count++] = (Deletion)
			{
				counter, counter->deleter
			};
		memcpy(counter->in_flight, counter->pending,
			   sizeof(counter->in_flight));
		ak_tally_clear(counter->pending);
		counter->batch = batch;
		if (ak_tally_total(counter->in_flight) > 0)
			harvest->count += copy_tallies(counter, counter->in_flight, batch,
										   &harvest->counts[harvest->count]);
		else
			remove_if_empty(counter);
		counter = next;
	}
	ak_counters_unlock(partition);
	place->next = counter;
	if (counter == NULL)
		place->partition++;

	for (int i = 0; i < deletion_count; i++)
		harvest_deletion(partition, &deletions[i], harvest);
	pfree(deletions);
}

/*
 * Moves pending counts into a batch, after everything that was in flight
 * before was written, and removes empty counters.  Starts at "place", which it
 * advances, and stops when the harvest has about the requested number of
 * counts.  Appends to the harvest, in the current memory context: the counts
 * to write, and the keys whose deleting transactions have ended, by commit or
 * rollback.
 */
void
ak_usage_counters_harvest(Oid database, uint64 batch, int wanted,
						  AkHarvestPlace *place, AkHarvest *harvest)
{
	while (place->partition < AK_COUNTER_PARTITIONS && harvest->count < wanted)
		harvest_slice(database, batch, place, harvest);
}

static void
take_back(AkCounter *counter, uint64 batch)
{
	if (counter->batch == batch)
	{
		for (int i = 0; i < AK_TALLIES; i++)
			ak_tally_add(counter->pending, &counter->in_flight[i]);
		ak_tally_clear(counter->in_flight);
	}
}

/*
 * Makes the counts in flight with a batch that was not written pending again.
 */
void
ak_usage_counters_take_back(Oid database, uint64 batch)
{
	for (int i = 0; i < AK_COUNTER_PARTITIONS; i++)
	{
		AkCounter  *counter = NULL;

		ak_counters_lock(i, LW_EXCLUSIVE);
		while ((counter = ak_counter_next(database, i, counter)) != NULL)
			take_back(counter, batch);
		ak_counters_unlock(i);
	}
}

/* Makes the counts in flight of one counter pending again. */
void
ak_usage_counters_take_back_one(Oid database, const AkCount *count)
{
	AkCounterName name;
	AkCounter  *counter;

	if (!ak_counter_name(count->public_key, count->key_length,
						 &count->organization, database, &count->counted, &name))
		return;
	ak_counters_lock(name.partition, LW_EXCLUSIVE);
	counter = ak_counter_find(&name);
	if (counter)
		take_back(counter, count->batch);
	ak_counters_unlock(name.partition);
}
