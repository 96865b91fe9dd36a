/*
 * quota.c
 *	  What is written of quotas: rows of table quota_usage, and batches that add
 *	  to them.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "usage/limits.h"
#include "usage/usage.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(apikeys_merge_quota_usage);

/* Column numbers, as in sql/parts/30_tables_limits.sql. */
enum
{
	QUOTA_USAGE_SUBJECT = 1,
	QUOTA_USAGE_PERIOD,
	QUOTA_USAGE_STARTS_AT,
	QUOTA_USAGE_USED
};

/* --- Reading -------------------------------------------------------------- */

/*
 * Fills in what the snapshot sees as written of a quota, and the last batch of
 * this server that it sees.
 */
void
ak_quota_read(Snapshot snapshot, AkLimitCheck *check)
{
	ScanKeyData keys[3];
	AkIndexScan scan;
	text	   *period =
		cstring_to_text(ak_period_name((AkPeriod) check->key.which));
	bool		isnull;

	ak_index_scan_uuid_key(&keys[0], &check->key.subject);
	ScanKeyEntryInitialize(&keys[1], 0, QUOTA_USAGE_PERIOD,
						   BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID,
						   F_TEXTEQ, PointerGetDatum(period));
	ScanKeyEntryInitialize(&keys[2], 0, QUOTA_USAGE_STARTS_AT,
						   BTEqualStrategyNumber, InvalidOid, InvalidOid,
						   F_TIMESTAMPTZ_EQ,
						   TimestampTzGetDatum(check->key.start));
	ak_index_scan_open_for(snapshot, AK_QUOTA_USAGE, AK_QUOTA_USAGE_BY_SUBJECT,
						   keys, lengthof(keys), &scan);
	check->written = ak_index_scan_next_row(&scan) ?
		DatumGetInt64(slot_getattr(scan.slot, QUOTA_USAGE_USED, &isnull)) : 0;
	ak_index_scan_close(&scan);
	check->merged = ak_usage_merged_batch(snapshot);
	check->is_read = true;
}

/* --- Writing -------------------------------------------------------------- */

/* In the order of the index, so that two merges lock rows in the same order. */
static int
compare_counts(const void *a, const void *b)
{
	const AkQuotaCount *left = a;
	const AkQuotaCount *right = b;
	int			difference = memcmp(&left->subject, &right->subject, UUID_LEN);

	if (difference == 0)
		difference = strcmp(ak_period_name(left->period),
							ak_period_name(right->period));
	return difference ? difference :
		(left->start > right->start) - (left->start < right->start);
}

