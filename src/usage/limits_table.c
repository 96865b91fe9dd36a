/*
 * limits_table.c
 *	  What was spent of limits, in shared memory: buckets of rates, and counts of
 *	  quotas that are not written yet.
 *
 * A row of it is found by the database, by what the limit is for (the limits_id
 * of a key, or an organization), and by which limit of that it is.  A bucket that
 * is full again is as good as none: such rows are given to others when there is no
 * room.  A bucket that denies is never given up.
 *
 * A count of a quota stands on what the table says (written), to which it adds
 * what was used since (pending), and what is being written (in flight) with the
 * number of its batch; usage_counters.c tells of batches.
 *
 * Locking: the rows are in partitions, each with an LWLock, which is held
 * exclusively to find, enter, change and remove rows.  Who needs several takes them
 * in their order.  Inside there is no allocation and no error.  The list of free
 * rows has a spinlock, which is taken last.  Nothing else is locked inside.
 *
 * A hash table with chains: rows of a pool that all partitions share, found
 * through an array of heads, which the partitions divide among themselves.
 * Places in the pool are counted from 1; 0 is the end of a chain.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "usage/limits.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#define TRANCHE_NAME	"apikeys limits"

/* That there is no room is told so often. */
#define LOG_INTERVAL_US		INT64_C(60000000)

typedef struct Table
{
	slock_t		mutex;			/* of the free rows */
	uint32		free;
	uint32		head_count;		/* a power of two, and of AK_LIMIT_PARTITIONS a multiple */
	pg_atomic_uint32 used;
	pg_atomic_uint32 quotas;
	pg_atomic_uint64 unlimited;
	pg_atomic_uint64 logged_at; /* ak_clock_us() */
	pg_atomic_uint64 full_until;	/* ak_clock_us(): no bucket is full
									 * before */
} Table;

static Table *table = NULL;
static LWLockPadded *locks;
static AkSpent *rows;
static uint32 *heads;

/* --- Shared memory -------------------------------------------------------- */

static uint32
get_head_count(void)
{
	return Max(AK_LIMIT_PARTITIONS, pg_nextpower2_32(ak_limit_max_entries));
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
	RequestNamedLWLockTranche(TRANCHE_NAME, AK_LIMIT_PARTITIONS);
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

/*
 * The head of the chain that a key is in; its partition is the rest by their number.
 * Subjects and ids are random, so that it takes little to spread them: the
 * multiplication is that of a 64-bit linear congruential generator.
 */
uint32
ak_limits_head(const AkSpentKey *key)
{
	uint64		parts[lengthof(key->subject.data) / sizeof(uint64)];
	uint64		sum = key->which + key->start + key->database + key->kind;

	memcpy(parts, key->subject.data, sizeof(parts));
	for (int i = 0; i < lengthof(parts); i++)
		sum = (sum ^ parts[i]) * UINT64CONST(6364136223846793005);
	return (sum >> 32) & (table->head_count - 1);
}

/* Takes the locks of some partitions, in their order. */
void
ak_limits_lock(const AkPartitionSet *set)
{
	for (int i = 0; i < lengthof(set->bits); i++)
		for (uint64 left = set->bits[i]; left != 0; left &= left - 1)
			LWLockAcquire(&locks[64 * i + pg_rightmost_one_pos64(left)].lock,
						  LW_EXCLUSIVE);
}

/* Gives them back. */
void
ak_limits_unlock(const AkPartitionSet *set)
{
	for (int i = 0; i < lengthof(set->bits); i++)
		for (uint64 left = set->bits[i]; left != 0; left &= left - 1)
			LWLockRelease(&locks[64 * i + pg_rightmost_one_pos64(left)].lock);
}

/* The row of this key, or NULL; its partition is locked. */
AkSpent *
ak_limits_find(const AkSpentKey *key, uint32 head)
{
	for (uint32 place = heads[head]; place != 0; place = rows[place - 1].next)
		if (memcmp(&rows[place - 1].key, key, sizeof(*key)) == 0)
			return &rows[place - 1];
	return NULL;
}

/* A new row of this key, all zeros; NULL if there is no room.  Its partition is locked. */
AkSpent *
ak_limits_enter(const AkSpentKey *key, uint32 head)
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
	for (int partition = 0; partition < AK_LIMIT_PARTITIONS; partition++)
	{
		LWLockAcquire(&locks[partition].lock, LW_EXCLUSIVE);
		for (uint32 head = partition; head < table->head_count;
			 head += AK_LIMIT_PARTITIONS)
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
 * Frees the rows of buckets that are full; no partition is locked.  Where many rows
 * would be looked at for few of them it waits, so that a table that is full costs
 * little.
 */
void
ak_limits_free_full(void)
{
	Sweep		sweep = {ak_clock_us(), PG_INT64_MAX};

	if (sweep.now < (int64) pg_atomic_read_u64(&table->full_until))
		return;
	scan(is_full_bucket, &sweep);
	pg_atomic_write_u64(&table->full_until,
						Max(sweep.next_full,
							sweep.now + ak_limit_max_entries / 100));
}

/* Counts a decision that found no room, and says so in the log; nothing is locked. */
void
ak_limits_note_no_room(void)
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
	AkSpentQuota *quota = &spent->of.quota;
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
	AkSpentQuota *quota = &spent->of.quota;

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
