/*
 * gcra.c
 *	  See gcra.h.
 */
#include "core/gcra.h"

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
