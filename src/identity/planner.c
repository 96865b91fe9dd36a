/*
 * planner.c
 *	  What the planner is told of the principal that reads.
 *
 * The planner cannot look into the array that a policy compares organization_id
 * with: it expects ten elements (estimate_array_length() of selfuncs.c).  So
 * policies add a condition that is always true, and whose selectivity corrects
 * that: it is as if the principal's own organizations had been written down.
 *
 * That is not enough for ORDER BY with LIMIT.  An index in that order looks cheap
 * as long as the reader's rows are thought to be spread evenly; a reader whose keys
 * are all old would walk through everybody else's.  So for who reads little of a
 * table, such walks are taken out of the paths (set_rel_pathlist_hook of
 * optimizer/paths.h), and a merge of the reader's organizations takes their place
 * where there is an index for it (own_rows.c).  A plan that is kept for another
 * principal is as right, it only costs more.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/own_rows.h"
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
#include "nodes/value.h"
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

/* How many elements the planner expects of an array that it does not know. */
#define EXPECTED_ELEMENTS	10

/*
 * Who reads fewer than one of so many organizations finds its rows by them, and
 * not on a walk through everybody's.
 */
#define SMALL_SHARE			20

/* More organizations than these are not looked at one by one. */
#define MAX_ESTIMATED		100

/* --- The share of a table -------------------------------------------------- */

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
estimate_all(PlannerInfo *root, Var *column, Oid equal, const pg_uuid_t *ids,
			 int count)
{
	int			estimated = Min(count, MAX_ESTIMATED);
	Selectivity share = 0;

	for (int i = 0; i < estimated; i++)
		share += estimate_one(root, column, equal, &ids[i]);
	return estimated ? share * count / estimated : 0;
}

/* Without scopes: of the organizations that the principal has any role in. */
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

/* --- Walks through the rows of all readers --------------------------------- */

/* The tables, and with which scopes an organization's rows are read. */
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

/* Which of shared_tables a table is, or -1. */
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

/* How many organizations there are, by the table's statistics. */
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

/* The scopes of a shared table, as a list of String. */
static List *
list_scopes(int shared_table)
{
	List	   *scopes = NIL;

	for (int i = 0; i < shared_tables[shared_table].scope_count; i++)
		scopes = lappend(scopes,
						 makeString(pstrdup(shared_tables[shared_table].scopes[i])));
	return scopes;
}

/* Whether an index has the rows of an organization, or a project, together. */
static bool
is_by_place(Oid table, const IndexPath *path)
{
	AttrNumber	first = path->indexinfo->indexkeys[0];
	const char *column;

	if (first == 0)
		return false;
	column = get_attname(table, first, false);
	return strcmp(column, "organization_id") == 0 ||
		strcmp(column, "project_id") == 0;
}

/*
 * Whether a path is there for its order, which is not one within an organization
 * or a project.  The inner side of a nested loop is no walk.
 */
static bool
is_walk(Oid table, Path *path)
{
	return IsA(path, IndexPath) && path->pathkeys != NIL &&
		path->param_info == NULL && !is_by_place(table, (IndexPath *) path);
}

/* How large a path is that find_cheapest() may return; 0: it may not. */
static size_t
get_path_size(const Path *path)
{
	if (IsA(path, IndexPath))
		return sizeof(IndexPath);
	if (IsA(path, BitmapHeapPath))
		return sizeof(BitmapHeapPath);
	return IsA(path, Path) ? sizeof(Path) : 0;
}

/*
 * The cheapest of the paths that are no walks; NULL: there is none.  It is a copy:
 * add_path() frees paths that it finds too dear, also those of another relation.
 */
static Path *
find_cheapest(Oid table, List *paths)
{
	Path	   *cheapest = NULL;
	Path	   *copy;
	ListCell   *cell;

	foreach(cell, paths)
	{
		Path	   *path = lfirst(cell);

		if (!is_walk(table, path) && path->param_info == NULL &&
			get_path_size(path) > 0 &&
			(cheapest == NULL || path->total_cost < cheapest->total_cost))
			cheapest = path;
	}
	if (cheapest == NULL)
		return NULL;
	copy = palloc(get_path_size(cheapest));
	memcpy(copy, cheapest, get_path_size(cheapest));
	return copy;
}

/*
 * Walks become scans of the reader's rows in that order, or are left out, if
 * only another path is there; where an index has all that is asked for, the
 * reader's part of it is another path.  Not by add_path(), which frees what is dearer.
 */
static List *
replace_walks(PlannerInfo *root, RelOptInfo *rel, Oid table, List *scopes,
			  const AkOwnRows *own)
{
	Path	   *otherwise = find_cheapest(table, rel->pathlist);
	Path	   *index_only;
	List	   *paths = NIL;
	ListCell   *cell;

	if (otherwise == NULL)
		return rel->pathlist;
	foreach(cell, rel->pathlist)
	{
		Path	   *path = lfirst(cell);

		if (is_walk(table, path))
			path = ak_own_rows_path(root, rel, (IndexPath *) path, otherwise,
									scopes, own);
		if (path)
			paths = lappend(paths, path);
	}
	index_only = ak_own_rows_index_only_path(root, rel, otherwise, scopes, own);
	return index_only ? lappend(paths, index_only) : paths;
}

/* Whether a path reads an index for one organization or project. */
static bool
is_part(Oid table, Path *path)
{
	return IsA(path, IndexPath) && is_by_place(table, (IndexPath *) path) &&
		((IndexPath *) path)->indexclauses != NIL &&
		linitial_node(IndexClause,
					  ((IndexPath *) path)->indexclauses)->indexcol == 0;
}

/*
 * Where a query names the organization, and wants an order, the planner takes
 * that condition and the policy's for two of which each leaves a share, and so
 * thinks that sorting what is left costs next to nothing.  If an index has the
 * organization's rows in that order, the ways that read all of them are left out.
 */
static List *
prefer_ordered_part(Oid table, List *paths)
{
	List	   *rest = NIL;
	bool		has_ordered_part = false;
	ListCell   *cell;

	foreach(cell, paths)
	{
		Path	   *path = lfirst(cell);
		bool		is_ordered = path->pathkeys != NIL && !path->param_info;

		has_ordered_part |= is_ordered && is_part(table, path);
		if (is_ordered || path->param_info ||
			!(IsA(path, BitmapHeapPath) ||
			  (is_part(table, path) &&
			   list_length(((IndexPath *) path)->indexclauses) == 1)))
			rest = lappend(rest, path);
	}
	return has_ordered_part ? rest : paths;
}

static void
choose_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	int			shared_table;
	List	   *scopes;
	AkOwnRows	own;

	if (previous_hook)
		previous_hook(root, rel, rti, rte);
	if (rte->rtekind != RTE_RELATION || rte->securityQuals == NIL)
		return;
	shared_table = find_shared_table(rte->relid);
	if (shared_table < 0)
		return;
	rel->pathlist = prefer_ordered_part(rte->relid, rel->pathlist);
	scopes = list_scopes(shared_table);
	own = ak_own_rows_find(scopes);
	if ((double) own.count * SMALL_SHARE < count_organizations())
		rel->pathlist = replace_walks(root, rel, rte->relid, scopes, &own);
}

/* Called once, when the library is loaded. */
void
ak_planner_init(void)
{
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = choose_paths;
	ak_own_rows_init();
}
