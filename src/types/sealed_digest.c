/*
 * sealed_digest.c
 *	  What HTTP Digest needs of a secret, H(A1) by SHA-256 and by MD5, sealed
 *	  with a pepper.
 *
 * Unlike a hash that a secret is compared with, H(A1) itself answers challenges.
 * So it is never stored without a pepper.  The sealed bytes are a pepper's id with
 * its length, a nonce, and what XChaCha20-Poly1305 makes of the two; key, version
 * and realm are authenticated with them, so that they open nowhere else.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/crypto.h"
#include "types/types.h"

#include "common/cryptohash.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(apikeys_is_realm);
PG_FUNCTION_INFO_V1(apikeys_digest_pepper);
PG_FUNCTION_INFO_V1(apikeys_reseal_digest);

/* What the key is derived with from a pepper. */
#define KEY_CONTEXT		"apikeys HTTP Digest 1"

/* The hashes in clear; without MD5 where the server cannot compute it. */
#define BOTH_SIZE		(AK_DIGEST_SHA256_SIZE + AK_DIGEST_MD5_SIZE)

typedef struct Hashes
{
	uint8		bytes[BOTH_SIZE];	/* SHA-256, then MD5 */
	size_t		size;
} Hashes;

/* The parts of sealed bytes; pointers into them. */
typedef struct Parts
{
	const char *pepper_id;
	size_t		pepper_id_size;
	const uint8 *nonce;
	const uint8 *sealed;
	size_t		size;
} Parts;

/* --- Hashing ---------------------------------------------------------------- */

/* Hashes by PostgreSQL's functions: libsodium has no MD5. */
bool
ak_digest_hash(AkDigestAlgorithm algorithm, const AkDigestText *pieces,
			   int count, uint8_t *hash)
{
	pg_cryptohash_ctx *context =
		pg_cryptohash_create(algorithm == AK_DIGEST_MD5 ? PG_MD5 : PG_SHA256);
	bool		is_good = context && pg_cryptohash_init(context) == 0;

	for (int i = 0; is_good && i < count; i++)
		is_good = pg_cryptohash_update(context, (const uint8 *) pieces[i].data,
									   pieces[i].size) == 0;
	is_good = is_good &&
		pg_cryptohash_final(context, hash, ak_digest_size(algorithm)) == 0;
	pg_cryptohash_free(context);
	return is_good;
}

/* --- Sealing ---------------------------------------------------------------- */

static void
derive_key(const AkPepper *pepper, uint8 key[AK_XCHACHA20_KEY_SIZE])
{
	AkBlake2b	hash;

	ak_crypto_mac_begin(&hash, pepper->bytes, AK_XCHACHA20_KEY_SIZE);
	ak_crypto_blake2b_add(&hash, KEY_CONTEXT, strlen(KEY_CONTEXT));
	ak_crypto_mac_end(&hash, key, AK_XCHACHA20_KEY_SIZE);
}

/* Whose it is, as it is authenticated; palloc'd.  No text has a zero byte. */
static bytea *
describe(const AkDigestOwner *owner)
{
	size_t		key_size = VARSIZE_ANY_EXHDR(owner->public_key);
	size_t		realm_size = VARSIZE_ANY_EXHDR(owner->realm);
	size_t		size = key_size + 1 + sizeof(int32) + realm_size;
	bytea	   *about = palloc(VARHDRSZ + size);
	char	   *end = VARDATA(about);
	uint32		version = pg_hton32(owner->version);

	SET_VARSIZE(about, VARHDRSZ + size);
	memcpy(end, VARDATA_ANY(owner->public_key), key_size);
	end += key_size;
	*end++ = '\0';
	memcpy(end, &version, sizeof(version));
	memcpy(end + sizeof(version), VARDATA_ANY(owner->realm), realm_size);
	return about;
}

/* The pepper to seal with, before there is anything to wipe; raises 55000. */
static const AkPepper *
demand_pepper(void)
{
	const AkPepper *pepper = ak_pepper_demand();

	if (pepper == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("HTTP Digest needs a pepper"),
				 errdetail("What answers challenges is not stored without one."),
				 errhint("Set apikeys.pepper_file, or call apikeys.disable_digest for the key."),
				 ak_errid("pepper_required")));
	return pepper;
}

