/*
 * reason.c
 *	  The results of a decision, in the order of the checks.
 *
 * The key is proved from the first one after AK_TOKEN_REVOKED on, and those from
 * AK_RATE_LIMITED on are limits (decision.c).
 */
#include "core/reason.h"

#include <string.h>

static const char *const names[] = {
	[AK_OK] = "ok",
	[AK_UNKNOWN_KEY] = "unknown_key",
	[AK_WRONG_SECRET] = "wrong_secret",
	[AK_SECRET_EXPIRED] = "secret_expired",
	[AK_PEPPER_MISSING] = "pepper_missing",
	[AK_NONCE_STALE] = "nonce_stale",
	[AK_NONCE_REPLAYED] = "nonce_replayed",
	[AK_TOKEN_INVALID] = "token_invalid",
	[AK_TOKEN_EXPIRED] = "token_expired",
	[AK_TOKEN_REVOKED] = "token_revoked",
	[AK_KEY_DISABLED] = "key_disabled",
	[AK_KEY_EXPIRED] = "key_expired",
	[AK_LIFETIME_EXCEEDED] = "lifetime_exceeded",
	[AK_ORGANIZATION_ADDRESS_DENIED] = "organization_address_denied",
	[AK_ACCESS_LIST_REQUIRED] = "access_list_required",
	[AK_ADDRESS_DENIED] = "address_denied",
	[AK_SCOPE_DENIED] = "scope_denied",
	[AK_TOKEN_SCOPE_DENIED] = "token_scope_denied",
	[AK_TOKEN_PROJECT_DENIED] = "token_project_denied",
	[AK_RATE_LIMITED] = "rate_limited",
	[AK_QUOTA_EXCEEDED] = "quota_exceeded",
};

/* Returns the name of the reason in SQL. */
const char *
ak_reason_name(AkReason reason)
{
	return names[reason];
}

/* Returns the reason of that name, AK_REASON_COUNT if there is none. */
AkReason
ak_reason_of_name(const char *name)
{
	int			reason = 0;

	while (reason < AK_REASON_COUNT && strcmp(names[reason], name) != 0)
		reason++;
	return (AkReason) reason;
}

/* The better of the results of two of a key's secrets. */
AkReason
ak_reason_better(AkReason a, AkReason b)
{
	static const AkReason best_first[] = {
		AK_OK, AK_SECRET_EXPIRED, AK_PEPPER_MISSING
	};

	for (int i = 0; i < (int) (sizeof(best_first) / sizeof(best_first[0])); i++)
		if (a == best_first[i] || b == best_first[i])
			return best_first[i];
	return AK_WRONG_SECRET;
}

/*
 * The status of an HTTP response to it: 401 where the key is not proved, 403
 * where it is and is denied, 429 where it is over a limit.
 */
int
ak_reason_http_status(AkReason reason)
{
	switch (reason)
	{
		case AK_OK:
			return 200;
		case AK_UNKNOWN_KEY:
		case AK_WRONG_SECRET:
		case AK_SECRET_EXPIRED:
		case AK_PEPPER_MISSING:
		case AK_NONCE_STALE:
		case AK_NONCE_REPLAYED:
		case AK_TOKEN_INVALID:
		case AK_TOKEN_EXPIRED:
		case AK_TOKEN_REVOKED:
			return 401;
		case AK_RATE_LIMITED:
		case AK_QUOTA_EXCEEDED:
			return 429;
		default:
			return 403;
	}
}
