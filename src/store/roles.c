/*
 * roles.c
 *	  The permissions of each role, cached in the backend.
 *
 * Roles change seldom, so every backend keeps those that it was asked for: until
 * the row that one was read from is not the one that is seen any more
 * (ak_keystore_sees()).
 *
 * Permissions are valid patterns: the table's constraint checks that.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/scope.h"
#include "store/store.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* The longest id: an organization, a slash and a name. */
#define ID_SIZE			(36 + 1 + NAMEDATALEN)

/* When the memory has this size in bytes, it is emptied. */
#define MAX_SIZE		((Size) 8 * 1024 * 1024)

typedef struct RoleEntry
{
	char		id[ID_SIZE];	/* hash key: zero-padded */
	AkRowVersion version;
	AkRole		role;
} RoleEntry;

/* Of an organization. */
#define MAX_ROLES		1000
#define MAX_PERMISSIONS	10000

/* Column numbers of the table, as in sql/parts/30_tables.sql. */
enum
{
	ROLE_ORGANIZATION_PERMISSIONS = 3,
	ROLE_PROJECT_PERMISSIONS
};

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;		/* in cache_context, as all that roles point to */

PG_FUNCTION_INFO_V1(apikeys_are_permissions);
PG_FUNCTION_INFO_V1(apikeys_grant_id);
PG_FUNCTION_INFO_V1(apikeys_has_room_for_role);

/* --- Names of grants ----------------------------------------------------- */

/* What ak_grant_id() asks of the id of a role, or of a permission. */
uint64
ak_grant_hash(const AkBytes *name, bool is_permission)
{
	return hash_bytes_extended((const unsigned char *) name->data, name->size,
							   is_permission);
}

/*
 * A number for a role or a permission that is held in a project, or, where that
 * is NULL, in the organization; never 0.  Two grants of a key have the same one
 * with a chance that can be neglected.  It is stored nowhere, for it may be
 * another one on another machine.
 */
uint64
ak_grant_id(uint64 hash, const pg_uuid_t *project)
{
	uint64		id = hash;

	if (project)
	{
		uint64		halves[2];

		memcpy(halves, project->data, UUID_LEN);
		id = hash_combine64(hash_combine64(id, halves[0]), halves[1]);
	}
	return id ? id : 1;
}

/*
 * Where something that is held is told in one text, it is the id of a role, or an
 * equals sign, which is passed over then, and a permission.
 */
bool
ak_grant_is_permission(AkBytes *name)
{
	if (name->size == 0 || name->data[0] != '=')
		return false;
	name->data++;
	name->size--;
	return true;
}

/* The same for what is held in one text; "held" is not compressed. */
uint64
ak_grant_id_of(const text *held, const pg_uuid_t *project)
{
	AkBytes		name = {VARDATA_ANY(held), VARSIZE_ANY_EXHDR(held)};
	bool		is_permission = ak_grant_is_permission(&name);

	return ak_grant_id(ak_grant_hash(&name, is_permission), project);
}

Datum
apikeys_grant_id(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_INT64(ak_grant_id_of(PG_GETARG_TEXT_PP(0),
								   PG_ARGISNULL(1) ? NULL : PG_GETARG_UUID_P(1)));
}

/* --- Permissions --------------------------------------------------------- */

static void
copy_permissions(ArrayType *array, AkPermissions *permissions)
{
	Datum	   *elements;
	bool	   *nulls;

	array = DatumGetArrayTypePCopy(PointerGetDatum(array));
	deconstruct_array(array, TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &permissions->count);
	permissions->items = palloc(permissions->count * sizeof(AkPermission));
	for (int i = 0; i < permissions->count; i++)
	{
		text	   *element = DatumGetTextPP(elements[i]);

		permissions->items[i].text = VARDATA_ANY(element);
		permissions->items[i].length = VARSIZE_ANY_EXHDR(element);
	}
}

/*
 * Makes an empty cache.  What the last one held is good as long as the current
 * memory context, for callers that still use it.
 */
