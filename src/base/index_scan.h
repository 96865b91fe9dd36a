/*
 * index_scan.h
 *	  Scans of the extension's tables by an index, on its first column.
 *
 * A scan is ended in the function that began it; after an error the
 * transaction ends it.  The scan takes AccessShareLocks and keeps them until
 * the transaction ends, as the executor does: taking them again is cheap.
 */
#ifndef AK_INDEX_SCAN_H
#define AK_INDEX_SCAN_H

#include "postgres.h"

#include "base/tables.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "storage/buf.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

typedef struct AkIndexScan
{
	Relation	table;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	Buffer		map_buffer;		/* a page of the visibility map */
} AkIndexScan;

extern void ak_index_scan_text_key(ScanKey key, text *value);
extern void ak_index_scan_uuid_key(ScanKey key, const pg_uuid_t *value);
extern void ak_index_scan_oid_key(ScanKey key, Oid value);

extern void ak_index_scan_open(Snapshot snapshot, AkTable table, AkIndex index,
							   ScanKey key, bool index_only,
							   AkIndexScan *scan);
extern void ak_index_scan_close(AkIndexScan *scan);
extern void ak_index_scan_begin(Snapshot snapshot, AkIndex index, ScanKey key,
								bool index_only, AkIndexScan *scan);
extern void ak_index_scan_open_for(Snapshot snapshot, AkTable table,
								   AkIndex index, ScanKey keys, int count,
								   AkIndexScan *scan);
extern void ak_index_scan_end(AkIndexScan *scan);

extern bool ak_index_scan_next_row(AkIndexScan *scan);
extern bool ak_index_scan_next_entry(AkIndexScan *scan);
extern Datum ak_index_scan_column(AkIndexScan *scan, AttrNumber column,
								  bool *isnull);

#endif							/* AK_INDEX_SCAN_H */
