/*
 * key_image.c
 *	  Keeps table key_image, from which decisions are made, the same as what
 *	  the tables of truth say: key, key_secret, key_role and key_limit.
 *
 * Bodies of functions make the images of the keys that they have changed; for
 * all other changes triggers do it, at the end of each statement.  Images are
 * locked first, in the order of the keys, and the tables are read after that:
 * if two transactions change one key, the second waits for the first and then
 * sees its changes (in READ COMMITTED; in the stricter levels it fails to
 * serialize). Logical replication has no statements, so a trigger for each row
 * does it; for rows of key_role, of which a key may have thousands, at the end of
 * the transaction, and once for rows of one key that follow each other.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "store/store.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define COLUMNS \
	"public_key, organization_id, disabled, expires_at, created_at, " \
	"secrets, secret_expirations, secret_versions, " \
	"organization_roles, access_list, project_roles, projects, details, limits"

PG_FUNCTION_INFO_V1(apikeys_key_changed);
PG_FUNCTION_INFO_V1(apikeys_make_images);
PG_FUNCTION_INFO_V1(apikeys_rebuild_images);

/* The position of the first of the eight newest secrets in a group. */
#define NEWEST \
	"GREATEST(pg_catalog.count(*)::pg_catalog.int4 OPERATOR(pg_catalog.-) 7, 1)"

/*
 * The rows of view key_image_source for the keys $1, with one scan of each
 * table.  Aggregates take rows in the order of the sub-select.
 */
#define SOURCE_OF_KEYS \
	"SELECT k.public_key, k.organization_id, k.disabled_at IS NOT NULL, " \
	"coalesce(k.expires_at, 'infinity'), k.created_at, " \
	"coalesce(s.hashes, '{}'), coalesce(s.expirations, '{}'), coalesce(s.versions, ''), " \
	"coalesce(r.organization_roles, '{}'), k.access_list, " \
	"coalesce(r.project_roles, '{}'), coalesce(r.projects, '{}'), " \
	"apikeys_internal.key_details(k.owner, k.metadata, k.environment), " \
	"pg_catalog.uuid_send(k.limits_id) OPERATOR(pg_catalog.||) coalesce(l.limits, '') " \
	"FROM apikeys.key AS k " \
	"LEFT JOIN (SELECT s.public_key, " \
	"(pg_catalog.array_agg(s.hash))[" NEWEST ":] AS hashes, " \
	"(pg_catalog.array_agg(coalesce(s.expires_at, 'infinity')))[" NEWEST ":] AS expirations, " \
	"pg_catalog.substr(pg_catalog.string_agg(pg_catalog.int4send(s.version), ''::pg_catalog.bytea), " \
	"4 OPERATOR(pg_catalog.*) (" NEWEST ") OPERATOR(pg_catalog.-) 3) AS versions " \
	"FROM (SELECT s.public_key, s.version, s.hash, s.expires_at FROM apikeys.key_secret AS s " \
	"WHERE s.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"ORDER BY s.public_key, s.version) AS s GROUP BY s.public_key) AS s " \
	"ON s.public_key OPERATOR(pg_catalog.=) k.public_key " \
	"LEFT JOIN (SELECT r.public_key, " \
	"pg_catalog.array_agg(r.held) FILTER (WHERE r.project_id IS NULL) AS organization_roles, " \
	"pg_catalog.array_agg(r.held) FILTER (WHERE r.project_id IS NOT NULL) AS project_roles, " \
	"pg_catalog.array_agg(r.project_id) FILTER (WHERE r.project_id IS NOT NULL) AS projects " \
	"FROM (SELECT r.public_key, r.project_id, " \
	"coalesce(r.role, '=' OPERATOR(pg_catalog.||) r.permission) AS held " \
	"FROM apikeys.key_role AS r " \
	"WHERE r.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"ORDER BY r.public_key, r.project_id, r.role, r.permission) AS r GROUP BY r.public_key) AS r " \
	"ON r.public_key OPERATOR(pg_catalog.=) k.public_key " \
	"LEFT JOIN (SELECT l.public_key, pg_catalog.string_agg(l.image, ''::pg_catalog.bytea) AS limits " \
	"FROM (SELECT l.public_key, l.image FROM apikeys.key_limit AS l " \
	"WHERE l.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"ORDER BY l.public_key, l.kind, l.scope) AS l GROUP BY l.public_key) AS l " \
	"ON l.public_key OPERATOR(pg_catalog.=) k.public_key " \
	"WHERE k.public_key OPERATOR(pg_catalog.=) ANY ($1) "

/* For the keys that exist; images of other keys are left unchanged. */
static void
write_images(Datum keys)
{
	static AkStatement write = {
		"INSERT INTO apikeys.key_image (" COLUMNS ") "
		SOURCE_OF_KEYS
		"ON CONFLICT (public_key) DO UPDATE SET "
		"organization_id = excluded.organization_id, "
		"disabled = excluded.disabled, expires_at = excluded.expires_at, "
		"created_at = excluded.created_at, secrets = excluded.secrets, "
		"secret_expirations = excluded.secret_expirations, "
		"secret_versions = excluded.secret_versions, "
		"organization_roles = excluded.organization_roles, "
		"access_list = excluded.access_list, "
		"project_roles = excluded.project_roles, "
		"projects = excluded.projects, details = excluded.details, "
		"limits = excluded.limits",
		1, {TEXTARRAYOID}, .by_index = true
	};

	ak_owner_execute(&write, &keys, NULL);
}

