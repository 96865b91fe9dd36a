/*
 * audit_chain.c
 *	  The events and seals of the audit log in their order, and which events are
 *	  settled.
 */
#include "postgres.h"

#include "audit/audit.h"
#include "base/base.h"
#include "core/compat.h"
#include "usage/usage.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* --- Events and seals by number ------------------------------------------ */

/*
 * Reads the audit log's events and seals by number, and the row about the
 * whole chain of seals.
 *
 * It reads all rows for any caller: callers check first whether the principal
 * may.
 */

/* Column numbers, as in sql/parts/35_audit.sql and 37_audit_seal.sql. */
enum
{
	EVENT_ID = 1,
	EVENT_AT
};
enum
{
	SEAL_ID = 1,
	SEAL_LAST_EVENT,
	SEAL_EVENT_COUNT,
	SEAL_SEALED_AT,
	SEAL_HASH
};
enum
{
	CHAIN_LAST_SEAL = 2,
	CHAIN_PRUNED_SEAL,
	CHAIN_PRUNED_BY
};

/* 0 for NULL. */
static int64
get_int64(TupleTableSlot *slot, int column)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/* The rows with a higher id, of PG_INT64_MIN all: a forged one can have that. */
static void
begin_scan(AkChainScan *scan, AkTable table, AkIndex index, Snapshot snapshot,
		   int64 after)
{
	ScanKeyData key;
	int			key_count = after == PG_INT64_MIN ? 0 : 1;

	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(after));
	scan->table = ak_table_open(table, AccessShareLock);
	scan->index = index_open(ak_index_oid(index), AccessShareLock);
	scan->slot = table_slot_create(scan->table, NULL);
	scan->scan = ak_index_beginscan(scan->table, scan->index, snapshot,
									key_count);
	index_rescan(scan->scan, &key, key_count, NULL, 0);
}

/* Begins to read events; end the scan in the same function. */
void
ak_chain_begin_events(AkChainScan *scan, Snapshot snapshot, int64 after)
{
	begin_scan(scan, AK_AUDIT_EVENT, AK_AUDIT_EVENT_BY_ID, snapshot, after);
}

/* Begins to read all seals; end the scan in the same function. */
void
ak_chain_begin_seals(AkChainScan *scan, Snapshot snapshot)
{
	begin_scan(scan, AK_AUDIT_SEAL, AK_AUDIT_SEAL_BY_ID, snapshot,
			   PG_INT64_MIN);
}

/* Moves to the next row; returns false, once, if there is none. */
bool
ak_chain_next(AkChainScan *scan)
{
	return index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot);
}

/* Ends a scan; locks on tables are kept, as the executor does. */
void
ak_chain_end(AkChainScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->index, NoLock);
	table_close(scan->table, NoLock);
}

/* Returns the number of the current event. */
int64
ak_chain_event_id(AkChainScan *events)
{
	return get_int64(events->slot, EVENT_ID);
}

/* Returns the time of the current event. */
TimestampTz
ak_chain_event_time(AkChainScan *events)
{
	return get_int64(events->slot, EVENT_AT);
}

/*
 * Whether the transaction that inserted the current event is still in progress,
 * as the snapshot sees it.
 */
bool
ak_chain_event_is_in_progress(AkChainScan *events, Snapshot snapshot)
{
	HeapTuple	row = ExecFetchSlotHeapTuple(events->slot, false, NULL);
	TransactionId inserter = HeapTupleHeaderGetXmin(row->t_data);

	return TransactionIdIsCurrentTransactionId(inserter) ||
		XidInMVCCSnapshot(inserter, snapshot);
}

/* Returns the current seal. */
void
ak_chain_get_seal(AkChainScan *seals, AkSeal *seal)
{
	TupleTableSlot *slot = seals->slot;
	bool		isnull;
	bytea	   *hash = DatumGetByteaPP(slot_getattr(slot, SEAL_HASH, &isnull));

	memset(seal, 0, sizeof(*seal));
	seal->id = get_int64(slot, SEAL_ID);
	seal->last_event = get_int64(slot, SEAL_LAST_EVENT);
	seal->event_count = get_int64(slot, SEAL_EVENT_COUNT);
	seal->sealed_at = get_int64(slot, SEAL_SEALED_AT);
	/* One that was changed to another length is none, and that is found. */
	if (VARSIZE_ANY_EXHDR(hash) == sizeof(seal->hash))
		memcpy(seal->hash, VARDATA_ANY(hash), sizeof(seal->hash));
}

/* Returns the last of all seals. */
void
ak_chain_find_last_seal(Snapshot snapshot, AkSeal *seal)
{
	AkChainScan seals;

	memset(seal, 0, sizeof(*seal));
	ak_chain_begin_seals(&seals, snapshot);
	if (index_getnext_slot(seals.scan, BackwardScanDirection, seals.slot))
		ak_chain_get_seal(&seals, seal);
	ak_chain_end(&seals);
}

