/*
 * test_guess_cell.c
 *	  Unit tests of src/core/counting.c.
 */
#include "core/counting.h"
#include "tap.h"

#define SECOND	INT64_C(1000000)
#define CELLS	4

/* How many of "tries" guesses at one time pass. */
static int
count_passed(AkGuessCell *cells, uint64_t mark, int64_t now, int limit,
			 int tries)
{
	int			passed = 0;

	for (int i = 0; i < tries; i++)
		passed += ak_guess_cells_take(cells, CELLS, mark, now, limit);
	return passed;
}

static void
test_rate(void)
{
	AkGuessCell cells[CELLS] = {{0}};

	CHECK(count_passed(cells, 1, 0, 100, 150) == 100, "so many at once");
	CHECK(count_passed(cells, 1, 599999, 100, 1) == 0 &&
		  count_passed(cells, 1, 600000, 100, 2) == 1,
		  "then one each time its part of a minute has passed");
	CHECK(count_passed(cells, 1, 600000 + 6 * SECOND, 100, 50) == 10,
		  "or more after a longer time");
	CHECK(count_passed(cells, 1, 3600 * SECOND, 100, 150) == 100,
		  "and never more than so many");
	CHECK(count_passed(cells, 2, 3600 * SECOND, 100, 150) == 100,
		  "each mark has its own");
	CHECK(count_passed(cells, 3, 0, 1, 5) == 1 &&
		  count_passed(cells, 3, 60 * SECOND - 1, 1, 5) == 0 &&
		  count_passed(cells, 3, 60 * SECOND, 1, 5) == 1,
		  "one a minute");
	CHECK(count_passed(cells, 4, 0, AK_GUESS_LIMIT_MAX, 100000) ==
		  AK_GUESS_LIMIT_MAX, "the largest limit");
	CHECK(count_passed(cells, 5, 7200 * SECOND, 4 * AK_GUESS_LIMIT_MAX,
					   300000) ==
		  4 * AK_GUESS_LIMIT_MAX, "and that of an organization");
}

/* In no minute there are more than two times the limit, of many at any time. */
static void
test_minutes(void)
{
	AkGuessCell cells[CELLS] = {{0}};
	int			most = 0;
	int			total = 0;

	for (int minute = 0; minute < 50; minute++)
	{
		int			passed = 0;

		for (int i = 0; i < 6000; i++)
			passed += ak_guess_cells_take(cells, CELLS, 7,
										  minute * 60 * SECOND + i * 10000, 7);
		total += passed;
		if (passed > most)
			most = passed;
	}
	CHECK(most <= 14, "at most twice the limit in a minute");
	CHECK(total >= 50 * 7 && total <= 51 * 7, "and the limit on the whole");
}

static void
test_give_back(void)
{
	AkGuessCell cells[CELLS] = {{0}};
	bool		all_pass = true;

	for (int i = 0; i < 1000; i++)
	{
		all_pass &= ak_guess_cells_take(cells, CELLS, 1, 0, 2);
		ak_guess_cells_give_back(cells, CELLS, 1, 2);
	}
	CHECK(all_pass, "what is given back does not count");
	CHECK(count_passed(cells, 1, 0, 2, 5) == 2, "and nothing more is given");
	ak_guess_cells_give_back(cells, CELLS, 9, 2);
	CHECK(count_passed(cells, 1, 0, 2, 5) == 0, "nor to another mark");
}

/* More marks than cells. */
static void
test_crowd(void)
{
	AkGuessCell cells[CELLS] = {{0}};

	for (uint64_t mark = 1; mark <= CELLS; mark++)
		(void) count_passed(cells, mark, 0, 3, 3);
	CHECK(count_passed(cells, 99, 0, 3, 10) == 10,
		  "where all cells refuse, others pass uncounted");
	CHECK(count_passed(cells, 1, 0, 3, 3) == 0 &&
		  count_passed(cells, CELLS, 0, 3, 3) == 0,
		  "and push out none that refuses");
	CHECK(count_passed(cells, 99, 20 * SECOND, 3, 10) == 3 &&
		  count_passed(cells, 2, 20 * SECOND, 3, 1) == 1 &&
		  count_passed(cells, 99, 20 * SECOND, 3, 1) == 0,
		  "they take the place of one that does not");
}

/* So many of the places have an owner. */
static size_t
count_places(const uint16_t *owners, uint16_t owner)
{
	size_t		count = 0;

	for (size_t i = 0; i < 16; i++)
		count += owners[i] == owner;
	return count;
}

static void
take_places(uint16_t *owners, uint16_t owner, int times)
{
	for (int i = 0; i < times; i++)
		owners[ak_fair_place(owners, 16, owner, i * 7)] = owner;
}

static void
test_places(void)
{
	uint16_t	owners[16] = {0};

	take_places(owners, 1, 3);
	CHECK(count_places(owners, 1) == 3 && count_places(owners, 0) == 13,
		  "free places are taken first");
	take_places(owners, 2, 1000);
	CHECK(count_places(owners, 1) == 3 && count_places(owners, 2) == 13,
		  "who wants many pushes out its own");
	take_places(owners, 1, 1000);
	CHECK(count_places(owners, 1) == 8 && count_places(owners, 2) == 8,
		  "who has fewer gets as many");
	take_places(owners, 3, 1);
	CHECK(count_places(owners, 3) == 1, "and who has none one");
	take_places(owners, 1, 1000);
	take_places(owners, 2, 1000);
	CHECK(count_places(owners, 3) == 1, "which others leave alone");
	for (uint16_t i = 0; i < 16; i++)
		owners[i] = i + 1;
	take_places(owners, 99, 1);
	CHECK(count_places(owners, 99) == 1, "where all have one, any is pushed out");
}

int
main(void)
{
	test_rate();
	test_minutes();
	test_give_back();
	test_crowd();
	test_places();
	return tap_done();
}
