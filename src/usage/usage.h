/*
 * usage.h
 *	  Counts in shared memory when, how often and from where keys are used, and
 *	  what the worker of a database writes of it.
 */
#ifndef AK_USAGE_H
#define AK_USAGE_H

#include "postgres.h"

#include "base/base.h"
#include "core/counting.h"
#include "core/netset.h"
#include "core/reason.h"
#include "types/types.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/array.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/*
 * One request made with a key, as it is recorded: a use or a denial.
 */
typedef struct AkUse
{
	AkReason	reason;			/* AK_OK: it was allowed */
	int32		secret_version; /* of the secret that was proved; 0: none */
	uint64		grant;			/* ak_grant_id() of the role that allowed it;
								 * 0: none was asked for */
	const AkNetwork *network;	/* the entry that allowed it, or NULL */
	const AkNetwork *address;	/* it came from, or NULL */
	int64		cost;			/* of a use: what it weighs in limits */
	TimestampTz at;
} AkUse;

/* --- database_slot.c ----------------------------------------------------- */

#define AK_DATABASE_SLOT_COUNT	256

/* What a worker does at each flush, as bits. */
typedef enum AkJob
{
	AK_JOB_HASHES = 1 << 0,
	AK_JOB_USAGE = 1 << 1,
	AK_JOB_HISTORY = 1 << 2,
	AK_JOB_SEALS = 1 << 3,
	AK_JOB_LOOK = 1 << 4		/* for the extension, before all others */
} AkJob;

typedef struct AkDatabaseSlot
{
	Oid			database;		/* InvalidOid: the slot is free */
	pid_t		worker;			/* 0: none runs */
	Latch	   *worker_latch;
	int64		start_after;	/* ak_clock_ms(): no worker is started before */
	bool		shall_leave;	/* the worker must leave the database */
	int64		away_until;		/* ak_clock_ms(): no worker starts before */
	int64		waiting_since;	/* ak_clock_ms(): no worker slot; 0: has one */
	ConditionVariable changed;	/* worker, flushes_done or _failed changed */

	bool		is_pending;		/* there may be data to write */
	bool		wants_room;		/* the counters are filling, or full */
	bool		wants_hashes;	/* the queue of hashes is filling */
	uint64		flushes_wanted;
	uint64		flushes_answered;	/* the last requested one, done or failed */
	uint64		flushes_done;	/* the last requested one that is done */
	uint64		flushes_failed;
	TimestampTz flushed_at;		/* 0: never */
	uint32		failed_jobs;	/* AkJob: what failed when it was tried last;
								 * changed by the worker only */

	/*
	 * Changed by the worker only: the last batch, and whether it is known to
	 * be in the tables.
	 */
	uint64		batch;
	bool		batch_is_settled;
	bool		batch_cleans;	/* it removes what is recorded of deleted keys */
	int			rest;			/* the partition where the next flush begins */
	bool		has_sent;		/* what was used of quotas went to a primary */

	/*
	 * Whether records may be left of keys and secrets that are no more, and of
	 * which nothing else says so; and which transaction is to end before they
	 * are looked for, the last that deleted some: 0: none.
	 */
	bool		wants_sweep;
	TransactionId last_deleter;

	pg_atomic_uint64 quota_batch;	/* the last one that wrote quotas */
	pg_atomic_uint64 lost;		/* uses and denials not counted */
	pg_atomic_uint64 coarse;	/* uses counted of the key only */
	pg_atomic_uint64 unknown_keys;	/* denials of keys that do not exist */
	pg_atomic_uint64 slowed;	/* guesses for which nothing was computed */

	/* Uses and denials that the worker has written, only it adds to them. */
	pg_atomic_uint64 written[AK_REASON_COUNT];
} AkDatabaseSlot;

extern void ak_database_slots_request(void);
extern void ak_database_slots_attach(void);

extern const pg_uuid_t *ak_database_slots_instance(void);
extern void ak_refuse_own_instance(const pg_uuid_t *instance);
extern AkDatabaseSlot *ak_database_slot_get(void);
extern AkDatabaseSlot *ak_database_slot_find(Oid database);
extern void ak_database_slot_free(AkDatabaseSlot *slot);

extern void ak_database_slot_set_pending(AkDatabaseSlot *slot);
extern void ak_database_slots_make_room(void);
extern void ak_database_slot_drain_hashes(AkDatabaseSlot *slot);
extern void ak_database_slot_want_sweep(AkDatabaseSlot *slot,
										TransactionId deleter);
extern bool ak_database_slot_flush(AkDatabaseSlot *slot);
extern void ak_database_slot_send_away(AkDatabaseSlot *slot);
extern void ak_database_slot_let_back(AkDatabaseSlot *slot);

