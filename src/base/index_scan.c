/*
 * index_scan.c
 *	  See index_scan.h.
 *
 * Rows are read from the table, or from an index that contains all requested
 * columns.  As in an index-only scan, the table is then visited only for pages
 * that the visibility map does not mark as all-visible.
 */
#include "postgres.h"

#include "base/index_scan.h"
#include "core/compat.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "catalog/pg_collation.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/* A scan key for a text; it points to the value. */
void
ak_index_scan_text_key(ScanKey key, text *value)
{
	ScanKeyEntryInitialize(key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ,
						   PointerGetDatum(value));
}

/* A scan key for an id; it points to the value. */
void
ak_index_scan_uuid_key(ScanKey key, const pg_uuid_t *value)
{
	ScanKeyEntryInitialize(key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   InvalidOid, F_UUID_EQ, UUIDPGetDatum(value));
}

/* A scan key for an OID. */
void
ak_index_scan_oid_key(ScanKey key, Oid value)
{
	ScanKeyEntryInitialize(key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   InvalidOid, F_OIDEQ, ObjectIdGetDatum(value));
}

static void
begin(Snapshot snapshot, AkIndex index, ScanKey keys, int count,
	  bool index_only, AkIndexScan *scan)
{
	scan->index = index_open(ak_index_oid(index), AccessShareLock);
	scan->slot = table_slot_create(scan->table, NULL);
	scan->scan = ak_index_beginscan(scan->table, scan->index, snapshot, count);
	scan->scan->xs_want_itup = index_only;
	scan->map_buffer = InvalidBuffer;
	index_rescan(scan->scan, keys, count, NULL, 0);
}

/* The same as ak_index_scan_open(), where scan->table is open already. */
void
ak_index_scan_begin(Snapshot snapshot, AkIndex index, ScanKey key,
					bool index_only, AkIndexScan *scan)
{
	begin(snapshot, index, key, key ? 1 : 0, index_only, scan);
}

/* The same for a row that several keys find, of the first columns of the index. */
void
ak_index_scan_open_for(Snapshot snapshot, AkTable table, AkIndex index,
					   ScanKey keys, int count, AkIndexScan *scan)
{
	scan->table = ak_table_open(table, AccessShareLock);
	begin(snapshot, index, keys, count, false, scan);
}

/* Ends the scan, and leaves the table open. */
void
ak_index_scan_end(AkIndexScan *scan)
{
	index_endscan(scan->scan);
	if (BufferIsValid(scan->map_buffer))
		ReleaseBuffer(scan->map_buffer);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->index, NoLock);
}

/*
 * Begins a scan of the rows that are visible to the snapshot and match the key
 * (NULL: all), to be read by ak_index_scan_next_entry() if index_only is true,
 * else by ak_index_scan_next_row(). Allocates in the current context.
 */
void
ak_index_scan_open(Snapshot snapshot, AkTable table, AkIndex index,
				   ScanKey key, bool index_only, AkIndexScan *scan)
{
	scan->table = ak_table_open(table, AccessShareLock);
	ak_index_scan_begin(snapshot, index, key, index_only, scan);
}

/* Ends the scan. */
void
ak_index_scan_close(AkIndexScan *scan)
{
	ak_index_scan_end(scan);
	table_close(scan->table, NoLock);
}

/*
 * Moves to the next row, in the scan's slot; returns false if there is none.
 */
bool
ak_index_scan_next_row(AkIndexScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	return index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot);
}

/*
 * Moves to the next index entry of a visible row, for ak_index_scan_column();
 * returns false if there is none.
 */
bool
ak_index_scan_next_entry(AkIndexScan *scan)
{
	ItemPointer tid;

	while ((tid = index_getnext_tid(scan->scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (VM_ALL_VISIBLE(scan->table, ItemPointerGetBlockNumber(tid),
						   &scan->map_buffer))
			return true;
		if (index_fetch_heap(scan->scan, scan->slot))
		{
			ExecClearTuple(scan->slot);
			return true;
		}
	}
	return false;
}

/* Returns a column of the current index entry; points into it. */
Datum
ak_index_scan_column(AkIndexScan *scan, AttrNumber column, bool *isnull)
{
	return index_getattr(scan->scan->xs_itup, column,
						 scan->scan->xs_itupdesc, isnull);
}
