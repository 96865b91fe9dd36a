/*
 * roles.h
 *	  The permissions of each role, cached in the backend.
 */
#ifndef AK_ROLES_H
#define AK_ROLES_H

#include "postgres.h"

#include "store/keystore.h"

#include "utils/uuid.h"

typedef struct AkPermission
{
	const char *text;
	size_t		length;
} AkPermission;

typedef struct AkPermissions
{
	int			count;
	AkPermission *items;
} AkPermissions;

typedef struct AkRole
{
	uint64		name_hash;
	AkPermissions organization;
	AkPermissions project;
} AkRole;

extern uint64 ak_role_hash(const char *name, size_t length);
extern uint64 ak_grant_id(uint64 role_hash, const pg_uuid_t *project);
extern const AkRole *ak_roles_find(AkKeystore *store, const AkBytes *name);
extern bool ak_permissions_allow(const AkPermissions *permissions,
								 const char *scope, size_t scope_length);

#endif							/* AK_ROLES_H */
