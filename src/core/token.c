/*
 * token.c
 *	  The text form of public and private keys.
 *
 * Every part but the prefix has a fixed length, so a token is read from its
 * end, and a prefix may contain underscores.
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
 * What is computed from a secret on the stack here is wiped here.
 */
#include <string.h>

#include "core/ascii.h"
#include "core/crypto.h"

#define PUBLIC_MARK		"_pub_"
#define SECRET_MARK		"_sec_"
#define MARK_LENGTH		5

#define SECRET_WORDS	(AK_TOKEN_SECRET_BYTES / 4)

/* In ASCII order, so that fixed-width numbers compare as their text does. */
static const char alphabet[AK_TOKEN_BASE + 1] =
"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* 2^256 - 1, the greatest secret */
static const char greatest_secret[AK_TOKEN_SECRET_DIGITS + 1] =
"yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1";

/* The CRC-32 of each value of four bits. */
static const uint32_t crc32_table[16] = {
	0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC,
	0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
	0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
	0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C
};

/* Zeroes memory that the compiler knows is dead and would not clear. */
static void
wipe(void *memory, size_t size)
{
	volatile uint8_t *byte = memory;

	while (size-- > 0)
		*byte++ = 0;
}

/*
 * The CRC-32 of zlib, PNG and Ethernet (ISO 3309, ITU-T V.42) of "length"
 * bytes, which remain the caller's.
 */
uint32_t
ak_token_crc32(const char *bytes, size_t length)
{
	uint32_t	crc = 0xFFFFFFFF;
	size_t		i;

	for (i = 0; i < length; i++)
	{
		crc ^= (uint8_t) bytes[i];
		crc = (crc >> 4) ^ crc32_table[crc & 0x0F];
		crc = (crc >> 4) ^ crc32_table[crc & 0x0F];
	}
	return crc ^ 0xFFFFFFFF;
}

static bool
are_digits(const char *text, size_t length)
{
	size_t		i;

	for (i = 0; i < length; i++)
	{
		if (!ak_is_letter_or_digit(text[i]))
			return false;
	}
	return true;
}

static bool
is_prefix(const char *text, size_t length)
{
	size_t		i;

	if (length < 1 || length > AK_TOKEN_PREFIX_MAX ||
		text[0] < 'a' || text[0] > 'z' || text[length - 1] == '_')
		return false;
	for (i = 1; i < length; i++)
	{
		if (text[i] != '_' &&
			(!ak_is_letter_or_digit(text[i]) ||
			 (text[i] >= 'A' && text[i] <= 'Z')))
			return false;
	}
	return true;
}

/*
 * Is this zero-terminated string a prefix: a lower-case letter, and up to 15
 * lower-case letters, digits and underscores, of which the last is not an
 * underscore?
 */
bool
ak_token_prefix_is_valid(const char *prefix)
{
	return is_prefix(prefix, strlen(prefix));
}

/*
 * Writes the beginning of a token; returns its length, or 0 with an empty
 * string if the prefix is not valid.
 */
static size_t
format_head(const char *prefix, const char *mark, char *text)
{
	size_t		length = strlen(prefix);

	text[0] = '\0';
	if (!is_prefix(prefix, length))
		return 0;
	memcpy(text, prefix, length);
	memcpy(text + length, mark, MARK_LENGTH);
	return length + MARK_LENGTH;
}

/*
 * Write the checksum of "length" bytes as base62 digits, the most significant
 * one first, without a terminating zero.
 */
static void
format_checksum(const char *bytes, size_t length, char *digits)
{
	uint32_t	rest = ak_token_crc32(bytes, length);
	size_t		i;

	for (i = AK_TOKEN_CHECKSUM_DIGITS; i-- > 0;)
	{
		digits[i] = alphabet[rest % AK_TOKEN_BASE];
		rest /= AK_TOKEN_BASE;
	}
}

/*
 * Write a secret as base62 digits, the most significant one first, without a
 * terminating zero.
 */
static void
format_secret_digits(const uint8_t secret[AK_TOKEN_SECRET_BYTES], char *digits)
{
	uint32_t	words[SECRET_WORDS];
	size_t		i;

	for (i = 0; i < SECRET_WORDS; i++)
		words[i] = (uint32_t) secret[4 * i] << 24 |
			(uint32_t) secret[4 * i + 1] << 16 |
			(uint32_t) secret[4 * i + 2] << 8 |
			(uint32_t) secret[4 * i + 3];
	for (i = AK_TOKEN_SECRET_DIGITS; i-- > 0;)
	{
		uint64_t	rest = 0;

		/* Divides the number; its most significant word comes first. */
		for (size_t j = 0; j < SECRET_WORDS; j++)
		{
			rest = (rest << 32) | words[j];
			words[j] = (uint32_t) (rest / AK_TOKEN_BASE);
			rest %= AK_TOKEN_BASE;
		}
		digits[i] = alphabet[rest];
	}
	wipe(words, sizeof(words));
}

/*
 * Write the public key of these digits, each 0 to 61, and a terminating zero
 * into the caller's buffer of AK_TOKEN_TEXT_SIZE bytes.  Returns the length
 * without that zero, or 0 if the prefix is not valid.
 */
size_t
ak_token_format_public(const char *prefix,
					   const uint8_t digits[AK_TOKEN_PUBLIC_DIGITS],
					   char *text)
{
	size_t		length = format_head(prefix, PUBLIC_MARK, text);
	size_t		i;

	if (length == 0)
		return 0;
	for (i = 0; i < AK_TOKEN_PUBLIC_DIGITS; i++)
		text[length++] = alphabet[digits[i]];
	text[length] = '\0';
	return length;
}

