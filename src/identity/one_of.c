/*
 * one_of.c
 *	  A condition of policies that compares an id with many.
 *
 * PostgreSQL compares a value with each element of an array that is not a constant.  A
 * policy that does so with the projects of a reader would cost the product of these and of
 * all rows where no index is used.  This function searches a sorted array; to the planner
 * it is the same as = ANY, so that indexes are used as for that.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/identity.h"

#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(apikeys_is_one_of);
PG_FUNCTION_INFO_V1(apikeys_is_one_of_support);

/* is_one_of(id, sorted_ids): the array is one that a function of reach.c has returned. */
Datum
apikeys_is_one_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ak_reach_contains(PG_GETARG_ARRAYTYPE_P(1),
									 PG_GETARG_UUID_P(0)));
}

/* The condition id = ANY (sorted_ids) of a call's arguments. */
static ScalarArrayOpExpr *
make_any(List *arguments)
{
	ScalarArrayOpExpr *any = makeNode(ScalarArrayOpExpr);

	any->opno = lookup_type_cache(UUIDOID, TYPECACHE_EQ_OPR)->eq_opr;
	any->opfuncid = get_opcode(any->opno);
	any->useOr = true;
	any->args = arguments;
	any->location = -1;
	return any;
}

/* The planner support function (nodes/supportnodes.h) of is_one_of. */
Datum
apikeys_is_one_of_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestSelectivity))
	{
		SupportRequestSelectivity *estimate = (SupportRequestSelectivity *) request;

		estimate->selectivity = scalararraysel(estimate->root,
											   make_any(estimate->args),
											   estimate->is_join,
											   estimate->varRelid,
											   estimate->jointype,
											   estimate->sjinfo);
		PG_RETURN_POINTER(estimate);
	}
	if (IsA(request, SupportRequestIndexCondition))
	{
		SupportRequestIndexCondition *condition =
			(SupportRequestIndexCondition *) request;
		List	   *arguments = IsA(condition->node, FuncExpr) ?
			((FuncExpr *) condition->node)->args : NIL;

		if (arguments && condition->indexarg == 0 &&
			condition->index->relam == BTREE_AM_OID &&
			is_pseudo_constant_for_index(condition->root, lsecond(arguments),
										 condition->index))
		{
			condition->lossy = false;
			PG_RETURN_POINTER(list_make1(make_any(arguments)));
		}
	}
	PG_RETURN_POINTER(NULL);
}
