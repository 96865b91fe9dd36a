/*
 * rights.c
 *	  What the principal may do: the predicates that row-level security and
 *	  the management functions ask.
 *
 * All of them answer about the one who is acting and about nobody else, from
 * the tables as they are now (keystore.h); what is NULL or unknown is no.
 */
#include "postgres.h"

#include "base/names.h"
#include "base/tables.h"
#include "core/compat.h"
#include "core/scope.h"
#include "identity/delegation.h"
#include "identity/own_grants.h"
#include "identity/rights.h"
#include "store/keystore.h"
#include "store/roles.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rls.h"

#define SCOPE_KEYS_READ		"apikeys.keys.read"
#define SCOPE_KEYS_MANAGE	"apikeys.keys.manage"
#define SCOPE_GRANT_ANY		"apikeys.roles.grant_any"

/* A place where a role may be held: an organization, or a project of it. */
typedef struct Place
{
	pg_uuid_t	organization;
	bool		has_project;
	pg_uuid_t	project;
} Place;

PG_FUNCTION_INFO_V1(apikeys_principal_may);
PG_FUNCTION_INFO_V1(apikeys_principal_organizations);
PG_FUNCTION_INFO_V1(apikeys_principal_projects);
PG_FUNCTION_INFO_V1(apikeys_principal_manages_key);
PG_FUNCTION_INFO_V1(apikeys_principal_may_issue);
PG_FUNCTION_INFO_V1(apikeys_principal_may_grant);
PG_FUNCTION_INFO_V1(apikeys_principal_founds);

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

