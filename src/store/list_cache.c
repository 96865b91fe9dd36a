/*
 * list_cache.c
 *	  See list_cache.h.
 *
 * A list that is stored out of line costs a scan of the toast table at each
 * decision.  A toasted value never changes, and its id is not used again before
 * 4 billion others were; together with the transaction that wrote the row it
 * names the value for longer than any session lasts.  So nothing here needs
 * to be invalidated: a changed list has another name.
 */
#include "postgres.h"

#include "core/compat.h"
#include "store/list_cache.h"

#include "access/detoast.h"
#include "utils/memutils.h"

/* The whole cache takes no more than this, about 100,000 IPv4 networks. */
#define SLOT_COUNT		8
#define MAX_LIST_SIZE	(64 * 1024)

typedef struct Slot
{
	Oid			toast_table;	/* InvalidOid: the slot is free */
	Oid			value;
	TransactionId writer;
	struct varlena *list;
} Slot;

static Slot slots[SLOT_COUNT];

/*
 * A list ready to be read.  What is returned may be the argument itself, a
 * copy in the current memory context, or the cache's own, which lives until
 * the next call.  "writer" is the transaction that wrote the row that the list
 * stands in.  The caller has a snapshot that sees the row.
 */
struct varlena *
ak_list_cache_get(struct varlena *list, TransactionId writer)
{
	struct varatt_external pointer;
	struct varlena *copy;
	Slot	   *slot;

	if (!VARATT_IS_EXTERNAL_ONDISK(list))
		return pg_detoast_datum_packed(list);
	VARATT_EXTERNAL_GET_POINTER(pointer, list);
	if (pointer.va_rawsize > MAX_LIST_SIZE)
		return pg_detoast_datum_packed(list);

	slot = &slots[pointer.va_valueid % SLOT_COUNT];
	if (slot->toast_table == pointer.va_toastrelid &&
		slot->value == pointer.va_valueid && slot->writer == writer)
		return slot->list;

	slot->toast_table = InvalidOid;
	if (slot->list)
		pfree(slot->list);
	slot->list = NULL;
	copy = pg_detoast_datum_packed(list);
	slot->list = MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(copy));
	memcpy(slot->list, copy, VARSIZE_ANY(copy));
	pfree(copy);
	slot->toast_table = pointer.va_toastrelid;
	slot->value = pointer.va_valueid;
	slot->writer = writer;
	return slot->list;
}
