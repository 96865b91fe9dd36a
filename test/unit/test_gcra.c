/*
 * test_gcra.c
 *	  Compares GCRA with a slow, obvious model: a bucket of tokens, as an exact
 *	  fraction, that is filled when it is looked at.
 */
#include "core/counting.h"

#include "tap.h"

typedef __int128 Wide;

/*
 * Tokens in the bucket, in P-ths of a token: each microsecond brings N of
 * them, and a token takes P.
 */
typedef struct Model
{
	Wide		tokens;
	int64_t		at;
} Model;

static void
fill(Model *model, const AkRate *rate, int64_t now)
{
	Wide		full = (Wide) rate->burst * rate->period;

	if (now > model->at)
		model->tokens += (Wide) (now - model->at) * rate->requests;
	model->at = now;
	if (model->tokens > full)
		model->tokens = full;
}

static int64_t
divide_up(Wide dividend, Wide divisor)
{
	return (int64_t) ((dividend + divisor - 1) / divisor);
}

static void
ask_model(Model *model, const AkRate *rate, int64_t cost, AkRateAnswer *answer)
{
	Wide		full = (Wide) rate->burst * rate->period;
	Wide		wanted = (Wide) cost * rate->period;

	memset(answer, 0, sizeof(*answer));
	answer->never = cost > rate->burst;
	answer->passes = wanted <= model->tokens;
	if (answer->passes)
		model->tokens -= wanted;
	else if (!answer->never)
		answer->retry_after = divide_up(wanted - model->tokens, rate->requests);
	answer->remaining = (int64_t) (model->tokens / rate->period);
	answer->reset_after = divide_up(full - model->tokens, rate->requests);
}

static int64_t
random_up_to(int64_t limit)
{
	int64_t		value = ((int64_t) tap_random(1u << 31) << 31) |
		tap_random(1u << 31);

	return 1 + value % limit;
}

/* Small numbers, and some that are as large as they may be. */
static AkRate
random_rate(void)
{
	AkRate		rate;

	do
	{
		rate.requests = random_up_to(tap_random(4) == 0 ? INT64_C(1) << 60 :
									 tap_random(2) == 0 ? 3000000 : 20);
		rate.period = random_up_to(tap_random(4) == 0 ? INT64_C(1) << 60 :
								   tap_random(2) == 0 ? 86400000000 : 100);
		rate.burst = random_up_to(tap_random(4) == 0 ? INT64_C(1) << 60 :
								  tap_random(2) == 0 ? 3000000 : 5);
	} while (!ak_rate_is_valid(&rate));
	return rate;
}

static int64_t
random_step(const AkRate *rate)
{
	switch (tap_random(5))
	{
		case 0:
			return 0;
		case 1:
			return 1;
		case 2:
			return random_up_to(1 + rate->period / rate->requests);
		case 3:
			return random_up_to(1 + rate->period);
		default:
			return random_up_to(1000000);
	}
}

static bool
is_same(const AkRateAnswer *a, const AkRateAnswer *b)
{
	return a->passes == b->passes && a->never == b->never &&
		a->retry_after == b->retry_after && a->remaining == b->remaining &&
		a->reset_after == b->reset_after;
}

/* One request to a bucket. */
static void
ask(AkBucket *bucket, const AkRate *rate, int64_t now, int64_t cost,
	AkRateAnswer *answer)
{
	int64_t		level = ak_gcra_level(rate, bucket, now);
	AkRateAnswer after;

	ak_gcra_answer(rate, level, cost, answer);
	if (!answer->passes)
		return;
	level = ak_gcra_spend(rate, level, cost);
	ak_gcra_store(rate, level, now, bucket);
	ak_gcra_answer(rate, level, 0, &after);
	answer->remaining = after.remaining;
	answer->reset_after = after.reset_after;
}

static void
test_model(void)
{
	int			differences = 0;
	int			broken_promises = 0;
	int			asked = 0;

	while (asked < 1000000)
	{
		AkRate		rate = random_rate();
		int64_t		now = random_up_to(INT64_C(1) << 50);
		Model		model = {(Wide) rate.burst * rate.period, now};
		AkBucket	bucket = {0};

		for (int i = 0; i < 50; i++)
		{
			int64_t		cost = tap_random(8) == 0 ? 0 :
				random_up_to(tap_random(2) == 0 ? 3 : rate.burst + 1);
			AkRateAnswer answer;
			AkRateAnswer expected;

			asked++;
			now += random_step(&rate);
			if (now > INT64_C(1) << 61)
				break;
			fill(&model, &rate, now);
			ask(&bucket, &rate, now, cost, &answer);
			ask_model(&model, &rate, cost, &expected);
			differences += !is_same(&answer, &expected);
			if (!answer.passes && !answer.never)
			{
				AkBucket	copy = bucket;
				AkRateAnswer early;
				AkRateAnswer then;

				ask(&copy, &rate, now + answer.retry_after - 1, cost, &early);
				copy = bucket;
				ask(&copy, &rate, now + answer.retry_after, cost, &then);
				broken_promises += early.passes || !then.passes;
			}
		}
	}
	CHECK(differences == 0, "a million requests as a bucket of tokens decides them");
	CHECK(broken_promises == 0, "retry_after is exact to the microsecond");
}

