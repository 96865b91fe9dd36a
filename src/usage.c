/*
 * usage.c
 *	  See usage.h.
 *
 * With the library preloaded, a use or a denial is counted in shared memory
 * (usage_counters.c), from where a worker writes it to the tables in batches
 * (usage_worker.c): nothing is written here, whatever becomes of the caller's
 * transaction.  Else uses are written as well as may be (usage_direct.c), and
 * denials are not recorded.
 */
#include "postgres.h"

#include "compat.h"
#include "database_slot.h"
#include "settings.h"
#include "usage.h"
#include "usage_counters.h"
#include "usage_direct.h"

#include "access/xact.h"
#include "utils/timestamp.h"

/* Called once, when the library is loaded. */
void
ak_usage_init(void)
{
	ak_usage_direct_init();
}

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

static void
count(AkDatabaseSlot *slot, text *public_key, AkReason reason,
	  const AkNetwork *network, const AkNetwork *address, TimestampTz now)
{
	bool		is_counted;

	if (reason == AK_UNKNOWN_KEY)
	{
		pg_atomic_fetch_add_u64(&slot->unknown_keys, 1);
		return;
	}
	is_counted = ak_usage_counters_add(public_key, reason,
									   reason == AK_OK ? network : NULL,
									   address, now);
	if (!is_counted)
		pg_atomic_fetch_add_u64(&slot->lost, 1);
	if (!is_counted || ak_counters_are_filling())
		ak_database_slot_make_room(slot);
	ak_database_slot_start_worker(slot, now);
}

/*
 * Records a use (AK_OK) of a key from an address, let in by an entry of its
 * access list, or a denial; network, address and, of an unknown key, the
 * public key may be NULL.  Raises no error of its own and waits for no lock on
 * a row.
 */
void
ak_usage_record(text *public_key, AkReason reason, const AkNetwork *network,
				const AkNetwork *address, TimestampTz now)
{
	AkDatabaseSlot *slot;

	if (!ak_track_usage)
		return;
	if (ak_counters_exist())
	{
		slot = ak_database_slot_get();
		if (slot)
			count(slot, public_key, reason, network, address, now);
	}
	else if (reason == AK_OK)
		ak_usage_direct_record(public_key, network, address, now);
}

/*
 * Deletes what is recorded of a key that this transaction is deleting: once it
 * has committed, or, where that cannot be noted, now.
 */
void
ak_usage_forget(text *public_key)
{
	AkDatabaseSlot *slot = ak_counters_exist() ?
		ak_database_slot_get() : NULL;

	if (slot &&
		ak_usage_counters_note_deletion(public_key, GetTopTransactionId()))
		ak_database_slot_start_worker(slot, GetCurrentTimestamp());
	else
		ak_usage_direct_forget(public_key);
}