/*
 * Write the private key of this secret, a big-endian number of 256 bits, and
 * a terminating zero into the caller's buffer of AK_TOKEN_TEXT_SIZE bytes,
 * which the caller wipes after use.  Returns the length without that zero, or
 * 0 if the prefix is not valid.
 */
size_t
ak_token_format_secret(const char *prefix,
					   const uint8_t secret[AK_TOKEN_SECRET_BYTES],
					   char *text)
{
	size_t		length = format_head(prefix, SECRET_MARK, text);

	if (length == 0)
		return 0;
	format_secret_digits(secret, text + length);
	length += AK_TOKEN_SECRET_DIGITS;
	format_checksum(text, length, text + length);
	length += AK_TOKEN_CHECKSUM_DIGITS;
	text[length] = '\0';
	return length;
}

/*
 * Does the text begin with a prefix and this mark, and are the other
 * "digits" bytes of it base62 digits?
 */
static bool
has_form(const char *text, size_t length, const char *mark, size_t digits)
{
	size_t		head;

	if (length < MARK_LENGTH + digits)
		return false;
	head = length - digits - MARK_LENGTH;
	return is_prefix(text, head) &&
		memcmp(text + head, mark, MARK_LENGTH) == 0 &&
		are_digits(text + length - digits, digits);
}

/*
 * Is the number at most 2^256 - 1, and the checksum that of all before it?
 * The text has the form of a private key.
 */
static bool
secret_is_sound(const char *text, size_t length)
{
	size_t		body = length - AK_TOKEN_CHECKSUM_DIGITS;
	char		checksum[AK_TOKEN_CHECKSUM_DIGITS];
	bool		sound;

	format_checksum(text, body, checksum);
	sound = memcmp(text + body, checksum, sizeof(checksum)) == 0 &&
		memcmp(text + body - AK_TOKEN_SECRET_DIGITS, greatest_secret,
			   AK_TOKEN_SECRET_DIGITS) <= 0;
	wipe(checksum, sizeof(checksum));
	return sound;
}

/*
 * Returns what the bytes are: a public key, a private key without a typing
 * error, or neither, with any valid prefix.  The bytes remain the caller's.  A
 * private key of this form need not belong to a key: only comparing its hash
 * proves that.
 */
AkTokenKind
ak_token_classify(const char *text, size_t length)
{
	if (has_form(text, length, PUBLIC_MARK, AK_TOKEN_PUBLIC_DIGITS))
		return AK_TOKEN_PUBLIC;
	if (has_form(text, length, SECRET_MARK,
				 AK_TOKEN_SECRET_DIGITS + AK_TOKEN_CHECKSUM_DIGITS) &&
		secret_is_sound(text, length))
		return AK_TOKEN_SECRET;
	return AK_TOKEN_NONE;
}

/* --- Private keys within a text ------------------------------------------ */

/* The part of a private key from its mark on. */
#define SECRET_TAIL \
	(MARK_LENGTH + AK_TOKEN_SECRET_DIGITS + AK_TOKEN_CHECKSUM_DIGITS)

/*
 * Returns the length of the private key around the mark at an offset, and
 * where it begins; 0 if there is none.  The text after the mark is long enough
 * for one.  The checksum covers the prefix, so at most one of the possible
 * beginnings is valid.
 */
static size_t
find_around(const char *text, size_t mark, size_t *start)
{
	size_t		before = mark < AK_TOKEN_PREFIX_MAX ? mark : AK_TOKEN_PREFIX_MAX;

	if (!are_digits(text + mark + MARK_LENGTH, SECRET_TAIL - MARK_LENGTH))
		return 0;
	for (; before > 0; before--)
	{
		*start = mark - before;
		if (ak_token_classify(text + *start, before + SECRET_TAIL) ==
			AK_TOKEN_SECRET)
			return before + SECRET_TAIL;
	}
	return 0;
}

/*
 * Returns the next private key in a text, whatever surrounds it, and its
 * length in *found_length; NULL if there are no more.  It points into the
 * text.  The search begins at *from, 0 at first, and stores there where to
 * continue: for the next key or, after NULL, for more text (the bytes before
 * *from must still be there). So a long text can be searched piece by piece.
 * Takes linear time.
 */
const char *
ak_token_find_secret(const char *text, size_t length, size_t *from,
					 size_t *found_length)
{
	while (*from + SECRET_TAIL <= length)
	{
		/* The last place where a complete key fits after a mark. */
		size_t		last = length - SECRET_TAIL;
		const char *mark = memchr(text + *from, SECRET_MARK[0],
								  last + 1 - *from);
		size_t		start;

		if (mark == NULL)
		{
			*from = last + 1;
			break;
		}
		*from = (size_t) (mark - text) + 1;
		if (memcmp(mark, SECRET_MARK, MARK_LENGTH) != 0)
			continue;
		*found_length = find_around(text, (size_t) (mark - text), &start);
		if (*found_length > 0)
			return text + start;
	}
	return NULL;
}

/* Checks whether a text contains a private key. */
bool
ak_token_contains_secret(const char *text, size_t length)
{
	size_t		from = 0;
	size_t		found_length;

	return ak_token_find_secret(text, length, &from, &found_length) != NULL;
}
