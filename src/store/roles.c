/*
 * roles.c
 *	  See roles.h.
 *
 * Roles are few and rarely change, so every backend caches the roles that it
 * has used, until the snapshot no longer sees the version of the row that one
 * was read from (ak_keystore_sees()).
 *
 * Permissions are valid patterns: the table's constraint checks that.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/scope.h"
#include "store/roles.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

typedef struct RoleEntry
{
	char		name[NAMEDATALEN];	/* hash key: zero-padded */
	AkRowVersion version;
	MemoryContext content;		/* of what the role points to */
	AkRole		role;
} RoleEntry;

static HTAB *cache = NULL;

PG_FUNCTION_INFO_V1(apikeys_are_permissions);
PG_FUNCTION_INFO_V1(apikeys_grant_id);

/* --- Names of grants ----------------------------------------------------- */

/* The hash of a role's name, for ak_grant_id(). */
uint64
ak_role_hash(const char *name, size_t length)
{
	return hash_bytes_extended((const unsigned char *) name, length, 0);
}

/*
 * Returns a number for a role held in a project or, if that is NULL, in the
 * organization; never 0. The chance that two grants of a key have the same
 * number is negligible.  It is not stored, because it may differ on another
 * machine.
 */
uint64
ak_grant_id(uint64 role_hash, const pg_uuid_t *project)
{
	uint64		id = role_hash;

	if (project)
	{
		uint64		halves[2];

		memcpy(halves, project->data, UUID_LEN);
		id = hash_combine64(hash_combine64(id, halves[0]), halves[1]);
	}
	return id ? id : 1;
}

Datum
apikeys_grant_id(PG_FUNCTION_ARGS)
{
	text	   *role;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	role = PG_GETARG_TEXT_PP(0);
	PG_RETURN_INT64(ak_grant_id(ak_role_hash(VARDATA_ANY(role),
											 VARSIZE_ANY_EXHDR(role)),
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

static bool
make_hash_key(const char *name, size_t length, char key[NAMEDATALEN])
{
	if (length >= NAMEDATALEN)
		return false;
	memset(key, 0, NAMEDATALEN);
	memcpy(key, name, length);
	return true;
}

static void
make_cache(void)
{
	HASHCTL		info = {0};

	info.keysize = NAMEDATALEN;
	info.entrysize = sizeof(RoleEntry);
	info.hcxt = TopMemoryContext;
	cache = hash_create("apikeys roles", 64, &info,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
take_role(const AkRoleRow *row, void *argument)
{
	AkRole	   *role = argument;

	copy_permissions(row->organization_permissions, &role->organization);
	copy_permissions(row->project_permissions, &role->project);
}

/* Reads a role and caches it; NULL if there is none. */
static RoleEntry *
read_role(AkKeystore *store, const AkBytes *name, const char *key)
{
	MemoryContext content = AllocSetContextCreate(CurrentMemoryContext,
												  "apikeys role",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(content);
	AkRowVersion version;
	AkRole		role = {ak_role_hash(name->data, name->size)};
	bool		found = ak_keystore_find_role(store, name, &version, take_role,
											  &role);
	RoleEntry  *entry = NULL;

	MemoryContextSwitchTo(old);
	if (found)
	{
		entry = hash_search(cache, key, HASH_ENTER, NULL);
		MemoryContextSetParent(content, TopMemoryContext);
		entry->version = version;
		entry->content = content;
		entry->role = role;
	}
	else
		MemoryContextDelete(content);
	return entry;
}

/*
 * Returns the role of this name, or NULL; valid until it is looked up in a
 * store that was opened later.  The store was opened to read table role.
 */
const AkRole *
ak_roles_find(AkKeystore *store, const AkBytes *name)
{
	char		key[NAMEDATALEN];
	RoleEntry  *entry;

	if (!make_hash_key(name->data, name->size, key))
		return NULL;
	if (cache == NULL)
		make_cache();
	entry = hash_search(cache, key, HASH_FIND, NULL);
	if (entry && ak_keystore_sees(store, AK_ROLE, &entry->version))
		return &entry->role;
	if (entry)
	{
		MemoryContextDelete(entry->content);
		hash_search(cache, key, HASH_REMOVE, NULL);
	}
	entry = read_role(store, name, key);
	return entry ? &entry->role : NULL;
}

/* Checks whether one of the permissions allows the scope. */
bool
ak_permissions_allow(const AkPermissions *permissions,
					 const char *scope, size_t scope_length)
{
	for (int i = 0; i < permissions->count; i++)
		if (ak_permission_allows(permissions->items[i].text,
								 permissions->items[i].length,
								 scope, scope_length))
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
	{
		text	   *element = nulls[i] ? NULL : DatumGetTextPP(elements[i]);

		if (element == NULL ||
			!ak_permission_is_valid(VARDATA_ANY(element),
									VARSIZE_ANY_EXHDR(element)))
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}
