/*
 * token.h
 *	  The text form of public and private keys.
 *
 *		<prefix>_pub_ + 16 base62 digits
 *		<prefix>_sec_ + 43 base62 digits (256 bits, most significant digit
 *						first) + 6 base62 digits (CRC-32 of all that stands
 *						before them)
 *
 * The base62 alphabet is 0-9, A-Z, a-z, in this order of value.  The CRC-32
 * is zlib's (ISO 3309, ITU-T V.42: polynomial 0xEDB88320 reflected, initial
 * value and final xor 0xFFFFFFFF).  A prefix is a lower-case letter followed
 * by up to 15 lower-case letters, digits and underscores, not ending in an
 * underscore.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing, raises nothing, and
 * draws no random numbers: the caller brings the bits and wipes its buffers.
 */
#ifndef AK_TOKEN_H
#define AK_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif							/* AK_TOKEN_H */
