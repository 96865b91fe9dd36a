/*
 * limits_judge.c
 *	  Judges all limits of a decision at once, and spends of all of them or of none.
 *
 * A decision takes the locks of all partitions that it needs, exclusively and in
 * their order, reads the clock after that, and judges all limits by it.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "usage/limits.h"

#include "access/xlog.h"

/* What the table of quotas says is asked for again after so long. */
#define READ_INTERVAL_US	INT64_C(1000000)

/* --- Partitions ----------------------------------------------------------- */

static void
choose_partitions(AkLimitCheck *checks, int count, AkPartitionSet *set)
{
	memset(set, 0, sizeof(*set));
	for (int i = 0; i < count; i++)
	{
		int			partition;

		checks[i].head = ak_limits_head(&checks[i].key);
		partition = ak_limits_partition(checks[i].head);
		set->bits[partition / 64] |= UINT64CONST(1) << partition % 64;
	}
}

/* --- Rates, under the locks ----------------------------------------------- */

/*
 * Whether what was spent was of the same limit, or of one that it took the place
 * of: a limit that was removed and set again, with none behind it, is new.
 */
static bool
goes_on(const AkLimitCheck *check, const AkSpentRate *spent)
{
	if ((check->own_id != 0 && check->own_id == spent->own_id) ||
		(check->default_id != 0 && check->default_id == spent->default_id))
		return true;
	return (check->own_id != 0) != (spent->own_id != 0);
}

static bool
is_same_rate(const AkRate *a, const AkRate *b)
{
	return a->requests == b->requests && a->period == b->period &&
		a->burst == b->burst;
}

/*
 * What is spent now, under the limit of the check.  A change that is not
 * committed starts nothing again.
 */
static int64
get_level(const AkLimitCheck *check, int64 now)
{
	const AkSpentRate *spent;
	int64		level;

	if (check->spent == NULL)
		return 0;
	spent = &check->spent->of.rate;
	if (!check->is_own && !goes_on(check, spent))
		return 0;
	level = ak_gcra_level(&spent->rate, &spent->bucket, now);
	return is_same_rate(&spent->rate, &check->rate) ? level :
		ak_gcra_convert(level, &spent->rate, &check->rate);
}

static void
answer_rate(AkLimitCheck *check, int64 cost)
{
	AkRateAnswer answer;

	ak_gcra_answer(&check->rate, check->level, cost, &answer);
	check->passes = answer.passes;
	check->never = answer.never;
	check->retry_after = answer.retry_after;
	check->remaining = answer.remaining;
	check->resets = true;
	check->reset_after = answer.reset_after;
}

/*
 * Notes what is spent, and the limit that this is of.  A limit that this
 * transaction may have changed is not noted, for a rollback could not undo it;
 * then what is spent is spent of the one before.
 */
static void
store_rate(AkLimitCheck *check, int64 cost, bool is_new, int64 now)
{
	AkSpentRate  *spent = &check->spent->of.rate;

	if (check->is_own && !is_new)
	{
		int64		level = ak_gcra_level(&spent->rate, &spent->bucket, now);

		ak_gcra_store(&spent->rate, ak_gcra_spend(&spent->rate, level, cost),
					  now, &spent->bucket);
		return;
	}
	spent->rate = check->rate;
	spent->own_id = check->own_id;
	spent->default_id = check->default_id;
	ak_gcra_store(&check->rate, ak_gcra_spend(&check->rate, check->level, cost),
				  now, &spent->bucket);
}

/* --- Quotas, under the locks ---------------------------------------------- */

/*
 * Whether the table must be asked before the check can be judged: where nothing
 * is in memory, or what was in memory until a batch that was not read; after each
 * batch, because shares are of what is not written; and now and then, for others may
 * have written, as they always may on a standby.
 */
static bool
wants_read(const AkLimitCheck *check, int64 now, bool in_recovery,
		   uint64 last_batch, bool accepts_stale)
{
	const AkSpentQuota *quota;

	if (check->spent == NULL)
		return !check->is_read ||
			(check->merged < last_batch && !accepts_stale);
	quota = &check->spent->of.quota;
	return !check->is_read &&
		(in_recovery || now - quota->read_at > READ_INTERVAL_US ||
		 (quota->written_batch < quota->batch && quota->batch <= last_batch));
}

