/*
 * keystore.c
 *	  See keystore.h.
 *
 * The OIDs of the tables and indexes are looked up once, and again after any
 * relcache message about one of them: DROP EXTENSION sends one, and a new
 * CREATE EXTENSION in the same session finds the new ones.
 */
#include "postgres.h"

#include "compat.h"
#include "keystore.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Column numbers, as in sql/parts/30_tables.sql. */
enum
{
	ORGANIZATION_ID = 1,
	ORGANIZATION_REQUIRE_ACCESS_LIST = 3
};
enum
{
	PROJECT_ID = 1,
	PROJECT_ORGANIZATION_ID
};
enum
{
	MEMBER_ORGANIZATION_ID = 1,
	MEMBER_PROJECT_ID,
	MEMBER_PRINCIPAL,
	MEMBER_ROLE
};
enum
{
	KEY_PUBLIC_KEY = 1,
	KEY_ORGANIZATION_ID,
	KEY_ACCESS_LIST = 4,
	KEY_EXPIRES_AT = 7,
	KEY_DISABLED_AT
};
enum
{
	KEY_ROLE_PUBLIC_KEY = 1,
	KEY_ROLE_ORGANIZATION_ID,
	KEY_ROLE_PROJECT_ID,
	KEY_ROLE_ROLE
};
enum
{
	KEY_SECRET_PUBLIC_KEY = 1,
	KEY_SECRET_HASH = 3,
	KEY_SECRET_EXPIRES_AT = 6
};
enum
{
	DELETED_KEY_PUBLIC_KEY = 1
};

static const char *const table_names[AK_TABLE_COUNT] = {
	[AK_ORGANIZATION] = "organization",
	[AK_PROJECT] = "project",
	[AK_ROLE] = "role",
	[AK_MEMBER] = "member",
	[AK_KEY] = "key",
	[AK_KEY_ROLE] = "key_role",
	[AK_KEY_SECRET] = "key_secret",
	[AK_KEY_USAGE] = "key_usage",
	[AK_DELETED_KEY] = "deleted_key",
};

static const char *const index_names[AK_INDEX_COUNT] = {
	[AK_ORGANIZATION_BY_ID] = "organization_pkey",
	[AK_PROJECT_BY_ID] = "project_pkey",
	[AK_PROJECT_BY_ORGANIZATION] = "project_name_key",
	[AK_ROLE_BY_NAME] = "role_pkey",
	[AK_MEMBER_BY_PRINCIPAL] = "member_key",
	[AK_MEMBER_BY_ORGANIZATION] = "member_organization_idx",
	[AK_MEMBER_BY_PROJECT] = "member_project_idx",
	[AK_KEY_BY_NAME] = "key_pkey",
	[AK_KEY_ROLE_BY_KEY] = "key_role_key",
	[AK_KEY_SECRET_BY_KEY] = "key_secret_pkey",
	[AK_DELETED_KEY_BY_NAME] = "deleted_key_pkey",
};

static Oid	table_oids[AK_TABLE_COUNT];
static Oid	index_oids[AK_INDEX_COUNT];
static bool oids_are_valid = false;

/* --- Opening, and the OIDs ------------------------------------------------ */

static bool
is_one_of(Oid relation, const Oid *oids, int count)
{
	for (int i = 0; i < count; i++)
		if (oids[i] == relation)
			return true;
	return false;
}

static void
forget_oids(Datum argument, Oid relation)
{
	if (oids_are_valid &&
		(!OidIsValid(relation) ||
		 is_one_of(relation, table_oids, AK_TABLE_COUNT) ||
		 is_one_of(relation, index_oids, AK_INDEX_COUNT)))
		oids_are_valid = false;
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
					 errhint("Is the extension apikeys created in this database?")));
	}
}

