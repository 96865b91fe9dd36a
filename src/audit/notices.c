/*
 * notices.c
 *	  See notices.h.
 *
 * PostgreSQL refuses to prepare a transaction that has notified somebody.  So
 * what is to be told is collected here, and handed over right before a commit;
 * a prepared transaction tells nothing.
 */
#include "postgres.h"

#include "audit/notices.h"

#include "access/xact.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define CHANNEL "apikeys"

/* The latest first; in TopTransactionContext. */
typedef struct Notice
{
	struct Notice *before;
	SubTransactionId subtransaction;
	char	   *payload;
} Notice;

static Notice *notices = NULL;

/* Of those that are the same, PostgreSQL sends one. */
static void
send(const Notice *last)
{
	if (last == NULL)
		return;
	send(last->before);
	Async_Notify(CHANNEL, last->payload);
}

static void
end_transaction(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_PRE_COMMIT)
		send(notices);
	/* In any case: the memory goes with its context. */
	if (event != XACT_EVENT_PARALLEL_PRE_COMMIT)
		notices = NULL;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId own,
				   SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (notices && notices->subtransaction == own)
			notices = notices->before;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (Notice *notice = notices;
			 notice && notice->subtransaction == own;
			 notice = notice->before)
			notice->subtransaction = parent;
}

/* Called once, when the library is loaded. */
void
ak_notices_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/* Takes over the payload, which is in TopTransactionContext, as is current. */
static void
add_notice(char *payload)
{
	Notice	   *notice = palloc(sizeof(Notice));

	notice->before = notices;
	notice->subtransaction = GetCurrentSubTransactionId();
	notice->payload = payload;
	notices = notice;
}

static void
begin_payload(StringInfo payload, const char *action)
{
	initStringInfo(payload);
	appendStringInfoString(payload, "{\"action\": ");
	escape_json(payload, action);
}

/*
 * Tells of an action, on a key if public_key is not NULL, when the transaction
 * commits.
 */
void
ak_notices_add(const char *action, const char *public_key)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	StringInfoData payload;

	begin_payload(&payload, action);
	if (public_key)
	{
		appendStringInfoString(&payload, ", \"public_key\": ");
		escape_json(&payload, public_key);
	}
	appendStringInfoChar(&payload, '}');
	add_notice(payload.data);
	MemoryContextSwitchTo(old);
}

/* The same for an action on as many things at once. */
void
ak_notices_add_count(const char *action, int64 count)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	StringInfoData payload;

	begin_payload(&payload, action);
	appendStringInfo(&payload, ", \"count\": " INT64_FORMAT "}", count);
	add_notice(payload.data);
	MemoryContextSwitchTo(old);
}
