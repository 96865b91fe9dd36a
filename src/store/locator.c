/*
 * locator.c
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
 *
 * A table of buckets, each one cache line of eight entries, selected by the
 * hash of the key.  An entry is one word: the shared buffer that contained the
 * row, the row's line pointer, the cache line of the page in which the row
 * began, and more bits of the hash.  It is read and written as a whole,
 * without a lock and in no order; the page's number is the one that the buffer
 * has now.
 *
 * With many keys the cost of a look-up is the latency of memory: first of the
 * bucket, then of the buffer's header and the row, whose positions only the
 * bucket tells.  So they are prefetched in two steps, by callers that have
 * other work to do in between.
 *
 * Entries are never removed.  An entry may point to a buffer that now contains
 * another page, to a truncated page, a reused line pointer or a row that was
 * rolled back, and may belong to a dropped table or another database: then the
 * row found there is not the key's or not visible, and the entry is
 * overwritten after the index has found the row.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "store/store.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/bufmgr.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* A row with short lists has no more relevant cache lines. */
#define PREFETCHED_LINES	6

#define WAYS				8

typedef struct Bucket
{
	pg_atomic_uint64 entries[WAYS];
} Bucket;

/*
 * An entry's parts, from the lowest bit on.  There are fewer than 2^30 shared
 * buffers, and pages of at most 32 kB.  The buffer is never 0: that is a free
 * entry.
 */
#define BUFFER_BITS			30
#define OFFSET_BITS			11
#define LINE_BITS			9
#define TAG_BITS			14

typedef struct Place
{
	Buffer		buffer;
	OffsetNumber offset;		/* where the chain of versions begins */
	uint32		line;			/* of the row, within the page */
	uint32		tag;
} Place;

/* The entry that this session has found last; 0: none yet. */
static uint64 last_found = 0;

static Bucket *buckets = NULL;
static uint32 bucket_count;

/* --- The table ----------------------------------------------------------- */

static uint64
pack(const Place *place)
{
	return (uint64) place->buffer |
		(uint64) place->offset << BUFFER_BITS |
		(uint64) place->line << (BUFFER_BITS + OFFSET_BITS) |
		(uint64) place->tag << (BUFFER_BITS + OFFSET_BITS + LINE_BITS);
}

static uint32
take_bits(uint64 *entry, int bits)
{
	uint32		taken = *entry & ((UINT64CONST(1) << bits) - 1);

	*entry >>= bits;
	return taken;
}

static void
unpack(uint64 entry, Place *place)
{
	place->buffer = take_bits(&entry, BUFFER_BITS);
	place->offset = take_bits(&entry, OFFSET_BITS);
	place->line = take_bits(&entry, LINE_BITS);
	place->tag = entry;
}

static uint32
get_tag(uint64 hash)
{
	return hash & ((1 << TAG_BITS) - 1);
}

static bool
is_for(uint64 entry, uint32 tag)
{
	return entry >> (64 - TAG_BITS) == tag && entry != 0;
}

/*
 * The high half of the hash selects the bucket, so any number of buckets
 * works.
 */
static Bucket *
get_bucket(uint64 hash)
{
	return &buckets[((hash >> 32) * bucket_count) >> 32];
}

/* Returns the size of the shared memory of ak_locator_attach(), in bytes. */
Size
ak_locator_shared_size(void)
{
	return (Size) ak_locator_size * 1024;
}

/*
 * Creates or finds the table in shared memory.  Called from shmem_startup_hook
 * with AddinShmemInitLock held.
 */
void
ak_locator_attach(void)
{
	Size		size = ak_locator_shared_size();
	bool		found;

	buckets = ShmemInitStruct("apikeys locator", size, &found);
	bucket_count = size / sizeof(Bucket);
	for (uint32 i = 0; !found && i < bucket_count; i++)
		for (int way = 0; way < WAYS; way++)
			pg_atomic_init_u64(&buckets[i].entries[way], 0);
}

/* --- Asking it ----------------------------------------------------------- */

/*
 * Returns the hash that the other functions take, and prefetches the key's
 * bucket.
 */
