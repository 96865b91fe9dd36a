/*
 * usage_launcher.c
 *	  The process that starts the workers of databases (usage_worker.c) with
 *	  pending data and no worker.
 *
 * It is registered when the library is preloaded, so it has a background
 * worker slot before other workers take them all.  It is connected to no
 * database, and reads only pg_database: it removes a dropped database from
 * shared memory, also on a standby, where no session runs DROP DATABASE.
 *
 * If there is no slot for another worker, the running workers write what they
 * have and exit, and the databases take turns.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/clock.h"
#include "core/compat.h"
#include "operations/usage_launcher.h"
#include "usage/database_slot.h"
#include "usage/usage.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* Delay after a failed attempt. */
#define RETRY_INTERVAL_MS	1000

#define RESTART_INTERVAL_S	1

PGDLLEXPORT void apikeys_launcher_main(Datum argument);

/* By slot number: the worker that was started last, or NULL. */
static BackgroundWorkerHandle *workers[AK_DATABASE_SLOT_COUNT];

/* Number of the slot that is served first, so that all are served in turn. */
static int	first_served = 0;

static void
init_worker(BackgroundWorker *worker, int restart_time, const char *type,
			const char *function)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_ConsistentState;
	worker->bgw_restart_time = restart_time;
	strlcpy(worker->bgw_library_name, "apikeys", BGW_MAXLEN);
	strlcpy(worker->bgw_function_name, function, BGW_MAXLEN);
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
	strlcpy(worker->bgw_name, type, BGW_MAXLEN);
}

/* Called once, when the library is preloaded. */
void
ak_usage_launcher_init(void)
{
	BackgroundWorker worker;

	init_worker(&worker, RESTART_INTERVAL_S, "apikeys launcher",
				"apikeys_launcher_main");
	RegisterBackgroundWorker(&worker);
}

/*
 * Checks whether the last worker started for a slot runs, or may still start.
 */
static bool
is_busy(int number)
{
	pid_t		pid;

	if (workers[number] &&
		GetBackgroundWorkerPid(workers[number], &pid) == BGWH_STOPPED)
	{
		pfree(workers[number]);
		workers[number] = NULL;
	}
	return workers[number] != NULL;
}

/* Returns false if there is no slot for another background worker. */
static bool
start_worker(const AkIdleSlot *idle)
{
	BackgroundWorker worker;

	init_worker(&worker, BGW_NEVER_RESTART, "apikeys worker",
				"apikeys_worker_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "apikeys worker of database %u",
			 idle->database);
	worker.bgw_main_arg = ObjectIdGetDatum(idle->database);
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, &workers[idle->number]);
}

/* Removes dropped databases; returns how many of the list are left. */
static int
forget_dropped(AkIdleSlot *idle, int count)
{
	int			left = 0;

	StartTransactionCommand();
	for (int i = 0; i < count; i++)
	{
		if (SearchSysCacheExists1(DATABASEOID,
								  ObjectIdGetDatum(idle[i].database)))
			idle[left++] = idle[i];
		else
			ak_usage_forget_database(idle[i].database);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(TopMemoryContext);
	return left;
}

/*
 * Starts the workers that are due, as far as there are slots.  Returns the
 * time until there is more to do, in milliseconds; -1: until the latch is set.
 */
static long
start_workers(void)
{
	AkIdleSlot	idle[AK_DATABASE_SLOT_COUNT];
	AkIdleSlot	waiting[AK_DATABASE_SLOT_COUNT];
	int			count = forget_dropped(idle, ak_database_slots_list(idle));
	int			waiting_count = 0;
	int64		now = ak_clock_ms();
	int64		next = PG_INT64_MAX;
	bool		can_write = !RecoveryInProgress() ||
		ak_usage_primary_conninfo[0] != '\0';
	int			first = 0;

	while (first < count && idle[first].number < first_served)
		first++;
	for (int i = 0; i < count; i++)
	{
		const AkIdleSlot *slot = &idle[(first + i) % count];

		if (is_busy(slot->number))
			continue;
		if (slot->due_at > now || !can_write)
			next = Min(next, slot->due_at);
		else if (waiting_count == 0 && start_worker(slot))
			first_served = slot->number + 1;
		else
			waiting[waiting_count++] = *slot;
	}
	ak_database_slots_set_waiting(waiting, waiting_count);
	if (waiting_count > 0)
		next = Min(next, now + RETRY_INTERVAL_MS);
	return next == PG_INT64_MAX ? -1 :
		Max(next - now, can_write ? 0 : RETRY_INTERVAL_MS);
}

static void
end_launching(int code, Datum argument)
{
	ak_database_slots_set_launcher(NULL);
}

/* Entry point of the launcher. */
void
apikeys_launcher_main(Datum argument)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	SetConfigOption("application_name", "apikeys launcher", PGC_SUSET,
					PGC_S_OVERRIDE);
	MemoryContextSwitchTo(TopMemoryContext);
	before_shmem_exit(end_launching, (Datum) 0);
	ak_database_slots_set_launcher(MyLatch);
	pgstat_report_activity(STATE_IDLE, NULL);

	while (!ShutdownRequestPending)
	{
		long		timeout = start_workers();

		WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
				  (timeout < 0 ? 0 : WL_TIMEOUT), timeout,
				  PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	/* If only this process is terminated, the postmaster restarts it. */
	proc_exit(1);
}
