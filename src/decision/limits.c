/*
 * limits.c
 *	  The limits that apply to a request, and what they say.
 *
 * All that apply must let it pass, and then all are charged, or none.  One limit
 * answers for all: of those that deny, the one with the longest wait; else the
 * one with the least left.
 */
#include "postgres.h"

#include <math.h>

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "core/scope.h"
#include "decision/decision.h"
#include "identity/identity.h"
#include "store/store.h"
#include "usage/limits.h"
#include "usage/usage.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/*
 * What is written of quotas may be newer than what a snapshot sees: so many
 * snapshots are taken.  On a standby, what it has sent to the primary may not
 * have come back for longer.
 */
#define MAX_READS	5

/* --- Which limits apply --------------------------------------------------- */

/*
 * The next limit is put here, after which it is the set's.  Of the check, what is
 * asked is filled in; what is answered is not, for that would take longer than to
 * judge it.
 */
static AkLimitCheck *
get_next(AkLimitSet *set, const AkLimit *limit, const char *of,
		 AkSpentKind kind, const pg_uuid_t *subject)
{
	AkLimitCheck *check = &set->checks[set->count];

	set->applied[set->count].limit = limit;
	set->applied[set->count].of = of;
	set->count++;
	check->key.database = MyDatabaseId;
	check->key.kind = kind;
	check->key.subject = *subject;
	check->key.start = 0;
	check->organization = set->organization;
	check->share = set->share;
	check->wants_read = check->is_read = false;
	return check;
}

static void
add_rate(AkLimitSet *set, const AkLimit *limit, const char *of,
		 AkSpentKind kind, const pg_uuid_t *subject, bool is_own)
{
	AkLimitCheck *check = get_next(set, limit, of, kind, subject);

	check->key.which = check->own_id = limit->id;
	check->default_id = 0;
	check->rate = set->share == AK_WHOLE ?
		limit->rate : ak_rate_share(&limit->rate, set->share);
	check->is_own = is_own;
}

/* The limit of a key as a whole: its own, or the default that it stands in place of. */
static void
add_key_rate(AkLimitSet *set, const AkLimit *own, const AkLimit *fallback,
			 const pg_uuid_t *subject, bool is_own)
{
	const AkLimit *limit = own ? own : fallback;

	if (limit == NULL)
		return;
	add_rate(set, limit, "", AK_SPENT_BY_KEY, subject, is_own);
	set->checks[set->count - 1].key.which = 0;
	set->checks[set->count - 1].own_id = own ? own->id : 0;
	set->checks[set->count - 1].default_id = fallback ? fallback->id : 0;
}

static void
add_quotas(AkLimitSet *set, const AkLimit *limits, int count, const char *of,
		   const pg_uuid_t *subject, int64 calendar, bool are_credits)
{
	for (int i = 0; i < count; i++)
	{
		const AkLimit *limit = &limits[i];
		AkLimitCheck *check;

		if (limit->kind != AK_LIMIT_QUOTA ||
			(limit->period == AK_PERIOD_EVER) != are_credits)
			continue;
		check = get_next(set, limit, of, AK_SPENT_OF_QUOTA, subject);
		check->key.which = limit->period;
		check->key.start = ak_period_start(limit->period, calendar);
		check->end = ak_period_end(limit->period, check->key.start);
		check->calendar = calendar;
		check->amount = limit->amount;
	}
}

/* The one limit of this kind that is for all scopes, or NULL. */
static const AkLimit *
find_limit(const AkLimit *limits, int count, AkLimitKind kind)
{
	for (int i = 0; i < count; i++)
		if (limits[i].kind == kind && limits[i].scope_length == 0)
			return &limits[i];
	return NULL;
}

/* Whether a pattern matches one of the scopes, which are separated by blanks. */
static bool
matches(const AkLimit *limit, const text *scopes)
{
	size_t		offset = 0;
	AkBytes		scope;

	while ((scope.size = ak_scope_next(VARDATA_ANY(scopes),
									   VARSIZE_ANY_EXHDR(scopes), &offset,
									   &scope.data)) > 0)
		if (ak_permission_allows(limit->scope, limit->scope_length, scope.data,
								 scope.size))
			return true;
	return false;
}

/* Whether any of them is a quota. */
static bool
have_quota(const AkLimit *limits, int count)
{
	for (int i = 0; i < count; i++)
		if (limits[i].kind == AK_LIMIT_QUOTA)
			return true;
	return false;
}

