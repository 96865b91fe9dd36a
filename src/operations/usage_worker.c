/*
 * usage_worker.c
 *	  The background worker of a database: writes pending data (usage_flush.c)
 *	  at an interval, when it is woken, and before it exits.
 *
 * The launcher starts it when data is pending.  It exits after some time
 * without data to write.  If another database waits for a background worker
 * slot, it exits as soon as it has written.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/clock.h"
#include "core/compat.h"
#include "operations/usage_flush.h"
#include "usage/database_slot.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"

/* After a failure the next batch waits at least this long. */
#define RETRY_INTERVAL_MS	1000

/* The interval of batches when there is little room. */
#define FILLING_INTERVAL_MS	100

/*
 * It exits after this number of intervals without data to write, within
 * bounds.
 */
#define IDLE_INTERVALS		3
#define IDLE_MIN_MS			1000
#define IDLE_MAX_MS			60000

PGDLLEXPORT void apikeys_worker_main(Datum argument);

static AkDatabaseSlot *slot;
static bool is_connected = false;

/* How long no worker may follow this one, in milliseconds. */
static int	rest = 0;

static void
release_slot(int code, Datum argument)
{
	ak_database_slot_release(slot, is_connected, rest);
}

static void
configure(void)
{
	static const char *const settings[][2] = {
		{"application_name", "apikeys worker"},
		{"search_path", "pg_catalog, pg_temp"},
		{"DateStyle", "ISO"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		/* Wait only briefly for locks of other sessions. */
		{"lock_timeout", "2s"},
		/* An unreachable standby does not keep the server from stopping. */
		{"synchronous_commit", "local"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET,
						PGC_S_OVERRIDE);
}

/* Times of the next actions, by ak_clock_ms(). */
typedef struct Timetable
{
	int64		next;			/* the next flush */
	int64		not_before;		/* not before, even if there is little room */
	int64		leaving;		/* exits then, if nothing is pending */
} Timetable;

static void
plan(Timetable *times, bool is_done)
{
	int64		now = ak_clock_ms();
	int64		idle = (int64) IDLE_INTERVALS * ak_usage_flush_interval;

	times->next = now + ak_usage_flush_interval;
	times->not_before = now +
		(is_done ? FILLING_INTERVAL_MS : RETRY_INTERVAL_MS);
	times->leaving = now + Min(Max(idle, IDLE_MIN_MS), IDLE_MAX_MS);
}

/* Sleeps until a time, a signal or a request. */
static void
sleep_until(int64 time)
{
	WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
			  Max(time - ak_clock_ms(), 0), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	/* Only a batch can be cancelled. */
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
}

/* Writes at its times and on request, until it must exit. */
static void
work(void)
{
	Timetable	times;
	uint64		answered = 0;	/* the last requested flush, done or failed */

	plan(&times, true);
	while (ak_usage_flush_is_possible())
	{
		int64		now = ak_clock_ms();
		AkSlotState state;
		bool		shall_end;

		ak_database_slot_look(slot, &state);
		shall_end = state.shall_leave || state.is_crowded ||
			ShutdownRequestPending;
		if (state.flushes_wanted > answered ||
			(state.is_pending &&
			 (shall_end || now >= times.next ||
			  (state.wants_room && now >= times.not_before))))
		{
			bool		done = ak_usage_flush(false,
											  state.flushes_wanted > answered);

			answered = state.flushes_wanted;
			ak_database_slot_report(slot, answered, done);
			plan(&times, done);
			/* Waits for locks and sockets reset the latch. */
			SetLatch(MyLatch);
		}
		else if (state.wants_hashes)
		{
			(void) ak_usage_flush(true, false);
			SetLatch(MyLatch);
		}
		else if (!state.is_pending && now >= times.leaving)
			break;
		else if (now >= times.next)
			times.next = now + ak_usage_flush_interval;
		if (shall_end)
		{
			/* Other databases are served first. */
			rest = state.is_crowded ? ak_usage_flush_interval : 0;
			break;
		}
		if (state.wants_room)
			sleep_until(Min(times.next, times.not_before));
		else if (state.is_pending)
			sleep_until(times.next);
		else
			sleep_until(Min(times.next, times.leaving));
		if (ConfigReloadPending)
		{
			int64		next = times.next;

			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			plan(&times, true);
			times.next = Min(next, times.next);
		}
	}
	elog(DEBUG1, "apikeys worker exits");
	proc_exit(0);
}

/*
 * Entry point of the worker; the argument is the database's OID. Without a
 * slot, as after a crash, there is nothing to write.
 */
void
apikeys_worker_main(Datum argument)
{
	Oid			database = DatumGetObjectId(argument);

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();

	slot = ak_database_slot_find(database);
	if (slot == NULL || !ak_database_slot_claim(slot))
		proc_exit(0);
	before_shmem_exit(release_slot, (Datum) 0);

	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	is_connected = true;
	configure();
	ak_usage_flush_init(slot);
	work();
}
