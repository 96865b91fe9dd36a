/*
 * roles.c
 *	  See roles.h.
 *
 * Roles are few and change seldom, so every backend keeps all of them, read
 * in one scan when first asked.  The table's trigger makes a change send a
 * relcache message for the table, which PostgreSQL delivers at commit (of a
 * prepared transaction and on standbys too), and to the transaction itself
 * before its next command; it empties the cache.
 *
 * Permissions are valid patterns: the table's constraint has seen to that.
 */
#include "postgres.h"

#include "compat.h"
#include "roles.h"
#include "scope.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Column numbers, as in sql/parts/30_tables.sql. */
enum
{
	ROLE_NAME = 1,
	ROLE_ORGANIZATION_PERMISSIONS = 3,
	ROLE_PROJECT_PERMISSIONS
};

typedef struct RoleEntry
{
	char		name[NAMEDATALEN];	/* hash key: zero-padded */
	AkRole		role;
} RoleEntry;

/* All of it lives in this context; NULL while nothing is cached. */
static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static Oid	cached_table = InvalidOid;

/* Counts the messages, to notice one that comes while the cache is filled. */
static uint64 generation = 0;

PG_FUNCTION_INFO_V1(apikeys_role_changed);
PG_FUNCTION_INFO_V1(apikeys_are_permissions);

static void
forget_roles(Datum argument, Oid relation)
{
	if (!OidIsValid(relation) || relation == cached_table ||
		!OidIsValid(cached_table))
		generation++;
}

/* Called once, when the library is loaded. */
void
ak_roles_init(void)
{
	CacheRegisterRelcacheCallback(forget_roles, (Datum) 0);
}

static void
copy_permissions(Datum array, AkPermissions *permissions)
{
	Datum	   *elements;
	bool	   *nulls;

	deconstruct_array(DatumGetArrayTypePCopy(array), TEXTOID, -1, false,
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
make_hash_key(const text *name, char key[NAMEDATALEN])
{
	size_t		length = VARSIZE_ANY_EXHDR(name);

	if (length >= NAMEDATALEN)
		return false;
	memset(key, 0, NAMEDATALEN);
	memcpy(key, VARDATA_ANY(name), length);
	return true;
}

static bool
take_role(HeapTuple tuple, TupleDesc descriptor, void *argument)
{
	MemoryContext old = MemoryContextSwitchTo(cache_context);
	char		key[NAMEDATALEN];
	bool		isnull;

	if (make_hash_key(DatumGetTextPP(heap_getattr(tuple, ROLE_NAME,
												  descriptor, &isnull)), key))
	{
		RoleEntry  *entry = hash_search(argument, key, HASH_ENTER, NULL);

		memset(&entry->role, 0, sizeof(entry->role));
		copy_permissions(heap_getattr(tuple, ROLE_ORGANIZATION_PERMISSIONS,
									  descriptor, &isnull),
						 &entry->role.organization);
		copy_permissions(heap_getattr(tuple, ROLE_PROJECT_PERMISSIONS,
									  descriptor, &isnull),
						 &entry->role.project);
	}
	MemoryContextSwitchTo(old);
	return true;
}

static void
fill_cache(AkKeystore *store)
{
	HASHCTL		info = {0};
	HTAB	   *roles;

	cache = NULL;
	if (cache_context)
		MemoryContextReset(cache_context);
	else
		cache_context = AllocSetContextCreate(TopMemoryContext,
											  "apikeys roles",
											  ALLOCSET_SMALL_SIZES);
	info.keysize = NAMEDATALEN;
	info.entrysize = sizeof(RoleEntry);
	info.hcxt = cache_context;
	roles = hash_create("apikeys roles", 64, &info,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ak_keystore_scan(store, AK_ROLE, AK_ROLE_BY_NAME, 0, NULL,
					 take_role, roles);
	cache = roles;
}

/*
 * Reads the roles again if they have changed; to be called after opening the
 * store and before looking up roles.
 */
void
ak_roles_refresh(AkKeystore *store)
{
	static uint64 filled_generation = 0;

	if (cache == NULL || filled_generation != generation)
	{
		/*
		 * A message may come while the table is opened for reading: what is
		 * read then is good for this store, but must be read again later.
		 */
		uint64		before = generation;

		cached_table = ak_keystore_table_oid(AK_ROLE);
		fill_cache(store);
		filled_generation = before;
	}
}

/* The role of this name, or NULL; good until the next ak_roles_refresh(). */
const AkRole *
ak_roles_find(const text *name)
{
	char		key[NAMEDATALEN];
	RoleEntry  *entry;

	if (!make_hash_key(name, key))
		return NULL;
	entry = hash_search(cache, key, HASH_FIND, NULL);
	return entry ? &entry->role : NULL;
}

/* Whether one of the permissions allows the scope. */
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

/* Trigger of table role. */
Datum
apikeys_role_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("role_changed must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
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
