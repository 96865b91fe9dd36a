/*
 * audit.c
 *	  Writes an event for each change of the tables, in the transaction that
 *	  makes it, and tells listeners.
 *
 * A trigger of each statement does it, in the order of the rows; it has them
 * in transition tables.  Events are inserted by insert_events() alone, some at
 * a time, so that a statement may change as many rows as there are.
 *
 * Listeners are told of each key, but for a statement that changes many: of
 * that they are told once, and how many keys it has changed.
 *
 * What goes along with an organization, project or key that is deleted is not
 * listed: the event of that says it.  Nothing is written for rows that a
 * restore brings back.
 */
#include "postgres.h"

#include "audit/audit_detail.h"
#include "audit/audit_lock.h"
#include "audit/notices.h"
#include "base/privileged.h"
#include "base/tables.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "identity/identity.h"
#include "store/keystore.h"
#include "types/type_access_list.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#define MAX_COLUMNS		8
#define MAX_ASPECTS		4
#define MAX_ACTIONS		(2 * MAX_ASPECTS)

/* Events that are inserted at a time. */
#define BATCH_SIZE		1000

/* A statement that changes more rows tells nothing of each. */
#define MAX_NOTICES		1000

/* Columns that are changed for one reason, and what that is called. */
typedef struct Aspect
{
	const char *action;
	const char *undone;			/* if set: where the first one is NULL now */
	const char *columns[MAX_COLUMNS];
} Aspect;

/* A table, which its trigger names. */
typedef struct Subject
{
	const char *name;
	const char *created;
	const char *deleted;
	const char *organization_column;
	const char *project_column;
	const char *key_column;
	const char *columns[MAX_COLUMNS];
	Aspect		aspects[MAX_ASPECTS];
} Subject;

static const Subject subjects[] = {
	{"organization", "organization.created", "organization.deleted",
		"id", NULL, NULL,
		{"name", "require_access_list", "max_key_lifetime", "max_rotation_overlap"},
		{
			{"organization.renamed", NULL, {"name"}},
			{"organization.policy_changed", NULL,
			{"require_access_list", "max_key_lifetime", "max_rotation_overlap"}},
	}},
	{"project", "project.created", "project.deleted",
		"organization_id", "id", NULL, {"name"},
		{{"project.renamed", NULL, {"name"}}}},
	{"role", "role.created", "role.dropped", NULL, NULL, NULL,
		{"name", "level", "organization_permissions", "project_permissions", "description"},
		{
			{"role.changed", NULL,
			{"name", "level", "organization_permissions", "project_permissions", "description"}},
	}},
	{"member", "member.added", "member.removed",
		"organization_id", "project_id", NULL, {"principal", "role"},
		{{"member.changed", NULL, {"principal", "role"}}}},
	{"key", "key.created", "key.deleted",
		"organization_id", NULL, "public_key",
		{"description", "access_list", "expires_at", "disabled_at", "created_at", "created_by"},
		{
			{"key.description_changed", NULL, {"description"}},
			{"key.access_list_changed", NULL, {"access_list"}},
			{"key.expiry_changed", NULL, {"expires_at"}},
			{"key.disabled", "key.enabled", {"disabled_at", "disabled_reason"}},
	}},
	{"key_role", "key.role_granted", "key.role_revoked",
		"organization_id", "project_id", "public_key", {"role"},
		{{"key.role_changed", NULL, {"role"}}}},
	{"key_secret", "key.secret_issued", "key.secret_deleted",
		NULL, NULL, "public_key", {"version", "expires_at"},
		{{"key.secret_ended", NULL, {"expires_at"}}}},
};

/* A row that was changed. */
typedef struct Change
{
	const Subject *subject;
	TupleTableSlot *old;		/* NULL after an INSERT */
	TupleTableSlot *new;		/* NULL after a DELETE */
	TupleTableSlot *row;		/* the new one, or the one deleted */
} Change;

PG_FUNCTION_INFO_V1(apikeys_audited);

/* --- Events --------------------------------------------------------------- */

