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
 * Locking: the rows are in partitions, each with an LWLock, which is held
 * exclusively to find, enter, change and remove rows.  Who needs several takes them
 * in their order.  Inside there is no allocation and no error.  The list of free
 * rows has a spinlock, which is taken last.  Nothing else is locked inside.
 */
#ifndef AK_LIMITS_TABLE_H
#define AK_LIMITS_TABLE_H

#include "postgres.h"

#include "core/gcra.h"

#include "utils/uuid.h"

#define AK_LIMIT_PARTITIONS	128

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

/* Of a rate, a bucket under the limit that it was last used under. */
typedef struct AkSpentRate
{
	AkRate		rate;
	AkBucket	bucket;
	uint64		own_id;
	uint64		default_id;
} AkSpentRate;

typedef struct AkSpentQuota
{
	int64		written;		/* by batches up to this, and by others */
	uint64		written_batch;
	int64		pending;
	int64		in_flight;
	uint64		batch;			/* of what is in flight */
	int64		read_at;		/* ak_clock_us(): when the table was asked */
} AkSpentQuota;

typedef struct AkSpent
{
	AkSpentKey	key;
	uint32		next;			/* in the chain, or of those that are free */
	union
	{
		AkSpentRate	rate;
		AkSpentQuota	quota;
	}			of;
} AkSpent;

StaticAssertDecl(sizeof(AkSpent) <= 128, "a limit takes little memory");

/* Some partitions; a head is in that of the number that is left over by these. */
typedef struct AkPartitionSet
{
	uint64		bits[AK_LIMIT_PARTITIONS / 64];
} AkPartitionSet;

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

extern uint32 ak_limits_head(const AkSpentKey *key);
extern void ak_limits_lock(const AkPartitionSet *set);
extern void ak_limits_unlock(const AkPartitionSet *set);
extern AkSpent *ak_limits_find(const AkSpentKey *key, uint32 head);
extern AkSpent *ak_limits_enter(const AkSpentKey *key, uint32 head);
extern void ak_limits_free_full(void);
extern void ak_limits_note_no_room(void);
extern void ak_limits_status(AkLimitsStatus *status);

extern bool ak_limits_have_quotas(void);
extern void ak_limits_harvest(Oid database, uint64 batch,
							  AkQuotaHarvest *harvest);
extern void ak_limits_take_back(Oid database, uint64 batch);
extern void ak_limits_purge(Oid database);

#endif							/* AK_LIMITS_TABLE_H */