/* What a worker is asked to do. */
typedef struct AkSlotState
{
	bool		is_pending;
	bool		wants_room;
	bool		wants_hashes;
	bool		shall_leave;
	bool		is_crowded;		/* another database waits for a slot */
	bool		is_asked;		/* a session waits for a flush */
	uint64		flushes_wanted; /* number of the last requested flush */
} AkSlotState;

extern bool ak_database_slot_claim(AkDatabaseSlot *slot, Oid database);
extern void ak_database_slot_release(AkDatabaseSlot *slot,
									 bool was_connected, int rest);
extern void ak_database_slot_look(const AkDatabaseSlot *slot,
								  AkSlotState *state);
extern void ak_database_slot_begin_flush(AkDatabaseSlot *slot,
										 bool only_hashes);
extern void ak_database_slot_report(AkDatabaseSlot *slot, uint64 wanted,
									bool done);
extern bool ak_database_slot_wants_sweep(const AkDatabaseSlot *slot,
										 TransactionId *deleter);
extern void ak_database_slot_end_sweep(AkDatabaseSlot *slot,
									   TransactionId deleter);

/* A database with a slot and no worker. */
typedef struct AkIdleSlot
{
	int			number;			/* of the slot */
	Oid			database;
	int64		due_at;			/* ak_clock_ms(); PG_INT64_MAX: nothing */
} AkIdleSlot;

extern void ak_database_slots_set_launcher(Latch *launcher);
extern int	ak_database_slots_list(AkIdleSlot *idle);
extern void ak_database_slots_set_waiting(const AkIdleSlot *idle, int count);

extern bool ak_database_slots_have_launcher(void);
extern int	ak_database_slots_waiting(void);

/*
 * Makes sure that the worker will write what the caller has just put into
 * shared memory.  The caller did so under a lock or by an atomic operation,
 * which is a full barrier: either the worker sees the data after it has
 * cleared the flag, or this function sees the flag cleared.
 */
static inline void
ak_database_slot_want(AkDatabaseSlot *slot)
{
	if (!*(volatile bool *) &slot->is_pending)
		ak_database_slot_set_pending(slot);
}

/* --- usage_record.c ------------------------------------------------------ */

extern void ak_usage_request(void);
extern void ak_usage_attach(void);
extern Size ak_usage_prefetch_root(const text *public_key);
extern void ak_usage_record(const text *public_key,
							const pg_uuid_t *organization, const AkUse *use);
extern void ak_usage_record_grant(const text *public_key,
								  const pg_uuid_t *organization, uint64 grant);
extern void ak_usage_forget_database(Oid database);
extern void ak_usage_forget(text *public_key);
extern void ak_usage_forget_networks(text *public_key,
									 const pg_uuid_t *organization,
									 const AkNetset *access_list);

/* --- counter_table.c ----------------------------------------------------- */

#define AK_COUNTER_PARTITIONS	128

/* What a counter counts of its API key; a head has all fields 0. */
typedef struct AkCounted
{
	uint64		grant;			/* 0: none */
	int32		secret_version; /* 0: none */
	uint8		kind;			/* 0: uses */
	AkNetwork	network;		/* family 0: none */
} AkCounted;

/* Compared as bytes: ak_counter_name() zeroes its padding. */
typedef struct AkCounterKey
{
	AkCounted	counted;
	Oid			database;
	pg_uuid_t	organization;	/* all 0: a deletion is noted */
	uint8		key_length;
	char		public_key[AK_PUBLIC_KEY_MAX_SIZE]; /* key_length of it */
} AkCounterKey;

typedef struct AkCounter
{
	/* Its position in a tree; children[0] also links free counters. */
	uint64		hash;
	struct AkCounter *children[2];

	/* What each count changes is next to what is read to find the counter. */
	slock_t		mutex;
	AkNetwork	address;		/* family 0: none */
	TimestampTz last_at;
	AkTally		pending[AK_TALLIES];
	AkCounterKey key;

	AkTally		in_flight[AK_TALLIES];
	uint64		batch;			/* of what is in flight */
	struct AkCounter *head;		/* of a head: itself */
	dlist_node	link;			/* in the head's list; a head: the partition's */

	/* Used by heads only. */
	dlist_head	counters;
	uint64		changes;		/* ak_counter_note_change() */
	TransactionId deleter;		/* that has deleted the key; 0: none */
} AkCounter;

/* A key with its hash, its partition and the root of its tree. */
typedef struct AkCounterName
{
	AkCounterKey key;
	uint64		hash;
	Size		root;
	int			partition;
} AkCounterName;

