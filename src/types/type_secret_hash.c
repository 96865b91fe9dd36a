/*
 * type_secret_hash.c
 *	  The SQL interface of type apikeys.secret_hash, and the making and
 *	  comparing of hashes.  hash_form.c defines their forms.
 *
 * No error of this file quotes its input, because it may be a secret in clear
 * text.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/crypto.h"
#include "types/types.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(apikeys_is_secret_hash);
PG_FUNCTION_INFO_V1(apikeys_secret_hash_in);
PG_FUNCTION_INFO_V1(apikeys_secret_hash_out);
PG_FUNCTION_INFO_V1(apikeys_secret_hash_recv);
PG_FUNCTION_INFO_V1(apikeys_secret_hash_send);
PG_FUNCTION_INFO_V1(apikeys_verify);
PG_FUNCTION_INFO_V1(apikeys_algorithm);
PG_FUNCTION_INFO_V1(apikeys_pepper);
PG_FUNCTION_INFO_V1(apikeys_is_affordable);

int			ak_argon2id_max_cost;

/* --- Stored form --------------------------------------------------------- */

static struct varlena *
store_hash(const AkHashForm *hash)
{
	size_t		size = VARHDRSZ + ak_hash_form_size(hash);
	struct varlena *stored = palloc(size);

	SET_VARSIZE(stored, size);
	ak_hash_form_store(hash, (uint8 *) VARDATA(stored));
	return stored;
}

static void
load_hash(const char *stored, size_t size, AkHashForm *hash)
{
	if (!ak_hash_form_load((const uint8 *) stored, size, hash))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("secret hash is damaged"),
				 ak_errid("secret_hash_damaged"),
				 errhidestmt(true),
				 errhidecontext(true)));
}

/* --- Making and checking ------------------------------------------------- */

/*
 * Makes a claim that this is a secret of that key, and does the hashing that
 * nearly every check of the claim needs, whether or not the key exists.  A
 * secret that is too long is not read, and an empty one is none, whatever hash
 * was imported: the claim of a short one takes its place, takes as long, and is
 * never proved.  The claim points to the key and the secret.
 */
void
ak_secret_claim_init(AkSecretClaim *claim,
					 const char *public_key, size_t public_key_size,
					 const char *secret, size_t secret_size)
{
	static const char stand_in[] =
		"ak_sec_0000000000000000000000000000000000000000000000000";

	claim->is_none = secret_size == 0 || secret_size > AK_SECRET_MAX_SIZE;
	claim->public_key = public_key;
	claim->public_key_size = public_key_size;
	claim->secret = claim->is_none ? stand_in : secret;
	claim->secret_size = claim->is_none ? strlen(stand_in) : secret_size;
	claim->pepper = ak_pepper_current();
	ak_crypto_blake2b(claim->blake2b,
					  claim->pepper ? claim->pepper->bytes : NULL,
					  claim->public_key, claim->public_key_size,
					  claim->secret, claim->secret_size);
}

/* Returns the hash that the claimed secret would have today. */
static AkHashForm
hash_claim(const AkSecretClaim *claim)
{
	AkHashForm	hash = {0};

	hash.algorithm = AK_BLAKE2B;
	hash.pepper_id = claim->pepper ? claim->pepper->id : AK_NO_PEPPER;
	hash.pepper_id_size = strlen(hash.pepper_id);
	hash.digest = claim->blake2b;
	hash.digest_size = AK_BLAKE2B_SIZE;
	return hash;
}

/*
 * Returns the hash of a secret that is issued here; palloc'd.  Raises 55000 as
 * ak_pepper_demand().
 */
struct varlena *
ak_secret_hash_make(const char *public_key, size_t public_key_size,
					const char *secret, size_t secret_size)
{
	AkSecretClaim claim;
	AkHashForm	hash;

	(void) ak_pepper_demand();
	ak_secret_claim_init(&claim, public_key, public_key_size,
						 secret, secret_size);
	hash = hash_claim(&claim);
	return store_hash(&hash);
}

/*
 * Writes the bytes of the hash that the claimed secret would have now to
 * renewed[], at most AK_NEW_HASH_MAX, and returns their number.  Without a pepper 0
 * for a stored hash that takes long: it was made for secrets that can be guessed,
 * and is what protects them in a dump.
 */
size_t
ak_secret_hash_renew(const char *stored, size_t stored_size,
					 const AkSecretClaim *claim, uint8 *renewed)
{
	AkHashForm	hash;

	load_hash(stored, stored_size, &hash);
	if (claim->pepper == NULL && ak_hash_form_cost(&hash) > 0)
		return 0;
	hash = hash_claim(claim);
	ak_hash_form_store(&hash, renewed);
	return ak_hash_form_size(&hash);
}

/* Only compares; the caller interprets the result. */
static AkVerdict
compare(const void *digest, const AkHashForm *hash, AkVerdict if_equal)
{
	return ak_crypto_equal(digest, hash->digest, hash->digest_size) ?
		if_equal : AK_SECRET_DIFFERS;
}

