/*
 * key_details.c
 *	  The columns of view keys that come from tables key_role, project and
 *	  key_secret.
 *
 * They could be sub-selects, which the planner would plan in each query,
 * together with the policies of these tables; for a page of keys that costs
 * more than all else.  These functions read the same rows by index, with the
 * snapshot of the statement, and leave out what the policies would.  The sets
 * of organizations and projects are those that policies compute once a
 * statement.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "identity/identity.h"
#include "operations/operations.h"
#include "store/store.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(apikeys_key_roles);
PG_FUNCTION_INFO_V1(apikeys_key_projects);
PG_FUNCTION_INFO_V1(apikeys_key_organization_roles);
PG_FUNCTION_INFO_V1(apikeys_key_organization_permissions);
PG_FUNCTION_INFO_V1(apikeys_key_hint);
PG_FUNCTION_INFO_V1(apikeys_key_secrets);
PG_FUNCTION_INFO_V1(apikeys_key_secret_expires_at);

/* Column numbers, as in sql/parts/30_tables.sql. */
enum
{
	PROJECT_NAME = 3
};
enum
{
	SECRET_VERSION = 2,
	SECRET_HASH,
	SECRET_HINT,
	SECRET_CREATED_AT,
	SECRET_EXPIRES_AT,
	SECRET_DIGEST_REALM
};

/* Before the last characters of a secret. */
#define HIDDEN	"********"

/* Checks whether the policies of a table do not restrict the current user. */
static bool
sees_all_rows(AkTable table)
{
	return check_enable_rls(ak_table_oid(table), InvalidOid, true) != RLS_ENABLED;
}

/* --- JSON ---------------------------------------------------------------- */

static void
append_string(StringInfo json, const char *field, const char *value)
{
	appendStringInfo(json, "\"%s\":", field);
	if (value)
		escape_json(json, value);
	else
		appendStringInfoString(json, "null");
}

static void
append_id(StringInfo json, const char *field, const pg_uuid_t *id)
{
	append_string(json, field,
				  DatumGetCString(DirectFunctionCall1(uuid_out,
													  UUIDPGetDatum(id))));
}

static void
append_time(StringInfo json, const char *field, TimestampTz at, bool isnull)
{
	char		text[MAXDATELEN + 1];

	append_string(json, field, isnull ? NULL :
				  JsonEncodeDateTime(text, TimestampTzGetDatum(at),
									 TIMESTAMPTZOID, NULL));
}

static Datum
make_jsonb(StringInfo json)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json->data));
}

/* Begins an element of an array, which begins with '['. */
static void
begin_element(StringInfo json)
{
	if (json->data[json->len - 1] != '[')
		appendStringInfoChar(json, ',');
}

/* --- What a key holds ---------------------------------------------------- */

/* A role or a permission of a key. */
typedef struct Held
{
	const pg_uuid_t *project;	/* NULL: in its organization */
	bool		is_permission;
	const char *name;			/* of the role, or the permission */
} Held;

/* Those that the reader sees. */
typedef struct HeldList
{
	pg_uuid_t	organization;
	bool		sees_all;		/* of them */
	bool		sees_last;		/* those in the project of the last grant */
	bool		has_last;
	pg_uuid_t	last;
	AkKeyReader *reader;		/* NULL: not asked yet */
	Held	   *items;
	int			count;
	int			allocated;
} HeldList;

/* As policy key_role_reader_select; the grants of a project follow each other. */
static bool
sees_grant(HeldList *list, const AkGrant *grant)
{
	if (list->sees_all || !grant->has_project)
		return list->sees_all;
	if (!list->has_last ||
		memcmp(&list->last, &grant->project_id, sizeof(pg_uuid_t)) != 0)
	{
		list->has_last = true;
		list->last = grant->project_id;
		if (list->reader == NULL)
			list->reader = ak_key_reader_open(&list->organization);
		list->sees_last = ak_key_reader_reads_in(list->reader, &list->last);
	}
	return list->sees_last;
}

