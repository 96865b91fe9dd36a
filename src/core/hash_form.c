/*
 * hash_form.c
 *	  The text of pepper files, and the forms of hashes.
 */
#include <stdio.h>
#include <string.h>

#include "core/ascii.h"
#include "core/crypto.h"

/* --- Forms of hashes ----------------------------------------------------- */

/*
 * The forms that the hash of a secret has: as it is stored, and as text.
 *
 * The stored form is one byte that names the algorithm, and then
 *		blake2b		the length of the pepper id (1 byte), the id, the digest
 *		sha256,
 *		sha512		the digest
 *		argon2id	the string as it was given
 *
 * Knows no PostgreSQL, allocates nothing and raises nothing.
 */

/* In the order of their numbers. */
static const struct
{
	AkHashAlgorithm algorithm;
	const char *name;
	size_t		digest_size;
}			digests[] = {
	{AK_BLAKE2B, "blake2b", AK_BLAKE2B_SIZE},
	{AK_SHA256, "sha256", AK_SHA256_SIZE},
	{AK_SHA512, "sha512", AK_SHA512_SIZE},
};

#define DIGEST_COUNT	((int) (sizeof(digests) / sizeof(digests[0])))

/* Above all limits, and its square fits into 64 bits. */
#define PARAMETER_MAX	UINT32_MAX

/* --- Validation ---------------------------------------------------------- */

/*
 * Reads "name=number" and a terminator at *text; returns false if it is not
 * there.  The number is at least 1; numbers above PARAMETER_MAX are read as
 * PARAMETER_MAX.
 */
static bool
parse_parameter(const char **text, const char *end, const char *name,
				char terminator, uint64_t *value)
{
	size_t		name_size = strlen(name);
	const char *digits;

	if ((size_t) (end - *text) < name_size ||
		memcmp(*text, name, name_size) != 0)
		return false;
	digits = *text += name_size;
	*value = 0;
	for (; *text < end && **text >= '0' && **text <= '9'; (*text)++)
	{
		*value = *value * 10 + (uint64_t) (**text - '0');
		if (*value > PARAMETER_MAX)
			*value = PARAMETER_MAX;
	}
	if (*text == digits || *digits == '0')
		return false;
	return *text < end && *(*text)++ == terminator;
}

/* Reads base64 digits up to a dollar sign or the end of the text. */
static bool
parse_base64(const char **text, const char *end, size_t min_digits)
{
	const char *start = *text;

	while (*text < end &&
		   (ak_is_letter_or_digit(**text) || **text == '+' || **text == '/'))
		(*text)++;
	return (size_t) (*text - start) >= min_digits;
}

/*
 * Checks whether a text is an argon2id string (PHC string format) within the
 * limits of crypto.h; stores its memory, in KiB, and that times its passes.
 */
static AkHashError
parse_argon2id(const char *text, size_t size, uint64_t *memory, uint64_t *cost)
{
	const char *end = text + size;
	uint64_t	passes;
	uint64_t	lanes;

	if (size >= AK_ARGON2ID_TEXT_SIZE ||
		!parse_parameter(&text, end, "$argon2id$v=19$m=", ',', memory) ||
		!parse_parameter(&text, end, "t=", ',', &passes) ||
		!parse_parameter(&text, end, "p=", '$', &lanes) ||
		!parse_base64(&text, end, 11) ||
		text == end || *text++ != '$' ||
		!parse_base64(&text, end, 22) || text != end)
		return AK_HASH_MALFORMED;
	*cost = *memory * passes;
	return *memory <= AK_ARGON2ID_MAX_MEMORY_KIB &&
		*cost <= AK_ARGON2ID_MAX_COST_KIB && lanes <= AK_ARGON2ID_MAX_LANES ?
		AK_HASH_OK : AK_HASH_TOO_COSTLY;
}

/*
 * Checks whether the parts are consistent; input and damaged data may not be.
 */
static AkHashError
check_hash(const AkHashForm *hash)
{
	uint64_t	memory;
	uint64_t	cost;

	if (hash->algorithm == AK_ARGON2ID)
		return parse_argon2id((const char *) hash->digest, hash->digest_size,
							  &memory, &cost);
	for (int i = 0; i < DIGEST_COUNT; i++)
		if (digests[i].algorithm == hash->algorithm &&
			digests[i].digest_size == hash->digest_size &&
			(hash->algorithm != AK_BLAKE2B ||
			 ak_pepper_id_is_valid(hash->pepper_id, hash->pepper_id_size)))
			return AK_HASH_OK;
	return AK_HASH_MALFORMED;
}

