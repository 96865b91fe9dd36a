/*
 * limits_table.c
 *	  See limits_table.h.
 *
 * A hash table with chains: rows of a pool that all partitions share, found
 * through an array of heads, which the partitions divide among themselves.
 * Places in the pool are counted from 1; 0 is the end of a chain.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/clock.h"
#include "core/compat.h"
#include "usage/limits_table.h"

#include "access/xlog.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#define TRANCHE_NAME	"apikeys limits"

#define PARTITIONS		128

/* What the table of quotas says is asked for again after so long. */
#define READ_INTERVAL_US	INT64_C(1000000)

/* That there is no room is told so often. */
#define LOG_INTERVAL_US		INT64_C(60000000)

/* Of a rate, a bucket under the limit that it was last used under. */
typedef struct SpentRate
{
	AkRate		rate;
	AkBucket	bucket;
	uint64		own_id;
	uint64		default_id;
} SpentRate;

typedef struct SpentQuota
{
	int64		written;		/* by batches up to this, and by others */
	uint64		written_batch;
	int64		pending;
	int64		in_flight;
	uint64		batch;			/* of what is in flight */
	int64		read_at;		/* ak_clock_us(): when the table was asked */
} SpentQuota;

typedef struct AkSpent
{
	AkSpentKey	key;
	uint32		next;			/* in the chain, or of those that are free */
	union
	{
		SpentRate	rate;
		SpentQuota	quota;
	}			of;
} AkSpent;

StaticAssertDecl(sizeof(AkSpent) <= 128, "a limit takes little memory");

typedef struct Table
{
	slock_t		mutex;			/* of the free rows */
	uint32		free;
	uint32		head_count;		/* a power of two, and of PARTITIONS a multiple */
	pg_atomic_uint32 used;
	pg_atomic_uint32 quotas;
	pg_atomic_uint64 unlimited;
	pg_atomic_uint64 logged_at; /* ak_clock_us() */
	pg_atomic_uint64 full_until;	/* ak_clock_us(): looking for full buckets is
									 * in vain before */
} Table;

static Table *table = NULL;
static LWLockPadded *locks;
static AkSpent *rows;
static uint32 *heads;

/* --- Shared memory -------------------------------------------------------- */

static uint32
get_head_count(void)
{
	return Max(PARTITIONS, pg_nextpower2_32(ak_limit_max_entries));
}

static Size
get_size(void)
{
	return add_size(MAXALIGN(sizeof(Table)),
					add_size(mul_size(ak_limit_max_entries, sizeof(AkSpent)),
							 mul_size(get_head_count(), sizeof(uint32))));
}

/* Asks for the shared memory; called once, in the postmaster. */
void
ak_limits_request(void)
{
	RequestAddinShmemSpace(get_size());
	RequestNamedLWLockTranche(TRANCHE_NAME, PARTITIONS);
}

/* Makes or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_limits_attach(void)
{
	bool		found;

	table = ShmemInitStruct(TRANCHE_NAME, get_size(), &found);
	rows = (AkSpent *) ((char *) table + MAXALIGN(sizeof(Table)));
	heads = (uint32 *) (rows + ak_limit_max_entries);
	locks = GetNamedLWLockTranche(TRANCHE_NAME);
	if (found)
		return;
	memset(table, 0, get_size());
	SpinLockInit(&table->mutex);
	table->head_count = get_head_count();
	pg_atomic_init_u32(&table->used, 0);
	pg_atomic_init_u32(&table->quotas, 0);
	pg_atomic_init_u64(&table->unlimited, 0);
	pg_atomic_init_u64(&table->logged_at, 0);
	pg_atomic_init_u64(&table->full_until, 0);
	for (int i = 0; i < ak_limit_max_entries; i++)
		rows[i].next = i + 1 < ak_limit_max_entries ? i + 2 : 0;
	table->free = 1;
}

/* Whether there is the shared memory, which is so if we were preloaded. */
bool
ak_limits_exist(void)
{
	return table != NULL;
}

/* --- Rows, under the lock of the partition -------------------------------- */

static int
get_partition(uint32 head)
{
	return head % PARTITIONS;
}

static AkSpent *
find(const AkSpentKey *key, uint32 head)
{
	for (uint32 place = heads[head]; place != 0; place = rows[place - 1].next)
		if (memcmp(&rows[place - 1].key, key, sizeof(*key)) == 0)
			return &rows[place - 1];
	return NULL;
}