/* What differs from one event of a statement to another. */
enum
{
	EVENT_ACTION,
	EVENT_ORGANIZATION_ID,
	EVENT_PROJECT_ID,
	EVENT_PUBLIC_KEY,
	EVENT_DETAIL,
	EVENT_COLUMN_COUNT
};

static const Oid column_types[EVENT_COLUMN_COUNT] = {
	TEXTOID, UUIDOID, UUIDOID, TEXTOID, JSONBOID
};

/* How many events of a statement have an action, where there are many. */
typedef struct Tally
{
	const char *action;
	int64		count;
} Tally;

/* Events of a statement that are to be inserted. */
typedef struct Events
{
	MemoryContext context;		/* of the values; reset for each batch */
	bool		are_many;
	Tally		tallies[MAX_ACTIONS];	/* if are_many */
	int			capacity;
	int			count;
	Datum	   *values[EVENT_COLUMN_COUNT];
	bool	   *nulls[EVENT_COLUMN_COUNT];
} Events;

static void
begin_events(Events *events, int64 row_count)
{
	events->context = AllocSetContextCreate(CurrentMemoryContext,
											"apikeys events",
											ALLOCSET_DEFAULT_SIZES);
	events->are_many = row_count > MAX_NOTICES;
	events->capacity = Min(row_count * MAX_ASPECTS, BATCH_SIZE);
	for (int i = 0; i < EVENT_COLUMN_COUNT; i++)
	{
		events->values[i] = palloc(events->capacity * sizeof(Datum));
		events->nulls[i] = palloc(events->capacity * sizeof(bool));
	}
}

/* Of the event that comes next; as are the following. */
static void
set_column(Events *events, int column, Datum value, bool isnull)
{
	events->values[column][events->count] = value;
	events->nulls[column][events->count] = isnull;
}

static Datum
get_column(const Events *events, int column)
{
	return events->values[column][events->count];
}

static bool
has_column(const Events *events, int column)
{
	return !events->nulls[column][events->count];
}

/* From the row, if the table has such a column. */
static void
copy_column(Events *events, int column, const Change *change, const char *name)
{
	TupleDesc	descriptor = change->row->tts_tupleDescriptor;
	Form_pg_attribute attribute;
	Datum		value;
	bool		isnull;

	if (name == NULL)
	{
		set_column(events, column, 0, true);
		return;
	}
	attribute = TupleDescAttr(descriptor, SPI_fnumber(descriptor, name) - 1);
	value = slot_getattr(change->row, attribute->attnum, &isnull);
	set_column(events, column,
			   isnull ? 0 : datumCopy(value, attribute->attbyval,
									  attribute->attlen), isnull);
}

/* A secret's row does not say whose it is. */
static void
find_organization(Events *events)
{
	AkKeystore	store;
	pg_uuid_t  *organization = palloc(sizeof(pg_uuid_t));

	ak_keystore_open(&store);
	if (ak_keystore_find_key(&store,
							 DatumGetTextPP(get_column(events, EVENT_PUBLIC_KEY)),
							 organization))
		set_column(events, EVENT_ORGANIZATION_ID,
				   UUIDPGetDatum(organization), false);
	ak_keystore_close(&store);
}

/* Whether a row was deleted because what it belongs to was. */
static bool
went_along(const Change *change, const Events *events)
{
	const Subject *subject = change->subject;
	AkKeystore	store;
	AkPolicy	policy;
	pg_uuid_t	organization;
	bool		went;

	if (change->new)
		return false;
	ak_keystore_open(&store);
	went = (has_column(events, EVENT_PUBLIC_KEY) &&
			strcmp(subject->name, "key") != 0 &&
			!ak_keystore_find_key(&store,
								  DatumGetTextPP(get_column(events, EVENT_PUBLIC_KEY)),
								  &organization)) ||
		(has_column(events, EVENT_PROJECT_ID) &&
		 strcmp(subject->name, "project") != 0 &&
		 !ak_keystore_project_belongs(&store,
									  DatumGetUUIDP(get_column(events, EVENT_PROJECT_ID)),
									  DatumGetUUIDP(get_column(events, EVENT_ORGANIZATION_ID)))) ||
		(has_column(events, EVENT_ORGANIZATION_ID) &&
		 strcmp(subject->name, "organization") != 0 &&
		 !ak_keystore_find_policy(&store,
								  DatumGetUUIDP(get_column(events, EVENT_ORGANIZATION_ID)),
								  &policy));
	ak_keystore_close(&store);
	return went;
}

