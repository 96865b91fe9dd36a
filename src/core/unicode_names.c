/*
 * unicode_names.c
 *	  Names that people read: text in which every character is visible.
 *
 * A name with invisible characters looks like another name, and characters
 * that change the direction of writing show a different text (Unicode
 * Technical Report #36, section 2).
 *
 * A leaf: no PostgreSQL, no allocation, no errors raised.
 */
#include <stdint.h>

#include "core/scope.h"

typedef struct Range
{
	uint32_t	first;
	uint32_t	last;
} Range;

/*
 * The code points that no name contains, in ascending order:
 *
 * - general categories Cc (control), Cf (format), Zl, Zp (line and paragraph
 *	 separator), Zs (space) but U+0020, Co (private use) and Cs (surrogate),
 *	 from UnicodeData.txt, version 15.0.0;
 * - Default_Ignorable_Code_Point, from DerivedCoreProperties.txt, version
 *	 15.0.0, which includes code points that are reserved for more of them;
 * - characters that have no picture: U+2800, the Braille pattern without a dot,
 *	 U+2D7F and U+1107F, which join consonants, U+13441 and U+13442, the Egyptian
 *	 blanks, U+16FE4, the Khitan filler, and U+1D159, the null notehead;
 * - the noncharacters U+FDD0 to U+FDEF.  Those at the end of each plane are
 *	 told by is_refused().
 *
 * Version 17.0.0 of both files gives the same table.
 */
static const Range refused[] = {
	{0x0000, 0x001F},			/* Cc */
	{0x007F, 0x00A0},			/* Cc; no-break space */
	{0x00AD, 0x00AD},			/* soft hyphen */
	{0x034F, 0x034F},			/* combining grapheme joiner */
	{0x0600, 0x0605},			/* Arabic number signs */
	{0x061C, 0x061C},			/* Arabic letter mark */
	{0x06DD, 0x06DD},			/* Arabic end of ayah */
	{0x070F, 0x070F},			/* Syriac abbreviation mark */
	{0x0890, 0x0891},			/* Arabic currency marks above */
	{0x08E2, 0x08E2},			/* Arabic disputed end of ayah */
	{0x115F, 0x1160},			/* Hangul fillers */
	{0x1680, 0x1680},			/* Ogham space */
	{0x17B4, 0x17B5},			/* Khmer inherent vowels */
	{0x180B, 0x180F},			/* Mongolian variation selectors */
	{0x2000, 0x200F},			/* spaces, zero widths, direction marks */
	{0x2028, 0x202F},			/* Zl, Zp, directions; narrow no-break space */
	{0x205F, 0x206F},			/* a space, invisible operators, directions */
	{0x2800, 0x2800},			/* Braille pattern blank */
	{0x2D7F, 0x2D7F},			/* Tifinagh consonant joiner */
	{0x3000, 0x3000},			/* ideographic space */
	{0x3164, 0x3164},			/* Hangul filler */
	{0xD800, 0xF8FF},			/* Cs, Co */
	{0xFDD0, 0xFDEF},			/* noncharacters */
	{0xFE00, 0xFE0F},			/* variation selectors */
	{0xFEFF, 0xFEFF},			/* zero width no-break space */
	{0xFFA0, 0xFFA0},			/* halfwidth Hangul filler */
	{0xFFF0, 0xFFFB},			/* reserved; annotation marks */
	{0x1107F, 0x1107F},			/* Brahmi number joiner */
	{0x110BD, 0x110BD},			/* Kaithi number sign */
	{0x110CD, 0x110CD},			/* Kaithi number sign above */
	{0x13430, 0x1343F},			/* Egyptian hieroglyph format controls */
	{0x13441, 0x13442},			/* Egyptian hieroglyph blanks */
	{0x16FE4, 0x16FE4},			/* Khitan small script filler */
	{0x1BCA0, 0x1BCA3},			/* shorthand format controls */
	{0x1D159, 0x1D159},			/* musical symbol null notehead */
	{0x1D173, 0x1D17A},			/* musical symbol format controls */
	{0xE0000, 0xE0FFF},			/* tags, variation selectors, reserved */
	{0xF0000, 0x10FFFF},		/* Co */
};

#define RANGE_COUNT		(sizeof(refused) / sizeof(refused[0]))

static bool
is_refused(uint32_t character)
{
	size_t		low = 0;
	size_t		high = RANGE_COUNT;

	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;

		if (character > refused[middle].last)
			low = middle + 1;
		else if (character < refused[middle].first)
			high = middle;
		else
			return true;
	}
	/* The noncharacters U+FFFE and U+FFFF, and the same of the other planes. */
	return (character & 0xFFFE) == 0xFFFE;
}

/*
 * Reads the next character at *text, before end, and advances; returns false
 * if the bytes are not UTF-8 (RFC 3629) in its shortest form.  A surrogate is
 * read like any other character: the table rejects it.
 */
static bool
decode(const unsigned char **text, const unsigned char *end,
	   uint32_t *character)
{
	unsigned char lead = *(*text)++;
	uint32_t	least;
	int			more;

	if (lead < 0x80)
	{
		*character = lead;
		return true;
	}
	if (lead < 0xC0 || lead > 0xF7)
		return false;
	more = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
	least = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
	if (end - *text < more)
		return false;
	*character = lead & (0x3F >> more);
	for (int i = 0; i < more; i++)
	{
		unsigned char byte = *(*text)++;

		if ((byte & 0xC0) != 0x80)
			return false;
		*character = *character << 6 | (byte & 0x3F);
	}
	return *character >= least && *character <= 0x10FFFF;
}

/*
 * Checks whether the text is a name: 1 to max_characters code points in UTF-8,
 * all visible, with only single spaces (U+0020) between others.
 */
bool
ak_unicode_is_name(const char *text, size_t length, size_t max_characters)
{
	const unsigned char *next = (const unsigned char *) text;
	const unsigned char *end = next + length;
	uint32_t	character;
	uint32_t	previous = ' ';
	size_t		count = 0;

	while (next < end)
	{
		if (!decode(&next, end, &character) || is_refused(character) ||
			(character == ' ' && previous == ' ') ||
			++count > max_characters)
			return false;
		previous = character;
	}
	/* Still unchanged if the string is empty. */
	return previous != ' ';
}