/* Returns the row of audit_chain. */
void
ak_chain_read(Snapshot snapshot, AkChain *chain)
{
	Relation	table = ak_table_open(AK_AUDIT_CHAIN, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(table, NULL);
	TableScanDesc scan = ak_table_beginscan(table, snapshot);

	memset(chain, 0, sizeof(*chain));
	if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		chain->last_seal = get_int64(slot, CHAIN_LAST_SEAL);
		chain->pruned_seal = get_int64(slot, CHAIN_PRUNED_SEAL);
		chain->pruned_by = get_int64(slot, CHAIN_PRUNED_BY);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(table, NoLock);
}

/* --- Settled events ------------------------------------------------------ */

/*
 * Lets a sealer of the audit log know which events are settled, without
 * waiting for the commit of another transaction.
 *
 * An event gets its number before it is in the table, and both happen before
 * its transaction commits.  So that no seal skips a number whose event is
 * still to come, there are two locks, neither of which SQL can take:
 *
 * The writers' lock.  A writer of events holds it in shared mode from before
 * they are numbered until they are in the table and its index: for the time of
 * the INSERT, not until the commit.  A sealer holds it exclusively while it
 * takes a snapshot.  Hence every event that this snapshot finds neither
 * committed nor in progress nor rolled back comes later, with a higher number
 * than all present events; and events in progress can be seen in the table.
 * (The sequence must give out numbers one by one, as it does with CACHE 1.)
 *
 * The chain's lock.  A transaction that adds or removes seals holds it until
 * the commit.
 *
 * A holder of the writers' lock waits for nothing except the disk: the table
 * is locked before.  The chain's lock is taken before the writers'.
 */

/* SQL uses the classes 1 and 2 of advisory locks. */
#define LOCK_CLASS		4

enum
{
	WRITERS,
	CHAIN
};

static LOCKTAG
make_tag(uint32 what)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, what, LOCK_CLASS);
	return tag;
}

/*
 * Call this right before inserting events.  Waits for a sealer, some
 * microseconds, and for a lock on the table.
 */
void
ak_audit_lock_for_write(void)
{
	LOCKTAG		tag = make_tag(WRITERS);

	LockRelationOid(ak_table_oid(AK_AUDIT_EVENT), RowExclusiveLock);
	(void) LockAcquire(&tag, ShareLock, false, false);
}

/*
 * Call this right after inserting events; after an error the end of the
 * (sub)transaction does it.  Makes the worker seal them.  They are on disk before
 * others see them, whatever synchronous_commit says: a crash takes no event back that
 * somebody has copied.
 */
void
ak_audit_unlock_after_write(void)
{
	LOCKTAG		tag = make_tag(WRITERS);
	AkDatabaseSlot *slot;

	(void) LockRelease(&tag, ShareLock, false);
	ForceSyncCommit();
	slot = ak_counters_exist() ? ak_database_slot_get() : NULL;
	if (slot)
		ak_database_slot_want(slot);
}

/*
 * Checks whether another transaction that may have written events is still
 * open, also a prepared one.  Never waits; in a transaction.
 */
bool
ak_audit_is_being_written(void)
{
	LOCKTAG		tag;
	int			count;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, ak_table_oid(AK_AUDIT_EVENT));
	GetLockConflicts(&tag, ShareLock, &count);
	return count > 0;
}

/*
 * Keeps other transactions from adding or removing seals until the end of the
 * transaction.  Returns false if it would have to wait and "wait" is false.
 */
bool
ak_audit_lock_chain(bool wait)
{
	LOCKTAG		tag = make_tag(CHAIN);

	if (!wait)
		return ak_try_lock(&tag, ExclusiveLock);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	return true;
}

/*
 * Returns a snapshot of the latest state, registered; the caller unregisters
 * it.  Each event inserted after it belongs to a transaction that is in
 * progress in it, and has a higher number than all present events.
 */
Snapshot
ak_audit_take_snapshot(void)
{
	LOCKTAG		tag = make_tag(WRITERS);
	Snapshot	snapshot;

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	(void) LockRelease(&tag, ExclusiveLock, false);
	return snapshot;
}

/* --- The feed ------------------------------------------------------------ */

/*
 * Which events are settled: no event can appear any more with a lower number
 * than theirs.
 *
 * That are all events up to the first one whose transaction is in progress, as a
 * seal finds it (audit_seal.c), but in the snapshot of the query that asks, so
 * that it sees them.  Events under a seal that it sees need not be looked at.
 */

PG_FUNCTION_INFO_V1(apikeys_first_unsettled_event);

/*
 * first_unsettled_event(after): the number of the first event after that one
 * that is not settled; the greatest number if all are.
 */
Datum
apikeys_first_unsettled_event(PG_FUNCTION_ARGS)
{
	Snapshot	snapshot = GetActiveSnapshot();
	LOCKTAG		writers = make_tag(WRITERS);
	int64		result = PG_INT64_MAX;
	AkSeal		last;
	AkChainScan events;

	PreventCommandDuringRecovery("audit_events_after()");
	/*
	 * Each event that has its number now is in the table then: those that come
	 * later have higher numbers than all that are there.
	 */
	(void) LockAcquire(&writers, ExclusiveLock, false, false);
	(void) LockRelease(&writers, ExclusiveLock, false);
	ak_chain_find_last_seal(snapshot, &last);
	ak_chain_begin_events(&events, SnapshotAny,
						  Max(PG_GETARG_INT64(0), last.last_event));
	while (ak_chain_next(&events))
	{
		CHECK_FOR_INTERRUPTS();
		if (ak_chain_event_is_in_progress(&events, snapshot))
		{
			result = ak_chain_event_id(&events);
			break;
		}
	}
	ak_chain_end(&events);
	PG_RETURN_INT64(result);
}
