/*
 * door.c
 *	  The door: the only entry of every management verb.
 *
 * A verb has a face in schema apikeys, a C function of this file, and a body
 * in schema apikeys_internal, a stored procedure with the same name and
 * argument types.  The face records the caller, pins the relevant settings,
 * acts as the owner of the body while the body runs, and acts as the caller
 * again on every path (base/owner.c). SECURITY DEFINER cannot do this: it does
 * not know its immediate caller.
 *
 * The caller's arguments are passed on as values, without the collations of their
 * expressions; behind the door no expression of the caller is evaluated.  Defaults of arguments belong to the
 * face and are evaluated before.  An argument without a default must not be
 * NULL.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "identity/identity.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define BODIES "apikeys_internal"

/* The body of a face, cached in fn_extra. */
typedef struct Door
{
	FmgrInfo	body;
	Oid			owner;
	int			required;		/* arguments that must not be NULL */
} Door;

PG_FUNCTION_INFO_V1(apikeys_door);
PG_FUNCTION_INFO_V1(apikeys_door_key);
PG_FUNCTION_INFO_V1(apikeys_door_first);

/* The row of pg_proc of the face, which the caller releases. */
static HeapTuple
find_face(Oid face)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(face));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", face);
	return tuple;
}

/*
 * Finds the body of the face; once for each call site, in its memory context.
 */
static Door *
make_door(FmgrInfo *face)
{
	Door	   *door = MemoryContextAllocZero(face->fn_mcxt, sizeof(Door));
	HeapTuple	face_tuple = find_face(face->fn_oid);
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(face_tuple);
	HeapTuple	body_tuple =
		SearchSysCache3(PROCNAMEARGSNSP, NameGetDatum(&form->proname),
						PointerGetDatum(&form->proargtypes),
						ObjectIdGetDatum(get_namespace_oid(BODIES, false)));

	if (!HeapTupleIsValid(body_tuple))
		elog(ERROR, "there is no %s.%s", BODIES, NameStr(form->proname));
	door->required = form->pronargs - form->pronargdefaults;
	form = (Form_pg_proc) GETSTRUCT(body_tuple);
	door->owner = form->proowner;
	fmgr_info_cxt(form->oid, &door->body, face->fn_mcxt);
	fmgr_info_set_expr(face->fn_expr, &door->body);
	ReleaseSysCache(body_tuple);
	ReleaseSysCache(face_tuple);
	face->fn_extra = door;
	return door;
}

static void
refuse_null(Oid face, int argument)
{
	char	  **names;
	Oid		   *types;
	char	   *modes;

	(void) get_func_arg_info(find_face(face), &types, &names, &modes);
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s must not be null", names[argument]),
			 ak_errid("null_argument")));
}

/*
 * Calls the body of the face that fcinfo is for, and returns what it returns;
 * of the arguments without a default so many must not be NULL.
 * A set is returned whole, so that the body has ended when the caller goes on.
 */
static Datum
enter(FunctionCallInfo fcinfo, int required)
{
	FmgrInfo   *face = fcinfo->flinfo;
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Door	   *door = face->fn_extra ? face->fn_extra : make_door(face);
	Oid			collation = fcinfo->fncollation;
	AkOwner		owner;
	volatile bool is_done = false;
	volatile Datum result = (Datum) 0;

	if (IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("keys cannot be managed in a parallel worker"),
				 ak_errid("parallel_worker")));
	ak_identity_require_rights();
	for (int i = 0; i < Min(required, door->required); i++)
		if (PG_ARGISNULL(i))
			refuse_null(face->fn_oid, i);
	if (door->body.fn_retset && set && IsA(set, ReturnSetInfo))
		set->allowedModes &= ~SFRM_ValuePerCall;

	fcinfo->flinfo = &door->body;
	fcinfo->fncollation = DEFAULT_COLLATION_OID;
	ak_owner_begin(&owner, door->owner, true);
	PG_TRY();
	{
		result = FunctionCallInvoke(fcinfo);
		is_done = true;
	}
	PG_FINALLY();
	{
		fcinfo->flinfo = face;
		fcinfo->fncollation = collation;
		ak_owner_end(&owner, !is_done);
	}
	PG_END_TRY();
	return result;
}

/* The face of a verb that returns the result of its body. */
Datum
apikeys_door(PG_FUNCTION_ARGS)
{
	return enter(fcinfo, FUNC_MAX_ARGS);
}

/* The same for a verb to which NULL says something: only the first must not be. */
Datum
apikeys_door_first(PG_FUNCTION_ARGS)
{
	return enter(fcinfo, 1);
}

/*
 * The face of a verb whose body returns a public key: returns the key's row of
 * view keys, as the caller sees it; NULL if the key is not visible to the
 * caller.
 */
Datum
apikeys_door_key(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	Oid			type = TEXTOID;
	Datum		public_key = enter(fcinfo, FUNC_MAX_ARGS);
	Datum		row = (Datum) 0;
	bool		isnull = true;
	MemoryContext result_context = CurrentMemoryContext;
	int			settings_level = NewGUCNestLevel();

	fcinfo->isnull = false;
	ak_plan_by_index();
	SPI_connect();
	if (plan == NULL)
	{
		plan = SPI_prepare("SELECT k FROM apikeys.keys AS k "
						   "WHERE k.public_key OPERATOR(pg_catalog.=) $1",
						   1, &type);
		SPI_keepplan(plan);
	}
	SPI_execute_plan(plan, &public_key, NULL, false, 1);
	if (SPI_processed > 0)
	{
		row = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
							&isnull);
		MemoryContextSwitchTo(result_context);
		if (!isnull)
			row = datumCopy(row, false, -1);
	}
	SPI_finish();
	AtEOXact_GUC(true, settings_level);
	if (isnull)
		PG_RETURN_NULL();
	return row;
}