/* Reads the key's own limits; returns how many they are. */
static int
read_own(const AkImage *key, AkLimitSet *set)
{
	const char *next = key->limits.data;
	const char *end = next + key->limits.size;
	int			allocated = AK_FEW_LIMITS;
	int			count = 0;

	set->own = set->few_own;
	while (next < end)
	{
		if (count == allocated)
		{
			AkLimit    *more;

			allocated *= 2;
			more = palloc(allocated * sizeof(AkLimit));
			memcpy(more, set->own, count * sizeof(AkLimit));
			set->own = more;
		}
		if (!ak_limit_next(&next, end, &set->own[count++]))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("image of a key is damaged"),
					 ak_errid("image_damaged"),
					 errhint("SELECT apikeys.rebuild_images() makes all of them again."),
					 errhidestmt(true),
					 errhidecontext(true)));
	}
	return count;
}

static void
reserve(AkLimitSet *set, const pg_uuid_t *organization, int count)
{
	bool		are_few = count <= AK_FEW_LIMITS;

	set->applied = are_few ? set->few_applied :
		palloc(count * sizeof(AkApplied));
	set->checks = are_few ? set->few_checks :
		palloc(count * sizeof(AkLimitCheck));
	set->count = 0;
	set->organization = organization;
	set->share = (int) rint(ak_limit_share * AK_WHOLE);
}

static void
add_organization_rates(AkLimitSet *set, const pg_uuid_t *organization,
					   const AkPolicy *policy)
{
	const AkLimit *limit = find_limit(policy->limits, policy->limit_count,
									  AK_LIMIT_RATE);

	if (limit)
		add_rate(set, limit, "organization", AK_SPENT_BY_ORGANIZATION,
				 organization,
				 TransactionIdIsCurrentTransactionId(policy->writer));
}

/*
 * Collects the limits that apply to a request for these scopes, or, where that
 * is NULL, all that the key has; false if there are none.  The set is in the
 * current memory context, and points into the image and the policy.
 */
bool
ak_limits_collect(const AkImage *key, const AkPolicy *policy,
				  const text *scope, AkLimitSet *set)
{
	bool		is_own;
	int			own_count;

	if (key->limits.size == 0 && policy->limit_count == 0)
		return false;
	is_own = TransactionIdIsCurrentTransactionId(key->writer);
	own_count = read_own(key, set);
	reserve(set, &key->organization_id, own_count + policy->limit_count);
	for (int i = 0; i < own_count; i++)
		if (set->own[i].scope_length > 0 &&
			(scope == NULL || matches(&set->own[i], scope)))
			add_rate(set, &set->own[i], "", AK_SPENT_BY_SCOPE,
					 &key->limits_id, is_own);
	add_key_rate(set, find_limit(set->own, own_count, AK_LIMIT_RATE),
				 find_limit(policy->limits, policy->limit_count,
							AK_LIMIT_EACH_KEY),
				 &key->limits_id, is_own ||
				 TransactionIdIsCurrentTransactionId(policy->writer));
	add_organization_rates(set, &key->organization_id, policy);
	if (have_quota(set->own, own_count) ||
		have_quota(policy->limits, policy->limit_count))
	{
		int64		calendar = ak_clock_calendar();

		/* The periods before credits, and of each those of the key first. */
		for (int are_credits = 0; are_credits < 2; are_credits++)
		{
			add_quotas(set, set->own, own_count, "", &key->limits_id,
					   calendar, are_credits);
			add_quotas(set, policy->limits, policy->limit_count,
					   "organization", &key->organization_id, calendar,
					   are_credits);
		}
	}
	return set->count > 0;
}

/* What a limit is called in decisions and views; a constant, or palloc'd. */
const char *
ak_limits_name(const AkApplied *applied)
{
	const AkLimit *limit = applied->limit;
	const char *name;

	if (limit->kind == AK_LIMIT_EACH_KEY)
		return "each_key";
	if (limit->kind == AK_LIMIT_RATE)
		return limit->scope_length > 0 ?
			pnstrdup(limit->scope, limit->scope_length) :
			*applied->of ? applied->of : "key";
	name = limit->period == AK_PERIOD_EVER ?
		"credits" : ak_period_name(limit->period);
	return *applied->of ? psprintf("%s %s", applied->of, name) : name;
}

/* --- What they say -------------------------------------------------------- */

static bool
is_quota(const AkLimitCheck *check)
{
	return check->key.kind == AK_SPENT_OF_QUOTA;
}

