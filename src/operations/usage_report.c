/*
 * usage_report.c
 *	  What views and administrators see of the counters in shared memory.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "identity/identity.h"
#include "operations/operations.h"
#include "types/types.h"
#include "usage/limits.h"
#include "usage/usage.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inet.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(apikeys_pending_usage);
PG_FUNCTION_INFO_V1(apikeys_pending_history);
PG_FUNCTION_INFO_V1(apikeys_last_use);
PG_FUNCTION_INFO_V1(apikeys_last_grant_use);
PG_FUNCTION_INFO_V1(apikeys_flush_usage);
PG_FUNCTION_INFO_V1(apikeys_usage_status);
PG_FUNCTION_INFO_V1(apikeys_lost_count);
PG_FUNCTION_INFO_V1(apikeys_written_counts);
PG_FUNCTION_INFO_V1(apikeys_launcher_status);

/* --- One key ------------------------------------------------------------- */

/* Column numbers of key_usage, as in sql/parts/30_tables.sql. */
enum
{
	USAGE_LAST_USED_AT = 4,
	USAGE_LAST_USED_ADDRESS,
	USAGE_SECRET_VERSION
};

/*
 * Checks whether the tables, as the statement sees them, lack the count.
 * "merged" is the last batch that they contain, -1 as long as it is unknown.
 */
static bool
is_pending(const AkCount *count, int64 *merged)
{
	if (count->batch == 0)
		return true;
	if (*merged < 0)
		*merged = ak_usage_merged_batch(GetActiveSnapshot());
	return count->batch > *merged;
}

static void
put_network(const AkNetwork *network, Datum *value, bool *isnull)
{
	*isnull = network->family == 0;
	if (!*isnull)
		*value = InetPGetDatum(ak_network_to_inet(network));
}

