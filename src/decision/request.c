/*
 * request.c
 *	  Reads what a request claims from the arguments of a function.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/credentials.h"
#include "core/crypto.h"
#include "decision/request.h"

#include "access/detoast.h"
#include "utils/builtins.h"

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
 * which is an unknown key, where it is none.  A short-lived token is taken as it
 * is, and stays the caller's.
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
	if (!ak_credentials_from_api_key(VARDATA_ANY(token),
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
