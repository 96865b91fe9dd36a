/*
 * guess_cell.c
 *	  See guess_cell.h.
 */
#include "core/guess_cell.h"

#define MINUTE	INT64_C(60000000)	/* microseconds */

/* How long one guess is counted. */
static int64_t
get_weight(int limit)
{
	return MINUTE / limit;
}

/* Whether a cell lets no other guess pass now. */
static bool
refuses(const AkGuessCell *cell, int64_t now, int limit)
{
	return cell->full_at - now > get_weight(limit) * (limit - 1);
}

static AkGuessCell *
find_cell(AkGuessCell *cells, size_t count, uint64_t mark)
{
	for (size_t i = 0; i < count; i++)
		if (cells[i].mark == mark)
			return &cells[i];
	return NULL;
}

/* The cell of which the least is taken. */
static AkGuessCell *
find_fullest(AkGuessCell *cells, size_t count)
{
	AkGuessCell *fullest = cells;

	for (size_t i = 1; i < count; i++)
		if (cells[i].full_at < fullest->full_at)
			fullest = &cells[i];
	return fullest;
}

/*
 * Counts a guess under a mark, in one of count cells, of which there is at least
 * one; false, and nothing is counted, if there were limit (1 to
 * AK_GUESS_LIMIT_MAX) of them lately.  The time now is in microseconds, 0 or
 * more.  A mark without a cell takes that of which the least is taken, but none
 * that refuses: where all do the guess passes, and is not counted.
 */
bool
ak_guess_cells_take(AkGuessCell *cells, size_t count, uint64_t mark,
					int64_t now, int limit)
{
	AkGuessCell *cell = find_cell(cells, count, mark);

	if (cell && refuses(cell, now, limit))
		return false;
	if (cell == NULL)
	{
		cell = find_fullest(cells, count);
		if (refuses(cell, now, limit))
			return true;
		cell->mark = mark;
		cell->full_at = now;
	}
	if (cell->full_at < now)
		cell->full_at = now;
	cell->full_at += get_weight(limit);
	return true;
}

/* Takes back what ak_guess_cells_take() has counted, if it still is. */
void
ak_guess_cells_give_back(AkGuessCell *cells, size_t count, uint64_t mark,
						 int limit)
{
	AkGuessCell *cell = find_cell(cells, count, mark);

	if (cell)
		cell->full_at -= get_weight(limit);
}