/* --- The stored form ----------------------------------------------------- */

/* Splits stored bytes into parts; returns false if they are not a hash. */
bool
ak_hash_form_load(const uint8_t *bytes, size_t size, AkHashForm *hash)
{
	memset(hash, 0, sizeof(*hash));
	if (size < 1)
		return false;
	hash->algorithm = *bytes++;
	size--;
	if (hash->algorithm == AK_BLAKE2B)
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
	return check_hash(hash) == AK_HASH_OK;
}

/* Returns the size of the stored form in bytes, at most AK_STORED_HASH_MAX. */
size_t
ak_hash_form_size(const AkHashForm *hash)
{
	return 1 + (hash->algorithm == AK_BLAKE2B ? 1 + hash->pepper_id_size : 0) +
		hash->digest_size;
}

/* Writes the stored form: ak_hash_form_size() bytes. */
void
ak_hash_form_store(const AkHashForm *hash, uint8_t *bytes)
{
	*bytes++ = hash->algorithm;
	if (hash->algorithm == AK_BLAKE2B)
	{
		*bytes++ = hash->pepper_id_size;
		memcpy(bytes, hash->pepper_id, hash->pepper_id_size);
		bytes += hash->pepper_id_size;
	}
	memcpy(bytes, hash->digest, hash->digest_size);
}

/* --- The text form ------------------------------------------------------- */

/* Reads algorithm$pepper-id$hex; stores the digest in buffer. */
static bool
parse_digest(const char *text, AkHashForm *hash, uint8_t *buffer)
{
	for (int i = 0; i < DIGEST_COUNT; i++)
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
		if (hash->algorithm != AK_BLAKE2B && hash->pepper_id_size != 0)
			return false;
		hash->digest = buffer;
		hash->digest_size = digests[i].digest_size;
		return ak_crypto_hex_decode(dollar + 1, strlen(dollar + 1), buffer,
									hash->digest_size);
	}
	return false;
}

/*
 * Reads the text form of a hash, whose parts then point into the text or the
 * buffer.  Returns the fault if it is malformed or exceeds a limit.
 */
AkHashError
ak_hash_form_parse(const char *text, AkHashForm *hash,
				   uint8_t buffer[AK_SHA512_SIZE])
{
	memset(hash, 0, sizeof(*hash));
	if (text[0] == '$')
	{
		hash->algorithm = AK_ARGON2ID;
		hash->digest = (const uint8_t *) text;
		hash->digest_size = strnlen(text, AK_ARGON2ID_TEXT_SIZE);
	}
	else if (!parse_digest(text, hash, buffer))
		return AK_HASH_MALFORMED;
	return check_hash(hash);
}

/* Writes the text form with its terminating zero, and returns its length. */
size_t
ak_hash_form_print(const AkHashForm *hash, char text[AK_HASH_TEXT_SIZE])
{
	size_t		length;

	if (hash->algorithm == AK_ARGON2ID)
	{
		memcpy(text, hash->digest, hash->digest_size);
		text[hash->digest_size] = '\0';
		return hash->digest_size;
	}
	length = snprintf(text, AK_HASH_TEXT_SIZE, "%s$%.*s$",
					  ak_hash_form_algorithm(hash), (int) hash->pepper_id_size,
					  hash->pepper_id ? hash->pepper_id : "");
	for (size_t i = 0; i < hash->digest_size; i++)
		length += snprintf(text + length, AK_HASH_TEXT_SIZE - length, "%02x",
						   hash->digest[i]);
	return length;
}

/*
 * Returns the cost of computing an argon2id hash: its memory in KiB times its
 * passes, at most AK_ARGON2ID_MAX_COST_KIB; 0 for any other hash.
 */
uint32_t
ak_hash_form_cost(const AkHashForm *hash)
{
	uint64_t	memory;
	uint64_t	cost = 0;

	if (hash->algorithm == AK_ARGON2ID)
		(void) parse_argon2id((const char *) hash->digest, hash->digest_size,
							  &memory, &cost);
	return (uint32_t) cost;
}

