/*
 * test_token.c
 *	  Unit tests of src/token.c.
 *
 * The literal tokens were computed with python3's zlib.crc32() and whole
 * numbers of any size, not with the code under test.
 */
#include "tap.h"
#include "core/crypto.h"

static const char digits62[] =
"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static AkTokenKind
classify(const char *text)
{
	return ak_token_classify(text, strlen(text));
}

/*
 * Does this secret have this text, and is the text recognised?
 */
static bool
secret_has_text(const char *prefix, const uint8_t *secret,
				const char *expected)
{
	char		text[AK_TOKEN_TEXT_SIZE];
	size_t		length;

	memset(text, 'x', sizeof(text));
	length = ak_token_format_secret(prefix, secret, text);
	return length == strlen(expected) && strcmp(text, expected) == 0 &&
		classify(expected) == AK_TOKEN_SECRET;
}

static void
test_crc32(void)
{
	CHECK(ak_token_crc32("123456789", 9) == 0xCBF43926, "the check value");
	CHECK(ak_token_crc32("", 0) == 0, "crc of nothing");
	CHECK(ak_token_crc32("a", 1) == 0xE8B7BE43, "crc of a");
	CHECK(ak_token_crc32("The quick brown fox jumps over the lazy dog",
						 43) == 0x414FA339, "crc of a sentence");
	CHECK(ak_token_crc32("\xFF\xFF\xFF\xFF", 4) == 0xFFFFFFFF,
		  "crc of bytes beyond ASCII");
}

static void
test_prefix(void)
{
	CHECK(ak_token_prefix_is_valid("ak"), "a prefix");
	CHECK(ak_token_prefix_is_valid("a"), "the shortest prefix");
	CHECK(ak_token_prefix_is_valid("abcdefghijklmnop"), "the longest prefix");
	CHECK(ak_token_prefix_is_valid("my_app2"), "underscore and digit");
	CHECK(ak_token_prefix_is_valid("a__b"), "two underscores");
	CHECK(!ak_token_prefix_is_valid(""), "no empty prefix");
	CHECK(!ak_token_prefix_is_valid("abcdefghijklmnopq"), "no longer prefix");
	CHECK(!ak_token_prefix_is_valid("Ak"), "no first capital");
	CHECK(!ak_token_prefix_is_valid("aK"), "no later capital");
	CHECK(!ak_token_prefix_is_valid("1a"), "no first digit");
	CHECK(!ak_token_prefix_is_valid("_a"), "no first underscore");
	CHECK(!ak_token_prefix_is_valid("a_"), "no last underscore");
	CHECK(!ak_token_prefix_is_valid("a-b"), "no hyphen");
	CHECK(!ak_token_prefix_is_valid("a b"), "no blank");
	CHECK(!ak_token_prefix_is_valid("\xC3\xA9"), "no letter beyond ASCII");
}

static void
test_public(void)
{
	uint8_t		digits[AK_TOKEN_PUBLIC_DIGITS] = {
		0, 9, 10, 35, 36, 61, 1, 2, 3, 4, 5, 6, 7, 8, 60, 61
	};
	char		text[AK_TOKEN_TEXT_SIZE];

	CHECK(ak_token_format_public("ak", digits, text) == 23,
		  "length of a public key");
	CHECK(strcmp(text, "ak_pub_09AZaz12345678yz") == 0, "a public key");
	CHECK(classify(text) == AK_TOKEN_PUBLIC, "it is recognised");
	CHECK(ak_token_format_public("abcdefghijklmn_p", digits, text) == 37,
		  "length of a public key with the longest prefix");
	CHECK(classify(text) == AK_TOKEN_PUBLIC, "it is recognised, too");
	CHECK(ak_token_format_public("a_", digits, text) == 0 && text[0] == '\0',
		  "no public key of a bad prefix");
	CHECK(classify("a_pub__pub_0000000000000000") == AK_TOKEN_NONE,
		  "no prefix may end in an underscore");
	CHECK(classify("a_pub_b_pub_0000000000000000") == AK_TOKEN_PUBLIC,
		  "a prefix may contain a mark");
	CHECK(classify("ak_pub_000000000000000") == AK_TOKEN_NONE, "15 digits");
	CHECK(classify("ak_pub_00000000000000000") == AK_TOKEN_NONE, "17 digits");
	CHECK(classify("ak_pub_000000000000000-") == AK_TOKEN_NONE, "no digit");
	CHECK(classify("ak_pub_000000000000000_") == AK_TOKEN_NONE,
		  "an underscore is no digit");
	CHECK(classify("ak_Pub_0000000000000000") == AK_TOKEN_NONE,
		  "the mark is lower-case");
	CHECK(classify("_pub_0000000000000000") == AK_TOKEN_NONE, "no prefix");
	CHECK(classify("ak_pub_0000000000000000 ") == AK_TOKEN_NONE,
		  "a trailing blank");
	CHECK(ak_token_classify("ak_pub_000000000000000\0", 23) == AK_TOKEN_NONE,
		  "a zero byte is no digit");
	CHECK(ak_token_classify("ak_pub_0000000000000000zz", 23) ==
		  AK_TOKEN_PUBLIC, "only the counted bytes are read");
}

