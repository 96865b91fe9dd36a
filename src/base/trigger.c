/*
 * trigger.c
 *	  What trigger functions ask about their call, and the keys it is for.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

/* --- The call of a trigger ----------------------------------------------- */

/*
 * What trigger functions ask about their call.
 */

PG_FUNCTION_INFO_V1(apikeys_is_direct_change);

/*
 * Raises 39P01 unless the function was called by a trigger of one of the
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

/*
 * Returns a column of a row of the trigger's table, counted from 1; points
 * into the row.
 */
Datum
ak_trigger_get_column(const TriggerData *trigger, HeapTuple row, int column,
					  bool *isnull)
{
	return heap_getattr(row, column, RelationGetDescr(trigger->tg_relation),
						isnull);
}

/* Checks whether a trigger is the extension's, or checks a foreign key between its tables. */
static bool
is_own(const Trigger *trigger, Oid own_schema, Oid internal_schema)
{
	if (trigger->tgisinternal)
		return OidIsValid(trigger->tgconstrrelid) &&
			get_rel_namespace(trigger->tgconstrrelid) == own_schema;
	return get_func_namespace(trigger->tgfoid) == internal_schema;
}

/*
 * Checks whether an INSERT into a table fires only triggers of the extension and of
 * its foreign keys.  Locks it like a writer until the end of the transaction, so that
 * this stays true.
 */
bool
ak_trigger_all_are_own(AkTable table)
{
	Oid			own_schema = get_namespace_oid("apikeys", false);
	Oid			internal_schema = get_namespace_oid("apikeys_internal", false);
	Relation	relation = table_open(ak_table_oid(table), RowExclusiveLock);
	/* Those of the relation are good only until a catalog is looked up. */
	TriggerDesc *triggers = CopyTriggerDesc(relation->trigdesc);
	bool		are_own = true;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		are_own = are_own && (!TRIGGER_FOR_INSERT(trigger->tgtype) ||
							  is_own(trigger, own_schema, internal_schema));
	}
	table_close(relation, NoLock);
	return are_own;
}

/*
 * Checks whether a dump is being restored: by a superuser, in a session that
 * has disabled row_security itself, as the scripts of pg_dump and pg_restore
 * do.  A default of the database or the role does not count, nor that code runs for
 * another role with the rights of a superuser: any role can disable row_security.
 */
static bool
is_restore(void)
{
	return !row_security &&
		ak_setting_source("row_security") == PGC_S_SESSION &&
		superuser_arg(GetOuterUserId());
}

/*
 * Checks whether the current change is direct SQL: neither the extension's own
 * code, which writes its events itself, nor a restore.
 */
Datum
apikeys_is_direct_change(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!ak_owner_is_own_code() && !is_restore());
}

/* --- The keys that a trigger was called for ------------------------------ */

/*
 * The keys that a trigger was called for.
 *
 * For tables whose first column is a public key, and for row triggers as well
 * as statement triggers; the latter have the changed rows in transition
 * tables.  The keys of a statement come in order, so that two statements that
 * lock related rows do not deadlock, and in batches, so that a statement may
 * change any number of keys: what does not fit into one batch is sorted within
 * work_mem.
 */

#define BATCH_SIZE		1000

/* Groups keys that come in order; each key once. */
typedef struct Batch
{
	const TriggerData *trigger;
	AkKeysCallback callback;
	MemoryContext context;		/* of the keys; reset for each batch */
	int			count;
	Datum		keys[BATCH_SIZE];
} Batch;

/* There is at least one key. */
static void
flush_batch(Batch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(batch->context);

	Assert(batch->count > 0);
	batch->callback(PointerGetDatum(construct_array(batch->keys, batch->count,
													TEXTOID, -1, false,
													TYPALIGN_INT)),
					batch->trigger);
	MemoryContextSwitchTo(old);
	MemoryContextReset(batch->context);
	batch->count = 0;
}

