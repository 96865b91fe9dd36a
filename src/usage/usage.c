/*
 * usage.c
 *	  See usage.h.
 *
 * A use or a denial is counted in shared memory (usage_counters.c), from where
 * a worker writes it to the tables in batches (usage_worker.c): nothing is
 * written here, whatever becomes of the caller's transaction.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/compat.h"
#include "usage/database_slot.h"
#include "usage/rehash.h"
#include "usage/usage.h"
#include "usage/usage_counters.h"
#include "usage/usage_merge.h"

#include "access/xact.h"
#include "utils/timestamp.h"

/* Asks for the shared memory; called once, in the postmaster. */
void
ak_usage_request(void)
{
	ak_counters_request();
	ak_database_slots_request();
}

/* Makes or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_usage_attach(void)
{
	ak_counters_attach();
	ak_database_slots_attach();
}

/* What follows from having counted something, or from having had no room. */
static void
attend_to(AkDatabaseSlot *slot, bool is_counted)
{
	if (!is_counted)
		pg_atomic_fetch_add_u64(&slot->lost, 1);
	if (!is_counted || ak_counters_are_filling())
		ak_database_slot_make_room(slot);
	ak_database_slot_start_worker(slot);
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
	slot = ak_database_slot_get();
	if (slot == NULL)
		return;
	if (public_key == NULL || use->reason == AK_UNKNOWN_KEY)
		pg_atomic_fetch_add_u64(&slot->unknown_keys, 1);
	else
		attend_to(slot, ak_usage_counters_add(public_key, use));
}

/*
 * Records that a role (ak_grant_id()) of a bound key allowed something, where
 * that can be counted in memory: it is asked inside of queries, which must not
 * write.
 */
void
ak_usage_record_grant(text *public_key, uint64 grant)
{
	AkDatabaseSlot *slot = ak_track_usage && ak_counters_exist() ?
		ak_database_slot_get() : NULL;

	if (slot)
		attend_to(slot, ak_usage_counters_add_grant(public_key, grant,
													GetCurrentTimestamp()));
}

/*
 * Forgets all that is in memory of a database that is gone.  Nobody is connected
 * to it, nor will be.
 */
void
ak_usage_forget_database(Oid database)
{
	AkDatabaseSlot *slot = ak_database_slot_find(database);

	ak_counters_purge(database);
	ak_rehash_forget(database);
	if (slot)
		ak_database_slot_free(slot);
}

/* False if it cannot be noted that this transaction deletes of a key. */
static bool
note_deletion(text *public_key)
{
	AkDatabaseSlot *slot = ak_counters_exist() ?
		ak_database_slot_get() : NULL;

	if (slot == NULL ||
		!ak_usage_counters_note_deletion(public_key, GetTopTransactionId()))
		return false;
	ak_database_slot_start_worker(slot);
	return true;
}

/*
 * Deletes what is recorded of a key that this transaction is deleting: once it
 * has committed, or, where that cannot be noted, now.
 */
void
ak_usage_forget(text *public_key)
{
	if (!note_deletion(public_key))
		ak_usage_clean_up(&public_key, 1);
}

/*
 * No longer tells which uses were of a secret of a key that this transaction
 * is deleting: from when on, as above.
 */
void
ak_usage_forget_secret(text *public_key)
{
	if (!note_deletion(public_key))
		ak_usage_clean_up(&public_key, 1);
}
