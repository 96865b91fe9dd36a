/*
 * policy.c
 *	  See policy.h.
 *
 * A policy is read on first use, and again if the snapshot no longer sees the
 * version of the row that it was read from (ak_keystore_sees()).
 */
#include "postgres.h"

#include "core/compat.h"
#include "store/policy.h"

#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* With more organizations than this, the cache is emptied. */
#define MAX_ENTRIES		10000

typedef struct PolicyEntry
{
	pg_uuid_t	organization;	/* hash key */
	AkRowVersion version;
	AkPolicy	policy;
} PolicyEntry;

PG_FUNCTION_INFO_V1(apikeys_add_in_utc);

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;		/* in cache_context */

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
 * organization.  Its list lives until the next call.  The store was opened to read
 * table organization.
 */
AkPolicy
ak_policy_get(AkKeystore *store, const pg_uuid_t *organization)
{
	AkPolicy	policy = {.require_access_list = true};
	AkRowVersion version;
	PolicyEntry *entry;

	if (cache == NULL || hash_get_num_entries(cache) >= MAX_ENTRIES)
		empty_cache();
	entry = hash_search(cache, organization, HASH_FIND, NULL);
	if (entry && ak_keystore_sees(store, AK_ORGANIZATION, &entry->version))
		return entry->policy;
	if (ak_keystore_find_policy(store, organization, &policy, &version))
	{
		entry = hash_search(cache, organization, HASH_ENTER, NULL);
		entry->version = version;
		entry->policy = policy;
		if (policy.access_list)
			entry->policy.access_list =
				memcpy(MemoryContextAlloc(cache_context,
										  VARSIZE(policy.access_list)),
					   policy.access_list, VARSIZE(policy.access_list));
	}
	return policy;
}

/* --- The life of keys ---------------------------------------------------- */

/*
 * Adds an interval to a time in UTC, so that days and months do not depend on
 * the session's time zone.
 */
static TimestampTz
add_in_utc(TimestampTz time, const Interval *interval)
{
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
												 TimestampGetDatum(time),
												 IntervalPGetDatum(unconstify(Interval *, interval))));
}

/*
 * Returns the latest expiration of a key created at that time; DT_NOEND if the
 * policy has no limit.  Both functions that create keys and decisions use it.
 */
TimestampTz
ak_policy_end_of_life(const AkPolicy *policy, TimestampTz created_at)
{
	return policy->limits_lifetime ?
		add_in_utc(created_at, &policy->max_key_lifetime) : DT_NOEND;
}

/* The same for SQL: adds an interval to a time in UTC. */
Datum
apikeys_add_in_utc(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(add_in_utc(PG_GETARG_TIMESTAMPTZ(0),
									 PG_GETARG_INTERVAL_P(1)));
}
