/*
 * crypto.h
 *	  Random numbers, hashing, decoding and constant-time comparison: a thin
 *	  interface to libsodium, and the only file that calls it.
 *
 * A leaf: no PostgreSQL, no allocation (except argon2id, inside libsodium), no
 * errors raised.
 */
#ifndef AK_CRYPTO_H
#define AK_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AK_BLAKE2B_SIZE		32
#define AK_SHA256_SIZE		32
#define AK_SHA512_SIZE		64
#define AK_PEPPER_SIZE		32
#define AK_SHORT_HASH_SEED_SIZE 16
#define AK_XCHACHA20_KEY_SIZE	32
#define AK_XCHACHA20_NONCE_SIZE	24
#define AK_AEAD_TAG_SIZE		16

/* libsodium's crypto_pwhash_STRBYTES, with the terminating zero. */
#define AK_ARGON2ID_TEXT_SIZE	128

/* A BLAKE2b-256 hash in the making; libsodium's state, which it keeps private. */
typedef struct AkBlake2b
{
	_Alignas(64) unsigned char state[384];
} AkBlake2b;

extern bool ak_crypto_init(void);
extern void ak_crypto_random_bytes(void *bytes, size_t size);
extern void ak_crypto_random_digits(uint8_t *digits, size_t count,
									unsigned base);
extern void ak_crypto_blake2b(uint8_t digest[AK_BLAKE2B_SIZE],
							  const uint8_t *pepper,
							  const void *public_key, size_t public_key_size,
							  const void *secret, size_t secret_size);
extern void ak_crypto_blake2b_begin(AkBlake2b *hash);
extern void ak_crypto_blake2b_add(AkBlake2b *hash, const void *bytes,
								  size_t size);
extern void ak_crypto_blake2b_end(AkBlake2b *hash,
								  uint8_t digest[AK_BLAKE2B_SIZE]);
extern uint64_t ak_crypto_short_hash(const uint8_t seed[AK_SHORT_HASH_SEED_SIZE],
									 const void *bytes, size_t size);
extern void ak_crypto_mac_begin(AkBlake2b *hash,
								const uint8_t key[AK_PEPPER_SIZE], size_t size);
extern void ak_crypto_mac_end(AkBlake2b *hash, uint8_t *mac, size_t size);
extern void ak_crypto_xchacha20(uint8_t *output, const uint8_t *input,
								size_t size,
								const uint8_t nonce[AK_XCHACHA20_NONCE_SIZE],
								const uint8_t key[AK_XCHACHA20_KEY_SIZE]);
extern void ak_crypto_seal(uint8_t *sealed, const uint8_t *message,
						   size_t size, const void *about, size_t about_size,
						   const uint8_t nonce[AK_XCHACHA20_NONCE_SIZE],
						   const uint8_t key[AK_XCHACHA20_KEY_SIZE]);
extern bool ak_crypto_open(uint8_t *message, const uint8_t *sealed,
						   size_t size, const void *about, size_t about_size,
						   const uint8_t nonce[AK_XCHACHA20_NONCE_SIZE],
						   const uint8_t key[AK_XCHACHA20_KEY_SIZE]);
extern void ak_crypto_sha256(uint8_t digest[AK_SHA256_SIZE],
							 const void *secret, size_t secret_size);
extern void ak_crypto_sha512(uint8_t digest[AK_SHA512_SIZE],
							 const void *secret, size_t secret_size);
extern bool ak_crypto_argon2id_verify(const char *text, const void *secret,
									  size_t secret_size);
extern bool ak_crypto_base64_decode(const char *text, size_t length,
									void *bytes, size_t room, size_t *size);
extern size_t ak_crypto_base64url_encode(const void *bytes, size_t size,
										 char *text);
extern bool ak_crypto_base64url_decode(const char *text, size_t length,
									   void *bytes, size_t room, size_t *size);
extern bool ak_crypto_hex_decode(const char *text, size_t length,
								 uint8_t *bytes, size_t size);
extern bool ak_crypto_equal(const void *a, const void *b, size_t size);
extern void ak_crypto_wipe(void *bytes, size_t size);

#endif							/* AK_CRYPTO_H */
