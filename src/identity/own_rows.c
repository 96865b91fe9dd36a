/*
 * own_rows.c
 *	  A scan that merges the rows of each of the reader's organizations from
 *	  an index.
 *
 * For ORDER BY created_at LIMIT 20 on a table of all organizations, PostgreSQL
 * reads either all rows of the reader and sorts them, or the rows of all
 * organizations in that order.  A policy's "organization_id = ANY (set)"
 * cannot be read in order, because the planner does not know the set.  This
 * scan can: it reads an index on (organization_id, created_at) once for each
 * organization and merges the results, like a Merge Append whose children are
 * determined at execution.
 *
 * It makes no access decisions: its children check the policy of each row.
 * For a principal that reads rows by other rights than those of organizations,
 * it executes the plan that PostgreSQL would have chosen.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/identity.h"

#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/binaryheap.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/sortsupport.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(apikeys_visited_organization);

/* A principal that reads more organizations gets the other plan. */
#define MAX_ORGANIZATIONS	1000

/* The state of a merge. */
typedef struct OwnRowsState
{
	CustomScanState base;
	int			eflags;
	pg_uuid_t  *organizations;
	PlanState **sources;		/* one for each organization, or one alone */
	TupleTableSlot **rows;		/* the next row of each source */
	int			source_count;
	SortSupport order;
	int			order_count;
	binaryheap *heap;			/* of source numbers; NULL: not started */
	bool		is_filled;
	bool		is_rescan;		/* when it is filled next */
} OwnRowsState;

/*
 * The organization that an index is about to be read for, otherwise NULL: the
 * index condition of the children reads it before they return their first row.
 */
static const pg_uuid_t *visited = NULL;

Datum
apikeys_visited_organization(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *copy;

	if (visited == NULL)
		PG_RETURN_NULL();
	copy = palloc(sizeof(pg_uuid_t));
	*copy = *visited;
	PG_RETURN_UUID_P(copy);
}

/* Returns where the principal has one of the scopes, a list of String. */
AkOwnRows
ak_own_rows_find(List *scopes)
{
	Datum	   *names = palloc(list_length(scopes) * sizeof(Datum));
	AkOwnRows	own;

	for (int i = 0; i < list_length(scopes); i++)
		names[i] = CStringGetTextDatum(strVal(list_nth(scopes, i)));
	own.is_all =
		ak_reach_is_by_organization(construct_array(names, list_length(scopes),
													TEXTOID, -1, false,
													TYPALIGN_INT),
									&own.organizations, &own.count);
	return own;
}

/* --- Planning ------------------------------------------------------------ */

/* Returns the column organization_id, if it is the index's first. */
static AttrNumber
get_organization_column(PlannerInfo *root, const IndexOptInfo *index)
{
	Oid			table = planner_rt_fetch(index->rel->relid, root)->relid;
	AttrNumber	first = index->indexkeys[0];

	return first > 0 &&
		strcmp(get_attname(table, first, false), "organization_id") == 0 ?
		first : InvalidAttrNumber;
}

/* Checks whether "index" has the columns of "other" after its first. */
static bool
continues_with(const IndexOptInfo *index, const IndexOptInfo *other)
{
	if (index->nkeycolumns <= other->nkeycolumns || index->sortopfamily == NULL)
		return false;
	for (int i = 0; i < other->nkeycolumns; i++)
		if (other->indexkeys[i] == 0 ||
			index->indexkeys[i + 1] != other->indexkeys[i] ||
			index->opfamily[i + 1] != other->opfamily[i] ||
			index->indexcollations[i + 1] != other->indexcollations[i] ||
			index->reverse_sort[i + 1] != other->reverse_sort[i] ||
			index->nulls_first[i + 1] != other->nulls_first[i])
			return false;
	return true;
}

/*
 * Returns the index that has the rows of each organization in the order of
 * another.
 */
static IndexOptInfo *
find_index(PlannerInfo *root, RelOptInfo *rel, const IndexOptInfo *other)
{
	ListCell   *cell;

	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if ((index->indpred == NIL || index->predOK) &&
			continues_with(index, other) &&
			get_organization_column(root, index) != InvalidAttrNumber)
			return index;
	}
	return NULL;
}

