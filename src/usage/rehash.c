/*
 * rehash.c
 *	  Renews hashes: a hash that proved a secret but was made without today's
 *	  pepper or by another system is replaced by the hash that a new secret
 *	  would have.
 *
 * A decision queues the new hash, never the secret, in shared memory, and the
 * database's worker stores it: no session writes it in its own transaction.
 * Only the peppers that the postmaster has read last are used: a process with
 * other peppers queues nothing, and hashes that were queued with other peppers
 * are dropped.  Nothing is queued if the library is not preloaded, or on a
 * standby.
 *
 * Locking: one LWLock for the queue, held while entries are copied; no other
 * lock is taken under it.
 *
 * If the queue is full, no hash is queued, and the next use of the key offers
 * its hash again.  The worker is woken when half of the queue is used.  No
 * entry stays forever: the worker of a database takes its entries, or removes
 * them if the extension does not exist (yet), and the launcher removes those
 * of a dropped database.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "store/store.h"
#include "usage/usage.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define TRANCHE_NAME	"apikeys rehash"
#define QUEUE_LENGTH	8192
#define BATCH_SIZE		1024

/* A process does not queue again what it has queued lately. */
#define RECENT_COUNT		1024
#define RECENT_INTERVAL_MS	60000

typedef struct Entry
{
	Oid			database;		/* InvalidOid: free */
	uint64		peppers;		/* ak_pepper_fingerprint() at hashing */
	uint8		key_size;
	uint8		old_size;
	uint8		new_size;
	char		public_key[AK_PUBLIC_KEY_MAX_SIZE];
	uint8		old_hash[AK_STORED_HASH_MAX];
	uint8		new_hash[AK_NEW_HASH_MAX];
} Entry;

typedef struct Queue
{
	int			free_count;
	int			free[QUEUE_LENGTH]; /* the numbers of free entries */
	Entry		entries[QUEUE_LENGTH];
} Queue;

typedef struct RecentOffer
{
	uint64		hash;
	int64		at;				/* ak_clock_ms() */
} RecentOffer;

static Queue *queue = NULL;
static LWLock *lock;
static RecentOffer recent[RECENT_COUNT];

/* Requests the shared memory; called once, in the postmaster. */
void
ak_rehash_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(Queue)));
	RequestNamedLWLockTranche(TRANCHE_NAME, 1);
}

/* Creates or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_rehash_attach(void)
{
	bool		found;

	queue = ShmemInitStruct(TRANCHE_NAME, sizeof(Queue), &found);
	lock = &GetNamedLWLockTranche(TRANCHE_NAME)->lock;
	if (!found)
	{
		memset(queue, 0, sizeof(Queue));
		queue->free_count = QUEUE_LENGTH;
		for (int i = 0; i < QUEUE_LENGTH; i++)
			queue->free[i] = i;
	}
}

/* --- Offering ------------------------------------------------------------ */

/*
 * Returns false if there is no room; *is_filling: the worker should write now.
 */
static bool
enqueue(const Entry *entry, bool *is_filling)
{
	bool		has_room;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	has_room = queue->free_count > 0;
	if (has_room)
		queue->entries[queue->free[--queue->free_count]] = *entry;
	*is_filling = queue->free_count < QUEUE_LENGTH / 2;
	LWLockRelease(lock);
	return has_room;
}

/*
 * Queues the hash that the secret of a claim would have now, if that is as hard to
 * guess, to replace the stored bytes, which proved the claim.  Raises no error of its own, and never
 * waits for a row.
 */
void
ak_rehash_offer(const text *public_key, const char *stored, size_t stored_size,
				const AkSecretClaim *claim)
{
	Entry		entry = {.database = MyDatabaseId};
	int64		now;
	RecentOffer *offer;
	AkDatabaseSlot *slot;
	uint64		hash;
	bool		is_filling;

	if (queue == NULL || RecoveryInProgress() ||
		stored_size > AK_STORED_HASH_MAX ||
		VARSIZE_ANY_EXHDR(public_key) > AK_PUBLIC_KEY_MAX_SIZE ||
		!ak_pepper_is_fresh())
		return;
	entry.peppers = ak_pepper_fingerprint();
	entry.new_size = ak_secret_hash_renew(stored, stored_size, claim,
										  entry.new_hash);
	if (entry.new_size == 0)
		return;
	entry.key_size = VARSIZE_ANY_EXHDR(public_key);
	memcpy(entry.public_key, VARDATA_ANY(public_key), entry.key_size);
	entry.old_size = stored_size;
	memcpy(entry.old_hash, stored, stored_size);

	now = ak_clock_ms();
	hash = hash_bytes_extended((const unsigned char *) entry.public_key,
							   entry.key_size,
							   hash_bytes_extended(entry.old_hash,
												   entry.old_size, 0));
	offer = &recent[hash % RECENT_COUNT];
	if (offer->hash == hash && now - offer->at <= RECENT_INTERVAL_MS)
		return;
	slot = ak_database_slot_get();
	if (slot == NULL)
		return;
	if (enqueue(&entry, &is_filling))
	{
		offer->hash = hash;
		offer->at = now;
	}
	if (is_filling)
		ak_database_slot_drain_hashes(slot);
	ak_database_slot_want(slot);
}