/* Of what hours ever; "sum" is of them all. */
static void
put_count(ReturnSetInfo *result, const AkCount *count, uint64 sum)
{
	const AkCounted *counted = &count->counted;
	Datum		values[7] = {0};
	bool		nulls[7] = {false};

	put_network(&counted->network, &values[0], &nulls[0]);
	nulls[1] = !ak_count_is_denial(count);
	if (!nulls[1])
		values[1] = CStringGetTextDatum(ak_reason_name(counted->kind));
	values[2] = Int64GetDatum(counted->kind == AK_COUNTER_GRANT ?
							  0 : sum);
	values[3] = TimestampTzGetDatum(count->last_at);
	put_network(&count->address, &values[4], &nulls[4]);
	values[5] = Int32GetDatum(counted->secret_version);
	nulls[5] = counted->secret_version == 0;
	values[6] = Int64GetDatum(counted->grant);
	nulls[6] = counted->grant == 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * Returns how many counts there are of a key, of that organization, and stores copies
 * of them in *counts (palloc'd).
 */
static int
read_counts(const text *public_key, const pg_uuid_t *organization,
			AkCount **counts)
{
	return ak_counters_exist() ?
		ak_usage_counters_read(public_key, organization, counts) : 0;
}

/*
 * The same of the key in argument 0, of the organization in argument 1; none of one
 * that the principal does not read.  (Its callers are views, which have the
 * organization from the key's row.)
 */
static int
read_own_counts(FunctionCallInfo fcinfo, AkCount **counts)
{
	text	   *public_key = PG_GETARG_TEXT_PP(0);
	int			count = read_counts(public_key, PG_GETARG_UUID_P(1), counts);

	return count > 0 && ak_rights_reads_key(public_key) ? count : 0;
}

Datum
apikeys_pending_usage(PG_FUNCTION_ARGS)
{
	AkCount    *counts;
	int			count = read_own_counts(fcinfo, &counts);
	int64		merged = -1;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < count; i++)
	{
		uint64		sum = counts[i].tally.count;

		while (i + 1 < count && ak_count_is_of_same(&counts[i], &counts[i + 1]))
			sum += counts[++i].tally.count;
		if (is_pending(&counts[i], &merged))
			put_count((ReturnSetInfo *) fcinfo->resultinfo, &counts[i], sum);
	}
	return (Datum) 0;
}

Datum
apikeys_pending_history(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	AkCount    *counts;
	int			count = read_own_counts(fcinfo, &counts);
	int64		merged = -1;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < count; i++)
	{
		const AkCounted *counted = &counts[i].counted;
		const AkTally *tally = &counts[i].tally;
		Datum		values[4];
		bool		nulls[4] = {false};

		if (counted->kind == AK_COUNTER_GRANT ||
			!is_pending(&counts[i], &merged))
			continue;
		values[0] = TimestampTzGetDatum(tally->hour * AK_HOUR);
		values[1] = CStringGetTextDatum(ak_reason_name(counted->kind));
		values[2] = Int64GetDatum(tally->count);
		values[3] = Int64GetDatum(tally->cost);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/* Finds it in the tables, with the snapshot of the statement; version 0: any. */
static void
find_recorded_use(text *public_key, int32 version, AkLastUse *last)
{
	AkIndexScan scan;
	ScanKeyData key;

	ak_index_scan_text_key(&key, public_key);
	ak_index_scan_open(GetActiveSnapshot(), AK_KEY_USAGE, AK_KEY_USAGE_BY_KEY,
					   &key, false, &scan);
	while (ak_index_scan_next_row(&scan))
	{
		Datum	   *values = scan.slot->tts_values;
		TimestampTz at;

		slot_getsomeattrs(scan.slot, USAGE_SECRET_VERSION);
		at = DatumGetTimestampTz(values[USAGE_LAST_USED_AT - 1]);
		if (at <= last->at ||
			(version && DatumGetInt32(values[USAGE_SECRET_VERSION - 1]) != version))
			continue;
		last->at = at;
		last->address = scan.slot->tts_isnull[USAGE_LAST_USED_ADDRESS - 1] ?
			NULL : DatumGetInetP(datumCopy(values[USAGE_LAST_USED_ADDRESS - 1],
										   false, -1));
	}
	ak_index_scan_close(&scan);
}

/* Finds it in the counters in memory. */
static void
find_pending_use(const text *public_key, const pg_uuid_t *organization,
				 int32 version, AkLastUse *last)
{
	AkCount    *counts;
	int			count = read_counts(public_key, organization, &counts);
	int64		merged = -1;

	for (int i = 0; i < count; i++)
	{
		if (counts[i].counted.kind != AK_OK || counts[i].last_at <= last->at ||
			(version && counts[i].counted.secret_version != version) ||
			!is_pending(&counts[i], &merged))
			continue;
		last->at = counts[i].last_at;
		last->address = counts[i].address.family ?
			ak_network_to_inet(&counts[i].address) : NULL;
	}
}

/*
 * Finds the last use of a key, of that organization, or, if the version is not 0, of
 * that secret of it; last->address is palloc'd.  Checks no rights.
 */
void
ak_usage_report_last_use(text *public_key, const pg_uuid_t *organization,
						 int32 version, AkLastUse *last)
{
	last->at = DT_NOBEGIN;
	last->address = NULL;
	find_recorded_use(public_key, version, last);
	find_pending_use(public_key, organization, version, last);
}

/*
 * Returns the last use of the key in argument 0, of the organization in argument 1;
 * argument 2 is the set of organizations with all keys readable.
 */
Datum
apikeys_last_use(PG_FUNCTION_ARGS)
{
	text	   *public_key;
	AkLastUse	last;
	Datum		values[2];
	bool		nulls[2];

	public_key = PG_GETARG_TEXT_PP(0);
	ak_usage_report_last_use(public_key, PG_GETARG_UUID_P(1), 0, &last);
	if (last.at == DT_NOBEGIN ||
		!ak_reach_reads_key(public_key, PG_GETARG_UUID_P(1),
							PG_GETARG_ARRAYTYPE_P(2)))
		PG_RETURN_NULL();
	values[0] = TimestampTzGetDatum(last.at);
	nulls[0] = false;
	values[1] = InetPGetDatum(last.address);
	nulls[1] = last.address == NULL;
	return ak_make_row(fcinfo, values, nulls);
}

/*
 * Finds in the table when a role or a permission ("held", as ak_grant_id_of() takes
 * it) of a key was used last, with the snapshot of the statement; DT_NOBEGIN: never.
 */
static TimestampTz
find_recorded_grant(text *public_key, const pg_uuid_t *project, text *held)
{
	ScanKeyData keys[3];
	AkIndexScan scan;
	TimestampTz last_at = DT_NOBEGIN;
	bool		isnull;

	ak_index_scan_text_key(&keys[0], public_key);
	if (project)
		ak_index_scan_uuid_key(&keys[1], project);
	else
		ScanKeyEntryInitialize(&keys[1], SK_ISNULL | SK_SEARCHNULL, 1,
							   InvalidStrategy, InvalidOid, InvalidOid,
							   InvalidOid, (Datum) 0);
	ak_index_scan_text_key(&keys[2], held);
	for (int i = 0; i < lengthof(keys); i++)
		keys[i].sk_attno = i + 1;
	ak_index_scan_open_for(GetActiveSnapshot(), AK_KEY_ROLE_USAGE,
						   AK_KEY_ROLE_USAGE_BY_KEY, keys, lengthof(keys), &scan);
	if (ak_index_scan_next_row(&scan))
		last_at = DatumGetTimestampTz(slot_getattr(scan.slot,
												   ROLE_USAGE_LAST_USED_AT,
												   &isnull));
	ak_index_scan_close(&scan);
	return last_at;
}

/*
 * Returns when a role or a permission of the key in argument 0, of the organization in
 * argument 3, was used last, in the project in argument 1, or NULL.  Its caller reads
 * the role.
 */
Datum
apikeys_last_grant_use(PG_FUNCTION_ARGS)
{
	text	   *public_key;
	text	   *held;
	const pg_uuid_t *project = PG_ARGISNULL(1) ? NULL : PG_GETARG_UUID_P(1);
	uint64		id;
	TimestampTz last_at;
	AkCount    *counts;
	int			count;
	int64		merged = -1;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	public_key = PG_GETARG_TEXT_PP(0);
	held = PG_GETARG_TEXT_PP(2);
	id = ak_grant_id_of(held, project);
	last_at = find_recorded_grant(public_key, project, held);
	count = read_counts(public_key, PG_GETARG_UUID_P(3), &counts);
	for (int i = 0; i < count; i++)
		if (counts[i].counted.grant == id && is_pending(&counts[i], &merged))
			last_at = Max(last_at, counts[i].last_at);
	if (last_at == DT_NOBEGIN)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(last_at);
}

/* --- The whole database -------------------------------------------------- */

Datum
apikeys_flush_usage(PG_FUNCTION_ARGS)
{
	AkDatabaseSlot *slot;

	ak_require_preload();
	if (RecoveryInProgress() && ak_usage_primary_conninfo[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a standby cannot write usage by itself"),
				 ak_errid("standby"),
				 errhint("Set apikeys.usage_primary_conninfo to the connection string of the primary.")));
	slot = ak_database_slot_get();
	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("usage is counted in too many databases already"),
				 ak_errid("too_many_databases")));
	if (!ak_database_slot_flush(slot))
		ereport(ERROR,
				(errcode(ERRCODE_IO_ERROR),
				 errmsg("usage could not be written"),
				 ak_errid("flush_failed"),
				 errdetail("The counts stay in memory, and are written later."),
				 errhint("See the server's log for the reason.")));
	PG_RETURN_VOID();
}

