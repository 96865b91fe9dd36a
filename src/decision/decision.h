/*
 * decision.h
 *	  The decision: is a request made with this key allowed?
 *
 * The checks are made in a fixed order (reason.h). The first one that fails is
 * the reason.
 */
#ifndef AK_DECISION_H
#define AK_DECISION_H

#include "postgres.h"

#include "core/digest.h"
#include "core/netset.h"
#include "core/reason.h"
#include "core/scope.h"
#include "decision/limits.h"
#include "store/keystore.h"
#include "store/short_token.h"

/* A proof by HTTP Digest; a NULL pointer is a NULL argument. */
typedef struct AkDigestClaim
{
	AkDigest	digest;			/* valid if it names a public key */
	const text *method;
	const text *uri;
} AkDigestClaim;

/* The request; a NULL pointer is a NULL argument. */
typedef struct AkRequest
{
	text	   *public_key;
	text	   *secret;
	const text *token;			/* short-lived, instead of these; or NULL */
	const AkDigestClaim *digest;	/* instead of the secret, or NULL */
	const AkNetwork *address;
	bool		any_scope;		/* not what the key may do, but whether it is good */
	text	   *scope;			/* or several, with blanks between */
	const pg_uuid_t *project;
	bool		wants_details;	/* of the key, if it is proved, and what its
								 * limits say, also where they allow it */
	int64		cost;			/* what it weighs in limits; 0 or more */
} AkRequest;

typedef struct AkDecision
{
	AkKeystore	store;
	TimestampTz now;
	AkReason	reason;
	text	   *public_key;		/* that was claimed; NULL: none, or by a token
								 * that is not authentic */
	AkShortToken *token;		/* palloc'd, if it is authentic; else NULL */
	bool		key_exists;

	/* Valid if key_exists; its pointers only while the store is open. */
	AkImage		key;
	int32		secret_version; /* of the secret that was proved, or that the
								 * token came from; 0: none */
	bool		has_network;
	AkNetwork	network;		/* the entry that let the address in */
	AkDetails	details;		/* palloc'd, if they are wanted */
	AkLimitAnswer limit;		/* what the limits say, if they were asked */

	/* ak_grant_id() of the roles that allowed the scopes, each once. */
	int			grant_count;
	uint64		grants[AK_SCOPES_MAX];
} AkDecision;

extern void ak_request_set_token(AkRequest *request, Datum api_key);
extern void ak_request_wipe_token(AkRequest *request);
extern text *ak_decision_get_text(Datum argument, int max_size);
extern void ak_decision_open(const AkRequest *request, AkDecision *decision);
extern void ak_decision_close(const AkRequest *request, AkDecision *decision);
extern AkReason ak_decision_choose_reason(AkReason a, AkReason b);
extern bool ak_decision_proves(const AkDecision *decision);
extern void ak_decision_raise(const AkDecision *decision, int denied_code);

#endif							/* AK_DECISION_H */
