/*
 * keystore.c
 *	  See keystore.h.
 *
 * The image of a key, which every decision reads, is looked for where it was
 * last found, before the index is asked (locator.c).
 */
#include "postgres.h"

#include "base/index_scan.h"
#include "base/tables.h"
#include "core/compat.h"
#include "store/keystore.h"
#include "store/locator.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* Column numbers of the tables, as in sql/parts/30_tables.sql ... */
enum
{
	ORGANIZATION_REQUIRE_ACCESS_LIST = 3,
	ORGANIZATION_MAX_KEY_LIFETIME
};
enum
{
	ORGANIZATION_LIMIT_IMAGE = 8
};
enum
{
	PROJECT_ID = 1,
	PROJECT_ORGANIZATION_ID
};
enum
{
	ROLE_NAME = 1,
	ROLE_ORGANIZATION_PERMISSIONS = 3,
	ROLE_PROJECT_PERMISSIONS
};
enum
{
	KEY_ORGANIZATION_ID = 2
};

/* ... and of the indexes that are read instead of them. */
enum
{
	KEY_ROLE_INDEX_PROJECT_ID = 2,
	KEY_ROLE_INDEX_ROLE
};
enum
{
	MEMBER_INDEX_ORGANIZATION_ID = 2,
	MEMBER_INDEX_PROJECT_ID,
	MEMBER_INDEX_ROLE
};

static void
take_snapshot(AkKeystore *store, uint64 generation)
{
	store->registered = !IsInParallelMode();
	store->generation = store->registered ? generation : 0;
	store->snapshot = store->registered ?
		RegisterSnapshot(GetLatestSnapshot()) : GetActiveSnapshot();
	store->image_buffer = InvalidBuffer;
}

/*
 * Opens the store: everything that was committed before is seen from now on.
 * Close it in the same function; after an error the transaction does it.
 */
void
ak_keystore_open(AkKeystore *store)
{
	take_snapshot(store, ak_tables_refresh());
	store->image_hash = 0;
}

/*
 * Opens the store to find the image of the key that this is ak_locator_hash()
 * of.  Where the image may be is fetched into the processor's cache meanwhile.
 */
void
ak_keystore_open_for_image(AkKeystore *store, uint64 image_hash)
{
	ak_locator_prefetch(image_hash);
	take_snapshot(store, ak_tables_refresh());
	store->image_hash = image_hash;
}

static void
release_image(AkKeystore *store)
{
	if (BufferIsValid(store->image_buffer))
		ReleaseBuffer(store->image_buffer);
	store->image_buffer = InvalidBuffer;
}

/* Lets go of the snapshot and of the image that was found. */
void
ak_keystore_close(AkKeystore *store)
{
	release_image(store);
	if (store->registered)
		UnregisterSnapshot(store->snapshot);
	store->snapshot = NULL;
}

/* --- Single rows ---------------------------------------------------------- */

/* Finds the one row, by id; the caller ends the scan in any case. */
static bool
find_by_id(AkKeystore *store, AkTable table, AkIndex index,
		   const pg_uuid_t *id, AkIndexScan *scan)
{
	ScanKeyData key;

	ak_index_scan_uuid_key(&key, id);
	ak_index_scan_open(store->snapshot, table, index, &key, false, scan);
	return ak_index_scan_next_row(scan);
}

/* Whether an index finds any visible row. */
static bool
finds_any(AkKeystore *store, AkTable table, AkIndex index, ScanKey key)
{
	AkIndexScan scan;
	bool		found;

	ak_index_scan_open(store->snapshot, table, index, key, true, &scan);
	found = ak_index_scan_next_entry(&scan);
	ak_index_scan_close(&scan);
	return found;
}

/* --- Keys ----------------------------------------------------------------- */

/*
 * The row in a scan's slot, where it lies in its buffer, which is pinned once
 * more; a copy if the table's access method has no buffers.
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

/* Finds the row by the index, and has it remembered where it is. */
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
		/* Fetching moves it on to the version that is seen. */
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
 * Finds what a decision asks of the key that the store was opened for; false
 * if there is no such key.  The image points into the page of its row, which
 * the store keeps pinned until it is closed or finds another; until then
 * nobody can clean up that page.  Raises XX001 if the image is damaged.
 */
bool
ak_keystore_find_image(AkKeystore *store, text *public_key, AkImage *image)
{
	AkIndexScan scan;
	HeapTupleData row;
	bool		found;

	release_image(store);
	store->image_is_by_index = false;
	scan.table = table_open(ak_table_oid(AK_KEY_IMAGE), AccessShareLock);
	found = ak_locator_find(store->image_hash, scan.table, store->snapshot,
							public_key, &row, &store->image_buffer) ||
		search_image(store, public_key, &scan, &row);
	if (found)
		ak_image_read(scan.table, &row, image);
	table_close(scan.table, NoLock);
	return found;
}

/* The same for any key, whichever the store was opened for. */
bool
ak_keystore_find_any_image(AkKeystore *store, text *public_key, AkImage *image)
{
	store->image_hash = ak_locator_hash(public_key);
	return ak_keystore_find_image(store, public_key, image);
}

/*
 * Asks the index for an image that was found without it, for nothing: so that
 * this key takes as long as one that there is not.
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
 * Reads the image of another key, if one is at hand, for nothing: so that an
 * image that was not found takes as long as one that was.
 */
