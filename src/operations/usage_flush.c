/*
 * usage_flush.c
 *	  What the worker of a database writes: the counts in shared memory, in
 *	  batches; renewed hashes; and the seals of the audit log.  And what it
 *	  deletes: hours of the history that ended long ago.
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

#include "audit/audit.h"
#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "operations/operations.h"
#include "store/store.h"
#include "usage/limits.h"
#include "usage/usage.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* A batch is this large or a little larger. */
#define BATCH_SIZE			10000

/*
 * A use of a key that is not visible may belong to an open transaction that
 * creates the key.  It is kept this long, if there is room.
 */
#define KEEP_UNKNOWN_MS		(3600 * 1000)

/*
 * After this many hashes the next batch follows at once, within a time limit.
 */
#define MANY_HASHES			256
#define HASHES_TIME_MS		1000

/* Old hours are dropped for so long at a time. */
#define HISTORY_TIME_MS		1000

/* So many seals of the audit are made in one transaction. */
#define SEALS_AT_ONCE		10

/* The destination of batches. */
typedef enum Destination
{
	NOWHERE,
	OWN_TABLES,
	PRIMARY
} Destination;

static AkDatabaseSlot *slot;
static char database_name[NAMEDATALEN];
static MemoryContext batch_context;

/* Called once, when the worker starts. */
void
ak_usage_flush_init(AkDatabaseSlot *own_slot)
{
	slot = own_slot;
	batch_context = AllocSetContextCreate(TopMemoryContext, "apikeys batch",
										  ALLOCSET_DEFAULT_SIZES);
}

/* --- Transactions -------------------------------------------------------- */

static void
begin_transaction(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(batch_context);
}

static void
commit_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(batch_context);
}

/* --- Hashes -------------------------------------------------------------- */

/*
 * Returns whether the job was done, which the database's slot remembers;
 * otherwise logs the error, unless is_silent.
 */
static bool
try_job(AkJob number, const char *activity, void (*job) (void), bool is_silent)
{
	volatile bool done = false;

	pgstat_report_activity(STATE_RUNNING, activity);
	MemoryContextSwitchTo(batch_context);
	PG_TRY();
	{
		job();
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(batch_context);
		if (!is_silent)
			EmitErrorReport();
		LWLockReleaseAll();
		AbortCurrentTransaction();
		FlushErrorState();
		ak_usage_primary_disconnect();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextReset(batch_context);
	pgstat_report_stat(true);
	slot->failed_jobs = done ? slot->failed_jobs & ~number :
		slot->failed_jobs | number;
	return done;
}

static bool
must_stop(void)
{
	AkSlotState state;

	ak_database_slot_look(slot, &state);
	return state.shall_leave || ShutdownRequestPending;
}

static void
write_hashes(void)
{
	int64		begin = ak_clock_ms();
	int			count;

	if (!ak_rehash_is_queued() || RecoveryInProgress())
		return;
	do
	{
		begin_transaction();
		count = ak_rehash_write();
		commit_transaction();
		MemoryContextReset(batch_context);
		if (count > 0)
			elog(DEBUG1, "apikeys worker renews %d hashes", count);
	} while (count >= MANY_HASHES && !must_stop() &&
			 ak_clock_ms() - begin < HASHES_TIME_MS);
}

/* Returns true if no job failed. */
static bool
renew_hashes(void)
{
	return try_job(AK_JOB_HASHES, "writing hashes", write_hashes, false);
}

/* --- One batch ----------------------------------------------------------- */

/* Checks whether counts of a key that does not exist are kept. */
static bool
shall_keep(AkKeystore *store, const AkCount *count)
{
	text	   *public_key = cstring_to_text_with_len(count->public_key,
													  count->key_length);

	return !ak_counters_are_filling() &&
		!TimestampDifferenceExceeds(count->last_at, GetCurrentTimestamp(),
									KEEP_UNKNOWN_MS) &&
		!ak_keystore_was_deleted(store, public_key);
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

	ak_keystore_open(&store, AK_TABLE_BIT(AK_DELETED_KEY));
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

	begin_transaction();
	if (harvest->count > 0)
		ak_usage_make_batch(harvest, &batch);
	kept = choose_kept(ak_usage_merge(ak_database_slots_instance(),
									  slot->batch, &batch), harvest);
	if (harvest->stale_count > 0)
		ak_usage_clean_up(harvest->stale, harvest->stale_count);
	commit_transaction();
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

	begin_transaction();
	ak_usage_make_batch(harvest, &batch);
	ak_usage_primary_format(&batch, &text);
	commit_transaction();
	answer = ak_usage_primary_merge(ak_database_slots_instance(), slot->batch,
									&text);
	begin_transaction();
	missing = OidInputFunctionCall(F_ARRAY_IN, answer, INT4OID, -1);
	kept = choose_kept(DatumGetArrayTypeP(missing), harvest);
	commit_transaction();
	return kept;
}

/* Whether a sorted list of integers contains one; moves on in the list. */
static bool
is_next(List *list, int *place, int number)
{
	if (*place == list_length(list) || list_nth_int(list, *place) != number)
		return false;
	(*place)++;
	return true;
}

/* Adds what was written to the database's figures; not what is kept. */
static void
count_written(const AkHarvest *harvest, List *kept)
{
	int			place = 0;

	for (int i = 0; i < harvest->count; i++)
	{
		const AkCount *count = &harvest->counts[i];

		if (!is_next(kept, &place, i) &&
			count->counted.kind < AK_REASON_COUNT)
			pg_atomic_fetch_add_u64(&slot->written[count->counted.kind],
									count->tally.count);
	}
}

/* What is kept in memory is pending, and looked at again at the next flush. */
static void
write_batch(Destination destination, AkHarvest *harvest)
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
	if (kept != NIL || harvest->has_deleting)
		ak_database_slot_want(slot);
}