/* Returns what is sealed; palloc'd. */
static bytea *
seal(const AkDigestOwner *owner, const AkPepper *pepper, const Hashes *hashes)
{
	uint8		key[AK_XCHACHA20_KEY_SIZE];
	bytea	   *about = describe(owner);
	size_t		id_size = strlen(pepper->id);
	bytea	   *sealed;
	uint8	   *end;

	sealed = palloc(VARHDRSZ + 1 + id_size + AK_XCHACHA20_NONCE_SIZE +
					hashes->size + AK_AEAD_TAG_SIZE);
	end = (uint8 *) VARDATA(sealed);
	*end++ = (uint8) id_size;
	memcpy(end, pepper->id, id_size);
	end += id_size;
	ak_crypto_random_bytes(end, AK_XCHACHA20_NONCE_SIZE);
	derive_key(pepper, key);
	ak_crypto_seal(end + AK_XCHACHA20_NONCE_SIZE, hashes->bytes, hashes->size,
				   VARDATA(about), VARSIZE(about) - VARHDRSZ, end, key);
	ak_crypto_wipe(key, sizeof(key));
	end += AK_XCHACHA20_NONCE_SIZE + hashes->size + AK_AEAD_TAG_SIZE;
	SET_VARSIZE(sealed, end - (uint8 *) sealed);
	return sealed;
}

/*
 * What is stored of a new secret; palloc'd.  Raises 55000 if there is no pepper,
 * or this process cannot know it.
 */
bytea *
ak_sealed_digest_make(const AkDigestOwner *owner, const char *secret,
					  size_t secret_size)
{
	AkDigestText name = ak_digest_text(owner->public_key);
	AkDigestText realm = ak_digest_text(owner->realm);
	AkDigestText password = {secret, secret_size};
	const AkPepper *pepper = demand_pepper();
	Hashes		hashes = {.size = AK_DIGEST_SHA256_SIZE};
	bytea	   *sealed;

	if (!ak_digest_secret(ak_digest_hash, AK_DIGEST_SHA256, name, realm,
						  password, hashes.bytes))
		elog(ERROR, "could not compute SHA-256");
	if (ak_digest_secret(ak_digest_hash, AK_DIGEST_MD5, name, realm, password,
						 hashes.bytes + AK_DIGEST_SHA256_SIZE))
		hashes.size = BOTH_SIZE;
	sealed = seal(owner, pepper, &hashes);
	ak_crypto_wipe(&hashes, sizeof(hashes));
	return sealed;
}

/* --- Opening ---------------------------------------------------------------- */

static bool
find_parts(const bytea *sealed, Parts *parts)
{
	const uint8 *bytes = (const uint8 *) VARDATA_ANY(sealed);
	size_t		size = VARSIZE_ANY_EXHDR(sealed);

	if (size < 1 || size < (size_t) 1 + bytes[0] + AK_XCHACHA20_NONCE_SIZE)
		return false;
	parts->pepper_id = (const char *) bytes + 1;
	parts->pepper_id_size = bytes[0];
	parts->nonce = bytes + 1 + bytes[0];
	parts->sealed = parts->nonce + AK_XCHACHA20_NONCE_SIZE;
	parts->size = bytes + size - parts->sealed;
	return parts->size == AK_DIGEST_SHA256_SIZE + AK_AEAD_TAG_SIZE ||
		parts->size == BOTH_SIZE + AK_AEAD_TAG_SIZE;
}

static AkUnsealed
unseal(const AkDigestOwner *owner, const bytea *sealed, Hashes *hashes)
{
	const AkPepper *pepper;
	uint8		key[AK_XCHACHA20_KEY_SIZE];
	bytea	   *about = describe(owner);
	Parts		parts;
	bool		is_open;

	if (!find_parts(sealed, &parts))
		return AK_UNSEALED_NOT;
	pepper = ak_pepper_find(parts.pepper_id, parts.pepper_id_size);
	if (pepper == NULL)
		return AK_UNSEALED_PEPPER_UNKNOWN;
	derive_key(pepper, key);
	hashes->size = parts.size - AK_AEAD_TAG_SIZE;
	is_open = ak_crypto_open(hashes->bytes, parts.sealed, parts.size,
							 VARDATA(about), VARSIZE(about) - VARHDRSZ,
							 parts.nonce, key);
	ak_crypto_wipe(key, sizeof(key));
	return is_open ? AK_UNSEALED : AK_UNSEALED_NOT;
}