static bool
add_held(const AkGrant *grant, void *argument)
{
	HeldList   *list = argument;
	Held	   *held;
	const char *slash;
	pg_uuid_t  *project = NULL;

	if (!sees_grant(list, grant))
		return true;
	if (list->count == list->allocated)
	{
		list->allocated *= 2;
		list->items = repalloc_huge(list->items,
									list->allocated * sizeof(Held));
	}
	if (grant->has_project)
	{
		project = palloc(sizeof(pg_uuid_t));
		*project = grant->project_id;
	}
	held = &list->items[list->count++];
	held->project = project;
	held->is_permission = grant->is_permission;
	held->name = pnstrdup(grant->name.data, grant->name.size);
	/* The id of an organization's role is its name behind the organization's. */
	slash = grant->is_permission ? NULL : strrchr(held->name, '/');
	if (slash)
		held->name = slash + 1;
	return true;
}

/* By place, its organization first; roles before permissions; by name. */
static int
compare_held(const void *a, const void *b)
{
	const Held *x = a;
	const Held *y = b;
	int			order = (x->project != NULL) - (y->project != NULL);

	if (order == 0 && x->project)
		order = memcmp(x->project, y->project, sizeof(pg_uuid_t));
	if (order == 0)
		order = x->is_permission - y->is_permission;
	return order ? order : strcmp(x->name, y->name);
}

/*
 * Reads what a key holds: its name is argument 0, its organization argument 1;
 * argument 2 is the set of organizations with all keys readable.
 */
static void
read_held(FunctionCallInfo fcinfo, HeldList *list)
{
	AkKeystore	store = {.snapshot = GetActiveSnapshot()};
	text	   *public_key = PG_GETARG_TEXT_PP(0);

	memset(list, 0, sizeof(HeldList));
	list->organization = *PG_GETARG_UUID_P(1);
	list->sees_all = sees_all_rows(AK_KEY_ROLE) ||
		ak_reach_contains(PG_GETARG_ARRAYTYPE_P(2), &list->organization) ||
		ak_identity_reads_itself(public_key);
	list->allocated = 8;
	list->items = palloc(list->allocated * sizeof(Held));
	ak_keystore_check_key_roles(&store, public_key, add_held, list);
	if (list->reader)
		ak_key_reader_close(list->reader);
	qsort(list->items, list->count, sizeof(Held), compare_held);
}

/* Returns an array of objects, each with a place and a role or permission. */
Datum
apikeys_key_roles(PG_FUNCTION_ARGS)
{
	HeldList	list;
	StringInfoData json;

	read_held(fcinfo, &list);
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < list.count; i++)
	{
		const Held *held = &list.items[i];

		begin_element(&json);
		appendStringInfoChar(&json, '{');
		append_id(&json, held->project ? "project_id" : "organization_id",
				  held->project ? held->project : &list.organization);
		appendStringInfoChar(&json, ',');
		append_string(&json, held->is_permission ? "permission" : "role",
					  held->name);
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	PG_RETURN_DATUM(make_jsonb(&json));
}

/* What is held in the organization: the roles, or the permissions. */
static Datum
get_held_in_organization(FunctionCallInfo fcinfo, bool permissions)
{
	HeldList	list;
	Datum	   *names;
	int			count = 0;

	read_held(fcinfo, &list);
	if (!list.sees_all)
		PG_RETURN_NULL();
	names = palloc(Max(list.count, 1) * sizeof(Datum));
	for (int i = 0; i < list.count; i++)
		if (!list.items[i].project &&
			list.items[i].is_permission == permissions)
			names[count++] = CStringGetTextDatum(list.items[i].name);
	PG_RETURN_ARRAYTYPE_P(construct_array(names, count, TEXTOID, -1, false,
										  TYPALIGN_INT));
}

/* Returns the names of its roles in its organization; NULL: hidden. */
Datum
apikeys_key_organization_roles(PG_FUNCTION_ARGS)
{
	return get_held_in_organization(fcinfo, false);
}

/* Returns its permissions in its organization; NULL: hidden. */
Datum
apikeys_key_organization_permissions(PG_FUNCTION_ARGS)
{
	return get_held_in_organization(fcinfo, true);
}

