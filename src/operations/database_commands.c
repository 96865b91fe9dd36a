/*
 * database_commands.c
 *	  See database_commands.h.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME and SET TABLESPACE, and CREATE
 * DATABASE for its template, fail while a session is connected to the
 * database.  The extension's worker ends before they run.  The shared memory
 * of a dropped database is freed.
 */
#include "postgres.h"

#include "core/compat.h"
#include "operations/database_commands.h"
#include "usage/database_slot.h"
#include "usage/usage.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/syscache.h"

static ProcessUtility_hook_type previous_hook = NULL;

static const char *
find_text_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, name) == 0)
			return option->arg ? defGetString(option) : NULL;
	}
	return NULL;
}

/* Returns the database that the command needs without connections, or NULL. */
static const char *
get_database(Node *statement)
{
	const char *template;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) statement)->dbname;
		case T_CreatedbStmt:
			template = find_text_option(((CreatedbStmt *) statement)->options,
								   "template");
			return template ? template : "template1";
		case T_AlterDatabaseStmt:
			return find_text_option(((AlterDatabaseStmt *) statement)->options,
							   "tablespace") ?
				((AlterDatabaseStmt *) statement)->dbname : NULL;
		case T_RenameStmt:
			return ((RenameStmt *) statement)->renameType == OBJECT_DATABASE ?
				((RenameStmt *) statement)->subname : NULL;
		default:
			return NULL;
	}
}

static bool
may_create_databases(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID,
										ObjectIdGetDatum(GetUserId()));
	bool		may = false;

	if (HeapTupleIsValid(tuple))
	{
		may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return may;
}

/* A role without the privilege for the command does not end the worker. */
static bool
may_command(Oid database)
{
	return superuser() || ak_owns_database(database, GetUserId()) ||
		may_create_databases();
}

static void
process_utility(PlannedStmt *planned, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo parameters,
				QueryEnvironment *environment, DestReceiver *receiver,
				QueryCompletion *completion)
{
	const char *name = get_database(planned->utilityStmt);
	Oid			database = name ? get_database_oid(name, true) : InvalidOid;
	AkDatabaseSlot *slot = OidIsValid(database) && may_command(database) ?
		ak_database_slot_find(database) : NULL;

	if (slot)
		ak_database_slot_send_away(slot);
	(previous_hook ? previous_hook : standard_ProcessUtility)
		(planned, query, read_only_tree, context, parameters, environment,
		 receiver, completion);
	if (slot == NULL)
		return;
	if (IsA(planned->utilityStmt, DropdbStmt))
		ak_usage_forget_database(database);
	else
		ak_database_slot_let_back(slot);
}

/* Called once, when the library is preloaded. */
void
ak_database_commands_init(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
