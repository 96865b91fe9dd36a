/*
 * database_slot.c
 *	  One slot in shared memory for each database whose keys are used: its
 *	  background worker, and counts of the database as a whole.
 *
 * Sessions note that data is pending, and start no worker.  The launcher
 * starts workers (usage_worker.c). If there is no background worker slot
 * left, it asks the running workers to write and exit.
 *
 * Locking: one LWLock for all slots, held briefly; no other lock is taken
 * under it.  It protects everything except the atomics and the fields that
 * only the worker uses; is_pending and the requests are read without it.  A
 * slot is assigned to another database only if it has no worker and nothing
 * was counted for it since.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/counting.h"
#include "core/crypto.h"
#include "usage/usage.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#define TRANCHE_NAME	"apikeys databases"

/* Delay before the next worker of a database that one could not connect to. */
#define UNREACHABLE_MS		60000

/*
 * A database that waits for a worker this long is reported to administrators.
 */
#define WAITING_MS			10000

/* How long a flush waits for a worker to start. */
#define WORKER_TIMEOUT_MS	20000

/* DROP DATABASE itself waits this long for other sessions. */
#define LEAVE_TIMEOUT_MS	5000L

#define POLL_MS				100

/* Interval at which all workers are asked to make room. */
#define ROOM_INTERVAL_MS	20

typedef struct Directory
{
	pg_uuid_t	instance;
	int64		ask_room_after; /* ak_clock_ms() */
	Latch	   *launcher;		/* NULL: it does not run */
	bool		is_crowded;		/* a database waits for a worker slot */
	AkDatabaseSlot slots[AK_DATABASE_SLOT_COUNT];
} Directory;

static Directory *directory = NULL;
static LWLock *lock;

/* --- Setting up ---------------------------------------------------------- */

/* Requests the shared memory; called once, in the postmaster. */
void
ak_database_slots_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(Directory)));
	RequestNamedLWLockTranche(TRANCHE_NAME, 1);
}

/* Creates or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_database_slots_attach(void)
{
	bool		found;

	directory = ShmemInitStruct(TRANCHE_NAME, sizeof(Directory), &found);
	lock = &GetNamedLWLockTranche(TRANCHE_NAME)->lock;
	if (!found)
	{
		memset(directory, 0, sizeof(*directory));
		ak_crypto_random_bytes(&directory->instance,
							   sizeof(directory->instance));
		for (int i = 0; i < AK_DATABASE_SLOT_COUNT; i++)
		{
			AkDatabaseSlot *slot = &directory->slots[i];

			ConditionVariableInit(&slot->changed);
			slot->wants_sweep = true;
			pg_atomic_init_u64(&slot->quota_batch, 0);
			pg_atomic_init_u64(&slot->lost, 0);
			pg_atomic_init_u64(&slot->coarse, 0);
			pg_atomic_init_u64(&slot->unknown_keys, 0);
			pg_atomic_init_u64(&slot->slowed, 0);
			for (int reason = 0; reason < AK_REASON_COUNT; reason++)
				pg_atomic_init_u64(&slot->written[reason], 0);
		}
	}
}

/*
 * Returns an identifier of this database in this lifetime of the server's
 * shared memory: the tables of a copied database contain the batches of its
 * template, and none of its own.
 */
const pg_uuid_t *
ak_database_slots_instance(void)
{
	static pg_uuid_t instance;

	instance = directory->instance;
	for (int i = 0; i < sizeof(Oid); i++)
		instance.data[i] ^= MyDatabaseId >> (8 * i) & 0xff;
	return &instance;
}

/*
 * Raises 22023 if that is this server: its batches come from its workers, and from
 * nobody who calls a function.
 */
void
ak_refuse_own_instance(const pg_uuid_t *instance)
{
	if (memcmp(instance, ak_database_slots_instance(), UUID_LEN) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the instance must be another server"),
				 ak_errid("invalid_batch")));
}

/* --- Finding ------------------------------------------------------------- */

static AkDatabaseSlot *
find_slot(Oid database)
{
	for (int i = 0; i < AK_DATABASE_SLOT_COUNT; i++)
		if (directory->slots[i].database == database)
			return &directory->slots[i];
	return NULL;
}

