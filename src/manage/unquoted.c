/*
 * unquoted.c
 *	  Checks rows that hold hashes before the server does.
 *
 * The server's own errors for a NULL or a value that a constraint does not
 * allow quote the whole row, to whoever may read it and in the log.  So what
 * those constraints say is checked by a trigger first, which raises the same
 * errors and quotes nothing.  The constraints stay: they hold where triggers
 * are disabled.
 */
#include "postgres.h"

#include "base/tables.h"
#include "base/trigger.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/rel.h"

/* Column numbers and limits, as in sql/parts/30_tables.sql. */
enum
{
	KEY_SECRET_VERSION = 2,
	KEY_SECRET_HINT = 4
};

#define HINT_MAX_LENGTH 4

PG_FUNCTION_INFO_V1(apikeys_row_unquoted);

/* Raises 23502 for a NULL where the table does not allow one. */
static void
check_nulls(Relation table, HeapTuple row)
{
	TupleDesc	descriptor = RelationGetDescr(table);

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		/* Those that are generated are made after this. */
		if (attribute->attnotnull && !attribute->attisdropped &&
			!attribute->attgenerated &&
			heap_attisnull(row, i + 1, descriptor))
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
							NameStr(attribute->attname),
							RelationGetRelationName(table)),
					 errhidecontext(true),
					 errtablecol(table, i + 1)));
	}
}

/* Raises 23514. */
static void
refuse(Relation table, const char *constraint)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("new row for relation \"%s\" violates check constraint \"%s\"",
					RelationGetRelationName(table), constraint),
			 errhidecontext(true),
			 errtableconstraint(table, constraint)));
}

/* Of a row in which nothing is NULL that must not be. */
static void
check_secret(Relation table, HeapTuple row)
{
	TupleDesc	descriptor = RelationGetDescr(table);
	bool		isnull;
	Datum		value;

	value = heap_getattr(row, KEY_SECRET_VERSION, descriptor, &isnull);
	if (DatumGetInt32(value) <= 0)
		refuse(table, "key_secret_version_check");
	value = heap_getattr(row, KEY_SECRET_HINT, descriptor, &isnull);
	if (DatumGetInt32(DirectFunctionCall1(textlen, value)) > HINT_MAX_LENGTH)
		refuse(table, "key_secret_hint_check");
}

/* Trigger of tables key_secret and key_image, before a row is written. */
Datum
apikeys_row_unquoted(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo);
	HeapTuple	row = ak_trigger_new_row(trigger);

	check_nulls(trigger->tg_relation, row);
	if (RelationGetRelid(trigger->tg_relation) != ak_table_oid(AK_KEY_IMAGE))
		check_secret(trigger->tg_relation, row);
	return PointerGetDatum(row);
}
