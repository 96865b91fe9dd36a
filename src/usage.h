/*
 * usage.h
 *	  Records when and from where keys are used.
 */
#ifndef AK_USAGE_H
#define AK_USAGE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "netset.h"
#include "reason.h"

extern void ak_usage_init(void);
extern void ak_usage_request(void);
extern void ak_usage_attach(void);
extern void ak_usage_record(text *public_key, AkReason reason,
							const AkNetwork *network,
							const AkNetwork *address, TimestampTz now);
extern void ak_usage_forget(text *public_key);

#endif							/* AK_USAGE_H */
