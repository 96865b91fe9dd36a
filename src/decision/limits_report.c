/*
 * limits_report.c
 *	  What views, verbs and operators see of limits; looking spends nothing.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/compat.h"
#include "decision/limits.h"
#include "identity/rights.h"
#include "store/locator.h"
#include "store/policy.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(apikeys_require_preload);
PG_FUNCTION_INFO_V1(apikeys_key_limits);
PG_FUNCTION_INFO_V1(apikeys_organization_limits);
PG_FUNCTION_INFO_V1(apikeys_limits_status);

#define PUT(column, datum) \
	(values[column] = (datum), nulls[column] = false)

/* A rate is shown in hours and shorter, however it was written. */
static void
put_limit(ReturnSetInfo *result, const AkApplied *applied,
		  const AkLimitCheck *check)
{
	Datum		values[8] = {0};
	bool		nulls[8];

	memset(nulls, true, sizeof(nulls));
	PUT(0, CStringGetTextDatum(ak_limits_name(applied)));
	if (applied->limit->kind == AK_LIMIT_QUOTA)
	{
		PUT(4, Int64GetDatum(applied->limit->amount));
		PUT(5, Int64GetDatum(check->used));
	}
	else
	{
		const AkRate *rate = &applied->limit->rate;

		PUT(1, Int64GetDatum(rate->requests));
		PUT(2, ak_limit_interval(rate->period));
		PUT(3, Int64GetDatum(rate->burst));
	}
	PUT(6, Int64GetDatum(check->remaining));
	if (check->resets)
		PUT(7, ak_limit_interval(check->reset_after));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_limits(ReturnSetInfo *result, AkKeystore *store, AkLimitSet *set)
{
	(void) ak_limits_ask(store, set, 0, false, true);
	for (int i = 0; i < set->count; i++)
		put_limit(result, &set->applied[i], &set->checks[i]);
}

/* --- For SQL -------------------------------------------------------------- */

Datum
apikeys_require_preload(PG_FUNCTION_ARGS)
{
	ak_require_preload();
	PG_RETURN_VOID();
}

/* Of the key alone: those of its organization are shown once, and not here. */
Datum
apikeys_key_limits(PG_FUNCTION_ARGS)
{
	text	   *public_key = PG_GETARG_TEXT_PP(0);
	AkKeystore	store;
	AkImage		key;
	AkPolicy	policy;
	AkLimitSet	set;

	InitMaterializedSRF(fcinfo, 0);
	if (!ak_limits_exist() || !ak_rights_reads_key(public_key))
		return (Datum) 0;
	ak_keystore_open_for_image(&store, ak_locator_hash(public_key),
							   AK_TABLE_BIT(AK_ORGANIZATION));
	if (ak_keystore_find_image(&store, public_key, &key))
	{
		ak_image_read_rest(&key);
		ak_image_read_limits(&key);
		policy = ak_policy_get(&store, &key.organization_id);
		if (ak_limits_collect(&key, &policy, NULL, &set))
		{
			ak_limits_drop_organization(&set);
			put_limits((ReturnSetInfo *) fcinfo->resultinfo, &store, &set);
		}
	}
	ak_keystore_close(&store);
	return (Datum) 0;
}

Datum
apikeys_organization_limits(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *organization = PG_GETARG_UUID_P(0);
	AkKeystore	store;
	AkPolicy	policy;
	AkLimitSet	set;

	InitMaterializedSRF(fcinfo, 0);
	if (!ak_limits_exist() || !ak_rights_reads_organization(organization))
		return (Datum) 0;
	ak_keystore_open(&store, AK_TABLE_BIT(AK_ORGANIZATION));
	policy = ak_policy_get(&store, organization);
	ak_limits_collect_organization(organization, &policy, &set);
	put_limits((ReturnSetInfo *) fcinfo->resultinfo, &store, &set);
	ak_keystore_close(&store);
	return (Datum) 0;
}

Datum
apikeys_limits_status(PG_FUNCTION_ARGS)
{
	TupleDesc	descriptor;
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};
	AkLimitsStatus status;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (ak_limits_exist())
	{
		ak_limits_status(&status);
		PUT(0, Int32GetDatum(status.used));
		PUT(1, Int64GetDatum(status.unlimited));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}
