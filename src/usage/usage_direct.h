/*
 * usage_direct.h
 *	  Records uses in the table at once: for servers where the library is not
 *	  preloaded.
 */
#ifndef AK_USAGE_DIRECT_H
#define AK_USAGE_DIRECT_H

#include "postgres.h"

#include "core/use.h"

extern void ak_usage_direct_init(void);
extern void ak_usage_direct_record(text *public_key, const AkUse *use);
extern void ak_usage_direct_forget(text *public_key);
extern void ak_usage_direct_forget_secret(text *public_key);

#endif							/* AK_USAGE_DIRECT_H */
