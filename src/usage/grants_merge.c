/*
 * grants_merge.c
 *	  Records when the roles and permissions of keys were used, for a batch of
 *	  counts (usage_merge.c).
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "store/store.h"
#include "usage/usage.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* A grant of a key that was used, and the place of its count in the batch. */
typedef struct UsedGrant
{
	uint64		id;
	int			place;
} UsedGrant;

static int
compare_grants(const void *a, const void *b)
{
	uint64		left = ((const UsedGrant *) a)->id;
	uint64		right = ((const UsedGrant *) b)->id;

	return left < right ? -1 : left > right;
}

/*
 * Sets to NULL which of a key's used grants were used less than an hour after the
 * last use that is recorded: a key may have very many of both.
 */
static void
drop_recorded_grants(AkIndexScan *recorded, UsedGrant *used, int count,
					 const Datum *times, bool *nulls)
{
	qsort(used, count, sizeof(UsedGrant), compare_grants);
	while (ak_index_scan_next_row(recorded))
	{
		bool		in_organization;
		bool		isnull;
		Datum		project = slot_getattr(recorded->slot,
										   ROLE_USAGE_PROJECT_ID,
										   &in_organization);
		Datum		role = slot_getattr(recorded->slot, ROLE_USAGE_ROLE,
										&isnull);
		TimestampTz last_at = DatumGetTimestampTz(slot_getattr(recorded->slot,
															   ROLE_USAGE_LAST_USED_AT,
															   &isnull));
		uint64		id = ak_grant_id_of(DatumGetTextPP(role),
										in_organization ? NULL : DatumGetUUIDP(project));
		int			first = 0;
		int			end = count;

		while (first < end)
		{
			int			middle = (first + end) / 2;

			if (used[middle].id < id)
				first = middle + 1;
			else
				end = middle;
		}
		for (; first < count && used[first].id == id; first++)
			if (DatumGetTimestampTz(times[used[first].place]) < last_at + AK_HOUR)
				nulls[used[first].place] = true;
	}
}

/*
 * Makes a column of the used grants that are to be recorded, NULL for the others and
 * where the organization is; false if there are none.
 */
static bool
choose_grants(const AkBatch *batch, Snapshot snapshot, Datum *chosen)
{
	Datum	   *keys;
	Datum	   *times;
	Datum	   *grants;
	Datum	   *organizations;
	bool	   *nulls;
	bool	   *missing;
	int			count;
	bool		are_any = false;
	UsedGrant  *used = palloc(batch->count * sizeof(UsedGrant));

	deconstruct_array(DatumGetArrayTypeP(batch->columns[AK_BATCH_PUBLIC_KEYS]),
					  TEXTOID, -1, false, TYPALIGN_INT, &keys, NULL, &count);
	deconstruct_array(DatumGetArrayTypeP(batch->columns[AK_BATCH_TIMES]),
					  TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &times, NULL, &count);
	deconstruct_array(DatumGetArrayTypeP(batch->columns[AK_BATCH_GRANTS]),
					  INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &grants, &nulls, &count);
	deconstruct_array(DatumGetArrayTypeP(batch->columns[AK_BATCH_ORGANIZATIONS]),
					  UUIDOID, UUID_LEN, false, TYPALIGN_CHAR,
					  &organizations, &missing, &count);
	for (int i = 0; i < count; i++)
		nulls[i] |= missing[i];
	for (int i = 0, end; i < count; i = end)
	{
		int			used_count = 0;
		ScanKeyData key;
		AkIndexScan recorded;

		/* Rows of one key are beside each other. */
		for (end = i; end < count &&
			 (end == i || datumIsEqual(keys[i], keys[end], false, -1)); end++)
			if (!nulls[end])
				used[used_count++] = (UsedGrant)
			{
				DatumGetInt64(grants[end]), end
			};
		if (used_count == 0)
			continue;
		ak_index_scan_text_key(&key, DatumGetTextPP(keys[i]));
		ak_index_scan_open(snapshot, AK_KEY_ROLE_USAGE,
						   AK_KEY_ROLE_USAGE_BY_KEY, &key, false, &recorded);
		drop_recorded_grants(&recorded, used, used_count, times, nulls);
		ak_index_scan_close(&recorded);
		for (int j = 0; j < used_count; j++)
			are_any |= !nulls[used[j].place];
	}
	*chosen = ak_usage_make_column(grants, nulls, count, INT8OID, 8,
								   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	return are_any;
}

/*
 * Records which roles were used, if the record is older than an hour, so the
 * table is rarely written; then the key's roles are not read.  In a transaction
 * that holds a lock on table key_role_usage.
 *
 * A key may have very many roles, and a batch many keys.  The roles of each key of
 * the batch are looked up once (OFFSET: no plan reads those of all keys instead),
 * and what belongs together is found by grouping it, which takes about the same
 * time for each row whatever the planner expects; a join may compare each row
 * with each.
 */
void
ak_usage_merge_grants(const AkBatch *batch, Snapshot snapshot)
{
#define HELD	"coalesce(g.role, '=' OPERATOR(pg_catalog.||) g.permission)"
	static AkStatement merge = {
		"WITH used AS MATERIALIZED (SELECT b.public_key COLLATE \"C\" "
		"AS public_key, b.grant_id, pg_catalog.max(b.last_at) AS last_at "
		"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
		"pg_catalog.unnest($3)) "
		"AS b (public_key, last_at, grant_id) "
		"WHERE b.grant_id IS NOT NULL GROUP BY 1, 2), "
		"granted AS (SELECT k.public_key, g.* "
		"FROM (SELECT DISTINCT u.public_key FROM used AS u) AS k "
		"CROSS JOIN LATERAL (SELECT g.project_id, " HELD " AS held, "
		"apikeys_internal.grant_id(" HELD ", g.project_id) AS grant_id "
		"FROM apikeys.key_role AS g "
		"WHERE g.public_key OPERATOR(pg_catalog.=) k.public_key OFFSET 0) AS g), "
		"held AS (SELECT a.public_key, a.project_id, a.held, "
		"pg_catalog.max(a.last_at) OVER (PARTITION BY a.public_key, a.grant_id) "
		"AS last_at FROM (SELECT u.public_key, u.grant_id, u.last_at, "
		"NULL::pg_catalog.uuid AS project_id, NULL::pg_catalog.text AS held "
		"FROM used AS u UNION ALL SELECT g.public_key, g.grant_id, NULL, "
		"g.project_id, g.held FROM granted AS g) AS a) "
		"INSERT INTO apikeys.key_role_usage AS u "
		"(public_key, project_id, role, last_used_at) "
		"SELECT h.public_key, h.project_id, h.held, h.last_at FROM held AS h "
		"WHERE h.held IS NOT NULL AND h.last_at IS NOT NULL ORDER BY 1, 2, 3 "
		"ON CONFLICT ON CONSTRAINT key_role_usage_key DO UPDATE SET "
		"last_used_at = excluded.last_used_at "
		"WHERE excluded.last_used_at OPERATOR(pg_catalog.>) u.last_used_at",
		3, {TEXTARRAYOID, TIMESTAMPTZARRAYOID, INT8ARRAYOID}, .by_index = true
	};
#undef HELD
	Datum		values[] = {
		batch->columns[AK_BATCH_PUBLIC_KEYS], batch->columns[AK_BATCH_TIMES], 0
	};

	if (choose_grants(batch, snapshot, &values[2]))
		ak_owner_execute_at(snapshot, &merge, values, NULL);
}
