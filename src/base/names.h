/*
 * names.h
 *	  What names, principals, public keys and scopes may look like.
 */
#ifndef AK_NAMES_H
#define AK_NAMES_H

#include "postgres.h"

/* The longest public key. */
#define AK_PUBLIC_KEY_MAX_SIZE	128

extern bool ak_is_principal(const text *candidate);
extern void ak_check_scope(const text *scope);

#endif							/* AK_NAMES_H */
