/*
 * leak.c
 *	  Private keys that have got out: finds them in a text, and ends them.
 */
#include "postgres.h"

#include "base/privileged.h"
#include "core/compat.h"
#include "core/token.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* So much of a text is searched before the next look for a cancel request. */
#define PIECE_SIZE	((size_t) 64 * 1024)

PG_FUNCTION_INFO_V1(apikeys_find_leaked);
PG_FUNCTION_INFO_V1(apikeys_revoke_leaked);

/* Adds the bytes as a row of one column, a text. */
static void
put_text(ReturnSetInfo *result, const char *bytes, size_t size)
{
	Datum		value = PointerGetDatum(cstring_to_text_with_len(bytes, size));
	bool		isnull = false;

	tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
}

Datum
apikeys_find_leaked(PG_FUNCTION_ARGS)
{
	text	   *searched = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(searched);
	size_t		size = VARSIZE_ANY_EXHDR(searched);
	size_t		from = 0;
	size_t		reached = 0;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	while (reached < size)
	{
		const char *token;
		size_t		length;

		CHECK_FOR_INTERRUPTS();
		reached += Min(PIECE_SIZE, size - reached);
		while ((token = ak_token_find_secret(bytes, reached, &from,
											 &length)) != NULL)
			put_text((ReturnSetInfo *) fcinfo->resultinfo, token, length);
	}
	return (Datum) 0;
}

/*
 * Disables the key that the secret is a live one of.  Whoever has the secret
 * could use the key, so ending it needs no other right.  No index finds a
 * hash, so all that are live are tried, but those of argon2id: each costs up
 * to a second.
 */
Datum
apikeys_revoke_leaked(PG_FUNCTION_ARGS)
{
	static AkStatement disable = {
		"UPDATE apikeys.key AS k SET disabled_at = pg_catalog.now(), "
		"disabled_reason = 'compromised' "
		"WHERE k.disabled_at IS NULL AND k.public_key OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT s.public_key FROM apikeys.key_secret AS s "
		"WHERE (s.expires_at IS NULL OR s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()) "
		"AND CASE WHEN s.algorithm OPERATOR(pg_catalog.<>) 'argon2id' "
		"THEN apikeys.verify(s.hash, s.public_key, $1) END))",
		1, {TEXTOID}
	};
	text	   *secret;
	Datum		value;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	secret = PG_GETARG_TEXT_PP(0);
	if (ak_token_classify(VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret)) !=
		AK_TOKEN_SECRET)
		PG_RETURN_BOOL(false);
	value = PointerGetDatum(secret);
	PG_RETURN_BOOL(ak_privileged_execute(&disable, &value, NULL) > 0);
}
