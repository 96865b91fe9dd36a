/*
 * usage_cleanup.h
 *	  What is recorded of uses of keys, secrets and entries of access lists that
 *	  are no more.
 */
#ifndef AK_USAGE_CLEANUP_H
#define AK_USAGE_CLEANUP_H

#include "postgres.h"

extern void ak_usage_clean_up(text **public_keys, int count);
extern void ak_usage_mark_removed(text *public_key);
extern void ak_usage_tidy_up(bool has_started);

#endif							/* AK_USAGE_CLEANUP_H */