/*
 * Takes over what was read; the table grows, so the larger figure is the newer one.
 * On a standby it lacks the last batches: what they held is counted until it shows
 * them all, which errs by the batches between two looks, and to the safe side.
 */
static void
take_over_read(AkLimitCheck *check, int64 now)
{
	AkSpentQuota *quota = &check->spent->of.quota;

	quota->written = Max(quota->written, check->written);
	quota->written_batch = Max(quota->written_batch, check->merged);
	if (check->merged >= quota->older_batch)
	{
		quota->older = quota->later;
		quota->later = 0;
		quota->older_batch = quota->written_batch;
	}
	if (check->merged >= quota->older_batch)
		quota->older = 0;
	quota->read_at = now;
}

/*
 * What is left for this server: its share of what the table shows no use of, without
 * what it has used since.  What was used goes into the check.
 */
static int64
get_remaining(AkLimitCheck *check)
{
	const AkSpentQuota *quota = check->spent ? &check->spent->of.quota : NULL;
	int64		written = quota ? quota->written : check->written;
	int64		since = 0;
	int64		left = Max(check->amount - written, 0);

	if (quota)
	{
		since = ak_count_add(ak_count_add(quota->older, quota->later),
							 quota->pending);
		if (quota->written_batch < quota->batch)
			since = ak_count_add(since, quota->in_flight);
	}
	check->used = ak_count_add(written, since);
	return Max(ak_share_of(left, check->share) - since, 0);
}

static void
answer_quota(AkLimitCheck *check, int64 cost)
{
	bool		ends = check->end != PG_INT64_MAX;

	check->remaining = get_remaining(check);
	check->passes = cost <= check->remaining;
	check->never = !check->passes &&
		(cost > ak_share_of(check->amount, check->share) || !ends);
	check->retry_after = check->passes || check->never ? 0 :
		check->end - check->calendar;
	check->resets = ends;
	check->reset_after = ends ? check->end - check->calendar : 0;
}

/* --- All limits of a decision --------------------------------------------- */

static bool
is_quota(const AkLimitCheck *check)
{
	return check->key.kind == AK_SPENT_OF_QUOTA;
}

/* False if a quota wants to be read first. */
static bool
find_all(AkLimitCheck *checks, int count, int64 now, uint64 last_batch,
		 bool accepts_stale)
{
	bool		in_recovery = RecoveryInProgress();
	bool		is_ready = true;

	for (int i = 0; i < count; i++)
	{
		AkLimitCheck *check = &checks[i];

		check->has_room = true;
		check->spent = ak_limits_find(&check->key, check->head);
		if (!is_quota(check))
			continue;
		check->wants_read = wants_read(check, now, in_recovery, last_batch,
									   accepts_stale);
		is_ready &= !check->wants_read;
		if (check->spent && check->is_read)
			take_over_read(check, now);
	}
	return is_ready;
}

/* Whether all pass. */
static bool
pass_all(AkLimitCheck *checks, int count, int64 cost, int64 now)
{
	bool		passes = true;

	for (int i = 0; i < count; i++)
	{
		AkLimitCheck *check = &checks[i];

		if (is_quota(check))
			passes &= cost <= get_remaining(check);
		else
		{
			check->level = get_level(check, now);
			passes &= ak_gcra_passes(&check->rate, check->level, cost);
		}
	}
	return passes;
}

/* What is to say of all, as they are now, about a cost. */
static void
answer_all(AkLimitCheck *checks, int count, int64 cost)
{
	for (int i = 0; i < count; i++)
		if (is_quota(&checks[i]))
			answer_quota(&checks[i], cost);
		else
			answer_rate(&checks[i], cost);
}