/* Returns the memory, in KiB, that computing an argon2id hash takes; 0 for others. */
uint32_t
ak_hash_form_memory(const AkHashForm *hash)
{
	uint64_t	memory = 0;
	uint64_t	cost = 0;

	if (hash->algorithm == AK_ARGON2ID)
		(void) parse_argon2id((const char *) hash->digest, hash->digest_size,
							  &memory, &cost);
	return (uint32_t) memory;
}

/* Returns the name of the algorithm. */
const char *
ak_hash_form_algorithm(const AkHashForm *hash)
{
	return hash->algorithm == AK_ARGON2ID ? "argon2id" :
		digests[hash->algorithm - AK_BLAKE2B].name;
}

/* --- Pepper files -------------------------------------------------------- */

/*
 * The text of a pepper file: one line "id:64 hex digits" for each pepper,
 * the current one first.  Empty lines and lines that begin with # are
 * ignored.
 *
 * A leaf: no PostgreSQL, no allocation, no errors raised.  A fault never
 * quotes the file.
 */

/*
 * Checks whether a text is a pepper id: 1 to 32 letters, digits and characters
 * of _-. (AK_NO_PEPPER is one.)
 */
bool
ak_pepper_id_is_valid(const char *id, size_t size)
{
	if (size == 0 || size > AK_PEPPER_ID_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		if (!ak_is_letter_or_digit(id[i]) &&
			id[i] != '_' && id[i] != '-' && id[i] != '.')
			return false;
	return true;
}

/* Returns the pepper with this id; NULL if the set has none. */
const AkPepper *
ak_pepper_set_find(const AkPepperSet *set, const char *id, size_t size)
{
	for (int i = 0; i < set->count; i++)
		if (strlen(set->peppers[i].id) == size &&
			memcmp(set->peppers[i].id, id, size) == 0)
			return &set->peppers[i];
	return NULL;
}

/* Adds the pepper of a line; returns the fault, or NULL. */
static const char *
add_line(const char *line, size_t size, AkPepperSet *set)
{
	const char *colon = memchr(line, ':', size);
	size_t		id_size = colon ? (size_t) (colon - line) : 0;
	AkPepper   *pepper = &set->peppers[set->count];

	if (!ak_pepper_id_is_valid(line, id_size) ||
		!ak_crypto_hex_decode(colon + 1, size - id_size - 1,
							  pepper->bytes, AK_PEPPER_SIZE))
		return "is not written id:64 hex digits";
	if (id_size == strlen(AK_NO_PEPPER) &&
		memcmp(line, AK_NO_PEPPER, id_size) == 0)
		return "has the id that stands for no pepper";
	if (ak_pepper_set_find(set, line, id_size))
		return "has an id that another line has";
	for (int i = 0; i < set->count; i++)
		if (ak_crypto_equal(set->peppers[i].bytes, pepper->bytes,
							AK_PEPPER_SIZE))
			return "has a pepper that another line has";
	memcpy(pepper->id, line, id_size);
	pepper->id[id_size] = '\0';
	set->count++;
	return NULL;
}

/*
 * Reads the peppers of a file's text into *set; returns false, with *fault, if
 * the text is malformed.  The caller wipes *set in every case.
 */
bool
ak_pepper_set_parse(const char *text, size_t size, AkPepperSet *set,
					AkPepperFault *fault)
{
	const char *end = text + size;

	memset(set, 0, sizeof(*set));
	for (fault->line = 1; text < end; fault->line++)
	{
		const char *newline = memchr(text, '\n', end - text);
		size_t		length = (newline ? newline : end) - text;
		size_t		trimmed = length;

		while (trimmed > 0 && (ak_is_blank(text[trimmed - 1]) ||
							   text[trimmed - 1] == '\r'))
			trimmed--;
		if (trimmed > 0 && text[0] != '#')
		{
			fault->what = set->count == AK_PEPPERS_MAX ?
				"is one too many" : add_line(text, trimmed, set);
			if (fault->what)
				return false;
		}
		text += length + (newline ? 1 : 0);
	}
	fault->line = 1;
	fault->what = "is missing: there is no pepper in the file";
	return set->count > 0;
}
