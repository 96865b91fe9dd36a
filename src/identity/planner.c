/*
 * planner.c
 *	  What the planner needs to know about the principal that reads.
 *
 * The planner cannot look into the array that a policy compares
 * organization_id with: it assumes ten elements (estimate_array_length() of
 * selfuncs.c). So policies add a condition that is always true and whose
 * selectivity corrects the estimate, as if the principal's organizations were
 * constants in the query.
 *
 * That is not enough for ORDER BY with LIMIT. An index in that order looks
 * cheap as long as the planner assumes that the reader's rows are spread
 * evenly; for a reader whose keys are all old it would scan the rows of all
 * other organizations.  So for principals that read a small share of a table,
 * such paths are removed (set_rel_pathlist_hook of optimizer/paths.h).
 *
 * A plan that is reused for another principal is correct, but may be slower.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/planner.h"
#include "identity/reach.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(apikeys_is_readable_share);
PG_FUNCTION_INFO_V1(apikeys_readable_share_support);

/* Elements that the planner assumes for an unknown array. */
#define EXPECTED_ELEMENTS	10

/*
 * A principal that reads fewer than one in this many organizations finds its
 * rows by organization, and not by a scan through all rows in an index's
 * order.
 */
#define SMALL_SHARE			20

/* More organizations than these are not estimated one by one. */
#define MAX_ESTIMATED		100

/* --- The share of a table ------------------------------------------------ */

Datum
apikeys_is_readable_share(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}

/* Returns the share of rows with this id in the column. */
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

/* Checks whether the query itself compares the column for equality. */
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

/* Returns the share of rows whose column is one of the ids. */
static Selectivity
estimate_all(PlannerInfo *root, Var *column, Oid equal, const pg_uuid_t *ids,
			 int count)
{
	int			estimated = Min(count, MAX_ESTIMATED);
	Selectivity share = 0;

	for (int i = 0; i < estimated; i++)
		share += estimate_one(root, column, equal, &ids[i]);
	return estimated ? share * count / estimated : 0;
}

/*
 * Without scopes: for the organizations in which the principal has any role.
 */
static Selectivity
estimate_share(PlannerInfo *root, Var *column, ArrayType *scopes)
{
	Oid			equal = lookup_type_cache(UUIDOID, TYPECACHE_EQ_OPR)->eq_opr;
	VariableStatData statistics;
	pg_uuid_t  *ids;
	int			count;
	double		distinct;
	bool		is_default;
	Selectivity share;

	if (is_restricted(root, column, equal))
		return 1;
	count = ak_reach_organizations(scopes, &ids);
	examine_variable(root, (Node *) column, 0, &statistics);
	distinct = get_variable_numdistinct(&statistics, &is_default);
	ReleaseVariableStats(statistics);
	share = estimate_all(root, column, equal, ids, count) *
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

/* --- Scans through the rows of all organizations ------------------------- */

/* The tables, and the scopes that allow to read an organization's rows. */
static const struct
{
	const char *table;
	const char *scopes[2];
	int			scope_count;
}			shared_tables[] = {
	{"key", {"apikeys.keys.read", "apikeys.keys.manage"}, 2},
	{"audit_event", {"apikeys.audit.read"}, 1},
};

static set_rel_pathlist_hook_type previous_hook = NULL;

/* Returns the index of a table in shared_tables, or -1. */
static int
find_shared_table(Oid table)
{
	Oid			schema = get_namespace_oid("apikeys", true);
	const char *name;

	if (!OidIsValid(schema) || get_rel_namespace(table) != schema ||
		!OidIsValid(get_extension_oid("apikeys", true)))
		return -1;
	name = get_rel_name(table);
	for (int i = 0; i < lengthof(shared_tables); i++)
		if (strcmp(shared_tables[i].table, name) == 0)
			return i;
	return -1;
}

/* Returns the number of organizations according to the table's statistics. */
static double
count_organizations(void)
{
	Oid			table = get_relname_relid("organization",
										  get_namespace_oid("apikeys", false));
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	double		count = 0;

	if (HeapTupleIsValid(row))
	{
		count = ((Form_pg_class) GETSTRUCT(row))->reltuples;
		ReleaseSysCache(row);
	}
	return count;
}

static bool
reads_little(int shared_table)
{
	Datum		scopes[2];
	pg_uuid_t  *ids;
	int			count = shared_tables[shared_table].scope_count;

	for (int i = 0; i < count; i++)
		scopes[i] = CStringGetTextDatum(shared_tables[shared_table].scopes[i]);
	count = ak_reach_organizations(construct_array(scopes, count, TEXTOID, -1,
												   false, TYPALIGN_INT), &ids);
	return (double) count * SMALL_SHARE < count_organizations();
}

/*
 * Checks whether a path exists only for its order, which is not one within an
 * organization or a project.
 */
static bool
is_walk(Oid table, Path *path)
{
	AttrNumber	first;
	const char *column;

	if (!IsA(path, IndexPath) || path->pathkeys == NIL)
		return false;
	first = ((IndexPath *) path)->indexinfo->indexkeys[0];
	if (first == 0)
		return false;
	column = get_attname(table, first, false);
	return strcmp(column, "organization_id") != 0 &&
		strcmp(column, "project_id") != 0;
}

/* Removes these scans, unless no other path is left. */
static List *
remove_walks(Oid table, List *paths)
{
	List	   *rest = NIL;
	ListCell   *cell;

	foreach(cell, paths)
		if (!is_walk(table, lfirst(cell)))
			rest = lappend(rest, lfirst(cell));
	return rest == NIL ? paths : rest;
}

static void
choose_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	int			shared_table;

	if (previous_hook)
		previous_hook(root, rel, rti, rte);
	if (rte->rtekind != RTE_RELATION || rte->securityQuals == NIL)
		return;
	shared_table = find_shared_table(rte->relid);
	if (shared_table < 0 || !reads_little(shared_table))
		return;
	rel->pathlist = remove_walks(rte->relid, rel->pathlist);
	rel->partial_pathlist = remove_walks(rte->relid, rel->partial_pathlist);
}

/* Called once, when the library is loaded. */
void
ak_planner_init(void)
{
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = choose_paths;
}
