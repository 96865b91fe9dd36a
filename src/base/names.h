/*
 * names.h
 *	  What names, principals and scopes may look like.
 */
#ifndef AK_NAMES_H
#define AK_NAMES_H

#include "postgres.h"

/* In bytes; no longer text is a public key. */
#define AK_PUBLIC_KEY_MAX_SIZE	128

extern bool ak_is_name(const text *candidate);
extern bool ak_is_principal(const text *candidate);
extern void ak_check_scope(const text *scope);
extern void ak_check_scopes(const text *scopes);

#endif							/* AK_NAMES_H */
