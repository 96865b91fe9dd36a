/*
 * limits_given_up.c
 *	  Frees what was spent of limits that are no more.
 *
 * A limit that is removed, the limits_id that a key has no longer, and an
 * organization that is deleted are noted in the transaction, by triggers.  After its
 * commit their rows are freed, for nothing finds them any more.  After a rollback,
 * also to a savepoint, they are as before; and those of limits and limits_ids that
 * are new in it are freed, for they never were.  No code of the extension runs at the
 * commit of a prepared transaction and on a standby: there the rows stay until their
 * buckets are full, within what an organization may take (limits_table.c).  So does
 * what a decision with an older snapshot spends afterwards.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "usage/limits.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(apikeys_limits_ended);
PG_FUNCTION_INFO_V1(apikeys_note_new_limits);

typedef struct GivenUp
{
	pg_uuid_t	subject;
	uint64		limit;			/* half of its id; 0: all of the subject */
	bool		if_rolled_back; /* freed then, and not after a commit */
	SubTransactionId by;
} GivenUp;

static GivenUp *given_up = NULL;	/* in TopTransactionContext */
static int	given_up_count = 0;
static int	allocated = 0;

/* No error may be raised here. */
static void
end_transaction(XactEvent event, void *argument)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	if (event != XACT_EVENT_PREPARE)
		for (int i = 0; i < given_up_count; i++)
			if (given_up[i].if_rolled_back == (event == XACT_EVENT_ABORT))
				ak_limits_free(&given_up[i].subject, given_up[i].limit);
	given_up = NULL;
	given_up_count = allocated = 0;
}

/* Subtransactions are numbered in their order, those inside of one after it. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId own,
				   SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (given_up_count > 0 && given_up[given_up_count - 1].by >= own)
		{
			const GivenUp *last = &given_up[--given_up_count];

			if (last->if_rolled_back)
				ak_limits_free(&last->subject, last->limit);
		}
}

/* Called once, when the library is loaded. */
void
ak_limits_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Frees, after this transaction has committed or only if it is rolled back, what was
 * spent of all limits of a limits_id or an organization or, if limit_id is not NULL,
 * of one of them.
 */
static void
give_up(const pg_uuid_t *subject, const pg_uuid_t *limit_id, bool if_rolled_back)
{
	GivenUp    *added;

	if (!ak_limits_exist())
		return;
	if (given_up_count == allocated)
	{
		int			wanted = Max(16, 2 * allocated);

		given_up = given_up ?
			repalloc_huge(given_up, wanted * sizeof(GivenUp)) :
			MemoryContextAlloc(TopTransactionContext, wanted * sizeof(GivenUp));
		allocated = wanted;
	}
	added = &given_up[given_up_count++];
	memset(added, 0, sizeof(*added));
	added->subject = *subject;
	if (limit_id)
		memcpy(&added->limit, limit_id, sizeof(added->limit));
	added->if_rolled_back = if_rolled_back;
	added->by = GetCurrentSubTransactionId();
}

/*
 * Frees, if this (sub)transaction is rolled back, what is spent of the limits of keys
 * that are new in it.
 */
void
ak_limits_note_new(ArrayType *limits_ids)
{
	const pg_uuid_t *ids = (pg_uuid_t *) ARR_DATA_PTR(limits_ids);
	int			count = ArrayGetNItems(ARR_NDIM(limits_ids),
									   ARR_DIMS(limits_ids));

	for (int i = 0; i < count; i++)
		give_up(&ids[i], NULL, true);
}

/* note_new_limits(subject, limit_id). */
Datum
apikeys_note_new_limits(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0))
		give_up(PG_GETARG_UUID_P(0),
				PG_ARGISNULL(1) ? NULL : PG_GETARG_UUID_P(1), true);
	PG_RETURN_VOID();
}

/*
 * The subject's limits end all: the worker deletes what is written of quotas.  No row
 * is locked that it adds to, or it would wait for this transaction.
 */
static void
end_all(pg_uuid_t *subject)
{
	static AkStatement mark = {
		"INSERT INTO apikeys.quota_usage (subject, period, starts_at, used) "
		"SELECT $1, 'ended', '-infinity', 0 WHERE EXISTS (SELECT FROM apikeys.quota_usage AS u "
		"WHERE u.subject OPERATOR(pg_catalog.=) $1) ON CONFLICT DO NOTHING",
		1, {UUIDOID}, .by_index = true
	};
	Datum		value = UUIDPGetDatum(subject);

	give_up(subject, NULL, false);
	ak_owner_execute(&mark, &value, NULL);
}

/* Stores the limits_id of a key in *limits_id; false if there is no such key. */
static bool
find_limits_id(text *public_key, pg_uuid_t *limits_id)
{
	ScanKeyData key;
	AkIndexScan scan;
	bool		isnull;
	bool		is_found;

	ak_index_scan_text_key(&key, public_key);
	ak_index_scan_open(GetActiveSnapshot(), AK_KEY, AK_KEY_BY_NAME, &key,
					   false, &scan);
	is_found = ak_index_scan_next_row(&scan);
	if (is_found)
		*limits_id = *DatumGetUUIDP(slot_getattr(scan.slot,
												 get_attnum(RelationGetRelid(scan.table),
															"limits_id"),
												 &isnull));
	ak_index_scan_close(&scan);
	return is_found;
}

static Datum
get_old(const TriggerData *trigger, const char *column)
{
	bool		isnull;

	return ak_trigger_get_column(trigger, trigger->tg_trigtuple,
								 get_attnum(RelationGetRelid(trigger->tg_relation),
											column), &isnull);
}

/*
 * Trigger of tables key, organization, key_limit and organization_limit, for rows
 * that were deleted, and keys that have another limits_id now.  The limits of a key
 * that was deleted end with it.
 */
Datum
apikeys_limits_ended(PG_FUNCTION_ARGS)
{
	TriggerData *trigger =
		ak_trigger_get(fcinfo, AK_TABLE_BIT(AK_KEY) | AK_TABLE_BIT(AK_ORGANIZATION) |
					   AK_TABLE_BIT(AK_KEY_LIMIT) |
					   AK_TABLE_BIT(AK_ORGANIZATION_LIMIT));
	Oid			table = RelationGetRelid(trigger->tg_relation);
	pg_uuid_t	limits_id;

	if (table == ak_table_oid(AK_KEY))
		end_all(DatumGetUUIDP(get_old(trigger, "limits_id")));
	else if (table == ak_table_oid(AK_ORGANIZATION))
		end_all(DatumGetUUIDP(get_old(trigger, "id")));
	else if (table == ak_table_oid(AK_ORGANIZATION_LIMIT))
		give_up(DatumGetUUIDP(get_old(trigger, "organization_id")),
				DatumGetUUIDP(get_old(trigger, "id")), false);
	else if (find_limits_id(DatumGetTextPP(get_old(trigger, "public_key")),
							&limits_id))
		give_up(&limits_id, DatumGetUUIDP(get_old(trigger, "id")), false);
	PG_RETURN_POINTER(NULL);
}