/*
 * Finds the pepper of a blake2b hash, NULL if it has none; returns false if
 * the pepper is missing.
 */
static bool
find_pepper(const AkHashForm *hash, const AkPepper **pepper)
{
	*pepper = NULL;
	if (hash->pepper_id_size == strlen(AK_NO_PEPPER) &&
		memcmp(hash->pepper_id, AK_NO_PEPPER, hash->pepper_id_size) == 0)
		return true;
	*pepper = ak_pepper_find(hash->pepper_id, hash->pepper_id_size);
	return *pepper != NULL;
}

static AkVerdict
verify_blake2b(const AkHashForm *hash, const AkSecretClaim *claim)
{
	const AkPepper *pepper;
	uint8		digest[AK_BLAKE2B_SIZE];

	if (!find_pepper(hash, &pepper))
		return AK_PEPPER_UNKNOWN;
	if (pepper == claim->pepper)
		return compare(claim->blake2b, hash, AK_SECRET_MATCHES);
	ak_crypto_blake2b(digest, pepper ? pepper->bytes : NULL,
					  claim->public_key, claim->public_key_size,
					  claim->secret, claim->secret_size);
	return compare(digest, hash, AK_SECRET_IS_OUTDATED);
}

/*
 * Checks whether a secret can be compared with a hash: not if its pepper is
 * missing.
 */
bool
ak_secret_hash_can_verify(const char *stored, size_t stored_size)
{
	AkHashForm	hash;
	const AkPepper *pepper;

	load_hash(stored, stored_size, &hash);
	return hash.algorithm != AK_BLAKE2B || find_pepper(&hash, &pepper);
}

static bool
is_affordable(const AkHashForm *hash)
{
	return ak_hash_form_cost(hash) <= (uint32) ak_argon2id_max_cost;
}

/*
 * Checks whether a decision computes such a hash: every hash except argon2id
 * hashes that exceed apikeys.argon2id_max_cost.  Raises XX001 if the bytes are
 * damaged.
 */
bool
ak_secret_hash_is_affordable(const char *stored, size_t stored_size)
{
	AkHashForm	hash;

	load_hash(stored, stored_size, &hash);
	return is_affordable(&hash);
}

/*
 * Whether ak_secret_hash_verify() computes an expensive hash for a claim.  Raises
 * XX001 if the bytes are damaged.
 */
bool
ak_secret_hash_takes_long(const char *stored, size_t stored_size,
						  const AkSecretClaim *claim)
{
	AkHashForm	hash;

	load_hash(stored, stored_size, &hash);
	return ak_hash_form_cost(&hash) > 0 && is_affordable(&hash) &&
		!claim->is_none;
}

/*
 * A hash that costs more than a decision may is not computed, nor is any for what
 * is no secret.
 */
static AkVerdict
verify_argon2id(const AkHashForm *hash, const AkSecretClaim *claim)
{
	char		text[AK_ARGON2ID_TEXT_SIZE] = {0};
	void	   *memory;

	if (!is_affordable(hash) || claim->is_none)
		return AK_SECRET_DIFFERS;
	memcpy(text, hash->digest, hash->digest_size);
	/* libsodium says the same of another secret and of a lack of memory. */
	memory = palloc_extended((Size) ak_hash_form_memory(hash) * 1024,
							 MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (memory == NULL)
		return AK_SECRET_LACKS_MEMORY;
	pfree(memory);
	return ak_crypto_argon2id_verify(text, claim->secret, claim->secret_size) ?
		AK_SECRET_IS_OUTDATED : AK_SECRET_DIFFERS;
}

/*
 * Checks a claim against the stored bytes of one of the key's hashes, in a
 * time that depends only on the algorithm, the pepper and the sizes.  Raises
 * XX001 if the hash is damaged.  The bytes need no alignment.
 */
AkVerdict
ak_secret_hash_verify(const char *stored, size_t stored_size,
					  const AkSecretClaim *claim)
{
	AkHashForm	hash;
	AkVerdict	verdict = AK_SECRET_DIFFERS;
	uint8		digest[AK_SHA512_SIZE];

	load_hash(stored, stored_size, &hash);
	switch (hash.algorithm)
	{
		case AK_BLAKE2B:
			verdict = verify_blake2b(&hash, claim);
			break;
		case AK_SHA256:
			ak_crypto_sha256(digest, claim->secret, claim->secret_size);
			verdict = compare(digest, &hash, AK_SECRET_IS_OUTDATED);
			break;
		case AK_SHA512:
			ak_crypto_sha512(digest, claim->secret, claim->secret_size);
			verdict = compare(digest, &hash, AK_SECRET_IS_OUTDATED);
			break;
		case AK_ARGON2ID:
			verdict = verify_argon2id(&hash, claim);
			break;
	}
	return claim->is_none ? AK_SECRET_DIFFERS : verdict;
}

/* Does the remaining work of a check, for a key that does not exist. */
void
ak_secret_hash_verify_nothing(const AkSecretClaim *claim)
{
	uint8		bytes[AK_NEW_HASH_MAX];
	uint8		digest[AK_BLAKE2B_SIZE] = {0};
	AkHashForm	hash = hash_claim(claim);

	hash.digest = digest;
	ak_hash_form_store(&hash, bytes);
	(void) ak_secret_hash_verify((const char *) bytes, ak_hash_form_size(&hash),
								 claim);
}

Datum
apikeys_verify(PG_FUNCTION_ARGS)
{
	struct varlena *hash = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	text	   *public_key = PG_GETARG_TEXT_PP(1);
	text	   *secret = PG_GETARG_TEXT_PP(2);
	AkSecretClaim claim;
	AkVerdict	verdict;

	ak_secret_claim_init(&claim,
						 VARDATA_ANY(public_key), VARSIZE_ANY_EXHDR(public_key),
						 VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret));
	verdict = ak_secret_hash_verify(VARDATA_ANY(hash),
									VARSIZE_ANY_EXHDR(hash), &claim);
	PG_RETURN_BOOL(verdict == AK_SECRET_MATCHES ||
				   verdict == AK_SECRET_IS_OUTDATED);
}

