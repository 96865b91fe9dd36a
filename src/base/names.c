/*
 * names.c
 *	  What may be a name, a description or a public key: the predicates of the
 *	  tables' constraints, which are asked for each row.
 */
#include "postgres.h"

#include "base/names.h"
#include "core/compat.h"
#include "core/scope.h"
#include "core/token.h"

#define NAME_MAX_CHARACTERS		250
#define PUBLIC_KEY_MAX_SIZE		128

PG_FUNCTION_INFO_V1(apikeys_is_name);
PG_FUNCTION_INFO_V1(apikeys_is_private_key);
PG_FUNCTION_INFO_V1(apikeys_is_public_key);

static bool
is_secret(const char *text, size_t size)
{
	return ak_token_classify(text, size) == AK_TOKEN_SECRET;
}

Datum
apikeys_is_private_key(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(is_secret(VARDATA_ANY(candidate),
							 VARSIZE_ANY_EXHDR(candidate)));
}

static bool
is_public_key_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || (c != '\0' && strchr("_.~+/=-", c) != NULL);
}

Datum
apikeys_is_public_key(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);

	if (size == 0 || size > PUBLIC_KEY_MAX_SIZE)
		PG_RETURN_BOOL(false);
	for (size_t i = 0; i < size; i++)
		if (!is_public_key_digit(bytes[i]))
			PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(!is_secret(bytes, size));
}

Datum
apikeys_is_name(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);

	if (size == 0 || bytes[0] == ' ' || bytes[size - 1] == ' ' ||
		pg_mbstrlen_with_len(bytes, size) > NAME_MAX_CHARACTERS)
		PG_RETURN_BOOL(false);
	/* In all encodings of databases, such bytes are no part of others. */
	for (size_t i = 0; i < size; i++)
		if ((unsigned char) bytes[i] < ' ' || bytes[i] == '\x7f')
			PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(true);
}

/*
 * Raises 22023 for what is no scope: the caller's mistake, not a denial.  The
 * server's log leaves out the statement here too.
 */
void
ak_check_scope(const text *scope)
{
	if (!ak_scope_is_valid(VARDATA_ANY(scope), VARSIZE_ANY_EXHDR(scope)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid scope"),
				 errdetail("A scope is 1 to %d letters, digits and characters of _.:/-.",
						   AK_SCOPE_MAX_LENGTH),
				 errhidestmt(true),
				 errhidecontext(true)));
}
