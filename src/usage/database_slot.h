/*
 * database_slot.h
 *	  One slot in shared memory for each database whose keys are used: its
 *	  background worker, and what is counted of the database as a whole.
 *
 * Locking: one LWLock for all slots, held briefly, with nothing else inside of
 * it.  It guards everything but the atomics and the fields that only the
 * worker uses.  A slot is given to another database only when it has no worker
 * and nothing was counted for it since.
 */
#ifndef AK_DATABASE_SLOT_H
#define AK_DATABASE_SLOT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "utils/uuid.h"

#define AK_DATABASE_SLOT_COUNT	256

typedef struct AkDatabaseSlot
{
	Oid			database;		/* InvalidOid: the slot is free */
	pid_t		worker;			/* 0: none is running */
	Latch	   *worker_latch;
	int64		start_after;	/* ak_clock_ms(): no worker is started before */
	bool		shall_leave;	/* the worker shall let go of the database */
	int64		away_until;		/* ak_clock_ms(): none shall take its place */
	bool		is_unreachable; /* the last worker could not connect to it */
	ConditionVariable changed;	/* worker, flushes_done or _failed have */

	bool		wants_room;		/* the counters are filling, or full */
	uint64		flushes_wanted;
	uint64		flushes_done;	/* the last wanted one that is done */
	uint64		flushes_failed;
	TimestampTz flushed_at;		/* 0: never */

	/* Only the worker changes these: the last batch, and whether it is known
	 * to be in the tables. */
	uint64		batch;
	bool		batch_is_settled;

	pg_atomic_uint64 quota_batch;	/* the last one that wrote quotas */
	pg_atomic_uint64 lost;		/* uses and denials not counted */
	pg_atomic_uint64 unknown_keys;	/* denials of keys that do not exist */
} AkDatabaseSlot;

extern void ak_database_slots_request(void);
extern void ak_database_slots_attach(void);

extern const pg_uuid_t *ak_database_slots_instance(void);
extern int	ak_database_slots_list(Oid *databases);
extern AkDatabaseSlot *ak_database_slot_get(void);
extern AkDatabaseSlot *ak_database_slot_find(Oid database);

extern void ak_database_slot_start_worker(AkDatabaseSlot *slot);
extern void ak_database_slot_make_room(AkDatabaseSlot *slot);
extern bool ak_database_slot_flush(AkDatabaseSlot *slot);
extern void ak_database_slot_send_away(AkDatabaseSlot *slot);
extern void ak_database_slot_let_back(AkDatabaseSlot *slot);
extern void ak_database_slot_free(AkDatabaseSlot *slot);

extern bool ak_database_slot_claim(AkDatabaseSlot *slot);
extern void ak_database_slot_release(AkDatabaseSlot *slot, bool was_idle,
									 bool was_connected);
extern bool ak_database_slot_shall_leave(AkDatabaseSlot *slot);
extern bool ak_database_slot_wants_room(AkDatabaseSlot *slot);
extern void ak_database_slot_begin_flush(AkDatabaseSlot *slot);
extern uint64 ak_database_slot_wanted(AkDatabaseSlot *slot);
extern void ak_database_slot_report(AkDatabaseSlot *slot, uint64 wanted,
									bool done);

#endif							/* AK_DATABASE_SLOT_H */
