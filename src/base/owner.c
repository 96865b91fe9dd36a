/*
 * owner.c
 *	  See owner.h.
 *
 * A statement that runs as the owner names every table, function and operator
 * with its schema, or relies on the search_path that is set here, and takes all
 * that comes from outside as parameters.  The caller's search_path never counts:
 * SQL has operators that cannot be qualified (IS DISTINCT FROM, NULLIF), and
 * one found in a schema of the caller would run with the owner's rights.
 */
#include "postgres.h"

#include "base/owner.h"
#include "base/quiet_insert.h"
#include "base/tables.h"
#include "core/compat.h"
#include "core/errors.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "pgtime.h"
#include "utils/guc.h"
#include "utils/regproc.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#define SEARCH_PATH "pg_catalog, pg_temp"

/* The innermost one that was begun; NULL: the code acts as its caller. */
static AkOwner *acting = NULL;

static void
set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Switches sequential scans and JIT off until AtEOXact_GUC() ends the level of
 * settings that the caller has begun.  A plan is kept for a session: one that was
 * made while a table was empty would be kept while a transaction fills it.
 */
void
ak_plan_by_index(void)
{
	if (enable_seqscan)
		set_locally("enable_seqscan", "off");
	if (jit_enabled)
		set_locally("jit", "off");
}

/*
 * Pins what names mean, and how times and intervals are written in events, which
 * are the same whoever makes them.  Returns the level of what was set, to be
 * ended; 0 if nothing was.
 */
static int
pin_settings(bool by_index)
{
	bool		is_pinned = strcmp(namespace_search_path, SEARCH_PATH) == 0;
	bool		is_utc =
		strcmp(pg_get_timezone_name(session_timezone), "UTC") == 0;
	int			level;

	if (is_pinned && is_utc && IntervalStyle == INTSTYLE_POSTGRES &&
		DateStyle == USE_ISO_DATES && row_security &&
		!(by_index && (enable_seqscan || jit_enabled)))
		return 0;
	level = NewGUCNestLevel();
	if (!is_pinned)
		set_locally("search_path", SEARCH_PATH);
	if (!is_utc)
		set_locally("timezone", "UTC");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set_locally("intervalstyle", "postgres");
	if (DateStyle != USE_ISO_DATES)
		set_locally("datestyle", "ISO");
	if (!row_security)
		set_locally("row_security", "on");
	if (by_index)
		ak_plan_by_index();
	return level;
}

/*
 * Acts as the role from now on, with the settings that matter pinned, and
 * notes the current user as the caller.  By_index: sequential scans and JIT are
 * switched off as well.  Ended by ak_owner_end() in the same function, on every
 * path: use PG_TRY().
 */
void
ak_owner_begin(AkOwner *owner, Oid as_role, bool by_index)
{
	GetUserIdAndSecContext(&owner->caller, &owner->caller_context);
	owner->owner = as_role;
	owner->outer = acting;
	owner->settings_level = pin_settings(by_index);
	SetUserIdAndSecContext(as_role, owner->caller_context |
						   SECURITY_LOCAL_USERID_CHANGE);
	acting = owner;
}

/* Acts as the caller again; after an error its abort restores the settings. */
void
ak_owner_end(AkOwner *owner, bool is_error)
{
	acting = owner->outer;
	SetUserIdAndSecContext(owner->caller, owner->caller_context);
	if (!is_error && owner->settings_level)
		AtEOXact_GUC(true, owner->settings_level);
}

/* Whether the current user is the owner because ak_owner_begin() made it so. */
bool
ak_owner_is_acting(void)
{
	return acting && GetUserId() == acting->owner;
}

/*
 * The role on whose behalf the code runs: who called it while it acts as the
 * owner (of several calls within each other the outermost caller that was not
 * the owner itself), else the current user.
 */
Oid
ak_owner_caller(void)
{
	const AkOwner *frame = acting;

	if (!ak_owner_is_acting())
		return GetUserId();
	while (frame->outer && frame->caller == frame->outer->owner)
		frame = frame->outer;
	return frame->caller;
}

