/*
 * type_secret_hash.c
 *	  The SQL face of type apikeys.secret_hash.
 *
 * A stored hash is one byte that names the algorithm, and then
 *		blake2b		the length of the pepper id (1 byte), the id, the digest
 *		sha256,
 *		sha512		the digest
 *		argon2id	the string as it was given
 *
 * No error of this file quotes its input: it may be a secret in clear text.
 */
#include "postgres.h"

#include "compat.h"
#include "crypto.h"
#include "type_secret_hash.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"

/*
 * What an imported argon2id hash may cost to check, so that it is no way to
 * stall the server.
 */
#define ARGON2ID_MAX_MEMORY_KIB		262144
#define ARGON2ID_MAX_PASSES			16
#define ARGON2ID_MAX_LANES			16

typedef enum Algorithm
{
	BLAKE2B = 1,
	SHA256,
	SHA512,
	ARGON2ID
} Algorithm;

/* A hash taken apart; all pointers are into the stored value. */
typedef struct SecretHash
{
	Algorithm	algorithm;
	const char *pepper_id;		/* blake2b only */
	size_t		pepper_id_size;
	const uint8 *digest;		/* or the argon2id string */
	size_t		digest_size;
} SecretHash;

static const struct
{
	Algorithm	algorithm;
	const char *name;
	size_t		digest_size;
}			digests[] = {
	{BLAKE2B, "blake2b", AK_BLAKE2B_SIZE},
	{SHA256, "sha256", AK_SHA256_SIZE},
	{SHA512, "sha512", AK_SHA512_SIZE},
};

PG_FUNCTION_INFO_V1(apikeys_is_secret_hash);
PG_FUNCTION_INFO_V1(apikeys_secret_hash_in);
PG_FUNCTION_INFO_V1(apikeys_secret_hash_out);
PG_FUNCTION_INFO_V1(apikeys_secret_hash_recv);
PG_FUNCTION_INFO_V1(apikeys_secret_hash_send);
PG_FUNCTION_INFO_V1(apikeys_verify);
PG_FUNCTION_INFO_V1(apikeys_algorithm);
PG_FUNCTION_INFO_V1(apikeys_pepper);

/* --- Stored form ---------------------------------------------------------- */

static size_t
get_stored_size(const SecretHash *hash)
{
	return 1 + (hash->algorithm == BLAKE2B ? 1 + hash->pepper_id_size : 0) +
		hash->digest_size;
}

static void
put_bytes(const SecretHash *hash, uint8 *bytes)
{
	*bytes++ = hash->algorithm;
	if (hash->algorithm == BLAKE2B)
	{
		*bytes++ = hash->pepper_id_size;
		memcpy(bytes, hash->pepper_id, hash->pepper_id_size);
		bytes += hash->pepper_id_size;
	}
	memcpy(bytes, hash->digest, hash->digest_size);
}

static struct varlena *
store_hash(const SecretHash *hash)
{
	size_t		size = VARHDRSZ + get_stored_size(hash);
	struct varlena *stored = palloc(size);

	SET_VARSIZE(stored, size);
	put_bytes(hash, (uint8 *) VARDATA(stored));
	return stored;
}

/* Reads "name=number" and a terminator at *text; false if it is not there. */
static bool
parse_parameter(const char **text, const char *end, const char *name,
				char terminator, unsigned long max)
{
	size_t		name_size = strlen(name);
	unsigned long value = 0;
	const char *digits;

	if ((size_t) (end - *text) < name_size ||
		memcmp(*text, name, name_size) != 0)
		return false;
	digits = *text += name_size;
	while (*text < end && **text >= '0' && **text <= '9' && value <= max)
		value = value * 10 + (*(*text)++ - '0');
	if (*text == digits || *digits == '0' || value > max)
		return false;
	return *text < end && *(*text)++ == terminator;
}

/* Reads base64 digits up to a dollar sign, or the end of the text. */
static bool
parse_base64(const char **text, const char *end, size_t min_digits)
{
	const char *start = *text;

	while (*text < end &&
		   ((**text >= '0' && **text <= '9') ||
			(**text >= 'A' && **text <= 'Z') ||
			(**text >= 'a' && **text <= 'z') ||
			**text == '+' || **text == '/'))
		(*text)++;
	return *text - start >= min_digits;
}

