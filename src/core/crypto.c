/*
 * crypto.c
 *	  See crypto.h.
 */
#include "core/crypto.h"

#include <sodium.h>

_Static_assert(sizeof(AkBlake2b) == sizeof(crypto_generichash_state),
			   "AkBlake2b is as large as libsodium's state");

/*
 * Initializes libsodium; call it once, before any other function of this file.
 * Returns false on failure.
 */
bool
ak_crypto_init(void)
{
	return sodium_init() >= 0;
}

/* Fills bytes[] from the system's cryptographic random generator. */
void
ak_crypto_random_bytes(void *bytes, size_t size)
{
	randombytes_buf(bytes, size);
}

/*
 * SipHash-2-4: without the seed, positions in a hash table cannot be computed.
 * The result depends on the machine's byte order.
 */
uint64_t
ak_crypto_short_hash(const uint8_t seed[AK_SHORT_HASH_SEED_SIZE],
					 const void *bytes, size_t size)
{
	uint64_t	hash;

	crypto_shorthash((unsigned char *) &hash, bytes, size, seed);
	return hash;
}

/* Fills digits[] with random numbers, each uniform from 0 to base - 1. */
void
ak_crypto_random_digits(uint8_t *digits, size_t count, unsigned base)
{
	for (size_t i = 0; i < count; i++)
		digits[i] = (uint8_t) randombytes_uniform(base);
}

/*
 * BLAKE2b-256 (RFC 7693), keyed with the pepper unless that is NULL, over the
 * public key, a zero byte and the secret.
 */
void
ak_crypto_blake2b(uint8_t digest[AK_BLAKE2B_SIZE], const uint8_t *pepper,
				  const void *public_key, size_t public_key_size,
				  const void *secret, size_t secret_size)
{
	crypto_generichash_state state;
	const unsigned char separator = 0;

	crypto_generichash_init(&state, pepper, pepper ? AK_PEPPER_SIZE : 0,
							AK_BLAKE2B_SIZE);
	crypto_generichash_update(&state, public_key, public_key_size);
	crypto_generichash_update(&state, &separator, 1);
	crypto_generichash_update(&state, secret, secret_size);
	crypto_generichash_final(&state, digest, AK_BLAKE2B_SIZE);
	sodium_memzero(&state, sizeof(state));
}

/*
 * Begins an unkeyed BLAKE2b-256 hash (RFC 7693) of data that is added in
 * pieces.  The state needs no clean-up.  It must not be palloc'd, because
 * palloc does not align it as required.
 */
void
ak_crypto_blake2b_begin(AkBlake2b *hash)
{
	crypto_generichash_init((crypto_generichash_state *) hash, NULL, 0,
							AK_BLAKE2B_SIZE);
}

/* Adds bytes to a hash. */
void
ak_crypto_blake2b_add(AkBlake2b *hash, const void *bytes, size_t size)
{
	crypto_generichash_update((crypto_generichash_state *) hash, bytes, size);
}

/* Finishes the hash of all data added; nothing can be added afterwards. */
void
ak_crypto_blake2b_end(AkBlake2b *hash, uint8_t digest[AK_BLAKE2B_SIZE])
{
	crypto_generichash_final((crypto_generichash_state *) hash, digest,
							 AK_BLAKE2B_SIZE);
}

/* SHA-256 (FIPS 180-4) of the secret. */
void
ak_crypto_sha256(uint8_t digest[AK_SHA256_SIZE],
				 const void *secret, size_t secret_size)
{
	crypto_hash_sha256(digest, secret, secret_size);
}

/* SHA-512 (FIPS 180-4) of the secret. */
void
ak_crypto_sha512(uint8_t digest[AK_SHA512_SIZE],
				 const void *secret, size_t secret_size)
{
	crypto_hash_sha512(digest, secret, secret_size);
}

/*
 * Checks whether the secret is the one hashed in an argon2id string (RFC 9106,
 * in PHC string format). Takes the time and the memory that the string
 * specifies, from malloc(); returns false also if the memory is not available.
 */
bool
ak_crypto_argon2id_verify(const char *text, const void *secret,
						  size_t secret_size)
{
	return crypto_pwhash_argon2id_str_verify(text, secret, secret_size) == 0;
}

/*
 * Decodes base64 (RFC 4648, section 4), with or without padding, into bytes[].
 * Returns false if the text is malformed or does not fit; bytes[] may then
 * hold a part of the data.
 */
bool
ak_crypto_base64_decode(const char *text, size_t length,
						void *bytes, size_t room, size_t *size)
{
	int			variant = length % 4 == 0 ?
		sodium_base64_VARIANT_ORIGINAL :
		sodium_base64_VARIANT_ORIGINAL_NO_PADDING;

	return sodium_base642bin(bytes, room, text, length, NULL, size, NULL,
							 variant) == 0;
}

/*
 * Decodes exactly size bytes of hex digits in either case; returns false for
 * anything else.  bytes[] may then hold a part of the data.
 */
bool
ak_crypto_hex_decode(const char *text, size_t length, uint8_t *bytes,
					 size_t size)
{
	size_t		decoded;

	return length == size * 2 &&
		sodium_hex2bin(bytes, size, text, length, NULL, &decoded, NULL) == 0 &&
		decoded == size;
}

/* Compares in constant time. */
bool
ak_crypto_equal(const void *a, const void *b, size_t size)
{
	return sodium_memcmp(a, b, size) == 0;
}

/* Zeroes bytes[]; the compiler cannot remove the call. */
void
ak_crypto_wipe(void *bytes, size_t size)
{
	sodium_memzero(bytes, size);
}
