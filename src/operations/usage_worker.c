/*
 * usage_worker.c
 *	  The background worker of a database: writes what was counted in shared
 *	  memory to the tables, in batches, at an interval, when it is woken and
 *	  before it ends; and with it the hashes that were brought up to date.
 *	  Then it seals the audit.
 *
 * What is counted is written exactly once, whenever the worker is ended or a
 * batch fails: a batch has a number that is written along with it, and a
 * batch whose fate is not known is asked about before the next one is taken.
 * (If the server crashes, the counters are gone, and with them what was
 * counted since the last batch.)
 *
 * On a standby the batches are sent to the primary, if we are told where it is,
 * and stay in memory else.
 */
#include "postgres.h"

#include "audit/audit_seal.h"
#include "base/settings.h"
#include "core/clock.h"
#include "core/compat.h"
#include "store/keystore.h"
#include "usage/database_slot.h"
#include "usage/rehash.h"
#include "usage/usage.h"
#include "usage/usage_counters.h"
#include "usage/usage_merge.h"
#include "usage/usage_primary.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* A batch is this large or a little larger. */
#define BATCH_SIZE			10000

/* After a failure the next batch waits at least so long. */
#define RETRY_INTERVAL_MS	1000

/* When there is little room, batches follow each other like this. */
#define FILLING_INTERVAL_MS	100

/*
 * A use of a key that nobody sees may be one of a transaction that has made
 * the key and is not over yet: it is kept so long, if there is room.
 */
#define KEEP_UNKNOWN_MS		(3600 * 1000)

/* So many seals of the audit are made in one transaction. */
#define SEALS_AT_ONCE		10

PGDLLEXPORT void apikeys_worker_main(Datum argument);

/* Where batches go. */
typedef enum Destination
{
	NOWHERE,
	OWN_TABLES,
	PRIMARY
} Destination;

static AkDatabaseSlot *slot;
static char database_name[NAMEDATALEN];
static bool is_connected = false;
static MemoryContext batch_context;

/* --- Transactions --------------------------------------------------------- */

static void
begin_transaction(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(batch_context);
}

static void
commit_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(batch_context);
}

/* --- One batch ------------------------------------------------------------ */

/* Whether what was counted of a key that is not there shall be kept. */
static bool
shall_keep(AkKeystore *store, const AkCount *count)
{
	text	   *public_key = cstring_to_text_with_len(count->public_key,
													  count->key_length);

	return !ak_counters_are_filling() &&
		!TimestampDifferenceExceeds(count->last_at, GetCurrentTimestamp(),
									KEEP_UNKNOWN_MS) &&
		!ak_keystore_was_deleted(store, public_key);
}

/*
 * Of the counts that were not written, for want of a key, the places of those
 * that shall be kept, in a list of integers; in a transaction.
 */
static List *
choose_kept(ArrayType *missing, const AkHarvest *harvest)
{
	AkKeystore	store;
	List	   *kept = NIL;
	int			count = ArrayGetNItems(ARR_NDIM(missing), ARR_DIMS(missing));
	const int32 *places = (const int32 *) ARR_DATA_PTR(missing);

	ak_keystore_open(&store, AK_TABLE_BIT(AK_DELETED_KEY));
	for (int i = 0; i < count; i++)
	{
		int			place = places[i] - 1;

		if (place >= 0 && place < harvest->count &&
			shall_keep(&store, &harvest->counts[place]))
			kept = lappend_int(kept, place);
	}
	ak_keystore_close(&store);
	return kept;
}

static List *
write_to_own_tables(AkHarvest *harvest)
{
	AkBatch		batch = {0};
	List	   *kept;

	begin_transaction();
	if (harvest->count > 0)
		ak_usage_make_batch(harvest, &batch);
	kept = choose_kept(ak_usage_merge(ak_database_slots_instance(),
									  slot->batch, &batch), harvest);
	if (harvest->stale_count > 0)
		ak_usage_clean_up(harvest->stale, harvest->stale_count);
	commit_transaction();
	return kept;
}

