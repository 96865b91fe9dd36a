/*
 * database_slot.c
 *	  See database_slot.h.
 */
#include "postgres.h"

#include "core/clock.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "usage/database_slot.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#define TRANCHE_NAME	"apikeys databases"

/* A worker that could not be started, or has just left, is let be for a while. */
#define START_INTERVAL_MS	5000

/* How long a flush waits for a worker to be there at all. */
#define WORKER_TIMEOUT_MS	20000

/* As long as DROP DATABASE waits for others by itself. */
#define LEAVE_TIMEOUT_MS	5000L

#define POLL_MS				100

typedef struct Directory
{
	pg_uuid_t	instance;
	AkDatabaseSlot slots[AK_DATABASE_SLOT_COUNT];
} Directory;

static Directory *directory = NULL;
static LWLock *lock;

/* --- Setting up ----------------------------------------------------------- */

/* Asks for the shared memory; called once, in the postmaster. */
void
ak_database_slots_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(Directory)));
	RequestNamedLWLockTranche(TRANCHE_NAME, 1);
}

/* Makes or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_database_slots_attach(void)
{
	bool		found;

	directory = ShmemInitStruct(TRANCHE_NAME, sizeof(Directory), &found);
	lock = &GetNamedLWLockTranche(TRANCHE_NAME)->lock;
	if (found)
		return;
	memset(directory, 0, sizeof(*directory));
	ak_crypto_random_bytes(&directory->instance, sizeof(directory->instance));
	for (int i = 0; i < AK_DATABASE_SLOT_COUNT; i++)
	{
		ConditionVariableInit(&directory->slots[i].changed);
		pg_atomic_init_u64(&directory->slots[i].quota_batch, 0);
		pg_atomic_init_u64(&directory->slots[i].lost, 0);
		pg_atomic_init_u64(&directory->slots[i].unknown_keys, 0);
	}
}

/*
 * Names this life of this server's shared memory and this database: a copy of a
 * database has the batches of its template in its tables, and none of its own.
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
 * Lists the databases that have a slot and no worker: how many, and their OIDs in
 * databases[], which has AK_DATABASE_SLOT_COUNT places.
 */
int
ak_database_slots_list(Oid *databases)
{
	int			count = 0;

	LWLockAcquire(lock, LW_SHARED);
	for (int i = 0; i < AK_DATABASE_SLOT_COUNT; i++)
		if (OidIsValid(directory->slots[i].database) &&
			directory->slots[i].worker == 0)
			databases[count++] = directory->slots[i].database;
	LWLockRelease(lock);
	return count;
}

/* --- Finding -------------------------------------------------------------- */

static AkDatabaseSlot *
find_slot(Oid database)
{
	for (int i = 0; i < AK_DATABASE_SLOT_COUNT; i++)
		if (directory->slots[i].database == database)
			return &directory->slots[i];
	return NULL;
}

/* The slot of a database, or NULL; there is shared memory. */
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
 * The slot of this database, made if there is none; NULL if there are too many
 * databases.  A slot of one's own database stays its own, for nobody can drop
 * it meanwhile.
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

/* Gives the slot of a dropped database back. */
void
ak_database_slot_free(AkDatabaseSlot *slot)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->database = InvalidOid;
	slot->start_after = slot->away_until = 0;
	slot->shall_leave = slot->wants_room = slot->is_unreachable = false;
	slot->flushes_wanted = slot->flushes_done = slot->flushes_failed = 0;
	slot->flushed_at = 0;
	slot->batch = 0;
	slot->batch_is_settled = false;
	pg_atomic_write_u64(&slot->quota_batch, 0);
	pg_atomic_write_u64(&slot->lost, 0);
	pg_atomic_write_u64(&slot->unknown_keys, 0);
	LWLockRelease(lock);
}

/* --- For sessions --------------------------------------------------------- */

/*
 * Starts the worker of this database if there is none.  Where that is not
 * possible now a later call does it.
 */
void
ak_database_slot_start_worker(AkDatabaseSlot *slot)
{
	BackgroundWorker worker = {0};
	bool		shall_start;
	int64		now;

	if (slot->worker != 0)
		return;
	now = ak_clock_ms();
	if (now < slot->start_after)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shall_start = slot->worker == 0 && now >= slot->start_after;
	if (shall_start)
	{
		slot->start_after = now + START_INTERVAL_MS;
		slot->is_unreachable = false;
	}
	LWLockRelease(lock);
	if (!shall_start)
		return;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = START_INTERVAL_MS / 1000;
	worker.bgw_main_arg = ObjectIdGetDatum(MyDatabaseId);
	strlcpy(worker.bgw_library_name, "apikeys", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "apikeys_worker_main", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "apikeys worker", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "apikeys worker of database %u",
			 MyDatabaseId);
	RegisterDynamicBackgroundWorker(&worker, NULL);
}

