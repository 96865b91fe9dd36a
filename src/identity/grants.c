/*
 * grants.c
 *	  See grants.h.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/grants.h"

/* --- What a grant allows --------------------------------------------------- */

/*
 * Fills in what a grant allows, in the current memory context or in that of
 * roles; false if its role does not exist.  The store was opened to read table
 * role.
 */
bool
ak_grant_resolve(AkKeystore *store, const AkGrant *grant, AkHeld *held)
{
	uint64		hash;

	held->grant = *grant;
	if (grant->is_permission)
	{
		AkPermissions direct = {1, palloc(sizeof(AkPermission)), NULL};
		AkPermissions none = {0};

		direct.items->text = grant->name.data;
		direct.items->length = grant->name.size;
		held->organization = grant->has_project ? none : direct;
		held->project = grant->has_project ? direct : none;
		hash = ak_grant_hash(&grant->name, true);
	}
	else
	{
		const AkRole *role = ak_roles_find(store, &grant->name);

		if (role == NULL)
			return false;
		held->organization = role->organization;
		held->project = role->project;
		hash = role->hash;
	}
	held->id = ak_grant_id(hash, grant->has_project ? &grant->project_id : NULL);
	return true;
}

/*
 * What is allowed at a place, in its project (if it has none: in all projects of
 * its organization) or in its organization itself; NULL: nothing.  The caller
 * makes sure that the project belongs to the organization.
 */
const AkPermissions *
ak_held_permissions(const AkHeld *held, const AkPlace *place, bool in_project)
{
	const AkGrant *grant = &held->grant;

	if (memcmp(&grant->organization_id, &place->organization,
			   sizeof(pg_uuid_t)) != 0)
		return NULL;
	if (!in_project)
		return grant->has_project ? NULL : &held->organization;
	if (grant->has_project &&
		!(place->has_project &&
		  memcmp(&grant->project_id, &place->project, sizeof(pg_uuid_t)) == 0))
		return NULL;
	return &held->project;
}

/* Whether a scope is allowed at a place. */
bool
ak_held_allows(const AkHeld *held, const AkPlace *place,
			   const char *scope, size_t scope_length)
{
	const AkPermissions *permissions =
		ak_held_permissions(held, place, place->has_project);

	return permissions &&
		ak_permissions_allow(permissions, scope, scope_length);
}

/* --- What a key holds ------------------------------------------------------ */

/* Leaves of what is held what the token leaves of it; false: nothing. */
static bool
narrow(AkKeystore *store, const AkShortToken *token, AkHeld *held)
{
	AkGrant    *grant = &held->grant;

	if (token->scopes)
	{
		held->organization.within = &token->patterns;
		held->project.within = &token->patterns;
	}
	if (!token->has_project)
		return true;
	if (grant->has_project)
		return memcmp(&grant->project_id, &token->project,
					  sizeof(pg_uuid_t)) == 0;
	held->organization.count = 0;
	grant->has_project = true;
	grant->project_id = token->project;
	return held->project.count > 0 &&
		ak_keystore_project_belongs(store, &token->project,
									&grant->organization_id);
}

/* Calls back with a grant, as a token (or NULL) narrows it; false at the end. */
static bool
visit_grant(AkKeystore *store, const AkGrant *grant, const AkShortToken *token,
			AkHeldCallback callback, void *argument)
{
	AkHeld		held;

	return !ak_grant_resolve(store, grant, &held) ||
		(token && !narrow(store, token, &held)) ||
		callback(&held, argument);
}

/*
 * Calls back with what a key holds in a project (NULL: in none) and in its
 * organization, in this order, or with everywhere, with all that it holds; as a
 * token narrows it, which lives as long as what is called back with, or NULL.  The
 * image was read with ak_image_read_rest(); of a key with roles in very many
 * projects nothing is read of these that is not asked for.  With a token's project
 * the store was opened to read table project.
 */
void
ak_grants_scan_image(AkKeystore *store, AkImage *image,
					 const pg_uuid_t *project, bool everywhere,
					 const AkShortToken *token,
					 AkHeldCallback callback, void *argument)
{
	AkGrant		grant = {.organization_id = image->organization_id};
	size_t		offset = 0;

	if (project || everywhere)
	{
		ak_image_read_projects(image);
		grant.has_project = true;
		for (int i = 0; i < image->project_roles.count; i++)
		{
			const char *here = ak_packed_array_at(&image->projects, i,
												  sizeof(pg_uuid_t));

			grant.name = ak_packed_array_next(&image->project_roles, &offset);
			if (project && memcmp(here, project, sizeof(pg_uuid_t)) != 0)
				continue;
			memcpy(&grant.project_id, here, sizeof(pg_uuid_t));
			grant.is_permission = ak_grant_is_permission(&grant.name);
			if (!visit_grant(store, &grant, token, callback, argument))
				return;
		}
		grant.has_project = false;
		offset = 0;
	}
	for (int i = 0; i < image->organization_roles.count; i++)
	{
		grant.name = ak_packed_array_next(&image->organization_roles, &offset);
		grant.is_permission = ak_grant_is_permission(&grant.name);
		if (!visit_grant(store, &grant, token, callback, argument))
			return;
	}
}
