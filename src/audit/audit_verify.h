/*
 * audit_verify.h
 *	  Whether the events and seals of the audit are as they were sealed.
 */
#ifndef AK_AUDIT_VERIFY_H
#define AK_AUDIT_VERIFY_H

#include "postgres.h"

#include "audit/audit_chain.h"

/* What was found; as far as the chain is intact. */
typedef struct AkVerification
{
	int64		seals;			/* but the one up to which was pruned */
	int64		events;			/* sealed ones */
	int64		unsealed;		/* events after those; -1: not looked at */
	AkSeal		last;			/* the last seal; id 0 if there is none */
	int64		pruned_seal;	/* 0: nothing was pruned */
	char	   *problem;		/* the first one; NULL if there is none */
} AkVerification;

extern void ak_audit_verify(TimestampTz before, const AkSeal *known,
							AkVerification *result);

#endif							/* AK_AUDIT_VERIFY_H */
