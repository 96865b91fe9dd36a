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

#include "core/compat.h"
#include "usage/limits.h"

#include "access/xact.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(apikeys_free_limits);

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
 * free_limits(subject, limit_id, if_rolled_back): frees, after this transaction has
 * committed or only if it is rolled back, what was spent of all limits of a
 * limits_id or an organization, or of one of them.
 */
Datum
apikeys_free_limits(PG_FUNCTION_ARGS)
{
	GivenUp    *added;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2) || !ak_limits_exist())
		PG_RETURN_VOID();
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
	added->subject = *PG_GETARG_UUID_P(0);
	if (!PG_ARGISNULL(1))
		memcpy(&added->limit, PG_GETARG_UUID_P(1), sizeof(added->limit));
	added->if_rolled_back = PG_GETARG_BOOL(2);
	added->by = GetCurrentSubTransactionId();
	PG_RETURN_VOID();
}
