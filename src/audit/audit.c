/*
 * audit.c
 *	  Writes an event of the audit log, in the transaction that makes the
 *	  change.
 *
 * Each verb writes one event; each table's trigger writes one for each row
 * that a superuser changes by direct SQL (sql/parts/35_audit.sql).
 */
#include "postgres.h"

#include "audit/audit.h"
#include "base/base.h"
#include "core/compat.h"
#include "identity/identity.h"
#include "types/types.h"

#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

enum
{
	ACTION,
	ORGANIZATION_ID,
	PROJECT_ID,
	PUBLIC_KEY,
	DETAIL,
	PRINCIPAL,
	ADDRESS,
	DATABASE_ROLE,
	COLUMN_COUNT
};

#define COLUMNS \
	"action, organization_id, project_id, public_key, detail, principal, " \
	"address, database_role"

PG_FUNCTION_INFO_V1(apikeys_note_event);
PG_FUNCTION_INFO_V1(apikeys_note_key_events);

/*
 * Fills in the principal, its address and the login role, and executes the
 * statement, which inserts events with these columns.  Meanwhile nothing is sent to
 * the client, as plans would be by debug_print_plan: it may not read, and others wait.
 */
static void
insert_events(AkStatement *insert, Datum *values, char *nulls)
{
	int			level = NewGUCNestLevel();
	AkNetwork	address;

	values[PRINCIPAL] = CStringGetTextDatum(ak_identity_principal());
	if (ak_identity_address(&address))
		values[ADDRESS] = InetPGetDatum(ak_network_to_inet(&address));
	else
		nulls[ADDRESS] = 'n';
	values[DATABASE_ROLE] =
		CStringGetTextDatum(ak_role_name(GetSessionUserId(), false));
	ak_set_locally("client_min_messages", "error");
	ak_audit_lock_for_write();
	ak_owner_execute(insert, values, nulls);
	ak_audit_unlock_after_write();
	AtEOXact_GUC(true, level);
}

/*
 * note_event(action, organization, project, public_key, detail): writes an
 * event; listeners are notified at commit.
 */
Datum
apikeys_note_event(PG_FUNCTION_ARGS)
{
	static AkStatement insert = {
		"INSERT INTO apikeys.audit_event (" COLUMNS ") "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		COLUMN_COUNT,
		{TEXTOID, UUIDOID, UUIDOID, TEXTOID, JSONBOID, TEXTOID, INETOID, TEXTOID}
	};
	Datum		values[COLUMN_COUNT];
	char		nulls[COLUMN_COUNT + 1] = "        ";

	for (int i = ACTION; i <= DETAIL; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}
	insert_events(&insert, values, nulls);
	ak_notices_count(TextDatumGetCString(values[ACTION]),
					 PG_ARGISNULL(PUBLIC_KEY) ? NULL :
					 TextDatumGetCString(values[PUBLIC_KEY]), 1);
	PG_RETURN_VOID();
}

/* The event of a key. */
typedef struct KeyEvent
{
	Datum		public_key;
	Datum		detail;
} KeyEvent;

static int
compare_events(const void *a, const void *b)
{
	return DatumGetInt32(DirectFunctionCall2Coll(bttextcmp, C_COLLATION_OID,
												 ((const KeyEvent *) a)->public_key,
												 ((const KeyEvent *) b)->public_key));
}

/* So many are inserted at once: others wait while they are. */
#define EVENTS_AT_ONCE	100

/*
 * note_key_events(action, organization, public_keys, details): the same for
 * several keys of one organization, in the order of the keys.
 */
Datum
apikeys_note_key_events(PG_FUNCTION_ARGS)
{
	static AkStatement insert = {
		"INSERT INTO apikeys.audit_event (" COLUMNS ") "
		"SELECT $1, $2, $3, e.public_key, e.detail, $6, $7, $8 "
		"FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5)) "
		"AS e (public_key, detail)",
		COLUMN_COUNT,
		{TEXTOID, UUIDOID, UUIDOID, TEXTARRAYOID, JSONBARRAYOID, TEXTOID, INETOID, TEXTOID}
	};
	Datum		values[COLUMN_COUNT] = {0};
	char		nulls[COLUMN_COUNT + 1] = "  n     ";
	Datum	   *keys;
	Datum	   *details;
	KeyEvent   *events;
	int			key_count;
	int			count;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false,
					  TYPALIGN_INT, &keys, NULL, &key_count);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), JSONBOID, -1, false,
					  TYPALIGN_INT, &details, NULL, &count);
	if (count != key_count)
		elog(ERROR, "%d keys have %d details", key_count, count);
	events = palloc(count * sizeof(KeyEvent));
	for (int i = 0; i < count; i++)
		events[i] = (KeyEvent) {keys[i], details[i]};
	qsort(events, count, sizeof(KeyEvent), compare_events);
	values[ACTION] = PG_GETARG_DATUM(0);
	values[ORGANIZATION_ID] = PG_GETARG_DATUM(1);
	for (int i = 0; i < count; i += EVENTS_AT_ONCE)
	{
		int			some = Min(EVENTS_AT_ONCE, count - i);

		for (int j = 0; j < some; j++)
		{
			keys[j] = events[i + j].public_key;
			details[j] = events[i + j].detail;
		}
		values[PUBLIC_KEY] =
			PointerGetDatum(construct_array(keys, some, TEXTOID, -1, false,
											TYPALIGN_INT));
		values[DETAIL] =
			PointerGetDatum(construct_array(details, some, JSONBOID, -1, false,
											TYPALIGN_INT));
		insert_events(&insert, values, nulls);
	}
	ak_notices_count(TextDatumGetCString(values[ACTION]), NULL, count);
	PG_RETURN_VOID();
}

/* --- Notices ------------------------------------------------------------- */

/*
 * Notifies listeners on channel apikeys of the changes of a transaction
 * after its commit, if setting apikeys.notify is on.
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

/*
 * PostgreSQL has one queue for all databases, which any role can fill by sending
 * while it listens in an open transaction, and a commit fails that finds it full.
 * apikeys_internal.advice() tells of it.
 */
static bool
is_queue_half_full(void)
{
	return DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage,
											  (Datum) 0)) > 0.5;
}

/* A change is worth more than telling of it. */
static void
send_notices(void)
{
	Level	   *first = NULL;
	int64		count = 0;
	char		payload[64];

	if (levels == NULL || is_queue_half_full())
		return;
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
		send_notices();
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
