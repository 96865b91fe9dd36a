/*
 * privileged.h
 *	  Runs one statement with the rights of the tables' owner.
 */
#ifndef AK_PRIVILEGED_H
#define AK_PRIVILEGED_H

#include "postgres.h"

#include "utils/snapshot.h"

/*
 * A statement with its arguments' types, to be a static variable: the plan is
 * made once in a session, for whatever values.
 */
typedef struct AkStatement
{
	const char *sql;
	int			argument_count;
	Oid			types[8];

	/*
	 * Never with a sequential scan: a plan that was made while a table was
	 * empty would be kept while one statement fills it.
	 */
	bool		by_index;
	struct _SPI_plan *plan;
} AkStatement;

extern uint64 ak_privileged_execute(AkStatement *statement, Datum *values,
									const char *nulls);
extern uint64 ak_privileged_execute_at(Snapshot snapshot,
									   AkStatement *statement, Datum *values,
									   const char *nulls);
extern bool ak_privileged_get_int64(AkStatement *statement, Datum *values,
									int64 *result);

#endif							/* AK_PRIVILEGED_H */
