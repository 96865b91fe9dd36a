/*
 * usage_batches.c
 *	  Writes the counts in shared memory, in batches.
 *
 * Counts are written exactly once, also if the worker is ended or a batch
 * fails: each batch has a number that is written with it, and if the result of
 * a batch is unknown, the worker asks for it before it takes the next one.  (A
 * crash of the server loses the counters, and so what was counted since the
 * last batch.)
 *
 * A standby sends its batches to the primary, if that is configured; otherwise
 * they stay in memory.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "operations/operations.h"
#include "store/store.h"
#include "usage/limits.h"
#include "usage/usage.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

/* A batch is this large or a little larger. */
#define BATCH_SIZE			10000

/* One that fails is tried again in smaller ones, unless it is as small as this. */
#define SMALL_BATCH			1000

/* So many may fail in a flush: each may have waited for a lock. */
#define MOST_FAILURES		5

/* How long a worker that shall end with its server goes on to write. */
#define LAST_BATCHES_MS		15000

/*
 * A use of a key that is not visible may belong to an open transaction that
 * creates the key.  It is kept this long, if there is room.
 */
#define KEEP_UNKNOWN_MS		(3600 * 1000)

/* The destination of batches. */
typedef enum Destination
{
	NOWHERE,
	OWN_TABLES,
	PRIMARY
} Destination;

static AkDatabaseSlot *slot;
static Destination destination;

/* Called once, when the worker starts. */
void
ak_usage_batches_init(AkDatabaseSlot *own_slot)
{
	slot = own_slot;
}

/* --- One batch ----------------------------------------------------------- */

/*
 * Checks whether counts of a key that does not exist are kept: it may be committed
 * later, if no other organization has the name.  They are lost while counters are
 * needed: nobody knows whether such organizations exist either.
 */
static bool
shall_keep(AkKeystore *store, const AkCount *count)
{
	text	   *public_key = cstring_to_text_with_len(count->public_key,
													  count->key_length);
	pg_uuid_t	organization;

	if (TimestampDifferenceExceeds(count->last_at, GetCurrentTimestamp(),
								   KEEP_UNKNOWN_MS) ||
		ak_keystore_was_deleted(store, public_key) ||
		(ak_keystore_find_key(store, public_key, &organization) &&
		 memcmp(&organization, &count->organization, UUID_LEN) != 0))
		return false;
	if (!ak_counters_are_filling())
		return true;
	if (count->counted.kind != AK_COUNTER_GRANT)
		pg_atomic_fetch_add_u64(&slot->lost, count->tally.count);
	return false;
}

/*
 * Returns the positions of those counts that were not written, because their
 * key does not exist, and must be kept: a list of integers; in a transaction.
 */
static List *
choose_kept(ArrayType *missing, const AkHarvest *harvest)
{
	AkKeystore	store;
	List	   *kept = NIL;
	int			count = ArrayGetNItems(ARR_NDIM(missing), ARR_DIMS(missing));
	const int32 *places = (const int32 *) ARR_DATA_PTR(missing);

	if (array_contains_nulls(missing))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("invalid answer of the primary to a batch of usage")));
	ak_keystore_open(&store, AK_TABLE_BIT(AK_KEY) | AK_TABLE_BIT(AK_DELETED_KEY));
	for (int i = 0; i < count; i++)
	{
		int			place = places[i] - 1;

		if (place >= 0 && place < harvest->count &&
			shall_keep(&store, &harvest->counts[place]))
			kept = lappend_int(kept, place);
	}
	ak_keystore_close(&store);
	return kept;
}

static List *
write_to_own_tables(AkHarvest *harvest)
{
	AkBatch		batch = {0};
	List	   *kept;

	ak_flush_begin();
	if (harvest->count > 0)
		ak_usage_make_batch(harvest, &batch);
	kept = choose_kept(ak_usage_merge(ak_database_slots_instance(),
									  slot->batch, &batch), harvest);
	if (harvest->stale_count > 0)
		ak_usage_clean_up(harvest->stale, harvest->stale_count);
	ak_flush_commit();
	return kept;
}

static List *
send_to_primary(AkHarvest *harvest)
{
	AkBatch		batch;
	AkTextBatch text;
	char	   *answer;
	Datum		missing;
	List	   *kept;

	ak_flush_begin();
	ak_usage_make_batch(harvest, &batch);
	ak_usage_primary_format(&batch, &text);
	ak_flush_commit();
	answer = ak_usage_primary_merge(ak_database_slots_instance(), slot->batch,
									&text);
	ak_flush_begin();
	missing = OidInputFunctionCall(F_ARRAY_IN, answer, INT4OID, -1);
	kept = choose_kept(DatumGetArrayTypeP(missing), harvest);
	ak_flush_commit();
	return kept;
}

