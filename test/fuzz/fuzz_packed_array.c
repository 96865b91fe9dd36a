/*
 * fuzz_packed_array.c
 *	  Fuzz src/packed_array.c.  The first byte of an input is the size of an
 *	  element (0: they are varlenas), the rest a varlena without its header;
 *	  it gets a short one if it is short enough and the first byte is odd.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/packed_array.h"

/* The C library's, not the server's. */
#undef fprintf
#include "fuzz.h"

/* All elements are inside, one behind the other. */
static void
check_elements(const AkPackedArray *array, const char *end)
{
	const char *at = array->elements;
	size_t		offset = 0;

	for (int i = 0; i < array->count; i++)
	{
		AkBytes		element = ak_packed_array_next(array, &offset);

		REQUIRE(element.data >= at && element.data <= end);
		REQUIRE(element.size <= (size_t) (end - element.data));
		at = element.data + element.size;
		REQUIRE(at == array->elements + offset);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct varlena *stored;
	AkPackedArray array;
	size_t		element_size;

	if (size == 0)
		return 0;
	element_size = data[0] / 2;
	stored = malloc(VARHDRSZ + size);
	if (data[0] % 2 == 1 && size + VARHDRSZ_SHORT <= VARATT_SHORT_MAX)
	{
		SET_VARSIZE_SHORT(stored, size - 1 + VARHDRSZ_SHORT);
		stored = realloc(stored, size - 1 + VARHDRSZ_SHORT);
	}
	else
	{
		SET_VARSIZE(stored, size - 1 + VARHDRSZ);
		stored = realloc(stored, size - 1 + VARHDRSZ);
	}
	memcpy(VARDATA_ANY(stored), data + 1, size - 1);
	if (ak_packed_array_view(stored, element_size, &array))
	{
		const char *end = VARDATA_ANY(stored) + VARSIZE_ANY_EXHDR(stored);

		REQUIRE(array.count >= 0 &&
				(array.count == 0 || array.elements + array.size == end));
		if (element_size == 0)
			check_elements(&array, end);
		else
			REQUIRE((size_t) array.count <= array.size / element_size);
	}
	free(stored);
	return 0;
}