static void
test_secret(void)
{
	uint8_t		secret[AK_TOKEN_SECRET_BYTES];
	char		text[AK_TOKEN_TEXT_SIZE];
	size_t		i;

	for (i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t) i;
	CHECK(secret_has_text("ak", secret, "ak_sec_"
						  "003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf"
						  "1AXooe"), "the secret 00 01 .. 1f");

	memset(secret, 0xFF, sizeof(secret));
	CHECK(secret_has_text("my_app", secret, "my_app_sec_"
						  "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"
						  "0Zy06J"), "the greatest secret");

	memset(secret, 0, sizeof(secret));
	CHECK(secret_has_text("a", secret, "a_sec_"
						  "0000000000000000000000000000000000000000000"
						  "1fK1mr"), "the secret 0");

	secret[31] = 1;
	CHECK(secret_has_text("abcdefghijklmn_p", secret, "abcdefghijklmn_p_sec_"
						  "0000000000000000000000000000000000000000001"
						  "0aO7G7"), "the secret 1, the longest prefix");
	CHECK(ak_token_format_secret("abcdefghijklmn_p", secret, text) ==
		  AK_TOKEN_TEXT_SIZE - 1, "the longest token fills the buffer");

	secret[31] = 0;
	secret[0] = 0x80;
	CHECK(secret_has_text("ak", secret, "ak_sec_"
						  "ULrwNTJa3CHVaAVmO8lHlO4Afd3drtx651MXvhT4GuW"
						  "0eyDF4"), "the secret 2^255");

	CHECK(ak_token_format_secret("abcdefghijklmnopq", secret, text) == 0 &&
		  text[0] == '\0', "no private key of a bad prefix");
}

/*
 * All of these but the last have the right checksum.
 */
static void
test_unsound_secret(void)
{
	CHECK(classify("ak_sec_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp2"
				   "0anOHO") == AK_TOKEN_NONE, "the number 2^256");
	CHECK(classify("ak_sec_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
				   "24xgO5") == AK_TOKEN_NONE, "the number 62^43 - 1");
	CHECK(classify("Ak_sec_0000000000000000000000000000000000000000005"
				   "19NMwL") == AK_TOKEN_NONE, "a capital in the prefix");
	CHECK(classify("a__sec_0000000000000000000000000000000000000000005"
				   "1BY1cA") == AK_TOKEN_NONE, "an underscore at its end");
	CHECK(classify("1a_sec_0000000000000000000000000000000000000000005"
				   "2dlYVP") == AK_TOKEN_NONE, "a digit at its begin");
	CHECK(classify("abcdefghijklmnopq_sec_"
				   "0000000000000000000000000000000000000000005"
				   "1oEl1T") == AK_TOKEN_NONE, "a prefix too long");
	CHECK(classify("_sec_0000000000000000000000000000000000000000005"
				   "47oJ0j") == AK_TOKEN_NONE, "an empty prefix");
	CHECK(classify("a-b_sec_0000000000000000000000000000000000000000005"
				   "4RmLra") == AK_TOKEN_NONE, "a hyphen in the prefix");
	CHECK(classify("ak_sec_0000000000000000000000000000000000000000000"
				   "52A2eS") == AK_TOKEN_NONE, "a checksum plus 2^32");
}

/*
 * Change each character of a private key to each other byte, cut it at each
 * length, and swap neighbours: nothing of that is recognised.
 */
static void
test_mistyped_secret(void)
{
	static const char token[] = "my_app_sec_"
	"yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp10Zy06J";
	const size_t length = sizeof(token) - 1;
	char		text[sizeof(token)];
	int			changed = 0;
	int			swapped = 0;
	int			cut = 0;
	size_t		i;
	int			byte;

	for (i = 0; i < length; i++)
	{
		memcpy(text, token, sizeof(token));
		for (byte = 0; byte < 256; byte++)
		{
			text[i] = (char) byte;
			if (text[i] != token[i])
				changed += (ak_token_classify(text, length) != AK_TOKEN_NONE);
		}
	}
	for (i = 0; i + 1 < length; i++)
	{
		memcpy(text, token, sizeof(token));
		text[i] = token[i + 1];
		text[i + 1] = token[i];
		if (text[i] != text[i + 1])
			swapped += (ak_token_classify(text, length) != AK_TOKEN_NONE);
	}
	for (i = 0; i < length; i++)
		cut += (ak_token_classify(token, i) != AK_TOKEN_NONE);

	CHECK(changed == 0, "no changed character goes unnoticed");
	CHECK(swapped == 0, "no swapped neighbours go unnoticed");
	CHECK(cut == 0, "no cut goes unnoticed");
	CHECK(ak_token_classify(token + 1, length - 1) == AK_TOKEN_NONE,
		  "nor one at the begin");
}

