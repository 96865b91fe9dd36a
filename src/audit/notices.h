/*
 * notices.h
 *	  Notifies listeners on channel apikeys of the changes of a transaction
 *	  after its commit, if setting apikeys.notify is on.
 */
#ifndef AK_NOTICES_H
#define AK_NOTICES_H

#include "postgres.h"

extern void ak_notices_init(void);
extern void ak_notices_count(const char *action, const char *public_key,
							 int64 count);

#endif							/* AK_NOTICES_H */