/* Returns the slot of a database, or NULL; the shared memory exists. */
AkDatabaseSlot *
ak_database_slot_find(Oid database)
{
	AkDatabaseSlot *slot;

	LWLockAcquire(lock, LW_SHARED);
	slot = find_slot(database);
	LWLockRelease(lock);
	return slot;
}

/*
 * Returns the slot of this database, assigning one if needed; NULL if there
 * are too many databases.  The slot of the current database stays its own,
 * because the database cannot be dropped meanwhile.
 */
AkDatabaseSlot *
ak_database_slot_get(void)
{
	static AkDatabaseSlot *own = NULL;

	if (own)
		return own;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	own = find_slot(MyDatabaseId);
	if (own == NULL)
	{
		own = find_slot(InvalidOid);
		if (own)
			own->database = MyDatabaseId;
	}
	LWLockRelease(lock);
	return own;
}

/* Frees the slot of a dropped database. */
void
ak_database_slot_free(AkDatabaseSlot *slot)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->database = InvalidOid;
	slot->start_after = slot->away_until = slot->waiting_since = 0;
	slot->shall_leave = slot->is_pending = false;
	slot->wants_room = slot->wants_hashes = false;
	slot->flushes_wanted = slot->flushes_answered = 0;
	slot->flushes_done = slot->flushes_failed = 0;
	slot->flushed_at = 0;
	slot->failed_jobs = 0;
	slot->batch = 0;
	slot->batch_is_settled = slot->batch_cleans = false;
	slot->rest = 0;
	slot->has_sent = false;
	slot->wants_sweep = true;
	slot->last_deleter = InvalidTransactionId;
	pg_atomic_write_u64(&slot->quota_batch, 0);
	pg_atomic_write_u64(&slot->lost, 0);
	pg_atomic_write_u64(&slot->coarse, 0);
	pg_atomic_write_u64(&slot->unknown_keys, 0);
	pg_atomic_write_u64(&slot->slowed, 0);
	for (int reason = 0; reason < AK_REASON_COUNT; reason++)
		pg_atomic_write_u64(&slot->written[reason], 0);
	LWLockRelease(lock);
}

/* --- For sessions -------------------------------------------------------- */

/*
 * Wakes the database's worker, or the launcher if there is no worker.  The
 * caller holds the lock.
 */
static void
wake(AkDatabaseSlot *slot)
{
	Latch	   *latch = slot->worker != 0 ?
		slot->worker_latch : directory->launcher;

	if (latch)
		SetLatch(latch);
}

/* Notes that data is pending; for ak_database_slot_want(). */
void
ak_database_slot_set_pending(AkDatabaseSlot *slot)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->is_pending = true;
	if (slot->worker == 0)
		wake(slot);
	LWLockRelease(lock);
}

/* Makes the worker write the queued hashes soon, and nothing else. */
void
ak_database_slot_drain_hashes(AkDatabaseSlot *slot)
{
	if (slot->wants_hashes)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->is_pending = slot->wants_hashes = true;
	slot->start_after = 0;
	wake(slot);
	LWLockRelease(lock);
}

/*
 * Makes the worker look for records of all keys and secrets that are no more,
 * after the end of a transaction, or, if that is invalid, at the next flush.
 */
void
ak_database_slot_want_sweep(AkDatabaseSlot *slot, TransactionId deleter)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->wants_sweep = slot->is_pending = true;
	if (TransactionIdFollows(deleter, slot->last_deleter))
		slot->last_deleter = deleter;
	if (slot->worker == 0)
		wake(slot);
	LWLockRelease(lock);
}

/*
 * Makes the workers of all databases write soon, because new counters need
 * room and all databases share it.  If it is called often, most calls do
 * nothing.
 */
void
ak_database_slots_make_room(void)
{
	int64		now = ak_clock_ms();
	bool		shall_ask;

	if (now < directory->ask_room_after)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shall_ask = now >= directory->ask_room_after;
	if (shall_ask)
		directory->ask_room_after = now + ROOM_INTERVAL_MS;
	for (int i = 0; shall_ask && i < AK_DATABASE_SLOT_COUNT; i++)
	{
		AkDatabaseSlot *slot = &directory->slots[i];

		if (!slot->is_pending || slot->wants_room)
			continue;
		slot->wants_room = true;
		slot->start_after = 0;
		wake(slot);
	}
	LWLockRelease(lock);
}

