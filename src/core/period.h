/*
 * period.h
 *	  The periods that quotas are for: hours, days, weeks from Monday and months
 *	  in UTC, or all of time.  Periods include their start and not their end.
 *
 * Times are PostgreSQL's, microseconds since 2000-01-01 00:00:00 UTC.
 */
#ifndef AK_PERIOD_H
#define AK_PERIOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum AkPeriod
{
	AK_PERIOD_HOUR,
	AK_PERIOD_DAY,
	AK_PERIOD_WEEK,
	AK_PERIOD_MONTH,
	AK_PERIOD_EVER,
	AK_PERIOD_COUNT
} AkPeriod;

/* The start and the end of AK_PERIOD_EVER: -infinity and infinity. */
#define AK_PERIOD_NOBEGIN	INT64_MIN
#define AK_PERIOD_NOEND		INT64_MAX

extern const char *ak_period_name(AkPeriod period);
extern bool ak_period_parse(const char *name, size_t length,
							AkPeriod *period);
extern int64_t ak_period_start(AkPeriod period, int64_t time);
extern int64_t ak_period_end(AkPeriod period, int64_t start);

#endif							/* AK_PERIOD_H */
