/*
 * usage_merge.c
 *	  Adds batches of counted uses and denials to the tables, each batch once.
 *
 * Counts are added, and of two last uses the later one is kept, so the order
 * of merges does not matter: by this server's worker or those of its standbys.
 * The number of the last batch is written in the same transaction
 * (usage_flush). So a worker can ask whether a batch was written, or send it
 * again, as often as it takes to get the answer.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "store/store.h"
#include "types/types.h"
#include "usage/usage.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(apikeys_add_counts);

/* --- Batches ------------------------------------------------------------- */

/* Compares by the row of a table that counts are added to. */
static int
compare_rows(const AkCount *left, const AkCount *right)
{
	int			difference = memcmp(left->public_key, right->public_key,
									Min(left->key_length, right->key_length));

	if (difference == 0)
		difference = (int) left->key_length - (int) right->key_length;
	if (difference == 0)
		difference = memcmp(&left->organization, &right->organization, UUID_LEN);
	if (difference == 0)
		difference = (int) left->counted.kind - (int) right->counted.kind;
	if (difference == 0)
		difference = memcmp(&left->counted.network, &right->counted.network,
							sizeof(AkNetwork));
	return difference ? difference :
		left->counted.secret_version - right->counted.secret_version;
}

/* The same, and counts of one row by time, the latest first. */
static int
compare_counts(const void *a, const void *b)
{
	const AkCount *left = a;
	const AkCount *right = b;
	int			difference = compare_rows(left, right);

	if (difference == 0)
		difference = (left->last_at < right->last_at) -
			(left->last_at > right->last_at);
	return difference;
}

/*
 * Returns the number that is added to the table for the count at an index.
 * All counts of one row are added with the first of them, so the others add
 * nothing; they only tell which role was used.  Counts that are no uses add
 * nothing either.
 */
static uint64
get_sum(const AkHarvest *harvest, int place)
{
	const AkCount *counts = harvest->counts;
	uint64		sum = counts[place].tally.count;

	if (counts[place].counted.kind == AK_COUNTER_GRANT ||
		(place > 0 && compare_rows(&counts[place - 1], &counts[place]) == 0))
		return 0;
	while (++place < harvest->count &&
		   compare_rows(&counts[place - 1], &counts[place]) == 0)
		sum += counts[place].tally.count;
	return sum;
}

/* Makes an array with one dimension; all that is passed on stays the caller's. */
Datum
ak_usage_make_column(Datum *values, bool *nulls, int count, Oid type,
					 int16 length, bool by_value, char alignment)
{
	int			lower_bound = 1;

	return PointerGetDatum(construct_md_array(values, nulls, 1, &count,
											  &lower_bound, type, length,
											  by_value, alignment));
}

static void
set_network(const AkNetwork *network, Datum *value, bool *isnull)
{
	*isnull = network->family == 0;
	*value = *isnull ? (Datum) 0 : InetPGetDatum(ak_network_to_inet(network));
}

/*
 * Sorts the counts in the order of the index, so that two merges lock rows in
 * the same order, and makes arrays of them, in the current memory context; the harvest
 * stays as long as they.  What was counted while the clock was ahead counts as of now.
 */
