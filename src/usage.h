/*
 * usage.h
 *	  Records when and from where keys are used.
 */
#ifndef AK_USAGE_H
#define AK_USAGE_H

#include "postgres.h"

#include "netset.h"

extern void ak_usage_init(void);
extern void ak_usage_record(text *public_key, const AkNetwork *network,
							const AkNetwork *address);

#endif							/* AK_USAGE_H */
