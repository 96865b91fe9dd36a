/*
 * changed_keys.h
 *	  The keys that a trigger was called for.
 */
#ifndef AK_CHANGED_KEYS_H
#define AK_CHANGED_KEYS_H

#include "postgres.h"

#include "commands/trigger.h"

/* Called with an array of text: some of the keys, in ascending order. */
typedef void (*AkKeysCallback) (Datum keys, const TriggerData *trigger);

extern void ak_changed_keys_each(const TriggerData *trigger,
								 AkKeysCallback callback);

#endif							/* AK_CHANGED_KEYS_H */