/* Makes the worker, if there is one, look now what is to be done. */
static void
wake_worker(AkDatabaseSlot *slot)
{
	LWLockAcquire(lock, LW_SHARED);
	if (slot->worker != 0)
		SetLatch(slot->worker_latch);
	LWLockRelease(lock);
}

/* Has the worker write soon, so that there is room for new counters. */
void
ak_database_slot_make_room(AkDatabaseSlot *slot)
{
	if (slot->wants_room)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->wants_room = true;
	LWLockRelease(lock);
	wake_worker(slot);
}

/*
 * Has all written that was counted before, and waits for it, for cancelling
 * and for no lock.  False if the worker failed; raises 53000 if there is none.
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
	LWLockRelease(lock);
	wake_worker(slot);

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
		if (!has_worker)
		{
			if (ak_clock_ms() - begin > WORKER_TIMEOUT_MS)
				ereport(ERROR,
						(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						 errmsg("there is no background worker to write usage"),
						 errhint("Raise max_worker_processes.")));
			ak_database_slot_start_worker(slot);
		}
		ConditionVariableTimedSleep(&slot->changed, POLL_MS,
									PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	return is_done;
}

/*
 * Makes the worker end, and waits for that some seconds at most.  None takes
 * its place until it is let back, or a while is over.
 */
void
ak_database_slot_send_away(AkDatabaseSlot *slot)
{
	int64		begin = ak_clock_ms();
	bool		is_gone;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->shall_leave = true;
	slot->away_until = begin + 2 * LEAVE_TIMEOUT_MS;
	slot->start_after = slot->away_until;
	LWLockRelease(lock);
	wake_worker(slot);

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

/* A worker may be started again. */
void
ak_database_slot_let_back(AkDatabaseSlot *slot)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->start_after = slot->away_until = 0;
	LWLockRelease(lock);
}

/* --- For the worker ------------------------------------------------------- */

/*
 * Makes the caller the database's worker; false if there is one, or shall be
 * none for now.  A worker that could not connect is not started again by itself:
 * on a standby the database may be dropped, which nobody says here.
 */
bool
ak_database_slot_claim(AkDatabaseSlot *slot)
{
	int64		now = ak_clock_ms();
	bool		is_free;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	is_free = slot->worker == 0 && now >= slot->away_until &&
		!slot->is_unreachable;
	if (is_free)
	{
		slot->worker = MyProcPid;
		slot->worker_latch = MyLatch;
		slot->shall_leave = false;
	}
	LWLockRelease(lock);
	if (is_free)
		ConditionVariableBroadcast(&slot->changed);
	return is_free;
}

/*
 * The end of the worker; if it has ended because there was nothing to do for
 * it, another one may be started at once.
 */
void
ak_database_slot_release(AkDatabaseSlot *slot, bool was_idle,
						 bool was_connected)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->is_unreachable = !was_connected;
	if (was_idle && !slot->shall_leave)
		slot->start_after = 0;
	slot->worker = 0;
	slot->worker_latch = NULL;
	LWLockRelease(lock);
	ConditionVariableBroadcast(&slot->changed);
}

/* Whether the worker was asked to let go of the database. */
bool
ak_database_slot_shall_leave(AkDatabaseSlot *slot)
{
	bool		shall_leave;

	LWLockAcquire(lock, LW_SHARED);
	shall_leave = slot->shall_leave;
	LWLockRelease(lock);
	return shall_leave;
}

/* Whether there is little room for new counters, since the last flush. */
bool
ak_database_slot_wants_room(AkDatabaseSlot *slot)
{
	bool		wants_room;

	LWLockAcquire(lock, LW_SHARED);
	wants_room = slot->wants_room;
	LWLockRelease(lock);
	return wants_room;
}

/* What is counted from now on asks for another flush, if it has no room. */
void
ak_database_slot_begin_flush(AkDatabaseSlot *slot)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->wants_room = false;
	LWLockRelease(lock);
}

/* The number of the last flush that was asked for. */
uint64
ak_database_slot_wanted(AkDatabaseSlot *slot)
{
	uint64		wanted;

	LWLockAcquire(lock, LW_SHARED);
	wanted = slot->flushes_wanted;
	LWLockRelease(lock);
	return wanted;
}

/* Tells those who wait that all flushes up to "wanted" are done, or one failed. */
void
ak_database_slot_report(AkDatabaseSlot *slot, uint64 wanted, bool done)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
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
