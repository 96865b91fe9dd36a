/*
 * leak.c
 *	  Finds leaked private keys in a text.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/token.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

/* Bytes searched between two checks for a cancel request. */
#define PIECE_SIZE	((size_t) 64 * 1024)

PG_FUNCTION_INFO_V1(apikeys_find_leaked);

/* Adds the bytes as a row with one column, a text. */
static void
put_text(ReturnSetInfo *result, const char *bytes, size_t size)
{
	Datum		value = PointerGetDatum(cstring_to_text_with_len(bytes, size));
	bool		isnull = false;

	tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
}

Datum
apikeys_find_leaked(PG_FUNCTION_ARGS)
{
	text	   *searched = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(searched);
	size_t		size = VARSIZE_ANY_EXHDR(searched);
	size_t		from = 0;
	size_t		reached = 0;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	while (reached < size)
	{
		const char *token;
		size_t		length;

		CHECK_FOR_INTERRUPTS();
		reached += Min(PIECE_SIZE, size - reached);
		while ((token = ak_token_find_secret(bytes, reached, &from,
											 &length)) != NULL)
			put_text((ReturnSetInfo *) fcinfo->resultinfo, token, length);
	}
	return (Datum) 0;
}
