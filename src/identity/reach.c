/*
 * reach.c
 *	  Where the principal has a scope: the sets of organizations and projects
 *	  that policies ask, once a statement, and what the planner is told of them.
 */
#include "postgres.h"

#include "base/names.h"
#include "core/compat.h"
#include "core/scope.h"
#include "identity/identity.h"
#include "identity/own_grants.h"
#include "store/keystore.h"
#include "store/roles.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/selfuncs.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(apikeys_principal_organizations);
PG_FUNCTION_INFO_V1(apikeys_principal_other_projects);
PG_FUNCTION_INFO_V1(apikeys_current_projects);
PG_FUNCTION_INFO_V1(apikeys_is_readable_share);
PG_FUNCTION_INFO_V1(apikeys_readable_share_support);

/* The places where the principal has one of the scopes, or any role. */
typedef struct IdSet
{
	AkKeystore *store;
	text	  **scopes;			/* NULL: any role will do */
	int			scope_count;
	const struct IdSet *without;	/* organizations to leave out, sorted */
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

/* Sorts the ids and leaves each of them once. */
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

static bool
has_id(const IdSet *set, const pg_uuid_t *id)
{
	return bsearch(id, set->ids, set->count, sizeof(pg_uuid_t),
				   compare_ids) != NULL;
}

static ArrayType *
make_id_array(const IdSet *set)
{
	Datum	   *elements = palloc(Max(set->count, 1) * sizeof(Datum));

	for (int i = 0; i < set->count; i++)
		elements[i] = UUIDPGetDatum(&set->ids[i]);
	return construct_array(elements, set->count, UUIDOID, UUID_LEN, false,
						   TYPALIGN_CHAR);
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
	const AkRole *role = ak_roles_find(grant->role.data, grant->role.size);

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
	const AkRole *role = ak_roles_find(grant->role.data, grant->role.size);

	if (role == NULL ||
		(set->without && has_id(set->without, &grant->organization_id)))
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

/* Collects ids from the principal's grants by the callback. */
static void
scan_ids(IdSet *set, AkGrantCallback callback)
{
	set->allocated = 8;
	set->ids = palloc(set->allocated * sizeof(pg_uuid_t));
	ak_own_grants_scan(set->store, callback, set);
	sort_ids(set);
}

static void
open_store(AkKeystore *store)
{
	ak_keystore_open(store);
	ak_roles_refresh(store);
}

/* Raises 22023 for what is no scope. */
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

/* The organizations where the principal has one of the scopes in argument 0. */
Datum
apikeys_principal_organizations(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	IdSet		set = {&store};

	if (PG_NARGS() > 0)
		set_scopes(&set, PG_GETARG_ARRAYTYPE_P(0));
	open_store(&store);
	scan_ids(&set, collect_organization);
	ak_keystore_close(&store);
	PG_RETURN_ARRAYTYPE_P(make_id_array(&set));
}

/*
 * The projects where the principal has one of the scopes in argument 0 (NULL:
 * any permission), but for those of organizations where it has one of the scopes
 * in argument 1: a policy finds these by their organization, however many
 * projects that has.
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
	open_store(&store);
	scan_ids(&organizations, collect_organization);
	set.without = &organizations;
	scan_ids(&set, collect_project);
	ak_keystore_close(&store);
	PG_RETURN_ARRAYTYPE_P(make_id_array(&set));
}

/*
 * The projects in which the bound key has the scope; none where no key is
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
	open_store(&store);
	scan_ids(&set, collect_project);
	ak_keystore_close(&store);
	PG_RETURN_ARRAYTYPE_P(make_id_array(&set));
}

/* --- What the planner is told --------------------------------------------- */

/*
 * The planner cannot look into the array that a policy compares organization_id
 * with: it expects ten elements (estimate_array_length() of selfuncs.c).  So
 * policies add a condition that is always true, and whose selectivity corrects
 * that: it is as if the principal's own organizations had been written down.
 */

/* How many elements the planner expects of an array that it does not know. */
#define EXPECTED_ELEMENTS	10

/* More organizations than these are not looked at one by one. */
#define MAX_ESTIMATED		100

Datum
apikeys_is_readable_share(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}

/* The share of rows that have this id in the column. */
static Selectivity
estimate_one(PlannerInfo *root, Var *column, Oid equal, const pg_uuid_t *id)
{
	Const	   *value = makeConst(UUIDOID, -1, InvalidOid, UUID_LEN,
								  UUIDPGetDatum(id), false, false);
	Expr	   *clause = make_opclause(equal, BOOLOID, false, (Expr *) column,
									   (Expr *) value, InvalidOid, InvalidOid);

	set_opfuncid((OpExpr *) clause);
	return clause_selectivity(root, (Node *) clause, 0, JOIN_INNER, NULL);
}

/* Whether the query itself compares the column for equality. */
static bool
is_restricted(PlannerInfo *root, const Var *column, Oid equal)
{
	ListCell   *cell;

	foreach(cell, find_base_rel(root, column->varno)->baserestrictinfo)
	{
		OpExpr	   *clause = (OpExpr *) lfirst_node(RestrictInfo, cell)->clause;

		if (IsA(clause, OpExpr) && clause->opno == equal &&
			list_member(clause->args, column))
			return true;
	}
	return false;
}

/* The share of rows whose column is one of the ids. */
static Selectivity
estimate_all(PlannerInfo *root, Var *column, Oid equal, const IdSet *set)
{
	int			estimated = Min(set->count, MAX_ESTIMATED);
	Selectivity share = 0;

	for (int i = 0; i < estimated; i++)
		share += estimate_one(root, column, equal, &set->ids[i]);
	return estimated ? share * set->count / estimated : 0;
}

/* Without scopes: of the organizations that the principal has any role in. */
static Selectivity
estimate_share(PlannerInfo *root, Var *column, ArrayType *scopes)
{
	Oid			equal = lookup_type_cache(UUIDOID, TYPECACHE_EQ_OPR)->eq_opr;
	AkKeystore	store;
	IdSet		set = {&store};
	VariableStatData statistics;
	double		distinct;
	bool		is_default;
	Selectivity share;

	if (is_restricted(root, column, equal))
		return 1;
	if (scopes)
		set_scopes(&set, scopes);
	open_store(&store);
	scan_ids(&set, collect_organization);
	ak_keystore_close(&store);
	examine_variable(root, (Node *) column, 0, &statistics);
	distinct = get_variable_numdistinct(&statistics, &is_default);
	ReleaseVariableStats(statistics);
	share = estimate_all(root, column, equal, &set) *
		Max(distinct, EXPECTED_ELEMENTS) / EXPECTED_ELEMENTS;
	CLAMP_PROBABILITY(share);
	return share;
}

/* The planner support function (nodes/supportnodes.h) of is_readable_share. */
Datum
apikeys_readable_share_support(PG_FUNCTION_ARGS)
{
	SupportRequestSelectivity *request =
		(SupportRequestSelectivity *) PG_GETARG_POINTER(0);
	Var		   *column;
	Const	   *scopes;

	if (!IsA(request, SupportRequestSelectivity) || request->is_join)
		PG_RETURN_POINTER(NULL);
	column = linitial(request->args);
	scopes = lsecond(request->args);
	if (!IsA(column, Var) || column->varlevelsup > 0 ||
		!IsA(scopes, Const))
		PG_RETURN_POINTER(NULL);
	request->selectivity = estimate_share(request->root, column,
										  scopes->constisnull ? NULL :
										  DatumGetArrayTypeP(scopes->constvalue));
	PG_RETURN_POINTER(request);
}
