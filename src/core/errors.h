/*
 * errors.h
 *	  The identifier of an error, by which a program distinguishes errors.  It
 *	  is in the CONSTRAINT field, beside the SQLSTATE, and never changes.
 *	  doc/reference.md lists all identifiers.  PL/pgSQL sets it with RAISE ...
 *	  USING CONSTRAINT = '...'.
 */
#ifndef AK_ERRORS_H
#define AK_ERRORS_H

#include "postgres_ext.h"

/* For use inside ereport(). */
#define ak_errid(identifier) \
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, (identifier))

#endif							/* AK_ERRORS_H */
