/*
 * privileged.h
 *	  Runs one statement with the rights of the tables' owner.
 */
#ifndef AK_PRIVILEGED_H
#define AK_PRIVILEGED_H

#include "postgres.h"

extern uint64 ak_privileged_execute(const char *sql, int argument_count,
									Oid *types, Datum *values,
									const char *nulls);

#endif							/* AK_PRIVILEGED_H */