/* --- Writing, by the database's worker only ------------------------------ */

/* Checks whether a hash is queued, also for another database. */
bool
ak_rehash_is_queued(void)
{
	return queue && queue->free_count < QUEUE_LENGTH;
}

/*
 * Removes up to "most" entries of a database from the queue, copies them to
 * entries if that is not NULL, and returns their number.
 */
static int
take_entries(Oid database, Entry *entries, int most)
{
	int			taken = 0;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (int i = 0; i < QUEUE_LENGTH && taken < most; i++)
	{
		Entry	   *entry = &queue->entries[i];

		if (entry->database != database)
			continue;
		if (entries)
			entries[taken] = *entry;
		taken++;
		entry->database = InvalidOid;
		queue->free[queue->free_count++] = i;
	}
	LWLockRelease(lock);
	return taken;
}

/* Removes the entries of a database that was dropped or has no extension. */
void
ak_rehash_forget(Oid database)
{
	if (queue)
		take_entries(database, NULL, QUEUE_LENGTH);
}

/* Keeps only entries that were hashed with the current peppers. */
static int
drop_outdated(Entry *entries, int count)
{
	bool		is_fresh = ak_pepper_refresh();
	uint64		peppers = ak_pepper_fingerprint();
	int			kept = 0;

	for (int i = 0; is_fresh && i < count; i++)
		if (entries[i].peppers == peppers)
			entries[kept++] = entries[i];
	return kept;
}

static int
compare_entries(const void *a, const void *b)
{
	const Entry *left = a;
	const Entry *right = b;
	int			difference = memcmp(left->public_key, right->public_key,
									Min(left->key_size, right->key_size));

	return difference ? difference :
		(int) left->key_size - (int) right->key_size;
}

/*
 * Stores a batch of the entries of this database, in the current transaction
 * and with the rights of the tables' owner.  Returns how many hashes it has taken.
 */
int
ak_rehash_write(void)
{
	static AkStatement renew = {
		"SELECT apikeys_internal.renew_hashes($1, $2, $3)",
		3, {TEXTARRAYOID, BYTEAARRAYOID, TEXTARRAYOID}, .by_index = true
	};
	Entry	   *entries;
	Datum	   *columns[3];
	Datum		values[3];
	int			taken;
	int			count;

	entries = palloc(sizeof(Entry) * BATCH_SIZE);
	taken = take_entries(MyDatabaseId, entries, BATCH_SIZE);
	count = drop_outdated(entries, taken);
	if (count == 0)
		return taken;
	qsort(entries, count, sizeof(Entry), compare_entries);
	for (int i = 0; i < 3; i++)
		columns[i] = palloc(count * sizeof(Datum));
	for (int i = 0; i < count; i++)
	{
		const Entry *entry = &entries[i];

		columns[0][i] =
			PointerGetDatum(cstring_to_text_with_len(entry->public_key,
													 entry->key_size));
		/* A bytea is stored like a text. */
		columns[1][i] =
			PointerGetDatum(cstring_to_text_with_len((const char *) entry->old_hash,
													 entry->old_size));
		columns[2][i] =
			CStringGetTextDatum(ak_secret_hash_format((const char *) entry->new_hash,
													  entry->new_size));
	}
	for (int i = 0; i < 3; i++)
		values[i] = PointerGetDatum(construct_array(columns[i], count,
													i == 1 ? BYTEAOID : TEXTOID,
													-1, false, TYPALIGN_INT));
	ak_owner_execute(&renew, values, NULL);
	return taken;
}