/* --- All that is counted ------------------------------------------------- */

/*
 * After a failure: makes the counts of the last batch pending again, unless
 * they were written.
 */
static void
settle_last_batch(Destination destination)
{
	bool		is_written;

	if (slot->batch == 0 || slot->batch_is_settled)
		return;
	if (destination == PRIMARY)
		is_written = ak_usage_primary_settle(ak_database_slots_instance(),
											 slot->batch);
	else
	{
		begin_transaction();
		is_written = ak_usage_settle(ak_database_slots_instance(),
									 slot->batch);
		commit_transaction();
	}
	if (!is_written)
	{
		ak_usage_counters_take_back(MyDatabaseId, slot->batch);
		ak_limits_take_back(MyDatabaseId, slot->batch);
	}
	/* Its number is noted now, in any case. */
	pg_atomic_write_u64(&slot->quota_batch, slot->batch);
	slot->batch_is_settled = true;
}

static void
write_all(Destination destination)
{
	AkHarvestPlace place = {0};

	while (place.partition < AK_COUNTER_PARTITIONS)
	{
		AkHarvest	harvest = {0};

		MemoryContextReset(batch_context);
		slot->batch_is_settled = false;
		slot->batch++;
		ak_usage_counters_harvest(MyDatabaseId, slot->batch, BATCH_SIZE,
								  &place, &harvest);
		write_batch(destination, &harvest);
		/* Many counters take long, and the queue of hashes is short. */
		if (destination == OWN_TABLES &&
			place.partition < AK_COUNTER_PARTITIONS)
			(void) renew_hashes();
	}
}

/* What was used of quotas, in a batch of its own. */
static void
write_quotas(Destination destination)
{
	AkQuotaHarvest harvest;
	AkQuotaBatch batch;
	const char *columns[AK_QUOTA_COLUMN_COUNT];

	if (!ak_limits_have_quotas())
		return;
	MemoryContextReset(batch_context);
	slot->batch_is_settled = false;
	slot->batch++;
	ak_limits_harvest(MyDatabaseId, slot->batch, &harvest);
	if (harvest.count > 0)
	{
		begin_transaction();
		ak_quota_make_batch(&harvest, &batch);
		if (destination == OWN_TABLES)
			ak_quota_merge(ak_database_slots_instance(), slot->batch, &batch);
		else
			for (int column = 0; column < AK_QUOTA_COLUMN_COUNT; column++)
				columns[column] = OidOutputFunctionCall(F_ARRAY_OUT,
														batch.columns[column]);
		commit_transaction();
		if (destination == PRIMARY)
			ak_usage_primary_merge_quotas(ak_database_slots_instance(),
										  slot->batch, columns);
		pg_atomic_write_u64(&slot->quota_batch, slot->batch);
	}
	slot->batch_is_settled = true;
}

/* Before the first batch also what a crash may have left. */
static void
tidy_up(void)
{
	begin_transaction();
	ak_usage_tidy_up(slot->batch == 0);
	commit_transaction();
}

static Destination
choose_destination(void)
{
	if (!RecoveryInProgress())
		return OWN_TABLES;
	return ak_usage_primary_conninfo[0] != '\0' ? PRIMARY : NOWHERE;
}

static void
write_usage(void)
{
	Destination destination = choose_destination();

	if (destination == NOWHERE)
		return;
	if (destination == PRIMARY)
		ak_usage_primary_connect(database_name);
	else
		tidy_up();
	settle_last_batch(destination);
	write_all(destination);
	write_quotas(destination);
	ak_usage_primary_disconnect();
}

