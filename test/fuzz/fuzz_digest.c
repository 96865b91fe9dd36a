/*
 * fuzz_digest.c
 *	  Fuzz src/core/digest.c with values of header Authorization.
 */
#include "core/crypto.h"
#include "fuzz.h"

/* A hash that reads each byte. */
static bool
hash(AkDigestAlgorithm algorithm, const AkDigestText *pieces, int count,
	 uint8_t *result)
{
	memset(result, 0, ak_digest_size(algorithm));
	for (int i = 0; i < count; i++)
		for (size_t j = 0; j < pieces[i].size; j++)
			result[j % ak_digest_size(algorithm)] ^= (uint8_t) pieces[i].data[j];
	return true;
}

/* It is not empty, lies in the value, and has nothing that is quoted otherwise. */
static void
check_text(AkDigestText text, const char *value, size_t length)
{
	REQUIRE(text.size > 0);
	REQUIRE(text.data > value && text.data + text.size <= value + length);
	for (size_t i = 0; i < text.size; i++)
		REQUIRE((unsigned char) text.data[i] >= ' ' && text.data[i] != '"' &&
				text.data[i] != '\\' && text.data[i] != 127);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *value = (const char *) data;
	AkDigest	digest;
	uint8_t		secret[AK_DIGEST_MAX_SIZE];
	uint8_t		response[AK_DIGEST_MAX_SIZE];

	if (!ak_crypto_init())
		return 0;
	(void) ak_digest_realm_is_valid(value, size);
	if (!ak_digest_parse(value, size, &digest))
		return 0;
	check_text(digest.username, value, size);
	check_text(digest.realm, value, size);
	check_text(digest.nonce, value, size);
	check_text(digest.cnonce, value, size);
	check_text(digest.nc, value, size);
	REQUIRE(digest.nc.size == 8 && digest.count > 0);
	REQUIRE(digest.algorithm == AK_DIGEST_MD5 ||
			digest.algorithm == AK_DIGEST_SHA256);
	REQUIRE(ak_digest_secret(hash, digest.algorithm, digest.username,
							 digest.realm, digest.username, secret));
	REQUIRE(ak_digest_respond(hash, &digest, digest.username, digest.nonce,
							  secret, response));
	return 0;
}
