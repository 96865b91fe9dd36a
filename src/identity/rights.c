/*
 * rights.c
 *	  What the principal may do: the predicates that policies and the bodies of
 *	  verbs ask.
 *
 * All of them answer about the principal that is acting (identity.h), from the
 * tables as they are now (keystore.h); what is NULL or unknown is no.  A
 * superuser who acts as itself may do everything.
 */
#include "postgres.h"

#include "base/names.h"
#include "core/compat.h"
#include "core/scope.h"
#include "identity/identity.h"
#include "identity/own_grants.h"
#include "identity/rights.h"
#include "store/keystore.h"
#include "store/roles.h"

#include "utils/array.h"
#include "utils/builtins.h"

#define SCOPE_KEYS_READ		"apikeys.keys.read"
#define SCOPE_KEYS_MANAGE	"apikeys.keys.manage"
#define SCOPE_GRANT_ANY		"apikeys.roles.grant_any"
#define SCOPE_PROJECTS_READ		"apikeys.projects.read"
#define SCOPE_PROJECTS_MANAGE	"apikeys.projects.manage"
#define SCOPE_SELF_ROTATE	"apikeys.self.rotate"

/* A place where a role may be held: an organization, or a project of it. */
typedef struct Place
{
	pg_uuid_t	organization;
	bool		has_project;
	pg_uuid_t	project;
} Place;

PG_FUNCTION_INFO_V1(apikeys_may);
PG_FUNCTION_INFO_V1(apikeys_may_grant);
PG_FUNCTION_INFO_V1(apikeys_reads_organization);
PG_FUNCTION_INFO_V1(apikeys_reads_project);
PG_FUNCTION_INFO_V1(apikeys_reads_key);
PG_FUNCTION_INFO_V1(apikeys_reads_key_of);
PG_FUNCTION_INFO_V1(apikeys_manages_key);
PG_FUNCTION_INFO_V1(apikeys_stops_key);
PG_FUNCTION_INFO_V1(apikeys_rotates_itself);

static void
open_store(AkKeystore *store)
{
	ak_keystore_open(store);
	ak_roles_refresh(store);
}

static const AkRole *
find_role(const AkBytes *name)
{
	return ak_roles_find(name->data, name->size);
}

static bool
uuids_are_equal(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t)) == 0;
}

static int
compare_uuids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t));
}

/* --- At one place --------------------------------------------------------- */

/* What a role that is held permits. */
typedef struct Held
{
	const AkPermissions *permissions;
	uint64		grant;			/* ak_grant_id() */
} Held;

/* The permissions that the principal has at a place. */
typedef struct PlaceSearch
{
	const Place *place;
	List	   *organization;	/* of Held, for the organization */
	List	   *project;		/* for the place's project, or for all */
} PlaceSearch;

static List *
add_held(List *list, const AkPermissions *permissions, uint64 grant)
{
	Held	   *held = palloc(sizeof(Held));

	held->permissions = permissions;
	held->grant = grant;
	return lappend(list, held);
}

static void
collect_permissions(const AkGrant *grant, void *argument)
{
	PlaceSearch *search = argument;
	const Place *place = search->place;
	const AkRole *role = find_role(&grant->role);
	uint64		id;

	if (role == NULL ||
		!uuids_are_equal(&grant->organization_id, &place->organization))
		return;
	id = ak_own_grant_id(grant, role);
	if (!grant->has_project)
		search->organization = add_held(search->organization,
										&role->organization, id);
	if (!grant->has_project ||
		(place->has_project &&
		 uuids_are_equal(&grant->project_id, &place->project)))
		search->project = add_held(search->project, &role->project, id);
}

/*
 * Fills in the search; it stays empty if the project is not one of the
 * organization.
 */
static void
search_place(AkKeystore *store, const Place *place, PlaceSearch *search)
{
	search->place = place;
	search->organization = NIL;
	search->project = NIL;
	if (place->has_project &&
		!ak_keystore_project_belongs(store, &place->project,
									 &place->organization))
		return;
	ak_own_grants_scan(store, collect_permissions, search);
}

