/*
 * audit_verify.h
 *	  Verifies the events and seals of the audit log.
 */
#ifndef AK_AUDIT_VERIFY_H
#define AK_AUDIT_VERIFY_H

#include "postgres.h"

#include "audit/audit_chain.h"

/* The result, as far as the chain is intact. */
typedef struct AkVerification
{
	int64		seals;			/* without the last pruned one */
	int64		events;			/* sealed ones */
	int64		unsealed;		/* events after those; -1: not counted */
	AkSeal		last;			/* the last seal; id 0 if there is none */
	int64		pruned_seal;	/* 0: nothing was pruned */
	char	   *problem;		/* the first one; NULL if there is none */
} AkVerification;

extern void ak_audit_verify(TimestampTz before, const AkSeal *known,
							AkVerification *result);

#endif							/* AK_AUDIT_VERIFY_H */
