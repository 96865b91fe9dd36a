/*
 * fuzz_hash_form.c
 *	  Fuzz src/core/hash_form.c.  An input is a text form, if it begins with T, or
 *	  stored bytes.
 */
#include "fuzz.h"
#include "core/crypto.h"

/* A hash is the same in either form, and stays within what is promised. */
static void
check_hash(const AkHashForm *hash)
{
	uint8_t		bytes[AK_STORED_HASH_MAX];
	uint8_t		again_bytes[AK_STORED_HASH_MAX];
	uint8_t		buffer[AK_SHA512_SIZE];
	char		text[AK_HASH_TEXT_SIZE];
	AkHashForm	again;
	size_t		size = ak_hash_form_size(hash);
	size_t		length;

	REQUIRE(size > 1 && size <= sizeof(bytes));
	ak_hash_form_store(hash, bytes);
	length = ak_hash_form_print(hash, text);
	REQUIRE(length < sizeof(text) && strlen(text) == length);
	REQUIRE(ak_hash_form_load(bytes, size, &again));
	REQUIRE(ak_hash_form_parse(text, &again, buffer) == AK_HASH_OK);
	REQUIRE(ak_hash_form_size(&again) == size);
	ak_hash_form_store(&again, again_bytes);
	REQUIRE(memcmp(bytes, again_bytes, size) == 0);
	REQUIRE(ak_hash_form_algorithm(&again) == ak_hash_form_algorithm(hash));
	REQUIRE(ak_hash_form_cost(hash) <= AK_ARGON2ID_MAX_COST_KIB);
	REQUIRE((ak_hash_form_cost(hash) > 0) == (hash->algorithm == AK_ARGON2ID));
	if (hash->algorithm == AK_BLAKE2B)
		REQUIRE(ak_pepper_id_is_valid(hash->pepper_id, hash->pepper_id_size));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t		buffer[AK_SHA512_SIZE];
	AkHashForm	hash;
	char	   *text;

	if (!ak_crypto_init())
		return 0;
	if (size > 0 && data[0] == 'T')
	{
		text = malloc(size);
		memcpy(text, data + 1, size - 1);
		text[size - 1] = '\0';
		if (ak_hash_form_parse(text, &hash, buffer) == AK_HASH_OK)
			check_hash(&hash);
		free(text);
	}
	else if (ak_hash_form_load(data, size, &hash))
		check_hash(&hash);
	return 0;
}
