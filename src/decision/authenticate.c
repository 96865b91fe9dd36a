/*
 * authenticate.c
 *	  Binds a key to the transaction after its secret is proved: a key that
 *	  the caller gives, or that of the HTTP request of the transaction.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "decision/decision.h"
#include "identity/identity.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_FUNCTION_INFO_V1(apikeys_authenticate_request);
PG_FUNCTION_INFO_V1(apikeys_split_api_key);

/*
 * Binds the key of the request if it is valid, and raises 28000 otherwise.
 * Counts a use or a denial.  Returns its public key.
 */
static text *
authenticate(const AkRequest *request)
{
	AkDecision	decision;

	ak_require_preload();
	ak_decision_open(request, &decision);
	PG_TRY();
	{
		if (decision.reason == AK_OK)
			ak_identity_bind(decision.public_key, &decision.store,
							 &decision.key, request->address,
							 decision.secret_version, decision.token);
	}
	PG_FINALLY();
	{
		/* Whose secret was proved was used, also where it cannot be bound. */
		ak_decision_close(request, &decision);
	}
	PG_END_TRY();
	if (decision.reason != AK_OK)
		ak_decision_raise(&decision,
						  ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION);
	return decision.public_key;
}

/* What authenticate() and its other forms return. */
static Datum
answer(FunctionCallInfo fcinfo, const AkForm *form)
{
	AkRequest	request = {.any_scope = true};
	AkNetwork	address;
	AkDigestClaim digest;
	text	   *public_key;

	/* First: it can raise an error, and there must be no secret to wipe then. */
	request.address =
		ak_identity_address_argument(fcinfo, form->proof,
									 form->address_is_text, &address);
	ak_request_set_key(&request, fcinfo, form->proof, &digest);
	public_key = authenticate(&request);
	if (form->proof == AK_BY_TOKEN)
		ak_request_wipe_token(&request);
	PG_RETURN_TEXT_P(public_key);
}

AK_IN_EACH_FORM(apikeys_authenticate, answer)

/* split_api_key(): the halves of the one string; NULLs where it is none. */
Datum
apikeys_split_api_key(PG_FUNCTION_ARGS)
{
	AkRequest	request = {0};
	Datum		values[2];
	bool		nulls[2];

	ak_request_set_token(&request, PG_GETARG_DATUM(0));
	values[0] = PointerGetDatum(request.public_key);
	values[1] = PointerGetDatum(request.secret);
	nulls[0] = request.public_key == NULL;
	nulls[1] = request.secret == NULL;
	return ak_make_row(fcinfo, values, nulls);
}

/* --- A request's headers -------------------------------------------------- */

/*
 * The headers of the HTTP request of the transaction, as set by PostgREST
 * and similar servers: setting request.headers, a JSON object.
 *
 * The text is read with PostgreSQL's JSON lexer and not with its types, whose
 * errors quote invalid input, which may be a secret.
 */

/*
 * The requested headers and what is read from them, each NULL or palloc'd.
 * Wiped when their memory context is reset, also after an error.
 */
typedef struct HttpRequest
{
	MemoryContextCallback wipe;
	char	   *api_key;		/* of the header named in apikeys.api_key_header */
	char	   *authorization;
	char	   *forwarded_for;
	char	   *decoded;
	size_t		decoded_size;
	text	   *public_key;		/* NULL if the request has no key */
	text	   *secret;			/* or the token */
} HttpRequest;

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

/*
 * Reads a name, a colon and a value.  The value of a requested header must be
 * a string, and occur once; of other headers any scalar value is accepted.
 */
