/*
 * usage_flush.c
 *	  What the worker of a database does at each flush: it writes the counts in
 *	  shared memory (usage_batches.c), renewed hashes and the seals of the audit
 *	  log, and deletes hours of the history that ended long ago and what is
 *	  recorded of keys that are no more.
 */
#include "postgres.h"

#include "audit/audit.h"
#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "operations/operations.h"
#include "usage/limits.h"
#include "usage/usage.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/*
 * After this many hashes the next batch follows at once, within a time limit.
 */
#define MANY_HASHES			256
#define HASHES_TIME_MS		1000

/* Old hours are dropped for so long at a time, and so many in a transaction. */
#define HISTORY_TIME_MS		1000
#define HOURS_AT_ONCE		10000

/* So many seals of the audit are made in one transaction. */
#define SEALS_AT_ONCE		10

static AkDatabaseSlot *slot;
static char database_name[NAMEDATALEN];
static MemoryContext batch_context;

/* Called once, when the worker starts. */
void
ak_usage_flush_init(AkDatabaseSlot *own_slot)
{
	slot = own_slot;
	ak_usage_batches_init(own_slot);
	batch_context = AllocSetContextCreate(TopMemoryContext, "apikeys batch",
										  ALLOCSET_DEFAULT_SIZES);
}

/* --- Transactions -------------------------------------------------------- */

/*
 * Begins a transaction; what is allocated in it stays until the job's end.  Locks
 * the extension as DROP EXTENSION does before its tables, for that takes them in
 * another order.  It does not wait, as any role can hold that lock (ALTER FUNCTION
 * DEPENDS ON EXTENSION): without it a deadlock is possible, which PostgreSQL ends.
 */
void
ak_flush_begin(void)
{
	Oid			own;
	LOCKTAG		tag;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	own = get_extension_oid("apikeys", true);
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, own, 0);
	if (OidIsValid(own))
		(void) ak_try_lock(&tag, AccessShareLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(batch_context);
}

/* Commits it. */
void
ak_flush_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(batch_context);
}

/* --- Jobs ---------------------------------------------------------------- */

/*
 * Runs a job that returns whether all of it was done, in a memory context that
 * is emptied after it; ends its transaction if it fails, and logs the error unless
 * is_silent.  Returns whether all was done, which the database's slot remembers.
 */
