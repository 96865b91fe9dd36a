/*
 * audit_chain.c
 *	  See audit_chain.h.
 */
#include "postgres.h"

#include "audit/audit_chain.h"
#include "base/tables.h"
#include "core/compat.h"

#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

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

static void
begin_scan(AkChainScan *scan, AkTable table, AkIndex index, Snapshot snapshot,
		   int64 after)
{
	ScanKeyData key;

	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(after));
	scan->table = ak_table_open(table, AccessShareLock);
	scan->index = index_open(ak_index_oid(index), AccessShareLock);
	scan->slot = table_slot_create(scan->table, NULL);
	scan->scan = ak_index_beginscan(scan->table, scan->index, snapshot, 1);
	index_rescan(scan->scan, &key, 1, NULL, 0);
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
	memcpy(seal->hash, VARDATA_ANY(hash),
		   Min(VARSIZE_ANY_EXHDR(hash), sizeof(seal->hash)));
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
