/*
 * limits_table.c
 *	  What was spent of limits, in shared memory: buckets of rates, and counts of
 *	  quotas that are not written yet.
 *
 * A row of it is found by the database, by what the limit is for (the limits_id
 * of a key, or an organization), and by which limit of that it is.  A bucket that
 * is full again is as good as none: such rows are given to others when there is no
 * room.  A bucket that denies is never given up, unless its limit is
 * (limits_given_up.c).
 *
 * Each row is in the account of an organization.  While more than half of the rows
 * are taken, an account gets another one only if it has less than an eighth of
 * them: one organization can fill half of the table, and does not take the rest from
 * the others.  What is spent of the limits of the organization itself gets some more
 * than half: its keys cannot switch those off.  Accounts are fewer than
 * organizations can be; a secret seed decides who shares one.
 *
 * A count of a quota stands on what the table says (written), to which it adds
 * what was used since (pending), what is being written (in flight) with the number of
 * its batch, and what was written and the table does not show yet (older, later);
 * usage_counters.c tells of batches.
 *
 * Locking: the rows are in partitions, each with an LWLock, which is held
 * exclusively to find, enter, change and remove rows.  Who needs several takes them
 * in their order.  Inside there is no allocation and no error.  The list of free
 * rows and the accounts have a spinlock, which is taken last, and only to enter and
 * remove rows.  Nothing else is locked inside.
 *
 * A hash table with chains: rows of a pool that all partitions share, found
 * through an array of heads, which the partitions divide among themselves.  All
 * rows of a subject are in one partition, and there in a second chain, from an
 * array of heads of its own, so that they are found when the subject is given up.
 * Places in the pool are counted from 1; 0 is the end of a chain.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "core/crypto.h"
#include "usage/limits.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#define TRANCHE_NAME	"apikeys limits"

/*
 * An organization has fewer limits of its own than these; rows of former ones can be
 * left of prepared transactions.
 */
#define OWN_ROWS			20

/* That there is no room is told so often. */
#define LOG_INTERVAL_US		INT64_C(60000000)

/*
 * From one search for full buckets to the next it is so long for each row that is
 * looked at, which takes about a fiftieth of that.
 */
#define SWEEP_INTERVAL_US	2

/* Clocks of servers differ: the quota of a period stays so long after its end. */
#define KEEP_ENDED_US		INT64_C(3600000000)

#define ACCOUNT_COUNT		1024

typedef struct Table
{
	uint64		seed[AK_SHORT_HASH_SEED_SIZE / sizeof(uint64)];
	uint32		head_count;		/* a power of two, and of AK_LIMIT_PARTITIONS a multiple */
	pg_atomic_uint32 quotas;
	pg_atomic_uint64 unlimited;
	pg_atomic_uint64 logged_at; /* ak_clock_us() */
	pg_atomic_uint64 next_sweep;	/* ak_clock_us() */

	slock_t		mutex;			/* protects the fields below */
	uint32		free;
	uint32		used;			/* also read without the lock */
	uint32		accounts[ACCOUNT_COUNT];	/* rows of each */
} Table;

static Table *table = NULL;
static LWLockPadded *locks;
static AkSpent *rows;
static uint32 *heads;
static uint32 *subject_heads;

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
							 mul_size(get_head_count(), 2 * sizeof(uint32))));
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
	subject_heads = heads + get_head_count();
	locks = GetNamedLWLockTranche(TRANCHE_NAME);
	if (!found)
	{
		memset(table, 0, get_size());
		ak_crypto_random_bytes(table->seed, sizeof(table->seed));
		SpinLockInit(&table->mutex);
		table->head_count = get_head_count();
		pg_atomic_init_u32(&table->quotas, 0);
		pg_atomic_init_u64(&table->unlimited, 0);
		pg_atomic_init_u64(&table->logged_at, 0);
		pg_atomic_init_u64(&table->next_sweep, 0);
		for (int i = 0; i < ak_limit_max_entries; i++)
			rows[i].next = i + 1 < ak_limit_max_entries ? i + 2 : 0;
		table->free = 1;
	}
}

/* Whether there is the shared memory, which is so if we were preloaded. */
bool
ak_limits_exist(void)
{
	return table != NULL;
}

/* --- Rows, under the lock of the partition -------------------------------- */

/*
 * Subjects and ids are random, so that it takes little to spread them: the
 * multiplication is that of a 64-bit linear congruential generator.
 */
static uint64
spread(uint64 sum, uint64 part)
{
	return (sum ^ part) * UINT64CONST(6364136223846793005);
}

static uint64
spread_subject(Oid database, const pg_uuid_t *subject)
{
	uint64		parts[UUID_LEN / sizeof(uint64)];

	memcpy(parts, subject->data, sizeof(parts));
	return spread(spread(database, parts[0]), parts[1]);
}

/* Heads of a partition are beside each other, so that a scan reads on. */
static uint32
get_partition_size(void)
{
	return table->head_count / AK_LIMIT_PARTITIONS;
}

/* The partition that a head is in. */
int
ak_limits_partition(uint32 head)
{
	return head / get_partition_size();
}

/* The head of the chain of a subject. */
static uint32
get_subject_head(Oid database, const pg_uuid_t *subject)
{
	return (spread_subject(database, subject) >> 32) & (table->head_count - 1);
}

