/*
 * issue.c
 *	  Makes public keys, secrets and short-lived tokens, and finds leaked secrets.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "core/scope.h"
#include "store/store.h"
#include "types/types.h"
#include "usage/usage.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

/* --- Keys and secrets ---------------------------------------------------- */

/*
 * Makes new public keys and secrets, and records deleted keys, whose
 * public keys are never reused.
 *
 * A secret exists in clear text in the returned value and nowhere else:
 * buffers are wiped, and the table gets the hash.
 */

/* Length of the hint: a part of the checksum, so not secret. */
#define HINT_LENGTH		4

PG_FUNCTION_INFO_V1(apikeys_generate_public_key);
PG_FUNCTION_INFO_V1(apikeys_generate_secret);
PG_FUNCTION_INFO_V1(apikeys_key_deleted);
PG_FUNCTION_INFO_V1(apikeys_access_list_changed);
PG_FUNCTION_INFO_V1(apikeys_secret_deleted);

/*
 * What keys of the environment, an argument or NULL, begin with: palloc'd.  Raises
 * 55000 if that is too long.
 */
static char *
get_prefix(FunctionCallInfo fcinfo, int argument)
{
	char	   *prefix;

	if (PG_ARGISNULL(argument))
		return pstrdup(ak_token_prefix);
	prefix = psprintf("%s_%s", ak_token_prefix,
					  text_to_cstring(PG_GETARG_TEXT_PP(argument)));
	if (!ak_token_prefix_is_valid(prefix))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("prefix \"%s\" is longer than %d characters", prefix,
						AK_TOKEN_PREFIX_MAX),
				 errhint("Shorten apikeys.token_prefix or the environment."),
				 ak_errid("prefix_too_long")));
	return prefix;
}

/* generate_public_key(environment): a new name of a key. */
Datum
apikeys_generate_public_key(PG_FUNCTION_ARGS)
{
	uint8		digits[AK_TOKEN_PUBLIC_DIGITS];
	char		public_key[AK_TOKEN_TEXT_SIZE];
	size_t		length;

	ak_crypto_random_digits(digits, sizeof(digits), AK_TOKEN_BASE);
	length = ak_token_format_public(get_prefix(fcinfo, 0), digits, public_key);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(public_key, length));
}

/*
 * generate_secret(public_key, environment, version, digest_realm): a secret, its
 * hash, the end of the secret, and what HTTP Digest needs of it, NULL without a
 * realm or a version; NULL without a public key.
 */
Datum
apikeys_generate_secret(PG_FUNCTION_ARGS)
{
	text	   *public_key;
	const char *prefix;
	uint8		bits[AK_TOKEN_SECRET_BYTES];
	char		secret[AK_TOKEN_TEXT_SIZE];
	size_t		length;
	Datum		values[4] = {0};
	bool		nulls[4] = {false, false, false, true};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	public_key = PG_GETARG_TEXT_PP(0);
	prefix = get_prefix(fcinfo, 1);
	ak_crypto_random_bytes(bits, sizeof(bits));
	length = ak_token_format_secret(prefix, bits, secret);
	ak_crypto_wipe(bits, sizeof(bits));
	values[0] = PointerGetDatum(cstring_to_text_with_len(secret, length));
	values[1] =
		PointerGetDatum(ak_secret_hash_make(VARDATA_ANY(public_key),
											VARSIZE_ANY_EXHDR(public_key),
											secret, length));
	values[2] = CStringGetTextDatum(secret + length - HINT_LENGTH);
	if (!PG_ARGISNULL(2) && !PG_ARGISNULL(3))
	{
		AkDigestOwner owner = {
			.public_key = public_key,
			.version = PG_GETARG_INT32(2),
			.realm = PG_GETARG_TEXT_PP(3)
		};

		values[3] = PointerGetDatum(ak_sealed_digest_make(&owner, secret,
														  length));
		nulls[3] = false;
	}
	ak_crypto_wipe(secret, sizeof(secret));
	return ak_make_row(fcinfo, values, nulls);
}

/* --- Deleted keys and secrets -------------------------------------------- */

/*
 * Returns the public key, the first column, of the row that a trigger is
 * called for.
 */
static text *
get_trigger_key(FunctionCallInfo fcinfo, AkTable table)
{
	TriggerData *trigger = ak_trigger_get(fcinfo, AK_TABLE_BIT(table));
	bool		isnull;

	return DatumGetTextPP(ak_trigger_get_column(trigger, trigger->tg_trigtuple,
												1, &isnull));
}

/*
 * Trigger of table key, after a row was deleted.  Does not wait for decisions
 * with the key.  On a subscriber the row of deleted_key arrives too.
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

	if (SessionReplicationRole != SESSION_REPLICATION_ROLE_REPLICA)
		ak_owner_execute(&note, values, NULL);
	ak_usage_forget(public_key);
	PG_RETURN_POINTER(NULL);
}

/* Trigger of table key, after a change of a row's access list. */
Datum
apikeys_access_list_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo, AK_TABLE_BIT(AK_KEY));
	HeapTuple	row = trigger->tg_newtuple ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	AttrNumber	column = get_attnum(RelationGetRelid(trigger->tg_relation),
									"access_list");
	pg_uuid_t  *organization;
	AkNetset	access_list;
	bool		isnull;

	ak_access_list_view(PG_DETOAST_DATUM(ak_trigger_get_column(trigger, row,
															   column,
															   &isnull)),
						&access_list);
	organization = DatumGetUUIDP(ak_trigger_get_column(trigger, row,
													   get_attnum(RelationGetRelid(trigger->tg_relation),
																  "organization_id"),
													   &isnull));
	ak_usage_forget_networks(DatumGetTextPP(ak_trigger_get_column(trigger, row,
																  1, &isnull)),
							 organization, &access_list);
	PG_RETURN_POINTER(NULL);
}

