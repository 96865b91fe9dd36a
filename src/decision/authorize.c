/*
 * authorize.c
 *	  The decision as SQL functions: a boolean, with the reason, or an error.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "decision/decision.h"
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

/* How a key is proved. */
typedef enum Proof
{
	BY_SECRET,					/* public key and secret */
	BY_TOKEN,					/* both in one argument */
	BY_DIGEST					/* a header, the method and the target */
} Proof;

/* What the arguments of a function are. */
typedef struct Form
{
	Proof		proof;
	bool		address_is_text;
} Form;

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

/* Whose key it is: the first arguments; returns how many they are. */
static int
get_key(FunctionCallInfo fcinfo, const Form *form, Call *call)
{
	AkRequest  *request = &call->request;

	if (form->proof == BY_DIGEST)
	{
		ak_request_set_digest(request, &call->digest, fcinfo->args);
		return 3;
	}
	if (form->proof == BY_TOKEN)
	{
		if (!PG_ARGISNULL(0))
			ak_request_set_token(request, PG_GETARG_DATUM(0));
		return 1;
	}
	if (!PG_ARGISNULL(0))
		request->public_key = ak_request_get_text(PG_GETARG_DATUM(0),
												  AK_PUBLIC_KEY_MAX_SIZE);
	if (!PG_ARGISNULL(1))
		request->secret = ak_request_get_text(PG_GETARG_DATUM(1),
											  AK_SECRET_MAX_SIZE);
	return 2;
}

/* Decides what the arguments ask. */
static void
decide(FunctionCallInfo fcinfo, const Form *form, bool wants_details,
	   Call *call)
{
	AkRequest  *request = &call->request;
	int			next;

	ak_require_preload();
	memset(request, 0, sizeof(*request));
	request->wants_details = wants_details;
	next = get_key(fcinfo, form, call);
	request->cost = get_cost(fcinfo, next + 3);
	if (!PG_ARGISNULL(next + 1))
	{
		request->scope = PG_GETARG_TEXT_PP(next + 1);
		ak_check_scopes(request->scope);
	}
	if (!PG_ARGISNULL(next))
	{
		if (form->address_is_text)
			ak_network_from_text(PG_GETARG_TEXT_PP(next), &call->address);
		else
			ak_network_from_inet(PG_GETARG_INET_PP(next), &call->address);
		request->address = &call->address;
	}
	if (!PG_ARGISNULL(next + 2))
		request->project = PG_GETARG_UUID_P(next + 2);

	ak_decision_open(request, &call->decision);
	ak_decision_close(request, &call->decision);
	if (form->proof == BY_TOKEN)
		ak_request_wipe_token(request);
}

/* Returns whether the request is allowed. */
static Datum
answer_boolean(FunctionCallInfo fcinfo, const Form *form)
{
	Call		call;

	decide(fcinfo, form, false, &call);
	PG_RETURN_BOOL(call.decision.reason == AK_OK);
}

/* Returns the public key, or raises an error. */
static Datum
answer_key(FunctionCallInfo fcinfo, const Form *form)
{
	Call		call;

	decide(fcinfo, form, false, &call);
	if (call.decision.reason != AK_OK)
		ak_decision_raise(&call.decision, ERRCODE_INSUFFICIENT_PRIVILEGE);
	PG_RETURN_TEXT_P(call.decision.public_key);
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
		PUT(RETRY_AFTER, ak_limit_interval(limit->retry_after));
	if (limit->resets)
		PUT(RESET_AFTER, ak_limit_interval(limit->reset_after));
}

/* The decision with its reason. */
static Datum
answer_row(FunctionCallInfo fcinfo, const Form *form)
{
	Call		call;
	const AkRequest *request = &call.request;
	const AkDecision *decision = &call.decision;
	const AkDetails *details = &decision->details;
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
	put_limit(&decision->limit, values, nulls);
	PUT(HTTP_STATUS, Int32GetDatum(ak_reason_http_status(decision->reason)));
	return ak_make_row(fcinfo, values, nulls);
}

/* --- For SQL ------------------------------------------------------------- */

/* The same in six forms, of the suffixes that the functions have. */
#define IN_EACH_FORM(name, answer) \
	IN_FORM(name, answer, BY_SECRET, false) \
	IN_FORM(name##_text, answer, BY_SECRET, true) \
	IN_FORM(name##_token, answer, BY_TOKEN, false) \
	IN_FORM(name##_token_text, answer, BY_TOKEN, true) \
	IN_FORM(name##_digest, answer, BY_DIGEST, false) \
	IN_FORM(name##_digest_text, answer, BY_DIGEST, true)

#define IN_FORM(name, answer, proof, address_is_text) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		static const Form form = {proof, address_is_text}; \
		return answer(fcinfo, &form); \
	}

IN_EACH_FORM(apikeys_authorize, answer_boolean)
IN_EACH_FORM(apikeys_decide, answer_row)
IN_EACH_FORM(apikeys_require, answer_key)