/* Spends of one limit, of which there may be no row yet; false if there is no room. */
static bool
spend(AkLimitCheck *check, int64 cost, int64 now)
{
	bool		is_new = check->spent == NULL;

	if (is_new)
		check->spent = ak_limits_enter(&check->key, check->head,
									   check->organization);
	if (check->spent == NULL)
		return false;
	if (is_quota(check))
	{
		AkSpentQuota *quota = &check->spent->of.quota;

		if (is_new)
			take_over_read(check, now);
		quota->pending += cost;
	}
	else
	{
		store_rate(check, cost, is_new, now);
		check->level = ak_gcra_spend(&check->rate, check->level, cost);
	}
	return true;
}

/*
 * Makes rows where there are none, while there is room; whether there was for
 * all.  One that stays unused is full, and found again.
 */
static bool
enter_all(AkLimitCheck *checks, int count, int64 now)
{
	bool		has_room = true;

	for (int i = 0; i < count; i++)
		if (checks[i].spent == NULL)
		{
			checks[i].has_room = spend(&checks[i], 0, now);
			has_room &= checks[i].has_room;
		}
	return has_room;
}

/* Whether the bucket is of the limit as it is; one that is spent may have been cut. */
static bool
is_noted(const AkLimitCheck *check, const AkSpentRate *spent)
{
	return is_same_rate(&spent->rate, &check->rate) &&
		spent->own_id == check->own_id &&
		spent->default_id == check->default_id &&
		check->level < check->rate.burst * check->rate.period;
}

/*
 * Notes limits that have changed, also where nothing is spent: what was spent is
 * cut to a lowered limit once and for all.
 */
static void
note_changes(AkLimitCheck *checks, int count, int64 now)
{
	for (int i = 0; i < count; i++)
		if (checks[i].spent && !is_quota(&checks[i]) &&
			!is_noted(&checks[i], &checks[i].spent->of.rate))
			store_rate(&checks[i], 0, false, now);
}

/*
 * Judges the limits, and, if it spends and all pass, spends the cost of all of
 * them; what is said of each is as it is after that.  Where there is no room for
 * one, it is left out (has_room), or, if apikeys.limit_overflow says so, the
 * answer is AK_LIMITS_FULL and nothing is spent.  "last_batch", which may be NULL, is
 * the last batch of quotas that this database has written, after which rows may
 * have been removed: what was read before it is no good, unless the caller
 * accepts_stale.  If all pass and the caller does not want to know what is left,
 * the checks say nothing, and the answer is AK_LIMITS_PASSED.
 */
AkLimitsVerdict
ak_limits_judge(AkLimitCheck *checks, int count, int64 cost, bool spends,
				bool wants_answer,
				pg_atomic_uint64 *last_batch, bool accepts_stale)
{
	AkPartitionSet partitions;
	bool		has_room = true;
	bool		is_ready;
	bool		passes = false;
	bool		spends_now;

	choose_partitions(checks, count, &partitions);
	for (int attempt = 0; attempt < 2; attempt++)
	{
		int64		now;

		ak_limits_lock(&partitions);
		now = ak_clock_us();
		is_ready = find_all(checks, count, now,
							last_batch ? pg_atomic_read_u64(last_batch) : 0,
							accepts_stale);
		passes = is_ready && pass_all(checks, count, cost, now);
		if (is_ready && spends)
			note_changes(checks, count, now);
		has_room = !passes || !spends || cost == 0 ||
			enter_all(checks, count, now);
		spends_now = passes && spends && cost > 0 &&
			(has_room || (attempt == 1 && !ak_limit_overflow_denies));
		for (int i = 0; spends_now && i < count; i++)
			if (checks[i].has_room)
				(void) spend(&checks[i], cost, now);
		if (is_ready && (wants_answer || !passes))
			answer_all(checks, count, spends_now ? 0 : cost);
		ak_limits_unlock(&partitions);
		if (has_room)
			break;
		if (attempt == 0)
			ak_limits_free_full();
	}
	if (!is_ready)
		return AK_LIMITS_WANT_READ;
	if (!has_room)
	{
		ak_limits_note_no_room();
		if (ak_limit_overflow_denies)
			return AK_LIMITS_FULL;
	}
	return passes && !wants_answer ? AK_LIMITS_PASSED : AK_LIMITS_JUDGED;
}
