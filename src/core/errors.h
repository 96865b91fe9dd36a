/*
 * errors.h
 *	  The identifier of an error, by which a program tells refusals apart.
 *
 * It stands in the CONSTRAINT field of the error, beside the SQLSTATE, and never
 * changes; doc/reference.md lists them all.  PL/pgSQL says the same by
 * RAISE ... USING CONSTRAINT = '...'.
 */
#ifndef AK_ERRORS_H
#define AK_ERRORS_H

#include "postgres_ext.h"

/* To be used inside ereport(). */
#define ak_errid(identifier) \
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, (identifier))

#endif							/* AK_ERRORS_H */
