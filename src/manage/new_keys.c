/*
 * new_keys.c
 *	  Inserts keys, with their roles and permissions, one secret each and their
 *	  images, in one statement; and counts keys.
 *
 * New rows refer to rows of the same statement, and to the organization,
 * project and roles that the caller has locked.  So no trigger needs to check
 * that, and the images are made from the arguments and not read back, unless a
 * trigger of the user may change the rows.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "store/store.h"
#include "usage/limits.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(apikeys_check_sees_policy);
PG_FUNCTION_INFO_V1(apikeys_check_sees_secrets);
PG_FUNCTION_INFO_V1(apikeys_count_keys);
PG_FUNCTION_INFO_V1(apikeys_insert_keys);
PG_FUNCTION_INFO_V1(apikeys_taken_keys);

/* In the order of the arguments of insert_keys, and after them the limits_ids. */
#define PUBLIC_KEYS		2
#define LIMITS_IDS		12
#define ARGUMENT_COUNT	13

/* In index key_organization_created_idx. */
#define KEY_INDEX_PUBLIC_KEY	3

#define ARGUMENT_TYPES \
	{UUIDOID, UUIDOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, \
	TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, \
	JSONBARRAYOID, TEXTOID, UUIDARRAYOID}

/* In the order of the indexes. */
#define GIVEN_KEYS \
	"s AS MATERIALIZED (" \
	"SELECT u.public_key, u.hash::apikeys.secret_hash AS hash, " \
	"coalesce(u.hint, '') AS hint, u.description, " \
	"coalesce(u.grants, '{}')::pg_catalog.text[] AS grants, " \
	"coalesce(u.access_list, '{}')::apikeys.access_list AS access_list, " \
	"nullif(u.expires_at, 'infinity') AS expires_at, " \
	"u.owner, coalesce(u.metadata, '{}') AS metadata, u.limits_id " \
	"FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), " \
	"pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), " \
	"pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10), " \
	"pg_catalog.unnest($11), pg_catalog.unnest($13)) AS u (public_key, hash, hint, " \
	"description, grants, access_list, expires_at, owner, metadata, limits_id) " \
	"ORDER BY u.public_key COLLATE \"C\")"

/* As in an image: a role's id, or an equals sign and a permission. */
#define IS_PERMISSION	"(pg_catalog.left(g.held, 1) OPERATOR(pg_catalog.=) '=')"

/* The statement itself inserts first, and so waits where a key may be taken. */
#define INSERT_KEYS \
	"INSERT INTO apikeys.key " \
	"(public_key, organization_id, description, access_list, expires_at, owner, " \
	"metadata, environment, limits_id, created_at, disabled_at) " \
	"SELECT s.public_key, $1, s.description, s.access_list, " \
	"s.expires_at, s.owner, s.metadata, $12, s.limits_id, pg_catalog.now(), NULL FROM s"

#define INSERT_ROLES_AND_SECRETS \
	"r AS (INSERT INTO apikeys.key_role " \
	"(public_key, organization_id, project_id, role, permission) " \
	"SELECT s.public_key, $1, $2, " \
	"CASE WHEN NOT " IS_PERMISSION " THEN g.held END, " \
	"CASE WHEN " IS_PERMISSION " THEN pg_catalog.substr(g.held, 2) END " \
	"FROM s CROSS JOIN pg_catalog.unnest(s.grants) AS g (held)), " \
	"c AS (INSERT INTO apikeys.key_secret " \
	"(public_key, version, hash, hint, organization_id, expires_at) " \
	"SELECT s.public_key, 1, s.hash, s.hint, $1, NULL FROM s)"

