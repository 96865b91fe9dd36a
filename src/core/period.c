/*
 * period.c
 *	  See period.h.
 *
 * Days are counted from 2000-01-01, a Saturday.  Dates of days, and days of
 * dates, are computed as in Howard Hinnant's "chrono-Compatible Low-Level Date
 * Algorithms": in years that begin in March, so that the leap day is the last.
 */
#include "core/period.h"

#include <string.h>

#define HOUR			(INT64_C(3600) * 1000000)
#define DAY				(24 * HOUR)

/* From 0000-03-01 to 2000-01-01. */
#define DAYS_BEFORE_2000	730425
#define DAYS_OF_400_YEARS	146097

/* The last Monday before 2000-01-01 was 5 days before. */
#define MONDAY_BEFORE		5

static const char *const names[] = {
	[AK_PERIOD_HOUR] = "hour",
	[AK_PERIOD_DAY] = "day",
	[AK_PERIOD_WEEK] = "week",
	[AK_PERIOD_MONTH] = "month",
	[AK_PERIOD_EVER] = "ever",
};

/* What the period is called in SQL. */
const char *
ak_period_name(AkPeriod period)
{
	return names[period];
}

/* The period of this name; false if there is none. */
bool
ak_period_parse(const char *name, size_t length, AkPeriod *period)
{
	for (int i = 0; i < AK_PERIOD_COUNT; i++)
		if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
		{
			*period = i;
			return true;
		}
	return false;
}

/* Rounded down. */
static int64_t
divide_down(int64_t dividend, int64_t divisor)
{
	return dividend / divisor - (dividend % divisor < 0);
}

/* The months since March of the year 0 until a day, and days since the first of it. */
static int64_t
get_month(int64_t day, int64_t *day_of_month)
{
	int64_t		since = day + DAYS_BEFORE_2000;
	int64_t		era = divide_down(since, DAYS_OF_400_YEARS);
	int64_t		day_of_era = since - era * DAYS_OF_400_YEARS;
	int64_t		year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
						day_of_era / 146096) / 365;
	int64_t		day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
	int64_t		month = (5 * day_of_year + 2) / 153;

	*day_of_month = day_of_year - (153 * month + 2) / 5;
	return (era * 400 + year) * 12 + month;
}

/* The day that a month, counted in this way, begins with. */
static int64_t
get_first_day(int64_t months)
{
	int64_t		year = divide_down(months, 12);
	int64_t		month = months - year * 12;
	int64_t		era = divide_down(year, 400);
	int64_t		year_of_era = year - era * 400;

	return era * DAYS_OF_400_YEARS + year_of_era * 365 + year_of_era / 4 -
		year_of_era / 100 + (153 * month + 2) / 5 - DAYS_BEFORE_2000;
}

/* The start of the period that a time is in. */
int64_t
ak_period_start(AkPeriod period, int64_t time)
{
	int64_t		day = divide_down(time, DAY);
	int64_t		day_of_month;

	switch (period)
	{
		case AK_PERIOD_HOUR:
			return divide_down(time, HOUR) * HOUR;
		case AK_PERIOD_DAY:
			return day * DAY;
		case AK_PERIOD_WEEK:
			return (divide_down(day + MONDAY_BEFORE, 7) * 7 - MONDAY_BEFORE) *
				DAY;
		case AK_PERIOD_MONTH:
			(void) get_month(day, &day_of_month);
			return (day - day_of_month) * DAY;
		default:
			return AK_PERIOD_NOBEGIN;
	}
}

/* The end of the period that starts then, which is the start of the next. */
int64_t
ak_period_end(AkPeriod period, int64_t start)
{
	int64_t		day_of_month;

	switch (period)
	{
		case AK_PERIOD_HOUR:
			return start + HOUR;
		case AK_PERIOD_DAY:
			return start + DAY;
		case AK_PERIOD_WEEK:
			return start + 7 * DAY;
		case AK_PERIOD_MONTH:
			return get_first_day(get_month(start / DAY, &day_of_month) + 1) *
				DAY;
		default:
			return AK_PERIOD_NOEND;
	}
}
