/*
 * tally.c
 *	  See tally.h.
 */
#include "core/tally.h"

/* The hour of a time stamp in microseconds, which may be negative. */
int64_t
ak_tally_hour(int64_t at)
{
	return at / AK_HOUR - (at % AK_HOUR < 0);
}

static void
add_to(AkTally *tally, const AkTally *added)
{
	tally->count += added->count;
	tally->cost = added->cost > INT64_MAX - tally->cost ?
		INT64_MAX : tally->cost + added->cost;
}

/*
 * Adds to the tallies, of which the first is of the latest hour that anything
 * was counted in, and the second of an hour before.  Cheap, and called under
 * spinlocks.
 */
void
ak_tally_add(AkTally *tallies, const AkTally *added)
{
	AkTally    *latest = &tallies[0];
	AkTally    *earlier = &tallies[1];

	if (added->count == 0)
		return;
	if (added->hour > latest->hour)
	{
		if (latest->count > 0)
		{
			earlier->hour = latest->hour;
			add_to(earlier, latest);
		}
		*latest = *added;
	}
	else if (added->hour == latest->hour)
		add_to(latest, added);
	else
	{
		if (earlier->count == 0 || added->hour > earlier->hour)
			earlier->hour = added->hour;
		add_to(earlier, added);
	}
}

/* Nothing is counted any more; what was the latest hour stays known. */
void
ak_tally_clear(AkTally *tallies)
{
	for (int i = 0; i < AK_TALLIES; i++)
		tallies[i].count = tallies[i].cost = 0;
}
