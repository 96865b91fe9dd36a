/*
 * new_keys.c
 *	  Forgets what was counted of keys that are rolled back.
 *
 * A transaction can use a key that it has made itself.  If it is rolled back, also to
 * a savepoint, there never was such a key: what was counted of it in shared memory
 * is forgotten, or it would be added to the next key of that name, which may be
 * another organization's.  No code of the extension runs where a prepared transaction
 * is rolled back: there it is kept like that of any key that does not exist
 * (operations/usage_flush.c).
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "usage/usage.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/arrayaccess.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(apikeys_note_new_keys);

typedef struct NewKeys
{
	struct NewKeys *before;		/* noted before these */
	SubTransactionId by;
	Oid			table;			/* of keys; not looked up in an abort */
	ArrayType  *names;
} NewKeys;

static NewKeys *newest = NULL;	/* in TopTransactionContext */

/* Called where no error may be raised: allocates nothing. */
static void
forget(const NewKeys *keys)
{
	int			count = ArrayGetNItems(ARR_NDIM(keys->names),
									   ARR_DIMS(keys->names));
	array_iter	iterator;
	bool		isnull;

	if (ak_counters_used() == 0)
		return;
	array_iter_setup(&iterator, (AnyArrayType *) keys->names);
	for (int i = 0; i < count; i++)
		ak_usage_counters_forget(DatumGetTextPP(array_iter_next(&iterator, &isnull, i,
																-1, false,
																TYPALIGN_INT)),
								 keys->table);
}

static void
end_transaction(XactEvent event, void *argument)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	if (event == XACT_EVENT_ABORT)
		for (; newest; newest = newest->before)
			forget(newest);
	newest = NULL;
}

/* Subtransactions are numbered in their order, those inside of one after it. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId own,
				   SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		for (; newest && newest->by >= own; newest = newest->before)
			forget(newest);
}

/* Called once, when the library is loaded. */
void
ak_new_keys_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/* note_new_keys(keys): forgets, if they are rolled back, what is counted of them. */
Datum
apikeys_note_new_keys(PG_FUNCTION_ARGS)
{
	MemoryContext old;
	NewKeys    *keys;

	if (!ak_counters_exist())
		PG_RETURN_VOID();
	old = MemoryContextSwitchTo(TopTransactionContext);
	keys = palloc(sizeof(NewKeys));
	keys->before = newest;
	keys->by = GetCurrentSubTransactionId();
	keys->table = ak_table_oid(AK_KEY);
	keys->names = PG_GETARG_ARRAYTYPE_P_COPY(0);
	MemoryContextSwitchTo(old);
	newest = keys;
	PG_RETURN_VOID();
}
