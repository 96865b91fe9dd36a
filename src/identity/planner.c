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
 * That is not enough for ORDER BY with LIMIT.  An index in that order looks
 * cheap as long as the planner assumes that the reader's rows are spread
 * evenly; for a reader whose keys are all old it would scan the rows of all
 * other organizations.  So for principals that read a small share of a table,
 * such paths are removed (set_rel_pathlist_hook of optimizer/paths.h).  If there
 * is an index for it, a merge of the reader's organizations replaces them
 * (own_rows.c).  For principals that read keys by projects, all paths are removed
 * that do not find rows by an index.
 *
 * A plan that is reused for another principal is correct, but may be slower.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/identity.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "nodes/value.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "utils/acl.h"
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

/*
 * Returns the share of rows whose column is one of the organizations in which the
 * principal has one of the scopes or, without scopes, any role.
 */
static Selectivity
estimate_share(PlannerInfo *root, Var *column, ArrayType *scopes)
{
	Oid			equal = lookup_type_cache(UUIDOID, TYPECACHE_EQ_OPR)->eq_opr;
	VariableStatData statistics;
	pg_uuid_t  *ids;
	int			count;
	int			estimated;
	double		distinct;
	bool		is_default;
	Selectivity share = 0;

	if (is_restricted(root, column, equal))
		return 1;
	count = ak_reach_organizations(scopes, &ids);
	if (count == 0)
		return 0;
	examine_variable(root, (Node *) column, 0, &statistics);
	distinct = get_variable_numdistinct(&statistics, &is_default);
	ReleaseVariableStats(statistics);
	estimated = Min(count, MAX_ESTIMATED);
	for (int i = 0; i < estimated; i++)
	{
		Const	   *id = makeConst(UUIDOID, -1, InvalidOid, UUID_LEN,
								   UUIDPGetDatum(&ids[i]), false, false);
		Expr	   *clause = make_opclause(equal, BOOLOID, false,
										   (Expr *) column, (Expr *) id,
										   InvalidOid, InvalidOid);

		set_opfuncid((OpExpr *) clause);
		share += clause_selectivity(root, (Node *) clause, 0, JOIN_INNER,
									NULL);
	}
	share = share * count / estimated *
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
	bool		is_paged;		/* people read it in an order, page by page */
	const char *scopes[2];
	int			scope_count;
}			shared_tables[] = {
	{"key", true, {"apikeys.keys.read", "apikeys.keys.manage"}, 2},
	{"key_history", false, {"apikeys.keys.read", "apikeys.keys.manage"}, 2},
	{"key_day", false, {"apikeys.keys.read", "apikeys.keys.manage"}, 2},
	{"audit_event", true, {"apikeys.audit.read"}, 1},
};

static set_rel_pathlist_hook_type previous_hook = NULL;

