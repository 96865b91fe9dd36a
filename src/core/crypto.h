/*
 * crypto.h
 *	  Random numbers, hashing and the text forms of secrets, tokens, hashes and
 *	  credentials: leaves that know no PostgreSQL.
 */
#ifndef AK_CRYPTO_H
#define AK_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/netset.h"

/* --- crypto.c ------------------------------------------------------------ */

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

#define AK_PASETO_KEY_SIZE		32
#define AK_PASETO_NONCE_SIZE	32
#define AK_PASETO_TAG_SIZE		32

#define AK_PASETO_HEADER		"v4.local."
#define AK_PASETO_HEADER_LENGTH	9

/* Room for the text of a token, with its terminating zero. */
#define AK_PASETO_BASE64_ROOM(size)	(((size) + 2) / 3 * 4 + 1)
#define AK_PASETO_TEXT_SIZE(payload, footer) \
	(AK_PASETO_HEADER_LENGTH + \
	 AK_PASETO_BASE64_ROOM(AK_PASETO_NONCE_SIZE + (payload) + \
						   AK_PASETO_TAG_SIZE) + \
	 AK_PASETO_BASE64_ROOM(footer))

/* Counted bytes. */
typedef struct AkPasetoBytes
{
	const void *data;
	size_t		size;
} AkPasetoBytes;

extern bool ak_paseto_is_token(const char *text, size_t length);
extern bool ak_paseto_is_within(const char *text, size_t length);
extern size_t ak_paseto_seal(const uint8_t key[AK_PASETO_KEY_SIZE],
							 const uint8_t nonce[AK_PASETO_NONCE_SIZE],
							 AkPasetoBytes payload, AkPasetoBytes footer,
							 AkPasetoBytes assertion, uint8_t *work, char *text);
extern bool ak_paseto_footer(const char *text, size_t length,
							 uint8_t *footer, size_t room, size_t *size);
extern bool ak_paseto_open(const uint8_t key[AK_PASETO_KEY_SIZE],
						   const char *text, size_t length,
						   AkPasetoBytes footer, AkPasetoBytes assertion,
						   uint8_t *work, size_t room, AkPasetoBytes *payload);

/* --- hash_form.c --------------------------------------------------------- */

#define AK_PEPPER_ID_MAX	32

/* The pepper id in a hash that was made without a pepper. */
#define AK_NO_PEPPER		"0"

#define AK_PEPPERS_MAX		64

/* Room for that many lines, and for remarks. */
#define AK_PEPPER_FILE_MAX	16384

typedef struct AkPepper
{
	char		id[AK_PEPPER_ID_MAX + 1];
	uint8_t		bytes[AK_PEPPER_SIZE];
} AkPepper;

typedef struct AkPepperSet
{
	int			count;
	AkPepper	peppers[AK_PEPPERS_MAX];	/* the current one first */
} AkPepperSet;

typedef struct AkPepperFault
{
	int			line;			/* counted from 1 */
	const char *what;			/* continues "Line 3 ..." */
} AkPepperFault;

extern bool ak_pepper_id_is_valid(const char *id, size_t size);
extern bool ak_pepper_set_parse(const char *text, size_t size,
								AkPepperSet *set, AkPepperFault *fault);
extern const AkPepper *ak_pepper_set_find(const AkPepperSet *set,
										  const char *id, size_t size);

/*
 * Limits of an argon2id hash, so that verifying one cannot stall the server:
 * memory in KiB, and memory times passes (100 MiB and 2 passes, as Django's
 * default), and the number of lanes.  Setting apikeys.argon2id_max_cost limits
 * further what a decision computes.
 */
#define AK_ARGON2ID_MAX_MEMORY_KIB	102400
#define AK_ARGON2ID_MAX_COST_KIB	204800
#define AK_ARGON2ID_MAX_LANES		16

/* Size limit of a stored hash, and of its text with the terminating zero. */
#define AK_STORED_HASH_MAX	(1 + AK_ARGON2ID_TEXT_SIZE)
#define AK_HASH_TEXT_SIZE	160

typedef enum AkHashAlgorithm
{
	AK_BLAKE2B = 1,
	AK_SHA256,
	AK_SHA512,
	AK_ARGON2ID
} AkHashAlgorithm;

typedef enum AkHashError
{
	AK_HASH_OK,
	AK_HASH_MALFORMED,
	AK_HASH_TOO_COSTLY			/* argon2id beyond the limits above */
} AkHashError;

/* The parts of a hash; all pointers are into the bytes it was read from. */
typedef struct AkHashForm
{
	AkHashAlgorithm algorithm;
	const char *pepper_id;		/* blake2b only */
	size_t		pepper_id_size;
	const uint8_t *digest;		/* or the argon2id string */
	size_t		digest_size;
} AkHashForm;

extern bool ak_hash_form_load(const uint8_t *bytes, size_t size,
							  AkHashForm *hash);
extern size_t ak_hash_form_size(const AkHashForm *hash);
extern void ak_hash_form_store(const AkHashForm *hash, uint8_t *bytes);
extern AkHashError ak_hash_form_parse(const char *text, AkHashForm *hash,
									  uint8_t buffer[AK_SHA512_SIZE]);
extern size_t ak_hash_form_print(const AkHashForm *hash,
								 char text[AK_HASH_TEXT_SIZE]);
