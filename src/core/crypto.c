/*
 * crypto.c
 *	  What the extension uses of libsodium.
 */
#include <sodium.h>
#include <string.h>

#include "core/ascii.h"
#include "core/crypto.h"

/* --- libsodium ----------------------------------------------------------- */

/*
 * Random numbers, hashing, decoding and constant-time comparison: a thin
 * interface to libsodium, and the only file that calls it.
 *
 * A leaf: no PostgreSQL, no allocation (except argon2id, inside libsodium), no
 * errors raised.
 */

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

/*
 * Begins a keyed BLAKE2b (RFC 7693, section 2.5) of size bytes, to which
 * ak_crypto_blake2b_add() adds.
 */
void
ak_crypto_mac_begin(AkBlake2b *hash, const uint8_t key[AK_PEPPER_SIZE],
					size_t size)
{
	crypto_generichash_init((crypto_generichash_state *) hash, key,
							AK_PEPPER_SIZE, size);
}

/* Stores the keyed hash, of the size it was begun with, and wipes its state. */
void
ak_crypto_mac_end(AkBlake2b *hash, uint8_t *mac, size_t size)
{
	crypto_generichash_final((crypto_generichash_state *) hash, mac, size);
	sodium_memzero(hash, sizeof(*hash));
}

/*
 * Encrypts size bytes, and authenticates them with what is said to be about them,
 * by XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): sealed[] has room for
 * AK_AEAD_TAG_SIZE bytes more.  A nonce is used once with a key.
 */
void
ak_crypto_seal(uint8_t *sealed, const uint8_t *message, size_t size,
			   const void *about, size_t about_size,
			   const uint8_t nonce[AK_XCHACHA20_NONCE_SIZE],
			   const uint8_t key[AK_XCHACHA20_KEY_SIZE])
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, message, size,
											   about, about_size, NULL, nonce,
											   key);
}

/*
 * Opens what ak_crypto_seal() has sealed, size bytes, of which message[] gets
 * AK_AEAD_TAG_SIZE less; false, and nothing there, if any of it is not the same.
 */
bool
ak_crypto_open(uint8_t *message, const uint8_t *sealed, size_t size,
			   const void *about, size_t about_size,
			   const uint8_t nonce[AK_XCHACHA20_NONCE_SIZE],
			   const uint8_t key[AK_XCHACHA20_KEY_SIZE])
{
	return crypto_aead_xchacha20poly1305_ietf_decrypt(message, NULL, NULL,
													  sealed, size,
													  about, about_size,
													  nonce, key) == 0;
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

	/* libsodium takes a few bytes that are not ASCII for "/" and others. */
	return ak_is_ascii(text, length) &&
		sodium_base642bin(bytes, room, text, length, NULL, size, NULL,
						  variant) == 0;
}

/*
 * Encodes bytes in base64url without padding (RFC 4648, section 5) into text[],
 * which has room for 4 characters for each 3 bytes begun and a terminating
 * zero; returns the length.
 */
