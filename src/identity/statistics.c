/*
 * statistics.c
 *	  What the planner may use of the statistics of the extension's tables.
 *
 * Plans can be logged before the executor checks privileges, and tell by their
 * estimates of the values that statistics are of.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/identity.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

static get_relation_stats_hook_type previous_statistics_hook = NULL;
static get_attavgwidth_hook_type previous_width_hook = NULL;

/* Checks whether a table is in the extension's schema. */
bool
ak_is_in_schema(Oid table)
{
	Oid			schema = get_namespace_oid("apikeys", true);

	return OidIsValid(schema) && get_rel_namespace(table) == schema;
}

/* Returns the user that "rel", which may be NULL, is read as. */
Oid
ak_get_reader(const RelOptInfo *rel)
{
	return rel && OidIsValid(rel->userid) ? rel->userid : GetUserId();
}

/* Checks whether that user may not select a column, which is the extension's. */
static bool
is_hidden(const RelOptInfo *rel, Oid table, AttrNumber column)
{
	Oid			user = ak_get_reader(rel);

	return ak_is_in_schema(table) &&
		pg_class_aclcheck(table, user, ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck(table, column, user, ACL_SELECT) != ACLCHECK_OK;
}

/* Without it leakproof operators are estimated by values. */
static bool
hide_statistics(PlannerInfo *root, RangeTblEntry *rte, AttrNumber column,
				VariableStatData *variable)
{
	if (rte->rtekind == RTE_RELATION &&
		is_hidden(variable->rel, rte->relid, column))
	{
		variable->statsTuple = NULL;
		return true;
	}
	return previous_statistics_hook &&
		previous_statistics_hook(root, rte, column, variable);
}

/* The width of a column is then that of its type; 0: what the statistics say. */
static int32
hide_width(Oid table, AttrNumber column)
{
	Oid			type;
	int32		modifier;
	Oid			collation;

	if (is_hidden(NULL, table, column))
	{
		get_atttypetypmodcoll(table, column, &type, &modifier, &collation);
		return get_typavgwidth(type, modifier);
	}
	return previous_width_hook ? previous_width_hook(table, column) : 0;
}

/* Called once, when the library is loaded. */
void
ak_statistics_init(void)
{
	previous_statistics_hook = get_relation_stats_hook;
	get_relation_stats_hook = hide_statistics;
	previous_width_hook = get_attavgwidth_hook;
	get_attavgwidth_hook = hide_width;
}