/*
 * Rebuilds the images of keys, an array of text, from the tables.  Code of the
 * extension that changes keys calls it afterwards.
 */
void
ak_key_image_make(Datum keys)
{
	static AkStatement lock = {
		"SELECT FROM apikeys.key_image "
		"WHERE public_key OPERATOR(pg_catalog.=) ANY ($1) "
		"ORDER BY public_key FOR UPDATE",
		1, {TEXTARRAYOID}, .by_index = true
	};
	static AkStatement delete = {
		"DELETE FROM apikeys.key_image AS i "
		"WHERE i.public_key OPERATOR(pg_catalog.=) ANY ($1) "
		"AND NOT EXISTS (SELECT FROM apikeys.key AS k "
		"WHERE k.public_key OPERATOR(pg_catalog.=) i.public_key)",
		1, {TEXTARRAYOID}, .by_index = true
	};

	/* If two transactions change a key, the second waits here for the first. */
	ak_owner_execute(&lock, &keys, NULL);
	write_images(keys);
	/* Those of keys that were deleted or renamed. */
	ak_owner_execute(&delete, &keys, NULL);
}

/*
 * No other session changes a key until the end of the transaction; decisions
 * are not blocked.
 */
static uint64
make_all_images(void)
{
	static AkStatement lock = {
		"LOCK TABLE apikeys.key, apikeys.key_role, apikeys.key_secret, "
		"apikeys.key_limit "
		"IN SHARE ROW EXCLUSIVE MODE"
	};
	static AkStatement delete = {"DELETE FROM apikeys.key_image"};
	static AkStatement make = {
		"INSERT INTO apikeys.key_image (" COLUMNS ") "
		"SELECT " COLUMNS " FROM apikeys.key_image_source"
	};

	ak_owner_execute(&lock, NULL, NULL);
	ak_owner_execute(&delete, NULL, NULL);
	return ak_owner_execute(&make, NULL, NULL);
}

/* --- For SQL ------------------------------------------------------------- */

/*
 * The key whose image was made last for a row of key_role: it has what was changed by
 * commands before this one.
 */
static struct
{
	TransactionId transaction;
	SubTransactionId subtransaction;
	CommandId	command;
	int			size;
	char		public_key[AK_PUBLIC_KEY_MAX_SIZE];
} last_made;

/* Returns the command that inserted or deleted the row, in this transaction. */
static CommandId
get_command(const TriggerData *trigger)
{
	HeapTupleHeader row = trigger->tg_trigtuple->t_data;

	return TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ?
		HeapTupleHeaderGetCmin(row) : HeapTupleHeaderGetCmax(row);
}

/* Checks whether the image of the key was made after the row was changed. */
static bool
is_made(const text *key, const TriggerData *trigger)
{
	return last_made.transaction == GetTopTransactionIdIfAny() &&
		last_made.subtransaction == GetCurrentSubTransactionId() &&
		get_command(trigger) < last_made.command &&
		last_made.size == VARSIZE_ANY_EXHDR(key) &&
		memcmp(last_made.public_key, VARDATA_ANY(key), last_made.size) == 0;
}

static void
note_made(const text *key)
{
	last_made.transaction = GetTopTransactionIdIfAny();
	last_made.subtransaction = GetCurrentSubTransactionId();
	last_made.command = GetCurrentCommandId(false);
	last_made.size = VARSIZE_ANY_EXHDR(key);
	memcpy(last_made.public_key, VARDATA_ANY(key), last_made.size);
}

static void
follow_changes(Datum keys, const TriggerData *trigger)
{
	text	   *key = (text *) ARR_DATA_PTR(DatumGetArrayTypeP(keys));
	bool		may_repeat = TRIGGER_FIRED_FOR_ROW(trigger->tg_event) &&
		!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		RelationGetRelid(trigger->tg_relation) == ak_table_oid(AK_KEY_ROLE) &&
		VARSIZE_ANY_EXHDR(key) <= AK_PUBLIC_KEY_MAX_SIZE;

	if (may_repeat && is_made(key, trigger))
		return;
	ak_key_image_make(keys);
	if (may_repeat)
		note_made(key);
}

/*
 * Runs the row triggers of key_role that wait for the end of the transaction: their
 * rows are gone after a TRUNCATE.  One that is replicated does not ask for them.
 */
static void
end_waiting(void)
{
	static AkStatement run = {
		"SET CONSTRAINTS apikeys.key_role_replicated IMMEDIATE"
	};
	static AkStatement wait_again = {
		"SET CONSTRAINTS apikeys.key_role_replicated DEFERRED"
	};

	ak_owner_execute(&run, NULL, NULL);
	ak_owner_execute(&wait_again, NULL, NULL);
}

