/*
 * keystore.c
 *	  Reads the extension's tables by index, for any caller.
 *
 * A keystore sees the latest committed state and the transaction's own
 * changes, in any isolation level (in a parallel plan, where no new snapshot
 * can be taken, it sees what the statement sees). Before it takes its snapshot
 * it locks the tables that it will read (ak_tables_lock()). It waits for no
 * row lock.
 *
 * It checks no privileges: callers do.
 *
 * The image of a key, which every decision reads, is looked up at its last
 * known position before the index is used (locator.c).
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "store/store.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Column numbers of the tables, as in sql/parts/30_tables.sql ... */
enum
{
	ORGANIZATION_REQUIRE_ACCESS_LIST = 3,
	ORGANIZATION_MAX_KEY_LIFETIME,
	ORGANIZATION_ACCESS_LIST = 10,
	ORGANIZATION_LIMITS = 12
};
enum
{
	PROJECT_ID = 1,
	PROJECT_ORGANIZATION_ID
};
enum
{
	KEY_ORGANIZATION_ID = 2
};
enum
{
	KEY_ROLE_PUBLIC_KEY = 1
};

/* ... and of the indexes that are read instead of them. */
enum
{
	KEY_ROLE_INDEX_PROJECT_ID = 2,
	KEY_ROLE_INDEX_ROLE,
	KEY_ROLE_INDEX_PERMISSION
};
enum
{
	MEMBER_INDEX_ORGANIZATION_ID = 2,
	MEMBER_INDEX_PROJECT_ID,
	MEMBER_INDEX_ROLE
};

/*
 * The latest snapshot is unchanged until a transaction that has written
 * something ends, as long as this transaction writes nothing: PostgreSQL
 * itself reuses snapshots on this condition.
 */
static void
take_snapshot(AkKeystore *store)
{
	memset(&store->view, 0, sizeof(store->view));
	store->registered = !IsInParallelMode();
	if (store->registered)
	{
		Snapshot	latest = GetLatestSnapshot();

		store->view.completed = latest->snapXactCompletionCount;
		store->view.own = GetTopTransactionIdIfAny();
		store->view.command = latest->curcid;
		store->snapshot = RegisterSnapshot(latest);
	}
	else
		store->snapshot = GetActiveSnapshot();
	store->image_buffer = InvalidBuffer;
	store->image_hash = 0;
}

/*
 * Opens the store to read a set of tables, AK_TABLE_BIT()s.  It sees
 * everything that was committed before.  Close it in the same function; after
 * an error the transaction does it.
 */
void
ak_keystore_open(AkKeystore *store, uint32 tables)
{
	ak_tables_lock(tables);
	take_snapshot(store);
}

/*
 * Opens the store to find the image of the key with this ak_locator_hash(),
 * and to read a set of other tables.  Prefetches the last known position of
 * the image, which is in shared memory: raises 55000 if the library is not
 * preloaded.
 */
void
ak_keystore_open_for_image(AkKeystore *store, uint64 image_hash,
						   uint32 tables)
{
	ak_require_preload();
	ak_locator_prefetch(image_hash);
	ak_tables_lock(tables | AK_TABLE_BIT(AK_KEY_IMAGE));
	take_snapshot(store);
	store->image_hash = image_hash;
}

static void
release_image(AkKeystore *store)
{
	if (BufferIsValid(store->image_buffer))
		ReleaseBuffer(store->image_buffer);
	store->image_buffer = InvalidBuffer;
}

/* Releases the snapshot and the image that was found. */
void
ak_keystore_close(AkKeystore *store)
{
	release_image(store);
	if (store->registered)
		UnregisterSnapshot(store->snapshot);
	store->snapshot = NULL;
}

/* --- Single rows --------------------------------------------------------- */

/* Finds the row with this id; the caller always ends the scan. */
static bool
find_by_id(AkKeystore *store, AkTable table, AkIndex index,
		   const pg_uuid_t *id, AkIndexScan *scan)
{
	ScanKeyData key;

	ak_index_scan_uuid_key(&key, id);
	ak_index_scan_open(store->snapshot, table, index, &key, false, scan);
	return ak_index_scan_next_row(scan);
}

/* --- Keys ---------------------------------------------------------------- */

/*
 * Returns the row in a scan's slot, in its buffer, which is pinned once more;
 * a copy if the table's access method has no buffers.
 */
