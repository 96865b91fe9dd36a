/*
 * tally.h
 *	  How much was counted, and in which hour: in the latest one, and before.
 *
 * Two tallies are enough as long as somebody takes them once an hour.  What
 * waits for longer is told by the last two of its hours; the sum is right in
 * any case.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing.
 */
#ifndef AK_TALLY_H
#define AK_TALLY_H

#include <stdbool.h>
#include <stdint.h>

/* Microseconds. */
#define AK_HOUR		INT64_C(3600000000)

#define AK_TALLIES	2

typedef struct AkTally
{
	int64_t		hour;			/* since the beginning of time stamps */
	uint64_t	count;
	uint64_t	cost;			/* stops at the largest bigint */
} AkTally;

extern int64_t ak_tally_hour(int64_t at);
extern void ak_tally_add(AkTally *tallies, const AkTally *added);
extern void ak_tally_clear(AkTally *tallies);

/* What all of them have counted. */
static inline uint64_t
ak_tally_total(const AkTally *tallies)
{
	return tallies[0].count + tallies[1].count;
}

#endif							/* AK_TALLY_H */