static void
ensure_oids(void)
{
	Oid			schema;

	if (oids_are_valid)
		return;
	schema = get_namespace_oid("apikeys", false);
	/* First, so that a message that comes meanwhile is not lost. */
	oids_are_valid = true;
	PG_TRY();
	{
		find_oids(table_oids, table_names, AK_TABLE_COUNT, schema);
		find_oids(index_oids, index_names, AK_INDEX_COUNT, schema);
	}
	PG_CATCH();
	{
		oids_are_valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* Called once, when the library is loaded. */
void
ak_keystore_init(void)
{
	CacheRegisterRelcacheCallback(forget_oids, (Datum) 0);
}

/*
 * Opens the store: everything that was committed before is seen from now on.
 * Close it in the same function; after an error the transaction does it.
 */
void
ak_keystore_open(AkKeystore *store)
{
	AcceptInvalidationMessages();
	ensure_oids();
	store->registered = !IsInParallelMode();
	store->snapshot = store->registered ?
		RegisterSnapshot(GetLatestSnapshot()) : GetActiveSnapshot();
}

/* Lets go of the snapshot. */
void
ak_keystore_close(AkKeystore *store)
{
	if (store->registered)
		UnregisterSnapshot(store->snapshot);
	store->snapshot = NULL;
}

/* The OID of a table; raises 42P01 if the extension is not there. */
Oid
ak_keystore_table_oid(AkTable table)
{
	ensure_oids();
	return table_oids[table];
}

/*
 * Calls back with each row that an index finds, or with every row of the
 * table if key_count is 0, until the callback answers false.  The tuple lives
 * until the callback returns.
 */
void
ak_keystore_scan(AkKeystore *store, AkTable table, AkIndex index,
				 int key_count, ScanKey keys,
				 AkTupleCallback callback, void *argument)
{
	Relation	relation = table_open(table_oids[table], AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, index_oids[index],
										  key_count > 0, store->snapshot,
										  key_count, keys);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		if (!callback(tuple, RelationGetDescr(relation), argument))
			break;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
}

static void
init_text_key(ScanKey key, AttrNumber column, text *value)
{
	ScanKeyInit(key, column, BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(value));
}

static void
init_uuid_key(ScanKey key, AttrNumber column, const pg_uuid_t *value)
{
	ScanKeyInit(key, column, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(value));
}

/* Stores a timestamp in *value if the column is not NULL, and answers that. */
static bool
get_timestamp(HeapTuple tuple, AttrNumber column, TupleDesc descriptor,
			  TimestampTz *value)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, column, descriptor, &isnull);

	*value = isnull ? 0 : DatumGetTimestampTz(datum);
	return !isnull;
}

static bool
get_uuid(HeapTuple tuple, AttrNumber column, TupleDesc descriptor,
		 pg_uuid_t *value)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, column, descriptor, &isnull);

	if (!isnull)
		*value = *DatumGetUUIDP(datum);
	return !isnull;
}

static bool
take_exists(HeapTuple tuple, TupleDesc descriptor, void *argument)
{
	*(bool *) argument = true;
	return false;
}

/* --- Keys ----------------------------------------------------------------- */

typedef struct KeySearch
{
	AkKey	   *key;
	bool		with_access_list;
	bool		found;
} KeySearch;

static bool
take_key(HeapTuple tuple, TupleDesc descriptor, void *argument)
{
	KeySearch  *search = argument;
	AkKey	   *key = search->key;
	TimestampTz disabled_at;
	bool		isnull;

	search->found = true;
	get_uuid(tuple, KEY_ORGANIZATION_ID, descriptor, &key->organization_id);
	key->expires = get_timestamp(tuple, KEY_EXPIRES_AT, descriptor,
								 &key->expires_at);
	key->disabled = get_timestamp(tuple, KEY_DISABLED_AT, descriptor,
								  &disabled_at);
	key->access_list = NULL;
	if (search->with_access_list)
		key->access_list = (struct varlena *)
			DatumGetPointer(datumCopy(heap_getattr(tuple, KEY_ACCESS_LIST,
												   descriptor, &isnull),
									  false, -1));
	return false;
}

/*
 * Finds a key.  The access list, if asked for, is a copy in the current memory
 * context, to be detoasted before the store is closed.
 */
