/*
 * usage_counters.h
 *	  Counts in shared memory how often, when and from where each key was
 *	  allowed, by entry of its access list, secret and role, and denied, by
 *	  reason.  A use without room for a counter is counted coarsely, of the
 *	  key alone.
 *
 * A counter (counter_table.h, which tells how they are locked) holds what is
 * new, pending, and what is being written to the tables, in flight, with the
 * number of its batch; each by the hour of the calls (core/tally.h).  What was in flight is dropped when the next batch is
 * taken, and not when it is written: so that a reader with a snapshot from
 * before it was written can still add it.
 */
#ifndef AK_USAGE_COUNTERS_H
#define AK_USAGE_COUNTERS_H

#include "postgres.h"

#include "core/use.h"
#include "usage/counter_table.h"

/*
 * A kind of counter in addition to the reasons, which stand for uses (AK_OK)
 * and denials: actions that a role allowed to a bound key, which are not uses.
 */
#define AK_COUNTER_GRANT		0xfe

/* A copy of what a counter says of one hour. */
typedef struct AkCount
{
	Oid			table;			/* apikeys.key, when it was counted */
	uint8		key_length;
	char		public_key[AK_PUBLIC_KEY_MAX];
	AkCounted	counted;
	AkNetwork	address;		/* of the last one; family 0: none */
	TimestampTz last_at;
	AkTally		tally;
	uint64		batch;			/* in flight with it; 0: pending */
} AkCount;

/*
 * Checks whether it counts denials; their reason is the kind of the counter.
 */
static inline bool
ak_count_is_denial(const AkCount *count)
{
	return count->counted.kind != AK_OK &&
		count->counted.kind != AK_COUNTER_GRANT;
}

/* Whether two copies are of the same counter, in the same batch. */
static inline bool
ak_count_is_of_same(const AkCount *left, const AkCount *right)
{
	return left->batch == right->batch &&
		left->counted.kind == right->counted.kind &&
		left->counted.secret_version == right->counted.secret_version &&
		left->counted.grant == right->counted.grant &&
		memcmp(&left->counted.network, &right->counted.network,
			   sizeof(AkNetwork)) == 0;
}

/* How something was counted. */
typedef enum AkCounting
{
	AK_COUNTED,
	AK_COUNTED_COARSELY,		/* of the key only: no room for more */
	AK_NOT_COUNTED				/* no room at all */
} AkCounting;

/* Position of a harvest in the counters of a database; initially all 0. */
typedef struct AkHarvestPlace
{
	int			partition;		/* AK_COUNTER_PARTITIONS: at the end */
	AkCounter  *next;			/* in the partition; NULL: the first */
} AkHarvestPlace;

/* What is to be written; palloc'd. */
typedef struct AkHarvest
{
	AkCount    *counts;
	int			count;
	int			allocated;
	text	  **stale;			/* keys whose rows are to be cleaned up */
	int			stale_count;
	int			stale_allocated;
} AkHarvest;

extern AkCounting ak_usage_counters_add(const text *public_key,
										const AkUse *use);
extern AkCounting ak_usage_counters_add_grant(const text *public_key,
											  uint64 grant, TimestampTz now);
extern bool ak_usage_counters_note_deletion(const text *public_key,
											TransactionId deleter);
extern void ak_usage_counters_forget_networks(const text *public_key,
											  const AkNetset *access_list);
extern int	ak_usage_counters_read(const text *public_key, AkCount **counts);
extern int64 ak_usage_counters_pending(Oid database, uint64 settled);

extern void ak_usage_counters_harvest(Oid database, uint64 batch, int wanted,
									  AkHarvestPlace *place,
									  AkHarvest *harvest);
extern void ak_usage_counters_take_back(Oid database, uint64 batch);
extern void ak_usage_counters_take_back_one(Oid database,
											const AkCount *count);

#endif							/* AK_USAGE_COUNTERS_H */
