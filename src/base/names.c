/*
 * names.c
 *	  Rules for names, principals, role names and public keys: the predicates
 *	  of the tables' constraints, which run for each row.
 *
 * None of these may contain a private key: it would be in the tables in clear
 * text, in views and in dumps.  And each is a text in UTF-8, measured in that, in a
 * database of any encoding: what one tenant has written comes through a dump, a
 * subscription or a client of UTF-8, or none of what is there would.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/ascii.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "core/scope.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#define NAME_MAX_CHARACTERS		250
#define PRINCIPAL_MAX_SIZE		255
#define ROLE_NAME_MAX_SIZE		63

/*
 * Of metadata as text, in bytes; as it is stored, where a short element needs
 * some bytes more; and in levels.
 */
#define METADATA_MAX_SIZE			4096
#define METADATA_MAX_STORED_SIZE	(8 * METADATA_MAX_SIZE)
#define METADATA_MAX_DEPTH			32

/*
 * What jsonb_contains() needs of the stack for as many levels, with room for a
 * server that is built without optimization; in bytes.
 */
#define METADATA_STACK_RESERVE		(METADATA_MAX_DEPTH * 1024)

/* No encoding of a database has a longer name; UTF-8 has one. */
#define NAME_MAX_SIZE			((size_t) 4 * NAME_MAX_CHARACTERS)

PG_FUNCTION_INFO_V1(apikeys_is_metadata);
PG_FUNCTION_INFO_V1(apikeys_metadata_contains);
PG_FUNCTION_INFO_V1(apikeys_is_name);
PG_FUNCTION_INFO_V1(apikeys_is_principal);
PG_FUNCTION_INFO_V1(apikeys_is_private_key);
PG_FUNCTION_INFO_V1(apikeys_is_public_key);
PG_FUNCTION_INFO_V1(apikeys_is_role_name);

/* --- Order --------------------------------------------------------------- */

/* Compares two Datums of text, in the order of collation "C". */
int
ak_compare_texts(const void *a, const void *b)
{
	const text *one = DatumGetTextPP(*(const Datum *) a);
	const text *other = DatumGetTextPP(*(const Datum *) b);
	int			one_size = VARSIZE_ANY_EXHDR(one);
	int			other_size = VARSIZE_ANY_EXHDR(other);
	int			order = memcmp(VARDATA_ANY(one), VARDATA_ANY(other),
							   Min(one_size, other_size));

	return order != 0 ? order : one_size - other_size;
}

/* --- UTF-8 --------------------------------------------------------------- */

/*
 * Converts a text; the result is palloc'd and ends with NUL.  Returns NULL if the other
 * encoding lacks one of its characters, or if the server has no conversion.
 */
static char *
convert(const char *bytes, size_t size, int from, int to)
{
	Oid			converter;
	char	   *converted;
	int			room;

	if (size > (PG_INT32_MAX - 1) / MAX_CONVERSION_GROWTH)
		return NULL;
	converter = FindDefaultConversionProc(from, to);
	if (!OidIsValid(converter))
		return NULL;
	room = size * MAX_CONVERSION_GROWTH + 1;
	converted = palloc_extended(room, MCXT_ALLOC_HUGE);
	if (pg_do_encoding_conversion_buf(converter, from, to,
									  (unsigned char *) unconstify(char *, bytes),
									  size, (unsigned char *) converted, room,
									  true) != size)
		return NULL;
	return converted;
}

/*
 * Converts a text from the database's encoding, which is neither UTF-8 nor
 * SQL_ASCII; the result is palloc'd and ends with NUL.  NULL if that is not possible.
 */
char *
ak_convert_to_utf8(const char *bytes, size_t size)
{
	return convert(bytes, size, GetDatabaseEncoding(), PG_UTF8);
}

/*
 * Checks whether the database's encoding has no other bytes for a text: names that are
 * different here would be the same in UTF-8.
 */
static bool
comes_back(const char *utf8, size_t utf8_size, const char *bytes, size_t size)
{
	const char *back = convert(utf8, utf8_size, PG_UTF8, GetDatabaseEncoding());

	return back && strlen(back) == size && memcmp(back, bytes, size) == 0;
}

