/*
 * gcra.h
 *	  The generic cell rate algorithm, in integers: so many requests per time,
 *	  and so many at once.
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
#ifndef AK_GCRA_H
#define AK_GCRA_H

#include <stdbool.h>
#include <stdint.h>

#define AK_GCRA_LIMIT	(INT64_C(1) << 62)

/* Shares are counted in millionths. */
#define AK_WHOLE	1000000

/* A limit; all three at least 1, and burst * period less than AK_GCRA_LIMIT. */
typedef struct AkRate
{
	int64_t		requests;		/* per period */
	int64_t		period;			/* microseconds */
	int64_t		burst;			/* all that may be spent at one instant */
} AkRate;

/* What is kept of a bucket; one that was never used is all zeros. */
typedef struct AkBucket
{
	int64_t		time;			/* microseconds of a clock: when it is full */
	int64_t		fraction;		/* of a microsecond, in N-ths of it */
} AkBucket;

/* What a bucket says to a cost; times in microseconds. */
typedef struct AkRateAnswer
{
	bool		passes;
	bool		never;			/* it does not pass, however long one waits */
	int64_t		retry_after;	/* until it passes, if nobody else spends; 0: it
								 * passes now, or never */
	int64_t		remaining;		/* whole units that would pass now */
	int64_t		reset_after;	/* until the bucket is as if never used */
} AkRateAnswer;

extern bool ak_rate_is_valid(const AkRate *rate);
extern int64_t ak_share_of(int64_t amount, int share);
extern AkRate ak_rate_share(const AkRate *rate, int share);
extern int64_t ak_gcra_level(const AkRate *rate, const AkBucket *bucket,
							 int64_t now);
extern int64_t ak_gcra_convert(int64_t level, const AkRate *from,
							   const AkRate *to);
extern int64_t ak_gcra_spend(const AkRate *rate, int64_t level, int64_t cost);
extern void ak_gcra_store(const AkRate *rate, int64_t level, int64_t now,
						  AkBucket *bucket);
extern bool ak_gcra_passes(const AkRate *rate, int64_t level, int64_t cost);
extern void ak_gcra_answer(const AkRate *rate, int64_t level, int64_t cost,
						   AkRateAnswer *answer);

#endif							/* AK_GCRA_H */
