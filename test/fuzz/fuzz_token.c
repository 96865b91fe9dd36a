/*
 * fuzz_token.c
 *	  Fuzz src/token.c with each input read in two ways: as a token, and as
 *	  the bits to make one of.
 */
#include "fuzz.h"
#include "core/token.h"

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

	i = head[0] % length;
	if (text[i] == (char) head[1])
		return;
	text[i] = (char) head[1];
	REQUIRE(ak_token_classify(text, length) == AK_TOKEN_NONE);
}

/*
 * All that is found is a secret, and stands in the text after what was found
 * before it.
 */
static void
fuzz_find(const char *text, size_t size)
{
	const char *from = text;
	const char *found;
	size_t		length;

	while ((found = ak_token_find_secret(text, from, text + size,
										 &length)) != NULL)
	{
		REQUIRE(found >= text && found + length <= text + size);
		REQUIRE(found + length > from);
		REQUIRE(ak_token_classify(found, length) == AK_TOKEN_SECRET);
		from = found + length;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_text((const char *) data, size);
	fuzz_bits(data, size);
	fuzz_find((const char *) data, size);
	return 0;
}
