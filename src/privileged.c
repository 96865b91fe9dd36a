/*
 * privileged.c
 *	  See privileged.h.
 *
 * For the few writes that nobody may do by hand, such as the record of a use.
 * Whoever calls this has checked that the write is in order, has written the
 * statement himself, with every name and operator qualified, and passes all
 * that comes from outside as parameters.
 */
#include "postgres.h"

#include "compat.h"
#include "privileged.h"
#include "tables.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/syscache.h"

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
	statement->plan = SPI_prepare(statement->sql, statement->argument_count,
								  statement->types);
	if (statement->plan == NULL)
		elog(ERROR, "could not prepare a statement: %s",
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(statement->plan);
}

/*
 * Executes the statement as the owner of the extension's tables, and returns
 * how many rows it has processed; values and nulls are those of
 * SPI_execute_plan().  After an error the end of the (sub)transaction gives
 * the user his own rights back.
 */
uint64
ak_privileged_execute(AkStatement *statement, Datum *values, const char *nulls)
{
	Oid			user;
	int			security_context;
	uint64		processed;

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(get_owner(ak_table_oid(AK_KEY)),
						   security_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	SPI_connect();
	if (statement->plan == NULL)
		prepare(statement);
	SPI_execute_plan(statement->plan, values, nulls, false, 0);
	processed = SPI_processed;
	SPI_finish();
	SetUserIdAndSecContext(user, security_context);
	return processed;
}
