/*
 * usage_report.h
 *	  What is known of the uses of a key.
 */
#ifndef AK_USAGE_REPORT_H
#define AK_USAGE_REPORT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/inet.h"

typedef struct AkLastUse
{
	TimestampTz at;				/* DT_NOBEGIN: none */
	inet	   *address;		/* NULL: unknown */
} AkLastUse;

extern void ak_usage_report_last_use(text *public_key, int32 version,
									 AkLastUse *last);

#endif							/* AK_USAGE_REPORT_H */
