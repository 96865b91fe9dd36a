/*
 * request.h
 *	  What a request claims, and what a decision about it finds.
 */
#ifndef AK_REQUEST_H
#define AK_REQUEST_H

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
extern text *ak_request_get_text(Datum argument, int max_size);

#endif							/* AK_REQUEST_H */
