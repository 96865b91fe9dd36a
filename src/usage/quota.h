/*
 * quota.h
 *	  What is written of quotas: rows of table quota_usage, and batches that add
 *	  to them.
 */
#ifndef AK_QUOTA_H
#define AK_QUOTA_H

#include "postgres.h"

#include "usage/limits_judge.h"

#include "utils/snapshot.h"

/* A batch as arrays of the same length; also the arguments of merge_quota_usage(). */
typedef enum AkQuotaColumn
{
	AK_QUOTA_SUBJECTS,			/* uuid[] */
	AK_QUOTA_PERIODS,			/* text[] */
	AK_QUOTA_STARTS,			/* timestamptz[] */
	AK_QUOTA_COUNTS,			/* bigint[] */
	AK_QUOTA_COLUMN_COUNT
} AkQuotaColumn;

typedef struct AkQuotaBatch
{
	Datum		columns[AK_QUOTA_COLUMN_COUNT];
	int			count;
} AkQuotaBatch;

extern void ak_quota_read(Snapshot snapshot, AkLimitCheck *check);
extern void ak_quota_make_batch(AkQuotaHarvest *harvest, AkQuotaBatch *batch);
extern bool ak_quota_merge(const pg_uuid_t *instance, uint64 number,
						   AkQuotaBatch *batch);
extern void ak_quota_forget(const pg_uuid_t *subject);

#endif							/* AK_QUOTA_H */
