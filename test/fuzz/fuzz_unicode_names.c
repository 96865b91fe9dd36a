/*
 * fuzz_unicode_names.c
 *	  Fuzz src/core/unicode_names.c.  An input is a text.
 */
#include "fuzz.h"
#include "core/scope.h"

/*
 * How many bytes the first character has, as its first byte says; 0 if that
 * is none, or the text ends before.
 */
static size_t
measure(const char *text, size_t length)
{
	unsigned char lead = (unsigned char) text[0];
	size_t		size = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 :
		lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;

	return size <= length ? size : 0;
}

/* A name is characters that are names, and spaces between two of them. */
static bool
is_name_by_parts(const char *text, size_t length, size_t *count)
{
	bool		after_space = true;

	*count = 0;
	while (length > 0)
	{
		size_t		size = measure(text, length);
		bool		is_space = text[0] == ' ';

		if (size == 0 || (is_space && after_space) ||
			(!is_space && !ak_unicode_is_name(text, size, 1)))
			return false;
		after_space = is_space;
		text += size;
		length -= size;
		(*count)++;
	}
	return !after_space;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	bool		is_name = ak_unicode_is_name(text, size, size);
	size_t		count;

	REQUIRE(is_name == is_name_by_parts(text, size, &count));
	if (!is_name)
		return 0;
	REQUIRE(ak_unicode_is_name(text, size, count));
	REQUIRE(!ak_unicode_is_name(text, size, count - 1));
	for (size_t i = 0; i < size; i++)
		REQUIRE(data[i] >= ' ' && data[i] != 0x7F);
	return 0;
}