/* Sorts the counts and makes arrays of them, in the current memory context. */
void
ak_quota_make_batch(AkQuotaHarvest *harvest, AkQuotaBatch *batch)
{
	int			count = harvest->count;
	Datum	   *values[AK_QUOTA_COLUMN_COUNT];

	qsort(harvest->counts, count, sizeof(AkQuotaCount), compare_counts);
	for (int column = 0; column < AK_QUOTA_COLUMN_COUNT; column++)
		values[column] = palloc(count * sizeof(Datum));
	for (int i = 0; i < count; i++)
	{
		AkQuotaCount *row = &harvest->counts[i];

		values[AK_QUOTA_SUBJECTS][i] = UUIDPGetDatum(&row->subject);
		values[AK_QUOTA_PERIODS][i] =
			CStringGetTextDatum(ak_period_name(row->period));
		values[AK_QUOTA_STARTS][i] = TimestampTzGetDatum(row->start);
		values[AK_QUOTA_COUNTS][i] = Int64GetDatum(row->count);
	}

#define MAKE_COLUMN(column, ...) \
	batch->columns[column] = \
		PointerGetDatum(construct_array(values[column], count, __VA_ARGS__))
	MAKE_COLUMN(AK_QUOTA_SUBJECTS, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
	MAKE_COLUMN(AK_QUOTA_PERIODS, TEXTOID, -1, false, TYPALIGN_INT);
	MAKE_COLUMN(AK_QUOTA_STARTS, TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL,
				TYPALIGN_DOUBLE);
	MAKE_COLUMN(AK_QUOTA_COUNTS, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
#undef MAKE_COLUMN
	batch->count = count;
}

/*
 * Adds a batch to the table, in the current transaction and with the rights of
 * its owner, unless that was done before; whether it was not.  Whether there is such a
 * subject is not asked: its key may not be committed yet.  Grouped, for ON CONFLICT adds
 * to no row twice.
 */
bool
ak_quota_merge(const pg_uuid_t *instance, uint64 number, AkQuotaBatch *batch)
{
	static AkStatement merge = {
		"INSERT INTO apikeys.quota_usage AS u (subject, period, starts_at, used) "
		"SELECT b.subject, b.period, b.starts_at, "
		"least(pg_catalog.sum(b.count), 9223372036854775807)::pg_catalog.int8 "
		"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
		"pg_catalog.unnest($3), pg_catalog.unnest($4)) "
		"AS b (subject, period, starts_at, count) "
		"GROUP BY b.subject, b.period, b.starts_at "
		"ON CONFLICT ON CONSTRAINT quota_usage_pkey DO UPDATE SET used = "
		"least(u.used::pg_catalog.numeric "
		"OPERATOR(pg_catalog.+) excluded.used::pg_catalog.numeric, "
		"9223372036854775807)::pg_catalog.int8",
		AK_QUOTA_COLUMN_COUNT,
		{UUIDARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, INT8ARRAYOID},
		.by_index = true
	};

	if (!ak_usage_begin_batch(instance, number))
		return false;
	if (batch->count > 0)
		ak_owner_execute(&merge, batch->columns, NULL);
	return true;
}

/*
 * Deletes, in the current transaction, some of what has ended: limits, and periods long
 * ago.  Called by the worker.
 */
void
ak_quota_tidy_up(void)
{
	static AkStatement statements[] = {
		{
			"DELETE FROM apikeys.quota_usage AS u "
			"WHERE u.subject OPERATOR(pg_catalog.=) ANY (ARRAY("
			"SELECT e.subject FROM apikeys.quota_usage AS e "
			"WHERE e.period OPERATOR(pg_catalog.=) 'ended' LIMIT 10000))",
			.by_index = true
		},
		{
			"DELETE FROM apikeys.quota_usage AS u WHERE u.ctid OPERATOR(pg_catalog.=) "
			"ANY (ARRAY(SELECT o.ctid FROM apikeys.quota_usage AS o "
			"WHERE o.starts_at OPERATOR(pg_catalog.>) '-infinity' "
			"AND o.starts_at OPERATOR(pg_catalog.<) (pg_catalog.now() "
			"OPERATOR(pg_catalog.-) '70 days'::pg_catalog.interval) "
			"ORDER BY o.starts_at LIMIT 10000))",
			.by_index = true
		}
	};

	for (int i = 0; i < lengthof(statements); i++)
		ak_owner_execute(&statements[i], NULL, NULL);
}

/* --- For the workers of standbys ------------------------------------------ */

/*
 * Of a primary: what a standby has counted.  Raises 22023 for what no worker
 * sends.
 */
Datum
apikeys_merge_quota_usage(PG_FUNCTION_ARGS)
{
	AkQuotaBatch batch;
	ArrayType  *counts;
	const int64 *count;
	const TimestampTz *start;
	TimestampTz last_start = GetCurrentTimestamp() + AK_MAX_CLOCK_SKEW;
	AkPeriod	period;
	Datum	   *periods;
	int			period_count;

	ak_require_preload();
	ak_refuse_own_instance(PG_GETARG_UUID_P(0));
	for (int column = 0; column < AK_QUOTA_COLUMN_COUNT; column++)
		batch.columns[column] = PG_GETARG_DATUM(2 + column);
	counts = DatumGetArrayTypeP(batch.columns[AK_QUOTA_COUNTS]);
	batch.count = ArrayGetNItems(ARR_NDIM(counts), ARR_DIMS(counts));
	for (int column = 0; column < AK_QUOTA_COLUMN_COUNT; column++)
	{
		ArrayType  *array = DatumGetArrayTypeP(batch.columns[column]);

		if (ARR_NDIM(array) > 1 || array_contains_nulls(array) ||
			ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) != batch.count)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the arrays differ in length, or have nulls in them"),
					 ak_errid("invalid_batch")));
	}
	deconstruct_array(DatumGetArrayTypeP(batch.columns[AK_QUOTA_PERIODS]),
					  TEXTOID, -1, false, TYPALIGN_INT, &periods, NULL,
					  &period_count);
	count = (const int64 *) ARR_DATA_PTR(counts);
	start = (const TimestampTz *)
		ARR_DATA_PTR(DatumGetArrayTypeP(batch.columns[AK_QUOTA_STARTS]));
	for (int i = 0; i < batch.count; i++)
		if (count[i] < 0 || start[i] > last_start ||
			!ak_period_parse(VARDATA_ANY(DatumGetTextPP(periods[i])),
							 VARSIZE_ANY_EXHDR(DatumGetTextPP(periods[i])),
							 &period))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a count must not be negative, and a period must be one that does not begin more than a week ahead"),
					 ak_errid("invalid_batch")));
	PG_RETURN_BOOL(ak_quota_merge(PG_GETARG_UUID_P(0), PG_GETARG_INT64(1),
								  &batch));
}
