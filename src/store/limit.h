/*
 * limit.h
 *	  Limits of keys and organizations, as the tables say: rates and quotas.
 *
 * Each row of tables key_limit and organization_limit has an image, some bytes
 * that decisions read: kind and id, three numbers and a pattern.  The images of
 * a key's limits stand one after the other in the key's image.
 */
#ifndef AK_LIMIT_H
#define AK_LIMIT_H

#include "postgres.h"

#include "core/gcra.h"
#include "core/period.h"

typedef enum AkLimitKind
{
	AK_LIMIT_RATE = 'r',		/* of a key, of those of its scopes that match a
								 * pattern, or of an organization */
	AK_LIMIT_EACH_KEY = 'e',	/* the organization's default for its keys */
	AK_LIMIT_QUOTA = 'q'
} AkLimitKind;

typedef struct AkLimit
{
	AkLimitKind kind;
	uint64		id;				/* another one each time the limit is set */
	AkRate		rate;			/* if it is no quota */
	AkPeriod	period;			/* of a quota */
	int64		amount;			/* of a quota */
	const char *scope;			/* the pattern; points into the image */
	int			scope_length;	/* 0: of all scopes */
} AkLimit;

extern bool ak_limit_next(const char **image, const char *end,
						  AkLimit *limit);
extern Datum ak_limit_interval(int64 length);

#endif							/* AK_LIMIT_H */
