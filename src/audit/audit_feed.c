/*
 * audit_feed.c
 *	  Which events are settled: no event can appear any more with a lower number
 *	  than theirs.
 *
 * That are all events up to the first one whose transaction is in progress, as a
 * seal finds it (audit_seal.c), but in the snapshot of the query that asks, so
 * that it sees them.  Events under a seal that it sees need not be looked at.
 */
#include "postgres.h"

#include "audit/audit_chain.h"
#include "audit/audit_lock.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(apikeys_first_unsettled_event);

/* Whether the event's transaction is one that the snapshot has in progress. */
static bool
is_in_progress(AkChainScan *events, Snapshot snapshot)
{
	HeapTuple	row = ExecFetchSlotHeapTuple(events->slot, false, NULL);
	TransactionId inserter = HeapTupleHeaderGetXmin(row->t_data);

	return TransactionIdIsCurrentTransactionId(inserter) ||
		XidInMVCCSnapshot(inserter, snapshot);
}

/*
 * first_unsettled_event(after): the number of the first event after that one
 * that is not settled; the greatest number if all are.
 */
Datum
apikeys_first_unsettled_event(PG_FUNCTION_ARGS)
{
	Snapshot	snapshot = GetActiveSnapshot();
	int64		result = PG_INT64_MAX;
	AkSeal		last;
	AkChainScan events;

	PreventCommandDuringRecovery("audit_events_after()");
	ak_audit_wait_for_writers();
	ak_chain_find_last_seal(snapshot, &last);
	ak_chain_begin_events(&events, SnapshotAny,
						  Max(PG_GETARG_INT64(0), last.last_event));
	while (ak_chain_next(&events))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_in_progress(&events, snapshot))
		{
			result = ak_chain_event_id(&events);
			break;
		}
	}
	ak_chain_end(&events);
	PG_RETURN_INT64(result);
}
