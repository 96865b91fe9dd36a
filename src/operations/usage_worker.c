/*
 * usage_worker.c
 *	  The background workers: the launcher, the worker of each database, and what
 *	  commands about databases ask of them.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "operations/operations.h"
#include "usage/usage.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* --- The launcher -------------------------------------------------------- */

/*
 * The process that starts the workers of databases with
 * pending data and no worker.
 *
 * It is registered when the library is preloaded, so it has a background
 * worker slot before other workers take them all.  It is connected to no
 * database, and reads only pg_database: it removes a dropped database from
 * shared memory, also on a standby, where no session runs DROP DATABASE.
 *
 * If there is no slot for another worker, the running workers write what they
 * have and exit, and the databases take turns.
 */

/* Delay after a failed attempt, of the launcher and of the next batch. */
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

/* --- The worker of a database -------------------------------------------- */

/*
 * The background worker of a database: writes pending data (usage_flush.c)
 * at an interval, when it is woken, and before it exits.
 *
 * The launcher starts it when data is pending.  It exits after some time
 * without data to write.  If another database waits for a background worker
 * slot, it exits as soon as it has written.
 */

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
	/* What it did not write, whatever ended it, is pending. */
	if (code != 0)
	{
		rest = RETRY_INTERVAL_MS;
		ak_database_slot_want(slot);
	}
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
		AK_NO_TRANSACTION_TIMEOUT
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

	plan(&times, true);
	while (ak_usage_batches_are_possible())
	{
		int64		now = ak_clock_ms();
		AkSlotState state;
		bool		shall_end;

		ak_database_slot_look(slot, &state);
		shall_end = state.shall_leave || state.is_crowded ||
			ShutdownRequestPending;
		if (state.is_asked ||
			(state.is_pending &&
			 (shall_end || now >= times.next ||
			  (state.wants_room && now >= times.not_before))))
		{
			bool		done = ak_usage_flush(false, state.is_asked);

			ak_database_slot_report(slot, state.flushes_wanted, done);
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
	if (slot == NULL || !ak_database_slot_claim(slot, database))
		proc_exit(0);
	before_shmem_exit(release_slot, (Datum) 0);

	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	is_connected = true;
	configure();
	ak_usage_flush_init(slot);
	work();
}

/* --- Commands about databases -------------------------------------------- */

/*
 * Ends the worker of a database for commands that need it without
 * connections.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME and SET TABLESPACE, and CREATE
 * DATABASE for its template, fail while a session is connected to the
 * database.  The extension's worker ends before they run.  The shared memory
 * of a dropped database is freed.
 */

static ProcessUtility_hook_type previous_hook = NULL;

static const char *
find_text_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, name) == 0)
			return option->arg ? defGetString(option) : NULL;
	}
	return NULL;
}

/* Returns the database that the command needs without connections, or NULL. */
static const char *
get_database(Node *statement)
{
	const char *template;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) statement)->dbname;
		case T_CreatedbStmt:
			template = find_text_option(((CreatedbStmt *) statement)->options,
								   "template");
			return template ? template : "template1";
		case T_AlterDatabaseStmt:
			return find_text_option(((AlterDatabaseStmt *) statement)->options,
							   "tablespace") ?
				((AlterDatabaseStmt *) statement)->dbname : NULL;
		case T_RenameStmt:
			return ((RenameStmt *) statement)->renameType == OBJECT_DATABASE ?
				((RenameStmt *) statement)->subname : NULL;
		default:
			return NULL;
	}
}

static bool
may_create_databases(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID,
										ObjectIdGetDatum(GetUserId()));
	bool		may = false;

	if (HeapTupleIsValid(tuple))
	{
		may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return may;
}

static bool
is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID,
										ObjectIdGetDatum(database));
	bool		is = false;

	if (HeapTupleIsValid(tuple))
	{
		is = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return is;
}

/*
 * A role without the privilege for the command does not end the worker: of a
 * database that is no template, only its owner may create another one.
 */
static bool
may_command(Node *statement, Oid database)
{
	return superuser() || ak_owns_database(database, GetUserId()) ||
		(IsA(statement, CreatedbStmt) && is_template(database) &&
		 may_create_databases());
}

static void
process_utility(PlannedStmt *planned, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo parameters,
				QueryEnvironment *environment, DestReceiver *receiver,
				QueryCompletion *completion)
{
	const char *name = get_database(planned->utilityStmt);
	Oid			database = name ? get_database_oid(name, true) : InvalidOid;
	AkDatabaseSlot *slot = OidIsValid(database) &&
		may_command(planned->utilityStmt, database) ?
		ak_database_slot_find(database) : NULL;

	if (slot)
		ak_database_slot_send_away(slot);
	PG_TRY();
	{
		(previous_hook ? previous_hook : standard_ProcessUtility)
			(planned, query, read_only_tree, context, parameters, environment,
			 receiver, completion);
		if (slot && IsA(planned->utilityStmt, DropdbStmt))
			ak_usage_forget_database(database);
	}
	PG_FINALLY();
	{
		/* Of a database that was dropped there is none any more. */
		AkDatabaseSlot *left = slot ? ak_database_slot_find(database) : NULL;

		if (left)
			ak_database_slot_let_back(left);
	}
	PG_END_TRY();
}

/* Called once, when the library is preloaded. */
void
ak_database_commands_init(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