/* --- Its projects -------------------------------------------------------- */

/* A project, and what the key holds in it: items first to first + count - 1. */
typedef struct HeldProject
{
	const char *name;
	int			first;
	int			count;
} HeldProject;

static int
compare_projects(const void *a, const void *b)
{
	return strcmp(((const HeldProject *) a)->name,
				  ((const HeldProject *) b)->name);
}

/* Returns the name of a project, palloc'd. */
static const char *
read_project_name(const pg_uuid_t *project)
{
	AkIndexScan scan;
	ScanKeyData key;
	char	   *name = NULL;
	bool		isnull;

	ak_index_scan_uuid_key(&key, project);
	ak_index_scan_open(GetActiveSnapshot(), AK_PROJECT, AK_PROJECT_BY_ID, &key,
					   false, &scan);
	if (ak_index_scan_next_row(&scan))
		name = TextDatumGetCString(slot_getattr(scan.slot, PROJECT_NAME,
												&isnull));
	ak_index_scan_close(&scan);
	return name;
}

/* Appends the names of roles, or of permissions, of a project. */
static void
append_names(StringInfo json, const char *field, const Held *items, int count,
			 bool permissions)
{
	appendStringInfo(json, ",\"%s\":[", field);
	for (int i = 0; i < count; i++)
		if (items[i].is_permission == permissions)
		{
			begin_element(json);
			escape_json(json, items[i].name);
		}
	appendStringInfoChar(json, ']');
}

static void
append_project(StringInfo json, const HeldList *list,
			   const HeldProject *project)
{
	const Held *items = &list->items[project->first];

	begin_element(json);
	appendStringInfoChar(json, '{');
	append_id(json, "id", items->project);
	appendStringInfoChar(json, ',');
	append_string(json, "name", project->name);
	append_names(json, "roles", items, project->count, false);
	/* the last one is a permission if any is */
	if (items[project->count - 1].is_permission)
		append_names(json, "permissions", items, project->count, true);
	appendStringInfoChar(json, '}');
}

/*
 * Returns an array of its projects by name, with what it holds in each.
 * Argument 3 is the set of organizations with all projects readable, argument 4
 * that of other readable projects.
 */
Datum
apikeys_key_projects(PG_FUNCTION_ARGS)
{
	HeldList	list;
	HeldProject *projects;
	int			count = 0;
	bool		sees_all;
	StringInfoData json;

	read_held(fcinfo, &list);
	sees_all = sees_all_rows(AK_PROJECT) ||
		ak_reach_contains(PG_GETARG_ARRAYTYPE_P(3), &list.organization);
	projects = palloc(Max(list.count, 1) * sizeof(HeldProject));
	for (int i = 0; i < list.count; i++)
	{
		const pg_uuid_t *id = list.items[i].project;

		if (!id || !(sees_all || ak_reach_contains(PG_GETARG_ARRAYTYPE_P(4), id)))
			continue;
		if (count > 0 && memcmp(id, list.items[projects[count - 1].first].project,
								sizeof(pg_uuid_t)) == 0)
			projects[count - 1].count++;
		else if ((projects[count].name = read_project_name(id)) != NULL)
		{
			projects[count].first = i;
			projects[count++].count = 1;
		}
	}
	qsort(projects, count, sizeof(HeldProject), compare_projects);
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < count; i++)
		append_project(&json, &list, &projects[i]);
	appendStringInfoChar(&json, ']');
	PG_RETURN_DATUM(make_jsonb(&json));
}

/* --- Its secrets --------------------------------------------------------- */

/*
 * Begins a scan of the secrets of a key, in the order of their versions; the
 * arguments are as in read_held().  Returns false if the reader does not see them.
 */
static bool
open_secrets(FunctionCallInfo fcinfo, ScanKey key, AkIndexScan *scan)
{
	text	   *public_key = PG_GETARG_TEXT_PP(0);

	if (!sees_all_rows(AK_KEY_SECRET) &&
		!ak_reach_reads_key(public_key, PG_GETARG_UUID_P(1),
							PG_GETARG_ARRAYTYPE_P(2)))
		return false;
	ak_index_scan_text_key(key, public_key);
	ak_index_scan_open(GetActiveSnapshot(), AK_KEY_SECRET, AK_KEY_SECRET_BY_KEY,
					   key, false, scan);
	return true;
}