/*
 * Adds what was written to the database's figures; not what is kept, a list in
 * ascending order.
 */
static void
count_written(const AkHarvest *harvest, List *kept)
{
	int			next = 0;

	for (int i = 0; i < harvest->count; i++)
	{
		const AkCount *count = &harvest->counts[i];

		if (next < list_length(kept) && list_nth_int(kept, next) == i)
			next++;
		else if (count->counted.kind < AK_REASON_COUNT)
			pg_atomic_fetch_add_u64(&slot->written[count->counted.kind],
									count->tally.count);
	}
}

/*
 * What was written leaves the memory with the next batch, and what is kept is looked at
 * again: so there is another flush, also if nothing more is counted.
 */
static void
write_batch(AkHarvest *harvest)
{
	List	   *kept = NIL;
	ListCell   *cell;

	if (destination == PRIMARY)
	{
		if (harvest->count > 0)
			kept = send_to_primary(harvest);
	}
	else if (harvest->count > 0 || harvest->stale_count > 0)
		kept = write_to_own_tables(harvest);
	slot->batch_is_settled = true;
	count_written(harvest, kept);
	foreach(cell, kept)
		ak_usage_counters_take_back_one(MyDatabaseId,
										&harvest->counts[lfirst_int(cell)]);
	if (harvest->count > 0 || harvest->has_deleting)
		ak_database_slot_want(slot);
}

/* --- All that is counted ------------------------------------------------- */

/* Makes what is in flight with the last batch, and what it cleans up, pending again. */
static void
take_back(void)
{
	ak_usage_counters_take_back(MyDatabaseId, slot->batch);
	ak_limits_take_back(MyDatabaseId, slot->batch);
	if (slot->batch_cleans)
		ak_database_slot_want_sweep(slot, InvalidTransactionId);
}

/*
 * After a failure: makes the counts of the last batch pending again, unless
 * they were written.
 */
static void
settle_last_batch(void)
{
	bool		is_written;

	if (slot->batch == 0 || slot->batch_is_settled)
		return;
	if (destination == PRIMARY)
	{
		is_written = ak_usage_primary_settle(ak_database_slots_instance(),
											 slot->batch);
		if (!is_written)
			take_back();
	}
	else
	{
		ak_flush_begin();
		is_written = ak_usage_settle(ak_database_slots_instance(),
									 slot->batch);
		/* Before others see its number: what they read lacks what it held. */
		if (!is_written)
			take_back();
		ak_flush_commit();
	}
	if (is_written)
		pg_atomic_write_u64(&slot->quota_batch, slot->batch);
	slot->batch_is_settled = true;
}

/* The next batch: where it starts, how large it shall be and how large it is. */
static AkHarvestPlace place;
static int	wanted = BATCH_SIZE;
static int	harvested;

static bool
write_next(void)
{
	AkHarvest	harvest = {0};

	harvested = 0;
	slot->batch_is_settled = false;
	slot->batch_cleans = true;
	slot->batch++;
	ak_usage_counters_harvest(MyDatabaseId, slot->batch, wanted, &place,
							  &harvest);
	slot->batch_cleans = harvest.stale_count > 0;
	harvested = harvest.count;
	write_batch(&harvest);
	return true;
}

/*
 * Whether to leave the rest to a later worker: at once, if the database is needed
 * without one; after some seconds, if the server may be stopping, and with it
 * what is not written ends.
 */
static bool
must_leave_rest(void)
{
	static int64 since = 0;
	AkSlotState state;

	if (ShutdownRequestPending && since == 0)
		since = ak_clock_ms();
	ak_database_slot_look(slot, &state);
	return state.shall_leave ||
		(since != 0 && ak_clock_ms() - since > LAST_BATCHES_MS);
}

/*
 * Writes all batches; false if some is left.  After a failure it goes on, with
 * smaller ones, at once or on a standby at the next flush: somebody may hold a row
 * of one key, and counts in other batches do not wait for that.  After too many, the
 * next flush begins there.
 */
