/*
 * test_packed_array.c
 *	  Unit tests of src/packed_array.c, of bytes that no server would write.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/packed_array.h"

/* The C library's, not the server's. */
#undef printf
#include "tap.h"

/* An array of one dimension: its bytes behind the header of the varlena. */
typedef struct Bytes
{
	int32		dimensions;
	int32		data_offset;
	int32		type;
	int32		length;
	int32		lower_bound;
	char		data[44];
} Bytes;

/* Views the first "size" bytes, which are copied, so that no more are read. */
static bool
views(const Bytes *bytes, size_t size, size_t element_size,
	  AkPackedArray *array)
{
	static struct varlena *stored = NULL;

	free(stored);
	stored = malloc(VARHDRSZ + size);
	SET_VARSIZE(stored, VARHDRSZ + size);
	memcpy(VARDATA(stored), bytes, size);
	return ak_packed_array_view(stored, element_size, array);
}

static bool
views_elements(const char *data, size_t size, int length)
{
	Bytes		bytes = {.dimensions = 1,.length = length,.lower_bound = 1};
	AkPackedArray array;

	memcpy(bytes.data, data, size);
	return views(&bytes, offsetof(Bytes, data) + size, 0, &array);
}

static void
test_preamble(void)
{
	Bytes		bytes = {.dimensions = 1,.length = 2,.lower_bound = 1};
	AkPackedArray array;

	CHECK(views(&bytes, offsetof(Bytes, data) + 16, 8, &array) &&
		  array.count == 2 && array.size == 16, "an array");
	CHECK(!views(&bytes, offsetof(Bytes, data) + 15, 8, &array),
		  "one that is cut off");
	CHECK(!views(&bytes, offsetof(Bytes, data) - 1, 8, &array) &&
		  !views(&bytes, 11, 8, &array) && !views(&bytes, 0, 8, &array),
		  "one that has hardly begun");
	bytes.length = -1;
	CHECK(!views(&bytes, sizeof(bytes), 8, &array), "a negative length");
	bytes.length = PG_INT32_MAX;
	CHECK(!views(&bytes, sizeof(bytes), 8, &array) &&
		  !views(&bytes, sizeof(bytes), 0, &array), "too great a length");
	bytes.length = 0;
	bytes.data_offset = 24;
	CHECK(!views(&bytes, sizeof(bytes), 8, &array), "room for NULLs");
	bytes.data_offset = 0;
	bytes.dimensions = 2;
	CHECK(!views(&bytes, sizeof(bytes), 8, &array), "two dimensions");
	bytes.dimensions = -1;
	CHECK(!views(&bytes, sizeof(bytes), 8, &array), "less than none");
	bytes.dimensions = 0;
	CHECK(views(&bytes, 12, 8, &array) && array.count == 0, "none");
}

/* The headers of varlenas, as postgres.h or varatt.h has them. */
static void
test_elements(void)
{
	char		data[16] = {0};

	SET_VARSIZE(data, 8);
	CHECK(views_elements(data, 8, 1), "a long header");
	CHECK(!views_elements(data, 7, 1) && !views_elements(data, 3, 1),
		  "one that is cut off");
	CHECK(!views_elements(data, 8, 2), "fewer elements than there should be");
	SET_VARSIZE(data, 3);
	CHECK(!views_elements(data, 8, 1), "a size less than its header's");
	SET_VARSIZE(data, 0x3FFFFFFF);
	CHECK(!views_elements(data, 8, 1), "a size beyond the array");
	SET_VARSIZE_COMPRESSED(data, 8);
	CHECK(!views_elements(data, 8, 1), "a compressed element");
	SET_VARTAG_1B_E(data, VARTAG_ONDISK);
	CHECK(!views_elements(data, 8, 1), "an element out of line");
	SET_VARSIZE_SHORT(data, 3);
	SET_VARSIZE_SHORT(data + 3, 4);
	CHECK(views_elements(data, 7, 2), "short headers without padding");
	CHECK(!views_elements(data, 6, 2), "of which one is cut off");
	memset(data, 0, sizeof(data));
	SET_VARSIZE_SHORT(data, 3);
	SET_VARSIZE(data + 4, 4);
	CHECK(views_elements(data, 8, 2), "padding before a long one");
	CHECK(!views_elements(data, 4, 2), "padding, and then nothing");
}

static void
test_next(void)
{
	Bytes		bytes = {.dimensions = 1,.length = 2,.lower_bound = 1};
	AkPackedArray array;
	AkBytes		element;
	size_t		offset = 0;

	SET_VARSIZE_SHORT(bytes.data, 3);
	memcpy(bytes.data + 1, "ab", 2);
	SET_VARSIZE(bytes.data + 4, 7);
	memcpy(bytes.data + 8, "cde", 3);
	CHECK(views(&bytes, offsetof(Bytes, data) + 11, 0, &array), "two strings");
	element = ak_packed_array_next(&array, &offset);
	CHECK(element.size == 2 && memcmp(element.data, "ab", 2) == 0,
		  "the first one");
	element = ak_packed_array_next(&array, &offset);
	CHECK(element.size == 3 && memcmp(element.data, "cde", 3) == 0,
		  "the second one");
}

int
main(void)
{
	test_preamble();
	test_elements();
	test_next();
	return tap_done();
}