bool
ak_flush_try(AkJob number, const char *activity, bool (*job) (void),
			 bool is_silent)
{
	volatile bool done = false;

	pgstat_report_activity(STATE_RUNNING, activity);
	MemoryContextSwitchTo(batch_context);
	PG_TRY();
	{
		done = job();
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

/* --- Hashes -------------------------------------------------------------- */

static bool
write_hashes(void)
{
	int64		begin = ak_clock_ms();
	int			count;

	if (!ak_rehash_is_queued() || RecoveryInProgress())
		return true;
	do
	{
		ak_flush_begin();
		count = ak_rehash_write();
		ak_flush_commit();
		MemoryContextReset(batch_context);
		if (count > 0)
			elog(DEBUG1, "apikeys worker renews %d hashes", count);
	} while (count >= MANY_HASHES && !must_stop() &&
			 ak_clock_ms() - begin < HASHES_TIME_MS);
	return true;
}

/* Writes hashes that are queued; returns false if that failed. */
bool
ak_flush_hashes(void)
{
	return ak_flush_try(AK_JOB_HASHES, "writing hashes", write_hashes, false);
}

/* --- What is old or no more ----------------------------------------------- */

/*
 * Deletes records of keys and secrets that are no more and of which nothing else
 * says so, after the transactions that deleted them.
 */
static void
sweep(void)
{
	TransactionId deleter;
	bool		is_due;

	if (!ak_database_slot_wants_sweep(slot, &deleter))
		return;
	ak_flush_begin();
	is_due = TransactionIdPrecedes(deleter, GetActiveSnapshot()->xmin);
	if (is_due)
		ak_usage_sweep();
	ak_flush_commit();
	if (is_due)
		ak_database_slot_end_sweep(slot, deleter);
	else
		ak_database_slot_want(slot);
}

/*
 * Deletes what is old, of many rows some at each flush, so that what is counted does
 * not wait, and quotas that have ended, after the last of them was written.
 */
static bool
drop_history(void)
{
	int64		begin = ak_clock_ms();
	TimestampTz kept_since = GetCurrentTimestamp() -
		(TimestampTz) ak_usage_retention * USECS_PER_MINUTE;
	uint64		dropped;

	if (RecoveryInProgress())
		return true;
	sweep();
	ak_flush_begin();
	ak_quota_tidy_up();
	ak_flush_commit();
	do
	{
		ak_flush_begin();
		dropped = ak_usage_drop_history(ak_tally_hour(kept_since) * AK_HOUR,
										HOURS_AT_ONCE);
		ak_flush_commit();
		MemoryContextReset(batch_context);
	} while (dropped >= HOURS_AT_ONCE && !must_stop() &&
			 ak_clock_ms() - begin < HISTORY_TIME_MS);
	if (dropped >= HOURS_AT_ONCE)
		ak_database_slot_want(slot);
	return true;
}

/* --- The audit ------------------------------------------------------------ */

/*
 * Events of open transactions are sealed later, so data stays pending.  A
 * transaction that writes an event after this check sets the flag again: who waits
 * for a flush does not wait for what others write meanwhile.
 */
static bool
seal_audit(void)
{
	int64		sealed;

	if (RecoveryInProgress())
		return true;
	do
	{
		ak_flush_begin();
		if (ak_audit_is_being_written())
			ak_database_slot_want(slot);
		sealed = ak_audit_seal(SEALS_AT_ONCE, false);
		ak_flush_commit();
		MemoryContextReset(batch_context);
	} while (sealed == (int64) SEALS_AT_ONCE * AK_SEAL_MAX_EVENTS && !must_stop());
	return true;
}

/* --- All ----------------------------------------------------------------- */

typedef enum Extension
{
	MISSING,
	BEING_CREATED,				/* by an open transaction */
	CREATED
} Extension;

static Extension extension;

/*
 * Looks up the name of the database each time: a standby is not told of a
 * renaming.
 */
static bool
find_extension(void)
{
	ak_flush_begin();
	if (OidIsValid(get_extension_oid("apikeys", true)))
		extension = CREATED;
	else
		extension = ak_extension_is_being_created() ? BEING_CREATED : MISSING;
	strlcpy(database_name, get_database_name(MyDatabaseId),
			sizeof(database_name));
	ak_flush_commit();
	return true;
}

static bool
write_usage(void)
{
	return ak_usage_batches_write(database_name);
}

/* Does all jobs, even if one fails; returns whether usage was written. */
static bool
do_jobs(void)
{
	/* Damaged seals stay damaged, and are logged once. */
	static bool audit_is_sealed = true;
	bool		hashes_are_written = ak_flush_hashes();
	bool		usage_is_written = ak_flush_try(AK_JOB_USAGE, "writing usage",
												write_usage, false);
	bool		history_is_short = ak_flush_try(AK_JOB_HISTORY,
												"dropping old history",
												drop_history, false);

	audit_is_sealed = ak_flush_try(AK_JOB_SEALS, "sealing the audit",
								   seal_audit, !audit_is_sealed);
	if (!usage_is_written || !hashes_are_written || !history_is_short ||
		!audit_is_sealed)
		ak_database_slot_want(slot);
	return usage_is_written;
}

/*
 * Writes all pending data, or only_hashes, in transactions of its own; returns
 * whether usage was written.  What could not be written is pending again, and
 * the error is logged.  is_asked: a session waits for it.
 */
bool
ak_usage_flush(bool only_hashes, bool is_asked)
{
	bool		is_written = true;

	ak_database_slot_begin_flush(slot, only_hashes);
	if (!ak_flush_try(AK_JOB_LOOK, "looking for the extension", find_extension,
					  false))
	{
		ak_database_slot_want(slot);
		return false;
	}
	switch (extension)
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
			is_written = only_hashes ? ak_flush_hashes() : do_jobs();
			break;
	}
	pgstat_report_activity(STATE_IDLE, NULL);
	return is_written;
}