/* --- Functions of others -------------------------------------------------- */

static needs_fmgr_hook_type next_needs_fmgr_hook = NULL;

/* Whether it is a superuser's or the owner's, or runs with its definer's rights. */
static bool
is_trusted(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		trusted;

	if (!HeapTupleIsValid(tuple))
		return true;			/* the lookup that follows fails */
	form = (Form_pg_proc) GETSTRUCT(tuple);
	trusted = form->prosecdef || form->proowner == acting->owner ||
		superuser_arg(form->proowner);
	ReleaseSysCache(tuple);
	return trusted;
}

/*
 * PostgreSQL asks this of every function that is not built in when it looks the
 * function up.  Before version 18 an AFTER trigger runs as the role that ends
 * the statement and not as the one that has caused it: where a table refers to
 * one of ours with ON DELETE CASCADE, the triggers of that table would run with
 * the rights of the owner.
 */
static bool
refuse_function(Oid function)
{
	if (ak_owner_is_acting() && !is_trusted(function))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("function %s cannot run on behalf of the owner of the extension",
						format_procedure(function)),
				 errhint("A trigger of a table that refers to the extension's with ON DELETE CASCADE needs a function that is SECURITY DEFINER."),
				 ak_errid("function_not_trusted")));
	return next_needs_fmgr_hook && next_needs_fmgr_hook(function);
}

/* Called once, when the library is loaded. */
void
ak_owner_init(void)
{
	next_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = refuse_function;
}

/* --- Statements ----------------------------------------------------------- */

static Oid
get_table_owner(Oid table)
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

/*
 * Executes the statement as the owner.  The first column of its first row is
 * stored in *first, a bigint, if that is asked for and there is a row; then
 * only that row is fetched, as the active snapshot sees it.
 */
static uint64
execute(AkStatement *statement, Snapshot snapshot, Datum *values,
		const char *nulls, int64 *first)
{
	AkOwner		owner;
	bool		isnull;
	volatile uint64 processed = 0;
	volatile bool is_done = false;

	ak_owner_begin(&owner, get_table_owner(ak_table_oid(AK_KEY)),
				   statement->by_index);
	PG_TRY();
	{
		SPI_connect();
		if (statement->plan == NULL)
			prepare(statement);
		if (statement->is_quiet)
			ak_quiet_insert(statement->plan, values, nulls);
		else if (first)
			SPI_execute_plan(statement->plan, values, nulls, true, 1);
		else
			SPI_execute_snapshot(statement->plan, values, nulls, snapshot,
								 InvalidSnapshot, false, true, 0);
		processed = SPI_processed;
		if (first && processed > 0)
			*first = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
												 SPI_tuptable->tupdesc, 1,
												 &isnull));
		SPI_finish();
		is_done = true;
	}
	PG_FINALLY();
	{
		ak_owner_end(&owner, !is_done);
	}
	PG_END_TRY();
	return processed;
}

/*
 * Executes the statement as the owner of the extension's tables, and returns
 * how many rows it has processed; values and nulls are those of
 * SPI_execute_plan().
 */
uint64
ak_owner_execute(AkStatement *statement, Datum *values, const char *nulls)
{
	return execute(statement, InvalidSnapshot, values, nulls, NULL);
}

/*
 * The same, for several statements that must not differ in what they see: that
 * of the snapshot, and what this transaction has done before each.
 */
uint64
ak_owner_execute_at(Snapshot snapshot, AkStatement *statement, Datum *values,
					const char *nulls)
{
	return execute(statement, snapshot, values, nulls, NULL);
}

/*
 * Reads one bigint as the owner of the extension's tables, as the active
 * snapshot sees it; false if there is no row.
 */
bool
ak_owner_get_int64(AkStatement *statement, Datum *values, int64 *result)
{
	return execute(statement, InvalidSnapshot, values, NULL, result) > 0;
}
