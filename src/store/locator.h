/*
 * locator.h
 *	  Remembers where the row of a text key was last found, so that most
 *	  look-ups need no index descent.
 *
 * All entries are hints: a row is returned only after it was read in its page,
 * is visible to the snapshot and has the key, which must be unique and in the
 * first column.  So only the table counts, and an entry may be old, half
 * written or lost; the caller then uses the index and has the new place
 * remembered.
 *
 * If the library is preloaded, all backends share the entries, in shared
 * memory of the size apikeys.locator_size.
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
