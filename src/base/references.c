/*
 * references.c
 *	  Foreign keys of others that refer to the extension's tables, and triggers and rules
 *	  on them.
 *
 * What a foreign key does to the rows of a table, where a row that they refer to is
 * deleted or gets another name, is done as the owner of that table, in the middle of
 * the statement, and its AFTER triggers are run by the role that ends the statement
 * (before PostgreSQL 18).  So code of that owner could run with the rights of the
 * extension's owner, or change settings that its statements rely on.  A statement of
 * the extension therefore fails where a foreign key of a role that is no superuser
 * would do anything to rows, might compare them by a cast of such a role, or is checked
 * at the end of the transaction, when nothing of the extension is under way any more, and
 * where an index of its table has an expression or a condition that functions or types of
 * such a role take part in: the query that looks for rows computes it, and the checks of a
 * domain may call built-in functions that change settings.
 * And one that might need such a cast cannot be made: for rows of that table, too,
 * PostgreSQL calls the cast as the owner of the table that they refer to.  Nor one to a
 * table that the worker changes: what is planned for it could take as long as it likes.
 *
 * Nor can such a role make triggers on the extension's tables: their conditions are
 * computed with the rights of the role that changes rows, and deferred ones run when nothing of
 * the extension is under way, in the worker as a superuser.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A foreign key that refers to a table, and what is called for it. */
typedef struct Reference
{
	Oid			table;
	Oid			constraint;
	Oid			function;
	bool		is_deferrable;
} Reference;

/* Checks whether an object of a system cache, with its owner in that column, is a superuser's. */
static bool
is_superusers(int cache, AttrNumber owner, Oid object)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(object));
	bool		isnull;
	bool		is;

	if (!HeapTupleIsValid(tuple))
		return false;
	is = superuser_arg(DatumGetObjectId(SysCacheGetAttr(cache, tuple, owner,
														&isnull)));
	ReleaseSysCache(tuple);
	return is;
}

static bool
is_superusers_type(Oid type)
{
	return is_superusers(TYPEOID, Anum_pg_type_typowner, type);
}

static bool
is_own_table(Oid table)
{
	return get_rel_namespace(table) == get_namespace_oid("apikeys", true);
}

/* Checks whether a function of foreign keys does more than check. */
static bool
is_action(Oid function)
{
	return function != F_RI_FKEY_NOACTION_DEL &&
		function != F_RI_FKEY_NOACTION_UPD &&
		function != F_RI_FKEY_RESTRICT_DEL &&
		function != F_RI_FKEY_RESTRICT_UPD;
}

/*
 * Checks whether a value of the referring column may be cast by code of a role that is no
 * superuser, now or later: casts belong to the owners of their types, and those of a
 * domain are those of its base type.
 */
static bool
needs_others_cast(Oid from, Oid to)
{
	return from != to && !is_superusers_type(getBaseType(from));
}

/*
 * Checks whether a foreign key, a row of pg_constraint, refers to one of the changed
 * columns, a set as in ExecGetUpdatedCols() or NULL for all, and stores whether it
 * compares without a cast that may be another role's.
 */
static bool
refers_to(HeapTuple key, const Bitmapset *changed, bool *is_plain)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(key);
	int			count;
	AttrNumber	referring[INDEX_MAX_KEYS];
	AttrNumber	referred[INDEX_MAX_KEYS];
	bool		is_concerned = changed == NULL;

	*is_plain = true;
	DeconstructFkConstraintRow(key, &count, referring, referred, NULL, NULL,
							   NULL, NULL, NULL);
	for (int i = 0; i < count; i++)
	{
		is_concerned = is_concerned ||
			bms_is_member(referred[i] - FirstLowInvalidHeapAttributeNumber,
						  changed);
		*is_plain = *is_plain &&
			!needs_others_cast(get_atttype(form->conrelid, referring[i]),
							   get_atttype(form->confrelid, referred[i]));
	}
	return is_concerned;
}