bool
ak_keystore_find_key(AkKeystore *store, text *public_key,
					 bool with_access_list, AkKey *key)
{
	ScanKeyData scan_key;
	KeySearch	search = {key, with_access_list, false};

	init_text_key(&scan_key, KEY_PUBLIC_KEY, public_key);
	ak_keystore_scan(store, AK_KEY, AK_KEY_BY_NAME, 1, &scan_key,
					 take_key, &search);
	return search.found;
}

/* Whether a key of this name existed once and was deleted. */
bool
ak_keystore_was_deleted(AkKeystore *store, text *public_key)
{
	ScanKeyData scan_key;
	bool		found = false;

	init_text_key(&scan_key, DELETED_KEY_PUBLIC_KEY, public_key);
	ak_keystore_scan(store, AK_DELETED_KEY, AK_DELETED_KEY_BY_NAME, 1,
					 &scan_key, take_exists, &found);
	return found;
}

typedef struct SecretScan
{
	AkSecretCallback callback;
	void	   *argument;
} SecretScan;

static bool
take_secret(HeapTuple tuple, TupleDesc descriptor, void *argument)
{
	SecretScan *scan = argument;
	AkSecret	secret;
	bool		isnull;

	secret.hash = PG_DETOAST_DATUM_PACKED(heap_getattr(tuple, KEY_SECRET_HASH,
													   descriptor, &isnull));
	secret.expires = get_timestamp(tuple, KEY_SECRET_EXPIRES_AT, descriptor,
								   &secret.expires_at);
	return scan->callback(&secret, scan->argument);
}

/* Calls back with each secret of a key, the ended ones too. */
void
ak_keystore_scan_secrets(AkKeystore *store, text *public_key,
						 AkSecretCallback callback, void *argument)
{
	ScanKeyData scan_key;
	SecretScan	scan = {callback, argument};

	init_text_key(&scan_key, KEY_SECRET_PUBLIC_KEY, public_key);
	ak_keystore_scan(store, AK_KEY_SECRET, AK_KEY_SECRET_BY_KEY, 1, &scan_key,
					 take_secret, &scan);
}

/* --- Roles held by keys and members --------------------------------------- */

typedef struct GrantScan
{
	AttrNumber	organization_column;
	AttrNumber	project_column;
	AttrNumber	role_column;
	AkGrantCallback callback;
	void	   *argument;
} GrantScan;

static bool
take_grant(HeapTuple tuple, TupleDesc descriptor, void *argument)
{
	GrantScan  *scan = argument;
	AkGrant		grant;
	bool		isnull;

	get_uuid(tuple, scan->organization_column, descriptor,
			 &grant.organization_id);
	grant.has_project = get_uuid(tuple, scan->project_column, descriptor,
								 &grant.project_id);
	grant.role = DatumGetTextPP(heap_getattr(tuple, scan->role_column,
											 descriptor, &isnull));
	return scan->callback(&grant, scan->argument);
}

/* Calls back with each role that is granted to a key. */
void
ak_keystore_scan_key_roles(AkKeystore *store, text *public_key,
						   AkGrantCallback callback, void *argument)
{
	ScanKeyData scan_key;
	GrantScan	scan = {KEY_ROLE_ORGANIZATION_ID, KEY_ROLE_PROJECT_ID,
	KEY_ROLE_ROLE, callback, argument};

	init_text_key(&scan_key, KEY_ROLE_PUBLIC_KEY, public_key);
	ak_keystore_scan(store, AK_KEY_ROLE, AK_KEY_ROLE_BY_KEY, 1, &scan_key,
					 take_grant, &scan);
}

/* Calls back with each role that a principal holds as a member. */
void
ak_keystore_scan_members(AkKeystore *store, text *principal,
						 AkGrantCallback callback, void *argument)
{
	ScanKeyData scan_key;
	GrantScan	scan = {MEMBER_ORGANIZATION_ID, MEMBER_PROJECT_ID,
	MEMBER_ROLE, callback, argument};

	init_text_key(&scan_key, MEMBER_PRINCIPAL, principal);
	ak_keystore_scan(store, AK_MEMBER, AK_MEMBER_BY_PRINCIPAL, 1, &scan_key,
					 take_grant, &scan);
}

