/*
 * counting.c
 *	  The arithmetic of limits, counters, guesses and nonces, in integers.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing; the
 * caller owns what is counted in, and holds its lock.
 */
#include <stddef.h>
#include <string.h>

#include "core/counting.h"

/* --- Rates --------------------------------------------------------------- */

/*
 * The generic cell rate algorithm, in integers: so many requests per time,
 * and so many at once.
 *
 * It is the "virtual scheduling algorithm" of ITU-T Recommendation I.371 (annex
 * A) and of the ATM Forum's Traffic Management Specification 4.0 (section 4.4),
 * generalized to requests that cost more than one.  Their theoretical arrival
 * time is kept to the fraction of a microsecond, so that no division rounds the
 * rate and nothing drifts.
 *
 * The level of a bucket is what was spent of it and has not come back yet, in
 * N-ths of a microsecond, where N is the number of requests per period: one
 * unit of cost weighs a period P in microseconds, a full burst B weighs B * P,
 * and each microsecond gives N back.  B * P is less than AK_GCRA_LIMIT, so that
 * nothing here overflows.
 */

/* Wide enough for a product of two numbers. */
typedef __int128 Wide;

static int64_t
get_full(const AkRate *rate)
{
	return rate->burst * rate->period;
}

/* Rounded up; neither is negative. */
static int64_t
divide_up(int64_t dividend, int64_t divisor)
{
	return dividend / divisor + (dividend % divisor != 0);
}

/* Whether the three numbers are a limit. */
bool
ak_rate_is_valid(const AkRate *rate)
{
	return rate->requests >= 1 && rate->period >= 1 && rate->burst >= 1 &&
		(Wide) rate->burst * rate->period < AK_GCRA_LIMIT;
}

/* The share of an amount, which is not negative, rounded down. */
int64_t
ak_share_of(int64_t amount, int share)
{
	return (int64_t) ((Wide) amount * share / AK_WHOLE);
}

/*
 * The share of a limit: as many requests in a longer time, rounded up, and of the
 * burst as much, rounded down, but one at least: else a small burst would be none.
 * Of a share of 0 nothing is left, and the burst is 0.
 */
AkRate
ak_rate_share(const AkRate *rate, int share)
{
	AkRate		part = *rate;
	Wide		period = (Wide) rate->period * AK_WHOLE;

	part.burst = ak_share_of(rate->burst, share);
	if (share == 0)
		return part;
	if (part.burst == 0)
		part.burst = 1;
	period = period / share + (period % share != 0);
	part.period = period > (AK_GCRA_LIMIT - 1) / part.burst ?
		(AK_GCRA_LIMIT - 1) / part.burst : (int64_t) period;
	return part;
}

/*
 * The level of a bucket at a time of its clock; a full burst at most, also
 * if the clock was set back, or the limit lowered.
 */
int64_t
ak_gcra_level(const AkRate *rate, const AkBucket *bucket, int64_t now)
{
	Wide		level = ((Wide) bucket->time - now) * rate->requests +
		bucket->fraction;

	if (level <= 0)
		return 0;
	return level > get_full(rate) ? get_full(rate) : (int64_t) level;
}

/*
 * The level under another limit at which as many units are spent: a full burst
 * of it at most.
 */
int64_t
ak_gcra_convert(int64_t level, const AkRate *from, const AkRate *to)
{
	Wide		product = (Wide) level * to->period;
	Wide		converted = product / from->period +
		(product % from->period != 0);

	return converted > get_full(to) ? get_full(to) : (int64_t) converted;
}

/* The level after a cost, which is not negative; a full burst at most. */
int64_t
ak_gcra_spend(const AkRate *rate, int64_t level, int64_t cost)
{
	if (cost > rate->burst || level > get_full(rate) - cost * rate->period)
		return get_full(rate);
	return level + cost * rate->period;
}

/* Makes the bucket one of this level. */
void
ak_gcra_store(const AkRate *rate, int64_t level, int64_t now,
			  AkBucket *bucket)
{
	bucket->time = now + level / rate->requests;
	bucket->fraction = level % rate->requests;
}

