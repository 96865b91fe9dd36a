/*
 * policy.c
 *	  See policy.h.
 *
 * A policy is read when it is first asked for, and again when the row that it
 * was read from is not the one that is seen any more (ak_keystore_sees()).
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
 * organization.  The store was opened to read table organization.
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
	}
	return policy;
}

/* --- The life of keys ----------------------------------------------------- */

/*
 * A time with an interval added to it in UTC: the same in every session, whatever
 * its time zone makes of days and months.  Raises 22008 where there is no such time.
 */
TimestampTz
ak_add_in_utc(TimestampTz time, const Interval *interval)
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
		ak_add_in_utc(created_at, &policy->max_key_lifetime) : DT_NOEND;
}

/* For SQL: a time with an interval added to it in UTC. */
Datum
apikeys_add_in_utc(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(ak_add_in_utc(PG_GETARG_TIMESTAMPTZ(0),
										PG_GETARG_INTERVAL_P(1)));
}
