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

/* The tables that ak_own_grants_scan() reads, and that of roles. */
uint32
ak_own_grants_tables(void)
{
	return AK_TABLE_BIT(AK_ROLE) |
		(ak_identity_token() ? AK_TABLE_BIT(AK_PROJECT) : 0) |
		AK_TABLE_BIT(ak_identity_key() ? AK_KEY_IMAGE : AK_MEMBER);
}

/*
 * Calls back with what the principal holds.  A bound key has its own, and nothing
 * of the PostgreSQL role that carries it: as it is now, so that a key that was
 * disabled since, or has expired, holds nothing; nor does one that was bound by a
 * token that has ended.
 */
void
ak_own_grants_scan(AkKeystore *store, AkHeldCallback callback, void *argument)
{
	MemberScan	scan = {store, callback, argument};
	text	   *key = ak_identity_key();
	text	   *user = ak_identity_user();
	ListCell   *cell;

	if (key)
	{
		AkImage		image;
		const AkShortToken *token = ak_identity_token();
		TimestampTz now = GetCurrentTimestamp();

		if (!ak_keystore_find_any_image(store, key, &image) ||
			image.disabled || image.expires_at <= now ||
			(token && (token->expires_at <= now ||
					   !ak_short_token_secret_lives(token, &image, now))))
			return;
		ak_image_read_rest(&image);
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
	text	   *bound = ak_identity_key();

	if (bound)
		ak_usage_record_grant(bound, id);
}
