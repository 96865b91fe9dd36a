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
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

static bool
views_are_equal(const AkView *a, const AkView *b)
{
	return a->completed != 0 && a->completed == b->completed &&
		a->own == b->own && a->command == b->command;
}

/*
 * Checks whether the row at this place of the page, which is locked, is the version,
 * and whether the snapshot sees it.  It may be a heap-only tuple, which a search of
 * a chain begins with never, so the row is looked at by itself.  The place and who
 * wrote it identify a version of a file: see ak_keystore_note_version().
 */
static bool
is_visible_there(AkKeystore *store, Relation table, const AkRowVersion *version)
{
	Page		page = BufferGetPage(version->buffer);
	OffsetNumber offset = ItemPointerGetOffsetNumber(&version->tid);
	HeapTupleData row;
	ItemId		item;

	if (offset > PageGetMaxOffsetNumber(page))
		return false;
	item = PageGetItemId(page, offset);
	if (!ItemIdIsNormal(item))
		return false;
	row.t_self = version->tid;
	row.t_tableOid = RelationGetRelid(table);
	row.t_len = ItemIdGetLength(item);
	row.t_data = (HeapTupleHeader) PageGetItem(page, item);
	return HeapTupleHeaderGetRawXmin(row.t_data) == version->writer &&
		HeapTupleSatisfiesVisibility(&row, store->snapshot, version->buffer);
}

/*
 * Checks whether the snapshot sees this version, by reading the row where it
 * was.  Also false if the buffer no longer contains its page.
 */
static bool
reads_version(AkKeystore *store, Relation table, AkRowVersion *version)
{
	bool		is_seen;

	if (ak_relation_file(table) != version->file ||
		!ReadRecentBuffer(ak_relation_locator(table), MAIN_FORKNUM,
						  ItemPointerGetBlockNumber(&version->tid),
						  version->buffer))
		return false;
	LockBuffer(version->buffer, BUFFER_LOCK_SHARE);
	is_seen = is_visible_there(store, table, version);
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

/*
 * Fills in the version of the current row of a scan.  Once the transaction that wrote
 * it has ended, no other row can have its place and its writer; but that transaction
 * itself can truncate the file and write another row there.  So of its own rows only
 * the view is noted.
 */
void
ak_keystore_note_version(const AkKeystore *store, const AkIndexScan *scan,
						 AkRowVersion *version)
{
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) scan->slot;
	TransactionId writer;

	memset(version, 0, sizeof(*version));
	version->view = store->view;
	if (scan->table->rd_tableam != GetHeapamTableAmRoutine() ||
		!BufferIsValid(slot->buffer) || BufferIsLocal(slot->buffer))
		return;
	writer = HeapTupleHeaderGetRawXmin(slot->base.tuple->t_data);
	if (TransactionIdIsCurrentTransactionId(writer))
		return;
	version->file = ak_relation_file(scan->table);
	version->buffer = slot->buffer;
	version->tid = slot->base.tuple->t_self;
	version->writer = writer;
}