/* The same as view key_image_source for these keys, whatever defaults columns have. */
#define INSERT_IMAGES \
	"i AS (INSERT INTO apikeys.key_image (public_key, organization_id, disabled, " \
	"expires_at, access_list, secrets, secret_expirations, organization_roles, " \
	"project_roles, projects, created_at, secret_versions, details, limits) " \
	"SELECT i.public_key, $1, false, coalesce(i.expires_at, 'infinity'), " \
	"i.access_list, ARRAY[i.hash], '{infinity}', " \
	"CASE WHEN $2 IS NULL THEN i.grants ELSE '{}' END, " \
	"CASE WHEN $2 IS NULL THEN '{}' ELSE i.grants END, " \
	"CASE WHEN $2 IS NULL THEN '{}' ELSE " \
	"pg_catalog.array_fill($2, ARRAY[pg_catalog.cardinality(i.grants)]) END, " \
	"pg_catalog.now(), pg_catalog.int4send(1), " \
	"apikeys_internal.key_details(i.owner, i.metadata, $12), " \
	"pg_catalog.uuid_send(i.limits_id) " \
	"FROM (SELECT s.public_key, s.hash, s.access_list, s.expires_at, s.owner, s.metadata, s.limits_id, " \
	"CASE WHEN pg_catalog.array_dims(s.grants) OPERATOR(pg_catalog.=) '[1:1]' THEN s.grants " \
	"ELSE ARRAY(SELECT g.held FROM pg_catalog.unnest(s.grants) AS g (held) " \
	"ORDER BY " IS_PERMISSION ", g.held COLLATE \"C\") END AS grants FROM s OFFSET 0) AS i)"

static void
insert(Datum *values, const char *nulls)
{
	static AkStatement insert_quietly = {
		"WITH " GIVEN_KEYS ", " INSERT_ROLES_AND_SECRETS ", " INSERT_IMAGES " "
		INSERT_KEYS,
		ARGUMENT_COUNT, ARGUMENT_TYPES, .is_quiet = true
	};
	static AkStatement insert_with_triggers = {
		"WITH " GIVEN_KEYS ", " INSERT_ROLES_AND_SECRETS " " INSERT_KEYS,
		ARGUMENT_COUNT, ARGUMENT_TYPES
	};

	if (ak_trigger_all_are_own(AK_KEY) &&
		ak_trigger_all_are_own(AK_KEY_ROLE) &&
		ak_trigger_all_are_own(AK_KEY_SECRET))
		ak_owner_execute(&insert_quietly, values, nulls);
	else
	{
		/* Triggers of users may change the rows: these are read back. */
		ak_owner_execute(&insert_with_triggers, values, nulls);
		ak_key_image_make(values[PUBLIC_KEYS]);
	}
}

/* Checks whether the current error is that a public key is taken. */
static bool
is_taken_key(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION &&
		error->schema_name && strcmp(error->schema_name, "apikeys") == 0 &&
		error->table_name && strcmp(error->table_name, "key") == 0;
}

static void
raise_taken(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("public key is in use, or was used before"),
			 ak_errid("public_key_taken")));
}

/*
 * Raises 23505 if one of the keys that were inserted had been deleted before.
 * Asked by the latest state: a transaction whose snapshot is older than the
 * deletion could insert the key.
 */
static void
check_not_deleted(Datum keys)
{
	AkKeystore	store;
	Datum	   *elements;
	int			count;
	bool		was_deleted = false;

	deconstruct_array(DatumGetArrayTypeP(keys), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &count);
	ak_keystore_open(&store, AK_TABLE_BIT(AK_DELETED_KEY));
	for (int i = 0; i < count && !was_deleted; i++)
		was_deleted = ak_keystore_was_deleted(&store,
											  DatumGetTextPP(elements[i]));
	ak_keystore_close(&store);
	if (was_deleted)
		raise_taken();
}