static bool
may_at(AkKeystore *store, const Place *place,
	   const char *scope, size_t scope_length)
{
	PlaceSearch search;

	search_place(store, place, &search);
	return search_allows(&search, scope, scope_length);
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

Datum
apikeys_principal_may(PG_FUNCTION_ARGS)
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
 * Whether the principal may hand out a role at a place: each of its
 * permissions is covered by his own there, or he may grant any.
 */
static bool
may_grant(AkKeystore *store, const Place *place, const AkBytes *role_name)
{
	PlaceSearch search;
	const AkRole *role = find_role(role_name);

	if (role == NULL)
		return false;
	search_place(store, place, &search);
	return search_allows(&search, SCOPE_GRANT_ANY, strlen(SCOPE_GRANT_ANY)) ||
		(all_are_covered(&role->project, search.project) &&
		 (place->has_project ||
		  all_are_covered(&role->organization, search.organization)));
}

Datum
apikeys_principal_may_grant(PG_FUNCTION_ARGS)
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

Datum
apikeys_principal_founds(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	Place		place;
	bool		founds;

	if (!get_place(fcinfo, 0, &place))
		PG_RETURN_BOOL(false);
	ak_keystore_open(&store);
	founds = ak_keystore_is_new(&store, &place.organization,
								place.has_project ? &place.project : NULL);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(founds);
}

/* --- A key ---------------------------------------------------------------- */

typedef struct KeyCheck
{
	AkKeystore *store;
	pg_uuid_t	organization;
	bool		has_role;
	bool		manages;
	bool		may_grant;
} KeyCheck;

/* Whether the principal manages keys where the key has this role. */
static bool
check_key_role(const AkGrant *grant, void *argument)
{
	KeyCheck   *check = argument;
	Place		place = {check->organization, true, grant->project_id};

	check->has_role = true;
	check->manages = grant->has_project &&
		may_at(check->store, &place,
			   SCOPE_KEYS_MANAGE, strlen(SCOPE_KEYS_MANAGE));
	return check->manages;
}

/*
 * Whether the principal manages keys in the organization of the key, which is
 * stored in *organization, or wherever the key has a role.
 */
static bool
manages_key(AkKeystore *store, text *public_key, pg_uuid_t *organization)
{
	Place		place = {0};
	KeyCheck	check = {store};

	if (!ak_keystore_find_key(store, public_key, organization))
		return false;
	place.organization = *organization;
	if (may_at(store, &place, SCOPE_KEYS_MANAGE, strlen(SCOPE_KEYS_MANAGE)))
		return true;
	check.organization = *organization;
	ak_keystore_check_key_roles(store, public_key, check_key_role, &check);
	return check.has_role && check.manages;
}

Datum
apikeys_principal_manages_key(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	pg_uuid_t	organization;
	bool		manages;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	open_store(&store);
	manages = manages_key(&store, PG_GETARG_TEXT_PP(0), &organization);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(manages);
}

/*
 * Whether the one who is acting manages the keys of an organization, or is one
 * whom row-level security does not concern.
 */
bool
ak_rights_manages_keys(const pg_uuid_t *organization)
{
	AkKeystore	store;
	Place		place = {*organization};
	bool		manages;

	if (check_enable_rls(ak_table_oid(AK_KEY), InvalidOid, true) !=
		RLS_ENABLED)
		return true;
	open_store(&store);
	manages = may_at(&store, &place,
					 SCOPE_KEYS_MANAGE, strlen(SCOPE_KEYS_MANAGE));
	ak_keystore_close(&store);
	return manages;
}

static bool
reads_keys_at(AkKeystore *store, const Place *place)
{
	PlaceSearch search;

	search_place(store, place, &search);
	return search_allows(&search, SCOPE_KEYS_READ, strlen(SCOPE_KEYS_READ)) ||
		search_allows(&search, SCOPE_KEYS_MANAGE, strlen(SCOPE_KEYS_MANAGE));
}

typedef struct ReadCheck
{
	AkKeystore *store;
	pg_uuid_t	organization;
	bool		reads;
} ReadCheck;

static bool
check_key_read(const AkGrant *grant, void *argument)
{
	ReadCheck  *check = argument;
	Place		place = {check->organization, true, grant->project_id};

	check->reads = grant->has_project && reads_keys_at(check->store, &place);
	return !check->reads;
}

/*
 * Whether the one who is acting sees the key, as policy key_reader_select has
 * it, or as one whom row-level security does not concern.
 */
bool
ak_rights_reads_key(text *public_key)
{
	AkKeystore	store;
	ReadCheck	check = {&store};
	Place		place = {0};

	if (check_enable_rls(ak_table_oid(AK_KEY), InvalidOid, true) !=
		RLS_ENABLED)
		return true;
	open_store(&store);
	if (ak_keystore_find_key(&store, public_key, &check.organization))
	{
		place.organization = check.organization;
		check.reads = reads_keys_at(&store, &place);
		if (!check.reads)
			ak_keystore_check_key_roles(&store, public_key, check_key_read,
										&check);
	}
	ak_keystore_close(&store);
	return check.reads;
}

static bool
check_key_grant(const AkGrant *grant, void *argument)
{
	KeyCheck   *check = argument;
	Place		place = {check->organization, grant->has_project,
	grant->project_id};

	check->may_grant = may_grant(check->store, &place, &grant->role);
	return check->may_grant;
}

Datum
apikeys_principal_may_issue(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	KeyCheck	check = {&store};
	bool		may;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	open_store(&store);
	may = manages_key(&store, PG_GETARG_TEXT_PP(0), &check.organization);
	if (may)
	{
		check.may_grant = true;
		ak_keystore_check_key_roles(&store, PG_GETARG_TEXT_PP(0),
									check_key_grant, &check);
		may = check.may_grant &&
			ak_delegation_covers_key(&store, PG_GETARG_TEXT_PP(0));
	}
	ak_keystore_close(&store);
	PG_RETURN_BOOL(may);
}

/* --- Everywhere ----------------------------------------------------------- */

/* The places where the principal has one of the scopes, or any role. */
typedef struct IdSet
{
	AkKeystore *store;
	text	  **scopes;			/* NULL: any role will do */
	int			scope_count;
	Datum	   *ids;
	int			count;
	int			allocated;
} IdSet;

static void
add_id(const pg_uuid_t *id, void *argument)
{
	IdSet	   *set = argument;
	pg_uuid_t  *copy;

	for (int i = 0; i < set->count; i++)
		if (uuids_are_equal(DatumGetUUIDP(set->ids[i]), id))
			return;
	if (set->count == set->allocated)
	{
		set->allocated *= 2;
		set->ids = repalloc(set->ids, set->allocated * sizeof(Datum));
	}
	copy = palloc(sizeof(pg_uuid_t));
	*copy = *id;
	set->ids[set->count++] = UUIDPGetDatum(copy);
}

static bool
one_scope_is_allowed(const IdSet *set, const AkPermissions *permissions)
{
	for (int i = 0; i < set->scope_count; i++)
		if (ak_permissions_allow(permissions,
								 VARDATA_ANY(set->scopes[i]),
								 VARSIZE_ANY_EXHDR(set->scopes[i])))
			return true;
	return false;
}

static void
collect_organization(const AkGrant *grant, void *argument)
{
	IdSet	   *set = argument;
	const AkRole *role = find_role(&grant->role);

	if (set->scopes == NULL ||
		(role && !grant->has_project &&
		 one_scope_is_allowed(set, &role->organization)))
	{
		if (set->scopes)
			ak_own_grants_record_use(ak_own_grant_id(grant, role));
		add_id(&grant->organization_id, set);
	}
}

static void
collect_project(const AkGrant *grant, void *argument)
{
	IdSet	   *set = argument;
	const AkRole *role = find_role(&grant->role);

	if (role == NULL)
		return;
	if (set->scopes ? !one_scope_is_allowed(set, &role->project) :
		(!grant->has_project && role->project.count == 0))
		return;
	if (set->scopes)
		ak_own_grants_record_use(ak_own_grant_id(grant, role));
	if (grant->has_project)
		add_id(&grant->project_id, set);
	else
		ak_keystore_scan_projects(set->store, &grant->organization_id,
								  add_id, set);
}

/* Collects ids by the callback for the scopes in argument 0, if there is one. */
static ArrayType *
collect_ids(FunctionCallInfo fcinfo, AkGrantCallback callback)
{
	AkKeystore	store;
	IdSet		set = {&store};

	if (PG_NARGS() > 0)
	{
		Datum	   *elements;
		bool	   *nulls;
		int			count;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false,
						  TYPALIGN_INT, &elements, &nulls, &count);
		set.scopes = palloc(Max(count, 1) * sizeof(text *));
		for (int i = 0; i < count; i++)
			if (!nulls[i])
			{
				set.scopes[set.scope_count] = DatumGetTextPP(elements[i]);
				ak_check_scope(set.scopes[set.scope_count++]);
			}
	}
	set.allocated = 8;
	set.ids = palloc(set.allocated * sizeof(Datum));
	open_store(&store);
	ak_own_grants_scan(&store, callback, &set);
	ak_keystore_close(&store);
	return construct_array(set.ids, set.count, UUIDOID, UUID_LEN, false,
						   TYPALIGN_CHAR);
}

Datum
apikeys_principal_organizations(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(collect_ids(fcinfo, collect_organization));
}

Datum
apikeys_principal_projects(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(collect_ids(fcinfo, collect_project));
}