/* The same of a constraint. */
static bool
is_concerned(Oid constraint, const Bitmapset *changed, bool *is_plain)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));
	bool		concerned;

	if (!HeapTupleIsValid(tuple))
		return false;
	concerned = refers_to(tuple, changed, is_plain);
	ReleaseSysCache(tuple);
	return concerned;
}

static const char *
quote_table(Oid table)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
									  get_rel_name(table));
}

static void
raise_not_trusted(Oid table)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("the foreign key of table %s cannot be followed on behalf of the owner of the extension",
					quote_table(table)),
			 errdetail("The owner of the table is no superuser, and its code could run with the rights of the owner of the extension."),
			 errhint("Let the foreign key have no ON DELETE and ON UPDATE, be not deferrable, and have columns of types that belong to superusers, and let no expression or condition of an index use functions, domains, ranges or rows that do not."),
			 ak_errid("reference_not_trusted")));
}

/*
 * What a foreign key of a table of the extension to another one would change cannot be
 * told from what the extension's own statement changes.
 */
static void
raise_comes_back(Oid table)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a foreign key cannot change table %s in a statement of the extension",
					get_rel_name(table)),
			 errhint("Let foreign keys of the extension's tables to others have no ON DELETE and ON UPDATE."),
			 ak_errid("reference_not_supported")));
}

/*
 * What rules change cannot be told from what the extension's own statement changes
 * either, and they can have it change nothing.
 */
static void
raise_rule(Oid table)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("rules of table %s cannot be followed in a statement of the extension",
					quote_table(table)),
			 errhint("Drop them, and use triggers."),
			 ak_errid("rule_not_supported")));
}

/*
 * Stores the foreign keys that refer to the table with these triggers, palloc'd, and
 * returns how many: the triggers of a relation are good only until a catalog is looked up.
 */
static int
find_references(const TriggerDesc *triggers, int16 events,
				Reference **references)
{
	int			count = 0;

	if (triggers == NULL)
		return 0;
	*references = palloc(triggers->numtriggers * sizeof(Reference));
	for (int i = 0; i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_PK &&
			(trigger->tgtype & events))
			(*references)[count++] = (Reference)
			{
				trigger->tgconstrrelid, trigger->tgconstraint, trigger->tgfoid,
				trigger->tgdeferrable
			};
	}
	return count;
}

/* Checks whether a table is the extension's owner's, or a superuser's. */
static bool
is_trusted(Oid table, Oid extension_owner)
{
	Oid			owner = ak_table_owner(table);

	return owner == extension_owner || superuser_arg(owner);
}

/*
 * Checks whether code of a role that is no superuser may run where a value of that type is
 * made or compared: base types and enumerations have only a superuser's.
 */
static bool
is_others_type(Oid type)
{
	Oid			element = get_element_type(type);	/* not of a domain */
	Oid			checked = OidIsValid(element) ? element : type;
	char		kind = get_typtype(checked);

	return (kind == TYPTYPE_DOMAIN || kind == TYPTYPE_COMPOSITE ||
			kind == TYPTYPE_RANGE || kind == TYPTYPE_MULTIRANGE) &&
		!is_superusers_type(checked);
}

static bool
is_others_function(Oid function, void *argument)
{
	return !is_superusers(PROCOID, Anum_pg_proc_proowner, function);
}

/* The same of an expression; a column's value of a domain is not checked again. */
static bool
has_others_code(Node *node, void *argument)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return is_others_type(getBaseType(exprType(node)));
	if (!IsA(node, List) && !IsA(node, CaseWhen) &&
		is_others_type(exprType(node)))
		return true;
	return check_functions_in_node(node, is_others_function, NULL) ||
		expression_tree_walker(node, has_others_code, argument);
}

/* The same of an attribute of an index, a row of pg_index, that is a tree of nodes. */
static bool
index_has_others_code(HeapTuple index, AttrNumber attribute)
{
	bool		isnull;
	Datum		tree = SysCacheGetAttr(INDEXRELID, index, attribute, &isnull);

	return !isnull &&
		has_others_code(stringToNode(TextDatumGetCString(tree)), NULL);
}

