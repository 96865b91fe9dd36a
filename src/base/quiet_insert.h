/*
 * quiet_insert.h
 *	  Inserting rows for which no trigger has anything to do.
 */
#ifndef AK_QUIET_INSERT_H
#define AK_QUIET_INSERT_H

#include "postgres.h"

#include "executor/spi.h"

extern void ak_quiet_insert(SPIPlanPtr plan, Datum *values,
							const char *nulls);

#endif							/* AK_QUIET_INSERT_H */
