/*
 * paseto.h
 *	  PASETO version 4, purpose "local": encrypted, authenticated tokens.
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
#ifndef AK_PASETO_H
#define AK_PASETO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif							/* AK_PASETO_H */
