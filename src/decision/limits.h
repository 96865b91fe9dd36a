/*
 * limits.h
 *	  The limits that apply to a request, and what they say.
 *
 * All that apply must let it pass, and then all are charged, or none.  One limit
 * answers for all: of those that deny, the one with the longest wait; else the
 * one with the least left.
 */
#ifndef AK_DECISION_LIMITS_H
#define AK_DECISION_LIMITS_H

#include "postgres.h"

#include "core/reason.h"
#include "store/keystore.h"
#include "usage/limits_judge.h"

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
	int			share;			/* this server's of each, in millionths */
	AkLimit		few_own[AK_FEW_LIMITS];
	AkApplied	few_applied[AK_FEW_LIMITS];
	AkLimitCheck few_checks[AK_FEW_LIMITS];
} AkLimitSet;

extern bool ak_limits_collect(const AkImage *key, const AkPolicy *policy,
							  const text *scope, AkLimitSet *set);
extern void ak_limits_collect_organization(const pg_uuid_t *organization,
										   const AkPolicy *policy,
										   AkLimitSet *set);
extern void ak_limits_drop_organization(AkLimitSet *set);
extern AkLimitsVerdict ak_limits_ask(AkKeystore *store, AkLimitSet *set,
									 int64 cost, bool spends,
									 bool wants_answer);
extern const char *ak_limits_name(const AkApplied *applied);
extern AkReason ak_limits_decide(AkKeystore *store, const AkImage *key,
								 const AkPolicy *policy, const text *scope,
								 int64 cost, bool wants_answer,
								 AkLimitAnswer *answer);

#endif							/* AK_DECISION_LIMITS_H */