void
ak_keystore_read_in_vain(AkKeystore *store)
{
	Relation	table = table_open(ak_table_oid(AK_KEY_IMAGE),
								   AccessShareLock);
	HeapTupleData row;
	Buffer		buffer;
	AkImage		image;

	if (ak_locator_find_another(store->image_hash, table, store->snapshot,
								&row, &buffer))
	{
		if (!HeapTupleHasExternal(&row))
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

/* Whether a key of this name existed once and was deleted. */
bool
ak_keystore_was_deleted(AkKeystore *store, text *public_key)
{
	ScanKeyData key;

	ak_index_scan_text_key(&key, public_key);
	return finds_any(store, AK_DELETED_KEY, AK_DELETED_KEY_BY_NAME, &key);
}

/* --- Roles held by keys and members --------------------------------------- */

/* The project and the role of the entry that a scan is at. */
static void
read_grant(AkIndexScan *scan, AttrNumber project_column,
		   AttrNumber role_column,
		   AkGrant *grant)
{
	bool		isnull;
	Datum		project = ak_index_scan_column(scan, project_column, &isnull);
	text	   *role;

	grant->has_project = !isnull;
	if (grant->has_project)
		grant->project_id = *DatumGetUUIDP(project);
	role = DatumGetTextPP(ak_index_scan_column(scan, role_column, &isnull));
	grant->role.data = VARDATA_ANY(role);
	grant->role.size = VARSIZE_ANY_EXHDR(role);
}

/* Calls back with each role that is granted to a key, until one fails. */
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
				   &grant);
		if (!check(&grant, argument))
			break;
	}
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
		read_grant(&scan, MEMBER_INDEX_PROJECT_ID, MEMBER_INDEX_ROLE, &grant);
		callback(&grant, argument);
	}
	ak_index_scan_close(&scan);
}

/* Calls back with each role that a user of the application holds. */
void
ak_keystore_scan_user(AkKeystore *store, text *principal,
					  AkGrantCallback callback, void *argument)
{
	ScanKeyData key;

	ak_index_scan_text_key(&key, principal);
	scan_members(store, AK_MEMBER_BY_USER, &key, callback, argument);
}

/* Calls back with each role that a PostgreSQL role holds itself. */
void
ak_keystore_scan_role(AkKeystore *store, Oid role,
					  AkGrantCallback callback, void *argument)
{
	ScanKeyData key;

	ak_index_scan_oid_key(&key, role);
	scan_members(store, AK_MEMBER_BY_ROLE, &key, callback, argument);
}

/* Calls back with each role there is. */
void
ak_keystore_scan_roles(AkKeystore *store,
					   AkRoleCallback callback, void *argument)
{
	AkIndexScan scan;

	ak_index_scan_open(store->snapshot, AK_ROLE, AK_ROLE_BY_NAME, NULL, false,
					   &scan);
	while (ak_index_scan_next_row(&scan))
	{
		Datum	   *values = scan.slot->tts_values;
		AkRoleRow	role;

		slot_getsomeattrs(scan.slot, ROLE_PROJECT_PERMISSIONS);
		role.name = DatumGetTextPP(values[ROLE_NAME - 1]);
		role.organization_permissions =
			DatumGetArrayTypeP(values[ROLE_ORGANIZATION_PERMISSIONS - 1]);
		role.project_permissions =
			DatumGetArrayTypeP(values[ROLE_PROJECT_PERMISSIONS - 1]);
		callback(&role, argument);
	}
	ak_index_scan_close(&scan);
}

/* --- Organizations and projects ------------------------------------------- */

/* Calls back with the id of each project of an organization. */
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

/* Finds what an organization demands; false if there is no such one. */
bool
ak_keystore_find_policy(AkKeystore *store, const pg_uuid_t *organization,
						AkPolicy *policy)
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
	}
	ak_index_scan_close(&scan);
	return found;
}

/*
 * Calls back with the image of each limit of an organization, which points into
 * what is scanned, and with who wrote its row.
 */
void
ak_keystore_scan_limits(AkKeystore *store, const pg_uuid_t *organization,
						AkLimitCallback callback, void *argument)
{
	ScanKeyData key;
	AkIndexScan scan;
	bool		isnull;

	ak_index_scan_uuid_key(&key, organization);
	ak_index_scan_open(store->snapshot, AK_ORGANIZATION_LIMIT,
					   AK_ORGANIZATION_LIMIT_BY_ID, &key, false, &scan);
	while (ak_index_scan_next_row(&scan))
	{
		Datum		writer = slot_getsysattr(scan.slot,
											 MinTransactionIdAttributeNumber,
											 &isnull);
		Datum		image = slot_getattr(scan.slot, ORGANIZATION_LIMIT_IMAGE,
										 &isnull);

		callback(PG_DETOAST_DATUM_PACKED(image),
				 DatumGetTransactionId(writer), argument);
	}
	ak_index_scan_close(&scan);
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

/* Whether there is such a project in this organization. */
bool
ak_keystore_project_belongs(AkKeystore *store, const pg_uuid_t *project,
							const pg_uuid_t *organization)
{
	pg_uuid_t	owner;

	return ak_keystore_find_project(store, project, &owner) &&
		memcmp(&owner, organization, sizeof(pg_uuid_t)) == 0;
}
