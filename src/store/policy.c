/*
 * policy.c
 *	  The policies of organizations for their keys, cached in the backend.
 *
 * A policy is read on first use, and again if the snapshot no longer sees the
 * version of the row that it was read from (ak_keystore_sees()).
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "store/store.h"

#include "catalog/pg_type.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* When the cache has this size in bytes, it is emptied. */
#define MAX_SIZE		((Size) 8 * 1024 * 1024)

/* The longest lifetime, and when a key was created last that may have it. */
#define MAX_YEARS		1000
#define LAST_CREATION	(END_TIMESTAMP - MAX_YEARS * INT64CONST(366) * USECS_PER_DAY)

typedef struct PolicyEntry
{
	pg_uuid_t	organization;	/* hash key */
	AkRowVersion version;
	AkPolicy	policy;
} PolicyEntry;

PG_FUNCTION_INFO_V1(apikeys_add_in_utc);
PG_FUNCTION_INFO_V1(apikeys_is_lifetime);
PG_FUNCTION_INFO_V1(apikeys_organization_limit_changed);

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
 * The limits of which these are the images, in the cache, along with what they
 * point to.  Raises XX001 if an image is damaged.
 */
static const AkLimit *
keep_limits(struct varlena *stored, int *count)
{
	Size		size = VARSIZE(stored) - VARHDRSZ;
	const char *next = VARDATA(stored);
	const char *end = next + size;
	AkLimit		limit;
	AkLimit    *limits;
	char	   *images;

	for (*count = 0; next < end; (*count)++)
		if (!ak_limit_next(&next, end, &limit))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("limit of an organization is damaged"),
					 ak_errid("limit_damaged"),
					 errhint("SELECT apikeys.rebuild_images() makes all images again."),
					 errhidestmt(true),
					 errhidecontext(true)));
	if (*count == 0)
		return NULL;
	limits = MemoryContextAlloc(cache_context,
								*count * sizeof(AkLimit) + size);
	images = (char *) (limits + *count);
	memcpy(images, VARDATA(stored), size);
	next = images;
	for (int i = 0; i < *count; i++)
		(void) ak_limit_next(&next, images + size, &limits[i]);
	return limits;
}

/*
 * The policy of an organization; if there is no such organization, as after a
 * restore of a part, one by which no key lives.  Its list and limits live until the next call.  The store was
 * opened to read table organization.
 */
AkPolicy
ak_policy_get(AkKeystore *store, const pg_uuid_t *organization)
{
	AkPolicy	policy = {.require_access_list = true,.limits_lifetime = true};
	AkRowVersion version;
	PolicyEntry *entry;
	bool		found;

	if (cache == NULL)
		empty_cache();
	entry = hash_search(cache, organization, HASH_FIND, NULL);
	if (entry && ak_keystore_sees(store, AK_ORGANIZATION, &entry->version))
		return entry->policy;
	if (MemoryContextMemAllocated(cache_context, true) >= MAX_SIZE)
		empty_cache();
	if (ak_keystore_find_policy(store, organization, &policy, &version))
	{
		policy.limits = keep_limits(policy.stored_limits, &policy.limit_count);
		policy.stored_limits = NULL;
		if (policy.access_list)
			policy.access_list =
				memcpy(MemoryContextAlloc(cache_context,
										  VARSIZE(policy.access_list)),
					   policy.access_list, VARSIZE(policy.access_list));
		entry = hash_search(cache, organization, HASH_ENTER, &found);
		if (found && entry->policy.access_list)
			pfree(entry->policy.access_list);
		if (found && entry->policy.limits)
			pfree(unconstify(AkLimit *, entry->policy.limits));
		entry->version = version;
		entry->policy = policy;
	}
	return policy;
}

/* --- Images of limits ------------------------------------------------------ */

#define WRITE_LIMITS \
	"UPDATE apikeys.organization AS o SET limits = coalesce((" \
	"SELECT pg_catalog.string_agg(l.image, ''::pg_catalog.bytea ORDER BY l.kind) " \
	"FROM apikeys.organization_limit AS l " \
	"WHERE l.organization_id OPERATOR(pg_catalog.=) o.id), '') "

/*
 * Of two transactions that change limits of an organization, the second waits here
 * for the first, and then sees what it has done.
 */
static void
write_limits(Datum organization)
{
	static AkStatement lock = {
		"SELECT FROM apikeys.organization "
		"WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
		1, {UUIDOID}, .by_index = true
	};
	static AkStatement write = {
		WRITE_LIMITS "WHERE o.id OPERATOR(pg_catalog.=) $1",
		1, {UUIDOID}, .by_index = true
	};

	ak_owner_execute(&lock, &organization, NULL);
	ak_owner_execute(&write, &organization, NULL);
}

/* Makes the images of the limits of all organizations the same as the table. */
void
ak_policy_write_all_limits(void)
{
	static AkStatement lock = {
		"LOCK TABLE apikeys.organization_limit IN SHARE ROW EXCLUSIVE MODE"
	};
	static AkStatement write = {WRITE_LIMITS};

	ak_owner_execute(&lock, NULL, NULL);
	ak_owner_execute(&write, NULL, NULL);
}

/*
 * Trigger of table organization_limit, for changes of every role: a policy, with its
 * limits, is known by the version of the organization's row.
 */
Datum
apikeys_organization_limit_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo,
										  AK_TABLE_BIT(AK_ORGANIZATION_LIMIT));
	bool		isnull;

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		ak_policy_write_all_limits();
		PG_RETURN_POINTER(NULL);
	}
	write_limits(ak_trigger_get_column(trigger, trigger->tg_trigtuple, 1,
									   &isnull));
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		write_limits(ak_trigger_get_column(trigger, trigger->tg_newtuple, 1,
										   &isnull));
	PG_RETURN_POINTER(NULL);
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
 * is_lifetime(value interval): whether it is at most 1000 years and has no negative
 * part, so that it can be added to any time at which something is made.
 */
Datum
apikeys_is_lifetime(PG_FUNCTION_ARGS)
{
	const Interval *value = PG_GETARG_INTERVAL_P(0);
	Interval	longest = {.month = MAX_YEARS * MONTHS_PER_YEAR};

	PG_RETURN_BOOL(value->month >= 0 && value->day >= 0 && value->time >= 0 &&
				   DatumGetBool(DirectFunctionCall2(interval_le,
													PG_GETARG_DATUM(0),
													IntervalPGetDatum(&longest))));
}

/*
 * Returns the latest expiration of a key created at that time; DT_NOEND if the
 * policy has no limit.  Both functions that create keys and decisions use it.
 */
TimestampTz
ak_policy_end_of_life(const AkPolicy *policy, TimestampTz created_at)
{
	/* The last times, which no key that was created here has, have no such sum. */
	return policy->limits_lifetime && created_at < LAST_CREATION ?
		ak_add_in_utc(created_at, &policy->max_key_lifetime) : DT_NOEND;
}

/* The same for SQL: adds an interval to a time in UTC. */
Datum
apikeys_add_in_utc(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(ak_add_in_utc(PG_GETARG_TIMESTAMPTZ(0),
										PG_GETARG_INTERVAL_P(1)));
}
