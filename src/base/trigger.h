/*
 * trigger.h
 *	  What trigger functions ask of their call.
 */
#ifndef AK_TRIGGER_H
#define AK_TRIGGER_H

#include "postgres.h"

#include "base/tables.h"

#include "commands/trigger.h"
#include "fmgr.h"

extern TriggerData *ak_trigger_get(FunctionCallInfo fcinfo, uint32 tables);
extern Datum ak_trigger_get_column(const TriggerData *trigger, HeapTuple row,
								   int column, bool *isnull);
extern bool ak_trigger_all_are_own(AkTable table);

#endif							/* AK_TRIGGER_H */
