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
#include "types/types.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(apikeys_authenticate);
PG_FUNCTION_INFO_V1(apikeys_authenticate_text);
PG_FUNCTION_INFO_V1(apikeys_authenticate_token);
PG_FUNCTION_INFO_V1(apikeys_authenticate_token_text);
PG_FUNCTION_INFO_V1(apikeys_authenticate_digest);
PG_FUNCTION_INFO_V1(apikeys_authenticate_digest_text);
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
	if (decision.reason == AK_OK)
		ak_identity_bind(decision.public_key, &decision.store, &decision.key,
						 request->address, decision.secret_version,
						 decision.token);
	ak_decision_close(request, &decision);
	if (decision.reason != AK_OK)
		ak_decision_raise(&decision,
						  ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION);
	return decision.public_key;
}

static void
get_address(FunctionCallInfo fcinfo, int argument, bool is_text,
			AkRequest *request, AkNetwork *address)
{
	if (PG_ARGISNULL(argument))
		return;
	if (is_text)
		ak_network_from_text(PG_GETARG_TEXT_PP(argument), address);
	else
		ak_network_from_inet(PG_GETARG_INET_PP(argument), address);
	request->address = address;
}

/* authenticate(), whose address is an inet or a text. */
static Datum
authenticate_key(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkRequest	request = {.any_scope = true};
	AkNetwork	address;

	if (!PG_ARGISNULL(0))
		request.public_key = ak_request_get_text(PG_GETARG_DATUM(0),
												  AK_PUBLIC_KEY_MAX_SIZE);
	if (!PG_ARGISNULL(1))
		request.secret = ak_request_get_text(PG_GETARG_DATUM(1),
											  AK_SECRET_MAX_SIZE);
	get_address(fcinfo, 2, address_is_text, &request, &address);
	PG_RETURN_TEXT_P(authenticate(&request));
}

/* authenticate_token(), the same with both in one string. */
static Datum
authenticate_token(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkRequest	request = {.any_scope = true};
	AkNetwork	address;
	text	   *public_key;

	get_address(fcinfo, 1, address_is_text, &request, &address);
	if (!PG_ARGISNULL(0))
		ak_request_set_token(&request, PG_GETARG_DATUM(0));
	public_key = authenticate(&request);
	ak_request_wipe_token(&request);
	PG_RETURN_TEXT_P(public_key);
}

/* authenticate_digest(), the same by HTTP Digest. */
static Datum
authenticate_digest(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkRequest	request = {.any_scope = true};
	AkNetwork	address;
	AkDigestClaim digest;

	get_address(fcinfo, 3, address_is_text, &request, &address);
	ak_request_set_digest(&request, &digest, fcinfo->args);
	PG_RETURN_TEXT_P(authenticate(&request));
}

Datum
apikeys_authenticate(PG_FUNCTION_ARGS)
{
	return authenticate_key(fcinfo, false);
}

Datum
apikeys_authenticate_text(PG_FUNCTION_ARGS)
{
	return authenticate_key(fcinfo, true);
}

Datum
apikeys_authenticate_token(PG_FUNCTION_ARGS)
{
	return authenticate_token(fcinfo, false);
}

Datum
apikeys_authenticate_token_text(PG_FUNCTION_ARGS)
{
	return authenticate_token(fcinfo, true);
}

Datum
apikeys_authenticate_digest(PG_FUNCTION_ARGS)
{
	return authenticate_digest(fcinfo, false);
}

Datum
apikeys_authenticate_digest_text(PG_FUNCTION_ARGS)
{
	return authenticate_digest(fcinfo, true);
}

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
 * The values read from the headers, each NULL or palloc'd.  Wiped when their
 * memory context is reset, also after an error.
 */
typedef struct HttpRequest
{
	MemoryContextCallback wipe;
	AkRequestHeaders headers;
	char	   *decoded;
	size_t		decoded_size;
	text	   *public_key;		/* NULL if the request has no key */
	text	   *secret;			/* or the token */
} HttpRequest;

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

/*
 * Returns the client address of this connection; false for a Unix-domain
 * socket.
 */
static bool
get_peer(AkNetwork *peer)
{
	LOCAL_FCINFO(call, 0);
	Datum		address;

	InitFunctionCallInfoData(*call, NULL, 0, InvalidOid, NULL, NULL);
	address = inet_client_addr(call);
	if (call->isnull)
		return false;
	ak_network_from_inet(DatumGetInetPP(address), peer);
	return true;
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
find_client(const AkRequestHeaders *headers, AkNetwork *address)
{
	AkNetset	trusted;
	AkHeader	header;
	bool		has_peer = get_peer(address);

	ak_trusted_proxies_view(&trusted);
	if (!is_trusted(&trusted, has_peer ? address : NULL))
		return has_peer ? address : NULL;
	if (headers->forwarded_for == NULL)
		return NULL;
	header = ak_forwarded_address(headers->forwarded_for,
								  strlen(headers->forwarded_for), &trusted,
								  address);
	if (header == AK_HEADER_MALFORMED)
		raise_malformed("Header X-Forwarded-For is no list of addresses.");
	return header == AK_HEADER_GOOD ? address : NULL;
}

/* The header for keys precedes the general one. */
static AkHeader
find_credentials(HttpRequest *http, AkCredentials *credentials)
{
	const AkRequestHeaders *headers = &http->headers;

	if (headers->api_key)
		return ak_credentials_from_key_header(headers->api_key,
											  strlen(headers->api_key),
											  credentials);
	if (headers->authorization == NULL)
		return AK_HEADER_ABSENT;
	http->decoded_size = strlen(headers->authorization);
	http->decoded = palloc(http->decoded_size + 1);
	return ak_credentials_from_authorization(headers->authorization,
											 http->decoded_size,
											 http->decoded, credentials);
}

static void
authenticate_http(HttpRequest *http)
{
	AkRequest	request = {.any_scope = true};
	AkNetwork	address;
	AkCredentials credentials;
	AkHeader	header;

	if (!ak_request_headers_read(&http->headers))
		raise_malformed("Setting request.headers is no JSON object of strings.");
	header = find_credentials(http, &credentials);
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
	request.address = find_client(&http->headers, &address);
	http->public_key = authenticate(&request);
}

static void
wipe(void *argument)
{
	HttpRequest *http = argument;

	ak_request_headers_wipe(&http->headers);
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
