/*
 * leak.c
 *	  Finds private keys that have got out, in a text.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/token.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(apikeys_find_leaked);

Datum
apikeys_find_leaked(PG_FUNCTION_ARGS)
{
	text	   *searched = PG_GETARG_TEXT_PP(0);
	const char *start = VARDATA_ANY(searched);
	const char *end = start + VARSIZE_ANY_EXHDR(searched);
	const char *from = start;
	const char *token;
	size_t		length;
	ReturnSetInfo *result;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	while ((token = ak_token_find_secret(start, from, end, &length)) != NULL)
	{
		Datum		value =
			PointerGetDatum(cstring_to_text_with_len(token, length));
		bool		isnull = false;

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(result->setResult, result->setDesc, &value,
							 &isnull);
		from = token + length;
	}
	return (Datum) 0;
}