static HeapTuple
keep_row(TupleTableSlot *slot, Buffer *buffer)
{
	BufferHeapTupleTableSlot *row = (BufferHeapTupleTableSlot *) slot;

	if (!TTS_IS_BUFFERTUPLE(slot) || !BufferIsValid(row->buffer))
		return ExecCopySlotHeapTuple(slot);
	IncrBufferRefCount(row->buffer);
	*buffer = row->buffer;
	return row->base.tuple;
}

/* Finds the row by index, and remembers its position. */
static bool
search_image(AkKeystore *store, text *public_key, AkIndexScan *scan,
			 HeapTuple row)
{
	ScanKeyData key;
	ItemPointer tid;
	bool		found = false;

	store->image_is_by_index = true;
	ak_index_scan_text_key(&key, public_key);
	ak_index_scan_begin(store->snapshot, AK_KEY_IMAGE_BY_NAME, &key, false,
						scan);
	while (!found &&
		   (tid = index_getnext_tid(scan->scan, ForwardScanDirection)) != NULL)
	{
		/* Fetching advances it to the visible version. */
		ItemPointerData root = *tid;

		if (!index_fetch_heap(scan->scan, scan->slot))
			continue;
		found = true;
		*row = *keep_row(scan->slot, &store->image_buffer);
		if (BufferIsValid(store->image_buffer))
			ak_locator_remember(store->image_hash, scan->table, &root, row,
								store->image_buffer);
	}
	ak_index_scan_end(scan);
	return found;
}

/*
 * Finds the image of the key that the store was opened for; false if the key
 * does not exist.  The image points into the page of its row, which the store
 * keeps pinned until it is closed or finds another image; the page cannot be
 * vacuumed meanwhile.  Raises XX001 if the image is damaged.
 */
bool
ak_keystore_find_image(AkKeystore *store, text *public_key, AkImage *image)
{
	AkIndexScan scan;
	HeapTupleData row;
	bool		found;

	release_image(store);
	store->image_is_by_index = false;
	scan.table = ak_table_open(AK_KEY_IMAGE, AccessShareLock);
	found = ak_locator_find(store->image_hash, scan.table, store->snapshot,
							public_key, &row, &store->image_buffer) ||
		search_image(store, public_key, &scan, &row);
	if (found)
		ak_image_read(scan.table, &row, image);
	table_close(scan.table, NoLock);
	return found;
}

/* The same for any key, also one that the store was not opened for. */
bool
ak_keystore_find_any_image(AkKeystore *store, text *public_key, AkImage *image)
{
	store->image_hash = ak_locator_hash(public_key);
	return ak_keystore_find_image(store, public_key, image);
}

/*
 * Uses the index for an image that was found without it, and discards the
 * result, so that an existing key takes as long as an unknown one.
 */
void
ak_keystore_search_in_vain(AkKeystore *store, text *public_key)
{
	ScanKeyData key;
	AkIndexScan scan;

	if (store->image_is_by_index)
		return;
	ak_index_scan_text_key(&key, public_key);
	ak_index_scan_open(store->snapshot, AK_KEY_IMAGE, AK_KEY_IMAGE_BY_NAME,
					   &key, false, &scan);
	(void) index_getnext_tid(scan.scan, ForwardScanDirection);
	ak_index_scan_close(&scan);
}

/*
 * Reads the image of another key, if there is one, and discards it, so that an
 * image that was not found takes as long as one that was found.
 */
void
ak_keystore_read_in_vain(AkKeystore *store)
{
	Relation	table = ak_table_open(AK_KEY_IMAGE, AccessShareLock);
	HeapTupleData row;
	Buffer		buffer;
	AkImage		image;

	if (ak_locator_find_another(store->image_hash, table, store->snapshot,
								&row, &buffer))
	{
		(void) ak_image_try(table, &row, &image);
		ReleaseBuffer(buffer);
	}
	table_close(table, NoLock);
}

/* Finds the organization of a key. */
bool
ak_keystore_find_key(AkKeystore *store, text *public_key,
					 pg_uuid_t *organization)
{
	ScanKeyData key;
	AkIndexScan scan;
	bool		found;
	bool		isnull;

	ak_index_scan_text_key(&key, public_key);
	ak_index_scan_open(store->snapshot, AK_KEY, AK_KEY_BY_NAME, &key, false,
					   &scan);
	found = ak_index_scan_next_row(&scan);
	if (found)
		*organization = *DatumGetUUIDP(slot_getattr(scan.slot,
													KEY_ORGANIZATION_ID,
													&isnull));
	ak_index_scan_close(&scan);
	return found;
}

