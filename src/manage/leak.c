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

#define MARK	"_sec_"

/* How much stands behind the mark. */
#define DIGITS	(AK_TOKEN_SECRET_DIGITS + AK_TOKEN_CHECKSUM_DIGITS)

PG_FUNCTION_INFO_V1(apikeys_find_leaked);

/*
 * The private key around a mark in a text, the longest there is; false if
 * there is none.  The checksum covers the prefix, so of the texts that stand
 * before the mark only one can be it.
 */
static bool
find_around(const char *text, const char *mark, const char *end,
			const char **token, size_t *length)
{
	const char *token_end = mark + strlen(MARK) + DIGITS;

	if (end - mark < (ptrdiff_t) (strlen(MARK) + DIGITS))
		return false;
	for (ptrdiff_t before = Min(mark - text, AK_TOKEN_PREFIX_MAX);
		 before > 0; before--)
	{
		*token = mark - before;
		*length = token_end - *token;
		if (ak_token_classify(*token, *length) == AK_TOKEN_SECRET)
			return true;
	}
	return false;
}

static const char *
find_mark(const char *text, const char *end)
{
	for (; end - text >= (ptrdiff_t) strlen(MARK); text++)
	{
		text = memchr(text, MARK[0], end - text);
		if (text == NULL || end - text < (ptrdiff_t) strlen(MARK))
			return NULL;
		if (memcmp(text, MARK, strlen(MARK)) == 0)
			return text;
	}
	return NULL;
}

Datum
apikeys_find_leaked(PG_FUNCTION_ARGS)
{
	text	   *searched = PG_GETARG_TEXT_PP(0);
	const char *text_start = VARDATA_ANY(searched);
	const char *end = text_start + VARSIZE_ANY_EXHDR(searched);
	const char *mark = text_start;
	ReturnSetInfo *result;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	while ((mark = find_mark(mark, end)) != NULL)
	{
		const char *token;
		size_t		length;

		CHECK_FOR_INTERRUPTS();
		if (find_around(text_start, mark, end, &token, &length))
		{
			Datum		value =
				PointerGetDatum(cstring_to_text_with_len(token, length));
			bool		isnull = false;

			tuplestore_putvalues(result->setResult, result->setDesc,
								 &value, &isnull);
		}
		mark += strlen(MARK);
	}
	return (Datum) 0;
}