static bool
one_allows(List *held, const char *scope, size_t scope_length)
{
	ListCell   *cell;

	foreach(cell, held)
	{
		const Held *role = lfirst(cell);

		if (ak_permissions_allow(role->permissions, scope, scope_length))
		{
			ak_own_grants_record_use(role->grant);
			return true;
		}
	}
	return false;
}

static bool
search_allows(const PlaceSearch *search, const char *scope, size_t length)
{
	return one_allows(search->place->has_project ?
					  search->project : search->organization, scope, length);
}

/* Whether the principal has the scope at a place. */
static bool
may_at(AkKeystore *store, const Place *place,
	   const char *scope, size_t scope_length)
{
	PlaceSearch search;

	if (ak_identity_is_superuser())
		return true;
	search_place(store, place, &search);
	return search_allows(&search, scope, scope_length);
}

static bool
manages_keys_at(AkKeystore *store, const Place *place)
{
	return may_at(store, place, SCOPE_KEYS_MANAGE, strlen(SCOPE_KEYS_MANAGE));
}

/* Whether each of the wanted permissions is covered by one of those held. */
static bool
all_are_covered(const AkPermissions *wanted, List *held)
{
	for (int i = 0; i < wanted->count; i++)
	{
		bool		covered = false;
		ListCell   *cell;

		foreach(cell, held)
		{
			const AkPermissions *own = ((Held *) lfirst(cell))->permissions;

			for (int j = 0; j < own->count && !covered; j++)
				covered = ak_permission_covers(own->items[j].text,
											   own->items[j].length,
											   wanted->items[i].text,
											   wanted->items[i].length);
		}
		if (!covered)
			return false;
	}
	return true;
}

/* Reads an organization and an optional project from two arguments. */
static bool
get_place(FunctionCallInfo fcinfo, int argument, Place *place)
{
	if (PG_ARGISNULL(argument))
		return false;
	place->organization = *PG_GETARG_UUID_P(argument);
	place->has_project = !PG_ARGISNULL(argument + 1);
	if (place->has_project)
		place->project = *PG_GETARG_UUID_P(argument + 1);
	return true;
}

/* Raises 22023 for what is no scope. */
Datum
apikeys_may(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	Place		place;
	text	   *scope;
	bool		may;

	if (PG_ARGISNULL(0) || !get_place(fcinfo, 1, &place))
		PG_RETURN_BOOL(false);
	scope = PG_GETARG_TEXT_PP(0);
	ak_check_scope(scope);
	open_store(&store);
	may = may_at(&store, &place, VARDATA_ANY(scope), VARSIZE_ANY_EXHDR(scope));
	ak_keystore_close(&store);
	PG_RETURN_BOOL(may);
}

/*
 * Whether the principal may grant a role at a place: each permission of the
 * role is covered by the principal's own there, or the principal may grant any.
 */
static bool
may_grant(AkKeystore *store, const Place *place, const AkBytes *role_name)
{
	PlaceSearch search;
	const AkRole *role = find_role(role_name);

	if (role == NULL)
		return false;
	if (ak_identity_is_superuser())
		return true;
	search_place(store, place, &search);
	return search_allows(&search, SCOPE_GRANT_ANY, strlen(SCOPE_GRANT_ANY)) ||
		(all_are_covered(&role->project, search.project) &&
		 (place->has_project ||
		  all_are_covered(&role->organization, search.organization)));
}

Datum
apikeys_may_grant(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	Place		place;
	AkBytes		role_name;
	bool		may;

	if (PG_ARGISNULL(0) || !get_place(fcinfo, 1, &place))
		PG_RETURN_BOOL(false);
	role_name.data = VARDATA_ANY(PG_GETARG_TEXT_PP(0));
	role_name.size = VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0));
	open_store(&store);
	may = may_grant(&store, &place, &role_name);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(may);
}

/* --- Reading -------------------------------------------------------------- */

