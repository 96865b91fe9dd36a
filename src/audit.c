/*
 * audit.c
 *	  Writes an event for each change of the tables, in the transaction that
 *	  makes it, and tells listeners.
 *
 * What goes along with an organization, project or key that is deleted is not
 * listed: the event of that says it.  Nothing is written for rows that a
 * restore brings back.
 */
#include "postgres.h"

#include "audit_detail.h"
#include "audit_lock.h"
#include "compat.h"
#include "identity.h"
#include "keystore.h"
#include "notices.h"
#include "privileged.h"
#include "tables.h"
#include "type_access_list.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#define MAX_COLUMNS		8
#define MAX_ASPECTS		4

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

/* What the trigger is called for. */
typedef struct Change
{
	const Subject *subject;
	TupleDesc	descriptor;
	HeapTuple	old;			/* NULL after an INSERT */
	HeapTuple	new;			/* NULL after a DELETE */
	HeapTuple	row;			/* the new one, or the one deleted */
} Change;

PG_FUNCTION_INFO_V1(apikeys_audited);

/* --- An event ------------------------------------------------------------- */

enum
{
	EVENT_PRINCIPAL,
	EVENT_ACTION,
	EVENT_ORGANIZATION_ID,
	EVENT_PROJECT_ID,
	EVENT_PUBLIC_KEY,
	EVENT_ADDRESS,
	EVENT_DETAIL,
	EVENT_DATABASE_ROLE,
	EVENT_COLUMN_COUNT
};

/* The columns of an event, as SPI wants them. */
typedef struct Event
{
	Datum		values[EVENT_COLUMN_COUNT];
	char		nulls[EVENT_COLUMN_COUNT + 1];
} Event;

static void
set_column(Event *event, int column, Datum value, bool isnull)
{
	event->values[column] = value;
	event->nulls[column] = isnull ? 'n' : ' ';
}

/* From the row, if the table has such a column. */
static void
copy_column(Event *event, int column, const Change *change, const char *name)
{
	bool		isnull = true;
	Datum		value = 0;

	if (name)
		value = heap_getattr(change->row,
							 SPI_fnumber(change->descriptor, name),
							 change->descriptor, &isnull);
	set_column(event, column, value, isnull);
}

/* A secret's row does not say whose it is. */
static void
find_organization(Event *event)
{
	AkKeystore	store;
	pg_uuid_t  *organization = palloc(sizeof(pg_uuid_t));

	ak_keystore_open(&store);
	if (ak_keystore_find_key(&store,
							 DatumGetTextPP(event->values[EVENT_PUBLIC_KEY]),
							 organization))
		set_column(event, EVENT_ORGANIZATION_ID,
				   UUIDPGetDatum(organization), false);
	ak_keystore_close(&store);
}

/* Where a key says what its address is, that is it; else the connection's. */
static void
find_address(Event *event)
{
	const AkNetwork *address = ak_identity_key_address();
	LOCAL_FCINFO(call, 0);
	Datum		value;

	if (address)
	{
		set_column(event, EVENT_ADDRESS,
				   InetPGetDatum(ak_network_to_inet(address)), false);
		return;
	}
	InitFunctionCallInfoData(*call, NULL, 0, InvalidOid, NULL, NULL);
	value = inet_client_addr(call);
	set_column(event, EVENT_ADDRESS, value, call->isnull);
}

/* Whether a row was deleted because what it belongs to was. */
static bool
went_along(const Change *change, const Event *event)
{
	const Subject *subject = change->subject;
	AkKeystore	store;
	AkPolicy	policy;
	pg_uuid_t	organization;
	bool		went;

	if (change->new)
		return false;
	ak_keystore_open(&store);
	went = (event->nulls[EVENT_PUBLIC_KEY] == ' ' &&
			strcmp(subject->name, "key") != 0 &&
			!ak_keystore_find_key(&store,
								  DatumGetTextPP(event->values[EVENT_PUBLIC_KEY]),
								  &organization)) ||
		(event->nulls[EVENT_PROJECT_ID] == ' ' &&
		 strcmp(subject->name, "project") != 0 &&
		 !ak_keystore_project_belongs(&store,
									  DatumGetUUIDP(event->values[EVENT_PROJECT_ID]),
									  DatumGetUUIDP(event->values[EVENT_ORGANIZATION_ID]))) ||
		(event->nulls[EVENT_ORGANIZATION_ID] == ' ' &&
		 strcmp(subject->name, "organization") != 0 &&
		 !ak_keystore_find_policy(&store,
								  DatumGetUUIDP(event->values[EVENT_ORGANIZATION_ID]),
								  &policy));
	ak_keystore_close(&store);
	return went;
}

