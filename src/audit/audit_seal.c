/*
 * audit_seal.c
 *	  See audit_seal.h.
 *
 * A seal is a hash over the previous seal and the events after that one's, in
 * the order of their numbers (audit_hash.h). It covers all events up to the
 * first one whose transaction is still in progress; the events of longer
 * transactions are in a later seal.  Sealing never waits for a transaction to
 * end, and writers of events wait for a sealer only for a moment
 * (audit_lock.c).
 *
 * The number of the last seal is stored separately, so that a seal deleted
 * from the end is noticed.  Then nothing more is sealed: the damage must be
 * investigated, and not be covered.
 */
#include "postgres.h"

#include "audit/audit_chain.h"
#include "audit/audit_hash.h"
#include "audit/audit_lock.h"
#include "audit/audit_seal.h"
#include "base/owner.h"
#include "core/compat.h"
#include "core/errors.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/*
 * Most events of a seal, so that pruning, which deletes whole seals, is fine
 * enough.
 */
#define MAX_EVENTS		10000

/* The state of sealing. */
typedef struct Sealing
{
	Snapshot	snapshot;
	AkSeal		last;			/* the last seal made */
	AkChainScan events;			/* all versions of the events after it */
	bool		at_end;			/* no more events can be sealed now */
	MemoryContext event_context;
} Sealing;

PG_FUNCTION_INFO_V1(apikeys_seal_audit);

/* --- The events ---------------------------------------------------------- */

/*
 * Checks whether the transaction that inserted the event is still in progress.
 */
static bool
is_in_progress(const Sealing *sealing)
{
	HeapTuple	row = ExecFetchSlotHeapTuple(sealing->events.slot, false, NULL);
	TransactionId inserter = HeapTupleHeaderGetXmin(row->t_data);

	return TransactionIdIsCurrentTransactionId(inserter) ||
		XidInMVCCSnapshot(inserter, sealing->snapshot);
}

/*
 * Finds the next event to seal.  Events that were rolled back, or deleted
 * before they were sealed, are skipped.
 */
static bool
next_event(Sealing *sealing)
{
	while (!sealing->at_end)
	{
		CHECK_FOR_INTERRUPTS();
		sealing->at_end = !ak_chain_next(&sealing->events) ||
			is_in_progress(sealing);
		if (!sealing->at_end &&
			table_tuple_satisfies_snapshot(sealing->events.table,
										   sealing->events.slot,
										   sealing->snapshot))
			return true;
	}
	return false;
}

/* --- The seals ----------------------------------------------------------- */

static void
write_seal(const AkSeal *seal)
{
	static AkStatement insert = {
		"INSERT INTO apikeys.audit_seal "
		"(id, last_event, event_count, sealed_at, hash) "
		"VALUES ($1, $2, $3, $4, $5)",
		5, {INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, BYTEAOID}
	};
	static AkStatement note = {
		"INSERT INTO apikeys.audit_chain (last_seal) VALUES ($1) "
		"ON CONFLICT (is_only) DO UPDATE SET last_seal = excluded.last_seal",
		1, {INT8OID}
	};
	bytea	   *hash = palloc(VARHDRSZ + sizeof(seal->hash));
	Datum		values[5];

	SET_VARSIZE(hash, VARHDRSZ + sizeof(seal->hash));
	memcpy(VARDATA(hash), seal->hash, sizeof(seal->hash));
	values[0] = Int64GetDatum(seal->id);
	values[1] = Int64GetDatum(seal->last_event);
	values[2] = Int64GetDatum(seal->event_count);
	values[3] = TimestampTzGetDatum(seal->sealed_at);
	values[4] = PointerGetDatum(hash);
	ak_owner_execute(&insert, values, NULL);
	ak_owner_execute(&note, values, NULL);
}

/*
 * Makes the next seal; returns the number of its events, 0 if there are none.
 */
static int64
make_seal(Sealing *sealing)
{
	AkSeal		seal = {0};
	AkBlake2b	hash;

	ak_audit_hash_begin(&hash, &sealing->last);
	while (seal.event_count < MAX_EVENTS && next_event(sealing))
	{
		MemoryContext old = MemoryContextSwitchTo(sealing->event_context);

		ak_audit_hash_event(&hash, sealing->events.slot);
		MemoryContextSwitchTo(old);
		MemoryContextReset(sealing->event_context);
		seal.last_event = ak_chain_event_id(&sealing->events);
		seal.event_count++;
	}
	if (seal.event_count == 0)
		return 0;
	seal.id = sealing->last.id + 1;
	seal.sealed_at = GetCurrentTimestamp();
	ak_audit_hash_end(&hash, &seal, seal.hash);
	write_seal(&seal);
	sealing->last = seal;
	return seal.event_count;
}

static void
find_end_of_chain(Sealing *sealing)
{
	AkChain		chain;

	ak_chain_read(sealing->snapshot, &chain);
	ak_chain_find_last_seal(sealing->snapshot, &sealing->last);
	if (chain.last_seal != sealing->last.id)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("audit seal chain is truncated"),
				 errhint("apikeys.verify_audit() returns what is wrong."),
				 ak_errid("audit_damaged")));
}

/*
 * Seals all events that can be sealed, with at most so many seals, in the
 * current transaction, which keeps others from sealing until it ends.  Returns
 * the number of sealed events; 0 if another session is sealing and "wait" is
 * false.  Raises XX001 if the chain's end is damaged.
 */
int64
ak_audit_seal(int max_seals, bool wait)
{
	Sealing		sealing = {0};
	int64		sealed = 0;
	int64		count = 1;

	if (!ak_audit_lock_chain(wait))
		return 0;
	sealing.snapshot = ak_audit_take_snapshot();
	find_end_of_chain(&sealing);
	sealing.event_context = AllocSetContextCreate(CurrentMemoryContext,
												  "apikeys audit event",
												  ALLOCSET_DEFAULT_SIZES);
	ak_chain_begin_events(&sealing.events, SnapshotAny,
						  sealing.last.last_event);
	for (int seals = 0; seals < max_seals && count > 0; seals++)
	{
		count = make_seal(&sealing);
		sealed += count;
	}
	ak_chain_end(&sealing.events);
	MemoryContextDelete(sealing.event_context);
	UnregisterSnapshot(sealing.snapshot);
	return sealed;
}

Datum
apikeys_seal_audit(PG_FUNCTION_ARGS)
{
	PreventCommandDuringRecovery("seal_audit()");
	PreventCommandIfReadOnly("seal_audit()");
	PG_RETURN_INT64(ak_audit_seal(PG_INT32_MAX, true));
}
