/*
 * authorize.c
 *	  The decision as SQL functions: yes or no, with the reason, or an error.
 */
#include "postgres.h"

#include "base/names.h"
#include "base/settings.h"
#include "core/compat.h"
#include "core/errors.h"
#include "decision/decision.h"
#include "types/type_access_list.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Columns of type decision, as in sql/parts/22_composite_types.sql. */
enum
{
	DECISION_ALLOWED,
	DECISION_REASON,
	DECISION_PUBLIC_KEY,
	DECISION_ORGANIZATION_ID,
	DECISION_ADDRESS,
	DECISION_NETWORK,
	DECISION_HTTP_STATUS,
	DECISION_RETRY_AFTER,
	DECISION_OWNER,
	DECISION_METADATA,
	DECISION_REMAINING,
	DECISION_RESET_AFTER,
	DECISION_LIMIT_NAME,
	DECISION_ENVIRONMENT,
	DECISION_COLUMN_COUNT
};

/* Sets a column of the row that is made. */
#define PUT(column, datum) \
	(values[DECISION_##column] = (datum), nulls[DECISION_##column] = false)

PG_FUNCTION_INFO_V1(apikeys_authorize);
PG_FUNCTION_INFO_V1(apikeys_decide);
PG_FUNCTION_INFO_V1(apikeys_require);
PG_FUNCTION_INFO_V1(apikeys_authorize_text);
PG_FUNCTION_INFO_V1(apikeys_decide_text);
PG_FUNCTION_INFO_V1(apikeys_require_text);

/*
 * What the call weighs in limits; 1 where the function is declared without that
 * argument.  Raises 22023 if it is NULL or negative.
 */
static int64
get_cost(FunctionCallInfo fcinfo, int argument)
{
	if (PG_NARGS() <= argument)
		return 1;
	if (PG_ARGISNULL(argument) || PG_GETARG_INT64(argument) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cost must be 0 or more"),
				 ak_errid("invalid_cost"),
				 errhidestmt(true),
				 errhidecontext(true)));
	return PG_GETARG_INT64(argument);
}

/*
 * Decides what the arguments ask, of which the address is an inet or a text;
 * *address is what *request points to.
 */
static void
decide(FunctionCallInfo fcinfo, bool address_is_text, bool wants_limit,
	   AkRequest *request, AkNetwork *address, AkDecision *decision)
{
	ak_require_preload();
	memset(request, 0, sizeof(*request));
	request->cost = get_cost(fcinfo, 5);
	request->wants_limit = wants_limit;
	if (!PG_ARGISNULL(3))
	{
		request->scope = PG_GETARG_TEXT_PP(3);
		ak_check_scope(request->scope);
	}
	if (!PG_ARGISNULL(0))
		request->public_key = PG_GETARG_TEXT_PP(0);
	if (!PG_ARGISNULL(1))
		request->secret = PG_GETARG_TEXT_PP(1);
	if (!PG_ARGISNULL(2))
	{
		if (address_is_text)
			ak_network_from_text(PG_GETARG_TEXT_PP(2), address);
		else
			ak_network_from_inet(PG_GETARG_INET_PP(2), address);
		request->address = address;
	}
	if (!PG_ARGISNULL(4))
		request->project = PG_GETARG_UUID_P(4);

	ak_decision_open(request, decision);
	ak_decision_close(request, decision);
}

/* Whether the request may go on. */
static Datum
answer_boolean(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkRequest	request;
	AkNetwork	address;
	AkDecision	decision;

	decide(fcinfo, address_is_text, false, &request, &address, &decision);
	PG_RETURN_BOOL(decision.reason == AK_OK);
}

/* The public key, or an error. */
static Datum
answer_key(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkRequest	request;
	AkNetwork	address;
	AkDecision	decision;

	decide(fcinfo, address_is_text, false, &request, &address, &decision);
	if (decision.reason != AK_OK)
		ak_decision_raise(&decision, ERRCODE_INSUFFICIENT_PRIVILEGE);
	PG_RETURN_TEXT_P(request.public_key);
}

/* An interval of so many microseconds; palloc'd. */
static Datum
to_interval(int64 length)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = length;
	return IntervalPGetDatum(interval);
}

/* The columns that tell of limits. */
static void
put_limit(const AkLimitAnswer *limit, Datum *values, bool *nulls)
{
	if (!limit->exists)
		return;
	PUT(REMAINING, Int64GetDatum(limit->remaining));
	PUT(LIMIT_NAME, CStringGetTextDatum(limit->name));
	if (limit->waits)
		PUT(RETRY_AFTER, to_interval(limit->retry_after));
	if (limit->resets)
		PUT(RESET_AFTER, to_interval(limit->reset_after));
}

/* The decision with its reason. */
static Datum
answer_row(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkRequest	request;
	AkNetwork	address;
	AkDecision	decision;
	TupleDesc	descriptor;
	Datum		values[DECISION_COLUMN_COUNT] = {0};
	bool		nulls[DECISION_COLUMN_COUNT];

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	decide(fcinfo, address_is_text, true, &request, &address, &decision);

	memset(nulls, true, sizeof(nulls));
	PUT(ALLOWED, BoolGetDatum(decision.reason == AK_OK));
	PUT(REASON, CStringGetTextDatum(ak_reason_name(decision.reason)));
	if (decision.key_exists)
		PUT(PUBLIC_KEY, PointerGetDatum(request.public_key));
	if (ak_decision_proves(&decision))
		PUT(ORGANIZATION_ID, UUIDPGetDatum(&decision.key.organization_id));
	if (request.address)
		PUT(ADDRESS, InetPGetDatum(ak_network_to_inet(request.address)));
	if (decision.has_network)
		PUT(NETWORK, InetPGetDatum(ak_network_to_inet(&decision.network)));
	put_limit(&decision.limit, values, nulls);
	PUT(HTTP_STATUS, Int32GetDatum(ak_reason_http_status(decision.reason)));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}

/* --- For SQL -------------------------------------------------------------- */

Datum
apikeys_authorize(PG_FUNCTION_ARGS)
{
	return answer_boolean(fcinfo, false);
}

Datum
apikeys_authorize_text(PG_FUNCTION_ARGS)
{
	return answer_boolean(fcinfo, true);
}

Datum
apikeys_decide(PG_FUNCTION_ARGS)
{
	return answer_row(fcinfo, false);
}

Datum
apikeys_decide_text(PG_FUNCTION_ARGS)
{
	return answer_row(fcinfo, true);
}

Datum
apikeys_require(PG_FUNCTION_ARGS)
{
	return answer_key(fcinfo, false);
}

Datum
apikeys_require_text(PG_FUNCTION_ARGS)
{
	return answer_key(fcinfo, true);
}
