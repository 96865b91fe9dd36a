/*
 * trigger.h
 *	  What trigger functions ask about their call.
 */
#ifndef AK_TRIGGER_H
#define AK_TRIGGER_H

#include "postgres.h"

#include "base/tables.h"

#include "commands/trigger.h"
#include "fmgr.h"

/* The tables that a trigger function supports. */
#define AK_TABLE_BIT(table) (1u << (table))

extern TriggerData *ak_trigger_get(FunctionCallInfo fcinfo, uint32 tables);
extern Datum ak_trigger_get_column(const TriggerData *trigger, HeapTuple row,
								   int column, bool *isnull);

#endif							/* AK_TRIGGER_H */
