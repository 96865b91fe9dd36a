/*
 * unicode_names.c
 *	  See unicode_names.h.
 *
 * Two names must not look alike because one has a character that nobody sees, and
 * none must change how the text around it is shown.
 */
#include "core/unicode_names.h"

#include <stdint.h>

typedef struct Range
{
	uint32_t	first;
	uint32_t	last;
} Range;

/*
 * Sorted.  Of the Unicode Character Database, version 15.0: the characters of
 * general category Cc, Cf, Co, Cs, Zl, Zp and Zs but the space U+0020
 * (UnicodeData.txt), those with property Default_Ignorable_Code_Point
 * (DerivedCoreProperties.txt) or Noncharacter_Code_Point (PropList.txt), and
 * U+2800, a Braille pattern without dots.
 */
static const Range unseen[] = {
	{0x0000, 0x001F}, {0x007F, 0x00A0}, {0x00AD, 0x00AD}, {0x034F, 0x034F},
	{0x0600, 0x0605}, {0x061C, 0x061C}, {0x06DD, 0x06DD}, {0x070F, 0x070F},
	{0x0890, 0x0891}, {0x08E2, 0x08E2}, {0x115F, 0x1160}, {0x1680, 0x1680},
	{0x17B4, 0x17B5}, {0x180B, 0x180F}, {0x2000, 0x200F}, {0x2028, 0x202F},
	{0x205F, 0x206F}, {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3164, 0x3164},
	{0xD800, 0xF8FF}, {0xFDD0, 0xFDEF}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF},
	{0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB}, {0xFFFE, 0xFFFF},
	{0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F},
	{0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0x1FFFE, 0x1FFFF},
	{0x2FFFE, 0x2FFFF}, {0x3FFFE, 0x3FFFF}, {0x4FFFE, 0x4FFFF},
	{0x5FFFE, 0x5FFFF}, {0x6FFFE, 0x6FFFF}, {0x7FFFE, 0x7FFFF},
	{0x8FFFE, 0x8FFFF}, {0x9FFFE, 0x9FFFF}, {0xAFFFE, 0xAFFFF},
	{0xBFFFE, 0xBFFFF}, {0xCFFFE, 0xCFFFF}, {0xDFFFE, 0xE0FFF},
	{0xEFFFE, 0x10FFFF}
};

#define RANGE_COUNT (sizeof(unseen) / sizeof(unseen[0]))

static bool
is_unseen(uint32_t character)
{
	size_t		low = 0;
	size_t		high = RANGE_COUNT;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (character > unseen[middle].last)
			low = middle + 1;
		else if (character < unseen[middle].first)
			high = middle;
		else
			return true;
	}
	return false;
}

/*
 * Reads the character at *text, in its shortest form (RFC 3629), and moves on;
 * false if there is none.
 */
static bool
read_character(const unsigned char **text, const unsigned char *end,
			   uint32_t *character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char lead = *(*text)++;
	int			length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;

	if (length == 1)
	{
		*character = lead;
		return true;
	}
	if (lead < 0xC2 || lead > 0xF4 || end - *text < length - 1)
		return false;
	*character = lead & (0xFF >> (length + 1));
	for (int i = 1; i < length; i++)
	{
		unsigned char next = *(*text)++;

		if ((next & 0xC0) != 0x80)
			return false;
		*character = *character << 6 | (next & 0x3F);
	}
	return *character >= least[length] && *character <= 0x10FFFF;
}

/*
 * Whether the bytes are valid UTF-8 of characters that can be seen, with single
 * spaces between them: at least one, and no space at either end.
 */
bool
ak_name_is_plain(const char *utf8, size_t size)
{
	const unsigned char *text = (const unsigned char *) utf8;
	const unsigned char *end = text + size;
	uint32_t	character;
	uint32_t	before = ' ';

	while (text < end)
	{
		if (!read_character(&text, end, &character) || is_unseen(character) ||
			(character == ' ' && before == ' '))
			return false;
		before = character;
	}
	return before != ' ';
}