/*
 * Whether a text is an argon2id string (PHC string format) that is within
 * the limits above.
 */
static bool
argon2id_is_valid(const char *text, size_t size)
{
	const char *end = text + size;

	return size < AK_ARGON2ID_TEXT_SIZE &&
		parse_parameter(&text, end, "$argon2id$v=19$m=", ',',
						ARGON2ID_MAX_MEMORY_KIB) &&
		parse_parameter(&text, end, "t=", ',', ARGON2ID_MAX_PASSES) &&
		parse_parameter(&text, end, "p=", '$', ARGON2ID_MAX_LANES) &&
		parse_base64(&text, end, 11) &&
		text < end && *text++ == '$' &&
		parse_base64(&text, end, 22) && text == end;
}

/* Whether the parts fit each other: what input and damaged data may break. */
static bool
hash_is_valid(const SecretHash *hash)
{
	if (hash->algorithm == ARGON2ID)
		return argon2id_is_valid((const char *) hash->digest,
								 hash->digest_size);
	for (int i = 0; i < lengthof(digests); i++)
		if (digests[i].algorithm == hash->algorithm)
			return digests[i].digest_size == hash->digest_size &&
				(hash->algorithm != BLAKE2B ||
				 ak_pepper_id_is_valid(hash->pepper_id, hash->pepper_id_size));
	return false;
}

/* Takes stored bytes apart; false if they are no hash. */
static bool
load_bytes(const uint8 *bytes, size_t size, SecretHash *hash)
{
	memset(hash, 0, sizeof(*hash));
	if (size < 1)
		return false;
	hash->algorithm = *bytes++;
	size--;
	if (hash->algorithm == BLAKE2B)
	{
		if (size < 1 || size - 1 < bytes[0])
			return false;
		hash->pepper_id_size = *bytes++;
		hash->pepper_id = (const char *) bytes;
		bytes += hash->pepper_id_size;
		size -= 1 + hash->pepper_id_size;
	}
	hash->digest = bytes;
	hash->digest_size = size;
	return hash_is_valid(hash);
}

static void
load_hash(const uint8 *stored, size_t size, SecretHash *hash)
{
	if (!load_bytes(stored, size, hash))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("secret hash is damaged")));
}

/* --- Making and checking -------------------------------------------------- */

/*
 * Makes a claim that this is a secret of that key, and does the hashing that
 * nearly every check of it needs, whether or not there is such a key.  A secret
 * that is too long is not read.  The claim points to both.
 */
void
ak_secret_claim_init(AkSecretClaim *claim,
					 const char *public_key, size_t public_key_size,
					 const char *secret, size_t secret_size)
{
	claim->public_key = public_key;
	claim->public_key_size = public_key_size;
	claim->secret = secret;
	claim->secret_size = secret_size;
	claim->pepper = ak_pepper_current();
	if (secret_size <= AK_SECRET_MAX_SIZE)
		ak_crypto_blake2b(claim->blake2b,
						  claim->pepper ? claim->pepper->bytes : NULL,
						  public_key, public_key_size, secret, secret_size);
}

/* The hash that the secret of a claim has today. */
static SecretHash
hash_claim(const AkSecretClaim *claim)
{
	SecretHash	hash = {0};

	hash.algorithm = BLAKE2B;
	hash.pepper_id = claim->pepper ? claim->pepper->id : AK_NO_PEPPER;
	hash.pepper_id_size = strlen(hash.pepper_id);
	hash.digest = claim->blake2b;
	hash.digest_size = AK_BLAKE2B_SIZE;
	return hash;
}

/* The hash of a secret that is issued here; palloc'd. */
struct varlena *
ak_secret_hash_make(const char *public_key, size_t public_key_size,
					const char *secret, size_t secret_size)
{
	AkSecretClaim claim;
	SecretHash	hash;

	ak_secret_claim_init(&claim, public_key, public_key_size,
						 secret, secret_size);
	hash = hash_claim(&claim);
	return store_hash(&hash);
}