static bool
write_all(void)
{
	int			failures = 0;
	bool		is_rest = slot->rest > 0;

	place = (AkHarvestPlace) {.partition = slot->rest};
	slot->rest = 0;
	while (place.partition < AK_COUNTER_PARTITIONS)
	{
		int			partition = place.partition;

		if (ak_flush_try(AK_JOB_USAGE, "writing usage", write_next, false))
			wanted = failures > 0 ? wanted : Min(2 * wanted, BATCH_SIZE);
		else
		{
			int			tried = Min(wanted, harvested);

			if (tried > SMALL_BATCH)
			{
				/* Counters before its start are written, and add nothing. */
				place.partition = partition;
				place.next = NULL;
				wanted = tried / 4;
			}
			/* The connection to the primary is closed. */
			if (destination == PRIMARY)
				return false;
			settle_last_batch();
			if (++failures == MOST_FAILURES)
			{
				slot->rest = place.partition % AK_COUNTER_PARTITIONS;
				return false;
			}
		}
		if (is_rest && place.partition == AK_COUNTER_PARTITIONS)
		{
			place = (AkHarvestPlace) {0};
			is_rest = false;
		}
		if (must_leave_rest())
			return failures == 0 && place.partition == AK_COUNTER_PARTITIONS;
		/* Many counters take long, and the queue of hashes is short. */
		if (destination == OWN_TABLES &&
			place.partition < AK_COUNTER_PARTITIONS)
			(void) ak_flush_hashes();
	}
	return failures == 0;
}

/* Returns the last batch that the tables of this server show. */
static uint64
get_seen_batch(void)
{
	AkKeystore	store;
	uint64		batch;

	ak_flush_begin();
	ak_keystore_open(&store, AK_TABLE_BIT(AK_USAGE_FLUSH));
	batch = ak_usage_merged_batch(store.snapshot);
	ak_keystore_close(&store);
	ak_flush_commit();
	return batch;
}

/* What was used of quotas, in a batch of its own. */
static bool
write_quotas(void)
{
	AkQuotaHarvest harvest;
	AkQuotaBatch batch;
	const char *columns[AK_QUOTA_COLUMN_COUNT];
	uint64		seen;

	if (ak_limits_quota_count() == 0)
		return true;
	seen = destination == OWN_TABLES ? slot->batch : get_seen_batch();
	slot->batch_is_settled = slot->batch_cleans = false;
	slot->batch++;
	ak_limits_harvest(MyDatabaseId, slot->batch, seen, &harvest);
	if (harvest.count > 0)
	{
		ak_flush_begin();
		ak_quota_make_batch(&harvest, &batch);
		if (destination == OWN_TABLES)
			ak_quota_merge(ak_database_slots_instance(), slot->batch, &batch);
		else
			for (int column = 0; column < AK_QUOTA_COLUMN_COUNT; column++)
				columns[column] = OidOutputFunctionCall(F_ARRAY_OUT,
														batch.columns[column]);
		ak_flush_commit();
		if (destination == PRIMARY)
		{
			slot->has_sent = true;
			ak_usage_primary_merge_quotas(ak_database_slots_instance(),
										  slot->batch, columns);
		}
		pg_atomic_write_u64(&slot->quota_batch, slot->batch);
		/* What was written leaves the memory with the next batch. */
		ak_database_slot_want(slot);
	}
	slot->batch_is_settled = true;
	return true;
}

static Destination
choose_destination(void)
{
	if (!RecoveryInProgress())
		return OWN_TABLES;
	return ak_usage_primary_conninfo[0] != '\0' ? PRIMARY : NOWHERE;
}

/* Checks whether pending data can be written anywhere. */
bool
ak_usage_batches_are_possible(void)
{
	return choose_destination() != NOWHERE;
}

/* Somebody may keep a row of one entry: what is counted does not wait for that. */
static bool
tidy_up(void)
{
	ak_flush_begin();
	ak_usage_tidy_up();
	ak_flush_commit();
	return true;
}

/*
 * Writes all that is counted and used of quotas, which is possible; returns whether
 * all of it was written, and raises errors.  The database is that of the primary to send to.
 */
bool
ak_usage_batches_write(const char *database)
{
	bool		is_written;
	bool		is_tidy = true;

	destination = choose_destination();
	if (destination == PRIMARY)
		ak_usage_primary_connect(database);
	else
		is_tidy = ak_flush_try(AK_JOB_USAGE, "adding up the uses of removed entries",
							   tidy_up, false);
	/*
	 * A standby that was promoted: what it sent may be lost with its primary.  The
	 * tables tell so before the number of the last batch is noted.
	 */
	if (destination == OWN_TABLES && slot->has_sent)
	{
		ak_limits_take_back_lost(MyDatabaseId, get_seen_batch());
		slot->has_sent = false;
	}
	settle_last_batch();
	is_written = write_all();
	if (is_written || destination == OWN_TABLES)
		is_written &= ak_flush_try(AK_JOB_USAGE, "writing quotas",
								   write_quotas, false);
	ak_usage_primary_disconnect();
	return is_written && is_tidy;
}