/*
 * Stores H(A1) of an algorithm, which the caller wipes; nothing unless the answer
 * is AK_UNSEALED.
 */
AkUnsealed
ak_sealed_digest_open(const AkDigestOwner *owner, const bytea *sealed,
					  AkDigestAlgorithm algorithm,
					  uint8 secret[AK_DIGEST_MAX_SIZE])
{
	Hashes		hashes;
	AkUnsealed	unsealed = unseal(owner, sealed, &hashes);

	if (unsealed == AK_UNSEALED && algorithm == AK_DIGEST_SHA256)
		memcpy(secret, hashes.bytes, AK_DIGEST_SHA256_SIZE);
	else if (unsealed == AK_UNSEALED && hashes.size == BOTH_SIZE)
		memcpy(secret, hashes.bytes + AK_DIGEST_SHA256_SIZE, AK_DIGEST_MD5_SIZE);
	else if (unsealed == AK_UNSEALED)
		unsealed = AK_UNSEALED_NOT;
	ak_crypto_wipe(&hashes, sizeof(hashes));
	return unsealed;
}

/*
 * Costs what it costs to open one, where there is none.  There is a current
 * pepper.
 */
void
ak_sealed_digest_open_nothing(const AkDigestOwner *owner)
{
	const AkPepper *pepper = ak_pepper_current();
	size_t		id_size = strlen(pepper->id);
	size_t		size = 1 + id_size + AK_XCHACHA20_NONCE_SIZE + BOTH_SIZE +
		AK_AEAD_TAG_SIZE;
	bytea	   *sealed = palloc0(VARHDRSZ + size);
	Hashes		hashes;

	SET_VARSIZE(sealed, VARHDRSZ + size);
	*VARDATA(sealed) = (char) id_size;
	memcpy(VARDATA(sealed) + 1, pepper->id, id_size);
	(void) unseal(owner, sealed, &hashes);
}

/* --- For SQL ---------------------------------------------------------------- */

Datum
apikeys_is_realm(PG_FUNCTION_ARGS)
{
	const text *realm = PG_GETARG_TEXT_PP(0);
	const char *bytes = VARDATA_ANY(realm);
	size_t		size = VARSIZE_ANY_EXHDR(realm);

	PG_RETURN_BOOL(ak_digest_realm_is_valid(bytes, size) &&
				   !ak_token_contains_secret(bytes, size));
}

/* digest_pepper(sealed): the id of its pepper; NULL if it is damaged. */
Datum
apikeys_digest_pepper(PG_FUNCTION_ARGS)
{
	Parts		parts;

	if (!find_parts(PG_GETARG_BYTEA_PP(0), &parts))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(parts.pepper_id,
											  parts.pepper_id_size));
}

/*
 * reseal_digest(sealed, public_key, version, realm): the same sealed with the
 * current pepper; NULL if it cannot be opened.  Raises 55000 without a pepper.
 */
Datum
apikeys_reseal_digest(PG_FUNCTION_ARGS)
{
	const AkDigestOwner owner = {
		.public_key = PG_GETARG_TEXT_PP(1),
		.version = PG_GETARG_INT32(2),
		.realm = PG_GETARG_TEXT_PP(3)
	};
	Hashes		hashes;
	bytea	   *resealed;

	if (unseal(&owner, PG_GETARG_BYTEA_PP(0), &hashes) != AK_UNSEALED)
		PG_RETURN_NULL();
	/* There is a pepper: it was unsealed with one. */
	resealed = seal(&owner, demand_pepper(), &hashes);
	ak_crypto_wipe(&hashes, sizeof(hashes));
	PG_RETURN_BYTEA_P(resealed);
}