/* A new row of this key, all zeros; NULL if there is no room. */
static AkSpent *
enter(const AkSpentKey *key, uint32 head)
{
	AkSpent    *spent;
	uint32		place;

	SpinLockAcquire(&table->mutex);
	place = table->free;
	if (place != 0)
		table->free = rows[place - 1].next;
	SpinLockRelease(&table->mutex);
	if (place == 0)
		return NULL;
	spent = &rows[place - 1];
	memset(spent, 0, sizeof(*spent));
	spent->key = *key;
	spent->next = heads[head];
	heads[head] = place;
	pg_atomic_fetch_add_u32(&table->used, 1);
	if (key->kind == AK_SPENT_OF_QUOTA)
		pg_atomic_fetch_add_u32(&table->quotas, 1);
	return spent;
}

/* Takes the row out that the link leads to. */
static void
remove_row(uint32 *link)
{
	uint32		place = *link;
	AkSpent    *spent = &rows[place - 1];

	*link = spent->next;
	pg_atomic_fetch_sub_u32(&table->used, 1);
	if (spent->key.kind == AK_SPENT_OF_QUOTA)
		pg_atomic_fetch_sub_u32(&table->quotas, 1);
	SpinLockAcquire(&table->mutex);
	spent->next = table->free;
	table->free = place;
	SpinLockRelease(&table->mutex);
}

/* Whether the row shall be removed. */
typedef bool (*RowCallback) (AkSpent *spent, void *argument);

/* Calls back with each row, under the lock of its partition. */
static void
scan(RowCallback callback, void *argument)
{
	for (int partition = 0; partition < PARTITIONS; partition++)
	{
		LWLockAcquire(&locks[partition].lock, LW_EXCLUSIVE);
		for (uint32 head = partition; head < table->head_count;
			 head += PARTITIONS)
		{
			uint32	   *link = &heads[head];

			while (*link != 0)
			{
				AkSpent    *spent = &rows[*link - 1];

				if (callback(spent, argument))
					remove_row(link);
				else
					link = &spent->next;
			}
		}
		LWLockRelease(&locks[partition].lock);
	}
}

/* --- Making room ---------------------------------------------------------- */

typedef struct Sweep
{
	int64		now;
	int64		next_full;
} Sweep;

static bool
is_full_bucket(AkSpent *spent, void *argument)
{
	Sweep	   *sweep = argument;
	AkBucket   *bucket = &spent->of.rate.bucket;

	if (spent->key.kind == AK_SPENT_OF_QUOTA)
		return false;
	if (ak_gcra_level(&spent->of.rate.rate, bucket, sweep->now) == 0)
		return true;
	sweep->next_full = Min(sweep->next_full,
						   bucket->time + (bucket->fraction > 0));
	return false;
}

/*
 * Frees the rows of buckets that are full.  Where many rows would be looked at
 * for few of them it waits, so that a table that is full costs little.
 */
static void
free_full_buckets(void)
{
	Sweep		sweep = {ak_clock_us(), PG_INT64_MAX};

	if (sweep.now < (int64) pg_atomic_read_u64(&table->full_until))
		return;
	scan(is_full_bucket, &sweep);
	pg_atomic_write_u64(&table->full_until,
						Max(sweep.next_full,
							sweep.now + ak_limit_max_entries / 100));
}

/* No lock is held. */
static void
note_no_room(void)
{
	int64		now = ak_clock_us();
	uint64		before = pg_atomic_read_u64(&table->logged_at);

	pg_atomic_fetch_add_u64(&table->unlimited, 1);
	if ((before == 0 || now - (int64) before >= LOG_INTERVAL_US) &&
		pg_atomic_compare_exchange_u64(&table->logged_at, &before, now))
		ereport(LOG,
				(errmsg("there is no room to count what is spent of another limit"),
				 errhint("Raise apikeys.limit_max_entries, and restart the server."),
				 errhidestmt(true),
				 errhidecontext(true)));
}

/* --- Partitions of a decision --------------------------------------------- */

typedef struct PartitionSet
{
	uint64		bits[PARTITIONS / 64];
} PartitionSet;

static void
choose_partitions(AkLimitCheck *checks, int count, PartitionSet *set)
{
	memset(set, 0, sizeof(*set));
	for (int i = 0; i < count; i++)
	{
		uint32		hash = hash_bytes((const unsigned char *) &checks[i].key,
									  sizeof(checks[i].key));
		int			partition;

		checks[i].head = hash & (table->head_count - 1);
		partition = get_partition(checks[i].head);
		set->bits[partition / 64] |= UINT64CONST(1) << partition % 64;
	}
}