/* Returns the index of a table in shared_tables, or -1. */
static int
find_shared_table(Oid table)
{
	const char *name;

	if (!ak_is_in_schema(table) || !OidIsValid(get_extension_oid("apikeys", true)))
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

/*
 * Checks whether an index has the rows of an organization or a project
 * together.
 */
static bool
is_by_place(Oid table, const IndexOptInfo *index)
{
	AttrNumber	first = index->indexkeys[0];
	const char *column;

	if (first == 0)
		return false;
	column = get_attname(table, first, false);
	return strcmp(column, "organization_id") == 0 ||
		strcmp(column, "project_id") == 0;
}

/* Checks whether a path has a condition on the first column of its index. */
static bool
has_first_column(const IndexPath *path)
{
	return path->indexclauses != NIL &&
		linitial_node(IndexClause, path->indexclauses)->indexcol == 0;
}

/* Checks whether a path reads an index for one organization or project. */
static bool
is_part(Oid table, Path *path)
{
	return IsA(path, IndexPath) && has_first_column((IndexPath *) path) &&
		is_by_place(table, ((IndexPath *) path)->indexinfo);
}

/*
 * Checks whether a path exists only for its order, which is not one within an
 * organization or a project.  The inner side of a nested loop does not count.
 */
static bool
is_walk(Oid table, Path *path)
{
	return IsA(path, IndexPath) && path->pathkeys != NIL &&
		path->param_info == NULL && !is_part(table, path);
}

/*
 * Returns the size of a path that find_cheapest() may copy; 0 for other kinds.
 */
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
 * Returns the cheapest path that does not exist only for its order, or NULL.  It
 * is a copy, because add_path() frees paths that it finds too expensive, also
 * those of another relation.
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
 * Replaces these scans by scans of the reader's rows in the same order, or
 * removes them if another path is left.  If an index contains all that is
 * needed, the reader's part of it is another path.  add_path() is not used,
 * because it frees the more expensive path.
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

/*
 * Checks whether an index finds rows by what a reader has, places and keys, or by their
 * number.  By any other it would read the rows of all who have the same value, and its
 * time tell of them.
 */
static bool
is_by_reader(Oid table, const IndexOptInfo *index)
{
	AttrNumber	first = index->indexkeys[0];
	const char *column;

	if (is_by_place(table, index))
		return true;
	if (first == 0)
		return false;
	column = get_attname(table, first, false);
	return strcmp(column, "public_key") == 0 || strcmp(column, "id") == 0;
}

static bool
finds_by_reader(Oid table, const Path *path)
{
	List	   *parts = NIL;
	ListCell   *cell;

	if (IsA(path, BitmapHeapPath))
		return finds_by_reader(table, ((BitmapHeapPath *) path)->bitmapqual);
	if (IsA(path, IndexPath))
		return has_first_column((IndexPath *) path) &&
			is_by_reader(table, ((IndexPath *) path)->indexinfo);
	if (IsA(path, BitmapAndPath))
		parts = ((BitmapAndPath *) path)->bitmapquals;
	else if (IsA(path, BitmapOrPath))
		parts = ((BitmapOrPath *) path)->bitmapquals;
	foreach(cell, parts)
		if (!finds_by_reader(table, lfirst(cell)))
			return false;
	return true;
}

/*
 * Returns the paths that find rows by what a reader has, as if there were no others
 * and no order: by indexes of that, and a condition on their first column.
 */
static List *
get_index_paths(PlannerInfo *root, RelOptInfo *rel, Oid table)
{
	List	   *indexes = rel->indexlist;
	List	   *others = rel->pathlist;
	List	   *order = root->query_pathkeys;
	bool		index_only = enable_indexonlyscan;
	List	   *volatile paths = NIL;
	ListCell   *cell;

	rel->pathlist = root->query_pathkeys = rel->indexlist = NIL;
	foreach(cell, indexes)
		if (is_by_reader(table, lfirst(cell)))
		{
			IndexOptInfo *index = makeNode(IndexOptInfo);

			*index = *lfirst_node(IndexOptInfo, cell);
			index->amoptionalkey = false;
			rel->indexlist = lappend(rel->indexlist, index);
		}
	enable_indexonlyscan = false;
	PG_TRY();
	{
		create_index_paths(root, rel);
		paths = rel->pathlist;
	}
	PG_FINALLY();
	{
		rel->pathlist = others;
		rel->indexlist = indexes;
		root->query_pathkeys = order;
		enable_indexonlyscan = index_only;
	}
	PG_END_TRY();
	return paths;
}

/* Checks whether one of the paths does without an outer row. */
static bool
is_enough(const List *paths)
{
	ListCell   *cell;

	foreach(cell, paths)
		if (((Path *) lfirst(cell))->param_info == NULL)
			return true;
	return false;
}

/*
 * Returns the paths of a relation without those that exist only to find rows by a
 * value which others have too; if there were some, others in place of them.
 */
static List *
replace_lookups(PlannerInfo *root, RelOptInfo *rel, Oid table)
{
	List	   *rest = NIL;
	ListCell   *cell;

	foreach(cell, rel->pathlist)
	{
		Path	   *path = lfirst(cell);

		if (path->pathkeys != NIL || finds_by_reader(table, path))
			rest = lappend(rest, path);
	}
	if (list_length(rest) < list_length(rel->pathlist))
		rest = list_concat(rest, get_index_paths(root, rel, table));
	return is_enough(rest) ? rest : rel->pathlist;
}

/*
 * Returns the paths that find rows by an index, and those of the relation that have an
 * order: that read a whole index only if has_order.  NIL if none of the former does
 * without an outer row.
 */
static List *
find_by_index(PlannerInfo *root, RelOptInfo *rel, Oid table, bool has_order)
{
	List	   *paths = get_index_paths(root, rel, table);
	ListCell   *cell;

	if (!is_enough(paths))
		return NIL;
	foreach(cell, rel->pathlist)
	{
		Path	   *path = lfirst(cell);

		if (IsA(path, IndexPath) && path->pathkeys != NIL &&
			(((IndexPath *) path)->indexclauses == NIL ? has_order :
			 finds_by_reader(table, path)))
			paths = lappend(paths, path);
	}
	return paths;
}

/*
 * If a query names the organization and wants an order, the planner treats its
 * condition and the policy's as independent, and so estimates that sorting the
 * result costs next to nothing.  If an index has the organization's rows in
 * that order, the paths that read all of them are removed.
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

/*
 * Checks whether the reader of "rel", which may be NULL, may select from the table,
 * or from a column.  The executor says later that it may not; the planner must not
 * fail before, at a function that is not granted either.
 */
static bool
may_select(const RelOptInfo *rel, Oid table)
{
	Oid			user = ak_get_reader(rel);

	return pg_class_aclcheck(table, user, ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(table, user, ACL_SELECT,
								  ACLMASK_ANY) == ACLCHECK_OK;
}

static void
choose_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	int			shared_table;
	List	   *scopes = NIL;
	List	   *by_index;
	AkOwnRows	own;

	if (previous_hook)
		previous_hook(root, rel, rti, rte);
	if (rte->rtekind != RTE_RELATION || rte->securityQuals == NIL ||
		rte->tablesample)
		return;
	shared_table = find_shared_table(rte->relid);
	if (shared_table < 0 || !may_select(rel, rte->relid))
		return;
	if (shared_tables[shared_table].is_paged)
		rel->pathlist = prefer_ordered_part(rte->relid, rel->pathlist);
	for (int i = 0; i < shared_tables[shared_table].scope_count; i++)
		scopes = lappend(scopes,
						 makeString(pstrdup(shared_tables[shared_table].scopes[i])));
	own = ak_own_rows_find(scopes);
	/*
	 * A condition with the names of thousands of keys would be compared with each
	 * row, which the planner takes for ten.
	 */
	by_index = own.is_all ? NIL :
		find_by_index(root, rel, rte->relid, own.count > 0);
	rel->pathlist = by_index != NIL ? by_index :
		replace_lookups(root, rel, rte->relid);
	/* Where rows are locked, a scan must be able to check a single one again. */
	if ((by_index == NIL || own.count > 0) &&
		shared_tables[shared_table].is_paged && root->rowMarks == NIL &&
		(double) own.count * SMALL_SHARE < count_organizations())
		rel->pathlist = replace_walks(root, rel, rte->relid, scopes, &own);
}

/* Called once, when the library is loaded. */
void
ak_planner_init(void)
{
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = choose_paths;
	ak_statistics_init();
	ak_own_rows_init();
}