static bool
read_header(JsonLexContext *lexer, HttpRequest *http)
{
	const char *name = lexer->strval->data;
	char	  **place = NULL;

	if (lexer->token_type != JSON_TOKEN_STRING)
		return false;
	if (names(name, ak_api_key_header))
		place = &http->api_key;
	else if (names(name, "Authorization"))
		place = &http->authorization;
	else if (names(name, "X-Forwarded-For"))
		place = &http->forwarded_for;
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
read_object(JsonLexContext *lexer, HttpRequest *http)
{
	if (!next_is(lexer, JSON_TOKEN_OBJECT_START) || !next(lexer))
		return false;
	while (lexer->token_type != JSON_TOKEN_OBJECT_END)
	{
		if (!read_header(lexer, http) || !next(lexer))
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
 * Checks whether JSON has escapes beyond ASCII: PostgreSQL 15 raises an error of its
 * own for those that an encoding lacks, with the statement.
 */
static bool
has_wide_escape(const char *json)
{
	const char *escape = json;

	while ((escape = strstr(escape, "\\u")) != NULL)
	{
		escape += 2;
		if (strncmp(escape, "00", 2) != 0 || escape[2] > '7')
			return true;
	}
	return false;
}

/*
 * Reads the headers; none if the setting is missing or empty.  Returns false
 * if it is not a JSON object of strings.
 */
static bool
read_headers(HttpRequest *http)
{
	const char *setting = GetConfigOption("request.headers", true, false);
	JsonLexContext *lexer;
	bool		are_read;

	if (setting == NULL || *setting == '\0')
		return true;
	if (GetDatabaseEncoding() != PG_UTF8 && has_wide_escape(setting))
		return false;
	lexer = ak_json_lexer(unconstify(char *, setting), strlen(setting));
	are_read = read_object(lexer, http);
	ak_crypto_wipe(lexer->strval->data, lexer->strval->maxlen);
	return are_read;
}

static void
raise_malformed(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("malformed request"),
			 errdetail_internal("%s", what),
			 ak_errid("malformed_request"),
			 errhidestmt(true),
			 errhidecontext(true)));
}

/* A Unix-domain socket is trusted if the addresses of this machine are. */
static bool
is_trusted(const AkNetset *trusted, const AkNetwork *peer)
{
	static const AkNetwork loopback4 = {4, 32, {127, 0, 0, 1}};
	static const AkNetwork loopback6 = {6, 128, {[15] = 1}};
	AkNetwork	match;

	if (peer)
		return ak_netset_find(trusted, peer, &match);
	return ak_netset_find(trusted, &loopback4, &match) ||
		ak_netset_find(trusted, &loopback6, &match);
}

/*
 * Returns the client address of the request, or NULL: the address of this
 * connection or, if that is a trusted proxy, the one that the proxy reports.
 */
static const AkNetwork *
find_client(const HttpRequest *http, AkNetwork *address)
{
	AkNetset	trusted;
	AkHeader	header;
	bool		has_peer = ak_identity_peer(address);

	ak_trusted_proxies_view(&trusted);
	if (!is_trusted(&trusted, has_peer ? address : NULL))
		return has_peer ? address : NULL;
	if (http->forwarded_for == NULL)
		return NULL;
	header = ak_forwarded_address(http->forwarded_for,
								  strlen(http->forwarded_for), &trusted,
								  address);
	if (header == AK_HEADER_MALFORMED)
		raise_malformed("Header X-Forwarded-For is no list of addresses.");
	return header == AK_HEADER_GOOD ? address : NULL;
}

static void
authenticate_http(HttpRequest *http)
{
	AkRequest	request = {.any_scope = true};
	AkNetwork	address;
	AkCredentials credentials;
	AkHeader	header = AK_HEADER_ABSENT;

	if (!read_headers(http))
		raise_malformed("Setting request.headers is no JSON object of strings.");
	/* The header for keys precedes the general one. */
	if (http->api_key)
		header = ak_credentials_from_key_header(http->api_key,
												strlen(http->api_key),
												&credentials);
	else if (http->authorization)
	{
		http->decoded_size = strlen(http->authorization);
		http->decoded = palloc(http->decoded_size + 1);
		header = ak_credentials_from_authorization(http->authorization,
												   http->decoded_size,
												   http->decoded,
												   &credentials);
	}
	if (header == AK_HEADER_MALFORMED)
		raise_malformed("A header holds no public key and private key.");
	if (header == AK_HEADER_ABSENT)
		return;
	http->secret = cstring_to_text_with_len(credentials.secret,
											credentials.secret_length);
	if (credentials.public_key == NULL)
		request.token = http->secret;
	else
	{
		request.public_key = cstring_to_text_with_len(credentials.public_key,
													  credentials.public_key_length);
		request.secret = http->secret;
	}
	request.address = find_client(http, &address);
	http->public_key = authenticate(&request);
}

static void
wipe(void *argument)
{
	HttpRequest *http = argument;

	if (http->api_key)
		ak_crypto_wipe(http->api_key, strlen(http->api_key));
	if (http->authorization)
		ak_crypto_wipe(http->authorization, strlen(http->authorization));
	if (http->decoded)
		ak_crypto_wipe(http->decoded, http->decoded_size);
	if (http->secret)
		ak_crypto_wipe(VARDATA(http->secret), VARSIZE(http->secret) - VARHDRSZ);
}

Datum
apikeys_authenticate_request(PG_FUNCTION_ARGS)
{
	HttpRequest *http;

	ak_require_preload();
	http = palloc0(sizeof(HttpRequest));
	http->wipe.func = wipe;
	http->wipe.arg = http;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &http->wipe);
	authenticate_http(http);
	if (http->public_key)
		PG_RETURN_TEXT_P(http->public_key);
	if (PG_ARGISNULL(0) || PG_GETARG_BOOL(0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("request has no API key"),
				 errhint("Send the API key as Authorization: Bearer <public key>.<private key>, by HTTP Basic, or as %s.",
						 ak_api_key_header),
				 ak_errid("key_missing"),
				 errhidestmt(true),
				 errhidecontext(true)));
	PG_RETURN_NULL();
}
