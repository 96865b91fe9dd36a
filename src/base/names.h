/*
 * names.h
 *	  Rules for names, principals and scopes.
 */
#ifndef AK_NAMES_H
#define AK_NAMES_H

#include "postgres.h"

/* In bytes; a public key is not longer. */
#define AK_PUBLIC_KEY_MAX_SIZE	128

extern bool ak_is_name(const text *candidate);
extern bool ak_is_principal(const text *candidate);
extern void ak_check_scope(const text *scope);
extern void ak_check_scopes(const text *scopes);

#endif							/* AK_NAMES_H */
