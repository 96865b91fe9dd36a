/*
 * usage_flush.h
 *	  What the worker of a database writes.  Called only in its process.
 */
#ifndef AK_USAGE_FLUSH_H
#define AK_USAGE_FLUSH_H

#include "postgres.h"

#include "usage/database_slot.h"

extern void ak_usage_flush_init(AkDatabaseSlot *own_slot);
extern bool ak_usage_flush_is_possible(void);
extern bool ak_usage_flush(bool only_hashes, bool is_asked);

#endif							/* AK_USAGE_FLUSH_H */
