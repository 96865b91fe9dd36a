/*
 * decision.h
 *	  The decision: may a request made with this key go on?
 *
 * The checks are made in a fixed order (reason.h), and the first that fails is
 * the reason.
 */
#ifndef AK_DECISION_H
#define AK_DECISION_H

#include "postgres.h"

#include "core/netset.h"
#include "core/reason.h"
#include "decision/limits.h"
#include "store/keystore.h"

/* What is asked; a NULL pointer is a NULL argument. */
typedef struct AkRequest
{
	text	   *public_key;
	text	   *secret;
	const AkNetwork *address;
	bool		any_scope;		/* not what the key may do, but whether it is good */
	text	   *scope;
	const pg_uuid_t *project;
	int64		cost;			/* what it weighs in limits; 0 or more */
	bool		wants_limit;	/* what limits say, also where they allow it */
} AkRequest;

typedef struct AkDecision
{
	AkKeystore	store;
	TimestampTz now;
	AkReason	reason;
	bool		key_exists;

	/* Valid if key_exists; what it points to only while the store is open. */
	AkImage		key;
	int32		secret_version; /* of the secret that was proved; 0: none */
	bool		has_network;
	AkNetwork	network;		/* the entry that let the address in */
	AkLimitAnswer limit;		/* what the limits say, if they were asked */
	uint64		grant;			/* ak_grant_id() of the role that allowed the
								 * scope; 0: none */
} AkDecision;

/* So many of a key's secrets are looked at, the newest ones. */
#define AK_SECRETS_TRIED	8

/* Whether a decision looks at the secret at an index; the oldest is at 0. */
static inline bool
ak_decision_tries_secret(const AkImage *key, int index)
{
	return index >= key->secrets.count - AK_SECRETS_TRIED;
}

extern void ak_decision_open(const AkRequest *request, AkDecision *decision);
extern void ak_decision_close(const AkRequest *request, AkDecision *decision);
extern bool ak_decision_proves(const AkDecision *decision);
extern void ak_decision_raise(const AkDecision *decision, int denied_code);

#endif							/* AK_DECISION_H */
