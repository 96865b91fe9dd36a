/*
 * privileged.c
 *	  See privileged.h.
 *
 * For the few writes that nobody may do by hand, such as the record of a use.
 * Whoever calls this has checked that the write is in order, has written the
 * statement himself, with every name and operator qualified, and passes all
 * that comes from outside as parameters.
 *
 * The caller's search_path does not count all the same: SQL has operators that
 * cannot be qualified (IS DISTINCT FROM, NULLIF), and one that is found in a
 * schema of his would be run with the owner's rights.
 */
#include "postgres.h"

#include "base/privileged.h"
#include "base/tables.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/syscache.h"

/* As the functions of the extension have it, so that it is there already. */
#define SEARCH_PATH "pg_catalog, pg_temp"

static Oid
get_owner(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

static void
prepare(AkStatement *statement)
{
	statement->plan = SPI_prepare_cursor(statement->sql,
										 statement->argument_count,
										 statement->types,
										 CURSOR_OPT_GENERIC_PLAN);
	if (statement->plan == NULL)
		elog(ERROR, "could not prepare a statement: %s",
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(statement->plan);
}

/* Who was acting before the owner of the tables did. */
typedef struct Caller
{
	Oid			user;
	int			security_context;
	int			settings_level; /* 0: no setting was changed */
} Caller;

static void
set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* Answers the level of what was set, to be ended; 0 if nothing was. */
static int
pin_settings(const AkStatement *statement)
{
	bool		is_pinned = strcmp(namespace_search_path, SEARCH_PATH) == 0;
	int			level;

	if (is_pinned && !statement->by_index)
		return 0;
	level = NewGUCNestLevel();
	if (!is_pinned)
		set_locally("search_path", SEARCH_PATH);
	if (statement->by_index)
	{
		set_locally("enable_seqscan", "off");
		set_locally("jit", "off");
	}
	return level;
}

/* After an error the end of the (sub)transaction does what end() does. */
static void
begin(AkStatement *statement, Caller *caller)
{
	GetUserIdAndSecContext(&caller->user, &caller->security_context);
	SetUserIdAndSecContext(get_owner(ak_table_oid(AK_KEY)),
						   caller->security_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	caller->settings_level = pin_settings(statement);
	SPI_connect();
	if (statement->plan == NULL)
		prepare(statement);
}

static void
end(const Caller *caller)
{
	SPI_finish();
	if (caller->settings_level)
		AtEOXact_GUC(true, caller->settings_level);
	SetUserIdAndSecContext(caller->user, caller->security_context);
}

/*
 * Executes the statement as the owner of the extension's tables, and returns
 * how many rows it has processed; values and nulls are those of
 * SPI_execute_plan().
 */
uint64
ak_privileged_execute(AkStatement *statement, Datum *values, const char *nulls)
{
	return ak_privileged_execute_at(InvalidSnapshot, statement, values, nulls);
}

/*
 * The same, for several statements that must not differ in what they see: that
 * of the snapshot, and what this transaction has done before each.
 */
uint64
ak_privileged_execute_at(Snapshot snapshot, AkStatement *statement,
						 Datum *values, const char *nulls)
{
	Caller		caller;
	uint64		processed;

	begin(statement, &caller);
	SPI_execute_snapshot(statement->plan, values, nulls, snapshot,
						 InvalidSnapshot, false, true, 0);
	processed = SPI_processed;
	end(&caller);
	return processed;
}

/*
 * Reads one bigint as the owner of the extension's tables, as the active
 * snapshot sees it; false if there is no row.
 */
bool
ak_privileged_get_int64(AkStatement *statement, Datum *values, int64 *result)
{
	Caller		caller;
	bool		found;
	bool		isnull;

	begin(statement, &caller);
	SPI_execute_plan(statement->plan, values, NULL, true, 1);
	found = SPI_processed > 0;
	if (found)
		*result = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1,
											  &isnull));
	end(&caller);
	return found;
}
