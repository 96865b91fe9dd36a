/*
 * usage_report.c
 *	  What views and administrators see of the counters in shared memory.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/compat.h"
#include "core/errors.h"
#include "identity/rights.h"
#include "types/type_access_list.h"
#include "usage/database_slot.h"
#include "usage/usage_counters.h"
#include "usage/usage_merge.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(apikeys_pending_usage);
PG_FUNCTION_INFO_V1(apikeys_flush_usage);
PG_FUNCTION_INFO_V1(apikeys_usage_status);
PG_FUNCTION_INFO_V1(apikeys_lost_count);

/* --- One key ------------------------------------------------------------- */

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
		*merged = ak_usage_merged_batch(ak_database_slots_instance());
	return count->batch > *merged;
}

static void
put_network(const AkNetwork *network, Datum *value, bool *isnull)
{
	*isnull = network->family == 0;
	if (!*isnull)
		*value = InetPGetDatum(ak_network_to_inet(network));
}

static void
put_count(ReturnSetInfo *result, const AkCount *count)
{
	const AkCounted *counted = &count->counted;
	Datum		values[7] = {0};
	bool		nulls[7] = {false};

	put_network(&counted->network, &values[0], &nulls[0]);
	nulls[1] = !ak_count_is_denial(count);
	if (!nulls[1])
		values[1] = CStringGetTextDatum(ak_reason_name(counted->kind));
	values[2] = Int64GetDatum(counted->kind == AK_COUNTER_GRANT ?
							  0 : count->count);
	values[3] = TimestampTzGetDatum(count->last_at);
	put_network(&count->address, &values[4], &nulls[4]);
	values[5] = Int32GetDatum(counted->secret_version);
	nulls[5] = counted->secret_version == 0;
	values[6] = Int64GetDatum(counted->grant);
	nulls[6] = counted->grant == 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
apikeys_pending_usage(PG_FUNCTION_ARGS)
{
	text	   *public_key = PG_GETARG_TEXT_PP(0);
	AkCount    *counts;
	int			count = 0;
	int64		merged = -1;

	InitMaterializedSRF(fcinfo, 0);
	if (ak_counters_exist())
		count = ak_usage_counters_read(public_key, &counts);
	if (count == 0 || !ak_rights_reads_key(public_key))
		return (Datum) 0;
	for (int i = 0; i < count; i++)
		if (is_pending(&counts[i], &merged))
			put_count((ReturnSetInfo *) fcinfo->resultinfo, &counts[i]);
	return (Datum) 0;
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

/* Returns the last batch that is known to be in the tables. */
static uint64
get_settled_batch(const AkDatabaseSlot *slot)
{
	return slot->batch_is_settled || slot->batch == 0 ?
		slot->batch : slot->batch - 1;
}

/* Returns what the administrator should do; NULL if there is nothing to do. */
static const char *
get_advice(AkDatabaseSlot *slot, int64 lost)
{
	if (!ak_counters_exist())
		return "apikeys is not in shared_preload_libraries: decisions and counting are not possible";
	if (slot == NULL)
		return "usage is counted in too many databases already: it is not counted in this one";
	if (lost > 0)
		return "some uses could not be counted: raise apikeys.usage_max_entries";
	if (RecoveryInProgress() && ak_usage_primary_conninfo[0] == '\0')
		return "a standby without apikeys.usage_primary_conninfo: its counts stay in its memory";
	return NULL;
}

Datum
apikeys_usage_status(PG_FUNCTION_ARGS)
{
	AkDatabaseSlot *slot = ak_counters_exist() ?
		ak_database_slot_get() : NULL;
	uint64		lost = slot ? pg_atomic_read_u64(&slot->lost) : 0;
	const char *advice = get_advice(slot, lost);
	TupleDesc	descriptor;
	Datum		values[8] = {0};
	bool		nulls[8] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = BoolGetDatum(ak_counters_exist());
	values[1] = BoolGetDatum(slot && slot->worker != 0);
	if (slot)
	{
		values[2] = Int64GetDatum(ak_usage_counters_pending(MyDatabaseId,
															get_settled_batch(slot)));
		values[3] = Int32GetDatum(ak_usage_max_entries);
		values[4] = Int64GetDatum(lost);
		values[5] = Int64GetDatum(pg_atomic_read_u64(&slot->unknown_keys));
		values[6] = TimestampTzGetDatum(slot->flushed_at);
	}
	for (int i = 2; i <= 6; i++)
		nulls[i] = slot == NULL;
	nulls[6] = slot == NULL || slot->flushed_at == 0;
	nulls[7] = advice == NULL;
	if (advice)
		values[7] = CStringGetTextDatum(advice);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}