/*
 * Makes the worker write everything that was counted before, and waits for it;
 * the wait can be cancelled, and holds no lock.  Returns false if the worker
 * failed; raises 53000 if there is no worker.
 */
bool
ak_database_slot_flush(AkDatabaseSlot *slot)
{
	int64		begin = ak_clock_ms();
	uint64		wanted;
	uint64		failed;
	bool		is_done;
	bool		has_failed;
	bool		has_worker;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	wanted = ++slot->flushes_wanted;
	failed = slot->flushes_failed;
	slot->is_pending = true;
	slot->start_after = 0;
	wake(slot);
	LWLockRelease(lock);

	ConditionVariablePrepareToSleep(&slot->changed);
	for (;;)
	{
		LWLockAcquire(lock, LW_SHARED);
		is_done = slot->flushes_done >= wanted;
		has_failed = slot->flushes_failed != failed;
		has_worker = slot->worker != 0;
		LWLockRelease(lock);
		if (is_done || has_failed)
			break;
		if (!has_worker && ak_clock_ms() - begin > WORKER_TIMEOUT_MS)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("no background worker is available to write usage"),
					 errhint("Raise max_worker_processes.")));
		ConditionVariableTimedSleep(&slot->changed, POLL_MS,
									PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return is_done;
}

/*
 * Makes the worker exit, and waits at most some seconds for that.  No other
 * worker starts until ak_database_slot_let_back() or a timeout.
 */
void
ak_database_slot_send_away(AkDatabaseSlot *slot)
{
	int64		begin = ak_clock_ms();
	bool		is_gone;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->shall_leave = true;
	slot->away_until = begin + 2 * LEAVE_TIMEOUT_MS;
	wake(slot);
	LWLockRelease(lock);

	ConditionVariablePrepareToSleep(&slot->changed);
	for (;;)
	{
		LWLockAcquire(lock, LW_SHARED);
		is_gone = slot->worker == 0;
		LWLockRelease(lock);
		if (is_gone || ak_clock_ms() - begin > LEAVE_TIMEOUT_MS)
			break;
		ConditionVariableTimedSleep(&slot->changed, POLL_MS,
									PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

/* Allows a worker to start again. */
void
ak_database_slot_let_back(AkDatabaseSlot *slot)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->away_until = 0;
	wake(slot);
	LWLockRelease(lock);
}

/* --- For the worker ------------------------------------------------------ */

/*
 * Makes the caller the database's worker; false if there is one already, or
 * none may run now, or the slot is another database's by now.
 */
bool
ak_database_slot_claim(AkDatabaseSlot *slot, Oid database)
{
	int64		now = ak_clock_ms();
	bool		is_free;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	is_free = slot->database == database && slot->worker == 0 &&
		now >= slot->away_until;
	if (is_free)
	{
		slot->worker = MyProcPid;
		slot->worker_latch = MyLatch;
		slot->shall_leave = false;
		slot->waiting_since = 0;
	}
	LWLockRelease(lock);
	if (is_free)
		ConditionVariableBroadcast(&slot->changed);
	return is_free;
}

/*
 * Ends the worker.  The next one starts when data is pending, but not before
 * "rest" milliseconds have passed, unless a session asks for it.
 */
void
ak_database_slot_release(AkDatabaseSlot *slot, bool was_connected, int rest)
{
	int64		now = ak_clock_ms();

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->worker = 0;
	slot->worker_latch = NULL;
	slot->start_after = slot->flushes_wanted > slot->flushes_answered ?
		0 : now + rest;
	if (!was_connected)
		slot->away_until = Max(slot->away_until, now + UNREACHABLE_MS);
	wake(slot);
	LWLockRelease(lock);
	ConditionVariableBroadcast(&slot->changed);
}

/* Fills in what the worker is asked to do. */
void
ak_database_slot_look(const AkDatabaseSlot *slot, AkSlotState *state)
{
	LWLockAcquire(lock, LW_SHARED);
	state->is_pending = slot->is_pending;
	state->wants_room = slot->wants_room;
	state->wants_hashes = slot->wants_hashes;
	state->shall_leave = slot->shall_leave;
	state->is_crowded = directory->is_crowded;
	state->flushes_wanted = slot->flushes_wanted;
	state->is_asked = slot->flushes_wanted > slot->flushes_answered;
	LWLockRelease(lock);
}

/* Uses and hashes from now on request another flush. */
void
ak_database_slot_begin_flush(AkDatabaseSlot *slot, bool only_hashes)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->wants_hashes = false;
	if (!only_hashes)
		slot->is_pending = slot->wants_room = false;
	LWLockRelease(lock);
}

/*
 * Tells waiting sessions that all flushes up to "wanted" are done, or that one
 * failed.
 */
void
ak_database_slot_report(AkDatabaseSlot *slot, uint64 wanted, bool done)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->flushes_answered = wanted;
	if (done)
	{
		slot->flushes_done = wanted;
		slot->flushed_at = GetCurrentTimestamp();
	}
	else
		slot->flushes_failed++;
	LWLockRelease(lock);
	ConditionVariableBroadcast(&slot->changed);
}

