/*
 * grants.c
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
#include "postgres.h"

#include "core/compat.h"
#include "identity/identity.h"
#include "usage/usage.h"

#include "utils/timestamp.h"

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

/* --- What the principal holds -------------------------------------------- */

/*
 * What the principal holds: a bound key its own grants, anybody else those of
 * its memberships.
 */

/* Resolves the grants of a scan of members, until the callback answers false. */
typedef struct MemberScan
{
	AkKeystore *store;
	AkHeldCallback callback;
	void	   *argument;
	bool		has_ended;
} MemberScan;

static void
visit_member(const AkGrant *grant, void *argument)
{
	MemberScan *scan = argument;
	AkHeld		held;

	if (!scan->has_ended && ak_grant_resolve(scan->store, grant, &held))
		scan->has_ended = !scan->callback(&held, scan->argument);
}

/*
 * Opens the store for ak_own_grants_scan(), to read projects, and to read some
 * other tables.
 */
void
ak_own_grants_open(AkKeystore *store, uint32 tables)
{
	ak_keystore_open(store, tables | AK_TABLE_BIT(AK_ROLE) |
					 AK_TABLE_BIT(AK_PROJECT) |
					 (ak_identity_key() ?
					  AK_TABLE_BIT(AK_KEY_IMAGE) | AK_TABLE_BIT(AK_ORGANIZATION) :
					  AK_TABLE_BIT(AK_MEMBER)));
}

/* Whether the bound key can still be used, from the address that it was bound with. */
static bool
is_admitted(AkKeystore *store, const AkImage *image, TimestampTz now)
{
	AkPolicy	policy = ak_policy_get(store, &image->organization_id);
	AkNetwork	address;
	AkNetwork	network;
	bool		is_known = ak_identity_address(&address);
	bool		has_network;

	return ak_admit_key(image, &policy, now, is_known ? &address : NULL,
						&has_network, &network) == AK_OK;
}

/*
 * Calls back with what the principal holds.  A bound key has its own, and nothing
 * of the PostgreSQL role that carries it: as it is now, so that a key that cannot be
 * used any more, or not from the address that it was bound with, holds nothing; nor
 * does one whose secret was revoked since, or whose token has ended.
 */
void
ak_own_grants_scan(AkKeystore *store, AkHeldCallback callback, void *argument)
{
	MemberScan	scan = {store, callback, argument};
	const AkBoundKey *bound = ak_identity_bound_key();
	text	   *user = ak_identity_user();
	ListCell   *cell;

	if (!ak_identity_has_rights())
		return;
	if (bound)
	{
		AkImage		image;
		const AkShortToken *token = bound->token;
		TimestampTz now = GetCurrentTimestamp();

		if (!ak_keystore_find_any_image(store, bound->public_key, &image) ||
			!ak_image_secret_lives(&image, bound->secret_version, now) ||
			(token && token->expires_at <= now))
			return;
		ak_image_read_rest(&image);
		if (!is_admitted(store, &image, now))
			return;
		ak_grants_scan_image(store, &image, NULL, true, token, callback,
							 argument);
	}
	else if (user)
		ak_keystore_scan_user(store, user, visit_member, &scan);
	else
		foreach(cell, ak_identity_roles())
			ak_keystore_scan_role(store, lfirst_oid(cell), visit_member, &scan);
}

/* Records that a grant allowed something, if it is a bound key's. */
void
ak_own_grants_record_use(uint64 id)
{
	const AkBoundKey *bound = ak_identity_bound_key();

	if (bound)
		ak_usage_record_grant(bound->public_key, &bound->organization_id, id);
}
