/*
 * policy.c
 *	  See policy.h.
 *
 * A policy is read when it is first asked for, and again after any change of
 * an organization or its limits (tables.c).
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/errors.h"
#include "store/policy.h"

#include "access/xact.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* With more organizations than these the memory is emptied now and then. */
#define MAX_ENTRIES		10000

typedef struct PolicyEntry
{
	pg_uuid_t	organization;	/* hash key */
	AkPolicy	policy;
} PolicyEntry;

PG_FUNCTION_INFO_V1(apikeys_add_in_utc);

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;		/* in cache_context */
static uint64 cache_generation;

static void
empty_cache(void)
{
	HASHCTL		info = {0};

	cache = NULL;
	if (cache_context)
		MemoryContextReset(cache_context);
	else
		cache_context = AllocSetContextCreate(TopMemoryContext,
											  "apikeys policies",
											  ALLOCSET_SMALL_SIZES);
	info.keysize = sizeof(pg_uuid_t);
	info.entrysize = sizeof(PolicyEntry);
	info.hcxt = cache_context;
	cache = hash_create("apikeys policies", 64, &info,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

typedef struct LimitList
{
	AkLimit    *limits;			/* in cache_context, as what they point to */
	int			count;
	bool		are_own;
} LimitList;

static void
add_limit(struct varlena *image, TransactionId writer, void *argument)
{
	LimitList  *list = argument;
	MemoryContext old = MemoryContextSwitchTo(cache_context);
	Size		size = VARSIZE_ANY_EXHDR(image);
	char	   *copy = palloc(size);
	const char *next = memcpy(copy, VARDATA_ANY(image), size);

	list->limits = list->limits ?
		repalloc(list->limits, (list->count + 1) * sizeof(AkLimit)) :
		palloc(sizeof(AkLimit));
	MemoryContextSwitchTo(old);
	if (!ak_limit_next(&next, copy + size, &list->limits[list->count++]))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("limit of an organization is damaged"),
				 ak_errid("limit_damaged")));
	list->are_own |= TransactionIdIsCurrentTransactionId(writer);
}

/*
 * The policy of an organization; the strictest there is if there is no such
 * organization.
 */
AkPolicy
ak_policy_get(AkKeystore *store, const pg_uuid_t *organization)
{
	AkPolicy	policy = {.require_access_list = true};
	PolicyEntry *entry;
	LimitList	list = {0};

	if (cache == NULL || !ak_keystore_knows(store, cache_generation) ||
		hash_get_num_entries(cache) >= MAX_ENTRIES)
	{
		empty_cache();
		cache_generation = store->generation;
	}
	entry = hash_search(cache, organization, HASH_FIND, NULL);
	if (entry)
		return entry->policy;
	if (ak_keystore_find_policy(store, organization, &policy))
	{
		ak_keystore_scan_limits(store, organization, add_limit, &list);
		policy.limits = list.limits;
		policy.limit_count = list.count;
		policy.limits_are_own = list.are_own;
		entry = hash_search(cache, organization, HASH_ENTER, NULL);
		entry->policy = policy;
	}
	return policy;
}

/* --- The life of keys ----------------------------------------------------- */

/*
 * A time with an interval added to it in UTC: the same in every session, whatever
 * its time zone makes of days and months.
 */
static TimestampTz
add_in_utc(TimestampTz time, const Interval *interval)
{
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
												 TimestampGetDatum(time),
												 IntervalPGetDatum(unconstify(Interval *, interval))));
}

/*
 * Until when a key that was created then may live; DT_NOEND if the policy does
 * not limit that.  Verbs and decisions both ask this.
 */
TimestampTz
ak_policy_end_of_life(const AkPolicy *policy, TimestampTz created_at)
{
	return policy->limits_lifetime ?
		add_in_utc(created_at, &policy->max_key_lifetime) : DT_NOEND;
}

/* For SQL: a time with an interval added to it in UTC. */
Datum
apikeys_add_in_utc(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(add_in_utc(PG_GETARG_TIMESTAMPTZ(0),
									 PG_GETARG_INTERVAL_P(1)));
}