/* What a grant of the principal is looked at for. */
typedef struct Visit
{
	const pg_uuid_t *organization;
	const pg_uuid_t *project;
	bool		is_visible;
} Visit;

/* A member of the organization, or of one of its projects, reads it. */
static void
visit_organization(const AkGrant *grant, void *argument)
{
	Visit	   *visit = argument;

	if (uuids_are_equal(&grant->organization_id, visit->organization))
		visit->is_visible = true;
}

/* Whether the organization exists and is visible to the principal. */
bool
ak_rights_reads_organization(const pg_uuid_t *organization)
{
	AkKeystore	store;
	AkPolicy	policy;
	Visit		visit = {.organization = organization};

	ak_keystore_open(&store);
	if (!ak_keystore_find_policy(&store, organization, &policy))
		visit.is_visible = false;
	else if (ak_identity_sees_all())
		visit.is_visible = true;
	else
		ak_own_grants_scan(&store, visit_organization, &visit);
	ak_keystore_close(&store);
	return visit.is_visible;
}

Datum
apikeys_reads_organization(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) &&
				   ak_rights_reads_organization(PG_GETARG_UUID_P(0)));
}

/*
 * Whoever has any permission in the project, or reads the projects of the
 * organization, reads the project.
 */
static void
visit_project(const AkGrant *grant, void *argument)
{
	Visit	   *visit = argument;
	const AkRole *role = find_role(&grant->role);

	if (role == NULL ||
		!uuids_are_equal(&grant->organization_id, visit->organization))
		return;
	if (grant->has_project)
		visit->is_visible |= uuids_are_equal(&grant->project_id,
											 visit->project);
	else
		visit->is_visible |= role->project.count > 0 ||
			ak_permissions_allow(&role->organization, SCOPE_PROJECTS_READ,
								 strlen(SCOPE_PROJECTS_READ)) ||
			ak_permissions_allow(&role->organization, SCOPE_PROJECTS_MANAGE,
								 strlen(SCOPE_PROJECTS_MANAGE));
}

Datum
apikeys_reads_project(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	pg_uuid_t	organization;
	Visit		visit = {&organization};

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	visit.project = PG_GETARG_UUID_P(0);
	open_store(&store);
	if (!ak_keystore_find_project(&store, visit.project, &organization))
		visit.is_visible = false;
	else if (ak_identity_sees_all())
		visit.is_visible = true;
	else
		ak_own_grants_scan(&store, visit_project, &visit);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(visit.is_visible);
}

static bool
reads_keys_at(AkKeystore *store, const Place *place)
{
	PlaceSearch search;

	search_place(store, place, &search);
	return search_allows(&search, SCOPE_KEYS_READ, strlen(SCOPE_KEYS_READ)) ||
		search_allows(&search, SCOPE_KEYS_MANAGE, strlen(SCOPE_KEYS_MANAGE));
}

/* A look at the roles of a key. */
typedef struct KeyCheck
{
	AkKeystore *store;
	pg_uuid_t	organization;
	bool		has_role;
	bool		result;
} KeyCheck;

/* The place of one of the roles. */
static Place
get_key_place(const KeyCheck *check, const AkGrant *grant)
{
	Place		place = {check->organization, grant->has_project,
	grant->project_id};

	return place;
}

static bool
check_key_read(const AkGrant *grant, void *argument)
{
	KeyCheck   *check = argument;
	Place		place = get_key_place(check, grant);

	check->result = grant->has_project && reads_keys_at(check->store, &place);
	return !check->result;
}

/*
 * Whether the principal reads the key, as policy key_reader_select has it, or
 * as a role that bypasses row-level security.
 */
bool
ak_rights_reads_key(text *public_key)
{
	AkKeystore	store;
	KeyCheck	check = {&store};
	Place		place = {0};

	open_store(&store);
	if (ak_keystore_find_key(&store, public_key, &check.organization))
	{
		place.organization = check.organization;
		check.result = ak_identity_sees_all() || ak_identity_is_key(public_key) ||
			reads_keys_at(&store, &place);
		if (!check.result)
			ak_keystore_check_key_roles(&store, public_key, check_key_read,
										&check);
	}
	ak_keystore_close(&store);
	return check.result;
}

