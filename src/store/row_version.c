/*
 * row_version.c
 *	  Versions of rows that were cached: see AkRowVersion in keystore.h.
 */
#include "postgres.h"

#include "base/index_scan.h"
#include "base/tables.h"
#include "core/compat.h"
#include "store/keystore.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

static bool
views_are_equal(const AkView *a, const AkView *b)
{
	return a->completed != 0 && a->completed == b->completed &&
		a->own == b->own && a->command == b->command;
}

/*
 * Checks whether the snapshot sees this version, by reading the row where it
 * was.  Also false if the buffer no longer contains its page.
 */
static bool
reads_version(AkKeystore *store, Relation table, AkRowVersion *version)
{
	ItemPointerData tid = version->tid;
	HeapTupleData row;
	bool		is_seen;

	if (ak_relation_file(table) != version->file ||
		!ReadRecentBuffer(ak_relation_locator(table), MAIN_FORKNUM,
						  ItemPointerGetBlockNumber(&tid), version->buffer))
		return false;
	LockBuffer(version->buffer, BUFFER_LOCK_SHARE);
	is_seen = heap_hot_search_buffer(&tid, table, version->buffer,
									 store->snapshot, &row, NULL, true) &&
		ItemPointerEquals(&tid, &version->tid) &&
		HeapTupleHeaderGetRawXmin(row.t_data) == version->writer;
	UnlockReleaseBuffer(version->buffer);
	return is_seen;
}

/*
 * Checks whether the store sees this version of a row, so that what was cached of
 * it is what reading it again would return.  Reads the row only if a transaction
 * that wrote something has ended since the last check.  May read the relation's
 * catalog entry; locks the page while it reads.
 */
bool
ak_keystore_sees(AkKeystore *store, AkTable table, AkRowVersion *version)
{
	Relation	relation;
	bool		is_seen;

	if (views_are_equal(&store->view, &version->view))
		return true;
	if (!OidIsValid(version->file))
		return false;
	relation = table_open(ak_table_oid(table), AccessShareLock);
	is_seen = reads_version(store, relation, version);
	table_close(relation, NoLock);
	if (is_seen)
		version->view = store->view;
	return is_seen;
}

/* Fills in the version of the current row of a scan. */
void
ak_keystore_note_version(const AkKeystore *store, const AkIndexScan *scan,
						 AkRowVersion *version)
{
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) scan->slot;

	memset(version, 0, sizeof(*version));
	version->view = store->view;
	if (scan->table->rd_tableam == GetHeapamTableAmRoutine() &&
		BufferIsValid(slot->buffer) && !BufferIsLocal(slot->buffer))
	{
		version->file = ak_relation_file(scan->table);
		version->buffer = slot->buffer;
		version->tid = slot->base.tuple->t_self;
		version->writer = HeapTupleHeaderGetRawXmin(slot->base.tuple->t_data);
	}
}
