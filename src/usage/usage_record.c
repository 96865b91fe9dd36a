/*
 * usage_record.c
 *	  Records when and from where keys are used, and forgets it.
 *
 * A use or a denial is counted in shared memory (usage_counters.c), and a
 * worker writes it to the tables in batches (usage_worker.c). So nothing is
 * written here, and a rollback of the caller's transaction does not undo it.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "usage/limits.h"
#include "usage/usage.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Requests the shared memory; called once, in the postmaster. */
void
ak_usage_request(void)
{
	ak_counters_request();
	ak_limits_request();
	ak_database_slots_request();
}

/* Creates or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_usage_attach(void)
{
	ak_counters_attach();
	ak_limits_attach();
	ak_database_slots_attach();
}

/*
 * The slot to count in, or NULL.  What was spent of limits before the extension
 * was dropped and created again, which the worker may not have seen, is forgotten.
 * (Counters name the table that they count for.)
 */
AkDatabaseSlot *
ak_usage_slot(void)
{
	AkDatabaseSlot *slot = ak_database_slot_get();
	uint32		table = ak_table_oid(AK_KEY);
	uint32		before;

	if (slot == NULL)
		return NULL;
	before = pg_atomic_read_u32(&slot->counted_for);
	if (before != table &&
		pg_atomic_compare_exchange_u32(&slot->counted_for, &before, table) &&
		OidIsValid(before))
	{
		ak_limits_purge(MyDatabaseId);
		ak_rehash_forget(MyDatabaseId);
	}
	return slot;
}

/* Updates the slot after a count, or after a lack of room. */
static void
attend_to(AkDatabaseSlot *slot, AkCounting counting)
{
	if (counting == AK_COUNTED_COARSELY)
		pg_atomic_fetch_add_u64(&slot->coarse, 1);
	else if (counting == AK_NOT_COUNTED)
		pg_atomic_fetch_add_u64(&slot->lost, 1);
	if (ak_counters_are_filling())
		ak_database_slots_make_room();
	ak_database_slot_want(slot);
}

/*
 * Records a use of a key or a denial; the public key is NULL where it is not known
 * whose key was meant.  Raises no error of its own and waits for no lock on a row.
 */
void
ak_usage_record(text *public_key, const AkUse *use)
{
	AkDatabaseSlot *slot;

	if (!ak_track_usage)
		return;
	slot = ak_usage_slot();
	if (slot == NULL)
		return;
	if (public_key && use->reason != AK_UNKNOWN_KEY)
	{
		attend_to(slot, ak_usage_counters_add(public_key, use));
		return;
	}
	pg_atomic_fetch_add_u64(&slot->unknown_keys, 1);
	if (public_key)
		ak_usage_counters_search_in_vain(public_key);
}

/*
 * Records that a role (ak_grant_id()) of a bound key allowed an action, if
 * that can be counted in memory: it is called in queries, which must not
 * write.
 */
void
ak_usage_record_grant(text *public_key, uint64 grant)
{
	AkDatabaseSlot *slot = ak_track_usage && ak_counters_exist() ?
		ak_usage_slot() : NULL;

	if (slot)
		attend_to(slot, ak_usage_counters_add_grant(public_key, grant,
													GetCurrentTimestamp()));
}

/* --- Forgetting ---------------------------------------------------------- */

/*
 * Removes everything in memory of a dropped database.  No session is connected
 * to it, and none can connect.
 */
void
ak_usage_forget_database(Oid database)
{
	AkDatabaseSlot *slot = ak_database_slot_find(database);

	ak_counters_purge(database);
	ak_limits_purge(database);
	ak_rehash_forget(database);
	if (slot)
		ak_database_slot_free(slot);
}

/*
 * After this transaction has deleted a key, deletes what is recorded of it, and
 * after it has deleted a secret, adds its uses to those of no secret.  This
 * transaction itself leaves them alone: the worker adds to them meanwhile, and
 * waits for no tenant.  Where there is no slot, the first worker of the database
 * looks for them.
 */
void
ak_usage_forget(text *public_key)
{
	AkDatabaseSlot *slot = ak_counters_exist() ?
		ak_database_slot_get() : NULL;
	TransactionId deleter;

	if (slot == NULL)
		return;
	deleter = GetTopTransactionId();
	if (ak_usage_counters_note_deletion(public_key, deleter))
		ak_database_slot_want(slot);
	else
		ak_database_slot_want_sweep(slot, deleter);
}

/*
 * Removes the networks of a key's uses that are no longer in its access list.
 * The written uses are changed in this transaction; the uses in memory at
 * once, also if the transaction is rolled back.  They stay uses of the key.
 */
void
ak_usage_forget_networks(text *public_key, const AkNetset *access_list)
{
	if (ak_counters_exist())
		ak_usage_counters_forget_networks(public_key, access_list);
	ak_usage_mark_removed(public_key);
}

/* --- New keys that are rolled back --------------------------------------- */

/*
 * A transaction can use a key that it has made itself.  If it is rolled back,
 * also to a savepoint, there never was such a key: what was counted of it in
 * shared memory is forgotten, or it would be added to the next key of that name,
 * which may be another organization's; and what was spent of its limits is freed,
 * for nothing else would do it.  No code of the extension runs where a
 * prepared transaction is rolled back: there it is kept like that of any key that
 * does not exist (operations/usage_flush.c).
 */
typedef struct NewKeys
{
	struct NewKeys *before;		/* noted before these */
	SubTransactionId by;
	Oid			table;			/* of keys; not looked up in an abort */
	ArrayType  *names;
	ArrayType  *limits_ids;
} NewKeys;

static NewKeys *newest = NULL;	/* in TopTransactionContext */

static int
get_count(const ArrayType *array)
{
	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

/* Called where no error may be raised: allocates nothing. */
static void
forget_new_keys(const NewKeys *keys)
{
	const pg_uuid_t *limits_ids = (pg_uuid_t *) ARR_DATA_PTR(keys->limits_ids);
	int			count = get_count(keys->names);
	array_iter	iterator;

	for (int i = 0; i < get_count(keys->limits_ids); i++)
		ak_limits_free(&limits_ids[i], 0);
	if (ak_counters_used() == 0)
		return;
	ak_text_iter_setup(&iterator, keys->names);
	for (int i = 0; i < count; i++)
		ak_usage_counters_forget(DatumGetTextPP(ak_text_iter_next(&iterator, i)),
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
			forget_new_keys(newest);
	newest = NULL;
}

/* Subtransactions are numbered in their order, those inside of one after it. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId own,
				   SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		for (; newest && newest->by >= own; newest = newest->before)
			forget_new_keys(newest);
}

/* Called once, when the library is loaded. */
void
ak_usage_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Forgets, if this (sub)transaction is rolled back, what is counted of the keys
 * that it has made, and what is spent of their limits; copies both arrays.
 */
void
ak_usage_note_new_keys(ArrayType *names, ArrayType *limits_ids)
{
	MemoryContext old;
	NewKeys    *keys;

	if (!ak_counters_exist())
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	keys = palloc(sizeof(NewKeys));
	keys->before = newest;
	keys->by = GetCurrentSubTransactionId();
	keys->table = ak_table_oid(AK_KEY);
	keys->names = DatumGetArrayTypePCopy(PointerGetDatum(names));
	keys->limits_ids = DatumGetArrayTypePCopy(PointerGetDatum(limits_ids));
	MemoryContextSwitchTo(old);
	newest = keys;
}