/* Whether a sweep is wanted, and after which transaction; 0: none. */
bool
ak_database_slot_wants_sweep(const AkDatabaseSlot *slot,
							 TransactionId *deleter)
{
	bool		is_wanted;

	LWLockAcquire(lock, LW_SHARED);
	is_wanted = slot->wants_sweep;
	*deleter = slot->last_deleter;
	LWLockRelease(lock);
	return is_wanted;
}

/* It was made after this transaction; one after a later one may be wanted. */
void
ak_database_slot_end_sweep(AkDatabaseSlot *slot, TransactionId deleter)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (slot->last_deleter == deleter)
	{
		slot->wants_sweep = false;
		slot->last_deleter = InvalidTransactionId;
	}
	LWLockRelease(lock);
}

/* --- For the launcher ---------------------------------------------------- */

/* Sets the latch that is set when a database needs a worker; NULL: none. */
void
ak_database_slots_set_launcher(Latch *launcher)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	directory->launcher = launcher;
	LWLockRelease(lock);
}

/*
 * Lists the databases with a slot and no worker in idle[], which has
 * AK_DATABASE_SLOT_COUNT elements, in the order of their slots; returns their
 * number.
 */
int
ak_database_slots_list(AkIdleSlot *idle)
{
	int			count = 0;

	LWLockAcquire(lock, LW_SHARED);
	for (int i = 0; i < AK_DATABASE_SLOT_COUNT; i++)
	{
		const AkDatabaseSlot *slot = &directory->slots[i];

		if (!OidIsValid(slot->database) || slot->worker != 0)
			continue;
		idle[count].number = i;
		idle[count].database = slot->database;
		idle[count++].due_at = slot->is_pending ?
			Max(slot->start_after, slot->away_until) : PG_INT64_MAX;
	}
	LWLockRelease(lock);
	return count;
}

/*
 * Notes which databases of ak_database_slots_list() found no background worker
 * slot; if there are any, workers make room for them.
 */
void
ak_database_slots_set_waiting(const AkIdleSlot *idle, int count)
{
	int64		now = ak_clock_ms();

	LWLockAcquire(lock, LW_EXCLUSIVE);
	directory->is_crowded = count > 0;
	for (int i = 0; i < count; i++)
	{
		AkDatabaseSlot *slot = &directory->slots[idle[i].number];

		if (slot->database == idle[i].database && slot->waiting_since == 0)
			slot->waiting_since = now;
	}
	for (int i = 0; count > 0 && i < AK_DATABASE_SLOT_COUNT; i++)
		if (directory->slots[i].worker != 0)
			wake(&directory->slots[i]);
	LWLockRelease(lock);
}

/* --- For operators ------------------------------------------------------- */

/* Checks whether the launcher runs. */
bool
ak_database_slots_have_launcher(void)
{
	bool		have;

	LWLockAcquire(lock, LW_SHARED);
	have = directory->launcher != NULL;
	LWLockRelease(lock);
	return have;
}

/* Returns the number of databases that have waited long for a worker. */
int
ak_database_slots_waiting(void)
{
	int64		now = ak_clock_ms();
	int			count = 0;

	LWLockAcquire(lock, LW_SHARED);
	for (int i = 0; i < AK_DATABASE_SLOT_COUNT; i++)
		if (directory->slots[i].waiting_since != 0 &&
			now - directory->slots[i].waiting_since >= WAITING_MS)
			count++;
	LWLockRelease(lock);
	return count;
}
