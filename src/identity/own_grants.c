/*
 * own_grants.c
 *	  See own_grants.h.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/identity.h"
#include "identity/own_grants.h"
#include "usage/usage.h"

#include "utils/timestamp.h"

/*
 * Calls back with each current role of the bound key; a key that has expired,
 * or was disabled since it was bound, has none.
 */
static void
scan_key_grants(AkKeystore *store, text *public_key,
				AkGrantCallback callback, void *argument)
{
	AkImage		key;
	AkGrant		grant = {0};
	size_t		offset = 0;

	if (!ak_keystore_find_any_image(store, public_key, &key) ||
		key.disabled || key.expires_at <= GetCurrentTimestamp())
		return;
	ak_image_read_rest(&key);
	ak_image_read_projects(&key);
	grant.organization_id = key.organization_id;
	for (int i = 0; i < key.organization_roles.count; i++)
	{
		grant.role = ak_packed_array_next(&key.organization_roles, &offset);
		callback(&grant, argument);
	}
	grant.has_project = true;
	offset = 0;
	for (int i = 0; i < key.project_roles.count; i++)
	{
		grant.role = ak_packed_array_next(&key.project_roles, &offset);
		memcpy(&grant.project_id,
			   ak_packed_array_at(&key.projects, i, sizeof(pg_uuid_t)),
			   sizeof(pg_uuid_t));
		callback(&grant, argument);
	}
}

/* The tables that ak_own_grants_scan() reads, and the table of roles. */
uint32
ak_own_grants_tables(void)
{
	return AK_TABLE_BIT(AK_ROLE) |
		AK_TABLE_BIT(ak_identity_key() ? AK_KEY_IMAGE : AK_MEMBER);
}

/*
 * Calls back with each role of the principal: a bound key has its own, and
 * none of those of the PostgreSQL role that called.
 */
void
ak_own_grants_scan(AkKeystore *store, AkGrantCallback callback, void *argument)
{
	text	   *key = ak_identity_key();
	text	   *user = ak_identity_user();
	ListCell   *cell;

	if (key)
		scan_key_grants(store, key, callback, argument);
	else if (user)
		ak_keystore_scan_user(store, user, callback, argument);
	else
		foreach(cell, ak_identity_roles())
			ak_keystore_scan_role(store, lfirst_oid(cell), callback, argument);
}

/* Returns the ak_grant_id() of a grant of a role. */
uint64
ak_own_grant_id(const AkGrant *grant, const AkRole *role)
{
	return ak_grant_id(role->name_hash,
					   grant->has_project ? &grant->project_id : NULL);
}

/*
 * Records that a grant allowed something, if it is a grant of the bound key.
 */
void
ak_own_grants_record_use(uint64 id)
{
	text	   *bound = ak_identity_key();

	if (bound)
		ak_usage_record_grant(bound, id);
}
