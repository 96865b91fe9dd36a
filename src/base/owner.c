/*
 * owner.c
 *	  Acting as the owner of the extension, in one way for all code: the verbs
 *	  behind the door (manage/door.c) and single statements from C.
 *
 * While the code acts as the owner, it knows its caller: that role is the
 * principal, not the owner (identity/identity.h).
 *
 * A statement that runs as the owner schema-qualifies every table, function
 * and operator, or relies on the search_path that is pinned here, and takes
 * all outside values as parameters.  The caller's search_path never counts:
 * some SQL operators cannot be qualified (IS DISTINCT FROM, NULLIF), and one
 * found in a schema of the caller would run with the owner's rights.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "pgtime.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/plancache.h"
#include "utils/regproc.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define SEARCH_PATH "pg_catalog, pg_temp"

/* The innermost active section; NULL: the code runs as its caller. */
static AkOwner *acting = NULL;

/*
 * Sets a setting of the session until AtEOXact_GUC() ends the nesting level that the
 * caller has begun.
 */
void
ak_set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Disables sequential scans and JIT until AtEOXact_GUC() ends the nesting level
 * of settings that the caller has begun.  Plans are cached per session: a plan
 * made while a table was empty would still be used while a transaction fills it.
 */
void
ak_plan_by_index(void)
{
	if (enable_seqscan)
		ak_set_locally("enable_seqscan", "off");
	if (jit_enabled)
		ak_set_locally("jit", "off");
}

/*
 * Pins the search path, and the output format of times and intervals in
 * events, so that events do not depend on the caller's settings.  Returns the
 * nesting level of the settings, to be ended; 0 if nothing was set.
 */
static int
pin_settings(bool by_index)
{
	bool		is_pinned = strcmp(namespace_search_path, SEARCH_PATH) == 0;
	bool		is_utc =
		strcmp(pg_get_timezone_name(session_timezone), "UTC") == 0;
	int			level;

	if (is_pinned && is_utc && IntervalStyle == INTSTYLE_POSTGRES &&
		DateStyle == USE_ISO_DATES && row_security && Array_nulls &&
		!(by_index && (enable_seqscan || jit_enabled)))
		return 0;
	level = NewGUCNestLevel();
	if (!is_pinned)
		ak_set_locally("search_path", SEARCH_PATH);
	if (!is_utc)
		ak_set_locally("timezone", "UTC");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		ak_set_locally("intervalstyle", "postgres");
	if (DateStyle != USE_ISO_DATES)
		ak_set_locally("datestyle", "ISO");
	if (!row_security)
		ak_set_locally("row_security", "on");
	if (!Array_nulls)
		ak_set_locally("array_nulls", "on");
	if (by_index)
		ak_plan_by_index();
	return level;
}

/*
 * Acts as the role from now on, with the relevant settings pinned, and records
 * the current user as the caller.  by_index also disables sequential scans and
 * JIT. End it with ak_owner_end() in the same function, on every path: use
 * PG_TRY().  Raises 0A000 if a table of the extension has rules (references.c).
 */
void
ak_owner_begin(AkOwner *owner, Oid as_role, bool by_index)
{
	ak_rules_check();
	GetUserIdAndSecContext(&owner->caller, &owner->caller_context);
	owner->context = CurrentMemoryContext;
	owner->owner = as_role;
	owner->others = 0;
	owner->outer = acting;
	owner->settings_level = pin_settings(by_index);
	SetUserIdAndSecContext(as_role, owner->caller_context |
						   SECURITY_LOCAL_USERID_CHANGE);
	acting = owner;
}

/*
 * Raises the current error again without what PostgreSQL quotes of a row in its detail,
 * where a constraint that a superuser has added refuses one: it may be a hash.
 */