/* The same of the expressions and conditions of all indexes of a table. */
static bool
table_has_others_code(Oid oid)
{
	Relation	table = table_open(oid, NoLock);
	bool		has = false;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(table))
	{
		HeapTuple	index = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(index))
			continue;
		has = has ||
			index_has_others_code(index, Anum_pg_index_indexprs) ||
			index_has_others_code(index, Anum_pg_index_indpred);
		ReleaseSysCache(index);
	}
	table_close(table, NoLock);
	return has;
}

/*
 * Locks a table until the transaction ends, so that nobody adds an index to what was
 * checked, also where the statement waits for something else first; returns it with its
 * partitions, of which the statements of a foreign key are, too.
 */
static List *
lock_table(Oid oid)
{
	Relation	table = try_relation_open(oid, RowExclusiveLock);
	bool		is_partitioned;

	/* One that is not there was dropped. */
	if (table == NULL)
		return NIL;
	is_partitioned = table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	relation_close(table, NoLock);
	return is_partitioned ?
		find_all_inheritors(oid, RowExclusiveLock, NULL) : list_make1_oid(oid);
}

/* Checks that no code of others runs where rows of a table are looked for. */
static void
check_indexes(Oid referring_table, Oid extension_owner)
{
	ListCell   *cell;

	if (is_trusted(referring_table, extension_owner) &&
		get_rel_relkind(referring_table) != RELKIND_PARTITIONED_TABLE)
		return;
	foreach(cell, lock_table(referring_table))
	{
		Oid			table = lfirst_oid(cell);

		if (!is_trusted(table, extension_owner) && table_has_others_code(table))
			raise_not_trusted(table);
	}
}

/*
 * Checks that a table which a foreign key changes has no rules, and that all of its
 * partitions, into which a row may also move, are trusted.
 */
static void
check_changed_table(Oid changed_table, Oid extension_owner)
{
	ListCell   *cell;

	foreach(cell, lock_table(changed_table))
	{
		Relation	table = table_open(lfirst_oid(cell), NoLock);

		if (!is_trusted(RelationGetRelid(table), extension_owner))
			raise_not_trusted(RelationGetRelid(table));
		if (ak_table_has_rules(table))
			raise_rule(RelationGetRelid(table));
		table_close(table, NoLock);
	}
}

/* Checks a foreign key that refers to a table of these changed columns (NULL: all). */
static void
check(const Reference *reference, bool is_to_own_table,
	  const Bitmapset *changed, Oid extension_owner)
{
	bool		trusted;
	bool		is_plain;

	/* One that is not there was dropped. */
	if (!OidIsValid(ak_table_owner(reference->table)) ||
		!is_concerned(reference->constraint, changed, &is_plain))
		return;
	trusted = is_trusted(reference->table, extension_owner);
	if (trusted && is_own_table(reference->table))
	{
		if (!is_to_own_table && is_action(reference->function))
			raise_comes_back(reference->table);
		return;
	}
	if (!trusted && (is_action(reference->function) || !is_plain ||
					 reference->is_deferrable))
		raise_not_trusted(reference->table);
	check_indexes(reference->table, extension_owner);
	if (is_action(reference->function))
		check_changed_table(reference->table, extension_owner);
}

/*
 * Checks the foreign keys that refer to a table, of which a statement that has begun in a
 * section of the extension's owner is going to delete rows (TRIGGER_TYPE_DELETE), or to
 * change these columns (TRIGGER_TYPE_UPDATE).  What foreign keys do in turn are
 * statements of their own, which come here too.  What a superuser's trigger changes in
 * other tables is not judged: there PostgreSQL's own rules hold, as without the
 * extension.  The foreign keys are those of the executor's copy of the table's triggers:
 * their owners cannot change any more what it is going to do.  Raises 42501 if code of
 * another role could run.
 */