/* organization_id = apikeys_internal.visited_organization() */
static IndexClause *
make_organization_clause(PlannerInfo *root, IndexOptInfo *index)
{
	oidvector  *no_arguments = buildoidvector(NULL, 0);
	Oid			function =
		GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						CStringGetDatum("visited_organization"),
						PointerGetDatum(no_arguments),
						ObjectIdGetDatum(get_namespace_oid("apikeys_internal",
														   false)));
	Var		   *column = makeVar(index->rel->relid,
								 get_organization_column(root, index),
								 UUIDOID, -1, InvalidOid, 0);
	Expr	   *value = (Expr *) makeFuncExpr(function, UUIDOID, NIL,
											  InvalidOid, InvalidOid,
											  COERCE_EXPLICIT_CALL);
	Expr	   *equal =
		make_opclause(lookup_type_cache(UUIDOID, TYPECACHE_EQ_OPR)->eq_opr,
					  BOOLOID, false, (Expr *) column, value,
					  InvalidOid, InvalidOid);
	IndexClause *clause = makeNode(IndexClause);

	set_opfuncid((OpExpr *) equal);
	clause->rinfo = make_simple_restrictinfo(root, equal);
	clause->indexquals = list_make1(clause->rinfo);
	return clause;
}

/* Returns the conditions on the other index, one column further on. */
static List *
shift_clauses(List *clauses)
{
	List	   *shifted = NIL;
	ListCell   *cell;

	foreach(cell, clauses)
	{
		IndexClause *clause = makeNode(IndexClause);
		ListCell   *column;

		*clause = *lfirst_node(IndexClause, cell);
		clause->indexcol++;
		clause->indexcols = list_copy(clause->indexcols);
		foreach(column, clause->indexcols)
			lfirst_int(column)++;
		shifted = lappend(shifted, clause);
	}
	return shifted;
}

static Plan *make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
					   List *tlist, List *clauses, List *custom_plans);

static const CustomPathMethods path_methods = {
	.CustomName = "apikeys own rows",
	.PlanCustomPath = make_plan,
};

/*
 * Makes a path that reads an index for each of the principal's organizations,
 * and the other path for principals that read by other rights.
 */
static Path *
make_path(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index,
		  List *clauses, List *pathkeys, ScanDirection direction,
		  bool index_only, Path *otherwise, List *scopes,
		  const AkOwnRows *own)
{
	IndexPath  *volatile one = NULL;
	CustomPath *path = makeNode(CustomPath);
	const pg_uuid_t *outer = visited;

	/* Estimates are made for the first organization. */
	visited = own->count > 0 ? own->organizations : NULL;
	PG_TRY();
	{
		one = create_index_path(root, index,
								lcons(make_organization_clause(root, index),
									  clauses),
								NIL, NIL, pathkeys, direction, index_only,
								NULL, 1, false);
	}
	PG_FINALLY();
	{
		visited = outer;
	}
	PG_END_TRY();
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.rows = rel->rows;
	path->path.startup_cost = one->path.startup_cost * own->count;
	path->path.total_cost = one->path.total_cost * Max(own->count, 1);
	path->path.pathkeys = pathkeys;
	path->custom_paths = list_make2(one, otherwise);
	path->custom_private = scopes;
	path->methods = &path_methods;
	return (Path *) path;
}

static bool
can_be_read(const AkOwnRows *own)
{
	return own->is_all && own->count <= MAX_ORGANIZATIONS;
}

/*
 * Returns a path with the order of "walk", the scan of an index over all rows,
 * that reads only the organizations where the principal has one of the scopes;
 * "own" contains the current ones.  NULL if there is no index for it, or if
 * the principal reads by other rights.  "otherwise" is the path for principals
 * that do.
 */
Path *
ak_own_rows_path(PlannerInfo *root, RelOptInfo *rel, IndexPath *walk,
				 Path *otherwise, List *scopes, const AkOwnRows *own)
{
	IndexOptInfo *index = find_index(root, rel, walk->indexinfo);

	if (index == NULL || !can_be_read(own))
		return NULL;
	return make_path(root, rel, index, shift_clauses(walk->indexclauses),
					 walk->path.pathkeys, walk->indexscandir, false,
					 (Path *) create_sort_path(root, rel, otherwise,
											   walk->path.pathkeys, -1),
					 scopes, own);
}

/*
 * Checks whether an index has all columns of the relation that the query
 * needs.
 */
