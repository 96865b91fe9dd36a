/*
 * use.h
 *	  One request made with a key, as it is recorded: a use or a denial.
 */
#ifndef AK_USE_H
#define AK_USE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "core/netset.h"
#include "core/reason.h"

typedef struct AkUse
{
	AkReason	reason;			/* AK_OK: it was allowed */
	int32		secret_version; /* of the secret that was proved; 0: none */
	uint64		grant;			/* ak_grant_id() of the role that allowed it;
								 * 0: none was asked for */
	const AkNetwork *network;	/* the entry that allowed it, or NULL */
	const AkNetwork *address;	/* it came from, or NULL */
	int64		cost;			/* of a use: what it weighs in limits */
	TimestampTz at;
} AkUse;

#endif							/* AK_USE_H */
