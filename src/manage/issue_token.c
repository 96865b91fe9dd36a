/*
 * issue_token.c
 *	  Makes short-lived tokens: what apikeys.issue_token() seals, once it is known
 *	  that the caller may have one.
 *
 * Nothing in the database changes by it, so it works where nothing can be written.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/compat.h"
#include "core/errors.h"
#include "core/scope.h"
#include "store/policy.h"
#include "store/short_token.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define FAR_DAYS	INT64CONST(10000)

PG_FUNCTION_INFO_V1(apikeys_seal_token);

static void
raise_invalid_lifetime(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("lifetime of a token must be more than 0 and at most %d seconds",
					ak_token_max_lifetime),
			 errdetail("Setting apikeys.token_max_lifetime limits it."),
			 ak_errid("invalid_lifetime")));
}

static bool
is_within(int64 value, int64 most)
{
	return value >= -most && value <= most;
}

/*
 * When a token ends that is issued now.  An interval with a part that is far more
 * than any limit is not added: it can be too long for any time.
 */
static TimestampTz
get_end(TimestampTz now, const Interval *lifetime)
{
	const TimestampTz latest = now +
		(int64) ak_token_max_lifetime * USECS_PER_SEC;
	TimestampTz end;

	if (!is_within(lifetime->month, FAR_DAYS) ||
		!is_within(lifetime->day, FAR_DAYS) ||
		!is_within(lifetime->time, FAR_DAYS * USECS_PER_DAY))
		raise_invalid_lifetime();
	end = ak_add_in_utc(now, lifetime);
	if (end <= now || end > latest)
		raise_invalid_lifetime();
	return end;
}

static void
raise_invalid_scopes(int place)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid scope of a token"),
			 place ? errdetail("Element %d of the array is none: 1 to %d letters, digits and characters of _.:/-, with * for any run of characters.",
							   place, AK_SCOPE_MAX_LENGTH) :
			 errdetail("A token is narrowed to 1 to %d of them, in a one-dimensional array.",
					   AK_SHORT_TOKEN_SCOPES_MAX),
			 ak_errid("invalid_token_scopes")));
}

/* The patterns of an array, with blanks between, palloc'd; raises 22023. */
static char *
join_scopes(ArrayType *array)
{
	StringInfoData scopes;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	if (ARR_NDIM(array) != 1 || count > AK_SHORT_TOKEN_SCOPES_MAX)
		raise_invalid_scopes(0);
	initStringInfo(&scopes);
	for (int i = 0; i < count; i++)
	{
		text	   *element;

		if (nulls[i])
			raise_invalid_scopes(i + 1);
		element = DatumGetTextPP(elements[i]);
		if (!ak_permission_is_valid(VARDATA_ANY(element),
									VARSIZE_ANY_EXHDR(element)))
			raise_invalid_scopes(i + 1);
		if (i > 0)
			appendStringInfoChar(&scopes, ' ');
		appendBinaryStringInfo(&scopes, VARDATA_ANY(element),
							   VARSIZE_ANY_EXHDR(element));
	}
	return scopes.data;
}

/*
 * seal_token(public_key, secret_version, lifetime, scopes, project): the text of a
 * token, NULL without one of the first three; raises 22023 for a lifetime or scopes that it cannot have, 54000 if it
 * would be too long, 55000 without a key of the server.
 */
Datum
apikeys_seal_token(PG_FUNCTION_ARGS)
{
	AkShortToken token = {.issued_at = GetCurrentTimestamp()};
	AkKeystore	store;
	text	   *sealed;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	token.public_key = PG_GETARG_TEXT_PP(0);
	token.secret_version = PG_GETARG_INT32(1);
	token.expires_at = get_end(token.issued_at, PG_GETARG_INTERVAL_P(2));
	if (!PG_ARGISNULL(3))
		(void) ak_short_token_set_scopes(&token,
										 join_scopes(PG_GETARG_ARRAYTYPE_P(3)));
	token.has_project = !PG_ARGISNULL(4);
	if (token.has_project)
		token.project = *PG_GETARG_UUID_P(4);
	ak_keystore_open(&store, ak_short_token_tables());
	sealed = ak_short_token_seal(&store, &token);
	ak_keystore_close(&store);
	PG_RETURN_TEXT_P(sealed);
}