static List *
send_to_primary(AkHarvest *harvest)
{
	AkBatch		batch;
	AkTextBatch text;
	char	   *answer;
	Datum		missing;
	List	   *kept;

	begin_transaction();
	ak_usage_make_batch(harvest, &batch);
	ak_usage_primary_format(&batch, &text);
	commit_transaction();
	answer = ak_usage_primary_merge(ak_database_slots_instance(), slot->batch,
									&text);
	begin_transaction();
	missing = OidInputFunctionCall(F_ARRAY_IN, answer, INT4OID, -1);
	kept = choose_kept(DatumGetArrayTypeP(missing), harvest);
	commit_transaction();
	return kept;
}

static void
write_batch(Destination destination, AkHarvest *harvest)
{
	List	   *kept = NIL;
	ListCell   *cell;

	if (destination == PRIMARY)
	{
		if (harvest->count > 0)
			kept = send_to_primary(harvest);
	}
	else if (harvest->count > 0 || harvest->stale_count > 0)
		kept = write_to_own_tables(harvest);
	slot->batch_is_settled = true;
	foreach(cell, kept)
		ak_usage_counters_take_back_one(MyDatabaseId,
										&harvest->counts[lfirst_int(cell)]);
}

/* --- All that is counted -------------------------------------------------- */

/* After a failure: what the last batch held is written, or pending again. */
static void
settle_last_batch(Destination destination)
{
	bool		is_written;

	if (slot->batch == 0 || slot->batch_is_settled)
		return;
	if (destination == PRIMARY)
		is_written = ak_usage_primary_settle(ak_database_slots_instance(),
											 slot->batch);
	else
	{
		begin_transaction();
		is_written = ak_usage_settle(ak_database_slots_instance(),
									 slot->batch);
		commit_transaction();
	}
	if (!is_written)
		ak_usage_counters_take_back(MyDatabaseId, slot->batch);
	slot->batch_is_settled = true;
}

static void
write_all(Destination destination)
{
	int			partition = 0;

	while (partition < AK_COUNTER_PARTITIONS)
	{
		AkHarvest	harvest = {0};

		MemoryContextReset(batch_context);
		slot->batch_is_settled = false;
		slot->batch++;
		while (partition < AK_COUNTER_PARTITIONS && harvest.count < BATCH_SIZE)
			ak_usage_counters_harvest(MyDatabaseId, partition++, slot->batch,
									  &harvest);
		write_batch(destination, &harvest);
	}
}

static Destination
choose_destination(void)
{
	if (!RecoveryInProgress())
		return OWN_TABLES;
	return ak_usage_primary_conninfo[0] != '\0' ? PRIMARY : NOWHERE;
}

static void
flush(void)
{
	Destination destination = choose_destination();

	if (destination == NOWHERE)
		return;
	if (destination == PRIMARY)
		ak_usage_primary_connect(database_name);
	settle_last_batch(destination);
	write_all(destination);
	ak_usage_primary_disconnect();
}

/* --- What else is written ------------------------------------------------- */

static void
write_hashes(void)
{
	if (!ak_rehash_is_queued() || RecoveryInProgress())
		return;
	begin_transaction();
	ak_rehash_write();
	commit_transaction();
}

static void
seal_audit(void)
{
	int64		sealed;

	if (RecoveryInProgress())
		return;
	do
	{
		begin_transaction();
		sealed = ak_audit_seal(SEALS_AT_ONCE, false);
		commit_transaction();
		MemoryContextReset(batch_context);
	} while (sealed > 0 && !ShutdownRequestPending &&
			 !ak_database_slot_shall_leave(slot));
}

