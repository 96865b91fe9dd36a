/*
 * nonce_cell.c
 *	  See nonce_cell.h.
 */
#include "core/nonce_cell.h"

#include <stddef.h>

static AkNonceUse
count_in(AkNonceCell *cell, uint32_t count)
{
	uint32_t	distance;

	if (count > cell->highest)
	{
		distance = count - cell->highest;
		cell->seen = distance < AK_NONCE_WINDOW ? cell->seen << distance : 0;
		cell->seen |= 1;
		cell->highest = count;
		return AK_NONCE_TAKEN;
	}
	distance = cell->highest - count;
	if (distance >= AK_NONCE_WINDOW)
		return AK_NONCE_FORGOTTEN;
	if (cell->seen >> distance & 1)
		return AK_NONCE_USED_BEFORE;
	cell->seen |= UINT64_C(1) << distance;
	return AK_NONCE_TAKEN;
}

/*
 * Takes a request: the nonce by a mark of its own, when it was issued (more than
 * 0), and the count, from 1 on.
 */
AkNonceUse
ak_nonce_take(AkNonceBucket *bucket, uint64_t mark, int64_t issued_at,
			  uint32_t count)
{
	AkNonceCell *oldest = &bucket->cells[0];

	for (int i = 0; i < AK_NONCE_CELLS; i++)
	{
		AkNonceCell *cell = &bucket->cells[i];

		if (cell->issued_at == issued_at && cell->mark == mark)
			return count_in(cell, count);
		if (cell->issued_at < oldest->issued_at)
			oldest = cell;
	}
	if (issued_at <= bucket->forgotten_until ||
		issued_at <= oldest->issued_at)
		return AK_NONCE_FORGOTTEN;
	bucket->forgotten_until = oldest->issued_at;
	*oldest = (AkNonceCell) {.mark = mark, .issued_at = issued_at};
	return count_in(oldest, count);
}
