/*
 * roles.h
 *	  What each role permits, kept in the backend's memory.
 */
#ifndef AK_ROLES_H
#define AK_ROLES_H

#include "postgres.h"

#include "keystore.h"

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
	AkPermissions organization;
	AkPermissions project;
} AkRole;

extern void ak_roles_refresh(AkKeystore *store);
extern const AkRole *ak_roles_find(const char *name, size_t length);
extern bool ak_permissions_allow(const AkPermissions *permissions,
								 const char *scope, size_t scope_length);

#endif							/* AK_ROLES_H */
