/*
 * list_reader.c
 *	  See list_reader.h.
 *
 * A list that is out of line and not compressed is in chunks of about 2 kB in
 * the toast table.  A binary search reads one after the other, so of some lists
 * every session remembers what all searches begin with, the entries of the
 * first nodes, and where chunks were found, which spares their index.  A search
 * among a million networks then reads one or two chunks.
 *
 * A toasted value never changes, and its id is not used again before 4 billion
 * others were; together with the transaction that wrote the row it names the
 * value for longer than any session lasts.  So nothing here needs to be
 * invalidated: a changed list has another name.  Where a chunk was found is a
 * hint: what is there says which chunk it is.
 */
#include "postgres.h"

#include "core/compat.h"
#include "types/list_reader.h"
#include "types/type_access_list.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
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
 * So many lists are remembered, each in less than 200 kB, and less than 60 kB if
 * it has a million IPv4 networks.
 */
#define MEMORY_COUNT		16

/* The nodes of the first twelve levels are remembered; the first is 1. */
#define NODE_COUNT			4096

/* Columns of a toast table. */
#define CHUNK_ID			1
#define CHUNK_SEQUENCE		2
#define CHUNK_DATA			3

/* Where a chunk was found. */
typedef struct Place
{
	Buffer		buffer;			/* InvalidBuffer: unknown */
	BlockNumber block;
	OffsetNumber offset;
} Place;

/* The entries of nodes, those of one family. */
typedef struct Nodes
{
	uint32		count;
	bool	   *is_known;
	uint8	   *entries;
} Nodes;

struct AkListMemory
{
	Oid			toast_table;	/* InvalidOid: nothing is remembered */
	Oid			value;
	TransactionId writer;
	MemoryContext context;		/* of all that follows */
	bool		has_count4;
	uint32		count4;
	uint32		place_count;
	Place	   *places;
	Nodes		nodes4;
	Nodes		nodes6;
};

static AkListMemory memories[MEMORY_COUNT];

/* Chunks are immutable: what was found by a visible row is there. */
static SnapshotData toast_snapshot = {.snapshot_type = SNAPSHOT_TOAST};

/* --- What is remembered --------------------------------------------------- */

static void
make_nodes(Nodes *nodes, size_t entry_size, uint32 list_size)
{
	nodes->count = Min(NODE_COUNT, list_size / entry_size + 1);
	nodes->is_known = palloc0(nodes->count * sizeof(bool));
	nodes->entries = palloc(nodes->count * entry_size);
}

/* The memory of a list, where nothing may be known yet. */
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
	memory->place_count = reader->size / TOAST_MAX_CHUNK_SIZE + 1;
	memory->places = palloc0(memory->place_count * sizeof(Place));
	make_nodes(&memory->nodes4, AK_NETSET_ENTRY4_SIZE, reader->size);
	make_nodes(&memory->nodes6, AK_NETSET_ENTRY6_SIZE, reader->size);
	MemoryContextSwitchTo(old);
	memory->toast_table = toast_table;
	memory->value = reader->value;
	memory->writer = writer;
	return memory;
}

/* --- Chunks --------------------------------------------------------------- */

/*
 * Copies the data of a chunk's row, if it is that chunk; raises XX001 if it has
 * another size than it must have.
 */
static bool
copy_chunk(const AkListReader *reader, HeapTuple row, int32 chunk, char *data)
{
	TupleDesc	columns = RelationGetDescr(reader->toast);
	uint32		begin = (uint32) chunk * TOAST_MAX_CHUNK_SIZE;
	uint32		size = Min(reader->size - begin, TOAST_MAX_CHUNK_SIZE);
	struct varlena *stored;
	bool		isnull;

	if (DatumGetObjectId(fastgetattr(row, CHUNK_ID, columns, &isnull)) !=
		reader->value ||
		DatumGetInt32(fastgetattr(row, CHUNK_SEQUENCE, columns, &isnull)) !=
		chunk)
		return false;
	stored = (struct varlena *)
		DatumGetPointer(fastgetattr(row, CHUNK_DATA, columns, &isnull));
	if (VARATT_IS_EXTENDED(stored) && !VARATT_IS_SHORT(stored))
		ak_access_list_raise_damaged();
	if (VARSIZE_ANY_EXHDR(stored) != size)
		ak_access_list_raise_damaged();
	memcpy(data, VARDATA_ANY(stored), size);
	return true;
}

