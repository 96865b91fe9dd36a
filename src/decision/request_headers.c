/*
 * request_headers.c
 *	  See request_headers.h.
 *
 * The text is read with PostgreSQL's JSON lexer and not with its types, whose
 * errors quote invalid input, which may be a secret.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/compat.h"
#include "core/credentials.h"
#include "core/crypto.h"
#include "decision/request_headers.h"

#include "utils/guc.h"

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
