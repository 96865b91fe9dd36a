/*
 * limits_table.h
 *	  What was spent of limits, in shared memory: buckets of rates, and counts of
 *	  quotas that are not written yet.
 *
 * A row of it is found by the database, by what the limit is for (the limits_id
 * of a key, or an organization), and by which limit of that it is.  A bucket that
 * is full again is as good as none: such rows are given to others when there is no
 * room.  A bucket that denies is never given up.
 *
 * A count of a quota stands on what the table says (written), to which it adds
 * what was used since (pending), and what is being written (in flight) with the
 * number of its batch; usage_counters.h tells of batches.
 *
 * Locking: the rows are in partitions, each with an LWLock.  A decision takes the
 * locks of all partitions that it needs, exclusively and in their order, reads
 * the clock after that, judges all limits, and then spends of all or of none.
 * Inside there is no allocation and no error.  The list of free rows has a
 * spinlock, which is taken last.  Nothing else is locked inside.
 */
#ifndef AK_LIMITS_TABLE_H
#define AK_LIMITS_TABLE_H

#include "postgres.h"

#include "core/gcra.h"

#include "port/atomics.h"
#include "utils/uuid.h"

typedef enum AkSpentKind
{
	AK_SPENT_BY_KEY,			/* of its own limit, or of the default for keys */
	AK_SPENT_BY_SCOPE,
	AK_SPENT_BY_ORGANIZATION,
	AK_SPENT_OF_QUOTA
} AkSpentKind;

/* Compared as bytes; it has no padding. */
typedef struct AkSpentKey
{
	Oid			database;
	uint32		kind;			/* AkSpentKind */
	pg_uuid_t	subject;
	uint64		which;			/* id of the limit, or period of the quota */
	int64		start;			/* of the period */
} AkSpentKey;

/* One limit in a decision; times in microseconds. */
typedef struct AkLimitCheck
{
	/* What is asked. */
	AkSpentKey	key;
	bool		is_own;			/* this transaction may have changed the limit */
	AkRate		rate;
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
	AK_LIMITS_WANT_READ,		/* some checks want_read first */
	AK_LIMITS_FULL				/* denied for want of room */
} AkLimitsVerdict;

/* What shall be written of quotas. */
typedef struct AkQuotaCount
{
	pg_uuid_t	subject;
	int			period;			/* AkPeriod */
	int64		start;
	int64		count;
} AkQuotaCount;

typedef struct AkQuotaHarvest
{
	AkQuotaCount *counts;		/* palloc'd */
	int			count;
} AkQuotaHarvest;

/* For status(). */
typedef struct AkLimitsStatus
{
	int			used;			/* rows */
	uint64		unlimited;		/* decisions that found no room for one */
} AkLimitsStatus;

extern void ak_limits_request(void);
extern void ak_limits_attach(void);
extern bool ak_limits_exist(void);

extern AkLimitsVerdict ak_limits_judge(AkLimitCheck *checks, int count,
									   int64 cost, bool spends,
									   pg_atomic_uint64 *last_batch,
									   bool accepts_stale);
extern void ak_limits_status(AkLimitsStatus *status);

extern bool ak_limits_have_quotas(void);
extern void ak_limits_harvest(Oid database, uint64 batch,
							  AkQuotaHarvest *harvest);
extern void ak_limits_take_back(Oid database, uint64 batch);
extern void ak_limits_purge(Oid database);

#endif							/* AK_LIMITS_TABLE_H */