uint64
ak_locator_hash(const text *key)
{
	uint64		hash =
		hash_bytes_extended((const unsigned char *) VARDATA_ANY(key),
							VARSIZE_ANY_EXHDR(key), MyDatabaseId);

	ak_prefetch(get_bucket(hash));
	return hash;
}

/* Returns the first entry for the tag or, if there is none, any used one. */
static int
choose_way(Bucket *bucket, uint32 tag)
{
	int			used = 0;

	for (int way = 0; way < WAYS; way++)
	{
		uint64		entry = pg_atomic_read_u64(&bucket->entries[way]);

		if (is_for(entry, tag))
			return way;
		if (entry != 0)
			used = way;
	}
	return used;
}

/*
 * Prefetches what ak_locator_find() is going to read.  Takes no pin: the
 * memory may contain anything.
 */
void
ak_locator_prefetch(uint64 hash)
{
	Bucket	   *bucket = get_bucket(hash);
	int			way = choose_way(bucket, get_tag(hash));
	Place		place;
	char	   *page;

	unpack(pg_atomic_read_u64(&bucket->entries[way]), &place);
	if (place.buffer < 1 || place.buffer > NBuffers)
		return;
	page = (char *) BufferGetBlock(place.buffer);
	ak_buffer_prefetch(place.buffer);
	ak_prefetch(page);
	ak_prefetch(PageGetItemId(page, place.offset));
	for (int i = 0; i < PREFETCHED_LINES; i++)
		ak_prefetch(page + ((place.line + i) * AK_CACHE_LINE_SIZE) % BLCKSZ);
}

/*
 * Serializable transactions use the index, so that they take their usual
 * predicate locks.
 */
static bool
is_usable(Relation table)
{
	return table->rd_tableam == GetHeapamTableAmRoutine() &&
		!RelationUsesLocalBuffers(table) && !IsolationIsSerializable();
}

static bool
has_key(HeapTuple row, Relation table, const text *key)
{
	bool		isnull;
	text	   *found = (text *) DatumGetPointer(heap_getattr(row, 1,
															  RelationGetDescr(table),
															  &isnull));

	/* A key that is so long that it was compressed is left to the index. */
	return !isnull &&
		!VARATT_IS_EXTERNAL(found) && !VARATT_IS_COMPRESSED(found) &&
		VARSIZE_ANY_EXHDR(found) == VARSIZE_ANY_EXHDR(key) &&
		memcmp(VARDATA_ANY(found), VARDATA_ANY(key),
			   VARSIZE_ANY_EXHDR(key)) == 0;
}

/*
 * Reads the row that the snapshot sees in the chain of versions at a line
 * pointer.  If there is one, the buffer remains pinned.
 */
static bool
find_at(const Place *place, Relation table, Snapshot snapshot, HeapTuple row)
{
	BlockNumber block;
	ItemPointerData tid;
	bool		found;

	if (place->buffer < 1 || place->buffer > NBuffers)
		return false;
	/* ReadRecentBuffer() checks it with the header locked. */
	block = ak_buffer_block(place->buffer);
	if (block == InvalidBlockNumber ||
		!ReadRecentBuffer(ak_relation_locator(table), MAIN_FORKNUM, block,
						  place->buffer))
		return false;
	ak_buffer_count_use(place->buffer);
	ItemPointerSet(&tid, block, place->offset);
	LockBuffer(place->buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&tid, table, place->buffer, snapshot, row,
								   NULL, true);
	LockBuffer(place->buffer, BUFFER_LOCK_UNLOCK);
	if (!found)
		ReleaseBuffer(place->buffer);
	return found;
}

static void
describe_place(uint64 hash, OffsetNumber root, HeapTuple row, Buffer buffer,
			   Place *place)
{
	place->buffer = buffer;
	place->offset = root;
	place->line = ((char *) row->t_data - (char *) BufferGetPage(buffer)) /
		AK_CACHE_LINE_SIZE;
	place->tag = get_tag(hash);
}

/*
 * Finds the row of a key that the snapshot sees, if it is at its last known
 * position.  Then the row points into the buffer, which the caller must
 * release; the row does not change before.  False says nothing about the row.
 *
 * The caller has opened and locked the table, until it has released the
 * buffer.  Locks the page while it reads.  Raises no error of its own.
 */