/* --- The parts of a hash ------------------------------------------------- */

Datum
apikeys_algorithm(PG_FUNCTION_ARGS)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	AkHashForm	hash;

	load_hash(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored), &hash);
	PG_RETURN_TEXT_P(cstring_to_text(ak_hash_form_algorithm(&hash)));
}

Datum
apikeys_pepper(PG_FUNCTION_ARGS)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	AkHashForm	hash;

	load_hash(VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored), &hash);
	if (hash.algorithm != AK_BLAKE2B)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(hash.pepper_id,
											  hash.pepper_id_size));
}

Datum
apikeys_is_affordable(PG_FUNCTION_ARGS)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));

	PG_RETURN_BOOL(ak_secret_hash_is_affordable(VARDATA_ANY(stored),
												VARSIZE_ANY_EXHDR(stored)));
}

/* --- Text and binary form ------------------------------------------------ */

Datum
apikeys_is_secret_hash(PG_FUNCTION_ARGS)
{
	uint8		buffer[AK_SHA512_SIZE];
	AkHashForm	hash;

	PG_RETURN_BOOL(ak_hash_form_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)),
									  &hash, buffer) == AK_HASH_OK);
}

Datum
apikeys_secret_hash_in(PG_FUNCTION_ARGS)
{
	uint8		buffer[AK_SHA512_SIZE];
	AkHashForm	hash;
	AkHashError error = ak_hash_form_parse(PG_GETARG_CSTRING(0), &hash,
										   buffer);

	if (error == AK_HASH_TOO_COSTLY)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "apikeys.secret_hash"),
				 errdetail("An argon2id hash takes at most %d kB of memory (m), %d kB of memory times passes (m times t) and %d lanes (p).",
						   AK_ARGON2ID_MAX_MEMORY_KIB, AK_ARGON2ID_MAX_COST_KIB,
						   AK_ARGON2ID_MAX_LANES),
				 ak_errid("invalid_secret_hash"),
				 errhidestmt(true),
				 errhidecontext(true)));
	if (error != AK_HASH_OK)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "apikeys.secret_hash"),
				 errdetail("The value is not shown, because it may be a secret."),
				 errhint("A hash is written blake2b$<pepper id>$<hex>, sha256$$<hex>, sha512$$<hex> or $argon2id$v=19$m=<kB>,t=<passes>,p=<lanes>$<salt>$<hash>."),
				 ak_errid("invalid_secret_hash"),
				 errhidestmt(true),
				 errhidecontext(true)));
	PG_RETURN_POINTER(store_hash(&hash));
}

/*
 * Returns the text form of stored bytes; palloc'd.  Raises XX001 if they are
 * damaged.
 */
char *
ak_secret_hash_format(const char *stored, size_t stored_size)
{
	AkHashForm	hash;
	char	   *text = palloc(AK_HASH_TEXT_SIZE);

	load_hash(stored, stored_size, &hash);
	(void) ak_hash_form_print(&hash, text);
	return text;
}

Datum
apikeys_secret_hash_out(PG_FUNCTION_ARGS)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));

	PG_RETURN_CSTRING(ak_secret_hash_format(VARDATA_ANY(stored),
											VARSIZE_ANY_EXHDR(stored)));
}

/* The binary form is the stored one. */
Datum
apikeys_secret_hash_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int			size = message->len - message->cursor;
	AkHashForm	hash;

	if (!ak_hash_form_load((const uint8 *) pq_getmsgbytes(message, size), size,
						   &hash))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type %s",
						"apikeys.secret_hash"),
				 ak_errid("invalid_secret_hash")));
	PG_RETURN_POINTER(store_hash(&hash));
}

Datum
apikeys_secret_hash_send(PG_FUNCTION_ARGS)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendbytes(&message, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored));
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}