/* The head of the chain that a key is in, in the partition of its subject. */
uint32
ak_limits_head(const AkSpentKey *key)
{
	uint64		sum = spread_subject(key->database, &key->subject);
	uint32		last = get_partition_size() - 1;
	uint32		first = (sum >> 32) & (table->head_count - 1) & ~last;

	sum = spread(sum, key->which + key->start + key->kind);
	return first + ((sum >> 32) & last);
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

static uint32
get_account(Oid database, const pg_uuid_t *organization)
{
	uint8		name[sizeof(Oid) + UUID_LEN];

	memcpy(name, &database, sizeof(Oid));
	memcpy(name + sizeof(Oid), organization, UUID_LEN);
	return ak_crypto_short_hash((uint8 *) table->seed, name, sizeof(name)) %
		ACCOUNT_COUNT;
}

/*
 * A new row of this key, all zeros, in the account of an organization; NULL if
 * there is no room for it.  Its partition is locked.
 */
AkSpent *
ak_limits_enter(const AkSpentKey *key, uint32 head,
				const pg_uuid_t *organization)
{
	uint32		account = get_account(key->database, organization);
	uint32	   *subject_head = &subject_heads[get_subject_head(key->database,
															   &key->subject)];
	uint32		place = 0;
	AkSpent    *spent;

	SpinLockAcquire(&table->mutex);
	if (table->used * 2 <= ak_limit_max_entries ||
		(memcmp(&key->subject, organization, UUID_LEN) == 0 &&
		 table->accounts[account] * 2 <= ak_limit_max_entries + 2 * OWN_ROWS) ||
		table->accounts[account] * 8 < ak_limit_max_entries)
		place = table->free;
	if (place != 0)
	{
		table->free = rows[place - 1].next;
		table->used++;
		table->accounts[account]++;
	}
	SpinLockRelease(&table->mutex);
	if (place == 0)
		return NULL;

	spent = &rows[place - 1];
	memset(spent, 0, sizeof(*spent));
	spent->key = *key;
	spent->account = account;
	spent->next = heads[head];
	heads[head] = place;
	spent->after = *subject_head;
	if (*subject_head != 0)
		rows[*subject_head - 1].before = place;
	*subject_head = place;
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
	if (spent->after != 0)
		rows[spent->after - 1].before = spent->before;
	if (spent->before != 0)
		rows[spent->before - 1].after = spent->after;
	else
		subject_heads[get_subject_head(spent->key.database,
									   &spent->key.subject)] = spent->after;
	if (spent->key.kind == AK_SPENT_OF_QUOTA)
		pg_atomic_fetch_sub_u32(&table->quotas, 1);

	SpinLockAcquire(&table->mutex);
	table->accounts[spent->account]--;
	table->used--;
	spent->next = table->free;
	table->free = place;
	SpinLockRelease(&table->mutex);
}

/*
 * Calls back with each row, under the lock of its partition, and removes those for
 * which it returns true; the caller holds no partition.
 */
void
ak_limits_scan(AkSpentCallback callback, void *argument)
{
	for (int partition = 0; partition < AK_LIMIT_PARTITIONS; partition++)
	{
		uint32		first = partition * get_partition_size();

		LWLockAcquire(&locks[partition].lock, LW_EXCLUSIVE);
		for (uint32 i = 0; i < get_partition_size(); i++)
		{
			uint32	   *link = &heads[first + i];

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

/*
 * Removes the rows of a subject of this database: those of its limit with this
 * id, or, if that is 0, all.  The caller holds no partition.
 */
void
ak_limits_free(const pg_uuid_t *subject, uint64 limit)
{
	uint32		head = get_subject_head(MyDatabaseId, subject);
	LWLock	   *lock = &locks[ak_limits_partition(head)].lock;
	uint32		next;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (uint32 place = subject_heads[head]; place != 0; place = next)
	{
		const AkSpentKey *key = &rows[place - 1].key;

		next = rows[place - 1].after;
		if (key->database == MyDatabaseId &&
			memcmp(&key->subject, subject, UUID_LEN) == 0 &&
			(limit == 0 || (key->which == limit &&
							(key->kind == AK_SPENT_BY_SCOPE ||
							 key->kind == AK_SPENT_BY_ORGANIZATION))))
		{
			uint32	   *link = &heads[ak_limits_head(key)];

			while (*link != place)
				link = &rows[*link - 1].next;
			remove_row(link);
		}
	}
	LWLockRelease(lock);
}

/* --- Making room ---------------------------------------------------------- */

typedef struct Times
{
	int64		now;			/* ak_clock_us() */
	int64		calendar;
	bool		in_recovery;
} Times;

/*
 * A bucket that is full, or, on a standby, which may have nowhere to write it, a
 * quota of a period that has ended.
 */
static bool
denies_nothing(AkSpent *spent, void *argument)
{
	const Times *times = argument;

	if (spent->key.kind != AK_SPENT_OF_QUOTA)
		return ak_gcra_level(&spent->of.rate.rate, &spent->of.rate.bucket,
							 times->now) == 0;
	return times->in_recovery &&
		ak_period_end((AkPeriod) spent->key.which, spent->key.start) <
		times->calendar - KEEP_ENDED_US;
}

/*
 * Frees the rows that deny nothing; no partition is locked.  It is done by
 * one process, and not all the time, so that a table that is full costs little.
 */
void
ak_limits_free_full(void)
{
	Times		times = {ak_clock_us(), ak_clock_calendar(), RecoveryInProgress()};
	uint64		next = pg_atomic_read_u64(&table->next_sweep);

	if (times.now >= (int64) next &&
		pg_atomic_compare_exchange_u64(&table->next_sweep, &next,
									   times.now + (int64) ak_limit_max_entries *
									   SWEEP_INTERVAL_US))
		ak_limits_scan(denies_nothing, &times);
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
	status->used = *(volatile uint32 *) &table->used;
	status->unlimited = pg_atomic_read_u64(&table->unlimited);
}

/* --- Of a database ------------------------------------------------------- */

/* How many rows of quotas there are, of all databases. */
uint32
ak_limits_quota_count(void)
{
	return pg_atomic_read_u32(&table->quotas);
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
	ak_limits_scan(is_of_database, &database);
}
