/*
 * tables.c
 *	  The extension's tables and indexes, and scans of them.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_extension.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* --- Tables and indexes -------------------------------------------------- */

/*
 * The OIDs of the extension's tables and indexes, and locks on the tables.
 *
 * The OIDs are looked up once, and again after any relcache message about one
 * of the relations: DROP EXTENSION sends one, and a CREATE EXTENSION in the
 * same session makes new ones.  CREATE RULE sends one, too.
 */

static const char *const table_names[AK_TABLE_COUNT] = {
	[AK_ORGANIZATION] = "organization",
	[AK_PROJECT] = "project",
	[AK_ROLE] = "role",
	[AK_MEMBER] = "member",
	[AK_KEY] = "key",
	[AK_KEY_ROLE] = "key_role",
	[AK_KEY_SECRET] = "key_secret",
	[AK_KEY_NETWORK] = "key_network",
	[AK_KEY_USAGE] = "key_usage",
	[AK_KEY_ROLE_USAGE] = "key_role_usage",
	[AK_KEY_DENIAL] = "key_denial",
	[AK_KEY_HISTORY] = "key_history",
	[AK_KEY_DAY] = "key_day",
	[AK_USAGE_FLUSH] = "usage_flush",
	[AK_KEY_IMAGE] = "key_image",
	[AK_DELETED_KEY] = "deleted_key",
	[AK_AUDIT_EVENT] = "audit_event",
	[AK_AUDIT_SEAL] = "audit_seal",
	[AK_AUDIT_CHAIN] = "audit_chain",
	[AK_KEY_LIMIT] = "key_limit",
	[AK_ORGANIZATION_LIMIT] = "organization_limit",
	[AK_QUOTA_USAGE] = "quota_usage",
	[AK_TOKEN_KEY] = "token_key",
};

static const char *const index_names[AK_INDEX_COUNT] = {
	[AK_ORGANIZATION_BY_ID] = "organization_pkey",
	[AK_PROJECT_BY_ID] = "project_pkey",
	[AK_PROJECT_BY_ORGANIZATION] = "project_name_key",
	[AK_ROLE_BY_ID] = "role_pkey",
	[AK_ROLE_BY_ORGANIZATION] = "role_name_key",
	[AK_MEMBER_BY_USER] = "member_user_key",
	[AK_MEMBER_BY_ROLE] = "member_role_key",
	[AK_KEY_BY_NAME] = "key_pkey",
	[AK_KEY_BY_ORGANIZATION] = "key_organization_created_idx",
	[AK_KEY_ROLE_BY_KEY] = "key_role_key",
	[AK_KEY_ROLE_BY_PROJECT] = "key_role_project_idx",
	[AK_KEY_SECRET_BY_KEY] = "key_secret_pkey",
	[AK_KEY_USAGE_BY_KEY] = "key_usage_key",
	[AK_KEY_ROLE_USAGE_BY_KEY] = "key_role_usage_key",
	[AK_USAGE_FLUSH_BY_INSTANCE] = "usage_flush_pkey",
	[AK_KEY_IMAGE_BY_NAME] = "key_image_pkey",
	[AK_DELETED_KEY_BY_NAME] = "deleted_key_pkey",
	[AK_AUDIT_EVENT_BY_ID] = "audit_event_pkey",
	[AK_AUDIT_SEAL_BY_ID] = "audit_seal_pkey",
	[AK_QUOTA_USAGE_BY_SUBJECT] = "quota_usage_pkey",
	[AK_TOKEN_KEY_BY_ID] = "token_key_pkey",
};

static Oid	table_oids[AK_TABLE_COUNT];
static Oid	index_oids[AK_INDEX_COUNT];
static Oid	table_with_rules;	/* one of them, or InvalidOid */
static bool oids_are_valid = false;

/* Counts invalidation messages. */
static uint64 generation = 1;

/* The last locks. */
static struct
{
	LocalTransactionId transaction;
	uint64		generation;
	uint32		tables;			/* a set of AK_TABLE_BIT() */
} locked;

static bool
is_one_of(Oid relation, const Oid *oids, int count)
{
	for (int i = 0; i < count; i++)
		if (oids[i] == relation)
			return true;
	return false;
}

static void
take_message(Datum argument, Oid relation)
{
	if (oids_are_valid &&
		(!OidIsValid(relation) ||
		 is_one_of(relation, table_oids, AK_TABLE_COUNT) ||
		 is_one_of(relation, index_oids, AK_INDEX_COUNT)))
	{
		oids_are_valid = false;
		generation++;
	}
}

static void
find_oids(Oid *oids, const char *const *names, int count, Oid schema)
{
	for (int i = 0; i < count; i++)
	{
		oids[i] = get_relname_relid(names[i], schema);
		if (!OidIsValid(oids[i]))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation \"apikeys.%s\" does not exist",
							names[i]),
					 errhint("Is the extension apikeys created in this database?"),
					 ak_errid("not_installed")));
	}
}