static void
test_rounding(void)
{
	AkRate		seven = {7, 1000000, 7};
	AkRate		three = {3, 1000000, 1};
	AkBucket	bucket = {0};
	AkRateAnswer answer;
	int64_t		now = 1000;

	for (int i = 0; i < 7; i++)
		ask(&bucket, &seven, now, 1, &answer);
	CHECK(answer.passes && answer.remaining == 0, "seven at once");
	ask(&bucket, &seven, now, 1, &answer);
	CHECK(!answer.passes && answer.retry_after == 142858, "a seventh of a second, rounded up");
	ask(&bucket, &seven, now + 1142858, 7, &answer);
	CHECK(answer.passes, "and the rest is not lost");

	memset(&bucket, 0, sizeof(bucket));
	for (int i = 0; i < 3000; i++)
	{
		ask(&bucket, &three, now, 1, &answer);
		if (!answer.passes)
			now += answer.retry_after, i--;
	}
	CHECK(now - 1000 <= 1000000000 && now - 1000 >= 999000000, "three a second do not drift");
}

static void
test_change(void)
{
	AkRate		ten = {10, 60000000, 10};
	AkRate		twenty = {20, 60000000, 20};
	AkRate		slow = {1, 3600000000, 1};
	AkRate		large = {1, AK_GCRA_LIMIT - 1, 1};

	CHECK(ak_gcra_convert(10 * ten.period, &ten, &ten) == 10 * ten.period, "the same limit changes nothing");
	CHECK(ak_gcra_convert(10 * ten.period, &ten, &twenty) == 10 * twenty.period, "ten spent are ten spent");
	CHECK(ak_gcra_convert(10 * ten.period, &ten, &slow) == slow.period, "a lowered limit is spent at most");
	CHECK(ak_gcra_convert(10 * ten.period, &ten, &large) == large.period, "no overflow");
	CHECK(ak_gcra_convert(large.period, &large, &ten) == ten.period, "nor back");
	CHECK(ak_gcra_spend(&ten, 5 * ten.period, INT64_MAX) == 10 * ten.period, "a cost of any size ends at a full burst");
}

static void
test_clock(void)
{
	AkRate		rate = {6, 60000000, 6};
	AkBucket	bucket = {0};
	AkRateAnswer answer;

	ask(&bucket, &rate, INT64_C(1) << 50, 6, &answer);
	CHECK(ak_gcra_level(&rate, &bucket, 0) == 6 * rate.period, "a clock set back: one refill at most");
	CHECK(ak_gcra_level(&rate, &bucket, INT64_MAX) == 0, "a clock set forward");
	CHECK(ak_gcra_level(&rate, &bucket, INT64_MIN) == 6 * rate.period, "the earliest time there is");
}

static void
test_validity(void)
{
	AkRate		rates[] = {
		{0, 1, 1}, {-1, 1, 1}, {1, 0, 1}, {1, -1, 1}, {1, 1, 0}, {1, 1, -1},
		{1, INT64_MAX, INT64_MAX}, {1, INT64_C(1) << 31, INT64_C(1) << 31}
	};
	AkRate		largest = {INT64_MAX, INT64_C(1) << 31, (INT64_C(1) << 31) - 1};
	int			accepted = 0;

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		accepted += ak_rate_is_valid(&rates[i]);
	CHECK(accepted == 0, "what is no limit");
	CHECK(ak_rate_is_valid(&largest), "the largest limit");
}

/* Servers whose shares add up to one let through no more than the limit. */
static void
test_share(void)
{
	AkRate		rates[] = {{60, 60000000, 5}, {100, 1, 3}, {INT64_MAX, 1, INT64_C(1) << 61}};
	int			shares[] = {400000, 333333, 266667};
	AkRate		one = {10, 1000000, 1};
	AkRate		longest = {1, AK_GCRA_LIMIT - 1, 1};
	AkRate		part;
	bool		is_less = true;

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
	{
		const AkRate *whole = &rates[i];
		int64_t		burst = 0;
		Wide		weight = 0;

		for (int n = 0; n < 3; n++)
		{
			part = ak_rate_share(whole, shares[n]);
			burst += part.burst;
			/* Requests in as long as the product of two periods. */
			weight += (Wide) whole->period * 1000000000 / part.period;
			is_less &= part.requests == whole->requests && ak_rate_is_valid(&part);
		}
		is_less &= weight <= 1000000000 && burst <= (whole->burst > 3 ? whole->burst : 3);
	}
	CHECK(is_less, "three shares are no more than the whole");
	part = ak_rate_share(&one, AK_WHOLE);
	CHECK(part.period == one.period && part.burst == one.burst, "a share of 1 is all");
	part = ak_rate_share(&one, 250000);
	CHECK(part.period == 4000000 && part.burst == 1, "of a burst of one, one");
	part = ak_rate_share(&longest, 1);
	CHECK(ak_rate_is_valid(&part), "the smallest share of the longest period");
	part = ak_rate_share(&one, 0);
	CHECK(part.burst == 0 && !ak_gcra_passes(&part, 0, 1) && ak_gcra_passes(&part, 0, 0), "of a share of 0, nothing");
	CHECK(ak_share_of(INT64_MAX, AK_WHOLE) == INT64_MAX && ak_share_of(10, 333333) == 3 && ak_share_of(1, 999999) == 0, "shares of an amount");
}

int
main(void)
{
	test_model();
	test_share();
	test_rounding();
	test_change();
	test_clock();
	test_validity();
	return tap_done();
}