extern void ak_counters_request(void);
extern void ak_counters_attach(void);
extern bool ak_counters_exist(void);
extern int	ak_counters_used(void);
extern bool ak_counters_are_filling(void);

extern bool ak_counter_name(const char *public_key, size_t length,
							const pg_uuid_t *organization, Oid database,
							const AkCounted *counted, AkCounterName *name);
extern void ak_counter_name_head(const AkCounterName *name,
								 AkCounterName *head);
extern Size ak_counter_prefetch_root(const char *public_key, size_t length,
									 Oid database);
extern void ak_counter_prefetch(Size root);
extern bool ak_counters_have_room(const AkCounterName *name);
extern void ak_counters_lock(int partition, LWLockMode mode);
extern void ak_counters_lock_to_read(int partition);
extern void ak_counters_unlock(int partition);
extern AkCounter *ak_counter_find(const AkCounterName *name);
extern AkCounter *ak_counter_enter(const AkCounterName *name);
extern AkCounter *ak_counter_next(Oid database, int partition,
								  AkCounter *counter);
extern bool ak_counter_set_deleter(const AkCounterName *name,
								   TransactionId deleter);
extern void ak_counter_clear_deleter(AkCounter *head);
extern void ak_counter_note_change(AkCounter *counter);
extern void ak_counter_remove(AkCounter *counter);
extern void ak_counters_purge(Oid database);

static inline bool
ak_counter_is_head(const AkCounter *counter)
{
	return counter->head == counter;
}

/* Of the counters of a key, which ak_counter_next() goes through; the head is the last. */
static inline AkCounter *
ak_counter_first(AkCounter *head)
{
	return dlist_is_empty(&head->counters) ? head :
		dlist_head_element(AkCounter, link, &head->counters);
}

/* --- usage_counters.c ---------------------------------------------------- */

/*
 * A kind of counter in addition to the reasons, which stand for uses (AK_OK)
 * and denials: actions that a role allowed to a bound key, which are not uses.
 */
#define AK_COUNTER_GRANT		0xfe

/* A copy of what a counter says of one hour. */
typedef struct AkCount
{
	pg_uuid_t	organization;
	uint8		key_length;
	char		public_key[AK_PUBLIC_KEY_MAX_SIZE];
	AkCounted	counted;
	AkNetwork	address;		/* of the last one; family 0: none */
	TimestampTz last_at;
	AkTally		tally;
	uint64		batch;			/* in flight with it; 0: pending */
} AkCount;

/*
 * Checks whether it counts denials; their reason is the kind of the counter.
 */
static inline bool
ak_count_is_denial(const AkCount *count)
{
	return count->counted.kind != AK_OK &&
		count->counted.kind != AK_COUNTER_GRANT;
}

/* Whether two copies are of the same counter, in the same batch. */
static inline bool
ak_count_is_of_same(const AkCount *left, const AkCount *right)
{
	return left->batch == right->batch &&
		left->counted.kind == right->counted.kind &&
		left->counted.secret_version == right->counted.secret_version &&
		left->counted.grant == right->counted.grant &&
		memcmp(&left->counted.network, &right->counted.network,
			   sizeof(AkNetwork)) == 0;
}

/* How something was counted. */
typedef enum AkCounting
{
	AK_COUNTED,
	AK_COUNTED_COARSELY,		/* of the key only: no room for more */
	AK_NOT_COUNTED				/* no room at all */
} AkCounting;

/* Position of a harvest in the counters of a database; initially all 0. */
typedef struct AkHarvestPlace
{
	int			partition;		/* AK_COUNTER_PARTITIONS: at the end */
	AkCounter  *next;			/* in the partition; NULL: the first */
} AkHarvestPlace;

/* What is to be written; palloc'd. */
typedef struct AkHarvest
{
	AkCount    *counts;
	int			count;
	int			allocated;
	text	  **stale;			/* keys whose rows are to be cleaned up */
	int			stale_count;
	int			stale_allocated;
	bool		has_deleting;	/* keys that are being deleted are left */
} AkHarvest;

extern AkCounting ak_usage_counters_add(const text *public_key,
										const pg_uuid_t *organization,
										const AkUse *use);
extern AkCounting ak_usage_counters_add_grant(const text *public_key,
											  const pg_uuid_t *organization,
											  uint64 grant, TimestampTz now);
extern void ak_usage_counters_search_in_vain(const text *public_key);
extern bool ak_usage_counters_note_deletion(const text *public_key,
											TransactionId deleter);
extern Datum ak_usage_counters_forget_networks(const text *public_key,
											   const pg_uuid_t *organization,
											   const AkNetset *access_list);
extern int	ak_usage_counters_read(const text *public_key,
								   const pg_uuid_t *organization,
								   AkCount **counts);
