/*
 * names.h
 *	  What names and scopes may look like.
 */
#ifndef AK_NAMES_H
#define AK_NAMES_H

#include "postgres.h"

extern void ak_check_scope(const text *scope);
extern bool ak_is_principal(const text *candidate);

#endif							/* AK_NAMES_H */