void
ak_usage_make_batch(AkHarvest *harvest, AkBatch *batch)
{
	int			count = harvest->count;
	Datum	   *values[AK_BATCH_COLUMN_COUNT];
	bool	   *nulls[AK_BATCH_COLUMN_COUNT];
	Datum	   *columns = batch->columns;
	TimestampTz now = GetCurrentTimestamp();

	qsort(harvest->counts, count, sizeof(AkCount), compare_counts);
	for (int column = 0; column < AK_BATCH_COLUMN_COUNT; column++)
	{
		values[column] = palloc0(count * sizeof(Datum));
		nulls[column] = palloc0(count * sizeof(bool));
	}
	for (int i = 0; i < count; i++)
	{
		const AkCount *row = &harvest->counts[i];

		values[AK_BATCH_PUBLIC_KEYS][i] =
			PointerGetDatum(cstring_to_text_with_len(row->public_key,
													 row->key_length));
		nulls[AK_BATCH_REASONS][i] = !ak_count_is_denial(row);
		if (ak_count_is_denial(row))
			values[AK_BATCH_REASONS][i] =
				CStringGetTextDatum(ak_reason_name(row->counted.kind));
		set_network(&row->counted.network, &values[AK_BATCH_NETWORKS][i],
					&nulls[AK_BATCH_NETWORKS][i]);
		values[AK_BATCH_COUNTS][i] = Int64GetDatum(get_sum(harvest, i));
		values[AK_BATCH_TIMES][i] = TimestampTzGetDatum(Min(row->last_at, now));
		set_network(&row->address, &values[AK_BATCH_ADDRESSES][i],
					&nulls[AK_BATCH_ADDRESSES][i]);
		values[AK_BATCH_VERSIONS][i] =
			Int32GetDatum(row->counted.secret_version);
		values[AK_BATCH_GRANTS][i] = Int64GetDatum(row->counted.grant);
		nulls[AK_BATCH_GRANTS][i] = row->counted.grant == 0;
		nulls[AK_BATCH_HOURS][i] = row->counted.kind == AK_COUNTER_GRANT;
		values[AK_BATCH_HOURS][i] =
			TimestampTzGetDatum(Min(row->tally.hour, now / AK_HOUR) * AK_HOUR);
		values[AK_BATCH_HOUR_COUNTS][i] = Int64GetDatum(row->tally.count);
		values[AK_BATCH_COSTS][i] = Int64GetDatum(row->tally.cost);
		values[AK_BATCH_ORGANIZATIONS][i] = UUIDPGetDatum(&row->organization);
	}

#define MAKE_COLUMN(column, ...) \
	columns[column] = ak_usage_make_column(values[column], nulls[column], count, \
										   __VA_ARGS__)
	MAKE_COLUMN(AK_BATCH_PUBLIC_KEYS, TEXTOID, -1, false, TYPALIGN_INT);
	MAKE_COLUMN(AK_BATCH_REASONS, TEXTOID, -1, false, TYPALIGN_INT);
	MAKE_COLUMN(AK_BATCH_NETWORKS, CIDROID, -1, false, TYPALIGN_INT);
	MAKE_COLUMN(AK_BATCH_COUNTS, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	MAKE_COLUMN(AK_BATCH_TIMES, TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL,
				TYPALIGN_DOUBLE);
	MAKE_COLUMN(AK_BATCH_ADDRESSES, INETOID, -1, false, TYPALIGN_INT);
	MAKE_COLUMN(AK_BATCH_VERSIONS, INT4OID, 4, true, TYPALIGN_INT);
	MAKE_COLUMN(AK_BATCH_GRANTS, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	MAKE_COLUMN(AK_BATCH_HOURS, TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL,
				TYPALIGN_DOUBLE);
	MAKE_COLUMN(AK_BATCH_HOUR_COUNTS, INT8OID, 8, FLOAT8PASSBYVAL,
				TYPALIGN_DOUBLE);
	MAKE_COLUMN(AK_BATCH_COSTS, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	MAKE_COLUMN(AK_BATCH_ORGANIZATIONS, UUIDOID, UUID_LEN, false,
				TYPALIGN_CHAR);
#undef MAKE_COLUMN
	batch->count = count;
}

/* --- Merging ------------------------------------------------------------- */

/* The columns of a batch; the organization is NULL where its key is not there. */
#define ARGUMENT_TYPES \
	{TEXTARRAYOID, TEXTARRAYOID, CIDRARRAYOID, INT8ARRAYOID, \
	TIMESTAMPTZARRAYOID, INETARRAYOID, INT4ARRAYOID, INT8ARRAYOID, \
	TIMESTAMPTZARRAYOID, INT8ARRAYOID, INT8ARRAYOID, UUIDARRAYOID}

/* Each statement reads the columns that it needs. */
#define COLUMN(number)	"pg_catalog.unnest($" number ")"

static void
merge_uses(Datum *values, Snapshot snapshot)
{
	static AkStatement merge = {
		"INSERT INTO apikeys.key_usage AS u " USAGE_COLUMNS
		"SELECT b.public_key, b.network, b.count, b.last_at, b.address, "
		"coalesce(b.version, 0) "
		"FROM ROWS FROM (" COLUMN("1") ", " COLUMN("2") ", " COLUMN("3") ", "
		COLUMN("4") ", " COLUMN("5") ", " COLUMN("6") ", " COLUMN("7") ", "
		COLUMN("12") ") AS b (public_key, reason, network, count, last_at, "
		"address, version, organization_id) "
		"WHERE b.organization_id IS NOT NULL AND b.reason IS NULL "
		"AND b.count OPERATOR(pg_catalog.<>) 0 " ADD_USES,
		AK_BATCH_COLUMN_COUNT, ARGUMENT_TYPES, .by_index = true
	};

	ak_owner_execute_at(snapshot, &merge, values, NULL);
}

static void
merge_denials(Datum *values, Snapshot snapshot)
{
	static AkStatement merge = {
		"INSERT INTO apikeys.key_denial AS d "
		"(public_key, reason, denial_count, last_denied_at, last_denied_address) "
		"SELECT b.public_key, b.reason, b.count, b.last_at, b.address "
		"FROM ROWS FROM (" COLUMN("1") ", " COLUMN("2") ", " COLUMN("4") ", "
		COLUMN("5") ", " COLUMN("6") ", " COLUMN("12") ") "
		"AS b (public_key, reason, count, last_at, address, organization_id) "
		"WHERE b.organization_id IS NOT NULL AND b.reason IS NOT NULL "
		"AND b.count OPERATOR(pg_catalog.<>) 0 "
		"ON CONFLICT ON CONSTRAINT key_denial_pkey DO UPDATE SET "
		"denial_count = "
		SUM_OF("d.denial_count", "excluded.denial_count") ", "
		"last_denied_at = CASE WHEN excluded.last_denied_at "
		"OPERATOR(pg_catalog.>=) d.last_denied_at "
		"THEN excluded.last_denied_at ELSE d.last_denied_at END, "
		"last_denied_address = CASE WHEN excluded.last_denied_at "
		"OPERATOR(pg_catalog.>=) d.last_denied_at "
		"THEN excluded.last_denied_address ELSE d.last_denied_address END",
		AK_BATCH_COLUMN_COUNT, ARGUMENT_TYPES, .by_index = true
	};

	ak_owner_execute_at(snapshot, &merge, values, NULL);
}

/*
 * Adds to the history of each key by the hour, and by the day.  All merges lock
 * rows in the same order, in which what is new of an organization stands in few
 * pages.
 */
static void
merge_history(Datum *values, Snapshot snapshot)
{
#define SUM(column) \
	"least(pg_catalog.sum(" column "), 9223372036854775807)::pg_catalog.int8"
#define INSERT_INTO(table, unit) \
	"INSERT INTO apikeys." table " AS h " \
	"(organization_id, public_key, " unit ", reason, count, cost) "
#define ADD_TO(table) \
	"GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 " \
	"ON CONFLICT ON CONSTRAINT " table "_pkey DO UPDATE SET " \
	"count = " SUM_OF("h.count", "excluded.count") ", " \
	"cost = " SUM_OF("h.cost", "excluded.cost")
	static AkStatement merge = {
		"WITH b AS MATERIALIZED (SELECT b.organization_id, "
		"b.public_key COLLATE \"C\" AS public_key, b.hour, "
		"coalesce(b.reason, 'ok') COLLATE \"C\" AS reason, b.count, b.cost "
		"FROM ROWS FROM (" COLUMN("1") ", " COLUMN("2") ", " COLUMN("9") ", "
		COLUMN("10") ", " COLUMN("11") ", " COLUMN("12") ") "
		"AS b (public_key, reason, hour, count, cost, organization_id) "
		"WHERE b.organization_id IS NOT NULL AND b.hour IS NOT NULL), "
		"day AS (" INSERT_INTO("key_day", "day")
		"SELECT b.organization_id, b.public_key, "
		"(b.hour AT TIME ZONE 'UTC')::pg_catalog.date, b.reason, "
		SUM("b.count") ", " SUM("b.cost") " FROM b " ADD_TO("key_day") ") "
		INSERT_INTO("key_history", "hour")
		"SELECT b.organization_id, b.public_key, b.hour, b.reason, "
		SUM("b.count") ", " SUM("b.cost") " FROM b " ADD_TO("key_history"),
		AK_BATCH_COLUMN_COUNT, ARGUMENT_TYPES, .by_index = true
	};
#undef SUM
#undef INSERT_INTO
#undef ADD_TO

	ak_owner_execute_at(snapshot, &merge, values, NULL);
}

#define NOTE(is_added, condition) { \
	"INSERT INTO apikeys.usage_flush AS f " \
	"(instance, batch, is_added, flushed_at) " \
	"VALUES ($1, $2, " is_added ", pg_catalog.now()) " \
	"ON CONFLICT (instance) DO UPDATE SET batch = excluded.batch, " \
	"is_added = excluded.is_added, flushed_at = excluded.flushed_at " \
	"WHERE " condition, \
	2, {UUIDOID, INT8OID} \
}

/*
 * Notes that this transaction adds a batch; returns false if it, or a later one, was
 * added or rejected before.  Waits for a transaction that is doing that.
 */
bool
ak_usage_begin_batch(const pg_uuid_t *instance, uint64 number)
{
	static AkStatement add =
		NOTE("true", "f.batch OPERATOR(pg_catalog.<) excluded.batch");
	static AkStatement clean = {
		"DELETE FROM apikeys.usage_flush WHERE flushed_at "
		"OPERATOR(pg_catalog.<) (pg_catalog.now() "
		"OPERATOR(pg_catalog.-) '30 days'::pg_catalog.interval)"
	};
	Datum		values[] = {UUIDPGetDatum(instance), Int64GetDatum(number)};

	if (number == 1)
		ak_owner_execute(&clean, NULL, NULL);
	return ak_owner_execute(&add, values, NULL) > 0;
}

/*
 * Returns whether a batch, or a later one, was added; waits for a transaction
 * that is adding it.  If not, rejects it: after this transaction it never will be.
 */
bool
ak_usage_settle(const pg_uuid_t *instance, uint64 number)
{
	static AkStatement reject =
		NOTE("false", "f.batch OPERATOR(pg_catalog.<) excluded.batch "
			 "OR (f.batch OPERATOR(pg_catalog.=) excluded.batch "
			 "AND NOT f.is_added)");
	Datum		values[] = {UUIDPGetDatum(instance), Int64GetDatum(number)};

	return ak_owner_execute(&reject, values, NULL) == 0;
}

#undef NOTE

/*
 * Returns the rows, counted from 1, of which there is no such key of the
 * organization, and sets the organization of these to NULL.
 */
static ArrayType *
find_missing(AkBatch *batch, AkKeystore *store)
{
	Datum	   *keys;
	Datum	   *organizations;
	bool	   *nulls;
	Datum	   *missing = palloc(batch->count * sizeof(Datum));
	pg_uuid_t	organization;
	bool		is_there = false;
	int			missing_count = 0;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(batch->columns[AK_BATCH_PUBLIC_KEYS]),
					  TEXTOID, -1, false, TYPALIGN_INT, &keys, NULL, &count);
	deconstruct_array(DatumGetArrayTypeP(batch->columns[AK_BATCH_ORGANIZATIONS]),
					  UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &organizations,
					  &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		/* Rows of one key are beside each other. */
		if (i == 0 || !datumIsEqual(keys[i - 1], keys[i], false, -1))
			is_there = ak_keystore_find_key(store, DatumGetTextPP(keys[i]),
											&organization);
		if (!is_there || nulls[i] ||
			memcmp(DatumGetUUIDP(organizations[i]), &organization, UUID_LEN) != 0)
		{
			nulls[i] = true;
			missing[missing_count++] = Int32GetDatum(i + 1);
		}
	}
	batch->columns[AK_BATCH_ORGANIZATIONS] =
		ak_usage_make_column(organizations, nulls, count, UUIDOID, UUID_LEN,
							 false, TYPALIGN_CHAR);
	return construct_array(missing, missing_count, INT4OID, sizeof(int32),
						   true, TYPALIGN_INT);
}

/*
 * Adds a batch to the tables, in the current transaction and with the rights
 * of their owner, unless it was already added.  Returns which of its rows,
 * counted from 1, were left out because there is no such key of the organization.  All
 * statements see the keys with one snapshot; otherwise the counts of a key
 * that is committed meanwhile could be neither added nor reported as left out.
 */
ArrayType *
ak_usage_merge(const pg_uuid_t *instance, uint64 number, AkBatch *batch)
{
	AkKeystore	store;
	ArrayType  *missing;

	/* Where DROP EXTENSION locks tables meanwhile, it is waited for without any. */
	ak_tables_lock(AK_TABLE_BIT(AK_KEY));
	if (!ak_usage_begin_batch(instance, number) || batch->count == 0)
		return construct_empty_array(INT4OID);
	ak_keystore_open(&store, AK_TABLE_BIT(AK_KEY) |
					 AK_TABLE_BIT(AK_KEY_ROLE_USAGE));
	missing = find_missing(batch, &store);
	merge_uses(batch->columns, store.snapshot);
	merge_denials(batch->columns, store.snapshot);
	ak_usage_merge_grants(batch, store.snapshot);
	merge_history(batch->columns, store.snapshot);
	ak_keystore_close(&store);
	return missing;
}

/* Column numbers of usage_flush, as in sql/parts/30_tables.sql. */
enum
{
	USAGE_FLUSH_BATCH = 2,
	USAGE_FLUSH_IS_ADDED
};

/*
 * Returns the last batch of this server that the snapshot sees as added; 0: none.
 * A rejected one was sent after the one before it was added, or held nothing.
 */
uint64
ak_usage_merged_batch(Snapshot snapshot)
{
	AkIndexScan scan;
	ScanKeyData key;
	uint64		batch = 0;
	bool		isnull;

	ak_index_scan_uuid_key(&key, ak_database_slots_instance());
	ak_index_scan_open(snapshot, AK_USAGE_FLUSH, AK_USAGE_FLUSH_BY_INSTANCE,
					   &key, false, &scan);
	if (ak_index_scan_next_row(&scan))
	{
		batch = DatumGetInt64(slot_getattr(scan.slot, USAGE_FLUSH_BATCH,
										   &isnull));
		if (!DatumGetBool(slot_getattr(scan.slot, USAGE_FLUSH_IS_ADDED, &isnull)))
			batch--;
	}
	ak_index_scan_close(&scan);
	return batch;
}

/*
 * add_counts(a, b): returns the sum of two non-negative counts, or the largest
 * bigint if the sum would be larger, which is logged once.
 */
Datum
apikeys_add_counts(PG_FUNCTION_ARGS)
{
	static bool has_said = false;
	int64		sum;

	if (!pg_add_s64_overflow(PG_GETARG_INT64(0), PG_GETARG_INT64(1), &sum))
		PG_RETURN_INT64(sum);
	if (!has_said)
		ereport(LOG,
				(errmsg("apikeys: a count of uses or denials has reached its maximum, and stays there")));
	has_said = true;
	PG_RETURN_INT64(PG_INT64_MAX);
}