/* Counts the keys of an organization, up to a number. */
int64
ak_keystore_count_keys(AkKeystore *store, const pg_uuid_t *organization,
					   int64 most)
{
	ScanKeyData key;
	AkIndexScan scan;
	int64		count = 0;

	ak_index_scan_uuid_key(&key, organization);
	ak_index_scan_open(store->snapshot, AK_KEY, AK_KEY_BY_ORGANIZATION, &key,
					   true, &scan);
	while (count < most && ak_index_scan_next_entry(&scan))
		count++;
	ak_index_scan_close(&scan);
	return count;
}

/* Checks whether a key of this name existed and was deleted. */
bool
ak_keystore_was_deleted(AkKeystore *store, text *public_key)
{
	ScanKeyData key;
	AkIndexScan scan;
	bool		found;

	ak_index_scan_text_key(&key, public_key);
	ak_index_scan_open(store->snapshot, AK_DELETED_KEY, AK_DELETED_KEY_BY_NAME,
					   &key, true, &scan);
	found = ak_index_scan_next_entry(&scan);
	ak_index_scan_close(&scan);
	return found;
}

/* --- Roles held by keys and members -------------------------------------- */

/*
 * The project and the role, or, where that is NULL, the permission of the entry
 * that a scan is at; there is a column of permissions unless that is 0.
 */
static void
read_grant(AkIndexScan *scan, AttrNumber project_column,
		   AttrNumber role_column, AttrNumber permission_column,
		   AkGrant *grant)
{
	bool		isnull;
	Datum		value = ak_index_scan_column(scan, project_column, &isnull);
	text	   *name;

	grant->has_project = !isnull;
	if (grant->has_project)
		grant->project_id = *DatumGetUUIDP(value);
	value = ak_index_scan_column(scan, role_column, &isnull);
	grant->is_permission = isnull && permission_column != 0;
	if (grant->is_permission)
		value = ak_index_scan_column(scan, permission_column, &isnull);
	name = DatumGetTextPP(value);
	grant->name.data = VARDATA_ANY(name);
	grant->name.size = VARSIZE_ANY_EXHDR(name);
}

/* Calls back with each role and permission of a key, until one fails. */
void
ak_keystore_check_key_roles(AkKeystore *store, text *public_key,
							AkGrantCheck check, void *argument)
{
	ScanKeyData key;
	AkIndexScan scan;

	ak_index_scan_text_key(&key, public_key);
	ak_index_scan_open(store->snapshot, AK_KEY_ROLE, AK_KEY_ROLE_BY_KEY, &key,
					   true, &scan);
	while (ak_index_scan_next_entry(&scan))
	{
		AkGrant		grant = {0};

		read_grant(&scan, KEY_ROLE_INDEX_PROJECT_ID, KEY_ROLE_INDEX_ROLE,
				   KEY_ROLE_INDEX_PERMISSION, &grant);
		if (!check(&grant, argument))
			break;
	}
	ak_index_scan_close(&scan);
}

/*
 * Calls the callback for each key that has a role in a project, once for each
 * of its roles; the name points into the scanned entry.
 */
void
ak_keystore_scan_project_keys(AkKeystore *store, const pg_uuid_t *project,
							  AkNameCallback callback, void *argument)
{
	ScanKeyData key;
	AkIndexScan scan;
	bool		isnull;

	ak_index_scan_uuid_key(&key, project);
	ak_index_scan_open(store->snapshot, AK_KEY_ROLE, AK_KEY_ROLE_BY_PROJECT,
					   &key, false, &scan);
	while (ak_index_scan_next_row(&scan))
		callback(DatumGetTextPP(slot_getattr(scan.slot, KEY_ROLE_PUBLIC_KEY,
											 &isnull)), argument);
	ak_index_scan_close(&scan);
}

static void
scan_members(AkKeystore *store, AkIndex index, ScanKey key,
			 AkGrantCallback callback, void *argument)
{
	AkIndexScan scan;

	ak_index_scan_open(store->snapshot, AK_MEMBER, index, key, true, &scan);
	while (ak_index_scan_next_entry(&scan))
	{
		AkGrant		grant = {0};
		Datum		organization;
		bool		isnull;

		organization = ak_index_scan_column(&scan,
											MEMBER_INDEX_ORGANIZATION_ID,
											&isnull);
		if (!isnull)
			grant.organization_id = *DatumGetUUIDP(organization);
		read_grant(&scan, MEMBER_INDEX_PROJECT_ID, MEMBER_INDEX_ROLE, 0, &grant);
		callback(&grant, argument);
	}
	ak_index_scan_close(&scan);
}

