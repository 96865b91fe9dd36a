/*
 * limits_judge.h
 *	  Judges all limits of a decision at once, and spends of all of them or of none.
 *
 * A decision takes the locks of all partitions that it needs, exclusively and in
 * their order, reads the clock after that, and judges all limits by it.
 */
#ifndef AK_LIMITS_JUDGE_H
#define AK_LIMITS_JUDGE_H

#include "postgres.h"

#include "usage/limits_table.h"

#include "port/atomics.h"

/* One limit in a decision; times in microseconds. */
typedef struct AkLimitCheck
{
	/* What is asked. */
	AkSpentKey	key;
	bool		is_own;			/* this transaction may have changed the limit */
	int			share;			/* this server's of it, in millionths */
	AkRate		rate;			/* that share of it */
	uint64		own_id;			/* of the key's own limit; 0: none */
	uint64		default_id;		/* of what it stands in place of; 0: none */
	int64		amount;			/* of a quota */
	int64		calendar;		/* of a quota: the time that it is ... */
	int64		end;			/* ... and when the period ends */

	/* Of a quota, if it was asked for: what is written, up to which batch. */
	bool		wants_read;
	bool		is_read;
	int64		written;
	uint64		merged;

	/* The answer. */
	bool		has_room;		/* if not, the rest does not count */
	bool		passes;
	bool		never;			/* it does not pass, however long one waits */
	int64		retry_after;	/* 0: it passes, or never */
	int64		remaining;
	int64		used;			/* of a quota */
	bool		resets;
	int64		reset_after;	/* if it resets */

	/* While it is judged. */
	uint32		head;
	struct AkSpent *spent;		/* NULL: nothing was */
	int64		level;
} AkLimitCheck;

typedef enum AkLimitsVerdict
{
	AK_LIMITS_JUDGED,
	AK_LIMITS_PASSED,			/* all pass, and no answers were wanted */
	AK_LIMITS_WANT_READ,		/* some checks want_read first */
	AK_LIMITS_FULL				/* denied for want of room */
} AkLimitsVerdict;

extern AkLimitsVerdict ak_limits_judge(AkLimitCheck *checks, int count,
									   int64 cost, bool spends,
									   bool wants_answer,
									   pg_atomic_uint64 *last_batch,
									   bool accepts_stale);

#endif							/* AK_LIMITS_JUDGE_H */