/*
 * Trigger of tables key, key_role, key_secret and key_limit, for changes that are not made
 * by the extension's own code: direct SQL, a restore, logical replication.
 */
Datum
apikeys_key_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo, AK_TABLE_BIT(AK_KEY) |
										  AK_TABLE_BIT(AK_KEY_ROLE) |
										  AK_TABLE_BIT(AK_KEY_LIMIT) |
										  AK_TABLE_BIT(AK_KEY_SECRET));

	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		end_waiting();
	else if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		make_all_images();
	else if (!ak_owner_is_acting())
		ak_changed_keys_each(trigger, follow_changes);
	PG_RETURN_POINTER(NULL);
}

/* make_images(keys text[]): for bodies of functions. */
Datum
apikeys_make_images(PG_FUNCTION_ARGS)
{
	ak_key_image_make(PG_GETARG_DATUM(0));
	PG_RETURN_VOID();
}

/*
 * rebuild_images(): also sets when triggers fire, so that the images follow
 * the tables from now on.
 */
Datum
apikeys_rebuild_images(PG_FUNCTION_ARGS)
{
	static AkStatement set_modes = {
		"SELECT apikeys_internal.set_trigger_modes()"
	};

	ak_owner_execute(&set_modes, NULL, NULL);
	ak_policy_write_all_limits();
	PG_RETURN_INT64(make_all_images());
}

/* --- New keys ------------------------------------------------------------ */

/*
 * Inserts keys, with their roles and permissions, one secret each and their images, in one
 * statement; and counts keys.
 *
 * New rows refer to rows of the same statement, and to the organization,
 * project and roles that the caller has locked.  So no trigger needs to check
 * that, and the images are made from the arguments and not read back, unless a
 * trigger of the user may change the rows.
 */

PG_FUNCTION_INFO_V1(apikeys_check_sees_secrets);
PG_FUNCTION_INFO_V1(apikeys_count_keys);
PG_FUNCTION_INFO_V1(apikeys_insert_keys);
PG_FUNCTION_INFO_V1(apikeys_taken_keys);

/* In the order of the arguments of insert_keys. */
#define ARGUMENT_COUNT	12
#define PUBLIC_KEYS		2

/* In index key_organization_created_idx. */
#define KEY_INDEX_PUBLIC_KEY	3

#define ARGUMENT_TYPES \
	{UUIDOID, UUIDOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, \
	TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, \
	JSONBARRAYOID, TEXTOID}

/* In the order of the indexes. */
#define GIVEN_KEYS \
	"s AS MATERIALIZED (" \
	"SELECT u.public_key, u.hash::apikeys.secret_hash AS hash, " \
	"coalesce(u.hint, '') AS hint, u.description, " \
	"coalesce(u.grants, '{}')::pg_catalog.text[] AS grants, " \
	"coalesce(u.access_list, '{}')::apikeys.access_list AS access_list, " \
	"nullif(u.expires_at, 'infinity') AS expires_at, " \
	"u.owner, coalesce(u.metadata, '{}') AS metadata, " \
	"pg_catalog.gen_random_uuid() AS limits_id " \
	"FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), " \
	"pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), " \
	"pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10), " \
	"pg_catalog.unnest($11)) AS u (public_key, hash, hint, description, grants, " \
	"access_list, expires_at, owner, metadata) " \
	"ORDER BY u.public_key COLLATE \"C\")"

/* As in an image: a role's id, or an equals sign and a permission. */
#define IS_PERMISSION	"(pg_catalog.left(g.held, 1) OPERATOR(pg_catalog.=) '=')"

/* The statement itself inserts first, and so waits where a key may be taken. */
#define INSERT_KEYS \
	"INSERT INTO apikeys.key " \
	"(public_key, organization_id, description, access_list, expires_at, owner, " \
	"metadata, environment, limits_id) SELECT s.public_key, $1, s.description, s.access_list, " \
	"s.expires_at, s.owner, s.metadata, $12, s.limits_id FROM s"

#define INSERT_ROLES_AND_SECRETS \
	"r AS (INSERT INTO apikeys.key_role " \
	"(public_key, organization_id, project_id, role, permission) " \
	"SELECT s.public_key, $1, $2, " \
	"CASE WHEN NOT " IS_PERMISSION " THEN g.held END, " \
	"CASE WHEN " IS_PERMISSION " THEN pg_catalog.substr(g.held, 2) END " \
	"FROM s CROSS JOIN pg_catalog.unnest(s.grants) AS g (held)), " \
	"c AS (INSERT INTO apikeys.key_secret (public_key, version, hash, hint, organization_id) " \
	"SELECT s.public_key, 1, s.hash, s.hint, $1 FROM s)"

/* The same as view key_image_source for these keys. */
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
	char		nulls[] = "            ";
	ErrorData  *error;

	for (int i = 0; i < ARGUMENT_COUNT; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}
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
	if (!PG_ARGISNULL(PUBLIC_KEYS))
		check_not_deleted(values[PUBLIC_KEYS]);
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