static bool
has_all_columns(const RelOptInfo *rel, const IndexOptInfo *index)
{
	Bitmapset  *columns = NULL;
	ListCell   *cell;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &columns);
	foreach(cell, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause,
					   rel->relid, &columns);
	/* One of an expression is 0, which is the whole row elsewhere. */
	for (int i = 0; i < index->ncolumns; i++)
		if (index->canreturn[i] && index->indexkeys[i] != 0)
			columns = bms_del_member(columns, index->indexkeys[i] -
									 FirstLowInvalidHeapAttributeNumber);
	return bms_is_empty(columns);
}

/*
 * Returns a path without an order that reads nothing but an index, for a
 * count; NULL if there is none.
 */
Path *
ak_own_rows_index_only_path(PlannerInfo *root, RelOptInfo *rel,
							Path *otherwise, List *scopes,
							const AkOwnRows *own)
{
	IndexOptInfo *smallest = NULL;
	ListCell   *cell;

	if (!enable_indexonlyscan || !can_be_read(own))
		return NULL;
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (index->indpred == NIL && index->sortopfamily &&
			get_organization_column(root, index) != InvalidAttrNumber &&
			has_all_columns(rel, index) &&
			(smallest == NULL || index->pages < smallest->pages))
			smallest = index;
	}
	return smallest ?
		make_path(root, rel, smallest, NIL, NIL, ForwardScanDirection, true,
				  otherwise, scopes, own) : NULL;
}

static Node *create_state(CustomScan *plan);

static const CustomScanMethods scan_methods = {
	.CustomName = "apikeys own rows",
	.CreateCustomScanState = create_state,
};

/*
 * The scan returns the rows of its children unchanged: the needed columns of
 * the relation, and not its row type.
 */
static Plan *
make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
		  List *clauses, List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);

	tlist = ((Plan *) linitial(custom_plans))->targetlist;
	plan->scan.plan.targetlist = copyObject(tlist);
	plan->custom_scan_tlist = copyObject(tlist);
	plan->custom_plans = custom_plans;
	plan->custom_private = path->custom_private;
	plan->methods = &scan_methods;
	return &plan->scan.plan;
}

/* --- Execution ----------------------------------------------------------- */

