/*
 * authorize.c
 *	  The decision as SQL functions: a boolean, with the reason, or an error.
 */
#include "postgres.h"

#include "base/names.h"
#include "base/settings.h"
#include "core/compat.h"
#include "core/errors.h"
#include "decision/decision.h"
#include "types/type_access_list.h"
#include "types/type_secret_hash.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(apikeys_authorize);
PG_FUNCTION_INFO_V1(apikeys_decide);
PG_FUNCTION_INFO_V1(apikeys_require);
PG_FUNCTION_INFO_V1(apikeys_authorize_text);
PG_FUNCTION_INFO_V1(apikeys_decide_text);
PG_FUNCTION_INFO_V1(apikeys_require_text);

/*
 * Raises 22023 unless the cost is a positive number; a function may be
 * declared without one.
 */
static void
check_cost(FunctionCallInfo fcinfo)
{
	if (PG_NARGS() > 5 && (PG_ARGISNULL(5) || PG_GETARG_INT64(5) < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cost must be at least 1"),
				 ak_errid("invalid_cost"),
				 errhidestmt(true),
				 errhidecontext(true)));
}

/*
 * Decides the request in the arguments, whose address is an inet or a text;
 * *request points to *address.
 */
static void
decide(FunctionCallInfo fcinfo, bool address_is_text, AkRequest *request,
	   AkNetwork *address, AkDecision *decision)
{
	ak_require_preload();
	check_cost(fcinfo);
	memset(request, 0, sizeof(*request));
	if (!PG_ARGISNULL(3))
	{
		request->scope = PG_GETARG_TEXT_PP(3);
		ak_check_scope(request->scope);
	}
	if (!PG_ARGISNULL(0))
		request->public_key = ak_decision_get_text(PG_GETARG_DATUM(0),
												   AK_PUBLIC_KEY_MAX_SIZE);
	if (!PG_ARGISNULL(1))
		request->secret = ak_decision_get_text(PG_GETARG_DATUM(1),
											   AK_SECRET_MAX_SIZE);
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

/* Returns whether the request is allowed. */
static Datum
answer_boolean(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkRequest	request;
	AkNetwork	address;
	AkDecision	decision;

	decide(fcinfo, address_is_text, &request, &address, &decision);
	PG_RETURN_BOOL(decision.reason == AK_OK);
}

/* Returns the public key, or raises an error. */
static Datum
answer_key(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkRequest	request;
	AkNetwork	address;
	AkDecision	decision;

	decide(fcinfo, address_is_text, &request, &address, &decision);
	if (decision.reason != AK_OK)
		ak_decision_raise(&decision, ERRCODE_INSUFFICIENT_PRIVILEGE);
	PG_RETURN_TEXT_P(request.public_key);
}

/* Returns the decision with its reason. */
static Datum
answer_row(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkRequest	request;
	AkNetwork	address;
	AkDecision	decision;
	TupleDesc	descriptor;
	Datum		values[6] = {0};
	bool		nulls[6] = {false, false, true, true, true, true};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	decide(fcinfo, address_is_text, &request, &address, &decision);

	values[0] = BoolGetDatum(decision.reason == AK_OK);
	values[1] = CStringGetTextDatum(ak_reason_name(decision.reason));
	if (decision.key_exists)
	{
		values[2] = PointerGetDatum(request.public_key);
		nulls[2] = false;
	}
	if (ak_decision_proves(&decision))
	{
		values[3] = UUIDPGetDatum(&decision.key.organization_id);
		nulls[3] = false;
	}
	if (request.address)
	{
		values[4] = InetPGetDatum(ak_network_to_inet(request.address));
		nulls[4] = false;
	}
	if (decision.has_network)
	{
		values[5] = InetPGetDatum(ak_network_to_inet(&decision.network));
		nulls[5] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}

/* --- For SQL ------------------------------------------------------------- */

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
