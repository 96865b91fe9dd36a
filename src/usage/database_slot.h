/*
 * database_slot.h
 *	  One slot in shared memory for each database whose keys are used: its
 *	  background worker, and counts of the database as a whole.
 *
 * Sessions note that data is pending, and start no worker.  The launcher
 * starts workers (usage_launcher.c). If there is no background worker slot
 * left, it asks the running workers to write and exit.
 *
 * Locking: one LWLock for all slots, held briefly; no other lock is taken
 * under it.  It protects everything except the atomics and the fields that
 * only the worker uses; is_pending and the requests are read without it.  A
 * slot is assigned to another database only if it has no worker and nothing
 * was counted for it since.
 */
#ifndef AK_DATABASE_SLOT_H
#define AK_DATABASE_SLOT_H

#include "postgres.h"

#include "core/reason.h"
#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "utils/uuid.h"

#define AK_DATABASE_SLOT_COUNT	256

/* What a worker does at each flush, as bits. */
typedef enum AkJob
{
	AK_JOB_HASHES = 1 << 0,
	AK_JOB_USAGE = 1 << 1,
	AK_JOB_HISTORY = 1 << 2,
	AK_JOB_SEALS = 1 << 3
} AkJob;

typedef struct AkDatabaseSlot
{
	Oid			database;		/* InvalidOid: the slot is free */
	pid_t		worker;			/* 0: none runs */
	Latch	   *worker_latch;
	int64		start_after;	/* ak_clock_ms(): no worker is started before */
	bool		shall_leave;	/* the worker must leave the database */
	int64		away_until;		/* ak_clock_ms(): no worker starts before */
	int64		waiting_since;	/* ak_clock_ms(): no worker slot; 0: has one */
	ConditionVariable changed;	/* worker, flushes_done or _failed changed */

	bool		is_pending;		/* there may be data to write */
	bool		wants_room;		/* the counters are filling, or full */
	bool		wants_hashes;	/* the queue of hashes is filling */
	uint64		flushes_wanted;
	uint64		flushes_done;	/* the last requested one that is done */
	uint64		flushes_failed;
	TimestampTz flushed_at;		/* 0: never */
	uint32		failed_jobs;	/* AkJob: what failed when it was tried last;
								 * changed by the worker only */

	/*
	 * Changed by the worker only: the last batch, and whether it is known to
	 * be in the tables.
	 */
	uint64		batch;
	bool		batch_is_settled;

	pg_atomic_uint32 counted_for;	/* the OID of table key, while it was counted */
	pg_atomic_uint64 quota_batch;	/* the last one that wrote quotas */
	pg_atomic_uint64 lost;		/* uses and denials not counted */
	pg_atomic_uint64 coarse;	/* uses counted of the key only */
	pg_atomic_uint64 unknown_keys;	/* denials of keys that do not exist */
	pg_atomic_uint64 slowed;	/* guesses for which nothing was computed */

	/* Uses and denials that the worker has written, only it adds to them. */
	pg_atomic_uint64 written[AK_REASON_COUNT];
} AkDatabaseSlot;

extern void ak_database_slots_request(void);
extern void ak_database_slots_attach(void);

extern const pg_uuid_t *ak_database_slots_instance(void);
extern AkDatabaseSlot *ak_database_slot_get(void);
extern AkDatabaseSlot *ak_database_slot_find(Oid database);
extern void ak_database_slot_free(AkDatabaseSlot *slot);

extern void ak_database_slot_set_pending(AkDatabaseSlot *slot);
extern void ak_database_slot_make_room(AkDatabaseSlot *slot);
extern void ak_database_slots_make_room(void);
extern void ak_database_slot_drain_hashes(AkDatabaseSlot *slot);
extern bool ak_database_slot_flush(AkDatabaseSlot *slot);
extern void ak_database_slot_send_away(AkDatabaseSlot *slot);
extern void ak_database_slot_let_back(AkDatabaseSlot *slot);

/* What a worker is asked to do. */
typedef struct AkSlotState
{
	bool		is_pending;
	bool		wants_room;
	bool		wants_hashes;
	bool		shall_leave;
	bool		is_crowded;		/* another database waits for a slot */
	uint64		flushes_wanted; /* number of the last requested flush */
} AkSlotState;

extern bool ak_database_slot_claim(AkDatabaseSlot *slot);
extern void ak_database_slot_release(AkDatabaseSlot *slot,
									 bool was_connected, int rest);
extern void ak_database_slot_look(const AkDatabaseSlot *slot,
								  AkSlotState *state);
extern void ak_database_slot_begin_flush(AkDatabaseSlot *slot,
										 bool only_hashes);
extern void ak_database_slot_report(AkDatabaseSlot *slot, uint64 wanted,
									bool done);

/* A database with a slot and no worker. */
typedef struct AkIdleSlot
{
	int			number;			/* of the slot */
	Oid			database;
	int64		due_at;			/* ak_clock_ms(); PG_INT64_MAX: nothing */
} AkIdleSlot;

extern void ak_database_slots_set_launcher(Latch *launcher);
extern int	ak_database_slots_list(AkIdleSlot *idle);
extern void ak_database_slots_set_waiting(const AkIdleSlot *idle, int count);

extern bool ak_database_slots_have_launcher(void);
extern int	ak_database_slots_waiting(void);

/*
 * Makes sure that the worker will write what the caller has just put into
 * shared memory.  The caller did so under a lock or by an atomic operation,
 * which is a full barrier: either the worker sees the data after it has
 * cleared the flag, or this function sees the flag cleared.
 */
static inline void
ak_database_slot_want(AkDatabaseSlot *slot)
{
	if (!*(volatile bool *) &slot->is_pending)
		ak_database_slot_set_pending(slot);
}

#endif							/* AK_DATABASE_SLOT_H */
