/*
 * quiet_insert.c
 *	  Inserts rows for which no trigger has anything to do.
 *
 * A foreign key is checked by a trigger, with a query for each new row that
 * takes longer than inserting the row; statement triggers make a copy of each
 * row.  If code of the extension inserts the referenced rows in the same
 * statement, or has locked them, and has done what the extension's own
 * triggers would do, no trigger needs to be fired.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

static ParamListInfo
make_parameters(SPIPlanPtr plan, Datum *values, const char *nulls)
{
	int			count = SPI_getargcount(plan);
	ParamListInfo parameters = makeParamList(count);

	for (int i = 0; i < count; i++)
	{
		ParamExternData *parameter = &parameters->params[i];

		parameter->value = values[i];
		parameter->isnull = nulls && nulls[i] == 'n';
		parameter->pflags = PARAM_FLAG_CONST;
		parameter->ptype = SPI_getargtypeid(plan, i);
	}
	return parameters;
}

/* Changes the executor's own copy of the triggers to fire. */
static void
forget_triggers(ModifyTableState *insert)
{
	for (int i = 0; i < insert->mt_nrels; i++)
		insert->resultRelInfo[i].ri_TrigDesc = NULL;
	insert->mt_transition_capture = NULL;
}

/*
 * Executes an SPI plan of one INSERT that may have others in its WITH clause;
 * values and nulls are those of SPI_execute_plan(). No triggers are fired: the
 * caller knows that they would do nothing, and that the foreign keys of new
 * rows are valid.
 */
void
ak_quiet_insert(SPIPlanPtr plan, Datum *values, const char *nulls)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	ParamListInfo parameters = make_parameters(plan, values, nulls);
	CachedPlan *cached;
	QueryDesc  *query;
	ListCell   *insert;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	cached = GetCachedPlan(source, parameters, CurrentResourceOwner, NULL);
	query = CreateQueryDesc(linitial_node(PlannedStmt, cached->stmt_list),
							source->query_string, GetActiveSnapshot(),
							InvalidSnapshot, None_Receiver, parameters, NULL, 0);
	ExecutorStart(query, 0);
	forget_triggers(castNode(ModifyTableState, query->planstate));
	foreach(insert, query->estate->es_auxmodifytables)
		forget_triggers(lfirst_node(ModifyTableState, insert));
	ak_executor_run(query);
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
	ReleaseCachedPlan(cached, CurrentResourceOwner);
	PopActiveSnapshot();
	CommandCounterIncrement();
}