/* --- The history ---------------------------------------------------------- */

/*
 * Deletes what is old, of many rows some at each flush, so that what is counted does
 * not wait, and quotas that have ended, after the last of them was written.
 */
static void
drop_history(void)
{
	int64		begin = ak_clock_ms();
	TimestampTz kept_since = GetCurrentTimestamp() -
		(TimestampTz) ak_usage_retention * USECS_PER_MINUTE;
	uint64		dropped;
	bool		marks_are_left;

	if (RecoveryInProgress())
		return;
	begin_transaction();
	marks_are_left = ak_quota_tidy_up();
	commit_transaction();
	do
	{
		begin_transaction();
		dropped = ak_usage_drop_history(ak_tally_hour(kept_since) * AK_HOUR,
										BATCH_SIZE);
		commit_transaction();
		MemoryContextReset(batch_context);
	} while (dropped >= BATCH_SIZE && !must_stop() &&
			 ak_clock_ms() - begin < HISTORY_TIME_MS);
	if (dropped >= BATCH_SIZE || marks_are_left)
		ak_database_slot_want(slot);
}

/* --- The audit ------------------------------------------------------------ */

/*
 * Events of open transactions are sealed later, so data stays pending.  A
 * transaction that writes an event after this check sets the flag again.
 */
static void
seal_audit(void)
{
	int64		sealed;

	if (RecoveryInProgress())
		return;
	do
	{
		begin_transaction();
		if (ak_audit_is_being_written())
			ak_database_slot_want(slot);
		sealed = ak_audit_seal(SEALS_AT_ONCE, false);
		commit_transaction();
		MemoryContextReset(batch_context);
	} while (sealed > 0 && !must_stop());
}

/* --- All ----------------------------------------------------------------- */

typedef enum Extension
{
	MISSING,
	BEING_CREATED,				/* by an open transaction */
	CREATED
} Extension;

/*
 * Looks up the name of the database each time: a standby is not told of a
 * renaming.
 */
static Extension
find_extension(void)
{
	Extension	found = MISSING;

	begin_transaction();
	if (OidIsValid(get_extension_oid("apikeys", true)))
		found = CREATED;
	else if (ak_extension_is_being_created())
		found = BEING_CREATED;
	strlcpy(database_name, get_database_name(MyDatabaseId),
			sizeof(database_name));
	commit_transaction();
	MemoryContextReset(batch_context);
	return found;
}

/* Does all jobs, even if one fails; returns whether usage was written. */
static bool
do_jobs(void)
{
	/* Damaged seals stay damaged, and are logged once. */
	static bool audit_is_sealed = true;
	bool		hashes_are_written = renew_hashes();
	bool		usage_is_written = try_job(AK_JOB_USAGE, "writing usage",
										   write_usage, false);
	bool		history_is_short = try_job(AK_JOB_HISTORY, "dropping old history",
										   drop_history, false);

	audit_is_sealed = try_job(AK_JOB_SEALS, "sealing the audit", seal_audit,
							  !audit_is_sealed);
	if (!usage_is_written || !hashes_are_written || !history_is_short ||
		!audit_is_sealed)
		ak_database_slot_want(slot);
	return usage_is_written;
}

/* Checks whether pending data can be written anywhere. */
bool
ak_usage_flush_is_possible(void)
{
	return choose_destination() != NOWHERE;
}

/*
 * Writes all pending data, or only_hashes, in transactions of its own; returns
 * whether usage was written.  What could not be written is pending again, and
 * the error is logged.  is_asked: a session waits for it.  Raises the errors
 * of looking for the extension.
 */
bool
ak_usage_flush(bool only_hashes, bool is_asked)
{
	bool		is_written = true;

	ak_database_slot_begin_flush(slot, only_hashes);
	switch (find_extension())
	{
		case MISSING:
			ak_counters_purge(MyDatabaseId);
			ak_limits_purge(MyDatabaseId);
			ak_rehash_forget(MyDatabaseId);
			break;
		case BEING_CREATED:
			/*
			 * Later uses queue the hashes again; other databases need the
			 * room.
			 */
			ak_rehash_forget(MyDatabaseId);
			ak_database_slot_want(slot);
			is_written = false;
			ereport(is_asked ? LOG : DEBUG1,
					(errmsg("usage of database \"%s\" waits for the transaction that creates extension apikeys",
							database_name)));
			break;
		case CREATED:
			is_written = only_hashes ? renew_hashes() : do_jobs();
			break;
	}
	pgstat_report_activity(STATE_IDLE, NULL);
	return is_written;
}
