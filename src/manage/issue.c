/*
 * issue.c
 *	  Makes new public keys and secrets, and sees to it that no public key is
 *	  used again once it was deleted.
 *
 * A secret exists in clear in the value that is returned and nowhere else:
 * buffers are wiped, and what goes to the table is the hash.
 */
#include "postgres.h"

#include "base/privileged.h"
#include "base/settings.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "core/token.h"
#include "identity/rights.h"
#include "store/keystore.h"
#include "types/type_secret_hash.h"
#include "usage/usage.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* How much of a secret the hint shows: of its checksum, so nothing secret. */
#define HINT_LENGTH		4

PG_FUNCTION_INFO_V1(apikeys_generate_public_key);
PG_FUNCTION_INFO_V1(apikeys_issue_secret);
PG_FUNCTION_INFO_V1(apikeys_public_key_is_taken);
PG_FUNCTION_INFO_V1(apikeys_key_inserted);
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

/* Runs a statement as the caller; returns how many rows it processed. */
static uint64
execute(const char *sql, int argument_count, Oid *types, Datum *values)
{
	SPI_execute_with_args(sql, argument_count, types, values, NULL, false, 0);
	return SPI_processed;
}

/*
 * Stores a hash as the caller: row-level security says whether he may.  The
 * key is locked, so that versions are counted by one at a time.  One statement
 * does it all, so that no trigger finds a key without a secret half-way.
 */
static void
store_secret(text *public_key, struct varlena *hash, const char *hint,
			 Datum overlap)
{
	Oid			types[] = {TEXTOID, InvalidOid, TEXTOID, INTERVALOID};
	Datum		values[] = {
		PointerGetDatum(public_key),
		PointerGetDatum(hash),
		CStringGetTextDatum(hint),
		overlap
	};

	types[1] = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
							   CStringGetDatum("secret_hash"),
							   ObjectIdGetDatum(get_namespace_oid("apikeys", false)));
	SPI_connect();
	if (execute("SELECT FROM apikeys.key AS k "
				"WHERE k.public_key OPERATOR(pg_catalog.=) $1 "
				"FOR NO KEY UPDATE", 1, types, values) == 0)
		execute("SELECT apikeys.refuse_key($1)", 1, types, values);
	/* Fails where a snapshot is too old to see who has rotated since. */
	execute("SELECT FROM apikeys.key_secret AS s "
			"WHERE s.public_key OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
			1, types, values);
	execute("WITH kept AS MATERIALIZED ("
			"SELECT s.version FROM apikeys.key_secret AS s "
			"WHERE s.public_key OPERATOR(pg_catalog.=) $1 "
			"ORDER BY (s.expires_at IS NULL OR s.expires_at "
			"OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()) DESC, "
			"s.version DESC LIMIT 1), "
			"deleted AS (DELETE FROM apikeys.key_secret AS s "
			"WHERE s.public_key OPERATOR(pg_catalog.=) $1 "
			"AND s.version OPERATOR(pg_catalog.<>) (SELECT version FROM kept)), "
			"ended AS (UPDATE apikeys.key_secret AS s SET expires_at = "
			"least(s.expires_at, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) $4) "
			"WHERE s.public_key OPERATOR(pg_catalog.=) $1 "
			"AND s.version OPERATOR(pg_catalog.=) (SELECT version FROM kept)) "
			"INSERT INTO apikeys.key_secret (public_key, version, hash, hint) "
			"SELECT $1, coalesce(pg_catalog.max(s.version), 0) OPERATOR(pg_catalog.+) 1, $2, $3 "
			"FROM apikeys.key_secret AS s "
			"WHERE s.public_key OPERATOR(pg_catalog.=) $1",
			lengthof(types), types, values);
	SPI_finish();
}

Datum
apikeys_issue_secret(PG_FUNCTION_ARGS)
{
	text	   *public_key;
	char		secret[AK_TOKEN_TEXT_SIZE];
	size_t		length;
	struct varlena *hash;
	text	   *result;
	char		hint[HINT_LENGTH + 1];

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null",
						PG_ARGISNULL(0) ? "public_key" : "overlap")));
	public_key = PG_GETARG_TEXT_PP(0);
	length = make_secret(secret);
	hash = ak_secret_hash_make(VARDATA_ANY(public_key),
							   VARSIZE_ANY_EXHDR(public_key), secret, length);
	strlcpy(hint, secret + length - HINT_LENGTH, sizeof(hint));
	result = cstring_to_text_with_len(secret, length);
	ak_crypto_wipe(secret, sizeof(secret));
	store_secret(public_key, hash, hint, PG_GETARG_DATUM(1));
	PG_RETURN_TEXT_P(result);
}

/* --- Names of deleted keys ------------------------------------------------ */

/* The public key, the first column, of the row that a trigger is called for. */
static text *
get_trigger_key(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = ak_trigger_get(fcinfo);
	bool		isnull;

	return DatumGetTextPP(ak_trigger_get_column(trigger, trigger->tg_trigtuple,
												1, &isnull));
}

/* Only who could find out by trying to make such a key is told. */
Datum
apikeys_public_key_is_taken(PG_FUNCTION_ARGS)
{
	text	   *public_key = PG_GETARG_TEXT_PP(0);
	AkKeystore	store;
	pg_uuid_t	organization;
	bool		is_taken;

	if (!ak_rights_manages_keys(PG_GETARG_UUID_P(1)))
		PG_RETURN_BOOL(false);
	ak_keystore_open(&store);
	is_taken = ak_keystore_find_key(&store, public_key, &organization) ||
		ak_keystore_was_deleted(&store, public_key);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(is_taken);
}

/* Trigger of table key, after a row was inserted. */
Datum
apikeys_key_inserted(PG_FUNCTION_ARGS)
{
	text	   *public_key = get_trigger_key(fcinfo);
	AkKeystore	store;
	bool		was_deleted;

	ak_keystore_open(&store);
	was_deleted = ak_keystore_was_deleted(&store, public_key);
	ak_keystore_close(&store);
	if (was_deleted)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("public key has been used before"),
				 errdetail("A key of this name was deleted; its name is not used again.")));
	PG_RETURN_POINTER(NULL);
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
	text	   *public_key = get_trigger_key(fcinfo);
	Datum		values[] = {PointerGetDatum(public_key)};

	ak_privileged_execute(&note, values, NULL);
	ak_usage_forget(public_key);
	PG_RETURN_POINTER(NULL);
}

/* Trigger of table key_secret, after a row was deleted. */
Datum
apikeys_secret_deleted(PG_FUNCTION_ARGS)
{
	ak_usage_forget_secret(get_trigger_key(fcinfo));
	PG_RETURN_POINTER(NULL);
}
