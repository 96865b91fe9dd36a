/*
 * packed_array.c
 *	  Reads arrays in place, inside a row, without copying them.
 *
 * Rows in a heap hold short arrays with a one-byte header and without
 * alignment, which PostgreSQL's own functions can read from a copy only.  This
 * code allocates nothing, dereferences only byte pointers, and never reads
 * outside the value, whatever its bytes are.
 *
 * An array is, after the header of a varlena, the number of dimensions, where
 * the data begin if there may be NULLs (else 0), the type of the elements, for
 * each dimension its length and then for each its lower bound, and the data.
 * All that is aligned is so relative to a beginning four bytes before, where
 * the header is when it is not a short one; the data begin at a multiple of
 * MAXIMUM_ALIGNOF from there, and so are aligned relative to themselves.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/packed_array.h"

/* The bytes before the data of a one-dimensional array, without the header. */
typedef struct Preamble
{
	int32		dimensions;
	int32		data_offset;
	Oid			element_type;
	int32		length;
	int32		lower_bound;
} Preamble;

#define DATA_OFFSET			(MAXALIGN(VARHDRSZ + sizeof(Preamble)) - VARHDRSZ)

/* An array of no dimension has only the first three of them. */
#define EMPTY_SIZE			offsetof(Preamble, length)

/*
 * Takes the element at *offset, a varlena with int alignment, and advances the
 * offset past it.  Returns false if there is no complete, plain element.
 */
static bool
take_element(const AkPackedArray *array, size_t *offset, AkBytes *element)
{
	const char *at;
	size_t		size;

	if (*offset >= array->size)
		return false;
	/* A short header is unaligned if no padding byte precedes it. */
	if (array->elements[*offset] == 0)
		*offset = INTALIGN(*offset);
	if (*offset >= array->size)
		return false;
	at = array->elements + *offset;
	if (VARATT_IS_1B(at))
	{
		if (VARATT_IS_1B_E(at))
			return false;
		size = VARSIZE_1B(at);
		element->data = at + VARHDRSZ_SHORT;
		element->size = size - VARHDRSZ_SHORT;
	}
	else
	{
		varattrib_4b header;

		if (array->size - *offset < VARHDRSZ)
			return false;
		memcpy(&header, at, VARHDRSZ);
		size = VARSIZE_4B(&header);
		if (!VARATT_IS_4B_U(&header) || size < VARHDRSZ)
			return false;
		element->data = at + VARHDRSZ;
		element->size = size - VARHDRSZ;
	}
	if (size > array->size - *offset)
		return false;
	*offset += size;
	return true;
}

/*
 * Makes a view of an array that is neither compressed nor out of line.
 * Elements have the fixed size element_size, which is a multiple of their
 * alignment, or, if that is 0, are of a varlena type with int alignment.
 * Returns false unless it is a complete array of at most one dimension without
 * NULLs.
 */
bool
ak_packed_array_view(struct varlena *stored, size_t element_size,
					 AkPackedArray *array)
{
	const char *bytes = VARDATA_ANY(stored);
	size_t		size = VARSIZE_ANY_EXHDR(stored);
	Preamble	preamble;
	size_t		offset = 0;
	AkBytes		element;

	memset(array, 0, sizeof(*array));
	if (size < EMPTY_SIZE)
		return false;
	memcpy(&preamble, bytes, EMPTY_SIZE);
	if (preamble.dimensions == 0)
		return true;
	if (preamble.dimensions != 1 || preamble.data_offset != 0 ||
		size < DATA_OFFSET)
		return false;
	memcpy(&preamble, bytes, sizeof(preamble));
	if (preamble.length < 0)
		return false;
	array->elements = bytes + DATA_OFFSET;
	array->size = size - DATA_OFFSET;
	array->count = preamble.length;
	if (element_size > 0)
		return (size_t) array->count <= array->size / element_size;
	for (int i = 0; i < array->count; i++)
		if (!take_element(array, &offset, &element))
			return false;
	return true;
}

/*
 * Returns the varlena element at *offset, which starts at 0, and advances the
 * offset to the next one.  Call it at most once for each element.
 */
AkBytes
ak_packed_array_next(const AkPackedArray *array, size_t *offset)
{
	AkBytes		element = {NULL, 0};

	/* cannot fail: the view was validated */
	if (!take_element(array, offset, &element))
		Assert(false);
	return element;
}