void
ak_references_check(const ResultRelInfo *target, int16 events,
					const Bitmapset *changed, Oid extension_owner,
					bool is_in_trigger)
{
	bool		is_own = is_own_table(RelationGetRelid(target->ri_RelationDesc));
	Reference  *references = NULL;
	int			count;

	CHECK_FOR_INTERRUPTS();
	if (is_in_trigger && !is_own)
		return;
	if (!is_own)
	{
		/* Generated columns and triggers may change others, and a row may move. */
		events = TRIGGER_TYPE_DELETE | TRIGGER_TYPE_UPDATE;
		changed = NULL;
	}
	count = find_references(target->ri_TrigDesc, events, &references);
	for (int i = 0; i < count; i++)
		check(&references[i], is_own, changed, extension_owner);
}

/* --- What was just made --------------------------------------------------- */

/* A copy of the row of an object that was just made, and is not visible yet, or NULL. */
static HeapTuple
copy_new_row(Oid catalog, Oid index, AttrNumber column, Oid object)
{
	Relation	relation;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	if (!OidIsValid(get_extension_oid("apikeys", true)))
		return NULL;
	relation = table_open(catalog, AccessShareLock);
	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object));
	scan = systable_beginscan(relation, index, true, SnapshotSelf, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return row;
}

/* Rows of the other tables come and go in the worker and behind many functions. */
static bool
is_to_be_referred_to(Oid table)
{
	return table == ak_table_oid(AK_ORGANIZATION) ||
		table == ak_table_oid(AK_PROJECT) || table == ak_table_oid(AK_KEY);
}

/*
 * Checks a constraint that was just made: raises 42501 for a foreign key of another
 * role's table to one of the extension that might need a cast of such a role, or to
 * another table than organization, project and key.
 */
void
ak_references_check_new(Oid constraint)
{
	HeapTuple	row = copy_new_row(ConstraintRelationId, ConstraintOidIndexId,
								   Anum_pg_constraint_oid, constraint);
	Form_pg_constraint form;
	bool		is_plain;

	if (row == NULL)
		return;
	form = (Form_pg_constraint) GETSTRUCT(row);
	if (form->contype != CONSTRAINT_FOREIGN || !is_own_table(form->confrelid) ||
		is_trusted(form->conrelid, ak_table_owner(form->confrelid)))
		return;
	if (!is_to_be_referred_to(form->confrelid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only tables of superusers can refer to table %s",
						quote_table(form->confrelid)),
				 errhint("Refer to apikeys.organization, apikeys.project or apikeys.key."),
				 ak_errid("reference_not_trusted")));
	if (refers_to(row, NULL, &is_plain) && !is_plain)
		raise_not_trusted(form->conrelid);
}

/*
 * Checks a trigger that was just made: raises 42501 for one of a role that is no
 * superuser on a table or view of the extension, unless it is a foreign key's.
 */
void
ak_triggers_check_new(Oid trigger)
{
	HeapTuple	row = copy_new_row(TriggerRelationId, TriggerOidIndexId,
								   Anum_pg_trigger_oid, trigger);
	Form_pg_trigger form;

	if (row == NULL || superuser())
		return;
	form = (Form_pg_trigger) GETSTRUCT(row);
	if (!form->tgisinternal && is_own_table(form->tgrelid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only superusers can make triggers on table %s",
						quote_table(form->tgrelid)),
				 ak_errid("trigger_not_trusted")));
}

/* Checks a rule that was just made: raises 0A000 for one on a table of the extension. */
void
ak_rules_check_new(Oid rule)
{
	HeapTuple	row = copy_new_row(RewriteRelationId, RewriteOidIndexId,
								   Anum_pg_rewrite_oid, rule);
	Oid			table;

	if (row == NULL)
		return;
	table = ((Form_pg_rewrite) GETSTRUCT(row))->ev_class;
	if (get_rel_relkind(table) == RELKIND_RELATION && is_own_table(table))
		raise_rule(table);
}

/* The same of rules that are there: some were made where the library was not loaded. */
void
ak_rules_check(void)
{
	Oid			table = ak_table_with_rules();

	if (OidIsValid(table))
		raise_rule(table);
}
