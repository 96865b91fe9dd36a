/*
 * authorize.c
 *	  The decision as SQL functions: a boolean, with the reason, or an error.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "decision/decision.h"
#include "identity/identity.h"
#include "types/types.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

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

/* What is asked, with what it points to, and the answer. */
typedef struct Call
{
	AkRequest	request;
	AkNetwork	address;
	AkDigestClaim digest;
	AkDecision	decision;
} Call;

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

/* Decides what the arguments ask. */
static void
decide(FunctionCallInfo fcinfo, const AkForm *form, bool wants_details,
	   Call *call)
{
	AkRequest  *request = &call->request;
	int			next = form->proof; /* the first argument after the proof */

	ak_require_preload();
	memset(request, 0, sizeof(*request));
	request->wants_details = wants_details;
	request->cost = get_cost(fcinfo, next + 3);
	if (!PG_ARGISNULL(next + 1))
	{
		request->scope = PG_GETARG_TEXT_PP(next + 1);
		ak_check_scopes(request->scope);
	}
	request->address =
		ak_identity_address_argument(fcinfo, next, form->address_is_text,
									 &call->address);
	if (!PG_ARGISNULL(next + 2))
		request->project = PG_GETARG_UUID_P(next + 2);
	/* Last, for nothing fails between it and what wipes it. */
	ak_request_set_key(request, fcinfo, form->proof, &call->digest);

	ak_decision_open(request, &call->decision);
	ak_decision_close(request, &call->decision);
	if (form->proof == AK_BY_TOKEN)
		ak_request_wipe_token(request);
}

/* Returns whether the request is allowed. */
static Datum
answer_boolean(FunctionCallInfo fcinfo, const AkForm *form)
{
	Call		call;

	decide(fcinfo, form, false, &call);
	PG_RETURN_BOOL(call.decision.reason == AK_OK);
}

/* Returns the public key, or raises an error. */
static Datum
answer_key(FunctionCallInfo fcinfo, const AkForm *form)
{
	Call		call;

	decide(fcinfo, form, false, &call);
	if (call.decision.reason != AK_OK)
		ak_decision_raise(&call.decision, ERRCODE_INSUFFICIENT_PRIVILEGE);
	PG_RETURN_TEXT_P(call.decision.public_key);
}

/* The decision with its reason. */
static Datum
answer_row(FunctionCallInfo fcinfo, const AkForm *form)
{
	Call		call;
	const AkRequest *request = &call.request;
	const AkDecision *decision = &call.decision;
	const AkDetails *details = &decision->details;
	const AkLimitAnswer *limit = &decision->limit;
	Datum		values[DECISION_COLUMN_COUNT] = {0};
	bool		nulls[DECISION_COLUMN_COUNT];

	decide(fcinfo, form, true, &call);

	memset(nulls, true, sizeof(nulls));
	PUT(ALLOWED, BoolGetDatum(decision->reason == AK_OK));
	PUT(REASON, CStringGetTextDatum(ak_reason_name(decision->reason)));
	if (decision->key_exists)
		PUT(PUBLIC_KEY, PointerGetDatum(decision->public_key));
	if (ak_decision_proves(decision))
	{
		PUT(ORGANIZATION_ID, UUIDPGetDatum(&decision->key.organization_id));
		if (details->owner)
			PUT(OWNER, PointerGetDatum(details->owner));
		if (details->environment)
			PUT(ENVIRONMENT, PointerGetDatum(details->environment));
		PUT(METADATA, JsonbPGetDatum(details->metadata));
	}
	if (request->address)
		PUT(ADDRESS, InetPGetDatum(ak_network_to_inet(request->address)));
	if (decision->has_network)
		PUT(NETWORK, InetPGetDatum(ak_network_to_inet(&decision->network)));
	if (limit->exists)
	{
		PUT(REMAINING, Int64GetDatum(limit->remaining));
		PUT(LIMIT_NAME, CStringGetTextDatum(limit->name));
		if (limit->waits)
			PUT(RETRY_AFTER, ak_limit_interval(limit->retry_after));
		if (limit->resets)
			PUT(RESET_AFTER, ak_limit_interval(limit->reset_after));
	}
	PUT(HTTP_STATUS, Int32GetDatum(ak_reason_http_status(decision->reason)));
	return ak_make_row(fcinfo, values, nulls);
}

/* --- For SQL ------------------------------------------------------------- */

AK_IN_EACH_FORM(apikeys_authorize, answer_boolean)
AK_IN_EACH_FORM(apikeys_decide, answer_row)
AK_IN_EACH_FORM(apikeys_require, answer_key)