static void
hide_row(MemoryContext context)
{
	ErrorData  *error;

	if (ERRCODE_TO_CATEGORY(geterrcode()) !=
		ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
		return;
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	/* The extension's own errors name no table, and quote nothing. */
	if (error->table_name && error->detail)
	{
		FlushErrorState();
		error->detail = NULL;
		ReThrowError(error);
	}
	FreeErrorData(error);
}

/*
 * Acts as the caller again; after an error, which it may raise again without its detail,
 * the abort restores the settings.
 */
void
ak_owner_end(AkOwner *owner, bool is_error)
{
	acting = owner->outer;
	SetUserIdAndSecContext(owner->caller, owner->caller_context);
	if (is_error)
		hide_row(owner->context);
	else if (owner->settings_level)
		AtEOXact_GUC(true, owner->settings_level);
}

/* Checks whether the current user is the owner because of ak_owner_begin(). */
bool
ak_owner_is_acting(void)
{
	return acting && GetUserId() == acting->owner;
}

/*
 * Checks whether it is also the extension's own code that runs: not a trigger that a
 * superuser has made, or what that calls.
 */
bool
ak_owner_is_own_code(void)
{
	return ak_owner_is_acting() && acting->others == 0;
}

/* Returns the section of the outermost caller that was not the owner itself. */
static const AkOwner *
find_outermost(void)
{
	const AkOwner *frame = acting;

	while (frame->outer && frame->caller == frame->outer->owner)
		frame = frame->outer;
	return frame;
}

/*
 * Returns the role on whose behalf the code runs: while it acts as the owner,
 * the outermost caller that was not the owner itself, else the current user.
 */
Oid
ak_owner_caller(void)
{
	return ak_owner_is_acting() ? find_outermost()->caller : GetUserId();
}

/*
 * Checks whether, for that role, this is code that nobody has called, which PostgreSQL
 * runs as the owner of a table: for ANALYZE, REINDEX and the like, or where it follows a
 * foreign key.  It can be anybody's.
 */
bool
ak_owner_is_run_for_others(void)
{
	Oid			user;
	int			context;

	/* A policy asks for each row: this is one call. */
	GetUserIdAndSecContext(&user, &context);
	if (acting && user == acting->owner)
		context = find_outermost()->caller_context;
	return (context & (SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS)) != 0;
}

/*
 * Checks whether anything acts as the owner further out: also where the current user
 * is another one, as PostgreSQL checks a foreign key as the owner of its table.
 */
bool
ak_owner_is_under_way(void)
{
	return acting != NULL;
}

/* --- Functions of other roles -------------------------------------------- */

static needs_fmgr_hook_type next_needs_fmgr_hook = NULL;
static fmgr_hook_type next_fmgr_hook = NULL;
static ExecutorStart_hook_type next_start_hook = NULL;

/* What has to be known of a function that is not built in. */
typedef struct Function
{
	bool		is_trusted;		/* a superuser's, or that of the owner who acts */
	bool		is_others;		/* neither the extension's nor PostgreSQL's */
} Function;

/* One that is not there is nobody's: the look-up that follows fails. */
static Function
find_function(Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	Function	function = {.is_trusted = true};
	Form_pg_proc form;

	if (!HeapTupleIsValid(tuple))
		return function;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	function.is_trusted = (acting && form->proowner == acting->owner) ||
		superuser_arg(form->proowner);
	function.is_others = form->pronamespace != PG_CATALOG_NAMESPACE &&
		form->pronamespace != get_namespace_oid("apikeys", true) &&
		form->pronamespace != get_namespace_oid("apikeys_internal", true);
	ReleaseSysCache(tuple);
	return function;
}

/*
 * While something acts as the owner, no code of other roles runs, also where they are
 * the current user: it could change settings that the rest relies on, or be run by PostgreSQL
 * with other rights later.  It is reached by triggers that a superuser has made on a
 * table of the extension, and by indexes of a table that refers to one, whose
 * expressions the planner computes.
 */
static void
check_function(Oid oid, const Function *function)
{
	if (!function->is_trusted)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("function %s cannot run in a statement of the extension",
						format_procedure(oid)),
				 errhint("What triggers of the extension's tables, and indexes and statistics of tables that refer to them, reach must belong to a superuser."),
				 ak_errid("function_not_trusted")));
}

/* Whether one that is not trusted may have been looked up while nothing acted. */
static bool was_looked_up = true;

/*
 * PostgreSQL calls this for each function that is not built in, when it looks it up.
 * It is told when those of superusers begin and end.
 */
static bool
look_up(Oid oid)
{
	bool		is_others = false;

	if (acting)
	{
		Function	function = find_function(oid);

		check_function(oid, &function);
		is_others = function.is_others;
	}
	else if (!was_looked_up)
		was_looked_up = !find_function(oid).is_trusted;
	return is_others || (next_needs_fmgr_hook && next_needs_fmgr_hook(oid));
}

/* What is kept of a function that runs. */
typedef struct CallState
{
	bool		is_others;
	Datum		next_argument;	/* of the next hook */
} CallState;

/*
 * And this for one that look_up() has asked for, and, without look_up(), for one with
 * settings or a definer, when it begins and ends.  Sections end within the function in
 * which they began: at its end the same one is active as at its beginning.
 */
static void
call(FmgrHookEventType event, FmgrInfo *function, Datum *argument)
{
	CallState  *state = (CallState *) DatumGetPointer(*argument);

	if (acting == NULL && next_fmgr_hook == NULL)
		return;
	if (state == NULL)
	{
		state = MemoryContextAllocZero(function->fn_mcxt, sizeof(CallState));
		*argument = PointerGetDatum(state);
	}
	if (acting && event == FHET_START)
	{
		Function	found = find_function(function->fn_oid);

		check_function(function->fn_oid, &found);
		state->is_others = found.is_others;
	}
	else if (acting)
		acting->others -= state->is_others;
	if (next_fmgr_hook)
		next_fmgr_hook(event, function, &state->next_argument);
	if (acting == NULL || event != FHET_START || !state->is_others)
		return;
	acting->others++;
	/*
	 * Plans, and expressions that PL/pgSQL keeps for a transaction, would call functions
	 * that were looked up unchecked.
	 */
	if (was_looked_up)
		ResetPlanCache();
	was_looked_up = false;
}

