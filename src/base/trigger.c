/*
 * trigger.c
 *	  See trigger.h.
 */
#include "postgres.h"

#include "base/trigger.h"

#include "access/htup_details.h"
#include "utils/rel.h"

/* Raises 39P01 where the function was not called by a trigger. */
TriggerData *
ak_trigger_get(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this function must be called as a trigger")));
	return (TriggerData *) fcinfo->context;
}

/* Of a row trigger for INSERT or UPDATE, the row as it is going to be. */
HeapTuple
ak_trigger_new_row(const TriggerData *trigger)
{
	return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
}

/* A column of a row of the trigger's table, counted from 1; points into it. */
Datum
ak_trigger_get_column(const TriggerData *trigger, HeapTuple row, int column,
					  bool *isnull)
{
	return heap_getattr(row, column, RelationGetDescr(trigger->tg_relation),
						isnull);
}
