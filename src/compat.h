/*
 * compat.h
 *	  What differs between PostgreSQL 15, 16, 17 and 18, so that all other
 *	  files speak the newest one's language.  Include it after postgres.h.
 */
#ifndef AK_COMPAT_H
#define AK_COMPAT_H

#include "fmgr.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "apikeys supports PostgreSQL 15 to 18"
#endif

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#else

/* Input functions could not report an error softly before 16. */
#define ereturn(context, dummy_value, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy_value; \
	} while (0)
#endif

#endif							/* AK_COMPAT_H */
