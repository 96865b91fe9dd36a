/*
 * request.c
 *	  Reads what a request claims from the arguments of a function.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "decision/decision.h"
#include "types/types.h"

#include "access/detoast.h"
#include "utils/builtins.h"

/*
 * Returns a text argument.  Of a text longer than max_size bytes only enough
 * is read to show that it is too long.
 */
static text *
get_text(Datum argument, int max_size)
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
	text	   *token = get_text(api_key, AK_SHORT_TOKEN_MAX);
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

/*
 * Reads authorization, method and target of a request; each can be NULL, as
 * which one that is too long is taken.
 */
static void
set_digest(AkRequest *request, AkDigestClaim *claim,
		   const NullableDatum arguments[3])
{
	text	   *texts[3];

	for (int i = 0; i < 3; i++)
	{
		texts[i] = arguments[i].isnull ? NULL :
			get_text(arguments[i].value, AK_DIGEST_TEXT_MAX);
		/* of a longer one there is only the beginning, which proves nothing */
		if (texts[i] && VARSIZE_ANY_EXHDR(texts[i]) > AK_DIGEST_TEXT_MAX)
			texts[i] = NULL;
	}
	memset(claim, 0, sizeof(*claim));
	request->digest = claim;
	claim->method = texts[1];
	claim->uri = texts[2];
	if (texts[0] &&
		ak_digest_parse(VARDATA_ANY(texts[0]), VARSIZE_ANY_EXHDR(texts[0]),
						&claim->digest))
		request->public_key =
			cstring_to_text_with_len(claim->digest.username.data,
									 claim->digest.username.size);
}

/*
 * Sets what proves a key to the first arguments of a function; what they claim
 * by HTTP Digest is stored in *digest.
 */
void
ak_request_set_key(AkRequest *request, FunctionCallInfo fcinfo, AkProof proof,
				   AkDigestClaim *digest)
{
	if (proof == AK_BY_DIGEST)
	{
		set_digest(request, digest, fcinfo->args);
		return;
	}
	if (proof == AK_BY_TOKEN)
	{
		if (!PG_ARGISNULL(0))
			ak_request_set_token(request, PG_GETARG_DATUM(0));
		return;
	}
	if (!PG_ARGISNULL(0))
		request->public_key = get_text(PG_GETARG_DATUM(0),
									   AK_PUBLIC_KEY_MAX_SIZE);
	if (!PG_ARGISNULL(1))
		request->secret = get_text(PG_GETARG_DATUM(1), AK_SECRET_MAX_SIZE);
}

/* Overwrites the secret that ak_request_set_token() has made. */
void
ak_request_wipe_token(AkRequest *request)
{
	if (request->secret)
		ak_crypto_wipe(VARDATA(request->secret),
					   VARSIZE(request->secret) - VARHDRSZ);
}