static void
make_cache(void)
{
	HASHCTL		info = {0};

	if (cache_context)
		MemoryContextSetParent(cache_context, CurrentMemoryContext);
	/* The old one is gone with its parent, also if there is no memory for a new one. */
	cache = NULL;
	cache_context = NULL;
	cache_context = AllocSetContextCreate(TopMemoryContext, "apikeys roles",
										  ALLOCSET_SMALL_SIZES);
	info.keysize = ID_SIZE;
	info.entrysize = sizeof(RoleEntry);
	info.hcxt = cache_context;
	cache = hash_create("apikeys roles", 64, &info,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static ArrayType *
get_permissions(const AkIndexScan *scan, AttrNumber column)
{
	bool		isnull;

	return DatumGetArrayTypeP(slot_getattr(scan->slot, column, &isnull));
}

/*
 * Reads the role of this id, its permissions into the cache, and the version of its
 * row; false if there is no such role.
 */
static bool
find_role(AkKeystore *store, const AkBytes *id, AkRowVersion *version,
		  AkRole *role)
{
	ScanKeyData key;
	AkIndexScan scan;
	text	   *value = cstring_to_text_with_len(id->data, id->size);
	bool		found;

	ak_index_scan_text_key(&key, value);
	ak_index_scan_open(store->snapshot, AK_ROLE, AK_ROLE_BY_ID, &key, false,
					   &scan);
	found = ak_index_scan_next_row(&scan);
	if (found)
	{
		ArrayType  *organization = get_permissions(&scan,
												   ROLE_ORGANIZATION_PERMISSIONS);
		ArrayType  *project = get_permissions(&scan, ROLE_PROJECT_PERMISSIONS);
		MemoryContext old = MemoryContextSwitchTo(cache_context);

		copy_permissions(organization, &role->organization);
		copy_permissions(project, &role->project);
		MemoryContextSwitchTo(old);
		ak_keystore_note_version(store, &scan, version);
	}
	ak_index_scan_close(&scan);
	pfree(value);
	return found;
}

/*
 * The role of this id, or NULL; good until another one is looked for, and what
 * it points to as long as the memory context in which that is done.  The store
 * was opened to read table role.
 */
const AkRole *
ak_roles_find(AkKeystore *store, const AkBytes *id)
{
	char		key[ID_SIZE] = {0};
	AkRole		role;
	AkRowVersion version;
	RoleEntry  *entry;

	if (id->size > ID_SIZE)
		return NULL;
	memcpy(key, id->data, id->size);
	if (cache == NULL)
		make_cache();
	entry = hash_search(cache, key, HASH_FIND, NULL);
	if (entry && ak_keystore_sees(store, AK_ROLE, &entry->version))
		return &entry->role;
	if (MemoryContextMemAllocated(cache_context, true) >= MAX_SIZE)
		make_cache();
	role = (AkRole) {.hash = ak_grant_hash(id, false)};
	if (!find_role(store, id, &version, &role))
	{
		hash_search(cache, key, HASH_REMOVE, NULL);
		return NULL;
	}
	entry = hash_search(cache, key, HASH_ENTER, NULL);
	entry->version = version;
	entry->role = role;
	return &entry->role;
}

/*
 * The first of the permissions that allows the scope, or NULL; NULL as well where
 * those that they are within do not allow it.
 */
const AkPermission *
ak_permissions_find(const AkPermissions *permissions,
					const char *scope, size_t scope_length)
{
	if (permissions->within &&
		!ak_permissions_allow(permissions->within, scope, scope_length))
		return NULL;
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < permissions->count; i++)
		if (ak_permission_allows(permissions->items[i].text,
								 permissions->items[i].length,
								 scope, scope_length))
			return &permissions->items[i];
	return NULL;
}

/*
 * Whether one of the permissions covers the one that is wanted, whatever they are
 * within: of a token, its patterns are asked themselves.
 */
bool
ak_permissions_cover(const AkPermissions *permissions,
					 const AkPermission *wanted)
{
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < permissions->count; i++)
		if (ak_permission_covers(permissions->items[i].text,
								 permissions->items[i].length,
								 wanted->text, wanted->length))
			return true;
	return false;
}

Datum
apikeys_are_permissions(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (ARR_NDIM(array) > 1)
		PG_RETURN_BOOL(false);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (nulls[i] || !ak_is_permission(DatumGetTextPP(elements[i])))
			PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(true);
}

/* has_room_for_role(organization, permissions); as a keystore sees its roles. */
Datum
apikeys_has_room_for_role(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	ScanKeyData key;
	AkIndexScan scan;
	int64		roles = 1;
	int64		permissions = PG_GETARG_INT64(1);

	ak_keystore_open(&store, AK_TABLE_BIT(AK_ROLE));
	ak_index_scan_uuid_key(&key, PG_GETARG_UUID_P(0));
	ak_index_scan_open(store.snapshot, AK_ROLE, AK_ROLE_BY_ORGANIZATION, &key,
					   false, &scan);
	while (roles <= MAX_ROLES && permissions <= MAX_PERMISSIONS &&
		   ak_index_scan_next_row(&scan))
	{
		ArrayType  *lists[] = {
			get_permissions(&scan, ROLE_ORGANIZATION_PERMISSIONS),
			get_permissions(&scan, ROLE_PROJECT_PERMISSIONS)
		};

		roles++;
		for (int i = 0; i < lengthof(lists); i++)
			permissions += ArrayGetNItems(ARR_NDIM(lists[i]),
										  ARR_DIMS(lists[i]));
	}
	ak_index_scan_close(&scan);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(roles <= MAX_ROLES && permissions <= MAX_PERMISSIONS);
}
