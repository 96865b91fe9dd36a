/*
 * usage_cleanup.h
 *	  Recorded uses of deleted keys and secrets, and of removed entries of
 *	  access lists.
 */
#ifndef AK_USAGE_CLEANUP_H
#define AK_USAGE_CLEANUP_H

#include "postgres.h"

extern void ak_usage_clean_up(text **public_keys, int count);
extern void ak_usage_mark_removed(text *public_key);
extern void ak_usage_tidy_up(bool has_started);

#endif							/* AK_USAGE_CLEANUP_H */
