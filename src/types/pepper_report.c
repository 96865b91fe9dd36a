/*
 * pepper_report.c
 *	  What administrators see of the peppers: their ids, never a pepper.
 */
#include "postgres.h"

#include "core/compat.h"
#include "types/pepper.h"

#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(apikeys_current_pepper);
PG_FUNCTION_INFO_V1(apikeys_pepper_state);

Datum
apikeys_current_pepper(PG_FUNCTION_ARGS)
{
	const AkPepper *pepper = ak_pepper_current();

	if (pepper == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(pepper->id));
}

static const char *
get_state(const char *id, size_t size)
{
	const AkPepper *current = ak_pepper_current();
	const char *current_id = current ? current->id : AK_NO_PEPPER;

	if (strlen(current_id) == size && memcmp(current_id, id, size) == 0)
		return "current";
	if (size == strlen(AK_NO_PEPPER) && memcmp(id, AK_NO_PEPPER, size) == 0)
		return "retired";
	return ak_pepper_find(id, size) ? "retired" : "missing";
}

/* The state of the pepper that a hash names; NULL for a foreign hash. */
Datum
apikeys_pepper_state(PG_FUNCTION_ARGS)
{
	text	   *pepper;

	if (PG_ARGISNULL(0))
		PG_RETURN_TEXT_P(cstring_to_text("foreign"));
	pepper = PG_GETARG_TEXT_PP(0);
	PG_RETURN_TEXT_P(cstring_to_text(get_state(VARDATA_ANY(pepper),
											   VARSIZE_ANY_EXHDR(pepper))));
}