/* Whether the job was done; else says in the log why not, unless is_silent. */
static bool
try_job(const char *activity, void (*job) (void), bool is_silent)
{
	volatile bool done = false;

	pgstat_report_activity(STATE_RUNNING, activity);
	MemoryContextSwitchTo(batch_context);
	PG_TRY();
	{
		job();
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(batch_context);
		if (!is_silent)
			EmitErrorReport();
		LWLockReleaseAll();
		AbortCurrentTransaction();
		FlushErrorState();
		ak_usage_primary_disconnect();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextReset(batch_context);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return done;
}

/*
 * Does all there is to do, each whether the others fail or not; whether usage
 * was written.  Seals that are damaged stay so, and are told of once.
 */
static bool
do_jobs(void)
{
	static bool audit_is_sealed = true;
	bool		usage_is_written = try_job("writing usage", flush, false);

	(void) try_job("writing hashes", write_hashes, false);
	audit_is_sealed = try_job("sealing the audit", seal_audit,
							  !audit_is_sealed);
	return usage_is_written;
}

/* --- The process ---------------------------------------------------------- */

static void
release_slot(int code, Datum argument)
{
	ak_database_slot_release(slot, code == 0, is_connected);
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
		/* Nobody waits for long for who has locked a row or a table. */
		{"lock_timeout", "2s"},
		/* A standby that is away does not keep the server from stopping. */
		{"synchronous_commit", "local"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET,
						PGC_S_OVERRIDE);
}

/* Looks up each time how the database is called: a standby hears of no renaming. */
static bool
has_extension(void)
{
	bool		has;

	begin_transaction();
	has = OidIsValid(get_extension_oid("apikeys", true));
	strlcpy(database_name, get_database_name(MyDatabaseId),
			sizeof(database_name));
	commit_transaction();
	MemoryContextSwitchTo(TopMemoryContext);
	return has;
}

/* Databases that are gone: on a standby nobody else says so. */
static void
forget_dropped_databases(void)
{
	Oid			databases[AK_DATABASE_SLOT_COUNT];
	int			count = ak_database_slots_list(databases);

	begin_transaction();
	for (int i = 0; i < count; i++)
		if (!SearchSysCacheExists1(DATABASEOID,
								   ObjectIdGetDatum(databases[i])))
			ak_usage_forget_database(databases[i]);
	commit_transaction();
	MemoryContextSwitchTo(TopMemoryContext);
}

/* Whether there is something to do that cannot wait for the next time. */
static bool
is_wanted(uint64 answered)
{
	return ShutdownRequestPending || ConfigReloadPending ||
		ak_database_slot_shall_leave(slot) ||
		ak_database_slot_wanted(slot) > answered;
}

/* Writes whenever it is time or somebody asks, until it shall end. */
static void
work(void)
{
	/* Of ak_clock_ms(): the next time to write; not even if there is little room */
	int64		next = ak_clock_ms() + ak_usage_flush_interval;
	int64		not_before = 0;
	uint64		answered = 0;	/* the last flush asked for, done or failed */

	for (;;)
	{
		int64		now = ak_clock_ms();
		bool		shall_leave = ak_database_slot_shall_leave(slot);
		bool		ends = shall_leave || ShutdownRequestPending;
		uint64		wanted = ak_database_slot_wanted(slot);

		if (ends || wanted > answered || now >= next ||
			(now >= not_before && ak_database_slot_wants_room(slot)))
		{
			bool		done;

			if (!has_extension())
			{
				ak_counters_purge(MyDatabaseId);
				ak_rehash_forget(MyDatabaseId);
				proc_exit(0);
			}
			ak_database_slot_begin_flush(slot);
			done = do_jobs();
			ak_database_slot_report(slot, wanted, done);
			answered = wanted;
			now = ak_clock_ms();
			next = now + ak_usage_flush_interval;
			not_before = now + (done ? FILLING_INTERVAL_MS : RETRY_INTERVAL_MS);
		}
		if (shall_leave)
			proc_exit(0);
		if (ends)
			proc_exit(1);		/* to be started again, if only we end */

		/* Whoever waits for a lock or a socket resets the latch. */
		if (is_wanted(answered))
			SetLatch(MyLatch);
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
				  Max((ak_database_slot_wants_room(slot) ?
					   Min(next, not_before) : next) - now, 0),
				  PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		/* Only a batch can be cancelled. */
		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			next = Min(next, ak_clock_ms() + ak_usage_flush_interval);
		}
	}
}

/*
 * The worker's entry; the argument is the database's OID.  Without a slot, as
 * after a crash, there is nothing to write; the next use makes one and starts
 * a worker.
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
	batch_context = AllocSetContextCreate(TopMemoryContext, "apikeys batch",
										  ALLOCSET_DEFAULT_SIZES);
	forget_dropped_databases();
	work();
}
