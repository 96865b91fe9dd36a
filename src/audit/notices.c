/*
 * notices.c
 *	  See notices.h.
 *
 * A transaction sends one notification, however many events it writes: only
 * their number is stored, for each subtransaction that may still be rolled
 * back.  PostgreSQL cannot prepare a transaction that has notified, so the
 * notification is sent right before the commit; a prepared transaction sends
 * none.
 *
 * Notifications are off by default: a transaction that sends one holds a lock
 * of the whole cluster from its commit until the commit is durable, also on a
 * synchronous standby (PreCommit_Notify() in async.c).
 */
#include "postgres.h"

#include "audit/notices.h"
#include "base/settings.h"

#include "access/xact.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define CHANNEL "apikeys"

/* The events of a subtransaction; the latest first, in TopTransactionContext. */
typedef struct Level
{
	struct Level *before;
	SubTransactionId subtransaction;
	int64		count;
	char	   *payload;		/* of the first event */
} Level;

static Level *levels = NULL;

static void
send(void)
{
	Level	   *first = NULL;
	int64		count = 0;
	char		payload[64];

	for (Level *level = levels; level; level = level->before)
	{
		count += level->count;
		first = level;
	}
	if (count == 1)
		Async_Notify(CHANNEL, first->payload);
	else if (count > 1)
	{
		snprintf(payload, sizeof(payload), "{\"count\": " INT64_FORMAT "}",
				 count);
		Async_Notify(CHANNEL, payload);
	}
}

static void
end_transaction(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_PRE_COMMIT)
		send();
	/* Always: the context frees the memory. */
	if (event != XACT_EVENT_PARALLEL_PRE_COMMIT)
		levels = NULL;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId own,
				   SubTransactionId parent, void *argument)
{
	if (levels == NULL || levels->subtransaction != own)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		levels = levels->before;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		Level	   *before = levels->before;

		levels->subtransaction = parent;
		if (before && before->subtransaction == parent)
		{
			before->count += levels->count;
			levels = before;
		}
	}
}

/* Called once, when the library is loaded. */
void
ak_notices_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Counts events of the current (sub)transaction; a single event is announced
 * with its action and, if not NULL, its key.
 */
void
ak_notices_count(const char *action, const char *public_key, int64 count)
{
	SubTransactionId own = GetCurrentSubTransactionId();
	StringInfoData payload;
	MemoryContext old;
	Level	   *level;

	if (!ak_notify)
		return;
	if (levels && levels->subtransaction == own)
	{
		levels->count += count;
		return;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	initStringInfo(&payload);
	appendStringInfoString(&payload, "{\"action\": ");
	escape_json(&payload, action);
	if (public_key)
	{
		appendStringInfoString(&payload, ", \"public_key\": ");
		escape_json(&payload, public_key);
	}
	appendStringInfoChar(&payload, '}');
	level = palloc(sizeof(Level));
	level->before = levels;
	level->subtransaction = own;
	level->count = count;
	level->payload = payload.data;
	levels = level;
	MemoryContextSwitchTo(old);
}