/*
 * Returns the text in UTF-8, which may be the text itself, and its size; NULL if it
 * cannot be converted there and back.  Bytes of SQL_ASCII that are not ASCII have no
 * defined meaning; clients nearly always mean UTF-8.
 */
static const char *
in_utf8(const char *bytes, size_t size, size_t *utf8_size)
{
	int			encoding = GetDatabaseEncoding();
	const char *utf8;

	*utf8_size = size;
	if (encoding == PG_UTF8 || ak_is_ascii(bytes, size))
		return bytes;
	if (encoding == PG_SQL_ASCII)
		return pg_verify_mbstr(PG_UTF8, bytes, size, true) ? bytes : NULL;
	utf8 = ak_convert_to_utf8(bytes, size);
	if (utf8 == NULL)
		return NULL;
	*utf8_size = strlen(utf8);
	return comes_back(utf8, *utf8_size, bytes, size) ? utf8 : NULL;
}

/*
 * Returns the name of a role as a text, palloc'd; NULL if there is none and that is
 * allowed.  Names of roles are bytes that all databases share: what is no text here, or
 * does not come back from UTF-8, is named by a text that names no member.
 */
char *
ak_role_name(Oid role, bool missing_ok)
{
	char	   *name = GetUserNameFromId(role, missing_ok);
	size_t		utf8_size;

	if (name && (!pg_verifymbstr(name, strlen(name), true) ||
				 in_utf8(name, strlen(name), &utf8_size) == NULL))
		return psprintf(" (role %u)", role);
	return name;
}

/* --- Names --------------------------------------------------------------- */

static bool
is_name(const char *bytes, size_t size, size_t max_size)
{
	size_t		utf8_size;
	const char *utf8;

	if (size > NAME_MAX_SIZE || ak_token_contains_secret(bytes, size))
		return false;
	utf8 = in_utf8(bytes, size, &utf8_size);
	return utf8 && utf8_size <= max_size &&
		ak_unicode_is_name(utf8, utf8_size, NAME_MAX_CHARACTERS);
}

/*
 * Checks whether the text is a name or a description: 1 to 250 visible
 * characters (unicode_names.c), single spaces between them, and no private
 * key.  Raises nothing.
 */
bool
ak_is_name(const text *candidate)
{
	return is_name(VARDATA_ANY(candidate), VARSIZE_ANY_EXHDR(candidate),
				   NAME_MAX_SIZE);
}

Datum
apikeys_is_name(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ak_is_name(PG_GETARG_TEXT_PP(0)));
}

/*
 * Checks whether the text is a principal: role: or user: and a name, at most
 * 255 bytes of UTF-8 together.  Raises nothing.
 */
bool
ak_is_principal(const text *candidate)
{
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);
	const size_t kind_size = strlen("user:");

	return size > kind_size &&
		(memcmp(bytes, "user:", kind_size) == 0 ||
		 memcmp(bytes, "role:", kind_size) == 0) &&
		is_name(bytes + kind_size, size - kind_size,
				PRINCIPAL_MAX_SIZE - kind_size);
}

Datum
apikeys_is_principal(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ak_is_principal(PG_GETARG_TEXT_PP(0)));
}

/* --- Keys and roles ------------------------------------------------------ */

Datum
apikeys_is_private_key(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(ak_token_classify(VARDATA_ANY(candidate),
									 VARSIZE_ANY_EXHDR(candidate)) ==
				   AK_TOKEN_SECRET);
}

/*
 * Checks whether the text is 1 to max_size letters, digits and the other
 * characters, and contains no private key.
 */
static bool
consists_of(const text *candidate, size_t max_size, const char *others)
{
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);

	if (size == 0 || size > max_size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (!ak_is_letter_or_digit(bytes[i]) &&
			(bytes[i] == '\0' || strchr(others, bytes[i]) == NULL))
			return false;
	return !ak_token_contains_secret(bytes, size);
}

Datum
apikeys_is_public_key(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);

	/* No path of a URL has these as names (RFC 3986, section 5.2.4). */
	if (size >= 1 && size <= 2 && bytes[0] == '.' && bytes[size - 1] == '.')
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(consists_of(candidate, AK_PUBLIC_KEY_MAX_SIZE, "_.~+/=-"));
}

