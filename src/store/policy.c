/*
 * policy.c
 *	  See policy.h.
 *
 * A policy is read when it is first asked for, and again after any change of
 * an organization (tables.c).
 */
#include "postgres.h"

#include "core/compat.h"
#include "store/policy.h"

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

/*
 * The policy of an organization; the strictest there is if there is no such
 * organization.
 */
AkPolicy
ak_policy_get(AkKeystore *store, const pg_uuid_t *organization)
{
	AkPolicy	policy = {.require_access_list = true};
	PolicyEntry *entry;

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
		entry = hash_search(cache, organization, HASH_ENTER, NULL);
		entry->policy = policy;
	}
	return policy;
}

/* --- The life of keys ----------------------------------------------------- */

/* Without regard to any time zone. */
static TimestampTz
add_in_utc(TimestampTz time, const Interval *interval)
{
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
												 TimestampGetDatum(time),
												 PointerGetDatum(unconstify(Interval *, interval))));
}

/*
 * Until when a key that was made then may live, if the policy limits that; of
 * what the interval means in UTC and in the session's time zone, the later.
 */
TimestampTz
ak_policy_end_of_life(const AkPolicy *policy, TimestampTz created_at)
{
	Datum		here =
		DirectFunctionCall2(timestamptz_pl_interval,
							TimestampTzGetDatum(created_at),
							PointerGetDatum(unconstify(Interval *, &policy->max_key_lifetime)));

	return Max(DatumGetTimestampTz(here),
			   add_in_utc(created_at, &policy->max_key_lifetime));
}

/*
 * Whether a key of this life may be used.  Decisions are the same in every
 * session, so this leaves room for what time zones can make of days and months.
 */
bool
ak_policy_tolerates_life(const AkPolicy *policy, TimestampTz created_at,
						 TimestampTz expires_at)
{
	const Interval *lifetime = &policy->max_key_lifetime;
	TimestampTz end;

	if (!policy->limits_lifetime)
		return true;
	end = add_in_utc(created_at, lifetime);
	if (lifetime->month != 0)
		end += USECS_PER_DAY;
	if (lifetime->month != 0 || lifetime->day != 0)
		end += 2 * USECS_PER_HOUR;
	return expires_at <= end;
}