/*
 * Puts the bytes of the hash that the secret of a claim would have now into
 * renewed[], AK_NEW_HASH_MAX at most, and returns how many they are.
 */
size_t
ak_secret_hash_renew(const AkSecretClaim *claim, uint8 *renewed)
{
	SecretHash	hash = hash_claim(claim);

	put_bytes(&hash, renewed);
	return get_stored_size(&hash);
}

/* What equal digests mean is the caller's to say. */
static AkVerdict
compare(const void *digest, const SecretHash *hash, AkVerdict if_equal)
{
	return ak_crypto_equal(digest, hash->digest, hash->digest_size) ?
		if_equal : AK_SECRET_DIFFERS;
}

/* The pepper of a blake2b hash, NULL if it has none; false if it is missing. */
static bool
find_pepper(const SecretHash *hash, const AkPepper **pepper)
{
	*pepper = NULL;
	if (hash->pepper_id_size == strlen(AK_NO_PEPPER) &&
		memcmp(hash->pepper_id, AK_NO_PEPPER, hash->pepper_id_size) == 0)
		return true;
	*pepper = ak_pepper_find(hash->pepper_id, hash->pepper_id_size);
	return *pepper != NULL;
}

static AkVerdict
verify_blake2b(const SecretHash *hash, const AkSecretClaim *claim)
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

/* Whether a secret can be compared with a hash: not if its pepper is missing. */
bool
ak_secret_hash_can_verify(const char *stored, size_t stored_size)
{
	SecretHash	hash;
	const AkPepper *pepper;

	load_hash((const uint8 *) stored, stored_size, &hash);
	return hash.algorithm != BLAKE2B || find_pepper(&hash, &pepper);
}

static bool
verify_argon2id(const SecretHash *hash, const char *secret, size_t secret_size)
{
	char		text[AK_ARGON2ID_TEXT_SIZE] = {0};

	memcpy(text, hash->digest, hash->digest_size);
	return ak_crypto_argon2id_verify(text, secret, secret_size);
}

/*
 * Whether what is claimed is so, as the stored bytes of a hash of the key tell;
 * in a time that depends on the algorithm, the pepper and the sizes alone.
 * Raises XX001 if the hash is damaged.  The bytes need no alignment.
 */
AkVerdict
ak_secret_hash_verify(const char *stored, size_t stored_size,
					  const AkSecretClaim *claim)
{
	SecretHash	hash;
	uint8		digest[AK_SHA512_SIZE];

	load_hash((const uint8 *) stored, stored_size, &hash);
	if (claim->secret_size > AK_SECRET_MAX_SIZE)
		return AK_SECRET_DIFFERS;
	switch (hash.algorithm)
	{
		case BLAKE2B:
			return verify_blake2b(&hash, claim);
		case SHA256:
			ak_crypto_sha256(digest, claim->secret, claim->secret_size);
			return compare(digest, &hash, AK_SECRET_IS_OUTDATED);
		case SHA512:
			ak_crypto_sha512(digest, claim->secret, claim->secret_size);
			return compare(digest, &hash, AK_SECRET_IS_OUTDATED);
		case ARGON2ID:
			if (verify_argon2id(&hash, claim->secret, claim->secret_size))
				return AK_SECRET_IS_OUTDATED;
	}
	return AK_SECRET_DIFFERS;
}

/* The rest of the work of a check, for a key that does not exist. */
void
ak_secret_hash_verify_nothing(const AkSecretClaim *claim)
{
	uint8		bytes[AK_NEW_HASH_MAX];
	uint8		digest[AK_BLAKE2B_SIZE] = {0};
	SecretHash	hash = hash_claim(claim);

	hash.digest = digest;
	put_bytes(&hash, bytes);
	(void) ak_secret_hash_verify((const char *) bytes, get_stored_size(&hash),
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

/* --- What a hash is made of ----------------------------------------------- */

Datum
apikeys_algorithm(PG_FUNCTION_ARGS)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	SecretHash	hash;

	load_hash((const uint8 *) VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored),
			  &hash);
	PG_RETURN_TEXT_P(cstring_to_text(hash.algorithm == ARGON2ID ? "argon2id" :
									 digests[hash.algorithm - BLAKE2B].name));
}