static void
write_event(const Change *change, const char *action, AkColumns columns)
{
	static AkStatement insert = {
		"INSERT INTO apikeys.audit_event (principal, action, organization_id, "
		"project_id, public_key, address, detail, database_role) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		EVENT_COLUMN_COUNT,
		{TEXTOID, TEXTOID, UUIDOID, UUIDOID, TEXTOID, INETOID, JSONBOID, TEXTOID}
	};
	const Subject *subject = change->subject;
	Event		event = {0};
	Jsonb	   *detail;

	set_column(&event, EVENT_PRINCIPAL,
			   CStringGetTextDatum(ak_identity_principal()), false);
	set_column(&event, EVENT_ACTION, CStringGetTextDatum(action), false);
	copy_column(&event, EVENT_ORGANIZATION_ID, change,
				subject->organization_column);
	copy_column(&event, EVENT_PROJECT_ID, change, subject->project_column);
	copy_column(&event, EVENT_PUBLIC_KEY, change, subject->key_column);
	if (went_along(change, &event))
		return;
	detail = ak_audit_detail(change->descriptor, change->old, change->new,
							 columns);
	if (subject->key_column && subject->organization_column == NULL)
		find_organization(&event);
	find_address(&event);
	set_column(&event, EVENT_DETAIL, JsonbPGetDatum(detail), false);
	set_column(&event, EVENT_DATABASE_ROLE,
			   CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false)),
			   false);
	ak_audit_lock_for_write();
	ak_privileged_execute(&insert, event.values, event.nulls);
	ak_audit_unlock_after_write();
	ak_notices_add(action, subject->key_column ?
				   TextDatumGetCString(event.values[EVENT_PUBLIC_KEY]) : NULL);
}

/* --- A change ------------------------------------------------------------- */

static void
write_update(const Change *change)
{
	for (int i = 0; i < MAX_ASPECTS && change->subject->aspects[i].action; i++)
	{
		const Aspect *aspect = &change->subject->aspects[i];
		bool		isnull = false;

		if (!ak_audit_columns_differ(change->descriptor, change->old,
									 change->new, aspect->columns))
			continue;
		if (aspect->undone)
			(void) heap_getattr(change->row,
								SPI_fnumber(change->descriptor,
											aspect->columns[0]),
								change->descriptor, &isnull);
		write_event(change, isnull ? aspect->undone : aspect->action,
					aspect->columns);
	}
}

static const Subject *
find_subject(const char *name)
{
	for (int i = 0; i < lengthof(subjects); i++)
		if (strcmp(subjects[i].name, name) == 0)
			return &subjects[i];
	elog(ERROR, "nothing is known of \"%s\"", name);
	return NULL;
}

/* Trigger of each table that is audited, which is named in its argument. */
Datum
apikeys_audited(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Change		change = {0};

	if (!CALLED_AS_TRIGGER(fcinfo) || trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this function must be called as a trigger")));
	if (ak_tables_are_restored())
		PG_RETURN_POINTER(NULL);
	change.subject = find_subject(trigger->tg_trigger->tgargs[0]);
	change.descriptor = RelationGetDescr(trigger->tg_relation);
	change.row = trigger->tg_trigtuple;
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		change.new = trigger->tg_trigtuple;
		write_event(&change, change.subject->created, change.subject->columns);
	}
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		change.old = trigger->tg_trigtuple;
		change.new = change.row = trigger->tg_newtuple;
		write_update(&change);
	}
	else
	{
		change.old = trigger->tg_trigtuple;
		write_event(&change, change.subject->deleted, change.subject->columns);
	}
	PG_RETURN_POINTER(NULL);
}
