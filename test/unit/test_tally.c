/*
 * test_tally.c
 *	  Unit tests of src/core/counting.c: hours, and sums that lose nothing.
 */
#include "core/counting.h"

#include "tap.h"

#include <string.h>

static bool
holds(const AkTally *tally, int64_t hour, uint64_t count, uint64_t cost)
{
	return tally->hour == hour && tally->count == count && tally->cost == cost;
}

static void
add(AkTally *tallies, int64_t hour, uint64_t count, uint64_t cost)
{
	AkTally		added = {hour, count, cost};

	ak_tally_add(tallies, &added);
}

static void
test_hours(void)
{
	CHECK(ak_tally_hour(0) == 0 && ak_tally_hour(AK_HOUR - 1) == 0,
		  "an hour has its last microsecond");
	CHECK(ak_tally_hour(AK_HOUR) == 1, "and the next begins with its first");
	CHECK(ak_tally_hour(-1) == -1 && ak_tally_hour(-AK_HOUR) == -1 &&
		  ak_tally_hour(-AK_HOUR - 1) == -2, "before the year 2000 as well");
}

static void
test_turn(void)
{
	AkTally		tallies[AK_TALLIES] = {{0}};

	add(tallies, 500000, 1, 5);
	add(tallies, 500000, 1, 0);
	CHECK(holds(&tallies[0], 500000, 2, 5) && tallies[1].count == 0,
		  "one hour");
	add(tallies, 500001, 1, 7);
	CHECK(holds(&tallies[0], 500001, 1, 7) && holds(&tallies[1], 500000, 2, 5),
		  "the hour turns");
	add(tallies, 500000, 1, 1);
	CHECK(holds(&tallies[0], 500001, 1, 7) && holds(&tallies[1], 500000, 3, 6),
		  "a use that began before the turn and is counted after it");
	add(tallies, 500002, 1, 0);
	CHECK(holds(&tallies[0], 500002, 1, 0) && holds(&tallies[1], 500001, 4, 13),
		  "nobody takes them for more than an hour: the last two hours tell all");
	add(tallies, 500002, 0, 0);
	add(tallies, 500009, 0, 0);
	CHECK(holds(&tallies[0], 500002, 1, 0) && holds(&tallies[1], 500001, 4, 13),
		  "nothing is nothing, of whatever hour");
	CHECK(ak_tally_total(tallies) == 5, "the sum");
	ak_tally_clear(tallies);
	CHECK(ak_tally_total(tallies) == 0, "taken");
	add(tallies, 500001, 1, 0);
	CHECK(holds(&tallies[1], 500001, 1, 0) && tallies[0].count == 0,
		  "the clock was set back");
	add(tallies, 500002, 1, 0);
	CHECK(holds(&tallies[0], 500002, 1, 0) && holds(&tallies[1], 500001, 1, 0),
		  "and goes on");
}

static void
test_take_back(void)
{
	AkTally		pending[AK_TALLIES] = {{8, 3, 3}, {7, 2, 2}};
	AkTally		in_flight[AK_TALLIES];

	memcpy(in_flight, pending, sizeof(in_flight));
	ak_tally_clear(pending);
	add(pending, 8, 1, 1);
	for (int i = 0; i < AK_TALLIES; i++)
		ak_tally_add(pending, &in_flight[i]);
	CHECK(holds(&pending[0], 8, 4, 4) && holds(&pending[1], 7, 2, 2),
		  "what was not written is pending again, each hour its own");
}

static void
test_largest(void)
{
	AkTally		tallies[AK_TALLIES] = {{0}};

	add(tallies, 1, 1, INT64_MAX);
	add(tallies, 1, 1, 1);
	add(tallies, 2, 1, INT64_MAX);
	add(tallies, 3, 1, 0);
	CHECK(holds(&tallies[1], 2, 3, INT64_MAX) && tallies[0].count == 1,
		  "costs stop at the largest");
}

/* Whatever comes in whatever order: nothing is lost. */
static void
test_sums(void)
{
	AkTally		tallies[AK_TALLIES] = {{0}};
	uint64_t	state = 1;
	uint64_t	count = 0;
	uint64_t	cost = 0;
	bool		is_right = true;

	for (int i = 0; i < 100000; i++)
	{
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		add(tallies, 500000 + i / 1000 - (int64_t) (state >> 62), 1,
			state >> 50);
		count++;
		cost += state >> 50;
		is_right &= ak_tally_total(tallies) == count &&
			tallies[0].cost + tallies[1].cost == cost &&
			(tallies[1].count == 0 || tallies[1].hour < tallies[0].hour);
	}
	CHECK(is_right, "sums are right after each of 100000 additions");
}

int
main(void)
{
	test_hours();
	test_turn();
	test_take_back();
	test_largest();
	test_sums();
	return tap_done();
}