size_t
ak_crypto_base64url_encode(const void *bytes, size_t size, char *text)
{
	size_t		room =
		sodium_base64_ENCODED_LEN(size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);

	sodium_bin2base64(text, room, bytes, size,
					  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return room - 1;
}

/*
 * Decodes base64url without padding; false for anything else, for bits behind
 * the last byte that are not zero, and for what does not fit.
 */
bool
ak_crypto_base64url_decode(const char *text, size_t length, void *bytes,
						   size_t room, size_t *size)
{
	return ak_is_ascii(text, length) &&
		sodium_base642bin(bytes, room, text, length, NULL, size, NULL,
						  sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
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

/* --- PASETO -------------------------------------------------------------- */

/*
 * PASETO version 4, purpose "local": encrypted, authenticated tokens.
 *
 * The format is that of the PASETO specification (Version 4), with XChaCha20
 * for encryption and keyed BLAKE2b for authentication; the cryptography is
 * libsodium's (crypto.h).
 *
 *		v4.local.<base64url of nonce, ciphertext, tag>[.<base64url of footer>]
 *
 * The footer is authenticated and not encrypted.  The implicit assertion is
 * authenticated and not part of the token.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing, raises nothing and draws
 * no random numbers: the caller passes the nonce.
 */

/* What the message's two keys are derived with. */
#define ENCRYPTION_INFO		"paseto-encryption-key"
#define AUTHENTICATION_INFO	"paseto-auth-key-for-aead"

/* The length of nonce and tag alone in base64url. */
#define SHORTEST_BODY	((AK_PASETO_NONCE_SIZE + AK_PASETO_TAG_SIZE) * 4 / 3)

/* Whether a text claims to be such a token. */
bool
ak_paseto_is_token(const char *text, size_t length)
{
	return length >= AK_PASETO_HEADER_LENGTH &&
		memcmp(text, AK_PASETO_HEADER, AK_PASETO_HEADER_LENGTH) == 0;
}

static bool
is_base64url(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Whether a text contains what may be such a token, whatever surrounds it; in linear time. */
bool
ak_paseto_is_within(const char *text, size_t length)
{
	size_t		run = 0;		/* of base64url after a header; 0: after none */

	for (size_t i = 0; i < length; i++)
	{
		if (i >= AK_PASETO_HEADER_LENGTH &&
			ak_paseto_is_token(text + i - AK_PASETO_HEADER_LENGTH,
							   AK_PASETO_HEADER_LENGTH))
			run = 1;
		else if (run > 0)
			run++;
		if (run > 0 && !is_base64url(text[i]))
			run = 0;
		if (run == SHORTEST_BODY)
			return true;
	}
	return false;
}

/* The specification's LE64: a count in 8 bytes, the highest bit cleared. */
static void
add_count(AkBlake2b *hash, uint64_t count)
{
	uint8_t		bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t) (count >> (8 * i));
	bytes[7] &= 0x7f;
	ak_crypto_blake2b_add(hash, bytes, sizeof(bytes));
}

static void
add_piece(AkBlake2b *hash, const void *data, size_t size)
{
	add_count(hash, size);
	if (size > 0)
		ak_crypto_blake2b_add(hash, data, size);
}

/* Encrypts or decrypts in place, with XChaCha20 (draft-irtf-cfrg-xchacha). */
static void
apply_cipher(const uint8_t key[AK_PASETO_KEY_SIZE],
			 const uint8_t nonce[AK_PASETO_NONCE_SIZE],
			 uint8_t *message, size_t size)
{
	struct
	{
		uint8_t		key[AK_XCHACHA20_KEY_SIZE];
		uint8_t		nonce[AK_XCHACHA20_NONCE_SIZE];
	}			derived;
	AkBlake2b	hash;

	ak_crypto_mac_begin(&hash, key, sizeof(derived));
	ak_crypto_blake2b_add(&hash, ENCRYPTION_INFO, strlen(ENCRYPTION_INFO));
	ak_crypto_blake2b_add(&hash, nonce, AK_PASETO_NONCE_SIZE);
	ak_crypto_mac_end(&hash, (uint8_t *) &derived, sizeof(derived));
	crypto_stream_xchacha20_xor(message, message, size, derived.nonce,
								derived.key);
	ak_crypto_wipe(&derived, sizeof(derived));
}

/* Authenticates the header, the nonce, the ciphertext, footer and assertion. */
static void
make_tag(const uint8_t key[AK_PASETO_KEY_SIZE],
		 const uint8_t nonce[AK_PASETO_NONCE_SIZE],
		 const uint8_t *ciphertext, size_t size, AkPasetoBytes footer,
		 AkPasetoBytes assertion, uint8_t tag[AK_PASETO_TAG_SIZE])
{
	uint8_t		derived[AK_PASETO_KEY_SIZE];
	AkBlake2b	hash;

	ak_crypto_mac_begin(&hash, key, sizeof(derived));
	ak_crypto_blake2b_add(&hash, AUTHENTICATION_INFO,
						  strlen(AUTHENTICATION_INFO));
	ak_crypto_blake2b_add(&hash, nonce, AK_PASETO_NONCE_SIZE);
	ak_crypto_mac_end(&hash, derived, sizeof(derived));

	ak_crypto_mac_begin(&hash, derived, AK_PASETO_TAG_SIZE);
	add_count(&hash, 5);
	add_piece(&hash, AK_PASETO_HEADER, AK_PASETO_HEADER_LENGTH);
	add_piece(&hash, nonce, AK_PASETO_NONCE_SIZE);
	add_piece(&hash, ciphertext, size);
	add_piece(&hash, footer.data, footer.size);
	add_piece(&hash, assertion.data, assertion.size);
	ak_crypto_mac_end(&hash, tag, AK_PASETO_TAG_SIZE);
	ak_crypto_wipe(derived, sizeof(derived));
}

/*
 * Writes a token with its terminating zero into text[], which has room for
 * AK_PASETO_TEXT_SIZE(); returns its length.  work[] has room for the nonce,
 * the payload and the tag, and holds nothing secret afterwards.
 */
size_t
ak_paseto_seal(const uint8_t key[AK_PASETO_KEY_SIZE],
			   const uint8_t nonce[AK_PASETO_NONCE_SIZE],
			   AkPasetoBytes payload, AkPasetoBytes footer,
			   AkPasetoBytes assertion, uint8_t *work, char *text)
{
	uint8_t    *ciphertext = work + AK_PASETO_NONCE_SIZE;
	uint8_t    *tag = ciphertext + payload.size;
	size_t		length;

	memcpy(work, nonce, AK_PASETO_NONCE_SIZE);
	memcpy(ciphertext, payload.data, payload.size);
	apply_cipher(key, nonce, ciphertext, payload.size);
	make_tag(key, nonce, ciphertext, payload.size, footer, assertion, tag);

	for (length = 0; length < AK_PASETO_HEADER_LENGTH; length++)
		text[length] = AK_PASETO_HEADER[length];
	length += ak_crypto_base64url_encode(work, tag + AK_PASETO_TAG_SIZE - work,
										 text + length);
	if (footer.size > 0)
	{
		text[length++] = '.';
		length += ak_crypto_base64url_encode(footer.data, footer.size,
											 text + length);
	}
	return length;
}

/*
 * Reads the footer, which is authentic only once the token was opened with it;
 * false if the text is no token, has a malformed footer or one that does not
 * fit.
 */
bool
ak_paseto_footer(const char *text, size_t length, uint8_t *footer, size_t room,
				 size_t *size)
{
	const char *dot;

	if (!ak_paseto_is_token(text, length))
		return false;
	dot = memchr(text + AK_PASETO_HEADER_LENGTH, '.',
				 length - AK_PASETO_HEADER_LENGTH);
	*size = 0;
	/* An empty footer is written without its dot. */
	return dot == NULL ||
		(dot + 1 < text + length &&
		 ak_crypto_base64url_decode(dot + 1, text + length - dot - 1,
									footer, room, size));
}

/*
 * Opens a token with this footer; false if it is malformed, was made with
 * another key, footer or assertion, or was altered.  The payload lies in
 * work[], which holds room bytes; it is the caller's to wipe.
 */
bool
ak_paseto_open(const uint8_t key[AK_PASETO_KEY_SIZE],
			   const char *text, size_t length, AkPasetoBytes footer,
			   AkPasetoBytes assertion, uint8_t *work, size_t room,
			   AkPasetoBytes *payload)
{
	uint8_t		tag[AK_PASETO_TAG_SIZE];
	uint8_t    *ciphertext = work + AK_PASETO_NONCE_SIZE;
	const char *end;
	size_t		size;

	if (!ak_paseto_is_token(text, length))
		return false;
	text += AK_PASETO_HEADER_LENGTH;
	length -= AK_PASETO_HEADER_LENGTH;
	end = memchr(text, '.', length);
	if (end == NULL)
		end = text + length;
	if (!ak_crypto_base64url_decode(text, end - text, work, room, &size) ||
		size < AK_PASETO_NONCE_SIZE + AK_PASETO_TAG_SIZE)
		return false;
	size -= AK_PASETO_NONCE_SIZE + AK_PASETO_TAG_SIZE;
	make_tag(key, work, ciphertext, size, footer, assertion, tag);
	if (!ak_crypto_equal(tag, ciphertext + size, AK_PASETO_TAG_SIZE))
		return false;
	apply_cipher(key, work, ciphertext, size);
	payload->data = ciphertext;
	payload->size = size;
	return true;
}