static void
begin(CustomScanState *node, EState *estate, int eflags)
{
	OwnRowsState *state = (OwnRowsState *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	ListCell   *cell;

	state->eflags = eflags;
	/* EXPLAIN shows both plans; the principal is known at execution. */
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		foreach(cell, plan->custom_plans)
			node->custom_ps = lappend(node->custom_ps,
									  ExecInitNode(lfirst(cell), estate,
												   eflags));
}

/* The order of the merge is that of the other plan, if that one sorts. */
static void
set_order(OwnRowsState *state, const Plan *otherwise)
{
	const Sort *sort = (const Sort *) otherwise;

	if (!IsA(otherwise, Sort))
		return;
	state->order_count = sort->numCols;
	state->order = palloc0(sort->numCols * sizeof(SortSupportData));
	for (int i = 0; i < sort->numCols; i++)
	{
		SortSupport key = &state->order[i];

		key->ssup_cxt = CurrentMemoryContext;
		key->ssup_collation = sort->collations[i];
		key->ssup_nulls_first = sort->nullsFirst[i];
		key->ssup_attno = sort->sortColIdx[i];
		PrepareSortSupportFromOrderingOp(sort->sortOperators[i], key);
	}
}

/* Compares the rows of two sources; the heap has the largest at its top. */
static int
compare_sources(Datum a, Datum b, void *argument)
{
	OwnRowsState *state = argument;
	TupleTableSlot *row = state->rows[DatumGetInt32(a)];
	TupleTableSlot *other = state->rows[DatumGetInt32(b)];

	for (int i = 0; i < state->order_count; i++)
	{
		SortSupport key = &state->order[i];
		bool		is_null;
		bool		other_is_null;
		Datum		value = slot_getattr(row, key->ssup_attno, &is_null);
		Datum		other_value = slot_getattr(other, key->ssup_attno,
											   &other_is_null);
		int			result = ApplySortComparator(value, is_null, other_value,
												 other_is_null, key);

		if (result != 0)
			return result < 0 ? 1 : -1;
	}
	return 0;
}

/*
 * Reads the first row of a source, for its organization.  The index condition is
 * computed here at the latest: also below a condition that is checked once, where a
 * rescan is put off until the first row is read.  That condition may execute
 * functions, and these other scans of this kind.
 */
static void
read_first(OwnRowsState *state, int source)
{
	const pg_uuid_t *outer = visited;

	visited = state->organizations ? &state->organizations[source] : NULL;
	PG_TRY();
	{
		if (state->is_rescan)
			ExecReScan(state->sources[source]);
		state->rows[source] = ExecProcNode(state->sources[source]);
	}
	PG_FINALLY();
	{
		visited = outer;
	}
	PG_END_TRY();
}

/* Creates the sources, for the principal that executes the plan. */
static void
make_sources(OwnRowsState *state)
{
	CustomScan *plan = (CustomScan *) state->base.ss.ps.plan;
	EState	   *estate = state->base.ss.ps.state;
	Plan	   *source = linitial(plan->custom_plans);
	AkOwnRows	own = ak_own_rows_find(plan->custom_private);

	state->organizations = own.organizations;
	state->source_count = own.count;
	if (!can_be_read(&own))
	{
		state->organizations = NULL;
		state->source_count = 1;
		source = lsecond(plan->custom_plans);
	}
	set_order(state, lsecond(plan->custom_plans));
	state->sources = palloc(Max(state->source_count, 1) * sizeof(PlanState *));
	state->rows = palloc(Max(state->source_count, 1) * sizeof(TupleTableSlot *));
	for (int i = 0; i < state->source_count; i++)
	{
		state->sources[i] = ExecInitNode(source, estate, state->eflags);
		state->base.custom_ps = lappend(state->base.custom_ps,
										state->sources[i]);
	}
	state->heap = binaryheap_allocate(Max(state->source_count, 1),
									  compare_sources, state);
}

static void
fill_heap(OwnRowsState *state)
{
	for (int i = 0; i < state->source_count; i++)
	{
		read_first(state, i);
		if (!TupIsNull(state->rows[i]))
			binaryheap_add_unordered(state->heap, Int32GetDatum(i));
	}
	binaryheap_build(state->heap);
	state->is_filled = true;
}

static TupleTableSlot *
next_row(CustomScanState *node)
{
	OwnRowsState *state = (OwnRowsState *) node;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	TupleTableSlot *row;

	if (state->heap == NULL)
	{
		MemoryContext old =
			MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);

		make_sources(state);
		MemoryContextSwitchTo(old);
	}
	if (!state->is_filled)
		fill_heap(state);
	else if (!binaryheap_empty(state->heap))
	{
		/* Advances past the row that was returned last. */
		int			source = DatumGetInt32(binaryheap_first(state->heap));

		state->rows[source] = ExecProcNode(state->sources[source]);
		if (TupIsNull(state->rows[source]))
			(void) binaryheap_remove_first(state->heap);
		else
			binaryheap_replace_first(state->heap, Int32GetDatum(source));
	}
	ExecClearTuple(slot);
	if (binaryheap_empty(state->heap))
		return slot;
	/* The parent expects a virtual slot: the values stay the source's. */
	row = state->rows[DatumGetInt32(binaryheap_first(state->heap))];
	slot_getallattrs(row);
	memcpy(slot->tts_values, row->tts_values,
		   slot->tts_tupleDescriptor->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, row->tts_isnull,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	return ExecStoreVirtualTuple(slot);
}

static void
end(CustomScanState *node)
{
	ListCell   *cell;

	foreach(cell, node->custom_ps)
		ExecEndNode(lfirst(cell));
}

static void
rescan(CustomScanState *node)
{
	OwnRowsState *state = (OwnRowsState *) node;

	if (state->heap == NULL)
		return;
	if (node->ss.ps.chgParam)
		for (int i = 0; i < state->source_count; i++)
			UpdateChangedParamSet(state->sources[i], node->ss.ps.chgParam);
	binaryheap_reset(state->heap);
	state->is_filled = false;
	state->is_rescan = true;
}

static const CustomExecMethods exec_methods = {
	.CustomName = "apikeys own rows",
	.BeginCustomScan = begin,
	.ExecCustomScan = next_row,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan,
};

static Node *
create_state(CustomScan *plan)
{
	OwnRowsState *state = palloc0(sizeof(OwnRowsState));

	NodeSetTag(state, T_CustomScanState);
	state->base.methods = &exec_methods;
	return (Node *) state;
}

/* Called once, when the library is loaded. */
void
ak_own_rows_init(void)
{
	RegisterCustomScanMethods(&scan_methods);
}
