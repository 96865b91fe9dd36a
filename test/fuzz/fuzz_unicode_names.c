/*
 * fuzz_unicode_names.c
 *	  Fuzz src/core/unicode_names.c: any bytes are read within their bounds, and
 *	  a name that is plain has plain parts.
 */
#include "fuzz.h"
#include "core/unicode_names.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	size_t		i;

	if (!ak_name_is_plain(text, size))
		return 0;
	for (i = 0; i < size; i++)
	{
		REQUIRE(data[i] >= ' ' && data[i] != 0x7F);
		/* Cut where a character begins. */
		if ((data[i] & 0xC0) != 0x80)
			REQUIRE(i == 0 || data[i - 1] == ' ' || ak_name_is_plain(text, i));
	}
	return 0;
}