bool
ak_locator_find(uint64 hash, Relation table, Snapshot snapshot,
				const text *key, HeapTuple row, Buffer *buffer)
{
	Bucket	   *bucket = get_bucket(hash);
	uint32		tag = get_tag(hash);

	if (!is_usable(table))
		return false;
	for (int way = 0; way < WAYS; way++)
	{
		uint64		entry = pg_atomic_read_u64(&bucket->entries[way]);
		Place		place;

		if (!is_for(entry, tag))
			continue;
		unpack(entry, &place);
		if (!find_at(&place, table, snapshot, row))
			continue;
		if (!has_key(row, table, key))
		{
			ReleaseBuffer(place.buffer);
			continue;
		}
		*buffer = place.buffer;
		/* The row may have moved, within its page only. */
		describe_place(hash, place.offset, row, *buffer, &place);
		last_found = pack(&place);
		if (last_found != entry)
			pg_atomic_write_u64(&bucket->entries[way], last_found);
		return true;
	}
	return false;
}

/*
 * Finds a row of any key with an entry in the same bucket, or of the one found
 * last, like the function above.
 */
bool
ak_locator_find_another(uint64 hash, Relation table, Snapshot snapshot,
						HeapTuple row, Buffer *buffer)
{
	Bucket	   *bucket = get_bucket(hash);
	int			way = choose_way(bucket, get_tag(hash));
	uint64		entry = pg_atomic_read_u64(&bucket->entries[way]);
	Place		place;

	unpack(entry ? entry : last_found, &place);
	if (!is_usable(table) || !find_at(&place, table, snapshot, row))
		return false;
	*buffer = place.buffer;
	return true;
}

/*
 * Remembers the position that the index has found: the line pointer root, and
 * there this row, in this buffer.  Does nothing if the row is not usable.
 */
void
ak_locator_remember(uint64 hash, Relation table, const ItemPointerData *root,
					HeapTuple row, Buffer buffer)
{
	static uint32 turn = 0;

	Bucket	   *bucket = get_bucket(hash);
	uint32		tag = get_tag(hash);
	Place		place;
	int			chosen = -1;

	if (!is_usable(table) || !BufferIsValid(buffer) || BufferIsLocal(buffer))
		return;
	describe_place(hash, ItemPointerGetOffsetNumber(root), row, buffer,
				   &place);

	/* Replaces the key's last entry, else a free one, else any. */
	for (int way = 0; way < WAYS; way++)
	{
		uint64		entry = pg_atomic_read_u64(&bucket->entries[way]);

		if (is_for(entry, tag))
		{
			chosen = way;
			break;
		}
		if (entry == 0 && chosen < 0)
			chosen = way;
	}
	if (chosen < 0)
		chosen = turn++ % WAYS;
	last_found = pack(&place);
	pg_atomic_write_u64(&bucket->entries[chosen], last_found);
}

/* --- Versions of rows ---------------------------------------------------- */

/*
 * Versions of rows that were cached: see AkRowVersion in keystore.c.
 */

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
 * Checks whether the store sees this version of a row, so that what was cached of
 * it is what reading it again would return.  Reads the row only if a transaction
 * that wrote something has ended since the last check.  May read the relation's
 * catalog entry; locks the page while it reads.
 */
bool
ak_keystore_sees(AkKeystore *store, AkTable table, AkRowVersion *version)
{
	Relation	relation;
	bool		is_seen = false;

	if (views_are_equal(&store->view, &version->view))
		return true;
	if (!OidIsValid(version->file))
		return false;
	relation = table_open(ak_table_oid(table), AccessShareLock);
	/* The buffer may contain another page by now. */
	if (ak_relation_file(relation) == version->file &&
		ReadRecentBuffer(ak_relation_locator(relation), MAIN_FORKNUM,
						 ItemPointerGetBlockNumber(&version->tid),
						 version->buffer))
	{
		LockBuffer(version->buffer, BUFFER_LOCK_SHARE);
		is_seen = is_visible_there(store, relation, version);
		UnlockReleaseBuffer(version->buffer);
	}
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