extern int64 ak_usage_counters_pending(Oid database, uint64 settled);

extern void ak_usage_counters_harvest(Oid database, uint64 batch, int wanted,
									  AkHarvestPlace *place,
									  AkHarvest *harvest);
extern void ak_usage_counters_take_back(Oid database, uint64 batch);
extern void ak_usage_counters_take_back_one(Oid database,
											const AkCount *count);

/* --- usage_merge.c ------------------------------------------------------- */

/*
 * Parts of the statements that add rows to the tables of counts.
 */

/* The sum of two non-negative counts; stops at the largest count. */
#define SUM_OF(a, b) "apikeys_internal.add_counts(" a ", " b ")"

/* The columns that are written. */
#define USAGE_COLUMNS \
	"(public_key, network, use_count, last_used_at, last_used_address, " \
	"secret_version) "

/* The later of two last uses is kept; the table is called u. */
#define ADD_USES \
	"ON CONFLICT ON CONSTRAINT key_usage_key DO UPDATE SET " \
	"use_count = " SUM_OF("u.use_count", "excluded.use_count") ", " \
	"last_used_at = CASE WHEN excluded.last_used_at " \
	"OPERATOR(pg_catalog.>=) u.last_used_at " \
	"THEN excluded.last_used_at ELSE u.last_used_at END, " \
	"last_used_address = CASE WHEN excluded.last_used_at " \
	"OPERATOR(pg_catalog.>=) u.last_used_at " \
	"THEN excluded.last_used_address ELSE u.last_used_address END"

/* A batch as arrays of the same length; also the arguments of merge_usage(). */
typedef enum AkBatchColumn
{
	AK_BATCH_PUBLIC_KEYS,		/* text[] */
	AK_BATCH_REASONS,			/* text[]; NULL: uses */
	AK_BATCH_NETWORKS,			/* cidr[]; NULL: none */
	AK_BATCH_COUNTS,			/* bigint[]; 0: of a role only, not a use */
	AK_BATCH_TIMES,				/* timestamptz[] */
	AK_BATCH_ADDRESSES,			/* inet[]; NULL: none */
	AK_BATCH_VERSIONS,			/* integer[]; of uses; 0: no secret */
	AK_BATCH_GRANTS,			/* bigint[]; NULL: none */
	AK_BATCH_HOURS,				/* timestamptz[]; NULL: of a role only */
	AK_BATCH_HOUR_COUNTS,		/* bigint[]: what was counted in the hour */
	AK_BATCH_COSTS,				/* bigint[]: what those uses cost */
	AK_BATCH_ORGANIZATIONS,		/* uuid[]: of the keys */
	AK_BATCH_COLUMN_COUNT
} AkBatchColumn;

typedef struct AkBatch
{
	Datum		columns[AK_BATCH_COLUMN_COUNT];
	int			count;
} AkBatch;

extern void ak_usage_make_batch(AkHarvest *harvest, AkBatch *batch);
extern Datum ak_usage_make_column(Datum *values, bool *nulls, int count,
								  Oid type, int16 length, bool by_value,
								  char alignment);
extern ArrayType *ak_usage_merge(const pg_uuid_t *instance, uint64 number,
								 AkBatch *batch);
extern bool ak_usage_begin_batch(const pg_uuid_t *instance, uint64 number);
extern bool ak_usage_settle(const pg_uuid_t *instance, uint64 number);
extern uint64 ak_usage_merged_batch(Snapshot snapshot);

/* --- grants_merge.c ------------------------------------------------------ */

/* Column numbers of key_role_usage, as in sql/parts/30_tables.sql. */
enum
{
	ROLE_USAGE_PROJECT_ID = 2,
	ROLE_USAGE_ROLE,
	ROLE_USAGE_LAST_USED_AT
};

extern void ak_usage_merge_grants(const AkBatch *batch, Snapshot snapshot);

/* --- usage_cleanup.c ----------------------------------------------------- */

extern void ak_usage_clean_up(text **public_keys, int count);
extern void ak_usage_mark_removed(text *public_key, Datum in_flight);
extern void ak_usage_tidy_up(void);
extern void ak_usage_sweep(void);
extern uint64 ak_usage_drop_history(TimestampTz before, int most);

/* --- rehash.c ------------------------------------------------------------ */

extern void ak_rehash_request(void);
extern void ak_rehash_attach(void);
extern void ak_rehash_offer(const text *public_key, const char *stored,
							size_t stored_size, const AkSecretClaim *claim);
extern void ak_rehash_forget(Oid database);
extern bool ak_rehash_is_queued(void);
extern int	ak_rehash_write(void);

#endif							/* AK_USAGE_H */
