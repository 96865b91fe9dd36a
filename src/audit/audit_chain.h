/*
 * audit_chain.h
 *	  Reads the audit log's events and seals by number, and the row about the
 *	  whole chain of seals.
 *
 * It reads all rows for any caller: callers check first whether the principal
 * may.
 */
#ifndef AK_AUDIT_CHAIN_H
#define AK_AUDIT_CHAIN_H

#include "postgres.h"

#include "access/genam.h"
#include "core/crypto.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* A row of audit_seal; all zero where there is none yet. */
typedef struct AkSeal
{
	int64		id;
	int64		last_event;
	int64		event_count;
	TimestampTz sealed_at;
	uint8		hash[AK_BLAKE2B_SIZE];
} AkSeal;

/* The row of audit_chain; all zero where there is none yet. */
typedef struct AkChain
{
	int64		last_seal;
	int64		pruned_seal;	/* 0: nothing was pruned */
	int64		pruned_by;		/* the event that records it */
} AkChain;

/*
 * The rows of a table by their number, in ascending order from the one after
 * "after". Do not call a scan that has ended.
 */
typedef struct AkChainScan
{
	Relation	table;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;		/* the current row */
} AkChainScan;

extern void ak_chain_read(Snapshot snapshot, AkChain *chain);
extern void ak_chain_find_last_seal(Snapshot snapshot, AkSeal *seal);

extern void ak_chain_begin_events(AkChainScan *scan, Snapshot snapshot,
								  int64 after);
extern void ak_chain_begin_seals(AkChainScan *scan, Snapshot snapshot);
extern bool ak_chain_next(AkChainScan *scan);
extern void ak_chain_end(AkChainScan *scan);

extern int64 ak_chain_event_id(AkChainScan *events);
extern TimestampTz ak_chain_event_time(AkChainScan *events);
extern void ak_chain_get_seal(AkChainScan *seals, AkSeal *seal);

#endif							/* AK_AUDIT_CHAIN_H */
