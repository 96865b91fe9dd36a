/*
 * operations.h
 *	  The worker processes, and what administrators see.
 */
#ifndef AK_OPERATIONS_H
#define AK_OPERATIONS_H

#include "postgres.h"

#include "usage/usage.h"

#include "datatype/timestamp.h"
#include "utils/inet.h"

/* --- usage_worker.c ------------------------------------------------------ */

extern void ak_database_commands_init(void);

extern void ak_usage_launcher_init(void);

/* --- usage_flush.c ------------------------------------------------------- */

extern void ak_usage_flush_init(AkDatabaseSlot *own_slot);
extern bool ak_usage_flush(bool only_hashes, bool is_asked);

extern void ak_flush_begin(void);
extern void ak_flush_commit(void);
extern bool ak_flush_try(AkJob number, const char *activity,
						 bool (*job) (void), bool is_silent);
extern bool ak_flush_hashes(void);

/* --- usage_batches.c ----------------------------------------------------- */

extern void ak_usage_batches_init(AkDatabaseSlot *own_slot);
extern bool ak_usage_batches_are_possible(void);
extern bool ak_usage_batches_write(const char *database);

/* --- usage_report.c ------------------------------------------------------ */

typedef struct AkLastUse
{
	TimestampTz at;				/* DT_NOBEGIN: none */
	inet	   *address;		/* NULL: unknown */
} AkLastUse;

extern void ak_usage_report_last_use(text *public_key,
									 const pg_uuid_t *organization, int32 version,
									 AkLastUse *last);

#endif							/* AK_OPERATIONS_H */
