/*
 * packed_array.h
 *	  Reads arrays in place, inside a row, without copying them.
 *
 * Rows in a heap hold short arrays with a one-byte header and without
 * alignment, which PostgreSQL's own functions can read from a copy only.  This
 * code allocates nothing, dereferences only byte pointers, and never reads
 * outside the value, whatever its bytes are.
 */
#ifndef AK_PACKED_ARRAY_H
#define AK_PACKED_ARRAY_H

#include "postgres.h"

/* Bytes owned by the caller. */
typedef struct AkBytes
{
	const char *data;
	size_t		size;
} AkBytes;

/*
 * A view of an array without NULLs, of at most one dimension.  It owns nothing
 * and is valid as long as the array.
 */
typedef struct AkPackedArray
{
	const char *elements;
	size_t		size;			/* of all elements, in bytes */
	int			count;
} AkPackedArray;

extern bool ak_packed_array_view(struct varlena *stored, size_t element_size,
								 AkPackedArray *array);
extern AkBytes ak_packed_array_next(const AkPackedArray *array,
									size_t *offset);

/*
 * The element at an index below the count, of an array that was viewed with
 * this element size; unaligned, so read it with memcpy() or memcmp().
 */
static inline const char *
ak_packed_array_at(const AkPackedArray *array, int index, size_t element_size)
{
	Assert(index >= 0 && index < array->count);
	return array->elements + index * element_size;
}

#endif							/* AK_PACKED_ARRAY_H */