static void
lock_partitions(const PartitionSet *set)
{
	for (int i = 0; i < lengthof(set->bits); i++)
		for (uint64 left = set->bits[i]; left != 0; left &= left - 1)
			LWLockAcquire(&locks[64 * i + pg_rightmost_one_pos64(left)].lock,
						  LW_EXCLUSIVE);
}

static void
unlock_partitions(const PartitionSet *set)
{
	for (int i = 0; i < lengthof(set->bits); i++)
		for (uint64 left = set->bits[i]; left != 0; left &= left - 1)
			LWLockRelease(&locks[64 * i + pg_rightmost_one_pos64(left)].lock);
}

/* --- Rates, under the locks ----------------------------------------------- */

/*
 * Whether what was spent was of the same limit, or of one that it took the place
 * of: a limit that was removed and set anew, with none behind it, is fresh.
 */
static bool
goes_on(const AkLimitCheck *check, const SpentRate *spent)
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
 * committed starts nothing afresh.
 */
static int64
get_level(const AkLimitCheck *check, int64 now)
{
	const SpentRate *spent;
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
	SpentRate  *spent = &check->spent->of.rate;

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
 * is in memory, or what was in memory until a batch that was not read; and now
 * and then, for others may have written, as they always may on a standby.
 */
static bool
wants_read(const AkLimitCheck *check, int64 now, bool in_recovery,
		   uint64 last_batch, bool accepts_stale)
{
	if (check->spent == NULL)
		return !check->is_read ||
			(check->merged < last_batch && !accepts_stale);
	return !check->is_read &&
		(in_recovery ||
		 now - check->spent->of.quota.read_at > READ_INTERVAL_US);
}

/* What was read is newer, unless it lacks what we have written. */
static void
take_over_read(AkLimitCheck *check, int64 now)
{
	SpentQuota *quota = &check->spent->of.quota;

	if (check->merged >= quota->written_batch)
	{
		quota->written = check->written;
		quota->written_batch = check->merged;
	}
	quota->read_at = now;
}

static void
answer_quota(AkLimitCheck *check, int64 cost)
{
	const SpentQuota *quota = check->spent ? &check->spent->of.quota : NULL;
	int64		used = check->written;
	bool		ends = check->end != PG_INT64_MAX;

	if (quota)
		used = quota->written + quota->pending +
			(quota->written_batch < quota->batch ? quota->in_flight : 0);
	check->used = used;
	check->remaining = Max(check->amount - used, 0);
	check->passes = cost <= check->remaining;
	check->never = !check->passes && (cost > check->amount || !ends);
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
		check->spent = find(&check->key, check->head);
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
answer_all(AkLimitCheck *checks, int count, int64 cost, int64 now)
{
	bool		passes = true;

	for (int i = 0; i < count; i++)
	{
		AkLimitCheck *check = &checks[i];

		if (is_quota(check))
			answer_quota(check, cost);
		else
		{
			check->level = get_level(check, now);
			answer_rate(check, cost);
		}
		passes &= check->passes;
	}
	return passes;
}

/* Spends of one limit, of which there may be no row yet; false if there is no room. */
static bool
spend(AkLimitCheck *check, int64 cost, int64 now)
{
	bool		is_new = check->spent == NULL;

	if (is_new)
		check->spent = enter(&check->key, check->head);
	if (check->spent == NULL)
		return false;
	if (is_quota(check))
	{
		SpentQuota *quota = &check->spent->of.quota;

		if (is_new)
			take_over_read(check, now);
		quota->pending += cost;
		answer_quota(check, 0);
	}
	else
	{
		store_rate(check, cost, is_new, now);
		check->level = ak_gcra_spend(&check->rate, check->level, cost);
		answer_rate(check, 0);
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

/*
 * Notes limits that have changed, also where nothing is spent: what was spent is
 * cut to a lowered limit once and for all.
 */
static void
note_changes(AkLimitCheck *checks, int count, int64 now)
{
	for (int i = 0; i < count; i++)
		if (checks[i].spent && !is_quota(&checks[i]))
			store_rate(&checks[i], 0, false, now);
}

/*
 * Judges the limits, and, if it spends and all pass, spends the cost of all of
 * them; what is said of each is as it is after that.  Where there is no room for
 * one, it is left out (has_room), or, if apikeys.limit_overflow says so, the
 * answer is AK_LIMITS_FULL and nothing is spent.  "last_batch", which may be NULL, is
 * the last batch of quotas that this database has written, after which rows may
 * have been removed: what was read before it is no good, unless the caller
 * accepts_stale.
 */
AkLimitsVerdict
ak_limits_judge(AkLimitCheck *checks, int count, int64 cost, bool spends,
				pg_atomic_uint64 *last_batch, bool accepts_stale)
{
	PartitionSet partitions;
	bool		has_room = true;
	bool		is_ready;
	bool		passes = false;

	choose_partitions(checks, count, &partitions);
	for (int attempt = 0; attempt < 2; attempt++)
	{
		int64		now;

		lock_partitions(&partitions);
		now = ak_clock_us();
		is_ready = find_all(checks, count, now,
							last_batch ? pg_atomic_read_u64(last_batch) : 0,
							accepts_stale);
		passes = is_ready && answer_all(checks, count, cost, now);
		if (is_ready && spends)
			note_changes(checks, count, now);
		has_room = !passes || !spends || cost == 0 ||
			enter_all(checks, count, now);
		if (passes && spends && cost > 0 &&
			(has_room || (attempt == 1 && !ak_limit_overflow_denies)))
			for (int i = 0; i < count; i++)
				if (checks[i].has_room)
					(void) spend(&checks[i], cost, now);
		unlock_partitions(&partitions);
		if (has_room)
			break;
		if (attempt == 0)
			free_full_buckets();
	}
	if (!is_ready)
		return AK_LIMITS_WANT_READ;
	if (has_room)
		return AK_LIMITS_JUDGED;
	note_no_room();
	return ak_limit_overflow_denies ? AK_LIMITS_FULL : AK_LIMITS_JUDGED;
}

/* How full the table is. */
void
ak_limits_status(AkLimitsStatus *status)
{
	status->used = pg_atomic_read_u32(&table->used);
	status->unlimited = pg_atomic_read_u64(&table->unlimited);
}

/* --- Writing, by the database's worker only ------------------------------- */

/* Whether there is anything to write, of any database. */
bool
ak_limits_have_quotas(void)
{
	return pg_atomic_read_u32(&table->quotas) > 0;
}

typedef struct HarvestWork
{
	Oid			database;
	uint64		batch;
	AkQuotaHarvest *harvest;
	int			allocated;
} HarvestWork;

/* What was in flight before has been written. */
static bool
harvest_row(AkSpent *spent, void *argument)
{
	HarvestWork *work = argument;
	SpentQuota *quota = &spent->of.quota;
	AkQuotaHarvest *harvest = work->harvest;
	AkQuotaCount *count;

	if (spent->key.kind != AK_SPENT_OF_QUOTA ||
		spent->key.database != work->database ||
		harvest->count == work->allocated)
		return false;
	if (quota->written_batch < quota->batch)
	{
		quota->written += quota->in_flight;
		quota->written_batch = quota->batch;
	}
	quota->in_flight = quota->pending;
	quota->pending = 0;
	if (quota->in_flight == 0)
		return true;
	quota->batch = work->batch;
	count = &harvest->counts[harvest->count++];
	count->subject = spent->key.subject;
	count->period = (int) spent->key.which;
	count->start = spent->key.start;
	count->count = quota->in_flight;
	return false;
}

/*
 * Takes what a database has pending of quotas into a batch, after all that was in
 * flight before has been written, and removes the rows that hold nothing.  What
 * there is no memory for stays for the next batch.
 */
void
ak_limits_harvest(Oid database, uint64 batch, AkQuotaHarvest *harvest)
{
	HarvestWork work = {database, batch, harvest};

	work.allocated = pg_atomic_read_u32(&table->quotas) + 100;
	harvest->counts = palloc_extended(work.allocated * sizeof(AkQuotaCount),
									  MCXT_ALLOC_HUGE);
	harvest->count = 0;
	scan(harvest_row, &work);
}

static bool
take_back_row(AkSpent *spent, void *argument)
{
	HarvestWork *work = argument;
	SpentQuota *quota = &spent->of.quota;

	if (spent->key.kind == AK_SPENT_OF_QUOTA &&
		spent->key.database == work->database && quota->batch == work->batch)
	{
		quota->pending += quota->in_flight;
		quota->in_flight = 0;
	}
	return false;
}

/* Makes pending again what was in flight with a batch that was not written. */
void
ak_limits_take_back(Oid database, uint64 batch)
{
	HarvestWork work = {database, batch};

	scan(take_back_row, &work);
}

static bool
is_of_database(AkSpent *spent, void *argument)
{
	return spent->key.database == *(Oid *) argument;
}

/*
 * Removes all rows of a database that was dropped, or has dropped the extension.
 */
void
ak_limits_purge(Oid database)
{
	scan(is_of_database, &database);
}
