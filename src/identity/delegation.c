/*
 * delegation.c
 *	  See delegation.h.
 *
 * The acting key is taken as it is now.  One that is gone covers nothing.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/delegation.h"
#include "identity/identity.h"
#include "store/list_cache.h"
#include "types/type_access_list.h"

#include "utils/timestamp.h"

/* Whether each of the networks is in one of the others. */
static bool
is_within(const AkNetset *networks, const AkNetset *others)
{
	for (size_t i = 0; i < networks->count4 + networks->count6; i++)
	{
		AkNetwork	network;
		AkNetwork	match;

		ak_netset_get(networks, i, &network);
		if (!ak_netset_find(others, &network, &match))
			return false;
	}
	return true;
}

/*
 * Whether who is acting may let a key be used from the networks of a list,
 * which is detoasted; the empty one is all networks there are.
 */
bool
ak_delegation_covers_list(AkKeystore *store, struct varlena *list)
{
	text	   *acting = ak_identity_key();
	AkImage		key;
	AkNetset	networks;
	AkNetset	own;

	if (acting == NULL)
		return true;
	if (!ak_keystore_find_any_image(store, acting, &key))
		return false;
	ak_access_list_view(list, &networks);
	ak_access_list_view(ak_list_cache_get(key.access_list, key.writer), &own);
	if (own.count4 + own.count6 == 0)
		return true;
	return networks.count4 + networks.count6 > 0 && is_within(&networks, &own);
}

/*
 * Whether who is acting may let a key live until then; DT_NOEND stands for
 * ever.
 */
bool
ak_delegation_covers_life(AkKeystore *store, TimestampTz expires_at)
{
	text	   *acting = ak_identity_key();
	AkImage		key;

	return acting == NULL ||
		(ak_keystore_find_any_image(store, acting, &key) &&
		 expires_at <= key.expires_at);
}

/* Whether who is acting may hold a secret of the key, as far as this goes. */
bool
ak_delegation_covers_key(AkKeystore *store, text *public_key)
{
	AkImage		key;
	struct varlena *list;
	TimestampTz expires_at;

	if (ak_identity_key() == NULL)
		return true;
	if (!ak_keystore_find_any_image(store, public_key, &key))
		return false;
	/* Finding another image lets go of this one. */
	list = (struct varlena *) PG_DETOAST_DATUM_COPY(PointerGetDatum(key.access_list));
	expires_at = key.expires_at;
	return ak_delegation_covers_list(store, list) &&
		ak_delegation_covers_life(store, expires_at);
}
