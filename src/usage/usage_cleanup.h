/*
 * usage_cleanup.h
 *	  What is recorded of uses of keys, secrets and entries of access lists that
 *	  are no more, and of hours that ended long ago.
 */
#ifndef AK_USAGE_CLEANUP_H
#define AK_USAGE_CLEANUP_H

#include "postgres.h"

#include "datatype/timestamp.h"

extern void ak_usage_clean_up(text **public_keys, int count);
extern void ak_usage_mark_removed(text *public_key);
extern void ak_usage_tidy_up(bool has_started);
extern uint64 ak_usage_drop_history(TimestampTz before, int most);

#endif							/* AK_USAGE_CLEANUP_H */