/* New limits_ids for so many keys. */
static ArrayType *
make_limits_ids(int count)
{
	Datum	   *ids = palloc(count * sizeof(Datum));

	for (int i = 0; i < count; i++)
		ids[i] = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	return construct_array(ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
}

/*
 * insert_keys(organization, project, public_keys, hashes, hints, descriptions,
 * grants, access_lists, expirations, owners, metadata, environment): raises 23505
 * if a public key is taken, or was used before.  No hints, grants or networks are
 * NULL, as is an expiration that never comes.
 */
Datum
apikeys_insert_keys(PG_FUNCTION_ARGS)
{
	MemoryContext old = CurrentMemoryContext;
	Datum		values[ARGUMENT_COUNT];
	char		nulls[] = "             ";
	ArrayType  *public_keys;
	ArrayType  *limits_ids;
	ErrorData  *error;

	if (PG_ARGISNULL(PUBLIC_KEYS))
		PG_RETURN_VOID();
	for (int i = 0; i < PG_NARGS(); i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}
	public_keys = PG_GETARG_ARRAYTYPE_P(PUBLIC_KEYS);
	limits_ids = make_limits_ids(ArrayGetNItems(ARR_NDIM(public_keys),
												ARR_DIMS(public_keys)));
	values[LIMITS_IDS] = PointerGetDatum(limits_ids);
	PG_TRY();
	{
		insert(values, nulls);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		error = CopyErrorData();
		if (!is_taken_key(error))
			PG_RE_THROW();
		FlushErrorState();
		raise_taken();
	}
	PG_END_TRY();
	check_not_deleted(values[PUBLIC_KEYS]);
	ak_limits_note_new(limits_ids);
	PG_RETURN_VOID();
}

/* Whether the transaction's snapshot sees all secrets of a key that the keystore sees. */
static bool
sees_secrets(AkKeystore *store, text *public_key)
{
	Snapshot	own = GetTransactionSnapshot();
	ScanKeyData key;
	AkIndexScan scan;
	bool		sees = true;

	ak_index_scan_text_key(&key, public_key);
	ak_index_scan_open(store->snapshot, AK_KEY_SECRET, AK_KEY_SECRET_BY_KEY,
					   &key, false, &scan);
	while (sees && ak_index_scan_next_row(&scan))
		sees = table_tuple_satisfies_snapshot(scan.table, scan.slot, own);
	ak_index_scan_close(&scan);
	return sees;
}

/*
 * check_sees_secrets(organization): raises 40001 if others have made or changed
 * secrets of its keys that the transaction's snapshot does not see, as a statement
 * that changes all of them would pass them over.
 */
Datum
apikeys_check_sees_secrets(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	ScanKeyData key;
	AkIndexScan scan;
	bool		sees = true;
	bool		isnull;

	if (!IsolationUsesXactSnapshot())
		PG_RETURN_VOID();
	ak_keystore_open(&store, AK_TABLE_BIT(AK_KEY) | AK_TABLE_BIT(AK_KEY_SECRET));
	ak_index_scan_uuid_key(&key, PG_GETARG_UUID_P(0));
	ak_index_scan_open(store.snapshot, AK_KEY, AK_KEY_BY_ORGANIZATION, &key,
					   true, &scan);
	while (sees && ak_index_scan_next_entry(&scan))
		sees = sees_secrets(&store,
							DatumGetTextPP(ak_index_scan_column(&scan,
																KEY_INDEX_PUBLIC_KEY,
																&isnull)));
	ak_index_scan_close(&scan);
	ak_keystore_close(&store);
	if (!sees)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent changes of secrets"),
				 ak_errid("serialization_failure")));
	PG_RETURN_VOID();
}

/* Column numbers of organization, as in sql/parts/30_tables.sql: its policy. */
static const AttrNumber policy_columns[] = {
	3,							/* require_access_list */
	4,							/* max_key_lifetime */
	5,							/* max_rotation_overlap */
	8,							/* max_secret_lifetime */
	9							/* max_keys */
};

/* A column of a policy. */
typedef struct Value
{
	Datum		datum;
	bool		isnull;
	bool		by_value;
	int16		length;
} Value;

