/*
 * test_unicode_names.c
 *	  Unit tests of src/core/unicode_names.c.
 */
#include "core/scope.h"
#include "tap.h"

/*
 * How many code points the files of Unicode 15.0.0 (unicode_names.c says
 * which) and the list beside them make refused, and a hash of them in ascending order; computed from
 * the files by a script in another language.
 */
#define REFUSED_COUNT	143878
#define REFUSED_HASH	0x71DA0065

static bool
is_name(const char *text)
{
	return ak_unicode_is_name(text, strlen(text), 250);
}

/*
 * Writes the bytes that UTF-8 has, or would have, for a code point; returns
 * how many.
 */
static size_t
encode(uint32_t character, char *text)
{
	if (character < 0x80)
	{
		text[0] = (char) character;
		return 1;
	}
	if (character < 0x800)
	{
		text[0] = (char) (0xC0 | character >> 6);
		text[1] = (char) (0x80 | (character & 0x3F));
		return 2;
	}
	if (character < 0x10000)
	{
		text[0] = (char) (0xE0 | character >> 12);
		text[1] = (char) (0x80 | (character >> 6 & 0x3F));
		text[2] = (char) (0x80 | (character & 0x3F));
		return 3;
	}
	text[0] = (char) (0xF0 | character >> 18);
	text[1] = (char) (0x80 | (character >> 12 & 0x3F));
	text[2] = (char) (0x80 | (character >> 6 & 0x3F));
	text[3] = (char) (0x80 | (character & 0x3F));
	return 4;
}

static void
test_every_code_point(void)
{
	uint32_t	count = 0;
	uint32_t	hash = 0;
	uint32_t	inside = 0;

	for (uint32_t character = 0; character <= 0x10FFFF; character++)
	{
		char		text[6] = "a";
		size_t		length = encode(character, text + 1);

		if (!ak_unicode_is_name(text + 1, length, 250) && character != ' ')
		{
			count++;
			hash = hash * 31 + character;
		}
		/* Between others it is refused or not as it is alone. */
		text[1 + length] = 'b';
		inside += ak_unicode_is_name(text, length + 2, 250) !=
			(ak_unicode_is_name(text + 1, length, 250) || character == ' ');
	}
	CHECK(count == REFUSED_COUNT, "as many code points as Unicode says");
	CHECK(hash == REFUSED_HASH, "and the same ones");
	CHECK(inside == 0, "within a name as well");
}

static void
test_characters(void)
{
	CHECK(is_name("a") && is_name("Billing (EU) #2"), "ASCII");
	CHECK(is_name("B\xC3\xBCro") && is_name("\xD0\x9A\xD0\xBB\xD1\x8E\xD1\x87") &&
		  is_name("\xE9\x8D\xB5") && is_name("\xF0\x9F\x94\x91"),
		  "letters of other scripts, and symbols");
	CHECK(is_name("e\xCC\x81"), "a combining accent");
	CHECK(!is_name("a\tb") && !is_name("a\nb") && !is_name("a\x7F") &&
		  !is_name("a\xC2\x85"), "no controls");
	CHECK(!is_name("a\xE2\x80\x8B" "b") && !is_name("a\xE2\x80\x8D" "b") &&
		  !is_name("\xEF\xBB\xBF" "a"), "nothing of no width");
	CHECK(!is_name("a\xE2\x80\xAE" "b") && !is_name("a\xE2\x81\xA6" "b") &&
		  !is_name("a\xE2\x80\x8F"), "nothing that turns the direction");
	CHECK(!is_name("a\xC2\xA0" "b") && !is_name("a\xE3\x80\x80" "b") &&
		  !is_name("a\xE2\xA0\x80" "b"), "no other blanks");
	CHECK(!is_name("\xE1\x85\x9F") && !is_name("\xE3\x85\xA4") &&
		  !is_name("\xEF\xBE\xA0"), "no Hangul fillers");
	CHECK(!is_name("\xE2\xB5\xBF") && !is_name("\xF0\x91\x81\xBF") &&
		  !is_name("\xF0\x93\x91\x81") && !is_name("\xF0\x93\x91\x82") &&
		  !is_name("\xF0\x96\xBF\xA4") && !is_name("\xF0\x9D\x85\x99"),
		  "no blanks of scripts");
	CHECK(!is_name("a\xEF\xB8\x8F") && !is_name("a\xF3\xA0\x80\x81") &&
		  !is_name("a\xF3\xA0\x84\x80"), "no variation selectors, no tags");
	CHECK(!is_name("\xEE\x80\x80") && !is_name("\xF4\x80\x80\x80"),
		  "nothing of private use");
	CHECK(!is_name("\xEF\xBF\xBF") && !is_name("\xF0\x9F\xBF\xBE"),
		  "no noncharacters");
	CHECK(!ak_unicode_is_name("a\0b", 3, 250), "no zero byte");
}

static void
test_spaces(void)
{
	CHECK(!is_name("") && !is_name(" ") && !is_name("  "), "nothing to see");
	CHECK(is_name("a b c"), "spaces one by one");
	CHECK(!is_name(" a") && !is_name("a "), "none at the ends");
	CHECK(!is_name("a  b") && !is_name("a b  c"), "no two of them");
}

static void
test_encoding(void)
{
	CHECK(!is_name("\x80") && !is_name("a\xBF"), "no byte that continues");
	CHECK(!is_name("\xC3") && !is_name("\xE9\x8D") && !is_name("\xF0\x9F\x94") &&
		  !is_name("\xC3" "a"), "no part of a character");
	CHECK(!is_name("\xC1\xA1") && !is_name("\xE0\x81\xA1") &&
		  !is_name("\xF0\x80\x81\xA1"), "no longer form of a letter");
	CHECK(!is_name("\xED\xA0\x80"), "no surrogate");
	CHECK(!is_name("\xF4\x90\x80\x80") && !is_name("\xF8\x88\x80\x80\x80") &&
		  !is_name("\xFF"), "nothing beyond U+10FFFF");
}

static void
test_length(void)
{
	char		text[2 * 251];

	memset(text, 'a', sizeof(text));
	CHECK(ak_unicode_is_name(text, 250, 250) &&
		  !ak_unicode_is_name(text, 251, 250), "250 letters");
	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "\xC3\xBC", 2);
	CHECK(ak_unicode_is_name(text, 2 * 250, 250) &&
		  !ak_unicode_is_name(text, 2 * 251, 250), "of two bytes each too");
	CHECK(!ak_unicode_is_name("a", 1, 0), "none at all");
}

int
main(void)
{
	test_every_code_point();
	test_characters();
	test_spaces();
	test_encoding();
	test_length();
	return tap_done();
}
