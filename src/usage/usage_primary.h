/*
 * usage_primary.h
 *	  Sends the batches of a standby's worker to the primary.
 */
#ifndef AK_USAGE_PRIMARY_H
#define AK_USAGE_PRIMARY_H

#include "postgres.h"

#include "usage/quota.h"
#include "usage/usage_merge.h"

/* A batch in the text form of its arrays. */
typedef struct AkTextBatch
{
	const char *columns[AK_BATCH_COLUMN_COUNT];
} AkTextBatch;

extern void ak_usage_primary_connect(const char *database);
extern void ak_usage_primary_disconnect(void);
extern bool ak_usage_primary_settle(const pg_uuid_t *instance, uint64 number);
extern void ak_usage_primary_format(const AkBatch *batch, AkTextBatch *text);
extern void ak_usage_primary_merge_quotas(const pg_uuid_t *instance,
										  uint64 number,
										  const char *const *columns);
extern char *ak_usage_primary_merge(const pg_uuid_t *instance, uint64 number,
									const AkTextBatch *batch);

#endif							/* AK_USAGE_PRIMARY_H */