Datum
apikeys_pepper(PG_FUNCTION_ARGS)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	SecretHash	hash;

	load_hash((const uint8 *) VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored),
			  &hash);
	if (hash.algorithm != BLAKE2B)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(hash.pepper_id,
											  hash.pepper_id_size));
}

/* --- Text and binary form ------------------------------------------------- */

/* Reads algorithm$pepper-id$hex; the digest goes to buffer. */
static bool
parse_digest(const char *text, SecretHash *hash, uint8 *buffer)
{
	for (int i = 0; i < lengthof(digests); i++)
	{
		size_t		name_size = strlen(digests[i].name);
		const char *dollar;

		if (strncmp(text, digests[i].name, name_size) != 0 ||
			text[name_size] != '$')
			continue;
		hash->algorithm = digests[i].algorithm;
		hash->pepper_id = text + name_size + 1;
		dollar = strchr(hash->pepper_id, '$');
		if (dollar == NULL)
			return false;
		hash->pepper_id_size = dollar - hash->pepper_id;
		if (hash->algorithm != BLAKE2B && hash->pepper_id_size != 0)
			return false;
		hash->digest = buffer;
		hash->digest_size = digests[i].digest_size;
		return ak_crypto_hex_decode(dollar + 1, strlen(dollar + 1), buffer,
									hash->digest_size);
	}
	return false;
}

/* Reads the text form of a hash, which may point to the text or the buffer. */
static bool
parse_hash(const char *text, SecretHash *hash, uint8 *buffer)
{
	memset(hash, 0, sizeof(*hash));
	if (text[0] == '$')
	{
		hash->algorithm = ARGON2ID;
		hash->digest = (const uint8 *) text;
		hash->digest_size = strnlen(text, AK_ARGON2ID_TEXT_SIZE);
	}
	else if (!parse_digest(text, hash, buffer))
		return false;
	return hash_is_valid(hash);
}

Datum
apikeys_is_secret_hash(PG_FUNCTION_ARGS)
{
	uint8		buffer[AK_SHA512_SIZE];
	SecretHash	hash;

	PG_RETURN_BOOL(parse_hash(text_to_cstring(PG_GETARG_TEXT_PP(0)), &hash,
							  buffer));
}

Datum
apikeys_secret_hash_in(PG_FUNCTION_ARGS)
{
	uint8		buffer[AK_SHA512_SIZE];
	SecretHash	hash;

	if (!parse_hash(PG_GETARG_CSTRING(0), &hash, buffer))
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "apikeys.secret_hash"),
				 errdetail("What was given is not quoted, as it may be a secret."),
				 errhint("A hash is written blake2b$<pepper id>$<hex>, sha256$$<hex>, sha512$$<hex> or $argon2id$v=19$m=<up to %d>,t=<up to %d>,p=<up to %d>$<salt>$<hash>.",
						 ARGON2ID_MAX_MEMORY_KIB, ARGON2ID_MAX_PASSES,
						 ARGON2ID_MAX_LANES),
				 errhidestmt(true),
				 errhidecontext(true)));
	PG_RETURN_POINTER(store_hash(&hash));
}

/* The text form of stored bytes; palloc'd.  Raises XX001 if they are damaged. */
char *
ak_secret_hash_format(const char *stored, size_t stored_size)
{
	SecretHash	hash;
	StringInfoData text;

	load_hash((const uint8 *) stored, stored_size, &hash);
	initStringInfo(&text);
	if (hash.algorithm == ARGON2ID)
		appendBinaryStringInfo(&text, (const char *) hash.digest,
							   hash.digest_size);
	else
	{
		appendStringInfo(&text, "%s$%.*s$",
						 digests[hash.algorithm - BLAKE2B].name,
						 (int) hash.pepper_id_size,
						 hash.pepper_id ? hash.pepper_id : "");
		for (size_t i = 0; i < hash.digest_size; i++)
			appendStringInfo(&text, "%02x", hash.digest[i]);
	}
	return text.data;
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
	SecretHash	hash;

	if (!load_bytes((const uint8 *) pq_getmsgbytes(message, size), size,
					&hash))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary representation of type %s",
						"apikeys.secret_hash")));
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
