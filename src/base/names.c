/*
 * names.c
 *	  What may be a name, a description, a principal or a public key: the
 *	  predicates of constraints and verbs, which are asked for each row.
 *
 * No text may contain a private key: it would stay in the tables and the audit.
 */
#include "postgres.h"

#include "base/names.h"
#include "core/compat.h"
#include "core/errors.h"
#include "core/scope.h"
#include "core/token.h"
#include "core/unicode_names.h"

#include "mb/pg_wchar.h"

#define NAME_MAX_CHARACTERS		250
#define NAME_MAX_SIZE			((size_t) NAME_MAX_CHARACTERS * MAX_MULTIBYTE_CHAR_LEN)
#define ROLE_NAME_MAX_SIZE		63
#define PRINCIPAL_MAX_SIZE		255
#define PRINCIPAL_PREFIX_SIZE	5	/* role: or user: */

PG_FUNCTION_INFO_V1(apikeys_is_name);
PG_FUNCTION_INFO_V1(apikeys_is_principal);
PG_FUNCTION_INFO_V1(apikeys_is_private_key);
PG_FUNCTION_INFO_V1(apikeys_is_public_key);
PG_FUNCTION_INFO_V1(apikeys_is_role_name);

static bool
contains_secret(const char *bytes, size_t size)
{
	size_t		length;

	return ak_token_find_secret(bytes, bytes, bytes + size, &length) != NULL;
}

Datum
apikeys_is_private_key(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(ak_token_classify(VARDATA_ANY(candidate),
									 VARSIZE_ANY_EXHDR(candidate)) ==
				   AK_TOKEN_SECRET);
}

static bool
is_alphanumeric(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9');
}

/* Whether it has only letters, digits and some other characters. */
static bool
is_made_of(const char *bytes, size_t size, const char *others)
{
	for (size_t i = 0; i < size; i++)
		if (!is_alphanumeric(bytes[i]) &&
			(bytes[i] == '\0' || strchr(others, bytes[i]) == NULL))
			return false;
	return true;
}

Datum
apikeys_is_public_key(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);

	PG_RETURN_BOOL(size > 0 && size <= AK_PUBLIC_KEY_MAX_SIZE &&
				   is_made_of(bytes, size, "_.~+/=-") &&
				   !contains_secret(bytes, size));
}

Datum
apikeys_is_role_name(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);

	PG_RETURN_BOOL(size > 0 && size <= ROLE_NAME_MAX_SIZE &&
				   is_alphanumeric(bytes[0]) &&
				   is_made_of(bytes, size, "_.:-") &&
				   !contains_secret(bytes, size));
}

/* Whether it is of characters that can be seen, and contains no secret. */
static bool
is_plain(const char *bytes, size_t size)
{
	char	   *utf8;

	if (memchr(bytes, '\0', size) != NULL || contains_secret(bytes, size))
		return false;
	/* Bytes of SQL_ASCII are taken for UTF-8. */
	utf8 = GetDatabaseEncoding() == PG_SQL_ASCII ? unconstify(char *, bytes) :
		pg_server_to_any(bytes, size, PG_UTF8);
	return ak_name_is_plain(utf8, utf8 == bytes ? size : strlen(utf8));
}

Datum
apikeys_is_name(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);

	PG_RETURN_BOOL(size > 0 &&
				   size <= NAME_MAX_SIZE &&
				   pg_mbstrlen_with_len(bytes, size) <= NAME_MAX_CHARACTERS &&
				   is_plain(bytes, size));
}

/* Whether it is role: or user: and a name, 255 bytes together at most. */
bool
ak_is_principal(const text *candidate)
{
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);

	return size > PRINCIPAL_PREFIX_SIZE && size <= PRINCIPAL_MAX_SIZE &&
		(memcmp(bytes, "role:", PRINCIPAL_PREFIX_SIZE) == 0 ||
		 memcmp(bytes, "user:", PRINCIPAL_PREFIX_SIZE) == 0) &&
		is_plain(bytes + PRINCIPAL_PREFIX_SIZE, size - PRINCIPAL_PREFIX_SIZE);
}

Datum
apikeys_is_principal(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ak_is_principal(PG_GETARG_TEXT_PP(0)));
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
				 ak_errid("invalid_scope"),
				 errhidestmt(true),
				 errhidecontext(true)));
}
