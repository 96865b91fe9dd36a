/*
 * test_period.c
 *	  Compares periods with a calendar that counts day by day.
 */
#include "core/counting.h"

#include "tap.h"

#define HOUR	(INT64_C(3600) * 1000000)
#define DAY		(24 * HOUR)

static int
days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month] + (month == 1 && is_leap);
}

/* From 2000-01-01 for a thousand years, and what comes before by 400 years. */
static void
test_months(void)
{
	int64_t		day = 0;
	int			faults = 0;

	for (int year = 2000; year < 3000; year++)
		for (int month = 0; month < 12; month++)
		{
			int64_t		start = day * DAY;
			int64_t		end = (day + days_of(year, month)) * DAY;
			int64_t		back = INT64_C(146097) * 5 * DAY;

			faults += ak_period_start(AK_PERIOD_MONTH, start) != start;
			faults += ak_period_start(AK_PERIOD_MONTH, end - 1) != start;
			faults += ak_period_end(AK_PERIOD_MONTH, start) != end;
			faults += ak_period_start(AK_PERIOD_MONTH, start - back) != start - back;
			faults += ak_period_start(AK_PERIOD_MONTH, end - 1 - back) != start - back;
			faults += ak_period_end(AK_PERIOD_MONTH, start - back) != end - back;
			day += days_of(year, month);
		}
	CHECK(faults == 0, "months of 3000 years, to the microsecond");
}

static void
test_others(void)
{
	int64_t		monday = 2 * DAY;	/* 2000-01-03 */
	int			faults = 0;

	for (int64_t week = -100000; week < 100000; week++)
	{
		int64_t		start = monday + week * 7 * DAY;

		faults += ak_period_start(AK_PERIOD_WEEK, start) != start;
		faults += ak_period_start(AK_PERIOD_WEEK, start + 7 * DAY - 1) != start;
		faults += ak_period_end(AK_PERIOD_WEEK, start) != start + 7 * DAY;
		faults += ak_period_start(AK_PERIOD_DAY, start + DAY - 1) != start;
		faults += ak_period_start(AK_PERIOD_HOUR, start - 1) != start - HOUR;
	}
	CHECK(faults == 0, "weeks from Monday, days and hours");
	CHECK(ak_period_end(AK_PERIOD_DAY, -DAY) == 0, "the day before 2000");
	CHECK(ak_period_end(AK_PERIOD_HOUR, -HOUR) == 0, "the hour before 2000");
	CHECK(ak_period_start(AK_PERIOD_EVER, 12345) == AK_PERIOD_NOBEGIN &&
		  ak_period_end(AK_PERIOD_EVER, AK_PERIOD_NOBEGIN) == AK_PERIOD_NOEND,
		  "all of time");
}

static void
test_names(void)
{
	AkPeriod	period;
	int			faults = 0;

	for (int i = 0; i < AK_PERIOD_COUNT; i++)
	{
		const char *name = ak_period_name(i);

		faults += !ak_period_parse(name, strlen(name), &period) ||
			(int) period != i;
	}
	CHECK(faults == 0, "names");
	CHECK(!ak_period_parse("days", 4, &period) && !ak_period_parse("", 0, &period), "no name");
}

int
main(void)
{
	test_months();
	test_others();
	test_names();
	return tap_done();
}
