/*
 * identity.h
 *	  The current principal: a key, a user of the application, or a PostgreSQL
 *	  role.  All functions except ak_identity_init() raise 55000 in a parallel
 *	  worker.
 */
#ifndef AK_IDENTITY_H
#define AK_IDENTITY_H

#include "postgres.h"

#include "identity/bound_key.h"

#include "nodes/pg_list.h"

extern void ak_identity_init(void);
extern void ak_identity_bind(text *public_key, AkKeystore *store,
							 AkImage *image, const AkNetwork *address,
							 int32 secret_version,
							 const AkShortToken *token);
extern text *ak_identity_key(void);
extern const AkShortToken *ak_identity_token(void);
extern bool ak_identity_reads_itself(const text *public_key);
extern bool ak_identity_is_key(const text *public_key);
extern text *ak_identity_user(void);
extern List *ak_identity_roles(void);
extern char *ak_identity_principal(void);
extern bool ak_identity_address(AkNetwork *address);
extern bool ak_identity_is_superuser(void);
extern bool ak_identity_sees_all(void);

#endif							/* AK_IDENTITY_H */
