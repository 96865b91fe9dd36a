/*
 * audit.h
 *	  The audit log: events, their seals, and what listeners are told.
 */
#ifndef AK_AUDIT_H
#define AK_AUDIT_H

#include "postgres.h"

#include "core/crypto.h"

#include "access/genam.h"
#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* --- audit_chain.c ------------------------------------------------------- */

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
extern bool ak_chain_event_is_in_progress(AkChainScan *events,
										  Snapshot snapshot);
extern void ak_chain_get_seal(AkChainScan *seals, AkSeal *seal);

extern void ak_audit_lock_for_write(void);
extern void ak_audit_unlock_after_write(void);
extern bool ak_audit_is_being_written(void);

extern bool ak_audit_lock_chain(bool wait);
extern Snapshot ak_audit_take_snapshot(void);

/* --- audit_seal.c -------------------------------------------------------- */

extern void ak_audit_hash_begin(AkBlake2b *hash, const AkSeal *before);
extern void ak_audit_hash_event(AkBlake2b *hash, TupleTableSlot *event);
extern void ak_audit_hash_end(AkBlake2b *hash, const AkSeal *seal,
							  uint8 digest[AK_BLAKE2B_SIZE]);

/*
 * Most events of a seal, so that pruning, which deletes whole seals, is fine
 * enough.
 */
#define AK_SEAL_MAX_EVENTS	10000

extern int64 ak_audit_seal(int max_seals, bool wait);

/* --- audit.c ------------------------------------------------------------- */

extern void ak_notices_init(void);
extern void ak_notices_count(const char *action, const char *public_key,
							 int64 count);

#endif							/* AK_AUDIT_H */