/*
 * Returns the number of lost counts of this database, without reading all
 * counters.
 */
Datum
apikeys_lost_count(PG_FUNCTION_ARGS)
{
	AkDatabaseSlot *slot = ak_counters_exist() ?
		ak_database_slot_get() : NULL;

	if (slot == NULL)
		PG_RETURN_NULL();
	PG_RETURN_INT64(pg_atomic_read_u64(&slot->lost));
}

/*
 * Uses and denials by reason, all keys of this database together, since the
 * server started: what the worker has written, and denials of unknown keys.
 */
Datum
apikeys_written_counts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	AkDatabaseSlot *slot = ak_counters_exist() ?
		ak_database_slot_get() : NULL;

	InitMaterializedSRF(fcinfo, 0);
	for (int reason = 0; slot && reason < AK_REASON_COUNT; reason++)
	{
		pg_atomic_uint64 *count = reason == AK_UNKNOWN_KEY ?
			&slot->unknown_keys : &slot->written[reason];
		Datum		values[] = {
			CStringGetTextDatum(ak_reason_name(reason)),
			Int64GetDatum(pg_atomic_read_u64(count))
		};
		bool		nulls[2] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

/* Whether the launcher runs, and how many databases wait for a worker. */
Datum
apikeys_launcher_status(PG_FUNCTION_ARGS)
{
	Datum		values[2];
	bool		nulls[2] = {false};

	values[0] = BoolGetDatum(ak_counters_exist() &&
							 ak_database_slots_have_launcher());
	values[1] = Int32GetDatum(ak_counters_exist() ?
							  ak_database_slots_waiting() : 0);
	return ak_make_row(fcinfo, values, nulls);
}

/* Advice on the gravest of the jobs (AkJob bits) that failed: one did at least. */
static const char *
get_failure_advice(uint32 failed_jobs)
{
	static const struct
	{
		AkJob		job;
		const char *advice;
	}			failures[] = {
		{AK_JOB_LOOK, "the worker could not look for the extension when it last tried: see the server's log"},
		{AK_JOB_USAGE, "what is counted could not be written when it was last tried: see the server's log"},
		{AK_JOB_SEALS, "the audit could not be sealed when it was last tried: see the server's log, and verify_audit()"},
		{AK_JOB_HASHES, "hashes could not be renewed when it was last tried: see the server's log"},
		{AK_JOB_HISTORY, "old history could not be deleted when it was last tried: see the server's log"},
	};
	int			gravest = 0;

	while (gravest < lengthof(failures) - 1 &&
		   (failed_jobs & failures[gravest].job) == 0)
		gravest++;
	return failures[gravest].advice;
}

/* Returns what the administrator should do, perhaps palloc'd; NULL if nothing. */
static const char *
get_advice(AkDatabaseSlot *slot, uint64 lost, uint64 coarse)
{
	/* read once: the worker changes it at any time */
	uint32		failed_jobs = slot ? slot->failed_jobs : 0;
	AkLimitsStatus limits;
	int			waiting;

	if (!ak_counters_exist())
		return "apikeys is not in shared_preload_libraries: decisions and counting are not possible";
	if (slot == NULL)
		return "usage is counted in too many databases already: it is not counted in this one";
	if (ak_pepper_is_faulty())
		return "apikeys.pepper_file could not be used when it was last read, see the server's log: keys whose pepper is missing are denied, and without peppers no secret or token is created";
	if (failed_jobs != 0)
		return get_failure_advice(failed_jobs);
	if (lost > 0)
		return "some uses could not be counted: raise apikeys.usage_max_entries";
	if (coarse > 0)
		return "some uses could not be counted by network, secret and role: raise apikeys.usage_max_entries";
	ak_limits_status(&limits);
	if (limits.unlimited > 0)
		return "what some requests spent of limits could not be counted: raise apikeys.limit_max_entries";
	if (RecoveryInProgress() && ak_usage_primary_conninfo[0] == '\0')
		return "a standby without apikeys.usage_primary_conninfo: its counts stay in its memory";
	if (!ak_database_slots_have_launcher())
		return "the apikeys launcher does not run, so nothing is written: raise max_worker_processes";
	waiting = ak_database_slots_waiting();
	if (waiting > 0)
		return psprintf("no background worker is available, and the usage of %d %s waits: raise max_worker_processes",
						waiting, waiting == 1 ? "database" : "databases");
	return NULL;
}

Datum
apikeys_usage_status(PG_FUNCTION_ARGS)
{
	AkDatabaseSlot *slot = ak_counters_exist() ?
		ak_database_slot_get() : NULL;
	uint64		lost = slot ? pg_atomic_read_u64(&slot->lost) : 0;
	uint64		coarse = slot ? pg_atomic_read_u64(&slot->coarse) : 0;
	const char *advice = get_advice(slot, lost, coarse);
	Datum		values[11] = {0};
	bool		nulls[11] = {false};

	values[0] = BoolGetDatum(ak_counters_exist());
	values[1] = BoolGetDatum(slot && slot->worker != 0);
	if (slot)
	{
		/* the last batch that is known to be in the tables */
		uint64		settled = slot->batch_is_settled || slot->batch == 0 ?
			slot->batch : slot->batch - 1;

		values[2] = Int64GetDatum(ak_usage_counters_pending(MyDatabaseId,
															settled));
		values[3] = Int32GetDatum(ak_counters_used());
		values[4] = Int32GetDatum(ak_usage_max_entries);
		values[5] = Int64GetDatum(coarse);
		values[6] = Int64GetDatum(lost);
		values[7] = Int64GetDatum(pg_atomic_read_u64(&slot->unknown_keys));
		values[8] = Int64GetDatum(pg_atomic_read_u64(&slot->slowed));
		values[9] = TimestampTzGetDatum(slot->flushed_at);
	}
	for (int i = 2; i <= 9; i++)
		nulls[i] = slot == NULL;
	nulls[9] = slot == NULL || slot->flushed_at == 0;
	nulls[10] = advice == NULL;
	if (advice)
		values[10] = CStringGetTextDatum(advice);
	return ak_make_row(fcinfo, values, nulls);
}
