/*
 * reach.c
 *	  Where the principal has a scope: the sets of organizations and projects
 *	  that policies compute once a statement.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/scope.h"
#include "identity/identity.h"
#include "store/store.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(apikeys_principal_organizations);
PG_FUNCTION_INFO_V1(apikeys_principal_other_projects);
PG_FUNCTION_INFO_V1(apikeys_principal_project_keys);
PG_FUNCTION_INFO_V1(apikeys_current_projects);
PG_FUNCTION_INFO_V1(apikeys_reading_user);
PG_FUNCTION_INFO_V1(apikeys_reads_key_of);

/* The places where the principal has one of the scopes, or any role. */
typedef struct IdSet
{
	AkKeystore *store;
	text	  **scopes;			/* NULL: any role counts */
	int			scope_count;
	const struct IdSet *without;	/* organizations to omit, sorted */
	struct IdSet *whole;		/* organizations of which all projects count */
	pg_uuid_t  *ids;
	int			count;
	int			allocated;
} IdSet;

static void
add_id(const pg_uuid_t *id, void *argument)
{
	IdSet	   *set = argument;

	if (set->count == set->allocated)
	{
		set->allocated *= 2;
		set->ids = repalloc_huge(set->ids, set->allocated * sizeof(pg_uuid_t));
	}
	set->ids[set->count++] = *id;
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t));
}

static ArrayType *
make_id_array(const pg_uuid_t *ids, int count)
{
	Datum	   *elements = palloc(Max(count, 1) * sizeof(Datum));

	for (int i = 0; i < count; i++)
		elements[i] = UUIDPGetDatum(&ids[i]);
	return construct_array(elements, count, UUIDOID, UUID_LEN, false,
						   TYPALIGN_CHAR);
}

/*
 * Checks whether an id is in an array that a function of this file returned;
 * NULL: empty, as is what none of them returns.
 */
