/*
 * references.c
 *	  Foreign keys of other roles' tables that refer to the extension's.
 *
 * What a foreign key does to the rows of a table when a row that they refer to is
 * deleted is done as the owner of that table, in the middle of the statement, and
 * its AFTER triggers are run by the role that ends the statement (before PostgreSQL
 * 18).  So code of that owner could run with the rights of the extension's owner, or
 * change settings that its statements rely on.  A statement of the extension that
 * deletes rows therefore fails, unless no code of others can be reached.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

/* Checks whether a foreign key compares columns of the same types: without a cast. */
static bool
has_same_types(Relation table, Relation referenced, Oid constraint)
{
	ListCell   *cell;

	foreach(cell, RelationGetFKeyList(table))
	{
		const ForeignKeyCacheInfo *key = lfirst(cell);

		for (int i = 0; key->conoid == constraint && i < key->nkeys; i++)
			if (TupleDescAttr(RelationGetDescr(table),
							  key->conkey[i] - 1)->atttypid !=
				TupleDescAttr(RelationGetDescr(referenced),
							  key->confkey[i] - 1)->atttypid)
				return false;
	}
	return true;
}

/* Checks whether a trigger that is not of a foreign key fires for the event. */
static bool
has_trigger(Relation table, int16 event)
{
	TriggerDesc *triggers = table->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
		if (!triggers->triggers[i].tgisinternal &&
			triggers->triggers[i].tgenabled != TRIGGER_DISABLED &&
			(triggers->triggers[i].tgtype & event))
			return true;
	return false;
}

/* Checks whether an expression is evaluated where a row is changed. */
static bool
has_expression(Relation table)
{
	const TupleConstr *constraints = RelationGetDescr(table)->constr;
	bool		found = constraints &&
		(constraints->num_check > 0 || constraints->has_generated_stored);
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(table))
	{
		HeapTuple	index = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(cell)));

		found = found || !HeapTupleIsValid(index) ||
			!heap_attisnull(index, Anum_pg_index_indexprs, NULL) ||
			!heap_attisnull(index, Anum_pg_index_indpred, NULL);
		if (HeapTupleIsValid(index))
			ReleaseSysCache(index);
	}
	return found;
}

/* Checks whether code of the table's owner can run where the action is taken. */
static bool
runs_code(Relation table, Relation referenced, const Trigger *action)
{
	if (!has_same_types(table, referenced, action->tgconstraint))
		return true;
	switch (action->tgfoid)
	{
		case F_RI_FKEY_NOACTION_DEL:
		case F_RI_FKEY_RESTRICT_DEL:
			return false;
		case F_RI_FKEY_CASCADE_DEL:
			if (has_trigger(table, TRIGGER_TYPE_DELETE))
				return true;
			break;
		case F_RI_FKEY_SETNULL_DEL:
			if (has_trigger(table, TRIGGER_TYPE_UPDATE) || has_expression(table))
				return true;
			break;
		default:
			return true;
	}
	/* A row of one that has parts can be in another table. */
	return table->rd_rules != NULL || table->rd_rel->relkind != RELKIND_RELATION ||
		table->rd_rel->relispartition || table->rd_rel->relhassubclass;
}

static void
check(Relation referenced, Oid own_schema, Oid owner, List *checked)
{
	TriggerDesc *triggers = referenced->trigdesc;

	check_stack_depth();
	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		const Trigger *action = &triggers->triggers[i];
		Relation	table;

		if (!TRIGGER_FOR_DELETE(action->tgtype) ||
			RI_FKey_trigger_type(action->tgfoid) != RI_TRIGGER_PK ||
			get_rel_namespace(action->tgconstrrelid) == own_schema)
			continue;
		/* Locked like by a writer, so that it stays as it is. */
		table = table_open(action->tgconstrrelid, RowExclusiveLock);
		if (table->rd_rel->relowner != owner &&
			!superuser_arg(table->rd_rel->relowner) &&
			runs_code(table, referenced, action))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("the foreign key of table %s cannot be followed on behalf of the owner of the extension",
							quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)),
													   RelationGetRelationName(table))),
					 errdetail("A trigger, a rule or other code of the table's owner would run in the middle of it."),
					 errhint("Let the foreign key be ON DELETE NO ACTION, or let the table have no triggers, rules and parts."),
					 ak_errid("reference_not_trusted")));
		if (action->tgfoid != F_RI_FKEY_NOACTION_DEL &&
			action->tgfoid != F_RI_FKEY_RESTRICT_DEL &&
			!list_member_oid(checked, RelationGetRelid(table)))
			check(table, own_schema, owner,
				  lappend_oid(list_copy(checked), RelationGetRelid(table)));
		table_close(table, NoLock);
	}
}

/*
 * Checks the foreign keys that refer to a table of the extension, from which rows
 * are going to be deleted as its owner, and those that refer to their tables in turn;
 * locks the tables until the end of the transaction.  Raises 42501 if code of another
 * role that is no superuser could run.
 */
void
ak_references_check(Oid own_table, Oid owner)
{
	Relation	table = table_open(own_table, NoLock);

	check(table, get_namespace_oid("apikeys", false), owner, NIL);
	table_close(table, NoLock);
}
