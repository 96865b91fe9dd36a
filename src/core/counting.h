/*
 * counting.h
 *	  The arithmetic of limits, counters, guesses and nonces: leaves that know
 *	  no PostgreSQL.
 */
#ifndef AK_COUNTING_H
#define AK_COUNTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/*
 * The time for timers, which nobody can set, and that of the calendar.
 */

/* Microseconds since some moment; the same in all processes of a machine. */
static inline int64_t
ak_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The same in milliseconds. */
static inline int64_t
ak_clock_ms(void)
{
	return ak_clock_us() / 1000;
}

/* The time of the calendar, in microseconds since 2000-01-01 00:00:00 UTC. */
static inline int64_t
ak_clock_calendar(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((int64_t) now.tv_sec - INT64_C(946684800)) * 1000000 +
		now.tv_nsec / 1000;
}

/* --- counting.c ---------------------------------------------------------- */

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

typedef enum AkPeriod
{
	AK_PERIOD_HOUR,
	AK_PERIOD_DAY,
	AK_PERIOD_WEEK,
	AK_PERIOD_MONTH,
	AK_PERIOD_EVER,
	AK_PERIOD_COUNT
} AkPeriod;

/* The start and the end of AK_PERIOD_EVER: -infinity and infinity. */
#define AK_PERIOD_NOBEGIN	INT64_MIN
#define AK_PERIOD_NOEND		INT64_MAX

extern const char *ak_period_name(AkPeriod period);
extern bool ak_period_parse(const char *name, size_t length,
							AkPeriod *period);
extern int64_t ak_period_start(AkPeriod period, int64_t time);
extern int64_t ak_period_end(AkPeriod period, int64_t start);

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

/* The most that a limit may be, for each guess then counts a millisecond. */
#define AK_GUESS_LIMIT_MAX	60000

typedef struct AkGuessCell
{
	uint64_t	mark;			/* of what is counted */
	int64_t		full_at;		/* in microseconds; all 0: free */
} AkGuessCell;

extern bool ak_guess_cells_take(AkGuessCell *cells, size_t count,
								uint64_t mark, int64_t now, int limit);
extern void ak_guess_cells_give_back(AkGuessCell *cells, size_t count,
									 uint64_t mark, int limit);

extern size_t ak_fair_place(const uint16_t *owners, size_t count,
							uint16_t owner, size_t first);

#define AK_NONCE_CELLS	8

/* How many counts below the highest, with it, are told apart. */
#define AK_NONCE_WINDOW	64

typedef struct AkNonceCell
{
	uint64_t	mark;			/* of the nonce */
	int64_t		issued_at;		/* 0: free */
	uint64_t	seen;			/* a bit for each count, the highest the lowest bit */
	uint32_t	highest;
} AkNonceCell;

typedef struct AkNonceBucket
{
	int64_t		forgotten_until;	/* nonces as old as that are not taken */
	AkNonceCell cells[AK_NONCE_CELLS];
} AkNonceBucket;

typedef enum AkNonceUse
{
	AK_NONCE_TAKEN,
	AK_NONCE_USED_BEFORE,
	AK_NONCE_FORGOTTEN			/* not known whether it was used */
} AkNonceUse;

extern AkNonceUse ak_nonce_take(AkNonceBucket *bucket, uint64_t mark,
								int64_t issued_at, uint32_t count);

#endif							/* AK_COUNTING_H */
