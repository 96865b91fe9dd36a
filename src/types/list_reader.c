/*
 * list_reader.c
 *	  Reads access lists where they are stored: of a list that is out of line,
 *	  only the parts that a search needs.
 *
 * A list that is out of line and not compressed is stored in chunks of about 2
 * kB in the toast table.  A binary search reads one after the other.  So for
 * some lists every session caches what all searches begin with, the entries of
 * the first nodes, and the positions of chunks, which saves the index.  A
 * search among a million networks then reads one or two chunks.
 *
 * A toasted value never changes, and its id is reused only after 4 billion
 * others; together with the transaction that wrote the row it identifies the
 * value for longer than any session.  So the cache needs no invalidation: a
 * changed list has another identifier.  The position of a chunk is a hint: the
 * row found there tells which chunk it is.
 */
#include "postgres.h"

#include "core/compat.h"
#include "types/types.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/toast_internals.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/*
 * Number of cached lists, each less than 600 kB, and less than 180 kB for a
 * million IPv4 networks.
 */
#define MEMORY_COUNT		16

/* The nodes of the first fourteen levels are cached; the first is 1. */
#define NODE_COUNT			16384

/* Columns of a toast table. */
#define CHUNK_ID			1
#define CHUNK_SEQUENCE		2
#define CHUNK_DATA			3

/* The position of a chunk. */
typedef struct Place
{
	Buffer		buffer;			/* InvalidBuffer: unknown */
	BlockNumber block;
	OffsetNumber offset;
} Place;

/* The entries of nodes, all of one family. */
typedef struct Nodes
{
	uint32		count;
	bool	   *is_known;
	uint8	   *entries;
} Nodes;

struct AkListMemory
{
	Oid			toast_table;	/* InvalidOid: unused */
	Oid			value;
	TransactionId writer;
	MemoryContext context;		/* of all fields below */
	bool		has_count4;
	uint32		count4;
	Place	   *places;
	Nodes		nodes4;
	Nodes		nodes6;
};

static AkListMemory memories[MEMORY_COUNT];

/*
 * Chunks are immutable: the row that points to them is visible, so they exist.
 */
static SnapshotData toast_snapshot = {.snapshot_type = SNAPSHOT_TOAST};

/* --- Lists in memory ----------------------------------------------------- */

#define raise_damaged() \
	ereport(ERROR, \
			(errcode(ERRCODE_DATA_CORRUPTED), \
			 errmsg("access list is damaged"), \
			 ak_errid("access_list_damaged"), \
			 errhidestmt(true), \
			 errhidecontext(true)))

/*
 * Fills in only the counts of *set, for a list of that size with that number
 * of IPv4 networks.  Raises XX001 if they are inconsistent.
 */
static void
set_counts(size_t size, uint32 count4, AkNetset *set)
{
	memset(set, 0, sizeof(*set));
	if (size < AK_ACCESS_LIST_COUNT_SIZE)
		raise_damaged();
	size -= AK_ACCESS_LIST_COUNT_SIZE;
	if (count4 > size / AK_NETSET_ENTRY4_SIZE)
		raise_damaged();
	size -= (size_t) count4 * AK_NETSET_ENTRY4_SIZE;
	if (size % AK_NETSET_ENTRY6_SIZE != 0)
		raise_damaged();
	set->count4 = count4;
	set->count6 = size / AK_NETSET_ENTRY6_SIZE;
}

/*
 * Fills in *set as a view of a detoasted list, which must outlive it.  Raises
 * XX001 if its sizes are inconsistent.
 */
void
ak_access_list_view(struct varlena *list, AkNetset *set)
{
	const uint8 *bytes = (const uint8 *) VARDATA_ANY(list);
	size_t		size = VARSIZE_ANY_EXHDR(list);
	uint32		count4 = 0;

	if (size >= AK_ACCESS_LIST_COUNT_SIZE)
		memcpy(&count4, bytes, AK_ACCESS_LIST_COUNT_SIZE);
	set_counts(size, count4, set);
	set->entries4 = bytes + AK_ACCESS_LIST_COUNT_SIZE;
	set->entries6 = set->entries4 + (size_t) count4 * AK_NETSET_ENTRY4_SIZE;
}

/* --- What is remembered -------------------------------------------------- */

static void
make_nodes(Nodes *nodes, size_t entry_size, uint32 list_size)
{
	nodes->count = Min(NODE_COUNT, list_size / entry_size + 1);
	nodes->is_known = palloc0(nodes->count * sizeof(bool));
	nodes->entries = palloc(nodes->count * entry_size);
}

