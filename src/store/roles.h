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
	const struct AkPermissions *within; /* that must allow it too; NULL: none */
} AkPermissions;

typedef struct AkRole
{
	uint64		hash;			/* ak_grant_hash() */
	AkPermissions organization;
	AkPermissions project;
} AkRole;

extern bool ak_grant_is_permission(AkBytes *name);
extern uint64 ak_grant_hash(const AkBytes *name, bool is_permission);
extern uint64 ak_grant_id(uint64 hash, const pg_uuid_t *project);
extern const AkRole *ak_roles_find(AkKeystore *store, const AkBytes *id);
extern const AkPermission *ak_permissions_find(const AkPermissions *permissions,
											   const char *scope,
											   size_t scope_length);
extern bool ak_permissions_cover(const AkPermissions *permissions,
								 const AkPermission *wanted);

/* Whether one of the permissions allows the scope. */
static inline bool
ak_permissions_allow(const AkPermissions *permissions,
					 const char *scope, size_t scope_length)
{
	return ak_permissions_find(permissions, scope, scope_length) != NULL;
}

#endif							/* AK_ROLES_H */
