/*
 * identity.h
 *	  Who is acting.
 */
#ifndef AK_IDENTITY_H
#define AK_IDENTITY_H

#include "postgres.h"

#include "nodes/pg_list.h"

extern void ak_identity_init(void);
extern char *ak_identity_principal(void);
extern List *ak_identity_names(void);

#endif							/* AK_IDENTITY_H */