/* Reads what the quotas of the set want, as the store sees it, or as it is now. */
static void
read_quotas(AkKeystore *store, AkLimitSet *set, bool is_first)
{
	bool		takes = !is_first && store->registered;
	Snapshot	snapshot = takes ?
		RegisterSnapshot(GetLatestSnapshot()) : store->snapshot;

	for (int i = 0; i < set->count; i++)
		if (is_quota(&set->checks[i]) && set->checks[i].wants_read)
			ak_quota_read(snapshot, &set->checks[i]);
	if (takes)
		UnregisterSnapshot(snapshot);
}

/*
 * Asks all limits of a set about a cost, and, if it spends, spends it of all if
 * all pass; see ak_limits_judge(), also of wants_answer.
 */
AkLimitsVerdict
ak_limits_ask(AkKeystore *store, AkLimitSet *set, int64 cost, bool spends,
			  bool wants_answer)
{
	AkDatabaseSlot *slot = ak_database_slot_get();
	AkLimitsVerdict verdict;
	int			reads = 0;

	while ((verdict = ak_limits_judge(set->checks, set->count, cost, spends,
									  wants_answer,
									  slot ? &slot->quota_batch : NULL,
									  reads >= MAX_READS)) == AK_LIMITS_WANT_READ)
		read_quotas(store, set, reads++ == 0);
	if (slot && spends && cost > 0 && set->count > 0 &&
		ak_limits_quota_count() > 0)
		ak_database_slot_want(slot);
	return verdict;
}

/* Of two that deny: whether the answer is rather that of a. */
static bool
denies_longer(const AkLimitCheck *a, const AkLimitCheck *b)
{
	if (a->never != b->never)
		return a->never;
	if (a->retry_after != b->retry_after)
		return a->retry_after > b->retry_after;
	return is_quota(a) && !is_quota(b);
}

/* Of two that allow: whether the answer is rather that of a. */
static bool
allows_less(const AkLimitCheck *a, const AkLimitCheck *b)
{
	if (a->remaining != b->remaining)
		return a->remaining < b->remaining;
	if (a->resets != b->resets)
		return b->resets;
	return a->resets && a->reset_after > b->reset_after;
}

/* The place of the limit that answers, or -1 if there is none. */
static int
choose(const AkLimitSet *set)
{
	int			chosen = -1;

	for (int i = 0; i < set->count; i++)
	{
		const AkLimitCheck *check = &set->checks[i];
		const AkLimitCheck *best = chosen < 0 ? NULL : &set->checks[chosen];

		if (!check->has_room)
			continue;
		if (best == NULL || (best->passes && !check->passes) ||
			(!best->passes && !check->passes && denies_longer(check, best)) ||
			(best->passes && check->passes && allows_less(check, best)))
			chosen = i;
	}
	return chosen;
}

static AkReason
answer_for(const AkLimitSet *set, int place, AkLimitsVerdict verdict,
		   AkLimitAnswer *answer)
{
	const AkLimitCheck *check = &set->checks[place];
	bool		passes = verdict == AK_LIMITS_JUDGED && check->passes;

	answer->exists = true;
	answer->name = ak_limits_name(&set->applied[place]);
	if (verdict == AK_LIMITS_JUDGED)
	{
		answer->waits = !check->passes && !check->never;
		answer->retry_after = check->retry_after;
		answer->remaining = check->remaining;
		answer->resets = check->resets;
		answer->reset_after = check->reset_after;
	}
	if (passes)
		return AK_OK;
	return is_quota(check) ? AK_QUOTA_EXCEEDED : AK_RATE_LIMITED;
}

/*
 * Decides a request that nothing else is against, and charges it.  Where it is
 * allowed, the answer is filled in only if it is wanted; its name is in the current
 * memory context.
 */
AkReason
ak_limits_decide(AkKeystore *store, const AkImage *key,
				 const AkPolicy *policy, const text *scope, int64 cost,
				 bool wants_answer, AkLimitAnswer *answer)
{
	AkLimitSet	set;
	AkLimitsVerdict verdict;
	int			place;

	if (!ak_limits_collect(key, policy, scope, &set))
		return AK_OK;
	verdict = ak_limits_ask(store, &set, cost, true, wants_answer);
	if (verdict == AK_LIMITS_PASSED)
		return AK_OK;
	if (verdict == AK_LIMITS_FULL)
	{
		/* the first one that there was no room for */
		place = 0;
		while (set.checks[place].has_room)
			place++;
	}
	else
		place = choose(&set);
	return place < 0 ? AK_OK : answer_for(&set, place, verdict, answer);
}

/* --- What is left of limits ---------------------------------------------- */

/*
 * What views, verbs and operators see of limits; looking spends nothing.
 */

