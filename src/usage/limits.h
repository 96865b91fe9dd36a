/*
 * limits.h
 *	  Limits of keys and organizations: what was spent of them, in shared memory
 *	  and in the tables.
 */
#ifndef AK_LIMITS_H
#define AK_LIMITS_H

#include "postgres.h"

#include "core/counting.h"
#include "usage/usage.h"

#include "common/int.h"
#include "port/atomics.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* --- limits_table.c ------------------------------------------------------ */

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
	int64		written;		/* as the table says */
	int64		pending;
	int64		in_flight;
	uint64		batch;			/* of what is in flight */

	/*
	 * What this server has written in batches up to written_batch, and the table
	 * may not show yet: of batches up to older_batch, and of later ones.
	 */
	uint64		written_batch;
	uint64		older_batch;
	int64		older;
	int64		later;
	int64		read_at;		/* ak_clock_us(): when the table was asked */
} AkSpentQuota;

typedef struct AkSpent
{
	AkSpentKey	key;
	uint32		next;			/* in the chain, or of those that are free */
	uint32		before;			/* in the chain of the subject ... */
	uint32		after;
	uint32		account;		/* that it is in */
	union
	{
		AkSpentRate	rate;
		AkSpentQuota	quota;
	}			of;
} AkSpent;

StaticAssertDecl(sizeof(AkSpent) <= 128, "a limit takes little memory");

/* The sum, or the largest count. */
static inline int64
ak_count_add(int64 a, int64 b)
{
	int64		sum;

	return pg_add_s64_overflow(a, b, &sum) ? PG_INT64_MAX : sum;
}

/* Some partitions. */
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
extern int	ak_limits_partition(uint32 head);
extern void ak_limits_lock(const AkPartitionSet *set);
extern void ak_limits_unlock(const AkPartitionSet *set);
extern AkSpent *ak_limits_find(const AkSpentKey *key, uint32 head);
extern AkSpent *ak_limits_enter(const AkSpentKey *key, uint32 head,
								const pg_uuid_t *organization);
extern void ak_limits_free(const pg_uuid_t *subject, uint64 limit);
extern void ak_limits_free_full(void);
extern void ak_limits_note_no_room(void);
extern void ak_limits_status(AkLimitsStatus *status);

/* Whether the row shall be removed. */
typedef bool (*AkSpentCallback) (AkSpent *spent, void *argument);

extern void ak_limits_scan(AkSpentCallback callback, void *argument);
extern uint32 ak_limits_quota_count(void);
extern void ak_limits_purge(Oid database);

/* --- limits_writing.c ---------------------------------------------------- */

extern void ak_limits_harvest(Oid database, uint64 batch, uint64 seen,
							  AkQuotaHarvest *harvest);
extern void ak_limits_take_back(Oid database, uint64 batch);
extern void ak_limits_take_back_lost(Oid database, uint64 seen);

/* --- limits_given_up.c --------------------------------------------------- */

extern void ak_limits_init(void);
extern void ak_limits_note_new(ArrayType *limits_ids);

/* --- limits_judge.c ------------------------------------------------------ */

/* One limit in a decision; times in microseconds. */
typedef struct AkLimitCheck
{
	/* What is asked. */
	AkSpentKey	key;
	const pg_uuid_t *organization;	/* whose room it takes */
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

/* --- quota.c ------------------------------------------------------------- */

/* A batch as arrays of the same length; also the arguments of merge_quota_usage(). */
typedef enum AkQuotaColumn
{
	AK_QUOTA_SUBJECTS,			/* uuid[] */
	AK_QUOTA_PERIODS,			/* text[] */
	AK_QUOTA_STARTS,			/* timestamptz[] */
	AK_QUOTA_COUNTS,			/* bigint[] */
	AK_QUOTA_COLUMN_COUNT
} AkQuotaColumn;

typedef struct AkQuotaBatch
{
	Datum		columns[AK_QUOTA_COLUMN_COUNT];
	int			count;
} AkQuotaBatch;

extern void ak_quota_read(Snapshot snapshot, AkLimitCheck *check);
extern void ak_quota_make_batch(AkQuotaHarvest *harvest, AkQuotaBatch *batch);
extern bool ak_quota_merge(const pg_uuid_t *instance, uint64 number,
						   AkQuotaBatch *batch);
extern void ak_quota_tidy_up(void);

/* --- usage_primary.c ----------------------------------------------------- */

/* How far ahead of the primary's clock times of a standby may be. */
#define AK_MAX_CLOCK_SKEW		(7 * USECS_PER_DAY)

/* A batch in the text form of its arrays. */
typedef struct AkTextBatch
{
	const char *columns[AK_BATCH_COLUMN_COUNT];
} AkTextBatch;

extern void ak_usage_primary_connect(const char *database);
extern void ak_usage_primary_disconnect(void);
extern bool ak_usage_primary_settle(const pg_uuid_t *instance, uint64 number);
extern void ak_usage_primary_format(const AkBatch *batch, AkTextBatch *text);
extern void ak_usage_primary_merge_quotas(const pg_uuid_t *instance,
										  uint64 number,
										  const char *const *columns);
extern char *ak_usage_primary_merge(const pg_uuid_t *instance, uint64 number,
									const AkTextBatch *batch);

#endif							/* AK_LIMITS_H */
