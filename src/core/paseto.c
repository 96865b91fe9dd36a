/*
 * paseto.c
 *	  See paseto.h.
 */
#include "core/crypto.h"
#include "core/paseto.h"

#include <string.h>

/* What the message's two keys are derived with. */
#define ENCRYPTION_INFO		"paseto-encryption-key"
#define AUTHENTICATION_INFO	"paseto-auth-key-for-aead"

/* Whether a text claims to be such a token. */
bool
ak_paseto_is_token(const char *text, size_t length)
{
	return length >= AK_PASETO_HEADER_LENGTH &&
		memcmp(text, AK_PASETO_HEADER, AK_PASETO_HEADER_LENGTH) == 0;
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

/* Encrypts or decrypts in place. */
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
	ak_crypto_xchacha20(message, message, size, derived.nonce, derived.key);
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

/* Where the encrypted part ends and the footer, if there is one, begins. */
static const char *
find_footer(const char *text, size_t length)
{
	return memchr(text + AK_PASETO_HEADER_LENGTH, '.',
				  length - AK_PASETO_HEADER_LENGTH);
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
	dot = find_footer(text, length);
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
	end = find_footer(text, length);
	if (end == NULL)
		end = text + length;
	text += AK_PASETO_HEADER_LENGTH;
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
