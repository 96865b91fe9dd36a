/*
 * grants.h
 *	  Who holds which roles and permissions, and what these allow where: the one
 *	  evaluator that decisions, explanations, bound keys and the rights of
 *	  principals ask.
 *
 * A key or a member holds roles, and a key permissions beside them, each in an
 * organization or in one project of it.  What is allowed there:
 *
 *	- in the organization itself: the organization permissions of a role that is
 *	  held in it, and a permission that is held in it;
 *	- in a project: the project permissions of a role that is held in the project
 *	  or in its organization, and a permission that is held in the project.
 *
 * A token narrows what its key holds: a scope must be allowed, and a permission
 * covered, by the token's patterns as well; with a project, what is held in another
 * one is not held, and what is held in the organization is held in that project.
 */
#ifndef AK_GRANTS_H
#define AK_GRANTS_H

#include "postgres.h"

#include "store/keystore.h"
#include "store/roles.h"
#include "store/short_token.h"

/* Where something is asked for: in an organization, or in a project of it. */
typedef struct AkPlace
{
	pg_uuid_t	organization;
	bool		has_project;
	pg_uuid_t	project;
} AkPlace;

/*
 * A role or a permission that is held.  What it points to is good as long as the
 * store is open that it was read in.
 */
typedef struct AkHeld
{
	AkGrant		grant;			/* what, and where */
	AkPermissions organization; /* allowed in the organization itself */
	AkPermissions project;		/* allowed in the grant's project or, if it has
								 * none, in every project */
	uint64		id;				/* ak_grant_id() */
} AkHeld;

/* Called for each; a scan ends when it answers false. */
typedef bool (*AkHeldCallback) (const AkHeld *held, void *argument);

extern bool ak_grant_resolve(AkKeystore *store, const AkGrant *grant,
							 AkHeld *held);
extern const AkPermissions *ak_held_permissions(const AkHeld *held,
												const AkPlace *place,
												bool in_project);
extern bool ak_held_allows(const AkHeld *held, const AkPlace *place,
						   const char *scope, size_t scope_length);
extern void ak_grants_scan_image(AkKeystore *store, AkImage *image,
								 const pg_uuid_t *project, bool everywhere,
								 const AkShortToken *token,
								 AkHeldCallback callback, void *argument);

#endif							/* AK_GRANTS_H */