PG_FUNCTION_INFO_V1(apikeys_require_preload);
PG_FUNCTION_INFO_V1(apikeys_key_limits);
PG_FUNCTION_INFO_V1(apikeys_organization_limits);
PG_FUNCTION_INFO_V1(apikeys_limits_status);

#define PUT(column, datum) \
	(values[column] = (datum), nulls[column] = false)

/* A rate is shown in hours and shorter, however it was written. */
static void
put_limits(ReturnSetInfo *result, AkKeystore *store, AkLimitSet *set)
{
	(void) ak_limits_ask(store, set, 0, false, true);
	for (int i = 0; i < set->count; i++)
	{
		const AkLimit *limit = set->applied[i].limit;
		const AkLimitCheck *check = &set->checks[i];
		Datum		values[8] = {0};
		bool		nulls[8];

		memset(nulls, true, sizeof(nulls));
		PUT(0, CStringGetTextDatum(ak_limits_name(&set->applied[i])));
		if (limit->kind == AK_LIMIT_QUOTA)
		{
			PUT(4, Int64GetDatum(limit->amount));
			PUT(5, Int64GetDatum(check->used));
		}
		else
		{
			PUT(1, Int64GetDatum(limit->rate.requests));
			PUT(2, ak_limit_interval(limit->rate.period));
			PUT(3, Int64GetDatum(limit->rate.burst));
		}
		PUT(6, Int64GetDatum(check->remaining));
		if (check->resets)
			PUT(7, ak_limit_interval(check->reset_after));
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
}

/* Leaves those of the key alone in the set, with the default that is for it. */
static void
drop_organization(AkLimitSet *set)
{
	int			kept = 0;

	for (int i = 0; i < set->count; i++)
		if (*set->applied[i].of == '\0')
		{
			set->applied[kept] = set->applied[i];
			set->checks[kept++] = set->checks[i];
		}
	set->count = kept;
}

/* --- For SQL -------------------------------------------------------------- */

Datum
apikeys_require_preload(PG_FUNCTION_ARGS)
{
	ak_require_preload();
	PG_RETURN_VOID();
}

/* Of the key alone: those of its organization are shown once, and not here. */
Datum
apikeys_key_limits(PG_FUNCTION_ARGS)
{
	text	   *public_key = PG_GETARG_TEXT_PP(0);
	AkKeystore	store;
	AkImage		key;
	AkPolicy	policy;
	AkLimitSet	set;

	InitMaterializedSRF(fcinfo, 0);
	if (!ak_limits_exist() || !ak_rights_reads_key(public_key))
		return (Datum) 0;
	ak_keystore_open_for_image(&store, ak_locator_hash(public_key),
							   AK_TABLE_BIT(AK_ORGANIZATION));
	if (ak_keystore_find_image(&store, public_key, &key))
	{
		ak_image_read_rest(&key);
		ak_image_read_limits(&key);
		policy = ak_policy_get(&store, &key.organization_id);
		if (ak_limits_collect(&key, &policy, NULL, &set))
		{
			drop_organization(&set);
			put_limits((ReturnSetInfo *) fcinfo->resultinfo, &store, &set);
		}
	}
	ak_keystore_close(&store);
	return (Datum) 0;
}

/* Of it as a whole; not its default for keys, of which each has what is left. */
Datum
apikeys_organization_limits(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *organization = PG_GETARG_UUID_P(0);
	AkKeystore	store;
	AkPolicy	policy;
	AkLimitSet	set;
	int64		calendar;

	InitMaterializedSRF(fcinfo, 0);
	if (!ak_limits_exist() || !ak_rights_reads_organization(organization))
		return (Datum) 0;
	ak_keystore_open(&store, AK_TABLE_BIT(AK_ORGANIZATION));
	policy = ak_policy_get(&store, organization);
	calendar = ak_clock_calendar();
	reserve(&set, organization, policy.limit_count);
	add_organization_rates(&set, organization, &policy);
	for (int are_credits = 0; are_credits < 2; are_credits++)
		add_quotas(&set, policy.limits, policy.limit_count, "organization",
				   organization, calendar, are_credits);
	put_limits((ReturnSetInfo *) fcinfo->resultinfo, &store, &set);
	ak_keystore_close(&store);
	return (Datum) 0;
}

Datum
apikeys_limits_status(PG_FUNCTION_ARGS)
{
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};
	AkLimitsStatus status;

	if (ak_limits_exist())
	{
		ak_limits_status(&status);
		PUT(0, Int32GetDatum(status.used));
		PUT(1, Int64GetDatum(status.unlimited));
	}
	return ak_make_row(fcinfo, values, nulls);
}