/* Returns the cache entry of a list, which may be empty. */
static AkListMemory *
get_memory(const AkListReader *reader, TransactionId writer)
{
	AkListMemory *memory = &memories[reader->value % MEMORY_COUNT];
	Oid			toast_table = RelationGetRelid(reader->toast);
	MemoryContext old;

	if (memory->toast_table == toast_table &&
		memory->value == reader->value && memory->writer == writer)
		return memory;
	memory->toast_table = InvalidOid;
	if (memory->context)
		MemoryContextReset(memory->context);
	else
		memory->context = AllocSetContextCreate(TopMemoryContext,
												"apikeys access list",
												ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(memory->context);
	memory->has_count4 = false;
	memory->places = palloc0((reader->size / TOAST_MAX_CHUNK_SIZE + 1) *
							 sizeof(Place));
	make_nodes(&memory->nodes4, AK_NETSET_ENTRY4_SIZE, reader->size);
	make_nodes(&memory->nodes6, AK_NETSET_ENTRY6_SIZE, reader->size);
	MemoryContextSwitchTo(old);
	memory->toast_table = toast_table;
	memory->value = reader->value;
	memory->writer = writer;
	return memory;
}

/* --- Chunks -------------------------------------------------------------- */

/*
 * Returns the data of a chunk's row, in the row; NULL if it is another chunk.
 * Raises XX001 if its size is wrong.
 */
static const char *
view_chunk(const AkListReader *reader, HeapTuple row, int32 number)
{
	TupleDesc	columns = RelationGetDescr(reader->toast);
	uint32		begin = (uint32) number * TOAST_MAX_CHUNK_SIZE;
	struct varlena *stored;
	bool		isnull;

	if (DatumGetObjectId(fastgetattr(row, CHUNK_ID, columns, &isnull)) !=
		reader->value ||
		DatumGetInt32(fastgetattr(row, CHUNK_SEQUENCE, columns, &isnull)) !=
		number)
		return NULL;
	stored = (struct varlena *)
		DatumGetPointer(fastgetattr(row, CHUNK_DATA, columns, &isnull));
	if ((VARATT_IS_EXTENDED(stored) && !VARATT_IS_SHORT(stored)) ||
		VARSIZE_ANY_EXHDR(stored) !=
		Min(reader->size - begin, TOAST_MAX_CHUNK_SIZE))
		raise_damaged();
	return VARDATA_ANY(stored);
}

static void
release_chunk(AkListChunk *chunk)
{
	if (chunk->data && BufferIsValid(chunk->buffer))
		ReleaseBuffer(chunk->buffer);
	chunk->data = NULL;
}

/*
 * Reads a chunk at its last known position; false if it is not there.  While
 * its page is pinned, the row stays there.
 */
static bool
read_place(const AkListReader *reader, const Place *place, AkListChunk *chunk)
{
	HeapTupleData row;
	ItemId		item;
	Page		page;

	if (!BufferIsValid(place->buffer) ||
		!ReadRecentBuffer(ak_relation_locator(reader->toast), MAIN_FORKNUM,
						  place->block, place->buffer))
		return false;
	LockBuffer(place->buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(place->buffer);
	if (place->offset <= PageGetMaxOffsetNumber(page))
	{
		item = PageGetItemId(page, place->offset);
		if (ItemIdIsNormal(item))
		{
			row.t_data = (HeapTupleHeader) PageGetItem(page, item);
			row.t_len = ItemIdGetLength(item);
			chunk->data = view_chunk(reader, &row, chunk->number);
		}
	}
	LockBuffer(place->buffer, BUFFER_LOCK_UNLOCK);
	chunk->buffer = place->buffer;
	if (chunk->data == NULL)
		ReleaseBuffer(place->buffer);
	return chunk->data != NULL;
}

/*
 * Keeps the chunk that a scan has found, and its position; raises XX001 if it
 * has found none, or another one.
 */
static void
take_chunk(const AkListReader *reader, SysScanDesc scan, HeapTuple row,
		   AkListChunk *chunk)
{
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) scan->slot;
	const char *data = row ? view_chunk(reader, row, chunk->number) : NULL;
	Place	   *place;

	if (data == NULL)
		raise_damaged();
	if (reader->toast->rd_tableam != GetHeapamTableAmRoutine())
	{
		chunk->buffer = InvalidBuffer;
		chunk->data = memcpy(palloc(TOAST_MAX_CHUNK_SIZE), data,
							 Min(reader->size - chunk->number * TOAST_MAX_CHUNK_SIZE,
								 TOAST_MAX_CHUNK_SIZE));
		return;
	}
	IncrBufferRefCount(slot->buffer);
	chunk->buffer = slot->buffer;
	chunk->data = data;
	if (reader->memory == NULL || BufferIsLocal(slot->buffer))
		return;
	place = &reader->memory->places[chunk->number];
	place->buffer = slot->buffer;
	place->block = ItemPointerGetBlockNumber(&row->t_self);
	place->offset = ItemPointerGetOffsetNumber(&row->t_self);
}

/* Reads a chunk by index; raises XX001 if it is missing. */
static void
search_chunk(const AkListReader *reader, AkListChunk *chunk)
{
	Relation	index = index_open(toast_get_valid_index(RelationGetRelid(reader->toast),
														 AccessShareLock),
								   AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&keys[0], CHUNK_ID, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(reader->value));
	ScanKeyInit(&keys[1], CHUNK_SEQUENCE, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(chunk->number));
	scan = systable_beginscan_ordered(reader->toast, index, &toast_snapshot,
									  2, keys);
	row = systable_getnext_ordered(scan, ForwardScanDirection);
	take_chunk(reader, scan, row, chunk);
	systable_endscan_ordered(scan);
	index_close(index, NoLock);
}

/*
 * Returns the data of a chunk of the list; valid until the next but one is
 * read.
 */
static const char *
get_chunk(AkListReader *reader, int32 number)
{
	AkListChunk *chunk = &reader->chunks[number % 2];

	if (chunk->data && chunk->number == number)
		return chunk->data;
	release_chunk(chunk);
	chunk->number = number;
	if (reader->memory == NULL ||
		!read_place(reader, &reader->memory->places[number], chunk))
		search_chunk(reader, chunk);
	return chunk->data;
}

/* Copies bytes of the list, at most one chunk. */
static void
copy_bytes(AkListReader *reader, uint32 offset, uint32 size, uint8 *bytes)
{
	int32		chunk = offset / TOAST_MAX_CHUNK_SIZE;
	uint32		begin = offset % TOAST_MAX_CHUNK_SIZE;
	uint32		here = Min(size, TOAST_MAX_CHUNK_SIZE - begin);

	memcpy(bytes, get_chunk(reader, chunk) + begin, here);
	if (here < size)
		memcpy(bytes + here, get_chunk(reader, chunk + 1), size - here);
}

/* --- Entries ------------------------------------------------------------- */

/* An AkNetsetRead. */
static void
read_entry(void *argument, unsigned family, size_t index, size_t node,
		   uint8_t *entry)
{
	AkListReader *reader = argument;
	Nodes	   *nodes = NULL;
	uint32		offset = AK_ACCESS_LIST_COUNT_SIZE;
	uint32		size;

	if (family == 4)
	{
		size = AK_NETSET_ENTRY4_SIZE;
		offset += index * size;
	}
	else
	{
		size = AK_NETSET_ENTRY6_SIZE;
		offset += (size_t) reader->count4 * AK_NETSET_ENTRY4_SIZE +
			index * size;
	}
	if (reader->memory)
		nodes = family == 4 ? &reader->memory->nodes4 : &reader->memory->nodes6;
	if (nodes == NULL || node == 0 || node >= nodes->count)
	{
		copy_bytes(reader, offset, size, entry);
		return;
	}
	if (!nodes->is_known[node])
	{
		copy_bytes(reader, offset, size, nodes->entries + node * size);
		nodes->is_known[node] = true;
	}
	memcpy(entry, nodes->entries + node * size, size);
}

/*
 * Fills in *set with a stored list.  The caller closes the reader in the same
 * function; after an error the transaction does it.  Locks of the toast table
 * are kept until the transaction ends.  "writer" is the transaction that wrote
 * the row of the list; without one nothing is cached.  The caller has a
 * snapshot that sees the row.  Memory is allocated in the current context.
 * This and reading the set raise XX001 for a damaged list.
 */
void
ak_list_open(struct varlena *list, TransactionId writer,
			 AkListReader *reader, AkNetset *set)
{
	struct varatt_external pointer;
	AkListMemory *memory;

	reader->toast = NULL;
	if (VARATT_IS_EXTERNAL_ONDISK(list))
		VARATT_EXTERNAL_GET_POINTER(pointer, list);
	if (!VARATT_IS_EXTERNAL_ONDISK(list) ||
		VARATT_EXTERNAL_IS_COMPRESSED(pointer))
	{
		ak_access_list_view(pg_detoast_datum_packed(list), set);
		return;
	}
	reader->toast = table_open(pointer.va_toastrelid, AccessShareLock);
	reader->value = pointer.va_valueid;
	reader->size = VARATT_EXTERNAL_GET_EXTSIZE(pointer);
	memory = TransactionIdIsValid(writer) ? get_memory(reader, writer) : NULL;
	reader->memory = memory;
	reader->chunks[0].data = reader->chunks[1].data = NULL;
	/* A list that is too short to have it: set_counts() raises that. */
	reader->count4 = 0;
	if (memory && memory->has_count4)
		reader->count4 = memory->count4;
	else if (reader->size >= AK_ACCESS_LIST_COUNT_SIZE)
		copy_bytes(reader, 0, AK_ACCESS_LIST_COUNT_SIZE,
				   (uint8 *) &reader->count4);
	if (memory)
	{
		memory->count4 = reader->count4;
		memory->has_count4 = true;
	}
	set_counts(reader->size, reader->count4, set);
	set->read = read_entry;
	set->argument = reader;
}

/* Releases the reader. */
void
ak_list_close(AkListReader *reader)
{
	if (reader->toast == NULL)
		return;
	release_chunk(&reader->chunks[0]);
	release_chunk(&reader->chunks[1]);
	table_close(reader->toast, NoLock);
}
