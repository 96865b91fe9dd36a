/*
 * trigger.c
 *	  See trigger.h.
 */
#include "postgres.h"

#include "base/owner.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "core/errors.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

PG_FUNCTION_INFO_V1(apikeys_is_direct_change);

/*
 * Raises 39P01 where the function was not called by a trigger of one of the
 * tables, a set of AK_TABLE_BIT(): it reads columns by number.
 */
TriggerData *
ak_trigger_get(FunctionCallInfo fcinfo, uint32 tables)
{
	if (CALLED_AS_TRIGGER(fcinfo))
	{
		TriggerData *trigger = (TriggerData *) fcinfo->context;

		for (int i = 0; i < AK_TABLE_COUNT; i++)
			if ((tables & AK_TABLE_BIT(i)) &&
				RelationGetRelid(trigger->tg_relation) == ak_table_oid(i))
				return trigger;
	}
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("this function must be called by a trigger of its own table"),
			 ak_errid("trigger_protocol_violated")));
	return NULL;
}

/* A column of a row of the trigger's table, counted from 1; points into it. */
Datum
ak_trigger_get_column(const TriggerData *trigger, HeapTuple row, int column,
					  bool *isnull)
{
	return heap_getattr(row, column, RelationGetDescr(trigger->tg_relation),
						isnull);
}

/*
 * Whether a table has no triggers but those of the extension and of references,
 * and no rules.  Locks it until the end of the transaction as whoever writes
 * to it does, so that it stays like this.
 */
bool
ak_trigger_all_are_own(AkTable table)
{
	Oid			own_schema = get_namespace_oid("apikeys_internal", false);
	Relation	relation = table_open(ak_table_oid(table), RowExclusiveLock);
	TriggerDesc *triggers = relation->trigdesc;
	bool		are_own = relation->rd_rules == NULL;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
		are_own = are_own &&
			(triggers->triggers[i].tgisinternal ||
			 get_func_namespace(triggers->triggers[i].tgfoid) == own_schema);
	table_close(relation, NoLock);
	return are_own;
}

/*
 * Whether a dump is being restored: by a superuser, in a session that has
 * switched row_security off itself, as the scripts of pg_dump and pg_restore
 * do.  A default of the database or the role does not count.
 */
static bool
is_restore(void)
{
	return !row_security &&
		ak_setting_source("row_security") == PGC_S_SESSION &&
		superuser_arg(ak_owner_caller());
}

/*
 * Whether a row that is written now is changed by direct SQL, and not by the
 * extension's own code, which notes its events itself, nor by a restore.
 */
Datum
apikeys_is_direct_change(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!ak_owner_is_acting() && !is_restore());
}
