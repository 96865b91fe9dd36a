/*
 * level.c
 *	  Notes beside a role that is held or granted which level it must have there,
 *	  so that a foreign key can hold it to that.
 *
 * The column is not GENERATED: these tables have no key without a NULL, so
 * their whole rows are their identity in logical replication, and PostgreSQL
 * from 18 on lets no generated column be part of that.
 */
#include "postgres.h"

#include "base/trigger.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(apikeys_level_noted);

/* Trigger of tables member and key_role, before a row is inserted or updated. */
Datum
apikeys_level_noted(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo);
	TupleDesc	descriptor = RelationGetDescr(trigger->tg_relation);
	HeapTuple	row = ak_trigger_new_row(trigger);
	int			column = SPI_fnumber(descriptor, "level");
	Datum		level;
	bool		isnull = false;

	level = CStringGetTextDatum(heap_attisnull(row,
											   SPI_fnumber(descriptor,
														   "project_id"),
											   descriptor) ?
								"organization" : "project");
	return PointerGetDatum(heap_modify_tuple_by_cols(row, descriptor, 1,
													 &column, &level,
													 &isnull));
}