bool
ak_reach_contains(ArrayType *ids, const pg_uuid_t *id)
{
	return ids && ARR_ELEMTYPE(ids) == UUIDOID && !ARR_HASNULL(ids) &&
		bsearch(id, ARR_DATA_PTR(ids),
				ArrayGetNItems(ARR_NDIM(ids), ARR_DIMS(ids)),
				sizeof(pg_uuid_t), compare_ids) != NULL;
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

static bool
collect_organization(const AkHeld *held, void *argument)
{
	IdSet	   *set = argument;
	const AkPlace place = {held->grant.organization_id};
	const AkPermissions *there = ak_held_permissions(held, &place, false);

	if (set->scopes == NULL || (there && one_scope_is_allowed(set, there)))
	{
		if (set->scopes)
			ak_own_grants_record_use(held->id);
		add_id(&held->grant.organization_id, set);
	}
	return true;
}

static bool
collect_project(const AkHeld *held, void *argument)
{
	IdSet	   *set = argument;
	const AkGrant *grant = &held->grant;

	if (set->without &&
		bsearch(&grant->organization_id, set->without->ids,
				set->without->count, sizeof(pg_uuid_t), compare_ids))
		return true;
	if (set->scopes ? !one_scope_is_allowed(set, &held->project) :
		(!grant->has_project && held->project.count == 0))
		return true;
	if (set->scopes)
		ak_own_grants_record_use(held->id);
	if (grant->has_project)
		add_id(&grant->project_id, set);
	else
		add_id(&grant->organization_id, set->whole);
	return true;
}

static void
begin_ids(IdSet *set)
{
	set->allocated = 8;
	set->ids = palloc(set->allocated * sizeof(pg_uuid_t));
}

/* Sorts the ids, and keeps each once. */
static void
sort_ids(IdSet *set)
{
	int			count = 0;

	qsort(set->ids, set->count, sizeof(pg_uuid_t), compare_ids);
	for (int i = 0; i < set->count; i++)
		if (i == 0 || compare_ids(&set->ids[i - 1], &set->ids[i]) != 0)
			set->ids[count++] = set->ids[i];
	set->count = count;
}

/*
 * Collects ids from the principal's grants with the callback: sorted, each once.  The
 * projects of an organization are scanned once, however many roles of the principal
 * are for all of them.
 */
static void
scan_ids(IdSet *set, AkHeldCallback callback)
{
	IdSet		whole = {0};

	begin_ids(set);
	begin_ids(&whole);
	set->whole = &whole;
	ak_own_grants_scan(set->store, callback, set);
	sort_ids(&whole);
	for (int i = 0; i < whole.count; i++)
		ak_keystore_scan_projects(set->store, &whole.ids[i], add_id, set);
	set->whole = NULL;
	sort_ids(set);
}

/* Raises 22023 if an element is not a scope. */
static void
set_scopes(IdSet *set, ArrayType *scopes)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(scopes, TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	set->scopes = palloc(Max(count, 1) * sizeof(text *));
	for (int i = 0; i < count; i++)
		if (!nulls[i])
		{
			set->scopes[set->scope_count] = DatumGetTextPP(elements[i]);
			ak_check_scope(set->scopes[set->scope_count++]);
		}
}

/*
 * Finds the organizations in which the principal has one of the scopes, an
 * array of text (NULL: in which, or in a project of which, it is a member).
 * Returns their number, and *ids, sorted and palloc'd.  Raises 22023 if an
 * element is not a scope.
 */
int
ak_reach_organizations(ArrayType *scopes, pg_uuid_t **ids)
{
	AkKeystore	store;
	IdSet		set = {&store};

	if (scopes)
		set_scopes(&set, scopes);
	ak_own_grants_open(&store, 0);
	scan_ids(&set, collect_organization);
	ak_keystore_close(&store);
	*ids = set.ids;
	return set.count;
}

/*
 * The same for scopes that are not NULL, in *ids and *count.  Also returns
 * whether the principal has one of them nowhere else: it is not a key, and has
 * none in a project of another organization.
 */
bool
ak_reach_is_by_organization(ArrayType *scopes, pg_uuid_t **ids, int *count)
{
	AkKeystore	store;
	IdSet		set = {&store};
	IdSet		projects = {&store};

	set_scopes(&set, scopes);
	set_scopes(&projects, scopes);
	ak_own_grants_open(&store, 0);
	scan_ids(&set, collect_organization);
	projects.without = &set;
	scan_ids(&projects, collect_project);
	ak_keystore_close(&store);
	*ids = set.ids;
	*count = set.count;
	return projects.count == 0 && ak_identity_key() == NULL;
}

Datum
apikeys_principal_organizations(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *ids;
	int			count = ak_reach_organizations(PG_NARGS() > 0 ?
											   PG_GETARG_ARRAYTYPE_P(0) : NULL,
											   &ids);

	PG_RETURN_ARRAYTYPE_P(make_id_array(ids, count));
}

/*
 * Returns the projects in which the principal has one of the scopes in
 * argument 0 (NULL: any permission), except those of organizations in which it
 * has one of the scopes in argument 1: policies find these by their
 * organization, however many projects it has.
 */
Datum
apikeys_principal_other_projects(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	IdSet		organizations = {&store};
	IdSet		set = {&store};

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	set_scopes(&organizations, PG_GETARG_ARRAYTYPE_P(1));
	if (!PG_ARGISNULL(0))
		set_scopes(&set, PG_GETARG_ARRAYTYPE_P(0));
	ak_own_grants_open(&store, 0);
	scan_ids(&organizations, collect_organization);
	set.without = &organizations;
	scan_ids(&set, collect_project);
	ak_keystore_close(&store);
	PG_RETURN_ARRAYTYPE_P(make_id_array(set.ids, set.count));
}

/* Names of keys, as Datums of text. */
typedef struct NameSet
{
	Datum	   *names;
	int			count;
	int			allocated;
} NameSet;

static void
add_name(text *name, void *argument)
{
	NameSet    *set = argument;

	if (set->count == set->allocated)
	{
		set->allocated *= 2;
		set->names = repalloc_huge(set->names, set->allocated * sizeof(Datum));
	}
	set->names[set->count++] =
		PointerGetDatum(cstring_to_text_with_len(VARDATA_ANY(name),
												 VARSIZE_ANY_EXHDR(name)));
}

/*
 * Returns the keys that have a role in a project where the principal has one
 * of the scopes, except those of organizations where it has one of them; sorted,
 * each once.
 */
Datum
apikeys_principal_project_keys(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	IdSet		organizations = {&store};
	IdSet		projects = {&store};
	NameSet		keys = {palloc(8 * sizeof(Datum)), 0, 8};
	int			count = 0;

	set_scopes(&organizations, PG_GETARG_ARRAYTYPE_P(0));
	set_scopes(&projects, PG_GETARG_ARRAYTYPE_P(0));
	ak_own_grants_open(&store, 0);
	scan_ids(&organizations, collect_organization);
	projects.without = &organizations;
	scan_ids(&projects, collect_project);
	for (int i = 0; i < projects.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ak_keystore_scan_project_keys(&store, &projects.ids[i], add_name,
									  &keys);
	}
	ak_keystore_close(&store);
	qsort(keys.names, keys.count, sizeof(Datum), ak_compare_texts);
	for (int i = 0; i < keys.count; i++)
		if (i == 0 || ak_compare_texts(&keys.names[i - 1], &keys.names[i]) != 0)
			keys.names[count++] = keys.names[i];
	PG_RETURN_ARRAYTYPE_P(construct_array(keys.names, count, TEXTOID, -1,
										  false, TYPALIGN_INT));
}

/*
 * Returns the projects in which the bound key has the scope; none if no key is
 * bound.
 */
Datum
apikeys_current_projects(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	IdSet		set = {&store};
	text	   *scope;

	if (ak_identity_key() == NULL || PG_ARGISNULL(0))
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(UUIDOID));
	scope = PG_GETARG_TEXT_PP(0);
	ak_check_scope(scope);
	set.scopes = &scope;
	set.scope_count = 1;
	ak_own_grants_open(&store, 0);
	scan_ids(&set, collect_project);
	ak_keystore_close(&store);
	PG_RETURN_ARRAYTYPE_P(make_id_array(set.ids, set.count));
}

/* --- Reading a key -------------------------------------------------------- */

/*
 * Whether the principal reads a key of an organization, if those with all keys
 * readable are known; NULL: not.
 */
bool
ak_reach_reads_key(text *public_key, const pg_uuid_t *organization,
					   ArrayType *organizations)
{
	return ak_reach_contains(organizations, organization) ||
		ak_rights_reads_key(public_key);
}

/* Called by policies for each row. */
Datum
apikeys_reads_key_of(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	pg_uuid_t	organization;
	bool		found;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	ak_keystore_open(&store, AK_TABLE_BIT(AK_KEY));
	found = ak_keystore_find_key(&store, PG_GETARG_TEXT_PP(0), &organization);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(found &&
				   ak_reach_reads_key(PG_GETARG_TEXT_PP(0), &organization,
										  PG_ARGISNULL(1) ? NULL :
										  PG_GETARG_ARRAYTYPE_P(1)));
}

/* For the policy of members: the named user, NULL if none is acting or has rights here. */
Datum
apikeys_reading_user(PG_FUNCTION_ARGS)
{
	text	   *user = ak_identity_has_rights() ? ak_identity_user() : NULL;

	if (user == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(user);
}
