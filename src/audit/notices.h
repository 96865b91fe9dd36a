/*
 * notices.h
 *	  Tells listeners on channel apikeys what a transaction has changed, once
 *	  it is committed.
 */
#ifndef AK_NOTICES_H
#define AK_NOTICES_H

#include "postgres.h"

extern void ak_notices_init(void);
extern void ak_notices_add(const char *action, const char *public_key);
extern void ak_notices_add_count(const char *action, int64 count);

#endif							/* AK_NOTICES_H */
