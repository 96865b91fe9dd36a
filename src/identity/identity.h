/*
 * identity.h
 *	  Who is acting.
 */
#ifndef AK_IDENTITY_H
#define AK_IDENTITY_H

#include "postgres.h"

#include "identity/bound_key.h"

#include "nodes/pg_list.h"

extern void ak_identity_init(void);
extern void ak_identity_bind(text *public_key, const AkImage *image,
							 const AkNetwork *address);
extern text *ak_identity_key(void);
extern const AkNetwork *ak_identity_key_address(void);
extern char *ak_identity_principal(void);
extern List *ak_identity_names(void);

#endif							/* AK_IDENTITY_H */