/* Reads the policy of an organization; false if the snapshot does not see it. */
static bool
read_policy(Snapshot snapshot, ScanKey organization, Value *values)
{
	AkIndexScan scan;
	bool		found;

	ak_index_scan_open(snapshot, AK_ORGANIZATION, AK_ORGANIZATION_BY_ID,
					   organization, false, &scan);
	found = ak_index_scan_next_row(&scan);
	for (int i = 0; found && i < lengthof(policy_columns); i++)
	{
		AttrNumber	number = policy_columns[i];
		Form_pg_attribute column =
			TupleDescAttr(scan.slot->tts_tupleDescriptor, number - 1);
		Value	   *value = &values[i];

		value->by_value = column->attbyval;
		value->length = column->attlen;
		value->datum = slot_getattr(scan.slot, number, &value->isnull);
		if (!value->isnull)
			value->datum = datumCopy(value->datum, value->by_value,
									 value->length);
	}
	ak_index_scan_close(&scan);
	return found;
}

static bool
is_same(const Value *left, const Value *right)
{
	return left->isnull || right->isnull ? left->isnull == right->isnull :
		datumIsEqual(left->datum, right->datum, left->by_value, left->length);
}

/*
 * check_sees_policy(organization): raises 40001 if the policy of an organization that
 * this transaction has locked is not the one that its snapshot sees.  Where the policy
 * was changed behind a savepoint, FOR KEY SHARE does not find that: the row version
 * then says that it was locked exclusively, which has ended, and updated otherwise.
 */
Datum
apikeys_check_sees_policy(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	ScanKeyData key;
	Value		seen[lengthof(policy_columns)];
	Value		latest[lengthof(policy_columns)];
	bool		sees;

	if (!IsolationUsesXactSnapshot())
		PG_RETURN_VOID();
	ak_keystore_open(&store, AK_TABLE_BIT(AK_ORGANIZATION));
	ak_index_scan_uuid_key(&key, PG_GETARG_UUID_P(0));
	sees = read_policy(GetActiveSnapshot(), &key, seen) &&
		read_policy(store.snapshot, &key, latest);
	ak_keystore_close(&store);
	for (int i = 0; sees && i < lengthof(policy_columns); i++)
		sees = is_same(&seen[i], &latest[i]);
	if (!sees)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to a concurrent change of the policy"),
				 ak_errid("serialization_failure")));
	PG_RETURN_VOID();
}

/*
 * taken_keys(public_keys): those of which there is a key, or was one; not the NULLs.
 * An import asks before it inserts, so that it can name the bad row; what changes
 * after that is found by insert_keys.
 */
Datum
apikeys_taken_keys(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	Datum	   *keys;
	bool	   *nulls;
	int			count;
	int			taken = 0;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false,
					  TYPALIGN_INT, &keys, &nulls, &count);
	ak_keystore_open(&store, AK_TABLE_BIT(AK_KEY) | AK_TABLE_BIT(AK_DELETED_KEY));
	for (int i = 0; i < count; i++)
	{
		text	   *key = nulls[i] ? NULL : DatumGetTextPP(keys[i]);
		pg_uuid_t	organization;

		if (key && (ak_keystore_find_key(&store, key, &organization) ||
					ak_keystore_was_deleted(&store, key)))
			keys[taken++] = keys[i];
	}
	ak_keystore_close(&store);
	PG_RETURN_ARRAYTYPE_P(construct_array(keys, taken, TEXTOID, -1, false,
										  TYPALIGN_INT));
}

/* count_keys(organization, most); as a keystore sees them. */
Datum
apikeys_count_keys(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	int64		count;

	ak_keystore_open(&store, AK_TABLE_BIT(AK_KEY));
	count = ak_keystore_count_keys(&store, PG_GETARG_UUID_P(0),
								   PG_GETARG_INT64(1));
	ak_keystore_close(&store);
	PG_RETURN_INT64(count);
}
