/*
 * request.c
 *	  Reads what a request claims: from the arguments of a function, and from
 *	  the headers of an HTTP request.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "decision/decision.h"

#include "access/detoast.h"
#include "utils/builtins.h"
#include "utils/guc.h"

/* --- Arguments ----------------------------------------------------------- */

/*
 * Reads what a request claims from the arguments of a function.
 */

/*
 * Returns a text argument.  Of a text longer than max_size bytes only enough
 * is read to show that it is too long.
 */
text *
ak_request_get_text(Datum argument, int max_size)
{
	if (toast_raw_datum_size(argument) - VARHDRSZ <= max_size)
		return DatumGetTextPP(argument);
	return DatumGetTextPSlice(argument, 0, max_size + 1);
}

/*
 * Sets public key and secret, palloc'd, to the halves of the string; to NULL,
 * which is an unknown key, where it is none or longer than any.  A short-lived
 * token is taken as it is, and stays the caller's.
 */
void
ak_request_set_token(AkRequest *request, Datum api_key)
{
	text	   *token = ak_request_get_text(api_key, AK_SHORT_TOKEN_MAX);
	AkCredentials credentials;

	request->public_key = NULL;
	request->secret = NULL;
	if (ak_paseto_is_token(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token)))
	{
		request->token = token;
		return;
	}
	/* Of a longer one only the beginning is here: its last dot may be another. */
	if (VARSIZE_ANY_EXHDR(token) > AK_SHORT_TOKEN_MAX ||
		!ak_credentials_from_api_key(VARDATA_ANY(token),
									 VARSIZE_ANY_EXHDR(token), &credentials))
		return;
	request->public_key = cstring_to_text_with_len(credentials.public_key,
												   credentials.public_key_length);
	request->secret = cstring_to_text_with_len(credentials.secret,
											   credentials.secret_length);
}

/* Overwrites the secret that ak_request_set_token() has made. */
void
ak_request_wipe_token(AkRequest *request)
{
	if (request->secret)
		ak_crypto_wipe(VARDATA(request->secret),
					   VARSIZE(request->secret) - VARHDRSZ);
}

/* --- HTTP headers -------------------------------------------------------- */

/*
 * The headers of the HTTP request of the transaction, as set by PostgREST
 * and similar servers: setting request.headers, a JSON object.
 *
 * The text is read with PostgreSQL's JSON lexer and not with its types, whose
 * errors quote invalid input, which may be a secret.
 */

/* Reads the next token; false for a syntax error. */
static bool
next(JsonLexContext *lexer)
{
	return json_lex(lexer) == JSON_SUCCESS;
}

static bool
next_is(JsonLexContext *lexer, JsonTokenType type)
{
	return next(lexer) && lexer->token_type == type;
}

static bool
names(const char *header, const char *name)
{
	return ak_header_name_equals(header, strlen(header), name, strlen(name));
}

/* Returns where to store the value of the current header, or NULL. */
static char **
find_place(JsonLexContext *lexer, AkRequestHeaders *headers)
{
	const char *name = lexer->strval->data;

	if (names(name, ak_api_key_header))
		return &headers->api_key;
	if (names(name, "Authorization"))
		return &headers->authorization;
	if (names(name, "X-Forwarded-For"))
		return &headers->forwarded_for;
	return NULL;
}

/*
 * Reads a name, a colon and a value.  The value of a requested header must be
 * a string, and occur once; of other headers any scalar value is accepted.
 */
static bool
read_header(JsonLexContext *lexer, AkRequestHeaders *headers)
{
	char	  **place;

	if (lexer->token_type != JSON_TOKEN_STRING)
		return false;
	place = find_place(lexer, headers);
	if (!next_is(lexer, JSON_TOKEN_COLON) || !next(lexer))
		return false;
	switch (lexer->token_type)
	{
		case JSON_TOKEN_STRING:
			if (place && *place)
				return false;
			if (place)
				*place = pstrdup(lexer->strval->data);
			return true;
		case JSON_TOKEN_NUMBER:
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
		case JSON_TOKEN_NULL:
			return place == NULL;
		default:
			return false;
	}
}

static bool
read_headers(JsonLexContext *lexer, AkRequestHeaders *headers)
{
	if (!next_is(lexer, JSON_TOKEN_OBJECT_START) || !next(lexer))
		return false;
	while (lexer->token_type != JSON_TOKEN_OBJECT_END)
	{
		if (!read_header(lexer, headers) || !next(lexer))
			return false;
		if (lexer->token_type == JSON_TOKEN_COMMA)
		{
			if (!next_is(lexer, JSON_TOKEN_STRING))
				return false;
		}
		else if (lexer->token_type != JSON_TOKEN_OBJECT_END)
			return false;
	}
	return next_is(lexer, JSON_TOKEN_END);
}

/*
 * Reads the headers; none if the setting is missing or empty.  Returns false
 * if it is not a JSON object of strings.  The caller always wipes them.
 */
bool
ak_request_headers_read(AkRequestHeaders *headers)
{
	const char *setting = GetConfigOption("request.headers", true, false);
	JsonLexContext *lexer;
	bool		are_read;

	memset(headers, 0, sizeof(*headers));
	if (setting == NULL || *setting == '\0')
		return true;
	lexer = ak_json_lexer(unconstify(char *, setting), strlen(setting));
	are_read = read_headers(lexer, headers);
	ak_crypto_wipe(lexer->strval->data, lexer->strval->maxlen);
	return are_read;
}

static void
wipe(char *value)
{
	if (value)
		ak_crypto_wipe(value, strlen(value));
}

/* Overwrites the values, which may contain a secret. */
void
ak_request_headers_wipe(AkRequestHeaders *headers)
{
	wipe(headers->api_key);
	wipe(headers->authorization);
}
