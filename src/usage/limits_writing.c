/*
 * limits_writing.c
 *	  What the worker of a database writes of quotas: takes it from the table in
 *	  memory, and back if it was not written.
 */
#include "postgres.h"

#include "core/compat.h"
#include "usage/limits.h"

typedef struct HarvestWork
{
	Oid			database;
	uint64		batch;
	uint64		seen;
	AkQuotaHarvest *harvest;
	int			allocated;
} HarvestWork;

/* What was in flight has been written. */
static void
end_flight(AkSpentQuota *quota)
{
	if (quota->written_batch < quota->batch)
	{
		quota->later = ak_count_add(quota->later, quota->in_flight);
		quota->written_batch = quota->batch;
	}
	quota->in_flight = 0;
}

static bool
harvest_row(AkSpent *spent, void *argument)
{
	HarvestWork *work = argument;
	AkSpentQuota *quota = &spent->of.quota;
	AkQuotaHarvest *harvest = work->harvest;
	AkQuotaCount *count;

	if (spent->key.kind != AK_SPENT_OF_QUOTA ||
		spent->key.database != work->database ||
		harvest->count == work->allocated)
		return false;
	end_flight(quota);
	quota->in_flight = quota->pending;
	quota->pending = 0;
	if (quota->in_flight == 0)
		return quota->written_batch <= work->seen;
	quota->batch = work->batch;
	count = &harvest->counts[harvest->count++];
	count->subject = spent->key.subject;
	count->period = (int) spent->key.which;
	count->start = spent->key.start;
	count->count = quota->in_flight;
	return false;
}

/*
 * Takes what a database has pending of quotas into a batch, after all that was in
 * flight before has been written, and removes the rows that hold nothing.  "seen" is
 * the last batch that the tables of this server show: until they show what a
 * standby has sent, only the row knows it.  What there is no memory for stays for the
 * next batch.
 */
void
ak_limits_harvest(Oid database, uint64 batch, uint64 seen,
				  AkQuotaHarvest *harvest)
{
	HarvestWork work = {database, batch, seen, harvest};

	work.allocated = ak_limits_quota_count() + 100;
	harvest->counts = palloc_extended(work.allocated * sizeof(AkQuotaCount),
									  MCXT_ALLOC_HUGE);
	harvest->count = 0;
	ak_limits_scan(harvest_row, &work);
}

static bool
take_back_row(AkSpent *spent, void *argument)
{
	HarvestWork *work = argument;
	AkSpentQuota *quota = &spent->of.quota;

	if (spent->key.kind == AK_SPENT_OF_QUOTA &&
		spent->key.database == work->database && quota->batch == work->batch)
	{
		quota->pending = ak_count_add(quota->pending, quota->in_flight);
		quota->in_flight = 0;
	}
	return false;
}

/* Makes pending again what was in flight with a batch that was not written. */
void
ak_limits_take_back(Oid database, uint64 batch)
{
	HarvestWork work = {database, batch};

	ak_limits_scan(take_back_row, &work);
}

static bool
take_back_lost_row(AkSpent *spent, void *argument)
{
	HarvestWork *work = argument;
	AkSpentQuota *quota = &spent->of.quota;

	if (spent->key.kind != AK_SPENT_OF_QUOTA ||
		spent->key.database != work->database)
		return false;
	end_flight(quota);
	if (quota->written_batch > work->seen)
	{
		quota->pending = ak_count_add(quota->pending, quota->later);
		if (quota->older_batch > work->seen)
			quota->pending = ak_count_add(quota->pending, quota->older);
		quota->older = quota->later = 0;
		quota->written_batch = quota->older_batch = quota->batch = work->seen;
	}
	return false;
}

/*
 * Makes pending again what a standby that is promoted has sent in batches after
 * "seen", the last that its tables show: it is lost with the primary.  Of some
 * batches that follow each other the row does not know how much was in which, and
 * takes all for lost.
 */
void
ak_limits_take_back_lost(Oid database, uint64 seen)
{
	HarvestWork work = {database, 0, seen};

	ak_limits_scan(take_back_lost_row, &work);
}