/* What is done to rows that are there, of TRIGGER_TYPE_DELETE and TRIGGER_TYPE_UPDATE. */
static int16
find_events(const ModifyTable *change)
{
	switch (change->operation)
	{
		case CMD_DELETE:
			return TRIGGER_TYPE_DELETE;
		case CMD_UPDATE:
			return TRIGGER_TYPE_UPDATE;
		case CMD_INSERT:
			return change->onConflictAction == ONCONFLICT_UPDATE ?
				TRIGGER_TYPE_UPDATE : 0;
		default:				/* MERGE */
			return TRIGGER_TYPE_DELETE | TRIGGER_TYPE_UPDATE;
	}
}

/* Checks what refers to the rows that a part of a statement changes (references.c). */
static void
check_references(PlanState *part, EState *state)
{
	ModifyTableState *change = (ModifyTableState *) part;
	int16		events;

	if (!IsA(part, ModifyTableState))
		return;
	events = find_events((ModifyTable *) part->plan);
	for (int i = 0; events && i < change->mt_nrels; i++)
	{
		ResultRelInfo *target = &change->resultRelInfo[i];

		ak_references_check(target, events,
							events & TRIGGER_TYPE_DELETE ? NULL :
							ExecGetUpdatedCols(target, state),
							acting->owner, acting->others > 0);
	}
}

static void
start_executor(QueryDesc *query, int flags)
{
	ListCell   *cell;

	if (next_start_hook)
		next_start_hook(query, flags);
	else
		standard_ExecutorStart(query, flags);
	if (acting == NULL)
		return;
	check_references(query->planstate, query->estate);
	foreach(cell, query->estate->es_auxmodifytables)
		check_references(lfirst(cell), query->estate);
}

/* --- What others do with objects of the extension ------------------------ */

static object_access_hook_type next_access_hook = NULL;

/* Checks whether USAGE on a schema is granted to the current user. */
static bool
may_use_schema(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;
	Datum		list;
	bool		isnull;
	bool		may;

	if (!HeapTupleIsValid(tuple))
		return false;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	list = SysCacheGetAttr(NAMESPACEOID, tuple, Anum_pg_namespace_nspacl,
						   &isnull);
	may = superuser() ||
		aclmask(isnull ? acldefault(OBJECT_SCHEMA, owner) : DatumGetAclP(list),
				GetUserId(), owner, ACL_USAGE, ACLMASK_ANY) != 0;
	ReleaseSysCache(tuple);
	return may;
}

/*
 * The functions that policies and views call rely on what these pass to them, and
 * the predefined roles pg_read_all_data and pg_write_all_data imply USAGE on every
 * schema.  On that of these functions it does not count.  And a new foreign key,
 * trigger or rule may be refused.
 */
static void
check_access(ObjectAccessType access, Oid class, Oid object, int part,
			 void *argument)
{
	if (next_access_hook)
		next_access_hook(access, class, object, part, argument);
	if (access == OAT_POST_CREATE && class == ConstraintRelationId)
		ak_references_check_new(object);
	if (access == OAT_POST_CREATE && class == TriggerRelationId)
		ak_triggers_check_new(object);
	if (access == OAT_POST_CREATE && class == RewriteRelationId)
		ak_rules_check_new(object);
	if (access == OAT_NAMESPACE_SEARCH &&
		object == get_namespace_oid("apikeys_internal", true) &&
		!may_use_schema(object))
	{
		ObjectAccessNamespaceSearch *search = argument;

		if (search->ereport_on_violation)
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, "apikeys_internal");
		search->result = false;
	}
}

/* Called once, when the library is loaded. */
void
ak_owner_init(void)
{
	next_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = look_up;
	next_fmgr_hook = fmgr_hook;
	fmgr_hook = call;
	next_start_hook = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	next_access_hook = object_access_hook;
	object_access_hook = check_access;
}

/* --- Statements ---------------------------------------------------------- */

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
 * Executes the statement as the owner.  If "first" is not NULL and the
 * statement returns a row, stores the first column of the first row there, a
 * bigint; then only that row is fetched, from the active snapshot.
 */
static uint64
execute(AkStatement *statement, Snapshot snapshot, Datum *values,
		const char *nulls, int64 *first)
{
	AkOwner		owner;
	bool		isnull;
	volatile uint64 processed = 0;
	volatile bool is_done = false;

	ak_owner_begin(&owner, ak_table_owner(ak_table_oid(AK_KEY)),
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
 * the number of processed rows; values and nulls are those of
 * SPI_execute_plan().
 */
uint64
ak_owner_execute(AkStatement *statement, Datum *values, const char *nulls)
{
	return execute(statement, InvalidSnapshot, values, nulls, NULL);
}

/*
 * The same, for several statements that must see the same state: that of the
 * snapshot, and the changes of this transaction before each statement.
 */
uint64
ak_owner_execute_at(Snapshot snapshot, AkStatement *statement, Datum *values,
					const char *nulls)
{
	return execute(statement, snapshot, values, nulls, NULL);
}

/*
 * Reads one bigint as the owner of the extension's tables, from the active
 * snapshot; returns false if there is no row.
 */
bool
ak_owner_get_int64(AkStatement *statement, Datum *values, int64 *result)
{
	return execute(statement, InvalidSnapshot, values, NULL, result) > 0;
}