/* pg_class says of a table also that it once had rules. */
static bool
has_rules(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Relation	relation = NULL;
	bool		has = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	if (((Form_pg_class) GETSTRUCT(tuple))->relhasrules)
		relation = RelationIdGetRelation(table);
	ReleaseSysCache(tuple);
	if (relation)
	{
		has = ak_table_has_rules(relation);
		RelationClose(relation);
	}
	return has;
}

static void
find_rules(void)
{
	table_with_rules = InvalidOid;
	for (int i = 0; i < AK_TABLE_COUNT; i++)
		if (has_rules(table_oids[i]))
			table_with_rules = table_oids[i];
}

static void
ensure_oids(void)
{
	Oid			schema;

	/*
	 * The look-ups may process messages, also about a relation that was looked
	 * up before: then all are looked up again.
	 */
	while (!oids_are_valid)
	{
		schema = get_namespace_oid("apikeys", false);
		oids_are_valid = true;
		PG_TRY();
		{
			find_oids(table_oids, table_names, AK_TABLE_COUNT, schema);
			find_oids(index_oids, index_names, AK_INDEX_COUNT, schema);
			find_rules();
		}
		PG_CATCH();
		{
			oids_are_valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
}

/*
 * A subtransaction that is rolled back releases locks: those that it took, and those of a
 * cursor that failed in it, also if that is older.
 */
static void
forget_locks(SubXactEvent event, SubTransactionId own, SubTransactionId parent,
			 void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		locked.transaction = InvalidLocalTransactionId;
}

/* Called once, when the library is loaded. */
void
ak_tables_init(void)
{
	CacheRegisterRelcacheCallback(take_message, (Datum) 0);
	RegisterSubXactCallback(forget_locks, NULL);
}

/* Checks whether the last locks are held, on the tables that there are now. */
static bool
locks_are_current(void)
{
	return locked.transaction == ak_local_transaction() &&
		locked.generation == generation;
}

/*
 * Takes AccessShareLocks on a set of tables, AK_TABLE_BIT()s, and holds them
 * until the transaction ends, like the executor.  A snapshot taken after that
 * includes the commit of any command that had locked and rewritten one of them.
 * Raises 42P01 or 3F000 if the extension is not in this database.
 */
void
ak_tables_lock(uint32 tables)
{
	AcceptInvalidationMessages();
	ensure_oids();
	if (locks_are_current() && (tables & ~locked.tables) == 0)
		return;
	/* Locking processes messages: the name may now belong to another table. */
	do
	{
		if (!locks_are_current())
		{
			locked.transaction = ak_local_transaction();
			locked.generation = generation;
			locked.tables = 0;
		}
		for (int i = 0; i < AK_TABLE_COUNT; i++)
			if ((tables & ~locked.tables) & AK_TABLE_BIT(i))
				LockRelationOid(table_oids[i], AccessShareLock);
		ensure_oids();
	} while (!locks_are_current());
	locked.tables |= tables;
}

/* The OID of a table. */
Oid
ak_table_oid(AkTable table)
{
	ensure_oids();
	return table_oids[table];
}

/* Returns the owner of a table, InvalidOid if there is no such table. */
Oid
ak_table_owner(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* Checks whether a table has rules, for what is done to its rows. */
bool
ak_table_has_rules(Relation table)
{
	return table->rd_rules && table->rd_rules->numLocks > 0;
}

/* The OID of a table of the extension that has rules, or InvalidOid. */
Oid
ak_table_with_rules(void)
{
	ensure_oids();
	return table_with_rules;
}

/*
 * Opens a table and locks it.  If the lock has waited for DROP EXTENSION,
 * opens the table of the extension that was created instead, or raises as
 * above.
 */
Relation
ak_table_open(AkTable table, LOCKMODE mode)
{
	for (;;)
	{
		Oid			oid = ak_table_oid(table);

		LockRelationOid(oid, mode);
		if (ak_table_oid(table) == oid)
			return table_open(oid, NoLock);
		UnlockRelationOid(oid, mode);
	}
}

/* The OID of an index. */
Oid
ak_index_oid(AkIndex index)
{
	ensure_oids();
	return index_oids[index];
}

/*
 * Checks whether there is a row of the extension in pg_extension, also one that
 * is not committed.
 */
bool
ak_extension_is_being_created(void)
{
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	SnapshotData snapshot;
	ScanKeyData key;
	SysScanDesc scan;
	bool		found = false;

	InitDirtySnapshot(snapshot);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("apikeys"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, &snapshot,
							  1, &key);
	while (HeapTupleIsValid(systable_getnext(scan)))
		found = true;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

/* --- Scans by index ------------------------------------------------------ */

/*
 * Scans of the extension's tables by an index, on its first column.
 *
 * A scan is ended in the function that began it; after an error the
 * transaction ends it.  The scan takes AccessShareLocks and keeps them until
 * the transaction ends, as the executor does: taking them again is cheap.
 *
 * Rows are read from the table, or from an index that contains all requested
 * columns.  As in an index-only scan, the table is then visited only for pages
 * that the visibility map does not mark as all-visible.
 */

/* A scan key for a text; it points to the value. */
void
ak_index_scan_text_key(ScanKey key, text *value)
{
	ScanKeyEntryInitialize(key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ,
						   PointerGetDatum(value));
}

/* A scan key for an id; it points to the value. */
void
ak_index_scan_uuid_key(ScanKey key, const pg_uuid_t *value)
{
	ScanKeyEntryInitialize(key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   InvalidOid, F_UUID_EQ, UUIDPGetDatum(value));
}

/* A scan key for an OID. */
void
ak_index_scan_oid_key(ScanKey key, Oid value)
{
	ScanKeyEntryInitialize(key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   InvalidOid, F_OIDEQ, ObjectIdGetDatum(value));
}

static void
begin(Snapshot snapshot, AkIndex index, ScanKey keys, int count,
	  bool index_only, AkIndexScan *scan)
{
	scan->index = index_open(ak_index_oid(index), AccessShareLock);
	scan->slot = table_slot_create(scan->table, NULL);
	scan->scan = ak_index_beginscan(scan->table, scan->index, snapshot, count);
	scan->scan->xs_want_itup = index_only;
	scan->map_buffer = InvalidBuffer;
	index_rescan(scan->scan, keys, count, NULL, 0);
}

/* The same as ak_index_scan_open(), where scan->table is open already. */
void
ak_index_scan_begin(Snapshot snapshot, AkIndex index, ScanKey key,
					bool index_only, AkIndexScan *scan)
{
	begin(snapshot, index, key, key ? 1 : 0, index_only, scan);
}

/* The same for a row that several keys find, of the first columns of the index. */
void
ak_index_scan_open_for(Snapshot snapshot, AkTable table, AkIndex index,
					   ScanKey keys, int count, AkIndexScan *scan)
{
	scan->table = ak_table_open(table, AccessShareLock);
	begin(snapshot, index, keys, count, false, scan);
}

/* Ends the scan, and leaves the table open. */
void
ak_index_scan_end(AkIndexScan *scan)
{
	index_endscan(scan->scan);
	if (BufferIsValid(scan->map_buffer))
		ReleaseBuffer(scan->map_buffer);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->index, NoLock);
}

/*
 * Begins a scan of the rows that are visible to the snapshot and match the key
 * (NULL: all), to be read by ak_index_scan_next_entry() if index_only is true,
 * else by ak_index_scan_next_row(). Allocates in the current context.
 */
void
ak_index_scan_open(Snapshot snapshot, AkTable table, AkIndex index,
				   ScanKey key, bool index_only, AkIndexScan *scan)
{
	scan->table = ak_table_open(table, AccessShareLock);
	ak_index_scan_begin(snapshot, index, key, index_only, scan);
}

/* Ends the scan. */
void
ak_index_scan_close(AkIndexScan *scan)
{
	ak_index_scan_end(scan);
	table_close(scan->table, NoLock);
}

/*
 * Moves to the next row, in the scan's slot; returns false if there is none.
 */
bool
ak_index_scan_next_row(AkIndexScan *scan)
{
	CHECK_FOR_INTERRUPTS();
	return index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot);
}

/*
 * Moves to the next index entry of a visible row, for ak_index_scan_column();
 * returns false if there is none.
 */
bool
ak_index_scan_next_entry(AkIndexScan *scan)
{
	ItemPointer tid;

	while ((tid = index_getnext_tid(scan->scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (VM_ALL_VISIBLE(scan->table, ItemPointerGetBlockNumber(tid),
						   &scan->map_buffer))
			return true;
		if (index_fetch_heap(scan->scan, scan->slot))
		{
			ExecClearTuple(scan->slot);
			return true;
		}
	}
	return false;
}

/* Returns a column of the current index entry; points into it. */
Datum
ak_index_scan_column(AkIndexScan *scan, AttrNumber column, bool *isnull)
{
	return index_getattr(scan->scan->xs_itup, column,
						 scan->scan->xs_itupdesc, isnull);
}

/* --- Rows that functions return ------------------------------------------ */

/*
 * Returns the row of these columns that the called function returns, in the
 * current context.  An error if the function is not declared to return a row,
 * which is a mistake in an install script.
 */
Datum
ak_make_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	descriptor;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
											 values, nulls));
}