Datum
apikeys_reads_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) &&
				   ak_rights_reads_key(PG_GETARG_TEXT_PP(0)));
}

/* Whether the id is in an array of uuids, sorted and without NULLs. */
static bool
is_in_array(const pg_uuid_t *id, ArrayType *sorted)
{
	return bsearch(id, ARR_DATA_PTR(sorted),
				   ArrayGetNItems(ARR_NDIM(sorted), ARR_DIMS(sorted)),
				   sizeof(pg_uuid_t), compare_uuids) != NULL;
}

/*
 * The same of the key in argument 0, of whose readers' organizations argument 1
 * tells: what policies ask for each row.
 */
Datum
apikeys_reads_key_of(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	pg_uuid_t	organization;
	bool		found;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	ak_keystore_open(&store);
	found = ak_keystore_find_key(&store, PG_GETARG_TEXT_PP(0), &organization);
	ak_keystore_close(&store);
	if (!found)
		PG_RETURN_BOOL(false);
	if (!PG_ARGISNULL(1) &&
		is_in_array(&organization, PG_GETARG_ARRAYTYPE_P(1)))
		PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(ak_rights_reads_key(PG_GETARG_TEXT_PP(0)));
}

/* --- Managing and stopping a key ------------------------------------------ */

static bool
check_key_managed(const AkGrant *grant, void *argument)
{
	KeyCheck   *check = argument;
	Place		place = get_key_place(check, grant);

	check->has_role = true;
	check->result = manages_keys_at(check->store, &place) &&
		may_grant(check->store, &place, &grant->role);
	return check->result;
}

static bool
check_key_stopped(const AkGrant *grant, void *argument)
{
	KeyCheck   *check = argument;
	Place		place = get_key_place(check, grant);

	check->has_role = true;
	check->result = manages_keys_at(check->store, &place);
	return !check->result;
}

/*
 * What the check makes of the roles of the key in argument 0; for a key without
 * any, whether the principal manages the keys of the organization.
 */
static bool
check_key(FunctionCallInfo fcinfo, AkGrantCheck callback)
{
	AkKeystore	store;
	KeyCheck	check = {&store};

	if (PG_ARGISNULL(0))
		return false;
	open_store(&store);
	if (ak_keystore_find_key(&store, PG_GETARG_TEXT_PP(0),
							 &check.organization))
	{
		Place		place = {check.organization};

		ak_keystore_check_key_roles(&store, PG_GETARG_TEXT_PP(0), callback,
									&check);
		if (!check.has_role)
			check.result = manages_keys_at(&store, &place);
	}
	ak_keystore_close(&store);
	return check.result;
}

/*
 * Whether the principal manages keys in every place where the key has a role,
 * and may grant each of these roles.
 */
Datum
apikeys_manages_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(check_key(fcinfo, check_key_managed));
}

/* Whether the principal manages keys in one place where the key has a role. */
Datum
apikeys_stops_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(check_key(fcinfo, check_key_stopped));
}

static void
visit_self_rotate(const AkGrant *grant, void *argument)
{
	bool	   *may = argument;
	const AkRole *role = find_role(&grant->role);
	const AkPermissions *permissions;

	if (role == NULL)
		return;
	permissions = grant->has_project ? &role->project : &role->organization;
	if (ak_permissions_allow(permissions, SCOPE_SELF_ROTATE,
							 strlen(SCOPE_SELF_ROTATE)))
	{
		ak_own_grants_record_use(ak_own_grant_id(grant, role));
		*may = true;
	}
}

/* Whether the key is the bound one and may rotate its own secrets. */
Datum
apikeys_rotates_itself(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	bool		may = false;

	if (PG_ARGISNULL(0) || !ak_identity_is_key(PG_GETARG_TEXT_PP(0)))
		PG_RETURN_BOOL(false);
	open_store(&store);
	ak_own_grants_scan(&store, visit_self_rotate, &may);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(may);
}