Datum
apikeys_is_role_name(PG_FUNCTION_ARGS)
{
	text	   *candidate = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(consists_of(candidate, ROLE_NAME_MAX_SIZE, "_.:-") &&
				   ak_is_letter_or_digit(*VARDATA_ANY(candidate)));
}

/*
 * Checks whether the text is a permission, or a pattern of scopes, and contains no
 * private key.  Raises nothing.
 */
bool
ak_is_permission(const text *candidate)
{
	const char *bytes = VARDATA_ANY(candidate);
	size_t		size = VARSIZE_ANY_EXHDR(candidate);

	return ak_permission_is_valid(bytes, size) &&
		!ak_token_contains_secret(bytes, size);
}

/* --- Metadata ------------------------------------------------------------- */

/* Whether no object or array in it lies deeper. */
static bool
is_shallow(Jsonb *value, int max_depth)
{
	JsonbIterator *iterator = JsonbIteratorInit(&value->root);
	JsonbIteratorToken token;
	JsonbValue	item;
	int			depth = 0;

	while ((token = JsonbIteratorNext(&iterator, &item, false)) != WJB_DONE)
	{
		if (token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY)
		{
			if (++depth > max_depth)
				return false;
		}
		else if (token == WJB_END_OBJECT || token == WJB_END_ARRAY)
			depth--;
	}
	return true;
}

/* The text is made only of what is not much longer as stored. */
Datum
apikeys_is_metadata(PG_FUNCTION_ARGS)
{
	Jsonb	   *candidate = PG_GETARG_JSONB_P(0);
	StringInfoData json;
	size_t		utf8_size;

	if (!JB_ROOT_IS_OBJECT(candidate) ||
		VARSIZE(candidate) > METADATA_MAX_STORED_SIZE ||
		!is_shallow(candidate, METADATA_MAX_DEPTH))
		PG_RETURN_BOOL(false);
	initStringInfo(&json);
	JsonbToCString(&json, &candidate->root, VARSIZE(candidate));
	PG_RETURN_BOOL(in_utf8(json.data, json.len, &utf8_size) &&
				   utf8_size <= METADATA_MAX_SIZE &&
				   !ak_token_contains_secret(json.data, json.len) &&
				   !ak_paseto_is_within(json.data, json.len));
}

/* Raises 54001 if less than the reserve is left of the stack. */
static pg_noinline void
check_stack_reserve(void)
{
	volatile char reserve[METADATA_STACK_RESERVE];

	reserve[0] = 0;
	check_stack_depth();
	/* used after the call as well, so that it lies above the callee's frame */
	reserve[sizeof(reserve) - 1] = reserve[0];
}

/*
 * jsonb_contains() for rows that the caller may not see: it descends as deep as
 * both values do, and raises an error where the stack ends there.  So the room for
 * that is asked for before, whatever the values are, and a deeper part is in no
 * metadata.
 */
Datum
apikeys_metadata_contains(PG_FUNCTION_ARGS)
{
	check_stack_reserve();
	if (!is_shallow(PG_GETARG_JSONB_P(1), METADATA_MAX_DEPTH))
		PG_RETURN_BOOL(false);
	return DirectFunctionCall2(jsonb_contains, PG_GETARG_DATUM(0),
							   PG_GETARG_DATUM(1));
}

/* --- Scopes --------------------------------------------------------------- */

static void
raise_invalid_scope(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid scope"),
			 errdetail(detail, AK_SCOPE_MAX_LENGTH, AK_SCOPES_MAX),
			 ak_errid("invalid_scope"),
			 errhidestmt(true),
			 errhidecontext(true)));
}

/*
 * Raises 22023 if the text is not a scope: a mistake of the caller, not a
 * denial.  The statement is hidden from the server's log.
 */
void
ak_check_scope(const text *scope)
{
	if (!ak_scope_is_valid(VARDATA_ANY(scope), VARSIZE_ANY_EXHDR(scope)))
		raise_invalid_scope("A scope is 1 to %d letters, digits and characters of _.:/-.");
}

/* The same for what is neither a scope nor several of them. */
void
ak_check_scopes(const text *scopes)
{
	if (!ak_scopes_are_valid(VARDATA_ANY(scopes), VARSIZE_ANY_EXHDR(scopes)))
		raise_invalid_scope("A scope is 1 to %d letters, digits and characters of _.:/-; up to %d scopes can be asked for, with a single blank between them.");
}
