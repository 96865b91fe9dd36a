/*
 * digest_proof.c
 *	  Whether a request proves a key by HTTP Digest.
 *
 * The nonce is looked at first, and tells nothing about a key.  Then a key that
 * does not exist, or takes no Digest, costs the same reading and hashing as a wrong
 * response.  A request counts as made with its nonce only once it is proved.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "decision/decision.h"
#include "types/types.h"
#include "usage/guesses.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(apikeys_digest_challenge);

/* As in sql/parts/30_tables.sql. */
enum
{
	SECRET_VERSION = 2,
	SECRET_EXPIRES_AT = 6,
	SECRET_DIGEST_REALM = 7,
	SECRET_DIGEST = 8
};

/* A secret of a key that has what Digest needs; it points into a row. */
typedef struct DigestSecret
{
	AkDigestOwner owner;
	const bytea *sealed;
	bool		is_live;
} DigestSecret;

/* --- The secrets ------------------------------------------------------------ */

static void
open_secrets(AkKeystore *store, text *public_key, AkIndexScan *scan)
{
	ScanKeyData key;

	ak_index_scan_text_key(&key, public_key);
	ak_index_scan_open(store->snapshot, AK_KEY_SECRET, AK_KEY_SECRET_BY_KEY,
					   &key, false, scan);
}

/* The next secret that has what Digest needs; false at the end. */
static bool
next_secret(AkIndexScan *scan, text *public_key, TimestampTz now,
			DigestSecret *secret)
{
	while (ak_index_scan_next_row(scan))
	{
		bool		isnull;
		Datum		value = slot_getattr(scan->slot, SECRET_DIGEST, &isnull);

		if (isnull)
			continue;
		secret->sealed = DatumGetByteaPP(value);
		value = slot_getattr(scan->slot, SECRET_DIGEST_REALM, &isnull);
		secret->owner.realm = DatumGetTextPP(value);
		secret->owner.public_key = public_key;
		secret->owner.version =
			DatumGetInt32(slot_getattr(scan->slot, SECRET_VERSION, &isnull));
		value = slot_getattr(scan->slot, SECRET_EXPIRES_AT, &isnull);
		secret->is_live = isnull || DatumGetTimestampTz(value) > now;
		return true;
	}
	return false;
}

/* How many live secrets of a key Digest can prove. */
int
ak_digest_count_live(AkKeystore *store, text *public_key, TimestampTz now)
{
	AkIndexScan scan;
	DigestSecret secret;
	int			count = 0;

	open_secrets(store, public_key, &scan);
	while (next_secret(&scan, public_key, now, &secret))
		count += secret.is_live;
	ak_index_scan_close(&scan);
	return count;
}

/* --- The response ----------------------------------------------------------- */

/* Whether the response is the one that a secret gives. */
static bool
is_response(const AkDigestClaim *claim, const uint8 *secret)
{
	uint8		response[AK_DIGEST_MAX_SIZE];

	return ak_digest_respond(ak_digest_hash, &claim->digest,
							 ak_digest_text(claim->method), ak_digest_text(claim->uri),
							 secret, response) &&
		ak_crypto_equal(response, claim->digest.response,
						ak_digest_size(claim->digest.algorithm));
}

static AkReason
check_secret(const AkDigestClaim *claim, const DigestSecret *secret)
{
	uint8		opened[AK_DIGEST_MAX_SIZE];
	bool		is_right;

	switch (ak_sealed_digest_open(&secret->owner, secret->sealed,
								  claim->digest.algorithm, opened))
	{
		case AK_UNSEALED_PEPPER_UNKNOWN:
			return AK_PEPPER_MISSING;
		case AK_UNSEALED_NOT:
			return AK_WRONG_SECRET;
		case AK_UNSEALED:
			break;
	}
	/* the response first: it costs the same in every realm */
	is_right = is_response(claim, opened) &&
		ak_digest_text(secret->owner.realm).size == claim->digest.realm.size &&
		memcmp(VARDATA_ANY(secret->owner.realm), claim->digest.realm.data,
			   claim->digest.realm.size) == 0;
	ak_crypto_wipe(opened, sizeof(opened));
	return !is_right ? AK_WRONG_SECRET :
		secret->is_live ? AK_OK : AK_SECRET_EXPIRED;
}

/*
 * Compares with each secret of the key.  Where there is none, the same is done with
 * one of nobody.
 */