/*
 * Read the 43 digits back by multiplying and adding, which is not how they
 * were written.
 */
static bool
secret_returns(const uint8_t *secret, const char *digits)
{
	uint8_t		number[AK_TOKEN_SECRET_BYTES] = {0};
	size_t		i;
	size_t		j;

	for (i = 0; i < AK_TOKEN_SECRET_DIGITS; i++)
	{
		const char *digit = strchr(digits62, digits[i]);
		unsigned	carry = (unsigned) (digit - digits62);

		for (j = sizeof(number); j-- > 0;)
		{
			carry += number[j] * 62u;
			number[j] = (uint8_t) carry;
			carry >>= 8;
		}
		if (carry != 0)
			return false;
	}
	return memcmp(number, secret, sizeof(number)) == 0;
}

static void
test_round_trip(void)
{
	uint8_t		secret[AK_TOKEN_SECRET_BYTES];
	char		text[AK_TOKEN_TEXT_SIZE];
	int			wrong = 0;
	int			round;
	size_t		i;

	for (round = 0; round < 20000; round++)
	{
		for (i = 0; i < sizeof(secret); i++)
			secret[i] = (uint8_t) tap_random(256);
		wrong += (ak_token_format_secret("ak", secret, text) != 56 ||
				  !secret_returns(secret, text + 7) ||
				  classify(text) != AK_TOKEN_SECRET);
	}
	CHECK(wrong == 0, "20,000 random secrets return");
}

#define SECRET_1 \
	"ak_sec_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1AXooe"
#define SECRET_2 \
	"my_app_sec_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp10Zy06J"

/*
 * How many private keys are found in this text, if they are these two, in
 * turns; -1 if something else is.
 */
static int
count_secrets(const char *text, size_t length)
{
	static const char *const secrets[] = {SECRET_1, SECRET_2};
	size_t		from = 0;
	size_t		found_length;
	const char *found;
	int			count = 0;

	while ((found = ak_token_find_secret(text, length, &from,
										 &found_length)) != NULL)
	{
		const char *expected = secrets[count++ % 2];

		if (found_length != strlen(expected) ||
			memcmp(found, expected, found_length) != 0)
			return -1;
	}
	return count;
}

static int
count_in(const char *text)
{
	return count_secrets(text, strlen(text));
}

static void
test_find_secret(void)
{
	static const char long_text[] = "_" SECRET_1 "_sec_, " SECRET_2 "\n_";
	size_t		from = 0;
	size_t		length;
	size_t		found_length;
	int			found = 0;

	CHECK(count_in("") == 0 && count_in("a_sec_b") == 0 &&
		  count_in("ak_pub_0000000000000000") == 0, "no private key");
	CHECK(count_in(SECRET_1) == 1, "a private key, and nothing else");
	CHECK(count_in("key=" SECRET_1 ";") == 1 && count_in("x" SECRET_1 "x") == 1 &&
		  count_in("_sec_" SECRET_1) == 1, "among other characters");
	CHECK(count_in("abcdefghijklmnopqrstuvwxyz" SECRET_1) == 1,
		  "behind more letters than a prefix has");
	CHECK(count_in(SECRET_1 SECRET_2) == 2 && count_in(long_text) == 2,
		  "one after the other");
	CHECK(count_in("ak_sec_" SECRET_1) == 1,
		  "behind a mark that is another's");
	CHECK(count_in("_sec_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1AXooe") == 0 &&
		  count_in("bk_sec_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1AXooe") == 0,
		  "none without its prefix");
	CHECK(count_secrets(SECRET_1, strlen(SECRET_1) - 1) == 0,
		  "only the counted bytes are read");
	CHECK(ak_token_contains_secret("a " SECRET_1, strlen(SECRET_1) + 2) &&
		  !ak_token_contains_secret("a " SECRET_1, strlen(SECRET_1) + 1),
		  "whether there is one");
	for (length = 0; length < sizeof(long_text); length++)
	{
		while (ak_token_find_secret(long_text, length, &from, &found_length))
			found += (found_length == strlen(found == 0 ? SECRET_1 : SECRET_2));
	}
	CHECK(found == 2, "each once in a text that grows by single bytes");
}

int
main(void)
{
	test_crc32();
	test_prefix();
	test_public();
	test_secret();
	test_unsound_secret();
	test_mistyped_secret();
	test_round_trip();
	test_find_secret();
	CHECK(classify("") == AK_TOKEN_NONE, "the empty text");
	return tap_done();
}
