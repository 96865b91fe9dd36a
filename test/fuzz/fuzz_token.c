/*
 * fuzz_token.c
 *	  Fuzz src/core/token.c with each input read in three ways: as a token, as
 *	  a text to search for them, and as the bits to make one of.
 */
#include "fuzz.h"
#include "core/crypto.h"

static const char digits62[] =
"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/*
 * Read base62 digits back into the 256 bits of a secret.
 */
static void
decode_secret(const char *digits, uint8_t secret[AK_TOKEN_SECRET_BYTES])
{
	size_t		i;
	size_t		j;

	memset(secret, 0, AK_TOKEN_SECRET_BYTES);
	for (i = 0; i < AK_TOKEN_SECRET_DIGITS; i++)
	{
		const char *digit = strchr(digits62, digits[i]);
		unsigned	carry = (unsigned) (digit - digits62);

		for (j = AK_TOKEN_SECRET_BYTES; j-- > 0;)
		{
			carry += secret[j] * 62u;
			secret[j] = (uint8_t) carry;
			carry >>= 8;
		}
		REQUIRE(carry == 0);
	}
}

/*
 * What is recognised is exactly what formatting its parts writes.
 */
static void
fuzz_text(const char *text, size_t length)
{
	AkTokenKind kind = ak_token_classify(text, length);
	char		prefix[AK_TOKEN_PREFIX_MAX + 1] = {0};
	char		again[AK_TOKEN_TEXT_SIZE];
	size_t		tail = AK_TOKEN_PUBLIC_DIGITS;

	if (kind == AK_TOKEN_NONE)
		return;
	if (kind == AK_TOKEN_SECRET)
		tail = AK_TOKEN_SECRET_DIGITS + AK_TOKEN_CHECKSUM_DIGITS;
	REQUIRE(length >= tail + 6 && length <= tail + 5 + AK_TOKEN_PREFIX_MAX);
	memcpy(prefix, text, length - tail - 5);
	REQUIRE(ak_token_prefix_is_valid(prefix));

	if (kind == AK_TOKEN_SECRET)
	{
		uint8_t		secret[AK_TOKEN_SECRET_BYTES];

		decode_secret(text + length - tail, secret);
		REQUIRE(ak_token_format_secret(prefix, secret, again) == length);
	}
	else
	{
		uint8_t		digits[AK_TOKEN_PUBLIC_DIGITS];
		size_t		i;

		for (i = 0; i < AK_TOKEN_PUBLIC_DIGITS; i++)
			digits[i] = (uint8_t) (strchr(digits62, text[length - tail + i]) -
								   digits62);
		REQUIRE(ak_token_format_public(prefix, digits, again) == length);
	}
	REQUIRE(memcmp(again, text, length) == 0 && again[length] == '\0');
}

/*
 * How many private keys stand in the text, each counted at its mark, by trying
 * all that could be one.
 */
static int
count_secrets(const char *text, size_t length)
{
	const size_t tail = 5 + AK_TOKEN_SECRET_DIGITS + AK_TOKEN_CHECKSUM_DIGITS;
	int			count = 0;

	for (size_t mark = 1; mark + tail <= length; mark++)
	{
		bool		found = false;

		for (size_t before = 1; before <= mark && before <= AK_TOKEN_PREFIX_MAX;
			 before++)
			found |= ak_token_classify(text + mark - before, before + tail) ==
				AK_TOKEN_SECRET;
		count += found;
	}
	return count;
}

/*
 * All private keys in a text are found, at once or while the text grows, and
 * nothing else is.
 */
static void
fuzz_search(const char *text, size_t length, size_t piece)
{
	const char *found;
	size_t		found_length;
	size_t		from = 0;
	int			whole = 0;
	int			grown = 0;

	while ((found = ak_token_find_secret(text, length, &from,
										 &found_length)) != NULL)
	{
		REQUIRE(found >= text && found + found_length <= text + length);
		REQUIRE(ak_token_classify(found, found_length) == AK_TOKEN_SECRET);
		whole++;
	}
	REQUIRE(from <= length);
	REQUIRE(whole == count_secrets(text, length));
	REQUIRE(ak_token_contains_secret(text, length) == (whole > 0));
	from = 0;
	for (size_t size = 0; size < length;)
	{
		size = piece < length - size ? size + piece : length;
		while (ak_token_find_secret(text, size, &from, &found_length))
			grown++;
	}
	REQUIRE(grown == whole);
}

/*
 * A private key is found between the halves of an input, unless they are more
 * than there is room for.
 */
static void
fuzz_within(const char *token, size_t length, const uint8_t *data, size_t size)
{
	char		text[1024 + AK_TOKEN_TEXT_SIZE];
	size_t		half = size / 2;

	if (size > 1024)
		return;
	memcpy(text, data, half);
	memcpy(text + half, token, length);
	memcpy(text + half + length, data + half, size - half);
	REQUIRE(ak_token_contains_secret(text, length + size));
	fuzz_search(text, length + size, 1 + size % 61);
}

/*
 * 2 bytes that say which character to change to what, 32 of a secret, and
 * the prefix.
 */
static void
fuzz_bits(const uint8_t *data, size_t size)
{
	uint8_t		head[2 + AK_TOKEN_SECRET_BYTES] = {0};
	uint8_t		digits[AK_TOKEN_PUBLIC_DIGITS];
	char		prefix[2 * AK_TOKEN_PREFIX_MAX] = "ak";
	char		text[AK_TOKEN_TEXT_SIZE];
	size_t		length;
	size_t		i;

	memcpy(head, data, size < sizeof(head) ? size : sizeof(head));
	if (size > sizeof(head))
		snprintf(prefix, sizeof(prefix), "%.*s", (int) (size - sizeof(head)),
				 (const char *) data + sizeof(head));
	for (i = 0; i < AK_TOKEN_PUBLIC_DIGITS; i++)
		digits[i] = head[2 + i] % AK_TOKEN_BASE;

	length = ak_token_format_public(prefix, digits, text);
	REQUIRE((length != 0) == ak_token_prefix_is_valid(prefix));
	REQUIRE(length == strlen(text));
	REQUIRE(ak_token_classify(text, length) ==
			(length == 0 ? AK_TOKEN_NONE : AK_TOKEN_PUBLIC));

	length = ak_token_format_secret(prefix, head + 2, text);
	REQUIRE((length != 0) == ak_token_prefix_is_valid(prefix));
	REQUIRE(length == strlen(text) && length < sizeof(text));
	if (length == 0)
		return;
	REQUIRE(ak_token_classify(text, length) == AK_TOKEN_SECRET);
	fuzz_text(text, length);
	fuzz_within(text, length, data, size);

	i = head[0] % length;
	if (text[i] == (char) head[1])
		return;
	text[i] = (char) head[1];
	REQUIRE(ak_token_classify(text, length) == AK_TOKEN_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_text((const char *) data, size);
	fuzz_search((const char *) data, size, 7);
	fuzz_bits(data, size);
	return 0;
}