/* Whether a cost, which is not negative, passes at this level. */
bool
ak_gcra_passes(const AkRate *rate, int64_t level, int64_t cost)
{
	return cost <= rate->burst &&
		cost * rate->period <= get_full(rate) - level;
}

/*
 * Whether a cost, which is not negative, passes at this level, and what there is
 * to say about it; nothing is spent.
 */
void
ak_gcra_answer(const AkRate *rate, int64_t level, int64_t cost,
			   AkRateAnswer *answer)
{
	int64_t		left = get_full(rate) - level;

	answer->never = cost > rate->burst;
	answer->passes = ak_gcra_passes(rate, level, cost);
	answer->retry_after = answer->passes || answer->never ? 0 :
		divide_up(cost * rate->period - left, rate->requests);
	answer->remaining = left / rate->period;
	answer->reset_after = divide_up(level, rate->requests);
}

/* --- Periods ------------------------------------------------------------- */

/*
 * The periods that quotas are for: hours, days, weeks from Monday and months
 * in UTC, or all of time.  Periods include their start and not their end.
 *
 * Times are PostgreSQL's, microseconds since 2000-01-01 00:00:00 UTC.
 *
 * Days are counted from 2000-01-01, a Saturday.  Dates of days, and days of
 * dates, are computed as in Howard Hinnant's "chrono-Compatible Low-Level Date
 * Algorithms": in years that begin in March, so that the leap day is the last.
 */

#define DAY				(24 * AK_HOUR)

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
			return divide_down(time, AK_HOUR) * AK_HOUR;
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
			return start + AK_HOUR;
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

/* --- Tallies ------------------------------------------------------------- */

/*
 * How much was counted, and in which hour: in the latest one, and before.
 *
 * Two tallies are enough as long as somebody takes them once an hour.  What
 * waits for longer is told by the last two of its hours; the sum is right in
 * any case.
 */

/* The hour of a time stamp in microseconds, which may be negative. */
int64_t
ak_tally_hour(int64_t at)
{
	return divide_down(at, AK_HOUR);
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

/* --- Guesses ------------------------------------------------------------- */

/*
 * Counts guesses, so that only so many of them a minute are let through.
 *
 * The generic cell rate algorithm (ITU-T I.371): a cell keeps one moment, when
 * all that was taken from it will have come back.  "limit" guesses pass at once,
 * and then one every minute / limit.  The caller tells the time.
 */

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

/*
 * Counts a guess under a mark, in one of count cells, of which there is at least
 * one; false, and nothing is counted, if there were limit (1 to a few times
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
		cell = cells;
		for (size_t i = 1; i < count; i++)
			if (cells[i].full_at < cell->full_at)
				cell = &cells[i];
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

/*
 * Chooses one of count places for an owner, of which 0 is nobody: a free one, or one of
 * the owner who has the most, and of this one if none has more.  So who wants many pushes
 * out nobody who has fewer.  Looks from the place "first" on.
 */
size_t
ak_fair_place(const uint16_t *owners, size_t count, uint16_t owner,
			  size_t first)
{
	size_t		best = 0;
	size_t		most = 0;

	for (size_t i = 0; i < count; i++)
	{
		size_t		place = (first + i) % count;
		size_t		weight = owners[place] == owner ? 3 : 0;

		if (owners[place] == 0)
			return place;
		/* Its own would be one more, and rather these than as many of another. */
		for (size_t other = 0; other < count; other++)
			weight += owners[other] == owners[place] ? 2 : 0;
		if (weight > most)
		{
			most = weight;
			best = place;
		}
	}
	return best;
}

/* --- Nonces -------------------------------------------------------------- */

/*
 * Remembers which requests were made with a nonce, so that none is made
 * twice, in a memory of a fixed size.
 *
 * A client counts its requests with a nonce.  They can arrive in another order, so
 * a cell remembers the highest count and which of those just below it were there.
 * Where a bucket has no cell left, its oldest nonce is forgotten, and with it
 * every nonce of the bucket that is as old: a client gets a new one, and nothing
 * is ever taken twice.  A bucket is all zero at first.
 */

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