/* Where a key says what its address is, that is it; else the connection's. */
static Datum
find_address(bool *isnull)
{
	const AkNetwork *address = ak_identity_key_address();
	LOCAL_FCINFO(call, 0);
	Datum		value;

	*isnull = false;
	if (address)
		return InetPGetDatum(ak_network_to_inet(address));
	InitFunctionCallInfoData(*call, NULL, 0, InvalidOid, NULL, NULL);
	value = inet_client_addr(call);
	*isnull = call->isnull;
	return value;
}

static Datum
make_array(Events *events, int column)
{
	int			lower_bound = 1;
	Oid			type = column_types[column];
	bool		is_uuid = type == UUIDOID;

	return PointerGetDatum(construct_md_array(events->values[column],
											  events->nulls[column],
											  1, &events->count, &lower_bound,
											  type, is_uuid ? UUID_LEN : -1,
											  false,
											  is_uuid ? TYPALIGN_CHAR : TYPALIGN_INT));
}

/* Inserts the events, in their order, and makes room for others. */
static void
insert_events(Events *events)
{
	static AkStatement insert = {
		"INSERT INTO apikeys.audit_event (principal, address, database_role, "
		"action, organization_id, project_id, public_key, detail) "
		"SELECT $1, $2, $3, e.* "
		"FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5), "
		"pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8)) AS e",
		3 + EVENT_COLUMN_COUNT,
		{TEXTOID, INETOID, TEXTOID, TEXTARRAYOID, UUIDARRAYOID, UUIDARRAYOID, TEXTARRAYOID, JSONBARRAYOID}
	};
	Datum		values[3 + EVENT_COLUMN_COUNT];
	char		nulls[3 + EVENT_COLUMN_COUNT + 1] = "        ";
	MemoryContext old;
	bool		isnull;

	if (events->count == 0)
		return;
	old = MemoryContextSwitchTo(events->context);
	values[0] = CStringGetTextDatum(ak_identity_principal());
	values[1] = find_address(&isnull);
	nulls[1] = isnull ? 'n' : ' ';
	values[2] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(),
													  false));
	for (int i = 0; i < EVENT_COLUMN_COUNT; i++)
		values[3 + i] = make_array(events, i);
	ak_audit_lock_for_write();
	ak_privileged_execute(&insert, values, nulls);
	ak_audit_unlock_after_write();
	MemoryContextSwitchTo(old);
	MemoryContextReset(events->context);
	events->count = 0;
}

/* --- Notices -------------------------------------------------------------- */

static void
count_action(Events *events, const char *action)
{
	Tally	   *tally = events->tallies;

	while (tally->action && strcmp(tally->action, action) != 0)
		tally++;
	tally->action = action;
	tally->count++;
}

/* Tells of the event that comes next. */
static void
tell(Events *events, const char *action)
{
	if (events->are_many)
		count_action(events, action);
	else
		ak_notices_add(action, has_column(events, EVENT_PUBLIC_KEY) ?
					   TextDatumGetCString(get_column(events, EVENT_PUBLIC_KEY)) :
					   NULL);
}

static void
end_events(Events *events)
{
	insert_events(events);
	for (int i = 0; i < MAX_ACTIONS && events->tallies[i].action; i++)
		ak_notices_add_count(events->tallies[i].action,
							 events->tallies[i].count);
}

/* --- A change ------------------------------------------------------------- */

