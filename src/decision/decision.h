/*
 * decision.h
 *	  The decision: is a request made with this key allowed?
 */
#ifndef AK_DECISION_H
#define AK_DECISION_H

#include "postgres.h"

#include "core/crypto.h"
#include "core/netset.h"
#include "core/reason.h"
#include "core/scope.h"
#include "store/store.h"
#include "usage/limits.h"

#include "fmgr.h"

/* --- limits.c ------------------------------------------------------------ */

/* What one limit says of a request; times in microseconds. */
typedef struct AkLimitAnswer
{
	bool		exists;			/* if not, there is no limit */
	bool		waits;			/* denied, and waiting helps */
	int64		retry_after;	/* if it waits */
	int64		remaining;
	bool		resets;
	int64		reset_after;	/* if it resets */
	const char *name;			/* a constant, or palloc'd */
} AkLimitAnswer;

/* A limit that applies, in the order in which of equals the earlier answers. */
typedef struct AkApplied
{
	const AkLimit *limit;		/* as the tables say */
	const char *of;				/* "", or "organization " */
} AkApplied;

/* So many need no memory but that of the set. */
#define AK_FEW_LIMITS	4

/* All that apply to a key; it is not copied, for it may point into itself. */
typedef struct AkLimitSet
{
	AkLimit    *own;			/* of the key */
	AkApplied  *applied;
	AkLimitCheck *checks;		/* one for each */
	int			count;
	const pg_uuid_t *organization;	/* of the key */
	int			share;			/* this server's of each, in millionths */
	AkLimit		few_own[AK_FEW_LIMITS];
	AkApplied	few_applied[AK_FEW_LIMITS];
	AkLimitCheck few_checks[AK_FEW_LIMITS];
} AkLimitSet;

extern bool ak_limits_collect(const AkImage *key, const AkPolicy *policy,
							  const text *scope, AkLimitSet *set);
extern AkLimitsVerdict ak_limits_ask(AkKeystore *store, AkLimitSet *set,
									 int64 cost, bool spends,
									 bool wants_answer);
extern const char *ak_limits_name(const AkApplied *applied);
extern AkReason ak_limits_decide(AkKeystore *store, const AkImage *key,
								 const AkPolicy *policy, const text *scope,
								 int64 cost, bool wants_answer,
								 AkLimitAnswer *answer);

/* --- request.c ----------------------------------------------------------- */

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

/* How a key is proved; the value is the number of arguments that it takes. */
typedef enum AkProof
{
	AK_BY_TOKEN = 1,			/* public key and secret in one */
	AK_BY_SECRET = 2,			/* public key and secret */
	AK_BY_DIGEST = 3			/* a header, the method and the target */
} AkProof;

/* What the arguments of a function are: those of the proof, then an address. */
typedef struct AkForm
{
	AkProof		proof;
	bool		address_is_text;
} AkForm;

/* Defines a function in six forms, of the suffixes that they have in SQL. */
#define AK_IN_EACH_FORM(name, answer) \
	AK_IN_FORM(name, answer, AK_BY_SECRET, false) \
	AK_IN_FORM(name##_text, answer, AK_BY_SECRET, true) \
	AK_IN_FORM(name##_token, answer, AK_BY_TOKEN, false) \
	AK_IN_FORM(name##_token_text, answer, AK_BY_TOKEN, true) \
	AK_IN_FORM(name##_digest, answer, AK_BY_DIGEST, false) \
	AK_IN_FORM(name##_digest_text, answer, AK_BY_DIGEST, true)

#define AK_IN_FORM(name, answer, proof, address_is_text) \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		static const AkForm form = {proof, address_is_text}; \
		return answer(fcinfo, &form); \
	}

extern void ak_request_set_key(AkRequest *request, FunctionCallInfo fcinfo,
							   AkProof proof, AkDigestClaim *digest);
extern void ak_request_set_token(AkRequest *request, Datum api_key);
extern void ak_request_wipe_token(AkRequest *request);

/* --- decision.c ---------------------------------------------------------- */

extern void ak_decision_open(const AkRequest *request, AkDecision *decision);
extern void ak_decision_close(const AkRequest *request, AkDecision *decision);
extern bool ak_decision_proves(const AkDecision *decision);
extern void ak_decision_raise(const AkDecision *decision, int denied_code);

/* --- digest_proof.c ------------------------------------------------------ */

extern AkReason ak_digest_prove(const AkRequest *request,
								AkDecision *decision);
extern int	ak_digest_count_live(AkKeystore *store, text *public_key,
								 TimestampTz now);

#endif							/* AK_DECISION_H */
