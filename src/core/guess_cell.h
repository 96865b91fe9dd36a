/*
 * guess_cell.h
 *	  Counts guesses, so that only so many of them a minute are let through.
 *
 * The generic cell rate algorithm (ITU-T I.371): a cell keeps one moment, when
 * all that was taken from it will have come back.  "limit" guesses pass at once,
 * and then one every minute / limit.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing; the
 * caller owns the cells, holds their lock and tells the time.
 */
#ifndef AK_GUESS_CELL_H
#define AK_GUESS_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that a limit may be, for each guess then counts a millisecond. */
#define AK_GUESS_LIMIT_MAX	60000

typedef struct AkGuessCell
{
	uint64_t	mark;			/* of what is counted */
	int64_t		full_at;		/* in microseconds; all 0: free */
} AkGuessCell;

extern bool ak_guess_cells_take(AkGuessCell *cells, size_t count,
								uint64_t mark, int64_t now, int limit);
extern void ak_guess_cells_give_back(AkGuessCell *cells, size_t count,
									 uint64_t mark, int limit);

#endif							/* AK_GUESS_CELL_H */