/* Calls the callback for each role held by a user of the application. */
void
ak_keystore_scan_user(AkKeystore *store, text *principal,
					  AkGrantCallback callback, void *argument)
{
	ScanKeyData key;

	ak_index_scan_text_key(&key, principal);
	scan_members(store, AK_MEMBER_BY_USER, &key, callback, argument);
}

/* Calls the callback for each role held by a PostgreSQL role itself. */
void
ak_keystore_scan_role(AkKeystore *store, Oid role,
					  AkGrantCallback callback, void *argument)
{
	ScanKeyData key;

	ak_index_scan_oid_key(&key, role);
	scan_members(store, AK_MEMBER_BY_ROLE, &key, callback, argument);
}

/* --- Organizations and projects ------------------------------------------ */

/* Calls the callback for the id of each project of an organization. */
void
ak_keystore_scan_projects(AkKeystore *store, const pg_uuid_t *organization,
						  AkIdCallback callback, void *argument)
{
	ScanKeyData key;
	AkIndexScan scan;
	bool		isnull;

	ak_index_scan_uuid_key(&key, organization);
	ak_index_scan_open(store->snapshot, AK_PROJECT, AK_PROJECT_BY_ORGANIZATION,
					   &key, false, &scan);
	while (ak_index_scan_next_row(&scan))
		callback(DatumGetUUIDP(slot_getattr(scan.slot, PROJECT_ID, &isnull)),
				 argument);
	ak_index_scan_close(&scan);
}

/*
 * Finds what an organization demands, its list and the images of its limits
 * palloc'd, and the version of its row; false if there is no such one.
 */
bool
ak_keystore_find_policy(AkKeystore *store, const pg_uuid_t *organization,
						AkPolicy *policy, AkRowVersion *version)
{
	AkIndexScan scan;
	Datum		value;
	bool		isnull;
	bool		found = find_by_id(store, AK_ORGANIZATION,
								   AK_ORGANIZATION_BY_ID, organization, &scan);

	if (found)
	{
		value = slot_getattr(scan.slot, ORGANIZATION_REQUIRE_ACCESS_LIST,
							 &isnull);
		policy->require_access_list = DatumGetBool(value);
		value = slot_getattr(scan.slot, ORGANIZATION_MAX_KEY_LIFETIME, &isnull);
		policy->limits_lifetime = !isnull;
		if (!isnull)
			policy->max_key_lifetime = *DatumGetIntervalP(value);
		value = slot_getattr(scan.slot, ORGANIZATION_ACCESS_LIST, &isnull);
		policy->access_list = isnull ? NULL :
			(struct varlena *) PG_DETOAST_DATUM_COPY(value);
		value = slot_getattr(scan.slot, ORGANIZATION_LIMITS, &isnull);
		policy->stored_limits =
			(struct varlena *) PG_DETOAST_DATUM_COPY(value);
		value = slot_getsysattr(scan.slot, MinTransactionIdAttributeNumber,
								&isnull);
		policy->writer = DatumGetTransactionId(value);
		ak_keystore_note_version(store, &scan, version);
	}
	ak_index_scan_close(&scan);
	return found;
}

/* Finds the organization of a project. */
bool
ak_keystore_find_project(AkKeystore *store, const pg_uuid_t *project,
						 pg_uuid_t *organization)
{
	AkIndexScan scan;
	bool		isnull;
	bool		found = find_by_id(store, AK_PROJECT, AK_PROJECT_BY_ID,
								   project, &scan);

	if (found)
		*organization = *DatumGetUUIDP(slot_getattr(scan.slot,
													PROJECT_ORGANIZATION_ID,
													&isnull));
	ak_index_scan_close(&scan);
	return found;
}

/* Checks whether the organization has this project. */
bool
ak_keystore_project_belongs(AkKeystore *store, const pg_uuid_t *project,
							const pg_uuid_t *organization)
{
	pg_uuid_t	owner;

	return ak_keystore_find_project(store, project, &owner) &&
		memcmp(&owner, organization, sizeof(pg_uuid_t)) == 0;
}