/* Puts down the event of a change, unless that has gone along with another. */
static void
add_event(Events *events, const Change *change, const char *action,
		  AkColumns columns)
{
	const Subject *subject = change->subject;
	MemoryContext old;

	if (events->count == events->capacity)
		insert_events(events);
	old = MemoryContextSwitchTo(events->context);
	set_column(events, EVENT_ACTION, CStringGetTextDatum(action), false);
	copy_column(events, EVENT_ORGANIZATION_ID, change,
				subject->organization_column);
	copy_column(events, EVENT_PROJECT_ID, change, subject->project_column);
	copy_column(events, EVENT_PUBLIC_KEY, change, subject->key_column);
	if (!went_along(change, events))
	{
		if (subject->key_column && subject->organization_column == NULL)
			find_organization(events);
		set_column(events, EVENT_DETAIL,
				   JsonbPGetDatum(ak_audit_detail(change->old, change->new,
												  columns)), false);
		tell(events, action);
		events->count++;
	}
	MemoryContextSwitchTo(old);
}

static void
add_update(Events *events, const Change *change)
{
	for (int i = 0; i < MAX_ASPECTS && change->subject->aspects[i].action; i++)
	{
		const Aspect *aspect = &change->subject->aspects[i];
		TupleDesc	descriptor = change->row->tts_tupleDescriptor;
		bool		isnull = false;

		if (!ak_audit_columns_differ(change->old, change->new,
									 aspect->columns))
			continue;
		if (aspect->undone)
			(void) slot_getattr(change->row,
								SPI_fnumber(descriptor, aspect->columns[0]),
								&isnull);
		add_event(events, change, isnull ? aspect->undone : aspect->action,
				  aspect->columns);
	}
}

static void
add_change(Events *events, const Change *change)
{
	const Subject *subject = change->subject;

	if (change->old == NULL)
		add_event(events, change, subject->created, subject->columns);
	else if (change->new == NULL)
		add_event(events, change, subject->deleted, subject->columns);
	else
		add_update(events, change);
}

static const Subject *
find_subject(const Trigger *trigger)
{
	const char *name = trigger->tgnargs == 1 ? trigger->tgargs[0] : "";

	for (int i = 0; i < lengthof(subjects); i++)
		if (strcmp(subjects[i].name, name) == 0)
			return &subjects[i];
	elog(ERROR, "nothing is known of \"%s\"", name);
	return NULL;
}

/* --- A statement ---------------------------------------------------------- */

/* A slot for the rows of a transition table, if there is one. */
static TupleTableSlot *
begin_reading(const TriggerData *trigger, Tuplestorestate *rows)
{
	if (rows == NULL)
		return NULL;
	tuplestore_select_read_pointer(rows, 0);
	tuplestore_rescan(rows);
	return MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
									&TTSOpsMinimalTuple);
}

static void
end_reading(TupleTableSlot *slot)
{
	if (slot)
		ExecDropSingleTupleTableSlot(slot);
}

/* An updated row is at the same place in both tables. */
static bool
read_change(const TriggerData *trigger, Change *change)
{
	bool		found = false;

	if (change->old)
		found = tuplestore_gettupleslot(trigger->tg_oldtable, true, false,
										change->old);
	if (change->new)
		found = tuplestore_gettupleslot(trigger->tg_newtable, true, false,
										change->new);
	return found;
}

/* Trigger of each table that is audited, which is named in its argument. */
Datum
apikeys_audited(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo);
	Change		change = {0};
	Events		events = {0};
	Tuplestorestate *rows;

	rows = trigger->tg_newtable ? trigger->tg_newtable : trigger->tg_oldtable;
	if (rows == NULL || tuplestore_tuple_count(rows) == 0 ||
		ak_tables_are_restored())
		PG_RETURN_POINTER(NULL);
	change.subject = find_subject(trigger->tg_trigger);
	change.old = begin_reading(trigger, trigger->tg_oldtable);
	change.new = begin_reading(trigger, trigger->tg_newtable);
	change.row = change.new ? change.new : change.old;
	begin_events(&events, tuplestore_tuple_count(rows));
	while (read_change(trigger, &change))
		add_change(&events, &change);
	end_events(&events);
	end_reading(change.old);
	end_reading(change.new);
	PG_RETURN_POINTER(NULL);
}
