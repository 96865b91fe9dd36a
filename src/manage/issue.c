/*
 * issue.c
 *	  Makes new public keys and secrets, and notes deleted keys, whose names are
 *	  never used again.
 *
 * A secret exists in clear in the value that is returned and nowhere else:
 * buffers are wiped, and what goes to the table is the hash.
 */
#include "postgres.h"

#include "base/owner.h"
#include "base/settings.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "core/token.h"
#include "types/type_secret_hash.h"
#include "usage/quota.h"
#include "usage/usage.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/uuid.h"

/* How much of a secret the hint shows: of its checksum, so nothing secret. */
#define HINT_LENGTH		4

PG_FUNCTION_INFO_V1(apikeys_generate_public_key);
PG_FUNCTION_INFO_V1(apikeys_generate_secret);
PG_FUNCTION_INFO_V1(apikeys_key_deleted);
PG_FUNCTION_INFO_V1(apikeys_secret_deleted);

Datum
apikeys_generate_public_key(PG_FUNCTION_ARGS)
{
	uint8		digits[AK_TOKEN_PUBLIC_DIGITS];
	char		public_key[AK_TOKEN_TEXT_SIZE];
	size_t		length;

	ak_crypto_random_digits(digits, sizeof(digits), AK_TOKEN_BASE);
	length = ak_token_format_public(ak_token_prefix, digits, public_key);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(public_key, length));
}

/* A new secret; the caller wipes it. */
static size_t
make_secret(char *secret)
{
	uint8		bits[AK_TOKEN_SECRET_BYTES];
	size_t		length;

	ak_crypto_random_bytes(bits, sizeof(bits));
	length = ak_token_format_secret(ak_token_prefix, bits, secret);
	ak_crypto_wipe(bits, sizeof(bits));
	return length;
}

/* generate_secret(public_key): a secret, its hash and the end of the secret. */
Datum
apikeys_generate_secret(PG_FUNCTION_ARGS)
{
	text	   *public_key = PG_GETARG_TEXT_PP(0);
	char		secret[AK_TOKEN_TEXT_SIZE];
	size_t		length = make_secret(secret);
	TupleDesc	descriptor;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = PointerGetDatum(cstring_to_text_with_len(secret, length));
	values[1] =
		PointerGetDatum(ak_secret_hash_make(VARDATA_ANY(public_key),
											VARSIZE_ANY_EXHDR(public_key),
											secret, length));
	values[2] = CStringGetTextDatum(secret + length - HINT_LENGTH);
	ak_crypto_wipe(secret, sizeof(secret));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}

/* --- Deleted keys and secrets --------------------------------------------- */

/* The public key, the first column, of the row that a trigger is called for. */
static text *
get_trigger_key(FunctionCallInfo fcinfo, AkTable table)
{
	TriggerData *trigger = ak_trigger_get(fcinfo, AK_TABLE_BIT(table));
	bool		isnull;

	return DatumGetTextPP(ak_trigger_get_column(trigger, trigger->tg_trigtuple,
												1, &isnull));
}

/*
 * Trigger of table key, after a row was deleted.  Waits for nobody who is
 * using the key.
 */
Datum
apikeys_key_deleted(PG_FUNCTION_ARGS)
{
	static AkStatement note = {
		"INSERT INTO apikeys.deleted_key (public_key) "
		"VALUES ($1) ON CONFLICT DO NOTHING",
		1, {TEXTOID}
	};
	text	   *public_key = get_trigger_key(fcinfo, AK_KEY);
	Datum		values[] = {PointerGetDatum(public_key)};
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	int			limits_id = SPI_fnumber(RelationGetDescr(trigger->tg_relation),
										"limits_id");
	bool		isnull;

	ak_owner_execute(&note, values, NULL);
	ak_usage_forget(public_key);
	ak_quota_forget(DatumGetUUIDP(ak_trigger_get_column(trigger,
														trigger->tg_trigtuple,
														limits_id, &isnull)));
	PG_RETURN_POINTER(NULL);
}

/* Trigger of table key_secret, after a row was deleted. */
Datum
apikeys_secret_deleted(PG_FUNCTION_ARGS)
{
	ak_usage_forget_secret(get_trigger_key(fcinfo, AK_KEY_SECRET));
	PG_RETURN_POINTER(NULL);
}
