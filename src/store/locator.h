/*
 * locator.h
 *	  Remembers where the row of a text key was last found, so that most
 *	  look-ups need no index descent.
 *
 * All that is remembered is a hint: a row is answered only after it was read
 * in its page, seen by the snapshot and found to have the key, which must be
 * unique and in the first column.  So the table is the only truth, and what is
 * remembered may be old, half written or lost; the caller then uses the index
 * and has the new place remembered.
 *
 * Where the library is preloaded, all backends remember together, in shared
 * memory of the size that apikeys.locator_size says.
 */
#ifndef AK_LOCATOR_H
#define AK_LOCATOR_H

#include "postgres.h"

#include "access/htup.h"
#include "storage/buf.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

extern Size ak_locator_shared_size(void);
extern void ak_locator_attach(void);

extern uint64 ak_locator_hash(const text *key);
extern void ak_locator_prefetch(uint64 hash);
extern bool ak_locator_find(uint64 hash, Relation table, Snapshot snapshot,
							const text *key, HeapTuple row, Buffer *buffer);
extern bool ak_locator_find_another(uint64 hash, Relation table,
									Snapshot snapshot, HeapTuple row,
									Buffer *buffer);
extern void ak_locator_remember(uint64 hash, Relation table,
								const ItemPointerData *root, HeapTuple row,
								Buffer buffer);

#endif							/* AK_LOCATOR_H */