/* The key is not less than the one before. */
static void
add_key(Batch *batch, Datum key)
{
	MemoryContext old;

	if (batch->count > 0 &&
		ak_compare_texts(&batch->keys[batch->count - 1], &key) == 0)
		return;
	if (batch->count == BATCH_SIZE)
		flush_batch(batch);
	old = MemoryContextSwitchTo(batch->context);
	batch->keys[batch->count++] = datumCopy(key, false, -1);
	MemoryContextSwitchTo(old);
}

/* --- Row triggers -------------------------------------------------------- */

static int
read_row_keys(const TriggerData *trigger, Datum *keys)
{
	bool		isnull;

	keys[0] = ak_trigger_get_column(trigger, trigger->tg_trigtuple, 1, &isnull);
	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return 1;
	keys[1] = ak_trigger_get_column(trigger, trigger->tg_newtuple, 1, &isnull);
	return 2;
}

/* --- Statement triggers -------------------------------------------------- */

static int64
count_rows(Tuplestorestate *rows)
{
	return rows ? tuplestore_tuple_count(rows) : 0;
}

/*
 * Puts the keys of a transition table into the sort or, if there is none, into
 * the array; returns their number.
 */
static int
read_table_keys(const TriggerData *trigger, Tuplestorestate *rows,
				Tuplesortstate *sort, Datum *keys)
{
	TupleTableSlot *slot;
	int			count = 0;
	bool		isnull;

	if (rows == NULL)
		return 0;
	slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
									&TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(rows, 0);
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		Datum		key = slot_getattr(slot, 1, &isnull);

		if (sort)
			tuplesort_putdatum(sort, key, false);
		else
			keys[count++] = datumCopy(key, false, -1);
	}
	ExecDropSingleTupleTableSlot(slot);
	return count;
}

static void
sort_keys(const TriggerData *trigger, Batch *batch)
{
	Tuplesortstate *sort = tuplesort_begin_datum(TEXTOID, TextLessOperator,
												 C_COLLATION_OID, false,
												 work_mem, NULL,
												 TUPLESORT_NONE);
	Datum		key;

	(void) read_table_keys(trigger, trigger->tg_oldtable, sort, NULL);
	(void) read_table_keys(trigger, trigger->tg_newtable, sort, NULL);
	tuplesort_performsort(sort);
	while (ak_tuplesort_get_datum(sort, &key))
	{
		add_key(batch, key);
		pfree(DatumGetPointer(key));
	}
	tuplesort_end(sort);
}

/*
 * Calls back with the keys of all rows that the trigger was called for, old
 * and new, each key once.  Memory that the callback allocates is freed
 * afterwards.
 */
void
ak_changed_keys_each(const TriggerData *trigger, AkKeysCallback callback)
{
	int64		row_count = TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ? 2 :
		count_rows(trigger->tg_oldtable) + count_rows(trigger->tg_newtable);
	Batch	   *batch;

	if (row_count == 0)
		return;
	batch = palloc(sizeof(Batch));
	batch->trigger = trigger;
	batch->callback = callback;
	batch->count = 0;
	batch->context = AllocSetContextCreate(CurrentMemoryContext,
										   "apikeys changed keys",
										   ALLOCSET_DEFAULT_SIZES);
	if (row_count > BATCH_SIZE)
		sort_keys(trigger, batch);
	else
	{
		Datum		keys[BATCH_SIZE];
		int			count;

		if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
			count = read_row_keys(trigger, keys);
		else
		{
			count = read_table_keys(trigger, trigger->tg_oldtable, NULL, keys);
			count += read_table_keys(trigger, trigger->tg_newtable, NULL,
									 keys + count);
		}
		qsort(keys, count, sizeof(Datum), ak_compare_texts);
		for (int i = 0; i < count; i++)
			add_key(batch, keys[i]);
	}
	flush_batch(batch);
	MemoryContextDelete(batch->context);
}