/* Trigger of table key_secret, after a row was deleted. */
Datum
apikeys_secret_deleted(PG_FUNCTION_ARGS)
{
	ak_usage_forget(get_trigger_key(fcinfo, AK_KEY_SECRET));
	PG_RETURN_POINTER(NULL);
}

/* --- Short-lived tokens -------------------------------------------------- */

/*
 * Makes short-lived tokens: what apikeys.issue_token() seals, once it is known
 * that the caller may have one.
 *
 * Nothing in the database changes by it, so it works where nothing can be written.
 */

#define FAR_DAYS	INT64CONST(10000)

PG_FUNCTION_INFO_V1(apikeys_seal_token);

static void
raise_invalid_lifetime(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("lifetime of a token must be more than 0 and at most %d seconds",
					ak_token_max_lifetime),
			 errdetail("Setting apikeys.token_max_lifetime limits it."),
			 ak_errid("invalid_lifetime")));
}

static bool
is_within(int64 value, int64 most)
{
	return value >= -most && value <= most;
}

/*
 * When a token ends that is issued now.  An interval with a part that is far more
 * than any limit is not added: it can be too long for any time.
 */
static TimestampTz
get_end(TimestampTz now, const Interval *lifetime)
{
	const TimestampTz latest = now +
		(int64) ak_token_max_lifetime * USECS_PER_SEC;
	TimestampTz end;

	if (!is_within(lifetime->month, FAR_DAYS) ||
		!is_within(lifetime->day, FAR_DAYS) ||
		!is_within(lifetime->time, FAR_DAYS * USECS_PER_DAY))
		raise_invalid_lifetime();
	end = ak_add_in_utc(now, lifetime);
	if (end <= now || end > latest)
		raise_invalid_lifetime();
	return end;
}

static void
raise_invalid_scopes(int place)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid scope of a token"),
			 place ? errdetail("Element %d of the array is none: 1 to %d letters, digits and characters of _.:/-, with * for any run of characters.",
							   place, AK_SCOPE_MAX_LENGTH) :
			 errdetail("A token is narrowed to 1 to %d of them, in a one-dimensional array.",
					   AK_SHORT_TOKEN_SCOPES_MAX),
			 ak_errid("invalid_token_scopes")));
}

/* The patterns of an array, with blanks between, palloc'd; raises 22023. */
static char *
join_scopes(ArrayType *array)
{
	StringInfoData scopes;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	if (ARR_NDIM(array) != 1 || count > AK_SHORT_TOKEN_SCOPES_MAX)
		raise_invalid_scopes(0);
	initStringInfo(&scopes);
	for (int i = 0; i < count; i++)
	{
		text	   *element;

		if (nulls[i])
			raise_invalid_scopes(i + 1);
		element = DatumGetTextPP(elements[i]);
		if (!ak_is_permission(element))
			raise_invalid_scopes(i + 1);
		if (i > 0)
			appendStringInfoChar(&scopes, ' ');
		appendBinaryStringInfo(&scopes, VARDATA_ANY(element),
							   VARSIZE_ANY_EXHDR(element));
	}
	return scopes.data;
}

/*
 * seal_token(public_key, secret_version, secret_created_at, lifetime, scopes,
 * project): the text of a token, NULL without one of the first four; raises 22023
 * for a lifetime or scopes that it cannot have, 54000 if it would be too long,
 * 55000 without a key of the server.
 */
Datum
apikeys_seal_token(PG_FUNCTION_ARGS)
{
	AkShortToken token = {.issued_at = GetCurrentTimestamp()};
	AkKeystore	store;
	text	   *sealed;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	token.public_key = PG_GETARG_TEXT_PP(0);
	token.secret_version = PG_GETARG_INT32(1);
	token.secret_created_at = PG_GETARG_TIMESTAMPTZ(2);
	token.expires_at = get_end(token.issued_at, PG_GETARG_INTERVAL_P(3));
	if (!PG_ARGISNULL(4))
		(void) ak_short_token_set_scopes(&token,
										 join_scopes(PG_GETARG_ARRAYTYPE_P(4)));
	token.has_project = !PG_ARGISNULL(5);
	if (token.has_project)
		token.project = *PG_GETARG_UUID_P(5);
	ak_keystore_open(&store, ak_short_token_tables());
	sealed = ak_short_token_seal(&store, &token);
	ak_keystore_close(&store);
	PG_RETURN_TEXT_P(sealed);
}

/* --- Leaked private keys ------------------------------------------------- */

/*
 * Finds leaked private keys in a text.
 */

/* Bytes searched between two checks for a cancel request. */
#define PIECE_SIZE	((size_t) 64 * 1024)

PG_FUNCTION_INFO_V1(apikeys_find_leaked);

Datum
apikeys_find_leaked(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
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
		{
			Datum		value =
				PointerGetDatum(cstring_to_text_with_len(token, length));
			bool		isnull = false;

			tuplestore_putvalues(result->setResult, result->setDesc, &value,
								 &isnull);
		}
	}
	return (Datum) 0;
}
