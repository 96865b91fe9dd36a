/*
 * reason.h
 *	  The results of a decision, in the order of the checks.
 *
 * The key is proved from the first one after AK_TOKEN_REVOKED on, and those from
 * AK_RATE_LIMITED on are limits (decision.c).
 */
#ifndef AK_REASON_H
#define AK_REASON_H

typedef enum AkReason
{
	AK_OK,
	AK_UNKNOWN_KEY,
	AK_WRONG_SECRET,
	AK_SECRET_EXPIRED,
	AK_PEPPER_MISSING,
	AK_NONCE_STALE,
	AK_NONCE_REPLAYED,
	AK_TOKEN_INVALID,
	AK_TOKEN_EXPIRED,
	AK_TOKEN_REVOKED,
	AK_KEY_DISABLED,
	AK_KEY_EXPIRED,
	AK_LIFETIME_EXCEEDED,
	AK_ORGANIZATION_ADDRESS_DENIED,
	AK_ACCESS_LIST_REQUIRED,
	AK_ADDRESS_DENIED,
	AK_SCOPE_DENIED,
	AK_TOKEN_SCOPE_DENIED,
	AK_TOKEN_PROJECT_DENIED,
	AK_RATE_LIMITED,
	AK_QUOTA_EXCEEDED,
	AK_REASON_COUNT
} AkReason;

extern const char *ak_reason_name(AkReason reason);
extern AkReason ak_reason_of_name(const char *name);
extern AkReason ak_reason_better(AkReason a, AkReason b);
extern int	ak_reason_http_status(AkReason reason);

#endif							/* AK_REASON_H */