extern uint32_t ak_hash_form_cost(const AkHashForm *hash);
extern uint32_t ak_hash_form_memory(const AkHashForm *hash);
extern const char *ak_hash_form_algorithm(const AkHashForm *hash);

/* --- token.c ------------------------------------------------------------- */

#define AK_TOKEN_PREFIX_MAX			16
#define AK_TOKEN_PUBLIC_DIGITS		16
#define AK_TOKEN_SECRET_BYTES		32
#define AK_TOKEN_SECRET_DIGITS		43
#define AK_TOKEN_CHECKSUM_DIGITS	6
#define AK_TOKEN_BASE				62

/* Room for any token and its terminating zero. */
#define AK_TOKEN_TEXT_SIZE \
	(AK_TOKEN_PREFIX_MAX + 5 + AK_TOKEN_SECRET_DIGITS + \
	 AK_TOKEN_CHECKSUM_DIGITS + 1)

typedef enum AkTokenKind
{
	AK_TOKEN_NONE,				/* no token of ours, or a mistyped one */
	AK_TOKEN_PUBLIC,
	AK_TOKEN_SECRET
} AkTokenKind;

extern uint32_t ak_token_crc32(const char *bytes, size_t length);
extern bool ak_token_prefix_is_valid(const char *prefix);
extern size_t ak_token_format_public(const char *prefix,
									 const uint8_t digits[AK_TOKEN_PUBLIC_DIGITS],
									 char *text);
extern size_t ak_token_format_secret(const char *prefix,
									 const uint8_t secret[AK_TOKEN_SECRET_BYTES],
									 char *text);
extern AkTokenKind ak_token_classify(const char *text, size_t length);
extern const char *ak_token_find_secret(const char *text, size_t length,
										size_t *from, size_t *found_length);
extern bool ak_token_contains_secret(const char *text, size_t length);

/* --- digest.c ------------------------------------------------------------ */

/* Longest credentials that are read, and longest realm, in bytes. */
#define AK_DIGEST_TEXT_MAX	16384
#define AK_REALM_MAX		128

#define AK_DIGEST_MD5_SIZE		16
#define AK_DIGEST_SHA256_SIZE	32
#define AK_DIGEST_MAX_SIZE		AK_DIGEST_SHA256_SIZE

typedef enum AkDigestAlgorithm
{
	AK_DIGEST_MD5,
	AK_DIGEST_SHA256
} AkDigestAlgorithm;

/* Counted bytes. */
typedef struct AkDigestText
{
	const char *data;
	size_t		size;
} AkDigestText;

/*
 * Stores the hash of the pieces, one after the other; false if it cannot be
 * computed.
 */
typedef bool (*AkDigestHash) (AkDigestAlgorithm algorithm,
							  const AkDigestText *pieces, int count,
							  uint8_t *hash);

/* What a client has sent; the texts point into it. */
typedef struct AkDigest
{
	AkDigestAlgorithm algorithm;
	AkDigestText username;
	AkDigestText realm;
	AkDigestText nonce;
	AkDigestText cnonce;
	AkDigestText nc;			/* as it was sent, for the hash */
	uint32_t	count;			/* the same as a number; 1 or more */
	uint8_t		response[AK_DIGEST_MAX_SIZE];
} AkDigest;

extern size_t ak_digest_size(AkDigestAlgorithm algorithm);
extern bool ak_digest_realm_is_valid(const char *realm, size_t size);
extern bool ak_digest_parse(const char *value, size_t length,
							AkDigest *digest);
extern bool ak_digest_secret(AkDigestHash hash, AkDigestAlgorithm algorithm,
							 AkDigestText username, AkDigestText realm,
							 AkDigestText password, uint8_t *secret);
extern bool ak_digest_respond(AkDigestHash hash, const AkDigest *digest,
							  AkDigestText method, AkDigestText uri,
							  const uint8_t *secret, uint8_t *response);

/* --- credentials.c ------------------------------------------------------- */

/* Longest accepted header name, in bytes. */
#define AK_HEADER_NAME_MAX	64

/*
 * Points into what it was read from.  Of a short-lived token (crypto.c) there is no
 * public key, and the secret is all of it.
 */
typedef struct AkCredentials
{
	const char *public_key;
	size_t		public_key_length;
	const char *secret;
	size_t		secret_length;
} AkCredentials;

typedef enum AkHeader
{
	AK_HEADER_ABSENT,			/* no credentials of this extension */
	AK_HEADER_GOOD,
	AK_HEADER_MALFORMED
} AkHeader;

extern bool ak_header_name_is_valid(const char *name, size_t length);
extern bool ak_header_name_equals(const char *a, size_t a_length,
								  const char *b, size_t b_length);
extern bool ak_credentials_from_api_key(const char *value, size_t length,
										AkCredentials *credentials);
extern AkHeader ak_credentials_from_key_header(const char *value,
											   size_t length,
											   AkCredentials *credentials);
extern AkHeader ak_credentials_from_authorization(const char *value,
												  size_t length,
												  char *buffer,
												  AkCredentials *credentials);
extern AkHeader ak_forwarded_address(const char *value, size_t length,
									 const AkNetset *trusted,
									 AkNetwork *address);

#endif							/* AK_CRYPTO_H */