/* Reads a chunk where it was found; false if it is not there. */
static bool
read_place(const AkListReader *reader, const Place *place, int32 chunk,
		   char *data)
{
	HeapTupleData row;
	ItemId		item;
	Page		page;
	bool		is_there = false;

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
			row.t_tableOid = RelationGetRelid(reader->toast);
			ItemPointerSet(&row.t_self, place->block, place->offset);
			is_there = copy_chunk(reader, &row, chunk, data);
		}
	}
	UnlockReleaseBuffer(place->buffer);
	return is_there;
}

static void
note_place(const AkListReader *reader, const SysScanDesc scan, HeapTuple row,
		   int32 chunk)
{
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) scan->slot;
	Place	   *place = &reader->memory->places[chunk];

	if (reader->toast->rd_tableam != GetHeapamTableAmRoutine() ||
		BufferIsLocal(slot->buffer))
		return;
	place->buffer = slot->buffer;
	place->block = ItemPointerGetBlockNumber(&row->t_self);
	place->offset = ItemPointerGetOffsetNumber(&row->t_self);
}

/* Reads a chunk by the index; raises XX001 if it is missing. */
static void
search_chunk(const AkListReader *reader, int32 chunk, char *data)
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
				Int32GetDatum(chunk));
	scan = systable_beginscan_ordered(reader->toast, index, &toast_snapshot,
									  2, keys);
	row = systable_getnext_ordered(scan, ForwardScanDirection);
	if (row == NULL || !copy_chunk(reader, row, chunk, data))
		ak_access_list_raise_damaged();
	if (reader->memory)
		note_place(reader, scan, row, chunk);
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
}

/* The data of a chunk of the list, until the next but one is read. */
static const char *
get_chunk(AkListReader *reader, int32 chunk)
{
	int			turn = chunk % 2;
	char	   *data = reader->data[turn];

	if (reader->chunks[turn] == chunk)
		return data;
	reader->chunks[turn] = -1;
	if (reader->memory == NULL ||
		!read_place(reader, &reader->memory->places[chunk], chunk, data))
		search_chunk(reader, chunk, data);
	reader->chunks[turn] = chunk;
	return data;
}

/* Copies bytes of the list, at most as many as a chunk has. */
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

/* --- Entries -------------------------------------------------------------- */

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
		offset += reader->count4 * AK_NETSET_ENTRY4_SIZE + index * size;
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

static uint32
read_count4(AkListReader *reader)
{
	AkListMemory *memory = reader->memory;
	uint32		count4;

	if (memory && memory->has_count4)
		return memory->count4;
	if (reader->size < AK_ACCESS_LIST_COUNT_SIZE)
		ak_access_list_raise_damaged();
	copy_bytes(reader, 0, AK_ACCESS_LIST_COUNT_SIZE, (uint8 *) &count4);
	if (memory)
	{
		memory->count4 = count4;
		memory->has_count4 = true;
	}
	return count4;
}

/*
 * Fills in *set with a stored list, to be used until the reader is closed in
 * the same function; after an error the transaction does it.  "writer" is the
 * transaction that wrote the row that the list stands in; without one nothing
 * is remembered.  The caller has a snapshot that sees the row.  Memory is of the
 * current context.  This and reading the set raise XX001 for a damaged list.
 */
void
ak_list_open(struct varlena *list, TransactionId writer,
			 AkListReader *reader, AkNetset *set)
{
	struct varatt_external pointer;

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
	reader->memory = TransactionIdIsValid(writer) ?
		get_memory(reader, writer) : NULL;
	reader->chunks[0] = reader->chunks[1] = -1;
	reader->count4 = read_count4(reader);
	ak_access_list_count(reader->size, reader->count4, set);
	set->read = read_entry;
	set->argument = reader;
}

/* Ends it. */
void
ak_list_close(AkListReader *reader)
{
	if (reader->toast)
		table_close(reader->toast, AccessShareLock);
}
