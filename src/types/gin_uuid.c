/*
 * gin_uuid.c
 *	  What a GIN index needs to have a uuid for its first column, as btree_gin of
 *	  PostgreSQL's contrib has it: so that metadata is looked up within an
 *	  organization.  See "GIN Extensibility" in the documentation of PostgreSQL.
 */
#include "postgres.h"

#include "core/compat.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(apikeys_gin_extract_uuid);
PG_FUNCTION_INFO_V1(apikeys_gin_consistent_uuid);

/* The only key of a value, and of a query. */
Datum
apikeys_gin_extract_uuid(PG_FUNCTION_ARGS)
{
	int32	   *count = (int32 *) PG_GETARG_POINTER(1);
	Datum	   *keys = palloc(sizeof(Datum));

	keys[0] = PG_GETARG_DATUM(0);
	*count = 1;
	PG_RETURN_POINTER(keys);
}

Datum
apikeys_gin_consistent_uuid(PG_FUNCTION_ARGS)
{
	const bool *found = (bool *) PG_GETARG_POINTER(0);
	bool	   *recheck = (bool *) PG_GETARG_POINTER(5);

	*recheck = false;
	PG_RETURN_BOOL(found[0]);
}