/* Reads the time at which the secret that the scan is at expires; DT_NOEND: never. */
static TimestampTz
get_expiry(AkIndexScan *scan)
{
	bool		isnull;
	Datum		at = slot_getattr(scan->slot, SECRET_EXPIRES_AT, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(at);
}

static char *
get_hint(AkIndexScan *scan)
{
	bool		isnull;
	Datum		hint = slot_getattr(scan->slot, SECRET_HINT, &isnull);

	return psprintf(HIDDEN "%s", TextDatumGetCString(hint));
}

/* Returns the last characters of the newest secret. */
Datum
apikeys_key_hint(PG_FUNCTION_ARGS)
{
	AkIndexScan scan;
	ScanKeyData key;
	char	   *hint = NULL;

	if (!open_secrets(fcinfo, &key, &scan))
		PG_RETURN_NULL();
	while (ak_index_scan_next_row(&scan))
		hint = get_hint(&scan);
	ak_index_scan_close(&scan);
	if (hint == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(CStringGetTextDatum(hint));
}

/* Prepends the secret that the scan is at to the elements of an array. */
static void
prepend_secret(StringInfo elements, text *public_key,
			   const pg_uuid_t *organization, AkIndexScan *scan)
{
	bool		isnull;
	int32		version =
		DatumGetInt32(slot_getattr(scan->slot, SECRET_VERSION, &isnull));
	Datum		realm;
	AkLastUse	last;
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"version\":%d,", version);
	append_string(&json, "hint", get_hint(scan));
	appendStringInfoChar(&json, ',');
	append_time(&json, "created_at",
				DatumGetTimestampTz(slot_getattr(scan->slot, SECRET_CREATED_AT,
												 &isnull)), false);
	appendStringInfoChar(&json, ',');
	append_time(&json, "expires_at", get_expiry(scan),
				get_expiry(scan) == DT_NOEND);
	appendStringInfoChar(&json, ',');
	realm = slot_getattr(scan->slot, SECRET_DIGEST_REALM, &isnull);
	append_string(&json, "digest_realm",
				  isnull ? NULL : TextDatumGetCString(realm));
	appendStringInfoChar(&json, ',');
	ak_usage_report_last_use(public_key, organization, version, &last);
	append_time(&json, "last_used_at", last.at, last.at == DT_NOBEGIN);
	appendStringInfo(&json, "}%s%s", elements->len > 0 ? "," : "",
					 elements->data);
	*elements = json;
}

/* Returns an array of its live secrets, the newest first. */
Datum
apikeys_key_secrets(PG_FUNCTION_ARGS)
{
	AkIndexScan scan;
	ScanKeyData key;
	StringInfoData elements;
	StringInfoData json;

	initStringInfo(&elements);
	if (open_secrets(fcinfo, &key, &scan))
	{
		while (ak_index_scan_next_row(&scan))
			if (get_expiry(&scan) > GetCurrentStatementStartTimestamp())
				prepend_secret(&elements, PG_GETARG_TEXT_PP(0),
							   PG_GETARG_UUID_P(1), &scan);
		ak_index_scan_close(&scan);
	}
	initStringInfo(&json);
	appendStringInfo(&json, "[%s]", elements.data);
	PG_RETURN_DATUM(make_jsonb(&json));
}

/* Returns when the last of its secrets expires, or has expired; NULL: never. */
Datum
apikeys_key_secret_expires_at(PG_FUNCTION_ARGS)
{
	AkIndexScan scan;
	ScanKeyData key;
	TimestampTz last = DT_NOBEGIN;

	if (!open_secrets(fcinfo, &key, &scan))
		PG_RETURN_NULL();
	while (ak_index_scan_next_row(&scan))
		last = Max(last, get_expiry(&scan));
	ak_index_scan_close(&scan);
	if (TIMESTAMP_NOT_FINITE(last))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(last);
}
