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
 * Returns where the counters of a key are, for ak_counter_prefetch(), and prefetches
 * it; the key need not exist.
 */
Size
ak_usage_prefetch_root(const text *public_key)
{
	if (!ak_track_usage || !ak_counters_exist())
		return 0;
	return ak_counter_prefetch_root(VARDATA_ANY(public_key),
									VARSIZE_ANY_EXHDR(public_key), MyDatabaseId);
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
 * Records a use of a key, of that organization, or a denial; the public key is NULL
 * where it is not known whose key was meant.  Raises no error of its own and waits for
 * no lock on a row.
 */
void
ak_usage_record(const text *public_key, const pg_uuid_t *organization,
				const AkUse *use)
{
	AkDatabaseSlot *slot;

	if (!ak_track_usage)
		return;
	slot = ak_database_slot_get();
	if (slot == NULL)
		return;
	if (public_key && use->reason != AK_UNKNOWN_KEY)
	{
		attend_to(slot, ak_usage_counters_add(public_key, organization, use));
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
ak_usage_record_grant(const text *public_key, const pg_uuid_t *organization,
					  uint64 grant)
{
	AkDatabaseSlot *slot = ak_track_usage && ak_counters_exist() ?
		ak_database_slot_get() : NULL;

	if (slot)
		attend_to(slot, ak_usage_counters_add_grant(public_key, organization, grant,
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
ak_usage_forget_networks(text *public_key, const pg_uuid_t *organization,
						 const AkNetset *access_list)
{
	Datum		in_flight = ak_counters_exist() ?
		ak_usage_counters_forget_networks(public_key, organization, access_list) :
		PointerGetDatum(construct_empty_array(CIDROID));

	ak_usage_mark_removed(public_key, in_flight);
}
