/*
 * admission.c
 *	  Whether a key can be used at all, now and from an address: what a decision asks
 *	  of a key that is proved, and again of a bound key that manages.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/identity.h"
#include "types/types.h"

/* Whether the organization lets the address in, whatever the key does. */
static bool
organization_admits(const AkPolicy *policy, const AkNetwork *address)
{
	AkNetset	set;
	AkNetwork	network;

	if (policy->access_list == NULL)
		return true;
	ak_access_list_view(policy->access_list, &set);
	return address && ak_netset_find(&set, address, &network);
}

/*
 * Returns the first reason why a key cannot be used, or AK_OK; and which entry of
 * its access list has the address (NULL: unknown), if one has.  The image was read
 * with ak_image_read_rest().
 */
AkReason
ak_admit_key(const AkImage *key, const AkPolicy *policy, TimestampTz now,
			 const AkNetwork *address, bool *has_network, AkNetwork *network)
{
	AkListReader reader;
	AkNetset	set;

	*has_network = false;
	if (key->disabled)
		return AK_KEY_DISABLED;
	if (key->expires_at <= now)
		return AK_KEY_EXPIRED;
	if (key->expires_at > ak_policy_end_of_life(policy, key->created_at))
		return AK_LIFETIME_EXCEEDED;
	if (!organization_admits(policy, address))
		return AK_ORGANIZATION_ADDRESS_DENIED;
	ak_list_open(key->access_list, key->writer, &reader, &set);
	if (address)
		*has_network = ak_netset_find(&set, address, network);
	ak_list_close(&reader);
	if (set.count4 + set.count6 == 0)
		return policy->require_access_list ? AK_ACCESS_LIST_REQUIRED : AK_OK;
	return *has_network ? AK_OK : AK_ADDRESS_DENIED;
}