/* --- Organizations and projects ------------------------------------------- */

typedef struct IdScan
{
	AkIdCallback callback;
	void	   *argument;
} IdScan;

static bool
take_project_id(HeapTuple tuple, TupleDesc descriptor, void *argument)
{
	IdScan	   *scan = argument;
	pg_uuid_t	id;

	get_uuid(tuple, PROJECT_ID, descriptor, &id);
	return scan->callback(&id, scan->argument);
}

/* Calls back with the id of each project of an organization. */
void
ak_keystore_scan_projects(AkKeystore *store, const pg_uuid_t *organization,
						  AkIdCallback callback, void *argument)
{
	ScanKeyData scan_key;
	IdScan		scan = {callback, argument};

	init_uuid_key(&scan_key, PROJECT_ORGANIZATION_ID, organization);
	ak_keystore_scan(store, AK_PROJECT, AK_PROJECT_BY_ORGANIZATION, 1,
					 &scan_key, take_project_id, &scan);
}

static bool
take_requires_access_list(HeapTuple tuple, TupleDesc descriptor,
						  void *argument)
{
	bool		isnull;

	*(bool *) argument = DatumGetBool(heap_getattr(tuple, ORGANIZATION_REQUIRE_ACCESS_LIST,
												   descriptor, &isnull));
	return false;
}

/* Whether the organization demands an access list; true if there is none. */
bool
ak_keystore_requires_access_list(AkKeystore *store,
								 const pg_uuid_t *organization)
{
	ScanKeyData scan_key;
	bool		required = true;

	init_uuid_key(&scan_key, ORGANIZATION_ID, organization);
	ak_keystore_scan(store, AK_ORGANIZATION, AK_ORGANIZATION_BY_ID, 1,
					 &scan_key, take_requires_access_list, &required);
	return required;
}

static bool
take_project_organization(HeapTuple tuple, TupleDesc descriptor,
						  void *argument)
{
	get_uuid(tuple, PROJECT_ORGANIZATION_ID, descriptor, argument);
	return false;
}

/* Whether there is such a project in this organization. */
bool
ak_keystore_project_belongs(AkKeystore *store, const pg_uuid_t *project,
							const pg_uuid_t *organization)
{
	ScanKeyData scan_key;
	pg_uuid_t	owner = {0};

	init_uuid_key(&scan_key, PROJECT_ID, project);
	ak_keystore_scan(store, AK_PROJECT, AK_PROJECT_BY_ID, 1, &scan_key,
					 take_project_organization, &owner);
	return memcmp(&owner, organization, sizeof(owner)) == 0;
}

static bool
take_is_own(HeapTuple tuple, TupleDesc descriptor, void *argument)
{
	*(bool *) argument =
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	return false;
}

/*
 * Whether the organization, or the project of it if that is not NULL, was
 * made by this transaction and has no member yet.
 */
bool
ak_keystore_is_new(AkKeystore *store, const pg_uuid_t *organization,
				   const pg_uuid_t *project)
{
	const pg_uuid_t *id = project ? project : organization;
	ScanKeyData scan_key;
	bool		is_own = false;
	bool		has_member = false;

	if (project &&
		!ak_keystore_project_belongs(store, project, organization))
		return false;
	init_uuid_key(&scan_key, project ? PROJECT_ID : ORGANIZATION_ID, id);
	ak_keystore_scan(store, project ? AK_PROJECT : AK_ORGANIZATION,
					 project ? AK_PROJECT_BY_ID : AK_ORGANIZATION_BY_ID,
					 1, &scan_key, take_is_own, &is_own);
	init_uuid_key(&scan_key,
				  project ? MEMBER_PROJECT_ID : MEMBER_ORGANIZATION_ID, id);
	ak_keystore_scan(store, AK_MEMBER,
					 project ? AK_MEMBER_BY_PROJECT : AK_MEMBER_BY_ORGANIZATION,
					 1, &scan_key, take_exists, &has_member);
	return is_own && !has_member;
}
