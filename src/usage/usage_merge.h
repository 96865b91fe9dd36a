/*
 * usage_merge.h
 *	  Adds batches of counted uses and denials to the tables, each batch once.
 */
#ifndef AK_USAGE_MERGE_H
#define AK_USAGE_MERGE_H

#include "postgres.h"

#include "usage/usage_counters.h"
#include "utils/array.h"
#include "utils/uuid.h"

/* A batch as arrays of the same length; also the arguments of merge_usage(). */
typedef enum AkBatchColumn
{
	AK_BATCH_PUBLIC_KEYS,		/* text[] */
	AK_BATCH_REASONS,			/* text[]; NULL: uses */
	AK_BATCH_NETWORKS,			/* cidr[]; NULL: none */
	AK_BATCH_COUNTS,			/* bigint[]; 0: of a role only, not a use */
	AK_BATCH_TIMES,				/* timestamptz[] */
	AK_BATCH_ADDRESSES,			/* inet[]; NULL: none */
	AK_BATCH_VERSIONS,			/* integer[]; of uses; 0: no secret */
	AK_BATCH_GRANTS,			/* bigint[]; NULL: none */
	AK_BATCH_HOURS,				/* timestamptz[]; NULL: of a role only */
	AK_BATCH_HOUR_COUNTS,		/* bigint[]: what was counted in the hour */
	AK_BATCH_COSTS,				/* bigint[]: what those uses cost */
	AK_BATCH_COLUMN_COUNT
} AkBatchColumn;

typedef struct AkBatch
{
	Datum		columns[AK_BATCH_COLUMN_COUNT];
	int			count;
} AkBatch;

extern void ak_usage_make_batch(AkHarvest *harvest, AkBatch *batch);
extern ArrayType *ak_usage_merge(const pg_uuid_t *instance, uint64 number,
								 AkBatch *batch);
extern bool ak_usage_settle(const pg_uuid_t *instance, uint64 number);
extern uint64 ak_usage_merged_batch(const pg_uuid_t *instance);

#endif							/* AK_USAGE_MERGE_H */
