/*
 * limits_given_up.c
 *	  Frees what was spent of limits that are no more.
 *
 * A limit that is removed, the limits_id that a key has no longer, and an
 * organization that is deleted are noted in the transaction.  After its
 * commit their rows are freed, for nothing finds them any more.  After a rollback,
 * also to a savepoint, they are as before.  No code of the extension runs at the
 * commit of a prepared transaction and on a standby: there the rows stay until their
 * buckets are full, within what an organization may take (limits_table.c).  So does
 * what a decision with an older snapshot spends afterwards.
 */
#include "postgres.h"

#include "core/compat.h"
#include "usage/limits.h"

#include "access/xact.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(apikeys_give_up_limits);

typedef struct GivenUp
{
	pg_uuid_t	subject;
	uint64		limit;			/* half of its id; 0: all of the subject */
	SubTransactionId by;
} GivenUp;

static GivenUp *given_up = NULL;	/* in TopTransactionContext */
static int	given_up_count = 0;
static int	allocated = 0;

/* After a commit no error may be raised. */
static void
end_transaction(XactEvent event, void *argument)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	if (event == XACT_EVENT_COMMIT)
		for (int i = 0; i < given_up_count; i++)
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
			given_up_count--;
}

/* Called once, when the library is loaded. */
void
ak_limits_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * give_up_limits(subject), give_up_limits(subject, limit): frees, if and after this
 * transaction commits, what was spent of all limits of this limits_id or
 * organization, or of one of them.
 */
Datum
apikeys_give_up_limits(PG_FUNCTION_ARGS)
{
	GivenUp    *added;

	if (!ak_limits_exist())
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
	if (PG_NARGS() > 1)
		memcpy(&added->limit, PG_GETARG_UUID_P(1), sizeof(added->limit));
	added->by = GetCurrentSubTransactionId();
	PG_RETURN_VOID();
}