static AkReason
check_secrets(const AkRequest *request, AkDecision *decision)
{
	static const uint8 nothing[AK_DIGEST_MAX_SIZE] = {0};
	AkReason	best = AK_WRONG_SECRET;
	int			count = 0;
	AkIndexScan scan;
	DigestSecret secret;

	open_secrets(&decision->store, request->public_key, &scan);
	while (next_secret(&scan, request->public_key, decision->now, &secret))
	{
		AkReason	reason = check_secret(request->digest, &secret);

		count++;
		best = ak_reason_better(best, reason);
		if (reason == AK_OK)
			decision->secret_version = secret.owner.version;
	}
	ak_index_scan_close(&scan);
	if (count == 0)
	{
		const AkDigestOwner nobody = {
			.public_key = request->public_key,
			.realm = cstring_to_text_with_len(request->digest->digest.realm.data,
											  request->digest->digest.realm.size)
		};

		ak_sealed_digest_open_nothing(&nobody);
		(void) is_response(request->digest, nothing);
	}
	return best;
}

/* The nonce, the response, and whether it is the first with this nonce and count. */
static AkReason
check(const AkRequest *request, AkDecision *decision)
{
	const AkDigestClaim *claim = request->digest;
	const AkDigest *digest = &claim->digest;
	AkReason	reason;
	AkNonce		nonce;

	if (ak_pepper_current() == NULL)
		return AK_PEPPER_MISSING;
	if (!ak_nonces_open(digest->nonce.data, digest->nonce.size,
						digest->realm.data, digest->realm.size, &nonce))
		return AK_NONCE_STALE;
	if (claim->method == NULL || claim->uri == NULL)
		return AK_WRONG_SECRET;
	reason = check_secrets(request, decision);
	if (reason != AK_OK)
		return reason;
	if (!decision->key_exists)
		return AK_WRONG_SECRET;
	switch (ak_nonces_take(&nonce, digest->count))
	{
		case AK_NONCE_TAKEN:
			return AK_OK;
		case AK_NONCE_USED_BEFORE:
			return AK_NONCE_REPLAYED;
		case AK_NONCE_FORGOTTEN:
			break;
	}
	return AK_NONCE_STALE;
}

/*
 * Whether the request proves the key.  Its store was opened with table key_secret;
 * fills in decision->key, if the key exists, and the version of its secret.
 */
AkReason
ak_digest_prove(const AkRequest *request, AkDecision *decision)
{
	AkReason	reason;

	if (request->public_key == NULL)
		return AK_UNKNOWN_KEY;
	decision->key_exists = ak_keystore_find_image(&decision->store,
												  request->public_key,
												  &decision->key);
	reason = check(request, decision);
	if (reason == AK_OK)
		return reason;
	if (decision->key_exists)
		ak_keystore_search_in_vain(&decision->store, request->public_key);
	else
	{
		ak_keystore_read_in_vain(&decision->store);
		if (reason == AK_WRONG_SECRET)
			reason = AK_UNKNOWN_KEY;
	}
	return reason;
}

/* --- The challenge ---------------------------------------------------------- */

static void
check_realm(const text *realm)
{
	if (!ak_digest_realm_is_valid(VARDATA_ANY(realm), VARSIZE_ANY_EXHDR(realm)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid realm"),
				 errdetail("A realm is 1 to %d printable characters of ASCII, without quotes and backslashes.",
						   AK_REALM_MAX),
				 ak_errid("invalid_realm")));
}

/*
 * digest_challenge(realm, stale): a row for each algorithm, the better one first.
 * Without MD5 where the server cannot compute it.  Raises 22023 if the realm is
 * none, 55000 without a pepper.
 */
Datum
apikeys_digest_challenge(PG_FUNCTION_ARGS)
{
	static const char *const algorithms[] = {
		[AK_DIGEST_MD5] = "MD5",
		[AK_DIGEST_SHA256] = "SHA-256"
	};
	char		nonce[AK_NONCE_TEXT_SIZE];
	uint8		hash[AK_DIGEST_MAX_SIZE];
	ReturnSetInfo *result;
	text	   *realm;
	bool		is_stale = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);

	ak_require_preload();
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("realm must not be null"),
				 ak_errid("null_argument")));
	realm = PG_GETARG_TEXT_PP(0);
	check_realm(realm);
	if (ak_pepper_current() == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("HTTP Digest needs a pepper"),
				 errhint("Set apikeys.pepper_file."),
				 ak_errid("pepper_required")));
	ak_nonces_make(VARDATA_ANY(realm), VARSIZE_ANY_EXHDR(realm), nonce);
	for (int algorithm = AK_DIGEST_SHA256; algorithm >= AK_DIGEST_MD5; algorithm--)
	{
		Datum		value;
		bool		isnull = false;

		if (!ak_digest_hash(algorithm, NULL, 0, hash))
			continue;
		value = CStringGetTextDatum(psprintf("Digest realm=\"%.*s\", qop=\"auth\", algorithm=%s, nonce=\"%s\"%s",
											 (int) VARSIZE_ANY_EXHDR(realm),
											 VARDATA_ANY(realm),
											 algorithms[algorithm], nonce,
											 is_stale ? ", stale=true" : ""));
		tuplestore_putvalues(result->setResult, result->setDesc, &value,
							 &isnull);
	}
	return (Datum) 0;
}
