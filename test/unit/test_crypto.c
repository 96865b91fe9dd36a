/*
 * test_crypto.c
 *	  Unit tests of src/core/crypto.c: what is hashed, against other
 *	  implementations.  What is stored, or is compared by other processes, must
 *	  never change.
 */
#include "core/crypto.h"
#include "tap.h"

static bool
is_hex(const uint8_t *bytes, size_t size, const char *expected)
{
	uint8_t		decoded[AK_SHA512_SIZE];

	return ak_crypto_hex_decode(expected, strlen(expected), decoded, size) &&
		ak_crypto_equal(bytes, decoded, size);
}

/*
 * SipHash-2-4: the vector in the appendix of its paper, read as the machine's
 * number.
 */
static void
test_short_hash(void)
{
	uint8_t		seed[AK_SHORT_HASH_SEED_SIZE];
	uint8_t		message[15];
	uint64_t	hash;
	uint64_t	number;

	for (size_t i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t) i;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t) i;
	hash = ak_crypto_short_hash(seed, message, sizeof(message));
	memcpy(&number, "\xe5\x45\xbe\x49\x61\xca\x29\xa1", sizeof(number));
	CHECK(hash == number, "SipHash-2-4");
	seed[0] ^= 1;
	CHECK(hash != ak_crypto_short_hash(seed, message, sizeof(message)),
		  "of another seed");
}

/* The values are those of Python's hashlib, of b"key\0secret". */
static void
test_blake2b(void)
{
	uint8_t		pepper[AK_PEPPER_SIZE];
	uint8_t		digest[AK_BLAKE2B_SIZE];

	for (size_t i = 0; i < sizeof(pepper); i++)
		pepper[i] = (uint8_t) i;
	ak_crypto_blake2b(digest, NULL, "key", 3, "secret", 6);
	CHECK(is_hex(digest, sizeof(digest),
				 "a4e1c43606578f4722c848c5ebfdba61"
				 "3870bdcaad00fec3d92f7dbe1f39cc4c"), "without a pepper");
	ak_crypto_blake2b(digest, pepper, "key", 3, "secret", 6);
	CHECK(is_hex(digest, sizeof(digest),
				 "89864c00d5d1e42f4e857f1557c55d11"
				 "4a82e766e42de01dacb08520110d6b8f"), "with one");
	ak_crypto_blake2b(digest, pepper, "keys", 4, "ecret", 5);
	CHECK(!is_hex(digest, sizeof(digest),
				  "89864c00d5d1e42f4e857f1557c55d11"
				  "4a82e766e42de01dacb08520110d6b8f"),
		  "the border between key and secret counts");
}

int
main(void)
{
	CHECK(ak_crypto_init(), "libsodium");
	test_short_hash();
	test_blake2b();
	return tap_done();
}
